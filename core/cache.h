// SPDX-License-Identifier: Apache-2.0
//
// The one cache engine behind every cache of the simulator (IOTLB, context cache, PASID cache,
// paging-structure caches, device TLB, last-level cache of the memory unit).
//
// Geometry: `entries` and `ways`; ways == entries is fully associative; sets = entries / ways is a
// power of two. Entries of several page sizes live side by side: an entry of a large page is found,
// and invalidated, by any address inside it.
//
// State within a cycle (unit rule 4): a probe in cycle c sees the state at the start of c. Changes
// (touch, fill, invalidate) are only recorded in c, and applied in this order - all touches, then
// all fills, then all invalidations - before the first operation of a later cycle. So a probe in
// the cycle of an invalidation still hits, a fill hits from the next cycle, and an invalidation
// removes a matching fill of the same cycle and nothing else.
//
// Changes of one kind are applied in the order they were recorded. A fill that an invalidation of its
// own cycle removes has still displaced its victim, and counts as one fill and one invalidated entry.
//
// Identity: an entry is identified by its page (address and size), by the fields of config.match and
// by whether it is global; substream and asid are no part of a global entry's identity. At most one
// entry of an identity exists; a fill of an identity that is present replaces it in place.
//
// Set: page number (address >> size_log2; 0 for size 64) XOR the folded fields of config.index, modulo
// the number of sets. Folding takes the fields in the order of enum iom_tag_field; each is cut into
// pieces of log2(sets) bits that are XORed, and the result so far rotates left by one bit before the
// next field joins. Consecutive identifiers thus fall into different sets. A global entry counts its
// substream and asid as 0.
//
// Replacement: with prefer_invalid a fill takes the lowest-numbered invalid way of its set. The
// policy's own state is that of the ways, not of the entries: an invalidation leaves it as it is. At
// reset way 0 is the first victim, then 1, 2, ... (LRU, FIFO, SRRIP) or the tree's lower halves (PLRU).
// A replacement in place counts as a use for LRU and SRRIP (interval 0), updates a PLRU tree only under
// plru_touch_on_fill, leaves FIFO's age alone and draws no random number.
//
// The engine knows no time beyond that rule: latencies and look-ups per cycle belong to the stage
// that owns the cache. It never interprets a tag or a payload.
#ifndef IOM_CORE_CACHE_H
#define IOM_CORE_CACHE_H

#include "core/base.h"
#include "core/rng.h"
#include "core/tag.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_cache_policy {
    IOM_POLICY_LRU,    ///< least recently used (fills count as use)
    IOM_POLICY_PLRU,   ///< tree pseudo-LRU, one bit per inner node; ways must be a power of two
    IOM_POLICY_FIFO,   ///< oldest fill
    IOM_POLICY_RANDOM, ///< uniform among the ways, from the cache's own seeded generator
    IOM_POLICY_SRRIP,  ///< static re-reference interval prediction, 2 bits (Jaleel et al., ISCA 2010)
    IOM_POLICY_COUNT,
};

/// Upper bound of iom_cache_config.entries: slots are positive 32-bit numbers.
#define IOM_CACHE_MAX_ENTRIES (UINT32_C(1) << 28)

/// Known ways in which hardware gets invalidations wrong (bit mask).
enum iom_cache_quirk {
    /// Addresses are compared at the base of the entry: a range that begins inside a large page misses it.
    IOM_QUIRK_INNER_ADDRESS_MISSES = 1u << 0,
    IOM_QUIRK_FIRST_SET_ONLY = 1u << 1, ///< entries of set 0 only are removed
};

struct iom_cache_config {
    uint32_t entries;             ///< number of entries; 0 = no cache: every probe misses, fills are dropped
    uint32_t ways;                ///< associativity; entries % ways == 0, sets a power of two
    enum iom_cache_policy policy; ///< replacement policy
    bool prefer_invalid;          ///< a fill takes an invalid way first (off: always the policy's victim)
    bool plru_touch_on_fill;      ///< PLRU: a fill updates the tree like a hit does (hardware differs)
    uint32_t match;               ///< IOM_TAG_* fields that must be equal for a hit (besides the page)
    uint32_t index; ///< IOM_TAG_* fields, a subset of `match`, folded into the set index besides the page
    uint32_t payload_bytes; ///< bytes of payload of each entry
    uint32_t quirks;        ///< enum iom_cache_quirk
};

/// Which entries an invalidation removes: those equal to `tag` in every field of `fields` and, when
/// `fields` has IOM_TAG_ADDRESS, whose page overlaps [first, last] (IOM_TAG_SPAN, IOM_TAG_INTERMEDIATE:
/// see core/tag.h).
struct iom_cache_match {
    struct iom_tag tag;
    uint32_t fields;        ///< IOM_TAG_* fields to compare
    uint64_t first, last;   ///< inclusive byte range of input addresses
    uint32_t stream_ignore; ///< bits of the stream that are not compared
    bool keep_global;       ///< entries with tag.global set stay
    bool global_matches;    ///< a global entry matches whatever its substream and asid
};

