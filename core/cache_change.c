// SPDX-License-Identifier: Apache-2.0
//
// Changes of the cache engine: fills and invalidations are recorded in one cycle and applied, fills
// first, before the next (unit rule 4 of the architecture). See cache.h.
#include <stdlib.h>

#include "core/cache_internal.h"

void iom_cache_drop(struct iom_cache *cache, uint32_t slot, bool by_invalidation)
{
    if (cache->observer.dropped != NULL)
        cache->observer.dropped(cache->observer.context, slot, &cache->tags[slot],
                                iom_cache_payload_at(cache, slot), by_invalidation);
    if (by_invalidation)
        cache->counts.invalidated++;
    else
        cache->counts.evictions++;
    iom_cache_index_remove(cache, slot);
    *iom_cache_valid_word(cache, slot) &= ~(UINT64_C(1) << (iom_cache_way_of(cache, slot) % 64));
    cache->valid_count--;
}

// Lowest-numbered invalid way of a set, or the number of ways.
static uint32_t first_invalid_way(const struct iom_cache *cache, uint32_t set)
{
    const uint64_t *valid = &cache->valid[(size_t)set * cache->valid_words];
    for (uint32_t word = 0; word < cache->valid_words; word++) {
        if (~valid[word] != 0)
            return word * 64 + iom_ctz64(~valid[word]);
    }
    return cache->ways;
}

static uint32_t choose_slot(struct iom_cache *cache, uint32_t set)
{
    if (cache->config.prefer_invalid && cache->valid_count != cache->config.entries) {
        uint32_t way = first_invalid_way(cache, set);
        if (way < cache->ways) // bits above the last way are never set
            return iom_cache_slot_of(cache, set, way);
    }
    uint32_t slot = iom_cache_policy_victim(cache, set);
    if (iom_cache_is_valid(cache, slot))
        iom_cache_drop(cache, slot, false);
    return slot;
}

static void write_entry(struct iom_cache *cache, uint32_t slot, const struct iom_tag *tag,
                        const void *payload)
{
    cache->tags[slot] = *tag;
    if (cache->config.payload_bytes != 0)
        memcpy(iom_cache_payload_at(cache, slot), payload, cache->config.payload_bytes);
    cache->counts.fills++;
}

static void apply_fill(struct iom_cache *cache, const struct iom_tag *tag, const void *payload)
{
    struct iom_cache_key identity = iom_cache_identity(cache, tag);
    int32_t present = iom_cache_find(cache, &identity);
    uint32_t slot;
    if (present >= 0) {
        slot = (uint32_t)present;
        if (cache->observer.dropped != NULL)
            cache->observer.dropped(cache->observer.context, slot, &cache->tags[slot],
                                    iom_cache_payload_at(cache, slot), false);
        write_entry(cache, slot, tag, payload);
        cache->counts.refills++;
    } else {
        slot = choose_slot(cache, iom_cache_set_for(cache, &identity));
        write_entry(cache, slot, tag, payload);
        iom_cache_index_insert(cache, slot, &identity);
        *iom_cache_valid_word(cache, slot) |= UINT64_C(1) << (iom_cache_way_of(cache, slot) % 64);
        cache->valid_count++;
    }
    iom_cache_policy_fill(cache, slot, present >= 0);
    if (cache->observer.filled != NULL)
        cache->observer.filled(cache->observer.context, slot, &cache->tags[slot],
                               iom_cache_payload_at(cache, slot));
}

void iom_cache_apply_pending(struct iom_cache *cache)
{
    struct iom_cache_pending *pending = &cache->pending;
    for (uint32_t i = 0; i < pending->fills; i++)
        apply_fill(cache, &pending->fill_tags[i],
                   pending->fill_payloads + (size_t)i * cache->config.payload_bytes);
    for (uint32_t i = 0; i < pending->invalidation_count; i++)
        iom_cache_visit(cache, &pending->invalidations[i], IOM_CACHE_REMOVE);
    pending->fills = 0;
    pending->invalidation_count = 0;
    cache->due = IOM_NEVER;
}

int32_t iom_cache_apply_and_probe(struct iom_cache *cache, const struct iom_tag *key)
{
    iom_cache_apply_pending(cache);
    return iom_cache_probe_classes(cache, key, 0);
}

void iom_cache_apply_and_touch(struct iom_cache *cache, int32_t slot)
{
    iom_cache_apply_pending(cache);
    iom_cache_touch(cache, 0, slot); // nothing is due any more, so any cycle will do
}

// Grows an array of `*capacity` elements; a change that cannot be recorded must not get lost silently.
static void *grow(void *array, uint32_t capacity, size_t bytes)
{
    void *larger = realloc(array, (size_t)capacity * (bytes != 0 ? bytes : 1));
    if (larger == NULL)
        abort();
    return larger;
}

void iom_cache_fill(struct iom_cache *cache, iom_cycle cycle, const struct iom_tag *tag, const void *payload)
{
    struct iom_cache_pending *pending = &cache->pending;
    size_t payload_bytes = cache->config.payload_bytes;
    assert(tag->size_log2 <= 64 && iom_align_down(tag->address, tag->size_log2) == tag->address);
    assert(payload != NULL || payload_bytes == 0);
    iom_cache_sync(cache, cycle);
    if (cache->config.entries == 0)
        return;
    if (pending->fills == pending->fill_capacity) {
        uint32_t capacity = pending->fill_capacity != 0 ? pending->fill_capacity * 2 : 8;
        pending->fill_tags = grow(pending->fill_tags, capacity, sizeof *pending->fill_tags);
        pending->fill_payloads = grow(pending->fill_payloads, capacity, payload_bytes);
        pending->fill_capacity = capacity;
    }
    pending->fill_tags[pending->fills] = *tag;
    pending->fill_tags[pending->fills].address = iom_align_down(tag->address, tag->size_log2);
    if (payload_bytes != 0)
        memcpy(pending->fill_payloads + pending->fills * payload_bytes, payload, payload_bytes);
    pending->fills++;
    cache->due = cycle;
}

void iom_cache_invalidate(struct iom_cache *cache, iom_cycle cycle, const struct iom_cache_match *match)
{
    struct iom_cache_pending *pending = &cache->pending;
    iom_cache_sync(cache, cycle);
    if (cache->config.entries == 0)
        return;
    if (pending->invalidation_count == pending->invalidation_capacity) {
        uint32_t capacity = pending->invalidation_capacity != 0 ? pending->invalidation_capacity * 2 : 8;
        pending->invalidations = grow(pending->invalidations, capacity, sizeof *pending->invalidations);
        pending->invalidation_capacity = capacity;
    }
    pending->invalidations[pending->invalidation_count++] = *match;
    cache->due = cycle;
}

void iom_cache_invalidate_all(struct iom_cache *cache, iom_cycle cycle)
{
    struct iom_cache_match everything = {.fields = 0};
    iom_cache_invalidate(cache, cycle, &everything);
}
