/* Models: loading, and the answers about them. */
#include "runtime/model.h"

#include "base/arena.h"
#include "ops/infer.h"
#include "runtime/plan_file.h"

#include <string.h>

onnx_infer_model *oi_model_retain(onnx_infer_model *m)
{
    if (m)
        atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

const char *oi_model_hash(onnx_infer_model *m)
{
    if (m->base)
        return oi_model_hash(m->base);
    pthread_mutex_lock(&m->lock);
    if (!m->hash[0])
        oi_onnx_hash(m->file, m->hash);
    pthread_mutex_unlock(&m->lock);
    return m->hash;
}

oi_status oi_model_create(const onnx_infer_options *o, onnx_infer_model **out)
{
    onnx_infer_model *m = oi_alloc_mem(&o->alloc, sizeof *m);
    *out = NULL;
    if (!m)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (pthread_mutex_init(&m->lock, NULL)) {
        oi_free_mem(&o->alloc, m);
        return oi_fail_out_of_memory(sizeof m->lock);
    }
    atomic_init(&m->refs, 1);
    m->alloc = o->alloc;
    m->log = o->log;
    m->ops = oi_custom_ops_retain(o->ops);
    m->arena = oi_arena_create(&m->alloc);
    if (!m->arena) {
        oi_model_release(m);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    *out = m;
    return ONNX_INFER_OK;
}

void oi_model_release(onnx_infer_model *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&m->lock);
    oi_onnx_free(m->file);
    oi_pack_store_close(m->store);
    oi_pool_release(m->pool);
    if (m->reader.struct_size && m->reader.close)
        m->reader.close(m->reader.user);
    oi_arena_destroy(m->arena);
    oi_custom_ops_release(m->ops);
    oi_model_release(m->base);
    oi_alloc alloc = m->alloc;
    oi_free_mem(&alloc, m->issue);
    oi_free_mem(&alloc, m);
}

int64_t oi_model_find_port(const onnx_infer_port *port, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(port[i].name, name))
            return (int64_t)i;
    }
    return -1;
}

static void add_issue(void *arg)
{
    onnx_infer_model *m = arg;
    if (m->nissue == m->issue_cap) {
        size_t cap = m->issue_cap ? 2 * m->issue_cap : 16;
        oi_error keep = *oi_error_current();
        oi_error *grown = oi_realloc_mem(&m->alloc, m->issue, cap * sizeof *grown);
        *oi_error_current() = keep;
        if (!grown)
            return;
        m->issue = grown;
        m->issue_cap = cap;
    }
    m->issue[m->nissue++] = *oi_error_current();
}

/* A number, or an expression without unknowns. */
static bool is_of_names(const oi_symtab *syms, oi_dim d)
{
    char text[256];
    return oi_dim_is_number(d) || !strchr(oi_dim_text(syms, d, text, sizeof text), '?');
}

