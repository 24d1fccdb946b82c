/* Packed constants shared by all plans of a model: packing the same weights in the same way again gives the same tensor. */
#ifndef OI_OPTIMIZER_PACK_CACHE_H
#define OI_OPTIMIZER_PACK_CACHE_H

#include "optimizer/pack_store.h"

typedef struct oi_pack_cache oi_pack_cache;

oi_status oi_pack_cache_create(const oi_alloc *a, oi_pack_cache **out);
void oi_pack_cache_destroy(oi_pack_cache *c); /* accepts NULL */

/* Before it is used: where constants of the model lie, and what an earlier process has packed (taken over; may be NULL).
 * `keeps`: what is made here is for later processes too. */
void oi_pack_cache_use(oi_pack_cache *c, const oi_pack_source *source, size_t nsource, oi_pack_store *store, bool keeps);
/* How many results were found in the store, and how many had to be made. */
void oi_pack_cache_counts(oi_pack_cache *c, size_t *found, size_t *made);
oi_pack_store *oi_pack_cache_store(const oi_pack_cache *c); /* borrowed; NULL: none */
/* Adds what has been made here, with keys. The tensors live as long as the cache. */
oi_status oi_pack_cache_list(oi_pack_cache *c, oi_pack_list *l);

/* The result of the node, whose inputs are all constant, if it is known: a reference in *out. Any thread. */
bool oi_pack_cache_find(oi_pack_cache *c, const oi_graph *g, const oi_node *n, oi_tensor *out);
/* Keeps a reference to the result, and to the inputs so that they stay what they are. Only inputs that others hold too
 * are worth it; when nobody else holds them any more the entry goes. Fails for want of memory only. Any thread. */
oi_status oi_pack_cache_add(oi_pack_cache *c, const oi_graph *g, const oi_node *n, const oi_tensor *result);

#endif
