// SPDX-License-Identifier: Apache-2.0
//
// One IOMMU: its units and how they are put together.
//
//   fused     front (context cache, PASID cache, IOTLB, miss table, order)     -> walker (+ paging-structure
//             caches) -> memory
//   chained   front (order) -> context cache -> PASID cache -> IOTLB, each a unit of its own with its own
//             miss table -> walker -> paging-structure cache unit, memory
//
// Both add a register unit, connected to every unit that depends on register state.
#ifndef IOM_CORE_IOMMU_H
#define IOM_CORE_IOMMU_H

#include "core/netlist.h"
#include "core/register_unit.h"
#include "core/stage.h"
#include "core/walker.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_wiring {
    IOM_WIRING_FUSED,
    IOM_WIRING_CHAINED,
};

struct iom_iommu_config {
    const struct iom_arch *arch;
    enum iom_wiring wiring;
    uint32_t inputs;      ///< devices (or links) connected to the front end
    iom_cycle hop_cycles; ///< latency of connections between the units, at least 1
    // Front end
    bool pcie_ordering;
    enum iom_arbitration arbitration;
    uint64_t front_latency_cycles;
    uint32_t front_lookups_per_cycle; ///< requests taken up per cycle
    // Look-ups: cache geometry (match and index fields are set here), latency, look-ups per cycle
    struct iom_lookup_config lookup[IOM_LOOKUP_COUNT];
    uint32_t lookups_per_cycle[IOM_LOOKUP_COUNT];
    enum iom_tagging iotlb_tagging;
    uint32_t stage_queue_depth; ///< chained: request slots between stages
    // Misses
    uint32_t miss_entries, merges_per_entry;
    bool hit_under_miss;
    bool replay_after_fill;
    bool squash_walks;
    // Walks
    uint32_t walkers;
    uint32_t walk_queue_depth;
    uint64_t step_cycles;
    struct iom_psc_config psc; ///< geometries; match and index fields are set here
    uint32_t psc_lookups_per_cycle;
    // Memory ports
    uint32_t memory_queue_depth; ///< request slots at the memory unit, per port
    uint64_t seed;
};

/// Units of one IOMMU. Stages: front first, then (chained) context cache, PASID cache, IOTLB.
#define IOM_IOMMU_STAGES 4u

struct iom_iommu {
    struct iom_arch arch; ///< copy; units point here
    struct iom_iommu_config config;
    struct iom_stage *stages[IOM_IOMMU_STAGES];
    uint32_t stage_count;
    struct iom_walker *walker;
    struct iom_psc_unit *psc_unit; ///< chained only
    struct iom_register_unit *registers;
};

/// Completes cache configurations: which tag fields each kind of cache compares and indexes by.
void iom_iommu_lookup_tags(enum iom_lookup which, enum iom_tagging tagging, struct iom_cache_config *cache);
void iom_iommu_psc_tags(uint8_t stage, struct iom_cache_config *cache);

/// Makes the units of an IOMMU called `name` ("iommu0"), adds them to `netlist` and connects them with
/// each other, and with the memory unit through the two responder ports given (null: that side is left to
/// the caller). Returns null on success,
/// else a static text (memory out, or which cache geometry is unusable); iom_iommu_free afterwards.
const char *iom_iommu_init(struct iom_iommu *iommu, const struct iom_iommu_config *config, const char *name,
                           struct iom_netlist *netlist, struct iom_port *memory_dma,
                           struct iom_port *memory_table);
/// Frees the units (after the netlist).
void iom_iommu_free(struct iom_iommu *iommu);

/// The input a device (or link) connects its requester port to.
struct iom_port *iom_iommu_input(struct iom_iommu *iommu, uint32_t index);
/// The front end, and the stage that owns a look-up.
struct iom_stage *iom_iommu_front(struct iom_iommu *iommu);
struct iom_stage *iom_iommu_owner(struct iom_iommu *iommu, enum iom_lookup which);
/// The paging-structure caches, wherever they are.
struct iom_psc *iom_iommu_psc(struct iom_iommu *iommu);
/// Reads the view from the registers and gives it to all units, outside the simulation.
void iom_iommu_sync_view(struct iom_iommu *iommu);
/// Empties all caches, outside the simulation while nothing is under way.
void iom_iommu_flush(struct iom_iommu *iommu, iom_cycle now);

#ifdef __cplusplus
}
#endif

#endif
