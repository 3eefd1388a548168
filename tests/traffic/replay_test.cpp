// SPDX-License-Identifier: Apache-2.0
//
// Replay of hand-made traces: exact order and cycles, what overlaps, what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/traffic/replay_fixture.hpp"

using namespace replay_fixture;

namespace
{

TEST(Replay, one_operation_step_by_step)
{
    Trace trace;
    trace.attach(disk, 1);
    trace.map(0, 0x1000, 2, IOM_TRACE_SYNTHETIC);
    nvme_read(trace, 1, 0x40000);
    iom_replay_config config{};
    config.start = 100;
    config.device_latency = 1000;
    config.map_cycles = 50;
    config.unmap_cycles = 25;
    Rig rig(trace, config);
    ASSERT_TRUE(rig.prepare()) << rig.message;
    EXPECT_EQ(rig.tables.translate(1, 0x1000), 0x10001000u);
    EXPECT_EQ((rig.tables.attached[{disk, IOM_NO_PASID}]), 1u);
    EXPECT_TRUE(rig.memory.stores.empty()) << "before cycle 0, stores go into the image";
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    // map: begins at 100, its store leaves at 150, is acknowledged at 170; then the ring entry, 40 cycles;
    // 1000 cycles of the device; four writes, one a cycle, the last back at 1253; completion, 40 cycles;
    // unmap: store leaves at 1318.
    EXPECT_EQ(store_log(rig), (Log{{151, 0x10040000 + 3}, {1319, 0}}));
    EXPECT_EQ(dma_log(rig), (Log{{171, 0x1040},
                                 {1211, 0x40000},
                                 {1212, 0x40400},
                                 {1213, 0x40800},
                                 {1214, 0x40c00},
                                 {1254, 0x2010}}));
    EXPECT_EQ(rig.devices.dma[0].flags, 0);
    EXPECT_EQ(rig.devices.dma[1].flags, IOM_REQ_WRITE | IOM_REQ_POSTED);
    EXPECT_EQ(rig.devices.dma[1].source, disk);
    const auto &stats = rig.stats();
    EXPECT_EQ(stats.operations_done, 1u);
    EXPECT_EQ(stats.operation_latency.maximum, 1318 + 20 - 100u);
    EXPECT_EQ(stats.records, trace.list.size());
    EXPECT_EQ(stats.premaps, 1u);
    EXPECT_EQ(stats.maps, 2u);
    EXPECT_EQ(stats.bytes_mapped, 3 * 4096u);
    EXPECT_EQ(stats.bytes_unmapped, 4096u);
    EXPECT_TRUE(iom_replay_finished(rig.replay));
}

TEST(Replay, data_in_flight_are_limited)
{
    Trace trace;
    nvme_read(trace, 1, 0x40000);
    iom_replay_config config{};
    config.data_outstanding = 2;
    Rig rig(trace, config);
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    const Log log = dma_log(rig);
    ASSERT_EQ(log.size(), 6u);
    EXPECT_EQ(log[2].first, log[1].first + 1);
    EXPECT_EQ(log[3].first, log[1].first + 40);
    EXPECT_EQ(log[4].first, log[2].first + 40);
}

TEST(Replay, operations_begin_in_order_within_the_depth)
{
    for (const uint32_t depth : {0u, 1u, 2u, 7u, 100u}) {
        Trace trace(3);
        for (uint64_t op = 1; op <= 30; op++)
            nvme_read(trace, op, 0x40000 + op * 4096);
        iom_replay_config config{};
        config.queue_depth = depth;
        Rig rig(trace, config);
        EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
        EXPECT_EQ(rig.stats().most_operations, depth == 0 ? 3 : std::min(depth, 30u));
        std::vector<uint64_t> fetched;
        for (const SeenDma &dma : rig.devices.dma) {
            if (!dma.write())
                fetched.push_back((dma.iova - 0x1000) / 64);
        }
        EXPECT_EQ(fetched.size(), 30u);
        EXPECT_TRUE(std::is_sorted(fetched.begin(), fetched.end()));
        EXPECT_EQ(rig.stats().records, trace.list.size());
    }
}

// Ops overlap in the trace; with a depth of one their records have to be held until their turn.
TEST(Replay, overlapping_operations_at_depth_one)
{
    Trace trace(8);
    for (uint64_t op = 1; op <= 8; op++)
        trace.begin(op);
    for (uint64_t round = 0; round < 4; round++) {
        for (uint64_t op = 1; op <= 8; op++)
            trace.dma(op, op * 0x10000 + round * 64, 64, true, IOM_TRACE_DMA_DATA);
    }
    for (uint64_t op = 1; op <= 8; op++)
        trace.end(op);
    iom_replay_config config{};
    config.queue_depth = 1;
    Rig rig(trace, config);
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    ASSERT_EQ(rig.devices.dma.size(), 32u);
    for (unsigned i = 0; i < 32; i++)
        EXPECT_EQ(rig.devices.dma[i].iova, (i / 4 + 1) * 0x10000u + i % 4 * 64);
    EXPECT_GT(rig.stats().most_records_held, 20u);

    config.window_records = 10;
    Trace same(8);
    for (const auto &record : trace.list)
        same.put(record);
    Rig small(same, config);
    small.run();
    ASSERT_NE(iom_replay_error(small.replay), nullptr);
    EXPECT_NE(std::string(iom_replay_error(small.replay)).find("window_records"), std::string::npos);
    EXPECT_TRUE(iom_replay_finished(small.replay));
}

TEST(Replay, records_of_no_operation_keep_their_order)
{
    Trace trace;
    trace.attach(network, 1);
    for (unsigned i = 0; i < 20; i++) {
        trace.map(0, 0x8000, 1);
        trace.dma(0, 0x8000 + i * 64, 64, true, IOM_TRACE_DMA_OTHER, 0, network);
        trace.dma(0, 0x8800, 64, false, IOM_TRACE_DMA_OTHER, 0, disk);
        trace.unmap(0, 0x8000, 1);
    }
    iom_replay_config config{};
    Rig rig(trace, config);
    rig.judge_by_memory(18);
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE); // not prepared: the attachment is carried out as a call
    EXPECT_EQ(rig.stats().faults, 0u);
    EXPECT_EQ(rig.stats().attaches, 1u);
    EXPECT_EQ(rig.stats().maps, 20u);
    EXPECT_EQ(rig.stats().unmaps, 20u);
    EXPECT_EQ(rig.stats().remaps, 0u);
    EXPECT_EQ(rig.devices.dma.size(), 40u);
    for (unsigned i = 0; i < 40; i += 2) {
        // Each pair leaves in one cycle, by two ports; the responder takes port 0 first.
        EXPECT_EQ(rig.devices.dma[i].at, rig.devices.dma[i + 1].at);
        EXPECT_EQ(rig.devices.dma[i].source, disk);
        EXPECT_EQ(rig.devices.dma[i + 1].source, network);
        EXPECT_EQ(rig.devices.dma[i + 1].iova, 0x8000u + i / 2 * 64);
    }
}

