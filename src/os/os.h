/* The contract of storey os: everything that names the kernel, pthreads or ld.so.
 *
 * Rules for all: no function here calls a libc function that locks or allocates,
 * unless its comment says so; errors come back as negative errno values or as
 * NULL/false; errno is never changed. tests/support/os_fake.c implements the
 * same contract with failures on demand. One .c per duty, named in the heads below.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- sys.c: the one door to the kernel ------------------------------------
 * Raw system call: result, or -errno. In checking builds the n-th call (or each
 * n-th, or each call of one number) can be made to fail: os_fault_set. */
long os_syscall(long nr, long a, long b, long c, long d, long e, long f);
/* Checking builds: after `skip` further calls of number `nr` (-1: any), fail
 * `count` of them with `error` (positive errno). nr == -2 turns it off. */
void os_fault_set(long nr, unsigned skip, unsigned count, int error);
void os_fault_set_from_text(const char *p); /* "nr:skip:count:errno"; NULL: nothing */
pid_t os_getpid(void); /* raw, never cached */
pid_t os_gettid(void); /* raw; OS_TID_UNKNOWN behind a filter: nobody is stopped there, so nobody needs it */
#define OS_TID_UNKNOWN (-1)
/* This process shares its memory with its parent, whose pid os_process_init recorded (process.c). */
bool os_is_vfork_child(void);
bool os_has_our_memory(pid_t pid); /* that process, which runs in the memory of this one; true where unknown */
bool os_is_raw_fork_child(void); /* of a fork that no handler was told of, and not repaired yet */
/* A filter is in force: only mmap, munmap, futex, write and clock_gettime may be called from now on, and the
 * functions here keep to that. Found by os_process_init for an inherited filter, told by the wrappers of
 * prctl and seccomp. */
bool os_seccomp_is_on(void);
void os_seccomp_note(void);
/* The user knows that filters allow, or refuse with an error, whatever we call: none is minded from now on. In the
 * constructor, while the process has one thread. */
void os_seccomp_trust(void);
__attribute__((noreturn)) void os_exit_group(int status);

/* ---- auxv.c: what the kernel told the process at its start ------------------- */
void os_auxv_note(int argc, char **argv, char **envp); /* the constructor's arguments; may be anything later */
unsigned long os_auxval(unsigned long type);           /* AT_...; 0: not told */

/* ---- output.c: what the user is told --------------------------------------- */
int os_write_all(int fd, const void *buf, size_t len); /* raises no signal; 0 or -errno */
/* A descriptor that stays open. Programs may close all descriptors and open others: os_output_fd is -1 where a kept one
 * is no longer the same file. */
struct os_output {
    int fd; /* -1: none */
    bool is_kept;
    uint64_t dev, ino;
};
#define OS_OUTPUT_NONE {.fd = -1}
#define OS_OUTPUT_STDERR {.fd = 2} /* whatever the program makes of it */
/* Keeps a copy, closed on exec, away from the numbers that programs count on; is_ours: the original is closed. fd -1: none. */
void os_output_keep(struct os_output *o, int fd, bool is_ours);
int os_output_fd(const struct os_output *o);
void os_output_close(struct os_output *o);

/* ---- vm.c, vm_info.c: address space ----------------------------------------- */
#define OS_PAGE_SIZE_MIN 4096u
size_t os_page_size(void);
/* Map zeroed read/write memory exactly at addr; never replaces a mapping.
 * 0, -EEXIST (something is there), -ENOMEM, or another -errno. MAP_NORESERVE
 * where noreserve. Marked MADV_DONTDUMP where dontdump. */
