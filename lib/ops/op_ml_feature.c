/* Features of ai.onnx.ml that are numbers: ArrayFeatureExtractor, Binarizer, FeatureVectorizer, Imputer, Normalizer, Scaler. */
#include "ops/ml_common.h"
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

typedef struct {
    float threshold, replaced_float;
    int64_t replaced_int, norm;
    oi_floats imputed_floats, offset, scale;
    oi_ints imputed_ints, dimensions;
} feature_attr;

#define OFFSET(field) ((uint16_t)offsetof(feature_attr, field))

static oi_status infer_same(oi_infer *x)
{
    OI_TRY(oi_infer_need_dtype(x, 0, oi_ml_numbers, 4));
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

static oi_status infer_float(oi_infer *x)
{
    OI_TRY(oi_infer_need_dtype(x, 0, oi_ml_numbers, 4));
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, x->in[0]->shape.rank, x->in[0]->shape.dim);
    return ONNX_INFER_OK;
}

static oi_status in_numbers(const oi_eval *e, const oi_tensor **out)
{
    *out = oi_eval_in(e, 0);
    for (size_t i = 0; *out && i < 4; i++)
        if ((*out)->dtype == oi_ml_numbers[i])
            return ONNX_INFER_OK;
    return oi_eval_bad_type(e, 0);
}

/* --- ArrayFeatureExtractor --- */

static const oi_dtype extractor_types[] = {ONNX_INFER_FLOAT, ONNX_INFER_DOUBLE, ONNX_INFER_INT64, ONNX_INFER_INT32, ONNX_INFER_STRING};

static oi_status infer_extract(oi_infer *x)
{
    static const oi_dtype index = ONNX_INFER_INT64;
    OI_TRY(oi_infer_need_dtype(x, 0, extractor_types, sizeof extractor_types / sizeof *extractor_types));
    OI_TRY(oi_infer_need_dtype(x, 1, &index, 1));
    oi_shape s = x->in[0]->shape;
    const oi_shape *at = &x->in[1]->shape;
    OI_FAIL_IF(s.rank == 0, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 is a scalar, it needs an axis");
    if (s.rank == 1) {
        s.rank = 2;
        s.dim[0] = 1;
    }
    if (s.rank > 0) {
        oi_dim n = at->rank < 0 ? oi_dim_fresh(x->syms) : 1;
        for (int32_t i = 0; i < at->rank; i++)
            n = oi_dim_mul(x->syms, n, at->dim[i]);
        s.dim[s.rank - 1] = n;
    }
    oi_infer_set(x, 0, x->in[0]->dtype, s.rank, s.dim);
    return ONNX_INFER_OK;
}

static oi_status eval_extract(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0), *at = oi_eval_in(e, 1);
    if (!t || !at || at->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, t ? 1 : 0);
    OI_FAIL_IF(t->rank == 0, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 is a scalar, it needs an axis");
    int64_t dims[OI_MAX_RANK] = {1}, picks = oi_tensor_count(at), cols = t->dim[t->rank - 1];
    int32_t rank = t->rank == 1 ? 2 : t->rank;
    if (t->rank > 1)
        memcpy(dims, t->dim, (size_t)t->rank * sizeof *dims);
    dims[rank - 1] = picks;
    const int64_t *index = at->data;
    for (int64_t i = 0; i < picks; i++)
        OI_FAIL_IF(index[i] < 0 || index[i] >= cols, ONNX_INFER_E_INVALID_ARGUMENT, "index %lld is outside of %lld columns",
                   (long long)index[i], (long long)cols);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, t->dtype, rank, dims, &y));
    size_t size = oi_dtype_size(t->dtype);
    int64_t rows = oi_dims_count(rank - 1, dims);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < picks; i++) {
            size_t to = (size_t)(r * picks + i), from = (size_t)(r * cols + index[i]);
            const oi_string *s = t->data;
            if (t->dtype == ONNX_INFER_STRING)
                OI_TRY(oi_tensor_set_string(e->alloc, y, to, s[from].text, s[from].n));
            else
                memcpy((char *)y->data + to * size, (const char *)t->data + from * size, size);
        }
    return ONNX_INFER_OK;
}

