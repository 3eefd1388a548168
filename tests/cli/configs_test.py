# SPDX-License-Identifier: Apache-2.0
#
# Every example in configs/ is complete, explains itself, runs, and gives the same result on both
# kernels.
import unittest

from support import CONFIGS, ProgramTest, without_run

# What each example promises in its description, as bounds on derived values.
PROMISES = {
    "all-hits": {"iotlb_hit_rate": (1, 1), "translation_latency_mean": (0, 4)},
    "random-misses": {"iotlb_hit_rate": (0.28, 0.30), "walker_occupancy": (5.5, 6)},
    "superpages-2m": {"iotlb_hit_rate": (1, 1)},
    "pass-through": {"walks_per_1000_requests": (0, 0)},
    "nested-walks": {"table_reads_per_walk": (2.5, 24)},
    "tables-in-llc": {"llc_hit_rate": (0.9, 1)},
    "pasids-first-stage": {"pasid_cache_hit_rate": (0.99, 1), "psc_hit_rate": (0.99, 1)},
    "chained-wiring": {"hit_latency_mean": (10, 20)},
    "zipf-hot-set": {"iotlb_hit_rate": (0.4, 0.7)},
    "riscv": {"invalidations_per_1000_unmaps": (1000, 1000), "unmap_cycles_mean": (1000, 4000)},
    "unmap-cost-ats": {"invalidations_per_1000_unmaps": (2000, 2000)},
    "unmap-cost": {"invalidations_per_1000_unmaps": (1000, 1000), "unmap_cycles_mean": (1000, 4000)},
}


class Configs(ProgramTest):
    def test_there_are_examples(self):
        names = {path.stem for path in CONFIGS}
        self.assertIn("nvme-linux-trace", names)
        self.assertEqual(set(PROMISES) - names, set())

    def test_every_example_explains_itself(self):
        for path in CONFIGS:
            with self.subTest(config=path.name):
                configuration = self.result(path, "--requests", "1000", "--set", "run.warmup_requests=0")["configuration"]
                self.assertEqual(configuration["name"], path.stem)
                self.assertIn("Look at", configuration["description"])

    def test_every_example_is_good(self):
        for path in CONFIGS:
            with self.subTest(config=path.name):
                self.assertRegex(self.good("check", path), r": good: ")

    def test_both_kernels_agree(self):
        for path in CONFIGS:
            with self.subTest(config=path.name):
                shorter = ["--requests", "20000", "--set", "run.warmup_requests=2000"]
                core = self.result(path, *shorter)
                systemc = self.result(path, *shorter, "--kernel", "systemc")
                self.assertEqual(without_run(core), without_run(systemc))

    def test_every_example_runs_and_keeps_its_promise(self):
        for path in CONFIGS:
            with self.subTest(config=path.name):
                result = self.result(path)
                self.assertIn(result["end"]["reason"], ("run.requests reached", "the traffic ended", "the workload ended"))
                self.assertGreater(result["phases"]["region_of_interest"]["completed"], 0)
                for name, (low, high) in PROMISES.get(path.stem, {}).items():
                    value = result["derived"][name]["value"]
                    self.assertTrue(low <= value <= high, f"{name} is {value}")


if __name__ == "__main__":
    unittest.main()
