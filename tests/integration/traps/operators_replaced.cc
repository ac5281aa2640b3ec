// A program that replaces only operator new and operator delete has its own called by all the others, as the standard defines
// them: a header lies before each block, so a block that went the wrong way ends in an abort. In one that defines malloc and free,
// too, as browsers do (OWN_MALLOC), nothing of it may go to libc. One that replaces those of arrays alone (ARRAYS) has these called by
// all of arrays. None of it may want the lock of whoever loads a library, who may wait for the thread that allocates.
#include <dlfcn.h>
#include <unistd.h>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "test_util.h"

namespace
{
constexpr std::size_t kHeader = 32, kMark = 0x5a5a;
thread_local int n_new, n_deleted;
#ifdef ARRAYS
constexpr int kOne = 0, kArray = 1; // pairs that are the program's
#define REPLACED_NEW operator new[]
#define REPLACED_DELETE operator delete[]
#else
constexpr int kOne = 1, kArray = 1;
#define REPLACED_NEW operator new
#define REPLACED_DELETE operator delete
#endif
struct Small {
    int values[5];
    ~Small() { values[0] = 1; }
};
struct alignas(64) Aligned {
    int values[5];
};
} // namespace

void *REPLACED_NEW(std::size_t size)
{
    auto *block = static_cast<char *>(malloc(size + kHeader));
    if (block == nullptr || size > PTRDIFF_MAX)
        throw std::bad_alloc();
    n_new++;
    *reinterpret_cast<std::size_t *>(block) = kMark;
    return block + kHeader;
}

void REPLACED_DELETE(void *p) noexcept
{
    char *block = static_cast<char *>(p) - kHeader;
    if (p == nullptr)
        return;
    TEST_CHECK(*reinterpret_cast<std::size_t *>(block) == kMark);
    n_deleted++;
    free(block);
}

#ifdef OWN_MALLOC
namespace
{
alignas(64) char pool[4 << 20];
std::size_t used;
bool is_of_pool(const void *p) { return p >= pool && p < pool + sizeof(pool); }
} // namespace
extern "C" void *malloc(std::size_t size)
{
    if (size > sizeof(pool))
        return nullptr;
    std::size_t at = __atomic_fetch_add(&used, (size + 63) & ~std::size_t{63}, __ATOMIC_RELAXED);
    return at + size > sizeof(pool) ? nullptr : pool + at;
}
extern "C" void free(void *p)
{
    if (p != nullptr && !is_of_pool(p))
        TEST_FAIL("%p is not of this malloc", p);
}
extern "C" void *aligned_alloc(std::size_t, std::size_t size) { return malloc(size); }
extern "C" void *calloc(std::size_t n, std::size_t size) { return malloc(n * size); }
extern "C" void *realloc(void *p, std::size_t size)
{
    void *moved = malloc(size);
    return p == nullptr || moved == nullptr ? moved : memcpy(moved, p, size);
}
#endif

namespace
{
// Each went through the program's two.
template <class F> void counted(int n, F work)
{
    int n_new_before = n_new, n_deleted_before = n_deleted;
    work();
    if (n_new - n_new_before != n || n_deleted - n_deleted_before != n)
        TEST_FAIL("%d new and %d delete instead of %d", n_new - n_new_before, n_deleted - n_deleted_before, n);
}

// Not to be left out by the compiler.
template <class T> T *use(T *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

void all_forms()
{
    const std::size_t size = 40;
    counted(2 * kOne, [] { delete use(new Small), delete use(new Small); });
    counted(kArray, [] { delete[] use(new Small[3]); });
    counted(kArray, [] { delete[] use(new int[7]); });
    counted(kOne, [] { delete use(new (std::nothrow) Small); });
    counted(kArray, [] { delete[] use(new (std::nothrow) Small[2]); });
    counted(kOne, [=] { ::operator delete(use(::operator new(size)), size); });
    counted(kOne, [=] { ::operator delete(use(::operator new(size)), std::nothrow); });
    counted(kArray, [=] { ::operator delete[](use(::operator new[](size)), size); });
    counted(kArray, [=] { ::operator delete[](use(::operator new[](size)), std::nothrow); });
    counted(kOne, [] { std::make_shared<Small>(); });
    counted(kOne, [] { std::vector<int> v(100); });
    counted(0, [] { // aligned ones are defined by libc's
        delete use(new Aligned);
        delete[] use(new Aligned[2]);
        delete use(new (std::nothrow) Aligned);
    });
}

// The program's throws, the runtime's nothrow form catches.
void no_memory()
{
    volatile std::size_t too_large = PTRDIFF_MAX;
    TEST_CHECK(::operator new(too_large - 64, std::nothrow) == nullptr);
    TEST_CHECK(::operator new[](too_large - 64, std::nothrow) == nullptr);
}

std::atomic<bool> was_loaded;
} // namespace

// The constructor of a library calls it while the linker's lock is held.
extern "C" __attribute__((visibility("default"))) void trap_during_load()
{
    std::atomic<bool> is_done{false};
    std::thread other([&] { all_forms(), is_done = true; });
    for (int i = 0; i < 20000 && !is_done; i++)
        usleep(1000);
    if (!is_done)
        TEST_FAIL("a thread that allocates waits for one that loads a library");
    other.join();
    was_loaded = true;
}

int main(int argc, char **argv)
{
    if (argc == 2 && dlopen(argv[1], RTLD_NOW) == nullptr) // first: nothing has been looked up yet
        TEST_FAIL("dlopen: %s", dlerror());
    TEST_CHECK(was_loaded == (argc == 2));
    for (int i = 0; i < 100; i++)
        all_forms();
    no_memory();
}
