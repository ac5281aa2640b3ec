/* Hash-consing and a cache, both by weak links: equal texts are one block for as long as anybody holds it, and what was read
 * from "files" stays until memory is wanted.
 *
 * The tables are blocks of GC_NOSCAN, so what they hold they do not keep; a word in them becomes NULL when its text is gone.
 * Growing a table is nothing but a new one: the links of the old one end with it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gcmalloc.h"

enum { N_TEXTS = 300000 };

/* ---- hash-consing ------------------------------------------------------------------------------------------ */

struct table {
    size_t n_slots, n_used;
    void **slots;        /* GC_NOSCAN; linear probing */
    unsigned char *used; /* a slot that was, and is NULL now, ends no search */
};

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 1469598103934665603u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash ^ hash >> 29;
}

static void table_put(struct table *t, char *text)
{
    size_t i = hash_of(text) & (t->n_slots - 1);
    while (t->slots[i])
        i = (i + 1) & (t->n_slots - 1);
    t->slots[i] = text;
    gc_weak_link(&t->slots[i], text, 0);
    t->n_used += !t->used[i];
    t->used[i] = 1;
}

/* Half of the slots may be used; what is gone is not taken along. */
static void table_renew(struct table *t)
{
    struct table fresh = {64, 0, NULL, NULL};
    size_t n_alive = 0;
    for (size_t i = 0; i < t->n_slots; i++)
        n_alive += t->slots[i] != NULL;
    while (fresh.n_slots < 4 * (n_alive + 1))
        fresh.n_slots *= 2;
    fresh.slots = gc_malloc(fresh.n_slots * sizeof *fresh.slots, GC_NOSCAN);
    fresh.used = gc_malloc(fresh.n_slots, GC_NOSCAN);
    for (size_t i = 0; i < t->n_slots; i++) {
        char *text = t->slots[i]; /* held from here on, or NULL */
        if (text)
            table_put(&fresh, text);
    }
    *t = fresh;
}

/* The one block with this text. */
static const char *intern(struct table *t, const char *text)
{
    if (2 * t->n_used >= t->n_slots)
        table_renew(t);
    for (size_t i = hash_of(text) & (t->n_slots - 1); t->used[i]; i = (i + 1) & (t->n_slots - 1)) {
        const char *found = t->slots[i];
        if (found && strcmp(found, text) == 0)
            return found;
    }
    char *fresh = gc_malloc(strlen(text) + 1, GC_NOSCAN | GC_NOZERO);
    strcpy(fresh, text);
    table_put(t, fresh);
    return fresh;
}

/* ---- a cache ----------------------------------------------------------------------------------------------- */

enum { N_FILES = 500, FILE_SIZE = 100000, N_PINNED = 8 };
static struct gc_weak *cached[N_FILES];
static const char *recent[N_PINNED]; /* what keeps the last few in any case */
static unsigned n_reads;

static const char *file_get(unsigned n)
{
    char *content = cached[n] ? gc_weak_get(cached[n]) : NULL;
    if (!content) {
        content = gc_malloc(FILE_SIZE, GC_NOSCAN);
        memset(content, (int)('a' + n % 26), FILE_SIZE - 1);
        cached[n] = gc_weak_new(content);
        n_reads++;
    }
    recent[n % N_PINNED] = content;
    return content;
}

/* ---- both -------------------------------------------------------------------------------------------------- */

static int fail(const char *what)
{
    fprintf(stderr, "intern: %s\n", what);
    return 1;
}

int main(void)
{
    static struct table table;
    static const char *kept[1000];
    char text[32];
    unsigned n_same = 0;
    for (unsigned i = 0; i < N_TEXTS; i++) {
        snprintf(text, sizeof text, "text %u", i);
        const char *one = intern(&table, text);
        n_same += intern(&table, text) == one;
        if (i < 1000)
            kept[i] = one;
    }
    if (n_same != N_TEXTS)
        return fail("equal texts are two blocks");
    gc_collect();
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "text %u", i);
        if (intern(&table, text) != kept[i])
            return fail("a text that is held was lost");
    }
    table_renew(&table);
    if (table.n_used > N_TEXTS / 10)
        return fail("the table keeps what nobody holds");
    for (unsigned i = 0; i < 20000; i++)
        if (file_get(i * 7919u % 50)[100] != (char)('a' + i * 7919u % 50 % 26))
            return fail("the cache has the wrong content");
    unsigned n_few = n_reads;
    for (unsigned i = 0; i < 5 * N_FILES; i++)
        if (file_get(i % N_FILES)[FILE_SIZE - 2] != (char)('a' + i % N_FILES % 26))
            return fail("the cache has the wrong content");
    printf("%zu texts alive of %u; %u of 20000 and %u of %u reads missed the cache\n", table.n_used, N_TEXTS, n_few,
           n_reads - n_few, 5 * N_FILES);
    return n_few <= 5000 ? 0 : fail("the cache does not keep what fits");
}
