/* The driver of shape inference: facts through the operators' infer, content through their eval. */
#include "ops/infer.h"

#include <string.h>

enum {
    INPUT_BYTES_MAX = 1 << 20, /* of constants that inference evaluates on; larger work is the constant folder's */
    DATA_SHAPES_MAX = 1 << 12, /* the same where the size of the outputs is not known ahead */
};

typedef struct {
    void (*issue)(void *arg);
    void *arg;
    bool hints;
    bool tolerant; /* inside a subgraph, which may never run: a node that fails leaves unknown facts behind */
} driver;

static oi_status infer_nodes(const driver *d, oi_graph *g);

/* --- content ----------------------------------------------------------------------------------------------------- */

/* Elements of a fact with concrete shape, or -1; counts above `cap` too. */
static int64_t count_within(const oi_fact *f, int64_t cap)
{
    int64_t n = 1;
    if (f->kind != ONNX_INFER_TENSOR || !oi_shape_is_concrete(&f->shape))
        return -1;
    for (int32_t i = 0; i < f->shape.rank; i++) {
        if (f->shape.dim[i] == 0)
            return 0;
        if (n <= cap)
            n = f->shape.dim[i] > cap ? cap + 1 : n * f->shape.dim[i];
    }
    return n > cap ? -1 : n;
}

static bool is_index_type(oi_dtype t)
{
    return t == ONNX_INFER_INT64 || t == ONNX_INFER_INT32;
}

/* Symbolic content that turned out to be all numbers becomes a constant in *t, which the caller clears; content that does
 * not go with the fact is dropped. */
static oi_status settle_content(const oi_graph *g, oi_fact *f, oi_tensor *t)
{
    if (!f->nsym || f->konst)
        return ONNX_INFER_OK;
    if (!is_index_type(f->dtype) || count_within(f, OI_SYM_CONTENT_MAX) != (int64_t)f->nsym) {
        f->nsym = 0;
        f->sym = NULL;
        return ONNX_INFER_OK;
    }
    for (uint32_t i = 0; i < f->nsym; i++) {
        if (!oi_dim_is_number(f->sym[i]))
            return ONNX_INFER_OK;
    }
    OI_TRY(oi_tensor_create(oi_arena_alloc_of(g->arena), f->dtype, f->shape.rank, f->shape.dim, t));
    for (uint32_t i = 0; i < f->nsym; i++)
        oi_elem_set_int(f->dtype, t->data, i, f->sym[i]);
    f->konst = t;
    f->nsym = 0;
    f->sym = NULL;
    return ONNX_INFER_OK;
}

static bool worth_evaluating(const oi_infer *x)
{
    size_t bytes = 0;
    int64_t total = 0;
    bool data_shapes = x->op->flags & OI_OP_DATA_SHAPES;
    if (x->op->flags & (OI_OP_RANDOM | OI_OP_CONTROL))
        return false;
    for (uint32_t i = 0; i < x->nin; i++) {
        if (!x->in[i])
            continue;
        if (!x->in[i]->konst)
            return false;
        bytes += x->in[i]->konst->bytes;
        if (bytes > (data_shapes ? DATA_SHAPES_MAX : INPUT_BYTES_MAX))
            return false;
    }
    for (uint32_t i = 0; i < x->nout && !data_shapes; i++) {
        int64_t n = count_within(&x->out[i], OI_SYM_CONTENT_MAX);
        total += n;
        if (n < 0 || total > OI_SYM_CONTENT_MAX)
            return false;
    }
    return true;
}

/* Constants in, constants out. t: a cleared tensor for each output. An eval that fails leaves the facts as they are: the
 * run will say so, if the node is ever run. */
static oi_status evaluate(oi_infer *x, oi_node_id id, const oi_tensor **in, oi_tensor *t)
{
    for (uint32_t i = 0; i < x->nin; i++)
        in[i] = x->in[i] ? x->in[i]->konst : NULL;
    oi_status status = oi_fold_eval(x->g, id, NULL, x->nin, in, t);
    if (status == ONNX_INFER_E_OUT_OF_MEMORY)
        return status;
    for (uint32_t i = 0; i < x->nout && !status; i++) {
        if (!t[i].data && t[i].dtype == ONNX_INFER_UNDEFINED)
            continue;
        x->out[i] = oi_fact_tensor(t[i].dtype, t[i].rank, t[i].dim);
        if (oi_tensor_count(&t[i]) <= OI_SYM_CONTENT_MAX)
            x->out[i].konst = &t[i];
    }
    return ONNX_INFER_OK;
}

