// A C++ program that leaks maps of strings: red-black nodes, string buffers and vectors, none of them
// deleted.
//
// usage: leak_cxx_maps total_mb limit_mb
// Proves: operator new's blocks are collected like malloc's, and the live maps keep every key and value.
#include <cinttypes>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "test_util.h"

namespace
{
constexpr unsigned kLive = 64, kKeys = 200;
using Map = std::map<std::string, std::vector<std::string>>;

struct Live {
    Map *map = nullptr;
    uint64_t seed = 0;
};

uint64_t bytes_allocated = 0;

std::string text(uint64_t seed, unsigned i)
{
    char buffer[96];
    int n = snprintf(buffer, sizeof buffer, "key-%016" PRIx64 "-%u-", seed, i);
    return std::string(buffer, static_cast<size_t>(n)) +
           std::string(20 + (seed + i) % 90, static_cast<char>('a' + i % 26));
}

Map *map_new(uint64_t seed)
{
    auto *m = new Map;
    for (unsigned i = 0; i < kKeys; i++) {
        std::string key = text(seed, i);
        (*m)[key] = {text(seed + 1, i), text(seed + 2, i)};
        bytes_allocated += 4 * key.size() + 120;
    }
    return m;
}

void live_verify(const Live &l)
{
    if (l.map == nullptr)
        return;
    TEST_CHECK(l.map->size() == kKeys);
    for (unsigned i = 0; i < kKeys; i++) {
        auto it = l.map->find(text(l.seed, i));
        if (it == l.map->end() || it->second.size() != 2 || it->second[0] != text(l.seed + 1, i) ||
            it->second[1] != text(l.seed + 2, i))
            TEST_FAIL("a live map lost key %u", i);
    }
}
} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        TEST_FAIL("usage: leak_cxx_maps total_mb limit_mb");
    uint64_t total = strtoull(argv[1], nullptr, 10) << 20;
    long limit_mb = strtol(argv[2], nullptr, 10);
    uint64_t random = test_env_number("GCM_SEED", 1);
    std::vector<Live> live(kLive);
    while (bytes_allocated < total) {
        uint64_t r = test_random(&random);
        Live &l = live[r % kLive];
        if (((r >> 16) & 3) == 0)
            live_verify(l);
        l.map = map_new(l.seed = test_random(&random));
    }
    for (const Live &l : live)
        live_verify(l);

    long peak_mb = test_peak_rss_mb();
    printf("allocated %" PRIu64 " MB, peak %ld MB\n", bytes_allocated >> 20, peak_mb);
    if (peak_mb <= 0 || peak_mb >= limit_mb)
        TEST_FAIL("peak resident %ld MB, limit %ld MB", peak_mb, limit_mb);
    return 0;
}
