/* Plans in files. A file holds packed weights by what they are made from (optimizer/pack_store.h): planning with it does all but
 * packing, so that whatever else changes in a program is never out of date. A saved plan holds its model too, decluttered. */
#include "runtime/plan_file.h"

#include "base/build.h"
#include "runtime/new_file.h"
#include "runtime/seen_file.h"

#include <string.h>

enum { MOST_GRAPHS = 64, SMALL_FILE = 1 << 16, TINY_MODEL = 1 << 10 };

/* What a file is for: this build, its way of packing, an instruction set, and `model`: what is known of the model. */
static oi_hash make_key(const oi_target *target, const char *model)
{
    char text[300];
    int n = snprintf(text, sizeof text, "%s|%d|%s|%zu|%s", onnx_infer_version(), OI_PACK_FORMAT, oi_cpu_isa_name(target->isa),
                     sizeof(void *), model);
    return oi_hash_bytes(text, n > 0 ? (size_t)n : 0);
}

static size_t list_sources(const onnx_infer_model *m, oi_pack_source *source)
{
    size_t n = 0;
    for (; n < m->file->nsource && n < OI_PACK_MAX_SOURCES; n++)
        source[n] = (oi_pack_source){m->file->source[n].data, m->file->source[n].size};
    return n;
}

/* --- the cache folder ------------------------------------------------------------------------------------------------- */

/* Of the file for a model: also the very build and what its planning looks at of the CPU, since lowered graphs depend on them. */
static oi_hash cache_key(const onnx_infer_model *m, oi_cpu_isa isa)
{
    char text[120], build[41];
    const oi_target target = {.isa = isa};
    oi_build_id(build);
    snprintf(text, sizeof text, "%s|%zu|%zu|%d%d|%d", build, oi_cpu_l1_bytes(), oi_cpu_l2_bytes(), oi_cpu_has(OI_CPU_AVX_VNNI),
             oi_cpu_has(OI_CPU_AVX512_VNNI), m->graphs);
    const oi_hash all[3] = {make_key(&target, text), m->loaded_as, m->content};
    return oi_hash_bytes(all, sizeof all);
}

static char *cache_path(const oi_alloc *a, const char *dir, oi_hash key)
{
    size_t most = strlen(dir) + 80;
    char *path = oi_alloc_mem(a, most);
    if (path)
        snprintf(path, most, "%s/%016llx%016llx.onnx_infer", dir, (unsigned long long)key.high, (unsigned long long)key.low);
    return path;
}

/* What is there and good; NULL otherwise. */
static oi_pack_store *open_cached(const oi_alloc *a, const oi_log *log, const char *path, oi_hash key)
{
    oi_error keep = *oi_error_current(); /* a success must not touch the thread's record */
    oi_pack_store *store = NULL;
    oi_bytes bytes;
    oi_status st = oi_bytes_file(a, path, SMALL_FILE, &bytes);
    if (st == ONNX_INFER_OK)
        st = oi_pack_store_open(a, bytes.data, bytes.size, bytes.buf, key, &store);
    if (st == ONNX_INFER_E_CACHE_STALE)
        oi_log_write(log, ONNX_INFER_LOG_WARNING, "%s is made anew: %s", path, oi_error_current()->message);
    oi_bytes_clear(&bytes);
    *oi_error_current() = keep;
    return store;
}

static oi_hash id_of(const char *what)
{
    return oi_hash_bytes(what, strlen(what));
}

static oi_hash join(const oi_hash *part, size_t n)
{
    return oi_hash_bytes(part, n * sizeof *part);
}

/* The hash of the model's file: as it was noted, or by reading it. */
static oi_status hash_model(onnx_infer_model *m, const onnx_infer_options *o, const oi_source *source, const oi_bytes *bytes)
{
    enum { WORTH_THREADS = 4 << 20 };
    oi_seen seen;
    const bool known = oi_seen_identify(source, &seen);
    if (known && oi_seen_find(&m->alloc, o->cache_dir, &seen, &m->content))
        return ONNX_INFER_OK;
    if (!o->pool && o->threads != 1 && bytes->size >= WORTH_THREADS)
        OI_TRY(oi_pool_create(&m->alloc, o->threads ? (size_t)o->threads : oi_cpu_default_threads(), OI_POOL_SPIN_NS, &m->pool));
    oi_hash hash;
    OI_TRY(oi_source_hash(source, bytes, o->pool ? o->pool : m->pool, &hash));
    m->content = join(&hash, 1);
    if (known)
        oi_seen_note(&m->alloc, o->cache_dir, &seen, m->content);
    return ONNX_INFER_OK;
}

