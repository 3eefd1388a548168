# SPDX-License-Identifier: Apache-2.0
#
# The result file: its keys, and relations between its numbers that hold whatever was simulated
# (docs/results.md).
import unittest

from support import ROOT, SMALL, ProgramTest

TOP = ["schema", "tool", "configuration", "seeds", "trace", "end", "phases", "derived", "hazards", "run"]
PARTS = ["queueing", "lookup", "context", "pasid", "walk", "memory"]


class ReplayResult(ProgramTest):
    """The main example, whose trace is in the tree; counts are those of the recorded logs."""

    def setUp(self):
        super().setUp()
        self.data = self.result(ROOT / "configs/nvme-linux-trace.yaml")

    def test_trace(self):
        trace = self.data["trace"]
        self.assertEqual(trace["file"], "traces/nvme-randread-4k-qd32.iomt")
        self.assertEqual(trace["bytes"], (ROOT / "configs" / trace["file"]).stat().st_size)
        self.assertRegex(trace["crc32c"], r"^0x[0-9a-f]{8}$")
        self.assertEqual(trace["queue_depth"], 32)
        self.assertEqual([device["name"] for device in trace["devices"]], ["0000:00:04.0"])
        self.assertEqual(len(trace["sources"]), 2)

    def test_everything_was_replayed(self):
        statistics = self.data["phases"]["region_of_interest"]["statistics"]
        replay = {name: entry["value"] for name, entry in statistics["replay"]["replay"].items() if "value" in entry}
        self.assertEqual(self.data["end"]["reason"], "the traffic ended")
        self.assertEqual((replay["maps"], replay["unmaps"], replay["operations_done"]), (2000, 2000, 2000))
        self.assertEqual(replay["most_operations"], 32)
        self.assertEqual((replay["faults"], replay["refused"], replay["memory_errors"]), (0, 0, 0))
        front = statistics["iommu0.frontend"]["frontend"]
        self.assertEqual(front["requests"]["value"], replay["completed"])
        self.assertEqual(front["translated"]["value"], replay["completed"])
        # Per command: 4K of data in requests of 256 bytes, a completion entry of 16 bytes, two shadow
        # doorbell indices of 4 bytes.
        self.assertEqual(replay["dma_writes"], 2000 * (16 + 1 + 2))
        self.assertEqual(replay["bytes_written"], 2000 * (4096 + 16 + 2 * 4))


class Result(ProgramTest):
    def setUp(self):
        super().setUp()
        self.config = self.write("small.yaml", SMALL)

    def groups(self, result, name):
        """All groups of that name in the region of interest."""
        units = result["phases"]["region_of_interest"]["statistics"].values()
        return [groups[name] for groups in units if name in groups]

    def test_keys(self):
        result = self.result(self.config)
        self.assertEqual(list(result), TOP)
        self.assertEqual(list(result["phases"]), ["bring_up", "warm_up", "region_of_interest"])
        self.assertIsNone(result["trace"])
        self.assertEqual(result["end"], {"reason": "run.requests reached", "explanation": ""})
        self.assertEqual(result["configuration"]["iotlb"]["entries"], 64)  # defaults included
        self.assertEqual(result["run"]["kernel"], "core")
        self.assertEqual(result["run"]["config"], self.config)
        self.assertIn("--out", result["run"]["command_line"])
        self.assertGreater(result["run"]["wall_seconds"], 0)

    def test_phases_follow_each_other(self):
        phases = self.result(self.config)["phases"]
        self.assertEqual(phases["bring_up"]["completed"], 0)
        self.assertEqual(phases["warm_up"]["completed"], 200)
        self.assertEqual(phases["region_of_interest"]["completed"], 2000)
        self.assertEqual(phases["warm_up"]["first_cycle"], phases["bring_up"]["last_cycle"] + 1)
        self.assertEqual(phases["region_of_interest"]["first_cycle"], phases["warm_up"]["last_cycle"] + 1)
        for phase in phases.values():
            self.assertEqual(phase["cycles"], phase["last_cycle"] - phase["first_cycle"] + 1)
            self.assertEqual(phase["time_ns"], phase["cycles"])  # 1 ns cycles

    def test_a_phase_that_did_not_take_place_is_null(self):
        self.assertIsNone(self.result(self.config, "--set", "run.warmup_requests=0")["phases"]["warm_up"])

    def test_latency_parts_add_up(self):
        for wiring in ("fused", "chained"):
            (front,) = self.groups(self.result(self.config, "--set", f"iommu.wiring={wiring}"), "frontend")
            parts = sum(front[f"{part}_cycles"]["value"] for part in PARTS)
            self.assertEqual(parts, front["latency"]["sum"])
            self.assertEqual(front["hit_latency"]["count"] + front["miss_latency"]["count"], front["latency"]["count"])
            self.assertEqual(front["hit_latency"]["sum"] + front["miss_latency"]["sum"], front["latency"]["sum"])

    def test_lookups_are_hits_misses_or_merged(self):
        result = self.result(self.config)
        for name in ("iotlb", "context_cache"):
            (cache,) = self.groups(result, name)
            count = {key: entry["value"] for key, entry in cache.items()}
            self.assertGreater(count["lookups"], 0)
            self.assertEqual(count["lookups"], count["hits"] + count["misses"] + count["merged"])

    def test_histograms(self):
        (front,) = self.groups(self.result(self.config), "frontend")
        latency = front["latency"]
        self.assertEqual(sum(count for _, _, count in latency["buckets"]), latency["count"])
        self.assertTrue(latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p999"])
        self.assertLessEqual(latency["p999"], latency["max"])
        self.assertAlmostEqual(latency["mean"], latency["sum"] / latency["count"])
        for (first, last, count), following in zip(latency["buckets"], latency["buckets"][1:]):
            self.assertTrue(first <= last < following[0] and count > 0)
        result = self.result(self.config, "--set", "report.histogram=false")
        self.assertNotIn("buckets", self.groups(result, "frontend")[0]["latency"])

    def test_derived_values(self):
        result = self.result(self.config)
        derived = {name: entry["value"] for name, entry in result["derived"].items()}
        region = result["phases"]["region_of_interest"]
        (iotlb,) = self.groups(result, "iotlb")
        (device,) = self.groups(result, "device")
        moved = device["bytes_read"]["value"] + device["bytes_written"]["value"]
        self.assertAlmostEqual(derived["iotlb_hit_rate"], iotlb["hits"]["value"] / iotlb["lookups"]["value"])
        self.assertAlmostEqual(derived["dma_per_cycle"], 2000 / region["cycles"])
        self.assertAlmostEqual(derived["dma_per_second"] / 1e9, 2000 / region["time_ns"])
        self.assertAlmostEqual(derived["bandwidth"], moved / region["time_ns"])
        self.assertAlmostEqual(sum(derived[f"{part}_share"] for part in PARTS), 1)
        self.assertIsNone(derived["pasid_cache_hit_rate"])
        self.assertIsNone(derived["llc_hit_rate"])

    def test_derived_times_follow_the_clock(self):
        one = self.result(self.config)["derived"]
        four = self.result(self.config, "--set", "clock.tick_ps=4000")["derived"]
        self.assertAlmostEqual(four["dma_latency_mean"]["value"], 4 * one["dma_latency_mean"]["value"])
        self.assertAlmostEqual(four["bandwidth"]["value"] * 4, one["bandwidth"]["value"])
        self.assertEqual(four["dma_per_cycle"], one["dma_per_cycle"])


if __name__ == "__main__":
    unittest.main()
