/* Pads that are constant go into the pads of the window behind them, and pads of pads become one:
 *
 *   Conv(Pad(x, 0))                        -> Conv(x) {pads}              LpPool the same
 *   ConvTranspose(Pad(x, 0)) {pads}        -> ConvTranspose(x) {smaller pads}    where they are large enough
 *   ConvInteger, QLinearConv(Pad(x, zero)) -> ConvInteger, QLinearConv(x) {pads}
 *   MaxPool(Pad(x, -inf))                  -> MaxPool(x) {pads}
 *   MaxPool(Pad(Relu(x), 0))               -> MaxPool(Relu(x)) {pads}     0 is no larger than what it stands beside
 *   AveragePool(Pad(x, 0))                 -> AveragePool(x) {pads, count_include_pad=1}
 *   Conv(Relu(Transpose(Pad(x, 0))))       -> Conv(Relu(Transpose(x))) {pads}         also views that add or drop axes of size 1
 *   Pad(Pad(x, p), q)                      -> Pad(x, p + q)               of one value, or both of the edge
 *
 * A Pad moves only where it goes. Left alone: negative pads, other values and modes, pads of samples or channels, pools with
 * pads as wide as the window or ceil_mode, averages that leave their own pads out, MaxPool with indices. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include "ops/op_conv.h"
#include "ops/op_pool.h"

#include <math.h>
#include <string.h>

enum { LONGEST = 6 /* operators between a Pad and its window */, WIDEST = 1 << 20 };
enum { CONSTANT, REFLECT, EDGE }; /* words of Pad's mode */

typedef struct {
    int64_t begin[OI_MAX_RANK], end[OI_MAX_RANK];
} borders;

static bool read_borders(const oi_graph *g, const oi_node *pad, int32_t rank, borders *b)
{
    const oi_tensor *pads = oi_match_const(g, pad->in[1]);
    const bool some = pad->nin > 3 && pad->in[3] != OI_NONE;
    const oi_tensor *axes = some ? oi_match_const(g, pad->in[3]) : NULL;
    memset(b, 0, sizeof *b);
    if (!pads || pads->dtype != ONNX_INFER_INT64 || (some && !axes) || rank < 1 || rank > OI_MAX_RANK)
        return false;
    const int64_t count = axes ? oi_tensor_count(axes) : rank, *p = pads->data;
    if (oi_tensor_count(pads) != 2 * count)
        return false;
    for (int64_t i = 0; i < count; i++) {
        int64_t axis = axes ? oi_elem_get_int(axes->dtype, axes->data, (size_t)i) : i;
        axis += axis < 0 ? rank : 0;
        if (axis < 0 || axis >= rank || p[i] < -WIDEST || p[i] > WIDEST || p[count + i] < -WIDEST || p[count + i] > WIDEST)
            return false;
        b->begin[axis] = p[i];
        b->end[axis] = p[count + i];
    }
    return true;
}

static bool read_value(const oi_graph *g, const oi_node *pad, double *value)
{
    *value = 0;
    return pad->nin < 3 || pad->in[2] == OI_NONE || oi_match_scalar(g, pad->in[2], value);
}

/* --- what stands between a Pad and its window -------------------------------------------------------------------------- */

/* The number that a quantisation takes for 0. */
static bool zero_point(const oi_graph *g, const oi_node *n, uint32_t at, double *zero)
{
    *zero = 0;
    return n->nin <= at || n->in[at] == OI_NONE || oi_match_scalar(g, n->in[at], zero);
}

static bool one_scale(const oi_graph *g, const oi_node *n)
{
    double scale;
    return n->nin > 1 && oi_match_scalar(g, n->in[1], &scale);
}

