// SPDX-License-Identifier: Apache-2.0
//
// What the commands have in common: exit statuses, the way errors are shown, reading a configuration.
//
// The conventions are those of docs/architecture.md: results go to standard output, errors and progress
// to standard error; 0 is success, 1 findings (failed vectors, hazards), 2 input or output that cannot
// be used. An error is one message that names the thing and what to do.
#ifndef IOMMU_SIM_MODELS_CLI_SUPPORT_H
#define IOMMU_SIM_MODELS_CLI_SUPPORT_H

#include <CLI/CLI.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/config/config.h"

namespace iommu_sim
{

enum ExitStatus { exit_clean = 0, exit_findings = 1, exit_bad_input = 2 };

/// A configuration named on the command line.
struct ConfigArguments {
    std::string path;                  ///< "-" is standard input
    std::vector<std::string> settings; ///< of --set, "key=value"

    /// Path for messages.
    std::string shown() const;
};

/// CONFIG and --set of a command.
void add_config_arguments(CLI::App &command, ConfigArguments &arguments);

/// Reads it, with standard input for "-".
LoadedConfig load(const ConfigArguments &arguments, ConfigUse use = ConfigUse::run);

/// Where the trace of a configuration really is: a relative `trace.file` written in a file is relative to
/// the folder of that configuration, one written on the command line (`--set trace...`, `on_command_line`)
/// to the working directory.
std::string resolve_trace_file(const std::string &file, const ConfigArguments &arguments,
                               bool on_command_line);

/// A YAML scalar that is read back as exactly `text`, for building settings.
std::string quoted(const std::string &text);

/// "iommu-sim: text" on standard error; returns exit_bad_input.
int bad_input(const std::string &text);

/// The same for connections that no kernel can play (models/kernel.h).
int bad_connections(const ConfigArguments &arguments, const std::invalid_argument &problem);

/// Writes `text` to standard output. Returns `status`, or exit_bad_input with a message if it could not
/// be written.
int print(const std::string &text, int status = exit_clean);

} // namespace iommu_sim

#endif
