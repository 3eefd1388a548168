#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds everything and runs all tests.
#
#   scripts/test.sh                 development build (assertions, warnings are errors) with all tests,
#                                   and the command line tests on the optimised build
#   scripts/test.sh --sanitizers    the same tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   further arguments go to ctest, e.g. scripts/test.sh -R cache
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

sanitizers=false
if [ "${1:-}" = --sanitizers ]; then
    sanitizers=true
    shift
fi
"$root/scripts/setup.sh"
if $sanitizers; then
    build asan
    tests asan -LE compilers "$@"
else
    build release iommu-sim
    build dev
    tests dev "$@"
    # Unit tests do not depend on optimisation; what a user gets to see might.
    tests release -L cli "$@"
fi
