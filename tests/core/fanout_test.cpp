// SPDX-License-Identifier: Apache-2.0
//
// The fan-out (core/fanout.h) between scripted sources, participants and device TLBs: begin and end of
// each kind in exact cycles, invalidation tags, queue depths, time-outs, and no dependence on the order
// in which units are evaluated.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/core/fanout_fixture.hpp"

using namespace fanout_fixture;

namespace
{

// ---- the IOMMU's own caches --------------------------------------------------------------------------

TEST(Fanout, tells_all_participants_and_waits_for_the_last)
{
    for (uint32_t last = 0; last < participants; last++) {
        SCOPED_TRACE(last);
        FanoutBench b;
        b.own(10, 1)->invalidation.part[0].match.first = 0x1000;
        b.bench.run_to(15);
        ASSERT_EQ(b.told.size(), participants);
        for (uint32_t i = 0; i < participants; i++) {
            EXPECT_EQ(b.told[i].cycle, 10u);
            EXPECT_EQ(b.told[i].to, i);
            EXPECT_EQ(b.told[i].control().op, IOM_CONTROL_INVALIDATE);
            EXPECT_EQ(b.told[i].control().invalidation.id, 1u);
            EXPECT_EQ(b.told[i].control().invalidation.part[0].match.first, 0x1000u);
            b.acknowledge(i, i == last ? 40 : 20 + i, 1 + i);
        }
        b.bench.run_until_idle();
        ASSERT_EQ(b.answers.size(), 1u);
        EXPECT_EQ(b.answers[0], (Answer{40, 1, 1, IOM_CONTROL_DONE, 6}));
        EXPECT_EQ(b.stats().invalidations, 1u);
        EXPECT_EQ(b.stats().removed, 6u);
        EXPECT_EQ(b.stats().invalidate_latency.sum, 30u);
        EXPECT_EQ(b.messages_out(), 0u);
    }
}

TEST(Fanout, views_and_invalidations_go_one_at_a_time)
{
    FanoutBench b;
    b.own(10, 0);
    b.control(11, 0, IOM_CONTROL_VIEW)->view.root = 5;
    b.bench.run_to(20);
    ASSERT_EQ(b.told.size(), 3u);
    for (size_t i = 0; i < 3; i++)
        b.acknowledge(i, 30);
    b.bench.run_to(31);
    ASSERT_EQ(b.told.size(), 6u);
    EXPECT_EQ(b.told[3].cycle, 30u) << "begins in the cycle in which the one before has ended";
    EXPECT_EQ(b.told[3].control().op, IOM_CONTROL_VIEW);
    EXPECT_EQ(b.told[3].control().view.root, 5u);
    for (size_t i = 3; i < 6; i++)
        b.acknowledge(i, 35);
    b.bench.run_until_idle();
    ASSERT_EQ(b.answers.size(), 2u);
    EXPECT_EQ(b.answers[0].cycle, 30u);
    EXPECT_EQ(b.answers[1].cycle, 35u);
    EXPECT_EQ(b.stats().views, 1u);
}

TEST(Fanout, sources_take_turns)
{
    FanoutBench b;
    for (int i = 0; i < 3; i++)
        b.own(10, 0); // cookies 1, 2, 3
    for (int i = 0; i < 3; i++)
        b.own(10, 1); // cookies 4, 5, 6
    for (iom_cycle cycle = 20; cycle < 80; cycle += 10) {
        b.bench.run_to(cycle - 5);
        for (size_t i = b.told.size() - participants; i < b.told.size(); i++)
            b.acknowledge(i, cycle);
    }
    b.bench.run_until_idle();
    std::vector<uint64_t> order;
    for (const Answer &answer : b.answers)
        order.push_back(answer.cookie);
    EXPECT_EQ(order, (std::vector<uint64_t>{1, 4, 2, 5, 3, 6}));
    for (size_t i = 0; i < b.told.size(); i++)
        EXPECT_EQ(b.told[i].id, i / participants + 1) << "numbered as they begin";
}

// ---- drains ------------------------------------------------------------------------------------------

TEST(Fanout, a_drain_goes_to_the_front_end_and_holds_nothing_up)
{
    FanoutBench b;
    b.control(10, 0, IOM_CONTROL_DRAIN)->drain_writes = true;
    b.own(11, 0);
    b.device(12, 1, stream_of(0));
    b.control(13, 1, IOM_CONTROL_DRAIN)->drain_reads = true;
    b.bench.run_to(20);
    ASSERT_EQ(b.told.size(), 5u);
    EXPECT_EQ(b.told[0].cycle, 10u);
    EXPECT_EQ(b.told[0].to, 0u);
    EXPECT_EQ(b.told[0].control().op, IOM_CONTROL_DRAIN);
    EXPECT_TRUE(b.told[0].control().drain_writes);
    EXPECT_FALSE(b.told[0].control().drain_reads);
    EXPECT_EQ(b.told[1].cycle, 11u);
    EXPECT_EQ(b.told[4].cycle, 13u);
    EXPECT_EQ(b.asked.at(0).cycle, 12u);
    b.acknowledge(4, 30);
    for (size_t i = 1; i < 4; i++)
        b.acknowledge(i, 40);
    b.answer(0, 50);
    b.acknowledge(0, 60);
    b.bench.run_until_idle();
    ASSERT_EQ(b.answers.size(), 4u);
    EXPECT_EQ(b.answers[0], (Answer{30, 1, 4, IOM_CONTROL_DONE, 0}));
    EXPECT_EQ(b.answers[1], (Answer{40, 0, 2, IOM_CONTROL_DONE, 0}));
    EXPECT_EQ(b.answers[2], (Answer{50, 1, 3, IOM_CONTROL_DONE, 0}));
    EXPECT_EQ(b.answers[3], (Answer{60, 0, 1, IOM_CONTROL_DONE, 0}));
    EXPECT_EQ(b.stats().drains, 2u);
    EXPECT_EQ(b.stats().drain_latency.sum, 50u + 17u);
}

// ---- device TLBs -------------------------------------------------------------------------------------

TEST(Fanout, device_invalidations_overlap_and_carry_different_tags)
{
    FanoutBench b;
    b.device(10, 0, stream_of(0));
    b.device(11, 0, stream_of(0));
    b.device(11, 0, stream_of(1))->invalidation.device.first = 0x5000;
    b.bench.run_to(20);
    ASSERT_EQ(b.asked.size(), 3u);
    EXPECT_EQ(b.asked[0].cycle, 10u);
    EXPECT_EQ(b.asked[1].cycle, 11u);
    EXPECT_EQ(b.asked[2].cycle, 11u);
    EXPECT_EQ(b.asked[2].to, 1u);
    EXPECT_EQ(b.asked[2].request().what.first, 0x5000u);
    EXPECT_NE(b.asked[0].request().tag, b.asked[1].request().tag);
    EXPECT_NE(b.asked[0].request().tag, b.asked[2].request().tag);
    EXPECT_NE(b.asked[1].request().tag, b.asked[2].request().tag);
    b.answer(2, 30, 7);
    b.answer(0, 40, 1);
    b.answer(1, 50);
    b.bench.run_until_idle();
    ASSERT_EQ(b.answers.size(), 3u);
    EXPECT_EQ(b.answers[0], (Answer{30, 0, 3, IOM_CONTROL_DONE, 7}));
    EXPECT_EQ(b.answers[1], (Answer{40, 0, 1, IOM_CONTROL_DONE, 1}));
    EXPECT_EQ(b.answers[2], (Answer{50, 0, 2, IOM_CONTROL_DONE, 0}));
    EXPECT_EQ(b.stats().device_invalidations, 3u);
    EXPECT_EQ(b.stats().device_removed, 8u);
    EXPECT_EQ(b.stats().most_tags, 3u);
    EXPECT_EQ(b.stats().device_latency.sum, 19u + 30u + 39u);
    EXPECT_TRUE(b.told.empty());
}

// VT-d: a device-TLB invalidation is carried out after the IOTLB invalidations ahead of it.
TEST(Fanout, a_device_is_told_after_the_caches_behind_it)
{
    FanoutBench b;
    b.own(10, 0);
    b.device(11, 0, stream_of(0));
    b.device(12, 1, stream_of(1)); // another source does not wait
    b.bench.run_to(25);
    ASSERT_EQ(b.asked.size(), 1u);
    EXPECT_EQ(b.asked[0].to, 1u);
    for (size_t i = 0; i < 3; i++)
        b.acknowledge(i, 30 + i);
    b.bench.run_to(40);
    ASSERT_EQ(b.asked.size(), 2u);
    EXPECT_EQ(b.asked[1].cycle, 32u);
}

TEST(Fanout, one_invalidation_may_be_for_both)
{
    FanoutBench b;
    iom_control *both = b.own(10, 0);
    both->invalidation.has_device = true;
    both->invalidation.device.stream = stream_of(1);
    b.bench.run_to(15);
    EXPECT_TRUE(b.asked.empty());
    for (size_t i = 0; i < 3; i++)
        b.acknowledge(i, 20, 2);
    b.bench.run_to(25);
    ASSERT_EQ(b.asked.size(), 1u);
    EXPECT_EQ(b.asked[0].cycle, 20u);
    EXPECT_EQ(b.asked[0].request().id, b.told[0].control().invalidation.id);
    b.answer(0, 60, 3);
    b.bench.run_until_idle();
    ASSERT_EQ(b.answers.size(), 1u);
    EXPECT_EQ(b.answers[0], (Answer{60, 0, 1, IOM_CONTROL_DONE, 9}));
}

TEST(Fanout, thirty_two_tags_are_all_there_are)
{
    FanoutBench b;
    for (uint32_t i = 0; i < IOM_INVALIDATION_TAGS + 2; i++)
        b.device(10, 0, stream_of(i % 2));
    b.bench.run_to(20);
    ASSERT_EQ(b.asked.size(), IOM_INVALIDATION_TAGS);
    EXPECT_EQ(b.stats().tag_waits, 2u);
    b.answer(5, 30);
    b.bench.run_to(35);
    ASSERT_EQ(b.asked.size(), IOM_INVALIDATION_TAGS + 1);
    EXPECT_EQ(b.asked[32].cycle, 30u) << "in the cycle in which a tag is free";
    EXPECT_EQ(b.asked[32].request().tag, b.asked[5].request().tag);
    EXPECT_EQ(b.asked[32].to, 0u) << "the oldest that waits";
    EXPECT_EQ(b.stats().most_tags, 32u);
}

// A tag that becomes free in the cycle in which a younger invalidation gets as far as its device.
TEST(Fanout, the_oldest_that_waits_gets_a_tag_before_anybody_younger)
{
    FanoutBench b(3);
    for (uint32_t i = 0; i < IOM_INVALIDATION_TAGS; i++)
        b.device(10, 0, stream_of(0));
    b.device(11, 0, stream_of(1)); // waits for a tag
    iom_control *both = b.own(12, 1);
    both->invalidation.has_device = true;
    both->invalidation.device.stream = stream_of(2);
    b.bench.run_to(20);
    ASSERT_EQ(b.asked.size(), IOM_INVALIDATION_TAGS);
    for (size_t i = 0; i < participants; i++)
        b.acknowledge(i, 30);
    b.answer(5, 30);
    b.bench.run_to(35);
    ASSERT_EQ(b.asked.size(), IOM_INVALIDATION_TAGS + 1);
    EXPECT_EQ(b.asked.back().cycle, 30u);
    EXPECT_EQ(b.asked.back().to, 1u);
    b.answer(6, 40);
    b.bench.run_to(45);
    ASSERT_EQ(b.asked.size(), IOM_INVALIDATION_TAGS + 2);
    EXPECT_EQ(b.asked.back().to, 2u);
}

TEST(Fanout, a_device_takes_as_many_as_its_queue_depth_and_others_go_on)
{
    FanoutBench b;
    for (int i = 0; i < 4; i++)
        b.device(10, 0, stream_of(0), 2); // cookies 1 to 4
    b.device(11, 0, stream_of(0), 32);    // may not overtake those before it
    b.device(12, 0, stream_of(1), 1);
    b.bench.run_to(20);
    ASSERT_EQ(b.asked.size(), 3u);
    EXPECT_EQ(b.asked[2].to, 1u);
    EXPECT_EQ(b.asked[2].cycle, 12u);
    b.answer(1, 30);
    b.bench.run_to(35);
    ASSERT_EQ(b.asked.size(), 4u);
    EXPECT_EQ(b.asked[3].cycle, 30u);
    b.answer(0, 40);
    b.answer(3, 40);
    b.bench.run_to(45);
    ASSERT_EQ(b.asked.size(), 6u);
    b.answer(2, 50);
    b.answer(4, 51);
    b.answer(5, 52);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answers.size(), 6u);
    EXPECT_EQ(b.stats().tag_waits, 3u);
}

