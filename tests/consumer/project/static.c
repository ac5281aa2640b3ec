/* A program of one thread without a dynamic linker, whose heap is large enough for a second marker and which sets finalizers. */
#include <gcmalloc.h>
#include <stddef.h>

struct node {
    struct node *next;
    char payload[100];
};
enum { N_NODES = 400000, KEEP_EACH = 4, FINALIZE_EACH = 1000 };
static struct node *kept;
static size_t n_finalized;

static void finalize(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
    n_finalized++;
}

int main(void)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < N_NODES; i++) {
        struct node *n = gc_malloc(sizeof(*n), 0);
        if (n == NULL)
            return 2;
        if (i % KEEP_EACH == 0) {
            n->next = kept;
            kept = n;
        } else if (i % FINALIZE_EACH == 1 && gc_set_finalizer(n, finalize, NULL) != 0) {
            return 3;
        }
        if (i % (N_NODES / 8) == 0)
            gc_collect();
    }
    gc_collect();
    gc_run_finalizers();
    for (const struct node *n = kept; n != NULL; n = n->next)
        n_kept++;
    return n_kept != N_NODES / KEEP_EACH || n_finalized == 0;
}
