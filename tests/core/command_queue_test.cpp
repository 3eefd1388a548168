// SPDX-License-Identifier: Apache-2.0
//
// What the command queue does with its commands: what holds them back, waits, errors, time-outs; and that the
// order of evaluation does not matter.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/core/command_queue_fixture.hpp"

using namespace command_queue_fixture;

namespace
{

// ---- order -------------------------------------------------------------------------------------------

TEST(CommandQueue, a_fence_holds_back_what_follows_until_it_has_completed)
{
    for (bool fence : {false, true}) {
        QueueBench b;
        b.play(40, {command(toy_own, 0), command(toy_wait, 0, flag_status | flag_fence * fence),
                    command(toy_own, 1)});
        ASSERT_EQ(b.told.size(), fence ? 1u : 2u);
        b.answer(0, 50);
        b.bench.run_to(80);
        ASSERT_EQ(b.told.size(), 2u);
        EXPECT_EQ(b.told[1].cycle, fence ? 60u : 23u) << "status write leaves in 50, answered in 60";
    }
}

TEST(CommandQueue, in_order_begins_a_command_when_the_one_before_has_ended)
{
    Options options;
    options.in_order = true;
    QueueBench b(options);
    b.play(40, {command(toy_own, 0), command(toy_own, 1), command(toy_wait, 0, flag_status),
                command(toy_accepted), command(toy_own, 2)});
    ASSERT_EQ(b.told.size(), 1u);
    b.answer(0, 45);
    b.bench.run_to(50);
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.told[1].cycle, 45u);
    b.answer(1, 60);
    b.bench.run_to(100);
    ASSERT_EQ(b.told.size(), 3u);
    EXPECT_EQ(b.told[2].cycle, 71u) << "wait completed in 70, one cycle to decode the last";
}

// ---- waits -------------------------------------------------------------------------------------------

TEST(CommandQueue, a_wait_completes_when_all_before_it_have_ended)
{
    QueueBench b;
    // The last one does not count.
    b.play(40, {command(toy_own, 0), command(toy_device, 7),
                command(toy_wait, 5, flag_status | flag_interrupt), command(toy_own, 1)});
    ASSERT_EQ(b.told.size(), 3u);
    b.answer(1, 50); // out of order
    b.bench.run_to(60);
    EXPECT_EQ(b.accesses.size(), 1u);
    b.answer(0, 70);
    b.bench.run_to(90);
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_TRUE(b.accesses[1].write);
    EXPECT_EQ(b.accesses[1].cycle, 70u);
    EXPECT_EQ(b.accesses[1].offset, status_address + 40);
    EXPECT_EQ(b.accesses[1].data, 5u);
    EXPECT_EQ(b.accesses[1].bytes, 4u);
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.events.back().event.kind, IOM_QUEUE_INTERRUPT);
    EXPECT_EQ(b.events.back().cycle, 80u);
    EXPECT_EQ(b.stats().waits_completed, 1u);
    EXPECT_EQ(b.stats().device_invalidations, 1u);
    EXPECT_EQ(b.stats().wait_latency.sum, 80u - 23u);
    EXPECT_EQ(b.stats().wait_status_latency.sum, 10u);
    EXPECT_EQ(b.stats().execute_latency.sum, (70u - 21u) + (50u - 22u));
}

TEST(CommandQueue, a_wait_for_nothing_completes_when_decoded)
{
    QueueBench b;
    b.put(command(toy_wait, 0, flag_interrupt));
    b.ring(10);
    b.bench.run_until_idle();
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.events.back().cycle, 21u);
    EXPECT_EQ(b.stats().waits_completed, 1u);
}

TEST(CommandQueue, waits_complete_in_order)
{
    QueueBench b;
    b.put(command(toy_wait, 1, flag_status));
    b.put(command(toy_wait, 2, flag_status));
    b.ring(10);
    b.bench.run_until_idle();
    ASSERT_EQ(b.accesses.size(), 3u);
    EXPECT_EQ(b.accesses[1].cycle, 21u);
    EXPECT_EQ(b.accesses[2].cycle, 31u) << "when the wait before it has completed";
}

TEST(CommandQueue, older_dma_is_drained_when_an_invalidation_or_the_wait_asks_for_it)
{
    for (bool by_wait : {false, true}) {
        SCOPED_TRACE(by_wait);
        QueueBench b;
        // The last wait has nothing more to drain.
        b.play(40, {command(toy_own, 0, flag_drain_writes * !by_wait),
                    command(toy_wait, 1, flag_status | flag_drain_reads * by_wait),
                    command(toy_wait, 2, flag_status)});
        ASSERT_EQ(b.told.size(), 1u);
        b.answer(0, 50);
        b.bench.run_to(60);
        ASSERT_EQ(b.told.size(), 2u);
        EXPECT_EQ(b.told[1].cycle, 50u);
        EXPECT_EQ(b.told[1].message->op, IOM_CONTROL_DRAIN);
        EXPECT_EQ(b.told[1].message->drain_reads, by_wait);
        EXPECT_EQ(b.told[1].message->drain_writes, !by_wait);
        EXPECT_EQ(b.accesses.size(), 1u);
        b.answer(1, 75);
        b.bench.run_until_idle();
        ASSERT_EQ(b.accesses.size(), 3u);
        EXPECT_EQ(b.accesses[1].cycle, 75u);
        EXPECT_EQ(b.told.size(), 2u);
        EXPECT_EQ(b.stats().wait_drain_latency.sum, 25u);
        EXPECT_EQ(b.stats().waits_completed, 2u);
    }
}

