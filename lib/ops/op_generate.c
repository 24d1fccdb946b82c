/* Tensors made from little: ConstantOfShape, Range, EyeLike, OneHot, Trilu. */
#include "base/checked.h"
#include "ops/loop.h"
#include "ops/op.h"

#include <math.h>
#include <string.h>

/* Element i of t as `count` elements from `at` on; t is no string tensor. */
static void fill(oi_dtype dtype, const oi_tensor *from, size_t i, void *data, size_t at, size_t count)
{
    size_t size = oi_dtype_size(dtype);
    if (oi_dtype_is_packed(dtype)) {
        for (size_t k = 0; k < count; k++)
            oi_packed_set(dtype, data, at + k, from ? oi_packed_get(dtype, from->data, i) : 0);
        return;
    }
    char *dst = (char *)data + at * size;
    const char *src = from ? (const char *)from->data + i * size : NULL;
    if (!src) {
        memset(dst, 0, count * size);
        return;
    }
    oi_elem_fill(dst, count, size, src);
}

/* --- ConstantOfShape --- */

typedef struct {
    const oi_tensor *value;
} constant_attr;

static oi_status infer_constant(oi_infer *x)
{
    const oi_tensor *value = ((const constant_attr *)x->attr)->value;
    oi_dtype dtype = value ? value->dtype : ONNX_INFER_FLOAT;
    oi_dim dims[OI_MAX_RANK];
    int32_t n;
    OI_TRY(oi_infer_ints(x, 0, dims, OI_MAX_RANK, &n));
    const oi_shape *s = &x->in[0]->shape;
    if (n < 0) {
        bool known = s->rank == 1 && oi_dim_is_number(s->dim[0]) && s->dim[0] <= OI_MAX_RANK;
        oi_infer_set_fresh(x, 0, dtype, known ? (int32_t)s->dim[0] : -1);
        return ONNX_INFER_OK;
    }
    for (int32_t i = 0; i < n; i++)
        OI_FAIL_IF(oi_dim_is_number(dims[i]) && dims[i] < 0, ONNX_INFER_E_INVALID_MODEL, "ConstantOfShape: dimension %d is %lld", (int)i,
                   (long long)dims[i]);
    oi_infer_set(x, 0, dtype, n, dims);
    if (!value || (dtype != ONNX_INFER_INT64 && dtype != ONNX_INFER_INT32) || n > 1)
        return ONNX_INFER_OK;
    oi_dim count = n ? dims[0] : 1, content[OI_SYM_CONTENT_MAX];
    if (!oi_dim_is_number(count) || count < 1 || count > OI_SYM_CONTENT_MAX)
        return ONNX_INFER_OK;
    for (int64_t i = 0; i < count; i++)
        content[i] = oi_elem_get_int(dtype, value->data, 0);
    oi_infer_set_content(x, 0, content, (uint32_t)count);
    return ONNX_INFER_OK;
}

enum { CONSTANT_PART = 1 << 17 }; /* elements */

typedef struct {
    const oi_tensor *value;
    const oi_tensor *y;
    size_t count;
} constant_job;

static oi_status fill_part(void *arg, size_t i)
{
    const constant_job *j = arg;
    const size_t at = i * CONSTANT_PART, left = j->count - at;
    fill(j->y->dtype, j->value, 0, j->y->data, at, left < CONSTANT_PART ? left : CONSTANT_PART);
    return ONNX_INFER_OK;
}

