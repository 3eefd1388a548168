// SPDX-License-Identifier: Apache-2.0
//
// Invalidations in a look-up stage (core/stage.h): what they cost, whom they keep waiting, how many entries
// they remove, which walks they squash, and that nobody starves.
#include <gtest/gtest.h>

#include <vector>

#include "tests/core/support/stage_bench.h"

namespace
{

using namespace bench;

constexpr uint32_t iotlb_only = IOM_INVALIDATE_IOTLB;

iom_stage_config scanned(uint32_t entries_per_cycle, bool blocking)
{
    iom_stage_config config = iotlb_stage(1);
    config.lookup[IOM_LOOKUP_IOTLB].invalidate.method = IOM_INVALIDATE_SCAN;
    config.lookup[IOM_LOOKUP_IOTLB].invalidate.entries_per_cycle = entries_per_cycle;
    config.lookup[IOM_LOOKUP_IOTLB].invalidate.blocking = blocking;
    return config;
}

uint64_t end_of(uint64_t page)
{
    return page + IOM_PAGE_BYTES - 1;
}

// ---- cost ---------------------------------------------------------------------------------------------

TEST(StageInvalidate, a_scan_is_applied_at_the_end_of_its_last_cycle)
{
    for (uint32_t per_cycle : {1u, 3u, 16u}) {
        const iom_cycle last = 200 + (16 + per_cycle - 1) / per_cycle - 1;
        StageBench b(scanned(per_cycle, false));
        b.map_all();
        b.warm({page_a, page_b});
        b.invalidate_range(200, iotlb_only, page_a, end_of(page_a), 1);
        iom_dma *hit = b.send(0, last, dev, page_a), *miss = b.send(0, last + 1, dev, page_a),
                *untouched = b.send(0, last + 2, dev, page_b);
        b.bench.run_until_idle();
        EXPECT_EQ(hit->translated, last + hit_cycles) << per_cycle;
        EXPECT_EQ(miss->translated, last + 1 + miss_cycles) << per_cycle;
        EXPECT_EQ(untouched->translated, last + 2 + hit_cycles) << per_cycle;
        EXPECT_EQ(b.acknowledged_in(1), last);
        EXPECT_EQ(b.acks[0].removed, 1u);
        EXPECT_EQ(b.stats().invalidations, 1u);
        EXPECT_EQ(b.stats().invalidate_cycles, last - 200 + 1);
        EXPECT_EQ(b.stats().blocked_cycles, 0u);
    }
}

TEST(StageInvalidate, a_blocking_cache_keeps_look_ups_waiting)
{
    StageBench b(scanned(4, true)); // 16 entries: 200 to 203
    b.map_all();
    b.warm({page_a, page_b});
    b.invalidate_range(200, iotlb_only, page_b, end_of(page_b), 1);
    iom_dma *before = b.send(0, 199, dev, page_a), *begin = b.send(0, 200, dev, page_a),
            *last = b.send(0, 203, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(before->translated, 199 + hit_cycles);
    EXPECT_EQ(begin->translated, 204 + hit_cycles);
    EXPECT_EQ(last->translated, 205 + hit_cycles) << "one look-up per cycle";
    EXPECT_EQ(begin->part[IOM_PART_QUEUEING], 4u);
    EXPECT_EQ(b.acknowledged_in(1), 203u);
    EXPECT_EQ(b.stats().blocked_cycles, 4u);
}

// An entry that would still hit in the last cycle is gone when the look-up is let through.
TEST(StageInvalidate, who_waited_for_a_blocking_cache_misses)
{
    StageBench b(scanned(16, true));
    b.map_all();
    b.warm({page_a});
    b.invalidate_range(200, iotlb_only, page_a, end_of(page_a));
    iom_dma *dma = b.send(0, 200, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(dma->translated, 201 + miss_cycles);
}

TEST(StageInvalidate, by_set_costs_a_cycle_for_each_set)
{
    iom_stage_config config = iotlb_stage(1);
    config.lookup[IOM_LOOKUP_IOTLB].cache.ways = 2; // 8 sets
    config.lookup[IOM_LOOKUP_IOTLB].invalidate.method = IOM_INVALIDATE_BY_SET;
    config.lookup[IOM_LOOKUP_IOTLB].invalidate.page_sizes = uint64_t{1} << 12;
    StageBench b(config);
    b.map_all();
    b.invalidate_range(200, iotlb_only, page_a, page_a + 3 * IOM_PAGE_BYTES - 1, 1);
    b.invalidate(300, StageBench::all_pages);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(1), 202u);
    EXPECT_EQ(b.acks[1].arrival - 1, 307u);
}

TEST(StageInvalidate, one_at_a_time_in_the_order_of_arrival)
{
    StageBench b(scanned(4, false));
    b.map_all();
    b.warm({page_a, page_b});
    b.invalidate_range(200, iotlb_only, page_a, end_of(page_a), 1);
    b.invalidate_range(200, iotlb_only, page_b, end_of(page_b), 2);
    b.invalidate_range(201, iotlb_only, page_c, end_of(page_c), 3);
    iom_dma *hit = b.send(0, 207, dev, page_b), *miss = b.send(0, 208, dev, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(1), 203u);
    EXPECT_EQ(b.acknowledged_in(2), 207u);
    EXPECT_EQ(b.acknowledged_in(3), 211u);
    EXPECT_EQ(hit->translated, 207 + hit_cycles);
    EXPECT_EQ(miss->translated, 208 + miss_cycles);
    EXPECT_EQ(b.stats().invalidate_cycles, 12u);
}

// A stage that owns none of the targets has nothing to wait for, unless it knows the others' cost.
TEST(StageInvalidate, all_caches_of_a_plan_are_emptied_in_the_same_cycle)
{
    for (bool common : {false, true}) {
        iom_stage_config config = iotlb_stage(1);
        iom_invalidate_plan plan = {};
        plan.lookup[IOM_LOOKUP_IOTLB].cache = config.lookup[IOM_LOOKUP_IOTLB].cache;
        plan.psc.cost.method = IOM_INVALIDATE_SCAN;
        plan.psc.cost.entries_per_cycle = 1;
        plan.psc.cache[1][2] = config.lookup[IOM_LOOKUP_IOTLB].cache;
        plan.psc.cache[1][2].entries = plan.psc.cache[1][2].ways = 10;
        config.plan = common ? &plan : nullptr;
        StageBench b(config);
        b.map_all();
        b.warm({page_a});
        b.invalidate_range(200, iotlb_only | IOM_INVALIDATE_PSC, page_a, end_of(page_a), 1);
        iom_dma *late = b.send(0, 209, dev, page_a);
        b.bench.run_until_idle();
        EXPECT_EQ(b.acknowledged_in(1), common ? 209u : 200u);
        EXPECT_EQ(late->translated, 209 + (common ? hit_cycles : miss_cycles));
    }
}

TEST(StageInvalidate, a_view_does_not_wait_for_an_invalidation)
{
    StageBench b(scanned(1, false));
    b.map_all();
    iom_view off = iotlb_stage(1).view;
    off.enabled = 0;
    b.invalidate_range(200, iotlb_only, page_a, end_of(page_a), 1);
    b.change_view(202, off);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged, (std::vector<iom_cycle>{203, 216}));
}

// ---- entries removed ----------------------------------------------------------------------------------

TEST(StageInvalidate, the_count_of_removed_entries_is_exact)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    b.warm({page_a, page_b, page_c});
    iom_control *message = b.control(200); // two parts that overlap in page_b
    message->op = IOM_CONTROL_INVALIDATE;
    message->invalidation.parts = 2;
    for (int i = 0; i < 2; i++) {
        message->invalidation.part[i].targets = iotlb_only;
        message->invalidation.part[i].match.fields = IOM_TAG_ADDRESS;
        message->invalidation.part[i].match.first = i == 0 ? page_a : page_b;
        message->invalidation.part[i].match.last = i == 0 ? end_of(page_b) : end_of(page_c);
    }
    b.bench.run_until_idle();
    ASSERT_EQ(b.acks.size(), 1u);
    EXPECT_EQ(b.acks[0].removed, 3u);
    EXPECT_EQ(b.iotlb().invalidated, 3u);
}

