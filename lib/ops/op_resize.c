/* Resize (and Upsample): the reference, separable per axis, and the fast path for float32. */
#include "ops/op.h"

#include "base/checked.h"
#include "ops/strided.h"
#include "ops/widen.h"

#include <math.h>
#include <string.h>

typedef enum { NEAREST, LINEAR, CUBIC } resize_mode;
typedef enum { HALF_PIXEL, HALF_PIXEL_SYMMETRIC, PYTORCH_HALF_PIXEL, ALIGN_CORNERS, ASYMMETRIC, TF_CROP, TF_HALF_PIXEL } transform;
typedef enum { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL } nearest_mode;
typedef enum { STRETCH, NOT_LARGER, NOT_SMALLER } policy;

typedef struct {
    int64_t antialias, mode, coordinate, nearest, exclude_outside, policy;
    float cubic_a, extrapolation;
    oi_ints axes;
} resize_attr;

#define OFFSET(field) ((uint16_t)offsetof(resize_attr, field))
static const oi_attr_spec attrs[] = {
    {.name = "antialias", .type = OI_ATTR_INT, .offset = OFFSET(antialias)},
    {.name = "axes", .type = OI_ATTR_INTS, .offset = OFFSET(axes)},
    {.name = "coordinate_transformation_mode", .type = OI_ATTR_ENUM, .offset = OFFSET(coordinate),
     .s = "half_pixel|half_pixel_symmetric|pytorch_half_pixel|align_corners|asymmetric|tf_crop_and_resize|tf_half_pixel_for_nn"},
    {.name = "cubic_coeff_a", .type = OI_ATTR_FLOAT, .offset = OFFSET(cubic_a), .f = -0.75f},
    {.name = "exclude_outside", .type = OI_ATTR_INT, .offset = OFFSET(exclude_outside)},
    {.name = "extrapolation_value", .type = OI_ATTR_FLOAT, .offset = OFFSET(extrapolation)},
    {.name = "keep_aspect_ratio_policy", .type = OI_ATTR_ENUM, .offset = OFFSET(policy), .s = "stretch|not_larger|not_smaller"},
    {.name = "mode", .type = OI_ATTR_ENUM, .offset = OFFSET(mode), .s = "nearest|linear|cubic"},
    {.name = "nearest_mode", .type = OI_ATTR_ENUM, .offset = OFFSET(nearest), .s = "round_prefer_floor|round_prefer_ceil|floor|ceil"},
    {0},
};

/* Opset 10 has X, scales and the semantics of asymmetric coordinates with floor. */
static oi_status import_resize(oi_import *im)
{
    if (im->opset >= 11)
        return ONNX_INFER_OK;
    if (im->nin >= 2)
        OI_TRY(oi_import_set_input(im, 2, im->in[1]));
    if (im->nin >= 2)
        im->in[1] = OI_NONE;
    OI_TRY(oi_import_set_string(im, "coordinate_transformation_mode", "asymmetric"));
    return oi_import_set_string(im, "nearest_mode", "floor");
}

/* Upsample: opset 1 has height_scale and width_scale, opset 7 scales, opset 9 an input. It becomes Resize of opset 10. */
static oi_status import_upsample(oi_import *im)
{
    oi_raw_attr *mode = oi_import_find(im, "mode"), *scales = oi_import_find(im, "scales");
    if (mode && mode->s && (strcmp(mode->s, "bilinear") == 0))
        mode->s = "linear", mode->slen = 6;
    float values[OI_MAX_RANK] = {1, 1, 1, 1};
    uint32_t n = 0;
    if (im->opset < 7) {
        oi_raw_attr *h = oi_import_find(im, "height_scale"), *w = oi_import_find(im, "width_scale");
        values[2] = h ? h->f : 1;
        values[3] = w ? w->f : 1;
        n = 4;
        oi_import_drop(im, "height_scale");
        oi_import_drop(im, "width_scale");
    } else if (scales && scales->floats.n <= OI_MAX_RANK) {
        n = scales->floats.n;
        memcpy(values, scales->floats.at, n * sizeof *values);
        oi_import_drop(im, "scales");
    }
    if (n) {
        oi_tensor t;
        int64_t dims = n;
        OI_TRY(oi_tensor_create(oi_arena_alloc_of(im->g->arena), ONNX_INFER_FLOAT, 1, &dims, &t));
        memcpy(t.data, values, n * sizeof *values);
        oi_value_id v;
        OI_TRY(oi_graph_add_const(im->g, NULL, &t, &v));
        OI_TRY(oi_import_set_input(im, 1, v));
    }
    const oi_op *resize = oi_op_find("", "Resize");
    im->op = resize;
    im->opset = 10;
    return import_resize(im);
}

