// SPDX-License-Identifier: Apache-2.0
//
// How the command queue takes commands in: fetch and decode in exact cycles, generations, what the registers
// may say.
#include <gtest/gtest.h>

#include "tests/core/command_queue_fixture.hpp"

using namespace command_queue_fixture;

namespace
{

// ---- fetch and decode --------------------------------------------------------------------------------

// Doorbell in 10, read leaves in 10, data in 20, decoded and sent in 21, 22, ...
TEST(CommandQueue, a_command_takes_the_read_and_its_decoding)
{
    for (uint64_t decode : {uint64_t{1}, uint64_t{5}}) {
        Options options;
        options.decode_cycles = decode;
        QueueBench b(options);
        b.play(100, own(3));
        ASSERT_EQ(b.accesses.size(), 1u);
        EXPECT_EQ(b.accesses[0].cycle, 10u);
        EXPECT_EQ(b.accesses[0].offset, 0u);
        EXPECT_EQ(b.accesses[0].bytes, 48u) << "up to the tail";
        ASSERT_EQ(b.told.size(), 3u);
        for (size_t i = 0; i < 3; i++) {
            EXPECT_EQ(b.told[i].cycle, 20 + (i + 1) * decode);
            EXPECT_EQ(b.number(i), i);
        }
        EXPECT_EQ(b.stats().fetch_latency.sum, 3 * 10 + 6 * decode);
        EXPECT_EQ(b.stats().commands, 3u);
        EXPECT_EQ(b.stats().invalidations, 3u);
        EXPECT_EQ(b.stats().doorbells, 1u);
    }
}

TEST(CommandQueue, reads_end_at_lines_at_the_wrap_and_at_the_tail)
{
    QueueBench b;
    b.head = b.tail = 4096 - 80; // 16 bytes of a line, a line, then the wrap
    b.play(60, own(7));
    ASSERT_EQ(b.accesses.size(), 3u);
    EXPECT_EQ(b.accesses[0].offset, 4016u);
    EXPECT_EQ(b.accesses[0].bytes, 16u);
    EXPECT_EQ(b.accesses[1].offset, 4032u);
    EXPECT_EQ(b.accesses[1].bytes, 64u);
    EXPECT_EQ(b.accesses[1].cycle, 10u) << "several are under way at once";
    EXPECT_EQ(b.accesses[2].offset, 0u);
    EXPECT_EQ(b.accesses[2].bytes, 32u);
    ASSERT_EQ(b.told.size(), 7u);
    for (size_t i = 0; i < 7; i++)
        EXPECT_EQ(b.number(i), i);
    EXPECT_EQ(b.last_head(), 32u);
}

TEST(CommandQueue, wide_commands_are_two_to_a_line)
{
    Options options;
    options.command_bytes = 32;
    QueueBench b(options);
    b.play(60, own(3));
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_EQ(b.accesses[0].bytes, 64u);
    EXPECT_EQ(b.accesses[1].bytes, 32u);
    EXPECT_EQ(b.told.size(), 3u);
    EXPECT_EQ(b.last_head(), 96u);
}

// Place for four: the next line is asked for when all four have gone to the decoder.
TEST(CommandQueue, the_prefetch_buffer_limits_reads)
{
    Options options;
    options.prefetch = 4;
    QueueBench b(options);
    b.play(100, own(8));
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_EQ(b.accesses[1].cycle, 23u) << "decoding of the fourth begins when the third has begun";
    options.prefetch = 1;
    QueueBench one(options);
    one.play(100, own(3));
    ASSERT_EQ(one.accesses.size(), 3u);
    EXPECT_EQ(one.accesses[0].bytes, 16u);
    EXPECT_EQ(one.accesses[1].cycle, 20u) << "when the first has gone to the decoder";
}

TEST(CommandQueue, reads_wait_for_credits_of_memory)
{
    Options options;
    options.prefetch = 16;
    options.memory_depth = 1;
    QueueBench b(options);
    b.play(100, own(8));
    ASSERT_EQ(b.accesses.size(), 2u);
    EXPECT_EQ(b.accesses[1].cycle, 12u) << "credit back one cycle after acceptance";
    EXPECT_EQ(b.told.size(), 8u);
}

TEST(CommandQueue, the_head_passes_a_command_when_it_begins)
{
    Options options;
    options.in_flight = 1;
    QueueBench b(options);
    b.play(40, {command(toy_own, 0), command(toy_accepted), command(toy_own, 1)});
    ASSERT_EQ(b.events.size(), 2u);
    EXPECT_EQ(b.events[0].cycle, 21u);
    EXPECT_EQ(b.events[0].event.head, 16u);
    EXPECT_EQ(b.events[1].cycle, 22u);
    EXPECT_EQ(b.events[1].event.head, 32u);
    EXPECT_EQ(b.told.size(), 1u) << "one in flight at most";
    b.answer(0, 50);
    b.bench.run_to(60);
    ASSERT_EQ(b.events.size(), 3u);
    EXPECT_EQ(b.events[2].cycle, 50u);
    EXPECT_EQ(b.events[2].event.head, 48u);
    EXPECT_EQ(b.events[2].event.generation, 1u);
    EXPECT_EQ(b.stats().most_in_flight, 1u);
    EXPECT_EQ(b.stats().hold_latency.sum, 50u - 23u);
}

// ---- setup -------------------------------------------------------------------------------------------

TEST(CommandQueue, a_new_generation_drops_what_has_not_begun)
{
    Options options;
    options.in_flight = 1;
    QueueBench b(options);
    b.play(15, own(8));
    // The queue is switched off and on again while its reads are under way.
    b.generation++;
    b.head = b.tail = 128;
    b.put(command(toy_own, 100));
    b.ring(16);
    b.bench.run_to(60);
    ASSERT_EQ(b.accesses.size(), 3u);
    EXPECT_EQ(b.accesses[2].offset, 128u);
    EXPECT_EQ(b.accesses[2].cycle, 16u);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.number(0), 100u);
    EXPECT_EQ(b.told[0].cycle, 27u);
    b.answer(0, 70);
    b.bench.run_until_idle();
    EXPECT_EQ(b.told.size(), 1u);
}

