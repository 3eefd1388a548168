// SPDX-License-Identifier: Apache-2.0
//
// xoshiro256** with splitmix64 seeding. See rng.h.
#include "core/rng.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void iom_rng_seed(struct iom_rng *rng, uint64_t seed, const char *path)
{
    // FNV-1a over the path, mixed into the seed: equal paths and seeds, equal sequences.
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *c = path; c != NULL && *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    uint64_t state = seed ^ hash;
    for (unsigned i = 0; i < 4; i++)
        rng->state[i] = splitmix64(&state);
}

uint64_t iom_rng_next(struct iom_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

// High and low 64 bits of a 64 x 64 product. C11 has no 128-bit type; where the compiler has one the
// product is a single instruction.
static uint64_t multiply(uint64_t a, uint64_t b, uint64_t *low)
{
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    *low = (uint64_t)product;
    return (uint64_t)(product >> 64);
#else
    uint64_t al = a & 0xffffffff, ah = a >> 32, bl = b & 0xffffffff, bh = b >> 32;
    uint64_t ll = al * bl, lh = al * bh, hl = ah * bl, hh = ah * bh;
    uint64_t middle = (ll >> 32) + (lh & 0xffffffff) + (hl & 0xffffffff);
    *low = (middle << 32) | (ll & 0xffffffff);
    return hh + (lh >> 32) + (hl >> 32) + (middle >> 32);
#endif
}

uint64_t iom_rng_below(struct iom_rng *rng, uint64_t bound)
{
    uint64_t low;
    uint64_t high = multiply(iom_rng_next(rng), bound, &low);
    if (low < bound) {
        uint64_t threshold = (~bound + 1) % bound;
        while (low < threshold)
            high = multiply(iom_rng_next(rng), bound, &low);
    }
    return high;
}

double iom_rng_unit(struct iom_rng *rng)
{
    return (double)(iom_rng_next(rng) >> 11) * (1.0 / 9007199254740992.0);
}
