// SPDX-License-Identifier: Apache-2.0
//
// The look-up stage (core/stage.h) between scripted neighbours: arbitration, pace, hits, misses and
// results, each to the cycle. Order, back-pressure and control messages are in stage_control_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "tests/core/support/stage_bench.h"

namespace
{

using namespace bench;

// ---- hits ---------------------------------------------------------------------------------------------

TEST(Stage, a_hit_leaves_for_memory_when_it_is_known)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    b.warm({page_a});
    iom_dma *dma = b.send(0, 200, dev, page_a + 0x123);
    b.bench.run_until_idle();
    EXPECT_EQ(dma->arrived, 200u);
    EXPECT_EQ(dma->translated, 200u + hit_cycles);
    EXPECT_EQ(b.at_memory(dma), 200u + hit_cycles + 1);
    EXPECT_EQ(b.answered(dma), 200u + hit_cycles + 1 + b.memory_cycles + 2);
    EXPECT_EQ(dma->x.leaf.output, page_a + moved + 0x123);
    EXPECT_EQ(dma->part[IOM_PART_LOOKUP], hit_cycles);
    EXPECT_EQ(b.iotlb().hits, 1u);
    EXPECT_TRUE(b.walks.empty());
}

TEST(Stage, takes_up_as_many_requests_in_a_cycle_as_it_has_look_ups)
{
    for (uint32_t pace : {1u, 2u, 3u, 5u}) {
        iom_stage_config config = iotlb_stage(4);
        config.lookups_per_cycle = pace;
        StageBench b(config);
        b.map_all();
        b.warm({page_a});
        std::vector<iom_dma *> sent;
        for (uint32_t i = 0; i < 12; i++)
            sent.push_back(b.send(i % 4, 200, dev, page_a + uint64_t{64} * i));
        b.bench.run_until_idle();
        // Which input comes first is another matter.
        std::sort(sent.begin(), sent.end(), [](auto *x, auto *y) { return x->translated < y->translated; });
        for (uint32_t i = 0; i < 12; i++) {
            SCOPED_TRACE(testing::Message() << "pace " << pace << " place " << i);
            EXPECT_EQ(sent[i]->translated, 200 + i / pace + hit_cycles);
            EXPECT_EQ(sent[i]->part[IOM_PART_QUEUEING], i / pace);
        }
    }
}

// ---- arbitration --------------------------------------------------------------------------------------

/// Inputs in the order in which their requests were taken up, one a cycle.
std::vector<uint32_t> order_of_service(const std::vector<std::pair<uint32_t, iom_dma *>> &sent)
{
    std::map<iom_cycle, uint32_t> by_cycle;
    for (auto [input, dma] : sent)
        by_cycle[dma->translated] = input;
    EXPECT_EQ(by_cycle.size(), sent.size());
    std::vector<uint32_t> order;
    order.reserve(by_cycle.size());
    for (auto [cycle, input] : by_cycle)
        order.push_back(input);
    return order;
}

std::vector<uint32_t> serve_three_inputs(iom_arbitration arbitration, uint32_t served_before)
{
    iom_stage_config config = iotlb_stage(3);
    config.arbitration = arbitration;
    config.pcie_ordering = false;
    StageBench b(config);
    b.map_all();
    b.warm({page_a});
    b.send(served_before, 150, dev, page_a);
    std::vector<std::pair<uint32_t, iom_dma *>> sent;
    for (uint32_t input = 0; input < 3; input++) {
        for (int i = 0; i < 3; i++)
            sent.emplace_back(input, b.send(input, 200, dev, page_a));
    }
    b.bench.run_until_idle();
    return order_of_service(sent);
}

TEST(Stage, round_robin_begins_behind_the_input_served_last)
{
    using Order = std::vector<uint32_t>;
    EXPECT_EQ(serve_three_inputs(IOM_ARBITRATION_ROUND_ROBIN, 2), (Order{0, 1, 2, 0, 1, 2, 0, 1, 2}));
    EXPECT_EQ(serve_three_inputs(IOM_ARBITRATION_ROUND_ROBIN, 0), (Order{1, 2, 0, 1, 2, 0, 1, 2, 0}));
    EXPECT_EQ(serve_three_inputs(IOM_ARBITRATION_ROUND_ROBIN, 1), (Order{2, 0, 1, 2, 0, 1, 2, 0, 1}));
}

TEST(Stage, fixed_priority_serves_the_lowest_input)
{
    using Order = std::vector<uint32_t>;
    EXPECT_EQ(serve_three_inputs(IOM_ARBITRATION_FIXED, 2), (Order{0, 0, 0, 1, 1, 1, 2, 2, 2}));
    EXPECT_EQ(serve_three_inputs(IOM_ARBITRATION_FIXED, 0), (Order{0, 0, 0, 1, 1, 1, 2, 2, 2}));
}

