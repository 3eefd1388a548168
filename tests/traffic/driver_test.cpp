// SPDX-License-Identifier: Apache-2.0
//
// The driver unit: register handshakes with polling, timed map and unmap calls and their stores, premapping.
#include <gtest/gtest.h>

#include <memory>

#include "tests/traffic/support/fake_software.h"
#include "tests/traffic/support/mock_responder.h"
#include "traffic/driver.h"

using iommu_sim::test::Bench;
using iommu_sim::test::connect;
using iommu_sim::test::fake_software_ops;
using iommu_sim::test::FakeTables;
using iommu_sim::test::MockResponder;
using iommu_sim::test::SeenMmio;

namespace
{

class Driver : public ::testing::Test
{
  protected:
    Driver() : memory("memory", 1, 20), registers("registers", 1, 10)
    {
    }
    ~Driver() override
    {
        bench.reset();
        iom_driver_destroy(driver);
        iom_mapper_destroy(mapper);
        iom_memory_image_destroy(image);
    }
    void make(const iom_driver_config &config, uint32_t memory_depth = 0)
    {
        image = iom_memory_image_create();
        ASSERT_TRUE(iom_memory_image_add_range(image, 0, (UINT64_C(1) << 30) - 1));
        settings.settings = &address_of_tables;
        iom_mapper_config mapping{};
        mapping.software = &fake_software_ops;
        mapping.settings = &settings;
        mapping.ram_last = (UINT64_C(1) << 30) - 1;
        mapping.page_log2 = 21;
        const iom_store_sink sink = iom_mapper_image_sink(image);
        mapper = iom_mapper_create(&mapping, &sink, "driver", nullptr);
        driver = iom_driver_create(&config, mapper, "driver");
        ASSERT_NE(driver, nullptr);
        connect(iom_driver_port(driver, IOM_DRIVER_MEMORY), memory.port(0), memory_depth);
        connect(iom_driver_port(driver, IOM_DRIVER_MMIO), registers.port(0));
        bench = std::make_unique<Bench>(
            std::vector<iom_unit *>{iom_driver_unit(driver), memory.unit(), registers.unit()});
    }
    void add(iom_driver_job_kind kind, uint64_t iova, uint64_t bytes, iom_cycle due = 0)
    {
        iom_driver_job job{};
        job.kind = kind;
        job.due = due;
        job.domain = 1;
        job.iova = iova;
        job.address = iova + 0x10000000;
        job.bytes = bytes;
        job.permissions = IOM_PERM_READ;
        ASSERT_TRUE(iom_driver_add_job(driver, &job));
    }

