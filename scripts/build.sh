#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the optimised program: build/release/iommu-sim.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$root/scripts/setup.sh"
build release iommu-sim
say "built ${root}/build/release/iommu-sim"