// A ring mapped and unmapped by the driver itself, around operations that use it.
TEST(Replay, operations_use_what_the_driver_mapped_before_and_before_it_unmaps)
{
    Trace trace(4);
    trace.map(0, 0x1000, 2);
    for (uint64_t op = 1; op <= 12; op++)
        nvme_read(trace, op, 0x40000 + op % 3 * 4096);
    trace.unmap(0, 0x1000, 2);
    trace.map(0, 0x1000, 2);
    nvme_read(trace, 13, 0x40000);
    iom_replay_config config{};
    config.map_cycles = 500;
    config.device_latency = 200;
    Rig rig(trace, config);
    rig.judge_by_memory(18);
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    EXPECT_EQ(rig.stats().faults, 0u);
    EXPECT_EQ(rig.stats().operations_done, 13u);
    EXPECT_EQ(rig.stats().forced, 0u);
}

TEST(Replay, reused_addresses_wait_for_their_unmap)
{
    Trace trace(2);
    trace.map(0, 0x1000, 2, IOM_TRACE_SYNTHETIC);
    for (uint64_t op = 1; op <= 40; op++)
        nvme_read(trace, op, 0x40000 + op % 2 * 4096); // every second operation the same page
    iom_replay_config config{};
    config.queue_depth = 8; // deeper than recorded
    Rig rig(trace, config);
    rig.judge_by_memory(18);
    ASSERT_TRUE(rig.prepare());
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    EXPECT_EQ(rig.stats().remaps, 0u);
    EXPECT_EQ(rig.stats().forced, 0u);
    EXPECT_EQ(rig.stats().faults, 0u);
    EXPECT_EQ(rig.stats().operations_done, 40u);
}

