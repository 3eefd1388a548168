// SPDX-License-Identifier: Apache-2.0
//
// The walker pool (core/walker.h): walks at once, queueing, turns of the inputs, steps, errors, retries
// of updates, credits of memory, and what an invalidation does to walks under way.
//
// The toy architecture of this file reads `bytes` of the request as that many table words, one after the
// other from the request's address on; with IOM_REQ_WRITE an atomic update of the last word follows,
// tried again until it succeeds. Connections take one cycle each way, memory answers after 10 cycles, a
// step takes 3: a read costs 15 cycles from departure to digested.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "core/control.h"
#include "core/memory.h"
#include "core/walker.h"
#include "tests/core/support/bench.h"

namespace
{

constexpr uint64_t memory_cycles = 10, step_cycles = 3, read_cycles = 1 + memory_cycles + 1 + step_cycles;

// ---- toy walks ----------------------------------------------------------------------------------------

void next_action(iom_walk *walk)
{
    const uint64_t words = walk->x.bytes;
    if (walk->scratch[0] < words) {
        walk->action = IOM_WALK_READ;
        walk->address = walk->x.address + 8 * walk->scratch[0]++;
        walk->bytes = 8;
    } else if ((walk->x.flags & IOM_REQ_WRITE) != 0 && walk->scratch[1] == 0) {
        walk->action = IOM_WALK_CAS;
        walk->address = walk->x.address;
        walk->expected = walk->scratch[2];
        walk->desired = walk->scratch[2] | 1;
    } else {
        walk->action = IOM_WALK_DONE;
        walk->x.next = IOM_LOOKUP_DONE;
        walk->x.outcome = IOM_OUTCOME_ADDRESS;
    }
}

void walk_start(const iom_arch *, const iom_view *view, iom_walk *walk)
{
    for (uint64_t &s : walk->scratch)
        s = 0;
    walk->scratch[3] = view->root;
    next_action(walk);
}

void walk_step(const iom_arch *, const iom_view *view, iom_walk *walk)
{
    walk->scratch[4] = view->root; // the view in force at the last step
    if (walk->access_error != 0) {
        walk->action = IOM_WALK_DONE;
        walk->x.next = IOM_LOOKUP_DONE;
        walk->x.outcome = IOM_OUTCOME_FAULT;
        return;
    }
    if (walk->action == IOM_WALK_CAS) {
        walk->scratch[1] = walk->data[0] == walk->expected;
        walk->scratch[2] = walk->data[0];
    } else if (walk->action == IOM_WALK_READ && walk->scratch[0] == 1) {
        walk->scratch[2] = walk->data[0];
    }
    next_action(walk);
}

const iom_arch_ops ops = [] {
    iom_arch_ops table = {};
    table.name = "toy";
    table.walk_start = walk_start;
    table.walk_step = walk_step;
    return table;
}();

// ---- bench --------------------------------------------------------------------------------------------

struct Options {
    uint32_t inputs = 1, walkers = 1, memory_depth = 0;
    bool squash = true;
};

class WalkerBench
{
  public:
    // World: inputs, control; responder: memory.
    explicit WalkerBench(const Options &options)
        : world("world", options.inputs + 1, 1), inputs_(options.inputs)
    {
        iom_pool_init(&walks_, IOM_MSG_WALK, sizeof(iom_walk));
        iom_pool_init(&controls_, IOM_MSG_CONTROL, sizeof(iom_control));
        arch.ops = &ops;
        iom_walker_config config = {};
        config.arch = &arch;
        config.inputs = options.inputs;
        config.walkers = options.walkers;
        config.step_cycles = step_cycles;
        config.fused_psc = true;
        config.squash_walks = options.squash;
        walker = iom_walker_create(&config, "walker");
        bench.add(world.unit());
        bench.add(iom_walker_unit(walker));
        for (uint32_t i = 0; i < inputs_; i++) {
            bench.connect(world.port(i), iom_walker_input(walker, i), {1, 1, 1, 0});
            world.on(i, [this](iom_cycle now, iom_msg *msg) {
                answered[reinterpret_cast<iom_walk *>(msg)] = now;
            });
        }
        bench.connect(world.port(inputs_), iom_walker_port(walker, IOM_WALKER_CONTROL), {1, 1, 1, 0});
        world.on(inputs_, [this](iom_cycle now, iom_msg *msg) {
            acknowledged.push_back(now);
            iom_msg_release(msg);
        });
        const uint32_t memory = inputs_ + 1;
        bench.connect(iom_walker_port(walker, IOM_WALKER_MEMORY), world.port(memory),
                      {1, 1, 1, options.memory_depth});
        world.on(memory, [this, memory](iom_cycle now, iom_msg *msg) { serve(now, memory, msg); });
        bench.start();
    }
    ~WalkerBench()
    {
        bench.close();
        iom_walker_destroy(walker);
        iom_pool_free(&walks_);
        iom_pool_free(&controls_);
    }
    WalkerBench(const WalkerBench &) = delete;
    WalkerBench &operator=(const WalkerBench &) = delete;

