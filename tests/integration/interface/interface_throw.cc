// An exception that leaves a finalizer ends the program with a line that says so, on the library's thread as in
// gc_run_finalizers inside a try block; one that stays inside does nothing.
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

static void run_child(bool is_by_thread)
{
    build(throw_out);
    gc_collect();
    try {
        while (is_by_thread)
            usleep(1000);
        gc_run_finalizers();
        usleep(1000000); // the thread was faster
    } catch (const std::exception &) {
        _exit(3);
    }
    _exit(4);
}

static void expect_line(bool is_by_thread)
{
    int fds[2], status = 0;
    char text[200] = {0};
    TEST_CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 2);
        signal(SIGABRT, SIG_DFL);
        run_child(is_by_thread);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], text, sizeof(text) - 1);
    TEST_CHECK(n > 0 && waitpid(pid, &status, 0) == pid);
    if (strncmp(text, "libgcmalloc: exception leaves a finalizer: 0x", 45) != 0)
        TEST_FAIL("said: %s", text);
    TEST_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main()
{
    expect_line(true);
    expect_line(false);
    build(catch_own);
    for (int i = 0; i < 100 && n_caught < 50; i++) {
        gc_collect_level(GC_FULL_EAGER);
        usleep(1000);
    }
    TEST_CHECK(n_caught >= 50);
    return 0;
}
