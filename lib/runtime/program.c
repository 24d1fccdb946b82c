/* Programs: the plans of a graph by input shapes. */
#include "runtime/program.h"

#include "optimizer/optimizer.h"
#include "runtime/graph_cache.h"

#include <pthread.h>
#include <string.h>

enum { KEY_NONE, KEY_TENSOR, KEY_VALUE, KEY_INPUT_MAX = 3 + OI_MAX_RANK };

struct oi_program {
    const oi_engine *engine;
    const oi_graph *graph, *original;
    const oi_tensor **fixed; /* by input */
    bool *want;              /* by output; NULL: all */
    pthread_mutex_t lock;    /* of what follows */
    oi_plan **plan;          /* at most engine->limits.plans */
    size_t nplan, plan_cap;
    uint64_t clock;
    bool loose;
    bool has_id;
    oi_hash id;
};

oi_status oi_program_create(const oi_engine *engine, const oi_graph *graph, const oi_graph *original,
                            const oi_tensor *const *fixed, const bool *want, oi_program **out)
{
    const oi_alloc *a = &engine->alloc;
    oi_program *p = oi_alloc_mem(a, sizeof *p);
    *out = NULL;
    if (!p)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    p->engine = engine;
    p->graph = graph;
    p->original = original;
    p->fixed = oi_alloc_array(a, (size_t)graph->ninput + 1, sizeof *p->fixed);
    if (want)
        p->want = oi_alloc_array(a, (size_t)graph->noutput + 1, sizeof *p->want);
    if (!p->fixed || (want && !p->want) || pthread_mutex_init(&p->lock, NULL)) {
        oi_free_mem(a, p->fixed);
        oi_free_mem(a, p->want);
        oi_free_mem(a, p);
        return oi_fail_out_of_memory(sizeof p->lock);
    }
    for (uint32_t i = 0; fixed && i < graph->ninput; i++)
        p->fixed[i] = fixed[i];
    if (want)
        memcpy(p->want, want, graph->noutput * sizeof *want);
    *out = p;
    return ONNX_INFER_OK;
}

void oi_program_destroy(oi_program *p)
{
    if (!p)
        return;
    const oi_alloc *a = &p->engine->alloc;
    for (size_t i = 0; i < p->nplan; i++)
        oi_plan_release(p->plan[i]);
    pthread_mutex_destroy(&p->lock);
    oi_free_mem(a, p->plan);
    oi_free_mem(a, p->fixed);
    oi_free_mem(a, p->want);
    oi_free_mem(a, p);
}

void oi_program_identify(oi_program *p, oi_hash id)
{
    p->has_id = true;
    p->id = id;
}

oi_status oi_program_each(const oi_program *p, oi_status (*visit)(void *user, oi_plan *plan), void *user)
{
    for (size_t i = 0; i < p->nplan; i++) {
        oi_plan *plan = p->plan[i];
        if (!plan->has_id)
            continue;
        OI_TRY(visit(user, plan));
        for (uint32_t s = 0; s < plan->nstep; s++) {
            for (uint32_t k = 0; plan->step[s].sub && k < plan->step[s].step.node->nsub; k++)
                OI_TRY(oi_program_each(plan->step[s].sub[k], visit, user));
        }
    }
    return ONNX_INFER_OK;
}

const oi_graph *oi_program_graph(const oi_program *p)
{
    return p->graph;
}

size_t oi_program_key_cap(const oi_program *p)
{
    return (size_t)p->graph->ninput * KEY_INPUT_MAX;
}

size_t oi_program_key(const oi_program *p, size_t n, const oi_arg *arg, int64_t *key)
{
    size_t at = 0;
    for (size_t i = 0; i < p->graph->ninput; i++) {
        const oi_tensor *t = i < n ? arg[i].tensor : NULL;
        if (t) {
            key[at++] = KEY_TENSOR;
            key[at++] = t->dtype;
            key[at++] = t->rank;
            for (int32_t d = 0; d < t->rank; d++)
                key[at++] = t->dim[d];
        } else if (i < n && arg[i].value) {
            key[at++] = KEY_VALUE;
            key[at++] = arg[i].value->kind;
        } else {
            key[at++] = KEY_NONE;
        }
    }
    return at;
}

/* Facts of the inputs that a key tells of; a symbol that two inputs would give different values stays with the first:
 * the inputs' own facts decide. */
static void read_key(const oi_program *p, const int64_t *key, oi_fact *fact, const oi_fact **given, int64_t *bound)
{
    const oi_graph *g = p->loose ? p->original : p->graph;
    for (uint32_t i = 0; i < g->ninput; i++) {
        const oi_fact *declared = &g->value[g->input[i]].fact;
        int64_t tag = *key++;
        given[i] = NULL;
        if (tag == KEY_TENSOR) {
            oi_dtype dtype = (oi_dtype)*key++;
            int32_t rank = (int32_t)*key++;
            fact[i] = oi_fact_tensor(dtype, rank, key);
            given[i] = &fact[i];
            for (int32_t d = 0; d < rank && declared->kind == ONNX_INFER_TENSOR && declared->shape.rank == rank; d++) {
                if (!oi_dim_is_number(declared->shape.dim[d]))
                    oi_dim_solve(g->syms, declared->shape.dim[d], key[d], bound);
            }
            key += rank;
        } else if (tag == KEY_VALUE) {
            key++;
        } else if (p->fixed[i]) {
            fact[i] = oi_fact_tensor(p->fixed[i]->dtype, p->fixed[i]->rank, p->fixed[i]->dim);
            fact[i].konst = p->fixed[i];
            given[i] = &fact[i];
        }
    }
}

