/* LinearAttention: a state for each head, key by value, that every token fades, corrects, adds to and reads. */
#include "ops/op.h"
#include "ops/widen.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t chunk_size, kv_heads, q_heads, rule;
    float scale;
} linear_attr;

enum { LINEAR, GATED, DELTA, GATED_DELTA };
enum { IN_QUERY, IN_KEY, IN_VALUE, IN_PAST, IN_DECAY, IN_BETA };

typedef struct {
    int64_t length, q_heads, kv_heads, d_k, d_v;
    int64_t decays, betas;       /* numbers of each for a token */
    float scale;
    const float *query, *key, *value, *past, *decay, *beta;
    float *y, *state, *correction; /* correction: d_v for each head of each sample */
} linear_job;

static oi_status check_attributes(const linear_attr *a)
{
    OI_FAIL_IF(a->kv_heads < 1 || a->q_heads < 1 || a->q_heads > INT32_MAX || a->q_heads % a->kv_heads, ONNX_INFER_E_INVALID_MODEL,
               "LinearAttention: q_num_heads is %lld, a multiple of kv_num_heads, %lld, is needed", (long long)a->q_heads,
               (long long)a->kv_heads);
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    const linear_attr *a = x->attr;
    const oi_fact *q = x->in[IN_QUERY], *v = x->in[IN_VALUE], *past = oi_infer_in(x, IN_PAST);
    oi_dtype state = past && past->dtype ? past->dtype : q->dtype;
    OI_TRY(check_attributes(a));
    oi_infer_set_fresh(x, 0, q->dtype, 3);
    if (x->nout > 1)
        oi_infer_set_fresh(x, 1, state, 4);
    if (q->shape.rank != 3 || v->shape.rank != 3)
        return ONNX_INFER_OK;
    oi_dim d_k = oi_dim_floordiv(x->syms, q->shape.dim[2], a->q_heads), d_v = oi_dim_floordiv(x->syms, v->shape.dim[2], a->kv_heads);
    oi_infer_set(x, 0, q->dtype, 3, (oi_dim[]){q->shape.dim[0], q->shape.dim[1], oi_dim_mul(x->syms, d_v, a->q_heads)});
    if (x->nout > 1)
        oi_infer_set(x, 1, state, 4, (oi_dim[]){q->shape.dim[0], a->kv_heads, d_k, d_v});
    return ONNX_INFER_OK;
}

/* One key and value head of one sample, token by token. */
static oi_status attend(void *arg, size_t lane)
{
    const linear_job *j = arg;
    int64_t b = (int64_t)lane / j->kv_heads, h = (int64_t)lane % j->kv_heads, group = j->q_heads / j->kv_heads, d_v = j->d_v;
    float *state = j->state + (int64_t)lane * j->d_k * d_v, *v = j->correction + (int64_t)lane * d_v;
    if (j->past)
        memcpy(state, j->past + (int64_t)lane * j->d_k * d_v, (size_t)(j->d_k * d_v) * sizeof *state);
    else
        memset(state, 0, (size_t)(j->d_k * d_v) * sizeof *state);
    for (int64_t t = b * j->length; t < (b + 1) * j->length; t++) {
        const float *key = j->key + (t * j->kv_heads + h) * j->d_k, *value = j->value + (t * j->kv_heads + h) * d_v;
        memset(v, 0, (size_t)d_v * sizeof *v);
        for (int64_t d = 0; d < j->d_k && (j->decay || j->beta); d++) {
            float *row = state + d * d_v;
            if (j->decay) {
                float fade = expf(j->decay[t * j->decays + (j->decays == j->kv_heads ? h : h * j->d_k + d)]);
                for (int64_t m = 0; m < d_v; m++)
                    row[m] *= fade;
            }
            for (int64_t m = 0; m < d_v && j->beta; m++)
                v[m] += row[m] * key[d];
        }
        float rate = j->beta ? j->beta[t * j->betas + (j->betas == 1 ? 0 : h)] : 1;
        for (int64_t m = 0; m < d_v; m++)
            v[m] = j->beta ? rate * (value[m] - v[m]) : value[m];
        float *y = j->y + (t * j->q_heads + h * group) * d_v;
        const float *query = j->query + (t * j->q_heads + h * group) * j->d_k;
        memset(y, 0, (size_t)(group * d_v) * sizeof *y);
        for (int64_t d = 0; d < j->d_k; d++) {
            float *row = state + d * d_v;
            for (int64_t m = 0; m < d_v; m++)
                row[m] += key[d] * v[m];
            for (int64_t g = 0; g < group; g++) {
                float weight = query[g * j->d_k + d];
                for (int64_t m = 0; m < d_v; m++)
                    y[g * d_v + m] += weight * row[m];
            }
        }
        for (int64_t m = 0; m < group * d_v; m++)
            y[m] *= j->scale;
    }
    return ONNX_INFER_OK;
}

