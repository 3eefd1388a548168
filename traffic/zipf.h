// SPDX-License-Identifier: Apache-2.0
//
// Zipf distribution over n items: item of rank k (from 1) is drawn with probability k^-s / sum of i^-s.
//
// Sampling is exact and takes constant time (alias method: A. J. Walker, "An efficient method for
// generating discrete random variables with general distributions", 1977; table construction after
// M. D. Vose, 1991), one random number per sample.
//
// Nothing here uses floating point, so that no compiler, rounding mode or libm can change a result.
// The weights are 42-bit fixed-point numbers: ln k is summed from ln(k/(k-1)) = 2 artanh(1/(2k-1)), whose
// series needs integer divisions only, and exp is a Taylor polynomial after taking out multiples of ln 2.
// Their relative error is below 2^-32 (plus 2^-43 of the largest weight); the table represents the
// integer weights exactly but for 2^-64 per cell.
#ifndef IOM_TRAFFIC_ZIPF_H
#define IOM_TRAFFIC_ZIPF_H

#include "core/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IOM_ZIPF_MAX_ITEMS (UINT32_C(1) << 20)
#define IOM_ZIPF_WEIGHT_BITS 42u ///< weight of rank 1 is 2^42
#define IOM_ZIPF_MAX_EXPONENT_PPM 10000000u

/// A column of the alias table: its own item below the threshold, the other one from it on.
struct iom_zipf_cell {
    uint64_t threshold;
    uint32_t item, other;
};

struct iom_zipf {
    struct iom_zipf_cell *cells;
    uint32_t items;
};

/// Prepares a distribution over `items` items (1..IOM_ZIPF_MAX_ITEMS) with exponent s = exponent_ppm / 10^6.
/// Which item has which rank is a random permutation drawn from `scatter`; null: item i has rank
/// i + 1. False when memory is out.
bool iom_zipf_init(struct iom_zipf *zipf, uint32_t items, uint32_t exponent_ppm, struct iom_rng *scatter);
void iom_zipf_free(struct iom_zipf *zipf);

/// Fixed-point weights of ranks 1..items, weight[0] = 2^IOM_ZIPF_WEIGHT_BITS.
void iom_zipf_weights(uint64_t *weight, uint32_t items, uint32_t exponent_ppm);

/// Draws an item, 0..items-1.
static inline uint32_t iom_zipf_sample(const struct iom_zipf *zipf, struct iom_rng *rng)
{
    // A 64-bit random number times `items`: the integer part is the column, 64 bits of the fraction
    // decide between its two items.
    uint64_t random = iom_rng_next(rng);
    uint64_t low = (random & UINT32_MAX) * zipf->items;
    uint64_t high = (random >> 32) * zipf->items + (low >> 32);
    uint64_t fraction = high << 32 | (low & UINT32_MAX);
    const struct iom_zipf_cell *cell = &zipf->cells[high >> 32];
    return fraction < cell->threshold ? cell->item : cell->other;
}

#ifdef __cplusplus
}
#endif

#endif
