// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim run`: one configuration, one run, a report and a result file.
//
// Nothing is written before the run is over, so an interrupted or failed run leaves nothing behind.
#include "models/cli/run_command.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <stdexcept>

#include "models/cli/progress.h"
#include "models/cli/support.h"
#include "models/report/atomic_file.h"
#include "models/report/json_document.h"
#include "models/report/result_json.h"
#include "models/report/text_report.h"
#include "models/systemc/systemc_kernel.h"

namespace iommu_sim
{

namespace
{

struct RunOptions {
    ConfigArguments config;
    std::string trace;
    std::string kernel = "core";
    std::string out;
    std::string progress;
    std::string requests, seed; ///< checked by the schema, like any value of a key
    bool allow_hazards = false;
    bool no_tracker = false;
    bool quiet = false;
    std::vector<std::string> command_line;
};

volatile std::sig_atomic_t interrupted = 0;

void note_interrupt(int)
{
    interrupted = 1;
}

struct Interrupted {
};

/// While it exists, SIGINT and SIGTERM end the run between two slices; a second one ends the program.
class InterruptGuard
{
  public:
    InterruptGuard()
    {
        struct sigaction action {
        };
        action.sa_handler = note_interrupt;
        action.sa_flags = static_cast<int>(SA_RESETHAND);
        for (size_t i = 0; i < 2; i++)
            sigaction(signals[i], &action, &before_[i]);
    }
    ~InterruptGuard()
    {
        for (size_t i = 0; i < 2; i++)
            sigaction(signals[i], &before_[i], nullptr);
    }
    InterruptGuard(const InterruptGuard &) = delete;
    InterruptGuard &operator=(const InterruptGuard &) = delete;

  private:
    static constexpr int signals[2] = {SIGINT, SIGTERM};
    struct sigaction before_[2] = {};
};

/// Keeps the path of standard output apart from a file of that name.
std::string output_path(const std::string &out)
{
    return out == "-" ? "/dev/stdout" : out;
}

/// Says early that a result could not be written. Pipes and devices are left alone: opening one may
/// wait for its reader, and closing it would end what the reader sees.
std::string output_problem(const std::string &out)
{
    struct stat status {
    };
    const bool exists = stat(out.c_str(), &status) == 0;
    if (out.empty() || out == "-" || (exists && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)))
        return "";
    AtomicFile file;
    return file.open(out) ? "" : file.error();
}

std::unique_ptr<Kernel> make_kernel(const std::string &name, System &system)
{
    if (name == "core")
        return std::make_unique<CoreKernel>(system.netlist());
    return std::make_unique<SystemcKernel>(system.netlist(), partition_by_unit(system.netlist()),
                                           system.config().clock.tick_ps);
}

/// Part of the run that is over, as far as limits or the length of the trace tell.
double done(const System &system, iom_cycle cycle, uint64_t completed)
{
    const RunSettings &run = system.config().run;
    double fraction = -1;
    const iom_trace_header *trace = system.trace_header();
    if (trace != nullptr && trace->records != IOM_TRACE_COUNT_UNKNOWN && trace->records != 0)
        fraction = static_cast<double>(system.trace_position()) / static_cast<double>(trace->records);
    if (run.requests != 0)
        fraction = std::max(fraction, static_cast<double>(completed) /
                                          static_cast<double>(run.requests + run.warmup_requests));
    if (run.max_cycles != 0)
        fraction = std::max(fraction, static_cast<double>(cycle) / static_cast<double>(run.max_cycles));
    return std::min(fraction, 1.0);
}

Progress progress_mode(const RunOptions &options, const SystemConfig &config)
{
    if (options.quiet)
        return Progress::off;
    if (options.progress.empty())
        return config.report.progress;
    return options.progress == "on"    ? Progress::on
           : options.progress == "off" ? Progress::off
                                       : Progress::automatic;
}

/// Why a run without an error has nothing to report, or an empty string.
std::string nothing_measured(const SessionResult &result)
{
    if (!result.region.groups.empty())
        return "";
    const bool in_warm_up = !result.warm_up.groups.empty();
    return std::string("nothing was measured: ") + end_reason_text(result.end) + " during the " +
           (in_warm_up ? "warm-up; lower run.warmup_requests or let the run last longer"
                       : "bring-up of the IOMMU; raise run.max_cycles");
}

class RunCommand
{
  public:
    explicit RunCommand(const RunOptions &options) : options_(options)
    {
    }

    int run();

  private:
    LoadedConfig load_with_options() const;
    int simulate(const SystemConfig &config);
    SessionResult play(System &system, Kernel &kernel);
    int report(const SystemConfig &config, const System &system, const SessionResult &result,
               const HazardReport &hazards, const std::optional<FileChecksum> &trace,
               double wall_seconds) const;

