/* Col2Im: an image as the sum of the blocks that were cut out of it. */
#include "base/checked.h"
#include "ops/dtypes.h"
#include "ops/window.h"

#include <complex.h>
#include <string.h>

typedef struct {
    oi_window_attr window;
} col_attr;

typedef struct {
    oi_window w;         /* in: the image, out: the blocks along each axis */
    int64_t taps, blocks, pixels;
    const void *x;
    void *y;
} col_job;

#define TMPL "ops/tmpl/col2im.inc"
#include "ops/tmpl/each_float.inc"
#define TMPL "ops/tmpl/col2im.inc"
#include "ops/tmpl/each_int.inc"

#define LD(v) (v)
#define ST(v) (v)
#define T float complex
#define C float complex
#define FN(name) name##_c64
#include "ops/tmpl/col2im.inc"
#undef T
#undef C
#undef FN
#define T double complex
#define C double complex
#define FN(name) name##_c128
#include "ops/tmpl/col2im.inc"
#undef T
#undef C
#undef FN
#define T bool
#define C bool
#define FN(name) name##_bool
#include "ops/tmpl/col2im.inc"
#undef T
#undef C
#undef FN
#undef LD
#undef ST

typedef oi_status plane_fn(void *job, size_t plane);

static plane_fn *const fns[OI_DTYPE_COUNT] = {
    OI_FLOAT_ROWS(col2im), OI_INT_ROWS(col2im), [ONNX_INFER_BOOL] = col2im_bool, [ONNX_INFER_COMPLEX64] = col2im_c64,
    [ONNX_INFER_COMPLEX128] = col2im_c128,
};

static oi_status infer(oi_infer *x)
{
    const oi_fact *f = x->in[0];
    oi_dim image[OI_WINDOW_MAX], block[OI_WINDOW_MAX], dims[OI_MAX_RANK], taps = 1;
    OI_FAIL_IF(f->shape.rank >= 0 && f->shape.rank != 3, ONNX_INFER_E_SHAPE_MISMATCH, "Col2Im: input 0 has rank %d, expected 3",
               (int)f->shape.rank);
    int32_t n = oi_infer_content(x, 1, image, OI_WINDOW_MAX), m = oi_infer_content(x, 2, block, OI_WINDOW_MAX);
    if (n < 0 || f->shape.rank != 3) {
        oi_infer_set_fresh(x, 0, f->dtype, n < 0 ? -1 : n + 2);
        return ONNX_INFER_OK;
    }
    for (int32_t i = 0; i < m; i++)
        taps = oi_dim_mul(x->syms, taps, block[i]);
    dims[0] = f->shape.dim[0];
    dims[1] = m == n && taps != 0 ? oi_dim_floordiv(x->syms, f->shape.dim[1], taps) : oi_dim_fresh(x->syms);
    memcpy(dims + 2, image, (size_t)n * sizeof *dims);
    oi_infer_set(x, 0, f->dtype, n + 2, dims);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0), *image = oi_eval_in(e, 1), *block = oi_eval_in(e, 2);
    const col_attr *a = e->attr;
    col_job job;
    if (!x || !fns[x->dtype])
        return oi_eval_bad_type(e, 0);
    for (uint32_t i = 1; i < 3; i++) {
        if (!oi_eval_in(e, i) || e->in[i]->dtype != ONNX_INFER_INT64)
            return oi_eval_bad_type(e, i);
    }
    int64_t nd = oi_tensor_count(image), dims[OI_MAX_RANK];
    OI_FAIL_IF(x->rank != 3 || nd < 1 || nd > OI_WINDOW_MAX || oi_tensor_count(block) != nd, ONNX_INFER_E_SHAPE_MISMATCH,
               "Col2Im: input 0 has rank %d, expected 3; the image has %lld axes, its blocks %lld, expected 1..%d", (int)x->rank, (long long)nd,
               (long long)oi_tensor_count(block), OI_WINDOW_MAX);
    for (int64_t i = 0; i < nd; i++) {
        int64_t pixels = ((const int64_t *)image->data)[i], taps = ((const int64_t *)block->data)[i];
        OI_FAIL_IF(pixels < 0 || pixels > INT32_MAX || taps < 1 || taps > INT32_MAX, ONNX_INFER_E_INVALID_ARGUMENT,
                   "Col2Im: blocks of %lld in an image of %lld along axis %lld", (long long)taps, (long long)pixels, (long long)i);
    }
    OI_TRY(oi_window_init(&a->window, (int32_t)nd, block->data, &job.w));
    OI_TRY(oi_window_resolve(&a->window, image->data, &job.w));
    bool fits = true;
    job.taps = job.blocks = 1;
    for (int32_t i = 0; i < job.w.nd; i++)
        fits = fits && oi_mul_i64(job.taps, job.w.kernel[i], &job.taps) && oi_mul_i64(job.blocks, job.w.out[i], &job.blocks);
    OI_FAIL_IF(!fits || x->dim[1] % job.taps || x->dim[2] != job.blocks, ONNX_INFER_E_SHAPE_MISMATCH,
               "Col2Im: input 0 has %lld rows and %lld columns; blocks of %lld elements, %lld of them, cover the image", (long long)x->dim[1],
               (long long)x->dim[2], (long long)job.taps, (long long)job.blocks);
    dims[0] = x->dim[0];
    dims[1] = x->dim[1] / job.taps;
    memcpy(dims + 2, image->data, (size_t)nd * sizeof *dims);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, (int32_t)nd + 2, dims, &y));
    job.pixels = oi_dims_count((int32_t)nd, dims + 2);
    if (y->bytes)
        memset(y->data, 0, y->bytes);
    job.x = x->data;
    job.y = y->data;
    return e->host->parallel(e, (size_t)(dims[0] * dims[1]), fns[x->dtype], &job);
}

static const oi_attr_spec attrs[] = {
    {.name = "dilations", .type = OI_ATTR_INTS, .offset = offsetof(col_attr, window.dilations)},
    {.name = "pads", .type = OI_ATTR_INTS, .offset = offsetof(col_attr, window.pads)},
    {.name = "strides", .type = OI_ATTR_INTS, .offset = offsetof(col_attr, window.strides)},
    {0},
};

const oi_op oi_op_Col2Im = {
    .name = "Col2Im", .domain = "", .since = 18, .newest = 18, .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(col_attr), .infer = infer, .eval = eval,
};
