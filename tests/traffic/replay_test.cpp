// SPDX-License-Identifier: Apache-2.0
//
// Replay of hand-made traces (exact order and cycles) and of random ones (nothing lost, every DMA finds its
// page mapped by stores that memory has seen, unmaps never come before the last DMA).
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "tests/traffic/support/fake_software.h"
#include "tests/traffic/support/mock_responder.h"
#include "traffic/replay.h"

using iommu_sim::test::Bench;
using iommu_sim::test::connect;
using iommu_sim::test::fake_software_ops;
using iommu_sim::test::FakeTables;
using iommu_sim::test::MockResponder;
using iommu_sim::test::SeenDma;

namespace
{

constexpr uint32_t disk = 0x0020, network = 0x0100;

/// Builds a trace in memory, record by record.
class Trace
{
  public:
    explicit Trace(uint32_t queue_depth = 4)
    {
        iom_trace_header header;
        iom_trace_header_init(&header);
        header.queue_depth = queue_depth;
        iom_trace_header_add(&header, IOM_TRACE_DEVICES, disk, "0000:00:04.0");
        iom_trace_header_add(&header, IOM_TRACE_DEVICES, network, "0000:01:00.0");
        iom_trace_header_add(&header, IOM_TRACE_STRINGS, 0, "phase one");
        writer = iom_trace_writer_open_memory(IOM_TRACE_BINARY, &header, &error);
        iom_trace_header_free(&header);
    }
    ~Trace()
    {
        iom_trace_writer_abort(writer);
        std::free(data);
    }
    Trace(const Trace &) = delete;
    Trace &operator=(const Trace &) = delete;

    iom_trace_record record(iom_trace_kind kind, uint64_t op, uint64_t time)
    {
        iom_trace_record result;
        iom_trace_record_init(&result, kind);
        result.op = op;
        result.time = time;
        return result;
    }
    void put(const iom_trace_record &record)
    {
        ASSERT_TRUE(iom_trace_write(writer, &record, &error)) << error.text;
        list.push_back(record);
    }
    void attach(uint32_t device, uint32_t domain, bool detach = false, uint64_t time = 0)
    {
        auto r = record(detach ? IOM_TRACE_DETACH : IOM_TRACE_ATTACH, 0, time);
        r.device = device;
        r.domain = domain;
        put(r);
    }
    void map(uint64_t op, uint64_t iova, uint64_t pages, uint16_t extra = 0, uint64_t time = 0,
             uint32_t domain = 1)
    {
        auto r = record(IOM_TRACE_MAP, op, time);
        r.domain = domain;
        r.iova = iova;
        r.address = iova + 0x10000000;
        r.bytes = pages * 4096;
        r.flags = static_cast<uint16_t>(IOM_TRACE_READ | IOM_TRACE_WRITE | extra);
        put(r);
    }
    void unmap(uint64_t op, uint64_t iova, uint64_t pages, uint64_t time = 0, uint32_t domain = 1)
    {
        auto r = record(IOM_TRACE_UNMAP, op, time);
        r.domain = domain;
        r.iova = iova;
        r.bytes = pages * 4096;
        put(r);
    }
    void begin(uint64_t op, uint64_t time = 0)
    {
        auto r = record(IOM_TRACE_OP_BEGIN, op, time);
        r.device = disk;
        put(r);
    }
    void end(uint64_t op, uint64_t time = 0)
    {
        auto r = record(IOM_TRACE_OP_END, op, time);
        r.device = disk;
        put(r);
    }
    void dma(uint64_t op, uint64_t iova, uint32_t length, bool write, iom_trace_dma_class klass,
             uint64_t time = 0, uint32_t device = disk)
    {
        auto r = record(IOM_TRACE_DMA, op, time);
        r.device = device;
        r.iova = iova;
        r.bytes = length;
        r.flags = write ? IOM_TRACE_WRITE : IOM_TRACE_READ;
        r.detail = static_cast<uint8_t>(klass);
        put(r);
    }
    iom_trace_reader *open(size_t cut = 0)
    {
        EXPECT_TRUE(iom_trace_writer_take(writer, &data, &bytes, &error)) << error.text;
        writer = nullptr;
        iom_trace_reader *reader = iom_trace_reader_open_memory(data, bytes - cut, "hand-made", &error);
        EXPECT_NE(reader, nullptr) << error.text;
        return reader;
    }

