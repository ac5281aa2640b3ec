/* Strings built by appending: realloc by the few bytes that are appended, as naive text code does. Four
 * strings grow in turn, so that none has the space behind it for itself; most end small, some reach 256 KiB.
 */
#include "bench.h"

enum { N_STRINGS = 4, BUILDS_PER_SCALE = 400, MAX_PIECE_BYTES = 48, LOW_BITS = 8, HIGH_BITS = 18 };

struct text {
    char *bytes;
    size_t length, goal;
};

static void text_append(struct text *text, struct bench_rng *rng)
{
    size_t n = 1 + bench_rng_below(rng, MAX_PIECE_BYTES);
    text->bytes = bench_checked(realloc(text->bytes, text->length + n));
    memset(text->bytes + text->length, (int)('a' + n % 26), n);
    text->length += n;
}

/* Takes the string's sum and starts a new one with another goal. */
static uint64_t text_finish(struct text *text, struct bench_rng *rng)
{
    uint64_t sum = text->length;
    for (size_t at = 0; at < text->length; at += 64)
        sum = sum * 31 + (unsigned char)text->bytes[at];
    free(text->bytes);
    *text = (struct text){NULL, 0, bench_rng_size(rng, LOW_BITS, HIGH_BITS)};
    return sum;
}

int main(int argc, char **argv)
{
    struct text texts[N_STRINGS] = {{NULL, 0, 1}, {NULL, 0, 1}, {NULL, 0, 1}, {NULL, 0, 1}};
    struct bench_rng rng = bench_rng_seed(6);
    uint64_t sum = 0;
    unsigned n_left = BUILDS_PER_SCALE * bench_scale(argc, argv);
    for (unsigned i = 0; n_left > 0; i = (i + 1) % N_STRINGS) {
        text_append(&texts[i], &rng);
        if (texts[i].length >= texts[i].goal) {
            sum += text_finish(&texts[i], &rng);
            n_left--;
        }
    }
    for (unsigned i = 0; i < N_STRINGS; i++)
        free(texts[i].bytes);
    bench_print_checksum(sum);
    return 0;
}
