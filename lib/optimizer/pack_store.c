/* Packed constants in a file: its layout, checks, lookups and writing. */
#include "optimizer/pack_store.h"

#include "base/checked.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* The file, in the machine's own byte order: header, entries, model, results. Everything but the gaps between results is
 * under a hash. */
typedef struct {
    char magic[8];
    oi_hash key, entries_hash, model_hash;
    uint64_t n, entry_bytes, model_at, model_bytes, size;
    oi_hash self; /* of what is before it */
} header;

enum { IN_CONTENT = -1 };

typedef struct {
    oi_pack_key key;
    int64_t dtype, rank, dim[OI_MAX_RANK];
    uint64_t at, bytes;
    oi_hash content;
} entry;

struct oi_pack_store {
    oi_alloc alloc;
    const uint8_t *data;
    oi_buffer *buf;
    header head;
    const entry *at;
};

static const char magic[8] = {'O', 'I', 'P', 'A', 'C', 'K', 'S', '1'};

oi_hash oi_hash_bytes(const void *p, size_t n)
{
    XXH128_hash_t h = XXH3_128bits(p, n);
    return (oi_hash){h.low64, h.high64};
}

static bool hash_is(oi_hash want, const void *p, size_t n)
{
    oi_hash h = oi_hash_bytes(p, n);
    return h.low == want.low && h.high == want.high;
}

static oi_status damaged(const char *what)
{
    return oi_fail(ONNX_INFER_E_CACHE_STALE, "the saved plan is damaged: %s", what);
}

static bool inside(uint64_t at, uint64_t bytes, size_t size)
{
    return at <= size && bytes <= size - at;
}

static oi_status check_entry(const uint8_t *data, size_t size, const entry *e)
{
    oi_tensor t;
    if (e->rank < 0 || e->rank > OI_MAX_RANK || e->dtype <= 0 || e->dtype >= OI_DTYPE_COUNT || e->dtype == ONNX_INFER_STRING ||
        oi_tensor_describe(&t, (oi_dtype)e->dtype, (int32_t)e->rank, e->dim) || t.bytes != e->bytes || e->at % OI_ALIGN ||
        !inside(e->at, e->bytes, size))
        return damaged("a constant has no sense");
    return hash_is(e->content, data + e->at, (size_t)e->bytes) ? ONNX_INFER_OK : damaged("a constant's bytes have changed");
}

static oi_status check(const uint8_t *data, size_t size, oi_hash key, header *h)
{
    if (size < sizeof *h)
        return damaged("it is cut off");
    memcpy(h, data, sizeof *h);
    if (memcmp(h->magic, magic, sizeof magic))
        return damaged("it begins like no such file");
    if (!hash_is(h->self, h, offsetof(header, self)) || h->entry_bytes != sizeof(entry))
        return damaged("its header has changed");
    OI_FAIL_IF(h->key.low != key.low || h->key.high != key.high, ONNX_INFER_E_CACHE_STALE,
               "the saved plan is for another model, build or instruction set");
    uint64_t table;
    if (h->size != size || __builtin_mul_overflow(h->n, (uint64_t)sizeof(entry), &table) || !inside(sizeof *h, table, size))
        return damaged("it is cut off");
    if (!hash_is(h->entries_hash, data + sizeof *h, (size_t)table))
        return damaged("its table has changed");
    if (!inside(h->model_at, h->model_bytes, size) || !hash_is(h->model_hash, data + h->model_at, (size_t)h->model_bytes))
        return damaged("its model has changed");
    const entry *e = (const entry *)(const void *)(data + sizeof *h);
    for (uint64_t i = 0; i < h->n; i++)
        OI_TRY(check_entry(data, size, &e[i]));
    return ONNX_INFER_OK;
}

oi_status oi_pack_store_open(const oi_alloc *a, const void *data, size_t size, oi_buffer *buf, oi_hash key, oi_pack_store **out)
{
    header h;
    *out = NULL;
    OI_FAIL_IF((uintptr_t)data % OI_ALIGN, ONNX_INFER_E_INTERNAL, "a saved plan is not aligned");
    OI_TRY(check(data, size, key, &h));
    oi_pack_store *s = oi_alloc_mem(a, sizeof *s);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    *s = (oi_pack_store){.alloc = a ? *a : oi_alloc_libc, .data = data, .buf = oi_buffer_retain(buf), .head = h,
                         .at = (const entry *)(const void *)((const uint8_t *)data + sizeof h)};
    *out = s;
    return ONNX_INFER_OK;
}

void oi_pack_store_close(oi_pack_store *s)
{
    if (!s)
        return;
    oi_alloc alloc = s->alloc;
    oi_buffer_release(s->buf);
    oi_free_mem(&alloc, s);
}

const void *oi_pack_store_model(const oi_pack_store *s, size_t *bytes)
{
    *bytes = (size_t)s->head.model_bytes;
    return s->data + s->head.model_at;
}

size_t oi_pack_store_count(const oi_pack_store *s)
{
    return s ? (size_t)s->head.n : 0;
}

/* --- keys ------------------------------------------------------------------------------------------------------------ */

/* The hash of a constant that is one of the store's own is in the table already. */
static const entry *own_entry(const oi_pack_store *s, const oi_tensor *t)
{
    const uint8_t *p = t->data;
    for (uint64_t i = 0; s && p >= s->data && p < s->data + s->head.size && i < s->head.n; i++) {
        if (s->data + s->at[i].at == p && s->at[i].bytes == t->bytes)
            return &s->at[i];
    }
    return NULL;
}

