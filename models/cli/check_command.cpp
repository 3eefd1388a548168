// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim check`: reads a configuration and builds its system without running it, so
// that settings which only fail together (tables that cannot express a mapping, a trace that cannot be
// opened) show, too.
#include "models/cli/check_command.h"

#include <memory>
#include <stdexcept>

#include "models/cli/support.h"
#include "models/kernel.h"
#include "models/report/table.h"
#include "models/system.h"

namespace iommu_sim
{

namespace
{

std::string plural(uint64_t count, const char *what)
{
    return format_count(count) + " " + what + (count == 1 ? "" : "s");
}

std::string summary(System &system)
{
    std::string text = plural(system.netlist().unit_count, "unit") + ", ";
    if (const iom_trace_header *header = system.trace_header())
        return text + "a trace of " +
               (header->records == IOM_TRACE_COUNT_UNKNOWN ? "unknown length"
                                                           : plural(header->records, "record"));
    return text + plural(system.config().devices.size(), "device") +
           (system.config().devices.empty() ? " (a run needs devices or a trace)" : "");
}

// A machine behind an AXI port: nothing that `run` could build, but right for records.
bool is_for_records(const ConfigArguments &arguments)
{
    const LoadedConfig loaded = load(arguments, ConfigUse::records);
    return loaded.ok() && loaded.config.axi.beat_bytes != 0;
}

int check(const ConfigArguments &arguments)
{
    LoadedConfig loaded = load(arguments);
    if (!loaded.ok() && is_for_records(arguments))
        return print(arguments.shown() +
                     ": good for `iommu-sim timing`, not for `run`: it has an AXI port\n");
    if (!loaded.ok()) {
        std::cerr << loaded.messages();
        return exit_bad_input;
    }
    loaded.config.trace.file = resolve_trace_file(loaded.config.trace.file, arguments, false);
    try {
        System system(loaded.config);
        try {
            const CoreKernel kernel(system.netlist());
        } catch (const std::invalid_argument &problem) {
            return bad_connections(arguments, problem);
        }
        return print(arguments.shown() + ": good: " + summary(system) + "\n");
    } catch (const std::runtime_error &problem) {
        return bad_input(arguments.shown() + ": " + problem.what());
    }
}

} // namespace

void add_check_command(CLI::App &app, int &status)
{
    CLI::App *command = app.add_subcommand("check", "Check a configuration without running it");
    const auto arguments = std::make_shared<ConfigArguments>();
    add_config_arguments(*command, *arguments);
    command->footer("Example:\n  iommu-sim check configs/random-misses.yaml --set iotlb.entries=256\n\n"
                    "Exit status: 0 good, 2 mistakes (all of them are shown).");
    command->callback([arguments, &status] { status = check(*arguments); });
}

} // namespace iommu_sim
