/* What the kernel told the process at its start.
 *
 * What    os_auxval, as getauxval, with errno kept. libc's is the only function on its page that most programs' start calls, so the vector
 *         is read where it lies, once the constructor has seen it there: behind the environment on the first stack.
 * Owns    its address.
 */
#include "os/os.h"

#include <errno.h>
#include <link.h>
#include <sys/auxv.h>

#include "base/compiler.h"

/* NULL: not known. The constructor's first store, to the page that it reads next, which so is given once and not first for reading. */
static const ElfW(auxv_t) *auxv_first ENDING;

/* An environment that was moved since does not begin where the arguments end. */
void os_auxv_note(int argc, char **argv, char **envp)
{
    if (argv + argc + 1 != envp)
        return;
    while (*envp != NULL)
        envp++;
    STORE_ONCE(auxv_first, (const ElfW(auxv_t) *)(envp + 1));
}

unsigned long os_auxval(unsigned long type)
{
    const ElfW(auxv_t) *v = LOAD_ONCE(auxv_first);
    int saved_errno = errno;
    unsigned long value;

    if (v == NULL) {
        value = getauxval(type);
        errno = saved_errno;
        return value;
    }
    while (v->a_type != AT_NULL && v->a_type != type)
        v++;
    return v->a_type == type ? v->a_un.a_val : 0;
}
