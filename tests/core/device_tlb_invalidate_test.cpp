// SPDX-License-Identifier: Apache-2.0
//
// Invalidations of the device TLB: what they remove, when, and what their completions wait for; and a random
// search for uses of old translations after a completion.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "tests/core/support/device_tlb_bench.h"

namespace
{

using namespace bench::device_tlb;

class DeviceTlbInvalidate : public testing::Test, public Rig
{
};

// Entries: page_a and page_b of the device, of PASID 7 and 8; page_c global of PASID 7.
class DeviceTlbSpaces : public DeviceTlbInvalidate
{
  protected:
    void SetUp() override
    {
        build(default_config());
        warm({page_a, page_b});
        warm({page_a, page_b}, IOM_REQ_PASID, 7);
        warm({page_a, page_b}, IOM_REQ_PASID, 8);
        map(page_c, IOM_PERM_READ, 12, 1);
        warm({page_c}, IOM_REQ_PASID, 7);
    }
    /// Which of device a, device b, 7 a, 7 b, 8 a, 8 b, global are still there.
    std::string remaining()
    {
        std::string text;
        auto there = [&](uint64_t page, bool pasid, uint32_t value) {
            iom_cache_match match = {};
            match.fields = IOM_TAG_ADDRESS | IOM_TAG_SUBSTREAM;
            match.first = match.last = page;
            match.tag.substream = pasid ? value : UINT32_MAX;
            text += iom_cache_count_matching(iom_device_tlb_cache(tlb_), bench_.now() + 1, &match) != 0 ? '1'
                                                                                                        : '0';
        };
        for (uint32_t space : {0u, 7u, 8u}) {
            there(page_a, space != 0, space);
            there(page_b, space != 0, space);
        }
        there(page_c, true, 7);
        return text;
    }
};

TEST_F(DeviceTlbSpaces, without_pasid_the_range_is_the_devices_and_every_process_goes)
{
    iom_ats_invalidation *msg = invalidate_page(bench_.now() + 5, page_a);
    bench_.run_until_idle();
    EXPECT_EQ(remaining(), "0100000");
    EXPECT_EQ(msg->removed, 6u);
}

TEST_F(DeviceTlbSpaces, with_pasid_only_its_own_pages_go)
{
    iom_ats_invalidation *msg = invalidate_page(bench_.now() + 5, page_a);
    msg->what.has_pasid = true;
    msg->what.pasid = 7;
    bench_.run_until_idle();
    EXPECT_EQ(remaining(), "1101111");
    EXPECT_EQ(msg->removed, 1u);
    msg = invalidate(bench_.now() + 5, 0, UINT64_MAX);
    msg->what.has_pasid = true;
    msg->what.pasid = 7;
    bench_.run_until_idle();
    EXPECT_EQ(remaining(), "1100111"); // a global entry stays
    EXPECT_EQ(stats().invalidated, 2u);
}

TEST_F(DeviceTlbSpaces, global_reaches_every_process_in_the_range)
{
    iom_ats_invalidation *msg = invalidate(bench_.now() + 5, page_b, page_c + 0xfff);
    msg->what.has_pasid = true;
    msg->what.global = true;
    msg->what.pasid = 7;
    bench_.run_until_idle();
    EXPECT_EQ(remaining(), "1110100");
    EXPECT_EQ(msg->removed, 3u);
}

// ---- invalidations: time -------------------------------------------------------------------------------

TEST_F(DeviceTlbInvalidate, an_invalidation_is_applied_at_the_end_of_its_cycle)
{
    build(default_config());
    warm({page_a});
    iom_ats_invalidation *msg = invalidate_page(100, page_a);
    iom_dma *in_cycle = send(100, page_a);
    bench_.run_to(104);
    iom_dma *after = send(106, page_a);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(in_cycle), 100 + latency + 1);
    EXPECT_EQ(translation_requests().size(), 1u);
    EXPECT_NE(at_host(after), IOM_NEVER);
    EXPECT_EQ(msg->applied, 100u);
    EXPECT_EQ(msg->removed, 1u);
    EXPECT_EQ(stats().invalidated, 1u);
    // The read that hit in 100 had to be answered first.
    const iom_cycle back = 100 + latency + 1 + memory_cycles_ + 1;
    EXPECT_EQ(completed(msg), back + 1);
}

