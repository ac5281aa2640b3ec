/* Every name that this library exports, in one table per duty; the export test compares them with the dynamic
 * symbols.
 *
 * X(name): exported without a symbol version, so that any version that a program asks for binds to it.
 * R(name, version): the same, and libc's own function is needed behind it (real.h); version: the one to look
 * up first where libc has several with different meaning, else NULL.
 */
#ifndef API_INTERPOSED_H
#define API_INTERPOSED_H

/* malloc family: libc's own is needed for foreign blocks and where we only pass through. */
#define INTERPOSED_MALLOC_REAL(R)                                                                            \
    R(malloc, NULL)                                                                                          \
    R(calloc, NULL)                                                                                          \
    R(realloc, NULL)                                                                                         \
    R(free, NULL)                                                                                            \
    R(memalign, NULL)                                                                                        \
    R(malloc_usable_size, NULL)

#define INTERPOSED_MALLOC(X)                                                                                 \
    X(reallocarray)                                                                                          \
    X(cfree)                                                                                                 \
    X(aligned_alloc)                                                                                         \
    X(posix_memalign)                                                                                        \
    X(valloc)                                                                                                \
    X(pvalloc)                                                                                               \
    X(free_sized)                                                                                            \
    X(free_aligned_sized)                                                                                    \
    X(mallinfo)                                                                                              \
    X(mallinfo2)                                                                                             \
    X(mallopt)                                                                                               \
    X(malloc_trim)                                                                                           \
    X(malloc_stats)                                                                                          \
    X(malloc_info)                                                                                           \
    X(__libc_malloc)                                                                                         \
    X(__libc_calloc)                                                                                         \
    X(__libc_realloc)                                                                                        \
    X(__libc_free)                                                                                           \
    X(__libc_memalign)                                                                                       \
    X(__libc_valloc)                                                                                         \
    X(__libc_pvalloc)                                                                                        \
    X(__libc_mallinfo)                                                                                       \
    X(__libc_mallopt)                                                                                        \
    X(__libc_reallocarray)                                                                                   \
    X(__posix_memalign)

/* operator new, new[], delete, delete[] by their mangled names. */
#define INTERPOSED_CXX(X)                                                                                    \
    X(_Znwm)                                                                                                 \
    X(_Znam)                                                                                                 \
    X(_ZnwmRKSt9nothrow_t)                                                                                   \
    X(_ZnamRKSt9nothrow_t)                                                                                   \
    X(_ZnwmSt11align_val_t)                                                                                  \
    X(_ZnamSt11align_val_t)                                                                                  \
    X(_ZnwmSt11align_val_tRKSt9nothrow_t)                                                                    \
    X(_ZnamSt11align_val_tRKSt9nothrow_t)                                                                    \
    X(_ZdlPv)                                                                                                \
    X(_ZdaPv)                                                                                                \
    X(_ZdlPvm)                                                                                               \
    X(_ZdaPvm)                                                                                               \
    X(_ZdlPvRKSt9nothrow_t)                                                                                  \
    X(_ZdaPvRKSt9nothrow_t)                                                                                  \
    X(_ZdlPvSt11align_val_t)                                                                                 \
    X(_ZdaPvSt11align_val_t)                                                                                 \
    X(_ZdlPvmSt11align_val_t)                                                                                \
    X(_ZdaPvmSt11align_val_t)                                                                                \
    X(_ZdlPvSt11align_val_tRKSt9nothrow_t)                                                                   \
    X(_ZdaPvSt11align_val_tRKSt9nothrow_t)

#define INTERPOSED_THREAD_REAL(R)                                                                            \
    R(pthread_create, NULL)                                                                                  \
    R(thrd_create, NULL)