int os_vm_map_at(void *addr, size_t size, bool noreserve, bool dontdump);
int os_vm_unmap(void *addr, size_t size);
void *os_vm_map_shared(size_t size); /* zeroed, wherever there is room; a clone writes to the same. NULL: none */
bool os_vm_is_mapped(void *addr, size_t size); /* all of it, whatever it is */
/* Pages of [addr, addr + size) that are in memory. SIZE_MAX: not all of it is mapped, or there is a seccomp filter. */
size_t os_vm_count_present(void *addr, size_t size);
/* Give pages back; they read as zero afterwards (whatever it takes: where the
 * kernel refuses, because they are locked, they are zeroed by hand: returns 1). */
int os_vm_purge(void *addr, size_t size);
int os_vm_drop(void *addr, size_t size); /* the same as advice only: 0, or -errno and nothing has changed */
/* Many ranges: what is dropped soon is dropped at the latest by os_vm_drop_rest, until when nobody may use it. */
enum { OS_VM_DROPS_MAX = 32 };
struct os_vm_drops {
    size_t n_bytes; /* that went back, so far */
    uint32_t n;
    struct {
        uintptr_t addr;
        size_t size;
    } ranges[OS_VM_DROPS_MAX];
};
static inline void os_vm_drop_begin(struct os_vm_drops *d)
{
    d->n_bytes = 0;
    d->n = 0;
}
void os_vm_drop_soon(struct os_vm_drops *d, uintptr_t addr, size_t size);
void os_vm_drop_rest(struct os_vm_drops *d);
void os_vm_drop_singly(void); /* from now on, with one system call for each range. In the constructor */
int os_vm_hugepages(void *addr, size_t size, bool on);
/* Move the pages of [from, from+size) to `to` (mapped, no content), leaving
 * `from` mapped and empty. -errno where the kernel cannot: the caller copies, `to` is mapped as before.
 * -ENOTRECOVERABLE: it could not, and `to` is lost (a hole): the caller must not touch it. */
int os_vm_move(void *from, void *to, size_t size);
/* A page that reads as zero in a fork child: its first word, else NULL where the kernel lacks it. */
volatile uint32_t *os_vm_fork_canary(void);
/* Memory available to this process now: MemAvailable or room in the cgroups (v1, v2), whichever is less;
 * SIZE_MAX unknown. */
size_t os_vm_available(void);
size_t os_vm_cgroup_limit(void); /* bytes; SIZE_MAX none */
size_t os_vm_address_limit(void); /* RLIMIT_AS, bytes; SIZE_MAX none, or behind a filter of system calls */
size_t os_vm_resident(void);     /* resident bytes of the process, by /proc/thread-self/statm */
size_t os_vm_resident_peak(void); /* about the most that it ever had, by one call without a file; SIZE_MAX unknown */

/* ---- clock.c, entropy.c ------------------------------------------------------ */
uint64_t os_clock_ns(void);        /* monotonic */
uint64_t os_clock_coarse_ns(void); /* monotonic, cheap (a few ns), granularity of a tick */
uint64_t os_clock_cpu_ns(void);    /* CPU time of the whole process */
uint64_t os_entropy(void);         /* never fails: AT_RANDOM, address and clock where getrandom is denied */

/* ---- lock.c: futex locks with ranks ------------------------------------------
 * Outermost first. Ranks only rise; checking builds abort on a wrong order.
 * pre of os_lock: the thread is in a critical section. */
enum os_lock_rank {
    OS_RANK_CYCLE = 1, /* one cycle at a time; only ever tried, never waited for inside a critical section */
    OS_RANK_REGISTRY,  /* the list of threads */
    OS_RANK_FIN,       /* finalizer, weak, pin and root tables */
    OS_RANK_CENTRAL,   /* one class of central */
    OS_RANK_ARENA,     /* slices */
    OS_RANK_TRACKED,   /* records of blocks for profiles and leaks */
    OS_RANK_META,      /* allocator of our own structures */
    OS_RANK_LOG,       /* one line of output */
};
struct os_lock {
    uint32_t word; /* 0 free, 1 held, 2 held and somebody waits */
    uint32_t rank;
};
#define OS_LOCK_INIT(r)                                                                                      \
    {                                                                                                        \
        0, (r)                                                                                               \
    }
