/* Evaluating single nodes by their reference, for constant folding and for the content of facts. */
#include "ops/infer.h"

#include <string.h>

typedef struct {
    oi_eval eval; /* first: the host's functions get it */
    oi_fold_means means;
    oi_tensor *out;
} folder;

static oi_status host_out(oi_eval *e, uint32_t i, oi_dtype dtype, int32_t rank, const int64_t *dims, oi_tensor **t)
{
    folder *f = (folder *)e;
    oi_tensor_clear(&f->out[i]);
    *t = &f->out[i];
    if (!f->means.slab || dtype == ONNX_INFER_STRING)
        return oi_tensor_create(e->alloc, dtype, rank, dims, *t);
    oi_tensor made;
    OI_TRY(oi_tensor_describe(&made, dtype, rank, dims));
    OI_TRY(oi_slab_buffer(f->means.slab, made.bytes, &made.buf));
    made.data = oi_buffer_data(made.buf);
    **t = made;
    return ONNX_INFER_OK;
}

static oi_status host_out_view(oi_eval *e, uint32_t i, const oi_tensor *src, int32_t rank, const int64_t *dims)
{
    folder *f = (folder *)e;
    oi_tensor view;
    if (src->buf)
        oi_tensor_share_as(&view, src, rank, dims);
    else /* nobody would keep the storage alive */
        OI_TRY(oi_tensor_clone(e->alloc, src, &view));
    view.rank = rank;
    if (rank)
        memcpy(view.dim, dims, (size_t)rank * sizeof *dims);
    oi_tensor_clear(&f->out[i]);
    f->out[i] = view;
    return ONNX_INFER_OK;
}

static oi_status host_out_value(oi_eval *e, uint32_t i, onnx_infer_value *v)
{
    folder *f = (folder *)e;
    bool tensor = v->kind == ONNX_INFER_TENSOR;
    if (tensor) {
        oi_tensor_clear(&f->out[i]);
        oi_tensor_share(&f->out[i], &v->tensor);
    }
    oi_value_release(v);
    OI_FAIL_IF(!tensor, ONNX_INFER_E_DATA_DEPENDENT, "output %u is no tensor", i);
    return ONNX_INFER_OK;
}

typedef struct {
    oi_status (*body)(void *arg, size_t i);
    void *arg;
} loop;

static oi_status loop_task(void *arg, size_t task, size_t thread)
{
    const loop *l = arg;
    (void)thread;
    return l->body(l->arg, task);
}

static oi_status host_parallel(oi_eval *e, size_t n, oi_status (*body)(void *arg, size_t i), void *arg)
{
    const folder *f = (folder *)e;
    if (f->means.pool && n > 1)
        return oi_pool_run(f->means.pool, n, loop_task, &(loop){body, arg});
    for (size_t i = 0; i < n; i++)
        OI_TRY(body(arg, i));
    return ONNX_INFER_OK;
}

static oi_status host_sub(oi_eval *e, uint32_t sub, uint32_t nin, onnx_infer_value *const *in, uint32_t nout,
                          onnx_infer_value **out)
{
    (void)sub, (void)nin, (void)in, (void)nout, (void)out;
    return oi_fail(ONNX_INFER_E_DATA_DEPENDENT, "%s runs a subgraph", e->op->name);
}

static oi_status host_check(oi_eval *e)
{
    (void)e;
    return ONNX_INFER_OK;
}

static const oi_eval_host fold_host = {
    .out = host_out, .out_view = host_out_view, .out_value = host_out_value, .parallel = host_parallel, .sub = host_sub,
    .check = host_check,
};

uint32_t oi_node_formal_inputs(const oi_node *n)
{
    uint32_t formal = n->nin;
    for (uint32_t i = 0; i < n->nsub; i++) {
        for (uint32_t k = 0; k < n->sub[i].ncapture; k++) {
            if (n->sub[i].capture[k] < formal)
                formal = n->sub[i].capture[k];
        }
    }
    return formal;
}

