#!/bin/bash
# Takes the figures of README.md anew: about ten minutes on two cores that nobody else uses, with --collector half an hour.
# usage: bench/record.sh [--collector] [--build DIR] [--library FILE] [--rounds N] [--peer 'NAME=FILE (VERSION)'] [--brief]
# What: four invocations of `run` (macro, real, micro, gc), their raw lines in results/DATE.csv, pictures of them beside (picture.awk), their tables and
#       the machine's description between the two markers of README.md. Without the library it records the
#       peers alone.
# --collector: the collector at size instead (graphs of 100 MB to 4 GB, trees of depth 18 to 21, requests on 200 MB and 1 GB, growth to 4 GB),
#         between two markers of its own, raw lines in results/DATE-collector.csv. Takes 6 GiB of memory.
# --peer: one more allocator for the programs of these groups but gc, built by hand and newer than what is packaged; may be repeated.
# --brief: one round at a small scale, to try the script itself; writes to a temporary folder instead.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$here/../build library='' rounds=5 scale=10 gc_scale=32 brief=no block=figures
readme=$here/README.md results=$here/results
peers='' peer_texts=()

while [ $# -gt 0 ]; do
    case $1 in
    --collector) block=collector; shift ;;
    --build) build=$2; shift 2 ;;
    --library) library=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --peer)
        peers+=,${2%% (*}
        peer_texts+=("${2%%=*} ${2##* }")
        shift 2 ;;
    --brief) brief=yes; shift ;;
    *) sed -n '3p' "$0" >&2; exit 2 ;;
    esac
done
if [ $brief = yes ]; then
    rounds=1 scale=1 gc_scale=1 results=$(mktemp -d)
    cp "$readme" "$results/README.md"
    readme=$results/README.md
fi
if [ -z "$library" ] && [ -e "$build/libgcmalloc.so" ]; then
    library=$(realpath "$build/libgcmalloc.so")
fi

[ $block = figures ] || [ -n "$library" ] || { echo "record.sh: --collector needs the library" >&2; exit 2; }

day=$(date +%Y-%m-%d)
name=$day
[ $block = figures ] || name+=-$block
csv=$results/$name.csv
[ ! -e "$csv" ] || csv=$results/$name-$(date +%H%M).csv
tables=$(mktemp)
trap 'rm -f "$tables"' EXIT

losses=()
plain="glibc,mimalloc?,jemalloc?,tcmalloc?$peers" gc='free:exe=free'
mimalloc=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | awk '$1 ~ /^libmimalloc\.so/ && !n++ { print $NF }')
[ -z "$mimalloc" ] || gc+=",mimalloc-free=$mimalloc:exe=free"
gc+=',boehm?:exe=boehm'
if [ -n "$library" ]; then
    losses=(--losses gcmalloc)
    plain+=",gcmalloc=$library,gcmalloc-off=$library:mode=off"
    gc+=",gcmalloc?:exe=gcmalloc,gcmalloc-leak=$library:exe=leak,gcmalloc-free=$library:exe=free"
fi

run_tables() {
    local title=$1
    shift
    printf '\n### %s\n' "$title" >>"$tables"
    # FAILED runs are in the tables; they must not keep the other tables from being written.
    "$here/run" --build "$build" --csv "$csv" --append --format md ${losses[@]+"${losses[@]}"} "$@" \
        >>"$tables" ||
        printf '\nSome runs FAILED.\n' >>"$tables"
}

# The pictures lie beside the raw lines that they are drawn from.
draw() { # draw GROUP
    local what svg
    printf '\n' >>"$tables"
    for what in time memory; do
        svg=${csv%.csv}-$1-$what.svg
        awk -v group="$1" -v what=$what -v clock=elapsed -f "$here/picture.awk" "$csv" >"$svg" || { rm -f "$svg"; continue; }
        printf '![%s, %s](results/%s)\n' "$1" "$what" "${svg##*/}" >>"$tables"
    done
}

