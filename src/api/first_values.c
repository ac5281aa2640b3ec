/* malloc for resolvers of the program's indirect functions, which ld.so calls while it relocates the program.
 *
 * What    thread-local data is all zero then: ld.so copies its first values in after everything is relocated. So we have a
 *         resolver of our own, which is called when the library is relocated, and that is before the program. It stores what
 *         malloc needs, and says that this thread gets neither cache nor record: ld.so overwrites both.
 * Not here  libraries, which are relocated before us: see the limits in tests/README.md. The static library: its resolver
 *         would be one of the program's, in any order, and of a program without ld.so one that has no thread-local data yet.
 */
#include "api/alloc.h"
#include "heap/tcache.h"

static void first_values_none(void)
{
}

static __attribute__((used)) void (*first_values_set(void))(void)
{
    tcache_self = &tcache_none;
    api_tls.is_retired = true;
    return first_values_none;
}

extern void first_values(void) __attribute__((ifunc("first_values_set"), visibility("hidden")));
/* Never called: the reference is what has the resolver called. */
void (*const first_values_use)(void) __attribute__((used, visibility("hidden"))) = first_values;
