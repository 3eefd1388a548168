// SPDX-License-Identifier: Apache-2.0
//
// The command `iommu-sim verify`. Findings go to standard output, errors and notes to standard error.
#include "models/cli/verify_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/report/json_document.h"
#include "models/verify/runner.h"
#include "models/verify/target_factory.h"
#include "models/verify/vector_file.h"

namespace iommu_sim
{

namespace
{

using namespace verify;

struct VerifyOptions {
    std::vector<std::string> files;
    std::string mode = "uncached";
    TargetOptions target;
    std::string filter;
    std::string json_file;
    uint64_t max_failures = 0; // shown in detail; 0 = all
    bool verbose = false;
    bool list = false;
    bool masks = false;
};

constexpr int status_clean = 0, status_failures = 1, status_bad_input = 2;

std::string base_name(const std::string &path)
{
    return std::filesystem::path(path).filename().string();
}

std::string counts_text(uint64_t passed, uint64_t failed, uint64_t skipped)
{
    std::string text = std::to_string(passed) + " passed, " + std::to_string(failed) + " failed";
    if (skipped > 0)
        text += ", " + std::to_string(skipped) + " skipped";
    return text;
}

std::string where_text(const Failure &failure)
{
    std::string text = "vector " + failure.vector;
    if (failure.step)
        text += " step " + std::to_string(*failure.step);
    return text + ": " + failure.operation + " [" + failure.variant + "]";
}

void print_failure(const std::string &path, const Failure &failure)
{
    std::cout << base_name(path) << ":" << failure.line << ": " << where_text(failure) << "\n";
    for (const Difference &difference : failure.differences)
        std::cout << "    " << difference.what << ": expected " << difference.expected << ", got "
                  << difference.got << "\n";
}

void print_masks()
{
    for (size_t i = 0; i < mask_count; i++) {
        const MaskRule &rule = mask_rule(static_cast<Mask>(i));
        std::cout << rule.name << "\n    for:     " << rule.families << "\n    if:      " << rule.condition
                  << "\n    accepts: " << rule.effect << "\n";
    }
    for (const Dispute &dispute : disputes())
        std::cout << dispute.name << "\n    skips:   " << dispute.family
                  << "\n    section: " << dispute.section << "\n    why:     " << dispute.text << "\n";
}

/// One run of the command.
class Run
{
  public:
    explicit Run(const VerifyOptions &options) : options_(options)
    {
    }

    int verify();
    int list();

  private:
    void play(const std::string &path, const std::vector<TargetVariant> &variants, Mode mode);
    void observe(const VectorName &vector, const VectorResult &result, const FileResult &so_far);
    void print_file(const FileResult &result);
    void progress(const FileResult &so_far);
    void clear_progress();
    void error(const std::string &text);
    bool write_summary();
    nlohmann::ordered_json summary() const;

