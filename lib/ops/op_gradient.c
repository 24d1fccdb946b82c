/* Gradient (ai.onnx.preview.training): replaced, while the model is imported, by the nodes that compute the derivatives
 * from the nodes before it. */
#include "ops/expand.h"

#include <string.h>

typedef struct {
    const char *y;
    oi_strings xs, zs;
} gradient_attr;

typedef struct {
    oi_expand x;
    oi_graph *g;
    uint32_t nvalue;      /* of the graph before the first new node: the arrays below are that long */
    oi_value_id *forward; /* the value that stands for each in the differentiated graph */
    oi_value_id *sum;     /* gradient so far; OI_NONE: none */
    bool *varies;         /* with one of xs */
    bool *needed;         /* for y */
    bool *given;          /* named in xs or zs */
} gradient;

/* The node whose derivative is taken: its values in the differentiated graph, and its output's gradient. */
typedef struct {
    gradient *of;
    const oi_node *node;
    oi_value_id y, dy;
} chain;

static oi_value_id in(const chain *c, uint32_t i)
{
    return i < c->node->nin && c->node->in[i] != OI_NONE ? c->of->forward[c->node->in[i]] : OI_NONE;
}

static bool wants(const chain *c, uint32_t i)
{
    return i < c->node->nin && c->node->in[i] != OI_NONE && c->of->varies[c->node->in[i]];
}

static void give(const chain *c, uint32_t i, oi_value_id v)
{
    oi_value_id *sum = &c->of->sum[c->node->in[i]];
    *sum = oi_expand_add(&c->of->x, *sum, v);
}

#define NODE(c, ...) OI_NODE(&(c)->of->x, __VA_ARGS__)

static oi_value_id shape_of(const chain *c, oi_value_id v)
{
    return NODE(c, "Shape", NULL, v);
}

/* v, which has the result's shape, summed over the axes along which `like` was broadcast. */
static oi_value_id unbroadcast(const chain *c, oi_value_id v, oi_value_id like)
{
    oi_expand *x = &c->of->x;
    oi_value_id shape = shape_of(c, like), whole = shape_of(c, v), one = oi_expand_int(x, 1);
    oi_value_id more = NODE(c, "Sub", NULL, NODE(c, "Shape", NULL, whole), NODE(c, "Shape", NULL, shape));
    oi_value_id padded = NODE(c, "Concat", "axis=0", NODE(c, "Expand", NULL, one, more), shape);
    oi_value_id stretched = NODE(c, "Not", NULL, NODE(c, "Equal", NULL, padded, whole));
    oi_value_id axes = NODE(c, "Reshape", NULL, NODE(c, "NonZero", NULL, stretched), oi_expand_int(x, -1));
    return NODE(c, "Reshape", "allowzero=1", NODE(c, "ReduceSum", "noop_with_empty_axes=1", v, axes), shape);
}

static oi_value_id negated(const chain *c, oi_value_id v)
{
    return NODE(c, "Neg", NULL, v);
}

static oi_value_id product(const chain *c, oi_value_id a, oi_value_id b)
{
    return NODE(c, "Mul", NULL, a, b);
}

static oi_value_id one_minus(const chain *c, oi_value_id v)
{
    return NODE(c, "Sub", NULL, oi_expand_scalar(&c->of->x, 1, v), v);
}

/* --- rules: what each operator's inputs get --- */

static void pass_on(const chain *c)
{
    for (uint32_t i = 0; i < c->node->nin; i++) {
        if (wants(c, i))
            give(c, i, unbroadcast(c, c->dy, in(c, i)));
    }
}

static void of_sub(const chain *c)
{
    if (wants(c, 0))
        give(c, 0, unbroadcast(c, c->dy, in(c, 0)));
    if (wants(c, 1))
        give(c, 1, unbroadcast(c, negated(c, c->dy), in(c, 1)));
}

static void of_mul(const chain *c)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (wants(c, i))
            give(c, i, unbroadcast(c, product(c, c->dy, in(c, 1 - i)), in(c, i)));
    }
}

static void of_div(const chain *c)
{
    oi_value_id d = NODE(c, "Div", NULL, c->dy, in(c, 1));
    if (wants(c, 0))
        give(c, 0, unbroadcast(c, d, in(c, 0)));
    if (wants(c, 1))
        give(c, 1, unbroadcast(c, negated(c, product(c, d, c->y)), in(c, 1)));
}

