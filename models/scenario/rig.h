// SPDX-License-Identifier: Apache-2.0
//
// The system a scenario is played on - memory, one IOMMU, a host that issues everything, device TLBs and
// links, and the hazard tracker - and one run of it.
#ifndef IOMMU_SIM_MODELS_SCENARIO_RIG_H
#define IOMMU_SIM_MODELS_SCENARIO_RIG_H

#include <string>
#include <vector>

#include "models/scenario/scenario.h"

namespace iommu_sim
{

/// What one run gave.
struct ScenarioRun {
    Numbers figures;                   ///< those that have a value
    std::vector<std::string> log;      ///< what happened, one line each, by cycle
    std::vector<std::string> findings; ///< of the tracker, one line each
    std::string problem;               ///< why it did not come to its end; empty: it did
};

/// Which kernel drives the units.
enum class ScenarioKernel { core, systemc };

/// Plays a scenario. Throws std::runtime_error with a message for the user if it cannot be built. SystemC
/// works once per process, so with that kernel the run is made by a child process.
ScenarioRun play_scenario(const Scenario &scenario, ScenarioKernel kernel);

} // namespace iommu_sim

#endif
