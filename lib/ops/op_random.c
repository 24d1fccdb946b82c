/* Random operators: uniform and normal tensors, draws, and Dropout. */
#include "ops/op.h"
#include "ops/random.h"
#include "ops/rewrite.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t dtype, sample_size, int_seed;
    float seed, a, b; /* a: low or mean; b: high or scale */
    oi_ints shape;
} random_attr;

extern const oi_op oi_op_RandomNormal, oi_op_RandomNormalLike;

static uint64_t key_of(const oi_eval *e, const random_attr *a)
{
    if (isnan(a->seed))
        return e->seed;
    uint32_t bits;
    memcpy(&bits, &a->seed, sizeof bits);
    return bits;
}

static oi_status real_type(const char *op, oi_dtype dtype)
{
    bool good = dtype == ONNX_INFER_FLOAT || dtype == ONNX_INFER_DOUBLE || dtype == ONNX_INFER_FLOAT16 || dtype == ONNX_INFER_BFLOAT16;
    OI_FAIL_IF(!good, ONNX_INFER_E_UNSUPPORTED_TYPE, "%s does not make element type %s", op, oi_dtype_name(dtype));
    return ONNX_INFER_OK;
}

/* --- tensors of random numbers --- */

static oi_dtype type_of(const random_attr *a, oi_dtype like)
{
    return a->dtype ? (a->dtype > 0 && a->dtype < OI_DTYPE_COUNT ? (oi_dtype)a->dtype : ONNX_INFER_UNDEFINED) :
           like ? like : ONNX_INFER_FLOAT;
}

static oi_status infer(oi_infer *x)
{
    const random_attr *a = x->attr;
    const oi_fact *like = oi_infer_in(x, 0);
    if (like) {
        if (a->dtype || like->dtype)
            OI_TRY(real_type(x->op->name, type_of(a, like->dtype)));
        oi_infer_set(x, 0, a->dtype || like->dtype ? type_of(a, like->dtype) : ONNX_INFER_UNDEFINED, like->shape.rank, like->shape.dim);
        return ONNX_INFER_OK;
    }
    OI_TRY(real_type(x->op->name, type_of(a, ONNX_INFER_UNDEFINED)));
    OI_FAIL_IF(a->shape.n > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "%s: rank %u is beyond %d", x->op->name, a->shape.n, OI_MAX_RANK);
    for (uint32_t i = 0; i < a->shape.n; i++)
        OI_FAIL_IF(a->shape.at[i] < 0, ONNX_INFER_E_INVALID_MODEL, "%s: shape has a negative dimension", x->op->name);
    oi_infer_set(x, 0, type_of(a, ONNX_INFER_UNDEFINED), (int32_t)a->shape.n, a->shape.at);
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    const random_attr *a = e->attr;
    const oi_tensor *like = oi_eval_in(e, 0);
    bool normal = e->op == &oi_op_RandomNormal || e->op == &oi_op_RandomNormalLike;
    if (e->op->min_in && !like)
        return oi_eval_bad_type(e, 0);
    oi_dtype dtype = type_of(a, like ? like->dtype : ONNX_INFER_UNDEFINED);
    OI_TRY(real_type(e->op->name, dtype));
    OI_FAIL_IF(!like && a->shape.n > OI_MAX_RANK, ONNX_INFER_E_LIMIT, "%s: rank %u is beyond %d", e->op->name, a->shape.n, OI_MAX_RANK);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, dtype, like ? like->rank : (int32_t)a->shape.n, like ? like->dim : a->shape.at, &y));
    uint64_t key = key_of(e, a);
    size_t n = (size_t)oi_tensor_count(y);
    for (size_t i = 0; i < n; i++) {
        double v = normal ? (double)a->a + (double)a->b * oi_random_normal(key, i) :
                            (double)a->a + ((double)a->b - (double)a->a) * oi_random_uniform(key, i);
        oi_elem_set_double(dtype, y->data, i, v);
    }
    return ONNX_INFER_OK;
}

/* --- Bernoulli: 1 with the probability that the input gives --- */

