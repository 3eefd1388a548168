// SPDX-License-Identifier: Apache-2.0
//
// A command queue that carries out one command after the other (core/command_queue.h, struct
// iom_command_pace): each setting on and off, and the periods measured on real hardware
// (tests/data/rtl-timing/README.md, section 3, "Command queue"). There d is the doorbell, L the latency of a
// read, W that of a write response; a command of two beats has arrived L + 1 cycles after its read, which
// leaves in d + 3. Here a doorbell in 10 lets the read leave in 10.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/core/command_queue_fixture.hpp"

using namespace command_queue_fixture;

namespace
{

using Heads = std::vector<std::pair<iom_cycle, uint32_t>>;

constexpr iom_cycle doorbell = 10;

/// Setting of the hardware, at a read latency L and a write-response latency W.
Options measured(iom_cycle L, iom_cycle W)
{
    Options options;
    options.prefetch = 1;
    options.in_flight = 1;
    options.memory_cycles = L + 1; // the second beat
    options.status_cycles = 1 + W; // address, data in the cycle behind, response W later
    options.pace.one_at_a_time = true;
    options.pace.fetch_gap_cycles = 2;
    options.pace.status_write_cycles = 1;
    return options;
}

std::vector<iom_cycle> read_cycles(const QueueBench &b)
{
    std::vector<iom_cycle> cycles;
    for (const QueueBench::Access &access : b.accesses) {
        if (!access.write)
            cycles.push_back(access.cycle);
    }
    return cycles;
}

std::vector<iom_cycle> write_cycles(const QueueBench &b)
{
    std::vector<iom_cycle> cycles;
    for (const QueueBench::Access &access : b.accesses) {
        if (access.write)
            cycles.push_back(access.cycle);
    }
    return cycles;
}

// ---- periods of the hardware ---------------------------------------------------------------------------

// "1st command done at d+5+L; each further L+4", with d + 3 = 10. Fences without address are commands like
// any.
TEST(CommandQueuePace, commands_have_the_period_of_the_hardware)
{
    for (const iom_cycle L : {iom_cycle{1}, iom_cycle{10}, iom_cycle{50}}) {
        SCOPED_TRACE(L);
        QueueBench b(measured(L, 1));
        const uint32_t count = 8;
        b.play(doorbell + 20 * (L + 4), std::vector<uint64_t>(count, command(toy_accepted)));
        const iom_cycle d = doorbell - 3;
        Heads expected;
        for (uint32_t n = 1; n <= count; n++)
            expected.emplace_back(d + 5 + L + (n - 1) * (L + 4), 16 * n);
        EXPECT_EQ(b.heads(), expected);
    }
}

// "data write AW = decode+1 ... the next command starts after B (period L+W+6)".
TEST(CommandQueuePace, fences_that_write_have_the_period_of_the_hardware)
{
    for (const iom_cycle L : {iom_cycle{1}, iom_cycle{10}, iom_cycle{50}}) {
        for (const iom_cycle W : {iom_cycle{1}, iom_cycle{6}}) {
            SCOPED_TRACE(std::to_string(L) + ", " + std::to_string(W));
            Options options = measured(L, W);
            options.pace.quirk_head_passes_waits = true; // "cqh advances at decode, before the write"
            QueueBench b(options);
            b.play(doorbell + 10 * (L + W + 6),
                   std::vector<uint64_t>(3, command(toy_wait, 0, flag_status | flag_holds_head)));
            const iom_cycle decode = doorbell - 3 + 5 + L, period = L + W + 6;
            EXPECT_EQ(b.heads(), (Heads{{decode, 16}, {decode + period, 32}, {decode + 2 * period, 48}}));
            EXPECT_EQ(write_cycles(b),
                      (std::vector<iom_cycle>{decode + 1, decode + period + 1, decode + 2 * period + 1}));
            EXPECT_EQ(b.stats().waits_completed, 3u);
        }
    }
}

// ---- one at a time -------------------------------------------------------------------------------------

// Data 10 cycles after the read, decoded a cycle later: read in 10, begun in 21.
TEST(CommandQueuePace, a_command_is_read_when_the_one_before_has_begun)
{
    for (const bool paced : {false, true}) {
        Options options;
        options.pace.one_at_a_time = paced;
        QueueBench b(options);
        b.play(100, own(3));
        ASSERT_EQ(b.told.size(), 3u);
        if (paced)
            EXPECT_EQ(read_cycles(b), (std::vector<iom_cycle>{10, 21, 32}));
        else
            EXPECT_EQ(read_cycles(b), (std::vector<iom_cycle>{10})) << "one read brings all three";
        EXPECT_EQ(b.told[2].cycle, paced ? 43u : 23u);
    }
}

TEST(CommandQueuePace, a_read_brings_one_command_however_many_the_buffer_holds)
{
    Options options;
    options.prefetch = 8;
    options.pace.one_at_a_time = true;
    QueueBench b(options);
    b.play(100, own(3));
    ASSERT_EQ(b.accesses.size(), 3u);
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(b.accesses[i].offset, 16 * i);
        EXPECT_EQ(b.accesses[i].bytes, 16u);
    }
}

