/* MatMul and Gemm: the reference for every type. */
#include "ops/op_matmul.h"

#include "base/checked.h"
#include "ops/widen.h"

#include <string.h>

#define T float
#define NAME matmul_float
#include "ops/tmpl/matmul.inc"
#undef NAME
#undef T
#define T double
#define NAME matmul_double
#include "ops/tmpl/matmul.inc"
#undef NAME
#undef T
#define T uint32_t
#define NAME matmul_32
#include "ops/tmpl/matmul.inc"
#undef NAME
#undef T
#define T uint64_t
#define NAME matmul_64
#include "ops/tmpl/matmul.inc"
#undef NAME
#undef T

static const oi_dtype types[] = {ONNX_INFER_FLOAT, ONNX_INFER_DOUBLE, ONNX_INFER_FLOAT16, ONNX_INFER_BFLOAT16,
                                 ONNX_INFER_INT32, ONNX_INFER_UINT32, ONNX_INFER_INT64, ONNX_INFER_UINT64};
enum { TYPE_COUNT = sizeof types / sizeof *types };

oi_status oi_matmul_resolve(int32_t a_rank, const int64_t *a, int32_t b_rank, const int64_t *b,
                            void *(*mem)(void *host, size_t bytes), void *host, oi_matmul_shape *out)
{
    OI_FAIL_IF(a_rank < 1 || b_rank < 1, ONNX_INFER_E_SHAPE_MISMATCH, "inputs have ranks %d and %d, expected at least 1",
               a_rank, b_rank);
    memset(out, 0, sizeof *out);
    out->m = a_rank > 1 ? a[a_rank - 2] : 1;
    out->k = a[a_rank - 1];
    out->n = b_rank > 1 ? b[b_rank - 1] : 1;
    int64_t b_k = b_rank > 1 ? b[b_rank - 2] : b[0];
    if (out->k != b_k) {
        oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input 1 has %lld rows, expected %lld: the columns of input 0", (long long)b_k,
                (long long)out->k);
        return oi_error_at_axis(b_rank > 1 ? b_rank - 2 : 0, b_k, out->k);
    }
    int32_t a_lead = a_rank > 2 ? a_rank - 2 : 0, b_lead = b_rank > 2 ? b_rank - 2 : 0, lead;
    char at[96], bt[96];
    OI_FAIL_IF(!oi_dims_broadcast(a_lead, a, b_lead, b, &lead, out->dim), ONNX_INFER_E_SHAPE_MISMATCH,
               "the leading dims of %s and %s do not broadcast", oi_dims_text(a_rank, a, at, sizeof at),
               oi_dims_text(b_rank, b, bt, sizeof bt));
    out->batch = (size_t)oi_dims_count(lead, out->dim);
    size_t bytes;
    OI_FAIL_IF(!oi_mul_size(out->batch + 1, 2 * sizeof(size_t), &bytes), ONNX_INFER_E_LIMIT, "too many products");
    size_t *offset = mem(host, bytes);
    if (!offset)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    int64_t a_stride[OI_MAX_RANK], b_stride[OI_MAX_RANK], at_index[OI_MAX_RANK] = {0};
    oi_dims_broadcast_strides(a_lead, a, lead, out->dim, a_stride);
    oi_dims_broadcast_strides(b_lead, b, lead, out->dim, b_stride);
    for (size_t i = 0; i < out->batch; i++) {
        int64_t a_at = 0, b_at = 0;
        for (int32_t d = 0; d < lead; d++) {
            a_at += at_index[d] * a_stride[d];
            b_at += at_index[d] * b_stride[d];
        }
        offset[i] = (size_t)(a_at * out->m * out->k);
        offset[out->batch + 1 + i] = (size_t)(b_at * out->k * out->n);
        for (int32_t d = lead - 1; d >= 0 && ++at_index[d] == out->dim[d]; d--)
            at_index[d] = 0;
    }
    out->a_offset = offset;
    out->b_offset = offset + out->batch + 1;
    out->rank = lead;
    if (a_rank > 1)
        out->dim[out->rank++] = out->m;
    if (b_rank > 1)
        out->dim[out->rank++] = out->n;
    return ONNX_INFER_OK;
}

