#!/usr/bin/env bash
# Runs every Fuzz function of the module in turn: .ci/fuzz.sh [TIME EACH]
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=${1:-10s}

# Only packages that have a target are asked for their targets: asking builds and starts the test program.
mapfile -t folders < <(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n 1 dirname | sort -u)
if [ "${#folders[@]}" = 0 ]; then
    echo 'fuzz: no Fuzz function found' >&2
    exit 1
fi
if ! listed=$(go test -list '^Fuzz' "${folders[@]}"); then
    printf '%s\nfuzz: the packages above do not list their targets; make their tests pass first\n' "$listed" >&2
    exit 1
fi
# The list has a package's names first, then "ok <package>".
targets=$(awk '
    /^Fuzz/ { names[++n] = $1 }
    /^ok/   { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }' <<<"$listed")
while read -r package name; do
    echo "fuzz: $name in $package for $fuzztime"
    go test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" "$package" </dev/null
done <<<"$targets"
