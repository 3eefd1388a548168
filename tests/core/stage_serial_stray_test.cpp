// SPDX-License-Identifier: Apache-2.0
//
// Deviations of serial look-up (core/stage.h, struct iom_serial_config) that have to do with walks and the
// context of requests which are gone, or about to: walks_when_answered and live_context, each on and off. See
// stage_serial_quirk_test.cpp.
#include <gtest/gtest.h>

#include <vector>

#include "tests/core/support/serial_bench.h"

namespace
{

using namespace bench;
using Cycles = std::vector<iom_cycle>;

constexpr iom_cycle never = IOM_NEVER;
constexpr uint32_t process = 9, other_process = 10;

// ---- walks_when_answered ------------------------------------------------------------------------------

// In the cycle of the handshake the look-ups still miss, and the walker is idle again: a walk starts for
// nobody. With the edge quirk only what is missing by level is walked for.
TEST(StageSerialStray, a_refused_walk_starts_again_in_the_cycle_of_the_handshake)
{
    for (bool answered : {false, true}) {
        for (bool edge : {false, true}) {
            for (uint32_t what : {IOM_LOOKUP_CONTEXT, IOM_LOOKUP_PASID, IOM_LOOKUP_IOTLB}) {
                SCOPED_TRACE(testing::Message()
                             << "answered " << answered << " edge " << edge << " " << what);
                iom_stage_config config = serial_stage();
                config.serial.quirk_walks_when_answered = answered;
                config.serial.quirk_walks_on_edge = edge;
                SerialBench b(config);
                if (what != IOM_LOOKUP_CONTEXT)
                    b.warm(dev, {page_b});
                if (what == IOM_LOOKUP_IOTLB)
                    b.warm(dev, {page_b}, process);
                b.bad_contexts = {dev};
                b.bad_processes = {{dev, process}};
                iom_dma *dma = b.send_pasid(500, dev, process, page_a); // not mapped
                b.bench.run_until_idle();
                const iom_cycle f = 500 + b.walk_cycles[what];
                EXPECT_EQ(b.answered(dma), f);
                EXPECT_EQ(b.accepted(dma), f + 1);
                const bool again = answered && (!edge || what == IOM_LOOKUP_PASID);
                EXPECT_EQ(b.begun(what), again ? (Cycles{500, f + 1}) : Cycles{500}) << "reads from f + 2 on";
                EXPECT_EQ(b.walks.size(), again ? 2u : 1u);
                EXPECT_EQ(b.reports.size(), 1u) << "nobody is there to be charged with the second one";
            }
        }
    }
}

TEST(StageSerialStray, look_ups_go_on_until_a_late_handshake)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_walks_when_answered = true;
    SerialBench b(config);
    b.warm(dev, {page_b});
    b.bad_processes = {{dev, process}};
    b.handshake_waits = 30;
    iom_dma *dma = b.send_pasid(500, dev, process, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(dma), 520u);
    EXPECT_EQ(b.accepted(dma), 551u);
    // From 521 to 541; then the look-ups miss again.
    EXPECT_EQ(b.begun(IOM_LOOKUP_PASID), (Cycles{500, 521, 542}));
}

/// A request for a process that is not there, refused in 520; the walk that starts again in 521 ends by hand.
class Stray : public testing::TestWithParam<bool>
{
  protected:
    void refuse_one(SerialBench &b, iom_cycle stray_ends)
    {
        b.warm(dev, {page_b});
        b.warm(other, {page_b});
        b.bad_processes = {{dev, process}};
        b.send_pasid(500, dev, process, page_a);
        b.bench.run_to(521);
        b.walk_cycles[IOM_LOOKUP_PASID] = 0;
        b.bench.run_to(522);
        ASSERT_EQ(b.begun(IOM_LOOKUP_PASID), (Cycles{500, 521}));
        b.end_walk(b.walks.size() - 1, stray_ends);
        b.walk_cycles[IOM_LOOKUP_PASID] = 20;
        ASSERT_EQ(b.reports.size(), 1u);
    }
    iom_stage_config config()
    {
        iom_stage_config config = serial_stage();
        config.serial.quirk_walks_when_answered = true;
        config.serial.quirk_walks_on_edge = GetParam();
        return config;
    }
};

INSTANTIATE_TEST_SUITE_P(StageSerial, Stray, testing::Bool());

