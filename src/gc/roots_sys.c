/* System calls that only the roots need; see roots_int.h. Nothing here locks, allocates or touches errno. */
#include "gc/roots_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>

#include "base/compiler.h"

int roots_sys_open(const char *path)
{
    return (int)os_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

long roots_sys_read(int fd, void *buf, size_t len)
{
    long n;

    do
        n = os_syscall(SYS_read, fd, (long)buf, (long)len, 0, 0, 0);
    while (n == -EINTR);
    return n;
}

void roots_sys_close(int fd)
{
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

long roots_sys_readlink(const char *path, char *buf, size_t size)
{
    return os_syscall(SYS_readlinkat, AT_FDCWD, (long)path, (long)buf, (long)size, 0, 0);
}

int roots_sys_device_of(int fd, uint64_t *dev)
{
    struct stat st;
    int err = (int)os_syscall(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);

    if (err == 0)
        *dev = (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev); /* as in struct os_map */
    return err;
}

/* The device of whatever descriptor a call returns. */
static uint64_t sys_device_of_new(long fd)
{
    uint64_t dev = 0;

    if (fd < 0)
        return 0;
    if (roots_sys_device_of((int)fd, &dev) != 0)
        dev = 0;
    roots_sys_close((int)fd);
    return dev;
}

uint64_t roots_sys_anon_device(void)
{
    return sys_device_of_new(os_syscall(SYS_eventfd2, 0, O_CLOEXEC, 0, 0, 0, 0));
}

uint64_t roots_sys_shmem_device(void)
{
    const unsigned close_on_exec = 1; /* MFD_CLOEXEC */

    return sys_device_of_new(os_syscall(SYS_memfd_create, (long)"gcmalloc", close_on_exec, 0, 0, 0, 0));
}

int roots_sys_resident(uintptr_t lo, size_t n_pages, unsigned char *pages)
{
    return (int)os_syscall(SYS_mincore, (long)lo, (long)(n_pages * os_page_size()), (long)pages, 0, 0, 0);
}

bool roots_sys_swap_in_use(void)
{
    struct sysinfo info;

    return os_syscall(SYS_sysinfo, (long)&info, 0, 0, 0, 0, 0) != 0 || info.totalswap != info.freeswap;
}

int roots_sys_altstack(uintptr_t *lo)
{
    stack_t now;
    int err = (int)os_syscall(SYS_sigaltstack, 0, (long)&now, 0, 0, 0, 0);

    if (err == 0)
        *lo = (now.ss_flags & SS_DISABLE) != 0 ? 0 : (uintptr_t)now.ss_sp;
    return err;
}
