/* Whether a value is the expected one. */
#include "tool.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static double element(const oi_tensor *t, size_t i)
{
    if (t->dtype == ONNX_INFER_COMPLEX64)
        return ((const float *)t->data)[i];
    if (t->dtype == ONNX_INFER_COMPLEX128)
        return ((const double *)t->data)[i];
    return oi_elem_get_double(t->dtype, t->data, i);
}

static bool near(double got, double expected, double rtol, double atol)
{
    if (isnan(got) || isnan(expected))
        return isnan(got) && isnan(expected);
    if (isinf(got) || isinf(expected))
        return got == expected;
    return fabs(got - expected) <= atol + rtol * fabs(expected);
}

static const char *compare_form(const oi_tensor *got, const oi_tensor *expected, char *why, size_t cap)
{
    char a[160], b[160];
    if (got->dtype != expected->dtype) {
        snprintf(why, cap, "has type %s, expected %s", oi_dtype_name(got->dtype),
                 oi_dtype_name(expected->dtype));
        return why;
    }
    if (!oi_tensor_same_shape(got, expected)) {
        snprintf(why, cap, "has shape %s, expected %s", oi_dims_text(got->rank, got->dim, a, sizeof a),
                 oi_dims_text(expected->rank, expected->dim, b, sizeof b));
        return why;
    }
    return NULL;
}

static const char *compare_strings(const oi_tensor *got, const oi_tensor *expected, char *why, size_t cap)
{
    const oi_string *a = got->data, *b = expected->data;
    for (size_t i = 0; i < (size_t)oi_tensor_count(got); i++)
        if (a[i].n != b[i].n || (a[i].n && memcmp(a[i].text, b[i].text, a[i].n))) {
            snprintf(why, cap, "element %zu is \"%.*s\", expected \"%.*s\"", i,
                     (int)(a[i].n < 40 ? a[i].n : 40), a[i].text ? a[i].text : "",
                     (int)(b[i].n < 40 ? b[i].n : 40), b[i].text ? b[i].text : "");
            return why;
        }
    return NULL;
}

static const char *compare_tensors(const oi_tensor *got, const oi_tensor *expected, double rtol, double atol,
                                   char *why, size_t cap)
{
    if (compare_form(got, expected, why, cap))
        return why;
    if (got->dtype == ONNX_INFER_STRING)
        return compare_strings(got, expected, why, cap);
    bool wide = got->dtype == ONNX_INFER_INT64 ||
                got->dtype == ONNX_INFER_UINT64; /* beyond what doubles tell apart */
    size_t count = (size_t)oi_tensor_count(got) * (oi_dtype_is_complex(got->dtype) ? 2 : 1), wrong = 0,
           first = 0;
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (wide &&
            oi_elem_get_int(got->dtype, got->data, i) == oi_elem_get_int(expected->dtype, expected->data, i))
            continue;
        double a = element(got, i), b = element(expected, i);
        if (near(a, b, rtol, atol) && !(wide && rtol == 0 && atol == 0))
            continue;
        if (!wrong++)
            first = i;
        largest = fabs(a - b) > largest ? fabs(a - b) : largest;
    }
    if (!wrong)
        return NULL;
    snprintf(why, cap,
             "%zu of %zu elements differ; element %zu is %.9g, expected %.9g; largest difference %.3g", wrong,
             count, first, element(got, first), element(expected, first), largest);
    return why;
}

const char *tool_compare(const onnx_infer_value *got, const onnx_infer_value *expected, double rtol,
                         double atol, char *why, size_t cap)
{
    if (got->kind == ONNX_INFER_OPTIONAL && expected->kind != ONNX_INFER_OPTIONAL && got->count == 1)
        got = got->item[0];
    if (got->kind != expected->kind) {
        char a[96], b[96];
        snprintf(why, cap, "is %s, expected %s", tool_value_text(got, a, sizeof a),
                 tool_value_text(expected, b, sizeof b));
        return why;
    }
    if (got->kind == ONNX_INFER_TENSOR)
        return compare_tensors(&got->tensor, &expected->tensor, rtol, atol, why, cap);
    if (got->count != expected->count) {
        snprintf(why, cap, "has %zu items, expected %zu", got->count, expected->count);
        return why;
    }
    for (size_t i = 0; i < got->count; i++) {
        char inner[512];
        if (tool_compare(got->item[i], expected->item[i], rtol, atol, inner, sizeof inner)) {
            snprintf(why, cap, "item %zu %s", i, inner);
            return why;
        }
    }
    return NULL;
}

/* Mean and deviation of the elements. */
static void moments(const oi_tensor *t, double *mean, double *deviation)
{
    size_t count = (size_t)oi_tensor_count(t);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        double v = element(t, i);
        sum += v;
        squares += v * v;
    }
    *mean = count ? sum / (double)count : 0;
    *deviation = count ? sqrt(fmax(0, squares / (double)count - *mean * *mean)) : 0;
}

const char *tool_compare_random(const onnx_infer_value *got, const onnx_infer_value *expected, char *why,
                                size_t cap)
{
    if (got->kind != ONNX_INFER_TENSOR || expected->kind != ONNX_INFER_TENSOR)
        return tool_compare(got, expected, 0, 0, why, cap);
    const oi_tensor *a = &got->tensor, *b = &expected->tensor;
    if (compare_form(a, b, why, cap))
        return why;
    if (a->dtype == ONNX_INFER_STRING || oi_dtype_is_complex(a->dtype) || !oi_tensor_count(a))
        return NULL;
    double mean[2], deviation[2], count = (double)oi_tensor_count(a);
    moments(a, &mean[0], &deviation[0]);
    moments(b, &mean[1], &deviation[1]);
    /* Both are samples: the difference of their means is within five of its standard deviations. */
    double spread = fmax(deviation[0], deviation[1]), allowed = 5 * spread * sqrt(2 / count) + 1e-6;
    if (!(fabs(mean[0] - mean[1]) <= allowed)) {
        snprintf(why, cap, "has mean %.4g, expected %.4g within %.2g", mean[0], mean[1], allowed);
        return why;
    }
    if (count >= 30 && !(fabs(deviation[0] - deviation[1]) <= 5 * spread / sqrt(count) + 1e-6)) {
        snprintf(why, cap, "has standard deviation %.4g, expected about %.4g", deviation[0], deviation[1]);
        return why;
    }
    return NULL;
}
