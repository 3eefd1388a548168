// SPDX-License-Identifier: Apache-2.0
//
// The host's engine: programs, time, events, locks, stores, the processor's cache, registers, DMA.
#include "tests/traffic/host_fixture.hpp"

using namespace iommu_sim::test;

namespace
{

using Host = HostBench;

TEST_F(Host, operations_take_their_time_and_nothing_more)
{
    delay(0, 10);
    add(0, IOM_HOST_MARK)->tag = 1;
    add(0, IOM_HOST_UNTIL)->cycles = 50;
    add(0, IOM_HOST_MARK)->tag = 2;
    add(0, IOM_HOST_UNTIL)->cycles = 20; // already past
    delay(0, 1);
    add(0, IOM_HOST_MARK)->tag = 3;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).ended, 10u);
    EXPECT_EQ(report_of(2).ended, 50u);
    EXPECT_EQ(report_of(3).ended, 51u);
    EXPECT_TRUE(iom_host_finished(host));
    EXPECT_EQ(iom_host_stats_of(host)->operations, 7u);
}

TEST_F(Host, a_thread_begins_at_its_start)
{
    add(0, IOM_HOST_MARK)->tag = 1;
    add(1, IOM_HOST_MARK)->tag = 2;
    start_of = {30, 7};
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).ended, 30u);
    EXPECT_EQ(report_of(2).ended, 7u);
}

TEST_F(Host, repeats_with_steps)
{
    device(0x10);
    add(0, IOM_HOST_REPEAT)->count = 3;
    iom_host_op *request = add(0, IOM_HOST_REQUEST);
    request->iova = 0x1000;
    request->iova_step = 0x1000;
    request->bytes = 64;
    add(0, IOM_HOST_REPEAT)->count = 2;
    delay(0, 5);
    add(0, IOM_HOST_END);
    add(0, IOM_HOST_REPEAT)->count = 0;
    delay(0, 1000);
    add(0, IOM_HOST_END);
    add(0, IOM_HOST_END);
    add(0, IOM_HOST_MARK)->tag = 1;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).ended, 30u);
    ASSERT_EQ(dma.dma.size(), 3u);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQ(dma.dma[i].iova, 0x1000u * (i + 1));
        EXPECT_EQ(dma.dma[i].at, 10 * i + 1); // one cycle of way
    }
}

TEST_F(Host, each_thread_counts_signals_for_itself)
{
    config.event_count = 1;
    delay(0, 10);
    add(0, IOM_HOST_SIGNAL);
    delay(0, 10);
    add(0, IOM_HOST_SIGNAL)->count = 2;
    for (size_t thread = 1; thread <= 2; thread++) {
        add(thread, IOM_HOST_AWAIT);
        add(thread, IOM_HOST_MARK)->tag = static_cast<uint32_t>(thread);
        add(thread, IOM_HOST_AWAIT)->count = 2;
        add(thread, IOM_HOST_MARK)->tag = static_cast<uint32_t>(10 + thread);
    }
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).ended, 10u);
    EXPECT_EQ(report_of(2).ended, 10u);
    EXPECT_EQ(report_of(11).ended, 20u);
    EXPECT_EQ(report_of(12).ended, 20u);
}

TEST_F(Host, an_event_that_never_comes_is_a_deadlock_with_a_reason)
{
    config.event_count = 1;
    add(0, IOM_HOST_AWAIT);
    EXPECT_EQ(run(), IOM_RUN_DEADLOCK);
    char text[400];
    iom_group_explain(&bench->group, text, sizeof text);
    EXPECT_NE(std::string(text).find("waits for an event"), std::string::npos) << text;
}

// ---- locks -------------------------------------------------------------------------------------------

TEST_F(Host, locks_go_by_cycle_and_thread)
{
    config.lock_count = 1;
    config.costs.lock_cycles = 2;
    // Thread 0 holds it from 2 to 102. 3 asks in 10, 2 and 1 both in 20.
    const std::vector<uint64_t> asks = {0, 20, 20, 10};
    for (size_t i = 0; i < asks.size(); i++) {
        delay(i, asks[i]);
        add(i, IOM_HOST_LOCK);
        add(i, IOM_HOST_MARK)->tag = static_cast<uint32_t>(i + 1);
        delay(i, i == 0 ? 100 : 10);
        add(i, IOM_HOST_UNLOCK);
    }
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).ended, 2u);
    EXPECT_EQ(report_of(4).ended, 104u);
    EXPECT_EQ(report_of(2).ended, 116u);
    EXPECT_EQ(report_of(3).ended, 128u);
    const iom_host_lock_stats &stats = *iom_host_lock_stats_of(host, 0);
    EXPECT_EQ(stats.acquired, 4u);
    EXPECT_EQ(stats.contended, 3u);
    EXPECT_EQ(stats.most_waiting, 3u);
    EXPECT_EQ(stats.wait.sum, 2u + 94u + 96u + 108u);
    EXPECT_EQ(stats.hold.sum, 130u);
}

