/* GELU out of its pieces, in any order of its factors:
 *
 *   x (1 + Erf(x / sqrt 2)) / 2, x (1 / 2 + Erf(x / sqrt 2) / 2), ...      -> Gelu(x)
 *   x (1 + Tanh(u)) / 2, ...  with  u = sqrt(2 / pi) (x + 0.044715 x^3)     -> Gelu(x) {approximate=tanh}
 *   x Sigmoid(2 u)                                                         -> Gelu(x) {approximate=tanh}
 *
 * u may be factored in any way. Left alone: other numbers. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <math.h>

static const double sqrt_half = 0.70710678118654752, sqrt_2_over_pi = 0.79788456080286536;

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-5 * fabs(b);
}

/* c * x^power * rest; rest OI_NONE: 1. */
typedef struct {
    double c;
    int power;
    oi_value_id rest;
} product;

enum { DEEPEST = 5 };

static bool collect(const oi_graph *g, oi_value_id v, oi_value_id x, product *p, int depth)
{
    double c;
    if (v == x) {
        p->power++;
        return true;
    }
    if (oi_match_scalar(g, v, &c)) {
        p->c *= c;
        return true;
    }
    const oi_node *mul = depth ? oi_match_def(g, v, "Mul") : NULL, *div = depth ? oi_match_def(g, v, "Div") : NULL;
    const oi_node *pow = oi_match_def(g, v, "Pow");
    if (mul && mul->nin == 2)
        return collect(g, mul->in[0], x, p, depth - 1) && collect(g, mul->in[1], x, p, depth - 1);
    if (div && oi_match_scalar(g, div->in[1], &c) && c != 0) {
        p->c /= c;
        return collect(g, div->in[0], x, p, depth - 1);
    }
    if (pow && pow->in[0] == x && oi_match_scalar(g, pow->in[1], &c) && (c == 2 || c == 3)) {
        p->power += (int)c;
        return true;
    }
    if (p->rest != OI_NONE)
        return false;
    p->rest = v;
    return true;
}

static bool read_product(const oi_graph *g, oi_value_id v, oi_value_id x, product *p)
{
    *p = (product){1, 0, OI_NONE};
    return v != OI_NONE && collect(g, v, x, p, DEEPEST);
}

/* v = k (x + 0.044715 x^3) */
static bool is_cubic(const oi_graph *g, oi_value_id v, oi_value_id x, double k)
{
    product p, term[2];
    const oi_node *sum = read_product(g, v, x, &p) && p.rest != OI_NONE ? oi_match_def(g, p.rest, "Add") : NULL;
    bool linear = false, cubic = false;
    for (uint32_t i = 0; sum && sum->nin == 2 && i < 2; i++) {
        if (!read_product(g, sum->in[i], x, &term[i]) || term[i].rest != OI_NONE)
            return false;
        linear = linear || (p.power + term[i].power == 1 && near(p.c * term[i].c, k));
        cubic = cubic || (p.power + term[i].power == 3 && near(p.c * term[i].c, k * 0.044715));
    }
    return linear && cubic;
}

typedef bool (*step_fn)(const oi_graph *g, oi_value_id v, oi_value_id x); /* v is the function of x that goes from -1 to 1 */

static bool is_erf(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    product p;
    return read_product(g, oi_match_unary(g, v, "Erf"), x, &p) && p.rest == OI_NONE && p.power == 1 && near(p.c, sqrt_half);
}

static bool is_tanh(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    return is_cubic(g, oi_match_unary(g, v, "Tanh"), x, sqrt_2_over_pi);
}

/* v = a + b f(x) */
static bool is_step(const oi_graph *g, oi_value_id v, oi_value_id x, step_fn f, double *a, double *b)
{
    const oi_node *sum = oi_match_def(g, v, "Add");
    for (uint32_t side = 0; sum && sum->nin == 2 && side < 2; side++) {
        product p;
        if (oi_match_scalar(g, sum->in[side], a) && read_product(g, sum->in[1 - side], OI_NONE, &p) && p.rest != OI_NONE &&
            f(g, p.rest, x)) {
            *b = p.c;
            return true;
        }
    }
    return false;
}

static bool is_gelu(const oi_graph *g, oi_value_id out, oi_value_id x, step_fn f)
{
    product p;
    double a, b;
    if (!read_product(g, out, x, &p) || p.power != 1 || p.rest == OI_NONE)
        return false;
    if (is_step(g, p.rest, x, f, &a, &b))
        return near(p.c * a, 0.5) && near(p.c * b, 0.5);
    return f == is_tanh && near(p.c, 1) && is_cubic(g, oi_match_unary(g, p.rest, "Sigmoid"), x, 2 * sqrt_2_over_pi);
}

/* Something in the factors of v is made by Add or Sigmoid. */
static bool may_be(const oi_graph *g, oi_value_id v, int depth)
{
    const oi_node *n = oi_match_def(g, v, "Mul");
    n = n ? n : oi_match_def(g, v, "Div");
    for (uint32_t i = 0; n && depth && i < n->nin; i++) {
        if (may_be(g, n->in[i], depth - 1))
            return true;
    }
    return oi_match_def(g, v, "Add") || oi_match_def(g, v, "Sigmoid");
}

/* The factor of v that may stand for x so that out is the GELU of it. */
static oi_value_id find_x(const oi_graph *g, oi_value_id out, oi_value_id v, step_fn f, int depth)
{
    const oi_node *n = oi_match_def(g, v, "Mul");
    n = n ? n : oi_match_def(g, v, "Div");
    for (uint32_t i = 0; n && n->nin == 2 && i < 2; i++) {
        if (is_gelu(g, out, n->in[i], f))
            return n->in[i];
    }
    for (uint32_t i = 0; n && n->nin == 2 && depth && i < 2; i++) {
        oi_value_id x = find_x(g, out, n->in[i], f, depth - 1);
        if (x != OI_NONE)
            return x;
    }
    return OI_NONE;
}

static oi_status rule(oi_rewrite *rw, oi_node_id id, step_fn f, const char *attrs)
{
    enum { FACTORS = 2 }; /* x stands no deeper than this in the product */
    const oi_value_id out = rw->g->node[id].out[0];
    if (!may_be(rw->g, out, FACTORS + 1))
        return ONNX_INFER_OK;
    oi_value_id x = find_x(rw->g, out, out, f, FACTORS);
    if (x != OI_NONE && oi_match_same(rw->g, x, out) && oi_dtype_is_float(oi_graph_fact(rw->g, x)->dtype))
        oi_rewrite_replace(rw, out, oi_rewrite_op(rw, "", "Gelu", attrs, 1, &x));
    return rw->status;
}

oi_status oi_rule_gelu_erf(oi_rewrite *rw, oi_node_id id)
{
    return rule(rw, id, is_erf, "approximate=none");
}

oi_status oi_rule_gelu_tanh(oi_rewrite *rw, oi_node_id id)
{
    return rule(rw, id, is_tanh, "approximate=tanh");
}