TEST(Fanout, a_device_times_out_in_the_exact_cycle)
{
    FanoutBench b(2, 100);
    b.device(10, 0, stream_of(0));
    b.device(20, 0, stream_of(1));
    b.bench.run_to(50);
    b.answer(1, 120); // in the very last cycle: in time
    b.bench.run_to(109);
    EXPECT_TRUE(b.answers.empty());
    b.bench.run_to(200);
    ASSERT_EQ(b.answers.size(), 2u);
    EXPECT_EQ(b.answers[0], (Answer{110, 0, 1, IOM_CONTROL_TIMEOUT, 0}));
    EXPECT_EQ(b.answers[1], (Answer{120, 0, 2, IOM_CONTROL_DONE, 0}));
    EXPECT_EQ(b.stats().timeouts, 1u);
    EXPECT_TRUE(b.events.empty());
}

TEST(Fanout, a_late_completion_is_discarded_and_a_later_one_an_event)
{
    FanoutBench b(2, 100);
    b.device(10, 0, stream_of(0));
    b.device(10, 0, stream_of(1));
    b.bench.run_to(150);
    ASSERT_EQ(b.answers.size(), 2u);
    b.answer(0, 210); // the tag is kept until then
    b.answer(1, 211);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answers.size(), 2u);
    ASSERT_EQ(b.events.size(), 1u);
    EXPECT_EQ(b.events[0].cycle, 211u);
    EXPECT_EQ(b.events[0].event.kind, IOM_QUEUE_COMPLETION);
    EXPECT_EQ(b.events[0].event.stream, stream_of(1));
}

