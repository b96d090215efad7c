#!/usr/bin/env bash
# Runs every Fuzz function of the module in turn: .ci/fuzz.sh [TIME EACH]
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=${1:-10s}

# `go test -list` prints a package's matching names, then "ok <package>".
targets=$(go test -list '^Fuzz' ./... | awk '
    /^Fuzz/ { names[++n] = $1 }
    /^ok/   { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
if [ -z "$targets" ]; then
    echo 'fuzz: no Fuzz function found' >&2
    exit 1
fi
while read -r package name; do
    echo "fuzz: $name in $package for $fuzztime"
    go test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" "$package" </dev/null
done <<<"$targets"
