/* Includes that cmocka wants first, and a few lines that the tests of storey os share. */
#ifndef UNIT_OS_HARNESS_H
#define UNIT_OS_HARNESS_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/critical_inl.h"
#include "os/os.h"

enum { FAULT_OFF = -2, FAULT_ANY = -1 };

/* An emulator of user programs accepts any advice and follows little of it, shares no memory after vfork, and
 * shows an address space that is its own: tests of what only the kernel does are skipped there. */
static inline bool is_emulated(void)
{
    static char page[2 * 65536];

    return madvise((void *)(((uintptr_t)page + 65535) & ~65535ul), 4096, 9999) == 0;
}

/* Wait status of a child that runs fn and then ends with its result. */
static inline int run_in_child(int (*fn)(void *arg), void *arg)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(fn(arg));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* As run_in_child, with what the child writes to fd 2 in `text`. */
static inline int run_in_child_reading(int (*fn)(void *arg), void *arg, char *text, size_t text_size)
{
    int pipe_fds[2], status = -1;
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    if (pid == 0) {
        dup2(pipe_fds[1], 2);
        _exit(fn(arg));
    }
    close(pipe_fds[1]);
    while (len < text_size - 1 && (n = read(pipe_fds[0], text + len, text_size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static inline void *map_pages(size_t n_pages)
{
    void *p =
        mmap(NULL, n_pages * os_page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(p != MAP_FAILED);
    return p;
}

#endif
