/* Frames: binding of inputs, outputs and arena around a plan's steps. */
#include "runtime/frame.h"

#include "base/fpenv.h"
#include "runtime/state.h"

#include <string.h>

static void destroy_state(oi_frame *f, oi_state *s)
{
    const oi_alloc *a = &f->engine->alloc;
    if (!s)
        return;
    for (uint32_t i = 0; s->child && i < s->plan->nstep; i++) {
        for (uint32_t j = 0; s->child[i] && j < s->plan->step[i].step.node->nsub; j++)
            oi_frame_destroy(s->child[i][j]);
        oi_free_mem(a, s->child[i]);
    }
    oi_free_mem(a, s->child);
    oi_free_mem(a, s->tensor);
    oi_free_mem(a, s->value);
    oi_free_mem(a, s->charged);
    oi_free_mem(a, s->out_tensor);
    oi_free_mem(a, s->origin);
    oi_free_mem(a, s->patch);
    oi_free_mem(a, s->heap);
    oi_free_mem(a, s->in);
    oi_free_mem(a, s->out);
    oi_free_mem(a, s->eval_in);
    oi_free_mem(a, s->eval_value);
    oi_plan_release(s->plan);
    oi_free_mem(a, s);
}

/* Takes over the reference to the plan. */
static oi_status create_state(oi_frame *f, oi_plan *plan, oi_state **out)
{
    const oi_alloc *a = &f->engine->alloc;
    oi_state *s = oi_alloc_mem(a, sizeof *s);
    *out = NULL;
    if (!s) {
        oi_plan_release(plan);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    s->plan = plan;
    const oi_graph *g = plan->graph;
    size_t n = (size_t)g->nvalue + 1;
    s->tensor = oi_alloc_array(a, n, sizeof *s->tensor);
    s->value = oi_alloc_array(a, n, sizeof *s->value);
    s->charged = oi_alloc_array(a, n, sizeof *s->charged);
    s->child = oi_alloc_array(a, (size_t)plan->nstep + 1, sizeof *s->child);
    s->out_tensor = oi_alloc_array(a, (size_t)g->noutput + 1, sizeof *s->out_tensor);
    s->origin = oi_alloc_array(a, (size_t)g->noutput + 1, sizeof *s->origin);
    s->patch = oi_alloc_array(a, n, sizeof *s->patch);
    s->heap = oi_alloc_array(a, n, sizeof *s->heap);
    s->in = oi_alloc_array(a, (size_t)plan->max_in + 1, sizeof *s->in);
    s->out = oi_alloc_array(a, (size_t)plan->max_out + 1, sizeof *s->out);
    s->eval_in = oi_alloc_array(a, (size_t)plan->max_in + 1, sizeof *s->eval_in);
    s->eval_value = oi_alloc_array(a, (size_t)plan->max_in + 1, sizeof *s->eval_value);
    if (!s->tensor || !s->value || !s->charged || !s->child || !s->out_tensor || !s->origin || !s->patch || !s->heap || !s->in || !s->out ||
        !s->eval_in || !s->eval_value) {
        destroy_state(f, s);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    for (uint32_t v = 0; v < g->nvalue; v++) {
        const oi_slot *slot = &plan->slot[v];
        if (slot->place == OI_AT_INPUT || slot->place == OI_AT_OUTPUT)
            s->patch[s->npatch++] = v;
        if (slot->place == OI_AT_HEAP)
            s->heap[s->nheap++] = v;
        else
            s->tensor[v] = slot->desc;
    }
    *out = s;
    return ONNX_INFER_OK;
}

void oi_arena_memory_trim(oi_arena_memory *m, const oi_alloc *a)
{
    if (m->given)
        return;
    oi_free_data(a, m->data, m->bytes);
    m->data = NULL;
    m->bytes = 0;
}

oi_status oi_frame_create(oi_program *p, const oi_engine *engine, oi_arena_memory *memory, oi_frame **out)
{
    const oi_alloc *a = &engine->alloc;
    oi_frame *f = oi_alloc_mem(a, sizeof *f);
    *out = NULL;
    if (!f)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    f->program = p;
    f->engine = engine;
    f->memory = memory ? memory : &f->own_memory;
    f->state = oi_alloc_array(a, OI_FRAME_STATES, sizeof *f->state);
    f->key = oi_alloc_array(a, oi_program_key_cap(p) + 1, sizeof *f->key);
    if (!f->state || !f->key) {
        oi_frame_destroy(f);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    *out = f;
    return ONNX_INFER_OK;
}

void oi_frame_destroy(oi_frame *f)
{
    if (!f)
        return;
    const oi_alloc *a = &f->engine->alloc;
    for (int i = 0; f->state && i < OI_FRAME_STATES; i++)
        destroy_state(f, f->state[i]);
    oi_arena_memory_trim(&f->own_memory, a);
    oi_free_mem(a, f->state);
    oi_free_mem(a, f->key);
    oi_free_mem(a, f);
}

void oi_frame_trim(oi_frame *f)
{
    oi_arena_memory_trim(&f->own_memory, &f->engine->alloc);
    for (int i = 0; i < OI_FRAME_STATES; i++) {
        destroy_state(f, f->state[i]);
        f->state[i] = NULL;
    }
}

void oi_frame_memory(const oi_frame *f, uint64_t *now, uint64_t *peak)
{
    *now += f->own_memory.bytes;
    *peak += f->own_memory.peak;
    for (int i = 0; i < OI_FRAME_STATES; i++) {
        const oi_state *s = f->state[i];
        for (uint32_t k = 0; s && k < s->plan->nstep; k++) {
            for (uint32_t j = 0; s->child[k] && j < s->plan->step[k].step.node->nsub; j++) {
                if (s->child[k][j])
                    oi_frame_memory(s->child[k][j], now, peak);
            }
        }
    }
}

uint64_t oi_frame_live(const oi_frame *f)
{
    uint64_t most = 0;
    for (int i = 0; i < OI_FRAME_STATES; i++) {
        const oi_state *s = f->state[i];
        if (s && s->plan->live_bytes > most)
            most = s->plan->live_bytes;
        for (uint32_t k = 0; s && k < s->plan->nstep; k++) {
            for (uint32_t j = 0; s->child[k] && j < s->plan->step[k].step.node->nsub; j++) {
                const uint64_t live = s->child[k][j] ? s->plan->step[k].live + oi_frame_live(s->child[k][j]) : 0;
                most = live > most ? live : most;
            }
        }
    }
    return most;
}

static oi_status check_run(void *user)
{
    return oi_run_check(user);
}

static oi_status choose_state(oi_frame *f, oi_run_state *run, size_t nin, const oi_arg *in, oi_state **out)
{
    size_t nkey = oi_program_key(f->program, nin, in, f->key);
    int slot = 0;
    for (int i = 0; i < OI_FRAME_STATES; i++) {
        oi_state *s = f->state[i];
        if (s && s->plan->nkey == nkey && !memcmp(s->plan->key, f->key, nkey * sizeof *f->key)) {
            s->used = ++f->clock;
            *out = s;
            return ONNX_INFER_OK;
        }
        if (f->state[slot] && (!s || s->used < f->state[slot]->used))
            slot = i;
    }
    oi_plan *plan;
    OI_TRY(oi_program_plan(f->program, f->key, nkey, check_run, run, &plan));
    destroy_state(f, f->state[slot]);
    f->state[slot] = NULL;
    OI_TRY(create_state(f, plan, &f->state[slot]));
    f->state[slot]->used = ++f->clock;
    *out = f->state[slot];
    return ONNX_INFER_OK;
}

/* One arena serves all of a frame's plans: they run one at a time. */
static oi_status take_arena(oi_frame *f, oi_state *s)
{
    oi_arena_memory *m = f->memory;
    size_t need = s->plan->arena_bytes ? s->plan->arena_bytes : 1;
    if (m->bytes < need) {
        OI_FAIL_IF(m->given, ONNX_INFER_E_LIMIT, "a run with these shapes needs an arena of %zu bytes; the memory set for it has "
                   "%zu (aligned to %d)", need, m->bytes, OI_ALIGN);
        if (need < m->least)
            need = m->least;
        oi_arena_memory_trim(m, &f->engine->alloc);
        m->data = oi_alloc_data(&f->engine->alloc, need);
        if (!m->data)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        m->bytes = need;
    }
    if (s->plan->arena_bytes > m->peak)
        m->peak = s->plan->arena_bytes;
    if (s->arena == m->data)
        return ONNX_INFER_OK;
    s->arena = m->data;
    for (uint32_t v = 0; v < s->plan->graph->nvalue; v++) {
        if (s->plan->slot[v].place == OI_AT_ARENA)
            s->tensor[v].data = m->data + s->plan->slot[v].offset;
    }
    return ONNX_INFER_OK;
}

static oi_status check_given_output(const oi_graph *g, uint32_t i, const oi_tensor *want, const onnx_infer_value *given)
{
    const char *name = g->value[g->output[i]].name;
    char want_text[200], given_text[200];
    if (given->read_only) {
        oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "output '%s' is given memory that is read-only", name);
        return oi_error_at_tensor(name);
    }
    if (given->kind != ONNX_INFER_TENSOR || given->tensor.dtype != want->dtype) {
        oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "output '%s' is %s, the value given for it is %s; give a value of that type, or "
                "NULL to have one made", name, oi_dtype_name(want->dtype),
                given->kind == ONNX_INFER_TENSOR ? oi_dtype_name(given->tensor.dtype) : "no tensor");
        return oi_error_at_tensor(name);
    }
    if (!oi_tensor_same_shape(&given->tensor, want)) {
        oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "output '%s' is %s, the value given for it is %s; give a value of that shape, or "
                "NULL to have one made", name, oi_dims_text(want->rank, want->dim, want_text, sizeof want_text),
                oi_dims_text(given->tensor.rank, given->tensor.dim, given_text, sizeof given_text));
        return oi_error_at_tensor(name);
    }
    return ONNX_INFER_OK;
}

