#!/bin/bash
# usage: names.sh SOURCE_DIR
# Each function of gcmalloc.h is called by a test of this folder or of profile, and by interface_everywhere.c, which
# calls them from every place where the header allows it; each of its constants and structures is used by some test.
set -u
cd "$1" || exit 1
code=$(tr '\n' ' ' <include/gcmalloc.h | sed -e 's:/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/: :g')
functions=$(grep -oE '\bgc_[a-z_0-9]+ *\(' <<<"$code" | tr -d ' (' | sort -u)
constants=$(grep -oE '\bGC_[A-Z_0-9]+\b|struct gc_[a-z_]+' <<<"$code" | sort -u)
[ -n "$functions" ] && [ -n "$constants" ] || { echo "found nothing to look for"; exit 1; }
n_missing=0
look() { # WHAT FILE...
    local what=$1
    shift
    grep -qw -- "$what" "$@" || { echo "$what is not in ${1%/*}"; n_missing=$((n_missing + 1)); }
}
for f in $functions; do
    look "$f" tests/integration/interface/interface_everywhere.c
done
while read -r name; do
    look "$name" tests/integration/interface/*.* tests/integration/profile/*.* tests/examples/*.c
done <<<"$functions
$constants"
exit $((n_missing != 0))
