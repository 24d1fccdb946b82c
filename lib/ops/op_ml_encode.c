/* Categories of ai.onnx.ml: CategoryMapper, LabelEncoder, OneHotEncoder. */
#include "ops/ml_common.h"

#include <string.h>

/* --- LabelEncoder --- */

/* Keys and values as the file has them, each in one of four forms. */
typedef struct {
    oi_strings keys_strings, values_strings, classes;
    oi_ints keys_ints, values_ints;
    oi_floats keys_floats, values_floats;
    const oi_tensor *keys, *values, *fallback;
    const char *default_string;
    int64_t default_int;
    float default_float;
} encoder_attr;

#define OFFSET(field) ((uint16_t)offsetof(encoder_attr, field))

/* A list of keys or values, whatever its form. */
typedef struct {
    oi_dtype dtype;
    size_t n;
    const oi_strings *strings;
    const oi_ints *ints;
    const oi_floats *floats;
    const oi_tensor *tensor;
} list;

static oi_status one_list(const char *what, const oi_strings *s, const oi_ints *i, const oi_floats *f, const oi_tensor *t, list *out)
{
    int given = (s->at != NULL) + (i->at != NULL) + (f->at != NULL) + (t != NULL);
    OI_FAIL_IF(given != 1, ONNX_INFER_E_INVALID_MODEL, "%d of the attributes %s_* are set, expected one", given, what);
    if (s->at)
        *out = (list){.dtype = ONNX_INFER_STRING, .n = s->n, .strings = s};
    else if (i->at)
        *out = (list){.dtype = ONNX_INFER_INT64, .n = i->n, .ints = i};
    else if (f->at)
        *out = (list){.dtype = ONNX_INFER_FLOAT, .n = f->n, .floats = f};
    else
        *out = (list){.dtype = t->dtype, .n = (size_t)oi_tensor_count(t), .tensor = t};
    bool known = out->dtype == ONNX_INFER_STRING || out->dtype == ONNX_INFER_INT64 || out->dtype == ONNX_INFER_INT32 ||
                 out->dtype == ONNX_INFER_INT16 || out->dtype == ONNX_INFER_FLOAT || out->dtype == ONNX_INFER_DOUBLE;
    OI_FAIL_IF(!known, ONNX_INFER_E_INVALID_MODEL, "%s_tensor holds %s", what, oi_dtype_name(out->dtype));
    return ONNX_INFER_OK;
}

static oi_status lists_of(const encoder_attr *a, list *keys, list *values)
{
    OI_TRY(one_list("keys", &a->keys_strings, &a->keys_ints, &a->keys_floats, a->keys, keys));
    OI_TRY(one_list("values", &a->values_strings, &a->values_ints, &a->values_floats, a->values, values));
    OI_FAIL_IF(keys->n != values->n, ONNX_INFER_E_INVALID_MODEL, "there are %zu keys for %zu values", keys->n, values->n);
    OI_FAIL_IF(a->fallback && (a->fallback->dtype != values->dtype || oi_tensor_count(a->fallback) < 1), ONNX_INFER_E_INVALID_MODEL,
               "default_tensor holds no %s", oi_dtype_name(values->dtype));
    return ONNX_INFER_OK;
}

static oi_key key_at(const list *l, size_t i)
{
    return l->strings  ? oi_key_text(l->strings->at[i], l->strings->len[i])
           : l->ints   ? oi_key_int(l->ints->at[i])
           : l->floats ? oi_key_float(l->floats->at[i])
                       : oi_key_of(l->tensor, i);
}

static oi_status put(const oi_alloc *alloc, const list *l, size_t i, oi_tensor *y, size_t at)
{
    if (l->dtype == ONNX_INFER_STRING) {
        const oi_string *s = l->tensor ? (const oi_string *)l->tensor->data + i : NULL;
        return s ? oi_tensor_set_string(alloc, y, at, s->text, s->n)
                 : oi_tensor_set_string(alloc, y, at, l->strings->at[i], l->strings->len[i]);
    }
    if (l->ints)
        ((int64_t *)y->data)[at] = l->ints->at[i];
    else if (l->floats)
        ((float *)y->data)[at] = l->floats->at[i];
    else if (oi_dtype_is_float(l->dtype))
        oi_elem_set_double(l->dtype, y->data, at, oi_elem_get_double(l->dtype, l->tensor->data, i));
    else
        oi_elem_set_int(l->dtype, y->data, at, oi_elem_get_int(l->dtype, l->tensor->data, i));
    return ONNX_INFER_OK;
}