    std::vector<iom_trace_record> list;

  private:
    iom_trace_writer *writer = nullptr;
    iom_trace_error error{};
    void *data = nullptr;
    size_t bytes = 0;
};

/// A replay between two responders: memory (acknowledges stores after `memory_latency`) and DMA.
class Rig
{
  public:
    Rig(Trace &trace, const iom_replay_config &config, iom_cycle memory_latency = 18,
        iom_cycle dma_latency = 38, uint32_t depth = 0, size_t cut = 0)
        : memory("memory", 1, memory_latency), devices("devices", 2, dma_latency)
    {
        image = iom_memory_image_create();
        EXPECT_TRUE(iom_memory_image_add_range(image, 0, (UINT64_C(1) << 30) - 1));
        settings.settings = &address_of_tables;
        iom_mapper_config mapping{};
        mapping.software = &fake_software_ops;
        mapping.settings = &settings;
        mapping.ram_last = (UINT64_C(1) << 30) - 1;
        mapping.page_log2 = 12;
        const iom_store_sink sink = iom_mapper_image_sink(image);
        mapper = iom_mapper_create(&mapping, &sink, "driver", nullptr);
        reader = trace.open(cut);
        iom_trace_error error{};
        replay = iom_replay_create(&config, reader, mapper, "replay", &error);
        EXPECT_NE(replay, nullptr) << error.text;
        connect(iom_replay_memory_port(replay), memory.port(0));
        for (unsigned i = 0; i < 2; i++)
            connect(iom_replay_device_port(replay, i), devices.port(i), depth);
    }
    ~Rig()
    {
        bench.reset();
        iom_replay_destroy(replay);
        iom_mapper_destroy(mapper);
        iom_memory_image_destroy(image);
        iom_trace_reader_close(reader);
    }
    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;

    bool prepare()
    {
        iom_trace_error error{};
        const bool good = iom_replay_prepare(replay, image, &error);
        message = error.text;
        return good;
    }
    iom_run_end run(iom_cycle limit = 100000000)
    {
        if (!bench)
            bench = std::make_unique<Bench>(
                std::vector<iom_unit *>{iom_replay_unit(replay), memory.unit(), devices.unit()});
        return bench->run(limit);
    }
    const iom_replay_stats &stats() const
    {
        return *iom_replay_stats_of(replay);
    }
    /// Faults DMA to pages whose entry memory does not hold at that time.
    void judge_by_memory(iom_cycle memory_latency)
    {
        devices.judge = [this, memory_latency](const SeenDma &dma) {
            const uint64_t entry = tables.roots[1] + (dma.iova >> 12) % 512 * 8;
            uint64_t value = 0;
            (void)iom_memory_image_read(image, entry, &value, sizeof value);
            for (const auto &store : memory.stores) {
                if (store.address == entry)
                    value =
                        store.at + memory_latency + 1 < dma.at ? store.value : (store.value == 0 ? 0 : value);
            }
            return value != 0 ? IOM_OUTCOME_ADDRESS : IOM_OUTCOME_FAULT;
        };
    }

