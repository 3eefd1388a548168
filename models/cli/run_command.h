// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim run`.
#ifndef IOMMU_SIM_MODELS_CLI_RUN_COMMAND_H
#define IOMMU_SIM_MODELS_CLI_RUN_COMMAND_H

#include <string>
#include <vector>

namespace CLI
{
class App;
} // namespace CLI

namespace iommu_sim
{

/// Adds the command to `app`. When it has run, `status` is the exit status of the program. `command_line` is
/// noted in result files.
void add_run_command(CLI::App &app, const std::vector<std::string> &command_line, int &status);

} // namespace iommu_sim

#endif