static bool overlaps_input(const oi_tensor *t, size_t nin, const oi_arg *in)
{
    const char *begin = t->data, *end = begin + t->bytes;
    for (size_t i = 0; i < nin; i++) {
        const oi_tensor *x = in[i].tensor;
        if (x && x->bytes && (const char *)x->data < end && begin < (const char *)x->data + x->bytes)
            return true;
    }
    return false;
}

/* origin[] of a state: outputs start as the caller's. */
enum { FROM_CALLER, FROM_SINK, MADE };

static oi_status ask_sink(oi_state *s, const oi_sink *sink, uint32_t i, const oi_tensor *desc, bool computed,
                          onnx_infer_value **out)
{
    OI_TRY(sink->ask(sink->user, i, desc, computed, &out[i]));
    if (out[i])
        s->origin[i] = FROM_SINK;
    return ONNX_INFER_OK;
}

/* Storage of the outputs that are made in place: the caller's, or new. */
static oi_status bind_outputs(oi_frame *f, oi_state *s, size_t nin, const oi_arg *in, const oi_sink *sink, size_t nout,
                              onnx_infer_value **out)
{
    const oi_plan *p = s->plan;
    for (uint32_t i = 0; i < p->graph->noutput; i++) {
        oi_value_id v = p->graph->output[i];
        const oi_slot *slot = &p->slot[v];
        if (sink && i < nout && !out[i] && slot->desc.dtype != ONNX_INFER_UNDEFINED && slot->desc.dtype != ONNX_INFER_STRING)
            OI_TRY(ask_sink(s, sink, i, &slot->desc, false, out));
        if (i < nout && out[i] && slot->desc.dtype != ONNX_INFER_UNDEFINED)
            OI_TRY(check_given_output(p->graph, i, &slot->desc, out[i]));
        if (slot->place != OI_AT_OUTPUT || slot->index != i)
            continue;
        if (i < nout && out[i] && !overlaps_input(&out[i]->tensor, nin, in))
            s->out_tensor[i].data = out[i]->tensor.data;
        else
            OI_TRY(oi_tensor_create(&f->engine->alloc, slot->desc.dtype, slot->desc.rank, slot->desc.dim, &s->out_tensor[i]));
    }
    return ONNX_INFER_OK;
}

