// SPDX-License-Identifier: Apache-2.0
//
// Lazy unmapping: when flush queues are flushed, by whom, and when addresses come back.
#include "tests/traffic/host_fixture.hpp"

using namespace iommu_sim::test;

namespace
{

using Kinds = std::vector<iom_flush_kind>;

class Lazy : public HostBench
{
  protected:
    // Maps and unmaps `count` ranges of a page, one slot.
    void churn(size_t thread, uint32_t count)
    {
        add(thread, IOM_HOST_REPEAT)->count = count;
        iom_host_op *map = add(thread, IOM_HOST_MAP);
        map->domain = 1;
        map->bytes = 0x1000;
        map->slot = static_cast<uint32_t>(thread);
        iom_host_op *unmap = add(thread, IOM_HOST_UNMAP);
        unmap->domain = 1;
        unmap->slot = static_cast<uint32_t>(thread);
        unmap->tag = 1;
        add(thread, IOM_HOST_END);
        config.slot_count = std::max(config.slot_count, static_cast<uint32_t>(thread) + 1);
    }
    void start()
    {
        ASSERT_TRUE(create());
        ASSERT_EQ(iom_host_prepare_attach(host, image, 0, IOM_NO_PASID, 1), IOM_MAPPER_OK);
        EXPECT_EQ(run(), IOM_RUN_IDLE);
    }
    size_t flushes() const
    {
        size_t count = 0;
        for (const SeenReport &seen : reports)
            count += seen.kind == IOM_HOST_REPORT_FLUSH;
        return count;
    }
};

TEST_F(Lazy, one_domain_selective_flush_per_full_queue)
{
    device(0x10);
    domain(1, false, IOM_FLUSH_LAZY_PER_CPU);
    churn(0, 1000);
    start();
    // 255 fit; the 256th flushes them, and so on: after 255, 510, 765.
    EXPECT_EQ(kinds(), Kinds(3, IOM_FLUSH_IOTLB_DOMAIN));
    EXPECT_EQ(iom_host_stats_of(host)->queue_flushes_full, 3u);
    EXPECT_EQ(iom_host_stats_of(host)->queue_flushes_timer, 0u);
    EXPECT_EQ(iom_host_pending(host), 1000u - 3 * 255);
    EXPECT_EQ(hardware().waits.size(), 3u);
    EXPECT_EQ(flushes(), 3u);
    EXPECT_EQ(iom_host_stats_of(host)->released, 765u);
}

TEST_F(Lazy, device_tlbs_are_flushed_with_it)
{
    device(0x10, true);
    domain(1, false, IOM_FLUSH_LAZY_PER_CPU, 4);
    churn(0, 4);
    start();
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_DOMAIN, IOM_FLUSH_DEVICE_ALL}));
    EXPECT_EQ(hardware().waits.size(), 1u);
}

TEST_F(Lazy, an_address_comes_back_only_after_its_flush)
{
    device(0x10);
    domain(1, false, IOM_FLUSH_LAZY_PER_CPU, 4);
    churn(0, 8);
    start();
    std::vector<uint64_t> seen;
    for (const SeenReport &report : reports) {
        if (report.kind == IOM_HOST_REPORT_CALL && report.tag == 1)
            seen.push_back(report.iova);
    }
    // Three in the queue; the fourth unmap flushes and releases them, last in first out.
    EXPECT_EQ(seen, (std::vector<uint64_t>{0xfffff000, 0xffffe000, 0xffffd000, 0xffffc000, 0xffffd000,
                                           0xffffe000, 0xfffff000, 0xffffe000}));
}