TEST(CommandQueue, many_waits_may_be_pending)
{
    QueueBench b;
    b.put(command(toy_own, 0));
    for (uint64_t i = 0; i < IOM_PENDING_WAITS + 3; i++)
        b.put(command(toy_wait, i, flag_status));
    b.ring(10);
    b.bench.run_to(300);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.last_head(), 16u * (1 + IOM_PENDING_WAITS)) << "the next one stays in the decoder";
    b.answer(0, 310);
    b.bench.run_until_idle();
    EXPECT_EQ(b.stats().waits_completed, IOM_PENDING_WAITS + 3);
    uint64_t expected = 0;
    for (const auto &access : b.accesses) {
        if (access.write) {
            EXPECT_EQ(access.data, expected++);
        }
    }
    EXPECT_EQ(expected, IOM_PENDING_WAITS + 3);
}

// ---- errors ------------------------------------------------------------------------------------------

TEST(CommandQueue, an_invalid_command_stops_the_queue_with_the_head_at_it)
{
    QueueBench b;
    b.play(40, {command(toy_own, 0), command(toy_wait, 1, flag_status), command(toy_invalid, 1000),
                command(toy_own, 1)});
    ASSERT_EQ(b.told.size(), 1u) << "nothing behind it is carried out";
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_INVALID);
    EXPECT_EQ(b.special()[0].head, 32u);
    EXPECT_EQ(b.special()[0].error, 1016u);
    EXPECT_EQ(b.events.back().cycle, 23u);
    b.answer(0, 50);
    b.ring(55); // a doorbell changes nothing while the error stands
    b.bench.run_until_idle();
    EXPECT_EQ(b.stats().waits_completed, 1u) << "what came before is carried out";
    EXPECT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.stats().errors, 1u);
    // Software mends the command and lets the queue go on.
    b.words[32] = command(toy_own, 2);
    b.head = 32;
    b.generation++;
    b.ring(200);
    b.bench.run_to(250);
    ASSERT_EQ(b.told.size(), 3u);
    EXPECT_EQ(b.number(1), 2u);
    EXPECT_EQ(b.number(2), 1u);
    EXPECT_EQ(b.last_head(), 64u);
    EXPECT_EQ(b.events.back().event.generation, 2u);
}

// A read brings a line of commands; the head must end at the one that cannot be read, not at the line's
// first.
TEST(CommandQueue, an_unreadable_command_stops_the_queue_when_its_turn_has_come)
{
    QueueBench b;
    b.unreadable = 80; // second in the second line
    b.play(60, own(8));
    ASSERT_EQ(b.told.size(), 5u) << "what stands before it in its line is carried out";
    EXPECT_EQ(b.number(4), 4u);
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_ACCESS);
    EXPECT_EQ(b.special()[0].head, 80u);
    ASSERT_EQ(b.accesses.size(), 4u) << "the line once more, command by command";
    EXPECT_EQ(b.accesses[2].offset, 64u);
    EXPECT_EQ(b.accesses[2].bytes, 16u);
    EXPECT_EQ(b.accesses[2].cycle, 24u) << "when its turn has come";
    EXPECT_EQ(b.accesses[3].offset, 80u);
    EXPECT_EQ(b.accesses[3].bytes, 16u);
    EXPECT_EQ(b.accesses[3].cycle, 35u);
    EXPECT_EQ(b.events.back().cycle, 45u);
}

// Commands that are dropped while one of them is read alone do not come back.
TEST(CommandQueue, a_new_generation_drops_a_command_that_is_read_alone)
{
    QueueBench b;
    b.unreadable = 16;
    b.play(25, own(2));
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_EQ(b.accesses[1].cycle, 20u);
    b.generation++;
    b.head = b.tail = 64;
    b.put(command(toy_own, 9));
    b.ring(26);
    b.bench.run_to(80);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.number(0), 9u);
    EXPECT_TRUE(b.special().empty());
}

// ---- time-outs ---------------------------------------------------------------------------------------

