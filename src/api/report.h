/* The reports on allocations: heap profile and leaks; when they are written, and how.
 *
 * When    at exit, by the signal that option signal names, and by the gc_* functions.
 * Callers  outside malloc and critical sections; at exit other threads may still run.
 */
#ifndef API_REPORT_H
#define API_REPORT_H

#include <stdbool.h>
#include "base/options.h"

void report_start(const struct options *o); /* constructor: what is to be written, and when. *o stays */

/* ---- report_profile.c ---- */
enum report_kind { REPORT_LIVE, REPORT_UNREACHABLE };
int report_profile(int fd, enum report_kind kind); /* 0 or a positive errno value */

/* ---- report_leaks.c ---- */
struct report_leaks_result {
    uint64_t n_blocks, n_bytes; /* leaked, not suppressed */
    int error;                  /* 0, ECANCELED (a collection was skipped, nothing can be told), or of writing */
};
/* Runs two collections, then writes. */
struct report_leaks_result report_leaks(int fd, bool is_json);
void report_leaks_read_suppressions(const char *path); /* "": none */

#endif
