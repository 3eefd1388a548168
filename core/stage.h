// SPDX-License-Identifier: Apache-2.0
//
// The look-up stage: the unit a DMA passes to be translated.
//
// A stage owns any of the three look-ups (context cache, PASID cache, IOTLB) and calls those caches
// as functions, one after the other, in the cycle in which it takes a request up; their latencies add
// up in the arrival cycle of the result. With all three it is the fused look-up stage. With one each,
// connected through `next`, the stages are a pipeline of units of their own. Either way the code is
// the same: a stage takes the look-ups it owns and passes the request on for the others.
//
//     in0..inN ──> arbitration ──> look-ups owned here ──> next stage          (response: back up)
//                       ^               │ miss                 or, at the front:
//                    replays            v                 order ──> memory      (response: to the device)
//                       └── miss table ──> walk port
//
// The front stage also lets requests enter (arch->enter), keeps PCIe order, sends the translated DMA
// to memory and reports faults to the register unit.
//
// Timing of a request taken up in cycle c (arrived, budget left, not stalled):
//   result known at c + latency + sum of the latencies of the look-ups taken
//   a miss leaves for the walker at that time; the walk's response arriving in cycle f is filled in f
//   (hits from f + 1), its requests go on in f with what remains to be looked up; the latency of the stage
//   itself is not spent again. With replay_after_fill they look up again, from f + 1 on (not the one that
//   walked, if the fill does not serve it: it takes the result). Requests that go on or look up again are
//   taken up before those of the inputs and count against lookups_per_cycle
//   a request that finds the miss table full, or an entry that takes no more, waits in its input (which is
//   tried again when a walk is over), the slot of the input is free once its request has been taken up. While
//   one that looks up again waits for a place in the miss table no input gets one
//
// Control messages:
//   VIEW        takes effect at the end of the cycle of its arrival, in which it is acknowledged
//   INVALIDATE  one at a time, in the order of arrival. Begun in c, all its targets drop their entries at the
//               end of c + cost - 1, cost being that of the slowest cache of the IOMMU that it reaches
//               (core/invalidate_cost.h), and it is acknowledged in that cycle with the number of entries
//               removed here. Until then entries hit; but while a cache of this stage that is `blocking` is
//               worked on, the stage takes nothing up. The next one begins in the cycle behind
//   DRAIN       (front) see below
//
// What an invalidation does to requests under way (off without squash_walks):
//   walks       an entry of the miss table that it covers is poisoned: its fill is dropped, its requests
//               start over. If tables on the way to pages were changed too (paging-structure caches are among
//               the targets) this goes by the tags whatever the address, else by the page that the walk
//               brings
//   contexts    a request that carries what a context or PASID look-up resolved, from one stage to the next
//               or waiting inside, starts over if an invalidation of those, or a new view, has been applied
//               since its first look-up: a stage behind the front hands it back (IOM_OUTCOME_RETRY)
// A request that starts over looks up afresh. While there is one that has done so IOM_STAGE_PATIENCE times,
// the front acknowledges no invalidation and begins none, so that at most one more can be applied before the
// request is through.
//
// Drain: every request belongs to the epoch that was open when the front took it from its input. A DRAIN
// closes the epoch at the end of the cycle of its arrival, and is acknowledged in the first cycle (that one,
// if there is nothing to wait for) in which no request of a closed epoch up to its own is outstanding, of
// those kinds it asks for: writes, and reads (among them translation requests). Translated requests that wait
// in an input then belong to the closed epoch too, since they use entries of a device TLB. A request is
// outstanding until the front has its answer from memory, or has answered it without memory; it is globally
// visible a little before that, when memory accepts it, so a drain errs on the safe side by the way back.
// At most IOM_STAGE_EPOCHS - 1 epochs are closed at once; a further DRAIN waits for the oldest one.
// Page requests are a kind of their own; also those that wait in an input belong to the closed epoch. When
// the last one has its result, a DRAIN that asks for them goes the same way behind their reports
// (`fault`), and is acknowledged in the cycle in which it comes back: what came before it is in memory then.
//
// Reports (front): a refused request, if its fault is to be recorded or it is a page request, and an accepted
// page request leave for the register unit in the cycle in which the request is answered. Without a credit of
// the register unit the request waits, and the pipeline stands. A page request is answered when it has been
// reported: its message has been delivered.
//
// Events for performance counters, only those that the register view asks for: a request at its first look-up
// and each look-up of a translation that misses in the cycle in which it is taken up; a walk for a context or
// PASID entry when it starts; what a walk has to say (walk->monitored) when it is over. They leave in that
// cycle.
#ifndef IOM_CORE_STAGE_H
#define IOM_CORE_STAGE_H

#include "core/arbiter.h"
#include "core/arch.h"
#include "core/cache.h"
#include "core/dma.h"
#include "core/invalidate_cost.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

