/* Facts: construction, comparison and text. */
#include "graph/fact.h"

#include <stdio.h>
#include <string.h>

oi_fact oi_fact_tensor(oi_dtype dtype, int32_t rank, const oi_dim *dims)
{
    oi_fact f = {.kind = ONNX_INFER_TENSOR, .dtype = dtype, .shape.rank = rank};
    if (rank > 0 && rank <= OI_MAX_RANK)
        memcpy(f.shape.dim, dims, (size_t)rank * sizeof *dims);
    return f;
}

oi_fact oi_fact_unknown(void)
{
    return (oi_fact){.kind = ONNX_INFER_TENSOR, .shape.rank = -1};
}

bool oi_shape_is_concrete(const oi_shape *s)
{
    for (int32_t i = 0; i < s->rank; i++) {
        if (!oi_dim_is_number(s->dim[i]) || s->dim[i] < 0)
            return false;
    }
    return s->rank >= 0;
}

bool oi_fact_dims(const oi_fact *f, int32_t *rank, int64_t *dims)
{
    if (f->kind != ONNX_INFER_TENSOR || !oi_shape_is_concrete(&f->shape))
        return false;
    *rank = f->shape.rank;
    if (*rank)
        memcpy(dims, f->shape.dim, (size_t)*rank * sizeof *dims);
    return true;
}

bool oi_shape_equal(const oi_shape *a, const oi_shape *b)
{
    if (a->rank != b->rank)
        return false;
    return a->rank <= 0 || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
}

const char *oi_fact_text(const oi_symtab *syms, const oi_fact *f, char *buf, size_t cap)
{
    static const char *const kind[] = {"tensor", "sequence of ", "optional of ", "map of "};
    size_t used = 0;
    int n;
    if (!cap)
        return "";
    buf[0] = 0;
    while (f && f->kind != ONNX_INFER_TENSOR && f->kind <= ONNX_INFER_MAP) {
        n = f->kind == ONNX_INFER_MAP
                ? snprintf(buf + used, cap - used, "map from %s to ", oi_dtype_name(f->dtype))
                : snprintf(buf + used, cap - used, "%s", kind[f->kind]);
        if (n < 0 || (size_t)n >= cap - used)
            return buf;
        used += (size_t)n;
        f = f->elem;
    }
    const char *dtype = f && f->dtype != ONNX_INFER_UNDEFINED ? oi_dtype_name(f->dtype) : "?";
    n = snprintf(buf + used, cap - used, f && f->shape.rank >= 0 ? "%s " : "%s ?", dtype);
    if (n < 0 || (size_t)n >= cap - used || !f)
        return buf;
    used += (size_t)n;
    if (f->shape.rank == 0)
        snprintf(buf + used, cap - used, "scalar");
    for (int32_t i = 0; i < f->shape.rank; i++) {
        char dim[128];
        oi_dim_text(syms, f->shape.dim[i], dim, sizeof dim);
        n = snprintf(buf + used, cap - used, strpbrk(dim, " */") ? "%s(%s)" : "%s%s", i ? "x" : "", dim);
        if (n < 0 || (size_t)n >= cap - used)
            return buf;
        used += (size_t)n;
    }
    return buf;
}
