// A program that may or may not run under the library, as README.md and gcmalloc(3) show it; exceptions pass through frames
// that hold blocks of either kind.
// usage: optional with|without
#include <stdexcept>
#include <string>
#include "gcmalloc.h"
#include "test_util.h"

#pragma weak gc_collect
#pragma weak gc_malloc
#pragma weak gc_get_stats

namespace
{
struct Held {
    void *block = gc_malloc ? gc_malloc(100, 0) : malloc(100);
    std::string text = std::string(100, 'x');
    ~Held()
    {
        free(block);
    }
};

int descend(int depth)
{
    Held held;
    if (depth == 0)
        throw std::runtime_error(held.text);
    return descend(depth - 1) + static_cast<int>(held.text.size());
}
} // namespace

int main(int argc, char **argv)
{
    bool is_expected = argc > 1 && std::string(argv[1]) == "with", is_caught = false;
    TEST_CHECK((gc_collect != nullptr) == is_expected);
    if (gc_collect)
        gc_collect();
    try {
        descend(50);
    } catch (const std::runtime_error &e) {
        is_caught = std::string(e.what()) == std::string(100, 'x');
    }
    TEST_CHECK(is_caught);
    if (gc_get_stats) {
        gc_stats stats;
        TEST_CHECK(gc_get_stats(&stats, sizeof(stats)) == 0 && stats.n_cycles_explicit == 1);
    }
    return 0;
}
