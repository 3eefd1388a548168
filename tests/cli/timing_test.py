# SPDX-License-Identifier: Apache-2.0
#
# `iommu-sim timing` on the records in tests/data/rtl-timing: the program must do in each cycle what the hardware
# did, and find out when it does not.
import json
import re
import subprocess
import unittest

from support import ROOT, ProgramTest

DATA = ROOT / "tests/data/rtl-timing"
CLOSING = re.compile(r"^(\d+) exact, (\d+) off, max error (\d+) cycles$")
# Every request of these is to be exact; of the others those that no deviation marked [bug] has touched.
EXACT = ["latency", "throughput", "replacement", "cmdqueue", "faults", "random_plain", "random_inval"]


def path_of(name):
    return DATA / f"{name}.jsonl.zst"


def records(name):
    """The records of a file, read without the program."""
    text = subprocess.run(["zstd", "-dc", str(path_of(name))], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [json.loads(line) for line in text.splitlines()]


def presented(record):
    column = record["request_fields"].index("presented")
    return sum(1 for row in record["requests"] if row[column] >= 0)


class Timing(ProgramTest):
    def closing(self, text):
        found = CLOSING.match(text.splitlines()[-1])
        self.assertIsNotNone(found, text[-300:])
        return tuple(int(number) for number in found.groups())

    def write_records(self, name, chosen):
        return self.write(name, "".join(json.dumps(record) + "\n" for record in chosen))

    def simple(self):
        """One record without deviations: misses and hits of one device."""
        return next(record for record in records("throughput") if record["id"] == "tput/R/sink1")

    def test_files_are_exact(self):
        for name in EXACT:
            with self.subTest(file=name):
                done = self.call("timing", path_of(name))
                self.assertEqual(done.returncode, 0, done.stdout[-2000:])
                wanted = sum(presented(record) for record in records(name))
                self.assertEqual(self.closing(done.stdout), (wanted, 0, 0))

    def test_each_presented_request_is_counted_once(self):
        for name in ("throughput", "cmdqueue", "faults"):
            done = self.call("timing", "--json", self.folder / "out.json", path_of(name))
            self.assertIn(done.returncode, (0, 1))
            counts = json.loads((self.folder / "out.json").read_text())["files"][0]["requests"]
            self.assertEqual(sum(counts.values()), sum(presented(record) for record in records(name)))

    def test_an_exact_record(self):
        record = self.simple()
        out = self.good("timing", self.write_records("one.jsonl", [record]))
        self.assertEqual(self.closing(out), (presented(record), 0, 0))
        self.assertIn("one.jsonl: 1 records", out)

    def test_a_cycle_that_differs_is_found(self):
        columns = self.simple()["request_fields"]
        for column in ("accepted", "done"):
            record = self.simple()
            record["requests"][5][columns.index(column)] += 1
            done = self.call("timing", self.write_records("late.jsonl", [record]))
            self.assertEqual(done.returncode, 1)
            exact, off, error = self.closing(done.stdout)
            self.assertEqual((exact, off, error), (presented(record) - 1, 1, 1))
            self.assertIn("request 5", done.stdout)
            self.assertIn(f"{column}: expected", done.stdout)

    def test_an_address_that_differs_is_found(self):
        record = self.simple()
        column = record["request_fields"].index("pa")
        record["requests"][2][column] = hex(int(record["requests"][2][column], 16) ^ 0x1000)
        done = self.call("timing", self.write_records("elsewhere.jsonl", [record]))
        self.assertEqual((done.returncode, self.closing(done.stdout)[1]), (1, 1))
        self.assertIn("result: expected address", done.stdout)

    def test_a_read_that_differs_is_found(self):
        record = self.simple()
        column = record["mem_read_fields"].index("last_beat")
        record["mem_reads"][1][column] += 4
        done = self.call("timing", self.write_records("reads.jsonl", [record]))
        self.assertEqual((done.returncode, self.closing(done.stdout)[1:]), (1, (1, 4)))

    def test_what_happened_is_not_copied(self):
        """Without the recorded outcome the program does the same."""
        record = self.simple()
        expected = self.good("timing", self.write_records("a.jsonl", [record]))
        blind = self.simple()
        columns = blind["request_fields"]
        for row in blind["requests"]:
            for name in ("presented", "accepted", "done", "resp"):
                row[columns.index(name)] = -1
            row[columns.index("result")] = "none"
            row[columns.index("pa")] = None
        blind["mem_reads"] = []
        blind["requests"][0][columns.index("presented")] = 0
        blind["cycles"] = record["requests"][0][columns.index("done")] + 1
        done = self.call("timing", self.write_records("b.jsonl", [blind]))
        self.assertEqual(done.returncode, 1)
        cycle = record["requests"][0][columns.index("done")]
        self.assertIn(f"in {cycle}\n", done.stdout)
        self.assertEqual(self.closing(expected)[1], 0)

    def test_both_kernels_give_the_same(self):
        chosen = self.write_records("mixed.jsonl", records("throughput")[:4] + records("cmdqueue")[:6]
                                    + records("faults")[:6])
        core = self.call("timing", "--kernel", "core", chosen)
        systemc = self.call("timing", "--kernel", "systemc", chosen)
        self.assertIn(core.returncode, (0, 1), core.stderr)
        self.assertEqual((systemc.returncode, systemc.stdout), (core.returncode, core.stdout), systemc.stderr)

    def test_what_is_left_has_been_touched_by_bugs(self):
        # races: an invalidation of the device context during a walk of its process directory, or in the cycle in
        # which both walkers ask for memory. random_async: a hit whose entry goes in the cycle of its look-up.
        for name, left in (("races", 8), ("random_async", 2)):
            with self.subTest(file=name):
                exact, _, _ = self.closing(self.call("timing", path_of(name)).stdout)
                self.assertGreaterEqual(exact, sum(presented(record) for record in records(name)) - left)

    def test_stale_files_are_exact(self):
        out = self.good("timing", path_of("stale"))
        self.assertEqual(self.closing(out)[1:], (0, 0))

    def test_stale_uses_are_those_known(self):
        def stale(*more):
            out = self.call("timing", "--stale", *more, path_of("stale")).stdout
            return {line.split()[1] for line in out.splitlines() if line.startswith("stale ")}

        self.assertEqual(stale(), set((DATA / "stale_ids.txt").read_text().split()))
        self.assertEqual(stale("--set", "quirks.squash_walks=true"), set())

    def test_filter(self):
        done = self.call("timing", "--filter", "tput/R/sink*", path_of("throughput"))
        wanted = [record for record in records("throughput") if record["id"].startswith("tput/R/sink")]
        self.assertEqual(self.closing(done.stdout)[0], sum(presented(record) for record in wanted))
        self.assertIn("no record matches", self.bad("timing", "--filter", "nothing", path_of("throughput")))

    def test_settings_change_the_hardware(self):
        record = self.write_records("one.jsonl", [self.simple()])
        done = self.call("timing", "--set", "walker.step_cycles=2", record)
        self.assertEqual(done.returncode, 1)
        self.assertGreater(self.closing(done.stdout)[1], 0)
        self.assertIn("unknown key", self.bad("timing", "--set", "walker.stepcycles=2", record))

    def test_default_profile_is_that_of_the_file(self):
        record = self.write_records("one.jsonl", [self.simple()])
        out = self.good("timing", record)
        self.assertEqual(self.good("timing", "--config", ROOT / "configs/profiles/riscv-zdl.yaml", record), out)

    def test_configuration_without_axi_port_is_refused(self):
        error = self.bad("timing", "--config", self.write("plain.yaml", "name: plain\n"),
                         self.write_records("one.jsonl", [self.simple()]))
        self.assertIn("axi.beat_bytes", error)

    def test_unusable_files(self):
        broken = self.simple()
        del broken["ops"]
        for path in (self.folder / "none.jsonl", self.write("empty.jsonl", ""), self.write("x.jsonl", "hello\n"),
                     self.write_records("broken.jsonl", [broken])):
            error = self.bad("timing", path)
            self.assertIn(str(path), error)
        self.assertIn("'ops'", error)
        self.assertIn("tput/R/sink1", error)


if __name__ == "__main__":
    unittest.main()