void os_lock(struct os_lock *l);
bool os_trylock(struct os_lock *l);
void os_unlock(struct os_lock *l);
void os_lock_reset(struct os_lock *l); /* fork child: whoever held it is gone */
bool os_lock_is_held(const struct os_lock *l);
#define os_lock_assert_held(l) ASSERT(os_lock_is_held(l))
/* Wait while *word == value, at most timeout_ns (UINT64_MAX: for ever). Returns on wake, change, signal or
 * timeout. */
void os_futex_wait(uint32_t *word, uint32_t value, uint64_t timeout_ns);
void os_futex_wake(uint32_t *word, unsigned n);

/* ---- thread.c: this thread ---------------------------------------------------
 * Thread-local state; initial-exec, so reading it calls nothing. It is valid,
 * all zero but for its mark, before any initialisation. */
struct os_stop_slot;
struct os_tls {
    uint32_t critical;                 /* depth of critical sections; this thread and its handlers */
    uint32_t ranks_held;               /* checking builds: bit per lock rank */
    struct os_stop_slot *stop_pending; /* a stop that arrived in a critical section or in a fast path */
    uint32_t stop_epoch_pending;
    uint32_t is_fast_cut;     /* the cut hook has run, the mend hook not yet */
    uint32_t in_handler;      /* a program's signal handler runs (trampoline depth) */
    pid_t tid;                /* whose this is: stays when the thread is no longer registered; 0: never was */
    struct os_thread *thread; /* record of a registered thread, else NULL */
    bool was_stopped;         /* by the signal, which a call may have been interrupted for; whoever calls clears it */
    uint32_t mark;            /* OS_TLS_MARK, which a thread with thread-local data of its own does not have there */
};
#define OS_TLS_MARK 0x6d67635fu
extern __thread struct os_tls os_tls __attribute__((visibility("hidden"), tls_model("initial-exec")));

/* A registered thread. Records are type-stable: never unmapped, recycled. */
struct os_thread {
    struct os_thread *next; /* registry, REGISTRY lock */
    pid_t tid;              /* 0: record is free */
    uint32_t gate;          /* enum os_gate; atomic */
    uintptr_t published_sp; /* while published: what the thread needs lies at or above it on its stack */
    /* Bounds recorded at creation, 0 unknown. Dead space may be left out only inside them. */
    uintptr_t stack_lo, stack_hi;
    uintptr_t inner_lo, inner_hi; /* where stacks of handlers and coroutines are parts of this one; else 0 */
    void *altstack; /* altstack.c; may stay when the record passes to another thread; NULL: none yet */
    bool is_deaf;       /* os_gate_note_deaf; cleared when the record passes on */
    uintptr_t asked_sp; /* while a request is served: stack pointer of what it interrupted; else 0 */
};
enum os_gate {
    OS_GATE_RUNNING = 0,
    OS_GATE_PUBLISHED = 1, /* in a wrapped blocking call: registers are on the stack, counts as stopped */
    OS_GATE_HELD = 2, /* the collector won: the thread must wait for the end of the stop before it runs on */
    OS_GATE_BORROWED = 3, /* another thread acts for this one: it waits until that is done, and so does the collector */
};
struct os_thread *os_thread_register(void); /* this thread; idempotent; NULL: no memory. Takes REGISTRY. */
void os_thread_unregister(void);
struct os_thread *os_thread_first(void); /* registry walk: world stopped, or REGISTRY held */
struct os_thread *os_thread_first_free(void); /* records of ended threads, which may have an altstack; likewise */
void os_thread_fork_child(void);         /* registry becomes the calling thread alone */
extern struct os_lock os_thread_registry_lock;
/* Bounds of the calling thread's stack. May allocate, so only from our pthread_create start routine and the
 * constructor. */