// Its own walk cannot start; it is refused without one, and the walk starts again in its handshake.
TEST_P(Stray, refuses_a_request_that_waits_for_the_same_walker)
{
    SerialBench b(config());
    refuse_one(b, 560);
    iom_dma *victim = b.send(540, other, page_c, IOM_REQ_PASID | IOM_REQ_WRITE, other_process);
    b.bench.run_to(561);
    EXPECT_EQ(b.answered(victim), 560u);
    EXPECT_EQ(b.accepted(victim), 561u);
    EXPECT_EQ(victim->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(victim->x.fault.code, toy_fault_walk);
    b.bench.run_until_idle();
    EXPECT_EQ(b.begun(IOM_LOOKUP_PASID), (Cycles{500, 521, 561}));
    ASSERT_EQ(b.reports.size(), 2u);
    EXPECT_EQ(b.reports[1].first, 560u);
    const iom_fault &fault = b.reports[1].second;
    EXPECT_EQ(fault.code, toy_fault_walk);
    EXPECT_EQ(fault.address, page_c);
    EXPECT_EQ(fault.source, other);
    EXPECT_EQ(fault.pasid, other_process);
    EXPECT_EQ(fault.flags, IOM_REQ_PASID | IOM_REQ_WRITE);
}

// Its context would say whether; that cannot be walked for either.
TEST_P(Stray, is_not_recorded_for_a_request_without_a_context)
{
    SerialBench b(config());
    refuse_one(b, 560);
    iom_dma *victim = b.send(540, 3, page_c);
    b.bench.run_to(561);
    EXPECT_EQ(b.answered(victim), 560u);
    EXPECT_EQ(victim->x.fault.code, toy_fault_walk);
    EXPECT_EQ(b.reports.size(), 1u);
}

// A hit is not refused, but a record is written for it if it is in service: from its look-up to its
// handshake.
TEST_P(Stray, records_a_fault_of_a_request_that_succeeds)
{
    for (iom_cycle c : {558u, 559u, 560u, 561u}) {
        SCOPED_TRACE(c);
        SerialBench b(config());
        refuse_one(b, 560);
        iom_dma *hit = b.send(c, other, page_b);
        b.bench.run_until_idle();
        EXPECT_EQ(b.answered(hit), c);
        EXPECT_EQ(hit->x.outcome, IOM_OUTCOME_ADDRESS);
        const bool charged = c == 559 || c == 560;
        ASSERT_EQ(b.reports.size(), charged ? 2u : 1u);
        if (charged) {
            EXPECT_EQ(b.reports[1].first, 560u);
            EXPECT_EQ(b.reports[1].second.code, toy_fault_walk);
            EXPECT_EQ(b.reports[1].second.address, page_b);
            EXPECT_EQ(b.reports[1].second.source, other);
        }
    }
}

// It is the context of the request that is charged which says whether, not that of the walk.
TEST(StageSerialStray, is_recorded_if_the_request_that_is_charged_is)
{
    for (bool silent_walk : {false, true}) {
        SCOPED_TRACE(silent_walk);
        iom_stage_config config = serial_stage();
        config.serial.quirk_walks_when_answered = true;
        SerialBench b(config);
        b.warm(dev, {page_b});
        b.warm(toy_silent, {page_b});
        const uint32_t walker = silent_walk ? toy_silent : dev, charged = silent_walk ? dev : toy_silent;
        b.bad_processes = {{walker, process}};
        b.send_pasid(500, walker, process, page_a); // refused in 520; again from 521 to 541
        b.send(541, charged, page_b);
        b.bench.run_until_idle();
        ASSERT_EQ(b.reports.size(), 1u);
        EXPECT_EQ(b.reports[0].first, silent_walk ? 541u : 520u);
        EXPECT_EQ(b.reports[0].second.source, dev);
    }
}

// A request that waits for its page is refused as well; its own walk goes on for nobody.
TEST_P(Stray, refuses_a_request_that_waits_for_another_walker)
{
    SerialBench b(config());
    b.walk_cycles[IOM_LOOKUP_IOTLB] = 100;
    refuse_one(b, 560);
    b.map(page_c);
    iom_dma *victim = b.send(540, other, page_c), *later = b.send(700, other, page_c);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(victim), 560u);
    EXPECT_EQ(victim->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(b.reports.size(), 2u);
    EXPECT_EQ(b.answered(later), 700u) << "filled in 640";
}

// The process has been put right meanwhile.
TEST_P(Stray, fills_if_it_succeeds)
{
    SerialBench b(config());
    b.warm(dev, {page_b});
    b.bad_processes = {{dev, process}};
    b.map(page_a);
    iom_dma *refused = b.send_pasid(500, dev, process, page_a);
    b.world.at(521, [&b](iom_cycle) { b.bad_processes.clear(); });
    iom_dma *next = b.send_pasid(550, dev, process, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(refused->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(b.begun(IOM_LOOKUP_PASID), (Cycles{500, 521}));
    EXPECT_EQ(b.answered(next), 561u) << "the page alone is walked for";
    EXPECT_EQ(b.reports.size(), 1u);
}

// Without the quirk a walk that outlives its request touches nobody, be it that the next one comes in the
// same message. Here the page walk of a request whose context is invalidated, walked for anew and refused.
TEST(StageSerialStray, a_walk_that_outlives_its_request)
{
    for (bool answered : {false, true}) {
        for (bool same_message : {false, true}) {
            SCOPED_TRACE(testing::Message() << "answered " << answered << " same " << same_message);
            iom_stage_config config = serial_stage();
            config.serial.quirk_walks_when_answered = answered;
            config.serial.quirk_walks_on_edge = answered; // or the context's walk would start again
            SerialBench b(config);
            b.warm(dev, {page_b});
            b.warm(other, {page_b});
            b.map(page_c);
            b.walk_cycles[IOM_LOOKUP_IOTLB] = 100;
            b.bad_contexts = {dev};
            iom_dma *gone = b.send(500, dev, page_a); // not mapped: refused in 600
            b.invalidate_context(510, dev);
            b.bench.run_to(580);
            EXPECT_EQ(b.answered(gone), 516u);
            iom_dma *victim = same_message ? gone : b.send(590, other, page_c);
            if (same_message)
                b.resend(gone, 590, other, page_c);
            b.bench.run_until_idle();
            EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), answered ? Cycles{500} : (Cycles{500, 601}));
            EXPECT_EQ(b.answered(victim), answered ? 600u : 702u);
            EXPECT_EQ(victim->x.outcome, answered ? IOM_OUTCOME_FAULT : IOM_OUTCOME_ADDRESS);
            EXPECT_EQ(b.reports.size(), answered ? 2u : 1u);
        }
    }
}

// What served a hit is gone in the cycle of the handshake: its walk starts for nobody, and keeps the walker
// from the next request, which then never gets it on the edge.
TEST(StageSerialStray, a_hit_whose_entry_goes_starts_a_walk_in_its_handshake)
{
    for (bool answered : {false, true}) {
        for (bool edge : {false, true}) {
            SCOPED_TRACE(testing::Message() << "answered " << answered << " edge " << edge);
            iom_stage_config config = serial_stage();
            config.serial.quirk_walks_when_answered = answered;
            config.serial.quirk_walks_on_edge = edge;
            SerialBench b(config);
            b.warm(dev, {page_a});
            b.map(page_c);
            iom_dma *hit = b.send(500, dev, page_a), *next = b.send(503, dev, page_c);
            b.invalidate_page(500, page_a);
            b.bench.run_to(2000);
            EXPECT_EQ(b.answered(hit), 500u);
            const Cycles with = edge ? Cycles{501} : Cycles{501, 512}; // the first one ends in 511
            EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), answered ? with : Cycles{503});
            EXPECT_EQ(b.answered(next), !answered ? 514u : edge ? never : 523u);
        }
    }
}

