#!/bin/bash
# usage: fault.sh LIBRARY PROGRAM [quick]
# Makes system calls of the library fail (checking builds only: GCMALLOC_FAULT=nr:skip:count:errno): each call number, the
# n-th for many n, once or from then on. The program must end with 0, or with 5 where it was told that there is no memory;
# a signal, another status or a hang is a failure.
set -u
library=$1 program=$2 extent=${3-full}
err=$(mktemp) || exit 1
trap 'rm -f "$err"' EXIT
ulimit -c 0
case $(uname -m) in
x86_64) calls="mmap:9 munmap:11 mprotect:10 madvise:28 mremap:25 open:257 read:0 pread64:17 close:3 futex:202 rt_tgsigqueueinfo:297
    rt_sigaction:13 rt_sigprocmask:14 sigaltstack:131 getdents64:217 ioctl:16 prctl:157 getrandom:318 process_vm_readv:310 tgkill:234" ;;
*) echo "no table of call numbers for $(uname -m)"; exit 77 ;;
esac
errors="12 11 1 22 38" # ENOMEM EAGAIN EPERM EINVAL ENOSYS
skips="0 1 2 3 4 5 6 8 10 13 16 20 26 33 42 60 90 150 300 1000"
[ "$extent" = quick ] && skips="0 1 2 4 8 16 42 150" errors="12 1"
runs=0 failures=0 no_memory=0

one() { # nr skip count errno name
    local fault="$1:$2:$3:$4"
    timeout -k 5 60 env GCMALLOC_FAULT="$fault" GCMALLOC="floor=1M" LD_PRELOAD="$library" "$program" >/dev/null 2>"$err"
    local status=$?
    runs=$((runs + 1))
    case $status in
    0) [ ! -s "$err" ] && return ;;
    5) [ ! -s "$err" ] && no_memory=$((no_memory + 1)) && return ;;
    127) # the dynamic linker itself was told that there is no memory, before main
        [ "$1" = 9 ] && grep -q 'cannot allocate\|out of memory\|Cannot allocate' "$err" && no_memory=$((no_memory + 1)) && return ;;
    esac
    failures=$((failures + 1))
    echo "$5: GCMALLOC_FAULT=$fault: status $status: $(head -c 300 "$err")"
}

for call in $calls; do
    name=${call%%:*} nr=${call##*:}
    for skip in $skips; do
        for error in $errors; do
            # A kernel that refuses futex refuses it from the start: who sleeps already could never be woken.
            [ "$name" = futex ] && [ "$skip" -gt 0 ] && continue
            [ "$name" = futex ] || one "$nr" "$skip" 1 "$error" "$name"
            one "$nr" "$skip" 1000000 "$error" "$name"
        done
        [ "$failures" -lt 40 ] || break 2
    done
done 2>/dev/null
echo "$runs runs, $no_memory of them ended for want of memory, $failures failures"
# Without memory for the heap nobody can succeed: if all did, nothing was injected.
[ "$runs" -gt 100 ] && [ "$failures" -eq 0 ] && [ "$no_memory" -gt 0 ]
