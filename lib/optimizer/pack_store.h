/* Packed constants in a file: what a pack cache holds, written once and found again by later processes.
 *
 * An entry is known by its operator, its attributes and its inputs: constants that lie in the model's bytes by their place
 * there, all others by their content. The file is for one model, build and instruction set, which its key names. */
#ifndef OI_OPTIMIZER_PACK_STORE_H
#define OI_OPTIMIZER_PACK_STORE_H

#include "base/writer.h"
#include "ops/op.h"

/* To be raised whenever the layout of packed constants, or what makes them, changes. */
#define OI_PACK_FORMAT 2

enum { OI_PACK_MAX_IN = 3, OI_PACK_MAX_TEXT = 400, OI_PACK_MAX_SOURCES = 16 };

typedef struct {
    uint64_t low, high;
} oi_hash;

/* Bytes that constants may lie in: of the model and its external data, in the order in which they were loaded. */
typedef struct {
    const void *data;
    size_t size;
} oi_pack_source;

typedef struct oi_pack_store oi_pack_store;

/* XXH3-128. */
oi_hash oi_hash_bytes(const void *p, size_t n);

/* Checks the bytes (OI_ALIGNed) whole and makes them ready to be looked up; holds a reference to buf. CACHE_STALE says what is
 * wrong with them: another key, or damage. */
oi_status oi_pack_store_open(const oi_alloc *a, const void *data, size_t size, oi_buffer *buf, oi_hash key, oi_pack_store **out);
void oi_pack_store_close(oi_pack_store *s); /* accepts NULL; tensors out of it live on */
/* The model inside, or none: 0 bytes. */
const void *oi_pack_store_model(const oi_pack_store *s, size_t *bytes);
size_t oi_pack_store_count(const oi_pack_store *s); /* of constants; accepts NULL */

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

/* Equal bytes: the same constant. */
typedef struct {
    char op[64], attr[OI_PACK_MAX_TEXT];
    uint64_t nin;
    oi_pack_input in[OI_PACK_MAX_IN];
} oi_pack_key;

/* False where the item cannot be told by a key. Reads inputs that lie in no source, and are none of the store's own (which may be
 * NULL). Any thread. */
bool oi_pack_key_make(oi_pack_key *k, const oi_pack_store *s, const oi_pack_source *source, size_t nsource,
                      const oi_pack_item *item);
/* A reference in *out. Any thread; `s` may be NULL. */
bool oi_pack_store_find(const oi_pack_store *s, const oi_pack_key *key, oi_tensor *out);

typedef struct {
    oi_pack_key key;
    oi_tensor result;
} oi_packed;

/* Writes a file: the model (may be NULL), what is in `old` (may be NULL), and n constants more. */
oi_status oi_pack_store_write(const oi_alloc *a, const oi_writer *w, oi_hash key, const void *model, size_t model_bytes,
                              const oi_pack_store *old, size_t n, const oi_packed *const *packed);

#endif
