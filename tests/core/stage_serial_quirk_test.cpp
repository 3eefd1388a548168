// SPDX-License-Identifier: Apache-2.0
//
// Deviations of serial look-up (core/stage.h, struct iom_serial_config), each on and off. Expected cycles are
// worked out from the header and from what was measured on hardware that deviates like that
// (tests/data/rtl-timing/README.md, section 4). c is the cycle of the first look-up, f the one in which a
// walk fills or refuses, s the one in which an invalidation takes effect: entries are gone in s + 1.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/core/support/dice.h"
#include "tests/core/support/serial_bench.h"

namespace
{

using namespace bench;
using Cycles = std::vector<iom_cycle>;

constexpr iom_cycle never = IOM_NEVER;
constexpr uint32_t process = 9, other_process = 10;

// ---- invalidation_drops_fill --------------------------------------------------------------------------

// The page is filled in 210. A fill that is dropped is walked for again from 211 on.
TEST(StageSerialQuirk, an_invalidation_of_any_page_drops_the_fill_of_its_cycle)
{
    for (bool quirk : {false, true}) {
        for (iom_cycle s : {209u, 210u, 211u}) {
            for (uint64_t page : {page_a, page_b, page_d}) {
                SCOPED_TRACE(testing::Message()
                             << "quirk " << quirk << " s " << s << std::hex << " page " << page);
                iom_stage_config config = serial_stage();
                config.serial.quirk_invalidation_drops_fill = quirk;
                SerialBench b(config);
                b.warm(dev, {page_b});
                b.map(page_a);
                iom_dma *dma = b.send(200, dev, page_a);
                b.invalidate_page(s, page);
                b.bench.run_until_idle();
                const bool dropped = s == 210 && (quirk || page == page_a);
                EXPECT_EQ(b.answered(dma), dropped ? 222u : 211u);
                EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), dropped ? (Cycles{200, 211}) : Cycles{200});
                EXPECT_EQ(dma->x.leaf.output, page_a + moved);
            }
        }
    }
}

// Whose fill is dropped by which invalidation, none of which covers it.
TEST(StageSerialQuirk, only_an_invalidation_of_the_same_cache_drops_a_fill)
{
    enum Command { pages, contexts, processes };
    for (uint32_t what : {IOM_LOOKUP_CONTEXT, IOM_LOOKUP_PASID, IOM_LOOKUP_IOTLB}) {
        for (Command command : {pages, contexts, processes}) {
            SCOPED_TRACE(testing::Message() << "fill " << what << " command " << command);
            iom_stage_config config = serial_stage();
            config.serial.quirk_invalidation_drops_fill = true;
            SerialBench b(config);
            b.map(page_a);
            if (what != IOM_LOOKUP_CONTEXT)
                b.warm(dev, {page_b});
            if (what == IOM_LOOKUP_IOTLB)
                b.warm(dev, {page_b}, process);
            b.send_pasid(500, dev, process, page_a);
            const iom_cycle f = 500 + b.walk_cycles[what];
            if (command == pages)
                b.invalidate_page(f, page_d);
            else if (command == contexts)
                b.invalidate_context(f, other);
            else
                b.invalidate_process(f, other, other_process);
            b.bench.run_until_idle();
            const bool dropped = (what == IOM_LOOKUP_CONTEXT && command == contexts) ||
                                 (what == IOM_LOOKUP_PASID && command != pages) ||
                                 (what == IOM_LOOKUP_IOTLB && command == pages);
            EXPECT_EQ(b.begun(what), dropped ? (Cycles{500, f + 1}) : Cycles{500});
        }
    }
}

// ---- walks_on_edge ------------------------------------------------------------------------------------

// The deadlock: what was missing before its fill was dropped does not begin to be missing. A process is
// walked for as long as it is missing.
TEST(StageSerialQuirk, a_dropped_fill_is_not_walked_for_again)
{
    for (bool edge : {false, true}) {
        for (uint32_t what : {IOM_LOOKUP_CONTEXT, IOM_LOOKUP_PASID, IOM_LOOKUP_IOTLB}) {
            SCOPED_TRACE(testing::Message() << "edge " << edge << " fill " << what);
            iom_stage_config config = serial_stage();
            config.serial.quirk_invalidation_drops_fill = true;
            config.serial.quirk_walks_on_edge = edge;
            SerialBench b(config);
            b.map(page_a);
            if (what != IOM_LOOKUP_CONTEXT)
                b.warm(dev, {page_b});
            if (what == IOM_LOOKUP_IOTLB)
                b.warm(dev, {page_b}, process);
            iom_dma *dma = b.send_pasid(500, dev, process, page_a);
            const iom_cycle f = 500 + b.walk_cycles[what];
            if (what == IOM_LOOKUP_IOTLB)
                b.invalidate_page(f, page_d);
            else
                b.invalidate_context(f, other);
            b.bench.run_to(2000);
            const bool hangs = edge && what != IOM_LOOKUP_PASID;
            EXPECT_EQ(b.begun(what), hangs ? Cycles{500} : (Cycles{500, f + 1}));
            EXPECT_EQ(b.answered(dma) == never, hangs);
        }
    }
}

