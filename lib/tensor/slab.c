/* Slabs: memory for large constants that live together. */
#include "tensor/slab.h"

#include "base/checked.h"

#include <pthread.h>

enum {
    SMALL_BYTES = 16 << 10,        /* not worth a place in a piece */
    FIRST_PIECE_BYTES = 256 << 10, /* small networks pay for no big page */
    PIECE_BYTES = (2 << 20) - 4096, /* with its header a big page */
    PART_OF_TOTAL = 4,             /* pieces grow with what has been asked for, so that few are needed and little is left over */
};

struct oi_slab {
    oi_alloc alloc;
    pthread_mutex_t lock;
    oi_buffer *piece; /* what new buffers are cut from; NULL before the first */
    size_t used;      /* bytes of it */
    size_t total;     /* bytes of all pieces so far */
};

oi_status oi_slab_create(const oi_alloc *a, oi_slab **out)
{
    oi_slab *s = oi_alloc_mem(a, sizeof *s);
    *out = NULL;
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->alloc = a ? *a : oi_alloc_libc;
    if (pthread_mutex_init(&s->lock, NULL)) {
        oi_free_mem(a, s);
        return oi_fail_out_of_memory(sizeof s->lock);
    }
    *out = s;
    return ONNX_INFER_OK;
}

void oi_slab_destroy(oi_slab *s)
{
    if (!s)
        return;
    oi_alloc alloc = s->alloc;
    oi_buffer_release(s->piece);
    pthread_mutex_destroy(&s->lock);
    oi_free_mem(&alloc, s);
}

/* A piece with room for `bytes`. */
static oi_status new_piece(oi_slab *s, size_t bytes)
{
    size_t size = s->total / PART_OF_TOTAL;
    if (size < PIECE_BYTES)
        size = s->total ? PIECE_BYTES : FIRST_PIECE_BYTES;
    if (size < bytes)
        size = bytes;
    oi_buffer *piece;
    OI_TRY(oi_buffer_create(&s->alloc, size, &piece));
    oi_buffer_release(s->piece);
    s->piece = piece;
    s->used = 0;
    s->total = s->total < SIZE_MAX - size ? s->total + size : SIZE_MAX;
    return ONNX_INFER_OK;
}

static oi_status cut(oi_slab *s, size_t bytes, oi_buffer **out)
{
    size_t rounded;
    if (!oi_align_size(bytes, OI_ALIGN, &rounded))
        return oi_fail_out_of_memory(bytes);
    if (s->piece && oi_buffer_is_unique(s->piece))
        s->used = 0;
    if (!s->piece || oi_buffer_bytes(s->piece) - s->used < rounded)
        OI_TRY(new_piece(s, rounded));
    OI_TRY(oi_buffer_create_part(&s->alloc, s->piece, s->used, bytes, out));
    s->used += rounded;
    return ONNX_INFER_OK;
}

oi_status oi_slab_buffer(oi_slab *s, size_t bytes, oi_buffer **out)
{
    *out = NULL;
    if (bytes < SMALL_BYTES)
        return oi_buffer_create(&s->alloc, bytes, out);
    pthread_mutex_lock(&s->lock);
    oi_status status = cut(s, bytes, out);
    pthread_mutex_unlock(&s->lock);
    return status;
}
