// SPDX-License-Identifier: Apache-2.0
//
// One IOMMU: its units and how they are put together.
//
//   fused     front (context cache, PASID cache, IOTLB, miss table, order)     -> walker (+ paging-structure
//             caches) -> memory
//   chained   front (order) -> context cache -> PASID cache -> IOTLB, each a unit of its own with its own
//             miss table -> walker -> paging-structure cache unit, memory
//
// Both add a register unit, a command queue and the fan-out, through which the two reach every unit that
// depends on register state or holds cached state, and device TLBs:
//
//   registers ──> fan-out ──> front (participant 0), other stages, walker, paging-structure cache unit
//       │ ^          ^  └───> device TLBs (iom_iommu_ats_port)
//       v │          │
//     command queue ─┘ ──> memory
//
// Where the architecture has them: the register unit stores records and interrupt messages to memory, takes
// events for performance counters from every stage, and asks for translations through an input of its own at
// the front.
#ifndef IOM_CORE_IOMMU_H
#define IOM_CORE_IOMMU_H

#include "core/command_queue.h"
#include "core/fanout.h"
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

/// Latency of a connection in cycles: requests, responses. Those that take none must form no loop.
struct iom_hop {
    iom_cycle there, back;
};

/// The connections of an IOMMU one by one. What has no credits takes `back` for its acknowledgements only.
struct iom_iommu_hops {
    bool given;              ///< else every connection takes hop_cycles each way
    struct iom_hop stages;   ///< from stage to stage
    struct iom_hop walks;    ///< look-up stages to walker
    struct iom_hop psc;      ///< walker to paging-structure cache unit
    struct iom_hop tables;   ///< walker to memory
    struct iom_hop commands; ///< command queue to memory
    struct iom_hop records;  ///< register unit to memory
    struct iom_hop dma;      ///< front to memory
    struct iom_hop reports;  ///< to register unit: faults, page requests, events to be counted, of devices
    struct iom_hop setup;    ///< register unit to command queue
    struct iom_hop events;   ///< command queue to register unit
    struct iom_hop updates;  ///< register unit to fan-out and front
    struct iom_hop control;  ///< command queue to fan-out
    struct iom_hop spread;   ///< fan-out to its participants
};

struct iom_iommu_config {
    const struct iom_arch *arch;
    enum iom_wiring wiring;
    uint32_t inputs;      ///< devices (or links) connected to the front end
    iom_cycle hop_cycles; ///< latency of connections between the units, at least 1
    struct iom_iommu_hops hops;
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
    struct iom_serial_config serial;
    // Walks
    uint32_t walkers;
    uint32_t walk_queue_depth;
    uint64_t step_cycles;
    struct iom_walk_timing walk_timing;
    struct iom_psc_config psc; ///< geometries; match and index fields are set here
    uint32_t psc_lookups_per_cycle;
    // Commands and invalidations. What an invalidation costs is in lookup[].invalidate and psc.invalidate
    uint32_t queue_prefetch_commands; ///< 0 counts as 1, also in the next two
    uint64_t queue_decode_cycles;
    uint32_t queue_max_in_flight;
    bool queue_in_order;
    struct iom_command_pace queue_pace;
    struct iom_record_pace record_pace;
    uint32_t ats_devices;        ///< device TLBs
    const uint32_t *ats_streams; ///< requester of each (read by iom_iommu_init only)
    uint64_t ats_timeout_cycles; ///< of a device TLB invalidation, 0 = wait for ever
    uint32_t ats_tags;           ///< invalidation tags, 0 = 32
    bool ats_tags_block_queue;   ///< an invalidation that waits for a tag holds up the command queue
    uint32_t report_queue_depth; ///< reports (faults, page requests) that wait for the register unit, 0: any
                                 ///< number; while it is full the front waits
    struct iom_tracker *tracker; ///< handed to all units; may be null
    // Memory ports
    uint32_t memory_queue_depth; ///< request slots at the memory unit, per port
    uint64_t seed;
};

/// Units of one IOMMU. Stages: front first, then (chained) context cache, PASID cache, IOTLB.
#define IOM_IOMMU_STAGES 4u

struct iom_iommu {
    struct iom_arch arch; ///< copy; units point here
    struct iom_iommu_config config;
    struct iom_invalidate_plan plan; ///< what an invalidation costs
    struct iom_stage *stages[IOM_IOMMU_STAGES];
    uint32_t stage_count;
    struct iom_walker *walker;
    struct iom_psc_unit *psc_unit; ///< chained only
    struct iom_register_unit *registers;
    struct iom_command_queue *queue;
    struct iom_fanout *fanout;
};

/// Completes cache configurations: which tag fields each kind of cache compares and indexes by.
void iom_iommu_lookup_tags(enum iom_lookup which, enum iom_tagging tagging, struct iom_cache_config *cache);
void iom_iommu_psc_tags(uint8_t stage, struct iom_cache_config *cache);

/// Makes the units of an IOMMU called `name` ("iommu0"), adds them to `netlist` and connects them with
/// each other, and with the memory unit through the responder ports given: translated DMA, table accesses,
/// command queue, stores of the register unit (null: that side is left to the caller). Returns null on
/// success, else a static text (memory out, or which cache geometry is unusable); iom_iommu_free afterwards.
const char *iom_iommu_init(struct iom_iommu *iommu, const struct iom_iommu_config *config, const char *name,
                           struct iom_netlist *netlist, struct iom_port *memory_dma,
                           struct iom_port *memory_table, struct iom_port *memory_queue,
                           struct iom_port *memory_registers);
/// Frees the units (after the netlist).
void iom_iommu_free(struct iom_iommu *iommu);

/// The input a device (or link) connects its requester port to.
struct iom_port *iom_iommu_input(struct iom_iommu *iommu, uint32_t index);
/// Where the invalidation port of device TLB `index` (or its link) is connected: requester.
struct iom_port *iom_iommu_ats_port(struct iom_iommu *iommu, uint32_t index);
/// The front end, and the stage that owns a look-up.
struct iom_stage *iom_iommu_front(struct iom_iommu *iommu);
struct iom_stage *iom_iommu_owner(struct iom_iommu *iommu, enum iom_lookup which);
/// The paging-structure caches, wherever they are.
struct iom_psc *iom_iommu_psc(struct iom_iommu *iommu);
/// Reads the view from the registers and gives it to all units, and the registers of the command queue to it,
/// outside the simulation.
void iom_iommu_sync_view(struct iom_iommu *iommu);
/// Empties all caches, outside the simulation while nothing is under way.
void iom_iommu_flush(struct iom_iommu *iommu, iom_cycle now);

#ifdef __cplusplus
}
#endif

#endif
