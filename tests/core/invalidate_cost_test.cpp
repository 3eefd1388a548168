// SPDX-License-Identifier: Apache-2.0
//
// What an invalidation costs (core/invalidate_cost.h): the three methods against their text, by set also
// against the sets that a cache of this geometry really uses.
#include <gtest/gtest.h>

#include <set>

#include "core/invalidate_cost.h"
#include "core/rng.h"

namespace
{

iom_cache_config geometry(uint32_t entries, uint32_t ways, uint32_t index = 0)
{
    iom_cache_config config = {};
    config.entries = entries;
    config.ways = ways;
    config.index = index;
    config.match = IOM_TAG_ADDRESS | IOM_TAG_DOMAIN | IOM_TAG_STREAM | IOM_TAG_SUBSTREAM;
    return config;
}

iom_invalidate_cost cost_of(iom_invalidate_method method, uint32_t per_cycle = 0, uint64_t sizes = 0)
{
    iom_invalidate_cost cost = {};
    cost.method = method;
    cost.entries_per_cycle = per_cycle;
    cost.page_sizes = sizes;
    return cost;
}

iom_cache_match pages(uint64_t first, uint64_t last, uint32_t fields = 0)
{
    iom_cache_match match = {};
    match.fields = IOM_TAG_ADDRESS | fields;
    match.first = first;
    match.last = last;
    return match;
}

constexpr uint64_t k4 = uint64_t{1} << 12, k2m = uint64_t{1} << 21;

TEST(InvalidateCost, a_flash_clear_takes_one_cycle_whatever_it_clears)
{
    const iom_cache_match all = {}, one = pages(0x1000, 0x1fff);
    for (uint32_t entries : {0u, 1u, 64u, 4096u}) {
        const iom_cache_config cache = geometry(entries, entries);
        const iom_invalidate_cost cost = cost_of(IOM_INVALIDATE_FLASH);
        EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &all), 1u);
        EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &one), 1u);
    }
}

TEST(InvalidateCost, a_scan_reads_every_entry)
{
    struct Row {
        uint32_t entries, per_cycle;
        uint64_t cycles;
    };
    const iom_cache_match one = pages(0x1000, 0x1fff);
    for (const Row &row : {Row{64, 1, 64}, Row{64, 4, 16}, Row{64, 7, 10}, Row{64, 64, 1}, Row{64, 100, 1},
                           Row{1, 1, 1}, Row{0, 4, 1}}) {
        const iom_cache_config cache = geometry(row.entries, row.entries);
        const iom_invalidate_cost cost = cost_of(IOM_INVALIDATE_SCAN, row.per_cycle);
        EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &one), row.cycles)
            << row.entries << '/' << row.per_cycle;
    }
}

TEST(InvalidateCost, by_set_one_cycle_for_each_set_that_can_hold_a_match)
{
    const iom_cache_config cache = geometry(256, 4); // 64 sets by page number alone
    const iom_invalidate_cost small = cost_of(IOM_INVALIDATE_BY_SET, 0, k4),
                              two = cost_of(IOM_INVALIDATE_BY_SET, 0, k4 | k2m),
                              usual = cost_of(IOM_INVALIDATE_BY_SET);
    const auto cycles = [&cache](const iom_invalidate_cost &cost, const iom_cache_match &match) {
        return iom_invalidate_cycles(&cost, &cache, &match);
    };
    EXPECT_EQ(cycles(small, pages(0x1000, 0x1fff)), 1u);
    EXPECT_EQ(cycles(small, pages(0x1fff, 0x2000)), 2u);
    EXPECT_EQ(cycles(small, pages(0, 31 * k4)), 32u);
    EXPECT_EQ(cycles(small, pages(0, 1000 * k4)), 64u) << "there are no more sets";
    EXPECT_EQ(cycles(small, pages(0, UINT64_MAX)), 64u);
    EXPECT_EQ(cycles(two, pages(0x1000, 0x1fff)), 2u) << "the page and the 2 MiB page around it";
    EXPECT_EQ(cycles(two, pages(k2m - 1, k2m)), 4u);
    EXPECT_EQ(cycles(usual, pages(0x1000, 0x1fff)), 3u) << "4 KiB, 2 MiB, 1 GiB";
    EXPECT_EQ(cycles(small, pages(0x2000, 0x1000)), 1u) << "an empty range still takes its cycle";
    const iom_cache_match domain = [] {
        iom_cache_match match = {};
        match.fields = IOM_TAG_DOMAIN;
        return match;
    }();
    EXPECT_EQ(cycles(small, domain), 64u) << "pages are not named";
}

