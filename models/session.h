// SPDX-License-Identifier: Apache-2.0
//
// Running a system: bring-up, warm-up, region of interest, end; and what was measured on the way.
//
//   bring-up   the driver programs the registers; traffic has not started
//   warm-up    traffic runs until run.warmup_requests DMA requests have come back
//   region     statistics start from zero; until run.requests more have come back, the traffic or the
//              workload ends, or run.max_cycles is reached
//
// A phase ends with the cycle in which its condition became true (a stop takes effect after all units
// have done the cycle), so both kernels end it alike.
#ifndef IOMMU_SIM_MODELS_SESSION_H
#define IOMMU_SIM_MODELS_SESSION_H

#include <functional>
#include <string>
#include <vector>

#include "core/stats.h"
#include "models/kernel.h"
#include "models/system.h"

namespace iommu_sim
{

/// Value of one statistic, copied when a phase ended.
struct StatisticValue {
    std::string name, unit, description;
    iom_stat_kind kind = IOM_STAT_COUNTER;
    uint64_t value = 0;      ///< counter, maximum
    iom_histogram histogram; ///< histogram
};

/// One statistics group of one unit.
struct StatisticGroup {
    std::string unit;  ///< "iommu0.frontend", "nic0", ...
    std::string kind;  ///< kind of the unit: "stage", "walker", "memory", "device", "driver", "replay", ...
    std::string group; ///< "frontend", "iotlb", ...
    std::vector<StatisticValue> values;

    const StatisticValue *find(const std::string &name) const;
    uint64_t value(const std::string &name) const; ///< 0 if there is no such statistic
};

struct PhaseResult {
    iom_cycle first_cycle = 0, last_cycle = 0; ///< cycles of the phase, inclusive
    uint64_t completed = 0;                    ///< DMA requests that came back in it
    std::vector<StatisticGroup> groups;

    uint64_t cycles() const
    {
        return last_cycle >= first_cycle ? last_cycle - first_cycle + 1 : 0;
    }
    const StatisticGroup *find(const std::string &group) const;
};

enum class EndReason {
    traffic_ended,    ///< everything was sent and answered
    workload_ended,   ///< all threads of the workload are over
    requests_reached, ///< run.requests
    cycle_limit,      ///< run.max_cycles
    deadlock,         ///< requests outstanding and no pending event: `explanation` says who waits for whom
    failed,           ///< host or replay gave up: `explanation`
};

const char *end_reason_text(EndReason reason);

struct SessionResult {
    PhaseResult bring_up, warm_up, region;
    EndReason end = EndReason::traffic_ended;
    std::string explanation;
    uint64_t events = 0; ///< unit evaluations; differs between kernels' partitions only by grouping
};

/// Called now and then with the cycle reached and the requests completed; must not change anything.
using ProgressFn = std::function<void(iom_cycle cycle, uint64_t completed)>;

SessionResult run_session(System &system, Kernel &kernel, const ProgressFn &progress = nullptr);

/// Copies the statistics of all units of a netlist.
std::vector<StatisticGroup> collect_statistics(const iom_netlist &netlist);
/// The same of one block.
StatisticGroup copy_statistics(const std::string &unit, const std::string &kind, const iom_stat_block &block);

} // namespace iommu_sim

#endif