void os_thread_record_stack(struct os_thread *t);
/* A stack of a handler or a coroutine; matters where it is a part of the calling thread's own. */
void os_thread_note_inner_stack(uintptr_t lo, size_t size_bytes);

/* ---- altstack.c: the stack for the stop handler of a thread that has no alternate stack of the program's ------------- */
size_t os_altstack_frame_bytes(void); /* what the kernel itself needs for a signal */
size_t os_altstack_size(void);
/* This thread gets t->altstack, if it has none. t: this thread's record, or NULL. Nothing behind a filter. */
void os_altstack_lend(struct os_thread *t);
void os_altstack_lend_new(struct os_thread *t); /* the same for a thread that was just created */
/* The calling thread ends. false: it may be on that stack even now, in a handler that ends it. */
bool os_altstack_take_back(const struct os_thread *t);
void os_altstack_unmap(void *altstack);
/* Around a call on a stack of ours, made in a handler that runs on an alternate stack: to the kernel that one is free then, and
 * the next signal would begin at its end and overwrite the handler. leave: before the call; left and return: first and
 * last in it; returned: after it. Each by this thread; nothing happens where it is on no alternate stack. */
struct os_altstack_hold {
    bool is_on;
    uint64_t mask;
    void *sp;
    size_t size;
};
void os_altstack_leave(struct os_altstack_hold *h);
void os_altstack_left(const struct os_altstack_hold *h);
void os_altstack_return(const struct os_altstack_hold *h);
void os_altstack_returned(const struct os_altstack_hold *h);

/* os_critical_enter, os_critical_leave: static inline, in os/critical_inl.h. */

/* ---- gate.c: wrapped blocking calls -------------------------------------------
 * usage in api: struct os_gate_frame f; os_gate_publish(&f); r = real call; os_gate_leave(&f);
 * os_gate_publish spills callee-saved registers into f, which lives on the caller's stack; the arguments of the call that
 * follows are in these or on the stack, because they outlive this one. It does nothing in an unregistered thread, in a
 * critical section, or when already published. os_gate_leave waits while the world is stopped. */
struct os_gate_frame {
    uintptr_t regs[24]; /* callee-saved registers, vector ones included where the ABI has them; rest unused */
    bool is_published;
};
void os_gate_publish(struct os_gate_frame *f);
void os_gate_leave(struct os_gate_frame *f);
/* Collector, between os_stop_begin and os_stop_end: hold a published thread at its gate. true: it counts as
 * stopped, its slot gets OS_STOP_PUBLISHED (os_stop_end opens exactly the gates of such slots). false: it
 * runs, signal it. */
bool os_gate_hold(struct os_thread *t);
/* Critical section: what belongs to a thread that waits in a wrapped call may be used by the caller until os_gate_return.
 * false: it does not wait, or somebody else was faster. The caller must wait for nothing that the thread could hold. */
bool os_gate_borrow(struct os_thread *t);
void os_gate_return(struct os_thread *t);
/* The one handler of the program's signals that passes the gate. Once, at init. */
void os_gate_set_trampoline(void *trampoline);
/* false: the kernel has a handler that does not (installed by the system call itself), so a published thread may run on
 * in it at any time, and must be stopped by the signal after all. */
bool os_gate_is_tight(void);
/* The calling thread, one of ours, blocks whatever it can for as long as it lives: no handler of the program's runs in it, so its
 * gate is tight whatever the kernel has. Nothing is noted where that is not so. */
void os_gate_note_deaf(void);
/* For the signal trampoline: step out of the published state for the duration of a handler. */
bool os_gate_suspend(void); /* true: was published; waits while the world is stopped */
void os_gate_resume(bool was_published);

