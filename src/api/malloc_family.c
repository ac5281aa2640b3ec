/* The rest of the malloc family that allocates and frees, with glibc's contract.
 *
 * Contract  alignment 16; NULL with errno ENOMEM; a size above PTRDIFF_MAX is refused; size 0 gives a block
 *           of its own; realloc(p, 0) frees p and returns NULL; free keeps errno.
 * Not here  malloc and free: malloc_fast.c; realloc's body: realloc.c; questions: malloc_info.c.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "api/alloc.h"
#include "base/bits.h"
#include "os/os.h"

/* glibc 2.36 declares neither. */
EXPORT void free_sized(void *p, size_t size_bytes);
EXPORT void free_aligned_sized(void *p, size_t align, size_t size_bytes);
EXPORT void cfree(void *p);

static void *family_no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* Small blocks come with whatever their slot held. Large ones know whether the kernel zeroed them. */
static void *family_alloc_zeroed(size_t size_bytes)
{
    bool is_zero = false;
    void *p;

    if (LIKELY(size_bytes <= SIZECLASS_MAX_SMALL))
        p = malloc(size_bytes);
    else
        p = alloc_block(size_bytes, SIZECLASS_ALIGN, FLAVOR_MALLOC, &is_zero);
    if (LIKELY(p != NULL) && !is_zero)
        memset(p, 0, size_bytes);
    return p;
}

EXPORT void *calloc(size_t n, size_t size_bytes)
{
    size_t total_bytes;
    passthrough_calloc_fn other_calloc;

    if (UNLIKELY(__builtin_mul_overflow(n, size_bytes, &total_bytes)))
        return family_no_memory();
    if (UNLIKELY(api_state.is_passthrough) && (other_calloc = passthrough_calloc()) != NULL)
        return other_calloc(n, size_bytes);
    return family_alloc_zeroed(total_bytes);
}

EXPORT void *realloc(void *p, size_t size_bytes)
{
    if (p == NULL)
        return malloc(size_bytes);
    if (size_bytes == 0) {
        free(p);
        return NULL;
    }
    return realloc_block(p, size_bytes);
}

EXPORT void *reallocarray(void *p, size_t n, size_t size_bytes)
{
    size_t total_bytes;

    if (UNLIKELY(__builtin_mul_overflow(n, size_bytes, &total_bytes)))
        return family_no_memory();
    return LIKELY(!api_state.is_passthrough) ? realloc(p, total_bytes) : passthrough_realloc(p, total_bytes);
}

/* pre: align is a power of two. */
static void *family_alloc_aligned(size_t align, size_t size_bytes)
{
    if (UNLIKELY(api_state.is_passthrough))
        return passthrough_memalign(align, size_bytes);
    if (align <= SIZECLASS_ALIGN)
        return malloc(size_bytes);
    return alloc_block(size_bytes, align, FLAVOR_MALLOC, NULL);
}

EXPORT int posix_memalign(void **out, size_t align, size_t size_bytes)
{
    int saved_errno = errno;
    void *p;

    if (!bits_is_pow2(align) || align % sizeof(void *) != 0)
        return EINVAL;
    p = family_alloc_aligned(align, size_bytes);
    errno = saved_errno;
    if (p == NULL)
        return ENOMEM;
    *out = p;
    return 0;
}

EXPORT void *aligned_alloc(size_t align, size_t size_bytes)
{
    if (!bits_is_pow2(align)) {
        errno = EINVAL;
        return NULL;
    }
    return family_alloc_aligned(align, size_bytes);
}

/* Like glibc's: an alignment that is no power of two is rounded up to one. */
EXPORT void *memalign(size_t align, size_t size_bytes)
{
    if (align > (size_t)PTRDIFF_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (!bits_is_pow2(align))
        align = align <= SIZECLASS_ALIGN ? SIZECLASS_ALIGN : (size_t)2 << bits_log2_floor(align);
    return family_alloc_aligned(align, size_bytes);
}

EXPORT void *valloc(size_t size_bytes)
{
    return family_alloc_aligned(os_page_size(), size_bytes);
}

EXPORT void *pvalloc(size_t size_bytes)
{
    size_t page_bytes = os_page_size();

    if (size_bytes > (size_t)PTRDIFF_MAX - page_bytes)
        return family_no_memory();
    return family_alloc_aligned(page_bytes, bits_round_up(size_bytes, page_bytes));
}

EXPORT size_t malloc_usable_size(void *p)
{
    return p == NULL ? 0 : usable_size(p);
}

/* free, under a name that the program did not define with it. */
static void family_free(void *p)
{
    if (LIKELY(!api_state.is_passthrough))
        free(p);
    else
        passthrough_free(p);
}

EXPORT void cfree(void *p)
{
    family_free(p);
}

/* Checking builds: the size that the caller believes must fit the block. */
static void family_check_size(void *p, size_t size_bytes)
{
    if (GCM_CHECKING && p != NULL && heap_contains((uintptr_t)p) && size_bytes > usable_size(p))
        check_misuse(MISUSE_WRONG_SIZE, (uintptr_t)p);
}

EXPORT void free_sized(void *p, size_t size_bytes)
{
    family_check_size(p, size_bytes);
    family_free(p);
}

EXPORT void free_aligned_sized(void *p, size_t align, size_t size_bytes)
{
    (void)align;
    family_check_size(p, size_bytes);
    family_free(p);
}
