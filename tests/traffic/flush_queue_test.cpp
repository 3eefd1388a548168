// SPDX-License-Identifier: Apache-2.0
//
// Flush policies: aligned blocks (scenario F2), commands of a domain (scenarios E1 to E5), the queues.
#include <gtest/gtest.h>

#include <vector>

#include "core/rng.h"
#include "traffic/flush_queue.h"

namespace
{

constexpr uint64_t page = 4096;

// ---- blocks ------------------------------------------------------------------------------------------

// Linux' calculate_psi_aligned_address, step by step.
unsigned linux_mask(uint64_t pfn, uint64_t pages)
{
    unsigned mask = 0;
    while ((UINT64_C(1) << mask) < pages)
        mask++;
    const uint64_t bits = (UINT64_C(1) << mask) - 1;
    if ((bits & pfn) == 0)
        return mask;
    const uint64_t shared = ~(pfn ^ (pfn + pages - 1)) & ~bits;
    return shared != 0 ? static_cast<unsigned>(__builtin_ctzll(shared)) : 52;
}

TEST(FlushBlock, values_of_scenario_f2)
{
    iom_flush_block block = iom_flush_block_of(1 * page, 2 * page);
    EXPECT_EQ(block.iova, 0u);
    EXPECT_EQ(block.pages_log2, 2);
    block = iom_flush_block_of(0x1ff * page, 2 * page);
    EXPECT_EQ(block.iova, 0u);
    EXPECT_EQ(block.pages_log2, 10);
    block = iom_flush_block_of(0x200 * page, 2 * page);
    EXPECT_EQ(block.iova, 0x200 * page);
    EXPECT_EQ(block.pages_log2, 1);
}

TEST(FlushBlock, is_what_linux_computes)
{
    for (uint64_t pfn = 0; pfn < 130; pfn++) {
        for (uint64_t pages = 1; pages < 70; pages++) {
            const iom_flush_block block = iom_flush_block_of(pfn * page, pages * page);
            ASSERT_EQ(block.pages_log2, linux_mask(pfn, pages)) << pfn << " " << pages;
            ASSERT_EQ(block.iova, pfn * page & ~((page << block.pages_log2) - 1));
        }
    }
    iom_rng rng;
    iom_rng_seed(&rng, 1, "flush");
    for (unsigned i = 0; i < 20000; i++) {
        const uint64_t pfn = iom_rng_below(&rng, UINT64_C(1) << 36);
        const uint64_t pages = 1 + iom_rng_below(&rng, 1000000);
        ASSERT_EQ(iom_flush_block_of(pfn * page, pages * page).pages_log2, linux_mask(pfn, pages));
    }
}

TEST(FlushBlock, covers_everything)
{
    const iom_flush_block block = iom_flush_block_of(0, UINT64_MAX);
    EXPECT_EQ(block.iova, 0u);
    EXPECT_EQ(block.pages_log2, 52);
}

// ---- commands ----------------------------------------------------------------------------------------

iom_flush_attachment attached(uint32_t source, uint32_t pasid, bool ats = true, uint32_t domain = 7)
{
    iom_flush_attachment attachment{};
    attachment.source = source;
    attachment.pasid = pasid;
    attachment.ats = ats;
    attachment.used = true;
    attachment.domain = domain;
    return attachment;
}

class Commands : public ::testing::Test
{
  protected:
    Commands()
    {
        request.domain = 7;
        request.page_selective = true;
        request.largest_pages_log2 = 18;
        request.iova = 1 * page;
        request.bytes = 2 * page;
        request.leaf_only = true;
    }
    std::vector<iom_flush> all()
    {
        request.attachments = list.data();
        request.attachment_count = static_cast<uint32_t>(list.size());
        std::vector<iom_flush> commands;
        iom_flush_cursor cursor{};
        iom_flush flush{};
        while (iom_flush_next(&request, &cursor, &flush))
            commands.push_back(flush);
        EXPECT_FALSE(iom_flush_next(&request, &cursor, &flush));
        return commands;
    }
    std::vector<iom_flush_kind> kinds()
    {
        std::vector<iom_flush_kind> kinds;
        for (const iom_flush &flush : all())
            kinds.push_back(flush.kind);
        return kinds;
    }

