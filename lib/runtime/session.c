/* onnx_infer_plan: from options to an engine and its programs, and the contexts that a plan keeps. */
#include "runtime/inputs.h"

#include "optimizer/optimizer.h"
#include "optimizer/pack_cache.h"
#include "runtime/plan_file.h"
#include "runtime/profile.h"

#include <string.h>

oi_cpu_isa oi_session_isa(const onnx_infer_options *o)
{
    oi_cpu_isa best = oi_cpu_isa_detect();
    return o->isa < best ? o->isa : best;
}

/* The one that loading has left, where it is of the right size. */
static oi_pool *take_pool(onnx_infer_model *m, size_t threads)
{
    oi_pool *pool = NULL;
    pthread_mutex_lock(&m->lock);
    if (m->pool && oi_pool_threads(m->pool) == threads) {
        pool = m->pool;
        m->pool = NULL;
    }
    pthread_mutex_unlock(&m->lock);
    return pool;
}

static oi_status start_engine(onnx_infer_plan *p, const onnx_infer_options *o)
{
    static const oi_stage stages[] = {OI_STAGE_TYPED, OI_STAGE_DECLUTTERED, OI_STAGE_LOWERED};
    oi_engine *e = &p->engine;
    e->alloc = o->alloc;
    e->log = o->log;
    e->limits = o->limits;
    e->stage = stages[o->level];
    e->target.isa = oi_session_isa(o);
    e->target.kernels = oi_kernels_for(e->target.isa);
    OI_TRY(oi_pack_cache_create(&e->alloc, &e->target.packs));
    OI_TRY(oi_slab_create(&e->alloc, &e->target.slab));
    if (o->pool)
        e->pool = oi_pool_retain(o->pool);
    size_t threads = o->threads ? (size_t)o->threads : oi_cpu_default_threads();
    if (!e->pool)
        e->pool = take_pool(p->model, threads);
    if (!e->pool)
        OI_TRY(oi_pool_create(&e->alloc, threads, OI_POOL_SPIN_NS, &e->pool));
    e->target.pool = e->pool;
    return ONNX_INFER_OK;
}

/* Ranges of symbols that the model has and the options do not fix. */
static oi_status take_ranges(onnx_infer_plan *p, const onnx_infer_options *o, const int64_t *bound)
{
    const oi_symtab *syms = p->model->file->graph->syms;
    p->range = oi_alloc_array(&p->engine.alloc, o->nrange + 1, sizeof *p->range);
    if (!p->range)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < o->nrange; i++) {
        const oi_range_option *r = &o->range[i];
        oi_symbol sym;
        if (!oi_dim_find_symbol(syms, r->symbol, &sym))
            oi_log_write(&o->log, ONNX_INFER_LOG_INFO, "the model has no symbol '%s'", r->symbol);
        else if (bound[sym] < 0)
            p->range[p->nrange++] = (oi_symbol_range){sym, r->min, r->opt, r->max};
    }
    return ONNX_INFER_OK;
}

/* What ends planning, and who hears of it. The number of checks is not known before: `total` is a guess. */
typedef struct {
    const onnx_infer_options *options;
    size_t done, total, told;
} planning;

enum { CHECKS_PER_NODE = 16, PROGRESS_STEPS = 64 };

static oi_status check_planning(void *user)
{
    planning *x = user;
    const onnx_infer_options *o = x->options;
    OI_FAIL_IF(o->cancel && atomic_load_explicit(&o->cancel->fired, memory_order_relaxed), ONNX_INFER_E_CANCELLED,
               "planning was cancelled");
    if (x->done + 1 < x->total)
        x->done++;
    if (!o->progress || x->done < x->told)
        return ONNX_INFER_OK;
    x->told = x->done + x->total / PROGRESS_STEPS + 1;
    OI_FAIL_IF(o->progress(o->progress_user, x->done, x->total), ONNX_INFER_E_CANCELLED,
               "planning was stopped by its progress callback");
    return ONNX_INFER_OK;
}

static bool shapes_are_known(const onnx_infer_plan *p, const oi_fact *input)
{
    const oi_onnx_model *f = p->model->file;
    for (uint32_t i = 0; i < f->ninput; i++) {
        if (!f->input[i].initial && input[i].kind == ONNX_INFER_TENSOR &&
            (input[i].shape.rank < 0 || !oi_shape_is_concrete(&input[i].shape) || !oi_dtype_valid(input[i].dtype)))
            return false;
    }
    return true;
}

