// SPDX-License-Identifier: Apache-2.0
//
// Sums over units. See measures.h.
#include "models/report/measures.h"

#include <algorithm>

namespace iommu_sim
{

namespace
{

/// All groups of one name in a phase.
class Role
{
  public:
    Role(const PhaseResult &phase, const std::string &group)
    {
        for (const StatisticGroup &candidate : phase.groups) {
            if (candidate.group == group)
                groups_.push_back(&candidate);
        }
    }

    uint64_t sum(const char *name) const
    {
        uint64_t total = 0;
        for (const StatisticGroup *group : groups_)
            total += group->value(name);
        return total;
    }
    uint64_t largest(const char *name) const
    {
        uint64_t result = 0;
        for (const StatisticGroup *group : groups_)
            result = std::max(result, group->value(name));
        return result;
    }
    void merge(const char *name, iom_histogram &into) const
    {
        for (const StatisticGroup *group : groups_) {
            if (const StatisticValue *value = group->find(name))
                iom_histogram_merge(&into, &value->histogram);
        }
    }

  private:
    std::vector<const StatisticGroup *> groups_;
};

LookupMeasures lookup_measures(const PhaseResult &phase, const std::string &group)
{
    const Role role(phase, group);
    LookupMeasures cache;
    cache.lookups = role.sum("lookups");
    cache.hits = role.sum("hits");
    cache.misses = role.sum("misses");
    cache.merged = role.sum("merged");
    cache.insufficient = role.sum("insufficient");
    cache.fills = role.sum("fills");
    cache.evictions = role.sum("evictions");
    cache.invalidated = role.sum("invalidated");
    return cache;
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

void measure_front(const PhaseResult &phase, Measures &m)
{
    const Role front(phase, "frontend");
    m.requests = front.sum("requests");
    m.translated = front.sum("translated");
    m.bypassed = front.sum("bypassed");
    m.interrupts = front.sum("interrupts");
    m.denied = front.sum("denied");
    m.faults = front.sum("faults");
    m.order_waits = front.sum("order_waits");
    for (size_t i = 0; i < m.part_cycles.size(); i++)
        m.part_cycles[i] = front.sum((std::string(part_names()[i].key) + "_cycles").c_str());
    front.merge("latency", m.latency);
    front.merge("hit_latency", m.hit_latency);
    front.merge("miss_latency", m.miss_latency);
    m.walked = m.miss_latency.count;
    // Chained look-ups are stages of their own behind the front end.
    for (const char *group : {"frontend", "stage"}) {
        const Role stage(phase, group);
        m.stalls += stage.sum("stalls");
        m.replays += stage.sum("replays");
        m.exit_waits += stage.sum("exit_waits");
        m.most_walks = std::max(m.most_walks, stage.largest("most_walks"));
    }
    const Role registers(phase, "registers");
    m.faults_recorded = registers.sum("faults_recorded");
    m.faults_dropped = registers.sum("faults_dropped");
}

void measure_walks(const PhaseResult &phase, const SystemConfig &config, Measures &m)
{
    const Role psc(phase, "psc");
    m.psc.lookups = psc.sum("lookups");
    m.psc.misses = psc.sum("misses");
    m.psc.fills = psc.sum("fills");
    m.psc.evictions = psc.sum("evictions");
    for (size_t level = 2; level < m.psc.hits.size(); level++)
        m.psc.hits[level] = psc.sum(("hits_level" + std::to_string(level)).c_str());
    const Role walker(phase, "walker");
    m.walker.walks = walker.sum("walks");
    m.walker.context_walks = walker.sum("context_walks");
    m.walker.pasid_walks = walker.sum("pasid_walks");
    m.walker.page_walks = walker.sum("page_walks");
    m.walker.table_reads = walker.sum("table_reads");
    m.walker.table_updates = walker.sum("table_updates");
    m.walker.access_errors = walker.sum("access_errors");
    m.walker.busy_cycles = walker.sum("busy_cycles");
    m.walker.most_busy = walker.largest("most_busy");
    m.walker.walkers = config.walker.walkers;
    walker.merge("walk_latency", m.walker.latency);
    walker.merge("reads_per_walk", m.walker.reads_per_walk);
}

void measure_memory(const PhaseResult &phase, Measures &m)
{
    const Role memory(phase, "memory");
    m.memory.dma_reads = memory.sum("dma_reads");
    m.memory.dma_writes = memory.sum("dma_writes");
    m.memory.dma_bytes = memory.sum("dma_bytes");
    m.memory.table_reads = memory.sum("table_reads");
    m.memory.table_writes = memory.sum("table_writes");
    m.memory.llc_hits = memory.sum("llc_hits");
    m.memory.llc_misses = memory.sum("llc_misses");
    m.memory.errors = memory.sum("errors");
    m.memory.busy_cycles = memory.sum("busy_cycles");
    m.memory.most_outstanding = memory.largest("most_outstanding");
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

void measure_driver(const PhaseResult &phase, Measures &m)
{
    for (const StatisticGroup &group : phase.groups) {
        if (group.group.rfind(call_prefix, 0) != 0)
            continue;
        CallMeasures call = call_measures(group);
        if (call.time.count != 0)
            m.calls.push_back(std::move(call));
    }
    const Role host(phase, "host");
    m.host.submissions = host.sum("submissions");
    m.host.commands = host.sum("commands");
    m.host.queued = host.sum("queued");
    m.host.flushes_full = host.sum("queue_flushes_full");
    m.host.flushes_timer = host.sum("queue_flushes_timer");
    host.merge("held_back", m.host.held_back);
}

void measure_invalidation(const PhaseResult &phase, Measures &m)
{
    const Role queue(phase, "command_queue");
    m.queue.commands = queue.sum("commands");
    m.queue.invalidations = queue.sum("invalidations");
    m.queue.device_invalidations = queue.sum("device_invalidations");
    m.queue.waits = queue.sum("waits");
    m.queue.errors = queue.sum("errors");
    queue.merge("fetch_latency", m.queue.fetch);
    queue.merge("hold_latency", m.queue.hold);
    queue.merge("execute_latency", m.queue.execute);
    queue.merge("wait_latency", m.queue.wait);
    queue.merge("wait_drain_latency", m.queue.drain);
    queue.merge("wait_status_latency", m.queue.status);
    const Role fanout(phase, "fanout");
    m.invalidation.invalidations = fanout.sum("invalidations");
    m.invalidation.device_invalidations = fanout.sum("device_invalidations");
    m.invalidation.removed = fanout.sum("removed");
    m.invalidation.device_removed = fanout.sum("device_removed");
    m.invalidation.timeouts = fanout.sum("timeouts");
    fanout.merge("invalidate_latency", m.invalidation.latency);
    fanout.merge("device_latency", m.invalidation.device_latency);
    for (const char *group : {"frontend", "stage"}) {
        const Role stage(phase, group);
        m.invalidation.blocked_cycles += stage.sum("blocked_cycles");
        m.invalidation.restarts += stage.sum("restarts");
    }
    const Role tracker(phase, "tracker");
    tracker.merge("window_length", m.tracker.window);
    tracker.merge("unprotected_time", m.tracker.unprotected);
    tracker.merge("window_use_age", m.tracker.use_age);
}

void measure_device_tlbs(const PhaseResult &phase, Measures &m)
{
    const Role tlb(phase, "device_tlb");
    m.device_tlb.lookups = tlb.sum("lookups");
    m.device_tlb.hits = tlb.sum("hits");
    m.device_tlb.misses = tlb.sum("misses");
    m.device_tlb.merged = tlb.sum("merged");
    m.device_tlb.fills = tlb.sum("fills");
    m.device_tlb.evictions = tlb.sum("evictions");
    m.device_tlb.refused = tlb.sum("refused");
    tlb.merge("translation_latency", m.device_tlb.latency);
}

} // namespace

Measures measure(const PhaseResult &phase, const SystemConfig &config)
{
    Measures m;
    m.cycles = phase.cycles();
    m.tick_ps = config.clock.tick_ps;
    measure_sources(phase, m);
    measure_front(phase, m);
    m.iotlb = lookup_measures(phase, "iotlb");
    m.context_cache = lookup_measures(phase, "context_cache");
    m.pasid_cache = lookup_measures(phase, "pasid_cache");
    measure_walks(phase, config, m);
    measure_memory(phase, m);
    measure_links(phase, m);
    measure_driver(phase, m);
    measure_invalidation(phase, m);
    measure_device_tlbs(phase, m);
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
