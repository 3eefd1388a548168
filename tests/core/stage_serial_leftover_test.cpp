// SPDX-License-Identifier: Apache-2.0
//
// Walks that serial look-up (core/stage.h, struct iom_serial_config) leaves over for the next request: what
// they start with, when what they fill serves, what becomes of their faults. Expected cycles are worked out
// from the header and from what was measured on hardware (tests/data/rtl-timing/README.md, sections 3 and 4):
// look-ups are made in every cycle of service, from the request's first one to its handshake; a fill is seen
// by look-ups from the next cycle on; an error is recorded when it begins to be raised. See also
// stage_serial_stray_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/core/support/serial_bench.h"

namespace
{

using namespace bench;
using Cycles = std::vector<iom_cycle>;

constexpr uint32_t process = 9;

iom_stage_config stray_stage(bool edge = false)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_walks_when_answered = true;
    config.serial.quirk_walks_on_edge = edge;
    return config;
}

// ---- what they fill -----------------------------------------------------------------------------------

// A hit in 500 whose page goes in that cycle: its handshake in 501 starts a walk, which fills in 511. The
// next request finds the page in 512 whenever it came before, be it in the very cycle of the fill.
TEST(StageSerialLeftOver, a_page_serves_from_the_cycle_behind_its_fill)
{
    for (bool edge : {false, true}) {
        for (iom_cycle c = 503; c <= 514; c++) {
            SCOPED_TRACE(testing::Message() << "edge " << edge << " first look-up " << c);
            SerialBench b(stray_stage(edge));
            b.warm(dev, {page_a});
            b.send(500, dev, page_a);
            b.invalidate_page(500, page_a);
            iom_dma *next = b.send(c, dev, page_a);
            b.bench.run_to(1000);
            EXPECT_EQ(b.answered(next), std::max<iom_cycle>(c, 512));
            EXPECT_EQ(b.begun(IOM_LOOKUP_IOTLB), Cycles{501});
        }
    }
}

// A process that is not there: refused in 520, walked for again from the handshake in 521 to 541. By then it
// is there, and in 542 the page is missing, which is walked for until 552.
TEST(StageSerialLeftOver, a_process_serves_from_the_cycle_behind_its_fill)
{
    for (bool edge : {false, true}) {
        for (iom_cycle c = 538; c <= 544; c++) {
            SCOPED_TRACE(testing::Message() << "edge " << edge << " first look-up " << c);
            SerialBench b(stray_stage(edge));
            b.warm(dev, {page_b});
            b.map(page_a);
            b.bad_processes = {{dev, process}};
            b.send_pasid(500, dev, process, page_a);
            b.world.at(521, [&b](iom_cycle) { b.bad_processes.clear(); });
            iom_dma *next = b.send_pasid(c, dev, process, page_a);
            b.bench.run_to(1000);
            EXPECT_EQ(b.answered(next), std::max<iom_cycle>(c, 542) + 11);
            EXPECT_EQ(b.begun(IOM_LOOKUP_PASID), (Cycles{500, 521}));
        }
    }
}

// A page walk fills in 510. In s the context goes, so it is missing from s + 1 on and walked for from then,
// even if the fill comes in that very cycle. Its walk takes 5 cycles; the look-ups behind its fill find
// everything.
TEST(StageSerialLeftOver, a_fill_does_not_put_off_look_ups_that_are_due)
{
    for (iom_cycle s = 505; s <= 513; s++) {
        SCOPED_TRACE(s);
        SerialBench b(serial_stage());
        b.warm(dev, {page_b});
        b.map(page_a);
        iom_dma *dma = b.send(500, dev, page_a);
        b.invalidate_context(s, dev);
        b.bench.run_until_idle();
        const bool in_time = s < 511; // else it has its answer
        EXPECT_EQ(b.begun(IOM_LOOKUP_CONTEXT), in_time ? Cycles{s + 1} : Cycles{});
        EXPECT_EQ(b.answered(dma), in_time ? std::max<iom_cycle>(s + 7, 511) : 511);
    }
}

// ---- what they start with -----------------------------------------------------------------------------

// The look-ups of the handshake still see the context: a page walk begins with its second stage.
TEST(StageSerialLeftOver, a_page_walk_of_the_handshake_has_its_second_stage)
{
    SerialBench b(stray_stage());
    b.warm(dev, {page_a});
    b.walk_cycles[IOM_LOOKUP_IOTLB] = 0; // by hand
    b.send(500, dev, page_a);
    b.invalidate_page(500, page_a);
    b.bench.run_to(510);
    ASSERT_EQ(b.begun(IOM_LOOKUP_IOTLB), Cycles{501});
    const iom_context &context = b.walks.at(0).message->x.context, expected = toy_context(dev);
    EXPECT_EQ(context.kind, expected.kind);
    EXPECT_EQ(context.levels[1], expected.levels[1]);
    EXPECT_EQ(context.table[1], expected.table[1]);
    b.end_walk(0, 520);
    b.bench.run_until_idle();
}

// A walk for a process makes its first second-stage step when the request, and its context, have gone.
TEST(StageSerialLeftOver, a_process_walk_of_the_handshake_has_no_second_stage)
{
    SerialBench b(stray_stage());
    b.warm(dev, {page_b});
    b.bad_processes = {{dev, process}};
    b.walk_cycles[IOM_LOOKUP_PASID] = 0; // by hand
    b.send_pasid(500, dev, process, page_a);
    b.bench.run_to(510);
    ASSERT_EQ(b.begun(IOM_LOOKUP_PASID), Cycles{500});
    EXPECT_EQ(b.walks.at(0).message->x.context.levels[1], toy_context(dev).levels[1]);
    b.end_walk(0, 520);
    b.bench.run_to(530);
    ASSERT_EQ(b.begun(IOM_LOOKUP_PASID), (Cycles{500, 521}));
    EXPECT_EQ(b.walks.at(1).message->x.context.levels[1], 0u);
    b.end_walk(1, 540);
    b.bench.run_until_idle();
}

