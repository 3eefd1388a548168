#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds everything and runs the tests.
#
#   scripts/test.sh                 development build (assertions, warnings are errors) with all tests,
#                                   and the command line tests on the optimised build
#   scripts/test.sh --compilers     builds the program with gcc and clang, and compares results
#   scripts/test.sh --sanitizers    unit, engine and conformance tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   further arguments go to ctest, e.g. scripts/test.sh -R cache
#
# Continuous integration (.ci/run) does all three.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

kind=all
case "${1:-}" in
--compilers | --sanitizers)
    kind=${1#--}
    shift
    ;;
esac
"$root/scripts/setup.sh"
case $kind in
compilers)
    build dev iommu-sim
    tests dev -L compilers "$@"
    ;;
sanitizers)
    build asan
    # The command line tests run the program hundreds of times and belong to the builds users get.
    tests asan -LE 'compilers|cli' "$@"
    ;;
all)
    build release iommu-sim
    build dev
    tests dev -LE compilers "$@"
    # Unit tests do not depend on optimisation; what a user gets to see might.
    # With a filter there may be none of those.
    [ $# -eq 0 ] || set -- --no-tests=ignore "$@"
    tests release -L cli "$@"
    ;;
esac
