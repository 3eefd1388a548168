// SPDX-License-Identifier: Apache-2.0
//
// Layout of the text report. See text_report.h.
#include "models/report/text_report.h"

#include <algorithm>
#include <utility>

#include "models/report/invalidation_report.h"
#include "models/report/measures.h"
#include "models/report/table.h"

namespace iommu_sim
{

namespace
{

using Align = TextTable::Align;
constexpr size_t indent = 2;
constexpr size_t text_columns = 100;

double as_double(uint64_t value)
{
    return static_cast<double>(value);
}

std::string plural(uint64_t count, const std::string &what)
{
    return format_count(count) + " " + what + (count == 1 ? "" : "s");
}

/// A time with a unit that keeps it readable.
std::string format_time(double ns)
{
    if (ns >= 1e9)
        return format_fixed(ns / 1e9, 3) + " s";
    if (ns >= 1e6)
        return format_fixed(ns / 1e6, 3) + " ms";
    if (ns >= 1e3)
        return format_fixed(ns / 1e3, 2) + " us";
    return format_fixed(ns, 1) + " ns";
}

std::string format_rate(double per_second)
{
    if (per_second >= 1e6)
        return format_fixed(per_second / 1e6, 2) + " M/s";
    if (per_second >= 1e3)
        return format_fixed(per_second / 1e3, 2) + " k/s";
    return format_fixed(per_second, 1) + " /s";
}

/// Words of a text in lines of limited width.
std::string wrapped(const std::string &text, size_t margin)
{
    std::string result(margin, ' ');
    size_t column = margin;
    size_t at = 0;
    while (at < text.size()) {
        const size_t first = text.find_first_not_of(" \n\t", at);
        if (first == std::string::npos)
            break;
        const size_t last = std::min(text.find_first_of(" \n\t", first), text.size());
        const std::string word = text.substr(first, last - first);
        if (column > margin && column + 1 + word.size() > text_columns) {
            result += "\n" + std::string(margin, ' ');
            column = margin;
        }
        if (column > margin) {
            result += ' ';
            column++;
        }
        result += word;
        column += word.size();
        at = last;
    }
    return result + "\n";
}

const char *mode_text(VtdMode mode)
{
    switch (mode) {
    case VtdMode::legacy:
        return "legacy mode";
    case VtdMode::scalable_first_stage:
        return "scalable mode, first stage";
    case VtdMode::scalable_second_stage:
        return "scalable mode, second stage";
    case VtdMode::scalable_nested:
        return "scalable mode, nested";
    case VtdMode::pass_through:
        return "pass-through";
    }
    return "";
}

std::string riscv_text(const RiscvSettings &riscv)
{
    std::string first = "first stage (Sv" + std::to_string(12 + 9 * riscv.first_stage_levels) + ")";
    std::string second = "second stage (Sv" + std::to_string(12 + 9 * riscv.second_stage_levels) + "x4)";
    switch (riscv.mode) {
    case RiscvMode::first_stage:
        return first;
    case RiscvMode::second_stage:
        return second;
    case RiscvMode::nested:
        return "nested, " + first + " and " + second;
    case RiscvMode::pass_through:
        break;
    }
    return "pass-through";
}

std::string architecture_text(const SystemConfig &config)
{
    if (config.iommu.arch == Architecture::riscv)
        return "RISC-V IOMMU, " + riscv_text(config.riscv);
    return std::string("Intel VT-d, ") + mode_text(config.vtd.mode);
}

/// Writes one report.
class Report
{
  public:
    Report(const SystemConfig &config, const System &system, const SessionResult &result,
           const HazardReport &hazards, const std::string &kernel)
        : config_(config), system_(system), result_(result), hazards_(hazards), kernel_(kernel),
          measures_(measure(result.region, config))
    {
    }

    std::string text();

  private:
    void title();
    void what_ran();
    void traffic();
    void replay();
    void latency();
    void where_time_goes();
    void caches();
    void paging_structure_caches();
    void walks();
    void memory();
    void links();
    void faults();
    void sources();

