/* The list of mappings.
 *
 * What    /proc/thread-self/maps, read raw through the caller's buffer and cut into
 *         lines; a line may begin in one read and end in the next.
 *             lo-hi perms offset major:minor inode          name
 *         The kernel writes a newline in a file's name as \012.
 * Owns    nothing. The descriptor lives as long as the walk: kept across fork, it
 *         would show the parent.
 * Not here  which mappings are roots.
 */
#include "os/os.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "os/probe.h"
#include "os/text_inl.h"

/* The number at *p, which must end with the character `end`; *p goes behind it. */
static bool maps_take_number(char **p, unsigned base, char end, uint64_t *out)
{
    const char *behind = text_number(*p, base, out);

    if (behind == *p || *behind != end)
        return false;
    *p += behind - *p + 1;
    return true;
}

static bool maps_take_permissions(char **p, struct os_map *m)
{
    if (strnlen(*p, 5) < 5 || (*p)[4] != ' ')
        return false;
    m->is_readable = (*p)[0] == 'r';
    m->is_writable = (*p)[1] == 'w';
    m->is_executable = (*p)[2] == 'x';
    m->is_shared = (*p)[3] == 's';
    *p += 5;
    return true;
}

static void maps_unescape(char *name)
{
    char *found = name;

    while ((found = strstr(found, "\\012")) != NULL) {
        *found++ = '\n';
        memmove(found, found + 3, strlen(found + 3) + 1);
    }
}

/* The inode ends the line where there is no name. */
static bool maps_take_inode_and_name(char *p, struct os_map *m)
{
    const char *behind = text_number(p, 10, &m->inode);

    if (behind == p || (*behind != ' ' && *behind != '\0'))
        return false;
    p += behind - p;
    while (*p == ' ')
        p++;
    maps_unescape(p);
    m->name = p;
    return true;
}

static bool maps_parse_line(char *line, struct os_map *m)
{
    uint64_t lo, hi, major, minor;

    if (!maps_take_number(&line, 16, '-', &lo) || !maps_take_number(&line, 16, ' ', &hi) || lo >= hi)
        return false;
    if (!maps_take_permissions(&line, m) || !maps_take_number(&line, 16, ' ', &m->offset))
        return false;
    if (!maps_take_number(&line, 16, ':', &major) || !maps_take_number(&line, 16, ' ', &minor))
        return false;
    m->lo = lo;
    m->hi = hi;
    m->dev = (uint32_t)(major << 20 | minor); /* as the kernel's own dev_t */
    return maps_take_inode_and_name(line, m);
}

/* Hand out the whole lines of buf: how many bytes they were; -errno; -ECANCELED where cb ended the walk. */
static long maps_hand_out(char *buf, size_t len, bool (*cb)(const struct os_map *m, void *ctx), void *ctx)
{
    char *line = buf;
    char *newline;

    while ((newline = memchr(line, '\n', len - (size_t)(line - buf))) != NULL) {
        struct os_map m;

        *newline = '\0';
        if (!maps_parse_line(line, &m))
            return -EBADMSG;
        if (!cb(&m, ctx))
            return -ECANCELED;
        line = newline + 1;
    }
    return line - buf;
}

static int maps_read_all(int fd, char *buf, size_t buf_size, bool (*cb)(const struct os_map *m, void *ctx),
                         void *ctx)
{
    size_t len = 0;

    for (;;) {
        long n, used;

        if (len == buf_size)
            return -E2BIG;
        n = os_syscall(SYS_read, fd, (long)(buf + len), (long)(buf_size - len), 0, 0, 0);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? (int)n : len != 0 ? -EBADMSG : 0;
        len += (size_t)n;
        used = maps_hand_out(buf, len, cb, ctx);
        if (used < 0)
            return (int)used;
        len -= (size_t)used;
        memmove(buf, buf + used, len);
    }
}

int os_maps_walk(char *buf, size_t buf_size, bool (*cb)(const struct os_map *m, void *ctx), void *ctx)
{
    int fd = os_probe_open("/proc/thread-self/maps");
    int err;

    if (fd < 0)
        return fd;
    err = maps_read_all(fd, buf, buf_size, cb, ctx);
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return err == -ECANCELED ? 0 : err;
}
