/* Plans and contexts: from options to an engine, from the caller's values to a run. */
#include "runtime/session.h"

#include "optimizer/optimizer.h"
#include "optimizer/pack_cache.h"
#include "runtime/profile.h"

#include <stdio.h>
#include <string.h>

/* --- plans --------------------------------------------------------------------------------------------------------- */

static oi_status start_engine(onnx_infer_plan *p, const onnx_infer_options *o)
{
    static const oi_stage stages[] = {OI_STAGE_TYPED, OI_STAGE_DECLUTTERED, OI_STAGE_LOWERED};
    oi_engine *e = &p->engine;
    e->alloc = o->alloc;
    e->log = o->log;
    e->limits = o->limits;
    e->stage = stages[o->level];
    e->target.isa = oi_cpu_isa_detect();
    if (o->isa < e->target.isa)
        e->target.isa = o->isa;
    e->target.kernels = oi_kernels_for(e->target.isa);
    OI_TRY(oi_pack_cache_create(&e->alloc, &e->target.packs));
    return oi_pool_create(&e->alloc, o->threads ? (size_t)o->threads : oi_cpu_default_threads(), &e->pool);
}

static oi_status bad_shape_option(const char *input, const oi_shape_option *s, const char *why)
{
    char text[200];
    oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "the options give input '%s' the shape %s: %s", input,
            oi_dims_text(s->rank, s->dim, text, sizeof text), why);
    return oi_error_at_tensor(input);
}

/* Symbols and shapes that the options fix, in `bound`. */
static oi_status apply_options(onnx_infer_plan *p, const onnx_infer_options *o, int64_t *bound)
{
    const oi_onnx_model *f = p->model->file;
    const oi_symtab *syms = f->graph->syms;
    for (size_t i = 0; i < o->nsymbol; i++) {
        oi_symbol sym;
        if (oi_dim_find_symbol(syms, o->symbol[i].name, &sym))
            bound[sym] = o->symbol[i].value;
        else
            oi_log_write(&o->log, ONNX_INFER_LOG_INFO, "the model has no symbol '%s'", o->symbol[i].name);
    }
    for (size_t k = 0; k < o->nshape; k++) {
        const oi_shape_option *s = &o->shape[k];
        int64_t i = oi_model_find_port(p->model->input, f->ninput, s->input);
        OI_FAIL_IF(i < 0, ONNX_INFER_E_NOT_FOUND, "the options give a shape for '%s', which is no input of the model", s->input);
        oi_fact *fact = &p->input[i];
        if (fact->kind != ONNX_INFER_TENSOR)
            return bad_shape_option(s->input, s, "the input is no tensor");
        if (fact->shape.rank >= 0 && fact->shape.rank != s->rank)
            return bad_shape_option(s->input, s, "the model declares another rank");
        for (int32_t d = 0; d < s->rank; d++) {
            oi_dim declared = fact->shape.rank < 0 ? OI_DIM_LOWEST_NUMBER : fact->shape.dim[d];
            if (fact->shape.rank >= 0 && oi_dim_is_number(declared) && declared != s->dim[d])
                return bad_shape_option(s->input, s, "the model declares another size of a fixed dimension");
            if (fact->shape.rank >= 0 && !oi_dim_is_number(declared) &&
                oi_dim_solve(syms, declared, s->dim[d], bound) < 0)
                return bad_shape_option(s->input, s, "it contradicts the sizes given for symbols or other inputs");
        }
        fact->shape.rank = s->rank;
        for (int32_t d = 0; d < s->rank; d++)
            fact->shape.dim[d] = s->dim[d];
    }
    for (uint32_t i = 0; i < f->ninput; i++) {
        oi_fact *fact = &p->input[i];
        for (int32_t d = 0; fact->kind == ONNX_INFER_TENSOR && d < fact->shape.rank; d++) {
            int64_t n;
            if (!oi_dim_is_number(fact->shape.dim[d]) && oi_dim_eval(syms, fact->shape.dim[d], bound, &n) && n >= 0)
                fact->shape.dim[d] = n;
        }
    }
    return ONNX_INFER_OK;
}

static bool inputs_are_known(const onnx_infer_plan *p)
{
    const oi_onnx_model *f = p->model->file;
    for (uint32_t i = 0; i < f->ninput; i++) {
        if (!f->input[i].initial && p->input[i].kind == ONNX_INFER_TENSOR &&
            (p->input[i].shape.rank < 0 || !oi_shape_is_concrete(&p->input[i].shape) || !oi_dtype_valid(p->input[i].dtype)))
            return false;
    }
    return true;
}

