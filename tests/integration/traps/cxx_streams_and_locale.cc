/* What libstdc++ keeps for a program: facets of a locale, buffers of streams, an exception kept by a pointer to it, a
 * function with its captures, a thread's argument, a future's result, thread_local objects. */
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <iostream>
#include <locale>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

#include "test_util.h"

extern "C" int gc_collect_level(int level) __attribute__((weak));

struct comma : std::numpunct<char> {
    char do_thousands_sep() const override { return '\''; }
    std::string do_grouping() const override { return "\3"; }
};
static std::exception_ptr kept;
static std::function<std::string()> function;
static std::map<std::string, std::shared_ptr<std::string>> map;
static std::ostringstream *stream;
static thread_local std::unique_ptr<std::string> local;

// Garbage of many sizes, a collection, and blocks that use again what it took.
static void churn()
{
    if (gc_collect_level == nullptr && std::getenv("GCM_TRAP_PEER") == nullptr)
        TEST_FAIL("the library is not loaded");
    for (int i = 0; i < 200 && gc_collect_level != nullptr && gc_collect_level(1) != 0; i++)
        usleep(500);
    for (size_t size = 16; size <= 512; size += 16)
        for (int i = 0; i < 2000; i++)
            std::memset(std::malloc(size), 0xee, size);
}

static void fill()
{
    std::locale::global(std::locale(std::locale::classic(), new comma));
    stream = new std::ostringstream;
    stream->imbue(std::locale());
    *stream << "a number of millions " << 1234567;
    try {
        throw std::runtime_error("a message that is long enough to be on the heap");
    } catch (...) {
        kept = std::current_exception();
    }
    std::string text = "captured text that is long enough to be on the heap";
    function = [text] { return text; };
    for (int i = 0; i < 500; i++)
        map["key number " + std::to_string(i)] = std::make_shared<std::string>("value number " + std::to_string(i));
    local = std::make_unique<std::string>("a thread's own string, long enough to be on the heap");
}

static void check()
{
    TEST_CHECK(stream->str() == "a number of millions 1'234'567");
    TEST_CHECK(function() == "captured text that is long enough to be on the heap");
    TEST_CHECK(*local == "a thread's own string, long enough to be on the heap");
    for (int i = 0; i < 500; i++)
        TEST_CHECK(*map.at("key number " + std::to_string(i)) == "value number " + std::to_string(i));
    try {
        std::rethrow_exception(kept);
    } catch (const std::runtime_error &e) {
        TEST_CHECK(std::string(e.what()) == "a message that is long enough to be on the heap");
    }
}

int main()
{
    std::promise<void> go;
    std::future<std::string> later = std::async(std::launch::async, [&go] {
        go.get_future().wait();
        return std::string("the result of another thread, long enough to be on the heap");
    });
    fill();
    churn();
    check();
    go.set_value();
    while (later.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready)
        continue;
    churn();
    TEST_CHECK(later.get() == "the result of another thread, long enough to be on the heap");
    std::cout << std::flush;
    check();
    return 0;
}
