#!/usr/bin/env bash
# usage: export_fast.sh OBJDUMP LIBRARY
# Section gcm_fast holds the fast paths. The stop handler lets a thread run on that it finds there, so none of them may
# be left but by its return or by a tail jump to a slow half: no call, no system call, no indirect jump, no other jump
# out of the section; and no stack frame, so that the return address always lies where the caller put it. The compiler
# decides that, so the linked library is read. x86-64 (AT&T syntax) and aarch64.
set -u
objdump=$1 library=$2
text=$("$objdump" -d -j gcm_fast --no-show-raw-insn "$library") || exit 1

printf '%s\n' "$text" | awk '
    function bad(why) { printf "%s in %s: %s\n", why, symbol, $0; n_bad++ }
    /^[0-9a-f]+ <.*>:$/ { symbol = substr($2, 2, length($2) - 3); n_functions++; seen[symbol] = 1; next }
    /^ *[0-9a-f]+:/ {
        address = $1; sub(/:$/, "", address)
        inside[address] = 1
        first = 2
        while ($first ~ /^(bnd|notrack|repz|rep|lock|data16|cs)$/) first++
        op = $first
        n_instructions++
        if (op ~ /^(call|callq|bl|blr|blraa|syscall|sysenter|int|svc)$/) { bad("call"); next }
        if (op ~ /^(push|pop|enter|leave)/ || /%rsp|%esp|[^a-z0-9_]sp[^a-z0-9_]|[^a-z0-9_]sp$/) { bad("use of the stack"); next }
        is_jump = op ~ /^(j[a-z]+|loop[a-z]*|b|b\.[a-z]+|cbn?z|tbn?z|br|braa)$/
        if (!is_jump) next
        if (!match($0, /[0-9a-f]+ <[^>]*>/)) { bad("indirect jump"); next }
        split(substr($0, RSTART, RLENGTH), part, " ")
        n_jumps++
        jump_to[n_jumps] = part[1]; jump_name[n_jumps] = substr(part[2], 2, length(part[2]) - 2)
        jump_line[n_jumps] = symbol ": " $0
    }
    END {
        for (i = 1; i <= n_jumps; i++) {
            if (jump_to[i] in inside) continue
            if (jump_name[i] ~ /^(alloc|free)_slow[a-z0-9_]*(\.[a-z]+\.[0-9]+)?$/) continue
            printf "jump out to %s in %s\n", jump_name[i], jump_line[i]; n_bad++
        }
        if (!seen["malloc"] || !seen["free"]) { print "malloc and free are not in gcm_fast"; n_bad++ }
        printf "gcm_fast: %d functions, %d instructions, %d faults\n", n_functions, n_instructions, n_bad
        exit n_bad != 0
    }'
