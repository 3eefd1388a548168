// SPDX-License-Identifier: Apache-2.0
//
// The register unit (core/register_unit.h) with a state whose records lie in memory: stores one at a time,
// reports that wait for them, page requests and responses, drains behind them, events, translations asked for
// through registers, time. Registers are made up for the purpose.
#include "tests/core/register_unit_fixture.hpp"

using namespace register_unit_fixture;

namespace
{

// ---- stores --------------------------------------------------------------------------------------------

TEST_F(ReportBench, stores_leave_one_at_a_time)
{
    build();
    write(10, ask_stores(3), 0x1000);
    bench.run_to(30);
    ASSERT_EQ(stores.size(), 1u);
    EXPECT_EQ(stores[0].cycle, 10u) << "in the cycle of the change";
    const iom_memory_access &access = *stores[0].message;
    EXPECT_EQ(access.op, IOM_MEMORY_WRITE);
    EXPECT_EQ(access.origin, IOM_WRITE_HARDWARE);
    EXPECT_EQ(access.address, 0x1000u);
    EXPECT_EQ(access.bytes, 32);
    EXPECT_EQ(access.data[0], 0x1001u);
    EXPECT_EQ(access.data[3], 0x1004u);
    acknowledge(0, 40);
    bench.run_to(45);
    ASSERT_EQ(stores.size(), 2u);
    EXPECT_EQ(stores[1].cycle, 40u) << "in the cycle of the acknowledgement";
    acknowledge(1, 50, IOM_ACCESS_REFUSED);
    bench.run_to(60);
    ASSERT_EQ(stores.size(), 3u);
    acknowledge(2, 70);
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"write", "stored", "stored not", "stored"}));
    EXPECT_EQ(stats().stores, 3u);
    EXPECT_EQ(stats().store_errors, 1u);
    EXPECT_EQ(bench.outstanding(), 0u);
}

TEST_F(ReportBench, a_store_waits_for_a_credit_and_reports_wait_with_it)
{
    build(0, true, 1);
    write(10, ask_stores(2));
    fault(20, 16); // wants no store
    bench.run_to(30);
    ASSERT_EQ(stores.size(), 1u);
    acknowledge(0, 40);
    bench.run_to(50);
    EXPECT_EQ(stores.size(), 1u) << "the slot is not free yet";
    EXPECT_EQ(toy.log, (Log{"write", "stored"}));
    world.at(59, [this](iom_cycle now) { iom_port_return_credit(world.port(port_memory), now); });
    bench.run_to(65);
    ASSERT_EQ(stores.size(), 2u);
    EXPECT_EQ(stores[1].cycle, 60u);
    acknowledge(1, 70);
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"write", "stored", "stored", "fault 16"}));
}

// What a store, an event or a translation asks for is done as for a write.
TEST_F(ReportBench, actions_follow_from_everything_that_changes_the_state)
{
    build();
    toy.after_store = toy.after_event = toy.after_result = static_cast<uint32_t>(ask_view);
    write(10, ask_stores(1));
    bench.run_to(15);
    acknowledge(0, 20);
    bench.run_to(25);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].cycle, 20u);
    world.send_at(29, port_fanout, &told[0].message->msg);
    event(40, 1);
    bench.run_to(45);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[1].cycle, 40u);
    world.send_at(49, port_fanout, &told[1].message->msg);
    write(60, ask_translation);
    bench.run_to(65);
    ASSERT_EQ(translations.size(), 1u);
    world.send_at(69, port_translate, &translations[0].message->msg);
    bench.run_to(75);
    ASSERT_EQ(told.size(), 3u);
    EXPECT_EQ(told[2].cycle, 70u);
    EXPECT_EQ(told[2].message->op, IOM_CONTROL_VIEW);
    world.send_at(79, port_fanout, &told[2].message->msg);
    bench.run_until_idle();
}

// ---- reports -------------------------------------------------------------------------------------------

TEST_F(ReportBench, reports_are_taken_only_while_no_store_is_left)
{
    build();
    fault(10, 2); // two stores
    fault(11, 16);
    page(12, 1);
    bench.run_to(20);
    EXPECT_EQ(toy.log, (Log{"fault 2"}));
    ASSERT_EQ(stores.size(), 1u);
    EXPECT_EQ(stores[0].cycle, 10u);
    acknowledge(0, 30);
    bench.run_to(35);
    EXPECT_EQ(toy.log, (Log{"fault 2", "stored"})) << "there is another one";
    acknowledge(1, 40);
    bench.run_to(45);
    EXPECT_EQ(toy.log, (Log{"fault 2", "stored", "stored", "fault 16", "page 1"}));
    ASSERT_EQ(stores.size(), 3u);
    EXPECT_EQ(stores[2].cycle, 40u) << "both in the cycle of the acknowledgement";
    acknowledge(2, 50);
    bench.run_until_idle();
    EXPECT_EQ(stats().faults_recorded, 2u);
    EXPECT_EQ(stats().page_requests_queued, 1u);
}

// The front sees by its credits how many reports wait.
TEST_F(ReportBench, the_slot_of_a_report_is_free_when_it_has_been_taken)
{
    build(2);
    fault(10, 1);
    fault(11, 1);
    fault(12, 16);
    std::vector<bool> free;
    for (iom_cycle c : {12u, 40u, 41u})
        world.at(c, [this, &free](iom_cycle now) {
            free.push_back(iom_port_can_send(world.port(port_fault), now));
        });
    bench.run_to(20);
    acknowledge(0, 40);
    bench.run_to(45);
    acknowledge(1, 50);
    bench.run_until_idle();
    EXPECT_EQ(free, (std::vector<bool>{false, false, true})) << "the second is taken in 40";
}

