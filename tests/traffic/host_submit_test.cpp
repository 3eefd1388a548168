// SPDX-License-Identifier: Apache-2.0
//
// Submissions: their time, split into parts, against closed forms; several submitters; a full queue; refused
// commands and devices that do not answer, handled as Linux does.
#include "tests/traffic/host_fixture.hpp"

using namespace iommu_sim::test;

namespace
{

using Submit = HostBench;

// One command and its wait: two commands of two stores each and the status word, all from cycle 0 on.
// descriptor d, ways of 1 (memory) and 5 (registers), memory 20, 10 cycles per command at the toy:
//   stores leave     d, d + 1 | 2d, 2d + 1, 2d + 2; the last is acknowledged 22 later
//   doorbell         b = 2d + 24 (d >= 2); arrives b + 5; wait carried out b + 25, status in memory b + 26
//   visible          v = b + 26 + 21
constexpr iom_cycle doorbell_at(uint64_t d)
{
    return 2 * d + 2 + 22;
}
constexpr iom_cycle visible_at(uint64_t d)
{
    return doorbell_at(d) + 47;
}

TEST_F(Submit, time_of_a_sync_and_its_parts)
{
    config.costs.descriptor_cycles = 4;
    config.costs.relax_cycles = 7;
    flush(0, IOM_FLUSH_IOTLB_DOMAIN, 5);
    add(0, IOM_HOST_SYNC)->tag = 1;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    ASSERT_EQ(hardware().doorbells.size(), 1u);
    EXPECT_EQ(hardware().doorbells[0], doorbell_at(4) + mmio_hop);
    // Looks in 32, 39, ... 81; the status is visible in 79.
    const SeenReport &seen = report_of(1);
    ASSERT_EQ(visible_at(4), 79u);
    EXPECT_EQ(seen.ended, 81u);
    EXPECT_EQ(seen.part[IOM_HOST_PART_LOCK], 0u);
    EXPECT_EQ(seen.part[IOM_HOST_PART_SUBMIT], 32u);
    EXPECT_EQ(seen.part[IOM_HOST_PART_EXECUTE], 26u);
    EXPECT_EQ(seen.part[IOM_HOST_PART_STATUS], 21u);
    EXPECT_EQ(seen.part[IOM_HOST_PART_POLL], 2u);
    EXPECT_EQ(seen.submissions, 1u);
    EXPECT_EQ(seen.commands, 1u);
    ASSERT_EQ(hardware().commands.size(), 1u);
    EXPECT_EQ(hardware().commands[0].kind, IOM_FLUSH_IOTLB_DOMAIN);
    EXPECT_EQ(hardware().commands[0].domain, 5u);
    EXPECT_EQ(iom_host_stats_of(host)->register_reads, 0u);
}

TEST_F(Submit, time_as_linux_spins)
{
    config.costs.descriptor_cycles = 4;
    config.costs.relax_cycles = 7;
    config.check_errors = true;
    flush(0, IOM_FLUSH_IOTLB_DOMAIN, 5);
    add(0, IOM_HOST_SYNC)->tag = 1;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    // Looks in 32, 49, 66, 83, each of the first three with a register read of 10 cycles.
    EXPECT_EQ(report_of(1).ended, 83u);
    EXPECT_EQ(hardware().error_reads, 3u);
    EXPECT_EQ(report_of(1).part[IOM_HOST_PART_POLL], 4u);
}

TEST_F(Submit, costs_of_lock_and_doorbell)
{
    config.costs.descriptor_cycles = 4;
    config.costs.lock_cycles = 3;
    config.costs.doorbell_cycles = 5;
    flush(0, IOM_FLUSH_IOTLB_DOMAIN);
    add(0, IOM_HOST_SYNC)->tag = 1;
    run();
    const SeenReport &seen = report_of(1);
    // The lock is taken once more to free the slots.
    EXPECT_EQ(seen.ended, visible_at(4) + 3 + 3);
    EXPECT_EQ(seen.part[IOM_HOST_PART_LOCK], 3u);
    EXPECT_EQ(seen.part[IOM_HOST_PART_POLL], 3u);
    iom_cycle sum = 0;
    for (iom_cycle part : seen.part)
        sum += part;
    EXPECT_EQ(sum, seen.ended - seen.begun);
}

TEST_F(Submit, a_sync_of_nothing_is_a_wait)
{
    iom_host_op *sync = add(0, IOM_HOST_SYNC);
    sync->options = IOM_HOST_SYNC_FENCE | IOM_HOST_SYNC_PAGE_REQUESTS;
    sync->tag = 1;
    run();
    EXPECT_EQ(report_of(1).commands, 0u);
    EXPECT_EQ(hardware().waits.size(), 1u);
    EXPECT_EQ(hardware().last_wait >> 8 & 3, 3u);
    EXPECT_EQ(iom_host_stats_of(host)->waits, 1u);
}

TEST_F(Submit, the_queue_wraps)
{
    config.lock_count = 0;
    add(0, IOM_HOST_REPEAT)->count = 300; // 3 slots each, 256 in the queue
    flush(0, IOM_FLUSH_IOTLB_DOMAIN, 1);
    flush(0, IOM_FLUSH_CONTEXT_DEVICE, 2);
    add(0, IOM_HOST_SYNC);
    add(0, IOM_HOST_END);
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(hardware().commands.size(), 600u);
    EXPECT_EQ(hardware().waits.size(), 300u);
    for (size_t i = 0; i < 600; i++)
        ASSERT_EQ(hardware().commands[i].domain, i % 2 + 1);
}

TEST_F(Submit, long_batches_are_split)
{
    for (unsigned i = 0; i < 40; i++)
        flush(0, IOM_FLUSH_IOTLB_DOMAIN, i);
    add(0, IOM_HOST_SYNC);
    run();
    EXPECT_EQ(hardware().commands.size(), 40u);
    EXPECT_EQ(hardware().waits.size(), 3u); // 16, 16, 8
    EXPECT_EQ(iom_host_stats_of(host)->submissions, 3u);
    EXPECT_EQ(iom_host_stats_of(host)->commands, 40u);
}

TEST_F(Submit, raw_words_pass_as_they_are)
{
    iom_host_op *raw = add(0, IOM_HOST_COMMAND);
    raw->words[0] = (uint64_t{77} << 44) | (IOM_FLUSH_PASID_ONE + 1) | 3u << 8;
    raw->words[1] = 0x123000;
    add(0, IOM_HOST_SYNC);
    run();
    ASSERT_EQ(hardware().commands.size(), 1u);
    EXPECT_EQ(hardware().commands[0].kind, IOM_FLUSH_PASID_ONE);
    EXPECT_EQ(hardware().commands[0].domain, 77u);
    EXPECT_EQ(hardware().commands[0].pasid, 3u);
    EXPECT_EQ(hardware().commands[0].iova, 0x123000u);
}

TEST_F(Submit, without_wait_the_thread_goes_on_and_a_later_wait_frees_the_slots)
{
    flush(0, IOM_FLUSH_IOTLB_DOMAIN);
    add(0, IOM_HOST_SUBMIT);
    add(0, IOM_HOST_MARK)->tag = 1;
    flush(0, IOM_FLUSH_CONTEXT_ALL);
    add(0, IOM_HOST_SYNC);
    add(0, IOM_HOST_REPEAT)->count = 200;
    flush(0, IOM_FLUSH_IOTLB_DOMAIN);
    add(0, IOM_HOST_SUBMIT);
    flush(0, IOM_FLUSH_IOTLB_DOMAIN);
    add(0, IOM_HOST_SYNC);
    add(0, IOM_HOST_END);
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_LT(report_of(1).ended, hardware().commands[0].at);
    EXPECT_EQ(hardware().waits.size(), 201u);
    EXPECT_EQ(hardware().commands.size(), 402u);
}

TEST_F(Submit, what_cannot_be_expressed_is_counted)
{
    flush(0, IOM_FLUSH_INTERRUPTS);
    flush(0, IOM_FLUSH_IOTLB_ALL);
    add(0, IOM_HOST_SYNC);
    run();
    EXPECT_EQ(iom_host_stats_of(host)->refused, 1u);
    EXPECT_EQ(kinds(), std::vector<iom_flush_kind>{IOM_FLUSH_IOTLB_ALL});
}

// ---- several submitters ------------------------------------------------------------------------------

TEST_F(Submit, submitters_share_the_queue_by_its_lock)
{
    config.costs.descriptor_cycles = 4;
    for (size_t i = 0; i < 3; i++) {
        flush(i, IOM_FLUSH_IOTLB_DOMAIN, static_cast<uint32_t>(i));
        add(i, IOM_HOST_SYNC)->tag = static_cast<uint32_t>(i + 1);
    }
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    // The lock is held until the doorbell has left; the next writes its commands meanwhile its predecessor's
    // are carried out.
    ASSERT_EQ(hardware().doorbells.size(), 3u);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQ(hardware().doorbells[i], (i + 1) * doorbell_at(4) + mmio_hop);
        EXPECT_EQ(hardware().commands[i].domain, i);
    }
    EXPECT_EQ(report_of(2).part[IOM_HOST_PART_LOCK], 32u);
    EXPECT_EQ(report_of(3).part[IOM_HOST_PART_LOCK], 64u);
    EXPECT_EQ(report_of(3).ended, 64u + visible_at(4));
    const iom_host_lock_stats &lock = *iom_host_lock_stats_of(host, 0);
    EXPECT_EQ(lock.hold.maximum, 32u);
    EXPECT_EQ(lock.wait.maximum, 64u);
}

