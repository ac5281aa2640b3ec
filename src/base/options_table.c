/* The table of options: the only place that says what an option is called, takes and defaults to. */
#include "base/options.h"

#include <string.h>
#include "base/compiler.h"

#define MIB (INT64_C(1) << 20)
#define TIB (INT64_C(1) << 40)
/* No address space of ours has more. */
#define BYTES_MAX (128 * TIB)

static const char *const option_words_mode[] = {"off", "report", "explicit", "reclaim", "auto", NULL};
static const char *const option_words_probation[] = {"eager", "careful", NULL};
static const char *const option_words_concurrent[] = {"no", "yes", "always", NULL};
static const char *const option_words_hugepages[] = {"no", "yes", "always", NULL};
static const char *const option_words_limit[] = {"cgroup", NULL};
static const char *const option_words_profile[] = {"on", "off", NULL};
static const char *const option_words_signal[] = {"none", "hup", "quit", "usr1", "usr2", "pwr", NULL};
_Static_assert(N_ELEMENTS(option_words_signal) == OPTION_SIGNAL_N + 1, "one word for each signal");

/* The field's offset; does not compile where its type is not the one that the row's type stores. */
#define FIELD(field, c_type)                                                                                 \
    (offsetof(struct options, field) +                                                                       \
     0 * sizeof(                                                                                             \
             char[__builtin_types_compatible_p(__typeof__(((struct options *)0)->field), c_type) ? 1 : -1]))

#define ROW_BOOL(key, field, on, text)                                                                       \
    {                                                                                                        \
        .name = key, .type = OPTION_BOOL, .offset = FIELD(field, bool), .hi = 1, .initial = on, .help = text \
    }
#define ROW_INT(key, field, min, max, value, text)                                                           \
    {                                                                                                        \
        .name = key, .type = OPTION_INT, .offset = FIELD(field, int32_t), .lo = min, .hi = max,              \
        .initial = value, .help = text                                                                       \
    }
#define ROW_PERCENT(key, field, min, max, value, text)                                                       \
    {                                                                                                        \
        .name = key, .type = OPTION_PERCENT, .offset = FIELD(field, int32_t), .lo = min, .hi = max,          \
        .initial = value, .help = text                                                                       \
    }
#define ROW_BYTES(key, field, max, value, text)                                                              \
    {                                                                                                        \
        .name = key, .type = OPTION_BYTES, .offset = FIELD(field, uint64_t), .hi = max, .initial = value,    \
        .help = text                                                                                         \
    }
#define ROW_LIMIT(key, field, list, value, text)                                                             \
    {                                                                                                        \
        .name = key, .type = OPTION_LIMIT, .offset = FIELD(field, uint64_t), .hi = BYTES_MAX, .words = list, \
        .initial = value, .help = text                                                                       \
    }
#define ROW_ENUM(key, field, list, value, text)                                                              \
    {                                                                                                        \
        .name = key, .type = OPTION_ENUM, .offset = FIELD(field, uint32_t), .hi = N_ELEMENTS(list) - 2,      \
        .words = list, .initial = value, .help = text                                                        \
    }
#define ROW_PATH(key, field, text)                                                                           \
    {                                                                                                        \
        .name = key, .type = OPTION_PATH, .offset = FIELD(field, char[OPTION_PATH_MAX]), .help = text        \
    }

