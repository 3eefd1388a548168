// SPDX-License-Identifier: Apache-2.0
//
// Listing and playing scenarios: which of them, in which order, and what is printed. See scenario_command.h.
#include "models/cli/scenario_command.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <stdexcept>

#include "models/cli/support.h"
#include "models/config/suggest.h"
#include "models/report/json_document.h"
#include "models/report/result_json.h"
#include "models/report/table.h"
#include "models/scenario/document.h"
#include "models/scenario/library.h"
#include "models/scenario/runner.h"

namespace iommu_sim
{

namespace
{

struct ScenarioOptions {
    std::vector<std::string> names; ///< run: all, ids, groups
    std::string folder, file;
    std::string kernel = "core";
    std::string variant, json_file;
    bool verbose = false;
    bool markdown = false;
};

std::vector<ScenarioFile> load_scenarios(const ScenarioOptions &options)
{
    if (!options.file.empty())
        return read_scenarios({read_scenario_text(options.file)});
    return read_scenarios(options.folder.empty() ? built_in_scenarios()
                                                 : scenarios_of_folder(options.folder));
}

// ---- list ------------------------------------------------------------------------------------------------

std::string join_words(const std::vector<std::string> &words)
{
    std::string text;
    for (const std::string &word : words)
        text += (text.empty() ? "" : " ") + word;
    return text;
}

int list_scenarios(const ScenarioOptions &options)
{
    try {
        const std::vector<ScenarioFile> files = load_scenarios(options);
        if (options.markdown)
            return print(scenario_table(files));
        TextTable table({{"id"}, {"title"}, {"variants"}});
        for (const ScenarioFile &file : files)
            table.add_row({file.id(), file.title(), join_words(file.variants())});
        return print(table.text());
    } catch (const std::runtime_error &problem) {
        return bad_input(problem.what());
    }
}

// ---- run -------------------------------------------------------------------------------------------------

/// Which scenarios are meant; throws with a message for a name that means none.
std::vector<const ScenarioFile *> chosen(const std::vector<ScenarioFile> &files,
                                         const std::vector<std::string> &names)
{
    std::vector<std::string> known{"all"};
    for (const ScenarioFile &file : files) {
        known.push_back(file.id());
        if (std::find(known.begin(), known.end(), scenario_group(file.id())) == known.end())
            known.push_back(scenario_group(file.id()));
    }
    const auto means = [](const std::string &name, const ScenarioFile &file) {
        return name == "all" || name == file.id() || name == scenario_group(file.id());
    };
    for (const std::string &name : names) {
        const bool some =
            std::any_of(files.begin(), files.end(), [&](const ScenarioFile &f) { return means(name, f); });
        if (!some)
            throw std::runtime_error("there is no scenario or group '" + name + "'" +
                                     did_you_mean(name, known) + "; `iommu-sim scenario list` shows all");
    }
    std::vector<const ScenarioFile *> result;
    for (const ScenarioFile &file : files) {
        if (names.empty() || std::any_of(names.begin(), names.end(),
                                         [&](const std::string &name) { return means(name, file); }))
            result.push_back(&file);
    }
    return result;
}

/// Unit behind a value, unless the name says it.
std::string unit_text(const std::string &figure)
{
    const std::string unit = figure_unit(figure);
    const bool said = unit == "address" || figure.find(unit) != std::string::npos;
    return said ? "" : " " + unit;
}

/// One line, and below it what was not met and (verbose) what happened.
std::string result_text(const ScenarioResult &result, const ScenarioOptions &options)
{
    std::string text = result.id + " " + result.variant + ": " + (result.ok() ? "ok" : "NOT AS EXPECTED");
    std::string separator = "  ";
    for (const std::string &name : result.shown) {
        if (result.figures.count(name) == 0)
            continue; // an expression, or without value
        text += separator + name + " " + figure_value(name, result.figures.at(name)) + unit_text(name);
        separator = ", ";
    }
    text += "\n";
    for (const Unmet &unmet : result.unmet)
        text += "    " + unmet.figure + ": expected " + unmet.expected + ", got " + unmet.got + "\n";
    if (!options.verbose)
        return text;
    for (const std::string &line : result.log)
        text += "    " + line + "\n";
    for (const std::string &line : result.findings)
        text += "    tracker: " + line + "\n";
    return text;
}

nlohmann::ordered_json result_json(const ScenarioResult &result)
{
    nlohmann::ordered_json json;
    json["id"] = result.id;
    json["variant"] = result.variant;
    json["title"] = result.title;
    json["ok"] = result.ok();
    json["unmet"] = nlohmann::ordered_json::array();
    for (const Unmet &unmet : result.unmet)
        json["unmet"].push_back({{"figure", unmet.figure}, {"expected", unmet.expected}, {"got", unmet.got}});
    json["figures"] = nlohmann::ordered_json::object();
    for (const auto &figure : result.figures)
        json["figures"][figure.first] = figure.second;
    json["findings"] = result.findings;
    json["log"] = result.log;
    return json;
}

class RunScenarios
{
  public:
    explicit RunScenarios(const ScenarioOptions &options) : options_(options)
    {
        document_["schema"] = "iommu-sim scenario 1";
        document_["tool_version"] = tool_version();
        document_["kernel"] = options.kernel;
        document_["scenarios"] = nlohmann::ordered_json::array();
    }

