// SPDX-License-Identifier: Apache-2.0
//
// What the hazard tracker found in a run, for reports and the exit status. Terms are explained in
// docs/invalidation-model.md.
#ifndef IOMMU_SIM_MODELS_HAZARDS_H
#define IOMMU_SIM_MODELS_HAZARDS_H

#include <array>
#include <string>
#include <vector>

#include "core/tracker_report.h"
#include "models/session.h"

namespace iommu_sim
{

struct Finding {
    iom_finding what;
    std::string line; ///< in plain words
};

struct HazardReport {
    bool tracked = false; ///< there was a tracker
    uint64_t hazards = 0; ///< findings of severity hazard: not 0 = the run has failed
    std::array<uint64_t, IOM_FINDING_KINDS> counts{}; ///< all findings by kind
    std::vector<Finding> findings;                    ///< the first of each kind, in order of time
    StatisticGroup statistics;                        ///< group "tracker"; since the last reset
};

/// Ends the tracking: what is pending is settled, what is left in the caches looked at. Call once, after the
/// run; the kernel must not go on after it.
HazardReport finish_hazards(System &system, iom_cycle now);

} // namespace iommu_sim

#endif