/* A constant second operand of finite numbers, the same for all places that the pads of `b` make. */
static bool constant_along(const oi_graph *g, const oi_node *n, const borders *b, bool divides)
{
    const oi_tensor *c = n->nin == 2 ? oi_match_const(g, n->in[1]) : NULL;
    const int32_t rank = oi_graph_fact(g, n->out[0])->shape.rank;
    if (!c || c->rank > rank || !oi_dtype_is_float(c->dtype))
        return false;
    for (int32_t i = 0; i < c->rank; i++) {
        const int32_t axis = rank - c->rank + i;
        if (c->dim[i] != 1 && (b->begin[axis] || b->end[axis]))
            return false;
    }
    for (int64_t i = 0; i < oi_tensor_count(c); i++) {
        const double v = oi_elem_get_double(c->dtype, c->data, (size_t)i);
        if (!isfinite(v) || (divides && v == 0))
            return false;
    }
    return true;
}

static bool is_view(const oi_node *n)
{
    return strcmp(n->op->name, "Reshape") == 0 || strcmp(n->op->name, "Unsqueeze") == 0 || strcmp(n->op->name, "Squeeze") == 0;
}

/* What n makes of a border of *value; false where nothing is known of it, or where it is not the same everywhere. */
static bool value_behind(const oi_graph *g, const oi_node *n, const borders *b, double *value)
{
    static const char *const keep_zero[] = {
        "Abs", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil", "Celu", "Elu", "Erf", "Floor", "Gelu", "HardSwish", "LeakyRelu",
        "Mish", "Neg", "Round", "Selu", "Sign", "Sin", "Sinh", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu"};
    const char *op = n->op->name;
    double zero, low = -INFINITY, high = INFINITY;
    if (strcmp(op, "Transpose") == 0 || strcmp(op, "Identity") == 0 || is_view(n))
        return true;
    if (strcmp(op, "Relu") == 0) {
        *value = *value > 0 ? *value : 0;
        return true;
    }
    if (strcmp(op, "Clip") == 0) {
        if ((n->nin > 1 && n->in[1] != OI_NONE && !oi_match_scalar(g, n->in[1], &low)) ||
            (n->nin > 2 && n->in[2] != OI_NONE && !oi_match_scalar(g, n->in[2], &high)))
            return false;
        *value = *value < low ? low : *value;
        *value = *value > high ? high : *value;
        return true;
    }
    if (strcmp(op, "DequantizeLinear") == 0) {
        const bool is_zero = one_scale(g, n) && zero_point(g, n, 2, &zero) && *value == zero;
        *value = 0;
        return is_zero;
    }
    if (*value != 0)
        return false;
    if (strcmp(op, "QuantizeLinear") == 0)
        return one_scale(g, n) && zero_point(g, n, 2, value);
    if (strcmp(op, "Mul") == 0 || strcmp(op, "PRelu") == 0 || strcmp(op, "Div") == 0)
        return constant_along(g, n, b, *op == 'D');
    for (size_t i = 0; i < sizeof keep_zero / sizeof *keep_zero; i++) {
        if (strcmp(op, keep_zero[i]) == 0)
            return true;
    }
    return false;
}

/* The same where n only adds or drops axes of size 1, none of which has a border. */
static bool borders_behind_view(const oi_shape *in, const oi_shape *out, borders *b)
{
    const borders before = *b;
    int32_t from = 0;
    memset(b, 0, sizeof *b);
    for (int32_t i = 0; i < out->rank; i++) {
        while (from < in->rank && in->dim[from] == 1 && out->dim[i] != 1 && !before.begin[from] && !before.end[from])
            from++;
        if (from < in->rank && in->dim[from] == out->dim[i]) {
            b->begin[i] = before.begin[from];
            b->end[i] = before.end[from++];
        } else if (out->dim[i] != 1) {
            return false;
        }
    }
    while (from < in->rank && in->dim[from] == 1 && !before.begin[from] && !before.end[from])
        from++;
    return from == in->rank;
}

/* Moves the borders of n's input to the axes of its result. */
static bool borders_behind(const oi_graph *g, const oi_node *n, borders *b)
{
    const oi_shape *in = &oi_graph_fact(g, n->in[0])->shape, *out = &oi_graph_fact(g, n->out[0])->shape;
    if (is_view(n))
        return in->rank >= 0 && out->rank >= 0 && borders_behind_view(in, out, b);
    if (strcmp(n->op->name, "Transpose") != 0)
        return oi_shape_equal(in, out);
    const oi_ints *perm = oi_attr_field(n, "perm");
    const borders before = *b;
    if (perm && perm->at && perm->n != (uint32_t)in->rank)
        return false;
    for (int32_t i = 0; i < in->rank; i++) {
        const int64_t from = perm && perm->at ? perm->at[i] : in->rank - 1 - i;
        b->begin[i] = before.begin[from];
        b->end[i] = before.end[from];
    }
    return true;
}

typedef struct {
    oi_value_id x;                /* what is padded */
    oi_node_id between[LONGEST];  /* from the window back to the Pad */
    int n;
    borders first, borders;       /* by the axes of x, and by those of the window's input */
    double value;
} padded;

static bool find_pad(const oi_graph *g, oi_value_id v, padded *p)
{
    const oi_node *n;
    p->n = 0;
    while (true) {
        if (v == OI_NONE || g->value[v].def == OI_NONE)
            return false;
        n = &g->node[g->value[v].def];
        if (!n->op || n->op->domain[0] || n->nin < 1 || n->in[0] == OI_NONE)
            return false;
        if (strcmp(n->op->name, "Pad") == 0)
            break;
        if (p->n == LONGEST || n->nout != 1 || !oi_match_single_use(g, v))
            return false;
        p->between[p->n++] = g->value[v].def;
        v = n->in[0];
    }
    p->x = n->in[0];
    if (oi_attr_int(n, "mode", -1) != CONSTANT || !read_value(g, n, &p->value) ||
        !read_borders(g, n, oi_graph_fact(g, p->x)->shape.rank, &p->first))
        return false;
    p->borders = p->first;
    for (int i = p->n; i-- > 0;) {
        const oi_node *step = &g->node[p->between[i]];
        if (!borders_behind(g, step, &p->borders) || !value_behind(g, step, &p->borders, &p->value))
            return false;
    }
    return true;
}

/* v with the shape that n's result has without these borders. */
static oi_value_id view_without(oi_rewrite *rw, const oi_node *n, const borders *b, oi_value_id v)
{
    const oi_shape *s = &oi_graph_fact(rw->g, n->out[0])->shape;
    int64_t dims[OI_MAX_RANK];
    int open = 0;
    for (int32_t i = 0; i < s->rank; i++) {
        const bool number = oi_dim_is_number(s->dim[i]);
        dims[i] = number ? s->dim[i] - b->begin[i] - b->end[i] : -1;
        open += !number;
        if (number && dims[i] < 1)
            open = 2; /* nothing, which Reshape writes in another way */
    }
    if (open > 1) {
        rw->status = OI_DECLINED;
        return OI_NONE;
    }
    const oi_value_id in[2] = {v, oi_rewrite_const_ints(rw, dims, (uint32_t)s->rank)};
    return oi_rewrite_op(rw, "", "Reshape", "", 2, in);
}

static oi_value_id without_pad(oi_rewrite *rw, const padded *p)
{
    enum { MOST_IN = 4 };
    oi_value_id v = p->x, in[MOST_IN];
    borders b = p->first;
    for (int i = p->n; i-- > 0;) {
        const oi_node n = rw->g->node[p->between[i]];
        borders_behind(rw->g, &n, &b);
        if (is_view(&n)) {
            v = view_without(rw, &n, &b, v);
            continue;
        }
        if (n.nin > MOST_IN) {
            rw->status = OI_DECLINED;
            return OI_NONE;
        }
        memcpy(in, n.in, n.nin * sizeof *in);
        in[0] = v;
        v = oi_rewrite_node(rw, n.op, n.attr, n.nin, in);
    }
    return v;
}

/* --- windows ------------------------------------------------------------------------------------------------------------ */

typedef enum { CONV, TRANSPOSED, INTEGER, MAX, AVERAGE, LP } window_kind;

static const struct {
    const char *op;
    window_kind kind;
    uint32_t weights; /* place of the input that says how large the window is; 0: an attribute does */
} window_rows[] = {
    {"Conv", CONV, 1}, {"ConvTranspose", TRANSPOSED, 1}, {"ConvInteger", INTEGER, 1}, {"QLinearConv", INTEGER, 3},
    {"MaxPool", MAX, 0}, {"AveragePool", AVERAGE, 0}, {"LpPool", LP, 0},
};

static bool is_negative_free(const oi_graph *g, oi_value_id v)
{
    static const char *const ops[] = {"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt"};
    for (int i = 0; i < LONGEST && v != OI_NONE && g->value[v].def != OI_NONE; i++) {
        const oi_node *n = &g->node[g->value[v].def];
        double low;
        for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
            if (oi_match_def(g, v, ops[k]) && !n->op->domain[0])
                return true;
        }
        if (oi_match_def(g, v, "Clip"))
            return n->nin > 1 && oi_match_scalar(g, n->in[1], &low) && low >= 0;
        if (!oi_match_def(g, v, "Transpose") && !oi_match_def(g, v, "Identity") && !oi_match_def(g, v, "MaxPool"))
            return false;
        v = n->in[0];
    }
    return false;
}

