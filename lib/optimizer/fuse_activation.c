/* Activations that exporters write in pieces; rules.h has the patterns. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <stdio.h>
#include <string.h>

static void replace_by(oi_rewrite *rw, oi_value_id old, const char *op, const char *attrs, oi_value_id x)
{
    if (x != OI_NONE && oi_match_same(rw->g, x, old) && oi_dtype_is_float(oi_graph_fact(rw->g, x)->dtype))
        oi_rewrite_replace(rw, old, oi_rewrite_op(rw, "", op, attrs, 1, &x));
}

/* An attribute can hold c as exactly as a constant of this type did. */
static bool fits_attribute(oi_dtype dtype, double c)
{
    return dtype != ONNX_INFER_DOUBLE || (double)(float)c == c;
}

/* v = Clip(x + 3, 0, 6): x */
static oi_value_id relu6_of_plus_3(const oi_graph *g, oi_value_id v)
{
    oi_value_id sum = oi_match_clip(g, v, 0, 6);
    return sum == OI_NONE ? OI_NONE : oi_match_with_scalar(g, sum, "Add", 3);
}

static oi_value_id sixth_of(const oi_graph *g, oi_value_id v)
{
    oi_value_id x = oi_match_with_scalar(g, v, "Div", 6);
    return x != OI_NONE ? x : oi_match_with_scalar(g, v, "Mul", 1.0 / 6);
}

oi_status oi_rule_hard_sigmoid(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    oi_value_id out = g->node[id].out[0], six = sixth_of(g, out);
    if (six != OI_NONE)
        replace_by(rw, out, "HardSigmoid", "alpha=0.16666667, beta=0.5", relu6_of_plus_3(g, six));
    return rw->status;
}

/* v = alpha x + beta in two operators at most, one of which multiplies: x */
static oi_value_id affine_of(const oi_graph *g, oi_value_id v, double *alpha, double *beta)
{
    bool scaled = false;
    *alpha = 1;
    *beta = 0;
    for (int i = 0; i < 2 && v != OI_NONE && g->value[v].def != OI_NONE; i++) {
        const oi_node *n = &g->node[g->value[v].def];
        double c;
        if (n->nin != 2 || n->op->domain[0] || !oi_match_scalar(g, n->in[1], &c))
            break;
        if (strcmp(n->op->name, "Add") == 0)
            *beta += *alpha * c;
        else if (strcmp(n->op->name, "Sub") == 0)
            *beta -= *alpha * c;
        else if (!scaled && strcmp(n->op->name, "Mul") == 0)
            *alpha *= c, scaled = true;
        else if (!scaled && strcmp(n->op->name, "Div") == 0)
            *alpha /= c, scaled = true;
        else
            break;
        v = n->in[0];
    }
    return scaled ? v : OI_NONE;
}

oi_status oi_rule_hard_sigmoid_clip(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_value_id out = g->node[id].out[0];
    double alpha, beta;
    oi_value_id sum = oi_match_clip(g, out, 0, 1), x = sum == OI_NONE ? OI_NONE : affine_of(g, sum, &alpha, &beta);
    const oi_dtype dtype = oi_graph_fact(g, out)->dtype;
    if (x == OI_NONE || !(alpha > 0 && alpha < 1e6 && beta > -1e6 && beta < 1e6) || !fits_attribute(dtype, alpha) ||
        !fits_attribute(dtype, beta))
        return ONNX_INFER_OK;
    char attrs[64];
    snprintf(attrs, sizeof attrs, "alpha=%.9g, beta=%.9g", alpha, beta);
    replace_by(rw, out, "HardSigmoid", attrs, x);
    return rw->status;
}

static bool is_hard_sigmoid(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    const oi_node *n = oi_match_def(g, v, "HardSigmoid");
    const float *alpha = n ? oi_attr_field(n, "alpha") : NULL, *beta = n ? oi_attr_field(n, "beta") : NULL;
    return alpha && beta && n->in[0] == x && *alpha > 0.166666f && *alpha < 0.166667f && *beta == 0.5f;
}

