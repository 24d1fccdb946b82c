/* Reference-counted owners of tensor memory. */
#include "base/checked.h"
#include "tensor/tensor.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef enum { HEAP, STRINGS, WRAPPED } buffer_kind;

struct oi_buffer {
    atomic_uint refs;
    buffer_kind kind;
    oi_alloc alloc; /* a copy: values outlive the objects that made them */
    void *data;
    size_t bytes;
    onnx_infer_free_fn fn;
    void *user;
    bool mapped;
};

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

void oi_tensor_drop_pages(const oi_tensor *t)
{
    if (!t->buf || !t->buf->mapped || !t->bytes)
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)t->data + page - 1) / page * page, end = ((uintptr_t)t->data + t->bytes) / page * page;
    if (begin < end)
        madvise((char *)t->data + (begin - (uintptr_t)t->data), end - begin, MADV_DONTNEED);
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
    size_t inside = b->kind == WRAPPED ? 0 : b->bytes;
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
