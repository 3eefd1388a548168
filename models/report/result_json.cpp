// SPDX-License-Identifier: Apache-2.0
//
// From a session to a JSON document. See result_json.h and docs/results.md.
#include "models/report/result_json.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "models/config/config.h"
#include "models/report/measures.h"
#include "traffic/trace_io.h"

namespace iommu_sim
{

namespace
{

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double> &value)
{
    return value ? Json(*value) : Json();
}

std::string hex32(uint32_t value)
{
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "0x%08x", value);
    return text.data();
}

// ---- statistics ----------------------------------------------------------------------------------------

Json buckets_json(const iom_histogram &histogram)
{
    Json buckets = Json::array();
    for (uint32_t i = 0; i < IOM_HISTOGRAM_BUCKETS; i++) {
        if (histogram.bucket[i] != 0)
            buckets.push_back(
                {iom_histogram_bucket_first(i), iom_histogram_bucket_last(i), histogram.bucket[i]});
    }
    return buckets;
}

Json histogram_json(const StatisticValue &value, bool with_buckets)
{
    const iom_histogram &h = value.histogram;
    Json json;
    json["unit"] = value.unit;
    json["count"] = h.count;
    json["sum"] = h.sum;
    json["min"] = h.count == 0 ? Json() : Json(h.minimum);
    json["max"] = h.count == 0 ? Json() : Json(h.maximum);
    json["mean"] = number_or_null(histogram_mean(h));
    constexpr std::array<std::pair<const char *, uint32_t>, 4> quantiles = {
        {{"p50", 500000}, {"p90", 900000}, {"p99", 990000}, {"p999", 999000}}};
    for (const auto &[name, per_million] : quantiles)
        json[name] = h.count == 0 ? Json() : Json(iom_histogram_quantile(&h, per_million));
    if (with_buckets)
        json["buckets"] = buckets_json(h);
    return json;
}

Json statistics_json(const std::vector<StatisticGroup> &groups, bool with_buckets)
{
    Json units = Json::object();
    for (const StatisticGroup &group : groups) {
        Json values = Json::object();
        for (const StatisticValue &value : group.values) {
            if (value.kind == IOM_STAT_HISTOGRAM)
                values[value.name] = histogram_json(value, with_buckets);
            else
                values[value.name] = {{"value", value.value}, {"unit", value.unit}};
        }
        units[group.unit][group.group] = std::move(values);
    }
    return units;
}

Json phase_json(const PhaseResult &phase, const SystemConfig &config)
{
    // A phase that was skipped or not reached has no statistics.
    if (phase.groups.empty())
        return nullptr;
    const double tick_ns = static_cast<double>(config.clock.tick_ps) / 1000.0;
    Json json;
    json["first_cycle"] = phase.first_cycle;
    json["last_cycle"] = phase.last_cycle;
    json["cycles"] = phase.cycles();
    json["time_ns"] = static_cast<double>(phase.cycles()) * tick_ns;
    json["completed"] = phase.completed;
    json["statistics"] = statistics_json(phase.groups, config.report.histogram);
    return json;
}

Json derived_json(const PhaseResult &region, const SystemConfig &config)
{
    const Measures measures = measure(region, config);
    Json json = Json::object();
    for (const DerivedValue &value : derived_values()) {
        json[value.name]["value"] = number_or_null(value.value(measures));
        json[value.name]["unit"] = value.unit;
    }
    return json;
}

// ---- trace ---------------------------------------------------------------------------------------------

Json trace_json(const SystemConfig &config, const iom_trace_header *header,
                const std::optional<FileChecksum> &checksum)
{
    if (header == nullptr)
        return nullptr;
    Json json;
    json["file"] = config.trace.file;
    json["bytes"] = checksum ? Json(checksum->bytes) : Json();
    json["crc32c"] = checksum ? Json(hex32(checksum->crc32c)) : Json();
    json["records"] = header->records == IOM_TRACE_COUNT_UNKNOWN ? Json() : Json(header->records);
    json["queue_depth"] = header->queue_depth;
    json["clock"] = iom_trace_clock_name(header->clock);
    json["tick_ps"] = header->tick_ps;
    json["recorded_on"] = iom_trace_arch_name(header->arch);
    json["producer"] = header->producer == nullptr ? Json() : Json(header->producer);
    const auto list = [&](iom_trace_list which, auto &&entry_json) {
        Json entries = Json::array();
        for (uint32_t i = 0; i < header->list[which].count; i++)
            entries.push_back(entry_json(header->list[which].entry[i]));
        return entries;
    };
    json["devices"] = list(IOM_TRACE_DEVICES, [](const iom_trace_entry &e) {
        return Json{{"name", e.text}, {"requester", e.number}};
    });
    json["sources"] = list(IOM_TRACE_SOURCES, [](const iom_trace_entry &e) {
        return Json{{"file", e.text}, {"crc32c", hex32(static_cast<uint32_t>(e.number))}};
    });
    json["notes"] = list(IOM_TRACE_NOTES, [](const iom_trace_entry &e) { return Json(e.text); });
    return json;
}

// ---- hazards -------------------------------------------------------------------------------------------

Json cycle_or_null(iom_cycle cycle)
{
    return cycle == IOM_NEVER ? Json() : Json(cycle);
}

