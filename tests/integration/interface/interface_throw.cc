// An exception that leaves a finalizer, a cleanup or another callback ends the program with a line that says so, on the
// library's thread as in gc_run_finalizers inside a try block; one that stays inside does nothing.
#include <csignal>
#include <stdexcept>
#include <sys/wait.h>
#include "gcmalloc.h"
#include "test_util.h"

static volatile int n_caught;

static void catch_own(void *, void *)
{
    try {
        throw std::runtime_error("inside");
    } catch (const std::exception &) {
        n_caught++;
    }
}

static void throw_out(void *, void *)
{
    throw std::runtime_error("outside");
}

__attribute__((noinline)) static void build(gc_finalizer_fn fn)
{
    for (int i = 0; i < 100; i++)
        TEST_CHECK(gc_set_finalizer(gc_malloc(32, 0), fn, nullptr) == 0);
}

static void throw_out_of_cleanup(void *)
{
    throw std::runtime_error("outside");
}

static void throw_out_of_event(int, void *)
{
    throw std::runtime_error("outside");
}

static int throw_out_of_walk(const gc_block *, void *)
{
    throw std::runtime_error("outside");
}

static void by_thread()
{
    build(throw_out);
    gc_collect();
    for (;;)
        usleep(1000);
}

static void by_the_program()
{
    gc_set_finalizer_thread(0);
    build(throw_out);
    gc_collect();
    gc_run_finalizers();
}

__attribute__((noinline)) static void build_cleanups()
{
    for (int i = 0; i < 100; i++)
        TEST_CHECK(gc_add_cleanup(gc_malloc(32, 0), throw_out_of_cleanup, nullptr) == 0);
}

static void by_cleanup()
{
    gc_set_finalizer_thread(0);
    build_cleanups();
    gc_collect_level(GC_FULL_EAGER);
}

static void by_event()
{
    TEST_CHECK(gc_on_event(GC_ON_END, throw_out_of_event, nullptr) == 0);
    gc_collect();
}

static void by_walk()
{
    gc_heap_walk(throw_out_of_walk, nullptr);
}

static void run_child(void (*fn)())
{
    try {
        fn();
    } catch (const std::exception &) {
        _exit(3);
    }
    _exit(4);
}

static void expect_line(void (*fn)(), const char *wanted)
{
    int fds[2], status = 0;
    char text[200] = {0};
    TEST_CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 2);
        signal(SIGABRT, SIG_DFL);
        run_child(fn);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], text, sizeof(text) - 1);
    close(fds[0]);
    TEST_CHECK(n > 0 && waitpid(pid, &status, 0) == pid);
    if (strncmp(text, wanted, strlen(wanted)) != 0)
        TEST_FAIL("said: %s", text);
    TEST_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main()
{
    expect_line(by_thread, "libgcmalloc: exception leaves a finalizer: 0x");
    expect_line(by_the_program, "libgcmalloc: exception leaves a finalizer: 0x");
    expect_line(by_cleanup, "libgcmalloc: exception leaves a finalizer: 0x");
    expect_line(by_event, "libgcmalloc: exception leaves a callback: 0x");
    expect_line(by_walk, "libgcmalloc: exception leaves a callback: 0x");
    build(catch_own);
    for (int i = 0; i < 100 && n_caught < 50; i++) {
        gc_collect_level(GC_FULL_EAGER);
        usleep(1000);
    }
    TEST_CHECK(n_caught >= 50);
    return 0;
}
