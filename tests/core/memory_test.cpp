// SPDX-License-Identifier: Apache-2.0
//
// The memory unit (core/memory.h): latency, bandwidth, slots, the last-level cache, and what a read
// sees. Requests take one cycle to the unit and answers one cycle back, so an access accepted in c is
// answered at c + latency + 1.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/core/support/memory_bench.hpp"

namespace
{

using bench::MemoryBench;
using bench::ram_last;

iom_memory_config plain(uint32_t inputs, uint64_t latency)
{
    return bench::plain_memory(inputs, latency);
}

// ---- time ---------------------------------------------------------------------------------------------

TEST(Memory, answers_after_its_latency)
{
    for (uint64_t latency : {1, 2, 7, 50, 100, 5000}) {
        MemoryBench b(plain(1, latency));
        iom_memory_access *a = b.read(0, 10, 0x1000);
        iom_dma *d = b.dma(0, 10, 0x2000, 64, 0);
        b.bench.run_until_idle();
        EXPECT_EQ(b.answered(a), 10 + latency + 1);
        EXPECT_EQ(b.answered(d), 10 + latency + 1);
        EXPECT_EQ(d->visible, 10u);
    }
}

TEST(Memory, bandwidth_spaces_acceptance)
{
    iom_memory_config config = plain(1, 20);
    config.bytes_per_cycle = 16;
    MemoryBench b(config);
    iom_memory_access *first = b.read(0, 10, 0x1000, 64); // occupies 10..13
    iom_memory_access *second = b.read(0, 10, 0x1040, 8); // 14
    iom_dma *third = b.dma(0, 10, 0x2000, 33, 0);         // 15..17
    iom_memory_access *fourth = b.read(0, 10, 0x1080, 1); // 18
    iom_memory_access *late = b.read(0, 100, 0x1080, 8);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(first), 10u + 21);
    EXPECT_EQ(b.answered(second), 14u + 21);
    EXPECT_EQ(b.answered(third), 15u + 21);
    EXPECT_EQ(third->visible, 15u);
    EXPECT_EQ(b.answered(fourth), 18u + 21);
    EXPECT_EQ(b.answered(late), 100u + 21);
    EXPECT_EQ(b.stats().busy_cycles, 4u + 1 + 3 + 1 + 1);
}

TEST(Memory, slots_limit_accesses_in_flight)
{
    iom_memory_config config = plain(2, 30);
    config.outstanding = 2;
    MemoryBench b(config);
    std::vector<iom_memory_access *> sent;
    for (uint32_t i = 0; i < 6; i++)
        sent.push_back(b.read(i % 2, 10, 0x1000 + 64 * i));
    b.bench.run_until_idle();
    std::vector<iom_cycle> cycles;
    cycles.reserve(sent.size());
    for (iom_memory_access *a : sent)
        cycles.push_back(b.answered(a));
    std::sort(cycles.begin(), cycles.end());
    // Two at a time; a slot is free again in the cycle in which its answer departs.
    EXPECT_EQ(cycles, (std::vector<iom_cycle>{41, 41, 71, 71, 101, 101}));
    EXPECT_EQ(b.stats().most_outstanding, 2u);
}

TEST(Memory, inputs_take_turns)
{
    iom_memory_config config = plain(3, 5);
    config.bytes_per_cycle = 8;
    MemoryBench b(config);
    std::vector<std::pair<uint32_t, iom_memory_access *>> sent;
    for (uint32_t input = 0; input < 3; input++) {
        for (int i = 0; i < 3; i++)
            sent.emplace_back(input, b.read(input, 10, 0x1000));
    }
    b.bench.run_until_idle();
    std::map<iom_cycle, uint32_t> by_cycle;
    for (auto [input, a] : sent)
        by_cycle[b.answered(a)] = input;
    std::vector<uint32_t> order;
    order.reserve(by_cycle.size());
    for (auto [cycle, input] : by_cycle)
        order.push_back(input);
    EXPECT_EQ(order, (std::vector<uint32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2}));
    EXPECT_EQ(by_cycle.begin()->first, 16u);
    EXPECT_EQ(by_cycle.rbegin()->first, 16u + 8);
}

TEST(Memory, a_slot_of_a_port_is_free_when_its_request_is_accepted)
{
    iom_memory_config config = plain(1, 50);
    config.bytes_per_cycle = 8;
    MemoryBench b(config, 1);
    b.read(0, 10, 0x1000);
    std::vector<iom_cycle> free_at;
    for (iom_cycle cycle = 9; cycle < 14; cycle++) {
        b.user.at(cycle, [&](iom_cycle now) {
            if (iom_port_can_send(b.user.port(0), now))
                free_at.push_back(now);
        });
    }
    b.bench.run_until_idle();
    EXPECT_EQ(free_at, (std::vector<iom_cycle>{11, 12, 13}));
}