TEST_F(Submit, linux_spinning_hands_the_lock_around)
{
    config.check_errors = true;
    config.costs.relax_cycles = 7;
    for (size_t i = 0; i < 4; i++) {
        add(i, IOM_HOST_REPEAT)->count = 20;
        flush(i, IOM_FLUSH_IOTLB_DOMAIN, static_cast<uint32_t>(i));
        add(i, IOM_HOST_SYNC);
        add(i, IOM_HOST_END);
    }
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(hardware().commands.size(), 80u);
    EXPECT_EQ(hardware().waits.size(), 80u);
    EXPECT_GT(iom_host_lock_stats_of(host, 0)->contended, 80u);
}

TEST_F(Submit, a_full_queue_is_waited_for)
{
    hardware().command_cycles = 100;
    // 16 threads of 16 commands and a wait: 272 slots wanted, 256 there.
    for (size_t thread = 0; thread < 16; thread++) {
        for (unsigned i = 0; i < 16; i++)
            flush(thread, IOM_FLUSH_IOTLB_DOMAIN, static_cast<uint32_t>(thread));
        add(thread, IOM_HOST_SYNC);
    }
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(hardware().commands.size(), 256u);
    EXPECT_EQ(iom_host_stats_of(host)->queue_full, 1u);
    EXPECT_EQ(hardware().waits.size(), 16u);
}

