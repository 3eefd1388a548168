// SPDX-License-Identifier: Apache-2.0
//
// One run of a scenario: kernel, limit, figures. See rig.h.
#include "models/scenario/rig.h"

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "models/child_process.h"
#include "models/kernel.h"
#include "models/scenario/build.h"
#include "models/scenario/recorder.h"
#include "models/systemc/systemc_kernel.h"

namespace iommu_sim
{

namespace
{

/// Longest time between two looks at whether all threads are over: flush timers may lie far away.
constexpr iom_cycle slice_cycles = 1'000'000;

void add_tracker_figures(const iom_tracker *tracker, Numbers &figures)
{
    const iom_tracker_stats &stats = *iom_tracker_stats_of(tracker);
    const auto set = [&](const char *name, uint64_t value) { figures[name] = static_cast<int64_t>(value); };
    set("stale", stats.hazards + stats.late_effects);
    set("late_effects", stats.late_effects);
    set("windows", stats.window_uses);
    set("exposures", stats.exposures);
    set("missing", stats.missing_invalidations);
    set("latent", stats.latent_stale_entries);
    set("lost_dirty", stats.lost_dirty);
    set("duplicates", stats.duplicates);
    set("needless", stats.needless);
    set("over_invalidated", stats.over_invalidations);
}

void add_histogram(const iom_histogram &histogram, const std::string &name, Numbers &figures)
{
    figures[name] = static_cast<int64_t>(histogram.maximum);
    figures[name + "_total"] = static_cast<int64_t>(histogram.sum);
}

void add_lock_figures(const ScenarioSystem &system, const Scenario &scenario, Numbers &figures)
{
    for (uint32_t i = 0; i <= scenario.locks.size(); i++) {
        const iom_host_lock_stats *stats = iom_host_lock_stats_of(system.host, i);
        const std::string prefix = "lock." + (i < scenario.locks.size() ? scenario.locks[i] : "queue") + ".";
        figures[prefix + "acquired"] = static_cast<int64_t>(stats->acquired);
        figures[prefix + "contended"] = static_cast<int64_t>(stats->contended);
        add_histogram(stats->hold, prefix + "hold", figures);
        add_histogram(stats->wait, prefix + "wait", figures);
    }
}

// What the commands in the queue ask for. They are read from the queue's memory, which holds all of them as
// long as the queue has not wrapped.
void add_command(const iom_command &command, Numbers &figures)
{
    if (command.kind != IOM_COMMAND_INVALIDATE)
        return;
    const iom_invalidation &invalidation = command.invalidation;
    const uint32_t targets = iom_invalidation_targets(&invalidation);
    if ((targets & IOM_INVALIDATE_DEVICE_TLB) != 0)
        figures["commands.device"]++;
    else if ((targets & IOM_INVALIDATE_CONTEXT) != 0)
        figures["commands.context"]++;
    else if ((targets & IOM_INVALIDATE_PASID) != 0)
        figures["commands.pasid"]++;
    else if ((targets & IOM_INVALIDATE_IOTLB) != 0)
        figures["commands.iotlb"]++;
    if ((targets & (IOM_INVALIDATE_DEVICE_TLB | IOM_INVALIDATE_CONTEXT | IOM_INVALIDATE_PASID)) != 0 ||
        (targets & IOM_INVALIDATE_IOTLB) == 0)
        return;
    for (unsigned i = 0; i < invalidation.parts; i++) {
        const iom_cache_match &match = invalidation.part[i].match;
        if ((invalidation.part[i].targets & IOM_INVALIDATE_IOTLB) == 0 ||
            (match.fields & IOM_TAG_ADDRESS) == 0)
            continue;
        figures["commands.page_selective"]++;
        figures["commands.iova"] = static_cast<int64_t>(match.first);
        figures["commands.pages_log2"] = iom_log2_u64((match.last - match.first) / 4096 + 1);
        return;
    }
    figures["commands.whole_domain"]++;
}

void add_command_figures(const ScenarioSystem &system, Numbers &figures)
{
    const iom_arch &arch = system.arch->arch();
    iom_queue_setup setup = {};
    arch.ops->queue(&arch, iom_register_unit_state(system.iommu.registers), &setup);
    const iom_host_stats &stats = *iom_host_stats_of(system.host);
    if (setup.command_bytes == 0 || (stats.commands + stats.waits) * setup.command_bytes >= setup.bytes)
        return; // wrapped: overwritten commands cannot be told any more
    for (const char *name : {"context", "pasid", "iotlb", "device", "page_selective", "whole_domain"})
        figures[std::string("commands.") + name] = 0;
    for (uint32_t at = 0; at < setup.tail; at += setup.command_bytes) {
        std::array<uint64_t, IOM_COMMAND_WORDS> words{};
        iom_command command = {};
        if (!iom_memory_image_read(system.image, setup.base + at, words.data(), setup.command_bytes))
            return;
        arch.ops->decode(&arch, &setup, words.data(), &command);
        add_command(command, figures);
    }
}

void add_host_figures(const ScenarioSystem &system, Numbers &figures)
{
    const iom_host_stats &stats = *iom_host_stats_of(system.host);
    const auto set = [&](const char *name, uint64_t value) { figures[name] = static_cast<int64_t>(value); };
    set("commands", stats.commands);
    set("waits", stats.waits);
    set("submissions", stats.submissions);
    set("retries", stats.retries);
    set("timeouts", stats.timeouts);
    set("invalid", stats.invalid);
    set("faults", stats.faults);
    set("faults_recorded", iom_register_unit_stats_of(system.iommu.registers)->faults_recorded);
    const iom_walker_stats &walker = *iom_walker_stats_of(system.iommu.walker);
    set("walks", walker.walks);
    set("walk_reads", walker.table_reads);
}

void add_cache_figures(ScenarioSystem &system, const Scenario &scenario, Numbers &figures)
{
    const auto count = [&](const std::string &name, iom_cache *cache) {
        figures["entries." + name] = cache != nullptr ? iom_cache_valid_entries(cache, IOM_NEVER) : 0;
    };
    const auto cache_of = [&](iom_lookup which) {
        return iom_stage_cache(iom_iommu_owner(&system.iommu, which), which);
    };
    const std::pair<const char *, iom_lookup> caches[] = {
        {"context", IOM_LOOKUP_CONTEXT}, {"pasid", IOM_LOOKUP_PASID}, {"iotlb", IOM_LOOKUP_IOTLB}};
    for (const auto &[name, which] : caches) {
        iom_cache *cache = cache_of(which);
        count(name, cache);
        figures[std::string("evictions.") + name] =
            cache != nullptr ? static_cast<int64_t>(iom_cache_counts_of(cache)->evictions) : 0;
    }
    for (size_t i = 0; i < system.device_tlbs.size(); i++) {
        if (system.device_tlbs[i] != nullptr)
            count(scenario.system.devices[i].name, iom_device_tlb_cache(system.device_tlbs[i]));
    }
}

/// Sum of a counter over all units that have it.
uint64_t sum_of_counter(const ScenarioSystem &system, const std::string &name)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < system.netlist.unit_count; i++) {
        iom_unit *unit = system.netlist.units[i];
        iom_stat_block block = {};
        for (uint32_t b = 0; unit->ops->stats != nullptr && unit->ops->stats(unit, b, &block); b++) {
            for (uint32_t s = 0; s < block.count; s++) {
                if (name == block.infos[s].name)
                    sum += *reinterpret_cast<const uint64_t *>(static_cast<const char *>(block.values) +
                                                               block.infos[s].offset);
            }
        }
    }
    return sum;
}

