/* The last words: one line to fd 2, then SIGABRT.
 *
 * Invariants  the line leaves in one write, so that lines of several threads do
 *             not mix; nothing here allocates, locks or uses stdio.
 * Not here    who decides that a call was misuse: heap and api.
 */
#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include "base/fmt.h"

enum {
    CHECK_LINE_MAX = 512,
    CHECK_FD = 2,
};

/* libc's second name for write(2). The program may define a function named
 * `write`, and so does api: neither must stand between us and the last line. */
extern ssize_t __write(int fd, const void *buf, size_t len);

NORETURN static void check_die(struct fmt *f)
{
    fmt_end_line(f);
    size_t done = 0;
    while (done < f->len) {
        ssize_t n = __write(CHECK_FD, f->buf + done, f->len - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            break;
        }
    }
    abort();
}

void check_misuse(const char *what, uintptr_t addr)
{
    char line[CHECK_LINE_MAX];
    struct fmt f = fmt_init(line, sizeof(line));
    fmt_str(&f, "libgcmalloc: ");
    fmt_str(&f, what);
    fmt_str(&f, ": ");
    fmt_hex(&f, addr);
    check_die(&f);
}

void check_failed(const char *file, int line_no, const char *cond)
{
    char line[CHECK_LINE_MAX];
    struct fmt f = fmt_init(line, sizeof(line));
    fmt_str(&f, "libgcmalloc: internal error: ");
    fmt_str(&f, file);
    fmt_char(&f, ':');
    fmt_i64(&f, line_no);
    fmt_str(&f, ": ");
    fmt_str(&f, cond);
    check_die(&f);
}
