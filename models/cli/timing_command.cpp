// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim timing`. Findings go to standard output, errors and notes to standard error. See
// timing_command.h.
#include "models/cli/timing_command.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/cli/support.h"
#include "models/config/profiles.h"
#include "models/report/json_document.h"
#include "models/report/result_json.h"
#include "models/timing/request_table.h"
#include "models/timing/runner.h"

namespace iommu_sim
{

namespace
{

using namespace timing;

constexpr const char *default_profile = "configs/profiles/riscv-zdl.yaml";

struct TimingOptions {
    std::vector<std::string> files;
    ConfigArguments config;
    std::string kernel = "core";
    std::string filter;
    std::string json_file, requests_file;
    uint64_t max_failures = 1; // records of a file shown in detail; 0 = all
    bool stale = false;
};

std::string base_name(const std::string &path)
{
    return std::filesystem::path(path).filename().string();
}

std::string count_text(const char *what, const Count &count)
{
    return std::string(what) + ": " + std::to_string(count.exact) + " exact, " + std::to_string(count.off) +
           " off";
}

std::string off_text(const std::string &file, const RecordResult &record)
{
    const OffItem &first = *record.comparison.first;
    std::string text = file + ":" + std::to_string(record.line) + ": record " + record.id + ": " +
                       std::to_string(record.comparison.off()) + " off, first " + first.name;
    text += (first.cycle == IOM_NEVER ? "" : " in cycle " + std::to_string(first.cycle)) + "\n";
    for (const Difference &difference : first.differences)
        text +=
            "    " + difference.what + ": expected " + difference.expected + ", got " + difference.got + "\n";
    if (first.more != 0)
        text += "    and " + std::to_string(first.more) + " more\n";
    return text;
}

nlohmann::ordered_json count_json(const Count &count)
{
    return {{"exact", count.exact}, {"off", count.off}};
}

nlohmann::ordered_json file_json(const FileResult &file)
{
    nlohmann::ordered_json json;
    json["file"] = file.path;
    json["records"] = {{"exact", file.exact_records}, {"off", file.records - file.exact_records}};
    json["requests"] = count_json(file.requests);
    json["commands"] = count_json(file.commands);
    json["fault_records"] = count_json(file.fault_records);
    json["operations"] = count_json(file.operations);
    json["max_error_cycles"] = file.max_error_cycles;
    json["off"] = nlohmann::ordered_json::array();
    for (const RecordResult &record : file.off) {
        const OffItem &first = *record.comparison.first;
        nlohmann::ordered_json entry = {{"record", record.id},
                                        {"line", record.line},
                                        {"requests", record.comparison.off_requests()},
                                        {"first", first.name},
                                        {"differences", nlohmann::ordered_json::array()}};
        for (const Difference &difference : first.differences)
            entry["differences"].push_back(
                {{"what", difference.what}, {"expected", difference.expected}, {"got", difference.got}});
        json["off"].push_back(std::move(entry));
    }
    json["stale"] = nlohmann::ordered_json::array();
    for (const RecordResult &record : file.stale)
        json["stale"].push_back({{"record", record.id}, {"requests", record.stale}});
    return json;
}

/// One run of the command.
class Run
{
  public:
    explicit Run(const TimingOptions &options) : options_(options)
    {
    }

    int run()
    {
        const LoadedConfig loaded = options_.config.path.empty()
                                        ? load_config_text(built_in_profile(default_profile), default_profile,
                                                           options_.config.settings, ConfigUse::records)
                                        : load(options_.config, ConfigUse::records);
        if (!loaded.ok())
            return bad_input(loaded.messages());
        if (loaded.config.axi.beat_bytes == 0) // right for other commands
            return bad_input(
                "timing: " + (options_.config.path.empty() ? default_profile : options_.config.shown()) +
                ": axi.beat_bytes: records need an AXI port in front of the IOMMU, as " + default_profile +
                " has it");
        // Before the work, which would be lost.
        if (!options_.requests_file.empty() && !table_.open(options_.requests_file))
            error(table_.error());
        for (size_t i = 0; i < options_.files.size() && table_.error().empty(); i++)
            play(options_.files[i], loaded.config);
        if (!bad_ && records_ == 0)
            error("no record matches --filter " + options_.filter);
        if (!bad_)
            write_files(loaded.config);
        if (bad_)
            return exit_bad_input;
        return print(std::to_string(exact_) + " exact, " + std::to_string(off_) + " off, max error " +
                         std::to_string(max_error_cycles_) + " cycles\n",
                     off_ > 0 ? exit_findings : exit_clean);
    }

  private:
    void error(const std::string &text)
    {
        bad_input("timing: " + text);
        bad_ = true;
    }