/* ---- stop.c, stop_handler.c: stopping threads by signal 33, shared with glibc --- */
enum os_stop_state {
    OS_STOP_SENT = 0,  /* signal sent, no answer */
    OS_STOP_STOPPED,   /* parked in the handler: sp, frame valid */
    OS_STOP_BUSY,      /* was in a fast path: signal it again */
    OS_STOP_CRITICAL,  /* in a critical section: will signal itself when it leaves */
    OS_STOP_PUBLISHED, /* in a wrapped call, held at its gate; never signalled */
    OS_STOP_GONE,      /* does not exist any more, or is a kernel worker */
};
struct os_stop_slot {
    pid_t tid;
    uint32_t state;     /* atomic */
    uintptr_t sp;       /* interrupted stack pointer */
    uintptr_t frame_lo; /* of the handler's frame, which holds all registers, vector state included */
    uintptr_t frame_hi; /* end of the signal frame */
    struct os_thread *thread; /* registered record or NULL */
    uint32_t n_busy;          /* of os_stop_send: how often in a row the answer was BUSY */
    uint32_t answer_no;       /* of the handler: how many answers there were before the one that was BUSY */
};
/* What lies below a stack pointer and is still in use (x86-64: leaf functions keep data there). */
#if defined(__x86_64__)
#define OS_RED_ZONE_BYTES 128u
#else
#define OS_RED_ZONE_BYTES 0u
#endif
/* PCs in [lo, hi) belong to fast paths. Once, at init. */
void os_stop_set_fast_text(uintptr_t lo, uintptr_t hi);
/* A program may live in its fast paths: a loop of malloc and free is never found outside them. So a thread
 * that was found in one gets it cut: cut() makes its later fast paths fail over to the slow one (the storey
 * above exchanges the thread's cache for an empty one), os_critical_enter calls mend() first, and the thread
 * parks when it leaves. Once, at init; cut runs in the stop handler, outside critical sections, with a fast
 * path of the same thread half done. */
void os_stop_set_fast_hooks(void (*cut)(void), void (*mend)(void));
/* For the trampoline of the program's handlers: was a fast path interrupted (ucontext is a handler's third
 * argument)? */
bool os_stop_is_fast_context(const void *ucontext);
/* Make sure our handler is installed and chained (glibc may have replaced it). World running. 0 or -errno;
 * -EBUSY: a thread that did not answer the last stop in time is just now doing so (it may write to the slots
 * of that stop). */
int os_stop_prepare(void);
/* New odd epoch. pre: os_stop_prepare returned 0. Slots are filled from 0 on, also after the begin, up to
 * n_slots of them; one with tid 0 ends the list. Their memory must stay mapped for ever (its content may be
 * reused after the end): a handler that comes too late may still be writing to it when os_stop_end returns.
 */
void os_stop_begin(struct os_stop_slot *slots, size_t n_slots);
/* 0, -ESRCH, -EAGAIN ... pre: the state of a slot that is sent for the first time is 0. Sent again to a
 * thread that was BUSY, it first lets that thread run a little (microseconds, at most a millisecond): else
 * the next signal would find it at the same instruction, for ever. */
int os_stop_send(uint32_t slot_idx);
void os_stop_end(void); /* epoch becomes even, all parked and held threads run. Never waits for them */
/* Whoever is woken may be put on the waker's processor. So os_stop_end asks `wake`, with the even epoch, whether somebody else
 * has done os_stop_wake since, before it does so itself. */
void os_stop_set_waker(bool (*wake)(uint32_t epoch));
uint32_t os_stop_epoch(void);
void os_stop_wake(void);
/* Until so many more answers have come, or one of a thread that has to be signalled again, or timeout. */
void os_stop_wait(uint32_t n_answers, uint64_t timeout_ns);
void os_stop_poll_pending(void);        /* called by os_critical_leave (outermost) when stop_pending is set */
void os_stop_mend_fast(void);           /* called by os_critical_enter when is_fast_cut is set */
bool os_stop_is_world_stopped(void);
void os_stop_fork_child(void);
uint32_t os_stop_signal_number(void); /* 33 */
/* Requests from outside: the stop signal, queued with another magic number (si_errno) and the request as its
 * value. The kernel lets only root and processes of the same user queue it. serve runs in the handler, in a
 * thread of ours that is neither in a fast path nor in a critical section, with all signals blocked; after
 * os_signals_hold_in_handler it may do what the program's own handlers may. What comes at another moment is
 * dropped: whoever asks repeats it. */
