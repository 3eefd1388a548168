# SPDX-License-Identifier: Apache-2.0
#
# `iommu-sim check`.
import unittest

from support import SMALL, ProgramTest


class Check(ProgramTest):
    def test_good(self):
        config = self.write("small.yaml", SMALL)
        self.assertRegex(self.good("check", config), rf"^{config}: good: \d+ units, 1 device\n$")
        self.assertIn("good", self.good("check", "-", stdin=SMALL))
        self.assertIn("needs devices or a trace", self.good("check", self.write("idle.yaml", "{}\n")))

    def test_chained_wiring_has_more_units(self):
        config = self.write("small.yaml", SMALL)
        count = [int(self.good("check", config, "--set", f"iommu.wiring={wiring}").split(": good: ")[1].split()[0])
                 for wiring in ("fused", "chained")]
        self.assertLess(count[0], count[1])

    def test_mistakes(self):
        path = self.write("bad.yaml", "walker: {walkers: 0}\niotlb: {entries: 100, ways: 3}\n")
        error = self.bad("check", path)
        self.assertIn(f"{path}:1:19: walker.walkers:", error)
        self.assertIn(f"{path}:2:", error)

    def test_combinations_that_only_building_shows(self):
        config = self.write("small.yaml", SMALL)
        self.assertIn("memory.size", self.bad("check", config, "--set", "memory.size=1M"))
        error = self.bad("check", config, "--set", "trace.file=none.iomt", cwd=self.folder)
        self.assertIn("none.iomt", error)
        self.assertNotIn("good", error)


if __name__ == "__main__":
    unittest.main()