static void find_model(onnx_infer_model *m, const onnx_infer_options *o, const oi_source *source, const oi_bytes *bytes)
{
    if (bytes->size < TINY_MODEL || hash_model(m, o, source, bytes))
        return;
    m->has_content = true;
    oi_hash key = cache_key(m, oi_session_isa(o));
    char *path = cache_path(&m->alloc, o->cache_dir, key);
    if (!path)
        return;
    m->store = open_cached(&m->alloc, &m->log, path, key);
    m->store_dir = id_of(o->cache_dir);
    m->store_key = key;
    m->looked = true;
    oi_free_mem(&m->alloc, path);
    const oi_graph_cache c = {&m->alloc, &m->log, m->store, bytes, 1};
    m->file = oi_graph_cache_find_model(&c, id_of("model"), o->pool ? o->pool : m->pool);
}

void oi_plan_file_find_model(onnx_infer_model *m, const onnx_infer_options *o, const oi_source *source, const oi_bytes *bytes)
{
    oi_error keep = *oi_error_current();
    find_model(m, o, source, bytes);
    *oi_error_current() = keep;
}

/* Less takes longer to find than to plan. */
static bool is_tiny(const onnx_infer_model *m)
{
    return m->file->nsource == 1 && m->file->source[0].size < TINY_MODEL;
}

/* Hashes the model's bytes where nobody has yet. */
static oi_status know_content(onnx_infer_model *m, oi_pool *pool)
{
    oi_hash_item item[OI_PACK_MAX_SOURCES];
    oi_hash hash[OI_PACK_MAX_SOURCES];
    size_t n = 0;
    if (m->has_content)
        return ONNX_INFER_OK;
    for (; n < m->file->nsource; n++)
        item[n] = (oi_hash_item){.data = m->file->source[n].data, .n = m->file->source[n].size};
    OI_TRY(oi_hash_items(&m->alloc, pool, item, n));
    for (size_t i = 0; i < n; i++) {
        hash[i] = item[i].hash;
        oi_buffer_drop_pages(m->file->source[i].buf, m->file->source[i].data, m->file->source[i].size);
    }
    m->content = join(hash, n);
    m->has_content = true;
    return ONNX_INFER_OK;
}

/* What loading the model has found there, the first time. */
static oi_pack_store *find_store(onnx_infer_plan *p, const onnx_infer_options *o)
{
    onnx_infer_model *m = p->model;
    oi_pack_store *store = NULL;
    pthread_mutex_lock(&m->lock);
    const bool looked = m->looked && oi_hash_equal(m->store_key, p->cache_key) && oi_hash_equal(m->store_dir, id_of(o->cache_dir));
    if (looked) {
        store = m->store;
        m->store = NULL;
        m->looked = false;
    }
    pthread_mutex_unlock(&m->lock);
    return looked ? store : open_cached(&p->engine.alloc, &p->engine.log, p->cache_path, p->cache_key);
}

oi_status oi_plan_file_attach(onnx_infer_plan *p, const onnx_infer_options *o, oi_pack_store *store)
{
    oi_pack_source source[OI_PACK_MAX_SOURCES];
    onnx_infer_model *m = p->model;
    size_t n = list_sources(m, source);
    oi_pack_cache_use(p->engine.target.packs, source, n, store, store != NULL || o->keep_packs);
    if (store || !o->cache_dir || p->engine.stage != OI_STAGE_LOWERED || m->file->nsource > OI_PACK_MAX_SOURCES || o->stop_after ||
        is_tiny(m))
        return ONNX_INFER_OK;
    pthread_mutex_lock(&m->lock);
    oi_status st = know_content(m, p->engine.pool);
    pthread_mutex_unlock(&m->lock);
    OI_TRY(st);
    p->cache_key = cache_key(m, p->engine.target.isa);
    p->cache_path = cache_path(&p->engine.alloc, o->cache_dir, p->cache_key);
    if (!p->cache_path)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    store = find_store(p, o);
    oi_pack_cache_use(p->engine.target.packs, source, n, store, true);
    p->graphs = (oi_graph_cache){&p->engine.alloc, &p->engine.log, store, m->file->source, m->file->nsource};
    p->engine.graphs = m->graphs ? &p->graphs : NULL;
    return ONNX_INFER_OK;
}

/* --- writing the cache file --------------------------------------------------------------------------------------------- */

static oi_status count_new(void *user, oi_plan *plan)
{
    *(size_t *)user += !plan->kept;
    return ONNX_INFER_OK;
}

typedef struct {
    const onnx_infer_plan *plan;
    oi_pack_list *list;
    size_t n;
} addition;

