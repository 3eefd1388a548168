// SPDX-License-Identifier: Apache-2.0
//
// What an invalidation costs a cache: a parameter of each cache, because hardware differs widely.
//
//   flash    all entries are compared at once: 1 cycle
//   scan     entries are read one after the other, `entries_per_cycle` at a time
//   by set   one set per cycle, and only the sets that can hold a match: an invalidation of pages whose
//            set index is known visits one set per page and size held, any other all sets
//
// An invalidation that begins in cycle c is applied at the end of cycle c + cost - 1: look-ups up to and
// including that cycle still hit. While it runs a `blocking` cache serves no look-ups.
#ifndef IOM_CORE_INVALIDATE_COST_H
#define IOM_CORE_INVALIDATE_COST_H

#include "core/cache.h"

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
};

/// Cycles, at least 1, that `match` takes in a cache of this geometry.
uint64_t iom_invalidate_cycles(const struct iom_invalidate_cost *cost, const struct iom_cache_config *cache,
                               const struct iom_cache_match *match);

#ifdef __cplusplus
}
#endif

#endif
