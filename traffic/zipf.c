// SPDX-License-Identifier: Apache-2.0
//
// Zipf weights in integers, and the alias table. See zipf.h.
#include "traffic/zipf.h"

#include <stdlib.h>

// ln 2 and everything the exponential works with: 60 fraction bits.
#define EXP_BITS 60u
#define EXP_ONE (UINT64_C(1) << EXP_BITS)
#define EXP_LN2 UINT64_C(0x0b17217f7d1cf79a)
// Logarithms: 59 fraction bits, ln(2^20) < 14 needs 4 more.
#define LOG_BITS 59u
// Exponent times logarithm: 36 fraction bits; 14 * 10^7 * 2^36 is below 2^64.
#define ARG_BITS 36u

// (a * b) >> EXP_BITS for a, b <= EXP_ONE, without a 128-bit type.
static uint64_t exp_multiply(uint64_t a, uint64_t b)
{
    uint64_t a_low = a & UINT32_MAX, a_high = a >> 32, b_low = b & UINT32_MAX, b_high = b >> 32;
    uint64_t cross = a_high * b_low + ((a_low * b_low) >> 32);
    uint64_t cross_low = a_low * b_high + (cross & UINT32_MAX);
    uint64_t high = a_high * b_high + (cross >> 32) + (cross_low >> 32);
    return high << (64 - EXP_BITS) | (cross_low & UINT32_MAX) >> (EXP_BITS - 32);
}

// exp(-argument), argument with ARG_BITS fraction bits, result with EXP_BITS.
static uint64_t exp_negative(uint64_t argument)
{
    uint64_t whole = argument >> ARG_BITS;
    if (whole > 60)
        return 0;
    // argument = n ln 2 + rest. Both products may wrap; their difference is small and comes out right.
    uint64_t n = argument / (EXP_LN2 >> (EXP_BITS - ARG_BITS));
    uint64_t rest = (argument << (EXP_BITS - ARG_BITS)) - n * EXP_LN2;
    if (rest > EXP_ONE) { // the estimate was one too high
        rest += EXP_LN2;
        n--;
    }
    uint64_t sum = EXP_ONE;
    for (uint64_t i = 20; i > 0; i--)
        sum = EXP_ONE - exp_multiply(rest, sum) / i;
    return n < EXP_BITS ? sum >> n : 0;
}

void iom_zipf_weights(uint64_t *weight, uint32_t items, uint32_t exponent_ppm)
{
    uint64_t log = 0;
    for (uint64_t rank = 1; rank <= items; rank++) {
        if (rank > 1) {
            uint64_t odd = 2 * rank - 1;
            uint64_t power = (UINT64_C(1) << LOG_BITS) / odd;
            uint64_t sum = 0;
            for (uint64_t divisor = 1; power != 0; divisor += 2) {
                sum += power / divisor;
                power = power / odd / odd;
            }
            log += 2 * sum;
        }
        uint64_t argument = (log >> (LOG_BITS - ARG_BITS)) * exponent_ppm / 1000000;
        weight[rank - 1] = exp_negative(argument) >> (EXP_BITS - IOM_ZIPF_WEIGHT_BITS);
    }
}

// floor(value * 2^64 / total) for value < total < 2^63.
static uint64_t fraction_of(uint64_t value, uint64_t total)
{
    uint64_t result = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        value <<= 1;
        result <<= 1;
        if (value >= total) {
            value -= total;
            result |= 1;
        }
    }
    return result;
}

// Vose's method on shares scaled so that a full column is `total`: share[i] = weight[i] * items.
// `stack` holds columns with room from below and those with too much from above.
static void fill_cells(struct iom_zipf_cell *cells, uint64_t *share, uint32_t *stack, uint32_t items,
                       uint64_t total)
{
    uint32_t poor = 0, rich = items;
    for (uint32_t i = 0; i < items; i++) {
        if (share[i] < total)
            stack[poor++] = i;
        else
            stack[--rich] = i;
    }
    while (poor != 0 && rich != items) {
        uint32_t low = stack[--poor], high = stack[rich];
        cells[low] = (struct iom_zipf_cell){fraction_of(share[low], total), low, high};
        share[high] -= total - share[low];
        if (share[high] < total) {
            rich++;
            stack[poor++] = high;
        }
    }
    // What is left is exactly full: sums of integers leave no remainder.
    while (poor != 0) {
        uint32_t i = stack[--poor];
        cells[i] = (struct iom_zipf_cell){UINT64_MAX, i, i};
    }
    for (; rich != items; rich++)
        cells[stack[rich]] = (struct iom_zipf_cell){UINT64_MAX, stack[rich], stack[rich]};
}

// Renames items by a random permutation (Fisher and Yates). `name` is scratch.
static void scatter_items(struct iom_zipf *zipf, uint32_t *name, struct iom_rng *rng)
{
    for (uint32_t i = 0; i < zipf->items; i++) {
        uint32_t other = (uint32_t)iom_rng_below(rng, (uint64_t)i + 1);
        name[i] = name[other];
        name[other] = i;
    }
    for (uint32_t i = 0; i < zipf->items; i++) {
        zipf->cells[i].item = name[zipf->cells[i].item];
        zipf->cells[i].other = name[zipf->cells[i].other];
    }
}

bool iom_zipf_init(struct iom_zipf *zipf, uint32_t items, uint32_t exponent_ppm, struct iom_rng *scatter)
{
    assert(items >= 1 && items <= IOM_ZIPF_MAX_ITEMS && exponent_ppm <= IOM_ZIPF_MAX_EXPONENT_PPM);
    zipf->items = items;
    zipf->cells = calloc(items, sizeof *zipf->cells);
    uint64_t *share = calloc(items, sizeof *share);
    uint32_t *stack = calloc(items, sizeof *stack);
    bool ok = zipf->cells != NULL && share != NULL && stack != NULL;
    if (ok) {
        iom_zipf_weights(share, items, exponent_ppm);
        uint64_t total = 0;
        for (uint32_t i = 0; i < items; i++) {
            total += share[i];
            share[i] *= items;
        }
        fill_cells(zipf->cells, share, stack, items, total);
        if (scatter != NULL)
            scatter_items(zipf, stack, scatter);
    }
    free(share);
    free(stack);
    if (!ok)
        iom_zipf_free(zipf);
    return ok;
}

void iom_zipf_free(struct iom_zipf *zipf)
{
    free(zipf->cells);
    zipf->cells = NULL;
}
