/* Graphs in a cache file, beside packed constants: the model as it was loaded, and what planning made of it, each found by an id. */
#ifndef OI_RUNTIME_GRAPH_CACHE_H
#define OI_RUNTIME_GRAPH_CACHE_H

#include "base/log.h"
#include "onnx/model_bytes.h"
#include "optimizer/pack_store.h"

/* Where constants of graphs lie: in the model's bytes, or in the file. Everything is borrowed. */
typedef struct oi_graph_cache {
    const oi_alloc *alloc;
    const oi_log *log;
    oi_pack_store *store;    /* NULL: nothing is found */
    const oi_bytes *source;
    uint32_t nsource;
} oi_graph_cache;

/* NULL: the file has none of this id, or a damaged one. The bytes of its constants have been checked, by the pool's threads (may
 * be NULL). Any thread. */
oi_graph *oi_graph_cache_find(const oi_graph_cache *c, oi_hash id, oi_pool *pool);
/* Adds the graph and its constants to what is going to be written; a graph that cannot be kept so is left out. */
oi_status oi_graph_cache_add(const oi_graph_cache *c, oi_pack_list *l, oi_hash id, const oi_graph *g);

/* The same for models. `c->source` are the model's bytes. */
oi_onnx_model *oi_graph_cache_find_model(const oi_graph_cache *c, oi_hash id, oi_pool *pool);
oi_status oi_graph_cache_add_model(const oi_graph_cache *c, oi_pack_list *l, oi_hash id, const oi_onnx_model *m);

#endif
