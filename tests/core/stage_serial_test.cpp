// SPDX-License-Identifier: Apache-2.0
//
// Serial look-up (core/stage.h, struct iom_serial_config) between scripted neighbours, without the deviations
// that stage_serial_quirk_test.cpp is about. Expected cycles are worked out from the header and from the
// rules measured on hardware (tests/data/rtl-timing/README.md, section 3). c is the cycle of the first
// look-up, f the one in which a walk fills or refuses, or a request is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/core/support/serial_bench.h"

namespace
{

using namespace bench;
using Cycles = std::vector<iom_cycle>;

constexpr iom_cycle never = IOM_NEVER;
constexpr uint32_t process = 9;

// ---- closed forms -------------------------------------------------------------------------------------

TEST(StageSerial, a_hit_is_answered_in_the_cycle_of_its_look_up)
{
    SerialBench b(serial_stage());
    b.warm(dev, {page_a, page_b}, process);
    iom_dma *dma = b.send_pasid(200, dev, process, page_a + 0x123), *write = nullptr;
    write = b.send(203, dev, page_b, IOM_REQ_PASID | IOM_REQ_WRITE, process);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(dma), 200u) << "three caches, none of their latencies";
    EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(dma->x.leaf.output, page_a + moved + 0x123);
    EXPECT_EQ(b.accepted(dma) - 199, 2u) << "presented in 199";
    EXPECT_EQ(b.answered(write), 203u);
    EXPECT_TRUE(b.walks.empty());
}

// A page walk of n reads fills in the cycle of the last data: n (L + 1) cycles behind the miss.
TEST(StageSerial, a_page_walk_costs_3_plus_n_reads)
{
    for (uint64_t latency : {1u, 10u, 100u}) {
        for (uint64_t reads : {1u, 2u, 3u, 15u}) {
            SerialBench b(serial_stage());
            b.warm(dev, {page_b});
            b.map(page_a);
            b.walk_cycles[IOM_LOOKUP_IOTLB] = reads * (latency + 1);
            const iom_cycle c = 500, presented = c - 1;
            iom_dma *dma = b.send(c, dev, page_a);
            b.bench.run_until_idle();
            EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), Cycles{c});
            EXPECT_EQ(b.accepted(dma) - presented, 3 + reads * (latency + 1));
        }
    }
}

// Levels are read one after the other, then the entry of 4 or 7 beats (a process: 2); the fill comes in the
// cycle behind the last beat.
TEST(StageSerial, costs_of_walks_add_up)
{
    for (uint64_t latency : {1u, 10u, 100u}) {
        for (uint64_t levels : {1u, 2u, 3u}) {
            for (uint64_t beats : {4u, 7u}) {
                SerialBench b(serial_stage());
                b.map(page_a);
                const uint64_t upper = (levels - 1) * (latency + 1);
                b.walk_cycles[IOM_LOOKUP_CONTEXT] = upper + 1 + latency + beats;
                b.walk_cycles[IOM_LOOKUP_PASID] = upper + 1 + latency + 2;
                b.walk_cycles[IOM_LOOKUP_IOTLB] = 3 * (latency + 1);
                const iom_cycle c = 100, presented = c - 1;
                iom_dma *dma = b.send_pasid(c, dev, process, page_a);
                b.bench.run_until_idle();
                const uint64_t context = upper + latency + beats + 2, directory = upper + latency + 4;
                EXPECT_EQ(b.accepted(dma) - presented, 3 + 3 * (latency + 1) + context + directory);
                EXPECT_EQ(b.begun(IOM_LOOKUP_CONTEXT), Cycles{c});
                EXPECT_EQ(b.begun(IOM_LOOKUP_PASID), Cycles{c + context});
                EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), Cycles{c + context + directory});
            }
        }
    }
}

TEST(StageSerial, a_fill_is_hit_from_the_next_cycle_on)
{
    SerialBench b(serial_stage());
    b.warm(dev, {page_b});
    b.map(page_a);
    iom_dma *dma = b.send(200, dev, page_a);
    b.bench.run_to(209);
    EXPECT_EQ(b.answered(dma), never);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(dma), 211u); // filled in 210
}

