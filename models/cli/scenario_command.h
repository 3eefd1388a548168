// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim scenario`: lists and plays the scenarios (docs/scenarios.md).
#ifndef IOMMU_SIM_MODELS_CLI_SCENARIO_COMMAND_H
#define IOMMU_SIM_MODELS_CLI_SCENARIO_COMMAND_H

#include <CLI/CLI.hpp>

namespace iommu_sim
{

void add_scenario_command(CLI::App &app, int &status);

} // namespace iommu_sim

#endif