// ---- last-level cache ---------------------------------------------------------------------------------

iom_memory_config with_llc(uint32_t inputs)
{
    iom_memory_config config = plain(inputs, 40);
    config.llc.entries = config.llc.ways = 4;
    config.llc.policy = IOM_POLICY_LRU;
    config.llc.prefer_invalid = true;
    config.llc.match = IOM_TAG_ADDRESS;
    config.llc_latency_cycles = 6;
    return config;
}

TEST(Memory, the_last_level_cache_serves_lines_read_before)
{
    MemoryBench b(with_llc(1));
    iom_memory_access *miss = b.read(0, 10, 0x1000), *hit = b.read(0, 100, 0x1038),
                      *next_line = b.read(0, 200, 0x1040);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(miss), 51u);
    EXPECT_EQ(b.answered(hit), 107u);
    EXPECT_EQ(b.answered(next_line), 241u);
    EXPECT_EQ(b.stats().llc_hits, 1u);
    EXPECT_EQ(b.stats().llc_misses, 2u);
}

TEST(Memory, the_last_level_cache_replaces_lines)
{
    MemoryBench b(with_llc(1));
    for (uint32_t i = 0; i < 5; i++) // the fifth line displaces the first
        b.read(0, iom_cycle{100} * (i + 1), 0x1000 + uint64_t{64} * i);
    iom_memory_access *kept = b.read(0, 600, 0x1100), *displaced = b.read(0, 700, 0x1000);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(kept), 607u);
    EXPECT_EQ(b.answered(displaced), 741u);
}

TEST(Memory, dma_passes_by_the_last_level_cache)
{
    MemoryBench b(with_llc(1));
    b.read(0, 10, 0x1000);
    iom_dma *d = b.dma(0, 100, 0x1000, 64, 0);
    iom_memory_access *after = b.read(0, 200, 0x2000);
    b.dma(0, 300, 0x3000, 64, 0);
    iom_memory_access *not_filled = b.read(0, 400, 0x3000);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(d), 141u);
    EXPECT_EQ(b.answered(after), 241u);
    EXPECT_EQ(b.answered(not_filled), 441u);
}

// A hit needs neither bandwidth nor a slot, and gives none back.
TEST(Memory, hits_take_no_bandwidth_and_no_slot)
{
    iom_memory_config config = with_llc(2);
    config.bytes_per_cycle = 1;
    config.outstanding = 1;
    MemoryBench b(config);
    b.read(0, 10, 0x1000);
    b.bench.run_until_idle();
    const uint64_t busy = b.stats().busy_cycles;
    iom_memory_access *hit = b.read(1, 200, 0x1000);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(hit), 207u);
    EXPECT_EQ(b.stats().busy_cycles, busy);
    // Behind a hit the full bandwidth is there.
    iom_memory_access *again = b.read(1, 300, 0x1000), *dram = b.read(1, 301, 0x4000);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answered(again), 307u);
    EXPECT_EQ(b.answered(dram), 342u);
}

// The cache holds places, not values: a write between two reads is seen.
TEST(Memory, a_hit_returns_what_memory_holds_now)
{
    MemoryBench b(with_llc(1));
    b.write(0, 10, 0x1000, 1);
    b.read(0, 20, 0x1000);
    b.write(0, 100, 0x1000, 2);
    iom_memory_access *hit = b.read(0, 200, 0x1000);
    b.bench.run_until_idle();
    EXPECT_EQ(hit->data[0], 2u);
}

// ---- values -------------------------------------------------------------------------------------------

TEST(Memory, moves_bytes_in_memory_order)
{
    MemoryBench b(plain(1, 3));
    uint8_t line[64];
    for (uint8_t i = 0; i < 64; i++)
        line[i] = static_cast<uint8_t>(i * 3);
    ASSERT_TRUE(iom_memory_image_write(b.image, 0x1000, line, 64));
    iom_memory_access *all = b.read(0, 10, 0x1000, 64), *some = b.read(0, 20, 0x1007, 5);
    iom_memory_access *narrow = b.access(0, 30, IOM_MEMORY_WRITE, 0x1003, 3);
    narrow->data[0] = 0xaabbccdd;
    b.bench.run_until_idle();
    EXPECT_EQ(std::memcmp(all->data, line, 64), 0);
    EXPECT_EQ(std::memcmp(some->data, line + 7, 5), 0);
    uint8_t after[8];
    ASSERT_TRUE(iom_memory_image_read(b.image, 0x1000, after, 8));
    const uint8_t expected[8] = {0, 3, 6, 0xdd, 0xcc, 0xbb, 18, 21};
    EXPECT_EQ(std::memcmp(after, expected, 8), 0);
}

