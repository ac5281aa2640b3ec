/* Sorting in place, without allocation and without recursion: heapsort, n log n for every order of the input.
 * Async-signal-safe. Items that are equal may change places. */
#ifndef BASE_SORT_H
#define BASE_SORT_H

#include <stdbool.h>
#include <stddef.h>

enum { SORT_ITEM_MAX = 64 };

/* pre: size_bytes <= SORT_ITEM_MAX */
void sort_items(void *items, size_t n, size_t size_bytes, bool (*is_before)(const void *a, const void *b));

#endif