TEST(CommandQueuePace, the_gap_lies_between_the_end_of_a_command_and_the_next_read)
{
    for (const uint64_t gap : {uint64_t{0}, uint64_t{1}, uint64_t{7}}) {
        Options options;
        options.pace.one_at_a_time = true;
        options.pace.fetch_gap_cycles = gap;
        QueueBench b(options);
        b.play(100, own(3));
        EXPECT_EQ(read_cycles(b), (std::vector<iom_cycle>{10, 21 + gap, 32 + 2 * gap}));
    }
}

// The first of a new series waits as well, if the doorbell comes early enough.
TEST(CommandQueuePace, the_gap_counts_from_the_end_of_the_command_not_from_the_doorbell)
{
    for (const iom_cycle second : {iom_cycle{22}, iom_cycle{30}}) {
        Options options;
        options.pace.one_at_a_time = true;
        options.pace.fetch_gap_cycles = 5;
        QueueBench b(options);
        b.play(21, own(1)); // ends in 21
        b.put(command(toy_own, 1));
        b.ring(second);
        b.bench.run_to(100);
        EXPECT_EQ(read_cycles(b), (std::vector<iom_cycle>{10, std::max<iom_cycle>(second, 26)}));
    }
}

TEST(CommandQueuePace, without_it_there_is_no_gap)
{
    Options options;
    options.prefetch = 1;
    options.pace.fetch_gap_cycles = 7;
    QueueBench b(options);
    b.play(100, own(2));
    EXPECT_EQ(read_cycles(b), (std::vector<iom_cycle>{10, 20})) << "when the first has gone to the decoder";
}

// A wait ends when it has completed: its invalidation is answered in 40, which is also when it has nothing
// left to wait for. Its status write is acknowledged ten cycles after it has left.
TEST(CommandQueuePace, a_command_behind_a_wait_is_read_when_that_has_completed)
{
    for (const bool status : {false, true}) {
        Options options;
        options.pace.one_at_a_time = true;
        options.pace.fetch_gap_cycles = 3;
        QueueBench b(options);
        b.play(39, {command(toy_own, 0), command(toy_wait, 0, flag_status * status), command(toy_own, 1)});
        EXPECT_EQ(read_cycles(b), (std::vector<iom_cycle>{10, 24}));
        b.answer(0, 40);
        b.bench.run_to(100);
        EXPECT_EQ(read_cycles(b), (std::vector<iom_cycle>{10, 24, (status ? 50u : 40u) + 3}));
    }
}

