/* See mark_team.h.
 *
 * Sharing. A marker that sees somebody idle gives the older half of its stack, which leads to the most that
 * is unseen, or half of a long range that is the oldest: a table of records given whole went to and fro, piece
 * by piece (70 instead of 62 ms for one of 1.3 million; one marker 113). One that has nothing left takes some of what was
 * given, or waits. When all members wait, marking is over. Joining. Helpers come in as they wake up, at any
 * time before that; one that comes too late goes back to sleep.
 *
 * Order. Where blocks point to their neighbours, two markers that both take the newest first arrive at the same
 * end and come back side by side, in the same lines of bits. So the second of two takes the oldest first, as long
 * as there are few, and they meet once.
 *
 * Bits of its own. An atomic operation holds up all that the processor would do ahead, which is where marking gets its speed
 * from: 15 % of marking a random graph. So of two markers each has words that nobody else writes. The helper's are the words
 * of free bits, to which it adds what it marks: a marker has to leave alone what is free or marked anyway. What was free is
 * kept in the words of `dead`, which are empty from heap_settle until marking is over. More than two share the mark bits.
 *
 * Nobody who is idle is waited for: when all are, the run is over, and whoever wakes up later finds the number of another.
 */
#include "gc/mark_team.h"

#include <stddef.h>
#include <string.h>

#include "gc/mark.h"
#include "gc/mark_inl.h"
#include "gc/mark_spread.h"
#include "gc/world.h"
#include "heap/heap.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum {
    TEAM_DEFAULT_MAX = 4,
    TEAM_TAKE_ENTRIES = 512,
    TEAM_GIVE_MIN_ENTRIES = 64,
    TEAM_END_N_LOOKS = 5000,
    TEAM_END_LOOK_NS = 200 * 1000,
    TEAM_SPIN_NS = 50 * 1000, /* in a virtual machine a wake-up costs as much as marking some thousand blocks */
    TEAM_ENDING = 1 << 16,
    TEAM_LATE_SHARE = 4, /* of a run: a collecting thread that waited for so much of it had better marked alone */
    TEAM_MOST_RESTS = 16,
};
#define TEAM_MIN_HEAP_BYTES ((size_t)8 << 20)

uint32_t mark_team_n_idle;
static struct {
    /* settings */
    unsigned n_wanted; /* 0: as many as pay */
    size_t min_heap_bytes;
    int (*start)(void *(*fn)(void *), void *arg);
    uint32_t n_started; /* atomic: helpers that exist; above them, in steps of TEAM_ENDING, threads that end them all */
    uint32_t n_runs;    /* futex: helpers sleep until it changes */
    uint32_t n_endings; /* atomic: a helper that finds another number than it was started under ends */
    pid_t tids[MARK_TEAM_MAX]; /* atomic: of helpers; 0 none */
    /* one run; lock */
    struct os_lock lock;
    uint32_t n_changes; /* futex: work was given, a member left, or all is done */
    uint32_t run_no;   /* whoever is woken finds another number: its run is over, and nobody has waited for it */
    uint32_t n_members;
    uint32_t n_joined; /* helpers that ever came in: each gets a marker of its own */
    bool is_open, is_done, is_void;
    struct marker *markers;
    unsigned n_markers;
    uint64_t *shared;
    size_t n_shared;
    uint64_t waited_ns; /* by the collecting thread */
    /* the collecting thread alone */
    unsigned n_rests, n_rests_left; /* runs without helpers after one in which they were late */
} team = {.min_heap_bytes = TEAM_MIN_HEAP_BYTES, .lock = OS_LOCK_INIT(OS_RANK_FIN)};

static uint32_t team_n_started(void)
{
    return __atomic_load_n(&team.n_started, __ATOMIC_SEQ_CST) % TEAM_ENDING;
}

/* ---- work ---- */

static void team_announce(void)
{
    __atomic_add_fetch(&team.n_changes, 1, __ATOMIC_RELEASE);
    os_futex_wake(&team.n_changes, UINT32_MAX);
}

