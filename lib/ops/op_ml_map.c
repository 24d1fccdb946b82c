/* Maps of ai.onnx.ml: CastMap, DictVectorizer, ZipMap. */
#include "ops/ml_common.h"
#include "ops/number_text.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    oi_ints ints;
    oi_strings strings;
    int64_t sparse, max_map, cast_to;
} map_attr;

/* Keys and values of a map: a tensor each, or, of text values, a sequence of scalars. */
typedef struct {
    const oi_tensor *key, *value;
    const onnx_infer_value *values; /* where value is NULL */
    size_t n;
    oi_dtype dtype; /* of values */
} map_view;

static oi_status need_map(const oi_eval *e, map_view *out)
{
    const onnx_infer_value *m = e->nin && e->in_value ? e->in_value[0] : NULL;
    OI_FAIL_IF(!m || m->kind != ONNX_INFER_MAP || m->count != 2 || m->item[0]->kind != ONNX_INFER_TENSOR, ONNX_INFER_E_TYPE_MISMATCH,
               "input 0 is no map");
    *out = (map_view){.key = &m->item[0]->tensor, .n = (size_t)oi_tensor_count(&m->item[0]->tensor)};
    bool dense = m->item[1]->kind == ONNX_INFER_TENSOR;
    size_t values = m->item[1]->count;
    if (dense) {
        out->value = &m->item[1]->tensor;
        out->dtype = out->value->dtype;
        values = (size_t)oi_tensor_count(out->value);
    } else {
        out->values = m->item[1];
        for (size_t i = 0; i < values; i++) {
            const onnx_infer_value *item = out->values->item[i];
            bool good = item->kind == ONNX_INFER_TENSOR && oi_tensor_count(&item->tensor) == 1 &&
                        (i == 0 || item->tensor.dtype == out->dtype);
            OI_FAIL_IF(!good, ONNX_INFER_E_TYPE_MISMATCH, "the map's values are no single elements of one type");
            out->dtype = item->tensor.dtype;
        }
    }
    OI_FAIL_IF(values != out->n, ONNX_INFER_E_INVALID_ARGUMENT, "the map has %zu keys and %zu values", out->n, values);
    return ONNX_INFER_OK;
}

/* The tensor that holds value i, and where in it. */
static const oi_tensor *value_at(const map_view *m, size_t i, size_t *at)
{
    *at = m->value ? i : 0;
    return m->value ? m->value : &m->values->item[i]->tensor;
}

/* --- CastMap --- */

enum { TO_FLOAT, TO_STRING, TO_INT64 };

static const oi_dtype cast_types[] = {ONNX_INFER_FLOAT, ONNX_INFER_STRING, ONNX_INFER_INT64};

static oi_status infer_cast_map(oi_infer *x)
{
    const map_attr *a = x->attr;
    OI_FAIL_IF(x->in[0]->kind != ONNX_INFER_MAP, ONNX_INFER_E_TYPE_MISMATCH, "input 0 is no map");
    OI_FAIL_IF(a->sparse && a->max_map < 0, ONNX_INFER_E_INVALID_MODEL, "max_map is %lld", (long long)a->max_map);
    oi_dim dims[2] = {1, a->sparse ? a->max_map : oi_dim_fresh(x->syms)};
    oi_infer_set(x, 0, cast_types[a->cast_to], 2, dims);
    return ONNX_INFER_OK;
}

static oi_status cast_value(const oi_eval *e, const oi_tensor *from, size_t at, oi_tensor *y, size_t to)
{
    const oi_string *s = from->data;
    double real = 0;
    if (y->dtype == ONNX_INFER_STRING) {
        char text[OI_NUMBER_TEXT_MAX + 320];
        if (from->dtype == ONNX_INFER_STRING)
            return oi_tensor_set_string(e->alloc, y, to, s[at].text, s[at].n);
        int n = snprintf(text, sizeof text, "%f", oi_elem_get_double(from->dtype, from->data, at));
        for (int i = 0; i < n; i++)
            text[i] = text[i] == ',' ? '.' : text[i]; /* of the process's locale */
        return oi_tensor_set_string(e->alloc, y, to, text, (size_t)n);
    }
    if (from->dtype == ONNX_INFER_STRING)
        OI_FAIL_IF(!oi_number_parse(&s[at], &real), ONNX_INFER_E_INVALID_ARGUMENT, "the value '%.*s' is no number",
                   (int)(s[at].n < 64 ? s[at].n : 64), s[at].text ? s[at].text : "");
    else
        real = oi_elem_get_double(from->dtype, from->data, at);
    oi_elem_set_double(y->dtype, y->data, to, real);
    return ONNX_INFER_OK;
}

