// SPDX-License-Identifier: Apache-2.0
//
// Page frames (each once, aligned, scattered, reproducible) and the mapper on a fake table builder: page
// sizes, gaps, permissions, results.
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "tests/traffic/support/fake_software.h"
#include "traffic/mapper.h"

using iommu_sim::test::fake_software_ops;
using iommu_sim::test::FakeTables;

namespace
{

constexpr uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib;

struct FramesDeleter {
    void operator()(iom_frame_allocator *frames) const
    {
        iom_frame_allocator_destroy(frames);
    }
};
using Frames = std::unique_ptr<iom_frame_allocator, FramesDeleter>;

TEST(FrameAllocator, hands_out_every_frame_once)
{
    const Frames frames(iom_frame_allocator_create(mib, 33 * mib - 1, 1, "frames")); // 15 whole chunks
    std::set<uint64_t> seen;
    uint64_t address = 0, neighbours = 0, last = 0;
    while (iom_frame_allocator_take(frames.get(), 12, &address)) {
        ASSERT_EQ(address % 4096, 0u);
        ASSERT_GE(address, 2 * mib);
        ASSERT_LT(address, 32 * mib);
        ASSERT_TRUE(seen.insert(address).second);
        neighbours += address == last + 4096;
        last = address;
    }
    EXPECT_EQ(seen.size(), 15 * 512u);
    EXPECT_LT(neighbours, seen.size() / 4) << "not scattered";
    EXPECT_EQ(iom_frame_allocator_used(frames.get()), 30 * mib);
}

TEST(FrameAllocator, sizes_never_overlap)
{
    const Frames frames(iom_frame_allocator_create(0, 16 * gib - 1, 3, "frames"));
    std::vector<std::pair<uint64_t, uint64_t>> blocks;
    uint64_t address = 0;
    for (unsigned round = 0; round < 3000; round++) {
        const unsigned sizes[] = {12, 12, 12, 21, 14, 12, 16};
        const unsigned size = round % 600 == 5 ? 30 : sizes[round % 7];
        ASSERT_TRUE(iom_frame_allocator_take(frames.get(), size, &address));
        ASSERT_EQ(address % (UINT64_C(1) << size), 0u);
        blocks.emplace_back(address, address + (UINT64_C(1) << size));
    }
    std::sort(blocks.begin(), blocks.end());
    for (size_t i = 1; i < blocks.size(); i++)
        ASSERT_LE(blocks[i - 1].second, blocks[i].first);
    EXPECT_LE(blocks.back().second, 16 * gib);
    EXPECT_FALSE(iom_frame_allocator_take(frames.get(), 25, &address));
    unsigned giant = 0;
    while (iom_frame_allocator_take(frames.get(), 30, &address))
        giant++;
    EXPECT_EQ(giant, 7u); // 16 less 5 less the 4 GiB that small frames come from
}

TEST(FrameAllocator, seed_decides_and_freed_frames_return)
{
    const auto sequence = [](uint64_t seed) {
        const Frames frames(iom_frame_allocator_create(0, gib - 1, seed, "frames"));
        std::vector<uint64_t> list(100);
        for (uint64_t &address : list)
            EXPECT_TRUE(iom_frame_allocator_take(frames.get(), 12, &address));
        EXPECT_TRUE(iom_frame_allocator_give(frames.get(), list[17]));
        uint64_t again = 0;
        EXPECT_TRUE(iom_frame_allocator_take(frames.get(), 12, &again));
        EXPECT_EQ(again, list[17]);
        return list;
    };
    EXPECT_EQ(sequence(1), sequence(1));
    EXPECT_NE(sequence(1), sequence(2));
    EXPECT_EQ(iom_frame_allocator_create(4096, 2 * mib, 1, "x"), nullptr);
}

class Mapper : public ::testing::Test
{
  protected:
    void make(uint8_t page_log2, iom_software_kind kind = IOM_SOFTWARE_TRANSLATE, uint64_t ram = 64 * gib)
    {
        settings.settings = &address_of_tables;
        iom_mapper_config config{};
        config.software = &fake_software_ops;
        config.settings = &settings;
        config.kind = kind;
        config.ram_last = ram - 1;
        config.page_log2 = page_log2;
        config.seed = 1;
        const iom_store_sink sink{[](void *context, const iom_store *) {
                                      ++*static_cast<uint64_t *>(context);
                                      return true;
                                  },
                                  &stores};
        mapper.reset(iom_mapper_create(&config, &sink, "driver", nullptr));
        ASSERT_NE(mapper, nullptr);
    }
    struct Deleter {
        void operator()(iom_mapper *m) const
        {
            iom_mapper_destroy(m);
        }
    };
    unsigned count(unsigned size_log2) const
    {
        unsigned n = 0;
        for (const auto &[key, page] : tables.pages)
            n += page.size_log2 == size_log2;
        return n;
    }