TEST(InvalidateCost, by_set_all_sets_when_the_index_is_not_known)
{
    const iom_cache_config cache = geometry(256, 4, IOM_TAG_ADDRESS | IOM_TAG_DOMAIN);
    const iom_invalidate_cost cost = cost_of(IOM_INVALIDATE_BY_SET, 0, k4);
    const iom_cache_match unknown = pages(0x1000, 0x1fff), known = pages(0x1000, 0x1fff, IOM_TAG_DOMAIN);
    EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &unknown), 64u);
    EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &known), 1u);
}

TEST(InvalidateCost, by_set_global_entries_may_lie_elsewhere)
{
    const iom_cache_config cache = geometry(256, 4, IOM_TAG_SUBSTREAM);
    const iom_invalidate_cost cost = cost_of(IOM_INVALIDATE_BY_SET, 0, k4);
    iom_cache_match match = pages(0x1000, 0x1fff, IOM_TAG_SUBSTREAM);
    EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &match), 2u);
    match.keep_global = true;
    EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &match), 1u);
}

TEST(InvalidateCost, by_set_a_cache_without_addresses_is_found_by_its_index)
{
    iom_cache_config cache = geometry(64, 4, IOM_TAG_STREAM);
    cache.match = IOM_TAG_STREAM;
    const iom_invalidate_cost cost = cost_of(IOM_INVALIDATE_BY_SET);
    iom_cache_match match = {};
    EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &match), 16u);
    match.fields = IOM_TAG_STREAM | IOM_TAG_DOMAIN;
    EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &match), 1u);
    match.stream_ignore = 7; // eight functions of a device
    EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &match), 8u);
    match.stream_ignore = 0xff;
    EXPECT_EQ(iom_invalidate_cycles(&cost, &cache, &match), 16u);
}

// Fills a cache with every page of a window, removes a range, and looks in which sets (of one way each)
// anything was lost. A visit by set may not take fewer cycles than there are such sets.
TEST(InvalidateCost, by_set_never_visits_fewer_sets_than_lose_an_entry)
{
    iom_rng rng;
    iom_rng_seed(&rng, 3, "by set");
    for (int round = 0; round < 200; round++) {
        iom_cache_config config = geometry(64, 1);
        config.policy = IOM_POLICY_LRU;
        iom_cache *cache = iom_cache_create(&config, 1, "c");
        std::set<uint32_t> lost;
        iom_cache_observer observer = {};
        observer.context = &lost;
        observer.dropped = [](void *context, uint32_t slot, const iom_tag *, const void *,
                              bool by_invalidation) {
            if (by_invalidation)
                static_cast<std::set<uint32_t> *>(context)->insert(slot % 64);
        };
        iom_cache_set_observer(cache, &observer);
        for (uint32_t i = 0; i < 64; i++) {
            iom_tag tag = {};
            tag.size_log2 = iom_rng_below(&rng, 2) != 0 ? 12 : 21;
            tag.address = iom_align_down(iom_rng_below(&rng, uint64_t{1} << 24), tag.size_log2);
            iom_cache_fill(cache, i, &tag, nullptr);
        }
        const uint64_t first = iom_rng_below(&rng, uint64_t{1} << 24);
        const iom_cache_match match = pages(first, first + iom_rng_below(&rng, uint64_t{1} << 17));
        const iom_invalidate_cost cost = cost_of(IOM_INVALIDATE_BY_SET, 0, k4 | k2m);
        const uint64_t cycles = iom_invalidate_cycles(&cost, &config, &match);
        iom_cache_invalidate(cache, 100, &match);
        iom_cache_sync(cache, 101);
        EXPECT_LE(lost.size(), cycles);
        const uint64_t touched =
            (match.last >> 12) - (match.first >> 12) + 1 + (match.last >> 21) - (match.first >> 21) + 1;
        EXPECT_EQ(cycles, std::min<uint64_t>(touched, 64));
        iom_cache_destroy(cache);
    }
}

