// SPDX-License-Identifier: Apache-2.0
//
// Every configuration key, one declaration each. To add a key: a member with its default in
// system_config.h and one line here; then run `iommu-sim docs configuration` to refresh
// docs/configuration.md (a test compares the two).
#include "models/config/system_schema.h"

namespace iommu_sim
{
namespace
{

constexpr uint64_t latency_max = 1'000'000;
constexpr uint64_t window_max = UINT64_C(1) << 48;

std::vector<Choice<iom_cache_policy>> cache_policies()
{
    return {{IOM_POLICY_LRU, "lru"},
            {IOM_POLICY_PLRU, "plru"},
            {IOM_POLICY_FIFO, "fifo"},
            {IOM_POLICY_RANDOM, "random"},
            {IOM_POLICY_SRRIP, "srrip"}};
}

/// Shared by everything that is a cache; T is derived from CacheGeometry.
template <class T> void add_cache_geometry(Section<T> &s)
{
    s.integer("entries", &T::entries, {0, 1u << 20}, "entries", "Size; 0 = there is no such cache.");
    s.integer(
        "ways", &T::ways, {1, 1u << 20}, "ways",
        "Associativity; ways = entries is fully associative. Sets are entries / ways and must be a power "
        "of two.");
    s.choice("policy", &T::policy, cache_policies(), "Replacement policy.");
    s.boolean("prefer_invalid", &T::prefer_invalid,
              "A fill takes an invalid way first; false: always the policy's victim.");
    s.boolean("plru_touch_on_fill", &T::plru_touch_on_fill,
              "With plru: a fill updates the tree like a hit does.");
    s.check([](const T &cache, CheckReport &report) { check_cache_geometry(cache, report); });
}

template <class T> void add_cache_timing(Section<T> &s)
{
    s.integer("latency_cycles", &T::latency_cycles, {0, latency_max}, "cycles", "From look-up to result.");
    s.integer("lookups_per_cycle", &T::lookups_per_cycle, {1, 64}, "look-ups/cycle", "Look-up ports.");
}

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
    return s;
}

Section<IotlbSettings> iotlb_section()
{
    Section<IotlbSettings> s;
    add_cache_geometry(s);
    add_cache_timing(s);
    s.choice("tag_by", &IotlbSettings::tag_by, {{IotlbTag::domain, "domain"}, {IotlbTag::source, "source"}},
             "What an entry belongs to: domain lets the devices of a domain share entries.");
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
    s.choice("arch", &IommuSettings::arch, {{Architecture::vtd, "vtd"}}, "Programming interface.",
             {"smmuv3", "amdvi", "riscv", "virtio"});
    s.choice("wiring", &IommuSettings::wiring, {{Wiring::fused, "fused"}, {Wiring::chained, "chained"}},
             "fused: one look-up stage probes all caches; chained: each cache is a unit of its own.");
    s.integer("address_width", &IommuSettings::address_width, {39, 52}, "bits",
              "Width of a host physical address.");
    s.integer("hop_cycles", &IommuSettings::hop_cycles, {1, 1000000}, "cycles",
              "Latency of the connections between the units of the IOMMU, and from them to memory.");
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
    s.choice("arbitration", &FrontendSettings::arbitration,
             {{Arbitration::round_robin, "round_robin"}, {Arbitration::fixed, "fixed"}},
             "Between ports: round_robin, or fixed priority in port order.");
    s.boolean("pcie_ordering", &FrontendSettings::pcie_ordering,
              "Apply the PCIe ordering rules to each port.");
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
    return s;
}

Section<DriverSettings> driver_section()
{
    Section<DriverSettings> s;
    s.choice("page_size", &DriverSettings::page_size,
             {{PageSize::size_4k, "4K"}, {PageSize::size_2m, "2M"}, {PageSize::size_1g, "1G"}},
             "Largest page that the driver maps with.");
    s.boolean("premap", &DriverSettings::premap, "Map every window before the run.");
    s.integer("mmio_cycles", &DriverSettings::mmio_cycles, {1, 1000000000}, "cycles",
              "Processor to the registers of the IOMMU, one way.");
    s.integer("poll_cycles", &DriverSettings::poll_cycles, {1, 1000000000}, "cycles",
              "Between two reads of a status register.");
    s.integer("map_cycles", &DriverSettings::map_cycles, {0, 1000000000}, "cycles",
              "Work of a map call before its first store.");
    s.integer("unmap_cycles", &DriverSettings::unmap_cycles, {0, 1000000000}, "cycles",
              "Work of an unmap call before its first store.");
    return s;
}

void add_pattern_keys(Section<GeneratorSettings> &s)
{
    using G = GeneratorSettings;
    s.size("stride_bytes", &G::stride_bytes, {1, window_max}, "Distance between two requests.")
        .only_for({"strided"});
    s.real("zipf_exponent", &G::zipf_exponent, {0.01, 10}, "",
           "Skew of page popularity; about 1 in many real systems.")
        .only_for({"zipf"});
    s.size("hot_bytes", &G::hot_bytes, {0, window_max}, "Hot part at the start of the window; 0 = none.")
        .only_for({"uniform"});
    s.real("hot_fraction", &G::hot_fraction, {0, 1}, "", "Share of the requests that go to the hot part.")
        .only_for({"uniform"});
    s.integer("burst_requests", &G::burst_requests, {1, 65536}, "requests",
              "Requests issued back to back, followed by a pause that keeps the rate.")
        .only_for({"sequential", "strided", "uniform", "zipf"});
}

void add_device_model_keys(Section<GeneratorSettings> &s)
{
    using G = GeneratorSettings;
    s.integer("ring_entries", &G::ring_entries, {1, 65536}, "descriptors", "Descriptors of a ring.")
        .only_for({"nic"});
    s.size("buffer_bytes", &G::buffer_bytes, {64, 65536}, "Buffer of one descriptor.").only_for({"nic"});
    s.size("frame_bytes", &G::frame_bytes, {64, 65536}, "Bytes of a frame.").only_for({"nic"});
    s.integer("queues", &G::queues, {1, 1024}, "queues", "Submission and completion queue pairs.")
        .only_for({"nvme"});
    s.integer("queue_depth", &G::queue_depth, {1, 65536}, "commands", "Commands in flight per queue.")
        .only_for({"nvme"});
    s.size("block_bytes", &G::block_bytes, {512, 16 << 20}, "Bytes of one command.").only_for({"nvme"});
}

Section<GeneratorSettings> generator_section()
{
    using G = GeneratorSettings;
    Section<G> s;
    s.choice("kind", &G::kind,
             {{GeneratorKind::sequential, "sequential"},
              {GeneratorKind::strided, "strided"},
              {GeneratorKind::uniform, "uniform"},
              {GeneratorKind::zipf, "zipf"},
              {GeneratorKind::nic, "nic"},
              {GeneratorKind::nvme, "nvme"}},
             "What produces the requests; several keys exist for some kinds only.")
        .discriminator();
    s.address("base_iova", &G::base_iova, {}, "First address of the window.");
    s.size("window_bytes", &G::window_bytes, {4096, window_max}, "Addresses the device uses.");
    s.size("request_bytes", &G::request_bytes, {1, 4096}, "Bytes of one DMA request.");
    s.real("read_fraction", &G::read_fraction, {0, 1}, "", "Share of reads; the rest are writes.");
    s.real("rate", &G::rate, {0, 1e6}, "requests/1000 cycles",
           "Offered load; 0 = as fast as `outstanding` allows.");
    s.integer("outstanding", &G::outstanding, {1, 65536}, "requests", "DMA requests in flight at once.");
    add_pattern_keys(s);
    add_device_model_keys(s);
    s.check(check_generator);
    return s;
}

Section<DeviceSettings> device_section()
{
    Section<DeviceSettings> s;
    s.text("name", &DeviceSettings::name, "Name in reports; letters, digits, '_', '-' and '.'.").required();
    s.source_id("source_id", &DeviceSettings::source_id, "Requester id: bus:device.function or 0x...")
        .required();
    s.integer("domain", &DeviceSettings::domain, {0, 65535}, "",
              "Domain id; devices of a domain share one address space.");
    s.optional_integer("pasid", &DeviceSettings::pasid, {0, (1u << 20) - 1}, "",
                       "Process address space of the requests; none = requests without PASID.");
    s.section("generator", &DeviceSettings::generator, generator_section(), "The traffic of this device.");
    return s;
}

Section<TraceSettings> trace_section()
{
    Section<TraceSettings> s;
    s.text("file", &TraceSettings::file, "Trace to replay; empty = none.");
    s.choice("mode", &TraceSettings::mode,
             {{TraceMode::closed_loop, "closed_loop"}, {TraceMode::scaled_time, "scaled_time"}},
             "closed_loop: operations start in recorded order as earlier ones end; scaled_time: records "
             "are due at their recorded times.");
    s.integer("queue_depth", &TraceSettings::queue_depth, {0, 1 << 20}, "operations",
              "Operations in flight in closed_loop; 0 = as recorded.");
    s.integer("device_latency_ns", &TraceSettings::device_latency_ns, {0, UINT64_C(1'000'000'000'000)}, "ns",
              "Work of the device between ring fetch and data in closed_loop.");
    s.real("time_scale", &TraceSettings::time_scale, {1e-6, 1e6}, "",
           "Factor on recorded times in scaled_time; above 1 is slower.");
    s.check(check_trace);
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

} // namespace

std::shared_ptr<const SectionSchema> make_system_schema()
{
    using C = SystemConfig;
    Section<C> s;
    s.text("name", &C::name, "Name of the system in reports.");
    s.text("description", &C::description, "What the system is meant to show.");
    s.section("clock", &C::clock, clock_section(), "Base tick; all *_cycles are counted in it.");
    s.section("run", &C::run, run_section(), "Length and seed of a run.");
    s.section("iommu", &C::iommu, iommu_section(), "The IOMMU as a whole.");
    s.section("vtd", &C::vtd, vtd_section(), "Intel VT-d; used when iommu.arch is vtd.");
    s.section("frontend", &C::frontend, frontend_section(), "Device ports and arbitration.");
    s.section("iotlb", &C::iotlb, iotlb_section(), "Cache of finished translations.");
    s.section("context_cache", &C::context_cache, cache_section(), "Cache of context entries.");
    s.section("pasid_cache", &C::pasid_cache, cache_section(), "Cache of PASID-table entries.");
    s.section("psc", &C::psc, psc_section(), "Paging-structure caches: upper levels of the page tables.");
    s.section("miss_table", &C::miss_table, miss_table_section(),
              "Misses in flight; merges those of one page.");
    s.section("walker", &C::walker, walker_section(), "Page walkers.");
    s.section("memory", &C::memory, memory_section(), "Memory as the IOMMU sees it.");
    s.section("link", &C::link, link_section(), "Path between devices and IOMMU.");
    s.section("driver", &C::driver, driver_section(), "The operating system's IOMMU driver.");
    s.list("devices", &C::devices, device_section(), 4096, "Devices with their traffic.");
    s.section("trace", &C::trace, trace_section(), "Replay of a recorded trace.");
    s.section("report", &C::report, report_section(), "What is reported.");
    s.check(check_system);
    return s.schema();
}

} // namespace iommu_sim