static void key_input(oi_pack_input *k, const oi_pack_store *s, const oi_pack_source *source, size_t nsource, const oi_tensor *t)
{
    const entry *own = own_entry(s, t);
    const uint8_t *p = t->data;
    k->source = IN_CONTENT;
    k->bytes = t->bytes;
    k->dtype = t->dtype;
    k->rank = t->rank;
    memcpy(k->dim, t->dim, (size_t)t->rank * sizeof *t->dim);
    for (size_t i = 0; i < nsource && !own; i++) {
        const uint8_t *from = source[i].data;
        if (p < from || p > from + source[i].size || t->bytes > (size_t)(from + source[i].size - p))
            continue;
        k->source = (int64_t)i;
        k->at = (uint64_t)(p - from);
        return;
    }
    k->content = own ? own->content : oi_hash_bytes(p, t->bytes);
}

bool oi_pack_key_make(oi_pack_key *k, const oi_pack_store *s, const oi_pack_source *source, size_t nsource,
                      const oi_pack_item *item)
{
    memset(k, 0, sizeof *k);
    if (item->nin > OI_PACK_MAX_IN || strlen(item->op->name) >= sizeof k->op || strlen(item->attr) >= sizeof k->attr)
        return false;
    strcpy(k->op, item->op->name);
    strcpy(k->attr, item->attr);
    k->nin = item->nin;
    for (uint32_t i = 0; i < item->nin; i++)
        key_input(&k->in[i], s, source, nsource, item->in[i]);
    return true;
}

bool oi_pack_store_find(const oi_pack_store *s, const oi_pack_key *key, oi_tensor *out)
{
    for (uint64_t i = 0; s && i < s->head.n; i++) {
        const entry *e = &s->at[i];
        if (memcmp(&e->key, key, sizeof *key) || oi_tensor_describe(out, (oi_dtype)e->dtype, (int32_t)e->rank, e->dim))
            continue;
        out->data = (void *)(uintptr_t)(s->data + e->at);
        out->buf = oi_buffer_retain(s->buf);
        return true;
    }
    return false;
}

/* --- writing --------------------------------------------------------------------------------------------------------- */

typedef struct {
    entry *e;
    const void **data;
    size_t n;
} table;

static void add(table *t, const oi_pack_key *key, const oi_tensor *result)
{
    entry *e = &t->e[t->n];
    for (size_t i = 0; i < t->n; i++) {
        if (!memcmp(&t->e[i].key, key, sizeof *key))
            return;
    }
    e->key = *key;
    e->dtype = result->dtype;
    e->rank = result->rank;
    memcpy(e->dim, result->dim, (size_t)result->rank * sizeof *e->dim);
    e->bytes = result->bytes;
    e->content = oi_hash_bytes(result->data, result->bytes);
    t->data[t->n++] = result->data;
}

static uint64_t aligned(uint64_t at)
{
    return (at + OI_ALIGN - 1) / OI_ALIGN * OI_ALIGN;
}

static oi_status pad(const oi_writer *w, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[OI_ALIGN];
    return oi_write(w, zeros, (size_t)(to - from));
}

static oi_status put(const oi_writer *w, oi_hash key, const void *model, size_t model_bytes, const table *t)
{
    header h = {.key = key, .n = t->n, .entry_bytes = sizeof(entry), .model_bytes = model_bytes};
    uint64_t at = aligned(sizeof h + t->n * sizeof(entry));
    memcpy(h.magic, magic, sizeof magic);
    h.model_at = at;
    h.model_hash = oi_hash_bytes(model, model_bytes);
    at = aligned(at + model_bytes);
    for (size_t i = 0; i < t->n; i++) {
        t->e[i].at = at;
        at = aligned(at + t->e[i].bytes);
    }
    h.entries_hash = oi_hash_bytes(t->e, t->n * sizeof(entry));
    h.size = at;
    h.self = oi_hash_bytes(&h, offsetof(header, self));
    OI_TRY(oi_write(w, &h, sizeof h));
    OI_TRY(oi_write(w, t->e, t->n * sizeof(entry)));
    OI_TRY(pad(w, sizeof h + t->n * sizeof(entry), h.model_at));
    OI_TRY(oi_write(w, model, model_bytes));
    OI_TRY(pad(w, h.model_at + model_bytes, aligned(h.model_at + model_bytes)));
    for (size_t i = 0; i < t->n; i++) {
        OI_TRY(oi_write(w, t->data[i], (size_t)t->e[i].bytes));
        OI_TRY(pad(w, t->e[i].at + t->e[i].bytes, aligned(t->e[i].at + t->e[i].bytes)));
    }
    return ONNX_INFER_OK;
}

oi_status oi_pack_store_write(const oi_alloc *a, const oi_writer *w, oi_hash key, const void *model, size_t model_bytes,
                              const oi_pack_store *old, size_t n, const oi_packed *const *packed)
{
    size_t most = n + oi_pack_store_count(old);
    table t = {oi_alloc_array(a, most + 1, sizeof *t.e), oi_alloc_array(a, most + 1, sizeof *t.data), 0};
    oi_status st = t.e && t.data ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; st == ONNX_INFER_OK && i < oi_pack_store_count(old); i++) {
        t.e[t.n] = old->at[i];
        t.data[t.n++] = old->data + old->at[i].at;
    }
    for (size_t i = 0; st == ONNX_INFER_OK && i < n; i++)
        add(&t, &packed[i]->key, &packed[i]->result);
    if (st == ONNX_INFER_OK)
        st = put(w, key, model ? model : "", model_bytes, &t);
    oi_free_mem(a, t.e);
    oi_free_mem(a, t.data);
    return st;
}
