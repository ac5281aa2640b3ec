/* A program under the address sanitizer, or another that brings a malloc of its own: we stand aside. Its own checks work:
 * a child that uses freed memory is told. usage: sanitized, linked with -fsanitize=address */
#include <pthread.h>
#include <sys/wait.h>
#include "test_util.h"

static void *body(void *arg)
{
    for (size_t i = 0; i < 10000; i++)
        free(realloc(malloc(i), i + 1));
    return arg;
}

int main(void)
{
    pthread_t id;
    char *text = strdup("some text");
    TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0 && pthread_join(id, NULL) == 0);
    body(NULL);
    TEST_CHECK(strcmp(text, "some text") == 0);
    pid_t child = fork();
    if (child == 0) {
        char *volatile p = text;
        close(2);
        free(p);
        _exit(*p == 's');
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 99)
        TEST_FAIL("a use of freed memory was not told: status 0x%x", (unsigned)status);
    free(text);
    return 0;
}
