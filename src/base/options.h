/* Options: GCMALLOC=key=value,key=value
 *
 * What        one table of rows (name, type, default, bounds, help). The parser, the
 *             messages, the table in README.md and the tests all come from it.
 * Owns        nothing: the caller keeps the struct options.
 * Invariants  a field only ever holds its default or a value within the bounds of its
 *             row; a malformed value changes nothing, and each is told in one line.
 * No allocation, stdio, locale or errno: it may run before libc is initialised.
 * Not here    reading the environment, and what the settings mean (api, gc).
 *
 * An option is one row in options_table.c and one field here; delete both together.
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fmt.h"

enum option_mode {
    OPTION_MODE_OFF,      /* allocator only */
    OPTION_MODE_REPORT,   /* trace and tell, reclaim nothing */
    OPTION_MODE_EXPLICIT, /* only blocks from gc_* calls are reclaimed */
    OPTION_MODE_RECLAIM,  /* every unreachable block is reclaimed */
    OPTION_MODE_AUTO,     /* the same, but as OPTION_MODE_EXPLICIT where a runtime hides pointers */
};

enum option_hugepages { OPTION_HUGEPAGES_NO, OPTION_HUGEPAGES_YES, OPTION_HUGEPAGES_ALWAYS };
enum option_concurrent { OPTION_CONCURRENT_NO, OPTION_CONCURRENT_YES, OPTION_CONCURRENT_ALWAYS };
enum option_probation { OPTION_PROBATION_EAGER, OPTION_PROBATION_CAREFUL };

/* The first word of a row that takes bytes or a word is stored as the highest number, the next as the one below. */
#define OPTION_LIMIT_CGROUP UINT64_MAX /* limit_bytes: whatever the cgroup allows */
#define OPTION_PROFILE_ON UINT64_MAX
#define OPTION_PROFILE_OFF (UINT64_MAX - 1)
enum option_signal {
    OPTION_SIGNAL_NONE,
    OPTION_SIGNAL_HUP,
    OPTION_SIGNAL_QUIT,
    OPTION_SIGNAL_USR1,
    OPTION_SIGNAL_USR2,
    OPTION_SIGNAL_PWR,
    OPTION_SIGNAL_N
};
enum {
    OPTION_PATH_MAX = 1024, /* bytes of a path, its NUL included */
};

struct options {
    uint32_t mode;          /* enum option_mode */
    int32_t percent;        /* negative: never by growth */
    uint64_t limit_bytes;   /* 0: none; or OPTION_LIMIT_CGROUP */
    uint64_t floor_bytes;   /* no cycle by growth below it */
    int32_t budget_percent; /* of the process's CPU time */
    int32_t markers;        /* 0: as many as pay */
    uint32_t concurrent;    /* enum option_concurrent */
    uint32_t hugepages; /* enum option_hugepages */
    uint64_t reserve_bytes; /* most the arena may grow to; 0: all there is */
    bool finalizer_thread;
    int32_t trace;
    bool stats;                       /* at exit */
    bool doctor;                      /* at exit, to stats_file */
    int32_t report_pid;               /* of these two and the snapshot; 0: every process */
    int32_t stress; /* a cycle at every n-th slow path; 0: off */
    bool seccomp_ok;
    bool check;
    uint32_t probation; /* enum option_probation */
    bool quarantine;
    uint64_t profile_bytes; /* mean distance of samples; 0: off; OPTION_PROFILE_ON, _OFF */
    bool alloctrace;
    bool leaks;
    int32_t leaks_exit; /* status of the process where something leaked; 0: its own */
    uint32_t signal; /* enum option_signal */
    bool inherit;   /* children keep the settings and the preload */
    bool has_paths; /* one of those below was given: else nobody need look at them, and touch their pages */
    char suppressions[OPTION_PATH_MAX];
    char profile_file[OPTION_PATH_MAX];
    char snapshot_file[OPTION_PATH_MAX]; /* at exit; "": none */
    char trace_file[OPTION_PATH_MAX]; /* "": stderr */
    char stats_file[OPTION_PATH_MAX]; /* "": stderr */
    char alloctrace_file[OPTION_PATH_MAX];
    char leaks_file[OPTION_PATH_MAX];
};

enum option_type {
    OPTION_BOOL,    /* bool */
    OPTION_INT,     /* int32_t */
    OPTION_PERCENT, /* int32_t, may be followed by % */
    OPTION_BYTES,   /* uint64_t */
    OPTION_LIMIT,   /* uint64_t, or one of `words`, stored as UINT64_MAX - index */
    OPTION_ENUM,    /* uint32_t, index in `words` */
    OPTION_PATH,    /* char[OPTION_PATH_MAX] */
};
/* One row. Numbers lie within [lo, hi]; paths are "" by default. */
struct option_row {
    const char *name;
    const char *help;
    const char *const *words; /* ENUM and LIMIT: the words, NULL at the end */
    int64_t lo, hi;
    int64_t initial;
    uint16_t offset; /* of the field in struct options */
    uint8_t type;    /* enum option_type */
};

/* Gets one line, its newline included, for each bad option; the text is gone after the call. */
typedef void (*options_report_fn)(const char *line, size_t len, void *ctx);

void options_init(struct options *out); /* all defaults. pre: all bytes are 0 */
/* Apply text on top of what out holds. Items are separated by commas; blanks around
 * an item and empty items do not matter; of two settings of one option the last
 * counts. Returns how many items were bad; these changed nothing. report may be NULL. */
size_t options_parse(const char *text, struct options *out, options_report_fn report, void *ctx);
/* Apply one setting; false (and one line) where it is bad. */
bool options_set(struct options *out, const char *key, const char *value, options_report_fn report,
                 void *ctx);

size_t options_n_rows(void);
const struct option_row *options_row(size_t i);
const struct option_row *options_find(const char *name, size_t len); /* NULL: unknown */
/* "an integer from -1 to 100000", "off, report, explicit, reclaim or auto" ... */
void options_put_accepted(struct fmt *f, const struct option_row *row);
/* The value that o holds, written as the parser accepts it. */
void options_put_value(struct fmt *f, const struct option_row *row, const struct options *o);

#endif
