/* What lowering and prepare aim at. */
#ifndef OI_OPS_TARGET_H
#define OI_OPS_TARGET_H

#include "base/pool.h"
#include "kernels/kernels.h"
#include "tensor/slab.h"

struct oi_target {
    oi_cpu_isa isa;
    const oi_kernels *kernels; /* of that ISA */
    struct oi_pack_cache *packs; /* optimizer/pack_cache.h; NULL: each graph packs for itself */
    oi_pool *pool;               /* for work on constants; NULL: the caller's thread does it */
    oi_slab *slab;               /* for packed constants; NULL: each gets memory of its own */
};

#endif
