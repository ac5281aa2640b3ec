#!/usr/bin/env bash
# usage: peers.sh LIBRARY BIN_DIR TRAP_MODULE [NAME=PRELOAD ...]
#
# Runs every trap program on this library and on others: glibc, jemalloc and mimalloc where they are installed, and what is
# named in arguments or, separated by blanks, in GCM_TRAP_PEERS (a libgc built with malloc redirected, say); all at once, each
# in a folder of its own. Prints a table.
# Fails where a trap does not end well on this library, or does not on an allocator that the list below does not excuse: then
# the program is wrong, for what it does is allowed. Of those named by the caller nothing is required.
# GCM_TRAP_LIMIT_S: seconds for one trap (60). GCM_TRAP_ONLY: a regular expression of traps.
set -u
library=$1 bin=$2 module=$3
shift 3
limit=${GCM_TRAP_LIMIT_S:-60}
here=$(cd "$(dirname "$0")" && pwd)
modules=$(dirname "$module")
peers=("libgcmalloc=$library" "glibc=")
n_own=2
for lib in jemalloc mimalloc; do
    file=$(ldconfig -p | sed -n "s/^.*lib$lib\.so[.0-9]* .*=> //p" | head -1)
    [ -z "$file" ] || { peers+=("$lib=$file"); n_own=$((n_own + 1)); }
done
# shellcheck disable=SC2206
peers+=("$@" ${GCM_TRAP_PEERS-})

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# What no allocator promises: malloc in a handler and in the child of a fork that libc does not know of, and to go on where
# leaks meet a limit. Then what is known of these allocators: plugins that find libc's free, a free of libc's block, thread-local
# data beside an auditor, system calls that an ordinary filter does not expect, fork while libc's streams are locked, address space
# that is reserved, and forks beside busy threads, of which 150 s are not enough.
is_excused() { # peer trap
    case $2 in
    malloc_in_signal_handler | signal_storm_while_collecting | malloc_in_handler_by_raw_call | fork_by_raw_call) return 0 ;;
    rlimit_as_usable | rlimits_from_the_start) return 0 ;;
    dlopen_deepbind | foreign_blocks | seccomp_filter | malloc_in_resolver) [ "$1" != glibc ] ;;
    mlockall_future | nothing_is_reserved | fork_in_loop_while_threads_allocate) [ "$1" != glibc ] ;;
    auditor | stdio_locked_fork) [ "$1" = jemalloc ] ;;
    *) return 1 ;;
    esac
}

run() { # preload program arguments
    local preload=$1
    shift
    env GCM_TRAP_PEER=1 GCM_SECONDS=5 GCMALLOC="$settings" LD_PRELOAD="$preload" timeout -k 5 "$limit" "$@" >out 2>&1
    case $? in
    0) echo passes ;;
    77) echo skipped ;;
    124 | 137) echo 'no end' ;;
    1) echo fails ;;
    *) echo crashes ;;
    esac >result
}

printf '| trap |'
for peer in "${peers[@]}"; do printf ' %s |' "${peer%%=*}"; done
printf '\n|---|'
for _ in "${peers[@]}"; do printf -- '---|'; done
printf '\n'
bad=
for source in "$here"/*.c "$here"/*.cc; do
    trap=$(basename "${source%.*}")
    arguments=() settings=
    case $trap in
    # About settings and functions of ours, or no program at all.
    trap_* | loaded_late | sanitized* | settings_of_setuid_program | profile_after_main_exit) continue ;;
    probation* | quarantine | huge_pages | seccomp_ok | stands_aside | own_malloc | malloc_address_in_fixed_program) continue ;;
    tls_dynamic | dlopen_storm | dlopen_deepbind | dlmopen_namespace | thread_stack_cache) arguments=("$module") ;;
    malloc_under_locks_of_libc) arguments=("$modules/libtrap_module_constructor.so") ;;
    auditor) arguments=("$modules/libtrap_auditor.so") ;;
    fontconfig_refers_by_distance) arguments=("$modules/libfontconfig_trap.so") ;;
    integers_of_python) arguments=("$modules/libpython_trap.so") ;;
    light_userdata_of_luajit) arguments=("$modules/libluajit_trap.so") ;;
    integers_of_ruby) arguments=("$modules/fiddle.so") ;;
    runtime_hides_pointers_loaded_late) arguments=("$modules/libswipl_trap.so") ;;
    profile_while_loading) arguments=("$module") settings=profile=1 ;;
    fork_child_without_helpers) settings=markers=3 ;;
    sleeping_threads) arguments=(1000) ;;
    esac
    [ -x "$bin/$trap" ] && [[ $trap =~ ${GCM_TRAP_ONLY-} ]] || continue
    cases=("")
    [[ $trap != eintr* ]] || mapfile -t cases < <(sed -n 's/^    {"\([a-z_]*\)", .*/\1/p' "$source")
    for case in "${cases[@]}"; do
        name=$trap${case:+:$case}
        for i in "${!peers[@]}"; do
            mkdir -p "$work/$i"
            peer=${peers[i]} preload=${peers[i]#*=}
            [ "$trap" != another_interposer ] || preload=${preload:+$preload:}$modules/libtrap_interposer.so
            (cd "$work/$i" && run "$preload" "$bin/$trap" "${arguments[@]}" ${case:+"$case"}) &
        done
        wait
        printf '| %s |' "$name"
        for i in "${!peers[@]}"; do
            peer=${peers[i]%%=*} result=$(<"$work/$i/result")
            printf ' %s |' "$result"
            [ "$i" -lt "$n_own" ] || continue
            if [[ ! $result =~ passes|skipped ]] && ! { [ "$i" -gt 0 ] && is_excused "$peer" "$trap"; }; then
                bad="$bad$peer: $name $result: $(tail -n 1 "$work/$i/out" | cut -c 1-200)"$'\n'
            fi
        done
        printf '\n'
        rm -rf "${work:?}"/*
    done
done
if [ -n "$bad" ]; then
    printf '\nnot excused:\n%s' "$bad"
    exit 1
fi
