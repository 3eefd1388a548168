# SPDX-License-Identifier: Apache-2.0
#
# `iommu-sim run`: what a good run prints, and what is said about configurations and traces that
# cannot be run.
import os
import unittest

from support import SMALL, ProgramTest


class Run(ProgramTest):
    def setUp(self):
        super().setUp()
        self.config = self.write("small.yaml", SMALL)

    def test_report(self):
        text = self.good("run", self.config)
        for words in ["small\n", "Run\n", "Traffic\n", "Latency", "Where the time", "Caches\n", "Walks\n", "Memory\n"]:
            self.assertIn(words, text)
        self.assertIn("run.requests reached", text)
        # Parts the system does not have are left out.
        for words in ["PASID", "last-level cache", "Faults", "Devices", "I/O operation"]:
            self.assertNotIn(words, text)

    def test_report_shows_the_parts_that_exist(self):
        config = self.write(
            "big.yaml",
            """
vtd: {mode: scalable-second-stage}
memory: {llc: {entries: 256, ways: 16}}
run: {requests: 2000}
devices:
  - {name: a, source_id: 0x20, pasid: 1, generator: {kind: nvme, window_bytes: 1M}}
  - {name: b, source_id: 0x28, pasid: 2, generator: {kind: sequential}}
""",
        )
        text = self.good("run", config)
        for words in ["PASID cache", "last-level cache", "Devices\n", "I/O operation"]:
            self.assertIn(words, text)

    def test_shares_add_up(self):
        lines = self.good("run", self.config).split("Where the time")[1].split("Caches")[0].splitlines()
        shares = [float(line.split()[-2]) for line in lines if line.endswith("%")]
        self.assertEqual(shares[-1], 100.0)
        self.assertAlmostEqual(sum(shares[:-1]), 100.0, delta=0.06 * len(shares))

    def test_times_in_nanoseconds_too_if_a_cycle_is_not_one(self):
        text = self.good("run", self.config, "--set", "clock.tick_ps=250")
        self.assertIn("1 cycle = 0.250 ns", text)
        row = next(line for line in text.splitlines() if "translation in the IOMMU" in line)
        below = text.splitlines()[text.splitlines().index(row) + 1]
        cycles, ns = float(row.split()[5].replace(",", "")), float(below.split()[1].replace(",", ""))
        self.assertAlmostEqual(ns, cycles / 4, delta=0.06)

    def test_configuration_from_standard_input(self):
        self.assertIn("small\n", self.good("run", "-", stdin=SMALL))
        error = self.bad("run", "-", stdin="iotlb: {entreis: 3}\n")
        self.assertIn("<standard input>:1:9: iotlb.entreis: unknown key (did you mean entries?)", error)

    def test_short_options_are_settings(self):
        result = self.result(self.config, "--requests", "500", "--seed", "7")
        self.assertEqual(result["configuration"]["run"]["requests"], 500)
        self.assertEqual(result["configuration"]["run"]["seed"], 7)
        self.assertEqual(result["seeds"], {"run": 7})
        self.assertEqual(result["phases"]["region_of_interest"]["completed"], 500)
        self.assertIn("--set run.requests=-1", self.bad("run", self.config, "--requests", "-1"))
        self.assertIn("--set run.seed=x", self.bad("run", self.config, "--seed", "x"))

    def test_quiet(self):
        self.assertEqual(self.good("run", self.config, "--quiet"), "")

    def test_progress(self):
        done = self.call("run", self.config, "--progress", "on", "--requests", "3000000")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"(?m)^\d+\.\d %, [\d,]+ DMA, [\d.]+ M/s, simulated [\d.,]+ ms$")
        self.good("run", self.config, "--progress", "auto")  # no terminal: nothing

    def test_all_mistakes_at_once_with_position_and_remedy(self):
        path = self.write("bad.yaml", "iotlb:\n  entreis: 3\n  ways: -1\nrun: {seed: 010}\n")
        error = self.bad("run", path)
        self.assertIn(f"{path}:2:3: iotlb.entreis: unknown key (did you mean entries?)", error)
        self.assertIn(f"{path}:3:9: iotlb.ways: '-1' is negative", error)
        self.assertIn(f"{path}:4:13: run.seed:", error)
        self.assertEqual(error.count("\n"), 3)
        error = self.bad("run", self.config, "--set", "iotlb.entreis=3")
        self.assertIn("--set iotlb.entreis=3: unknown key (did you mean iotlb.entries?)", error)

    def test_paths_that_are_no_configuration(self):
        self.assertIn("No such file", self.bad("run", self.folder / "none.yaml"))
        self.assertIn("directory", self.bad("run", self.folder))
        self.assertIn("empty", self.bad("run", self.write("empty.yaml", "")))

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_unreadable_configuration(self):
        os.chmod(self.config, 0)
        self.assertIn("Permission denied", self.bad("run", self.config))

    def test_nothing_to_run(self):
        error = self.bad("run", self.write("idle.yaml", "name: idle\n"))
        self.assertIn("nothing to run: add devices, or a trace", error)

    def test_run_that_measures_nothing(self):
        error = self.bad("run", self.config, "--set", "run.max_cycles=100")
        self.assertIn("during the bring-up of the IOMMU; raise run.max_cycles", error)
        error = self.bad("run", self.config, "--set", "run.max_cycles=5000")
        self.assertIn("during the warm-up", error)

    def test_impossible_system(self):
        error = self.bad("run", self.config, "--set", "memory.size=8M", "--set", "devices[0].generator.window_bytes=64M")
        self.assertIn("simulated memory is full; raise memory.size", error)
        self.assertIn("memory.size", self.bad("run", self.config, "--set", "memory.size=1M"))


