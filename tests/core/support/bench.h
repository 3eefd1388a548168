// SPDX-License-Identifier: Apache-2.0
//
// A bench for timed units: scripted neighbours around the unit under test, all in one group.
//
// A ScriptUnit stands in for a device, a walker, a memory or a command unit. What it does in which cycle
// is said by the test beforehand (`at`) or decided when a message arrives (`on`); everything that
// arrives is logged with its cycle. The bench advances the group to a cycle given by the test, so that
// "not yet in c - 1, there in c" can be asked for.
#ifndef IOM_TESTS_CORE_SUPPORT_BENCH_H
#define IOM_TESTS_CORE_SUPPORT_BENCH_H

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/netlist.h"
#include "core/unit.h"

namespace bench
{

class ScriptUnit
{
  public:
    using Action = std::function<void(iom_cycle now)>;
    using Handler = std::function<void(iom_cycle now, iom_msg *msg)>;
    struct Arrival {
        iom_cycle cycle;
        uint32_t port;
        iom_msg *msg;
    };

    /// Ports 0..requesters-1 are requester ends, `responders` more follow.
    ScriptUnit(const char *name, uint32_t requesters, uint32_t responders);
    ScriptUnit(const ScriptUnit &) = delete;
    ScriptUnit &operator=(const ScriptUnit &) = delete;

    iom_unit *unit()
    {
        return &header_.unit;
    }
    iom_port *port(uint32_t index)
    {
        return &ports_[index];
    }
    /// Does `action` in `cycle`, which has not been evaluated yet, after what arrives then. Actions of one
    /// cycle are done in the order in which they were given.
    void at(iom_cycle cycle, Action action);
    /// Called for each message that arrives at `port`, in place of keeping it in `arrivals`.
    void on(uint32_t port, Handler handler);
    /// Sends at `cycle`; the credit must be there by then.
    void send_at(iom_cycle cycle, uint32_t port, iom_msg *msg);

    std::vector<Arrival> arrivals; ///< of ports without handler, in the order of their processing

  private:
    struct Header {
        iom_unit unit; // first: found back from the unit pointer
        ScriptUnit *self;
    };
    static iom_cycle advance(iom_unit *unit, iom_cycle now);

    static const iom_unit_ops ops_;
    Header header_ = {};
    std::vector<iom_port> ports_;
    std::map<uint32_t, Handler> handlers_;
    std::multimap<iom_cycle, Action> actions_;
};

/// Units and connections in one group.
class Bench
{
  public:
    Bench();
    ~Bench();
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    /// Takes connections and group apart, before the units are freed (the destructor does it too).
    void close();
    iom_netlist &netlist()
    {
        return netlist_;
    }
    void add(iom_unit *unit);
    void connect(iom_port *requester, iom_port *responder, const iom_link_config &link);
    /// After the last add and connect; the first cycle that may hold work is 0.
    void start();
    /// Does all work up to and including `cycle`. Units may then wait for what the test has yet to do.
    void run_to(iom_cycle cycle);
    /// Runs until nothing is left to do; a deadlock or a run beyond `limit` fails the test.
    void run_until_idle(iom_cycle limit = 10000000);
    /// Last cycle with work.
    iom_cycle now() const
    {
        return group_.wheel.now;
    }
    /// Units of one cycle are evaluated in random order from now on.
    void shuffle(uint64_t seed);
    uint64_t outstanding() const
    {
        return iom_group_outstanding(&group_);
    }

  private:
    iom_netlist netlist_ = {};
    iom_group group_ = {};
    iom_rng order_ = {};
    bool started_ = false;
};

} // namespace bench

#endif
