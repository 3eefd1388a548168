// SPDX-License-Identifier: Apache-2.0
//
// Streams: exact sequences where they are fixed, distributions against independent computations (fixed
// seeds, bounds exceeded with probability below 10^-4).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "tests/traffic/generator_fixture.hpp"

using namespace generator_fixture;

namespace
{

double chi_square(const std::vector<uint64_t> &seen)
{
    uint64_t total = 0;
    for (const uint64_t count : seen)
        total += count;
    const double expected = static_cast<double>(total) / static_cast<double>(seen.size());
    double sum = 0;
    for (const uint64_t count : seen)
        sum += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected) / expected;
    return sum;
}

TEST(Generator, sequential_walks_the_window_and_wraps)
{
    const auto generator = make(stream(IOM_GENERATOR_SEQUENTIAL));
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t offset = 0; offset < 64 * UINT64_C(4096); offset += 256) {
            const auto request = next(generator);
            ASSERT_EQ(request.iova, 0x10000000 + offset);
            ASSERT_EQ(request.bytes, 256u);
            ASSERT_EQ(request.source, 0x0310u);
            ASSERT_EQ(request.flags, 0);
            ASSERT_TRUE(request.first);
            ASSERT_FALSE(request.more);
        }
    }
}

TEST(Generator, stride_skips_and_wraps_where_the_next_request_does_not_fit)
{
    auto config = stream(IOM_GENERATOR_STRIDED);
    config.window_bytes = 4 * UINT64_C(4096);
    config.stride_bytes = 5000;
    const auto generator = make(config);
    for (const uint64_t offset : {0, 5000, 10000, 15000, 0, 5000})
        EXPECT_EQ(next(generator).iova, config.base_iova + offset);
}

TEST(Generator, requests_are_split_at_pages)
{
    auto config = stream(IOM_GENERATOR_SEQUENTIAL);
    config.request_bytes = 1500;
    config.read_ppm = 0;
    const auto generator = make(config);
    uint64_t expected = config.base_iova;
    unsigned splits = 0;
    for (unsigned operation = 0; operation < 1000; operation++) {
        auto request = next(generator);
        ASSERT_TRUE(request.first);
        if (expected + 1500 > config.base_iova + config.window_bytes)
            expected = config.base_iova;
        uint64_t left = 1500;
        while (true) {
            ASSERT_EQ(request.iova, expected);
            ASSERT_EQ(request.flags, IOM_REQ_WRITE | IOM_REQ_POSTED);
            expect_within_page(request);
            expected += request.bytes;
            left -= request.bytes;
            ASSERT_EQ(request.more, left != 0);
            if (left == 0)
                break;
            splits++;
            ASSERT_TRUE(iom_generator_next(generator.get(), 0, false, &request));
            ASSERT_FALSE(request.first);
        }
        ASSERT_FALSE(iom_generator_next(generator.get(), 0, false, &request));
    }
    // 174 requests fit into the window; of the 63 inner page boundaries one (0x2edb00 = lcm) never
    // falls on the start of a request, so each lies within one of them.
    unsigned per_round = 0;
    for (unsigned i = 0; i < 174; i++)
        per_round += i * 1500 / 4096 != (i * 1500 + 1499) / 4096;
    EXPECT_GE(splits, per_round * 5);
    EXPECT_LE(splits, per_round * 6);
}

TEST(Generator, uniform_covers_all_places_alike)
{
    auto config = stream(IOM_GENERATOR_UNIFORM);
    config.window_bytes = 16 * UINT64_C(4096);
    config.request_bytes = 1024;
    const auto generator = make(config);
    std::vector<uint64_t> seen(64, 0);
    for (unsigned i = 0; i < 64000; i++) {
        const auto request = next(generator);
        ASSERT_EQ(request.iova % 1024, 0u);
        seen.at((request.iova - config.base_iova) / 1024)++;
    }
    EXPECT_LT(chi_square(seen), 112.0); // 63 degrees of freedom
}

TEST(Generator, uniform_respects_alignment_and_bounds)
{
    auto config = stream(IOM_GENERATOR_UNIFORM);
    config.request_bytes = 100;
    config.align_bytes = 64;
    const auto generator = make(config);
    uint64_t lowest = UINT64_MAX, highest = 0;
    bool fresh = true;
    for (unsigned i = 0; i < 100000; i++) {
        const auto request = next(generator);
        expect_within_page(request);
        if (fresh) {
            ASSERT_EQ(request.iova % 64, 0u);
        }
        fresh = !request.more;
        lowest = std::min(lowest, request.iova);
        highest = std::max(highest, request.iova + request.bytes);
    }
    EXPECT_EQ(lowest, config.base_iova);
    EXPECT_LE(highest, config.base_iova + config.window_bytes);
    EXPECT_GT(highest, config.base_iova + config.window_bytes - 128);
}