#define OS_REQUEST_MAGIC 0x67634d61
void os_request_set_server(void (*serve)(uint64_t request));
/* The handler is put in place (again): at start, and after libc put its own there with the first thread. Until a
 * cycle ran, nobody else would. */
void os_request_listen(void);
/* request.c: until os_request_let_in, or an exec, no request is queued. A descriptor, or -errno: they cannot be kept away. What
 * was queued before has been delivered, unless this thread blocks it. */
int os_request_hold_off(void);
void os_request_let_in(int fd);
/* ---- task.c: the threads that the kernel knows of ---------------------------------- */
/* Ids of all threads of the process, this one included; raw getdents64 of /proc/PID/task. Count or -errno;
 * -E2BIG: more than max. */
long os_task_list(pid_t *tids, size_t max);
/* /proc counts as this process does: not where it is another namespace's, in which our number is somebody else's. */
bool os_task_is_numbered_as_here(void);
/* How many there are, without listing them: one system call. An estimate, since they come and go; -errno, or at most 0 where
 * the kernel does not say. */
long os_task_count(void);
struct os_task_state { /* /proc/PID/task/TID/stat and status */
    char state;        /* R S D Z X T t ... ; 0 gone */
    uint64_t flags;    /* PF_ flags of stat */
    uint64_t sig_blocked;
};
int os_task_state(pid_t tid, struct os_task_state *out);
enum { OS_TASK_NAME_BYTES = 17 }; /* 15 characters, and the newline that the kernel puts behind them */
/* The thread's name as text for people: "" gone, what would not print is '?'. */
void os_task_name(pid_t tid, char name[OS_TASK_NAME_BYTES]);
/* false: gone, dead, or a worker of the kernel in our thread group (io_uring): such are never signalled. */
bool os_task_is_stoppable(const struct os_task_state *state);

/* ---- maps.c, pages.c: what is mapped, what has content ---------------------------- */
struct os_map {
    uintptr_t lo, hi;
    uint64_t offset, inode;
    uint32_t dev;
    bool is_readable, is_writable, is_executable, is_shared;
    const char *name; /* NUL-terminated, "" none; valid until the next call */
};
/* Walk all mappings of the process, in address order, reading /proc/thread-self/maps through `buf`. cb
 * returns false to end early. 0, or -errno: the list is not complete. */
int os_maps_walk(char *buf, size_t buf_size, bool (*cb)(const struct os_map *m, void *ctx), void *ctx);
/* Call cb for each run of pages in [lo, hi) that has content of its own (present or swapped, not
 * file-backed); PAGEMAP_SCAN, else pagemap. 0; -EACCES and the like where neither can be read. */
int os_pages_walk(uintptr_t lo, uintptr_t hi, bool (*cb)(uintptr_t lo, uintptr_t hi, void *ctx), void *ctx);
int os_pages_prepare(void); /* opens the descriptor that a cycle needs; os_pages_finish closes it and what came with it */
bool os_pages_is_own(int fd); /* one of these */
void os_pages_finish(void);
/* Copy memory that may be unreadable, by /proc/thread-self/mem. Bytes copied or -errno: -EIO where no page of memory is at
 * addr (end of a file, guard page, device), or the page is protected and os_mem_is_forced does not hold. Any other failure says
 * nothing about the page. */
long os_mem_read(uintptr_t addr, void *buf, size_t len);
/* The kernel lets os_mem_read read what is protected: since 6.12 it may be told not to (proc_mem.force_override). */
bool os_mem_is_forced(void);

