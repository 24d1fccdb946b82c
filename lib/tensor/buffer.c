/* Reference-counted owners of tensor memory. */
#include "base/checked.h"
#include "tensor/tensor.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef enum { HEAP, STRINGS, WRAPPED, PART } buffer_kind;

struct oi_buffer {
    atomic_uint refs;
    buffer_kind kind;
    oi_alloc alloc; /* a copy: values outlive the objects that made them */
    void *data;
    size_t bytes;
    onnx_infer_free_fn fn;
    void *user;
    bool mapped;
    atomic_flag busy;      /* held for a moment while copies is read or changed */
    struct copy *copies;   /* aligned copies of parts of this buffer that are in use */
};

typedef struct copy {
    struct copy *next;
    const void *data;  /* what was copied */
    size_t bytes;
    oi_buffer *of;     /* retained */
    oi_buffer *buf;    /* not retained: it takes this entry away when it goes */
} copy;

/* On the heap the data follow the header in one allocation. */
#define HEADER_BYTES ((sizeof(oi_buffer) + OI_ALIGN - 1) / OI_ALIGN * OI_ALIGN)

static oi_status create(const oi_alloc *a, buffer_kind kind, size_t bytes, oi_buffer **out)
{
    size_t total;
    *out = NULL;
    if (!oi_add_size(bytes, HEADER_BYTES, &total))
        return oi_fail_out_of_memory(bytes);
    oi_buffer *b = oi_alloc_data(a, total);
    if (!b)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *b = (oi_buffer){.kind = kind, .alloc = a ? *a : oi_alloc_libc, .data = (char *)b + HEADER_BYTES, .bytes = bytes};
    atomic_init(&b->refs, 1);
    atomic_flag_clear(&b->busy);
    *out = b;
    return ONNX_INFER_OK;
}

oi_status oi_buffer_create(const oi_alloc *a, size_t bytes, oi_buffer **out)
{
    return create(a, HEAP, bytes, out);
}

oi_status oi_buffer_wrap(const oi_alloc *a, void *data, size_t bytes, onnx_infer_free_fn fn, void *user, oi_buffer **out)
{
    OI_TRY(create(a, WRAPPED, 0, out));
    (*out)->data = data;
    (*out)->bytes = bytes;
    (*out)->fn = fn;
    (*out)->user = user;
    return ONNX_INFER_OK;
}

static void release_whole(void *whole, void *data)
{
    (void)data;
    oi_buffer_release(whole);
}

oi_status oi_buffer_create_part(const oi_alloc *a, oi_buffer *whole, size_t at, size_t bytes, oi_buffer **out)
{
    OI_TRY(oi_buffer_wrap(a, (char *)whole->data + at, bytes, release_whole, whole, out));
    (*out)->kind = PART;
    oi_buffer_retain(whole);
    return ONNX_INFER_OK;
}

oi_status oi_buffer_create_strings(const oi_alloc *a, size_t count, oi_buffer **out)
{
    size_t bytes;
    *out = NULL;
    if (!oi_mul_size(count, sizeof(oi_string), &bytes))
        return oi_fail_out_of_memory(SIZE_MAX);
    OI_TRY(create(a, STRINGS, bytes, out));
    memset((*out)->data, 0, bytes);
    return ONNX_INFER_OK;
}

void oi_buffer_on_free(oi_buffer *b, onnx_infer_free_fn fn, void *user)
{
    b->fn = fn;
    b->user = user;
}

void oi_buffer_mark_mapped(oi_buffer *b)
{
    b->mapped = true;
}

void oi_buffer_drop_pages(const oi_buffer *b, const void *data, size_t n)
{
    if (!b->mapped || !n)
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) / page * page, end = ((uintptr_t)data + n) / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* --- aligned copies --------------------------------------------------------------------------------------------------- */

static void lock(oi_buffer *b)
{
    while (atomic_flag_test_and_set_explicit(&b->busy, memory_order_acquire))
        sched_yield();
}

static void unlock(oi_buffer *b)
{
    atomic_flag_clear_explicit(&b->busy, memory_order_release);
}