    std::vector<iom_flush_attachment> list;
    iom_flush_request request{};
};

using Kinds = std::vector<iom_flush_kind>;

TEST_F(Commands, one_page_selective_command_per_domain)
{
    list = {attached(1, IOM_NO_PASID, false), attached(2, IOM_NO_PASID, false),
            attached(3, IOM_NO_PASID, false, 8)};
    const auto commands = all();
    ASSERT_EQ(commands.size(), 1u);
    EXPECT_EQ(commands[0].kind, IOM_FLUSH_IOTLB_PAGES);
    EXPECT_EQ(commands[0].domain, 7u);
    EXPECT_EQ(commands[0].iova, 0u);
    EXPECT_EQ(commands[0].pages_log2, 2);
    EXPECT_TRUE(commands[0].leaf_only);
}

TEST_F(Commands, too_large_a_block_takes_the_domain)
{
    list = {attached(1, IOM_NO_PASID)};
    request.iova = 0x1ff * page;
    request.largest_pages_log2 = 9;
    auto commands = all();
    ASSERT_EQ(commands.size(), 2u);
    EXPECT_EQ(commands[0].kind, IOM_FLUSH_IOTLB_DOMAIN);
    EXPECT_FALSE(commands[0].leaf_only);
    // The limit is that of the IOTLB command.
    EXPECT_EQ(commands[1].kind, IOM_FLUSH_DEVICE_PAGES);
    EXPECT_EQ(commands[1].pages_log2, 10);
    request.largest_pages_log2 = 10;
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_PAGES, IOM_FLUSH_DEVICE_PAGES}));
    request.page_selective = false;
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_DOMAIN, IOM_FLUSH_DEVICE_PAGES}));
}

// Where commands name single pages (RISC-V without ranges), a range takes several, up to a limit.
TEST_F(Commands, a_range_may_take_several_commands)
{
    list = {attached(1, IOM_NO_PASID), attached(2, IOM_NO_PASID)};
    request.largest_pages_log2 = 0;
    request.page_commands = 4;
    request.iova = 0x1ff * page;
    for (uint64_t pages = 1; pages <= 4; pages++) {
        request.bytes = pages * page;
        const auto commands = all();
        ASSERT_EQ(commands.size(), pages + 2); // devices
        for (uint64_t i = 0; i < pages; i++) {
            EXPECT_EQ(commands[i].kind, IOM_FLUSH_IOTLB_PAGES);
            EXPECT_EQ(commands[i].iova, (0x1ff + i) * page);
            EXPECT_EQ(commands[i].pages_log2, 0);
            EXPECT_TRUE(commands[i].leaf_only);
        }
        EXPECT_EQ(commands[pages].kind, IOM_FLUSH_DEVICE_PAGES);
    }
    request.bytes = 5 * page;
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_DOMAIN, IOM_FLUSH_DEVICE_PAGES, IOM_FLUSH_DEVICE_PAGES}));
    request.largest_pages_log2 = 2; // blocks of four pages, of which the range touches three
    request.iova = 3 * page;
    request.bytes = 6 * page;
    const auto commands = all();
    ASSERT_EQ(commands.size(), 5u);
    for (uint64_t i = 0; i < 3; i++) {
        EXPECT_EQ(commands[i].iova, 4 * i * page);
        EXPECT_EQ(commands[i].pages_log2, 2);
    }
    // Each tag of first-stage tables takes all of them.
    request.first_stage = true;
    list = {attached(1, 5, false), attached(2, 6, false)};
    const auto spaces = all();
    ASSERT_EQ(spaces.size(), 6u);
    for (uint64_t i = 0; i < 6; i++) {
        EXPECT_EQ(spaces[i].pasid, i < 3 ? 5u : 6u);
        EXPECT_EQ(spaces[i].iova, 4 * (i % 3) * page);
    }
}

