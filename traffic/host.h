// SPDX-License-Identifier: Apache-2.0
//
// The host: CPU threads, their locks and the operating system's IOMMU driver, in one unit.
//
//   port 0      "memory"  requester: struct iom_memory_access (table and descriptor stores, status words)
//   port 1      "mmio"    requester: struct iom_mmio to the register unit
//   port 2 + i  "dma"     requester: struct iom_dma of device i, to its device TLB, link or the IOMMU
//
// A thread carries out a program: an array of struct iom_host_op. Primitive operations (a store, a flush
// command, a lock, a DMA) let a scenario put any order together; calls (map, unmap, attach, ...) do what
// Linux' drivers do, in the order the specification asks for, unless `options` says otherwise.
//
// Timing (cycles of the unit's clock; costs are parameters):
//   operation    begins when the one before it is over; operations without a cost of their own take
//                op_cycles. All threads run in parallel; what happens in one cycle happens by thread index
//   stores       leave one per store_cycles and thread, in program order; posted (the thread goes on when
//                the last one has left), but a doorbell leaves when all earlier ones of its thread are
//                acknowledged: a processor makes stores visible before a later uncached write
//   non-coherent stores to tables stay in the processor's cache until written back, one line per
//                write_back_cycles; only then they leave. Descriptors are always coherent
//   locks        spin locks, first in first out by (cycle, thread); acquiring takes lock_cycles after the
//                lock has become free; waiting costs nothing else
//   submission   as Linux' qi_submit_sync: queue lock; place for the commands, a wait and one more; the
//                commands (descriptor_cycles each), a status word and the wait; doorbell; spin until the
//                status word shows the value, then free the slots; unlock. While it spins, the lock is given
//                up for relax_cycles after each look. With `check_errors` each look that finds nothing also
//                reads the error register (over "mmio", holding the lock) and handles what it shows.
//                Without, looks happen every relax_cycles after the doorbell, without the lock; of these
//                only the one that finds the value is an event
//   status word  the look in c sees what the memory unit has told by c (IOM_MEMORY_WATCH)
//
// Errors of the queue (Linux' qi_check_fault): a refused command at the head of this submission is
// overwritten by the wait, the error cleared, the submission fails. After a device's time-out the waits
// already fetched are aborted and their submissions repeated, unless the device that did not answer is
// gone (iom_host_device.removed): then the submission that saw it fails.
//
// Source: Linux 6.12, drivers/iommu/intel/{dmar.c,cache.c,pasid.c,iommu.c}, drivers/iommu/dma-iommu.c;
// VT-d Rev. 4.1, 6.5.2 and 6.5.3 (order of invalidations).
#ifndef IOM_TRAFFIC_HOST_H
#define IOM_TRAFFIC_HOST_H

#include "core/control.h"
#include "core/dma.h"
#include "core/memory.h"
#include "core/stats.h"
#include "core/tracker.h"
#include "core/unit.h"
#include "traffic/flush_queue.h"
#include "traffic/iova.h"
#include "traffic/mapper.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_host_port { IOM_HOST_PORT_MEMORY, IOM_HOST_PORT_MMIO, IOM_HOST_PORT_DMA };

// ---- programs ----------------------------------------------------------------------------------------

