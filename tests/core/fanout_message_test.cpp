// SPDX-License-Identifier: Apache-2.0
//
// What the fan-out (core/fanout.h) exchanges with devices beyond the plain invalidation: the number of
// invalidation tags, several completions of one request, tags that expire, a port for any requester, page
// responses; and drains of page requests.
#include <gtest/gtest.h>

#include <vector>

#include "tests/core/fanout_fixture.hpp"

using namespace fanout_fixture;

namespace
{

// ---- tags, several completions, expiry -----------------------------------------------------------------

TEST(FanoutDevices, the_lowest_free_tag_is_taken_and_no_more_than_there_are)
{
    FanoutBench b(2, 0, 2);
    for (uint32_t i = 0; i < 3; i++)
        b.device(10, 0, stream_of(i % 2));
    b.bench.run_to(20);
    ASSERT_EQ(b.asked.size(), 2u);
    EXPECT_EQ(b.asked[0].request().tag, 0);
    EXPECT_EQ(b.asked[1].request().tag, 1);
    EXPECT_EQ(b.stats().tag_waits, 1u);
    b.answer(1, 30);
    b.bench.run_to(35);
    ASSERT_EQ(b.asked.size(), 3u);
    EXPECT_EQ(b.asked[2].cycle, 30u);
    EXPECT_EQ(b.asked[2].request().tag, 1);
    b.answer(0, 40);
    b.bench.run_to(45);
    b.device(50, 0, stream_of(0));
    b.bench.run_to(55);
    ASSERT_EQ(b.asked.size(), 4u);
    EXPECT_EQ(b.asked[3].request().tag, 0);
    b.answer(2, 60);
    b.answer(3, 61);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answers.size(), 4u);
}

/// A completion of its own, as a device that sends several makes them.
class Completions
{
  public:
    explicit Completions(FanoutBench &b) : bench_(b)
    {
        iom_pool_init(&pool_, IOM_MSG_DEVICE_INVALIDATION, sizeof(iom_ats_invalidation));
    }
    ~Completions()
    {
        EXPECT_EQ(pool_.in_use, 0u);
        iom_pool_free(&pool_);
    }
    Completions(const Completions &) = delete;
    Completions &operator=(const Completions &) = delete;

    void send(iom_cycle arrival, uint32_t device, uint32_t stream, uint8_t tag, uint8_t count = 1)
    {
        auto *made = static_cast<iom_ats_invalidation *>(iom_pool_take(&pool_));
        const iom_msg header = made->msg;
        *made = iom_ats_invalidation{};
        made->msg = header;
        made->what.stream = stream;
        made->tag = tag;
        made->count = count;
        bench_.world.send_at(arrival - 1, participants + device, &made->msg);
    }

  private:
    FanoutBench &bench_;
    iom_pool pool_ = {};
};

// PCI Express 10.3.2: the device says how many completions it sends, eight as 0.
TEST(FanoutDevices, the_last_of_several_completions_counts)
{
    for (uint32_t count : {1u, 2u, 7u, 8u}) {
        FanoutBench b;
        Completions completions(b);
        b.device(10, 0, stream_of(1));
        b.bench.run_to(20);
        for (uint32_t i = 0; i < count; i++)
            completions.send(30 + i, 1, stream_of(1), 0, count % 8);
        b.bench.run_to(30 + count - 2);
        EXPECT_TRUE(b.answers.empty());
        b.bench.run_until_idle();
        ASSERT_EQ(b.answers.size(), 1u);
        EXPECT_EQ(b.answers[0], (Answer{30 + count - 1, 0, 1, IOM_CONTROL_DONE, 0}));
        EXPECT_TRUE(b.events.empty());
        completions.send(60, 1, stream_of(1), 0); // one too many
        b.bench.run_until_idle();
        ASSERT_EQ(b.events.size(), 1u);
        EXPECT_EQ(b.events[0].event.kind, IOM_QUEUE_COMPLETION);
    }
}

