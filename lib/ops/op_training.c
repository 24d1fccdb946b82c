/* Adagrad, Adam, Momentum (ai.onnx.preview.training): one step of an optimizer for any number of tensors. */
#include "ops/op.h"

#include <math.h>

typedef struct {
    float norm, norm_post, decay, epsilon, alpha, beta;
    int64_t mode; /* of Momentum */
} training_attr;

enum { STANDARD, NESTEROV };
enum { IN_RATE, IN_COUNT, IN_TENSORS };

/* An element of everything that belongs to a tensor: updated in place, the gradient but read. */
typedef struct {
    double x, gradient, v, h;
} training_state;

extern const oi_op oi_op_preview_Adagrad, oi_op_preview_Adam, oi_op_preview_Momentum;

/* Kinds of tensors that come in a row: Adagrad x g h, Momentum x g v, Adam x g v h. */
static uint32_t kinds(const oi_op *op)
{
    return op == &oi_op_preview_Adam ? 4 : 3;
}

static oi_status check_count(const oi_op *op, uint32_t nin, uint32_t nout, uint32_t *tensors)
{
    uint32_t each = kinds(op);
    *tensors = nin > IN_TENSORS ? (nin - IN_TENSORS) / each : 0;
    OI_FAIL_IF(*tensors == 0 || *tensors * each + IN_TENSORS != nin || nout > *tensors * (each - 1), ONNX_INFER_E_INVALID_MODEL,
               "%s: %u inputs and %u outputs; it takes 2 inputs and %u for each tensor, and gives %u", op->name, nin, nout, each, each - 1);
    return ONNX_INFER_OK;
}

static oi_status infer(oi_infer *x)
{
    uint32_t n;
    OI_TRY(check_count(x->op, x->nin, x->nout, &n));
    for (uint32_t i = 0; i < x->nout; i++)
        oi_infer_set_same(x, i, IN_TENSORS + i + (i < n ? 0 : n)); /* all but the gradients come back */
    return ONNX_INFER_OK;
}

static void adagrad(const training_attr *a, double rate, double count, training_state *s)
{
    double g = (double)a->norm * s->x + s->gradient;
    s->h += g * g;
    s->x -= rate / (1 + count * (double)a->decay) * g / (sqrt(s->h) + (double)a->epsilon);
}

static void adam(const training_attr *a, double rate, double count, training_state *s)
{
    double g = (double)a->norm * s->x + s->gradient, alpha = (double)a->alpha, beta = (double)a->beta;
    s->v = alpha * s->v + (1 - alpha) * g;
    s->h = beta * s->h + (1 - beta) * g * g;
    if (count > 0)
        rate *= sqrt(1 - pow(beta, count)) / (1 - pow(alpha, count));
    s->x = (1 - (double)a->norm_post) * (s->x - rate * (s->v / (sqrt(s->h) + (double)a->epsilon)));
}

static void momentum(const training_attr *a, double rate, double count, training_state *s)
{
    double g = (double)a->norm * s->x + s->gradient, alpha = (double)a->alpha;
    s->v = alpha * s->v + (count > 0 ? (double)a->beta : 1) * g;
    s->x -= rate * (a->mode == NESTEROV ? g + alpha * s->v : s->v);
}

