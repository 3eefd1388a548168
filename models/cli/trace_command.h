// SPDX-License-Identifier: Apache-2.0
//
// The commands `iommu-sim trace import|info|check|convert`.
#ifndef IOMMU_SIM_MODELS_CLI_TRACE_COMMAND_H
#define IOMMU_SIM_MODELS_CLI_TRACE_COMMAND_H

namespace CLI
{
class App;
} // namespace CLI

namespace iommu_sim
{

/// Adds the commands to `app`. When one has run, `status` is the exit status of the program.
void add_trace_command(CLI::App &app, int &status);

} // namespace iommu_sim

#endif
