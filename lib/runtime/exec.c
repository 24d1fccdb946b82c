/* Execution: each step by its kernel or by the operator's reference evaluator. */
#include "base/checked.h"
#include "runtime/profile.h"
#include "runtime/state.h"

#include <string.h>

void oi_exec_drop(oi_state *s, oi_run_state *run, oi_value_id v)
{
    if (s->tensor[v].dtype != ONNX_INFER_UNDEFINED)
        oi_tensor_clear(&s->tensor[v]);
    run->heap_bytes -= s->charged[v];
    s->charged[v] = 0;
    if (s->value[v]) {
        oi_value_release(s->value[v]);
        s->value[v] = NULL;
    }
}

/* --- kernels ---------------------------------------------------------------------------------------------------- */

typedef struct {
    oi_run run;
    const oi_run_state *state;
    char *thread_workspace;
    size_t stride;
    uint32_t first_task;
} task_set;

typedef struct {
    oi_stop stop; /* first: tasks get a pointer to it */
    const oi_run_state *state;
    oi_status status;
} task_stop;

static bool stop_asked(oi_stop *s)
{
    task_stop *t = (task_stop *)s;
    if (t->status == ONNX_INFER_OK)
        t->status = oi_run_check(t->state);
    return t->status != ONNX_INFER_OK;
}

static oi_status run_task(void *arg, size_t task, size_t thread)
{
    const task_set *set = arg;
    oi_run r = set->run;
    task_stop stop = {{stop_asked}, set->state, ONNX_INFER_OK};
    OI_TRY(oi_run_check(set->state));
    r.thread_workspace = set->thread_workspace + thread * set->stride;
    r.stop = &stop.stop;
    oi_status st = r.step->run(&r, set->first_task + (uint32_t)task);
    return stop.status != ONNX_INFER_OK ? stop.status : st;
}

static oi_status run_kernel(oi_frame *f, oi_state *s, oi_run_state *run, const oi_plan_step *ps)
{
    const oi_step *step = &ps->step;
    const oi_node *n = step->node;
    for (uint32_t i = 0; i < n->nin; i++)
        s->in[i] = n->in[i] == OI_NONE ? NULL : s->tensor[n->in[i]].data;
    for (uint32_t i = 0; i < n->nout; i++)
        s->out[i] = n->out[i] == OI_NONE ? NULL : s->tensor[n->out[i]].data;
    task_set set = {
        .run = {.step = step, .in = s->in, .out = s->out, .workspace = f->memory->data + ps->workspace_at},
        .state = run,
        .thread_workspace = f->memory->data + ps->thread_workspace_at,
        .stride = ps->thread_stride,
    };
    if (ps->alone) {
        for (uint32_t task = 0; task < step->phase_end[step->phases - 1]; task++)
            OI_TRY(run_task(&set, task, 0));
        return ONNX_INFER_OK;
    }
    for (uint32_t phase = 0; phase < step->phases; phase++) {
        OI_TRY(oi_pool_run(f->engine->pool, step->phase_end[phase] - set.first_task, run_task, &set));
        set.first_task = step->phase_end[phase];
    }
    return ONNX_INFER_OK;
}

/* --- reference evaluators ----------------------------------------------------------------------------------------- */

typedef struct {
    oi_eval e; /* first: the host's functions get a pointer to it */
    oi_frame *frame;
    oi_state *s;
    oi_run_state *run;
    const oi_plan_step *ps;
    oi_tensor unwanted; /* an output that nobody asked for */
} evaluation;

static oi_status wrong_inference(evaluation *x, uint32_t i, oi_dtype dtype, int32_t rank, const int64_t *dims)
{
    const oi_tensor *want = &x->ps->step.out[i];
    x->run->distrust = true;
    char made[200], said[200];
    return oi_fail(ONNX_INFER_E_INTERNAL, "output %u came out as %s %s where %s %s was inferred or declared", i,
                   oi_dtype_name(dtype), oi_dims_text(rank, dims, made, sizeof made), oi_dtype_name(want->dtype),
                   oi_dims_text(want->rank, want->dim, said, sizeof said));
}

