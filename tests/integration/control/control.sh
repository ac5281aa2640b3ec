#!/usr/bin/env bash
# usage: control.sh GCRUN TARGET
# Each request to a process that is idle, busy in the allocator, computing, of several threads, or in another root; who may
# not be asked; and what is left behind: nothing, and no interrupted call.
gcrun=$1 target=$2
. "$(dirname "$0")/common.sh"

for how in idle busy computes threads altstack; do
    start "$gcrun" -- "$target" "$how"
    expect 0 'pauses' "$gcrun" --pid "$pid" stats
    expect 0 '  mappings' "$gcrun" --pid "$pid" report
    expect 0 'gcmalloc: leaks: not recorded' "$gcrun" --pid "$pid" report
    if [ $how = threads ]; then # on a busy machine four threads that live in malloc may not stand in time
        expect 0 'ed: ' "$gcrun" --pid "$pid" collect
    else
        expect 0 'collected: ' "$gcrun" --pid "$pid" collect
        expect 0 ' explicit 3,' "$gcrun" --pid "$pid" stats # the reports' own trials came before
    fi
    finish
done

# Leaks, of a process that records them; its heap stays as it is.
start env GCMALLOC=mode=report "$gcrun" --leaks="$dir/leaks" -- "$target" leaks
for round in 1 2; do
    out=$("$gcrun" --pid "$pid" report) || failed "report, round $round"
    expect_lines "report, round $round" "$out" 'gcmalloc: process' '  mappings' \
        'libgcmalloc: 7 blocks with 700 bytes leaked' 'lost directly' '#0 lose'
done
finish
for how in idle altstack; do
    start "$gcrun" --leaks="$dir/leaks" -- "$target" $how
    expect 0 'gcmalloc: leaks: none' "$gcrun" --pid "$pid" report
    finish
done

# Off is off: the trial of the report says so.
start "$gcrun" -- "$target" idle
expect 0 'collection is off' "$gcrun" --pid "$pid" off
expect 0 'skipped: collection is off' "$gcrun" --pid "$pid" collect
expect 125 'no snapshot: the collection' "$gcrun" --pid "$pid" snapshot
expect 0 '' "$gcrun" --pid "$pid" stats "$dir/stats"
grep -q 'skipped' "$dir/stats" || grep -q 'cycles' "$dir/stats" || failed 'stats into a file'
finish

# Other roots and other process numbers, as in a container.
if unshare --mount --pid --fork true 2>/dev/null; then
    mkdir "$dir/tmp"
    cp -L "$gcrun" "$target" "$(dirname "$gcrun")/libgcmalloc.so.0" "$dir/tmp"
    start unshare --mount --pid --fork --mount-proc bash -c \
        "mount --bind '$dir/tmp' /tmp; exec /tmp/gcrun -- /tmp/${target##*/} idle"
    inner=$(pgrep -P "$pid")
    expect 0 "process 1 (${target##*/})" "$gcrun" --pid "$inner" stats
    [ -z "$(find "$dir/tmp" -name 'gcmalloc-*')" ] || failed 'an answer was left in the container'
    kill -TERM "$inner"
    wait "$pid"
    pid=''
fi

expect 125 'not found' "$gcrun" --pid 99999999 stats
expect 125 'needs the number' "$gcrun" --pid x stats
expect 125 'is followed by' "$gcrun" --pid $$ nonsense
start "$target" idle
expect 125 'does not run under the library' "$gcrun" --pid "$pid" stats
finish
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    cp "$gcrun" "$dir/gcrun" && chmod 755 "$dir" "$dir/gcrun"
    start "$gcrun" -- "$target" idle
    expect 125 'not permitted' setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/gcrun" --pid "$pid" stats
    finish
fi
expect_no_answers_left

