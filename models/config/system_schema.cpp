// SPDX-License-Identifier: Apache-2.0
//
// Every configuration key, one declaration each. To add a key: a member with its default in
// system_config.h and one line here; then run `iommu-sim docs configuration` to refresh
// docs/configuration.md (a test compares the two).
#include "models/config/schema_sections.h"

namespace iommu_sim
{
namespace
{

Section<CacheGeometry> geometry_section()
{
    Section<CacheGeometry> s;
    add_cache_geometry(s);
    return s;
}

Section<CacheSettings> cache_section()
{
    Section<CacheSettings> s;
    add_cache_geometry(s);
    add_cache_timing(s);
    add_invalidate(s);
    return s;
}

Section<IotlbSettings> iotlb_section()
{
    Section<IotlbSettings> s;
    add_cache_geometry(s);
    add_cache_timing(s);
    s.choice("tag_by", &IotlbSettings::tag_by, {{IotlbTag::domain, "domain"}, {IotlbTag::source, "source"}},
             "What an entry belongs to: domain lets the devices of a domain share entries.");
    add_invalidate(s);
    return s;
}

Section<ClockSettings> clock_section()
{
    Section<ClockSettings> s;
    s.integer("tick_ps", &ClockSettings::tick_ps, {1, 1'000'000}, "ps",
              "Length of one cycle. Keys in nanoseconds are converted once, rounding up.");
    return s;
}

Section<RunSettings> run_section()
{
    Section<RunSettings> s;
    s.integer("seed", &RunSettings::seed, {}, "", "Seed of every random generator of the run.");
    s.integer("requests", &RunSettings::requests, {}, "requests",
              "DMA requests to measure, after the warm-up; 0 = until the traffic or trace ends.");
    s.integer("max_cycles", &RunSettings::max_cycles, {}, "cycles", "Stop at this cycle; 0 = no limit.");
    s.integer("warmup_requests", &RunSettings::warmup_requests, {}, "requests",
              "Requests before them that statistics leave out.");
    return s;
}

Section<IommuSettings> iommu_section()
{
    Section<IommuSettings> s;
    s.choice("arch", &IommuSettings::arch, {{Architecture::vtd, "vtd"}, {Architecture::riscv, "riscv"}},
             "Programming interface.", {"smmuv3", "amdvi", "virtio"});
    s.choice("wiring", &IommuSettings::wiring, {{Wiring::fused, "fused"}, {Wiring::chained, "chained"}},
             "fused: one look-up stage probes all caches; chained: each cache is a unit of its own.");
    s.integer("address_width", &IommuSettings::address_width, {39, 56}, "bits",
              "Width of a host physical address.");
    s.integer("hop_cycles", &IommuSettings::hop_cycles, {1, 1000000}, "cycles",
              "Latency of the connections between the units of the IOMMU, and from them to memory.");
    s.integer("ats_timeout_cycles", &IommuSettings::ats_timeout_cycles, {}, "cycles",
              "A device that has not answered an invalidation for so long counts as gone; 0 = never.");
    return s;
}

Section<VtdSettings> vtd_section()
{
    Section<VtdSettings> s;
    s.choice("mode", &VtdSettings::mode,
             {{VtdMode::legacy, "legacy"},
              {VtdMode::scalable_first_stage, "scalable-first-stage"},
              {VtdMode::scalable_second_stage, "scalable-second-stage"},
              {VtdMode::scalable_nested, "scalable-nested"},
              {VtdMode::pass_through, "pass-through"}},
             "How the driver sets up translation for the devices.");
    s.address("cap", &VtdSettings::cap, {}, "Capability register; 0 = derived from the other keys.");
    s.address("ecap", &VtdSettings::ecap, {},
              "Extended capability register; 0 = derived from the other keys.");
    s.integer("second_stage_levels", &VtdSettings::second_stage_levels, {3, 5}, "levels",
              "Depth of second-stage tables (39, 48 or 57 bits).");
    s.integer("first_stage_levels", &VtdSettings::first_stage_levels, {4, 5}, "levels",
              "Depth of first-stage tables (48 or 57 bits).");
    s.boolean("coherent_walk", &VtdSettings::coherent_walk,
              "Table reads snoop processor caches (ECAP.C); false: the driver flushes what it writes.");
    s.boolean("caching_mode", &VtdSettings::caching_mode,
              "Not-present entries may be cached (CAP.CM), so mapping needs invalidations too.");
    s.check(check_vtd);
    return s;
}

Section<FrontendSettings> frontend_section()
{
    Section<FrontendSettings> s;
    s.integer("ingress_depth", &FrontendSettings::ingress_depth, {1, 65536}, "requests",
              "Credits of each device port.");
    s.integer("lookups_per_cycle", &FrontendSettings::lookups_per_cycle, {1, 64}, "requests/cycle",
              "Requests that may enter look-up in one cycle.");
    s.choice(
        "arbitration", &FrontendSettings::arbitration,
        {{Arbitration::round_robin, "round_robin"}, {Arbitration::fixed, "fixed"}},
        "Between ports: round_robin, or fixed priority in port order (a port that never rests starves those "
        "behind it).");
    s.boolean("pcie_ordering", &FrontendSettings::pcie_ordering,
              "Apply the PCIe ordering rules to each port.");
    s.boolean(
        "serial", &FrontendSettings::serial,
        "One request in service at a time, all look-ups in one cycle (core/stage.h), behind an AXI port "
        "(timing command).");
    s.integer("latency_cycles", &FrontendSettings::latency_cycles, {0, latency_max}, "cycles",
              "From arrival at a port to arbitration.");
    return s;
}

Section<PscStageSettings> psc_stage_section()
{
    Section<PscStageSettings> s;
    const Section<CacheGeometry> level = geometry_section();
    s.section("level2", &PscStageSettings::level2, level, "Entries that point to the last table.");
    s.section("level3", &PscStageSettings::level3, level, "Entries one level above.");
    s.section("level4", &PscStageSettings::level4, level, "Entries two levels above.");
    s.section("level5", &PscStageSettings::level5, level, "Entries three levels above.");
    return s;
}

Section<PscSettings> psc_section()
{
    Section<PscSettings> s;
    const Section<PscStageSettings> stage = psc_stage_section();
    add_cache_timing(s);
    add_invalidate(s);
    s.section("stage1", &PscSettings::stage1, stage, "Paging-structure caches of the first stage.");
    s.section("stage2", &PscSettings::stage2, stage, "Paging-structure caches of the second stage.");
    return s;
}

Section<MissTableSettings> miss_table_section()
{
    Section<MissTableSettings> s;
    s.integer("entries", &MissTableSettings::entries, {1, 65536}, "entries", "Pages that can miss at once.");
    s.integer("merges_per_entry", &MissTableSettings::merges_per_entry, {0, 65536}, "requests",
              "Requests that can join the one that started a walk; 0 = each walks for itself.");
    s.boolean("hit_under_miss", &MissTableSettings::hit_under_miss,
              "Later requests of a port may hit while an earlier one misses.");
    s.boolean("replay_after_fill", &MissTableSettings::replay_after_fill,
              "Requests look up again when their walk is over; false: they take its result.");
    return s;
}

Section<CommandQueueSettings> command_queue_section()
{
    Section<CommandQueueSettings> s;
    s.size("size", &CommandQueueSettings::size_bytes, {4096, 512 << 10},
           "Memory of the queue; a power of two.");
    s.integer("prefetch_commands", &CommandQueueSettings::prefetch_commands, {1, 4096}, "commands",
              "Commands fetched ahead of decoding.");
    s.integer("decode_cycles", &CommandQueueSettings::decode_cycles, {1, latency_max}, "cycles",
              "Decoding of one command.");
    s.integer("max_in_flight", &CommandQueueSettings::max_in_flight, {1, 4096}, "commands",
              "Invalidations carried out at the same time.");
    s.boolean("in_order", &CommandQueueSettings::in_order,
              "A command begins when the one before has ended; false: only waits order them.");
    s.boolean("one_at_a_time", &CommandQueueSettings::one_at_a_time,
              "A command is read from memory when the one before has ended.");
    s.integer("fetch_gap_cycles", &CommandQueueSettings::fetch_gap_cycles, {0, latency_max}, "cycles",
              "one_at_a_time: from the end of a command to the read of the next.");
    s.integer("status_write_cycles", &CommandQueueSettings::status_write_cycles, {0, latency_max}, "cycles",
              "From the end of what a wait waits for to the departure of its status write.");
    s.check([](const CommandQueueSettings &queue, CheckReport &report) {
        if (!iom_is_power_of_two(queue.size_bytes))
            report.conflict({"size"},
                            format_unsigned(queue.size_bytes, NumberStyle::size) + " is not a power of two");
    });
    return s;
}

Section<WalkerSettings> walker_section()
{
    Section<WalkerSettings> s;
    s.integer("walkers", &WalkerSettings::walkers, {1, 4096}, "walks", "Page walks that can run at once.");
    s.integer("queue_depth", &WalkerSettings::queue_depth, {1, 65536}, "walks",
              "Walks that can wait for a walker.");
    s.integer("step_cycles", &WalkerSettings::step_cycles, {0, latency_max}, "cycles",
              "Work of a walker per table entry, besides the memory read.");
    s.section("timing", &WalkerSettings::timing, walk_timing_section(),
              "Hardware whose last steps cost something else.");
    return s;
}

Section<LlcSettings> llc_section()
{
    Section<LlcSettings> s;
    add_cache_geometry(s);
    s.integer("latency_cycles", &LlcSettings::latency_cycles, {0, latency_max}, "cycles",
              "Latency of a table read that hits.");
    return s;
}

Section<MemorySettings> memory_section()
{
    Section<MemorySettings> s;
    s.integer("latency_cycles", &MemorySettings::latency_cycles, {1, latency_max}, "cycles",
              "From acceptance of a read to its first data.");
    s.integer("bytes_per_cycle", &MemorySettings::bytes_per_cycle, {0, 65536}, "bytes/cycle",
              "Bandwidth; 0 = unlimited.");
    s.integer("outstanding", &MemorySettings::outstanding, {1, 65536}, "accesses",
              "Accesses of the IOMMU in flight at once.");
    s.integer("queue_depth", &MemorySettings::queue_depth, {1, 65536}, "accesses",
              "Request slots of each port of the memory unit.");
    s.address("base", &MemorySettings::base, {0, window_max}, "Lowest address of RAM.");
    s.size("size", &MemorySettings::size_bytes, {1 << 20, UINT64_C(1) << 52}, "Size of RAM.");
    s.section("llc", &MemorySettings::llc, llc_section(),
              "Last-level cache used by table reads; entries are lines of 64 bytes.");
    s.section("channels", &MemorySettings::channels, memory_channel_section(),
              "A port with channels for addresses, read data, write data and responses, as AXI has it "
              "(timing command).");
    return s;
}

// PCI Express Base Specification 6.0, 2.6.1: the largest advertisement, of data with scaled flow control, is
// 32752.
constexpr uint64_t most_credits = 32752;

Section<UpstreamCredits> upstream_section()
{
    using C = UpstreamCredits;
    Section<C> s;
    s.integer("posted_header_credits", &C::posted_header_credits, {0, most_credits}, "packets",
              "Writes, page requests and completions of invalidations the IOMMU can buffer; 0 = infinite.");
    s.integer("posted_data_credits", &C::posted_data_credits, {0, most_credits}, "16 bytes",
              "Data of them; 0 = infinite. A longer write than that fills the buffer.");
    s.integer("non_posted_header_credits", &C::non_posted_header_credits, {0, most_credits}, "packets",
              "Reads and translation requests the IOMMU can buffer; 0 = infinite.");
    return s;
}

Section<DownstreamCredits> downstream_section()
{
    using C = DownstreamCredits;
    Section<C> s;
    s.integer("posted_header_credits", &C::posted_header_credits, {0, most_credits}, "packets",
              "Invalidation requests and page responses a device can buffer; 0 = infinite.");
    s.integer("posted_data_credits", &C::posted_data_credits, {0, most_credits}, "16 bytes",
              "Data of them; an invalidation request has 8 bytes. 0 = infinite.");
    s.integer("completion_header_credits", &C::completion_header_credits, {0, most_credits}, "packets",
              "Answers to reads and translation requests a device can buffer; 0 = infinite, as endpoints "
              "have to have it.");
    s.integer("completion_data_credits", &C::completion_data_credits, {0, most_credits}, "16 bytes",
              "Data of them; 0 = infinite. A longer answer than that fills the buffer.");
    return s;
}

Section<LinkSettings> link_section()
{
    Section<LinkSettings> s;
    s.integer("latency_cycles", &LinkSettings::latency_cycles, {1, latency_max}, "cycles",
              "From a device to the IOMMU.");
    s.integer("return_latency_cycles", &LinkSettings::return_latency_cycles, {1, latency_max}, "cycles",
              "From the IOMMU back to a device.");
    s.integer(
        "bytes_per_cycle", &LinkSettings::bytes_per_cycle, {0, 65536}, "bytes/cycle",
        "Width of each direction; 0 = unlimited. With a width each device has a link unit, one cycle away.");
    s.integer("header_bytes", &LinkSettings::header_bytes, {0, 4096}, "bytes",
              "Header, framing and checksums of a packet.");
    s.section("upstream", &LinkSettings::upstream, upstream_section(),
              "Flow-control credits towards the IOMMU (docs/units/link.md).");
    s.section("downstream", &LinkSettings::downstream, downstream_section(),
              "Flow-control credits towards a device.");
    s.check(check_link);
    return s;
}

Section<ReportSettings> report_section()
{
    Section<ReportSettings> s;
    s.boolean("histogram", &ReportSettings::histogram, "Latency histograms in the result file.");
    s.choice("progress", &ReportSettings::progress,
             {{Progress::automatic, "auto"}, {Progress::on, "on"}, {Progress::off, "off"}},
             "Progress line on standard error; auto = if that is a terminal.");
    return s;
}

Section<TrackerSettings> tracker_section()
{
    Section<TrackerSettings> s;
    s.boolean("enabled", &TrackerSettings::enabled,
              "Look for uses of stale translations; costs no simulated time.");
    s.integer("max_findings", &TrackerSettings::max_findings, {1, 1'000'000}, "findings",
              "Findings of each kind that are described; further ones are only counted.");
    return s;
}

Section<CacheQuirks> cache_quirks_section()
{
    Section<CacheQuirks> s;
    s.boolean("inner_address_misses", &CacheQuirks::inner_address_misses,
              "An invalidation by address misses a larger page that begins before its range.");
    s.boolean("first_set_only", &CacheQuirks::first_set_only, "An invalidation reaches set 0 only.");
    return s;
}

Section<QuirkSettings> quirks_section()
{
    Section<QuirkSettings> s;
    const Section<CacheQuirks> cache = cache_quirks_section();
    s.boolean("squash_walks", &QuirkSettings::squash_walks,
              "An invalidation drops the fills of walks under way; false: hardware that forgets them.");
    s.section("iotlb", &QuirkSettings::iotlb, cache, "The IOTLB.");
    s.section("context_cache", &QuirkSettings::context_cache, cache, "The context cache.");
    s.section("pasid_cache", &QuirkSettings::pasid_cache, cache, "The PASID cache.");
    add_serial_quirks(s);
    return s;
}

} // namespace

std::shared_ptr<const SectionSchema> make_system_schema(ConfigUse use)
{
    using C = SystemConfig;
    Section<C> s;
    s.text("name", &C::name, "Name of the system in reports.");
    s.text("description", &C::description, "What the system is meant to show.");
    s.section("clock", &C::clock, clock_section(), "Base tick; all *_cycles are counted in it.");
    s.section("run", &C::run, run_section(), "Length and seed of a run.");
    s.section("iommu", &C::iommu, iommu_section(), "The IOMMU as a whole.");
    s.section("vtd", &C::vtd, vtd_section(), "Intel VT-d; used when iommu.arch is vtd.");
    s.section("riscv", &C::riscv, riscv_section(), "RISC-V IOMMU; used when iommu.arch is riscv.");
    s.section("frontend", &C::frontend, frontend_section(), "Device ports and arbitration.");
    s.section("axi", &C::axi, axi_section(), "AXI port in front of the IOMMU (timing command).");
    s.section(
        "hops", &C::hops, hops_section(),
        "Latency of each connection, for hardware that is described to the cycle. Those that take none must "
        "form no loop.");
    s.section("iotlb", &C::iotlb, iotlb_section(), "Cache of finished translations.");
    s.section("context_cache", &C::context_cache, cache_section(), "Cache of context entries.");
    s.section("pasid_cache", &C::pasid_cache, cache_section(), "Cache of PASID-table entries.");
    s.section("psc", &C::psc, psc_section(), "Paging-structure caches: upper levels of the page tables.");
    s.section("command_queue", &C::command_queue, command_queue_section(),
              "Queue of invalidation commands: fetch and execution.");
    s.section("record_queue", &C::record_queue, record_queue_section(),
              "Records of faults and page requests in memory, where the architecture has them.");
    s.section("miss_table", &C::miss_table, miss_table_section(),
              "Misses in flight; merges those of one page.");
    s.section("walker", &C::walker, walker_section(), "Page walkers.");
    s.section("memory", &C::memory, memory_section(), "Memory as the IOMMU sees it.");
    s.section("link", &C::link, link_section(), "Path between devices and IOMMU.");
    s.section("driver", &C::driver, driver_section(), "The operating system's IOMMU driver.");
    s.list("devices", &C::devices, device_section(), 200, "Devices with their traffic.");
    s.section("workload", &C::workload, workload_section(),
              "CPU threads that map a buffer, let a device use it and unmap it.");
    s.section("trace", &C::trace, trace_section(), "Replay of a recorded trace.");
    s.section("tracker", &C::tracker, tracker_section(), "Detection of stale translations.");
    s.section("quirks", &C::quirks, quirks_section(), "Broken hardware, to see what it leads to.");
    s.section("report", &C::report, report_section(), "What is reported.");
    s.check(check_system);
    s.check(check_timing);
    s.check(use == ConfigUse::run ? check_run : check_records);
    return s.schema();
}

} // namespace iommu_sim
