// SPDX-License-Identifier: Apache-2.0
//
// How reports become records in memory (core/register_unit.h, struct iom_record_pace): each setting on and
// off, and the cycles measured on real hardware (tests/data/rtl-timing/README.md, section 3, "Fault queue",
// and 4.7): a fault raised in f is written from f + 1 on (address; four beats f + 2 to f + 5), acknowledged W
// cycles behind the last beat, and the hardware goes on in the cycle behind. A record is a store of 32 bytes.
#include "tests/core/register_unit_fixture.hpp"

using namespace register_unit_fixture;

namespace
{

class RegisterUnitPace : public ReportBench
{
  protected:
    void build_measured(iom_cycle W, bool drops, uint32_t depth = 4)
    {
        pace.store_delay_cycles = 1;
        pace.slot_until_written = true;
        pace.quirk_writing_drops_reports = drops;
        pace.beat_bytes = 8;
        build(depth);
        // Departed in d: beats d + 1 to d + 4, response in d + 4 + W, noticed in the cycle behind.
        world.on(port_memory, [this, W](iom_cycle now, iom_msg *msg) {
            take_store(now, msg);
            world.send_at(now - 1 + 4 + W, port_memory, msg);
        });
    }
    /// Numbers 0 to 3, in 10 to 13.
    void report_four()
    {
        for (uint64_t i = 0; i < 4; i++)
            report_number(10 + i, i);
    }
    /// Departures of stores, with the number of the report they are of (tens of its address).
    std::vector<std::pair<iom_cycle, uint64_t>> records() const
    {
        std::vector<std::pair<iom_cycle, uint64_t>> list;
        for (size_t i = 0; i < stores.size(); i++)
            list.emplace_back(stores[i].cycle, store_addresses[i] / 0x100000);
        return list;
    }
    /// A report that wants one store.
    void report_number(iom_cycle arrival, uint64_t number)
    {
        fault(arrival, 0x10 * number + 1);
    }
    /// Notes in which of `cycles` the front could send a report.
    void ask_for_slot(const std::vector<iom_cycle> &cycles)
    {
        for (const iom_cycle cycle : cycles) {
            world.at(cycle, [this](iom_cycle now) {
                free_slots.push_back(iom_port_can_send(world.port(port_fault), now));
            });
        }
    }

