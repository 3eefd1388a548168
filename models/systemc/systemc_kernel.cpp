// SPDX-License-Identifier: Apache-2.0
//
// Partitions, elaboration and the run loop of the SystemC kernel. See systemc_kernel.h.
#include "models/systemc/systemc_kernel.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include <systemc>

#include "models/systemc/unit_module.h"

// libsystemc's own main() refers to it. Naming it here makes the linker take our definition from the
// library (sc_main.cpp) unless the program has one.
int sc_main(int argc, char *argv[]);

namespace iommu_sim
{

// ---- partitions ------------------------------------------------------------------------------------

namespace
{

using UnitIndex = std::unordered_map<const iom_unit *, size_t>; // looked up only, never iterated

UnitIndex index_units(const iom_netlist &netlist)
{
    UnitIndex index;
    for (uint32_t i = 0; i < netlist.unit_count; i++)
        index[netlist.units[i]] = i;
    return index;
}

bool has_zero_latency(const iom_connection &connection)
{
    return connection.requester->latency == 0 || connection.responder->latency == 0;
}

// Root of each unit's set when units joined by zero latency are one (union by lowest index).
std::vector<size_t> inseparable_sets(const iom_netlist &netlist)
{
    UnitIndex index = index_units(netlist);
    std::vector<size_t> root(netlist.unit_count);
    std::iota(root.begin(), root.end(), size_t{0});
    auto find = [&](size_t unit) {
        while (root[unit] != unit)
            unit = root[unit];
        return unit;
    };
    for (uint32_t c = 0; c < netlist.connection_count; c++) {
        const iom_connection &connection = netlist.connections[c];
        if (!has_zero_latency(connection))
            continue;
        size_t a = find(index.at(connection.requester->unit));
        size_t b = find(index.at(connection.responder->unit));
        root[std::max(a, b)] = std::min(a, b);
    }
    for (size_t unit = 0; unit < root.size(); unit++)
        root[unit] = find(unit);
    return root;
}

} // namespace

Partition partition_by_unit(const iom_netlist &netlist)
{
    std::vector<size_t> root = inseparable_sets(netlist);
    return Partition(root.begin(), root.end());
}

Partition partition_into(const iom_netlist &netlist, unsigned modules)
{
    std::vector<size_t> root = inseparable_sets(netlist);
    Partition partition(root.size());
    for (size_t unit = 0; unit < root.size(); unit++)
        partition[unit] = root[unit] == unit ? static_cast<int>(unit * std::max(modules, 1u) / root.size())
                                             : partition[root[unit]];
    return partition;
}

// ---- elaboration -----------------------------------------------------------------------------------

struct SystemcKernel::State {
    RunControl control;
    std::vector<std::unique_ptr<UnitModule>> modules;
    std::vector<iom_rng> orders;
    uint64_t tick_ps;