TEST_F(DeviceTlbInvalidate, invalidations_go_one_after_the_other)
{
    build(default_config());
    std::vector<iom_ats_invalidation *> list;
    for (int i = 0; i < 6; i++)
        list.push_back(invalidate_page(100, page_a));
    bench_.run_until_idle();
    for (size_t i = 0; i < list.size(); i++) {
        EXPECT_EQ(list[i]->applied, 100 + i) << i;
        EXPECT_EQ(completed(list[i]), 100 + i + 1) << i;
    }
    EXPECT_EQ(stats().most_invalidations, 4u); // the queue's depth
    EXPECT_EQ(stats().invalidations, 6u);
}

TEST_F(DeviceTlbInvalidate, a_scan_takes_its_time_and_may_block)
{
    for (bool blocking : {false, true}) {
        SCOPED_TRACE(blocking);
        Rig rig;
        iom_device_tlb_config config = default_config();
        config.invalidate.method = IOM_INVALIDATE_SCAN;
        config.invalidate.entries_per_cycle = 3; // 16 entries: 6 cycles
        config.invalidate.blocking = blocking;
        rig.build(config);
        rig.warm({page_a, page_b});
        iom_ats_invalidation *first = rig.invalidate_page(100, page_a);
        iom_ats_invalidation *second = rig.invalidate_page(103, page_a);
        std::vector<iom_dma *> reads;
        for (iom_cycle c : {99, 100, 105, 112})
            reads.push_back(rig.send(c, page_b));
        rig.bench_.run_until_idle();
        EXPECT_EQ(first->applied, 105u);
        EXPECT_EQ(second->applied, 111u);
        EXPECT_EQ(rig.completed(second), 112u);
        EXPECT_EQ(rig.at_host(reads[0]), 99 + latency + 1);
        EXPECT_EQ(rig.at_host(reads[1]), (blocking ? 112 : 100) + latency + 1);
        EXPECT_EQ(rig.at_host(reads[2]), (blocking ? 113 : 105) + latency + 1);
        EXPECT_EQ(rig.at_host(reads[3]), (blocking ? 114 : 112) + latency + 1);
    }
}

// ---- invalidations: order ------------------------------------------------------------------------------

TEST_F(DeviceTlbInvalidate, the_completion_waits_for_reads_with_the_translation_removed)
{
    answer_dma_ = true;
    build(default_config());
    warm({page_a, page_b});
    memory_cycles_ = 50;
    iom_dma *of_page = send(100, page_a);
    send(101, page_b); // of another page: nobody waits for it
    memory_cycles_ = 50;
    iom_ats_invalidation *of_a = invalidate_page(102, page_a); // still in its look-up
    iom_ats_invalidation *of_c = invalidate_page(103, page_c);
    bench_.run_until_idle();
    EXPECT_EQ(completed(of_a), answered(of_page));
    EXPECT_EQ(answered(of_page), 100 + latency + 1 + 50 + 1 + 1);
    EXPECT_EQ(completed(of_c), 103 + 1);
}

TEST_F(DeviceTlbInvalidate, the_completion_follows_posted_writes_sent_before)
{
    // On a connection of its own, and a shorter one.
    build(default_config(), 0, 1);
    warm({page_a}, posted);
    memory_cycles_ = 1000; // nobody waits for the answers of writes
    iom_dma *write = send(100, page_a, posted);
    iom_ats_invalidation *msg = invalidate_page(101, page_a);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(write), 100 + latency + 1);
    EXPECT_EQ(completed(msg), at_host(write));
}

TEST_F(DeviceTlbInvalidate, the_completion_waits_for_writes_that_wait_for_credits)
{
    build(default_config(), 2);
    warm({page_a}, posted);
    return_credits_ = false;
    send(100, page_b, posted);                // asks with the first credit
    iom_dma *hit = send(101, page_a, posted); // both hit, and are parked behind it
    iom_dma *last = send(102, page_a, posted);
    iom_ats_invalidation *msg = invalidate_page(110, page_a);
    for (iom_cycle c : {200, 300})
        world_.at(c, [this](iom_cycle now) { iom_port_return_credit(world_.port(HOST), now); });
    bench_.run_to(290);
    EXPECT_EQ(at_host(hit), 202u); // the first one went with the second credit
    EXPECT_EQ(at_host(last), IOM_NEVER);
    EXPECT_EQ(completed(msg), IOM_NEVER);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(last), 302u);
    EXPECT_EQ(completed(msg), 302u);
}

