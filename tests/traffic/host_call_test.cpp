// SPDX-License-Identifier: Apache-2.0
//
// Calls of the driver: which commands in which order and how many submissions, per kind of call, kind of
// tables and option (scenarios A1 to A16, E1 to E5, F1, F2, F4).
#include "tests/traffic/host_fixture.hpp"

using namespace iommu_sim::test;

namespace
{

using Kinds = std::vector<iom_flush_kind>;

class Call : public HostBench
{
  protected:
    iom_host_op *map(size_t thread, uint64_t iova, uint64_t bytes, uint32_t domain_id = 1)
    {
        iom_host_op *made = add(thread, IOM_HOST_MAP);
        made->domain = domain_id;
        made->iova = iova;
        made->address = 0x1000000 + iova;
        made->bytes = bytes;
        return made;
    }
    iom_host_op *unmap(size_t thread, uint64_t iova, uint64_t bytes, uint32_t domain_id = 1)
    {
        iom_host_op *made = add(thread, IOM_HOST_UNMAP);
        made->domain = domain_id;
        made->iova = iova;
        made->bytes = bytes;
        return made;
    }
    iom_host_op *attach(size_t thread, uint32_t device_index, uint32_t domain_id,
                        uint32_t pasid = IOM_NO_PASID)
    {
        iom_host_op *made = add(thread, pasid == IOM_NO_PASID ? IOM_HOST_ATTACH : IOM_HOST_PASID_ATTACH);
        made->device = device_index;
        made->domain = domain_id;
        made->pasid = pasid;
        return made;
    }
    iom_host_op *detach(size_t thread, uint32_t device_index, uint32_t pasid = IOM_NO_PASID)
    {
        iom_host_op *made = add(thread, pasid == IOM_NO_PASID ? IOM_HOST_DETACH : IOM_HOST_PASID_DETACH);
        made->device = device_index;
        made->pasid = pasid;
        return made;
    }
    /// Attached before the run.
    void attached(uint32_t device_index, uint32_t domain_id, uint32_t pasid = IOM_NO_PASID)
    {
        ASSERT_EQ(iom_host_prepare_attach(host, image, device_index, pasid, domain_id), IOM_MAPPER_OK);
    }
    size_t waits()
    {
        return hardware().waits.size();
    }
};

// ---- map and unmap -----------------------------------------------------------------------------------

TEST_F(Call, strict_unmap_is_one_command_and_a_wait)
{
    device(0x10);
    domain(1);
    map(0, 0x1000, 0x2000);
    unmap(0, 0x1000, 0x2000)->tag = 1;
    ASSERT_TRUE(create());
    attached(0, 1);
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    ASSERT_EQ(hardware().commands.size(), 1u);
    const SeenCommand &command = hardware().commands[0];
    EXPECT_EQ(command.kind, IOM_FLUSH_IOTLB_PAGES);
    EXPECT_EQ(command.domain, 1u);
    EXPECT_EQ(command.iova, 0u); // pages 1 and 2: four pages from 0
    EXPECT_EQ(command.pages_log2, 2u);
    EXPECT_TRUE(command.leaf_only);
    EXPECT_EQ(waits(), 1u);
    EXPECT_EQ(tables.translate(1, 0x1000), UINT64_MAX);
    EXPECT_EQ(report_of(1).kind, IOM_HOST_REPORT_CALL);
    EXPECT_EQ(report_of(1).submissions, 1u);
    EXPECT_EQ(report_of(1).commands, 1u);
}

TEST_F(Call, with_ats_the_device_is_in_the_same_submission)
{
    device(0x10, true);
    domain(1);
    map(0, 0x1000, 0x1000);
    unmap(0, 0x1000, 0x1000);
    ASSERT_TRUE(create());
    attached(0, 1);
    run();
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_PAGES, IOM_FLUSH_DEVICE_PAGES}));
    EXPECT_EQ(waits(), 1u);
}

