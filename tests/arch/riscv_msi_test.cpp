// SPDX-License-Identifier: Apache-2.0
//
// MSI page tables ("MSI address mask and pattern", "Process to translate addresses of MSIs").
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_tables.h"

namespace
{
using namespace riscv_test;

constexpr uint64_t basic = V | 3 << 1;
constexpr uint64_t mrif = V | 1 << 1;

unsigned cause_of(const iom_xlate &x)
{
    return x.outcome == IOM_OUTCOME_FAULT ? x.fault.code : 0;
}

// Interrupt files at pages 0x28000 with bits 1, 4 and 5 free: eight files.
constexpr uint64_t pattern = 0x28000;
constexpr uint64_t mask = 0x32;

struct Files {
    explicit Files(const iom_riscv_config &config = full_config(), bool big = false) : machine(config)
    {
        machine.view.extra[IOM_RISCV_VIEW_FCTL] = big ? 1 : 0;
        context.tc = tc_v | (big ? uint64_t{tc_sbe} : 0);
        table = machine.pages();
        context.msiptp = pointer(1, table);
        context.msi_mask = mask;
        context.msi_pattern = pattern;
        machine.device(context);
    }
    void put(unsigned file, uint64_t low, uint64_t high = 0)
    {
        machine.put(table + file * 16, low);
        machine.put(table + file * 16 + 8, high);
    }

