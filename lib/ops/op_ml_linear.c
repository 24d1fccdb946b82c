/* Linear models of ai.onnx.ml: LinearClassifier, LinearRegressor. */
#include "ops/ml_common.h"

typedef struct {
    oi_floats coefficients, intercepts;
    oi_ints labels;
    int64_t transform, targets, multi_class;
} linear_attr;

#define OFFSET(field) ((uint16_t)offsetof(linear_attr, field))

/* Scores of the classifier: one for each intercept, or as many as the coefficients make. There are files with more
 * coefficients than their input has columns for; the first ones count. */
static oi_status count_scores(const linear_attr *a, int64_t cols, int64_t *out)
{
    *out = a->intercepts.n ? a->intercepts.n : cols ? a->coefficients.n / cols : 0;
    OI_FAIL_IF(*out < 1 || a->coefficients.n / *out < cols, ONNX_INFER_E_SHAPE_MISMATCH,
               "%u coefficients and %u intercepts do not go with %lld columns", a->coefficients.n, a->intercepts.n, (long long)cols);
    return ONNX_INFER_OK;
}

static double product(const oi_tensor *x, const linear_attr *a, int64_t row, int64_t cols, int64_t target)
{
    const float *c = a->coefficients.at + target * cols;
    double sum = 0;
    if (x->dtype == ONNX_INFER_FLOAT) {
        const float *v = (const float *)x->data + row * cols;
        for (int64_t i = 0; i < cols; i++)
            sum += (double)v[i] * c[i];
    } else {
        for (int64_t i = 0; i < cols; i++)
            sum += oi_elem_get_double(x->dtype, x->data, (size_t)(row * cols + i)) * c[i];
    }
    return a->intercepts.n ? sum + a->intercepts.at[target] : sum;
}

/* --- LinearClassifier --- */

static oi_status import_classifier(oi_import *im)
{
    return oi_ml_import_labels(im, "classlabels_strings", "classlabels_ints", true);
}

static int64_t widened(const linear_attr *a, int64_t scores)
{
    return scores == 1 && a->labels.n == 2 ? 2 : scores;
}

static oi_status infer_classifier(oi_infer *x)
{
    const linear_attr *a = x->attr;
    oi_dim rows, cols, dims[2];
    int64_t scores = a->intercepts.n;
    OI_TRY(oi_ml_infer_rows(x, &rows, &cols));
    if (oi_dim_is_number(cols))
        OI_TRY(count_scores(a, cols, &scores));
    dims[0] = rows;
    dims[1] = scores ? widened(a, scores) : oi_dim_fresh(x->syms);
    oi_infer_set(x, 0, ONNX_INFER_INT64, 1, dims);
    oi_infer_set(x, 1, ONNX_INFER_FLOAT, 2, dims);
    return ONNX_INFER_OK;
}

static int64_t label_of(const linear_attr *a, const double *score, int64_t n)
{
    int64_t best = 0;
    if (n == 1) {
        best = score[0] > 0;
        return a->labels.n == 2 ? a->labels.at[best] : best;
    }
    for (int64_t i = 1; i < n; i++)
        best = score[i] > score[best] ? i : best;
    return best < a->labels.n ? a->labels.at[best] : best;
}

/* Two classes with one score get their second one behind the transform; of the probit, both are the same. */
static void write_row(const linear_attr *a, double *score, int64_t n, int64_t width, float *out)
{
    if (oi_ml_write_scores(a->transform, width > n ? OI_SECOND_COMPLEMENT : OI_SECOND_NONE, score, (size_t)n, out) < (size_t)width)
        out[1] = out[0];
}

