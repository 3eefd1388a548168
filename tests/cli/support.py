# SPDX-License-Identifier: Apache-2.0
#
# Helpers of the command line tests: where the program is, how it is called, small configurations.
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.path.abspath(os.environ.get("IOMMU_SIM", ROOT / "build/release/iommu-sim"))
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))

# A second of work at most, in an optimised build far less.
SMALL = """\
name: small
run: {requests: 2000, warmup_requests: 200}
devices:
  - name: nic0
    source_id: "00:04.0"
    generator: {kind: uniform, window_bytes: 1M, request_bytes: 64, read_fraction: 0.5}
"""


def without_run(result):
    """A result document without what depends on machine and moment."""
    return {key: value for key, value in result.items() if key != "run"}


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def call(self, *arguments, stdin=None, **more):
        """Runs the program; its output as text unless stdout is given."""
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        more.setdefault("timeout", 300)
        return subprocess.run(
            [PROGRAM, *map(str, arguments)], input=stdin, text=True, check=False, **more
        )

    def good(self, *arguments, **more):
        """A call that must succeed and say nothing on standard error; returns standard output."""
        done = self.call(*arguments, **more)
        self.assertEqual((done.returncode, done.stderr), (0, ""), f"{arguments}\n{done.stdout}")
        return done.stdout

    def bad(self, *arguments, **more):
        """A call that must end with status 2 and print nothing but an error; returns that."""
        done = self.call(*arguments, **more)
        self.assertEqual(done.returncode, 2, f"{arguments}\n{done.stdout}\n{done.stderr}")
        self.assertIn(done.stdout, ("", None), arguments)
        self.assertNotEqual(done.stderr, "", arguments)
        return done.stderr

    def result(self, *arguments, **more):
        """The result document of a run."""
        return json.loads(self.good("run", *arguments, "--out", "-", **more))

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())