std::string one_line(std::string text)
{
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at))
        text.replace(at, 1, "; ");
    return text;
}

void run_to_end(Kernel &kernel, const ScenarioSystem &system, const Scenario &scenario, ScenarioRun &run)
{
    const uint64_t most = scenario.system.run.max_cycles;
    const iom_cycle limit = most != 0 ? most : IOM_NEVER;
    for (iom_cycle next = slice_cycles;; next += slice_cycles) {
        const iom_run_end end = kernel.run(std::min(next, limit), nullptr);
        if (iom_host_error(system.host) != nullptr)
            run.problem = std::string("the host gave up: ") + iom_host_error(system.host);
        else if (end == IOM_RUN_DEADLOCK)
            run.problem = "deadlock: " + one_line(kernel.explain());
        else if (end == IOM_RUN_IDLE && !iom_host_finished(system.host))
            run.problem =
                "not all threads came to their end (an event nobody signals, a lock nobody gives up)";
        else if (end == IOM_RUN_LIMIT && next >= limit)
            run.problem = "not over after system.run.max_cycles (" + std::to_string(limit) + ") cycles";
        if (!run.problem.empty() || end == IOM_RUN_IDLE)
            return;
    }
}

ScenarioRun play(const Scenario &scenario, ScenarioKernel which)
{
    ReportRecorder recorder(scenario);
    ScenarioSystem system(scenario, ReportRecorder::note, &recorder);
    std::unique_ptr<Kernel> kernel;
    if (which == ScenarioKernel::core)
        kernel = std::make_unique<CoreKernel>(system.netlist);
    else
        kernel = std::make_unique<SystemcKernel>(system.netlist, partition_by_unit(system.netlist),
                                                 scenario.system.clock.tick_ps);
    ScenarioRun run;
    run_to_end(*kernel, system, scenario, run);
    const iom_cycle now = kernel->now();
    iom_tracker_finish(system.tracker, now + 1);
    Numbers &figures = run.figures;
    add_tracker_figures(system.tracker, figures);
    add_lock_figures(system, scenario, figures);
    add_host_figures(system, figures);
    add_command_figures(system, figures);
    add_cache_figures(system, scenario, figures);
    recorder.add_figures(figures);
    figures["squashed"] = static_cast<int64_t>(sum_of_counter(system, "squashed"));
    figures["finished"] = run.problem.empty() ? 1 : 0;
    run.log = recorder.log();
    for (size_t i = 0; i < iom_tracker_finding_count(system.tracker); i++) {
        std::array<char, 1024> text{};
        iom_finding_format(iom_tracker_finding(system.tracker, i), text.data(), text.size());
        run.findings.emplace_back(text.data());
    }
    return run;
}

// ---- in a child process ----------------------------------------------------------------------------------

std::string to_text(const ScenarioRun &run)
{
    nlohmann::ordered_json json;
    json["figures"] = run.figures;
    json["log"] = run.log;
    json["findings"] = run.findings;
    json["problem"] = run.problem;
    return json.dump();
}

ScenarioRun from_text(const std::string &text)
{
    const nlohmann::ordered_json json = nlohmann::ordered_json::parse(text);
    ScenarioRun run;
    json["figures"].get_to(run.figures);
    json["log"].get_to(run.log);
    json["findings"].get_to(run.findings);
    json["problem"].get_to(run.problem);
    return run;
}

} // namespace

ScenarioRun play_scenario(const Scenario &scenario, ScenarioKernel kernel)
{
    if (kernel == ScenarioKernel::core)
        return play(scenario, kernel);
    return from_text(in_child_process([&] { return to_text(play(scenario, kernel)); }));
}

} // namespace iommu_sim
