// SPDX-License-Identifier: Apache-2.0
//
// Miss table. Few entries (tens), searched by comparing one hash each. See miss_table.h.
#include "core/miss_table.h"

#include <stdlib.h>
#include <string.h>

bool iom_miss_table_init(struct iom_miss_table *table, uint32_t capacity, uint32_t merges)
{
    memset(table, 0, sizeof *table);
    table->capacity = capacity;
    table->merges = merges;
    table->entries = calloc(capacity, sizeof *table->entries);
    table->signatures = calloc(capacity, sizeof *table->signatures);
    table->free = calloc((capacity + 63) / 64, sizeof *table->free);
    if (table->entries == NULL || table->signatures == NULL || table->free == NULL) {
        iom_miss_table_free(table);
        return false;
    }
    for (uint32_t i = 0; i < capacity; i++)
        table->free[i / 64] |= UINT64_C(1) << (i % 64);
    return true;
}

void iom_miss_table_free(struct iom_miss_table *table)
{
    free(table->entries);
    free(table->signatures);
    free(table->free);
    memset(table, 0, sizeof *table);
}

static uint64_t page_of(const struct iom_tag *key, uint32_t fields)
{
    return fields & IOM_TAG_ADDRESS ? key->address >> IOM_PAGE_LOG2 : 0;
}

static uint64_t sign(uint8_t what, const struct iom_tag *key, uint32_t fields)
{
    uint64_t hash = (page_of(key, fields) + 1) * UINT64_C(0x9e3779b97f4a7c15);
    if (fields & IOM_TAG_STREAM)
        hash = (hash ^ key->stream) * UINT64_C(0xff51afd7ed558ccd);
    if (fields & IOM_TAG_SUBSTREAM)
        hash = (hash ^ key->substream) * UINT64_C(0xc4ceb9fe1a85ec53);
    if (fields & IOM_TAG_DOMAIN)
        hash = (hash ^ key->domain) * UINT64_C(0x94d049bb133111eb);
    // The low byte selects the filter's counter: take it from the best mixed bits.
    return ((hash ^ hash >> 32) << 10) | (hash >> 56) << 2 | (uint64_t)(what + 1u);
}

static uint16_t *filter_of(struct iom_miss_table *table, uint64_t signature)
{
    return &table->filter[signature % 256];
}

static bool same(const struct iom_tag *a, const struct iom_tag *b, uint32_t fields)
{
    return page_of(a, fields) == page_of(b, fields) &&
           (!(fields & IOM_TAG_STREAM) || a->stream == b->stream) &&
           (!(fields & IOM_TAG_SUBSTREAM) || a->substream == b->substream) &&
           (!(fields & IOM_TAG_DOMAIN) || a->domain == b->domain) &&
           (!(fields & IOM_TAG_ASID) || a->asid == b->asid) &&
           (!(fields & IOM_TAG_STAGE) || a->stage == b->stage) &&
           (!(fields & IOM_TAG_SECURITY) || a->security == b->security) &&
           (!(fields & IOM_TAG_IOMMU) || a->iommu == b->iommu);
}

int32_t iom_miss_table_find(const struct iom_miss_table *table, uint8_t what, const struct iom_tag *key,
                            uint32_t fields)
{
    if (table->used == 0)
        return -1;
    uint64_t signature = sign(what, key, fields);
    if (table->filter[signature % 256] == 0)
        return -1;
    for (uint32_t i = 0; i < table->capacity; i++) {
        if (table->signatures[i] == signature && !table->entries[i].poisoned &&
            same(&table->entries[i].key, key, fields))
            return (int32_t)i;
    }
    return -1;
}

int32_t iom_miss_table_allocate(struct iom_miss_table *table, uint8_t what, const struct iom_tag *key,
                                uint32_t fields, struct iom_dma *primary)
{
    if (table->used == table->capacity)
        return -1;
    uint32_t word = 0;
    while (table->free[word] == 0)
        word++;
    uint32_t index = word * 64 + iom_ctz64(table->free[word]);
    table->free[word] &= table->free[word] - 1;
    table->signatures[index] = sign(what, key, fields);
    ++*filter_of(table, table->signatures[index]);
    table->entries[index] = (struct iom_miss){.key = *key, .primary = primary, .what = what, .used = true};
    table->used++;
    return (int32_t)index;
}

bool iom_miss_table_merge(struct iom_miss_table *table, int32_t index, struct iom_dma *dma)
{
    struct iom_miss *miss = &table->entries[index];
    if (miss->merged >= table->merges)
        return false;
    dma->msg.next = NULL;
    if (miss->last == NULL)
        miss->first = dma;
    else
        miss->last->msg.next = &dma->msg;
    miss->last = dma;
    miss->merged++;
    return true;
}

void iom_miss_table_release(struct iom_miss_table *table, int32_t index)
{
    --*filter_of(table, table->signatures[index]);
    table->signatures[index] = 0;
    table->free[index / 64] |= UINT64_C(1) << (index % 64);
    table->entries[index].used = false;
    table->used--;
}

// The page is known, the range does not contain it: remember the range.
static bool misses_range(struct iom_miss *miss, const struct iom_cache_match *match)
{
    uint64_t first = iom_align_down(miss->key.address, IOM_PAGE_LOG2);
    if (match->first > match->last)
        return true;
    if (first <= match->last && first + (IOM_PAGE_BYTES - 1) >= match->first)
        return false;
    miss->doubt_first = miss->doubtful ? iom_min_u64(miss->doubt_first, match->first) : match->first;
    miss->doubt_last = miss->doubtful ? iom_max_u64(miss->doubt_last, match->last) : match->last;
    miss->doubtful = true;
    return true;
}

static uint32_t poison(struct iom_miss_table *table, uint8_t what, const struct iom_cache_match *match,
                       uint32_t known_fields, bool pages_only)
{
    struct iom_cache_match narrowed = *match;
    narrowed.fields &= known_fields & ~(uint32_t)IOM_TAG_ADDRESS;
    // Whether it will be global is not known yet.
    narrowed.keep_global = false;
    if (match->global_matches)
        narrowed.fields &= ~(uint32_t)(IOM_TAG_SUBSTREAM | IOM_TAG_ASID);
    bool by_page = pages_only && match->fields & known_fields & IOM_TAG_ADDRESS;
    uint32_t poisoned = 0;
    for (uint32_t i = 0, left = table->used; left != 0; i++) {
        struct iom_miss *miss = &table->entries[i];
        if (!miss->used)
            continue;
        left--;
        if (miss->what != what || miss->poisoned || !iom_tag_matches(&miss->key, &narrowed) ||
            (by_page && misses_range(miss, match)))
            continue;
        miss->poisoned = true;
        poisoned++;
    }
    return poisoned;
}

uint32_t iom_miss_table_poison(struct iom_miss_table *table, uint8_t what,
                               const struct iom_cache_match *match, uint32_t known_fields)
{
    return poison(table, what, match, known_fields, false);
}

uint32_t iom_miss_table_poison_pages(struct iom_miss_table *table, uint8_t what,
                                     const struct iom_cache_match *match, uint32_t known_fields)
{
    return poison(table, what, match, known_fields, true);
}

bool iom_miss_spoiled(const struct iom_miss *miss, const struct iom_tag *filled)
{
    if (!miss->doubtful)
        return false;
    uint64_t first = iom_align_down(filled->address, filled->size_log2);
    uint64_t last = first | iom_low_bits(UINT64_MAX, filled->size_log2);
    return first <= miss->doubt_last && last >= miss->doubt_first;
}
