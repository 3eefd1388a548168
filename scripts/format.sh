#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Checks that all C and C++ files are formatted as .clang-format says; --fix formats them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v clang-format >/dev/null || die "clang-format is missing; run scripts/setup.sh"
cd "$root"
mapfile -d '' files < <(find core traffic models tests -type f \( -name '*.[ch]' -o -name '*.cpp' -o -name '*.hpp' \) -print0 | sort -z)
[ ${#files[@]} -gt 0 ] || die "no source files found"
if [ "${1:-}" = --fix ]; then
    clang-format -i "${files[@]}"
    say "formatted ${#files[@]} files"
    exit 0
fi
bad=()
for file in "${files[@]}"; do
    clang-format --dry-run -Werror "$file" >/dev/null 2>&1 || bad+=("$file")
done
if [ ${#bad[@]} -gt 0 ]; then
    printf '%s\n' "${bad[@]}"
    say "${#bad[@]} of ${#files[@]} files are not formatted; scripts/format.sh --fix does it"
    exit 1
fi
say "${#files[@]} files are formatted"
