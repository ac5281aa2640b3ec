/* libgcmalloc_boehm.a: the functions of gcmalloc/gc.h with external linkage, for configure scripts that look for GC_malloc in a
 * library, and for objects compiled against libgc's own header. Not part of libgcmalloc. */
#define GCM_BOEHM_FN
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include <gc.h>
