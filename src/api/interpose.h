/* What the wrappers of libc calls offer to start-up, fork and the assembly beside them. */
#ifndef API_INTERPOSE_H
#define API_INTERPOSE_H

#include <signal.h>
#include <time.h>
#include <ucontext.h>

void interpose_signal_install(void); /* constructor */
void interpose_signal_fork_child(void);
void interpose_altstack_retire(void); /* the thread ends: its replacement goes */

/* ---- interpose_process_*.S ---- */
void interpose_vfork_begin(void);
int interpose_vfork_end(long result); /* in the parent; the system call's result becomes vfork's */
void *interpose_dlopen_target(void);  /* libc's dlopen */
void *interpose_syscall_target(void); /* libc's syscall */
void *interpose_makecontext_target(const ucontext_t *context); /* libc's makecontext */
int interpose_clone(int (*fn)(void *), void *stack, int flags, void *arg, ...); /* as libc's clone */
long interpose_seccomp(long nr, unsigned operation, unsigned flags, void *args);
long interpose_sigaltstack(long nr, const stack_t *wanted, stack_t *old); /* interpose_altstack.c */
long interpose_exec(long nr, long a, long b, long c, long d, long e); /* interpose_exec.c */
long interpose_sigqueueinfo(long nr, long pid, long b, long c, long d);               /* parked.c */
long interpose_futex(long nr, long word, long operation, long value, const struct timespec *timeout, long word2,
                     long value3); /* interpose_wait.c */

#endif
