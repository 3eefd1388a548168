#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What does an unmap cost? Runs configs/unmap-cost.yaml under each policy, without and with a device TLB, and
# prints the figures side by side (docs/unmap-cost.md explains them).
#
#   scripts/unmap-cost.sh [PROGRAM [ARGUMENT...]]    default: build/release/iommu-sim, built first; arguments
#                                                    are passed on to each run (--set ...)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [ $# -gt 0 ]; then
    program=$(realpath -- "$1")
    shift
else
    "$root/scripts/build.sh" >&2
    program=$root/build/release/iommu-sim
fi
cd "$root"
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

ats=(--set "devices[0].device_tlb.entries=64")
variant() {
    local name=$1
    shift
    "$program" run configs/unmap-cost.yaml --quiet --out "$temporary/$name.json" "$@"
}
variant strict "$@"
variant lazy --set driver.policy=lazy "$@"
variant lazy-single --set driver.policy=lazy_single "$@"
variant strict-ats "${ats[@]}" "$@"
variant lazy-ats --set driver.policy=lazy "${ats[@]}" "$@"

/usr/bin/python3 - "$temporary" <<'PYTHON'
import json
import sys

VARIANTS = ["strict", "lazy", "lazy-single", "strict-ats", "lazy-ats"]
ROWS = [
    ("unmap, call to return", "unmap_cycles_mean"),
    ("  driver's own work", "unmap_call_cycles"),
    ("  table write", "unmap_table_cycles"),
    ("  locks", "unmap_lock_cycles"),
    ("  submission", "unmap_submit_cycles"),
    ("  fetch and execution", "unmap_execute_cycles"),
    ("  status write", "unmap_status_cycles"),
    ("  poll", "unmap_poll_cycles"),
    None,
    ("doorbell to decoded", "command_fetch_cycles_mean"),
    ("invalidation in the IOMMU", "invalidation_cycles_mean"),
    ("way to the device and back", "device_invalidation_cycles_mean"),
    ("drain of older DMA", "drain_cycles_mean"),
    None,
    ("invalidations per 1000 unmaps", "invalidations_per_1000_unmaps"),
    ("look-ups stalled, share of time", "lookup_stall_ratio"),
    ("unprotected: gone to reported", "window_cycles_mean"),
    ("unprotected: gone to removed", "unprotected_cycles_mean"),
    None,
    ("map, call to return", "map_cycles_mean"),
    ("walks per 1000 DMA", "walks_per_1000_requests"),
    ("mappings per second, millions", "unmaps_per_second"),
    ("DMA of the drive, mean ns", "dma_latency_mean"),
]


def cell(value, name):
    if value is None:
        return "-"
    if name == "unmaps_per_second":
        value /= 1e6
    return f"{value:,.4f}" if value < 1 and value != 0 else f"{value:,.1f}"


results = {}
for variant in VARIANTS:
    with open(f"{sys.argv[1]}/{variant}.json", encoding="utf-8") as file:
        results[variant] = json.load(file)["derived"]
print(f"{'mean cycles (1 cycle = 1 ns)':34}" + "".join(f"{v:>14}" for v in VARIANTS))
print("-" * (34 + 14 * len(VARIANTS)))
for row in ROWS:
    if row is None:
        print()
        continue
    label, name = row
    print(f"{label:34}" + "".join(f"{cell(results[v][name]['value'], name):>14}" for v in VARIANTS))
PYTHON
