// SPDX-License-Identifier: Apache-2.0
//
// Which entries an invalidation covers, and the search for them: along the page chains when the range
// holds few pages of the sizes present, else over all valid entries. Matching is by the tag as it was
// filled, whatever fields the cache's look-ups compare.
#include "core/cache_internal.h"

static bool overlaps(uint64_t address, unsigned size_log2, const struct iom_cache_match *match)
{
    if (match->first > match->last)
        return false;
    uint64_t first = iom_align_down(address, size_log2);
    uint64_t last = first | iom_low_bits(UINT64_MAX, size_log2);
    return first <= match->last && last >= match->first;
}

static bool in_range(const struct iom_tag *entry, const struct iom_cache_match *match)
{
    if (match->fields & IOM_TAG_ADDRESS)
        return overlaps(entry->address, entry->size_log2, match);
    if (match->fields & IOM_TAG_SPAN)
        return overlaps(entry->address, entry->span_log2 != 0 ? entry->span_log2 : entry->size_log2, match);
    if (match->fields & IOM_TAG_INTERMEDIATE)
        return overlaps(entry->intermediate, entry->intermediate_log2, match);
    return true;
}

bool iom_tag_matches(const struct iom_tag *entry, const struct iom_cache_match *match)
{
    uint32_t fields = match->fields;
    const struct iom_tag *tag = &match->tag;
    if (entry->global) {
        if (match->keep_global)
            return false;
        if (match->global_matches)
            fields &= ~(uint32_t)(IOM_TAG_SUBSTREAM | IOM_TAG_ASID);
    }
    if ((fields & IOM_TAG_DOMAIN && entry->domain != tag->domain) ||
        (fields & IOM_TAG_STREAM && ((entry->stream ^ tag->stream) & ~match->stream_ignore) != 0) ||
        (fields & IOM_TAG_SUBSTREAM && entry->substream != tag->substream) ||
        (fields & IOM_TAG_ASID && entry->asid != tag->asid) ||
        (fields & IOM_TAG_STAGE && entry->stage != tag->stage) ||
        (fields & IOM_TAG_SECURITY && entry->security != tag->security) ||
        (fields & IOM_TAG_IOMMU && entry->iommu != tag->iommu) ||
        (fields & IOM_TAG_LEVEL && entry->level != tag->level))
        return false;
    return in_range(entry, match);
}

// Broken hardware leaves an entry that is covered (enum iom_cache_quirk).
static bool is_spared(const struct iom_cache *cache, uint32_t slot, const struct iom_cache_match *match)
{
    uint32_t quirks = cache->config.quirks;
    uint64_t address = cache->tags[slot].address;
    return (quirks & IOM_QUIRK_FIRST_SET_ONLY && iom_cache_set_of(cache, slot) != 0) ||
           (quirks & IOM_QUIRK_INNER_ADDRESS_MISSES && match->fields & IOM_TAG_ADDRESS &&
            (address < match->first || address > match->last));
}

// True if `entry` is covered and, when asked, removed.
static bool visit_entry(struct iom_cache *cache, uint32_t slot, const struct iom_cache_match *match,
                        enum iom_cache_action action)
{
    if (!iom_tag_matches(&cache->tags[slot], match))
        return false;
    if (action == IOM_CACHE_REMOVE) {
        if (cache->config.quirks != 0 && is_spared(cache, slot, match))
            return false;
        iom_cache_drop(cache, slot, true);
    }
    return true;
}

static uint32_t visit_all(struct iom_cache *cache, const struct iom_cache_match *match,
                          enum iom_cache_action action)
{
    uint32_t covered = 0;
    for (uint32_t set = 0; set <= cache->set_mask; set++) {
        for (uint32_t word = 0; word < cache->valid_words; word++) {
            // A copy: visiting clears bits of the word itself.
            uint64_t bits = cache->valid[(size_t)set * cache->valid_words + word];
            for (; bits != 0; bits &= bits - 1) {
                uint32_t way = word * 64 + iom_ctz64(bits);
                covered += visit_entry(cache, iom_cache_slot_of(cache, set, way), match, action);
            }
        }
    }
    return covered;
}

static uint32_t visit_page(struct iom_cache *cache, uint64_t address, unsigned size_log2,
                           const struct iom_cache_match *match, enum iom_cache_action action)
{
    uint32_t covered = 0;
    int32_t slot = cache->chain_heads[iom_cache_chain_bucket(cache, address, size_log2)];
    while (slot >= 0) {
        int32_t next = cache->chains[slot].next;
        // A bucket also holds other pages; one of those may be covered too and must be visited once, in
        // its own turn.
        if (cache->tags[slot].address == address && cache->tags[slot].size_log2 == size_log2)
            covered += visit_entry(cache, (uint32_t)slot, match, action);
        slot = next;
    }
    return covered;
}

// The page sizes present, largest first. A list of its own because a visit that removes the last entry
// of a size changes the cache's.
struct size_list {
    uint32_t count;
    uint8_t size_log2[IOM_CACHE_SIZES];
};

static void list_sizes(const struct iom_cache *cache, struct size_list *sizes)
{
    sizes->count = 0;
    for (uint32_t i = 0; i < cache->class_count; i++) {
        uint8_t size = cache->classes[i].size_log2;
        if (sizes->count == 0 || sizes->size_log2[sizes->count - 1] != size)
            sizes->size_log2[sizes->count++] = size;
    }
}

// Pages of a size that the range touches, less one (their number may not fit).
static uint64_t pages_after_first(const struct iom_cache_match *match, unsigned size_log2)
{
    return size_log2 >= 64 ? 0 : (match->last >> size_log2) - (match->first >> size_log2);
}

// Whether the range holds no more pages, of all sizes present, than there are valid entries.
static bool is_narrow(const struct iom_cache *cache, const struct size_list *sizes,
                      const struct iom_cache_match *match)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < sizes->count; i++) {
        uint64_t more = pages_after_first(match, sizes->size_log2[i]);
        if (more >= cache->valid_count)
            return false;
        pages += more + 1;
    }
    return pages <= cache->valid_count;
}

static uint32_t visit_range(struct iom_cache *cache, const struct size_list *sizes,
                            const struct iom_cache_match *match, enum iom_cache_action action)
{
    uint32_t covered = 0;
    for (uint32_t i = 0; i < sizes->count; i++) {
        unsigned size = sizes->size_log2[i];
        uint64_t address = iom_align_down(match->first, size);
        covered += visit_page(cache, address, size, match, action);
        for (uint64_t more = pages_after_first(match, size); more != 0; more--) {
            address += UINT64_C(1) << size;
            covered += visit_page(cache, address, size, match, action);
        }
    }
    return covered;
}

uint32_t iom_cache_visit(struct iom_cache *cache, const struct iom_cache_match *match,
                         enum iom_cache_action action)
{
    if (cache->valid_count == 0)
        return 0;
    if (match->fields & IOM_TAG_ADDRESS) {
        if (match->first > match->last)
            return 0;
        struct size_list sizes;
        list_sizes(cache, &sizes);
        if (is_narrow(cache, &sizes, match))
            return visit_range(cache, &sizes, match, action);
    }
    return visit_all(cache, match, action);
}
