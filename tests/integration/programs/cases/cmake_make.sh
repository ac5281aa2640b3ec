# cmake configures and make -j2 builds a project of 30 files; the product runs. Everything they start is preloaded too.
needs="cmake make gcc"
stress=2000
limit_s=240
case_setup() {
    mkdir src
    {
        echo 'cmake_minimum_required(VERSION 3.10)'
        echo 'project(many C)'
        echo 'include(CheckIncludeFile)'
        echo 'check_include_file(stdint.h HAVE_STDINT)'
        echo 'file(GLOB files f*.c)'
        echo 'add_library(parts STATIC ${files})'
        echo 'add_executable(many main.c)'
        echo 'target_link_libraries(many parts)'
        printf '%s\n' 'foreach(i RANGE 3000)' '  list(APPEND l item${i})' 'endforeach()'
        printf '%s\n' 'list(SORT l)' 'list(LENGTH l n)' 'message(STATUS "items ${n}")'
        printf '%s\n' 'string(REGEX REPLACE "item([0-9]+)" "<\\\\1>" t "${l}")' 'string(LENGTH "${t}" n)' 'message(STATUS "length ${n}")'
    } >src/CMakeLists.txt
    for i in $(seq 30); do
        echo "#include <stdlib.h>
int f$i(int n) { int *a = malloc(sizeof(int) * (n + 1)); for (int i = 0; i <= n; i++) a[i] = i * $i; int s = a[n / 2]; free(a); return s; }" >"src/f$i.c"
    done
    {
        echo '#include <stdio.h>'
        for i in $(seq 30); do echo "int f$i(int);"; done
        echo 'int main(void) { int s = 0;'
        for i in $(seq 30); do echo "s += f$i($i);"; done
        echo 'printf("%d\n", s); return 0; }'
    } >src/main.c
}
case_project() { sed '/^-- \(Detecting\|Check for\|The C\)/d; s/^-- \(Configuring\|Generating\) done.*/-- done/; s/^\[ *[0-9]*%\] //' | sort; }
case_run() {
    cp -r "$work/src" src
    unset MAKEFLAGS MFLAGS MAKELEVEL CMAKE_GENERATOR
    pre cmake -G 'Unix Makefiles' -S src -B build
    pre make -C build -j2 --no-print-directory
    pre ./build/many
    pre make -C build --no-print-directory -s
    pre make -C src no-such-target
}
