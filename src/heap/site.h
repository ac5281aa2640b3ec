/* Sites: the distinct stacks from which blocks were allocated, each once, with what is counted for it.
 *
 * Owns    all sites, in meta memory. A site is never changed but for its figures, and never freed.
 * Locks   none: sites enter by one compare-and-swap, so a fork child finds them whole. Making one takes META: critical
 *         section. Reading needs neither.
 */
#ifndef HEAP_SITE_H
#define HEAP_SITE_H

#include <stddef.h>
#include <stdint.h>

enum { SITE_PCS_MAX = 48 };

enum site_figure {
    SITE_ALLOCATED,
    SITE_FREED, /* by the program, or taken by the collector */
    /* As of the last complete cycle: */
    SITE_UNREACHABLE,
    SITE_LEAKED,          /* unreachable in two cycles running, and nothing else that is leaked points there */
    SITE_LEAKED_INDIRECT, /* the same, reached from another leaked block */
    /* Since the start: */
    SITE_EVER_UNREACHABLE,
    SITE_TAKEN,          /* leaked, and taken by the collector */
    SITE_TAKEN_INDIRECT,
    SITE_FIGURES
};
struct site_count {
    uint64_t n, bytes;
};

struct site {
    struct site *same_bucket, *older;
    uint32_t id; /* 1, 2, ... in order of appearance, with gaps */
    uint32_t hash;
    uint32_t n_pcs;
    uint32_t is_announced;                  /* for the trace of allocations; atomic */
    struct site_count figures[SITE_FIGURES]; /* relaxed atomic */
    uintptr_t pcs[];                        /* innermost first */
};

struct site *site_of_stack(const uintptr_t *pcs, uint32_t n_pcs); /* NULL: no memory */
struct site *site_newest(void);                                   /* all of them, through ->older */
/* n and bytes may be "negative". */
void site_add(struct site *site, enum site_figure figure, uint64_t n, uint64_t bytes);
struct site_count site_get(const struct site *site, enum site_figure figure);
void site_reset(struct site *site, enum site_figure figure);

#endif
