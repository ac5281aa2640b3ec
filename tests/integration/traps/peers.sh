#!/usr/bin/env bash
# usage: peers.sh LIBRARY BIN_DIR TRAP_MODULE [NAME=PRELOAD ...]
#
# Runs every trap program on this library and on others: glibc, jemalloc and mimalloc where they are installed, and what is
# named in arguments or, separated by blanks, in GCM_TRAP_PEERS (a libgc built with malloc redirected, say). Prints a table.
# Fails where a trap does not end well on this library, or does on none: then the program is wrong. GCM_TRAP_LIMIT_S: seconds
# for one trap (60).
set -u
library=$1 bin=$2 module=$3
shift 3
limit=${GCM_TRAP_LIMIT_S:-60}
here=$(cd "$(dirname "$0")" && pwd)
peers=("libgcmalloc=$library" "glibc=")
for lib in jemalloc mimalloc; do
    file=$(ldconfig -p | sed -n "s/^.*lib$lib\.so[.0-9]* .*=> //p" | head -1)
    [ -z "$file" ] || peers+=("$lib=$file")
done
# shellcheck disable=SC2206
peers+=("$@" ${GCM_TRAP_PEERS-})

run() { # preload program arguments
    local preload=$1
    shift
    env GCM_TRAP_PEER=1 GCMALLOC="$settings" LD_PRELOAD="$preload" timeout -k 5 "$limit" "$@" >/dev/null 2>&1
    case $? in
    0) echo passes ;;
    77) echo skipped ;;
    124 | 137) echo hangs ;;
    1) echo fails ;;
    *) echo crashes ;;
    esac
}

printf '| trap |'
for peer in "${peers[@]}"; do printf ' %s |' "${peer%%=*}"; done
printf '\n|---|'
for _ in "${peers[@]}"; do printf -- '---|'; done
printf '\n'
n_bad=0
for source in "$here"/*.c "$here"/*.cc; do
    trap=$(basename "${source%.*}")
    arguments=() settings=
    case $trap in
    trap_module | probation_confirms | loaded_late | sanitized | eintr*) continue ;;
    tls_dynamic | dlopen_storm | dlopen_deepbind | dlmopen_namespace | thread_stack_cache) arguments=("$module") ;;
    sleeping_threads) arguments=(1000) ;;
    probation) settings=probation=careful,floor=1M ;;
    esac
    grep -q '"trap' "$source" || continue
    printf '| %s |' "$trap"
    best=
    for peer in "${peers[@]}"; do
        result=$(run "${peer#*=}" "$bin/$trap" "${arguments[@]}")
        printf ' %s |' "$result"
        [ "${peer%%=*}" != libgcmalloc ] || [[ $result =~ passes|skipped ]] || n_bad=$((n_bad + 1))
        best="$best $result"
    done
    printf '\n'
    [[ $best =~ passes|skipped ]] || { echo "$trap passes nowhere"; n_bad=$((n_bad + 1)); }
done
exit $((n_bad != 0))
