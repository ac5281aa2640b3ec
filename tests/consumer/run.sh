#!/usr/bin/env bash
# usage: run.sh find_package|pkg_config|full_static|deb BUILD_DIR CC CMAKE
# Install into a fresh prefix, as a user would, and build the project beside this file against it. 77: cannot be tried here.
set -u
mode=$1 build=$2 cc=$3 cmake=$4
project=$(cd "$(dirname "$0")/project" && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
prefix=$dir/prefix
fail() { echo "$*"; exit 1; }

install_prefix() {
    "$cmake" --install "$build" --prefix "$prefix" > "$dir/install.log" 2>&1 || { cat "$dir/install.log"; exit 1; }
    libdir=$(dirname "$(find "$prefix" -name libgcmalloc.so)")
}

find_package() {
    install_prefix
    "$cmake" -S "$project" -B "$dir/b" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" > "$dir/log" 2>&1 &&
        "$cmake" --build "$dir/b" >> "$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
    "$dir/b/shared" || fail "shared"
    "$dir/b/static" || fail "static"
    ! ldd "$dir/b/static" | grep -q gcmalloc || fail "static needs the shared library"
}

pkg_config() {
    command -v pkg-config > /dev/null || exit 77
    install_prefix
    export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir
    flags=$(pkg-config --cflags --libs gcmalloc) || exit 1
    # shellcheck disable=SC2086
    "$cc" "$project/main.c" -o "$dir/shared" $flags -ldl && "$dir/shared" || fail "shared"
    flags=$(pkg-config --static --cflags --libs gcmalloc) || exit 1
    # shellcheck disable=SC2086
    "$cc" "$project/main.c" -o "$dir/static" ${flags/-lgcmalloc/-l:libgcmalloc.a} && "$dir/static" || fail "static"
    # A program for libgc, by either name of its header, and what looks for a symbol.
    for header in gc.h gc/gc.h; do
        printf '#include <%s>\nint main(void) { GC_INIT(); return GC_MALLOC(10) == 0; }\n' "$header" > "$dir/gc.c"
        "$cc" "$dir/gc.c" -I"$prefix/include/gcmalloc" -L"$libdir" -lgcmalloc -o "$dir/gc" && "$dir/gc" || fail "$header"
    done
    printf 'char GC_malloc(void);\nint main(void) { return &GC_malloc == 0; }\n' > "$dir/gc.c"
    "$cc" "$dir/gc.c" -L"$libdir" -lgcmalloc_boehm -lgcmalloc -o "$dir/gc" 2> "$dir/log" && "$dir/gc" || fail "GC_malloc"
    [ "$(pkg-config --modversion gcmalloc)" = "$("$prefix"/bin/gcrun --version | sed 's/gcrun //')" ] || fail "version"
    "$prefix/bin/gcrun" true || fail "installed gcrun"
}

# Without a dynamic linker there is no libc to stand in front of: either it works for one thread, or the linker says why.
full_static() {
    install_prefix
    printf '#include <stdlib.h>\nint main(void) { char *p = malloc(10); free(p); return !p; }\n' > "$dir/one.c"
    if "$cc" -static "$dir/one.c" -o "$dir/one" "$libdir/libgcmalloc.a" > "$dir/log" 2>&1; then
        "$dir/one" || fail "a static program links and does not run: $?"
        # Neither the thread of finalizers can be started there nor that of a second marker: collections go without.
        "$cc" -static -O1 "$project/static.c" -I"$prefix/include" -o "$dir/one" "$libdir/libgcmalloc.a" > "$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
        "$dir/one" || fail "a static program that collects: $?"
    else
        grep -q 'undefined reference' "$dir/log" || { cat "$dir/log"; exit 1; }
        grep -m 1 'undefined reference' "$dir/log"
    fi
}

deb() {
    local cpack=${cmake%cmake}cpack
    command -v dpkg-deb dpkg-shlibdeps "$cpack" > /dev/null || exit 77
    "$cpack" -G DEB --config "$build/CPackConfig.cmake" -B "$dir" > "$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
    dpkg-deb -c "$dir"/libgcmalloc*.deb > "$dir/list" || exit 1
    for file in /bin/gcrun /include/gcmalloc.h libgcmalloc.so.0.1.0 libgcmalloc.a libgcmalloc_boehm.a include/gcmalloc/gc/gc.h gcmalloc.pc gcmallocConfig.cmake \
        man1/gcrun.1 man3/gcmalloc.3; do
        grep -q "$file" "$dir/list" || fail "package lacks $file"
    done
    dpkg-deb -f "$dir"/libgcmalloc*.deb Depends | grep -q libc6 || fail "package does not depend on libc6"
}

"$mode"
