// SPDX-License-Identifier: Apache-2.0
//
// Collecting what the hazard tracker found. See hazards.h.
#include "models/hazards.h"

namespace iommu_sim
{

namespace
{

std::string line_of(const iom_finding &finding)
{
    const int length = iom_finding_format(&finding, nullptr, 0);
    std::string text(static_cast<size_t>(length) + 1, '\0');
    iom_finding_format(&finding, text.data(), text.size());
    text.pop_back();
    return text;
}

} // namespace

HazardReport finish_hazards(System &system, iom_cycle now)
{
    HazardReport report;
    iom_tracker *tracker = system.tracker();
    if (tracker == nullptr)
        return report;
    report.tracked = true;
    iom_tracker_finish(tracker, now);
    report.hazards = iom_tracker_hazard_count(tracker);
    for (uint32_t kind = 0; kind < IOM_FINDING_KINDS; kind++)
        report.counts[kind] = iom_tracker_findings_of(tracker, static_cast<iom_finding_kind>(kind));
    for (size_t i = 0; i < iom_tracker_finding_count(tracker); i++) {
        const iom_finding *finding = iom_tracker_finding(tracker, i);
        report.findings.push_back({*finding, line_of(*finding)});
    }
    iom_stat_block block = {};
    iom_tracker_stat_block(tracker, &block);
    report.statistics = copy_statistics("tracker", "tracker", block);
    return report;
}

} // namespace iommu_sim
