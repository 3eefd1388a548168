// SPDX-License-Identifier: Apache-2.0
//
// The PCI Express link between a scripted device and a scripted IOMMU. All connections take one cycle each
// way unless a test says otherwise; the wires move 8 bytes a cycle, a header has 24.
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
        const iom_link_unit_config config = {8, 24};
        link_ = iom_link_create(&config, "link");
        ASSERT_NE(link_, nullptr);
        bench_.add(world_.unit());
        bench_.add(iom_link_unit(link_));
        bench_.connect(world_.port(DEVICE), iom_link_device_port(link_), {1, 1, 1, 0});
        bench_.connect(world_.port(FANOUT), iom_link_fanout_port(link_), {1, completion_latency, 1, 0});
        bench_.connect(iom_link_host_port(link_), world_.port(HOST), {host_latency, 1, 1, host_depth});
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
        world_.send_at(arrival - 1, DEVICE, &made->msg);
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

TEST_F(Link, a_completion_waits_for_writes_without_credit_and_passes_reads_without)
{
    build(1);
    iom_ats_invalidation *first = invalidation(10), *second = invalidation(20), *third = invalidation(30);
    settle();
    up(100, 0, 64);                 // takes the only credit
    iom_dma *read = up(101, 0, 64); // waits
    complete(first, 102);           // passes it
    iom_dma *write = up(103, posted, 64);
    complete(second, 104); // waits for the write
    iom_dma *later = up(105, posted, 64);
    complete(third, 106);
    bench_.run_to(150);
    EXPECT_EQ(seen(FANOUT, first), 100 + header + header + 1); // the wires are free at 103
    EXPECT_EQ(seen(FANOUT, second), IOM_NEVER);
    return_credit(200);
    return_credit(300);
    bench_.run_to(390);
    EXPECT_EQ(seen(HOST, read), 200 + header + 1);
    EXPECT_EQ(seen(HOST, write), 300 + header + 8 + 1);
    EXPECT_EQ(seen(FANOUT, second), 300 + header + 8 + header + 1);
    EXPECT_EQ(seen(FANOUT, third), IOM_NEVER);
    return_credit(400);
    bench_.run_to(500);
    EXPECT_EQ(seen(HOST, later), 400 + header + 8 + 1);
    EXPECT_EQ(seen(FANOUT, third), 400 + header + 8 + header + 1);
    EXPECT_EQ(stats().credit_waits, 3u);
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

TEST_F(Link, an_invalidation_without_place_in_the_device_holds_up_no_answers)
{
    build(0, 1, 1, 1);
    iom_dma *read = up(10, 0, 64);
    iom_ats_invalidation *first = invalidation(20), *second = invalidation(21);
    settle();
    answer(read, 100);
    settle();
    EXPECT_EQ(seen(INVALIDATE, first), 20 + header + 1 + 1);
    EXPECT_EQ(seen(INVALIDATE, second), IOM_NEVER);
    EXPECT_EQ(seen(DEVICE, read), 100 + header + 8 + 1);
    return_credit(200, INVALIDATE);
    bench_.run_to(300);
    EXPECT_EQ(seen(INVALIDATE, second), 200 + header + 1 + 1);
}

} // namespace
