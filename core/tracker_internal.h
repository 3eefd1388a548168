// SPDX-License-Identifier: Apache-2.0
//
// Inside of the hazard tracker; nobody else includes this.
//
//   tracker.c               life, uses and landings of requests
//   tracker_node.c          provenance nodes, references, the watch on words
//   tracker_change.c        changes of words and views: marks, software's view of memory
//   tracker_obligation.c    obligations and what they still owe
//   tracker_cache.c         entries of the watched caches
//   tracker_confirm.c       uncached walks: is it really stale?
//   tracker_settle.c        what happens between two cycles; end of the run
//   tracker_scope.c         what an invalidation covers
//   tracker_invalidation.c  invalidations under way
//   tracker_history.c       those that have ended: duplicate, needless, too wide
//   tracker_driver.c        completions and reports; owners of pages
//   tracker_report.c        findings and statistics
//   tracker_map.c           a small hash map
//
// Everything is referred to by index into arrays that only grow, so that nothing is allocated per request
// once the arrays have their size, and so that nothing depends on the order of pointers.
#ifndef IOM_CORE_TRACKER_INTERNAL_H
#define IOM_CORE_TRACKER_INTERNAL_H

#include "core/tracker_map.h"
#include "core/tracker_report.h"

// ---- nodes -------------------------------------------------------------------------------------------

/// An iom_node is an index and, above it, the generation of that place, so that one that has outlived its
/// node is recognised.
#define IOM_TRACK_INDEX_BITS 24u
#define IOM_TRACK_INDEX_MASK ((UINT32_C(1) << IOM_TRACK_INDEX_BITS) - 1)

enum iom_track_node_flag {
    IOM_TRACK_LIMBO = 1u << 0,   ///< listed in limbo
    IOM_TRACK_WITNESS = 1u << 1, ///< a context: its witness says who uses it
};

/// One cache line. Children of a node hang in a list of edges: child * 2 + which of its parents this is.
struct iom_track_node {
    uint64_t address; ///< words read: [address, address + bytes), within one line; bytes 0: a join
    uint32_t refs;    ///< cache entries, walks, DMA, children
    uint32_t mark;    ///< obligation that made it stale, 0 = none
    uint32_t root;    ///< hash of the table roots of its first user, 0 = not used yet
    uint32_t parent[2];
    uint32_t first_child;                ///< edge
    uint32_t next[2], previous[2];       ///< edges: neighbours among the children of parent[i]
    uint32_t watch_next, watch_previous; ///< nodes: neighbours in the chain of the first word
    uint32_t first_holder;               ///< cache entry that holds it
    uint8_t bytes;
    uint8_t generation;
    uint8_t flags; ///< enum iom_track_node_flag
    uint8_t reserved;
};
_Static_assert(sizeof(struct iom_track_node) == 64, "a node is one cache line");

/// Who uses a context node; enough to walk the tables as it would.
struct iom_track_witness {
    uint32_t source;
    uint32_t pasid; ///< IOM_TRACK_NO_PASID: none
    uint32_t domain, asid;
};
#define IOM_TRACK_NO_PASID UINT32_MAX

/// The identifier by which the driver reports an address space: that of the space where tables are told apart
/// by it (PSCID), else that of the domain.
static inline uint32_t iom_track_space(uint32_t domain, uint32_t asid)
{
    return asid != 0 ? asid : domain;
}

/// A node whose last reference is gone, and when.
struct iom_track_limbo {
    uint32_t node;
    iom_cycle since;
};
/// Nodes in limbo that are worth settling the caches for.
#define IOM_TRACK_LIMBO_BATCH 64u

// ---- caches ------------------------------------------------------------------------------------------

/// What a cache slot holds. Number: base of the cache + slot; 0 is none.
struct iom_track_holder {
    uint32_t node;           ///< 0: nothing, or of unknown origin
    uint32_t next, previous; ///< holders of the same node
    uint32_t copy;           ///< what an obligation knows it as, 0 = not at all
};

struct iom_track_cache {
    struct iom_tracker *tracker;
    struct iom_cache *cache;
    uint32_t base;
    uint32_t node_at; ///< offset of the node in the payload
    uint32_t index;
    uint8_t kind; ///< enum iom_tracked_cache
    uint8_t iommu;
};