enum iom_host_op_kind {
    // Time and order
    IOM_HOST_DELAY,  ///< takes `cycles`
    IOM_HOST_UNTIL,  ///< goes on in tick `cycles` or later
    IOM_HOST_LOCK,   ///< takes lock number `object`
    IOM_HOST_UNLOCK, ///< gives it up
    IOM_HOST_SIGNAL, ///< raises event number `object` `count` times (0 = 1)
    /// Waits for event `object`: each thread counts for itself; its n-th await is over with the n-th signal.
    /// `count` as with SIGNAL.
    IOM_HOST_AWAIT,
    IOM_HOST_REPEAT, ///< carries out the operations up to the matching END `count` times
    IOM_HOST_END,
    IOM_HOST_MARK, ///< reported to the hook (IOM_HOST_REPORT_MARK), nothing else
    // Tables and memory; no invalidations
    IOM_HOST_TABLE_ATTACH, ///< (device, pasid) to `domain`
    IOM_HOST_TABLE_DETACH, ///< (device, pasid)
    IOM_HOST_TABLE_MAP,    ///< [iova, iova + bytes) of `domain` to `address`
    IOM_HOST_TABLE_UNMAP,
    IOM_HOST_STORE,      ///< `width` bytes of `value` at `address` (kept in the cache like a table store)
    IOM_HOST_WRITE_BACK, ///< lines of [address, address + bytes), bytes 0 = everything not yet written back
    IOM_HOST_FENCE,      ///< waits until all stores of this thread are acknowledged
    // Commands. Each thread has a batch of its own
    IOM_HOST_FLUSH,   ///< appends `flush` to the batch
    IOM_HOST_COMMAND, ///< appends `words` to the batch as they are
    /// Batch to the queue, doorbell, no wait command; goes on at once. Its slots are freed when a later SYNC
    /// or call completes: without one the queue fills.
    IOM_HOST_SUBMIT,
    IOM_HOST_SYNC,     ///< batch and a wait to the queue, doorbell, spin until complete
    IOM_HOST_REGISTER, ///< register write `mmio`, then reads until it shows what is polled for
    // Devices
    IOM_HOST_REQUEST,        ///< a DMA of `device`: iova, bytes (1 to 4096), flags, pasid; goes on at once
    IOM_HOST_AWAIT_REQUESTS, ///< waits for the answers to all DMA this thread has sent
    IOM_HOST_REMOVE,         ///< the device is gone (iom_host_device.removed)
    // Calls of the driver
    IOM_HOST_MAP, ///< maps bytes at iova (slot: from the allocator) to `address`; caching mode: flush
    /// Unmaps under the domain's policy; strict: back when flushed, lazy: back when queued.
    IOM_HOST_UNMAP,
    /// Maps `count` segments of `bytes` each, at iova + i * bytes, to address + i * address_step (0 = bytes),
    /// with one flush for all (caching mode); option SYNC_EACH: one for each.
    IOM_HOST_SG_MAP,
    IOM_HOST_ATTACH,       ///< requests without PASID of `device` to `domain`
    IOM_HOST_DETACH,       ///< and back to blocked
    IOM_HOST_PASID_ATTACH, ///< (device, pasid) to `domain`
    IOM_HOST_PASID_DETACH,
    /// The present context entry of `device` changes. Without PASID tables: from its domain to `domain`.
    /// With them: `width` bytes at `address` become `value` (0: tables stay), and each PASID found is
    /// flushed.
    IOM_HOST_CONTEXT_CHANGE,
    IOM_HOST_FLUSH_ALL, ///< everything of `domain`, as a flush queue does (flush_iotlb_all)
    IOM_HOST_OP_KINDS,
};