TEST(CommandQueuePace, an_error_ends_nothing_and_the_next_generation_reads_at_once)
{
    Options options;
    options.pace.one_at_a_time = true;
    options.pace.fetch_gap_cycles = 3;
    QueueBench b(options);
    b.play(60, {command(toy_invalid), command(toy_own, 1)});
    EXPECT_EQ(read_cycles(b), (std::vector<iom_cycle>{10}));
    b.words[0] = command(toy_own, 0);
    b.generation++;
    b.ring(100);
    b.bench.run_to(150);
    EXPECT_EQ(read_cycles(b), (std::vector<iom_cycle>{10, 100, 114}));
}

// ---- status writes -------------------------------------------------------------------------------------

TEST(CommandQueuePace, the_status_write_leaves_so_long_after_the_wait_has_nothing_left_to_wait_for)
{
    for (const uint64_t delay : {uint64_t{0}, uint64_t{1}, uint64_t{9}}) {
        SCOPED_TRACE(delay);
        Options options;
        options.pace.status_write_cycles = delay;
        QueueBench b(options);
        b.play(40,
               {command(toy_own, 0), command(toy_wait, 0, flag_status | flag_interrupt | flag_drain_reads)});
        b.answer(0, 50);
        b.bench.run_to(60);
        ASSERT_EQ(b.told.size(), 2u);
        EXPECT_EQ(b.told[1].cycle, 50u) << "the drain leaves at once";
        b.answer(1, 70);
        b.bench.run_to(120);
        EXPECT_EQ(write_cycles(b), (std::vector<iom_cycle>{70 + delay}));
        ASSERT_EQ(b.special().size(), 1u);
        EXPECT_EQ(b.events.back().cycle, 80 + delay) << "interrupt with the acknowledgement";
        EXPECT_EQ(b.stats().wait_status_latency.sum, 10u) << "from its departure";
        EXPECT_EQ(b.stats().wait_drain_latency.sum, 20u);
    }
}

TEST(CommandQueuePace, a_wait_without_status_is_not_delayed)
{
    Options options;
    options.pace.status_write_cycles = 9;
    QueueBench b(options);
    b.play(60, {command(toy_wait, 0, flag_interrupt)});
    ASSERT_EQ(b.special().size(), 1u);
    EXPECT_EQ(b.events.back().cycle, 21u);
}

// ---- deviations ----------------------------------------------------------------------------------------

// The wait is decoded in 22, its status write leaves in 40 and is acknowledged in 50.
TEST(CommandQueuePace, the_head_passes_a_wait_when_it_has_completed_or_by_the_quirk_when_it_begins)
{
    for (const bool quirk : {false, true}) {
        SCOPED_TRACE(quirk);
        Options options;
        options.pace.quirk_head_passes_waits = quirk;
        QueueBench b(options);
        b.play(39, {command(toy_own, 0), command(toy_wait, 0, flag_status | flag_holds_head)});
        EXPECT_EQ(b.heads(), quirk ? (Heads{{21, 16}, {22, 32}}) : (Heads{{21, 16}}));
        b.answer(0, 40);
        b.bench.run_to(100);
        EXPECT_EQ(b.heads().back(), (std::pair<iom_cycle, uint32_t>{quirk ? 22 : 50, 32}));
        EXPECT_EQ(write_cycles(b), (std::vector<iom_cycle>{40})) << "the same with both";
        EXPECT_EQ(b.stats().waits_completed, 1u);
    }
}

// What follows a wait is still read when the wait has completed.
TEST(CommandQueuePace, a_head_that_passes_waits_does_not_let_the_next_command_in)
{
    Options options;
    options.pace.one_at_a_time = true;
    options.pace.quirk_head_passes_waits = true;
    QueueBench b(options);
    b.play(100, {command(toy_wait, 0, flag_status | flag_holds_head), command(toy_own, 1)});
    EXPECT_EQ(read_cycles(b), (std::vector<iom_cycle>{10, 31}));
    EXPECT_EQ(b.heads(), (Heads{{21, 16}, {42, 32}}));
}

