/* Graphs in cache files: where their constants are, and what is checked before they are used. */
#include "runtime/graph_cache.h"

enum { IN_SOURCE = 1, IN_FILE = 2 };

/* --- reading ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    const oi_graph_cache *c;
    uint32_t *used; /* constants of the file that the graph has */
    size_t nused, cap;
} lookup;

static oi_status get_from_file(lookup *x, const oi_const_ref *ref, oi_tensor *t)
{
    oi_tensor there;
    OI_FAIL_IF(!oi_pack_store_entry(x->c->store, ref->index, &there), ONNX_INFER_E_CACHE_STALE, "the saved plan has no constant %u",
               ref->index);
    const bool fits = there.bytes == t->bytes && there.dtype == t->dtype;
    if (x->nused == x->cap && fits) {
        size_t cap = x->cap ? 2 * x->cap : 64;
        uint32_t *grown = oi_realloc_mem(x->c->alloc, x->used, cap * sizeof *grown);
        if (!grown) {
            oi_tensor_clear(&there);
            return ONNX_INFER_E_OUT_OF_MEMORY;
        }
        x->used = grown;
        x->cap = cap;
    }
    if (!fits) {
        oi_tensor_clear(&there);
        return oi_fail(ONNX_INFER_E_CACHE_STALE, "constant %u of the saved plan is another", ref->index);
    }
    x->used[x->nused++] = ref->index;
    t->data = there.data;
    t->buf = there.buf;
    return ONNX_INFER_OK;
}

static oi_status get_constant(void *user, const oi_const_ref *ref, oi_tensor *t)
{
    lookup *x = user;
    const oi_graph_cache *c = x->c;
    if (ref->place == IN_FILE)
        return get_from_file(x, ref, t);
    OI_FAIL_IF(ref->place != IN_SOURCE || ref->index >= c->nsource || ref->at > c->source[ref->index].size ||
                   t->bytes > c->source[ref->index].size - ref->at,
               ONNX_INFER_E_CACHE_STALE, "a constant of the saved plan is not in the model");
    t->data = (void *)(uintptr_t)(c->source[ref->index].data + ref->at);
    t->buf = oi_buffer_retain(c->source[ref->index].buf);
    return ONNX_INFER_OK;
}

static void tell(const oi_graph_cache *c, oi_status st)
{
    if (st == ONNX_INFER_E_CACHE_STALE)
        oi_log_write(c->log, ONNX_INFER_LOG_INFO, "planned anew: %s", oi_error_current()->message);
}

static bool begin(const oi_graph_cache *c, oi_hash id, oi_cursor *cursor)
{
    *cursor = (oi_cursor){0};
    cursor->data = c->store ? oi_pack_store_part(c->store, id, &cursor->n) : NULL;
    return cursor->data != NULL;
}

oi_graph *oi_graph_cache_find(const oi_graph_cache *c, oi_hash id, oi_pool *pool)
{
    lookup x = {.c = c};
    const oi_const_reader r = {get_constant, &x};
    oi_cursor cursor;
    oi_graph *g = NULL;
    if (!begin(c, id, &cursor))
        return NULL;
    oi_error keep = *oi_error_current(); /* a success must not touch the thread's record */
    oi_status st = oi_graph_read(&cursor, c->alloc, c->log, oi_pack_store_buffer(c->store), &r, &g);
    if (st == ONNX_INFER_OK)
        st = oi_pack_store_check(c->store, pool, x.used, x.nused);
    if (st != ONNX_INFER_OK) {
        tell(c, st);
        oi_graph_destroy(g);
        g = NULL;
    }
    *oi_error_current() = keep;
    oi_free_mem(c->alloc, x.used);
    return g;
}

oi_onnx_model *oi_graph_cache_find_model(const oi_graph_cache *c, oi_hash id, oi_pool *pool)
{
    lookup x = {.c = c};
    const oi_const_reader r = {get_constant, &x};
    oi_cursor cursor;
    oi_onnx_model *m = NULL;
    if (!begin(c, id, &cursor))
        return NULL;
    oi_error keep = *oi_error_current();
    oi_status st = oi_onnx_model_read(&cursor, c->alloc, c->log, oi_pack_store_buffer(c->store), &r, c->source, &m);
    if (st == ONNX_INFER_OK)
        st = oi_pack_store_check(c->store, pool, x.used, x.nused);
    if (st != ONNX_INFER_OK) {
        tell(c, st);
        oi_onnx_free(m);
        m = NULL;
    }
    *oi_error_current() = keep;
    oi_free_mem(c->alloc, x.used);
    return m;
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    const oi_graph_cache *c;
    oi_pack_list *list;
} target;

static oi_status put_constant(void *user, const oi_tensor *t, oi_const_ref *ref)
{
    const target *x = user;
    const uint8_t *p = t->data;
    for (uint32_t i = 0; i < x->c->nsource; i++) {
        const oi_bytes *s = &x->c->source[i];
        if (p >= s->data && p <= s->data + s->size && t->bytes <= (size_t)(s->data + s->size - p)) {
            *ref = (oi_const_ref){IN_SOURCE, i, (uint64_t)(p - s->data)};
            return ONNX_INFER_OK;
        }
    }
    ref->place = IN_FILE;
    return oi_pack_list_add(x->list, NULL, t, &ref->index);
}

/* Takes the blob over. */
static oi_status finish(oi_pack_list *l, oi_hash id, oi_blob *b, oi_status st)
{
    if (st == ONNX_INFER_OK)
        return oi_pack_list_add_part(l, id, b->at, b->n);
    oi_free_mem(b->alloc, b->at);
    return st == ONNX_INFER_E_UNSUPPORTED_OP ? ONNX_INFER_OK : st;
}

oi_status oi_graph_cache_add(const oi_graph_cache *c, oi_pack_list *l, oi_hash id, const oi_graph *g)
{
    target x = {c, l};
    oi_blob b = {.alloc = c->alloc};
    return finish(l, id, &b, oi_graph_write(g, &b, &(oi_const_writer){put_constant, &x}));
}

oi_status oi_graph_cache_add_model(const oi_graph_cache *c, oi_pack_list *l, oi_hash id, const oi_onnx_model *m)
{
    target x = {c, l};
    oi_blob b = {.alloc = c->alloc};
    return finish(l, id, &b, oi_onnx_model_write(m, &b, &(oi_const_writer){put_constant, &x}));
}