/// How a call departs from the right way (bit mask), and choices between right ways.
enum iom_host_option {
    // Omissions
    IOM_HOST_NO_CONTEXT_FLUSH = 1u << 0,
    IOM_HOST_NO_PASID_FLUSH = 1u << 1,
    IOM_HOST_NO_IOTLB_FLUSH = 1u << 2,
    IOM_HOST_NO_DEVICE_FLUSH = 1u << 3,
    IOM_HOST_NO_WRITE_BACK = 1u << 4,
    IOM_HOST_NO_WAIT = 1u << 5, ///< returns when submitted
    // Wrong orders
    IOM_HOST_FLUSH_FIRST = 1u << 6,     ///< flushes before the tables are changed
    IOM_HOST_IOTLB_FIRST = 1u << 7,     ///< IOTLB before context and PASID cache
    IOM_HOST_DEVICE_FIRST = 1u << 8,    ///< device TLB before IOTLB
    IOM_HOST_LATE_DOMAIN = 1u << 9,     ///< reads the domain from the entry after it was cleared: 0
    IOM_HOST_GARBAGE_DOMAIN = 1u << 10, ///< context flush names `value` as domain
    IOM_HOST_SCAN_FIRST = 1u << 11,     ///< CONTEXT_CHANGE: looks for PASIDs before the context flush
    // Choices
    IOM_HOST_NO_SCAN = 1u << 12,          ///< CONTEXT_CHANGE: PASIDs are known to be gone
    IOM_HOST_DISTINCT_DOMAINS = 1u << 13, ///< CONTEXT_CHANGE: each domain found is flushed once
    IOM_HOST_ONE_SUBMISSION = 1u << 14,   ///< commands of the call go in one submission, with one wait
    IOM_HOST_LOCKED = 1u << 15,           ///< holds lock `object` for the whole call
    IOM_HOST_LOCKED_CHANGE = 1u << 16,    ///< holds lock `object` for the table change and the scan only
    IOM_HOST_SYNC_EACH = 1u << 17,        ///< SG_MAP: a flush for each segment
    IOM_HOST_WHOLE_DOMAIN = 1u << 18,     ///< UNMAP: flushes the domain, not the pages
    IOM_HOST_LEAF_ONLY = 1u << 19,        ///< UNMAP: commands say that only leaves changed, even if not
    IOM_HOST_PRUNE = 1u << 20,            ///< UNMAP: tables that become empty are unlinked
    IOM_HOST_TWICE_DEVICE = 1u << 21,     ///< device TLBs are flushed twice (remedy of scenario F1)
    // SYNC
    IOM_HOST_SYNC_FENCE = 1u << 22,         ///< the wait holds back later commands
    IOM_HOST_SYNC_PAGE_REQUESTS = 1u << 23, ///< the wait drains page requests
    // Tables
    IOM_HOST_WAIT_STORES = 1u << 24, ///< goes on when its stores are acknowledged, not when they have left
};

#define IOM_HOST_NO_SLOT UINT32_MAX
#define IOM_HOST_LOOP_DEPTH 4u

/// One operation. Fields a kind does not name are ignored. Start from iom_host_op_init. Inside REPEAT blocks
/// `iova`, `address` and `slot` advance by their steps with each round of the innermost block.
struct iom_host_op {
    enum iom_host_op_kind kind;
    uint32_t options; ///< enum iom_host_option
    uint32_t device;  ///< index into iom_host_config.devices
    uint32_t domain;  ///< identifier, as in iom_host_config.domains
    uint32_t pasid;   ///< IOM_NO_PASID: without
    uint32_t object;  ///< lock or event
    uint32_t count;
    uint32_t slot; ///< variable that holds an allocated range; MAP, SG_MAP: allocates and sets it;
                   ///< TABLE_*, UNMAP, REQUEST: `iova` is an offset into it. IOM_HOST_NO_SLOT: none
    uint32_t slot_step;
    uint64_t iova, iova_step;
    uint64_t address, address_step;
    uint64_t bytes; ///< UNMAP of a slot: 0 = all of it
    uint64_t cycles;
    uint64_t value;
    uint8_t width;       ///< STORE: 1, 2, 4, 8
    uint8_t permissions; ///< maps: IOM_PERM_READ, IOM_PERM_WRITE, IOM_PERM_EXEC
    uint8_t page_log2;   ///< maps: largest page, 0 = the mapper's choice
    uint16_t flags;      ///< REQUEST: enum iom_request_flag (PASID and POSTED are set here as needed)
    uint32_t owner;      ///< maps: who owns the pages (hazard tracker), 0 = the domain
    uint32_t tag;        ///< the caller's own, in every report
    struct iom_flush flush;
    struct iom_register_write mmio;
    uint64_t words[IOM_COMMAND_WORDS];
};

/// An operation with the usual defaults: no PASID, no slot, read and write permission.
void iom_host_op_init(struct iom_host_op *op, enum iom_host_op_kind kind);

// ---- configuration -----------------------------------------------------------------------------------