static void bind_values(oi_state *s, size_t nin, const oi_arg *in)
{
    const oi_plan *p = s->plan;
    for (uint32_t i = 0; i < s->npatch; i++) {
        oi_value_id v = s->patch[i];
        const oi_slot *slot = &p->slot[v];
        oi_tensor *t = &s->tensor[v];
        if (slot->place == OI_AT_OUTPUT) {
            t->data = (char *)s->out_tensor[slot->index].data + slot->offset;
            continue;
        }
        const oi_arg *arg = slot->index < nin ? &in[slot->index] : NULL;
        const oi_tensor *x = arg ? arg->tensor : NULL;
        if (v == p->graph->input[slot->index]) {
            memset(t, 0, sizeof *t);
            if (x)
                *t = *x;
            s->value[v] = arg ? (onnx_infer_value *)arg->value : NULL;
        } else if (x) {
            t->data = (char *)x->data + slot->offset;
            t->buf = x->buf;
        }
    }
}

/* Containers given to the caller own what is in them: tensors in the caller's input memory are copied. */
static oi_status own_items(const oi_alloc *a, const onnx_infer_value *v, onnx_infer_value **out)
{
    *out = NULL;
    if (v->kind == ONNX_INFER_TENSOR) {
        if (v->tensor.buf && oi_buffer_is_heap(v->tensor.buf)) {
            *out = oi_value_retain((onnx_infer_value *)v);
            return ONNX_INFER_OK;
        }
        oi_tensor t;
        OI_TRY(oi_tensor_clone(a, &v->tensor, &t));
        oi_status st = oi_value_from_tensor(a, &t, out);
        if (st != ONNX_INFER_OK)
            oi_tensor_clear(&t);
        return st;
    }
    onnx_infer_value *copy;
    OI_TRY(oi_value_create(a, v->kind, &copy));
    copy->elem_dtype = v->elem_dtype;
    for (size_t i = 0; i < v->count; i++) {
        onnx_infer_value *item;
        oi_status st = own_items(a, v->item[i], &item);
        if (st == ONNX_INFER_OK) {
            st = oi_value_push(copy, item);
            oi_value_release(item);
        }
        if (st != ONNX_INFER_OK) {
            oi_value_release(copy);
            return st;
        }
    }
    *out = copy;
    return ONNX_INFER_OK;
}

