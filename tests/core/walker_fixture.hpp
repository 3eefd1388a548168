// SPDX-License-Identifier: Apache-2.0
//
// The walker pool (core/walker.h) between scripted stages and memory, and walks made up for the purpose.
//
// The toy architecture reads `bytes` of the request as that many table words, one after the other from the
// request's address on; with IOM_REQ_WRITE an atomic update of the last word follows, tried again until it
// succeeds. With IOM_REQ_EXEC the walk asks the paging-structure caches first, and hands out an entry of
// level 2 along with its last action. Connections take one cycle each way, memory answers after 10 cycles, a
// step takes 3: a read costs 15 cycles from departure to digested.
#ifndef IOM_TESTS_CORE_WALKER_FIXTURE_HPP
#define IOM_TESTS_CORE_WALKER_FIXTURE_HPP

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "core/control.h"
#include "core/memory.h"
#include "core/walker.h"
#include "tests/core/support/bench.h"

namespace walker_fixture
{

inline constexpr uint64_t memory_cycles = 10, step_cycles = 3;
inline constexpr uint64_t read_cycles = 1 + memory_cycles + 1 + step_cycles;

// ---- toy walks ----------------------------------------------------------------------------------------

inline void next_action(iom_walk *walk)
{
    const uint64_t words = walk->x.bytes;
    const bool caches = (walk->x.flags & IOM_REQ_EXEC) != 0;
    walk->psc_fill.valid = false;
    if (caches && walk->scratch[5] == 0) {
        walk->scratch[5] = 1;
        walk->action = IOM_WALK_PROBE;
        walk->probe.stage = 2;
        walk->probe.lowest = 2;
        walk->probe.highest = 2;
        walk->probe.key = iom_tag{};
        walk->probe.key.address = walk->x.address;
        return;
    }
    if (caches && walk->scratch[0] == words) {
        walk->psc_fill.valid = true;
        walk->psc_fill.stage = 2;
        walk->psc_fill.level = 2;
        walk->psc_fill.tag = iom_tag{};
        walk->psc_fill.tag.size_log2 = 21;
        walk->psc_fill.tag.address = iom_align_down(walk->x.address, 21);
    }
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

inline void walk_start(const iom_arch *, const iom_view *view, iom_walk *walk)
{
    for (uint64_t &s : walk->scratch)
        s = 0;
    walk->scratch[3] = view->root;
    next_action(walk);
}

inline void walk_step(const iom_arch *, const iom_view *view, iom_walk *walk)
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

inline const iom_arch_ops toy_ops = [] {
    iom_arch_ops table = {};
    table.name = "toy";
    table.walk_start = walk_start;
    table.walk_step = walk_step;
    return table;
}();

// ---- bench --------------------------------------------------------------------------------------------

struct Options {
    uint32_t inputs = 1, walkers = 1, memory_depth = 0;
    bool squash = true, live_context = false;
    iom_psc_config psc = {}; ///< no caches
    const iom_arch_ops *ops = &toy_ops;
    iom_walk_timing timing = {};
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
        iom_pool_init(&contexts_, IOM_MSG_WALK_CONTEXT, sizeof(iom_walk_context));
        arch.ops = options.ops;
        iom_walker_config config = {};
        config.arch = &arch;
        config.inputs = options.inputs;
        config.walkers = options.walkers;
        config.step_cycles = step_cycles;
        config.timing = options.timing;
        config.fused_psc = true;
        config.squash_walks = options.squash;
        config.live_context = options.live_context;
        config.psc = options.psc;
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
            removed.push_back(reinterpret_cast<const iom_control *>(msg)->removed);
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
        iom_pool_free(&contexts_);
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
    /// What the stage at `input` sees of the context of its page walk.
    void tell(uint32_t input, iom_cycle arrival, const iom_context &context, bool write)
    {
        auto *message = reinterpret_cast<iom_walk_context *>(iom_pool_take(&contexts_));
        message->context = context;
        message->write = write;
        world.send_at(arrival - 1, input, &message->msg);
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
    std::vector<uint32_t> removed;

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

    iom_pool walks_ = {}, controls_ = {}, contexts_ = {};
    uint32_t inputs_;
};

} // namespace walker_fixture

#endif
