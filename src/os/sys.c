/* The one door to the kernel.
 *
 * What    os_syscall and the few calls that every storey needs; failure injection.
 * Owns    the injection rule (checking builds), the seccomp flag.
 * Invariants  errno is never touched. Nothing here locks; all of it is
 *         async-signal-safe.
 * Not here  who the owner process is: process.c.
 */
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "base/compiler.h"
#include "os/process.h"
#include "os/raw_inl.h"
#include "os/text_inl.h"

#define SYS_FAULT_OFF (-2L)
#define SYS_FAULT_ANY (-1L)

static struct {
    bool is_seccomp_on, is_seccomp_trusted;
#if GCM_CHECKING
    /* Injection: calls that match are counted in n_seen; those in [skip, skip + count) fail. Atomic, because
     * any thread may make the n-th call; a rule is set while no other thread makes calls that match. */
    long fault_nr;
    uint32_t n_seen, skip, count;
    int error;
#endif
} sys_state = {
#if GCM_CHECKING
    .fault_nr = SYS_FAULT_OFF,
#endif
};

#if GCM_CHECKING
static int sys_fault_of(long nr)
{
    long rule = __atomic_load_n(&sys_state.fault_nr, __ATOMIC_RELAXED);
    uint32_t n;

    if (LIKELY(rule == SYS_FAULT_OFF) || (rule != SYS_FAULT_ANY && rule != nr))
        return 0;
    n = __atomic_fetch_add(&sys_state.n_seen, 1, __ATOMIC_RELAXED);
    if (n < sys_state.skip || n - sys_state.skip >= sys_state.count)
        return 0;
    return sys_state.error;
}

void os_fault_set(long nr, unsigned skip, unsigned count, int error)
{
    __atomic_store_n(&sys_state.fault_nr, SYS_FAULT_OFF, __ATOMIC_SEQ_CST);
    sys_state.n_seen = 0;
    sys_state.skip = skip;
    sys_state.count = count;
    sys_state.error = error;
    __atomic_store_n(&sys_state.fault_nr, nr, __ATOMIC_SEQ_CST);
}

long os_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    int error = sys_fault_of(nr);

    if (LIKELY(error == 0))
        return raw_syscall(nr, a, b, c, d, e, f);
    if (nr == SYS_close) /* gives the descriptor up whatever it says */
        raw_syscall(nr, a, b, c, d, e, f);
    return -(long)error;
}

static const char *sys_parse_number(const char *p, long *out)
{
    bool is_negative = *p == '-';
    uint64_t v;

    p = text_number(p + is_negative, 10, &v);
    *out = is_negative ? -(long)v : (long)v;
    return *p == ':' ? p + 1 : p;
}

/* nr:skip:count:errno, so that a test can make the loaded library meet a failure. */
void os_fault_set_from_text(const char *p)
{
    long nr, skip, count, error;

    if (p == NULL)
        return;
    p = sys_parse_number(p, &nr);
    p = sys_parse_number(p, &skip);
    p = sys_parse_number(p, &count);
    p = sys_parse_number(p, &error);
    if (*p == '\0' && error > 0)
        os_fault_set(nr, (unsigned)skip, (unsigned)count, (int)error);
}
#else
void os_fault_set(long nr, unsigned skip, unsigned count, int error)
{
    (void)nr, (void)skip, (void)count, (void)error;
}

long os_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    return raw_syscall(nr, a, b, c, d, e, f);
}

void os_fault_set_from_text(const char *p)
{
    (void)p;
}
#endif

bool os_seccomp_is_on(void)
{
    return __atomic_load_n(&sys_state.is_seccomp_on, __ATOMIC_RELAXED);
}

void os_seccomp_note(void)
{
    if (!sys_state.is_seccomp_trusted)
        __atomic_store_n(&sys_state.is_seccomp_on, true, __ATOMIC_SEQ_CST);
}

void os_seccomp_trust(void)
{
    bool was_on = os_seccomp_is_on();

    sys_state.is_seccomp_trusted = true;
    __atomic_store_n(&sys_state.is_seccomp_on, false, __ATOMIC_SEQ_CST);
    if (was_on)
        os_process_seen();
}

pid_t os_getpid(void)
{
    return (pid_t)raw_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

pid_t os_gettid(void)
{
    if (UNLIKELY(os_seccomp_is_on()))
        return OS_TID_UNKNOWN;
    return (pid_t)raw_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

void os_exit_group(int status)
{
    for (;;)
        raw_syscall(SYS_exit_group, status, 0, 0, 0, 0, 0);
}
