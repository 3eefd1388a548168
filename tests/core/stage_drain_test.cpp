// SPDX-License-Identifier: Apache-2.0
//
// Draining older DMA by epochs (core/stage.h, "Drain"). Memory of the bench answers five cycles after it got
// a request; the way there and back takes one cycle each.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "core/rng.h"
#include "tests/core/support/stage_bench.h"

namespace
{

using namespace bench;

constexpr iom_cycle memory_trip = 1 + 5 + 1;
/// From the cycle in which a hit is taken up to the one in which its answer is back at the stage.
constexpr iom_cycle hit_trip = hit_cycles + memory_trip;

struct Warm : StageBench {
    explicit Warm(const iom_stage_config &config = iotlb_stage(1)) : StageBench(config)
    {
        map_all();
        warm({page_a, page_b});
    }
};

TEST(StageDrain, with_nothing_under_way_it_is_over_at_once)
{
    Warm b;
    b.drain(300, true, true, 1);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(1), 300u);
    EXPECT_EQ(b.stats().drains, 1u);
}

TEST(StageDrain, waits_for_the_kinds_it_asks_for)
{
    struct Row {
        bool reads, writes;
        iom_cycle over;
    };
    // A read taken up in 300 and a write taken up in 302; the drain arrives in 303.
    for (const Row &row : {Row{true, true, 302 + hit_trip}, Row{false, true, 302 + hit_trip},
                           Row{true, false, 300 + hit_trip}, Row{false, false, 303}}) {
        Warm b;
        b.send(0, 300, dev, page_a);
        b.write(0, 302, dev, page_b);
        b.drain(303, row.reads, row.writes, 1);
        b.bench.run_until_idle();
        EXPECT_EQ(b.acknowledged_in(1), row.over) << row.reads << row.writes;
    }
}

// In the cycle of its arrival look-ups still see what was there before; later ones do not.
TEST(StageDrain, covers_requests_up_to_the_cycle_of_its_arrival)
{
    for (iom_cycle arrival : {299u, 300u}) {
        Warm b;
        b.drain(arrival, true, true, 1);
        b.send(0, 300, dev, page_a);
        b.bench.run_until_idle();
        EXPECT_EQ(b.acknowledged_in(1), arrival == 300 ? 300 + hit_trip : 299);
    }
}

TEST(StageDrain, later_requests_do_not_hold_it_up)
{
    Warm b;
    b.send(0, 300, dev, page_a);
    b.drain(301, true, true, 1);
    for (iom_cycle c = 302; c < 400; c++)
        b.send(0, c, dev, page_b);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(1), 300 + hit_trip);
}

// The younger drain waits for the older epoch too, even though its own is empty sooner.
TEST(StageDrain, epochs_overlap)
{
    Warm b;
    iom_dma *slow = b.send(0, 300, dev, page_c); // misses
    b.drain(301, true, true, 1);
    b.write(0, 302, other, page_a); // another requester: not ordered behind
    b.drain(303, true, true, 2);
    b.drain(303, false, true, 3); // does not care for the read
    b.bench.run_until_idle();
    const iom_cycle slow_over = 300 + miss_cycles + memory_trip;
    EXPECT_EQ(b.answered(slow), slow_over + 1);
    EXPECT_EQ(b.acknowledged_in(1), slow_over);
    EXPECT_EQ(b.acknowledged_in(2), slow_over);
    EXPECT_EQ(b.acknowledged_in(3), 302 + hit_trip);
}

// What a drain asks for of its own epoch only depends on that and older ones.
TEST(StageDrain, a_drain_of_writes_passes_one_of_reads)
{
    Warm b;
    b.send(0, 300, dev, page_c); // a read that misses
    b.drain(301, true, false, 1);
    b.drain(302, false, true, 2);
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(2), 302u);
    EXPECT_EQ(b.acknowledged_in(1), 300 + miss_cycles + memory_trip);
}