// The fill of the last cycle is removed too, and counted.
TEST(StageInvalidate, a_fill_of_the_last_cycle_is_removed_and_counted)
{
    StageBench b(iotlb_stage(1));
    b.answer_walks = false;
    b.map_all();
    b.send(0, 100, dev, page_a);
    b.bench.run_to(115);
    b.answer_walk(0, 130);
    b.invalidate_range(130, iotlb_only, page_a, end_of(page_a));
    b.bench.run_until_idle();
    ASSERT_EQ(b.acks.size(), 1u);
    EXPECT_EQ(b.acks[0].removed, 1u);
    EXPECT_EQ(iom_cache_valid_entries(iom_stage_cache(b.stage, IOM_LOOKUP_IOTLB), 500), 0u);
}

// ---- walks --------------------------------------------------------------------------------------------

struct Walked {
    uint64_t squashed, fills, walks;
    uint64_t output; ///< where the request ended up, less its address
};

/// A request of page_a whose walk brings a page of 2^size_log2 bytes at 0; in between [first, last] is
/// invalidated, and the tables changed.
Walked squash(uint32_t targets, uint64_t first, uint64_t last, uint8_t size_log2)
{
    StageBench b(iotlb_stage(1));
    b.answer_walks = false;
    const uint64_t page = iom_align_down(page_a, size_log2);
    const uint8_t all = IOM_PERM_READ | IOM_PERM_WRITE;
    b.map(page, moved, all, size_log2);
    iom_dma *dma = b.send(0, 100, dev, page_a);
    b.invalidate_range(120, targets, first, last);
    b.bench.run_to(118);
    b.answer_walk(0, 140);
    b.map(page, 2 * moved, all, size_log2);
    b.answer_walks = true;
    b.bench.run_until_idle();
    return {b.iotlb().squashed, b.iotlb().fills, b.walks.size(), dma->x.leaf.output - page_a};
}

