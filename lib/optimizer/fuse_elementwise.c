/* Chains and trees of elementwise operators become one step:
 *
 *   Mul(Add(x, bias), Sigmoid(Add(x, bias))) -> Fused(x, bias) {body: Add, Sigmoid, Mul}
 *
 * A node joins the node that uses it where nobody outside of the group does, and where its result is as large as the
 * group's or is broadcast to it. Runs last: what products, reductions and layouts can take in is theirs already. */
#include "ops/op_fused.h"
#include "ops/target.h"
#include "optimizer/pass.h"

#include <string.h>

enum { MOST_INPUTS = 32, MOST_NODES = 64 };

typedef struct {
    oi_graph *g;
    const oi_target *target;
    oi_arena *scratch;
    oi_node_id *order;
    uint32_t n;
    uint32_t *rank;     /* of each node in the order */
    uint8_t *fits;      /* of each node: 0 not looked at, 1 no, 2 yes */
    uint32_t *group;    /* of each node: the group that it is in, 0 none */
    oi_value_id *map;   /* of each value of the group that is copied: its copy */
    oi_node_id member[MOST_NODES];
    uint32_t nmember;
    oi_value_id input[MOST_INPUTS];
    uint32_t ninput;
} fuser;

/* --- which nodes --------------------------------------------------------------------------------------------------------- */

static bool describe(const oi_graph *g, oi_value_id v, oi_tensor *t)
{
    const oi_fact *f = oi_graph_fact(g, v);
    int32_t rank;
    int64_t dims[OI_MAX_RANK];
    memset(t, 0, sizeof *t);
    if (v == OI_NONE)
        return true;
    if (f->kind != ONNX_INFER_TENSOR || !oi_dtype_valid(f->dtype) || f->dtype == ONNX_INFER_STRING || oi_dtype_is_packed(f->dtype) ||
        oi_dtype_is_complex(f->dtype) || !oi_fact_dims(f, &rank, dims) || oi_dims_count(rank, dims) < 1)
        return false;
    if (oi_tensor_describe(t, f->dtype, rank, dims))
        return false;
    t->data = f->konst ? f->konst->data : NULL;
    return true;
}

/* Elementwise as it stands: Quantize and Dequantize with one scale for the whole tensor are too. */
static bool is_elementwise(const oi_graph *g, const oi_node *n)
{
    if (n->op->flags & OI_OP_ELEMENTWISE)
        return true;
    if (n->op->domain[0] || (strcmp(n->op->name, "QuantizeLinear") && strcmp(n->op->name, "DequantizeLinear")))
        return false;
    for (uint32_t i = 1; i < n->nin; i++) {
        int32_t rank;
        int64_t dims[OI_MAX_RANK];
        if (n->in[i] != OI_NONE && (!oi_fact_dims(oi_graph_fact(g, n->in[i]), &rank, dims) || oi_dims_count(rank, dims) != 1))
            return false;
    }
    return true;
}

/* Whether the node has a kernel for its shapes that asks for nothing beside its operands. */
static oi_status try_prepare(fuser *f, const oi_node *n, bool *fits)
{
    oi_tensor t[OI_STEP_MAX_IO + 1];
    *fits = false;
    if (!n->op->prepare || n->nsub || n->nout != 1 || n->nin < 1 || n->nin > OI_STEP_MAX_IO ||
        (n->op->flags & (OI_OP_RANDOM | OI_OP_CONTROL | OI_OP_DATA_SHAPES)) || !is_elementwise(f->g, n))
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < n->nin; i++) {
        if (!describe(f->g, n->in[i], &t[i]))
            return ONNX_INFER_OK;
    }
    if (n->out[0] == OI_NONE || !describe(f->g, n->out[0], &t[n->nin]))
        return ONNX_INFER_OK;
    oi_step step = {.op = n->op, .node = n, .attr = n->attr, .nin = n->nin, .nout = 1, .in = t, .out = t + n->nin, .n_tasks = 1,
                    .in_place = -1};
    oi_prepare p = {.step = &step, .arena = f->scratch, .target = f->target};
    oi_status status = n->op->prepare(&p);
    *fits = !status && step.run && step.phases <= 1 && !step.workspace && !step.thread_workspace;
    return status == ONNX_INFER_E_OUT_OF_MEMORY ? status : ONNX_INFER_OK;
}