/// Costs in cycles of the unit's clock. 0 is allowed everywhere (store_cycles, relax_cycles: 0 = 1).
struct iom_host_costs {
    uint32_t op_cycles;         ///< of an operation that has no cost of its own
    uint32_t map_cycles;        ///< of a map call before its first store (SG_MAP: once)
    uint32_t unmap_cycles;      ///< likewise
    uint32_t attach_cycles;     ///< attach, detach, context change
    uint32_t return_cycles;     ///< of any call after its last step
    uint32_t store_cycles;      ///< between two stores of a thread
    uint32_t write_back_cycles; ///< per cache line
    uint32_t descriptor_cycles; ///< per command put into the queue
    uint32_t doorbell_cycles;   ///< of the doorbell write to the thread; its way is the port's latency
    uint32_t relax_cycles;      ///< between two looks at a status word or register
    uint32_t lock_cycles;       ///< of acquiring a lock
    uint32_t iova_cycles;       ///< of an allocation or release of addresses
    uint32_t enqueue_cycles;    ///< of putting an unmapped range into a flush queue
    uint32_t scan_cycles;       ///< CONTEXT_CHANGE: per slot of the PASID table looked at
};

struct iom_host_device {
    uint32_t source;     ///< requester id
    bool ats;            ///< has a device TLB
    uint8_t queue_depth; ///< of its device TLB invalidations, 0 = 32
    bool removed;        ///< not there any more: time-outs are not retried
};

struct iom_host_domain {
    uint32_t id;                             ///< domain identifier of the tables
    bool first_stage;                        ///< flushed by PASID (first-stage tables), else by domain
    struct iom_flush_policy policy;          ///< traffic/flush_queue.h
    const struct iom_iova_config *addresses; ///< allocator of its own (copied), or null: no slots with it
};

struct iom_host_program {
    const struct iom_host_op *ops; ///< borrowed; outlives the unit
    uint32_t count;
    uint32_t cpu;     ///< whose flush queue and magazines the thread uses
    iom_cycle start;  ///< tick in which it begins (or when bring-up is over, if that is later)
    const char *name; ///< for reports, borrowed; may be null
};

/// What is told to the hook.
enum iom_host_report_kind {
    IOM_HOST_REPORT_MARK,    ///< a MARK was reached
    IOM_HOST_REPORT_CALL,    ///< a call of the driver has returned
    IOM_HOST_REPORT_SYNC,    ///< a SYNC or REGISTER has ended
    IOM_HOST_REPORT_REQUEST, ///< a DMA has been answered
    IOM_HOST_REPORT_FLUSH,   ///< a flush of a flush queue has returned
};

enum iom_host_result {
    IOM_HOST_OK,
    IOM_HOST_REFUSED,    ///< tables or commands cannot express it, or nothing is there; see docs of the call
    IOM_HOST_NO_ADDRESS, ///< allocator is exhausted
    IOM_HOST_INVALID,    ///< the queue refused a command
    IOM_HOST_TIMEOUT,    ///< a device that is gone did not answer
};

/// Where the time of a call goes. The parts add up to its length exactly.
enum iom_host_part {
    IOM_HOST_PART_CALL,    ///< the driver's own cycles, allocator, flush queue
    IOM_HOST_PART_TABLE,   ///< table stores and write-back
    IOM_HOST_PART_LOCK,    ///< waiting for and acquiring locks
    IOM_HOST_PART_SUBMIT,  ///< place in the queue, descriptors, until the doorbell has left
    IOM_HOST_PART_EXECUTE, ///< from the doorbell until memory holds the status (fetch and execution)
    IOM_HOST_PART_STATUS,  ///< until the status is visible to the thread
    IOM_HOST_PART_POLL,    ///< until the thread looks
    IOM_HOST_PARTS,
};

struct iom_host_report {
    enum iom_host_report_kind kind;
    uint32_t thread;                ///< number of threads = the flush timer
    uint32_t op;                    ///< index in its program
    uint32_t round;                 ///< of the innermost REPEAT block, from 0
    const struct iom_host_op *what; ///< null for the flush timer
    iom_cycle begun, ended;         ///< REQUEST: sent, answered
    enum iom_host_result result;
    uint64_t iova;        ///< effective address (slots and steps resolved)
    uint32_t submissions; ///< CALL, SYNC, FLUSH: submissions made
    uint32_t commands;    ///< commands in them without waits
    iom_cycle part[IOM_HOST_PARTS];
    const struct iom_dma *dma; ///< REQUEST: the answer, else null
};

