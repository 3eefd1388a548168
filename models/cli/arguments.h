// SPDX-License-Identifier: Apache-2.0
//
// Command lines that cannot be used: from the parser's exception to a message that names the word and,
// where one is near, the command or option that was probably meant.
#ifndef IOMMU_SIM_MODELS_CLI_ARGUMENTS_H
#define IOMMU_SIM_MODELS_CLI_ARGUMENTS_H

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace iommu_sim
{

/// One message for `error`, which parsing `arguments` (without the program's name) threw.
std::string argument_problem(const CLI::App &app, const std::vector<std::string> &arguments,
                             const CLI::ParseError &error);

} // namespace iommu_sim

#endif
