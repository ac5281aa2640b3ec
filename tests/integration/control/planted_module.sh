#!/usr/bin/env bash
# usage: planted_module.sh GCRUN MODULE SOURCE
# A stripped redis-server with a stripped module that loses blocks and keeps others: one command names the line that lost them,
# one the chain that keeps, as the module's unstripped twin resolves what they print.
gcrun=$1 module=$2 source=$3
. "$(dirname "$0")/common.sh"
for tool in redis-server redis-cli addr2line strip; do
    command -v $tool >/dev/null || skip "no $tool"
done
strip -o "$dir/planted.so" "$module"
# Where a line of a report lies: module and offset, by the twin's lines.
line_of() { # line_of TEXT : of the first frame that it shows in the module
    local offset
    offset=$(sed -n "s|^ *#[0-9]* .*(*$dir/planted.so+\(0x[0-9a-f]*\))\$|\1|p" <<<"$1" | head -1)
    addr2line -e "$module" "${offset:-0}" | sed 's/ (discriminator.*//'
}
line_with() { grep -n "/\* $1 \*/\$" "$source" | cut -d: -f1; }
redis() { redis-cli -s "$dir/socket" "$@"; }

"$gcrun" --leaks="$dir/leaks" -- redis-server --port 0 --unixsocket "$dir/socket" --save '' --dir "$dir" --loglevel warning \
    --loadmodule "$dir/planted.so" >"$dir/log" 2>&1 &
pid=$!
for ((i = 0; i < 300; i++)); do
    [ "$(redis ping 2>/dev/null)" = PONG ] && break
    sleep 0.1
done
[ "$i" -lt 300 ] || failed "redis-server does not answer: $(cat "$dir/log")"
[ "$(redis planted.leak 5)" = lost ] || failed 'planted.leak'
kept=$(redis planted.keep)

# Why is it alive? In the module's data, through one block, and by whom it was allocated.
"$gcrun" --pid "$pid" snapshot "$dir/now" || failed 'the snapshot'
why=$("$gcrun" --analyze "$dir/now" --why "$kept") || failed 'why'
expect_lines 'why' "$why" "why $kept" 'planted.so+0x' ') +0x10' "-> $kept" 'allocated from'
[ "$(line_of "$why")" = "$source:$(line_with KEEP)" ] || failed "allocated at $(line_of "$why"):"$'\n'"$why"
root=$(sed -n 's/^  planted.so+\(0x[0-9a-f]*\)$/\1/p' <<<"$why")
nm "$module" | grep -q "^0*${root#0x} . planted_head\$" || failed "the root $root is not planted_head:"$'\n'"$why"

# What leaks, while it runs and at its end.
report=$("$gcrun" --pid "$pid" report) || failed 'the report'
expect_lines 'report' "$report" 'leaked: unreachable' '1200 bytes in 5 blocks, lost directly'
redis shutdown nosave
wait "$pid" || failed "redis-server ended with status $?"
pid=''
for text in "$report" "$(cat "$dir/leaks")"; do
    leak=$(grep -A 3 '^leak: 1200 bytes in 5 blocks, lost directly' <<<"$text")
    [ "$(line_of "$leak")" = "$source:$(line_with LEAK)" ] || failed "leaked at $(line_of "$leak"):"$'\n'"$text"
done
conclude 'planted module'