/* Makes the plan for inputs of these shapes; *bytes: the arena that it needs. */
static oi_status plan_ahead(onnx_infer_plan *p, const oi_fact *input, planning *x, size_t *bytes)
{
    const oi_onnx_model *f = p->model->file;
    const oi_alloc *a = &p->engine.alloc;
    oi_tensor *tensor = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *tensor);
    oi_arg *arg = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *arg);
    onnx_infer_value *value = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *value);
    int64_t *key = oi_alloc_array(a, oi_program_key_cap(p->program) + 1, sizeof *key);
    oi_status st = tensor && arg && value && key ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; st == ONNX_INFER_OK && i < f->ninput; i++) {
        if (f->input[i].initial)
            continue;
        if (input[i].kind != ONNX_INFER_TENSOR) {
            value[i].kind = input[i].kind;
            arg[i].value = &value[i];
            continue;
        }
        st = oi_tensor_describe(&tensor[i], input[i].dtype, input[i].shape.rank, input[i].shape.dim);
        if (st != ONNX_INFER_OK)
            oi_error_at_tensor(f->input[i].name);
        arg[i].tensor = &tensor[i];
    }
    oi_plan *plan = NULL;
    if (st == ONNX_INFER_OK)
        st = oi_program_plan(p->program, key, oi_program_key(p->program, f->ninput, arg, key), check_planning, x, &plan);
    *bytes = plan ? plan->arena_bytes : 0;
    oi_plan_release(plan);
    oi_free_mem(a, tensor);
    oi_free_mem(a, arg);
    oi_free_mem(a, value);
    oi_free_mem(a, key);
    return st;
}

/* Plans for the largest and the usual sizes of symbols, where the ranges leave nothing open. */
static oi_status plan_ranges(onnx_infer_plan *p, int64_t *bound, planning *x)
{
    const oi_onnx_model *f = p->model->file;
    const oi_alloc *a = &p->engine.alloc;
    oi_fact *input = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *input);
    oi_status st = input ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (int usual = 0; st == ONNX_INFER_OK && usual < 2; usual++) {
        size_t bytes;
        for (size_t i = 0; i < p->nrange; i++)
            bound[p->range[i].symbol] = usual ? p->range[i].opt : p->range[i].max;
        for (uint32_t i = 0; i < f->ninput; i++) {
            input[i] = p->input[i];
            for (int32_t d = 0; input[i].kind == ONNX_INFER_TENSOR && d < input[i].shape.rank; d++) {
                int64_t n;
                if (!oi_dim_is_number(input[i].shape.dim[d]) &&
                    oi_dim_eval(f->graph->syms, input[i].shape.dim[d], bound, &n) && n >= 0)
                    input[i].shape.dim[d] = n;
            }
        }
        if (!shapes_are_known(p, input))
            break;
        st = plan_ahead(p, input, x, &bytes);
        if (bytes > p->ahead_bytes)
            p->ahead_bytes = bytes;
    }
    oi_free_mem(a, input);
    return st;
}

/* The model's graph decluttered for what is bound, which stands for it from then on. */
static oi_status make_base(onnx_infer_plan *p, const int64_t *bound, oi_optimize_options *oo)
{
    const oi_graph *g = p->model->file->graph;
    p->base_id = oi_hash_mix(oi_hash_bytes("base", 4), bound, oi_symtab_count(g->syms) * sizeof *bound);
    if (p->engine.graphs)
        p->base = oi_graph_cache_find(p->engine.graphs, p->base_id, p->engine.pool);
    if (p->base)
        return ONNX_INFER_OK;
    p->base_made = true;
    return oi_optimize_for(&p->engine.alloc, g, bound, NULL, OI_STAGE_DECLUTTERED, &p->engine.target, NULL, oo, &p->base);
}

