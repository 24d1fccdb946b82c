/* Operators that do nothing here: their result is their first input. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include <string.h>

/* Puts `to` in the place of `from`, unless that made a graph input an output too: outputs are made by nodes. */
static void bypass(oi_rewrite *rw, oi_value_id from, oi_value_id to)
{
    const oi_graph *g = rw->g;
    if (g->value[from].is_output && g->value[to].def == OI_NONE)
        return;
    oi_rewrite_replace(rw, from, to);
}

static bool always(const oi_graph *g, const oi_node *n)
{
    (void)g, (void)n;
    return true;
}

static bool one_input(const oi_graph *g, const oi_node *n)
{
    (void)g;
    return n->nin == 1;
}

static bool uniform_second(const oi_graph *g, const oi_node *n, double want)
{
    double c;
    return n->nin == 2 && oi_match_uniform(g, n->in[1], &c) && c == want;
}

static bool second_is_zero(const oi_graph *g, const oi_node *n)
{
    return uniform_second(g, n, 0);
}

static bool second_is_one(const oi_graph *g, const oi_node *n)
{
    return uniform_second(g, n, 1);
}

static bool pads_are_zero(const oi_graph *g, const oi_node *n)
{
    double c;
    return n->nin > 1 && oi_match_uniform(g, n->in[1], &c) && c == 0;
}

static bool steps_forward(const oi_graph *g, const oi_node *n)
{
    const oi_tensor *steps = n->nin > 4 ? oi_match_const(g, n->in[4]) : NULL;
    if (n->nin <= 4 || n->in[4] == OI_NONE)
        return true;
    for (int64_t i = 0; steps && i < oi_tensor_count(steps); i++) {
        if (oi_elem_get_int(steps->dtype, steps->data, (size_t)i) <= 0)
            return false;
    }
    return steps != NULL;
}

static bool keeps_order(const oi_graph *g, const oi_node *n)
{
    const oi_ints *perm = oi_attr_field(n, "perm");
    int32_t rank = oi_graph_fact(g, n->in[0])->shape.rank;
    if (!perm || !perm->at)
        return rank <= 1;
    for (uint32_t i = 0; i < perm->n; i++) {
        if (perm->at[i] != i)
            return false;
    }
    return true;
}

static bool keeps_pixels(const oi_graph *g, const oi_node *n)
{
    (void)g;
    const char *crop = "tf_crop_and_resize";
    const oi_attr_spec *s = n->op->attrs;
    while (s->name && strcmp(s->name, "coordinate_transformation_mode") != 0)
        s++;
    if (!s->name || s->type != OI_ATTR_ENUM)
        return false;
    const char *word = s->s;
    for (int64_t i = oi_attr_int(n, s->name, 0); i > 0 && word; i--) {
        word = strchr(word, '|');
        word += word != NULL;
    }
    return word && strncmp(word, crop, strlen(crop)) != 0;
}

static bool inference_only(const oi_graph *g, const oi_node *n)
{
    double training;
    bool mask_used = n->nout > 1 && n->out[1] != OI_NONE && (g->value[n->out[1]].nuse || g->value[n->out[1]].is_output);
    return !mask_used && (n->nin < 3 || n->in[2] == OI_NONE || (oi_match_scalar(g, n->in[2], &training) && training == 0));
}

static bool no_bounds(const oi_graph *g, const oi_node *n)
{
    (void)g;
    return (n->nin < 2 || n->in[1] == OI_NONE) && (n->nin < 3 || n->in[2] == OI_NONE);
}

/* Where type and shape of result and first input are equal, the node does nothing if this says so too. */
static const struct {
    const char *op;
    bool (*idle)(const oi_graph *g, const oi_node *n);
} idle_rows[] = {
    {"Add", second_is_zero}, {"Cast", always}, {"CastLike", always}, {"Clip", no_bounds}, {"Concat", one_input},
    {"Div", second_is_one}, {"Dropout", inference_only}, {"Expand", always}, {"Flatten", always}, {"Max", one_input},
    {"Mean", one_input}, {"Min", one_input}, {"Mul", second_is_one}, {"Pad", pads_are_zero}, {"Pow", second_is_one},
    {"ReduceMax", always}, {"ReduceMean", always}, {"ReduceMin", always}, {"ReduceProd", always}, {"ReduceSum", always},
    {"Reshape", always}, {"Resize", keeps_pixels}, {"Slice", steps_forward}, {"Squeeze", always}, {"Sub", second_is_zero},
    {"Sum", one_input}, {"Tile", always}, {"Transpose", keeps_order}, {"Unsqueeze", always},
};

oi_status oi_rule_idle(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node *n = &g->node[id];
    if (n->op->domain[0] || n->nin < 1 || n->nout < 1 || n->in[0] == OI_NONE || n->out[0] == OI_NONE)
        return ONNX_INFER_OK;
    if (strcmp(n->op->name, "Identity") == 0) {
        if (g->value[n->in[0]].fact.kind == g->value[n->out[0]].fact.kind)
            bypass(rw, n->out[0], n->in[0]);
        return rw->status;
    }
    for (size_t i = 0; i < sizeof idle_rows / sizeof *idle_rows; i++) {
        if (strcmp(idle_rows[i].op, n->op->name) == 0) {
            if (oi_match_same(g, n->in[0], n->out[0]) && idle_rows[i].idle(g, n))
                bypass(rw, n->out[0], n->in[0]);
            return rw->status;
        }
    }
    return ONNX_INFER_OK;
}

/* op(op(x)) = x */
oi_status oi_rule_twice(oi_rewrite *rw, oi_node_id id)
{
    static const char *const inverse[] = {"Neg", "Not", "BitwiseNot"};
    const oi_node *n = &rw->g->node[id];
    for (size_t i = 0; i < sizeof inverse / sizeof *inverse; i++) {
        oi_value_id x = strcmp(n->op->name, inverse[i]) ? OI_NONE : oi_match_unary(rw->g, n->in[0], inverse[i]);
        if (x != OI_NONE && oi_match_same(rw->g, x, n->out[0]))
            bypass(rw, n->out[0], x);
    }
    return rw->status;
}

/* Commutative operators with a constant on the left take it on the right, so that rules look there only. */
oi_status oi_rule_constant_right(oi_rewrite *rw, oi_node_id id)
{
    const oi_node n = rw->g->node[id];
    if (!(n.op->flags & OI_OP_COMMUTATIVE) || n.nin != 2 || n.nout != 1 || !oi_graph_fact(rw->g, n.in[0])->konst ||
        oi_graph_fact(rw->g, n.in[1])->konst)
        return ONNX_INFER_OK;
    oi_value_id in[2] = {n.in[1], n.in[0]};
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, n.attr, 2, in));
    return rw->status;
}
