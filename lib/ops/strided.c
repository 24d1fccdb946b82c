/* Copying a strided view of a tensor into a dense one. */
#include "ops/strided.h"

#include <string.h>

oi_strided oi_strided_dense(int32_t rank, const int64_t *dims)
{
    oi_strided v = {.rank = rank};
    int64_t stride = 1;
    for (int32_t i = rank - 1; i >= 0; i--) {
        v.dim[i] = dims[i];
        v.stride[i] = stride;
        stride *= dims[i];
    }
    return v;
}

void oi_strided_simplify(oi_strided *v)
{
    int32_t n = 0;
    for (int32_t i = 0; i < v->rank; i++) {
        if (v->dim[i] == 1)
            continue;
        if (n > 0 && v->stride[n - 1] == v->stride[i] * v->dim[i]) {
            v->dim[n - 1] *= v->dim[i];
            v->stride[n - 1] = v->stride[i];
        } else {
            v->dim[n] = v->dim[i];
            v->stride[n++] = v->stride[i];
        }
    }
    v->rank = n;
}

typedef struct {
    uint64_t lo, hi;
} wide;

#define T uint8_t
#define NAME inner_1
#include "ops/tmpl/strided_inner.inc"
#undef NAME
#undef T
#define T uint16_t
#define NAME inner_2
#include "ops/tmpl/strided_inner.inc"
#undef NAME
#undef T
#define T uint32_t
#define NAME inner_4
#include "ops/tmpl/strided_inner.inc"
#undef NAME
#undef T
#define T uint64_t
#define NAME inner_8
#include "ops/tmpl/strided_inner.inc"
#undef NAME
#undef T
#define T wide
#define NAME inner_16
#include "ops/tmpl/strided_inner.inc"
#undef NAME
#undef T

typedef void (*inner_fn)(const void *, void *, int64_t, int64_t, int64_t, int64_t);

static inner_fn inner_for(size_t size)
{
    switch (size) {
    case 1: return inner_1;
    case 2: return inner_2;
    case 4: return inner_4;
    case 8: return inner_8;
    default: return inner_16;
    }
}

void oi_strided_copy(const oi_strided *v, size_t size, const void *source, void *target, int64_t first, int64_t last)
{
    oi_strided s = *v;
    inner_fn inner = inner_for(size);
    const char *src = source;
    char *dst = target;
    if (s.rank == 0) {
        memcpy(dst, src + s.offset * (int64_t)size, size);
        return;
    }
    int64_t row_elements = oi_dims_count(s.rank - 1, s.dim + 1);
    dst += first * row_elements * (int64_t)size;
    int64_t at_offset = s.offset + first * s.stride[0];
    s.dim[0] = last - first;
    if (oi_dims_count(s.rank, s.dim) <= 0)
        return;
    s.offset = 0;
    oi_strided_simplify(&s);
    if (s.rank < 2) {
        int64_t n = s.rank ? s.dim[0] : 1, stride = s.rank ? s.stride[0] : 1;
        inner(src + at_offset * (int64_t)size, dst, 1, 0, n, stride);
        return;
    }
    int32_t outer = s.rank - 2;
    int64_t rows = s.dim[outer], n = s.dim[outer + 1], at[OI_MAX_RANK] = {0};
    for (;;) {
        int64_t offset = at_offset;
        for (int32_t i = 0; i < outer; i++)
            offset += at[i] * s.stride[i];
        inner(src + offset * (int64_t)size, dst, rows, s.stride[outer], n, s.stride[outer + 1]);
        dst += rows * n * (int64_t)size;
        int32_t i = outer - 1;
        for (; i >= 0 && ++at[i] == s.dim[i]; i--)
            at[i] = 0;
        if (i < 0)
            return;
    }
}

static bool is_simple(oi_dtype t)
{
    return t != ONNX_INFER_STRING && !oi_dtype_is_packed(t);
}

