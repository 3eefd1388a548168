// SPDX-License-Identifier: Apache-2.0
//
// What an invalidation costs a cache, in cycles, from the geometry and the tags alone. See
// invalidate_cost.h.
#include "core/invalidate_cost.h"

// Page sizes of 4-level tables of 4 KiB granule.
#define DEFAULT_PAGE_SIZES (UINT64_C(1) << 12 | UINT64_C(1) << 21 | UINT64_C(1) << 30)

static uint64_t sets_of(const struct iom_cache_config *cache)
{
    return cache->entries / cache->ways;
}

// Fields that choose the set besides the page number.
static uint32_t index_fields(const struct iom_cache_config *cache)
{
    return cache->index & ~(uint32_t)IOM_TAG_ADDRESS;
}

// Pages of all sizes that the range touches, not more than `most`.
static uint64_t pages_touched(uint64_t sizes, const struct iom_cache_match *match, uint64_t most)
{
    uint64_t pages = 0;
    for (; sizes != 0 && pages < most; sizes &= sizes - 1) {
        unsigned size_log2 = iom_ctz64(sizes);
        uint64_t more = (match->last >> size_log2) - (match->first >> size_log2);
        pages = more >= most - pages ? most : pages + more + 1;
    }
    return pages;
}

// Values of the fields that choose the set besides the page number which `match` covers, not more than
// `most`.
static uint64_t index_values(const struct iom_cache_config *cache, const struct iom_cache_match *match,
                             uint64_t most)
{
    uint64_t values = 1;
    if (index_fields(cache) & IOM_TAG_STREAM) {
        for (uint32_t left = match->stream_ignore; left != 0 && values < most; left &= left - 1)
            values *= 2;
    }
    // A global entry lies in the set of substream and address space 0.
    if (index_fields(cache) & (IOM_TAG_SUBSTREAM | IOM_TAG_ASID) && !match->keep_global)
        values *= 2;
    return iom_min_u64(values, most);
}

// Sets that can hold what `match` covers.
static uint64_t sets_visited(const struct iom_invalidate_cost *cost, const struct iom_cache_config *cache,
                             const struct iom_cache_match *match)
{
    uint64_t sets = sets_of(cache);
    if ((index_fields(cache) & ~match->fields) != 0)
        return sets;
    uint64_t values = index_values(cache, match, sets);
    if (!(cache->match & IOM_TAG_ADDRESS))
        return values; // entries cover all addresses: the fields alone choose the set
    if (!(match->fields & IOM_TAG_ADDRESS))
        return sets;
    if (match->first > match->last)
        return 0;
    uint64_t sizes = cost->page_sizes != 0 ? cost->page_sizes : DEFAULT_PAGE_SIZES;
    return iom_min_u64(pages_touched(sizes, match, sets) * values, sets);
}

// Cycles of everything but a visit by set.
static uint64_t whole_cycles(const struct iom_invalidate_cost *cost, const struct iom_cache_config *cache)
{
    if (cost->method != IOM_INVALIDATE_SCAN || cache->entries == 0)
        return 1;
    return iom_div_ceil(cache->entries, iom_max_u64(cost->entries_per_cycle, 1));
}

uint64_t iom_invalidate_cycles(const struct iom_invalidate_cost *cost, const struct iom_cache_config *cache,
                               const struct iom_cache_match *match)
{
    if (cost->method != IOM_INVALIDATE_BY_SET || cache->entries == 0)
        return whole_cycles(cost, cache);
    return iom_max_u64(sets_visited(cost, cache, match), 1);
}

uint64_t iom_invalidation_cycles(const struct iom_invalidate_cost *cost, const struct iom_cache_config *cache,
                                 const struct iom_invalidation *invalidation, uint32_t target)
{
    bool by_set = cost->method == IOM_INVALIDATE_BY_SET && cache->entries != 0;
    bool reached = false;
    uint64_t visited = 0;
    for (unsigned i = 0; i < invalidation->parts; i++) {
        if (!(invalidation->part[i].targets & target))
            continue;
        reached = true;
        if (by_set)
            visited += sets_visited(cost, cache, &invalidation->part[i].match);
    }
    if (!reached)
        return 0;
    return by_set ? iom_max_u64(iom_min_u64(visited, sets_of(cache)), 1) : whole_cycles(cost, cache);
}

static uint64_t psc_cycles(const struct iom_invalidate_plan *plan,
                           const struct iom_invalidation *invalidation)
{
    uint64_t cycles = 0;
    for (unsigned stage = 0; stage < 2; stage++) {
        for (unsigned level = 2; level < IOM_PSC_LEVELS; level++) {
            const struct iom_cache_config *cache = &plan->psc.cache[stage][level];
            if (cache->entries == 0)
                continue;
            struct iom_invalidate_cost cost = plan->psc.cost;
            if (cost.page_sizes == 0)
                cost.page_sizes = UINT64_C(1) << (IOM_PAGE_LOG2 + 9 * (level - 1));
            cycles =
                iom_max_u64(cycles, iom_invalidation_cycles(&cost, cache, invalidation, IOM_INVALIDATE_PSC));
        }
    }
    return cycles;
}

uint64_t iom_invalidate_plan_target(const struct iom_invalidate_plan *plan,
                                    const struct iom_invalidation *invalidation, uint32_t target)
{
    if (target == IOM_INVALIDATE_PSC)
        return psc_cycles(plan, invalidation);
    for (unsigned which = 0; which < IOM_LOOKUP_COUNT; which++) {
        if (target == 1u << which && plan->lookup[which].cache.entries != 0)
            return iom_invalidation_cycles(&plan->lookup[which].cost, &plan->lookup[which].cache,
                                           invalidation, target);
    }
    return 0;
}

uint64_t iom_invalidate_plan_cycles(const struct iom_invalidate_plan *plan,
                                    const struct iom_invalidation *invalidation)
{
    uint64_t cycles = 1;
    for (unsigned which = 0; which <= IOM_LOOKUP_COUNT; which++)
        cycles = iom_max_u64(cycles, iom_invalidate_plan_target(plan, invalidation, 1u << which));
    return cycles;
}

bool iom_invalidate_plan_blocks(const struct iom_invalidate_plan *plan, uint32_t target)
{
    if (target == IOM_INVALIDATE_PSC)
        return plan->psc.cost.blocking;
    for (unsigned which = 0; which < IOM_LOOKUP_COUNT; which++) {
        if (target == 1u << which)
            return plan->lookup[which].cost.blocking;
    }
    return false;
}
