// SPDX-License-Identifier: Apache-2.0
//
// Tests of core/base.h and base.c against plain loops and hand-worked values, corner cases included
// (sizes of 64 bits, ranges that end at the top of the address space).
#include "core/base.h"
#include "core/rng.h"
#include "tests/shim/gtest_c.h"

IOM_TEST(Base, align_down_clears_the_bits_of_the_page_offset)
{
    IOM_EXPECT_U64(iom_align_down(0x12345fff, 12), 0x12345000);
    IOM_EXPECT_U64(iom_align_down(0x12345000, 12), 0x12345000);
    IOM_EXPECT_U64(iom_align_down(UINT64_MAX, 21), UINT64_C(0xffffffffffe00000));
    IOM_EXPECT_U64(iom_align_down(UINT64_MAX, 0), UINT64_MAX);
    IOM_EXPECT_U64(iom_align_down(UINT64_MAX, 63), UINT64_C(0x8000000000000000));
    IOM_EXPECT_U64(iom_align_down(UINT64_MAX, 64), 0);
}

IOM_TEST(Base, low_bits_keeps_that_many_bits)
{
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t expected = 0;
        for (unsigned bit = 0; bit < bits; bit++)
            expected |= UINT64_C(1) << bit;
        IOM_EXPECT_U64(iom_low_bits(UINT64_MAX, bits), expected);
        IOM_EXPECT_U64(iom_low_bits(0, bits), 0);
    }
}

IOM_TEST(Base, bits_extracts_an_inclusive_field)
{
    uint64_t word = UINT64_C(0xfedcba9876543210);
    IOM_EXPECT_U64(iom_bits(word, 3, 0), 0x0);
    IOM_EXPECT_U64(iom_bits(word, 7, 4), 0x1);
    IOM_EXPECT_U64(iom_bits(word, 63, 60), 0xf);
    IOM_EXPECT_U64(iom_bits(word, 51, 12), UINT64_C(0xcba9876543));
    IOM_EXPECT_U64(iom_bits(word, 63, 0), word);
    IOM_EXPECT_U64(iom_bits(word, 63, 63), 1);
    IOM_EXPECT_U64(iom_bits(word, 0, 0), 0);
}

IOM_TEST(Base, min_and_max_order_unsigned_values)
{
    IOM_EXPECT_U64(iom_min_u64(1, UINT64_MAX), 1);
    IOM_EXPECT_U64(iom_min_u64(UINT64_MAX, 1), 1);
    IOM_EXPECT_U64(iom_max_u64(1, UINT64_MAX), UINT64_MAX);
    IOM_EXPECT_U64(iom_max_u64(7, 7), 7);
}

IOM_TEST(Base, div_ceil_rounds_up_without_overflow)
{
    IOM_EXPECT_U64(iom_div_ceil(0, 5), 0);
    IOM_EXPECT_U64(iom_div_ceil(1, 5), 1);
    IOM_EXPECT_U64(iom_div_ceil(5, 5), 1);
    IOM_EXPECT_U64(iom_div_ceil(6, 5), 2);
    IOM_EXPECT_U64(iom_div_ceil(UINT64_MAX, 1), UINT64_MAX);
    IOM_EXPECT_U64(iom_div_ceil(UINT64_MAX, 2), UINT64_C(1) << 63);
}

IOM_TEST(Base, power_of_two_is_one_bit)
{
    IOM_EXPECT(!iom_is_power_of_two(0));
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t value = UINT64_C(1) << bit;
        IOM_EXPECT(iom_is_power_of_two(value));
        if (bit != 0)
            IOM_EXPECT(!iom_is_power_of_two(value | 1));
    }
    IOM_EXPECT(!iom_is_power_of_two(UINT64_MAX));
}

static unsigned lowest_bit(uint64_t value)
{
    unsigned bit = 0;
    while ((value >> bit & 1) == 0)
        bit++;
    return bit;
}

static unsigned highest_bit(uint64_t value)
{
    unsigned bit = 63;
    while ((value >> bit & 1) == 0)
        bit--;
    return bit;
}

static void expect_bit_scans(uint64_t value)
{
    IOM_EXPECT_U64(iom_ctz64(value), lowest_bit(value));
    IOM_EXPECT_U64(iom_ctz64_portable(value), lowest_bit(value));
    IOM_EXPECT_U64(iom_log2_u64(value), highest_bit(value));
    IOM_EXPECT_U64(iom_log2_u64_portable(value), highest_bit(value));
}

IOM_TEST(Base, bit_scans_agree_with_a_loop)
{
    struct iom_rng rng;
    iom_rng_seed(&rng, 1, "base");
    for (unsigned bit = 0; bit < 64; bit++) {
        expect_bit_scans(UINT64_C(1) << bit);
        expect_bit_scans(UINT64_MAX << bit);
        expect_bit_scans(UINT64_MAX >> bit);
        for (unsigned i = 0; i < 20; i++) {
            uint64_t noise = iom_rng_next(&rng);
            expect_bit_scans((noise | 1) << bit);
            expect_bit_scans((noise | UINT64_C(1) << 63) >> bit);
        }
    }
}
