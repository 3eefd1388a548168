// SPDX-License-Identifier: Apache-2.0
//
// A small IOMMU with chained look-ups, narrow and shallow enough that its queues fill, for tests of whole
// systems.
#ifndef IOM_TESTS_MODELS_SUPPORT_SMALL_IOMMU_H
#define IOM_TESTS_MODELS_SUPPORT_SMALL_IOMMU_H

#include "core/iommu.h"
#include "core/memory.h"
#include "tests/models/support/vtd_tables.h"

namespace small_iommu
{

/// One input, no device TLB, no paging-structure caches.
inline iom_iommu_config iommu_config(const iom_arch &arch)
{
    iom_iommu_config config = {};
    config.arch = &arch;
    config.wiring = IOM_WIRING_CHAINED;
    config.inputs = 1;
    config.hop_cycles = 1;
    config.pcie_ordering = true;
    config.front_latency_cycles = 2;
    config.front_lookups_per_cycle = 1;
    for (unsigned which = 0; which < IOM_LOOKUP_COUNT; which++) {
        config.lookup[which].cache = vtd_tables::fully_associative(8);
        config.lookup[which].latency_cycles = 2;
        config.lookups_per_cycle[which] = 1;
    }
    config.stage_queue_depth = config.walk_queue_depth = config.memory_queue_depth = 4;
    config.miss_entries = config.merges_per_entry = 4;
    config.hit_under_miss = config.squash_walks = true;
    config.walkers = 2;
    config.step_cycles = 1;
    config.psc.latency_cycles = config.psc_lookups_per_cycle = 1;
    config.queue_prefetch_commands = 4;
    config.queue_decode_cycles = 2;
    config.queue_max_in_flight = 4;
    return config;
}

inline iom_memory_config memory_config(uint32_t inputs)
{
    iom_memory_config memory = {};
    memory.inputs = inputs;
    memory.latency_cycles = 30;
    memory.bytes_per_cycle = 16;
    return memory;
}

} // namespace small_iommu

#endif
