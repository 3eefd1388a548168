// SPDX-License-Identifier: Apache-2.0
//
// Settings of one simulated system as plain structs, one per group of the configuration file.
//
// Every member is one key (models/config/system_schema.cpp binds them and carries range, unit and
// description; docs/configuration.md is generated from it). The initialisers here are the only
// place where defaults are written, so a default-constructed SystemConfig is exactly what the
// configuration `{}` means. Values of a SystemConfig that came out of the loader are within range
// and consistent with each other.
//
// Units: `_cycles` are ticks of clock.tick_ps, `_bytes` bytes, `_ns` nanoseconds (converted once,
// rounding up, when the system is built).
#ifndef IOM_MODELS_CONFIG_SYSTEM_CONFIG_H
#define IOM_MODELS_CONFIG_SYSTEM_CONFIG_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/cache.h"
#include "models/config/riscv_settings.h"
#include "models/config/timing_settings.h"

namespace iommu_sim
{

/// What is built from a configuration.
enum class ConfigUse {
    run,     ///< a system with devices and a driver
    records, ///< the test bench of records (models/timing/rig.h), which has ports of its own
};

enum class Architecture { vtd, riscv };

/// How the look-up stage reaches its caches (shared architecture, rule 3).
enum class Wiring {
    fused,   ///< one unit calls every cache engine as a function
    chained, ///< each cache is a unit of its own
};

/// How the driver model sets up VT-d translation for the devices.
enum class VtdMode { legacy, scalable_first_stage, scalable_second_stage, scalable_nested, pass_through };

/// Which identifier an IOTLB entry is tagged by.
enum class IotlbTag { domain, source };

enum class PageSize { size_4k, size_2m, size_1g };

enum class GeneratorKind { none, sequential, strided, uniform, zipf, nic, nvme };

/// What finding the entries of an invalidation costs a cache (core/invalidate_cost.h).
enum class InvalidateMethod { flash, scan, by_set };

/// When the driver flushes what it has unmapped (traffic/flush_queue.h).
enum class FlushPolicy { strict, lazy, lazy_single };

/// Flushes of device TLBs for a domain that is attached several times.
enum class DeviceFlush { per_attachment, skip_repeated, deduplicated };

/// Whose data a mapping of the workload carries.
enum class WorkloadDirection { from_device, to_device };

enum class TraceMode { closed_loop, scaled_time };

enum class Progress { automatic, on, off };

struct ClockSettings {
    uint32_t tick_ps = 1000;
};

struct RunSettings {
    uint64_t seed = 1;
    uint64_t requests = 0;        ///< 0 = until the traffic ends
    uint64_t max_cycles = 0;      ///< 0 = no limit
    uint64_t warmup_requests = 0; ///< not counted in statistics
};

struct IommuSettings {
    Architecture arch = Architecture::vtd;
    Wiring wiring = Wiring::fused;
    uint32_t address_width = 46;           ///< bits of a host physical address
    uint32_t hop_cycles = 1;               ///< between the units of the IOMMU, and to memory
    uint64_t ats_timeout_cycles = 100'000; ///< of a device TLB invalidation; 0 = never
};

struct VtdSettings {
    VtdMode mode = VtdMode::legacy;
    uint64_t cap = 0;  ///< capability register; 0 = derived from the other keys
    uint64_t ecap = 0; ///< extended capability register; 0 = derived from the other keys
    uint32_t second_stage_levels = 4;
    uint32_t first_stage_levels = 4;
    bool coherent_walk = true;
    bool caching_mode = false;
};

struct FrontendSettings {
    uint32_t ingress_depth = 32; ///< credits of each device port
    uint32_t lookups_per_cycle = 1;
    Arbitration arbitration = Arbitration::round_robin;
    bool pcie_ordering = true;
    bool serial = false; ///< one request in service at a time
    uint32_t latency_cycles = 1;
};

/// Size, shape and replacement of any cache. entries == 0 means there is no such cache.
struct CacheGeometry {
    uint32_t entries = 64;
    uint32_t ways = 4;
    iom_cache_policy policy = IOM_POLICY_LRU;
    bool prefer_invalid = true;
    bool plru_touch_on_fill = true;

    CacheGeometry() = default;
    CacheGeometry(uint32_t default_entries, uint32_t default_ways)
        : entries(default_entries), ways(default_ways)
    {
    }
};

struct InvalidateSettings {
    InvalidateMethod method = InvalidateMethod::flash;
    uint32_t entries_per_cycle = 4; ///< scan
    bool blocking = true;           ///< no look-ups while it runs
};

struct CacheSettings : CacheGeometry {
    uint32_t latency_cycles = 1;
    uint32_t lookups_per_cycle = 1;
    InvalidateSettings invalidate;

