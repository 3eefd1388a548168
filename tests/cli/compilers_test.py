# SPDX-License-Identifier: Apache-2.0
#
# gcc and clang, unoptimised and optimised, give the same result, byte for byte (but for `run`).
import os
import subprocess
import unittest

import support
from support import CONFIGS, ROOT

# The program under test is a build of its own; one of each kind besides.
BUILDS = [("clang", "clang++", "-O0"), ("gcc", "g++", "-O3")]


def build(c, cxx, level):
    """Builds the program alone (again only what changed); returns its path."""
    folder = ROOT / "build" / f"compilers-{c}{level}"
    commands = [
        ["cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=None",
         f"-DCMAKE_C_COMPILER={c}", f"-DCMAKE_CXX_COMPILER={cxx}", f"-DCMAKE_C_FLAGS={level}",
         f"-DCMAKE_CXX_FLAGS={level}", "-DIOM_TESTS=OFF", "-DIOM_BENCHMARKS=OFF"],
        ["cmake", "--build", str(folder), "-j", str(os.cpu_count() or 2), "--target", "iommu-sim"],
    ]
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout[-4000:]}")
    return str(folder / "iommu-sim")


def document(program, config):
    """The result up to `run`, which comes last."""
    command = [program, "run", str(config), "--requests", "20000", "--set", "run.warmup_requests=2000", "--out", "-"]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return text[: text.rindex('\n  "run": {')]


class Compilers(unittest.TestCase):
    def test_same_bytes(self):
        expected = {config: document(support.PROGRAM, config) for config in CONFIGS}
        for c, cxx, level in BUILDS:
            with self.subTest(compiler=c, level=level):
                program = build(c, cxx, level)
                for config in CONFIGS:
                    self.assertEqual(document(program, config), expected[config], config.name)


if __name__ == "__main__":
    unittest.main()