    std::vector<bool> free_slots;
};

using Records = std::vector<std::pair<iom_cycle, uint64_t>>;
using Slots = std::vector<bool>;

// ---- departure of stores -------------------------------------------------------------------------------

TEST_F(RegisterUnitPace, a_store_departs_at_once_without_a_delay)
{
    build();
    report_number(10, 1);
    report_number(11, 2);
    bench.run_to(30);
    acknowledge(0, 40);
    bench.run_to(50);
    EXPECT_EQ(records(), (Records{{10, 1}, {40, 2}}));
    acknowledge(1, 60);
    bench.run_until_idle();
}

TEST_F(RegisterUnitPace, the_delay_counts_from_the_report_and_from_the_store_before)
{
    pace.store_delay_cycles = 5;
    build();
    report_number(10, 1);
    fault(11, 0x22); // two stores
    bench.run_to(30);
    acknowledge(0, 40);
    bench.run_to(50);
    acknowledge(1, 60);
    bench.run_to(70);
    EXPECT_EQ(records(), (Records{{15, 1}, {45, 2}, {65, 2}}));
    acknowledge(2, 80);
    bench.run_to(90);
    report_number(100, 3);
    bench.run_to(120);
    EXPECT_EQ(records().back(), (std::pair<iom_cycle, uint64_t>{105, 3}));
    acknowledge(3, 130);
    bench.run_until_idle();
}

// "AW at f+1 ... Minimum period between records W+6."
TEST_F(RegisterUnitPace, records_have_the_period_of_the_hardware)
{
    constexpr iom_cycle W = 10, f = 10, period = W + 6;
    build_measured(W, false, 0);
    Records expected;
    for (uint64_t i = 0; i < 5; i++) {
        report_number(f + i, i);
        expected.emplace_back(f + 1 + i * period, i);
    }
    bench.run_until_idle();
    EXPECT_EQ(records(), expected);
    EXPECT_EQ(stats().faults_recorded, 5u);
}

// ---- slots ---------------------------------------------------------------------------------------------

// Credits come back a cycle later.
TEST_F(RegisterUnitPace, a_report_keeps_its_slot_until_it_is_taken)
{
    build(1);
    report_number(10, 1);
    ask_for_slot({10, 11});
    bench.run_to(39);
    EXPECT_EQ(free_slots, (Slots{false, true}));
    acknowledge(0, 40);
    bench.run_until_idle();
}

TEST_F(RegisterUnitPace, or_until_its_record_is_in_memory)
{
    pace.slot_until_written = true;
    build(1);
    report_number(10, 1);
    ask_for_slot({11, 40, 41});
    bench.run_to(39);
    acknowledge(0, 40);
    bench.run_until_idle();
    EXPECT_EQ(free_slots, (Slots{false, false, true}));
}

TEST_F(RegisterUnitPace, or_until_memory_has_refused_it)
{
    pace.slot_until_written = true;
    build(1);
    report_number(10, 1);
    ask_for_slot({40, 41});
    bench.run_to(39);
    acknowledge(0, 40, IOM_ACCESS_REFUSED);
    bench.run_until_idle();
    EXPECT_EQ(free_slots, (Slots{false, true}));
}

TEST_F(RegisterUnitPace, a_report_without_a_record_frees_its_slot_at_once)
{
    pace.slot_until_written = true;
    build(1);
    fault(10, 0x10); // wants no store
    ask_for_slot({10, 11});
    bench.run_until_idle();
    EXPECT_EQ(free_slots, (Slots{false, true}));
}

// Four fit, the one whose record is being written included.
TEST_F(RegisterUnitPace, a_queue_of_four_takes_the_fifth_when_the_first_is_written)
{
    pace.slot_until_written = true;
    build(4);
    report_four();
    ask_for_slot({13, 40, 41});
    bench.run_to(39);
    acknowledge(0, 40);
    bench.run_to(50);
    EXPECT_EQ(free_slots, (Slots{false, false, true}));
}

TEST_F(RegisterUnitPace, otherwise_the_one_whose_record_is_being_written_does_not_count)
{
    build(4);
    for (uint64_t i = 0; i < 5; i++)
        report_number(10 + i, i);
    ask_for_slot({14, 40, 41});
    bench.run_to(39);
    acknowledge(0, 40);
    bench.run_to(50);
    EXPECT_EQ(free_slots, (Slots{false, false, true})) << "the second is taken in 40";
}

// ---- reports that get lost -----------------------------------------------------------------------------

TEST_F(RegisterUnitPace, without_the_quirk_every_report_is_recorded)
{
    build_measured(10, false);
    report_four();
    bench.run_until_idle();
    EXPECT_EQ(records(), (Records{{11, 0}, {27, 1}, {43, 2}, {59, 3}}));
    EXPECT_EQ(stats().reports_lost, 0u);
}

// "Fault FIFO pops every cycle while waiting for B": W times, the first time the record itself. Its address
// departs in 11, its last beat is taken in 15, so it is in 16 to 15 + W; the hardware goes on in 16 + W.
TEST_F(RegisterUnitPace, a_slot_is_freed_in_each_cycle_of_the_wait_for_the_acknowledgement_W1)
{
    build_measured(1, true);
    report_four();
    bench.run_until_idle();
    EXPECT_EQ(records(), (Records{{11, 0}, {18, 1}, {25, 2}, {32, 3}})) << "only the record itself";
    EXPECT_EQ(stats().reports_lost, 0u);
}

TEST_F(RegisterUnitPace, a_slot_is_freed_in_each_cycle_of_the_wait_for_the_acknowledgement_W2)
{
    build_measured(2, true);
    report_four();
    bench.run_until_idle();
    EXPECT_EQ(records(), (Records{{11, 0}, {19, 2}})) << "1 is lost in 17, 3 in 25";
    EXPECT_EQ(stats().reports_lost, 2u);
    EXPECT_EQ(stats().faults_recorded, 2u);
}

TEST_F(RegisterUnitPace, a_slot_is_freed_in_each_cycle_of_the_wait_for_the_acknowledgement_W3)
{
    build_measured(3, true);
    report_four();
    bench.run_until_idle();
    EXPECT_EQ(records(), (Records{{11, 0}, {20, 3}}));
    EXPECT_EQ(stats().reports_lost, 2u);
}

TEST_F(RegisterUnitPace, a_slot_is_freed_in_each_cycle_of_the_wait_for_the_acknowledgement_W10)
{
    build_measured(10, true);
    report_four();
    ask_for_slot({16, 17});
    bench.run_until_idle();
    EXPECT_EQ(records(), (Records{{11, 0}}));
    EXPECT_EQ(stats().reports_lost, 3u);
    EXPECT_EQ(free_slots, (Slots{false, true})) << "the record's own slot goes in 16";
}

// With W = 10 from 16 to 25; the hardware goes on in 26.
TEST_F(RegisterUnitPace, a_report_that_comes_during_the_wait_is_lost)
{
    build_measured(10, true);
    report_number(10, 0);
    report_number(15, 1); // waits one cycle
    report_number(20, 2);
    report_number(25, 3);
    report_number(26, 4);
    bench.run_until_idle();
    EXPECT_EQ(records(), (Records{{11, 0}, {27, 4}}));
    EXPECT_EQ(stats().reports_lost, 3u);
}

TEST_F(RegisterUnitPace, reports_before_the_last_beat_are_safe_if_there_are_not_too_many)
{
    build_measured(1, true);
    for (uint64_t i = 0; i < 3; i++)
        report_number(10 + 2 * i, i); // 10, 12, 14
    report_number(16, 3);             // in the cycle in which the record's own slot goes
    bench.run_until_idle();
    EXPECT_EQ(records(), (Records{{11, 0}, {18, 1}, {25, 2}, {32, 3}}));
}

// Address in d = 10, one cycle for each beat of 32 bytes, then the slot goes, to be used a cycle later.
TEST_F(RegisterUnitPace, the_width_of_a_beat_says_when_the_wait_begins)
{
    pace.slot_until_written = true;
    pace.quirk_writing_drops_reports = true;
    pace.beat_bytes = 16;
    build(1);
    report_number(10, 0); // two beats: 11, 12; slot goes in 13
    ask_for_slot({13, 14});
    bench.run_to(39);
    acknowledge(0, 40);
    bench.run_until_idle();
    EXPECT_EQ(free_slots, (Slots{false, true}));
}

TEST_F(RegisterUnitPace, a_beat_may_hold_the_whole_record)
{
    pace.slot_until_written = true;
    pace.quirk_writing_drops_reports = true;
    pace.beat_bytes = 64;
    pace.store_delay_cycles = 3;
    build(1);
    report_number(10, 0); // address in 13, beat in 14; slot goes in 15
    ask_for_slot({15, 16});
    bench.run_to(39);
    acknowledge(0, 40);
    bench.run_until_idle();
    EXPECT_EQ(free_slots, (Slots{false, true}));
}

// A drain is no report: it goes back when what came before it is in memory.
TEST_F(RegisterUnitPace, a_drain_is_not_lost)
{
    build_measured(10, true);
    report_number(10, 0);
    drain(12);
    report_number(13, 1);
    bench.run_until_idle();
    EXPECT_EQ(drained, (std::vector<iom_cycle>{26}));
    EXPECT_EQ(records(), (Records{{11, 0}, {27, 1}}));
    EXPECT_EQ(stats().reports_lost, 0u);
}

// ---- hardware that hangs -------------------------------------------------------------------------------

// "When full is seen, 4 more faults fit" counted with the one that has seen it: four slots, none comes back.
TEST_F(RegisterUnitPace, a_store_that_never_ends_takes_the_reports_behind_it_along)
{
    toy.store_bytes = 0;
    build_measured(1, true);
    report_four();
    ask_for_slot({13, 1000});
    bench.run_to(2000);
    EXPECT_TRUE(stores.empty());
    EXPECT_EQ(toy.log, (Log{"fault 1"}));
    EXPECT_EQ(free_slots, (Slots{false, false}));
    EXPECT_EQ(stats().stores, 0u);
    EXPECT_EQ(stats().reports_lost, 0u);
    EXPECT_NE(bench.outstanding(), 0u);
}

} // namespace