void mark_team_give(struct marker *m)
{
    if (LOAD_ONCE(team.n_shared) != 0)
        return; /* who is idle has not come for what there is */
    if (m->stack.top - m->stack.base < TEAM_GIVE_MIN_ENTRIES && !markstack_has_long(&m->stack))
        return;
    os_lock(&team.lock);
    size_t n =
        markstack_give(&m->stack, team.shared + team.n_shared, MARK_TEAM_SHARED_ENTRIES - team.n_shared);
    team.n_shared += n;
    os_unlock(&team.lock);
    if (n != 0)
        team_announce();
}

/* false: the time is over. */
static bool team_spin_while(const uint32_t *word, uint32_t seen, uint64_t ns)
{
    uint64_t end_ns = os_clock_ns() + ns;
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == seen)
        if (os_clock_ns() > end_ns)
            return false;
    return true;
}

/* Until something changed. Called with the lock, which is free in between. */
static void team_wait_locked(void)
{
    uint32_t seen = __atomic_load_n(&team.n_changes, __ATOMIC_ACQUIRE);
    os_unlock(&team.lock);
    if (!team_spin_while(&team.n_changes, seen, TEAM_SPIN_NS))
        os_futex_wait(&team.n_changes, seen, UINT64_MAX);
    os_lock(&team.lock);
}

/* Work for a marker that has none. false: nobody has any. */
static bool team_take_locked(struct marker *m, uint32_t run_no)
{
    __atomic_add_fetch(&mark_team_n_idle, 1, __ATOMIC_RELAXED);
    while (team.run_no == run_no && !team.is_done && team.n_shared == 0) {
        if (mark_team_n_idle == team.n_members) {
            team.is_done = true;
            team_announce();
        } else {
            team_wait_locked();
        }
    }
    if (team.run_no != run_no || team.is_done)
        return false;
    __atomic_sub_fetch(&mark_team_n_idle, 1, __ATOMIC_RELAXED);
    team.n_shared = markstack_take(&m->stack, team.shared, team.n_shared, TEAM_TAKE_ENTRIES);
    return true;
}

static bool team_take(struct marker *m, uint32_t run_no)
{
    uint64_t begin_ns = os_clock_ns();
    os_lock(&team.lock);
    bool has_work = team_take_locked(m, run_no);
    if (m == team.markers)
        team.waited_ns += os_clock_ns() - begin_ns;
    os_unlock(&team.lock);
    return has_work;
}

/* A member that cannot read a page gives up its work; the cycle is void. */
static void team_mark(struct marker *m, uint32_t run_no)
{
    do {
        if (!marker_run_guarded(m))
            m->stack.top = m->stack.base;
    } while (team_take(m, run_no));
}

/* ---- two markers' bits ---- */

static void team_keep_free(struct span *s, void *ctx)
{
    struct span_cold *cold = span_cold(s);
    (void)ctx;
    for (uint32_t w = 0; w < s->n_words; w++) {
        ASSERT(cold[w].dead == 0);
        cold[w].dead = s->words[w].free;
    }
}

static void team_join_bits(struct span *s, void *ctx)
{
    struct span_cold *cold = span_cold(s);
    (void)ctx;
    for (uint32_t w = 0; w < s->n_words; w++) {
        s->words[w].mark |= s->words[w].free ^ cold[w].dead;
        s->words[w].free = cold[w].dead;
        cold[w].dead = 0;
    }
}

/* ---- a run ---- */

static void team_open(struct marker *markers, unsigned n_markers, uint64_t *shared)
{
    mark_spread_begin(team.tids, MARK_TEAM_MAX);
    os_lock(&team.lock);
    team.run_no++;
    team.markers = markers;
    team.n_markers = n_markers;
    team.shared = shared;
    team.n_shared = 0;
    team.n_members = team.n_joined = 1;
    team.is_done = team.is_void = false;
    team.waited_ns = 0;
    mark_team_n_idle = 0;
    team.is_open = true;
    os_unlock(&team.lock);
    __atomic_add_fetch(&team.n_runs, 1, __ATOMIC_RELEASE);
    os_futex_wake(&team.n_runs, UINT32_MAX);
}

