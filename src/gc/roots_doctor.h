/* What others ask about the roots of the last collection: what became of each mapping, in words (the doctor), and what a
 * clone needs to read them again (snapshots).
 */
#ifndef GC_ROOTS_DOCTOR_H
#define GC_ROOTS_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/fmt.h"

/* What the last collection did with what is mapped from addr to hi, as far as that is one: where it ends. Not in a critical
 * section. No collection may run meanwhile: cycle_inhibit, then cycle_wait. */
uintptr_t roots_put_verdict(struct fmt *f, uintptr_t addr, uintptr_t hi);

/* In a clone of the process, made while the world was stopped: descriptors that show the original are closed and opened
 * again. Then roots_scan_into reads the clone's memory. */
bool roots_reopen_in_clone(void);
/* The stack pointer of the collecting thread, when it called. */
uintptr_t roots_caller(void);

#endif