/* Makes the plan for the only shapes that there can be. */
static oi_status plan_ahead(onnx_infer_plan *p)
{
    const oi_onnx_model *f = p->model->file;
    const oi_alloc *a = &p->engine.alloc;
    oi_tensor *tensor = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *tensor);
    oi_arg *arg = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *arg);
    onnx_infer_value *value = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *value);
    int64_t *key = oi_alloc_array(a, oi_program_key_cap(p->program) + 1, sizeof *key);
    oi_status st = tensor && arg && value && key ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; st == ONNX_INFER_OK && i < f->ninput; i++) {
        const oi_fact *fact = &p->input[i];
        if (f->input[i].initial)
            continue;
        if (fact->kind != ONNX_INFER_TENSOR) {
            value[i].kind = fact->kind;
            arg[i].value = &value[i];
            continue;
        }
        st = oi_tensor_describe(&tensor[i], fact->dtype, fact->shape.rank, fact->shape.dim);
        if (st != ONNX_INFER_OK)
            oi_error_at_tensor(f->input[i].name);
        arg[i].tensor = &tensor[i];
    }
    oi_plan *plan = NULL;
    if (st == ONNX_INFER_OK)
        st = oi_program_plan(p->program, key, oi_program_key(p->program, f->ninput, arg, key), &plan);
    oi_plan_release(plan);
    oi_free_mem(a, tensor);
    oi_free_mem(a, arg);
    oi_free_mem(a, value);
    oi_free_mem(a, key);
    return st;
}

static oi_status build_plan(onnx_infer_plan *p, const onnx_infer_options *o)
{
    const oi_onnx_model *f = p->model->file;
    const oi_alloc *a = &p->engine.alloc;
    size_t nsym = oi_symtab_count(f->graph->syms);
    bool defaults = false;
    OI_TRY(start_engine(p, o));
    int64_t *bound = oi_alloc_array(a, nsym + 1, sizeof *bound);
    p->input = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *p->input);
    p->fixed = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *p->fixed);
    if (!bound || !p->input || !p->fixed) {
        oi_free_mem(a, bound);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < nsym; i++)
        bound[i] = -1;
    for (uint32_t i = 0; i < f->ninput; i++) {
        p->input[i] = *p->model->input[i].fact;
        p->fixed[i] = f->input[i].initial;
        defaults = defaults || p->fixed[i];
    }
    oi_status st = apply_options(p, o, bound);
    /* Inputs with a default may be constants in a run or not, so what they allow is found out for each plan. */
    bool known = inputs_are_known(p);
    if (st == ONNX_INFER_OK && !known && !defaults && p->engine.stage != OI_STAGE_TYPED)
        st = oi_optimize_for(a, f->graph, bound, NULL, OI_STAGE_DECLUTTERED, &p->engine.target, &p->base);
    if (st == ONNX_INFER_OK)
        st = oi_program_create(&p->engine, p->base ? p->base : f->graph, f->graph, p->fixed, &p->program);
    if (st == ONNX_INFER_OK && known)
        st = plan_ahead(p);
    oi_free_mem(a, bound);
    return st;
}

oi_status oi_session_plan(onnx_infer_model *m, const onnx_infer_options *o, onnx_infer_plan **out)
{
    onnx_infer_options defaults;
    *out = NULL;
    oi_options_init(&defaults);
    if (!o)
        o = &defaults;
    if (m->nissue) {
        *oi_error_current() = m->issue[0];
        if (m->nissue > 1)
            oi_error_prefix("the model has %zu issues, the first: ", m->nissue);
        return m->issue[0].status;
    }
    onnx_infer_plan *p = oi_alloc_mem(&o->alloc, sizeof *p);
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    atomic_init(&p->refs, 1);
    p->engine.alloc = o->alloc;
    p->model = oi_model_retain(m);
    oi_status st = build_plan(p, o);
    if (st != ONNX_INFER_OK) {
        oi_session_release(p);
        return st;
    }
    *out = p;
    return ONNX_INFER_OK;
}

