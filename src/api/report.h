/* What the library says about the process when it is asked: a summary of its collections, and what a collection
 * meets in it. Callers: the end of the process, or a request from outside; not in a critical section. */
#ifndef API_REPORT_H
#define API_REPORT_H

#include <stdbool.h>
#include "api/out.h"
#include "base/options.h"

/* Constructor. options: for the life of the process. Where they ask for a text at exit, the descriptor it goes to
 * is opened or set aside now: programs close their own on the way out. */
void report_init(const struct options *options);
const struct options *report_options(void);

void report_stats(int fd);
void report_put_skips(struct out *o); /* how many collections were skipped, and why; nothing where none was */
/* Runs a collection to see what happens. One caller at a time. */
void report_doctor(int fd);

#endif