TEST_F(Host, a_lock_that_is_not_held_cannot_be_given_up)
{
    config.lock_count = 1;
    add(0, IOM_HOST_UNLOCK);
    run();
    ASSERT_NE(iom_host_error(host), nullptr);
    EXPECT_NE(std::string(iom_host_error(host)).find("does not hold"), std::string::npos);
}

// ---- stores ------------------------------------------------------------------------------------------

TEST_F(Host, stores_are_posted_and_a_fence_waits_for_them)
{
    config.costs.store_cycles = 3;
    for (unsigned i = 0; i < 3; i++) {
        iom_host_op *store = add(0, IOM_HOST_STORE);
        store->address = 0x2000 + 8 * i;
        store->value = 100 + i;
        store->width = 8;
    }
    add(0, IOM_HOST_MARK)->tag = 1;
    add(0, IOM_HOST_FENCE);
    add(0, IOM_HOST_MARK)->tag = 2;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).ended, 6u); // leave in 0, 3, 6
    EXPECT_EQ(report_of(2).ended, 6u + 1 + memory_latency + 1);
    EXPECT_EQ(word(0x2010), 102u);
}

TEST_F(Host, a_cached_store_is_invisible_until_its_line_is_written_back)
{
    config.coherent = false;
    config.costs.write_back_cycles = 10;
    const auto store = [&](uint64_t address, uint64_t value) {
        iom_host_op *made = add(0, IOM_HOST_STORE);
        made->address = address;
        made->value = value;
        made->width = 8;
    };
    store(0x2000, 1);
    store(0x2040, 2);
    store(0x2008, 3);
    store(0x3000, 4);
    add(0, IOM_HOST_UNTIL)->cycles = 1000;
    iom_host_op *back = add(0, IOM_HOST_WRITE_BACK);
    back->address = 0x2008; // the line, not the word
    back->bytes = 8;
    add(0, IOM_HOST_MARK)->tag = 1;
    add(0, IOM_HOST_UNTIL)->cycles = 2000;
    add(0, IOM_HOST_WRITE_BACK);
    add(0, IOM_HOST_MARK)->tag = 2;
    run(999);
    EXPECT_EQ(word(0x2000), 0u);
    run(1999);
    EXPECT_EQ(word(0x2000), 1u);
    EXPECT_EQ(word(0x2008), 3u);
    EXPECT_EQ(word(0x2040), 0u);
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(word(0x2040), 2u);
    EXPECT_EQ(word(0x3000), 4u);
    EXPECT_EQ(report_of(1).ended, 1011u); // one line, two stores one cycle apart
    EXPECT_EQ(report_of(2).ended, 2020u);
    EXPECT_EQ(iom_host_stats_of(host)->write_backs, 3u);
}

TEST_F(Host, a_store_to_nowhere_ends_the_run)
{
    iom_host_op *store = add(0, IOM_HOST_STORE);
    store->address = UINT64_C(1) << 40;
    store->width = 4;
    run();
    ASSERT_NE(iom_host_error(host), nullptr);
    EXPECT_NE(std::string(iom_host_error(host)).find("0x10000000000"), std::string::npos);
}

// ---- tables, registers, DMA --------------------------------------------------------------------------

TEST_F(Host, table_operations_change_tables_only)
{
    device(0x10);
    add(0, IOM_HOST_TABLE_ATTACH)->domain = 3;
    iom_host_op *map = add(0, IOM_HOST_TABLE_MAP);
    map->domain = 3;
    map->iova = 0x5000;
    map->address = 0x9000;
    map->bytes = 0x2000;
    map->options = IOM_HOST_WAIT_STORES;
    add(0, IOM_HOST_MARK)->tag = 1;
    iom_host_op *unmap = add(0, IOM_HOST_TABLE_UNMAP);
    unmap->domain = 3;
    unmap->iova = 0x5000;
    unmap->bytes = 0x1000;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(tables.attached.at({0x10, IOM_NO_PASID}), 3u);
    EXPECT_EQ(tables.translate(3, 0x5000), UINT64_MAX);
    EXPECT_EQ(tables.translate(3, 0x6010), 0xa010u);
    // Attachment in 0; root and two pages leave in 1, 2, 3 and are acknowledged 22 cycles later.
    EXPECT_EQ(report_of(1).ended, 3 + 2 + memory_latency);
    EXPECT_EQ(hardware().commands.size(), 0u);
}

