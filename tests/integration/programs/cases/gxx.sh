# C++ with templates, iostream, regex, map and exceptions; then run, preloaded too.
needs="g++"
stress=3000
limit_s=240
case_setup() {
    cat >big.cc <<'CC'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>
template <int N> struct fib { static constexpr long value = fib<N - 1>::value + fib<N - 2>::value; };
template <> struct fib<1> { static constexpr long value = 1; };
template <> struct fib<0> { static constexpr long value = 0; };
template <int N> struct tower : tower<N - 1> { std::map<std::string, tower<N - 1> *> m; virtual int f() { return N; } };
template <> struct tower<0> { virtual int f() { return 0; } virtual ~tower() = default; };
using value = std::variant<int, std::string, std::vector<double>>;
CC
    for i in $(seq 16); do
        cat <<CC
static long work$i(const std::vector<std::string> &v)
{
    std::map<std::string, std::shared_ptr<std::set<int>>> m;
    std::unordered_map<int, value> u;
    for (size_t i = 0; i < v.size(); i++) {
        auto &p = m[v[i] + std::to_string(i % $i)];
        if (!p) p = std::make_shared<std::set<int>>();
        p->insert(static_cast<int>(i * $i));
        u[static_cast<int>(i)] = i % 2 ? value(v[i]) : value(static_cast<int>(i));
    }
    long sum = std::accumulate(m.begin(), m.end(), 0L, [](long s, const auto &e) { return s + *e.second->begin() + static_cast<long>(e.first.size()); });
    for (auto &e : u) std::visit([&](auto &x) { sum += static_cast<long>(sizeof x); }, e.second);
    try { if (sum % 3 == 0) throw std::runtime_error("three " + std::to_string(sum)); } catch (const std::exception &e) { sum += static_cast<long>(std::string(e.what()).size()); }
    return sum;
}
CC
    done >>big.cc
    {
        echo 'int main() { std::vector<std::string> v; for (int i = 0; i < 500; i++) v.push_back(std::string(i % 40, "abc"[i % 3])); long x = fib<60>::value;'
        for i in $(seq 16); do echo "    x = x * 7 + work$i(v);"; done
        echo '    std::ostringstream o; o << x; tower<20> t; std::cout << std::regex_replace(o.str(), std::regex("[0-4]+"), "<$&>") << t.f() << std::endl; return 0; }'
    } >>big.cc
}
case_run() {
    cp "$work/big.cc" . || return
    pre g++ -std=c++17 -O1 -S -o big.s big.cc && cksum <big.s
    pre g++ -std=c++17 -O0 -g big.cc -o big
    pre ./big
}