// ---- their faults -------------------------------------------------------------------------------------

enum class Own { look_up, walk, passes };

// The walk that a refusal in 520 has left over refuses in 560. If the request then in service has a fault of
// its own in 559 or 560, no error begins to be raised anew: there is one record.
TEST(StageSerialLeftOver, a_fault_directly_behind_a_recorded_one_is_not_recorded)
{
    for (Own own : {Own::look_up, Own::walk, Own::passes}) {
        for (iom_cycle f : {558u, 559u, 560u, 561u}) {
            SCOPED_TRACE(testing::Message() << "own " << static_cast<int>(own) << " in " << f);
            SerialBench b(stray_stage());
            b.warm(dev, {page_b});
            b.warm(other, {page_b});
            b.bad_processes = {{dev, process}};
            b.send_pasid(500, dev, process, page_a);
            b.bench.run_to(521);
            b.walk_cycles[IOM_LOOKUP_PASID] = 0;
            b.bench.run_to(522);
            ASSERT_EQ(b.begun(IOM_LOOKUP_PASID), (Cycles{500, 521}));
            b.end_walk(b.walks.size() - 1, 560);
            const uint64_t address = own == Own::passes ? passing_address : refused_address;
            iom_dma *dma = own == Own::walk ? b.send(f - 10, other, page_a) // not mapped
                                            : b.send(f, other, address);
            b.bench.run_until_idle();
            // While its own walk is under way the request has the other's fault.
            const bool adopted = own == Own::walk && f == 561;
            const iom_cycle answered = adopted ? 560 : f;
            EXPECT_EQ(b.answered(dma), answered);
            EXPECT_EQ(dma->x.outcome, own == Own::passes ? IOM_OUTCOME_BYPASS : IOM_OUTCOME_FAULT);
            ASSERT_EQ(b.reports.size(), 2u);
            EXPECT_EQ(b.reports[1].first, answered);
            EXPECT_EQ(b.reports[1].second.code, own == Own::walk ? toy_fault_walk : toy_fault_entry);
        }
    }
}

// The context is fetched anew during the walk for the page: what it says then decides.
TEST(StageSerialLeftOver, whether_a_fault_is_recorded_is_for_the_context_of_its_cycle)
{
    for (bool live : {false, true}) {
        for (bool silent_before : {false, true}) {
            for (bool silent_now : {false, true}) {
                SCOPED_TRACE(testing::Message()
                             << "live " << live << " silent " << silent_before << " then " << silent_now);
                iom_stage_config config = serial_stage();
                config.serial.quirk_live_context = live;
                SerialBench b(config);
                if (silent_before)
                    b.silent_contexts = {dev};
                b.warm(dev, {page_b});
                b.walk_cycles[IOM_LOOKUP_IOTLB] = 40;
                b.silent_contexts.clear();
                if (silent_now)
                    b.silent_contexts = {dev};
                iom_dma *dma = b.send(200, dev, page_a); // not mapped
                b.invalidate_context(210, dev);          // walked for from 211 to 216
                b.bench.run_until_idle();
                EXPECT_EQ(b.begun(IOM_LOOKUP_CONTEXT), Cycles{211});
                EXPECT_EQ(b.answered(dma), 240u);
                EXPECT_EQ(dma->x.outcome, IOM_OUTCOME_FAULT);
                EXPECT_EQ(b.reports.empty(), live ? silent_now : silent_before);
            }
        }
    }
}

// ---- who answers --------------------------------------------------------------------------------------

const iom_arch_ops *bench_ops;

// While extra[1] of the view is 1, every request is refused as soon as it is looked up.
void enter_or_refuse(const iom_arch *arch, const iom_view *view, iom_xlate *x)
{
    bench_ops->enter(arch, view, x);
    if (view->extra[1] != 1)
        return;
    x->next = IOM_LOOKUP_DONE;
    x->outcome = IOM_OUTCOME_FAULT;
    x->fault = iom_fault{};
    x->fault.address = x->address;
    x->fault.source = x->source;
    x->fault.code = 7;
    x->fault.recorded = true;
}

// The queue of reports is full from 200 on. A page walk of 30 cycles is under way from 220 when look-ups
// begin to refuse its request, which then waits for a slot. One comes free in 250, the cycle in which the
// walk ends with a fault of its own: whoever is first answers, once, and the slot freed later is for others.
TEST(StageSerialLeftOver, a_request_that_waits_for_a_slot_is_answered_once)
{
    iom_stage_config config = serial_stage();
    config.serial.quirk_full_queue_loses_record = true;
    SerialBench b(config, 1);
    bench_ops = b.arch.ops;
    iom_arch_ops ops = *bench_ops;
    ops.enter = enter_or_refuse;
    b.arch.ops = &ops;
    b.free_report_slots = false;
    b.warm(dev, {page_b});
    b.walk_cycles[IOM_LOOKUP_IOTLB] = 30;
    b.send(200, dev, refused_address);
    iom_dma *held = b.send(220, dev, page_a);
    iom_view refusing = config.view;
    refusing.extra[1] = 1;
    b.change_view(230, refusing);
    b.free_report_slot(250);
    b.free_report_slot(260);
    iom_dma *next = b.send(300, dev, page_b);
    b.bench.run_to(1000);
    EXPECT_EQ(b.answered(held), 250u);
    EXPECT_EQ(b.answered(next), 300u);
    EXPECT_EQ(next->x.fault.code, 7u);
    EXPECT_EQ(b.reports.size(), 3u);
}

} // namespace
