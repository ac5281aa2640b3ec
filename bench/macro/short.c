/* Many small objects that live for microseconds: a request is parsed into a list of headers with strings,
 * looked at, and thrown away. One thread. Measures: the fast paths of malloc and free on sizes up to 100
 * bytes. */
#include "bench.h"

enum { REQUESTS_PER_SCALE = 30000, MAX_HEADERS = 24, MAX_VALUE_BYTES = 64 };

struct header {
    struct header *next;
    char *name, *value;
};

static char *text_new(struct bench_rng *rng, unsigned max_bytes)
{
    unsigned length = 1 + bench_rng_below(rng, max_bytes - 1);
    char *text = bench_malloc(length + 1);
    memset(text, 'a' + (char)bench_rng_below(rng, 26), length);
    text[length] = '\0';
    return text;
}

static struct header *request_parse(struct bench_rng *rng)
{
    struct header *list = NULL;
    for (unsigned n = 4 + bench_rng_below(rng, MAX_HEADERS - 4); n > 0; n--) {
        struct header *header = bench_malloc(sizeof *header);
        header->name = text_new(rng, MAX_VALUE_BYTES / 4);
        header->value = text_new(rng, MAX_VALUE_BYTES);
        header->next = list;
        list = header;
    }
    return list;
}

static uint64_t request_read(const struct header *list)
{
    uint64_t sum = 0;
    for (; list != NULL; list = list->next)
        sum = sum * 31 + (unsigned char)list->name[0] + strlen(list->value);
    return sum;
}

static void request_free(struct header *list)
{
    while (list != NULL) {
        struct header *next = list->next;
        free(list->value);
        free(list->name);
        free(list);
        list = next;
    }
}

int main(int argc, char **argv)
{
    struct bench_rng rng = bench_rng_seed(3);
    uint64_t sum = 0;
    for (unsigned n = REQUESTS_PER_SCALE * bench_scale(argc, argv); n > 0; n--) {
        struct header *request = request_parse(&rng);
        sum += request_read(request);
        request_free(request);
    }
    bench_print_checksum(sum);
    return 0;
}