TEST(Generator, hot_part_gets_its_share)
{
    auto config = stream(IOM_GENERATOR_UNIFORM);
    config.hot_bytes = 3 * UINT64_C(4096);
    config.hot_ppm = 900000;
    const auto generator = make(config);
    std::vector<uint64_t> hot(48, 0), cold(size_t{976}, 0);
    uint64_t hot_total = 0;
    for (unsigned i = 0; i < 200000; i++) {
        const uint64_t slot = (next(generator).iova - config.base_iova) / 256;
        if (slot < 48) {
            hot[slot]++;
            hot_total++;
        } else {
            cold.at(slot - 48)++;
        }
    }
    EXPECT_NEAR(static_cast<double>(hot_total), 180000, 4 * std::sqrt(200000 * 0.9 * 0.1));
    EXPECT_LT(chi_square(hot), 88.0);    // 47 degrees of freedom
    EXPECT_LT(chi_square(cold), 1146.0); // 975 degrees of freedom
}

TEST(Generator, read_share_is_that_of_the_configuration)
{
    for (const uint32_t ppm : {0u, 1u, 300000u, 999999u, IOM_PPM}) {
        auto config = stream(IOM_GENERATOR_SEQUENTIAL);
        config.read_ppm = ppm;
        config.flags = IOM_REQ_EXEC | IOM_REQ_PRIV;
        const auto generator = make(config);
        double reads = 0;
        constexpr double count = 100000;
        for (unsigned i = 0; i < count; i++) {
            const auto request = next(generator);
            const bool write = (request.flags & IOM_REQ_WRITE) != 0;
            reads += !write;
            ASSERT_EQ(request.flags,
                      write ? IOM_REQ_WRITE | IOM_REQ_POSTED | IOM_REQ_PRIV : IOM_REQ_EXEC | IOM_REQ_PRIV);
        }
        const double share = ppm / 1e6;
        if (ppm == 0 || ppm == IOM_PPM) {
            EXPECT_EQ(reads, share * count);
        } else {
            EXPECT_NEAR(reads, share * count, 4 * std::sqrt(count * share * (1 - share)) + 1);
        }
    }
}

TEST(Generator, zipf_pages_have_the_popularity_of_their_rank)
{
    auto config = stream(IOM_GENERATOR_ZIPF);
    config.zipf_exponent_ppm = 1000000;
    const auto generator = make(config);
    std::vector<uint64_t> seen(64, 0);
    std::vector<uint64_t> places(16, 0);
    constexpr unsigned samples = 400000;
    for (unsigned i = 0; i < samples; i++) {
        const uint64_t offset = next(generator).iova - config.base_iova;
        seen.at(offset / 4096)++;
        places.at(offset % 4096 / 256)++;
    }
    EXPECT_LT(chi_square(places), 44.3); // 15 degrees of freedom
    // Pages sorted by frequency against 1/k; neighbours may have changed places, which only lowers the sum.
    std::sort(seen.rbegin(), seen.rend());
    double total = 0;
    for (unsigned k = 1; k <= 64; k++)
        total += 1.0 / k;
    double sum = 0;
    for (unsigned k = 1; k <= 64; k++) {
        const double expected = samples / (k * total);
        sum += (static_cast<double>(seen[k - 1]) - expected) * (static_cast<double>(seen[k - 1]) - expected) /
               expected;
    }
    EXPECT_LT(sum, 113.0);
}

TEST(Generator, zipf_groups_pages_into_blocks_when_there_are_too_many)
{
    auto config = stream(IOM_GENERATOR_ZIPF);
    config.base_iova = 0;
    config.window_bytes =
        (UINT64_C(1) << 33) + 4096; // 2^21 + 1 pages: blocks of 16 KiB, the last of one page
    const auto generator = make(config);
    std::map<uint64_t, unsigned> blocks;
    for (unsigned i = 0; i < 200000; i++) {
        const auto request = next(generator);
        ASSERT_LE(request.iova + request.bytes, config.window_bytes);
        blocks[request.iova / 16384]++;
    }
    unsigned hottest = 0;
    for (const auto &[block, count] : blocks)
        hottest = std::max(hottest, count);
    double total = 0;
    const double items = std::ceil(static_cast<double>(config.window_bytes) / 16384);
    for (uint32_t k = 1; k <= static_cast<uint32_t>(items); k++)
        total += std::pow(k, -0.99);
    EXPECT_NEAR(hottest, 200000 / total, 5 * std::sqrt(200000 / total));
}

} // namespace