// ---- errors ------------------------------------------------------------------------------------------

TEST_F(Submit, a_refused_command_is_replaced_by_the_wait)
{
    config.check_errors = true;
    iom_host_op *raw = add(0, IOM_HOST_COMMAND);
    raw->words[0] = toy_invalid;
    flush(0, IOM_FLUSH_CONTEXT_ALL);
    add(0, IOM_HOST_SYNC)->tag = 1;
    flush(0, IOM_FLUSH_IOTLB_ALL);
    add(0, IOM_HOST_SYNC)->tag = 2;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).result, IOM_HOST_INVALID);
    EXPECT_EQ(report_of(2).result, IOM_HOST_OK);
    EXPECT_EQ(iom_host_stats_of(host)->invalid, 1u);
    EXPECT_EQ(hardware().error, 0u);
    // The queue goes on: the rest of the failed submission is carried out too.
    EXPECT_EQ(kinds(), (std::vector<iom_flush_kind>{IOM_FLUSH_CONTEXT_ALL, IOM_FLUSH_IOTLB_ALL}));
}

TEST_F(Submit, an_error_of_somebody_else_is_left_to_them)
{
    config.check_errors = true;
    config.costs.relax_cycles = 3;
    flush(0, IOM_FLUSH_IOTLB_DOMAIN, 1);
    add(0, IOM_HOST_SYNC)->tag = 1;
    iom_host_op *raw = add(1, IOM_HOST_COMMAND);
    raw->words[0] = toy_invalid;
    add(1, IOM_HOST_SYNC)->tag = 2;
    flush(2, IOM_FLUSH_IOTLB_DOMAIN, 3);
    add(2, IOM_HOST_SYNC)->tag = 3;
    hardware().command_cycles = 200;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).result, IOM_HOST_OK);
    EXPECT_EQ(report_of(2).result, IOM_HOST_INVALID);
    EXPECT_EQ(report_of(3).result, IOM_HOST_OK);
    EXPECT_EQ(hardware().commands.size(), 2u);
}

