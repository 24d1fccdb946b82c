/* Operators whose output sizes depend on what they find: NonZero, Unique; and Det. */
#include "ops/loop.h"
#include "ops/op.h"
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

/* --- NonZero --- */

static oi_status infer_non_zero(oi_infer *x)
{
    oi_dim dims[2] = {x->in[0]->shape.rank, oi_dim_fresh(x->syms)};
    if (dims[0] < 0)
        dims[0] = oi_dim_fresh(x->syms);
    oi_infer_set(x, 0, ONNX_INFER_INT64, 2, dims);
    return ONNX_INFER_OK;
}

static bool is_set(const oi_tensor *t, size_t i)
{
    if (t->dtype == ONNX_INFER_STRING)
        return ((const oi_string *)t->data)[i].n > 0;
    if (oi_dtype_is_complex(t->dtype)) {
        oi_dtype part = t->dtype == ONNX_INFER_COMPLEX64 ? ONNX_INFER_FLOAT : ONNX_INFER_DOUBLE;
        return oi_elem_get_double(part, t->data, 2 * i) != 0 || oi_elem_get_double(part, t->data, 2 * i + 1) != 0;
    }
    return oi_dtype_is_float(t->dtype) ? oi_elem_get_double(t->dtype, t->data, i) != 0 : oi_elem_get_int(t->dtype, t->data, i) != 0;
}

static oi_status eval_non_zero(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0);
    if (!t)
        return oi_eval_bad_type(e, 0);
    int64_t count = oi_tensor_count(t), found = 0, k = 0;
    int64_t done = 0;
    for (int64_t i = 0; i < count; i++) {
        OI_TRY(oi_eval_check(e, 2, &done));
        found += is_set(t, (size_t)i);
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_INT64, 2, (const int64_t[]){t->rank, found}, &y));
    int64_t *out = y->data;
    for (int64_t i = 0; i < count; i++) {
        OI_TRY(oi_eval_check(e, 4, &done));
        if (!is_set(t, (size_t)i))
            continue;
        int64_t rest = i;
        for (int32_t axis = t->rank; axis-- > 0;) {
            out[axis * found + k] = rest % t->dim[axis];
            rest /= t->dim[axis];
        }
        k++;
    }
    return ONNX_INFER_OK;
}

/* --- Unique --- */

typedef struct {
    int64_t axis, sorted;
} unique_attr;

static oi_status infer_unique(oi_infer *x)
{
    const unique_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    oi_dim found = oi_dim_fresh(x->syms);
    if (a->axis == OI_UNSET || f->shape.rank < 0) {
        oi_infer_set(x, 0, f->dtype, a->axis == OI_UNSET ? 1 : -1, &found);
    } else {
        int32_t axis;
        oi_shape s = f->shape;
        OI_TRY(oi_infer_axis(x, a->axis, s.rank, &axis));
        s.dim[axis] = found;
        oi_infer_set(x, 0, f->dtype, s.rank, s.dim);
    }
    oi_infer_set(x, 1, ONNX_INFER_INT64, 1, &found);
    oi_infer_set_fresh(x, 2, ONNX_INFER_INT64, 1);
    oi_infer_set(x, 3, ONNX_INFER_INT64, 1, &found);
    return ONNX_INFER_OK;
}

/* Slices of a tensor along an axis: n of them, each of outer * inner elements. */
typedef struct {
    const oi_tensor *t;
    int64_t outer, n, inner;
} slices;

static int compare_elements(const oi_tensor *t, size_t i, size_t j)
{
    if (t->dtype == ONNX_INFER_STRING) {
        const oi_string *a = (const oi_string *)t->data + i, *b = (const oi_string *)t->data + j;
        size_t n = a->n < b->n ? a->n : b->n;
        int c = n ? memcmp(a->text, b->text, n) : 0;
        return c ? c : (a->n > b->n) - (a->n < b->n);
    }
    if (oi_dtype_is_float(t->dtype)) {
        double a = oi_elem_get_double(t->dtype, t->data, i), b = oi_elem_get_double(t->dtype, t->data, j);
        return isnan(a) || isnan(b) ? (isnan(a) != 0) - (isnan(b) != 0) : (a > b) - (a < b);
    }
    if (oi_dtype_is_complex(t->dtype)) { /* the real parts first */
        oi_dtype part = t->dtype == ONNX_INFER_COMPLEX64 ? ONNX_INFER_FLOAT : ONNX_INFER_DOUBLE;
        for (size_t k = 0; k < 2; k++) {
            double a = oi_elem_get_double(part, t->data, 2 * i + k), b = oi_elem_get_double(part, t->data, 2 * j + k);
            if (a != b)
                return isnan(a) || isnan(b) ? (isnan(a) != 0) - (isnan(b) != 0) : a > b ? 1 : -1;
        }
        return 0;
    }
    int64_t a = oi_elem_get_int(t->dtype, t->data, i), b = oi_elem_get_int(t->dtype, t->data, j);
    if (t->dtype == ONNX_INFER_UINT64)
        return ((uint64_t)a > (uint64_t)b) - ((uint64_t)a < (uint64_t)b);
    return (a > b) - (a < b);
}

