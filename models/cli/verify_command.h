// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim verify`: plays conformance vectors. docs/verify.md describes it.
#ifndef IOM_MODELS_CLI_VERIFY_COMMAND_H
#define IOM_MODELS_CLI_VERIFY_COMMAND_H

namespace CLI
{
class App;
} // namespace CLI

namespace iommu_sim
{

/// Adds the command to `app`. When it has run, `status` is the exit status: 0 all passed, 1 failures,
/// 2 unreadable file, unknown schema, no vectors, or a system that cannot be made.
void add_verify_command(CLI::App &app, int &status);

} // namespace iommu_sim

#endif
