/* The cache of packed constants: a list, since networks have hundreds of weights and not more. */
#include "optimizer/pack_cache.h"

#include <pthread.h>
#include <string.h>

enum { MAX_IN = OI_PACK_MAX_IN, MAX_TEXT = OI_PACK_MAX_TEXT };

typedef struct {
    const oi_op *op;
    char attr[MAX_TEXT]; /* as text */
    oi_tensor in[MAX_IN], result;
    uint32_t nin;
} entry;

struct oi_pack_cache {
    oi_alloc alloc;
    pthread_mutex_t lock;
    entry **entry;
    size_t n, cap;
    oi_pack_source source[OI_PACK_MAX_SOURCES];
    size_t nsource;
    oi_pack_store *store;
    size_t found, made;
};

oi_status oi_pack_cache_create(const oi_alloc *a, oi_pack_cache **out)
{
    oi_pack_cache *c = oi_alloc_mem(a, sizeof *c);
    *out = NULL;
    if (!c)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    c->alloc = a ? *a : oi_alloc_libc;
    if (pthread_mutex_init(&c->lock, NULL)) {
        oi_free_mem(a, c);
        return oi_fail_out_of_memory(sizeof c->lock);
    }
    *out = c;
    return ONNX_INFER_OK;
}

static void free_entry(const oi_alloc *a, entry *e)
{
    for (uint32_t i = 0; i < e->nin; i++)
        oi_tensor_clear(&e->in[i]);
    oi_tensor_clear(&e->result);
    oi_free_mem(a, e);
}

void oi_pack_cache_destroy(oi_pack_cache *c)
{
    if (!c)
        return;
    oi_alloc alloc = c->alloc;
    for (size_t i = 0; i < c->n; i++)
        free_entry(&alloc, c->entry[i]);
    oi_pack_store_close(c->store);
    pthread_mutex_destroy(&c->lock);
    oi_free_mem(&alloc, c->entry);
    oi_free_mem(&alloc, c);
}

/* The node's attributes as text and its inputs; false where the node is not for the cache. */
static bool describe(const oi_graph *g, const oi_node *n, char *attr, const oi_tensor **in)
{
    if (n->nin > MAX_IN || n->nout != 1 || !n->nin)
        return false;
    for (uint32_t i = 0; i < n->nin; i++) {
        in[i] = n->in[i] == OI_NONE ? NULL : g->value[n->in[i]].fact.konst;
        if (!in[i] || !in[i]->buf || in[i]->dtype == ONNX_INFER_STRING)
            return false;
    }
    attr[0] = 0;
    if (n->attr)
        oi_attr_text(n->op, n->attr, attr, MAX_TEXT);
    return strlen(attr) < MAX_TEXT - 8; /* may have been cut */
}

static bool same(const entry *e, const oi_node *n, const char *attr, const oi_tensor *const *in)
{
    if (e->op != n->op || e->nin != n->nin || strcmp(e->attr, attr) != 0)
        return false;
    for (uint32_t i = 0; i < e->nin; i++) {
        if (e->in[i].data != in[i]->data || e->in[i].dtype != in[i]->dtype || !oi_tensor_same_shape(&e->in[i], in[i]))
            return false;
    }
    return true;
}

