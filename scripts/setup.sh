#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian 12 packages that building and testing need, if any of them is missing. Needs
# root, or sudo, only then. With --check it only says what is missing (exit 1).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

packages=(
    # to build
    g++ cmake ninja-build pkg-config libsystemc-dev libboost-dev libyaml-cpp-dev nlohmann-json3-dev
    libcli11-dev libzstd-dev zstd
    # to test: unit tests, command line tests, the second compiler, format and lint
    libgtest-dev python3 clang clang-format clang-tidy
    # to measure (scripts/bench.sh counts instructions)
    valgrind
)

missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done

if [ ${#missing[@]} -eq 0 ]; then
    say "all packages are installed"
    exit 0
fi
if [ "${1:-}" = --check ]; then
    say "missing: ${missing[*]}"
    exit 1
fi
command -v apt-get >/dev/null || die "no apt-get here; install by hand: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "not root and no sudo; as root run: apt-get install ${missing[*]}"
    as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@"; }

say "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A fresh image has no package lists, and an old list names files that are gone.
for attempt in 1 2; do
    if { apt update && apt install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        say "done"
        exit 0
    fi
    [ "$attempt" = 2 ] || { say "apt-get failed, trying once more"; sleep 5; }
done
tail -n 30 "$log" >&2
die "apt-get could not install ${missing[*]}"