    Machine machine;
    DeviceContext context;
    uint64_t table;
};

TEST(RiscvMsi, the_file_number_is_packed_from_the_bits_of_the_mask)
{
    Files files;
    for (unsigned file = 0; file < 8; file++)
        files.put(file, entry(0x100'0000 + file * 0x1000, basic));
    for (unsigned file = 0; file < 8; file++) {
        uint64_t page = pattern | (file & 1) << 1 | (file >> 1) << 4;
        iom_xlate x = files.machine.translate(page << 12 | 0x5a4, IOM_REQ_WRITE);
        EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
        EXPECT_EQ(x.leaf.output, (0x100'0000u + file * 0x1000) | 0x5a4);
        EXPECT_EQ(x.leaf.size_log2, 12);
        EXPECT_EQ(x.leaf.attributes, unsigned{IOM_RISCV_LEAF_MSI});
    }
    // Any other bit makes it an ordinary page (both stages are Bare here).
    for (unsigned n : {0u, 2u, 3u, 6u, 15u, 40u}) {
        iom_xlate x = files.machine.translate((pattern ^ bit(n)) << 12);
        EXPECT_EQ(x.outcome, IOM_OUTCOME_ADDRESS);
        EXPECT_EQ(x.leaf.output, (pattern ^ bit(n)) << 12);
        EXPECT_EQ(x.leaf.attributes & IOM_RISCV_LEAF_MSI, 0u);
    }
}

TEST(RiscvMsi, only_bits_of_guest_addresses_are_compared)
{
    iom_riscv_config config = full_config();
    config.capabilities &= ~range(19, 18); // Sv39x4 is the widest: 41 bits
    Files files(config);
    files.put(0, entry(0x7000, basic));
    EXPECT_EQ(files.machine.translate(pattern << 12 | bit(41)).leaf.output, 0x7000u);
    EXPECT_EQ(files.machine.translate(pattern << 12 | bit(40)).leaf.output, pattern << 12 | bit(40));
}

// Pattern and mask have 52 bits, and those above the widest guest address count for nothing.
TEST(RiscvMsi, pattern_and_mask_are_as_wide_as_guest_addresses)
{
    iom_riscv_config config = full_config();
    config.capabilities &= ~range(19, 18);
    Files files(config);
    files.put(0, entry(0x7000, basic));
    files.context.msi_pattern |= bit(41 - 12);
    files.machine.device(files.context);
    EXPECT_EQ(files.machine.translate(pattern << 12).leaf.output, 0x7000u);
    files.context.msi_mask |= bit(45 - 12);
    files.machine.device(files.context);
    EXPECT_EQ(files.machine.translate(pattern << 12 | bit(45)).leaf.output, 0x7000u);
    files.context.msi_pattern ^= bit(40 - 12);
    files.machine.device(files.context);
    EXPECT_EQ(files.machine.translate(pattern << 12).leaf.output, pattern << 12);
}

TEST(RiscvMsi, entries_that_cannot_be_used)
{
    Files files;
    auto cause_with = [&](uint64_t low, uint64_t high = 0) {
        files.put(0, low, high);
        return cause_of(files.machine.translate(pattern << 12));
    };
    EXPECT_EQ(cause_with(entry(0x7000, basic)), 0u);
    EXPECT_EQ(cause_with(entry(0x7000, basic), ~uint64_t{0}), 0u); // the second doubleword is software's
    EXPECT_EQ(cause_with(entry(0x7000, basic & ~uint64_t{V})), 262u);
    for (uint64_t mode : {0u, 2u})
        EXPECT_EQ(cause_with(entry(0x7000, V | mode << 1)), 263u);
    for (unsigned n = 3; n < 64; n = n == 9 ? 54 : n + 1)
        EXPECT_EQ(cause_with(entry(0x7000, basic) | bit(n)), 263u) << n;
    EXPECT_EQ(cause_with(mrif), 0u);
    for (unsigned n = 3; n < 64; n = n == 6 ? 54 : n + 1)
        EXPECT_EQ(cause_with(mrif | bit(n)), 263u) << n;
    for (unsigned n = 54; n < 64; n++)
        EXPECT_EQ(cause_with(mrif, bit(n)), n == 60 ? 0u : 263u) << n;

    files.machine.mark(files.table + 8, IOM_ACCESS_REFUSED);
    EXPECT_EQ(cause_with(entry(0x7000, basic)), 261u);
    files.machine.mark(files.table + 8, IOM_ACCESS_POISONED);
    EXPECT_EQ(cause_with(entry(0x7000, basic)), 270u);
}

TEST(RiscvMsi, memory_resident_interrupt_files)
{
    for (bool big : {false, true}) {
        Files files(full_config(), big);
        uint64_t low = mrif | 0x00ed'cba9'8765'4200 >> 9 << 7;
        uint64_t high = bit(60) | entry(0x5678'9000, 0x155);
        files.put(0, big ? swap64(low) : low, big ? swap64(high) : high);
        iom_xlate x = files.machine.translate(pattern << 12, IOM_REQ_WRITE);
        EXPECT_EQ(x.outcome, IOM_OUTCOME_MRIF);
        EXPECT_EQ(x.leaf.output, 0x00ed'cba9'8765'4200u);
        EXPECT_EQ(IOM_RISCV_NOTICE_ID(x.leaf.attributes), 0x555u);
        EXPECT_EQ(IOM_RISCV_NOTICE_PPN(x.leaf.attributes), 0x56789u);
        // A translation asked for through registers cannot say so.
        EXPECT_EQ(cause_of(files.machine.translate(pattern << 12, IOM_REQ_WRITE | IOM_REQ_DEBUG)), 260u);
    }
    iom_riscv_config config = full_config();
    config.capabilities &= ~(bit(23) | bit(21));
    Files files(config);
    files.put(0, mrif);
    EXPECT_EQ(cause_of(files.machine.translate(pattern << 12)), 263u);
}

TEST(RiscvMsi, files_can_be_read_and_written_but_not_executed)
{
    Files files;
    for (uint64_t kind : {basic, mrif}) {
        files.put(0, kind);
        EXPECT_EQ(cause_of(files.machine.translate(pattern << 12)), 0u);
        EXPECT_EQ(cause_of(files.machine.translate(pattern << 12, IOM_REQ_WRITE)), 0u);
        EXPECT_EQ(cause_of(files.machine.translate(pattern << 12, IOM_REQ_EXEC)), 1u);
        files.put(0, kind & ~uint64_t{V});
        EXPECT_EQ(cause_of(files.machine.translate(pattern << 12, IOM_REQ_EXEC)), 262u);
    }
}

// The address compared is what the first stage yields, and the second stage is not asked.
TEST(RiscvMsi, files_stand_between_the_stages)
{
    Files files;
    Table first = files.machine.table(sv39);
    Table second = files.machine.table(sv39, false, true);
    files.machine.identity(second, first.root);
    files.context.fsc = first.pointer();
    files.context.iohgatp = second.pointer();
    files.machine.device(files.context);
    files.machine.map(first, 0x4000'0000, entry(pattern << 12, V | R | U | A | D) | bit(61), 1, &second);
    files.put(0, entry(0x7000, basic));
    iom_xlate x = files.machine.translate(0x4000'0abc);
    EXPECT_EQ(x.leaf.output, 0x7abcu);
    EXPECT_EQ(x.leaf.attributes, unsigned{IOM_RISCV_LEAF_MSI} | IOM_RISCV_NC);
    EXPECT_EQ(cause_of(files.machine.translate(0x4000'0abc, IOM_REQ_WRITE)), 15u);
}

// A range that is reported must not contain interrupt files besides ordinary pages.
TEST(RiscvMsi, ranges_keep_clear_of_files)
{
    iom_riscv_config config = full_config();
    config.bare_page_log2 = 39;
    Files files(config);
    const std::pair<uint64_t, unsigned> ranges[] = {
        {pattern << 12 ^ bit(40), 39}, // the files are in another range of this size
        {pattern << 12 ^ bit(38), 30}, // they share 2^39 bytes, but not 2^30
        {pattern << 12 ^ bit(29), 22}, {pattern << 12 ^ bit(21), 21},
        {pattern << 12 ^ bit(18), 16}, {pattern << 12 ^ bit(12), 12},
    };
    for (auto [address, size_log2] : ranges)
        EXPECT_EQ(files.machine.translate(address).leaf.size_log2, size_log2) << address;
}

} // namespace
