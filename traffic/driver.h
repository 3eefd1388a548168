// SPDX-License-Identifier: Apache-2.0
//
// The driver model, first version: one host thread that brings the IOMMU up and maps and unmaps.
//
//   port 0 "memory"  requester: struct iom_memory_access (stores to tables) to the memory unit
//   port 1 "mmio"    requester: struct iom_mmio to the register unit
//
// Timing (cycles of the unit's clock). The thread does one thing at a time:
//   bring-up    each register write leaves, the next step follows its completion; a step that waits
//               for a status bit reads the register again `poll_cycles` after each answer, as
//               Linux does in its wait loops
//   job         a map or unmap begins when it is due and the one before is over. Its store number i
//               (from 0) leaves at begin + call + i * store_cycles or when the memory unit has a slot;
//               the call is over when its last store has left (stores are posted; program order at
//               the memory unit is the order of sending). `reported` is when the last store is
//               acknowledged: from then on a walk sees the new tables.
// Invalidation commands come with the flush policies; a job ends where they will follow.
#ifndef IOM_TRAFFIC_DRIVER_H
#define IOM_TRAFFIC_DRIVER_H

#include "core/control.h"
#include "core/memory.h"
#include "core/stats.h"
#include "core/unit.h"
#include "traffic/mapper.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_driver_config {
    uint32_t map_cycles;   ///< of a map call, before its first store
    uint32_t unmap_cycles; ///< of an unmap call, before its first store
    uint32_t store_cycles; ///< between two stores, 0 = 1
    uint32_t poll_cycles;  ///< between an answer and the next read of a status register, 0 = 1
    bool bring_up;         ///< program the registers (port "mmio" must be bound)
    iom_cycle start;       ///< first cycle of activity in ticks
    /// Called once, when bring-up is over (at once without it): translation is enabled. May be null. As with
    /// iom_device_config.on_completed it may set a flag of the caller's, nothing else.
    void (*on_ready)(void *context, iom_cycle cycle);
    void *on_ready_context;
};

enum iom_driver_job_kind { IOM_DRIVER_MAP, IOM_DRIVER_UNMAP };

struct iom_driver_job {
    enum iom_driver_job_kind kind;
    iom_cycle due; ///< not before this tick (and not before bring-up is over)
    uint32_t domain;
    uint64_t iova;       ///< 4 KiB aligned
    uint64_t address;    ///< MAP: physical address, 4 KiB aligned
    uint64_t bytes;      ///< multiple of 4 KiB
    uint8_t permissions; ///< MAP: IOM_PERM_READ, IOM_PERM_WRITE, IOM_PERM_EXEC
    uint8_t page_log2;   ///< MAP: largest page, 0 = the mapper's choice
};

#define IOM_DRIVER_STATS(X)                                                                                  \
    X(counter, register_writes, "accesses", "register writes of the bring-up")                               \
    X(counter, register_reads, "accesses", "register reads while waiting for a status bit")                  \
    X(counter, bring_up_cycles, "cycles", "from the first register access to translation enabled")           \
    X(counter, maps, "calls", "map calls")                                                                   \
    X(counter, unmaps, "calls", "unmap calls")                                                               \
    X(counter, pages_mapped, "pages", "leaf entries written")                                                \
    X(counter, pages_unmapped, "pages", "leaf entries cleared")                                              \
    X(counter, failed, "calls", "map and unmap calls that failed or found something else than expected")     \
    X(counter, stores, "accesses", "stores to translation tables")                                           \
    X(histogram, map_latency, "cycles",                                                                      \
      "from the begin of a map call to the acknowledgement of its last store")                               \
    X(histogram, unmap_latency, "cycles",                                                                    \
      "from the begin of an unmap call to the acknowledgement of its last store")

struct iom_driver_stats {
    IOM_DRIVER_STATS(IOM_STAT_MEMBER)
};

enum iom_driver_port { IOM_DRIVER_MEMORY, IOM_DRIVER_MMIO, IOM_DRIVER_PORTS };

struct iom_driver; // opaque

/// Makes the unit. `mapper` is borrowed; while the unit has jobs nobody else may use it. Null when memory is
/// out.
struct iom_driver *iom_driver_create(const struct iom_driver_config *config, struct iom_mapper *mapper,
                                     const char *name);
void iom_driver_destroy(struct iom_driver *driver);
struct iom_unit *iom_driver_unit(struct iom_driver *driver);
struct iom_port *iom_driver_port(struct iom_driver *driver, enum iom_driver_port port);

/// Maps every range of `generator` functionally into `image`, before the run. `domain` of a range is
/// found by `domain_of` (source and PASID are the range's).
enum iom_mapper_result
iom_driver_premap(struct iom_mapper *mapper, struct iom_memory_image *image,
                  const struct iom_generator *generator,
                  uint32_t (*domain_of)(void *context, uint32_t source, uint32_t pasid), void *context);

/// Appends a job, before the run or between two runs of the kernel. Jobs are carried out in this order.
/// False when memory is out.
bool iom_driver_add_job(struct iom_driver *driver, const struct iom_driver_job *job);

/// Bring-up is over.
bool iom_driver_ready(const struct iom_driver *driver);
/// Bring-up and all jobs are over and all stores acknowledged.
bool iom_driver_finished(const struct iom_driver *driver);
/// Null, or why the driver gave up (a register never showed its bit, a job failed for lack of memory).
const char *iom_driver_error(const struct iom_driver *driver);
const struct iom_driver_stats *iom_driver_stats_of(const struct iom_driver *driver);

#ifdef __cplusplus
}
#endif

#endif