/* The axis (of the input) that entry i of scales, sizes or roi is for. */
static oi_status axis_of(const resize_attr *a, int32_t rank, int32_t i, int32_t *axis)
{
    int64_t at = a->axes.at ? a->axes.at[i] : i;
    at += at < 0 ? rank : 0;
    OI_FAIL_IF(at < 0 || at >= rank, ONNX_INFER_E_INVALID_MODEL, "axes[%d] is outside rank %d", i, rank);
    *axis = (int32_t)at;
    return ONNX_INFER_OK;
}

/* Sizes and exact scales of every axis. */
typedef struct {
    int32_t rank;
    int64_t in[OI_MAX_RANK], out[OI_MAX_RANK];
    double scale[OI_MAX_RANK], roi_begin[OI_MAX_RANK], roi_end[OI_MAX_RANK];
} resize_shape;

static oi_status resolve(const resize_attr *a, const oi_tensor *x, const oi_tensor *roi, const oi_tensor *scales,
                         const oi_tensor *sizes, resize_shape *s)
{
    const oi_tensor *by = sizes && oi_tensor_count(sizes) ? sizes : scales;
    int64_t n = a->axes.at ? (int64_t)a->axes.n : x->rank;
    memset(s, 0, sizeof *s);
    OI_FAIL_IF(!by || oi_tensor_count(by) != n, ONNX_INFER_E_INVALID_MODEL, "scales or sizes must have %lld elements",
               (long long)n);
    s->rank = x->rank;
    for (int32_t d = 0; d < x->rank; d++) {
        s->in[d] = s->out[d] = x->dim[d];
        s->scale[d] = 1;
        s->roi_end[d] = 1;
    }
    double best = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t d = 0;
        OI_TRY(axis_of(a, x->rank, i, &d));
        double v = oi_elem_get_double(by->dtype, by->data, (size_t)i);
        OI_FAIL_IF(!(v >= 0) || v > 1e9 || (by == scales && v == 0), ONNX_INFER_E_INVALID_MODEL, "%s[%d] is %g",
                   by == sizes ? "sizes" : "scales", i, v);
        if (by == sizes) {
            s->out[d] = (int64_t)v;
            s->scale[d] = s->in[d] ? v / (double)s->in[d] : 1;
            bool better = a->policy == NOT_LARGER ? s->scale[d] < best : s->scale[d] > best;
            best = i == 0 || better ? s->scale[d] : best;
        } else {
            s->scale[d] = v;
            s->out[d] = (int64_t)floor((double)s->in[d] * v);
        }
        if (a->coordinate == TF_CROP && roi && oi_tensor_count(roi) == 2 * n) {
            s->roi_begin[d] = oi_elem_get_double(roi->dtype, roi->data, (size_t)i);
            s->roi_end[d] = oi_elem_get_double(roi->dtype, roi->data, (size_t)(n + i));
            if (by == scales)
                s->out[d] = (int64_t)floor((double)s->in[d] * (s->roi_end[d] - s->roi_begin[d]) * v);
        }
    }
    for (int32_t i = 0; i < n && by == sizes && a->policy != STRETCH; i++) {
        int32_t d = 0;
        OI_TRY(axis_of(a, x->rank, i, &d));
        s->scale[d] = best;
        s->out[d] = (int64_t)floor(best * (double)s->in[d] + 0.5);
    }
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const oi_fact *in = x->in[0], *roi = oi_infer_in(x, 1), *scales = oi_infer_in(x, 2), *sizes = oi_infer_in(x, 3);
    const resize_attr *a = x->attr;
    int32_t rank = in->shape.rank, n;
    oi_infer_set_fresh(x, 0, in->dtype, rank);
    if (rank < 0)
        return ONNX_INFER_OK;
    oi_tensor shape;
    int64_t dims[OI_MAX_RANK];
    bool known = oi_fact_dims(in, &n, dims) && (!sizes || sizes->konst) && (!scales || scales->konst) &&
                 (!roi || roi->konst || a->coordinate != TF_CROP);
    if (known) {
        resize_shape s;
        OI_TRY(oi_tensor_describe(&shape, in->dtype ? in->dtype : ONNX_INFER_FLOAT, rank, dims));
        OI_TRY(resolve(a, &shape, roi ? roi->konst : NULL, scales ? scales->konst : NULL, sizes ? sizes->konst : NULL, &s));
        oi_infer_set(x, 0, in->dtype, rank, s.out);
        return ONNX_INFER_OK;
    }
    oi_dim out[OI_MAX_RANK], want[OI_MAX_RANK];
    memcpy(out, in->shape.dim, sizeof out);
    int32_t count = a->axes.at ? (int32_t)a->axes.n : rank;
    n = -1;
    if (sizes)
        OI_TRY(oi_infer_ints(x, 3, want, OI_MAX_RANK, &n));
    for (int32_t i = 0; i < count; i++) {
        int32_t d = 0;
        OI_TRY(axis_of(a, rank, i, &d));
        double v = scales && scales->konst && oi_tensor_count(scales->konst) > i
                       ? oi_elem_get_double(scales->konst->dtype, scales->konst->data, (size_t)i) : 0;
        if (n == count && a->policy == STRETCH)
            out[d] = want[i];
        else if (v >= 1 && v == floor(v) && v < 1e9)
            out[d] = oi_dim_mul(x->syms, out[d], (int64_t)v);
        else
            out[d] = oi_dim_fresh(x->syms);
    }
    oi_infer_set(x, 0, in->dtype, rank, out);
    return ONNX_INFER_OK;
}