// ---- obligations -------------------------------------------------------------------------------------

enum iom_track_verdict {
    IOM_TRACK_UNKNOWN, ///< not judged yet, or nothing to judge by
    IOM_TRACK_SAME,    ///< no copy differs from the tables
    IOM_TRACK_DIRTY,   ///< only a dirty bit is missing in the tables
    IOM_TRACK_STALE,
};

/// A change of words that somebody holds copies of.
struct iom_track_obligation {
    uint64_t address;   ///< of the first changed word
    uint64_t old_value; ///< of it
    uint64_t bytes;     ///< to the end of the last changed word
    iom_cycle created, commanded, completed, reported;
    iom_cycle removed; ///< last removal of a copy so far
    iom_cycle partly;  ///< first report that named only some of its domains
    iom_cycle executed[IOM_TRACKED_DEVICE_TLB + 1u];
    uint64_t invalidation;   ///< the last one that covered a copy
    uint64_t first, last;    ///< scope: input addresses of the copies
    uint32_t domain;         ///< scope
    uint32_t stream;         ///< scope: IOM_ANY_STREAM if several or not known
    uint32_t holds;          ///< lists and nodes that refer to it
    uint32_t nodes;          ///< nodes marked by it
    uint32_t pending;        ///< copies whose removal has not been executed
    uint32_t copies;         ///< copies ever seen
    uint32_t first_copy;     ///< pending copies
    uint32_t next, previous; ///< in the list of its region; `next` also links the free list
    uint8_t origin;          ///< enum iom_write_origin
    uint8_t verdict;         ///< enum iom_track_verdict
    uint8_t iommu;
    bool has_old; ///< old_value is valid
    bool open;    ///< in the list of its region
    bool fresh;   ///< waits for the next completion
    bool missed;  ///< was found missing
    bool whole;   ///< scope is not an address range (contexts)
    bool cleared; ///< all its copies were gone at least once
};

/// A copy that an obligation asks to remove.
struct iom_track_copy {
    struct iom_tag tag;
    iom_cycle commanded; ///< begin of the first invalidation that covers it, IOM_NEVER: none
    uint32_t obligation;
    uint32_t holder;                     ///< where it is, if it still is
    uint32_t node;                       ///< what it was built from
    uint32_t next, previous;             ///< of the obligation
    uint32_t scope_next, scope_previous; ///< of the same domain or stream
    uint32_t paid_next;                  ///< of the same invalidation
    uint32_t active;                     ///< active invalidation that covers it (place + 1), 0 = none
    uint32_t domain;                     ///< IOM_TRACK_ANY_DOMAIN: not known by the copy
    uint16_t cache;                      ///< number of the watched cache
    bool late;                           ///< came into being after an invalidation was commanded
    bool reported;                       ///< its domain was reported, others of the obligation may not be
};

#define IOM_TRACK_ANY_DOMAIN UINT32_MAX
#define IOM_TRACK_SCOPES 256u   ///< lists of copies by domain, and by stream
#define IOM_TRACK_REGIONS 1024u ///< lists of obligations by domain and address
#define IOM_TRACK_REGION_LOG2 21u
/// One more list: obligations whose scope is not within one region.
#define IOM_TRACK_WIDE IOM_TRACK_REGIONS

/// A report of the driver, kept for changes whose scope is not known by a copy.
struct iom_track_reported {
    iom_cycle at;
    uint64_t first, last;
    uint32_t domain, stream;
    uint8_t iommu;
};
#define IOM_TRACK_REPORTS 1024u

// ---- invalidations -----------------------------------------------------------------------------------

struct iom_track_invalidation {
    struct iom_invalidation what;
    iom_cycle begun, ended;
    uint64_t begun_sequence, ended_sequence;         ///< places in the order of fills, begins and ends
    uint64_t removed;                                ///< entries
    uint64_t good;                                   ///< of these: whose sources had not changed
    uint64_t stopped;                                ///< walks under way
    iom_cycle executed[IOM_TRACKED_DEVICE_TLB + 1u]; ///< per kind of cache, the last one
    uint32_t first_paid;                             ///< copies it covers
    uint8_t iommu;
    bool used;
    bool paid;      ///< covers a copy
    bool repeats;   ///< lies within an earlier one, nothing has happened since
    bool candidate; ///< history: a duplicate unless it turns out that a walk was under way
    bool counting;  ///< history: a cache may still have to apply it
};
#define IOM_TRACK_HISTORY 64u