static oi_status eval_constant(oi_eval *e)
{
    const oi_tensor *value = ((const constant_attr *)e->attr)->value, *shape = oi_eval_in(e, 0);
    if (!shape || shape->dtype != ONNX_INFER_INT64)
        return oi_eval_bad_type(e, 0);
    int64_t n = oi_tensor_count(shape);
    const int64_t *dims = shape->data;
    OI_FAIL_IF(n > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "ConstantOfShape: rank %lld is beyond %d", (long long)n, OI_MAX_RANK);
    for (int64_t i = 0; i < n; i++)
        OI_FAIL_IF(dims[i] < 0, ONNX_INFER_E_INVALID_ARGUMENT, "ConstantOfShape: dimension %lld is %lld", (long long)i, (long long)dims[i]);
    OI_FAIL_IF(value && (oi_tensor_count(value) != 1 || value->dtype == ONNX_INFER_STRING), ONNX_INFER_E_INVALID_MODEL,
               "ConstantOfShape: value must be one number");
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, value ? value->dtype : ONNX_INFER_FLOAT, (int32_t)n, dims, &y));
    constant_job job = {value, y, (size_t)oi_tensor_count(y)};
    return oi_eval_parts(e, (job.count + CONSTANT_PART - 1) / CONSTANT_PART, y->bytes, fill_part, &job);
}

/* --- Range --- */

static oi_status infer_range(oi_infer *x)
{
    oi_dim v[3], count;
    oi_dtype dtype = ONNX_INFER_UNDEFINED;
    bool known = true, constants = true;
    for (uint32_t i = 0; i < 3; i++) {
        const oi_fact *f = x->in[i];
        dtype = f->dtype ? f->dtype : dtype;
        constants = constants && f->konst && oi_tensor_count(f->konst) == 1 && f->konst->dtype != ONNX_INFER_STRING;
        known = known && oi_infer_content(x, i, &v[i], 1) == 1;
    }
    count = oi_dim_fresh(x->syms);
    if (known && oi_dim_is_number(v[2]) && v[2] != 0) {
        oi_dim span = v[2] > 0 ? oi_dim_sub(x->syms, v[1], v[0]) : oi_dim_sub(x->syms, v[0], v[1]);
        count = oi_dim_ceildiv(x->syms, span, v[2] > 0 ? v[2] : -v[2]);
        if (!oi_dim_is_nonnegative(x->syms, count))
            count = oi_dim_max(x->syms, count, 0);
    } else if (constants && oi_dtype_is_float(dtype)) {
        double d[3];
        for (uint32_t i = 0; i < 3; i++)
            d[i] = oi_elem_get_double(x->in[i]->konst->dtype, x->in[i]->konst->data, 0);
        double n = ceil((d[1] - d[0]) / d[2]);
        if (n < 0x1p40)
            count = n > 0 ? (int64_t)n : 0;
    }
    oi_infer_set(x, 0, dtype, 1, &count);
    return ONNX_INFER_OK;
}

static oi_status eval_range(oi_eval *e)
{
    const oi_tensor *t[3];
    for (uint32_t i = 0; i < 3; i++) {
        t[i] = oi_eval_in(e, i);
        if (!t[i] || oi_tensor_count(t[i]) != 1 || t[i]->dtype != t[0]->dtype || !(oi_dtype_is_float(t[i]->dtype) || oi_dtype_is_int(t[i]->dtype)))
            return oi_eval_bad_type(e, i);
    }
    oi_dtype dtype = t[0]->dtype;
    bool real = oi_dtype_is_float(dtype);
    double d[3];
    int64_t v[3], count = 0;
    for (uint32_t i = 0; i < 3; i++) {
        d[i] = oi_elem_get_double(dtype, t[i]->data, 0);
        v[i] = real ? 0 : oi_elem_get_int(dtype, t[i]->data, 0);
    }
    OI_FAIL_IF(real ? !(d[2] < 0 || d[2] > 0) : v[2] == 0, ONNX_INFER_E_INVALID_ARGUMENT, "Range: delta is 0 or no number");
    if (real) {
        double n = ceil((d[1] - d[0]) / d[2]);
        OI_FAIL_IF(!(n < 0x1p40), ONNX_INFER_E_LIMIT, "Range: %g elements are too many", n);
        count = n > 0 ? (int64_t)n : 0;
    } else if (v[2] > 0 ? v[0] < v[1] : v[0] > v[1]) {
        uint64_t span = v[2] > 0 ? (uint64_t)v[1] - (uint64_t)v[0] : (uint64_t)v[0] - (uint64_t)v[1];
        uint64_t step = v[2] > 0 ? (uint64_t)v[2] : 0 - (uint64_t)v[2], n = span / step + (span % step != 0);
        OI_FAIL_IF(n > (uint64_t)1 << 40, ONNX_INFER_E_LIMIT, "Range: %llu elements are too many", (unsigned long long)n);
        count = (int64_t)n;
    }
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, dtype, 1, &count, &y));
    if (dtype == ONNX_INFER_FLOAT) {
        float *out = y->data, start = (float)d[0], delta = (float)d[2];
        for (int64_t i = 0; i < count; i++)
            out[i] = start + (float)i * delta;
        return ONNX_INFER_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        if (real)
            oi_elem_set_double(dtype, y->data, (size_t)i, d[0] + (double)i * d[2]);
        else
            oi_elem_set_int(dtype, y->data, (size_t)i, (int64_t)((uint64_t)v[0] + (uint64_t)i * (uint64_t)v[2]));
    }
    return ONNX_INFER_OK;
}

