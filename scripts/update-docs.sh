#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Renews what documents take from the program: docs/configuration.md, docs/statistics.md, and the report
# in README.md (between its markers). tests/cli/docs_test.py checks that they are up to date.
#
#   scripts/update-docs.sh [PROGRAM]        default: build/release/iommu-sim, built first
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [ $# -gt 0 ]; then
    program=$(realpath -- "$1")
else
    "$root/scripts/build.sh"
    program=$root/build/release/iommu-sim
fi
cd "$root"
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
for document in configuration statistics; do
    "$program" docs "$document" >"$temporary/$document.md"
    cp "$temporary/$document.md" "docs/$document.md"
done
"$program" run configs/nvme-linux-trace.yaml | sed -e 's/^\(.\)/    \1/' >"$temporary/report"
awk -v report="$temporary/report" '
    /^<!-- report -->$/ { print; print ""; while ((getline line < report) > 0) print line; print ""; inside = 1; next }
    /^<!-- end of report -->$/ { inside = 0 }
    !inside { print }
' README.md >"$temporary/README.md"
cp "$temporary/README.md" README.md
say "docs/configuration.md, docs/statistics.md and README.md are up to date"
