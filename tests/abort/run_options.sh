#!/bin/bash
# usage: run_options.sh LIBRARY
# Each bad option in GCMALLOC gives exactly one line on stderr, begins with our name, names the key, and is otherwise
# ignored: output and status of the program are as ever. Good options give no line.
set -u
library=$1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failures=0

fail() {
    printf 'GCMALLOC=%s: %s\nstderr:\n%s\n' "$1" "$2" "$(cat "$dir/err")"
    failures=$((failures + 1))
}

# expect VALUE LINES [WORD]: a program under GCMALLOC=VALUE writes that many lines, each with WORD.
expect() {
    timeout 60 env GCMALLOC="$1" LD_PRELOAD="$library" /bin/echo hello >"$dir/out" 2>"$dir/err"
    local status=$?
    [ "$status" -eq 0 ] || fail "$1" "status $status"
    [ "$(cat "$dir/out")" = hello ] || fail "$1" "stdout changed"
    [ "$(wc -l <"$dir/err")" -eq "$2" ] || fail "$1" "not $2 lines"
    [ "$(grep -c '^libgcmalloc: ' "$dir/err")" -eq "$2" ] || fail "$1" "a line without our name"
    [ $# -lt 3 ] || [ "$2" -eq 0 ] || grep -qF -- "$3" "$dir/err" || fail "$1" "'$3' is not named"
}

expect "" 0
expect "percent=200" 0
expect "mode=off" 0
expect "mode=reclaim,percent=50,floor=16M,stress=100" 0
expect "limit=1G,budget=20" 0

expect "nonsense=1" 1 nonsense
expect "nonsense" 1 nonsense
expect "percent=abc" 1 percent
expect "percent=" 1 percent
expect "percent" 1 percent
expect "percent=12x" 1 percent
expect "mode=sideways" 1 mode
expect "mode=never" 1 mode
expect "stress=-1" 1 stress
expect "limit=99999999999999999999999999" 1 limit
expect "percent=50,nonsense=1,floor=16M" 1 nonsense
expect "nonsense=1,percent=abc" 2 nonsense
expect "nonsense=1,percent=abc" 2 percent

[ "$failures" -eq 0 ]
