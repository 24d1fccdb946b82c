/* eval for lowered operators: their prepared tasks, one after the other. */
#include "ops/eval_prepared.h"

static oi_status prepare_and_run(oi_eval *e, oi_arena *arena, const oi_target *target, oi_tensor *const *out)
{
    const void **in = oi_arena_array(arena, (size_t)e->nin + 1, sizeof *in);
    void **to = oi_arena_array(arena, (size_t)e->nout + 1, sizeof *to);
    oi_tensor *shapes = oi_arena_array(arena, (size_t)e->nin + 1, sizeof *shapes);
    oi_tensor *results = oi_arena_array(arena, (size_t)e->nout + 1, sizeof *results);
    if (!in || !to || !shapes || !results)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < e->nout; i++) {
        to[i] = out[i] ? out[i]->data : NULL;
        if (out[i])
            results[i] = *out[i];
    }
    for (uint32_t i = 0; i < e->nin; i++) {
        in[i] = e->in[i] ? e->in[i]->data : NULL;
        if (e->in[i])
            shapes[i] = *e->in[i];
    }
    oi_step step = {.op = e->op, .node = e->node, .attr = e->attr, .nin = e->nin, .nout = e->nout, .in = shapes, .out = results};
    oi_prepare p = {.step = &step, .arena = arena, .target = target};
    OI_TRY(e->op->prepare(&p));
    OI_FAIL_IF(!step.run, ONNX_INFER_E_INTERNAL, "%s has no kernel for these shapes", e->op->name);
    void *workspace = oi_alloc_data(e->alloc, step.workspace), *own = oi_alloc_data(e->alloc, step.thread_workspace);
    oi_status status = workspace && own ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    oi_run run = {.step = &step, .in = in, .out = to, .workspace = workspace, .thread_workspace = own};
    for (uint32_t task = 0; task < step.n_tasks && !status; task++)
        status = step.run(&run, task);
    oi_free_data(e->alloc, workspace, step.workspace);
    oi_free_data(e->alloc, own, step.thread_workspace);
    return status;
}

oi_status oi_eval_prepared(oi_eval *e, oi_cpu_isa isa, oi_dtype dtype, int32_t rank, const int64_t *dims)
{
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, dtype, rank, dims, &out));
    return oi_eval_prepared_into(e, isa, &out);
}

oi_status oi_eval_prepared_into(oi_eval *e, oi_cpu_isa isa, oi_tensor *const *out)
{
    oi_target target = {.isa = isa, .kernels = oi_kernels_for(isa)};
    oi_arena *arena = oi_arena_create(e->alloc);
    if (!arena)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status status = prepare_and_run(e, arena, &target, out);
    oi_arena_destroy(arena);
    return status;
}
