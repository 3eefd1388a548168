# SPDX-License-Identifier: Apache-2.0
#
# `iommu-sim dump-config`: what it prints is a configuration that means the same.
import unittest

from support import CONFIGS, SMALL, ProgramTest, without_run


class DumpConfig(ProgramTest):
    def test_round_trip_of_every_example(self):
        for path in CONFIGS:
            with self.subTest(config=path.name):
                dump = self.good("dump-config", path)
                self.assertEqual(self.good("dump-config", "-", stdin=dump) == dump, True)
                self.assertNotIn("include:", dump)

    def test_dump_gives_the_same_result(self):
        config = self.write("small.yaml", SMALL)
        dump = self.write("dump.yaml", self.good("dump-config", config, "--set", "iotlb.entries=16"))
        self.assertEqual(without_run(self.result(dump)),
                         without_run(self.result(config, "--set", "iotlb.entries=16")))

    def test_settings_and_defaults_are_in(self):
        dump = self.good("dump-config", self.write("small.yaml", SMALL), "--set", "iotlb.entries=16")
        self.assertRegex(dump, r"(?m)^iotlb:[^\n]*\n  entries: 16 ")
        self.assertRegex(dump, r"(?m)^  walkers: 8 ")

    def test_mistakes(self):
        self.assertIn("entreis", self.bad("dump-config", self.write("bad.yaml", "iotlb: {entreis: 1}\n")))


if __name__ == "__main__":
    unittest.main()