TEST(Replay, traces_that_do_not_unmap_are_replaced_and_counted)
{
    Trace trace(2);
    for (uint64_t op = 1; op <= 6; op++)
        nvme_read(trace, op, 0x40000, false);
    trace.unmap(0, 0x90000, 1); // never mapped
    iom_replay_config config{};
    Rig rig(trace, config);
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    EXPECT_EQ(rig.stats().remaps, 5u);
    EXPECT_EQ(rig.stats().stray_unmaps, 1u);
    EXPECT_EQ(rig.stats().operations_done, 6u);
}

// The second operation unmaps a page that the first, begun earlier, then maps; one at a time this cannot
// be kept.
TEST(Replay, impossible_order_is_forced_and_counted)
{
    Trace trace(2);
    trace.begin(1);
    trace.begin(2);
    trace.map(2, 0x40000, 1);
    trace.unmap(2, 0x40000, 1);
    trace.end(2);
    trace.map(1, 0x40000, 1);
    trace.dma(1, 0x40000, 64, true, IOM_TRACE_DMA_DATA);
    trace.end(1);
    iom_replay_config config{};
    config.queue_depth = 1;
    Rig rig(trace, config);
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    EXPECT_EQ(rig.stats().forced, 1u);
    EXPECT_EQ(rig.stats().operations_done, 2u);
    EXPECT_TRUE(iom_replay_finished(rig.replay));
}

TEST(Replay, scaled_time_is_exact)
{
    struct Case {
        uint64_t numerator, denominator;
    };
    for (const Case scale : {Case{1, 1}, Case{7, 2}, Case{1, 10}, Case{0, 0}}) {
        Trace trace;
        trace.map(0, 0x8000, 1, IOM_TRACE_SYNTHETIC, 12345);
        std::vector<iom_cycle> expected;
        const uint64_t n = scale.numerator != 0 ? scale.numerator : 1,
                       d = scale.denominator != 0 ? scale.denominator : 1;
        for (uint64_t i = 0; i < 50; i++) {
            const uint64_t time = 20000 + i * i * 17;
            trace.dma(0, 0x8000 + i * 64, 64, i % 2 == 0, IOM_TRACE_DMA_OTHER, time,
                      i % 3 == 0 ? disk : network);
            expected.push_back(1000 + (time - 20000) * n / d + 1);
        }
        iom_replay_config config{};
        config.mode = IOM_REPLAY_SCALED_TIME;
        config.start = 1000;
        config.scale_numerator = scale.numerator;
        config.scale_denominator = scale.denominator;
        Rig rig(trace, config);
        ASSERT_TRUE(rig.prepare());
        EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
        ASSERT_EQ(rig.devices.dma.size(), 50u);
        for (unsigned i = 0; i < 50; i++) {
            // Two requests of a device never share a cycle.
            if (d == 1 || i > 10) {
                EXPECT_EQ(rig.devices.dma[i].at, expected[i]) << i;
            }
        }
        EXPECT_EQ(rig.stats().lateness.count, 50u);
    }
}