// What a walk brings counts as the cache has it.
TEST(StageSerial, the_result_of_a_walk_is_not_used_when_it_fills)
{
    SerialBench b(serial_stage());
    b.warm(dev, {page_b});
    b.map(page_a);
    iom_dma *dma = b.send(200, dev, page_a);
    b.bench.run_to(201);
    ASSERT_EQ(b.walks.size(), 1u);
    EXPECT_EQ(b.walks[0].message, nullptr) << "on its way back";
    b.bench.run_until_idle();
    EXPECT_EQ(dma->x.leaf.output, page_a + moved);

    SerialBench other_result(serial_stage());
    other_result.warm(dev, {page_b});
    other_result.map(page_a);
    other_result.walk_cycles[IOM_LOOKUP_IOTLB] = 0;
    dma = other_result.send(200, dev, page_a);
    other_result.bench.run_to(201);
    ASSERT_EQ(other_result.walks.size(), 1u);
    other_result.walks[0].message->x.leaf.output = 0xbad000;
    other_result.end_walk(0, 210);
    other_result.bench.run_until_idle();
    EXPECT_EQ(other_result.answered(dma), 211u);
    EXPECT_EQ(dma->x.leaf.output, page_a + moved);
}

// ---- refusals -----------------------------------------------------------------------------------------

// f is the cycle of the look-up; the handshake follows in f + 1.
TEST(StageSerial, look_ups_refuse_at_once)
{
    SerialBench b(serial_stage());
    b.warm(dev, {page_a});
    iom_dma *dma = b.send(200, dev, refused_address), *silent = b.send(210, toy_silent, refused_address);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(dma), 200u);
    EXPECT_EQ(b.accepted(dma), 201u);
    EXPECT_EQ(dma->x.fault.code, toy_fault_entry);
    EXPECT_EQ(b.answered(silent), 210u);
    ASSERT_EQ(b.reports.size(), 1u);
    EXPECT_EQ(b.reports[0].first, 200u);
    EXPECT_EQ(b.reports[0].second.code, toy_fault_entry);
    EXPECT_TRUE(b.walks.empty());
}

// Such a page is filled, and refuses as a hit does.
TEST(StageSerial, a_page_without_permission_is_filled_and_refuses)
{
    SerialBench b(serial_stage());
    b.warm(dev, {page_b});
    b.map(page_a, moved, IOM_PERM_READ);
    iom_dma *first = b.send(200, dev, page_a, IOM_REQ_WRITE),
            *second = b.send(220, dev, page_a, IOM_REQ_WRITE), *read = b.send(230, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(first), 211u);
    EXPECT_EQ(first->x.fault.code, toy_fault_permission);
    EXPECT_EQ(b.answered(second), 220u);
    EXPECT_EQ(second->x.fault.code, toy_fault_permission);
    EXPECT_EQ(b.answered(read), 230u);
    EXPECT_EQ(read->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(b.walks.size(), 1u);
    EXPECT_EQ(b.reports.size(), 2u);
}

TEST(StageSerial, a_walk_refuses_in_the_cycle_in_which_it_ends_and_fills_nothing)
{
    for (uint32_t what : {IOM_LOOKUP_CONTEXT, IOM_LOOKUP_PASID, IOM_LOOKUP_IOTLB}) {
        SCOPED_TRACE(what);
        SerialBench b(serial_stage());
        b.warm(other, {page_a}, process);
        if (what != IOM_LOOKUP_CONTEXT)
            b.warm(dev, {page_a});
        if (what == IOM_LOOKUP_IOTLB)
            b.warm(dev, {page_a}, process);
        b.bad_contexts = {dev};
        b.bad_processes = {{dev, process}};
        iom_dma *first = b.send_pasid(1000, dev, process, page_d), *second = nullptr;
        second = b.send_pasid(1100, dev, process, page_d);
        b.bench.run_until_idle();
        const iom_cycle cycles = b.walk_cycles[what];
        EXPECT_EQ(b.answered(first), 1000 + cycles);
        EXPECT_EQ(b.accepted(first), 1000 + cycles + 1);
        EXPECT_EQ(first->x.outcome, IOM_OUTCOME_FAULT);
        EXPECT_EQ(first->x.fault.code, toy_fault_walk);
        EXPECT_EQ(b.answered(second), 1100 + cycles);
        EXPECT_EQ(b.begun(what), (Cycles{1000, 1100}));
        EXPECT_EQ(b.walks.size(), 2u);
        ASSERT_EQ(b.reports.size(), 2u);
        EXPECT_EQ(b.reports[0].first, 1000 + cycles);
        EXPECT_EQ(b.reports[0].second.address, page_d);
    }
}

TEST(StageSerial, what_may_not_be_cached_is_taken_from_the_walk)
{
    SerialBench b(serial_stage());
    b.warm(dev, {page_b});
    b.map(page_a);
    b.walk_cycles[IOM_LOOKUP_IOTLB] = 0;
    iom_dma *dma = b.send(200, dev, page_a + 8);
    b.bench.run_to(201);
    ASSERT_EQ(b.walks.size(), 1u);
    b.walks[0].message->fill.valid = false;
    b.end_walk(0, 210);
    iom_dma *next = b.send(220, dev, page_a);
    b.bench.run_to(221);
    EXPECT_EQ(b.answered(dma), 210u);
    EXPECT_EQ(dma->x.leaf.output, page_a + moved + 8);
    ASSERT_EQ(b.walks.size(), 2u);
    b.end_walk(1, 230);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(next), 231u);
}

