#!/bin/bash
# usage: lint_headers.sh ROOT CC
# Each header compiles alone, without a warning: those of src as our build sees them, the public one also as strict C11
# and, where there is a C++ compiler, as C++.
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
    printf '#include "%s"\n' "$name" | "$@" -fsyntax-only -Isrc -Iinclude - && return
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
for header in include/*.h; do
    [ -f "$header" ] || continue
    n_headers=$((n_headers + 1))
    # shellcheck disable=SC2086
    alone "${header#include/}" "$cc" -std=c11 -pedantic -xc $warnings
    if command -v c++ >/dev/null; then
        alone "${header#include/}" c++ -std=c++11 -pedantic -xc++ -Wall -Wextra -Wundef -Wshadow -Werror
    fi
done
echo "$n_headers headers, $n_bad findings"
[ "$n_bad" -eq 0 ] && [ "$n_headers" -gt 0 ]
