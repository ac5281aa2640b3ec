/* Pointers that only the kernel holds; see roots_int.h.
 *
 *     epoll      the data word of each registered descriptor, from fdinfo of each epoll instance
 *     timers     sigev_value, from /proc/self/timers, which is whole even after the main thread has exited
 *     io_uring   nobody can list what is in flight: an instance, mapped or not, ends the cycle
 *     FUSE       what a server of a file system made for a file or folder that is open (libfuse: for each folder), and for each node where it
 *                likes, is a number that the kernel gives back with the next request: /dev/fuse, or /dev/cuse, ends the cycle
 *     sigaltstack of the collecting thread; that of a stopped one is in its signal frame
 * What a descriptor is, is asked by calls that only look (os/probe.h), and, for the few that are neither sockets nor files, by name. Not
 * by fstat: it may ask the server of a network file system, or a thread of ours that serves one and stands still.
 * Cost       about 0.3 us for each descriptor, and about 0.5 us for each one that is registered with an epoll instance:
 *            10 ms for an epoll instance with 10,000 sockets.
 * Not here   mappings of rings (roots_maps.c); values queued with a signal and mq_notify (api/parked.c). Not seen at all:
 *            descriptors of a thread that has its own table (unshare).
 */
#include "gc/roots_int.h"

#include <errno.h>
#include <string.h>

#include "base/fmt.h"
#include "os/probe.h"
#include "os/text_inl.h"

#define KERNEL_PATH_BYTES 64

enum { KERNEL_FD_NONE = -1 };

static struct {
    int list_fd; /* the folder of all descriptors; from roots_kernel_open to roots_kernel_close */
    bool is_shmem_known;
    uint64_t shmem_device;
} kernel_state = {.list_fd = KERNEL_FD_NONE};

/* The device of the kernel's internal file system never changes. */
void roots_kernel_prepare(void)
{
    if (!kernel_state.is_shmem_known)
        kernel_state.shmem_device = os_probe_shmem_device();
    kernel_state.is_shmem_known = true;
}

bool roots_kernel_open(void)
{
    kernel_state.list_fd = os_probe_open("/proc/thread-self/fd");
    return kernel_state.list_fd >= 0;
}

void roots_kernel_close(void)
{
    if (kernel_state.list_fd >= 0)
        os_probe_close(kernel_state.list_fd);
    kernel_state.list_fd = KERNEL_FD_NONE;
}

uint64_t roots_kernel_shmem_device(void)
{
    return kernel_state.shmem_device;
}

/* ---- files of /proc by lines --------------------------------------------------------------------------------- */

/* Hands each line, NUL-terminated, to fn; a last line without newline and one longer than the buffer are errors of the
 * kernel's. 0 or -errno. */
static int kernel_read_lines(int fd, void (*fn)(const char *line))
{
    size_t len = 0;
    long n;

    while (len < ROOTS_TEXT_BYTES && (n = os_probe_read(fd, roots.text + len, ROOTS_TEXT_BYTES - len)) > 0) {
        char *line = roots.text;
        char *newline;

        len += (size_t)n;
        while ((newline = memchr(line, '\n', len - (size_t)(line - roots.text))) != NULL) {
            *newline = '\0';
            fn(line);
            line = newline + 1;
        }
        len -= (size_t)(line - roots.text);
        memmove(roots.text, line, len);
    }
    return len == ROOTS_TEXT_BYTES ? -E2BIG : (int)n;
}

static int kernel_read_file(const char *path, void (*fn)(const char *line))
{
    int fd = os_probe_open(path);
    int err;

    if (fd < 0)
        return fd;
    err = kernel_read_lines(fd, fn);
    os_probe_close(fd);
    return err;
}

/* The hexadecimal number that follows `key` and blanks. */
static void kernel_feed_number_after(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    uint64_t number;
    uintptr_t word;

    if (at == NULL)
        return;
    for (at += strlen(key); *at == ' '; at++)
        continue;
    text_number(at, 16, &number);
    word = (uintptr_t)number;
    roots_feed_own(ROOTS_RULE_WORDS, &word, 1);
}

/* tfd:        5 events:       19 data:     7f0012345678  pos:0 ino:61 sdev:9 */
static void kernel_take_epoll_line(const char *line)
{
    if (strncmp(line, "tfd:", 4) == 0)
        kernel_feed_number_after(line, " data:");
}

/* signal: 60/00007fff86e452a8 */
static void kernel_take_timer_line(const char *line)
{
    if (strncmp(line, "signal:", 7) == 0)
        kernel_feed_number_after(line, "/");
}

/* ---- descriptors --------------------------------------------------------------------------------------------- */