TEST_F(Submit, a_timeout_is_cleared_and_the_commands_repeated)
{
    config.check_errors = true;
    device(0x10, true);
    hardware().silent_source = 0x10;
    hardware().silent_times = 1;
    flush(0, IOM_FLUSH_IOTLB_DOMAIN, 1);
    flush(0, IOM_FLUSH_DEVICE_ALL, 1, 0x10);
    add(0, IOM_HOST_SYNC)->tag = 1;
    // Another submission whose wait is fetched and lost with it.
    flush(1, IOM_FLUSH_IOTLB_DOMAIN, 2);
    add(1, IOM_HOST_SYNC)->tag = 2;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).result, IOM_HOST_OK);
    EXPECT_EQ(report_of(2).result, IOM_HOST_OK);
    EXPECT_EQ(iom_host_stats_of(host)->timeouts, 1u);
    EXPECT_EQ(iom_host_stats_of(host)->retries, 2u);
    EXPECT_EQ(hardware().commands.size(), 6u); // each command twice
    EXPECT_EQ(hardware().waits.size(), 2u);
    EXPECT_EQ(report_of(1).submissions, 2u);
}

TEST_F(Submit, a_device_that_is_gone_is_not_asked_again)
{
    config.check_errors = true;
    device(0x10, true);
    hardware().silent_source = 0x10;
    add(0, IOM_HOST_REMOVE);
    flush(0, IOM_FLUSH_DEVICE_ALL, 1, 0x10);
    add(0, IOM_HOST_SYNC)->tag = 1;
    flush(0, IOM_FLUSH_IOTLB_ALL);
    add(0, IOM_HOST_SYNC)->tag = 2;
    EXPECT_EQ(run(), IOM_RUN_IDLE);
    EXPECT_EQ(report_of(1).result, IOM_HOST_TIMEOUT);
    EXPECT_EQ(report_of(2).result, IOM_HOST_OK);
    EXPECT_EQ(hardware().commands.size(), 2u);
    EXPECT_EQ(iom_host_stats_of(host)->retries, 0u);
}

TEST_F(Submit, a_wait_that_never_completes_is_a_deadlock_or_a_clear_end)
{
    // Without looks at the error register nobody clears the error.
    device(0x10, true);
    hardware().silent_source = 0x10;
    flush(0, IOM_FLUSH_DEVICE_ALL, 1, 0x10);
    add(0, IOM_HOST_SYNC);
    EXPECT_EQ(run(), IOM_RUN_DEADLOCK);
    char text[400];
    iom_group_explain(&bench->group, text, sizeof text);
    EXPECT_NE(std::string(text).find("waits for the command queue"), std::string::npos) << text;
}

} // namespace