// Priority is decided in each cycle among what has arrived by then.
TEST(Stage, a_late_request_of_high_priority_waits_for_one_look_up_only)
{
    iom_stage_config config = iotlb_stage(2);
    config.arbitration = IOM_ARBITRATION_FIXED;
    StageBench b(config);
    b.map_all();
    b.warm({page_a});
    std::vector<iom_dma *> low;
    low.reserve(4);
    for (int i = 0; i < 4; i++)
        low.push_back(b.send(1, 200, dev, page_a));
    iom_dma *high = b.send(0, 202, other, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(high->translated, 202 + hit_cycles);
    EXPECT_EQ(low[0]->translated, 200 + hit_cycles);
    EXPECT_EQ(low[1]->translated, 201 + hit_cycles);
    EXPECT_EQ(low[2]->translated, 203 + hit_cycles);
    EXPECT_EQ(low[3]->translated, 204 + hit_cycles);
}

TEST(Stage, a_slot_of_an_input_is_free_when_its_request_is_taken_up)
{
    StageBench b(iotlb_stage(1), {2, 0, 0});
    b.map_all();
    b.warm({page_a});
    std::vector<iom_cycle> free_at;
    for (int i = 0; i < 2; i++)
        b.send(0, 200, dev, page_a);
    for (iom_cycle cycle = 199; cycle < 206; cycle++) {
        b.world.at(cycle, [&b, &free_at](iom_cycle now) {
            if (iom_port_can_send(b.world.port(0), now))
                free_at.push_back(now);
        });
    }
    b.bench.run_until_idle();
    // Both slots taken at 199; the first request is taken up in 200, the second in 201, the credits need a
    // cycle.
    EXPECT_EQ(free_at, (std::vector<iom_cycle>{201, 202, 203, 204, 205}));
}

// ---- misses -------------------------------------------------------------------------------------------

TEST(Stage, a_miss_goes_on_in_the_cycle_of_its_fill)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    iom_dma *dma = b.send(0, 100, dev, page_a);
    b.bench.run_until_idle();
    ASSERT_EQ(b.walks.size(), 1u);
    EXPECT_EQ(b.walks[0].arrived, 100 + hit_cycles + 1);
    EXPECT_EQ(dma->translated, 100 + miss_cycles);
    EXPECT_EQ(b.iotlb().misses, 1u);
    EXPECT_EQ(b.iotlb().fills, 1u);
    EXPECT_EQ(b.stats().walked, 1u);
}

// A fill in f is hit from f + 1; in f itself the walk is still found and joined.
TEST(Stage, a_fill_hits_from_the_next_cycle)
{
    const iom_cycle fill = 100 + miss_cycles;
    for (iom_cycle second : {fill - 1, fill, fill + 1}) {
        SCOPED_TRACE(second);
        StageBench b(iotlb_stage(2));
        b.map_all();
        b.send(0, 100, dev, page_a);
        iom_dma *dma = b.send(1, second, dev, page_a);
        b.bench.run_until_idle();
        EXPECT_EQ(b.iotlb().hits, second == fill + 1 ? 1u : 0u);
        EXPECT_EQ(b.iotlb().hits + b.iotlb().misses + b.iotlb().merged, 2u);
        EXPECT_GE(dma->translated, second + hit_cycles);
        EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
        EXPECT_EQ(dma->x.leaf.output, page_a + moved);
    }
}

TEST(Stage, hit_under_miss_lets_hits_pass_a_walk)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    b.warm({page_b});
    iom_dma *miss = b.send(0, 200, dev, page_a), *hit = b.send(0, 201, dev, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(hit->translated, 201 + hit_cycles);
    EXPECT_EQ(miss->translated, 200 + miss_cycles);
}

TEST(Stage, without_hit_under_miss_nothing_is_taken_up_while_a_walk_is_under_way)
{
    iom_stage_config config = iotlb_stage(2);
    config.hit_under_miss = false;
    StageBench b(config);
    b.map_all();
    b.warm({page_b});
    iom_dma *miss = b.send(0, 200, dev, page_a);
    std::vector<iom_dma *> hits = {b.send(0, 201, dev, page_b), b.send(1, 201, dev, page_b)};
    b.bench.run_until_idle();
    const iom_cycle fill = 200 + miss_cycles;
    EXPECT_EQ(miss->translated, fill);
    EXPECT_EQ(b.iotlb().hits, 2u);
    // The first is taken up no sooner than in the cycle of the fill, the second one cycle later.
    const iom_cycle first = std::min(hits[0]->translated, hits[1]->translated);
    EXPECT_EQ(first, fill + hit_cycles);
    EXPECT_EQ(std::max(hits[0]->translated, hits[1]->translated), first + 1);
}