static bool matches(const oi_tensor *t, oi_dtype dtype, int32_t rank, const int64_t *dims)
{
    return t->dtype == dtype && t->rank == rank && (rank == 0 || !memcmp(t->dim, dims, (size_t)rank * sizeof *dims));
}

static oi_status charge(evaluation *x, oi_value_id v, oi_dtype dtype, int32_t rank, const int64_t *dims)
{
    const oi_limits *limits = &x->frame->engine->limits;
    oi_tensor t;
    OI_TRY(oi_tensor_describe(&t, dtype, rank, dims));
    if (t.bytes > limits->tensor_bytes || t.bytes > limits->total_bytes ||
        x->run->heap_bytes > limits->total_bytes - t.bytes) {
        char text[200];
        return oi_fail(ONNX_INFER_E_LIMIT, "an output of %s %s takes %zu bytes; the limits are tensor_bytes %llu, total_bytes %llu",
                       oi_dims_text(rank, dims, text, sizeof text), oi_dtype_name(dtype), t.bytes,
                       (unsigned long long)limits->tensor_bytes, (unsigned long long)limits->total_bytes);
    }
    if (v != OI_NONE) {
        x->s->charged[v] = t.bytes;
        x->run->heap_bytes += t.bytes;
        if (x->run->heap_bytes > x->run->heap_peak)
            x->run->heap_peak = x->run->heap_bytes;
    }
    return ONNX_INFER_OK;
}

static oi_status host_out(oi_eval *e, uint32_t i, oi_dtype dtype, int32_t rank, const int64_t *dims, oi_tensor **t)
{
    evaluation *x = (evaluation *)e;
    const oi_alloc *a = &x->frame->engine->alloc;
    oi_value_id v = i < e->nout ? e->node->out[i] : OI_NONE;
    if (v == OI_NONE) {
        oi_tensor_clear(&x->unwanted);
        OI_TRY(charge(x, v, dtype, rank, dims));
        *t = &x->unwanted;
        return oi_tensor_create(a, dtype, rank, dims, *t);
    }
    *t = &x->s->tensor[v];
    if (x->s->plan->slot[v].place != OI_AT_HEAP)
        return matches(*t, dtype, rank, dims) ? ONNX_INFER_OK : wrong_inference(x, i, dtype, rank, dims);
    oi_exec_drop(x->s, x->run, v);
    OI_TRY(charge(x, v, dtype, rank, dims));
    return oi_tensor_create(a, dtype, rank, dims, *t);
}

static oi_status host_out_view(oi_eval *e, uint32_t i, const oi_tensor *src, int32_t rank, const int64_t *dims)
{
    evaluation *x = (evaluation *)e;
    oi_value_id v = i < e->nout ? e->node->out[i] : OI_NONE;
    oi_tensor *t, as = *src;
    if (v == OI_NONE)
        return ONNX_INFER_OK;
    if (x->s->plan->slot[v].place == OI_AT_HEAP && src->buf) {
        oi_tensor shared;
        oi_tensor_share_as(&shared, src, rank, dims); /* before the drop: src may be the output itself */
        oi_exec_drop(x->s, x->run, v);
        x->s->tensor[v] = shared;
        return ONNX_INFER_OK;
    }
    OI_TRY(host_out(e, i, src->dtype, rank, dims, &t));
    return oi_tensor_copy_data(&x->frame->engine->alloc, &as, t);
}

