#!/bin/bash
# usage: lint_shape.sh ROOT
# No file over 500 lines; in src only the five storeys, with no folder inside; of the functions in src half have at most
# 10 lines, nine in ten at most 36, none more than 80 (the lines between the two braces in column one).
set -u
cd "$1" || exit 1
n_bad=0

bad() {
    echo "$1"
    n_bad=$((n_bad + 1))
}

while IFS= read -r file; do
    n=$(wc -l <"$file")
    [ "$n" -le 500 ] || bad "$file: $n lines"
done < <(find src include tests bench -type f \( -name '*.[chS]' -o -name '*.cc' -o -name '*.sh' -o -name '*.cmake' \
    -o -name CMakeLists.txt \) 2>/dev/null | sort)

while IFS= read -r folder; do
    case $folder in
    src/base | src/os | src/heap | src/gc | src/api) ;;
    *) bad "$folder: not one of the five storeys" ;;
    esac
done < <(find src -mindepth 1 -type d)

lengths=$(awk '
    FNR == 1 { start = 0 }
    $0 == "{" { start = FNR }
    $0 == "}" && start { print FNR - start - 1, FILENAME ":" start; start = 0 }' src/*/*.[ch] | sort -n)
n=$(grep -c . <<<"$lengths")
at() { # the length that so many percent of the functions do not exceed
    sed -n "$(((n * $1 + 99) / 100))p" <<<"$lengths" | cut -d' ' -f1
}
if [ "$n" -eq 0 ]; then
    bad "src: no function found"
else
    echo "$n functions: median $(at 50) lines, 90th percentile $(at 90), longest $(at 100)"
    [ "$(at 50)" -le 10 ] || bad "src: more than half of the functions have over 10 lines"
    [ "$(at 90)" -le 36 ] || bad "src: more than a tenth of the functions have over 36 lines"
    while read -r length place; do
        [ "$length" -le 80 ] || bad "$place: a function of $length lines"
    done <<<"$lengths"
fi
[ "$n_bad" -eq 0 ]