TEST(Stage, requests_of_a_page_share_a_walk)
{
    StageBench b(iotlb_stage(1));
    b.map_all();
    std::vector<iom_dma *> sent;
    for (uint32_t i = 0; i < 5; i++)
        sent.push_back(b.send(0, 100 + i, dev, page_a + uint64_t{64} * i));
    b.bench.run_until_idle();
    EXPECT_EQ(b.walks.size(), 1u);
    EXPECT_EQ(b.iotlb().misses, 1u);
    EXPECT_EQ(b.iotlb().merged, 4u);
    EXPECT_EQ(b.stats().walked, 5u);
    for (uint32_t i = 0; i < 5; i++) {
        EXPECT_EQ(sent[i]->translated, 100 + miss_cycles) << i;
        EXPECT_EQ(sent[i]->x.leaf.output, page_a + moved + uint64_t{64} * i) << i;
    }
}

TEST(Stage, pages_and_requesters_do_not_share_walks)
{
    iom_stage_config config = iotlb_stage(1);
    config.view.extra[0] = IOM_LOOKUP_CONTEXT;
    config.lookup[IOM_LOOKUP_CONTEXT].owned = true;
    StageBench b(config);
    b.map_all();
    for (uint32_t source : {dev, other})
        b.send(0, iom_cycle{10} * source, source, page_d);
    b.bench.run_until_idle();
    const size_t walks = b.walks.size();
    EXPECT_EQ(walks, 4u); // a context and a page for each
    b.send(0, 200, dev, page_a);
    b.send(0, 201, dev, page_b);
    b.send(0, 202, other, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(b.walks.size(), walks + 3);
    EXPECT_EQ(b.iotlb().merged, 0u);
    EXPECT_EQ(b.stats().most_walks, 3u);
}

// What does not fit into an entry waits for it; nobody starts a second walk of the page.
TEST(Stage, no_more_requests_share_a_walk_than_may_be_merged)
{
    for (uint32_t merges : {0u, 1u, 2u}) {
        SCOPED_TRACE(merges);
        iom_stage_config config = iotlb_stage(1);
        config.merges_per_entry = merges;
        StageBench b(config);
        b.map_all();
        std::vector<iom_dma *> sent;
        for (uint32_t i = 0; i < 4; i++)
            sent.push_back(b.send(0, 100 + i, dev, page_a));
        b.bench.run_until_idle();
        EXPECT_EQ(b.iotlb().merged, merges);
        for (uint32_t i = 0; i <= merges; i++)
            EXPECT_EQ(sent[i]->translated, 100 + miss_cycles) << i;
        for (iom_dma *dma : sent) {
            EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
            EXPECT_EQ(dma->x.leaf.output, page_a + moved);
        }
        EXPECT_EQ(b.iotlb().lookups, b.iotlb().hits + b.iotlb().misses + b.iotlb().merged);
    }
}

TEST(Stage, a_full_miss_table_stalls_until_an_entry_is_free)
{
    iom_stage_config config = iotlb_stage(1);
    config.miss_entries = 2;
    StageBench b(config);
    b.map_all();
    b.warm({page_d});
    std::vector<iom_dma *> misses = {b.send(0, 200, dev, page_a), b.send(0, 201, dev, page_b),
                                     b.send(0, 202, dev, page_c)};
    iom_dma *hit = b.send(0, 203, dev, page_d);
    b.bench.run_until_idle();
    EXPECT_EQ(b.stats().stalls, 1u);
    EXPECT_EQ(b.stats().most_walks, 2u);
    EXPECT_EQ(misses[0]->translated, 200 + miss_cycles);
    EXPECT_EQ(misses[1]->translated, 201 + miss_cycles);
    ASSERT_EQ(b.walks.size(), 3u);
    // The third walk cannot leave before the first entry is free.
    EXPECT_GE(b.walks[2].arrived, 200 + miss_cycles + 1);
    EXPECT_EQ(misses[2]->translated, b.walks[2].arrived + 20 + 1);
    // The stalled request blocks the one behind it.
    EXPECT_GT(hit->translated, 203 + hit_cycles);
    EXPECT_EQ(hit->x.outcome, IOM_OUTCOME_ADDRESS);
}

TEST(Stage, an_entry_that_cannot_serve_a_request_leads_to_a_walk)
{
    StageBench b(iotlb_stage(1));
    b.map(page_a, moved, IOM_PERM_READ);
    b.warm({page_a});
    b.map(page_a, moved); // the tables allow writing by now
    iom_dma *write = b.write(0, 200, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(b.iotlb().insufficient, 1u);
    EXPECT_EQ(b.iotlb().misses, 1u);
    EXPECT_EQ(write->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(write->translated, 200 + miss_cycles);
}

// A merged request that the primary's result does not serve is walked for on its own.
TEST(Stage, a_merged_request_needing_more_rights_is_not_given_the_result_of_another)
{
    StageBench b(iotlb_stage(1));
    b.map(page_a, moved, IOM_PERM_READ);
    iom_dma *read = b.send(0, 100, dev, page_a), *write = b.write(0, 101, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(read->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(write->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(b.faults.size(), 1u);
    EXPECT_EQ(b.walks.size(), 2u);
}

TEST(Stage, replay_after_fill_looks_up_again)
{
    iom_stage_config config = iotlb_stage(1);
    config.replay_after_fill = true;
    StageBench b(config);
    b.map_all();
    iom_dma *first = b.send(0, 100, dev, page_a), *second = b.send(0, 101, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(b.stats().replays, 2u);
    EXPECT_EQ(b.walks.size(), 1u);
    // From f + 1 on, one replay a cycle; the latency of the stage itself is not spent again.
    const iom_cycle fill = 100 + miss_cycles;
    EXPECT_EQ(first->translated, fill + 1 + 3);
    EXPECT_EQ(second->translated, fill + 2 + 3);
    EXPECT_EQ(b.iotlb().hits, 2u);
    EXPECT_EQ(first->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(second->x.outcome, IOM_OUTCOME_ADDRESS);
}

// Without a cache there is nothing to look up again: the result of the walk is used.
TEST(Stage, replay_after_fill_without_a_cache_uses_the_result)
{
    iom_stage_config config = iotlb_stage(1);
    config.replay_after_fill = true;
    config.lookup[IOM_LOOKUP_IOTLB].cache.entries = 0;
    StageBench b(config);
    b.map_all();
    iom_dma *dma = b.send(0, 100, dev, page_a);
    b.bench.run_to(1000);
    EXPECT_EQ(dma->translated, 100 + miss_cycles);
    EXPECT_EQ(b.walks.size(), 1u);
}

// A translation request may ask for more than the page grants: it is told what it may do, which no entry can
// tell it. It takes the walk's own result, where looking up again would lead to the next walk, for ever.
TEST(Stage, replay_after_fill_that_cannot_serve_the_request_uses_the_result)
{
    iom_stage_config config = iotlb_stage(1);
    config.replay_after_fill = true;
    StageBench b(config);
    b.map(page_a, moved, IOM_PERM_READ);
    iom_dma *asks_more = b.send(0, 100, dev, page_a, IOM_REQ_TRANSLATE | IOM_REQ_WRITE);
    iom_dma *merged = b.send(0, 101, dev, page_a, IOM_REQ_TRANSLATE | IOM_REQ_WRITE);
    iom_dma *served = b.send(0, 102, dev, page_a, IOM_REQ_TRANSLATE);
    b.bench.run_to(2000);
    const iom_cycle fill = 100 + miss_cycles;
    EXPECT_EQ(asks_more->translated, fill);
    EXPECT_EQ(asks_more->x.leaf.permissions, IOM_PERM_READ);
    // Those that joined look up again: one walks for itself, one is served.
    EXPECT_EQ(b.walks.size(), 2u);
    EXPECT_EQ(merged->x.leaf.permissions, IOM_PERM_READ);
    EXPECT_EQ(merged->translated, fill + 1 + 3 + 1 + 20 + 1);
    EXPECT_EQ(served->translated, fill + 2 + 3);
    EXPECT_EQ(b.stats().replays, 2u);
    for (const iom_dma *dma : {asks_more, merged, served}) {
        EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
        EXPECT_NE(b.answered(dma), IOM_NEVER);
    }
}

// ---- several look-ups in one stage --------------------------------------------------------------------

TEST(Stage, look_ups_are_taken_one_after_the_other_in_one_go)
{
    iom_stage_config config = iotlb_stage(1);
    config.view.extra[0] = IOM_LOOKUP_CONTEXT;
    for (auto &lookup : config.lookup)
        lookup.owned = true;
    StageBench b(config);
    b.map_all();
    b.send(0, 100, dev, page_a, IOM_REQ_PASID);
    b.bench.run_until_idle();
    EXPECT_EQ(b.count_walks(IOM_LOOKUP_CONTEXT), 1u);
    EXPECT_EQ(b.count_walks(IOM_LOOKUP_PASID), 1u);
    EXPECT_EQ(b.count_walks(IOM_LOOKUP_IOTLB), 1u);
    // 2 front, 7 context, 22 there and back, 11 PASID, 22, 3 IOTLB
    ASSERT_EQ(b.walks.size(), 3u);
    EXPECT_EQ(b.walks[0].arrived, 100u + 2 + 7 + 1);
    EXPECT_EQ(b.walks[1].arrived, 100u + 2 + 7 + 22 + 11 + 1);
    EXPECT_EQ(b.walks[2].arrived, 100u + 2 + 7 + 22 + 11 + 22 + 3 + 1);
    iom_dma *warm_one = b.send(0, 400, dev, page_a, IOM_REQ_PASID);
    iom_dma *no_pasid = b.send(0, 500, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(warm_one->translated, 400u + 2 + 7 + 11 + 3);
    EXPECT_EQ(warm_one->part[IOM_PART_LOOKUP], 5u);
    EXPECT_EQ(warm_one->part[IOM_PART_CONTEXT], 7u);
    EXPECT_EQ(warm_one->part[IOM_PART_PASID], 11u);
    EXPECT_EQ(no_pasid->translated, 500u + 2 + 7 + 3);
}

// ---- results that are not addresses -------------------------------------------------------------------

TEST(Stage, results_known_on_entry_cost_the_pipeline_of_the_stage_only)
{
    struct Expectation {
        uint64_t address;
        iom_outcome outcome;
    };
    for (const Expectation &e : {Expectation{bench::refused_address, IOM_OUTCOME_FAULT},
                                 Expectation{bench::denied_address, IOM_OUTCOME_DENIED},
                                 Expectation{bench::interrupt_address, IOM_OUTCOME_INTERRUPT}}) {
        SCOPED_TRACE(static_cast<int>(e.outcome));
        StageBench b(iotlb_stage(1));
        iom_dma *dma = b.send(0, 100, dev, e.address);
        b.bench.run_until_idle();
        EXPECT_EQ(dma->x.outcome, e.outcome);
        EXPECT_EQ(dma->translated, 102u);
        EXPECT_EQ(b.answered(dma), 103u);
        EXPECT_EQ(b.at_memory(dma), IOM_NEVER);
        EXPECT_EQ(dma->visible, 0u);
        EXPECT_EQ(b.iotlb().lookups, 0u);
        EXPECT_EQ(b.stats().faults, e.outcome == IOM_OUTCOME_FAULT ? 1u : 0u);
        EXPECT_EQ(b.stats().denied, e.outcome == IOM_OUTCOME_DENIED ? 1u : 0u);
        EXPECT_EQ(b.stats().interrupts, e.outcome == IOM_OUTCOME_INTERRUPT ? 1u : 0u);
        EXPECT_EQ(b.faults.size(), e.outcome == IOM_OUTCOME_FAULT ? 1u : 0u);
    }
}

TEST(Stage, bypassed_requests_reach_memory_at_their_own_address)
{
    iom_stage_config config = iotlb_stage(1);
    config.view.enabled = 0;
    StageBench b(config);
    iom_dma *dma = b.send(0, 100, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_BYPASS);
    EXPECT_EQ(dma->x.leaf.output, page_a);
    EXPECT_EQ(b.at_memory(dma), 100u + 2 + 1);
    EXPECT_EQ(b.stats().bypassed, 1u);
    EXPECT_EQ(b.iotlb().lookups, 0u);
}

TEST(Stage, a_walk_that_faults_is_reported_and_cached_nowhere)
{
    StageBench b(iotlb_stage(1));
    iom_dma *first = b.send(0, 100, dev, page_a), *merged = b.send(0, 101, dev, page_a);
    b.bench.run_until_idle();
    const iom_cycle known = 100 + miss_cycles;
    EXPECT_EQ(first->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(first->x.fault.code, bench::toy_fault_walk);
    EXPECT_EQ(first->translated, known);
    EXPECT_EQ(b.answered(first), known + 1);
    EXPECT_EQ(merged->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(merged->x.fault.address, page_a);
    EXPECT_EQ(b.at_memory(first), IOM_NEVER);
    ASSERT_EQ(b.faults.size(), 2u);
    EXPECT_EQ(b.faults[0].first, known + 1);
    EXPECT_EQ(b.faults[0].second.code, bench::toy_fault_walk);
    EXPECT_EQ(b.stats().faults, 2u);
    EXPECT_EQ(b.stats().fault_reports, 2u);
    EXPECT_EQ(b.iotlb().fills, 0u);
}

} // namespace
