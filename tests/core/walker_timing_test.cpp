// SPDX-License-Identifier: Apache-2.0
//
// A walker whose last steps cost something of their own (core/walker.h, struct iom_walk_timing): each setting
// on and off, and the cycles measured on real hardware (tests/data/rtl-timing/README.md, section 3).
//
// A toy walk reads `words` table words of 8 bytes, then a burst (if any) whose last beat comes with the
// response, and may end with an atomic update. A word of what was read last may make it refuse.
#include "tests/core/walker_fixture.hpp"

using namespace walker_fixture;

namespace
{

/// From the departure of a read to its data: two connections and memory.
constexpr uint64_t data_cycles = 1 + memory_cycles + 1;

constexpr uint8_t nothing_refused = 0xff;

/// What a walk does; travels in the scratch words of the walk.
struct Plan {
    uint32_t words = 0;
    uint8_t burst_bytes = 0;
    bool update = false;
    uint8_t refused_word = nothing_refused;
    bool keeps_entry = false; ///< refuses, but what was found is put into the cache
};

enum Scratch { left_words, burst, update, refused, keeps, looks_further };

void plan_next(iom_walk *walk)
{
    if (walk->scratch[left_words] != 0) {
        walk->scratch[left_words]--;
        walk->action = IOM_WALK_READ;
        walk->bytes = 8;
    } else if (walk->scratch[burst] != 0) {
        walk->action = IOM_WALK_READ;
        walk->bytes = static_cast<uint8_t>(std::exchange(walk->scratch[burst], 0));
    } else if (walk->scratch[update] != 0) {
        walk->scratch[update] = 0;
        walk->action = IOM_WALK_CAS;
        walk->expected = walk->desired = 0;
    } else {
        walk->action = IOM_WALK_DONE;
        const bool refuses = walk->scratch[refused] != nothing_refused;
        walk->x.next = IOM_LOOKUP_DONE;
        walk->x.outcome = refuses ? IOM_OUTCOME_FAULT : IOM_OUTCOME_ADDRESS;
        walk->fill.valid = !refuses || walk->scratch[keeps] != 0;
        if (refuses)
            walk->refused_word = static_cast<uint8_t>(walk->scratch[refused]);
        if (walk->scratch[looks_further] != 0) {
            walk->x.next = IOM_LOOKUP_IOTLB;
            walk->x.outcome = IOM_OUTCOME_NONE;
        }
    }
}

const iom_arch_ops planned_ops = [] {
    iom_arch_ops table = {};
    table.name = "planned";
    table.walk_start = [](const iom_arch *, const iom_view *, iom_walk *walk) { plan_next(walk); };
    table.walk_step = [](const iom_arch *, const iom_view *, iom_walk *walk) { plan_next(walk); };
    return table;
}();

/// As the hardware has it: context entries are there one cycle behind their last beat, pages with it, faults
/// one cycle behind the beat that shows them.
iom_walk_timing measured()
{
    iom_walk_timing timing = {};
    timing.given = true;
    timing.end_cycles[IOM_LOOKUP_CONTEXT] = 1;
    timing.end_cycles[IOM_LOOKUP_PASID] = 1;
    timing.end_cycles[IOM_LOOKUP_IOTLB] = 0;
    timing.fault_cycles = 1;
    timing.beat_bytes = 8;
    return timing;
}

Options with(const iom_walk_timing &timing)
{
    Options options;
    options.ops = &planned_ops;
    options.timing = timing;
    return options;
}

iom_walk *send(WalkerBench &b, iom_cycle arrival, iom_lookup what, const Plan &plan)
{
    iom_walk *walk = b.send(0, arrival, 0x1000, 0);
    walk->what = static_cast<uint8_t>(what);
    walk->scratch[left_words] = plan.words;
    walk->scratch[burst] = plan.burst_bytes;
    walk->scratch[update] = plan.update;
    walk->scratch[refused] = plan.refused_word;
    walk->scratch[keeps] = plan.keeps_entry;
    return walk;
}

/// Cycles from the last data of a walk of its own to the departure of its answer.
iom_cycle end_cycles(const iom_walk_timing &timing, iom_lookup what, const Plan &plan, bool further = false)
{
    WalkerBench b(with(timing));
    iom_walk *walk = send(b, 100, what, plan);
    walk->scratch[looks_further] = further;
    b.bench.run_until_idle();
    const uint64_t accesses = plan.words + (plan.burst_bytes != 0) + plan.update;
    EXPECT_EQ(b.accesses.size(), accesses);
    const iom_cycle last_data = b.accesses.back().first + memory_cycles + 1;
    return b.done(walk) - 1 - last_data;
}

// ---- ends ----------------------------------------------------------------------------------------------

TEST(WalkerTiming, the_end_of_a_walk_costs_what_is_set_for_what_it_looks_for)
{
    iom_walk_timing timing = measured();
    timing.end_cycles[IOM_LOOKUP_CONTEXT] = 5;
    timing.end_cycles[IOM_LOOKUP_PASID] = 7;
    timing.end_cycles[IOM_LOOKUP_IOTLB] = 11;
    EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_CONTEXT, {1, 32}), 5u);
    EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_PASID, {1, 16}), 7u);
    EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_IOTLB, {3}), 11u);
    EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_CONTEXT, {1, 32}, true), 5u) << "a further look-up follows";
    EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_IOTLB, {1, 0, true}), 11u) << "behind an update";
}