static oi_status infer_matmul(oi_infer *x)
{
    OI_TRY(oi_infer_need_dtype(x, 0, types, TYPE_COUNT));
    const oi_shape *a = &x->in[0]->shape, *b = &x->in[1]->shape;
    oi_dtype dtype = x->in[0]->dtype;
    if (a->rank < 0 || b->rank < 0) {
        oi_infer_set_fresh(x, 0, dtype, -1);
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(a->rank < 1 || b->rank < 1, ONNX_INFER_E_SHAPE_MISMATCH, "inputs have ranks %d and %d, expected at least 1",
               a->rank, b->rank);
    oi_dim k = a->dim[a->rank - 1], b_k = b->dim[b->rank > 1 ? b->rank - 2 : 0];
    if (oi_dim_is_number(k) && oi_dim_is_number(b_k) && k != b_k) {
        oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input 1 has %lld rows, expected %lld: the columns of input 0", (long long)b_k,
                (long long)k);
        return oi_error_at_axis(b->rank > 1 ? b->rank - 2 : 0, b_k, k);
    }
    oi_dim dims[OI_MAX_RANK];
    int32_t a_lead = a->rank > 2 ? a->rank - 2 : 0, b_lead = b->rank > 2 ? b->rank - 2 : 0;
    int32_t lead = a_lead > b_lead ? a_lead : b_lead, rank = lead;
    for (int32_t i = 0; i < lead; i++) {
        oi_dim da = i < lead - a_lead ? 1 : a->dim[i - (lead - a_lead)];
        oi_dim db = i < lead - b_lead ? 1 : b->dim[i - (lead - b_lead)];
        OI_FAIL_IF(oi_dim_is_number(da) && oi_dim_is_number(db) && da != db && da != 1 && db != 1,
                   ONNX_INFER_E_SHAPE_MISMATCH, "leading dims %lld and %lld do not broadcast", (long long)da, (long long)db);
        dims[i] = oi_dim_broadcast(x->syms, da, db);
    }
    if (a->rank > 1)
        dims[rank++] = a->dim[a->rank - 2];
    if (b->rank > 1)
        dims[rank++] = b->dim[b->rank - 1];
    oi_infer_set(x, 0, dtype, rank, dims);
    return ONNX_INFER_OK;
}

/* The product in e's input type into output 0; alpha and beta are applied afterwards by Gemm. */
static oi_status multiply(oi_eval *e, oi_matmul_job *job, const oi_tensor *a, const oi_tensor *b, oi_tensor *out)
{
    size_t rows = job->shape.batch * (size_t)job->shape.m;
    job->a = a->data, job->b = b->data, job->c = out->data;
    switch (oi_dtype_size(out->dtype)) {
    case 4: return e->host->parallel(e, rows, out->dtype == ONNX_INFER_FLOAT ? matmul_float : matmul_32, job);
    case 8: return e->host->parallel(e, rows, out->dtype == ONNX_INFER_DOUBLE ? matmul_double : matmul_64, job);
    default: return oi_eval_bad_type(e, 0);
    }
}

static void *scratch(void *e, size_t bytes)
{
    return oi_eval_scratch(e, bytes);
}

static bool is_half(oi_dtype t)
{
    return t == ONNX_INFER_FLOAT16 || t == ONNX_INFER_BFLOAT16;
}

static oi_status widen_operands(oi_eval *e, oi_tensor *a, oi_tensor *b)
{
    const float *p;
    OI_TRY(oi_widen_in(e, 0, &p));
    a->data = (void *)p;
    OI_TRY(oi_widen_in(e, 1, &p));
    b->data = (void *)p;
    return ONNX_INFER_OK;
}

