#!/usr/bin/env bash
# usage: run_trace.sh LIBRARY PLANTED
# alloctrace=1: a line for each allocation and each free, whose sites resolve.
library=$1 program=$2
. "$(dirname "$0")/common.sh"

run "alloctrace=1,alloctrace_file=$dir/trace" "$program" none > /dev/null
# Each line is of the documented form, each free ends a live block of the same site, and each site was told before.
awk '
    $1 == "site" && NF >= 3 { told[$2] = 1; next }
    $1 == "alloc" && NF == 7 && $4 == "thread" && $6 == "site" {
        if (!told[$7]) print "site " $7 " was not told"
        if ($2 in live) print $2 " is allocated twice"
        live[$2] = $7
        if ($3 == 40) n_allocs++
        next
    }
    $1 == "free" && NF == 6 && $3 == "thread" && $5 == "site" {
        if (live[$2] != $6) print $2 " is freed at " $6 ", allocated at " live[$2]
        delete live[$2]
        n_frees++
        next
    }
    { print "what is this: " $0 }
    END { if (n_allocs != 1000 || n_frees < 1000) print n_allocs " allocations of 40 bytes, " n_frees " frees" }
' "$dir/trace" > "$dir/complaints"
[ ! -s "$dir/complaints" ] || bad "$(head -5 "$dir/complaints")"
site=$(awk '$1 == "alloc" && $3 == 40 { print $7; exit }' "$dir/trace")
place=$(awk -v s="$site" '$1 == "site" && $2 == s { print $4; exit }' "$dir/trace")
addr2line -f -e "${place%+*}" "${place##*+}" | head -1 | grep -qx plant_none || bad "site $site: $place"

# Without a file it goes to stderr.
run alloctrace=1 "$program" none 2>&1 > /dev/null | grep -q '^free 0x' || bad "stderr"
finish
