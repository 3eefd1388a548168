// SPDX-License-Identifier: Apache-2.0
//
// Sums over units. See measures.h.
#include "models/report/measures.h"

#include <algorithm>

namespace iommu_sim
{

namespace
{

// What each kind of statistic (core/stats.h) does when a group is added to the sum `to`.

void add_counter(const StatisticGroup &group, const char *name, uint64_t &to)
{
    to += group.value(name);
}

void add_maximum(const StatisticGroup &group, const char *name, uint64_t &to)
{
    to = std::max(to, group.value(name));
}

void add_histogram(const StatisticGroup &group, const char *name, iom_histogram &to)
{
    if (const StatisticValue *value = group.find(name))
        iom_histogram_merge(&to, &value->histogram);
}

// Adds a group to the struct it was read from, statistic by statistic of the list that declares both.
#define IOM_ADD_STAT(kind, name, unit, description) add_##kind(group, #name, to.name);
#define IOM_DEFINE_ADD(role, list)                                                                           \
    void add_group(const StatisticGroup &group, iom_##role##_stats &to)                                      \
    {                                                                                                        \
        list(IOM_ADD_STAT)                                                                                   \
    }
IOM_DEFINE_ADD(stage, IOM_STAGE_STATS)
IOM_DEFINE_ADD(lookup, IOM_LOOKUP_STATS)
IOM_DEFINE_ADD(register, IOM_REGISTER_STATS)
IOM_DEFINE_ADD(psc, IOM_PSC_STATS)
IOM_DEFINE_ADD(walker, IOM_WALKER_STATS)
IOM_DEFINE_ADD(memory, IOM_MEMORY_STATS)
IOM_DEFINE_ADD(command_queue, IOM_COMMAND_QUEUE_STATS)
IOM_DEFINE_ADD(fanout, IOM_FANOUT_STATS)
IOM_DEFINE_ADD(device_tlb, IOM_DEVICE_TLB_STATS)
IOM_DEFINE_ADD(host, IOM_HOST_STATS)
IOM_DEFINE_ADD(tracker, IOM_TRACKER_STATS)

/// Sums all groups of one name.
template <typename Stats> void add_groups(const PhaseResult &phase, const std::string &name, Stats &to)
{
    for (const StatisticGroup &group : phase.groups) {
        if (group.group == name)
            add_group(group, to);
    }
}

void copy_histogram(const StatisticGroup &group, const char *name, iom_histogram &to)
{
    if (const StatisticValue *value = group.find(name))
        to = value->histogram;
}

SourceMeasures source_measures(const StatisticGroup &group)
{
    SourceMeasures source;
    source.name = group.unit;
    source.replay = group.kind == "replay";
    source.completed = group.value("completed");
    source.reads = group.value(source.replay ? "dma_reads" : "reads");
    source.writes = group.value(source.replay ? "dma_writes" : "writes");
    source.bytes_read = group.value("bytes_read");
    source.bytes_written = group.value("bytes_written");
    source.faults = group.value("faults");
    source.memory_errors = group.value("memory_errors");
    source.operations_done = group.value("operations_done");
    source.operations_aborted = group.value("operations_aborted");
    copy_histogram(group, "latency", source.latency);
    copy_histogram(group, "operation_latency", source.operation_latency);
    return source;
}

void add(SourceMeasures &total, const SourceMeasures &source)
{
    total.completed += source.completed;
    total.reads += source.reads;
    total.writes += source.writes;
    total.bytes_read += source.bytes_read;
    total.bytes_written += source.bytes_written;
    total.faults += source.faults;
    total.memory_errors += source.memory_errors;
    total.operations_done += source.operations_done;
    total.operations_aborted += source.operations_aborted;
    iom_histogram_merge(&total.latency, &source.latency);
    iom_histogram_merge(&total.operation_latency, &source.operation_latency);
}

void measure_sources(const PhaseResult &phase, Measures &m)
{
    for (const StatisticGroup &group : phase.groups) {
        if (group.group == "device" || group.group == "replay")
            m.sources.push_back(source_measures(group));
    }
    for (const SourceMeasures &source : m.sources)
        add(m.traffic, source);
}

void measure_units(const PhaseResult &phase, Measures &m)
{
    add_groups(phase, "frontend", m.frontend);
    add_groups(phase, "frontend", m.stages);
    add_groups(phase, "stage", m.stages);
    add_groups(phase, "registers", m.registers);
    add_groups(phase, "iotlb", m.iotlb);
    add_groups(phase, "context_cache", m.context_cache);
    add_groups(phase, "pasid_cache", m.pasid_cache);
    add_groups(phase, "psc", m.psc);
    add_groups(phase, "walker", m.walker);
    add_groups(phase, "memory", m.memory);
    add_groups(phase, "command_queue", m.queue);
    add_groups(phase, "fanout", m.fanout);
    add_groups(phase, "device_tlb", m.device_tlb);
    add_groups(phase, "host", m.host);
    add_groups(phase, "tracker", m.tracker);
}

void measure_links(const PhaseResult &phase, Measures &m)
{
    for (const StatisticGroup &group : phase.groups) {
        if (group.group == "link")
            m.links.push_back({group.unit, group.value("request_busy_cycles"),
                               group.value("response_busy_cycles"), group.value("credit_waits")});
    }
}

constexpr const char *call_prefix = "host_";

CallMeasures call_measures(const StatisticGroup &group)
{
    CallMeasures call;
    call.name = group.group.substr(std::char_traits<char>::length(call_prefix));
    call.submissions = group.value("submissions");
    call.commands = group.value("commands");
    copy_histogram(group, "time", call.time);
    for (size_t i = 0; i < call.part.size(); i++)
        copy_histogram(group, call_part_names()[i].key, call.part[i]);
    return call;
}

void measure_calls(const PhaseResult &phase, Measures &m)
{
    for (const StatisticGroup &group : phase.groups) {
        if (group.group.rfind(call_prefix, 0) != 0)
            continue;
        CallMeasures call = call_measures(group);
        if (call.time.count != 0)
            m.calls.push_back(std::move(call));
    }
}

} // namespace

Measures measure(const PhaseResult &phase, const SystemConfig &config)
{
    Measures m;
    m.cycles = phase.cycles();
    m.tick_ps = config.clock.tick_ps;
    measure_sources(phase, m);
    measure_units(phase, m);
    m.part_cycles = {m.frontend.queueing_cycles, m.frontend.lookup_cycles, m.frontend.context_cycles,
                     m.frontend.pasid_cycles,    m.frontend.walk_cycles,   m.frontend.memory_cycles};
    m.walkers = config.walker.walkers;
    measure_links(phase, m);
    measure_calls(phase, m);
    return m;
}

double Measures::seconds() const
{
    return static_cast<double>(cycles) * static_cast<double>(tick_ps) / 1e12;
}

double Measures::ns(double cycles_count) const
{
    return cycles_count * static_cast<double>(tick_ps) / 1e3;
}

uint64_t Measures::part_total() const
{
    uint64_t total = 0;
    for (const uint64_t cycles_of_part : part_cycles)
        total += cycles_of_part;
    return total;
}

const std::array<PartName, IOM_PART_COUNT> &part_names()
{
    static const std::array<PartName, IOM_PART_COUNT> names = {{
        {"queueing", "waiting (queues, walkers, order, others' walks, hops)"},
        {"lookup", "front end and IOTLB look-ups"},
        {"context", "context look-ups and fetches"},
        {"pasid", "PASID look-ups and fetches"},
        {"walk", "page-walk steps"},
        {"memory", "table reads of page walks"},
    }};
    return names;
}

const CallMeasures *Measures::call(const std::string &name) const
{
    for (const CallMeasures &candidate : calls) {
        if (candidate.name == name)
            return &candidate;
    }
    return nullptr;
}

const std::array<CallPartName, IOM_HOST_PARTS> &call_part_names()
{
    static const std::array<CallPartName, IOM_HOST_PARTS> names = {{
        {"call", "call", "the driver's own work"},
        {"table", "table", "writing the tables"},
        {"lock", "lock", "waiting for and acquiring locks"},
        {"submit", "submit", "commands into the queue, doorbell"},
        {"execute", "execute", "fetching and carrying out the commands"},
        {"status", "status", "status on its way to the processor"},
        {"poll", "poll", "until the thread looks"},
    }};
    return names;
}

std::optional<double> histogram_mean(const iom_histogram &histogram)
{
    if (histogram.count == 0)
        return std::nullopt;
    return static_cast<double>(histogram.sum) / static_cast<double>(histogram.count);
}

} // namespace iommu_sim