package_versions() {
    dpkg-query -W -f '${Package} ${Version}\n' 'libmimalloc*' libjemalloc2 'libtcmalloc-minimal*' libgc1 \
        2>/dev/null | awk 'NF == 2 { printf "%s%s %s", sep, $1, $2; sep = ", " }'
}

machine_print() {
    printf 'Recorded %s. %s, %s cores, %s GiB; Linux %s; %s; huge pages: %s; %s; %s.\n' "$day" \
        "$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
        "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" "$(uname -r)" \
        "$(getconf GNU_LIBC_VERSION)" \
        "$(sed 's/.*\[\(.*\)\].*/\1/' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null)" \
        "$(cc --version | head -1)" "$(package_versions)"
    # shellcheck disable=SC2016 # backticks of markdown
    printf 'Load when it began: %s. Raw figures: `results/%s`.\n' \
        "$(cut -d' ' -f1-3 /proc/loadavg)" "${csv##*/}"
    [ ${#peer_texts[@]} = 0 ] || printf 'Built from source: %s.\n' "$(printf '%s, ' "${peer_texts[@]}" | sed 's/, $//')"
    [ $block = collector ] || printf '%s rounds; scale %s (gc: %s).\n' "$rounds" "$scale" "$gc_scale"
}

record_figures() {
    run_tables 'Programs (macro)' --libs "$plain" --programs macro --rounds "$rounds" --scale "$scale"
    draw macro
    run_tables 'Programs that people run (real)' --libs "$plain" --programs real --rounds "$rounds" --scale "$scale"
    draw real
    run_tables 'Single operations (micro)' --libs "$plain" --programs micro --rounds $(((rounds + 1) / 2)) --scale "$scale"
    run_tables 'Collectors (gc)' --libs "$gc" --programs gc --rounds $(((rounds + 1) / 2)) --scale "$gc_scale"
    draw gc
}

# A size is a scale, or its binary logarithm, of its program. One round where a run takes minutes.
record_collector() {
    local size graphs=boehm?:exe=boehm,gcmalloc:exe=gcmalloc,gcmalloc-1:exe=gcmalloc:markers=1 share=1
    [ $brief = no ] || share=20
    for size in 20 200 800; do
        run_tables "Marking, $((size * 5 / share)) MB" --libs "$graphs,gcmalloc-4k:exe=gcmalloc:hugepages=no" \
            --programs graph_local,graph_random --rounds $((size < 800 ? (rounds + 1) / 2 : 1)) --scale $((size / share)) --timeout 900
    done
    for size in 18 19 20 21; do
        run_tables "Trees of depth $size, one thread and two" --libs "${gc/,gcmalloc-leak*/}" \
            --programs bintrees,bintrees2 --rounds $((size < 21 ? (rounds + 1) / 2 : 1)) --scale $(((1 << (size - 12)) / share))
    done
    for size in 20 100; do
        run_tables "Requests on $((size * 10 / share)) MB" --libs "${gc/,gcmalloc-leak*/}" \
            --programs latency --rounds $(((rounds + 1) / 2)) --scale $((size / share))
    done
    for size in 10 50 200; do
        run_tables "Growth to $((size * 20 / share)) MB, all freed by the program" \
            --libs "gcmalloc-off=$library:mode=off,gcmalloc=$library" --programs growing --rounds "$rounds" --scale $(((size + share - 1) / share))
    done
}

machine_print >>"$tables"
mkdir -p "$results"
awk -v cores="$(nproc)" '$1 > cores / 4 { print "record.sh: the machine is busy: load " $1 }' /proc/loadavg >&2
record_$block

awk -v tables="$tables" -v block="$block" '
    $0 == "<!-- " block ": end -->" { inside = 0 }
    !inside { print }
    $0 == "<!-- " block ": begin -->" { inside = 1; while ((getline line < tables) > 0) print line }
' "$readme" >"$tables.readme"
cat "$tables.readme" >"$readme"
rm -f "$tables.readme"
echo "written: $csv and $readme"