// The same without the quirk of the fill: an invalidation that covers it.
TEST(StageSerialQuirk, a_removed_fill_is_not_walked_for_again)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_walks_on_edge = true;
    SerialBench b(config);
    b.warm(dev, {page_b});
    b.map(page_a);
    iom_dma *dma = b.send(200, dev, page_a);
    b.invalidate_page(210, page_a);
    b.bench.run_to(2000);
    EXPECT_EQ(b.answered(dma), never);
    EXPECT_EQ(b.walks.size(), 1u);
}

TEST(StageSerialQuirk, a_request_that_hangs_goes_on_when_something_else_is_missing_meanwhile)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_invalidation_drops_fill = config.serial.quirk_walks_on_edge = true;
    SerialBench b(config);
    b.warm(dev, {page_b});
    b.map(page_a);
    iom_dma *dma = b.send(200, dev, page_a);
    b.invalidate_page(210, page_d);
    b.invalidate_context(300, dev);
    b.bench.run_until_idle();
    EXPECT_EQ(b.begun(IOM_LOOKUP_CONTEXT), Cycles{301}); // filled in 306
    EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), (Cycles{200, 307}));
    EXPECT_EQ(b.answered(dma), 318u);
}

// The context begins to be missing while its walker is busy with the process.
TEST(StageSerialQuirk, what_begins_to_be_missing_while_the_walker_is_busy_is_never_walked_for)
{
    for (bool edge : {false, true}) {
        SCOPED_TRACE(edge);
        iom_stage_config config = serial_stage();
        config.serial.quirk_walks_on_edge = edge;
        SerialBench b(config);
        b.warm(dev, {page_b});
        b.map(page_a);
        iom_dma *dma = b.send_pasid(200, dev, process, page_a);
        b.invalidate_context(210, dev);
        b.bench.run_to(2000);
        EXPECT_EQ(b.begun(IOM_LOOKUP_PASID), Cycles{200}); // filled in 220
        EXPECT_EQ(b.begun(IOM_LOOKUP_CONTEXT), edge ? Cycles{} : Cycles{221});
        EXPECT_EQ(b.answered(dma), edge ? never : 238u); // context 226, page 227 to 237
    }
}

// Unless the walk under way refuses, and with it the request.
TEST(StageSerialQuirk, the_walk_under_way_may_refuse)
{
    for (bool live : {false, true}) {
        SCOPED_TRACE(live);
        iom_stage_config config = serial_stage();
        config.serial.quirk_walks_on_edge = true;
        config.serial.quirk_live_context = live;
        SerialBench b(config);
        b.warm(dev, {page_b});
        b.bad_processes = {{dev, process}};
        iom_dma *dma = b.send_pasid(200, dev, process, page_a);
        b.invalidate_context(210, dev);
        b.bench.run_until_idle();
        EXPECT_EQ(b.answered(dma), 220u);
        EXPECT_EQ(dma->x.fault.code, toy_fault_walk);
        EXPECT_TRUE(b.begun(IOM_LOOKUP_CONTEXT).empty());
        // Whether it is recorded is for the context to say, which is missing.
        EXPECT_EQ(b.reports.size(), live ? 0u : 1u);
    }
}

// A page that begins to be missing again while it is being walked for needs no second walk.
TEST(StageSerialQuirk, a_lost_start_does_no_harm_if_the_walk_under_way_serves)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_walks_on_edge = true;
    SerialBench b(config);
    b.warm(dev, {page_b});
    b.map(page_a);
    b.walk_cycles[IOM_LOOKUP_IOTLB] = 40;
    iom_dma *dma = b.send(200, dev, page_a);
    b.invalidate_context(210, dev); // walked for from 211 to 216: the page is missing anew in 217
    b.bench.run_until_idle();
    EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), Cycles{200});
    EXPECT_EQ(b.answered(dma), 241u);
}

TEST(StageSerialQuirk, every_request_begins_to_miss_anew)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_walks_on_edge = true;
    SerialBench b(config);
    b.warm(dev, {page_b});
    iom_dma *first = b.send(200, dev, page_a), *second = b.send(213, dev, page_a); // not mapped
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(first), 210u);
    EXPECT_EQ(b.accepted(first), 211u);
    EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), (Cycles{200, 213}));
    EXPECT_EQ(b.answered(second), 223u);
}

// ---- address_at_handshake ---------------------------------------------------------------------------