// A result of a second walk after a lost race: nothing was filled, nothing decided.
TEST(StageSerial, a_walk_that_has_to_be_repeated_is)
{
    for (bool edge : {false, true}) {
        iom_stage_config config = serial_stage();
        config.serial.quirk_walks_on_edge = edge;
        SerialBench b(config);
        b.warm(dev, {page_b});
        b.map(page_a);
        b.walk_cycles[IOM_LOOKUP_IOTLB] = 0;
        iom_dma *dma = b.send(200, dev, page_a);
        b.bench.run_to(201);
        ASSERT_EQ(b.walks.size(), 1u);
        b.walks[0].message->fill.valid = false;
        b.walks[0].message->x.outcome = IOM_OUTCOME_RETRY;
        b.end_walk(0, 210);
        b.bench.run_to(212);
        EXPECT_EQ(b.answered(dma), never);
        ASSERT_EQ(b.begun(IOM_LOOKUP_IOTLB), (Cycles{200, 211}));
        b.end_walk(1, 220);
        b.bench.run_until_idle();
        EXPECT_EQ(b.answered(dma), 221u);
    }
}

TEST(StageSerial, a_full_queue_of_reports_holds_up_refusals_to_be_recorded_only)
{
    SerialBench b(serial_stage(), 1);
    b.free_report_slots = false;
    b.warm(dev, {page_a});
    b.send(200, dev, refused_address);
    iom_dma *hit = b.send(210, dev, page_a), *silent = b.send(220, toy_silent, refused_address),
            *held = b.send(230, dev, refused_address);
    b.free_report_slot(250);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(hit), 210u);
    EXPECT_EQ(b.answered(silent), 220u);
    EXPECT_EQ(b.answered(held), 250u);
    ASSERT_EQ(b.reports.size(), 2u);
    EXPECT_EQ(b.reports[1].first, 250u);
}

// Deviating hardware lets pass what it records as refused.
TEST(StageSerial, what_passes_with_a_fault_is_recorded_if_there_is_a_slot)
{
    SerialBench b(serial_stage(), 1);
    b.free_report_slots = false;
    iom_dma *first = b.send(200, dev, passing_address), *second = b.send(210, dev, passing_address);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(first), 200u);
    EXPECT_EQ(first->x.outcome, IOM_OUTCOME_BYPASS);
    EXPECT_EQ(b.answered(second), 210u) << "it does not wait";
    ASSERT_EQ(b.reports.size(), 1u);
    EXPECT_EQ(b.reports[0].first, 200u);
    EXPECT_EQ(b.reports[0].second.code, toy_fault_entry);
}

// ---- service ------------------------------------------------------------------------------------------