/* A new value for output i; the state keeps what it needs for another output of the same value. */
static oi_status make_output(oi_frame *f, oi_state *s, uint32_t i, onnx_infer_value **out)
{
    const oi_alloc *a = &f->engine->alloc;
    oi_value_id v = s->plan->graph->output[i];
    const oi_slot *slot = &s->plan->slot[v];
    oi_tensor *t = &s->tensor[v], made;
    if (s->value[v])
        return own_items(a, s->value[v], out);
    if (slot->place == OI_AT_OUTPUT && slot->index == i)
        return oi_value_from_tensor(a, &s->out_tensor[i], out);
    if (slot->place == OI_AT_HEAP && t->buf && oi_buffer_is_heap(t->buf) && oi_buffer_is_unique(t->buf))
        oi_tensor_share(&made, t);
    else
        OI_TRY(oi_tensor_clone(a, t, &made));
    oi_status st = oi_value_from_tensor(a, &made, out);
    if (st != ONNX_INFER_OK)
        oi_tensor_clear(&made);
    return st;
}

static oi_status fill_output(oi_frame *f, oi_state *s, uint32_t i, onnx_infer_value *given)
{
    const oi_tensor *t = &s->tensor[s->plan->graph->output[i]];
    if (s->value[s->plan->graph->output[i]]) {
        oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "output %u is no tensor; give NULL to have a value made", i);
        return oi_error_at_tensor(s->plan->graph->value[s->plan->graph->output[i]].name);
    }
    OI_TRY(check_given_output(s->plan->graph, i, t, given));
    return oi_tensor_copy_data(&f->engine->alloc, t, &given->tensor);
}

