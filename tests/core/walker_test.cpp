// SPDX-License-Identifier: Apache-2.0
//
// The walker pool (core/walker.h): walks at once, queueing, turns of the inputs, steps, errors, retries
// of updates, credits of memory, and what an invalidation does to walks under way.
#include <algorithm>

#include "tests/core/walker_fixture.hpp"

using namespace walker_fixture;

namespace
{

// ---- one walk -----------------------------------------------------------------------------------------

TEST(Walker, a_walk_takes_its_steps_one_after_the_other)
{
    for (uint32_t words : {0u, 1u, 2u, 5u}) {
        WalkerBench b({});
        iom_walk *walk = b.send(0, 100, 0x1000, words);
        b.bench.run_until_idle();
        EXPECT_EQ(b.done(walk), 100 + words * read_cycles + 1) << words;
        ASSERT_EQ(b.accesses.size(), words);
        for (uint32_t i = 0; i < words; i++)
            EXPECT_EQ(b.accesses[i], (std::pair<iom_cycle, uint64_t>{101 + i * read_cycles, 0x1000 + 8 * i}));
        EXPECT_EQ(walk->reads, words);
        EXPECT_EQ(walk->memory_cycles, words * (memory_cycles + 2));
        EXPECT_EQ(b.stats().busy_cycles, words * read_cycles);
        EXPECT_EQ(b.stats().table_reads, words);
        EXPECT_EQ(b.stats().page_walks, 1u);
    }
}

TEST(Walker, an_access_error_ends_in_the_hands_of_the_architecture)
{
    WalkerBench b({});
    b.failing = 0x1008;
    iom_walk *walk = b.send(0, 100, 0x1000, 4);
    b.bench.run_until_idle();
    EXPECT_EQ(walk->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(b.done(walk), 100 + 2 * read_cycles + 1);
    EXPECT_EQ(b.stats().access_errors, 1u);
    // The next walk starts without the error of the one before.
    iom_walk *next = b.send(0, 300, 0x2000, 1);
    b.bench.run_until_idle();
    EXPECT_EQ(next->x.outcome, IOM_OUTCOME_ADDRESS);
}

TEST(Walker, an_update_that_loses_a_race_is_tried_again)
{
    for (uint32_t lost : {0u, 1u, 3u}) {
        WalkerBench b({});
        b.words[0x1000] = 0x40;
        b.lost_races = lost;
        iom_walk *walk = b.send(0, 100, 0x1000, 1, IOM_REQ_WRITE);
        b.bench.run_until_idle();
        EXPECT_EQ(b.words[0x1000], 0x41 + 0x1000 * lost);
        EXPECT_EQ(walk->updates, lost + 1);
        EXPECT_EQ(b.stats().table_updates, lost + 1);
        EXPECT_EQ(b.done(walk), 100 + (2 + lost) * read_cycles + 1);
    }
}

// ---- several walks ------------------------------------------------------------------------------------

TEST(Walker, as_many_walks_at_once_as_there_are_walkers)
{
    for (uint32_t walkers : {1u, 2u, 3u, 8u}) {
        Options options;
        options.walkers = walkers;
        WalkerBench b(options);
        std::vector<iom_walk *> walks;
        for (uint32_t i = 0; i < 7; i++)
            walks.push_back(b.send(0, 100, uint64_t{0x1000} * (i + 1), 2));
        b.bench.run_until_idle();
        for (uint32_t i = 0; i < 7; i++) {
            const iom_cycle begin = 100 + i / walkers * (2 * read_cycles);
            EXPECT_EQ(walks[i]->started, begin) << walkers << " walkers, walk " << i;
            EXPECT_EQ(b.done(walks[i]), begin + 2 * read_cycles + 1);
        }
        EXPECT_EQ(b.stats().most_busy, std::min(walkers, 7u));
        EXPECT_EQ(b.stats().busy_cycles, 7 * (2 * read_cycles));
    }
}

TEST(Walker, inputs_take_turns)
{
    Options options;
    options.inputs = 3;
    WalkerBench b(options);
    std::map<iom_cycle, uint32_t> by_cycle;
    std::vector<std::pair<uint32_t, iom_walk *>> walks;
    for (uint32_t input = 0; input < 3; input++) {
        for (uint32_t i = 0; i < 3; i++)
            walks.emplace_back(input, b.send(input, 100, 0x1000, 1));
    }
    b.bench.run_until_idle();
    for (auto [input, walk] : walks)
        by_cycle[walk->started] = input;
    std::vector<uint32_t> order;
    order.reserve(by_cycle.size());
    for (auto [cycle, input] : by_cycle)
        order.push_back(input);
    EXPECT_EQ(order, (std::vector<uint32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2}));
}

TEST(Walker, accesses_wait_for_credits_of_memory)
{
    Options options;
    options.walkers = 3;
    options.memory_depth = 1; // freed on arrival: an access every two cycles
    WalkerBench b(options);
    std::vector<iom_walk *> walks;
    for (uint32_t i = 0; i < 3; i++)
        walks.push_back(b.send(0, 100, uint64_t{0x1000} * (i + 1), 1));
    b.bench.run_until_idle();
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT_EQ(b.accesses[i].first, 101 + 2 * i);
        EXPECT_EQ(b.done(walks[i]), 100 + 2 * i + read_cycles + 1);
    }
    // The wait counts as waiting for memory.
    EXPECT_EQ(walks[2]->memory_cycles, memory_cycles + 2 + 4);
}