    CacheSettings() = default;
    CacheSettings(uint32_t default_entries, uint32_t default_ways)
        : CacheGeometry(default_entries, default_ways)
    {
    }
};

struct IotlbSettings : CacheSettings {
    IotlbTag tag_by = IotlbTag::domain;
};

/// Paging-structure caches of one translation stage, by the level of the entry they hold: level2
/// caches entries that point to the last table.
struct PscStageSettings {
    CacheGeometry level2{32, 4};
    CacheGeometry level3{16, 4};
    CacheGeometry level4{8, 4};
    CacheGeometry level5{4, 4};
};

struct PscSettings {
    uint32_t latency_cycles = 1;
    uint32_t lookups_per_cycle = 1;
    InvalidateSettings invalidate;
    PscStageSettings stage1;
    PscStageSettings stage2;
};

struct CommandQueueSettings {
    uint64_t size_bytes = 4096;
    uint32_t prefetch_commands = 4;
    uint32_t decode_cycles = 1;
    uint32_t max_in_flight = 4;
    bool in_order = false;
    bool one_at_a_time = false;
    uint32_t fetch_gap_cycles = 0;
    uint32_t status_write_cycles = 0;
};

struct MissTableSettings {
    uint32_t entries = 16;
    uint32_t merges_per_entry = 64;
    bool hit_under_miss = true;
    bool replay_after_fill = false;
};

struct WalkerSettings {
    uint32_t walkers = 8;
    uint32_t queue_depth = 16;
    uint32_t step_cycles = 1;
    WalkTimingSettings timing;
};

struct LlcSettings : CacheGeometry {
    uint32_t latency_cycles = 20;

    LlcSettings() : CacheGeometry(0, 16)
    {
    }
};

struct MemorySettings {
    uint32_t latency_cycles = 100;
    uint32_t bytes_per_cycle = 64; ///< 0 = unlimited
    uint32_t outstanding = 64;
    uint32_t queue_depth = 64;               ///< request slots of each port
    uint64_t base = 0;                       ///< lowest address of RAM
    uint64_t size_bytes = UINT64_C(1) << 36; ///< of RAM; key `memory.size`
    LlcSettings llc;
    MemoryChannelSettings channels;
};

/// Flow-control credits of a link, 0 = infinite. Data credits are units of 16 bytes. (Non-posted requests
/// with data are not among the traffic.)
struct UpstreamCredits {
    uint32_t posted_header_credits = 0;
    uint32_t posted_data_credits = 0;
    uint32_t non_posted_header_credits = 0;
};

struct DownstreamCredits {
    uint32_t posted_header_credits = 0;
    uint32_t posted_data_credits = 0;
    uint32_t completion_header_credits = 0;
    uint32_t completion_data_credits = 0;
};

struct LinkSettings {
    uint32_t latency_cycles = 100; ///< device to IOMMU
    uint32_t return_latency_cycles = 100;
    uint32_t bytes_per_cycle = 0; ///< of each direction; 0 = unlimited, no link unit
    uint32_t header_bytes = 24;   ///< of a packet
    UpstreamCredits upstream;     ///< receive buffers of the IOMMU
    DownstreamCredits downstream; ///< receive buffers of the device
};

/// What the driver leaves out or does in the wrong order (broken drivers for the hazard tracker).
struct DriverQuirks {
    bool no_iotlb_flush = false;  ///< unmap does not flush the IOTLB
    bool no_device_flush = false; ///< unmap does not flush device TLBs
    bool no_wait = false;         ///< unmap returns when its commands are submitted
    bool flush_first = false;     ///< unmap flushes before it changes the tables
    bool device_first = false;    ///< unmap flushes device TLBs before the IOTLB
    bool no_write_back = false;   ///< tables are not written back for a walker that does not snoop
};

struct DriverSettings {
    PageSize page_size = PageSize::size_4k; ///< largest page the driver maps with
    bool premap = true;                     ///< every page of every window is mapped before the run
    FlushPolicy policy = FlushPolicy::strict;
    uint32_t flush_entries = 0;               ///< of a flush queue; 0 = as Linux: 256, lazy_single 32768
    std::optional<uint64_t> flush_timeout_ns; ///< none = as Linux: 10 ms, lazy_single 1 s; 0 = no timer
    DeviceFlush device_flush = DeviceFlush::deduplicated;
    bool page_selective = true; ///< strict: flush the pages, not the domain
    bool leaf_only = true;      ///< say so when only leaf entries have changed
    uint32_t batch = 16;        ///< commands of one submission at most
    uint32_t cpus = 0;          ///< 0 = as many as threads
    bool check_errors = false;  ///< look at the error register while spinning
    // Costs.
    uint32_t mmio_cycles = 200;      ///< processor to IOMMU registers, one way
    uint32_t poll_cycles = 100;      ///< between two looks at a status word or register
    uint32_t map_cycles = 500;       ///< work of a map call before its first store
    uint32_t unmap_cycles = 400;     ///< work of an unmap call before its first store
    uint32_t return_cycles = 20;     ///< of a call after its last step
    uint32_t store_cycles = 1;       ///< between two stores of a thread
    uint32_t write_back_cycles = 40; ///< per cache line
    uint32_t descriptor_cycles = 10; ///< per command put into the queue
    uint32_t doorbell_cycles = 20;   ///< of the doorbell write to the thread
    uint32_t lock_cycles = 20;       ///< of acquiring a lock
    uint32_t iova_cycles = 40;       ///< of an allocation or release of addresses
    uint32_t enqueue_cycles = 40;    ///< of putting a range into a flush queue
    DriverQuirks quirks;
};

/// One traffic generator. Which members a kind uses is part of the schema (docs/configuration.md).
struct GeneratorSettings {
    GeneratorKind kind = GeneratorKind::uniform;
    uint64_t base_iova = 0x10000000;
    uint64_t window_bytes = UINT64_C(64) << 20;
    uint64_t stride_bytes = 4096;
    uint32_t request_bytes = 256;
    double read_fraction = 1.0;
    double rate = 0.0; ///< requests per 1000 cycles; 0 = as fast as `outstanding` allows
    uint32_t burst_requests = 1;
    uint32_t outstanding = 32;
    double zipf_exponent = 0.99;
    uint64_t hot_bytes = 0;    ///< leading part of the window that is hot; 0 = none
    double hot_fraction = 0.9; ///< of the requests that go to the hot part
    uint32_t ring_entries = 256;
    uint32_t buffer_bytes = 2048;
    uint32_t frame_bytes = 1500;
    uint32_t queues = 1;
    uint32_t queue_depth = 32;
    uint32_t block_bytes = 4096;
};

/// Broken device TLBs for the hazard tracker.
struct DeviceTlbQuirks {
    bool squash_fills = true;                 ///< an invalidation drops fills under way
    bool completion_overtakes_writes = false; ///< the completion does not wait for posted writes
    uint32_t write_buffer_cycles = 0;         ///< which stay that long in a buffer
    bool silent = false;                      ///< neither applies nor answers invalidations
};

/// entries == 0: the device has no ATS.
struct DeviceTlbSettings : CacheGeometry {
    uint32_t latency_cycles = 1;
    uint32_t lookups_per_cycle = 1;
    uint32_t outstanding = 16;
    uint32_t merges_per_request = 64;
    uint32_t queue_depth = 32;
    bool use_size = true;
    bool ask_write = true;
    bool untranslated_fallback = false;
    InvalidateSettings invalidate;
    DeviceTlbQuirks quirks;