static oi_status deliver(oi_frame *f, oi_state *s, const oi_sink *sink, size_t nout, onnx_infer_value **out)
{
    /* Copies first: an output made in place may be the source of another one. */
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < nout; i++) {
            oi_value_id v = s->plan->graph->output[i];
            const oi_slot *slot = &s->plan->slot[v];
            bool in_place = slot->place == OI_AT_OUTPUT && slot->index == i;
            if (in_place != (pass == 1))
                continue;
            OI_FAIL_IF(!s->value[v] && s->tensor[v].dtype == ONNX_INFER_UNDEFINED, ONNX_INFER_E_INTERNAL,
                       "output %u was not computed", i);
            if (!out[i] && sink && !s->value[v])
                OI_TRY(ask_sink(s, sink, i, &s->tensor[v], true, out));
            if (out[i]) {
                OI_TRY(fill_output(f, s, i, out[i]));
            } else {
                OI_TRY(make_output(f, s, i, &out[i]));
                s->origin[i] = MADE;
            }
        }
    }
    return ONNX_INFER_OK;
}

static void clean_up(oi_state *s, oi_run_state *run)
{
    const oi_plan *p = s->plan;
    for (uint32_t i = 0; i < s->nheap; i++)
        oi_exec_drop(s, run, s->heap[i]);
    for (uint32_t i = 0; i < p->graph->noutput; i++)
        oi_tensor_clear(&s->out_tensor[i]);
}

/* out[] as it was before the run. */
static void take_back(oi_state *s, size_t nout, onnx_infer_value **out)
{
    for (size_t i = 0; i < nout; i++) {
        if (s->origin[i] == MADE)
            oi_value_release(out[i]);
        if (s->origin[i] != FROM_CALLER)
            out[i] = NULL;
    }
}

static oi_status run_state(oi_frame *f, oi_state *s, oi_run_state *run, size_t nin, const oi_arg *in, const oi_sink *sink,
                           size_t nout, onnx_infer_value **out)
{
    OI_FAIL_IF(nout > s->plan->graph->noutput, ONNX_INFER_E_INVALID_ARGUMENT, "%zu outputs are asked for; the graph has %u", nout,
               s->plan->graph->noutput);
    OI_TRY(take_arena(f, s));
    memset(s->origin, FROM_CALLER, nout);
    oi_status st = bind_outputs(f, s, nin, in, sink, nout, out);
    if (st == ONNX_INFER_OK) {
        bind_values(s, nin, in);
        st = oi_exec_steps(f, s, run);
    }
    if (st == ONNX_INFER_OK)
        st = deliver(f, s, sink, nout, out);
    clean_up(s, run);
    if (st != ONNX_INFER_OK)
        take_back(s, nout, out);
    return st;
}

/* What surrounds the running of a frame's steps. */
typedef struct {
    oi_state *state;
    oi_fpenv env;
} visit;

static oi_status enter(oi_frame *f, oi_run_state *run, size_t nin, const oi_arg *in, visit *v)
{
    const oi_graph *g = oi_program_graph(f->program);
    OI_FAIL_IF(nin > g->ninput, ONNX_INFER_E_INVALID_ARGUMENT, "%zu inputs; the graph has %u", nin, g->ninput);
    OI_FAIL_IF(run->depth >= f->engine->limits.depth, ONNX_INFER_E_LIMIT,
               "graphs are nested deeper than the limit depth, %llu", (unsigned long long)f->engine->limits.depth);
    OI_TRY(choose_state(f, run, nin, in, &v->state));
    run->distrust = false;
    run->depth++;
    oi_pool_begin(f->engine->pool);
    v->env = oi_fpenv_enter();
    return ONNX_INFER_OK;
}

static void leave(oi_frame *f, oi_run_state *run, const visit *v)
{
    oi_fpenv_leave(v->env);
    oi_pool_end(f->engine->pool);
    run->depth--;
}

