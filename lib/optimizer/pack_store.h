/* A file of what planning makes: packed constants, found by what they are made from, and parts: bytes of the caller's, found by a
 * hash. Written once and used by later processes, which map it.
 *
 * A packed constant is known by its operator, its attributes and its inputs: constants that lie in the model's bytes by their
 * place there, all others by their content. The file is for one model, build and instruction set, which its key names.
 *
 * Opening checks the tables; the bytes of constants and parts are checked when they are asked for first. */
#ifndef OI_OPTIMIZER_PACK_STORE_H
#define OI_OPTIMIZER_PACK_STORE_H

#include "base/writer.h"
#include "kernels/hash.h"
#include "ops/op.h"

/* To be raised whenever the layout of packed constants, or what makes them, or a lowered graph changes. */
#define OI_PACK_FORMAT 5

enum { OI_PACK_MAX_IN = 3, OI_PACK_MAX_TEXT = 400, OI_PACK_MAX_SOURCES = 16 };

/* Bytes that constants may lie in: of the model and its external data, in the order in which they were loaded. */
typedef struct {
    const void *data;
    size_t size;
} oi_pack_source;

typedef struct oi_pack_store oi_pack_store;

/* Makes the bytes (OI_ALIGNed) ready to be looked up; holds a reference to buf. CACHE_STALE says what is wrong with them: another
 * key, or damaged tables. The caller has one reference. */
oi_status oi_pack_store_open(const oi_alloc *a, const void *data, size_t size, oi_buffer *buf, oi_hash key, oi_pack_store **out);
oi_pack_store *oi_pack_store_retain(oi_pack_store *s); /* accepts NULL */
void oi_pack_store_close(oi_pack_store *s);            /* accepts NULL; tensors out of it live on */
oi_hash oi_pack_store_key(const oi_pack_store *s);
/* What holds the bytes. */
oi_buffer *oi_pack_store_buffer(const oi_pack_store *s);
/* True once bytes that were asked for turned out to be damaged. Any thread. */
bool oi_pack_store_damaged(const oi_pack_store *s);

/* Of constants and of parts; accept NULL. */
size_t oi_pack_store_count(const oi_pack_store *s);
size_t oi_pack_store_parts(const oi_pack_store *s);
/* The bytes of a part, 16-byte aligned; NULL: none, or damaged. Any thread; accepts NULL. */
const void *oi_pack_store_part(const oi_pack_store *s, oi_hash id, size_t *bytes);
/* The id of the part with this number, in the order in which they were written. */
oi_hash oi_pack_store_part_id(const oi_pack_store *s, size_t i);
/* Constant i, whose bytes may not have been checked yet: a reference in *out; false where there is none. Any thread. */
bool oi_pack_store_entry(const oi_pack_store *s, size_t i, oi_tensor *out);
/* Checks the bytes of these constants by the pool's threads (may be NULL): CACHE_STALE where some are damaged. Any thread. */
oi_status oi_pack_store_check(oi_pack_store *s, oi_pool *pool, const uint32_t *index, size_t n);
/* The same for everything in the file. */
oi_status oi_pack_store_check_all(oi_pack_store *s, oi_pool *pool);

/* The operator, attributes as text and inputs of an entry. */
typedef struct {
    const oi_op *op;
    const char *attr;
    const oi_tensor *const *in;
    uint32_t nin;
} oi_pack_item;

/* An input of an item: its place in a source, or its content. */
typedef struct {
    int64_t source; /* index, or -1 */
    uint64_t at, bytes;
    oi_hash content;
    int64_t dtype, rank, dim[OI_MAX_RANK];
} oi_pack_input;

/* Equal bytes: the same constant. All zero: it is found by its number only. */
typedef struct {
    char op[64], attr[OI_PACK_MAX_TEXT];
    uint64_t nin;
    oi_pack_input in[OI_PACK_MAX_IN];
} oi_pack_key;

/* False where the item cannot be told by a key. Reads inputs that lie in no source, and are none of the store's own (which may be
 * NULL). Any thread. */
bool oi_pack_key_make(oi_pack_key *k, const oi_pack_store *s, const oi_pack_source *source, size_t nsource,
                      const oi_pack_item *item);
/* A reference in *out, its bytes checked. Any thread; `s` may be NULL. */
bool oi_pack_store_find(oi_pack_store *s, const oi_pack_key *key, oi_tensor *out);

typedef struct {
    oi_pack_key key;
    oi_tensor result;
} oi_packed;

/* --- writing -------------------------------------------------------------------------------------------------------- */

/* What is going to be written: constants and parts of an older store first, under their old numbers, then new ones. */
typedef struct oi_pack_list oi_pack_list;

/* `old` (may be NULL) is borrowed until the list is freed; its parts come along where `parts`. */
oi_status oi_pack_list_create(const oi_alloc *a, const oi_pack_store *old, bool parts, oi_pack_list **out);
void oi_pack_list_free(oi_pack_list *l); /* accepts NULL */
/* The number of the constant in the list: one that is there, or a new one, whose bytes are borrowed. `key` may be NULL. */
oi_status oi_pack_list_add(oi_pack_list *l, const oi_pack_key *key, const oi_tensor *t, uint32_t *index);
/* Takes the bytes, which oi_alloc_mem gave, over, also on failure. Replaces a part of the same id. */
oi_status oi_pack_list_add_part(oi_pack_list *l, oi_hash id, void *bytes, size_t n);
oi_status oi_pack_list_write(const oi_pack_list *l, const oi_writer *w, oi_hash key);

#endif
