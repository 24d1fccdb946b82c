/* AffineGrid: where the pixels of an image lie after an affine map, for GridSample. */
#include "ops/op.h"

typedef struct {
    int64_t align_corners;
} affine_attr;

static oi_status infer(oi_infer *x)
{
    const oi_fact *theta = x->in[0];
    oi_dim size[5], dims[5];
    int32_t n = oi_infer_content(x, 1, size, 5);
    if (n != 4 && n != 5) {
        OI_FAIL_IF(n >= 0, ONNX_INFER_E_SHAPE_MISMATCH, "AffineGrid: input 1 has %d elements, expected 4 or 5", (int)n);
        oi_infer_set_fresh(x, 0, theta->dtype, -1);
        return ONNX_INFER_OK;
    }
    dims[0] = size[0];
    for (int32_t i = 2; i < n; i++)
        dims[i - 1] = size[i];
    dims[n - 1] = n - 2;
    oi_infer_set(x, 0, theta->dtype, n, dims);
    return ONNX_INFER_OK;
}

/* Position i of n along an axis from -1 to 1: of pixel centres, or of pixels whose outer edges are -1 and 1. A single
 * pixel is in the middle. */
static double place(const affine_attr *a, int64_t i, int64_t n)
{
    if (n == 1)
        return 0;
    return a->align_corners ? -1 + 2 * (double)i / (double)(n - 1) : -1 + (2 * (double)i + 1) / (double)n;
}

static oi_status eval(oi_eval *e)
{
    const affine_attr *a = e->attr;
    const oi_tensor *theta = oi_eval_in(e, 0), *size = oi_eval_in(e, 1);
    if (!theta || !oi_dtype_is_float(theta->dtype))
        return oi_eval_bad_type(e, 0);
    if (!size || size->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 1);
    int64_t n = oi_tensor_count(size), axes = n - 2, columns = axes + 1, dims[5], pixels;
    const int64_t *v = size->data;
    OI_FAIL_IF((n != 4 && n != 5) || theta->rank != 3 || theta->dim[0] != v[0] || theta->dim[1] != axes || theta->dim[2] != columns,
               ONNX_INFER_E_SHAPE_MISMATCH, "AffineGrid: input 0 must be N x 2 x 3 or N x 3 x 4 for a size of 4 or 5 numbers");
    for (int64_t i = 2; i < n; i++)
        dims[i - 1] = v[i];
    dims[0] = v[0];
    dims[n - 1] = axes;
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, theta->dtype, (int32_t)n, dims, &y));
    pixels = oi_dims_count((int32_t)axes, v + 2);
    for (int64_t p = 0; p < v[0] * pixels; p++) {
        double at[4] = {0, 0, 0, 1};
        int64_t rest = p % pixels, map = p / pixels * axes * columns;
        if (p % 4096 == 0)
            OI_TRY(e->host->check(e));
        for (int64_t k = 0; k < axes; k++) { /* x, the last axis, comes first */
            at[k] = place(a, rest % v[n - 1 - k], v[n - 1 - k]);
            rest /= v[n - 1 - k];
        }
        at[axes] = 1;
        for (int64_t r = 0; r < axes; r++) {
            double sum = 0;
            for (int64_t k = 0; k < columns; k++)
                sum += oi_elem_get_double(theta->dtype, theta->data, (size_t)(map + r * columns + k)) * at[k];
            oi_elem_set_double(y->dtype, y->data, (size_t)(p * axes + r), sum);
        }
    }
    return ONNX_INFER_OK;
}

static const oi_attr_spec attrs[] = {
    {.name = "align_corners", .type = OI_ATTR_INT, .offset = offsetof(affine_attr, align_corners)},
    {0},
};

const oi_op oi_op_AffineGrid = {
    .name = "AffineGrid", .domain = "", .since = 20, .newest = 20, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = attrs,
    .attr_size = sizeof(affine_attr), .infer = infer, .eval = eval,
};
