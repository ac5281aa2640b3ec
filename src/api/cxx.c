/* C++ operators new and delete by their mangled names; the plain pair is a fast path in malloc_fast.c.
 *
 * Owns    cxx_bases: the operators by which the others are defined. A program may replace those alone (with a header before
 *         each block, say), and then the others call its own: new[] is new, delete with a size is delete.
 * What    a new that finds no memory calls the program's new handler and tries again, and without a handler
 *         throws std::bad_alloc, all through weak references to the C++ runtime. Where none is loaded there
 *         is nobody who could catch: one fixed line, and abort.
 * Not here  try and catch do not exist in C: for a nothrow new with a handler, which may throw, the runtime's
 *         own nothrow operator is called, which catches. It calls our throwing one.
 */
#include "api/cxx.h"

#include <dlfcn.h>
#include <stdlib.h>
#include "api/alloc.h"
#include "api/malloc_fast.h"
#include "api/real.h"
#include "api/signal_defer.h"
#include "base/check.h"

typedef void (*cxx_new_handler_fn)(void);
typedef void (*cxx_throw_fn)(void *exception, void *type_info, void (*destroy)(void *));

/* The C++ runtime (libstdc++ or libc++abi). */
extern cxx_new_handler_fn cxx_get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern void *__cxa_allocate_exception(size_t size_bytes) __attribute__((weak));
extern void __cxa_throw(void *exception, void *type_info, void (*destroy)(void *)) __attribute__((weak));
extern char cxx_bad_alloc_type[] __asm__("_ZTISt9bad_alloc") __attribute__((weak));
extern char cxx_bad_alloc_vtable[] __asm__("_ZTVSt9bad_alloc") __attribute__((weak));
extern void cxx_bad_alloc_destroy(void *exception) __asm__("_ZNSt9bad_allocD1Ev") __attribute__((weak));

enum { CXX_VTABLE_HEADER = 2 * sizeof(void *) }; /* Itanium ABI: offset to top, type */

struct cxx_nothrow;
#define CXX(type, name, params)                                                                              \
    EXPORT type name params;                                                                                 \
    EXPORT type name params

/* The runtime may have come by dlopen after our weak references were bound. */
static void *cxx_find(void *weak, const char *name)
{
    return weak != NULL ? weak : dlsym(RTLD_DEFAULT, name);
}

COLD NORETURN static void cxx_throw_bad_alloc(size_t size_bytes)
{
    void *(*allocate)(size_t) =
        (void *(*)(size_t))cxx_find((void *)__cxa_allocate_exception, "__cxa_allocate_exception");
    cxx_throw_fn throw = (cxx_throw_fn)cxx_find((void *)__cxa_throw, "__cxa_throw");
    void *type = cxx_find(cxx_bad_alloc_type, "_ZTISt9bad_alloc");
    char *vtable = cxx_find(cxx_bad_alloc_vtable, "_ZTVSt9bad_alloc");
    void (*destroy)(void *) =
        (void (*)(void *))cxx_find((void *)cxx_bad_alloc_destroy, "_ZNSt9bad_allocD1Ev");

    if (allocate != NULL && throw != NULL && type != NULL && vtable != NULL && destroy != NULL) {
        /* std::bad_alloc is its vtable pointer and nothing else. */
        void **exception = allocate(sizeof(void *));
        *exception = vtable + CXX_VTABLE_HEADER;
        throw(exception, type, destroy);
    }
    check_misuse("operator new: no memory for this many bytes, and no C++ runtime to throw", size_bytes);
}

static cxx_new_handler_fn cxx_handler(void)
{
    cxx_new_handler_fn (*get)(void) =
        (cxx_new_handler_fn(*)(void))cxx_find((void *)cxx_get_new_handler, "_ZSt15get_new_handlerv");

    return get != NULL ? get() : NULL;
}

static void *cxx_try(size_t size_bytes, size_t align)
{
    if (align <= SIZECLASS_ALIGN)
        return alloc_slow(size_bytes);
    return aligned_alloc(align, size_bytes);
}

/* The loop that the standard prescribes. */
COLD static void *cxx_new_failed(size_t size_bytes, size_t align)
{
    void *p;

    signal_unhook(); /* handler and exception leave here by other ways than our return */
    do {
        cxx_new_handler_fn handler = cxx_handler();
        if (handler == NULL)
            cxx_throw_bad_alloc(size_bytes);
        handler();
        p = cxx_try(size_bytes, align);
    } while (p == NULL);
    return p;
}

NOINLINE void *alloc_slow_new(size_t size_bytes)
{
    void *p = alloc_slow(size_bytes);

    return LIKELY(p != NULL) ? p : cxx_new_failed(size_bytes, SIZECLASS_ALIGN);
}

