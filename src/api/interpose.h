/* What the wrappers of libc calls offer to start-up, fork and the assembly beside them. */
#ifndef API_INTERPOSE_H
#define API_INTERPOSE_H

void interpose_signal_fork_child(void);

/* ---- interpose_process_*.S ---- */
void interpose_vfork_begin(void);
int interpose_vfork_end(long result); /* in the parent; the system call's result becomes vfork's */
void *interpose_dlopen_target(void);  /* libc's dlopen */

#endif
