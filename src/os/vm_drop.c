/* Many ranges given back at once.
 *
 * What    one system call for up to OS_VM_DROPS_MAX ranges where the kernel takes such advice of the calling process (seen on 6.18), because
 *         telling all processors to forget pages costs more than anything else in it: on virtual machines 45 us a call, 2 us a page.
 * Invariants  behind a seccomp filter nothing is called. Where the kernel refuses, or does a part, the rest is dropped one by one.
 */
#include "os/os.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/check.h"
#include "base/compiler.h"

/* Spelled out, because the headers we are built with may be older than the kernel we run on. */
#define DROP_SYS_PROCESS_MADVISE 440
#define DROP_PIDFD_SELF (-10000) /* older kernels know no such descriptor */

_Static_assert(sizeof(((struct os_vm_drops *)0)->ranges[0]) == sizeof(struct iovec), "they are the kernel's");

static bool drop_is_refused; /* never false again */

/* Emulators print that they know no such call. */
void os_vm_drop_singly(void)
{
    STORE_ONCE(drop_is_refused, true);
}

static long drop_at_once(const struct os_vm_drops *d)
{
    long done;

    if (d->n < 2 || LOAD_ONCE(drop_is_refused) || os_seccomp_is_on())
        return 0;
    done = os_syscall(DROP_SYS_PROCESS_MADVISE, DROP_PIDFD_SELF, (long)d->ranges, d->n, MADV_DONTNEED, 0, 0);
    if (done == -EBADF || done == -ENOSYS || done == -EPERM)
        STORE_ONCE(drop_is_refused, true);
    return done < 0 ? 0 : done;
}

void os_vm_drop_rest(struct os_vm_drops *d)
{
    size_t done = (size_t)drop_at_once(d);

    for (uint32_t i = 0; i < d->n; i++) {
        bool is_done = done >= d->ranges[i].size;

        done -= is_done ? d->ranges[i].size : done;
        if (is_done || os_vm_drop((void *)d->ranges[i].addr, d->ranges[i].size) == 0)
            d->n_bytes += d->ranges[i].size;
    }
    d->n = 0;
}

void os_vm_drop_soon(struct os_vm_drops *d, uintptr_t addr, size_t size)
{
    if (d->n != 0 && d->ranges[d->n - 1].addr + d->ranges[d->n - 1].size == addr) {
        d->ranges[d->n - 1].size += size;
        return;
    }
    if (d->n == OS_VM_DROPS_MAX)
        os_vm_drop_rest(d);
    d->ranges[d->n].addr = addr;
    d->ranges[d->n].size = size;
    d->n++;
}
