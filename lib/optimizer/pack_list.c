/* Files of packed constants: writing. */
#include "optimizer/pack_layout.h"

#include <string.h>

typedef struct {
    oi_pack_part part;
    void *own; /* the bytes, where they are the list's */
    const void *data;
} listed_part;

struct oi_pack_list {
    oi_alloc alloc;
    const oi_pack_store *old;
    oi_pack_entry *entry;
    oi_pack_key *key;
    const void **data; /* of entries */
    size_t n, cap;
    listed_part *part;
    size_t nparts, part_cap;
};

static bool grow(const oi_alloc *a, void *array_ptr, size_t *cap, size_t need, size_t size)
{
    void **array = array_ptr;
    size_t want = *cap ? 2 * *cap : 64;
    if (need <= *cap)
        return true;
    if (want < need)
        want = need;
    void *grown = want < SIZE_MAX / size ? oi_realloc_mem(a, *array, want * size) : NULL;
    if (!grown)
        return false;
    *array = grown;
    *cap = want;
    return true;
}

/* Room for `more` entries: three arrays of the same length. */
static oi_status make_room(oi_pack_list *l, size_t more)
{
    size_t caps[3] = {l->cap, l->cap, l->cap};
    if (!grow(&l->alloc, &l->entry, &caps[0], l->n + more, sizeof *l->entry) ||
        !grow(&l->alloc, &l->key, &caps[1], l->n + more, sizeof *l->key) ||
        !grow(&l->alloc, &l->data, &caps[2], l->n + more, sizeof *l->data))
        return ONNX_INFER_E_OUT_OF_MEMORY;
    l->cap = caps[0];
    return ONNX_INFER_OK;
}

static oi_status take_old(oi_pack_list *l, bool parts)
{
    const oi_pack_part *part;
    const oi_pack_entry *entry = oi_pack_store_table(l->old, &part);
    const oi_pack_key *key = oi_pack_store_keys(l->old);
    size_t n = oi_pack_store_count(l->old);
    OI_TRY(make_room(l, n));
    for (size_t i = 0; i < n; i++) {
        oi_tensor t;
        l->entry[i] = entry[i];
        if (key)
            l->key[i] = key[i];
        if (!oi_pack_store_entry(l->old, i, &t))
            return ONNX_INFER_E_INTERNAL;
        l->data[i] = t.data;
        oi_tensor_clear(&t);
    }
    l->n = n;
    for (size_t i = 0; parts && i < oi_pack_store_parts(l->old); i++) {
        size_t bytes;
        const void *data = oi_pack_store_part(l->old, part[i].id, &bytes);
        if (!data || oi_hash_equal(part[i].id, OI_PACK_KEYS))
            continue;
        if (!grow(&l->alloc, &l->part, &l->part_cap, l->nparts + 1, sizeof *l->part))
            return ONNX_INFER_E_OUT_OF_MEMORY;
        l->part[l->nparts++] = (listed_part){part[i], NULL, data};
    }
    return ONNX_INFER_OK;
}

oi_status oi_pack_list_create(const oi_alloc *a, const oi_pack_store *old, bool parts, oi_pack_list **out)
{
    oi_pack_list *l = oi_alloc_mem(a, sizeof *l);
    *out = NULL;
    if (!l)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    l->alloc = a ? *a : oi_alloc_libc;
    l->old = old;
    oi_status st = old ? take_old(l, parts) : ONNX_INFER_OK;
    if (st != ONNX_INFER_OK) {
        oi_pack_list_free(l);
        return st;
    }
    *out = l;
    return ONNX_INFER_OK;
}

void oi_pack_list_free(oi_pack_list *l)
{
    if (!l)
        return;
    oi_alloc alloc = l->alloc;
    for (size_t i = 0; i < l->nparts; i++)
        oi_free_mem(&alloc, l->part[i].own);
    oi_free_mem(&alloc, l->part);
    oi_free_mem(&alloc, l->entry);
    oi_free_mem(&alloc, l->key);
    oi_free_mem(&alloc, l->data);
    oi_free_mem(&alloc, l);
}

static bool same_entry(const oi_pack_entry *a, const oi_pack_entry *b)
{
    return oi_hash_equal(a->content, b->content) && a->bytes == b->bytes && a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->dim, b->dim, sizeof a->dim);
}

