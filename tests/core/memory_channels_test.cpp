// SPDX-License-Identifier: Apache-2.0
//
// The channels of a memory port (core/memory.h): arbitration, beats in order, write data and responses. What
// is accepted in c and departs in d has left its sender in c - 1 and is back in d + 1.
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/core/support/memory_bench.hpp"

namespace
{

constexpr uint64_t latency = 10, write_latency = 6;

iom_memory_config channels(uint32_t inputs, uint32_t more = 0)
{
    iom_memory_config config = bench::plain_memory(inputs + more, latency);
    config.channels.inputs = inputs;
    config.channels.beat_bytes = 8;
    config.channels.arbitration = IOM_ARBITRATION_FIXED;
    config.channels.positions = IOM_CLIENT_COUNT;
    for (uint8_t client = 0; client < IOM_CLIENT_COUNT; client++)
        config.channels.position[client] = client;
    config.channels.write_latency_cycles = write_latency;
    return config;
}

class MemoryChannels : public ::testing::Test
{
  protected:
    iom_memory_access *read(bench::MemoryBench &b, uint32_t input, iom_cycle arrival, uint8_t client,
                            uint8_t bytes = 8)
    {
        iom_memory_access *access = b.read(input, arrival, 0x1000 + 64u * client, bytes);
        access->client = client;
        return access;
    }
    iom_memory_access *write(bench::MemoryBench &b, uint32_t input, iom_cycle arrival, uint8_t client,
                             uint8_t bytes = 8)
    {
        iom_memory_access *access = b.write(input, arrival, 0x2000 + 64u * client, client);
        access->client = client;
        access->bytes = bytes;
        return access;
    }
};

TEST_F(MemoryChannels, a_read_departs_with_its_last_beat)
{
    bench::MemoryBench b(channels(1));
    const iom_memory_access *one = read(b, 0, 10, IOM_CLIENT_PAGE_WALK);
    const iom_memory_access *four = read(b, 0, 100, IOM_CLIENT_CONTEXT_WALK, 32);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(one), 10 + latency + 1);
    EXPECT_EQ(b.answered(four), 100 + latency + 3 + 1);
}

// Accepted in 10 and 11: the second has its first beat behind the last one of the first, although its latency
// would have it earlier.
TEST_F(MemoryChannels, beats_of_reads_come_in_the_order_of_acceptance)
{
    bench::MemoryBench b(channels(2));
    const iom_memory_access *burst = read(b, 0, 10, IOM_CLIENT_PAGE_WALK, 64);
    const iom_memory_access *word = read(b, 1, 10, IOM_CLIENT_COMMANDS);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(burst), 10 + latency + 7 + 1);
    EXPECT_EQ(b.answered(word), 10 + latency + 8 + 1);
}

TEST_F(MemoryChannels, one_read_and_one_write_are_accepted_each_cycle)
{
    bench::MemoryBench b(channels(4));
    const iom_memory_access *reads[] = {read(b, 0, 10, IOM_CLIENT_PAGE_WALK),
                                        read(b, 1, 10, IOM_CLIENT_COMMANDS)};
    const iom_memory_access *writes[] = {write(b, 2, 10, IOM_CLIENT_RECORDS),
                                         write(b, 3, 10, IOM_CLIENT_OTHER)};
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(reads[0]), 10 + latency + 1);
    EXPECT_EQ(b.answered(reads[1]), 11 + latency + 1);
    // Fixed: the lower position goes first. Address in c, one beat in c + 1, response write_latency later.
    EXPECT_EQ(b.answered(writes[1]), 10 + 1 + write_latency + 1);
    EXPECT_EQ(b.answered(writes[0]), 11 + 1 + write_latency + 1);
}

TEST_F(MemoryChannels, beats_of_writes_come_in_the_order_of_their_addresses)
{
    bench::MemoryBench b(channels(2));
    const iom_memory_access *record = write(b, 0, 10, IOM_CLIENT_RECORDS, 32); // beats 11 to 14
    const iom_memory_access *word = write(b, 1, 11, IOM_CLIENT_COMMANDS);      // address in 11, beat in 15
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(record), 14 + write_latency + 1);
    EXPECT_EQ(b.answered(word), 15 + write_latency + 1);
}

