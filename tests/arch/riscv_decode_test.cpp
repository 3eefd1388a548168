// SPDX-License-Identifier: Apache-2.0
//
// Commands of the RISC-V IOMMU ("Command-Queue", extensions "Non-leaf PTE Invalidation" and "Address Range
// Invalidation"): every command and operand, every reserved bit and encoding, both byte orders. Which tags
// each form covers: riscv_invalidation_test.cpp.
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_registers.h"

namespace
{
using namespace riscv_test;

constexpr uint64_t vma = 1, gvma = 1 | 1 << 7, fence = 2, inval_ddt = 3, inval_pdt = 3 | 1 << 7,
                   ats_inval = 4, ats_prgr = 4 | 1 << 7;
constexpr uint64_t av = bit(10), pscv = bit(32), gv = bit(33), dv = bit(33), non_leaf = bit(34);

class RiscvDecode : public ::testing::Test
{
  protected:
    iom_command decode(uint64_t low, uint64_t high = 0)
    {
        const uint64_t words[4] = {low, high};
        iom_command command;
        iom_queue_setup setup = registers.queue();
        iom_riscv_ops.decode(&registers.arch, &setup, words, &command);
        return command;
    }
    bool legal(uint64_t low, uint64_t high = 0)
    {
        return decode(low, high).kind != IOM_COMMAND_INVALID;
    }
    void without(uint64_t capabilities)
    {
        registers.config.capabilities &= ~capabilities;
    }