/* The position in the input that output position o of an axis comes from (the standard's table of modes). */
static double position(const resize_attr *a, const resize_shape *s, int32_t d, int64_t o)
{
    double in = (double)s->in[d], out = (double)s->out[d], x = (double)o, scale = s->scale[d], resized = in * scale;
    switch ((transform)a->coordinate) {
    case HALF_PIXEL: return (x + 0.5) / scale - 0.5;
    case HALF_PIXEL_SYMMETRIC: {
        double adjustment = out / resized, centre = in / 2, offset = centre * (1 - adjustment);
        return offset + (x + 0.5) / scale - 0.5;
    }
    case PYTORCH_HALF_PIXEL: return out > 1 ? (x + 0.5) / scale - 0.5 : 0;
    case ALIGN_CORNERS: return resized != 1 ? x * (in - 1) / (resized - 1) : 0; /* resized: not rounded, as the cases ask */
    case ASYMMETRIC: return x / scale;
    case TF_HALF_PIXEL: return (x + 0.5) / scale;
    default:
        if (out > 1)
            return s->roi_begin[d] * (in - 1) + x * (s->roi_end[d] - s->roi_begin[d]) * (in - 1) / (out - 1);
        return 0.5 * (s->roi_begin[d] + s->roi_end[d]) * (in - 1);
    }
}

static double nearest_of(nearest_mode mode, double x)
{
    switch (mode) {
    case ROUND_PREFER_FLOOR: return x - floor(x) == 0.5 ? floor(x) : floor(x + 0.5);
    case ROUND_PREFER_CEIL: return floor(x + 0.5);
    case FLOOR: return floor(x);
    default: return ceil(x);
    }
}

