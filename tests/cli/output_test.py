# SPDX-License-Identifier: Apache-2.0
#
# Outputs of `iommu-sim run`: a result file appears whole or not at all, pipes and devices are written
# directly, and what cannot be written is an error.
import json
import os
import pathlib
import signal
import stat
import subprocess
import threading
import time
import unittest

from support import PROGRAM, SMALL, ProgramTest


class Output(ProgramTest):
    def setUp(self):
        super().setUp()
        self.config = self.write("small.yaml", SMALL)

    def test_file_and_report(self):
        out = self.folder / "result.json"
        text = self.good("run", self.config, "--out", out)
        self.assertIn("Traffic", text)
        document = out.read_text()
        self.assertTrue(document.endswith("}\n"))
        self.assertEqual(json.loads(document)["schema"], {"name": "iommu-sim.result", "version": 1})
        self.assertEqual(self.files(), ["result.json", "small.yaml"])

    def test_existing_file_is_replaced_and_keeps_its_permissions(self):
        out = self.write("result.json", "old")
        os.chmod(out, 0o640)
        self.good("run", self.config, "--out", out, "--quiet")
        self.assertTrue(json.loads(pathlib.Path(out).read_text()))
        self.assertEqual(stat.S_IMODE(os.stat(out).st_mode), 0o640)

    def test_standard_output_takes_the_document_alone(self):
        for out in ("-", "/dev/stdout"):
            text = self.good("run", self.config, "--out", out, "--quiet")
            self.assertEqual(json.loads(text)["tool"]["name"], "iommu-sim")
        self.assertEqual(json.loads(self.good("run", self.config, "--out", "-"))["end"]["explanation"], "")

    def test_fifo(self):
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        received = []
        reader = threading.Thread(target=lambda: received.append(fifo.read_text()))
        reader.start()
        self.good("run", self.config, "--out", fifo, "--quiet")
        reader.join(timeout=60)
        self.assertEqual(json.loads(received[0])["schema"]["version"], 1)
        self.assertTrue(stat.S_ISFIFO(os.stat(fifo).st_mode))

    def test_places_that_cannot_be_written(self):
        for out, words in [
            ("/dev/full", "No space left on device"),
            (self.folder, "directory"),
            (self.folder / "none" / "result.json", "No such file"),
        ]:
            error = self.bad("run", self.config, "--out", out)
            self.assertIn(str(out), error)
            self.assertIn(words, error)
        self.assertEqual(self.files(), ["small.yaml"])

    def test_unwritable_target_is_found_before_the_run(self):
        begun = time.monotonic()
        self.bad("run", self.config, "--requests", "1000000000", "--out", self.folder / "none" / "x.json", timeout=30)
        self.assertLess(time.monotonic() - begun, 20)

    def test_full_device_for_text(self):
        for command in (["run", self.config], ["check", self.config], ["dump-config", self.config],
                        ["docs", "statistics"], ["--help"], ["--version"]):
            with open("/dev/full", "w") as full:
                error = self.bad(*command, stdout=full)
            self.assertIn("standard output cannot be written", error)

    def test_reader_that_went_away(self):
        for extra in ([], ["--out", "-"]):
            read_end, write_end = os.pipe()
            os.close(read_end)
            done = subprocess.run([PROGRAM, "run", self.config, *extra], stdout=write_end, stderr=subprocess.PIPE,
                                  text=True, timeout=300, check=False)
            os.close(write_end)
            self.assertEqual(done.returncode, 2)
            self.assertIn("Broken pipe", done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)

    def test_failed_run_leaves_the_old_file(self):
        out = self.write("result.json", "old")
        self.bad("run", self.config, "--set", "run.max_cycles=100", "--out", out)
        self.assertEqual(pathlib.Path(out).read_text(), "old")
        self.assertEqual(self.files(), ["result.json", "small.yaml"])

    def test_interrupted_run_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            out = self.folder / "result.json"
            run = subprocess.Popen([PROGRAM, "run", self.config, "--requests", "100000000000", "--out", str(out)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(1.0)
            self.assertIsNone(run.poll(), "still running")
            run.send_signal(number)
            text, error = run.communicate(timeout=60)
            self.assertEqual((run.returncode, text), (2, ""))
            self.assertEqual(error, "iommu-sim: interrupted; no result was written\n")
            self.assertEqual(self.files(), ["small.yaml"])


if __name__ == "__main__":
    unittest.main()
