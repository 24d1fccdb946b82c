/* What lowering and prepare aim at. */
#ifndef OI_OPS_TARGET_H
#define OI_OPS_TARGET_H

#include "kernels/kernels.h"

struct oi_target {
    oi_cpu_isa isa;
    const oi_kernels *kernels; /* of that ISA */
    struct oi_pack_cache *packs; /* optimizer/pack_cache.h; NULL: each graph packs for itself */
};

#endif
