/* Runs graphs through plans. */
#include "graph_run.h"

#include "runtime/frame.h"
#include "runtime/plan.h"
#include "runtime/program.h"

#include <string.h>

enum { MOST = 64 };

static oi_status run_twice(oi_frame *f, const oi_engine *e, uint32_t nin, const oi_arg *in, uint32_t nout, oi_tensor *out)
{
    oi_status status = ONNX_INFER_OK;
    for (int turn = 0; turn < 2 && !status; turn++) {
        oi_run_state state = {.engine = e};
        onnx_infer_value *made[MOST] = {0};
        status = oi_frame_run(f, &state, nin, in, NULL, nout, made);
        for (uint32_t i = 0; i < nout && !status; i++) {
            oi_tensor_clear(&out[i]);
            status = oi_tensor_clone(&e->alloc, &made[i]->tensor, &out[i]);
        }
        for (uint32_t i = 0; i < nout; i++)
            oi_value_release(made[i]);
    }
    return status;
}

static oi_status run_to(oi_stage stage, const oi_graph *g, oi_cpu_isa isa, uint64_t seed, int64_t open, oi_tensor *out, graph_cost *cost)
{
    oi_engine e = {.stage = stage, .target = {.isa = isa, .kernels = oi_kernels_for(isa)},
                   .limits = {1 << 20, 8, (uint64_t)1 << 30, (uint64_t)1 << 31, 2}};
    oi_tensor input[MOST];
    oi_arg arg[MOST];
    oi_program *program = NULL;
    oi_frame *frame = NULL;
    for (uint32_t i = 0; i < g->ninput; i++) {
        const oi_fact *f = oi_graph_fact(g, g->input[i]);
        int64_t dims[OI_MAX_RANK];
        for (int32_t k = 0; k < f->shape.rank; k++)
            dims[k] = oi_dim_is_number(f->shape.dim[k]) ? f->shape.dim[k] : open;
        input[i] = tensor_random(&seed, f->dtype, f->shape.rank, dims);
        arg[i] = (oi_arg){&input[i], NULL};
    }
    e.alloc = oi_alloc_libc;
    memset(out, 0, g->noutput * sizeof *out);
    oi_status status = oi_pool_create(&e.alloc, 1, 0, &e.pool);
    if (!status)
        status = oi_program_create(&e, g, g, NULL, NULL, &program);
    if (!status)
        status = oi_frame_create(program, &e, NULL, &frame);
    if (!status)
        status = run_twice(frame, &e, g->ninput, arg, g->noutput, out);
    if (!status && cost) {
        oi_plan *plan = oi_program_last_plan(program);
        *cost = (graph_cost){.steps = plan->nstep, .live = oi_frame_live(frame)};
        uint64_t now = 0;
        oi_frame_memory(frame, &now, &cost->arena);
        oi_plan_release(plan);
    }
    oi_frame_destroy(frame);
    oi_program_destroy(program);
    oi_pool_release(e.pool);
    for (uint32_t i = 0; i < g->ninput; i++)
        oi_tensor_clear(&input[i]);
    return status;
}

oi_status graph_run(const oi_graph *g, oi_cpu_isa isa, uint64_t seed, int64_t open, oi_tensor *out, graph_cost *cost)
{
    return run_to(OI_STAGE_LOWERED, g, isa, seed, open, out, cost);
}

oi_status graph_compute(oi_graph *g, uint64_t seed, int64_t open, oi_tensor *out)
{
    for (uint32_t i = 0; i < g->nnode; i++) {
        if (g->node[i].op && (g->node[i].op->flags & OI_OP_CONTROL))
            return run_to(OI_STAGE_TYPED, g, oi_cpu_isa_detect(), seed, open, out, NULL);
    }
    return graph_evaluate(g, seed, open, out);
}
