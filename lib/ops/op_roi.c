/* RoiAlign and MaxRoiPool: regions of an image brought to one size. */
#include "ops/op.h"
#include "ops/widen.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t mode, coordinates, height, width, sampling_ratio;
    float scale;
    oi_ints pooled_shape;
} roi_attr;

enum { AVERAGE, MAXIMUM, MAX_SAMPLING_RATIO = 4096 };
enum { HALF_PIXEL, OUTPUT_HALF_PIXEL };

/* Opset 10 did not shift coordinates. */
static oi_status import_align(oi_import *im)
{
    return im->opset < 16 ? oi_import_set_string(im, "coordinate_transformation_mode", "output_half_pixel") : ONNX_INFER_OK;
}

typedef struct {
    const roi_attr *a;
    const void *x;
    const void *rois;          /* of columns numbers each */
    void *y;
    const int64_t *batch;      /* NULL: the first column of rois */
    int64_t columns, images, channels, height, width, out_height, out_width;
} roi_job;

#define T float
#define FN(name) name##_f32
#define MATH(g) g##f
#include "ops/tmpl/roi.inc"
#undef T
#undef FN
#undef MATH
#define T double
#define FN(name) name##_f64
#define MATH(g) g
#include "ops/tmpl/roi.inc"
#undef T
#undef FN
#undef MATH

static oi_status out_size(const oi_op *op, const roi_attr *a, int64_t *height, int64_t *width)
{
    const oi_ints *pooled = &a->pooled_shape;
    OI_FAIL_IF(pooled->at && pooled->n != 2, ONNX_INFER_E_INVALID_MODEL, "%s: pooled_shape has %u numbers, expected 2", op->name, pooled->n);
    *height = pooled->at ? pooled->at[0] : a->height;
    *width = pooled->at ? pooled->at[1] : a->width;
    OI_FAIL_IF(*height < 0 || *width < 0, ONNX_INFER_E_INVALID_MODEL, "%s: output size %lld x %lld", op->name, (long long)*height,
               (long long)*width);
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *f = x->in[0], *rois = x->in[1];
    int64_t height, width;
    OI_TRY(out_size(x->op, x->attr, &height, &width));
    OI_FAIL_IF((f->shape.rank >= 0 && f->shape.rank != 4) || (rois->shape.rank >= 0 && rois->shape.rank != 2), ONNX_INFER_E_SHAPE_MISMATCH,
               "%s: input 0 has rank %d, expected 4, and input 1 rank %d, expected 2", x->op->name, (int)f->shape.rank, (int)rois->shape.rank);
    oi_dim dims[4] = {rois->shape.rank == 2 ? rois->shape.dim[0] : oi_dim_fresh(x->syms),
                      f->shape.rank == 4 ? f->shape.dim[1] : oi_dim_fresh(x->syms), height, width};
    oi_infer_set(x, 0, f->dtype, 4, dims);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0), *rois = oi_eval_in(e, 1), *batch = oi_eval_in(e, 2);
    bool align = e->op->max_in == 3;
    roi_job job = {.a = e->attr, .columns = align ? 4 : 5};
    if (!x || !oi_dtype_is_float(x->dtype))
        return oi_eval_bad_type(e, 0);
    if (!rois || rois->dtype != x->dtype)
        return oi_eval_bad_type(e, 1);
    if (align && (!batch || batch->dtype != ONNX_INFER_INT64))
        return oi_eval_bad_type(e, 2);
    OI_FAIL_IF(x->rank != 4 || rois->rank != 2 || rois->dim[1] != job.columns || (align && oi_tensor_count(batch) != rois->dim[0]),
               ONNX_INFER_E_SHAPE_MISMATCH, "%s: regions need %lld columns%s", e->op->name, (long long)job.columns,
               align ? " and an image index each" : "");
    OI_TRY(out_size(e->op, job.a, &job.out_height, &job.out_width));
    OI_FAIL_IF(job.a->sampling_ratio > MAX_SAMPLING_RATIO, ONNX_INFER_E_LIMIT, "RoiAlign: sampling_ratio is %lld, at most %d is supported",
               (long long)job.a->sampling_ratio, MAX_SAMPLING_RATIO);
    job.images = x->dim[0], job.channels = x->dim[1], job.height = x->dim[2], job.width = x->dim[3];
    job.batch = align ? batch->data : NULL;
    int64_t regions = rois->dim[0], dims[4] = {regions, job.channels, job.out_height, job.out_width};
    if (x->dtype == ONNX_INFER_DOUBLE) {
        oi_tensor *y;
        OI_TRY(oi_eval_out(e, 0, x->dtype, 4, dims, &y));
        job.x = x->data, job.rois = rois->data, job.y = y->data;
        return e->host->parallel(e, (size_t)regions, align ? align_f64 : pool_f64, &job);
    }
    const float *in, *wide;
    oi_widen_out out;
    OI_TRY(oi_widen_in(e, 0, &in));
    OI_TRY(oi_widen_in(e, 1, &wide));
    OI_TRY(oi_widen_begin(e, 0, x->dtype, 4, dims, &out));
    job.x = in, job.rois = wide, job.y = out.p;
    OI_TRY(e->host->parallel(e, (size_t)regions, align ? align_f32 : pool_f32, &job));
    oi_widen_finish(&out);
    return ONNX_INFER_OK;
}

#define FIELD(member) .offset = offsetof(roi_attr, member)
static const oi_attr_spec align_attrs[] = {
    {.name = "coordinate_transformation_mode", .type = OI_ATTR_ENUM, FIELD(coordinates), .s = "half_pixel|output_half_pixel"},
    {.name = "mode", .type = OI_ATTR_ENUM, FIELD(mode), .s = "avg|max"},
    {.name = "output_height", .type = OI_ATTR_INT, FIELD(height), .i = 1},
    {.name = "output_width", .type = OI_ATTR_INT, FIELD(width), .i = 1},
    {.name = "sampling_ratio", .type = OI_ATTR_INT, FIELD(sampling_ratio)},
    {.name = "spatial_scale", .type = OI_ATTR_FLOAT, FIELD(scale), .f = 1},
    {0},
};
static const oi_attr_spec pool_attrs[] = {
    {.name = "pooled_shape", .type = OI_ATTR_INTS, FIELD(pooled_shape), .flags = OI_ATTR_REQUIRED},
    {.name = "spatial_scale", .type = OI_ATTR_FLOAT, FIELD(scale), .f = 1},
    {0},
};

const oi_op oi_op_RoiAlign = {
    .name = "RoiAlign", .domain = "", .since = 10, .newest = 22, .min_in = 3, .max_in = 3, .min_out = 1, .max_out = 1, .attrs = align_attrs,
    .attr_size = sizeof(roi_attr), .import = import_align, .infer = infer, .eval = eval,
};

const oi_op oi_op_MaxRoiPool = {
    .name = "MaxRoiPool", .domain = "", .since = 1, .newest = 22, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = pool_attrs,
    .attr_size = sizeof(roi_attr), .infer = infer, .eval = eval,
};
