// SPDX-License-Identifier: Apache-2.0
//
// Tests of core/rng.c. Known answers come from the authors' published vectors (splitmix64 from state 0,
// xoshiro256** from state 1 2 3 4) and, for the seeding by path, from a separate computation of
// FNV-1a -> splitmix64 -> xoshiro256**.
#include "core/rng.h"
#include "tests/shim/gtest_c.h"

IOM_TEST(Rng, xoshiro_gives_the_published_sequence)
{
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
        UINT64_C(16172922978634559625),
        UINT64_C(8476171486693032832),
        UINT64_C(10595114339597558777),
        UINT64_C(2904607092377533576),
    };
    struct iom_rng rng = {{1, 2, 3, 4}};
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++)
        IOM_EXPECT_U64(iom_rng_next(&rng), expected[i]);
}

IOM_TEST(Rng, seeding_expands_through_splitmix)
{
    // No path leaves the FNV offset basis; a seed equal to it starts splitmix64 from 0.
    struct iom_rng rng;
    iom_rng_seed(&rng, UINT64_C(0xcbf29ce484222325), NULL);
    IOM_EXPECT_U64(rng.state[0], UINT64_C(0xe220a8397b1dcdaf));
    IOM_EXPECT_U64(rng.state[1], UINT64_C(0x6e789e6aa1b965f4));
    IOM_EXPECT_U64(rng.state[2], UINT64_C(0x06c45d188009454f));
    IOM_EXPECT_U64(rng.state[3], UINT64_C(0xf88bb8a8724c81ec));
}

IOM_TEST(Rng, seed_and_path_give_a_known_sequence)
{
    struct iom_rng rng;
    iom_rng_seed(&rng, 42, "system.nic0");
    IOM_EXPECT_U64(iom_rng_next(&rng), UINT64_C(0x27ffb69492b42f0f));
    IOM_EXPECT_U64(iom_rng_next(&rng), UINT64_C(0x27ad52fb33bb26f1));
    IOM_EXPECT_U64(iom_rng_next(&rng), UINT64_C(0xe070732058b8c950));
    IOM_EXPECT_U64(iom_rng_next(&rng), UINT64_C(0xc1b6251a434d13bb));
}

IOM_TEST(Rng, equal_seeds_repeat_and_different_paths_or_seeds_do_not)
{
    struct iom_rng same[2], other_path, other_seed;
    iom_rng_seed(&same[0], 9, "system.nic0");
    iom_rng_seed(&same[1], 9, "system.nic0");
    iom_rng_seed(&other_path, 9, "system.nic1");
    iom_rng_seed(&other_seed, 10, "system.nic0");
    unsigned path_equal = 0, seed_equal = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t value = iom_rng_next(&same[0]);
        IOM_EXPECT_U64(iom_rng_next(&same[1]), value);
        path_equal += iom_rng_next(&other_path) == value;
        seed_equal += iom_rng_next(&other_seed) == value;
    }
    IOM_EXPECT_U64(path_equal, 0);
    IOM_EXPECT_U64(seed_equal, 0);
}

// Bounds below 2^32 allow the 96-bit product in two 64-bit steps.
static uint64_t reference_below(struct iom_rng *rng, uint64_t bound)
{
    uint64_t remainder = (UINT64_MAX % bound + 1) % bound; // 2^64 modulo bound
    for (;;) {
        uint64_t value = iom_rng_next(rng);
        if (value * bound >= remainder)
            return ((value >> 32) * bound + ((value & UINT32_MAX) * bound >> 32)) >> 32;
    }
}

IOM_TEST(Rng, below_scales_and_rejects_as_lemire_describes)
{
    static const uint64_t bounds[] = {1, 2, 3, 7, 10, 100, 1000, 65537, 1000003, UINT32_MAX};
    for (unsigned b = 0; b < sizeof bounds / sizeof bounds[0]; b++) {
        struct iom_rng rng, reference;
        iom_rng_seed(&rng, b, "below");
        iom_rng_seed(&reference, b, "below");
        for (unsigned i = 0; i < 1000; i++) {
            uint64_t value = iom_rng_below(&rng, bounds[b]);
            IOM_EXPECT(value < bounds[b]);
            IOM_EXPECT_U64(value, reference_below(&reference, bounds[b]));
        }
    }
}

IOM_TEST(Rng, below_a_power_of_two_takes_the_top_bits)
{
    for (unsigned bits = 1; bits < 64; bits++) {
        struct iom_rng rng, plain;
        iom_rng_seed(&rng, bits, "top");
        iom_rng_seed(&plain, bits, "top");
        for (unsigned i = 0; i < 50; i++)
            IOM_EXPECT_U64(iom_rng_below(&rng, UINT64_C(1) << bits), iom_rng_next(&plain) >> (64 - bits));
    }
}

IOM_TEST(Rng, below_a_huge_bound_has_no_bias)
{
    // Scaling 2^64 values onto 3 * 2^62 without rejection would give every third value twice the weight:
    // 15000, 7500 and 7500 of 30000. Unbiased: 10000 each, standard deviation 82.
    uint64_t bound = UINT64_C(3) << 62;
    unsigned count[3] = {0, 0, 0};
    struct iom_rng rng;
    iom_rng_seed(&rng, 1, "bias");
    for (unsigned i = 0; i < 30000; i++) {
        uint64_t value = iom_rng_below(&rng, bound);
        IOM_EXPECT(value < bound);
        count[value % 3]++;
    }
    for (unsigned i = 0; i < 3; i++)
        IOM_EXPECT(count[i] > 9590 && count[i] < 10410);
}

IOM_TEST(Rng, below_reaches_every_value_evenly)
{
    // 1600 expected of each, standard deviation 39; five of them either way.
    unsigned count[10] = {0};
    struct iom_rng rng;
    iom_rng_seed(&rng, 3, "even");
    for (unsigned i = 0; i < 16000; i++)
        count[iom_rng_below(&rng, 10)]++;
    for (unsigned i = 0; i < 10; i++)
        IOM_EXPECT(count[i] > 1405 && count[i] < 1795);
}

IOM_TEST(Rng, unit_is_the_top_53_bits_as_a_fraction)
{
    struct iom_rng rng, plain;
    iom_rng_seed(&rng, 5, "unit");
    iom_rng_seed(&plain, 5, "unit");
    double sum = 0;
    for (unsigned i = 0; i < 10000; i++) {
        double value = iom_rng_unit(&rng);
        IOM_EXPECT(value >= 0.0 && value < 1.0);
        IOM_EXPECT_U64((uint64_t)(value * 9007199254740992.0), iom_rng_next(&plain) >> 11);
        sum += value;
    }
    // Mean 0.5, standard deviation of the mean 0.0029.
    IOM_EXPECT(sum > 4855.0 && sum < 5145.0);
}