/// One look-up owned by a stage.
struct iom_lookup_config {
    bool owned;                    ///< this stage takes the look-up
    struct iom_cache_config cache; ///< entries 0: always a walk
    uint64_t latency_cycles;
    struct iom_invalidate_cost invalidate; ///< what an invalidation costs
    /// Broken hardware for tests of the hazard tracker (docs/invalidation-model.md):
    bool quirk_inner_address_misses; ///< a page-selective invalidation drops only entries that begin in its
                                     ///< range
    bool quirk_first_set_only;       ///< an invalidation reaches set 0 only
};

/// Serial look-up: one request in service at a time, for an AXI port (core/axi_port.h) in front of it.
///
///   look-up    the request is looked up in the cycle of its arrival, in all caches at once (no latencies),
///              and again in each cycle behind a change of what it sees, until it is answered: a translation
///              in the cycle of the look-ups, a fault of a walk in the cycle in which the walk ends
///   walks      one for contexts and one for pages may be under way; a look-up that misses starts the walk of
///              its kind in the same cycle unless its walker is busy. When it ends, its fill is hit by the
///              look-ups of the cycle behind; the walk's own result is not used (but for faults, and what may
///              not be cached)
///   service    ends in the cycle of the release (struct iom_axi_release)
struct iom_serial_config {
    bool enabled; ///< needs `front` and all three look-ups
    /// Deviations seen in hardware (docs/timing.md):
    bool quirk_walks_on_edge; ///< a walk starts only when something begins to be missing (contexts, pages);
                              ///< if the walker is busy then, it never does
    bool quirk_walks_when_answered;  ///< look-ups go on until the release and start walks; what those refuse
                                     ///< is charged to whoever is in service when they end
    bool quirk_address_at_handshake; ///< the address handed over is what the look-ups of the cycle behind the
                                     ///< answer give: 0 if what has served the request is gone by then
    bool quirk_live_context; ///< a page walk goes by what the look-ups of each cycle see of its context, and
                             ///< by none at all where that is missing
    bool quirk_full_queue_loses_record; ///< a fault that finds no slot for its report waits for one and goes
                                        ///< on without a record
    bool quirk_invalidation_drops_fill; ///< an invalidation drops a fill of its cycle whatever it covers
};

struct iom_tracker;

/// Drain epochs: the open one and those that are closed and not empty.
#define IOM_STAGE_EPOCHS 64u
/// Times a request may start over because of invalidations before it keeps the next one waiting.
#define IOM_STAGE_PATIENCE 4u

struct iom_stage_config {
    const struct iom_arch *arch;
    struct iom_view view; ///< register view at cycle 0
    bool front;           ///< first stage: entry, order, exit to memory, fault reports
    bool pcie_ordering;   ///< front: keep posted writes in order per requester
    uint32_t inputs;      ///< input ports
    enum iom_arbitration arbitration;
    uint32_t lookups_per_cycle; ///< requests taken up per cycle
    uint64_t latency_cycles;    ///< pipeline of the stage itself
    struct iom_lookup_config lookup[IOM_LOOKUP_COUNT];
    uint32_t miss_entries;     ///< walks under way at most
    uint32_t merges_per_entry; ///< requests that may join one walk
    bool hit_under_miss;       ///< off: nothing is taken up while a walk is under way
    bool replay_after_fill;    ///< requests look up again after a fill instead of taking its result
    struct iom_serial_config serial;
    bool squash_walks; ///< an invalidation poisons walks under way (off: hardware that does not)
    uint64_t seed;     ///< of random replacement
    /// Caches of the whole IOMMU; null: those of this stage alone (core/invalidate_cost.h). Copied.
    const struct iom_invalidate_plan *plan;
    struct iom_tracker *tracker; ///< may be null
};

/// Ports; the inputs in0..inN-1 follow.
enum iom_stage_port {
    IOM_STAGE_NEXT,    ///< requester: following stage
    IOM_STAGE_WALK,    ///< requester: walker pool
    IOM_STAGE_MEMORY,  ///< requester: translated DMA (front)
    IOM_STAGE_FAULT,   ///< requester: reports of faults and page requests, drains behind them (front)
    IOM_STAGE_CONTROL, ///< responder: register view changes and invalidations
    IOM_STAGE_MONITOR, ///< requester, one way: events for performance counters; may stay unbound
    IOM_STAGE_PORTS,
};

