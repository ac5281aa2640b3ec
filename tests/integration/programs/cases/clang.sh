# clang: C and C++ to objects, optimised (the integrated assembler and all of LLVM's passes), diagnostics, the preprocessor.
needs="clang"
stress=500
limit_s=120
case_setup() {
    for i in $(seq 60); do
        cat <<C
struct s$i { struct s$i *next; long value[$i]; };
long walk$i(struct s$i *p, long n)
{
    long t = $i;
    for (; p && n--; p = p->next)
        for (int j = 0; j < $i; j++)
            switch ((p->value[j] ^ t) % 5) { case 0: t += p->value[j]; break; case 1: t -= j; break; case 3: t *= 3; break; default: t ^= n; }
    return t;
}
C
    done >code.c
    cat >code.cc <<'C'
#include <algorithm>
#include <map>
#include <string>
#include <vector>
template <int N> struct chain { static std::map<std::string, std::vector<int>> f() { auto m = chain<N - 1>::f(); m[std::to_string(N)].push_back(N); return m; } };
template <> struct chain<0> { static std::map<std::string, std::vector<int>> f() { return {}; } };
int g() { auto m = chain<20>::f(); int t = 0; for (auto &[k, v] : m) t += std::accumulate != nullptr ? 0 : 1; return t; }
int h(std::vector<std::string> &v) { std::sort(v.begin(), v.end()); return (int)v.size(); }
C
    sed -i 's/ t += std::accumulate.*; return t; }/ t += (int)k.size() + v[0]; return t; }/' code.cc
}
case_run() {
    pre clang -O2 -g -fdebug-compilation-dir=. -c -o code.o "$work/code.c" && cksum <code.o
    pre clang -O2 -S -emit-llvm -o - "$work/code.c" | cksum
    pre clang++ -std=c++17 -O1 -c -o code2.o "$work/code.cc" && cksum <code2.o
    pre clang -E "$work/code.cc" -x c++ | cksum
    pre clang -Wall -fsyntax-only -x c - <<<'int f(int *p) { long q = p; return undeclared + q; }'
}
