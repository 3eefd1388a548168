# SPDX-License-Identifier: Apache-2.0
#
# Generated documents are up to date, and the statistics document has every statistic that a result
# file can have.
import re
import subprocess
import unittest

from support import CONFIGS, PROGRAM, ROOT, ProgramTest


class Docs(ProgramTest):
    def test_committed_documents_are_what_the_program_prints(self):
        for name in ("configuration", "statistics"):
            committed = (ROOT / "docs" / f"{name}.md").read_text()
            self.assertEqual(self.good("docs", name), committed,
                             "run: scripts/update-docs.sh")

    def test_report_in_the_readme_is_what_the_program_prints(self):
        text = (ROOT / "README.md").read_text()
        shown = text.split("<!-- report -->\n\n")[1].split("\n<!-- end of report -->")[0]
        report = self.good("run", "configs/nvme-linux-trace.yaml", cwd=ROOT)
        indented = "".join("    " + line if line.strip() else line for line in report.splitlines(keepends=True))
        self.assertEqual(shown, indented, "run: scripts/update-docs.sh")

    def test_results_of_timing_are_what_the_program_gives(self):
        plot = self.folder / "timing.svg"
        done = subprocess.run([ROOT / "scripts/timing-results.sh", PROGRAM, "--quick", "--plot", plot],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        text = (ROOT / "docs/timing.md").read_text()
        shown = text.split("<!-- timing -->\n\n")[1].split("\n<!-- end of timing -->")[0]
        self.assertEqual(shown, done.stdout, "run: scripts/update-docs.sh")
        self.assertTrue(plot.read_bytes() == (ROOT / "docs/timing.svg").read_bytes(),
                        "docs/timing.svg is out of date; run: scripts/update-docs.sh")

    def test_every_statistic_is_documented(self):
        documented = {}
        groups = []
        for line in self.good("docs", "statistics").splitlines():
            if line.startswith("## "):
                groups = re.findall(r"`(\w+)`", line) or [line[3:]]
            elif row := re.match(r"\| `(\w+)` \|", line):
                for group in groups:
                    documented.setdefault(group, []).append(row[1])
        seen = set()
        for path in CONFIGS:
            result = self.result(path, "--requests", "100", "--set", "run.warmup_requests=0")
            for unit in result["phases"]["region_of_interest"]["statistics"].values():
                for group, statistics in unit.items():
                    self.assertEqual(list(statistics), documented[group], f"{path.name}: {group}")
                    seen.add(group)
            self.assertEqual(list(result["derived"]), documented["Derived values"])
        self.assertEqual(seen, set(documented) - {"Derived values"})

    def test_links_between_documents_lead_somewhere(self):
        for path in [ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")]:
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
                if not target.startswith(("http:", "https:", "mailto:")):
                    self.assertTrue((path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}")


if __name__ == "__main__":
    unittest.main()
