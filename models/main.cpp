// SPDX-License-Identifier: Apache-2.0
//
// The program iommu-sim: commands and their options. Each command is a file in models/cli/.
#include <csignal>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "models/cli/arguments.h"
#include "models/cli/check_command.h"
#include "models/cli/docs_command.h"
#include "models/cli/dump_config_command.h"
#include "models/cli/run_command.h"
#include "models/cli/scenario_command.h"
#include "models/cli/support.h"
#include "models/cli/timing_command.h"
#include "models/cli/trace_command.h"
#include "models/cli/verify_command.h"
#include "models/report/result_json.h"

using namespace iommu_sim;

namespace
{

/// For a command whose own help shows none.
void add_example(CLI::App &app, const char *name, const char *text)
{
    CLI::App *command = app.get_subcommand(name);
    if (command->get_footer().empty())
        command->footer(text);
}

void add_commands(CLI::App &app, const std::vector<std::string> &command_line, int &status)
{
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string("iommu-sim ") + tool_version());
    add_run_command(app, command_line, status);
    add_check_command(app, status);
    add_dump_config_command(app, status);
    add_verify_command(app, status);
    add_timing_command(app, status);
    add_scenario_command(app, status);
    add_trace_command(app, status);
    add_docs_command(app, status);
    // After the commands: they would inherit it.
    app.footer("Examples:\n"
               "  iommu-sim run configs/nvme-linux-trace.yaml\n"
               "  iommu-sim check configs/random-misses.yaml\n"
               "  iommu-sim COMMAND --help\n\n"
               "Exit status: 0 success, 1 findings, 2 input or output that cannot be used.");
    add_example(app, "verify",
                "Example:\n  iommu-sim verify tests/data/vectors/vtd-legacy.jsonl.zst\n\n"
                "Exit status: 0 all passed, 1 failures, 2 files that cannot be used.");
}

int run_program(const std::vector<std::string> &command_line, int argc, char **argv)
{
    int status = exit_clean;
    CLI::App app("Cycle-accurate simulation of IOMMUs.", "iommu-sim");
    add_commands(app, command_line, status);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success &request) {
        std::ostringstream text; // --help, --version
        app.exit(request, text, text);
        return print(text.str() + (text.str().empty() || text.str().back() == '\n' ? "" : "\n"));
    } catch (const CLI::ParseError &error) {
        return bad_input(
            argument_problem(app, {command_line.begin() + (argc > 0 ? 1 : 0), command_line.end()}, error));
    }
    return status;
}

} // namespace

int main(int argc, char **argv)
{
    // A reader that went away is an error of a write, to be reported like any other.
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return run_program({argv, argv + argc}, argc, argv);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "iommu-sim: internal error: %s\n", error.what());
    } catch (...) {
        std::fputs("iommu-sim: internal error\n", stderr);
    }
    return exit_bad_input;
}