static oi_status fits(fuser *f, oi_node_id id, bool *yes)
{
    if (!f->fits[id]) {
        OI_TRY(try_prepare(f, &f->g->node[id], yes));
        f->fits[id] = *yes ? 2 : 1;
    }
    *yes = f->fits[id] == 2;
    return ONNX_INFER_OK;
}

/* --- groups --------------------------------------------------------------------------------------------------------------- */

static bool only_used_in(const fuser *f, oi_value_id v, uint32_t group)
{
    const oi_value *value = &f->g->value[v];
    for (uint32_t i = 0; i < value->nuse; i++) {
        if (f->group[value->use[i].node] != group)
            return false;
    }
    return !value->is_output;
}

/* A value that is broadcast to the group's result is made anew for each strip; that pays where it is small beside it. */
static bool broadcasts(const oi_graph *g, oi_value_id v, oi_value_id to)
{
    const oi_shape *a = &oi_graph_fact(g, v)->shape, *b = &oi_graph_fact(g, to)->shape;
    if (a->rank > b->rank)
        return false;
    for (int32_t i = 0; i < a->rank; i++) {
        if (a->dim[i] != 1 && a->dim[i] != b->dim[b->rank - a->rank + i])
            return false;
    }
    return true;
}

static oi_status gather(fuser *f, oi_node_id root, uint32_t group)
{
    const oi_graph *g = f->g;
    f->member[0] = root;
    f->nmember = 1;
    f->group[root] = group;
    for (uint32_t at = 0; at < f->nmember; at++) {
        const oi_node *n = &g->node[f->member[at]];
        for (uint32_t i = 0; i < n->nin && f->nmember < MOST_NODES; i++) {
            oi_node_id def = n->in[i] == OI_NONE ? OI_NONE : g->value[n->in[i]].def;
            bool yes;
            if (def == OI_NONE || f->group[def] || !only_used_in(f, n->in[i], group) ||
                !broadcasts(g, n->in[i], g->node[root].out[0]))
                continue;
            OI_TRY(fits(f, def, &yes));
            if (!yes)
                continue;
            f->group[def] = group;
            f->member[f->nmember++] = def;
            at = UINT32_MAX; /* another user of an operand may have joined: look again */
            break;
        }
    }
    return ONNX_INFER_OK;
}

/* Values that members take from outside, each once; false where there are too many. */
static bool list_inputs(fuser *f, uint32_t group)
{
    f->ninput = 0;
    for (uint32_t m = 0; m < f->nmember; m++) {
        const oi_node *n = &f->g->node[f->member[m]];
        for (uint32_t i = 0; i < n->nin; i++) {
            oi_value_id v = n->in[i];
            uint32_t k = 0;
            if (v == OI_NONE || (f->g->value[v].def != OI_NONE && f->group[f->g->value[v].def] == group))
                continue;
            while (k < f->ninput && f->input[k] != v)
                k++;
            if (k == MOST_INPUTS)
                return false;
            if (k == f->ninput)
                f->input[f->ninput++] = v;
        }
    }
    return f->ninput > 0;
}

/* --- the rewrite ------------------------------------------------------------------------------------------------------------ */

/* Members in topological order; there are few. */
static void sort_members(fuser *f)
{
    for (uint32_t i = 1; i < f->nmember; i++) {
        oi_node_id id = f->member[i];
        uint32_t at = i;
        for (; at > 0 && f->rank[f->member[at - 1]] > f->rank[id]; at--)
            f->member[at] = f->member[at - 1];
        f->member[at] = id;
    }
}

static oi_status copy_members(fuser *f, oi_graph *body)
{
    oi_graph *g = f->g;
    oi_value_id *map = f->map;
    for (uint32_t i = 0; i < f->ninput; i++) {
        oi_fact fact = g->value[f->input[i]].fact;
        fact.konst = NULL;
        OI_TRY(oi_graph_add_input(body, g->value[f->input[i]].name, &fact, &map[f->input[i]]));
    }
    sort_members(f);
    for (uint32_t k = 0; k < f->nmember; k++) {
        const oi_node n = g->node[f->member[k]];
        oi_value_id in[OI_STEP_MAX_IO], out = OI_NONE;
        for (uint32_t i = 0; i < n.nin; i++)
            in[i] = n.in[i] == OI_NONE ? OI_NONE : map[n.in[i]];
        OI_TRY(oi_graph_add_node(body, n.op, n.name, n.attr, n.nin, in, 1, &out, 0, NULL, NULL));
        OI_TRY(oi_graph_set_fact(body, out, &g->value[n.out[0]].fact));
        map[n.out[0]] = out;
    }
    return ONNX_INFER_OK;
}