/* --- Binarizer --- */

static oi_status eval_binarize(oi_eval *e)
{
    double threshold = ((const feature_attr *)e->attr)->threshold;
    const oi_tensor *t;
    oi_tensor *y;
    OI_TRY(in_numbers(e, &t));
    OI_TRY(oi_eval_out(e, 0, t->dtype, t->rank, t->dim, &y));
    size_t n = (size_t)oi_tensor_count(t);
    for (size_t i = 0; i < n; i++)
        oi_elem_set_int(t->dtype, y->data, i, oi_elem_get_double(t->dtype, t->data, i) > threshold);
    return ONNX_INFER_OK;
}

/* --- FeatureVectorizer --- */

static oi_status vector_width(const feature_attr *a, uint32_t i, int64_t cols, int64_t *out)
{
    *out = i < a->dimensions.n ? a->dimensions.at[i] : cols;
    OI_FAIL_IF(*out < 0, ONNX_INFER_E_INVALID_MODEL, "inputdimensions[%u] is %lld", i, (long long)*out);
    return ONNX_INFER_OK;
}

static oi_status infer_vectorize(oi_infer *x)
{
    const feature_attr *a = x->attr;
    oi_dim dims[2] = {oi_dim_fresh(x->syms), 0};
    for (uint32_t i = 0; i < x->nin; i++) {
        const oi_shape *s = &x->in[i]->shape;
        int64_t width;
        OI_TRY(oi_infer_need_dtype(x, i, oi_ml_numbers, 4));
        OI_FAIL_IF(s->rank == 0 || s->rank > 2, ONNX_INFER_E_SHAPE_MISMATCH, "input %u has rank %d, expected 1 or 2", i, s->rank);
        OI_TRY(vector_width(a, i, 0, &width));
        if (s->rank > 0)
            dims[0] = s->rank == 2 ? s->dim[0] : 1;
        oi_dim cols = i < a->dimensions.n ? width : s->rank > 0 ? s->dim[s->rank - 1] : oi_dim_fresh(x->syms);
        dims[1] = oi_dim_add(x->syms, dims[1], cols);
    }
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, 2, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_vectorize(oi_eval *e)
{
    const feature_attr *a = e->attr;
    int64_t dims[2] = {0, 0}, at = 0, width;
    for (uint32_t i = 0; i < e->nin; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        if (!t || !oi_convert_known(t->dtype, ONNX_INFER_FLOAT))
            return oi_eval_bad_type(e, i);
        OI_FAIL_IF(t->rank != 1 && t->rank != 2, ONNX_INFER_E_SHAPE_MISMATCH, "input %u has rank %d, expected 1 or 2", i, t->rank);
        int64_t rows = t->rank == 2 ? t->dim[0] : 1;
        OI_FAIL_IF(i && rows != dims[0], ONNX_INFER_E_SHAPE_MISMATCH, "input %u has %lld rows, input 0 has %lld", i, (long long)rows,
                   (long long)dims[0]);
        dims[0] = rows;
        OI_TRY(vector_width(a, i, t->dim[t->rank - 1], &width));
        OI_FAIL_IF(width > INT64_MAX - dims[1], ONNX_INFER_E_INVALID_MODEL, "the sum of inputdimensions overflows");
        dims[1] += width;
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_FLOAT, 2, dims, &y));
    if (y->bytes)
        memset(y->data, 0, y->bytes);
    for (uint32_t i = 0; i < e->nin; i++, at += width) {
        const oi_tensor *t = oi_eval_in(e, i);
        int64_t cols = t->dim[t->rank - 1];
        OI_TRY(vector_width(a, i, cols, &width));
        for (int64_t r = 0; r < dims[0]; r++)
            oi_convert(t->dtype, t->data, (size_t)(r * cols), ONNX_INFER_FLOAT, y->data, (size_t)(r * dims[1] + at),
                       (size_t)(width < cols ? width : cols), true);
    }
    return ONNX_INFER_OK;
}