TEST_F(DeviceTlbInvalidate, writes_decided_but_parked_behind_another_count_as_sent_before)
{
    build(default_config());
    warm({page_a}, posted);
    iom_dma *first = send(100, page_b, posted);  // asks
    iom_dma *parked = send(101, page_a, posted); // hits, waits for its turn
    iom_ats_invalidation *msg = invalidate_page(110, page_a);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(parked), at_host(first));
    EXPECT_EQ(completed(msg), at_host(parked));
    EXPECT_EQ(msg->applied, 110u);
}

TEST_F(DeviceTlbInvalidate, a_completion_that_overtakes_writes_is_mended_by_a_second_one)
{
    iom_device_tlb_config config = default_config();
    config.completion_overtakes_writes = true;
    config.write_buffer_cycles = 40;
    build(config);
    warm({page_a}, posted);
    iom_dma *write = send(100, page_a, posted);
    iom_ats_invalidation *first = invalidate_page(101, page_a);
    iom_ats_invalidation *second = invalidate_page(105, page_a);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(write), 100 + latency + 40 + 1);
    EXPECT_EQ(completed(first), 102u);
    EXPECT_EQ(completed(second), at_host(write));
}

TEST_F(DeviceTlbInvalidate, a_silent_device_never_completes_and_holds_nobody_up)
{
    iom_device_tlb_config config = default_config();
    config.silent = true;
    build(config);
    warm({page_a});
    iom_ats_invalidation *msg = invalidate_page(100, page_a);
    iom_dma *read = send(150, page_a);
    bench_.run_until_idle(); // no deadlock
    EXPECT_EQ(completed(msg), IOM_NEVER);
    EXPECT_EQ(at_host(read), 150 + latency + 1); // the entry is still there
}

// ---- translation requests under way ----------------------------------------------------------------------

TEST_F(DeviceTlbInvalidate, what_is_under_way_is_squashed)
{
    build(default_config());
    walk_cycles_ = 50;
    const iom_cycle answer = 10 + latency + 1 + 50 + 1;
    iom_dma *first = send(10, page_a);
    iom_dma *joined = send(12, page_a);
    iom_ats_invalidation *msg = invalidate_page(30, page_a);
    iom_dma *later = send(40, page_a); // does not join a poisoned one
    bench_.run_until_idle();
    EXPECT_EQ(completed(msg), 31u); // waits for nothing
    EXPECT_EQ(stats().squashed, 1u);
    std::vector<Seen> requests = translation_requests();
    ASSERT_EQ(requests.size(), 2u);
    EXPECT_EQ(requests[1].cycle, 40 + latency + 1);
    const iom_cycle second = requests[1].cycle + 50 + 1;
    EXPECT_LT(answer, second);
    EXPECT_EQ(at_host(later), second + 1);
    EXPECT_EQ(at_host(first), second + 1); // joined it in the cycle of its own answer
    EXPECT_EQ(at_host(joined), second + 1);
    EXPECT_EQ(stats().fills, 1u);
}

// Under a storm of invalidations no answer would ever come in time: who has looked up again often enough
// keeps the next one from beginning.
TEST_F(DeviceTlbInvalidate, a_storm_of_invalidations_starves_nobody)
{
    build(default_config());
    walk_cycles_ = 50;
    iom_dma *read = send(100, page_a);
    std::vector<iom_ats_invalidation *> storm;
    for (iom_cycle c = 105; c < 2000; c += 10)
        storm.push_back(invalidate_page(c, page_a));
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), IOM_DEVICE_TLB_PATIENCE + 1) << "one more, which none may spoil";
    const iom_cycle round = 50 + latency + 1 + 1;
    EXPECT_EQ(at_host(read), 100 + (IOM_DEVICE_TLB_PATIENCE + 1) * round + 1);
    EXPECT_EQ(stats().starved, 1u);
    EXPECT_EQ(stats().invalidations, storm.size());
    iom_cycle before = 0;
    for (const iom_ats_invalidation *one : storm) { // kept waiting, not lost
        EXPECT_GT(one->applied, before);
        before = one->applied;
        EXPECT_NE(completed(one), IOM_NEVER);
    }
}

