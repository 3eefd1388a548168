// SPDX-License-Identifier: Apache-2.0
//
// Interrupts of the RISC-V IOMMU ("Interrupt pending status register", "Interrupt-cause-to-vector register",
// "MSI configuration table"): conditions of each pending bit, messages and their masks, wires, messages that
// memory refuses.
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_registers.h"

namespace
{
using namespace riscv_test;

constexpr uint32_t cip = 1, fip = 2, pmip = 4, pip = 8;

// Vectors: commands 1, faults 2, monitor 3, pages 4; all queues on with their interrupts enabled.
void open(Registers &registers, bool wires = false, uint32_t fctl = 0)
{
    registers.write(8, 4, fctl | (wires ? 2 : 0));
    registers.write(760, 8, 0x4321);
    for (uint32_t vector = 0; vector < 16; vector++) {
        registers.write(768 + 16 * vector, 8, 0x10000 + 0x100 * vector);
        registers.write(776 + 16 * vector, 4, 0x11223300 + vector);
    }
    for (uint32_t base : {24u, 40u, 56u})
        registers.write(base, 8, uint64_t{0x80} << 10 | 3);
    for (uint32_t control : {72u, 76u, 80u})
        registers.write(control, 4, 3);
}

void expect_message(Registers &registers, uint32_t vector)
{
    auto store = registers.next_store();
    ASSERT_TRUE(store);
    EXPECT_EQ(store->address, 0x10000u + 0x100 * vector);
    EXPECT_EQ(store->bytes, 4);
    EXPECT_EQ(store->data[0], 0x11223300u + vector);
    registers.store_done(*store);
    EXPECT_FALSE(registers.next_store());
}

iom_fault fault()
{
    iom_fault result{};
    result.code = 13;
    result.recorded = 1;
    return result;
}

void make_record(Registers &registers)
{
    ASSERT_TRUE(registers.record(fault()));
    auto store = registers.next_store();
    ASSERT_TRUE(store);
    registers.store_done(*store);
}

TEST(RiscvInterrupts, errors_of_the_command_queue)
{
    for (iom_queue_event_kind kind : {IOM_QUEUE_ACCESS, IOM_QUEUE_TIMEOUT, IOM_QUEUE_INVALID}) {
        Registers registers;
        open(registers);
        registers.queue_event(IOM_QUEUE_HEAD, 16);
        EXPECT_EQ(registers.read(84, 4), 0u);
        registers.queue_event(kind, 16);
        EXPECT_EQ(registers.read(84, 4), cip);
        expect_message(registers, 1);
    }
}

TEST(RiscvInterrupts, a_fence_interrupts_by_wire)
{
    Registers registers;
    open(registers, true);
    registers.queue_event(IOM_QUEUE_INTERRUPT);
    EXPECT_EQ(registers.read(72, 4) & bit(11), bit(11));
    EXPECT_EQ(registers.read(84, 4), cip);
    EXPECT_FALSE(registers.next_store()); // wires send nothing
    registers.write(72, 4, 3 | bit(11));
    EXPECT_EQ(registers.read(84, 4), cip); // stays until software clears it
    registers.write(84, 4, cip);
    EXPECT_EQ(registers.read(84, 4), 0u);
}

TEST(RiscvInterrupts, a_new_record_and_each_error_of_the_fault_queue)
{
    Registers registers;
    open(registers);
    make_record(registers);
    EXPECT_EQ(registers.read(84, 4), fip);
    expect_message(registers, 2);
    registers.write(84, 4, fip);
    registers.write(48, 4, 2); // full
    EXPECT_FALSE(registers.record(fault()));
    EXPECT_EQ(registers.read(84, 4), fip);
    expect_message(registers, 2);
    registers.write(76, 4, 3 | bit(9));
    registers.write(84, 4, fip);
    EXPECT_EQ(registers.read(84, 4), 0u);
    registers.write(48, 4, 0);
    registers.record(fault());
    registers.store_done(*registers.next_store(), IOM_ACCESS_REFUSED);
    EXPECT_EQ(registers.read(84, 4), fip);
    expect_message(registers, 2);
}

TEST(RiscvInterrupts, a_new_message_and_each_error_of_the_page_request_queue)
{
    iom_page_request request{};
    request.message = 7;
    Registers registers;
    open(registers);
    registers.page_request(request);
    registers.store_done(*registers.next_store());
    EXPECT_EQ(registers.read(84, 4), pip);
    expect_message(registers, 4);
    registers.write(84, 4, pip);
    registers.write(64, 4, 2);
    registers.page_request(request); // full
    EXPECT_EQ(registers.read(84, 4), pip);
    expect_message(registers, 4);
    registers.write(80, 4, 3 | bit(9));
    registers.write(84, 4, pip);
    EXPECT_EQ(registers.read(84, 4), 0u);
    registers.write(64, 4, 0);
    registers.page_request(request);
    registers.store_done(*registers.next_store(), IOM_ACCESS_REFUSED);
    EXPECT_EQ(registers.read(84, 4), pip);
}

TEST(RiscvInterrupts, disabled_sources_stay_quiet)
{
    Registers registers;
    open(registers);
    for (uint32_t control : {72u, 76u, 80u})
        registers.write(control, 4, 1);
    registers.queue_event(IOM_QUEUE_INVALID);
    make_record(registers);
    EXPECT_EQ(registers.read(84, 4), 0u);
    // An error is a condition: enabling it later interrupts. A new record is an event: it does not.
    registers.write(76, 4, 3);
    EXPECT_EQ(registers.read(84, 4), 0u);
    registers.write(72, 4, 3);
    EXPECT_EQ(registers.read(84, 4), cip);
}

TEST(RiscvInterrupts, a_pending_source_sends_no_second_message)
{
    Registers registers;
    open(registers);
    make_record(registers);
    expect_message(registers, 2);
    make_record(registers);
    EXPECT_FALSE(registers.next_store());
    registers.write(84, 4, fip);
    make_record(registers);
    expect_message(registers, 2);
}

TEST(RiscvInterrupts, clearing_a_bit_whose_condition_holds_sets_it_again)
{
    Registers registers;
    open(registers);
    registers.queue_event(IOM_QUEUE_INVALID);
    expect_message(registers, 1);
    registers.write(84, 4, cip);
    EXPECT_EQ(registers.read(84, 4), cip);
    expect_message(registers, 1);
    registers.write(72, 4, 3 | bit(10));
    registers.write(84, 4, cip);
    EXPECT_EQ(registers.read(84, 4), 0u);
    EXPECT_FALSE(registers.next_store());
}

TEST(RiscvInterrupts, writing_0_clears_nothing)
{
    Registers registers;
    open(registers);
    make_record(registers);
    registers.write(84, 4, ~fip);
    EXPECT_EQ(registers.read(84, 4), fip);
}

TEST(RiscvInterrupts, a_masked_vector_keeps_its_message_until_it_is_unmasked)
{
    Registers registers;
    open(registers);
    registers.write(780 + 16 * 2, 4, 1);
    make_record(registers);
    EXPECT_EQ(registers.read(84, 4), fip);
    EXPECT_FALSE(registers.next_store());
    // Further ones join it.
    registers.write(84, 4, fip);
    make_record(registers);
    EXPECT_FALSE(registers.next_store());
    // Others are not held up.
    registers.queue_event(IOM_QUEUE_INVALID);
    expect_message(registers, 1);
    registers.write(780 + 16 * 2, 4, 0);
    expect_message(registers, 2);
}

TEST(RiscvInterrupts, messages_leave_in_the_order_in_which_they_became_due)
{
    Registers registers;
    open(registers);
    registers.write(760, 8, 0x4312); // commands 2, faults 1
    for (uint32_t vector : {1u, 2u})
        registers.write(780 + 16 * vector, 4, 1);
    registers.queue_event(IOM_QUEUE_INVALID);
    make_record(registers);
    for (uint32_t vector : {1u, 2u})
        registers.write(780 + 16 * vector, 4, 0);
    auto first = registers.next_store();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->address, 0x10200u);
    registers.store_done(*first);
    expect_message(registers, 1);
}