bool oi_pack_cache_find(oi_pack_cache *c, const oi_graph *g, const oi_node *n, oi_tensor *out)
{
    const oi_tensor *in[MAX_IN];
    char attr[MAX_TEXT];
    bool found = false;
    if (!describe(g, n, attr, in))
        return false;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n && !found; i++) {
        if (same(c->entry[i], n, attr, in)) {
            oi_tensor_share(out, &c->entry[i]->result);
            found = true;
        }
    }
    if (!found && c->store) {
        const oi_pack_item item = {n->op, attr, in, n->nin};
        found = oi_pack_store_find(c->store, c->source, c->nsource, &item, out);
        c->found += found;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

void oi_pack_cache_use(oi_pack_cache *c, const oi_pack_source *source, size_t nsource, oi_pack_store *store)
{
    c->nsource = nsource < OI_PACK_MAX_SOURCES ? nsource : OI_PACK_MAX_SOURCES;
    memcpy(c->source, source, c->nsource * sizeof *source);
    c->store = store;
}

void oi_pack_cache_counts(oi_pack_cache *c, size_t *found, size_t *made)
{
    pthread_mutex_lock(&c->lock);
    *found = c->found;
    *made = c->made;
    pthread_mutex_unlock(&c->lock);
}

static oi_status save(oi_pack_cache *c, const oi_writer *w, oi_hash key, const void *model, size_t model_bytes)
{
    const oi_alloc *a = &c->alloc;
    oi_pack_item *item = oi_alloc_array(a, c->n + 1, sizeof *item);
    const oi_tensor **result = oi_alloc_array(a, c->n + 1, sizeof *result);
    const oi_tensor **in = oi_alloc_array(a, (c->n + 1) * MAX_IN, sizeof *in);
    oi_status st = item && result && in ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; st == ONNX_INFER_OK && i < c->n; i++) {
        const entry *e = c->entry[i];
        for (uint32_t k = 0; k < e->nin; k++)
            in[i * MAX_IN + k] = &e->in[k];
        item[i] = (oi_pack_item){e->op, e->attr, in + i * MAX_IN, e->nin};
        result[i] = &e->result;
    }
    if (st == ONNX_INFER_OK)
        st = oi_pack_store_write(a, w, key, model, model_bytes, c->store, c->source, c->nsource, c->n, item, result);
    oi_free_mem(a, item);
    oi_free_mem(a, result);
    oi_free_mem(a, in);
    return st;
}

oi_status oi_pack_cache_save(oi_pack_cache *c, const oi_writer *w, oi_hash key, const void *model, size_t model_bytes)
{
    pthread_mutex_lock(&c->lock);
    oi_status st = save(c, w, key, model, model_bytes);
    pthread_mutex_unlock(&c->lock);
    return st;
}

static bool held_elsewhere(const entry *e)
{
    for (uint32_t i = 0; i < e->nin; i++) {
        if (oi_buffer_is_unique(e->in[i].buf))
            return false;
    }
    return true;
}

/* Takes over the entry, also on failure. */
static oi_status add(oi_pack_cache *c, entry *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (held_elsewhere(c->entry[i]))
            c->entry[kept++] = c->entry[i];
        else
            free_entry(&c->alloc, c->entry[i]);
    }
    c->n = kept;
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 64;
        entry **grown = cap < SIZE_MAX / sizeof *grown ? oi_realloc_mem(&c->alloc, c->entry, cap * sizeof *grown) : NULL;
        if (!grown) {
            free_entry(&c->alloc, e);
            return ONNX_INFER_E_OUT_OF_MEMORY;
        }
        c->entry = grown;
        c->cap = cap;
    }
    c->entry[c->n++] = e;
    return ONNX_INFER_OK;
}

oi_status oi_pack_cache_add(oi_pack_cache *c, const oi_graph *g, const oi_node *n, const oi_tensor *result)
{
    const oi_tensor *in[MAX_IN];
    char attr[MAX_TEXT];
    if (!result->buf || !describe(g, n, attr, in))
        return ONNX_INFER_OK;
    for (uint32_t i = 0; i < n->nin; i++) {
        if (oi_buffer_is_unique(in[i]->buf))
            return ONNX_INFER_OK;
    }
    entry *e = oi_alloc_mem(&c->alloc, sizeof *e);
    if (!e)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    e->op = n->op;
    memcpy(e->attr, attr, sizeof attr);
    e->nin = n->nin;
    for (uint32_t i = 0; i < n->nin; i++)
        oi_tensor_share(&e->in[i], in[i]);
    oi_tensor_share(&e->result, result);
    pthread_mutex_lock(&c->lock);
    c->made++;
    oi_status st = add(c, e);
    pthread_mutex_unlock(&c->lock);
    return st;
}
