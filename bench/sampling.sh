#!/bin/bash
# What sampling costs programs that people run: instructions with profile=on against profile=off, counted by valgrind's callgrind,
# so the figures do not depend on what else the machine does. usage: bench/sampling.sh [LIBRARY] [profile's value]
# A program that is missing is left out. The programs of `run --programs macro` do nothing but allocate: the last lines are theirs.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library=$(realpath "${1:-$here/../build/libgcmalloc.so}")
rate=${2:-on}
macro=$(dirname "$library")/bench/macro
command -v valgrind >/dev/null || { echo 'sampling.sh: valgrind is needed' >&2; exit 2; }

count() { # count VALUE COMMAND ...
    GCMALLOC=profile=$1 LD_PRELOAD=$library valgrind --tool=callgrind --callgrind-out-file=/dev/null "${@:2}" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

compare() { # compare NAME COMMAND ...
    command -v "$2" >/dev/null || return 0
    awk -v name="$1" -v off="$(count off "${@:2}")" -v on="$(count "$rate" "${@:2}")" \
        'BEGIN { printf "%-12s %12d %12d  %+.2f %%\n", name, off, on, 100 * (on - off) / off }'
}

printf '%-12s %12s %12s\n' program off "$rate"
compare sqlite3 sqlite3 :memory: "create table t(a, b);
    with recursive c(x) as (select 1 union all select x + 1 from c where x < 60000) insert into t select x, hex(x * 7919) || x from c;
    create index i on t(b); select count(*) from t where b > '5'; select sum(length(b)) from t group by a % 10;"
compare perl perl -e 'my %h; for my $i (1 .. 150000) { $h{$i % 5000} = "v$i"; push @{$h{"l" . $i % 100}}, $i if $i % 3 == 0 }'
compare gawk gawk 'BEGIN { for (i = 0; i < 200000; i++) a[i % 5000] = i "x" i }'
compare lua lua5.4 -e 'local t = {} for i = 1, 200000 do t[i % 1000] = {x = i, s = "k" .. i} end'
for program in maps short strings expression mixed; do
    compare $program "$macro/$program" 1
done
