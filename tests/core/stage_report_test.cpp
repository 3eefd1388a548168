// SPDX-License-Identifier: Apache-2.0
//
// What a look-up stage tells the register unit (core/stage.h): reports of faults and page requests and what
// happens when they find no place, drains behind page requests, requests asked for through registers, events
// for performance counters.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <tuple>
#include <vector>

#include "core/page_request.h"
#include "tests/core/support/stage_bench.h"

namespace
{

using namespace bench;

constexpr iom_cycle pipeline =
    2; ///< of the stage: a result without look-up is known so long after the take-up

struct Mapped : StageBench {
    explicit Mapped(const iom_stage_config &config = iotlb_stage(1), const StageLinks &links = {})
        : StageBench(config, links)
    {
        map_all();
    }
};

iom_stage_config with_contexts()
{
    iom_stage_config config = iotlb_stage(1);
    config.lookup[IOM_LOOKUP_CONTEXT].owned = config.lookup[IOM_LOOKUP_PASID].owned = true;
    config.view.extra[0] = IOM_LOOKUP_CONTEXT;
    return config;
}

iom_stage_config monitoring(iom_stage_config config, uint32_t events)
{
    config.view.monitored = events;
    return config;
}

// ---- page requests -------------------------------------------------------------------------------------

TEST(StageReport, a_page_request_is_reported_and_answered_in_the_same_cycle)
{
    Mapped b(with_contexts());
    iom_dma *dma = b.request(dev, page_a, IOM_REQ_PAGE | IOM_REQ_PASID | IOM_REQ_PRIV);
    dma->x.pasid = 5;
    dma->x.page_request = 0x2d;
    b.world.send_at(99, 0, &dma->msg);
    b.bench.run_until_idle();
    // Pipeline, context look-up that misses, and the walk: 20 cycles, one there, one back.
    const iom_cycle known = 100 + pipeline + 7 + 1 + 20 + 1;
    ASSERT_EQ(b.page_requests.size(), 1u);
    EXPECT_EQ(b.page_requests[0].first, known + 1);
    EXPECT_EQ(b.answered(dma), known + 1);
    const iom_page_request &request = b.page_requests[0].second;
    EXPECT_EQ(request.address, page_a);
    EXPECT_EQ(request.source, dev);
    EXPECT_EQ(request.pasid, 5u);
    EXPECT_EQ(request.flags, IOM_REQ_PAGE | IOM_REQ_PASID | IOM_REQ_PRIV);
    EXPECT_EQ(request.message, 0x2d);
    EXPECT_EQ(b.at_memory(dma), IOM_NEVER);
    EXPECT_EQ(b.count_walks(IOM_LOOKUP_IOTLB), 0u);
    EXPECT_EQ(b.stats().page_requests, 1u);
    EXPECT_EQ(b.stats().reads + b.stats().writes, 0u);
    EXPECT_TRUE(b.faults.empty());
}

TEST(StageReport, a_refused_page_request_is_reported_whether_recorded_or_not)
{
    for (uint32_t source : {dev, toy_silent}) {
        Mapped b;
        iom_dma *dma = b.request(source, refused_address, IOM_REQ_PAGE);
        dma->x.page_request = 0x1c;
        b.world.send_at(99, 0, &dma->msg);
        b.send(0, 110, toy_silent, refused_address); // an ordinary one is not
        b.bench.run_until_idle();
        ASSERT_EQ(b.faults.size(), 1u);
        EXPECT_EQ(b.faults[0].first, 100 + pipeline + 1);
        EXPECT_EQ(b.faults[0].second.flags & IOM_REQ_PAGE, unsigned{IOM_REQ_PAGE});
        EXPECT_EQ(b.faults[0].second.page_request, 0x1c);
        EXPECT_EQ(b.faults[0].second.recorded, source == dev);
        EXPECT_EQ(b.answered(dma), 100 + pipeline + 1);
        EXPECT_EQ(b.stats().fault_reports, source == dev);
        EXPECT_EQ(b.stats().faults, 2u);
    }
}

// ---- the queue of reports is full ----------------------------------------------------------------------

TEST(StageReport, a_request_without_place_for_its_report_waits_and_the_pipeline_with_it)
{
    StageLinks links;
    links.report_depth = 1;
    Mapped b(iotlb_stage(1), links);
    b.return_report_credits = false;
    b.warm({page_a});
    iom_dma *first = b.send(0, 300, dev, refused_address);
    iom_dma *second = b.send(0, 301, dev, refused_address);
    iom_dma *hit = b.send(0, 302, dev, page_a);
    b.return_report_credit(350);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(first), 300 + pipeline + 1);
    ASSERT_EQ(b.faults.size(), 2u);
    EXPECT_EQ(b.faults[1].first, 351u);
    EXPECT_EQ(b.answered(second), 351u) << "it leaves in the cycle of the credit";
    EXPECT_EQ(b.at_memory(hit), 350 + hit_cycles + 1) << "taken up in the cycle of the credit";
    EXPECT_EQ(b.stats().report_waits, 1u);
    EXPECT_EQ(b.stats().exit_waits, 0u);
    EXPECT_EQ(second->part[IOM_PART_QUEUEING], 350u - (301 + pipeline));
}

