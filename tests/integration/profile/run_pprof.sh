#!/usr/bin/env bash
# usage: run_pprof.sh LIBRARY PLANTED PLANTED_CXX PROFILE_API
# The real google-pprof reads our profiles and names the planted places with the right shares.
library=$1 program=$2 api=$4
. "$(dirname "$0")/common.sh"
pprof=$(command -v google-pprof || command -v pprof || command -v jeprof) || skip "no google-pprof (Debian: google-perftools)"

# share WHAT FILE FUNCTION : percent of the total that the function and its callees have
share() {
    "$pprof" --text "--$1" "$program" "$2" 2> /dev/null | awk -v f="$3" '$NF == f { print int($5 + 0.5) }'
}
# near GOT WANTED TOLERANCE WHAT
near() {
    [ -n "$1" ] && [ "$1" -ge $(($2 - $3)) ] && [ "$1" -le $(($2 + $3)) ] || bad "$4: '$1', not $2 +- $3"
}

run "profile=1,profile_file=$dir/all" "$program" sites 3000 > /dev/null
near "$(share inuse_space "$dir/all" site_large_share)" 75 2 "every block, in use, large"
near "$(share inuse_space "$dir/all" site_small_share)" 25 2 "every block, in use, small"
near "$(share inuse_objects "$dir/all" site_large_share)" 50 2 "every block, objects"
near "$(share alloc_space "$dir/all" site_large_share)" 33 2 "every block, allocated"
total=$("$pprof" --text --inuse_objects "$program" "$dir/all" 2> /dev/null | sed -n 's/^Total: \([0-9]*\) .*/\1/p')
near "$total" 6000 100 "objects in use"

# Sampled: 400 MB in use in samples of 64 KiB on average; the shares are known within 2 % of each other, the total too.
run "profile=64K,profile_file=$dir/sampled" "$program" sites 1000000 > /dev/null
near "$(share inuse_space "$dir/sampled" site_large_share)" 75 6 "sampled, in use, large"
near "$(share alloc_space "$dir/sampled" site_large_share)" 33 6 "sampled, allocated, large"
total=$("$pprof" --text --inuse_space --show_bytes "$program" "$dir/sampled" 2> /dev/null | sed -n 's/^Total: \([0-9]*\) .*/\1/p')
near $((total / 1000000)) 400 40 "MB in use by samples"
run "profile=on,profile_file=$dir/default" "$program" sites 1000000 > /dev/null
head -1 "$dir/default" | grep -q '@ heap_v2/524288$' || bad "default rate: $(head -1 "$dir/default")"
near "$(share inuse_space "$dir/default" site_large_share)" 75 15 "default rate, in use, large"

# What is unreachable: all of it comes from one place.
"$api" "$dir/unreachable" > /dev/null || bad "profile_api"
near "$("$pprof" --text --inuse_objects "$api" "$dir/unreachable" 2> /dev/null | awk '$NF == "allocate" { print $1 }')" 148 2 \
    "unreachable objects"
total=$("$pprof" --text --inuse_space --show_bytes "$api" "$dir/unreachable" 2> /dev/null | sed -n 's/^Total: \([0-9]*\) .*/\1/p')
near "$((total / 1000))" 148 2 "unreachable, thousand bytes"

# A stripped program: its places are addresses, which the unstripped twin resolves.
strip -o "$dir/planted" "$program"
run "profile=1,profile_file=$dir/stripped" "$dir/planted" sites 3000 > /dev/null
grep -q " $dir/planted\$" "$dir/stripped" || bad "the program is not among the mapped files"
cp "$program" "$dir/planted"
program=$dir/planted
near "$(share inuse_space "$dir/stripped" site_large_share)" 75 2 "stripped"

# Nothing is written, and nothing is said, unless it is asked for.
program=$2
(cd "$dir" && mkdir empty && cd empty && run "" "$program" sites 100 > out 2>&1)
[ "$(ls "$dir/empty")" = out ] && [ "$(cat "$dir/empty/out")" = planted ] || bad "traces of us: $(ls "$dir/empty")"
finish