/* Calls that wait in the kernel and run nothing of ours meanwhile: interpose_wait.c, interpose_io.c. */
#define INTERPOSED_BLOCK_REAL(R)                                                                             \
    R(poll, NULL)                                                                                            \
    R(__poll, NULL)                                                                                          \
    R(ppoll, NULL)                                                                                           \
    R(__poll_chk, NULL)                                                                                      \
    R(__ppoll_chk, NULL)                                                                                     \
    R(select, NULL)                                                                                          \
    R(__select, NULL)                                                                                        \
    R(pselect, NULL)                                                                                         \
    R(epoll_wait, NULL)                                                                                      \
    R(epoll_pwait, NULL)                                                                                     \
    R(epoll_pwait2, NULL)                                                                                    \
    R(nanosleep, NULL)                                                                                       \
    R(__nanosleep, NULL)                                                                                     \
    R(thrd_sleep, NULL)                                                                                      \
    R(cnd_wait, NULL)                                                                                        \
    R(cnd_timedwait, NULL)                                                                                   \
    R(aio_suspend, NULL)                                                                                     \
    R(clock_nanosleep, NULL)                                                                                 \
    R(usleep, NULL)                                                                                          \
    R(sleep, NULL)                                                                                           \
    R(pause, NULL)                                                                                           \
    R(sigsuspend, NULL)                                                                                      \
    R(__sigpause, NULL)                                                                                      \
    R(__xpg_sigpause, NULL)                                                                                  \
    R(sigtimedwait, NULL)                                                                                    \
    R(sigwaitinfo, NULL)                                                                                     \
    R(sigwait, NULL)                                                                                         \
    R(sem_wait, NULL)                                                                                        \
    R(sem_timedwait, NULL)                                                                                   \
    R(sem_clockwait, NULL)                                                                                   \
    R(pthread_cond_wait, "GLIBC_2.3.2")                                                                      \
    R(pthread_cond_timedwait, "GLIBC_2.3.2")                                                                 \
    R(pthread_cond_clockwait, NULL)                                                                          \
    R(msgrcv, NULL)                                                                                          \
    R(msgsnd, NULL)                                                                                          \
    R(semop, NULL)                                                                                           \
    R(semtimedop, NULL)                                                                                      \
    R(wait, NULL)                                                                                            \
    R(wait3, NULL)                                                                                           \
    R(wait4, NULL)                                                                                           \
    R(waitpid, NULL)                                                                                         \
    R(waitid, NULL)                                                                                          \
    R(accept, NULL)                                                                                          \
    R(accept4, NULL)                                                                                         \
    R(connect, NULL)                                                                                         \
    R(recv, NULL)                                                                                            \
    R(recvfrom, NULL)                                                                                        \
    R(recvmsg, NULL)                                                                                         \
    R(recvmmsg, NULL)                                                                                        \
    R(__recv_chk, NULL)                                                                                      \
    R(__recvfrom_chk, NULL)                                                                                  \
    R(send, NULL)                                                                                            \
    R(sendto, NULL)                                                                                          \
    R(sendmsg, NULL)                                                                                         \
    R(sendmmsg, NULL)                                                                                        \
    R(read, NULL)                                                                                            \
    R(readv, NULL)                                                                                           \
    R(__read_chk, NULL)                                                                                      \
    R(write, NULL)                                                                                           \
    R(writev, NULL)

#define INTERPOSED_SIGNAL_REAL(R)                                                                            \
    R(sigaction, NULL)                                                                                       \
    R(siginterrupt, NULL)                                                                                    \
    R(sigqueue, NULL)                                                                                        \
    R(pthread_sigqueue, NULL)                                                                                \
    R(mq_notify, NULL)                                                                                       \
    R(sigaltstack, NULL)
#define INTERPOSED_SIGNAL(X)                                                                                 \
    X(__sigaction)                                                                                           \
    X(signal)                                                                                                \
    X(ssignal)                                                                                               \
    X(bsd_signal)                                                                                            \
    X(sysv_signal)                                                                                           \
    X(__sysv_signal)                                                                                         \
    X(sigset)                                                                                                \
    X(sigpause)                                                                                              \
    X(sigignore)

