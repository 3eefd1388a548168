# SPDX-License-Identifier: Apache-2.0
#
# Layers: core/ and traffic/ are C11 without extensions and know nothing of C++, SystemC or the folders
# above them, so that they can be used without the rest.
import pathlib
import re
import subprocess
import tempfile
import unittest

from support import ROOT

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
ABOVE = {"core": ("traffic/", "models/", "tests/"), "traffic": ("models/", "tests/")}
C_HEADERS = {"assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits", "locale", "math",
             "setjmp", "signal", "stdalign", "stdarg", "stdatomic", "stdbool", "stddef", "stdint", "stdio", "stdlib",
             "stdnoreturn", "string", "tgmath", "threads", "time", "uchar", "wchar", "wctype"}
# Files and processes of the operating system, and compression: trace and log input and output.
MORE_FOR_TRAFFIC = {"zstd", "unistd", "fcntl", "sys/stat", "sys/types", "zdict", "zstd_errors"}


def sources(folder, *endings):
    return sorted(path for ending in endings for path in (ROOT / folder).rglob(f"*{ending}"))


class Boundaries(unittest.TestCase):
    def test_includes(self):
        for folder in ("core", "traffic"):
            allowed = C_HEADERS | (MORE_FOR_TRAFFIC if folder == "traffic" else set())
            for path in sources(folder, ".c", ".h"):
                for kind, name in INCLUDE.findall(path.read_text()):
                    where = f"{path.relative_to(ROOT)} includes {name}"
                    if kind == "<":
                        self.assertIn(name.removesuffix(".h"), allowed, where)
                    else:
                        self.assertFalse(name.startswith(ABOVE[folder]), where)
                        self.assertTrue((ROOT / name).exists(), f"{where}, which is not a path from the root")

    def test_only_c_files(self):
        for folder in ("core", "traffic"):
            self.assertGreater(len(sources(folder, ".c")), 10)
            strange = [path for path in (ROOT / folder).rglob("*")
                       if path.is_file() and path.suffix not in (".c", ".h", ".md")]
            self.assertEqual(strange, [])

    def test_strict_c11(self):
        files = sources("core", ".c") + sources("traffic", ".c")
        with tempfile.TemporaryDirectory() as folder:
            for path in files:
                done = subprocess.run(
                    ["cc", "-std=c11", "-pedantic-errors", "-fsyntax-only", "-I", str(ROOT), str(path)],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, check=False)
                self.assertEqual(done.returncode, 0, f"{path.relative_to(ROOT)}\n{done.stdout}")

    def test_headers_stand_alone(self):
        for path in sources("core", ".h") + sources("traffic", ".h"):
            if path.name.endswith("_internal.h"):
                continue
            for compiler, language, standard in (("cc", "c", "c11"), ("c++", "c++", "c++17")):
                done = subprocess.run(
                    [compiler, f"-std={standard}", "-fsyntax-only", "-x", language, "-I", str(ROOT), "-include",
                     str(path), "/dev/null"],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
                self.assertEqual(done.returncode, 0, f"{path.relative_to(ROOT)} as {standard}\n{done.stdout}")

    def test_no_architecture_outside_its_folder(self):
        for path in sources("core", ".c", ".h"):
            relative = path.relative_to(ROOT)
            if relative.parts[1] == "arch":
                continue
            for _, name in INCLUDE.findall(path.read_text()):
                self.assertFalse(name.startswith("core/arch/"), f"{relative} includes {name}")

    def test_every_file_has_a_license_line(self):
        folders = ["core", "traffic", "models", "tests", "configs", "scripts", "docs"]
        endings = {".c", ".h", ".cpp", ".hpp", ".py", ".sh", ".yaml", ".txt"}
        for path in sorted(p for folder in folders for p in (ROOT / folder).rglob("*")):
            if path.suffix in endings and path.is_file() and "data" not in path.parts and "traces" not in path.parts:
                head = path.read_text(errors="replace")[:300]
                self.assertIn("SPDX-License-Identifier: Apache-2.0", head, path.relative_to(ROOT))


if __name__ == "__main__":
    unittest.main()
