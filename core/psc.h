// SPDX-License-Identifier: Apache-2.0
//
// Paging-structure caches: for each stage and level a cache of table pointers, so that a walk starts
// as deep as possible. An entry of level n covers what one level-n table entry covers (level 2: 2 MiB)
// and holds the address of the next lower table and the permissions gathered so far.
//
// The walker pool calls them as functions (fused), or they are a unit of their own (core/psc_unit.h).
// All levels are asked at once; the lowest hit wins. An invalidation works on all levels at the same time and
// takes as long as the slowest of them; it is applied, one at a time, as in a look-up stage (core/stage.h).
// While the caches are `blocking` probes wait, in the order in which they came.
#ifndef IOM_CORE_PSC_H
#define IOM_CORE_PSC_H

#include "core/cache.h"
#include "core/control.h"
#include "core/invalidate_cost.h"
#include "core/invalidator.h"
#include "core/stats.h"
#include "core/unit.h"
#include "core/walk.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_tracker;

struct iom_psc_config {
    /// [stage - 1][level], levels 2..5 used. entries 0: no cache for that level.
    struct iom_cache_config cache[2][IOM_PSC_LEVELS];
    uint64_t latency_cycles;               ///< of a probe of all levels
    uint64_t seed;                         ///< of random replacement
    struct iom_invalidate_cost invalidate; ///< what an invalidation costs (all levels at the same time)
    /// Caches of the whole IOMMU; null: these alone (core/invalidate_cost.h). Copied.
    const struct iom_invalidate_plan *plan;
    struct iom_tracker *tracker; ///< may be null
};

#define IOM_PSC_STATS(X)                                                                                     \
    X(counter, lookups, "lookups", "probes of all levels of a stage")                                        \
    X(counter, hits_level2, "lookups", "walks that started below a level-2 entry (one table left)")          \
    X(counter, hits_level3, "lookups", "walks that started below a level-3 entry")                           \
    X(counter, hits_level4, "lookups", "walks that started below a level-4 entry")                           \
    X(counter, hits_level5, "lookups", "walks that started below a level-5 entry")                           \
    X(counter, misses, "lookups", "walks that started at the root")                                          \
    X(counter, fills, "entries", "entries written")                                                          \
    X(counter, evictions, "entries", "valid entries displaced by a fill")                                    \
    X(counter, invalidated, "entries", "entries removed by invalidations")                                   \
    X(counter, invalidations, "invalidations", "invalidations that reached these caches")                    \
    X(counter, invalidate_cycles, "cycles", "cycles they took, from begin to application")                   \
    X(counter, blocked_cycles, "cycles", "of these: cycles in which probes had to wait (blocking caches)")   \
    X(counter, late_fills, "entries", "fills dropped because what they came from was invalidated meanwhile")

struct iom_psc_stats {
    IOM_PSC_STATS(IOM_STAT_MEMBER)
};

struct iom_psc; // opaque

/// Null when memory is out or a geometry is unusable.
struct iom_psc *iom_psc_create(const struct iom_psc_config *config, const char *name);
void iom_psc_destroy(struct iom_psc *psc);
/// Does any level of this stage exist?
bool iom_psc_present(const struct iom_psc *psc, uint8_t stage);
/// Looks up probe->key in the levels asked for; sets hit_level and entry. Touches the entry used. With a
/// tracker the caller owns a reference to the node of the entry returned.
void iom_psc_look_up(struct iom_psc *psc, iom_cycle now, struct iom_psc_probe *probe);
/// Records a fill; the caller keeps its reference to the node.
/// Is there a cache for entries of this level?
bool iom_psc_keeps(const struct iom_psc *psc, uint8_t stage, uint8_t level);
void iom_psc_insert(struct iom_psc *psc, iom_cycle now, const struct iom_psc_fill *fill);
/// Applies the parts that target paging-structure caches, and with them all that was recorded in this cycle:
/// nothing may be looked up in `now` any more. Returns how many entries were removed.
uint32_t iom_psc_invalidate(struct iom_psc *psc, iom_cycle now, const struct iom_invalidation *invalidation);
/// Counts an invalidation of so many cycles, `blocked` of them without look-ups; and a fill that was dropped.
void iom_psc_count_invalidation(struct iom_psc *psc, uint64_t cycles, uint64_t blocked);
void iom_psc_count_late_fill(struct iom_psc *psc);
/// The plan an invalidation sequencer of these caches goes by.
void iom_psc_plan(const struct iom_psc_config *config, struct iom_invalidate_plan *plan);
void iom_psc_invalidate_all(struct iom_psc *psc, iom_cycle now);
/// The cache of one level, or null.
struct iom_cache *iom_psc_cache(struct iom_psc *psc, uint8_t stage, uint8_t level);
bool iom_psc_stat_block(struct iom_psc *psc, struct iom_stat_block *block);
void iom_psc_reset_stats(struct iom_psc *psc);

// ---- as a unit of its own ------------------------------------------------------------------------------
//
// Port 0 "in" (responder): a walk (struct iom_walk) whose action is PROBE, answered after the latency;
// or a fill on its way (struct iom_psc_fill_message), not answered. Port 1 "control" (responder).

struct iom_psc_fill_message {
    struct iom_msg msg;
    struct iom_psc_fill fill; ///< with a tracker it carries a reference to the node of the entry
    /// Cycle in which the walker decided to send it: a fill that was on its way when an invalidation was
    /// applied is dropped. IOM_NEVER: never (hardware without squash_walks).
    iom_cycle decided;
};

struct iom_psc_unit; // opaque

struct iom_psc_unit *iom_psc_unit_create(const struct iom_psc_config *config, uint32_t lookups_per_cycle,
                                         const char *name);
void iom_psc_unit_destroy(struct iom_psc_unit *unit);
struct iom_unit *iom_psc_unit_unit(struct iom_psc_unit *unit);
struct iom_port *iom_psc_unit_input(struct iom_psc_unit *unit);
struct iom_port *iom_psc_unit_control(struct iom_psc_unit *unit);
struct iom_psc *iom_psc_unit_psc(struct iom_psc_unit *unit);

#ifdef __cplusplus
}
#endif

#endif