/* ---- fault.c: reads that may fault ------------------------------------------------- */
/* Run fn(arg) with SIGSEGV and SIGBUS of this thread caught. true: fn returned; false: it faulted (address in
 * *fault_addr). Takes the process's two actions for the duration: world stopped, one marker at a time
 * installs, nested calls are allowed. */
bool os_fault_guard(void (*fn)(void *arg), void *arg, uintptr_t *fault_addr);
int os_fault_guard_begin(void); /* install actions, once per stop */
void os_fault_guard_end(void);

/* ---- cpus.c ------------------------------------------------------------------------- */
unsigned os_n_cpus(void); /* that this process may use; at least 1 */
int os_cpu(void);         /* the one that the caller runs on just now; -1: not known */
/* From now on a thread of ours (0: the caller) runs on those that thread `like` may use, without this one. false: there is no
 * other, or it was refused. */
bool os_thread_keep_off(pid_t tid, pid_t like, int cpu);

/* ---- mask.c: signals of the program wait while the collector works ------------------- */
bool os_signals_hold(uint64_t *old); /* all but faults and libc's own two; false: nothing was changed */
void os_signals_hold_in_handler(void); /* exactly these; the way out of the handler releases them */
void os_signals_release(const uint64_t *old);
/* The stop signal alone, which libc blocks for nobody: across an exec, which keeps the mask and drops the handler. */
bool os_stop_signal_hold(uint64_t *old); /* os_signals_release undoes it; false: nothing was changed */
void os_stop_signal_open(void);          /* at start: whoever became this program may have held it. pre: our handler */

/* ---- guard.c ------------------------------------------------------------------------- */
/* What libc's setjmp xors into the frame pointer's register before it rotates it left by 17; 0: here no register that
 * may hold the program's data is hidden. */
uint64_t os_pointer_guard(void);

/* ---- clone.c: a copy of the process, which the program's wait and SIGCHLD never see -------------------------- */
/* As fork, without handlers: 0 in the copy, which never returns; its pid, or -errno (-EPERM: it would be in another namespace of
 * processes). Without descriptors the copy has none at any time, and ends where the kernel cannot do that (before 5.9). */
long os_clone_process(bool keeps_descriptors);
pid_t os_clone_parent(void); /* in the copy: the process */
void os_clone_follow(pid_t parent); /* in the copy: it ends with the thread that made it */
void os_clone_end(pid_t pid);     /* it is gone when this returns */
uint64_t os_clone_cpu_ns(pid_t pid); /* what it has used so far; 0: not known */
/* 0: it has ended, and is gone from the kernel's table. -EAGAIN: it runs, and is_awaited is false. Else -errno: it is gone
 * already. */
int os_clone_wait(pid_t pid, bool is_awaited, bool *is_success);
void os_close_all_but(int fd);
int os_file_rename(const char *from, const char *to);
bool os_file_may_be_replaced(const char *path); /* nothing is there, or an ordinary file: no device, no pipe, no link to one */
void os_file_remove(const char *path);
int os_write_at(int fd, const void *buf, size_t len, uint64_t offset); /* 0, or -errno where not all was written */

/* ---- stack_*.S: running on a stack of ours -------------------------------------------- */
/* Call fn(arg, caller_sp) on the stack that ends at top. All callee-saved registers were pushed at or above
 * caller_sp before. */
void os_call_on_stack(void (*fn)(void *arg, uintptr_t caller_sp), void *arg, void *top);

/* ---- process.c ----------------------------------------------------------------------- */
void os_process_init(void);       /* records the owner pid; constructor or first slow path */
void os_process_fork_child(void); /* new owner pid */

/* ---- nothrow.c --------------------------------------------------------------- */
/* fn(arg); where an exception leaves it, on_throw(arg) is called before anything is unwound, and must not return. */
void os_call_nothrow(void (*fn)(void *arg), void *arg, void (*on_throw)(void *arg));

#endif
