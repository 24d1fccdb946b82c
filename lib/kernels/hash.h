/* Hashes of bytes that stay: models and what is made of them. XXH3-128 of pieces of OI_HASH_CHUNK bytes, which may be taken by
 * many threads, and of their hashes. The same on every machine of one byte order, with any number of threads. */
#ifndef OI_KERNELS_HASH_H
#define OI_KERNELS_HASH_H

#include "base/pool.h"

#include <stdint.h>

typedef struct {
    uint64_t low, high;
} oi_hash;

enum { OI_HASH_CHUNK = 1 << 16 };

static inline bool oi_hash_equal(oi_hash a, oi_hash b)
{
    return a.low == b.low && a.high == b.high;
}

/* XXH3-128 in one go. */
oi_hash oi_hash_bytes(const void *p, size_t n);

/* Another hash for each `h` and each bytes. */
oi_hash oi_hash_mix(oi_hash h, const void *p, size_t n);

/* What a hash of n bytes is made from: the hashes of their chunks, in order. */
size_t oi_hash_chunks(uint64_t n);
oi_hash oi_hash_join(const oi_hash *chunk, uint64_t n);

/* Bytes to be hashed, and where the hash goes. */
typedef struct {
    const void *data;
    uint64_t n;
    oi_hash hash;
} oi_hash_item;

/* Hashes all items by the pool's threads (NULL: by the caller). Fails for want of memory only. */
oi_status oi_hash_items(const oi_alloc *a, oi_pool *pool, oi_hash_item *item, size_t n);

#endif
