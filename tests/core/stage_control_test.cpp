// SPDX-License-Identifier: Apache-2.0
//
// The look-up stage (core/stage.h), continued: PCIe order, back-pressure, view changes, invalidations and
// what they do to walks under way.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/core/support/stage_bench.h"

namespace
{

using namespace bench;

// ---- PCIe order ---------------------------------------------------------------------------------------

TEST(Stage, posted_writes_of_a_requester_leave_in_order)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    b.warm({page_b, page_c});
    iom_dma *w1 = b.write(0, 200, dev, page_a); // misses
    iom_dma *w2 = b.write(0, 201, dev, page_b), *w3 = b.write(0, 202, dev, page_c);
    b.bench.run_until_idle();
    const iom_cycle released = 200 + miss_cycles;
    EXPECT_EQ(w1->translated, released);
    EXPECT_EQ(w2->translated, released);
    EXPECT_EQ(w3->translated, released);
    EXPECT_LE(b.at_memory(w1), b.at_memory(w2));
    EXPECT_LE(b.at_memory(w2), b.at_memory(w3));
    EXPECT_EQ(b.stats().order_waits, 2u);
    EXPECT_EQ(w2->part[IOM_PART_QUEUEING], released - (201 + hit_cycles));
}

TEST(Stage, a_read_does_not_pass_an_earlier_write_but_a_write_passes_an_earlier_read)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    b.warm({page_b});
    iom_dma *write = b.write(0, 200, dev, page_a); // misses
    iom_dma *read = b.send(0, 201, dev, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(read->translated, write->translated);
    EXPECT_LE(b.at_memory(write), b.at_memory(read));

    iom_dma *slow_read = b.send(0, 400, dev, page_c); // misses
    iom_dma *fast_write = b.write(0, 401, dev, page_b);
    iom_dma *fast_read = b.send(0, 402, dev, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(fast_write->translated, 401 + hit_cycles);
    EXPECT_EQ(fast_read->translated, 402 + hit_cycles);
    EXPECT_EQ(slow_read->translated, 400 + miss_cycles);
}

TEST(Stage, requesters_do_not_wait_for_each_other)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    b.warm({page_b});
    b.write(0, 200, dev, page_a); // misses
    iom_dma *w = b.write(0, 201, other, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(w->translated, 201 + hit_cycles);
    EXPECT_EQ(b.stats().order_waits, 0u);
}

TEST(Stage, without_pcie_ordering_every_request_leaves_when_it_is_known)
{
    iom_stage_config config = iotlb_stage(1);
    config.pcie_ordering = false;
    StageBench b(config);
    b.map_all();
    b.warm({page_b});
    b.write(0, 200, dev, page_a); // misses
    iom_dma *w = b.write(0, 201, dev, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(w->translated, 201 + hit_cycles);
    EXPECT_EQ(b.stats().order_waits, 0u);
}

// A write that is refused leaves the order like one that is performed.
TEST(Stage, a_refused_write_releases_those_behind_it)
{
    StageBench b(iotlb_stage(1));
    b.map(page_b, moved);
    b.warm({page_b});
    iom_dma *refused = b.write(0, 200, dev, page_a); // not mapped
    iom_dma *w = b.write(0, 201, dev, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(refused->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(w->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(w->translated, 200 + miss_cycles);
}

// ---- back-pressure ------------------------------------------------------------------------------------

TEST(Stage, a_request_without_a_credit_of_memory_waits_for_it)
{
    StageBench b(iotlb_stage(1), {0, 0, 1});
    b.map_all();
    b.warm({page_a});
    b.return_memory_credits = false;
    iom_dma *first = b.send(0, 200, dev, page_a), *second = b.send(0, 201, dev, page_a);
    b.return_memory_credit(240);
    b.bench.run_to(239);
    EXPECT_EQ(b.at_memory(first), 200 + hit_cycles + 1);
    EXPECT_EQ(b.at_memory(second), IOM_NEVER);
    b.bench.run_until_idle();
    EXPECT_EQ(b.at_memory(second), 241u);
    EXPECT_EQ(second->translated, 240u);
    EXPECT_EQ(b.stats().exit_waits, 1u);
    EXPECT_EQ(second->part[IOM_PART_QUEUEING], 240 - (201 + hit_cycles));
    EXPECT_EQ(second->part[IOM_PART_LOOKUP], hit_cycles);
}

TEST(Stage, a_walk_without_a_credit_of_the_walker_waits_for_it)
{
    StageBench b(iotlb_stage(1), {0, 1, 0});
    b.map_all();
    // The walker frees its slot in the cycle of arrival: the next walk may leave one cycle later.
    iom_dma *first = b.send(0, 100, dev, page_a);
    iom_stage_config two = iotlb_stage(2);
    two.lookups_per_cycle = 2;
    StageBench wide(two, {0, 1, 0});
    wide.map_all();
    iom_dma *x = wide.send(0, 100, dev, page_a), *y = wide.send(1, 100, dev, page_b);
    b.bench.run_until_idle();
    wide.bench.run_until_idle();
    EXPECT_EQ(first->translated, 100 + miss_cycles);
    EXPECT_EQ(x->translated, 100 + miss_cycles);
    ASSERT_EQ(wide.walks.size(), 2u);
    EXPECT_EQ(wide.walks[0].arrived, 100 + hit_cycles + 1);
    EXPECT_EQ(wide.walks[1].arrived, wide.walks[0].arrived + 1 + 1);
    EXPECT_EQ(y->translated, wide.walks[1].arrived + 21);
}

// ---- control messages ---------------------------------------------------------------------------------

TEST(Stage, a_view_applies_from_the_cycle_behind_its_arrival)
{
    iom_stage_config config = iotlb_stage(1);
    config.lookups_per_cycle = 1;
    StageBench b(config);
    iom_view off = config.view;
    off.enabled = 0;
    b.map_all();
    b.warm({page_a});
    b.change_view(201, off);
    iom_dma *before = b.send(0, 200, dev, page_a), *same = b.send(0, 201, dev, page_a),
            *after = b.send(0, 202, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(before->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(same->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(after->x.outcome, IOM_OUTCOME_BYPASS);
    EXPECT_EQ(b.acknowledged, (std::vector<iom_cycle>{202}));
    EXPECT_EQ(iom_stage_view(b.stage)->enabled, 0u);
}

TEST(Stage, an_entry_still_hits_in_the_cycle_of_its_invalidation)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    b.warm({page_a, page_b});
    b.invalidate(201, page_a);
    iom_dma *same = b.send(0, 201, dev, page_a), *after = b.send(0, 202, dev, page_a),
            *untouched = b.send(0, 203, dev, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(same->translated, 201 + hit_cycles);
    EXPECT_EQ(after->translated, 202 + miss_cycles);
    EXPECT_EQ(untouched->translated, 203 + hit_cycles);
    EXPECT_EQ(b.iotlb().invalidated, 1u);
    EXPECT_EQ(b.acknowledged, (std::vector<iom_cycle>{202}));
}

/// A walk is answered from the old tables in cycle `fill`; the invalidation arrives in `invalidation`.
struct Race {
    iom_cycle invalidation, fill;
    bool squash;
};

struct RaceResult {
    uint64_t waiting_output; ///< of the requests that waited
    uint64_t later_output;   ///< of a request that came afterwards
    uint64_t walks, squashed, fills;
};

RaceResult run_race(const Race &race, uint64_t invalidated_page)
{
    iom_stage_config config = iotlb_stage(1);
    config.squash_walks = race.squash;
    StageBench b(config);
    b.answer_walks = false;
    b.map_all();
    iom_dma *primary = b.send(0, 100, dev, page_a), *merged = b.send(0, 101, dev, page_a);
    b.invalidate(race.invalidation, invalidated_page);
    b.bench.run_to(115);
    b.answer_walk(0, race.fill); // from the old tables
    b.map(page_a, 2 * moved);    // the software changes them, then commands the invalidation
    b.answer_walks = true;
    b.bench.run_until_idle();
    iom_dma *later = b.send(0, 400, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(primary->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(primary->x.leaf.output, merged->x.leaf.output);
    return {primary->x.leaf.output - page_a, later->x.leaf.output - page_a, b.walks.size(),
            b.iotlb().squashed, b.iotlb().fills};
}

TEST(Stage, an_invalidation_squashes_the_walk_of_its_page)
{
    RaceResult r = run_race({120, 130, true}, page_a);
    EXPECT_EQ(r.waiting_output, 2 * moved) << "the poisoned result was used";
    EXPECT_EQ(r.later_output, 2 * moved);
    EXPECT_EQ(r.walks, 2u);
    EXPECT_EQ(r.squashed, 1u);
    EXPECT_EQ(r.fills, 1u);
}

// An invalidation of the cycle of the fill removes the fill (rule 4); the waiters go on in that cycle.
TEST(Stage, an_invalidation_in_the_cycle_of_the_fill_removes_it)
{
    RaceResult r = run_race({130, 130, true}, page_a);
    EXPECT_EQ(r.later_output, 2 * moved);
}

TEST(Stage, an_invalidation_behind_the_fill_removes_it)
{
    RaceResult r = run_race({131, 130, true}, page_a);
    EXPECT_EQ(r.waiting_output, moved);
    EXPECT_EQ(r.later_output, 2 * moved);
    EXPECT_EQ(r.squashed, 0u);
}

// The walk brings a 4 KiB page that is not the one invalidated.
TEST(Stage, an_invalidation_of_another_page_leaves_the_walk_alone)
{
    RaceResult r = run_race({120, 130, true}, page_b);
    EXPECT_EQ(r.waiting_output, moved);
    EXPECT_EQ(r.squashed, 0u);
    EXPECT_EQ(r.walks, 1u);
    EXPECT_EQ(r.fills, 1u);
}

// The domain is known when the IOTLB is looked up.
TEST(Stage, an_invalidation_of_another_domain_leaves_the_walk_alone)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    iom_control *message = b.control(110);
    message->op = IOM_CONTROL_INVALIDATE;
    message->invalidation.parts = 1;
    message->invalidation.part[0].targets = IOM_INVALIDATE_IOTLB;
    message->invalidation.part[0].match.fields = IOM_TAG_DOMAIN;
    message->invalidation.part[0].match.tag.domain = 5;
    iom_dma *dma = b.send(0, 100, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(dma->translated, 100 + miss_cycles);
    EXPECT_EQ(b.iotlb().squashed, 0u);
    EXPECT_EQ(b.iotlb().fills, 1u);
}

TEST(Stage, an_invalidation_of_another_cache_leaves_the_walk_alone)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    iom_control *message = b.control(110);
    message->op = IOM_CONTROL_INVALIDATE;
    message->invalidation.parts = 1;
    message->invalidation.part[0].targets = IOM_INVALIDATE_PASID;
    iom_dma *dma = b.send(0, 100, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(dma->translated, 100 + miss_cycles);
    EXPECT_EQ(b.iotlb().squashed, 0u);
}

TEST(Stage, hardware_that_does_not_squash_keeps_the_stale_entry)
{
    RaceResult r = run_race({120, 130, false}, page_a);
    EXPECT_EQ(r.waiting_output, moved);
    EXPECT_EQ(r.later_output, moved) << "the stale fill should have gone in";
    EXPECT_EQ(r.walks, 1u);
    EXPECT_EQ(r.squashed, 0u);
}

TEST(Stage, the_acknowledgement_says_how_many_walks_were_stopped)
{
    for (bool squash : {false, true}) {
        iom_stage_config config = iotlb_stage(1);
        config.squash_walks = squash;
        StageBench b(config);
        b.map_all();
        b.send(0, 100, dev, page_a);
        b.send(0, 101, dev, page_b);
        b.invalidate(110, page_a);
        b.invalidate(112, page_a); // stopped already
        b.bench.run_until_idle();
        ASSERT_EQ(b.acks.size(), 2u);
        EXPECT_EQ(b.acks[0].stopped, squash ? 1u : 0u);
        EXPECT_EQ(b.acks[1].stopped, 0u);
    }
}

// A request that comes after the invalidation must not join a poisoned walk. It starts one of its own,
// which the request of the first walk joins when it is looked up again.
TEST(Stage, later_requests_do_not_join_a_squashed_walk)
{
    StageBench b(iotlb_stage(1));
    b.answer_walks = false;
    b.map_all();
    iom_dma *first = b.send(0, 100, dev, page_a);
    b.invalidate(110, page_a);
    iom_dma *later = b.send(0, 111, dev, page_a);
    b.bench.run_to(118);
    ASSERT_EQ(b.walks.size(), 2u);
    b.answer_walk(0, 130);
    b.map(page_a, 2 * moved);
    b.answer_walks = true;
    b.answer_walk(1, 140);
    b.bench.run_until_idle();
    EXPECT_EQ(later->x.leaf.output, page_a + 2 * moved);
    EXPECT_EQ(first->x.leaf.output, page_a + 2 * moved);
    EXPECT_EQ(b.walks.size(), 2u);
    EXPECT_EQ(b.iotlb().merged, 1u);
}

// ---- evaluation order ---------------------------------------------------------------------------------

TEST(Stage, spurious_evaluations_change_nothing)
{
    std::vector<iom_cycle> results[2];
    for (int spurious = 0; spurious < 2; spurious++) {
        iom_stage_config config = iotlb_stage(2);
        config.miss_entries = 2;
        StageBench b(config, {0, 1, 1});
        b.map_all();
        std::vector<iom_dma *> sent;
        for (uint32_t i = 0; i < 40; i++)
            sent.push_back(b.send(i % 2, 100 + i, 1 + i % 3, uint64_t{0x10000} * (1 + i * 7 % 4),
                                  i % 3 == 0 ? 0x41u : 0u));
        for (iom_cycle cycle = 90; spurious != 0 && cycle < 400; cycle++)
            b.world.at(cycle, [&b](iom_cycle now) { iom_unit_wake(iom_stage_unit(b.stage), now + 1); });
        b.bench.run_until_idle();
        for (iom_dma *dma : sent) {
            EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
            results[spurious].push_back(dma->translated);
            results[spurious].push_back(b.answered(dma));
        }
    }
    EXPECT_EQ(results[0], results[1]);
}

} // namespace
