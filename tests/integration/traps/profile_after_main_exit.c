/* After main has called pthread_exit, a heap profile still names the mappings that its addresses lie in: /proc/self/maps is
 * empty then, without an error. */
#include "trap.h"
int gc_profile_write_fd(int fd, int kind) __attribute__((weak));
static pthread_t main_thread;
static char text[1 << 20];

static void *body(void *arg)
{
    (void)arg;
    pthread_join(main_thread, NULL);
    FILE *file = tmpfile();
    TEST_CHECK(file != NULL);
    if (trap_is_peer())
        _exit(0);
    TEST_CHECK(gc_profile_write_fd(fileno(file), 0) == 0);
    rewind(file);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    text[n] = '\0';
    const char *maps = strstr(text, "MAPPED_LIBRARIES:");
    TEST_CHECK(maps != NULL);
    if (strstr(maps, "libc") == NULL)
        TEST_FAIL("the profile names no mappings");
    _exit(0);
}

int main(void)
{
    static pthread_t id;
    main_thread = pthread_self();
    TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0);
    pthread_exit(NULL);
}