TEST_F(Call, two_pages_beyond_the_mask_limit_cost_the_domain)
{
    device(0x10);
    domain(1);
    map(0, 0x1ff000, 0x2000);
    unmap(0, 0x1ff000, 0x2000);
    Toy::settings().largest_pages_log2 = 9; // 10 would be needed
    ASSERT_TRUE(create());
    attached(0, 1);
    run();
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_DOMAIN}));
    EXPECT_FALSE(hardware().commands[0].leaf_only);
}

TEST_F(Call, the_parts_of_an_unmap_add_up)
{
    device(0x10);
    domain(1);
    config.lock_count = 1;
    config.costs.unmap_cycles = 11;
    config.costs.return_cycles = 5;
    config.costs.descriptor_cycles = 4;
    config.costs.lock_cycles = 2;
    map(0, 0x1000, 0x3000);
    add(0, IOM_HOST_FENCE);
    iom_host_op *gone = unmap(0, 0x1000, 0x3000);
    gone->tag = 1;
    gone->options = IOM_HOST_LOCKED;
    ASSERT_TRUE(create());
    attached(0, 1);
    run();
    const SeenReport &seen = report_of(1);
    EXPECT_EQ(seen.part[IOM_HOST_PART_CALL], 16u);
    EXPECT_EQ(seen.part[IOM_HOST_PART_TABLE], 2u); // three stores, one per cycle, the first at once
    EXPECT_EQ(seen.part[IOM_HOST_PART_LOCK], 4u);
    EXPECT_EQ(seen.part[IOM_HOST_PART_EXECUTE], 26u);
    EXPECT_EQ(seen.part[IOM_HOST_PART_STATUS], 21u);
    iom_cycle sum = 0;
    for (iom_cycle part : seen.part)
        sum += part;
    EXPECT_EQ(sum, seen.ended - seen.begun);
    const iom_host_call_stats &stats = *iom_host_call_stats_of(host, IOM_HOST_UNMAP);
    EXPECT_EQ(stats.time.count, 1u);
    EXPECT_EQ(stats.time.sum, sum);
    EXPECT_EQ(stats.commands, 1u);
}

TEST_F(Call, map_flushes_only_under_caching_mode)
{
    device(0x10, true);
    domain(1);
    domain(2, true);
    map(0, 0x1000, 0x1000);
    map(0, 0x1000, 0x1000, 2);
    ASSERT_TRUE(create());
    attached(0, 1);
    run();
    EXPECT_TRUE(kinds().empty());
}

// Linux flushes the device TLB of an unmapped range in caching mode too; only maps spare it.
TEST_F(Call, caching_mode_flushes_maps_and_spares_their_devices)
{
    device(0x10, true);
    domain(1);
    domain(2, true);
    config.caching_mode = true;
    map(0, 0x1000, 0x1000);
    map(0, 0x1000, 0x1000, 2); // first-stage: nothing is cached that is not there
    unmap(0, 0x1000, 0x1000);
    ASSERT_TRUE(create());
    attached(0, 1);
    run();
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_PAGES, IOM_FLUSH_IOTLB_PAGES, IOM_FLUSH_DEVICE_PAGES}));
}

TEST_F(Call, segments_share_one_flush)
{
    device(0x10);
    domain(1);
    config.caching_mode = true;
    for (bool each : {false, true}) {
        iom_host_op *made = add(0, IOM_HOST_SG_MAP);
        made->domain = 1;
        made->iova = each ? 0x40000 : 0x10000;
        made->address = 0x500000;
        made->address_step = 0x10000;
        made->bytes = 0x1000;
        made->count = 4;
        made->options = each ? IOM_HOST_SYNC_EACH : 0;
        made->tag = each ? 2 : 1;
    }
    ASSERT_TRUE(create());
    attached(0, 1);
    run();
    EXPECT_EQ(report_of(1).commands, 1u);
    EXPECT_EQ(report_of(1).submissions, 1u);
    EXPECT_EQ(report_of(2).submissions, 4u);
    EXPECT_EQ(tables.translate(1, 0x12004), 0x520004u);
    EXPECT_EQ(tables.translate(1, 0x43004), 0x530004u);
    EXPECT_EQ(hardware().commands[0].pages_log2, 2u);
}