TEST(StageSerial, service_ends_with_the_release)
{
    for (uint64_t waits : {0u, 6u}) {
        SCOPED_TRACE(waits);
        SerialBench b(serial_stage());
        b.warm(dev, {page_a, page_b});
        b.handshake_waits = waits;
        iom_dma *dma = b.send(200, dev, page_a), *debug = b.debug(200, dev, page_b);
        b.bench.run_until_idle();
        EXPECT_EQ(b.answered(dma), 200u);
        EXPECT_EQ(b.accepted(dma), 201 + waits);
        EXPECT_EQ(b.answered(debug), 202 + waits);
    }
}

TEST(StageSerial, what_registers_ask_for_needs_no_release)
{
    SerialBench b(serial_stage());
    b.warm(dev, {page_b});
    b.map(page_a);
    iom_dma *first = b.debug(200, dev, page_a), *second = b.debug(200, dev, page_b),
            *dma = b.send(203, dev, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(first), 211u) << "walked like any other";
    EXPECT_EQ(first->x.leaf.output, page_a + moved);
    EXPECT_EQ(b.answered(dma), 212u) << "the AXI port goes first";
    EXPECT_EQ(b.answered(second), 214u); // released in 213
}

TEST(StageSerial, a_new_view_is_looked_up_under_in_the_next_cycle)
{
    SerialBench b(serial_stage());
    b.warm(dev, {page_a});
    iom_view off = {};
    off.extra[0] = IOM_LOOKUP_CONTEXT;
    b.change_view(200, off);
    iom_dma *before = b.send(200, dev, page_a), *behind = b.send(203, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(before->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(behind->x.outcome, IOM_OUTCOME_BYPASS);
}

// Translation is switched off under a request that waits for its walk; the walk goes on, and keeps its
// walker.
TEST(StageSerial, a_request_does_not_wait_for_a_walk_it_no_longer_needs)
{
    SerialBench b(serial_stage());
    b.warm(dev, {page_b});
    b.map(page_a);
    b.walk_cycles[IOM_LOOKUP_IOTLB] = 100;
    iom_view on = *iom_stage_view(b.stage), off = on;
    off.enabled = 0;
    b.change_view(210, off);
    b.change_view(220, on);
    iom_dma *dma = b.send(200, dev, page_a), *next = b.send(230, dev, page_d),
            *last = b.send(450, dev, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(dma), 211u);
    EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_BYPASS);
    EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), (Cycles{200, 301})) << "one walk for pages at a time";
    EXPECT_EQ(b.answered(next), 401u) << "not mapped";
    EXPECT_EQ(b.answered(last), 450u) << "what was walked for is there";
}

TEST(StageSerial, parts_of_the_latency_add_up)
{
    SerialBench b(serial_stage());
    b.map(page_a);
    iom_dma *dma = b.send_pasid(100, dev, process, page_a);
    b.bench.run_until_idle();
    uint64_t sum = 0;
    for (uint64_t part : dma->part)
        sum += part;
    EXPECT_EQ(sum, dma->translated - dma->arrived);
}

TEST(StageSerial, counts_requests)
{
    SerialBench b(serial_stage());
    b.map(page_a);
    iom_dma *dma = b.send_pasid(100, dev, process, page_a);
    b.send_pasid(200, dev, process, page_a);
    b.send(300, dev, refused_address, IOM_REQ_WRITE);
    b.bench.run_until_idle();
    EXPECT_EQ(dma->arrived, 100u);
    EXPECT_EQ(dma->translated, b.answered(dma));
    EXPECT_EQ(b.stats().requests, 3u);
    EXPECT_EQ(b.stats().reads, 2u);
    EXPECT_EQ(b.stats().writes, 1u);
    EXPECT_EQ(b.stats().walked, 1u);
    EXPECT_EQ(b.stats().translated, 2u);
    EXPECT_EQ(b.stats().faults, 1u);
    EXPECT_EQ(b.stats().fault_reports, 1u);
    EXPECT_EQ(b.lookup_stats(IOM_LOOKUP_PASID).misses, 1u);
    EXPECT_EQ(b.lookup_stats(IOM_LOOKUP_IOTLB).misses, 1u);
}