#define INTERPOSED_PROCESS_REAL(R)                                                                           \
    R(posix_spawn, "GLIBC_2.15")                                                                             \
    R(posix_spawnp, "GLIBC_2.15")                                                                            \
    R(clone, NULL)                                                                                           \
    R(dlopen, NULL)                                                                                          \
    R(prctl, NULL)                                                                                           \
    R(unshare, NULL)                                                                                         \
    R(setns, NULL)                                                                                           \
    R(syscall, NULL)                                                                                         \
    R(makecontext, NULL)                                                                                     \
    R(execve, NULL)                                                                                          \
    R(execvp, NULL)                                                                                          \
    R(execvpe, NULL)                                                                                         \
    R(fexecve, NULL)                                                                                         \
    R(execveat, NULL)
#define INTERPOSED_PROCESS(X)                                                                                \
    X(execv)                                                                                                 \
    X(execl)                                                                                                 \
    X(execlp)                                                                                                \
    X(execle)                                                                                                \
    X(vfork)                                                                                                 \
    X(__vfork)

#define INTERPOSED_REAL(R)                                                                                   \
    INTERPOSED_MALLOC_REAL(R)                                                                                \
    INTERPOSED_THREAD_REAL(R)                                                                                \
    INTERPOSED_BLOCK_REAL(R)                                                                                 \
    INTERPOSED_SIGNAL_REAL(R)                                                                                \
    INTERPOSED_PROCESS_REAL(R)
#define INTERPOSED_OWN(X)                                                                                    \
    INTERPOSED_MALLOC(X)                                                                                     \
    INTERPOSED_CXX(X)                                                                                        \
    INTERPOSED_SIGNAL(X)                                                                                     \
    INTERPOSED_PROCESS(X)

/* include/gcmalloc.h; these carry the version node GCMALLOC_0. */
#define EXPORTED_GC(X)                                                                                       \
    X(gc_malloc)                                                                                             \
    X(gc_type_create)                                                                                        \
    X(gc_type_create_steps)                                                                                  \
    X(gc_new)                                                                                                \
    X(gc_new_array)                                                                                          \
    X(gc_trim)                                                                                               \
    X(gc_on_event)                                                                                           \
    X(gc_off_event)                                                                                          \
    X(gc_exchange_finalizer)                                                                                 \
    X(gc_weak_link)                                                                                          \
    X(gc_weak_unlink)                                                                                        \
    X(gc_weak_move)                                                                                          \
    X(gc_get_counter)                                                                                        \
    X(gc_get_classes)                                                                                        \
    X(gc_heap_walk)                                                                                          \
    X(gc_new_sized)                                                                                          \
    X(gc_type_size)                                                                                          \
    X(gc_set_finalizer_thread)                                                                               \
    X(gc_collect)                                                                                            \
    X(gc_collect_level)                                                                                      \
    X(gc_inhibit)                                                                                            \
    X(gc_uninhibit)                                                                                          \
    X(gc_set_finalizer)                                                                                      \
    X(gc_add_cleanup)                                                                                        \
    X(gc_run_finalizers)                                                                                     \
    X(gc_pin)                                                                                                \
    X(gc_unpin)                                                                                              \
    X(gc_add_roots)                                                                                          \
    X(gc_remove_roots)                                                                                       \
    X(gc_exclude_roots)                                                                                      \
    X(gc_weak_new)                                                                                           \
    X(gc_weak_get)                                                                                           \
    X(gc_find_object)                                                                                        \
    X(gc_snapshot_write)                                                                                     \
    X(gc_get_stats)                                                                                          \
    X(gc_set_percent)                                                                                        \
    X(gc_set_limit)                                                                                          \
    X(gc_set_mode)                                                                                           \
    X(gc_set_profile_rate)                                                                                   \
    X(gc_profile_write)                                                                                      \
    X(gc_profile_write_fd)                                                                                   \
    X(gc_leaks_write)                                                                                        \
    X(gc_leaks_write_fd)                                                                                     \
    X(gc_good_size)                                                                                          \
    X(gc_version)

#endif