TEST_F(Call, options_of_unmap)
{
    device(0x10, true);
    domain(1);
    const std::vector<uint32_t> options = {IOM_HOST_WHOLE_DOMAIN, IOM_HOST_NO_DEVICE_FLUSH,
                                           IOM_HOST_NO_IOTLB_FLUSH, IOM_HOST_DEVICE_FIRST,
                                           IOM_HOST_NO_IOTLB_FLUSH | IOM_HOST_NO_DEVICE_FLUSH};
    for (uint32_t i = 0; i < options.size(); i++) {
        map(0, 0x1000, 0x1000);
        iom_host_op *made = unmap(0, 0x1000, 0x1000);
        made->options = options[i];
        made->tag = i + 1;
    }
    ASSERT_TRUE(create());
    attached(0, 1);
    run();
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_DOMAIN, IOM_FLUSH_DEVICE_ALL, //
                              IOM_FLUSH_IOTLB_PAGES,                        //
                              IOM_FLUSH_DEVICE_PAGES,                       //
                              IOM_FLUSH_DEVICE_PAGES, IOM_FLUSH_IOTLB_PAGES}));
    EXPECT_EQ(report_of(5).submissions, 0u);
}

TEST_F(Call, no_wait_returns_before_the_command_is_carried_out)
{
    device(0x10);
    domain(1);
    map(0, 0x1000, 0x1000);
    iom_host_op *made = unmap(0, 0x1000, 0x1000);
    made->options = IOM_HOST_NO_WAIT;
    made->tag = 1;
    ASSERT_TRUE(create());
    attached(0, 1);
    run();
    ASSERT_EQ(hardware().commands.size(), 1u);
    EXPECT_LT(report_of(1).ended, hardware().commands[0].at);
    EXPECT_EQ(waits(), 0u);
}

TEST_F(Call, flush_first_clears_the_tables_afterwards)
{
    device(0x10);
    domain(1);
    map(0, 0x1000, 0x1000);
    add(0, IOM_HOST_FENCE);
    unmap(0, 0x1000, 0x1000)->options = IOM_HOST_FLUSH_FIRST;
    ASSERT_TRUE(create());
    attached(0, 1);
    for (iom_cycle cycle = 0; hardware().waits.empty(); cycle++)
        run(cycle);
    const uint64_t entry = tables.roots.at(1) + 8;
    EXPECT_NE(word(entry), 0u);
    run();
    EXPECT_EQ(word(entry), 0u);
    EXPECT_EQ(waits(), 1u);
}

TEST_F(Call, a_walker_that_does_not_snoop_sees_the_change_before_the_flush_only_if_written_back)
{
    device(0x10);
    domain(1);
    config.coherent = false;
    map(0, 0x1000, 0x1000);
    unmap(0, 0x1000, 0x1000);
    map(0, 0x2000, 0x1000);
    unmap(0, 0x2000, 0x1000)->options = IOM_HOST_NO_WRITE_BACK; // scenario A14
    ASSERT_TRUE(create());
    attached(0, 1);
    iom_cycle cycle = 0;
    for (; hardware().commands.empty(); cycle++)
        run(cycle);
    EXPECT_EQ(word(tables.roots.at(1) + 8), 0u);
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(hardware().commands.size(), 2u);
    EXPECT_NE(word(tables.roots.at(1) + 16), 0u);
    EXPECT_EQ(tables.translate(1, 0x2000), UINT64_MAX);
}

TEST_F(Call, unmap_of_nothing_is_reported_and_flushed_as_asked)
{
    device(0x10);
    domain(1);
    unmap(0, 0x1000, 0x1000)->tag = 1;
    ASSERT_TRUE(create());
    attached(0, 1);
    run();
    EXPECT_EQ(report_of(1).result, IOM_HOST_REFUSED);
    EXPECT_EQ(iom_host_stats_of(host)->refused, 1u);
}

// ---- addresses from the allocator --------------------------------------------------------------------