TEST(StageInvalidate, a_walk_is_squashed_by_the_page_it_brings)
{
    const Walked own = squash(iotlb_only, page_a, end_of(page_a), 12);
    EXPECT_EQ(own.squashed, 1u);
    EXPECT_EQ(own.output, 2 * moved);
    const Walked small = squash(iotlb_only, page_b, end_of(page_b), 12);
    EXPECT_EQ(small.squashed, 0u);
    EXPECT_EQ(small.walks, 1u);
    EXPECT_EQ(small.output, moved);
    // page_a and page_b lie in the same 2 MiB: the page brought is stale.
    const Walked large = squash(iotlb_only, page_b, end_of(page_b), 21);
    EXPECT_EQ(large.squashed, 1u);
    EXPECT_EQ(large.walks, 2u);
    EXPECT_EQ(large.output, 2 * moved);
    EXPECT_EQ(large.fills, 1u);
    const Walked beyond = squash(iotlb_only, uint64_t{1} << 21, (uint64_t{1} << 21) + 4095, 21);
    EXPECT_EQ(beyond.squashed, 0u);
}

// Tables on the way cover more than the page: with paging-structure caches among the targets the address
// does not save a walk.
TEST(StageInvalidate, a_walk_is_squashed_with_the_tables_it_goes_by)
{
    EXPECT_EQ(squash(iotlb_only | IOM_INVALIDATE_PSC, page_b, end_of(page_b), 12).squashed, 1u);
    EXPECT_EQ(squash(IOM_INVALIDATE_PSC, page_b, end_of(page_b), 12).output, 2 * moved);
}

// A later request joins a walk that was not squashed; if the walk brings a page that was invalidated after
// all, it does not get that.
TEST(StageInvalidate, who_joins_a_doubtful_walk_does_not_get_a_stale_page)
{
    StageBench b(iotlb_stage(1));
    b.answer_walks = false;
    const uint8_t all = IOM_PERM_READ | IOM_PERM_WRITE;
    b.map(0, moved, all, 21);
    b.send(0, 100, dev, page_a);
    b.invalidate_range(120, iotlb_only, page_b, end_of(page_b));
    iom_dma *joins = b.send(0, 125, dev, page_a);
    b.bench.run_to(130);
    ASSERT_EQ(b.walks.size(), 1u);
    b.answer_walk(0, 140);
    b.map(0, 2 * moved, all, 21);
    b.answer_walks = true;
    b.bench.run_until_idle();
    EXPECT_EQ(joins->x.leaf.output, page_a + 2 * moved);
}

