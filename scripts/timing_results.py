# SPDX-License-Identifier: Apache-2.0
#
# Table and plot of docs/timing.md. Called by scripts/timing-results.sh with the folder that holds what
# `iommu-sim timing` wrote: core.json (all files), core.csv (their requests), squashed.json (stale.jsonl.zst with
# quirks.squash_walks=true). Standard library only, so that a test can compare the documents everywhere.
import csv
import json
import pathlib
import sys

import timing_plot

DATA = pathlib.Path(__file__).resolve().parents[1] / "tests/data/rtl-timing"
# From the simple to the wild.
ORDER = ["latency", "throughput", "replacement", "cmdqueue", "faults", "random_plain", "random_inval", "stale",
         "races", "random_async"]
KINDS = ["commands", "fault_records", "operations"]


def name_of(path):
    return pathlib.Path(path).name.removesuffix(".jsonl.zst")


def rank(name):
    """Files that are not known here come last."""
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def load(folder, name):
    """Results by file."""
    document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    files = {name_of(file["file"]): file for file in document["files"]}
    return {key: files[key] for key in sorted(files, key=rank)}


def both(count):
    """Exact ones, and how many are off if any."""
    if sum(count.values()) == 0:
        return "-"
    return f"{count['exact']:,}" + (f", {count['off']:,} off" if count["off"] else "")


def added(counts):
    counts = list(counts)
    return {key: sum(count[key] for count in counts) for key in ("exact", "off")}


def row(label, records, requests, error, kinds):
    cells = [label, f"{records:,}", f"{sum(requests.values()):,}", f"{requests['exact']:,}", f"{requests['off']:,}",
             f"{error:,}", *(both(count) for count in kinds)]
    return "| " + " | ".join(cells) + " |"


def table(files):
    lines = ["| file | records | requests | exact | off | largest error, cycles | commands | fault records "
             "| operations |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for name, file in files.items():
        lines.append(row(name, sum(file["records"].values()), file["requests"], file["max_error_cycles"],
                         [file[kind] for kind in KINDS]))
    lines.append(row("**all**", sum(sum(file["records"].values()) for file in files.values()),
                     added(file["requests"] for file in files.values()),
                     max(file["max_error_cycles"] for file in files.values()),
                     [added(file[kind] for file in files.values()) for kind in KINDS]))
    return lines


def uncounted(requests):
    """Where the hardware hangs, what would have come next says nothing."""
    counts = {}
    for request in requests:
        if request["verdict"] == "uncounted":
            name = name_of(request["file"])
            counts[name] = counts.get(name, 0) + 1
    if not counts:
        return []
    files = ", ".join(f"{counts[name]:,} in {name}" for name in sorted(counts, key=rank))
    return ["", f"Never presented, because the hardware hung before, and so not counted: {files}."]


def stale(files, squashed):
    known = set((DATA / "stale_ids.txt").read_text(encoding="utf-8").split())
    found = {entry["record"] for entry in files["stale"]["stale"]}
    if found == known:
        verdict = f"in {len(found)} records, those of `stale_ids.txt`"
    else:
        verdict = (f"in {len(found)} records; of the {len(known)} of `stale_ids.txt` {len(known - found)} are missing, "
                   f"{len(found - known)} are not among them")
    left = len(squashed["stale"]["stale"])
    others = sum(len(file["stale"]) for name, file in files.items() if name != "stale")
    return ["", f"Stale translations used in stale: {verdict}; with `quirks.squash_walks=true` "
            + (f"in {left} records. " if left else "in none. ")
            + f"In the other files: {others if others else 'none'}."]


def main(folder, plot=None):
    folder = pathlib.Path(folder)
    files = load(folder, "core")
    with open(folder / "core.csv", encoding="utf-8", newline="") as table_file:
        requests = list(csv.DictReader(table_file))
    for line in table(files) + uncounted(requests) + stale(files, load(folder, "squashed")):
        print(line)
    if plot:
        drawing = timing_plot.draw([(name, [r for r in requests if name_of(r["file"]) == name]) for name in files])
        pathlib.Path(plot).write_text(drawing, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