TEST(StageReport, requests_without_report_do_not_need_a_place)
{
    StageLinks links;
    links.report_depth = 1;
    Mapped b(iotlb_stage(1), links);
    b.return_report_credits = false;
    b.send(0, 300, dev, refused_address);
    iom_dma *silent = b.send(0, 301, toy_silent, refused_address);
    iom_dma *denied = b.send(0, 302, dev, denied_address, IOM_REQ_TRANSLATE);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(silent), 301 + pipeline + 1);
    EXPECT_EQ(b.answered(denied), 302 + pipeline + 1);
}

// ---- drains behind page requests -----------------------------------------------------------------------

TEST(StageReport, a_drain_follows_the_page_requests_of_its_epoch)
{
    Mapped b(with_contexts());
    b.send(0, 100, dev, page_a, IOM_REQ_PAGE); // walks until 131
    b.drain(101, false, false, 1, true);
    b.send(0, 102, other, page_a, IOM_REQ_PAGE); // of the next epoch
    b.drain(103, false, false, 2, false);        // does not care
    const iom_cycle known = 100 + pipeline + 7 + 1 + 20 + 1;
    b.bench.run_to(known + 1);
    EXPECT_EQ(b.acknowledged_in(2), 103u);
    EXPECT_EQ(b.acknowledged_in(1), IOM_NEVER);
    ASSERT_EQ(b.drains_behind.size(), 1u);
    EXPECT_EQ(b.drains_behind[0].first, known + 1) << "in the cycle in which the last one has left";
    ASSERT_EQ(b.page_requests.size(), 1u) << "and behind it";
    b.return_drain(0, 200);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(1), 200u);
    EXPECT_EQ(b.page_requests.size(), 2u);
    EXPECT_EQ(b.stats().drains, 2u);
}

// What has been handed over before may still be on its way to memory.
TEST(StageReport, a_drain_goes_to_the_register_unit_even_if_no_page_request_is_here)
{
    Mapped b;
    b.drain(100, true, true, 1, true);
    b.bench.run_to(105);
    ASSERT_EQ(b.drains_behind.size(), 1u);
    EXPECT_EQ(b.drains_behind[0].first, 101u);
    b.return_drain(0, 140);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(1), 140u);
}

TEST(StageReport, a_drain_of_both_waits_for_dma_first)
{
    Mapped b;
    b.send(0, 100, dev, page_c);
    b.drain(101, true, false, 1, true);
    b.bench.run_to(100 + miss_cycles + 7);
    ASSERT_EQ(b.drains_behind.size(), 0u);
    b.bench.run_to(100 + miss_cycles + 8);
    ASSERT_EQ(b.drains_behind.size(), 1u);
    b.return_drain(0, 200);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(1), 200u);
}

