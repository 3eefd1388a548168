# SPDX-License-Identifier: Apache-2.0
#
# Shared by the scripts of this folder (sourced, not run): where the project is, how they speak, how
# they build. Every script works from any directory and may be run again at any time.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
die() {
    printf '%s: error: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# build PRESET [TARGET...]: configures and builds build/PRESET; prints what went wrong, if anything did.
build() {
    local preset=$1
    shift
    local log="$root/build/$preset.log"
    mkdir -p "$root/build"
    say "building build/$preset"
    local targets=()
    [ $# -eq 0 ] || targets=(--target "$@")
    if ! (cd "$root" && cmake --preset "$preset" && cmake --build --preset "$preset" -j "$jobs" "${targets[@]}") \
        >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        die "the build failed; the whole log is $log"
    fi
}

# tests PRESET [CTEST-ARGUMENT...]: runs the tests of build/PRESET.
tests() {
    local preset=$1
    shift
    say "testing build/$preset"
    case " $* " in
    *" --no-tests="*) ;;
    *) set -- --no-tests=error "$@" ;;
    esac
    (cd "$root" && ctest --preset "$preset" -j "$jobs" "$@")
}