// Of the entries that serve a hit in 500 any may go in that cycle.
TEST(StageSerialQuirk, an_address_is_lost_with_an_entry_that_goes_in_the_cycle_of_its_look_up)
{
    enum Goes { the_page, the_process, the_context, another_page, another_process, another_context };
    for (bool quirk : {false, true}) {
        for (Goes goes :
             {the_page, the_process, the_context, another_page, another_process, another_context}) {
            for (iom_cycle s : {499u, 500u, 501u}) {
                SCOPED_TRACE(testing::Message() << "quirk " << quirk << " goes " << goes << " in " << s);
                iom_stage_config config = serial_stage();
                config.serial.quirk_address_at_handshake = quirk;
                SerialBench b(config);
                b.warm(dev, {page_a}, process);
                iom_dma *dma = b.send_pasid(500, dev, process, page_a);
                switch (goes) {
                case the_page:
                case another_page:
                    b.invalidate_page(s, goes == the_page ? page_a : page_b);
                    break;
                case the_process:
                case another_process:
                    b.invalidate_process(s, dev, goes == the_process ? process : other_process);
                    break;
                default:
                    b.invalidate_context(s, goes == the_context ? dev : other);
                    break;
                }
                b.bench.run_until_idle();
                EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_ADDRESS);
                const bool goes_in_time = goes <= the_context && s == 500;
                EXPECT_EQ(b.lost, quirk && goes_in_time ? Cycles{500} : Cycles{});
                if (goes > the_context || s >= 500) {
                    EXPECT_EQ(b.answered(dma), 500u);
                }
            }
        }
    }
}

TEST(StageSerialQuirk, a_refusal_has_no_address_to_lose)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_address_at_handshake = true;
    SerialBench b(config);
    b.warm(dev, {page_b});
    b.map(page_a, moved, IOM_PERM_READ);
    b.warm(dev, {page_a});
    iom_dma *dma = b.send(500, dev, page_a, IOM_REQ_WRITE);
    b.invalidate_page(500, page_a);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(dma), 500u);
    EXPECT_EQ(dma->x.fault.code, toy_fault_permission);
    EXPECT_TRUE(b.lost.empty());
}

// ---- full_queue_loses_record --------------------------------------------------------------------------

TEST(StageSerialQuirk, a_fault_that_waits_for_a_slot_goes_on_without_a_record)
{
    for (bool quirk : {false, true}) {
        for (bool walks : {false, true}) {
            if (quirk && walks)
                continue; // forgotten: the next test
            SCOPED_TRACE(testing::Message() << "quirk " << quirk << " walks " << walks);
            iom_stage_config config = serial_stage();
            config.serial.quirk_full_queue_loses_record = quirk;
            SerialBench b(config, 1);
            b.free_report_slots = false;
            b.warm(dev, {page_b});
            b.send(200, dev, refused_address); // takes the slot
            iom_dma *held = b.send(220, dev, walks ? page_a : refused_address);
            b.free_report_slot(250);
            iom_dma *next = b.send(260, dev, page_b);
            b.bench.run_until_idle();
            EXPECT_EQ(b.answered(held), 250u);
            EXPECT_EQ(b.accepted(held), 251u);
            EXPECT_EQ(held->x.outcome, IOM_OUTCOME_FAULT);
            EXPECT_EQ(held->x.fault.code, walks ? toy_fault_walk : toy_fault_entry);
            ASSERT_EQ(b.reports.size(), quirk ? 1u : 2u);
            if (!quirk) {
                EXPECT_EQ(b.reports[1].first, 250u);
            }
            EXPECT_EQ(b.answered(next), 260u);
        }
    }
}

// A walk shows its fault for one cycle. What is missing still is walked for again, unless that takes an edge.
TEST(StageSerialQuirk, a_fault_of_a_walk_that_finds_no_slot_is_forgotten)
{
    for (bool edge : {false, true}) {
        SCOPED_TRACE(edge);
        iom_stage_config config = serial_stage();
        config.serial.quirk_full_queue_loses_record = true;
        config.serial.quirk_walks_on_edge = edge;
        SerialBench b(config, 1);
        b.free_report_slots = false;
        b.warm(dev, {page_b});
        b.walk_cycles[IOM_LOOKUP_IOTLB] = 20;
        b.send(200, dev, refused_address); // takes the slot
        iom_dma *held = b.send(220, dev, page_a);
        b.free_report_slot(250); // refused in 240, and in 261
        b.bench.run_to(2000);
        EXPECT_EQ(b.answered(held), edge ? never : 261u);
        EXPECT_EQ(b.reports.size(), edge ? 1u : 2u);
    }
}

