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

uint32_t iom_miss_table_poison(struct iom_miss_table *table, uint8_t what,
                               const struct iom_cache_match *match, uint32_t known_fields)
{
    struct iom_cache_match narrowed = *match;
    narrowed.fields &= known_fields;
    narrowed.keep_global = false; // whether it will be global is not known yet
    uint32_t poisoned = 0;
    for (uint32_t i = 0; i < table->capacity; i++) {
        struct iom_miss *miss = &table->entries[i];
        if (!miss->used || miss->what != what || miss->poisoned)
            continue;
        // The size is not known: any page that may hold the address counts, up to the largest that a
        // table level can map. Comparing the 4 KiB page alone would miss a large page.
        struct iom_tag tag = miss->key;
        tag.size_log2 = 64;
        tag.global = 0;
        if (iom_tag_matches(&tag, &narrowed)) {
            miss->poisoned = true;
            poisoned++;
        }
    }
    return poisoned;
}
