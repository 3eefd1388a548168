// SPDX-License-Identifier: Apache-2.0
//
// Replay of a native trace: host driver and devices of the recording in one unit.
//
//   port 0      "memory"  requester: struct iom_memory_access (the driver's stores) to the memory unit
//   port 1 + i  "dma"     requester: struct iom_dma of device i (order of the trace's device list)
//   last port   "mmio"    requester: struct iom_mmio to the register unit; with driver.present only
//
// The driver has one processor, which carries out one call after the other. With driver.present it brings the
// IOMMU up, and an unmap goes on as in host.h: when the table stores have left come commands and a wait
// (descriptor_cycles each), when all is acknowledged the doorbell, then looks at the status every
// relax_cycles. Policies are those of flush_queue.h. A map of addresses that still lie in a flush queue has
// that flushed first (a recording cannot know how long another policy would have held them back).
// Without driver.present unmaps change tables only.
//
// Semantics (docs/trace-format.md, "Replay"; docs/traffic.md):
//   closed loop   operations begin in the order of their first records, at most `queue_depth` at a
//                 time. Within one: its maps are stored and acknowledged before its first DMA; ring reads
//                 go one after the other; `device_latency` after the last of them the data requests go, at
//                 most `data_outstanding` at once; completion entries follow the last answer of the data;
//                 unmaps follow the last DMA; then the operation ends
//   scaled time   a record is dispatched at start + (time - time of the first timed record) * scale, no
//                 earlier; the rules within an operation hold as above, except that there is no limit to the
//                 operations and no device latency
//   no operation  records of op 0 form one sequence of their own: DMA wait for the stores of all
//                 earlier maps of the sequence, unmaps and detachments for all its earlier DMA
// Across operations: a map waits for recorded earlier unmaps of its pages, so that reused addresses are never
// mapped twice; DMA of an operation waits for earlier maps of its address outside of operations, and the
// unmaps there for earlier DMA of operations. At a depth below the recorded one that can be impossible
// (each of two waits for the other); then the oldest goes ahead and is counted.
//
// Attachments and synthetic maps at the start of a trace are carried out before cycle 0
// (iom_replay_prepare). The trace is streamed: what is held in memory are the records of the
// operations in progress and of those recorded between them.
#ifndef IOM_TRAFFIC_REPLAY_H
#define IOM_TRAFFIC_REPLAY_H

#include "core/memory.h"
#include "core/stats.h"
#include "core/unit.h"
#include "traffic/flush_queue.h"
#include "traffic/host.h"
#include "traffic/mapper.h"
#include "traffic/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_replay_mode { IOM_REPLAY_CLOSED_LOOP, IOM_REPLAY_SCALED_TIME };

/// The driver beyond its table stores.
struct iom_replay_driver {
    bool present;
    struct iom_flush_policy policy;
    uint32_t descriptor_cycles; ///< per command put into the queue
    uint32_t doorbell_cycles;   ///< of the doorbell write to the processor
    uint32_t relax_cycles;      ///< between two looks at a status word or register, 0 = 1
    uint32_t enqueue_cycles;    ///< of putting a range into a flush queue
    uint32_t batch;             ///< commands per submission at most, 0 = 16
    uint8_t queue_log2;         ///< size of the command queue in bytes, 0 = 12
    bool first_stage;           ///< translations are tagged by PASID (as in iom_host_domain)
    bool caching_mode;          ///< maps are flushed, too
    bool pasid_tables;          ///< as in iom_host_config
    uint32_t default_pasid;
    struct iom_tracker *tracker;                      ///< may be null
    void (*on_ready)(void *context, iom_cycle cycle); ///< bring-up is over; may be null
    /// Everything was replayed; timers of flush queues may still run. May be null.
    void (*on_finished)(void *context, iom_cycle cycle);
};

struct iom_replay_config {
    enum iom_replay_mode mode;
    uint32_t queue_depth;      ///< operations at once; 0 = as recorded (1 if the trace does not say)
    uint32_t data_outstanding; ///< data requests of an operation in flight, 0 = 32
    uint32_t outstanding;      ///< DMA requests in flight per device, 0 = 256
    iom_cycle device_latency;  ///< ticks from the last ring read's answer to the data phase
    /// Scaled time: ticks of simulation per tick of the trace, as a fraction; 0/0 = 1/1. For a scale s, a
    /// trace tick of t ps and a base tick of b ps: scale_numerator / scale_denominator = s * t / b.
    uint64_t scale_numerator, scale_denominator;
    uint32_t map_cycles;     ///< ticks of a map call of the driver, before its first store
    uint32_t unmap_cycles;   ///< ticks of an unmap call
    uint32_t store_cycles;   ///< ticks between two stores, 0 = 1
    uint64_t requests;       ///< stop after this many DMA requests, 0 = never
    uint32_t window_records; ///< most records held at once, 0 = 1048576
    iom_cycle start;         ///< first tick of activity; IOM_NEVER = wait for iom_replay_start
    struct iom_replay_driver driver;
    void (*on_completed)(void *context, uint64_t total); ///< as in iom_device_config; may be null
    /// A mark of the trace was reached; `text` may be null. May be null.
    void (*on_mark)(void *context, enum iom_trace_mark mark, const char *text, iom_cycle cycle);
    void *hook_context;
};

