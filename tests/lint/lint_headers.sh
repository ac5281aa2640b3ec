#!/bin/bash
# usage: lint_headers.sh ROOT CC
# Each header compiles alone, without a warning: those of src as our build sees them, the public one also in each strict C
# from C99 on and, where there are compilers for it, in each C++ from C++11 on; and it defines no macro but GC_* and
# GCMALLOC_*.
set -u
cd "$1" || exit 1
cc=$2
warnings="-Wall -Wextra -Wundef -Wshadow -Wstrict-prototypes -Werror"
n_bad=0
n_headers=0

# alone NAME COMPILER...: a file that includes nothing but NAME
alone() {
    local name=$1
    shift
    printf '#include "%s"\nextern int alone;\n' "$name" | "$@" -fsyntax-only -Isrc -Iinclude - && return
    echo "$name does not compile alone: $*"
    n_bad=$((n_bad + 1))
}

for header in src/*/*.h; do
    [ -f "$header" ] || continue
    n_headers=$((n_headers + 1))
    for checking in 0 1; do
        # shellcheck disable=SC2086
        alone "${header#src/}" "$cc" -std=gnu17 -xc $warnings -D_GNU_SOURCE -DGCM_CHECKING=$checking
    done
done
# public HEADER: by each compiler there is
public() {
    local compiler std
    for compiler in "$cc" gcc clang; do
        command -v "$compiler" >/dev/null || continue
        for std in c99 c11 c17 c2x; do
            # shellcheck disable=SC2086
            alone "$1" "$compiler" -std=$std -pedantic -xc $warnings -Wconversion
        done
    done
    for compiler in c++ clang++; do
        command -v "$compiler" >/dev/null || continue
        for std in c++11 c++14 c++17 c++20; do
            alone "$1" "$compiler" -std=$std -pedantic -xc++ -Wall -Wextra -Wundef -Wshadow -Wconversion -Werror
        done
    done
}
# pollution HEADER: macros of its own, beyond those of the standard headers that it includes
pollution() {
    local macros
    macros=$(comm -13 <(grep -oE '^#include <[^>]*>' "include/$1" | "$cc" -std=c11 -dM -E -xc - | sort) \
        <(printf '#include "%s"\n' "$1" | "$cc" -std=c11 -dM -E -xc -Iinclude - | sort) |
        awk '{print $2}' | grep -vE "^(GC|GCMALLOC)_|^$2$")
    [ -z "$macros" ] && return
    echo "$1 defines:" $macros
    n_bad=$((n_bad + 1))
}
for header in include/*.h; do
    [ -f "$header" ] || continue
    n_headers=$((n_headers + 1))
    public "${header#include/}"
    pollution "${header#include/}" "$(basename "${header%.h}" | tr a-z A-Z)_H"
done
for header in include/gcmalloc/*.h; do
    [ -f "$header" ] || continue
    n_headers=$((n_headers + 1))
    public "${header#include/}"
done
echo "$n_headers headers, $n_bad findings"
[ "$n_bad" -eq 0 ] && [ "$n_headers" -gt 0 ]