TEST_F(ReportBench, faults_of_page_requests_are_passed_on_even_if_nothing_is_recorded)
{
    build();
    iom_fault *refused = fault(10, 16);
    refused->recorded = 0;
    refused->flags = IOM_REQ_PAGE;
    fault(11, 32)->detail = 1; // dropped
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"fault 16 page", "fault 32"}));
    EXPECT_EQ(stats().faults_recorded, 0u);
    EXPECT_EQ(stats().faults_dropped, 1u) << "the one that was to be recorded";
}

TEST_F(ReportBench, responses_leave_for_the_fan_out_beside_the_actions)
{
    build();
    write(5, ask_view);
    page(10, 0, 0x42);
    bench.run_to(15);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[1].cycle, 10u);
    EXPECT_EQ(told[1].message->op, IOM_CONTROL_RESPOND);
    EXPECT_EQ(told[1].message->response.stream, 0x42u);
    EXPECT_EQ(told[1].message->response.code, IOM_PAGE_RESPONSE_FAILURE);
    EXPECT_EQ(stats().page_requests_dropped, 1u);
    world.send_at(19, port_fanout, &told[1].message->msg);
    bench.run_to(25);
    EXPECT_EQ(toy.log, (Log{"write", "page 0"})) << "its answer is not that of the view";
    world.send_at(29, port_fanout, &told[0].message->msg);
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"write", "page 0", "done"}));
    EXPECT_EQ(stats().page_responses, 1u);
}

TEST_F(ReportBench, a_drain_goes_back_when_what_came_before_it_is_in_memory)
{
    build();
    drain(5);
    page(10, 2);
    drain(11);
    page(12, 1);
    bench.run_to(20);
    EXPECT_EQ(drained, (std::vector<iom_cycle>{5}));
    acknowledge(0, 30);
    bench.run_to(35);
    EXPECT_EQ(drained.size(), 1u);
    acknowledge(1, 40);
    bench.run_to(45);
    EXPECT_EQ(drained, (std::vector<iom_cycle>{5, 40})) << "without the page request behind it";
    acknowledge(2, 50);
    bench.run_until_idle();
}

// ---- events, time, translations ------------------------------------------------------------------------

TEST_F(ReportBench, events_are_counted_at_once)
{
    build();
    write(10, ask_stores(1));
    event(12, IOM_EVENT_ATS);
    event(13, IOM_EVENT_TLB_MISS | IOM_EVENT_CONTEXT_WALK);
    bench.run_to(20);
    EXPECT_EQ(toy.log, (Log{"write", "event 4", "event 24"}));
    EXPECT_EQ(stats().monitored_events, 2u);
    acknowledge(0, 30);
    bench.run_until_idle();
}

TEST_F(ReportBench, time_is_told_before_anything_else_is_done_in_a_cycle)
{
    toy.keeps_time = true;
    build();
    bench.run_to(5);
    toy.log.clear();
    write(10, 0);
    fault(10, 16);
    event(20, 1);
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"time 10", "fault 16", "write", "time 20", "event 1"}));
}

TEST_F(ReportBench, the_state_is_woken_in_the_cycle_it_names)
{
    build();
    toy.wake = 500;
    write(10, 0);
    bench.run_to(499);
    EXPECT_TRUE(stores.empty());
    bench.run_to(501);
    ASSERT_EQ(stores.size(), 1u);
    EXPECT_EQ(stores[0].cycle, 500u);
    acknowledge(0, 510);
    bench.run_until_idle();
}

// A counter that overflows in the distant future does not keep a run from ending.
TEST_F(ReportBench, a_wake_up_beyond_all_runs_is_not_asked_for)
{
    build();
    toy.wake = uint64_t{1} << 62;
    write(10, 0);
    bench.run_until_idle(1000);
    EXPECT_EQ(toy.log, (Log{"write"}));
}

TEST_F(ReportBench, a_translation_leaves_in_the_cycle_of_the_write)
{
    build();
    write(10, ask_translation);
    write(12, ask_translation); // while one is under way
    bench.run_to(20);
    ASSERT_EQ(translations.size(), 1u);
    EXPECT_EQ(translations[0].cycle, 10u);
    const iom_dma &dma = *translations[0].message;
    EXPECT_EQ(dma.x.address, 0x5000u);
    EXPECT_EQ(dma.x.source, 3u);
    EXPECT_EQ(dma.x.flags, unsigned{IOM_REQ_DEBUG});
    EXPECT_EQ(dma.data, nullptr);
    translations[0].message->x.outcome = IOM_OUTCOME_ADDRESS;
    translations[0].message->x.leaf.output = 99;
    world.send_at(29, port_translate, &translations[0].message->msg);
    bench.run_to(35);
    EXPECT_EQ(toy.log, (Log{"write", "write", "translated 1 99"}));
    ASSERT_EQ(translations.size(), 2u);
    EXPECT_EQ(translations[1].cycle, 30u);
    world.send_at(39, port_translate, &translations[1].message->msg);
    bench.run_until_idle();
    EXPECT_EQ(stats().translations, 2u);
}

TEST_F(ReportBench, without_neighbours_everything_is_done_at_once)
{
    build(0, false);
    write(10, ask_stores(2) | ask_view | ask_translation);
    page(20, 0);
    bench.run_until_idle();
    EXPECT_EQ(toy.log, (Log{"write", "stored", "stored", "translated 4 0", "done", "page 0"}));
    static_assert(IOM_OUTCOME_ADDRESS == 1 && IOM_OUTCOME_FAULT == 4, "outcomes named in the logs");
}

} // namespace