    Registers registers;
};

TEST_F(RiscvDecode, opcodes_and_functions)
{
    const unsigned functions[] = {0, 2, 1, 2, 2};
    for (uint64_t opcode = 0; opcode < 128; opcode++) {
        for (uint64_t function = 0; function < 8; function++) {
            bool defined = opcode < 5 && function < functions[opcode];
            EXPECT_EQ(legal(opcode | function << 7 | dv), defined) << opcode << " " << function;
        }
    }
}

TEST_F(RiscvDecode, reserved_bits)
{
    const uint64_t coded = range(9, 0); // changes the command itself
    without(bit(nl) | bit(s));
    for (uint64_t command : {vma, gvma}) {
        uint64_t reserved = bit(11) | range(43, 34) | range(63, 60);
        if (command == gvma)
            reserved |= pscv; // "Setting PSCV to 1 with IOTINVAL.GVMA is illegal"
        for (unsigned n = 10; n < 64; n++)
            EXPECT_EQ(legal(command | bit(n)), !(reserved & bit(n))) << n;
        for (unsigned n = 0; n < 64; n++)
            EXPECT_EQ(legal(command, bit(n)), !((range(9, 0) | range(63, 62)) & bit(n))) << n;
    }
    for (unsigned n = 0; n < 64; n++) {
        if (!(coded & bit(n))) {
            EXPECT_EQ(legal(fence | bit(n)), !((range(31, 14) | bit(11)) & bit(n))) << n; // WSI: no wires
            EXPECT_EQ(legal(inval_ddt | bit(n)), !((range(32, 10) | range(39, 34)) & bit(n))) << n;
            EXPECT_EQ(legal(inval_pdt | dv | bit(n)), !((range(11, 10) | bit(32) | range(39, 34)) & bit(n)))
                << n;
            EXPECT_EQ(legal(ats_inval | bit(n)), !((range(11, 10) | range(39, 34)) & bit(n))) << n;
            EXPECT_EQ(legal(ats_prgr | bit(n)), !((range(11, 10) | range(39, 34)) & bit(n))) << n;
        }
        EXPECT_EQ(legal(fence, bit(n)), !(range(63, 62) & bit(n))) << n;
        EXPECT_FALSE(legal(inval_ddt, bit(n))) << n;
        EXPECT_FALSE(legal(inval_pdt | dv, bit(n))) << n;
        EXPECT_TRUE(legal(ats_inval, bit(n))) << n;
        EXPECT_TRUE(legal(ats_prgr, bit(n))) << n;
    }
}

TEST_F(RiscvDecode, extensions_define_bits_34_and_73)
{
    EXPECT_TRUE(legal(vma | non_leaf, bit(9)));
    EXPECT_TRUE(legal(gvma | non_leaf, bit(9)));
    without(bit(nl));
    EXPECT_FALSE(legal(vma | non_leaf));
    EXPECT_TRUE(legal(vma | av, bit(9)));
    without(bit(s));
    EXPECT_FALSE(legal(gvma | av, bit(9)));
    EXPECT_TRUE(legal(gvma | av, range(61, 10)));
}

TEST_F(RiscvDecode, wired_interrupts_allow_the_fence_to_interrupt)
{
    EXPECT_FALSE(legal(fence | bit(11)));
    registers.write(8, 4, 2);
    iom_command command = decode(fence | bit(11));
    ASSERT_EQ(command.kind, IOM_COMMAND_WAIT);
    EXPECT_TRUE(command.wait.interrupt);
    EXPECT_FALSE(decode(fence).wait.interrupt);
}

TEST_F(RiscvDecode, directory_operands)
{
    EXPECT_TRUE(legal(inval_ddt));
    EXPECT_FALSE(legal(inval_pdt)); // DV must be 1
    EXPECT_TRUE(legal(inval_pdt | dv | uint64_t{0xfffff} << 12));
    without(bit(pd20));
    EXPECT_FALSE(legal(inval_pdt | dv | uint64_t{1} << (12 + 17)));
    EXPECT_TRUE(legal(inval_pdt | dv | uint64_t{0x1ffff} << 12));
    without(bit(pd17));
    EXPECT_FALSE(legal(inval_pdt | dv | uint64_t{1} << (12 + 8)));
    EXPECT_TRUE(legal(inval_pdt | dv | uint64_t{0xff} << 12));
}

TEST_F(RiscvDecode, device_ids_wider_than_the_hardware_or_the_directory)
{
    registers.config.device_id_mask = 0xffff;
    EXPECT_TRUE(legal(inval_ddt | dv | uint64_t{0xffff} << 40));
    EXPECT_FALSE(legal(inval_ddt | dv | uint64_t{0x10000} << 40));
    EXPECT_FALSE(legal(inval_pdt | dv | uint64_t{0x10000} << 40));
    EXPECT_TRUE(legal(inval_ddt | uint64_t{0x10000} << 40)); // DV clear: ignored
    registers.config.device_id_mask = 0xffffff;
    const struct {
        uint64_t mode;
        unsigned extended, base;
    } modes[] = {{2, 6, 7}, {3, 15, 16}, {4, 24, 24}};
    for (auto mode : modes) {
        for (bool extended : {true, false}) {
            registers.config.capabilities = extended ? all_capabilities : all_capabilities & ~bit(msi_flat);
            registers.write(16, 8, mode.mode);
            registers.done(IOM_ACTION_UPDATE_VIEW);
            unsigned bits = extended ? mode.extended : mode.base;
            EXPECT_TRUE(legal(inval_ddt | dv | (bit(bits) - 1) << 40));
            if (bits < 24) {
                EXPECT_FALSE(legal(inval_ddt | dv | bit(40 + bits)));
                EXPECT_FALSE(legal(inval_pdt | dv | bit(40 + bits)));
            }
        }
    }
}

TEST_F(RiscvDecode, ats_commands_need_the_capability)
{
    EXPECT_TRUE(legal(ats_inval));
    EXPECT_TRUE(legal(ats_prgr));
    without(bit(ats));
    EXPECT_FALSE(legal(ats_inval));
    EXPECT_FALSE(legal(ats_prgr));
}

TEST_F(RiscvDecode, fence_operands)
{
    iom_command command = decode(fence);
    ASSERT_EQ(command.kind, IOM_COMMAND_WAIT);
    EXPECT_TRUE(command.wait.holds_head);
    EXPECT_TRUE(command.wait.fence);
    EXPECT_FALSE(command.wait.write_status || command.wait.drain_reads || command.wait.drain_writes ||
                 command.wait.interrupt || command.wait.drain_page_requests);
    command = decode(fence | bit(10) | uint64_t{0x11223344} << 32, 0x3f63ee);
    EXPECT_TRUE(command.wait.write_status);
    EXPECT_EQ(command.wait.status_bytes, 4);
    EXPECT_EQ(command.wait.status, 0x11223344u);
    EXPECT_EQ(command.wait.address, 0xfd8fb8u);
    EXPECT_EQ(decode(fence | bit(10), range(61, 0)).wait.address, ~uint64_t{3});
    EXPECT_TRUE(decode(fence | bit(12)).wait.drain_reads);
    EXPECT_FALSE(decode(fence | bit(12)).wait.drain_writes);
    EXPECT_TRUE(decode(fence | bit(13)).wait.drain_writes);
    EXPECT_FALSE(decode(fence | bit(13)).wait.drain_reads);
}

TEST_F(RiscvDecode, big_endian_commands_and_data)
{
    registers.write(8, 4, 1);
    const uint64_t low = fence | bit(10) | uint64_t{0x11223344} << 32, high = 0x3f63ee;
    EXPECT_FALSE(legal(low, high));
    iom_command command = decode(__builtin_bswap64(low), __builtin_bswap64(high));
    ASSERT_EQ(command.kind, IOM_COMMAND_WAIT);
    EXPECT_EQ(command.wait.address, 0xfd8fb8u);
    EXPECT_EQ(command.wait.status, 0x44332211u); // stored little-endian by the queue
}

TEST_F(RiscvDecode, device_invalidations)
{
    const uint64_t low = ats_inval | uint64_t{0xabcde} << 12 | uint64_t{0x1234} << 40 | uint64_t{0x56} << 56;
    iom_command command = decode(low, 0xffff'8000'1234'5000);
    ASSERT_EQ(command.kind, IOM_COMMAND_INVALIDATE);
    EXPECT_EQ(command.invalidation.parts, 0);
    ASSERT_TRUE(command.invalidation.has_device);
    const iom_device_invalidation *device = &command.invalidation.device;
    EXPECT_EQ(device->stream, 0x1234u);
    EXPECT_FALSE(device->has_segment);
    EXPECT_FALSE(device->has_pasid);
    EXPECT_FALSE(device->global);
    EXPECT_EQ(device->first, 0xffff'8000'1234'5000u);
    EXPECT_EQ(device->last, 0xffff'8000'1234'5fffu);
    EXPECT_EQ(device->payload, 0xffff'8000'1234'5000u);

    command = decode(low | bit(32) | bit(33), 0x1000'0001);
    EXPECT_EQ(device->stream, 0x561234u);
    EXPECT_TRUE(device->has_segment);
    EXPECT_TRUE(device->has_pasid);
    EXPECT_EQ(device->pasid, 0xabcdeu);
    EXPECT_TRUE(device->global);
    EXPECT_EQ(device->first, 0x1000'0000u);
}

// PCI Express Base 6.0, 10.2.3.2: with S the lowest 0 bit of the address says the size.
TEST_F(RiscvDecode, ranges_of_device_invalidations)
{
    const struct {
        uint64_t payload, first, last;
    } cases[] = {
        {0x1234'4800, 0x1234'4000, 0x1234'5fff},                       // 8 KiB
        {0x1234'7800, 0x1234'0000, 0x1234'ffff},                       // 64 KiB
        {0x121f'f800 & ~uint64_t{0x100000}, 0x1200'0000, 0x121f'ffff}, // 2 MiB
        {0x7fff'ffff'ffff'f800, 0, ~uint64_t{0}},
        {0xffff'ffff'ffff'f800, 0, ~uint64_t{0}},
    };
    for (auto item : cases) {
        iom_command command = decode(ats_inval, item.payload);
        EXPECT_EQ(command.invalidation.device.first, item.first) << std::hex << item.payload;
        EXPECT_EQ(command.invalidation.device.last, item.last) << std::hex << item.payload;
    }
}

TEST_F(RiscvDecode, page_responses)
{
    const uint64_t low = ats_prgr | uint64_t{0xabcde} << 12 | uint64_t{0x1234} << 40 | uint64_t{0x56} << 56;
    const uint64_t payload = uint64_t{0x1} << 44 | uint64_t{0x1a5} << 32;
    iom_command command = decode(low, payload);
    ASSERT_EQ(command.kind, IOM_COMMAND_RESPOND);
    EXPECT_EQ(command.response.stream, 0x1234u);
    EXPECT_FALSE(command.response.has_pasid);
    EXPECT_EQ(command.response.code, 1);
    EXPECT_EQ(command.response.group, 0x1a5);
    EXPECT_EQ(command.response.payload, payload);
    command = decode(low | bit(32) | bit(33), uint64_t{0xf} << 44);
    EXPECT_EQ(command.response.stream, 0x561234u);
    EXPECT_TRUE(command.response.has_segment);
    EXPECT_TRUE(command.response.has_pasid);
    EXPECT_EQ(command.response.pasid, 0xabcdeu);
    EXPECT_EQ(command.response.code, 15);
    EXPECT_EQ(command.response.group, 0);
}

TEST_F(RiscvDecode, invalid_commands_say_nothing_else)
{
    iom_command command = decode(vma | bit(11));
    EXPECT_EQ(command.kind, IOM_COMMAND_INVALID);
    EXPECT_EQ(command.invalidation.parts, 0);
    EXPECT_FALSE(command.invalidation.has_device);
}

} // namespace