std::string hex64(uint64_t value)
{
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "0x%" PRIx64, value);
    return text.data();
}

const char *severity_name(uint8_t severity)
{
    return severity == IOM_SEVERITY_HAZARD ? "hazard" : severity == IOM_SEVERITY_WARNING ? "warning" : "note";
}

Json request_json(const iom_finding &f)
{
    if (!f.has_request)
        return nullptr;
    return {{"id", f.request},
            {"source", f.source},
            {"pasid", f.has_pasid ? Json(f.pasid) : Json()},
            {"iova", hex64(f.iova)},
            {"bytes", f.bytes},
            {"write", f.write},
            {"output", hex64(f.output)},
            {"looked_up", cycle_or_null(f.looked_up)},
            {"visible", cycle_or_null(f.visible)}};
}

Json finding_json(const Finding &finding)
{
    const iom_finding &f = finding.what;
    Json json;
    json["kind"] = iom_finding_kind_name(static_cast<iom_finding_kind>(f.kind));
    json["severity"] = severity_name(f.severity);
    json["text"] = finding.line;
    json["request"] = request_json(f);
    json["cache"] = iom_tracked_cache_name(f.cache);
    json["source_word"] = f.has_source ? Json(hex64(f.word)) : Json();
    json["created"] = cycle_or_null(f.created);
    json["commanded"] = cycle_or_null(f.commanded);
    Json executed = Json::object();
    for (uint32_t cache = IOM_TRACKED_CONTEXT; cache <= IOM_TRACKED_DEVICE_TLB; cache++) {
        if (f.executed[cache] != IOM_NEVER)
            executed[iom_tracked_cache_name(cache)] = f.executed[cache];
    }
    json["executed"] = std::move(executed);
    json["completed"] = cycle_or_null(f.completed);
    json["reported"] = cycle_or_null(f.reported);
    json["invalidation"] = f.invalidation == 0 ? Json() : Json(f.invalidation);
    json["covered"] = cycle_or_null(f.covered);
    return json;
}

Json hazards_json(const HazardReport &hazards)
{
    if (!hazards.tracked)
        return nullptr;
    Json json;
    json["hazards"] = hazards.hazards;
    for (uint32_t kind = 0; kind < IOM_FINDING_KINDS; kind++)
        json["counts"][iom_finding_kind_name(static_cast<iom_finding_kind>(kind))] = hazards.counts[kind];
    json["findings"] = Json::array();
    for (const Finding &finding : hazards.findings)
        json["findings"].push_back(finding_json(finding));
    return json;
}

// ---- machine and moment --------------------------------------------------------------------------------

std::string utc_now()
{
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

const char *compiler()
{
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

Json run_json(const SessionResult &result, const RunInfo &run)
{
    utsname host{};
    uname(&host);
    const uint64_t completed = result.bring_up.completed + result.warm_up.completed + result.region.completed;
    Json json;
    json["kernel"] = run.kernel;
    json["config"] = run.config_path;
    json["command_line"] = run.command_line;
    json["date"] = utc_now();
    json["host"] = {{"name", host.nodename},
                    {"system", std::string(host.sysname) + " " + host.release},
                    {"machine", host.machine},
                    {"processors", std::thread::hardware_concurrency()}};
    json["compiler"] = compiler();
    json["wall_seconds"] = run.wall_seconds;
    json["dma_per_wall_second"] =
        run.wall_seconds > 0 ? Json(static_cast<double>(completed) / run.wall_seconds) : Json();
    json["unit_evaluations"] = result.events;
    return json;
}

} // namespace

const char *tool_version()
{
    return IOM_VERSION;
}

std::optional<FileChecksum> checksum_file(const std::string &path)
{
    struct stat status {
    };
    if (path == "-" || (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)))
        return std::nullopt;
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    FileChecksum checksum;
    std::vector<char> buffer(size_t{1} << 16);
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
        const auto got = static_cast<size_t>(file.gcount());
        checksum.crc32c = iom_crc32c(checksum.crc32c, buffer.data(), got);
        checksum.bytes += got;
    }
    if (!file.eof())
        throw std::runtime_error(path + ": cannot be read: " + std::generic_category().message(errno));
    return checksum;
}

nlohmann::ordered_json result_json(const SystemConfig &config, const System &system,
                                   const SessionResult &result, const HazardReport &hazards,
                                   const std::optional<FileChecksum> &trace, const RunInfo &run)
{
    Json json;
    json["schema"] = {{"name", result_schema_name}, {"version", result_schema_version}};
    json["tool"] = {{"name", "iommu-sim"}, {"version", tool_version()}};
    json["configuration"] = config_json(config);
    json["seeds"] = {{"run", config.run.seed}};
    json["trace"] = trace_json(config, system.trace_header(), trace);
    json["end"] = {{"reason", end_reason_text(result.end)}, {"explanation", result.explanation}};
    json["phases"] = {{"bring_up", phase_json(result.bring_up, config)},
                      {"warm_up", phase_json(result.warm_up, config)},
                      {"region_of_interest", phase_json(result.region, config)}};
    json["derived"] = derived_json(result.region, config);
    json["hazards"] = hazards_json(hazards);
    json["run"] = run_json(result, run);
    return json;
}

} // namespace iommu_sim