struct iom_host_config {
    const struct iom_host_device *devices; ///< copied
    uint32_t device_count;                 ///< up to 200
    const struct iom_host_domain *domains; ///< copied
    uint32_t domain_count;
    const struct iom_host_program *programs; ///< copied (not their operations)
    uint32_t program_count;                  ///< = threads
    const char *const *locks;                ///< names of locks 0, 1, ... (copied); null = numbered
    uint32_t lock_count, event_count, slot_count;
    uint32_t cpus;        ///< 0 = highest cpu of a program + 1
    uint32_t attachments; ///< most at once, 0 = 1024
    struct iom_host_costs costs;

    uint8_t queue_log2;     ///< size of the command queue in bytes, 0 = 12 (4 KiB); taken from the mapper
    bool check_errors;      ///< look at the error register while spinning
    uint32_t batch;         ///< commands per submission at most, 0 = 16; longer batches are split
    bool coherent;          ///< the walker snoops processor caches
    bool caching_mode;      ///< map and attach flush too; detaching spares device TLBs (VT-d: CAP.CM)
    bool pasid_tables;      ///< requests without PASID are decided by a PASID entry (VT-d: scalable mode)
    uint32_t default_pasid; ///< pasid_tables: entry of requests without PASID (VT-d: RID_PASID)
    uint32_t pasid_slots;   ///< slots a scan looks at per device, 0 = 2^20

    bool bring_up;               ///< program the registers first (port "mmio" must be bound)
    iom_cycle start;             ///< first tick of activity
    uint8_t iommu;               ///< instance, for the tracker
    struct iom_tracker *tracker; ///< may be null
    /// Called while the unit is evaluated; may note things, nothing else. May be null.
    void (*on_report)(void *context, const struct iom_host_report *report);
    void (*on_ready)(void *context, iom_cycle cycle); ///< bring-up is over; may be null
    void *hook_context;
};

// ---- statistics --------------------------------------------------------------------------------------

#define IOM_HOST_STATS(X)                                                                                    \
    X(counter, operations, "operations", "operations of programs carried out")                               \
    X(counter, stores, "accesses", "stores to tables and memory")                                            \
    X(counter, write_backs, "lines", "cache lines written back for a walker that does not snoop")            \
    X(counter, register_writes, "accesses", "register writes, doorbells included")                           \
    X(counter, register_reads, "accesses", "register reads")                                                 \
    X(counter, submissions, "submissions", "batches of commands submitted")                                  \
    X(counter, commands, "commands", "commands submitted without waits")                                     \
    X(counter, waits, "commands", "wait commands submitted")                                                 \
    X(counter, queue_full, "submissions", "submissions that waited for place in the queue")                  \
    X(counter, invalid, "submissions", "submissions that failed because a command was refused")              \
    X(counter, timeouts, "timeouts", "device time-outs seen and cleared")                                    \
    X(counter, retries, "submissions", "submissions repeated after a time-out")                              \
    X(counter, queue_flushes_full, "flushes", "flushes because a flush queue was full")                      \
    X(counter, queue_flushes_timer, "flushes", "flushes by the timer")                                       \
    X(counter, queued, "ranges", "unmapped ranges put into flush queues")                                    \
    X(counter, released, "ranges", "of these: released after a flush")                                       \
    X(counter, requests, "requests", "DMA requests sent")                                                    \
    X(counter, faults, "requests", "DMA requests that were refused")                                         \
    X(counter, refused, "calls", "calls that failed")                                                        \
    X(histogram, submission_time, "cycles", "from the begin of a submission with wait to its end")           \
    X(histogram, held_back, "cycles", "from putting a range into a flush queue to its release")

struct iom_host_stats {
    IOM_HOST_STATS(IOM_STAT_MEMBER)
};

