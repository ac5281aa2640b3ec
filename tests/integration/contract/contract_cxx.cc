// All eight forms of operator new and the twelve of operator delete, the new handler, bad_alloc, nothrow.
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <malloc.h>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "test_util.h"

namespace
{
volatile std::size_t zero = 0;
constexpr std::size_t kTooLarge = static_cast<std::size_t>(PTRDIFF_MAX) - 4096;
const std::size_t sizes[] = {0, 1, 8, 16, 24, 100, 1000, 5000, 33000, 200000, 2000000};
using std::align_val_t;

void *use(void *block, std::size_t size, std::size_t align)
{
    TEST_CHECK(block != nullptr);
    TEST_CHECK(reinterpret_cast<std::uintptr_t>(block) % align == 0);
    TEST_CHECK(malloc_usable_size(block) >= size);
    test_fill(block, malloc_usable_size(block), 3);
    TEST_CHECK(test_is_filled(block, malloc_usable_size(block), 3));
    return block;
}

void plain_pairs()
{
    for (std::size_t n : sizes) {
        ::operator delete(use(::operator new(n), n, 16));
        ::operator delete[](use(::operator new[](n), n, 16));
        ::operator delete(use(::operator new(n, std::nothrow), n, 16));
        ::operator delete[](use(::operator new[](n, std::nothrow), n, 16));
        ::operator delete(use(::operator new(n), n, 16), n);
        ::operator delete[](use(::operator new[](n), n, 16), n);
        ::operator delete(use(::operator new(n), n, 16), std::nothrow);
        ::operator delete[](use(::operator new[](n), n, 16), std::nothrow);
    }
}

void aligned_pairs()
{
    for (std::size_t n : sizes)
        for (std::size_t a = 32; a <= 65536; a *= 4) {
            const align_val_t align{a};
            ::operator delete(use(::operator new(n, align), n, a), align);
            ::operator delete[](use(::operator new[](n, align), n, a), align);
            ::operator delete(use(::operator new(n, align, std::nothrow), n, a), align);
            ::operator delete[](use(::operator new[](n, align, std::nothrow), n, a), align);
            ::operator delete(use(::operator new(n, align), n, a), n, align);
            ::operator delete[](use(::operator new[](n, align), n, a), n, align);
            ::operator delete(use(::operator new(n, align), n, a), align, std::nothrow);
            ::operator delete[](use(::operator new[](n, align), n, a), align, std::nothrow);
        }
}

void deletes_of_null()
{
    void *volatile null = nullptr;
    const align_val_t align{64};
    ::operator delete(null);
    ::operator delete[](null);
    ::operator delete (null, std::size_t{8});
    ::operator delete[](null, std::size_t{8});
    ::operator delete(null, std::nothrow);
    ::operator delete[](null, std::nothrow);
    ::operator delete(null, align);
    ::operator delete[](null, align);
    ::operator delete (null, std::size_t{8}, align);
    ::operator delete[](null, std::size_t{8}, align);
    ::operator delete(null, align, std::nothrow);
    ::operator delete[](null, align, std::nothrow);
}

template <class F> void throws_bad_alloc(F f)
{
    bool caught = false;
    try {
        void *volatile block = f();
        (void)block;
    } catch (const std::bad_alloc &e) {
        caught = e.what() != nullptr;
    }
    TEST_CHECK(caught);
}

void too_large_throws()
{
    const std::size_t n = kTooLarge + zero;
    const align_val_t align{64};
    throws_bad_alloc([&] { return ::operator new(n); });
    throws_bad_alloc([&] { return ::operator new[](n); });
    throws_bad_alloc([&] { return ::operator new(n, align); });
    throws_bad_alloc([&] { return ::operator new[](n, align); });
    throws_bad_alloc([&] { return new std::uint64_t[(SIZE_MAX >> 4) - 1 + zero]; });
    TEST_CHECK(::operator new(n, std::nothrow) == nullptr);
    TEST_CHECK(::operator new[](n, std::nothrow) == nullptr);
    TEST_CHECK(::operator new(n, align, std::nothrow) == nullptr);
    TEST_CHECK(::operator new[](n, align, std::nothrow) == nullptr);
}

int handler_calls = 0;

void handler_gives_up()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

void handler_throws()
{
    handler_calls++;
    throw std::bad_alloc();
}

struct Other : std::bad_alloc {
};

void handler_throws_other()
{
    handler_calls++;
    throw Other();
}

// The handler is called until it gives up or throws, for each form.
template <class F> void calls_handler(F f)
{
    handler_calls = 0;
    std::set_new_handler(handler_gives_up);
    throws_bad_alloc(f);
    TEST_CHECK(handler_calls == 3);
    std::set_new_handler(handler_throws_other);
    handler_calls = 0;
    bool caught = false;
    try {
        void *volatile block = f();
        (void)block;
    } catch (const Other &) {
        caught = true;
    }
    TEST_CHECK(caught && handler_calls == 1);
    std::set_new_handler(nullptr);
}

template <class F> void nothrow_calls_handler(F f)
{
    handler_calls = 0;
    std::set_new_handler(handler_gives_up);
    TEST_CHECK(f() == nullptr);
    TEST_CHECK(handler_calls == 3);
    handler_calls = 0;
    std::set_new_handler(handler_throws); // must be swallowed
    TEST_CHECK(f() == nullptr);
    TEST_CHECK(handler_calls == 1);
    std::set_new_handler(nullptr);
}

void new_handlers()
{
    const std::size_t n = kTooLarge + zero;
    const align_val_t align{64};
    calls_handler([&] { return ::operator new(n); });
    calls_handler([&] { return ::operator new[](n); });
    calls_handler([&] { return ::operator new(n, align); });
    calls_handler([&] { return ::operator new[](n, align); });
    nothrow_calls_handler([&] { return ::operator new(n, std::nothrow); });
    nothrow_calls_handler([&] { return ::operator new[](n, std::nothrow); });
    nothrow_calls_handler([&] { return ::operator new(n, align, std::nothrow); });
    nothrow_calls_handler([&] { return ::operator new[](n, align, std::nothrow); });
}

// Frames between the throwing operator and the catch are unwound, destructors run.
struct Counter {
    static int alive;
    Counter()
    {
        alive++;
    }
    ~Counter()
    {
        alive--;
    }
};
int Counter::alive = 0;

void __attribute__((noinline)) deep(int depth)
{
    Counter c;
    std::vector<int> v(10, depth);
    if (depth == 0)
        ::operator delete(::operator new(kTooLarge + zero));
    else
        deep(depth - 1);
    TEST_CHECK(v[9] == depth);
}

void unwinding()
{
    throws_bad_alloc([]() -> void * {
        deep(50);
        return nullptr;
    });
    TEST_CHECK(Counter::alive == 0);
    bool caught = false;
    try {
        std::vector<char> v;
        v.reserve(kTooLarge / 2 + zero);
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    TEST_CHECK(caught);
}

struct alignas(256) Wide {
    char bytes[256];
};

void library_types()
{
    std::vector<std::unique_ptr<Wide>> v;
    for (int i = 0; i < 200; i++) {
        v.push_back(std::make_unique<Wide>());
        TEST_CHECK(reinterpret_cast<std::uintptr_t>(v.back().get()) % 256 == 0);
    }
    free(::operator new(100)); // legal nowhere, common everywhere
    ::operator delete(malloc(100));
}
} // namespace

int main()
{
    plain_pairs();
    aligned_pairs();
    deletes_of_null();
    too_large_throws();
    new_handlers();
    unwinding();
    library_types();
    return 0;
}
