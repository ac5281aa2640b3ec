/* What stop.c, stop_handler.c and gate.c share. Not part of the contract.
 *
 * The epoch is odd from os_stop_begin to os_stop_end; it is the futex that parked
 * threads and waiters at gates sleep on. A signal of ours carries the epoch and the
 * index of its slot; a delivery whose epoch is over is dropped.
 */
#ifndef OS_STOP_STATE_H
#define OS_STOP_STATE_H

#include "os/os.h"

#define STOP_SIGNAL 33        /* glibc's own, for setxid: libc's mask functions cannot block it */
#define STOP_MAGIC 0x67634d73 /* si_errno of a delivery of ours */

struct stop_state {
    uint32_t epoch;             /* atomic, futex */
    uint32_t n_answers;         /* atomic, futex: grows with each answer of a handler */
    uint32_t n_busy_answers;    /* atomic: how many of them were that the thread is to be signalled again */
    uint32_t is_waiting;        /* atomic: the collector sleeps on n_answers, or is about to */
    uint32_t wake_at;           /* atomic: the number of answers that it waits for */
    uint32_t n_inside;          /* atomic: handlers that may be about to write to a slot */
    uint32_t n_seen, n_busy_seen; /* collector: answers up to here were reported by os_stop_wait */
    uint32_t n_paused;          /* collector: answers at the beginning of the last pause for busy threads */
    pid_t pid;                  /* collector, world running */
    struct os_stop_slot *slots; /* written before the epoch becomes odd */
    size_t n_slots;
    uintptr_t fast_lo, fast_hi; /* once, at init */
    void (*cut_fast)(void);     /* once, at init; NULL: busy threads are only signalled again */
    void (*mend_fast)(void);
    void *chained;         /* handler that was found for the signal, or SIG_DFL, SIG_IGN */
    bool chained_has_info; /* it takes three arguments */
    bool (*wake)(uint32_t epoch); /* before the first stop that it matters in; NULL: nobody else wakes */
    void (*serve_request)(uint64_t request); /* once, at init */
};
extern struct stop_state os_stop_state;

/* rt_tgsigqueueinfo of the stop signal to a thread of ours; stop.c and, for the thread itself,
 * stop_handler.c. */
int os_stop_queue(pid_t pid, pid_t tid, uint32_t epoch, uint32_t slot_idx);
void os_stop_handler(int sig, void *info, void *ucontext);

#endif