    const RunOptions &options_;
};

LoadedConfig RunCommand::load_with_options() const
{
    ConfigArguments arguments = options_.config;
    if (!options_.trace.empty())
        arguments.settings.push_back("trace.file=" + quoted(options_.trace));
    if (!options_.requests.empty())
        arguments.settings.push_back("run.requests=" + options_.requests);
    if (!options_.seed.empty())
        arguments.settings.push_back("run.seed=" + options_.seed);
    if (options_.no_tracker)
        arguments.settings.push_back("tracker.enabled=false");
    return load(arguments);
}

int RunCommand::run()
{
    if (options_.config.path == "-" && options_.trace == "-")
        return bad_input("configuration and trace cannot both come from standard input");
    const LoadedConfig loaded = load_with_options();
    if (!loaded.ok()) {
        std::cerr << loaded.messages();
        return exit_bad_input;
    }
    const SystemConfig &config = loaded.config;
    if (config.devices.empty() && config.trace.file.empty())
        return bad_input(options_.config.shown() +
                         ": nothing to run: add devices, or a trace (trace.file, --trace)");
    if (!config.devices.empty() && !config.trace.file.empty() && !options_.quiet)
        std::cerr << "iommu-sim: note: the trace brings its own devices; `devices` is not used\n";
    const std::string problem = output_problem(options_.out);
    if (!problem.empty())
        return bad_input(problem);
    try {
        return simulate(config);
    } catch (const std::runtime_error &error) {
        return bad_input(error.what());
    } catch (const std::bad_alloc &) {
        return bad_input("out of memory");
    } catch (const Interrupted &) {
        return bad_input("interrupted; no result was written");
    }
}

int RunCommand::simulate(const SystemConfig &config)
{
    SystemConfig resolved = config;
    resolved.trace.file = resolve_trace_file(config.trace.file, options_.config, !options_.trace.empty());
    System system(resolved);
    std::optional<FileChecksum> checksum;
    if (!resolved.trace.file.empty())
        checksum = checksum_file(resolved.trace.file);
    std::unique_ptr<Kernel> kernel;
    try {
        kernel = make_kernel(options_.kernel, system);
    } catch (const std::invalid_argument &problem) {
        return bad_connections(options_.config, problem);
    }
    const auto started = std::chrono::steady_clock::now();
    SessionResult result = play(system, *kernel);
    const double wall_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    if (result.end == EndReason::deadlock)
        return bad_input(options_.config.shown() +
                         ": the simulated system stands still (deadlock); no result was written\n" +
                         result.explanation);
    if (result.end == EndReason::failed)
        return bad_input(result.explanation);
    const std::string nothing = nothing_measured(result);
    if (!nothing.empty())
        return bad_input(options_.config.shown() + ": " + nothing);
    const HazardReport hazards = finish_hazards(system, kernel->now());
    if (hazards.tracked)
        result.region.groups.push_back(hazards.statistics);
    const int status = report(config, system, result, hazards, checksum, wall_seconds);
    if (status != exit_clean || hazards.hazards == 0 || options_.allow_hazards)
        return status;
    if (!options_.quiet)
        std::cerr << "iommu-sim: stale translations were used " << hazards.hazards << " times"
                  << " (exit status 1; --allow-hazards accepts it)\n";
    return exit_findings;
}

SessionResult RunCommand::play(System &system, Kernel &kernel)
{
    const InterruptGuard guard;
    ProgressLine line(
        progress_mode(options_, system.config()), system.config().clock.tick_ps,
        [&system](iom_cycle cycle, uint64_t completed) { return done(system, cycle, completed); });
    return run_session(system, kernel, [&line](iom_cycle cycle, uint64_t completed) {
        if (interrupted != 0)
            throw Interrupted();
        line.update(cycle, completed);
    });
}

int RunCommand::report(const SystemConfig &config, const System &system, const SessionResult &result,
                       const HazardReport &hazards, const std::optional<FileChecksum> &trace,
                       double wall_seconds) const
{
    if (!options_.out.empty()) {
        const RunInfo info = {options_.kernel, options_.config.path, options_.command_line, wall_seconds};
        const std::string problem = write_json_file(
            output_path(options_.out), result_json(config, system, result, hazards, trace, info));
        if (!problem.empty())
            return bad_input(problem);
    }
    if (options_.quiet || options_.out == "-")
        return exit_clean;
    return print(text_report(config, system, result, hazards, options_.kernel));
}

void add_options(CLI::App &command, RunOptions &options)
{
    add_config_arguments(command, options.config);
    command
        .add_option("--trace", options.trace,
                    "Replay this trace instead of trace.file; - reads standard input")
        ->type_name("FILE");
    command.add_option("--kernel", options.kernel, "Simulation kernel; both give the same result")
        ->check(CLI::IsMember({"core", "systemc"}))
        ->capture_default_str();
    command
        .add_option("--out", options.out,
                    "Write the result as JSON; - is standard output, without the report")
        ->type_name("FILE");
    command.add_option("--requests", options.requests, "Short for --set run.requests=N")->type_name("N");
    command.add_option("--seed", options.seed, "Short for --set run.seed=N")->type_name("N");
    command
        .add_option("--progress", options.progress, "Progress line on standard error (else report.progress)")
        ->check(CLI::IsMember({"auto", "on", "off"}));
    command.add_flag("--quiet", options.quiet, "No report, no progress, no notes");
    command.add_flag("--allow-hazards", options.allow_hazards, "Exit 0 even if stale translations were used");
    command.add_flag("--no-tracker", options.no_tracker,
                     "Short for --set tracker.enabled=false: do not look for stale translations");
}

} // namespace

void add_run_command(CLI::App &app, const std::vector<std::string> &command_line, int &status)
{
    CLI::App *command = app.add_subcommand("run", "Run a configuration, print a report, write a result file");
    const auto options = std::make_shared<RunOptions>();
    add_options(*command, *options);
    command->footer(
        "Examples:\n"
        "  iommu-sim run configs/nvme-linux-trace.yaml\n"
        "  iommu-sim run configs/random-misses.yaml --set iotlb.entries=256 --out out/result.json\n"
        "  iommu-sim run - --out - < mine.yaml | jq .derived.iotlb_hit_rate\n\n"
        "Exit status: 0 done, 1 done and stale translations were used (docs/invalidation-model.md),\n"
        "2 input or output that cannot be used, or a run that could not be finished (nothing is written\n"
        "then).");
    options->command_line = command_line;
    command->callback([options, &status] { status = RunCommand(*options).run(); });
}

} // namespace iommu_sim