static oi_status place_value(oi_eval *e, uint32_t i, const onnx_infer_value *v)
{
    evaluation *x = (evaluation *)e;
    oi_value_id id = i < e->nout ? e->node->out[i] : OI_NONE;
    if (id == OI_NONE)
        return ONNX_INFER_OK;
    if (v->kind == ONNX_INFER_TENSOR)
        return host_out_view(e, i, &v->tensor, v->tensor.rank, v->tensor.dim);
    if (x->s->plan->slot[id].place != OI_AT_HEAP) {
        x->run->distrust = true;
        return oi_fail(ONNX_INFER_E_INTERNAL, "output %u came out as no tensor where one was inferred or declared", i);
    }
    oi_exec_drop(x->s, x->run, id);
    x->s->value[id] = oi_value_retain((onnx_infer_value *)v);
    return ONNX_INFER_OK;
}

static oi_status host_out_value(oi_eval *e, uint32_t i, onnx_infer_value *v)
{
    oi_status st = place_value(e, i, v);
    oi_value_release(v);
    return st;
}

typedef struct {
    oi_status (*body)(void *arg, size_t i);
    void *arg;
    const oi_run_state *run;
} loop;

static oi_status loop_task(void *arg, size_t task, size_t thread)
{
    const loop *l = arg;
    (void)thread;
    OI_TRY(oi_run_check(l->run));
    return l->body(l->arg, task);
}

static oi_status host_parallel(oi_eval *e, size_t n, oi_status (*body)(void *arg, size_t i), void *arg)
{
    evaluation *x = (evaluation *)e;
    loop l = {body, arg, x->run};
    return oi_pool_run(x->frame->engine->pool, n, loop_task, &l);
}

static oi_status child_frame(evaluation *x, uint32_t sub, oi_frame **out)
{
    size_t step = (size_t)(x->ps - x->s->plan->step);
    oi_frame ***child = &x->s->child[step];
    const oi_engine *engine = x->frame->engine;
    if (!*child && !(*child = oi_alloc_array(&engine->alloc, x->e.node->nsub, sizeof **child)))
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (!(*child)[sub])
        OI_TRY(oi_frame_create(x->ps->sub[sub], engine, NULL, &(*child)[sub]));
    *out = (*child)[sub];
    return ONNX_INFER_OK;
}

/* Arguments of a body: the formal inputs are set by the caller, captures are found here. */
typedef struct {
    oi_frame *frame;
    uint32_t n;
    oi_arg few[16], *arg;
} body_args;