TEST_F(Call, slots_hold_allocated_addresses)
{
    device(0x10);
    domain(1);
    config.slot_count = 3;
    add(0, IOM_HOST_REPEAT)->count = 3;
    iom_host_op *made = map(0, 0, 0x2000);
    made->slot = 0;
    made->slot_step = 1;
    add(0, IOM_HOST_END);
    iom_host_op *request = add(0, IOM_HOST_REQUEST);
    request->slot = 1;
    request->iova = 0x1010;
    request->bytes = 16;
    add(0, IOM_HOST_AWAIT_REQUESTS);
    iom_host_op *gone = unmap(0, 0, 0);
    gone->slot = 1;
    made = map(0, 0, 0x2000);
    made->slot = 1;
    made->tag = 5;
    made->address = 0x77000;
    ASSERT_TRUE(create());
    attached(0, 1);
    run();
    ASSERT_EQ(dma.dma.size(), 1u);
    EXPECT_EQ(dma.dma[0].iova, 0xffffc000u + 0x1010);
    EXPECT_EQ(report_of(5).iova, 0xffffc000u); // released last, taken first
    EXPECT_EQ(tables.translate(1, 0xffffc000), 0x77000u);
    EXPECT_EQ(tables.translate(1, 0xfffff000), 0x1001000u);
}

TEST_F(Call, a_map_without_free_addresses_fails)
{
    device(0x10);
    addresses.first = 0x1000;
    addresses.last = 0x1fff;
    domain(1);
    config.slot_count = 2;
    map(0, 0, 0x1000)->slot = 0;
    iom_host_op *made = map(0, 0, 0x1000);
    made->slot = 1;
    made->tag = 1;
    ASSERT_TRUE(create());
    run();
    EXPECT_EQ(report_of(1).result, IOM_HOST_NO_ADDRESS);
    EXPECT_EQ(tables.pages.size(), 1u);
}

// ---- attachments without PASID tables ----------------------------------------------------------------

TEST_F(Call, detach_flushes_context_iotlb_device_each_with_a_wait)
{
    device(0x10, true);
    domain(7);
    detach(0, 0)->tag = 1;
    ASSERT_TRUE(create());
    attached(0, 7);
    run();
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_CONTEXT_DEVICE, IOM_FLUSH_IOTLB_DOMAIN, IOM_FLUSH_DEVICE_ALL}));
    for (const SeenCommand &command : hardware().commands)
        EXPECT_EQ(command.domain, 7u);
    EXPECT_EQ(hardware().commands[0].source, 0x10u);
    EXPECT_EQ(waits(), 3u);
    EXPECT_EQ(report_of(1).submissions, 3u);
}

TEST_F(Call, context_change_flushes_the_old_domain)
{
    device(0x10, true);
    domain(7);
    domain(8);
    iom_host_op *made = add(0, IOM_HOST_CONTEXT_CHANGE);
    made->domain = 8;
    ASSERT_TRUE(create());
    attached(0, 7);
    run();
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_CONTEXT_DEVICE, IOM_FLUSH_IOTLB_DOMAIN, IOM_FLUSH_DEVICE_ALL}));
    EXPECT_EQ(hardware().commands[0].domain, 7u);
    EXPECT_EQ(hardware().commands[1].domain, 7u);
    EXPECT_EQ(tables.attached.at({0x10, IOM_NO_PASID}), 8u);
}

TEST_F(Call, wrong_orders_and_omissions_of_a_detach)
{
    const auto sequence = [&](uint32_t options) {
        programs.clear();
        devices.clear();
        domains.clear();
        device(0x10, true);
        domain(7);
        detach(0, 0)->options = options;
        EXPECT_TRUE(create());
        attached(0, 7);
        run();
        Kinds seen = kinds();
        const uint32_t tag = hardware().commands[0].domain;
        bench.reset();
        iom_host_destroy(host);
        host = nullptr;
        iom_memory_destroy(memory);
        memory = nullptr;
        toy.reset();
        return std::make_pair(seen, tag);
    };
    const auto context = IOM_FLUSH_CONTEXT_DEVICE, iotlb = IOM_FLUSH_IOTLB_DOMAIN,
               device_tlb = IOM_FLUSH_DEVICE_ALL;
    EXPECT_EQ(sequence(IOM_HOST_NO_CONTEXT_FLUSH).first, (Kinds{iotlb, device_tlb}));
    EXPECT_EQ(sequence(IOM_HOST_NO_IOTLB_FLUSH).first, (Kinds{context, device_tlb}));
    EXPECT_EQ(sequence(IOM_HOST_NO_DEVICE_FLUSH).first, (Kinds{context, iotlb}));
    EXPECT_EQ(sequence(IOM_HOST_IOTLB_FIRST).first, (Kinds{iotlb, context, device_tlb}));
    EXPECT_EQ(sequence(IOM_HOST_DEVICE_FIRST).first, (Kinds{context, device_tlb, iotlb}));
    EXPECT_EQ(sequence(IOM_HOST_TWICE_DEVICE).first, (Kinds{context, iotlb, device_tlb, device_tlb}));
    EXPECT_EQ(sequence(IOM_HOST_LATE_DOMAIN).second, 0u); // scenario A11
    EXPECT_EQ(sequence(0).second, 7u);
}