onnx_infer_plan *oi_session_retain(onnx_infer_plan *p)
{
    if (p)
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void oi_session_release(onnx_infer_plan *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    oi_alloc alloc = p->engine.alloc;
    oi_program_destroy(p->program);
    oi_graph_destroy(p->base);
    oi_pack_cache_destroy(p->engine.target.packs);
    oi_pool_release(p->engine.pool);
    oi_model_release(p->model);
    oi_free_mem(&alloc, p->input);
    oi_free_mem(&alloc, p->fixed);
    oi_free_mem(&alloc, p);
}

oi_status oi_session_memory(const onnx_infer_plan *p, onnx_infer_memory *out)
{
    oi_plan *last = oi_program_last_plan(p->program);
    OI_FAIL_IF(!last, ONNX_INFER_E_DATA_DEPENDENT, "the memory depends on the inputs' shapes and no run took place yet; fix them "
               "in the options or run first");
    *out = (onnx_infer_memory){.struct_size = sizeof *out, .weights = p->model->weights, .mapped = p->model->mapped,
                               .packed = last->const_bytes, .arena_peak = last->arena_bytes};
    oi_plan_release(last);
    return ONNX_INFER_OK;
}

size_t oi_session_step_count(const onnx_infer_plan *p)
{
    oi_plan *last = oi_program_last_plan(p->program);
    size_t n = last ? last->nstep : 0;
    oi_plan_release(last);
    return n;
}

oi_status oi_session_step(const onnx_infer_plan *p, size_t i, onnx_infer_event *out)
{
    oi_plan *last = oi_program_last_plan(p->program);
    size_t n = last ? last->nstep : 0;
    if (i < n)
        oi_profile_describe(&last->step[i], out);
    oi_plan_release(last);
    OI_FAIL_IF(i >= n, ONNX_INFER_E_NOT_FOUND, "step %zu is asked for; the plan has %zu", i, n);
    return ONNX_INFER_OK;
}

/* --- contexts -------------------------------------------------------------------------------------------------------- */

oi_status oi_session_context(onnx_infer_plan *p, onnx_infer_context **out)
{
    const oi_alloc *a = &p->engine.alloc;
    const oi_onnx_model *f = p->model->file;
    size_t nsym = oi_symtab_count(f->graph->syms);
    onnx_infer_context *c = oi_alloc_mem(a, sizeof *c);
    *out = NULL;
    if (!c)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    atomic_flag_clear(&c->busy);
    c->plan = oi_session_retain(p);
    c->arg = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *c->arg);
    c->bound = oi_alloc_array(a, nsym + 1, sizeof *c->bound);
    c->binder = oi_alloc_array(a, nsym + 1, sizeof *c->binder);
    oi_status st = c->arg && c->bound && c->binder ? oi_frame_create(p->program, &p->engine, &c->frame)
                                                    : ONNX_INFER_E_OUT_OF_MEMORY;
    if (st != ONNX_INFER_OK) {
        oi_session_context_free(c);
        return st;
    }
    *out = c;
    return ONNX_INFER_OK;
}

void oi_session_context_free(onnx_infer_context *c)
{
    if (!c)
        return;
    onnx_infer_plan *p = c->plan;
    const oi_alloc *a = &p->engine.alloc;
    oi_frame_destroy(c->frame);
    oi_free_mem(a, c->arg);
    oi_free_mem(a, c->bound);
    oi_free_mem(a, c->binder);
    oi_free_mem(a, c);
    oi_session_release(p);
}

static const char *kind_name(onnx_infer_kind kind)
{
    static const char *const names[] = {"a tensor", "a sequence", "an optional", "a map"};
    return kind >= 0 && (size_t)kind < sizeof names / sizeof *names ? names[kind] : "something unknown";
}

/* "1x3x10x10" with the dims that are open taken from what was passed. */
static const char *shape_to_pass(const oi_fact *fact, const oi_tensor *t, const int64_t *bound, const oi_symtab *syms,
                                 char *buf, size_t cap)
{
    int64_t dims[OI_MAX_RANK];
    for (int32_t d = 0; d < fact->shape.rank; d++) {
        int64_t n;
        if (oi_dim_is_number(fact->shape.dim[d]))
            dims[d] = fact->shape.dim[d];
        else if (oi_dim_eval(syms, fact->shape.dim[d], bound, &n))
            dims[d] = n;
        else
            dims[d] = d < t->rank ? t->dim[d] : 1;
    }
    return oi_dims_text(fact->shape.rank, dims, buf, cap);
}