/* Retains a buffer that may be about to go; false where it is gone already. */
static bool retain_living(oi_buffer *b)
{
    unsigned refs = atomic_load_explicit(&b->refs, memory_order_relaxed);
    while (refs)
        if (atomic_compare_exchange_weak_explicit(&b->refs, &refs, refs + 1, memory_order_acq_rel, memory_order_relaxed))
            return true;
    return false;
}

static oi_buffer *find_copy(oi_buffer *of, const void *data, size_t bytes)
{
    oi_buffer *found = NULL;
    lock(of);
    for (copy *c = of->copies; c && !found; c = c->next)
        if (c->data == data && c->bytes == bytes && retain_living(c->buf))
            found = c->buf;
    unlock(of);
    return found;
}

static void forget_copy(void *user, void *data)
{
    copy *c = user;
    oi_buffer *of = c->of;
    (void)data;
    lock(of);
    for (copy **at = &of->copies; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    unlock(of);
    oi_free_mem(&of->alloc, c);
    oi_buffer_release(of);
}

enum { PIECE = 16 << 20 };

static oi_status make_copy(const oi_alloc *a, const oi_tensor *t, oi_buffer **out)
{
    OI_TRY(oi_buffer_create(a, t->bytes, out));
    for (size_t at = 0, n; at < t->bytes; at += n) { /* by pieces, so that file and copy are never whole in memory together */
        const char *from = (const char *)t->data + at;
        n = t->bytes - at < PIECE ? t->bytes - at : PIECE;
        memcpy((char *)(*out)->data + at, from, n);
        if (t->buf)
            oi_buffer_drop_pages(t->buf, from, n);
    }
    if (!t->buf)
        return ONNX_INFER_OK;
    copy *c = oi_alloc_mem(&t->buf->alloc, sizeof *c);
    if (!c) {
        oi_buffer_release(*out);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    *c = (copy){.data = t->data, .bytes = t->bytes, .of = oi_buffer_retain(t->buf), .buf = *out};
    oi_buffer_on_free(*out, forget_copy, c);
    lock(c->of);
    c->next = c->of->copies;
    c->of->copies = c;
    unlock(c->of);
    return ONNX_INFER_OK;
}

bool oi_tensor_is_aligned(const oi_tensor *t)
{
    return !t->bytes || t->dtype == ONNX_INFER_STRING || (uintptr_t)t->data % oi_dtype_align(t->dtype) == 0;
}

oi_status oi_tensor_align(const oi_alloc *a, oi_tensor *t)
{
    if (oi_tensor_is_aligned(t))
        return ONNX_INFER_OK;
    oi_buffer *buf = t->buf ? find_copy(t->buf, t->data, t->bytes) : NULL;
    if (!buf)
        OI_TRY(make_copy(a, t, &buf));
    oi_buffer_release(t->buf);
    t->buf = buf;
    t->data = buf->data;
    return ONNX_INFER_OK;
}

void oi_tensor_drop_pages(const oi_tensor *t)
{
    if (t->buf)
        oi_buffer_drop_pages(t->buf, t->data, t->bytes);
}

oi_buffer *oi_buffer_retain(oi_buffer *b)
{
    if (b)
        atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void oi_buffer_release(oi_buffer *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    oi_alloc alloc = b->alloc;
    size_t inside = b->kind == WRAPPED || b->kind == PART ? 0 : b->bytes;
    if (b->kind == STRINGS) {
        oi_string *s = b->data;
        for (size_t i = 0; i < b->bytes / sizeof *s; i++)
            oi_free_mem(&alloc, s[i].text);
    }
    if (b->fn)
        b->fn(b->user, b->data);
    oi_free_data(&alloc, b, inside + HEADER_BYTES);
}

void *oi_buffer_data(const oi_buffer *b)
{
    return b->data;
}

size_t oi_buffer_bytes(const oi_buffer *b)
{
    return b->bytes;
}

bool oi_buffer_is_heap(const oi_buffer *b)
{
    return b->kind != WRAPPED;
}

bool oi_buffer_is_unique(const oi_buffer *b)
{
    return atomic_load_explicit(&b->refs, memory_order_acquire) == 1;
}

const oi_alloc *oi_buffer_alloc(const oi_buffer *b)
{
    return &b->alloc;
}
