# SPDX-License-Identifier: Apache-2.0
#
# `iommu-sim verify` on the conformance vectors in tests/data/vectors: all pass, each is played, and
# the closing line and exit status tell.
import re
import subprocess
import unittest

from support import ROOT, ProgramTest

FILES = sorted((ROOT / "tests/data/vectors").glob("*.jsonl.zst"))
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


def vectors_in(path):
    """Counted by hand: a line is a vector, except for empty ones and the header."""
    text = subprocess.run(["zstd", "-dc", str(path)], stdout=subprocess.PIPE, text=True, check=True).stdout
    return sum(1 for line in text.splitlines() if '"steps"' in line)


class Verify(ProgramTest):
    def closing(self, text):
        found = CLOSING.match(text.splitlines()[-1])
        self.assertIsNotNone(found, text[-300:])
        return tuple(int(number or 0) for number in found.groups())

    def test_all_vectors_pass(self):
        for path in FILES:
            with self.subTest(file=path.name):
                done = self.call("verify", path)
                passed, failed, skipped = self.closing(done.stdout)
                self.assertEqual((done.returncode, failed), (0, 0), done.stdout[-2000:])
                self.assertEqual(passed + skipped, vectors_in(path))
                self.assertGreater(passed, 0)

    def test_recorded_families_are_complete(self):
        files = [path for path in FILES if "spec" not in path.name]
        done = self.call("verify", *files)
        # 3 of VT-d and 5 of RISC-V with 200 vectors each, 3 of the RISC-V reference model with 500
        self.assertEqual(self.closing(done.stdout), (8 * 200 + 3 * 500, 0, 0))

    def test_timed_systems_agree(self):
        for kernel in ("core", "systemc"):
            done = self.call("verify", "--kernel", kernel, *FILES)
            passed, failed, _ = self.closing(done.stdout)
            self.assertEqual((done.returncode, failed), (0, 0), done.stdout[-2000:])
            self.assertGreaterEqual(passed, 600)

    def test_all_vectors_pass_with_caches(self):
        """Queue results and the hazard tracker's verdict on every request are part of it."""
        for kernel in ("core", "systemc"):
            done = self.call("verify", "--mode", "cached", "--kernel", kernel, *FILES)
            passed, failed, skipped = self.closing(done.stdout)
            self.assertEqual((done.returncode, failed), (0, 0), done.stdout[-2000:])
            self.assertEqual(passed + skipped, sum(vectors_in(path) for path in FILES))

    def test_cached_mode_needs_caches(self):
        error = self.bad("verify", "--mode", "cached", "--kernel", "functional", FILES[0])
        self.assertIn("no caches", error)

    def test_unusable_files(self):
        for path in (self.folder / "none.jsonl", self.write("empty.jsonl", ""), self.write("x.jsonl", "hello\n")):
            done = self.call("verify", path)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn(str(path), done.stderr)

    def test_the_schema_is_found_out_file_by_file(self):
        files = [ROOT / "tests/data/vectors" / name
                 for name in ("riscv-iommu-00.jsonl.zst", "vtd-legacy.jsonl.zst", "riscv-s.jsonl.zst")]
        done = self.call("verify", *files)
        self.assertEqual(self.closing(done.stdout), (900, 0, 0))

    def test_a_wrong_effect_fails_and_is_named(self):
        path = ROOT / "tests/data/vectors/riscv-iommu-00.jsonl.zst"
        text = subprocess.run(["zstd", "-dc", str(path)], stdout=subprocess.PIPE, text=True, check=True).stdout
        first = text.splitlines()[0]
        spoiled = re.sub(r'"cause": ?21', '"cause": 20', first, count=1)
        self.assertNotEqual(spoiled, first)
        done = self.call("verify", "--kernel", "functional", self.write("spoiled.jsonl", spoiled))
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.closing(done.stdout), (0, 1, 0))
        self.assertRegex(done.stdout, r"spoiled.jsonl:1: vector rvi-000000 step \d+: req ")
        self.assertIn("fault record 0: expected cause 20", done.stdout)

    def test_a_wrong_expectation_fails(self):
        path = ROOT / "tests/data/vectors/vtd-legacy.jsonl.zst"
        text = subprocess.run(["zstd", "-dc", str(path)], stdout=subprocess.PIPE, text=True, check=True).stdout
        spoiled = re.sub(r'"pa": ?"0x([0-9a-f]*)([0-9a-f])"',
                         lambda m: f'"pa": "0x{m[1]}{int(m[2], 16) ^ 1:x}"', text)
        self.assertNotEqual(spoiled, text)
        done = self.call("verify", self.write("spoiled.jsonl", spoiled))
        self.assertEqual(done.returncode, 1)
        self.assertGreater(self.closing(done.stdout)[1], 0)


if __name__ == "__main__":
    unittest.main()
