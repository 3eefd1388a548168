// SPDX-License-Identifier: Apache-2.0
//
// The hazard tracker: an independent witness that knows from which words every cached translation came,
// and says when one is used after those words have changed. It never changes timing: every function
// may be called with tracker == NULL, and nothing flows back into a unit.
//
// Provenance travels with the data. A node (iom_node) stands for words read plus up to two parent
// nodes. Payloads of all caches carry the node they were built from (iom_context.node, iom_leaf.node,
// iom_psc_entry.node), so a request that uses an entry has its node in x.context.node or x.leaf.node.
//
//   memory unit    iom_tracker_read for every table read at acceptance (returns the node of what was
//                  read, child of access->node), iom_tracker_write before any change of contents,
//                  iom_tracker_visible when DMA is accepted
//   walker         keeps walk->node: the chain of everything read; joins it with the node of a
//                  paging-structure entry it starts from (iom_tracker_join)
//   stages,        iom_tracker_use when a request has its result (from an entry or a walk), with the
//   device TLBs    cache that served it; iom_tracker_dropped is told through the cache observers
//   fan-out        begin, executed and stopped (by each participant), ended of every invalidation
//   queue          completed: a wait has completed
//   driver         reported: the caller of an unmap was told that it is over; ownership of pages
//
// A payload's node is referenced by its cache entry only. A unit that keeps a copy of it beyond the cycle of
// its look-up or walk keeps a reference (iom_tracker_keep, iom_tracker_release). A node whose last reference
// is gone lives on until all fills recorded in that cycle have been applied, so a walk may be released in
// the cycle in which it fills a cache. An identifier that has outlived its node counts as 0 and is counted
// (statistic lost_provenance).
//
// x.leaf.node and x.context.node of a request must be 0 when an attempt begins: what they hold when it is
// decided is what it has used. A refused request has the node of what refused it in x.context.node.
//
// Order within a cycle: units are evaluated in an order that must not matter (unit rule 6). A mark counts
// for uses of later cycles; a suspect use is confirmed, by a pure walk, when the first call of a later
// cycle arrives, before anything changes. Both make the findings independent of the kernel.
//
// Definitions (stale, window, hazard, exposure, ...) are in docs/invalidation-model.md.
#ifndef IOM_CORE_TRACKER_H
#define IOM_CORE_TRACKER_H

#include "core/arch.h"
#include "core/dma.h"
#include "core/invalidation.h"
#include "core/memory_image.h"
#include "core/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_tracker; // opaque

/// Caches by which a use is attributed. Device TLB i of the system is IOM_TRACKED_DEVICE_TLB + i.
enum iom_tracked_cache {
    IOM_TRACKED_WALK,    ///< no entry: fresh from a walk
    IOM_TRACKED_CONTEXT, ///< decided by a context entry
    IOM_TRACKED_PASID,
    IOM_TRACKED_IOTLB,
    IOM_TRACKED_PSC,
    IOM_TRACKED_DEVICE_TLB,
};

/// Who changed memory.
enum iom_write_origin {
    IOM_WRITE_SOFTWARE, ///< driver, vectors
    IOM_WRITE_HARDWARE, ///< status words, fault and page-request records
    IOM_WRITE_DMA,      ///< a device
    IOM_WRITE_FLAGS,    ///< accessed and dirty bits set by a walk: makes nothing stale
};

/// Addresses from here on are opaque objects, not memory: mappings kept by a device (virtio), register
/// views. They are read and written like words; each identifier counts as 8 bytes (use multiples of 8).
#define IOM_OPAQUE_SOURCE (UINT64_C(1) << 63)
/// Register views: one for each IOMMU.
#define IOM_VIEW_SOURCE (IOM_OPAQUE_SOURCE | UINT64_C(1) << 62)

// ---- life --------------------------------------------------------------------------------------------

#define IOM_TRACKER_IOMMUS 8u ///< instances at most

struct iom_tracker_iommu {
    const struct iom_arch *arch; ///< null: a use counts as stale by its provenance alone
    struct iom_view view;        ///< register view at the start
    uint64_t leaf_attributes;    ///< bits of iom_leaf.attributes that belong to the outcome (memory type);
                                 ///< not accessed and dirty flags, nor rights that `permissions` show
};

struct iom_tracker_config {
    const struct iom_memory_image *image; ///< memory as hardware sees it; may be null (words never compare)
    struct iom_tracker_iommu iommu[IOM_TRACKER_IOMMUS];
    uint32_t iommus;            ///< used entries of `iommu`
    uint32_t findings_per_kind; ///< kept in full (all are counted), 0 = 64
    uint32_t obligations;       ///< most at a time; beyond, changes join the newest; 0 = 65536
};

/// `config` is copied, what it points to outlives the tracker. Null when memory is out. Caches that are
/// watched must not change any more once the tracker is destroyed.
struct iom_tracker *iom_tracker_create(const struct iom_tracker_config *config);
void iom_tracker_destroy(struct iom_tracker *tracker);
/// Cycle `now` is over, nothing more will happen in it: suspect uses up to it are confirmed. (Between two
/// runs of the kernel, to read what was found so far.)
void iom_tracker_settle(struct iom_tracker *tracker, iom_cycle now);
/// End of the run: settles what is pending, looks for missing invalidations and latent stale entries.
/// Call once, while the caches still exist. Results: core/tracker_report.h.
void iom_tracker_finish(struct iom_tracker *tracker, iom_cycle now);

