/* A library that the program is linked to, such as D's, has a gc_malloc and a gc_collect of its own: calls reach them, with
 * a third argument of which ours knows nothing, in each thread and whatever the size and the flags. And one, such as gvpr's, has a
 * clone, which is not libc's and gets its arguments as they are. */
#include <pthread.h>
#include "test_util.h"
extern struct runtime_call {
    size_t size_bytes;
    unsigned flags;
    const void *type;
} runtime_last;
extern int runtime_n_collections;
void *gc_malloc(size_t size_bytes, unsigned flags, const void *type);
void gc_collect(void);
struct runtime_call *runtime_clone(struct runtime_call *call, double factor, int how, long flags) __asm__("clone");

static void *body(void *arg)
{
    static const size_t sizes[] = {0, 1, 8, 12, 13, 16, 100, 1000, 1024, 1025, 5000, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (unsigned flags = 0; flags < 64; flags++) {
            TEST_CHECK(gc_malloc(sizes[i], flags, &sizes[i]) == &runtime_last);
            TEST_CHECK(runtime_last.size_bytes == sizes[i] && runtime_last.flags == flags);
            TEST_CHECK(runtime_last.type == &sizes[i]);
        }
    gc_collect();
    return arg;
}

int main(void)
{
    pthread_t id;
    TEST_CHECK(runtime_clone(&runtime_last, 0.5, 3, 0x500000100) == &runtime_last + 1);
    body(NULL);
    TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0 && pthread_join(id, NULL) == 0);
    TEST_CHECK(runtime_n_collections == 2);
    return 0;
}