/// What a request has used, as far as an invalidation can name it.
struct iom_track_request {
    uint64_t address;
    uint32_t domain, asid, source;
    uint32_t targets; ///< enum iom_invalidate_target: caches that may have served it
    uint8_t iommu;
    bool anywhere; ///< device TLBs: whatever the address
};

/// When something last happened in a scope (hashed: too late rather than too early).
struct iom_track_activity {
    uint64_t any;
    uint64_t domain[IOM_TRACK_SCOPES];
    uint64_t large[IOM_TRACK_SCOPES]; ///< pages larger than a region
    uint64_t region[IOM_TRACK_REGIONS];
};

// ---- suspects ----------------------------------------------------------------------------------------

/// A use to be confirmed when its cycle is over.
struct iom_track_suspect {
    iom_cycle at;      ///< cycle of the use, or of becoming visible
    iom_cycle used_at; ///< cycle of the use
    uint64_t id, address, output, attributes;
    uint32_t source, pasid, bytes, cache;
    uint32_t node[2];
    uint32_t domain, asid;
    uint32_t holder; ///< with has_entry: where the entry was
    uint16_t flags;
    uint8_t outcome, permissions, size_log2, iommu;
    bool landing, root_mismatch, has_entry;
    struct iom_tag entry;
};

// ---- paths -------------------------------------------------------------------------------------------

/// Words within one line that a confirming walk has read (the hull of several).
struct iom_track_words {
    uint64_t first, last;
};
/// Most lines noted: a table of small pages and the way to it.
#define IOM_TRACK_PATH 96u

// ---- tracker -----------------------------------------------------------------------------------------

struct iom_track_iommu {
    struct iom_tracker_iommu config;
    iom_node root; ///< current view; the tracker holds a reference to it and to its predecessors
};

struct iom_tracker {
    // What a use reads, together.
    iom_cycle now;    ///< cycle of the latest call
    iom_cycle before; ///< the one before that
    struct iom_track_node *nodes;
    uint32_t node_count; ///< places of `nodes`; place 0 is never used
    bool work;           ///< there is something to settle when the cycle is over
    bool driver;
    uint32_t candidates; ///< possible duplicates in history
    uint32_t free_node;
    uint32_t *watch; ///< [word] first node of the chain
    uint32_t watch_mask;
    struct iom_track_witness *witnesses; ///< [node]
    uint32_t nodes_used;

    struct iom_track_limbo *limbo;
    uint32_t limbo_count, limbo_capacity;
    uint32_t *stack; ///< of the walk over descendants
    uint32_t stack_capacity;

    struct iom_track_cache **caches;
    uint32_t cache_count, cache_capacity;
    struct iom_track_holder *holders; ///< [number]
    uint32_t holder_count;

    struct iom_track_obligation *obligations; ///< place 0 is never used
    uint32_t obligation_count, free_obligation, obligations_open, obligation_limit, newest;
    struct iom_track_copy *copies; ///< place 0 is never used
    uint32_t copy_count, free_copy;
    uint32_t copies_by_domain[IOM_TRACK_SCOPES], copies_by_stream[IOM_TRACK_SCOPES];
    uint32_t regions[IOM_TRACK_REGIONS + 1];
    uint32_t *unjudged, *awaiting, *overdue; ///< obligations: new; for the next completion; reported unpaid
    uint32_t unjudged_count, unjudged_capacity, awaiting_count, awaiting_capacity;
    uint32_t overdue_count, overdue_capacity;
    struct iom_track_reported *reports; ///< ring
    uint64_t report_count;

    struct iom_track_invalidation *active;
    uint32_t active_count;
    uint32_t active_used;                   ///< of these: under way
    struct iom_track_invalidation *history; ///< ring
    uint64_t history_count;
    uint64_t sequence;               ///< invalidations begun and ended so far, orders fills against them
    struct iom_track_activity fills; ///< by sequence
    struct iom_track_activity walks; ///< by cycle

