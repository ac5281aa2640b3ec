/* What is reachable from outside the heap.
 *
 * What    walks the process's mappings after the stop and feeds every range that can hold pointers to the marker; the
 *         registers and stacks of stopped threads; ranges added by the program; what the kernel holds for the process.
 * Order   roots_set_caller, world_prepare, roots_prepare; stop; roots_scan (again for a second opinion); roots_finish;
 *         start. pre of roots_scan: os_fault_guard_begin.
 * Rules   a private page with content of its own is a root, whatever its permission; shared memory without a name in
 *         the file system is a root whole; other shared files, devices and everything in our own window are not.
 *         Stacks and data segments are read at each multiple of 4, for packed structures: an array of struct
 *         epoll_event holds every other pointer across two words. (It takes twice as long, so not for all memory,
 *         and not blocks.) Whatever cannot be read ends the cycle: an incomplete set of roots is never used.
 * Not here  blocks that are roots by flavor or mode (mark.h), queues and tables of finalizers (finalizer.h).
 */
#ifndef GC_ROOTS_H
#define GC_ROOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gc/cycle.h"

/* Program's own ranges; not in a critical section (they enter one). 0 or positive errno: EINVAL empty, wrapping or
 * (roots_remove) unknown range, ENOMEM. A range may be added several times and is then removed as often. */
int roots_add(void *start, size_t size_bytes);
/* Not scanned from now on, wherever it lies but in a block. Before its memory is unmapped it must be removed: what is
 * mapped there next would not be scanned either. */
int roots_exclude(void *start, size_t size_bytes);
/* Undoes one roots_add of exactly this range, else one roots_exclude. */
int roots_remove(void *start, size_t size_bytes);

/* Where the collecting thread's own stack begins: everything it needs lies at or above sp. Before roots_scan. */
void roots_set_caller(uintptr_t sp);
/* Before the stop, after world_prepare, in a critical section: buffers, and an estimate of what is to be read. */
enum cycle_skip roots_prepare(void);
/* During a cycle: everything the process can reach directly. SKIP_NONE, or why the roots are not complete. */
enum cycle_skip roots_scan(void);
/* Where ranges go: the marker's functions of the same names (mark.h), or a test's. */
struct roots_sink {
    void (*words)(uintptr_t lo, uintptr_t hi);
    void (*words_unaligned)(uintptr_t lo, uintptr_t hi);
    void (*stack_words)(uintptr_t lo, uintptr_t hi);
    void (*addr_block)(uintptr_t addr, uintptr_t at); /* of the arena; at: where it is written, by other words than it; 0: nowhere */
    void (*words_bytewise)(uintptr_t lo, uintptr_t hi);
};
enum cycle_skip roots_scan_into(const struct roots_sink *sink);
/* Before the restart, when nothing more is marked: descriptors go. While the program runs it has none of ours: it may close any number,
 * or have it for a file of its own. Harmless when there are none. */
void roots_finish(void);
/* At the start: DISGUISE_* (disguise.h) of what is in the program itself, under whatever name. */
void roots_expect(unsigned disguises);
/* After roots_scan: those, and of libraries that are mapped. */
unsigned roots_disguises(void);
bool roots_has_hider(void); /* of a runtime that holds blocks by what is no address of them */
/* Somebody may be told of each fork before it goes on: no clone can be made in a stop. */
bool roots_has_userfault(void);
uint64_t roots_scanned_bytes(void); /* last roots_scan */
void roots_fork_child(void);

#endif
