#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Measures the simulator: DMA per second and instructions per DMA for 100 % hits, 13 % and 71 % misses,
# under both kernels (tests/benchmark/dma_benchmark.cpp says what is run), and the memory a trace of ten
# million records takes.
#
#   scripts/bench.sh [REQUESTS]      requests per measurement, default 1000000
#
# Times depend on the machine and on what else it does; instructions (counted by valgrind) do not.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

requests=${1:-1000000}
"$root/scripts/setup.sh"
build release dma-benchmark trace-benchmark
benchmark=$root/build/release/dma-benchmark

say "DMA per second, best of 3"
for shape in core systemc3 systemc chained; do
    for case in hits miss13 miss71; do
        "$benchmark" "$case" "$shape" "$requests" 3
    done
done

# Instructions of a run of $3 requests.
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$benchmark" "$1" "$2" "$3" 2>&1 >/dev/null |
        sed -n 's/.*refs: *//p' | tr -d ,
}

say "instructions per DMA (valgrind)"
for shape in core systemc3; do
    for case in hits miss13 miss71; do
        few=$(instructions "$case" "$shape" 20000)
        many=$(instructions "$case" "$shape" 60000)
        printf '%-7s %-9s %6d instructions/DMA\n' "$case" "$shape" $(((many - few) / 40000))
    done
done

say "memory of long traces"
"$root/build/release/trace-benchmark" 10000000
