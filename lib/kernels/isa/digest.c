/* digest.c - XXH3-128 with this instruction set's vectors. */
#include "kernels/isa/isa.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

void OI_KNAME(hash)(const void *p, size_t n, uint64_t *low, uint64_t *high)
{
    XXH128_hash_t h = XXH3_128bits(p, n);
    *low = h.low64;
    *high = h.high64;
}