static oi_status infer_bernoulli(oi_infer *x)
{
    const oi_fact *f = x->in[0];
    int64_t asked = ((const random_attr *)x->attr)->dtype;
    OI_FAIL_IF(asked < 0 || asked >= OI_DTYPE_COUNT, ONNX_INFER_E_INVALID_MODEL, "Bernoulli: there is no element type %lld", (long long)asked);
    oi_infer_set(x, 0, asked ? (oi_dtype)asked : f->dtype, f->shape.rank, f->shape.dim);
    return ONNX_INFER_OK;
}

static oi_status eval_bernoulli(oi_eval *e)
{
    const random_attr *a = e->attr;
    const oi_tensor *p = oi_eval_in(e, 0);
    if (!p || !oi_dtype_is_float(p->dtype))
        return oi_eval_bad_type(e, 0);
    oi_dtype dtype = a->dtype ? (oi_dtype)a->dtype : p->dtype;
    OI_FAIL_IF(dtype <= 0 || dtype >= OI_DTYPE_COUNT || dtype == ONNX_INFER_STRING, ONNX_INFER_E_UNSUPPORTED_TYPE,
               "Bernoulli does not make element type %d", (int)dtype);
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, dtype, p->rank, p->dim, &y));
    uint64_t key = key_of(e, a);
    size_t n = (size_t)oi_tensor_count(p);
    for (size_t i = 0; i < n; i++)
        oi_elem_set_double(dtype, y->data, i, oi_random_uniform(key, i) < oi_elem_get_double(p->dtype, p->data, i));
    return ONNX_INFER_OK;
}

/* --- Multinomial: draws of a class for each row of unnormalised log probabilities --- */

static oi_status infer_multinomial(oi_infer *x)
{
    const random_attr *a = x->attr;
    const oi_fact *f = x->in[0];
    OI_FAIL_IF(f->shape.rank >= 0 && f->shape.rank != 2, ONNX_INFER_E_SHAPE_MISMATCH, "Multinomial: input 0 has rank %d, 2 is needed",
               (int)f->shape.rank);
    OI_FAIL_IF(a->sample_size < 0, ONNX_INFER_E_INVALID_MODEL, "Multinomial: sample_size is negative");
    oi_dim dims[2] = {f->shape.rank == 2 ? f->shape.dim[0] : oi_dim_fresh(x->syms), a->sample_size};
    oi_infer_set(x, 0, a->dtype == ONNX_INFER_INT64 ? ONNX_INFER_INT64 : ONNX_INFER_INT32, 2, dims);
    return ONNX_INFER_OK;
}

static oi_status eval_multinomial(oi_eval *e)
{
    const random_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    if (!x || !oi_dtype_is_float(x->dtype))
        return oi_eval_bad_type(e, 0);
    OI_FAIL_IF(x->rank != 2 || a->sample_size < 0, ONNX_INFER_E_SHAPE_MISMATCH, "Multinomial: input 0 needs rank 2");
    oi_dtype dtype = a->dtype == ONNX_INFER_INT64 ? ONNX_INFER_INT64 : ONNX_INFER_INT32;
    int64_t classes = x->dim[1], dims[2] = {x->dim[0], a->sample_size};
    OI_FAIL_IF(classes == 0 && dims[0] * dims[1] > 0, ONNX_INFER_E_SHAPE_MISMATCH, "Multinomial: there are no classes to draw");
    oi_tensor *y;
    OI_TRY(oi_eval_out(e, 0, dtype, 2, dims, &y));
    double *sum = oi_eval_scratch_array(e, (size_t)classes + 1, sizeof *sum);
    if (!sum)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    uint64_t key = key_of(e, a);
    for (int64_t row = 0; row < dims[0]; row++) {
        double max = -INFINITY, total = 0;
        for (int64_t c = 0; c < classes; c++)
            max = fmax(max, oi_elem_get_double(x->dtype, x->data, (size_t)(row * classes + c)));
        for (int64_t c = 0; c < classes; c++)
            sum[c] = total += exp(oi_elem_get_double(x->dtype, x->data, (size_t)(row * classes + c)) - max);
        for (int64_t i = 0; i < dims[1]; i++) {
            double at = oi_random_uniform(key, (uint64_t)(row * dims[1] + i)) * total;
            int64_t low = 0, high = classes - 1; /* the first class whose running sum is above */
            while (low < high) {
                int64_t middle = low + (high - low) / 2;
                if (sum[middle] > at)
                    high = middle;
                else
                    low = middle + 1;
            }
            oi_elem_set_int(dtype, y->data, (size_t)(row * dims[1] + i), low);
        }
    }
    return ONNX_INFER_OK;
}

