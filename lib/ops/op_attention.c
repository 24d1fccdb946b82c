/* Attention: scaled dot products of queries and keys, bias, softmax, and the weighted sum of values. */
#include "ops/op.h"
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t is_causal, q_num_heads, kv_num_heads, softmax_precision, output_mode, left_window, right_window;
    float scale, softcap;
} attention_attr;

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_KEY, IN_PAST_VALUE, IN_LENGTHS };
enum { MODE_RAW, MODE_CAPPED, MODE_BIASED, MODE_PROBABILITIES };

/* --- infer --- */

/* Dims as [batch, heads, length, size], whatever the rank; false where not known. */
static bool head_dims(oi_infer *x, const oi_fact *f, int64_t heads, oi_dim *d)
{
    const oi_dim *s = f->shape.dim;
    if (f->shape.rank == 4) {
        memcpy(d, s, 4 * sizeof *d);
        return true;
    }
    if (f->shape.rank != 3 || heads < 1)
        return false;
    d[0] = s[0];
    d[1] = heads;
    d[2] = s[1];
    d[3] = oi_dim_floordiv(x->syms, s[2], heads);
    return true;
}

static oi_status infer(oi_infer *x)
{
    const attention_attr *a = x->attr;
    const oi_fact *q = x->in[IN_Q], *past = oi_infer_in(x, IN_PAST_KEY);
    oi_dim dq[4], dk[4], dv[4];
    OI_FAIL_IF((q->shape.rank == 3) && (a->q_num_heads < 1 || a->kv_num_heads < 1), ONNX_INFER_E_INVALID_MODEL,
               "Attention: inputs of rank 3 need q_num_heads and kv_num_heads");
    for (uint32_t i = 0; i < x->nout; i++)
        oi_infer_set_fresh(x, i, x->in[i == 2 ? IN_V : IN_Q]->dtype, i ? 4 : q->shape.rank);
    if (!head_dims(x, q, a->q_num_heads, dq) || !head_dims(x, x->in[IN_K], a->kv_num_heads, dk) ||
        !head_dims(x, x->in[IN_V], a->kv_num_heads, dv) || (past && past->shape.rank != 4))
        return ONNX_INFER_OK;
    oi_dim total = past ? oi_dim_add(x->syms, past->shape.dim[2], dk[2]) : dk[2];
    if (q->shape.rank == 4)
        oi_infer_set(x, 0, q->dtype, 4, (oi_dim[]){dq[0], dq[1], dq[2], dv[3]});
    else
        oi_infer_set(x, 0, q->dtype, 3, (oi_dim[]){dq[0], dq[2], oi_dim_mul(x->syms, dq[1], dv[3])});
    oi_infer_set(x, 1, x->in[IN_K]->dtype, 4, (oi_dim[]){dk[0], dk[1], total, dk[3]});
    oi_infer_set(x, 2, x->in[IN_V]->dtype, 4, (oi_dim[]){dv[0], dv[1], total, dv[3]});
    oi_infer_set(x, 3, q->dtype, 4, (oi_dim[]){dq[0], dq[1], dq[2], total});
    return ONNX_INFER_OK;
}

/* --- eval --- */

/* A tensor as [batch][heads][length][size] in double. */
typedef struct {
    int64_t batch, heads, length, size;
    double *v;
} head_values;

typedef struct {
    const attention_attr *a;
    head_values q, k, v;          /* q and k scaled; k and v with what was past */
    int64_t past, total, q_heads; /* total: keys in all */
    const oi_tensor *mask;
    int64_t mask_stride[4], mask_last;
    const int64_t *lengths;
    oi_dtype type, softmax_type;
    double *room;                 /* 2 * total for each head of each sample */
    oi_tensor *y, *scores;
} attention;

/* Rounds to an element type: every step of the standard's definition is in it. */
static double step(oi_dtype t, double v)
{
    switch (t) {
    case ONNX_INFER_FLOAT: return (double)(float)v;
    case ONNX_INFER_FLOAT16: return (double)oi_half_to_float(oi_half_from_double(v));
    case ONNX_INFER_BFLOAT16: return (double)oi_bfloat16_to_float(oi_bfloat16_from_float((float)v));
    default: return v;
    }
}

