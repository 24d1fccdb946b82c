/* Contexts: one run at a time, by index or by name, in memory of their own or of the caller's. */
#include "runtime/inputs.h"
#include "runtime/profile.h"

#include <string.h>

oi_status oi_context_create(onnx_infer_plan *p, bool inner, onnx_infer_context **out)
{
    const oi_alloc *a = &p->engine.alloc;
    const oi_onnx_model *f = p->model->file;
    onnx_infer_context *c = oi_alloc_mem(a, sizeof *c);
    *out = NULL;
    if (!c)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    atomic_init(&c->busy, false);
    c->inner = inner;
    c->plan = inner ? p : oi_session_retain(p);
    c->inputs.plan = p;
    c->memory.least = p->ahead_bytes;
    c->input = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *c->input);
    c->output = oi_alloc_array(a, (size_t)f->noutput + 1, sizeof *c->output);
    c->in = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *c->in);
    c->out = oi_alloc_array(a, (size_t)f->noutput + 1, sizeof *c->out);
    c->named = oi_alloc_array(a, (size_t)f->ninput + f->noutput + 1, sizeof *c->named);
    oi_status st = c->input && c->output && c->in && c->out && c->named ? oi_inputs_create(p, &c->inputs)
                                                                        : ONNX_INFER_E_OUT_OF_MEMORY;
    if (st == ONNX_INFER_OK)
        st = oi_frame_create(p->program, &p->engine, &c->memory, &c->frame);
    if (st == ONNX_INFER_OK && !inner)
        st = oi_async_create(c, &c->async);
    if (st != ONNX_INFER_OK) {
        oi_free_mem(a, c->input); /* holds no bindings yet */
        c->input = NULL;
        oi_context_free(c);
        return st;
    }
    for (uint32_t i = 0; i < f->ninput; i++)
        c->input[i].from = OI_NONE;
    for (uint32_t i = 0; i < f->noutput; i++)
        c->output[i].feeds = OI_NONE;
    *out = c;
    return ONNX_INFER_OK;
}

void oi_context_free(onnx_infer_context *c)
{
    if (!c)
        return;
    onnx_infer_plan *p = c->plan;
    const oi_alloc *a = &p->engine.alloc;
    bool inner = c->inner;
    oi_async_destroy(c->async, a);
    if (c->input)
        oi_context_unbind_all(c);
    oi_frame_destroy(c->frame);
    for (int i = 0; i < OI_CUTS; i++)
        oi_frame_destroy(c->cut[i]);
    oi_arena_memory_trim(&c->memory, a);
    oi_inputs_destroy(&c->inputs);
    oi_free_mem(a, c->input);
    oi_free_mem(a, c->output);
    oi_free_mem(a, c->in);
    oi_free_mem(a, c->out);
    oi_free_mem(a, c->named);
    oi_free_mem(a, c);
    if (!inner)
        oi_session_release(p);
}

oi_status oi_context_take(onnx_infer_context *c)
{
    OI_FAIL_IF(atomic_exchange_explicit(&c->busy, true, memory_order_acquire), ONNX_INFER_E_BUSY,
               "the context is in use by a run; wait for it, or give each thread its own");
    return ONNX_INFER_OK;
}

void oi_context_give(onnx_infer_context *c)
{
    atomic_store_explicit(&c->busy, false, memory_order_release);
}

/* Runs what c->inputs holds. */
static oi_status run_frame(onnx_infer_context *c, oi_frame *frame, const onnx_infer_run_options *ro, const oi_sink *sink,
                           size_t no, onnx_infer_value **out)
{
    oi_run_state run = {.engine = &c->plan->engine, .start_ns = oi_clock_ns()};
    OI_TRY(oi_inputs_check(&c->inputs));
    if (ro) {
        run.cancel = ro->cancel;
        run.deadline_ns = ro->deadline_ns && ro->deadline_ns < UINT64_MAX - run.start_ns ? run.start_ns + ro->deadline_ns : 0;
        run.profile = ro->profile;
        run.seed = ro->seed;
        if (ro->profile)
            OI_TRY(oi_profile_reset(ro->profile));
    }
    oi_status st = oi_frame_run(frame, &run, c->plan->model->file->ninput, c->inputs.arg, sink, no, out);
    if (run.heap_peak > c->heap_peak)
        c->heap_peak = run.heap_peak;
    return st;
}

oi_status oi_context_run(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni, const onnx_infer_value *const *in,
                         const oi_sink *sink, size_t no, onnx_infer_value **out)
{
    const uint32_t noutput = c->plan->model->file->noutput;
    OI_FAIL_IF(no > noutput, ONNX_INFER_E_INVALID_ARGUMENT, "%zu outputs are asked for; the model has %u", no, noutput);
    OI_TRY(oi_inputs_take(&c->inputs, ni, in));
    return run_frame(c, c->frame, ro, sink, no, out);
}

/* --- by name ---------------------------------------------------------------------------------------------------------- */

