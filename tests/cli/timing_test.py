# SPDX-License-Identifier: Apache-2.0
#
# `iommu-sim timing` on the records in tests/data/rtl-timing: the program must do in each cycle what the hardware
# did, and find out when it does not.
import csv
import json
import os
import re
import unittest

from support import ROOT, ProgramTest
from timing_records import path_of, records

CLOSING = re.compile(r"^(\d+) exact, (\d+) off, max error (\d+) cycles$")
NAMES = ["latency", "throughput", "replacement", "cmdqueue", "faults", "random_plain", "random_inval", "races", "stale",
         "random_async"]


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
        for name in NAMES:
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

    def test_json_counts_each_kind(self):
        """Of the record: commands are reads of the command queue, fault records writes beside it, operations those of
        the list and doorbells."""
        chosen = records("cmdqueue")[:4] + records("faults")[:40] + records("throughput")[:2]
        for record in chosen:
            self.assertIsNone(record["hang"])
        self.good("timing", "--json", self.folder / "out.json", self.write_records("mixed.jsonl", chosen))
        document = json.loads((self.folder / "out.json").read_text())
        file = document["files"][0]

        def rows(kind, test):
            return sum(1 for record in chosen for row in record[kind] if test(row))

        self.assertEqual(file["records"], {"exact": len(chosen), "off": 0})
        self.assertEqual(file["commands"], {"exact": rows("mem_reads", lambda row: row[4] == "cq"), "off": 0})
        self.assertEqual(file["fault_records"],
                         {"exact": rows("mem_writes", lambda row: row[0] == "aw" and row[2] == "fq"), "off": 0})
        self.assertEqual(file["operations"],
                         {"exact": rows("ops", lambda row: row[8] >= 0) + rows("events", lambda row: row[1] == "cqt"),
                          "off": 0})
        for kind in ("commands", "fault_records", "operations"):
            self.assertGreater(file[kind]["exact"], 0)
        self.assertEqual((file["max_error_cycles"], document["max_error_cycles"], document["off"]), (0, 0, 0))

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

    def table(self, *arguments):
        """The table of requests, and the exit status."""
        path = self.folder / "requests.csv"
        done = self.call("timing", "--requests", path, *arguments)
        self.assertEqual(done.stderr, "")
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file)), done.returncode

    def test_both_kernels_give_the_same_if_the_front_end_is_a_module_of_its_own(self):
        """Connections of zero latency keep units in one module. Here an address is lost on its way between two."""
        hops = [argument for hop in ("look_up", "tables", "commands", "records", "control", "spread", "events", "reports")
                for argument in ("--set", f"hops.{hop}.request_cycles=1")]
        tables = [self.table("--kernel", kernel, *hops, "--filter", "rand/async/s3005/F/1LVL/m2", path_of("random_async"))
                  for kernel in ("core", "systemc")]
        self.assertEqual(tables[1], tables[0])
        self.assertIn("0x0", {row["simulated_address"] for row in tables[0][0]})

    def test_table_of_requests_says_what_was_recorded(self):
        chosen = records("throughput")[:3] + [record for name in ("cmdqueue", "faults") for record in records(name)
                                              if record["hang"] or "boundary" in record["id"]]
        path = self.write_records("a, b.jsonl", chosen)
        rows, status = self.table(path)
        self.assertEqual(status, 0)
        expected = []
        for record in chosen:
            for index, row in enumerate(record["requests"]):
                request = dict(zip(record["request_fields"], row))
                result = {"pa": "address"}.get(request["result"], request["result"])
                fields = {"file": path, "record": record["id"], "request": str(index), "recorded_result": result,
                          "recorded_address": request["pa"] or "",
                          "recorded_cause": str(request["cause"]) if request["cause"] and result == "fault" else "",
                          "verdict": "exact" if request["presented"] >= 0 else "uncounted", "why": ""}
                for cycle in ("presented", "accepted", "done"):
                    fields[f"recorded_{cycle}"] = str(request[cycle]) if request[cycle] >= 0 else ""
                fields["recorded_reads"] = str(sum(1 for read in record["mem_reads"]
                                                   if read[8] == index and read[4] != "cq"))
                expected.append(fields)
        self.assertEqual([{key: row[key] for key in expected[0]} for row in rows], expected)
        self.assertIn("uncounted", {row["verdict"] for row in rows})
        self.assertEqual({"address", "fault", "none"}, {row["recorded_result"] for row in rows})
        for row in rows:
            if row["recorded_result"] in ("address", "fault"):
                for column in ("presented", "accepted", "done", "result", "address", "cause", "reads"):
                    self.assertEqual(row[f"simulated_{column}"], row[f"recorded_{column}"], row)

    def test_table_of_requests_says_why(self):
        record = self.simple()
        columns = record["request_fields"]
        record["id"] = 'with "quotes", and commas'
        late = record["requests"][5]
        late[columns.index("done")] += 3
        elsewhere = record["requests"][7]
        elsewhere[columns.index("pa")] = "0x1234000"
        rows, status = self.table(self.write_records("off.jsonl", [record]))
        self.assertEqual(status, 1)
        self.assertEqual({row["record"] for row in rows}, {record["id"]})
        self.assertEqual([int(row["request"]) for row in rows if row["verdict"] == "off"], [5, 7])
        done = late[columns.index("done")]
        self.assertEqual(rows[5]["why"], f"done: expected {done}, got {done - 3}")
        self.assertEqual((rows[5]["recorded_done"], rows[5]["simulated_done"]), (str(done), str(done - 3)))
        self.assertEqual(rows[7]["why"],
                         f"result: expected address 0x1234000, got address {rows[7]['simulated_address']}")
        self.assertEqual({row["why"] for row in rows if row["verdict"] == "exact"}, {""})

    def test_table_of_requests_has_the_records_played(self):
        rows, _ = self.table("--filter", "tput/R/sink*", path_of("throughput"), path_of("faults"))
        wanted = [record for record in records("throughput") if record["id"].startswith("tput/R/sink")]
        self.assertEqual([(row["record"], int(row["request"])) for row in rows],
                         [(record["id"], i) for record in wanted for i in range(len(record["requests"]))])

    def test_table_of_requests_is_the_same_with_both_kernels(self):
        off = self.simple()
        off["requests"][5][off["request_fields"].index("done")] += 1
        chosen = self.write_records("mixed.jsonl", records("faults")[:6] + [off] + [
            record for record in records("cmdqueue") if record["hang"]])
        tables = [self.table("--kernel", kernel, chosen) for kernel in ("core", "systemc")]
        self.assertEqual(tables[1], tables[0])
        self.assertEqual({row["verdict"] for row in tables[0][0]}, {"exact", "off", "uncounted"})

    def test_outputs_appear_whole_or_not_at_all(self):
        record = self.write_records("one.jsonl", [self.simple()])
        broken = self.write("broken.jsonl", json.dumps(self.simple()) + "\nhello\n")
        for option in ("--json", "--requests"):
            for out, words in ((self.folder, "directory"), (self.folder / "none" / "x", "No such file"),
                               ("/dev/full", "No space left on device")):
                done = self.call("timing", option, out, record)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
                self.assertIn(f"timing: {out}: ", done.stderr)
                self.assertIn(words, done.stderr)
                self.assertNotRegex(done.stdout, "(?m)" + CLOSING.pattern)
            old = self.write("old", "as it was")
            for arguments in ([broken], [record, self.folder / "none.jsonl"], ["--filter", "nothing", record]):
                self.assertEqual(self.call("timing", option, old, *arguments).returncode, 2)
                with open(old, encoding="utf-8") as file:
                    self.assertEqual(file.read(), "as it was")
            os.remove(old)
        self.assertEqual(self.files(), ["broken.jsonl", "one.jsonl"])

    def test_unwritable_table_is_found_before_the_work(self):
        self.bad("timing", "--requests", self.folder / "none" / "x", path_of("throughput"))

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
        config = self.write("plain.yaml", "name: plain\n")
        error = self.bad("timing", "--config", config, self.write_records("one.jsonl", [self.simple()]))
        self.assertEqual(error, f"iommu-sim: timing: {config}: axi.beat_bytes: records need an AXI port in front of the "
                                "IOMMU, as configs/profiles/riscv-zdl.yaml has it\n")

    def test_connections_without_latency_that_form_a_loop(self):
        record = self.write_records("one.jsonl", [self.simple()])
        hop = "hops.walks={request_cycles: 0, response_cycles: 0}"
        for kernel in ("core", "systemc"):
            error = self.bad("timing", "--kernel", kernel, "--set", hop, record)
            self.assertRegex(error, r"hops: .*loop; let one of them take a cycle\n$")

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
