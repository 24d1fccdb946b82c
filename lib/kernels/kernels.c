/* kernels.c - which instruction set's table to use. */
#include "config.h"

#include "kernels/kernels.h"

extern const oi_kernels oi_generic_kernels, oi_sse2_kernels, oi_avx2_kernels, oi_avx512_kernels,
    oi_neon_kernels;

/* In rising preference. */
static const oi_kernels *const tables[] = {
    &oi_generic_kernels,
#ifdef OI_HAVE_ISA_SSE2
    &oi_sse2_kernels,
#endif
#ifdef OI_HAVE_ISA_NEON
    &oi_neon_kernels,
#endif
#ifdef OI_HAVE_ISA_AVX2
    &oi_avx2_kernels,
#endif
#ifdef OI_HAVE_ISA_AVX512
    &oi_avx512_kernels,
#endif
};

const oi_kernels *oi_kernels_for(oi_cpu_isa isa)
{
    for (size_t i = sizeof tables / sizeof *tables; i-- > 1;)
        if (tables[i]->isa <= isa && oi_cpu_isa_available(tables[i]->isa))
            return tables[i];
    return tables[0];
}
