/* What can be said of subgraphs from outside: constants that they capture, captures that they do not use, branches
 * that are always taken, or that answer the same. And what other passes need to take nodes out of subgraphs. */
#include "optimizer/pass.h"

#include <string.h>

/* --- captures ---------------------------------------------------------------------------------------------------- */

/* The subgraph's input k stands for this constant. */
static oi_status put_constant(oi_graph *sub, uint32_t k, const oi_tensor *content, oi_pass *p)
{
    oi_tensor t;
    oi_value_id v;
    oi_tensor_share(&t, content);
    oi_status status = oi_graph_add_const(sub, NULL, &t, &v);
    oi_tensor_clear(&t);
    OI_TRY(status);
    p->rewriter.commits++;
    return oi_graph_replace_uses(sub, sub->input[k], v);
}

static void drop_capture(oi_sub *s, uint32_t j)
{
    oi_graph *g = s->graph;
    uint32_t k = g->ninput - s->ncapture + j;
    g->value[g->input[k]].is_input = false;
    memmove(&g->input[k], &g->input[k + 1], (g->ninput - k - 1) * sizeof *g->input);
    g->ninput--;
    memmove(&s->capture[j], &s->capture[j + 1], (s->ncapture - j - 1) * sizeof *s->capture);
    s->ncapture--;
}

/* Inputs of the node that only fed captures which are gone. */
static oi_status drop_inputs(oi_graph *g, oi_node_id id, uint32_t formal)
{
    oi_node *n = &g->node[id];
    oi_value_id *in = oi_arena_array(g->arena, n->nin, sizeof *in);
    uint32_t *place = oi_arena_array(g->arena, n->nin, sizeof *place), kept = 0;
    bool *used = oi_arena_array(g->arena, n->nin, sizeof *used);
    if (!in || !place || !used)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n->nsub; i++) {
        for (uint32_t j = 0; j < n->sub[i].ncapture; j++)
            used[n->sub[i].capture[j]] = true;
    }
    for (uint32_t i = 0; i < n->nin; i++) {
        if (i < formal || used[i]) {
            place[i] = kept;
            in[kept++] = n->in[i];
        }
    }
    if (kept == n->nin)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < n->nsub; i++) {
        for (uint32_t j = 0; j < n->sub[i].ncapture; j++)
            n->sub[i].capture[j] = place[n->sub[i].capture[j]];
    }
    return oi_graph_set_node_inputs(g, id, kept, in);
}

enum { COMPARED = 64 }; /* captures that are looked at for others of the same value */

/* The input that stands for the same value as capture j. */
static oi_value_id captured_before(const oi_node *n, const oi_sub *s, uint32_t j)
{
    for (uint32_t i = 0; i < j && i < COMPARED; i++) {
        if (n->in[s->capture[i]] == n->in[s->capture[j]])
            return s->graph->input[s->graph->ninput - s->ncapture + i];
    }
    return OI_NONE;
}

static oi_status captures_of(oi_graph *g, oi_node_id id, oi_pass *p)
{
    const uint32_t formal = oi_node_formal_inputs(&g->node[id]);
    for (uint32_t i = 0; i < g->node[id].nsub; i++) {
        oi_sub *s = &g->node[id].sub[i];
        for (uint32_t j = s->ncapture; j-- > 0;) {
            uint32_t k = s->graph->ninput - s->ncapture + j;
            const oi_tensor *content = oi_graph_fact(g, g->node[id].in[s->capture[j]])->konst;
            oi_value_id inner = s->graph->input[k];
            bool used = s->graph->value[inner].nuse || s->graph->value[inner].is_output;
            oi_value_id other = used ? captured_before(&g->node[id], s, j) : OI_NONE;
            if (used && content) {
                OI_TRY(put_constant(s->graph, k, content, p));
                used = false;
            } else if (other != OI_NONE) {
                OI_TRY(oi_graph_replace_uses(s->graph, inner, other));
                used = false;
            }
            if (!used) {
                drop_capture(s, j);
                p->rewriter.commits++;
            }
        }
    }
    return drop_inputs(g, id, formal);
}