static void of_pow(const chain *c)
{
    oi_value_id a = in(c, 0), b = in(c, 1);
    if (wants(c, 0)) {
        oi_value_id lower = NODE(c, "Sub", NULL, b, oi_expand_scalar(&c->of->x, 1, b));
        oi_value_id slope = product(c, NODE(c, "CastLike", NULL, b, a), NODE(c, "Pow", NULL, a, lower));
        give(c, 0, unbroadcast(c, product(c, c->dy, slope), a));
    }
    if (wants(c, 1))
        give(c, 1, unbroadcast(c, product(c, c->dy, product(c, c->y, NODE(c, "Log", NULL, a))), b));
}

static void of_where(const chain *c)
{
    oi_value_id zero = oi_expand_scalar(&c->of->x, 0, c->dy);
    if (wants(c, 1))
        give(c, 1, unbroadcast(c, NODE(c, "Where", NULL, in(c, 0), c->dy, zero), in(c, 1)));
    if (wants(c, 2))
        give(c, 2, unbroadcast(c, NODE(c, "Where", NULL, in(c, 0), zero, c->dy), in(c, 2)));
}

/* Operators of one input: the slope, then times dy. */
static void of_unary(const chain *c)
{
    const char *name = c->node->op->name;
    oi_value_id a = in(c, 0), y = c->y, slope = OI_NONE;
    if (strcmp(name, "Neg") == 0) {
        give(c, 0, negated(c, c->dy));
        return;
    }
    if (strcmp(name, "Exp") == 0)
        slope = y;
    else if (strcmp(name, "Log") == 0)
        slope = NODE(c, "Reciprocal", NULL, a);
    else if (strcmp(name, "Sqrt") == 0)
        slope = NODE(c, "Reciprocal", NULL, NODE(c, "Add", NULL, y, y));
    else if (strcmp(name, "Reciprocal") == 0)
        slope = negated(c, product(c, y, y));
    else if (strcmp(name, "Abs") == 0)
        slope = NODE(c, "Sign", NULL, a);
    else if (strcmp(name, "Sin") == 0)
        slope = NODE(c, "Cos", NULL, a);
    else if (strcmp(name, "Cos") == 0)
        slope = negated(c, NODE(c, "Sin", NULL, a));
    else if (strcmp(name, "Tanh") == 0)
        slope = one_minus(c, product(c, y, y));
    else if (strcmp(name, "Sigmoid") == 0)
        slope = product(c, y, one_minus(c, y));
    else if (strcmp(name, "Softplus") == 0)
        slope = NODE(c, "Sigmoid", NULL, a);
    else /* Relu */
        slope = NODE(c, "Sign", NULL, y);
    give(c, 0, product(c, c->dy, slope));
}

static void of_cast(const chain *c)
{
    give(c, 0, NODE(c, "CastLike", NULL, c->dy, in(c, 0)));
}

/* The same elements in the same order under another shape. */
static void of_view(const chain *c)
{
    if (wants(c, 0))
        give(c, 0, NODE(c, "Reshape", "allowzero=1", c->dy, shape_of(c, in(c, 0))));
}

static void of_transpose(const chain *c)
{
    const oi_ints *perm = oi_attr_field(c->node, "perm");
    char text[16 + 8 * OI_MAX_RANK] = "";
    if (perm && perm->at) {
        int64_t back[OI_MAX_RANK] = {0};
        size_t used = sizeof "perm=[" - 1;
        memcpy(text, "perm=[", used);
        for (uint32_t i = 0; i < perm->n && i < OI_MAX_RANK; i++) {
            if (perm->at[i] >= 0 && perm->at[i] < OI_MAX_RANK)
                back[perm->at[i]] = i;
        }
        for (uint32_t i = 0; i < perm->n && i < OI_MAX_RANK; i++) {
            text[used++] = (char)('0' + back[i]);
            text[used++] = i + 1 < perm->n && i + 1 < OI_MAX_RANK ? ',' : ']';
        }
    }
    give(c, 0, NODE(c, "Transpose", text, c->dy));
}