static double lowest_of(oi_dtype dtype)
{
    return dtype == ONNX_INFER_INT8 ? -128 : dtype == ONNX_INFER_UINT8 ? 0 : -INFINITY;
}

/* The window of node n, its pads resolved; false where they depend on sizes that are open. */
static bool read_window(const oi_graph *g, const oi_node *n, const oi_window_attr *a, uint32_t weights, oi_window *w)
{
    const oi_shape *in = &oi_graph_fact(g, n->in[0])->shape;
    const oi_shape *size = weights ? &oi_graph_fact(g, n->in[weights])->shape : NULL;
    if (in->rank < 3 || (size && (size->rank != in->rank || !oi_shape_is_concrete(size))) ||
        oi_window_init(a, in->rank - 2, size ? size->dim + 2 : NULL, w))
        return false;
    if (a->auto_pad != OI_PAD_SAME_UPPER && a->auto_pad != OI_PAD_SAME_LOWER)
        return true;
    return oi_shape_is_concrete(in) && !oi_window_resolve(a, in->dim + 2, w);
}

/* Whether the window may take a border of p->value, as far as that does not depend on how wide it is. */
static bool takes_value(const oi_graph *g, const oi_node *n, window_kind kind, const padded *p, const oi_window *w)
{
    const oi_pool_attr *pool = n->attr;
    const oi_conv_attr *conv = n->attr;
    const oi_value_id behind = p->n ? g->node[p->between[0]].out[0] : p->x;
    double zero;
    bool plain = true;
    for (int32_t i = 0; i < w->nd; i++)
        plain = plain && w->dilation[i] == 1;
    switch (kind) {
    case CONV:
        return p->value == 0;
    case TRANSPOSED:
        return p->value == 0 && conv->window.auto_pad == OI_PAD_NOTSET && !conv->output_shape.at;
    case INTEGER:
        return zero_point(g, n, 2, &zero) && p->value == zero;
    case MAX:
        return !pool->window.ceil_mode && (n->nout < 2 || n->out[1] == OI_NONE) &&
               (p->value == lowest_of(oi_graph_fact(g, n->in[0])->dtype) || (p->value == 0 && plain && is_negative_free(g, behind)));
    case AVERAGE:
        for (int32_t i = 0; i < w->nd; i++)
            plain = plain && w->begin[i] == 0 && w->end[i] == 0;
        return p->value == 0 && !pool->window.ceil_mode && (pool->count_include_pad || plain);
    default:
        return p->value == 0 && !pool->window.ceil_mode;
    }
}

