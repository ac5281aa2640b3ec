/* Two threads that send each other messages: every block is freed by the thread that did not allocate it.
 * One ring for each direction, one writer and one reader each, so that the queue itself costs next to
 * nothing. Measures: free by another thread, and whether the sender gets the memory back while it goes on
 * allocating. Each thread has a core of its own where there are two: which of the two cases a run met was
 * chance otherwise, and it counted for more than the allocator. */
#include <stdatomic.h>

#include "bench.h"

enum { RING_SLOTS = 1024, BURST = 64, MESSAGES_PER_SCALE = 400000, MIN_BYTES = 16, MAX_BYTES = 512 };

struct message {
    uint64_t tag;
    size_t size_bytes;
};

struct ring {
    _Alignas(128) atomic_uint n_written;
    _Alignas(128) atomic_uint n_read;
    _Alignas(128) struct message *slots[RING_SLOTS];
};

struct peer {
    struct ring *out, *in;
    unsigned core; /* its number among those allowed */
    struct bench_rng rng;
    unsigned n_messages;
    uint64_t sum;
};

static bool ring_put(struct ring *ring, struct message *message)
{
    unsigned written = atomic_load_explicit(&ring->n_written, memory_order_relaxed);
    if (written - atomic_load_explicit(&ring->n_read, memory_order_acquire) == RING_SLOTS)
        return false;
    ring->slots[written % RING_SLOTS] = message;
    atomic_store_explicit(&ring->n_written, written + 1, memory_order_release);
    return true;
}

static struct message *ring_get(struct ring *ring)
{
    unsigned n_read = atomic_load_explicit(&ring->n_read, memory_order_relaxed);
    if (n_read == atomic_load_explicit(&ring->n_written, memory_order_acquire))
        return NULL;
    struct message *message = ring->slots[n_read % RING_SLOTS];
    atomic_store_explicit(&ring->n_read, n_read + 1, memory_order_release);
    return message;
}

static struct message *message_new(struct peer *peer)
{
    size_t size_bytes = MIN_BYTES + bench_rng_below(&peer->rng, MAX_BYTES - MIN_BYTES);
    struct message *message = bench_malloc(size_bytes);
    message->tag = bench_rng_next(&peer->rng);
    message->size_bytes = size_bytes;
    return message;
}

static unsigned peer_receive(struct peer *peer)
{
    unsigned n_received = 0;
    struct message *message;
    while (n_received < BURST && (message = ring_get(peer->in)) != NULL) {
        peer->sum += message->tag ^ message->size_bytes;
        free(message);
        n_received++;
    }
    return n_received;
}

static unsigned peer_send(struct peer *peer, struct message **unsent, unsigned n_left)
{
    unsigned n_sent = 0;
    while (n_sent < BURST && n_sent < n_left) {
        if (*unsent == NULL)
            *unsent = message_new(peer);
        if (!ring_put(peer->out, *unsent))
            break;
        *unsent = NULL;
        n_sent++;
    }
    return n_sent;
}

static void *peer_run(void *arg)
{
    struct peer *peer = arg;
    unsigned n_sent = 0, n_received = 0;
    struct message *unsent = NULL;
    cpu_set_t allowed;
    if (bench_cores_allowed(&allowed))
        bench_core_bind(&allowed, peer->core);
    while (n_sent < peer->n_messages || n_received < peer->n_messages) {
        unsigned sent = peer_send(peer, &unsent, peer->n_messages - n_sent);
        unsigned received = peer_receive(peer);
        n_sent += sent;
        n_received += received;
        if (sent + received == 0)
            sched_yield();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static struct ring rings[2];
    unsigned n_messages = MESSAGES_PER_SCALE * bench_scale(argc, argv);
    struct peer peers[2] = {
        {.out = &rings[0], .in = &rings[1], .rng = bench_rng_seed(1), .n_messages = n_messages},
        {.out = &rings[1], .in = &rings[0], .core = 1, .rng = bench_rng_seed(2), .n_messages = n_messages},
    };
    pthread_t other = bench_thread_start(peer_run, &peers[1]);
    peer_run(&peers[0]);
    pthread_join(other, NULL);
    bench_print_checksum(peers[0].sum + peers[1].sum);
    return 0;
}