TEST_F(Host, registers_are_polled)
{
    config.costs.relax_cycles = 4;
    iom_host_op *access = add(0, IOM_HOST_REGISTER);
    access->mmio.offset = 0x18;
    access->mmio.bytes = 4;
    access->mmio.poll_offset = toy_error;
    access->mmio.poll_mask = toy_fatal;
    access->mmio.poll_value = toy_fatal;
    access->mmio.poll_bytes = 4;
    access->tag = 1;
    hardware().error = 0;
    run(199);
    hardware().error = toy_fatal; // shows from 200 on
    run();
    // Write 10, read 10, then one read per 14 cycles: sent in 10 + 14 k, arriving 5 later.
    EXPECT_EQ(report_of(1).ended, 10u + 14 * 14 + 10);
    EXPECT_EQ(report_of(1).kind, IOM_HOST_REPORT_SYNC);
}

TEST_F(Host, dma_carries_what_it_is_told)
{
    device(0x10);
    device(0x20);
    iom_host_op *read = add(0, IOM_HOST_REQUEST);
    read->iova = 0x1234;
    read->bytes = 64;
    read->tag = 1;
    iom_host_op *write = add(0, IOM_HOST_REQUEST);
    write->device = 1;
    write->iova = 0x3000;
    write->bytes = 4096;
    write->flags = IOM_REQ_WRITE;
    write->pasid = 9;
    write->tag = 2;
    add(0, IOM_HOST_AWAIT_REQUESTS);
    add(0, IOM_HOST_MARK)->tag = 3;
    dma.judge = [](const SeenDma &seen) {
        return seen.source == 0x20 ? IOM_OUTCOME_FAULT : IOM_OUTCOME_ADDRESS;
    };
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    ASSERT_EQ(dma.dma.size(), 2u);
    EXPECT_EQ(dma.dma[0].source, 0x10u);
    EXPECT_EQ(dma.dma[0].iova, 0x1234u);
    EXPECT_EQ(dma.dma[0].flags, 0);
    EXPECT_EQ(dma.dma[1].port, 1u);
    EXPECT_EQ(dma.dma[1].pasid, 9u);
    EXPECT_EQ(dma.dma[1].flags, IOM_REQ_WRITE | IOM_REQ_POSTED | IOM_REQ_PASID);
    EXPECT_EQ(report_of(1).outcome, IOM_OUTCOME_ADDRESS);
    EXPECT_EQ(report_of(2).outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(report_of(2).iova, 0x3000u);
    EXPECT_EQ(report_of(3).ended, 32u);
    EXPECT_EQ(iom_host_stats_of(host)->faults, 1u);
}

TEST_F(Host, start_up_comes_before_programs)
{
    config.bring_up = true;
    config.start = 40;
    iom_register_write write{};
    write.offset = 0x20;
    write.bytes = 8;
    iom_register_write polled = write;
    polled.poll_offset = toy_head;
    polled.poll_mask = 0xff;
    polled.poll_value = 0;
    polled.poll_bytes = 8;
    tables.startup = {write, polled};
    add(0, IOM_HOST_MARK)->tag = 1;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).ended, 40u + 3 * 2 * mmio_hop);
    EXPECT_TRUE(iom_host_ready(host));
}

// ---- what is refused ---------------------------------------------------------------------------------

TEST_F(Host, programs_are_checked_when_the_host_is_made)
{
    const auto refused = [&](const char *expected) {
        std::string error;
        EXPECT_FALSE(create(&error));
        EXPECT_NE(error.find(expected), std::string::npos) << error;
        programs.clear();
    };
    add(0, IOM_HOST_END);
    refused("operation 0: end without a repetition");
    add(0, IOM_HOST_REPEAT)->count = 1;
    refused("a repetition has no end");
    delay(0, 1);
    add(0, IOM_HOST_LOCK);
    refused("operation 1: there is no such lock");
    add(0, IOM_HOST_REQUEST)->bytes = 1;
    refused("there is no such device");
    iom_host_op *map = add(0, IOM_HOST_MAP);
    map->domain = 1;
    map->bytes = 1;
    refused("its domain is not among the host's domains");
    device(1);
    iom_host_op *request = add(0, IOM_HOST_REQUEST);
    request->iova = 0xff0;
    request->bytes = 64;
    refused("must not cross");
    add(0, IOM_HOST_AWAIT);
    refused("there is no such event");
    add(0, IOM_HOST_STORE)->width = 3;
    refused("width");
}

TEST_F(Host, flushing_needs_a_command_queue)
{
    ops.set_queue = nullptr;
    add(0, IOM_HOST_SYNC);
    std::string error;
    EXPECT_FALSE(create(&error));
    EXPECT_NE(error.find("no command queue"), std::string::npos) << error;
}

} // namespace