static oi_status make_plan(oi_program *p, const int64_t *key, size_t nkey, oi_optimize_options *o, oi_plan **out)
{
    const oi_alloc *a = &p->engine->alloc;
    const oi_graph *from = p->loose ? p->original : p->graph;
    size_t nsym = oi_symtab_count(from->syms), nin = p->graph->ninput;
    int64_t *bound = oi_alloc_array(a, nsym + 1, sizeof *bound), *own_key = oi_alloc_array(a, nkey + 1, sizeof *own_key);
    oi_fact *fact = oi_alloc_array(a, nin + 1, sizeof *fact);
    const oi_fact **given = oi_alloc_array(a, nin + 1, sizeof *given);
    oi_graph *g = NULL;
    oi_status st = ONNX_INFER_E_OUT_OF_MEMORY;
    *out = NULL;
    if (!bound || !own_key || !fact || !given)
        goto done;
    memcpy(own_key, key, nkey * sizeof *key);
    for (size_t i = 0; i < nsym; i++)
        bound[i] = -1;
    const bool known = p->has_id && !p->loose && p->engine->graphs;
    const oi_hash id = known ? oi_hash_mix(p->id, key, nkey * sizeof *key) : (oi_hash){0, 0};
    st = ONNX_INFER_OK;
    if (known)
        g = oi_graph_cache_find(p->engine->graphs, id, p->engine->pool);
    const bool found = g != NULL;
    if (!found) {
        read_key(p, key, fact, given, bound);
        st = oi_optimize_for(a, from, bound, given, p->loose ? OI_STAGE_TYPED : p->engine->stage, &p->engine->target, p->want, o, &g);
    }
    if (st == ONNX_INFER_OK)
        st = oi_plan_create(p->engine, g, p->loose, known ? &id : NULL, out);
    if (st == ONNX_INFER_OK)
        (*out)->kept = found;
    if (st == ONNX_INFER_OK) {
        (*out)->key = own_key;
        (*out)->nkey = nkey;
        own_key = NULL;
    }
done:
    oi_free_mem(a, own_key);
    oi_free_mem(a, bound);
    oi_free_mem(a, fact);
    oi_free_mem(a, given);
    return st;
}

/* Room for one more plan; the least recently used goes when there are as many as allowed. */
static oi_status make_room(oi_program *p)
{
    const oi_alloc *a = &p->engine->alloc;
    size_t most = p->engine->limits.plans < 1 ? 1 : (size_t)p->engine->limits.plans;
    if (p->nplan == most) {
        size_t oldest = 0;
        for (size_t i = 1; i < p->nplan; i++) {
            if (p->plan[i]->used < p->plan[oldest]->used)
                oldest = i;
        }
        oi_plan_release(p->plan[oldest]);
        p->plan[oldest] = p->plan[--p->nplan];
    }
    if (p->nplan == p->plan_cap) {
        size_t cap = p->plan_cap ? 2 * p->plan_cap : 4;
        oi_plan **grown = cap <= SIZE_MAX / sizeof *grown ? oi_realloc_mem(a, p->plan, cap * sizeof *grown) : NULL;
        if (!grown)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        p->plan = grown;
        p->plan_cap = cap;
    }
    return ONNX_INFER_OK;
}

static oi_status find_or_make(oi_program *p, const int64_t *key, size_t nkey, oi_optimize_options *o, oi_plan **out)
{
    oi_plan *found = NULL;
    for (size_t i = 0; i < p->nplan && !found; i++) {
        if (p->plan[i]->nkey == nkey && !memcmp(p->plan[i]->key, key, nkey * sizeof *key))
            found = p->plan[i];
    }
    if (!found) {
        OI_TRY(make_plan(p, key, nkey, o, &found));
        oi_status st = make_room(p);
        if (st != ONNX_INFER_OK) {
            oi_plan_release(found);
            return st;
        }
        p->plan[p->nplan++] = found;
    }
    found->used = ++p->clock;
    *out = oi_plan_retain(found);
    return ONNX_INFER_OK;
}

oi_status oi_program_plan(oi_program *p, const int64_t *key, size_t nkey, oi_status (*check)(void *user), void *user,
                          oi_plan **out)
{
    atomic_uint_fast64_t *changes = p->engine->changes;
    oi_optimize_options o = {.check = check, .user = user, .stop_after = p->engine->stop_after,
                             .watch = {.exact = p->engine->exact}};
    *out = NULL;
    pthread_mutex_lock(&p->lock);
    const uint64_t before = o.commits = changes ? atomic_load(changes) : 0;
    oi_status st = find_or_make(p, key, nkey, &o, out);
    if (changes)
        atomic_fetch_add(changes, o.commits - before);
    pthread_mutex_unlock(&p->lock);
    return st;
}

void oi_program_distrust(oi_program *p)
{
    pthread_mutex_lock(&p->lock);
    if (!p->loose)
        oi_log_write(&p->engine->log, ONNX_INFER_LOG_WARNING, "shapes that the model declares are wrong: it is run by the "
                     "reference evaluators, which is slow; export it again without value_info");
    p->loose = true;
    for (size_t i = 0; i < p->nplan; i++)
        oi_plan_release(p->plan[i]);
    p->nplan = 0;
    pthread_mutex_unlock(&p->lock);
}

oi_plan *oi_program_last_plan(oi_program *p)
{
    oi_plan *last = NULL;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->nplan; i++) {
        if (!last || p->plan[i]->used > last->used)
            last = p->plan[i];
    }
    oi_plan_retain(last);
    pthread_mutex_unlock(&p->lock);
    return last;
}
