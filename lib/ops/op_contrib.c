/* Operators of com.microsoft that are no combination of the standard's: Inverse, CropAndResize, NGramRepeatBlock. */
#include "ops/op.h"

#include <math.h>
#include <string.h>

static oi_status infer_same_as(oi_infer *x, uint32_t in)
{
    oi_infer_set_same(x, 0, in);
    return ONNX_INFER_OK;
}

/* --- Inverse --- */

static oi_status infer_inverse(oi_infer *x)
{
    return infer_same_as(x, 0);
}

/* Gauss and Jordan with pivots; a is [n][2n], the right half becomes the inverse. */
static void invert(double *a, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = c;
        for (int64_t r = c + 1; r < n; r++)
            pivot = fabs(a[r * 2 * n + c]) > fabs(a[pivot * 2 * n + c]) ? r : pivot;
        for (int64_t k = 0; k < 2 * n && pivot != c; k++) {
            double swap = a[c * 2 * n + k];
            a[c * 2 * n + k] = a[pivot * 2 * n + k];
            a[pivot * 2 * n + k] = swap;
        }
        double factor = 1 / a[c * 2 * n + c];
        for (int64_t k = 0; k < 2 * n; k++)
            a[c * 2 * n + k] *= factor;
        for (int64_t r = 0; r < n; r++) {
            double times = a[r * 2 * n + c];
            for (int64_t k = 0; k < 2 * n && r != c; k++)
                a[r * 2 * n + k] -= times * a[c * 2 * n + k];
        }
    }
}

static oi_status eval_inverse(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0);
    if (!x || !oi_dtype_is_float(x->dtype))
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(x->rank < 2 || x->dim[x->rank - 1] != x->dim[x->rank - 2], ONNX_INFER_E_SHAPE_MISMATCH,
               "Inverse: the last two axes are not of one length");
    int64_t n = x->dim[x->rank - 1], count = oi_dims_count(x->rank - 2, x->dim);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    if (count == 0 || n == 0)
        return ONNX_INFER_OK;
    double *a = oi_eval_scratch_array(e, (size_t)(n * n) * 2 + 1, sizeof *a);
    if (!a)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t m = 0; m < count; m++) {
        OI_TRY(e->host->check(e));
        for (int64_t i = 0; i < n * n; i++) {
            a[i / n * 2 * n + i % n] = oi_elem_get_double(x->dtype, x->data, (size_t)(m * n * n + i));
            a[i / n * 2 * n + n + i % n] = i / n == i % n;
        }
        invert(a, n);
        for (int64_t i = 0; i < n * n; i++)
            oi_elem_set_double(y->dtype, y->data, (size_t)(m * n * n + i), a[i / n * 2 * n + n + i % n]);
    }
    return ONNX_INFER_OK;
}

/* --- CropAndResize --- */

typedef struct {
    int64_t mode;
    float extrapolation_value;
} crop_attr;

enum { CROP_BILINEAR, CROP_NEAREST };

static oi_status infer_crop(oi_infer *x)
{
    const oi_shape *s = &x->in[0]->shape, *rois = &x->in[1]->shape;
    oi_dim size[2];
    oi_infer_set_fresh(x, 0, x->in[0]->dtype, 4);
    bool known = oi_infer_content(x, 3, size, 2) == 2;
    if (s->rank == 4 && rois->rank == 2)
        oi_infer_set(x, 0, x->in[0]->dtype, 4,
                     (oi_dim[]){rois->dim[0], s->dim[1], known ? size[0] : oi_dim_fresh(x->syms), known ? size[1] : oi_dim_fresh(x->syms)});
    return ONNX_INFER_OK;
}

/* Where element i of n along a crop from `from` to `to` (parts of the image) lies in an image of `size`. */
static double crop_place(double from, double to, int64_t size, int64_t i, int64_t n)
{
    double last = (double)(size - 1);
    return n > 1 ? from * last + (double)i * ((to - from) * last / (double)(n - 1)) : 0.5 * (from + to) * last;
}

static double crop_pixel(const crop_attr *a, const oi_tensor *x, int64_t plane, double v, double u)
{
    int64_t h = x->dim[2], w = x->dim[3];
    if (!(v >= 0 && v <= (double)(h - 1) && u >= 0 && u <= (double)(w - 1)))
        return (double)a->extrapolation_value;
    if (a->mode == CROP_NEAREST)
        return oi_elem_get_double(x->dtype, x->data, (size_t)((plane * h + (int64_t)round(v)) * w + (int64_t)round(u)));
    int64_t top = (int64_t)floor(v), bottom = (int64_t)ceil(v), left = (int64_t)floor(u), right = (int64_t)ceil(u);
    double p[4], dv = v - (double)top, du = u - (double)left;
    const int64_t row[4] = {top, top, bottom, bottom}, column[4] = {left, right, left, right};
    for (int i = 0; i < 4; i++)
        p[i] = oi_elem_get_double(x->dtype, x->data, (size_t)((plane * h + row[i]) * w + column[i]));
    double above = p[0] + (p[1] - p[0]) * du, below = p[2] + (p[3] - p[2]) * du;
    return above + (below - above) * dv;
}

typedef struct {
    const crop_attr *a;
    const oi_tensor *x, *rois, *image;
    oi_tensor *y;
} crop_job;