TEST(StageSerialStray, a_stray_fault_that_finds_no_slot_is_not_recorded)
{
    for (uint32_t slots : {1u, 2u}) {
        SCOPED_TRACE(slots);
        iom_stage_config config = serial_stage();
        config.serial.quirk_walks_when_answered = config.serial.quirk_full_queue_loses_record = true;
        SerialBench b(config, slots);
        b.free_report_slots = false;
        b.warm(dev, {page_b});
        b.bad_processes = {{dev, process}};
        b.send_pasid(500, dev, process, page_b); // refused in 520, stray from 521 to 541
        iom_dma *hit = b.send(541, dev, page_b);
        b.bench.run_until_idle();
        EXPECT_EQ(b.answered(hit), 541u);
        EXPECT_EQ(b.reports.size(), slots);
    }
}

// ---- live_context -------------------------------------------------------------------------------------

void expect_context(const iom_context &seen, const iom_context &expected)
{
    EXPECT_EQ(seen.table[0], expected.table[0]);
    EXPECT_EQ(seen.table[1], expected.table[1]);
    EXPECT_EQ(seen.kind, expected.kind);
    EXPECT_EQ(seen.levels[0], expected.levels[0]);
    EXPECT_EQ(seen.levels[1], expected.levels[1]);
}

/// What a page walk was last told to go by in `cycle`, null if nothing.
const SerialBench::Told *told_in(const SerialBench &b, iom_cycle cycle)
{
    const SerialBench::Told *last = nullptr;
    for (const SerialBench::Told &told : b.told) {
        if (told.from <= cycle)
            last = &told;
    }
    return last;
}

const iom_context *context_in(const SerialBench &b, iom_cycle cycle)
{
    const SerialBench::Told *told = told_in(b, cycle);
    return told == nullptr ? nullptr : &told->context;
}

