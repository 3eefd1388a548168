// SPDX-License-Identifier: Apache-2.0
//
// Pieces of the schema that several of its files need: keys shared by everything that is a cache, and
// the sections that are declared in a file of their own.
#ifndef IOM_MODELS_CONFIG_SCHEMA_SECTIONS_H
#define IOM_MODELS_CONFIG_SCHEMA_SECTIONS_H

#include "models/config/system_schema.h"

namespace iommu_sim
{

inline constexpr uint64_t latency_max = 1'000'000;
inline constexpr uint64_t window_max = UINT64_C(1) << 48;

inline std::vector<Choice<iom_cache_policy>> cache_policies()
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

/// What finding the entries of an invalidation costs.
inline Section<InvalidateSettings> invalidate_section()
{
    Section<InvalidateSettings> s;
    s.choice("method", &InvalidateSettings::method,
             {{InvalidateMethod::flash, "flash"},
              {InvalidateMethod::scan, "scan"},
              {InvalidateMethod::by_set, "by_set"}},
             "flash: all entries in one cycle; scan: entries_per_cycle at a time; by_set: a set per cycle, "
             "only those that can hold a match.");
    s.integer("entries_per_cycle", &InvalidateSettings::entries_per_cycle, {1, 65536}, "entries/cycle",
              "Entries compared per cycle; method scan.");
    s.boolean("blocking", &InvalidateSettings::blocking, "No look-ups while it runs.");
    return s;
}

/// T has a member `invalidate`.
template <class T> void add_invalidate(Section<T> &s)
{
    s.section("invalidate", &T::invalidate, invalidate_section(), "What an invalidation costs.");
}

template <class T> void add_cache_timing(Section<T> &s)
{
    s.integer("latency_cycles", &T::latency_cycles, {0, latency_max}, "cycles", "From look-up to result.");
    s.integer("lookups_per_cycle", &T::lookups_per_cycle, {1, 64}, "look-ups/cycle", "Look-up ports.");
}

/// Of arbiters (core/arbiter.h); the front end's ports have a choice of their own.
inline std::vector<Choice<Arbitration>> arbitrations()
{
    return {{Arbitration::round_robin, "round_robin"},
            {Arbitration::fixed, "fixed"},
            {Arbitration::tree, "tree"}};
}

// timing_schema.cpp: microarchitecture described to the cycle.
Section<HopsSettings> hops_section();
Section<AxiSettings> axi_section();
Section<WalkTimingSettings> walk_timing_section();
Section<MemoryChannelSettings> memory_channel_section();
Section<RecordQueueSettings> record_queue_section();
void add_serial_quirks(Section<QuirkSettings> &s);

// riscv_schema.cpp
Section<RiscvSettings> riscv_section();

// software_schema.cpp: what the operating system and the devices do.
Section<DriverSettings> driver_section();
Section<DeviceSettings> device_section();
Section<WorkloadSettings> workload_section();
Section<TraceSettings> trace_section();

} // namespace iommu_sim

#endif
