// SPDX-License-Identifier: Apache-2.0
//
// What a phase measured, summed over the units that share a role, so that reports need not know how an
// IOMMU was wired or how many devices there were.
//
// Roles are the statistics groups: the front end counts every request that enters the IOMMU and its whole
// latency, whatever stages it passes behind it; a cache is found by the name of its group, be it part of
// the front end (fused) or a unit of its own (chained). Devices and a replayed trace are one source of
// requests.
//
// Also here: the derived values (rates, ratios, shares), each declared once with name, unit and meaning;
// the result file, the report and docs/statistics.md take them from derived_values().
#ifndef IOMMU_SIM_MODELS_REPORT_MEASURES_H
#define IOMMU_SIM_MODELS_REPORT_MEASURES_H

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/session.h"
#include "traffic/host.h"

namespace iommu_sim
{

/// One of context cache, PASID cache, IOTLB (iom_lookup_stats).
struct LookupMeasures {
    uint64_t lookups = 0, hits = 0, misses = 0, merged = 0, insufficient = 0;
    uint64_t fills = 0, evictions = 0, invalidated = 0;
};

/// One device, or the devices of a replayed trace.
struct SourceMeasures {
    std::string name;
    bool replay = false;
    uint64_t completed = 0, reads = 0, writes = 0, bytes_read = 0, bytes_written = 0;
    uint64_t faults = 0, memory_errors = 0;
    uint64_t operations_done = 0, operations_aborted = 0;
    iom_histogram latency{}, operation_latency{};
};

/// One kind of call of the driver (iom_host_call_stats): map, unmap, ...
struct CallMeasures {
    std::string name;
    uint64_t submissions = 0, commands = 0;
    iom_histogram time{};
    std::array<iom_histogram, IOM_HOST_PARTS> part{};
};

struct Measures {
    uint64_t cycles = 0;
    uint64_t tick_ps = 1;

    std::vector<SourceMeasures> sources;
    SourceMeasures traffic; ///< all sources together

    uint64_t requests = 0; ///< taken up by the IOMMU
    uint64_t translated = 0, bypassed = 0, interrupts = 0, denied = 0, faults = 0;
    uint64_t walked = 0, stalls = 0, replays = 0, order_waits = 0, exit_waits = 0, most_walks = 0;
    uint64_t faults_recorded = 0, faults_dropped = 0;
    std::array<uint64_t, IOM_PART_COUNT> part_cycles{};
    iom_histogram latency{}, hit_latency{}, miss_latency{};

    LookupMeasures iotlb, context_cache, pasid_cache;
    struct {
        uint64_t lookups = 0, misses = 0, fills = 0, evictions = 0;
        std::array<uint64_t, IOM_PSC_LEVELS> hits{}; ///< by level, 2 to 5 used
    } psc;
    struct {
        uint64_t walks = 0, context_walks = 0, pasid_walks = 0, page_walks = 0;
        uint64_t table_reads = 0, table_updates = 0, access_errors = 0, busy_cycles = 0, most_busy = 0;
        uint64_t walkers = 0; ///< of the configuration
        iom_histogram latency{}, reads_per_walk{};
    } walker;
    struct {
        uint64_t dma_reads = 0, dma_writes = 0, dma_bytes = 0, table_reads = 0, table_writes = 0;
        uint64_t llc_hits = 0, llc_misses = 0, errors = 0, busy_cycles = 0, most_outstanding = 0;
    } memory;

    struct Link {
        std::string name;
        uint64_t request_busy_cycles = 0, response_busy_cycles = 0, credit_waits = 0;
    };
    std::vector<Link> links;

    std::vector<CallMeasures> calls; ///< kinds that were called
    struct {
        uint64_t commands = 0, invalidations = 0, device_invalidations = 0, waits = 0, errors = 0;
        iom_histogram fetch{}, hold{}, execute{}, wait{}, drain{}, status{};
    } queue;
    struct {
        uint64_t invalidations = 0, device_invalidations = 0, removed = 0, device_removed = 0, timeouts = 0;
        uint64_t blocked_cycles = 0, restarts = 0;
        iom_histogram latency{}, device_latency{};
    } invalidation;
    struct {
        uint64_t lookups = 0, hits = 0, misses = 0, merged = 0, fills = 0, evictions = 0, refused = 0;
        iom_histogram latency{};
    } device_tlb;
    struct {
        uint64_t submissions = 0, commands = 0, queued = 0, flushes_full = 0, flushes_timer = 0;
        iom_histogram held_back{};
    } host;
    struct {
        iom_histogram window{}, unprotected{}, use_age{};
    } tracker;

    double seconds() const;
    double ns(double cycles_count) const;
    uint64_t part_total() const;
    /// Calls of that kind, null if there were none.
    const CallMeasures *call(const std::string &name) const;
};

/// Names of enum iom_host_part: as in the result file, and for people.
struct CallPartName {
    const char *key;
    const char *heading;
    const char *text;
};
const std::array<CallPartName, IOM_HOST_PARTS> &call_part_names();

/// Sums the groups of a phase.
Measures measure(const PhaseResult &phase, const SystemConfig &config);

/// Names of the latency parts in the order of enum iom_part: as in the result file, and for people.
struct PartName {
    const char *key;
    const char *text;
};
const std::array<PartName, IOM_PART_COUNT> &part_names();

struct DerivedValue {
    const char *name;
    const char *unit;
    const char *description; ///< meaning and formula
    /// Nothing if the formula would divide by zero.
    std::optional<double> (*value)(const Measures &);
};

const std::vector<DerivedValue> &derived_values();

/// Mean of a histogram; nothing if it is empty.
std::optional<double> histogram_mean(const iom_histogram &histogram);

} // namespace iommu_sim

#endif