static bool kernel_scan_epoll(int fd)
{
    char path[KERNEL_PATH_BYTES];
    struct fmt f = fmt_init(path, sizeof(path));

    fmt_str(&f, "/proc/thread-self/fdinfo/");
    fmt_i64(&f, fd);
    return kernel_read_file(fmt_cstr(&f), kernel_take_epoll_line) == 0 || roots_fail(SKIP_NO_PROC);
}

/* The descriptor's name, in the buffer for text; NULL: the cycle is given up. */
static const char *kernel_fd_name(int fd)
{
    char number[KERNEL_PATH_BYTES];
    struct fmt f = fmt_init(number, sizeof(number));
    long n;

    fmt_i64(&f, fd);
    n = os_probe_readlink(kernel_state.list_fd, fmt_cstr(&f), roots.text, ROOTS_TEXT_BYTES - 1);
    if (n < 0) {
        roots_fail(SKIP_NO_PROC);
        return NULL;
    }
    roots.text[n] = '\0';
    return roots.text;
}

static void kernel_note_userfault_name(const char *name)
{
    roots.has_userfault |= strcmp(name, "anon_inode:[userfaultfd]") == 0;
}

static bool kernel_scan_special(int fd)
{
    const char *name, *last;

    if (os_probe_is_uring(fd))
        return roots_fail(SKIP_IO_URING);
    name = kernel_fd_name(fd);
    if (name == NULL)
        return false;
    if (strcmp(name, "anon_inode:[eventpoll]") == 0)
        return kernel_scan_epoll(fd);
    kernel_note_userfault_name(name);
    last = strrchr(name, '/');
    return last == NULL || (strcmp(last, "/fuse") != 0 && strcmp(last, "/cuse") != 0) || roots_fail(SKIP_FUSE);
}

static bool kernel_scan_fd(int fd, void *ctx)
{
    (void)ctx;
    return fd == kernel_state.list_fd || os_pages_is_own(fd) || os_probe_is_plain(fd) || kernel_scan_special(fd);
}

/* An empty list is one that could not be read: it lacks the folder itself. */
static bool kernel_walk_fds(bool (*fn)(int fd, void *ctx))
{
    return (os_probe_numbers(kernel_state.list_fd, fn, NULL) > 0 || roots_fail(SKIP_NO_PROC)) &&
           roots.skip == SKIP_NONE;
}

static bool kernel_note_userfault(int fd, void *ctx)
{
    const char *name = kernel_fd_name(fd);

    (void)ctx;
    if (name == NULL)
        return false;
    kernel_note_userfault_name(name);
    return true;
}

bool roots_kernel_has_no_userfault(void)
{
    if (!roots.did_ask_userfault && !kernel_walk_fds(kernel_note_userfault))
        return false;
    roots.did_ask_userfault = true;
    return !roots.has_userfault || roots_fail(SKIP_FAULT);
}

/* ---- what cannot be read ------------------------------------------------------------------------------------- */

/* The figures of a mapping follow the line that begins with its address:
 * Anonymous:             4 kB */
static void kernel_take_smaps_line(const char *line)
{
    const char *behind;
    uint64_t number;

    if (strncmp(line, "Anonymous:", 10) == 0 || strncmp(line, "Swap:", 5) == 0) {
        for (line = strchr(line, ':') + 1; *line == ' '; line++)
            continue;
        text_number(line, 10, &number);
        roots.has_closed_content |= roots.is_at_closed && number != 0;
        return;
    }
    behind = text_number(line, 16, &number);
    if (*behind == '-') {
        const struct roots_map *m = roots_maps_find(number);
        roots.is_at_closed = m != NULL && roots_map_is_closed_file(m);
    }
}

bool roots_kernel_has_no_closed_content(void)
{
    if (!roots.did_ask_closed && kernel_read_file("/proc/thread-self/smaps", kernel_take_smaps_line) != 0)
        return roots_fail(SKIP_NO_PROC);
    roots.did_ask_closed = true;
    return !roots.has_closed_content || roots_fail(SKIP_FAULT);
}

/* ---- timers, alternate stack --------------------------------------------------------------------------------- */

/* A kernel without checkpoint support has no list of timers; then they are not seen. */
static bool kernel_scan_timers(void)
{
    int err = kernel_read_file("/proc/self/timers", kernel_take_timer_line);

    return err == 0 || err == -ENOENT || roots_fail(SKIP_NO_PROC);
}

static bool kernel_scan_altstack(void)
{
    uintptr_t altstack;

    if (os_probe_altstack(&altstack) != 0)
        return roots_fail(SKIP_NO_PROC);
    roots_feed_own(ROOTS_RULE_WORDS, &altstack, 1);
    return true;
}

bool roots_kernel_scan(void)
{
    return kernel_scan_altstack() && kernel_walk_fds(kernel_scan_fd) && kernel_scan_timers();
}