TEST(CommandQueue, a_time_out_aborts_the_waits_and_stops_the_queue)
{
    QueueBench b;
    // The last one is held by the fence.
    b.play(40, {command(toy_device, 0x77, flag_drain_reads), command(toy_own, 0),
                command(toy_wait, 1, flag_status | flag_interrupt | flag_fence),
                command(toy_wait, 2, flag_status), command(toy_own, 1)});
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.last_head(), 64u);
    b.answer(0, 50, IOM_CONTROL_TIMEOUT);
    b.bench.run_to(60);
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.special()[0].kind, IOM_QUEUE_TIMEOUT);
    EXPECT_EQ(b.special()[0].stream, 0x77u);
    EXPECT_EQ(b.special()[0].head, 64u);
    EXPECT_EQ(b.events.back().cycle, 50u);
    EXPECT_EQ(b.stats().waits_aborted, 2u);
    b.answer(1, 70);
    b.bench.run_until_idle();
    EXPECT_EQ(b.accesses.back().write, false) << "no status of an aborted wait";
    EXPECT_EQ(b.stats().waits_completed, 0u);
    // The queue goes on at the next command; the next wait drains what the aborted ones should have.
    b.put(command(toy_wait, 3, flag_status));
    b.head = 64;
    b.generation++;
    b.ring(200);
    b.bench.run_to(240);
    ASSERT_EQ(b.told.size(), 3u);
    EXPECT_EQ(b.number(2), 1u);
    b.answer(2, 250);
    b.bench.run_to(260);
    ASSERT_EQ(b.told.size(), 4u);
    EXPECT_EQ(b.told[3].message->op, IOM_CONTROL_DRAIN);
    EXPECT_TRUE(b.told[3].message->drain_reads);
    b.answer(3, 270);
    b.bench.run_until_idle();
    EXPECT_EQ(b.stats().waits_completed, 1u);
    EXPECT_EQ(b.accesses.back().data, 3u);
}

// Its drain or its status write may be under way when the device of a later command times out.
TEST(CommandQueue, a_wait_is_aborted_until_its_status_write_has_left)
{
    for (iom_cycle drained : {iom_cycle{49}, iom_cycle{55}}) {
        SCOPED_TRACE(drained);
        QueueBench b;
        b.play(30, {command(toy_wait, 1, flag_status | flag_drain_reads), command(toy_device, 0x77)});
        ASSERT_EQ(b.told.size(), 2u); // drain, device
        EXPECT_EQ(b.told[0].message->op, IOM_CONTROL_DRAIN);
        b.answer(0, drained);
        b.answer(1, 50, IOM_CONTROL_TIMEOUT);
        b.bench.run_until_idle();
        const bool left = drained < 50;
        EXPECT_EQ(b.stats().waits_completed, left ? 1u : 0u);
        EXPECT_EQ(b.stats().waits_aborted, left ? 0u : 1u);
        EXPECT_EQ(b.accesses.back().write, left);
    }
}

// ---- independence of evaluation order ----------------------------------------------------------------

struct Log {
    std::vector<std::pair<iom_cycle, uint64_t>> lines;
};

Log random_run(uint64_t seed, uint64_t shuffle)
{
    Options options;
    options.in_flight = 3;
    options.memory_depth = 2;
    options.queue_bytes = 4096;
    QueueBench b(options);
    iom_rng rng;
    iom_rng_seed(&rng, seed, "command queue test");
    if (shuffle != 0)
        b.bench.shuffle(shuffle);
    size_t told = 0;
    iom_rng answers;
    iom_rng_seed(&answers, seed, "answers");
    uint64_t number = 0;
    for (iom_cycle now = 10; now < 1500; now++) {
        if (iom_rng_below(&rng, 12) == 0) {
            for (uint64_t i = 1 + iom_rng_below(&rng, 5); i != 0; i--) {
                const auto what = static_cast<Toy>(toy_own + iom_rng_below(&rng, 4));
                b.put(command(what, ++number, iom_rng_below(&rng, 32)));
            }
            b.ring(now + 1);
        }
        b.bench.run_to(now);
        if (shuffle != 0 && now % 3 == 0)
            iom_unit_wake(iom_command_queue_unit(b.queue), now + 1); // nothing due changes nothing
        for (; told < b.told.size(); told++)
            b.answer(told, now + 2 + iom_rng_below(&answers, 15));
    }
    for (iom_cycle now = 1500; now < 4000; now += 10) {
        b.bench.run_to(now);
        for (; told < b.told.size(); told++)
            b.answer(told, now + 2);
    }
    b.bench.run_until_idle();
    Log log;
    for (const auto &t : b.told)
        log.lines.emplace_back(t.cycle, t.op);
    for (const auto &a : b.accesses)
        log.lines.emplace_back(a.cycle, a.offset);
    for (const auto &e : b.events)
        log.lines.emplace_back(e.cycle, e.event.kind << 16 | e.event.head);
    EXPECT_EQ(b.stats().commands, number);
    EXPECT_EQ(b.stats().waits_completed, b.stats().waits);
    EXPECT_GT(number, 200u);
    return log;
}

TEST(CommandQueue, the_order_of_evaluation_does_not_matter)
{
    for (uint64_t seed = 1; seed < 5; seed++) {
        SCOPED_TRACE(seed);
        EXPECT_EQ(random_run(seed, 0).lines, random_run(seed, seed + 100).lines);
    }
}

} // namespace