    void check(const iom_netlist &netlist, const Partition &partition) const;
    void make_modules(const iom_netlist &netlist, const Partition &partition);
    void bind_sockets(const iom_netlist &netlist);
    UnitModule &module_of(const iom_unit &unit);
};

void SystemcKernel::State::check(const iom_netlist &netlist, const Partition &partition) const
{
    if (partition.size() != netlist.unit_count)
        throw std::invalid_argument("partition: has " + std::to_string(partition.size()) + " entries for " +
                                    std::to_string(netlist.unit_count) + " units");
    UnitIndex index = index_units(netlist);
    for (uint32_t c = 0; c < netlist.connection_count; c++) {
        const iom_connection &connection = netlist.connections[c];
        const iom_unit *from = connection.requester->unit, *to = connection.responder->unit;
        if (has_zero_latency(connection) && partition[index.at(from)] != partition[index.at(to)])
            throw std::invalid_argument(std::string("partition: the connection of zero latency between ") +
                                        from->name + " and " + to->name + " cannot cross modules");
    }
}

void SystemcKernel::State::make_modules(const iom_netlist &netlist, const Partition &partition)
{
    std::vector<int> sets;
    for (int set : partition)
        if (std::find(sets.begin(), sets.end(), set) == sets.end())
            sets.push_back(set);
    for (int set : sets) {
        std::vector<iom_unit *> members;
        for (size_t i = 0; i < partition.size(); i++)
            if (partition[i] == set)
                members.push_back(netlist.units[i]);
        std::string name = members.size() == 1 ? members.front()->name : "module";
        std::replace(name.begin(), name.end(), '.', '_');
        name = sc_core::sc_gen_unique_name(name.c_str(), true);
        modules.push_back(std::make_unique<UnitModule>(name.c_str(), members, tick_ps, nullptr, &control));
    }
}

UnitModule &SystemcKernel::State::module_of(const iom_unit &unit)
{
    for (auto &module : modules)
        if (&module->group() == unit.group)
            return *module;
    throw std::invalid_argument(std::string(unit.name) + ": connected, but not in the netlist");
}

void SystemcKernel::State::bind_sockets(const iom_netlist &netlist)
{
    for (uint32_t c = 0; c < netlist.connection_count; c++) {
        const iom_connection &connection = netlist.connections[c];
        UnitModule &from = module_of(*connection.requester->unit);
        UnitModule &to = module_of(*connection.responder->unit);
        if (&from != &to)
            from.initiator(*connection.requester).bind(to.target(*connection.responder));
    }
}

SystemcKernel::SystemcKernel(const iom_netlist &netlist, const Partition &partition, uint64_t tick_ps)
    : state_(std::make_unique<State>())
{
    static std::atomic<bool> used{false};
    static int (*volatile const keep_sc_main)(int, char **) = sc_main;
    static_cast<void>(keep_sc_main);
    state_->tick_ps = tick_ps;
    state_->check(netlist, partition);
    if (used.exchange(true) || sc_core::sc_get_status() != sc_core::SC_ELABORATION)
        throw std::logic_error("SystemC elaborates once per process: start another process for another run "
                               "with the systemc kernel");
    // A run up to a limit ends one unit of sc_time after it, so a tick must have more than one.
    if (tick_ps == 1)
        sc_core::sc_set_time_resolution(100, sc_core::SC_FS);
    // A unit may come from a kernel that is gone: its group pointer means nothing any more.
    for (uint32_t i = 0; i < netlist.unit_count; i++)
        netlist.units[i]->group = nullptr;
    state_->make_modules(netlist, partition);
    state_->bind_sockets(netlist);
}

SystemcKernel::~SystemcKernel() = default;

// ---- run -------------------------------------------------------------------------------------------

iom_run_end SystemcKernel::run(iom_cycle limit, const bool *stop)
{
    RunControl &control = state_->control;
    control.stop = stop;
    control.stopped = false;
    ModuleTime time(state_->tick_ps);
    iom_cycle last = std::min(limit, time.last_cycle());
    if (next_event() <= last) {
        // SystemC leaves the work of the very last instant of a run to the next run: go one unit further.
        ModuleTime::value_type end = last * time.tick() + 1;
        ModuleTime::value_type begin = sc_core::sc_time_stamp().value();
        sc_core::sc_start(sc_core::sc_time::from_value(end - begin), sc_core::SC_EXIT_ON_STARVATION);
    }
    if (control.stopped)
        return IOM_RUN_STOPPED;
    if (next_event() != IOM_NEVER)
        return IOM_RUN_LIMIT;
    return outstanding() == 0 ? IOM_RUN_IDLE : IOM_RUN_DEADLOCK;
}

iom_cycle SystemcKernel::now() const
{
    return state_->control.now;
}

iom_cycle SystemcKernel::next_event() const
{
    iom_cycle next = IOM_NEVER;
    for (const auto &module : state_->modules)
        next = std::min(next, iom_group_next_event(&module->group()));
    return next;
}

uint64_t SystemcKernel::outstanding() const
{
    uint64_t total = 0;
    for (const auto &module : state_->modules)
        total += iom_group_outstanding(&module->group());
    return total;
}

uint64_t SystemcKernel::events() const
{
    uint64_t total = 0;
    for (const auto &module : state_->modules)
        total += module->group().events;
    return total;
}

std::string SystemcKernel::explain() const
{
    std::string text;
    for (const auto &module : state_->modules)
        text += explain_group(module->group());
    return text;
}

void SystemcKernel::shuffle(uint64_t seed)
{
    state_->orders.resize(state_->modules.size());
    for (size_t i = 0; i < state_->modules.size(); i++) {
        iom_rng_seed(&state_->orders[i], seed, state_->modules[i]->name());
        state_->modules[i]->group().shuffle = &state_->orders[i];
    }
}

uint64_t SystemcKernel::payloads_made() const
{
    uint64_t total = 0;
    for (const auto &module : state_->modules)
        total += module->payloads().made();
    return total;
}

uint64_t SystemcKernel::payloads_in_use() const
{
    uint64_t total = 0;
    for (const auto &module : state_->modules)
        total += module->payloads().in_use();
    return total;
}

} // namespace iommu_sim