// ---- contexts -----------------------------------------------------------------------------------------

/// A stage behind the front that owns the IOTLB; its requests carry a context.
struct Behind {
    explicit Behind(bool squash = true) : bench(config(squash))
    {
        bench.map_all();
    }
    static iom_stage_config config(bool squash)
    {
        iom_stage_config c = iotlb_stage(1);
        c.front = false;
        c.squash_walks = squash;
        return c;
    }
    iom_dma *send(iom_cycle arrival, iom_cycle looked_up)
    {
        iom_dma *dma = bench.send(0, arrival, dev, page_a);
        dma->x.next = IOM_LOOKUP_IOTLB;
        dma->looked_up = looked_up;
        dma->mark = dma->arrived = arrival;
        return dma;
    }
    StageBench bench;
};

TEST(StageInvalidate, a_context_looked_up_before_its_invalidation_goes_back)
{
    Behind b;
    b.bench.invalidate_range(150, IOM_INVALIDATE_CONTEXT, 0, UINT64_MAX);
    iom_dma *before = b.send(160, 149), *same = b.send(170, 150), *after = b.send(180, 151);
    b.bench.bench.run_until_idle();
    EXPECT_EQ(before->x.outcome, IOM_OUTCOME_RETRY);
    EXPECT_EQ(same->x.outcome, IOM_OUTCOME_RETRY) << "in the cycle of an invalidation entries still hit";
    EXPECT_EQ(after->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(b.bench.walks.size(), 1u) << "a walk was started with a stale context";
}

TEST(StageInvalidate, the_same_for_a_new_view)
{
    Behind b;
    b.bench.change_view(150, iotlb_stage(1).view);
    iom_dma *same = b.send(170, 150), *after = b.send(180, 151);
    b.bench.bench.run_until_idle();
    EXPECT_EQ(same->x.outcome, IOM_OUTCOME_RETRY);
    EXPECT_EQ(after->x.outcome, IOM_OUTCOME_ADDRESS);
}

// Translations are looked up here, so a request may arrive with a context that is older than their
// invalidation.
TEST(StageInvalidate, a_context_survives_an_invalidation_of_translations)
{
    Behind b;
    b.bench.invalidate_range(150, iotlb_only, page_a, end_of(page_a));
    iom_dma *dma = b.send(160, 100);
    b.bench.bench.run_until_idle();
    EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
}

// Without a common plan the context cache may still have served the old entry when this stage was done. By
// the next invalidation it no longer does.
TEST(StageInvalidate, contexts_are_doubtful_until_the_next_invalidation_begins)
{
    Behind b;
    b.bench.invalidate_range(150, IOM_INVALIDATE_CONTEXT, 0, UINT64_MAX);
    b.bench.invalidate_range(180, iotlb_only, page_a, end_of(page_a));
    iom_dma *doubtful = b.send(190, 179), *fresh = b.send(200, 181);
    b.bench.bench.run_until_idle();
    EXPECT_EQ(doubtful->x.outcome, IOM_OUTCOME_RETRY);
    EXPECT_EQ(fresh->x.outcome, IOM_OUTCOME_ADDRESS);
}

TEST(StageInvalidate, hardware_that_does_not_squash_goes_on_with_the_stale_context)
{
    Behind b(false);
    b.bench.invalidate_range(150, IOM_INVALIDATE_CONTEXT, 0, UINT64_MAX);
    iom_dma *dma = b.send(160, 149);
    b.bench.bench.run_until_idle();
    EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
}

// Fused: the walk for the context is under way, the request waits for it.
TEST(StageInvalidate, the_walk_for_a_context_is_squashed)
{
    for (bool squash : {true, false}) {
        iom_stage_config config = iotlb_stage(1);
        config.lookup[IOM_LOOKUP_CONTEXT].owned = true;
        config.view.extra[0] = IOM_LOOKUP_CONTEXT;
        config.squash_walks = squash;
        StageBench b(config);
        b.map_all();
        b.send(0, 100, dev, page_a);
        iom_control *message = b.control(120);
        message->op = IOM_CONTROL_INVALIDATE;
        message->invalidation.parts = 1;
        message->invalidation.part[0].targets = IOM_INVALIDATE_CONTEXT;
        message->invalidation.part[0].match.fields = IOM_TAG_STREAM;
        message->invalidation.part[0].match.tag.stream = dev;
        b.bench.run_until_idle();
        EXPECT_EQ(b.count_walks(IOM_LOOKUP_CONTEXT), squash ? 2u : 1u);
        EXPECT_EQ(b.count_walks(IOM_LOOKUP_IOTLB), 1u);
        EXPECT_EQ(b.stats().restarts, squash ? 1u : 0u);
        EXPECT_EQ(iom_cache_valid_entries(iom_stage_cache(b.stage, IOM_LOOKUP_CONTEXT), 1000), 1u);
    }
}

// ---- progress -----------------------------------------------------------------------------------------

// The page is invalidated again and again, faster than it can be walked. When the request has started over
// IOM_STAGE_PATIENCE times, one more invalidation is carried out but not acknowledged, and none begins,
// before the request is through.
TEST(StageInvalidate, a_stream_of_invalidations_starves_nobody)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    constexpr uint64_t count = 60;
    for (uint64_t i = 0; i < count; i++)
        b.invalidate_range(110 + 10 * i, iotlb_only, page_a, end_of(page_a), i + 1);
    iom_dma *dma = b.send(0, 100, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(b.stats().restarts, IOM_STAGE_PATIENCE + 1);
    EXPECT_EQ(b.walks.size(), IOM_STAGE_PATIENCE + 2);
    EXPECT_LT(dma->translated, 110 + 10 * count);
    ASSERT_EQ(b.acks.size(), count);
    uint64_t while_it_waited = 0, when_it_was_through = 0;
    const iom_cycle last_walk = b.walks.back().arrived;
    for (uint64_t i = 1; i <= count; i++) {
        while_it_waited += b.acknowledged_in(i) >= last_walk && b.acknowledged_in(i) < dma->translated;
        when_it_was_through += b.acknowledged_in(i) == dma->translated;
    }
    EXPECT_EQ(while_it_waited, 0u);
    EXPECT_EQ(when_it_was_through, 2u) << "the one kept back, and the next, which takes one cycle";
}

// ---- broken hardware ----------------------------------------------------------------------------------

TEST(StageInvalidate, quirk_an_inner_address_misses_a_large_page)
{
    for (bool quirk : {false, true}) {
        iom_stage_config config = iotlb_stage(1);
        config.lookup[IOM_LOOKUP_IOTLB].quirk_inner_address_misses = quirk;
        StageBench b(config);
        b.map(0, moved, IOM_PERM_READ, 21);
        b.warm({page_a});
        b.invalidate_range(200, iotlb_only, page_b, end_of(page_b), 1);
        b.invalidate_range(300, iotlb_only, 0, 4095, 2);
        b.bench.run_until_idle();
        EXPECT_EQ(b.acks[0].removed, quirk ? 0u : 1u);
        EXPECT_EQ(b.acks[1].removed, quirk ? 1u : 0u) << "by its first page it is found";
    }
}

TEST(StageInvalidate, quirk_only_the_first_set_is_reached)
{
    for (bool quirk : {false, true}) {
        iom_stage_config config = iotlb_stage(1);
        config.lookup[IOM_LOOKUP_IOTLB].cache.ways = 4; // sets by page number: 4
        config.lookup[IOM_LOOKUP_IOTLB].quirk_first_set_only = quirk;
        StageBench b(config);
        const uint64_t set0 = 0x10000, set1 = 0x11000, set3 = 0x13000;
        for (uint64_t page : {set0, set1, set3})
            b.map(page, moved);
        b.warm({set0, set1, set3});
        b.invalidate(200, StageBench::all_pages);
        b.bench.run_until_idle();
        EXPECT_EQ(b.acks[0].removed, quirk ? 1u : 3u);
        iom_dma *survivor = b.send(0, 300, dev, set1);
        b.bench.run_until_idle();
        EXPECT_EQ(survivor->translated, 300 + (quirk ? hit_cycles : miss_cycles));
    }
}

} // namespace