    struct iom_track_suspect *suspects;
    uint32_t suspect_count, suspect_capacity;

    struct iom_track_words path[IOM_TRACK_PATH]; ///< read by the walks since noting began
    uint32_t path_count;                         ///< of these; more than IOM_TRACK_PATH: too many
    bool noting;

    const struct iom_memory_image *image;
    struct iom_track_map stores; ///< word address -> value, obligation: stored but not written back
    struct iom_track_map owners; ///< page -> its last owners (tracker_driver.c)
    struct iom_track_iommu iommu[IOM_TRACKER_IOMMUS];
    uint32_t iommus;

    struct iom_finding *findings;
    size_t finding_count, finding_capacity;
    uint32_t findings_per_kind;
    uint64_t findings_of[IOM_FINDING_KINDS];
    uint64_t hazard_findings;
    struct iom_tracker_stats stats;
};

/// Grows an array of `*capacity` elements of `bytes` to hold `count`; aborts when memory is out.
void *iom_track_grow(void *array, uint32_t *capacity, uint32_t count, size_t bytes);

// tracker_settle.c

/// The first call of a later cycle has come: settles what was left by the ones before.
void iom_track_settle(struct iom_tracker *tracker);

/// To be called first by every function that belongs to a cycle.
static inline void iom_track_enter(struct iom_tracker *tracker, iom_cycle now)
{
    if (now <= tracker->now)
        return;
    tracker->before = tracker->now;
    tracker->now = now;
    if (tracker->work)
        iom_track_settle(tracker);
}

// tracker_node.c

/// Place of a node, 0 if it is gone.
static inline uint32_t iom_track_index(struct iom_tracker *tracker, iom_node node)
{
    uint32_t index = node & IOM_TRACK_INDEX_MASK; // 0 for no node: place 0 has generation 0
    if (tracker->nodes[index].generation == node >> IOM_TRACK_INDEX_BITS)
        return index;
    tracker->stats.lost_provenance++;
    return 0;
}
static inline iom_node iom_track_id(const struct iom_tracker *tracker, uint32_t index)
{
    return index | (iom_node)tracker->nodes[index].generation << IOM_TRACK_INDEX_BITS;
}
/// Makes room for more nodes.
void iom_track_add_places(struct iom_tracker *tracker);
/// The last reference to a node is gone.
void iom_track_retire(struct iom_tracker *tracker, uint32_t index);
/// Drops a reference.
static inline void iom_track_release(struct iom_tracker *tracker, uint32_t index)
{
    assert(tracker->nodes[index].refs != 0);
    if (--tracker->nodes[index].refs == 0)
        iom_track_retire(tracker, index);
}
/// Applies what the caches have recorded in earlier cycles and frees nodes that nobody refers to.
void iom_track_clear_limbo(struct iom_tracker *tracker);
/// First node of the chain for the word at `address`. The words of a page lie side by side.
static inline uint32_t *iom_track_watch(const struct iom_tracker *tracker, uint64_t address)
{
    uint64_t page = (address >> IOM_PAGE_LOG2) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    uint64_t word = address >> 3 & (IOM_PAGE_BYTES / 8 - 1);
    return &tracker->watch[(page << (IOM_PAGE_LOG2 - 3) | word) & tracker->watch_mask];
}
/// Does any node begin in the line at `line`?
static inline bool iom_track_watches_line(const struct iom_tracker *tracker, uint64_t line)
{
    const uint32_t *word = iom_track_watch(tracker, line);
    uint32_t any = 0;
    for (unsigned i = 0; i < IOM_LINE_BYTES / 8; i++)
        any |= word[i];
    return any != 0;
}
/// Marks or unmarks one node.
void iom_track_set_mark(struct iom_tracker *tracker, uint32_t index, uint32_t obligation);
/// The nearest ancestor (or itself) with a witness, 0 if none.
uint32_t iom_track_witness_of(const struct iom_tracker *tracker, uint32_t index);
/// Instance whose view the node descends from (0 if none).
uint8_t iom_track_iommu_of(const struct iom_tracker *tracker, uint32_t index);