TEST(StageDrain, requests_answered_without_memory_leave_too)
{
    Warm b;
    iom_dma *refused = b.send(0, 300, dev, refused_address | page_a);
    b.drain(300, true, true, 1);
    iom_dma *translation = b.send(0, 400, dev, page_a, IOM_REQ_TRANSLATE | IOM_REQ_WRITE);
    b.drain(400, false, true, 2); // a translation request writes nothing
    b.drain(400, true, false, 3);
    b.bench.run_until_idle();
    EXPECT_EQ(refused->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(translation->x.outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_LE(b.acknowledged_in(1), 300 + hit_cycles);
    EXPECT_EQ(b.acknowledged_in(2), 400u);
    EXPECT_LE(b.acknowledged_in(3), 400 + hit_cycles);
}

// A restart keeps the request in its epoch.
TEST(StageDrain, a_request_that_starts_over_stays_in_its_epoch)
{
    Warm b;
    b.answer_walks = false;
    b.send(0, 300, dev, page_c);
    b.invalidate_range(310, IOM_INVALIDATE_IOTLB, page_c, page_c + 4095);
    b.drain(312, true, true, 1);
    b.bench.run_to(315);
    b.answer_walk(0, 320);
    b.answer_walks = true;
    b.bench.run_until_idle();
    EXPECT_EQ(b.acknowledged_in(1), 320 + 3 + 22 + memory_trip) << "look-up and walk again";
}

// Translated requests use entries of a device TLB before they get here: those that wait in the input when
// the drain comes are older than it.
TEST(StageDrain, translated_requests_waiting_in_the_input_are_covered)
{
    iom_stage_config config = iotlb_stage(1);
    config.pcie_ordering = false;
    for (unsigned flags : {0u, static_cast<unsigned>(IOM_REQ_TRANSLATED)}) {
        Warm b(config);
        // Five requests in one cycle, one of them is taken up per cycle: 300 to 304.
        std::vector<iom_dma *> sent;
        for (int i = 0; i < 5; i++)
            sent.push_back(b.send(0, 300, dev, page_a, flags));
        b.drain(300, true, true, 1);
        iom_dma *late = b.send(0, 301, dev, page_b, flags);
        b.bench.run_until_idle();
        EXPECT_EQ(b.acknowledged_in(1), (flags == 0 ? 300 : 304) + hit_trip);
        EXPECT_EQ(b.answered(late), 305 + hit_trip + 1);
        // Everything has been given back: the next drain finds nothing.
        b.drain(500, true, true, 2);
        b.bench.run_until_idle();
        EXPECT_EQ(b.acknowledged_in(2), 500u);
    }
}

// More epochs than the ring has places: the drain waits for the oldest, and nothing is lost.
TEST(StageDrain, the_ring_of_epochs_is_bounded)
{
    iom_stage_config config = iotlb_stage(1);
    config.pcie_ordering = false;
    Warm b(config);
    b.answer_walks = false;
    iom_dma *stuck = b.send(0, 300, dev, page_d);
    constexpr uint64_t drains = IOM_STAGE_EPOCHS + 20;
    b.memory_cycles = 1000; // keeps every epoch open
    for (uint64_t i = 0; i < drains; i++) {
        b.send(0, 310 + 4 * i, dev, page_a);
        b.drain(312 + 4 * i, true, true, i + 1);
    }
    b.bench.run_to(800);
    EXPECT_TRUE(b.acks.empty());
    b.answer_walk(0, 900);
    b.bench.run_until_idle();
    ASSERT_EQ(b.acks.size(), drains);
    const iom_cycle first = b.answered(stuck) - 1;
    EXPECT_EQ(b.acknowledged_in(1), first) << "all epochs wait for the oldest";
    for (uint64_t i = 1; i <= drains; i++)
        EXPECT_GE(b.acknowledged_in(i), first);
}

// Random requests and drains against the definition: the first cycle in which no request taken up by the
// drain's arrival, of the kinds asked for, is without its answer.
TEST(StageDrain, agrees_with_its_definition_on_random_traffic)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        iom_rng rng;
        iom_rng_seed(&rng, seed, "drain");
        iom_stage_config config = iotlb_stage(1);
        config.lookups_per_cycle = 100; // taken up in the cycle of arrival
        config.pcie_ordering = iom_rng_below(&rng, 2) != 0;
        config.miss_entries = config.merges_per_entry = 200;
        Warm b(config);
        struct Sent {
            iom_cycle taken;
            iom_dma *dma;
        };
        struct Drain {
            iom_cycle arrival;
            bool reads, writes;
            uint64_t cookie;
        };
        std::vector<Sent> sent;
        std::vector<Drain> drains;
        for (uint64_t i = 0; i < 120; i++) {
            const iom_cycle at = 300 + iom_rng_below(&rng, 200);
            const uint64_t page = uint64_t{0x10000} * (1 + iom_rng_below(&rng, 5)); // one is not mapped
            const uint32_t source = 1 + static_cast<uint32_t>(iom_rng_below(&rng, 3));
            switch (iom_rng_below(&rng, 5)) {
            case 0:
                drains.push_back({at, iom_rng_below(&rng, 2) != 0, iom_rng_below(&rng, 2) != 0, i + 1});
                b.drain(at, drains.back().reads, drains.back().writes, i + 1);
                break;
            case 1:
            case 2:
                sent.push_back({at, b.write(0, at, source, page)});
                break;
            default:
                sent.push_back({at, b.send(0, at, source, page)});
                break;
            }
        }
        b.bench.run_until_idle();
        for (const Drain &drain : drains) {
            iom_cycle over = drain.arrival;
            for (const Sent &s : sent) {
                const bool write = (s.dma->x.flags & IOM_REQ_WRITE) != 0;
                if (s.taken > drain.arrival || !(write ? drain.writes : drain.reads))
                    continue;
                // The stage answers one cycle before the device has it; without memory it knows earlier and
                // sends the answer ahead.
                const bool by_memory = b.at_memory(s.dma) != IOM_NEVER;
                if (by_memory)
                    over = std::max(over, b.answered(s.dma) - 1);
            }
            const iom_cycle got = b.acknowledged_in(drain.cookie);
            EXPECT_GE(got, over) << "seed " << seed << " drain " << drain.cookie;
            // Refused requests may add to it, no more than the slowest of them.
            iom_cycle bound = over;
            for (const Sent &s : sent) {
                if (s.taken <= drain.arrival && b.answered(s.dma) != IOM_NEVER)
                    bound = std::max(bound, b.at_memory(s.dma) == IOM_NEVER ? b.answered(s.dma) : over);
            }
            EXPECT_LE(got, bound) << "seed " << seed << " drain " << drain.cookie;
        }
    }
}

} // namespace
