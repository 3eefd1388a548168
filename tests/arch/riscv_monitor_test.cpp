// SPDX-License-Identifier: Apache-2.0
//
// The hardware performance monitor of the RISC-V IOMMU ("Performance-monitoring ..." registers, "Standard
// Events list", "filtering options").
#include <gtest/gtest.h>

#include "tests/arch/support/riscv_registers.h"

namespace
{
using namespace riscv_test;

constexpr uint32_t counter = 104, selector = 352;
constexpr unsigned pv = 60, dv = 61, idt = 62, of = 63, dmask = 15;

uint64_t by_process(uint32_t process)
{
    return bit(pv) | uint64_t{process} << 16;
}

uint64_t by_device(uint32_t device)
{
    return bit(dv) | uint64_t{device} << 36;
}

iom_event event_of(unsigned id, uint32_t device, int process = -1)
{
    iom_event event{};
    event.events = 1u << (id - 1);
    event.source = device;
    if (process >= 0) {
        event.flags = IOM_REQ_PASID;
        event.pasid = static_cast<uint32_t>(process);
    }
    return event;
}

iom_event in_context(unsigned id, unsigned stage, uint32_t guest, uint32_t space)
{
    iom_event event = event_of(id, 0x77, 0x88);
    event.has_context = true;
    event.stage = static_cast<uint8_t>(stage);
    event.domain = guest;
    event.asid = space;
    return event;
}

// Does a counter with this selector count this event?
bool counts(uint64_t select, const iom_event &event)
{
    Registers registers;
    registers.write(selector, 8, select);
    registers.count(event);
    return registers.read(counter, 8) == 1;
}

TEST(RiscvMonitor, counters_that_exist_can_be_written)
{
    Registers registers; // 5 counters: cycles and 4 of events, 40 bits
    for (uint32_t i = 0; i < 31; i++) {
        registers.write(counter + 8 * i, 8, ~uint64_t{0});
        registers.write(selector + 8 * i, 8, ~range(14, 0) | 3);
        EXPECT_EQ(registers.read(counter + 8 * i, 8), i < 4 ? range(39, 0) : 0) << i;
        EXPECT_EQ(registers.read(selector + 8 * i, 8), i < 4 ? ~range(14, 0) | 3 : 0) << i;
    }
    registers.write(92, 4, 0xffffffff);
    EXPECT_EQ(registers.read(92, 4), 0x1fu);
    EXPECT_EQ(registers.read(88, 4), 0x1eu); // copies of OF
    registers.write(96, 8, bit(63));
    EXPECT_EQ(registers.read(88, 4), 0x1fu);
    registers.write(counter + 4, 4, 0x12); // halves
    EXPECT_EQ(registers.read(counter, 8), 0x12'ffff'ffffu);
}

TEST(RiscvMonitor, events_that_do_not_exist_are_not_selected)
{
    Registers registers;
    for (uint64_t id : {9u, 16383u, 16384u, 32767u}) {
        registers.write(selector, 8, bit(pv) | id);
        EXPECT_EQ(registers.read(selector, 8), bit(pv)) << id;
    }
}

TEST(RiscvMonitor, the_view_names_the_events_that_are_counted)
{
    Registers registers;
    EXPECT_EQ(registers.view().monitored, 0u);
    const uint32_t update = 1u << IOM_ACTION_UPDATE_VIEW;
    EXPECT_EQ(registers.write(selector, 8, 4), update);
    EXPECT_EQ(registers.view().monitored, uint32_t{IOM_EVENT_TLB_MISS});
    EXPECT_EQ(registers.write(selector + 8, 8, 4 | bit(dv)), 0u); // nothing new
    EXPECT_EQ(registers.write(selector + 8, 8, 8), update);
    EXPECT_EQ(registers.view().monitored, uint32_t{IOM_EVENT_TLB_MISS | IOM_EVENT_STAGE2_WALK});
    EXPECT_EQ(registers.write(selector, 8, 0), update);
    EXPECT_EQ(registers.view().monitored, uint32_t{IOM_EVENT_STAGE2_WALK});
}

TEST(RiscvMonitor, each_event_has_its_number)
{
    const uint32_t events[] = {IOM_EVENT_UNTRANSLATED, IOM_EVENT_TRANSLATED,   IOM_EVENT_ATS,
                               IOM_EVENT_TLB_MISS,     IOM_EVENT_CONTEXT_WALK, IOM_EVENT_PASID_WALK,
                               IOM_EVENT_STAGE1_WALK,  IOM_EVENT_STAGE2_WALK};
    for (unsigned id = 1; id <= 8; id++) {
        for (unsigned other = 1; other <= 8; other++) {
            iom_event event{};
            event.events = events[other - 1];
            EXPECT_EQ(counts(id, event), id == other);
        }
    }
    iom_event several{};
    several.events = IOM_EVENT_ATS | IOM_EVENT_TLB_MISS;
    EXPECT_TRUE(counts(3, several));
    EXPECT_TRUE(counts(4, several));
    EXPECT_FALSE(counts(0, several)); // do not count
}

TEST(RiscvMonitor, inhibited_counters_stand_still)
{
    Registers registers;
    for (uint32_t i = 0; i < 4; i++)
        registers.write(selector + 8 * i, 8, 1);
    registers.write(92, 4, 1u << 2); // iohpmctr2
    registers.count(event_of(1, 5));
    for (uint32_t i = 0; i < 4; i++)
        EXPECT_EQ(registers.read(counter + 8 * i, 8), i == 1 ? 0u : 1u) << i;
}

TEST(RiscvMonitor, filters_by_device_and_process)
{
    // Rows of the table with IDT = 0.
    EXPECT_TRUE(counts(1, event_of(1, 5)));
    EXPECT_FALSE(counts(1 | by_process(7), event_of(1, 5)));
    EXPECT_TRUE(counts(1 | by_process(7), event_of(1, 5, 7)));
    EXPECT_FALSE(counts(1 | by_process(7), event_of(1, 5, 8)));
    EXPECT_TRUE(counts(1 | by_device(5), event_of(1, 5)));
    EXPECT_TRUE(counts(1 | by_device(5), event_of(1, 5, 9)));
    EXPECT_FALSE(counts(1 | by_device(5), event_of(1, 4)));
    EXPECT_TRUE(counts(1 | by_device(5) | by_process(7), event_of(1, 5, 7)));
    EXPECT_FALSE(counts(1 | by_device(5) | by_process(7), event_of(1, 5)));
    EXPECT_FALSE(counts(1 | by_device(5) | by_process(7), event_of(1, 4, 7)));
    EXPECT_FALSE(counts(1 | by_device(5) | by_process(7), event_of(1, 5, 6)));
    // Without DV and PV the identifiers are not looked at.
    EXPECT_TRUE(counts(1 | uint64_t{5} << 36 | uint64_t{7} << 16, event_of(1, 4, 6)));
}

TEST(RiscvMonitor, partial_match_masks_up_to_the_lowest_0_bit)
{
    const uint64_t select = 2 | bit(dmask);
    const struct {
        uint32_t filter, mask;
    } cases[] = {{0xabcd03, 0xfffff8}, {0xabcd7f, 0xffff00}, {0xab7fff, 0xff0000}, {0xabcd00, 0xfffffe}};
    for (auto item : cases) {
        for (uint32_t flip = 0; flip < 24; flip++) {
            uint32_t device = item.filter ^ 1u << flip;
            EXPECT_EQ(counts(select | by_device(item.filter), event_of(2, device)),
                      ((device ^ item.filter) & item.mask) == 0);
            EXPECT_FALSE(counts(2 | by_device(item.filter), event_of(2, device)));
        }
    }
    EXPECT_TRUE(counts(select | by_device(0xffffff), event_of(2, 0))); // no 0 bit: all devices
}

TEST(RiscvMonitor, filters_by_guest_and_address_space)
{
    const unsigned first = 1, second = 2, nested = 3, none = 0;
    for (unsigned id : {4u, 7u, 8u}) {
        uint64_t select = id | bit(idt);
        EXPECT_TRUE(counts(select, in_context(id, nested, 5, 7)));
        EXPECT_TRUE(counts(select | by_process(7), in_context(id, first, 0, 7)));
        EXPECT_TRUE(counts(select | by_process(7), in_context(id, nested, 5, 7)));
        EXPECT_FALSE(counts(select | by_process(7), in_context(id, nested, 5, 8)));
        EXPECT_FALSE(counts(select | by_process(0), in_context(id, second, 5, 0))); // no PSCID
        EXPECT_TRUE(counts(select | by_device(5), in_context(id, second, 5, 0)));
        EXPECT_TRUE(counts(select | by_device(5), in_context(id, nested, 5, 7)));
        EXPECT_FALSE(counts(select | by_device(5), in_context(id, nested, 6, 7)));
        EXPECT_FALSE(counts(select | by_device(0), in_context(id, first, 0, 7))); // no GSCID
        EXPECT_FALSE(counts(select | by_device(0), in_context(id, none, 0, 0)));
        EXPECT_TRUE(counts(select | by_device(5) | by_process(7), in_context(id, nested, 5, 7)));
        EXPECT_FALSE(counts(select | by_device(5) | by_process(7), in_context(id, second, 5, 7)));
        EXPECT_FALSE(counts(select | by_device(5) | by_process(7), in_context(id, first, 5, 7)));
        EXPECT_TRUE(counts(select | by_device(3) | bit(dmask), in_context(id, nested, 4, 7)));
        EXPECT_FALSE(counts(select | by_device(3) | bit(dmask), in_context(id, nested, 8, 7)));
        EXPECT_FALSE(counts(select | by_device(0), event_of(id, 0))); // context not known
    }
}

// "When the programmed IDT setting is not supported for an event then the associated counter does not
// increment."
TEST(RiscvMonitor, events_without_context_filter_count_nothing_with_it)
{
    for (unsigned id : {1u, 2u, 3u, 5u, 6u}) {
        EXPECT_FALSE(counts(id | bit(idt), in_context(id, 3, 5, 7)));
        EXPECT_FALSE(counts(id | bit(idt) | by_device(5), in_context(id, 3, 5, 7)));
        EXPECT_TRUE(counts(id, in_context(id, 3, 5, 7)));
    }
}

TEST(RiscvMonitor, a_counter_that_wraps_interrupts_once)
{
    Registers registers;
    registers.write(8, 4, 2); // wires
    registers.write(selector, 8, 1);
    registers.write(counter, 8, range(39, 1));
    registers.count(event_of(1, 0));
    EXPECT_EQ(registers.read(counter, 8), range(39, 0));
    EXPECT_EQ(registers.read(84, 4), 0u);
    registers.count(event_of(1, 0));
    EXPECT_EQ(registers.read(counter, 8), 0u);
    EXPECT_EQ(registers.read(selector, 8), 1 | bit(of));
    EXPECT_EQ(registers.read(88, 4), 2u);
    EXPECT_EQ(registers.read(84, 4), 4u);
    // It goes on counting; OF set is the interrupt disable.
    registers.write(84, 4, 4);
    registers.write(counter, 8, range(39, 0));
    registers.count(event_of(1, 0));
    EXPECT_EQ(registers.read(counter, 8), 0u);
    EXPECT_EQ(registers.read(84, 4), 0u);
    registers.write(selector, 8, 1);
    registers.write(counter, 8, range(39, 0));
    registers.count(event_of(1, 0));
    EXPECT_EQ(registers.read(84, 4), 4u);
}

TEST(RiscvMonitor, cycles_follow_the_clock)
{
    Registers registers;
    registers.time(100);
    EXPECT_EQ(registers.read(96, 8), 100u);
    registers.time(100);
    EXPECT_EQ(registers.read(96, 8), 100u);
    registers.write(96, 8, 7);
    registers.time(110);
    EXPECT_EQ(registers.read(96, 8), 17u);
    registers.write(92, 4, 1);
    registers.time(200);
    EXPECT_EQ(registers.read(96, 8), 17u);
    registers.write(92, 4, 0);
    registers.time(203);
    EXPECT_EQ(registers.read(96, 8), 20u);
}

TEST(RiscvMonitor, cycles_that_wrap_wake_the_register_file)
{
    Registers registers;
    EXPECT_EQ(registers.wake(), bit(63));
    registers.time(1000);
    registers.write(96, 8, range(62, 0) - 9);
    EXPECT_EQ(registers.wake(), 1010u);
    registers.time(1009);
    EXPECT_EQ(registers.read(84, 4), 0u);
    EXPECT_EQ(registers.wake(), 1010u);
    registers.time(1010);
    EXPECT_EQ(registers.read(96, 8), bit(63));
    EXPECT_EQ(registers.read(84, 4), 4u);
    EXPECT_EQ(registers.wake(), IOM_NEVER);
    // With OF set there is no interrupt, but no count is lost.
    registers.write(84, 4, 4);
    registers.write(96, 8, bit(63) | range(62, 0));
    EXPECT_EQ(registers.wake(), IOM_NEVER);
    registers.time(1012);
    EXPECT_EQ(registers.read(96, 8), bit(63) | 1);
    EXPECT_EQ(registers.read(84, 4), 0u);
    // Inhibited it does not come.
    registers.write(96, 8, range(62, 0));
    registers.write(92, 4, 1);
    EXPECT_EQ(registers.wake(), IOM_NEVER);
}

TEST(RiscvMonitor, without_monitor_nothing_counts)
{
    iom_riscv_config config = full_config();
    config.capabilities &= ~bit(hpm);
    Registers registers(config);
    registers.time(100);
    registers.write(selector, 8, 1);
    registers.count(event_of(1, 0));
    EXPECT_EQ(registers.read(96, 8), 0u);
    EXPECT_EQ(registers.read(counter, 8), 0u);
    EXPECT_EQ(registers.view().monitored, 0u);
    EXPECT_EQ(registers.wake(), IOM_NEVER);
}

} // namespace
