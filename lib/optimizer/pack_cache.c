/* The cache of packed constants: a list, since networks have hundreds of weights and not more. */
#include "optimizer/pack_cache.h"

#include <pthread.h>
#include <string.h>

enum { MAX_IN = OI_PACK_MAX_IN, MAX_TEXT = OI_PACK_MAX_TEXT, LONGEST_STRING = 40 };

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
    size_t found;
    bool keeps;
    oi_packed **kept; /* what was made for later processes; told by keys, so that inputs may go */
    size_t nkept, kept_cap;
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
    for (size_t i = 0; i < c->nkept; i++) {
        oi_tensor_clear(&c->kept[i]->result);
        oi_free_mem(&alloc, c->kept[i]);
    }
    oi_free_mem(&alloc, c->kept);
    oi_pack_store_close(c->store);
    pthread_mutex_destroy(&c->lock);
    oi_free_mem(&alloc, c->entry);
    oi_free_mem(&alloc, c);
}

/* The text of the attributes says all of them: no tensors, no long texts. */
static bool is_told_by_text(const oi_node *n)
{
    for (const oi_attr_spec *s = n->op->attrs; s && s->name && n->attr; s++) {
        const void *at = (const char *)n->attr + s->offset;
        const char *text = s->type == OI_ATTR_STRING ? *(const char *const *)at : NULL;
        if (text ? strlen(text) > LONGEST_STRING
                 : s->type != OI_ATTR_INT && s->type != OI_ATTR_ENUM && s->type != OI_ATTR_FLOAT && s->type != OI_ATTR_INTS &&
                       s->type != OI_ATTR_FLOATS && !oi_attr_is_default(s, at))
            return false;
    }
    return true;
}

/* The node's attributes as text and its inputs; false where the node is not for the cache. */
static bool describe(const oi_graph *g, const oi_node *n, char *attr, const oi_tensor **in)
{
    if (n->nin > MAX_IN || n->nout != 1 || !n->nin || !is_told_by_text(n))
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

/* What comes out of a file is what inference says that the node makes. */
static bool fits(const oi_fact *f, const oi_tensor *t)
{
    int32_t rank;
    int64_t dims[OI_MAX_RANK];
    if (f->kind != ONNX_INFER_TENSOR || (f->dtype != ONNX_INFER_UNDEFINED && f->dtype != t->dtype))
        return false;
    return !oi_fact_dims(f, &rank, dims) || (rank == t->rank && !memcmp(dims, t->dim, (size_t)rank * sizeof *dims));
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
    pthread_mutex_unlock(&c->lock);
    if (!found && c->store && oi_pack_store_count(c->store)) {
        const oi_pack_item item = {n->op, attr, in, n->nin};
        oi_pack_key key;
        found = oi_pack_key_make(&key, c->store, c->source, c->nsource, &item) && oi_pack_store_find(c->store, &key, out);
        if (found && !fits(&g->value[n->out[0]].fact, out)) {
            oi_tensor_clear(out);
            found = false;
        }
        pthread_mutex_lock(&c->lock);
        c->found += found;
        pthread_mutex_unlock(&c->lock);
    }
    return found;
}

void oi_pack_cache_use(oi_pack_cache *c, const oi_pack_source *source, size_t nsource, oi_pack_store *store, bool keeps)
{
    c->keeps = keeps;
    c->nsource = nsource < OI_PACK_MAX_SOURCES ? nsource : OI_PACK_MAX_SOURCES;
    memcpy(c->source, source, c->nsource * sizeof *source);
    c->store = store;
}

void oi_pack_cache_counts(oi_pack_cache *c, size_t *found, size_t *made)
{
    pthread_mutex_lock(&c->lock);
    *found = c->found;
    *made = c->nkept;
    pthread_mutex_unlock(&c->lock);
}

oi_pack_store *oi_pack_cache_store(const oi_pack_cache *c)
{
    return c->store;
}

oi_status oi_pack_cache_list(oi_pack_cache *c, oi_pack_list *l)
{
    oi_status st = ONNX_INFER_OK;
    uint32_t index;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; st == ONNX_INFER_OK && i < c->nkept; i++)
        st = oi_pack_list_add(l, &c->kept[i]->key, &c->kept[i]->result, &index);
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

static oi_status push_kept(oi_pack_cache *c, oi_packed *made)
{
    if (c->nkept == c->kept_cap) {
        size_t cap = c->kept_cap ? 2 * c->kept_cap : 64;
        oi_packed **grown = cap < SIZE_MAX / sizeof *grown ? oi_realloc_mem(&c->alloc, c->kept, cap * sizeof *grown) : NULL;
        if (!grown)
            return ONNX_INFER_E_OUT_OF_MEMORY;
        c->kept = grown;
        c->kept_cap = cap;
    }
    c->kept[c->nkept++] = made;
    return ONNX_INFER_OK;
}

static oi_status keep(oi_pack_cache *c, const oi_pack_item *item, const oi_tensor *result)
{
    oi_packed *made = oi_alloc_mem(&c->alloc, sizeof *made);
    if (!made)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    if (!oi_pack_key_make(&made->key, c->store, c->source, c->nsource, item)) {
        oi_free_mem(&c->alloc, made);
        return ONNX_INFER_OK;
    }
    oi_tensor_share(&made->result, result);
    pthread_mutex_lock(&c->lock);
    oi_status st = push_kept(c, made);
    pthread_mutex_unlock(&c->lock);
    if (st != ONNX_INFER_OK) {
        oi_tensor_clear(&made->result);
        oi_free_mem(&c->alloc, made);
    }
    return st;
}

oi_status oi_pack_cache_add(oi_pack_cache *c, const oi_graph *g, const oi_node *n, const oi_tensor *result)
{
    const oi_tensor *in[MAX_IN];
    char attr[MAX_TEXT];
    if (!result->buf || !describe(g, n, attr, in))
        return ONNX_INFER_OK;
    if (c->keeps)
        OI_TRY(keep(c, &(oi_pack_item){n->op, attr, in, n->nin}, result));
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
    oi_status st = add(c, e);
    pthread_mutex_unlock(&c->lock);
    return st;
}
