# SPDX-License-Identifier: Apache-2.0
#
# The same configuration and seed give the same bytes, whatever else differs; another seed does not.
import json
import unittest

from support import SMALL, ProgramTest, without_run


class Determinism(ProgramTest):
    def setUp(self):
        super().setUp()
        self.config = self.write("small.yaml", SMALL.replace("requests: 2000", "requests: 20000"))

    def text(self, *arguments, **more):
        """The document up to `run`, which comes last, as bytes are compared."""
        whole = self.good("run", self.config, "--out", "-", *arguments, **more)
        self.assertEqual(list(json.loads(whole))[-1], "run")
        return whole[: whole.rindex('\n  "run": {')]

    def test_same_seed_same_bytes(self):
        first = self.text()
        self.assertEqual(self.text(), first)
        self.assertEqual(self.text(env={"LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Tokyo"}), first)
        self.assertEqual(self.text("--kernel", "systemc"), first)
        self.assertEqual(self.text("--quiet"), first)

    def test_progress_changes_nothing(self):
        on = self.call("run", self.config, "--requests", "1000000", "--progress", "on", "--out", "-")
        off = self.call("run", self.config, "--requests", "1000000", "--progress", "off", "--out", "-")
        self.assertEqual(without_run(json.loads(on.stdout)), without_run(json.loads(off.stdout)))

    def test_other_seed_other_result(self):
        first, second = self.result(self.config), self.result(self.config, "--seed", "2")
        self.assertNotEqual(first["phases"], second["phases"])
        # ... of the same load: the hit rate of random pages hardly moves.
        rates = [result["derived"]["iotlb_hit_rate"]["value"] for result in (first, second)]
        self.assertAlmostEqual(rates[0], rates[1], delta=0.03)

    def test_random_replacement_is_seeded(self):
        policy = ["--set", "iotlb.policy=random"]
        self.assertEqual(self.text(*policy), self.text(*policy))
        self.assertEqual(self.text(*policy), self.text(*policy, "--kernel", "systemc"))
        self.assertNotEqual(self.text(*policy), self.text(*policy, "--seed", "3"))


if __name__ == "__main__":
    unittest.main()