#define IOM_REPLAY_STATS(X)                                                                                  \
    X(counter, records, "records", "records of the trace carried out (before and during the run)")           \
    X(counter, attaches, "records", "attachments carried out")                                               \
    X(counter, detaches, "records", "detachments carried out")                                               \
    X(counter, maps, "records", "maps carried out")                                                          \
    X(counter, premaps, "records", "of these: synthetic maps, before the run")                               \
    X(counter, unmaps, "records", "unmaps carried out")                                                      \
    X(counter, marks, "records", "marks passed")                                                             \
    X(counter, bytes_mapped, "bytes", "bytes mapped")                                                        \
    X(counter, bytes_unmapped, "bytes", "bytes unmapped")                                                    \
    X(counter, remaps, "records",                                                                            \
      "maps of pages that were mapped (the trace does not unmap them); replaced")                            \
    X(counter, stray_unmaps, "records", "unmaps of pages that were not mapped")                              \
    X(counter, refused, "records", "attachments and maps the architecture cannot express")                   \
    X(counter, forced, "records", "records carried out before one of another operation they should follow")  \
    X(counter, stores, "accesses", "stores to translation tables")                                           \
    X(counter, register_writes, "accesses", "register writes, doorbells included")                           \
    X(counter, register_reads, "accesses", "register reads")                                                 \
    X(counter, submissions, "submissions", "batches of commands submitted, each with a wait")                \
    X(counter, commands, "commands", "commands submitted without waits")                                     \
    X(counter, queue_flushes_full, "flushes", "flushes because a flush queue was full")                      \
    X(counter, queue_flushes_timer, "flushes", "flushes by the timer")                                       \
    X(counter, queue_flushes_reuse, "flushes", "flushes because addresses were mapped again")                \
    X(counter, dma_reads, "requests", "DMA reads sent")                                                      \
    X(counter, dma_writes, "requests", "DMA writes sent")                                                    \
    X(counter, bytes_read, "bytes", "bytes of DMA reads sent")                                               \
    X(counter, bytes_written, "bytes", "bytes of DMA writes sent")                                           \
    X(counter, completed, "requests", "DMA requests that came back, whatever their result")                  \
    X(counter, faults, "requests", "requests that were refused")                                             \
    X(counter, recorded_faults, "requests", "requests the recorded IOMMU had refused")                       \
    X(counter, memory_errors, "requests", "requests whose address does not answer")                          \
    X(counter, operations, "operations", "operations begun")                                                 \
    X(counter, operations_done, "operations", "operations ended")                                            \
    X(maximum, most_operations, "operations", "most operations at once")                                     \
    X(maximum, most_outstanding, "requests", "most DMA requests in flight at once")                          \
    X(maximum, most_records_held, "records", "most records held in memory")                                  \
    X(histogram, latency, "cycles", "from sending a DMA request to its result")                              \
    X(histogram, operation_latency, "cycles", "from the begin of an operation to its end")                   \
    X(histogram, lateness, "cycles", "scaled time: from a DMA record's due time to its sending")

struct iom_replay_stats {
    IOM_REPLAY_STATS(IOM_STAT_MEMBER)
};

struct iom_replay; // opaque

/// Makes the unit. `reader` stands at the first record; it and `mapper` are borrowed and outlive the unit,
/// and are used by nobody else while it runs. Null when memory is out or the trace has no devices or more
/// than 253; `error` (may be null) then says which.
struct iom_replay *iom_replay_create(const struct iom_replay_config *config, struct iom_trace_reader *reader,
                                     struct iom_mapper *mapper, const char *name,
                                     struct iom_trace_error *error);
void iom_replay_destroy(struct iom_replay *replay);
struct iom_unit *iom_replay_unit(struct iom_replay *replay);
struct iom_port *iom_replay_memory_port(struct iom_replay *replay);
struct iom_port *iom_replay_mmio_port(struct iom_replay *replay);
/// Devices and their ports; index < count.
uint32_t iom_replay_device_count(const struct iom_replay *replay);
struct iom_port *iom_replay_device_port(struct iom_replay *replay, uint32_t index);

/// Carries out the attachments and synthetic maps at the start of the trace, into `image`, before the run.
/// False and `error` if the trace cannot be read or memory is out.
bool iom_replay_prepare(struct iom_replay *replay, struct iom_memory_image *image,
                        struct iom_trace_error *error);

/// As iom_device_start.
void iom_replay_start(struct iom_replay *replay, iom_cycle cycle);

/// Everything was replayed and nothing is in flight (or it gave up: see iom_replay_error).
bool iom_replay_finished(const struct iom_replay *replay);
/// Null, or why the replay gave up ("FILE: record N: ...").
const char *iom_replay_error(const struct iom_replay *replay);
const struct iom_replay_stats *iom_replay_stats_of(const struct iom_replay *replay);

#ifdef __cplusplus
}
#endif

#endif
