// SPDX-License-Identifier: Apache-2.0
//
// Replacement policies of the cache engine: the state of the ways and the choice of a victim. One
// switch per event; nothing here knows tags. The rules that differ between designs (does a fill count
// as a use, where does a re-referenced entry go) are stated in cache.h.
#include <stdlib.h>

#include "core/cache_internal.h"

/// SRRIP with 2 bits: a new entry is predicted "long", a hit "near-immediate", a victim is "distant".
enum { INTERVAL_NEAR = 0, INTERVAL_LONG = 2, INTERVAL_DISTANT = 3 };

// LRU and FIFO: each set's ways form a circle from oldest to newest. The newest precedes the oldest, so
// making the oldest the newest only turns the circle.

static inline void make_newest(struct iom_cache *cache, uint32_t slot)
{
    struct iom_cache_age *ages = cache->ages;
    uint32_t *oldest = &cache->oldest[iom_cache_set_of(cache, slot)];
    uint32_t first = *oldest;
    if (slot == first) {
        *oldest = ages[slot].newer;
        return;
    }
    uint32_t last = ages[first].older;
    if (slot == last)
        return;
    uint32_t newer = ages[slot].newer;
    uint32_t older = ages[slot].older;
    ages[older].newer = newer;
    ages[newer].older = older;
    ages[slot].newer = first;
    ages[last].newer = slot;
    ages[slot].older = last;
    ages[first].older = slot;
}

static void reset_ages(struct iom_cache *cache)
{
    for (uint32_t set = 0; set <= cache->set_mask; set++) {
        cache->oldest[set] = iom_cache_slot_of(cache, set, 0);
        for (uint32_t way = 0; way < cache->ways; way++) {
            uint32_t next = way + 1 < cache->ways ? way + 1 : 0;
            uint32_t slot = iom_cache_slot_of(cache, set, way);
            uint32_t newer = iom_cache_slot_of(cache, set, next);
            cache->ages[slot].newer = newer;
            cache->ages[newer].older = slot;
        }
    }
}

// PLRU: a node of 0 sends the search for a victim to the lower half of its ways, 1 to the upper half.

static void point_away(struct iom_cache *cache, uint32_t slot)
{
    uint8_t *nodes = cache->nodes + (size_t)iom_cache_set_of(cache, slot) * cache->ways;
    // Leaves follow the inner nodes: way w is node ways + w, an odd node is an upper half.
    for (uint32_t node = cache->ways + iom_cache_way_of(cache, slot); node > 1; node /= 2)
        nodes[node / 2] = (node & 1) == 0;
}

static uint32_t plru_victim(const struct iom_cache *cache, uint32_t set)
{
    const uint8_t *nodes = cache->nodes + (size_t)set * cache->ways;
    uint32_t node = 1;
    while (node < cache->ways)
        node = 2 * node + nodes[node];
    return iom_cache_slot_of(cache, set, node - cache->ways);
}

// SRRIP: the victim is the first way predicted distant; while there is none all ways age by one. Adding
// the gap to the largest interval at once is the same.
static uint32_t srrip_victim(struct iom_cache *cache, uint32_t set)
{
    uint32_t victim = iom_cache_slot_of(cache, set, 0);
    for (uint32_t way = 1; way < cache->ways; way++) {
        uint32_t slot = iom_cache_slot_of(cache, set, way);
        if (cache->intervals[slot] > cache->intervals[victim])
            victim = slot;
    }
    uint8_t gap = (uint8_t)(INTERVAL_DISTANT - cache->intervals[victim]);
    if (gap != 0) {
        for (uint32_t way = 0; way < cache->ways; way++) {
            uint8_t *interval = &cache->intervals[iom_cache_slot_of(cache, set, way)];
            *interval = (uint8_t)(*interval + gap);
        }
    }
    return victim;
}

bool iom_cache_policy_create(struct iom_cache *cache, uint64_t seed, const char *path)
{
    size_t entries = cache->config.entries;
    switch (cache->config.policy) {
    case IOM_POLICY_LRU:
    case IOM_POLICY_FIFO:
        cache->ages = calloc(entries, sizeof *cache->ages);
        cache->oldest = calloc((size_t)cache->set_mask + 1, sizeof *cache->oldest);
        if (cache->ages == NULL || cache->oldest == NULL)
            return false;
        reset_ages(cache);
        return true;
    case IOM_POLICY_PLRU:
        cache->nodes = calloc(entries, sizeof *cache->nodes);
        return cache->nodes != NULL;
    case IOM_POLICY_SRRIP:
        cache->intervals = malloc(entries);
        if (cache->intervals == NULL)
            return false;
        memset(cache->intervals, INTERVAL_DISTANT, entries);
        return true;
    case IOM_POLICY_RANDOM:
        iom_rng_seed(&cache->rng, seed, path);
        return true;
    case IOM_POLICY_COUNT:
        break;
    }
    return false;
}

void iom_cache_policy_destroy(struct iom_cache *cache)
{
    free(cache->ages);
    free(cache->oldest);
    free(cache->nodes);
    free(cache->intervals);
}

static void hit_other(struct iom_cache *cache, uint32_t slot)
{
    if (cache->config.policy == IOM_POLICY_PLRU)
        point_away(cache, slot);
    else if (cache->config.policy == IOM_POLICY_SRRIP)
        cache->intervals[slot] = INTERVAL_NEAR;
}

// Nothing reads the policy's state before the fills of this cycle are applied, and those come after its
// touches: so a touch need not be recorded but takes effect here.
void iom_cache_touch(struct iom_cache *cache, iom_cycle cycle, int32_t slot)
{
    assert(slot >= 0 && (uint32_t)slot < cache->config.entries);
    assert(cache->due == IOM_NEVER || cycle >= cache->due);
    if (cycle > cache->due)
        iom_cache_apply_and_touch(cache, slot);
    else if (cache->config.policy == IOM_POLICY_LRU)
        make_newest(cache, (uint32_t)slot);
    else
        hit_other(cache, (uint32_t)slot);
}

void iom_cache_policy_fill(struct iom_cache *cache, uint32_t slot, bool refill)
{
    switch (cache->config.policy) {
    case IOM_POLICY_LRU:
        make_newest(cache, slot);
        break;
    case IOM_POLICY_FIFO:
        if (!refill)
            make_newest(cache, slot);
        break;
    case IOM_POLICY_PLRU:
        if (cache->config.plru_touch_on_fill)
            point_away(cache, slot);
        break;
    case IOM_POLICY_SRRIP:
        cache->intervals[slot] = refill ? INTERVAL_NEAR : INTERVAL_LONG;
        break;
    case IOM_POLICY_RANDOM:
    case IOM_POLICY_COUNT:
        break;
    }
}

uint32_t iom_cache_policy_victim(struct iom_cache *cache, uint32_t set)
{
    switch (cache->config.policy) {
    case IOM_POLICY_LRU:
    case IOM_POLICY_FIFO:
        return cache->oldest[set];
    case IOM_POLICY_PLRU:
        return plru_victim(cache, set);
    case IOM_POLICY_SRRIP:
        return srrip_victim(cache, set);
    case IOM_POLICY_RANDOM:
        return iom_cache_slot_of(cache, set, (uint32_t)iom_rng_below(&cache->rng, cache->ways));
    case IOM_POLICY_COUNT:
        break;
    }
    assert(!"a cache is only made with a known policy");
    return iom_cache_slot_of(cache, set, 0);
}