/* --- EyeLike --- */

typedef struct {
    int64_t dtype, k;
} eye_attr;

static oi_status eye_type(const eye_attr *a, oi_dtype like, oi_dtype *out)
{
    *out = a->dtype > 0 && a->dtype < OI_DTYPE_COUNT ? (oi_dtype)a->dtype : a->dtype ? ONNX_INFER_STRING : like;
    OI_FAIL_IF(*out == ONNX_INFER_STRING, ONNX_INFER_E_UNSUPPORTED_TYPE, "EyeLike does not make element type %lld", (long long)a->dtype);
    return ONNX_INFER_OK;
}

static oi_status infer_eye(oi_infer *x)
{
    const oi_fact *f = x->in[0];
    oi_dtype dtype;
    OI_TRY(eye_type(x->attr, f->dtype, &dtype));
    OI_FAIL_IF(f->shape.rank >= 0 && f->shape.rank != 2, ONNX_INFER_E_SHAPE_MISMATCH, "EyeLike: input 0 has rank %d, 2 is needed",
               (int)f->shape.rank);
    oi_infer_set(x, 0, dtype, f->shape.rank, f->shape.dim);
    return ONNX_INFER_OK;
}

static oi_status eval_eye(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0);
    const eye_attr *a = e->attr;
    oi_dtype dtype;
    if (!t)
        return oi_eval_bad_type(e, 0);
    OI_TRY(eye_type(a, t->dtype, &dtype));
    OI_FAIL_IF(t->rank != 2, ONNX_INFER_E_SHAPE_MISMATCH, "EyeLike: input 0 has rank %d, 2 is needed", (int)t->rank);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, dtype, 2, t->dim, &y));
    if (y->bytes)
        memset(y->data, 0, y->bytes);
    for (int64_t r = 0; r < t->dim[0]; r++) {
        int64_t c;
        if (oi_add_i64(r, a->k, &c) && c >= 0 && c < t->dim[1])
            oi_elem_set_double(dtype, y->data, (size_t)(r * t->dim[1] + c), 1);
    }
    return ONNX_INFER_OK;
}

/* --- OneHot --- */

typedef struct {
    int64_t axis;
} axis_attr;

