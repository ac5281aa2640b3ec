#!/bin/bash
# Instructions and cache misses of macro programs under several allocators, counted by valgrind's cachegrind, which models one core
# with 32 KiB and 1 MiB of cache: the figures hardly change from run to run, where times on a shared machine do by a third. Threads run
# one at a time there, so what they do to each other's caches is not seen. valgrind takes some fifty times as long.
# usage: bench/counted.sh [--scale N] PROGRAM ... -- NAME=LIBRARY ...      (NAME= alone: the system's malloc)
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
macro=$here/../build/bench/macro
scale=1
programs=()
command -v valgrind >/dev/null || { echo 'counted.sh: valgrind is needed' >&2; exit 2; }
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    if [ "$1" = --scale ]; then
        scale=${2:?--scale needs a number}
        shift
    else
        programs+=("$1")
    fi
    shift
done
[ $# -gt 1 ] && [ ${#programs[@]} -gt 0 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
shift

printf '%-16s %-12s %14s %14s %14s\n' program library instructions L1-misses L2-misses
for program in "${programs[@]}"; do
    [ -x "$macro/$program" ] || { echo "counted.sh: there is no $macro/$program" >&2; exit 2; }
    for library in "$@"; do
        preload=${library#*=}
        [ -z "$preload" ] || [ -r "$preload" ] || { echo "counted.sh: there is no $preload" >&2; exit 2; }
        counts=$(valgrind --tool=cachegrind --trace-children=yes --cache-sim=yes --cachegrind-out-file=/dev/null \
            --I1=32768,8,64 --D1=32768,8,64 --LL=1048576,16,64 env LD_PRELOAD="$preload" "$macro/$program" "$scale" 2>&1 >/dev/null) || {
            printf '%-16s %-12s %14s\n' "$program" "${library%%=*}" FAILED # some reserve more addresses than valgrind has
            continue
        }
        awk -v program="$program" -v library="${library%%=*}" '
            { gsub(",", "") }
            / I +refs:/ { instructions = $4 }
            / D1 +misses:/ { first = $4 }
            / LLd misses:/ { last = $4 }
            END { printf "%-16s %-12s %14d %14d %14d\n", program, library, instructions, first, last }' <<< "$counts"
    done
done