/// The entry built from node `index` is equal to what walks bring that have read the words noted: it stands
/// on those as well from now on. False: there were too many.
bool iom_track_extend(struct iom_tracker *tracker, uint32_t index);
/// Visits `index` and all its descendants, parents first.
typedef void (*iom_track_visit)(struct iom_tracker *tracker, uint32_t index, void *context);
void iom_track_descend(struct iom_tracker *tracker, uint32_t index, iom_track_visit visit, void *context);

// tracker_change.c

/// Reads memory as software sees it (iom_read_fn; context = the tracker).
enum iom_access iom_track_read(void *context, uint64_t address, void *data, unsigned bytes);
/// Obligation of the stores that make a read of these bytes below `parent` stale at once, 0 if there are
/// none.
uint32_t iom_track_unwritten(struct iom_tracker *tracker, uint32_t parent, uint64_t address, unsigned bytes);
/// Takes the marks of an obligation away again: it has no effect.
void iom_track_unmark(struct iom_tracker *tracker, uint32_t obligation);

// tracker_obligation.c

uint32_t iom_track_oblige(struct iom_tracker *tracker, enum iom_write_origin origin, iom_cycle created,
                          uint64_t address, uint64_t bytes);
/// Records that the entry `holder` is a copy the obligation asks to remove.
void iom_track_owe(struct iom_tracker *tracker, uint32_t obligation, uint32_t holder,
                   const struct iom_tag *tag);
void iom_track_hold(struct iom_tracker *tracker, uint32_t obligation);
void iom_track_let_go(struct iom_tracker *tracker, uint32_t obligation);
/// The copy has been removed in `at` (IOM_NEVER: is of no interest any more).
void iom_track_removed(struct iom_tracker *tracker, uint32_t copy, iom_cycle at);
/// The cycle of the change is over: copies that went in it were none.
void iom_track_forget_gone(struct iom_tracker *tracker, uint32_t obligation);
void iom_track_report(struct iom_tracker *tracker, uint32_t obligation, iom_cycle at);
/// `domain` was reported: an obligation of several domains goes on until all of its copies are.
void iom_track_report_domain(struct iom_tracker *tracker, uint32_t obligation, uint32_t domain, iom_cycle at);
/// Domain of an entry of `cache` built from `node`; IOM_TRACK_ANY_DOMAIN if it is not known.
uint32_t iom_track_space_of(const struct iom_tracker *tracker, const struct iom_track_cache *cache,
                            const struct iom_tag *tag, uint32_t node);
/// Ends an obligation for which nothing is left to happen.
void iom_track_close_if_done(struct iom_tracker *tracker, uint32_t obligation);
void iom_track_close(struct iom_tracker *tracker, uint32_t obligation);
/// Counts how long copies were there: when nothing can be added any more.
void iom_track_count_unprotected(struct iom_tracker *tracker, uint32_t obligation);
/// The copy was reported without ever having been covered by an invalidation, although it could have been.
bool iom_track_is_uncovered(const struct iom_tracker *tracker, const struct iom_track_copy *copy);
/// Number of such copies.
uint32_t iom_track_uncovered(const struct iom_tracker *tracker, uint32_t obligation);
uint32_t iom_track_region(uint32_t domain, uint64_t address);

static inline uint32_t iom_track_scope(uint32_t identifier)
{
    return (identifier ^ identifier >> 8 ^ identifier >> 16) & (IOM_TRACK_SCOPES - 1);
}

// tracker_cache.c

/// The watched cache that a holder belongs to.
struct iom_track_cache *iom_track_cache_of(const struct iom_tracker *tracker, uint32_t holder);
/// Its number among the watched caches.
uint32_t iom_track_cache_number(const struct iom_tracker *tracker, uint32_t holder);
/// Applies everything recorded before tracker->now in all watched caches.
void iom_track_sync(struct iom_tracker *tracker);
/// The entry of `kind` (with the index of device TLBs) that holds a node, 0 if none.
uint32_t iom_track_find_holder(const struct iom_tracker *tracker, uint32_t node, uint32_t cache,
                               uint64_t address);

