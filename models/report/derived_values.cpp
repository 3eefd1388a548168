// SPDX-License-Identifier: Apache-2.0
//
// The derived values: what people compare, formed from the integers that units count. See measures.h.
//
// Each is a quotient of integers (times a constant), so that it is the same on every machine.
#include "models/report/measures.h"

namespace iommu_sim
{

namespace
{

using Value = std::optional<double>;

Value ratio(uint64_t part, uint64_t whole, double factor = 1.0)
{
    if (whole == 0)
        return std::nullopt;
    return static_cast<double>(part) / static_cast<double>(whole) * factor;
}

Value mean_ns(const Measures &m, const iom_histogram &histogram)
{
    const Value mean = histogram_mean(histogram);
    if (!mean)
        return std::nullopt;
    return m.ns(*mean);
}

template <iom_part part> Value share(const Measures &m)
{
    return ratio(m.part_cycles[part], m.part_total());
}

// bytes per cycle * 1000 / tick_ps = bytes per ns = GB/s
Value gigabytes_per_second(const Measures &m, uint64_t bytes)
{
    return ratio(bytes, m.cycles * m.tick_ps, 1000.0);
}

// Mean over the links.
Value wires(const Measures &m, uint64_t Measures::Link::*busy_cycles)
{
    uint64_t busy = 0;
    for (const Measures::Link &link : m.links)
        busy += link.*busy_cycles;
    return ratio(busy, m.cycles * m.links.size());
}

// Of one kind of call, per call.
Value call_mean(const Measures &m, const char *name, uint64_t (*value)(const CallMeasures &))
{
    const CallMeasures *call = m.call(name);
    return call == nullptr ? std::nullopt : ratio(value(*call), call->time.count);
}

template <iom_host_part part> Value unmap_part(const Measures &m)
{
    return call_mean(m, "unmap", [](const CallMeasures &call) { return call.part[part].sum; });
}

constexpr const char *unmap_part_description = "mean of this part (docs/unmap-cost.md) of an unmap call";
constexpr const char *part_description =
    "share of this latency part (docs/results.md) in the sum of all translation latencies";

std::vector<DerivedValue> make_values()
{
    using M = const Measures &;
    return {
        {"dma_per_cycle", "requests/cycle", "DMA requests that came back / cycles",
         [](M m) { return ratio(m.traffic.completed, m.cycles); }},
        {"dma_per_second", "requests/s", "DMA requests that came back / simulated time",
         [](M m) { return ratio(m.traffic.completed, m.cycles * m.tick_ps, 1e12); }},
        {"read_bandwidth", "GB/s", "bytes of DMA reads / simulated time (1 GB = 10^9 bytes)",
         [](M m) { return gigabytes_per_second(m, m.traffic.bytes_read); }},
        {"write_bandwidth", "GB/s", "bytes of DMA writes / simulated time",
         [](M m) { return gigabytes_per_second(m, m.traffic.bytes_written); }},
        {"bandwidth", "GB/s", "bytes of DMA reads and writes / simulated time",
         [](M m) { return gigabytes_per_second(m, m.traffic.bytes_read + m.traffic.bytes_written); }},
        {"dma_latency_mean", "ns", "mean time from sending a DMA request to its result, at the device",
         [](M m) { return mean_ns(m, m.traffic.latency); }},
        {"translation_latency_mean", "ns", "mean time from arrival at the IOMMU to translated and released",
         [](M m) { return mean_ns(m, m.frontend.latency); }},
        {"hit_latency_mean", "ns", "the same, requests that needed no walk",
         [](M m) { return mean_ns(m, m.frontend.hit_latency); }},
        {"miss_latency_mean", "ns", "the same, requests that waited for a walk",
         [](M m) { return mean_ns(m, m.frontend.miss_latency); }},
        {"operation_latency_mean", "ns", "mean time of a frame, a command or a replayed I/O operation",
         [](M m) { return mean_ns(m, m.traffic.operation_latency); }},
        {"queueing_share", "ratio", part_description, share<IOM_PART_QUEUEING>},
        {"lookup_share", "ratio", part_description, share<IOM_PART_LOOKUP>},
        {"context_share", "ratio", part_description, share<IOM_PART_CONTEXT>},
        {"pasid_share", "ratio", part_description, share<IOM_PART_PASID>},
        {"walk_share", "ratio", part_description, share<IOM_PART_WALK>},
        {"memory_share", "ratio", part_description, share<IOM_PART_MEMORY>},
        {"walked_ratio", "ratio", "requests that waited for at least one walk / requests released",
         [](M m) { return ratio(m.frontend.miss_latency.count, m.frontend.latency.count); }},
        {"iotlb_hit_rate", "ratio", "hits / look-ups of the IOTLB",
         [](M m) { return ratio(m.iotlb.hits, m.iotlb.lookups); }},
        {"context_cache_hit_rate", "ratio", "hits / look-ups of the context cache",
         [](M m) { return ratio(m.context_cache.hits, m.context_cache.lookups); }},
        {"pasid_cache_hit_rate", "ratio", "hits / look-ups of the PASID cache",
         [](M m) { return ratio(m.pasid_cache.hits, m.pasid_cache.lookups); }},
        {"psc_hit_rate", "ratio",
         "page walks that started below the root / probes of the paging-structure caches",
         [](M m) { return ratio(m.psc.lookups - m.psc.misses, m.psc.lookups); }},
        {"walks_per_1000_requests", "walks", "walks of any table / requests of the IOMMU * 1000",
         [](M m) { return ratio(m.walker.walks, m.frontend.requests, 1000.0); }},
        {"table_reads_per_walk", "accesses", "table reads of page walks / page walks",
         [](M m) { return histogram_mean(m.walker.reads_per_walk); }},
        {"walk_latency_mean", "ns", "mean time from assigning a walker to its answer, page walks",
         [](M m) { return mean_ns(m, m.walker.walk_latency); }},
        {"walker_occupancy", "walkers", "mean number of walkers occupied",
         [](M m) { return ratio(m.walker.busy_cycles, m.cycles); }},
        {"llc_hit_rate", "ratio", "table reads served by the last-level cache / table reads it was asked for",
         [](M m) { return ratio(m.memory.llc_hits, m.memory.llc_hits + m.memory.llc_misses); }},
        {"memory_bus_utilisation", "ratio", "cycles the DRAM data bus was occupied / cycles",
         [](M m) { return ratio(m.memory.busy_cycles, m.cycles); }},
        {"link_request_utilisation", "ratio",
         "cycles the wires to the IOMMU were occupied / cycles, mean of the links",
         [](M m) { return wires(m, &Measures::Link::request_busy_cycles); }},
        {"link_response_utilisation", "ratio",
         "cycles the wires to the device were occupied / cycles, mean of the links",
         [](M m) { return wires(m, &Measures::Link::response_busy_cycles); }},
        {"device_tlb_hit_rate", "ratio", "hits / look-ups of the device TLBs",
         [](M m) { return ratio(m.device_tlb.hits, m.device_tlb.lookups); }},
        {"map_cycles_mean", "cycles", "mean time from a map call to its return",
         [](M m) { return call_mean(m, "map", [](const CallMeasures &c) { return c.time.sum; }); }},
        {"unmap_cycles_mean", "cycles", "mean time from an unmap call to its return",
         [](M m) { return call_mean(m, "unmap", [](const CallMeasures &c) { return c.time.sum; }); }},
        {"unmap_call_cycles", "cycles", unmap_part_description, unmap_part<IOM_HOST_PART_CALL>},
        {"unmap_table_cycles", "cycles", unmap_part_description, unmap_part<IOM_HOST_PART_TABLE>},
        {"unmap_lock_cycles", "cycles", unmap_part_description, unmap_part<IOM_HOST_PART_LOCK>},
        {"unmap_submit_cycles", "cycles", unmap_part_description, unmap_part<IOM_HOST_PART_SUBMIT>},
        {"unmap_execute_cycles", "cycles", unmap_part_description, unmap_part<IOM_HOST_PART_EXECUTE>},
        {"unmap_status_cycles", "cycles", unmap_part_description, unmap_part<IOM_HOST_PART_STATUS>},
        {"unmap_poll_cycles", "cycles", unmap_part_description, unmap_part<IOM_HOST_PART_POLL>},
        {"unmaps_per_second", "calls/s", "unmap calls that returned / simulated time",
         [](M m) {
             const CallMeasures *unmap = m.call("unmap");
             return unmap == nullptr ? Value() : ratio(unmap->time.count, m.cycles * m.tick_ps, 1e12);
         }},
        {"invalidations_per_1000_unmaps", "commands",
         "invalidation commands carried out, without waits / unmap calls * 1000",
         [](M m) {
             const CallMeasures *unmap = m.call("unmap");
             const uint64_t commands = m.queue.invalidations + m.queue.device_invalidations;
             return unmap == nullptr ? Value() : ratio(commands, unmap->time.count, 1000.0);
         }},
        {"command_fetch_cycles_mean", "cycles", "mean time from a doorbell to the decoding of its commands",
         [](M m) { return histogram_mean(m.queue.fetch_latency); }},
        {"invalidation_cycles_mean", "cycles",
         "mean time from the begin of an invalidation of the IOMMU's caches to its last acknowledgement",
         [](M m) { return histogram_mean(m.fanout.invalidate_latency); }},
        {"device_invalidation_cycles_mean", "cycles",
         "mean time from an invalidation request to a device to its completion",
         [](M m) { return histogram_mean(m.fanout.device_latency); }},
        {"drain_cycles_mean", "cycles", "mean time that a wait waited for older DMA to become visible",
         [](M m) { return histogram_mean(m.queue.wait_drain_latency); }},
        {"lookup_stall_ratio", "ratio", "cycles in which invalidations kept look-ups waiting / cycles",
         [](M m) { return ratio(m.stages.blocked_cycles, m.cycles); }},
        {"window_cycles_mean", "cycles",
         "mean time from a change of tables that caches held to the report that it is complete",
         [](M m) { return histogram_mean(m.tracker.window_length); }},
        {"unprotected_cycles_mean", "cycles",
         "mean time from a change of tables to the removal of the last cached copy",
         [](M m) { return histogram_mean(m.tracker.unprotected_time); }},
    };
}

} // namespace

const std::vector<DerivedValue> &derived_values()
{
    static const std::vector<DerivedValue> values = make_values();
    return values;
}

} // namespace iommu_sim
