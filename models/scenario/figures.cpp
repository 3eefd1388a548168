// SPDX-License-Identifier: Apache-2.0
//
// The list of figures. See figures.h; values are collected in rig.cpp.
#include "models/scenario/figures.h"

#include <algorithm>

namespace iommu_sim
{

const std::vector<std::array<std::string, 3>> fixed_figures{
    {"stale", "requests", "hazards: stale uses after the change was reported, late effects included"},
    {"late_effects", "requests", "of these: looked up in time, visible after it"},
    {"windows", "requests", "window uses: stale uses before the change was reported"},
    {"exposures", "requests", "stale uses of pages that had a new owner"},
    {"missing", "changes", "changes never covered by an invalidation"},
    {"latent", "entries", "stale entries left in caches at the end"},
    {"lost_dirty", "requests", "writes that did not set a dirty bit software had cleared"},
    {"duplicates", "commands", "invalidations that repeated earlier ones"},
    {"needless", "commands", "invalidations that paid for no change and removed nothing"},
    {"over_invalidated", "entries", "entries removed though their sources had not changed"},
    {"commands", "commands", "commands in the queue without waits"},
    {"commands.context", "commands", "of these: for the context cache"},
    {"commands.pasid", "commands", "for the PASID cache"},
    {"commands.iotlb", "commands", "for the IOTLB"},
    {"commands.device", "commands", "for device TLBs"},
    {"commands.pages_log2", "log2", "address mask of the last page-selective IOTLB command"},
    {"commands.iova", "address", "first address of the last page-selective IOTLB command"},
    {"commands.page_selective", "commands", "IOTLB commands that name addresses"},
    {"commands.whole_domain", "commands", "IOTLB commands that name no address"},
    {"waits", "commands", "wait commands submitted"},
    {"submissions", "submissions", "batches put into the queue"},
    {"retries", "submissions", "submissions repeated after a device's time-out"},
    {"timeouts", "timeouts", "device time-outs seen and cleared by the driver"},
    {"invalid", "submissions", "submissions that failed because a command was refused"},
    {"faults", "requests", "DMA requests that were refused"},
    {"faults_recorded", "faults", "faults put into fault records"},
    {"squashed", "walks", "walks under way poisoned by an invalidation"},
    {"walks", "walks", "walks that read tables"},
    {"walk_reads", "reads", "table reads of walks"},
    {"entries.context", "entries", "entries in the context cache at the end"},
    {"entries.pasid", "entries", "likewise, PASID cache"},
    {"entries.iotlb", "entries", "likewise, IOTLB"},
    {"evictions.context", "entries", "valid entries of the context cache thrown out by others"},
    {"evictions.pasid", "entries", "likewise, PASID cache"},
    {"evictions.iotlb", "entries", "likewise, IOTLB"},
    {"finished", "", "1 if all threads came to their end and nothing was left under way"},
    {"end", "cycle", "the last call, synchronisation or DMA was over"},
};

const std::vector<std::array<std::string, 3>> dma_figures{
    {"count", "requests", "answers"},
    {"faults", "requests", "answers that refused it"},
    {"faulted", "", "1 if the last one was refused"},
    {"address", "address", "where the last one went"},
    {"fault", "", "fault reason of the last one that was refused"},
    {"sent", "cycle", "the last one left"},
    {"looked_up", "cycle", "its look-up began"},
    {"translated", "cycle", "it could leave the IOMMU"},
    {"visible", "cycle", "memory accepted it"},
    {"answered", "cycle", "its answer arrived"},
    {"cycles", "cycles", "from sent to answered"},
    {"total", "cycles", "the same, sum over all"},
};

const std::vector<std::array<std::string, 3>> call_figures{
    {"count", "calls", "times it returned"},
    {"begun", "cycle", "the last one began"},
    {"ended", "cycle", "it returned"},
    {"cycles", "cycles", "between the two"},
    {"total", "cycles", "the same, sum over all"},
    {"result", "", "0 good, 1 refused, 2 no address, 3 command refused, 4 device gone"},
    {"commands", "commands", "commands of the last one, without waits"},
    {"submissions", "submissions", "submissions of the last one"},
    {"call", "cycles", "part of its time: the driver's own work"},
    {"table", "cycles", "part: table stores and write-back"},
    {"lock", "cycles", "part: waiting for and acquiring locks"},
    {"submit", "cycles", "part: descriptors, until the doorbell has left"},
    {"execute", "cycles", "part: until memory holds the status"},
    {"status", "cycles", "part: until the status is visible"},
    {"poll", "cycles", "part: until the thread looks"},
};

const std::vector<std::array<std::string, 3>> lock_figures{
    {"acquired", "times", "times it was taken"},    {"contended", "times", "of these: after waiting"},
    {"hold", "cycles", "longest time it was held"}, {"hold_total", "cycles", "sum of these times"},
    {"wait", "cycles", "longest wait for it"},      {"wait_total", "cycles", "sum of these waits"},
};

namespace
{

enum class LabelKind { none, mark, dma, call };

LabelKind kind_of(const iom_host_op &op)
{
    if (op.kind == IOM_HOST_MARK)
        return LabelKind::mark;
    if (op.kind == IOM_HOST_REQUEST)
        return LabelKind::dma;
    if (op.kind == IOM_HOST_SYNC || op.kind == IOM_HOST_REGISTER ||
        (op.kind >= IOM_HOST_MAP && op.kind <= IOM_HOST_FLUSH_ALL))
        return LabelKind::call;
    return LabelKind::none;
}

void add(std::vector<std::string> &names, const std::string &prefix,
         const std::vector<std::array<std::string, 3>> &figures)
{
    for (const auto &figure : figures)
        names.push_back(prefix + figure[0]);
}

} // namespace

std::vector<std::string> figure_names(const Scenario &scenario)
{
    std::vector<std::string> names;
    add(names, "", fixed_figures);
    for (const DeviceSettings &device : scenario.system.devices) {
        if (device.device_tlb.entries != 0)
            names.push_back("entries." + device.name);
    }
    for (const std::string &lock : scenario.locks)
        add(names, "lock." + lock + ".", lock_figures);
    add(names, "lock.queue.", lock_figures);
    for (const ScenarioThread &thread : scenario.threads) {
        for (const ScenarioStep &step : thread.steps) {
            if (step.label.empty())
                continue;
            const LabelKind kind = kind_of(step.op);
            if (kind == LabelKind::mark)
                names.push_back("mark." + step.label);
            else if (kind == LabelKind::dma)
                add(names, "dma." + step.label + ".", dma_figures);
            else if (kind == LabelKind::call)
                add(names, "call." + step.label + ".", call_figures);
        }
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

std::vector<std::array<std::string, 3>> figure_documentation()
{
    std::vector<std::array<std::string, 3>> rows = fixed_figures;
    const auto group = [&](const std::string &prefix,
                           const std::vector<std::array<std::string, 3>> &figures) {
        for (const auto &figure : figures)
            rows.push_back({prefix + figure[0], figure[1], figure[2]});
    };
    rows.push_back({"entries.DEVICE", "entries", "entries in the device TLB at the end"});
    rows.push_back({"mark.NAME", "cycle", "the mark was reached"});
    group("dma.NAME.", dma_figures);
    group("call.NAME.", call_figures);
    group("lock.NAME.", lock_figures);
    return rows;
}

} // namespace iommu_sim
