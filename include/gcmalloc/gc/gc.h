/* <gc/gc.h>, by the same include path as <gc.h>. */
#ifndef GCMALLOC_BOEHM_GC_GC_FOLDER_H
#define GCMALLOC_BOEHM_GC_GC_FOLDER_H

#include "../gc.h"

#endif
