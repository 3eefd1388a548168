#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the program and runs the main example: NVMe random reads recorded on Linux, replayed through
# an Intel VT-d IOMMU. Prints the report and writes out/nvme-linux-trace.json.
#
#   scripts/run.sh [OPTION of `iommu-sim run`...]        e.g. --set iotlb.entries=16 --kernel systemc
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$root/scripts/build.sh"
mkdir -p "$root/out"
result=$root/out/nvme-linux-trace.json
out=(--out "$result")
case " $* " in
*" --out"*) out=() ;; # the caller's choice
esac
status=0
"$root/build/release/iommu-sim" run "$root/configs/nvme-linux-trace.yaml" "${out[@]}" "$@" || status=$?
if [ "$status" -eq 0 ] && [ ${#out[@]} -gt 0 ]; then
    say "result file: $result"
fi
exit "$status"