static oi_status shape_of(oi_eval *e, uint32_t in, int64_t heads, head_values *h)
{
    const oi_tensor *t = oi_eval_in(e, in);
    if (!t || !oi_dtype_is_float(t->dtype))
        return oi_eval_bad_type(e, in);
    if (t->rank == 4) {
        *h = (head_values){t->dim[0], t->dim[1], t->dim[2], t->dim[3], NULL};
        return ONNX_INFER_OK;
    }
    OI_FAIL_IF(t->rank != 3 || heads < 1 || t->dim[2] % heads, ONNX_INFER_E_SHAPE_MISMATCH,
               "Attention: input %u has rank %d, 3 (with a size that its heads divide) or 4 is needed", in, (int)t->rank);
    *h = (head_values){t->dim[0], heads, t->dim[1], t->dim[2] / heads, NULL};
    return ONNX_INFER_OK;
}

/* Reads input `in` behind `past` rows (of input `before`, where there is one). */
static oi_status read_heads(oi_eval *e, uint32_t in, uint32_t before, int64_t past, head_values *h)
{
    const oi_tensor *t = oi_eval_in(e, in), *old = past ? oi_eval_in(e, before) : NULL;
    int64_t total = past + h->length;
    h->v = oi_eval_scratch_array(e, (size_t)(h->batch * h->heads * total * h->size) + 1, sizeof *h->v);
    if (!h->v)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (int64_t b = 0; b < h->batch; b++) {
        for (int64_t n = 0; n < h->heads; n++) {
            int64_t at = (b * h->heads + n) * total * h->size;
            if (old)
                oi_convert(old->dtype, old->data, (size_t)((b * h->heads + n) * past * h->size), ONNX_INFER_DOUBLE, h->v, (size_t)at,
                           (size_t)(past * h->size), true);
            for (int64_t i = 0; i < h->length; i++) {
                int64_t from = t->rank == 4 ? ((b * h->heads + n) * h->length + i) * h->size : ((b * h->length + i) * h->heads + n) * h->size;
                oi_convert(t->dtype, t->data, (size_t)from, ONNX_INFER_DOUBLE, h->v, (size_t)(at + (past + i) * h->size), (size_t)h->size,
                           true);
            }
        }
    }
    h->length = total;
    return ONNX_INFER_OK;
}

static oi_status write_heads(oi_eval *e, uint32_t out, oi_dtype dtype, const head_values *h)
{
    oi_tensor *y;
    if (!oi_eval_wants(e, out))
        return ONNX_INFER_OK;
    OI_TRY(oi_eval_out(e, out, dtype, 4, (const int64_t[]){h->batch, h->heads, h->length, h->size}, &y));
    oi_convert(ONNX_INFER_DOUBLE, h->v, 0, dtype, y->data, 0, (size_t)oi_tensor_count(y), true);
    return ONNX_INFER_OK;
}

static oi_status read_mask(attention *s, const oi_tensor *mask)
{
    int64_t to[4] = {s->q.batch, s->q_heads, s->q.length, s->total}, at = 1;
    s->mask = mask;
    if (!mask)
        return ONNX_INFER_OK;
    OI_FAIL_IF(mask->dtype != ONNX_INFER_BOOL && !oi_dtype_is_float(mask->dtype), ONNX_INFER_E_UNSUPPORTED_TYPE,
               "Attention: a mask cannot be %s", oi_dtype_name(mask->dtype));
    OI_FAIL_IF(mask->rank < 1 || mask->rank > 4, ONNX_INFER_E_SHAPE_MISMATCH, "Attention: the mask has rank %d", (int)mask->rank);
    s->mask_last = mask->dim[mask->rank - 1];
    for (int32_t i = mask->rank; i-- > 0;) {
        int32_t axis = 4 - mask->rank + i;
        bool fits = axis == 3 ? mask->dim[i] <= to[3] : mask->dim[i] == to[axis] || mask->dim[i] == 1;
        OI_FAIL_IF(!fits, ONNX_INFER_E_SHAPE_MISMATCH, "Attention: the mask has %lld elements along axis %d, at most %lld fit",
                   (long long)mask->dim[i], (int)axis, (long long)to[axis]);
        s->mask_stride[axis] = mask->dim[i] == 1 && axis != 3 ? 0 : at;
        at *= mask->dim[i];
    }
    return ONNX_INFER_OK;
}

/* What is added to the score of query i and key j. */
static double bias_of(const attention *s, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const attention_attr *a = s->a;
    double bias = 0;
    if (s->mask) {
        int64_t at = b * s->mask_stride[0] + h * s->mask_stride[1] + i * s->mask_stride[2] + j * s->mask_stride[3];
        if (j >= s->mask_last)
            bias = -INFINITY;
        else if (s->mask->dtype == ONNX_INFER_BOOL)
            bias = ((const uint8_t *)s->mask->data)[at] ? 0 : -INFINITY;
        else
            bias = oi_elem_get_double(s->mask->dtype, s->mask->data, (size_t)at);
    }
    int64_t place = i + (s->lengths ? s->lengths[b] - s->q.length : s->past);
    bool out = (a->is_causal && j > place) || (a->left_window >= 0 && place - j > a->left_window) ||
               (a->right_window >= 0 && j - place > a->right_window) || (s->lengths && j >= s->lengths[b]);
    return out ? bias - INFINITY : bias;
}

