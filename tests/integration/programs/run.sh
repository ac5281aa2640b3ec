#!/bin/bash
# usage: run.sh LIBRARY CASE [DIR-OF-TEST-PROGRAMS]
#
# What   runs one real program three ways (without us, preloaded, preloaded and collecting at every n-th slow path) and
#        requires the same stdout, the same exit statuses and byte for byte the same stderr; of the third way also that it
#        collected, that the program used no block that was taken, and that no process is left.
# Case   a file cases/CASE.sh; it may set and define
#           needs="..."       commands that must exist (else: failure under CI=true or GCM_REQUIRE_PROGRAMS=1, skip elsewhere)
#           stress=n          default for the third way; GCM_STRESS overrides it for every case; settings in GCM_OPTIONS hold
#                             in both ways of ours
#           limit_s=n         seconds that one `pre` may take; GCM_TIME_FACTOR multiplies it
#           case_setup        without us, once, in $work: files that all three runs read
#           case_run          in an empty directory per way; `pre cmd...` runs cmd with the way's preload
#           case_project      filter from stdin to stdout applied to both outputs, for what legitimately differs
# Server `serve cmd...` starts one in the background, `serve_wait port` waits until it accepts, `serve_stop` ends it by
#        SIGTERM and records its status. Loopback only; whatever is left is killed by pid at the end.
set -u
library=$1 case=$2 bindir=${3-}
here=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C.UTF-8 TZ=UTC
unset LD_PRELOAD GCMALLOC

needs="" stress=200 limit_s=60 server_pid="" way=""
case_setup() { :; }
case_project() { cat; }
# shellcheck source=/dev/null
. "$here/cases/$case.sh" || exit 1
stress=${GCM_STRESS:-$stress}
limit_s=$((limit_s * ${GCM_TIME_FACTOR:-1}))

work=$(mktemp -d) || exit 1
cleanup() {
    local left
    [ -z "$server_pid" ] || kill -KILL "$server_pid" 2>/dev/null
    for left in $(grep -lsaF "HOME=$work/" /proc/[0-9]*/environ | cut -d / -f 3); do # servers that a case ended midway leaves
        kill -KILL "$left" 2>/dev/null
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

die() {
    printf '%s: %s\n' "$case" "$*" >&2
    exit 1
}

missing=""
for command in $needs; do
    command -v "$command" >/dev/null 2>&1 || missing="$missing $command"
done
if [ -n "$missing" ]; then
    printf '%s: not installed:%s\n' "$case" "$missing"
    [ "${CI-}" = true ] || [ "${GCM_REQUIRE_PROGRAMS-}" = 1 ] && exit 1
    exit 77
fi

# The environment of the current way, as words for env.
way_env=()
set_way() {
    way=$1
    case $way in
    plain) way_env=() ;;
    preload) way_env=(LD_PRELOAD="$library" GCMALLOC="${GCM_OPTIONS-}") ;;
    stress) way_env=(LD_PRELOAD="$library"
        GCMALLOC="stress=$stress,trace=1,trace_file=$work/trace.%p,${GCM_OPTIONS-}") ;;
    esac
}

# pre cmd...: run it the current way; its status goes into the comparison, and is the result.
pre() {
    timeout -k 5 "$limit_s" env "${way_env[@]}" "$@"
    local status=$?
    echo "$1: $status" >>"$work/$way.status"
    return $status
}

serve() {
    env "${way_env[@]}" "$@" &
    server_pid=$!
}

serve_wait() { # port: up to a minute
    local i
    for i in $(seq 600); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "server does not answer" >>"$work/$way.status"
    return 1
}

serve_stop() {
    local i
    kill -TERM "$server_pid" 2>/dev/null
    for i in $(seq 600); do
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$server_pid" 2>/dev/null && echo "server ignores SIGTERM" >>"$work/$way.status"
    wait "$server_pid" 2>/dev/null
    echo "server: $?" >>"$work/$way.status"
    server_pid=""
}

# A port that nobody listens on, below the range that the kernel gives out.
free_port() {
    local port
    for _ in $(seq 50); do
        port=$((20000 + RANDOM % 10000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    echo 0
}

run_way() {
    set_way "$1"
    mkdir -p "$work/$way.dir"
    : >"$work/$way.status"
    export HOME=$work/$way.dir TMPDIR=$work/$way.dir
    (cd "$work/$way.dir" && case_run) >"$work/$way.raw_out" 2>"$work/$way.raw_err"
    [ -f "$work/$way.raw_out" ] || die "no output file"
    sed "s|$work/$way.dir|DIR|g" "$work/$way.raw_out" | case_project >"$work/$way.out"
    sed "s|$work/$way.dir|DIR|g" "$work/$way.raw_err" | case_project >"$work/$way.err"
    rm -rf "$work/$way.dir"
    if grep -aq -e 'libgcmalloc' -e 'ERROR: ld.so' "$work/$way.raw_err"; then
        grep -a -e 'libgcmalloc' -e 'ERROR: ld.so' "$work/$way.raw_err" | head -5
        die "way '$way': a line of ours or of the loader on stderr"
    fi
    if grep -Eq ': (124|137)$' "$work/$way.status"; then
        cat "$work/$way.status" "$work/$way.err"
        die "way '$way': time limit"
    fi
}

compare() {
    local what
    for what in status out err; do
        cmp -s "$work/plain.$what" "$work/$1.$what" && continue
        diff -a "$work/plain.$what" "$work/$1.$what" | cut -c 1-300 | head -40
        [ "$what" = err ] || head -c 2000 "$work/$1.err"
        die "way '$1' (stress=$stress): $what differs from the run without us"
    done
}

# Under stress there were collections, none of their blocks was used afterwards, and no process is left.
check_stress() {
    local traces=("$work"/trace.*) pid i
    grep -qs ': stop [0-9]' "${traces[@]}" || die "no collection came to its end: $(cat "${traces[@]}" 2>&1 | head -3)"
    grep -hs 'unreachable' "${traces[@]}" && die "a block was used that had been taken"
    for pid in "${traces[@]##*.}"; do
        for i in $(seq 50); do
            grep -qs "$(basename "$library")" "/proc/$pid/maps" || continue 2
            sleep 0.1
        done
        die "process $pid is left: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
    done
    [ -z "${GCM_SHOW-}" ] || echo "$case: $(cat "${traces[@]}" | grep -c ': stop [0-9]') collections, $(cat "${traces[@]}" | grep -c skip) skipped, ${#traces[@]} processes"
}

# The preload must be real, or the comparison is of nothing with nothing.
env LD_PRELOAD="$library" cat /proc/self/maps | grep -qF "$(basename "$library")" || die "the library is not loaded"

(cd "$work" && case_setup) >"$work/setup.log" 2>&1 || { cat "$work/setup.log"; die "setup failed"; }
run_way plain
[ -s "$work/plain.status" ] || die "the case runs nothing"
[ -z "${GCM_SHOW-}" ] || { head -c 3000 "$work/plain.out" "$work/plain.err" "$work/plain.status"; }
grep -Eq ': (12[4-7]|13[2-9])$' "$work/plain.status" && { cat "$work/plain.status" "$work/plain.err"; die "fails without us"; }
for w in preload stress; do
    run_way "$w"
    compare "$w"
done
check_stress
exit 0