    FakeTables tables;
    FakeTables *address_of_tables = &tables;
    iom_software_config settings{};
    uint64_t stores = 0;
    std::unique_ptr<iom_mapper, Deleter> mapper;
};

TEST_F(Mapper, uses_the_largest_pages_that_fit)
{
    make(30);
    // 4 KiB to the next 2 MiB, 2 MiB to the next 1 GiB, one 1 GiB, and down again.
    const uint64_t iova = gib - 2 * mib - 8 * kib, bytes = gib + 4 * mib + 12 * kib;
    iom_mapper_work work{};
    ASSERT_EQ(iom_mapper_map(mapper.get(), 1, iova, 10 * gib + iova, bytes, IOM_PERM_READ, 0, &work),
              IOM_MAPPER_OK);
    EXPECT_EQ(count(12), 2 + 1u);
    EXPECT_EQ(count(21), 1 + 1u);
    EXPECT_EQ(count(30), 1u);
    EXPECT_EQ(work.pages, 6u);
    EXPECT_EQ(work.stores, 7u); // one for the domain's first table
    for (uint64_t at = 0; at < bytes; at += 4 * kib)
        ASSERT_EQ(tables.translate(1, iova + at), 10 * gib + iova + at);
    EXPECT_EQ(tables.translate(1, iova + bytes), UINT64_MAX);
    EXPECT_EQ(tables.translate(2, iova), UINT64_MAX);

    EXPECT_EQ(iom_mapper_unmap(mapper.get(), 1, iova, bytes, &work), IOM_MAPPER_OK);
    EXPECT_TRUE(tables.pages.empty());
    EXPECT_EQ(work.pages, 12u);
}

TEST_F(Mapper, limits_of_page_size)
{
    make(21);
    ASSERT_EQ(iom_mapper_map(mapper.get(), 1, gib, gib, 4 * mib, IOM_PERM_READ, 0, nullptr), IOM_MAPPER_OK);
    EXPECT_EQ(count(21), 2u);
    ASSERT_EQ(iom_mapper_map(mapper.get(), 1, 2 * gib, gib, 2 * mib, IOM_PERM_READ, 12, nullptr),
              IOM_MAPPER_OK);
    EXPECT_EQ(count(12), 512u); // the caller's limit
    ASSERT_EQ(iom_mapper_map(mapper.get(), 1, 3 * gib, gib + 4 * kib, 2 * mib, IOM_PERM_READ, 0, nullptr),
              IOM_MAPPER_OK);
    EXPECT_EQ(count(12), 1024u); // alignment of the physical address
    tables.limits.page_sizes = 1 << 12;
    make(30); // what the hardware has
    ASSERT_EQ(iom_mapper_map(mapper.get(), 2, gib, gib, 2 * mib, IOM_PERM_READ, 0, nullptr), IOM_MAPPER_OK);
    EXPECT_EQ(count(12), 1536u);
}

TEST_F(Mapper, results)
{
    make(21);
    EXPECT_EQ(iom_mapper_map(mapper.get(), 1, 0x1001, 0x2000, 4096, IOM_PERM_READ, 0, nullptr),
              IOM_MAPPER_REFUSED);
    EXPECT_EQ(iom_mapper_map(mapper.get(), 1, 0x1000, 0x2000, 0, IOM_PERM_READ, 0, nullptr),
              IOM_MAPPER_REFUSED);
    EXPECT_EQ(iom_mapper_map(mapper.get(), 1, UINT64_C(1) << 48, 0, 4096, IOM_PERM_READ, 0, nullptr),
              IOM_MAPPER_REFUSED);
    EXPECT_EQ(iom_mapper_map(mapper.get(), 1, 4 * mib, 8 * mib, 2 * mib, IOM_PERM_READ, 0, nullptr),
              IOM_MAPPER_OK);
    EXPECT_EQ(iom_mapper_map(mapper.get(), 1, 5 * mib, 8 * mib, 4096, IOM_PERM_READ, 0, nullptr),
              IOM_MAPPER_ALREADY);
    EXPECT_EQ(iom_mapper_unmap(mapper.get(), 1, 5 * mib, 4096, nullptr),
              IOM_MAPPER_REFUSED); // part of a large page
    EXPECT_EQ(iom_mapper_unmap(mapper.get(), 1, 4 * mib, 4 * mib, nullptr), IOM_MAPPER_NOT_MAPPED);
    EXPECT_TRUE(tables.pages.empty()) << "what was there is gone";
    EXPECT_EQ(iom_mapper_attach(mapper.get(), 0x20, IOM_NO_PASID, 1), IOM_MAPPER_OK);
    EXPECT_EQ(iom_mapper_attach(mapper.get(), 0x20, IOM_NO_PASID, 2), IOM_MAPPER_ALREADY);
    EXPECT_EQ(iom_mapper_attach(mapper.get(), 0x21, IOM_NO_PASID, 1 << 20), IOM_MAPPER_REFUSED);
    EXPECT_EQ(iom_mapper_detach(mapper.get(), 0x20, IOM_NO_PASID), IOM_MAPPER_OK);
    EXPECT_EQ(iom_mapper_detach(mapper.get(), 0x20, IOM_NO_PASID), IOM_MAPPER_NOT_MAPPED);
    tables.fail_after = 0;
    EXPECT_EQ(iom_mapper_map(mapper.get(), 1, 0, 0, 4096, IOM_PERM_READ, 0, nullptr), IOM_MAPPER_NO_MEMORY);
    tables.fail_after = 1000;
    EXPECT_EQ(iom_mapper_map(mapper.get(), 1, 0, 0, 4096, IOM_PERM_READ, 0, nullptr), IOM_MAPPER_NO_MEMORY)
        << "a builder that lost a store is not used any more";
}

TEST_F(Mapper, ranges_fill_gaps_and_join_permissions)
{
    make(21);
    // A page in the middle of a 2 MiB block is there already, readable.
    ASSERT_EQ(iom_mapper_map(mapper.get(), 1, 5 * mib, 64 * mib, 4096, IOM_PERM_READ, 0, nullptr),
              IOM_MAPPER_OK);
    iom_traffic_range range{};
    range.iova = 2 * mib;
    range.bytes = 6 * mib;
    range.permissions = IOM_PERM_WRITE;
    ASSERT_EQ(iom_mapper_map_range(mapper.get(), 1, &range, nullptr), IOM_MAPPER_OK);
    EXPECT_EQ(count(21), 2u);
    EXPECT_EQ(count(12), 512u);
    std::set<uint64_t> outputs;
    for (uint64_t at = 2 * mib; at < 8 * mib; at += 4096) {
        uint8_t permissions = 0;
        const uint64_t output = tables.translate(1, at, &permissions);
        ASSERT_NE(output, UINT64_MAX);
        ASSERT_TRUE(outputs.insert(output).second) << "a buffer was mapped twice";
        ASSERT_EQ(permissions, at == 5 * mib ? IOM_PERM_READ | IOM_PERM_WRITE : IOM_PERM_WRITE);
    }
    EXPECT_EQ(tables.translate(1, 5 * mib), 64 * mib);
    const auto before = stores;
    ASSERT_EQ(iom_mapper_map_range(mapper.get(), 1, &range, nullptr), IOM_MAPPER_OK);
    EXPECT_EQ(stores, before) << "nothing left to do";
}

TEST_F(Mapper, running_out_of_memory_is_reported)
{
    make(12, IOM_SOFTWARE_TRANSLATE, 4 * mib);
    iom_traffic_range range{};
    range.bytes = 8 * mib;
    range.permissions = IOM_PERM_READ;
    EXPECT_EQ(iom_mapper_map_range(mapper.get(), 1, &range, nullptr), IOM_MAPPER_NO_MEMORY);
}

TEST_F(Mapper, bypass_needs_no_tables)
{
    make(12, IOM_SOFTWARE_BYPASS);
    EXPECT_EQ(iom_mapper_attach(mapper.get(), 0x20, IOM_NO_PASID, 1), IOM_MAPPER_OK);
    EXPECT_EQ(iom_mapper_map(mapper.get(), 1, 4096, 8192, 4096, IOM_PERM_READ, 0, nullptr), IOM_MAPPER_OK);
    EXPECT_TRUE(tables.pages.empty());
}

TEST_F(Mapper, image_sink_writes_little_endian)
{
    iom_memory_image *image = iom_memory_image_create();
    ASSERT_TRUE(iom_memory_image_add_range(image, 0, mib - 1));
    const iom_store_sink sink = iom_mapper_image_sink(image);
    const iom_store store{0x1004, UINT64_C(0x8877665544332211), 4};
    EXPECT_TRUE(sink.put(sink.context, &store));
    uint8_t bytes[6] = {};
    ASSERT_TRUE(iom_memory_image_read(image, 0x1004, bytes, sizeof bytes));
    const uint8_t expected[6] = {0x11, 0x22, 0x33, 0x44, 0, 0};
    EXPECT_EQ(std::vector<uint8_t>(bytes, bytes + 6), std::vector<uint8_t>(expected, expected + 6));
    iom_memory_image_destroy(image);
}

} // namespace