TEST(Memory, writes_of_a_cycle_come_before_reads_of_the_cycle)
{
    MemoryBench b(plain(3, 9));
    iom_memory_access *read_before = b.read(0, 10, 0x1000);
    b.write(1, 10, 0x1000, 7);
    iom_memory_access *read_behind = b.read(2, 10, 0x1000);
    b.bench.run_until_idle();
    EXPECT_EQ(read_before->data[0], 7u);
    EXPECT_EQ(read_behind->data[0], 7u);
}

TEST(Memory, a_read_is_sampled_when_it_is_accepted)
{
    MemoryBench b(plain(2, 50));
    iom_memory_access *early = b.read(0, 10, 0x1000);
    b.write(1, 11, 0x1000, 7);
    iom_memory_access *late = b.read(0, 12, 0x1000);
    b.bench.run_until_idle();
    EXPECT_EQ(early->data[0], 0u);
    EXPECT_EQ(late->data[0], 7u);
}

TEST(Memory, compare_and_swap)
{
    MemoryBench b(plain(1, 5));
    b.write(0, 5, 0x1000, 40);
    iom_memory_access *good = b.access(0, 10, IOM_MEMORY_CAS, 0x1000);
    good->expected = 40, good->desired = 41;
    iom_memory_access *bad = b.access(0, 20, IOM_MEMORY_CAS, 0x1000);
    bad->expected = 40, bad->desired = 99;
    b.bench.run_until_idle();
    EXPECT_EQ(good->data[0], 40u);
    EXPECT_EQ(bad->data[0], 41u) << "what was there";
    EXPECT_EQ(b.word(0x1000), 41u);
    EXPECT_EQ(b.answered(good), 16u);
}

// Only one of two swaps of one cycle finds what both expect.
TEST(Memory, compare_and_swaps_of_one_cycle_exclude_each_other)
{
    MemoryBench b(plain(2, 5));
    iom_memory_access *swaps[2];
    for (uint32_t i = 0; i < 2; i++) {
        swaps[i] = b.access(i, 10, IOM_MEMORY_CAS, 0x1000);
        swaps[i]->expected = 0, swaps[i]->desired = i + 1;
    }
    b.bench.run_until_idle();
    EXPECT_EQ((swaps[0]->data[0] == 0) + (swaps[1]->data[0] == 0), 1);
}

TEST(Memory, dma_moves_its_payload)
{
    MemoryBench b(plain(1, 5));
    uint8_t out[48], in[48] = {};
    for (uint8_t i = 0; i < 48; i++)
        out[i] = static_cast<uint8_t>(200 - i);
    iom_dma *w = b.dma(0, 10, 0x1fe0, 48, IOM_REQ_WRITE); // ends beyond the line
    w->data = out;
    iom_dma *r = b.dma(0, 20, 0x1fe0, 48, 0);
    r->data = in;
    b.bench.run_until_idle();
    EXPECT_EQ(std::memcmp(in, out, 48), 0);
    EXPECT_EQ(b.stats().dma_reads, 1u);
    EXPECT_EQ(b.stats().dma_writes, 1u);
    EXPECT_EQ(b.stats().dma_bytes, 96u);
}

TEST(Memory, addresses_that_do_not_answer_are_errors)
{
    MemoryBench b(plain(1, 5));
    iom_memory_access *read = b.read(0, 10, ram_last + 1), *write = b.write(0, 11, ram_last - 3, 1);
    iom_memory_access *swap = b.access(0, 12, IOM_MEMORY_CAS, uint64_t{1} << 50);
    iom_dma *dma = b.dma(0, 13, uint64_t{1} << 50, 64, 0);
    iom_memory_access *good = b.read(0, 14, 0);
    b.bench.run_until_idle();
    EXPECT_EQ(read->error, 1u);
    EXPECT_EQ(write->error, 1u);
    EXPECT_EQ(swap->error, 1u);
    EXPECT_EQ(dma->memory_error, 1u);
    EXPECT_EQ(good->error, 0u);
    EXPECT_EQ(b.stats().errors, 4u);
    EXPECT_NE(b.answered(dma), IOM_NEVER);
}

// Corrupt words are errors for who reads them: an atomic update does, a write does not.
TEST(Memory, corrupt_words_are_errors_of_those_who_read_them)
{
    for (const iom_memory_op op : {IOM_MEMORY_READ, IOM_MEMORY_CAS, IOM_MEMORY_WRITE}) {
        MemoryBench b(plain(1, 5));
        ASSERT_TRUE(iom_memory_image_mark(b.image, 0x1000, IOM_ACCESS_POISONED));
        iom_memory_access *access = b.access(0, 10, op, 0x1000);
        access->desired = 7;
        b.bench.run_until_idle();
        const bool reads = op != IOM_MEMORY_WRITE;
        EXPECT_EQ(access->error, reads ? IOM_ACCESS_POISONED : IOM_ACCESS_OK);
        EXPECT_EQ(b.stats().errors, reads ? 1u : 0u) << "each counts once";
    }
}

} // namespace