static oi_status add_graph(void *user, oi_plan *plan)
{
    addition *x = user;
    if (x->n++ >= MOST_GRAPHS)
        return ONNX_INFER_OK;
    plan->kept = true; /* also where that fails: once is enough */
    return oi_graph_cache_add(&x->plan->graphs, x->list, plan->id, plan->graph);
}

static oi_status each_plan(const onnx_infer_plan *p, oi_status (*visit)(void *user, oi_plan *plan), void *user)
{
    OI_TRY(p->program ? oi_program_each(p->program, visit, user) : ONNX_INFER_OK);
    for (size_t i = 0; i < p->ncut; i++)
        OI_TRY(oi_program_each(p->cut[i].program, visit, user));
    return ONNX_INFER_OK;
}

static oi_status list_all(const onnx_infer_plan *p, oi_pack_list *l)
{
    addition x = {p, l, 0};
    OI_TRY(oi_pack_cache_list(p->engine.target.packs, l));
    if (!p->engine.graphs)
        return ONNX_INFER_OK;
    if (p->model->file->nsource == 1 && !p->model->base)
        OI_TRY(oi_graph_cache_add_model(&p->graphs, l, id_of("model"), p->model->file));
    if (p->base)
        OI_TRY(oi_graph_cache_add(&p->graphs, l, p->base_id, p->base));
    return each_plan(p, add_graph, &x);
}

static bool is_damaged(const onnx_infer_plan *p)
{
    const oi_pack_store *used = oi_pack_cache_store(p->engine.target.packs);
    return used && oi_pack_store_damaged(used);
}

/* What others have written meanwhile stays, unless it is damaged or there is too much of it. */
static oi_status write_cache(const onnx_infer_plan *p, oi_new_file *f)
{
    oi_pack_store *old = is_damaged(p) ? NULL : open_cached(&p->engine.alloc, NULL, p->cache_path, p->cache_key);
    oi_pack_list *l = NULL;
    oi_status st = oi_pack_list_create(&p->engine.alloc, old, oi_pack_store_parts(old) < MOST_GRAPHS, &l);
    if (st == ONNX_INFER_OK)
        st = list_all(p, l);
    if (st == ONNX_INFER_OK)
        st = oi_new_file_open(f, p->cache_path, "");
    const oi_writer w = oi_new_file_writer(f);
    if (st == ONNX_INFER_OK)
        st = oi_pack_list_write(l, &w, p->cache_key);
    st = oi_new_file_finish(f, st);
    oi_pack_list_free(l);
    oi_pack_store_close(old);
    return st;
}

void oi_plan_file_update(onnx_infer_plan *p, bool last)
{
    oi_new_file f = {0};
    size_t found, made, graphs = 0;
    if (!p->cache_path || !p->engine.target.packs)
        return;
    oi_pack_cache_counts(p->engine.target.packs, &found, &made);
    each_plan(p, count_new, &graphs);
    const bool mends = is_damaged(p) && !p->mended;
    if (made == p->cache_made && !graphs && !mends && !(p->base_made && last))
        return;
    if (mends)
        oi_log_write(&p->engine.log, ONNX_INFER_LOG_WARNING, "%s is made anew: what it holds has changed", p->cache_path);
    p->mended = p->mended || mends;
    oi_error keep = *oi_error_current();
    oi_status st = write_cache(p, &f);
    if (st != ONNX_INFER_OK)
        oi_log_write(&p->engine.log, ONNX_INFER_LOG_WARNING, "the plan is not cached: %s", oi_error_current()->message);
    *oi_error_current() = keep;
    p->cache_made = made; /* also after a failure: once is enough */
    p->base_made = false;
}

void oi_plan_file_detach(onnx_infer_plan *p)
{
    oi_free_mem(&p->engine.alloc, p->cache_path);
    p->cache_path = NULL;
}

/* --- saved plans -------------------------------------------------------------------------------------------------------- */

static int append(void *user, const void *p, size_t n)
{
    oi_blob *b = user;
    oi_blob_put(b, p, n, 1);
    return b->full ? -1 : 0;
}