static int compare_slices(const slices *s, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < s->outer; o++) {
        for (int64_t i = 0; i < s->inner; i++) {
            int c = compare_elements(s->t, (size_t)((o * s->n + a) * s->inner + i), (size_t)((o * s->n + b) * s->inner + i));
            if (c)
                return c;
        }
    }
    return 0;
}

/* Sorts order[0..n) by their slices, equal ones by place; `room` holds as many. */
static void sort_slices(const slices *s, int64_t n, int64_t *order, int64_t *room)
{
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t from = 0; from < n; from += 2 * width) {
            int64_t middle = from + width < n ? from + width : n, end = middle + width < n ? middle + width : n;
            int64_t i = from, j = middle;
            for (int64_t k = from; k < end; k++)
                room[k] = i < middle && (j == end || compare_slices(s, order[i], order[j]) <= 0) ? order[i++] : order[j++];
        }
        memcpy(order, room, (size_t)n * sizeof *order);
    }
}

static void sort_numbers(int64_t n, int64_t *key, int64_t *carried)
{
    for (int64_t gap = n / 2; gap > 0; gap /= 2) {
        for (int64_t i = gap; i < n; i++) {
            int64_t k = key[i], c = carried[i], j = i;
            for (; j >= gap && key[j - gap] > k; j -= gap) {
                key[j] = key[j - gap];
                carried[j] = carried[j - gap];
            }
            key[j] = k;
            carried[j] = c;
        }
    }
}

static oi_status copy_slices(const oi_eval *e, const slices *s, int64_t found, const int64_t *which, oi_tensor *y)
{
    for (int64_t o = 0; o < s->outer; o++) {
        for (int64_t k = 0; k < found; k++) {
            size_t from = (size_t)((o * s->n + which[k]) * s->inner), to = (size_t)((o * found + k) * s->inner);
            if (y->dtype != ONNX_INFER_STRING) {
                oi_convert(y->dtype, s->t->data, from, y->dtype, y->data, to, (size_t)s->inner, true);
                continue;
            }
            const oi_string *text = (const oi_string *)s->t->data + from;
            for (int64_t i = 0; i < s->inner; i++)
                OI_TRY(oi_tensor_set_string(e->alloc, y, to + (size_t)i, text[i].text, text[i].n));
        }
    }
    return ONNX_INFER_OK;
}

static oi_status int_output(oi_eval *e, uint32_t i, int64_t n, const int64_t *v)
{
    oi_tensor *y;
    if (!oi_eval_wants(e, i))
        return ONNX_INFER_OK;
    OI_TRY(oi_eval_out(e, i, ONNX_INFER_INT64, 1, &n, &y));
    if (n)
        memcpy(y->data, v, (size_t)n * sizeof *v);
    return ONNX_INFER_OK;
}

static oi_status eval_unique(oi_eval *e)
{
    const unique_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0);
    if (!t)
        return oi_eval_bad_type(e, 0);
    slices s = {.t = t, .outer = 1, .n = oi_tensor_count(t), .inner = 1};
    int64_t axis = a->axis < 0 ? a->axis + t->rank : a->axis, dims[OI_MAX_RANK] = {0};
    if (a->axis != OI_UNSET) {
        OI_FAIL_IF(axis < 0 || axis >= t->rank, ONNX_INFER_E_INVALID_MODEL, "Unique: axis %lld is out of range for rank %d",
                   (long long)a->axis, (int)t->rank);
        oi_loop_axis(t->rank, t->dim, (int32_t)axis, &s.outer, &s.n, &s.inner);
    }
    int64_t *order = oi_eval_scratch_array(e, (size_t)s.n + 1, 6 * sizeof *order);
    if (!order)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    int64_t *room = order + s.n, *first = room + s.n, *group = first + s.n, *inverse = group + s.n, *count = inverse + s.n, found = 0;
    for (int64_t i = 0; i < s.n; i++)
        order[i] = i;
    sort_slices(&s, s.n, order, room);
    for (int64_t i = 0; i < s.n; i++) {
        if (i == 0 || compare_slices(&s, order[i - 1], order[i]) != 0) {
            first[found] = order[i];
            group[found] = found;
            found++;
        }
        inverse[order[i]] = found - 1;
    }
    if (!a->sorted) /* by first place instead */
        sort_numbers(found, first, group);
    for (int64_t k = 0; k < found; k++)
        room[group[k]] = k;
    for (int64_t i = 0; i < s.n; i++) {
        inverse[i] = room[inverse[i]];
        count[inverse[i]]++;
    }
    for (int32_t i = 0; i < t->rank; i++)
        dims[i] = i == axis ? found : t->dim[i];
    bool flat = a->axis == OI_UNSET;
    if (oi_eval_wants(e, 0)) {
        oi_tensor *y;
        OI_TRY(oi_eval_out(e, 0, t->dtype, flat ? 1 : t->rank, flat ? &found : dims, &y));
        OI_TRY(copy_slices(e, &s, found, first, y));
    }
    OI_TRY(int_output(e, 1, found, first));
    OI_TRY(int_output(e, 2, s.n, inverse));
    return int_output(e, 3, found, count);
}

