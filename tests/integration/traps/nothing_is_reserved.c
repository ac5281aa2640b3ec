/* Under strict accounting (vm.overcommit_memory=2) each private writable mapping counts in full, touched or not, and so does what
 * mlockall(MCL_FUTURE) would lock. So hardly more may be mapped than is in use: in a program of a few blocks, with threads,
 * and in one with 140 megabytes. */
#include "trap.h"

enum { N_SMALL = 1000, N_THREADS = 16, BLOCK = 1000, N_MANY = 140000, IDLE_KIB = 8 << 10,
    ALTERNATE_STACK_KIB = 256, SLACK_PERCENT = 125 };

/* What the kernel would count: all that is writable and private; MAP_NORESERVE is no excuse then. Read into a static buffer, so
 * that nothing is allocated meanwhile. */
static long accounted_kib(void)
{
    static char text[8 << 20];
    size_t n = 0;
    int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    for (ssize_t got; fd >= 0 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    close(fd);
    text[n] = '\0';
    long sum = 0, size = 0;
    for (char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        char *end = strchr(line, '\n');
        if (strncmp(line, "Size:", 5) == 0)
            size = strtol(line + 5, NULL, 10);
        if (strncmp(line, "VmFlags:", 8) != 0 || end == NULL)
            continue;
        *end = '\0';
        sum += strstr(line, " wr") != NULL && strstr(line, " sh") == NULL ? size : 0;
        *end = '\n';
    }
    return sum;
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    free(malloc(BLOCK));
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        sched_yield();
    return NULL;
}

static void check(const char *what, long limit_kib)
{
    long kib = accounted_kib();
    if (kib > limit_kib)
        TEST_FAIL("%s: %ld KiB are counted, at most %ld expected", what, kib, limit_kib);
}

int main(void)
{
    static struct trap_thread threads[N_THREADS];
    static void *volatile small[N_SMALL], *volatile many[N_MANY];
    long own_kib = (long)sizeof(char[8 << 20]) >> 10;
    pthread_attr_t attr;
    size_t stack_bytes;
    for (int i = 0; i < N_SMALL; i++)
        small[i] = malloc((size_t)i + 1);
    check("a few blocks", own_kib + IDLE_KIB);
    TEST_CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_getstacksize(&attr, &stack_bytes) == 0);
    long stacks_kib = (long)(N_THREADS * ((stack_bytes >> 10) + ALTERNATE_STACK_KIB));
    for (int i = 0; i < N_THREADS; i++) {
        trap_thread_start(&threads[i], body);
        trap_wait(&threads[i].ready);
    }
    check("with threads", own_kib + stacks_kib + IDLE_KIB);
    for (int i = 0; i < N_THREADS; i++)
        trap_thread_end(&threads[i]);
    long before_kib = accounted_kib();
    for (int i = 0; i < N_MANY; i++)
        many[i] = malloc(BLOCK);
    check("many blocks", before_kib + N_MANY / 1024 * BLOCK / 100 * SLACK_PERCENT);
    for (int i = 0; i < N_MANY; i++)
        free(many[i]);
    for (int i = 0; i < N_SMALL; i++)
        free(small[i]);
    return 0;
}
