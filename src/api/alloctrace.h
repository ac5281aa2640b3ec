/* One line for each allocation and each free (alloctrace=1); the format is in the head of alloctrace.c. */
#ifndef API_ALLOCTRACE_H
#define API_ALLOCTRACE_H

#include <stddef.h>
#include <stdint.h>
#include "heap/site.h"

/* Both: outside critical sections; nothing happens until alloctrace_start. No locks, no allocation. */
void alloctrace_allocated(uintptr_t start, size_t size_bytes, struct site *site);
void alloctrace_freed(uintptr_t start, const struct site *site);

void alloctrace_start(const char *pattern); /* constructor */
void alloctrace_fork_child(void);

#endif