static oi_status wrong_dim(const onnx_infer_context *c, uint32_t i, int32_t axis, int64_t expected, const char *because)
{
    const oi_onnx_model *f = c->plan->model->file;
    const oi_fact *fact = &c->plan->input[i];
    const oi_tensor *t = c->arg[i].tensor;
    char got[200], pass[200];
    oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input '%s' is %s: axis %d is %lld, expected %lld%s; pass %s, or export the model with "
            "a dynamic axis %d", f->input[i].name, oi_dims_text(t->rank, t->dim, got, sizeof got), (int)axis,
            (long long)t->dim[axis], (long long)expected, because,
            shape_to_pass(fact, t, c->bound, f->graph->syms, pass, sizeof pass), (int)axis);
    oi_error_at_tensor(f->input[i].name);
    return oi_error_at_axis(axis, t->dim[axis], expected);
}

static oi_status check_dim(onnx_infer_context *c, uint32_t i, int32_t axis)
{
    const oi_onnx_model *f = c->plan->model->file;
    const oi_symtab *syms = f->graph->syms;
    oi_dim declared = c->plan->input[i].shape.dim[axis];
    int64_t got = c->arg[i].tensor->dim[axis], expected = -1;
    char text[128], because[400];
    oi_symbol sym;
    if (oi_dim_is_number(declared)) {
        if (got == declared)
            return ONNX_INFER_OK;
        oi_dim original = c->plan->model->input[i].fact->shape.rank == c->plan->input[i].shape.rank
                              ? c->plan->model->input[i].fact->shape.dim[axis] : declared;
        snprintf(because, sizeof because, oi_dim_is_number(original) ? "" : " as the options fix it");
        return wrong_dim(c, i, axis, declared, because);
    }
    bool known = oi_dim_eval(syms, declared, c->bound, &expected);
    if ((known && expected == got) || (!known && oi_dim_solve(syms, declared, got, c->bound) >= 0)) {
        if (oi_dim_find_symbol(syms, oi_dim_text(syms, declared, text, sizeof text), &sym) && !known)
            c->binder[sym] = i;
        return ONNX_INFER_OK;
    }
    oi_dim_text(syms, declared, text, sizeof text);
    if (known && oi_dim_find_symbol(syms, text, &sym))
        snprintf(because, sizeof because, " since '%s' is %lld in input '%s'", text, (long long)expected,
                 f->input[c->binder[sym]].name);
    else
        snprintf(because, sizeof because, " for '%s'", text);
    oi_status st = wrong_dim(c, i, axis, expected, because);
    oi_error_at_symbol(text);
    return st;
}

static oi_status check_input(onnx_infer_context *c, uint32_t i, const onnx_infer_value *v)
{
    const oi_onnx_model *f = c->plan->model->file;
    const oi_fact *fact = &c->plan->input[i];
    const char *name = f->input[i].name;
    c->arg[i] = (oi_arg){NULL, NULL};
    if (!v) {
        if (f->input[i].initial)
            return ONNX_INFER_OK;
        oi_fail(ONNX_INFER_E_INVALID_ARGUMENT, "input '%s' is missing; it has no default", name);
        return oi_error_at_tensor(name);
    }
    if (v->kind != fact->kind) {
        oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "input '%s' is given %s; the model declares %s", name, kind_name(v->kind),
                kind_name(fact->kind));
        return oi_error_at_tensor(name);
    }
    if (v->kind != ONNX_INFER_TENSOR) {
        c->arg[i].value = v;
        return ONNX_INFER_OK;
    }
    const oi_tensor *t = &v->tensor;
    c->arg[i].tensor = t;
    if (fact->dtype != ONNX_INFER_UNDEFINED && fact->dtype != t->dtype) {
        oi_fail(ONNX_INFER_E_TYPE_MISMATCH, "input '%s' is given element type %s; the model declares %s: convert the data", name,
                oi_dtype_name(t->dtype), oi_dtype_name(fact->dtype));
        return oi_error_at_tensor(name);
    }
    if (fact->shape.rank < 0)
        return ONNX_INFER_OK;
    if (fact->shape.rank != t->rank) {
        char got[200], declared[400];
        oi_fail(ONNX_INFER_E_SHAPE_MISMATCH, "input '%s' is given rank %d (%s), expected rank %d: the model declares %s", name,
                (int)t->rank, oi_dims_text(t->rank, t->dim, got, sizeof got), (int)fact->shape.rank,
                oi_fact_text(f->graph->syms, fact, declared, sizeof declared));
        oi_error_at_tensor(name);
        return oi_error_at_axis(-1, t->rank, fact->shape.rank);
    }
    for (int32_t d = 0; d < t->rank; d++)
        OI_TRY(check_dim(c, i, d));
    return ONNX_INFER_OK;
}