oi_status oi_pass_captures(oi_graph *g, oi_pass *p)
{
    for (oi_node_id i = 0; i < g->nnode && !oi_pass_stopped(p); i++) {
        if (!g->node[i].op || !g->node[i].nsub)
            continue;
        OI_TRY(captures_of(g, i, p));
        for (uint32_t k = 0; k < g->node[i].nsub; k++)
            OI_TRY(oi_pass_captures(g->node[i].sub[k].graph, p));
    }
    return ONNX_INFER_OK;
}

/* --- nodes that leave a subgraph --------------------------------------------------------------------------------- */

oi_value_id *oi_pass_outside(oi_graph *g, oi_node_id id, uint32_t k)
{
    const oi_sub *s = &g->node[id].sub[k];
    oi_value_id *outside = oi_arena_array(g->arena, s->graph->nvalue, sizeof *outside);
    for (oi_value_id v = 0; outside && v < s->graph->nvalue; v++)
        outside[v] = OI_NONE;
    for (uint32_t j = 0; outside && j < s->ncapture; j++)
        outside[s->graph->input[s->graph->ninput - s->ncapture + j]] = g->node[id].in[s->capture[j]];
    return outside;
}

oi_status oi_pass_same_const(oi_graph *g, const oi_graph *other, oi_value_id v, oi_value_id *out)
{
    oi_tensor t;
    oi_tensor_share(&t, oi_graph_fact(other, v)->konst);
    oi_status status = oi_graph_add_const(g, NULL, &t, out);
    oi_tensor_clear(&t);
    return status;
}

oi_status oi_pass_copy_out(oi_graph *g, const oi_graph *body, const oi_node *n, const oi_value_id *in, oi_value_id *outside)
{
    oi_value_id *out = oi_arena_array(g->arena, n->nout, sizeof *out);
    if (!out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n->nout; i++) {
        out[i] = OI_NONE;
        if (n->out[i] == OI_NONE)
            continue;
        OI_TRY(oi_graph_add_value(g, NULL, &out[i]));
        OI_TRY(oi_graph_set_fact(g, out[i], oi_graph_fact(body, n->out[i])));
        outside[n->out[i]] = out[i];
    }
    return oi_graph_add_node(g, n->op, n->name, n->attr, n->nin, in, n->nout, out, 0, NULL, NULL);
}

/* Subgraph k of node id captures these values, too. inside: what they are there. */
static oi_status add_captures(oi_graph *g, oi_node_id id, uint32_t k, uint32_t n, const oi_value_id *v, oi_value_id *inside)
{
    const oi_node *node = &g->node[id];
    oi_sub *s = &node->sub[k];
    uint32_t nin = node->nin, *capture = oi_arena_array(g->arena, s->ncapture + n, sizeof *capture);
    oi_value_id *in = oi_arena_array(g->arena, nin + n, sizeof *in);
    if (!in || !capture)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    memcpy(in, node->in, nin * sizeof *in);
    memcpy(capture, s->capture, s->ncapture * sizeof *capture);
    for (uint32_t i = 0; i < n; i++) {
        in[nin + i] = v[i];
        capture[s->ncapture + i] = nin + i;
        oi_fact fact = *oi_graph_fact(g, v[i]);
        fact.konst = NULL;
        OI_TRY(oi_graph_add_input(s->graph, NULL, &fact, &inside[i]));
    }
    OI_TRY(oi_graph_set_node_inputs(g, id, nin + n, in));
    s->capture = capture;
    s->ncapture += n;
    return ONNX_INFER_OK;
}

/* Something of the subgraph that stays needs v. */
static bool still_needed(const oi_graph *body, oi_value_id v, const bool *gone)
{
    const oi_value *value = &body->value[v];
    for (uint32_t i = 0; i < value->nuse; i++) {
        if (!gone[value->use[i].node])
            return true;
    }
    return value->is_output;
}

