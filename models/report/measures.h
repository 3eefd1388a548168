// SPDX-License-Identifier: Apache-2.0
//
// What a phase measured, summed over the units that share a role, so that reports need not know how an
// IOMMU was wired or how many devices there were.
//
// Roles are the statistics groups: the front end counts every request that enters the IOMMU and its whole
// latency, whatever stages it passes behind it; a cache is found by the name of its group, be it part of
// the front end (fused) or a unit of its own (chained). Devices and a replayed trace are one source of
// requests. A role's sums lie in the struct that its units count in.
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

#include "core/command_queue.h"
#include "core/device_tlb.h"
#include "core/fanout.h"
#include "core/memory.h"
#include "core/psc.h"
#include "core/register_unit.h"
#include "core/stage.h"
#include "core/tracker_report.h"
#include "core/walker.h"
#include "models/session.h"
#include "traffic/host.h"

namespace iommu_sim
{

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

    iom_stage_stats frontend{}; ///< counts each request once
    iom_stage_stats stages{};   ///< the front end and the stages chained behind it
    std::array<uint64_t, IOM_PART_COUNT> part_cycles{};
    iom_register_stats registers{};
    iom_lookup_stats iotlb{}, context_cache{}, pasid_cache{};
    iom_psc_stats psc{};
    iom_walker_stats walker{};
    uint64_t walkers = 0; ///< of the configuration
    iom_memory_stats memory{};

    struct Link {
        std::string name;
        uint64_t request_busy_cycles = 0, response_busy_cycles = 0, credit_waits = 0;
    };
    std::vector<Link> links;

    std::vector<CallMeasures> calls; ///< kinds that were called
    iom_command_queue_stats queue{};
    iom_fanout_stats fanout{};
    iom_device_tlb_stats device_tlb{};
    iom_host_stats host{};
    iom_tracker_stats tracker{};

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
