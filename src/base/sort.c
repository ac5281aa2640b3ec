/* See sort.h. */
#include "base/sort.h"

#include <string.h>

#include "base/check.h"

struct sort {
    char *items;
    size_t size_bytes;
    bool (*is_before)(const void *a, const void *b);
};

static char *sort_item(const struct sort *s, size_t i)
{
    return s->items + i * s->size_bytes;
}

/* The heap below i is one but for i itself. */
static void sort_sink(const struct sort *s, size_t i, size_t n)
{
    char sinking[SORT_ITEM_MAX];

    memcpy(sinking, sort_item(s, i), s->size_bytes);
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && s->is_before(sort_item(s, child), sort_item(s, child + 1));
        if (!s->is_before(sinking, sort_item(s, child)))
            break;
        memcpy(sort_item(s, i), sort_item(s, child), s->size_bytes);
    }
    memcpy(sort_item(s, i), sinking, s->size_bytes);
}

void sort_items(void *items, size_t n, size_t size_bytes, bool (*is_before)(const void *a, const void *b))
{
    struct sort s = {items, size_bytes, is_before};
    char last[SORT_ITEM_MAX];

    ASSERT(size_bytes <= SORT_ITEM_MAX);
    for (size_t i = n / 2; i-- > 0;)
        sort_sink(&s, i, n);
    while (n > 1) {
        n--;
        memcpy(last, sort_item(&s, n), size_bytes);
        memcpy(sort_item(&s, n), sort_item(&s, 0), size_bytes);
        memcpy(sort_item(&s, 0), last, size_bytes);
        sort_sink(&s, 0, n);
    }
}
