// SPDX-License-Identifier: Apache-2.0
//
// The log-linear histogram against a sorted list of its values.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/histogram.h"
#include "core/rng.h"

namespace
{

// Values of all magnitudes, small ones often.
std::vector<uint64_t> random_values(uint64_t seed, size_t count)
{
    iom_rng rng;
    iom_rng_seed(&rng, seed, "histogram");
    std::vector<uint64_t> values;
    for (size_t i = 0; i < count; i++)
        values.push_back(iom_rng_next(&rng) >> iom_rng_below(&rng, 64));
    return values;
}

iom_histogram histogram_of(const std::vector<uint64_t> &values)
{
    iom_histogram histogram{};
    for (uint64_t value : values)
        iom_histogram_add(&histogram, value);
    return histogram;
}

TEST(Histogram, buckets_cover_all_values_without_gap_or_overlap)
{
    EXPECT_EQ(iom_histogram_bucket_first(0), 0u);
    for (uint32_t i = 0; i + 1 < IOM_HISTOGRAM_BUCKETS; i++) {
        ASSERT_LE(iom_histogram_bucket_first(i), iom_histogram_bucket_last(i)) << i;
        ASSERT_EQ(iom_histogram_bucket_last(i) + 1, iom_histogram_bucket_first(i + 1)) << i;
    }
    EXPECT_EQ(iom_histogram_bucket_last(IOM_HISTOGRAM_BUCKETS - 1), UINT64_MAX);
}

TEST(Histogram, a_value_falls_into_the_bucket_whose_edges_enclose_it)
{
    for (uint32_t i = 0; i < IOM_HISTOGRAM_BUCKETS; i++) {
        EXPECT_EQ(iom_histogram_index(iom_histogram_bucket_first(i)), i);
        EXPECT_EQ(iom_histogram_index(iom_histogram_bucket_last(i)), i);
    }
    for (uint64_t value : random_values(1, 2000)) {
        uint32_t index = iom_histogram_index(value);
        EXPECT_LE(iom_histogram_bucket_first(index), value);
        EXPECT_GE(iom_histogram_bucket_last(index), value);
    }
}

TEST(Histogram, is_exact_below_32_and_within_a_sixteenth_above)
{
    for (uint64_t value = 0; value < 32; value++)
        EXPECT_EQ(iom_histogram_bucket_first(iom_histogram_index(value)),
                  iom_histogram_bucket_last(iom_histogram_index(value)));
    for (uint32_t i = 32; i < IOM_HISTOGRAM_BUCKETS; i++) {
        uint64_t first = iom_histogram_bucket_first(i);
        EXPECT_LE(iom_histogram_bucket_last(i) - first, first / 16 - 1) << i;
    }
}

TEST(Histogram, an_empty_one_says_zero)
{
    iom_histogram histogram{};
    EXPECT_EQ(iom_histogram_quantile(&histogram, 500000), 0u);
    EXPECT_EQ(histogram.minimum, 0u);
    EXPECT_EQ(histogram.maximum, 0u);
}

TEST(Histogram, count_sum_minimum_and_maximum_are_exact)
{
    std::vector<uint64_t> values = random_values(2, 500);
    iom_histogram histogram = histogram_of(values);
    uint64_t sum = 0; // modulo 2^64, like the histogram's
    for (uint64_t value : values)
        sum += value;
    EXPECT_EQ(histogram.count, values.size());
    EXPECT_EQ(histogram.sum, sum);
    EXPECT_EQ(histogram.minimum, *std::min_element(values.begin(), values.end()));
    EXPECT_EQ(histogram.maximum, *std::max_element(values.begin(), values.end()));
}

// The value of rank ceil(count * q), taken up to the end of its bucket but not beyond the maximum.
uint64_t expected_quantile(std::vector<uint64_t> values, uint64_t per_million)
{
    std::sort(values.begin(), values.end());
    uint64_t rank = std::max<uint64_t>((values.size() * per_million + 999999) / 1000000, 1);
    uint64_t value = values[rank - 1];
    return std::min(iom_histogram_bucket_last(iom_histogram_index(value)), values.back());
}

TEST(Histogram, quantiles_are_those_of_the_sorted_values)
{
    for (size_t count : {1, 2, 3, 10, 999, 1000}) {
        std::vector<uint64_t> values = random_values(count, count);
        iom_histogram histogram = histogram_of(values);
        for (uint32_t per_million :
             {0u, 1u, 1000u, 250000u, 500000u, 900000u, 990000u, 999000u, 999999u, 1000000u})
            EXPECT_EQ(iom_histogram_quantile(&histogram, per_million), expected_quantile(values, per_million))
                << count << " values, " << per_million;
        EXPECT_EQ(iom_histogram_quantile(&histogram, 2000000), histogram.maximum);
    }
}

TEST(Histogram, merging_equals_adding_all_values_to_one)
{
    std::vector<uint64_t> a = random_values(3, 300), b = random_values(4, 200);
    std::vector<uint64_t> both = a;
    both.insert(both.end(), b.begin(), b.end());
    iom_histogram merged = histogram_of(a);
    iom_histogram other = histogram_of(b);
    iom_histogram_merge(&merged, &other);
    iom_histogram expected = histogram_of(both);
    EXPECT_EQ(merged.count, expected.count);
    EXPECT_EQ(merged.sum, expected.sum);
    EXPECT_EQ(merged.minimum, expected.minimum);
    EXPECT_EQ(merged.maximum, expected.maximum);
    EXPECT_TRUE(std::equal(std::begin(merged.bucket), std::end(merged.bucket), std::begin(expected.bucket)));
}

TEST(Histogram, merging_with_an_empty_one_changes_nothing)
{
    iom_histogram some = histogram_of({7, 9}), empty{};
    iom_histogram_merge(&some, &empty);
    EXPECT_EQ(some.minimum, 7u);
    EXPECT_EQ(some.count, 2u);
    iom_histogram_merge(&empty, &some);
    EXPECT_EQ(empty.minimum, 7u);
    EXPECT_EQ(empty.maximum, 9u);
}

} // namespace