static void of_reduce(const chain *c)
{
    oi_expand *x = &c->of->x;
    oi_value_id a = in(c, 0), axes = in(c, 1), dy = c->dy;
    const char *noop = oi_attr_int(c->node, "noop_with_empty_axes", 0) ? "keepdims=1, noop_with_empty_axes=1" : "keepdims=1";
    if (!wants(c, 0))
        return;
    if (strcmp(c->node->op->name, "ReduceMean") == 0) {
        oi_value_id ratio = NODE(c, "Div", NULL, NODE(c, "CastLike", NULL, NODE(c, "Size", NULL, c->y), dy),
                                 NODE(c, "CastLike", NULL, NODE(c, "Size", NULL, a), dy));
        dy = product(c, dy, ratio);
    }
    oi_value_id kept = oi_expand_node(x, "ReduceSum", noop, axes == OI_NONE ? 1 : 2, (oi_value_id[]){a, axes});
    give(c, 0, NODE(c, "Expand", NULL, NODE(c, "Reshape", "allowzero=1", dy, shape_of(c, kept)), shape_of(c, a)));
}

static void of_softmax(const chain *c)
{
    oi_value_id axis = oi_expand_int(&c->of->x, oi_attr_int(c->node, "axis", -1));
    oi_value_id mean = NODE(c, "ReduceSum", "keepdims=1", product(c, c->dy, c->y), axis);
    give(c, 0, product(c, c->y, NODE(c, "Sub", NULL, c->dy, mean)));
}

static void of_matmul(const chain *c)
{
    oi_value_id a = in(c, 0), b = in(c, 1);
    if (wants(c, 0))
        give(c, 0, unbroadcast(c, NODE(c, "MatMul", NULL, c->dy, oi_expand_swap(&c->of->x, b)), a));
    if (wants(c, 1))
        give(c, 1, unbroadcast(c, NODE(c, "MatMul", NULL, oi_expand_swap(&c->of->x, a), c->dy), b));
}

static void of_gemm(const chain *c)
{
    oi_expand *x = &c->of->x;
    oi_value_id a = in(c, 0), b = in(c, 1), dy = c->dy;
    int trans_a = oi_attr_int(c->node, "transA", 0) != 0, trans_b = oi_attr_int(c->node, "transB", 0) != 0;
    const float *alpha = oi_attr_field(c->node, "alpha"), *beta = oi_attr_field(c->node, "beta");
    const char *times = oi_expand_float(x, "alpha", alpha ? *alpha : 1);
    if (wants(c, 0))
        give(c, 0, trans_a ? NODE(c, "Gemm", oi_expand_text(x, "%s, transA=%d, transB=1", times, trans_b), b, dy)
                           : NODE(c, "Gemm", oi_expand_text(x, "%s, transB=%d", times, !trans_b), dy, b));
    if (wants(c, 1))
        give(c, 1, trans_b ? NODE(c, "Gemm", oi_expand_text(x, "%s, transA=1, transB=%d", times, trans_a), dy, a)
                           : NODE(c, "Gemm", oi_expand_text(x, "%s, transA=%d", times, !trans_a), a, dy));
    if (wants(c, 2))
        give(c, 2, unbroadcast(c, product(c, dy, oi_expand_scalar(x, beta ? *beta : 1, dy)), in(c, 2)));
}

static const struct {
    const char *op;
    void (*fn)(const chain *c);
} rules[] = {
    {"Abs", of_unary}, {"Add", pass_on}, {"Cast", of_cast}, {"CastLike", of_cast}, {"Cos", of_unary}, {"Div", of_div}, {"Exp", of_unary},
    {"Expand", pass_on}, {"Flatten", of_view}, {"Gemm", of_gemm}, {"Identity", pass_on}, {"Log", of_unary}, {"MatMul", of_matmul},
    {"Mul", of_mul}, {"Neg", of_unary}, {"Pow", of_pow}, {"Reciprocal", of_unary}, {"ReduceMean", of_reduce}, {"ReduceSum", of_reduce},
    {"Relu", of_unary}, {"Reshape", of_view}, {"Sigmoid", of_unary}, {"Sin", of_unary}, {"Softmax", of_softmax},
    {"Softplus", of_unary}, {"Sqrt", of_unary}, {"Squeeze", of_view}, {"Sub", of_sub}, {"Sum", pass_on}, {"Tanh", of_unary},
    {"Transpose", of_transpose}, {"Unsqueeze", of_view}, {"Where", of_where},
};

/* Operators whose results do not change with small changes of their inputs. */
static const char *const flat[] = {
    "And", "ArgMax", "ArgMin", "Ceil", "Equal", "Floor", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "NonZero",
    "Not", "Or", "Round", "Shape", "Sign", "Size", "Xor",
};

