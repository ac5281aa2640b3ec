#!/bin/bash
# usage: examples.sh CC SOURCE_DIR
# The comment of each function of gcmalloc.h has an example, and all of them, one behind the other, compile as one function.
set -u
cc=$1
cd "$2" || exit 1
n_bad=0
examples=$(sed -n '/^extern "C"/,$s/^ \*     \(.*\)$/\1/p' include/gcmalloc.h | sed 's: \*/$::')
functions=$(sed -e 's://.*::' include/gcmalloc.h | tr '\n' ' ' | sed -e 's:/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/: :g' |
    grep -oE '\bgc_[a-z_0-9]+ *\(' | tr -d ' (' | sort -u)
[ -n "$examples" ] && [ -n "$functions" ] || { echo "found nothing to compile"; exit 1; }
for f in $functions; do
    grep -qw -- "$f" <<<"$examples" || { echo "$f has no example"; n_bad=$((n_bad + 1)); }
done
"$cc" -std=gnu11 -Wall -Wextra -Werror -Wno-unused -Iinclude -fsyntax-only -xc - <<EOF || n_bad=$((n_bad + 1))
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
#include "gcmalloc.h"
const struct gc_type *list_type;
struct { char bytes[64]; } pool, *shared;
void pool_drop(int event, void *arg);
void list_close(void *obj, void *arg);
void count_down(void *arg);
int count_block(const struct gc_block *block, void *arg);
void examples(const char *s, size_t n_wanted, char *stack, char *sp, float *pixels, size_t n_pixels)
{
    ucontext_t scheduler, coroutine;
    struct gc_finalizer old;
    uintptr_t hidden;
    size_t size, n_blocks;
    const char *name_of;
    uint64_t value;
$examples
}
EOF
exit $((n_bad != 0))
