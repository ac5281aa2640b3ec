#!/bin/bash
# usage: run.sh PROGRAM LIBGC-PROGRAM|none RECORDED
# libgc's own warnings are not ours to say. A program on gcmalloc/gc.h says what it says on libgc, and what was recorded.
set -u
ours=$("$1") || { echo "failed: $?"; echo "$ours"; exit 1; }
diff <(echo "$ours") "$3" || { echo "differs from what was recorded"; exit 1; }
[ "$2" = none ] && exit 0
theirs=$("$2" 2>/dev/null) || { echo "libgc's failed: $?"; echo "$theirs"; exit 1; }
diff <(echo "$ours") <(echo "$theirs") || { echo "differs from libgc"; exit 1; }
