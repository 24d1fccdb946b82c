/* Loops whose body is a recurrent cell become the operator of that name:
 *
 *   Scan(h, c, X) { x } and Loop(T, true, h, c) { x = Gather(X, i) } over all of X, with constant weights, and
 *
 *     LSTM   f, i, o = sigmoid(...), g = tanh(...); c = f c + i g; h = o tanh(c)
 *     GRU    z, r = sigmoid(...); n = tanh(x W + (r h) R + b) or tanh(x W + r (h R + b) + b); h = (1 - z) n + z h or n + z (h - n)
 *            (or with z and 1 - z the other way round)
 *     RNN    h = tanh(...)
 *
 * where ... is x W + h R + b for each gate: as products of their own, in one product that is split, or as one with
 * Concat(x, h). sigmoid may be HardSigmoid, tanh another activation, too. Left alone: results other than h of all turns and the
 * last h and c; bodies that do anything else; batch sizes that are not the same throughout. */
#include "optimizer/match.h"
#include "optimizer/rules.h"

#include "ops/infer.h"
#include "ops/op_rnn.h"

#include <string.h>

enum { GATES = 4, DEEPEST = 12 };

typedef struct {
    const char *name; /* of the operator that it is in pieces; also of the attribute */
    float alpha, beta;
} curve;

/* Columns of a sum of products, by what is multiplied; the arrays are those of W, R and B, row by row. */
typedef struct {
    float *x, *h, *b;        /* h: of the recurrent state itself */
    float *reset, *reset_b;  /* what the reset gate acts on: in front of the product (r h) R, or behind it r (h R + b) */
    bool has_h, has_before, has_behind;
} sums;

typedef struct {
    const oi_graph *g;       /* the body */
    oi_value_id x, h, c;     /* c: OI_NONE but in a LSTM */
    int64_t in, hidden;
    oi_value_id reset;       /* the gate r, once it was met */
} cell;

/* --- sums of products -------------------------------------------------------------------------------------------- */

static const oi_tensor *weights_of(const cell *m, oi_value_id v, int32_t most_rank)
{
    const oi_fact *f = oi_graph_fact(m->g, v);
    return f && f->konst && f->dtype == ONNX_INFER_FLOAT && f->shape.rank <= most_rank ? oi_match_const(m->g, v) : NULL;
}

/* Rows first.. of the matrix, columns from..from + n, become n rows of `out`. */
static void add_columns(const oi_tensor *w, bool transposed, int64_t first, int64_t rows, int64_t from, int64_t n, float *out)
{
    const float *p = w->data;
    for (int64_t k = 0; k < n; k++) {
        for (int64_t i = 0; i < rows; i++)
            out[k * rows + i] += transposed ? p[(from + k) * w->dim[1] + first + i] : p[(first + i) * w->dim[1] + from + k];
    }
}

/* v = a * b in either order with b == of: a. */
static oi_value_id factor_of(const cell *m, oi_value_id v, oi_value_id of)
{
    const oi_node *n = oi_match_def(m->g, v, "Mul");
    return !n ? OI_NONE : n->in[1] == of ? n->in[0] : n->in[0] == of ? n->in[1] : OI_NONE;
}

static bool set_reset(cell *m, oi_value_id r)
{
    if (m->reset != OI_NONE && m->reset != r)
        return false;
    m->reset = r;
    return true;
}

/* What of `s` a factor of a product belongs to, and its size; NULL: it is none of the cell's. */
static float *part_of(cell *m, oi_value_id u, sums *s, int64_t *rows)
{
    *rows = u == m->x ? m->in : m->hidden;
    if (u == m->x)
        return s->x;
    if (u == m->h) {
        s->has_h = true;
        return s->h;
    }
    oi_value_id r = s->reset ? factor_of(m, u, m->h) : OI_NONE;
    if (r == OI_NONE || !set_reset(m, r))
        return NULL;
    s->has_before = true;
    return s->reset;
}