// ---- whole invalidations ------------------------------------------------------------------------------

iom_invalidation two_parts(uint32_t first_targets, uint32_t second_targets)
{
    iom_invalidation invalidation = {};
    invalidation.parts = 2;
    invalidation.part[0].targets = first_targets;
    invalidation.part[0].match = pages(0x1000, 0x1fff);
    invalidation.part[1].targets = second_targets;
    invalidation.part[1].match = pages(0x5000, 0x6fff);
    return invalidation;
}

TEST(InvalidateCost, parts_share_a_scan_and_add_up_by_set)
{
    const iom_cache_config cache = geometry(256, 4);
    const iom_invalidation both = two_parts(IOM_INVALIDATE_IOTLB, IOM_INVALIDATE_IOTLB | IOM_INVALIDATE_PSC);
    const iom_invalidate_cost scan = cost_of(IOM_INVALIDATE_SCAN, 2),
                              by_set = cost_of(IOM_INVALIDATE_BY_SET, 0, k4);
    EXPECT_EQ(iom_invalidation_cycles(&scan, &cache, &both, IOM_INVALIDATE_IOTLB), 128u);
    EXPECT_EQ(iom_invalidation_cycles(&by_set, &cache, &both, IOM_INVALIDATE_IOTLB), 3u);
    EXPECT_EQ(iom_invalidation_cycles(&by_set, &cache, &both, IOM_INVALIDATE_PSC), 2u);
    EXPECT_EQ(iom_invalidation_cycles(&by_set, &cache, &both, IOM_INVALIDATE_CONTEXT), 0u);
}

TEST(InvalidateCost, a_plan_takes_as_long_as_the_slowest_cache_reached)
{
    iom_invalidate_plan plan = {};
    plan.lookup[IOM_LOOKUP_CONTEXT] = {cost_of(IOM_INVALIDATE_SCAN, 1), geometry(8, 8)};
    plan.lookup[IOM_LOOKUP_IOTLB] = {cost_of(IOM_INVALIDATE_SCAN, 4), geometry(64, 4)};
    plan.psc.cost = cost_of(IOM_INVALIDATE_BY_SET);
    plan.psc.cost.blocking = true;
    plan.psc.cache[0][2] = geometry(32, 1);
    plan.psc.cache[1][3] = geometry(32, 1);
    const auto cycles = [&plan](uint32_t targets, uint64_t first, uint64_t last) {
        iom_invalidation invalidation = {};
        invalidation.parts = 1;
        invalidation.part[0].targets = targets;
        invalidation.part[0].match = pages(first, last);
        return iom_invalidate_plan_cycles(&plan, &invalidation);
    };
    EXPECT_EQ(cycles(IOM_INVALIDATE_CONTEXT, 0, k4), 8u);
    EXPECT_EQ(cycles(IOM_INVALIDATE_IOTLB, 0, k4), 16u);
    EXPECT_EQ(cycles(IOM_INVALIDATE_ALL, 0, k4), 16u);
    EXPECT_EQ(cycles(IOM_INVALIDATE_PASID, 0, k4), 1u) << "no such cache";
    EXPECT_EQ(cycles(IOM_INVALIDATE_PSC, 0, k4), 1u) << "one set of either level";
    EXPECT_EQ(cycles(IOM_INVALIDATE_PSC, 0, 20 * k2m), 21u) << "level 2 is the slower one";
    EXPECT_EQ(cycles(IOM_INVALIDATE_PSC | IOM_INVALIDATE_IOTLB, 0, 20 * k2m), 21u);
    EXPECT_TRUE(iom_invalidate_plan_blocks(&plan, IOM_INVALIDATE_PSC));
    EXPECT_FALSE(iom_invalidate_plan_blocks(&plan, IOM_INVALIDATE_IOTLB));
}

} // namespace