/* True where a run failed because the model's own annotations are wrong: from now on nothing is taken from them. */
static bool lost_trust(oi_frame *f, oi_run_state *run, oi_status st, bool loose)
{
    if (st == ONNX_INFER_OK || !run->distrust || loose)
        return false;
    oi_frame_trim(f);
    oi_program_distrust(f->program);
    run->distrust = false;
    return true;
}

oi_status oi_frame_run(oi_frame *f, oi_run_state *run, size_t nin, const oi_arg *in, const oi_sink *sink, size_t nout,
                       onnx_infer_value **out)
{
    visit v;
    OI_TRY(enter(f, run, nin, in, &v));
    oi_status st = run_state(f, v.state, run, nin, in, sink, nout, out);
    if (lost_trust(f, run, st, v.state->plan->loose)) {
        st = choose_state(f, run, nin, in, &v.state);
        if (st == ONNX_INFER_OK)
            st = run_state(f, v.state, run, nin, in, sink, nout, out);
    }
    leave(f, run, &v);
    return st;
}

/* --- turns in a row ------------------------------------------------------------------------------------------------- */

/* True where every turn will give results of the types and shapes that there is memory for. */
static bool gives(const oi_plan *p, const oi_turns *t)
{
    for (uint32_t i = 0; i < t->nout; i++) {
        const oi_slot *slot = &p->slot[p->graph->output[i]];
        if (slot->place == OI_AT_HEAP || slot->desc.dtype != t->out[i].dtype || !oi_tensor_same_shape(&slot->desc, &t->out[i]))
            return false;
    }
    return !p->loose;
}

/* bind_values once more where only memory has moved. */
static void rebind_values(oi_state *s, size_t nin, const oi_arg *in)
{
    for (uint32_t i = 0; i < s->npatch; i++) {
        const oi_slot *slot = &s->plan->slot[s->patch[i]];
        if (slot->place == OI_AT_OUTPUT)
            s->tensor[s->patch[i]].data = (char *)s->out_tensor[slot->index].data + slot->offset;
        else if (slot->index < nin && in[slot->index].tensor)
            s->tensor[s->patch[i]].data = (char *)in[slot->index].tensor->data + slot->offset;
    }
}

static oi_status one_turn(oi_frame *f, oi_state *s, oi_run_state *run, size_t nin, const oi_arg *in, const oi_turns *t, bool bound)
{
    const oi_plan *p = s->plan;
    OI_TRY(oi_run_check(run));
    for (uint32_t i = 0; i < t->nout; i++) {
        const oi_slot *slot = &p->slot[p->graph->output[i]];
        if (slot->place == OI_AT_OUTPUT && slot->index == i)
            s->out_tensor[i].data = t->out[i].data;
    }
    if (bound)
        rebind_values(s, nin, in);
    else
        bind_values(s, nin, in);
    OI_TRY(oi_exec_steps(f, s, run));
    for (uint32_t i = 0; i < t->nout; i++) {
        oi_value_id v = p->graph->output[i];
        if (p->slot[v].place != OI_AT_OUTPUT || p->slot[v].index != i)
            memcpy(t->out[i].data, s->tensor[v].data, t->out[i].bytes);
    }
    for (uint32_t i = 0; i < s->nheap; i++)
        oi_exec_drop(s, run, s->heap[i]);
    return ONNX_INFER_OK;
}

oi_status oi_frame_turns(oi_frame *f, oi_run_state *run, size_t nin, const oi_arg *in, const oi_turns *t, bool *ran)
{
    visit v;
    *ran = false;
    OI_TRY(enter(f, run, nin, in, &v));
    const bool able = t->nout == v.state->plan->graph->noutput && gives(v.state->plan, t);
    oi_status st = able ? take_arena(f, v.state) : ONNX_INFER_OK;
    bool bound = false;
    for (bool again = able; again && st == ONNX_INFER_OK; bound = true) {
        st = one_turn(f, v.state, run, nin, in, t, bound);
        if (st == ONNX_INFER_OK)
            st = t->next(t->arg, &again);
    }
    clean_up(v.state, run);
    bool lost = lost_trust(f, run, st, false);
    leave(f, run, &v);
    *ran = able && !lost;
    return lost ? ONNX_INFER_OK : st;
}