static oi_status put_default(const oi_eval *e, const encoder_attr *a, oi_tensor *y, size_t at)
{
    if (a->fallback) {
        list l = {.dtype = a->fallback->dtype, .n = 1, .tensor = a->fallback};
        return put(e->alloc, &l, 0, y, at);
    }
    if (y->dtype == ONNX_INFER_STRING)
        return oi_tensor_set_string(e->alloc, y, at, a->default_string, strlen(a->default_string));
    if (oi_dtype_is_float(y->dtype))
        oi_elem_set_double(y->dtype, y->data, at, a->default_float);
    else
        oi_elem_set_int(y->dtype, y->data, at, a->default_int);
    return ONNX_INFER_OK;
}

/* Version 1 had a list of classes and went from text to places or from places to text, as the input asks. */
static oi_status import_encoder(oi_import *im)
{
    oi_raw_attr *classes = im->opset < 2 ? oi_import_find(im, "classes_strings") : NULL;
    if (classes)
        classes->by_import = true;
    return ONNX_INFER_OK;
}

static oi_status infer_encoder(oi_infer *x)
{
    static const oi_dtype by_place[] = {ONNX_INFER_STRING, ONNX_INFER_INT64};
    const encoder_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    list keys, values;
    if (a->classes.at) {
        OI_TRY(oi_infer_need_dtype(x, 0, by_place, 2));
        oi_dtype to = f->dtype == ONNX_INFER_INT64 ? ONNX_INFER_STRING : f->dtype ? ONNX_INFER_INT64 : ONNX_INFER_UNDEFINED;
        oi_infer_set(x, 0, to, f->shape.rank, f->shape.dim);
        return ONNX_INFER_OK;
    }
    OI_TRY(lists_of(a, &keys, &values));
    OI_TRY(oi_infer_need_dtype(x, 0, &keys.dtype, 1));
    oi_infer_set(x, 0, values.dtype, f->shape.rank, f->shape.dim);
    return ONNX_INFER_OK;
}

static oi_status eval_by_place(oi_eval *e)
{
    const encoder_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0);
    oi_tensor *y;
    oi_key_table *table;
    if (!t || (t->dtype != ONNX_INFER_STRING && t->dtype != ONNX_INFER_INT64))
        return oi_eval_bad_type(e, 0);
    bool to_text = t->dtype == ONNX_INFER_INT64;
    OI_TRY(oi_eval_out(e, 0, to_text ? ONNX_INFER_STRING : ONNX_INFER_INT64, t->rank, t->dim, &y));
    OI_TRY(oi_key_table_of_strings(e, &a->classes, &table));
    size_t n = (size_t)oi_tensor_count(t), place;
    for (size_t i = 0; i < n; i++) {
        int64_t at = to_text ? ((const int64_t *)t->data)[i] : 0;
        if (!to_text)
            ((int64_t *)y->data)[i] = oi_key_table_find(table, oi_key_of(t, i), &place) ? (int64_t)place : a->default_int;
        else if (at >= 0 && at < (int64_t)a->classes.n)
            OI_TRY(oi_tensor_set_string(e->alloc, y, i, a->classes.at[at], a->classes.len[at]));
        else
            OI_TRY(oi_tensor_set_string(e->alloc, y, i, a->default_string, strlen(a->default_string)));
    }
    return ONNX_INFER_OK;
}

static oi_status eval_encoder(oi_eval *e)
{
    const encoder_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0);
    list keys, values;
    oi_tensor *y;
    oi_key_table *table;
    if (a->classes.at)
        return eval_by_place(e);
    OI_TRY(lists_of(a, &keys, &values));
    if (!t || t->dtype != keys.dtype)
        return oi_eval_bad_type(e, 0);
    OI_TRY(oi_eval_out(e, 0, values.dtype, t->rank, t->dim, &y));
    OI_TRY(oi_key_table_create(e, keys.n, &table));
    for (size_t i = 0; i < keys.n; i++)
        oi_key_table_add(table, key_at(&keys, i), i, true);
    size_t n = (size_t)oi_tensor_count(t), place;
    for (size_t i = 0; i < n; i++) {
        if (oi_key_table_find(table, oi_key_of(t, i), &place))
            OI_TRY(put(e->alloc, &values, place, y, i));
        else
            OI_TRY(put_default(e, a, y, i));
    }
    return ONNX_INFER_OK;
}

