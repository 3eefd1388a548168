#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures the simulator (tests/benchmark/): DMA per second and instructions per DMA for 100 % hits, 13 %
# and 71 % misses, under both kernels, and speed and memory of a long trace. Takes some minutes.
#
#   scripts/bench.sh [REQUESTS [REPEATS [RECORDS]]]      default: 1000000 requests, best of 3, 10000000 records
#
# Times depend on the machine and on what else it does; instructions (counted by valgrind) do not.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

requests=${1:-1000000}
repeats=${2:-3}
records=${3:-10000000}
"$root/scripts/setup.sh"
build release dma-benchmark trace-benchmark
benchmark=$root/build/release/dma-benchmark

say "DMA per second, best of $repeats"
for load in hits miss13 miss71; do
    for shape in core tracked systemc3 systemc chained; do
        "$benchmark" "$load" "$shape" "$requests" "$repeats"
    done
done

# Instructions of a run of $3 requests.
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$benchmark" "$1" "$2" "$3" 2>&1 >/dev/null |
        sed -n 's/.*refs: *//p' | tr -d ,
}

say "instructions per DMA (valgrind)"
for load in hits miss13 miss71; do
    for shape in core tracked systemc3; do
        few=$(instructions "$load" "$shape" 20000)
        many=$(instructions "$load" "$shape" 60000)
        printf '%-7s %-9s %6d instructions/DMA\n' "$load" "$shape" $(((many - few) / 40000))
    done
done

say "a long trace"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$root/build/release/trace-benchmark" "$records" "$folder/long.iomt"