static oi_status update(oi_eval *e, uint32_t tensor, uint32_t n, double rate, double count)
{
    const training_attr *a = e->attr;
    uint32_t each = kinds(e->op);
    const oi_tensor *in[4];
    oi_tensor *out[3] = {0};
    for (uint32_t k = 0; k < each; k++) {
        in[k] = oi_eval_in(e, IN_TENSORS + k * n + tensor);
        if (!in[k] || (in[k]->dtype != ONNX_INFER_FLOAT && in[k]->dtype != ONNX_INFER_DOUBLE))
            return oi_eval_bad_type(e, IN_TENSORS + k * n + tensor);
        OI_FAIL_IF(!oi_tensor_same_shape(in[k], in[0]), ONNX_INFER_E_SHAPE_MISMATCH, "%s: inputs %u and %u differ in shape", e->op->name,
                   IN_TENSORS + tensor, IN_TENSORS + k * n + tensor);
    }
    for (uint32_t k = 0; k + 1 < each; k++) {
        const oi_tensor *same = in[k ? k + 1 : 0];
        if (oi_eval_wants(e, k * n + tensor))
            OI_TRY(oi_eval_out(e, k * n + tensor, same->dtype, same->rank, same->dim, &out[k]));
    }
    for (size_t i = 0; i < (size_t)oi_tensor_count(in[0]); i++) {
        training_state s = {.x = oi_elem_get_double(in[0]->dtype, in[0]->data, i), .gradient = oi_elem_get_double(in[1]->dtype, in[1]->data, i)};
        double last = oi_elem_get_double(in[each - 1]->dtype, in[each - 1]->data, i);
        if (e->op == &oi_op_preview_Adam) {
            s.v = oi_elem_get_double(in[2]->dtype, in[2]->data, i), s.h = last;
            adam(a, rate, count, &s);
        } else if (e->op == &oi_op_preview_Adagrad) {
            s.h = last;
            adagrad(a, rate, count, &s);
        } else {
            s.v = last;
            momentum(a, rate, count, &s);
        }
        const double result[3] = {s.x, e->op == &oi_op_preview_Adagrad ? s.h : s.v, s.h};
        for (uint32_t k = 0; k + 1 < each; k++) {
            if (out[k])
                oi_elem_set_double(out[k]->dtype, out[k]->data, i, result[k]);
        }
    }
    return ONNX_INFER_OK;
}

static oi_status eval(oi_eval *e)
{
    uint32_t n;
    OI_TRY(check_count(e->op, e->nin, e->nout, &n));
    const oi_tensor *rate = oi_eval_in(e, IN_RATE);
    int64_t count = 0;
    if (!rate || !oi_dtype_is_float(rate->dtype) || oi_tensor_count(rate) != 1)
        return oi_eval_bad_type(e, IN_RATE);
    OI_TRY(oi_eval_int(e, IN_COUNT, &count));
    for (uint32_t i = 0; i < n; i++)
        OI_TRY(update(e, i, n, oi_elem_get_double(rate->dtype, rate->data, 0), (double)count));
    return ONNX_INFER_OK;
}

#define NUMBER(label, field, needed, value) \
    {.name = label, .type = OI_ATTR_FLOAT, .offset = offsetof(training_attr, field), .flags = needed, .f = value}
static const oi_attr_spec adagrad_attrs[] = {
    NUMBER("decay_factor", decay, 0, 0), NUMBER("epsilon", epsilon, 0, 1e-6f), NUMBER("norm_coefficient", norm, 0, 0), {0}};
static const oi_attr_spec adam_attrs[] = {
    NUMBER("alpha", alpha, 0, 0.9f), NUMBER("beta", beta, 0, 0.999f), NUMBER("epsilon", epsilon, 0, 1e-6f),
    NUMBER("norm_coefficient", norm, 0, 0), NUMBER("norm_coefficient_post", norm_post, 0, 0), {0}};
static const oi_attr_spec momentum_attrs[] = {
    NUMBER("alpha", alpha, OI_ATTR_REQUIRED, 0), NUMBER("beta", beta, OI_ATTR_REQUIRED, 0),
    NUMBER("norm_coefficient", norm, OI_ATTR_REQUIRED, 0),
    {.name = "mode", .type = OI_ATTR_ENUM, .offset = offsetof(training_attr, mode), .flags = OI_ATTR_REQUIRED, .s = "standard|nesterov"},
    {0}};

#define TRAINING_OP(id, inputs, table)                                                                                          \
    const oi_op oi_op_preview_##id = {                                                                                            \
        .name = #id, .domain = "ai.onnx.preview.training", .since = 1, .newest = 1, .min_in = inputs, .max_in = UINT16_MAX,     \
        .min_out = 1, .max_out = UINT16_MAX, .attrs = table, .attr_size = sizeof(training_attr), .infer = infer, .eval = eval,  \
    }
TRAINING_OP(Adagrad, 5, adagrad_attrs);
TRAINING_OP(Adam, 6, adam_attrs);
TRAINING_OP(Momentum, 5, momentum_attrs);
