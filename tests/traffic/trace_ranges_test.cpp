// SPDX-License-Identifier: Apache-2.0
//
// The range map against a plain map of pages, under random inserts, removals and look-ups.
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "core/rng.h"
#include "traffic/trace_ranges.h"

namespace
{

TEST(TraceRanges, behaves_as_a_map_of_pages)
{
    iom_rng rng;
    iom_rng_seed(&rng, 1, "trace_ranges_test");
    iom_ranges *ranges = iom_ranges_new();
    std::map<std::pair<uint32_t, uint64_t>, uint64_t> oracle; // (space, page) -> mapped page
    for (int step = 0; step < 20000; step++) {
        const auto space = static_cast<uint32_t>(iom_rng_below(&rng, 3));
        const uint64_t page = iom_rng_below(&rng, 200);
        const uint64_t count = 1 + iom_rng_below(&rng, 12);
        const uint64_t first = page << 12;
        const uint64_t last = ((page + count) << 12) - 1;
        if (iom_rng_below(&rng, 2) == 0) {
            const uint64_t address = iom_rng_below(&rng, 1u << 20);
            ASSERT_TRUE(iom_ranges_remove(ranges, space, first, last));
            iom_range range = {};
            range.space = space;
            range.first = first;
            range.last = last;
            range.address = address << 12;
            ASSERT_TRUE(iom_ranges_insert(ranges, &range));
            for (uint64_t i = 0; i < count; i++)
                oracle[{space, page + i}] = address + i;
        } else {
            ASSERT_TRUE(iom_ranges_remove(ranges, space, first, last));
            for (uint64_t i = 0; i < count; i++)
                oracle.erase({space, page + i});
        }
        const uint64_t probe = iom_rng_below(&rng, 220);
        const iom_range *found = iom_ranges_find(ranges, space, (probe << 12) + 5);
        const auto expected = oracle.find({space, probe});
        ASSERT_EQ(found != nullptr, expected != oracle.end());
        if (found != nullptr) {
            ASSERT_EQ((found->address + ((probe << 12) - found->first)) >> 12, expected->second);
        }
        const iom_range *next = iom_ranges_next(ranges, space, probe << 12);
        const auto above = oracle.lower_bound({space, probe});
        ASSERT_EQ(next != nullptr, above != oracle.end() && above->first.first == space);
        ASSERT_EQ(iom_ranges_bytes(ranges), oracle.size() << 12);
    }
    iom_ranges_free(ranges);
}

TEST(TraceRanges, reaches_the_top_of_the_address_space)
{
    iom_ranges *ranges = iom_ranges_new();
    iom_range range = {};
    range.first = UINT64_MAX - 0x1fff;
    range.last = UINT64_MAX;
    ASSERT_TRUE(iom_ranges_insert(ranges, &range));
    EXPECT_NE(iom_ranges_find(ranges, 0, UINT64_MAX), nullptr);
    ASSERT_TRUE(iom_ranges_remove(ranges, 0, UINT64_MAX - 0xfff, UINT64_MAX));
    EXPECT_EQ(iom_ranges_find(ranges, 0, UINT64_MAX), nullptr);
    ASSERT_NE(iom_ranges_find(ranges, 0, UINT64_MAX - 0x1000), nullptr);
    EXPECT_EQ(iom_ranges_find(ranges, 0, UINT64_MAX - 0x1000)->last, UINT64_MAX - 0x1000);
    EXPECT_EQ(iom_ranges_count(ranges), 1u);
    iom_ranges_free(ranges);
}

TEST(TraceRanges, ascending_order_stays_fast)
{
    // A tree without balance needs 5 * 10^9 steps for this.
    iom_ranges *ranges = iom_ranges_new();
    for (uint64_t i = 0; i < 100000; i++) {
        iom_range range = {};
        range.first = i << 12;
        range.last = range.first + 0xfff;
        ASSERT_TRUE(iom_ranges_insert(ranges, &range));
    }
    EXPECT_EQ(iom_ranges_count(ranges), 100000u);
    iom_ranges_free(ranges);
}

} // namespace