static oi_status describe_port(onnx_infer_model *m, const oi_onnx_port *from, const oi_fact *inferred, onnx_infer_port *to)
{
    const oi_symtab *syms = m->file->graph->syms;
    const oi_fact *fact = &from->fact;
    bool silent = fact->kind == ONNX_INFER_TENSOR && fact->dtype == ONNX_INFER_UNDEFINED && fact->shape.rank < 0;
    bool vague = fact->kind == ONNX_INFER_TENSOR && (fact->shape.rank < 0 || fact->dtype == ONNX_INFER_UNDEFINED);
    if (inferred && (silent || (vague && inferred->kind == fact->kind)))
        fact = inferred;
    to->name = from->name ? from->name : "";
    to->fact = fact;
    to->optional = from->initial != NULL;
    for (int32_t d = 0; fact->kind == ONNX_INFER_TENSOR && d < fact->shape.rank; d++) {
        char text[256];
        oi_symbol sym;
        oi_dim dim = fact->shape.dim[d];
        if (inferred && inferred->kind == ONNX_INFER_TENSOR && inferred->shape.rank == fact->shape.rank && !oi_dim_is_number(dim) &&
            is_of_names(syms, inferred->shape.dim[d]))
            dim = inferred->shape.dim[d]; /* the file has a name of its own for what follows from the inputs */
        to->dim[d] = oi_dim_is_number(dim) ? dim : -1;
        oi_dim_text(syms, dim, text, sizeof text);
        if (to->dim[d] < 0 && oi_dim_find_symbol(syms, text, &sym) && oi_symtab_is_fresh(syms, sym))
            memcpy(text, "?", 2);
        to->dim_text[d] = oi_arena_text(m->arena, text);
        if (!to->dim_text[d])
            return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    return ONNX_INFER_OK;
}

/* Every named symbol that occurs in the inputs' dims, in order of appearance. */
static oi_status collect_symbols(onnx_infer_model *m)
{
    const oi_symtab *syms = m->file->graph->syms;
    size_t n = oi_symtab_count(syms);
    m->symbol = oi_arena_array(m->arena, n + 1, sizeof *m->symbol);
    if (!m->symbol)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < m->file->ninput; i++) {
        const oi_fact *fact = m->input[i].fact;
        for (int32_t d = 0; fact->kind == ONNX_INFER_TENSOR && d < fact->shape.rank; d++) {
            oi_symbol sym;
            bool known = false;
            if (m->input[i].dim[d] >= 0 || !oi_dim_find_symbol(syms, m->input[i].dim_text[d], &sym))
                continue;
            for (size_t k = 0; k < m->nsymbol; k++)
                known = known || !strcmp(m->symbol[k], m->input[i].dim_text[d]);
            if (!known && m->nsymbol < n)
                m->symbol[m->nsymbol++] = m->input[i].dim_text[d];
        }
    }
    return ONNX_INFER_OK;
}

oi_status oi_model_describe(onnx_infer_model *m)
{
    const oi_onnx_model *f = m->file;
    const oi_graph *g = f->graph;
    m->input = oi_arena_array(m->arena, (size_t)f->ninput + 1, sizeof *m->input);
    m->output = oi_arena_array(m->arena, (size_t)f->noutput + 1, sizeof *m->output);
    if (!m->input || !m->output)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < f->ninput; i++)
        OI_TRY(describe_port(m, &f->input[i], NULL, &m->input[i]));
    for (uint32_t i = 0; i < f->noutput; i++) {
        const oi_fact *inferred = i < g->noutput && g->stage != OI_STAGE_IMPORTED ? &g->value[g->output[i]].fact : NULL;
        OI_TRY(describe_port(m, &f->output[i], inferred, &m->output[i]));
    }
    m->weights = f->copied;
    m->mapped = f->in_place;
    return collect_symbols(m);
}

/* Holds the caller's bytes; `armed` once the load has succeeded: before that a failure must not consume them. */
typedef struct {
    oi_alloc alloc;
    onnx_infer_free_fn fn;
    void *user;
    bool armed;
} byte_owner;

static void free_bytes(void *user, void *data)
{
    byte_owner *owner = user;
    oi_alloc alloc = owner->alloc;
    if (owner->armed)
        owner->fn(owner->user, data);
    oi_free_mem(&alloc, owner);
}

/* From the cache folder of the options where the model is there. */
static oi_status load_path(onnx_infer_model *m, const char *path, const onnx_infer_options *o, const oi_onnx_options *oo)
{
    oi_source source;
    oi_bytes bytes;
    oi_status st = oi_source_file(&m->alloc, path, &source, &bytes);
    if (st == ONNX_INFER_OK && m->graphs && o->cache_dir)
        oi_plan_file_find_model(m, o, &source, &bytes);
    if (st == ONNX_INFER_OK && !m->file) {
        OI_TRY(oi_onnx_load_opened(&bytes, &source, oo, &m->file));
        m->has_content = m->has_content && m->file->nsource == 1; /* files of external data belong to it */
        return ONNX_INFER_OK;
    }
    oi_bytes_clear(&bytes);
    oi_source_close(&source);
    return st;
}

