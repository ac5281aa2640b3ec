#!/usr/bin/env bash
# usage: export_man.sh SOURCE_DIR
# gcmalloc(3) must name each option of the table and each function of the header.
set -u
cd "$1" || exit 1
man=include/gcmalloc.3
n_missing=0
look() {
    grep -qwF -- "$1" "$man" || { echo "$man does not name $2 $1"; n_missing=$((n_missing + 1)); }
}
options=$(sed -n 's/^ *ROW_[A-Z]*("\([a-z_]*\)".*/\1/p' src/base/options_table.c)
functions=$(sed -e 's://.*::' include/gcmalloc.h | tr '\n' ' ' | sed -e 's:/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/: :g' |
    grep -oE '\bgc_[a-z_0-9]+ *\(' | grep -vE '_fn' | tr -d ' (' | sort -u)
[ -n "$options" ] && [ -n "$functions" ] || { echo "found no options or no functions to look for"; exit 1; }
for word in $options; do look "$word" option; done
for word in $functions; do look "$word" function; done
exit $((n_missing != 0))