static void *cxx_new_aligned(size_t size_bytes, size_t align)
{
    void *p = cxx_try(size_bytes, align);

    return LIKELY(p != NULL) ? p : cxx_new_failed(size_bytes, align);
}

/* ---- those that the others are defined by ---- */

CXX(void *, _ZnwmSt11align_val_t, (size_t size_bytes, size_t align))
{
    return cxx_new_aligned(size_bytes, align);
}

CXX(void, _ZdlPvSt11align_val_t, (void *p, size_t align))
{
    (void)align;
    free(p);
}

static struct cxx_bases {
    void *(*new_one)(size_t), *(*new_array)(size_t);
    void (*delete_one)(void *), (*delete_array)(void *);
    void *(*new_aligned)(size_t, size_t), *(*new_aligned_array)(size_t, size_t);
    void (*delete_aligned)(void *, size_t), (*delete_aligned_array)(void *, size_t);
} cxx_bases = {_Znwm, _Znwm, free, free, _ZnwmSt11align_val_t, _ZnwmSt11align_val_t, _ZdlPvSt11align_val_t, _ZdlPvSt11align_val_t};

CXX(void *, _Znam, (size_t size_bytes))
{
    return cxx_bases.new_one(size_bytes);
}

CXX(void, _ZdaPv, (void *p))
{
    cxx_bases.delete_one(p);
}

CXX(void *, _ZnamSt11align_val_t, (size_t size_bytes, size_t align))
{
    return cxx_bases.new_aligned(size_bytes, align);
}

CXX(void, _ZdaPvSt11align_val_t, (void *p, size_t align))
{
    cxx_bases.delete_aligned(p, align);
}

/* The runtime's forms of new that do not throw. Looked up by the constructor where each call goes there: later, whoever loads a library
 * holds the lock of ld.so, and may wait for the thread that asks. */
enum cxx_runtime_new { CXX_NEW, CXX_NEW_ARRAY, CXX_NEW_ALIGNED, CXX_NEW_ALIGNED_ARRAY, CXX_RUNTIME_N };

static void *cxx_runtime(enum cxx_runtime_new which)
{
    static const char names[CXX_RUNTIME_N][40] = {"_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t", "_ZnwmSt11align_val_tRKSt9nothrow_t",
                                                  "_ZnamSt11align_val_tRKSt9nothrow_t"};
    static void *found[CXX_RUNTIME_N];
    void *p = LOAD_ONCE(found[which]);

    if (p == NULL) {
        p = dlsym(RTLD_NEXT, names[which]);
        STORE_ONCE(found[which], p);
    }
    return p;
}