TEST_F(Call, one_submission_for_all)
{
    device(0x10, true);
    domain(7);
    detach(0, 0)->options = IOM_HOST_ONE_SUBMISSION;
    ASSERT_TRUE(create());
    attached(0, 7);
    run();
    EXPECT_EQ(kinds().size(), 3u);
    EXPECT_EQ(waits(), 1u);
}

// ---- attachments with PASID tables -------------------------------------------------------------------

TEST_F(Call, teardown_of_a_pasid_entry)
{
    config.pasid_tables = true;
    device(0x10, true);
    domain(7);
    domain(8, true);
    detach(0, 0, 5);
    detach(0, 0, 6);
    detach(0, 0);
    ASSERT_TRUE(create());
    attached(0, 7);
    attached(0, 7, 5);
    attached(0, 8, 6);
    run();
    // Second-stage: the domain; first-stage: the PASID. The last one takes the context entry along.
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_PASID_ONE, IOM_FLUSH_IOTLB_DOMAIN, IOM_FLUSH_DEVICE_SPACE, //
                              IOM_FLUSH_PASID_ONE, IOM_FLUSH_SPACE_ALL, IOM_FLUSH_DEVICE_SPACE,    //
                              IOM_FLUSH_CONTEXT_DEVICE, IOM_FLUSH_PASID_ONE, IOM_FLUSH_IOTLB_DOMAIN,
                              IOM_FLUSH_DEVICE_ALL}));
    EXPECT_EQ(hardware().commands[0].pasid, 5u);
    EXPECT_EQ(hardware().commands[4].domain, 8u);
    EXPECT_EQ(hardware().commands[7].pasid, 0u);
}

TEST_F(Call, caching_mode_flushes_what_comes)
{
    config.pasid_tables = true;
    config.caching_mode = true;
    device(0x10, true);
    domain(7);
    attach(0, 0, 7);
    attach(0, 0, 7, 5);
    ASSERT_TRUE(create());
    run();
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_CONTEXT_DEVICE, IOM_FLUSH_PASID_ONE, IOM_FLUSH_IOTLB_DOMAIN, //
                              IOM_FLUSH_PASID_ONE, IOM_FLUSH_IOTLB_DOMAIN}));
}

class Change : public Call
{
  protected:
    // PASIDs 2, 4, 6, 8 in domains 20, 30, 20, 30.
    void make(uint32_t options, uint32_t scan_cycles = 0)
    {
        config.pasid_tables = true;
        config.pasid_slots = 64;
        config.costs.scan_cycles = scan_cycles;
        config.lock_count = 1;
        device(0x10, true);
        domain(20);
        domain(30);
        iom_host_op *made = add(0, IOM_HOST_CONTEXT_CHANGE);
        made->options = options;
        made->tag = 1;
        made->address = 0x7000;
        made->value = 0xabcd;
        made->width = 8;
    }
    void start()
    {
        ASSERT_TRUE(create());
        for (uint32_t i = 1; i <= 4; i++)
            attached(0, i % 2 != 0 ? 20 : 30, 2 * i);
        run();
    }
    std::vector<uint32_t> flushed_domains()
    {
        std::vector<uint32_t> list_of_domains;
        for (const SeenCommand &command : hardware().commands) {
            if (command.kind == IOM_FLUSH_PASID_DOMAIN)
                list_of_domains.push_back(command.domain);
        }
        return list_of_domains;
    }
};

