// SPDX-License-Identifier: Apache-2.0
//
// Phases of a run. See session.h.
#include "models/session.h"

#include <algorithm>

namespace iommu_sim
{

const StatisticValue *StatisticGroup::find(const std::string &name) const
{
    auto at =
        std::find_if(values.begin(), values.end(), [&](const StatisticValue &v) { return v.name == name; });
    return at == values.end() ? nullptr : &*at;
}

uint64_t StatisticGroup::value(const std::string &name) const
{
    const StatisticValue *found = find(name);
    return found == nullptr ? 0 : found->value;
}

const StatisticGroup *PhaseResult::find(const std::string &group) const
{
    auto at =
        std::find_if(groups.begin(), groups.end(), [&](const StatisticGroup &g) { return g.group == group; });
    return at == groups.end() ? nullptr : &*at;
}

const char *end_reason_text(EndReason reason)
{
    switch (reason) {
    case EndReason::traffic_ended:
        return "the traffic ended";
    case EndReason::workload_ended:
        return "the workload ended";
    case EndReason::requests_reached:
        return "run.requests reached";
    case EndReason::cycle_limit:
        return "run.max_cycles reached";
    case EndReason::deadlock:
        return "deadlock";
    case EndReason::failed:
        return "failed";
    }
    return "";
}

StatisticGroup copy_statistics(const std::string &unit, const std::string &kind, const iom_stat_block &block)
{
    StatisticGroup group = {unit, kind, block.group, {}};
    for (uint32_t s = 0; s < block.count; s++) {
        const iom_stat_info &info = block.infos[s];
        const char *at = static_cast<const char *>(block.values) + info.offset;
        StatisticValue value = {info.name, info.unit, info.description, info.kind, 0, {}};
        if (info.kind == IOM_STAT_HISTOGRAM)
            value.histogram = *reinterpret_cast<const iom_histogram *>(at);
        else
            value.value = *reinterpret_cast<const uint64_t *>(at);
        group.values.push_back(std::move(value));
    }
    return group;
}

std::vector<StatisticGroup> collect_statistics(const iom_netlist &netlist)
{
    std::vector<StatisticGroup> groups;
    for (uint32_t i = 0; i < netlist.unit_count; i++) {
        iom_unit *unit = netlist.units[i];
        iom_stat_block block = {};
        for (uint32_t b = 0; unit->ops->stats != nullptr && unit->ops->stats(unit, b, &block); b++)
            groups.push_back(copy_statistics(unit->name, unit->ops->kind, block));
    }
    return groups;
}

namespace
{

// Cycles between two calls of the progress function; slices do not change what the units do.
constexpr iom_cycle progress_slice = 1u << 18;

class Run
{
  public:
    Run(System &system, Kernel &kernel, const ProgressFn &progress)
        : system_(system), kernel_(kernel), progress_(progress)
    {
        if (system.config().run.max_cycles != 0)
            limit_ = system.config().run.max_cycles - 1;
    }

    SessionResult run()
    {
        if (!bring_up())
            return result_;
        const RunSettings &settings = system_.config().run;
        system_.start_traffic(kernel_.now() + 1);
        if (settings.warmup_requests != 0 && !advance(result_.warm_up, settings.warmup_requests))
            return result_;
        advance(result_.region,
                settings.requests == 0 ? UINT64_MAX : settings.warmup_requests + settings.requests);
        return result_;
    }

  private:
    bool bring_up()
    {
        system_.stop_at_completed(UINT64_MAX);
        iom_run_end end = run_slices();
        close(result_.bring_up);
        return end == IOM_RUN_STOPPED || !finish(end);
    }

    // Runs a phase until `completed` requests are back. False if the whole run has ended.
    bool advance(PhaseResult &phase, uint64_t completed)
    {
        system_.reset_stats();
        phase.first_cycle = kernel_.now() + 1;
        completed_before_ = system_.completed();
        system_.stop_at_completed(completed);
        iom_run_end end = *system_.stop_flag() ? IOM_RUN_STOPPED : run_slices();
        close(phase);
        if (end == IOM_RUN_STOPPED && system_.error() == nullptr) {
            const bool reached = system_.completed() >= completed;
            result_.end = reached                   ? EndReason::requests_reached
                          : system_.workload_over() ? EndReason::workload_ended
                                                    : EndReason::traffic_ended;
            return reached;
        }
        // A run that ends before the region began has measured nothing there.
        return !finish(end);
    }

    iom_run_end run_slices()
    {
        if (!progress_)
            return kernel_.run(limit_, system_.stop_flag());
        for (;;) {
            iom_cycle to =
                std::min(limit_, iom_max_u64(kernel_.now(), kernel_.next_event()) + progress_slice);
            iom_run_end end = kernel_.run(to, system_.stop_flag());
            progress_(kernel_.now(), system_.completed());
            if (end != IOM_RUN_LIMIT || to == limit_)
                return end;
        }
    }

    void close(PhaseResult &phase)
    {
        phase.last_cycle = kernel_.now();
        phase.completed = system_.completed() - completed_before_;
        phase.groups = collect_statistics(system_.netlist());
        result_.events = kernel_.events();
        system_.clear_stop();
    }

    // Notes why the run ended; always true.
    bool finish(iom_run_end end)
    {
        if (const char *error = system_.error()) {
            result_.end = EndReason::failed;
            result_.explanation = error;
        } else if (end == IOM_RUN_DEADLOCK || (end == IOM_RUN_IDLE && !system_.traffic_finished())) {
            result_.end = EndReason::deadlock;
            result_.explanation = kernel_.explain();
        } else {
            result_.end = end == IOM_RUN_LIMIT ? EndReason::cycle_limit : EndReason::traffic_ended;
        }
        return true;
    }

    System &system_;
    Kernel &kernel_;
    const ProgressFn &progress_;
    iom_cycle limit_ = IOM_NEVER - 1;
    uint64_t completed_before_ = 0;
    SessionResult result_;
};

} // namespace

SessionResult run_session(System &system, Kernel &kernel, const ProgressFn &progress)
{
    return Run(system, kernel, progress).run();
}

} // namespace iommu_sim