TEST(Replay, scaled_time_still_keeps_operations_together)
{
    Trace trace(1);
    for (uint64_t op = 1; op <= 5; op++) {
        const uint64_t time = op * 10; // far faster than the simulated system
        trace.begin(op, time);
        trace.map(op, 0x40000, 1, 0, time);
        trace.dma(op, 0x40000, 64, true, IOM_TRACE_DMA_DATA, time);
        trace.unmap(op, 0x40000, 1, time);
        trace.end(op, time);
    }
    iom_replay_config config{};
    config.mode = IOM_REPLAY_SCALED_TIME;
    Rig rig(trace, config);
    rig.judge_by_memory(18);
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    EXPECT_EQ(rig.stats().faults, 0u);
    EXPECT_EQ(rig.stats().remaps, 0u);
    EXPECT_EQ(rig.stats().operations_done, 5u);
    EXPECT_GT(rig.stats().lateness.maximum, 100u);
}

TEST(Replay, marks_moves_and_refusals)
{
    Trace trace;
    trace.attach(disk, 1);
    auto mark = trace.record(IOM_TRACE_MARK, 0, 0);
    mark.detail = IOM_TRACE_ROI_BEGIN;
    mark.text = 1;
    trace.put(mark);
    trace.attach(disk, 1, true);
    trace.attach(disk, 2);
    trace.attach(network, 70000); // the fake has 65536 domains
    std::vector<std::string> marks;
    iom_replay_config config{};
    config.hook_context = &marks;
    config.on_mark = [](void *context, iom_trace_mark kind, const char *text, iom_cycle) {
        EXPECT_EQ(kind, IOM_TRACE_ROI_BEGIN);
        static_cast<std::vector<std::string> *>(context)->emplace_back(text);
    };
    Rig rig(trace, config);
    ASSERT_TRUE(rig.prepare());
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    EXPECT_EQ(marks, std::vector<std::string>{"phase one"});
    EXPECT_EQ((rig.tables.attached[{disk, IOM_NO_PASID}]), 2u);
    EXPECT_EQ(rig.stats().refused, 1u);
    EXPECT_EQ(rig.stats().detaches, 1u);

    Trace bad;
    bad.attach(network, 70000);
    Rig refused(bad, config);
    EXPECT_FALSE(refused.prepare());
    EXPECT_NE(refused.message.find("record 1"), std::string::npos) << refused.message;
}

TEST(Replay, damage_in_the_trace_ends_the_replay_with_its_message)
{
    Trace trace;
    for (uint64_t op = 1; op <= 50; op++)
        nvme_read(trace, op, 0x40000);
    iom_replay_config config{};
    Rig rig(trace, config, 18, 38, 0, 20);
    rig.run();
    ASSERT_NE(iom_replay_error(rig.replay), nullptr);
    EXPECT_NE(std::string(iom_replay_error(rig.replay)).find("hand-made"), std::string::npos);
    EXPECT_TRUE(iom_replay_finished(rig.replay));
}

TEST(Replay, stops_after_a_number_of_requests)
{
    Trace trace;
    for (uint64_t op = 1; op <= 50; op++)
        nvme_read(trace, op, 0x40000 + op * 4096);
    std::vector<uint64_t> totals;
    iom_replay_config config{};
    config.requests = 100;
    config.start = IOM_NEVER;
    config.hook_context = &totals;
    config.on_completed = [](void *context, uint64_t total) {
        static_cast<std::vector<uint64_t> *>(context)->push_back(total);
    };
    Rig rig(trace, config);
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    EXPECT_FALSE(iom_replay_finished(rig.replay));
    iom_replay_start(rig.replay, 77);
    EXPECT_EQ(rig.run(), IOM_RUN_IDLE);
    EXPECT_EQ(rig.devices.dma.size(), 100u);
    EXPECT_TRUE(iom_replay_finished(rig.replay));
    EXPECT_EQ(totals.back(), 100u);
}

} // namespace
