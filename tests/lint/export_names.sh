#!/usr/bin/env bash
# usage: export_names.sh SOURCE_DIR COMPILER NM SHARED STATIC
# The libraries define the names of src/api/interposed.h and no others: in the shared one gc_* carry the version node, what
# we interpose carries no version (else references such as malloc@GLIBC_2.2.5 would pass over it), and each function
# of gcmalloc.h is there.
set -u
source=$1 compiler=$2 nm=$3 shared=$4 static=$5
# LLVM's does not tell versions; binutils' reads whatever this machine runs.
"$nm" --help 2>&1 | grep -q with-symbol-versions || nm=nm
n_bad=0
bad() { echo "$*"; n_bad=$((n_bad + 1)); }

names_of() { # names_of TABLE : the names that a table of interposed.h lists
    printf '#include "api/interposed.h"\n#define X(n) @n@\n#define R(n, v) @n@\n%s\n' "$1" |
        "$compiler" -E -P -I"$source/src" -x c - | grep -o '@ *[A-Za-z0-9_]* *@' | tr -d '@ ' | sort
}
interposed=$(names_of 'INTERPOSED_REAL(R) INTERPOSED_OWN(X)')
functions=$(names_of 'EXPORTED_GC(X)')
[ "$(wc -w <<< "$interposed $functions")" -gt 50 ] || bad "the tables of interposed.h could not be read"

wanted=$(printf '%s\n' $interposed $(sed 's/$/@@GCMALLOC_0/' <<< "$functions") GCMALLOC_0 | sort)
found=$("$nm" -D --defined-only --with-symbol-versions "$shared" | awk '{ print $NF }' | sort)
difference=$(diff <(echo "$wanted") <(echo "$found") | grep '^[<>]') &&
    bad "shared library (<: missing, >: not in the table):"$'\n'"$difference"

wanted=$(printf '%s\n' $interposed $functions | sort)
found=$("$nm" -g --defined-only "$static" | awk 'NF == 3 { print $NF }' | sort)
difference=$(diff <(echo "$wanted") <(echo "$found") | grep '^[<>]') &&
    bad "static library (<: missing, >: not in the table):"$'\n'"$difference"

declared=$(printf '#include <gcmalloc.h>\n' | "$compiler" -E -P -I"$source/include" -x c - | tr -d '\n' | tr ';' '\n' |
    grep -v typedef | grep -oE '\bgc_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u)
# Inline functions of the header are declared there and exported nowhere.
inline=$(sed -n 's/^static inline.*\b\(gc_[a-z0-9_]*\)(.*/\1/p' "$source/include/gcmalloc.h" | sort)
difference=$(diff <(echo "$functions") <(comm -23 <(echo "$declared") <(echo "$inline")) | grep '^[<>]') &&
    bad "gcmalloc.h (<: not declared, >: not in the table):"$'\n'"$difference"
exit $((n_bad != 0))
