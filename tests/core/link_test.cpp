// SPDX-License-Identifier: Apache-2.0
//
// The PCI Express link between a scripted device and a scripted IOMMU: what goes where, in which class, and
// what it waits for. (Rules of one direction: link_channel_test.cpp.) All connections take one cycle each way
// unless a test says otherwise; the wires move 8 bytes a cycle, a header has 24.
#include <gtest/gtest.h>

#include <map>
#include <new>
#include <vector>

#include "core/fanout.h"
#include "core/link.h"
#include "tests/core/support/bench.h"

namespace
{

using bench::Bench;
using bench::ScriptUnit;

constexpr unsigned posted = IOM_REQ_WRITE | IOM_REQ_POSTED;
constexpr iom_cycle header = 3; // cycles of a packet without payload

class Link : public testing::Test
{
  protected:
    enum WorldPort : uint32_t { DEVICE, FANOUT, HOST, INVALIDATE };
    Link() : world_("world", 2, 2)
    {
        iom_pool_init(&dma_pool_, IOM_MSG_DMA, sizeof(iom_dma));
        iom_pool_init(&invalidation_pool_, IOM_MSG_DEVICE_INVALIDATION, sizeof(iom_ats_invalidation));
    }
    ~Link() override
    {
        bench_.close();
        iom_link_destroy(link_);
        iom_pool_free(&dma_pool_);
        iom_pool_free(&invalidation_pool_);
    }
    void build(uint32_t host_depth = 0, iom_cycle host_latency = 1, iom_cycle completion_latency = 1,
               uint32_t invalidate_depth = 0)
    {
        config_.bytes_per_cycle = 8;
        config_.header_bytes = 24;
        link_ = iom_link_create(&config_, "link");
        ASSERT_NE(link_, nullptr);
        bench_.add(world_.unit());
        bench_.add(iom_link_unit(link_));
        bench_.connect(world_.port(DEVICE), iom_link_device_port(link_), {1, 1, 1, device_depth_});
        bench_.connect(world_.port(FANOUT), iom_link_fanout_port(link_), {1, completion_latency, 1, 0});
        bench_.connect(iom_link_host_port(link_), world_.port(HOST),
                       {host_latency, 1, host_credit_latency_, host_depth});
        bench_.connect(iom_link_invalidate_port(link_), world_.port(INVALIDATE), {1, 1, 1, invalidate_depth});
        for (uint32_t port : {DEVICE, FANOUT, HOST, INVALIDATE})
            world_.on(port, [this, port](iom_cycle now, iom_msg *msg) { seen_[{port, msg}] = now; });
        bench_.start();
    }
    /// Does all the work there is. (Requests whose answer the test has yet to send are no deadlock.)
    void settle()
    {
        bench_.run_to(100000);
    }
    iom_dma *dma(unsigned flags, uint32_t bytes)
    {
        auto *dma = static_cast<iom_dma *>(iom_pool_take(&dma_pool_));
        const iom_msg header_of = dma->msg;
        *dma = iom_dma{};
        dma->msg = header_of;
        dma->x.flags = static_cast<uint16_t>(flags);
        dma->x.bytes = bytes;
        dma->x.outcome = IOM_OUTCOME_ADDRESS;
        return dma;
    }
    /// A request that the link has in cycle `arrival`.
    iom_dma *up(iom_cycle arrival, unsigned flags, uint32_t bytes)
    {
        iom_dma *made = dma(flags, bytes);
        world_.at(arrival - 1, [this, made](iom_cycle now) {
            ASSERT_TRUE(iom_port_can_send(world_.port(DEVICE), now)) << "no slot in cycle " << now;
            iom_port_send(world_.port(DEVICE), &made->msg, now);
        });
        return made;
    }
    /// The IOMMU's answer to what has arrived there; the link has it in `arrival`.
    void answer(iom_dma *request, iom_cycle arrival)
    {
        world_.send_at(arrival - 1, HOST, &request->msg);
    }
    iom_ats_invalidation *invalidation(iom_cycle arrival)
    {
        auto *msg = static_cast<iom_ats_invalidation *>(iom_pool_take(&invalidation_pool_));
        world_.send_at(arrival - 1, FANOUT, &msg->msg);
        return msg;
    }
    /// The device's completion of it; the link has it in `arrival`.
    void complete(iom_ats_invalidation *msg, iom_cycle arrival)
    {
        world_.send_at(arrival - 1, INVALIDATE, &msg->msg);
    }
    void return_credit(iom_cycle arrival, uint32_t port = HOST)
    {
        world_.at(arrival - 1,
                  [this, port](iom_cycle now) { iom_port_return_credit(world_.port(port), now); });
    }
    template <typename Message> iom_cycle seen(uint32_t port, const Message *msg) const
    {
        auto at = seen_.find({port, const_cast<iom_msg *>(&msg->msg)});
        return at == seen_.end() ? IOM_NEVER : at->second;
    }
    const iom_link_stats &stats() const
    {
        return *iom_link_stats_of(link_);
    }