WORKLOAD = """\
name: workload
workload: {threads: 2, iterations: 100}
devices:
  - {name: nic0, source_id: "03:00.0", generator: {kind: none}}
"""


class Hazards(ProgramTest):
    def setUp(self):
        super().setUp()
        self.config = self.write("workload.yaml", WORKLOAD)

    def test_correct_systems_are_clean(self):
        result = self.result(self.config)
        self.assertEqual(result["hazards"]["hazards"], 0)
        self.assertEqual(result["end"]["reason"], "the workload ended")
        self.assertGreater(result["derived"]["unmap_cycles_mean"]["value"], 0)

    def test_a_driver_that_does_not_flush_is_found(self):
        broken = ["--set", "driver.quirks.no_iotlb_flush=true"]
        done = self.call("run", self.config, *broken)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("stale translations were used", done.stdout)
        self.assertIn("iotlb entry", done.stdout)
        self.assertIn("--allow-hazards accepts it", done.stderr)
        self.assertEqual(self.call("run", self.config, *broken, "--quiet").stderr, "")
        self.assertEqual(self.call("run", self.config, *broken, "--quiet").returncode, 1)
        hazards = self.result(self.config, *broken, "--allow-hazards")["hazards"]
        self.assertGreater(hazards["counts"]["hazard"], 0)
        worst = [finding for finding in hazards["findings"] if finding["severity"] == "hazard"][0]
        self.assertLess(worst["reported"], worst["request"]["looked_up"])
        self.assertEqual(worst["cache"], "iotlb")

    def test_without_tracker_nothing_is_found_and_cycles_are_the_same(self):
        broken = ["--set", "driver.quirks.no_iotlb_flush=true"]
        tracked = self.result(self.config, *broken, "--allow-hazards")
        free = self.result(self.config, *broken, "--no-tracker")
        self.assertIsNone(free["hazards"])
        for result in (tracked, free):
            result["phases"]["region_of_interest"]["statistics"].pop("tracker", None)
        self.assertEqual(tracked["phases"], free["phases"])


class Traces(ProgramTest):
    def test_traces_that_cannot_be_read(self):
        config = self.write("replay.yaml", "name: replay\n")
        error = self.bad("run", config, "--trace", self.folder / "none.iomt")
        self.assertIn("none.iomt", error)
        self.assertIn("No such file", error)
        error = self.bad("run", config, "--trace", self.write("notrace.iomt", "hello\n"))
        self.assertIn("notrace.iomt", error)
        self.assertIn("directory", self.bad("run", config, "--trace", self.folder))
        error = self.bad("run", "-", "--trace", "-", stdin="name: x\n")
        self.assertIn("cannot both come from standard input", error)

    def test_relative_path_in_a_file_is_relative_to_the_file(self):
        (self.folder / "inner").mkdir()
        self.write("inner/replay.yaml", "trace: {file: none.iomt}\n")
        error = self.bad("run", "inner/replay.yaml", cwd=self.folder)
        self.assertIn("inner/none.iomt", error)
        for line in (["--set", "trace.file=none.iomt"], ["--trace", "none.iomt"]):
            self.assertNotIn("inner/none.iomt", self.bad("run", "inner/replay.yaml", *line, cwd=self.folder))

    def test_quotes_and_hashes_in_a_file_name(self):
        config = self.write("replay.yaml", "name: replay\n")
        error = self.bad("run", config, "--trace", "it's #1: odd.iomt", cwd=self.folder)
        self.assertIn("it's #1: odd.iomt", error)


if __name__ == "__main__":
    unittest.main()