TEST_F(Commands, first_stage_is_flushed_by_pasid)
{
    list = {attached(1, 5), attached(2, 5), attached(2, 6), attached(3, IOM_NO_PASID, false)};
    request.first_stage = true;
    request.default_pasid = 0;
    const auto commands = all();
    ASSERT_EQ(commands.size(), 6u); // PASIDs 5, 6, 0; devices (1, 5), (2, 5), (2, 6)
    EXPECT_EQ(commands[0].kind, IOM_FLUSH_SPACE_PAGES);
    EXPECT_EQ(commands[0].pasid, 5u);
    EXPECT_EQ(commands[1].pasid, 6u);
    EXPECT_EQ(commands[2].pasid, 0u);
    EXPECT_EQ(commands[3].kind, IOM_FLUSH_DEVICE_SPACE_PAGES);
    EXPECT_EQ(commands[5].source, 2u);
    EXPECT_EQ(commands[5].pasid, 6u);
}

TEST_F(Commands, everything_is_one_domain_command_and_one_per_device_or_pasid)
{
    list = {attached(1, IOM_NO_PASID), attached(2, 4)};
    request.everything = true;
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_DOMAIN, IOM_FLUSH_DEVICE_ALL, IOM_FLUSH_DEVICE_SPACE}));
}

TEST_F(Commands, devices_in_the_list_repeatedly)
{
    // Scenario E2: d1, d2, d1, d2.
    list = {attached(1, 10), attached(2, 10), attached(1, 11), attached(2, 11)};
    request.everything = true;
    request.no_iotlb = true;
    request.devices = IOM_FLUSH_SKIP_REPEATED;
    EXPECT_EQ(all().size(), 4u);
    request.devices = IOM_FLUSH_DEDUPLICATED;
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_DEVICE_ALL, IOM_FLUSH_DEVICE_ALL}));
    request.devices = IOM_FLUSH_PER_ATTACHMENT;
    EXPECT_EQ(kinds(), Kinds(4, IOM_FLUSH_DEVICE_SPACE));
    // Sorted by device the trick works.
    list = {attached(1, 10), attached(1, 11), attached(2, 10), attached(2, 11)};
    request.devices = IOM_FLUSH_SKIP_REPEATED;
    EXPECT_EQ(all().size(), 2u);
}

TEST_F(Commands, order_and_omissions)
{
    list = {attached(1, IOM_NO_PASID)};
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_PAGES, IOM_FLUSH_DEVICE_PAGES}));
    request.device_first = true;
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_DEVICE_PAGES, IOM_FLUSH_IOTLB_PAGES}));
    request.no_device = true;
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_IOTLB_PAGES}));
    request.no_device = false;
    request.no_iotlb = true;
    EXPECT_EQ(kinds(), (Kinds{IOM_FLUSH_DEVICE_PAGES}));
}

TEST_F(Commands, nothing_for_a_domain_without_attachments)
{
    list = {attached(1, IOM_NO_PASID, true, 8)};
    EXPECT_TRUE(all().empty()); // scenario E4
    list[0].domain = 7;
    list[0].used = false;
    EXPECT_TRUE(all().empty());
}

// ---- queues ------------------------------------------------------------------------------------------

struct Queue {
    explicit Queue(iom_flush_mode mode, uint32_t entries = 0, uint32_t cpus = 2)
    {
        iom_flush_policy policy{};
        policy.mode = mode;
        policy.entries = entries;
        policy.timeout_cycles = 1000;
        queue = iom_flush_queue_create(&policy, cpus);
    }
    ~Queue()
    {
        iom_flush_queue_destroy(queue);
    }
    Queue(const Queue &) = delete;
    Queue &operator=(const Queue &) = delete;

    bool add(uint32_t cpu, uint64_t iova)
    {
        iom_flush_entry entry{};
        entry.iova = iova;
        entry.bytes = page;
        return iom_flush_queue_add(queue, cpu, &entry);
    }
    std::vector<uint64_t> release(uint32_t cpu)
    {
        std::vector<uint64_t> released;
        iom_flush_entry entry{};
        while (iom_flush_queue_release(queue, cpu, &entry))
            released.push_back(entry.iova);
        return released;
    }
    std::vector<uint64_t> covered(uint64_t flush)
    {
        std::vector<uint64_t> list;
        uint64_t cursor[2] = {0, 0};
        const iom_flush_entry *entry = nullptr;
        while (iom_flush_queue_covered(queue, flush, cursor, &entry))
            list.push_back(entry->iova);
        return list;
    }
    iom_flush_queue *queue;
};

using List = std::vector<uint64_t>;