TEST(StageSerial, a_request_is_one_event_however_often_it_is_looked_up)
{
    iom_stage_config config = serial_stage();
    config.view.monitored = ~UINT32_C(0);
    SerialBench b(config);
    b.map(page_a);
    b.send(100, dev, page_a);
    b.bench.run_until_idle();
    std::vector<std::pair<iom_cycle, uint32_t>> seen;
    for (const auto &[cycle, event] : b.events)
        seen.emplace_back(cycle, event.events);
    const std::vector<std::pair<iom_cycle, uint32_t>> expected = {
        {100, IOM_EVENT_UNTRANSLATED}, {100, IOM_EVENT_CONTEXT_WALK}, {106, IOM_EVENT_TLB_MISS}};
    EXPECT_EQ(seen, expected);
}

// ---- invalidations ------------------------------------------------------------------------------------

TEST(StageSerial, entries_hit_in_the_cycle_of_their_invalidation_and_not_behind_it)
{
    for (iom_cycle arrival : {299u, 300u}) {
        SCOPED_TRACE(arrival);
        SerialBench b(serial_stage());
        b.warm(dev, {page_a});
        b.invalidate_page(arrival, page_a);
        iom_dma *dma = b.send(300, dev, page_a);
        b.bench.run_until_idle();
        EXPECT_EQ(b.answered(dma), arrival == 300 ? 300u : 311u);
        EXPECT_EQ(dma->x.leaf.output, page_a + moved);
    }
}

// An entry read before the invalidation and filled after it stays, unless walks are squashed.
TEST(StageSerial, an_invalidation_during_a_walk)
{
    for (bool squash : {false, true}) {
        for (bool edge : {false, true}) {
            SCOPED_TRACE(testing::Message() << "squash " << squash << " edge " << edge);
            iom_stage_config config = serial_stage();
            config.squash_walks = squash;
            config.serial.quirk_walks_on_edge = edge;
            SerialBench b(config);
            b.warm(dev, {page_b});
            b.map(page_a, 0x5000000);
            iom_dma *dma = b.send(200, dev, page_a), *later = b.send(240, dev, page_a);
            b.world.at(203, [&b](iom_cycle) { b.map(page_a); });
            b.invalidate_page(205, page_a);
            b.bench.run_until_idle();
            EXPECT_EQ(b.answered(dma), squash ? 222u : 211u); // walked again from 211 to 221
            EXPECT_EQ(dma->x.leaf.output, page_a + (squash ? moved : 0x5000000));
            EXPECT_EQ(b.answered(later), 240u);
            EXPECT_EQ(later->x.leaf.output, dma->x.leaf.output);
        }
    }
}

TEST(StageSerial, an_invalidation_removes_a_matching_fill_of_its_cycle_and_no_other)
{
    for (uint64_t page : {page_a, page_b}) {
        SCOPED_TRACE(page);
        SerialBench b(serial_stage());
        b.warm(dev, {page_b});
        b.map(page_a);
        iom_dma *dma = b.send(200, dev, page_a);
        b.invalidate_page(210, page);
        b.bench.run_until_idle();
        EXPECT_EQ(b.answered(dma), page == page_a ? 222u : 211u);
        EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), page == page_a ? (Cycles{200, 211}) : Cycles{200});
    }
}

// Seen in the cycle behind the invalidation: the context's walk goes on beside that of the page.
TEST(StageSerial, a_context_invalidated_under_a_page_walk_is_fetched_at_once)
{
    struct Case {
        uint64_t context_cycles, page_cycles;
        iom_cycle answered;
    };
    // The later of the two fills decides: context from 206, page from 200.
    for (const Case &c : {Case{5, 40, 241}, Case{30, 10, 237}, Case{14, 20, 221}}) {
        for (bool edge : {false, true}) {
            SCOPED_TRACE(testing::Message() << c.context_cycles << " " << c.page_cycles << " edge " << edge);
            iom_stage_config config = serial_stage();
            config.serial.quirk_walks_on_edge = edge;
            SerialBench b(config);
            b.warm(dev, {page_b});
            b.map(page_a);
            b.walk_cycles[IOM_LOOKUP_CONTEXT] = c.context_cycles;
            b.walk_cycles[IOM_LOOKUP_IOTLB] = c.page_cycles;
            iom_dma *dma = b.send(200, dev, page_a);
            b.invalidate_context(205, dev);
            b.bench.run_until_idle();
            EXPECT_EQ(b.answered(dma), c.answered);
            EXPECT_EQ(b.begun(IOM_LOOKUP_CONTEXT), Cycles{206});
            EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), Cycles{200});
        }
    }
}

