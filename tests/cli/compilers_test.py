# SPDX-License-Identifier: Apache-2.0
#
# gcc and clang, unoptimised and optimised, give the same result, byte for byte (but for `run`).
import os
import pathlib
import subprocess
import tempfile
import unittest

import support
from support import CONFIGS, ROOT

BUILDS = [("gcc", "g++", "-O0"), ("gcc", "g++", "-O3"), ("clang", "clang++", "-O0"), ("clang", "clang++", "-O3")]


def build(folder, c, cxx, level):
    """A build of the program alone; returns its path."""
    commands = [
        ["cmake", "-S", str(ROOT), "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=None",
         f"-DCMAKE_C_COMPILER={c}", f"-DCMAKE_CXX_COMPILER={cxx}", f"-DCMAKE_C_FLAGS={level}",
         f"-DCMAKE_CXX_FLAGS={level}", "-DIOM_TESTS=OFF", "-DIOM_BENCHMARKS=OFF"],
        ["cmake", "--build", folder, "-j", str(os.cpu_count() or 2), "--target", "iommu-sim"],
    ]
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout[-4000:]}")
    return str(pathlib.Path(folder) / "iommu-sim")


def document(program, config):
    """The result up to `run`, which comes last."""
    command = [program, "run", str(config), "--requests", "20000", "--set", "run.warmup_requests=2000", "--out", "-"]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return text[: text.rindex('\n  "run": {')]


class Compilers(unittest.TestCase):
    def test_same_bytes(self):
        expected = {config: document(support.PROGRAM, config) for config in CONFIGS}
        for c, cxx, level in BUILDS:
            with self.subTest(compiler=c, level=level), tempfile.TemporaryDirectory() as folder:
                program = build(folder, c, cxx, level)
                for config in CONFIGS:
                    self.assertEqual(document(program, config), expected[config], config.name)


if __name__ == "__main__":
    unittest.main()