    Bench bench_;
    ScriptUnit world_;
    iom_link_unit_config config_ = {}; ///< credits and flight, to be set before build
    uint32_t device_depth_ = 0;
    iom_cycle host_credit_latency_ = 1;
    iom_link *link_ = nullptr;

  private:
    iom_pool dma_pool_ = {}, invalidation_pool_ = {};
    std::map<std::pair<uint32_t, iom_msg *>, iom_cycle> seen_;
};

TEST_F(Link, packets_take_the_wires_one_after_the_other)
{
    build();
    iom_dma *read = up(10, 0, 64);
    iom_dma *write = up(10, posted, 64);
    iom_dma *translation = up(12, IOM_REQ_TRANSLATE, 8);
    settle();
    EXPECT_EQ(seen(HOST, read), 10 + header + 1);
    EXPECT_EQ(seen(HOST, write), 10 + header + header + 8 + 1);
    EXPECT_EQ(seen(HOST, translation), 10 + header + header + 8 + header + 1);
    answer(read, 100);
    answer(write, 100);
    answer(translation, 100);
    settle();
    EXPECT_EQ(seen(DEVICE, read), 100 + header + 8 + 1);
    EXPECT_EQ(seen(DEVICE, write), 101u); // a posted write has no answer on the wires
    EXPECT_EQ(seen(DEVICE, translation), 100 + header + 8 + header + 1 + 1);
    EXPECT_EQ(stats().request_bytes, 3u * 24 + 64);
    EXPECT_EQ(stats().response_bytes, 2u * 24 + 64 + 8);
}

TEST_F(Link, invalidations_share_the_wires_of_answers_and_completions_those_of_requests)
{
    build();
    iom_dma *read = up(10, 0, 64);
    settle();
    answer(read, 100);
    iom_ats_invalidation *msg = invalidation(100); // answers first
    settle();
    EXPECT_EQ(seen(DEVICE, read), 100 + header + 8 + 1);
    EXPECT_EQ(seen(INVALIDATE, msg), 100 + header + 8 + header + 1 + 1);
    complete(msg, 200);
    iom_dma *after = up(201, 0, 64);
    settle();
    EXPECT_EQ(seen(FANOUT, msg), 200 + header + 1);
    EXPECT_EQ(seen(HOST, after), 200 + header + header + 1);
    EXPECT_EQ(stats().invalidations, 1u);
    EXPECT_EQ(stats().completions, 1u);
    EXPECT_EQ(stats().response_bytes, 24u + 64 + 24 + 8);
    EXPECT_EQ(stats().request_bytes, 3u * 24);
    EXPECT_EQ(stats().request_busy_cycles, 3 * header);
    EXPECT_EQ(stats().up_posted_packets, 1u); // the completion is a message
    EXPECT_EQ(stats().up_non_posted_packets, 2u);
    EXPECT_EQ(stats().down_posted_packets, 1u);
    EXPECT_EQ(stats().down_completion_packets, 1u);
    EXPECT_EQ(stats().credit_waits, 0u);
}

TEST_F(Link, a_completion_stays_behind_a_write_of_its_cycle)
{
    build();
    iom_ats_invalidation *msg = invalidation(10);
    settle();
    complete(msg, 100);
    iom_dma *write = up(100, posted, 64);
    settle();
    EXPECT_EQ(seen(HOST, write), 100 + header + 8 + 1);
    EXPECT_EQ(seen(FANOUT, msg), 100 + header + 8 + header + 1);
}

TEST_F(Link, a_completion_waits_for_writes_without_slot_and_passes_reads_without)
{
    build(1);
    iom_ats_invalidation *first = invalidation(10), *second = invalidation(20), *third = invalidation(30);
    settle();
    up(100, 0, 64);                 // takes the only slot of the IOMMU
    iom_dma *read = up(101, 0, 64); // waits there, from 106 on
    complete(first, 102);           // passes it
    iom_dma *write = up(103, posted, 64);
    complete(second, 104); // waits for the write
    iom_dma *later = up(105, posted, 64);
    complete(third, 106);
    bench_.run_to(190);
    EXPECT_EQ(seen(FANOUT, first), 100 + 3 * header + 1);
    EXPECT_EQ(seen(FANOUT, second), IOM_NEVER);
    return_credit(200);
    bench_.run_to(290);
    EXPECT_EQ(seen(HOST, read), 200u + 1); // the oldest gets it
    EXPECT_EQ(seen(HOST, write), IOM_NEVER);
    EXPECT_EQ(seen(FANOUT, second), IOM_NEVER);
    return_credit(300);
    bench_.run_to(390);
    EXPECT_EQ(seen(HOST, write), 300u + 1);
    EXPECT_EQ(seen(FANOUT, second), 300u + 1);
    EXPECT_EQ(seen(FANOUT, third), IOM_NEVER);
    return_credit(400);
    bench_.run_to(500);
    EXPECT_EQ(seen(HOST, later), 400u + 1);
    EXPECT_EQ(seen(FANOUT, third), 400u + 1);
    EXPECT_EQ(stats().up_non_posted_slot_waits, 1u);
    EXPECT_EQ(stats().up_posted_slot_waits, 2u); // the completions are held up by order, not for a slot
    EXPECT_EQ(stats().credit_waits, 3u);
    EXPECT_EQ(stats().up_posted_most_buffered, 4u);
}

TEST_F(Link, a_completion_waits_for_writes_without_credits_and_passes_reads_without)
{
    config_.up.credits[IOM_LINK_POSTED] = {0, 4};
    config_.up.credits[IOM_LINK_NON_POSTED] = {1, 0};
    config_.up.credit_cycles = 400;
    build();
    iom_ats_invalidation *first = invalidation(10), *second = invalidation(20);
    settle();
    up(100, 0, 64);                 // takes the only credit until 503
    iom_dma *read = up(110, 0, 64); // waits
    complete(first, 120);           // passes it
    up(130, posted, 64);            // takes the data credits until 541
    iom_dma *write = up(150, posted, 1);
    complete(second, 160); // waits for the write, though it has no data itself
    settle();
    EXPECT_EQ(seen(FANOUT, first), 120 + header + 1);
    EXPECT_EQ(seen(HOST, read), 503 + header + 1);
    EXPECT_EQ(seen(HOST, write), 541 + header + 1 + 1);
    EXPECT_EQ(seen(FANOUT, second), 541 + header + 1 + header + 1);
    EXPECT_EQ(stats().up_non_posted_credit_waits, 1u);
    EXPECT_EQ(stats().up_posted_credit_waits, 1u);
}

TEST_F(Link, reads_without_credits_do_not_keep_writes_out)
{
    config_.up.credits[IOM_LINK_NON_POSTED] = {1, 0};
    config_.up.credit_cycles = 100000;
    device_depth_ = 2;
    build();
    for (iom_cycle i = 0; i < 10; i++) // more than the device has slots of the link
        up(100 + 2 * i, 0, 64);
    iom_dma *write = up(200, posted, 64);
    iom_dma *translation = up(220, IOM_REQ_TRANSLATE, 8); // of the class of the reads
    bench_.run_to(1000);
    EXPECT_EQ(seen(HOST, write), 200 + header + 8 + 1);
    EXPECT_EQ(seen(HOST, translation), IOM_NEVER);
    EXPECT_EQ(stats().up_non_posted_packets, 1u);
    EXPECT_EQ(bench_.outstanding(), 12u);
}

TEST_F(Link, writes_without_credits_keep_their_slots_of_the_link)
{
    config_.up.credits[IOM_LINK_POSTED] = {1, 0};
    config_.up.credit_cycles = 1000;
    device_depth_ = 2;
    build();
    up(100, posted, 64); // its slot is free again in 101
    up(102, posted, 64);
    up(103, posted, 64);
    bench_.run_to(500);
    EXPECT_FALSE(iom_port_can_send(world_.port(DEVICE), 500));
    bench_.run_to(1112); // 111: the first is through
    EXPECT_TRUE(iom_port_can_send(world_.port(DEVICE), 1112));
}

TEST_F(Link, the_last_slot_of_the_IOMMU_is_for_posted_requests)
{
    build(2);
    iom_dma *first = up(100, 0, 64);
    iom_dma *second = up(110, 0, 64); // one slot is free, but not for reads
    iom_dma *write = up(120, posted, 64);
    bench_.run_to(190);
    EXPECT_EQ(seen(HOST, first), 100 + header + 1);
    EXPECT_EQ(seen(HOST, second), IOM_NEVER);
    EXPECT_EQ(seen(HOST, write), 120 + header + 8 + 1);
    return_credit(200);
    bench_.run_to(290);
    EXPECT_EQ(seen(HOST, second), IOM_NEVER);
    return_credit(300);
    bench_.run_to(390);
    EXPECT_EQ(seen(HOST, second), 300u + 1);
}

TEST_F(Link, a_slot_on_its_way_back_wakes_a_read_that_needs_two)
{
    host_credit_latency_ = 50;
    build(2);
    up(100, 0, 64);
    return_credit(110); // on its way from 109 on, there in 159
    iom_dma *read = up(120, 0, 64);
    bench_.run_to(300);
    EXPECT_EQ(seen(HOST, read), 159u + 1);
}

TEST_F(Link, page_requests_are_posted)
{
    config_.up.credits[IOM_LINK_NON_POSTED] = {1, 0};
    config_.up.credit_cycles = 1000;
    build();
    up(100, 0, 64);
    iom_dma *read = up(110, 0, 64);
    iom_dma *page = up(111, IOM_REQ_PAGE | IOM_REQ_WRITE, 8);
    settle();
    EXPECT_EQ(seen(HOST, page), 111 + header + 1);
    EXPECT_EQ(seen(HOST, read), 1103 + header + 1);
    EXPECT_EQ(stats().up_posted_bytes, 24u); // a message without data
    answer(page, 2000);
    settle();
    EXPECT_EQ(seen(DEVICE, page), 2001u); // no packet: the response is a message of its own
}

TEST_F(Link, a_completion_stays_behind_writes_on_a_shorter_way)
{
    build(0, 50, 1);
    iom_ats_invalidation *msg = invalidation(10);
    settle();
    iom_dma *write = up(100, posted, 64);
    complete(msg, 105);
    settle();
    EXPECT_EQ(seen(HOST, write), 100 + header + 8 + 50);
    EXPECT_EQ(seen(FANOUT, msg), seen(HOST, write));
}

TEST_F(Link, flight_in_the_link_is_flight)
{
    config_.up.flight_cycles = 49;
    build();
    iom_ats_invalidation *msg = invalidation(10);
    settle();
    iom_dma *write = up(100, posted, 64);
    iom_dma *read = up(100, 0, 64);
    complete(msg, 105);
    settle();
    EXPECT_EQ(seen(HOST, write), 100 + header + 8 + 50);
    EXPECT_EQ(seen(HOST, read), 100 + header + 8 + header + 50);
    EXPECT_EQ(seen(FANOUT, msg), 100 + header + 8 + 2 * header + 50);
}

// Completions do not pass posted requests, and an invalidation request is one.
TEST_F(Link, answers_stay_behind_an_invalidation_without_place_in_the_device)
{
    build(0, 1, 1, 1);
    iom_dma *read = up(10, 0, 64), *write = up(10, posted, 64);
    iom_ats_invalidation *first = invalidation(20), *second = invalidation(30);
    settle();
    answer(read, 100);
    answer(write, 100);
    settle();
    EXPECT_EQ(seen(INVALIDATE, first), 20 + header + 1 + 1);
    EXPECT_EQ(seen(INVALIDATE, second), IOM_NEVER);
    EXPECT_EQ(seen(DEVICE, read), IOM_NEVER);
    EXPECT_EQ(seen(DEVICE, write), 101u); // no packet
    return_credit(200, INVALIDATE);
    bench_.run_to(300);
    EXPECT_EQ(seen(INVALIDATE, second), 200u + 1);
    EXPECT_EQ(seen(DEVICE, read), 200u + 1);
    EXPECT_EQ(stats().down_posted_slot_waits, 1u);
    EXPECT_EQ(stats().down_completion_most_buffered, 1u);
}

TEST_F(Link, an_invalidation_passes_answers_without_credits)
{
    config_.down.credits[IOM_LINK_COMPLETION] = {0, 4};
    config_.down.credit_cycles = 300;
    build();
    iom_dma *first = up(10, 0, 64), *second = up(10, 0, 64), *refused = up(10, 0, 64);
    settle();
    refused->x.outcome = IOM_OUTCOME_FAULT;
    answer(first, 100); // data credits are back in 411
    answer(second, 101);
    answer(refused, 102); // needs none, but is a completion like the one before
    iom_ats_invalidation *msg = invalidation(120);
    settle();
    EXPECT_EQ(seen(DEVICE, first), 100 + header + 8 + 1);
    EXPECT_EQ(seen(INVALIDATE, msg), 120 + header + 1 + 1);
    EXPECT_EQ(seen(DEVICE, second), 411 + header + 8 + 1);
    EXPECT_EQ(seen(DEVICE, refused), 411 + header + 8 + header + 1);
    EXPECT_EQ(stats().down_completion_credit_waits, 1u);
    EXPECT_EQ(stats().down_posted_packets, 1u);
    EXPECT_EQ(stats().down_posted_bytes, 24u + 8);
}

TEST_F(Link, invalidations_without_credits_wait_in_the_fan_outs_end)
{
    config_.down.credits[IOM_LINK_POSTED] = {1, 0};
    config_.down.credit_cycles = 300;
    build();
    iom_dma *read = up(10, 0, 64);
    iom_ats_invalidation *first = invalidation(20), *second = invalidation(30);
    bench_.run_to(40);
    answer(read, 100);
    settle();
    EXPECT_EQ(seen(INVALIDATE, first), 20 + header + 1 + 1);
    EXPECT_EQ(seen(INVALIDATE, second), 24 + 300 + header + 1 + 1);
    EXPECT_EQ(seen(DEVICE, read), 24 + 300 + header + 1 + header + 8 + 1);
    EXPECT_EQ(stats().down_posted_credit_waits, 1u);
}

// One write in a loop of wires, flight and the credit's way back; without limits one after the other.
TEST_F(Link, credits_bound_the_rate)
{
    config_.up.credits[IOM_LINK_POSTED] = {2, 0};
    config_.up.flight_cycles = 60;
    config_.up.credit_cycles = 61;
    build();
    std::vector<iom_dma *> writes;
    for (unsigned i = 0; i < 8; i++)
        writes.push_back(up(100, posted, 64));
    settle();
    constexpr iom_cycle packet = header + 8, loop = packet + 60 + 61;
    for (size_t i = 0; i < 8; i++)
        EXPECT_EQ(seen(HOST, writes[i]), 100 + i / 2 * loop + (i % 2 + 1) * packet + 60 + 1) << i;
}

} // namespace