TEST(CommandQueue, a_disabled_queue_does_nothing)
{
    QueueBench b;
    b.put(command(toy_own, 0));
    b.enabled = false;
    b.ring(10);
    b.bench.run_until_idle();
    EXPECT_TRUE(b.accesses.empty());
    b.enabled = true;
    b.generation++;
    b.ring(50);
    b.bench.run_to(100);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.told[0].cycle, 61u);
    // Later doorbells only move the tail.
    b.put(command(toy_own, 1));
    b.ring(100);
    b.bench.run_to(150);
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.told[1].cycle, 111u);
    EXPECT_EQ(b.stats().fetch_latency.sum, 22u) << "each command counts from its own doorbell";
}

TEST(CommandQueue, registers_can_be_taken_over_outside_the_simulation)
{
    QueueBench b;
    const iom_queue_setup setup = b.setup(32, 32);
    iom_command_queue_set_up(b.queue, &setup);
    b.tail = 32;
    b.put(command(toy_own, 9));
    b.ring(10); // same generation: the head in it does not count
    b.bench.run_to(50);
    ASSERT_EQ(b.accesses.size(), 1u);
    EXPECT_EQ(b.accesses[0].offset, 32u);
    b.answer(0, 60);
    b.bench.run_until_idle();
    iom_command_queue_reset(b.queue);
    b.tail = 0;
    b.put(command(toy_own, 9));
    b.ring(100);
    b.bench.run_to(150);
    ASSERT_EQ(b.told.size(), 2u);
    EXPECT_EQ(b.accesses.back().offset, 0u);
}

// Offsets that no architecture should let through do not make it read elsewhere.
TEST(CommandQueue, reads_stay_inside_the_queue)
{
    QueueBench b;
    b.tail = 5000;
    b.ring(10);
    b.tail = 24; // half a command
    b.ring(20);
    b.bench.run_to(30);
    ASSERT_EQ(b.accesses.size(), 1u);
    EXPECT_EQ(b.accesses[0].bytes, 16u);
}

} // namespace