typedef struct {
    int64_t key;
    size_t at;
} entry;

static void sift(entry *v, size_t root, size_t n)
{
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        child += child + 1 < n && v[child].key < v[child + 1].key;
        if (v[root].key >= v[child].key)
            return;
        entry keep = v[root];
        v[root] = v[child];
        v[child] = keep;
    }
}

static void sort_entries(entry *v, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(v, i, n);
    for (size_t i = n; i-- > 1;) {
        entry keep = v[0];
        v[0] = v[i];
        v[i] = keep;
        sift(v, 0, i);
    }
}

static oi_status eval_cast_map(oi_eval *e)
{
    const map_attr *a = e->attr;
    map_view m;
    oi_tensor *y;
    OI_TRY(need_map(e, &m));
    OI_FAIL_IF(m.key->dtype != ONNX_INFER_INT64 || (m.n && m.dtype != ONNX_INFER_STRING && m.dtype != ONNX_INFER_FLOAT),
               ONNX_INFER_E_UNSUPPORTED_TYPE, "the map goes from %s to %s, expected int64 to float or string", oi_dtype_name(m.key->dtype),
               oi_dtype_name(m.dtype));
    OI_FAIL_IF(a->sparse && a->max_map < 0, ONNX_INFER_E_INVALID_MODEL, "max_map is %lld", (long long)a->max_map);
    const int64_t *key = m.key->data;
    int64_t dims[2] = {1, a->sparse ? a->max_map : (int64_t)m.n};
    entry *order = oi_eval_scratch_array(e, m.n + 1, sizeof *order);
    if (!order)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < m.n; i++) {
        order[i] = (entry){key[i], i};
        OI_FAIL_IF(a->sparse && (key[i] < 0 || key[i] >= a->max_map), ONNX_INFER_E_INVALID_ARGUMENT, "key %lld is outside of 0..%lld",
                   (long long)key[i], (long long)a->max_map - 1);
    }
    sort_entries(order, m.n);
    OI_TRY(oi_eval_out(e, 0, cast_types[a->cast_to], 2, dims, &y));
    if (a->sparse && y->dtype != ONNX_INFER_STRING && y->bytes)
        memset(y->data, 0, y->bytes);
    for (int64_t i = 0; a->sparse && y->dtype == ONNX_INFER_STRING && i < dims[1]; i++)
        OI_TRY(oi_tensor_set_string(e->alloc, y, (size_t)i, "0.f", 3)); /* what models were made with writes this */
    for (size_t i = 0; i < m.n; i++) {
        size_t at;
        const oi_tensor *from = value_at(&m, order[i].at, &at);
        OI_TRY(cast_value(e, from, at, y, a->sparse ? (size_t)order[i].key : i));
    }
    return ONNX_INFER_OK;
}

/* --- DictVectorizer --- */

static oi_status check_lists(const map_attr *a, const char *what)
{
    OI_FAIL_IF((a->ints.at != NULL && a->ints.n) == (a->strings.at != NULL && a->strings.n), ONNX_INFER_E_INVALID_MODEL,
               "one of the attributes %s must be set", what);
    return ONNX_INFER_OK;
}

