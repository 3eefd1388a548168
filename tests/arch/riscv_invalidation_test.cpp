// SPDX-License-Identifier: Apache-2.0
//
// Which cached entries each invalidation command of the RISC-V IOMMU covers: the tables "IOTINVAL.VMA
// operands and operations", "IOTINVAL.GVMA operands and operations" and the text of IODIR, NL and S, row by
// row. What the specification allows to be removed as well and is: see SPEC.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/arch/support/riscv_registers.h"

namespace
{
using namespace riscv_test;

constexpr uint64_t vma = 1, gvma = 1 | 1 << 7, inval_ddt = 3, inval_pdt = 3 | 1 << 7;
constexpr uint64_t av = bit(10), pscv = bit(32), gv = bit(33), dv = bit(33), non_leaf = bit(34);

constexpr unsigned none = 0, first = 1, second = 2, nested = 3; // stages of a tag
constexpr uint32_t guest = 0x1234, other_guest = 0x1235, space = 0xabcde, other_space = 0xabcdf;
constexpr uint64_t address = 0x12'3456'7000;

// An entry as look-ups and walks tag it.
struct Entry {
    unsigned stage;
    uint32_t domain, asid;
    bool global = false;
    uint64_t at = address;
    unsigned size_log2 = 12;
    bool msi = false;
    uint64_t intermediate = 0;
    unsigned intermediate_log2 = 12;
    unsigned span_log2 = 0;
};

class RiscvInvalidation : public ::testing::Test
{
  protected:
    iom_invalidation decode(uint64_t low, uint64_t high = 0)
    {
        const uint64_t words[4] = {low, high};
        iom_command command;
        iom_queue_setup setup = registers.queue();
        iom_riscv_ops.decode(&registers.arch, &setup, words, &command);
        EXPECT_EQ(command.kind, IOM_COMMAND_INVALIDATE);
        EXPECT_EQ(command.invalidation.source, IOM_SOURCE_QUEUE);
        EXPECT_FALSE(command.invalidation.has_device);
        EXPECT_FALSE(command.invalidation.drain_reads || command.invalidation.drain_writes);
        return command.invalidation;
    }
    static iom_tag tag_of(const Entry &entry)
    {
        iom_tag tag{};
        tag.iommu = 3;
        tag.stage = static_cast<uint8_t>(entry.stage);
        tag.domain = entry.domain;
        tag.asid = entry.asid;
        tag.global = entry.global;
        tag.size_log2 = static_cast<uint8_t>(entry.size_log2);
        tag.address = entry.at & ~((uint64_t{1} << entry.size_log2) - 1);
        tag.level = entry.msi ? 1 : 0;
        tag.span_log2 = static_cast<uint8_t>(entry.span_log2);
        // Without first stage the guest address is the IOVA.
        bool has_first = (entry.stage & first) != 0;
        tag.intermediate = has_first ? entry.intermediate : tag.address;
        tag.intermediate_log2 =
            static_cast<uint8_t>(std::max(entry.intermediate_log2, has_first ? 0 : entry.size_log2));
        return tag;
    }
    static bool page(const iom_invalidation &what, const Entry &entry)
    {
        iom_tag tag = tag_of(entry);
        return iom_invalidation_covers(&what, IOM_INVALIDATE_IOTLB, &tag);
    }
    // A table found on the way to the entry's address.
    static bool table(const iom_invalidation &what, Entry entry)
    {
        entry.size_log2 = 21;
        iom_tag tag = tag_of(entry);
        tag.level = 2;
        tag.global = false;
        tag.intermediate = tag.intermediate_log2 = 0;
        return iom_invalidation_covers(&what, IOM_INVALIDATE_PSC, &tag);
    }
    static uint64_t operand(uint64_t byte_address)
    {
        return byte_address >> 12 << 10;
    }

