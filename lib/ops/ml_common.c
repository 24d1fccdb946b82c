/* What the operators of ai.onnx.ml share. */
#include "ops/ml_common.h"

#include <math.h>
#include <string.h>

const oi_dtype oi_ml_numbers[4] = {ONNX_INFER_FLOAT, ONNX_INFER_DOUBLE, ONNX_INFER_INT64, ONNX_INFER_INT32};

/* --- scores --------------------------------------------------------------------------------------------------------- */

double oi_ml_logistic(double v)
{
    double r = 1 / (1 + exp(-fabs(v)));
    return v < 0 ? 1 - r : r;
}

/* The standard's references use this approximation of the inverse of erf, so it is what models were made with. */
double oi_ml_probit(double v)
{
    double x = 2 * v - 1, sign = x < 0 ? -1 : 1;
    double log_part = log((1 - x) * (1 + x));
    double a = 2 / (3.14159265358979323846 * 0.147) + 0.5 * log_part, b = log_part / 0.147;
    return 1.41421356 * sign * sqrt(sqrt(a * a - b) - a);
}

static void softmax(double *score, size_t n, bool keep_zeros)
{
    double most = score[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        most = score[i] > most ? score[i] : most;
    for (size_t i = 0; i < n; i++) {
        score[i] = keep_zeros && fabs(score[i]) <= 1e-7 ? score[i] * exp(-most) : exp(score[i] - most);
        sum += score[i];
    }
    for (size_t i = 0; i < n; i++)
        score[i] = sum == 0 ? 0.5 : score[i] / sum;
}

void oi_ml_post(int64_t transform, double *score, size_t n)
{
    if (n && (transform == OI_POST_SOFTMAX || transform == OI_POST_SOFTMAX_ZERO))
        softmax(score, n, transform == OI_POST_SOFTMAX_ZERO);
    for (size_t i = 0; i < n && transform == OI_POST_LOGISTIC; i++)
        score[i] = oi_ml_logistic(score[i]);
    for (size_t i = 0; i < n && transform == OI_POST_PROBIT; i++)
        score[i] = oi_ml_probit(score[i]);
}

size_t oi_ml_write_scores(int64_t transform, oi_second second, double *score, size_t n, float *out)
{
    if (n == 1 && second != OI_SECOND_NONE && transform != OI_POST_PROBIT) {
        n = 2;
        score[1] = second == OI_SECOND_COMPLEMENT && transform == OI_POST_LOGISTIC ? oi_ml_logistic(score[0]) : score[0];
        score[0] = second == OI_SECOND_COMPLEMENT ? 1 - score[1] : -score[1];
        if (second == OI_SECOND_NEGATED)
            oi_ml_post(transform, score, 2);
    } else if (n != 1 || transform == OI_POST_PROBIT || transform == OI_POST_LOGISTIC) {
        oi_ml_post(transform, score, n);
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (float)score[i];
    return n;
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

oi_status oi_ml_infer_rows(const oi_infer *x, oi_dim *rows, oi_dim *cols)
{
    const oi_shape *s = &x->in[0]->shape;
    OI_TRY(oi_infer_need_dtype(x, 0, oi_ml_numbers, 4));
    OI_FAIL_IF(s->rank == 0 || s->rank > 2, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, %s takes rows: rank 1 or 2", s->rank,
               x->op->name);
    *rows = s->rank == 2 ? s->dim[0] : s->rank == 1 ? 1 : oi_dim_fresh(x->syms);
    *cols = s->rank > 0 ? s->dim[s->rank - 1] : oi_dim_fresh(x->syms);
    return ONNX_INFER_OK;
}

oi_status oi_ml_rows(const oi_eval *e, int64_t *rows, int64_t *cols)
{
    const oi_tensor *t = oi_eval_in(e, 0);
    bool known = false;
    for (size_t i = 0; t && i < 4; i++)
        known = known || t->dtype == oi_ml_numbers[i];
    if (!known)
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(t->rank != 1 && t->rank != 2, ONNX_INFER_E_SHAPE_MISMATCH, "input 0 has rank %d, %s takes rows: rank 1 or 2", t->rank,
               e->op->name);
    *rows = t->rank == 2 ? t->dim[0] : 1;
    *cols = t->dim[t->rank - 1];
    return ONNX_INFER_OK;
}

/* --- keys ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    oi_key key;
    size_t place;
    bool used;
} slot;

struct oi_key_table {
    size_t mask;
    slot at[];
};

oi_key oi_key_text(const char *text, size_t n)
{
    return (oi_key){text ? text : "", n, 0};
}

oi_key oi_key_int(int64_t v)
{
    return (oi_key){NULL, 0, (uint64_t)v};
}

oi_key oi_key_float(double v)
{
    oi_key k = {NULL, 0, 0};
    if (v != v)
        k.bits = UINT64_C(0x7FF8000000000000);
    else if (v != 0)
        memcpy(&k.bits, &v, sizeof v);
    return k;
}

oi_key oi_key_of(const oi_tensor *t, size_t i)
{
    const oi_string *s = t->data;
    if (t->dtype == ONNX_INFER_STRING)
        return oi_key_text(s[i].text, s[i].n);
    return oi_dtype_is_float(t->dtype) ? oi_key_float(oi_elem_get_double(t->dtype, t->data, i))
                                       : oi_key_int(oi_elem_get_int(t->dtype, t->data, i));
}

static uint64_t hash(const oi_key *k)
{
    uint64_t h = k->bits ^ UINT64_C(0x9E3779B97F4A7C15);
    for (size_t i = 0; i < k->n; i++)
        h = (h ^ (unsigned char)k->text[i]) * UINT64_C(0x100000001B3);
    h = (h ^ h >> 32) * UINT64_C(0xD6E8FEB86659FD93);
    return h ^ h >> 32;
}

static bool same(const oi_key *a, const oi_key *b)
{
    return a->bits == b->bits && a->n == b->n && !a->text == !b->text && (!a->n || memcmp(a->text, b->text, a->n) == 0);
}

oi_status oi_key_table_create(oi_eval *e, size_t n, oi_key_table **out)
{
    size_t slots = 8;
    while (slots / 2 < n && slots <= SIZE_MAX / 4 / sizeof(slot))
        slots *= 2;
    *out = oi_eval_scratch(e, sizeof **out + slots * sizeof(slot));
    if (!*out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    (*out)->mask = slots - 1;
    return ONNX_INFER_OK;
}

static size_t find(const oi_key_table *t, const oi_key *key)
{
    size_t i = (size_t)hash(key) & t->mask;
    while (t->at[i].used && !same(&t->at[i].key, key))
        i = (i + 1) & t->mask;
    return i;
}

void oi_key_table_add(oi_key_table *t, oi_key key, size_t place, bool replace)
{
    slot *s = &t->at[find(t, &key)];
    if (!s->used || replace)
        *s = (slot){key, place, true};
}

bool oi_key_table_find(const oi_key_table *t, oi_key key, size_t *place)
{
    const slot *s = &t->at[find(t, &key)];
    *place = s->place;
    return s->used;
}

oi_status oi_key_table_of_strings(oi_eval *e, const oi_strings *s, oi_key_table **out)
{
    OI_TRY(oi_key_table_create(e, s->n, out));
    for (uint32_t i = 0; i < s->n; i++)
        oi_key_table_add(*out, oi_key_text(s->at[i], s->len[i]), i, true);
    return ONNX_INFER_OK;
}

oi_status oi_key_table_of_ints(oi_eval *e, const oi_ints *v, oi_key_table **out)
{
    OI_TRY(oi_key_table_create(e, v->n, out));
    for (uint32_t i = 0; i < v->n; i++)
        oi_key_table_add(*out, oi_key_int(v->at[i]), i, true);
    return ONNX_INFER_OK;
}

/* --- class labels ------------------------------------------------------------------------------------------------------ */

static oi_status label_constant(oi_import *im, const oi_strings *labels, oi_value_id *out)
{
    oi_tensor t;
    const oi_alloc *alloc = oi_arena_alloc_of(im->g->arena);
    int64_t n = labels->n;
    OI_TRY(oi_tensor_create(alloc, ONNX_INFER_STRING, 1, &n, &t));
    oi_status status = ONNX_INFER_OK;
    for (uint32_t i = 0; i < labels->n && !status; i++)
        status = oi_tensor_set_string(alloc, &t, i, labels->at[i], labels->len[i]);
    if (!status)
        status = oi_graph_add_const(im->g, "", &t, out);
    if (status)
        oi_tensor_clear(&t);
    return status;
}

static oi_status add_with_labels(oi_import *im, const oi_strings *labels, const char *ints)
{
    oi_value_id in[2], label = im->nout ? im->out[0] : OI_NONE;
    oi_node_id id;
    void *attr;
    int64_t *places = oi_arena_array(im->g->arena, labels->n, sizeof *places);
    if (!places)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < labels->n; i++)
        places[i] = i;
    OI_TRY(oi_import_set_ints(im, ints, places, labels->n));
    OI_TRY(label_constant(im, labels, &in[0]));
    for (uint32_t i = 0; i < im->nout; i++)
        if (i == 0 || im->out[i] == OI_NONE)
            OI_TRY(oi_graph_add_value(im->g, "", &im->out[i]));
    OI_TRY(oi_attr_parse_raw(im->g->arena, im->op, im->attr, im->nattr, &attr));
    OI_TRY(oi_graph_add_node(im->g, im->op, im->name, attr, im->nin, im->in, im->nout, im->out, 0, NULL, &id));
    im->done = true;
    in[1] = im->nout ? im->out[0] : OI_NONE;
    return label == OI_NONE ? ONNX_INFER_OK : oi_import_node(im, "Gather", "axis=0", 2, in, 1, &label);
}

oi_status oi_ml_import_labels(oi_import *im, const char *strings, const char *ints, bool may_lack)
{
    const oi_raw_attr *s = oi_import_find(im, strings), *v = oi_import_find(im, ints);
    bool have_strings = s && s->type == OI_RAW_STRINGS && s->strings.n, have_ints = v && v->type == OI_RAW_INTS && v->ints.n;
    OI_FAIL_IF(have_strings == have_ints && (have_strings || !may_lack), ONNX_INFER_E_INVALID_MODEL,
               "one of the attributes %s and %s must hold the class labels", strings, ints);
    oi_strings labels = have_strings ? s->strings : (oi_strings){0};
    if (s && s->type == OI_RAW_STRINGS)
        oi_import_drop(im, strings);
    return have_strings ? add_with_labels(im, &labels, ints) : ONNX_INFER_OK;
}
