// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim timing`: plays records of real hardware and compares cycle by cycle
// (docs/timing.md).
#ifndef IOMMU_SIM_MODELS_CLI_TIMING_COMMAND_H
#define IOMMU_SIM_MODELS_CLI_TIMING_COMMAND_H

#include <CLI/CLI.hpp>

namespace iommu_sim
{

void add_timing_command(CLI::App &app, int &status);

} // namespace iommu_sim

#endif
