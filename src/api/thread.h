/* Threads as api sees them: a record from their first breath to their last free. */
#ifndef API_THREAD_H
#define API_THREAD_H

/* Constructor: the key whose destructor ends a thread, and the main thread's record and stack. */
void thread_install(void);
/* The calling thread, new: record, stack bounds, exit. Takes locks of libc. */
void thread_begin(void);
/* A thread of ours: detached, small stack, all signals blocked that can be, named. 0 or an errno value. Takes
 * locks of libc: from wrapped calls and gc_* functions only. */
int thread_start_finalizer(void *(*fn)(void *), void *arg);
int thread_start_marker(void *(*fn)(void *), void *arg);
int thread_start_reporter(void *(*fn)(void *), void *arg);
/* After pthread_create, the real one. */
void thread_created(void);
/* Start those of them that are wanted and missing; not behind a filter of system calls. From gc_* functions
 * only. */
void thread_poke_helpers(void);

#endif