/* --- Det --- */

static oi_status infer_det(oi_infer *x)
{
    const oi_fact *f = x->in[0];
    int32_t rank = f->shape.rank;
    OI_FAIL_IF(rank >= 0 && rank < 2, ONNX_INFER_E_SHAPE_MISMATCH, "Det: input 0 has rank %d, at least 2 is needed", (int)rank);
    oi_infer_set(x, 0, f->dtype, rank < 0 ? -1 : rank - 2, f->shape.dim);
    return ONNX_INFER_OK;
}

/* By Gauss's elimination with pivots, in place. */
static double determinant(int64_t n, double *m)
{
    double det = 1;
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = c;
        for (int64_t r = c + 1; r < n; r++)
            pivot = fabs(m[r * n + c]) > fabs(m[pivot * n + c]) ? r : pivot;
        if (m[pivot * n + c] == 0)
            return 0;
        det *= pivot == c ? m[c * n + c] : -m[pivot * n + c];
        for (int64_t k = 0; k < n && pivot != c; k++) {
            double swap = m[c * n + k];
            m[c * n + k] = m[pivot * n + k];
            m[pivot * n + k] = swap;
        }
        for (int64_t r = c + 1; r < n; r++) {
            double factor = m[r * n + c] / m[c * n + c];
            for (int64_t k = c; k < n; k++)
                m[r * n + k] -= factor * m[c * n + k];
        }
    }
    return det;
}

static oi_status eval_det(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0);
    if (!t || !oi_dtype_is_float(t->dtype))
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(t->rank < 2 || t->dim[t->rank - 1] != t->dim[t->rank - 2], ONNX_INFER_E_SHAPE_MISMATCH, "Det: input 0 holds no square matrices");
    int64_t n = t->dim[t->rank - 1], count = oi_dims_count(t->rank - 2, t->dim);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, t->dtype, t->rank - 2, t->dim, &y));
    double *m = oi_eval_scratch_array(e, (size_t)(n * n) + 1, sizeof *m);
    if (!m)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t i = 0; i < count; i++) {
        oi_convert(t->dtype, t->data, (size_t)(i * n * n), ONNX_INFER_DOUBLE, m, 0, (size_t)(n * n), true);
        oi_elem_set_double(y->dtype, y->data, (size_t)i, determinant(n, m));
    }
    return ONNX_INFER_OK;
}

/* --- definitions --- */

static const oi_attr_spec unique_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(unique_attr, axis), .i = OI_UNSET},
    {.name = "sorted", .type = OI_ATTR_INT, .offset = offsetof(unique_attr, sorted), .i = 1},
    {0},
};

const oi_op oi_op_Det = {
    .name = "Det", .domain = "", .since = 11, .newest = 22, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .infer = infer_det,
    .eval = eval_det,
};
const oi_op oi_op_NonZero = {
    .name = "NonZero", .domain = "", .since = 9, .newest = 13, .flags = OI_OP_DATA_SHAPES, .min_in = 1, .max_in = 1, .min_out = 1,
    .max_out = 1, .infer = infer_non_zero, .eval = eval_non_zero,
};
const oi_op oi_op_Unique = {
    .name = "Unique", .domain = "", .since = 11, .newest = 28, .flags = OI_OP_DATA_SHAPES, .min_in = 1, .max_in = 1, .min_out = 1,
    .max_out = 4, .attrs = unique_attrs, .attr_size = sizeof(unique_attr), .infer = infer_unique, .eval = eval_unique,
};