TEST(Fanout, tags_of_silent_devices_come_back_after_two_time_outs)
{
    FanoutBench b(2, 100);
    for (uint32_t i = 0; i < IOM_INVALIDATION_TAGS; i++)
        b.device(10, 0, stream_of(0));
    b.device(11, 0, stream_of(1));
    b.bench.run_to(209);
    ASSERT_EQ(b.asked.size(), IOM_INVALIDATION_TAGS);
    EXPECT_EQ(b.stats().timeouts, IOM_INVALIDATION_TAGS);
    b.bench.run_to(220);
    ASSERT_EQ(b.asked.size(), IOM_INVALIDATION_TAGS + 1);
    EXPECT_EQ(b.asked.back().cycle, 210u) << "woken in time";
    EXPECT_EQ(b.asked.back().to, 1u);
}

TEST(Fanout, a_requester_without_device_tlb_does_not_answer)
{
    for (uint64_t timeout : {uint64_t{0}, uint64_t{70}}) {
        FanoutBench b(1, timeout);
        b.device(10, 1, 0x999);
        b.bench.run_until_idle();
        ASSERT_EQ(b.answers.size(), 1u);
        EXPECT_EQ(b.answers[0],
                  (Answer{10 + timeout, 1, 1,
                          static_cast<uint8_t>(timeout != 0 ? IOM_CONTROL_TIMEOUT : IOM_CONTROL_DONE), 0}));
        EXPECT_EQ(b.stats().unreachable, 1u);
        EXPECT_EQ(b.stats().device_invalidations, 0u);
    }
}