oi_status oi_pack_list_add(oi_pack_list *l, const oi_pack_key *key, const oi_tensor *t, uint32_t *index)
{
    static const oi_pack_key none;
    oi_pack_entry e = {.dtype = t->dtype, .rank = t->rank, .bytes = t->bytes};
    if (oi_pack_store_own(l->old, t, index) && l->entry[*index].dtype == t->dtype && l->entry[*index].rank == t->rank &&
        !memcmp(l->entry[*index].dim, t->dim, (size_t)t->rank * sizeof *t->dim))
        return ONNX_INFER_OK;
    for (size_t i = oi_pack_store_count(l->old); i < l->n; i++) {
        if (l->data[i] == t->data && l->entry[i].bytes == t->bytes && l->entry[i].dtype == t->dtype && l->entry[i].rank == t->rank &&
            !memcmp(l->entry[i].dim, t->dim, (size_t)t->rank * sizeof *t->dim) &&
            (!key || !memcmp(&l->key[i], key, sizeof *key))) {
            *index = (uint32_t)i;
            return ONNX_INFER_OK;
        }
    }
    oi_hash_item item = {.data = t->data, .n = t->bytes};
    OI_TRY(oi_hash_items(&l->alloc, NULL, &item, 1));
    e.content = item.hash;
    memcpy(e.dim, t->dim, (size_t)t->rank * sizeof *t->dim);
    for (size_t i = 0; i < l->n; i++) {
        if (same_entry(&l->entry[i], &e) && (!key || !memcmp(&l->key[i], key, sizeof *key))) {
            *index = (uint32_t)i;
            return ONNX_INFER_OK;
        }
    }
    OI_FAIL_IF(l->n >= UINT32_MAX / 2, ONNX_INFER_E_LIMIT, "too many constants for a file");
    OI_TRY(make_room(l, 1));
    l->entry[l->n] = e;
    l->key[l->n] = key ? *key : none;
    l->data[l->n] = t->data;
    *index = (uint32_t)l->n++;
    return ONNX_INFER_OK;
}

oi_status oi_pack_list_add_part(oi_pack_list *l, oi_hash id, void *bytes, size_t n)
{
    listed_part p = {{.id = id, .bytes = n, .content = oi_hash_bytes(bytes, n)}, bytes, bytes};
    for (size_t i = 0; i < l->nparts; i++) {
        if (oi_hash_equal(l->part[i].part.id, id)) {
            oi_free_mem(&l->alloc, l->part[i].own);
            l->part[i] = p;
            return ONNX_INFER_OK;
        }
    }
    if (!grow(&l->alloc, &l->part, &l->part_cap, l->nparts + 1, sizeof *l->part)) {
        oi_free_mem(&l->alloc, bytes);
        return ONNX_INFER_E_OUT_OF_MEMORY;
    }
    l->part[l->nparts++] = p;
    return ONNX_INFER_OK;
}

/* --- the file --------------------------------------------------------------------------------------------------------- */

static uint64_t aligned(uint64_t at, uint64_t to)
{
    return (at + to - 1) / to * to;
}

static oi_status pad(const oi_writer *w, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[OI_ALIGN];
    return oi_write(w, zeros, (size_t)(to - from));
}

static oi_status put(const oi_writer *w, uint64_t *at, uint64_t to, const void *bytes, uint64_t n)
{
    OI_TRY(pad(w, *at, to));
    *at = to + n;
    return n ? oi_write(w, bytes, (size_t)n) : ONNX_INFER_OK;
}

static oi_status write_file(const oi_pack_list *l, const oi_writer *w, oi_hash key, uint8_t *tables)
{
    oi_pack_header h = {.key = key, .n = l->n, .entry_bytes = sizeof(oi_pack_entry), .nparts = l->nparts + 1};
    oi_pack_entry *entry = (void *)tables;
    oi_pack_part *part = (void *)(entry + l->n);
    size_t bytes = l->n * sizeof *entry + (size_t)h.nparts * sizeof *part, keys = l->n * sizeof *l->key;
    uint64_t at = sizeof h + bytes;
    for (size_t i = 0; i < l->nparts; i++) {
        part[i] = l->part[i].part;
        part[i].at = aligned(at, OI_PACK_PART_ALIGN);
        at = part[i].at + part[i].bytes;
    }
    part[l->nparts] = (oi_pack_part){OI_PACK_KEYS, aligned(at, OI_PACK_PART_ALIGN), keys, oi_hash_bytes(l->n ? (void *)l->key : "", keys)};
    at = part[l->nparts].at + keys;
    for (size_t i = 0; i < l->n; i++) {
        entry[i] = l->entry[i];
        entry[i].at = aligned(at, OI_ALIGN);
        at = entry[i].at + entry[i].bytes;
    }
    memcpy(h.magic, oi_pack_magic, sizeof oi_pack_magic);
    h.size = aligned(at, OI_ALIGN);
    h.tables = oi_hash_bytes(tables, bytes);
    h.self = oi_hash_bytes(&h, offsetof(oi_pack_header, self));
    OI_TRY(oi_write(w, &h, sizeof h));
    OI_TRY(oi_write(w, tables, bytes));
    at = sizeof h + bytes;
    for (size_t i = 0; i < l->nparts; i++)
        OI_TRY(put(w, &at, part[i].at, l->part[i].data, part[i].bytes));
    OI_TRY(put(w, &at, part[l->nparts].at, l->key, keys));
    for (size_t i = 0; i < l->n; i++)
        OI_TRY(put(w, &at, entry[i].at, l->data[i], entry[i].bytes));
    return pad(w, at, h.size);
}

oi_status oi_pack_list_write(const oi_pack_list *l, const oi_writer *w, oi_hash key)
{
    uint8_t *tables = oi_alloc_mem(&l->alloc, l->n * sizeof(oi_pack_entry) + (l->nparts + 1) * sizeof(oi_pack_part));
    if (!tables)
        return ONNX_INFER_E_OUT_OF_MEMORY;
    oi_status st = write_file(l, w, key, tables);
    oi_free_mem(&l->alloc, tables);
    return st;
}
