// SPDX-License-Identifier: Apache-2.0
//
// The memory unit: DRAM with latency, bandwidth and a limit on accesses in flight, and an optional
// last-level cache in front of it for table reads. All memory contents belong to it (unit rule 6).
//
// It takes DMA (struct iom_dma, translated) and table accesses (struct iom_memory_access) on any
// number of input ports and answers on the same port.
//
// Timing of an access accepted in cycle c:
//   DRAM          response departs at c + latency
//   LLC hit       response departs at c + llc_latency, no DRAM bandwidth, no slot
//   bandwidth     the next DRAM access is accepted at c + ceil(bytes / bytes_per_cycle) or later
//   in flight     a DRAM access occupies one of `outstanding` slots from c until its response departs
// Inputs are served round robin, one access at a time unless bandwidth is unlimited. Of the accesses
// accepted in one cycle, writes take effect before reads are sampled.
//
// Channels: the first inputs may share a port with separate channels for addresses, read data, write data and
// write responses, as AXI has it. Accesses through it meet no other limit:
//   addresses     one read and one write are accepted per cycle, each chosen by an arbiter of its own among
//                 the heads of the inputs; `position` says where at the arbiters a client is connected
//   read          accepted in c: beats of `beat_bytes`, one per cycle, the first in c + latency, or behind
//                 the last beat of the read before; the response departs with the last beat
//   write         accepted in c: beats from c + 1 on, or behind the last beat of the write before; the
//                 response departs write_latency after the last beat
#ifndef IOM_CORE_MEMORY_H
#define IOM_CORE_MEMORY_H

#include "core/arbiter.h"
#include "core/cache.h"
#include "core/dma.h"
#include "core/memory_image.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_memory_op {
    IOM_MEMORY_READ,
    IOM_MEMORY_WRITE,
    IOM_MEMORY_CAS, ///< 8 bytes: if equal to `expected` store `desired`; data[0] = what was there
    /// A processor's copy of up to 8 bytes that it looks at again and again: answered when memory holds
    /// something else than `expected` (at once if it does). data[0] = what, data[1] = the cycle in which
    /// it changed. Takes no bandwidth and no slot; the answer departs latency_cycles after the change.
    IOM_MEMORY_WATCH,
};

/// On whose behalf the IOMMU accesses memory.
enum iom_memory_client {
    IOM_CLIENT_OTHER,
    IOM_CLIENT_PAGE_WALK,    ///< page tables
    IOM_CLIENT_CONTEXT_WALK, ///< context and PASID structures
    IOM_CLIENT_COMMANDS,     ///< command queue: fetch and status writes
    IOM_CLIENT_RECORDS,      ///< register unit: records of queues in memory, interrupt messages
    IOM_CLIENT_COUNT,
};

struct iom_memory_access {
    struct iom_msg msg;
    uint64_t address;
    uint64_t expected, desired;
    uint64_t data[IOM_LINE_BYTES / 8]; ///< little-endian memory order; read result or write payload
    uint64_t cookie;                   ///< requester's own
    iom_node node;                     ///< reads: parent, on return the node of what was read
    uint8_t op;                        ///< enum iom_memory_op
    uint8_t bytes;                     ///< 1 to 64
    uint8_t error;                     ///< result: enum iom_access
    uint8_t error_word;                ///< with an error: number of the first 8-byte word that has it
    uint8_t client;                    ///< enum iom_memory_client
    uint8_t origin;                    ///< WRITE: enum iom_write_origin (core/tracker.h); 0 = software
};

struct iom_tracker;

struct iom_memory_channels {
    uint32_t inputs;                    ///< the first inputs of the memory share the channels; 0 = none
    uint32_t beat_bytes;                ///< width of the data channels
    enum iom_arbitration arbitration;   ///< rule of both arbiters
    uint32_t positions;                 ///< inputs of the arbiters
    uint8_t position[IOM_CLIENT_COUNT]; ///< where a client is connected; no two clients that are used
                                        ///< through different inputs may share one
    uint64_t write_latency_cycles;      ///< last beat of a write to its response
};

/// Told of every access that goes through the channels, when it is accepted. `first` and `last` are the
/// cycles of its beats as they depart (reads), or are taken (writes).
struct iom_memory_observer {
    void *context;
    void (*accepted)(void *context, iom_cycle now, const struct iom_memory_access *access, iom_cycle first,
                     iom_cycle last);
};

struct iom_memory_config {
    uint32_t inputs; ///< number of input ports
    struct iom_memory_channels channels;
    uint64_t latency_cycles;     ///< DRAM access
    uint32_t bytes_per_cycle;    ///< bandwidth, 0 = unlimited
    uint32_t outstanding;        ///< DRAM accesses in flight, 0 = unlimited
    struct iom_cache_config llc; ///< lines of IOM_LINE_BYTES; entries 0 = none
    uint64_t llc_latency_cycles; ///< LLC hit
    uint64_t seed;               ///< of the LLC's random policy
    struct iom_tracker *tracker; ///< may be null
};

#define IOM_MEMORY_STATS(X)                                                                                  \
    X(counter, dma_reads, "requests", "DMA reads accepted")                                                  \
    X(counter, dma_writes, "requests", "DMA writes accepted")                                                \
    X(counter, dma_bytes, "bytes", "bytes moved by DMA")                                                     \
    X(counter, table_reads, "accesses", "table reads accepted")                                              \
    X(counter, table_writes, "accesses", "table writes and atomic updates accepted")                         \
    X(counter, llc_hits, "accesses", "table reads served by the last-level cache")                           \
    X(counter, llc_misses, "accesses", "table reads that missed the last-level cache")                       \
    X(counter, errors, "accesses", "accesses to addresses that do not answer")                               \
    X(counter, busy_cycles, "cycles", "cycles the DRAM data bus was occupied")                               \
    X(maximum, most_outstanding, "accesses", "most DRAM accesses in flight at once")

struct iom_memory_stats {
    IOM_MEMORY_STATS(IOM_STAT_MEMBER)
};

struct iom_memory; // opaque

/// Makes the unit; `image` outlives it. Null when memory is out or the LLC geometry is unusable.
struct iom_memory *iom_memory_create(const struct iom_memory_config *config, struct iom_memory_image *image,
                                     const char *name);
void iom_memory_destroy(struct iom_memory *memory);
struct iom_unit *iom_memory_unit(struct iom_memory *memory);
/// Responder port `index` < config.inputs.
struct iom_port *iom_memory_input(struct iom_memory *memory, uint32_t index);
/// Copies `*observer`; null removes the observer.
void iom_memory_set_observer(struct iom_memory *memory, const struct iom_memory_observer *observer);

#ifdef __cplusplus
}
#endif

#endif