/* --- CategoryMapper --- */

typedef struct {
    oi_ints ints;
    oi_strings strings;
    int64_t default_int, zeros;
    const char *default_string;
} category_attr;

static oi_status infer_mapper(oi_infer *x)
{
    static const oi_dtype types[] = {ONNX_INFER_STRING, ONNX_INFER_INT64};
    const category_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    OI_TRY(oi_infer_need_dtype(x, 0, types, 2));
    OI_FAIL_IF(a->ints.n != a->strings.n, ONNX_INFER_E_INVALID_MODEL, "cats_int64s has %u elements, cats_strings %u", a->ints.n,
               a->strings.n);
    oi_dtype to = f->dtype == ONNX_INFER_INT64 ? ONNX_INFER_STRING : f->dtype ? ONNX_INFER_INT64 : ONNX_INFER_UNDEFINED;
    oi_infer_set(x, 0, to, f->shape.rank, f->shape.dim);
    return ONNX_INFER_OK;
}

static oi_status eval_mapper(oi_eval *e)
{
    const category_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0);
    oi_tensor *y;
    oi_key_table *table;
    if (!t || (t->dtype != ONNX_INFER_STRING && t->dtype != ONNX_INFER_INT64))
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(a->ints.n != a->strings.n, ONNX_INFER_E_INVALID_MODEL, "cats_int64s has %u elements, cats_strings %u", a->ints.n,
               a->strings.n);
    bool to_text = t->dtype == ONNX_INFER_INT64;
    OI_TRY(oi_eval_out(e, 0, to_text ? ONNX_INFER_STRING : ONNX_INFER_INT64, t->rank, t->dim, &y));
    if (to_text)
        OI_TRY(oi_key_table_of_ints(e, &a->ints, &table));
    else
        OI_TRY(oi_key_table_of_strings(e, &a->strings, &table));
    size_t n = (size_t)oi_tensor_count(t), place;
    for (size_t i = 0; i < n; i++) {
        bool found = oi_key_table_find(table, oi_key_of(t, i), &place);
        if (!to_text)
            ((int64_t *)y->data)[i] = found ? a->ints.at[place] : a->default_int;
        else if (found)
            OI_TRY(oi_tensor_set_string(e->alloc, y, i, a->strings.at[place], a->strings.len[place]));
        else
            OI_TRY(oi_tensor_set_string(e->alloc, y, i, a->default_string, strlen(a->default_string)));
    }
    return ONNX_INFER_OK;
}

/* --- OneHotEncoder --- */

static oi_status check_categories(const category_attr *a)
{
    OI_FAIL_IF((a->ints.n != 0) == (a->strings.n != 0), ONNX_INFER_E_INVALID_MODEL,
               "one of the attributes cats_int64s and cats_strings must hold the categories");
    return ONNX_INFER_OK;
}

static oi_status infer_one_hot(oi_infer *x)
{
    const category_attr *a = x->attr;
    static const oi_dtype text = ONNX_INFER_STRING;
    oi_shape s = x->in[0]->shape;
    OI_TRY(check_categories(a));
    OI_TRY(oi_infer_need_dtype(x, 0, a->strings.n ? &text : oi_ml_numbers, a->strings.n ? 1 : 4));
    OI_FAIL_IF(s.rank == OI_MAX_RANK, ONNX_INFER_E_LIMIT, "input 0 has rank %d, the result would be above %d", s.rank, OI_MAX_RANK);
    if (s.rank >= 0)
        s.dim[s.rank++] = a->ints.n + a->strings.n;
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, s.rank, s.dim);
    return ONNX_INFER_OK;
}

static oi_status eval_one_hot(oi_eval *e)
{
    const category_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0);
    int64_t dims[OI_MAX_RANK];
    oi_tensor *y;
    oi_key_table *table;
    OI_TRY(check_categories(a));
    if (!t || (t->dtype == ONNX_INFER_STRING) != (a->strings.n != 0) || oi_dtype_is_complex(t->dtype))
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(t->rank == OI_MAX_RANK, ONNX_INFER_E_LIMIT, "input 0 has rank %d, the result would be above %d", t->rank, OI_MAX_RANK);
    memcpy(dims, t->dim, sizeof dims);
    size_t width = a->ints.n + a->strings.n, n = (size_t)oi_tensor_count(t), place;
    dims[t->rank] = (int64_t)width;
    OI_TRY(oi_eval_out(e, 0, ONNX_INFER_FLOAT, t->rank + 1, dims, &y));
    if (y->bytes)
        memset(y->data, 0, y->bytes);
    if (a->strings.n)
        OI_TRY(oi_key_table_of_strings(e, &a->strings, &table));
    else
        OI_TRY(oi_key_table_of_ints(e, &a->ints, &table));
    for (size_t i = 0; i < n; i++) {
        oi_key key = a->strings.n ? oi_key_of(t, i) : oi_key_int(oi_elem_get_int(t->dtype, t->data, i));
        bool found = oi_key_table_find(table, key, &place);
        OI_FAIL_IF(!found && !a->zeros, ONNX_INFER_E_INVALID_ARGUMENT, "element %zu of the input is none of the %zu categories", i, width);
        if (found)
            ((float *)y->data)[i * width + place] = 1;
    }
    return ONNX_INFER_OK;
}