static oi_status find_named(const onnx_infer_port *port, size_t nport, const char *what, size_t n, const char *const *name,
                            bool *named)
{
    memset(named, 0, nport * sizeof *named);
    for (size_t i = 0; i < n; i++) {
        OI_FAIL_IF(!name[i], ONNX_INFER_E_INVALID_ARGUMENT, "the name of %s %zu is NULL", what, i);
        int64_t at = oi_model_find_port(port, nport, name[i]);
        OI_FAIL_IF(at < 0, ONNX_INFER_E_NOT_FOUND, "the model has no %s called '%s'", what, name[i]);
        OI_FAIL_IF(named[at], ONNX_INFER_E_INVALID_ARGUMENT, "%s '%s' is named twice", what, name[i]);
        named[at] = true;
    }
    return ONNX_INFER_OK;
}

/* The frame whose outputs are just those wanted, in the model's order; the whole program's where there are too many. */
static oi_status choose_frame(onnx_infer_context *c, const bool *want, size_t no, bool *whole, oi_frame **out)
{
    size_t cut = OI_CUTS;
    *out = c->frame;
    if (no != c->plan->model->file->noutput)
        OI_TRY(oi_session_cut(c->plan, want, &cut));
    *whole = cut == OI_CUTS;
    if (*whole)
        return ONNX_INFER_OK;
    if (!c->cut[cut])
        OI_TRY(oi_frame_create(c->plan->cut[cut].program, &c->plan->engine, &c->memory, &c->cut[cut]));
    *out = c->cut[cut];
    return ONNX_INFER_OK;
}

oi_status oi_context_run_named(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni, const char *const *in_names,
                               const onnx_infer_value *const *in, size_t no, const char *const *out_names,
                               onnx_infer_value **out)
{
    const onnx_infer_model *m = c->plan->model;
    const size_t nin = m->file->ninput, nout = m->file->noutput;
    bool *want = c->named + nin, whole;
    oi_frame *frame;
    OI_TRY(find_named(m->input, nin, "input", ni, in_names, c->named));
    OI_TRY(find_named(m->output, nout, "output", no, out_names, want));
    OI_TRY(choose_frame(c, want, no, &whole, &frame));
    memset(c->in, 0, nin * sizeof *c->in);
    memset(c->out, 0, nout * sizeof *c->out);
    for (size_t i = 0; i < ni; i++)
        c->in[oi_model_find_port(m->input, nin, in_names[i])] = in[i];
    for (size_t i = 0; i < no; i++)
        c->out[oi_model_find_port(m->output, nout, out_names[i])] = out[i];
    size_t asked = 0;
    for (size_t i = 0; !whole && i < nout; i++) {
        if (want[i])
            c->out[asked++] = c->out[i];
    }
    OI_TRY(oi_inputs_take(&c->inputs, nin, c->in));
    OI_TRY(run_frame(c, frame, ro, NULL, whole ? nout : asked, c->out));
    for (size_t i = nout; !whole && i-- > 0;)
        c->out[i] = want[i] ? c->out[--asked] : NULL;
    for (size_t i = 0; i < no; i++)
        out[i] = c->out[oi_model_find_port(m->output, nout, out_names[i])];
    for (size_t i = 0; i < nout; i++) {
        if (!want[i])
            oi_value_release(c->out[i]);
    }
    return ONNX_INFER_OK;
}

/* --- memory ------------------------------------------------------------------------------------------------------------ */

void oi_context_trim(onnx_infer_context *c)
{
    c->has_output = false;
    for (uint32_t i = 0; i < c->plan->model->file->noutput; i++) {
        oi_bound_output *o = &c->output[i];
        oi_value_release(o->next);
        o->next = NULL;
        if (o->feeds == OI_NONE) {
            oi_value_release(o->now);
            o->now = NULL;
        }
    }
    oi_frame_trim(c->frame);
    for (int i = 0; i < OI_CUTS; i++) {
        if (c->cut[i])
            oi_frame_trim(c->cut[i]);
    }
    oi_arena_memory_trim(&c->memory, &c->plan->engine.alloc);
}

oi_status oi_context_set_arena(onnx_infer_context *c, void *mem, size_t bytes)
{
    size_t skip = mem ? (OI_ALIGN - (uintptr_t)mem % OI_ALIGN) % OI_ALIGN : 0;
    OI_FAIL_IF(mem && bytes <= skip, ONNX_INFER_E_INVALID_ARGUMENT, "an arena of %zu bytes; expected at least %d", bytes, OI_ALIGN);
    oi_arena_memory_trim(&c->memory, &c->plan->engine.alloc);
    c->memory.given = mem != NULL;
    c->memory.data = mem ? (char *)mem + skip : NULL;
    c->memory.bytes = bytes - skip;
    if (!mem)
        c->memory.bytes = 0;
    return ONNX_INFER_OK;
}

oi_status oi_context_memory(const onnx_infer_context *c, onnx_infer_memory *out)
{
    oi_status st = oi_session_memory(c->plan, out);
    if (st == ONNX_INFER_E_DATA_DEPENDENT)
        *out = (onnx_infer_memory){.struct_size = sizeof *out, .weights = c->plan->model->weights,
                                   .mapped = c->plan->model->mapped};
    else
        OI_TRY(st);
    out->arena_now = c->memory.bytes;
    out->arena_peak = c->memory.peak;
    out->heap_peak = c->heap_peak;
    oi_frame_memory(c->frame, &out->arena_now, &out->arena_peak);
    for (int i = 0; i < OI_CUTS; i++) {
        if (c->cut[i])
            oi_frame_memory(c->cut[i], &out->arena_now, &out->arena_peak);
    }
    return ONNX_INFER_OK;
}
