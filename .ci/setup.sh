#!/usr/bin/env bash
# Makes a machine ready to build and test Troupe, and says what is missing
# where it cannot. Quick when all is present: no package list is read then.
#
#   .ci/setup.sh          what building, testing and the demo need
#   .ci/setup.sh bench    the same, and the peers that `make bench` measures against
set -euo pipefail

readonly python=/usr/bin/python3 # Debian's own: python3-zmq belongs to it, whatever is first on PATH.
readonly go_minor=26
read -ra cc <<<"${CC:-gcc}" # may carry arguments, e.g. "ccache gcc"

packages=(libc6-dev libzmq3-dev pkg-config python3-zmq)
if [ "${1:-}" = bench ]; then
    packages+=(nats-server wrk python3-ipyparallel)
fi

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

present() {
    case $1 in
        libc6-dev) "${cc[@]}" -E -x c - <<<'#include <stdio.h>' >/dev/null 2>&1 ;; # gcc only recommends it
        libzmq3-dev) pkg-config --exists 'libzmq >= 4.3' 2>/dev/null ;;
        pkg-config) command -v pkg-config >/dev/null ;;
        python3-zmq) "$python" -c 'import zmq' 2>/dev/null ;;
        wrk) command -v wrk >/dev/null ;;
        python3-ipyparallel) "$python" -c 'import ipyparallel' 2>/dev/null ;;
        nats-server) PATH="$PATH:/usr/sbin" command -v nats-server >/dev/null ;;
    esac
}

missing() {
    local package names=()
    for package in "${packages[@]}"; do
        present "$package" || names+=("$package")
    done
    echo "${names[*]}"
}

# Prefix that makes a command run as root, or failure where there is none.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        echo env
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        echo sudo -n env
    else
        return 1
    fi
}

install_packages() {
    local wanted=$1 root
    local remedy="run this once, then try again: sudo apt-get update && sudo apt-get install -y --no-install-recommends $wanted"
    if ! command -v apt-get >/dev/null; then
        fail "missing: $wanted. This is not a Debian-like system; install the libzmq (>= 4.3) headers, pkg-config and pyzmq for $python with its package manager (Debian's names: sudo apt-get install $wanted)"
    fi
    root=$(as_root) || fail "missing: $wanted, and there is neither root nor sudo without a password; $remedy"
    # $root and $wanted are lists of words on purpose.
    # shellcheck disable=SC2086
    $root DEBIAN_FRONTEND=noninteractive apt-get update -q >&2 || fail "apt-get update failed; $remedy"
    # shellcheck disable=SC2086
    $root DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $wanted >&2 ||
        fail "apt-get install failed; $remedy"
}

check_compilers() {
    local version minor
    command -v go >/dev/null || fail "go is not on PATH; install Go 1.$go_minor or later from https://go.dev/dl/"
    version=$(go env GOVERSION)
    minor=${version#go1.}
    minor=${minor%%[!0-9]*}
    if [[ $version == go1.* && ${minor:-0} -lt $go_minor ]]; then
        fail "$version is too old; install Go 1.$go_minor or later from https://go.dev/dl/"
    fi
    command -v "${cc[0]}" >/dev/null ||
        fail "the C compiler ${cc[0]} is not on PATH; run: sudo apt-get install -y gcc"
    if [ "$(go env CGO_ENABLED)" != 1 ]; then
        fail "cgo is off and Troupe binds libzmq through it; run: export CGO_ENABLED=1"
    fi
}

check_compilers
wanted=$(missing)
if [ -n "$wanted" ]; then
    install_packages "$wanted"
    wanted=$(missing)
    [ -z "$wanted" ] || fail "installed, but still not usable: $wanted; see what apt-get printed above"
fi