/* Nobody has work any more, so nobody needs to be waited for. */
static void team_close(void)
{
    os_lock(&team.lock);
    team.is_open = false;
    for (unsigned i = 0; i < team.n_joined; i++)
        team.is_void |= team.markers[i].is_void;
    os_unlock(&team.lock);
}

/* Where processors are scarce, a helper that has taken work loses its own to somebody else: it keeps all that stand still
 * waiting. Then it is not asked for 1, 2, 4 ... runs. */
static void team_judge(uint64_t run_ns)
{
    if (team.waited_ns <= run_ns / TEAM_LATE_SHARE)
        team.n_rests = 0;
    else if (team.n_rests < TEAM_MOST_RESTS)
        team.n_rests = team.n_rests == 0 ? 1 : 2 * team.n_rests;
    team.n_rests_left = team.n_rests;
}

bool mark_team_run(struct marker *markers, unsigned n_markers, uint64_t *shared)
{
    if (team.n_rests_left != 0) {
        team.n_rests_left--;
        return marker_run_guarded(markers);
    }
    uint64_t begin_ns = os_clock_ns();
    for (unsigned i = 0; i < n_markers; i++) {
        markers[i].is_team = true;
        markers[i].is_shared = n_markers > 2;
    }
    team_open(markers, n_markers, shared);
    team_mark(&markers[0], team.run_no);
    team_close();
    if (n_markers == 2 && team.n_joined == 2)
        heap_walk_spans(team_join_bits, NULL);
    for (unsigned i = 0; i < n_markers; i++) {
        markers[i].is_team = markers[i].is_shared = false;
        markstack_reset(&markers[i].stack);
    }
    mark_stats.n_helpers = team.n_joined - 1;
    team_judge(os_clock_ns() - begin_ns);
    return !team.is_void;
}

/* ---- helpers ---- */

static struct marker *team_join(uint32_t *run_no)
{
    struct marker *m = NULL;
    os_lock(&team.lock);
    if (team.is_open && !team.is_done && team.n_joined < team.n_markers) {
        m = &team.markers[team.n_joined++];
        team.n_members++;
    }
    *run_no = team.run_no;
    os_unlock(&team.lock);
    return m;
}

/* In a critical section, because the lock's holder must never be interrupted by a stop; no stop waits for
 * its end, since the thread stays published. */
static NOINLINE void team_help(void)
{
    uint32_t run_no, epoch = os_stop_epoch();
    bool is_any_stopped = world_n_slots() > team_n_started();
    mark_spread_helper();
    os_critical_enter();
    struct marker *m = team_join(&run_no);
    if (m != NULL) {
        if (!m->is_shared) {
            heap_walk_spans(team_keep_free, NULL);
            m->own_bits = offsetof(struct span_word, free);
            m->is_oldest_first = true;
        }
        team_mark(m, run_no);
    }
    os_critical_leave();
    if (m != NULL && is_any_stopped && epoch % 2 != 0)
        mark_spread_wake_world(epoch);
}

/* Until the thread is told to end. */
static void team_serve(uint32_t n_endings)
{
    uint32_t n_runs = __atomic_load_n(&team.n_runs, __ATOMIC_ACQUIRE);
    while (__atomic_load_n(&team.n_endings, __ATOMIC_ACQUIRE) == n_endings) {
        os_futex_wait(&team.n_runs, n_runs, UINT64_MAX);
        uint32_t now = __atomic_load_n(&team.n_runs, __ATOMIC_ACQUIRE);
        if (now != n_runs)
            team_help();
        n_runs = now;
    }
}

