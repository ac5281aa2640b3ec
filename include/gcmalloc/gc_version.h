/* gc_version.h: the version of libgc whose interface gc.h follows. */
#ifndef GCMALLOC_BOEHM_GC_VERSION_H
#define GCMALLOC_BOEHM_GC_VERSION_H

#define GC_VERSION_MAJOR 8
#define GC_VERSION_MINOR 2
#define GC_VERSION_MICRO 2

#endif