    /// A walk of `length` words that arrives at the pool in `arrival`.
    iom_walk *send(uint32_t input, iom_cycle arrival, uint64_t address, uint32_t length, unsigned flags = 0)
    {
        auto *walk = static_cast<iom_walk *>(iom_pool_take(&walks_));
        const iom_msg header = walk->msg;
        *walk = iom_walk{};
        walk->msg = header;
        walk->what = IOM_LOOKUP_IOTLB;
        walk->x.next = IOM_LOOKUP_IOTLB;
        walk->x.address = address;
        walk->x.bytes = length;
        walk->x.flags = static_cast<uint16_t>(flags);
        walk->fill.valid = true;
        world.send_at(arrival - 1, input, &walk->msg);
        return walk;
    }
    iom_control *control(iom_cycle arrival, iom_control_op op)
    {
        auto *message = static_cast<iom_control *>(iom_pool_take(&controls_));
        const iom_msg header = message->msg;
        *message = iom_control{};
        message->msg = header;
        message->op = static_cast<uint8_t>(op);
        world.send_at(arrival - 1, inputs_, &message->msg);
        return message;
    }
    /// Arrival of the answer at the requester.
    iom_cycle done(const iom_walk *walk) const
    {
        auto at = answered.find(walk);
        return at == answered.end() ? IOM_NEVER : at->second;
    }
    const iom_walker_stats &stats()
    {
        return *iom_walker_stats_of(walker);
    }

    bench::Bench bench;
    bench::ScriptUnit world;
    iom_arch arch = {};
    iom_walker *walker = nullptr;
    std::map<const iom_walk *, iom_cycle> answered;
    std::map<uint64_t, uint64_t> words;                   ///< contents of memory
    uint64_t failing = UINT64_MAX;                        ///< address that does not answer
    uint32_t lost_races = 0;                              ///< updates somebody else comes before
    std::vector<std::pair<iom_cycle, uint64_t>> accesses; ///< arrival at memory, address
    std::vector<iom_cycle> acknowledged;

  private:
    void serve(iom_cycle now, uint32_t port, iom_msg *msg)
    {
        auto *access = reinterpret_cast<iom_memory_access *>(msg);
        accesses.emplace_back(now, access->address);
        access->error = access->address == failing;
        uint64_t &word = words[access->address];
        if (access->op == IOM_MEMORY_CAS && lost_races != 0) {
            lost_races--;
            word += 0x1000;
        }
        access->data[0] = word;
        if (access->op == IOM_MEMORY_CAS && word == access->expected)
            word = access->desired;
        iom_port_return_credit(world.port(port), now);
        world.send_at(now + memory_cycles, port, msg);
    }

