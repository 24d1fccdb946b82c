/* Where in one arena things of known size and lifetime go. */
#ifndef OI_RUNTIME_MEMPLAN_H
#define OI_RUNTIME_MEMPLAN_H

#include "base/alloc.h"

typedef struct {
    size_t bytes;
    uint32_t first, last; /* steps, both included, during which it is in use */
    size_t offset;        /* result: a multiple of OI_ALIGN */
} oi_mem_item;

/* What the items need: no arena can be smaller than `live`, the most that is in use at one step. */
typedef struct {
    size_t total, live;
} oi_mem_need;

/* Sets the offsets so that items whose lifetimes meet do not overlap. Each item goes
 * into the smallest gap that holds it; several orders in which they are placed are tried, until one needs no
 * more than `live`. Fails for want of memory or where sizes overflow (ONNX_INFER_E_LIMIT). */
oi_status oi_memplan(const oi_alloc *a, oi_mem_item *item, size_t n, oi_mem_need *need);

/* live[i]: what is in use at step i < nstep, counted as above. The items have been planned. */
void oi_memplan_live(const oi_mem_item *item, size_t n, uint32_t nstep, size_t *live);

#endif