TEST(RiscvInterrupts, sources_of_one_vector)
{
    Registers registers;
    open(registers);
    registers.write(760, 8, 0x5555);
    registers.queue_event(IOM_QUEUE_INVALID);
    expect_message(registers, 5);
    make_record(registers);
    EXPECT_EQ(registers.read(84, 4), cip | fip);
    expect_message(registers, 5); // each pending bit wants its message
}

// "An interrupt message is generated when an interrupt-pending bit transitions from 0 to 1": two bits, two
// messages, also when they go through the same vector at once.
TEST(RiscvInterrupts, bits_that_are_set_at_once_have_a_message_each)
{
    Registers registers;
    open(registers);
    registers.write(760, 8, 0x5555);
    registers.queue_event(IOM_QUEUE_INVALID);
    expect_message(registers, 5);
    make_record(registers);
    expect_message(registers, 5);
    make_record(registers);
    registers.write(48, 4, 3); // full
    registers.record(fault());
    registers.write(84, 4, cip | fip); // both conditions hold
    EXPECT_EQ(registers.read(84, 4), cip | fip);
    for (int message = 0; message < 2; message++) {
        auto store = registers.next_store();
        ASSERT_TRUE(store) << message;
        EXPECT_EQ(store->address, 0x10500u);
        registers.store_done(*store);
    }
    EXPECT_FALSE(registers.next_store());
    // Those of a masked vector are one when it is unmasked.
    registers.write(780 + 16 * 5, 4, 1);
    registers.write(84, 4, cip | fip);
    EXPECT_FALSE(registers.next_store());
    registers.write(780 + 16 * 5, 4, 0);
    expect_message(registers, 5);
}

