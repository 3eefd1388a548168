// SPDX-License-Identifier: Apache-2.0
//
// The watched caches: which entry holds which node. Their observers count references; an entry that
// appears with a marked node is a new copy that its obligation asks to remove.
#include <stdlib.h>
#include <string.h>

#include "core/tracker_internal.h"

struct iom_track_cache *iom_track_cache_of(const struct iom_tracker *tracker, uint32_t holder)
{
    return tracker->caches[iom_track_cache_number(tracker, holder)];
}

uint32_t iom_track_cache_number(const struct iom_tracker *tracker, uint32_t holder)
{
    uint32_t low = 0, high = tracker->cache_count; // the last cache whose base is not above `holder`
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (tracker->caches[middle]->base <= holder)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void iom_track_sync(struct iom_tracker *tracker)
{
    for (uint32_t i = 0; i < tracker->cache_count; i++)
        iom_cache_sync(tracker->caches[i]->cache, tracker->now);
}

uint32_t iom_track_find_holder(const struct iom_tracker *tracker, uint32_t node, uint32_t cache,
                               uint64_t address)
{
    for (uint32_t holder = tracker->nodes[node].first_holder; holder != 0;
         holder = tracker->holders[holder].next) {
        const struct iom_track_cache *at = iom_track_cache_of(tracker, holder);
        uint32_t kind = at->kind == IOM_TRACKED_DEVICE_TLB ? IOM_TRACKED_DEVICE_TLB + at->index : at->kind;
        const struct iom_tag *tag = iom_cache_tag(at->cache, (int32_t)(holder - at->base));
        if (kind == cache && (cache < IOM_TRACKED_IOTLB || tag->size_log2 >= 64 ||
                              (address ^ tag->address) >> tag->size_log2 == 0))
            return holder;
    }
    return 0;
}

// ---- observers ---------------------------------------------------------------------------------------

static iom_node node_in(const struct iom_track_cache *cache, const void *payload)
{
    iom_node node;
    memcpy(&node, (const unsigned char *)payload + cache->node_at, sizeof node);
    return node;
}

static void filled(void *context, uint32_t slot, const struct iom_tag *tag, const void *payload)
{
    struct iom_track_cache *cache = context;
    struct iom_tracker *tracker = cache->tracker;
    uint32_t number = cache->base + slot;
    uint32_t index = iom_track_index(tracker, node_in(cache, payload));
    iom_track_filled(tracker, cache, tag);
    tracker->holders[number].node = index;
    if (index == 0)
        return;
    struct iom_track_node *node = &tracker->nodes[index];
    node->refs++;
    tracker->holders[number].copy = 0;
    tracker->holders[number].previous = 0;
    tracker->holders[number].next = node->first_holder;
    if (node->first_holder != 0)
        tracker->holders[node->first_holder].previous = number;
    node->first_holder = number;
    if (node->mark != 0)
        iom_track_owe(tracker, node->mark, number, tag);
}

static void dropped(void *context, uint32_t slot, const struct iom_tag *tag, const void *payload,
                    bool by_invalidation)
{
    (void)payload;
    struct iom_track_cache *cache = context;
    struct iom_tracker *tracker = cache->tracker;
    uint32_t number = cache->base + slot;
    struct iom_track_holder *holder = &tracker->holders[number];
    uint32_t index = holder->node;
    if (by_invalidation)
        iom_track_count_removed(tracker, cache, tag, index != 0 && tracker->nodes[index].mark == 0);
    if (index == 0)
        return;
    if (holder->previous != 0)
        tracker->holders[holder->previous].next = holder->next;
    else
        tracker->nodes[index].first_holder = holder->next;
    if (holder->next != 0)
        tracker->holders[holder->next].previous = holder->previous;
    holder->node = 0;
    holder->copy = 0;
    iom_track_release(tracker, index);
}

// ---- registration ------------------------------------------------------------------------------------

static uint32_t offset_of_node(enum iom_tracked_cache kind)
{
    switch (kind) {
    case IOM_TRACKED_CONTEXT:
    case IOM_TRACKED_PASID:
        return offsetof(struct iom_context, node);
    case IOM_TRACKED_PSC:
        return offsetof(struct iom_psc_entry, node);
    default:
        return offsetof(struct iom_leaf, node);
    }
}

void iom_tracker_watch_cache(struct iom_tracker *tracker, struct iom_cache *cache,
                             enum iom_tracked_cache kind, uint32_t index, uint8_t iommu)
{
    if (tracker == NULL || cache == NULL)
        return;
    uint32_t entries = iom_cache_config_of(cache)->entries;
    struct iom_track_cache *watched = calloc(1, sizeof *watched);
    uint32_t base = tracker->holder_count != 0 ? tracker->holder_count : 1;
    struct iom_track_holder *holders = realloc(tracker->holders, (base + entries) * sizeof *holders);
    if (watched == NULL || holders == NULL)
        abort();
    memset(holders + base, 0, entries * sizeof *holders);
    tracker->holders = holders;
    tracker->holder_count = base + entries;
    *watched = (struct iom_track_cache){
        .tracker = tracker,
        .cache = cache,
        .base = base,
        .node_at = offset_of_node(kind),
        .index = index,
        .kind = (uint8_t)kind,
        .iommu = iommu,
    };
    tracker->caches = iom_track_grow(tracker->caches, &tracker->cache_capacity, tracker->cache_count + 1,
                                     sizeof *tracker->caches);
    tracker->caches[tracker->cache_count++] = watched;
    struct iom_cache_observer observer = {watched, filled, dropped};
    iom_cache_set_observer(cache, &observer);
}