/// What a probe returns when nothing matches. Any other value is a slot: way * sets + set.
#define IOM_CACHE_MISS (-1)

struct iom_cache; // opaque

/// Told of every entry that appears or disappears (hazard tracker, statistics), when the change is
/// applied; a replacement in place is a drop and a fill of the same slot. Entries that one invalidation
/// removes are reported in an unspecified but reproducible order. Either function may be null. The
/// observer must not operate on the cache.
struct iom_cache_observer {
    void *context;
    void (*filled)(void *context, uint32_t slot, const struct iom_tag *tag, const void *payload);
    void (*dropped)(void *context, uint32_t slot, const struct iom_tag *tag, const void *payload,
                    bool by_invalidation);
};

/// Counters the engine keeps itself; probes are counted by the owner, which knows demand from replay.
struct iom_cache_counts {
    uint64_t fills;       ///< entries written (refills included)
    uint64_t refills;     ///< fills that replaced an entry of the same identity
    uint64_t evictions;   ///< valid entries of another identity thrown out by a fill
    uint64_t invalidated; ///< entries removed by invalidations
};

/// Checks a configuration. Returns null if it is usable, else a static text that says why not.
const char *iom_cache_config_error(const struct iom_cache_config *config);

/// Makes an empty cache, or returns null when memory is out or the configuration is unusable.
/// `seed` and `path` seed the generator of the random policy (and nothing else).
struct iom_cache *iom_cache_create(const struct iom_cache_config *config, uint64_t seed, const char *path);
void iom_cache_destroy(struct iom_cache *cache);

/// Looks up `key` (key->address any byte address) in the state at the start of `cycle`. Returns the
/// slot, or IOM_CACHE_MISS. If entries of several sizes match, the largest size wins. An entry with
/// tag.global set matches whatever substream and asid the key has; of two entries of one size the one
/// that is not global wins. Does not touch.
int32_t iom_cache_probe(struct iom_cache *cache, iom_cycle cycle, const struct iom_tag *key);

/// Tag and payload of a slot returned by a probe of the same cycle.
const struct iom_tag *iom_cache_tag(const struct iom_cache *cache, int32_t slot);
const void *iom_cache_payload(const struct iom_cache *cache, int32_t slot);
/// Payload for in-place updates by the owner (for example a dirty flag learnt later).
void *iom_cache_payload_mut(struct iom_cache *cache, int32_t slot);

/// Records a use of `slot` for the replacement policy. An owner that touches later than it probed
/// touches the way, whatever it holds by then, as a hardware pipeline does.
void iom_cache_touch(struct iom_cache *cache, iom_cycle cycle, int32_t slot);

/// Records a fill; tag and payload are copied (tag->address aligned to tag->size_log2, which is at most
/// 64). A valid entry of the same identity (see the top) is replaced in place.
void iom_cache_fill(struct iom_cache *cache, iom_cycle cycle, const struct iom_tag *tag, const void *payload);

/// Records an invalidation.
void iom_cache_invalidate(struct iom_cache *cache, iom_cycle cycle, const struct iom_cache_match *match);
/// Records an invalidation of everything.
void iom_cache_invalidate_all(struct iom_cache *cache, iom_cycle cycle);

/// Applies what was recorded before `cycle` (done implicitly by every operation that takes a cycle).
/// Cycles never decrease from one operation to the next. The pending lists grow when a cycle records more
/// changes than any before it; the process aborts if memory runs out there.
void iom_cache_sync(struct iom_cache *cache, iom_cycle cycle);

/// Entries that a match covers, of the state at the start of `cycle` (cost of an invalidation).
uint32_t iom_cache_count_matching(struct iom_cache *cache, iom_cycle cycle,
                                  const struct iom_cache_match *match);

uint32_t iom_cache_valid_entries(struct iom_cache *cache, iom_cycle cycle);
const struct iom_cache_config *iom_cache_config_of(const struct iom_cache *cache);
/// Counters of what has been applied so far: call iom_cache_sync first (IOM_NEVER at the end of a run).
const struct iom_cache_counts *iom_cache_counts_of(const struct iom_cache *cache);
/// Copies `*observer`; null removes the observer.
void iom_cache_set_observer(struct iom_cache *cache, const struct iom_cache_observer *observer);

/// Shared by invalidations of caches, miss tables and walks in flight: does `entry` fall under `match`?
/// An empty range (first > last) matches nothing when `fields` has IOM_TAG_ADDRESS.
bool iom_tag_matches(const struct iom_tag *entry, const struct iom_cache_match *match);

#ifdef __cplusplus
}
#endif

#endif