// Two clients behind one input: the younger one asks the arbiter as well and may come first.
TEST_F(MemoryChannels, clients_of_one_input_do_not_wait_for_each_other)
{
    bench::MemoryBench b(channels(1));
    const iom_memory_access *late = read(b, 0, 10, IOM_CLIENT_COMMANDS);
    const iom_memory_access *early = read(b, 0, 10, IOM_CLIENT_PAGE_WALK);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(early), 10 + latency + 1);
    EXPECT_EQ(b.answered(late), 11 + latency + 1);
}

TEST_F(MemoryChannels, a_burst_has_as_many_beats_as_its_bytes_need)
{
    const struct {
        uint32_t beat_bytes;
        uint8_t bytes;
        uint64_t beats;
    } cases[] = {{8, 8, 1}, {8, 1, 1}, {8, 12, 2}, {8, 56, 7}, {4, 64, 16}, {16, 56, 4}, {64, 64, 1}};
    for (const auto &c : cases) {
        SCOPED_TRACE(std::to_string(c.bytes) + " bytes in beats of " + std::to_string(c.beat_bytes));
        iom_memory_config config = channels(1);
        config.channels.beat_bytes = c.beat_bytes;
        bench::MemoryBench b(config);
        const iom_memory_access *load = read(b, 0, 10, IOM_CLIENT_CONTEXT_WALK, c.bytes);
        const iom_memory_access *store = write(b, 0, 10, IOM_CLIENT_RECORDS, c.bytes);
        b.bench.run_until_idle();
        EXPECT_EQ(b.answered(load), 10 + latency + c.beats - 1 + 1);
        EXPECT_EQ(b.answered(store), 10 + c.beats + write_latency + 1);
    }
}

TEST_F(MemoryChannels, a_write_is_answered_so_long_after_its_last_beat)
{
    for (const uint64_t cycles : {uint64_t{1}, uint64_t{6}, uint64_t{50}}) {
        iom_memory_config config = channels(1);
        config.channels.write_latency_cycles = cycles;
        bench::MemoryBench b(config);
        const iom_memory_access *store = write(b, 0, 10, IOM_CLIENT_RECORDS, 32);
        const iom_memory_access *load = read(b, 0, 10, IOM_CLIENT_PAGE_WALK);
        b.bench.run_until_idle();
        EXPECT_EQ(b.answered(store), 10 + 4 + cycles + 1);
        EXPECT_EQ(b.answered(load), 10 + latency + 1) << "reads have a latency of their own";
    }
}

// An atomic update takes the channels of writes.
TEST_F(MemoryChannels, updates_are_writes)
{
    bench::MemoryBench b(channels(2));
    iom_memory_access *update = b.access(0, 10, IOM_MEMORY_CAS, 0x1000);
    update->client = IOM_CLIENT_PAGE_WALK;
    update->desired = 7;
    const iom_memory_access *load = read(b, 1, 10, IOM_CLIENT_COMMANDS);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(update), 10 + 1 + write_latency + 1);
    EXPECT_EQ(b.answered(load), 10 + latency + 1);
    EXPECT_EQ(b.word(0x1000), 7u);
}

// ---- arbitration ---------------------------------------------------------------------------------------

/// Clients in the order in which their reads are accepted, all present in cycle 10 and again in 20.
std::vector<uint8_t> order_of(iom_memory_config config, bool swap, const std::vector<uint8_t> &clients)
{
    config.channels.positions = 5;
    const uint8_t positions[] = {0, 4, 3, 2, 1}; // as measured: records 1, commands 2, contexts 3, pages 4
    for (uint8_t client = 0; client < IOM_CLIENT_COUNT; client++)
        config.channels.position[client] = positions[client];
    if (swap)
        std::swap(config.channels.position[IOM_CLIENT_PAGE_WALK],
                  config.channels.position[IOM_CLIENT_COMMANDS]);
    bench::MemoryBench b(config);
    struct Seen {
        std::vector<uint8_t> order;
    } seen;
    const iom_memory_observer observer = {
        &seen, [](void *context, iom_cycle, const iom_memory_access *access, iom_cycle, iom_cycle) {
            static_cast<Seen *>(context)->order.push_back(access->client);
        }};
    iom_memory_set_observer(b.memory, &observer);
    for (const iom_cycle cycle : {10, 20}) {
        for (uint32_t i = 0; i < clients.size(); i++)
            b.read(i, cycle, 0x1000)->client = clients[i];
    }
    b.bench.run_until_idle();
    return seen.order;
}

