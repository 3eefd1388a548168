// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim dump-config`.
#ifndef IOMMU_SIM_MODELS_CLI_DUMP_CONFIG_COMMAND_H
#define IOMMU_SIM_MODELS_CLI_DUMP_CONFIG_COMMAND_H

namespace CLI
{
class App;
} // namespace CLI

namespace iommu_sim
{

/// Adds the command to `app`. When it has run, `status` is the exit status of the program.
void add_dump_config_command(CLI::App &app, int &status);

} // namespace iommu_sim

#endif
