/* A tensor: element type, dims and dense row-major storage that a reference-counted buffer or somebody else owns. */
#ifndef OI_TENSOR_TENSOR_H
#define OI_TENSOR_TENSOR_H

#include "base/alloc.h"
#include "tensor/dtype.h"

enum { OI_MAX_RANK = 8 }; /* tensors of higher rank answer ONNX_INFER_E_LIMIT */

/* Owner of memory: heap, mapped file, caller's or arena's. Reference counted, any thread. */
typedef struct oi_buffer oi_buffer;

/* Heap memory for tensor data, uninitialised. */
oi_status oi_buffer_create(const oi_alloc *a, size_t bytes, oi_buffer **out);
/* Memory of somebody else: fn(user, data) at the last release; fn may be NULL. */
oi_status oi_buffer_wrap(const oi_alloc *a, void *data, size_t bytes, onnx_infer_free_fn fn, void *user, oi_buffer **out);
/* Bytes [at, at + bytes) of heap memory, which lives as long as its parts. */
oi_status oi_buffer_create_part(const oi_alloc *a, oi_buffer *whole, size_t at, size_t bytes, oi_buffer **out);
/* Heap memory for `count` strings, all empty; the strings are freed with it. */
oi_status oi_buffer_create_strings(const oi_alloc *a, size_t count, oi_buffer **out);
/* Sets what is called at the last release of wrapped memory. */
void oi_buffer_on_free(oi_buffer *b, onnx_infer_free_fn fn, void *user);
oi_buffer *oi_buffer_retain(oi_buffer *b);
void oi_buffer_release(oi_buffer *b); /* accepts NULL */
void *oi_buffer_data(const oi_buffer *b);
size_t oi_buffer_bytes(const oi_buffer *b);
bool oi_buffer_is_heap(const oi_buffer *b);
/* Says that wrapped memory is a private read-only mapping of a file, whose pages can be given back at any time. */
void oi_buffer_mark_mapped(oi_buffer *b);
/* Gives the whole pages inside these bytes of a mapped file back; they are read again when touched. */
void oi_buffer_drop_pages(const oi_buffer *b, const void *data, size_t n);
const oi_alloc *oi_buffer_alloc(const oi_buffer *b); /* a copy that lives in the buffer */
/* True where nobody else holds the buffer. */
bool oi_buffer_is_unique(const oi_buffer *b);

/* Element of a string tensor: n bytes and a NUL that is not counted. NULL text stands for "". */
typedef struct {
    char *text;
    size_t n;
} oi_string;

typedef struct oi_tensor {
    oi_dtype dtype;
    int32_t rank;
    int64_t dim[OI_MAX_RANK];
    void *data;      /* dense, row-major; oi_string[] for strings; NULL while only described */
    size_t bytes;    /* of data */
    oi_buffer *buf;  /* what keeps data alive; NULL where somebody else does */
} oi_tensor;

/* Fills in type and shape and computes bytes; data and buf are NULL. Fails on a bad type, rank, a negative dim or
 * overflow. Holds nothing: needs no clearing until data is attached. */
oi_status oi_tensor_describe(oi_tensor *t, oi_dtype dtype, int32_t rank, const int64_t *dims);
/* describe + heap storage, uninitialised (strings: empty). */
oi_status oi_tensor_create(const oi_alloc *a, oi_dtype dtype, int32_t rank, const int64_t *dims, oi_tensor *out);
/* Another reference to the same storage. */
void oi_tensor_share(oi_tensor *dst, const oi_tensor *src);
/* The same elements under another shape of as many elements (the caller has checked); shares the storage. */
void oi_tensor_share_as(oi_tensor *dst, const oi_tensor *src, int32_t rank, const int64_t *dims);
oi_status oi_tensor_clone(const oi_alloc *a, const oi_tensor *src, oi_tensor *dst); /* deep copy */
/* Copies the elements; types and sizes are equal (the caller has checked). Strings are copied deeply, with the
 * allocator of the buffer that holds them, else with `a`. */
oi_status oi_tensor_copy_data(const oi_alloc *a, const oi_tensor *src, oi_tensor *dst);
void oi_tensor_clear(oi_tensor *t); /* releases the buffer and zeroes the struct */
oi_status oi_tensor_set_string(const oi_alloc *a, oi_tensor *t, size_t i, const char *text, size_t n);

static inline int64_t oi_dims_count(int32_t rank, const int64_t *dims) /* for dims already checked */
{
    int64_t n = 1;
    for (int32_t i = 0; i < rank; i++)
        n *= dims[i];
    return n;
}
static inline int64_t oi_tensor_count(const oi_tensor *t) { return oi_dims_count(t->rank, t->dim); }
/* Large constants are used in a mapped file wherever they lie there, perhaps not aligned as their type asks. Whoever
 * reads elements otherwise than by oi_elem_get_* aligns first. */
bool oi_tensor_is_aligned(const oi_tensor *t);
/* Replaces storage that is not aligned by an aligned copy on the heap; those who ask for the same bytes share one for as
 * long as somebody holds it. Any thread, on a tensor of its own. */
oi_status oi_tensor_align(const oi_alloc *a, oi_tensor *t);
/* Where the storage is in a mapped file: gives its pages back; they are read again when touched. */
void oi_tensor_drop_pages(const oi_tensor *t);
bool oi_tensor_same_shape(const oi_tensor *a, const oi_tensor *b);
bool oi_tensor_equal(const oi_tensor *a, const oi_tensor *b); /* type, shape and bits (strings: text) */

/* "2x3x4", "scalar" */
const char *oi_dims_text(int32_t rank, const int64_t *dims, char *buf, size_t cap);

/* Numpy's broadcast of two or more shapes: false where they do not fit. */
bool oi_dims_broadcast(int32_t rank_a, const int64_t *a, int32_t rank_b, const int64_t *b, int32_t *rank, int64_t *out);
/* Element strides of `dims` viewed as `rank`-dimensional `to`: 0 along broadcast axes. */
void oi_dims_broadcast_strides(int32_t rank_a, const int64_t *a, int32_t rank, const int64_t *to, int64_t *stride);

#endif