TEST(WalkerTiming, not_given_every_step_costs_the_same)
{
    iom_walk_timing timing = measured();
    timing.given = false;
    timing.end_cycles[IOM_LOOKUP_IOTLB] = 11;
    timing.fault_cycles = 13;
    for (const iom_lookup what : {IOM_LOOKUP_CONTEXT, IOM_LOOKUP_PASID, IOM_LOOKUP_IOTLB}) {
        EXPECT_EQ(end_cycles(timing, what, {2}), step_cycles);
        EXPECT_EQ(end_cycles(timing, what, {1, 32, false, 0}), step_cycles) << "a refusal";
        EXPECT_EQ(end_cycles(timing, what, {1, 0, true}), step_cycles);
    }
}

// Reads of 8 bytes in L = data_cycles: "each PTE read costs L+1", here L + step_cycles.
TEST(WalkerTiming, steps_before_the_last_cost_step_cycles)
{
    for (const bool given : {false, true}) {
        iom_walk_timing timing = measured();
        timing.given = given;
        WalkerBench b(with(timing));
        send(b, 100, IOM_LOOKUP_IOTLB, {4});
        b.bench.run_until_idle();
        ASSERT_EQ(b.accesses.size(), 4u);
        for (uint64_t i = 0; i < 4; i++)
            EXPECT_EQ(b.accesses[i].first, 101 + i * (data_cycles + step_cycles));
    }
}

TEST(WalkerTiming, a_walk_without_data_ends_at_once)
{
    WalkerBench b(with(measured()));
    iom_walk *walk = send(b, 100, IOM_LOOKUP_CONTEXT, {});
    b.bench.run_until_idle();
    EXPECT_EQ(b.done(walk), 101u);
}

// "the fill strobe is in the cycle of the last data beat": the walker is free in that cycle.
TEST(WalkerTiming, the_next_walk_begins_when_the_answer_departs)
{
    for (const uint64_t end : {uint64_t{0}, uint64_t{1}, uint64_t{6}}) {
        iom_walk_timing timing = measured();
        timing.end_cycles[IOM_LOOKUP_IOTLB] = end;
        WalkerBench b(with(timing));
        const iom_walk *first = send(b, 100, IOM_LOOKUP_IOTLB, {1}),
                       *second = send(b, 100, IOM_LOOKUP_IOTLB, {1});
        b.bench.run_until_idle();
        EXPECT_EQ(b.done(first), 100 + data_cycles + end + 1);
        EXPECT_EQ(second->started, 100 + data_cycles + end);
        EXPECT_EQ(b.done(second), 100 + 2 * (data_cycles + end) + 1);
        EXPECT_EQ(b.stats().busy_cycles, 2 * (data_cycles + end));
    }
}

// ---- refusals ------------------------------------------------------------------------------------------

// "PTE fault: f = data cycle + 1."
TEST(WalkerTiming, a_refused_word_alone_costs_fault_cycles)
{
    for (const uint64_t fault : {uint64_t{0}, uint64_t{1}, uint64_t{9}}) {
        iom_walk_timing timing = measured();
        timing.fault_cycles = fault;
        EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_IOTLB, {2, 0, false, 0}), fault);
        EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_CONTEXT, {2, 0, false, 0}), fault);
    }
}

// "Error in a DC/PC burst beat: rest of the burst is drained, f = max(last beat, bad beat + 1)": four beats
// of a device context.
TEST(WalkerTiming, a_refusal_counts_from_its_beat_but_not_before_the_last_one)
{
    EXPECT_EQ(end_cycles(measured(), IOM_LOOKUP_CONTEXT, {1, 32, false, 0}), 0u);
    EXPECT_EQ(end_cycles(measured(), IOM_LOOKUP_CONTEXT, {1, 32, false, 2}), 0u);
    EXPECT_EQ(end_cycles(measured(), IOM_LOOKUP_CONTEXT, {1, 32, false, 3}), 1u);
    EXPECT_EQ(end_cycles(measured(), IOM_LOOKUP_PASID, {0, 16, false, 0}), 0u);
    EXPECT_EQ(end_cycles(measured(), IOM_LOOKUP_PASID, {0, 16, false, 1}), 1u);
    // Three cycles behind a beat that came 3, 2, 1, 0 cycles before the last one.
    iom_walk_timing timing = measured();
    timing.fault_cycles = 3;
    for (uint8_t word = 0; word < 4; word++)
        EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_CONTEXT, {1, 32, false, word}), word);
}

TEST(WalkerTiming, the_width_of_a_beat_says_which_words_come_together)
{
    iom_walk_timing timing = measured();
    timing.fault_cycles = 3;
    const struct {
        uint32_t beat_bytes;
        uint64_t expected[4]; ///< by refused word of 32 bytes
    } cases[] = {
        {8, {0, 1, 2, 3}}, {16, {2, 2, 3, 3}}, {32, {3, 3, 3, 3}}, {64, {3, 3, 3, 3}}, {0, {3, 3, 3, 3}},
    };
    for (const auto &c : cases) {
        timing.beat_bytes = c.beat_bytes;
        for (uint8_t word = 0; word < 4; word++)
            EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_CONTEXT, {0, 32, false, word}), c.expected[word])
                << c.beat_bytes << " bytes, word " << int{word};
    }
}

// "W, X, U checks only on the look-up (so a page failing those is filled, and faults as a hit would)": its
// walk ends as one that has found something.
TEST(WalkerTiming, a_walk_that_refuses_and_still_fills_costs_its_end)
{
    iom_walk_timing timing = measured();
    timing.end_cycles[IOM_LOOKUP_IOTLB] = 4;
    timing.fault_cycles = 9;
    EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_IOTLB, {1, 0, false, 0, true}), 4u);
    EXPECT_EQ(end_cycles(timing, IOM_LOOKUP_IOTLB, {1, 0, false, 0, false}), 9u);
}

} // namespace
