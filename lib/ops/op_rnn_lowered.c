/* What the lowered forms of recurrences share. */
#include "ops/op_rnn_lowered.h"

#include "ops/eval_prepared.h"
#include "ops/target.h"

#define OFFSET(field) ((uint16_t)offsetof(oi_rnn_lowered_attr, field))
const oi_attr_spec oi_rnn_lowered_attrs[] = {
    {.name = "isa", .type = OI_ATTR_INT, .offset = OFFSET(isa), .flags = OI_ATTR_REQUIRED},
    {.name = "kind", .type = OI_ATTR_ENUM, .offset = OFFSET(kind), .s = "rnn|gru|lstm"},
    {.name = "direction", .type = OI_ATTR_ENUM, .offset = OFFSET(direction), .s = "forward|reverse|bidirectional"},
    {.name = "input", .type = OI_ATTR_INT, .offset = OFFSET(input), .flags = OI_ATTR_REQUIRED},
    {.name = "hidden", .type = OI_ATTR_INT, .offset = OFFSET(hidden), .flags = OI_ATTR_REQUIRED},
    {.name = "linear_before_reset", .type = OI_ATTR_INT, .offset = OFFSET(linear_before_reset)},
    {0},
};

static int64_t directions(const oi_rnn_lowered_attr *a)
{
    return a->direction == OI_RNN_BIDIRECTIONAL ? 2 : 1;
}

oi_status oi_rnn_lowered_infer(oi_infer *x)
{
    const oi_rnn_lowered_attr *a = x->attr;
    const oi_shape *in = &x->in[0]->shape;
    OI_FAIL_IF(in->rank != 3, ONNX_INFER_E_INTERNAL, "input 0 has rank %d", in->rank);
    oi_dim y[4] = {in->dim[0], directions(a), in->dim[1], a->hidden}, h[3] = {directions(a), in->dim[1], a->hidden};
    oi_infer_set(x, 0, ONNX_INFER_FLOAT, 4, y);
    for (uint32_t i = 1; i < x->nout; i++)
        oi_infer_set(x, i, ONNX_INFER_FLOAT, 3, h);
    return ONNX_INFER_OK;
}

oi_status oi_rnn_lowered_eval(oi_eval *e)
{
    const oi_rnn_lowered_attr *a = e->attr;
    const oi_tensor *x = oi_eval_in(e, 0);
    int64_t y[4] = {x->dim[0], directions(a), x->dim[1], a->hidden}, h[3] = {directions(a), x->dim[1], a->hidden};
    oi_tensor *out[3] = {NULL};
    for (uint32_t i = 0; i < e->nout && i < 3; i++) {
        if (oi_eval_wants(e, i))
            OI_TRY(oi_eval_out(e, i, ONNX_INFER_FLOAT, i ? 3 : 4, i ? h : y, &out[i]));
    }
    return oi_eval_prepared_into(e, (oi_cpu_isa)a->isa, out);
}

void oi_rnn_lowered_shape(const oi_rnn_lowered_attr *a, const oi_tensor *x, oi_rnn_shape *s)
{
    static const int64_t gates[] = {[OI_RNN_PLAIN] = 1, [OI_RNN_GRU] = 3, [OI_RNN_LSTM] = 4};
    *s = (oi_rnn_shape){.kind = (oi_rnn_kind)a->kind, .gates = gates[a->kind], .dirs = directions(a), .seq = x->dim[0], .batch = x->dim[1],
                        .input = a->input, .hidden = a->hidden, .reverse = {a->direction == OI_RNN_REVERSE, true}};
    oi_rnn_set_strides(s, false);
}

oi_status oi_rnn_describe(const oi_graph *g, const oi_node *n, uint32_t bytes, oi_tensor *described, const oi_tensor **in, bool *ready)
{
    *ready = false;
    for (uint32_t i = 0; i < OI_RNN_INPUTS; i++) {
        int32_t rank;
        int64_t dims[OI_MAX_RANK];
        const oi_fact *f = i < n->nin ? oi_graph_fact(g, n->in[i]) : NULL;
        in[i] = NULL;
        if (!f)
            continue;
        const bool fixed = (i >= OI_RNN_W && i <= OI_RNN_B) || i >= OI_RNN_SCALES;
        if ((!(bytes >> i & 1) && f->dtype != ONNX_INFER_FLOAT) || !oi_fact_dims(f, &rank, dims) || (fixed && !f->konst))
            return ONNX_INFER_OK;
        OI_TRY(oi_tensor_describe(&described[i], f->dtype, rank, dims));
        in[i] = &described[i];
    }
    *ready = true;
    return ONNX_INFER_OK;
}

/* Sigmoid and tanh where the standard has them. */
static bool has_usual_activations(const oi_rnn_shape *s)
{
    static const oi_rnn_function want[][3] = {
        [OI_RNN_PLAIN] = {OI_RNN_TANH}, [OI_RNN_GRU] = {OI_RNN_SIGMOID, OI_RNN_TANH},
        [OI_RNN_LSTM] = {OI_RNN_SIGMOID, OI_RNN_TANH, OI_RNN_TANH}};
    for (int64_t d = 0; d < s->dirs; d++) {
        for (uint32_t i = 0; i <= (uint32_t)s->kind; i++) {
            if (s->act[d][i].f != want[s->kind][i])
                return false;
        }
    }
    return true;
}

bool oi_rnn_lowers(const oi_rnn_attr *a, const oi_rnn_shape *s, const oi_tensor *const *in)
{
    return !in[OI_RNN_LENGTHS] && !in[OI_RNN_PEEPHOLES] && !a->layout && a->clip <= 0 && !a->input_forget && s->hidden > 0 && s->input > 0 &&
           has_usual_activations(s);
}

oi_status oi_rnn_replace(oi_rewrite *rw, oi_node_id id, const oi_target *target, const oi_rnn_shape *s, const oi_op *op, const oi_op *pack,
                         uint32_t nweights, const oi_value_id *weights)
{
    const oi_node n = rw->g->node[id];
    const oi_rnn_attr *a = n.attr;
    oi_rnn_lowered_attr *attr = oi_attr_new(rw->g->arena, op);
    if (!attr)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *attr = (oi_rnn_lowered_attr){.isa = target->isa, .kind = s->kind, .direction = a->direction, .input = s->input, .hidden = s->hidden,
                                  .linear_before_reset = a->linear_before_reset != 0};
    const oi_value_id h = n.nin > OI_RNN_H ? n.in[OI_RNN_H] : OI_NONE, c = n.nin > OI_RNN_C ? n.in[OI_RNN_C] : OI_NONE;
    const oi_value_id in[4] = {n.in[OI_RNN_X], oi_rewrite_node(rw, pack, attr, nweights, weights), h, c};
    oi_value_id out[3];
    oi_rewrite_node_multi(rw, op, attr, c != OI_NONE ? 4 : h != OI_NONE ? 3 : 2, in, n.nout, out);
    for (uint32_t i = 0; i < n.nout && !rw->status; i++) {
        if (n.out[i] != OI_NONE)
            oi_rewrite_replace(rw, n.out[i], out[i]);
    }
    return rw->status;
}