// ---- control ------------------------------------------------------------------------------------------

TEST(Walker, a_view_applies_from_the_cycle_behind_its_arrival)
{
    Options options;
    options.walkers = 2;
    WalkerBench b(options);
    b.control(110, IOM_CONTROL_VIEW)->view.root = 7;
    iom_walk *same = b.send(0, 110, 0x1000, 1), *after = b.send(0, 111, 0x2000, 1);
    b.bench.run_until_idle();
    EXPECT_EQ(same->scratch[3], 0u);
    EXPECT_EQ(same->scratch[4], 7u) << "a later step sees the new view";
    EXPECT_EQ(after->scratch[3], 7u);
    EXPECT_EQ(b.acknowledged, (std::vector<iom_cycle>{111}));
}

void invalidate(WalkerBench &b, iom_cycle arrival, uint32_t targets = IOM_INVALIDATE_PSC)
{
    iom_invalidation &invalidation = b.control(arrival, IOM_CONTROL_INVALIDATE)->invalidation;
    invalidation.parts = 1;
    invalidation.part[0].targets = targets;
}

// Also one that comes later, when its request was looked up before: it may go by an old context.
TEST(Walker, an_invalidation_poisons_the_walks_that_may_have_read_what_it_covers)
{
    for (bool squash : {true, false}) {
        Options options;
        options.squash = squash;
        WalkerBench b(options);
        invalidate(b, 110);
        iom_walk *under_way = b.send(0, 100, 0x1000, 1), *old = b.send(0, 120, 0x2000, 1),
                 *same = b.send(0, 130, 0x3000, 1), *young = b.send(0, 140, 0x4000, 1);
        under_way->looked_up = 90;
        old->looked_up = 109;
        same->looked_up = 110;
        young->looked_up = 111;
        b.bench.run_until_idle();
        EXPECT_EQ(under_way->poisoned, squash);
        EXPECT_EQ(old->poisoned, squash);
        EXPECT_EQ(same->poisoned, squash);
        EXPECT_FALSE(young->poisoned);
        EXPECT_EQ(b.acknowledged, (std::vector<iom_cycle>{111}));
    }
}

TEST(Walker, an_invalidation_of_another_domain_or_cache_poisons_no_walk)
{
    WalkerBench b({});
    invalidate(b, 105, IOM_INVALIDATE_CONTEXT | IOM_INVALIDATE_IOTLB);
    iom_invalidation &other = b.control(106, IOM_CONTROL_INVALIDATE)->invalidation;
    other.parts = 1;
    other.part[0].targets = IOM_INVALIDATE_PSC;
    other.part[0].match.fields = IOM_TAG_DOMAIN;
    other.part[0].match.tag.domain = 8;
    iom_walk *walk = b.send(0, 100, 0x1000, 1);
    walk->x.context.domain = 7;
    b.bench.run_until_idle();
    EXPECT_FALSE(walk->poisoned);
}