static oi_status load_file(onnx_infer_model *m, const oi_model_source *from, const onnx_infer_options *o, const oi_onnx_options *oo,
                           byte_owner **owner)
{
    oi_onnx_model **out = &m->file;
    if (from->path) {
        oi_status st = load_path(m, from->path, o, oo);
        if (st != ONNX_INFER_OK && st != ONNX_INFER_E_IO)
            oi_error_prefix("%s: ", from->path);
        return st;
    }
    if (from->reader)
        return oi_onnx_load_reader(from->reader, oo, out);
    if (!from->free_fn)
        return oi_onnx_load_memory(from->data, from->bytes, NULL, NULL, oo, out);
    *owner = oi_alloc_mem(oo->alloc, sizeof **owner);
    if (!*owner)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    **owner = (byte_owner){.alloc = *oo->alloc, .fn = from->free_fn, .user = from->user};
    oi_status st = oi_onnx_load_memory(from->data, from->bytes, free_bytes, *owner, oo, out);
    if (st != ONNX_INFER_OK)
        oi_free_mem(oo->alloc, *owner);
    return st;
}

/* Ends a load where the options' cancel handle or callback says so. */
static int load_progress(void *user, size_t done, size_t total)
{
    const onnx_infer_options *o = user;
    if (o->cancel && atomic_load_explicit(&o->cancel->fired, memory_order_relaxed))
        return 1;
    return o->progress ? o->progress(o->progress_user, done, total) : 0;
}

static oi_status check_load(const onnx_infer_options *o)
{
    OI_FAIL_IF(o->cancel && atomic_load_explicit(&o->cancel->fired, memory_order_relaxed), ONNX_INFER_E_CANCELLED,
               "the load was cancelled");
    return ONNX_INFER_OK;
}

static oi_hash loading_of(const onnx_infer_options *o)
{
    const uint64_t limits[3] = {o->limits.nodes, o->limits.depth, o->limits.tensor_bytes};
    oi_hash h = oi_hash_bytes(limits, sizeof limits);
    for (size_t i = 0; i < o->noutput; i++)
        h = oi_hash_mix(h, o->output[i], strlen(o->output[i]));
    return h;
}

static oi_status load(onnx_infer_model *m, const oi_model_source *from, const onnx_infer_options *o, bool peek)
{
    oi_onnx_options oo = {
        .alloc = &m->alloc, .log = &m->log, .max_nodes = o->limits.nodes, .max_depth = o->limits.depth,
        .max_tensor_bytes = o->limits.tensor_bytes, .progress = load_progress,
        .progress_user = (void *)o,
        .keep_issues = peek, .ops = m->ops, .override = o->override, .noverride = o->noverride, .memory = o->memory,
        .nmemory = o->nmemory, .output = o->output, .noutput = o->noutput,
    };
    byte_owner *owner = NULL;
    OI_TRY(check_load(o));
    m->graphs = !peek && !o->noverride && !o->nmemory && !m->ops;
    m->loaded_as = loading_of(o);
    OI_TRY(load_file(m, from, o, &oo, &owner));
    OI_TRY(check_load(o));
    for (uint32_t i = 0; i < m->file->nissue; i++) {
        *oi_error_current() = m->file->issue[i];
        add_issue(m);
    }
    if (!m->nissue && peek)
        OI_TRY(oi_infer_graph_report(m->file->graph, add_issue, m));
    else if (!m->nissue && m->file->graph->stage == OI_STAGE_IMPORTED)
        OI_TRY(oi_infer_graph(m->file->graph));
    OI_TRY(oi_model_describe(m));
    OI_TRY(check_load(o));
    const size_t nodes = m->file->graph->nnode;
    OI_FAIL_IF(o->progress && o->progress(o->progress_user, nodes, nodes), ONNX_INFER_E_CANCELLED,
               "the load was stopped by its progress callback");
    if (owner)
        owner->armed = true;
    return ONNX_INFER_OK;
}

oi_status oi_model_load(const oi_model_source *from, const onnx_infer_options *o, bool peek, onnx_infer_model **out)
{
    onnx_infer_options defaults;
    *out = NULL;
    o = oi_options_or(o, &defaults);
    onnx_infer_model *m;
    OI_TRY(oi_model_create(o, &m));
    oi_status st = load(m, from, o, peek);
    if (st != ONNX_INFER_OK) {
        oi_model_release(m);
        return st;
    }
    if (from->reader) {
        memset(&m->reader, 0, sizeof m->reader);
        memcpy(&m->reader, from->reader,
               from->reader->struct_size < sizeof m->reader ? from->reader->struct_size : sizeof m->reader);
    }
    *out = m;
    return ONNX_INFER_OK;
}
