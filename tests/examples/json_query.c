/* A JSON parser and query tool, written without free: documents are parsed, asked, some are kept for a while, and forgotten.
 *
 * usage: json_query [MB [PATH]]   (default: 100 MB, "items.*.price")
 *        json_query - PATH        one document for each line of standard input
 * A path is names between dots; a number is a place in an array, * all of them. Prints how many values were found, the sum
 * of those that are numbers, and a checksum; to standard error the time and the peak memory.
 *
 * Built three ways (JSON_FREE, JSON_NO_TINY): with gc_malloc and never free; the same with no string short enough to share a
 * block; and its twin with malloc and free.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#ifndef JSON_FREE
#include "gcmalloc.h"
#endif

enum { N_KEPT = 2000, LINE_MAX_BYTES = 1 << 16 };
enum kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct node {
    struct node *next, *child; /* siblings; what an array or object holds */
    char *name, *text;         /* in an object; of a string */
    double number;
    enum kind kind;
};

/* ---- memory: all that the twins differ in ------------------------------------------------------------------ */

static void *checked(void *p)
{
    if (!p) {
        fputs("json_query: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

#ifdef JSON_FREE
static struct node *node_new(void)
{
    return checked(calloc(1, sizeof(struct node)));
}

static char *text_new(size_t size)
{
    return checked(malloc(size));
}

static void memory_print(void)
{
}

static void node_drop(struct node *n)
{
    while (n) {
        struct node *next = n->next;
        node_drop(n->child);
        free(n->name);
        free(n->text);
        free(n);
        n = next;
    }
}
#else
static struct node *node_new(void)
{
    return checked(gc_malloc(sizeof(struct node), 0));
}

static char *text_new(size_t size)
{
#ifdef JSON_NO_TINY
    size = size < 13 ? 13 : size;
#endif
    return checked(gc_malloc(size, GC_NOSCAN | GC_NOZERO));
}

static void node_drop(struct node *n)
{
    (void)n;
}

static int block_count(const struct gc_block *block, void *arg)
{
    unsigned long *total = arg;
    total[0]++;
    total[1] += block->size_bytes;
    return 0;
}

/* Documents that are kept, and what the collector could not tell from them. */
static void memory_print(void)
{
    unsigned long total[2] = {0, 0};
    gc_collect();
    gc_heap_walk(block_count, total);
    fprintf(stderr, "%lu blocks of %lu bytes in use\n", total[0], total[1]);
}
#endif

/* ---- parsing ----------------------------------------------------------------------------------------------- */

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
        p++;
    return p;
}

static void put_utf8(char **to, unsigned code)
{
    if (code < 0x80) {
        *(*to)++ = (char)code;
        return;
    }
    if (code < 0x800) {
        *(*to)++ = (char)(0xc0 | code >> 6);
    } else {
        *(*to)++ = (char)(0xe0 | code >> 12);
        *(*to)++ = (char)(0x80 | (code >> 6 & 63));
    }
    *(*to)++ = (char)(0x80 | (code & 63));
}

static const char *parse_escape(const char *p, char **to)
{
    static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
    const char *at = strchr(from, *p);
    if (*p == 'u') {
        char digits[5] = {0};
        memcpy(digits, p + 1, strnlen(p + 1, 4));
        put_utf8(to, (unsigned)strtoul(digits, NULL, 16));
        return p + 1 + strlen(digits);
    }
    *(*to)++ = at && *p ? into[at - from] : *p;
    return *p ? p + 1 : p;
}

/* p is behind the opening quote. NULL: there is no closing one. */
static const char *parse_string(const char *p, char **text)
{
    const char *end = p;
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    if (!*end)
        return NULL;
    char *to = *text = text_new((size_t)(end - p) + 1);
    while (p < end) {
        if (*p == '\\')
            p = parse_escape(p + 1, &to);
        else
            *to++ = *p++;
    }
    *to = 0;
    return end + 1;
}

static const char *parse_value(const char *p, struct node **out);

static const char *parse_members(const char *p, struct node *n, char close)
{
    struct node **at = &n->child;
    for (p = skip_space(p); *p && *p != close; p = skip_space(p)) {
        char *name = NULL;
        if (n->kind == JSON_OBJECT) {
            p = *p == '"' ? parse_string(p + 1, &name) : NULL;
            p = p ? skip_space(p) : NULL;
            if (!p || *p++ != ':')
                return NULL;
        }
        p = parse_value(skip_space(p), at);
        if (!p)
            return NULL;
        (*at)->name = name;
        at = &(*at)->next;
        p = skip_space(p);
        if (*p == ',')
            p++;
    }
    return *p == close ? p + 1 : NULL;
}

static const char *parse_word(const char *p, struct node *n)
{
    static const char *const words[] = {"null", "false", "true"};
    for (int i = 0; i < 3; i++) {
        size_t len = strlen(words[i]);
        if (strncmp(p, words[i], len) == 0) {
            n->kind = (enum kind)i;
            return p + len;
        }
    }
    return NULL;
}

static const char *parse_number(const char *p, struct node *n)
{
    const char *digits = p + (*p == '-');
    long long whole = 0;
    int len = 0;
    n->kind = JSON_NUMBER;
    for (; isdigit((unsigned char)digits[len]) && len < 18; len++)
        whole = whole * 10 + (digits[len] - '0');
    if (digits[len] != '.' && digits[len] != 'e' && digits[len] != 'E' && !isdigit((unsigned char)digits[len])) {
        n->number = (double)(*p == '-' ? -whole : whole);
        return digits + len;
    }
    char *end;
    n->number = strtod(p, &end);
    return end;
}

static const char *parse_value(const char *p, struct node **out)
{
    struct node *n = *out = node_new();
    if (*p == '{' || *p == '[') {
        n->kind = *p == '{' ? JSON_OBJECT : JSON_ARRAY;
        return parse_members(p + 1, n, *p == '{' ? '}' : ']');
    }
    if (*p == '"') {
        n->kind = JSON_STRING;
        return parse_string(p + 1, &n->text);
    }
    return *p == '-' || isdigit((unsigned char)*p) ? parse_number(p, n) : parse_word(p, n);
}

/* ---- asking ------------------------------------------------------------------------------------------------ */

struct answer {
    unsigned long n;
    double sum;
    uint64_t check;
};

static void answer_add(struct answer *a, const struct node *n)
{
    a->n++;
    if (n->kind == JSON_NUMBER)
        a->sum += n->number;
    for (const char *c = n->text; c && *c; c++)
        a->check = a->check * 31 + (unsigned char)*c;
}

static int step_matches(const char *step, size_t len, const struct node *n, unsigned long place)
{
    if (len == 1 && *step == '*')
        return 1;
    if (n->name)
        return strncmp(n->name, step, len) == 0 && !n->name[len];
    return isdigit((unsigned char)*step) && strtoul(step, NULL, 10) == place;
}

static void query(const struct node *n, const char *path, struct answer *a)
{
    size_t len = strcspn(path, ".");
    unsigned long place = 0;
    if (!len) {
        answer_add(a, n);
        return;
    }
    for (const struct node *c = n->child; c; c = c->next, place++)
        if (step_matches(path, len, c, place))
            query(c, path + len + (path[len] == '.'), a);
}

/* ---- documents --------------------------------------------------------------------------------------------- */

static uint64_t random_state = 1;
static unsigned random_below(unsigned n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((random_state >> 33) % n);
}

/* An order with some items; returns its length. */
static size_t document_make(char *text, size_t size, unsigned long id)
{
    static const char *const words[] = {"red", "small", "new", "sale", "cotton", "outdoor", "limited", "eco"};
    size_t at = (size_t)snprintf(text, size, "{\"id\":%lu,\"user\":\"user%u\",\"ok\":true,\"note\":null,\"items\":[", id,
                                 random_below(5000));
    for (unsigned i = 0, n = 1 + random_below(12); i < n; i++)
        at += (size_t)snprintf(text + at, size - at, "%s{\"sku\":\"A%05u\",\"qty\":%u,\"price\":%u.%02u,\"tags\":[\"%s\",\"%s\"]}",
                               i ? "," : "", random_below(100000), 1 + random_below(9), random_below(500),
                               random_below(100), words[random_below(8)], words[random_below(8)]);
    return at + (size_t)snprintf(text + at, size - at, "],\"address\":{\"city\":\"city %u\",\"zip\":\"%05u\"}}",
                                 random_below(300), random_below(100000));
}

/* The last documents stay: those that they replace are forgotten. */
static struct node *kept[N_KEPT];

static int document_ask(const char *text, const char *path, unsigned long id, struct answer *a)
{
    struct node *n = NULL;
    const char *end = parse_value(skip_space(text), &n);
    if (!end)
        return 0;
    query(n, path, a);
    node_drop(kept[id % N_KEPT]);
    kept[id % N_KEPT] = n;
    return 1;
}

static void ask_input(const char *path, struct answer *a)
{
    static char line[LINE_MAX_BYTES];
    for (unsigned long id = 0; fgets(line, sizeof line, stdin); id++)
        if (!document_ask(line, path, id, a)) {
            fprintf(stderr, "json_query: line %lu is no document\n", id + 1);
            exit(1);
        }
}

static void ask_made(unsigned long n_bytes, const char *path, struct answer *a)
{
    static char line[LINE_MAX_BYTES];
    unsigned long id = 0;
    for (unsigned long done = 0; done < n_bytes; id++) {
        done += document_make(line, sizeof line, id);
        document_ask(line, path, id, a);
    }
    for (unsigned long i = 0; i < N_KEPT && i < id; i++)
        query(kept[i], "user", a);
}

int main(int argc, char **argv)
{
    const char *path = argc > 2 ? argv[2] : "items.*.price";
    struct answer a = {0};
    struct rusage usage;
    struct timespec now;
    if (argc > 1 && strcmp(argv[1], "-") == 0)
        ask_input(path, &a);
    else
        ask_made((argc > 1 ? strtoul(argv[1], NULL, 10) : 100) * 1000000, path, &a);
    printf("%lu values, sum %.2f, checksum %llx\n", a.n, a.sum, (unsigned long long)a.check);
    getrusage(RUSAGE_SELF, &usage);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    fprintf(stderr, "%ld ms of CPU time, at most %ld MiB resident\n", now.tv_sec * 1000 + now.tv_nsec / 1000000,
            usage.ru_maxrss / 1024);
    memory_print();
    return 0;
}