# What is written at exit is written once, by the command and not by what it starts.
out=$("$gcrun" --stats -- sh -c 'sh -c true; "$0" -c true; exit 3' sh 2>&1)
[ $? -eq 3 ] || failed 'status of a command with --stats'
n=$(grep -c '^gcmalloc: process' <<<"$out")
[ "$n" -le 1 ] || failed "--stats spoke $n times"
: >"$dir/out"
"$gcrun" --stats="$dir/stats.%p" --doctor -- "$target" doctor >"$dir/out" 2>&1 &
pid=$!
while ! grep -q ready "$dir/out"; do sleep 0.05; done
finish
cat "$dir"/stats.* >"$dir/texts"
for text in 'gcmalloc: process' 'pauses' 'from us' 'gcmalloc: doctor' "malloc      the library's" 'read at every 4th byte' \
    "skipped: the library's own" 'asks: its own collections' " bytes of the library's own words" \
    "[vdso]: skipped: the kernel's" ' (two?lines): '; do
    grep -qF -- "$text" "$dir/texts" || failed "--stats --doctor did not say: $text"
done
expect_verdict() { # expect_verdict WHAT PERMISSIONS TEXT : of the mapping that the target told of
    local line="    $(sed -n "s/^$1 //p" "$dir/out") $2"
    grep -F -- "$line" "$dir/texts" | grep -q -- ": $3\$" ||
        failed "the doctor does not say \"$3\" of $1: $(grep -F -- "$line" "$dir/texts")"
}
expect_verdict file r--s 'skipped: shared with a file'
expect_verdict guard ---p 'skipped: no page with content of its own'
expect_verdict hidden ---p 'read through the kernel: 4K with content of its own'
expect_verdict code r-xp 'read at every byte: 4K with content of its own'
expect_verdict part rw-p 'read: 4K with content of its own, 4K excluded by gc_exclude_roots'
expect_verdict whole rw-p 'skipped: 8K excluded by gc_exclude_roots'

# What the doctor looks at is left by a cycle of one stop.
GCMALLOC=concurrent=always timeout 60 "$gcrun" --doctor bash -c 'exit 0' </dev/null >"$dir/texts" 2>&1
if ! grep -q 'read at every 4th byte: [0-9]' "$dir/texts" || grep -q 'not reached by the last collection' "$dir/texts"; then
    failed "the doctor did not see where a clone marked: $(head -3 "$dir/texts")"
fi

# A process that ends with a report of its own while others ask it for one: no text is mixed into another.
is_report() { # every line of the mappings is one
    sed -n '/^  mappings$/,/^  threads$/p' "$1" | sed '1d;$d' >"$dir/lines"
    [ "$(wc -l <"$dir/lines")" -gt 4000 ] &&
        ! grep -Evq '^    0x[0-9a-f]+-0x[0-9a-f]+ [r-][w-][x-][sp] [^:]+: (read|skipped)[^:]*: [^:]*$' "$dir/lines" &&
        sed 's/-.*//; s/^ *0x//' "$dir/lines" | awk '{ printf "%16s\n", $1 }' | LC_ALL=C sort -c 2>/dev/null
}
for ((round = 0; round < 4; round++)); do
    start "$gcrun" --stats="$dir/ends" --doctor -- "$target" maps
    for ((i = 0; i < 3; i++)); do
        while kill -0 "$pid" && "$gcrun" --pid "$pid" report; do :; done >/dev/null 2>&1 &
    done
    sleep 0.3
    finish
    wait
    is_report "$dir/ends" || failed "a report at the end, asked by others, is none: $(wc -l <"$dir/lines") lines"
    rm "$dir/ends"
done

# Where no signal can be queued, threads that compute cannot be stopped: the doctor says so, and how often that was why.
start bash -c 'ulimit -i 0; exec "$@"' bash "$gcrun" --stats="$dir/cannot" --doctor -- "$target" maps
sleep 0.3
finish
sed -n '/doctor for/,/^  mappings/p' "$dir/cannot" >"$dir/doctor"
if ! grep -q 'collection  skipped: ' "$dir/doctor" || ! grep -q '^  skipped     [1-9]' "$dir/doctor"; then
    failed "the doctor does not say why collections are skipped: $(head -8 "$dir/doctor")"
fi
conclude control
