/* A runtime that enters the kernel without libc (Go) asks for the alternate stack of each of its threads, takes what is there
 * or sets one of its own, and gives its handlers to libc: with SA_ONSTACK they run on that stack and nowhere else. */
#include "raw_altstack.h"
#include "trap.h"

static void *volatile handler_at;

static void handler(int signo)
{
    (void)signo;
    handler_at = __builtin_frame_address(0);
}

static void check(const stack_t *s)
{
    handler_at = NULL;
    raise(SIGUSR1);
    TEST_CHECK((char *)handler_at > (char *)s->ss_sp && (char *)handler_at <= (char *)s->ss_sp + s->ss_size);
}

static void *body(void *arg)
{
    enum { BYTES = 64 * 1024 };
    stack_t own = {.ss_sp = malloc(BYTES), .ss_size = BYTES}, found = {0}, none = {.ss_flags = SS_DISABLE};
    TEST_CHECK(raw_sigaltstack(NULL, &found) == 0);
    if ((found.ss_flags & SS_DISABLE) == 0)
        check(&found);
    TEST_CHECK(raw_sigaltstack(&own, NULL) == 0);
    check(&own);
    TEST_CHECK(raw_sigaltstack(&none, NULL) == 0);
    free(own.ss_sp);
    return arg;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART};
    pthread_t id;
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    body(NULL);
    TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0);
    TEST_CHECK(pthread_join(id, NULL) == 0);
    return 0;
}