// ---- memory unit -------------------------------------------------------------------------------------

/// `bytes` at `address` were read in `now` as a child of `parent` (0: none). Returns the new node, to which
/// the caller owns one reference (0 without a tracker). More than one line may be named: all words of a
/// contiguous group. Further sources of the same data are read as children of the first.
iom_node iom_tracker_read(struct iom_tracker *tracker, iom_cycle now, iom_node parent, uint64_t address,
                          unsigned bytes);
/// Contents of [address, address + bytes) are about to become `data` (null: something else than before) in
/// `now`. Words that keep their value are not changed. Call before the change.
void iom_tracker_write(struct iom_tracker *tracker, iom_cycle now, enum iom_write_origin origin,
                       uint64_t address, unsigned bytes, const void *data);
/// Non-coherent walkers: software has stored `data`, but not written it back yet: the tables as software sees
/// them have changed, memory has not. iom_tracker_write follows when the line reaches memory.
void iom_tracker_store(struct iom_tracker *tracker, iom_cycle now, uint64_t address, unsigned bytes,
                       const void *data);
/// A DMA became globally visible; ends the tracking of dma (releases its reference).
void iom_tracker_visible(struct iom_tracker *tracker, iom_cycle now, struct iom_dma *dma);

// ---- nodes -------------------------------------------------------------------------------------------

/// A node with two parents (either may be 0: then the other, with one more reference).
iom_node iom_tracker_join(struct iom_tracker *tracker, iom_node first, iom_node second);
void iom_tracker_keep(struct iom_tracker *tracker, iom_node node);
void iom_tracker_release(struct iom_tracker *tracker, iom_node node);

// ---- caches ------------------------------------------------------------------------------------------

/// Registers a cache whose payloads carry nodes; sets its observer, which counts references and latent
/// stale entries. `index`: which of the same kind (device TLB, paging-structure level). `iommu`: instance.
void iom_tracker_watch_cache(struct iom_tracker *tracker, struct iom_cache *cache,
                             enum iom_tracked_cache kind, uint32_t index, uint8_t iommu);
/// The register view of IOMMU `iommu` has changed (root pointer, enable): everything built on the old root
/// is marked. Called by the register unit when all units have acknowledged the view.
void iom_tracker_view(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu, const struct iom_view *view);
/// Node that stands for the current view of an IOMMU (parent of context walks). No reference is passed.
iom_node iom_tracker_root(struct iom_tracker *tracker, uint8_t iommu);

/// A request has its result in `now`; `cache` says what served it. Takes references (dma->used,
/// used_context) that end with iom_tracker_visible, or iom_tracker_answered for results that never reach
/// memory (faults, answers to translation requests). dma->used must be 0 before its first use; a translated
/// request is used twice, by the device TLB and by the IOMMU, which must keep the first.
void iom_tracker_use(struct iom_tracker *tracker, iom_cycle now, struct iom_dma *dma, uint32_t cache);
void iom_tracker_answered(struct iom_tracker *tracker, iom_cycle now, struct iom_dma *dma);

// ---- invalidations -----------------------------------------------------------------------------------

/// The fan-out begins `invalidation` (its id is set).
void iom_tracker_begin(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu,
                       const struct iom_invalidation *invalidation);
/// It is known in `now` that a participant has applied it at the end of `applied` (not later than `now`),
/// removing `removed` entries. `cache`: which.
void iom_tracker_executed(struct iom_tracker *tracker, iom_cycle now, iom_cycle applied, uint8_t iommu,
                          uint64_t id, uint32_t cache, uint32_t removed);
/// It has stopped so many walks or translation requests of a device under way: what they bring is dropped.
void iom_tracker_stopped(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu, uint64_t id,
                         uint32_t walks);
/// All participants have acknowledged (or, timed_out, a device never will).
void iom_tracker_ended(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu, uint64_t id,
                       bool timed_out);
/// A wait (sync, fence) has completed in `now`: everything that ended before is complete. Where no driver is
/// modelled this is also `reported`.
void iom_tracker_completed(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu);

// ---- driver ------------------------------------------------------------------------------------------

/// From now on obligations end only with iom_tracker_reported (a driver is modelled).
void iom_tracker_expect_driver(struct iom_tracker *tracker);
/// The driver has told its caller that [first, last] of `domain` of IOMMU `iommu` is gone (unmap returned;
/// under a lazy policy: the flush that releases the addresses returned). Addresses are those that devices
/// use, in nested translation those of the first stage. first = 0, last = UINT64_MAX: all of it, as after a
/// change of attachment, or of second-stage pages below a first stage. `stream` IOM_ANY_STREAM: any device of
/// the domain. The domain is the asid of tags and contexts where that is not 0, else their domain.
void iom_tracker_reported(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu, uint32_t domain,
                          uint32_t stream, uint64_t first, uint64_t last);
#define IOM_ANY_STREAM UINT32_MAX
/// Physical addresses [first, last] (inclusive, whole pages) now belong to `owner` (0: nobody, free).
void iom_tracker_owner(struct iom_tracker *tracker, iom_cycle now, uint64_t first, uint64_t last,
                       uint32_t owner);

#ifdef __cplusplus
}
#endif

#endif