// Look-ups go on while it waits: without the entry that refuses there is nothing to refuse.
TEST(StageSerialQuirk, a_fault_that_waits_for_a_slot_goes_with_its_entry)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_full_queue_loses_record = true;
    SerialBench b(config, 1);
    b.free_report_slots = false;
    b.warm(dev, {page_b});
    b.map(page_a, page_a, IOM_PERM_READ);
    b.warm(dev, {page_a});
    b.send(200, dev, refused_address); // takes the slot
    iom_dma *held = b.send(220, dev, page_a, IOM_REQ_WRITE);
    b.map(page_a);
    b.invalidate_page(230, page_a);
    b.bench.run_to(2000);
    EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB).back(), 231u);
    EXPECT_EQ(held->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_NE(b.answered(held), never);
    EXPECT_EQ(b.reports.size(), 1u);
}

TEST(StageSerialQuirk, a_lost_record_leaves_its_slot_to_the_next_fault)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_full_queue_loses_record = true;
    SerialBench b(config, 1);
    b.free_report_slots = false;
    b.send(200, dev, refused_address);
    b.send(220, dev, refused_address);
    b.free_report_slot(250);
    iom_dma *silent = b.send(253, toy_silent, refused_address), *next = b.send(260, dev, refused_address);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(silent), 253u);
    EXPECT_EQ(b.answered(next), 260u);
    ASSERT_EQ(b.reports.size(), 2u);
    EXPECT_EQ(b.reports[1].first, 260u);
}

// ---- everything at once -------------------------------------------------------------------------------

struct Trace {
    std::vector<iom_cycle> answered;
    std::vector<uint32_t> outcomes;
    std::vector<std::pair<iom_cycle, uint64_t>> walks;
    std::vector<iom_cycle> reports, lost;

    bool operator==(const Trace &o) const
    {
        return answered == o.answered && outcomes == o.outcomes && walks == o.walks && reports == o.reports &&
               lost == o.lost;
    }
};

Trace play(uint64_t seed, bool wake_always)
{
    Dice dice(seed, "serial");
    iom_stage_config config = serial_stage();
    config.squash_walks = dice.chance(30);
    config.serial.quirk_walks_on_edge = dice.chance(50);
    config.serial.quirk_walks_when_answered = dice.chance(50);
    config.serial.quirk_live_context = dice.chance(50);
    config.serial.quirk_full_queue_loses_record = dice.chance(50);
    config.serial.quirk_invalidation_drops_fill = dice.chance(50);
    config.serial.quirk_address_at_handshake = dice.chance(50);
    SerialBench b(config, 2);
    const uint64_t page[] = {page_a, page_b, page_c};
    for (uint64_t p : page)
        b.map(p);
    b.bad_processes = {{dev, process}};
    if (wake_always)
        b.wake_always(12000);
    std::vector<iom_dma *> sent;
    Trace trace;
    for (int i = 0; i < 60; i++) {
        const iom_cycle at = 100 + 150 * static_cast<iom_cycle>(i) + dice.below(20);
        const uint64_t address = dice.chance(10) ? page_d : page[dice.below(3)];
        const uint32_t source = dice.chance(50) ? dev : other;
        const bool pasid = dice.chance(40);
        for (uint64_t n = dice.below(4); n > 0; n--) {
            const iom_cycle s = at + dice.below(60);
            const uint32_t whose = dice.chance(50) ? dev : other;
            switch (dice.below(3)) {
            case 0:
                b.invalidate_page(s, page[dice.below(3)]);
                break;
            case 1:
                b.invalidate_context(s, whose);
                break;
            default:
                b.invalidate_process(s, whose, process);
                break;
            }
        }
        sent.push_back(b.send(at, source, address, pasid ? IOM_REQ_PASID : 0, process));
        b.bench.run_to(at + 125);
        if (b.answered(sent.back()) == never)
            break; // hangs: nothing more comes
    }
    for (const iom_dma *dma : sent) {
        trace.answered.push_back(b.answered(dma));
        trace.outcomes.push_back(dma->x.outcome);
    }
    for (const SerialBench::Walk &walk : b.walks)
        trace.walks.emplace_back(walk.begun, walk.address);
    for (const auto &report : b.reports)
        trace.reports.push_back(report.first);
    trace.lost = b.lost;
    const bool may_hang = config.serial.quirk_walks_on_edge;
    EXPECT_TRUE(may_hang || trace.answered.back() != never) << "only walks on edges may be lost";
    return trace;
}

// Nothing due changes nothing; without the edge quirk every request is answered.
TEST(StageSerialQuirk, random_sequences_do_not_depend_on_when_the_stage_is_woken)
{
    size_t hangs = 0, served = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        SCOPED_TRACE(seed);
        const Trace trace = play(seed, false);
        EXPECT_TRUE(trace == play(seed, true));
        hangs += trace.answered.back() == never;
        served += trace.answered.size();
    }
    EXPECT_GT(hangs, 5u);
    EXPECT_GT(served, 2000u);
}

} // namespace
