# SPDX-License-Identifier: Apache-2.0
#
# The command `scenario`: all scenarios are as expected with both kernels, wrong expectations fail and are
# named, bad input is refused, docs/scenarios.md is up to date.
import json
import unittest

from support import ROOT, ProgramTest

SCENARIOS = ROOT / "configs/scenarios"
A1 = (SCENARIOS / "A1-legacy-context-change.yaml").read_text()


class ScenarioTest(ProgramTest):
    def test_all_as_expected(self):
        text = self.good("scenario", "run", "all")
        last = text.splitlines()[-1]
        self.assertRegex(last, r"^\d+ passed, 0 failed$")
        listed = self.good("scenario", "list").splitlines()[2:]
        variants = sum(len(line.split("  ")[-1].split()) for line in listed)
        self.assertEqual(int(last.split()[0]), variants)

    def test_group_and_ids(self):
        lines = self.good("scenario", "run", "A").splitlines()
        seen = {line.split()[0] for line in lines[:-1]}
        self.assertEqual(seen, {f"A{i}" for i in range(1, 17)})
        lines = self.good("scenario", "run", "E4", "A1").splitlines()
        self.assertEqual({line.split()[0] for line in lines[:-1]}, {"A1", "E4"})

    def test_one_variant(self):
        lines = self.good("scenario", "run", "A1", "--variant", "no_iotlb_flush").splitlines()
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith("A1 no_iotlb_flush: ok"))
        self.assertEqual(lines[1], "1 passed, 0 failed")

    def test_kernels_alike(self):
        results = []
        for kernel in ("core", "systemc"):
            path = self.folder / f"{kernel}.json"
            self.good("scenario", "run", "A1", "A13", "F1", "F6", "E7", "--kernel", kernel, "--json", path)
            results.append(json.loads(path.read_text())["scenarios"])
        self.assertEqual(*results)

    def test_verbose_tells_what_happened(self):
        text = self.good("scenario", "run", "A1", "--variant", "no_iotlb_flush", "--verbose")
        self.assertIn("cpu: dma 'before': read from 0x1000 -> 0x100000", text)
        self.assertIn("tracker: ", text)

    def test_wrong_expectations_fail(self):
        wrong = {
            "  stale: 0\n": ("  stale: 1\n", "stale: expected 1, got 0"),
            "  commands: 3\n": ("  commands: 4\n", "commands: expected 4, got 3"),
            "  commands.context: 1\n": ("  commands.context: 2\n", "commands.context: expected 2, got 1"),
            "  dma.after.address: new_page\n": (
                "  dma.after.address: old_page\n",
                "dma.after.address: expected old_page = 0x100000, got 0x200000",
            ),
        }
        for right, (other, message) in wrong.items():
            with self.subTest(other):
                self.assertEqual(A1.count(right), 1)
                path = self.write("wrong.yaml", A1.replace(right, other))
                done = self.call("scenario", "run", "--file", path)
                self.assertEqual((done.returncode, done.stderr), (1, ""))
                self.assertIn("A1 base: NOT AS EXPECTED", done.stdout)
                self.assertIn("    " + message + "\n", done.stdout)
                self.assertEqual(done.stdout.splitlines()[-1], "4 passed, 1 failed")

    def test_wrong_expectation_of_a_variant(self):
        steps = "remove: [iotlb, iotlb_done]\n    expect: {stale: "
        self.assertEqual(A1.count(steps + "at least 1"), 1)
        text = A1.replace(steps + "at least 1", steps + "0")
        done = self.call("scenario", "run", "--file", self.write("a.yaml", text), "--variant", "no_iotlb_flush")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("stale: expected 0, got ", done.stdout)

    def test_own_folder(self):
        self.write("mine.yaml", A1.replace("id: A1", "id: Z9"))
        self.assertIn("Z9", self.good("scenario", "list", "--dir", self.folder))
        self.assertIn("Z9 base: ok", self.good("scenario", "run", "Z", "--dir", self.folder))

    def test_bad_input(self):
        self.assertIn("did you mean A1", self.bad("scenario", "run", "a1"))
        self.assertIn("there is no scenario or group 'X1'", self.bad("scenario", "run", "X1"))
        self.assertIn("say which", self.bad("scenario", "run"))
        self.assertIn("did you mean no_ats", self.bad("scenario", "run", "A1", "--variant", "no_atss"))
        self.assertIn("cannot open", self.bad("scenario", "run", "--file", self.folder / "none.yaml"))
        self.assertIn("directory", self.bad("scenario", "run", "--file", self.folder))
        self.assertIn("no scenario files", self.bad("scenario", "list", "--dir", self.folder))
        self.bad("scenario")
        self.bad("scenario", "play")

    def test_malformed_files(self):
        for text, message in (
            (A1.replace("iotlb_domain", "iotlb_domian"), "did you mean iotlb_domain?"),
            (A1.replace("  - store:", "  - stroe:"), "unknown operation (did you mean store?)"),
            (A1.replace("  missing: 0\n", "  misssing: 0\n", 1), "there is no figure 'misssing' (did you mean missing?)"),
            (A1.replace("domain: old, iova", "domain: odl, iova", 1), "there is no parameter 'odl' (did you mean old?)"),
            (A1.replace("- attach: {device: nic, domain: old}", "- attach: {device: nic}", 1), "domain: missing"),
            (A1 + "id: A1\n", "id"),
        ):
            with self.subTest(message):
                path = self.write("bad.yaml", text)
                error = self.bad("scenario", "run", "--file", path)
                self.assertIn(message, error)
                self.assertRegex(error, r"bad\.yaml:\d+:\d+: ")

    def test_places_that_are_not_in_the_tables(self):
        path = self.write("bad.yaml", A1.replace("walk_address(nic, 1)", "walk_address(nic, 99)"))
        self.assertIn("the walk makes", self.bad("scenario", "run", "--file", path))

    def test_works_in_any_folder(self):
        self.assertIn("0 failed", self.good("scenario", "run", "A1", cwd=self.folder))

    def test_document_is_up_to_date(self):
        document = (ROOT / "docs/scenarios.md").read_text()
        generated = self.good("scenario", "list", "--markdown")
        begin, end = "<!-- scenarios -->\n\n", "\n<!-- end of scenarios -->"
        self.assertIn(begin, document)
        self.assertEqual(document.split(begin)[1].split(end)[0], generated)

    def test_every_file_is_listed(self):
        self.assertEqual(len(self.good("scenario", "list").splitlines()) - 2, len(list(SCENARIOS.glob("*.yaml"))))


if __name__ == "__main__":
    unittest.main()
