/* See finalizer_list.h. */
#include "gc/finalizer_list.h"

#include "gc/finalizer_table.h"

struct list_walk {
    void (*fn)(const char *why, uintptr_t addr);
};

static void list_record(struct finalizer_record *r, void *ctx)
{
    const struct list_walk *walk = ctx;

    if (r->n_pins != 0)
        walk->fn("pinned", r->obj);
    if (r->state == FINALIZER_QUEUED)
        walk->fn("finalizer queue", r->obj);
    if (r->state == FINALIZER_QUEUED || r->state == FINALIZER_SET)
        walk->fn("finalizer argument", (uintptr_t)r->arg);
    for (const struct finalizer_record *c = finalizer_record_of_ref(r->cleanups); c != NULL;
         c = finalizer_record_of_ref(c->queue_next))
        walk->fn("cleanup argument", (uintptr_t)c->arg);
}

void finalizer_list(void (*fn)(const char *why, uintptr_t addr))
{
    struct list_walk walk = {fn};

    finalizer_table_walk(list_record, &walk);
}