static oi_status args_create(evaluation *x, uint32_t sub, uint32_t nin, uint32_t nout, body_args *b)
{
    const oi_sub *body = &x->e.node->sub[sub];
    uint32_t formal = body->graph->ninput - body->ncapture;
    OI_FAIL_IF(nin != formal || nout > body->graph->noutput, ONNX_INFER_E_INVALID_MODEL,
               "subgraph %u takes %u inputs and gives %u outputs; the operator passes %u and expects %u", sub, formal,
               body->graph->noutput, nin, nout);
    OI_TRY(child_frame(x, sub, &b->frame));
    b->n = body->graph->ninput;
    b->arg = b->few;
    if (b->n > sizeof b->few / sizeof *b->few) {
        b->arg = oi_alloc_array(&x->frame->engine->alloc, b->n, sizeof *b->arg);
        if (!b->arg)
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    for (uint32_t c = 0; c < body->ncapture; c++) {
        oi_value_id v = x->e.node->in[body->capture[c]];
        oi_arg *arg = &b->arg[formal + c];
        *arg = (oi_arg){NULL, NULL};
        if (v == OI_NONE || x->s->plan->slot[v].place == OI_AT_CONST)
            continue; /* the program has the constants */
        if (x->s->value[v])
            arg->value = x->s->value[v];
        else if (x->s->tensor[v].dtype != ONNX_INFER_UNDEFINED)
            arg->tensor = &x->s->tensor[v];
    }
    return ONNX_INFER_OK;
}

static void args_free(const evaluation *x, body_args *b)
{
    if (b->arg != b->few)
        oi_free_mem(&x->frame->engine->alloc, b->arg);
}

static oi_status host_sub(oi_eval *e, uint32_t sub, uint32_t nin, onnx_infer_value *const *in, uint32_t nout,
                          onnx_infer_value **out)
{
    evaluation *x = (evaluation *)e;
    body_args b;
    for (uint32_t i = 0; i < nout; i++)
        out[i] = NULL;
    OI_TRY(args_create(x, sub, nin, nout, &b));
    for (uint32_t i = 0; i < nin; i++) {
        bool tensor = in[i] && in[i]->kind == ONNX_INFER_TENSOR;
        b.arg[i] = (oi_arg){tensor ? &in[i]->tensor : NULL, tensor ? NULL : in[i]};
    }
    oi_status st = oi_frame_run(b.frame, x->run, b.n, b.arg, NULL, nout, out);
    args_free(x, &b);
    return st;
}

static oi_status host_turns(oi_eval *e, uint32_t sub, const oi_turns *t, bool *ran)
{
    evaluation *x = (evaluation *)e;
    body_args b;
    *ran = false;
    OI_TRY(args_create(x, sub, t->nin, t->nout, &b));
    for (uint32_t i = 0; i < t->nin; i++)
        b.arg[i] = (oi_arg){&t->in[i], NULL};
    oi_status st = oi_frame_turns(b.frame, x->run, b.n, b.arg, t, ran);
    args_free(x, &b);
    return st;
}

static oi_status host_check(oi_eval *e)
{
    return oi_run_check(((evaluation *)e)->run);
}

static const oi_eval_host host = {host_out, host_out_view, host_out_value, host_parallel, host_sub, host_turns, host_check};

static uint64_t mix(uint64_t x) /* splitmix64 */
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static oi_status evaluate(oi_frame *f, oi_state *s, oi_run_state *run, const oi_plan_step *ps)
{
    const oi_node *n = ps->step.node;
    evaluation x = {
        .e = {.host = &host, .alloc = &f->engine->alloc, .op = n->op, .node = n, .attr = n->attr, .nin = n->nin,
              .nout = n->nout, .in = s->eval_in, .in_value = s->eval_value, .kernel = ps->kernel},
        .frame = f, .s = s, .run = run, .ps = ps,
    };
    for (uint32_t i = 0; i < n->nin; i++) {
        oi_value_id v = n->in[i];
        bool is_tensor = v != OI_NONE && s->tensor[v].dtype != ONNX_INFER_UNDEFINED;
        s->eval_in[i] = is_tensor ? &s->tensor[v] : NULL;
        s->eval_value[i] = v == OI_NONE || is_tensor ? NULL : s->value[v];
    }
    if (n->op->flags & OI_OP_RANDOM)
        x.e.seed = mix(run->seed ^ mix(++run->random_count));
    oi_status st = n->op->eval(&x.e);
    oi_eval_scratch_free(&x.e);
    oi_tensor_clear(&x.unwanted);
    return st;
}

/* --- all steps ------------------------------------------------------------------------------------------------------ */

static oi_status step_failed(const oi_plan_step *ps)
{
    const oi_node *n = ps->step.node;
    oi_error_at_node(n->name, n->op->name);
    return oi_error_prefix("node '%s' (%s): ", n->name, n->op->name);
}

oi_status oi_exec_steps(oi_frame *f, oi_state *s, oi_run_state *run)
{
    const oi_plan *p = s->plan;
    for (uint32_t i = 0; i < p->nstep; i++) {
        const oi_plan_step *ps = &p->step[i];
        OI_TRY(oi_run_check(run));
        uint64_t start = run->profile ? oi_clock_ns() : 0;
        oi_status st = ps->step.run ? run_kernel(f, s, run, ps) : evaluate(f, s, run, ps);
        if (st != ONNX_INFER_OK)
            return step_failed(ps);
        if (run->profile && !ps->sub)
            OI_TRY(oi_profile_add(run->profile, ps, start - run->start_ns, oi_clock_ns() - start));
        for (uint32_t d = 0; d < ps->ndrop; d++)
            oi_exec_drop(s, run, ps->drop[d]);
    }
    return ONNX_INFER_OK;
}
