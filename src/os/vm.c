/* Address space: mapping at a place, giving back, moving.
 *
 * What    mmap, madvise and mremap under the names of what we want from them.
 * Owns    the canary page, the page size.
 * Invariants  never replaces a mapping that is there, except os_vm_move its target.
 *         Behind a seccomp filter only mmap and munmap are called.
 * Not here  how much memory there is: vm_info.c.
 */
#include "os/os.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/check.h"
#include "os/kernel.h"
#include "os/process.h"

/* Spelled out, because the headers we are built with may be older than the kernel we run on. */
#define VM_MAP_FIXED_NOREPLACE 0x100000
#define VM_MADV_WIPEONFORK 18
#define VM_MADV_DONTNEED_LOCKED 24
#define VM_MADV_NO_SUCH 9999
#define VM_MREMAP_DONTUNMAP 4

static struct {
    volatile uint32_t *canary; /* first word of a page that the kernel wipes in fork children; NULL: none */
    size_t page_size;
} vm_state;

size_t os_page_size(void)
{
    if (UNLIKELY(vm_state.page_size == 0)) {
        size_t size = os_auxval(AT_PAGESZ);

        vm_state.page_size = size != 0 ? size : OS_PAGE_SIZE_MIN;
    }
    return vm_state.page_size;
}

static long vm_advise(void *addr, size_t size, int advice)
{
    if (os_seccomp_is_on())
        return -EPERM;
    return os_syscall(SYS_madvise, (long)addr, (long)size, advice, 0, 0, 0);
}

int os_vm_map_at(void *addr, size_t size, bool noreserve, bool dontdump)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | VM_MAP_FIXED_NOREPLACE | (noreserve ? MAP_NORESERVE : 0);
    long got = os_syscall(SYS_mmap, (long)addr, (long)size, PROT_READ | PROT_WRITE, flags, -1, 0);

    ASSERT((uintptr_t)addr % os_page_size() == 0 && size % os_page_size() == 0);
    if (kernel_is_error(got))
        return (int)got;
    if ((void *)got != addr) { /* a kernel that takes the address as a hint */
        os_vm_unmap((void *)got, size);
        return -EEXIST;
    }
    if (dontdump)
        vm_advise(addr, size, MADV_DONTDUMP);
    return 0;
}

int os_vm_unmap(void *addr, size_t size)
{
    return (int)os_syscall(SYS_munmap, (long)addr, (long)size, 0, 0, 0, 0);
}

void *os_vm_map_shared(size_t size)
{
    int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    long got = os_syscall(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, flags, -1, 0);

    return kernel_is_error(got) ? NULL : (void *)got;
}

/* Nothing is written: the kernel only looks for a hole. */
bool os_vm_is_mapped(void *addr, size_t size)
{
    return os_syscall(SYS_msync, (long)addr, (long)size, MS_ASYNC, 0, 0, 0) == 0;
}

/* Addresses without a mapping are told by an error. */
size_t os_vm_count_present(void *addr, size_t size)
{
    unsigned char present[512];
    size_t step = sizeof(present) * os_page_size(), n_present = 0;

    for (size_t at = 0; at < size; at += step) {
        size_t n = size - at < step ? size - at : step;

        if (os_seccomp_is_on() || os_syscall(SYS_mincore, (long)addr + (long)at, (long)n, (long)present, 0, 0, 0) != 0)
            return SIZE_MAX;
        for (size_t i = 0; i < n / os_page_size(); i++)
            n_present += present[i] & 1;
    }
    return n_present;
}

/* The program may have protected pieces of its blocks, so a store of ours could fault. */
static void vm_zero_by_hand(void *addr, size_t size)
{
    if (!os_seccomp_is_on())
        os_syscall(SYS_mprotect, (long)addr, (long)size, PROT_READ | PROT_WRITE, 0, 0, 0);
    memset(addr, 0, size);
}

int os_vm_drop(void *addr, size_t size)
{
    long err = vm_advise(addr, size, MADV_DONTNEED);

    return (int)(err == -EINVAL ? vm_advise(addr, size, VM_MADV_DONTNEED_LOCKED) : err);
}

int os_vm_purge(void *addr, size_t size)
{
    if (os_vm_drop(addr, size) == 0)
        return 0;
    vm_zero_by_hand(addr, size);
    return 1;
}

int os_vm_hugepages(void *addr, size_t size, bool on)
{
    return (int)vm_advise(addr, size, on ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

int os_vm_move(void *from, void *to, size_t size)
{
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | VM_MREMAP_DONTUNMAP;
    long got;
    int err;

    if (os_seccomp_is_on())
        return -EPERM;
    got = os_syscall(SYS_mremap, (long)from, (long)size, (long)size, flags, (long)to, 0);
    if ((void *)got == to)
        return 0;
    /* Some kernels unmap the target before they find out that they cannot. Close the hole at once. */
    err = os_vm_map_at(to, size, true, true);
    return err == 0 || err == -EEXIST ? (int)got : -ENOTRECOVERABLE;
}

/* Emulators accept advice that they do not follow: then they accept any. */
static bool vm_follows_advice(void *page)
{
    return vm_advise(page, os_page_size(), VM_MADV_NO_SUCH) == -EINVAL;
}

void os_vm_canary_create(void)
{
    long got;

    if (vm_state.canary != NULL || os_seccomp_is_on())
        return;
    got = os_syscall(SYS_mmap, 0, (long)os_page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);
    if (kernel_is_error(got))
        return;
    if (!vm_follows_advice((void *)got) || vm_advise((void *)got, os_page_size(), VM_MADV_WIPEONFORK) != 0) {
        os_vm_unmap((void *)got, os_page_size());
        return;
    }
    *(volatile uint32_t *)got = 1;
    vm_state.canary = (volatile uint32_t *)got;
}

void os_vm_canary_rearm(void)
{
    if (vm_state.canary != NULL)
        *vm_state.canary = 1;
}

volatile uint32_t *os_vm_fork_canary(void)
{
    return vm_state.canary;
}
