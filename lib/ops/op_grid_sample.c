/* GridSample: an image of any rank read at the places that a grid names, between its pixels. */
#include "ops/op.h"

#include <math.h>
#include <string.h>

enum { LINEAR, NEAREST, CUBIC };
enum { ZEROS, BORDER, REFLECTION };
enum { AXES = OI_MAX_RANK - 2, TAPS = 4 };

typedef struct {
    int64_t align_corners, mode, padding_mode;
} grid_attr;

/* Until opset 19 the modes were named for two axes. */
static oi_status import(oi_import *im)
{
    const oi_raw_attr *mode = oi_import_find(im, "mode");
    if (!mode || mode->type != OI_RAW_STRING)
        return ONNX_INFER_OK;
    if (mode->slen == 8 && strncmp(mode->s, "bilinear", 8) == 0)
        return oi_import_set_string(im, "mode", "linear");
    if (mode->slen == 7 && strncmp(mode->s, "bicubic", 7) == 0)
        return oi_import_set_string(im, "mode", "cubic");
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *f = x->in[0], *grid = x->in[1];
    int32_t rank = f->shape.rank;
    if (rank < 0 || grid->shape.rank != rank) {
        OI_FAIL_IF(rank >= 0 && grid->shape.rank >= 0, ONNX_INFER_E_SHAPE_MISMATCH, "GridSample: the grid has rank %d, the input %d",
                   (int)grid->shape.rank, (int)rank);
        oi_infer_set_fresh(x, 0, f->dtype, rank < 0 ? grid->shape.rank : rank);
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(rank < 3, ONNX_INFER_E_SHAPE_MISMATCH, "GridSample: input 0 has rank %d, at least 3 is needed", (int)rank);
    oi_dim dims[OI_MAX_RANK] = {f->shape.dim[0], f->shape.dim[1]};
    for (int32_t i = 2; i < rank; i++)
        dims[i] = grid->shape.dim[i - 1];
    oi_infer_set(x, 0, f->dtype, rank, dims);
    return ONNX_INFER_OK;
}

/* The pixel that stands for place i of n: -1 for none. */
static int64_t pixel(const grid_attr *a, double i, int64_t n)
{
    double last = (double)(n - 1);
    if (i >= 0 && i <= last)
        return (int64_t)i;
    if (a->padding_mode == ZEROS || i != i)
        return -1;
    if (a->padding_mode == BORDER)
        return i < 0 ? 0 : n - 1;
    double low = a->align_corners ? 0 : -0.5, high = a->align_corners ? last : last + 0.5, range = high - low;
    if (range <= 0 || isinf(i))
        return 0;
    double beyond = i < low ? low - i : i > high ? i - high : 0, turns = floor(beyond / range), rest = beyond - turns * range;
    if (beyond > 0)
        i = (fmod(turns, 2) == 0) == (i < low) ? low + rest : high - rest;
    i = trunc(i);
    return i < 0 ? 0 : i > last ? n - 1 : (int64_t)i;
}

static double cubic(double x) /* Keys's kernel, alpha -0.75, at distance x */
{
    return x <= 1 ? ((1.25 * x - 2.25) * x) * x + 1 : ((-0.75 * x + 3.75) * x - 6) * x + 3;
}

/* The taps of one axis for a normalised place: how many, which pixels, what weights. */
static int32_t taps_of(const grid_attr *a, double place, int64_t n, int64_t *at, double *weight)
{
    double x = (double)(float)(a->align_corners ? (place + 1) / 2 * (double)(n - 1) : ((place + 1) * (double)n - 1) / 2);
    if (a->mode == NEAREST) {
        at[0] = pixel(a, rint(x), n);
        weight[0] = 1;
        return 1;
    }
    int32_t count = a->mode == CUBIC ? 4 : 2;
    double first = floor(x), part = x - first;
    for (int32_t i = 0; i < count; i++) {
        double step = a->mode == CUBIC ? i - 1 : i;
        at[i] = pixel(a, first + step, n);
        weight[i] = a->mode == CUBIC ? cubic(fabs(step - part)) : i ? part : 1 - part;
    }
    return count;
}

static oi_status eval(oi_eval *e)
{
    const grid_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *grid = oi_eval_in(e, 1);
    if (!x || x->dtype == ONNX_INFER_STRING)
        return oi_eval_bad_type(e, 0);
    if (!grid || !oi_dtype_is_float(grid->dtype))
        return oi_eval_bad_type(e, 1);
    /* Complex pixels are sampled part by part. */
    oi_dtype part = x->dtype == ONNX_INFER_COMPLEX64 ? ONNX_INFER_FLOAT : x->dtype == ONNX_INFER_COMPLEX128 ? ONNX_INFER_DOUBLE : x->dtype;
    int64_t parts = part == x->dtype ? 1 : 2;
    int32_t axes = x->rank - 2;
    OI_FAIL_IF(axes < 1 || grid->rank != x->rank || grid->dim[0] != x->dim[0] || grid->dim[grid->rank - 1] != axes, ONNX_INFER_E_SHAPE_MISMATCH,
               "GridSample: the grid does not fit input 0");
    int64_t dims[OI_MAX_RANK] = {x->dim[0], x->dim[1]}, pixels = oi_dims_count(axes, x->dim + 2), places = 1;
    for (int32_t i = 0; i < axes; i++) {
        dims[2 + i] = grid->dim[1 + i];
        places *= dims[2 + i];
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, dims, &y));
    OI_FAIL_IF(pixels == 0 && oi_tensor_count(y) > 0, ONNX_INFER_E_SHAPE_MISMATCH, "GridSample: input 0 has no pixels");
    for (int64_t p = 0; p < dims[0] * places; p++) {
        int64_t at[AXES][TAPS], n = p / places, index[AXES];
        double weight[AXES][TAPS];
        int32_t count[AXES], all = 1;
        if (p % 1024 == 0)
            OI_TRY(e->host->check(e));
        for (int32_t i = 0; i < axes; i++) {
            double place = oi_elem_get_double(grid->dtype, grid->data, (size_t)(p * axes + axes - 1 - i));
            count[i] = taps_of(a, place, x->dim[2 + i], at[i], weight[i]);
            all *= count[i];
        }
        for (int64_t c = 0; c < dims[1] * parts; c++) {
            int64_t plane = n * dims[1] + c / parts;
            double sum = 0;
            for (int32_t t = 0; t < all; t++) {
                int64_t from = 0;
                int32_t rest = t;
                double w = 1;
                for (int32_t i = axes; i-- > 0;) {
                    index[i] = at[i][rest % count[i]];
                    w *= weight[i][rest % count[i]];
                    rest /= count[i];
                }
                for (int32_t i = 0; i < axes && from >= 0; i++)
                    from = index[i] < 0 ? -1 : from * x->dim[2 + i] + index[i];
                if (from >= 0)
                    sum += w * oi_elem_get_double(part, x->data, (size_t)((plane * pixels + from) * parts + c % parts));
            }
            oi_elem_set_double(part, y->data, (size_t)((plane * places + p % places) * parts + c % parts), sum);
        }
    }
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {
    {.name = "align_corners", .type = OI_ATTR_INT, .offset = offsetof(grid_attr, align_corners)},
    {.name = "mode", .type = OI_ATTR_ENUM, .offset = offsetof(grid_attr, mode), .s = "linear|nearest|cubic"},
    {.name = "padding_mode", .type = OI_ATTR_ENUM, .offset = offsetof(grid_attr, padding_mode), .s = "zeros|border|reflection"},
    {0},
};

const oi_op oi_op_GridSample = {
    .name = "GridSample", .domain = "", .since = 16, .newest = 22, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(grid_attr), .import = import, .infer = infer, .eval = eval,
};