static bool add_product(cell *m, oi_value_id u, oi_value_id weights, bool transposed, int64_t from, int64_t n, sums *s)
{
    const oi_tensor *w = weights_of(m, weights, 2);
    const oi_node *both = oi_match_def(m->g, u, "Concat");
    int64_t rows, at = 0;
    if (!w || w->rank != 2 || from + n > w->dim[transposed ? 0 : 1])
        return false;
    const int32_t rank = oi_graph_fact(m->g, u)->shape.rank;
    const int64_t axis = both ? oi_attr_int(both, "axis", OI_UNSET) : 0;
    if (both && (both->nin != 2 || (axis != -1 && axis != rank - 1)))
        return false;
    for (uint32_t i = 0; i < (both ? 2u : 1u); i++) {
        float *out = part_of(m, both ? both->in[i] : u, s, &rows);
        if (!out || at + rows > w->dim[transposed ? 1 : 0])
            return false;
        add_columns(w, transposed, at, rows, from, n, out);
        at += rows;
    }
    return at == w->dim[transposed ? 1 : 0];
}

static bool add_constant(const cell *m, oi_value_id v, int64_t from, int64_t n, float *out)
{
    const oi_tensor *t = weights_of(m, v, 2);
    int64_t count = t ? oi_tensor_count(t) : 0;
    if (count < 1 || (count > 1 && (t->dim[t->rank - 1] != count || from + n > count)))
        return false;
    for (int64_t i = 0; i < n; i++)
        out[i] += ((const float *)t->data)[count == 1 ? 0 : from + i];
    return true;
}

/* v is columns of another value, from *from on. */
static oi_value_id whole_of(const cell *m, oi_value_id v, int64_t *from)
{
    const oi_node *n = oi_match_def(m->g, v, "Split");
    const int32_t rank = oi_graph_fact(m->g, v)->shape.rank;
    if (n) {
        int64_t axis = oi_attr_int(n, "axis", 0);
        if (axis != -1 && axis != rank - 1)
            return OI_NONE;
        for (uint32_t i = 0; i < n->nout && n->out[i] != v; i++) {
            const oi_shape *s = n->out[i] == OI_NONE ? NULL : &oi_graph_fact(m->g, n->out[i])->shape;
            if (!s || s->rank != rank || !oi_dim_is_number(s->dim[rank - 1]))
                return OI_NONE;
            *from += s->dim[rank - 1];
        }
        return n->in[0];
    }
    n = oi_match_def(m->g, v, "Slice");
    if (!n || n->nin < 4 || rank < 1)
        return OI_NONE;
    double start, axis, step = 1;
    const oi_shape *s = &oi_graph_fact(m->g, n->in[0])->shape;
    if (!oi_match_scalar(m->g, n->in[1], &start) || !oi_match_scalar(m->g, n->in[3], &axis) ||
        (n->nin > 4 && n->in[4] != OI_NONE && !oi_match_scalar(m->g, n->in[4], &step)) || step != 1 ||
        (axis != -1 && axis != rank - 1) || !oi_dim_is_number(s->dim[rank - 1]))
        return OI_NONE;
    *from += (int64_t)start + (start < 0 ? s->dim[rank - 1] : 0);
    return n->in[0];
}

static bool known_columns(const cell *m, oi_value_id v, int64_t from, int64_t n)
{
    const oi_shape *s = &oi_graph_fact(m->g, v)->shape;
    return s->rank >= 1 && oi_dim_is_number(s->dim[s->rank - 1]) && from >= 0 && from + n <= s->dim[s->rank - 1];
}

