// SPDX-License-Identifier: Apache-2.0
//
// What an invalidation costs a cache: a parameter of each cache, because hardware differs widely.
//
//   flash    all entries are compared at once: 1 cycle
//   scan     entries are read one after the other, `entries_per_cycle` at a time
//   by set   one set per cycle, and only the sets that can hold a match: an invalidation of pages whose
//            set index is known visits one set per page and size held, a cache without addresses one set
//            if the fields of its index are named; any other all sets. (One set for each value of the
//            index if several are named: a range of streams, global entries besides those of one
//            substream.) Never more sets than there are
//
// An invalidation that begins in cycle c is applied at the end of cycle c + cost - 1: look-ups up to and
// including that cycle still hit. While it runs a `blocking` cache serves no look-ups.
//
// One invalidation may reach several caches, and what is read from one of them is filled into another
// (a walk that starts from a paging-structure entry fills the IOTLB). If each dropped its entries in a
// cycle of its own, a cache that is done first could be filled again from one that is not. So all caches
// of an IOMMU drop theirs in the same cycle, that of the slowest: every participant works out the cost
// from the same plan (struct iom_invalidate_plan).
#ifndef IOM_CORE_INVALIDATE_COST_H
#define IOM_CORE_INVALIDATE_COST_H

#include "core/cache.h"
#include "core/invalidation.h"
#include "core/walk.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_invalidate_method {
    IOM_INVALIDATE_FLASH,
    IOM_INVALIDATE_SCAN,
    IOM_INVALIDATE_BY_SET,
};

struct iom_invalidate_cost {
    enum iom_invalidate_method method;
    uint32_t entries_per_cycle; ///< SCAN: at least 1
    bool blocking;              ///< no look-ups while it runs
    /// BY_SET: sizes of pages the cache can hold, bit n = 2^n bytes. 0: 4 KiB, 2 MiB and 1 GiB; of a
    /// paging-structure cache what an entry of its level covers.
    uint64_t page_sizes;
};

/// Cycles, at least 1, that `match` takes in a cache of this geometry.
uint64_t iom_invalidate_cycles(const struct iom_invalidate_cost *cost, const struct iom_cache_config *cache,
                               const struct iom_cache_match *match);

/// Cycles that an invalidation takes in a cache reached by the parts with `target` (one bit of enum
/// iom_invalidate_target); 0 if no part does. An entry that is read is compared with all parts at once;
/// by set, the sets of all parts are visited.
uint64_t iom_invalidation_cycles(const struct iom_invalidate_cost *cost, const struct iom_cache_config *cache,
                                 const struct iom_invalidation *invalidation, uint32_t target);

/// All caches of one IOMMU. A cache of 0 entries does not exist.
struct iom_invalidate_plan {
    struct {
        struct iom_invalidate_cost cost;
        struct iom_cache_config cache;
    } lookup[IOM_LOOKUP_COUNT];
    struct {
        struct iom_invalidate_cost cost;
        struct iom_cache_config cache[2][IOM_PSC_LEVELS]; ///< [stage - 1][level]
    } psc;
};

/// Cycles, at least 1, from the begin of an invalidation to its application.
uint64_t iom_invalidate_plan_cycles(const struct iom_invalidate_plan *plan,
                                    const struct iom_invalidation *invalidation);
/// Of these, cycles in which the cache of one target (one bit; PSC: any level) is worked on; 0 if it is not
/// reached.
uint64_t iom_invalidate_plan_target(const struct iom_invalidate_plan *plan,
                                    const struct iom_invalidation *invalidation, uint32_t target);
/// Does the cache of this target keep look-ups waiting meanwhile?
bool iom_invalidate_plan_blocks(const struct iom_invalidate_plan *plan, uint32_t target);

#ifdef __cplusplus
}
#endif

#endif
