// SPDX-License-Identifier: Apache-2.0
//
// Random numbers of the simulator: xoshiro256** seeded through splitmix64.
//
// Every unit owns one generator, seeded by the run's seed and the unit's path name, so that
// adding a unit or changing the order of evaluation never changes another unit's numbers.
// The generator and its ranges are our own: results must not depend on a C++ library.
// Source: D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators" (2018).
#ifndef IOM_CORE_RNG_H
#define IOM_CORE_RNG_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_rng {
    uint64_t state[4];
};

/// Seeds from a run seed and a path name such as "system.nic0"; equal inputs give equal sequences.
void iom_rng_seed(struct iom_rng *rng, uint64_t seed, const char *path);

/// Next 64 uniformly distributed bits.
uint64_t iom_rng_next(struct iom_rng *rng);

/// Uniform in [0, bound), bound > 0, without modulo bias (Lemire's multiply-and-reject).
uint64_t iom_rng_below(struct iom_rng *rng, uint64_t bound);

/// Uniform double in [0, 1) with 53 random bits.
double iom_rng_unit(struct iom_rng *rng);

#ifdef __cplusplus
}
#endif

#endif
