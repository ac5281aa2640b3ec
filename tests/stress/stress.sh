#!/bin/bash
# usage: stress.sh LIBRARY PROGRAM MODULE SECONDS [SEED]
# Runs the random tester for that long under one set of options after the other, with new seeds; stops at the first
# failure and prints how to run it again. LIBRARY may be empty: then without preload (a program with us built in).
set -u
library=$1 program=$2 module=$3 seconds=$4 seed=${5-}
sets=("" "concurrent=always,percent=10,floor=1M" "quarantine=yes,floor=1M" "stress=200" "check=yes,stress=2000" "percent=10,floor=1M"
    "mode=report,floor=4M" "mode=off" "floor=4M,markers=4" "quarantine=yes,stress=500,check=yes")
shapes=("GCM_THREADS=4" "GCM_THREADS=1 GCM_FORKS=0 GCM_SIGNALS=0" "GCM_THREADS=16 GCM_OPS=3000" "GCM_THREADS=2 GCM_OPS=200000")
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
ulimit -c 0
each=$((seconds / ${#sets[@]}))
[ "$each" -ge 2 ] || each=2
[ "$each" -le 60 ] || each=60
end=$((SECONDS + seconds)) run=0
while [ "$SECONDS" -lt "$end" ]; do
    options=${sets[$((run % ${#sets[@]}))]}
    read -ra shape <<<"${shapes[$(((run / 2) % ${#shapes[@]}))]}"
    this=${seed:-$((RANDOM * 32768 + RANDOM))}
    words=("${shape[@]}" GCM_SEED="$this" GCM_SECONDS="$each" GCM_MODULE="$module" GCMALLOC="$options")
    [ -z "$library" ] || words+=(LD_PRELOAD="$library")
    timeout -k 10 $((each * 10 + 120)) env "${words[@]}" "$program" >"$out" 2>&1
    status=$?
    echo "$run: ${words[*]}: $(tail -n 1 "$out")"
    if [ "$status" -ne 0 ] || [ "$(wc -l <"$out")" -ne 2 ]; then
        echo "FAILED, status $status; again: env ${words[*]} $program"
        head -c 3000 "$out"
        exit 1
    fi
    run=$((run + 1))
done