static double cubic_weight(double a, double x)
{
    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Output o along an axis is the sum over k < taps of weight[o * taps + k] * input[index[o * taps + k]]. An output whose
 * position lies outside the input (tf_crop_and_resize) has index -1: the extrapolation value. */
typedef struct {
    int64_t taps;
    int64_t *index;
    double *weight;
    bool identity;
} axis_taps;

static int64_t tap_count(const resize_attr *a, double scale)
{
    if (a->mode == NEAREST)
        return 1;
    double support = a->mode == LINEAR ? 1 : 2;
    if (a->antialias && scale < 1)
        support /= scale;
    return 2 * (int64_t)ceil(support) + (a->antialias && scale < 1 ? 2 : 0);
}

static void fill_taps(const resize_attr *a, const resize_shape *s, int32_t d, axis_taps *t)
{
    bool shrink = a->antialias && s->scale[d] < 1;
    double filter = shrink ? s->scale[d] : 1;
    t->identity = s->in[d] == s->out[d] && s->scale[d] == 1 && a->coordinate != TF_CROP;
    for (int64_t o = 0; o < s->out[d]; o++) {
        int64_t *index = t->index + o * t->taps;
        double *weight = t->weight + o * t->taps, x = position(a, s, d, o), sum = 0;
        if (a->coordinate == TF_CROP && (x < 0 || x > (double)(s->in[d] - 1))) {
            for (int64_t k = 0; k < t->taps; k++)
                index[k] = -1;
            continue;
        }
        if (a->mode == NEAREST) {
            double at = nearest_of((nearest_mode)a->nearest, x);
            index[0] = at < 0 ? 0 : at > (double)(s->in[d] - 1) ? s->in[d] - 1 : (int64_t)at;
            weight[0] = 1;
            continue;
        }
        int64_t first = (int64_t)floor(x) - t->taps / 2 + 1;
        for (int64_t k = 0; k < t->taps; k++) {
            double distance = (x - (double)(first + k)) * filter;
            double v = a->mode == LINEAR ? fmax(0, 1 - fabs(distance)) : cubic_weight((double)a->cubic_a, distance);
            bool outside = first + k < 0 || first + k >= s->in[d];
            weight[k] = outside && a->exclude_outside ? 0 : v;
            index[k] = first + k < 0 ? 0 : first + k >= s->in[d] ? s->in[d] - 1 : first + k;
            sum += weight[k];
        }
        for (int64_t k = 0; (a->exclude_outside || shrink) && sum != 0 && k < t->taps; k++)
            weight[k] /= sum;
    }
}

/* One axis after the other, outermost first, in double: [outer][in][inner] -> [outer][out][inner]. */
static oi_status apply_axis(oi_eval *e, const axis_taps *t, int64_t outer, int64_t in, int64_t out, int64_t inner, const double *x, double *y,
                       double extrapolation)
{
    int64_t done = 0;
    for (int64_t u = 0; u < outer; u++) {
        for (int64_t o = 0; o < out; o++) {
            OI_TRY(oi_eval_check(e, inner * (t->taps + 1) + 8, &done));
            double *row = y + (u * out + o) * inner;
            const int64_t *index = t->index + o * t->taps;
            for (int64_t i = 0; i < inner; i++)
                row[i] = index[0] < 0 ? extrapolation : 0;
            for (int64_t k = 0; k < t->taps && index[0] >= 0; k++) {
                const double *from = x + (u * in + index[k]) * inner, w = t->weight[o * t->taps + k];
                if (w != 0) {
                    for (int64_t i = 0; i < inner; i++)
                        row[i] += w * from[i];
                }
            }
        }
    }
    return ONNX_INFER_OK;
}

static oi_status make_taps(const resize_attr *a, const resize_shape *s, int32_t d, void *(*mem)(void *, size_t), void *host,
                           axis_taps *t)
{
    size_t n;
    t->taps = tap_count(a, s->scale[d]);
    OI_FAIL_IF(!oi_mul_size((size_t)s->out[d] + 1, (size_t)t->taps, &n) || n > SIZE_MAX / 16, ONNX_INFER_E_LIMIT,
               "axis %d: too many filter taps", d);
    t->index = mem(host, n * sizeof *t->index);
    t->weight = mem(host, n * sizeof *t->weight);
    if (!t->index || !t->weight)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    fill_taps(a, s, d, t);
    return ONNX_INFER_OK;
}

static void *scratch(void *e, size_t bytes)
{
    return oi_eval_scratch(e, bytes);
}

/* Nearest needs no arithmetic: elements of any type are picked. */
static oi_status eval_nearest(oi_eval *e, const resize_attr *a, const resize_shape *s, const oi_tensor *x, oi_tensor *y)
{
    axis_taps taps[OI_MAX_RANK];
    oi_strided from = oi_strided_dense(x->rank, x->dim);
    int64_t at[OI_MAX_RANK] = {0};
    for (int32_t d = 0; d < s->rank; d++)
        OI_TRY(make_taps(a, s, d, scratch, e, &taps[d]));
    size_t n = (size_t)oi_tensor_count(y);
    int64_t done = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t source = 0;
        OI_TRY(oi_eval_check(e, 8, &done));
        bool outside = false;
        for (int32_t d = 0; d < s->rank; d++) {
            outside = outside || taps[d].index[at[d]] < 0;
            source += taps[d].index[at[d]] * from.stride[d];
        }
        if (outside)
            oi_elem_set_double(y->dtype, y->data, i, (double)a->extrapolation);
        else
            OI_TRY(oi_copy_element(e->alloc, x, (size_t)source, y, i));
        for (int32_t d = s->rank - 1; d >= 0 && ++at[d] == s->out[d]; d--)
            at[d] = 0;
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const resize_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    resize_shape s;
    oi_tensor *y;
    OI_TRY(resolve(a, x, oi_eval_in(e, 1), oi_eval_in(e, 2), oi_eval_in(e, 3), &s));
    OI_TRY(oi_eval_out(e, 0, x->dtype, s.rank, s.out, &y));
    if (oi_tensor_count(y) == 0)
        return ONNX_INFER_OK;
    OI_FAIL_IF(oi_tensor_count(x) == 0, ONNX_INFER_E_SHAPE_MISMATCH, "nothing to resize: input 0 is empty");
    if (a->mode == NEAREST)
        return eval_nearest(e, a, &s, x, y);
    if (x->dtype == ONNX_INFER_STRING || oi_dtype_is_complex(x->dtype))
        return oi_eval_bad_type(e, 0);
    size_t n = (size_t)oi_tensor_count(x);
    double *from = oi_eval_scratch_array(e, n, sizeof *from), *to = from;
    if (!from)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    int64_t done = 0;
    for (size_t i = 0; i < n; i++) {
        OI_TRY(oi_eval_check(e, 2, &done));
        from[i] = oi_elem_get_double(x->dtype, x->data, i);
    }
    int64_t dims[OI_MAX_RANK];
    memcpy(dims, s.in, sizeof dims);
    for (int32_t d = 0; d < s.rank; d++) {
        axis_taps t;
        OI_TRY(make_taps(a, &s, d, scratch, e, &t));
        if (t.identity)
            continue;
        int64_t outer = oi_dims_count(d, dims), inner = oi_dims_count(s.rank - d - 1, dims + d + 1);
        to = oi_eval_scratch_array(e, (size_t)(outer * s.out[d] * inner), sizeof *to);
        if (!to)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        OI_TRY(apply_axis(e, &t, outer, s.in[d], s.out[d], inner, from, to, (double)a->extrapolation));
        dims[d] = s.out[d];
        from = to;
    }
    n = (size_t)oi_tensor_count(y);
    bool integer = oi_dtype_is_int(y->dtype);
    for (size_t i = 0; i < n; i++) {
        OI_TRY(oi_eval_check(e, 2, &done));
        oi_elem_set_double(y->dtype, y->data, i, integer ? nearbyint(to[i]) : to[i]);
    }
    return ONNX_INFER_OK;
}

/* --- fast path: float32, two neighbouring axes resized, at most two taps each ------------------------------------------------ */

typedef struct {
    int64_t planes, in_h, in_w, out_h, out_w, taps, lanes; /* lanes: floats behind the two axes (a blocked layout) */
    const int64_t *y_index, *x_index;
    const float *y_weight, *x_weight;
    int64_t rows_per_task;
} resize_state;

static void *arena_mem(void *arena, size_t bytes)
{
    return oi_arena_mem(arena, bytes);
}

static const float *narrow(oi_arena *arena, const double *w, size_t n)
{
    float *f = oi_arena_array(arena, n + 1, sizeof *f);
    for (size_t i = 0; f && i < n; i++)
        f[i] = (float)w[i];
    return f;
}

static void nearest_row(const resize_state *s, const float *src, float *dst)
{
    for (int64_t o = 0; o < s->out_w; o++)
        memcpy(dst + o * s->lanes, src + s->x_index[o] * s->lanes, (size_t)s->lanes * sizeof *dst);
}

static void linear_row(const resize_state *s, const float *above, const float *below, float wa, float wb, float *dst)
{
    for (int64_t o = 0; o < s->out_w; o++) {
        int64_t l = s->x_index[2 * o] * s->lanes, r = s->x_index[2 * o + 1] * s->lanes;
        float wl = s->x_weight[2 * o], wr = s->x_weight[2 * o + 1];
        for (int64_t i = 0; i < s->lanes; i++)
            dst[o * s->lanes + i] = wa * (wl * above[l + i] + wr * above[r + i]) + wb * (wl * below[l + i] + wr * below[r + i]);
    }
}

static oi_status run(const oi_run *r, uint32_t task)
{
    const resize_state *s = r->step->state;
    int64_t last = (task + 1) * s->rows_per_task, in_row = s->in_w * s->lanes, out_row = s->out_w * s->lanes;
    if (last > s->planes * s->out_h)
        last = s->planes * s->out_h;
    for (int64_t row = task * s->rows_per_task; row < last; row++) {
        int64_t plane = row / s->out_h, o = row % s->out_h;
        const float *src = (const float *)r->in[0] + plane * s->in_h * in_row;
        float *dst = (float *)r->out[0] + row * out_row;
        if (s->taps == 1)
            nearest_row(s, src + s->y_index[o] * in_row, dst);
        else
            linear_row(s, src + s->y_index[2 * o] * in_row, src + s->y_index[2 * o + 1] * in_row, s->y_weight[2 * o],
                       s->y_weight[2 * o + 1], dst);
    }
    return ONNX_INFER_OK;
}

enum { FLOATS_PER_TASK = 1 << 13 };

static oi_status prepare(oi_prepare *p)
{
    oi_step *step = p->step;
    const resize_attr *a = step->attr;
    const oi_tensor *x = &step->in[0], *y = &step->out[0], *by[3] = {NULL, NULL, NULL};
    for (uint32_t i = 1; i < step->nin; i++) {
        by[i - 1] = step->in[i].dtype ? &step->in[i] : NULL;
        if (by[i - 1] && !by[i - 1]->data && oi_tensor_count(by[i - 1]))
            return ONNX_INFER_OK;
    }
    resize_shape s;
    OI_TRY(resolve(a, x, by[0], by[1], by[2], &s));
    bool linear = a->mode == LINEAR && !a->antialias, nearest = a->mode == NEAREST;
    if (x->dtype != ONNX_INFER_FLOAT || x->rank < 2 || (!linear && !nearest) || a->coordinate == TF_CROP || a->exclude_outside ||
        oi_tensor_count(y) == 0)
        return ONNX_INFER_OK;
    int32_t last = x->rank - 1;
    while (last > 1 && s.in[last] == s.out[last] && s.scale[last] == 1)
        last--;
    int32_t h = last - 1;
    for (int32_t d = 0; d < h; d++) {
        if (s.in[d] != s.out[d])
            return ONNX_INFER_OK;
    }
    resize_state *state = oi_arena_mem(p->arena, sizeof *state);
    axis_taps rows, columns;
    if (!state)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(make_taps(a, &s, h, arena_mem, p->arena, &rows));
    OI_TRY(make_taps(a, &s, h + 1, arena_mem, p->arena, &columns));
    *state = (resize_state){.planes = oi_dims_count(h, s.in), .in_h = s.in[h], .in_w = s.in[h + 1], .out_h = s.out[h],
                            .out_w = s.out[h + 1], .taps = rows.taps, .y_index = rows.index,
                            .x_index = columns.index, .lanes = oi_dims_count(x->rank - last - 1, s.in + last + 1)};
    state->y_weight = narrow(p->arena, rows.weight, (size_t)(rows.taps * s.out[h]));
    state->x_weight = narrow(p->arena, columns.weight, (size_t)(columns.taps * s.out[h + 1]));
    if (!state->y_weight || !state->x_weight)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    int64_t row = state->out_w * state->lanes;
    state->rows_per_task = row < FLOATS_PER_TASK ? FLOATS_PER_TASK / row : 1;
    step->state = state;
    step->run = run;
    step->n_tasks = (uint32_t)((state->planes * state->out_h + state->rows_per_task - 1) / state->rows_per_task);
    step->kernel = nearest ? "resize nearest" : "resize linear";
    return ONNX_INFER_OK;
}

const oi_op oi_op_Resize = {
    .name = "Resize", .domain = "", .since = 10, .newest = 19, .min_in = 1, .max_in = 4, .min_out = 1, .max_out = 1,
    .attrs = attrs, .attr_size = sizeof(resize_attr), .import = import_resize, .infer = infer, .eval = eval, .prepare = prepare,
};

const oi_op oi_op_Upsample = {
    .name = "Upsample", .domain = "", .since = 1, .newest = 10, .deprecated = 10, .min_in = 1, .max_in = 2, .min_out = 1,
    .max_out = 1, .attrs = attrs, .attr_size = sizeof(resize_attr), .import = import_upsample, .infer = infer, .eval = eval,
};
