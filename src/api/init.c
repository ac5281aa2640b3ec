/* Start-up: what the first malloc could not do yet.
 *
 * What    the constructor. malloc works before it, on defaults and without collecting; here come options,
 *         libc's own functions, the main thread, fork, and the collector. It may allocate, and does.
 * Invariants  runs once, before other constructors where the linker grants it, and holds no lock of ours.
 * Not here  options' meaning: base/options_table.c; what each part needs at start: its own init function.
 */
#include <string.h>
#include <sys/auxv.h>
#include "api/alloc.h"
#include "api/control.h"
#include "api/cxx.h"
#include "api/environment.h"
#include "api/interpose.h"
#include "api/malloc_fast.h"
#include "api/neighbours.h"
#include "api/real.h"
#include "api/report.h"
#include "api/symtab.h"
#include "api/thread.h"
#include "api/outfile.h"
#include "api/watch.h"
#include "base/fmt.h"
#include "base/options.h"
#include "gc/disguise.h"
#include "gc/finalizer.h"
#include "gc/mark_team.h"
#include "gc/pacer.h"
#include "gc/roots.h"
#include "gc/twin.h"
#include "gc/withhold.h"
#include "heap/tcache.h"
#include "heap/probation.h"
#include "heap/quarantine.h"
#include "os/critical_inl.h"
#include "os/os.h"

_Static_assert((int)OPTION_MODE_OFF == MODE_OFF && (int)OPTION_MODE_REPORT == MODE_REPORT &&
                   (int)OPTION_MODE_EXPLICIT == MODE_EXPLICIT && (int)OPTION_MODE_RECLAIM == MODE_RECLAIM &&
                   (int)OPTION_MODE_AUTO == MODE_AUTO,
               "the option's modes are the collector's");

/* Runtimes that watch every access themselves; they are in the process or they are not. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));

static struct options init_options ENDING;

static void init_report_option(const char *line, size_t len, void *ctx)
{
    (void)ctx;
    os_write_all(2, line, len);
}

/* A setuid program's settings are not its caller's to choose. */
static void init_read_options(char **envp)
{
    const char *text = os_auxval(AT_SECURE) == 0 ? environment_get(envp, "GCMALLOC") : NULL;

    options_init(&init_options);
    if (text != NULL)
        options_parse(text, &init_options, init_report_option, NULL);
    if (!init_options.inherit)
        environment_disinherit(envp);
}

static bool init_has_sanitizer(void)
{
    return __asan_init != NULL || __tsan_init != NULL || __msan_init != NULL;
}

/* It runs the program on a processor of its own: registers and stacks are not where the kernel says. It is known by the
 * library that it preloads itself. */
static bool init_is_in_valgrind(char **envp)
{
    const char *preload = environment_get(envp, "LD_PRELOAD");

    return preload != NULL && strstr(preload, "/vgpreload_") != NULL;
}

static void init_heap(void)
{
    struct heap_config config = {
        .reserve_bytes = init_options.reserve_bytes,
        .hugepages = (enum arena_hugepages)init_options.hugepages,
    };

    api_heap_init(&config);
    fast_check();
}

COLD static void init_quarantine(void)
{
    os_critical_enter();
    quarantine_begin();
    os_critical_leave();
    withhold_settings_changed();
}

static void init_report_trace_file(void)
{
    static const char line[] = "libgcmalloc: option trace_file: the file cannot be opened\n";

    os_write_all(2, line, sizeof(line) - 1);
}

static void init_collector(bool is_watched)
{
    struct cycle_config cycle = {
        .mode = is_watched ? MODE_OFF : (enum cycle_mode)init_options.mode,
        .trace = (unsigned)init_options.trace,
        .trace_out = OS_OUTPUT_NONE,
        .check = init_options.check,
        .has_hider = neighbours.hides_pointers != NULL,
    };
    struct pacer_config pacer = {
        .percent = init_options.percent,
        .floor_bytes = init_options.floor_bytes,
        .limit_bytes = init_options.limit_bytes == OPTION_LIMIT_CGROUP ? 0 : init_options.limit_bytes,
        .limit_is_cgroup = init_options.limit_bytes == OPTION_LIMIT_CGROUP,
        .budget_percent = (unsigned)init_options.budget_percent,
        .stress = (unsigned)init_options.stress,
        .expects_garbage = init_options.quarantine && init_options.mode != OPTION_MODE_REPORT, /* what is freed, until a collection comes */
    };

    if (init_options.trace != 0)
        cycle.trace_out = outfile_append(init_options.trace_file);
    if (init_options.trace != 0 && cycle.trace_out.fd < 0)
        init_report_trace_file();
    finalizer_set_thread_starter(thread_start_finalizer);
    finalizer_thread_enable(init_options.finalizer_thread);
    mark_team_set_starter(thread_start_marker);
    mark_team_config((unsigned)init_options.markers);
    os_stop_set_fast_text((uintptr_t)__start_gcm_fast, (uintptr_t)__stop_gcm_fast);
    os_stop_set_fast_hooks(tcache_cut, tcache_mend);
    probation_set(init_options.probation == OPTION_PROBATION_CAREFUL);
    pacer_init(&pacer);
    twin_enable((enum twin_use)init_options.concurrent);
    cycle_init(&cycle);
    if (init_options.quarantine)
        init_quarantine();
    roots_expect((neighbours.has_python ? DISGUISE_DIGITS : 0) | (neighbours.has_luajit ? DISGUISE_SEGMENT : 0));
}

/* A sanitizer's own start comes after ours and wants the address space as it finds it. Where the program's
 * malloc is the sanitizer's, nothing here may happen, not even an allocation in libc. */
static bool init_stands_down(void)
{
    if ((!init_has_sanitizer() && !real_is_watched()) || real_is_malloc_ours(NULL))
        return false;
    api_state.is_passthrough = true;
    return true;
}

/* Who else is there. */
static NOINLINE void init_look_around(void)
{
    struct symtab_list libraries;

    symtab_list_all(&libraries);
    real_lookup_all(&libraries);
    cxx_find_replaced(&libraries);
    api_state.is_passthrough = !real_is_malloc_ours(&libraries);
    if (api_state.is_passthrough)
        passthrough_find(&libraries);
    else
        neighbours_find(&libraries);
}

__attribute__((constructor(101))) static void init_process(int argc, char **argv, char **envp)
{
    os_auxv_note(argc, argv, envp);
    if (api_state.is_initialised || init_stands_down())
        return;
    init_read_options(envp);
    if (init_options.seccomp_ok) {
        os_seccomp_trust();
        tcache_note_thread();
    }
#if GCM_CHECKING
    os_fault_set_from_text(environment_get(envp, "GCMALLOC_FAULT"));
#endif
    bool is_in_valgrind = init_is_in_valgrind(envp);
    if (is_in_valgrind)
        os_vm_drop_singly();
    init_heap();
    init_look_around();
    thread_install();
    interpose_signal_install();
    api_fork_install();
    init_collector(init_has_sanitizer() || is_in_valgrind);
    report_init(&init_options);
    if (!api_state.is_passthrough)
        watch_init(&init_options);
    api_state.is_initialised = true;
    if (!api_state.is_passthrough)
        control_init();
}
