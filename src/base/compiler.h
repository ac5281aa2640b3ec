/* What the compiler offers, under names of ours. The only storey-wide macros. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define COLD __attribute__((noinline, cold))
#define NORETURN __attribute__((noreturn))
#define EXPORT __attribute__((visibility("default")))

/* Large data that a program may never touch, for variables that start as zeros: behind the others, so that what every program touches at
 * its start lies on few pages (api/layout.ld). */
#define BULKY __attribute__((section(".bss.bulky")))
#define ENDING __attribute__((section(".bss.ending"))) /* only the beginning of the last is touched */

/* Fast paths live in one section, so that the stop handler can tell from the
 * interrupted PC that one of them is half done (src/README.md, "Stopping").
 * A function in it calls nothing and leaves only by return or by a tail jump. */
#define FAST_TEXT __attribute__((section("gcm_fast"), noinline, aligned(16)))

/* A plain access that another thread or a signal handler of this thread may
 * see: the compiler must neither split nor invent it. */
#define LOAD_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define STORE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
/* Orders against this thread's own signal handler, not against other threads. */
#define SIGNAL_FENCE() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - __builtin_offsetof(type, member)))
#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

#endif