TEST(FlushQueue, holds_255_of_256_per_cpu)
{
    Queue fq(IOM_FLUSH_LAZY_PER_CPU);
    EXPECT_EQ(iom_flush_queue_count(fq.queue), 2u);
    for (uint64_t i = 0; i < 255; i++) {
        EXPECT_FALSE(iom_flush_queue_full(fq.queue, 0));
        fq.add(0, i);
    }
    EXPECT_TRUE(iom_flush_queue_full(fq.queue, 0));
    EXPECT_FALSE(iom_flush_queue_full(fq.queue, 1));
    EXPECT_EQ(iom_flush_queue_held(fq.queue), 255u);
}

TEST(FlushQueue, single_queue_holds_32767_of_all_cpus)
{
    Queue fq(IOM_FLUSH_LAZY_SINGLE);
    EXPECT_EQ(iom_flush_queue_count(fq.queue), 1u);
    for (uint32_t i = 0; i < 32767; i++)
        fq.add(i % 2, i);
    EXPECT_TRUE(iom_flush_queue_full(fq.queue, 0));
    EXPECT_TRUE(iom_flush_queue_full(fq.queue, 1));
}

TEST(FlushQueue, only_a_flush_that_began_later_releases)
{
    Queue fq(IOM_FLUSH_LAZY_PER_CPU, 8);
    fq.add(0, 1);
    EXPECT_EQ(fq.release(0), List{});
    iom_flush_queue_begin(fq.queue);
    fq.add(0, 2); // while the flush is under way: it may have passed already
    fq.add(1, 3);
    EXPECT_EQ(fq.release(0), List{});
    const uint64_t flush = iom_flush_queue_end(fq.queue);
    EXPECT_EQ(fq.covered(flush), List{1});
    EXPECT_EQ(fq.release(0), List{1});
    EXPECT_EQ(fq.release(1), List{});
    iom_flush_queue_begin(fq.queue);
    const uint64_t next = iom_flush_queue_end(fq.queue);
    EXPECT_EQ(fq.covered(next), (List{2, 3}));
    EXPECT_EQ(fq.release(0), List{2});
    EXPECT_EQ(fq.release(1), List{3});
    EXPECT_EQ(iom_flush_queue_held(fq.queue), 0u);
}

TEST(FlushQueue, overlapping_flushes_count_in_order)
{
    Queue fq(IOM_FLUSH_LAZY_SINGLE, 8);
    fq.add(0, 1);
    iom_flush_queue_begin(fq.queue);
    fq.add(0, 2);
    iom_flush_queue_begin(fq.queue);
    fq.add(0, 3);
    EXPECT_EQ(fq.covered(iom_flush_queue_end(fq.queue)), List{1});
    EXPECT_EQ(fq.release(0), List{1});
    EXPECT_EQ(fq.covered(iom_flush_queue_end(fq.queue)), List{2});
    EXPECT_EQ(fq.release(0), List{2});
    EXPECT_EQ(fq.release(0), List{});
}

TEST(FlushQueue, timer_is_set_by_the_first_range_only)
{
    Queue fq(IOM_FLUSH_LAZY_PER_CPU, 8);
    EXPECT_TRUE(fq.add(0, 1));
    EXPECT_FALSE(fq.add(1, 2));
    iom_flush_queue_timer(fq.queue);
    EXPECT_TRUE(fq.add(0, 3));
}

TEST(FlushQueue, wraps)
{
    Queue fq(IOM_FLUSH_LAZY_PER_CPU, 4);
    uint64_t next = 0, expected = 0;
    for (unsigned round = 0; round < 10; round++) {
        while (!iom_flush_queue_full(fq.queue, 1))
            fq.add(1, next++);
        iom_flush_queue_begin(fq.queue);
        const List covered = fq.covered(iom_flush_queue_end(fq.queue));
        const List released = fq.release(1);
        EXPECT_EQ(covered, released);
        for (uint64_t iova : released)
            EXPECT_EQ(iova, expected++);
    }
    EXPECT_EQ(expected, next);
}

TEST(FlushQueue, refuses_odd_sizes)
{
    EXPECT_EQ(Queue(IOM_FLUSH_LAZY_PER_CPU, 100).queue, nullptr);
    EXPECT_EQ(Queue(IOM_FLUSH_LAZY_PER_CPU, 1).queue, nullptr);
}

} // namespace
