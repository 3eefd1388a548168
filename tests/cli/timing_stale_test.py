# SPDX-License-Identifier: Apache-2.0
#
# `iommu-sim timing --stale` against an oracle that has only the record (stale_oracle.py): which requests used a
# translation after its change, an invalidation of it and a drained queue.
import json
import unittest

from stale_oracle import stale_requests
from support import ProgramTest
from timing_records import DATA, path_of, records


class TimingStale(ProgramTest):
    def named(self, path, *more):
        """(record, request) of each line."""
        out = self.call("timing", "--stale", *more, path).stdout
        rows = [line.split() for line in out.splitlines() if line.startswith("stale ")]
        return {(row[1], int(row[3])) for row in rows}

    def oracle(self, chosen):
        return {(record["id"], request) for record in chosen for request in stale_requests(record)}

    def test_those_of_the_sweep(self):
        expected = self.oracle(records("stale"))
        self.assertEqual(self.named(path_of("stale")), expected)
        self.assertEqual({record for record, _ in expected}, set((DATA / "stale_ids.txt").read_text().split()))

    def test_other_files(self):
        """Changes that no command covers, commands that cover others, addresses that come back: none of them counts."""
        for name in ("random_async", "random_inval", "races"):
            with self.subTest(file=name):
                self.assertEqual(self.named(path_of(name)), self.oracle(records(name)))

    def test_hardware_that_stops_walks_has_none(self):
        for name in ("stale", "random_async"):
            for kernel in ("core", "systemc"):
                more = ("--set", "quirks.squash_walks=true", "--kernel", kernel)
                self.assertEqual(self.named(path_of(name), *more), set())

    def test_a_command_for_somebody_else_covers_nothing(self):
        """The same race, but the command names another address space: the old page is used, as software asked for."""
        wanted = (DATA / "stale_ids.txt").read_text().split()[0]
        record = next(record for record in records("stale") if record["id"] == wanted)
        kind, address, value = (record["op_fields"].index(name) for name in ("kind", "addr", "value"))
        queue = int(record["registers"]["cqb_ppn"], 16) << 12
        command = next(row for row in record["ops"] if row[kind] == "mem_write" and int(row[address], 16) == queue)
        pscv = 1 << 32
        self.assertEqual(self.named(self.write("as_is.jsonl", json.dumps(record) + "\n")), self.oracle([record]))
        command[value] = hex((int(command[value], 16) | pscv) ^ 1 << 12)
        path = self.write("other.jsonl", json.dumps(record) + "\n")
        self.assertEqual(self.named(path), set())


if __name__ == "__main__":
    unittest.main()
