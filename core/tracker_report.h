// SPDX-License-Identifier: Apache-2.0
//
// What the hazard tracker (core/tracker.h) has found: statistics, and findings one by one. Every term is
// explained in docs/invalidation-model.md.
#ifndef IOM_CORE_TRACKER_REPORT_H
#define IOM_CORE_TRACKER_REPORT_H

#include "core/tracker.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_finding_kind {
    IOM_FINDING_WINDOW_USE,        ///< stale use before the change was reported
    IOM_FINDING_HAZARD,            ///< stale use after it
    IOM_FINDING_LATE_EFFECT,       ///< looked up in time, visible after it
    IOM_FINDING_MISSING,           ///< a change nobody invalidated
    IOM_FINDING_EXPOSURE,          ///< a stale use that reached a page with a new owner
    IOM_FINDING_LATENT,            ///< a stale entry left at the end
    IOM_FINDING_LOST_DIRTY,        ///< a write that did not set the dirty bit software had cleared
    IOM_FINDING_DUPLICATE,         ///< an invalidation that repeated earlier ones
    IOM_FINDING_NEEDLESS,          ///< an invalidation without purpose or effect
    IOM_FINDING_OVER_INVALIDATION, ///< an invalidation that removed entries that were good
    IOM_FINDING_KINDS,
};

enum iom_severity {
    IOM_SEVERITY_NOTE,    ///< legal; what it costs or risks
    IOM_SEVERITY_WARNING, ///< wrong, or risky, but no DMA has used it
    IOM_SEVERITY_HAZARD,  ///< a DMA went where it was no longer allowed to go: `run` exits with 1
};

/// One finding. Cycles are IOM_NEVER where the event has not taken place.
struct iom_finding {
    uint8_t kind;     ///< enum iom_finding_kind
    uint8_t severity; ///< enum iom_severity
    uint8_t iommu;    ///< instance
    uint8_t outcome;  ///< request: enum iom_outcome it got
    uint8_t fresh;    ///< request: enum iom_outcome the tables give now

    bool has_request; ///< the following seven are valid
    bool has_pasid;
    bool write;
    uint32_t source, pasid;
    uint32_t bytes;
    uint64_t iova;
    uint64_t request;      ///< its id
    uint64_t output;       ///< physical address it used
    uint64_t fresh_output; ///< with fresh == IOM_OUTCOME_ADDRESS: the address the tables give now
    iom_cycle looked_up, visible;

    uint32_t cache;     ///< enum iom_tracked_cache (+ index of the device TLB) that held it
    bool has_entry;     ///< `entry` is valid
    bool root_mismatch; ///< the entry was built from other tables than the request's context names
    struct iom_tag entry;

    bool has_source;     ///< the following two are valid
    uint64_t word;       ///< address of the first word that changed (see IOM_OPAQUE_SOURCE)
    uint64_t word_bytes; ///< from there on
    iom_cycle created, commanded, completed, reported;
    iom_cycle executed[IOM_TRACKED_DEVICE_TLB + 1u]; ///< per kind of cache, the last one
    uint64_t invalidation; ///< that covered it (id), or the one that the finding is about; 0 = none
    iom_cycle covered;     ///< a use: begin of the first invalidation of the very copy used, IOM_NEVER: none
    uint32_t owner;        ///< exposure: new owner of the page
    uint64_t entries;      ///< over-invalidation: good entries removed; missing: copies not invalidated
};

#define IOM_TRACKER_STATS(X)                                                                                 \
    X(counter, uses, "requests", "uses of translations checked")                                             \
    X(counter, suspects, "requests", "uses whose sources had changed, confirmed by an uncached walk")        \
    X(counter, stale_uses, "requests", "of these: the tables gave another result")                           \
    X(counter, window_uses, "requests", "stale uses before the change was reported complete")                \
    X(counter, hazards, "requests", "stale uses after it")                                                   \
    X(counter, late_effects, "requests", "DMA looked up in time that became visible after it")               \
    X(counter, exposures, "requests", "stale uses of pages that had a new owner")                            \
    X(counter, obligations, "changes", "changes of tables that caches held copies of")                       \
    X(counter, benign_changes, "changes", "of these: without effect on any copy")                            \
    X(counter, missing_invalidations, "changes", "changes never covered by an invalidation")                 \
    X(counter, latent_stale_entries, "entries", "stale entries left in caches at the end")                   \
    X(counter, lost_dirty, "requests", "writes that did not set a dirty bit software had cleared")           \
    X(counter, invalidations, "invalidations", "invalidations seen")                                         \
    X(counter, duplicates, "invalidations", "invalidations that repeated earlier ones")                      \
    X(counter, needless, "invalidations", "invalidations that paid for no change and removed nothing")       \
    X(counter, over_invalidations, "entries", "entries removed though their sources had not changed")        \
    X(counter, timed_out, "invalidations", "invalidations a device never answered")                          \
    X(counter, lost_provenance, "uses", "nodes that were gone when they were named")                         \
    X(histogram, window_length, "cycles", "from a change to its report")                                     \
    X(histogram, unprotected_time, "cycles", "from a change to the removal of its last copy")                \
    X(histogram, window_use_age, "cycles", "from a change to a stale use before its report")

struct iom_tracker_stats {
    IOM_TRACKER_STATS(IOM_STAT_MEMBER)
};

const struct iom_tracker_stats *iom_tracker_stats_of(const struct iom_tracker *tracker);
/// Group "tracker".
void iom_tracker_stat_block(struct iom_tracker *tracker, struct iom_stat_block *block);
void iom_tracker_reset_stats(struct iom_tracker *tracker);
/// Nodes and obligations in use now, to see that they stay bounded. (Not statistics: how long one outlives
/// its last use is the tracker's own affair.)
uint32_t iom_tracker_node_count(const struct iom_tracker *tracker);
uint32_t iom_tracker_open_obligations(const struct iom_tracker *tracker);

/// Findings kept, in order of time; the first findings_per_kind of each kind.
size_t iom_tracker_finding_count(const struct iom_tracker *tracker);
const struct iom_finding *iom_tracker_finding(const struct iom_tracker *tracker, size_t index);
/// All findings of a kind since creation, kept or not.
uint64_t iom_tracker_findings_of(const struct iom_tracker *tracker, enum iom_finding_kind kind);
/// All findings of IOM_SEVERITY_HAZARD: not 0 means that the run has failed.
uint64_t iom_tracker_hazard_count(const struct iom_tracker *tracker);

/// "hazard", "window use", ...
const char *iom_finding_kind_name(enum iom_finding_kind kind);
/// "iotlb", "device_tlb", ... of an enum iom_tracked_cache (device TLBs: without their index).
const char *iom_tracked_cache_name(uint32_t cache);
/// Writes a finding as one line (no newline, always terminated). Returns the length it would have, as
/// snprintf does.
int iom_finding_format(const struct iom_finding *finding, char *text, size_t text_bytes);

#ifdef __cplusplus
}
#endif

#endif
