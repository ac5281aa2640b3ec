#!/usr/bin/env bash
# usage: run_gcrun.sh GCRUN CC
# Each thing that gcrun promises: what the command sees, and the status and words for commands that it cannot preload.
set -u
gcrun=$1 cc=$2
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
unset LD_PRELOAD GCMALLOC
lib=$(dirname "$gcrun")/libgcmalloc.so.0
n_failed=0

expect() { # expect STATUS TEXT COMMAND ... : exit status, and a text in its output
    local status=$1 text=$2 out got
    shift 2
    out=$("$@" 2>&1)
    got=$?
    if [ "$got" -ne "$status" ] || [[ $out != *"$text"* ]]; then
        printf 'FAILED %s\n  status %s, expected %s and "%s":\n%s\n' "$*" "$got" "$status" "$text" "$out"
        n_failed=$((n_failed + 1))
    fi
}

expect 0 'usage: gcrun' "$gcrun" --help
expect 0 'gcrun 0.' "$gcrun" --version
expect 125 'no command' "$gcrun"
expect 125 'unknown option --nonsense' "$gcrun" --nonsense true
expect 125 'option --mode needs a value' "$gcrun" --mode
expect 125 'expected off, report, explicit, reclaim or auto' "$gcrun" --mode=no true
expect 125 'cannot hold a comma' "$gcrun" --trace=a,b true
expect 3 '' "$gcrun" -- sh -c 'exit 3'
expect 143 '' "$gcrun" -- sh -c 'kill -TERM $$'

expect 0 "LD_PRELOAD=$lib" "$gcrun" env
expect 0 "LD_PRELOAD=$lib:libc.so.6" env LD_PRELOAD=libc.so.6 "$gcrun" env
expect 0 "LD_PRELOAD=$lib:libc.so.6" env LD_PRELOAD="$lib:libc.so.6" "$gcrun" env
expect 0 'GCMALLOC=percent=50,limit=1G' "$gcrun" --percent 50 --limit=1G env
expect 0 'GCMALLOC=floor=1M,mode=report' env GCMALLOC=floor=1M "$gcrun" --mode report env
expect 0 "GCMALLOC=trace=1,trace_file=$dir/trace" "$gcrun" --trace="$dir/trace" env

expect 125 'takes no value' "$gcrun" --doctor=1 true
expect 125 "needs a value" "$gcrun" --snapshot
expect 0 ',snapshot_file=/x,report_pid=' "$gcrun" --percent 9 --snapshot=/x env
expect 0 "GCMALLOC=leaks=1,leaks_file=$dir/f,report_pid=" "$gcrun" "--leaks=$dir/f" env
# At their end some programs have closed stderr, as coreutils do; and what a command starts leaves its file alone.
cat > "$dir/loser.c" << 'END'
#include <stdlib.h>
#include <unistd.h>
static void close_stderr(void) { close(2); }
static __attribute__((noinline)) void lose(void)
{
    for (int i = 0; i < 100; i++)
        *(volatile char *)malloc(1000) = 1;
}
int main(void) { lose(); return atexit(close_stderr); }
END
"$cc" "$dir/loser.c" -o "$dir/loser" || exit 1
expect 0 '/loser+' "$gcrun" --leaks "$dir/loser"
expect 0 '' bash -c '"$2" "--leaks=$1/whole" -- bash -c "$1/loser; exit 0"; ! grep -q "/loser+" "$1/whole"' - "$dir" "$gcrun"
expect 0 "GCMALLOC=profile=on,profile_file=$dir/f" "$gcrun" "--profile=$dir/f" env
expect 0 '' bash -c 'cd "$1" && "$2" --profile true && head -n 1 heap.[0-9]* | grep -q "^heap profile: .* @ heap_v2/524288$"' \
    - "$dir" "$(realpath "$gcrun")"
# The trace is for programs too: each line is one of the two documented forms.
"$gcrun" --trace="$dir/trace" --stress 5 -- bash -c 'for i in 1 2 3; do x+=$(seq 2000); done' >/dev/null
number='[0-9]+' size='[0-9]+(\.[0-9])?[KMGT]?'
form="^gc $number @$number\\.[0-9]{3}s (growth|limit|explicit|stress|no memory)( skipped: [a-z_ ]+|: stop $number roots $number\
 mark $number finalize $number publish $number resume $number us, heap $size->$size goal $size, reclaimed $number blocks $size,\
 roots $size, threads $number, cpu $number\\.[0-9]%)$"
form=${form//$'\n'/}
if [ ! -s "$dir/trace" ] || grep -qvE "$form" "$dir/trace"; then
    printf 'FAILED trace lines that are not as documented:\n%s\n' "$(grep -vE "$form" "$dir/trace" | head -3)"
    n_failed=$((n_failed + 1))
fi

expect 127 'command not found' "$gcrun" no-such-command-here
expect 127 'command not found' "$gcrun" "$dir/none"
expect 126 'not an executable file' "$gcrun" "$dir"
: > "$dir/plain"
expect 126 'not an executable file' "$gcrun" "$dir/plain"
printf '#!/bin/sh\necho script "$1"\n' > "$dir/script"
printf 'echo no first line\n' > "$dir/bare"
chmod +x "$dir/script" "$dir/bare"
expect 0 'script a b' "$gcrun" "$dir/script" 'a b'
expect 0 'no first line' env PATH="$dir:$PATH" "$gcrun" bare

printf 'int main(void) { return 0; }\n' > "$dir/main.c"
if "$cc" -static "$dir/main.c" -o "$dir/static" 2> /dev/null; then
    expect 126 'statically linked' "$gcrun" "$dir/static"
    printf '#!%s\n' "$dir/static" > "$dir/of_static"
    chmod +x "$dir/of_static"
    expect 126 'statically linked' "$gcrun" "$dir/of_static"
fi
# Another machine: the first bytes of a 64-bit ELF file with machine 0xf3.
{ printf '\x7fELF\x02\x01\x01'; head -c 9 /dev/zero; printf '\x02\x00\xf3\x00'; head -c 200 /dev/zero; } > "$dir/foreign"
chmod +x "$dir/foreign"
expect 126 'wrong architecture' "$gcrun" "$dir/foreign"
"$cc" "$dir/main.c" -o "$dir/suid" || exit 1
printf '#include <stdlib.h>\nint main(void) { void *volatile p = malloc(9); free(p); free(p); return 0; }\n' > "$dir/twice.c"
"$cc" -w "$dir/twice.c" -o "$dir/twice" || exit 1
expect 134 'double free' "$gcrun" "$dir/twice"
if [ "$(id -u)" = 0 ] && chown 1 "$dir/suid" && chmod 4755 "$dir/suid"; then
    expect 126 'set-user-ID' "$gcrun" "$dir/suid"
fi
[ "$n_failed" -eq 0 ] && echo "gcrun: all as promised"
exit $((n_failed != 0))
