// SPDX-License-Identifier: Apache-2.0
//
// Playing files of records. See runner.h.
#include "models/timing/runner.h"

#include <fnmatch.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "models/child_process.h"

namespace iommu_sim::timing
{

namespace
{

// ---- results of a child process ------------------------------------------------------------------------

nlohmann::json to_json(const Count &count)
{
    return {count.exact, count.off};
}

Count count_from(const nlohmann::json &json)
{
    return {json.at(0).get<uint64_t>(), json.at(1).get<uint64_t>()};
}

nlohmann::json to_json(const Outcome &outcome)
{
    return {outcome.presented,
            outcome.accepted,
            outcome.done,
            outcome.responded,
            outcome.result,
            outcome.address,
            outcome.cause ? nlohmann::json(*outcome.cause) : nlohmann::json()};
}

Outcome outcome_from(const nlohmann::json &json)
{
    Outcome outcome;
    json.at(0).get_to(outcome.presented);
    json.at(1).get_to(outcome.accepted);
    json.at(2).get_to(outcome.done);
    json.at(3).get_to(outcome.responded);
    json.at(4).get_to(outcome.result);
    json.at(5).get_to(outcome.address);
    if (!json.at(6).is_null())
        outcome.cause = json.at(6).get<uint32_t>();
    return outcome;
}

nlohmann::json to_json(const ComparedRequest &request)
{
    return {to_json(request.recorded), to_json(request.simulated),
            request.recorded_reads,    request.simulated_reads,
            request.verdict,           request.why};
}

ComparedRequest request_from(const nlohmann::json &json)
{
    ComparedRequest request;
    request.recorded = outcome_from(json.at(0));
    request.simulated = outcome_from(json.at(1));
    json.at(2).get_to(request.recorded_reads);
    json.at(3).get_to(request.simulated_reads);
    json.at(4).get_to(request.verdict);
    json.at(5).get_to(request.why);
    return request;
}

std::string to_text(const RecordResult &result)
{
    const Comparison &comparison = result.comparison;
    nlohmann::json json;
    json["requests"] = to_json(comparison.requests);
    json["commands"] = to_json(comparison.commands);
    json["fault_records"] = to_json(comparison.fault_records);
    json["operations"] = to_json(comparison.operations);
    json["max_error_cycles"] = comparison.max_error_cycles;
    for (const ComparedRequest &request : comparison.each_request)
        json["requests_compared"].push_back(to_json(request));
    json["stale"] = result.stale;
    if (comparison.first) {
        json["first"] = {{"name", comparison.first->name},
                         {"cycle", comparison.first->cycle},
                         {"more", comparison.first->more}};
        for (const Difference &difference : comparison.first->differences)
            json["first"]["differences"].push_back({difference.what, difference.expected, difference.got});
    }
    return json.dump();
}

void from_text(const std::string &text, RecordResult *result)
{
    const nlohmann::json json = nlohmann::json::parse(text);
    Comparison &comparison = result->comparison;
    comparison.requests = count_from(json.at("requests"));
    comparison.commands = count_from(json.at("commands"));
    comparison.fault_records = count_from(json.at("fault_records"));
    comparison.operations = count_from(json.at("operations"));
    json.at("max_error_cycles").get_to(comparison.max_error_cycles);
    for (const nlohmann::json &request : json.value("requests_compared", nlohmann::json::array()))
        comparison.each_request.push_back(request_from(request));
    json.at("stale").get_to(result->stale);
    if (!json.contains("first"))
        return;
    const nlohmann::json &first = json.at("first");
    OffItem item;
    first.at("name").get_to(item.name);
    first.at("cycle").get_to(item.cycle);
    first.at("more").get_to(item.more);
    for (const nlohmann::json &difference : first.at("differences"))
        item.differences.push_back({difference.at(0), difference.at(1), difference.at(2)});
    comparison.first = item;
}

RecordResult play(const SystemConfig &profile, const Record &record, KernelKind kernel)
{
    RecordResult result;
    result.id = record.id;
    result.line = record.line;
    Rig rig(profile, record, kernel);
    Playback playback = rig.play();
    result.comparison = compare(record, playback.seen);
    result.stale = std::move(playback.stale);
    return result;
}

} // namespace

RecordResult play_record(const SystemConfig &profile, const Record &record, KernelKind kernel)
{
    try {
        if (kernel == KernelKind::core)
            return play(profile, record, kernel);
        RecordResult result;
        result.id = record.id;
        result.line = record.line;
        from_text(in_child_process([&] { return to_text(play(profile, record, kernel)); }), &result);
        return result;
    } catch (const std::exception &problem) {
        throw std::runtime_error("record " + record.id + ": " + problem.what());
    }
}

void FileResult::add(const RecordResult &record)
{
    const Comparison &comparison = record.comparison;
    records++;
    exact_records += comparison.off() == 0 ? 1 : 0;
    requests += comparison.requests;
    commands += comparison.commands;
    fault_records += comparison.fault_records;
    operations += comparison.operations;
    max_error_cycles = std::max(max_error_cycles, comparison.max_error_cycles);
    if (comparison.off() != 0)
        off.push_back(record);
    if (!record.stale.empty())
        stale.push_back(record);
}

FileResult play_file(const std::string &path, const SystemConfig &profile, const RunOptions &options,
                     const std::function<void(const RecordResult &, const FileResult &)> &observe)
{
    FileResult result;
    result.path = path;
    RecordFile file(path);
    bool any = false;
    while (const std::optional<Record> record = file.next()) {
        any = true;
        if (!options.filter.empty() && fnmatch(options.filter.c_str(), record->id.c_str(), 0) != 0)
            continue;
        RecordResult played;
        try {
            played = play_record(profile, *record, options.kernel);
        } catch (const std::runtime_error &problem) {
            throw std::runtime_error(path + ":" + std::to_string(record->line) + ": " + problem.what());
        }
        result.add(played);
        if (observe)
            observe(played, result);
    }
    if (!any)
        throw InputError(path + ": contains no records");
    result.notes.assign(file.notes().begin(), file.notes().end());
    return result;
}

} // namespace iommu_sim::timing