/* --- Imputer --- */

static oi_status eval_impute(oi_eval *e)
{
    const feature_attr *a = e->attr;
    const oi_tensor *t;
    oi_tensor *y;
    OI_TRY(in_numbers(e, &t));
    bool real = oi_dtype_is_float(t->dtype);
    uint32_t n = real ? a->imputed_floats.n : a->imputed_ints.n;
    int64_t cols = t->rank ? t->dim[t->rank - 1] : 1;
    OI_FAIL_IF(n == 0 || (n != 1 && n != cols), ONNX_INFER_E_INVALID_MODEL, "%s has %u values for %lld columns",
               real ? "imputed_value_floats" : "imputed_value_int64s", n, (long long)cols);
    OI_TRY(oi_eval_out(e, 0, t->dtype, t->rank, t->dim, &y));
    size_t count = (size_t)oi_tensor_count(t);
    for (size_t i = 0; i < count; i++) {
        size_t k = n == 1 ? 0 : i % n;
        if (real) {
            double v = oi_elem_get_double(t->dtype, t->data, i);
            bool missing = isnan(a->replaced_float) ? isnan(v) : v == (double)a->replaced_float;
            oi_elem_set_double(t->dtype, y->data, i, missing ? (double)a->imputed_floats.at[k] : v);
        } else {
            int64_t v = oi_elem_get_int(t->dtype, t->data, i);
            oi_elem_set_int(t->dtype, y->data, i, v == a->replaced_int ? a->imputed_ints.at[k] : v);
        }
    }
    return ONNX_INFER_OK;
}

/* --- Normalizer --- */

enum { NORM_MAX, NORM_L1, NORM_L2 };

/* Along axis 1, or the one there is. */
static oi_status eval_normalize(oi_eval *e)
{
    int64_t norm = ((const feature_attr *)e->attr)->norm;
    const oi_tensor *t;
    oi_tensor *y;
    OI_TRY(in_numbers(e, &t));
    OI_FAIL_IF(t->rank == 0, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 is a scalar, it needs an axis");
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_FLOAT, t->rank, t->dim, &y));
    int32_t axis = t->rank > 1;
    int64_t outer = axis ? t->dim[0] : 1, n = t->dim[axis], inner = oi_dims_count(t->rank - axis - 1, t->dim + axis + 1);
    float *out = y->data;
    for (int64_t lane = 0; lane < outer * inner; lane++) {
        int64_t first = lane / inner * n * inner + lane % inner;
        double by = norm == NORM_MAX ? -INFINITY : 0;
        for (int64_t i = 0; i < n; i++) {
            double v = oi_elem_get_double(t->dtype, t->data, (size_t)(first + i * inner));
            by = norm == NORM_MAX ? (v > by ? v : by) : by + (norm == NORM_L1 ? fabs(v) : v * v);
        }
        if (norm == NORM_L2)
            by = sqrt(by);
        for (int64_t i = 0; i < n; i++) {
            double v = oi_elem_get_double(t->dtype, t->data, (size_t)(first + i * inner));
            out[first + i * inner] = (float)(by == 0 ? v : v / by);
        }
    }
    return ONNX_INFER_OK;
}

/* --- Scaler --- */

