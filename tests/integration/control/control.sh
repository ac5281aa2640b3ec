#!/usr/bin/env bash
# usage: control.sh GCRUN TARGET
# Each request to a process that is idle, busy in the allocator, computing, of several threads, or in another root; who may
# not be asked; and what is left behind: nothing, and no interrupted call.
set -u
gcrun=$1 target=$2
dir=$(mktemp -d) || exit 1
pid=''
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
unset LD_PRELOAD GCMALLOC
n_failed=0
failed() {
    printf 'FAILED %s\n' "$*"
    n_failed=$((n_failed + 1))
}

start() { # start COMMAND... : in the background, ready; its number in $pid
    mkfifo "$dir/ready"
    "$@" >"$dir/ready" &
    pid=$!
    read -r _ <"$dir/ready" || failed "$*: did not start"
    rm "$dir/ready"
}
finish() {
    kill -TERM "$pid"
    wait "$pid"
    local status=$?
    pid=''
    [ "$status" -eq "${1:-0}" ] || failed "the process ended with status $status"
}
expect() { # expect STATUS TEXT COMMAND ... : exit status, and a text in its output
    local status=$1 text=$2 out got
    shift 2
    out=$("$@" 2>&1)
    got=$?
    if [ "$got" -ne "$status" ] || [[ $out != *"$text"* ]]; then
        failed "$* : status $got, expected $status and \"$text\":"$'\n'"$out"
    fi
}
files() { find /tmp /dev/shm /var/tmp -maxdepth 1 -name 'gcmalloc-*' -user "$(id -u)" 2>/dev/null | sort; }

before=$(files)
for how in idle busy computes threads altstack; do
    start "$gcrun" -- "$target" "$how"
    expect 0 'pauses' "$gcrun" --pid "$pid" stats
    expect 0 '  mappings' "$gcrun" --pid "$pid" report
    if [ $how = threads ]; then # on a busy machine four threads that live in malloc may not stand in time
        expect 0 'ed: ' "$gcrun" --pid "$pid" collect
    else
        expect 0 'collected: ' "$gcrun" --pid "$pid" collect
        expect 0 ' explicit 2,' "$gcrun" --pid "$pid" stats # the report's own trial was the first
    fi
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
# An answer of another test's lies there for a moment; one that was left stays.
for file in $(comm -13 <(echo "$before") <(files)); do
    for ((i = 0; i < 100; i++)); do
        [ -e "$file" ] || continue 2
        sleep 0.1
    done
    failed "left behind: $file"
done

# What is written at exit is written once, by the command and not by what it starts.
out=$("$gcrun" --stats -- sh -c 'sh -c true; "$0" -c true; exit 3' sh 2>&1)
[ $? -eq 3 ] || failed 'status of a command with --stats'
n=$(grep -c '^gcmalloc: process' <<<"$out")
[ "$n" -le 1 ] || failed "--stats spoke $n times"
: >"$dir/out"
"$gcrun" --stats="$dir/stats.%p" --doctor -- "$target" nonsense >"$dir/out" 2>&1 &
pid=$!
while ! grep -q ready "$dir/out"; do sleep 0.05; done
finish
cat "$dir"/stats.* >"$dir/texts"
for text in 'gcmalloc: process' 'pauses' 'from us' 'gcmalloc: doctor' "malloc      the library's" 'read at every byte' \
    "skipped: shared with a file" 'asks: its own collections'; do
    grep -qF -- "$text" "$dir/texts" || failed "--stats --doctor did not say: $text"
done
[ "$n_failed" -eq 0 ] && echo "control: all as promised"
exit $((n_failed != 0))