/* --- definitions --- */

static const oi_attr_spec encoder_attrs[] = {
    {.name = "classes_strings", .type = OI_ATTR_STRINGS, .offset = OFFSET(classes), .flags = OI_ATTR_INTERNAL},
    {.name = "default_float", .type = OI_ATTR_FLOAT, .offset = OFFSET(default_float), .f = -0.0f},
    {.name = "default_int64", .type = OI_ATTR_INT, .offset = OFFSET(default_int), .i = -1},
    {.name = "default_string", .type = OI_ATTR_STRING, .offset = OFFSET(default_string), .s = "_Unused"},
    {.name = "default_tensor", .type = OI_ATTR_TENSOR, .offset = OFFSET(fallback)},
    {.name = "keys_floats", .type = OI_ATTR_FLOATS, .offset = OFFSET(keys_floats)},
    {.name = "keys_int64s", .type = OI_ATTR_INTS, .offset = OFFSET(keys_ints)},
    {.name = "keys_strings", .type = OI_ATTR_STRINGS, .offset = OFFSET(keys_strings)},
    {.name = "keys_tensor", .type = OI_ATTR_TENSOR, .offset = OFFSET(keys)},
    {.name = "values_floats", .type = OI_ATTR_FLOATS, .offset = OFFSET(values_floats)},
    {.name = "values_int64s", .type = OI_ATTR_INTS, .offset = OFFSET(values_ints)},
    {.name = "values_strings", .type = OI_ATTR_STRINGS, .offset = OFFSET(values_strings)},
    {.name = "values_tensor", .type = OI_ATTR_TENSOR, .offset = OFFSET(values)},
    {0},
};
static const oi_attr_spec mapper_attrs[] = {
    {.name = "cats_int64s", .type = OI_ATTR_INTS, .offset = offsetof(category_attr, ints)},
    {.name = "cats_strings", .type = OI_ATTR_STRINGS, .offset = offsetof(category_attr, strings)},
    {.name = "default_int64", .type = OI_ATTR_INT, .offset = offsetof(category_attr, default_int), .i = -1},
    {.name = "default_string", .type = OI_ATTR_STRING, .offset = offsetof(category_attr, default_string), .s = "_Unused"},
    {0},
};
static const oi_attr_spec one_hot_attrs[] = {
    {.name = "cats_int64s", .type = OI_ATTR_INTS, .offset = offsetof(category_attr, ints)},
    {.name = "cats_strings", .type = OI_ATTR_STRINGS, .offset = offsetof(category_attr, strings)},
    {.name = "zeros", .type = OI_ATTR_INT, .offset = offsetof(category_attr, zeros), .i = 1},
    {0},
};

const oi_op oi_op_ml_LabelEncoder = {
    .name = "LabelEncoder", .domain = OI_ML_DOMAIN, .since = 1, .newest = 4, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .attrs = encoder_attrs, .attr_size = sizeof(encoder_attr), .import = import_encoder, .infer = infer_encoder, .eval = eval_encoder,
};
const oi_op oi_op_ml_CategoryMapper = {
    .name = "CategoryMapper", .domain = OI_ML_DOMAIN, .since = 1, .newest = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .attrs = mapper_attrs, .attr_size = sizeof(category_attr), .infer = infer_mapper, .eval = eval_mapper,
};
const oi_op oi_op_ml_OneHotEncoder = {
    .name = "OneHotEncoder", .domain = OI_ML_DOMAIN, .since = 1, .newest = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,
    .attrs = one_hot_attrs, .attr_size = sizeof(category_attr), .infer = infer_one_hot, .eval = eval_one_hot,
};
