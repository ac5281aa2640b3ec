#!/usr/bin/env bash
# usage: export_fast_selftest.sh COMPILER OBJDUMP
# The check of gcm_fast must pass a good library and name each fault: built here from a few lines of C.
set -u
compiler=$1 objdump=$2 here=$(dirname "$0")
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n_failed=0

# build NAME BODY-OF-MALLOC
build() {
    cat > "$dir/$1.c" <<EOF
#define HIDDEN __attribute__((visibility("hidden"), noinline, used))
HIDDEN void *alloc_slow(unsigned long n) { __asm__ volatile("" : "+r"(n)); return (void *)n; }
HIDDEN void *other(unsigned long n) { __asm__ volatile("" : "+r"(n)); return (void *)~n; }
void *(*volatile pointer)(unsigned long) = other;
__attribute__((section("gcm_fast"))) void *malloc(unsigned long n) { $2 }
__attribute__((section("gcm_fast"))) void free(void *p) { (void)p; }
EOF
    "$compiler" -O2 -fPIC -shared -w -fno-builtin -fno-stack-protector -o "$dir/$1.so" "$dir/$1.c"
}

expect() { # expect NAME STATUS TEXT
    local out status
    out=$(bash "$here/export_fast.sh" "$objdump" "$dir/$1.so")
    status=$?
    if [ "$status" -ne "$2" ] || ! grep -q "$3" <<< "$out"; then
        printf '%s: status %s, expected %s and "%s":\n%s\n' "$1" "$status" "$2" "$3" "$out"
        n_failed=$((n_failed + 1))
    fi
}

build good 'return n > 9 ? alloc_slow(n) : (void *)n;' && expect good 0 ' 0 faults' || n_failed=1
build call 'return (char *)other(n) + 1;' && expect call 1 'call in malloc' || n_failed=1
build stack 'volatile char b[16]; b[n & 15] = 1; return (void *)n;' &&
    expect stack 1 'use of the stack in malloc' || n_failed=1
build out 'return other(n);' && expect out 1 'jump out to other' || n_failed=1
build indirect 'return pointer(n);' && expect indirect 1 'indirect jump in malloc' || n_failed=1
exit $((n_failed != 0))