    void play(const std::string &path, const SystemConfig &profile)
    {
        RunOptions options;
        options.kernel = options_.kernel == "systemc" ? KernelKind::systemc : KernelKind::core;
        options.filter = options_.filter;
        try {
            const FileResult result =
                play_file(path, profile, options, [&](const RecordResult &record, const FileResult &) {
                    if (!options_.requests_file.empty() && !table_.add(path, record))
                        throw std::runtime_error(table_.error());
                });
            if (result.records == 0)
                return; // the filter leaves nothing of this file
            show(result);
            add(result);
        } catch (const std::runtime_error &problem) {
            error(problem.what());
        }
    }

    void write_files(const SystemConfig &profile)
    {
        if (!options_.json_file.empty()) {
            const std::string problem = write_json_file(options_.json_file, summary(profile));
            if (!problem.empty())
                return error(problem);
        }
        if (!options_.requests_file.empty() && !table_.commit())
            error(table_.error());
    }

    void show(const FileResult &result)
    {
        const std::string name = base_name(result.path);
        size_t shown = 0;
        for (const RecordResult &record : result.off) {
            if (options_.max_failures != 0 && shown++ == options_.max_failures)
                break;
            std::cout << off_text(name, record);
        }
        if (options_.stale) {
            for (const RecordResult &record : result.stale) {
                for (const uint32_t request : record.stale)
                    std::cout << "stale " << record.id << " request " << request << "\n";
            }
        }
        std::cout << name << ": " << result.records << " records, " << count_text("requests", result.requests)
                  << ", " << count_text("commands", result.commands) << ", "
                  << count_text("fault records", result.fault_records) << ", "
                  << count_text("operations", result.operations) << ", max error " << result.max_error_cycles
                  << " cycles" << std::endl;
        for (const std::string &note : result.notes)
            std::cerr << "iommu-sim timing: note: " << result.path << ": field '" << note
                      << "' is not known and was not compared\n";
    }

    void add(const FileResult &result)
    {
        records_ += result.records;
        exact_ += result.requests.exact;
        off_ += result.off_items();
        max_error_cycles_ = std::max(max_error_cycles_, result.max_error_cycles);
        if (!options_.json_file.empty())
            files_.push_back(file_json(result));
    }

    nlohmann::ordered_json summary(const SystemConfig &profile) const
    {
        nlohmann::ordered_json json;
        json["schema"] = "iommu-sim timing 1";
        json["tool_version"] = tool_version();
        json["kernel"] = options_.kernel;
        json["exact"] = exact_;
        json["off"] = off_;
        json["max_error_cycles"] = max_error_cycles_;
        json["files"] = files_;
        json["config"] = config_json(profile);
        return json;
    }

    const TimingOptions &options_;
    bool bad_ = false;
    uint64_t records_ = 0, exact_ = 0, off_ = 0, max_error_cycles_ = 0;
    std::vector<nlohmann::ordered_json> files_;
    RequestTable table_; // of options_.requests_file
};

void add_options(CLI::App &command, TimingOptions &options)
{
    command.add_option("FILE", options.files, "Files of records (.jsonl or .jsonl.zst)")->required();
    command.add_option("--config", options.config.path, "Configuration of the hardware; default: riscv-zdl")
        ->type_name("FILE");
    command.add_option("--set", options.config.settings, "Override one key; may be repeated")
        ->allow_extra_args(false)
        ->type_name("KEY=VALUE");
    command.add_option("--kernel", options.kernel, "Simulation kernel")
        ->check(CLI::IsMember({"core", "systemc"}))
        ->capture_default_str();
    command.add_option("--filter", options.filter, "Only records whose id matches this shell pattern");
    command.add_option("--max-failures", options.max_failures, "Records of a file shown in detail (0 = all)")
        ->capture_default_str();
    command.add_option("--json", options.json_file, "Write a summary to this file");
    command.add_option("--requests", options.requests_file,
                       "Write a table of all requests, recorded beside simulated, to this file (CSV)");
    command.add_flag("--stale", options.stale,
                     "Print each request that used a translation after it was reported gone");
    command.footer("Example:\n  iommu-sim timing tests/data/rtl-timing/latency.jsonl.zst\n\n"
                   "Exit status: 0 all exact, 1 some off, 2 input that cannot be used.");
}

} // namespace

void add_timing_command(CLI::App &app, int &status)
{
    CLI::App *command = app.add_subcommand("timing", "Compare with records of real hardware, cycle by cycle");
    const auto options = std::make_shared<TimingOptions>();
    add_options(*command, *options);
    command->callback([options, &status] { status = Run(*options).run(); });
}

} // namespace iommu_sim