/* The options that the plan was made with, as far as they say what it is. */
static oi_status options_of(const onnx_infer_plan *p, onnx_infer_options *o)
{
    const oi_onnx_model *f = p->model->file;
    oi_options_init(o);
    o->alloc = p->engine.alloc;
    o->log = p->engine.log;
    o->limits = p->engine.limits;
    o->level = (int32_t)(p->engine.stage - OI_STAGE_TYPED);
    o->isa = p->engine.target.isa;
    o->threads = 1;
    o->keep_packs = true;
    o->ops = oi_custom_ops_retain(p->model->ops);
    for (uint32_t i = 0; i < f->ninput; i++) {
        const oi_fact *fact = &p->input[i];
        if (fact->kind == ONNX_INFER_TENSOR && fact->shape.rank >= 0 && oi_shape_is_concrete(&fact->shape))
            OI_TRY(oi_options_set_input_shape(o, p->model->input[i].name, fact->shape.rank, fact->shape.dim));
    }
    return ONNX_INFER_OK;
}

/* Plans the model as it will be loaded, so that what is packed is found by its place in it. */
static oi_status write_plan(const onnx_infer_plan *p, const onnx_infer_options *o, oi_blob *bytes, const oi_writer *w)
{
    const oi_writer to = {bytes, append};
    onnx_infer_model *m;
    onnx_infer_plan *again = NULL;
    oi_pack_list *l = NULL;
    oi_status saved = oi_model_save(p->model, o, &to, NULL, NULL);
    if (saved != ONNX_INFER_OK)
        return bytes->full ? oi_fail_out_of_memory(bytes->cap) : saved;
    OI_TRY(oi_model_load(&(oi_model_source){.data = bytes->at, .bytes = bytes->n}, o, false, &m));
    oi_status st = oi_session_plan(m, o, &again);
    if (st == ONNX_INFER_OK)
        st = oi_pack_list_create(&p->engine.alloc, NULL, false, &l);
    if (st == ONNX_INFER_OK)
        st = oi_pack_cache_list(again->engine.target.packs, l);
    if (st == ONNX_INFER_OK) {
        st = oi_pack_list_add_part(l, id_of("model"), bytes->at, bytes->n); /* which owns them now */
        *bytes = (oi_blob){.alloc = bytes->alloc};
    }
    if (st == ONNX_INFER_OK)
        st = oi_pack_list_write(l, w, make_key(&p->engine.target, "plan"));
    oi_pack_list_free(l);
    oi_session_release(again);
    oi_model_release(m);
    return st;
}

oi_status oi_plan_file_save(const onnx_infer_plan *p, const oi_writer *w)
{
    onnx_infer_options o;
    oi_blob bytes = {.alloc = &p->engine.alloc};
    oi_status st = options_of(p, &o);
    if (st == ONNX_INFER_OK)
        st = write_plan(p, &o, &bytes, w);
    oi_free_mem(&p->engine.alloc, bytes.at);
    oi_options_clear(&o);
    return st;
}

static void release_bytes(void *user, void *data)
{
    (void)data;
    oi_buffer_release(user);
}

static oi_status load_from(const oi_bytes *bytes, const onnx_infer_options *o, onnx_infer_plan **out)
{
    oi_target target = {.isa = oi_session_isa(o)};
    oi_pack_store *store;
    onnx_infer_model *m;
    size_t n;
    OI_TRY(oi_pack_store_open(&o->alloc, bytes->data, bytes->size, bytes->buf, make_key(&target, "plan"), &store));
    const void *model = oi_pack_store_part(store, id_of("model"), &n);
    oi_status whole = oi_pack_store_check_all(store, o->pool);
    if (whole == ONNX_INFER_OK && !model)
        whole = oi_fail(ONNX_INFER_E_CACHE_STALE, "the saved plan has no model");
    if (whole != ONNX_INFER_OK) {
        oi_pack_store_close(store);
        return whole;
    }
    oi_model_source from = {.data = model, .bytes = n, .free_fn = release_bytes, .user = oi_buffer_retain(bytes->buf)};
    oi_status st = oi_model_load(&from, o, false, &m);
    if (st != ONNX_INFER_OK) {
        oi_buffer_release(bytes->buf); /* a failed load does not call release_bytes */
        oi_pack_store_close(store);
        return st;
    }
    st = oi_session_plan_with(m, o, store, out); /* takes the store over */
    oi_model_release(m);
    return st;
}

oi_status oi_plan_file_load(const onnx_infer_reader *r, const onnx_infer_options *o, onnx_infer_plan **out)
{
    onnx_infer_options defaults;
    onnx_infer_reader copying = *r; /* what it maps might go with it */
    oi_source source;
    oi_bytes bytes;
    *out = NULL;
    o = oi_options_or(o, &defaults);
    copying.map = NULL;
    oi_status st = oi_source_reader(&o->alloc, &copying, &source, &bytes);
    if (st == ONNX_INFER_OK)
        st = load_from(&bytes, o, out);
    oi_bytes_clear(&bytes);
    oi_source_close(&source);
    return st;
}