static bool add_borders(const borders *b, window_kind kind, oi_window *w)
{
    bool some = false;
    if (b->begin[0] || b->end[0] || b->begin[1] || b->end[1])
        return false;
    for (int32_t i = 0; i < w->nd; i++) {
        const int64_t first = b->begin[i + 2], last = b->end[i + 2], reach = w->dilation[i] * (w->kernel[i] - 1) + 1;
        if (first < 0 || last < 0)
            return false;
        some = some || first || last;
        w->begin[i] += kind == TRANSPOSED ? -first * w->stride[i] : first;
        w->end[i] += kind == TRANSPOSED ? -last * w->stride[i] : last;
        if (w->begin[i] < 0 || w->end[i] < 0 || w->begin[i] > WIDEST || w->end[i] > WIDEST ||
            (kind >= MAX && (w->begin[i] >= reach || w->end[i] >= reach)))
            return false;
    }
    return some;
}

oi_status oi_rule_absorb_pad(oi_rewrite *rw, oi_node_id id)
{
    enum { MOST_IN = 9 };
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    size_t row = 0;
    padded p;
    oi_window w;
    while (row < sizeof window_rows / sizeof *window_rows && (n.op->domain[0] || strcmp(n.op->name, window_rows[row].op) != 0))
        row++;
    if (row == sizeof window_rows / sizeof *window_rows || n.nin > MOST_IN || !find_pad(g, n.in[0], &p))
        return ONNX_INFER_OK;
    const window_kind kind = window_rows[row].kind;
    if (!read_window(g, &n, n.attr, window_rows[row].weights, &w) || !takes_value(g, &n, kind, &p, &w) || !add_borders(&p.borders, kind, &w))
        return ONNX_INFER_OK;
    void *attr = oi_arena_copy(g->arena, n.attr, n.op->attr_size);
    if (!attr)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_window_attr *window = kind >= MAX ? &((oi_pool_attr *)attr)->window : &((oi_conv_attr *)attr)->window;
    int64_t pads[2 * OI_WINDOW_MAX];
    memcpy(pads, w.begin, (size_t)w.nd * sizeof *pads);
    memcpy(pads + w.nd, w.end, (size_t)w.nd * sizeof *pads);
    window->auto_pad = OI_PAD_NOTSET;
    window->pads = oi_rewrite_ints(rw, pads, 2 * (uint32_t)w.nd);
    if (kind == AVERAGE)
        ((oi_pool_attr *)attr)->count_include_pad = 1;
    oi_value_id in[MOST_IN];
    memcpy(in, n.in, n.nin * sizeof *in);
    in[0] = without_pad(rw, &p);
    oi_rewrite_replace(rw, n.out[0], oi_rewrite_node(rw, n.op, attr, n.nin, in));
    return rw->status;
}

