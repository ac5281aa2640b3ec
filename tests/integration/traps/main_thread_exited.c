/* After main has called pthread_exit, /proc/self is empty without an error; the other threads go on, and collect: with a
 * reservation that is too large to be read without knowing its content, a page that only the kernel can read, and a pointer
 * that only the kernel holds. */
#include <sys/epoll.h>
#include <sys/mman.h>
#include "trap.h"
static void *volatile root;
static pthread_t main_thread;

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    pthread_join(main_thread, NULL);
    usleep(20000);
    trap_verify();
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    TEST_CHECK(root != NULL);
    _exit(0);
}

static __attribute__((noinline)) void hide(void)
{
    int fds[2], poller = epoll_create1(EPOLL_CLOEXEC);
    TEST_CHECK(poller >= 0 && pipe(fds) == 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = trap_reveal(trap_new())};
    TEST_CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, fds[0], &event) == 0);
    void **page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(page != MAP_FAILED);
    page[7] = trap_reveal(trap_new());
    TEST_CHECK(mprotect(page, 4096, PROT_NONE) == 0);
    TEST_CHECK(mmap(NULL, (size_t)4 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
               MAP_FAILED);
}

int main(void)
{
    static struct trap_thread t;
    hide();
    trap_clear_stack();
    main_thread = pthread_self();
    root = trap_reveal(trap_new());
    t.hidden = trap_new();
    TEST_CHECK(pthread_create(&t.id, NULL, body, &t) == 0);
    pthread_exit(NULL);
}
