// SPDX-License-Identifier: Apache-2.0
//
// Registers of the invalidation queue (VT-d Rev. 4.1, 6.5.2, 6.5.2.11, 11.4.7.1, 11.4.9): what they say
// about the queue, errors and how software goes on after them, completion events.
#include <gtest/gtest.h>

#include "tests/arch/support/vtd_unit_test.h"

namespace
{

constexpr uint32_t GCMD = 0x18, GSTS = 0x1c, FSTS = 0x34, FECTL = 0x38, IQH = 0x80, IQT = 0x88, IQA = 0x90,
                   ICS = 0x9c, IECTL = 0xa0, IQERCD = 0xb0;
constexpr uint32_t QIE = 1u << 26, SRTP = 1u << 30;
constexpr uint32_t IQE = 0x10, ICE = 0x20, ITE = 0x40;
constexpr uint32_t IM = 1u << 31, IP = 1u << 30;
constexpr uint32_t DOORBELL = 1u << IOM_ACTION_DOORBELL;

class VtdQueue : public VtdUnitTest
{
  protected:
    void SetUp() override
    {
        open(vtd_all_features());
    }

    uint32_t write(uint32_t offset, uint64_t value, unsigned bytes = 4)
    {
        return iom_vtd_ops.write(&fixture.arch, fixture.state, offset, bytes, value);
    }
    uint64_t read(uint32_t offset, unsigned bytes = 4)
    {
        return vtd_register_read(&fixture, offset, bytes);
    }

    iom_queue_setup setup()
    {
        iom_queue_setup result;
        iom_vtd_ops.queue(&fixture.arch, fixture.state, &result);
        return result;
    }

    /// Queue of one page of 128-bit descriptors (legacy mode), enabled, tail at `tail`.
    void enable(uint64_t iqa = 0x55000, uint32_t tail = 0)
    {
        write(IQA, iqa, 8);
        write(IQT, tail, 8);
        write(GCMD, QIE);
    }

    void table_mode(unsigned mode)
    {
        vtd_register_write(&fixture, 0x20, 8, 0x10000 | mode << 10);
        vtd_register_write(&fixture, GCMD, 4, SRTP);
    }