    iom_pool walks_ = {}, controls_ = {};
    uint32_t inputs_;
};

// ---- one walk -----------------------------------------------------------------------------------------

TEST(Walker, a_walk_takes_its_steps_one_after_the_other)
{
    for (uint32_t words : {0u, 1u, 2u, 5u}) {
        WalkerBench b({});
        iom_walk *walk = b.send(0, 100, 0x1000, words);
        b.bench.run_until_idle();
        EXPECT_EQ(b.done(walk), 100 + words * read_cycles + 1) << words;
        ASSERT_EQ(b.accesses.size(), words);
        for (uint32_t i = 0; i < words; i++)
            EXPECT_EQ(b.accesses[i], (std::pair<iom_cycle, uint64_t>{101 + i * read_cycles, 0x1000 + 8 * i}));
        EXPECT_EQ(walk->reads, words);
        EXPECT_EQ(walk->memory_cycles, words * (memory_cycles + 2));
        EXPECT_EQ(b.stats().busy_cycles, words * read_cycles);
        EXPECT_EQ(b.stats().table_reads, words);
        EXPECT_EQ(b.stats().page_walks, 1u);
    }
}

TEST(Walker, an_access_error_ends_in_the_hands_of_the_architecture)
{
    WalkerBench b({});
    b.failing = 0x1008;
    iom_walk *walk = b.send(0, 100, 0x1000, 4);
    b.bench.run_until_idle();
    EXPECT_EQ(walk->x.outcome, IOM_OUTCOME_FAULT);
    EXPECT_EQ(b.done(walk), 100 + 2 * read_cycles + 1);
    EXPECT_EQ(b.stats().access_errors, 1u);
    // The next walk starts without the error of the one before.
    iom_walk *next = b.send(0, 300, 0x2000, 1);
    b.bench.run_until_idle();
    EXPECT_EQ(next->x.outcome, IOM_OUTCOME_ADDRESS);
}

TEST(Walker, an_update_that_loses_a_race_is_tried_again)
{
    for (uint32_t lost : {0u, 1u, 3u}) {
        WalkerBench b({});
        b.words[0x1000] = 0x40;
        b.lost_races = lost;
        iom_walk *walk = b.send(0, 100, 0x1000, 1, IOM_REQ_WRITE);
        b.bench.run_until_idle();
        EXPECT_EQ(b.words[0x1000], 0x41 + 0x1000 * lost);
        EXPECT_EQ(walk->updates, lost + 1);
        EXPECT_EQ(b.stats().table_updates, lost + 1);
        EXPECT_EQ(b.done(walk), 100 + (2 + lost) * read_cycles + 1);
    }
}

// ---- several walks ------------------------------------------------------------------------------------

TEST(Walker, as_many_walks_at_once_as_there_are_walkers)
{
    for (uint32_t walkers : {1u, 2u, 3u, 8u}) {
        Options options;
        options.walkers = walkers;
        WalkerBench b(options);
        std::vector<iom_walk *> walks;
        for (uint32_t i = 0; i < 7; i++)
            walks.push_back(b.send(0, 100, uint64_t{0x1000} * (i + 1), 2));
        b.bench.run_until_idle();
        for (uint32_t i = 0; i < 7; i++) {
            const iom_cycle begin = 100 + i / walkers * (2 * read_cycles);
            EXPECT_EQ(walks[i]->started, begin) << walkers << " walkers, walk " << i;
            EXPECT_EQ(b.done(walks[i]), begin + 2 * read_cycles + 1);
        }
        EXPECT_EQ(b.stats().most_busy, std::min(walkers, 7u));
        EXPECT_EQ(b.stats().busy_cycles, 7 * (2 * read_cycles));
    }
}

TEST(Walker, inputs_take_turns)
{
    Options options;
    options.inputs = 3;
    WalkerBench b(options);
    std::map<iom_cycle, uint32_t> by_cycle;
    std::vector<std::pair<uint32_t, iom_walk *>> walks;
    for (uint32_t input = 0; input < 3; input++) {
        for (uint32_t i = 0; i < 3; i++)
            walks.emplace_back(input, b.send(input, 100, 0x1000, 1));
    }
    b.bench.run_until_idle();
    for (auto [input, walk] : walks)
        by_cycle[walk->started] = input;
    std::vector<uint32_t> order;
    order.reserve(by_cycle.size());
    for (auto [cycle, input] : by_cycle)
        order.push_back(input);
    EXPECT_EQ(order, (std::vector<uint32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2}));
}

TEST(Walker, accesses_wait_for_credits_of_memory)
{
    Options options;
    options.walkers = 3;
    options.memory_depth = 1; // freed on arrival: an access every two cycles
    WalkerBench b(options);
    std::vector<iom_walk *> walks;
    for (uint32_t i = 0; i < 3; i++)
        walks.push_back(b.send(0, 100, uint64_t{0x1000} * (i + 1), 1));
    b.bench.run_until_idle();
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT_EQ(b.accesses[i].first, 101 + 2 * i);
        EXPECT_EQ(b.done(walks[i]), 100 + 2 * i + read_cycles + 1);
    }
    // The wait counts as waiting for memory.
    EXPECT_EQ(walks[2]->memory_cycles, memory_cycles + 2 + 4);
}

// ---- control ------------------------------------------------------------------------------------------

TEST(Walker, a_view_applies_from_the_cycle_behind_its_arrival)
{
    Options options;
    options.walkers = 2;
    WalkerBench b(options);
    b.control(110, IOM_CONTROL_VIEW)->view.root = 7;
    iom_walk *same = b.send(0, 110, 0x1000, 1), *after = b.send(0, 111, 0x2000, 1);
    b.bench.run_until_idle();
    EXPECT_EQ(same->scratch[3], 0u);
    EXPECT_EQ(same->scratch[4], 7u) << "a later step sees the new view";
    EXPECT_EQ(after->scratch[3], 7u);
    EXPECT_EQ(b.acknowledged, (std::vector<iom_cycle>{111}));
}

TEST(Walker, an_invalidation_poisons_the_walks_under_way)
{
    for (bool squash : {true, false}) {
        Options options;
        options.squash = squash;
        WalkerBench b(options);
        iom_invalidation &invalidation = b.control(110, IOM_CONTROL_INVALIDATE)->invalidation;
        invalidation.parts = 1;
        invalidation.part[0].targets = IOM_INVALIDATE_ALL;
        iom_walk *under_way = b.send(0, 100, 0x1000, 1), *waiting = b.send(0, 100, 0x2000, 1);
        b.bench.run_until_idle();
        EXPECT_EQ(under_way->poisoned, squash);
        EXPECT_FALSE(waiting->poisoned) << "it had read nothing yet";
        EXPECT_EQ(b.acknowledged.size(), 1u);
    }
}

} // namespace