static oi_status infer_dict(oi_infer *x)
{
    const map_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    OI_TRY(check_lists(a, "int64_vocabulary and string_vocabulary"));
    OI_FAIL_IF(f->kind != ONNX_INFER_MAP, ONNX_INFER_E_TYPE_MISMATCH, "input 0 is no map");
    oi_dim dims[2] = {1, a->ints.n + a->strings.n};
    oi_infer_set(x, 0, f->elem ? f->elem->dtype : ONNX_INFER_UNDEFINED, 2, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_dict(oi_eval *e)
{
    const map_attr *a = e->attr;
    map_view m;
    oi_tensor *y;
    oi_key_table *table;
    OI_TRY(check_lists(a, "int64_vocabulary and string_vocabulary"));
    OI_TRY(need_map(e, &m));
    OI_FAIL_IF((m.key->dtype == ONNX_INFER_STRING) != (a->strings.n != 0), ONNX_INFER_E_TYPE_MISMATCH,
               "the map has %s keys, the vocabulary other ones", oi_dtype_name(m.key->dtype));
    if (a->strings.n)
        OI_TRY(oi_key_table_of_strings(e, &a->strings, &table));
    else
        OI_TRY(oi_key_table_of_ints(e, &a->ints, &table));
    oi_dtype dtype = m.n ? m.dtype : m.value ? m.value->dtype : ONNX_INFER_FLOAT;
    int64_t dims[2] = {1, a->ints.n + a->strings.n};
    OI_TRY(oi_eval_out(e, 0, dtype, 2, dims, &y));
    if (dtype != ONNX_INFER_STRING)
        memset(y->data, 0, y->bytes);
    for (size_t i = 0; i < m.n; i++) {
        size_t place, at;
        const oi_tensor *from = value_at(&m, i, &at);
        const oi_string *s = from->data;
        if (!oi_key_table_find(table, oi_key_of(m.key, i), &place))
            continue;
        if (dtype == ONNX_INFER_STRING)
            OI_TRY(oi_tensor_set_string(e->alloc, y, place, s[at].text, s[at].n));
        else
            memcpy((char *)y->data + place * oi_dtype_size(dtype), (const char *)from->data + at * oi_dtype_size(dtype),
                   oi_dtype_size(dtype));
    }
    return ONNX_INFER_OK;
}

/* --- ZipMap --- */

static oi_status infer_zip(oi_infer *x)
{
    static const oi_dtype real = ONNX_INFER_FLOAT;
    const map_attr *a = x->attr;
    const oi_shape *s = &x->in[0]->shape;
    OI_TRY(check_lists(a, "classlabels_int64s and classlabels_strings"));
    OI_TRY(oi_infer_need_dtype(x, 0, &real, 1));
    OI_FAIL_IF(s->rank == 0 || s->rank > 2, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, expected 1 or 2", s->rank);
    oi_fact *map = oi_arena_mem(x->arena, sizeof *map), *value = oi_arena_mem(x->arena, sizeof *value);
    if (!map || !value)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *value = oi_fact_tensor(ONNX_INFER_FLOAT, 0, NULL);
    *map = oi_fact_unknown();
    map->kind = ONNX_INFER_MAP;
    map->dtype = a->strings.n ? ONNX_INFER_STRING : ONNX_INFER_INT64;
    map->elem = value;
    x->out[0] = oi_fact_unknown();
    x->out[0].kind = ONNX_INFER_SEQUENCE;
    x->out[0].elem = map;
    return ONNX_INFER_OK;
}

static oi_status make_keys(const oi_eval *e, const map_attr *a, onnx_infer_value **out)
{
    oi_tensor t;
    int64_t n = a->ints.n + a->strings.n;
    OI_TRY(oi_tensor_create(e->alloc, a->strings.n ? ONNX_INFER_STRING : ONNX_INFER_INT64, 1, &n, &t));
    oi_status status = ONNX_INFER_OK;
    for (uint32_t i = 0; i < n && !status; i++) {
        if (a->strings.n)
            status = oi_tensor_set_string(e->alloc, &t, i, a->strings.at[i], a->strings.len[i]);
        else
            ((int64_t *)t.data)[i] = a->ints.at[i];
    }
    if (!status)
        status = oi_value_from_tensor(e->alloc, &t, out);
    if (status)
        oi_tensor_clear(&t);
    return status;
}

static oi_status push_map(const oi_eval *e, onnx_infer_value *seq, onnx_infer_value *keys, const float *row, int64_t n)
{
    oi_tensor t;
    onnx_infer_value *values = NULL, *map = NULL;
    OI_TRY(oi_tensor_create(e->alloc, ONNX_INFER_FLOAT, 1, &n, &t));
    memcpy(t.data, row, t.bytes);
    oi_status status = oi_value_from_tensor(e->alloc, &t, &values);
    if (status)
        oi_tensor_clear(&t);
    if (!status)
        status = oi_value_create(e->alloc, ONNX_INFER_MAP, &map);
    if (!status)
        status = oi_value_push(map, keys);
    if (!status)
        status = oi_value_push(map, values);
    if (!status)
        status = oi_value_push(seq, map);
    oi_value_release(values);
    oi_value_release(map);
    return status;
}

static oi_status eval_zip(oi_eval *e)
{
    const map_attr *a = e->attr;
    const oi_tensor *t = oi_eval_in(e, 0);
    OI_TRY(check_lists(a, "classlabels_int64s and classlabels_strings"));
    if (!t || t->dtype != ONNX_INFER_FLOAT)
        return oi_eval_bad_type(e, 0);
    int64_t rows = t->rank == 2 ? t->dim[0] : 1, cols = t->rank ? t->dim[t->rank - 1] : 1, n = a->ints.n + a->strings.n;
    OI_FAIL_IF(t->rank > 2 || t->rank < 1 || cols != n, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d and %lld columns, there are %lld labels",
               t->rank, (long long)cols, (long long)n);
    onnx_infer_value *seq, *keys = NULL;
    OI_TRY(oi_value_create(e->alloc, ONNX_INFER_SEQUENCE, &seq));
    oi_status status = make_keys(e, a, &keys);
    for (int64_t r = 0; r < rows && !status; r++)
        status = push_map(e, seq, keys, (const float *)t->data + r * cols, n);
    oi_value_release(keys);
    if (!status)
        return e->host->out_value(e, 0, seq);
    oi_value_release(seq);
    return status;
}

/* --- definitions --- */

static const oi_attr_spec cast_map_attrs[] = {
    {.name = "cast_to", .type = OI_ATTR_ENUM, .offset = offsetof(map_attr, cast_to), .s = "TO_FLOAT|TO_STRING|TO_INT64"},
    {.name = "map_form", .type = OI_ATTR_ENUM, .offset = offsetof(map_attr, sparse), .s = "DENSE|SPARSE"},
    {.name = "max_map", .type = OI_ATTR_INT, .offset = offsetof(map_attr, max_map), .i = 1},
    {0},
};
static const oi_attr_spec dict_attrs[] = {
    {.name = "int64_vocabulary", .type = OI_ATTR_INTS, .offset = offsetof(map_attr, ints)},
    {.name = "string_vocabulary", .type = OI_ATTR_STRINGS, .offset = offsetof(map_attr, strings)},
    {0},
};
static const oi_attr_spec zip_attrs[] = {
    {.name = "classlabels_int64s", .type = OI_ATTR_INTS, .offset = offsetof(map_attr, ints)},
    {.name = "classlabels_strings", .type = OI_ATTR_STRINGS, .offset = offsetof(map_attr, strings)},
    {0},
};

#define MAP_OP(id, table, infer_fn, eval_fn) \
    const oi_op oi_op_ml_##id = {.name = #id, .domain = OI_ML_DOMAIN, .since = 1, .newest = 1, .min_in = 1, .max_in = 1, .min_out = 1, \
                              .max_out = 1, .attrs = table, .attr_size = sizeof(map_attr), .infer = infer_fn, .eval = eval_fn}

MAP_OP(CastMap, cast_map_attrs, infer_cast_map, eval_cast_map);
MAP_OP(DictVectorizer, dict_attrs, infer_dict, eval_dict);
MAP_OP(ZipMap, zip_attrs, infer_zip, eval_zip);
