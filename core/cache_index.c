// SPDX-License-Identifier: Apache-2.0
//
// How the cache engine finds entries: the hash index over identities, the chains over pages, the list
// of page sizes present, and the set index of the modelled hardware. Only the last one influences what
// is modelled; the others are shortcuts that give the answer a comparison of all entries would give.
#include "core/cache_internal.h"

static uint32_t rotate_left(uint32_t value, unsigned width)
{
    uint32_t mask = (UINT32_C(1) << width) - 1;
    return ((value << 1) | (value >> (width - 1))) & mask;
}

static uint32_t fold(uint32_t value, unsigned width)
{
    uint32_t result = 0;
    for (; value != 0; value >>= width)
        result ^= value & ((UINT32_C(1) << width) - 1);
    return result;
}

uint32_t iom_cache_set_for(const struct iom_cache *cache, const struct iom_cache_key *identity)
{
    if (cache->set_log2 == 0)
        return 0;
    struct iom_tag tag;
    memset(&tag, 0, sizeof tag);
    memcpy(&tag, identity, sizeof *identity);
    uint64_t page = tag.size_log2 >= 64 ? 0 : tag.address >> tag.size_log2;
    if ((cache->config.index & ~(uint32_t)IOM_TAG_ADDRESS) == 0)
        return (uint32_t)page & cache->set_mask;
    // In the order of enum iom_tag_field.
    const struct {
        uint32_t field, value;
    } fields[] = {
        {IOM_TAG_STREAM, tag.stream}, {IOM_TAG_SUBSTREAM, tag.substream}, {IOM_TAG_DOMAIN, tag.domain},
        {IOM_TAG_ASID, tag.asid},     {IOM_TAG_STAGE, tag.stage},         {IOM_TAG_SECURITY, tag.security},
        {IOM_TAG_IOMMU, tag.iommu},   {IOM_TAG_LEVEL, tag.level},
    };
    uint32_t folded = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (cache->config.index & fields[i].field)
            folded = rotate_left(folded, cache->set_log2) ^ fold(fields[i].value, cache->set_log2);
    }
    return ((uint32_t)page ^ folded) & cache->set_mask;
}

// The class that entries of this size belong to.
static struct iom_cache_class make_class(const struct iom_cache_config *config, unsigned size_log2,
                                         bool global)
{
    uint32_t match = config->match;
    if (global)
        match &= ~(uint32_t)(IOM_TAG_SUBSTREAM | IOM_TAG_ASID);
    struct iom_tag mask = {
        .address = iom_align_down(UINT64_MAX, size_log2),
        .stream = match & IOM_TAG_STREAM ? UINT32_MAX : 0,
        .substream = match & IOM_TAG_SUBSTREAM ? UINT32_MAX : 0,
        .domain = match & IOM_TAG_DOMAIN ? UINT32_MAX : 0,
        .asid = match & IOM_TAG_ASID ? UINT32_MAX : 0,
        .stage = match & IOM_TAG_STAGE ? UINT8_MAX : 0,
        .security = match & IOM_TAG_SECURITY ? UINT8_MAX : 0,
        .iommu = match & IOM_TAG_IOMMU ? UINT8_MAX : 0,
        .level = match & IOM_TAG_LEVEL ? UINT8_MAX : 0,
    };
    struct iom_tag suffix = {.size_log2 = (uint8_t)size_log2, .global = global};
    return (struct iom_cache_class){
        .mask = {.word = {iom_cache_word(&mask, 0), iom_cache_word(&mask, 1), iom_cache_word(&mask, 2),
                          iom_cache_word(&mask, 3)}},
        .suffix = iom_cache_word(&suffix, 3),
        .size_log2 = (uint8_t)size_log2,
        .global = global,
    };
}

// Position of a class in the list of those present, or where it would be inserted.
static uint32_t class_position(const struct iom_cache *cache, unsigned size_log2, bool global)
{
    uint32_t position = 0;
    for (; position < cache->class_count; position++) {
        const struct iom_cache_class *other = &cache->classes[position];
        if (other->size_log2 < size_log2 || (other->size_log2 == size_log2 && other->global >= global))
            break;
    }
    return position;
}

struct iom_cache_key iom_cache_identity(const struct iom_cache *cache, const struct iom_tag *tag)
{
    bool global = tag->global != 0;
    const struct iom_cache_class *first = &cache->classes[0]; // most often there is one size only
    if (cache->class_count != 0 && first->size_log2 == tag->size_log2 && first->global == global)
        return iom_cache_key_in(first, tag);
    if (cache->class_entries[tag->size_log2][global] != 0)
        return iom_cache_key_in(&cache->classes[class_position(cache, tag->size_log2, global)], tag);
    struct iom_cache_class class_ = make_class(&cache->config, tag->size_log2, global);
    return iom_cache_key_in(&class_, tag);
}

