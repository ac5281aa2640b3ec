/* Loses two blocks in C++: their place has a name of C++. */
#include <cstdint>
#include <cstring>

namespace planted {
struct keeper {
    __attribute__((noinline)) static void *lose(int bytes)
    {
        void *volatile p = ::operator new(static_cast<std::size_t>(bytes));
        std::memset(p, 1, static_cast<std::size_t>(bytes));
        return p;
    }
};
} // namespace planted

static volatile std::uintptr_t hidden[2];

__attribute__((noinline)) static void lose_two()
{
    for (int i = 0; i < 2; i++)
        hidden[i] = ~reinterpret_cast<std::uintptr_t>(planted::keeper::lose(88));
}

/* What a dead frame still holds is no leak. */
__attribute__((noinline)) static void forget()
{
    volatile char room[8192];

    std::memset(const_cast<char *>(room), 0, sizeof(room));
    __asm__ volatile("" : : "r"(room) : "memory");
}

int main()
{
    lose_two();
    forget();
    return 0;
}