/* --- pads of pads ----------------------------------------------------------------------------------------------------------- */

oi_status oi_rule_pads(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node second = g->node[id];
    const oi_node *first = oi_match_single_use(g, second.in[0]) ? oi_match_def(g, second.in[0], "Pad") : NULL;
    const int32_t rank = oi_graph_fact(g, second.in[0])->shape.rank;
    const int64_t mode = oi_attr_int(&second, "mode", -1);
    int64_t pads[2 * OI_MAX_RANK];
    double inner, outer;
    borders a, b;
    if (!first || mode != oi_attr_int(first, "mode", -1) || (mode != CONSTANT && mode != EDGE) || !read_borders(g, first, rank, &a) ||
        !read_borders(g, &second, rank, &b))
        return ONNX_INFER_OK;
    if (mode == CONSTANT && (!read_value(g, first, &inner) || !read_value(g, &second, &outer) || inner != outer))
        return ONNX_INFER_OK;
    for (int32_t i = 0; i < rank; i++) {
        if (a.begin[i] < 0 || a.end[i] < 0 || b.begin[i] < 0 || b.end[i] < 0)
            return ONNX_INFER_OK;
        pads[i] = a.begin[i] + b.begin[i];
        pads[rank + i] = a.end[i] + b.end[i];
    }
    oi_value_id in[3] = {first->in[0], oi_rewrite_const_ints(rw, pads, 2 * (uint32_t)rank), second.nin > 2 ? second.in[2] : OI_NONE};
    oi_rewrite_replace(rw, second.out[0], oi_rewrite_node(rw, second.op, second.attr, in[2] == OI_NONE ? 2 : 3, in));
    return rw->status;
}