    DeviceTlbSettings() : CacheGeometry(0, 4)
    {
    }
};

struct DeviceSettings {
    std::string name;
    uint16_t source_id = 0; ///< bus << 8 | device << 3 | function
    uint32_t domain = 1;
    std::optional<uint32_t> pasid;
    DeviceTlbSettings device_tlb;
    GeneratorSettings generator;
};

/// CPU threads that map a buffer, let a device use it, and unmap it. threads == 0: none.
struct WorkloadSettings {
    uint32_t threads = 0;
    std::string device;         ///< empty: the devices with generator.kind none in turn
    uint64_t iterations = 1000; ///< of each thread
    uint64_t bytes = 4096;      ///< of a mapping, or of one of its segments
    uint32_t segments = 1;      ///< of a scatter-gather list
    uint32_t requests = 0;      ///< DMA requests per mapping; 0 = all of it
    uint32_t request_bytes = 256;
    WorkloadDirection direction = WorkloadDirection::from_device;
    bool await_answers = true;  ///< the unmap comes when the device has finished
    uint32_t think_cycles = 0;  ///< between an unmap and the next map
    uint32_t late_requests = 0; ///< DMA requests the device sends when the unmap has returned
    uint32_t buffers = 8;       ///< physical buffers of a thread, used in turn
};

/// Whether an invalidation of a cache reaches all it must.
struct CacheQuirks {
    bool inner_address_misses = false;
    bool first_set_only = false;
};

/// Broken hardware, for the hazard tracker.
struct QuirkSettings : SerialQuirks {
    bool squash_walks = true;
    CacheQuirks iotlb, context_cache, pasid_cache;
};

struct TrackerSettings {
    bool enabled = true;
    uint32_t max_findings = 50; ///< of each kind
};

struct TraceSettings {
    std::string file; ///< empty = no trace
    TraceMode mode = TraceMode::closed_loop;
    uint32_t queue_depth = 0; ///< 0 = as recorded
    uint64_t device_latency_ns = 0;
    double time_scale = 1.0;
};

struct ReportSettings {
    bool histogram = true;
    Progress progress = Progress::automatic;
};

struct SystemConfig {
    std::string name;
    std::string description;
    ClockSettings clock;
    RunSettings run;
    IommuSettings iommu;
    VtdSettings vtd;
    RiscvSettings riscv;
    FrontendSettings frontend;
    AxiSettings axi;
    HopsSettings hops;
    IotlbSettings iotlb;
    CacheSettings context_cache{32, 4};
    CacheSettings pasid_cache{32, 4};
    PscSettings psc;
    CommandQueueSettings command_queue;
    RecordQueueSettings record_queue;
    MissTableSettings miss_table;
    WalkerSettings walker;
    MemorySettings memory;
    LinkSettings link;
    DriverSettings driver;
    std::vector<DeviceSettings> devices;
    WorkloadSettings workload;
    TraceSettings trace;
    TrackerSettings tracker;
    QuirkSettings quirks;
    ReportSettings report;
};

} // namespace iommu_sim

#endif
