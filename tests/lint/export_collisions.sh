#!/usr/bin/env bash
# usage: export_collisions.sh NM SHARED
# No gc_* name of ours may be defined by a program that the tests preload, or by a library of its: one of the two would
# get the other's. php, for one, defines gc_enable and gc_protect. Programs that are not installed are passed over.
set -u
nm=$1 shared=$2
ours=$("$nm" -D --defined-only "$shared" | awk '{ sub(/@.*/, "", $NF); print $NF }' | grep '^gc_' | sort)
[ -n "$ours" ] || { echo "found no gc_ names in $shared"; exit 1; }

programs="bash cmake curl java ffmpeg g++ gawk gcc gdb gs git grep gzip lua5.4 make memcached nginx node openssl perl php
    ps python3 redis-server ruby sqlite3 strace tar tmux vim xz"
files=$(for program in $programs; do
    path=$(realpath "$(command -v "$program")" 2> /dev/null) && [ -f "$path" ] || continue
    echo "$path"
    ldd "$path" 2> /dev/null | awk '$3 ~ /^\// { print $3 }'
done | sort -u)

# shellcheck disable=SC2086
both=$("$nm" -A -D --defined-only $files 2> /dev/null | awk '{ sub(/@.*/, "", $NF); sub(/:.*/, "", $1); print $1, $NF }' |
    grep -E ' gc_' | while read -r file name; do
        grep -qxF "$name" <<< "$ours" && echo "$file defines $name"
    done)
[ -z "$both" ] || echo "$both"
echo "$(wc -l <<< "$ours") names, $(wc -l <<< "$files") programs and libraries"
[ -n "$files" ] && [ -z "$both" ]