static oi_status eval_scale(oi_eval *e)
{
    const feature_attr *a = e->attr;
    const oi_tensor *t;
    oi_tensor *y;
    OI_TRY(in_numbers(e, &t));
    int64_t cols = t->rank ? t->dim[t->rank - 1] : 1;
    const oi_floats *lists[] = {&a->offset, &a->scale};
    for (size_t i = 0; i < 2; i++)
        OI_FAIL_IF(lists[i]->n > 1 && lists[i]->n != cols, ONNX_INFER_E_INVALID_MODEL, "%s has %u values for %lld columns",
                   i ? "scale" : "offset", lists[i]->n, (long long)cols);
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_FLOAT, t->rank, t->dim, &y));
    size_t count = (size_t)oi_tensor_count(t), width = (size_t)cols;
    float *out = y->data;
    for (size_t i = 0; i < count; i++) {
        size_t k = i % width;
        float offset = a->offset.n ? a->offset.at[a->offset.n == 1 ? 0 : k] : 0;
        float scale = a->scale.n ? a->scale.at[a->scale.n == 1 ? 0 : k] : 1;
        if (t->dtype == ONNX_INFER_FLOAT)
            out[i] = (((const float *)t->data)[i] - offset) * scale;
        else
            out[i] = (float)((oi_elem_get_double(t->dtype, t->data, i) - (double)offset) * (double)scale);
    }
    return ONNX_INFER_OK;
}

/* --- definitions --- */

static const oi_attr_spec binarizer_attrs[] = {
    {.name = "threshold", .type = OI_ATTR_FLOAT, .offset = OFFSET(threshold)},
    {0},
};
static const oi_attr_spec vectorizer_attrs[] = {
    {.name = "inputdimensions", .type = OI_ATTR_INTS, .offset = OFFSET(dimensions)},
    {0},
};
static const oi_attr_spec imputer_attrs[] = {
    {.name = "imputed_value_floats", .type = OI_ATTR_FLOATS, .offset = OFFSET(imputed_floats)},
    {.name = "imputed_value_int64s", .type = OI_ATTR_INTS, .offset = OFFSET(imputed_ints)},
    {.name = "replaced_value_float", .type = OI_ATTR_FLOAT, .offset = OFFSET(replaced_float)},
    {.name = "replaced_value_int64", .type = OI_ATTR_INT, .offset = OFFSET(replaced_int)},
    {0},
};
static const oi_attr_spec normalizer_attrs[] = {
    {.name = "norm", .type = OI_ATTR_ENUM, .offset = OFFSET(norm), .s = "MAX|L1|L2"},
    {0},
};
static const oi_attr_spec scaler_attrs[] = {
    {.name = "offset", .type = OI_ATTR_FLOATS, .offset = OFFSET(offset)},
    {.name = "scale", .type = OI_ATTR_FLOATS, .offset = OFFSET(scale)},
    {0},
};

#define FEATURE_OP(id, max, table, infer_fn, eval_fn) \
    const oi_op oi_op_ml_##id = {.name = #id, .domain = OI_ML_DOMAIN, .since = 1, .newest = 1, .min_in = 1, .max_in = max, .min_out = 1, \
                              .max_out = 1, .attrs = table, .attr_size = sizeof(feature_attr), .infer = infer_fn, .eval = eval_fn}

const oi_op oi_op_ml_ArrayFeatureExtractor = {
    .name = "ArrayFeatureExtractor", .domain = OI_ML_DOMAIN, .since = 1, .newest = 1, .min_in = 2, .max_in = 2, .min_out = 1,
    .max_out = 1, .infer = infer_extract, .eval = eval_extract,
};
FEATURE_OP(Binarizer, 1, binarizer_attrs, infer_same, eval_binarize);
FEATURE_OP(FeatureVectorizer, UINT16_MAX, vectorizer_attrs, infer_vectorize, eval_vectorize);
FEATURE_OP(Imputer, 1, imputer_attrs, infer_same, eval_impute);
FEATURE_OP(Normalizer, 1, normalizer_attrs, infer_float, eval_normalize);
FEATURE_OP(Scaler, 1, scaler_attrs, infer_float, eval_scale);
