// SPDX-License-Identifier: Apache-2.0
//
// Waits that hold the head of the command queue (core/command_queue.h), time-outs that they report, responses
// to page requests, drains of page requests, invalidations that wait for a tag. A doorbell in 10 brings the
// first command to its decoding in 21, the next ones a cycle later each.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/core/command_queue_fixture.hpp"

using namespace command_queue_fixture;

namespace
{

Options late_timeouts()
{
    Options options;
    options.timeout_at_wait = true;
    return options;
}

using Heads = std::vector<std::pair<iom_cycle, uint32_t>>;

// ---- the head ------------------------------------------------------------------------------------------

TEST(CommandQueueHold, the_head_stays_at_the_wait_and_nothing_behind_it_begins)
{
    QueueBench b;
    b.play(40,
           {command(toy_own, 0), command(toy_wait, 0, flag_holds_head | flag_status), command(toy_own, 1)});
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.heads(), (Heads{{21, 16}}));
    b.answer(0, 50);
    b.bench.run_to(80);
    // The status write leaves in 50 and is acknowledged in 60; then the next command is decoded.
    EXPECT_EQ(b.heads(), (Heads{{21, 16}, {60, 32}, {61, 48}}));
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.told[1].cycle, 61u);
    EXPECT_EQ(b.stats().waits_completed, 1u);
    b.answer(1, 90);
    b.bench.run_until_idle();
}

TEST(CommandQueueHold, with_nothing_to_wait_for_it_passes_at_once)
{
    QueueBench b;
    b.play(40, {command(toy_wait, 0, flag_holds_head | flag_interrupt), command(toy_accepted)});
    EXPECT_EQ(b.heads(), (Heads{{21, 16}, {22, 32}}));
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_INTERRUPT);
    EXPECT_EQ(b.special()[0].head, 16u) << "the head has passed before the interrupt is raised";
}

TEST(CommandQueueHold, a_refused_status_write_stops_the_queue_at_the_wait)
{
    QueueBench b;
    b.refuse_status = true;
    b.play(40, {command(toy_wait, 0, flag_holds_head | flag_status | flag_interrupt), command(toy_own, 1)});
    EXPECT_TRUE(b.heads().empty());
    ASSERT_EQ(b.special().size(), 1u) << "no interrupt";
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_ACCESS);
    EXPECT_EQ(b.special()[0].head, 0u);
    EXPECT_EQ(b.events.back().cycle, 31u);
    EXPECT_TRUE(b.told.empty());
    // Software clears the error: the wait is executed again.
    b.refuse_status = false;
    b.generation++;
    b.ring(100);
    b.bench.run_to(130);
    EXPECT_EQ(b.heads(), (Heads{{121, 16}, {122, 32}}));
    EXPECT_EQ(b.stats().waits_completed, 1u);
    EXPECT_EQ(b.stats().errors, 1u);
    ASSERT_EQ(b.told.size(), 1u);
    b.answer(0, 150);
    b.bench.run_until_idle();
}

// Without holds_head it counts as done, as before.
TEST(CommandQueueHold, a_refused_status_write_of_an_ordinary_wait_counts_as_done)
{
    QueueBench b;
    b.refuse_status = true;
    b.play(40, {command(toy_wait, 0, flag_status | flag_interrupt)});
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_INTERRUPT);
}

TEST(CommandQueueHold, what_has_begun_goes_on_after_a_new_generation_but_moves_its_head_no_more)
{
    QueueBench b;
    b.play(30, {command(toy_own, 0), command(toy_wait, 0, flag_holds_head | flag_status)});
    b.generation++;
    b.enabled = false;
    b.ring(35);
    b.bench.run_to(40);
    b.answer(0, 50);
    b.bench.run_to(70);
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_TRUE(b.accesses[1].write);
    EXPECT_EQ(b.stats().waits_completed, 1u);
    EXPECT_EQ(b.heads(), (Heads{{21, 16}}));
    EXPECT_EQ(b.bench.outstanding(), 0u);
}

// ---- time-outs -----------------------------------------------------------------------------------------

TEST(CommandQueueHold, a_time_out_is_reported_in_the_place_of_the_completion)
{
    QueueBench b(late_timeouts());
    b.play(40, {command(toy_device, 7), command(toy_device, 8),
                command(toy_wait, 0, flag_holds_head | flag_status | flag_interrupt), command(toy_own, 1)});
    ASSERT_EQ(b.told.size(), 2u);
    b.answer(0, 50, IOM_CONTROL_TIMEOUT);
    b.bench.run_to(60);
    EXPECT_TRUE(b.special().empty()) << "the other one is still under way";
    b.answer(1, 70);
    b.bench.run_to(80);
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.events.back().cycle, 70u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_TIMEOUT);
    EXPECT_EQ(b.special()[0].head, 32u) << "at the wait";
    EXPECT_EQ(b.special()[0].stream, 7u);
    EXPECT_EQ(b.accesses.size(), 1u) << "no status";
    EXPECT_EQ(b.stats().waits_aborted, 1u);
    EXPECT_EQ(b.stats().waits_completed, 0u);
    // Once cleared, the wait completes.
    b.head = 32;
    b.generation++;
    b.ring(100);
    b.bench.run_to(140);
    EXPECT_EQ(b.heads().back().second, 64u);
    EXPECT_EQ(b.stats().waits_completed, 1u);
    ASSERT_EQ(b.told.size(), 3u);
    b.answer(2, 150);
    b.bench.run_until_idle();
}