constexpr uint8_t pages = IOM_CLIENT_PAGE_WALK, contexts = IOM_CLIENT_CONTEXT_WALK,
                  commands = IOM_CLIENT_COMMANDS;

// Fixed: the lowest position, each time. Round robin: the one behind the last first. Tree: the pointer is at
// 0, commands (2) before pages (4); it moves to 2, to 4, where pages win.
TEST_F(MemoryChannels, arbiters_follow_their_rule)
{
    iom_memory_config config = channels(2);
    const std::vector<uint8_t> both = {pages, commands};
    config.channels.arbitration = IOM_ARBITRATION_FIXED;
    EXPECT_EQ(order_of(config, false, both), (std::vector<uint8_t>{commands, pages, commands, pages}));
    config.channels.arbitration = IOM_ARBITRATION_ROUND_ROBIN;
    EXPECT_EQ(order_of(config, false, both), (std::vector<uint8_t>{commands, pages, commands, pages}));
    config.channels.arbitration = IOM_ARBITRATION_TREE;
    EXPECT_EQ(order_of(config, false, both), (std::vector<uint8_t>{commands, pages, pages, commands}));
    // Three at once.
    config = channels(3);
    const std::vector<uint8_t> all = {pages, contexts, commands};
    config.channels.arbitration = IOM_ARBITRATION_FIXED;
    EXPECT_EQ(order_of(config, false, all),
              (std::vector<uint8_t>{commands, contexts, pages, commands, contexts, pages}));
}

// Cycle 10: commands (pointer 0, to 2), then of 3 and 4 the contexts (to 3), then pages (to 4). Cycle 20:
// with the pointer at 4 pages first (to 2), then commands (bit 0 of 2 is clear; to 3), then contexts.
TEST_F(MemoryChannels, a_tree_of_all_walkers_follows_its_pointer)
{
    iom_memory_config config = channels(3);
    config.channels.arbitration = IOM_ARBITRATION_TREE;
    EXPECT_EQ(order_of(config, false, {pages, contexts, commands}),
              (std::vector<uint8_t>{commands, contexts, pages, pages, commands, contexts}));
}

TEST_F(MemoryChannels, positions_say_where_a_client_asks)
{
    iom_memory_config config = channels(2);
    config.channels.arbitration = IOM_ARBITRATION_FIXED;
    EXPECT_EQ(order_of(config, true, {pages, commands}),
              (std::vector<uint8_t>{pages, commands, pages, commands}));
}

// Reads do not move the pointer of writes. Commands and records write in 20; the pointer at 0 lets the lower
// position (commands) go first, one that reads had moved behind it would not.
TEST_F(MemoryChannels, reads_and_writes_have_an_arbiter_each)
{
    iom_memory_config config = channels(2);
    config.channels.arbitration = IOM_ARBITRATION_ROUND_ROBIN;
    bench::MemoryBench b(config);
    read(b, 0, 10, IOM_CLIENT_COMMANDS);
    const iom_memory_access *first = write(b, 0, 20, IOM_CLIENT_COMMANDS);
    const iom_memory_access *second = write(b, 1, 20, IOM_CLIENT_RECORDS);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(first), 20 + 1 + write_latency + 1);
    EXPECT_EQ(b.answered(second), 21 + 1 + write_latency + 1);
}

// ---- limits and values ---------------------------------------------------------------------------------

