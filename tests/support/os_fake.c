/* Storey os for unit tests of the storeys above: see os_fake.h. */
#include "os_fake.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/compiler.h"
#include "os/critical_inl.h"

#define FAKE_MAP_FIXED_NOREPLACE 0x100000
#define FAKE_PAGE_BYTES 4096u

struct fake_rule {
    unsigned nth, count; /* those of the calls nth..nth+count-1 fail, counted from when the rule was set */
    unsigned n_calls, n_total;
    int error;
};

static struct {
    pthread_mutex_t lock; /* guards all of this */
    struct fake_rule rules[OS_FAKE_N_CALLS];
    uint64_t clock_ns, entropy;
    unsigned n_polls;
    size_t available, cgroup_limit, resident;
    bool is_seccomp_on, is_world_stopped;
    uint32_t canary;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .available = SIZE_MAX, .cgroup_limit = SIZE_MAX, .canary = 1};

__thread struct os_tls os_tls __attribute__((visibility("hidden"), tls_model("initial-exec")));
struct os_lock os_thread_registry_lock = OS_LOCK_INIT(OS_RANK_REGISTRY);
static struct os_thread *fake_threads; /* fake.lock */

/* ---- control ------------------------------------------------------------------ */

void os_fake_reset(void)
{
    pthread_mutex_lock(&fake.lock);
    memset(fake.rules, 0, sizeof(fake.rules));
    fake.clock_ns = fake.entropy = 0;
    fake.resident = fake.n_polls = 0;
    fake.available = fake.cgroup_limit = SIZE_MAX;
    fake.is_seccomp_on = fake.is_world_stopped = false;
    fake.canary = 1;
    pthread_mutex_unlock(&fake.lock);
}

void os_fake_fail(enum os_fake_call which, unsigned nth, unsigned count, int error)
{
    struct fake_rule *rule = &fake.rules[which];

    pthread_mutex_lock(&fake.lock);
    rule->nth = nth;
    rule->count = count;
    rule->error = error;
    rule->n_calls = 0;
    pthread_mutex_unlock(&fake.lock);
}

unsigned os_fake_count(enum os_fake_call which)
{
    pthread_mutex_lock(&fake.lock);
    unsigned n = fake.rules[which].n_total;
    pthread_mutex_unlock(&fake.lock);
    return n;
}

/* 0, or the error with which this call is to fail. */
static int fake_next(enum os_fake_call which)
{
    struct fake_rule *rule = &fake.rules[which];
    int error = 0;

    pthread_mutex_lock(&fake.lock);
    rule->n_calls++;
    rule->n_total++;
    if (rule->nth != 0 && rule->n_calls >= rule->nth && rule->n_calls - rule->nth < rule->count)
        error = rule->error;
    pthread_mutex_unlock(&fake.lock);
    return error;
}

void os_fake_advance_clock(uint64_t ns)
{
    __atomic_add_fetch(&fake.clock_ns, ns, __ATOMIC_SEQ_CST);
}

void os_fake_set_entropy(uint64_t next)
{
    __atomic_store_n(&fake.entropy, next, __ATOMIC_SEQ_CST);
}

void os_fake_set_memory(size_t available, size_t cgroup_limit, size_t resident)
{
    fake.available = available;
    fake.cgroup_limit = cgroup_limit;
    fake.resident = resident;
}

void os_fake_set_seccomp(bool is_on)
{
    fake.is_seccomp_on = is_on;
}

void os_fake_set_world_stopped(bool is_stopped)
{
    fake.is_world_stopped = is_stopped;
}

unsigned os_fake_n_polls(void)
{
    return __atomic_load_n(&fake.n_polls, __ATOMIC_RELAXED);
}

/* ---- sys, process ------------------------------------------------------------------ */

long os_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    int error = fake_next(OS_FAKE_SYSCALL);
    int saved_errno = errno;
    long result;

    if (error != 0)
        return error;
    result = syscall(nr, a, b, c, d, e, f);
    if (result == -1)
        result = -errno;
    errno = saved_errno;
    return result;
}