    FakeTables tables;
    FakeTables *address_of_tables = &tables;
    iom_software_config settings{};
    iom_memory_image *image = nullptr;
    MockResponder memory, devices;
    iom_mapper *mapper = nullptr;
    iom_trace_reader *reader = nullptr;
    iom_replay *replay = nullptr;
    std::unique_ptr<Bench> bench;
    std::string message;
};

using Log = std::vector<std::pair<iom_cycle, uint64_t>>;

Log dma_log(const Rig &rig)
{
    Log log;
    for (const SeenDma &dma : rig.devices.dma)
        log.emplace_back(dma.at, dma.iova);
    return log;
}

Log store_log(const Rig &rig)
{
    Log log;
    for (const auto &store : rig.memory.stores)
        log.emplace_back(store.at, store.value);
    return log;
}

void nvme_read(Trace &trace, uint64_t op, uint64_t buffer, bool unmap = true)
{
    trace.begin(op);
    trace.map(op, buffer, 1);
    trace.dma(op, 0x1000 + op * 64, 64, false, IOM_TRACE_DMA_RING);
    for (uint64_t at = 0; at < 4096; at += 1024)
        trace.dma(op, buffer + at, 1024, true, IOM_TRACE_DMA_DATA);
    trace.dma(op, 0x2000 + op * 16, 16, true, IOM_TRACE_DMA_COMPLETION);
    if (unmap)
        trace.unmap(op, buffer, 1);
    trace.end(op);
}

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

// ---- random traces -------------------------------------------------------------------------------------

/// A recording of a made-up run: operations overlap, pages are reused after they were unmapped, the driver
/// maps for itself, some operations have several pages.
void record_at_random(Trace &trace, uint64_t seed)
{
    std::mt19937_64 random(seed);
    struct Live {
        uint64_t op, page, pages, step;
    };
    std::vector<Live> live;
    std::set<uint64_t> free_pages;
    for (uint64_t page = 16; page < 200; page++)
        free_pages.insert(page);
    const auto take = [&](uint64_t pages) -> uint64_t {
        for (const uint64_t page : free_pages) {
            uint64_t run = 0;
            while (run < pages && free_pages.count(page + run) != 0)
                run++;
            if (run == pages) {
                for (uint64_t i = 0; i < pages; i++)
                    free_pages.erase(page + i);
                return page;
            }
        }
        return 0;
    };
    trace.attach(disk, 1);
    trace.attach(network, 1);
    trace.map(0, 0x1000, 2, IOM_TRACE_SYNTHETIC);
    uint64_t next_op = 1, own = 0, time = 0;
    while (next_op <= 60 || !live.empty()) {
        time += random() % 200;
        const uint64_t what = random() % 10;
        if (what < 2 && next_op <= 60 && live.size() < 6) {
            const uint64_t pages = 1 + random() % 3;
            const uint64_t page = take(pages);
            ASSERT_NE(page, 0u);
            live.push_back({next_op, page, pages, 0});
            trace.begin(next_op, time);
            trace.map(next_op, page * 4096, pages, 0, time);
            next_op++;
        } else if (what == 2) {
            if (own == 0) {
                own = take(1);
                trace.map(0, own * 4096, 1, 0, time);
            } else {
                for (unsigned i = 0; i < 3; i++)
                    trace.dma(0, own * 4096 + i * UINT64_C(64), 64, random() % 2, IOM_TRACE_DMA_OTHER, time,
                              network);
                trace.unmap(0, own * 4096, 1, time);
                free_pages.insert(own);
                own = 0;
            }
        } else if (!live.empty()) {
            const size_t pick = random() % live.size();
            Live &op = live[pick];
            if (op.step++ == 0) {
                trace.dma(op.op, 0x1000 + op.op % 64 * 64, 64, false, IOM_TRACE_DMA_RING, time);
            } else if (op.step < 6) {
                trace.dma(op.op, op.page * 4096 + random() % (op.pages * 4) * 1024, 1024, op.op % 2,
                          IOM_TRACE_DMA_DATA, time);
            } else {
                trace.dma(op.op, 0x2000 + op.op % 64 * 16, 16, true, IOM_TRACE_DMA_COMPLETION, time);
                trace.unmap(op.op, op.page * 4096, op.pages, time);
                trace.end(op.op, time);
                for (uint64_t i = 0; i < op.pages; i++)
                    free_pages.insert(op.page + i);
                live.erase(live.begin() + static_cast<long>(pick));
            }
        }
    }
    if (own != 0)
        trace.unmap(0, own * 4096, 1, time);
}

using Key = std::tuple<uint32_t, uint64_t, uint64_t, bool>;

TEST(Replay, random_traces_are_conserved_and_never_fault)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        for (const uint32_t depth : {1u, 6u, 40u}) {
            for (const auto mode : {IOM_REPLAY_CLOSED_LOOP, IOM_REPLAY_SCALED_TIME}) {
                Trace trace(6);
                record_at_random(trace, seed);
                iom_replay_config config{};
                config.mode = mode;
                config.queue_depth = depth;
                config.map_cycles = seed % 3 * 40;
                config.unmap_cycles = seed % 2 * 30;
                config.device_latency = seed * 50;
                config.outstanding = static_cast<uint32_t>(1 + seed % 5);
                Rig rig(trace, config, 18, 20 + seed * 7, seed % 2 ? 3 : 0);
                rig.judge_by_memory(18);
                ASSERT_TRUE(rig.prepare());
                ASSERT_EQ(rig.run(), IOM_RUN_IDLE) << "seed " << seed;
                ASSERT_TRUE(iom_replay_finished(rig.replay));
                ASSERT_EQ(iom_replay_error(rig.replay), nullptr);

                std::multiset<Key> recorded, replayed;
                uint64_t maps = 0, unmaps = 0, mapped = 0, unmapped = 0, read = 0, written = 0;
                for (const auto &r : trace.list) {
                    const bool write = (r.flags & IOM_TRACE_WRITE) != 0;
                    if (r.kind == IOM_TRACE_DMA) {
                        recorded.emplace(r.device, r.iova, r.bytes, write);
                        (write ? written : read) += r.bytes;
                    }
                    maps += r.kind == IOM_TRACE_MAP;
                    unmaps += r.kind == IOM_TRACE_UNMAP;
                    mapped += r.kind == IOM_TRACE_MAP ? r.bytes : 0;
                    unmapped += r.kind == IOM_TRACE_UNMAP ? r.bytes : 0;
                }
                for (const SeenDma &dma : rig.devices.dma)
                    replayed.emplace(dma.source, dma.iova, dma.bytes, dma.write());
                const auto &stats = rig.stats();
                EXPECT_EQ(replayed, recorded);
                EXPECT_EQ(stats.records, trace.list.size());
                EXPECT_EQ(stats.maps, maps);
                EXPECT_EQ(stats.unmaps, unmaps);
                EXPECT_EQ(stats.bytes_mapped, mapped);
                EXPECT_EQ(stats.bytes_unmapped, unmapped);
                EXPECT_EQ(stats.bytes_read, read);
                EXPECT_EQ(stats.bytes_written, written);
                EXPECT_EQ(stats.operations_done, 60u);
                EXPECT_EQ(stats.remaps, 0u);
                EXPECT_EQ(stats.stray_unmaps, 0u);
                EXPECT_LE(stats.most_outstanding, 2u * config.outstanding);
                if (stats.forced == 0) {
                    EXPECT_EQ(stats.faults, 0u) << "seed " << seed << " depth " << depth << " mode " << mode;
                }
                if (mode == IOM_REPLAY_CLOSED_LOOP) {
                    EXPECT_LE(stats.most_operations, depth);
                }
                if (depth >= 6) {
                    EXPECT_EQ(stats.forced, 0u);
                }
            }
        }
    }
}

TEST(Replay, spurious_calls_change_nothing)
{
    for (const auto mode : {IOM_REPLAY_CLOSED_LOOP, IOM_REPLAY_SCALED_TIME}) {
        std::vector<std::pair<Log, Log>> logs;
        for (const bool spurious : {false, true}) {
            Trace trace(6);
            record_at_random(trace, 5);
            iom_replay_config config{};
            config.mode = mode;
            config.map_cycles = 30;
            config.device_latency = 111;
            Rig rig(trace, config, 18, 38, 2);
            ASSERT_TRUE(rig.prepare());
            iom_rng rng;
            iom_rng_seed(&rng, 5, "spurious");
            for (iom_cycle cycle = 1; spurious && cycle < 60000; cycle += 1 + iom_rng_below(&rng, 3)) {
                rig.run(cycle - 1);
                iom_unit_wake(iom_replay_unit(rig.replay), cycle);
            }
            rig.run();
            logs.emplace_back(dma_log(rig), store_log(rig));
        }
        EXPECT_EQ(logs[0], logs[1]);
    }
}

} // namespace
