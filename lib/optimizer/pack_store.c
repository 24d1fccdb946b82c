/* Files of packed constants: layout, checks and lookups. */
#include "optimizer/pack_layout.h"

#include "base/checked.h"

#include <stdatomic.h>
#include <string.h>

struct oi_pack_store {
    oi_alloc alloc;
    atomic_uint refs;
    const uint8_t *data;
    oi_buffer *buf;
    oi_pack_header head;
    const oi_pack_entry *entry;
    const oi_pack_part *part;
    atomic_uchar *state; /* of entries, then of parts: UNKNOWN until the bytes have been checked */
    atomic_bool damaged;
};

enum { UNKNOWN, GOOD, BAD };

const char oi_pack_magic[8] = {'O', 'I', 'P', 'A', 'C', 'K', 'S', '2'};

static oi_status damaged(const char *what)
{
    return oi_fail(ONNX_INFER_E_CACHE_STALE, "the saved plan is damaged: %s", what);
}

static bool inside(uint64_t at, uint64_t bytes, size_t size)
{
    return at <= size && bytes <= size - at;
}

static bool entry_fits(const oi_pack_entry *e, size_t size)
{
    oi_tensor t;
    return e->rank >= 0 && e->rank <= OI_MAX_RANK && e->dtype > 0 && e->dtype < OI_DTYPE_COUNT && e->dtype != ONNX_INFER_STRING &&
           !oi_tensor_describe(&t, (oi_dtype)e->dtype, (int32_t)e->rank, e->dim) && t.bytes == e->bytes && e->at % OI_ALIGN == 0 &&
           inside(e->at, e->bytes, size);
}

static oi_status check_tables(const uint8_t *data, size_t size, oi_hash key, oi_pack_header *h)
{
    if (size < sizeof *h)
        return damaged("it is cut off");
    memcpy(h, data, sizeof *h);
    if (memcmp(h->magic, oi_pack_magic, sizeof oi_pack_magic))
        return damaged("it begins like no such file");
    if (!oi_hash_equal(oi_hash_bytes(h, offsetof(oi_pack_header, self)), h->self) || h->entry_bytes != sizeof(oi_pack_entry))
        return damaged("its header has changed");
    OI_FAIL_IF(!oi_hash_equal(h->key, key), ONNX_INFER_E_CACHE_STALE,
               "the saved plan is for another model, build or instruction set");
    if (h->size != size || h->n > size / sizeof(oi_pack_entry) || h->nparts > size / sizeof(oi_pack_part))
        return damaged("it is cut off");
    size_t entries = (size_t)h->n * sizeof(oi_pack_entry), parts = (size_t)h->nparts * sizeof(oi_pack_part);
    if (entries + parts > size - sizeof *h)
        return damaged("it is cut off");
    if (!oi_hash_equal(oi_hash_bytes(data + sizeof *h, entries + parts), h->tables))
        return damaged("its tables have changed");
    const oi_pack_entry *e = (const void *)(data + sizeof *h);
    const oi_pack_part *p = (const void *)(data + sizeof *h + entries);
    for (uint64_t i = 0; i < h->n; i++) {
        if (!entry_fits(&e[i], size))
            return damaged("a constant has no sense");
    }
    for (uint64_t i = 0; i < h->nparts; i++) {
        if (!inside(p[i].at, p[i].bytes, size) || p[i].at % OI_PACK_PART_ALIGN)
            return damaged("a part has no sense");
    }
    return ONNX_INFER_OK;
}

oi_status oi_pack_store_open(const oi_alloc *a, const void *data, size_t size, oi_buffer *buf, oi_hash key, oi_pack_store **out)
{
    oi_pack_header h;
    *out = NULL;
    OI_FAIL_IF((uintptr_t)data % OI_ALIGN, ONNX_INFER_E_INTERNAL, "a saved plan is not aligned");
    OI_TRY(check_tables(data, size, key, &h));
    oi_pack_store *s = oi_alloc_mem(a, sizeof *s + (size_t)(h.n + h.nparts) * sizeof *s->state);
    if (!s)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    s->alloc = a ? *a : oi_alloc_libc;
    s->data = data;
    s->buf = oi_buffer_retain(buf);
    s->head = h;
    s->entry = (const void *)(s->data + sizeof h);
    s->part = (const void *)(s->entry + h.n);
    s->state = (void *)(s + 1);
    atomic_init(&s->refs, 1);
    *out = s;
    return ONNX_INFER_OK;
}

