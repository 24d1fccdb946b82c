/* Plans in files. A file holds packed weights by what they are made from (optimizer/pack_store.h): planning with it does all but
 * packing, so that whatever else changes in a program is never out of date. A saved plan holds its model too, decluttered. */
#include "runtime/plan_file.h"

#include "runtime/new_file.h"

#include <string.h>

/* What a file is for: this build, its way of packing, an instruction set, and `model`: a model's hash. */
static oi_hash make_key(const oi_target *target, const char *model)
{
    char text[200];
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

static oi_pack_store *open_cached(onnx_infer_plan *p)
{
    const oi_alloc *a = &p->engine.alloc;
    oi_error keep = *oi_error_current(); /* a success must not touch the thread's record */
    oi_pack_store *store = NULL;
    oi_source source;
    oi_bytes bytes;
    oi_status st = oi_source_file(a, p->cache_path, &source, &bytes);
    if (st == ONNX_INFER_OK)
        st = oi_pack_store_open(a, bytes.data, bytes.size, bytes.buf, p->cache_key, &store);
    if (st == ONNX_INFER_E_CACHE_STALE)
        oi_log_write(&p->engine.log, ONNX_INFER_LOG_WARNING, "%s is made anew: %s", p->cache_path, oi_error_current()->message);
    oi_bytes_clear(&bytes);
    oi_source_close(&source);
    *oi_error_current() = keep;
    return store;
}

oi_status oi_plan_file_attach(onnx_infer_plan *p, const onnx_infer_options *o, oi_pack_store *store)
{
    oi_pack_source source[OI_PACK_MAX_SOURCES];
    size_t n = list_sources(p->model, source);
    oi_pack_cache_use(p->engine.target.packs, source, n, store, store != NULL || o->keep_packs);
    if (store || !o->cache_dir || p->engine.stage != OI_STAGE_LOWERED || p->model->file->nsource > OI_PACK_MAX_SOURCES)
        return ONNX_INFER_OK;
    size_t most = strlen(o->cache_dir) + 80;
    p->cache_path = oi_alloc_mem(&p->engine.alloc, most);
    if (!p->cache_path)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    p->cache_key = make_key(&p->engine.target, oi_model_hash(p->model));
    snprintf(p->cache_path, most, "%s/%016llx%016llx.onnx_infer", o->cache_dir, (unsigned long long)p->cache_key.high,
             (unsigned long long)p->cache_key.low);
    oi_pack_cache_use(p->engine.target.packs, source, n, open_cached(p), true);
    return ONNX_INFER_OK;
}

void oi_plan_file_update(onnx_infer_plan *p)
{
    oi_new_file f = {0};
    size_t found, made;
    if (!p->cache_path || !p->engine.target.packs)
        return;
    oi_pack_cache_counts(p->engine.target.packs, &found, &made);
    if (made == p->cache_made)
        return;
    oi_error keep = *oi_error_current();
    oi_status st = oi_new_file_open(&f, p->cache_path, "");
    const oi_writer w = oi_new_file_writer(&f);
    if (st == ONNX_INFER_OK)
        st = oi_pack_cache_save(p->engine.target.packs, &w, p->cache_key, NULL, 0);
    st = oi_new_file_finish(&f, st);
    if (st != ONNX_INFER_OK)
        oi_log_write(&p->engine.log, ONNX_INFER_LOG_WARNING, "the plan is not cached: %s", oi_error_current()->message);
    *oi_error_current() = keep;
    p->cache_made = made; /* also after a failure: once is enough */
}

void oi_plan_file_detach(onnx_infer_plan *p)
{
    oi_free_mem(&p->engine.alloc, p->cache_path);
    p->cache_path = NULL;
}

/* --- saved plans -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const oi_alloc *alloc;
    char *at;
    size_t n, cap;
    bool full;
} memory;

static int append(void *user, const void *p, size_t n)
{
    memory *m = user;
    if (n > m->cap - m->n) {
        size_t cap = m->cap + m->cap / 2 + n + 4096;
        char *grown = cap > m->cap ? oi_realloc_mem(m->alloc, m->at, cap) : NULL;
        m->full = !grown;
        if (!grown)
            return -1;
        m->at = grown;
        m->cap = cap;
    }
    if (n)
        memcpy(m->at + m->n, p, n);
    m->n += n;
    return 0;
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
static oi_status write_plan(const onnx_infer_plan *p, const onnx_infer_options *o, memory *bytes, const oi_writer *w)
{
    const oi_writer to = {bytes, append};
    onnx_infer_model *m;
    onnx_infer_plan *again = NULL;
    oi_status saved = oi_model_save(p->model, o, &to, NULL, NULL);
    if (saved != ONNX_INFER_OK)
        return bytes->full ? oi_fail_out_of_memory(bytes->cap) : saved;
    OI_TRY(oi_model_load(&(oi_model_source){.data = bytes->at, .bytes = bytes->n}, o, false, &m));
    oi_status st = oi_session_plan(m, o, &again);
    if (st == ONNX_INFER_OK)
        st = oi_pack_cache_save(again->engine.target.packs, w, make_key(&p->engine.target, "plan"), bytes->at, bytes->n);
    oi_session_release(again);
    oi_model_release(m);
    return st;
}

oi_status oi_plan_file_save(const onnx_infer_plan *p, const oi_writer *w)
{
    onnx_infer_options o;
    memory bytes = {.alloc = &p->engine.alloc};
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
    const void *model = oi_pack_store_model(store, &n);
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
    oi_options_init(&defaults);
    if (!o)
        o = &defaults;
    copying.map = NULL;
    oi_status st = oi_source_reader(&o->alloc, &copying, &source, &bytes);
    if (st == ONNX_INFER_OK)
        st = load_from(&bytes, o, out);
    oi_bytes_clear(&bytes);
    oi_source_close(&source);
    return st;
}
