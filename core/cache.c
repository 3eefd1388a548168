// SPDX-License-Identifier: Apache-2.0
//
// The cache engine: creation, look-up and the small questions. See cache.h for what is modelled,
// cache_internal.h for how entries are found, cache_change.c for what is recorded and applied.
#include "core/cache.h"

#include <stdlib.h>

#include "core/cache_internal.h"

static const uint32_t all_fields = IOM_TAG_ADDRESS | IOM_TAG_STREAM | IOM_TAG_SUBSTREAM | IOM_TAG_DOMAIN |
                                   IOM_TAG_ASID | IOM_TAG_STAGE | IOM_TAG_SECURITY | IOM_TAG_IOMMU |
                                   IOM_TAG_LEVEL;

const char *iom_cache_config_error(const struct iom_cache_config *config)
{
    if (config == NULL)
        return "no configuration given";
    if ((unsigned)config->policy >= IOM_POLICY_COUNT)
        return "unknown replacement policy";
    if (config->match & ~all_fields)
        return "match names an unknown tag field";
    // Otherwise an entry could be stored in one set and searched in another.
    if (config->index & ~(config->match | (uint32_t)IOM_TAG_ADDRESS))
        return "index names a tag field that match does not compare";
    if (config->entries == 0)
        return NULL;
    if (config->entries > IOM_CACHE_MAX_ENTRIES)
        return "more than 2^28 entries";
    if (config->ways == 0)
        return "ways must be at least 1 (ways = entries is fully associative)";
    if (config->entries % config->ways != 0)
        return "entries is not a multiple of ways";
    if (!iom_is_power_of_two(config->entries / config->ways))
        return "the number of sets (entries / ways) is not a power of two";
    if (config->policy == IOM_POLICY_PLRU && !iom_is_power_of_two(config->ways))
        return "tree pseudo-LRU needs a number of ways that is a power of two";
    return NULL;
}

// At least one byte, so that success is never a null pointer.
static void *allocate(size_t count, size_t bytes)
{
    return calloc(count != 0 ? count : 1, bytes != 0 ? bytes : 1);
}

static bool allocate_slots(struct iom_cache *cache)
{
    size_t entries = cache->config.entries;
    size_t sets = (size_t)cache->set_mask + 1;
    size_t buckets = (size_t)cache->index_mask + 1;
    cache->keys = allocate(entries, sizeof *cache->keys);
    cache->tags = allocate(entries, sizeof *cache->tags);
    cache->payloads = allocate(entries, cache->config.payload_bytes);
    cache->valid = allocate(sets * cache->valid_words, sizeof *cache->valid);
    cache->index = allocate(buckets, sizeof *cache->index);
    cache->chain_heads = allocate(buckets, sizeof *cache->chain_heads);
    cache->chains = allocate(entries, sizeof *cache->chains);
    if (cache->keys == NULL || cache->tags == NULL || cache->payloads == NULL || cache->valid == NULL ||
        cache->index == NULL || cache->chain_heads == NULL || cache->chains == NULL)
        return false;
    for (size_t i = 0; i < buckets; i++) {
        cache->index[i] = IOM_CACHE_NO_SLOT;
        cache->chain_heads[i] = IOM_CACHE_NO_SLOT;
    }
    return true;
}

struct iom_cache *iom_cache_create(const struct iom_cache_config *config, uint64_t seed, const char *path)
{
    if (iom_cache_config_error(config) != NULL)
        return NULL;
    struct iom_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return NULL;
    cache->config = *config;
    cache->due = IOM_NEVER;
    // A cache of no entries has one set of no ways, and an index in which nothing is ever found.
    cache->ways = config->entries != 0 ? config->ways : 0;
    uint32_t sets = config->entries != 0 ? config->entries / config->ways : 1;
    cache->set_mask = sets - 1;
    cache->set_log2 = iom_log2_u64(sets);
    cache->valid_words = (cache->ways + 63) / 64;
    // At most half full, so that runs of buckets stay short; two buckets at least, to keep the shift
    // below 64.
    unsigned bucket_log2 = iom_log2_u64(iom_max_u64(config->entries, 1)) + 2;
    cache->index_mask = (UINT32_C(1) << bucket_log2) - 1;
    cache->index_shift = 64 - bucket_log2;
    if (!allocate_slots(cache) || !iom_cache_policy_create(cache, seed, path)) {
        iom_cache_destroy(cache);
        return NULL;
    }
    return cache;
}

void iom_cache_destroy(struct iom_cache *cache)
{
    if (cache == NULL)
        return;
    iom_cache_policy_destroy(cache);
    free(cache->keys);
    free(cache->tags);
    free(cache->payloads);
    free(cache->valid);
    free(cache->index);
    free(cache->chain_heads);
    free(cache->chains);
    free(cache->pending.fill_tags);
    free(cache->pending.fill_payloads);
    free(cache->pending.invalidations);
    free(cache);
}

void iom_cache_sync(struct iom_cache *cache, iom_cycle cycle)
{
    assert(cache->due == IOM_NEVER || cycle >= cache->due);
    if (cycle > cache->due)
        iom_cache_apply_pending(cache);
}

// The common case, no changes pending and a hit in the first class, stands alone with the rest in other
// files: so it needs no saved registers.
int32_t iom_cache_probe(struct iom_cache *cache, iom_cycle cycle, const struct iom_tag *key)
{
    assert(cache->due == IOM_NEVER || cycle >= cache->due);
    if (cycle > cache->due)
        return iom_cache_apply_and_probe(cache, key);
    // (Of an empty cache too: whatever is in its first class, the index holds nothing.)
    struct iom_cache_key identity = iom_cache_key_in(&cache->classes[0], key);
    int32_t slot = iom_cache_find(cache, &identity);
    return slot >= 0 || cache->class_count <= 1 ? slot : iom_cache_probe_classes(cache, key, 1);
}

static void check_slot(const struct iom_cache *cache, int32_t slot)
{
    assert(slot >= 0 && (uint32_t)slot < cache->config.entries);
    (void)cache;
    (void)slot;
}

const struct iom_tag *iom_cache_tag(const struct iom_cache *cache, int32_t slot)
{
    check_slot(cache, slot);
    return &cache->tags[slot];
}

const void *iom_cache_payload(const struct iom_cache *cache, int32_t slot)
{
    check_slot(cache, slot);
    return iom_cache_payload_at(cache, (uint32_t)slot);
}

void *iom_cache_payload_mut(struct iom_cache *cache, int32_t slot)
{
    check_slot(cache, slot);
    return iom_cache_payload_at(cache, (uint32_t)slot);
}

uint32_t iom_cache_count_matching(struct iom_cache *cache, iom_cycle cycle,
                                  const struct iom_cache_match *match)
{
    iom_cache_sync(cache, cycle);
    return iom_cache_visit(cache, match, IOM_CACHE_COUNT_ONLY);
}

uint32_t iom_cache_valid_entries(struct iom_cache *cache, iom_cycle cycle)
{
    iom_cache_sync(cache, cycle);
    return cache->valid_count;
}

const struct iom_cache_config *iom_cache_config_of(const struct iom_cache *cache)
{
    return &cache->config;
}

const struct iom_cache_counts *iom_cache_counts_of(const struct iom_cache *cache)
{
    return &cache->counts;
}

void iom_cache_set_observer(struct iom_cache *cache, const struct iom_cache_observer *observer)
{
    cache->observer = observer != NULL ? *observer : (struct iom_cache_observer){.context = NULL};
}