oi_status oi_copy_element(const oi_alloc *a, const oi_tensor *src, size_t from, oi_tensor *dst, size_t to)
{
    if (src->dtype == ONNX_INFER_STRING) {
        const oi_string *s = (const oi_string *)src->data + from;
        return oi_tensor_set_string(a, dst, to, s->text, s->n);
    }
    if (oi_dtype_is_packed(src->dtype)) {
        oi_packed_set(dst->dtype, dst->data, to, oi_packed_get(src->dtype, src->data, from));
        return ONNX_INFER_OK;
    }
    size_t size = oi_dtype_size(src->dtype);
    memcpy((char *)dst->data + to * size, (const char *)src->data + from * size, size);
    return ONNX_INFER_OK;
}

oi_status oi_take_elements(const oi_alloc *a, const oi_tensor *src, const int64_t *index, size_t n, oi_tensor *dst)
{
    for (size_t i = 0; i < n; i++)
        OI_TRY(oi_copy_element(a, src, (size_t)index[i], dst, i));
    return ONNX_INFER_OK;
}

oi_status oi_strided_copy_tensor(oi_eval *e, const oi_strided *v, const oi_tensor *src, oi_tensor *dst)
{
    int64_t rows = v->rank ? v->dim[0] : 1;
    if (oi_dims_count(v->rank, v->dim) == 0)
        return ONNX_INFER_OK;
    if (is_simple(src->dtype)) {
        const int64_t each = oi_dims_count(v->rank, v->dim) / rows, step = each >= 1 << 16 ? 1 : (1 << 16) / each;
        for (int64_t row = 0, done = 0; row < rows; row += step) {
            OI_TRY(oi_eval_check(e, step * each, &done));
            oi_strided_copy(v, oi_dtype_size(src->dtype), src->data, dst->data, row, rows - row < step ? rows : row + step);
        }
        return ONNX_INFER_OK;
    }
    oi_strided s = *v;
    int64_t at[OI_MAX_RANK] = {0};
    size_t n = (size_t)oi_dims_count(v->rank, v->dim);
    int64_t done = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t from = s.offset;
        OI_TRY(oi_eval_check(e, 8, &done));
        for (int32_t d = 0; d < s.rank; d++)
            from += at[d] * s.stride[d];
        OI_TRY(oi_copy_element(e->alloc, src, (size_t)from, dst, i));
        for (int32_t d = s.rank - 1; d >= 0 && ++at[d] == s.dim[d]; d--)
            at[d] = 0;
    }
    return ONNX_INFER_OK;
}

/* --- the step ------------------------------------------------------------------------------------------------------- */

typedef struct {
    oi_strided view;
    size_t size;
    int64_t rows_per_task, rows;
} strided_state;

enum { BYTES_PER_TASK = 1 << 16 };

static oi_status run_strided(const oi_run *r, uint32_t task)
{
    const strided_state *s = r->step->state;
    int64_t first = task * s->rows_per_task, last = first + s->rows_per_task;
    oi_strided_copy(&s->view, s->size, r->in[0], r->out[0], first, last < s->rows ? last : s->rows);
    return ONNX_INFER_OK;
}

oi_status oi_strided_prepare(oi_prepare *p, const oi_strided *v, const char *kernel)
{
    const oi_tensor *in = &p->step->in[0];
    if (!is_simple(in->dtype) || oi_dims_count(v->rank, v->dim) == 0)
        return ONNX_INFER_OK;
    strided_state *s = oi_arena_mem(p->arena, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->view = *v;
    oi_strided_simplify(&s->view);
    s->size = oi_dtype_size(in->dtype);
    s->rows = s->view.rank ? s->view.dim[0] : 1;
    int64_t row_bytes = s->view.rank ? oi_dims_count(s->view.rank - 1, s->view.dim + 1) * (int64_t)s->size : (int64_t)s->size;
    s->rows_per_task = row_bytes < BYTES_PER_TASK ? BYTES_PER_TASK / row_bytes : 1;
    p->step->state = s;
    p->step->run = run_strided;
    p->step->n_tasks = (uint32_t)((s->rows + s->rows_per_task - 1) / s->rows_per_task);
    p->step->kernel = kernel;
    return ONNX_INFER_OK;
}