/* What eval sees of input f when elements are symbolic: int64 tensors that hold oi_dims. False: it cannot be seen. */
static bool as_dims(const oi_graph *g, const oi_fact *f, oi_tensor *t)
{
    if (!f->nsym && !f->konst)
        return false;
    if (f->konst && !is_index_type(f->dtype)) {
        oi_tensor_share(t, f->konst);
        return true;
    }
    int32_t rank = f->konst ? f->konst->rank : f->shape.rank;
    const int64_t *dims = f->konst ? f->konst->dim : f->shape.dim;
    if (oi_tensor_create(oi_arena_alloc_of(g->arena), ONNX_INFER_INT64, rank, dims, t) != ONNX_INFER_OK)
        return false;
    int64_t *v = t->data;
    for (int64_t i = 0; i < oi_tensor_count(t); i++) {
        v[i] = f->konst ? oi_elem_get_int(f->dtype, f->konst->data, (size_t)i) : f->sym[i];
        if (f->konst && !oi_dim_is_number(v[i]))
            return false;
    }
    return true;
}

/* Symbolic content through an operator that only moves elements: its eval runs over oi_dims. Operators whose indices are
 * symbolic have no concrete output shape, or fail, since handles are far outside of any range. */
static oi_status move_symbols(oi_infer *x, oi_node_id id, const oi_tensor **in, oi_tensor *moved, oi_tensor *t)
{
    bool any = false, all = true;
    int64_t total = 0;
    for (uint32_t i = 0; i < x->nin; i++)
        any = any || (x->in[i] && x->in[i]->nsym);
    for (uint32_t i = 0; i < x->nout; i++) {
        int64_t n = count_within(&x->out[i], OI_SYM_CONTENT_MAX);
        all = all && n >= 0 && is_index_type(x->out[i].dtype) && !x->out[i].nsym;
        total += n;
    }
    if (!any || !all || total > OI_SYM_CONTENT_MAX)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < x->nin && all; i++) {
        in[i] = NULL;
        if (x->in[i]) {
            all = (x->in[i]->nsym || (x->in[i]->konst && x->in[i]->konst->bytes <= DATA_SHAPES_MAX)) &&
                  as_dims(x->g, x->in[i], &moved[i]);
            in[i] = &moved[i];
        }
    }
    oi_status status = all ? oi_fold_eval(x->g, id, NULL, x->nin, in, t) : ONNX_INFER_E_DATA_DEPENDENT;
    for (uint32_t i = 0; i < x->nout && !status; i++) {
        if (t[i].dtype == ONNX_INFER_INT64 && oi_tensor_count(&t[i]) == count_within(&x->out[i], OI_SYM_CONTENT_MAX))
            oi_infer_set_content(x, i, t[i].data, (uint32_t)oi_tensor_count(&t[i]));
    }
    for (uint32_t i = 0; i < x->nout; i++)
        oi_tensor_clear(&t[i]);
    for (uint32_t i = 0; i < x->nin; i++)
        oi_tensor_clear(&moved[i]);
    return status == ONNX_INFER_E_OUT_OF_MEMORY ? status : ONNX_INFER_OK;
}

/* --- subgraphs --------------------------------------------------------------------------------------------------- */

static oi_status infer_sub(oi_infer *x, uint32_t i, const oi_fact *const *formal, uint32_t n, oi_fact *outs)
{
    OI_FAIL_IF(i >= x->node->nsub, ONNX_INFER_E_INVALID_MODEL, "subgraph %u is missing", i);
    const oi_sub *sub = &x->node->sub[i];
    oi_graph *g = sub->graph;
    OI_FAIL_IF(g->ninput < sub->ncapture || n != g->ninput - sub->ncapture, ONNX_INFER_E_INVALID_MODEL,
               "subgraph %u takes %u inputs, %s gives it %u", i, g->ninput - sub->ncapture, x->op->name, n);
    for (uint32_t k = 0; k < g->ninput; k++) {
        const oi_fact *f = k < n ? formal[k] : oi_graph_fact(x->g, x->node->in[sub->capture[k - n]]);
        oi_fact unknown = oi_fact_unknown();
        if (!f)
            f = &unknown;
        OI_TRY(oi_graph_set_fact(g, g->input[k], f));
    }
    driver d = *(const driver *)x->host;
    d.tolerant = true;
    OI_TRY(infer_nodes(&d, g));
    for (uint32_t k = 0; k < g->noutput; k++)
        outs[k] = g->value[g->output[k]].fact;
    return ONNX_INFER_OK;
}

/* --- nodes ------------------------------------------------------------------------------------------------------- */

