// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim dump-config`: every key of a configuration with its value, defaults included.
#include "models/cli/dump_config_command.h"

#include <memory>

#include "models/cli/support.h"

namespace iommu_sim
{

namespace
{

int dump(const ConfigArguments &arguments)
{
    // Shows what any command can use.
    const LoadedConfig loaded = load(arguments, ConfigUse::records);
    if (!loaded.ok()) {
        std::cerr << loaded.messages();
        return exit_bad_input;
    }
    return print(dump_config(loaded.config));
}

} // namespace

void add_dump_config_command(CLI::App &app, int &status)
{
    CLI::App *command =
        app.add_subcommand("dump-config", "Print every key of a configuration, defaults included");
    const auto arguments = std::make_shared<ConfigArguments>();
    add_config_arguments(*command, *arguments);
    command->footer(
        "Example:\n  iommu-sim dump-config configs/random-misses.yaml > mine.yaml\n\n"
        "The output is a configuration again. A relative trace.file stays as it was written, and is\n"
        "relative to the folder the configuration lies in.\n"
        "Exit status: 0 good, 2 mistakes (all of them are shown).");
    command->callback([arguments, &status] { status = dump(*arguments); });
}

} // namespace iommu_sim
