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

namespace iommu_sim
{

enum class Architecture { vtd };

/// How the look-up stage reaches its caches (shared architecture, rule 3).
enum class Wiring {
    fused,   ///< one unit calls every cache engine as a function
    chained, ///< each cache is a unit of its own
};

/// How the driver model sets up VT-d translation for the devices.
enum class VtdMode { legacy, scalable_first_stage, scalable_second_stage, scalable_nested, pass_through };

enum class Arbitration { round_robin, fixed };

/// Which identifier an IOTLB entry is tagged by.
enum class IotlbTag { domain, source };

enum class PageSize { size_4k, size_2m, size_1g };

enum class GeneratorKind { sequential, strided, uniform, zipf, nic, nvme };

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
    uint32_t address_width = 46; ///< bits of a host physical address
    uint32_t hop_cycles = 1;     ///< between the units of the IOMMU, and to memory
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

struct CacheSettings : CacheGeometry {
    uint32_t latency_cycles = 1;
    uint32_t lookups_per_cycle = 1;

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
    PscStageSettings stage1;
    PscStageSettings stage2;
};

struct MissTableSettings {
    uint32_t entries = 16;
    uint32_t merges_per_entry = 64;
    bool hit_under_miss = true;
};

struct WalkerSettings {
    uint32_t walkers = 8;
    uint32_t queue_depth = 16;
    uint32_t step_cycles = 1;
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
};

struct LinkSettings {
    uint32_t latency_cycles = 100; ///< device to IOMMU
    uint32_t return_latency_cycles = 100;
    uint32_t bytes_per_cycle = 0; ///< of each direction; 0 = unlimited, no link unit
    uint32_t header_bytes = 24;   ///< of a packet
};

struct DriverSettings {
    PageSize page_size = PageSize::size_4k; ///< largest page the driver maps with
    bool premap = true;                     ///< every page of every window is mapped before the run
    uint32_t mmio_cycles = 200;             ///< processor to IOMMU registers, one way
    uint32_t poll_cycles = 100;             ///< between two reads of a status register
    uint32_t map_cycles = 500;              ///< work of a map call before its first store
    uint32_t unmap_cycles = 400;            ///< work of an unmap call before its first store
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

struct DeviceSettings {
    std::string name;
    uint16_t source_id = 0; ///< bus << 8 | device << 3 | function
    uint32_t domain = 1;
    std::optional<uint32_t> pasid;
    GeneratorSettings generator;
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
    FrontendSettings frontend;
    IotlbSettings iotlb;
    CacheSettings context_cache{32, 4};
    CacheSettings pasid_cache{32, 4};
    PscSettings psc;
    MissTableSettings miss_table;
    WalkerSettings walker;
    MemorySettings memory;
    LinkSettings link;
    DriverSettings driver;
    std::vector<DeviceSettings> devices;
    TraceSettings trace;
    ReportSettings report;
};

} // namespace iommu_sim

#endif