/* Adds columns from..from + n of v to the sums; false where v is something else. */
static bool add_sum(cell *m, oi_value_id v, int64_t from, int64_t n, sums *s, int depth)
{
    if (v == OI_NONE || depth > DEEPEST)
        return false;
    if (oi_graph_fact(m->g, v)->konst)
        return add_constant(m, v, from, n, s->b);
    if (!known_columns(m, v, from, n))
        return false;
    const oi_node *node = oi_match_def(m->g, v, "Add");
    if (node)
        return add_sum(m, node->in[0], from, n, s, depth + 1) && add_sum(m, node->in[1], from, n, s, depth + 1);
    node = oi_match_def(m->g, v, "MatMul");
    if (node)
        return add_product(m, node->in[0], node->in[1], false, from, n, s);
    node = oi_match_def(m->g, v, "Gemm");
    if (node) {
        const float *alpha = oi_attr_field(node, "alpha"), *beta = oi_attr_field(node, "beta");
        bool bias = node->nin > 2 && node->in[2] != OI_NONE;
        return alpha && *alpha == 1 && (!bias || (beta && *beta == 1)) && !oi_attr_int(node, "transA", 0) &&
               add_product(m, node->in[0], node->in[1], oi_attr_int(node, "transB", 0) != 0, from, n, s) &&
               (!bias || add_constant(m, node->in[2], from, n, s->b));
    }
    oi_value_id whole = whole_of(m, v, &from);
    if (whole != OI_NONE)
        return add_sum(m, whole, from, n, s, depth + 1);
    node = s->reset ? oi_match_def(m->g, v, "Mul") : NULL;
    for (int i = 0; node && i < 2 && !s->has_behind; i++) { /* r (h R + b) */
        sums behind = {.h = s->reset, .b = s->reset_b};
        oi_value_id r = node->in[i];
        if (oi_graph_fact(m->g, r)->konst || !oi_match_def(m->g, r, "Sigmoid") == !oi_match_def(m->g, r, "HardSigmoid"))
            continue;
        s->has_behind = true;
        return set_reset(m, r) && add_sum(m, node->in[1 - i], from, n, &behind, depth + 1);
    }
    return false;
}

/* --- gates ------------------------------------------------------------------------------------------------------- */

static const char *const curves[] = {"HardSigmoid", "Relu", "Sigmoid", "Softplus", "Softsign", "Tanh"};

/* v = curve(*arg) */
static bool match_curve(const cell *m, oi_value_id v, curve *c, oi_value_id *arg)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        const oi_node *n = oi_match_def(m->g, v, curves[i]);
        const float *alpha = n ? oi_attr_field(n, "alpha") : NULL, *beta = n ? oi_attr_field(n, "beta") : NULL;
        if (!n)
            continue;
        *c = (curve){curves[i], alpha ? *alpha : 0, beta ? *beta : 0};
        *arg = n->in[0];
        return true;
    }
    return false;
}

static bool same_curve(const curve *a, const curve *b)
{
    return strcmp(a->name, b->name) == 0 && a->alpha == b->alpha && a->beta == b->beta;
}

typedef struct {
    oi_rnn_kind kind;
    curve curve[3];             /* as the operator numbers its activations */
    oi_value_id gate[GATES];    /* what goes into the curves, in the operator's order */
    bool negated;               /* GRU: z and 1 - z the other way round */
} parts;

/* h = o g3(c'), c' = f c + i g2(g) */
static bool match_lstm(const cell *m, oi_value_id h, oi_value_id c, parts *p)
{
    const oi_node *product = oi_match_def(m->g, h, "Mul"), *sum = oi_match_def(m->g, c, "Add");
    curve forget, update;
    bool found = false;
    p->kind = OI_RNN_LSTM;
    for (int i = 0; product && i < 2 && !found; i++) {
        oi_value_id arg;
        found = match_curve(m, product->in[i], &p->curve[0], &p->gate[1]) && match_curve(m, product->in[1 - i], &p->curve[2], &arg) &&
                arg == c;
    }
    for (int i = 0; found && sum && i < 2; i++) {
        const oi_node *n = oi_match_def(m->g, sum->in[1 - i], "Mul");
        oi_value_id f = factor_of(m, sum->in[i], m->c);
        if (!n || f == OI_NONE || !match_curve(m, f, &forget, &p->gate[2]) || !same_curve(&forget, &p->curve[0]))
            continue;
        for (int k = 0; k < 2; k++) {
            if (match_curve(m, n->in[k], &update, &p->gate[0]) && same_curve(&update, &p->curve[0]) &&
                match_curve(m, n->in[1 - k], &p->curve[1], &p->gate[3]))
                return true;
        }
    }
    return false;
}

