/* See probe.h. */
#include "os/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>

#include "os/os.h"
#include "os/text_inl.h"

#define SYS_IO_URING_ENTER 426 /* the same everywhere; older headers lack it */

int os_probe_open(const char *path)
{
    return (int)os_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

long os_probe_read(int fd, void *buf, size_t len)
{
    long n;

    do
        n = os_syscall(SYS_read, fd, (long)buf, (long)len, 0, 0, 0);
    while (n == -EINTR);
    return n;
}

void os_probe_close(int fd)
{
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

struct probe_dirent { /* what getdents64 writes */
    uint64_t inode;
    int64_t offset;
    uint16_t record_bytes;
    uint8_t type;
    char name[];
};

/* How many; negative: fn has had enough, after so many. */
static long probe_take_numbers(const char *buf, long len, bool (*fn)(int number, void *ctx), void *ctx)
{
    const struct probe_dirent *entry;
    uint64_t number;
    long n = 0;

    for (long at = 0; at < len; at += entry->record_bytes) {
        entry = (const struct probe_dirent *)(buf + at);
        if (text_digit(entry->name[0]) >= 10)
            continue;
        text_number(entry->name, 10, &number);
        n++;
        if (!fn((int)number, ctx))
            return -n;
    }
    return n;
}

long os_probe_numbers(int folder_fd, bool (*fn)(int number, void *ctx), void *ctx)
{
    _Alignas(8) char buf[4096];
    long n = 0, len;

    os_syscall(SYS_lseek, folder_fd, 0, SEEK_SET, 0, 0, 0);
    while ((len = os_syscall(SYS_getdents64, folder_fd, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
        long n_taken = probe_take_numbers(buf, len, fn, ctx);

        if (n_taken < 0)
            return n - n_taken;
        n += n_taken;
    }
    return len < 0 ? len : n;
}

long os_probe_readlink(int folder_fd, const char *path, char *buf, size_t size)
{
    return os_syscall(SYS_readlinkat, folder_fd, (long)path, (long)buf, (long)size, 0, 0);
}

/* Whatever is no ring is refused for that reason; where rings are not allowed, by another. */
bool os_probe_is_uring(int fd)
{
    long err = os_syscall(SYS_IO_URING_ENTER, fd, 0, 0, 0, 0, 0);

    return err != -EOPNOTSUPP && err != -ENOSYS && err != -EPERM && err != -EBADF;
}

/* Sending no message, writing out no page and reading into nothing at a position, which ask nobody and take no lock: lseek would wait for a
 * read of a stopped thread. Some kernels (Linux 6.15.4) write out what is anonymous as if it were a file, but it has no position. */
bool os_probe_is_plain(int fd)
{
    long err = os_syscall(SYS_sendmmsg, fd, 0, 0, 0, 0, 0);

    if (err == 0 || err == -EBADF)
        return true;
    return os_syscall(SYS_sync_file_range, fd, 0, 0, 0, 0, 0) == 0 && os_syscall(SYS_preadv, fd, 0, 0, 0, 0, 0) == 0;
}

uint64_t os_probe_shmem_device(void)
{
    const unsigned close_on_exec = 1; /* MFD_CLOEXEC */
    struct stat st;
    int fd = (int)os_syscall(SYS_memfd_create, (long)"gcmalloc", close_on_exec, 0, 0, 0, 0);
    int err;

    if (fd < 0)
        return 0;
    err = (int)os_syscall(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);
    os_probe_close(fd);
    return err != 0 ? 0 : (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev); /* as in struct os_map */
}

int os_probe_resident(uintptr_t lo, size_t n_pages, unsigned char *pages)
{
    return (int)os_syscall(SYS_mincore, (long)lo, (long)(n_pages * os_page_size()), (long)pages, 0, 0, 0);
}

bool os_probe_swap_in_use(void)
{
    struct sysinfo info;

    return os_syscall(SYS_sysinfo, (long)&info, 0, 0, 0, 0, 0) != 0 || info.totalswap != info.freeswap;
}

int os_probe_altstack(uintptr_t *lo)
{
    stack_t now;
    int err = (int)os_syscall(SYS_sigaltstack, 0, (long)&now, 0, 0, 0, 0);

    if (err == 0)
        *lo = (now.ss_flags & SS_DISABLE) != 0 ? 0 : (uintptr_t)now.ss_sp;
    return err;
}
