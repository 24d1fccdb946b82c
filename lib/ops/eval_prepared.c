/* eval for lowered operators: their prepared tasks, one after the other. */
#include "ops/eval_prepared.h"

static oi_status prepare_and_run(oi_eval *e, oi_arena *arena, const oi_target *target, oi_tensor *out)
{
    const void **in = oi_arena_array(arena, (size_t)e->nin + 1, sizeof *in);
    oi_tensor *shapes = oi_arena_array(arena, (size_t)e->nin + 1, sizeof *shapes);
    if (!in || !shapes)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < e->nin; i++) {
        in[i] = e->in[i] ? e->in[i]->data : NULL;
        if (e->in[i])
            shapes[i] = *e->in[i];
    }
    oi_step step = {.op = e->op, .node = e->node, .attr = e->attr, .nin = e->nin, .nout = 1, .in = shapes, .out = out};
    oi_prepare p = {.step = &step, .arena = arena, .target = target};
    OI_TRY(e->op->prepare(&p));
    OI_FAIL_IF(!step.run, ONNX_INFER_E_INTERNAL, "%s has no kernel for these shapes", e->op->name);
    void *workspace = oi_alloc_data(e->alloc, step.workspace), *own = oi_alloc_data(e->alloc, step.thread_workspace);
    oi_status status = workspace && own ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    void *const outs[] = {out->data};
    oi_run run = {.step = &step, .in = in, .out = outs, .workspace = workspace, .thread_workspace = own};
    for (uint32_t task = 0; task < step.n_tasks && !status; task++)
        status = step.run(&run, task);
    oi_free_data(e->alloc, workspace, step.workspace);
    oi_free_data(e->alloc, own, step.thread_workspace);
    return status;
}

oi_status oi_eval_prepared(oi_eval *e, oi_cpu_isa isa, oi_dtype dtype, int32_t rank, const int64_t *dims)
{
    oi_target target = {.isa = isa, .kernels = oi_kernels_for(isa)};
    oi_tensor *out;
    OI_TRY(oi_eval_out(e, 0, dtype, rank, dims, &out));
    oi_arena *arena = oi_arena_create(e->alloc);
    if (!arena)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status status = prepare_and_run(e, arena, &target, out);
    oi_arena_destroy(arena);
    return status;
}
