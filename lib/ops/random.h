/* Random numbers by counter: number i of a stream depends on the stream's key and i alone, so that the same come out on
 * every machine and for any number of threads. */
#ifndef OI_OPS_RANDOM_H
#define OI_OPS_RANDOM_H

#include <stdint.h>

/* 128 random bits for counter (i, j): Philox 4x32 with ten rounds. */
void oi_random_bits(uint64_t key, uint64_t i, uint64_t j, uint32_t out[4]);
double oi_random_uniform(uint64_t key, uint64_t i); /* in [0, 1), 53 bits */
double oi_random_normal(uint64_t key, uint64_t i);  /* mean 0, deviation 1 */

#endif
