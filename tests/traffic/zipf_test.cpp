// SPDX-License-Identifier: Apache-2.0
//
// Zipf weights against long double pow(), the alias table against the weights it was made of, and
// sampled frequencies against the distribution.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "traffic/zipf.h"

namespace
{

std::vector<uint64_t> weights(uint32_t items, uint32_t exponent_ppm)
{
    std::vector<uint64_t> list(items);
    iom_zipf_weights(list.data(), items, exponent_ppm);
    return list;
}

TEST(Zipf, weights_follow_the_power_law)
{
    for (const uint32_t exponent :
         {0u, 1u, 10000u, 500000u, 990000u, 1000000u, 1500000u, 3333333u, 10000000u}) {
        const auto list = weights(200000, exponent);
        for (uint32_t rank = 1; rank <= list.size(); rank += rank < 2000 ? 1 : 997) {
            const long double exact =
                std::pow(static_cast<long double>(rank), -static_cast<long double>(exponent) / 1e6L) *
                0x1p42L;
            const long double error = std::fabs(static_cast<long double>(list[rank - 1]) - exact);
            ASSERT_LE(error, 1.0L + exact * 0x1p-32L) << "rank " << rank << " exponent " << exponent;
        }
    }
}

TEST(Zipf, weights_never_increase)
{
    const auto list = weights(IOM_ZIPF_MAX_ITEMS, 990000);
    EXPECT_EQ(list[0], UINT64_C(1) << IOM_ZIPF_WEIGHT_BITS);
    for (size_t i = 1; i < list.size(); i++)
        ASSERT_LE(list[i], list[i - 1]) << i;
}

// Adds up what every cell of the table gives to each item: exactly the weights.
TEST(Zipf, table_represents_the_weights)
{
    for (const uint32_t items : {1u, 2u, 3u, 7u, 100u, 4096u, 10007u}) {
        const auto list = weights(items, 990000);
        iom_zipf zipf{};
        ASSERT_TRUE(iom_zipf_init(&zipf, items, 990000, nullptr));
        std::vector<long double> share(items, 0);
        for (uint32_t i = 0; i < items; i++) {
            const iom_zipf_cell &cell = zipf.cells[i];
            const long double part = static_cast<long double>(cell.threshold) * 0x1p-64L;
            share[cell.item] += part;
            share[cell.other] += 1 - part;
        }
        const long double total = std::accumulate(list.begin(), list.end(), 0.0L);
        for (uint32_t i = 0; i < items; i++)
            EXPECT_NEAR(static_cast<double>(share[i] / items), static_cast<double>(list[i] / total), 1e-16);
        iom_zipf_free(&zipf);
    }
}

double chi_square(const std::vector<uint64_t> &seen, const std::vector<double> &probability, double samples)
{
    double sum = 0;
    for (size_t i = 0; i < seen.size(); i++) {
        const double expected = probability[i] * samples;
        sum +=
            (static_cast<double>(seen[i]) - expected) * (static_cast<double>(seen[i]) - expected) / expected;
    }
    return sum;
}

TEST(Zipf, samples_follow_the_distribution)
{
    constexpr uint32_t items = 101;
    constexpr uint32_t samples = 1000000;
    iom_zipf zipf{};
    ASSERT_TRUE(iom_zipf_init(&zipf, items, 1200000, nullptr));
    iom_rng rng;
    iom_rng_seed(&rng, 7, "zipf");
    std::vector<uint64_t> seen(items, 0);
    for (uint32_t i = 0; i < samples; i++)
        seen.at(iom_zipf_sample(&zipf, &rng))++;
    std::vector<double> probability(items);
    double total = 0;
    for (uint32_t i = 0; i < items; i++)
        total += probability[i] = std::pow(i + 1.0, -1.2);
    for (double &p : probability)
        p /= total;
    // 100 degrees of freedom: exceeded with probability 10^-4 only.
    EXPECT_LT(chi_square(seen, probability, samples), 161.3);
    iom_zipf_free(&zipf);
}

// Scattering renames items and changes nothing else.
TEST(Zipf, scatter_is_a_permutation)
{
    constexpr uint32_t items = 1000;
    iom_zipf plain{}, scattered{};
    iom_rng rng;
    iom_rng_seed(&rng, 1, "scatter");
    ASSERT_TRUE(iom_zipf_init(&plain, items, 990000, nullptr));
    ASSERT_TRUE(iom_zipf_init(&scattered, items, 990000, &rng));
    std::vector<uint32_t> name(items, items);
    std::vector<bool> used(items, false);
    uint32_t moved = 0;
    for (uint32_t i = 0; i < items; i++) {
        EXPECT_EQ(plain.cells[i].threshold, scattered.cells[i].threshold);
        for (const auto &[from, to] : {std::pair{plain.cells[i].item, scattered.cells[i].item},
                                       std::pair{plain.cells[i].other, scattered.cells[i].other}}) {
            if (name[from] == items) {
                EXPECT_FALSE(used[to]);
                used[to] = true;
                name[from] = to;
                moved += from != to;
            }
            EXPECT_EQ(name[from], to);
        }
    }
    EXPECT_GT(moved, items * 9 / 10);
    iom_zipf_free(&plain);
    iom_zipf_free(&scattered);
}

} // namespace
