// SPDX-License-Identifier: Apache-2.0
//
// Inside of the cache engine (cache.c, cache_index.c, cache_policy.c, cache_change.c, cache_match.c); nobody
// else includes this.
//
// A simulator looks up far more often than it fills, so the work goes where it is rare. A cache of any
// geometry finds an entry through one hash index over (masked tag, page, size) instead of comparing
// ways; sets and ways exist only for the choice of a victim. Identities are unique (cache.h), so the
// index and a comparison of all ways give the same answer. A second set of hash chains over (page,
// size) alone serves invalidations of a narrow range, which rarely name every tag field.
#ifndef IOM_CORE_CACHE_INTERNAL_H
#define IOM_CORE_CACHE_INTERNAL_H

#include <string.h>

#include "core/cache.h"

/// A masked tag as four words: fields that do not take part are 0. Word 0 is the page address, words
/// 1 to 3 are the rest of struct iom_tag in memory order (never written to a file, so byte order is free).
struct iom_cache_key {
    uint64_t word[4];
};
_Static_assert(offsetof(struct iom_tag, intermediate) == sizeof(struct iom_cache_key),
               "what look-ups compare of a tag is four words");
_Static_assert(offsetof(struct iom_tag, stream) == 8, "word 0 of a tag is its address");

/// Entries of one page size, global or not. Only classes with entries are probed.
struct iom_cache_class {
    struct iom_cache_key mask; ///< bits of a key that take part
    uint64_t suffix;           ///< size and global flag, joined into word 3
    uint8_t size_log2;
    bool global;
};

#define IOM_CACHE_SIZES 65u ///< size_log2 0 to 64
#define IOM_CACHE_NO_SLOT IOM_CACHE_MISS

/// Neighbours in the circular list of a set's ways, from oldest to newest (LRU, FIFO).
struct iom_cache_age {
    uint32_t newer;
    uint32_t older;
};

/// Neighbours in a chain of entries whose (page, size) fall into one bucket.
struct iom_cache_chain {
    int32_t next;
    int32_t previous;
};

/// Changes recorded in the current cycle. Grow-only. Touches are not here: nothing reads replacement
/// state before the fills of their cycle are applied, so a touch can be applied when it is recorded.
struct iom_cache_pending {
    struct iom_tag *fill_tags;
    unsigned char *fill_payloads;
    struct iom_cache_match *invalidations;
    uint32_t fills, fill_capacity;
    uint32_t invalidation_count, invalidation_capacity;
};

struct iom_cache {
    // What a probe reads, together.
    iom_cycle due;              ///< pending changes apply before the first cycle after this; IOM_NEVER: none
    int32_t *index;             ///< open addressing, linear probing; IOM_CACHE_NO_SLOT where empty
    struct iom_cache_key *keys; ///< [slot]
    uint32_t class_count;
    uint32_t index_mask;  ///< buckets - 1
    uint32_t index_shift; ///< 64 - log2(buckets)

    uint32_t ways;
    uint32_t set_mask;
    uint32_t set_log2;
    uint32_t valid_words; ///< words of `valid` per set
    uint32_t valid_count;
    struct iom_tag *tags;    ///< [slot], as filled
    unsigned char *payloads; ///< [slot] x config.payload_bytes
    uint64_t *valid;         ///< [set][valid_words], one bit per way

    int32_t *chain_heads;           ///< same buckets as the index, hashed over page and size alone
    struct iom_cache_chain *chains; ///< [slot]

    struct iom_cache_age *ages; ///< [slot] LRU, FIFO
    uint32_t *oldest;           ///< [set] LRU, FIFO: slot of the next victim
    uint8_t *nodes;             ///< [set][ways] PLRU: node 1 is the root, node n's children are 2n and 2n + 1
    uint8_t *intervals;         ///< [slot] SRRIP: predicted re-reference interval, 0 to 3
    struct iom_rng rng;         ///< random policy

    struct iom_cache_pending pending;
    uint32_t class_entries[IOM_CACHE_SIZES][2]; ///< [size_log2][global]
    struct iom_cache_config config;
    struct iom_cache_counts counts;
    struct iom_cache_observer observer;
    /// Classes with entries: largest size first, not global before global.
    struct iom_cache_class classes[2 * IOM_CACHE_SIZES];
};

/// Word `index` of a tag. One load each: copying the whole tag would go through memory twice.
static inline uint64_t iom_cache_word(const struct iom_tag *tag, size_t index)
{
    uint64_t word;
    memcpy(&word, (const unsigned char *)tag + index * sizeof word, sizeof word);
    return word;
}

/// The identity of an entry (or of what a probe looks for) in one class.
static inline struct iom_cache_key iom_cache_key_in(const struct iom_cache_class *class_,
                                                    const struct iom_tag *tag)
{
    return (struct iom_cache_key){.word = {
                                      iom_cache_word(tag, 0) & class_->mask.word[0],
                                      iom_cache_word(tag, 1) & class_->mask.word[1],
                                      iom_cache_word(tag, 2) & class_->mask.word[2],
                                      (iom_cache_word(tag, 3) & class_->mask.word[3]) | class_->suffix,
                                  }};
}

