#!/bin/bash
# usage: run_misuse.sh LIBRARY PROGRAM CASE
# The case must die by SIGABRT; its stderr must be exactly one line, and one of the lines that it announced on stdout.
set -u
library=$1 program=$2 case=$3
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
ulimit -c 0

{ timeout 60 env GCMALLOC="${GCM_MISUSE_OPTIONS-}" LD_PRELOAD="$library" "$program" "$case" >"$dir/out" 2>"$dir/err"; } 2>/dev/null
status=$?
fail() {
    printf '%s: %s\nstatus: %s\nexpected:\n%s\nstderr:\n%s\n' "$case" "$1" "$status" "$(cat "$dir/out")" "$(cat "$dir/err")"
    exit 1
}

# timeout dies of the signal of its child: 128 + SIGABRT.
[ "$status" -eq 77 ] && { echo "skipped: the library has no such function"; exit 77; }
[ "$status" -eq 134 ] || fail "did not die by SIGABRT"
[ -s "$dir/out" ] || fail "announced no line"
[ "$(wc -l <"$dir/err")" -eq 1 ] || fail "stderr is not one line"
grep -qxF -f "$dir/out" "$dir/err" || fail "the line is not the one announced"
exit 0
