#!/bin/bash
# limit=cgroup in a live control group, of version 1 or 2: whatever leaks in it collects before the kernel kills.
# usage: limit_cgroup.sh LIBRARY LEAKING-PROGRAM...
# Beside another process, too, that holds half of what the group may have.
# Proves that the limit is what saves it: without collections the kernel does kill.
set -euo pipefail
library=$1
shift
limit_mb=128 total_mb=1024
if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
    group=/sys/fs/cgroup/memory/gcmalloc-test.$$ limit_file=memory.limit_in_bytes
elif grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
    group=/sys/fs/cgroup/gcmalloc-test.$$ limit_file=memory.max
else
    echo "no control group for memory here"
    exit 77
fi
mkdir "$group" 2>/dev/null || { echo "no right to make a control group"; exit 77; }

# The group goes when the last process in it has been reaped, by whomever.
clean_up() {
    local i
    for ((i = 0; i < 100; i++)); do
        xargs -r kill <"$group/cgroup.procs" 2>/dev/null || true
        rmdir "$group" 2>/dev/null && return
        sleep 0.1
    done
    echo "$group could not be removed"
}
trap clean_up EXIT
echo ${limit_mb}M >"$group/$limit_file" 2>/dev/null || { echo "no right to set a limit"; exit 77; }

# In the group; swap would hide that the limit is met.
leak() { # leak SETTINGS PROGRAM
    (
        echo $BASHPID >"$group/cgroup.procs"
        GCMALLOC=$1 LD_PRELOAD=$library exec "$2" $total_mb $((limit_mb + 1))
    )
}

status=0
for program in "$@"; do
    if ! leak limit=cgroup,percent=-1 "$program"; then
        echo "$program failed under limit=cgroup"
        status=1
    fi
done

# tail keeps what it reads until its input ends.
(
    echo $BASHPID >"$group/cgroup.procs"
    exec tail -c $((limit_mb / 2))M < <(head -c $((limit_mb / 2))M /dev/zero && exec sleep 100) >/dev/null
) &
neighbour=$!
for ((i = 0; i < 600; i++)); do
    resident_kb=$(awk '/^VmRSS/ { print $2 }' "/proc/$neighbour/status")
    ((resident_kb >= limit_mb * 512)) && break
    sleep 0.1
done
for program in "$@"; do
    if ! leak limit=cgroup,percent=-1 "$program"; then
        echo "$program failed under limit=cgroup beside another process"
        status=1
    fi
done
if ! kill -0 "$neighbour" 2>/dev/null; then
    echo "the kernel killed the other process"
    status=1
fi
if leak percent=-1 "$1" 2>/dev/null; then
    echo "the group's limit was not met"
    status=1
fi
exit $status