/* The real storey's injection by number; here calls are made to fail by name. */
void os_fault_set(long nr, unsigned skip, unsigned count, int error)
{
    (void)nr;
    os_fake_fail(OS_FAKE_SYSCALL, nr == -2 ? 0 : skip + 1, count, -error);
}

int os_write_all(int fd, const void *buf, size_t len)
{
    const char *p = buf;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n <= 0)
            return -EIO;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

pid_t os_getpid(void)
{
    return getpid();
}

pid_t os_gettid(void)
{
    return fake.is_seccomp_on ? OS_TID_UNKNOWN : (pid_t)syscall(SYS_gettid);
}

bool os_is_vfork_child(void)
{
    return false;
}

bool os_seccomp_is_on(void)
{
    return fake.is_seccomp_on;
}

void os_seccomp_note(void)
{
    fake.is_seccomp_on = true;
}

void os_exit_group(int status)
{
    _exit(status);
}

void os_process_init(void)
{
    fake.canary = 1;
}

void os_process_fork_child(void)
{
    fake.canary = 1;
}

/* ---- vm ------------------------------------------------------------------------------ */

size_t os_page_size(void)
{
    return FAKE_PAGE_BYTES;
}

static int fake_map(void *addr, size_t size, int flags)
{
    int saved_errno = errno;
    void *got = mmap(addr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    int err = got == MAP_FAILED ? -errno : 0;
    errno = saved_errno;
    if (err == 0 && got != addr) {
        munmap(got, size);
        return -EEXIST;
    }
    return err;
}

int os_vm_map_at(void *addr, size_t size, bool noreserve, bool dontdump)
{
    int error = fake_next(OS_FAKE_MAP);

    (void)dontdump;
    return error != 0 ? error : fake_map(addr, size, FAKE_MAP_FIXED_NOREPLACE | (noreserve ? MAP_NORESERVE : 0));
}

int os_vm_unmap(void *addr, size_t size)
{
    int error = fake_next(OS_FAKE_UNMAP);
    return error != 0 ? error : munmap(addr, size) == 0 ? 0 : -EINVAL;
}

size_t os_vm_count_present(void *addr, size_t size)
{
    return addr != NULL ? 0 : size;
}

int os_vm_drop(void *addr, size_t size)
{
    int error = fake_next(OS_FAKE_PURGE);

    CHECK((uintptr_t)addr % FAKE_PAGE_BYTES == 0 && size % FAKE_PAGE_BYTES == 0);
    return error != 0 ? error : madvise(addr, size, MADV_DONTNEED) == 0 ? 0 : -EINVAL;
}

int os_vm_purge(void *addr, size_t size)
{
    if (os_vm_drop(addr, size) == 0)
        return 0;
    memset(addr, 0, size);
    return 1;
}

/* There is one thread, and it does not wait. */
bool os_gate_is_tight(void)
{
    return true;
}

bool os_gate_borrow(struct os_thread *t)
{
    (void)t;
    return false;
}

void os_gate_return(struct os_thread *t)
{
    (void)t;
    CHECK(false);
}

int os_vm_hugepages(void *addr, size_t size, bool on)
{
    (void)addr, (void)size, (void)on;
    return fake_next(OS_FAKE_HUGE);
}

int os_vm_move(void *from, void *to, size_t size)
{
    int error = fake_next(OS_FAKE_MOVE);

    if (error == -ENOTRECOVERABLE)
        munmap(to, size);
    if (error != 0)
        return error;
    memcpy(to, from, size);
    return fake_map(from, size, MAP_FIXED);
}

volatile uint32_t *os_vm_fork_canary(void)
{
    return &fake.canary;
}

size_t os_vm_available(void)
{
    return fake.available;
}

size_t os_vm_address_limit(void) { return SIZE_MAX; }
size_t os_vm_resident_peak(void) { return SIZE_MAX; }
size_t os_vm_cgroup_limit(void)
{
    return fake.cgroup_limit;
}

size_t os_vm_resident(void)
{
    return fake.resident;
}

/* ---- clock, entropy --------------------------------------------------------------------- */

uint64_t os_clock_ns(void)
{
    return __atomic_load_n(&fake.clock_ns, __ATOMIC_RELAXED);
}

uint64_t os_clock_coarse_ns(void)
{
    return os_clock_ns();
}

uint64_t os_clock_cpu_ns(void)
{
    return os_clock_ns();
}

uint64_t os_entropy(void)
{
    return __atomic_fetch_add(&fake.entropy, UINT64_C(0x9e3779b97f4a7c15), __ATOMIC_RELAXED);
}

/* ---- lock: the rules of the real one, waiting by yielding ----------------------------------- */

void os_lock(struct os_lock *l)
{
    CHECK(os_tls.critical > 0);
    CHECK(os_tls.ranks_held >> l->rank == 0);
    while (__atomic_exchange_n(&l->word, 1, __ATOMIC_ACQUIRE) != 0)
        sched_yield();
    os_tls.ranks_held |= UINT32_C(1) << l->rank;
}

bool os_trylock(struct os_lock *l)
{
    if (__atomic_exchange_n(&l->word, 1, __ATOMIC_ACQUIRE) != 0)
        return false;
    os_tls.ranks_held |= UINT32_C(1) << l->rank;
    return true;
}

void os_unlock(struct os_lock *l)
{
    CHECK(os_lock_is_held(l));
    os_tls.ranks_held &= ~(UINT32_C(1) << l->rank);
    __atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
}

void os_lock_reset(struct os_lock *l)
{
    os_tls.ranks_held &= ~(UINT32_C(1) << l->rank);
    __atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
}

bool os_lock_is_held(const struct os_lock *l)
{
    return l->word != 0 && (os_tls.ranks_held >> l->rank & 1) != 0;
}

void os_futex_wait(uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
    (void)timeout_ns;
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
        sched_yield(); /* a wait may end for no reason */
}

void os_futex_wake(uint32_t *word, unsigned n)
{
    (void)word, (void)n;
}

/* ---- threads ------------------------------------------------------------------------------------ */

struct os_thread *os_thread_register(void)
{
    struct os_thread *t = os_tls.thread;

    if (t != NULL || fake_next(OS_FAKE_REGISTER) != 0)
        return t;
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    t->tid = os_gettid();
    pthread_mutex_lock(&fake.lock);
    t->next = fake_threads;
    fake_threads = t;
    pthread_mutex_unlock(&fake.lock);
    os_tls.thread = t;
    return t;
}

void os_thread_unregister(void)
{
    struct os_thread *t = os_tls.thread;
    struct os_thread **link = &fake_threads;

    if (t == NULL)
        return;
    pthread_mutex_lock(&fake.lock);
    while (*link != t)
        link = &(*link)->next;
    *link = t->next;
    pthread_mutex_unlock(&fake.lock);
    os_tls.thread = NULL;
    free(t);
}

struct os_thread *os_thread_first(void)
{
    return fake_threads;
}

void os_thread_fork_child(void)
{
    fake_threads = os_tls.thread;
    if (fake_threads != NULL)
        fake_threads->next = NULL;
}

void os_thread_record_stack(struct os_thread *t)
{
    t->stack_lo = t->stack_hi = 0;
}

/* ---- what a storey above may ask about stops ------------------------------------------------------- */

bool os_stop_is_world_stopped(void)
{
    return fake.is_world_stopped;
}

void os_stop_poll_pending(void)
{
    __atomic_add_fetch(&fake.n_polls, 1, __ATOMIC_RELAXED);
    os_tls.stop_pending = NULL;
}

void os_stop_mend_fast(void)
{
    os_tls.is_fast_cut = 0;
}

void os_stop_fork_child(void)
{
    fake.is_world_stopped = false;
}

/* Nothing faults here: unit tests read memory of their own. */
bool os_fault_guard(void (*fn)(void *arg), void *arg, uintptr_t *fault_addr)
{
    *fault_addr = 0;
    fn(arg);
    return true;
}

int os_fault_guard_begin(void)
{
    return 0;
}

void os_fault_guard_end(void) {}

bool os_signals_hold(uint64_t *old)
{
    *old = 0;
    return true;
}

void os_signals_release(const uint64_t *old)
{
    (void)old;
}

unsigned os_n_cpus(void)
{
    return 2;
}
