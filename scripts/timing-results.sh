#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How exact is the program? Plays all records of tests/data/rtl-timing with both kernels, fails if they differ in
# a byte, and prints the table of docs/timing.md.
#
#   scripts/timing-results.sh [PROGRAM] [--plot FILE.svg] [--quick]
#
# PROGRAM       default: build/release/iommu-sim, built first
# --plot FILE   also draws simulated against recorded latencies
# --quick       core kernel only
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

program="" plot="" kernels=(core systemc)
while [ $# -gt 0 ]; do
    case "$1" in
    --plot)
        plot=$(realpath -- "${2:?--plot needs a file}")
        shift
        ;;
    --quick) kernels=(core) ;;
    -*) die "$1: unknown option; see the top of $0" ;;
    *) program=$(realpath -- "$1") ;;
    esac
    shift
done
if [ -z "$program" ]; then
    "$root/scripts/build.sh" >&2
    program=$root/build/release/iommu-sim
fi
cd "$root"
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# play NAME ARGUMENT...: requests that differ (exit status 1) are results, too.
play() {
    local name=$1
    shift
    "$program" timing --json "$temporary/$name.json" "$@" >"$temporary/$name.txt" || [ $? -eq 1 ] ||
        die "iommu-sim timing failed"
}
for kernel in "${kernels[@]}"; do
    play "$kernel" --kernel "$kernel" --stale --max-failures 0 --requests "$temporary/$kernel.csv" \
        tests/data/rtl-timing/*.jsonl.zst
    for output in txt csv; do
        cmp -- "$temporary/core.$output" "$temporary/$kernel.$output" >&2 || die "the kernels differ"
    done
done
play squashed --set quirks.squash_walks=true tests/data/rtl-timing/stale.jsonl.zst
/usr/bin/python3 -B scripts/timing_results.py "$temporary" ${plot:+"$plot"}