#define IOM_STAGE_STATS(X)                                                                                   \
    X(counter, requests, "requests", "requests taken up")                                                    \
    X(counter, reads, "requests", "untranslated and translated reads")                                       \
    X(counter, writes, "requests", "untranslated and translated writes")                                     \
    X(counter, translation_requests, "requests", "ATS translation requests")                                 \
    X(counter, translated_requests, "requests", "ATS translated requests")                                   \
    X(counter, bytes, "bytes", "bytes asked for by reads and writes")                                        \
    X(counter, translated, "requests", "results: translated")                                                \
    X(counter, bypassed, "requests", "results: passed through untranslated")                                 \
    X(counter, interrupts, "requests", "results: writes to the interrupt window")                            \
    X(counter, denied, "requests", "results: translation requests answered without permission")              \
    X(counter, page_requests, "requests", "page requests accepted")                                          \
    X(counter, faults, "requests", "results: refused")                                                       \
    X(counter, fault_reports, "faults", "refusals sent to the fault records")                                \
    X(counter, report_waits, "requests", "requests that waited for a place in the queue of reports")         \
    X(counter, walked, "requests", "requests that waited for at least one walk")                             \
    X(counter, stalls, "stalls", "times a request found the miss table full and had to wait")                \
    X(counter, replays, "requests", "times a request came back from a walk to look up more, or again")       \
    X(counter, restarts, "requests", "times a request started over because of an invalidation or race")      \
    X(counter, order_waits, "requests", "requests held back by PCIe ordering")                               \
    X(counter, exit_waits, "requests", "requests that waited for a credit of the next unit")                 \
    X(counter, invalidations, "invalidations", "invalidations that reached a cache of this stage")           \
    X(counter, invalidate_cycles, "cycles", "cycles they took, from begin to application")                   \
    X(counter, blocked_cycles, "cycles", "of these: cycles in which look-ups had to wait (blocking caches)") \
    X(counter, drains, "drains", "drains acknowledged")                                                      \
    X(maximum, most_walks, "walks", "most walks under way at once")                                          \
    X(counter, queueing_cycles, "cycles", "latency part: waiting")                                           \
    X(counter, lookup_cycles, "cycles", "latency part: front end and IOTLB look-ups")                        \
    X(counter, context_cycles, "cycles", "latency part: context look-ups and fetches")                       \
    X(counter, pasid_cycles, "cycles", "latency part: PASID look-ups and fetches")                           \
    X(counter, walk_cycles, "cycles", "latency part: page-walk steps")                                       \
    X(counter, memory_cycles, "cycles", "latency part: table reads of page walks")                           \
    X(histogram, latency, "cycles", "arrival at the IOMMU to translated and released")                       \
    X(histogram, hit_latency, "cycles", "the same, requests that needed no walk")                            \
    X(histogram, miss_latency, "cycles", "the same, requests that waited for a walk")

struct iom_stage_stats {
    IOM_STAGE_STATS(IOM_STAT_MEMBER)
};

#define IOM_LOOKUP_STATS(X)                                                                                  \
    X(counter, lookups, "lookups", "look-ups")                                                               \
    X(counter, hits, "lookups", "look-ups served by an entry")                                               \
    X(counter, misses, "lookups", "look-ups that started a walk")                                            \
    X(counter, merged, "lookups", "look-ups that joined a walk under way")                                   \
    X(counter, insufficient, "lookups", "look-ups that found an entry which could not serve them")           \
    X(counter, fills, "entries", "entries written")                                                          \
    X(counter, evictions, "entries", "valid entries displaced by a fill")                                    \
    X(counter, invalidated, "entries", "entries removed by invalidations")                                   \
    X(counter, squashed, "walks", "walks under way poisoned by an invalidation")

struct iom_lookup_stats {
    IOM_LOOKUP_STATS(IOM_STAT_MEMBER)
};

/// Told of every invalidation that the stage has applied at the end of `now`.
struct iom_stage_observer {
    void *context;
    void (*invalidated)(void *context, iom_cycle now, const struct iom_invalidation *invalidation);
};

struct iom_stage; // opaque

/// Null when memory is out or a cache configuration is unusable (iom_cache_config_error says why).
struct iom_stage *iom_stage_create(const struct iom_stage_config *config, const char *name);
void iom_stage_destroy(struct iom_stage *stage);
struct iom_unit *iom_stage_unit(struct iom_stage *stage);
struct iom_port *iom_stage_input(struct iom_stage *stage, uint32_t index);
struct iom_port *iom_stage_port(struct iom_stage *stage, enum iom_stage_port port);

/// The cache behind a look-up owned by the stage, else null (tests, tracker, reports).
struct iom_cache *iom_stage_cache(struct iom_stage *stage, enum iom_lookup which);
/// Copies `*observer`; null removes the observer.
void iom_stage_set_observer(struct iom_stage *stage, const struct iom_stage_observer *observer);
const struct iom_stage_stats *iom_stage_stats_of(const struct iom_stage *stage);
const struct iom_lookup_stats *iom_stage_lookup_stats(struct iom_stage *stage, enum iom_lookup which);
/// The register view in force.
const struct iom_view *iom_stage_view(const struct iom_stage *stage);
/// Sets the view outside the simulation (before a run, or between runs while nothing is under way).
void iom_stage_set_view(struct iom_stage *stage, const struct iom_view *view);
/// Empties the caches outside the simulation; nothing may be under way.
void iom_stage_flush(struct iom_stage *stage, iom_cycle now);

#ifdef __cplusplus
}
#endif

#endif