static oi_status check_arity(const oi_op *op, const oi_node *n, uint32_t nin)
{
    uint32_t given = nin;
    while (given && n->in[given - 1] == OI_NONE)
        given--;
    OI_FAIL_IF(nin < op->min_in || (op->max_in != UINT16_MAX && given > op->max_in), ONNX_INFER_E_INVALID_MODEL,
               "it has %u inputs, %s takes %u to %u", nin, op->name, op->min_in, op->max_in);
    OI_FAIL_IF(n->nout < op->min_out || (op->max_out != UINT16_MAX && n->nout > op->max_out), ONNX_INFER_E_INVALID_MODEL,
               "it has %u outputs, %s gives %u to %u", n->nout, op->name, op->min_out, op->max_out);
    if (op->flags & OI_OP_CONTROL)
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < nin; i++) {
        bool needed = i < op->min_in || (op->max_in == UINT16_MAX && !(op->flags & OI_OP_CUSTOM));
        OI_FAIL_IF(needed && n->in[i] == OI_NONE, ONNX_INFER_E_INVALID_MODEL, "input %u is left out, %s needs it", i, op->name);
    }
    return ONNX_INFER_OK;
}

/* Sizes that content names, a shape tensor's or an attribute's, can be anything. */
static oi_status check_dims(const oi_fact *f, uint32_t output)
{
    for (int32_t i = 0; f->kind == ONNX_INFER_TENSOR && i < f->shape.rank; i++) {
        oi_dim d = f->shape.dim[i];
        if (oi_dim_is_number(d) && d < 0) {
            oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "output %u would have %lld elements along axis %d", output, (long long)d, (int)i);
            return oi_error_at_axis(i, d, 0);
        }
    }
    return ONNX_INFER_OK;
}

static void check_hint(const driver *d, const oi_graph *g, const oi_value *v, const oi_fact *found)
{
    const oi_fact *hint = &v->fact;
    bool differs = hint->kind == found->kind && hint->shape.rank >= 0 && found->shape.rank >= 0 &&
                   hint->shape.rank != found->shape.rank;
    for (int32_t i = 0; i < found->shape.rank && !differs && i < hint->shape.rank; i++) {
        oi_dim a = hint->shape.dim[i], b = found->shape.dim[i];
        differs = oi_dim_is_number(a) && oi_dim_is_number(b) && a != b;
    }
    if (!differs || !oi_log_wants(g->log, ONNX_INFER_LOG_INFO) || !d->hints)
        return;
    char said[256], is[256];
    oi_log_write(g->log, ONNX_INFER_LOG_INFO, "'%s' is declared %s but is %s; the declaration is ignored", v->name,
                 oi_fact_text(g->syms, hint, said, sizeof said), oi_fact_text(g->syms, found, is, sizeof is));
}

/* The node's outputs in `out`, konst of which may point into t. */
static oi_status infer_facts(oi_infer *x, oi_node_id id, const oi_tensor **in, oi_tensor *moved, oi_tensor *t)
{
    OI_TRY(check_arity(x->op, x->node, x->nin));
    OI_TRY(x->op->infer(x));
    for (uint32_t i = 0; i < x->nout; i++)
        OI_TRY(settle_content(x->g, &x->out[i], &t[i]));
    bool known = true;
    for (uint32_t i = 0; i < x->nout; i++)
        known = known && x->out[i].konst;
    if (known && x->nout)
        return ONNX_INFER_OK;
    if (worth_evaluating(x)) {
        for (uint32_t i = 0; i < x->nout; i++) {
            x->out[i].konst = NULL;
            oi_tensor_clear(&t[i]);
        }
        return evaluate(x, id, in, t);
    }
    if ((x->op->flags & OI_OP_MOVES_DATA) && x->nout) {
        for (uint32_t i = 0; i < x->nout; i++) {
            if (x->out[i].konst || x->out[i].nsym)
                return ONNX_INFER_OK;
        }
        OI_TRY(move_symbols(x, id, in, moved, t));
        for (uint32_t i = 0; i < x->nout; i++)
            OI_TRY(settle_content(x->g, &x->out[i], &t[i]));
    }
    return ONNX_INFER_OK;
}