TEST(CommandQueuePace, waits_drain_older_dma_but_for_the_quirk)
{
    for (const bool quirk : {false, true}) {
        for (const uint64_t flags : {flag_drain_reads, flag_drain_writes}) {
            for (const bool by_wait : {false, true}) {
                SCOPED_TRACE(std::to_string(quirk) + std::to_string(flags) + std::to_string(by_wait));
                Options options;
                options.pace.quirk_waits_skip_drain = quirk;
                QueueBench b(options);
                b.play(40, {command(toy_own, 0, by_wait ? 0 : flags),
                            command(toy_wait, 1, flag_status | (by_wait ? flags : 0)),
                            command(toy_wait, 2, flag_status)});
                ASSERT_EQ(b.told.size(), 1u);
                b.answer(0, 50);
                b.bench.run_to(60);
                ASSERT_EQ(b.told.size(), quirk ? 1u : 2u);
                if (!quirk) {
                    EXPECT_EQ(b.told[1].op, IOM_CONTROL_DRAIN);
                    b.answer(1, 75);
                }
                b.bench.run_until_idle();
                const iom_cycle first = quirk ? 50 : 75;
                EXPECT_EQ(write_cycles(b), (std::vector<iom_cycle>{first, first + 10}));
                EXPECT_EQ(b.told.size(), quirk ? 1u : 2u) << "the second wait has nothing to drain";
                EXPECT_EQ(b.stats().read_drains + b.stats().write_drains, quirk ? 0u : 1u);
            }
        }
    }
}

TEST(CommandQueuePace, page_requests_are_drained_but_for_the_quirk)
{
    for (const bool quirk : {false, true}) {
        Options options;
        options.page_requests = true;
        options.pace.quirk_waits_skip_drain = quirk;
        QueueBench b(options);
        b.play(40, {command(toy_wait, 0, flag_status | flag_drain_pages)});
        EXPECT_EQ(b.told.size(), quirk ? 0u : 1u);
        EXPECT_EQ(write_cycles(b).size(), quirk ? 1u : 0u);
        if (!quirk)
            b.answer(0, 50);
        b.bench.run_until_idle();
        EXPECT_EQ(b.stats().waits_completed, 1u);
    }
}

// ---- who waits for the queue ---------------------------------------------------------------------------

std::vector<std::pair<iom_cycle, iom_queue_event_kind>> told_status(const QueueBench &b)
{
    std::vector<std::pair<iom_cycle, iom_queue_event_kind>> list;
    for (const QueueBench::Event &event : b.statuses)
        list.emplace_back(event.cycle, static_cast<iom_queue_event_kind>(event.event.kind));
    return list;
}

using Statuses = std::vector<std::pair<iom_cycle, iom_queue_event_kind>>;

// An ordinary queue is drained when what it has begun has ended too. A queue that carries out one command at
// a time has finished with a command when it has begun, and is idle from the cycle behind.
TEST(CommandQueuePace, the_queue_is_drained_when_nothing_is_left_to_do)
{
    for (const bool paced : {false, true}) {
        SCOPED_TRACE(paced);
        Options options;
        options.pace.one_at_a_time = paced;
        QueueBench b(options);
        b.play(40, own(1));
        b.answer(0, 50);
        b.bench.run_to(60);
        EXPECT_EQ(told_status(b), (Statuses{{10, IOM_QUEUE_BUSY}, {paced ? 22 : 50, IOM_QUEUE_DRAINED}}));
    }
}

// Decoded in 21, status acknowledged in 31.
TEST(CommandQueuePace, a_wait_that_writes_keeps_the_queue_busy_although_the_head_has_passed_it)
{
    for (const bool paced : {false, true}) {
        SCOPED_TRACE(paced);
        Options options;
        options.pace.one_at_a_time = paced;
        options.pace.quirk_head_passes_waits = true;
        QueueBench b(options);
        b.play(60, {command(toy_wait, 0, flag_status | flag_holds_head)});
        EXPECT_EQ(b.heads(), (Heads{{21, 16}}));
        EXPECT_EQ(told_status(b), (Statuses{{10, IOM_QUEUE_BUSY}, {paced ? 32 : 31, IOM_QUEUE_DRAINED}}));
    }
}

} // namespace