    void heading(const std::string &words)
    {
        text_ += "\n" + words + "\n";
    }
    void latency_row(TextTable &table, const std::string &label, const iom_histogram &histogram) const;
    void cache_row(TextTable &table, const std::string &label, const iom_lookup_stats &cache) const;
    std::string cycles_and_time(uint64_t cycles) const
    {
        return plural(cycles, "cycle") + " (" + format_time(measures_.ns(as_double(cycles))) + ")";
    }
    std::string tick_text() const
    {
        const double ns = as_double(config_.clock.tick_ps) / 1000;
        return format_fixed(ns, config_.clock.tick_ps % 1000 == 0 ? 0 : 3) + " ns";
    }
    bool cycles_are_ns() const
    {
        return config_.clock.tick_ps == 1000;
    }

    const SystemConfig &config_;
    const System &system_;
    const SessionResult &result_;
    const HazardReport &hazards_;
    const std::string &kernel_;
    const Measures measures_;
    std::string text_;
};

void Report::title()
{
    text_ += config_.name.empty() ? std::string("iommu-sim") : config_.name;
    text_ += "\n";
    if (!config_.description.empty())
        text_ += wrapped(config_.description, indent);
    text_ += std::string(indent, ' ') + architecture_text(config_) + ", " +
             (config_.iommu.wiring == Wiring::fused ? "fused" : "chained") + " look-ups; " + kernel_ +
             " kernel; 1 cycle = " + tick_text() + "\n";
    if (const iom_trace_header *header = system_.trace_header()) {
        text_ += std::string(indent, ' ') + "trace " + config_.trace.file;
        if (header->records != IOM_TRACE_COUNT_UNKNOWN)
            text_ += ", " + plural(header->records, "record");
        text_ += config_.trace.mode == TraceMode::closed_loop ? ", closed loop" : ", scaled time";
        text_ += "\n";
    }
}

void Report::what_ran()
{
    heading("Run");
    TextTable table({{"", Align::left}, {"", Align::left}});
    table.add_row({"bring-up", cycles_and_time(result_.bring_up.cycles())});
    if (!result_.warm_up.groups.empty())
        table.add_row({"warm-up", cycles_and_time(result_.warm_up.cycles()) + ", " +
                                      plural(result_.warm_up.completed, "DMA request") + " came back"});
    table.add_row({"measured", cycles_and_time(result_.region.cycles()) + ", " +
                                   plural(result_.region.completed, "DMA request") + " came back"});
    table.add_row({"ended by", end_reason_text(result_.end)});
    text_ += table.text(indent);
}

void Report::traffic()
{
    const SourceMeasures &t = measures_.traffic;
    const double ns = measures_.ns(as_double(measures_.cycles));
    if (t.completed == 0 || ns <= 0)
        return;
    heading("Traffic");
    TextTable table({{"", Align::left},
                     {"sent", Align::right},
                     {"rate", Align::right},
                     {"bytes", Align::right},
                     {"GB/s", Align::right}});
    const auto row = [&](const char *label, uint64_t requests, uint64_t bytes) {
        table.add_row({label, format_count(requests), format_rate(as_double(requests) / ns * 1e9),
                       format_count(bytes), format_fixed(as_double(bytes) / ns, 3)});
    };
    if (t.reads != 0)
        row("DMA reads", t.reads, t.bytes_read);
    if (t.writes != 0)
        row("DMA writes", t.writes, t.bytes_written);
    if (t.reads != 0 && t.writes != 0) {
        table.add_rule();
        row("all DMA", t.reads + t.writes, t.bytes_read + t.bytes_written);
    }
    if (t.operations_done != 0)
        table.add_row({"I/O operations ended", format_count(t.operations_done),
                       format_rate(as_double(t.operations_done) / ns * 1e9), "", ""});
    text_ += table.text(indent);
}

void Report::replay()
{
    const StatisticGroup *replay = result_.region.find("replay");
    if (replay == nullptr)
        return;
    heading("Replayed driver");
    TextTable table({{"", Align::left}, {"", Align::right}, {"", Align::left}});
    const auto row = [&](const char *label, const char *name, const std::string &remark = "") {
        if (replay->value(name) != 0)
            table.add_row({label, format_count(replay->value(name)), remark});
    };
    row("maps", "maps", format_count(replay->value("bytes_mapped")) + " bytes");
    row("unmaps", "unmaps", format_count(replay->value("bytes_unmapped")) + " bytes");
    row("stores to tables", "stores");
    row("operations at once", "most_operations", "at most");
    row("attachments and maps refused", "refused", "the architecture or mode cannot express them");
    row("maps of pages mapped already", "remaps");
    row("unmaps of pages not mapped", "stray_unmaps");
    row("maps before an earlier unmap", "forced_maps", "to go on");
    text_ += table.text(indent);
}

void Report::latency_row(TextTable &table, const std::string &label, const iom_histogram &h) const
{
    if (h.count == 0)
        return;
    const auto cells = [&](const std::string &first, const char *unit, double factor, int decimals) {
        std::vector<std::string> row = {first, unit, format_fixed(*histogram_mean(h) * factor, 1)};
        const auto add = [&](uint64_t cycles) {
            row.push_back(format_fixed(as_double(cycles) * factor, decimals));
        };
        add(h.minimum);
        for (const uint32_t per_million : {500000u, 900000u, 990000u, 999000u})
            add(iom_histogram_quantile(&h, per_million));
        add(h.maximum);
        row.push_back(format_count(h.count));
        return row;
    };
    if (cycles_are_ns()) {
        table.add_row(cells(label, "ns", 1.0, 0));
        return;
    }
    table.add_row(cells(label, "cycles", 1.0, 0));
    std::vector<std::string> in_ns = cells("", "ns", as_double(config_.clock.tick_ps) / 1000, 1);
    in_ns.pop_back();
    table.add_row(in_ns);
}

void Report::latency()
{
    if (measures_.frontend.latency.count == 0)
        return;
    heading(cycles_are_ns() ? "Latency (1 cycle = 1 ns)" : "Latency");
    TextTable table({{"", Align::left},
                     {"", Align::left},
                     {"mean", Align::right},
                     {"min", Align::right},
                     {"p50", Align::right},
                     {"p90", Align::right},
                     {"p99", Align::right},
                     {"p99.9", Align::right},
                     {"max", Align::right},
                     {"count", Align::right}});
    latency_row(table, "translation in the IOMMU", measures_.frontend.latency);
    latency_row(table, "  without a walk", measures_.frontend.hit_latency);
    latency_row(table, "  waiting for a walk", measures_.frontend.miss_latency);
    latency_row(table, "DMA at the device", measures_.traffic.latency);
    latency_row(table, "I/O operation", measures_.traffic.operation_latency);
    text_ += table.text(indent);
}

void Report::where_time_goes()
{
    const uint64_t total = measures_.part_total();
    const uint64_t requests = measures_.frontend.latency.count;
    if (total == 0 || requests == 0)
        return;
    heading("Where the time of a translation goes");
    TextTable table({{"", Align::left},
                     {"cycles/request", Align::right},
                     {"ns/request", Align::right},
                     {"share", Align::right}});
    const auto row = [&](const char *label, uint64_t cycles) {
        const double mean = as_double(cycles) / as_double(requests);
        table.add_row({label, format_fixed(mean, 2), format_fixed(measures_.ns(mean), 2),
                       format_percent(cycles, total)});
    };
    for (size_t i = 0; i < measures_.part_cycles.size(); i++) {
        if (measures_.part_cycles[i] != 0)
            row(part_names()[i].text, measures_.part_cycles[i]);
    }
    table.add_rule();
    row("all", total);
    text_ += table.text(indent);
}

void Report::cache_row(TextTable &table, const std::string &label, const iom_lookup_stats &cache) const
{
    if (cache.lookups == 0)
        return;
    table.add_row({label, format_count(cache.lookups), format_count(cache.hits),
                   format_percent(cache.hits, cache.lookups), format_count(cache.misses),
                   format_count(cache.merged), format_count(cache.evictions)});
}

void Report::caches()
{
    if (measures_.iotlb.lookups + measures_.context_cache.lookups + measures_.pasid_cache.lookups == 0)
        return;
    heading("Caches");
    TextTable table({{"", Align::left},
                     {"look-ups", Align::right},
                     {"hits", Align::right},
                     {"hit rate", Align::right},
                     {"walks", Align::right},
                     {"merged", Align::right},
                     {"evictions", Align::right}});
    const auto name = [](const char *what, const CacheGeometry &geometry) {
        const std::string entries = std::to_string(geometry.entries) + " entries, ";
        if (geometry.entries == 0)
            return std::string(what) + " (none)";
        if (geometry.ways == geometry.entries)
            return std::string(what) + " (" + entries + "fully assoc.)";
        return std::string(what) + " (" + entries + plural(geometry.ways, "way") + ")";
    };
    cache_row(table, name("IOTLB", config_.iotlb), measures_.iotlb);
    cache_row(table, name("context cache", config_.context_cache), measures_.context_cache);
    cache_row(table, name("PASID cache", config_.pasid_cache), measures_.pasid_cache);
    text_ += table.text(indent);
    if (measures_.stages.stalls != 0)
        text_ += std::string(indent, ' ') + "a request found the miss table full and waited: " +
                 plural(measures_.stages.stalls, "time") + "\n";
}

void Report::paging_structure_caches()
{
    const auto &psc = measures_.psc;
    if (psc.lookups == 0)
        return;
    heading("Paging-structure caches");
    TextTable table(
        {{"a walk of tables began", Align::left}, {"times", Align::right}, {"share", Align::right}});
    const std::pair<const char *, uint64_t> levels[] = {
        {"2", psc.hits_level2}, {"3", psc.hits_level3}, {"4", psc.hits_level4}, {"5", psc.hits_level5}};
    for (const auto &[level, hits] : levels) {
        if (hits != 0)
            table.add_row({std::string("below a level-") + level + " entry", format_count(hits),
                           format_percent(hits, psc.lookups)});
    }
    if (psc.misses != 0)
        table.add_row({"at the root", format_count(psc.misses), format_percent(psc.misses, psc.lookups)});
    text_ += table.text(indent);
}

void Report::walks()
{
    const auto &walker = measures_.walker;
    if (walker.walks == 0)
        return;
    heading("Walks");
    TextTable table({{"", Align::left}, {"", Align::right}, {"", Align::left}});
    const auto per_1000 = [&](uint64_t count) {
        return format_fixed(as_double(count) * 1000 /
                                as_double(std::max<uint64_t>(measures_.frontend.requests, 1)),
                            1) +
               " per 1000 requests";
    };
    table.add_row({"page walks", format_count(walker.page_walks), per_1000(walker.page_walks)});
    if (walker.context_walks != 0)
        table.add_row({"context fetches", format_count(walker.context_walks), ""});
    if (walker.pasid_walks != 0)
        table.add_row({"PASID fetches", format_count(walker.pasid_walks), ""});
    if (walker.reads_per_walk.count != 0)
        table.add_row({"reads per page walk", format_fixed(*histogram_mean(walker.reads_per_walk), 2),
                       "most " + format_count(walker.reads_per_walk.maximum)});
    if (walker.table_updates != 0)
        table.add_row({"accessed/dirty updates", format_count(walker.table_updates), ""});
    if (walker.access_errors != 0)
        table.add_row({"table reads unanswered", format_count(walker.access_errors), ""});
    if (walker.walk_latency.count != 0) {
        const double mean = *histogram_mean(walker.walk_latency);
        table.add_row({"page walk latency", format_fixed(mean, 1),
                       "cycles, " + format_time(measures_.ns(mean)) + "; p99 " +
                           format_count(iom_histogram_quantile(&walker.walk_latency, 990000)) + " cycles"});
    }
    if (measures_.cycles != 0)
        table.add_row({"walkers busy",
                       format_fixed(as_double(walker.busy_cycles) / as_double(measures_.cycles), 2),
                       "of " + std::to_string(measures_.walkers) + " on average, most " +
                           format_count(walker.most_busy)});
    text_ += table.text(indent);
}

void Report::memory()
{
    const auto &memory = measures_.memory;
    const uint64_t accesses = memory.dma_reads + memory.dma_writes + memory.table_reads + memory.table_writes;
    if (accesses == 0)
        return;
    heading("Memory");
    TextTable table({{"", Align::left}, {"", Align::right}, {"", Align::left}});
    table.add_row({"DMA accesses", format_count(memory.dma_reads + memory.dma_writes),
                   format_count(memory.dma_bytes) + " bytes"});
    if (memory.table_reads != 0)
        table.add_row({"table reads", format_count(memory.table_reads), ""});
    if (memory.llc_hits + memory.llc_misses != 0)
        table.add_row({"  from the last-level cache", format_count(memory.llc_hits),
                       format_percent(memory.llc_hits, memory.llc_hits + memory.llc_misses)});
    if (memory.table_writes != 0)
        table.add_row({"table writes", format_count(memory.table_writes), ""});
    table.add_row({"DRAM accesses in flight", format_count(memory.most_outstanding),
                   "at most" + (config_.memory.outstanding == 0
                                    ? std::string()
                                    : ", of " + std::to_string(config_.memory.outstanding))});
    table.add_row({"DRAM bus busy", format_percent(memory.busy_cycles, measures_.cycles), "of the cycles"});
    if (memory.errors != 0)
        table.add_row({"accesses without answer", format_count(memory.errors), ""});
    text_ += table.text(indent);
}

void Report::links()
{
    if (measures_.links.empty() || measures_.cycles == 0)
        return;
    heading("Links");
    TextTable table({{"", Align::left},
                     {"to the IOMMU", Align::right},
                     {"to the device", Align::right},
                     {"waits for credit", Align::right}});
    for (const Measures::Link &link : measures_.links)
        table.add_row({link.name, format_percent(link.request_busy_cycles, measures_.cycles) + " busy",
                       format_percent(link.response_busy_cycles, measures_.cycles) + " busy",
                       format_count(link.credit_waits)});
    text_ += table.text(indent);
}

void Report::faults()
{
    if (measures_.frontend.faults + measures_.traffic.memory_errors + measures_.frontend.denied == 0)
        return;
    heading("Faults");
    TextTable table({{"", Align::left}, {"", Align::right}, {"", Align::left}});
    const auto row = [&](const char *label, uint64_t count, const std::string &remark = "") {
        if (count != 0)
            table.add_row({label, format_count(count), remark});
    };
    row("requests refused", measures_.frontend.faults,
        format_percent(measures_.frontend.faults, measures_.frontend.latency.count));
    row("translations denied", measures_.frontend.denied);
    row("put into fault records", measures_.registers.faults_recorded);
    row("lost, no record free", measures_.registers.faults_dropped);
    row("DMA without an answer from memory", measures_.traffic.memory_errors);
    text_ += table.text(indent);
}

void Report::sources()
{
    if (measures_.sources.size() < 2 || measures_.cycles == 0)
        return;
    const double ns = measures_.ns(as_double(measures_.cycles));
    heading("Devices");
    TextTable table({{"", Align::left},
                     {"requests", Align::right},
                     {"rate", Align::right},
                     {"GB/s", Align::right},
                     {"mean ns", Align::right},
                     {"p99 ns", Align::right},
                     {"faults", Align::right}});
    for (const SourceMeasures &source : measures_.sources) {
        const std::optional<double> mean = histogram_mean(source.latency);
        const double p99 = measures_.ns(as_double(iom_histogram_quantile(&source.latency, 990000)));
        table.add_row({source.name, format_count(source.completed),
                       format_rate(as_double(source.completed) / ns * 1e9),
                       format_fixed(as_double(source.bytes_read + source.bytes_written) / ns, 3),
                       mean ? format_fixed(measures_.ns(*mean), 1) : "-", mean ? format_fixed(p99, 1) : "-",
                       format_count(source.faults)});
    }
    text_ += table.text(indent);
}

std::string Report::text()
{
    title();
    what_ran();
    traffic();
    replay();
    latency();
    where_time_goes();
    caches();
    paging_structure_caches();
    walks();
    memory();
    links();
    text_ += device_tlb_section(measures_);
    text_ += driver_calls_section(measures_);
    text_ += invalidation_section(measures_);
    faults();
    sources();
    text_ += hazards_section(hazards_);
    return text_;
}

} // namespace

std::string text_report(const SystemConfig &config, const System &system, const SessionResult &result,
                        const HazardReport &hazards, const std::string &kernel)
{
    return Report(config, system, result, hazards, kernel).text();
}

} // namespace iommu_sim
