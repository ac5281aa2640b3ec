/* What is found out about allocations: heap profile and leaks; when it is written, and how.
 *
 * When    at exit, by the signal that option signal names, and by the gc_* functions.
 * Callers  outside malloc and critical sections; at exit other threads may still run.
 * Not here  reports of the process's end, stats, doctor and snapshot: report.h.
 */
#ifndef API_FINDINGS_H
#define API_FINDINGS_H

#include <stdbool.h>
#include "api/findings_out.h"
#include "base/options.h"

void findings_start(const struct options *o); /* constructor: what is to be written, and when. *o stays */

/* ---- findings_profile.c ---- */
enum findings_kind { FINDINGS_LIVE, FINDINGS_UNREACHABLE };
int findings_profile(int fd, enum findings_kind kind); /* 0 or a positive errno value */

/* ---- findings_leaks.c ---- */
struct findings_leaks_result {
    uint64_t n_blocks, n_bytes; /* leaked, not suppressed */
    int error;                  /* 0, ECANCELED (a collection was skipped, nothing can be told), or of writing */
};
/* Runs two collections, then writes and finishes out. */
struct findings_leaks_result findings_leaks(struct findings_out *out, bool is_json);
bool findings_leaks_are_recorded(void); /* option leaks */
void findings_leaks_read_suppressions(const char *path); /* "": none */

#endif
