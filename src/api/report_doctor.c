/* What a collection meets in this process: who owns malloc, settings and limits, a collection on trial, each mapping
 * and each thread.
 *
 * Owns    the buffers below, which one caller at a time uses: whoever holds control.c's is_serving.
 * Locks   REGISTRY while threads are looked up. No collection runs while the mappings of the last one are shown.
 */
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "api/alloc.h"
#include "api/neighbours.h"
#include "api/out.h"
#include "api/report.h"
#include "base/counters.h"
#include "gc/roots.h"
#include "gc/roots_doctor.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum { DOCTOR_TEXT_BYTES = 16 * 1024, DOCTOR_MAX_THREADS = 2048, DOCTOR_VERDICT_BYTES = 256 };

static char doctor_text[DOCTOR_TEXT_BYTES] BULKY;
static pid_t doctor_tids[DOCTOR_MAX_THREADS] BULKY;

/* ---- the process ---- */

static void doctor_put_owner(struct out *o)
{
    out_label(o, "malloc");
    out_line(o, api_state.is_passthrough ? "another definition than the library's: calls are passed on, nothing is collected"
                                         : "the library's");
    if (neighbours.gc_malloc != NULL) {
        out_label(o, "names");
        out_line(o, "gc_malloc and gc_collect are those of the program's run-time library");
    }
}

/* After the collection on trial, which sees what was loaded later. */
static void doctor_put_hider(struct out *o)
{
    const char *runtime = roots_has_hider() ? "SWI-Prolog" : neighbours.hides_pointers;

    if (runtime == NULL)
        return;
    out_label(o, "pointers");
    fmt_str(&o->f, runtime);
    out_line(o, " keeps some where they are not seen: no block of malloc is reclaimed, unless mode is set");
}

static void doctor_put_options(struct out *o)
{
    const struct options *options = report_options();

    out_label(o, "settings");
    for (size_t i = 0; options != NULL && i < options_n_rows(); i++) {
        fmt_str(&o->f, i == 0 ? "" : ",");
        fmt_str(&o->f, options_row(i)->name);
        fmt_char(&o->f, '=');
        options_put_value(&o->f, options_row(i), options);
    }
    out_end_line(o);
}

static void doctor_put_rlimit(struct out *o, const char *name, int resource)
{
    struct rlimit limit;

    fmt_str(&o->f, name);
    if (os_syscall(SYS_prlimit64, 0, resource, 0, (long)&limit, 0, 0) != 0)
        fmt_str(&o->f, " unknown");
    else if (limit.rlim_cur == RLIM_INFINITY)
        fmt_str(&o->f, " none");
    else {
        fmt_char(&o->f, ' ');
        fmt_u64(&o->f, limit.rlim_cur);
    }
}

static void doctor_put_limits(struct out *o)
{
    size_t group = os_vm_cgroup_limit();

    out_label(o, "limits");
    doctor_put_rlimit(o, "address space", RLIMIT_AS);
    doctor_put_rlimit(o, ", processes", RLIMIT_NPROC);
    doctor_put_rlimit(o, ", queued signals", RLIMIT_SIGPENDING);
    doctor_put_rlimit(o, ", descriptors", RLIMIT_NOFILE);
    fmt_str(&o->f, ", control group ");
    if (group == SIZE_MAX)
        fmt_str(&o->f, "none");
    else
        fmt_bytes(&o->f, group);
    fmt_str(&o->f, os_seccomp_is_on() ? ", system calls filtered" : ", system calls not filtered");
    out_end_line(o);
}

/* The pause that is to be expected is that of a collection just run. */
static void doctor_put_trial(struct out *o)
{
    uint64_t before_ns = counter_get(COUNTER_PAUSE_NS_TOTAL);
    enum cycle_skip skip = api_collect_after_others(CYCLE_INQUIRY);

    out_label(o, "collection");
    if (skip == SKIP_NONE) {
        fmt_str(&o->f, "possible; pause ");
        out_ms(o, counter_get(COUNTER_PAUSE_NS_TOTAL) - before_ns);
    } else {
        fmt_str(&o->f, "skipped: ");
        fmt_str(&o->f, cycle_skip_name(skip));
    }
    out_end_line(o);
}

/* ---- mappings ---- */

static void doctor_put_map_name(struct out *o, const struct os_map *m)
{
    fmt_char(&o->f, ' ');
    fmt_char(&o->f, m->is_readable ? 'r' : '-');
    fmt_char(&o->f, m->is_writable ? 'w' : '-');
    fmt_char(&o->f, m->is_executable ? 'x' : '-');
    fmt_char(&o->f, m->is_shared ? 's' : 'p');
    fmt_char(&o->f, ' ');
    fmt_plain(&o->f, m->name[0] != '\0' ? m->name : "(no name)");
    fmt_str(&o->f, ": ");
}

