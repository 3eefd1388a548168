// SPDX-License-Identifier: Apache-2.0
//
// The miss table (miss status holding registers) of a look-up stage: one entry for each walk under
// way, with the requests that wait for it. A request that misses the same 4 KiB page under the same
// tags joins the entry instead of starting another walk.
//
// An entry stays allocated until its fill has been applied, so that an invalidation finds every walk
// and every fill in transit here and can poison it ("squash at the receiver").
#ifndef IOM_CORE_MISS_TABLE_H
#define IOM_CORE_MISS_TABLE_H

#include "core/cache.h"
#include "core/dma.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_miss {
    struct iom_tag key;           ///< key of the look-up that missed
    struct iom_dma *primary;      ///< request that started the walk
    struct iom_dma *first, *last; ///< requests merged into it, oldest first (linked by msg.next)
    uint32_t merged;              ///< how many
    uint8_t what;                 ///< enum iom_lookup
    bool used;
    bool poisoned; ///< what the walk read may have been invalidated since
    bool doubtful; ///< [doubt_first, doubt_last] was invalidated since: poisons a page that overlaps it
    uint64_t doubt_first, doubt_last;
};

struct iom_miss_table {
    struct iom_miss *entries;
    uint64_t *signatures; ///< per entry: hash of (what, key), 0 = unused
    uint64_t *free;       ///< bit set of unused entries
    /// Entries by the low bits of their signature: most look-ups of what is not there end here.
    uint16_t filter[256];
    uint32_t capacity; ///< entries
    uint32_t merges;   ///< most requests merged into one entry, 0 = no merging
    uint32_t used;     ///< entries in use
};

/// Returns false when memory is out. capacity > 0.
bool iom_miss_table_init(struct iom_miss_table *table, uint32_t capacity, uint32_t merges);
void iom_miss_table_free(struct iom_miss_table *table);

/// Entry for the same look-up, page and tags (compared in `fields`, IOM_TAG_*), or -1. A poisoned
/// entry is not found: what it will bring is not for later requests.
int32_t iom_miss_table_find(const struct iom_miss_table *table, uint8_t what, const struct iom_tag *key,
                            uint32_t fields);

/// Takes a free entry for `primary`, or -1 when the table is full.
int32_t iom_miss_table_allocate(struct iom_miss_table *table, uint8_t what, const struct iom_tag *key,
                                uint32_t fields, struct iom_dma *primary);

/// Adds a waiting request; false when the entry takes no more.
bool iom_miss_table_merge(struct iom_miss_table *table, int32_t index, struct iom_dma *dma);

/// Frees an entry whose requests have been taken over.
void iom_miss_table_release(struct iom_miss_table *table, int32_t index);

/// Poisons every entry of look-up `what` that `match` covers by its tags, whatever its addresses: the page
/// under way may turn out to be so large that it reaches into the range, and the tables on the way to it
/// cover more than the page. What a walk under way does not know yet (all but `known_fields`) counts as
/// matching. Returns how many were poisoned now.
uint32_t iom_miss_table_poison(struct iom_miss_table *table, uint8_t what,
                               const struct iom_cache_match *match, uint32_t known_fields);

/// The same where only translations of the range have changed, not the tables on the way to them: an entry
/// whose 4 KiB page lies outside the range of `match` is not poisoned. It remembers the range (the hull of
/// several), and iom_miss_spoiled says, once the size of the page is known, whether it was reached.
uint32_t iom_miss_table_poison_pages(struct iom_miss_table *table, uint8_t what,
                                     const struct iom_cache_match *match, uint32_t known_fields);

/// Does what the walk brought, an entry with this tag, fall into a range invalidated meanwhile?
bool iom_miss_spoiled(const struct iom_miss *miss, const struct iom_tag *filled);

#ifdef __cplusplus
}
#endif

#endif
