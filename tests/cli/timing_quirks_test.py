# SPDX-License-Identifier: Apache-2.0
#
# What the recorded hardware does wrong is a named switch each, which its profile turns on. Turned off one by one,
# exactly the requests must differ that the description of the records (tests/data/rtl-timing/README.md, section 4)
# says that behaviour has touched. The numbers for whole random files come from a model of that hardware written
# apart from this program.
import csv
import re
import unittest

from support import ProgramTest
from timing_records import path_of

# switch, file, requests that differ: their number, or how many in which groups of records (id without latency).
SWITCHES = [
    # 1: an invalidation in the cycle of a fill drops it, whatever it covers; the walk is never begun again.
    ("quirks.invalidation_drops_fill", "cmdqueue", {"cq/interf_miss/n32": 1}),
    ("quirks.walks_on_edge", "stale", {"stale/S1S2": 5, "stale/S1": 4}),
    # 3: the walk goes on with what is left of its context.
    ("quirks.live_context", "races", {"race/DDT_s1": 42, "race/DDT_nested": 36, "race/PDT_s1": 38}),
    # 4: the walk of the process directory is begun again while its fault is being answered.
    ("quirks.walks_when_answered", "latency", 460),
    # 6: small first-stage pages in large second-stage pages.
    ("riscv.quirks.superpage_address", "latency", 70),
    ("riscv.quirks.superpage_address", "random_plain", 1550),
    ("riscv.quirks.superpage_address", "random_inval", 1299),
    ("riscv.quirks.superpage_address", "random_async", 503),
    # 7: records that come close together are lost, and so the queue is full less often.
    ("quirks.writing_drops_reports", "random_plain", 3924),
    ("quirks.writing_drops_reports", "random_inval", 1857),
    # 8: full is tail = head - 1 in 32 bits.
    ("riscv.quirks.fault_queue_full_32bit", "faults", {"fault/fq4_head1_8faults": 1}),
    # 9: D, and the upper bits of an address.
    ("riscv.quirks.dirty_not_rechecked", "faults", {"fault/D_clear_read_then_write_hit": 4}),
    ("riscv.quirks.upper_address_ignored", "faults", {"fault/noncanonical_iova": 4, "fault/s1_l2_invalid": 4}),
    # 10, 11, 12
    ("riscv.quirks.narrow_device_ids", "faults", {"fault/did_too_wide_1LVL": 4}),
    ("riscv.quirks.bypass_beats_refusal", "random_inval", {"rand/inval/s2025/B/2LVL": 1}),
    ("quirks.boundary_inclusive", "random_plain", 474),
    ("quirks.boundary_inclusive", "random_inval", 308),
    # Not listed there, but in the data:
    ("quirks.address_at_handshake", "random_async", {"rand/async/s3002/C/1LVL": 1, "rand/async/s3013/B/3LVL": 1}),
    ("quirks.full_queue_loses_record", "throughput", {"tput/fault_hit": 17}),
    ("riscv.quirks.execute_only_refused", "faults", {"fault/X_only_exec": 4}),
    ("riscv.quirks.fetch_as_read", "faults", {"fault/X_only_exec": 4, "fault/exec_X0_hit": 4}),
]


class TimingQuirks(ProgramTest):
    def differing(self, switch, name):
        """How many requests differ in which groups of records."""
        path = self.folder / "requests.csv"
        self.call("timing", "--set", f"{switch}=false", "--requests", path, path_of(name))
        groups = {}
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["verdict"] == "off":
                    group = re.sub(r"/m\d+.*", "", row["record"])
                    groups[group] = groups.get(group, 0) + 1
        return groups

    def test_each_switch_off_touches_its_requests_only(self):
        for switch, name, expected in SWITCHES:
            with self.subTest(switch=switch, file=name):
                groups = self.differing(switch, name)
                self.assertEqual(groups if isinstance(expected, dict) else sum(groups.values()), expected)

    def test_head_waits_for_a_status_write(self):
        """13: only commands move, requests do not see it."""
        done = self.call("timing", "--set", "quirks.head_passes_waits=false", path_of("cmdqueue"))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"requests: 4239 exact, 0 off, commands: \d+ exact, [1-9]\d* off")

    def test_process_directory_is_translated_where_it_should(self):
        """5: all that pass through a second stage to their process directory, in every other file none."""
        groups = self.differing("riscv.quirks.process_directory_untranslated", "races")
        self.assertEqual(groups, {"race/DDT_pdt_nested": 840})
        self.assertEqual(self.differing("riscv.quirks.process_directory_untranslated", "throughput"), {})

    def test_every_switch_at_once(self):
        """A machine without them is another machine, but a working one: nothing hangs."""
        off = [argument for switch in sorted({switch for switch, _, _ in SWITCHES})
               for argument in ("--set", f"{switch}=false")]
        path = self.folder / "requests.csv"
        for name in ("cmdqueue", "races", "stale", "random_async"):
            done = self.call("timing", *off, "--requests", path, path_of(name))
            self.assertEqual((done.returncode, done.stderr), (1, ""))
            with open(path, newline="", encoding="utf-8") as file:
                hangs = [row for row in csv.DictReader(file)
                         if row["verdict"] != "uncounted" and row["simulated_result"] == "none"
                         and row["recorded_result"] != "none"]
            self.assertEqual(hangs, [])


if __name__ == "__main__":
    unittest.main()
