/* <gc/gc_version.h>, by the same include path as <gc_version.h>. */
#ifndef GCMALLOC_BOEHM_GC_GC_VERSION_FOLDER_H
#define GCMALLOC_BOEHM_GC_GC_VERSION_FOLDER_H

#include "../gc_version.h"

#endif
