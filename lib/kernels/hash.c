/* Hashes of bytes: chunks, and many items by many threads. */
#include "kernels/hash.h"

#include "kernels/kernels.h"

#include <string.h>

enum { TOO_LITTLE = 2 << 20 }; /* bytes that are hashed before other threads are awake */

oi_hash oi_hash_bytes(const void *p, size_t n)
{
    oi_hash h;
    oi_kernels_for(OI_ISA_COUNT)->hash(p, n, &h.low, &h.high);
    return h;
}

oi_hash oi_hash_mix(oi_hash h, const void *p, size_t n)
{
    oi_hash both[2] = {h, oi_hash_bytes(p, n)};
    return oi_hash_bytes(both, sizeof both);
}

size_t oi_hash_chunks(uint64_t n)
{
    return n <= OI_HASH_CHUNK ? 1 : (size_t)((n - 1) / OI_HASH_CHUNK + 1);
}

oi_hash oi_hash_join(const oi_hash *chunk, uint64_t n)
{
    return n <= OI_HASH_CHUNK ? chunk[0] : oi_hash_bytes(chunk, oi_hash_chunks(n) * sizeof *chunk);
}

typedef struct {
    const uint8_t *data;
    size_t n;
} piece;

typedef struct {
    const piece *piece;
    oi_hash *hash;
} job;

static oi_status hash_piece(void *arg, size_t task, size_t thread)
{
    const job *j = arg;
    (void)thread;
    j->hash[task] = oi_hash_bytes(j->piece[task].data, j->piece[task].n);
    return ONNX_INFER_OK;
}

oi_status oi_hash_items(const oi_alloc *a, oi_pool *pool, oi_hash_item *item, size_t n)
{
    size_t pieces = 0, at = 0;
    uint64_t bytes = 0;
    oi_status st = ONNX_INFER_OK;
    for (size_t i = 0; i < n; i++) {
        pieces += oi_hash_chunks(item[i].n);
        bytes += item[i].n;
    }
    piece *list = oi_alloc_array(a, pieces + 1, sizeof *list);
    oi_hash *hash = oi_alloc_array(a, pieces + 1, sizeof *hash);
    if (!list || !hash)
        st = ONNX_INFER_E_OUT_OF_MEMORY;
    for (size_t i = 0; st == ONNX_INFER_OK && i < n; i++) {
        const uint8_t *p = item[i].data;
        uint64_t left = item[i].n;
        for (size_t k = oi_hash_chunks(left); k-- > 0; at++) {
            list[at] = (piece){p, left < OI_HASH_CHUNK ? (size_t)left : OI_HASH_CHUNK};
            p += list[at].n;
            left -= list[at].n;
        }
    }
    job j = {list, hash};
    bool shared = pool && bytes >= TOO_LITTLE && oi_pool_threads(pool) > 1;
    if (shared && st == ONNX_INFER_OK)
        st = oi_pool_run(pool, pieces, hash_piece, &j);
    for (size_t i = 0; !shared && st == ONNX_INFER_OK && i < pieces; i++)
        st = hash_piece(&j, i, 0);
    at = 0;
    for (size_t i = 0; st == ONNX_INFER_OK && i < n; at += oi_hash_chunks(item[i].n), i++)
        item[i].hash = oi_hash_join(hash + at, item[i].n);
    oi_free_mem(a, list);
    oi_free_mem(a, hash);
    return st;
}