static bool is_flat(const oi_op *op)
{
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) {
        if (!op->domain[0] && strcmp(flat[i], op->name) == 0)
            return true;
    }
    return false;
}

/* --- the differentiated graph --- */

static oi_status named(const gradient *d, const char *name, oi_value_id *v)
{
    *v = name ? oi_graph_find_value(d->g, name) : OI_NONE;
    OI_FAIL_IF(*v == OI_NONE, ONNX_INFER_E_INVALID_MODEL, "Gradient: there is no tensor '%s' before it", name ? name : "");
    return ONNX_INFER_OK;
}

/* Input i of the node is the value of this name. */
static oi_status substitute(gradient *d, uint32_t i, const char *name, bool varies, bool *other)
{
    oi_value_id v, value = oi_expand_in(&d->x, i);
    OI_TRY(named(d, name, &v));
    OI_FAIL_IF(value == OI_NONE, ONNX_INFER_E_INVALID_MODEL, "Gradient: input %u, for '%s', is missing", i, name);
    d->forward[v] = value;
    d->given[v] = true;
    d->varies[v] |= varies;
    *other |= value != v;
    return ONNX_INFER_OK;
}

/* A node once more, on the values that stand for its inputs. */
static oi_status copy_node(gradient *d, oi_node_id id)
{
    const oi_node n = d->g->node[id];
    oi_value_id *ins = oi_arena_array(d->g->arena, n.nin + 1, sizeof *ins), *outs = oi_arena_array(d->g->arena, n.nout + 1, sizeof *outs);
    oi_node_id made;
    if (!ins || !outs)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n.nin; i++)
        ins[i] = n.in[i] == OI_NONE ? OI_NONE : d->forward[n.in[i]];
    for (uint32_t i = 0; i < n.nout; i++)
        outs[i] = OI_NONE;
    OI_FAIL_IF(n.nsub, ONNX_INFER_E_UNSUPPORTED_OP, "Gradient cannot go through %s at node '%s'", n.op->name, n.name);
    OI_TRY(oi_graph_add_node(d->g, n.op, d->x.im->name, n.attr, n.nin, ins, n.nout, outs, 0, NULL, &made));
    for (uint32_t i = 0; i < n.nout; i++) {
        if (n.out[i] != OI_NONE)
            d->forward[n.out[i]] = outs[i];
    }
    return ONNX_INFER_OK;
}

/* Marks what lies between xs and y; where inputs stand for xs and zs under other names, computes it for them. */
static oi_status run_forward(gradient *d, const oi_node_id *order, uint32_t n, oi_value_id y, bool other)
{
    d->needed[y] = true;
    for (uint32_t k = n; k-- > 0;) {
        const oi_node *node = &d->g->node[order[k]];
        bool used = false;
        for (uint32_t i = 0; i < node->nout; i++)
            used |= node->out[i] != OI_NONE && d->needed[node->out[i]] && !d->given[node->out[i]];
        for (uint32_t i = 0; i < node->nin && used; i++) {
            if (node->in[i] != OI_NONE)
                d->needed[node->in[i]] = true;
        }
    }
    for (uint32_t k = 0; k < n; k++) {
        const oi_node *node = &d->g->node[order[k]];
        bool used = false, varies = false, changed = false;
        for (uint32_t i = 0; i < node->nout; i++)
            used |= node->out[i] != OI_NONE && d->needed[node->out[i]] && !d->given[node->out[i]];
        for (uint32_t i = 0; i < node->nin && used; i++) {
            varies |= node->in[i] != OI_NONE && d->varies[node->in[i]];
            changed |= node->in[i] != OI_NONE && d->forward[node->in[i]] != node->in[i];
        }
        varies = varies && !is_flat(node->op);
        for (uint32_t i = 0; i < node->nout && varies; i++) {
            if (node->out[i] != OI_NONE)
                d->varies[node->out[i]] = true;
        }
        if (other && changed)
            OI_TRY(copy_node(d, order[k]));
    }
    return ONNX_INFER_OK;
}