static oi_status build_programs(onnx_infer_plan *p, const onnx_infer_options *o, int64_t *bound)
{
    const oi_onnx_model *f = p->model->file;
    planning x = {.options = o, .total = ((size_t)f->graph->nnode + 1) * CHECKS_PER_NODE};
    oi_optimize_options oo = {.check = check_planning, .user = &x, .stop_after = o->stop_after, .watch = {.exact = o->exact}};
    bool defaults = false;
    size_t bytes;
    for (uint32_t i = 0; i < f->ninput; i++) {
        p->input[i] = *p->model->input[i].fact;
        p->fixed[i] = f->input[i].initial;
        defaults = defaults || p->fixed[i];
    }
    OI_TRY(oi_model_apply_options(p->model, o, p->input, bound));
    OI_TRY(take_ranges(p, o, bound));
    OI_TRY(check_planning(&x));
    /* Inputs with a default may be constants in a run or not, so what they allow is found out for each plan. */
    bool known = shapes_are_known(p, p->input);
    if (!known && !defaults && p->engine.stage != OI_STAGE_TYPED)
        OI_TRY(make_base(p, bound, &oo));
    p->engine.stop_after = o->stop_after;
    p->engine.exact = o->exact;
    p->engine.changes = &p->changes;
    atomic_store(&p->changes, oo.commits);
    OI_TRY(oi_program_create(&p->engine, p->base ? p->base : f->graph, f->graph, p->fixed, NULL, &p->program));
    oi_program_identify(p->program, p->base_id);
    if (known)
        OI_TRY(plan_ahead(p, p->input, &x, &bytes));
    else if (p->nrange)
        OI_TRY(plan_ranges(p, bound, &x));
    OI_FAIL_IF(o->progress && o->progress(o->progress_user, x.total, x.total), ONNX_INFER_E_CANCELLED,
               "planning was stopped by its progress callback");
    return ONNX_INFER_OK;
}

/* Takes the store (may be NULL) over. */
static oi_status build_plan(onnx_infer_plan *p, const onnx_infer_options *o, oi_pack_store *store)
{
    const oi_onnx_model *f = p->model->file;
    const oi_alloc *a = &p->engine.alloc;
    size_t nsym = oi_symtab_count(f->graph->syms);
    oi_status started = start_engine(p, o);
    if (started != ONNX_INFER_OK) {
        oi_pack_store_close(store);
        return started;
    }
    OI_TRY(oi_plan_file_attach(p, o, store));
    OI_FAIL_IF(pthread_mutex_init(&p->lock, NULL), ONNX_INFER_E_OUT_OF_MEMORY, "no memory for a lock");
    p->has_lock = true;
    int64_t *bound = oi_alloc_array(a, nsym + 1, sizeof *bound);
    p->input = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *p->input);
    p->fixed = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *p->fixed);
    oi_status st = bound && p->input && p->fixed ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; st == ONNX_INFER_OK && i < nsym; i++)
        bound[i] = -1;
    if (st == ONNX_INFER_OK)
        st = build_programs(p, o, bound);
    oi_free_mem(a, bound);
    return st;
}

oi_status oi_session_plan(onnx_infer_model *m, const onnx_infer_options *o, onnx_infer_plan **out)
{
    return oi_session_plan_with(m, o, NULL, out);
}