oi_status oi_rule_hard_swish(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node *n = &g->node[id];
    oi_value_id out = n->out[0], product = sixth_of(g, out);
    if (n->nin != 2)
        return ONNX_INFER_OK;
    for (uint32_t side = 0; side < 2; side++) {
        oi_value_id x = n->in[side];
        if (oi_match_other(g, out, "Mul", x) != OI_NONE && is_hard_sigmoid(g, n->in[1 - side], x)) {
            replace_by(rw, out, "HardSwish", "", x);
            return rw->status;
        }
    }
    const oi_node *mul = product == OI_NONE ? NULL : oi_match_def(g, product, "Mul");
    for (uint32_t side = 0; mul && mul->nin == 2 && side < 2; side++) {
        if (relu6_of_plus_3(g, mul->in[side]) == mul->in[1 - side] && mul->in[1 - side] != OI_NONE) {
            replace_by(rw, out, "HardSwish", "", mul->in[1 - side]);
            return rw->status;
        }
    }
    return ONNX_INFER_OK;
}

/* v = Exp(-x) + 1: x */
static oi_value_id sigmoid_divisor(const oi_graph *g, oi_value_id v)
{
    oi_value_id e = oi_match_with_scalar(g, v, "Add", 1), m = e == OI_NONE ? OI_NONE : oi_match_unary(g, e, "Exp");
    oi_value_id x = m == OI_NONE ? OI_NONE : oi_match_unary(g, m, "Neg");
    return x != OI_NONE || m == OI_NONE ? x : oi_match_with_scalar(g, m, "Mul", -1);
}

oi_status oi_rule_sigmoid(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    double one;
    oi_value_id x = sigmoid_divisor(g, n.in[n.nin - 1]);
    if (x != OI_NONE && (n.nin == 1 || (oi_match_scalar(g, n.in[0], &one) && one == 1)))
        replace_by(rw, n.out[0], "Sigmoid", "", x);
    else if (x != OI_NONE && n.in[0] == x)
        replace_by(rw, n.out[0], "Swish", "", x);
    return rw->status;
}