    const VerifyOptions &options_;
    const bool terminal_ = isatty(STDERR_FILENO) != 0;
    bool progress_shown_ = false;
    bool bad_input_ = false;
    uint64_t shown_ = 0;
    FileResult total_;
    std::vector<FileResult> files_;
};

void Run::error(const std::string &text)
{
    clear_progress();
    std::cout.flush();
    std::cerr << "iommu-sim verify: " << text << "\n";
    bad_input_ = true;
}

void Run::clear_progress()
{
    if (progress_shown_)
        std::cerr << "\r\033[K" << std::flush;
    progress_shown_ = false;
}

void Run::progress(const FileResult &so_far)
{
    constexpr uint64_t every = 25;
    if (!terminal_ || so_far.total() % every != 0)
        return;
    std::cerr << "\r" << base_name(so_far.path) << ": " << so_far.total() << " vectors" << std::flush;
    progress_shown_ = true;
}

void Run::observe(const VectorName &vector, const VectorResult &result, const FileResult &so_far)
{
    if (result.status == Status::failed) {
        clear_progress();
        for (const Failure &failure : result.failures) {
            if (options_.max_failures == 0 || shown_ < options_.max_failures)
                print_failure(so_far.path, failure);
            shown_++;
        }
    } else if (options_.verbose) {
        clear_progress();
        std::cout << base_name(so_far.path) << ":" << vector.line << ": vector " << vector.id << ": "
                  << (result.dispute ? std::string("skipped: ") + result.dispute->name : "passed") << "\n";
    }
    progress(so_far);
}

void Run::print_file(const FileResult &result)
{
    clear_progress();
    if (options_.verbose) {
        for (size_t i = 0; i < mask_count; i++) {
            const auto mask = static_cast<Mask>(i);
            if (result.use.count(mask) > 0)
                std::cout << "    mask " << mask_rule(mask).name << ": needed " << result.use.count(mask)
                          << " times (" << mask_rule(mask).condition << ")\n";
        }
    }
    std::cout << base_name(result.path) << ": " << counts_text(result.passed, result.failed, result.skipped);
    if (result.stale_uses != 0)
        std::cout << "; hazard tracker: " << result.stale_uses << " stale uses, as the tables say";
    std::cout << std::endl;
    for (const std::string &note : result.notes)
        std::cerr << "iommu-sim verify: " << result.path << ": note: unknown field '" << note
                  << "' is not compared\n";
}

void Run::play(const std::string &path, const std::vector<TargetVariant> &variants, Mode mode)
{
    const auto observer = [this](const VectorName &vector, const VectorResult &result,
                                 const FileResult &so_far) { observe(vector, result, so_far); };
    try {
        FileResult result = play_file(path, options_.filter, variants, mode, observer);
        print_file(result);
        total_.passed += result.passed;
        total_.failed += result.failed;
        total_.skipped += result.skipped;
        total_.queue_ignored = total_.queue_ignored || result.queue_ignored;
        total_.stale_uses += result.stale_uses;
        total_.use.add(result.use);
        files_.push_back(std::move(result));
    } catch (const std::runtime_error &problem) {
        error(problem.what());
    }
}

int Run::verify()
{
    const Mode mode = options_.mode == "cached" ? Mode::cached : Mode::uncached;
    std::vector<TargetVariant> variants;
    try {
        variants = target_variants(options_.target, mode);
    } catch (const std::runtime_error &problem) {
        error(problem.what());
        return status_bad_input;
    }
    for (const std::string &path : options_.files)
        play(path, variants, mode);
    if (!bad_input_ && total_.total() == 0)
        error("no vector matches --filter " + options_.filter);
    if (options_.max_failures > 0 && shown_ > options_.max_failures)
        std::cout << shown_ - options_.max_failures
                  << " further failures are not shown (--max-failures 0 shows "
                  << "all)\n";
    if (total_.queue_ignored)
        std::cerr
            << "iommu-sim verify: note: this system does not execute queue commands; queue heads, status "
               "words and queue errors were not compared\n";
    if (!write_summary())
        return status_bad_input;
    if (bad_input_)
        return status_bad_input;
    std::cout << counts_text(total_.passed, total_.failed, total_.skipped) << std::endl;
    if (!std::cout) {
        error("standard output cannot be written");
        return status_bad_input;
    }
    return total_.failed > 0 ? status_failures : status_clean;
}

int Run::list()
{
    uint64_t listed = 0;
    for (const std::string &path : options_.files) {
        try {
            VectorFile file(path);
            while (const std::optional<AnyVector> vector = file.next()) {
                const VectorName name = name_of(*vector);
                if (!matches_filter(name.id, options_.filter))
                    continue;
                std::cout << base_name(path) << ":" << name.line << ": " << name.id << ": " << name.steps
                          << " steps\n";
                listed++;
            }
        } catch (const std::runtime_error &problem) {
            error(problem.what());
        }
    }
    if (!bad_input_ && listed == 0)
        error("no vectors");
    if (!std::cout.flush())
        error("standard output cannot be written");
    return bad_input_ ? status_bad_input : status_clean;
}

nlohmann::ordered_json failure_json(const Failure &failure)
{
    nlohmann::ordered_json json;
    json["vector"] = failure.vector;
    json["line"] = failure.line;
    json["system"] = failure.variant;
    json["step"] = failure.step ? nlohmann::ordered_json(*failure.step) : nlohmann::ordered_json();
    json["operation"] = failure.operation;
    json["differences"] = nlohmann::ordered_json::array();
    for (const Difference &difference : failure.differences)
        json["differences"].push_back(
            {{"what", difference.what}, {"expected", difference.expected}, {"got", difference.got}});
    return json;
}

nlohmann::ordered_json Run::summary() const
{
    nlohmann::ordered_json json;
    json["schema"] = "iommu-sim verify 1";
    json["tool_version"] = IOM_VERSION;
    json["mode"] = options_.mode;
    json["kernel"] = options_.target.kernel;
    json["passed"] = total_.passed;
    json["failed"] = total_.failed;
    json["skipped"] = total_.skipped;
    json["queue_compared"] = !total_.queue_ignored;
    json["stale_uses"] = total_.stale_uses;
    json["masks"] = nlohmann::ordered_json::object();
    for (size_t i = 0; i < mask_count; i++)
        json["masks"][mask_rule(static_cast<Mask>(i)).name] = total_.use.count(static_cast<Mask>(i));
    json["files"] = nlohmann::ordered_json::array();
    for (const FileResult &file : files_) {
        nlohmann::ordered_json entry;
        entry["file"] = file.path;
        entry["passed"] = file.passed;
        entry["failed"] = file.failed;
        entry["skipped"] = file.skipped;
        entry["stale_uses"] = file.stale_uses;
        entry["skips"] = file.skips;
        entry["failures"] = nlohmann::ordered_json::array();
        for (const Failure &failure : file.failures)
            entry["failures"].push_back(failure_json(failure));
        json["files"].push_back(std::move(entry));
    }
    return json;
}

bool Run::write_summary()
{
    if (options_.json_file.empty() || bad_input_)
        return true;
    const std::string problem = write_json_file(options_.json_file, summary());
    if (!problem.empty())
        error(problem);
    return problem.empty();
}

void add_options(CLI::App &command, VerifyOptions &options)
{
    command.add_option("FILE", options.files, "Vector files (.jsonl or .jsonl.zst)");
    command.add_option("--mode", options.mode, "uncached: caches are emptied before each DMA")
        ->check(CLI::IsMember({"uncached", "cached"}))
        ->capture_default_str();
    command.add_option("--config", options.target.config_file, "System configuration");
    command.add_option("--set", options.target.settings, "Override one key: key=value")
        ->allow_extra_args(false);
    command
        .add_option("--kernel", options.target.kernel,
                    "Kernel of the timed system, or functional: walks without caches and time")
        ->check(CLI::IsMember({"core", "systemc", "functional"}))
        ->capture_default_str();
    command.add_option("--filter", options.filter, "Only vectors whose id matches this shell pattern");
    command.add_option("--max-failures", options.max_failures, "Show at most N failures (0 = all)");
    command.add_option("--json", options.json_file, "Write a summary to this file");
    command.add_flag("--verbose", options.verbose, "A line for each vector, and the masks that were needed");
    command.add_flag("--list", options.list, "List the vectors instead of playing them");
    command.add_flag("--masks", options.masks, "Print what comparison forgives, and when");
}

int run_verify(const VerifyOptions &options)
{
    if (options.masks) {
        print_masks();
        return std::cout.flush() ? status_clean : status_bad_input;
    }
    if (options.files.empty()) {
        std::cerr << "iommu-sim verify: no vector file given\n";
        return status_bad_input;
    }
    Run run(options);
    return options.list ? run.list() : run.verify();
}

} // namespace

void add_verify_command(CLI::App &app, int &status)
{
    CLI::App *command = app.add_subcommand("verify", "Play conformance vectors");
    const auto options = std::make_shared<VerifyOptions>();
    add_options(*command, *options);
    command->callback([options, &status] { status = run_verify(*options); });
}

} // namespace iommu_sim