/// Multilinear hashing: the top bits depend on every bit of the key. Word 3 (size, stage, ...) hardly
/// varies within a cache and shares the address's multiplication.
static inline uint32_t iom_cache_bucket(const struct iom_cache *cache, const struct iom_cache_key *key)
{
    uint64_t hash = (key->word[0] + key->word[3]) * UINT64_C(0x9e3779b97f4a7c15) +
                    key->word[1] * UINT64_C(0xc2b2ae3d27d4eb4f) + key->word[2] * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(hash >> cache->index_shift);
}

static inline bool iom_cache_keys_equal(const struct iom_cache_key *a, const struct iom_cache_key *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
           a->word[3] == b->word[3];
}

static inline int32_t iom_cache_find(const struct iom_cache *cache, const struct iom_cache_key *key)
{
    uint32_t bucket = iom_cache_bucket(cache, key);
    for (;; bucket = (bucket + 1) & cache->index_mask) {
        int32_t slot = cache->index[bucket];
        if (slot < 0 || iom_cache_keys_equal(&cache->keys[slot], key))
            return slot; // IOM_CACHE_NO_SLOT is a miss
    }
}

static inline uint32_t iom_cache_set_of(const struct iom_cache *cache, uint32_t slot)
{
    return slot & cache->set_mask;
}

static inline uint32_t iom_cache_way_of(const struct iom_cache *cache, uint32_t slot)
{
    return slot >> cache->set_log2;
}

static inline uint32_t iom_cache_slot_of(const struct iom_cache *cache, uint32_t set, uint32_t way)
{
    return (way << cache->set_log2) + set;
}

static inline uint64_t *iom_cache_valid_word(const struct iom_cache *cache, uint32_t slot)
{
    size_t word =
        (size_t)iom_cache_set_of(cache, slot) * cache->valid_words + iom_cache_way_of(cache, slot) / 64;
    return &cache->valid[word];
}

static inline bool iom_cache_is_valid(const struct iom_cache *cache, uint32_t slot)
{
    return (*iom_cache_valid_word(cache, slot) >> (iom_cache_way_of(cache, slot) % 64) & 1) != 0;
}

static inline unsigned char *iom_cache_payload_at(const struct iom_cache *cache, uint32_t slot)
{
    return cache->payloads + (size_t)slot * cache->config.payload_bytes;
}

// cache_index.c

/// The identity of an entry to be, whether its class has entries or not.
struct iom_cache_key iom_cache_identity(const struct iom_cache *cache, const struct iom_tag *tag);
/// Set of an entry, from its identity (substream and asid of a global entry are 0 there).
uint32_t iom_cache_set_for(const struct iom_cache *cache, const struct iom_cache_key *identity);
/// Enters a slot whose tag is written into the index, its chain and the classes.
void iom_cache_index_insert(struct iom_cache *cache, uint32_t slot, const struct iom_cache_key *identity);
/// Takes a slot out of index, chain and classes.
void iom_cache_index_remove(struct iom_cache *cache, uint32_t slot);
/// Bucket of the chain for entries of one page.
uint32_t iom_cache_chain_bucket(const struct iom_cache *cache, uint64_t address, unsigned size_log2);

/// Looks a key up in the classes from `first_class` on; the slot or IOM_CACHE_MISS.
int32_t iom_cache_probe_classes(const struct iom_cache *cache, const struct iom_tag *key,
                                uint32_t first_class);

// cache_policy.c

/// Allocates and resets the policy's state; false when memory is out.
bool iom_cache_policy_create(struct iom_cache *cache, uint64_t seed, const char *path);
void iom_cache_policy_destroy(struct iom_cache *cache);
/// A fill into `slot`; `refill` if it replaced an entry of the same identity.
void iom_cache_policy_fill(struct iom_cache *cache, uint32_t slot, bool refill);
/// The slot a fill of `set` takes when no invalid way is preferred.
uint32_t iom_cache_policy_victim(struct iom_cache *cache, uint32_t set);

// cache_match.c

/// What to do with the entries a match covers.
enum iom_cache_action { IOM_CACHE_COUNT_ONLY, IOM_CACHE_REMOVE };
/// Visits the entries that `match` covers now; returns how many.
uint32_t iom_cache_visit(struct iom_cache *cache, const struct iom_cache_match *match,
                         enum iom_cache_action action);

// cache_change.c

/// Removes a valid entry, telling the observer.
void iom_cache_drop(struct iom_cache *cache, uint32_t slot, bool by_invalidation);
/// Applies everything recorded.
void iom_cache_apply_pending(struct iom_cache *cache);
/// Both for an operation that finds something due; apart from it to keep the usual way short.
int32_t iom_cache_apply_and_probe(struct iom_cache *cache, const struct iom_tag *key);
void iom_cache_apply_and_touch(struct iom_cache *cache, int32_t slot);

#endif