static oi_status eval_classifier(oi_eval *e)
{
    const linear_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    int64_t rows, cols, n;
    oi_tensor *y = NULL, *z = NULL;
    OI_TRY(oi_ml_rows(e, &rows, &cols));
    OI_TRY(count_scores(a, cols, &n));
    int64_t dims[2] = {rows, widened(a, n)};
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, 1, dims, &y));
    if (e->nout > 1)
        OI_TRY(oi_eval_out(e, 1, ONNX_INFER_FLOAT, 2, dims, &z));
    double *score = oi_eval_scratch_array(e, (size_t)n + 1, sizeof *score);
    float *out = oi_eval_scratch_array(e, (size_t)n + 1, sizeof *out);
    if (!score || !out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < n; k++)
            score[k] = product(x, a, r, cols, k);
        ((int64_t *)y->data)[r] = label_of(a, score, n);
        write_row(a, score, n, dims[1], z ? (float *)z->data + r * dims[1] : out);
    }
    return ONNX_INFER_OK;
}

/* --- LinearRegressor --- */

static oi_status check_regressor(const linear_attr *a)
{
    OI_FAIL_IF(a->targets < 1 || (a->intercepts.n && a->intercepts.n != (uint64_t)a->targets), ONNX_INFER_E_INVALID_MODEL,
               "%lld targets have %u intercepts", (long long)a->targets, a->intercepts.n);
    return ONNX_INFER_OK;
}

static oi_status infer_regressor(oi_infer *x)
{
    const linear_attr *a = x->attr;
    oi_dim rows, cols;
    OI_TRY(oi_ml_infer_rows(x, &rows, &cols));
    OI_TRY(check_regressor(a));
    oi_dim dims[2] = {rows, a->targets};
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, 2, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_regressor(oi_eval *e)
{
    const linear_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    int64_t rows, cols, n = a->targets;
    oi_tensor *y;
    OI_TRY(oi_ml_rows(e, &rows, &cols));
    OI_TRY(check_regressor(a));
    OI_FAIL_IF(a->coefficients.n / n != cols || a->coefficients.n % n, ONNX_INFER_E_SHAPE_MISMATCH,
               "%u coefficients for %lld targets do not go with %lld columns", a->coefficients.n, (long long)n, (long long)cols);
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_FLOAT, 2, (int64_t[]){rows, n}, &y));
    double *score = oi_eval_scratch_array(e, (size_t)n + 1, sizeof *score);
    if (!score)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < n; k++)
            score[k] = product(x, a, r, cols, k);
        oi_ml_write_scores(a->transform, OI_SECOND_NONE, score, (size_t)n, (float *)y->data + r * n);
    }
    return ONNX_INFER_OK;
}

/* --- definitions --- */

#define COEFFICIENTS {.name = "coefficients", .type = OI_ATTR_FLOATS, .offset = OFFSET(coefficients)}
#define INTERCEPTS {.name = "intercepts", .type = OI_ATTR_FLOATS, .offset = OFFSET(intercepts)}
#define TRANSFORM {.name = "post_transform", .type = OI_ATTR_ENUM, .offset = OFFSET(transform), .s = OI_POST_WORDS}

static const oi_attr_spec classifier_attrs[] = {
    {.name = "classlabels_ints", .type = OI_ATTR_INTS, .offset = OFFSET(labels)},
    COEFFICIENTS,
    INTERCEPTS,
    {.name = "multi_class", .type = OI_ATTR_INT, .offset = OFFSET(multi_class)},
    TRANSFORM,
    {0},
};
static const oi_attr_spec regressor_attrs[] = {
    COEFFICIENTS,
    INTERCEPTS,
    TRANSFORM,
    {.name = "targets", .type = OI_ATTR_INT, .offset = OFFSET(targets), .i = 1},
    {0},
};

const oi_op oi_op_ml_LinearClassifier = {
    .name = "LinearClassifier", .domain = OI_ML_DOMAIN, .since = 1, .newest = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 2,
    .attrs = classifier_attrs, .attr_size = sizeof(linear_attr), .import = import_classifier, .infer = infer_classifier,
    .eval = eval_classifier,
};
const oi_op oi_op_ml_LinearRegressor = {
    .name = "LinearRegressor", .domain = OI_ML_DOMAIN, .since = 1, .newest = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .attrs = regressor_attrs, .attr_size = sizeof(linear_attr), .infer = infer_regressor, .eval = eval_regressor,
};
