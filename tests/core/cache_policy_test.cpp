// SPDX-License-Identifier: Apache-2.0
//
// Tests of the replacement policies on sequences small enough to work by hand, among them the fill
// orders that RTL with a tree-PLRU shows after reset. Long random sequences against an independent model
// are in cache_oracle_test.cpp.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/core/cache_fixture.hpp"

namespace iommu_sim
{
namespace
{

iom_tag page(uint64_t number)
{
    return tag_of(number << 12);
}

/// Fills new pages, hits each if asked, and returns the ways they went to.
std::vector<int32_t> ways_taken(Cache &cache, uint64_t first_page, unsigned fills, bool hit_each)
{
    std::vector<int32_t> ways;
    for (uint64_t number = first_page; number < first_page + fills; number++) {
        cache.fill(page(number), number);
        ways.push_back(cache.probe(page(number))); // fully associative: slot is the way
        if (hit_each)
            cache.hit(page(number));
    }
    return ways;
}

iom_cache_config rtl_plru(uint32_t ways)
{
    iom_cache_config config = cache_config(ways, ways, IOM_POLICY_PLRU);
    config.prefer_invalid = false;
    config.plru_touch_on_fill = false;
    return config;
}

using Ways = std::vector<int32_t>;

TEST(CachePlru, fill_order_from_reset_when_each_fill_is_hit)
{
    Cache two(rtl_plru(2)), four(rtl_plru(4)), eight(rtl_plru(8));
    EXPECT_EQ(ways_taken(two, 1, 2, true), (Ways{0, 1}));
    EXPECT_EQ(ways_taken(four, 1, 4, true), (Ways{0, 2, 1, 3}));
    EXPECT_EQ(ways_taken(eight, 1, 8, true), (Ways{0, 4, 2, 6, 1, 5, 3, 7}));
    EXPECT_EQ(ways_taken(eight, 100, 8, true), (Ways{0, 4, 2, 6, 1, 5, 3, 7}))
        << "and the tree is back at reset";
}

TEST(CachePlru, fills_without_hits_stay_on_one_way_unless_fills_touch)
{
    Cache plain(rtl_plru(4));
    EXPECT_EQ(ways_taken(plain, 1, 3, false), (Ways{0, 0, 0}));
    EXPECT_EQ(plain.valid(), 1u);
    iom_cache_config config = rtl_plru(4);
    config.plru_touch_on_fill = true;
    Cache touching(config);
    EXPECT_EQ(ways_taken(touching, 1, 4, false), (Ways{0, 2, 1, 3}));
}

TEST(CachePlru, preferring_invalid_ways_fills_them_in_order)
{
    iom_cache_config config = rtl_plru(4);
    config.prefer_invalid = true;
    Cache cache(config);
    EXPECT_EQ(ways_taken(cache, 1, 4, true), (Ways{0, 1, 2, 3}));
    // Hits on 0, 1, 2, 3: root points low, both inner nodes point low.
    EXPECT_EQ(ways_taken(cache, 10, 1, true), (Ways{0}));
}

TEST(CachePlru, invalidation_leaves_the_tree_alone)
{
    Cache cache(rtl_plru(4));
    EXPECT_EQ(ways_taken(cache, 1, 2, true), (Ways{0, 2})); // next victim: way 1
    cache.invalidate(range(0x1000, 0x1fff));                // way 0
    EXPECT_EQ(ways_taken(cache, 10, 2, true), (Ways{1, 3}));
    EXPECT_EQ(cache.valid(), 3u);
}

TEST(CachePlru, refill_touches_only_if_fills_do)
{
    for (bool touch : {false, true}) {
        iom_cache_config config = rtl_plru(4);
        config.plru_touch_on_fill = touch;
        Cache cache(config);
        ways_taken(cache, 1, 4, true); // ways 0, 2, 1, 3; next victim 0
        cache.fill(page(1), 50);       // refill of way 0
        EXPECT_EQ(ways_taken(cache, 10, 1, false), (touch ? Ways{2} : Ways{0}));
    }
}

TEST(CacheLru, victim_is_the_least_recently_used)
{
    Cache cache(cache_config(3, 3)); // not a power of two
    EXPECT_EQ(ways_taken(cache, 1, 3, false), (Ways{0, 1, 2}));
    cache.hit(page(1));
    cache.hit(page(2));
    EXPECT_EQ(ways_taken(cache, 4, 1, false), (Ways{2}));
    EXPECT_EQ(ways_taken(cache, 5, 1, false), (Ways{0}));
    EXPECT_EQ(ways_taken(cache, 6, 1, false), (Ways{1}));
}

TEST(CacheLru, refill_counts_as_use)
{
    Cache cache(cache_config(2, 2));
    cache.fill(page(1), 1);
    cache.fill(page(2), 2);
    cache.fill(page(1), 3);
    cache.fill(page(3), 4);
    EXPECT_EQ(cache.find(page(1)), 3u);
    EXPECT_EQ(cache.find(page(2)), 0u);
}

TEST(CacheLru, invalid_ways_wait_for_their_turn_unless_preferred)
{
    for (bool prefer : {false, true}) {
        iom_cache_config config = cache_config(4, 4);
        config.prefer_invalid = prefer;
        Cache cache(config);
        EXPECT_EQ(ways_taken(cache, 1, 4, false), (Ways{0, 1, 2, 3}));
        cache.invalidate(range(0x3000, 0x3fff)); // way 2
        EXPECT_EQ(ways_taken(cache, 5, 1, false), (prefer ? Ways{2} : Ways{0}));
        EXPECT_EQ(cache.valid(), prefer ? 4u : 3u);
    }
}

TEST(CacheFifo, victim_is_the_oldest_fill_whatever_its_use)
{
    Cache cache(cache_config(3, 3, IOM_POLICY_FIFO));
    ways_taken(cache, 1, 3, false);
    cache.hit(page(1));
    cache.fill(page(1), 9); // a refill keeps its age
    EXPECT_EQ(ways_taken(cache, 4, 4, true), (Ways{0, 1, 2, 0}));
}

TEST(CacheSrrip, new_entries_leave_before_used_ones)
{
    // Jaleel et al., hit priority: inserted at 2, 0 on a hit, victim is the first at 3.
    Cache cache(cache_config(4, 4, IOM_POLICY_SRRIP));
    ways_taken(cache, 1, 4, false); // 2 2 2 2
    cache.hit(page(1));
    cache.hit(page(3));                                      // 0 2 0 2
    EXPECT_EQ(ways_taken(cache, 5, 1, false), (Ways{1}));    // ages by 1: 1 3 1 3 -> 1 2 1 3
    EXPECT_EQ(ways_taken(cache, 6, 2, false), (Ways{3, 1})); // 1 2 1 2; ages: 2 3 2 3 -> 2 2 2 3
    EXPECT_EQ(ways_taken(cache, 8, 2, false), (Ways{3, 0})); // 2 2 2 2; ages: all 3, first is 0
    EXPECT_EQ(cache.find(page(3)), 3u);
}

TEST(CacheSrrip, refill_counts_as_use)
{
    Cache cache(cache_config(2, 2, IOM_POLICY_SRRIP));
    ways_taken(cache, 1, 2, false);
    cache.fill(page(1), 9);
    EXPECT_EQ(ways_taken(cache, 3, 1, false), (Ways{1}));
    EXPECT_EQ(cache.find(page(1)), 9u);
}

TEST(CacheRandom, sequence_depends_on_seed_and_path_only)
{
    auto run = [](uint64_t seed, const char *path) {
        Cache cache(cache_config(16, 16, IOM_POLICY_RANDOM), seed, path);
        return ways_taken(cache, 1, 64, true);
    };
    Ways reference = run(1, "iotlb");
    EXPECT_EQ(run(1, "iotlb"), reference);
    EXPECT_NE(run(2, "iotlb"), reference);
    EXPECT_NE(run(1, "context"), reference);
}

TEST(CacheRandom, every_way_is_taken)
{
    iom_cache_config config = cache_config(3, 3, IOM_POLICY_RANDOM);
    config.prefer_invalid = false;
    Cache cache(config);
    unsigned taken[3] = {0, 0, 0};
    for (int32_t way : ways_taken(cache, 1, 3000, false)) {
        ASSERT_GE(way, 0);
        ASSERT_LT(way, 3);
        taken[way]++;
    }
    for (unsigned count : taken) // 1000 expected, standard deviation 26
        EXPECT_NEAR(count, 1000, 130);
}

TEST(CacheSets, each_set_has_its_own_replacement_state)
{
    for (auto policy : {IOM_POLICY_LRU, IOM_POLICY_PLRU, IOM_POLICY_FIFO, IOM_POLICY_SRRIP}) {
        Cache cache(cache_config(8, 2, policy)); // 4 sets
        for (uint64_t number : {0, 4, 1, 5})     // sets 0 and 1, both full
            cache.fill(page(number), number + 1);
        for (int i = 0; i < 5; i++) {
            cache.hit(page(0)); // 4 becomes the victim of set 0
            cache.hit(page(1));
        }
        cache.fill(page(9), 10); // set 1
        EXPECT_EQ(cache.find(page(0)), 1u);
        EXPECT_EQ(cache.find(page(4)), 5u);
        EXPECT_EQ(cache.find(page(9)), 10u);
        EXPECT_EQ(cache.valid(), 4u);
    }
}

} // namespace
} // namespace iommu_sim