TEST(RiscvInterrupts, messages_have_the_byte_order_of_the_structures)
{
    Registers registers;
    open(registers, false, 1);
    registers.queue_event(IOM_QUEUE_INVALID);
    auto store = registers.next_store();
    ASSERT_TRUE(store);
    EXPECT_EQ(store->data[0], 0x01332211u);
    EXPECT_EQ(store->bytes, 4);
}

TEST(RiscvInterrupts, a_refused_message_is_a_fault_of_its_own)
{
    Registers registers;
    open(registers);
    registers.queue_event(IOM_QUEUE_INVALID);
    auto message = registers.next_store();
    ASSERT_TRUE(message);
    registers.store_done(*message, IOM_ACCESS_REFUSED);
    auto record = registers.next_store();
    ASSERT_TRUE(record);
    EXPECT_EQ(record->bytes, 32);
    EXPECT_EQ(record->data[0], 273u); // TTYP, DID, PID are 0
    EXPECT_EQ(record->data[2], 0x10100u);
    EXPECT_EQ(record->data[3], 0u);
    registers.store_done(*record);
    EXPECT_EQ(registers.read(84, 4), cip | fip);
    // The message about that record is refused too. It makes another record, but fip is pending already: no
    // end of messages.
    message = registers.next_store();
    ASSERT_TRUE(message);
    registers.store_done(*message, IOM_ACCESS_REFUSED);
    record = registers.next_store();
    ASSERT_TRUE(record);
    EXPECT_EQ(record->data[2], 0x10200u);
    registers.store_done(*record);
    EXPECT_FALSE(registers.next_store());
}

TEST(RiscvInterrupts, a_refused_message_without_fault_queue_is_lost)
{
    Registers registers;
    open(registers);
    registers.write(76, 4, 0);
    registers.queue_event(IOM_QUEUE_INVALID);
    registers.store_done(*registers.next_store(), IOM_ACCESS_REFUSED);
    EXPECT_FALSE(registers.next_store());
    EXPECT_EQ(registers.read(84, 4), cip);
}

TEST(RiscvInterrupts, the_monitor_has_a_vector_of_its_own)
{
    Registers registers;
    open(registers);
    registers.write(96, 8, range(62, 0));
    registers.time(1);
    EXPECT_EQ(registers.read(84, 4), pmip);
    expect_message(registers, 3);
}

} // namespace