/* v = 1 - z */
static bool is_rest(const cell *m, oi_value_id v, oi_value_id z)
{
    const oi_node *n = oi_match_def(m->g, v, "Sub");
    double one;
    return n && n->in[1] == z && oi_match_scalar(m->g, n->in[0], &one) && one == 1;
}

/* h = a n + b h where a and b are z and 1 - z */
static bool match_gru_sum(const cell *m, oi_value_id h, parts *p, oi_value_id *z, oi_value_id *n)
{
    const oi_node *sum = oi_match_def(m->g, h, "Add");
    for (int i = 0; sum && i < 2; i++) {
        oi_value_id keep = factor_of(m, sum->in[i], m->h);
        const oi_node *fresh = oi_match_def(m->g, sum->in[1 - i], "Mul");
        for (int k = 0; fresh && keep != OI_NONE && k < 2; k++) {
            *n = fresh->in[k];
            oi_value_id other = fresh->in[1 - k];
            p->negated = is_rest(m, keep, other);
            *z = p->negated ? other : keep;
            if (p->negated || is_rest(m, other, keep))
                return true;
        }
        /* n + z (h - n), h + z (n - h) */
        const oi_node *product = oi_match_def(m->g, sum->in[1 - i], "Mul");
        for (int k = 0; product && k < 2; k++) {
            const oi_node *away = oi_match_def(m->g, product->in[k], "Sub");
            if (!away || away->in[1] != sum->in[i] || (away->in[0] == m->h) == (away->in[1] == m->h))
                continue;
            p->negated = away->in[1] == m->h;
            *n = p->negated ? away->in[0] : away->in[1];
            *z = product->in[1 - k];
            return true;
        }
    }
    return false;
}

static bool match_gru(const cell *m, oi_value_id h, parts *p)
{
    oi_value_id z, n;
    p->kind = OI_RNN_GRU;
    return match_gru_sum(m, h, p, &z, &n) && match_curve(m, z, &p->curve[0], &p->gate[0]) && match_curve(m, n, &p->curve[1], &p->gate[2]) &&
           (!p->negated || strcmp(p->curve[0].name, "Sigmoid") == 0);
}

static bool match_rnn(const cell *m, oi_value_id h, parts *p)
{
    p->kind = OI_RNN_PLAIN;
    return match_curve(m, h, &p->curve[0], &p->gate[0]);
}

/* --- the loop around the cell ------------------------------------------------------------------------------------- */

typedef struct {
    const oi_graph *body;
    uint32_t first_in, first_out, states; /* of the body's carried inputs and outputs */
    uint32_t first_row;                   /* of the body's outputs that are stacked */
    oi_value_id x;                        /* of the body: one turn's input */
    oi_value_id whole;                    /* of the graph: all turns' */
    bool batch_first, reverse;
} turns;

static bool all_are(const oi_node *n, const char *attribute, int64_t wanted)
{
    const oi_ints *list = oi_attr_field(n, attribute);
    for (uint32_t i = 0; list && list->at && i < list->n; i++) {
        if (list->at[i] != wanted)
            return false;
    }
    return (list && list->at && list->n) || wanted == 0;
}

static bool read_scan(const oi_node *n, turns *t)
{
    const uint32_t formal = oi_node_formal_inputs(n);
    t->reverse = !all_are(n, "scan_input_directions", 0);
    if (oi_attr_int(n, "num_scan_inputs", 0) != 1 || oi_attr_int(n, "batched", 0) || formal < 2 ||
        t->body->ninput - n->sub[0].ncapture != formal ||
        !all_are(n, "scan_input_axes", 0) || !all_are(n, "scan_output_axes", 0) || !all_are(n, "scan_input_directions", t->reverse) ||
        (n->nout > formal - 1 && !all_are(n, "scan_output_directions", t->reverse)))
        return false;
    t->states = t->first_row = formal - 1;
    t->x = t->body->input[formal - 1];
    t->whole = n->in[formal - 1];
    return true;
}