    Registers registers;
};

// ---- IOTINVAL.VMA ----------------------------------------------------------------------------------------

TEST_F(RiscvInvalidation, first_stage_table)
{
    const uint64_t ids = uint64_t{space} << 12 | uint64_t{guest} << 44;
    for (bool by_guest : {false, true}) {
        for (bool by_address : {false, true}) {
            for (bool by_space : {false, true}) {
                iom_invalidation what =
                    decode(vma | ids | (by_guest ? gv : 0) | (by_address ? av : 0) | (by_space ? pscv : 0),
                           operand(address));
                SCOPED_TRACE(std::string("GV ") + (by_guest ? "1" : "0") + " AV " + (by_address ? "1" : "0") +
                             " PSCV " + (by_space ? "1" : "0"));
                for (unsigned stage : {first, nested}) {
                    for (uint32_t domain : {guest, other_guest}) {
                        for (uint32_t asid : {space, other_space}) {
                            for (bool global : {false, true}) {
                                for (uint64_t at : {address, address + 0x1000}) {
                                    Entry entry{stage, stage == first ? 0 : domain, asid, global, at};
                                    // GV = 0: host address spaces only, GSCID is ignored.
                                    bool expected =
                                        by_guest ? stage == nested && domain == guest : stage == first;
                                    expected = expected && (!by_address || at == address);
                                    expected = expected && (!by_space || (asid == space && !global));
                                    EXPECT_EQ(page(what, entry), expected)
                                        << stage << " " << domain << " " << asid << " " << global << " "
                                        << at;
                                }
                            }
                        }
                    }
                }
                // Entries of another IOMMU are not its own.
                iom_tag foreign = tag_of({by_guest ? nested : first, by_guest ? guest : 0, space});
                foreign.iommu = 4;
                EXPECT_FALSE(iom_invalidation_covers(&what, IOM_INVALIDATE_IOTLB, &foreign));
            }
        }
    }
}

// Without NL an address reaches leaf entries alone; without an address everything goes.
TEST_F(RiscvInvalidation, first_stage_structures)
{
    const Entry host{first, 0, space}, virtual_machine{nested, guest, space};
    EXPECT_TRUE(table(decode(vma), host));
    EXPECT_FALSE(table(decode(vma), virtual_machine));
    EXPECT_TRUE(table(decode(vma | gv | uint64_t{guest} << 44), virtual_machine));
    EXPECT_FALSE(table(decode(vma | gv | uint64_t{other_guest} << 44), virtual_machine));
    EXPECT_TRUE(table(decode(vma | pscv | uint64_t{space} << 12), host));
    EXPECT_FALSE(table(decode(vma | pscv | uint64_t{other_space} << 12), host));
    EXPECT_FALSE(table(decode(vma | av, operand(address)), host));
    EXPECT_TRUE(decode(vma | av, operand(address)).leaf_only);
    EXPECT_TRUE(table(decode(vma | av | non_leaf, operand(address)), host));
    EXPECT_FALSE(decode(vma | av | non_leaf, operand(address)).leaf_only);
    EXPECT_TRUE(table(decode(vma | av | non_leaf, operand(address ^ 0x1000)), host)); // same table
    EXPECT_FALSE(table(decode(vma | av | non_leaf, operand(address ^ 0x200000)), host));
    EXPECT_TRUE(table(decode(vma | non_leaf), host)); // AV = 0: NL is ignored
    // Second-stage structures hold nothing of the first stage.
    EXPECT_FALSE(table(decode(vma | gv | uint64_t{guest} << 44), {second, guest, 0}));
}

TEST_F(RiscvInvalidation, an_address_names_the_whole_superpage_it_lies_in)
{
    for (unsigned stage : {first, nested}) {
        uint64_t low = vma | av | (stage == nested ? gv | uint64_t{guest} << 44 : 0);
        iom_invalidation what = decode(low, operand(address));
        uint32_t domain = stage == nested ? guest : 0;
        EXPECT_TRUE(page(what, {stage, domain, space, false, address, 21}));
        EXPECT_FALSE(page(what, {stage, domain, space, false, address ^ 0x200000, 21}));
        // A part of the superpage, cut out because another stage has smaller pages.
        Entry part{stage, domain, space, false, address ^ 0x5000};
        EXPECT_FALSE(page(what, part));
        part.span_log2 = 21;
        EXPECT_TRUE(page(what, part));
        part.at = address ^ 0x200000;
        EXPECT_FALSE(page(what, part));
    }
}

TEST_F(RiscvInvalidation, first_stage_leaves_what_has_no_first_stage)
{
    for (uint64_t low : {vma, vma | gv | uint64_t{guest} << 44, vma | av, vma | pscv}) {
        EXPECT_FALSE(page(decode(low, operand(address)), {second, guest, 0}));
        EXPECT_FALSE(page(decode(low, operand(address)), {none, 0, 0, false, address, 12, true}));
    }
}

// ---- IOTINVAL.GVMA ---------------------------------------------------------------------------------------

TEST_F(RiscvInvalidation, second_stage_table)
{
    const uint64_t gpa = 0x77'8000'1000;
    for (bool by_guest : {false, true}) {
        for (bool by_address : {false, true}) {
            iom_invalidation what = decode(
                gvma | uint64_t{guest} << 44 | (by_guest ? gv : 0) | (by_address ? av : 0), operand(gpa));
            SCOPED_TRACE(std::string("GV ") + (by_guest ? "1" : "0") + " AV " + (by_address ? "1" : "0"));
            for (uint32_t domain : {guest, other_guest}) {
                for (uint64_t at : {gpa, gpa + 0x1000}) {
                    bool expected = !by_guest || (domain == guest && (!by_address || at == gpa));
                    // Found by guest address, and by an IOVA that maps to it; global or not.
                    EXPECT_EQ(page(what, {second, domain, 0, false, at}), expected);
                    for (bool global : {false, true}) {
                        EXPECT_EQ(page(what, {nested, domain, space, global, address, 12, false, at}),
                                  expected);
                        EXPECT_EQ(page(what, {nested, domain, space, global, address, 12, true, at}),
                                  expected);
                    }
                }
            }
            EXPECT_FALSE(page(what, {first, 0, space}));
            EXPECT_FALSE(page(what, {first, 0, space, true}));
        }
    }
}

TEST_F(RiscvInvalidation, second_stage_superpages)
{
    const uint64_t gpa = 0x77'8000'1000;
    iom_invalidation what = decode(gvma | gv | av | uint64_t{guest} << 44, operand(gpa));
    EXPECT_TRUE(page(what, {second, guest, 0, false, gpa, 21}));
    EXPECT_FALSE(page(what, {second, guest, 0, false, gpa ^ 0x200000, 21}));
    // A small first-stage page in a large second-stage page, another one than the address names.
    Entry part{nested, guest, space, false, address, 12, false, gpa ^ 0x3000, 21};
    EXPECT_TRUE(page(what, part));
    part.intermediate ^= 0x200000;
    EXPECT_FALSE(page(what, part));
    // A part of a second-stage superpage, cut by virtual interrupt files or by the range of the Bare first
    // stage.
    Entry cut{second, guest, 0, false, gpa ^ 0x5000};
    EXPECT_FALSE(page(what, cut));
    cut.intermediate_log2 = 21;
    cut.span_log2 = 12;
    EXPECT_TRUE(page(what, cut));
}

TEST_F(RiscvInvalidation, second_stage_structures)
{
    const uint64_t gpa = 0x77'8000'1000, id = uint64_t{guest} << 44;
    const Entry entry{second, guest, 0, false, gpa};
    EXPECT_TRUE(table(decode(gvma), entry));
    EXPECT_TRUE(table(decode(gvma | av | non_leaf, operand(gpa)), entry)); // GV = 0: AV and NL are ignored
    EXPECT_TRUE(table(decode(gvma | gv | id), entry));
    EXPECT_FALSE(table(decode(gvma | gv | uint64_t{other_guest} << 44), entry));
    EXPECT_FALSE(table(decode(gvma | gv | av | id, operand(gpa)), entry));
    EXPECT_TRUE(decode(gvma | gv | av | id, operand(gpa)).leaf_only);
    EXPECT_FALSE(decode(gvma | gv | av | non_leaf | id, operand(gpa)).leaf_only);
    EXPECT_FALSE(decode(gvma | gv | id).leaf_only);
    EXPECT_TRUE(table(decode(gvma | gv | av | non_leaf | id, operand(gpa)), entry));
    EXPECT_FALSE(table(decode(gvma | gv | av | non_leaf | id, operand(gpa ^ 0x200000)), entry));
    EXPECT_TRUE(table(decode(gvma | gv | non_leaf | id), entry)); // AV = 0: NL is ignored
    EXPECT_FALSE(table(decode(gvma), {first, 0, space}));
    // First-stage structures of a guest hold guest addresses.
    EXPECT_TRUE(table(decode(gvma | gv | id), {nested, guest, space}));
    EXPECT_FALSE(table(decode(gvma | gv | uint64_t{other_guest} << 44), {nested, guest, space}));
    EXPECT_FALSE(table(decode(gvma | gv | av | id, operand(gpa)), {nested, guest, space}));
}

// "MSI page table: GSCID, GPA - IOTINVAL.GVMA". Without a second stage an entry does not know the GSCID.
TEST_F(RiscvInvalidation, msi_page_tables_go_with_the_second_stage)
{
    const uint64_t id = uint64_t{guest} << 44;
    for (uint64_t low : {gvma, gvma | gv | id, gvma | gv | av | id}) {
        iom_invalidation what = decode(low, operand(address));
        for (uint32_t device : {0u, 5u, guest}) { // stands in for the GSCID
            EXPECT_TRUE(page(what, {first, device, space, false, address ^ 0x9000, 12, true, address}));
            EXPECT_TRUE(page(what, {none, device, 0, false, address, 12, true}));
        }
        EXPECT_TRUE(page(what, {second, guest, 0, false, address, 12, true}));
        EXPECT_EQ(page(what, {second, other_guest, 0, false, address ^ 0x1000, 12, true}), low == gvma);
        EXPECT_EQ(page(what, {none, 5, 0, false, address ^ 0x1000, 12, true}), !(low & av));
        EXPECT_FALSE(page(what, {none, 0, 0, false, address, 12, false}));
    }
}

// ---- ranges ----------------------------------------------------------------------------------------------

// Bit 9 of the second doubleword, S: the lowest 0 bit of ADDR, at position X, says 2^(X+1) pages.
TEST_F(RiscvInvalidation, address_ranges)
{
    const uint64_t s_bit = bit(9);
    struct {
        uint64_t address, inside, outside;
    } cases[] = {
        {0x1000'0000, 0x1000'1fff, 0x1000'2000}, // 8 KiB
        {0x1000'1000, 0x1000'3fff, 0x1000'4000}, // 16 KiB
        {0x1000'7000, 0x1000'ffff, 0x1001'0000}, // 64 KiB
        {0x100f'f000, 0x101f'ffff, 0x1020'0000}, // 2 MiB
    };
    for (auto item : cases) {
        for (bool ranged : {false, true}) {
            iom_invalidation what = decode(vma | av, operand(item.address) | (ranged ? s_bit : 0));
            EXPECT_TRUE(page(what, {first, 0, space, false, item.address}));
            EXPECT_EQ(page(what, {first, 0, space, false, item.inside}), ranged);
            EXPECT_EQ(page(what, {first, 0, space, false, 0x1000'0000}),
                      ranged || item.address == 0x1000'0000);
            EXPECT_FALSE(page(what, {first, 0, space, false, item.outside}));
            EXPECT_FALSE(page(what, {first, 0, space, false, 0x0fff'f000}));
            what =
                decode(gvma | gv | av | uint64_t{guest} << 44, operand(item.address) | (ranged ? s_bit : 0));
            EXPECT_EQ(page(what, {second, guest, 0, false, item.inside}), ranged);
            EXPECT_EQ(page(what, {nested, guest, space, false, address, 12, false, item.inside & ~0xfffull}),
                      ranged);
            EXPECT_FALSE(page(what, {nested, guest, space, false, address, 12, false, item.outside}));
        }
    }
    // The highest bit alone 0: the entire address space.
    iom_invalidation all = decode(vma | av, operand(0x7fff'ffff'ffff'f000) | s_bit);
    EXPECT_TRUE(page(all, {first, 0, space, false, 0}));
    EXPECT_TRUE(page(all, {first, 0, space, false, 0xffff'ffff'ffff'f000}));
    // AV = 0: ignored.
    EXPECT_TRUE(page(decode(vma, operand(0x1000) | s_bit), {first, 0, space}));
    EXPECT_TRUE(page(decode(gvma | av, operand(0x1000) | s_bit), {second, guest, 0}));
}

// ---- IODIR -----------------------------------------------------------------------------------------------

iom_tag directory_tag(uint32_t device, uint32_t process = 0)
{
    iom_tag tag{};
    tag.iommu = 3;
    tag.stream = device;
    tag.substream = process;
    tag.size_log2 = 64;
    return tag;
}

TEST_F(RiscvInvalidation, device_directory)
{
    for (bool by_device : {false, true}) {
        iom_invalidation what = decode(inval_ddt | uint64_t{0xabcdef} << 40 | (by_device ? dv : 0));
        for (uint32_t device : {0xabcdefu, 0xabcdeeu}) {
            bool expected = !by_device || device == 0xabcdef;
            for (uint32_t process : {0u, 5u}) {
                iom_tag tag = directory_tag(device, process);
                // The device context and all process contexts of the device.
                EXPECT_EQ(iom_invalidation_covers(&what, IOM_INVALIDATE_PASID, &tag), expected);
            }
            iom_tag tag = directory_tag(device);
            EXPECT_EQ(iom_invalidation_covers(&what, IOM_INVALIDATE_CONTEXT, &tag), expected);
            tag.iommu = 4; // another IOMMU's
            EXPECT_FALSE(iom_invalidation_covers(&what, IOM_INVALIDATE_CONTEXT, &tag));
        }
        EXPECT_EQ(iom_invalidation_targets(&what), uint32_t{IOM_INVALIDATE_CONTEXT | IOM_INVALIDATE_PASID});
    }
}

TEST_F(RiscvInvalidation, process_directory)
{
    iom_invalidation what = decode(inval_pdt | dv | uint64_t{0xabcdef} << 40 | uint64_t{0x12345} << 12);
    for (uint32_t device : {0xabcdefu, 0xabcdeeu}) {
        for (uint32_t process : {0x12345u, 0x12344u}) {
            iom_tag tag = directory_tag(device, process);
            EXPECT_EQ(iom_invalidation_covers(&what, IOM_INVALIDATE_PASID, &tag),
                      device == 0xabcdef && process == 0x12345);
        }
    }
    EXPECT_EQ(iom_invalidation_targets(&what), uint32_t{IOM_INVALIDATE_PASID}); // the device context stays
}

// "The IOTINVAL command has no effect on the IOMMU directory caches."
TEST_F(RiscvInvalidation, translations_and_directories_are_apart)
{
    for (uint64_t low : {vma, vma | gv, vma | av, gvma, gvma | gv, gvma | gv | av}) {
        iom_invalidation what = decode(low);
        EXPECT_EQ(iom_invalidation_targets(&what) & ~uint32_t{IOM_INVALIDATE_IOTLB | IOM_INVALIDATE_PSC}, 0u);
    }
}

} // namespace