oi_status oi_session_plan_with(onnx_infer_model *m, const onnx_infer_options *o, oi_pack_store *store, onnx_infer_plan **out)
{
    onnx_infer_options defaults;
    *out = NULL;
    o = oi_options_or(o, &defaults);
    if (m->nissue) {
        oi_pack_store_close(store);
        *oi_error_current() = m->issue[0];
        if (m->nissue > 1)
            oi_error_prefix("the model has %zu issues, the first: ", m->nissue);
        return m->issue[0].status;
    }
    onnx_infer_plan *p = oi_alloc_mem(&o->alloc, sizeof *p);
    if (!p) {
        oi_pack_store_close(store);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    atomic_init(&p->refs, 1);
    p->engine.alloc = o->alloc;
    p->model = oi_model_retain(m);
    oi_status st = build_plan(p, o, store);
    if (st != ONNX_INFER_OK) {
        oi_session_release(p);
        return st;
    }
    oi_plan_file_update(p, false);
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
    for (size_t i = 0; i < p->nidle; i++)
        oi_context_free(p->idle[i]);
    oi_plan_file_update(p, true); /* with what runs have packed */
    oi_plan_file_detach(p);
    for (size_t i = 0; i < p->ncut; i++) {
        oi_program_destroy(p->cut[i].program);
        oi_free_mem(&alloc, p->cut[i].want);
    }
    if (p->has_lock)
        pthread_mutex_destroy(&p->lock);
    oi_program_destroy(p->program);
    oi_graph_destroy(p->base);
    oi_pack_cache_destroy(p->engine.target.packs);
    oi_slab_destroy(p->engine.target.slab);
    oi_pool_release(p->engine.pool);
    oi_model_release(p->model);
    oi_free_mem(&alloc, p->input);
    oi_free_mem(&alloc, p->fixed);
    oi_free_mem(&alloc, p->range);
    oi_free_mem(&alloc, p->idle);
    oi_free_mem(&alloc, p);
}

oi_status oi_session_memory(const onnx_infer_plan *p, onnx_infer_memory *out)
{
    oi_plan *last = oi_program_last_plan(p->program);
    OI_FAIL_IF(!last, ONNX_INFER_E_DATA_DEPENDENT, "the memory depends on the inputs' shapes and no run took place yet; fix them "
               "in the options or run first");
    *out = (onnx_infer_memory){.struct_size = sizeof *out, .weights = p->model->weights, .mapped = p->model->mapped,
                               .packed = last->const_bytes, .arena_peak = last->arena_bytes};
    if (out->arena_peak < p->ahead_bytes)
        out->arena_peak = p->ahead_bytes;
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

/* --- programs for some of the outputs ---------------------------------------------------------------------------------- */

static oi_status add_cut(onnx_infer_plan *p, const bool *want)
{
    const oi_onnx_model *f = p->model->file;
    const oi_alloc *a = &p->engine.alloc;
    oi_cut made = {.want = oi_alloc_array(a, (size_t)f->noutput + 1, sizeof *made.want)};
    if (!made.want)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    memcpy(made.want, want, f->noutput * sizeof *want);
    oi_status st = oi_program_create(&p->engine, p->base ? p->base : f->graph, f->graph, p->fixed, want, &made.program);
    if (st != ONNX_INFER_OK) {
        oi_free_mem(a, made.want);
        return st;
    }
    oi_program_identify(made.program, oi_hash_mix(p->base_id, want, f->noutput * sizeof *want));
    p->cut[p->ncut++] = made;
    return ONNX_INFER_OK;
}

oi_status oi_session_cut(onnx_infer_plan *p, const bool *want, size_t *index)
{
    oi_status st = ONNX_INFER_OK;
    *index = OI_CUTS;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->ncut; i++) {
        if (!memcmp(p->cut[i].want, want, p->model->file->noutput * sizeof *want))
            *index = i;
    }
    if (*index == OI_CUTS && p->ncut < OI_CUTS) {
        *index = p->ncut;
        st = add_cut(p, want);
    }
    pthread_mutex_unlock(&p->lock);
    return st;
}

/* --- runs in contexts that the plan keeps -------------------------------------------------------------------------------- */

/* Room for contexts that are kept. How many threads there are is asked for here only, since that takes longer than small plans. */
static oi_status make_idle(onnx_infer_plan *p)
{
    size_t cap = oi_cpu_default_threads();
    onnx_infer_context **idle = oi_alloc_array(&p->engine.alloc, cap + 1, sizeof(onnx_infer_context *));
    if (!idle)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    pthread_mutex_lock(&p->lock);
    if (!p->idle) {
        p->idle = idle;
        p->idle_cap = cap;
        idle = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    oi_free_mem(&p->engine.alloc, idle);
    return ONNX_INFER_OK;
}

oi_status oi_session_run(onnx_infer_plan *p, const onnx_infer_run_options *ro, size_t ni, const onnx_infer_value *const *in,
                         size_t no, onnx_infer_value **out)
{
    onnx_infer_context *c = NULL;
    pthread_mutex_lock(&p->lock);
    const bool first = !p->idle;
    if (p->nidle)
        c = p->idle[--p->nidle];
    pthread_mutex_unlock(&p->lock);
    if (first)
        OI_TRY(make_idle(p));
    if (!c)
        OI_TRY(oi_context_create(p, true, &c));
    oi_status st = oi_context_run(c, ro, ni, in, NULL, no, out);
    pthread_mutex_lock(&p->lock);
    bool kept = p->nidle < p->idle_cap;
    if (kept)
        p->idle[p->nidle++] = c;
    pthread_mutex_unlock(&p->lock);
    if (!kept)
        oi_context_free(c);
    return st;
}

/* --- shapes before a run ---------------------------------------------------------------------------------------------------- */

/* Facts of the inputs of the typed graph, from x->arg. */
static void give_facts(const oi_inputs *x, oi_fact *fact, const oi_fact **given)
{
    const onnx_infer_plan *p = x->plan;
    for (uint32_t i = 0; i < p->model->file->ninput; i++) {
        const oi_tensor *t = x->arg[i].tensor ? x->arg[i].tensor : x->arg[i].value ? NULL : p->fixed[i];
        given[i] = NULL;
        if (!t)
            continue;
        fact[i] = oi_fact_tensor(t->dtype, t->rank, t->dim);
        fact[i].konst = x->arg[i].tensor ? NULL : t;
        given[i] = &fact[i];
    }
}

static oi_status tell_shape(const oi_fact *fact, const char *name, int32_t *rank, int64_t *dims, int32_t cap)
{
    bool open = fact->kind != ONNX_INFER_TENSOR || fact->shape.rank < 0;
    *rank = open ? -1 : fact->shape.rank;
    OI_FAIL_IF(*rank > cap, ONNX_INFER_E_BUFFER_TOO_SMALL, "output '%s' has rank %d; there is room for %d dims", name, (int)*rank,
               (int)cap);
    for (int32_t d = 0; d < *rank; d++) {
        bool known = oi_dim_is_number(fact->shape.dim[d]);
        dims[d] = known ? fact->shape.dim[d] : -1;
        open = open || !known;
    }
    if (!open)
        return ONNX_INFER_OK;
    oi_fail(ONNX_INFER_E_DATA_DEPENDENT, "the shape of output '%s' depends on what the inputs hold", name);
    return oi_error_at_tensor(name);
}

/* The graph's facts with inputs of the shapes in x. */
static oi_status infer_output(oi_inputs *x, size_t output, int32_t *rank, int64_t *dims, int32_t cap)
{
    const onnx_infer_plan *p = x->plan;
    const oi_alloc *a = &p->engine.alloc;
    const oi_onnx_model *f = p->model->file;
    oi_fact *fact = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *fact);
    const oi_fact **given = oi_alloc_array(a, (size_t)f->ninput + 1, sizeof *given);
    bool *want = oi_alloc_array(a, (size_t)f->noutput + 1, sizeof *want);
    oi_graph *g = NULL;
    oi_status st = fact && given && want ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    if (st == ONNX_INFER_OK) {
        give_facts(x, fact, given);
        want[output] = true;
        st = oi_optimize_for(a, f->graph, x->bound, given, OI_STAGE_TYPED, NULL, want, NULL, &g);
    }
    if (st == ONNX_INFER_OK)
        st = tell_shape(&g->value[g->output[0]].fact, f->output[output].name, rank, dims, cap);
    oi_graph_destroy(g);
    oi_free_mem(a, fact);
    oi_free_mem(a, given);
    oi_free_mem(a, want);
    return st;
}

oi_status oi_session_output_shape(const onnx_infer_plan *p, size_t n, const int32_t *ranks, const int64_t *const *dims,
                                  size_t output, int32_t *rank, int64_t *out_dims, int32_t cap)
{
    const oi_onnx_model *f = p->model->file;
    const oi_alloc *a = &p->engine.alloc;
    OI_FAIL_IF(n > f->ninput, ONNX_INFER_E_INVALID_ARGUMENT, "%zu inputs are given; the model has %u", n, f->ninput);
    OI_FAIL_IF(output >= f->noutput, ONNX_INFER_E_NOT_FOUND, "output %zu is asked for; the model has %u", output, f->noutput);
    oi_tensor *tensor = oi_alloc_array(a, n + 1, sizeof *tensor);
    onnx_infer_value other = {.kind = ONNX_INFER_SEQUENCE}; /* stands for whatever is no tensor */
    oi_inputs x;
    oi_status st = tensor ? oi_inputs_create(p, &x) : ONNX_INFER_E_OUT_OF_MEMORY;
    if (!tensor)
        return st;
    for (uint32_t i = 0; st == ONNX_INFER_OK && i < f->ninput; i++) {
        if (p->input[i].kind != ONNX_INFER_TENSOR) {
            x.arg[i].value = &other;
        } else if (i < n && ranks[i] >= 0) {
            st = oi_tensor_describe(&tensor[i], p->input[i].dtype, ranks[i], dims[i]);
            x.arg[i].tensor = &tensor[i];
        }
    }
    if (st == ONNX_INFER_OK)
        st = oi_inputs_check(&x);
    if (st == ONNX_INFER_OK)
        st = infer_output(&x, output, rank, out_dims, cap);
    oi_inputs_destroy(&x);
    oi_free_mem(a, tensor);
    return st;
}
