#!/bin/bash
# usage: lint_selftest.sh CC OPTIONS_TABLE
# Each check passes on a small sound tree, and fails once the one thing that it looks for is put there.
set -u
cc=$1
table=$2
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n_bad=0
n_tried=0

sound_tree() {
    rm -rf "$dir/tree"
    mkdir -p "$dir/tree"/{include,tests,bench} "$dir/tree/src"/{base,os,heap,gc,api}
    cd "$dir/tree" || exit 1
    { echo text; "$table"; echo more; } >README.md
    printf '#ifndef BASE_A_H\n#define BASE_A_H\n#include <stdint.h>\nint a_get(uint32_t x);\n#endif\n' >src/base/a.h
    printf '#include "base/a.h"\nint a_get(uint32_t x)\n{\n    return (int)x;\n}\n' >src/base/a.c
    printf '#include "base/a.h"\n#include <signal.h>\n' >src/os/o.c
    printf '#include "os/o.h"\n' >src/gc/g.c
    printf '#ifndef OS_O_H\n#define OS_O_H\n#endif\n' >src/os/o.h
    printf '#include "os/o.h"\n#include "base/a.h"\n#include <signal.h>\n' >src/os/o.c
    printf '#ifndef P_H\n#define P_H\nint p_get(void);\n#endif\n' >include/p.h
    printf '#include "p.h"\n#include <signal.h>\n' >src/api/i.c
}

run() {
    case $1 in
    headers) bash "$here/lint_headers.sh" "$dir/tree" "$cc" ;;
    options) bash "$here/lint_options.sh" "$dir/tree" "$table" ;;
    *) bash "$here/lint_$1.sh" "$dir/tree" ;;
    esac >"$dir/out" 2>&1
}

# fails CHECK WHAT: the tree as it is now must fail CHECK
fails() {
    n_tried=$((n_tried + 1))
    if run "$1"; then
        echo "lint_$1 does not find: $2"
        n_bad=$((n_bad + 1))
    fi
    sound_tree
}

repeat() { # COUNT LINE
    local i
    for ((i = 0; i < $1; i++)); do printf '%b\n' "$2"; done
}

sound_tree
for check in includes headers shape texts options; do
    run "$check" || { echo "lint_$check fails on the sound tree:"; cat "$dir/out"; n_bad=$((n_bad + 1)); }
done

echo '#include "os/o.h"' >>src/base/a.c; fails includes "an include of a storey above"
echo '#include "o.h"' >>src/os/o.c; fails includes "an include without a path"
echo '#include "p.h"' >>src/gc/g.c; fails includes "the public header below api"
echo '#include <pthread.h>' >>src/gc/g.c; fails includes "threads named in gc"
echo '#  include <sys/mman.h>' >>src/heap/h.c; fails includes "the kernel named in heap"
echo '#include <stdio.h>' >>src/api/i.c; fails includes "stdio"
echo '#include "base/none.h"' >>src/api/i.c; fails includes "a header that does not exist"
sed -i '1s/^/#include <stdint.h>\n/' src/base/a.c; fails includes "another header before a file's own"
sed -i 's/BASE_A_H/A_H/' src/base/a.h; fails includes "a guard that is not the path"
rm -r src/*; fails includes "that there is nothing to check"

echo '#define N_PARTS 3' >>include/p.h; fails headers "a macro of the public header without our prefix"
sed -i '/stdint/d' src/base/a.h; fails headers "a header that does not compile alone"
sed -i 's/^int a/static int a/' src/base/a.h; fails headers "a header with a warning"
sed -i '2a int new;' include/p.h; fails headers "a public header that is no C++"
sed -i '2a //' include/p.h; sed -i '2a int x(){return ({1;});}' include/p.h; fails headers "a public header that is no strict C"
rm src/*/*.h include/*.h; fails headers "that there is nothing to check"

repeat 501 '' >tests/long.c; fails shape "a file over 500 lines"
mkdir src/os/linux; fails shape "a folder in a storey"
mkdir src/util; fails shape "a sixth storey"
{ echo 'void f(void)'; echo '{'; repeat 81 '    ;'; echo '}'; } >src/gc/f.c; fails shape "a function over 80 lines"
repeat 3 "void f(void)\n{\n$(repeat 12 '    ;')\n}" >src/gc/f.c; fails shape "long functions in the middle"
{ repeat 20 'void f(void)\n{\n}'; repeat 5 "void f(void)\n{\n$(repeat 40 '    ;')\n}"; } >src/gc/f.c
fails shape "too many long functions"
rm src/base/a.c; fails shape "that there is nothing to check"

for text in /wor''k/main 'see Issu''e #12' 'TO''DO: later' 'asked Clau''de' 'in this sess''ion' 'see NONE.md' '/tmp/bash_''jobs'; do
    echo "/* $text */" >>src/base/a.c; fails texts "$text"
done
cd /; rm -r "$dir"/tree/*; fails texts "that there is nothing to check"

rm README.md; fails options "a missing README"
sed -i '/<!-- options/d' README.md; fails options "a missing first marker"
sed -i '/<!-- .options/d' README.md; fails options "a missing second marker"
sed -i '/| `mode`/d' README.md; fails options "a missing row"
sed -i 's/| `100` |/| `101` |/' README.md; fails options "another default"
sed -i '/| `mode`/d' README.md
bash "$here/lint_options.sh" "$dir/tree" "$table" --update
run options || { echo "--update does not mend the README"; n_bad=$((n_bad + 1)); }
[ "$(head -1 README.md) $(tail -1 README.md)" = "text more" ] || { echo "--update changed other lines"; n_bad=$((n_bad + 1)); }

echo "$n_tried faults tried, $n_bad findings"
[ "$n_bad" -eq 0 ]
