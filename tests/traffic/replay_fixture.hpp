// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the replay share: traces built record by record, and a replay between two responders.
#ifndef IOM_TESTS_TRAFFIC_REPLAY_FIXTURE_HPP
#define IOM_TESTS_TRAFFIC_REPLAY_FIXTURE_HPP

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/traffic/support/fake_software.h"
#include "tests/traffic/support/mock_responder.h"
#include "traffic/replay.h"

namespace replay_fixture
{

using iommu_sim::test::Bench;
using iommu_sim::test::connect;
using iommu_sim::test::fake_software_ops;
using iommu_sim::test::FakeTables;
using iommu_sim::test::MockResponder;
using iommu_sim::test::SeenDma;

inline constexpr uint32_t disk = 0x0020, network = 0x0100;

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

inline Log dma_log(const Rig &rig)
{
    Log log;
    for (const SeenDma &dma : rig.devices.dma)
        log.emplace_back(dma.at, dma.iova);
    return log;
}

inline Log store_log(const Rig &rig)
{
    Log log;
    for (const auto &store : rig.memory.stores)
        log.emplace_back(store.at, store.value);
    return log;
}

inline void nvme_read(Trace &trace, uint64_t op, uint64_t buffer, bool unmap = true)
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

} // namespace replay_fixture

#endif