TEST_F(MemoryChannels, meet_no_other_limit)
{
    iom_memory_config config = channels(2);
    config.bytes_per_cycle = 1;
    config.outstanding = 1;
    bench::MemoryBench b(config);
    const iom_memory_access *first = read(b, 0, 10, IOM_CLIENT_PAGE_WALK, 64);
    const iom_memory_access *second = read(b, 1, 11, IOM_CLIENT_COMMANDS);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(first), 10 + latency + 7 + 1);
    EXPECT_EQ(b.answered(second), 10 + latency + 8 + 1);
}

TEST_F(MemoryChannels, without_them_the_limits_of_the_memory_hold)
{
    iom_memory_config config = channels(0, 2);
    config.bytes_per_cycle = 8;
    bench::MemoryBench b(config);
    const iom_memory_access *first = read(b, 0, 10, IOM_CLIENT_PAGE_WALK, 64); // the bus is free in 18
    const iom_memory_access *second = read(b, 1, 10, IOM_CLIENT_COMMANDS);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(first), 10 + latency + 1);
    EXPECT_EQ(b.answered(second), 18 + latency + 1);
}

// "data sampled at acceptance", and writes of that cycle come first.
TEST_F(MemoryChannels, values_are_those_of_the_cycle_of_acceptance)
{
    bench::MemoryBench b(channels(2));
    const uint64_t address = 0x2000 + 64u * IOM_CLIENT_RECORDS;
    const auto load = [&b, address](iom_cycle arrival) {
        iom_memory_access *access = b.read(0, arrival, address);
        access->client = IOM_CLIENT_PAGE_WALK;
        return access;
    };
    const iom_memory_access *before = load(9), *same = load(10);
    write(b, 1, 10, IOM_CLIENT_RECORDS);
    b.bench.run_until_idle();
    EXPECT_EQ(before->data[0], 0u);
    EXPECT_EQ(same->data[0], uint64_t{IOM_CLIENT_RECORDS});
}

TEST_F(MemoryChannels, other_inputs_do_not_use_them)
{
    bench::MemoryBench b(channels(1, 1));
    const iom_memory_access *burst = read(b, 0, 10, IOM_CLIENT_PAGE_WALK, 64);
    const iom_memory_access *beside = b.read(1, 10, 0x3000, 64);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(burst), 10 + latency + 7 + 1);
    EXPECT_EQ(b.answered(beside), 10 + latency + 1);
}

TEST_F(MemoryChannels, tell_their_observer_of_every_access)
{
    struct Seen {
        std::vector<std::tuple<iom_cycle, uint8_t, iom_cycle, iom_cycle>> list;
    } seen;
    bench::MemoryBench b(channels(1));
    const iom_memory_observer observer = {
        &seen,
        [](void *context, iom_cycle now, const iom_memory_access *access, iom_cycle first, iom_cycle last) {
            static_cast<Seen *>(context)->list.emplace_back(now, access->client, first, last);
        }};
    iom_memory_set_observer(b.memory, &observer);
    read(b, 0, 10, IOM_CLIENT_CONTEXT_WALK, 32);
    write(b, 0, 20, IOM_CLIENT_RECORDS, 32);
    b.bench.run_until_idle();
    EXPECT_EQ(seen.list, (decltype(seen.list){
                             {10, IOM_CLIENT_CONTEXT_WALK, 10 + latency, 10 + latency + 3},
                             {20, IOM_CLIENT_RECORDS, 21, 24},
                         }));
}

// Words in front of the one with the error are good, and it is told which one that is.
TEST_F(MemoryChannels, an_error_is_told_with_its_word)
{
    bench::MemoryBench b(channels(1));
    const uint64_t base = 0x1000 + 64u * IOM_CLIENT_CONTEXT_WALK, value = 0x1234;
    ASSERT_TRUE(iom_memory_image_write(b.image, base + 8, &value, 8));
    ASSERT_TRUE(iom_memory_image_mark(b.image, base + 16, IOM_ACCESS_POISONED));
    const iom_memory_access *access = read(b, 0, 10, IOM_CLIENT_CONTEXT_WALK, 32);
    b.bench.run_until_idle();
    EXPECT_EQ(access->error, IOM_ACCESS_POISONED);
    EXPECT_EQ(access->error_word, 2);
    EXPECT_EQ(access->data[1], value);
}

} // namespace