// ---- paging-structure caches and invalidations --------------------------------------------------------

iom_psc_config level2(uint32_t entries, bool blocking)
{
    iom_psc_config config = {};
    iom_cache_config &cache = config.cache[1][2];
    cache.entries = cache.ways = entries;
    cache.policy = IOM_POLICY_LRU;
    cache.match = IOM_TAG_ADDRESS;
    config.latency_cycles = 2;
    config.invalidate.method = IOM_INVALIDATE_SCAN;
    config.invalidate.entries_per_cycle = 1;
    config.invalidate.blocking = blocking;
    return config;
}

uint8_t probe(WalkerBench &b, uint64_t address)
{
    iom_walk *walk = b.send(0, b.bench.now() + 10, address, 0, IOM_REQ_EXEC);
    walk->looked_up = b.bench.now() + 10;
    b.bench.run_until_idle();
    return walk->probe.hit_level;
}

TEST(Walker, a_poisoned_walk_leaves_nothing_in_the_caches)
{
    for (bool squash : {true, false}) {
        Options options;
        options.squash = squash;
        options.psc = level2(8, false);
        WalkerBench b(options);
        iom_walk *walk = b.send(0, 100, 0x1000, 2, IOM_REQ_EXEC);
        walk->looked_up = 100;
        invalidate(b, 102); // 102 to 109; the walk lasts longer
        b.bench.run_until_idle();
        EXPECT_EQ(b.acknowledged, (std::vector<iom_cycle>{110}));
        EXPECT_EQ(walk->poisoned, squash);
        EXPECT_EQ(iom_cache_valid_entries(iom_psc_cache(iom_walker_psc(b.walker), 2, 2), 1000),
                  squash ? 0u : 1u);
    }
}

TEST(Walker, entries_hit_through_the_last_cycle_of_a_scan_and_are_counted_when_removed)
{
    Options options;
    options.walkers = 4;
    options.psc = level2(8, false);
    WalkerBench b(options);
    b.send(0, 100, 0x1000, 1, IOM_REQ_EXEC)->looked_up = 100; // fills level 2
    b.bench.run_until_idle();
    invalidate(b, 200); // 200 to 207
    iom_walk *last = b.send(0, 207, 0x1000, 0, IOM_REQ_EXEC),
             *after = b.send(0, 208, 0x1000, 0, IOM_REQ_EXEC);
    last->looked_up = 207;
    after->looked_up = 208;
    b.bench.run_until_idle();
    EXPECT_EQ(last->probe.hit_level, 2u);
    EXPECT_EQ(after->probe.hit_level, 0u);
    EXPECT_EQ(b.acknowledged, (std::vector<iom_cycle>{208}));
    EXPECT_EQ(b.removed, (std::vector<uint32_t>{1}));
}

TEST(Walker, blocking_caches_keep_probes_waiting)
{
    Options options;
    options.walkers = 4;
    options.psc = level2(8, true);
    WalkerBench b(options);
    invalidate(b, 200); // 200 to 207
    iom_walk *waits = b.send(0, 200, 0x1000, 1, IOM_REQ_EXEC),
             *waits_too = b.send(0, 204, 0x2000, 0, IOM_REQ_EXEC), *free = b.send(0, 203, 0x3000, 1);
    for (iom_walk *walk : {waits, waits_too, free})
        walk->looked_up = 300; // young enough
    b.bench.run_until_idle();
    EXPECT_EQ(b.done(waits), 208 + 2 + read_cycles + 1);
    EXPECT_EQ(b.done(waits_too), 208 + 2 + 1);
    EXPECT_EQ(b.done(free), 203 + read_cycles + 1) << "asks no cache";
    EXPECT_EQ(probe(b, 0x1000), 0u) << "a walk under way fills nothing, even if it only waited";
    iom_stat_block block;
    ASSERT_TRUE(iom_psc_stat_block(iom_walker_psc(b.walker), &block));
    const auto &stats = *static_cast<const iom_psc_stats *>(block.values);
    EXPECT_EQ(stats.invalidations, 1u);
    EXPECT_EQ(stats.invalidate_cycles, 8u);
    EXPECT_EQ(stats.blocked_cycles, 8u);
}

} // namespace
