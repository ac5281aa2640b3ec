/* A cache of strings: a chained hash map from key to value that grows, is looked up, overwritten and shrinks
 * again. Measures: three block sizes mixed (entry, key, value), random order of frees, and a table that
 * doubles. */
#include "bench.h"

enum { OPS_PER_SCALE = 120000, N_KEYS = 60000, FIRST_BUCKETS = 64 };

struct entry {
    struct entry *next;
    uint32_t hash;
    char *key, *value;
};

struct map {
    struct entry **buckets;
    size_t n_buckets, n_entries;
};

static uint32_t text_hash(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

static char *text_copy(const char *text)
{
    size_t size_bytes = strlen(text) + 1;
    return memcpy(bench_malloc(size_bytes), text, size_bytes);
}

static void map_resize(struct map *map, size_t n_buckets)
{
    struct entry **buckets = bench_checked(calloc(n_buckets, sizeof *buckets));
    for (size_t b = 0; b < map->n_buckets; b++) {
        for (struct entry *entry = map->buckets[b], *next; entry != NULL; entry = next) {
            next = entry->next;
            entry->next = buckets[entry->hash % n_buckets];
            buckets[entry->hash % n_buckets] = entry;
        }
    }
    free(map->buckets);
    map->buckets = buckets;
    map->n_buckets = n_buckets;
}

/* Where the entry with this key hangs, or where it would have to be hung. */
static struct entry **map_find(struct map *map, const char *key, uint32_t hash)
{
    struct entry **link = &map->buckets[hash % map->n_buckets];
    while (*link != NULL && ((*link)->hash != hash || strcmp((*link)->key, key) != 0))
        link = &(*link)->next;
    return link;
}

static void map_set(struct map *map, const char *key, const char *value)
{
    uint32_t hash = text_hash(key);
    struct entry **link = map_find(map, key, hash);
    if (*link != NULL) {
        free((*link)->value);
        (*link)->value = text_copy(value);
        return;
    }
    struct entry *entry = bench_malloc(sizeof *entry);
    *entry = (struct entry){NULL, hash, text_copy(key), text_copy(value)};
    *link = entry;
    if (++map->n_entries > map->n_buckets)
        map_resize(map, 2 * map->n_buckets);
}

static uint64_t map_remove(struct map *map, const char *key)
{
    struct entry **link = map_find(map, key, text_hash(key));
    struct entry *entry = *link;
    if (entry == NULL)
        return 1;
    uint64_t sum = strlen(entry->value) + (unsigned char)entry->value[0];
    *link = entry->next;
    map->n_entries--;
    free(entry->key);
    free(entry->value);
    free(entry);
    return sum;
}

static void map_free(struct map *map)
{
    for (size_t b = 0; b < map->n_buckets; b++) {
        for (struct entry *entry = map->buckets[b], *next; entry != NULL; entry = next) {
            next = entry->next;
            free(entry->key);
            free(entry->value);
            free(entry);
        }
    }
    free(map->buckets);
}

int main(int argc, char **argv)
{
    struct map map = {NULL, 0, 0};
    struct bench_rng rng = bench_rng_seed(10);
    char key[32], value[256];
    uint64_t sum = 0;
    map_resize(&map, FIRST_BUCKETS);
    for (unsigned op = OPS_PER_SCALE * bench_scale(argc, argv); op > 0; op--) {
        snprintf(key, sizeof key, "key-%u", bench_rng_below(&rng, N_KEYS));
        if (bench_rng_below(&rng, 5) < 2) {
            sum = sum * 31 + map_remove(&map, key);
            continue;
        }
        size_t length = bench_rng_below(&rng, sizeof value - 1);
        memset(value, (int)('a' + op % 26), length);
        value[length] = '\0';
        map_set(&map, key, value);
    }
    map_free(&map);
    bench_print_checksum(sum + map.n_entries);
    return 0;
}