static bool is_true(const oi_graph *g, oi_value_id v)
{
    double d;
    return oi_match_scalar(g, v, &d) && d != 0;
}

static bool turns_once_for_each(const oi_graph *g, oi_value_id count, const oi_shape *s, int32_t axis)
{
    const oi_fact *f = oi_graph_fact(g, count);
    double number;
    if (!f || axis >= s->rank)
        return false;
    if (oi_match_scalar(g, count, &number))
        return oi_dim_is_number(s->dim[axis]) && number == (double)s->dim[axis];
    return f->nsym == 1 && f->sym[0] == s->dim[axis];
}

/* The one value that is Gather(captured, i) in the body. */
static bool read_loop(const oi_graph *g, const oi_node *n, turns *t)
{
    const oi_sub *s = &n->sub[0];
    const uint32_t formal = oi_node_formal_inputs(n);
    oi_value_id on = t->body->output[0];
    for (oi_value_id same = on; same != OI_NONE; same = oi_match_unary(t->body, on, "Identity"))
        on = same;
    if (formal < 3 || t->body->ninput - s->ncapture != formal || (n->in[1] != OI_NONE && !is_true(g, n->in[1])) ||
        (on != t->body->input[1] && !is_true(t->body, on)))
        return false;
    const oi_value *i = &t->body->value[t->body->input[0]];
    if (i->nuse != 1 || i->is_output || n->in[0] == OI_NONE)
        return false;
    const oi_node *gather = &t->body->node[i->use[0].node];
    if (gather->op->domain[0] || strcmp(gather->op->name, "Gather") != 0 || i->use[0].slot != 1)
        return false;
    int64_t axis = oi_attr_int(gather, "axis", 0);
    for (uint32_t k = 0; k < s->ncapture; k++) {
        if (t->body->input[formal + k] == gather->in[0])
            t->whole = n->in[s->capture[k]];
    }
    if (t->whole == OI_NONE || (axis != 0 && axis != 1) ||
        !turns_once_for_each(g, n->in[0], &oi_graph_fact(g, t->whole)->shape, (int32_t)axis))
        return false;
    t->first_in = 2;
    t->first_out = 1;
    t->states = formal - 2;
    t->first_row = 1 + t->states;
    t->x = gather->out[0];
    t->batch_first = axis == 1;
    return true;
}

/* --- the operator ------------------------------------------------------------------------------------------------- */

static const int gate_count[] = {[OI_RNN_PLAIN] = 1, [OI_RNN_GRU] = 3, [OI_RNN_LSTM] = 4};

static oi_status new_weights(oi_rewrite *rw, int64_t rows, int64_t columns, oi_tensor *t)
{
    const int64_t dims[3] = {1, rows, columns};
    OI_TRY(oi_tensor_create(oi_arena_alloc_of(rw->g->arena), ONNX_INFER_FLOAT, columns ? 3 : 2, dims, t));
    memset(t->data, 0, t->bytes);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_tensor w, r, b;
    bool linear_before_reset, fits;
} weights;

/* fits: the gates are sums of products indeed. */
static void fill_weights(cell *m, const parts *p, weights *t)
{
    const int64_t n = m->hidden;
    float *w = t->w.data, *r = t->r.data, *b = t->b.data;
    const int gates = gate_count[p->kind];
    parts gru = *p;
    for (int k = 0; k < 3 && p->kind == OI_RNN_GRU; k++) { /* n first: it says what r is */
        const int at = k == 0 ? 2 : k - 1;
        sums s = {.x = w + at * n * m->in, .h = r + at * n * n, .b = b + at * n};
        curve c;
        if (at == 2) {
            s.reset = s.h;
            s.h = t->r.data; /* of z: is written anew below, and may not be used here */
            s.reset_b = b + (3 + 2) * n;
        }
        if (!add_sum(m, gru.gate[at], 0, n, &s, 0))
            return;
        if (at != 2)
            continue;
        if (s.has_h || s.has_before == s.has_behind || !match_curve(m, m->reset, &c, &gru.gate[1]) || !same_curve(&c, &p->curve[0]))
            return;
        t->linear_before_reset = s.has_behind;
    }
    for (int at = 0; at < gates && p->kind != OI_RNN_GRU; at++) {
        sums s = {.x = w + at * n * m->in, .h = r + at * n * n, .b = b + at * n};
        if (!add_sum(m, p->gate[at], 0, n, &s, 0))
            return;
    }
    if (p->negated) { /* 1 - sigmoid(a) = sigmoid(-a) */
        for (int64_t i = 0; i < n * m->in; i++)
            w[i] = -w[i];
        for (int64_t i = 0; i < n * n; i++)
            r[i] = -r[i];
        for (int64_t i = 0; i < n; i++)
            b[i] = -b[i];
    }
    t->fits = true;
}