TEST(StageReport, a_page_request_that_waits_in_its_input_has_been_received)
{
    iom_stage_config config = iotlb_stage(1);
    config.hit_under_miss = false; // nothing is taken up during the walk
    Mapped b(config);
    b.send(0, 100, dev, page_c);
    b.send(0, 102, dev, page_a, IOM_REQ_PAGE);
    b.drain(104, false, false, 1, true);
    b.bench.run_to(100 + miss_cycles);
    EXPECT_TRUE(b.drains_behind.empty());
    b.bench.run_to(150);
    ASSERT_EQ(b.drains_behind.size(), 1u);
    ASSERT_EQ(b.page_requests.size(), 1u);
    EXPECT_EQ(b.drains_behind[0].first, b.page_requests[0].first);
    b.return_drain(0, 200);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(1), 200u);
}

TEST(StageReport, a_drain_waits_for_a_place_like_the_requests_before_it)
{
    StageLinks links;
    links.report_depth = 1;
    Mapped b(iotlb_stage(1), links);
    b.return_report_credits = false;
    b.send(0, 100, dev, page_a, IOM_REQ_PAGE);
    b.drain(110, false, false, 1, true);
    b.bench.run_to(120);
    EXPECT_TRUE(b.drains_behind.empty());
    b.return_report_credit(130);
    b.bench.run_to(140);
    ASSERT_EQ(b.drains_behind.size(), 1u);
    EXPECT_EQ(b.drains_behind[0].first, 131u);
    b.return_drain(0, 150);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(1), 150u);
}

// ---- asked for through registers -----------------------------------------------------------------------