TEST_F(Change, every_present_pasid_is_flushed)
{
    make(IOM_HOST_GARBAGE_DOMAIN);
    start();
    // Scenario A2: 1 + 2 N + 1, each on its own.
    EXPECT_EQ(report_of(1).commands, 10u);
    EXPECT_EQ(report_of(1).submissions, 10u);
    EXPECT_EQ(flushed_domains(), (std::vector<uint32_t>{20, 30, 20, 30}));
    EXPECT_EQ(hardware().commands[0].kind, IOM_FLUSH_CONTEXT_DEVICE);
    EXPECT_EQ(hardware().commands[0].domain, 0xabcdu);
    EXPECT_EQ(hardware().commands[2].kind, IOM_FLUSH_IOTLB_DOMAIN);
    EXPECT_EQ(hardware().commands[9].kind, IOM_FLUSH_DEVICE_ALL);
    EXPECT_EQ(word(0x7000), 0xabcdu);
}

TEST_F(Change, distinct_domains_save_commands)
{
    make(IOM_HOST_DISTINCT_DOMAINS);
    start();
    EXPECT_EQ(report_of(1).commands, 6u); // 2 (N - D) fewer
    EXPECT_EQ(flushed_domains(), (std::vector<uint32_t>{20, 30}));
}

TEST_F(Change, without_scan_context_and_device_only)
{
    make(IOM_HOST_NO_SCAN);
    start();
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_CONTEXT_DEVICE, IOM_FLUSH_DEVICE_ALL}));
}

TEST_F(Change, lock_is_held_for_scan_and_flushes)
{
    make(IOM_HOST_LOCKED, 3);
    config.costs.descriptor_cycles = 4;
    start();
    // Scenario A9: slots times cost, and 2 N + 2 synchronous submissions of one command; the store of the
    // entry leaves at once.
    const iom_cycle sync = 2 * 4 + 2 + 22 + 47;
    const iom_cycle hold = 64 * 3 + 10 * sync;
    // Its acknowledgement is what the first doorbell waits for; that is over before the doorbell.
    EXPECT_EQ(iom_host_lock_stats_of(host, 0)->hold.sum, hold);
}

TEST_F(Change, lock_for_the_change_ends_with_the_scan)
{
    make(IOM_HOST_LOCKED_CHANGE, 3);
    config.costs.descriptor_cycles = 4;
    start();
    const iom_cycle sync = 2 * 4 + 2 + 22 + 47;
    EXPECT_EQ(iom_host_lock_stats_of(host, 0)->hold.sum, 64 * 3 + sync);
    EXPECT_EQ(report_of(1).commands, 10u);
}

TEST_F(Change, scan_first_comes_before_the_context_flush)
{
    make(IOM_HOST_SCAN_FIRST, 100);
    // A PASID that comes after the walk: not flushed (scenario A8, the wrong variant).
    delay(1, 64 * 100 + 10);
    attach(1, 0, 20, 10);
    start();
    EXPECT_EQ(flushed_domains(), (std::vector<uint32_t>{20, 30, 20, 30}));
    EXPECT_GT(hardware().commands[0].at, 6400u);
}

TEST_F(Change, the_scan_sees_the_table_as_it_is_when_it_gets_there)
{
    make(0, 100); // slot s is looked at 100 (s + 1) after the scan began, less the flushes in between
    // Gone before the scan reaches it; its own teardown flushes it (A5).
    delay(1, 250); // slot 0 has been looked at, slot 2 has not
    iom_host_op *gone = add(1, IOM_HOST_TABLE_DETACH);
    gone->pasid = 2;
    // New ones, in front of the scan and behind it.
    iom_host_op *before = add(1, IOM_HOST_TABLE_ATTACH);
    before->pasid = 3;
    before->domain = 30;
    iom_host_op *behind = add(1, IOM_HOST_TABLE_ATTACH);
    behind->pasid = 0;
    behind->domain = 20;
    start();
    EXPECT_EQ(flushed_domains(), (std::vector<uint32_t>{30, 30, 20, 30}));
}

} // namespace