oi_pack_store *oi_pack_store_retain(oi_pack_store *s)
{
    if (s)
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void oi_pack_store_close(oi_pack_store *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    oi_alloc alloc = s->alloc;
    oi_buffer_release(s->buf);
    oi_free_mem(&alloc, s);
}

oi_hash oi_pack_store_key(const oi_pack_store *s)
{
    return s->head.key;
}

oi_buffer *oi_pack_store_buffer(const oi_pack_store *s)
{
    return s->buf;
}

bool oi_pack_store_damaged(const oi_pack_store *s)
{
    return atomic_load_explicit(&s->damaged, memory_order_relaxed);
}

size_t oi_pack_store_count(const oi_pack_store *s)
{
    return s ? (size_t)s->head.n : 0;
}

size_t oi_pack_store_parts(const oi_pack_store *s)
{
    return s ? (size_t)s->head.nparts : 0;
}

/* --- checking --------------------------------------------------------------------------------------------------------- */

static bool settle(const oi_pack_store *s, size_t i, bool good)
{
    oi_pack_store *mine = (oi_pack_store *)(uintptr_t)s; /* what has been found out of a store does not change it */
    atomic_store_explicit(&mine->state[i], good ? GOOD : BAD, memory_order_relaxed);
    if (!good)
        atomic_store_explicit(&mine->damaged, true, memory_order_relaxed);
    return good;
}

static oi_status check_items(oi_pack_store *s, oi_pool *pool, const uint32_t *index, size_t n)
{
    oi_hash_item *item = oi_alloc_array(&s->alloc, n + 1, sizeof *item);
    uint32_t *which = oi_alloc_array(&s->alloc, n + 1, sizeof *which);
    size_t asked = 0;
    bool good = true;
    oi_status st = item && which ? ONNX_INFER_OK : ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t k = 0; st == ONNX_INFER_OK && k < n; k++) {
        const oi_pack_entry *e = &s->entry[index[k]];
        unsigned state = atomic_load_explicit(&s->state[index[k]], memory_order_relaxed);
        good = good && state != BAD;
        if (state != UNKNOWN)
            continue;
        which[asked] = index[k];
        item[asked++] = (oi_hash_item){.data = s->data + e->at, .n = e->bytes};
    }
    if (st == ONNX_INFER_OK)
        st = oi_hash_items(&s->alloc, pool, item, asked);
    for (size_t k = 0; st == ONNX_INFER_OK && k < asked; k++)
        good = settle(s, which[k], oi_hash_equal(item[k].hash, s->entry[which[k]].content)) && good;
    oi_free_mem(&s->alloc, item);
    oi_free_mem(&s->alloc, which);
    return st != ONNX_INFER_OK || good ? st : damaged("a constant's bytes have changed");
}

oi_status oi_pack_store_check(oi_pack_store *s, oi_pool *pool, const uint32_t *index, size_t n)
{
    for (size_t k = 0; k < n; k++)
        OI_FAIL_IF(index[k] >= s->head.n, ONNX_INFER_E_CACHE_STALE, "the saved plan is damaged: it has no constant %u", index[k]);
    return n ? check_items(s, pool, index, n) : ONNX_INFER_OK;
}

static const void *part_bytes(const oi_pack_store *s, size_t i, size_t *bytes)
{
    const oi_pack_part *p = &s->part[i];
    size_t at = (size_t)s->head.n + i;
    unsigned state = atomic_load_explicit(&s->state[at], memory_order_relaxed);
    *bytes = 0;
    if (state == BAD ||
        (state == UNKNOWN && !settle(s, at, oi_hash_equal(oi_hash_bytes(s->data + p->at, (size_t)p->bytes), p->content))))
        return NULL;
    *bytes = (size_t)p->bytes;
    return s->data + p->at;
}

const void *oi_pack_store_part(const oi_pack_store *s, oi_hash id, size_t *bytes)
{
    *bytes = 0;
    for (size_t i = 0; i < oi_pack_store_parts(s); i++) {
        if (oi_hash_equal(s->part[i].id, id))
            return part_bytes(s, i, bytes);
    }
    return NULL;
}