static oi_status eval_aligned(const oi_graph *g, oi_node_id id, const oi_fold_means *means, uint32_t nin,
                              const oi_tensor *const *in, oi_tensor *out)
{
    const oi_node *n = &g->node[id];
    folder f = {.out = out};
    if (means)
        f.means = *means;
    f.eval = (oi_eval){.host = &fold_host, .alloc = oi_arena_alloc_of(g->arena), .op = n->op, .node = n, .attr = n->attr,
                       .nin = nin, .nout = n->nout, .in = in};
    oi_status status = n->op->eval(&f.eval);
    oi_eval_scratch_free(&f.eval);
    if (status) {
        for (uint32_t i = 0; i < n->nout; i++)
            oi_tensor_clear(&out[i]);
    }
    return status;
}

enum { LARGE_BYTES = 1 << 20 }; /* of constants in a file whose pages are given back once they are folded */

static bool is_usable(const oi_op *op, uint32_t i, const oi_tensor *t)
{
    return !t || oi_op_takes_loose(op, i) || oi_tensor_is_aligned(t);
}

oi_status oi_fold_eval(const oi_graph *g, oi_node_id id, const oi_fold_means *means, uint32_t nin, const oi_tensor *const *in,
                       oi_tensor *out)
{
    const oi_node *n = &g->node[id];
    const oi_alloc *alloc = oi_arena_alloc_of(g->arena);
    bool aligned = true;
    memset(out, 0, n->nout * sizeof *out);
    OI_FAIL_IF((n->op->flags & (OI_OP_RANDOM | OI_OP_CONTROL)) || !n->op->eval, ONNX_INFER_E_DATA_DEPENDENT,
               "%s is not evaluated ahead of a run", n->op->name);
    for (uint32_t i = 0; i < nin; i++)
        aligned = aligned && is_usable(n->op, i, in[i]);
    if (aligned) {
        oi_status done = eval_aligned(g, id, means, nin, in, out);
        for (uint32_t i = 0; i < nin; i++)
            if (in[i] && in[i]->bytes >= LARGE_BYTES)
                oi_tensor_drop_pages(in[i]);
        return done;
    }
    oi_tensor *copy = oi_alloc_array(alloc, nin, sizeof *copy);
    const oi_tensor **use = oi_alloc_array(alloc, nin, sizeof *use);
    oi_status status = copy && use ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < nin && !status; i++) {
        use[i] = in[i];
        if (is_usable(n->op, i, in[i]))
            continue;
        oi_tensor_share(&copy[i], in[i]);
        status = oi_tensor_align(alloc, &copy[i]);
        use[i] = &copy[i];
    }
    if (!status)
        status = eval_aligned(g, id, means, nin, use, out);
    for (uint32_t i = 0; i < nin && copy; i++)
        oi_tensor_clear(&copy[i]);
    oi_free_mem(alloc, copy);
    oi_free_mem(alloc, use);
    return status;
}

oi_status oi_fold_node(const oi_graph *g, oi_node_id id, const oi_fold_means *means, oi_tensor *out)
{
    const oi_node *n = &g->node[id];
    const oi_alloc *alloc = oi_arena_alloc_of(g->arena);
    const oi_tensor **in = oi_alloc_array(alloc, n->nin + 1, sizeof *in);
    memset(out, 0, n->nout * sizeof *out);
    if (!in)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status status = ONNX_INFER_OK;
    for (uint32_t i = 0; i < n->nin && !status; i++) {
        const oi_fact *f = oi_graph_fact(g, n->in[i]);
        if (f && !f->konst)
            status = oi_fail(ONNX_INFER_E_DATA_DEPENDENT, "input %u is not constant", i);
        in[i] = f ? f->konst : NULL;
    }
    if (!status)
        status = oi_fold_eval(g, id, means, n->nin, in, out);
    oi_free_mem(alloc, in);
    return status;
}