static double capped(const attention *s, double v)
{
    double cap = (double)s->a->softcap;
    return cap > 0 ? step(s->type, step(s->type, tanh(step(s->type, v / cap))) * cap) : v;
}

/* Softmax of n scores in place; a row without any finite score becomes zeros. */
static void softmax(oi_dtype t, int64_t n, double *w)
{
    double max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++) {
        w[j] = step(t, w[j]);
        max = w[j] > max || w[j] != w[j] ? w[j] : max;
    }
    max = max == -INFINITY ? 0 : max;
    for (int64_t j = 0; j < n; j++) {
        w[j] = step(t, exp(step(t, w[j] - max)));
        sum += w[j];
    }
    sum = step(t, sum);
    sum = sum == 0 ? 1 : sum;
    for (int64_t j = 0; j < n; j++)
        w[j] = step(t, w[j] / sum);
}

/* All queries of one head of one sample. */
static oi_status attend(void *arg, size_t index)
{
    const attention *s = arg;
    int64_t b = (int64_t)index / s->q_heads, h = (int64_t)index % s->q_heads, group = s->q_heads / s->k.heads;
    int64_t d = s->q.size, dv = s->v.size, n = s->total, mode = s->a->output_mode;
    const double *q = s->q.v + (int64_t)index * s->q.length * d;
    const double *k = s->k.v + (b * s->k.heads + h / group) * n * d, *v = s->v.v + (b * s->v.heads + h / group) * n * dv;
    double *w = s->room + (int64_t)index * 2 * n, *show = w + n;
    for (int64_t i = 0; i < s->q.length; i++) {
        bool masked = true;
        for (int64_t j = 0; j < n; j++) {
            double score = 0, bias = bias_of(s, b, h, i, j);
            for (int64_t c = 0; c < d; c++)
                score += q[i * d + c] * k[j * d + c];
            score = step(s->type, score);
            show[j] = score;
            score = capped(s, score);
            show[j] = mode == MODE_CAPPED ? score : show[j];
            w[j] = step(s->type, score + bias);
            show[j] = mode == MODE_BIASED ? w[j] : show[j];
            masked = masked && bias == -INFINITY;
        }
        softmax(s->softmax_type, n, w);
        for (int64_t j = 0; j < n; j++) {
            w[j] = masked ? 0 : step(s->type, w[j]);
            show[j] = mode == MODE_PROBABILITIES ? w[j] : show[j];
        }
        if (s->scores)
            oi_convert(ONNX_INFER_DOUBLE, show, 0, s->type, s->scores->data, (size_t)(((int64_t)index * s->q.length + i) * n), (size_t)n, true);
        int64_t to = s->y->rank == 4 ? ((int64_t)index * s->q.length + i) * dv : ((b * s->q.length + i) * s->q_heads + h) * dv;
        for (int64_t c = 0; c < dv; c++) {
            double sum = 0;
            for (int64_t j = 0; j < n; j++)
                sum += w[j] * v[j * dv + c];
            oi_elem_set_double(s->type, s->y->data, (size_t)(to + c), sum);
        }
    }
    return ONNX_INFER_OK;
}

static void scale_by(oi_dtype t, double factor, double *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = step(t, v[i] * factor);
}

