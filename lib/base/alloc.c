/* Memory through a user's or the C library's functions. Control structures carry their size in front of them, since the
 * allocator interface wants it back. */
#include "base/alloc.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef union {
    size_t bytes;
    max_align_t align;
} header;

enum { BIG_PAGE = 2 << 20 };

/* Much memory comes in big pages where the system has them: fewer faults when it is first written, fewer misses of
 * address translation later. */
static void *big_alloc(size_t size)
{
    size_t rounded;
    void *p = oi_align_size(size, BIG_PAGE, &rounded) ? aligned_alloc(BIG_PAGE, rounded) : NULL;
#ifdef MADV_HUGEPAGE
    if (p)
        (void)madvise(p, size / BIG_PAGE * BIG_PAGE, MADV_HUGEPAGE); /* the rest takes no more than it needs */
#endif
    return p;
}

static void *libc_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    if (align <= _Alignof(max_align_t))
        return malloc(size);
    size_t rounded;
    if (size >= BIG_PAGE)
        return big_alloc(size);
    return oi_align_size(size, align, &rounded) ? aligned_alloc(align, rounded) : NULL;
}

static void libc_free(void *user, void *p, size_t size, size_t align)
{
    (void)user, (void)size, (void)align;
    free(p);
}

const oi_alloc oi_alloc_libc = {sizeof(oi_alloc), NULL, libc_alloc, libc_free};

static const oi_alloc *or_default(const oi_alloc *a)
{
    return a ? a : &oi_alloc_libc;
}

void *oi_alloc_mem(const oi_alloc *a, size_t bytes)
{
    size_t total;
    header *h = NULL;
    a = or_default(a);
    if (oi_add_size(bytes, sizeof *h, &total))
        h = a->alloc(a->user, total, _Alignof(header));
    if (!h) {
        oi_fail_out_of_memory(bytes);
        return NULL;
    }
    memset(h, 0, total);
    h->bytes = bytes;
    return h + 1;
}

void *oi_alloc_array(const oi_alloc *a, size_t count, size_t size)
{
    size_t bytes;
    if (!oi_mul_size(count, size, &bytes)) {
        oi_fail_out_of_memory(SIZE_MAX);
        return NULL;
    }
    return oi_alloc_mem(a, bytes);
}

void *oi_realloc_mem(const oi_alloc *a, void *old, size_t bytes)
{
    void *p = oi_alloc_mem(a, bytes);
    if (p && old) {
        size_t had = ((header *)old - 1)->bytes;
        memcpy(p, old, had < bytes ? had : bytes);
        oi_free_mem(a, old);
    }
    return p;
}

void oi_free_mem(const oi_alloc *a, void *p)
{
    if (!p)
        return;
    header *h = (header *)p - 1;
    a = or_default(a);
    a->free(a->user, h, h->bytes + sizeof *h, _Alignof(header));
}

char *oi_alloc_text(const oi_alloc *a, const char *text, size_t n)
{
    char *copy = n < SIZE_MAX ? oi_alloc_mem(a, n + 1) : NULL;
    if (copy && n)
        memcpy(copy, text, n);
    return copy;
}

void *oi_alloc_data(const oi_alloc *a, size_t bytes)
{
    size_t total;
    void *p = NULL;
    a = or_default(a);
    if (oi_add_size(bytes, OI_ALIGN, &total))
        p = a->alloc(a->user, total, OI_ALIGN);
    if (!p)
        oi_fail_out_of_memory(bytes);
    return p;
}

void oi_free_data(const oi_alloc *a, void *p, size_t bytes)
{
    if (!p)
        return;
    a = or_default(a);
    a->free(a->user, p, bytes + OI_ALIGN, OI_ALIGN);
}