TEST(Fanout, a_completion_nobody_asked_for_is_an_event)
{
    FanoutBench b;
    b.device(10, 0, stream_of(0));
    b.device(10, 0, stream_of(1));
    b.bench.run_to(20);
    // Device 1 answers under the tag of device 0.
    const uint8_t stolen = b.asked[0].request().tag;
    reinterpret_cast<iom_ats_invalidation *>(b.asked[1].msg)->tag = stolen;
    b.answer(1, 30);
    b.answer(0, 40);
    b.bench.run_to(50);
    ASSERT_EQ(b.events.size(), 1u);
    EXPECT_EQ(b.events[0].cycle, 30u);
    EXPECT_EQ(b.events[0].event.stream, stream_of(1));
    ASSERT_EQ(b.answers.size(), 1u);
    EXPECT_EQ(b.answers[0].cookie, 1u);
}

// ---- independence of evaluation order ----------------------------------------------------------------

std::vector<Answer> random_run(uint64_t seed, uint64_t shuffle)
{
    FanoutBench b(2, 60);
    iom_rng rng;
    iom_rng_seed(&rng, seed, "fanout test");
    if (shuffle != 0)
        b.bench.shuffle(shuffle);
    size_t told = 0, asked = 0;
    iom_rng answers;
    iom_rng_seed(&answers, seed, "answers");
    for (iom_cycle now = 10; now < 1500; now++) {
        for (uint32_t from = 0; from < sources && now < 400; from++) {
            switch (iom_rng_below(&rng, 20)) {
            case 0:
                b.own(now + 1, from);
                break;
            case 1:
            case 2:
                b.device(now + 1, from, stream_of(static_cast<uint32_t>(iom_rng_below(&rng, 3))), 1);
                break;
            case 3:
                b.control(now + 1, from, IOM_CONTROL_DRAIN);
                break;
            default:
                break;
            }
        }
        b.bench.run_to(now);
        if (shuffle != 0 && now % 3 == 0)
            iom_unit_wake(iom_fanout_unit(b.fanout), now + 1); // nothing due changes nothing
        for (; told < b.told.size(); told++)
            b.acknowledge(told, now + 2 + iom_rng_below(&answers, 9), 1);
        for (; asked < b.asked.size(); asked++)
            b.answer(asked, now + 2 + iom_rng_below(&answers, 80), 1);
    }
    b.bench.run_until_idle();
    EXPECT_EQ(b.messages_out(), 0u);
    return b.answers;
}

TEST(Fanout, the_order_of_evaluation_does_not_matter)
{
    for (uint64_t seed = 1; seed < 6; seed++) {
        SCOPED_TRACE(seed);
        const std::vector<Answer> plain = random_run(seed, 0);
        EXPECT_GT(plain.size(), 50u);
        EXPECT_EQ(random_run(seed, seed + 100), plain);
    }
}

} // namespace