static oi_status infer_node(const driver *d, oi_graph *g, oi_node_id id)
{
    const oi_node *n = &g->node[id];
    const oi_alloc *alloc = oi_arena_alloc_of(g->arena);
    enum { FEW = 8 };
    const oi_fact *few_in[FEW];
    const oi_tensor *few_eval[FEW];
    oi_fact few_out[FEW];
    oi_tensor few_moved[FEW], few_t[FEW];
    uint32_t most = n->nin > n->nout ? n->nin : n->nout;
    const oi_fact **in = few_in;
    const oi_tensor **eval_in = few_eval;
    oi_fact *out = few_out;
    oi_tensor *moved = few_moved, *t = few_t;
    if (most > FEW) {
        in = oi_alloc_array(alloc, most, sizeof *in);
        eval_in = oi_alloc_array(alloc, most, sizeof *eval_in);
        out = oi_alloc_array(alloc, most, sizeof *out);
        moved = oi_alloc_array(alloc, most, sizeof *moved);
        t = oi_alloc_array(alloc, most, sizeof *t);
    }
    oi_status status = in && eval_in && out && moved && t ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    if (!status) {
        oi_infer x = {.g = g, .arena = g->arena, .syms = g->syms, .op = n->op, .node = n, .attr = n->attr,
                      .nin = oi_node_formal_inputs(n), .nout = n->nout, .in = in, .out = out, .sub = infer_sub,
                      .host = (void *)d};
        for (uint32_t i = 0; i < n->nin; i++)
            in[i] = oi_graph_fact(g, n->in[i]);
        for (uint32_t i = 0; i < n->nout; i++)
            out[i] = oi_fact_unknown();
        memset(t, 0, n->nout * sizeof *t);
        memset(moved, 0, n->nin * sizeof *moved);
        status = infer_facts(&x, id, eval_in, moved, t);
        for (uint32_t i = 0; i < n->nout && !status; i++) {
            oi_value_id v = n->out[i];
            if (v == OI_NONE)
                continue;
            if (d->hints && out[i].kind == ONNX_INFER_TENSOR && out[i].dtype == ONNX_INFER_UNDEFINED &&
                g->value[v].fact.kind == ONNX_INFER_TENSOR)
                out[i].dtype = g->value[v].fact.dtype;
            check_hint(d, g, &g->value[v], &out[i]);
            status = check_dims(&out[i], i);
            if (!status)
                status = oi_graph_set_fact(g, v, &out[i]);
        }
        for (uint32_t i = 0; i < n->nout; i++)
            oi_tensor_clear(&t[i]);
        if (!status)
            status = oi_symtab_status(g->syms);
    }
    if (most > FEW) {
        oi_free_mem(alloc, in);
        oi_free_mem(alloc, eval_in);
        oi_free_mem(alloc, out);
        oi_free_mem(alloc, moved);
        oi_free_mem(alloc, t);
    }
    if (status) {
        oi_error_at_node(n->name, n->op->name);
        oi_error_prefix("node '%s' (%s): ", n->name, n->op->name);
    }
    return status;
}

/* The graph is in topological order. */
static oi_status infer_nodes(const driver *d, oi_graph *g)
{
    for (uint32_t i = 0; i < g->nnode; i++) {
        if (!g->node[i].op)
            continue;
        oi_status status = infer_node(d, g, i);
        if (status && ((!d->issue && !d->tolerant) || status == ONNX_INFER_E_OUT_OF_MEMORY))
            return status;
        if (status) {
            if (d->tolerant)
                oi_log_write(g->log, ONNX_INFER_LOG_INFO, "a subgraph could not run as it is: %s", oi_error_current()->message);
            else
                d->issue(d->arg);
            for (uint32_t k = 0; k < g->node[i].nout; k++) {
                oi_fact unknown = oi_fact_unknown();
                if (g->node[i].out[k] != OI_NONE)
                    OI_TRY(oi_graph_set_fact(g, g->node[i].out[k], &unknown));
            }
        }
    }
    return ONNX_INFER_OK;
}

static void set_stage(oi_graph *g, oi_stage stage)
{
    g->stage = stage;
    for (uint32_t i = 0; i < g->nnode; i++) {
        for (uint32_t k = 0; k < g->node[i].nsub; k++)
            set_stage(g->node[i].sub[k].graph, stage);
    }
}

oi_status oi_infer_node(oi_graph *g, oi_node_id id)
{
    const driver d = {0};
    return infer_node(&d, g, id);
}

oi_status oi_infer_graph_report(oi_graph *g, void (*issue)(void *arg), void *arg)
{
    const driver d = {.issue = issue, .arg = arg, .hints = g->stage == OI_STAGE_IMPORTED};
    OI_TRY(oi_graph_compact(g));
    OI_TRY(infer_nodes(&d, g));
    if (g->stage == OI_STAGE_IMPORTED)
        set_stage(g, OI_STAGE_TYPED);
    return ONNX_INFER_OK;
}

oi_status oi_infer_graph(oi_graph *g)
{
    return oi_infer_graph_report(g, NULL, NULL);
}
