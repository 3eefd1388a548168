// SPDX-License-Identifier: Apache-2.0
//
// Reports of the host as figures and as log lines. See recorder.h.
#include "models/scenario/recorder.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "models/scenario/figures.h"

namespace iommu_sim
{

namespace
{

const char *result_text(iom_host_result result)
{
    switch (result) {
    case IOM_HOST_REFUSED:
        return "refused";
    case IOM_HOST_NO_ADDRESS:
        return "no address left";
    case IOM_HOST_INVALID:
        return "the queue refused a command";
    case IOM_HOST_TIMEOUT:
        return "the device is gone";
    case IOM_HOST_OK:
        break;
    }
    return "done";
}

std::string hex(uint64_t value)
{
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
    return text.data();
}

std::string count(uint64_t number, const char *what)
{
    return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

} // namespace

void ReportRecorder::note(void *context, const iom_host_report *report)
{
    auto *recorder = static_cast<ReportRecorder *>(context);
    Entry entry;
    entry.report = *report;
    entry.tag = report->what != nullptr ? report->what->tag : 0;
    if (report->dma != nullptr) {
        const iom_dma &dma = *report->dma;
        entry.faulted = dma.x.outcome == IOM_OUTCOME_FAULT;
        entry.fault_code = dma.x.fault.code;
        entry.address = dma.x.leaf.output;
        entry.looked_up = dma.looked_up;
        entry.translated = dma.translated;
        entry.visible = dma.visible;
        entry.is_write = (dma.x.flags & IOM_REQ_WRITE) != 0;
    }
    recorder->entries_.push_back(entry);
}

// ---- figures -------------------------------------------------------------------------------------------

void ReportRecorder::add_dma(const Entry &entry, const std::string &prefix, Numbers &figures) const
{
    const iom_host_report &report = entry.report;
    figures[prefix + "count"]++;
    figures[prefix + "faults"] += entry.faulted ? 1 : 0;
    figures[prefix + "total"] += static_cast<int64_t>(report.ended - report.begun);
    // What follows is of the last one.
    for (const char *name : {"address", "fault", "looked_up", "translated", "visible"})
        figures.erase(prefix + name);
    figures[prefix + "faulted"] = entry.faulted ? 1 : 0;
    if (entry.faulted)
        figures[prefix + "fault"] = static_cast<int64_t>(entry.fault_code);
    else
        figures[prefix + "address"] = static_cast<int64_t>(entry.address);
    const auto cycle = [&](const char *name, iom_cycle at) {
        if (at != 0 && at != IOM_NEVER)
            figures[prefix + name] = static_cast<int64_t>(at);
    };
    cycle("looked_up", entry.looked_up);
    cycle("translated", entry.translated);
    cycle("visible", entry.visible);
    figures[prefix + "sent"] = static_cast<int64_t>(report.begun);
    figures[prefix + "answered"] = static_cast<int64_t>(report.ended);
    figures[prefix + "cycles"] = static_cast<int64_t>(report.ended - report.begun);
}

void ReportRecorder::add_call(const Entry &entry, const std::string &prefix, Numbers &figures) const
{
    const iom_host_report &report = entry.report;
    static const char *const parts[] = {"call", "table", "lock", "submit", "execute", "status", "poll"};
    static_assert(sizeof parts / sizeof *parts == IOM_HOST_PARTS, "a name for each part, in their order");
    figures[prefix + "count"]++;
    figures[prefix + "begun"] = static_cast<int64_t>(report.begun);
    figures[prefix + "ended"] = static_cast<int64_t>(report.ended);
    figures[prefix + "cycles"] = static_cast<int64_t>(report.ended - report.begun);
    figures[prefix + "total"] += static_cast<int64_t>(report.ended - report.begun);
    figures[prefix + "result"] = report.result;
    figures[prefix + "commands"] = report.commands;
    figures[prefix + "submissions"] = report.submissions;
    for (size_t i = 0; i < IOM_HOST_PARTS; i++)
        figures[prefix + parts[i]] = static_cast<int64_t>(report.part[i]);
}

void ReportRecorder::add_figures(Numbers &figures) const
{
    // What never came back has a count of 0, and no other figures.
    for (const std::string &name : figure_names(scenario_)) {
        const bool counts = name.size() > 6 && name.compare(name.size() - 6, 6, ".count") == 0;
        if (counts)
            figures[name] = 0;
    }
    iom_cycle end = 0;
    for (const Entry &entry : entries_) {
        end = std::max(end, entry.report.ended);
        if (entry.tag == 0)
            continue;
        const std::string &label = scenario_.labels[entry.tag - 1];
        if (entry.report.kind == IOM_HOST_REPORT_MARK)
            figures["mark." + label] = static_cast<int64_t>(entry.report.ended);
        else if (entry.report.kind == IOM_HOST_REPORT_REQUEST)
            add_dma(entry, "dma." + label + ".", figures);
        else
            add_call(entry, "call." + label + ".", figures);
    }
    figures["end"] = static_cast<int64_t>(end);
}

// ---- log -------------------------------------------------------------------------------------------------

std::string ReportRecorder::line(const Entry &entry) const
{
    const iom_host_report &report = entry.report;
    std::string text = std::to_string(report.begun) + ".." + std::to_string(report.ended) + "  ";
    const bool timer = report.thread >= scenario_.threads.size();
    text += timer ? "flush timer" : scenario_.threads[report.thread].name;
    if (!timer && report.op < scenario_.threads[report.thread].steps.size())
        text += ": " + scenario_.threads[report.thread].steps[report.op].text;
    if (entry.tag != 0)
        text += " '" + scenario_.labels[entry.tag - 1] + "'";
    if (report.kind == IOM_HOST_REPORT_REQUEST) {
        text += std::string(entry.is_write ? ": write to " : ": read from ") + hex(report.iova);
        text +=
            entry.faulted ? ", refused (reason " + hex(entry.fault_code) + ")" : " -> " + hex(entry.address);
        if (entry.visible != 0 && !entry.faulted)
            text += ", at memory in " + std::to_string(entry.visible);
        return text;
    }
    if (report.kind == IOM_HOST_REPORT_MARK)
        return text;
    if (report.result != IOM_HOST_OK)
        text += std::string(": ") + result_text(report.result);
    if (report.submissions != 0)
        text += ": " + count(report.commands, "command") + " in " + count(report.submissions, "submission");
    return text;
}

std::vector<std::string> ReportRecorder::log() const
{
    std::vector<Entry> sorted = entries_;
    // By begin; what begins together stays in order of reporting, which is by thread.
    std::stable_sort(sorted.begin(), sorted.end(), [](const Entry &a, const Entry &b) {
        if (a.report.begun != b.report.begun)
            return a.report.begun < b.report.begun;
        if (a.report.ended != b.report.ended)
            return a.report.ended < b.report.ended;
        return a.report.thread < b.report.thread;
    });
    std::vector<std::string> lines;
    lines.reserve(sorted.size());
    for (const Entry &entry : sorted)
        lines.push_back(line(entry));
    return lines;
}

} // namespace iommu_sim
