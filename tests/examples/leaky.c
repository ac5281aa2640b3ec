/* A server that never frees: each request builds a list of small strings and forgets it; a table of sessions
 * stays alive and is checked at the end, so that reclaiming too much shows as well as reclaiming too little.
 *
 * usage: leaky [GIB-TO-ALLOCATE] (default 2)
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { N_SESSIONS = 10000, N_LINES_PER_REQUEST = 200, LINE_SIZE = 400, SESSION_NAME_SIZE = 32 };

struct line {
    struct line *next;
    char *text;
};
struct session {
    uint64_t id;
    char *name;
};

static struct session *sessions[N_SESSIONS];
static uint64_t allocated_bytes;

static void *get(size_t size)
{
    void *p = malloc(size);
    if (!p) {
        fprintf(stderr, "leaky: out of memory after %llu bytes\n", (unsigned long long)allocated_bytes);
        exit(1);
    }
    allocated_bytes += size;
    return p;
}

static char *get_text(size_t size, const char *format, uint64_t number)
{
    char *text = get(size);
    snprintf(text, size, format, (unsigned long long)number);
    return text;
}

static void session_renew(uint64_t id)
{
    struct session *s = get(sizeof *s);
    s->id = id;
    s->name = get_text(SESSION_NAME_SIZE, "session %llu", id);
    sessions[id % N_SESSIONS] = s;
}

static size_t request_serve(uint64_t id)
{
    struct line *head = NULL;
    size_t n_chars = 0;
    for (unsigned i = 0; i < N_LINES_PER_REQUEST; i++) {
        struct line *l = get(sizeof *l);
        l->text = get_text(LINE_SIZE, "line of an answer, number %llu", id * N_LINES_PER_REQUEST + i);
        l->next = head;
        head = l;
    }
    for (struct line *l = head; l; l = l->next)
        n_chars += strlen(l->text);
    session_renew(id);
    return n_chars;
}

static int sessions_are_intact(void)
{
    for (unsigned i = 0; i < N_SESSIONS; i++) {
        char want[SESSION_NAME_SIZE];
        if (!sessions[i])
            continue;
        snprintf(want, sizeof want, "session %llu", (unsigned long long)sessions[i]->id);
        if (sessions[i]->id % N_SESSIONS != i || strcmp(sessions[i]->name, want) != 0)
            return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    uint64_t goal_bytes = (uint64_t)((argc > 1 ? atof(argv[1]) : 2) * (1 << 30));
    uint64_t n_requests = 0, n_chars = 0;
    struct rusage usage;
    while (allocated_bytes < goal_bytes)
        n_chars += request_serve(n_requests++);
    getrusage(RUSAGE_SELF, &usage);
    printf("allocated %.1f GiB in %llu requests (%llu characters), freed nothing: at most %ld MiB resident, "
           "sessions %s\n",
           (double)allocated_bytes / (1 << 30), (unsigned long long)n_requests, (unsigned long long)n_chars,
           usage.ru_maxrss / 1024, sessions_are_intact() ? "intact" : "DAMAGED");
    return !sessions_are_intact();
}
