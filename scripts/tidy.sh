#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs clang-tidy over the C and C++ files of the development build, or over those given.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v clang-tidy >/dev/null || die "clang-tidy is missing; run scripts/setup.sh"
files=()
for file in "$@"; do
    files+=("$(realpath -- "$file")") || die "$file: no such file"
done
cd "$root"
cmake --preset dev >/dev/null
if [ ${#files[@]} -eq 0 ]; then
    mapfile -d '' files < <(find core traffic models -type f \( -name '*.c' -o -name '*.cpp' \) -print0 | sort -z)
fi
say "${#files[@]} files"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$jobs" clang-tidy -p build/dev --quiet >"$log" 2>/dev/null; then
    cat "$log"
    say "clang-tidy has findings"
    exit 1
fi
say "clean"
