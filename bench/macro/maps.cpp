// Containers of the C++ library: an ordered and a hashed map of strings to vectors of strings, filled,
// searched, thinned out and copied. Measures: operator new and sized delete, nodes, strings beyond the small
// buffer, vectors.
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

extern "C" {
#include "bench.h"
}

namespace
{

constexpr unsigned ops_per_scale = 40000;
constexpr unsigned n_keys = 4000;

using Values = std::vector<std::string>;
using Ordered = std::map<std::string, Values>;
using Hashed = std::unordered_map<std::string, Values>;

std::string random_text(struct bench_rng &rng, unsigned max_length)
{
    return std::string(1 + bench_rng_below(&rng, max_length),
                       static_cast<char>('a' + bench_rng_below(&rng, 26)));
}

std::string random_key(struct bench_rng &rng)
{
    return "a key that is no small string " + std::to_string(bench_rng_below(&rng, n_keys));
}

template <class Map> std::uint64_t step(Map &map, struct bench_rng &rng)
{
    std::string key = random_key(rng);
    if (bench_rng_below(&rng, 4) == 0)
        return map.erase(key);
    Values &values = map[key];
    values.push_back(random_text(rng, 80));
    if (values.size() > 6)
        values.erase(values.begin(), values.begin() + 3);
    return values.front().size() + values.size();
}

template <class Map> std::uint64_t sum_of(const Map &map)
{
    std::uint64_t sum = map.size();
    for (const auto &item : map)
        for (const std::string &value : item.second)
            sum += value.size() * static_cast<unsigned char>(value[0]);
    return sum;
}

} // namespace

int main(int argc, char **argv)
{
    struct bench_rng rng = bench_rng_seed(14);
    Ordered ordered;
    Hashed hashed;
    std::uint64_t sum = 0;
    for (unsigned op = ops_per_scale * bench_scale(argc, argv); op > 0; op--) {
        sum = sum * 3 + step(ordered, rng) + step(hashed, rng);
        if (op % ops_per_scale == 0)
            sum += sum_of(Ordered(ordered)) + sum_of(Hashed(hashed));
    }
    bench_print_checksum(sum);
    return 0;
}
