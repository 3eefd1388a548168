#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Renews what documents take from the program: docs/configuration.md, docs/statistics.md, the report in
# README.md, and tables in docs/unmap-cost.md, docs/scenarios.md and docs/timing.md (between their markers) with the
# plot docs/timing.svg. Tests in tests/cli check that they are up to date.
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
# insert NAME FILE: what stands between <!-- NAME --> and <!-- end of NAME --> in FILE becomes $temporary/NAME.
insert() {
    awk -v name="$1" -v text="$temporary/$1" '
        $0 == "<!-- " name " -->" { print; print ""; while ((getline line < text) > 0) print line; print ""; inside = 1; next }
        $0 == "<!-- end of " name " -->" { inside = 0 }
        !inside { print }
    ' "$2" >"$temporary/document"
    cp "$temporary/document" "$2"
}
"$program" run configs/nvme-linux-trace.yaml | sed -e 's/^\(.\)/    \1/' >"$temporary/report"
insert report README.md
scripts/unmap-cost.sh "$program" | sed -e 's/^\(.\)/    \1/' >"$temporary/unmap-cost"
insert unmap-cost docs/unmap-cost.md
"$program" scenario list --markdown >"$temporary/scenarios"
insert scenarios docs/scenarios.md
scripts/timing-results.sh "$program" --plot "$temporary/timing.svg" >"$temporary/timing"
insert timing docs/timing.md
cp "$temporary/timing.svg" docs/timing.svg
say "docs/configuration.md, docs/statistics.md, docs/unmap-cost.md, docs/scenarios.md, docs/timing.md and README.md are up to date"