/* A line for each part of it that a collection treats as one. */
static bool doctor_put_map(const struct os_map *m, void *ctx)
{
    char text[DOCTOR_VERDICT_BYTES];
    struct out *o = ctx;

    for (uintptr_t lo = m->lo, hi; lo < m->hi; lo = hi) {
        struct fmt verdict = fmt_init(text, sizeof(text));

        hi = roots_put_verdict(&verdict, lo, m->hi);
        fmt_str(&o->f, "    ");
        fmt_hex(&o->f, lo);
        fmt_char(&o->f, '-');
        fmt_hex(&o->f, hi);
        doctor_put_map_name(o, m);
        out_line(o, fmt_cstr(&verdict));
    }
    return true;
}

static void doctor_put_maps(struct out *o)
{
    int err;

    out_line(o, "  mappings");
    cycle_inhibit();
    cycle_wait();
    err = os_maps_walk(doctor_text, sizeof(doctor_text), doctor_put_map, o);
    cycle_uninhibit();
    if (err != 0)
        out_line(o, "    the list cannot be read");
}

/* ---- threads ---- */

enum doctor_place { DOCTOR_UNKNOWN, DOCTOR_RUNS, DOCTOR_AT_GATE };

static enum doctor_place doctor_place_of(pid_t tid)
{
    enum doctor_place place = DOCTOR_UNKNOWN;

    os_critical_enter();
    os_lock(&os_thread_registry_lock);
    for (const struct os_thread *t = os_thread_first(); t != NULL; t = t->next)
        if (t->tid == tid)
            place = __atomic_load_n(&t->gate, __ATOMIC_RELAXED) == OS_GATE_RUNNING ? DOCTOR_RUNS : DOCTOR_AT_GATE;
    os_unlock(&os_thread_registry_lock);
    os_critical_leave();
    return place;
}

/* One that has to be stopped by the signal. One that runs with it blocked may only be on its way out of the stop of the
 * collection on trial. */
static const char *doctor_signal_text(const struct os_task_state *state, bool is_known)
{
    if (state->state == 'D')
        return "waits in the kernel, uninterruptibly: while it does, collections are skipped";
    if (state->state == 't' || state->state == 'T')
        return "held by a debugger or a stop signal: while it is, collections are skipped";
    if ((state->sig_blocked >> (os_stop_signal_number() - 1) & 1) != 0)
        return state->state == 'S' ? "blocks signal 33, by the system call itself: while it does, collections are skipped"
                                   : "runs with signal 33 blocked just now, as in a handler: a collection waits for it";
    return is_known ? "stopped by signal 33" : "not known to the library: stopped by signal 33";
}

static const char *doctor_thread_text(pid_t tid)
{
    struct os_task_state state;

    if (tid == os_gettid())
        return "asks: its own collections run on a stack of the library's";
    if (os_task_state(tid, &state) != 0 || !os_task_is_stoppable(&state))
        return "gone, or a worker of the kernel: not stopped";
    enum doctor_place place = doctor_place_of(tid);
    if (place == DOCTOR_AT_GATE && os_gate_is_tight())
        return "in a call that waits: counts as stopped, is not signalled";
    return doctor_signal_text(&state, place != DOCTOR_UNKNOWN);
}

static void doctor_put_threads(struct out *o)
{
    char name[OS_TASK_NAME_BYTES];
    long n = os_task_list(doctor_tids, DOCTOR_MAX_THREADS);

    out_line(o, "  threads");
    if (n < 0)
        out_line(o, "    the list cannot be read, or has too many");
    for (long i = 0; i < n; i++) {
        fmt_str(&o->f, "    ");
        fmt_u64(&o->f, (uint64_t)doctor_tids[i]);
        os_task_name(doctor_tids[i], name);
        if (name[0] != '\0') {
            fmt_str(&o->f, " (");
            fmt_str(&o->f, name);
            fmt_char(&o->f, ')');
        }
        fmt_str(&o->f, ": ");
        out_line(o, doctor_thread_text(doctor_tids[i]));
    }
}

void report_doctor(int fd)
{
    struct out o;

    out_init(&o, fd);
    fmt_str(&o.f, "gcmalloc: doctor for process ");
    fmt_u64(&o.f, (uint64_t)os_getpid());
    out_end_line(&o);
    doctor_put_owner(&o);
    doctor_put_options(&o);
    doctor_put_limits(&o);
    doctor_put_trial(&o);
    doctor_put_hider(&o);
    report_put_skips(&o);
    doctor_put_maps(&o);
    doctor_put_threads(&o);
}
