# SPDX-License-Identifier: Apache-2.0
#
# The records in tests/data/rtl-timing, read without the program.
import json
import subprocess

from support import ROOT

DATA = ROOT / "tests/data/rtl-timing"


def path_of(name):
    return DATA / f"{name}.jsonl.zst"


def records(name):
    """The records of a file."""
    text = subprocess.run(["zstd", "-dc", str(path_of(name))], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [json.loads(line) for line in text.splitlines()]