static oi_status eval_matmul(oi_eval *e)
{
    const oi_tensor *a = oi_eval_in(e, 0), *b = oi_eval_in(e, 1);
    oi_matmul_job job = {0};
    if (a->dtype != b->dtype)
        return oi_eval_bad_type(e, 1);
    OI_TRY(oi_matmul_resolve(a->rank, a->dim, b->rank, b->dim, scratch, e, &job.shape));
    if (!is_half(a->dtype)) {
        oi_tensor *c;
        OI_TRY(oi_eval_out(e, 0, a->dtype, job.shape.rank, job.shape.dim, &c));
        return multiply(e, &job, a, b, c);
    }
    oi_tensor wide_a = *a, wide_b = *b, wide_c = {.dtype = ONNX_INFER_FLOAT};
    oi_widen_out out;
    OI_TRY(widen_operands(e, &wide_a, &wide_b));
    OI_TRY(oi_widen_begin(e, 0, a->dtype, job.shape.rank, job.shape.dim, &out));
    wide_c.data = out.p;
    OI_TRY(multiply(e, &job, &wide_a, &wide_b, &wide_c));
    oi_widen_finish(&out);
    return ONNX_INFER_OK;
}

const oi_op oi_op_MatMul = {
    .name = "MatMul", .domain = "", .since = 1, .newest = 13, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,
    .infer = infer_matmul, .eval = eval_matmul, .lower = oi_matmul_lower, .prepare = oi_matmul_prepare,
};

/* --- Gemm --------------------------------------------------------------------------------------------------------- */

#define OFFSET(field) ((uint16_t)offsetof(oi_gemm_attr, field))
static const oi_attr_spec gemm_attrs[] = {
    {.name = "alpha", .type = OI_ATTR_FLOAT, .offset = OFFSET(alpha), .f = 1},
    {.name = "beta", .type = OI_ATTR_FLOAT, .offset = OFFSET(beta), .f = 1},
    {.name = "transA", .type = OI_ATTR_INT, .offset = OFFSET(trans_a)},
    {.name = "transB", .type = OI_ATTR_INT, .offset = OFFSET(trans_b)},
    {0},
};

/* Opset 1 to 6 ask with `broadcast` for what later versions always do. */
static oi_status import_gemm(oi_import *im)
{
    if (im->opset < 7)
        oi_import_drop(im, "broadcast");
    return ONNX_INFER_OK;
}

static oi_status infer_gemm(oi_infer *x)
{
    const oi_gemm_attr *g = x->attr;
    OI_TRY(oi_infer_need_dtype(x, 0, types, TYPE_COUNT));
    const oi_shape *a = &x->in[0]->shape, *b = &x->in[1]->shape;
    oi_infer_set_fresh(x, 0, x->in[0]->dtype, 2);
    oi_dim dims[2] = {x->out[0].shape.dim[0], x->out[0].shape.dim[1]};
    OI_FAIL_IF((a->rank >= 0 && a->rank != 2) || (b->rank >= 0 && b->rank != 2), ONNX_INFER_E_SHAPE_MISMATCH,
               "inputs 0 and 1 have ranks %d and %d, expected 2", a->rank, b->rank);
    if (a->rank == 2)
        dims[0] = a->dim[g->trans_a ? 1 : 0];
    if (b->rank == 2)
        dims[1] = b->dim[g->trans_b ? 0 : 1];
    if (a->rank == 2 && b->rank == 2) {
        oi_dim k = a->dim[g->trans_a ? 0 : 1], b_k = b->dim[g->trans_b ? 1 : 0];
        if (oi_dim_is_number(k) && oi_dim_is_number(b_k) && k != b_k) {
            oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input 0 sums over %lld elements, input 1 over %lld", (long long)k,
                    (long long)b_k);
            return oi_error_at_axis(g->trans_a ? 0 : 1, k, b_k);
        }
    }
    oi_infer_set(x, 0, x->in[0]->dtype, 2, dims);
    return ONNX_INFER_OK;
}

/* y = alpha * y + beta * c, elementwise in the arithmetic type. */
#define T float
#define NAME scale_float
#include "ops/tmpl/gemm_scale.inc"
#undef NAME
#undef T
#define T double
#define NAME scale_double
#include "ops/tmpl/gemm_scale.inc"
#undef NAME
#undef T
#define T uint32_t
#define NAME scale_32
#include "ops/tmpl/gemm_scale.inc"
#undef NAME
#undef T
#define T uint64_t
#define NAME scale_64
#include "ops/tmpl/gemm_scale.inc"
#undef NAME
#undef T

