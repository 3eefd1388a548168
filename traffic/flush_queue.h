// SPDX-License-Identifier: Apache-2.0
//
// Flush policies: what an unmap costs in invalidations, and when.
//
//   strict    the pages are flushed before the unmap returns
//   per CPU   lazy: the unmapped range goes into the queue of the CPU; all of the domain is flushed
//             when that queue is full or the timer fires, and only then the address is released
//   single    lazy, one queue for all CPUs
//
// The queues hold no time and send nothing: the caller asks, flushes, and says when the flush is over
// (the host does it with threads and locks, a replay may do it otherwise). One structure per domain.
//
//   on unmap   iom_flush_queue_release; if iom_flush_queue_full: begin, flush the domain, end, release
//              again; then iom_flush_queue_add; if it says so, set the timer
//   timer      iom_flush_queue_timer; begin, flush the domain, end; release for every CPU
//
// A range is released by a flush that *began* after the range was added (counters, not time): as in Linux
// 6.12, drivers/iommu/dma-iommu.c, queue_iova and fq_ring_free.
#ifndef IOM_TRAFFIC_FLUSH_QUEUE_H
#define IOM_TRAFFIC_FLUSH_QUEUE_H

#include "core/base.h"
#include "core/software.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_flush_mode { IOM_FLUSH_STRICT, IOM_FLUSH_LAZY_PER_CPU, IOM_FLUSH_LAZY_SINGLE };

/// Device TLBs of a domain that is attached several times (devices, PASIDs).
enum iom_flush_devices {
    IOM_FLUSH_PER_ATTACHMENT, ///< one command per (device, PASID), for that PASID only
    IOM_FLUSH_SKIP_REPEATED,  ///< one for the whole device, unless the one before was for the same device
    IOM_FLUSH_DEDUPLICATED,   ///< one for the whole device per distinct device
};

struct iom_flush_policy {
    enum iom_flush_mode mode;
    enum iom_flush_devices devices;
    uint32_t entries;        ///< of a queue (one stays unused); 0 = 256, single: 32768; a power of two
    uint64_t timeout_cycles; ///< from the first range added to the timer's flush; 0 = no timer
    bool whole_domain;       ///< strict: flush the domain instead of the pages
    bool no_leaf_only;       ///< never say that only leaves have changed
};

// ---- ranges --------------------------------------------------------------------------------------------

/// The naturally aligned block that a page-selective invalidation of [iova, iova + bytes) must name:
/// the smallest 2^pages_log2 pages whose aligned block holds all of it (Linux calculate_psi_aligned_address).
/// pages_log2 is 52 for everything.
struct iom_flush_block {
    uint64_t iova;
    uint8_t pages_log2;
};
struct iom_flush_block iom_flush_block_of(uint64_t iova, uint64_t bytes);

// ---- commands of a domain ------------------------------------------------------------------------------

/// One attachment of a domain, in order of attaching.
struct iom_flush_attachment {
    uint32_t source;
    uint32_t pasid;      ///< IOM_NO_PASID: requests without PASID
    uint8_t queue_depth; ///< of the device TLB
    bool ats;            ///< has a device TLB
    bool used;           ///< entry is valid (arrays may have holes)
    uint32_t domain;
};

/// What is to be flushed.
struct iom_flush_request {
    const struct iom_flush_attachment *attachments; ///< of all domains
    uint32_t attachment_count;
    uint32_t domain;
    bool first_stage;       ///< IOTLB entries are tagged by PASID
    uint32_t default_pasid; ///< first_stage: PASID of requests without
    bool page_selective;    ///< the hardware has it
    uint8_t largest_pages_log2;
    uint32_t page_commands; ///< a longer range takes up to so many (0 = 1), else the whole domain goes
    enum iom_flush_devices devices;
    bool everything; ///< the whole domain
    bool leaf_only;
    bool no_iotlb, no_device; ///< leave these out (broken drivers, caching mode)
    bool device_first;        ///< wrong order
    uint64_t iova, bytes;     ///< unless everything
};

/// Walks through the commands of a request: IOTLB of each distinct tag, then device TLBs, as Linux'
/// cache_tag_flush_range. Zero it to start. False: no further one.
struct iom_flush_cursor {
    uint32_t phase, index;
    uint32_t block; ///< of a range that takes several commands: done
    uint32_t last_source;
    bool has_last;
};
bool iom_flush_next(const struct iom_flush_request *request, struct iom_flush_cursor *cursor,
                    struct iom_flush *flush);

// ---- queues --------------------------------------------------------------------------------------------

/// An unmapped range that waits for a flush.
struct iom_flush_entry {
    uint64_t iova, bytes;
    uint64_t cookie;   ///< caller's own
    iom_cycle added;   ///< caller's clock
    uint64_t sequence; ///< flushes begun when it was added
};

struct iom_flush_queue; // opaque

/// Null when memory is out or the number of entries is unusable. Not for IOM_FLUSH_STRICT.
struct iom_flush_queue *iom_flush_queue_create(const struct iom_flush_policy *policy, uint32_t cpus);
void iom_flush_queue_destroy(struct iom_flush_queue *queue);
/// Takes one range of the queue of `cpu` that a finished flush covers. False: none (any more).
bool iom_flush_queue_release(struct iom_flush_queue *queue, uint32_t cpu, struct iom_flush_entry *entry);
bool iom_flush_queue_full(const struct iom_flush_queue *queue, uint32_t cpu);
/// Adds a range; the queue must not be full. True: the timer is to be set to now + timeout.
bool iom_flush_queue_add(struct iom_flush_queue *queue, uint32_t cpu, const struct iom_flush_entry *entry);
/// The timer has fired.
void iom_flush_queue_timer(struct iom_flush_queue *queue);
/// A flush of the domain begins.
void iom_flush_queue_begin(struct iom_flush_queue *queue);
/// One ends (several may overlap). Returns its number for iom_flush_queue_covered: 0, 1, ... in order of
/// ending.
uint64_t iom_flush_queue_end(struct iom_flush_queue *queue);
/// The ranges that end number `flush` made releasable, without
/// taking them: the caller may tell others what is flushed before it is released. Zero `cursor` to start.
bool iom_flush_queue_covered(const struct iom_flush_queue *queue, uint64_t flush, uint64_t cursor[2],
                             const struct iom_flush_entry **entry);
/// Ranges held.
uint64_t iom_flush_queue_held(const struct iom_flush_queue *queue);
/// Queues: one per CPU, or one.
uint32_t iom_flush_queue_count(const struct iom_flush_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