// tracker_confirm.c

/// Does the request get the same now? Sets what it gets.
enum iom_track_verdict iom_track_confirm(struct iom_tracker *tracker, const struct iom_track_suspect *suspect,
                                         struct iom_xlate *fresh);
/// Is the entry what a walk would put there now? While tracker->noting is set, what is read is noted.
enum iom_track_verdict iom_track_compare_entry(struct iom_tracker *tracker, uint32_t holder);

// tracker_scope.c

/// Does it remove entries of `cache` with this tag?
bool iom_track_covers(const struct iom_track_invalidation *invalidation, const struct iom_track_cache *cache,
                      const struct iom_tag *tag);
/// Does it remove what the request has used? (The instance is not compared.)
bool iom_track_covers_request(const struct iom_track_invalidation *invalidation,
                              const struct iom_track_request *request);
/// Is everything that `inner` matches matched by `outer`?
bool iom_track_fields_within(const struct iom_cache_match *inner, const struct iom_cache_match *outer);
bool iom_track_device_within(const struct iom_device_invalidation *inner,
                             const struct iom_device_invalidation *outer);

// tracker_invalidation.c

/// The invalidation begun last of those that began after cycle `created` and cover the entry, or the
/// request; null if there is none, or it ended too long ago (IOM_TRACK_HISTORY). Valid until the next call of
/// the tracker.
const struct iom_track_invalidation *iom_track_find_covering(const struct iom_tracker *tracker,
                                                             iom_cycle created,
                                                             const struct iom_track_cache *cache,
                                                             const struct iom_tag *tag);
const struct iom_track_invalidation *iom_track_find_covering_request(const struct iom_tracker *tracker,
                                                                     iom_cycle created,
                                                                     const struct iom_track_request *request);
/// Begin of the first of those that cover the entry, IOM_NEVER: none known.
iom_cycle iom_track_covered_since(const struct iom_tracker *tracker, iom_cycle created,
                                  const struct iom_track_cache *cache, const struct iom_tag *tag);
/// An entry has been removed by an invalidation; `good`: its sources had not changed.
void iom_track_count_removed(struct iom_tracker *tracker, const struct iom_track_cache *cache,
                             const struct iom_tag *tag, bool good);

// tracker_history.c

/// Does an invalidation that pays for nothing lie within earlier ones, with nothing happening since?
bool iom_track_repeats(const struct iom_tracker *tracker, const struct iom_track_invalidation *invalidation);
/// It has ended: judged, now or when a walk that may have been under way has shown itself.
void iom_track_retire_invalidation(struct iom_tracker *tracker,
                                   const struct iom_track_invalidation *invalidation);
/// Counts what the newest ones have removed once all caches must have applied them.
void iom_track_count_recent(struct iom_tracker *tracker);
/// A walk has ended: it may have been under way during an invalidation that looks like a duplicate.
void iom_track_walked(struct iom_tracker *tracker, iom_cycle now, const struct iom_dma *dma);
void iom_track_filled(struct iom_tracker *tracker, const struct iom_track_cache *cache,
                      const struct iom_tag *tag);
/// Decides what is left undecided (end of the run).
void iom_track_finish_history(struct iom_tracker *tracker);

// tracker_driver.c

/// Cycle in which a change that concerns the request was reported, IOM_NEVER if it was not.
iom_cycle iom_track_reported_at(const struct iom_tracker *tracker, uint32_t obligation, uint32_t domain,
                                uint32_t stream, uint64_t address);
/// Who has got the page at `address` since the change of cycle `created`; 0: nobody, or not known.
uint32_t iom_track_new_owner(const struct iom_tracker *tracker, uint64_t address, iom_cycle created);

// tracker_report.c

void iom_track_find(struct iom_tracker *tracker, const struct iom_finding *finding);
/// Fills what an obligation says.
void iom_track_describe(const struct iom_tracker *tracker, uint32_t obligation, struct iom_finding *finding);
/// Names the invalidation of a finding whose obligation knows none (null: leaves it at that).
void iom_track_name(const struct iom_track_invalidation *invalidation, struct iom_finding *finding);

#endif