TEST(CommandQueueHold, a_time_out_before_the_wait_is_remembered)
{
    QueueBench b(late_timeouts());
    b.play(40, {command(toy_device, 7)});
    b.answer(0, 50, IOM_CONTROL_TIMEOUT);
    b.bench.run_to(60);
    EXPECT_TRUE(b.special().empty());
    b.put(command(toy_own, 1)); // commands go on
    b.put(command(toy_wait, 0, flag_holds_head));
    b.ring(70);
    b.bench.run_to(90);
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_TRUE(b.special().empty());
    b.answer(1, 100);
    b.bench.run_to(110);
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_TIMEOUT);
    EXPECT_EQ(b.special()[0].head, 32u);
    EXPECT_EQ(b.events.back().cycle, 100u);
}

// Set up anew before the wait came to its end: the next wait reports it.
TEST(CommandQueueHold, a_time_out_outlives_the_generation)
{
    QueueBench b(late_timeouts());
    b.play(40, {command(toy_device, 7), command(toy_wait, 0, flag_holds_head | flag_status)});
    b.generation++;
    b.head = b.tail = 0;
    b.ring(45);
    b.bench.run_to(48);
    b.answer(0, 50, IOM_CONTROL_TIMEOUT);
    b.bench.run_to(60);
    EXPECT_TRUE(b.special().empty());
    EXPECT_EQ(b.accesses.size(), 1u) << "the old wait does not say that all went well";
    b.words.clear();
    b.put(command(toy_wait, 0, flag_holds_head | flag_status));
    b.ring(70);
    b.bench.run_until_idle();
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_TIMEOUT);
    EXPECT_EQ(b.special()[0].generation, b.generation);
    EXPECT_EQ(b.special()[0].head, 0u);
}

// ---- responses and page requests -----------------------------------------------------------------------

TEST(CommandQueueHold, responses_go_to_the_fan_out_and_waits_wait_for_them)
{
    QueueBench b;
    b.play(40, {command(toy_respond, 0x42), command(toy_wait, 0, flag_status)});
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.told[0].cycle, 21u);
    EXPECT_EQ(b.told[0].op, IOM_CONTROL_RESPOND);
    EXPECT_EQ(b.told[0].message->response.stream, 0x42u);
    EXPECT_EQ(b.heads(), (Heads{{21, 16}, {22, 32}}));
    b.answer(0, 50);
    b.bench.run_until_idle();
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_EQ(b.accesses[1].cycle, 50u);
    EXPECT_EQ(b.stats().responses, 1u);
    EXPECT_EQ(b.stats().invalidations + b.stats().device_invalidations, 0u);
    EXPECT_EQ(b.stats().execute_latency.count, 0u);
}

TEST(CommandQueueHold, page_requests_are_drained_where_there_are_any)
{
    for (bool page_requests : {false, true}) {
        SCOPED_TRACE(page_requests);
        Options options;
        options.page_requests = page_requests;
        QueueBench b(options);
        b.play(40, {command(toy_wait, 0, flag_status | flag_drain_pages)});
        if (!page_requests) {
            EXPECT_TRUE(b.told.empty());
            EXPECT_EQ(b.accesses.size(), 2u);
            continue;
        }
        ASSERT_EQ(b.told.size(), 1u);
        EXPECT_EQ(b.told[0].op, IOM_CONTROL_DRAIN);
        EXPECT_TRUE(b.told[0].message->drain_page_requests);
        EXPECT_FALSE(b.told[0].message->drain_reads || b.told[0].message->drain_writes);
        EXPECT_EQ(b.accesses.size(), 1u);
        b.answer(0, 50);
        b.bench.run_until_idle();
        ASSERT_EQ(b.accesses.size(), 2u);
        EXPECT_EQ(b.accesses[1].cycle, 50u);
    }
}

// ---- waiting for a tag ---------------------------------------------------------------------------------

// The invalidation without tag has left the queue; nothing behind it begins, waits included.
TEST(CommandQueueHold, an_invalidation_that_waits_for_a_tag_blocks_the_queue)
{
    Options options;
    options.device_tags = 2;
    QueueBench b(options);
    b.play(40, {command(toy_device, 7), command(toy_device, 8), command(toy_device, 9), command(toy_own, 1),
                command(toy_wait, 0, flag_holds_head)});
    ASSERT_EQ(b.told.size(), 3u);
    EXPECT_EQ(b.told[2].cycle, 23u);
    EXPECT_EQ(b.heads(), (Heads{{21, 16}, {22, 32}, {23, 48}}));
    b.answer(1, 50);
    b.bench.run_to(60);
    ASSERT_EQ(b.told.size(), 4u);
    EXPECT_EQ(b.told[3].cycle, 50u);
    EXPECT_EQ(b.heads().back(), (std::pair<iom_cycle, uint32_t>{50, 64}));
    b.answer(0, 70);
    b.answer(2, 71);
    b.answer(3, 72);
    b.bench.run_until_idle();
    EXPECT_EQ(b.heads().back(), (std::pair<iom_cycle, uint32_t>{72, 80}));
}

TEST(CommandQueueHold, otherwise_tags_are_the_fan_outs_business)
{
    QueueBench b;
    b.play(40, {command(toy_device, 7), command(toy_device, 8), command(toy_device, 9), command(toy_own, 1)});
    EXPECT_EQ(b.told.size(), 4u);
    for (size_t i = 0; i < 4; i++)
        b.answer(i, 50);
    b.bench.run_until_idle();
}

} // namespace
