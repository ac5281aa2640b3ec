// An exception object with what it carries is known only to the C++ runtime while it unwinds: a destructor on
// the way collects, overwrites, and the handler finds everything whole. Also across threads, by
// exception_ptr.
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "test_util.h"

extern "C" int gc_collect_level(int level) __attribute__((weak));

namespace
{
void churn()
{
    bool is_peer = gc_collect_level == nullptr && getenv("GCM_TRAP_PEER") != nullptr;
    if (gc_collect_level == nullptr && !is_peer)
        TEST_FAIL("the library is not loaded");
    bool is_done = is_peer; // a skipped cycle proves nothing
    for (int i = 0; i < 200 && !is_done; i++)
        is_done = gc_collect_level(1) == 0 || getenv("GCM_EMULATED") != nullptr;
    TEST_CHECK(is_done);
    std::vector<void *> blocks;
    for (size_t size = 16; size < 700; size += 16)
        for (int i = 0; i < 300; i++) {
            blocks.push_back(malloc(size));
            memset(blocks.back(), 0xee, size);
        }
    for (void *b : blocks)
        free(b);
}

struct Collector {
    ~Collector()
    {
        churn();
    }
};

struct Failure : std::runtime_error {
    std::vector<std::string> words;
    explicit Failure(const std::string &what) : std::runtime_error(what)
    {
        for (int i = 0; i < 100; i++)
            words.push_back(what + std::to_string(i));
    }
};

void __attribute__((noinline)) deep(int depth)
{
    Collector c;
    if (depth == 0)
        throw Failure("a long enough text to lie on the heap and not in the string ");
    deep(depth - 1);
}

void check(const Failure &f)
{
    TEST_CHECK(f.words.size() == 100);
    for (int i = 0; i < 100; i++)
        TEST_CHECK(f.words[static_cast<size_t>(i)] == f.what() + std::to_string(i));
}
} // namespace

int main()
{
    try {
        deep(5);
    } catch (const Failure &f) {
        churn();
        check(f);
    }
    std::exception_ptr kept;
    std::thread([&] {
        try {
            deep(2);
        } catch (...) {
            kept = std::current_exception();
        }
    }).join();
    churn();
    try {
        std::rethrow_exception(kept);
    } catch (const Failure &f) {
        check(f);
    }
    return 0;
}