oi_status oi_pass_take_out(oi_graph *g, oi_node_id id, uint32_t k, const oi_node_id *order, uint32_t n, const bool *gone,
                           const oi_value_id *outside)
{
    oi_graph *body = g->node[id].sub[k].graph;
    uint32_t count = 0, most = 0;
    for (uint32_t i = 0; i < n; i++)
        most += gone[order[i]] ? body->node[order[i]].nout : 0;
    oi_value_id *old = oi_arena_array(g->arena, most, sizeof *old), *from = oi_arena_array(g->arena, most, sizeof *from);
    oi_value_id *inside = oi_arena_array(g->arena, most, sizeof *inside);
    if (!old || !from || !inside)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        const oi_node *node = &body->node[order[i]];
        for (uint32_t o = 0; gone[order[i]] && o < node->nout; o++) {
            if (node->out[o] != OI_NONE && still_needed(body, node->out[o], gone)) {
                old[count] = node->out[o];
                from[count++] = outside[node->out[o]];
            }
        }
    }
    OI_TRY(add_captures(g, id, k, count, from, inside));
    for (uint32_t i = 0; i < count; i++)
        OI_TRY(oi_graph_replace_uses(body, old[i], inside[i]));
    for (uint32_t i = n; i-- > 0;) {
        if (gone[order[i]] && body->node[order[i]].op)
            OI_TRY(oi_rewrite_remove_dead(body, order[i]));
    }
    return ONNX_INFER_OK;
}

/* --- branches ---------------------------------------------------------------------------------------------------- */

static oi_status copy_node(oi_graph *g, const oi_node *n, oi_value_id *map)
{
    oi_value_id *in = oi_arena_array(g->arena, n->nin, sizeof *in);
    oi_value_id *out = oi_arena_array(g->arena, n->nout, sizeof *out);
    if (!in || !out)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n->nin; i++)
        in[i] = n->in[i] == OI_NONE ? OI_NONE : map[n->in[i]];
    for (uint32_t i = 0; i < n->nout; i++)
        out[i] = n->out[i] == OI_NONE ? OI_NONE : map[n->out[i]];
    for (uint32_t i = 0; i < n->nsub; i++)
        n->sub[i].graph->outer = g;
    return oi_graph_add_node(g, n->op, n->name, n->attr, n->nin, in, n->nout, out, n->nsub, n->sub, NULL);
}

oi_status oi_pass_inline(oi_graph *g, oi_node_id id, const oi_sub *s, const oi_value_id *input, oi_value_id *result)
{
    const oi_graph *from = s->graph;
    oi_node_id *order;
    uint32_t n, formal = from->ninput - s->ncapture;
    oi_node_id first = g->nnode;
    oi_value_id *map = oi_arena_array(g->arena, from->nvalue, sizeof *map);
    if (!map)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_graph_order(s->graph, &order, &n));
    for (oi_value_id v = 0; v < from->nvalue; v++) {
        if (from->value[v].is_input)
            continue;
        OI_TRY(oi_graph_add_value(g, NULL, &map[v]));
        if (from->value[v].def == OI_NONE || !input)
            OI_TRY(oi_graph_set_fact(g, map[v], &from->value[v].fact));
    }
    for (uint32_t k = 0; k < from->ninput; k++)
        map[from->input[k]] = k < formal ? (input ? input[k] : OI_NONE) : g->node[id].in[s->capture[k - formal]];
    for (uint32_t i = 0; i < n; i++)
        OI_TRY(copy_node(g, &from->node[order[i]], map));
    for (oi_node_id i = first; input && i < g->nnode; i++)
        OI_TRY(oi_infer_node(g, i));
    for (uint32_t i = 0; i < from->noutput; i++)
        result[i] = map[from->output[i]];
    return ONNX_INFER_OK;
}