// It is served even if it finds in the end that it may not.
TEST_F(DeviceTlbInvalidate, patience_ends_with_a_refusal_too)
{
    for (bool fallback : {false, true}) {
        Rig rig;
        iom_device_tlb_config config = default_config();
        config.untranslated_fallback = fallback;
        rig.build(config);
        rig.walk_cycles_ = 50;
        rig.answer_with(page_a, IOM_OUTCOME_DENIED);
        for (int i = 0; i < 3; i++)
            rig.send(100 + static_cast<iom_cycle>(i), page_a, IOM_REQ_WRITE);
        std::vector<iom_ats_invalidation *> storm;
        for (iom_cycle c = 105; c < 1000; c += 10)
            storm.push_back(rig.invalidate_page(c, page_a));
        rig.bench_.run_until_idle();
        EXPECT_EQ(rig.stats().starved, 3u);
        EXPECT_EQ(rig.stats().refused, 3u);
        EXPECT_NE(rig.completed(storm.back()), IOM_NEVER);
    }
}

TEST_F(DeviceTlbInvalidate, the_completion_says_how_many_translation_requests_were_stopped)
{
    for (bool squash : {false, true}) {
        Rig rig;
        iom_device_tlb_config config = default_config();
        config.squash = squash;
        rig.build(config);
        rig.send(10, page_a);
        rig.send(11, page_b);
        const iom_ats_invalidation *one = rig.invalidate_page(20, page_a);
        const iom_ats_invalidation *none = rig.invalidate_page(22, page_a); // already stopped
        rig.bench_.run_until_idle();
        EXPECT_EQ(one->stopped, squash ? 1u : 0u);
        EXPECT_EQ(none->stopped, 0u);
    }
}

TEST_F(DeviceTlbInvalidate, other_pages_under_way_are_not_squashed)
{
    build(default_config());
    iom_dma *read = send(10, page_a);
    invalidate_page(20, page_b);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 1u);
    EXPECT_NE(at_host(read), IOM_NEVER);
    EXPECT_EQ(stats().squashed, 0u);
}

TEST_F(DeviceTlbInvalidate, a_large_answer_is_squashed_by_any_of_its_pages)
{
    const uint64_t large = 0x40000000;
    map(large, IOM_PERM_READ, 21);
    build(default_config());
    send(10, large + 0x3000);
    iom_ats_invalidation *inner = invalidate_page(20, large + 0x9000);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 2u);
    EXPECT_EQ(stats().squashed, 1u);
    EXPECT_EQ(stats().fills, 1u);
    EXPECT_EQ(inner->removed, 0u);
}

TEST_F(DeviceTlbInvalidate, without_squash_the_stale_answer_is_filled)
{
    iom_device_tlb_config config = default_config();
    config.squash = false;
    build(config);
    iom_dma *read = send(10, page_a);
    invalidate_page(20, page_a);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(read), 10 + latency + 1 + walk_cycles_ + 1 + 1);
    EXPECT_EQ(stats().fills, 1u);
    EXPECT_EQ(stats().squashed, 0u);
    seen_.clear();
    send(100, page_a);
    bench_.run_until_idle();
    EXPECT_TRUE(translation_requests().empty());
}

TEST_F(DeviceTlbInvalidate, a_fill_in_the_cycle_of_the_invalidation_is_removed)
{
    build(default_config());
    const iom_cycle answer = 10 + latency + 1 + walk_cycles_ + 1;
    iom_dma *read = send(10, page_a);
    iom_ats_invalidation *msg = invalidate_page(answer, page_a);
    bench_.run_until_idle();
    EXPECT_EQ(at_host(read), answer + 1);
    EXPECT_EQ(msg->removed, 1u);
    EXPECT_EQ(completed(msg), answered(read)); // it went on with what was removed
    EXPECT_EQ(stats().invalidated, 1u);
}

TEST_F(DeviceTlbInvalidate, works_without_entries)
{
    iom_device_tlb_config config = default_config();
    config.cache.entries = config.cache.ways = 0;
    build(config);
    send(10, page_a);
    send(100, page_a);
    iom_ats_invalidation *msg = invalidate_page(200, page_a);
    bench_.run_until_idle();
    EXPECT_EQ(translation_requests().size(), 2u);
    EXPECT_EQ(completed(msg), 201u);
}

TEST_F(DeviceTlbInvalidate, unusable_geometry_is_refused)
{
    iom_device_tlb_config config = default_config();
    config.cache.entries = 12;
    config.cache.ways = 8;
    EXPECT_EQ(iom_device_tlb_create(&config, "bad"), nullptr);
}

// ---- random --------------------------------------------------------------------------------------------

