/* Three levels of assertion, set in one place.
 *
 * What    CHECK always; ASSERT, O(1), and ASSERT_SLOW, O(n), in checking builds.
 * Not here  misuse by the program: that is check_misuse, with its fixed line.
 * None of this allocates, locks or uses stdio; all of it is async-signal-safe.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include "base/compiler.h"

#ifndef GCM_CHECKING
#error "GCM_CHECKING is set by the build"
#endif

/* One line to fd 2, then SIGABRT:  libgcmalloc: WHAT: 0xADDR */
NORETURN COLD void check_misuse(const char *what, uintptr_t addr);
/* libgcmalloc: internal error: FILE:LINE: COND */
NORETURN COLD void check_failed(const char *file, int line, const char *cond);

#define CHECK(c) (LIKELY(c) ? (void)0 : check_failed(__FILE__, __LINE__, #c))
#if GCM_CHECKING
#define ASSERT(c) CHECK(c)
#define ASSERT_SLOW(c) CHECK(c)
#else
#define ASSERT(c) ((void)sizeof(c))
#define ASSERT_SLOW(c) ((void)sizeof(c))
#endif

/* The fixed texts of misuse; tests compare them word for word. */
#define MISUSE_DOUBLE_FREE "double free"
#define MISUSE_INVALID_FREE "free of an address that is not a block"
#define MISUSE_INVALID_REALLOC "realloc of an address that is not a block"
#define MISUSE_INVALID_USABLE "malloc_usable_size of an address that is not a block"
#define MISUSE_REALLOC_FREED "realloc of a freed block"
#define MISUSE_USABLE_FREED "malloc_usable_size of a freed block"
#define MISUSE_FREE_PINNED "free of a pinned block"
#define MISUSE_FINALIZER_THREW "exception leaves a finalizer"
#define MISUSE_CALLBACK_THREW "exception leaves a callback"
#define MISUSE_WRONG_SIZE "free_sized with a wrong size"

#endif
