# SPDX-License-Identifier: Apache-2.0
#
# Command lines: help, version, and what is said about lines that cannot be used.
import unittest

from support import ProgramTest

COMMANDS = ["run", "check", "dump-config", "verify", "trace", "docs"]


class Arguments(ProgramTest):
    def test_help_of_every_command_shows_an_example(self):
        for command in [[], *[[name] for name in COMMANDS]]:
            text = self.good(*command, "--help")
            self.assertIn("Usage:", text)
            self.assertRegex(text, r"iommu-sim \w+", command)
            if command != ["trace"]:  # its own subcommands have them
                self.assertIn("Example", text, command)
            self.assertTrue(text.endswith("\n"))

    def test_help_lists_all_commands(self):
        text = self.good("--help")
        for command in COMMANDS:
            self.assertRegex(text, rf"(?m)^  {command} ")

    def test_version(self):
        self.assertRegex(self.good("--version"), r"^iommu-sim \d+\.\d+\.\d+\n$")

    def test_unusable_lines(self):
        for line, message in [
            ([], "iommu-sim: no command given; commands: run, check"),
            (["rnu"], "iommu-sim: unknown command 'rnu' (did you mean run?); see `iommu-sim --help`"),
            (["chekc", "x"], "unknown command 'chekc' (did you mean check?)"),
            (["zzzzzz"], "unknown command 'zzzzzz'; commands: run, check"),
            (["--versoin"], "unknown option '--versoin' (did you mean --version?)"),
            (["run"], "CONFIG is required; see `iommu-sim run --help`"),
            (["run", "a", "--kernal", "core"], "unknown option '--kernal' (did you mean --kernel?)"),
            (["run", "a", "--kernel=corr"], "corr not in {core,systemc}"),
            (["run", "a", "--kernel"], "--kernel"),
            (["run", "a", "b"], "not expected: b"),
            (["run", "a", "--progress", "maybe"], "maybe not in {auto,on,off}"),
            (["check", "a", "--ste", "b=1"], "unknown option '--ste' (did you mean --set?)"),
            (["docs"], "DOCUMENT is required"),
            (["docs", "config"], "config not in {configuration,statistics}"),
            (["dump-config"], "CONFIG is required; see `iommu-sim dump-config --help`"),
        ]:
            error = self.bad(*line)
            self.assertIn(message, error, line)
            self.assertEqual(error.count("\n"), 1, "one message")
            self.assertTrue(error.startswith("iommu-sim: "))


if __name__ == "__main__":
    unittest.main()