oi_status oi_rule_swish(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node *n = &g->node[id];
    for (uint32_t side = 0; n->nin == 2 && side < 2; side++) {
        oi_value_id x = n->in[side], inner = oi_match_unary(g, n->in[1 - side], "Sigmoid");
        const oi_node *scaled = inner == OI_NONE ? NULL : oi_match_def(g, inner, "Mul");
        double alpha = 1;
        if (x == OI_NONE || (inner != x && !(scaled && scaled->in[0] == x && oi_match_scalar(g, scaled->in[1], &alpha))) ||
            !fits_attribute(oi_graph_fact(g, x)->dtype, alpha))
            continue;
        char attrs[32];
        snprintf(attrs, sizeof attrs, "alpha=%.9g", alpha);
        replace_by(rw, n->out[0], "Swish", attrs, x);
        return rw->status;
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_mish(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node *n = &g->node[id];
    for (uint32_t side = 0; n->nin == 2 && side < 2; side++) {
        oi_value_id x = n->in[side], t = oi_match_unary(g, n->in[1 - side], "Tanh");
        if (t != OI_NONE && oi_match_unary(g, t, "Softplus") == x) {
            replace_by(rw, n->out[0], "Mish", "", x);
            return rw->status;
        }
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_softsign(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node *n = &g->node[id];
    oi_value_id a = n->nin == 2 ? oi_match_with_scalar(g, n->in[1], "Add", 1) : OI_NONE;
    if (a != OI_NONE && oi_match_unary(g, a, "Abs") == n->in[0])
        replace_by(rw, n->out[0], "Softsign", "", n->in[0]);
    return rw->status;
}

/* --- slopes below 0 ------------------------------------------------------------------------------------------------------ */

/* `old` = x above 0 and sign * slope * x below. */
static oi_status replace_by_slope(oi_rewrite *rw, oi_value_id old, oi_value_id x, oi_value_id slope, double sign)
{
    const oi_tensor *t = oi_match_const(rw->g, slope);
    const oi_dtype dtype = oi_graph_fact(rw->g, old)->dtype;
    double c;
    if (!t || !oi_match_same(rw->g, x, old) || !oi_dtype_is_float(dtype) || t->dtype != dtype)
        return ONNX_INFER_OK;
    if (oi_match_scalar(rw->g, slope, &c) && fits_attribute(dtype, c)) {
        char attrs[32];
        snprintf(attrs, sizeof attrs, "alpha=%.9g", sign * c);
        replace_by(rw, old, "LeakyRelu", attrs, x);
        return rw->status;
    }
    if (t->rank > oi_graph_fact(rw->g, x)->shape.rank)
        return ONNX_INFER_OK;
    oi_value_id in[2] = {x, slope};
    if (sign < 0)
        in[1] = oi_rewrite_op(rw, "", "Neg", "", 1, &slope);
    oi_rewrite_replace(rw, old, oi_rewrite_op(rw, "", "PRelu", "", 2, in));
    return rw->status;
}

/* The constant c where v = x * c; OI_NONE: it is something else. */
static oi_value_id factor_of(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    const oi_node *n = v == OI_NONE ? NULL : oi_match_def(g, v, "Mul");
    return n && n->nin == 2 && n->in[0] == x && oi_graph_fact(g, n->in[1])->konst && oi_match_same(g, v, x) ? n->in[1] : OI_NONE;
}

oi_status oi_rule_slope_max(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    double c;
    for (uint32_t side = 0; n.nin == 2 && side < 2; side++) {
        oi_value_id slope = factor_of(g, n.in[1 - side], n.in[side]);
        if (slope != OI_NONE && oi_match_scalar(g, slope, &c) && c >= 0 && c <= 1)
            return replace_by_slope(rw, n.out[0], n.in[side], slope, 1);
    }
    return ONNX_INFER_OK;
}

oi_status oi_rule_slope_where(oi_rewrite *rw, oi_node_id id)
{
    static const struct {
        const char *op;
        bool above;
    } rows[] = {{"Greater", true}, {"GreaterOrEqual", true}, {"Less", false}, {"LessOrEqual", false}};
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const oi_node *test = oi_match_def(g, n.in[0], rows[i].op);
        double zero;
        if (!test || !oi_match_scalar(g, test->in[1], &zero) || zero != 0)
            continue;
        const oi_value_id x = test->in[0], same = n.in[rows[i].above ? 1 : 2], scaled = n.in[rows[i].above ? 2 : 1];
        oi_value_id slope = same == x ? factor_of(g, scaled, x) : OI_NONE;
        return slope == OI_NONE ? ONNX_INFER_OK : replace_by_slope(rw, n.out[0], x, slope, 1);
    }
    return ONNX_INFER_OK;
}

/* v = Relu(-x): x */
static oi_value_id below(const oi_graph *g, oi_value_id v)
{
    oi_value_id m = oi_match_unary(g, v, "Relu"), x = m == OI_NONE ? OI_NONE : oi_match_unary(g, m, "Neg");
    return x != OI_NONE || m == OI_NONE ? x : oi_match_with_scalar(g, m, "Mul", -1);
}

oi_status oi_rule_slope_sum(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    const bool minus = strcmp(n.op->name, "Sub") == 0;
    for (uint32_t side = 0; n.nin == 2 && side < (minus ? 1 : 2); side++) {
        const oi_value_id x = oi_match_unary(g, n.in[side], "Relu");
        const oi_node *scaled = x == OI_NONE ? NULL : oi_match_def(g, n.in[1 - side], "Mul");
        if (scaled && below(g, scaled->in[0]) == x && oi_match_same(g, n.in[1 - side], x))
            return replace_by_slope(rw, n.out[0], x, scaled->in[1], minus ? 1 : -1);
    }
    return ONNX_INFER_OK;
}
