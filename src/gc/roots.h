/* What is reachable from outside the heap.
 *
 * What    walks the process's mappings after the stop and feeds every range that can hold pointers to the marker; the
 *         registers and stacks of stopped threads; ranges added by the program; queues and tables of ours that hold blocks.
 */
#ifndef GC_ROOTS_H
#define GC_ROOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gc/cycle.h"

/* Program's own ranges; not in a critical section (they enter one). 0 or positive errno. */
int roots_add(void *start, size_t size_bytes);
int roots_remove(void *start, size_t size_bytes);
int roots_exclude(void *start, size_t size_bytes);
/* During a cycle: everything the process can reach directly. SKIP_NONE, or why the roots are not complete. */
enum cycle_skip roots_scan(void);
/* Before the stop: descriptors and buffers. After it: roots_finish. */
enum cycle_skip roots_prepare(void);
void roots_finish(void);
uint64_t roots_scanned_bytes(void); /* last cycle */
void roots_fork_child(void);        /* remember stacks of vanished threads: scanned from now on */

#endif
