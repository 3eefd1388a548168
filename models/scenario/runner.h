// SPDX-License-Identifier: Apache-2.0
//
// Playing a variant of a scenario file with its measures and sweeps, and comparing with what it expects.
#ifndef IOMMU_SIM_MODELS_SCENARIO_RUNNER_H
#define IOMMU_SIM_MODELS_SCENARIO_RUNNER_H

#include <string>
#include <vector>

#include "models/scenario/rig.h"
#include "models/scenario/scenario_file.h"

namespace iommu_sim
{

/// An expectation that was not met.
struct Unmet {
    std::string figure;
    std::string expected; ///< as written, and as a number where that differs
    std::string got;
};

struct ScenarioResult {
    std::string id, variant, title;
    Numbers figures;                ///< all with a value, measures, sweeps and parameters included
    std::vector<std::string> shown; ///< names of the figures that are expected, in file order
    std::vector<Unmet> unmet;
    std::vector<std::string> log, findings;

    bool ok() const
    {
        return unmet.empty();
    }
};

/// Throws std::runtime_error with a message for the user if the scenario cannot be built.
ScenarioResult run_scenario(const ScenarioFile &file, const std::string &variant, ScenarioKernel kernel);

} // namespace iommu_sim

#endif