    FakeTables tables;
    FakeTables *address_of_tables = &tables;
    iom_software_config settings{};
    iom_memory_image *image = nullptr;
    MockResponder memory, registers;
    iom_mapper *mapper = nullptr;
    iom_driver *driver = nullptr;
    std::unique_ptr<Bench> bench;
};

iom_register_write step(uint32_t offset, uint64_t value, uint32_t poll_offset = 0, uint64_t poll_mask = 0)
{
    iom_register_write write{};
    write.offset = offset;
    write.value = value;
    write.bytes = 8;
    write.poll_offset = poll_offset;
    write.poll_mask = write.poll_value = poll_mask;
    write.poll_bytes = poll_mask != 0 ? 4 : 0;
    return write;
}

TEST_F(Driver, brings_the_iommu_up)
{
    tables.startup = {step(0x20, 0x7000), step(0x18, 1u << 30, 0x1c, 1u << 30),
                      step(0x18, 1u << 31, 0x1c, 1u << 31)};
    // Status bits show 50 cycles after the command.
    iom_cycle commanded = 0;
    registers.read_register = [&](const SeenMmio &read) -> uint64_t {
        uint64_t value = 0;
        for (const SeenMmio &seen : registers.mmio) {
            if (seen.write && seen.offset == 0x18 && seen.at + 50 <= read.at) {
                value |= seen.value;
                commanded = seen.at;
            }
        }
        return value;
    };
    iom_driver_config config{};
    config.bring_up = true;
    config.poll_cycles = 5;
    config.start = 100;
    std::vector<iom_cycle> ready;
    config.on_ready = [](void *context, iom_cycle cycle) {
        static_cast<std::vector<iom_cycle> *>(context)->push_back(cycle);
    };
    config.on_ready_context = &ready;
    make(config);
    EXPECT_EQ(bench->run(), IOM_RUN_IDLE);
    // A round trip takes 12 cycles, the next read follows 5 later: 0, 17, 34, 51 after the first answer.
    std::vector<std::tuple<iom_cycle, bool, uint32_t>> seen;
    for (const SeenMmio &mmio : registers.mmio)
        seen.emplace_back(mmio.at, mmio.write, mmio.offset);
    const std::vector<std::tuple<iom_cycle, bool, uint32_t>> expected{
        {101, true, 0x20},  {113, true, 0x18},  {125, false, 0x1c}, {142, false, 0x1c},
        {159, false, 0x1c}, {176, false, 0x1c}, {188, true, 0x18},  {200, false, 0x1c},
        {217, false, 0x1c}, {234, false, 0x1c}, {251, false, 0x1c}};
    EXPECT_EQ(seen, expected);
    EXPECT_EQ(ready, std::vector<iom_cycle>{262});
    EXPECT_TRUE(iom_driver_ready(driver));
    EXPECT_TRUE(iom_driver_finished(driver));
    const auto *stats = iom_driver_stats_of(driver);
    EXPECT_EQ(stats->register_writes, 3u);
    EXPECT_EQ(stats->register_reads, 8u);
    EXPECT_EQ(stats->bring_up_cycles, 162u);
}

TEST_F(Driver, calls_and_stores_take_their_time)
{
    iom_driver_config config{};
    config.map_cycles = 30;
    config.unmap_cycles = 11;
    config.store_cycles = 4;
    make(config);
    add(IOM_DRIVER_MAP, 0x1000, 3 * UINT64_C(4096));   // four stores, the first for the table
    add(IOM_DRIVER_UNMAP, 0x1000, 3 * UINT64_C(4096)); // three
    add(IOM_DRIVER_MAP, 0x200000, 1 << 21, 1000);      // one, due later
    EXPECT_EQ(bench->run(), IOM_RUN_IDLE);
    std::vector<iom_cycle> at;
    for (const auto &store : memory.stores)
        at.push_back(store.at);
    // First call: 30, 34, 38, 42; the second begins when the last store has left: 53, 57, 61.
    EXPECT_EQ(at, (std::vector<iom_cycle>{31, 35, 39, 43, 54, 58, 62, 1031}));
    const auto *stats = iom_driver_stats_of(driver);
    EXPECT_EQ(stats->maps, 2u);
    EXPECT_EQ(stats->unmaps, 1u);
    EXPECT_EQ(stats->pages_mapped, 4u);
    EXPECT_EQ(stats->pages_unmapped, 3u);
    EXPECT_EQ(stats->stores, 8u);
    EXPECT_EQ(stats->map_latency.maximum, 42 + 22u); // answers are there after 22 cycles
    EXPECT_EQ(stats->map_latency.minimum, 30 + 22u);
    EXPECT_EQ(stats->unmap_latency.maximum, 61 + 22 - 42u);
    EXPECT_EQ(stats->failed, 0u);
    EXPECT_TRUE(iom_driver_finished(driver));
}

TEST_F(Driver, stores_wait_for_slots_and_keep_their_order)
{
    iom_driver_config config{};
    make(config, 2);
    add(IOM_DRIVER_MAP, 0x1000, 20 * UINT64_C(4096));
    add(IOM_DRIVER_UNMAP, 0x1000, 20 * UINT64_C(4096));
    EXPECT_EQ(bench->run(), IOM_RUN_IDLE);
    ASSERT_EQ(memory.stores.size(), 41u);
    for (unsigned i = 0; i < 20; i++) {
        EXPECT_EQ(memory.stores[1 + i].value, 0x10001000u + 4096 * i + IOM_PERM_READ);
        EXPECT_EQ(memory.stores[21 + i].value, 0u);
        EXPECT_EQ(memory.stores[21 + i].address, memory.stores[1 + i].address);
    }
    for (unsigned i = 2; i < 41; i++)
        EXPECT_EQ(memory.stores[i].at - memory.stores[i - 2].at, 21u);
}

TEST_F(Driver, jobs_may_be_added_between_runs)
{
    iom_driver_config config{};
    make(config);
    EXPECT_EQ(bench->run(), IOM_RUN_IDLE);
    EXPECT_TRUE(iom_driver_finished(driver));
    add(IOM_DRIVER_MAP, 0x1000, 4096, 500);
    EXPECT_FALSE(iom_driver_finished(driver));
    EXPECT_EQ(bench->run(), IOM_RUN_IDLE);
    ASSERT_EQ(memory.stores.size(), 2u);
    EXPECT_EQ(memory.stores[0].at, 501u);
    EXPECT_EQ(tables.translate(1, 0x1000), 0x10001000u);
}

TEST_F(Driver, failures_are_reported)
{
    iom_driver_config config{};
    make(config);
    add(IOM_DRIVER_UNMAP, 0x1000, 4096);
    add(IOM_DRIVER_MAP, 0x1000, 4096);
    add(IOM_DRIVER_MAP, 0x1000, 4096);
    EXPECT_EQ(bench->run(), IOM_RUN_IDLE);
    EXPECT_EQ(iom_driver_stats_of(driver)->failed, 2u);
    EXPECT_EQ(iom_driver_error(driver), nullptr);
    memory.store_error = true;
    add(IOM_DRIVER_UNMAP, 0x1000, 4096);
    EXPECT_EQ(bench->run(), IOM_RUN_IDLE);
    ASSERT_NE(iom_driver_error(driver), nullptr);
    EXPECT_NE(std::string(iom_driver_error(driver)).find("does not answer"), std::string::npos);
}

TEST_F(Driver, premap_covers_every_range)
{
    iom_driver_config config{};
    make(config);
    iom_generator_config traffic{};
    traffic.kind = IOM_GENERATOR_NVME;
    traffic.source = 0x20;
    traffic.base_iova = 0x40000000;
    traffic.window_bytes = 4 << 20;
    traffic.request_bytes = 256;
    traffic.queue_depth = 4;
    traffic.block_bytes = 16384;
    traffic.read_ppm = 500000;
    iom_generator *generator = iom_generator_create(&traffic, 1, "nvme0", nullptr);
    ASSERT_NE(generator, nullptr);
    const auto domain_of = [](void *, uint32_t source, uint32_t pasid) -> uint32_t {
        EXPECT_EQ(source, 0x20u);
        EXPECT_EQ(pasid, IOM_NO_PASID);
        return 9;
    };
    EXPECT_EQ(iom_driver_premap(mapper, image, generator, domain_of, nullptr), IOM_MAPPER_OK);
    for (uint64_t at = traffic.base_iova; at < traffic.base_iova + traffic.window_bytes; at += 4096)
        ASSERT_NE(tables.translate(9, at), UINT64_MAX);
    uint64_t root = 0;
    ASSERT_TRUE(iom_memory_image_read(image, 0x800 + 9 * 8, &root, sizeof root));
    EXPECT_EQ(root, tables.roots[9]) << "stores went into the image";
    iom_generator_destroy(generator);
}

} // namespace