// Pages get new translations while requests are under way, and are invalidated afterwards. After the
// completion nothing may arrive with, or read through, an older translation; with and without shuffled
// evaluation everything happens in the same cycles.
class RandomRig : public Rig
{
  public:
    struct Outcome {
        std::vector<std::tuple<iom_cycle, uint64_t>> arrivals;
        uint64_t late = 0, completions = 0;
    };
    void translate(iom_dma *dma) override
    {
        Rig::translate(dma);
        dma->x.leaf.output += version_[page_of(dma->x.address)] << 40;
    }
    static uint64_t page_of(uint64_t address)
    {
        return address & 0x3ff000;
    }
    /// `disturb`: units of a cycle in random order, and evaluations for nothing in between.
    Outcome run(uint64_t seed, bool squash, bool disturb)
    {
        Outcome result;
        iom_rng rng;
        iom_rng_seed(&rng, seed, "device_tlb");
        iom_device_tlb_config config = default_config();
        config.cache.entries = 8;
        config.cache.ways = 2;
        config.lookups_per_cycle = 2;
        config.squash = squash;
        config.invalidate.method = IOM_INVALIDATE_SCAN;
        config.invalidate.entries_per_cycle = 2;
        build(config, 3);
        if (disturb)
            bench_.shuffle(seed);
        map(0, IOM_PERM_ALL);
        on_host = [&](iom_cycle now, iom_dma *dma) {
            result.arrivals.emplace_back(now, dma->x.address);
            if ((dma->x.flags & IOM_REQ_TRANSLATED) != 0)
                result.late += dma->x.address >> 40 < safe_[page_of(dma->x.address)];
            walk_cycles_ = 3 + iom_rng_below(&rng, 40);
        };
        on_answer = [&](iom_cycle, iom_dma *dma) {
            const bool read = (dma->x.flags & IOM_REQ_POSTED) == 0;
            result.late += read && dma->x.leaf.output >> 40 < safe_[page_of(dma->x.address)];
        };
        // Messages of the host port are handled after those of the completion port: what arrives together
        // with a completion has not come late.
        on_completion = [&](iom_cycle now, iom_ats_invalidation *msg) {
            const uint64_t page = msg->what.first, version = msg->id;
            result.completions++;
            world_.at(now,
                      [this, page, version](iom_cycle) { safe_[page] = std::max(safe_[page], version); });
        };
        iom_cycle now = 10;
        for (int i = 0; i < 1500; i++) {
            now += iom_rng_below(&rng, 6);
            if (disturb)
                world_.at(now, [this](iom_cycle cycle) {
                    iom_unit_wake(iom_device_tlb_unit(tlb_), cycle + 1 + cycle % 3);
                });
            const uint64_t page = iom_rng_below(&rng, 6) << 12;
            if (iom_rng_below(&rng, 8) == 0) {
                iom_ats_invalidation *msg = invalidation(page, page + 0xfff);
                world_.at(now, [this, page, msg](iom_cycle cycle) {
                    msg->id = ++version_[page];
                    iom_port_send(world_.port(TO_INVALIDATE_PORT), &msg->msg, cycle);
                });
            } else {
                send(now + 1, page + 64 * iom_rng_below(&rng, 8), iom_rng_below(&rng, 2) != 0 ? posted : 0u);
            }
        }
        bench_.run_until_idle();
        return result;
    }
    std::map<uint64_t, uint64_t> version_, safe_;
};

TEST(DeviceTlbRandom, nothing_is_stale_after_the_completion)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        SCOPED_TRACE(seed);
        RandomRig rig;
        RandomRig::Outcome outcome = rig.run(seed, true, false);
        EXPECT_EQ(outcome.late, 0u);
        EXPECT_GT(outcome.completions, 100u);
        EXPECT_GT(rig.stats().squashed, 10u);
        EXPECT_GT(rig.stats().hits, 100u);
    }
}

TEST(DeviceTlbRandom, the_order_of_evaluation_does_not_matter)
{
    RandomRig plain, shuffled;
    RandomRig::Outcome expected = plain.run(7, true, false);
    RandomRig::Outcome found = shuffled.run(7, true, true);
    EXPECT_EQ(found.arrivals, expected.arrivals);
    EXPECT_EQ(found.late, 0u);
}

TEST(DeviceTlbRandom, hardware_without_squash_is_found)
{
    RandomRig rig;
    EXPECT_GT(rig.run(7, false, false).late, 0u);
}

} // namespace