TEST(StageReport, a_request_through_registers_ends_at_the_front)
{
    Mapped b;
    iom_dma *slow = b.write(0, 100, dev, page_c); // misses
    iom_dma *debug = b.send(0, 101, dev, page_a + 8, IOM_REQ_DEBUG);
    b.bench.run_until_idle();
    EXPECT_EQ(b.at_memory(debug), IOM_NEVER);
    EXPECT_EQ(b.answered(debug), 101 + miss_cycles + 1);
    EXPECT_EQ(debug->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(debug->x.leaf.output, page_a + moved + 8);
    EXPECT_NE(b.at_memory(slow), IOM_NEVER);
    EXPECT_EQ(b.stats().reads, 0u);
    EXPECT_EQ(b.stats().order_waits, 0u) << "it is not of the device that it names";
}

// ---- events --------------------------------------------------------------------------------------------

struct Seen {
    iom_cycle cycle;
    uint32_t events;
    bool has_context;
};

bool operator==(const Seen &a, const Seen &b)
{
    return a.cycle == b.cycle && a.events == b.events && a.has_context == b.has_context;
}

std::ostream &operator<<(std::ostream &out, const Seen &seen)
{
    return out << "{" << seen.cycle << ", " << seen.events << ", " << seen.has_context << "}";
}

// Events of one cycle in ascending order: their order says nothing.
std::vector<Seen> seen(const StageBench &b)
{
    std::vector<Seen> list;
    for (const auto &[cycle, event] : b.events)
        list.push_back({cycle, event.events, event.has_context});
    std::sort(list.begin(), list.end(), [](const Seen &x, const Seen &y) {
        return std::tie(x.cycle, x.events) < std::tie(y.cycle, y.events);
    });
    return list;
}

constexpr uint32_t everything = 0xff;

TEST(StageEvents, a_request_with_all_its_walks)
{
    Mapped b(monitoring(with_contexts(), everything));
    b.answer_walks = false;
    iom_dma *dma = b.request(dev, page_a, IOM_REQ_PASID);
    dma->x.pasid = 9;
    b.world.send_at(99, 0, &dma->msg);
    b.bench.run_to(150);
    b.answer_walk(0, 200);
    b.bench.run_to(250);
    b.answer_walk(1, 300);
    b.bench.run_to(350);
    b.answer_walk(2, 400);
    b.bench.run_until_idle();
    EXPECT_EQ(seen(b), (std::vector<Seen>{{100, IOM_EVENT_UNTRANSLATED, false},
                                          {100, IOM_EVENT_CONTEXT_WALK, false},
                                          {200, IOM_EVENT_PASID_WALK, true},
                                          {300, IOM_EVENT_TLB_MISS, true},
                                          {400, IOM_EVENT_STAGE1_WALK | IOM_EVENT_STAGE2_WALK, true}}));
    for (const auto &[cycle, event] : b.events) {
        EXPECT_EQ(event.source, dev);
        EXPECT_EQ(event.pasid, 9u);
        EXPECT_EQ(event.flags, IOM_REQ_PASID);
        EXPECT_EQ(event.domain, event.has_context ? dev : 0);
    }
}

TEST(StageEvents, kinds_of_requests)
{
    Mapped b(monitoring(iotlb_stage(1), everything));
    b.warm({page_a});
    b.events.clear();
    b.send(0, 300, dev, page_a);
    b.send(0, 302, dev, page_a, IOM_REQ_TRANSLATE);
    b.send(0, 304, dev, page_a, IOM_REQ_TRANSLATED);
    b.send(0, 306, dev, page_a, IOM_REQ_PAGE);
    b.send(0, 308, dev, refused_address);
    b.send(0, 310, dev, page_a, IOM_REQ_DEBUG);
    b.bench.run_until_idle();
    EXPECT_EQ(seen(b), (std::vector<Seen>{{300, IOM_EVENT_UNTRANSLATED, false},
                                          {302, IOM_EVENT_ATS, false},
                                          {304, IOM_EVENT_TRANSLATED, false},
                                          {308, IOM_EVENT_UNTRANSLATED, false},
                                          {310, IOM_EVENT_UNTRANSLATED, false}}));
}

TEST(StageEvents, a_look_up_that_joins_a_walk_has_missed_too)
{
    Mapped b(monitoring(iotlb_stage(1), IOM_EVENT_TLB_MISS | IOM_EVENT_STAGE2_WALK));
    b.send(0, 100, dev, page_a);
    b.send(0, 101, dev, page_a + 64);
    b.bench.run_until_idle();
    EXPECT_EQ(seen(b), (std::vector<Seen>{{100, IOM_EVENT_TLB_MISS, true},
                                          {101, IOM_EVENT_TLB_MISS, true},
                                          {100 + miss_cycles, IOM_EVENT_STAGE2_WALK, true}}))
        << "one walk, and only what was asked for";
}

TEST(StageEvents, a_request_that_starts_over_is_counted_once)
{
    Mapped b(monitoring(iotlb_stage(1), everything));
    b.send(0, 100, dev, page_a);
    b.invalidate(110, StageBench::all_pages);
    b.bench.run_until_idle();
    ASSERT_EQ(b.stats().restarts, 1u);
    const auto requests = std::count_if(b.events.begin(), b.events.end(), [](const auto &event) {
        return (event.second.events & IOM_EVENT_UNTRANSLATED) != 0;
    });
    const auto misses = std::count_if(b.events.begin(), b.events.end(), [](const auto &event) {
        return (event.second.events & IOM_EVENT_TLB_MISS) != 0;
    });
    EXPECT_EQ(requests, 1);
    EXPECT_EQ(misses, 2) << "but its look-ups were two";
}

TEST(StageEvents, a_stalled_request_is_counted_when_it_is_taken_up)
{
    iom_stage_config config = monitoring(iotlb_stage(1), IOM_EVENT_UNTRANSLATED);
    config.miss_entries = 1;
    Mapped b(config);
    b.send(0, 100, dev, page_a);
    b.send(0, 101, dev, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(seen(b), (std::vector<Seen>{{100, IOM_EVENT_UNTRANSLATED, false},
                                          {100 + miss_cycles, IOM_EVENT_UNTRANSLATED, false}}));
}

TEST(StageEvents, nothing_is_sent_that_nobody_asked_for)
{
    Mapped b;
    b.send(0, 100, dev, page_a);
    iom_view view = iotlb_stage(1).view;
    view.monitored = IOM_EVENT_UNTRANSLATED;
    b.change_view(200, view);
    b.send(0, 200, dev, page_b); // looks up under the old view
    b.send(0, 201, dev, page_c);
    b.bench.run_until_idle();
    EXPECT_EQ(seen(b), (std::vector<Seen>{{201, IOM_EVENT_UNTRANSLATED, false}}));
}

} // namespace
