/* check=1: a second, plain marker whose result must be that of the first. For mark.c only. */
#ifndef GC_MARKCHECK_H
#define GC_MARKCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* While it is set, what is given to mark_words and its kin goes to the plain marker. */
extern bool markcheck_is_active;
void markcheck_words(uintptr_t lo, uintptr_t hi, size_t step);
void markcheck_stack_words(uintptr_t lo, uintptr_t hi);
void markcheck_addr(uintptr_t addr);
void markcheck_root_spans(bool is_malloc_root);

#endif