TEST(StageSerialStray, a_page_walk_goes_by_the_context_of_each_cycle)
{
    for (bool live : {false, true}) {
        SCOPED_TRACE(live);
        iom_stage_config config = serial_stage();
        config.serial.quirk_live_context = live;
        SerialBench b(config);
        b.warm(dev, {page_b});
        b.map(page_a);
        b.walk_cycles[IOM_LOOKUP_IOTLB] = 40;
        b.send(200, dev, page_a);
        b.invalidate_context(210, dev); // missing from 211 on, filled in 216
        b.bench.run_until_idle();
        if (!live) {
            EXPECT_TRUE(b.told.empty());
            continue;
        }
        if (const iom_context *before = context_in(b, 210))
            expect_context(*before, toy_context(dev)); // as it was
        for (iom_cycle missing : {211u, 216u}) {
            ASSERT_NE(context_in(b, missing), nullptr);
            expect_context(*context_in(b, missing), iom_context{});
        }
        ASSERT_NE(context_in(b, 217), nullptr);
        expect_context(*context_in(b, 217), toy_context(dev));
    }
}

// Without its process a request has no tables at all, but its device's second stage is still on.
TEST(StageSerialStray, a_page_walk_goes_by_no_tables_while_the_process_is_missing)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_live_context = true;
    SerialBench b(config);
    b.warm(dev, {page_b}, process);
    b.map(page_a);
    b.walk_cycles[IOM_LOOKUP_IOTLB] = 60;
    b.send_pasid(200, dev, process, page_a);
    b.invalidate_process(210, dev, process); // missing from 211 on, filled in 231
    b.bench.run_until_idle();
    iom_context without = toy_context(dev);
    without.table[1] = 0;
    for (iom_cycle missing : {211u, 231u}) {
        ASSERT_NE(context_in(b, missing), nullptr);
        expect_context(*context_in(b, missing), without);
    }
    ASSERT_NE(context_in(b, 232), nullptr);
    expect_context(*context_in(b, 232), toy_process(dev, process));
}

// Another device's context is none of its business.
TEST(StageSerialStray, a_page_walk_keeps_its_context_if_another_one_goes)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_live_context = true;
    SerialBench b(config);
    b.warm(dev, {page_b});
    b.warm(other, {page_b});
    b.map(page_a);
    b.walk_cycles[IOM_LOOKUP_IOTLB] = 40;
    b.send(1000, dev, page_a);
    b.invalidate_context(1010, other);
    b.bench.run_until_idle();
    for (const SerialBench::Told &told : b.told)
        expect_context(told.context, toy_context(dev));
}

// Its request is refused by the context; then there is none, and then that of the next one.
TEST(StageSerialStray, a_page_walk_that_outlives_its_request_goes_by_the_context_of_the_next)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_live_context = config.serial.quirk_walks_on_edge = true;
    config.serial.quirk_walks_when_answered = true;
    SerialBench b(config);
    b.warm(dev, {page_b});
    b.warm(other, {page_b});
    b.map(page_c);
    b.walk_cycles[IOM_LOOKUP_IOTLB] = 200;
    b.bad_contexts = {dev};
    iom_dma *gone = b.send(1000, dev, page_a);
    b.invalidate_context(1010, dev);
    b.send(1050, other, page_c, IOM_REQ_WRITE); // waits
    b.bench.run_until_idle();
    ASSERT_EQ(b.answered(gone), 1016u);
    for (iom_cycle nobody : {1020u, 1049u}) {
        ASSERT_NE(context_in(b, nobody), nullptr);
        expect_context(*context_in(b, nobody), iom_context{});
        EXPECT_FALSE(told_in(b, nobody)->write);
    }
    ASSERT_NE(context_in(b, 1051), nullptr);
    expect_context(*context_in(b, 1051), toy_context(other));
    EXPECT_TRUE(told_in(b, 1051)->write) << "and is a store's from now on";
}

// Whether a fault is recorded is for the context to say.
TEST(StageSerialStray, a_fault_of_a_walk_without_a_context_is_not_recorded)
{
    for (bool live : {false, true}) {
        for (bool invalidated : {false, true}) {
            SCOPED_TRACE(testing::Message() << "live " << live << " invalidated " << invalidated);
            iom_stage_config config = serial_stage();
            config.serial.quirk_live_context = live;
            SerialBench b(config);
            b.warm(dev, {page_b});
            iom_dma *dma = b.send(200, dev, page_a); // not mapped
            if (invalidated)
                b.invalidate_context(207, dev); // filled in 213
            b.bench.run_until_idle();
            EXPECT_EQ(b.answered(dma), 210u);
            EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_FAULT);
            EXPECT_EQ(b.reports.size(), live && invalidated ? 0u : 1u);
        }
    }
}

} // namespace