/* --- Dropout --- */

/* Ratio and mode became inputs in opset 12; opsets below 7 said is_test, and later ones without an input never train.
 * Before opset 10 the mask had the input's type. */
static oi_status import_dropout(oi_import *im)
{
    if (im->opset >= 12)
        return ONNX_INFER_OK;
    oi_import_drop(im, "consumed_inputs");
    oi_import_drop(im, "is_test");
    OI_TRY(oi_import_attr_to_input(im, "ratio", 1, ONNX_INFER_FLOAT));
    if (im->opset >= 10 || im->nout < 2)
        return ONNX_INFER_OK;
    oi_value_id out[2] = {im->out[0], OI_NONE};
    OI_TRY(oi_import_node(im, "Dropout", "", im->nin, im->in, 2, out));
    im->done = true;
    return oi_import_node(im, "CastLike", "", 2, (oi_value_id[]){out[1], im->in[0]}, 1, &im->out[1]);
}

static oi_status infer_dropout(oi_infer *x)
{
    const oi_fact *f = x->in[0];
    oi_infer_set_same(x, 0, 0);
    oi_infer_set(x, 1, ONNX_INFER_BOOL, f->shape.rank, f->shape.dim);
    return ONNX_INFER_OK;
}

static oi_status eval_dropout(oi_eval *e)
{
    const random_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0), *ratio_in = oi_eval_in(e, 1), *training = oi_eval_in(e, 2);
    if (!x || !oi_dtype_is_float(x->dtype))
        return oi_eval_bad_type(e, 0);
    if (ratio_in && (oi_tensor_count(ratio_in) != 1 || !oi_dtype_is_float(ratio_in->dtype)))
        return oi_eval_bad_type(e, 1);
    if (training && (oi_tensor_count(training) != 1 || training->dtype != ONNX_INFER_BOOL))
        return oi_eval_bad_type(e, 2);
    double ratio = ratio_in ? oi_elem_get_double(ratio_in->dtype, ratio_in->data, 0) : 0.5;
    bool drops = training && *(const uint8_t *)training->data && ratio != 0;
    OI_FAIL_IF(drops && !(ratio > 0 && ratio < 1), ONNX_INFER_E_INVALID_ARGUMENT, "Dropout: the ratio is %g, not in [0, 1)", ratio);
    size_t n = (size_t)oi_tensor_count(x);
    oi_tensor *y = NULL, *mask = NULL;
    if (oi_eval_wants(e, 1)) {
        OI_TRY(oi_eval_out(e, 1, ONNX_INFER_BOOL, x->rank, x->dim, &mask));
        if (n)
            memset(mask->data, 1, n);
    }
    if (!drops)
        return e->host->out_view(e, 0, x, x->rank, x->dim);
    OI_TRY(oi_eval_out(e, 0, x->dtype, x->rank, x->dim, &y));
    uint64_t key = a->int_seed == OI_UNSET ? e->seed : (uint64_t)a->int_seed;
    for (size_t i = 0; i < n; i++) {
        bool keep = oi_random_uniform(key, i) >= ratio;
        if (mask)
            ((uint8_t *)mask->data)[i] = keep;
        oi_elem_set_double(x->dtype, y->data, i, keep ? oi_elem_get_double(x->dtype, x->data, i) / (1 - ratio) : 0);
    }
    return ONNX_INFER_OK;
}

