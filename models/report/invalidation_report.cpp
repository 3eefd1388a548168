// SPDX-License-Identifier: Apache-2.0
//
// Layout of the report's sections about unmapping. See invalidation_report.h.
#include "models/report/invalidation_report.h"

#include <algorithm>

#include "models/report/table.h"

namespace iommu_sim
{

namespace
{

using Align = TextTable::Align;
constexpr size_t indent = 2;
/// Findings shown one by one; the result file has them all.
constexpr size_t findings_shown = 10;

std::string heading(const std::string &words)
{
    return "\n" + words + "\n";
}

std::string mean(const iom_histogram &histogram, uint64_t calls)
{
    if (calls == 0)
        return "-";
    return format_fixed(static_cast<double>(histogram.sum) / static_cast<double>(calls), 1);
}

std::string call_label(const std::string &name)
{
    std::string label = name;
    std::replace(label.begin(), label.end(), '_', ' ');
    return label;
}

/// A row of count, mean, p50, p99 and maximum; nothing if it never happened.
void latency_row(TextTable &table, const char *label, const iom_histogram &h)
{
    if (h.count == 0)
        return;
    table.add_row({label, format_count(h.count), mean(h, h.count),
                   format_count(iom_histogram_quantile(&h, 500000)),
                   format_count(iom_histogram_quantile(&h, 990000)), format_count(h.maximum)});
}

TextTable latency_table(const char *first)
{
    return TextTable({{first, Align::left},
                      {"count", Align::right},
                      {"mean", Align::right},
                      {"p50", Align::right},
                      {"p99", Align::right},
                      {"max", Align::right}});
}

const char *severity_text(uint8_t severity)
{
    switch (severity) {
    case IOM_SEVERITY_HAZARD:
        return "hazard";
    case IOM_SEVERITY_WARNING:
        return "warning";
    default:
        return "note";
    }
}

} // namespace

std::string driver_calls_section(const Measures &m)
{
    if (m.calls.empty())
        return "";
    std::vector<TextTable::Column> columns = {
        {"mean cycles", Align::left}, {"calls", Align::right}, {"all", Align::right}};
    for (const CallPartName &part : call_part_names())
        columns.push_back({part.heading, Align::right});
    columns.push_back({"p99", Align::right});
    TextTable table(std::move(columns));
    for (const CallMeasures &call : m.calls) {
        std::vector<std::string> row = {call_label(call.name), format_count(call.time.count),
                                        mean(call.time, call.time.count)};
        for (const iom_histogram &part : call.part)
            row.push_back(mean(part, call.time.count));
        row.push_back(format_count(iom_histogram_quantile(&call.time, 990000)));
        table.add_row(std::move(row));
    }
    return heading("Calls of the driver") + table.text(indent);
}

std::string device_tlb_section(const Measures &m)
{
    const auto &tlb = m.device_tlb;
    if (tlb.lookups == 0)
        return "";
    TextTable table({{"", Align::left}, {"", Align::right}, {"", Align::left}});
    table.add_row({"look-ups", format_count(tlb.lookups), ""});
    table.add_row({"hits", format_count(tlb.hits), format_percent(tlb.hits, tlb.lookups)});
    table.add_row({"translation requests", format_count(tlb.misses),
                   "answered after " + mean(tlb.translation_latency, tlb.translation_latency.count) +
                       " cycles on average"});
    if (tlb.merged != 0)
        table.add_row({"joined one", format_count(tlb.merged), ""});
    if (tlb.refused != 0)
        table.add_row({"DMA not allowed", format_count(tlb.refused), ""});
    return heading("Device TLBs") + table.text(indent);
}

std::string invalidation_section(const Measures &m)
{
    if (m.queue.commands == 0 && m.fanout.invalidations == 0)
        return "";
    TextTable counts({{"", Align::left}, {"", Align::right}, {"", Align::left}});
    const auto row = [&](const char *label, uint64_t count, const std::string &remark) {
        if (count != 0)
            counts.add_row({label, format_count(count), remark});
    };
    const CallMeasures *unmap = m.call("unmap");
    const uint64_t commands = m.queue.invalidations + m.queue.device_invalidations;
    std::string per_unmap;
    if (unmap != nullptr)
        per_unmap =
            format_fixed(static_cast<double>(commands) * 1000 / static_cast<double>(unmap->time.count), 1) +
            " per 1000 unmaps";
    row("invalidation commands", commands, per_unmap);
    row("  for device TLBs", m.queue.device_invalidations, "");
    row("waits", m.queue.waits, "");
    row("entries removed", m.fanout.removed, "of the IOMMU's caches");
    row("  of device TLBs", m.fanout.device_removed, "");
    row("flushes of a full flush queue", m.host.queue_flushes_full, "");
    row("flushes by the timer", m.host.queue_flushes_timer, "");
    row("look-ups stalled", m.stages.blocked_cycles,
        "cycles, " + format_percent(m.stages.blocked_cycles, m.cycles) + " of the time");
    row("requests that started over", m.stages.restarts, "");
    row("commands refused", m.queue.errors, "");
    row("devices that did not answer in time", m.fanout.timeouts, "times");
    TextTable times = latency_table("cycles");
    latency_row(times, "doorbell to decoded", m.queue.fetch_latency);
    latency_row(times, "held back in the queue", m.queue.hold_latency);
    latency_row(times, "carrying out an invalidation", m.queue.execute_latency);
    latency_row(times, "  in the IOMMU's caches", m.fanout.invalidate_latency);
    latency_row(times, "  way to a device and back", m.fanout.device_latency);
    latency_row(times, "wait, decoded to completed", m.queue.wait_latency);
    latency_row(times, "  draining older DMA", m.queue.wait_drain_latency);
    latency_row(times, "  writing the status", m.queue.wait_status_latency);
    latency_row(times, "range held in a flush queue", m.host.held_back);
    latency_row(times, "mapping gone to unmap reported", m.tracker.window_length);
    latency_row(times, "mapping gone to last copy removed", m.tracker.unprotected_time);
    latency_row(times, "stale use after mapping gone", m.tracker.window_use_age);
    return heading("Invalidation") + counts.text(indent) + "\n" + times.text(indent);
}

std::string hazards_section(const HazardReport &hazards)
{
    if (!hazards.tracked)
        return "";
    TextTable table({{"", Align::left}, {"", Align::right}, {"", Align::left}});
    bool any = false;
    for (uint32_t kind = 0; kind < IOM_FINDING_KINDS; kind++) {
        if (hazards.counts[kind] == 0)
            continue;
        any = true;
        const auto of_kind = [&](const Finding &finding) { return finding.what.kind == kind; };
        const auto found = std::find_if(hazards.findings.begin(), hazards.findings.end(), of_kind);
        table.add_row({iom_finding_kind_name(static_cast<iom_finding_kind>(kind)),
                       format_count(hazards.counts[kind]),
                       found == hazards.findings.end() ? "" : severity_text(found->what.severity)});
    }
    if (!any)
        return "";
    // The worst first, each in order of time.
    std::vector<const Finding *> shown;
    for (const Finding &finding : hazards.findings)
        shown.push_back(&finding);
    std::stable_sort(shown.begin(), shown.end(),
                     [](const Finding *a, const Finding *b) { return a->what.severity > b->what.severity; });
    const size_t all = shown.size();
    shown.resize(std::min(all, findings_shown));
    std::string text =
        heading(hazards.hazards != 0 ? "Hazards: stale translations were used" : "Hazard tracker") +
        table.text(indent);
    for (const Finding *finding : shown) {
        if (finding->what.severity != IOM_SEVERITY_NOTE)
            text += std::string(indent, ' ') + finding->line + "\n";
    }
    return text;
}

} // namespace iommu_sim