static void team_enlist(pid_t tid)
{
    for (unsigned i = 0; i < MARK_TEAM_MAX; i++) {
        pid_t none = 0;
        if (__atomic_compare_exchange_n(&team.tids[i], &none, tid, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            return;
    }
}

/* The gate is left at the end only. n_started says that the thread exists, or will. */
static void *team_main(void *arg)
{
    struct os_gate_frame frame;
    team_enlist(os_gettid());
    os_gate_note_deaf();
    os_gate_publish(&frame);
    team_serve((uint32_t)(uintptr_t)arg);
    os_gate_leave(&frame);
    return NULL;
}

/* ---- how many ---- */

static unsigned team_n_wanted(void)
{
    if (team.n_wanted == 0) {
        unsigned n_cpus = os_n_cpus();
        team.n_wanted = n_cpus < TEAM_DEFAULT_MAX ? n_cpus : TEAM_DEFAULT_MAX;
    }
    return team.n_wanted;
}

void mark_team_config(unsigned n_markers)
{
    team.n_wanted = n_markers < MARK_TEAM_MAX ? n_markers : MARK_TEAM_MAX;
}

void mark_team_set_min_heap(size_t n_bytes)
{
    team.min_heap_bytes = n_bytes;
}

void mark_team_set_starter(int (*start)(void *(*fn)(void *), void *arg))
{
    team.start = start;
}

unsigned mark_team_size(void)
{
    uint32_t n_started = team_n_started();
    if (n_started == 0 || heap_mapped_bytes() < team.min_heap_bytes)
        return 1;
    return n_started + 1;
}

/* Nobody does so while helpers end; nor does one begin that was counted before, because it gets the number of endings from
 * before it was counted. */
static bool team_count_one_more(void)
{
    uint32_t n = __atomic_load_n(&team.n_started, __ATOMIC_SEQ_CST);
    while (n + 1 < team_n_wanted())
        if (__atomic_compare_exchange_n(&team.n_started, &n, n + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return true;
    return false;
}

/* Where those who ended them waited no longer, it is not counted any more. */
static void team_count_one_less(void)
{
    uint32_t n = __atomic_load_n(&team.n_started, __ATOMIC_SEQ_CST);
    while (n % TEAM_ENDING != 0 &&
           !__atomic_compare_exchange_n(&team.n_started, &n, n - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        continue;
}

void mark_team_poke(void)
{
    /* committed, because right after a cycle little may be in use */
    if (team.start == NULL || os_tls.critical != 0 || heap_committed_bytes() < team.min_heap_bytes)
        return;
    os_stop_set_waker(mark_spread_has_woken);
    uint32_t n_endings = __atomic_load_n(&team.n_endings, __ATOMIC_SEQ_CST);
    while (team_count_one_more()) {
        if (team.start(team_main, (void *)(uintptr_t)n_endings) == 0)
            continue;
        team_count_one_less();
        return;
    }
}

static bool team_is_alive(pid_t tid)
{
    struct os_task_state state;
    return os_task_state(tid, &state) == 0 && state.state != 0;
}

/* A thread that was started and has not enlisted yet is waited for like the others. */
static bool team_is_gone(void)
{
    unsigned n_ended = 0;
    for (unsigned i = 0; i < MARK_TEAM_MAX; i++) {
        pid_t tid = __atomic_load_n(&team.tids[i], __ATOMIC_SEQ_CST);
        if (tid != 0 && team_is_alive(tid))
            return false;
        n_ended += tid != 0;
    }
    return n_ended >= team_n_started();
}

/* The last of those who end them leaves none counted. */
static void team_end_over(void)
{
    uint32_t n = __atomic_load_n(&team.n_started, __ATOMIC_SEQ_CST), left;
    do
        left = n < 2 * TEAM_ENDING ? 0 : n - TEAM_ENDING;
    while (!__atomic_compare_exchange_n(&team.n_started, &n, left, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

void mark_team_end(void)
{
    static uint32_t never;
    if (__atomic_load_n(&team.n_started, __ATOMIC_SEQ_CST) == 0)
        return;
    __atomic_add_fetch(&team.n_started, TEAM_ENDING, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&team.n_endings, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&team.n_runs, 1, __ATOMIC_RELEASE);
    os_futex_wake(&team.n_runs, UINT32_MAX);
    for (int i = 0; i < TEAM_END_N_LOOKS && !team_is_gone(); i++)
        os_futex_wait(&never, 0, TEAM_END_LOOK_NS);
    memset(team.tids, 0, sizeof(team.tids));
    team_end_over();
}

void mark_team_fork_child(void)
{
    memset(team.tids, 0, sizeof(team.tids));
    os_lock_reset(&team.lock);
    team.n_started = 0;
    mark_spread_fork_child();
    team.n_members = 0;
    team.is_open = false;
    mark_team_n_idle = 0;
}
