/* Storey os for unit tests of the storeys above: ranges given back, each at once, so that each of them can be refused. */
#include "base/check.h"
#include "os/os.h"

void os_vm_drop_soon(struct os_vm_drops *d, uintptr_t addr, size_t size)
{
    if (os_vm_drop((void *)addr, size) == 0)
        d->n_bytes += size;
}

void os_vm_drop_rest(struct os_vm_drops *d)
{
    CHECK(d->n == 0);
}

void os_vm_drop_singly(void)
{
}
