/* Loops that are known to turn few times become the nodes of their turns, one behind the other:
 *
 *   Loop(M, true?, v...)  with constant M, a body of few nodes that goes on by itself -> body(0, true, v...), body(1, ...), ...
 *
 * and the rows that it collects become a Concat. Left alone: bodies with subgraphs of their own, values that are no tensors,
 * loops whose condition the body makes. */
#include "optimizer/pass.h"

#include <string.h>

enum { MOST_TURNS = 16, MOST_NODES = 128 /* in all turns */ };

static const oi_tensor *one_element(const oi_graph *g, oi_value_id v)
{
    const oi_tensor *t = oi_graph_fact(g, v)->konst;
    return t && oi_tensor_count(t) == 1 ? t : NULL;
}

static bool is_true(const oi_graph *g, oi_value_id v)
{
    const oi_tensor *t = one_element(g, v);
    return t && oi_elem_get_int(t->dtype, t->data, 0) != 0;
}

/* The value that v is a copy of. */
static oi_value_id origin(const oi_graph *g, oi_value_id v)
{
    while (g->value[v].def != OI_NONE && !g->node[g->value[v].def].op->domain[0] &&
           strcmp(g->node[g->value[v].def].op->name, "Identity") == 0)
        v = g->node[g->value[v].def].in[0];
    return v;
}

/* How often the loop turns; 0: it is not to be unrolled. */
static int64_t turns_of(const oi_graph *g, const oi_node *n)
{
    const oi_tensor *most = n->nin > 0 && n->in[0] != OI_NONE ? one_element(g, n->in[0]) : NULL;
    const oi_graph *body = n->sub[0].graph;
    const uint32_t formal = body->ninput - n->sub[0].ncapture;
    int64_t turns = most ? oi_elem_get_int(most->dtype, most->data, 0) : 0;
    if (turns < 1 || turns > MOST_TURNS || (int64_t)oi_graph_live_nodes(body, true) * turns > MOST_NODES || formal < 2 ||
        n->nin < formal || body->noutput != n->nout + 1 || (n->in[1] != OI_NONE && !is_true(g, n->in[1])))
        return 0;
    oi_value_id goes_on = origin(body, body->output[0]);
    if (goes_on != body->input[1] && !is_true(body, goes_on))
        return 0;
    for (oi_node_id i = 0; i < body->nnode; i++) {
        if (body->node[i].op && body->node[i].nsub)
            return 0;
    }
    for (oi_value_id v = 0; v < body->nvalue; v++) {
        if (body->value[v].fact.kind != ONNX_INFER_TENSOR)
            return 0;
    }
    for (uint32_t i = 0; i < n->nout; i++) { /* outputs of a graph are made by nodes */
        bool made = i + 2 >= formal || body->value[body->output[i + 1]].def != OI_NONE;
        if (n->out[i] != OI_NONE && g->value[n->out[i]].is_output && !made)
            return 0;
    }
    return turns;
}

static oi_status constant(oi_graph *g, oi_dtype dtype, int32_t rank, int64_t content, oi_value_id *out)
{
    oi_tensor t;
    const int64_t one = 1;
    OI_TRY(oi_tensor_create(oi_arena_alloc_of(g->arena), dtype, rank, &one, &t));
    oi_elem_set_int(dtype, t.data, 0, content);
    oi_status status = oi_graph_add_const(g, NULL, &t, out);
    oi_tensor_clear(&t);
    return status;
}

static oi_status append_op(oi_graph *g, const char *name, const char *attrs, const char *like, uint32_t nin, const oi_value_id *in,
                           oi_value_id *out)
{
    const oi_op *op = oi_op_find("", name);
    void *attr;
    *out = OI_NONE;
    oi_node_id id;
    OI_TRY(oi_attr_parse_text(g->arena, op, attrs, &attr));
    OI_TRY(oi_graph_add_node(g, op, like, attr, nin, in, 1, out, 0, NULL, &id));
    return oi_infer_node(g, id);
}

/* The rows of all turns, one behind the other. */
static oi_status collect(oi_graph *g, const char *like, int64_t turns, const oi_value_id *row, oi_value_id *out)
{
    oi_value_id in[2], each[MOST_TURNS];
    OI_TRY(constant(g, ONNX_INFER_INT64, 1, 0, &in[1]));
    for (int64_t t = 0; t < turns; t++) {
        in[0] = row[t];
        OI_TRY(append_op(g, "Unsqueeze", "", like, 2, in, &each[t]));
    }
    return append_op(g, "Concat", "axis=0", like, (uint32_t)turns, each, out);
}

static oi_status unroll(oi_graph *g, oi_node_id id, int64_t turns, oi_pass *p)
{
    const oi_node n = g->node[id];
    const oi_sub *s = &n.sub[0];
    const uint32_t formal = s->graph->ninput - s->ncapture, carried = formal - 2, rows = n.nout - carried, made = s->graph->noutput;
    oi_value_id *in = oi_arena_array(g->arena, formal, sizeof *in), *out = oi_arena_array(g->arena, made, sizeof *out);
    oi_value_id *row = oi_arena_array(g->arena, (size_t)rows * MOST_TURNS + 1, sizeof *row), whole;
    if (!in || !out || !row)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    memcpy(in, n.in, formal * sizeof *in);
    OI_TRY(constant(g, ONNX_INFER_BOOL, 0, 1, &in[1]));
    for (int64_t t = 0; t < turns; t++) {
        OI_TRY(constant(g, ONNX_INFER_INT64, 0, t, &in[0]));
        OI_TRY(oi_pass_inline(g, id, s, in, out));
        memcpy(in + 2, out + 1, carried * sizeof *in);
        for (uint32_t k = 0; k < rows; k++)
            row[k * MOST_TURNS + (uint32_t)t] = out[1 + carried + k];
    }
    for (uint32_t i = 0; i < n.nout; i++) {
        if (n.out[i] == OI_NONE)
            continue;
        if (i >= carried)
            OI_TRY(collect(g, n.name, turns, row + (i - carried) * MOST_TURNS, &whole));
        OI_TRY(oi_graph_replace_uses(g, n.out[i], i < carried ? in[2 + i] : whole));
    }
    p->rewriter.commits++;
    oi_log_write(g->log, ONNX_INFER_LOG_DEBUG, "%s: unrolled: %lld turns of '%s' (%llu)", p->rewriter.stage, (long long)turns, n.name,
                 (unsigned long long)p->rewriter.commits);
    return oi_rewrite_remove_dead(g, id);
}

oi_status oi_pass_unroll(oi_graph *g, oi_pass *p)
{
    for (oi_node_id i = 0; i < g->nnode && !oi_pass_stopped(p); i++) {
        if (!g->node[i].op || !g->node[i].nsub)
            continue;
        for (uint32_t k = 0; k < g->node[i].nsub; k++)
            OI_TRY(oi_pass_unroll(g->node[i].sub[k].graph, p));
        int64_t turns = !g->node[i].op->domain[0] && strcmp(g->node[i].op->name, "Loop") == 0 ? turns_of(g, &g->node[i]) : 0;
        if (turns)
            OI_TRY(unroll(g, i, turns, p));
    }
    return ONNX_INFER_OK;
}