static oi_status crop_one(void *arg, size_t index)
{
    const crop_job *j = arg;
    int64_t roi = (int64_t)index, channels = j->x->dim[1], height = j->y->dim[2], width = j->y->dim[3];
    int64_t image = ((const int32_t *)j->image->data)[roi];
    double at[4];
    OI_FAIL_IF(image < 0 || image >= j->x->dim[0], ONNX_INFER_E_INVALID_ARGUMENT, "CropAndResize: region %lld is of image %lld of %lld",
               (long long)roi, (long long)image, (long long)j->x->dim[0]);
    for (int64_t i = 0; i < 4; i++)
        at[i] = oi_elem_get_double(j->rois->dtype, j->rois->data, (size_t)(roi * 4 + i));
    for (int64_t c = 0; c < channels; c++)
        for (int64_t v = 0; v < height; v++)
            for (int64_t u = 0; u < width; u++) {
                double value = crop_pixel(j->a, j->x, image * channels + c, crop_place(at[0], at[2], j->x->dim[2], v, height),
                                          crop_place(at[1], at[3], j->x->dim[3], u, width));
                oi_elem_set_double(j->y->dtype, j->y->data, (size_t)(((roi * channels + c) * height + v) * width + u), value);
            }
    return ONNX_INFER_OK;
}

static oi_status eval_crop(oi_eval *e)
{
    const oi_tensor *x = oi_eval_in(e, 0), *rois = oi_eval_in(e, 1), *image = oi_eval_in(e, 2), *size = oi_eval_in(e, 3);
    if (!x || !oi_dtype_is_float(x->dtype))
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(x->rank != 4 || !rois || rois->rank != 2 || rois->dim[1] != 4 || !oi_dtype_is_float(rois->dtype) || !image ||
                   image->dtype != ONNX_INFER_INT32 || oi_tensor_count(image) != rois->dim[0] || !size || size->dtype != ONNX_INFER_INT32 ||
                   oi_tensor_count(size) != 2,
               ONNX_INFER_E_SHAPE_MISMATCH, "CropAndResize: it takes images of rank 4, regions [n, 4], an int32 image of each, two int32 sizes");
    int64_t dims[4] = {rois->dim[0], x->dim[1], ((const int32_t *)size->data)[0], ((const int32_t *)size->data)[1]};
    OI_FAIL_IF(dims[2] < 1 || dims[3] < 1, ONNX_INFER_E_INVALID_ARGUMENT, "CropAndResize: crops of %lld x %lld", (long long)dims[2],
               (long long)dims[3]);
    crop_job j = {.a = e->attr, .x = x, .rois = rois, .image = image};
    OI_TRY(oi_eval_out(e, 0, x->dtype, 4, dims, &j.y));
    return e->host->parallel(e, (size_t)dims[0], crop_one, &j);
}

/* --- NGramRepeatBlock --- */

typedef struct {
    int64_t ngram_size;
} ngram_attr;

static oi_status infer_ngram(oi_infer *x)
{
    return infer_same_as(x, 1);
}

static oi_status eval_ngram(oi_eval *e)
{
    const oi_tensor *ids = oi_eval_in(e, 0), *scores = oi_eval_in(e, 1);
    int64_t size = ((const ngram_attr *)e->attr)->ngram_size;
    if (!ids || ids->dtype != ONNX_INFER_INT64 || !scores || !oi_dtype_is_float(scores->dtype))
        return oi_eval_bad_type(e, ids && ids->dtype == ONNX_INFER_INT64);
    OI_FAIL_IF(ids->rank != 2 || scores->rank != 2 || ids->dim[0] != scores->dim[0] || size < 1, ONNX_INFER_E_SHAPE_MISMATCH,
               "NGramRepeatBlock: tokens and scores need rank 2 and the same samples, ngram_size at least 1");
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, scores->dtype, 2, scores->dim, &y));
    if (scores->bytes)
        memcpy(y->data, scores->data, scores->bytes);
    int64_t length = ids->dim[1], words = scores->dim[1], before = size - 1;
    for (int64_t b = 0; b < ids->dim[0]; b++) {
        const int64_t *token = (const int64_t *)ids->data + b * length;
        for (int64_t i = 0; i + size <= length; i++) {
            if (before && memcmp(token + i, token + length - before, (size_t)before * sizeof *token) != 0)
                continue;
            int64_t next = token[i + before];
            OI_FAIL_IF(next < 0 || next >= words, ONNX_INFER_E_INVALID_ARGUMENT, "NGramRepeatBlock: token %lld of %lld", (long long)next,
                       (long long)words);
            oi_elem_set_double(y->dtype, y->data, (size_t)(b * words + next), -INFINITY);
        }
    }
    return ONNX_INFER_OK;
}

#define MS(label, ins) .name = label, .domain = "com.microsoft", .since = 1, .newest = 1, .min_in = ins, .max_in = ins, .min_out = 1, .max_out = 1

static const oi_attr_spec crop_attrs[] = {
    {.name = "extrapolation_value", .type = OI_ATTR_FLOAT, .offset = offsetof(crop_attr, extrapolation_value)},
    {.name = "mode", .type = OI_ATTR_ENUM, .offset = offsetof(crop_attr, mode), .s = "bilinear|nearest"}, {0}};
static const oi_attr_spec ngram_attrs[] = {
    {.name = "ngram_size", .type = OI_ATTR_INT, .offset = offsetof(ngram_attr, ngram_size), .flags = OI_ATTR_REQUIRED}, {0}};

const oi_op oi_op_ms_Inverse = {MS("Inverse", 1), .infer = infer_inverse, .eval = eval_inverse};
const oi_op oi_op_ms_CropAndResize = {
    MS("CropAndResize", 4), .attrs = crop_attrs, .attr_size = sizeof(crop_attr), .infer = infer_crop, .eval = eval_crop};
const oi_op oi_op_ms_NGramRepeatBlock = {
    MS("NGramRepeatBlock", 2), .attrs = ngram_attrs, .attr_size = sizeof(ngram_attr), .infer = infer_ngram, .eval = eval_ngram};