static oi_status infer_one_hot(oi_infer *x)
{
    const oi_fact *f = x->in[0], *depth_in = x->in[1];
    int32_t rank = f->shape.rank, axis;
    oi_dim dims[OI_MAX_RANK], depth = oi_dim_fresh(x->syms);
    if (rank < 0) {
        oi_infer_set_fresh(x, 0, x->in[2]->dtype, -1);
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(rank == OI_MAX_RANK, ONNX_INFER_E_LIMIT, "OneHot: rank %d is beyond %d", (int)rank + 1, OI_MAX_RANK);
    OI_TRY(oi_infer_axis(x, ((const axis_attr *)x->attr)->axis, rank + 1, &axis));
    if (depth_in->konst && oi_tensor_count(depth_in->konst) == 1 && depth_in->konst->dtype != ONNX_INFER_STRING)
        depth = oi_elem_get_int(depth_in->konst->dtype, depth_in->konst->data, 0);
    else if (depth_in->nsym == 1)
        depth = depth_in->sym[0];
    OI_FAIL_IF(oi_dim_is_number(depth) && depth < 0, ONNX_INFER_E_INVALID_MODEL, "OneHot: depth is %lld", (long long)depth);
    for (int32_t i = 0; i <= rank; i++)
        dims[i] = i == axis ? depth : f->shape.dim[i < axis ? i : i - 1];
    oi_infer_set(x, 0, x->in[2]->dtype, rank + 1, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_one_hot(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0), *depth_in = oi_eval_in(e, 1), *values = oi_eval_in(e, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const oi_tensor *n = oi_eval_in(e, i);
        if (!n || !(oi_dtype_is_int(n->dtype) || oi_dtype_is_float(n->dtype)) || (i && oi_tensor_count(n) != 1))
            return oi_eval_bad_type(e, i);
    }
    if (!values || oi_tensor_count(values) != 2)
        return oi_eval_bad_type(e, 2);
    int64_t depth = oi_elem_get_int(depth_in->dtype, depth_in->data, 0), given = ((const axis_attr *)e->attr)->axis;
    int64_t axis = given < 0 ? given + t->rank + 1 : given, dims[OI_MAX_RANK];
    OI_FAIL_IF(t->rank == OI_MAX_RANK, ONNX_INFER_E_LIMIT, "OneHot: rank %d is beyond %d", (int)t->rank + 1, OI_MAX_RANK);
    OI_FAIL_IF(depth < 0 || axis < 0 || axis > t->rank, ONNX_INFER_E_INVALID_MODEL, "OneHot: depth %lld or axis %lld is out of range",
               (long long)depth, (long long)given);
    for (int32_t i = 0; i <= t->rank; i++)
        dims[i] = i == axis ? depth : t->dim[i < axis ? i : i - 1];
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, values->dtype, t->rank + 1, dims, &y));
    int64_t inner = oi_dims_count(t->rank - (int32_t)axis, t->dim + axis), n = oi_tensor_count(t);
    const oi_string *words = values->dtype == ONNX_INFER_STRING ? values->data : NULL;
    if (!words)
        fill(y->dtype, values, 0, y->data, 0, (size_t)oi_tensor_count(y));
    for (int64_t i = 0; words && i < oi_tensor_count(y); i++)
        OI_TRY(oi_tensor_set_string(e->alloc, y, (size_t)i, words[0].text, words[0].n));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = oi_elem_get_int(t->dtype, t->data, (size_t)i);
        if (at < -depth || at >= depth)
            continue;
        size_t to = (size_t)((i / inner * depth + (at < 0 ? at + depth : at)) * inner + i % inner);
        if (words)
            OI_TRY(oi_tensor_set_string(e->alloc, y, to, words[1].text, words[1].n));
        else
            fill(y->dtype, values, 1, y->data, to, 1);
    }
    return ONNX_INFER_OK;
}

/* --- Trilu --- */

typedef struct {
    int64_t upper;
} trilu_attr;

static oi_status infer_trilu(oi_infer *x)
{
    const oi_fact *f = x->in[0];
    OI_FAIL_IF(f->shape.rank >= 0 && f->shape.rank < 2, ONNX_INFER_E_SHAPE_MISMATCH, "Trilu: input 0 has rank %d, at least 2 is needed",
               (int)f->shape.rank);
    oi_infer_set_same(x, 0, 0);
    return ONNX_INFER_OK;
}