/* An array's operator that the program did not replace is that of one object, whichever that is. */
void cxx_find_replaced(const struct symtab_list *libraries)
{
    void *p;

#define CXX_FIND(one, one_symbol, array, array_symbol)                                                                             \
    do {                                                                                                                           \
        if ((p = real_replacement(libraries, #one_symbol, (void *)one_symbol)) != NULL)                                            \
            *(void **)&cxx_bases.one = *(void **)&cxx_bases.array = p;                                                             \
        if ((p = real_replacement(libraries, #array_symbol, (void *)array_symbol)) != NULL)                                        \
            *(void **)&cxx_bases.array = p;                                                                                        \
    } while (0)
    CXX_FIND(new_one, _Znwm, new_array, _Znam);
    CXX_FIND(delete_one, _ZdlPv, delete_array, _ZdaPv);
    CXX_FIND(new_aligned, _ZnwmSt11align_val_t, new_aligned_array, _ZnamSt11align_val_t);
    CXX_FIND(delete_aligned, _ZdlPvSt11align_val_t, delete_aligned_array, _ZdaPvSt11align_val_t);
#undef CXX_FIND
    if (cxx_bases.new_array != _Znwm || cxx_bases.new_aligned_array != _ZnwmSt11align_val_t)
        for (int i = 0; i < CXX_RUNTIME_N; i++)
            cxx_runtime((enum cxx_runtime_new)i);
}

/* ---- new that does not throw ---- */

/* The runtime's own calls the one that throws, the program's or ours, and catches. Where there is no runtime: the program's. */
COLD static void *cxx_nothrow_runtime(enum cxx_runtime_new which, size_t size_bytes, const struct cxx_nothrow *tag,
                                      void *(*program_new)(size_t))
{
    void *(*runtime_new)(size_t, const struct cxx_nothrow *) = (void *(*)(size_t, const struct cxx_nothrow *))cxx_runtime(which);

    if (runtime_new != NULL)
        return runtime_new(size_bytes, tag);
    return program_new != NULL ? program_new(size_bytes) : NULL;
}

COLD static void *cxx_nothrow_aligned_runtime(enum cxx_runtime_new which, size_t size_bytes, size_t align, const struct cxx_nothrow *tag,
                                              void *(*program_new)(size_t, size_t))
{
    void *(*runtime_new)(size_t, size_t, const struct cxx_nothrow *) =
        (void *(*)(size_t, size_t, const struct cxx_nothrow *))cxx_runtime(which);

    if (runtime_new != NULL)
        return runtime_new(size_bytes, align, tag);
    return program_new != NULL ? program_new(size_bytes, align) : NULL;
}

CXX(void *, _ZnwmRKSt9nothrow_t, (size_t size_bytes, const struct cxx_nothrow *tag))
{
    void *p;

    if (UNLIKELY(cxx_bases.new_one != _Znwm))
        return cxx_nothrow_runtime(CXX_NEW, size_bytes, tag, cxx_bases.new_one);
    p = malloc(size_bytes);
    if (UNLIKELY(p == NULL) && cxx_handler() != NULL)
        p = cxx_nothrow_runtime(CXX_NEW, size_bytes, tag, NULL);
    return p;
}

CXX(void *, _ZnamRKSt9nothrow_t, (size_t size_bytes, const struct cxx_nothrow *tag))
{
    if (UNLIKELY(cxx_bases.new_array != _Znwm))
        return cxx_nothrow_runtime(CXX_NEW_ARRAY, size_bytes, tag, cxx_bases.new_array);
    return _ZnwmRKSt9nothrow_t(size_bytes, tag);
}

CXX(void *, _ZnwmSt11align_val_tRKSt9nothrow_t,
    (size_t size_bytes, size_t align, const struct cxx_nothrow *tag))
{
    void *p;

    if (UNLIKELY(cxx_bases.new_aligned != _ZnwmSt11align_val_t))
        return cxx_nothrow_aligned_runtime(CXX_NEW_ALIGNED, size_bytes, align, tag, cxx_bases.new_aligned);
    p = cxx_try(size_bytes, align);
    if (UNLIKELY(p == NULL) && cxx_handler() != NULL)
        p = cxx_nothrow_aligned_runtime(CXX_NEW_ALIGNED, size_bytes, align, tag, NULL);
    return p;
}

CXX(void *, _ZnamSt11align_val_tRKSt9nothrow_t,
    (size_t size_bytes, size_t align, const struct cxx_nothrow *tag))
{
    if (UNLIKELY(cxx_bases.new_aligned_array != _ZnwmSt11align_val_t))
        return cxx_nothrow_aligned_runtime(CXX_NEW_ALIGNED_ARRAY, size_bytes, align, tag,
                                           cxx_bases.new_aligned_array);
    return _ZnwmSt11align_val_tRKSt9nothrow_t(size_bytes, align, tag);
}

/* ---- delete: the address says all; what else the caller knows is only checked in checking builds ---- */
static void cxx_check_size(bool is_ours, const void *p, size_t size_bytes)
{
    if (GCM_CHECKING && is_ours && p != NULL && heap_contains((uintptr_t)p) && size_bytes > usable_size((void *)p))
        check_misuse(MISUSE_WRONG_SIZE, (uintptr_t)p);
}

CXX(void, _ZdlPvm, (void *p, size_t size_bytes))
{
    cxx_check_size(cxx_bases.delete_one == free, p, size_bytes);
    cxx_bases.delete_one(p);
}

CXX(void, _ZdaPvm, (void *p, size_t size_bytes))
{
    cxx_check_size(cxx_bases.delete_array == free, p, size_bytes);
    cxx_bases.delete_array(p);
}

CXX(void, _ZdlPvRKSt9nothrow_t, (void *p, const struct cxx_nothrow *tag))
{
    (void)tag;
    cxx_bases.delete_one(p);
}

CXX(void, _ZdaPvRKSt9nothrow_t, (void *p, const struct cxx_nothrow *tag))
{
    (void)tag;
    cxx_bases.delete_array(p);
}

CXX(void, _ZdlPvmSt11align_val_t, (void *p, size_t size_bytes, size_t align))
{
    cxx_check_size(cxx_bases.delete_aligned == _ZdlPvSt11align_val_t, p, size_bytes);
    cxx_bases.delete_aligned(p, align);
}

CXX(void, _ZdaPvmSt11align_val_t, (void *p, size_t size_bytes, size_t align))
{
    cxx_check_size(cxx_bases.delete_aligned_array == _ZdlPvSt11align_val_t, p, size_bytes);
    cxx_bases.delete_aligned_array(p, align);
}

CXX(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, const struct cxx_nothrow *tag))
{
    (void)tag;
    cxx_bases.delete_aligned(p, align);
}

CXX(void, _ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, const struct cxx_nothrow *tag))
{
    (void)tag;
    cxx_bases.delete_aligned_array(p, align);
}