    uint32_t event(iom_queue_event_kind kind, uint32_t head = 0, uint32_t error = 0, uint32_t stream = 0)
    {
        iom_queue_event what{};
        what.kind = static_cast<uint8_t>(kind);
        what.generation = setup().generation;
        what.head = head;
        what.error = error;
        what.stream = stream;
        return iom_vtd_ops.queue_event(&fixture.arch, fixture.state, &what);
    }
};

TEST_F(VtdQueue, setup_follows_the_registers)
{
    EXPECT_FALSE(setup().enabled);
    write(IQA, 0x1234567003, 8);
    write(IQT, 0x40, 8);
    uint32_t before = setup().generation;
    EXPECT_EQ(write(GCMD, QIE), DOORBELL);
    EXPECT_EQ(read(GSTS) & QIE, QIE);
    iom_queue_setup queue = setup();
    EXPECT_TRUE(queue.enabled);
    EXPECT_EQ(queue.base, 0x1234567000u);
    EXPECT_EQ(queue.bytes, 4096u << 3);
    EXPECT_EQ(queue.command_bytes, 16u);
    EXPECT_EQ(queue.head, 0u);
    EXPECT_EQ(queue.tail, 0x40u);
    EXPECT_NE(queue.generation, before);
    EXPECT_EQ(write(IQT, 0x7ff0, 8), DOORBELL);
    EXPECT_EQ(setup().tail, 0x7ff0u);
    EXPECT_EQ(setup().generation, queue.generation);
}

TEST_F(VtdQueue, disabling_clears_the_head_and_begins_a_generation)
{
    enable(0x55000, 0x40);
    event(IOM_QUEUE_HEAD, 0x40);
    EXPECT_EQ(read(IQH, 8), 0x40u);
    uint32_t before = setup().generation;
    EXPECT_EQ(write(GCMD, 0), DOORBELL);
    EXPECT_FALSE(setup().enabled);
    EXPECT_EQ(read(GSTS) & QIE, 0u);
    EXPECT_EQ(read(IQH, 8), 0u);
    EXPECT_NE(setup().generation, before);
    // Events of the old queue are late.
    iom_queue_event late{};
    late.kind = IOM_QUEUE_HEAD;
    late.generation = before;
    late.head = 0x40;
    iom_vtd_ops.queue_event(&fixture.arch, fixture.state, &late);
    EXPECT_EQ(read(IQH, 8), 0u);
    late.kind = IOM_QUEUE_INVALID;
    iom_vtd_ops.queue_event(&fixture.arch, fixture.state, &late);
    EXPECT_EQ(read(FSTS), 0u);
    EXPECT_EQ(write(IQT, 0x80, 8), 0u); // disabled: no doorbell
}

TEST_F(VtdQueue, invalid_command_stops_with_the_head_at_it)
{
    enable(0x55000, 0x80);
    write(FECTL, IM);
    event(IOM_QUEUE_HEAD, 0x20);
    event(IOM_QUEUE_INVALID, 0x30, IOM_VTD_QUEUE_RESERVED);
    EXPECT_EQ(read(FSTS), IQE);
    EXPECT_EQ(read(IQH, 8), 0x30u);
    EXPECT_EQ(read(IQERCD, 8) & 0xf, 4u);
    EXPECT_EQ(read(FECTL) & IP, IP);
    EXPECT_FALSE(setup().enabled);
    EXPECT_EQ(write(IQT, 0xa0, 8), 0u); // noted, but nothing is fetched
    uint32_t before = setup().generation;
    EXPECT_EQ(write(FSTS, ICE), 0u); // not the right bit
    EXPECT_EQ(read(FSTS), IQE);
    EXPECT_EQ(write(FSTS, IQE), DOORBELL);
    EXPECT_EQ(read(FSTS), 0u);
    EXPECT_EQ(read(FECTL) & IP, 0u);
    EXPECT_EQ(read(IQERCD, 8), 0u);
    iom_queue_setup queue = setup();
    EXPECT_TRUE(queue.enabled);
    EXPECT_EQ(queue.head, 0x30u);
    EXPECT_EQ(queue.tail, 0xa0u);
    EXPECT_NE(queue.generation, before);
}

TEST_F(VtdQueue, command_that_cannot_be_read)
{
    enable(0x55000, 0x80);
    event(IOM_QUEUE_ACCESS, 0x10);
    EXPECT_EQ(read(FSTS), IQE);
    EXPECT_EQ(read(IQERCD, 8) & 0xf, 2u);
    EXPECT_EQ(read(IQH, 8), 0x10u);
}

TEST_F(VtdQueue, tail_beyond_the_queue)
{
    enable();
    EXPECT_EQ(write(IQT, 0x1000, 8), DOORBELL);
    EXPECT_EQ(read(FSTS), IQE);
    EXPECT_EQ(read(IQERCD, 8) & 0xf, 1u);
    EXPECT_FALSE(setup().enabled);
    // Clearing without mending finds the same error.
    write(FSTS, IQE);
    EXPECT_EQ(read(FSTS), IQE);
    write(IQT, 0x10, 8);
    write(FSTS, IQE);
    EXPECT_EQ(read(FSTS), 0u);
    EXPECT_TRUE(setup().enabled);
    EXPECT_EQ(setup().tail, 0x10u);
    // The last descriptor of a larger queue.
    write(GCMD, 0);
    enable(0x58001, 0x1ff0);
    EXPECT_EQ(read(FSTS), 0u);
}

TEST_F(VtdQueue, wide_descriptors)
{
    enable(0x55800, 0x20);
    EXPECT_EQ(setup().command_bytes, 32u);
    EXPECT_TRUE(setup().enabled);
    write(IQT, 0x30, 8); // not a multiple of 32
    EXPECT_EQ(read(FSTS), IQE);
    EXPECT_EQ(read(IQERCD, 8) & 0xf, 6u);
}

TEST_F(VtdQueue, width_and_table_mode_must_agree)
{
    table_mode(1);
    enable(0x55000, 0x10);
    EXPECT_EQ(read(IQERCD, 8) & 0xf, 5u);
    EXPECT_EQ(read(FSTS), IQE);
    write(GCMD, 0);
    write(FSTS, IQE);
    fixture.config.quirk_narrow_commands = true;
    enable(0x55000, 0x10);
    EXPECT_EQ(read(FSTS), 0u);
    write(GCMD, 0);
    enable(0x55800, 0x20);
    EXPECT_EQ(read(FSTS), 0u);
    write(GCMD, 0);
    table_mode(2);
    enable(0x55800, 0x20);
    EXPECT_EQ(read(IQERCD, 8) & 0xf, 7u);
}

TEST_F(VtdQueue, wide_descriptors_need_scalable_mode_hardware)
{
    fixture.config.ecap &= ~(uint64_t{1} << 43);
    enable(0x55800, 0x20);
    EXPECT_EQ(read(FSTS), IQE);
    EXPECT_EQ(read(IQERCD, 8) & 0xf, 5u);
}

TEST_F(VtdQueue, nothing_to_fetch_is_no_error)
{
    table_mode(1);
    enable(0x55000, 0);
    EXPECT_EQ(read(FSTS), 0u);
}

TEST_F(VtdQueue, time_out)
{
    enable(0x55000, 0x80);
    event(IOM_QUEUE_TIMEOUT, 0x40, 0, 0x4567);
    EXPECT_EQ(read(FSTS), ITE);
    EXPECT_EQ(read(IQERCD, 8), uint64_t{0x4567} << 32);
    EXPECT_EQ(read(IQH, 8), 0x40u);
    EXPECT_FALSE(setup().enabled);
    event(IOM_QUEUE_TIMEOUT, 0x40, 0, 0x1111); // the first one is kept
    EXPECT_EQ(read(IQERCD, 8), uint64_t{0x4567} << 32);
    EXPECT_EQ(write(FSTS, ITE), DOORBELL);
    EXPECT_EQ(read(FSTS), 0u);
    EXPECT_EQ(read(IQERCD, 8), 0u);
    EXPECT_TRUE(setup().enabled);
    EXPECT_EQ(setup().head, 0x40u);
}

TEST_F(VtdQueue, both_conditions_must_be_cleared)
{
    enable(0x55000, 0x80);
    event(IOM_QUEUE_INVALID, 0x10, IOM_VTD_QUEUE_TYPE);
    event(IOM_QUEUE_TIMEOUT, 0x10, 0, 7);
    EXPECT_EQ(read(FSTS), IQE | ITE);
    EXPECT_EQ(write(FSTS, IQE), 0u);
    EXPECT_FALSE(setup().enabled);
    EXPECT_EQ(write(FSTS, ITE), DOORBELL);
    EXPECT_TRUE(setup().enabled);
}

TEST_F(VtdQueue, completion_nobody_asked_for_does_not_stop)
{
    enable(0x55000, 0x80);
    write(FECTL, IM);
    event(IOM_QUEUE_COMPLETION, 0, 0, 0x89ab);
    EXPECT_EQ(read(FSTS), ICE);
    EXPECT_EQ(read(FECTL) & IP, IP);
    EXPECT_EQ(read(IQERCD, 8), uint64_t{0x89ab} << 48);
    EXPECT_TRUE(setup().enabled);
    EXPECT_EQ(write(FSTS, ICE), 0u);
    EXPECT_EQ(read(FSTS), 0u);
}

TEST_F(VtdQueue, completion_interrupt_masked)
{
    enable();
    EXPECT_EQ(read(IECTL), IM);
    event(IOM_QUEUE_INTERRUPT);
    EXPECT_EQ(read(ICS), 1u);
    EXPECT_EQ(read(IECTL), IM | IP);
    write(ICS, 0);
    EXPECT_EQ(read(ICS), 1u);
    write(ICS, 1);
    EXPECT_EQ(read(ICS), 0u);
    EXPECT_EQ(read(IECTL), IM);
    // Unmasking sends what is pending, once.
    event(IOM_QUEUE_INTERRUPT);
    write(IECTL, 0);
    EXPECT_EQ(read(IECTL), 0u);
    EXPECT_EQ(read(ICS), 1u);
    write(IECTL, IM);
    event(IOM_QUEUE_INTERRUPT); // the earlier completion has not been serviced: no new event
    EXPECT_EQ(read(IECTL), IM);
}

TEST_F(VtdQueue, completion_interrupt_unmasked_leaves_at_once)
{
    enable();
    write(IECTL, 0);
    event(IOM_QUEUE_INTERRUPT);
    EXPECT_EQ(read(ICS), 1u);
    EXPECT_EQ(read(IECTL), 0u);
}

TEST_F(VtdQueue, a_wait_may_complete_after_the_queue_stopped)
{
    enable(0x55000, 0x80);
    iom_queue_event done{};
    done.kind = IOM_QUEUE_INTERRUPT;
    done.generation = setup().generation;
    event(IOM_QUEUE_INVALID, 0x20, IOM_VTD_QUEUE_TYPE);
    write(FSTS, IQE);
    iom_vtd_ops.queue_event(&fixture.arch, fixture.state, &done);
    EXPECT_EQ(read(ICS), 1u);
}

} // namespace