static oi_status run(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni, const onnx_infer_value *const *in,
                     size_t no, onnx_infer_value **out)
{
    const onnx_infer_plan *p = c->plan;
    const oi_onnx_model *f = p->model->file;
    size_t nsym = oi_symtab_count(f->graph->syms);
    oi_run_state state = {.engine = &p->engine, .start_ns = oi_clock_ns()};
    OI_FAIL_IF(ni > f->ninput, ONNX_INFER_E_INVALID_ARGUMENT, "%zu inputs are given; the model has %u", ni, f->ninput);
    OI_FAIL_IF(no > f->noutput, ONNX_INFER_E_INVALID_ARGUMENT, "%zu outputs are asked for; the model has %u", no, f->noutput);
    for (size_t i = 0; i < nsym; i++)
        c->bound[i] = -1;
    for (uint32_t i = 0; i < f->ninput; i++)
        OI_TRY(check_input(c, i, i < ni ? in[i] : NULL));
    if (ro) {
        state.cancel = ro->cancel;
        state.deadline_ns = ro->deadline_ns && ro->deadline_ns < UINT64_MAX - state.start_ns
                                ? state.start_ns + ro->deadline_ns : 0;
        state.profile = ro->profile;
        state.seed = ro->seed;
        if (ro->profile)
            OI_TRY(oi_profile_reset(ro->profile));
    }
    return oi_frame_run(c->frame, &state, f->ninput, c->arg, no, out);
}

oi_status oi_session_run(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni, const onnx_infer_value *const *in,
                         size_t no, onnx_infer_value **out)
{
    OI_FAIL_IF(atomic_flag_test_and_set_explicit(&c->busy, memory_order_acquire), ONNX_INFER_E_BUSY,
               "the context is in use by another run; give each thread its own");
    oi_status st = run(c, ro, ni, in, no, out);
    atomic_flag_clear_explicit(&c->busy, memory_order_release);
    return st;
}

/* Values in the model's order from values by name. */
static oi_status order_by_name(const onnx_infer_port *port, size_t nport, const char *what, size_t n, const char *const *name,
                               const onnx_infer_value *const *value, const onnx_infer_value **ordered, size_t *index,
                               bool *taken)
{
    for (size_t i = 0; i < n; i++) {
        OI_FAIL_IF(!name[i], ONNX_INFER_E_INVALID_ARGUMENT, "the name of %s %zu is NULL", what, i);
        int64_t at = oi_model_find_port(port, nport, name[i]);
        OI_FAIL_IF(at < 0, ONNX_INFER_E_NOT_FOUND, "the model has no %s called '%s'", what, name[i]);
        OI_FAIL_IF(taken[at], ONNX_INFER_E_INVALID_ARGUMENT, "%s '%s' is named twice", what, name[i]);
        taken[at] = true;
        ordered[at] = value[i];
        index[i] = (size_t)at;
    }
    return ONNX_INFER_OK;
}

oi_status oi_session_run_named(onnx_infer_context *c, const onnx_infer_run_options *ro, size_t ni, const char *const *in_names,
                               const onnx_infer_value *const *in, size_t no, const char *const *out_names,
                               onnx_infer_value **out)
{
    const onnx_infer_model *m = c->plan->model;
    const oi_alloc *a = &c->plan->engine.alloc;
    size_t nin = m->file->ninput, nout = m->file->noutput, most = nin + nout;
    const onnx_infer_value **ordered = oi_alloc_array(a, most + 1, sizeof *ordered);
    size_t *index = oi_alloc_array(a, ni + no + 1, sizeof *index);
    bool *taken = oi_alloc_array(a, most + 1, sizeof *taken);
    oi_status st = ordered && index && taken ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    if (st == ONNX_INFER_OK)
        st = order_by_name(m->input, nin, "input", ni, in_names, in, ordered, index, taken);
    if (st == ONNX_INFER_OK)
        st = order_by_name(m->output, nout, "output", no, out_names, (const onnx_infer_value *const *)out, ordered + nin,
                           index + ni, taken + nin);
    if (st == ONNX_INFER_OK) {
        onnx_infer_value **made = (onnx_infer_value **)(ordered + nin);
        st = oi_session_run(c, ro, nin, ordered, nout, made);
        for (size_t i = 0; st == ONNX_INFER_OK && i < no; i++)
            out[i] = made[index[ni + i]];
        for (size_t i = 0; st == ONNX_INFER_OK && i < nout; i++) {
            if (!taken[nin + i])
                oi_value_release(made[i]);
        }
    }
    oi_free_mem(a, ordered);
    oi_free_mem(a, index);
    oi_free_mem(a, taken);
    return st;
}