/// Per kind of call (map, unmap, ...), statistics group "host_unmap" and so on. The flush timer is a kind.
#define IOM_HOST_CALL_STATS(X)                                                                               \
    X(counter, submissions, "submissions", "batches of commands submitted")                                  \
    X(counter, commands, "commands", "commands submitted without waits")                                     \
    X(histogram, time, "cycles", "from the call to its return")                                              \
    X(histogram, call, "cycles", "the driver's own work")                                                    \
    X(histogram, table, "cycles", "table stores and write-back")                                             \
    X(histogram, lock, "cycles", "waiting for and acquiring locks")                                          \
    X(histogram, submit, "cycles", "putting commands into the queue, until the doorbell has left")           \
    X(histogram, execute, "cycles", "from the doorbell until memory holds the status")                       \
    X(histogram, status, "cycles", "until the status is visible to the processor")                           \
    X(histogram, poll, "cycles", "until the thread looks")

struct iom_host_call_stats {
    IOM_HOST_CALL_STATS(IOM_STAT_MEMBER)
};

/// Adds the parts (IOM_HOST_PARTS, indexed by enum iom_host_part) of a call that is over.
void iom_host_call_stats_add(struct iom_host_call_stats *stats, const iom_cycle *part);

/// Per lock, statistics group "lock_NAME"; the queue's lock is "lock_queue".
#define IOM_HOST_LOCK_STATS(X)                                                                               \
    X(counter, acquired, "times", "times the lock was taken")                                                \
    X(counter, contended, "times", "of these: after waiting")                                                \
    X(maximum, most_waiting, "threads", "most threads waiting at once")                                      \
    X(histogram, wait, "cycles", "from asking for the lock until holding it")                                \
    X(histogram, hold, "cycles", "from holding it until giving it up")

struct iom_host_lock_stats {
    IOM_HOST_LOCK_STATS(IOM_STAT_MEMBER)
};

// ---- life --------------------------------------------------------------------------------------------

struct iom_host; // opaque

/// Makes the unit. `mapper` is borrowed; nobody else may use it while the unit runs. The queue's memory is
/// taken from the mapper. Null when memory is out or something is wrong: *error (may be null) then says what
/// (program, operation, remedy); the text belongs to the caller's buffer of `error_bytes`.
struct iom_host *iom_host_create(const struct iom_host_config *config, struct iom_mapper *mapper,
                                 const char *name, char *error, size_t error_bytes);
void iom_host_destroy(struct iom_host *host);
struct iom_unit *iom_host_unit(struct iom_host *host);
/// IOM_HOST_PORT_MEMORY, IOM_HOST_PORT_MMIO, IOM_HOST_PORT_DMA + index of a device.
struct iom_port *iom_host_port(struct iom_host *host, uint32_t port);

/// Attach and map functionally, into `image`, before the run.
enum iom_mapper_result iom_host_prepare_attach(struct iom_host *host, struct iom_memory_image *image,
                                               uint32_t device, uint32_t pasid, uint32_t domain);
enum iom_mapper_result iom_host_prepare_map(struct iom_host *host, struct iom_memory_image *image,
                                            uint32_t domain, uint64_t iova, uint64_t address, uint64_t bytes,
                                            uint8_t permissions, uint8_t page_log2);

/// Bring-up is over.
bool iom_host_ready(const struct iom_host *host);
/// All programs are over and nothing is in flight. Flush queues may still hold ranges (their timer runs on;
/// iom_host_pending).
bool iom_host_finished(const struct iom_host *host);
/// Ranges in flush queues.
uint64_t iom_host_pending(const struct iom_host *host);
/// Null, or why the host gave up (a register never showed its bit, memory out, ...).
const char *iom_host_error(const struct iom_host *host);
const struct iom_host_stats *iom_host_stats_of(const struct iom_host *host);
/// Statistics of one kind of call (IOM_HOST_MAP .. IOM_HOST_FLUSH_ALL), IOM_HOST_OP_KINDS: the flush timer.
const struct iom_host_call_stats *iom_host_call_stats_of(const struct iom_host *host, uint32_t kind);
/// Lock `index` < lock_count; lock_count: the command queue's; then one per flush queue, in order of domains
/// and CPUs (statistics groups "lock_flush_DOMAIN_CPU").
const struct iom_host_lock_stats *iom_host_lock_stats_of(const struct iom_host *host, uint32_t index);

#ifdef __cplusplus
}
#endif

#endif