// The walk for the context waits for the walker of contexts.
TEST(StageSerial, a_context_invalidated_under_the_walk_for_its_process)
{
    SerialBench b(serial_stage());
    b.warm(dev, {page_a}); // the context
    iom_dma *dma = b.send_pasid(200, dev, process, page_a);
    b.invalidate_context(210, dev);
    b.invalidate_page(150, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(b.begun(IOM_LOOKUP_PASID), Cycles{200}); // filled in 220
    EXPECT_EQ(b.begun(IOM_LOOKUP_CONTEXT), Cycles{221});
    EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), Cycles{227});
    EXPECT_EQ(b.answered(dma), 238u);
}

// ---- replacement --------------------------------------------------------------------------------------

constexpr uint64_t pages[] = {0x100000, 0x101000, 0x102000, 0x103000, 0x104000};

// Is the page in the IOTLB? A request for it needs no walk.
bool holds(SerialBench &b, uint32_t source, uint64_t page)
{
    const size_t walks = b.walks.size();
    b.send(b.bench.now() + 3, source, page);
    b.bench.run_until_idle();
    return b.walks.size() == walks;
}

// Tree pseudo-LRU: four pages go to ways 0, 2, 1, 3; the fifth evicts the first.
TEST(StageSerial, the_fifth_page_evicts_the_first)
{
    for (size_t gone : {0u, 1u}) {
        SerialBench b(serial_stage());
        b.warm(dev, {pages[0], pages[1], pages[2], pages[3]});
        if (gone == 1) // the first one is used once more: the victim is now in the other half, the second one
            b.warm(dev, {pages[0]});
        b.warm(dev, {pages[4]});
        // What is there is asked for first: that walks for nothing.
        for (size_t i = 0; i < 5; i++) {
            if (i != gone) {
                EXPECT_TRUE(holds(b, dev, pages[i])) << i;
            }
        }
        EXPECT_FALSE(holds(b, dev, pages[gone]));
    }
}

TEST(StageSerial, a_hole_is_not_preferred)
{
    SerialBench b(serial_stage());
    b.warm(dev, {pages[0], pages[1], pages[2], pages[3]});
    b.invalidate_page(b.bench.now() + 5, pages[2]);
    b.bench.run_until_idle();
    b.warm(dev, {pages[4]});
    EXPECT_TRUE(holds(b, dev, pages[1]));
    EXPECT_TRUE(holds(b, dev, pages[3]));
    EXPECT_TRUE(holds(b, dev, pages[4]));
    EXPECT_FALSE(holds(b, dev, pages[0])) << "evicted although a way was free";
}

// A context that is hit counts as used also when the look-ups behind it miss, or refuse.
TEST(StageSerial, a_context_is_used_by_a_request_that_is_refused)
{
    for (bool used : {false, true}) {
        SCOPED_TRACE(used);
        SerialBench b(serial_stage());
        for (uint32_t source : {11u, 12u, 13u, 14u})
            b.warm(source, {pages[0]});
        if (used) {
            b.send(b.bench.now() + 5, 11, page_d); // not mapped
            b.bench.run_until_idle();
        }
        b.warm(15, {pages[0]});
        const auto has_context = [&b](uint32_t source) {
            b.walks.clear();
            b.send(b.bench.now() + 5, source, page_d);
            b.bench.run_until_idle();
            return b.begun(IOM_LOOKUP_CONTEXT).empty();
        };
        EXPECT_TRUE(has_context(used ? 11 : 12));
        EXPECT_FALSE(has_context(used ? 12 : 11));
    }
}

} // namespace