TEST_F(Lazy, the_timer_flushes_what_is_left)
{
    device(0x10);
    domain(1, false, IOM_FLUSH_LAZY_PER_CPU, 0, 10000);
    config.costs.unmap_cycles = 30;
    churn(0, 10);
    start();
    EXPECT_EQ(iom_host_stats_of(host)->queue_flushes_timer, 1u);
    EXPECT_EQ(kinds(), Kinds(1, IOM_FLUSH_IOTLB_DOMAIN));
    EXPECT_EQ(iom_host_pending(host), 0u);
    // Set by the first range, one cycle for the store of its page and one for that of the root before.
    const SeenReport *flush = nullptr;
    for (const SeenReport &seen : reports) {
        if (seen.kind == IOM_HOST_REPORT_FLUSH)
            flush = &seen;
    }
    ASSERT_NE(flush, nullptr);
    const SeenReport &first = report_of(1);
    EXPECT_EQ(flush->begun, first.ended + 10000);
    EXPECT_EQ(flush->thread, 1u); // the timer's own
    EXPECT_EQ(iom_host_stats_of(host)->held_back.count, 10u);
    EXPECT_EQ(iom_host_call_stats_of(host, IOM_HOST_OP_KINDS)->time.count, 1u);
    EXPECT_EQ(iom_host_call_stats_of(host, IOM_HOST_OP_KINDS)->commands, 1u);
}

TEST_F(Lazy, the_timer_is_set_again_by_the_next_range)
{
    device(0x10);
    domain(1, false, IOM_FLUSH_LAZY_PER_CPU, 0, 1000);
    churn(0, 1);
    delay(0, 5000);
    churn(0, 1);
    start();
    EXPECT_EQ(iom_host_stats_of(host)->queue_flushes_timer, 2u);
}

TEST_F(Lazy, a_full_queue_of_one_cpu_flushes_for_all)
{
    device(0x10);
    domain(1, false, IOM_FLUSH_LAZY_PER_CPU, 4);
    churn(0, 2);
    churn(1, 4);
    delay(0, 5000);
    churn(0, 2); // its queue holds two that the other CPU's flush covers
    start();
    EXPECT_EQ(iom_host_stats_of(host)->queue_flushes_full, 1u);
}

TEST_F(Lazy, single_queue_is_shared_and_so_is_its_lock)
{
    device(0x10);
    domain(1, false, IOM_FLUSH_LAZY_SINGLE, 8);
    churn(0, 14);
    churn(1, 14);
    config.costs.enqueue_cycles = 50;
    start();
    EXPECT_EQ(iom_host_stats_of(host)->queue_flushes_full, 3u); // 7, 14, 21 of 28
    EXPECT_GT(iom_host_lock_stats_of(host, 1)->contended, 0u);
    EXPECT_GE(iom_host_lock_stats_of(host, 1)->hold.minimum, 50u);
}

TEST_F(Lazy, lazy_returns_without_waiting)
{
    device(0x10);
    domain(1, false, IOM_FLUSH_LAZY_PER_CPU);
    config.costs.unmap_cycles = 30;
    config.costs.enqueue_cycles = 7;
    churn(0, 1);
    start();
    // The one store leaves at once.
    EXPECT_EQ(report_of(1).ended - report_of(1).begun, 37u);
    EXPECT_TRUE(kinds().empty());
}

TEST_F(Lazy, released_addresses_go_to_the_cpu_of_the_timer)
{
    device(0x10);
    domain(1, false, IOM_FLUSH_LAZY_PER_CPU, 0, 1000);
    churn(0, 1); // sets the timer
    delay(1, 100);
    churn(1, 1);
    delay(0, 5000);
    delay(1, 5000);
    churn(0, 2);
    start();
    // Timer on CPU 0: released in order of the queues, so CPU 1's range is the first to come back.
    std::vector<uint64_t> seen;
    for (const SeenReport &report : reports) {
        if (report.kind == IOM_HOST_REPORT_CALL && report.tag == 1)
            seen.push_back(report.iova);
    }
    EXPECT_EQ(seen, (std::vector<uint64_t>{0xfffff000, 0xffffe000, 0xffffe000, 0xfffff000}));
}

TEST_F(Lazy, flush_all_is_one_submission)
{
    device(0x10, true);
    domain(1);
    iom_host_op *all = add(0, IOM_HOST_FLUSH_ALL);
    all->domain = 1;
    all->tag = 2;
    start();
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_DOMAIN, IOM_FLUSH_DEVICE_ALL}));
    EXPECT_EQ(report_of(2).submissions, 1u);
}

} // namespace
