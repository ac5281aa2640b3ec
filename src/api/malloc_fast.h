/* The fast paths' names inside the library, and the bounds of their section. */
#ifndef API_MALLOC_FAST_H
#define API_MALLOC_FAST_H

#include <stddef.h>
#include "base/compiler.h"

/* Set by the linker, because the section's name is a C identifier. */
extern const char __start_gcm_fast[] __attribute__((visibility("hidden")));
extern const char __stop_gcm_fast[] __attribute__((visibility("hidden")));

EXPORT void *_Znwm(size_t size_bytes);
EXPORT void _ZdlPv(void *p);

/* ASSERTs that the table of bins says what sizeclass_of says. */
void fast_check(void);

#endif