static oi_status eval_gemm(oi_eval *e)
{
    const oi_gemm_attr *g = e->attr;
    const oi_tensor *a = oi_eval_in(e, 0), *b = oi_eval_in(e, 1), *c = oi_eval_in(e, 2);
    OI_FAIL_IF(a->rank != 2 || b->rank != 2, ONNX_INFER_E_SHAPE_MISMATCH, "inputs 0 and 1 have ranks %d and %d, expected 2",
               a->rank, b->rank);
    if (a->dtype != b->dtype || (c && c->dtype != a->dtype))
        return oi_eval_bad_type(e, c && c->dtype != a->dtype ? 2 : 1);
    int64_t a_dims[2] = {a->dim[g->trans_a ? 1 : 0], a->dim[g->trans_a ? 0 : 1]};
    int64_t b_dims[2] = {b->dim[g->trans_b ? 1 : 0], b->dim[g->trans_b ? 0 : 1]};
    oi_matmul_job job = {.trans_a = g->trans_a != 0, .trans_b = g->trans_b != 0};
    OI_TRY(oi_matmul_resolve(2, a_dims, 2, b_dims, scratch, e, &job.shape));
    int64_t stride[OI_MAX_RANK] = {0}, dims[OI_MAX_RANK];
    int32_t rank;
    if (c) {
        bool fits = oi_dims_broadcast(c->rank, c->dim, 2, job.shape.dim, &rank, dims) && rank == 2 &&
                    dims[0] == job.shape.dim[0] && dims[1] == job.shape.dim[1];
        OI_FAIL_IF(!fits, ONNX_INFER_E_SHAPE_MISMATCH, "input 2 does not broadcast to %lldx%lld",
                   (long long)job.shape.dim[0], (long long)job.shape.dim[1]);
        oi_dims_broadcast_strides(c->rank, c->dim, 2, job.shape.dim, stride);
    }
    if (is_half(a->dtype)) {
        oi_tensor wide_a = *a, wide_b = *b, wide_y = {.dtype = ONNX_INFER_FLOAT};
        const float *wide_c;
        oi_widen_out out;
        OI_TRY(widen_operands(e, &wide_a, &wide_b));
        OI_TRY(oi_widen_in(e, 2, &wide_c));
        OI_TRY(oi_widen_begin(e, 0, a->dtype, 2, job.shape.dim, &out));
        wide_y.data = out.p;
        OI_TRY(multiply(e, &job, &wide_a, &wide_b, &wide_y));
        scale_float(job.shape.dim, out.p, wide_c, stride, g->alpha, g->beta);
        oi_widen_finish(&out);
        return ONNX_INFER_OK;
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, a->dtype, 2, job.shape.dim, &y));
    OI_TRY(multiply(e, &job, a, b, y));
    const void *add = c ? c->data : NULL;
    if (y->dtype == ONNX_INFER_FLOAT)
        scale_float(y->dim, y->data, add, stride, g->alpha, g->beta);
    else if (y->dtype == ONNX_INFER_DOUBLE)
        scale_double(y->dim, y->data, add, stride, g->alpha, g->beta);
    else if (oi_dtype_size(y->dtype) == 4)
        scale_32(y->dim, y->data, add, stride, g->alpha, g->beta);
    else
        scale_64(y->dim, y->data, add, stride, g->alpha, g->beta);
    return ONNX_INFER_OK;
}

const oi_op oi_op_Gemm = {
    .name = "Gemm", .domain = "", .since = 1, .newest = 13, .min_in = 2, .max_in = 3, .min_out = 1, .max_out = 1,
    .attrs = gemm_attrs, .attr_size = sizeof(oi_gemm_attr), .import = import_gemm,
    .infer = infer_gemm, .eval = eval_gemm, .lower = oi_gemm_lower, .prepare = oi_gemm_prepare,
};
