#!/bin/bash
# usage: mapped.sh CC SOURCE_DIR LIBGC_INCLUDE_DIR
# Each name that libgc's gc.h and gc_typed.h declare or define is there in ours too, or in the README's list of what is not
# mapped, and so is each header that libgc installs.
set -u
cc=$1
cd "$2" || exit 1
libgc=$3
n_bad=0

# names FOLDER: identifiers GC_* of declarations and of macros, as a program of several threads sees them
names() {
    local -r source='#define GC_THREADS\n#include <gc/gc.h>\n#include <gc/gc_typed.h>\n'
    printf "$source" | "$cc" -I"$1" -E -P -xc - | grep -oE '\bGC_[A-Za-z0-9_]+'
    printf "$source" | "$cc" -I"$1" -E -dM -xc - | awk '{ sub(/\(.*/, "", $2); print $2 }' | grep '^GC_'
}
# What the README lists: names in backquotes, * for any text.
not_mapped=$(sed -n '/^| missing | because |/,/^$/p' README.md | sed 's/|[^|]*|$//' | grep -oE '`[A-Za-z_*.]+`' | tr -d '`')
# Guards, what a compiler can and how libgc was built: nothing that a program asks for.
internal='GC_H GC_*_H GC_INIT_CONF_* GC_TMP_* GC_LINUX_THREADS GC_PTHREADS GC_NO_THREADS GC_THREADS GC_GNUC_PREREQ
    GC_HAVE_* GC_CAN_SAVE_CALL_STACKS GC_PTHREAD_* GC_SUSPEND_THREAD_ID GC_EXTRA* GC_win32_free_heap'
read -ra patterns -d '' <<<"$not_mapped $internal"

# explained NAME
explained() {
    local pattern
    for pattern in "${patterns[@]}"; do
        # shellcheck disable=SC2053
        [[ $1 == $pattern ]] && return
    done
    return 1
}
miss() {
    explained "$1" && return
    echo "$1: neither mapped nor in the README's list"
    n_bad=$((n_bad + 1))
}
theirs=$(names "$libgc" | sort -u)
ours=$(names "$PWD/include/gcmalloc" | sort -u)
[ "$(wc -w <<<"$theirs")" -gt 200 ] && [ -n "$ours" ] && [ -n "$not_mapped" ] || { echo "found nothing to compare"; exit 1; }
for name in $(comm -13 <(echo "$ours") <(echo "$theirs")); do miss "$name"; done
for header in "$libgc"/gc/*.h; do
    case ${header##*/} in gc_config_macros.h | gc_pthread_redirects.h | gc_tiny_fl.h | cord_pos.h) continue ;; esac # of others
    [ -f "include/gcmalloc/${header##*/}" ] || miss "${header##*/}"
done
# A name that is mapped by now has no place in the list.
for name in $not_mapped; do
    grep -qxF -- "$name" <<<"$ours" || continue
    case $name in
    GC_EVENT_START | GC_EVENT_END) ;;                                                         # "other than"
    GC_get_bytes_since_gc | GC_get_total_bytes | GC_get_expl_freed_bytes_since_gc) ;;         # "exact"
    GC_find_leak | GC_remove_roots | GC_all_interior_pointers | GC_free_space_divisor) ;;     # accepted, without effect
    *) echo "$name: is mapped, and in the README's list all the same"; n_bad=$((n_bad + 1)) ;;
    esac
done
exit $((n_bad != 0))
