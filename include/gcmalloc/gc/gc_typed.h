/* <gc/gc_typed.h>, by the same include path as <gc_typed.h>. */
#ifndef GCMALLOC_BOEHM_GC_GC_TYPED_FOLDER_H
#define GCMALLOC_BOEHM_GC_GC_TYPED_FOLDER_H

#include "../gc_typed.h"

#endif