    /// Throws std::runtime_error for what the user has to change.
    int run()
    {
        const std::vector<ScenarioFile> files = load_scenarios(options_);
        const std::vector<const ScenarioFile *> meant = chosen(files, options_.names);
        check_variant(meant);
        for (const ScenarioFile *file : meant) {
            for (const std::string &variant : file->variants()) {
                if (options_.variant.empty() || variant == options_.variant)
                    play(*file, variant);
            }
        }
        std::cout << passed_ << " passed, " << failed_ << " failed\n";
        document_["passed"] = passed_;
        document_["failed"] = failed_;
        if (!std::cout.flush())
            throw std::runtime_error("standard output cannot be written");
        if (!options_.json_file.empty()) {
            const std::string problem = write_json_file(options_.json_file, document_);
            if (!problem.empty())
                throw std::runtime_error(problem);
        }
        return failed_ == 0 ? exit_clean : exit_findings;
    }

  private:
    void check_variant(const std::vector<const ScenarioFile *> &files) const
    {
        std::vector<std::string> known;
        for (const ScenarioFile *file : files)
            known.insert(known.end(), file->variants().begin(), file->variants().end());
        if (!options_.variant.empty() &&
            std::find(known.begin(), known.end(), options_.variant) == known.end())
            throw std::runtime_error("--variant: none of these scenarios has a variant '" + options_.variant +
                                     "'" + did_you_mean(options_.variant, known));
    }

    void play(const ScenarioFile &file, const std::string &variant)
    {
        const ScenarioKernel kernel =
            options_.kernel == "core" ? ScenarioKernel::core : ScenarioKernel::systemc;
        const ScenarioResult result = run_scenario(file, variant, kernel);
        std::cout << result_text(result, options_) << std::flush;
        (result.ok() ? passed_ : failed_)++;
        document_["scenarios"].push_back(result_json(result));
    }

    const ScenarioOptions &options_;
    nlohmann::ordered_json document_;
    uint64_t passed_ = 0, failed_ = 0;
};

int run_scenarios(const ScenarioOptions &options)
{
    if (options.names.empty() && options.file.empty())
        return bad_input("scenario run: say which: all, ids (A1 E7) or groups (A), or --file FILE");
    try {
        return RunScenarios(options).run();
    } catch (const std::runtime_error &problem) {
        return bad_input(problem.what());
    }
}

// ---- options -------------------------------------------------------------------------------------------

void add_source_options(CLI::App &command, ScenarioOptions &options)
{
    auto *file = command.add_option("--file", options.file, "A scenario file instead of those built in");
    command.add_option("--dir", options.folder, "Scenario files of this folder instead of those built in")
        ->excludes(file);
}

} // namespace

void add_scenario_command(CLI::App &app, int &status)
{
    CLI::App *command = app.add_subcommand("scenario", "List and play scenarios with known outcome");
    command->require_subcommand(1);
    const auto options = std::make_shared<ScenarioOptions>();
    CLI::App *list = command->add_subcommand("list", "Id, title and variants of each scenario");
    add_source_options(*list, *options);
    list->add_flag("--markdown", options->markdown, "The table of docs/scenarios.md");
    list->callback([options, &status] { status = list_scenarios(*options); });
    CLI::App *run = command->add_subcommand("run", "Play scenarios and compare with what their files expect");
    run->add_option("NAME", options->names, "all, ids (A1 E7), groups (A is A1, A2, ...)");
    add_source_options(*run, *options);
    run->add_option("--variant", options->variant, "This variant only");
    run->add_option("--kernel", options->kernel, "What drives the units; figures are the same")
        ->check(CLI::IsMember({"core", "systemc"}))
        ->capture_default_str();
    run->add_flag("--verbose", options->verbose, "What happened, in cycles, and what the tracker found");
    run->add_option("--json", options->json_file, "Write all figures to this file");
    run->callback([options, &status] { status = run_scenarios(*options); });
    run->footer(
        "A scenario is played once in each of its variants; the last line `N passed, N failed` counts\n"
        "pairs of scenario and variant.\n\n"
        "Example:\n  iommu-sim scenario run A --variant base --verbose\n\n"
        "Exit status: 0 all as expected, 1 not, 2 unknown name or file that cannot be used.");
    command->footer("Example:\n  iommu-sim scenario run all");
}

} // namespace iommu_sim