oi_hash oi_pack_store_part_id(const oi_pack_store *s, size_t i)
{
    return s->part[i].id;
}

oi_status oi_pack_store_check_all(oi_pack_store *s, oi_pool *pool)
{
    size_t n = (size_t)s->head.n, bytes;
    for (size_t i = 0; i < s->head.nparts; i++) {
        if (!part_bytes(s, i, &bytes))
            return damaged("a part has changed");
    }
    uint32_t *index = oi_alloc_array(&s->alloc, n + 1, sizeof *index);
    if (!index)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++)
        index[i] = (uint32_t)i;
    oi_status st = oi_pack_store_check(s, pool, index, n);
    oi_free_mem(&s->alloc, index);
    return st;
}

bool oi_pack_store_entry(const oi_pack_store *s, size_t i, oi_tensor *out)
{
    if (i >= s->head.n || oi_tensor_describe(out, (oi_dtype)s->entry[i].dtype, (int32_t)s->entry[i].rank, s->entry[i].dim))
        return false;
    out->data = (void *)(uintptr_t)(s->data + s->entry[i].at);
    out->buf = oi_buffer_retain(s->buf);
    return true;
}

/* --- keys ------------------------------------------------------------------------------------------------------------ */

bool oi_pack_store_own(const oi_pack_store *s, const oi_tensor *t, uint32_t *index)
{
    const uint8_t *p = t->data;
    for (uint64_t i = 0; s && p >= s->data && p < s->data + s->head.size && i < s->head.n; i++) {
        if (s->data + s->entry[i].at == p && s->entry[i].bytes == t->bytes) {
            *index = (uint32_t)i;
            return true;
        }
    }
    return false;
}

const oi_pack_entry *oi_pack_store_table(const oi_pack_store *s, const oi_pack_part **part)
{
    *part = s->part;
    return s->entry;
}

/* The keys of the entries; NULL: they are damaged. */
const oi_pack_key *oi_pack_store_keys(const oi_pack_store *s)
{
    size_t bytes;
    const void *keys = oi_pack_store_part(s, OI_PACK_KEYS, &bytes);
    return keys && bytes == (size_t)s->head.n * sizeof(oi_pack_key) ? keys : NULL;
}

static bool key_input(oi_pack_input *k, const oi_pack_store *s, const oi_pack_source *source, size_t nsource, const oi_tensor *t)
{
    const uint8_t *p = t->data;
    uint32_t own = 0;
    bool is_own = oi_pack_store_own(s, t, &own);
    k->source = OI_PACK_IN_CONTENT;
    k->bytes = t->bytes;
    k->dtype = t->dtype;
    k->rank = t->rank;
    memcpy(k->dim, t->dim, (size_t)t->rank * sizeof *t->dim);
    for (size_t i = 0; i < nsource && !is_own; i++) {
        const uint8_t *from = source[i].data;
        if (p < from || p > from + source[i].size || t->bytes > (size_t)(from + source[i].size - p))
            continue;
        k->source = (int64_t)i;
        k->at = (uint64_t)(p - from);
        return true;
    }
    oi_hash_item item = {.data = p, .n = t->bytes};
    if (!is_own && oi_hash_items(s ? &s->alloc : NULL, NULL, &item, 1))
        return false;
    k->content = is_own ? s->entry[own].content : item.hash;
    return true;
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
    for (uint32_t i = 0; i < item->nin; i++) {
        if (!key_input(&k->in[i], s, source, nsource, item->in[i]))
            return false;
    }
    return true;
}

bool oi_pack_store_find(oi_pack_store *s, const oi_pack_key *key, oi_tensor *out)
{
    const oi_pack_key *keys = s ? oi_pack_store_keys(s) : NULL;
    for (uint32_t i = 0; keys && i < s->head.n; i++) {
        if (memcmp(&keys[i], key, sizeof *key))
            continue;
        oi_error keep = *oi_error_current();
        oi_status st = oi_pack_store_check(s, NULL, &i, 1);
        *oi_error_current() = keep;
        return st == ONNX_INFER_OK && oi_pack_store_entry(s, i, out);
    }
    return false;
}
