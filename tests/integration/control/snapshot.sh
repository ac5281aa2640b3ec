#!/usr/bin/env bash
# usage: snapshot.sh GCRUN TARGET IDLE_TARGET PYTHON FONTCONFIG
# Snapshots of a heap of known shape are whole JSON of the form that Chrome reads, agree with the heap's own count, and name
# what was planted by its chain; gcrun finds chain and growth; one of a running process leaves nothing behind.
gcrun=$1 target=$2 idle=$3 python=$4 fontconfig=$5
here=$(dirname "$0")
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
. "$here/common.sh"

"$gcrun" --trace="$dir/trace" -- "$target" "$dir" >"$dir/planted" || failed 'the target'
grep -qE '^gc 3 @[0-9]+\.[0-9]{3}s explicit skipped: inhibited$' "$dir/trace" || failed "a cycle skipped: $(cat "$dir/trace")"
value() { sed -n "s/^$1=//p" "$dir/planted"; }

check() { python3 "$here/check_snapshot.py" "$@" || failed "the JSON: $*"; }
check "$dir/first" "$(value first_bytes)" 0
check "$dir/second" "$(value second_bytes)" 0

why() { # why NAME TEXT... : the chain to what was planted has these lines, in this order
    local name=$1 out
    shift
    out=$("$gcrun" --analyze "${snapshot:-$dir/first}" --why "$(value "$name")") || failed "why $name"
    expect_lines "why $name" "$out" "$@"
}
why chain 'snapshot_target+0x' ' (planted_global)' 'bytes) +0x18' 'bytes) +0x28' "-> $(value chain)"
why list 'snapshot_target+0x' ' (planted_list)' "$(value list)"
why packed ' (planted_packed)' 'bytes) +0x2c' "-> $(value packed)"
why array 'snapshot_target+0x' ' (planted_array+0x28)' "$(value array)"
why mapping 'mapping 0x' '+0x38' "$(value mapping)"
why stack "stack of thread $(value thread) (sleeper)+0x" "$(value stack)"

root() { python3 "$here/check_root.py" "$dir/first" "$1" "$(value "$2")" || failed "root: $1"; }
root pinned pinned
root 'GC_ROOT blocks' root
root "stack of thread $(value thread) (sleeper)" stack
[ "$(uname -m)" != x86_64 ] || root "TLS of thread $(value thread) (sleeper)" tls
out=$("$gcrun" --analyze "$dir/first" --why 0x10 2>&1) && failed 'why of an address that is no block'

# The list hangs on its first block alone: 500 blocks of at least 104 bytes.
for words in "--why zzz:is no address" "--why=:is no address" "--top=3:not --top=3" "--diff:needs a value"; do
    # shellcheck disable=SC2086 # options and values
    out=$("$gcrun" --analyze "$dir/first" ${words%%:*} 2>&1) && failed "--analyze ${words%%:*}"
    grep -qF -- "${words#*:}" <<<"$out" || failed "--analyze ${words%%:*}: $out"
done
out=$("$gcrun" --analyze "$dir/first")
list=$(grep -F "$(value list) " <<<"$out" | awk '{ print $2 }')
[ "${list:-0}" -eq 500 ] || failed "the list's first block keeps ${list:-no} blocks, not 500:"$'\n'"$out"
out=$("$gcrun" --analyze "$dir/second" --diff="$dir/first")
grep -qE '^ +\+[0-9]+ +\+300  malloc 1[0-9]+$' <<<"$out" || failed "growth by kind:"$'\n'"$out"
grep -qE 'snapshot_target\+0x' <<<"$out" || failed "growth by retainer:"$'\n'"$out"
printf '{"nodes":[]}' >"$dir/other"
"$gcrun" --analyze "$dir/other" >"$dir/out" 2>&1 && failed 'another file taken for a snapshot'
grep -q 'not a snapshot of the library' "$dir/out" || failed 'no word about another file'

# Of a running process, twice: the clone is reaped, its file is gone, the call that it came in goes on.
start "$gcrun" -- "$idle" idle
for round in 1 2; do
    "$gcrun" --pid "$pid" snapshot "$dir/running$round" || failed 'snapshot of a running process'
    "$gcrun" --analyze "$dir/running$round" | grep -q "^process $pid:" || failed 'snapshot of a running process: its text'
done
"$gcrun" --pid "$pid" stats | grep -q 'explicit 2' || failed 'two snapshots are two collections'
for ((i = 0; i < 100; i++)); do # a clone that has written and not ended yet goes with the next request
    [ -n "$(pgrep -P "$pid")" ] || break
    sleep 0.1
    "$gcrun" --pid "$pid" stats >/dev/null
done
[ "$i" -lt 100 ] || failed "the clone is still there: $(ps --ppid "$pid")"
expect_no_answers_left
finish

"$gcrun" --snapshot="$dir/exit.%p" -- sh -c 'exit 5'
[ $? -eq 5 ] || failed 'status of a command with --snapshot'
"$gcrun" --snapshot="$dir/exit" -- bash -c 'x=$(echo 1); exit 6'
[ $? -eq 6 ] || failed 'status of a command with --snapshot'
"$gcrun" --analyze "$dir/exit" | grep -q '^process ' || failed 'the snapshot at exit'

# What no word refers to has its referrer, too.
mkdir "$dir/hidden"
snapshot=$dir/hidden/first
"$gcrun" -- "$target" "$dir/hidden" "$python" "$fontconfig" >"$dir/planted" || failed 'the target with two libraries'
check "$snapshot" "$(value first_bytes)" 0
why in_map 'mapping 0x' '+0x50' "-> $(value in_map)"
why in_malloc ' (planted_hidden)' 'bytes) +0x0' 'bytes) +0x18' "-> $(value in_malloc)"
why elements ' (planted_hidden)' 'bytes) +0x8' "bytes) +0x8" "-> $(value elements)"
why leaves ' (planted_hidden)' 'bytes) +0x10' 'bytes) +0x8' "-> $(value leaves)"
why leaf ' (planted_hidden)' 'bytes) +0x10' 'bytes) +0x8' "-> $(value leaf)"
why numbers ' (planted_hidden)' 'bytes) +0x10' 'bytes) +0x10' "-> $(value numbers)"

# What was freed and is still pointed to is called so.
mkdir "$dir/freed"
snapshot=$dir/freed/freed
GCMALLOC=quarantine=yes "$gcrun" -- "$target" "$dir/freed" freed >"$dir/planted" || failed 'the target in quarantine'
why freed ' (planted_freed)' "-> $(value freed)" '((freed) malloc 208'

# Where allocations are on record, blocks are called by the call that made them, and their stacks are there.
mkdir "$dir/recorded"
GCMALLOC="leaks=1,leaks_file=$dir/leaks" "$gcrun" -- "$target" "$dir/recorded" >"$dir/planted" || failed 'the target, recorded'
check "$dir/recorded/first" "$(value first_bytes)" "$(value first_blocks)"
out=$("$gcrun" --analyze "$dir/recorded/first" --why "$(value chain)") || failed 'why, recorded'
expect_lines 'why, recorded' "$out" ' (planted_global)' '(plant_block snapshot_target+0x' "-> $(value chain)" 'allocated from' \
    '#0 plant_block (/' '/snapshot_target+0x' '#1 plant (/'
out=$("$gcrun" --analyze "$dir/recorded/second" --diff "$dir/recorded/first")
grep -qE '^ +\+[0-9]+ +\+300  grow snapshot_target\+0x' <<<"$out" || failed "growth by site:"$'\n'"$out"
conclude snapshot
