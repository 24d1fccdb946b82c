/* GELU out of its pieces, by Erf and by Tanh. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

static const double sqrt_2 = 1.41421356237309505, sqrt_2_over_pi = 0.79788456080286536;

static oi_value_id half_of(const oi_graph *g, oi_value_id v)
{
    oi_value_id x = oi_match_with_scalar(g, v, "Mul", 0.5);
    return x != OI_NONE ? x : oi_match_with_scalar(g, v, "Div", 2);
}

/* v is x / sqrt(2). */
static bool is_x_over_sqrt_2(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    return oi_match_with_scalar(g, v, "Div", sqrt_2) == x || oi_match_with_scalar(g, v, "Mul", 1 / sqrt_2) == x;
}

static bool is_cube(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    if (oi_match_with_scalar(g, v, "Pow", 3) == x)
        return true;
    oi_value_id square = oi_match_other(g, v, "Mul", x);
    return square != OI_NONE && (oi_match_other(g, square, "Mul", x) == x || oi_match_with_scalar(g, square, "Pow", 2) == x);
}

/* v is x + 0.044715 x^3, or x (1 + 0.044715 x^2). */
static bool is_inner(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    const double k = 0.044715;
    oi_value_id term = oi_match_other(g, v, "Add", x);
    if (term != OI_NONE) {
        oi_value_id cube = oi_match_with_scalar(g, term, "Mul", k);
        if (cube != OI_NONE && is_cube(g, cube, x))
            return true;
        oi_value_id rest = oi_match_other(g, term, "Mul", x); /* x * (k x * x) */
        oi_value_id scaled = rest == OI_NONE ? OI_NONE : oi_match_other(g, rest, "Mul", x);
        return scaled != OI_NONE && oi_match_with_scalar(g, scaled, "Mul", k) == x;
    }
    oi_value_id sum = oi_match_other(g, v, "Mul", x);
    oi_value_id part = sum == OI_NONE ? OI_NONE : oi_match_with_scalar(g, sum, "Add", 1);
    oi_value_id square = part == OI_NONE ? OI_NONE : oi_match_with_scalar(g, part, "Mul", k);
    return square != OI_NONE && (oi_match_other(g, square, "Mul", x) == x || oi_match_with_scalar(g, square, "Pow", 2) == x);
}

static bool is_erf(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    oi_value_id t = oi_match_unary(g, v, "Erf");
    return t != OI_NONE && is_x_over_sqrt_2(g, t, x);
}

static bool is_tanh(const oi_graph *g, oi_value_id v, oi_value_id x)
{
    oi_value_id t = oi_match_unary(g, v, "Tanh");
    oi_value_id inner = t == OI_NONE ? OI_NONE : oi_match_with_scalar(g, t, "Mul", sqrt_2_over_pi);
    return inner != OI_NONE && is_inner(g, inner, x);
}

/* x where out = x (1 + f(x)) / 2, with the factors in any order; OI_NONE otherwise. */
static oi_value_id match(const oi_graph *g, oi_value_id out, bool (*f)(const oi_graph *g, oi_value_id v, oi_value_id x))
{
    const oi_node *n = oi_match_def(g, out, "Mul");
    oi_value_id halved = half_of(g, out);
    if (halved != OI_NONE) /* (x * (1 + f)) / 2 */
        n = oi_match_def(g, halved, "Mul");
    for (uint32_t side = 0; n && n->nin == 2 && side < 2; side++) {
        oi_value_id a = n->in[side], sum = oi_match_with_scalar(g, n->in[1 - side], "Add", 1);
        oi_value_id half_x = half_of(g, a), half_sum = half_of(g, n->in[1 - side]);
        if (halved != OI_NONE) {
            if (sum != OI_NONE && f(g, sum, a))
                return a;
            continue;
        }
        if (sum != OI_NONE && half_x != OI_NONE && f(g, sum, half_x)) /* (x / 2) * (1 + f) */
            return half_x;
        oi_value_id inner = half_sum == OI_NONE ? OI_NONE : oi_match_with_scalar(g, half_sum, "Add", 1);
        if (inner != OI_NONE && f(g, inner, a)) /* x * ((1 + f) / 2) */
            return a;
        oi_value_id half_f = oi_match_with_scalar(g, n->in[1 - side], "Add", 0.5);
        oi_value_id whole = half_f == OI_NONE ? OI_NONE : half_of(g, half_f);
        if (whole != OI_NONE && f(g, whole, a)) /* x * (f / 2 + 1 / 2) */
            return a;
    }
    return OI_NONE;
}

static oi_status rule(oi_rewrite *rw, oi_node_id id, bool (*f)(const oi_graph *, oi_value_id, oi_value_id), const char *attrs)
{
    oi_value_id out = rw->g->node[id].out[0], x = match(rw->g, out, f);
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