static oi_status eval(oi_eval *e)
{
    const attention_attr *a = e->attr;
    const oi_tensor *past_key = oi_eval_in(e, IN_PAST_KEY), *past_value = oi_eval_in(e, IN_PAST_VALUE), *lengths = oi_eval_in(e, IN_LENGTHS);
    attention s = {.a = a};
    OI_TRY(shape_of(e, IN_Q, a->q_num_heads, &s.q));
    OI_TRY(shape_of(e, IN_K, a->kv_num_heads, &s.k));
    OI_TRY(shape_of(e, IN_V, a->kv_num_heads, &s.v));
    OI_FAIL_IF(s.k.batch != s.q.batch || s.v.batch != s.q.batch || s.k.length != s.v.length || s.k.heads != s.v.heads ||
                   s.k.size != s.q.size || (s.k.heads ? s.q.heads % s.k.heads : s.q.heads) != 0,
               ONNX_INFER_E_SHAPE_MISMATCH, "Attention: queries, keys and values do not fit each other");
    OI_FAIL_IF(!past_key != !past_value, ONNX_INFER_E_INVALID_MODEL, "Attention: past_key and past_value come together");
    if (past_key) {
        s.past = past_key->rank == 4 ? past_key->dim[2] : -1;
        const int64_t want_key[4] = {s.k.batch, s.k.heads, s.past, s.k.size}, want_value[4] = {s.v.batch, s.v.heads, s.past, s.v.size};
        OI_FAIL_IF(s.past < 0 || past_value->rank != 4 || memcmp(past_key->dim, want_key, sizeof want_key) != 0 ||
                       memcmp(past_value->dim, want_value, sizeof want_value) != 0,
                   ONNX_INFER_E_SHAPE_MISMATCH, "Attention: past keys or values do not fit the new ones");
    }
    OI_FAIL_IF(lengths && (lengths->dtype != ONNX_INFER_INT64 || oi_tensor_count(lengths) != s.q.batch), ONNX_INFER_E_SHAPE_MISMATCH,
               "Attention: nonpad_kv_seqlen needs one int64 for each sample");
    OI_FAIL_IF(a->softmax_precision && !oi_dtype_is_float((oi_dtype)a->softmax_precision), ONNX_INFER_E_INVALID_MODEL,
               "Attention: softmax_precision is %lld", (long long)a->softmax_precision);
    s.type = e->in[IN_Q]->dtype;
    s.softmax_type = a->softmax_precision ? (oi_dtype)a->softmax_precision : s.type;
    s.q_heads = s.q.heads;
    s.total = s.past + s.k.length;
    s.lengths = lengths ? lengths->data : NULL;
    OI_TRY(read_mask(&s, oi_eval_in(e, IN_MASK)));
    OI_TRY(read_heads(e, IN_Q, 0, 0, &s.q));
    OI_TRY(read_heads(e, IN_K, IN_PAST_KEY, s.past, &s.k));
    OI_TRY(read_heads(e, IN_V, IN_PAST_VALUE, s.past, &s.v));
    OI_TRY(write_heads(e, 1, e->in[IN_K]->dtype, &s.k));
    OI_TRY(write_heads(e, 2, e->in[IN_V]->dtype, &s.v));
    double scale = step(s.type, sqrt(isnan(a->scale) ? 1 / sqrt((double)s.q.size) : (double)a->scale));
    scale_by(s.type, scale, s.q.v, s.q.batch * s.q.heads * s.q.length * s.q.size);
    scale_by(s.type, scale, s.k.v, s.k.batch * s.k.heads * s.k.length * s.k.size);
    size_t lanes = (size_t)(s.q.batch * s.q_heads);
    s.room = oi_eval_scratch_array(e, lanes * 2 * (size_t)s.total + 1, sizeof *s.room);
    if (!s.room)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (oi_eval_wants(e, 3))
        OI_TRY(oi_eval_out(e, 3, s.type, 4, (const int64_t[]){s.q.batch, s.q_heads, s.q.length, s.total}, &s.scores));
    bool flat = e->in[IN_Q]->rank == 3;
    const int64_t dims4[4] = {s.q.batch, s.q_heads, s.q.length, s.v.size}, dims3[3] = {s.q.batch, s.q.length, s.q_heads * s.v.size};
    OI_TRY(oi_eval_out(e, 0, s.type, flat ? 3 : 4, flat ? dims3 : dims4, &s.y));
    return e->host->parallel(e, lanes, attend, &s);
}

#define INT_ATTR(label, field, value) {.name = label, .type = OI_ATTR_INT, .offset = offsetof(attention_attr, field), .i = value}
#define FLOAT_ATTR(label, field, value) {.name = label, .type = OI_ATTR_FLOAT, .offset = offsetof(attention_attr, field), .f = value}

static const oi_attr_spec attrs[] = {
    INT_ATTR("is_causal", is_causal, 0), INT_ATTR("kv_num_heads", kv_num_heads, 0), INT_ATTR("left_window_size", left_window, -1),
    INT_ATTR("q_num_heads", q_num_heads, 0), INT_ATTR("qk_matmul_output_mode", output_mode, 0),
    INT_ATTR("right_window_size", right_window, -1), FLOAT_ATTR("scale", scale, NAN), FLOAT_ATTR("softcap", softcap, 0.0f),
    INT_ATTR("softmax_precision", softmax_precision, 0), {0},
};

const oi_op oi_op_Attention = {
    .name = "Attention", .domain = "", .since = 23, .newest = 25, .min_in = 3, .max_in = 7, .min_out = 1, .max_out = 4, .attrs = attrs,
    .attr_size = sizeof(attention_attr), .infer = infer, .eval = eval,
};