static oi_status set_attributes(oi_rewrite *rw, const parts *p, const turns *t, const weights *w, int64_t hidden, oi_rnn_attr *a)
{
    static const uint32_t each[] = {[OI_RNN_PLAIN] = 1, [OI_RNN_GRU] = 2, [OI_RNN_LSTM] = 3};
    const uint32_t n = each[p->kind];
    const char **names = oi_arena_array(rw->g->arena, n, sizeof *names);
    uint32_t *len = oi_arena_array(rw->g->arena, n, sizeof *len), hard = 0;
    float *alpha = oi_arena_array(rw->g->arena, n, sizeof *alpha), *beta = oi_arena_array(rw->g->arena, n, sizeof *beta);
    if (!names || !len || !alpha || !beta)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        names[i] = p->curve[i].name;
        len[i] = (uint32_t)strlen(names[i]);
        if (strcmp(names[i], "HardSigmoid") == 0) {
            alpha[hard] = p->curve[i].alpha;
            beta[hard++] = p->curve[i].beta;
        }
    }
    a->activations = (oi_strings){names, len, n};
    if (hard) {
        a->activation_alpha = (oi_floats){alpha, hard};
        a->activation_beta = (oi_floats){beta, hard};
    }
    a->hidden_size = hidden;
    a->direction = t->reverse ? OI_RNN_REVERSE : OI_RNN_FORWARD;
    a->linear_before_reset = w->linear_before_reset;
    return ONNX_INFER_OK;
}

static oi_value_id with_axis(oi_rewrite *rw, const char *op, oi_value_id v, int64_t axis)
{
    const oi_value_id in[2] = {v, oi_rewrite_const_ints(rw, &axis, 1)};
    return oi_rewrite_op(rw, "", op, "", 2, in);
}

/* h_state, c_state: their places among the carried values. */
static oi_status replace(oi_rewrite *rw, const oi_node *n, const turns *t, const cell *m, const parts *p, weights *w, uint32_t h_state)
{
    static const char *const name[] = {[OI_RNN_PLAIN] = "RNN", [OI_RNN_GRU] = "GRU", [OI_RNN_LSTM] = "LSTM"};
    const oi_op *op = oi_op_find("", name[p->kind]);
    oi_rnn_attr *attr = oi_attr_new(rw->g->arena, op);
    oi_value_id in[7], out[3];
    const uint32_t c_state = 1 - h_state;
    if (!attr)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(set_attributes(rw, p, t, w, m->hidden, attr));
    in[0] = t->batch_first ? oi_rewrite_op(rw, "", "Transpose", "perm=[1,0,2]", 1, &t->whole) : t->whole;
    in[1] = oi_rewrite_const(rw, &w->w);
    in[2] = oi_rewrite_const(rw, &w->r);
    in[3] = oi_rewrite_const(rw, &w->b);
    in[4] = OI_NONE;
    in[5] = with_axis(rw, "Unsqueeze", n->in[t->first_in + h_state], 0);
    in[6] = p->kind == OI_RNN_LSTM ? with_axis(rw, "Unsqueeze", n->in[t->first_in + c_state], 0) : OI_NONE;
    const bool lstm = p->kind == OI_RNN_LSTM;
    if (rw->status)
        return rw->status;
    oi_rewrite_node_multi(rw, op, attr, lstm ? 7 : 6, in, lstm ? 3 : 2, out);
    for (uint32_t i = 0; i < n->nout && !rw->status; i++) {
        oi_value_id v = n->out[i];
        if (v == OI_NONE || !(rw->g->value[v].nuse || rw->g->value[v].is_output))
            continue;
        if (i < t->states)
            oi_rewrite_replace(rw, v, with_axis(rw, "Squeeze", out[i == h_state ? 1 : 2], 0));
        else
            oi_rewrite_replace(rw, v, with_axis(rw, "Squeeze", out[0], 1));
    }
    return rw->status;
}