static void count_in(struct iom_cache *cache, const struct iom_tag *tag)
{
    bool global = tag->global != 0;
    if (cache->class_entries[tag->size_log2][global]++ != 0)
        return;
    struct iom_cache_class *place = &cache->classes[class_position(cache, tag->size_log2, global)];
    size_t behind = (size_t)(cache->classes + cache->class_count - place);
    memmove(place + 1, place, behind * sizeof *place);
    *place = make_class(&cache->config, tag->size_log2, global);
    cache->class_count++;
}

static void count_out(struct iom_cache *cache, const struct iom_tag *tag)
{
    bool global = tag->global != 0;
    if (--cache->class_entries[tag->size_log2][global] != 0)
        return;
    struct iom_cache_class *place = &cache->classes[class_position(cache, tag->size_log2, global)];
    size_t behind = (size_t)(cache->classes + cache->class_count - place) - 1;
    memmove(place, place + 1, behind * sizeof *place);
    cache->class_count--;
}

uint32_t iom_cache_chain_bucket(const struct iom_cache *cache, uint64_t address, unsigned size_log2)
{
    uint64_t hash = address * UINT64_C(0x9e3779b97f4a7c15) + size_log2 * UINT64_C(0xc2b2ae3d27d4eb4f);
    return (uint32_t)(hash >> cache->index_shift);
}

static void chain_in(struct iom_cache *cache, uint32_t slot)
{
    int32_t *head = &cache->chain_heads[iom_cache_chain_bucket(cache, cache->tags[slot].address,
                                                               cache->tags[slot].size_log2)];
    cache->chains[slot] = (struct iom_cache_chain){.next = *head, .previous = IOM_CACHE_NO_SLOT};
    if (*head >= 0)
        cache->chains[*head].previous = (int32_t)slot;
    *head = (int32_t)slot;
}

static void chain_out(struct iom_cache *cache, uint32_t slot)
{
    const struct iom_tag *tag = &cache->tags[slot];
    struct iom_cache_chain chain = cache->chains[slot];
    if (chain.next >= 0)
        cache->chains[chain.next].previous = chain.previous;
    if (chain.previous >= 0)
        cache->chains[chain.previous].next = chain.next;
    else
        cache->chain_heads[iom_cache_chain_bucket(cache, tag->address, tag->size_log2)] = chain.next;
}

void iom_cache_index_insert(struct iom_cache *cache, uint32_t slot, const struct iom_cache_key *identity)
{
    cache->keys[slot] = *identity;
    uint32_t bucket = iom_cache_bucket(cache, identity);
    while (cache->index[bucket] >= 0)
        bucket = (bucket + 1) & cache->index_mask;
    cache->index[bucket] = (int32_t)slot;
    chain_in(cache, slot);
    count_in(cache, &cache->tags[slot]);
}

// Backward-shift deletion: later entries of the run move up unless that would put one before its home
// bucket. No tombstones, so look-ups never slow down with age.
static void index_out(struct iom_cache *cache, uint32_t slot)
{
    uint32_t mask = cache->index_mask;
    uint32_t hole = iom_cache_bucket(cache, &cache->keys[slot]);
    while (cache->index[hole] != (int32_t)slot)
        hole = (hole + 1) & mask;
    for (uint32_t next = (hole + 1) & mask; cache->index[next] >= 0; next = (next + 1) & mask) {
        uint32_t home = iom_cache_bucket(cache, &cache->keys[cache->index[next]]);
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            cache->index[hole] = cache->index[next];
            hole = next;
        }
    }
    cache->index[hole] = IOM_CACHE_NO_SLOT;
}

void iom_cache_index_remove(struct iom_cache *cache, uint32_t slot)
{
    index_out(cache, slot);
    chain_out(cache, slot);
    count_out(cache, &cache->tags[slot]);
}

int32_t iom_cache_probe_classes(const struct iom_cache *cache, const struct iom_tag *key,
                                uint32_t first_class)
{
    for (uint32_t i = first_class; i < cache->class_count; i++) {
        struct iom_cache_key identity = iom_cache_key_in(&cache->classes[i], key);
        int32_t slot = iom_cache_find(cache, &identity);
        if (slot >= 0)
            return slot;
    }
    return IOM_CACHE_MISS;
}
