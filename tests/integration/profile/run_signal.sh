#!/usr/bin/env bash
# usage: run_signal.sh LIBRARY PLANTED
# A program that never exits writes its reports when the signal comes, each time.
library=$1 program=$2
. "$(dirname "$0")/common.sh"

# wait_for COMMAND ... : at most a minute
wait_for() {
    for _ in $(seq 600); do
        "$@" && return
        sleep 0.1
    done
    return 1
}
ends_whole() { [ -s "$1" ] && grep -q '^libgcmalloc: 3 blocks with 300 bytes leaked' "$1"; }
has_maps() { grep -q "$(basename "$program")\$" "$1" 2> /dev/null; }

GCMALLOC="leaks=1,profile_file=$dir/heap,leaks_file=$dir/leaks,signal=usr2" LD_PRELOAD=$library "$program" wait > "$dir/out" &
pid=$!
wait_for grep -q planted "$dir/out" || bad "the program did not start"
[ ! -e "$dir/leaks" ] || bad "a report before the signal"
for round in 1 2; do
    kill -USR2 $pid
    wait_for ends_whole "$dir/leaks" || bad "round $round: $(cat "$dir/leaks")"
    wait_for has_maps "$dir/heap" || bad "round $round: no profile"
    rm -f "$dir/leaks" "$dir/heap"
done
kill -0 $pid || bad "the program has ended"
kill $pid
wait $pid
[ $? = 143 ] || bad "it did not end by our signal"
finish