static oi_status eval_trilu(oi_eval *e)
{
    const oi_tensor *t = oi_eval_in(e, 0), *k_in = oi_eval_in(e, 1);
    bool upper = ((const trilu_attr *)e->attr)->upper != 0;
    if (!t || t->dtype == ONNX_INFER_STRING || oi_dtype_is_packed(t->dtype))
        return oi_eval_bad_type(e, 0);
    if (k_in && (k_in->dtype != ONNX_INFER_INT64 || oi_tensor_count(k_in) != 1))
        return oi_eval_bad_type(e, 1);
    OI_FAIL_IF(t->rank < 2, ONNX_INFER_E_SHAPE_MISMATCH, "Trilu: input 0 has rank %d, at least 2 is needed", (int)t->rank);
    int64_t rows = t->dim[t->rank - 2], cols = t->dim[t->rank - 1], k = k_in ? *(const int64_t *)k_in->data : 0;
    int64_t matrices = oi_dims_count(t->rank - 2, t->dim);
    size_t size = oi_dtype_size(t->dtype);
    k = k > cols ? cols : k < -rows ? -rows : k;
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, t->dtype, t->rank, t->dim, &y));
    for (int64_t i = 0; i < matrices * rows; i++) {
        int64_t edge = i % rows + k + !upper; /* upper keeps [edge, cols), lower [0, edge) */
        edge = edge < 0 ? 0 : edge > cols ? cols : edge;
        size_t split = (size_t)edge * size, row = (size_t)cols * size;
        const char *src = (const char *)t->data + (size_t)i * row;
        char *dst = (char *)y->data + (size_t)i * row;
        memset(dst + (upper ? 0 : split), 0, upper ? split : row - split);
        memcpy(dst + (upper ? split : 0), src + (upper ? split : 0), upper ? row - split : split);
    }
    return ONNX_INFER_OK;
}

/* --- definitions --- */

static const oi_attr_spec constant_attrs[] = {
    {.name = "value", .type = OI_ATTR_TENSOR, .offset = offsetof(constant_attr, value)}, {0}};
static const oi_attr_spec eye_attrs[] = {
    {.name = "dtype", .type = OI_ATTR_INT, .offset = offsetof(eye_attr, dtype)},
    {.name = "k", .type = OI_ATTR_INT, .offset = offsetof(eye_attr, k)},
    {0},
};
static const oi_attr_spec one_hot_attrs[] = {
    {.name = "axis", .type = OI_ATTR_INT, .offset = offsetof(axis_attr, axis), .i = -1}, {0}};
static const oi_attr_spec trilu_attrs[] = {
    {.name = "upper", .type = OI_ATTR_INT, .offset = offsetof(trilu_attr, upper), .i = 1}, {0}};
/* Arithmetic is in float32 for 16-bit floats, or wider, whatever it says. */
typedef struct {
    int64_t stash_type;
} range_attr;
static const oi_attr_spec range_attrs[] = {
    {.name = "stash_type", .type = OI_ATTR_INT, .offset = offsetof(range_attr, stash_type), .i = 1}, {0}};

const oi_op oi_op_ConstantOfShape = {
    .name = "ConstantOfShape", .domain = "", .since = 9, .newest = 25, .flags = OI_OP_DATA_SHAPES, .min_in = 1, .max_in = 1, .min_out = 1,
    .max_out = 1, .attrs = constant_attrs, .attr_size = sizeof(constant_attr), .infer = infer_constant, .eval = eval_constant,
};
const oi_op oi_op_EyeLike = {
    .name = "EyeLike", .domain = "", .since = 9, .newest = 22, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1, .attrs = eye_attrs,
    .attr_size = sizeof(eye_attr), .infer = infer_eye, .eval = eval_eye,
};
const oi_op oi_op_OneHot = {
    .name = "OneHot", .domain = "", .since = 9, .newest = 28, .flags = OI_OP_DATA_SHAPES, .min_in = 3, .max_in = 3, .min_out = 1,
    .max_out = 1, .attrs = one_hot_attrs, .attr_size = sizeof(axis_attr), .infer = infer_one_hot, .eval = eval_one_hot,
};
const oi_op oi_op_Range = {
    .name = "Range", .domain = "", .since = 11, .newest = 27, .flags = OI_OP_DATA_SHAPES, .min_in = 3, .max_in = 3, .min_out = 1,
    .max_out = 1, .attrs = range_attrs, .attr_size = sizeof(range_attr), .infer = infer_range, .eval = eval_range,
};
const oi_op oi_op_Trilu = {
    .name = "Trilu", .domain = "", .since = 14, .newest = 14, .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1, .attrs = trilu_attrs,
    .attr_size = sizeof(trilu_attr), .infer = infer_trilu, .eval = eval_trilu,
};
