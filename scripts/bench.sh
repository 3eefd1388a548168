#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the optimised benchmarks and runs each. Arguments go to them (Google Benchmark), e.g.
# --benchmark_filter=walk.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$root/scripts/setup.sh"
build release
shopt -s nullglob
benchmarks=("$root"/build/release/bench-*)
[ ${#benchmarks[@]} -gt 0 ] || die "there are no benchmarks (tests/benchmark/)"
for benchmark in "${benchmarks[@]}"; do
    [ -x "$benchmark" ] || continue
    say "${benchmark##*/}"
    "$benchmark" "$@"
done