/* Without a training input Dropout is its input. */
static oi_status declutter_dropout(oi_rewrite *rw, oi_node_id id)
{
    const oi_node *n = &rw->g->node[id];
    const oi_tensor *training = n->nin > 2 && n->in[2] != OI_NONE ? oi_match_const(rw->g, n->in[2]) : NULL;
    bool trains = n->nin > 2 && n->in[2] != OI_NONE && !(training && oi_tensor_count(training) == 1 && !*(const uint8_t *)training->data);
    bool masks = n->nout > 1 && n->out[1] != OI_NONE && (rw->g->value[n->out[1]].nuse || rw->g->value[n->out[1]].is_output);
    if (!trains && !masks)
        oi_rewrite_replace(rw, n->out[0], n->in[0]);
    return rw->status;
}

/* --- definitions --- */

#define FLOAT_ATTR(label, field, value) {.name = label, .type = OI_ATTR_FLOAT, .offset = offsetof(random_attr, field), .f = value}
#define DTYPE {.name = "dtype", .type = OI_ATTR_INT, .offset = offsetof(random_attr, dtype)}
#define SHAPE {.name = "shape", .type = OI_ATTR_INTS, .offset = offsetof(random_attr, shape), .flags = OI_ATTR_REQUIRED}
#define SEED FLOAT_ATTR("seed", seed, NAN)

static const oi_attr_spec normal_attrs[] = {FLOAT_ATTR("mean", a, 0.0f), FLOAT_ATTR("scale", b, 1.0f), SEED, DTYPE, SHAPE, {0}};
static const oi_attr_spec normal_like_attrs[] = {FLOAT_ATTR("mean", a, 0.0f), FLOAT_ATTR("scale", b, 1.0f), SEED, DTYPE, {0}};
static const oi_attr_spec uniform_attrs[] = {FLOAT_ATTR("low", a, 0.0f), FLOAT_ATTR("high", b, 1.0f), SEED, DTYPE, SHAPE, {0}};
static const oi_attr_spec uniform_like_attrs[] = {FLOAT_ATTR("low", a, 0.0f), FLOAT_ATTR("high", b, 1.0f), SEED, DTYPE, {0}};
static const oi_attr_spec bernoulli_attrs[] = {SEED, DTYPE, {0}};
static const oi_attr_spec multinomial_attrs[] = {
    SEED, DTYPE, {.name = "sample_size", .type = OI_ATTR_INT, .offset = offsetof(random_attr, sample_size), .i = 1}, {0}};
static const oi_attr_spec dropout_attrs[] = {
    {.name = "seed", .type = OI_ATTR_INT, .offset = offsetof(random_attr, int_seed), .i = OI_UNSET}, {0}};

#define RANDOM(id, first, inputs, list, infer_fn, eval_fn)                                                                       \
    const oi_op oi_op_##id = {.name = #id, .domain = "", .since = first, .newest = 22, .flags = OI_OP_RANDOM, .min_in = inputs,  \
                              .max_in = inputs, .min_out = 1, .max_out = 1, .attrs = list, .attr_size = sizeof(random_attr),     \
                              .infer = infer_fn, .eval = eval_fn}
RANDOM(Bernoulli, 15, 1, bernoulli_attrs, infer_bernoulli, eval_bernoulli);
RANDOM(Multinomial, 7, 1, multinomial_attrs, infer_multinomial, eval_multinomial);
RANDOM(RandomNormal, 1, 0, normal_attrs, infer, eval);
RANDOM(RandomNormalLike, 1, 1, normal_like_attrs, infer, eval);
RANDOM(RandomUniform, 1, 0, uniform_attrs, infer, eval);
RANDOM(RandomUniformLike, 1, 1, uniform_like_attrs, infer, eval);

const oi_op oi_op_Dropout = {
    .name = "Dropout", .domain = "", .since = 1, .newest = 22, .flags = OI_OP_RANDOM, .min_in = 1, .max_in = 3, .min_out = 1,
    .max_out = 2, .attrs = dropout_attrs, .attr_size = sizeof(random_attr), .import = import_dropout, .infer = infer_dropout,
    .eval = eval_dropout, .declutter = declutter_dropout,
};