/* Whether the step has a kernel for the chain; strips have other shapes than the tensors that its nodes were tried on. */
static oi_status try_chain(fuser *f, const oi_node *n, bool *good)
{
    oi_tensor *t = oi_arena_array(f->scratch, (size_t)n->nin + 1, sizeof *t);
    if (!t)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n->nin; i++)
        describe(f->g, n->in[i], &t[i]);
    describe(f->g, n->out[0], &t[n->nin]);
    oi_step step = {.op = n->op, .node = n, .nin = n->nin, .nout = 1, .in = t, .out = t + n->nin, .n_tasks = 1, .in_place = -1};
    oi_prepare p = {.step = &step, .arena = f->scratch, .target = f->target};
    oi_status status = n->op->prepare(&p);
    *good = !status && step.run;
    return status == ONNX_INFER_E_OUT_OF_MEMORY ? status : ONNX_INFER_OK;
}

static oi_status fuse(fuser *f, oi_node_id root, oi_pass *p)
{
    oi_graph *g = f->g;
    oi_graph *body = oi_graph_create_sub(g);
    oi_value_id made = OI_NONE, old = g->node[root].out[0];
    if (!body)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    body->stage = OI_STAGE_LOWERED;
    OI_TRY(copy_members(f, body));
    OI_TRY(oi_graph_mark_output(body, f->map[old]));
    const oi_sub sub = {.name = "body", .graph = body};
    oi_fact fact = g->value[old].fact;
    oi_node_id id;
    bool good;
    OI_TRY(oi_graph_add_node(g, &oi_op_oi_Fused, g->node[root].name, NULL, f->ninput, f->input, 1, &made, 1, &sub, &id));
    OI_TRY(oi_graph_set_fact(g, made, &fact));
    OI_TRY(try_chain(f, &g->node[id], &good));
    if (!good) {
        oi_graph_remove_node(g, id);
        return ONNX_INFER_OK;
    }
    OI_TRY(oi_graph_replace_uses(g, old, made));
    p->rewriter.commits++;
    oi_log_write(g->log, ONNX_INFER_LOG_DEBUG, "%s: fuse elementwise: %u nodes -> Fused at '%s' (%llu)", p->rewriter.stage,
                 f->nmember, g->node[root].name, (unsigned long long)p->rewriter.commits);
    return oi_rewrite_remove_dead(g, root);
}

static oi_status fuse_all(fuser *f, oi_pass *p)
{
    uint32_t group = 0;
    for (uint32_t k = f->n; k-- > 0 && !oi_pass_stopped(p);) { /* from the results back, so that groups end as late as they can */
        oi_node_id id = f->order[k];
        bool yes;
        if (!f->g->node[id].op || f->group[id])
            continue;
        OI_TRY(fits(f, id, &yes));
        if (!yes)
            continue;
        OI_TRY(gather(f, id, ++group));
        if (f->nmember > 1 && list_inputs(f, group)) {
            OI_TRY(fuse(f, id, p));
        } else {
            for (uint32_t m = 1; m < f->nmember; m++)
                f->group[f->member[m]] = 0;
        }
    }
    return ONNX_INFER_OK;
}

oi_status oi_pass_fuse_elementwise(oi_graph *g, oi_pass *p)
{
    fuser f = {.g = g, .target = p->rewriter.target, .scratch = oi_arena_create(oi_arena_alloc_of(g->arena))};
    if (!f.scratch)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    uint32_t nodes = g->nnode;
    f.fits = oi_arena_array(f.scratch, 2 * (size_t)nodes + 1, sizeof *f.fits);
    f.group = oi_arena_array(f.scratch, 2 * (size_t)nodes + 1, sizeof *f.group);
    f.rank = oi_arena_array(f.scratch, (size_t)nodes + 1, sizeof *f.rank);
    f.map = oi_arena_array(f.scratch, (size_t)g->nvalue + nodes + 1, sizeof *f.map);
    bool room = f.fits && f.group && f.rank && f.map;
    oi_status status = room ? oi_graph_order(g, &f.order, &f.n) : ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t k = 0; !status && k < f.n; k++)
        f.rank[f.order[k]] = k;
    if (!status)
        status = fuse_all(&f, p);
    oi_arena_destroy(f.scratch);
    return status;
}
