#!/usr/bin/env bash
# usage: run_verdicts.sh LIBRARY PLANTED PLANTED_LSAN TOOL
# The same programs before another judge: valgrind, or LeakSanitizer (PLANTED_LSAN is built with it). Blocks and bytes lost
# must be the same.
library=$1 program=$2 sanitized=$3 tool=$4
. "$(dirname "$0")/common.sh"

by_valgrind() {
    timeout 120 valgrind --leak-check=full --show-leak-kinds=all "$program" "$1" 2>&1 | tr -d , |
        awk '/definitely lost:|indirectly lost:/ { bytes += $4; blocks += $7 } END { print blocks + 0, bytes + 0 }'
}
by_sanitizer() {
    LSAN_OPTIONS=use_unaligned=0:exitcode=0 timeout 60 "$sanitized" "$1" 2>&1 |
        awk '/^Direct leak|^Indirect leak/ { bytes += $4; blocks += $7 } END { print blocks + 0, bytes + 0 }'
}
by_us() {
    run "mode=$2,leaks=1,leaks_file=$dir/leaks" "$program" "$1" > /dev/null
    awk '/^libgcmalloc: .* leaked:/ { blocks = $2; bytes = $5 } END { print blocks + 0, bytes + 0 }' "$dir/leaks"
}

case $tool in
valgrind)
    command -v valgrind > /dev/null || skip "no valgrind"
    judge=by_valgrind
    ;;
lsan)
    [ -x "$sanitized" ] || skip "the compiler has no -fsanitize=leak"
    judge=by_sanitizer
    ;;
esac
# A judge that cannot see the plainest leak (a debugger, a filter, a kernel without ptrace) is no judge.
[ "$($judge direct)" = "3 300" ] || skip "$tool does not work here: $($judge direct)"
for kind in direct indirect cyclic none freed handed grown thread; do
    for mode in report reclaim; do
        theirs=$($judge $kind) ours=$(by_us $kind $mode)
        echo "$kind $mode: $tool $theirs, ours $ours"
        [ "$theirs" = "$ours" ] || bad "$kind $mode"
    done
done
finish
