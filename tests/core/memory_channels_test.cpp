// SPDX-License-Identifier: Apache-2.0
//
// The channels of a memory port (core/memory.h): arbitration, beats in order, write data and responses. What
// is accepted in c and departs in d has left its sender in c - 1 and is back in d + 1.
#include <gtest/gtest.h>

#include <tuple>
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