static oi_status run_backward(gradient *d, const oi_node_id *order, uint32_t n)
{
    for (uint32_t k = n; k-- > 0;) {
        const oi_node node = d->g->node[order[k]]; /* a copy: new nodes move the array */
        oi_value_id out = node.nout ? node.out[0] : OI_NONE;
        if (out == OI_NONE || d->sum[out] == OI_NONE || d->given[out] || !d->varies[out])
            continue;
        size_t rule = 0;
        while (rule < sizeof rules / sizeof *rules && (node.op->domain[0] || strcmp(rules[rule].op, node.op->name)))
            rule++;
        OI_FAIL_IF(rule == sizeof rules / sizeof *rules, ONNX_INFER_E_UNSUPPORTED_OP,
                   "Gradient cannot go through %s at node '%s': this build has no derivative of it", node.op->name, node.name);
        rules[rule].fn(&(chain){d, &node, d->forward[out], d->sum[out]});
        OI_TRY(d->x.status);
    }
    return ONNX_INFER_OK;
}

static oi_status import(oi_import *im)
{
    gradient d = {.g = im->g, .nvalue = im->g->nvalue};
    OI_TRY(oi_expand_begin(&d.x, im));
    const gradient_attr *a = d.x.attr;
    oi_arena *arena = im->g->arena;
    oi_node_id *order;
    oi_value_id y, *xs = oi_arena_array(arena, a->xs.n + 1, sizeof *xs);
    uint32_t n;
    bool other = false;
    OI_FAIL_IF(im->nin != a->xs.n + a->zs.n || im->nout > a->xs.n, ONNX_INFER_E_INVALID_MODEL,
               "Gradient: %u inputs and %u outputs for %u names in xs and %u in zs", im->nin, im->nout, a->xs.n, a->zs.n);
    d.forward = oi_arena_array(arena, d.nvalue + 1, sizeof *d.forward);
    d.sum = oi_arena_array(arena, d.nvalue + 1, sizeof *d.sum);
    d.varies = oi_arena_array(arena, d.nvalue + 1, sizeof *d.varies);
    d.needed = oi_arena_array(arena, d.nvalue + 1, sizeof *d.needed);
    d.given = oi_arena_array(arena, d.nvalue + 1, sizeof *d.given);
    if (!xs || !d.forward || !d.sum || !d.varies || !d.needed || !d.given)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (oi_value_id v = 0; v < d.nvalue; v++) {
        d.forward[v] = v;
        d.sum[v] = OI_NONE;
    }
    OI_TRY(named(&d, a->y, &y));
    for (uint32_t i = 0; i < a->xs.n; i++) {
        OI_TRY(substitute(&d, i, a->xs.at[i], true, &other));
        OI_TRY(named(&d, a->xs.at[i], &xs[i]));
    }
    for (uint32_t i = 0; i < a->zs.n; i++)
        OI_TRY(substitute(&d, a->xs.n + i, a->zs.at[i], false, &other));
    OI_TRY(oi_graph_order(im->g, &order, &n));
    OI_TRY(run_forward(&d, order, n, y, other));
    oi_value_id one = oi_expand_scalar(&d.x, 1, d.forward[y]);
    d.sum[y] = OI_NODE(&d.x, "Expand", NULL, one, OI_NODE(&d.x, "Shape", NULL, d.forward[y]));
    OI_TRY(d.x.status);
    OI_TRY(run_backward(&d, order, n));
    for (uint32_t i = 0; i < im->nout; i++) {
        oi_value_id v = d.sum[xs[i]], like = d.forward[xs[i]];
        if (v == OI_NONE) /* y does not depend on it */
            v = OI_NODE(&d.x, "Expand", NULL, oi_expand_scalar(&d.x, 0, like), OI_NODE(&d.x, "Shape", NULL, like));
        oi_expand_out(&d.x, i, v);
    }
    return oi_expand_end(&d.x);
}

static const oi_attr_spec attrs[] = {
    {.name = "xs", .type = OI_ATTR_STRINGS, .offset = offsetof(gradient_attr, xs), .flags = OI_ATTR_REQUIRED},
    {.name = "y", .type = OI_ATTR_STRING, .offset = offsetof(gradient_attr, y), .flags = OI_ATTR_REQUIRED},
    {.name = "zs", .type = OI_ATTR_STRINGS, .offset = offsetof(gradient_attr, zs)},
    {0},
};

const oi_op oi_op_preview_Gradient = {
    .name = "Gradient", .domain = "ai.onnx.preview.training", .since = 1, .newest = 1, .min_in = 1, .max_in = UINT16_MAX, .min_out = 1,
    .max_out = UINT16_MAX, .attrs = attrs, .attr_size = sizeof(gradient_attr), .import = import, .infer = oi_expanded_infer,
    .eval = oi_expanded_eval,
};