/* Rows of x, h and c are the same samples. */
static bool same_batch(const oi_graph *g, const oi_node *n, const turns *t, cell *m)
{
    const oi_shape *x = &oi_graph_fact(g, t->whole)->shape, *one = &oi_graph_fact(t->body, t->x)->shape;
    if (oi_graph_fact(g, t->whole)->dtype != ONNX_INFER_FLOAT || x->rank != 3 || one->rank != 2 || !oi_dim_is_number(x->dim[2]))
        return false;
    m->in = x->dim[2];
    for (uint32_t i = 0; i < t->states; i++) {
        const oi_shape *s = &oi_graph_fact(g, n->in[t->first_in + i])->shape;
        if (s->rank != 2 || s->dim[0] != x->dim[t->batch_first ? 0 : 1] || !oi_dim_is_number(s->dim[1]) || s->dim[1] < 1 ||
            (i > 0 && s->dim[1] != m->hidden))
            return false;
        m->hidden = s->dim[1];
    }
    return m->in > 0;
}

static bool rows_are_states(const oi_graph *g, const oi_node *n, const turns *t, oi_value_id h)
{
    for (uint32_t i = t->states; i < n->nout; i++) {
        oi_value_id v = n->out[i];
        if (v != OI_NONE && (g->value[v].nuse || g->value[v].is_output) && t->body->output[t->first_row + i - t->states] != h)
            return false;
    }
    return true;
}

oi_status oi_rule_cell(oi_rewrite *rw, oi_node_id id)
{
    const oi_graph *g = rw->g;
    const oi_node n = g->node[id];
    if (n.nsub != 1)
        return ONNX_INFER_OK;
    turns t = {.body = n.sub[0].graph, .x = OI_NONE, .whole = OI_NONE};
    const bool scan = strcmp(n.op->name, "Scan") == 0;
    if (!(scan ? read_scan(&n, &t) : read_loop(g, &n, &t)) || t.states > 2 || t.whole == OI_NONE || n.nout < t.states ||
        t.body->noutput != t.first_out + n.nout)
        return ONNX_INFER_OK;
    for (uint32_t h = 0; h < t.states; h++) {
        cell m = {.g = t.body, .x = t.x, .h = t.body->input[t.first_in + h], .c = OI_NONE, .reset = OI_NONE};
        parts p = {0};
        const oi_value_id out = t.body->output[t.first_out + h];
        if (!same_batch(g, &n, &t, &m) || !rows_are_states(g, &n, &t, out))
            continue;
        if (t.states == 2) {
            m.c = t.body->input[t.first_in + 1 - h];
            if (!match_lstm(&m, out, t.body->output[t.first_out + 1 - h], &p))
                continue;
        } else if (!match_gru(&m, out, &p) && !match_rnn(&m, out, &p)) {
            continue;
        }
        const int64_t rows = gate_count[p.kind] * m.hidden;
        weights w = {0};
        oi_status status = new_weights(rw, rows, m.in, &w.w);
        if (!status)
            status = new_weights(rw, rows, m.hidden, &w.r);
        if (!status)
            status = new_weights(rw, 2 * rows, 0, &w.b);
        if (!status)
            fill_weights(&m, &p, &w);
        if (!status && w.fits)
            status = replace(rw, &n, &t, &m, &p, &w, h);
        oi_tensor_clear(&w.w);
        oi_tensor_clear(&w.r);
        oi_tensor_clear(&w.b);
        if (status || rw->nreplace)
            return status;
    }
    return ONNX_INFER_OK;
}
