// SPDX-License-Identifier: Apache-2.0
//
// The fault queue of hardware whose full test compares 32 bits (core/arch/riscv/riscv.h,
// quirk.fault_queue_full_32bit; tests/data/rtl-timing/README.md, 4.8): "full test is tail == head - 1 in 32
// bits: with head 0 overflow is never seen and the queue wraps"; where it is seen nothing is recorded any
// more.
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_registers.h"

namespace
{
using namespace riscv_test;

constexpr uint32_t fqh = 48, fqt = 52, fqcsr = 76;

iom_riscv_config config_with(bool quirk)
{
    iom_riscv_config config = full_config();
    config.quirk.fault_queue_full_32bit = quirk;
    return config;
}

iom_fault some_fault()
{
    iom_fault fault{};
    fault.code = 13;
    fault.recorded = 1;
    return fault;
}

/// Four entries, switched on.
void open_faults(Registers &registers, uint64_t head = 0)
{
    registers.write(40, 8, uint64_t{0x80} << 10 | 1);
    registers.write(fqcsr, 4, 1);
    registers.write(fqh, 4, head);
}

TEST(RiscvQueueQuirk, with_head_0_the_queue_wraps_and_overwrites)
{
    Registers registers(config_with(true));
    open_faults(registers);
    for (uint64_t i = 0; i < 9; i++) {
        SCOPED_TRACE(i);
        ASSERT_TRUE(registers.record(some_fault()));
        EXPECT_EQ(registers.carry_out().at(0).address, 0x80000 + 32 * (i % 4));
        EXPECT_EQ(registers.read(fqt, 4), (i + 1) % 4);
    }
    EXPECT_EQ(registers.read(fqcsr, 4), 1 | bit(16)) << "no overflow";
}

TEST(RiscvQueueQuirk, without_it_three_of_four_entries_hold_records)
{
    Registers registers(config_with(false));
    open_faults(registers);
    for (int i = 0; i < 3; i++) {
        ASSERT_TRUE(registers.record(some_fault()));
        registers.carry_out();
    }
    EXPECT_FALSE(registers.record(some_fault()));
    EXPECT_EQ(registers.read(fqcsr, 4), 1 | bit(9) | bit(16));
    EXPECT_FALSE(registers.next_store()) << "and the hardware goes on";
}

// The tail is at 0: with head 1 full at once, with head 3 after two records.
TEST(RiscvQueueQuirk, where_full_is_seen_a_store_begins_that_never_ends)
{
    for (const uint64_t head : {1u, 3u}) {
        SCOPED_TRACE(head);
        Registers registers(config_with(true));
        open_faults(registers, head);
        for (uint64_t i = 1; i < head; i++) {
            ASSERT_TRUE(registers.record(some_fault()));
            EXPECT_EQ(registers.carry_out().size(), 1u);
        }
        EXPECT_FALSE(registers.record(some_fault()));
        EXPECT_EQ(registers.read(fqcsr, 4), 1 | bit(9) | bit(16)) << "overflow";
        EXPECT_EQ(registers.read(fqt, 4), head - 1);
        const auto store = registers.next_store();
        ASSERT_TRUE(store);
        EXPECT_EQ(store->bytes, 0);
        EXPECT_FALSE(registers.next_store());
    }
}

} // namespace
