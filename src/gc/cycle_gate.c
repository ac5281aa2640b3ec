/* See cycle_gate.h.
 *
 * Fork and cycle see each other by two words: a cycle writes `is_running` and then reads `n_forks`, a fork
 * writes `n_forks` and then reads `is_running`; both sequentially consistent, so at least one of them sees
 * the other. The fork waits, the cycle gives way.
 */
#include "gc/cycle_gate.h"

#include <string.h>

#include "base/compiler.h"
#include "gc/mark_team.h"
#include "gc/twin.h"
#include "os/os.h"

enum { GATE_MAX_SHARERS = 16 };

static struct {
    struct os_lock lock; /* CYCLE */
    uint32_t n_waiting;  /* atomic: threads in cycle_wait */
    uint32_t is_running; /* atomic, futex: changes to 0 wake cycle_wait */
    uint32_t mode;       /* enum cycle_mode, atomic */
    uint32_t n_inhibits; /* atomic */
    uint32_t n_forks;    /* atomic: from prepare to the end of fork */
    uint32_t n_vforks;   /* atomic: processes that share the memory, or may in a moment */
    pid_t sharers[GATE_MAX_SHARERS]; /* atomic: those of them that nobody waits for; 0 none */
    pid_t collector;     /* thread that runs the cycle; 0 none */
} gate = {.lock = OS_LOCK_INIT(OS_RANK_CYCLE), .mode = MODE_OFF};

static uint32_t gate_load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void gate_add(uint32_t *word, uint32_t n)
{
    __atomic_add_fetch(word, n, __ATOMIC_SEQ_CST);
}

static bool gate_note_sharer(pid_t pid)
{
    for (size_t i = 0; i < GATE_MAX_SHARERS; i++) {
        pid_t none = 0;
        if (__atomic_compare_exchange_n(&gate.sharers[i], &none, pid, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

static bool gate_has_sharers(void)
{
    for (size_t i = 0; i < GATE_MAX_SHARERS && gate_load(&gate.n_vforks) != 0; i++) {
        pid_t pid = __atomic_load_n(&gate.sharers[i], __ATOMIC_SEQ_CST);
        if (pid != 0 && !os_has_our_memory(pid) &&
            __atomic_compare_exchange_n(&gate.sharers[i], &pid, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            cycle_vfork_end();
    }
    return gate_load(&gate.n_vforks) != 0;
}

/* Where so many live at once that there is no room to remember one, it counts for ever. */
void cycle_vfork_lasts(pid_t pid)
{
    if (!gate_note_sharer(pid) && !os_seccomp_is_on() && gate_has_sharers())
        gate_note_sharer(pid);
}

enum cycle_skip cycle_gate_reason(void)
{
    if (cycle_mode() == MODE_OFF)
        return SKIP_OFF;
    if (gate_load(&gate.n_inhibits) != 0)
        return SKIP_INHIBITED;
    if (gate_load(&gate.n_forks) != 0)
        return SKIP_FORK;
    if (os_seccomp_is_on())
        return SKIP_SECCOMP;
    if (gate_has_sharers())
        return SKIP_VFORK;
    return os_is_vfork_child() ? SKIP_VFORK : SKIP_NONE;
}

bool cycle_gate_try_enter(void)
{
    if (!os_trylock(&gate.lock))
        return false;
    gate.collector = os_gettid();
    __atomic_store_n(&gate.is_running, 1, __ATOMIC_SEQ_CST);
    return true;
}

void cycle_gate_leave(void)
{
    gate.collector = 0;
    __atomic_store_n(&gate.is_running, 0, __ATOMIC_SEQ_CST);
    os_unlock(&gate.lock);
    if (gate_load(&gate.n_waiting) != 0) /* the strict sandbox kills for the call */
        os_futex_wake(&gate.is_running, UINT32_MAX);
}

void cycle_wait(void)
{
    gate_add(&gate.n_waiting, 1);
    while (gate_load(&gate.is_running) != 0)
        os_futex_wait(&gate.is_running, 1, UINT64_MAX);
    gate_add(&gate.n_waiting, UINT32_MAX);
}

void cycle_set_mode(enum cycle_mode mode)
{
    __atomic_store_n(&gate.mode, mode, __ATOMIC_SEQ_CST);
}

enum cycle_mode cycle_mode(void)
{
    return (enum cycle_mode)gate_load(&gate.mode);
}

/* What is revealed from here on may be what a clone did not see. */
void cycle_inhibit(void)
{
    gate_add(&gate.n_inhibits, 1);
    twin_doubt();
}

void cycle_uninhibit(void)
{
    uint32_t n = gate_load(&gate.n_inhibits);
    while (n != 0 && !__atomic_compare_exchange_n(&gate.n_inhibits, &n, n - 1, false, __ATOMIC_SEQ_CST,
                                                  __ATOMIC_SEQ_CST))
        continue;
}

/* A fork in the middle of this thread's own cycle (a phase that calls out) must not wait for itself. */
void cycle_fork_prepare(void)
{
    gate_add(&gate.n_forks, 1);
    if (gate_load(&gate.is_running) != 0 && gate.collector != os_gettid())
        cycle_wait();
}

void cycle_fork_parent(void)
{
    gate_add(&gate.n_forks, UINT32_MAX);
}

/* Inhibits stay: who asked for them may be the thread that forked. */
void cycle_fork_child(void)
{
    os_lock_reset(&gate.lock);
    gate.n_forks = gate.n_vforks = 0;
    memset(gate.sharers, 0, sizeof(gate.sharers));
    gate.is_running = 0;
    gate.collector = 0;
    gate.n_waiting = 0;
    mark_team_fork_child();
}

void cycle_vfork_begin(void)
{
    gate_add(&gate.n_vforks, 1);
}

void cycle_vfork_end(void)
{
    gate_add(&gate.n_vforks, UINT32_MAX);
}