static oi_status check_inputs(const oi_eval *e, const linear_attr *a, linear_job *j)
{
    const oi_tensor *q = oi_eval_in(e, IN_QUERY), *k = oi_eval_in(e, IN_KEY), *v = oi_eval_in(e, IN_VALUE);
    const oi_tensor *past = oi_eval_in(e, IN_PAST), *decay = oi_eval_in(e, IN_DECAY), *beta = oi_eval_in(e, IN_BETA);
    bool gated = a->rule == GATED || a->rule == GATED_DELTA, corrected = a->rule == DELTA || a->rule == GATED_DELTA;
    OI_TRY(check_attributes(a));
    OI_FAIL_IF((decay != NULL) != gated || (beta != NULL) != corrected, ONNX_INFER_E_INVALID_MODEL,
               "LinearAttention: this update_rule needs %s decay and %s beta", gated ? "a" : "no", corrected ? "a" : "no");
    for (uint32_t i = 0; i < 6; i++) {
        const oi_tensor *t = oi_eval_in(e, i);
        OI_FAIL_IF(t && i != IN_PAST && (t->rank != 3 || t->dim[0] != q->dim[0] || t->dim[1] != q->dim[1]), ONNX_INFER_E_SHAPE_MISMATCH,
                   "LinearAttention: input %u must have rank 3 and the batch and length of input 0", i);
    }
    j->d_k = q->dim[2] / a->q_heads;
    j->d_v = v->dim[2] / a->kv_heads;
    OI_FAIL_IF(j->d_k * a->q_heads != q->dim[2] || j->d_k * a->kv_heads != k->dim[2] || j->d_v * a->kv_heads != v->dim[2],
               ONNX_INFER_E_SHAPE_MISMATCH, "LinearAttention: %lld query and %lld key heads do not divide sizes %lld, %lld and %lld",
               (long long)a->q_heads, (long long)a->kv_heads, (long long)q->dim[2], (long long)k->dim[2], (long long)v->dim[2]);
    OI_FAIL_IF(past && (past->rank != 4 || past->dim[0] != q->dim[0] || past->dim[1] != a->kv_heads || past->dim[2] != j->d_k ||
                        past->dim[3] != j->d_v),
               ONNX_INFER_E_SHAPE_MISMATCH, "LinearAttention: the past state must be %lld x %lld x %lld x %lld", (long long)q->dim[0],
               (long long)a->kv_heads, (long long)j->d_k, (long long)j->d_v);
    j->decays = decay ? decay->dim[2] : 0;
    j->betas = beta ? beta->dim[2] : 0;
    OI_FAIL_IF(decay && j->decays != a->kv_heads && j->decays != k->dim[2], ONNX_INFER_E_SHAPE_MISMATCH,
               "LinearAttention: decay has %lld numbers for a token, expected %lld or %lld", (long long)j->decays, (long long)a->kv_heads,
               (long long)k->dim[2]);
    OI_FAIL_IF(beta && j->betas != a->kv_heads && j->betas != 1, ONNX_INFER_E_SHAPE_MISMATCH,
               "LinearAttention: beta has %lld numbers for a token, expected %lld or 1", (long long)j->betas, (long long)a->kv_heads);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const linear_attr *a = e->attr;
    const float *in[6];
    linear_job j = {.q_heads = a->q_heads, .kv_heads = a->kv_heads};
    for (uint32_t i = 0; i < 6; i++) {
        if (i <= IN_VALUE && !oi_eval_in(e, i))
            return oi_eval_bad_type(e, i);
        OI_TRY(oi_widen_in(e, i, &in[i]));
    }
    const oi_tensor *q = oi_eval_in(e, IN_QUERY), *past = oi_eval_in(e, IN_PAST);
    OI_TRY(check_inputs(e, a, &j));
    j.query = in[IN_QUERY], j.key = in[IN_KEY], j.value = in[IN_VALUE], j.past = in[IN_PAST], j.decay = in[IN_DECAY], j.beta = in[IN_BETA];
    j.length = q->dim[1];
    j.scale = a->scale != 0 ? a->scale : (float)(1 / sqrt((double)j.d_k));
    oi_widen_out y, state;
    int64_t lanes = q->dim[0] * j.kv_heads;
    OI_TRY(oi_widen_begin(e, 0, q->dtype, 3, (const int64_t[]){q->dim[0], j.length, j.q_heads * j.d_v}, &y));
    if (oi_eval_wants(e, 1)) {
        const int64_t dims[4] = {q->dim[0], j.kv_heads, j.d_k, j.d_v};
        OI_TRY(oi_widen_begin(e, 1, past ? past->dtype : q->dtype, 4, dims, &state));
        j.state = state.p;
    } else {
        j.state = oi_eval_scratch_array(e, (size_t)(lanes * j.d_k) + 1, ((size_t)j.d_v + 1) * sizeof *j.state);
    }
    j.correction = oi_eval_scratch_array(e, (size_t)lanes + 1, ((size_t)j.d_v + 1) * sizeof *j.correction);
    if (!j.state || !j.correction)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    j.y = y.p;
    OI_TRY(e->host->parallel(e, (size_t)lanes, attend, &j));
    oi_widen_finish(&y);
    if (oi_eval_wants(e, 1))
        oi_widen_finish(&state);
    return ONNX_INFER_OK;
}

#define OFFSET(field) ((uint16_t)offsetof(linear_attr, field))
static const oi_attr_spec attrs[] = {
    {.name = "chunk_size", .type = OI_ATTR_INT, .offset = OFFSET(chunk_size), .i = 64},
    {.name = "kv_num_heads", .type = OI_ATTR_INT, .offset = OFFSET(kv_heads), .flags = OI_ATTR_REQUIRED},
    {.name = "q_num_heads", .type = OI_ATTR_INT, .offset = OFFSET(q_heads), .flags = OI_ATTR_REQUIRED},
    {.name = "scale", .type = OI_ATTR_FLOAT, .offset = OFFSET(scale)},
    {.name = "update_rule", .type = OI_ATTR_ENUM, .offset = OFFSET(rule), .i = GATED_DELTA, .s = "linear|gated|delta|gated_delta"},
    {0},
};

const oi_op oi_op_LinearAttention = {
    .name = "LinearAttention", .domain = "", .since = 27, .newest = 27, .min_in = 3, .max_in = 6, .min_out = 1, .max_out = 2,
    .attrs = attrs, .attr_size = sizeof(linear_attr), .infer = infer, .eval = eval,
};
