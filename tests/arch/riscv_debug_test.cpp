// SPDX-License-Identifier: Apache-2.0
//
// Translation-request registers of the RISC-V IOMMU ("Debug support").
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_registers.h"

namespace
{
using namespace riscv_test;

constexpr uint32_t iova = 600, control = 608, response = 616;
constexpr uint32_t translate = 1u << IOM_ACTION_TRANSLATE;

uint64_t request_word(bool priv, bool exe, bool nw, int pid, uint32_t did)
{
    return 1 | uint64_t{priv} << 1 | uint64_t{exe} << 2 | uint64_t{nw} << 3 |
           (pid >= 0 ? bit(32) | static_cast<uint64_t>(pid) << 12 : 0) | uint64_t{did} << 40;
}

iom_xlate request_of(Registers &registers)
{
    iom_xlate x{};
    iom_riscv_ops.translate_request(&registers.arch, registers.state(), &x);
    return x;
}

void finish(Registers &registers, const iom_xlate &x)
{
    iom_riscv_ops.translate_result(&registers.arch, registers.state(), &x);
}

TEST(RiscvDebug, go_asks_for_the_translation)
{
    Registers registers;
    EXPECT_EQ(registers.write(iova, 8, 0x1234'5678'9abc), 0u);
    EXPECT_EQ(registers.read(iova, 8), 0x1234'5678'9000u); // bits 11:0 are reserved
    EXPECT_EQ(registers.write(control, 8, request_word(false, false, true, -1, 0xabcdef) & ~uint64_t{1}), 0u);
    EXPECT_EQ(registers.write(control, 8, request_word(false, false, true, -1, 0xabcdef)), translate);
    iom_xlate x = request_of(registers);
    EXPECT_EQ(x.address, 0x1234'5678'9000u);
    EXPECT_EQ(x.source, 0xabcdefu);
    EXPECT_EQ(x.flags, IOM_REQ_DEBUG);
    EXPECT_GE(x.bytes, 1u);
}

TEST(RiscvDebug, in_halves_the_low_one_starts_it)
{
    Registers registers;
    uint64_t word = request_word(true, true, true, 0xfedcb, 0x123456);
    EXPECT_EQ(registers.write(control + 4, 4, word >> 32), 0u);
    EXPECT_EQ(registers.write(control, 4, word & 0xffffffff), translate);
    iom_xlate x = request_of(registers);
    EXPECT_EQ(x.source, 0x123456u);
    EXPECT_EQ(x.pasid, 0xfedcbu);
    EXPECT_EQ(x.flags, IOM_REQ_DEBUG | IOM_REQ_PRIV | IOM_REQ_EXEC | IOM_REQ_PASID);
}

TEST(RiscvDebug, the_address_in_halves_and_a_process_id_that_is_not_valid)
{
    Registers registers;
    registers.write(iova, 8, 0x1111'1111'1111'1000);
    registers.write(iova + 4, 4, 0x22222222);
    EXPECT_EQ(registers.read(iova, 8), 0x2222'2222'1111'1000u);
    registers.write(iova, 4, 0x33333333);
    EXPECT_EQ(registers.read(iova, 8), 0x2222'2222'3333'3000u);
    registers.write(control, 8, request_word(false, false, true, 0xfedcb, 1) & ~bit(32));
    EXPECT_EQ(request_of(registers).pasid, 0u);
    EXPECT_EQ(request_of(registers).flags, IOM_REQ_DEBUG);
}

TEST(RiscvDebug, what_is_requested)
{
    const struct {
        bool exe, nw;
        unsigned flags;
    } cases[] = {{false, true, 0},
                 {true, true, IOM_REQ_EXEC},
                 {false, false, IOM_REQ_WRITE},
                 {true, false, IOM_REQ_WRITE}};
    for (auto item : cases) {
        Registers registers;
        registers.write(control, 8, request_word(false, item.exe, item.nw, -1, 1));
        EXPECT_EQ(request_of(registers).flags, IOM_REQ_DEBUG | item.flags);
    }
}

TEST(RiscvDebug, reserved_bits_of_the_control_register_stay_0)
{
    Registers registers;
    registers.write(control, 8, ~uint64_t{1});
    EXPECT_EQ(registers.read(control, 8), range(63, 40) | range(32, 12) | range(3, 1));
}

TEST(RiscvDebug, writes_are_ignored_until_the_response_is_there)
{
    Registers registers;
    registers.write(iova, 8, 0x1000);
    registers.write(control, 8, request_word(false, false, true, -1, 1));
    registers.write(iova, 8, 0x2000);
    EXPECT_EQ(registers.write(control, 8, request_word(false, false, true, -1, 2)), 0u);
    EXPECT_EQ(registers.read(iova, 8), 0x1000u);
    EXPECT_EQ(registers.read(control, 8) & 1, 1u);
    iom_xlate x{};
    x.outcome = IOM_OUTCOME_FAULT;
    finish(registers, x);
    EXPECT_EQ(registers.read(control, 8), request_word(false, false, true, -1, 1) & ~uint64_t{1});
    EXPECT_EQ(registers.read(response, 8) & 1, 1u);
    registers.write(response, 8, 0); // read-only
    EXPECT_EQ(registers.read(response, 8) & 1, 1u);
}

// The table "Example of encoding of super page size in PPN".
TEST(RiscvDebug, the_size_of_the_range_is_encoded_in_the_page_number)
{
    const struct {
        unsigned size_log2;
        uint64_t large, low_ppn, low_mask;
    } cases[] = {
        {12, 0, 0x5'6789, 0}, {21, 1, 0xff, 0x1ff}, {22, 1, 0x1ff, 0x3ff}, {30, 1, 0x1ffff, 0x3ffff}};
    for (auto item : cases) {
        for (iom_outcome outcome : {IOM_OUTCOME_ADDRESS, IOM_OUTCOME_BYPASS}) {
            Registers registers;
            registers.write(control, 8, request_word(false, false, true, -1, 1));
            iom_xlate x{};
            x.outcome = static_cast<uint8_t>(outcome);
            x.leaf.output = 0xab'cdef'5678'9000;
            x.leaf.size_log2 = static_cast<uint8_t>(item.size_log2);
            x.leaf.attributes = 2 | IOM_RISCV_LEAF_MSI; // memory type IO
            finish(registers, x);
            uint64_t ppn = item.large ? ((uint64_t{0xab'cdef'5678'9} & ~item.low_mask) | item.low_ppn)
                                      : uint64_t{0xab'cdef'5678'9};
            EXPECT_EQ(registers.read(response, 8), ppn << 10 | item.large << 9 | 2 << 7) << item.size_log2;
        }
    }
}

TEST(RiscvDebug, what_has_no_address_is_a_fault)
{
    for (iom_outcome outcome : {IOM_OUTCOME_FAULT, IOM_OUTCOME_MRIF, IOM_OUTCOME_DENIED}) {
        Registers registers;
        registers.write(control, 8, request_word(false, false, true, -1, 1));
        iom_xlate x{};
        x.outcome = static_cast<uint8_t>(outcome);
        finish(registers, x);
        EXPECT_EQ(registers.read(response, 8) & 1, 1u);
        EXPECT_EQ(registers.read(control, 8) & 1, 0u);
    }
}

TEST(RiscvDebug, without_debug_support_nothing_is_asked)
{
    iom_riscv_config config = full_config();
    config.capabilities &= ~bit(dbg);
    Registers registers(config);
    EXPECT_EQ(registers.write(control, 8, request_word(false, false, true, -1, 1)), 0u);
    EXPECT_EQ(registers.read(control, 8), 0u);
}

} // namespace
