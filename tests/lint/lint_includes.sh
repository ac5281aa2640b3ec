#!/bin/bash
# usage: lint_includes.sh ROOT
# Which file may include what:
#   a storey's files include by path from src, and only from their own storey and those below;
#   the public header is for api alone;
#   base, heap and gc name neither kernel nor threads: they have a short list of plain headers;
#   stdio is for gcrun, a program of its own;
#   a .c includes its own header first; a header's guard is its path.
set -u
cd "$1/src" || exit 1
storeys=(base os heap gc api)
plain=' errno.h immintrin.h inttypes.h arm_neon.h limits.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdlib.h string.h sys/types.h '
n_bad=0
n_files=0

bad() {
    echo "src/$1: $2"
    n_bad=$((n_bad + 1))
}

# quoted FILE STOREY ALLOWED INCLUDED
quoted() {
    local from=${4%%/*}
    if [ "$from" = "$4" ]; then
        [ "$2" = api ] && [ -f "../include/$4" ] || bad "$1" "\"$4\" has no path from src"
    elif [[ " $3 " != *" $from "* ]]; then
        bad "$1" "\"$4\" is not of this storey or one below"
    elif [ ! -f "$4" ]; then
        bad "$1" "\"$4\" does not exist"
    fi
}

# angled FILE STOREY INCLUDED
angled() {
    case $2 in
    base | heap | gc) [[ $plain == *" $3 "* ]] || bad "$1" "<$3> is for os and api" ;;
    esac
    [ "$3" != stdio.h ] || [[ $1 == api/gcrun*.c ]] || bad "$1" "<$3> allocates and locks"
}

check_guard() {
    local guard
    guard=$(tr 'a-z/.' 'A-Z__' <<<"$1")
    grep -qx "#ifndef $guard" "$1" && grep -qx "#define $guard" "$1" || bad "$1" "the guard is not $guard"
}

check_file() {
    local file=$1 storey=$2 allowed=$3 first='' kind name
    while read -r kind name; do
        first=${first:-$name}
        [ "$kind" = q ] && quoted "$file" "$storey" "$allowed" "$name"
        [ "$kind" = a ] && angled "$file" "$storey" "$name"
    done < <(sed -nE 's/^[ \t]*#[ \t]*include[ \t]*"([^"]*)".*/q \1/p; s/^[ \t]*#[ \t]*include[ \t]*<([^>]*)>.*/a \1/p' "$file")
    case $file in
    *.h) check_guard "$file" ;;
    *.c) [ ! -f "${file%.c}.h" ] || [ "$first" = "${file%.c}.h" ] || bad "$file" "its own header is not included first" ;;
    esac
}

allowed=''
for storey in "${storeys[@]}"; do
    allowed="$allowed $storey"
    for file in "$storey"/*.[chS]; do
        [ -f "$file" ] || continue
        n_files=$((n_files + 1))
        check_file "$file" "$storey" "$allowed"
    done
done
echo "$n_files files, $n_bad findings"
[ "$n_bad" -eq 0 ] && [ "$n_files" -gt 0 ]