TEST(FanoutDevices, tags_expire_one_by_one_when_told_to)
{
    for (uint64_t timeout : {0u, 1000u}) {
        SCOPED_TRACE(timeout);
        FanoutBench b(2, timeout, 2);
        b.device(10, 0, stream_of(0));
        b.device(10, 0, stream_of(1));
        b.bench.run_to(20);
        iom_fanout_expire(b.fanout, 1u << 1 | 1u << 30, 50);
        b.bench.run_to(60);
        ASSERT_EQ(b.answers.size(), 1u);
        EXPECT_EQ(b.answers[0], (Answer{50, 0, 2, IOM_CONTROL_TIMEOUT, 0}));
        EXPECT_EQ(b.stats().timeouts, 1u);
        b.device(70, 0, stream_of(1));
        b.bench.run_to(75);
        ASSERT_EQ(b.asked.size(), 3u) << "the tag is free at once";
        EXPECT_EQ(b.asked[2].request().tag, 1);
        b.answer(0, 80);
        b.answer(2, 81);
        b.bench.run_to(90);
        EXPECT_EQ(b.answers.size(), 3u);
    }
}

// ---- the root complex takes any requester --------------------------------------------------------------

TEST(FanoutDevices, a_port_for_any_stream_serves_requesters_without_their_own)
{
    FanoutBench b(2, 0, 0, true); // port 0: any; port 1: its own stream
    Completions completions(b);
    b.device(10, 0, 0x4711)->invalidation.device.payload = 0x1234;
    b.device(10, 0, stream_of(1));
    b.bench.run_to(20);
    ASSERT_EQ(b.asked.size(), 2u);
    EXPECT_EQ(b.asked[0].to, 0u);
    EXPECT_EQ(b.asked[0].request().what.stream, 0x4711u);
    EXPECT_EQ(b.asked[0].request().what.payload, 0x1234u);
    EXPECT_EQ(b.asked[0].request().count, 1);
    EXPECT_EQ(b.asked[1].to, 1u);
    completions.send(30, 0, 0x4712, 0); // of another requester
    completions.send(31, 0, 0x4711, 1); // not its tag
    b.bench.run_to(35);
    ASSERT_EQ(b.events.size(), 2u);
    EXPECT_EQ(b.events[0].event.stream, 0x4712u);
    EXPECT_EQ(b.events[1].event.stream, 0x4711u);
    EXPECT_TRUE(b.answers.empty());
    b.answer(0, 40);
    b.answer(1, 41);
    b.bench.run_until_idle();
    EXPECT_EQ(b.answers.size(), 2u);
}

// ---- page responses ------------------------------------------------------------------------------------

TEST(FanoutResponses, leave_for_their_device_and_are_answered_in_the_same_cycle)
{
    FanoutBench b;
    b.own(10, 0); // holds up nobody
    iom_control *control = b.control(12, 1, IOM_CONTROL_RESPOND);
    control->response.stream = stream_of(1);
    control->response.group = 5;
    control->response.code = IOM_PAGE_RESPONSE_INVALID;
    b.control(13, 0, IOM_CONTROL_RESPOND)->response.stream = 0x999; // nobody
    b.bench.run_to(20);
    ASSERT_EQ(b.responses.size(), 1u);
    EXPECT_EQ(b.responses[0].cycle, 12u);
    EXPECT_EQ(b.responses[0].device, 1u);
    EXPECT_EQ(b.responses[0].response.group, 5);
    EXPECT_EQ(b.responses[0].response.code, IOM_PAGE_RESPONSE_INVALID);
    ASSERT_EQ(b.answers.size(), 2u);
    EXPECT_EQ(b.answers[0], (Answer{12, 1, 2, IOM_CONTROL_DONE, 0}));
    EXPECT_EQ(b.answers[1], (Answer{13, 0, 3, IOM_CONTROL_DONE, 0}));
    EXPECT_EQ(b.stats().responses, 1u);
    EXPECT_EQ(b.stats().responses_dropped, 1u);
    for (uint32_t i = 0; i < participants; i++)
        b.acknowledge(i, 30);
    b.bench.run_until_idle();
    EXPECT_EQ(b.messages_out(), 0u);
}

TEST(FanoutResponses, a_drain_of_page_requests_goes_to_the_front)
{
    FanoutBench b;
    b.control(10, 1, IOM_CONTROL_DRAIN)->drain_page_requests = true;
    b.bench.run_to(20);
    ASSERT_EQ(b.told.size(), 1u);
    EXPECT_EQ(b.told[0].to, 0u);
    EXPECT_TRUE(b.told[0].control().drain_page_requests);
    b.acknowledge(0, 30);
    b.bench.run_until_idle();
    ASSERT_EQ(b.answers.size(), 1u);
    EXPECT_EQ(b.answers[0].cycle, 30u);
}

} // namespace
