// SPDX-License-Identifier: Apache-2.0
//
// The register file of the RISC-V IOMMU ("Memory-mapped register interface"): layout, what can be written,
// what is read-only, the ddtp handshake, queue control, and registers that exist only with a capability.
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_registers.h"

namespace
{
using namespace riscv_test;

constexpr uint32_t update_view = 1u << IOM_ACTION_UPDATE_VIEW;
constexpr uint32_t invalidate = 1u << IOM_ACTION_INVALIDATE;
constexpr uint32_t doorbell = 1u << IOM_ACTION_DOORBELL;
constexpr uint64_t ppn_56 = range(53, 10); // 44 bits: all of them

TEST(RiscvRegisters, reset_leaves_everything_off)
{
    iom_riscv_config config = full_config();
    config.fctl = 2;
    Registers registers(config);
    EXPECT_EQ(registers.read(0, 8), all_capabilities);
    EXPECT_EQ(registers.read(4, 4), all_capabilities >> 32);
    EXPECT_EQ(registers.read(8, 4), 2u);
    for (uint32_t offset = 16; offset < 4096; offset += 8)
        EXPECT_EQ(registers.read(offset, 8), 0u) << offset;
    EXPECT_EQ(registers.view().enabled, 0u);
}

TEST(RiscvRegisters, read_only_and_reserved_offsets_ignore_writes)
{
    Registers registers;
    // capabilities, custom, cqh, fqt, pqt, iocountovf, tr_response, reserved, custom, reserved
    for (uint32_t offset : {0u, 12u, 32u, 52u, 68u, 88u, 616u, 632u, 688u, 1024u, 4088u}) {
        uint64_t before = registers.read(offset & ~7u, 8);
        EXPECT_EQ(registers.write(offset, 4, 0xffffffff), 0u);
        EXPECT_EQ(registers.read(offset & ~7u, 8), before) << offset;
    }
}

TEST(RiscvRegisters, ddtp_is_busy_until_the_view_is_everywhere)
{
    Registers registers;
    EXPECT_EQ(registers.write(16, 8, 0x1234'5678'9c00 | 4), update_view);
    EXPECT_EQ(registers.read(16, 8), 0x1234'5678'9c00 | 4 | bit(4));
    iom_view view = registers.view();
    EXPECT_EQ(view.enabled, 1u);
    EXPECT_EQ(view.root, (uint64_t{0x1234'5678'9c00} >> 10) << 12);
    EXPECT_EQ(view.extra[IOM_RISCV_VIEW_MODE], 4u);
    // A second write while it is busy is ignored.
    EXPECT_EQ(registers.write(16, 8, 0), 0u);
    registers.done(IOM_ACTION_UPDATE_VIEW);
    EXPECT_EQ(registers.read(16, 8), 0x1234'5678'9c00 | 4);
}

TEST(RiscvRegisters, ddtp_keeps_a_legal_mode_and_drops_reserved_bits)
{
    iom_riscv_config config = full_config();
    config.max_mode = 3;
    Registers registers(config);
    registers.write(16, 8, (~uint64_t{0} & ~uint64_t{0xf}) | 2);
    registers.done(IOM_ACTION_UPDATE_VIEW);
    EXPECT_EQ(registers.read(16, 8), ppn_56 | 2);
    for (uint64_t mode : {4u, 5u, 13u, 14u, 15u}) {
        registers.write(16, 8, mode);
        registers.done(IOM_ACTION_UPDATE_VIEW);
        EXPECT_EQ(registers.read(16, 8), 2u) << mode;
    }
    registers.write(16, 8, 3);
    EXPECT_EQ(registers.read(16, 8) & 0xf, 3u);
}

TEST(RiscvRegisters, ddtp_in_halves_is_high_then_low)
{
    Registers registers;
    EXPECT_EQ(registers.write(20, 4, 1), 0u); // page number bit 22; nothing happens yet
    EXPECT_EQ(registers.read(16, 8), bit(32));
    EXPECT_EQ(registers.write(16, 4, 0x400 | 3), update_view);
    EXPECT_EQ(registers.view().root, (bit(22) | 1) << 12);
}

TEST(RiscvRegisters, off_waits_for_what_has_been_translated)
{
    Registers registers;
    registers.write(16, 8, 1);
    registers.done(IOM_ACTION_UPDATE_VIEW);
    EXPECT_EQ(registers.write(16, 8, 0), update_view | invalidate);
    iom_invalidation invalidation{};
    ASSERT_TRUE(iom_riscv_ops.next_invalidation(&registers.arch, registers.state(), &invalidation));
    EXPECT_EQ(invalidation.parts, 0); // caches keep what they have
    EXPECT_FALSE(invalidation.has_device);
    EXPECT_TRUE(invalidation.drain_reads);
    EXPECT_TRUE(invalidation.drain_writes);
    EXPECT_FALSE(iom_riscv_ops.next_invalidation(&registers.arch, registers.state(), &invalidation));
    registers.done(IOM_ACTION_UPDATE_VIEW);
    registers.done(IOM_ACTION_INVALIDATE);
    EXPECT_EQ(registers.read(16, 8), 0u);
    EXPECT_EQ(registers.write(16, 8, 0), update_view); // it was off already
}

TEST(RiscvRegisters, physical_addresses_have_the_width_of_capabilities)
{
    iom_riscv_config config = full_config();
    config.capabilities = (all_capabilities & ~range(37, 32)) | uint64_t{40} << pas;
    Registers registers(config);
    for (uint32_t offset : {16u, 24u, 40u, 56u}) {
        registers.write(offset, 8, ~uint64_t{0} & ~range(9, 0));
        EXPECT_EQ(registers.read(offset, 8) & ~range(9, 0), range(37, 10)) << offset;
    }
    registers.write(768, 8, ~uint64_t{0});
    EXPECT_EQ(registers.read(768, 8), range(39, 2));
}

TEST(RiscvRegisters, fctl_can_be_written_where_there_is_a_choice_and_all_is_off)
{
    Registers registers;
    EXPECT_EQ(registers.write(8, 4, 0xffffffff), update_view);
    EXPECT_EQ(registers.read(8, 4), 7u);
    EXPECT_EQ(registers.view().extra[IOM_RISCV_VIEW_FCTL], 7u);
    EXPECT_EQ(registers.write(8, 4, 7), 0u); // no change
    registers.write(8, 4, 0);
    for (uint32_t control : {72u, 76u, 80u}) { // a queue is on
        registers.write(control, 4, 1);
        EXPECT_EQ(registers.write(8, 4, 7), 0u);
        EXPECT_EQ(registers.read(8, 4), 0u);
        registers.write(control, 4, 0);
    }
    registers.write(16, 8, 1); // translation is on
    registers.done(IOM_ACTION_UPDATE_VIEW);
    EXPECT_EQ(registers.write(8, 4, 7), 0u);
    EXPECT_EQ(registers.read(8, 4), 0u);
}

TEST(RiscvRegisters, fctl_fields_without_a_choice_are_fixed)
{
    for (unsigned generation : {0u, 1u, 2u}) {
        iom_riscv_config config = full_config();
        config.capabilities = (all_capabilities & ~range(29, 28)) | uint64_t{generation} << igs;
        config.fctl = generation == 1 ? 2 : 0;
        config.be_writable = config.gxl_writable = false;
        Registers registers(config);
        registers.write(8, 4, config.fctl ^ 7);
        EXPECT_EQ(registers.read(8, 4), generation == 2 ? 2u : config.fctl);
    }
}

TEST(RiscvRegisters, queue_bases_hold_size_and_page_and_cut_the_software_index)
{
    const struct {
        uint32_t base, index;
    } queues[] = {{24, 36}, {40, 48}, {56, 64}};
    Registers registers;
    for (auto queue : queues) {
        registers.write(queue.base, 8, ~range(4, 0) | 7);
        EXPECT_EQ(registers.read(queue.base, 8), ppn_56 | 7);
        registers.write(queue.index, 4, 0xffffffff); // 256 entries
        EXPECT_EQ(registers.read(queue.index, 4), 0xffu);
        registers.write(queue.base, 4, 3); // low half: 16 entries
        EXPECT_EQ(registers.read(queue.base, 8), (ppn_56 & ~uint64_t{0xffffffff}) | 3);
        EXPECT_EQ(registers.read(queue.index, 4), 0xfu);
        registers.write(queue.base, 8, 0); // two entries
        EXPECT_EQ(registers.read(queue.index, 4), 1u);
    }
}

TEST(RiscvRegisters, queue_bases_do_not_change_while_the_queue_is_on)
{
    const struct {
        uint32_t base, control;
    } queues[] = {{24, 72}, {40, 76}, {56, 80}};
    Registers registers;
    for (auto queue : queues) {
        registers.write(queue.base, 8, 0x401);
        registers.write(queue.control, 4, 1);
        registers.write(queue.base, 8, 0x802);
        EXPECT_EQ(registers.read(queue.base, 8), 0x401u);
        registers.write(queue.control, 4, 0);
        registers.write(queue.base, 8, 0x802);
        EXPECT_EQ(registers.read(queue.base, 8), 0x802u);
    }
}

TEST(RiscvRegisters, queue_control_has_enables_and_status)
{
    Registers registers;
    for (uint32_t control : {72u, 76u, 80u}) {
        registers.write(control, 4, 0xfffffffe); // all but enable: nothing but the interrupt enable stays
        EXPECT_EQ(registers.read(control, 4), 2u);
        registers.write(control, 4, 3);
        EXPECT_EQ(registers.read(control, 4), 3u | bit(16));
        registers.write(control, 4, 0);
        EXPECT_EQ(registers.read(control, 4), 0u);
    }
}

TEST(RiscvRegisters, an_8_byte_access_reaches_two_4_byte_registers)
{
    Registers registers;
    registers.write(24, 8, 7);
    registers.write(40, 8, 7);
    registers.write(72, 8, uint64_t{1} << 32 | 3);
    EXPECT_EQ(registers.read(72, 8), (uint64_t{1} | bit(16)) << 32 | 3 | bit(16));
    registers.write(32, 8, uint64_t{5} << 32 | 9); // cqh is read-only
    EXPECT_EQ(registers.read(32, 8), uint64_t{5} << 32);
}

TEST(RiscvRegisters, command_queue_as_the_registers_describe_it)
{
    Registers registers;
    registers.write(24, 8, uint64_t{0x12345} << 10 | 5); // 64 commands
    EXPECT_EQ(registers.write(36, 4, 3), 0u);            // off: nobody to tell
    EXPECT_FALSE(registers.queue().enabled);
    EXPECT_EQ(registers.write(72, 4, 1), doorbell);
    iom_queue_setup setup = registers.queue();
    EXPECT_TRUE(setup.enabled);
    EXPECT_EQ(setup.base, 0x12345000u);
    EXPECT_EQ(setup.bytes, 64u * 16);
    EXPECT_EQ(setup.command_bytes, 16u);
    EXPECT_EQ(setup.head, 0u);
    EXPECT_EQ(setup.tail, 3u * 16);
    EXPECT_TRUE(setup.timeout_at_wait); // cmd_to is found by an IOFENCE.C
    EXPECT_EQ(registers.write(36, 4, 63), doorbell);
    EXPECT_EQ(registers.queue().tail, 63u * 16);
    EXPECT_EQ(registers.queue().generation, setup.generation);
    EXPECT_EQ(registers.write(72, 4, 3), 0u); // interrupt enable alone
    EXPECT_EQ(registers.write(72, 4, 0), doorbell);
    EXPECT_FALSE(registers.queue().enabled);
    EXPECT_NE(registers.queue().generation, setup.generation);
}

TEST(RiscvRegisters, the_largest_queues_fit_their_indices)
{
    Registers registers;
    registers.write(40, 8, 31); // 2^32 records
    registers.write(48, 4, 0xffffffff);
    EXPECT_EQ(registers.read(48, 4), 0xffffffffu);
    registers.write(24, 8, 31);
    uint64_t size_log2 = (registers.read(24, 8) & 31) + 1;
    EXPECT_EQ(registers.queue().bytes, uint64_t{16} << size_log2); // no more than what can be described
}

TEST(RiscvRegisters, queue_errors_stop_the_commands_until_they_are_cleared)
{
    const struct {
        iom_queue_event_kind kind;
        unsigned bit;
    } errors[] = {{IOM_QUEUE_ACCESS, 8}, {IOM_QUEUE_TIMEOUT, 9}, {IOM_QUEUE_INVALID, 10}};
    for (auto error : errors) {
        Registers registers;
        registers.write(24, 8, 5);
        registers.write(36, 4, 6);
        registers.write(72, 4, 1);
        EXPECT_EQ(registers.queue_event(IOM_QUEUE_HEAD, 3 * 16), 0u);
        EXPECT_EQ(registers.read(32, 4), 3u);
        EXPECT_EQ(registers.queue_event(error.kind, 4 * 16), 0u);
        EXPECT_EQ(registers.read(32, 4), 4u);
        EXPECT_EQ(registers.read(72, 4), bit(error.bit) | bit(16) | 1);
        EXPECT_FALSE(registers.queue().enabled);
        uint32_t generation = registers.queue().generation;
        // Writing 0 to it does nothing; writing 1 lets the queue go on from the command at the head.
        EXPECT_EQ(registers.write(72, 4, 1), 0u);
        EXPECT_EQ(registers.write(72, 4, 1 | bit(error.bit)), doorbell);
        EXPECT_EQ(registers.read(72, 4), bit(16) | 1);
        EXPECT_TRUE(registers.queue().enabled);
        EXPECT_EQ(registers.queue().head, 4u * 16);
        EXPECT_NE(registers.queue().generation, generation);
    }
}

TEST(RiscvRegisters, the_queue_goes_on_when_the_last_error_is_cleared)
{
    Registers registers;
    registers.write(24, 8, 5);
    registers.write(72, 4, 1);
    registers.queue_event(IOM_QUEUE_ACCESS);
    registers.queue_event(IOM_QUEUE_INVALID);
    EXPECT_EQ(registers.write(72, 4, 1 | bit(8)), 0u);
    EXPECT_FALSE(registers.queue().enabled);
    EXPECT_EQ(registers.write(72, 4, 1 | bit(10)), doorbell);
    EXPECT_TRUE(registers.queue().enabled);
}

TEST(RiscvRegisters, enabling_clears_head_and_errors_disabling_does_not)
{
    Registers registers;
    registers.write(8, 4, 2); // wires, so that fence_w_ip exists
    registers.write(24, 8, 5);
    registers.write(72, 4, 1);
    registers.queue_event(IOM_QUEUE_INTERRUPT);
    registers.queue_event(IOM_QUEUE_INVALID, 2 * 16);
    registers.write(36, 4, 7);
    registers.write(72, 4, 0);
    EXPECT_EQ(registers.read(72, 4), bit(10) | bit(11));
    EXPECT_EQ(registers.read(32, 8), uint64_t{7} << 32 | 2);
    registers.write(72, 4, 1);
    EXPECT_EQ(registers.read(72, 4), bit(16) | 1);
    EXPECT_EQ(registers.read(32, 8), uint64_t{7} << 32); // the tail is software's
}

TEST(RiscvRegisters, events_of_an_older_generation_are_ignored)
{
    Registers registers;
    registers.write(8, 4, 2);
    registers.write(24, 8, 5);
    registers.write(72, 4, 1);
    registers.queue_event(IOM_QUEUE_HEAD, 16, static_cast<uint32_t>(-1));
    registers.queue_event(IOM_QUEUE_INVALID, 16, static_cast<uint32_t>(-1));
    EXPECT_EQ(registers.read(32, 4), 0u);
    EXPECT_EQ(registers.read(72, 4), bit(16) | 1);
    registers.queue_event(IOM_QUEUE_COMPLETION, 16);
    EXPECT_EQ(registers.read(32, 4), 0u);
    registers.queue_event(IOM_QUEUE_INTERRUPT, 16, static_cast<uint32_t>(-1)); // of a fence that did complete
    EXPECT_EQ(registers.read(72, 4), bit(11) | bit(16) | 1);
    registers.write(72, 4, bit(11) | 1);
    EXPECT_EQ(registers.read(72, 4), bit(16) | 1);
}

TEST(RiscvRegisters, vectors_have_the_bits_and_sources_of_the_implementation)
{
    for (unsigned bits = 0; bits <= 4; bits++) {
        iom_riscv_config config = full_config();
        config.vector_bits = static_cast<uint8_t>(bits);
        Registers registers(config);
        registers.write(760, 8, ~uint64_t{0});
        EXPECT_EQ(registers.read(760, 8), (bit(bits) - 1) * 0x1111);
        // Message table: 2^bits entries; the rest is read-only 0.
        for (uint32_t entry = 0; entry < 16; entry++) {
            registers.write(768 + 16 * entry, 8, ~uint64_t{0});
            registers.write(776 + 16 * entry, 4, 0x89abcdef);
            registers.write(780 + 16 * entry, 4, 0xffffffff);
            bool there = entry < bit(bits);
            EXPECT_EQ(registers.read(768 + 16 * entry, 8), there ? range(55, 2) : 0);
            EXPECT_EQ(registers.read(776 + 16 * entry, 8), there ? bit(32) | 0x89abcdef : 0);
        }
    }
    iom_riscv_config config = full_config();
    config.capabilities &= ~(bit(hpm) | bit(ats));
    Registers registers(config);
    registers.write(760, 8, 0xffff);
    EXPECT_EQ(registers.read(760, 8), 0x00ffu);
}

TEST(RiscvRegisters, optional_registers_read_0_without_their_capability)
{
    const struct {
        uint64_t capabilities;
        std::vector<uint32_t> offsets;
    } cases[] = {
        {bit(ats), {56, 64, 80}},
        {bit(hpm), {92, 96, 104, 352}},
        {bit(dbg), {600, 608}},
        {bit(qosid), {624}},
    };
    for (const auto &item : cases) {
        iom_riscv_config config = full_config();
        Registers with(config);
        config.capabilities &= ~item.capabilities;
        Registers without(config);
        for (uint32_t offset : item.offsets) {
            uint64_t value = offset == 80 ? 1 : 0xfffffff0;
            with.write(offset, 4, value);
            without.write(offset, 4, value);
            EXPECT_EQ(without.read(offset, 4), 0u) << offset;
            EXPECT_NE(with.read(offset, 4), 0u) << offset;
        }
    }
    // IGS = WSI: no message table.
    iom_riscv_config config = full_config();
    config.capabilities = (all_capabilities & ~range(29, 28)) | bit(igs);
    config.fctl = 2;
    Registers registers(config);
    registers.write(768, 8, 0x1000);
    registers.write(776, 4, 5);
    EXPECT_EQ(registers.read(768, 8), 0u);
    EXPECT_EQ(registers.read(776, 8), 0u);
}

TEST(RiscvRegisters, qos_identifiers_are_two_fields_of_12_bits)
{
    Registers registers;
    registers.write(624, 4, 0xffffffff);
    EXPECT_EQ(registers.read(624, 4), 0x0fff0fffu);
}

} // namespace