static const struct option_row option_rows[] = {
    ROW_ENUM(
        "mode", mode, option_words_mode, OPTION_MODE_AUTO,
        "`off`: allocator only; `report`: trace and tell, reclaim nothing; `explicit`: reclaim only blocks "
        "from `gc_*` calls; `reclaim`: reclaim every unreachable block; `auto`: `explicit` where a runtime is known to "
        "hide pointers, else `reclaim`"),
    ROW_PERCENT("percent", percent, -1, 100000, 100,
                "growth over the live heap at which the next collection is due, with `gc_malloc` from 0.4 of it on where "
                "collections are cheap; negative: never by growth"),
    ROW_LIMIT("limit", limit_bytes, option_words_limit, 0,
              "memory limit that collections try to keep; `cgroup`: the limit of the control group; 0: none"),
    ROW_BYTES("floor", floor_bytes, BYTES_MAX, 64 * MIB, "heap size below which growth starts no collection; a quarter of it once `gc_malloc` is used"),
    ROW_PERCENT("budget", budget_percent, 1, 100, 10,
                "share of the process's CPU time that collections by growth may use while they recover little; at "
                "least 50 where they recover much"),
    ROW_INT("markers", markers, 0, 64, 0, "threads that mark; 0: as many as pay"),
    ROW_ENUM("concurrent", concurrent, option_words_concurrent, OPTION_CONCURRENT_NO,
             "`yes`: a clone of the process marks while the program runs on: two short pauses instead of one, for up to half as much "
             "memory again and a second process meanwhile; `always`: small heaps, too"),
    ROW_ENUM("hugepages", hugepages, option_words_hugepages, OPTION_HUGEPAGES_YES,
             "advise huge pages once the heap is large; `yes`: while the first write to one takes no longer than those to the small "
             "pages in its place; `always`: whatever it takes"),
    ROW_BYTES("reserve", reserve_bytes, BYTES_MAX, 0,
              "most address space that blocks may take; 0: as much as there is"),
    ROW_BOOL("finalizer_thread", finalizer_thread, true,
             "run finalizers on a thread of the library; `no`: only in `gc_run_finalizers`"),
    ROW_INT("trace", trace, 0, 1, 0, "1: one line for each collection"),
    ROW_PATH("trace_file", trace_file, "where the trace goes (`%p`: process id); default: stderr"),
    ROW_ENUM("probation", probation, option_words_probation, OPTION_PROBATION_EAGER,
             "`eager`: reclaim what one collection found unreachable; `careful`: what two in a row did"),
    ROW_BOOL("quarantine", quarantine, false,
             "a freed block reads as zero, and is used again only when a collection found no pointer to it; with `mode` `off` or "
             "`report` frees are honoured at once"),
    ROW_BOOL("seccomp_ok", seccomp_ok, false,
             "collect behind a filter of system calls, too; only where it allows them or refuses with an error, as "
             "Docker's does"),
    ROW_BOOL("stats", stats, false, "at exit: a summary of the collections, with a histogram of the pauses"),
    ROW_BOOL("doctor", doctor, false,
             "at exit: what a collection meets in this process, which mappings it reads and which threads it stops"),
    ROW_PATH("stats_file", stats_file, "where `stats` and `doctor` go (`%p`: process id); default: stderr"),
    ROW_INT("report_pid", report_pid, 0, INT32_MAX, 0,
            "process that `stats`, `doctor` and `snapshot_file` are for, and files of reports without `%p`; 0: each that inherits them"),
    ROW_PATH("snapshot_file", snapshot_file,
             "at exit: a snapshot of the heap in Chrome's .heapsnapshot format (`%p`: process id)"),
    ROW_INT("stress", stress, 0, 1000000000, 0, "collect at every n-th slow path; 0: off"),
    ROW_BOOL("check", check, false, "mark a second time with other bits and compare; check the heap"),
    ROW_LIMIT("profile", profile_bytes, option_words_profile, 0,
              "sample allocations, one in so many bytes on average, with their stacks; 1: every one; `on`: 512K; 0 or `off`: none"),
    ROW_PATH("profile_file", profile_file,
             "write the heap profile there at exit, for google-pprof and the like (`%p`: process id); default: none"),
    ROW_BOOL("alloctrace", alloctrace, false, "one line for each allocation and each free, with its stack"),
    ROW_PATH("alloctrace_file", alloctrace_file,
             "where these lines go (`%p`: process id); default: stderr"),
    ROW_BOOL("leaks", leaks, false,
             "record where every block comes from, and report at exit what leaked, by place"),
    ROW_INT("leaks_exit", leaks_exit, 0, 255, 0, "exit status where something leaked; 0: the program's own"),
    ROW_PATH("leaks_file", leaks_file,
             "where the report goes (`%p`: process id), as JSON if it ends in `.json`; default: stderr"),
    ROW_PATH("suppressions", suppressions,
             "file with lines `leak:PATTERN`, as LeakSanitizer reads: places that are not reported"),
    ROW_ENUM("signal", signal, option_words_signal, OPTION_SIGNAL_NONE,
             "signal that makes a running process write its profile and its leaks"),
    ROW_BOOL("inherit", inherit, true, "child processes get the same settings and preload"),
};

size_t options_n_rows(void)
{
    return N_ELEMENTS(option_rows);
}

const struct option_row *options_row(size_t i)
{
    return &option_rows[i];
}

const struct option_row *options_find(const char *name, size_t len)
{
    for (size_t i = 0; i < N_ELEMENTS(option_rows); i++) {
        const struct option_row *row = &option_rows[i];
        if (strncmp(row->name, name, len) == 0 && row->name[len] == '\0') {
            return row;
        }
    }
    return NULL;
}