static oi_status take_branch(oi_graph *g, oi_node_id id, oi_pass *p)
{
    const oi_node n = g->node[id];
    const oi_tensor *condition = oi_graph_fact(g, n.in[0])->konst;
    if (!condition || oi_tensor_count(condition) != 1)
        return ONNX_INFER_OK;
    const char *wanted = oi_elem_get_int(condition->dtype, condition->data, 0) ? "then_branch" : "else_branch";
    const oi_sub *taken = NULL;
    for (uint32_t i = 0; i < n.nsub; i++) {
        if (strcmp(n.sub[i].name, wanted) == 0)
            taken = &n.sub[i];
    }
    if (!taken || taken->graph->noutput != n.nout)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < n.nout; i++) { /* an output that is nothing but a capture keeps the If: outputs are made by nodes */
        const oi_value *inner = &taken->graph->value[taken->graph->output[i]];
        if (n.out[i] != OI_NONE && g->value[n.out[i]].is_output && inner->def == OI_NONE)
            return ONNX_INFER_OK;
    }
    oi_value_id *result = oi_arena_array(g->arena, n.nout, sizeof *result);
    if (!result)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    OI_TRY(oi_pass_inline(g, id, taken, NULL, result));
    for (uint32_t i = 0; i < n.nout; i++) {
        if (n.out[i] != OI_NONE)
            OI_TRY(oi_graph_replace_uses(g, n.out[i], result[i]));
    }
    p->rewriter.commits++;
    oi_log_write(g->log, ONNX_INFER_LOG_DEBUG, "%s: branch: %s of '%s' (%llu)", p->rewriter.stage, wanted, n.name,
                 (unsigned long long)p->rewriter.commits);
    return oi_rewrite_remove_dead(g, id);
}

/* The value that output i of the subgraph is where it is a captured one; OI_NONE: it is made there. */
static oi_value_id captured_output(const oi_node *n, const oi_sub *s, uint32_t i)
{
    oi_value_id v = i < s->graph->noutput ? s->graph->output[i] : OI_NONE;
    for (uint32_t j = 0; v != OI_NONE && s->graph->value[v].is_input && j < s->ncapture; j++) {
        if (s->graph->input[s->graph->ninput - s->ncapture + j] == v)
            return n->in[s->capture[j]];
    }
    return OI_NONE;
}

/* An If whose branches both answer with the same value of the graph around it. */
static oi_status same_answers(oi_graph *g, oi_node_id id, oi_pass *p)
{
    const oi_node n = g->node[id];
    for (uint32_t i = 0; i < n.nout && n.nsub == 2; i++) {
        oi_value_id v = n.out[i] == OI_NONE ? OI_NONE : captured_output(&n, &n.sub[0], i);
        if (v == OI_NONE || captured_output(&n, &n.sub[1], i) != v || !(g->value[n.out[i]].nuse || g->value[n.out[i]].is_output) ||
            (g->value[n.out[i]].is_output && (g->value[v].def == OI_NONE || g->value[v].is_output)))
            continue;
        OI_TRY(oi_graph_replace_uses(g, n.out[i], v));
        p->rewriter.commits++;
    }
    return oi_rewrite_remove_dead(g, id);
}

oi_status oi_pass_branches(oi_graph *g, oi_pass *p)
{
    for (oi_node_id i = 0; i < g->nnode && !oi_pass_stopped(p); i++) {
        if (!g->node[i].op || !g->node[i].nsub)
            continue;
        for (uint32_t k = 0; k < g->node[i].nsub; k++)
            OI_TRY(oi_pass_branches(g->node[i].sub[k].graph, p));
        if (!g->node[i].op->domain[0] && strcmp(g->node[i].op->name, "If") == 0)
            OI_TRY(take_branch(g, i, p));
        if (g->node[i].op && strcmp(g->node[i].op->name, "If") == 0 && !oi_pass_stopped(p))
            OI_TRY(same_answers(g, i, p));
    }
    return ONNX_INFER_OK;
}
