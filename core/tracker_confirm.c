// SPDX-License-Identifier: Apache-2.0
//
// Confirmation: a mark says that something a translation was built from has changed; whether it has become
// wrong is decided by walking the tables as software sees them now, with no cache and no side effect.
//
// Equal means: same outcome, same address, and nothing granted that the tables do not grant any more. A
// translation that grants less than the tables is not stale: hardware walks again before it refuses. Whether
// something is granted is asked by walking for it, so accessed and dirty flags (which a walk may set) never
// make a difference; a write for which the walk would have to set a dirty flag is a lost dirty bit.
#include <string.h>

#include "core/tracker_internal.h"

/// Walks that lose against themselves are given up.
#define RETRY_LIMIT 8u
/// Flags a lost-dirty check remembers: more than the levels of both stages.
#define MOST_UPDATES 64u
/// Small pages compared behind one large entry.
#define MOST_PAGES 1024u

static const uint16_t kind_flags = IOM_REQ_WRITE | IOM_REQ_EXEC | IOM_REQ_PRIV | IOM_REQ_POSTED;

static void start_request(struct iom_xlate *x, uint32_t source, uint32_t pasid, uint16_t flags,
                          uint64_t address, uint32_t bytes)
{
    memset(x, 0, sizeof *x);
    x->address = address;
    x->bytes = bytes;
    x->source = source;
    x->pasid = pasid != IOM_TRACK_NO_PASID ? pasid : 0;
    x->flags = (uint16_t)(flags | IOM_REQ_PURE);
}

// ---- what is granted -----------------------------------------------------------------------------------

static bool succeeds(enum iom_outcome outcome)
{
    return outcome == IOM_OUTCOME_ADDRESS || outcome == IOM_OUTCOME_BYPASS;
}

static bool is_interrupt(enum iom_outcome outcome)
{
    return outcome == IOM_OUTCOME_INTERRUPT || outcome == IOM_OUTCOME_MRIF;
}

// Would the tables let this kind of request (permission bits, one at a time) pass?
static bool grants(struct iom_tracker *tracker, const struct iom_track_iommu *at,
                   const struct iom_xlate *like, enum iom_permission permission)
{
    uint16_t flags = (uint16_t)(like->flags & ~(kind_flags | IOM_REQ_TRANSLATE));
    if (permission & (IOM_PERM_WRITE | IOM_PERM_PRIV_WRITE))
        flags |= IOM_REQ_WRITE;
    if (permission & (IOM_PERM_EXEC | IOM_PERM_PRIV_EXEC))
        flags |= IOM_REQ_EXEC;
    if (permission & (IOM_PERM_PRIV_READ | IOM_PERM_PRIV_WRITE | IOM_PERM_PRIV_EXEC))
        flags |= IOM_REQ_PRIV;
    struct iom_xlate x;
    start_request(&x, like->source, like->pasid, flags, like->address, like->bytes);
    iom_translate_pure(at->config.arch, &at->config.view, iom_track_read, tracker, &x);
    return succeeds((enum iom_outcome)x.outcome);
}

static bool grants_all(struct iom_tracker *tracker, const struct iom_track_iommu *at,
                       const struct iom_xlate *fresh, uint8_t permissions)
{
    for (uint32_t left = permissions & ~(uint32_t)fresh->leaf.permissions; left != 0; left &= left - 1) {
        uint32_t bit = left & (~left + 1);
        // Privileged and execute permissions have a meaning only for requests that can ask for them.
        if (!(fresh->flags & IOM_REQ_PASID) && !(bit & (IOM_PERM_READ | IOM_PERM_WRITE)))
            continue;
        if (!grants(tracker, at, fresh, (enum iom_permission)bit))
            return false;
    }
    return true;
}

// ---- lost dirty bits -------------------------------------------------------------------------------------

/// Memory in which a walk may set flags: what it has set, over software's view.
struct updates {
    struct iom_tracker *tracker;
    uint64_t address[MOST_UPDATES], value[MOST_UPDATES];
    uint32_t count;
};

static enum iom_access read_updated(void *context, uint64_t address, void *data, unsigned bytes)
{
    const struct updates *updates = context;
    enum iom_access access = iom_track_read(updates->tracker, address, data, bytes);
    if (access != IOM_ACCESS_OK)
        return access;
    for (uint32_t i = 0; i < updates->count; i++) {
        if (updates->address[i] >= address && updates->address[i] + 8 <= address + bytes)
            memcpy((unsigned char *)data + (updates->address[i] - address), &updates->value[i], 8);
    }
    return access;
}

static enum iom_access update(void *context, uint64_t address, uint64_t expected, uint64_t desired,
                              uint64_t *found)
{
    struct updates *updates = context;
    (void)expected;
    enum iom_access access = read_updated(context, address, found, 8);
    if (access == IOM_ACCESS_OK && updates->count < MOST_UPDATES) {
        updates->address[updates->count] = address;
        updates->value[updates->count++] = desired;
    }
    return access;
}

// A read sets what any access sets; what a write then still has to set is the dirty flag.
static bool owes_dirty(struct iom_tracker *tracker, const struct iom_track_iommu *at,
                       const struct iom_xlate *like)
{
    struct updates updates = {.tracker = tracker};
    const struct iom_functional_memory memory = {&updates, read_updated, update};
    uint16_t flags = (uint16_t)(like->flags & ~(IOM_REQ_WRITE | IOM_REQ_POSTED | IOM_REQ_TRANSLATE));
    struct iom_xlate x;
    start_request(&x, like->source, like->pasid, flags, like->address, like->bytes);
    iom_translate_functional(at->config.arch, &at->config.view, &memory, &x);
    uint32_t before = updates.count;
    start_request(&x, like->source, like->pasid, flags | IOM_REQ_WRITE, like->address, like->bytes);
    iom_translate_functional(at->config.arch, &at->config.view, &memory, &x);
    return updates.count != before;
}

// ---- requests --------------------------------------------------------------------------------------------

static enum iom_track_verdict compare_outcome(struct iom_tracker *tracker, const struct iom_track_iommu *at,
                                              const struct iom_track_suspect *suspect,
                                              const struct iom_xlate *fresh)
{
    bool succeeded = succeeds((enum iom_outcome)suspect->outcome);
    if (succeeded != succeeds((enum iom_outcome)fresh->outcome))
        return IOM_TRACK_STALE;
    if (!succeeded) { // refused is refused, but an interrupt is not
        bool same = is_interrupt((enum iom_outcome)suspect->outcome)
                        ? suspect->outcome == fresh->outcome &&
                              (suspect->outcome != IOM_OUTCOME_MRIF || suspect->output == fresh->leaf.output)
                        : !is_interrupt((enum iom_outcome)fresh->outcome);
        return same ? IOM_TRACK_SAME : IOM_TRACK_STALE;
    }
    if (suspect->output != fresh->leaf.output)
        return IOM_TRACK_STALE;
    if (suspect->outcome == IOM_OUTCOME_BYPASS || fresh->outcome == IOM_OUTCOME_BYPASS)
        return IOM_TRACK_SAME;
    if (((suspect->attributes ^ fresh->leaf.attributes) & at->config.leaf_attributes) != 0 ||
        !grants_all(tracker, at, fresh, suspect->permissions))
        return IOM_TRACK_STALE;
    bool writes = (suspect->permissions & (IOM_PERM_WRITE | IOM_PERM_PRIV_WRITE)) != 0;
    return writes && owes_dirty(tracker, at, fresh) ? IOM_TRACK_DIRTY : IOM_TRACK_SAME;
}

enum iom_track_verdict iom_track_confirm(struct iom_tracker *tracker, const struct iom_track_suspect *suspect,
                                         struct iom_xlate *fresh)
{
    const struct iom_track_iommu *at = &tracker->iommu[suspect->iommu];
    start_request(fresh, suspect->source, suspect->pasid, suspect->flags, suspect->address, suspect->bytes);
    if (at->config.arch == NULL) {
        fresh->outcome = IOM_OUTCOME_NONE;
        return IOM_TRACK_STALE; // provenance is all there is
    }
    iom_translate_pure(at->config.arch, &at->config.view, iom_track_read, tracker, fresh);
    return compare_outcome(tracker, at, suspect, fresh);
}

// ---- entries ---------------------------------------------------------------------------------------------

/// What a walk would put into a cache.
struct fresh_entry {
    struct iom_walk walk;       ///< of the look-up asked for, at its end
    bool reached;               ///< that look-up was taken
    struct iom_psc_fill wanted; ///< paging-structure entry to look for, by stage, level and address
    bool found;                 ///< it was handed out
};

static void note_line(struct iom_tracker *tracker, uint64_t first, uint64_t last)
{
    for (uint32_t i = 0; i < tracker->path_count && tracker->path_count <= IOM_TRACK_PATH; i++) {
        struct iom_track_words *words = &tracker->path[i];
        if (words->first / IOM_LINE_BYTES != first / IOM_LINE_BYTES)
            continue;
        words->first = iom_min_u64(words->first, first);
        words->last = iom_max_u64(words->last, last);
        return;
    }
    if (tracker->path_count < IOM_TRACK_PATH)
        tracker->path[tracker->path_count] = (struct iom_track_words){first, last};
    tracker->path_count += tracker->path_count <= IOM_TRACK_PATH;
}

// Reads as software does, and notes the words.
static enum iom_access read_noted(void *context, uint64_t address, void *data, unsigned bytes)
{
    struct iom_tracker *tracker = context;
    uint64_t last = address + bytes - 1;
    for (uint64_t at = address; tracker->noting && at <= last; at = (at | (IOM_LINE_BYTES - 1)) + 1)
        note_line(tracker, at, iom_min_u64(last, at | (IOM_LINE_BYTES - 1)));
    return iom_track_read(tracker, address, data, bytes);
}

static void perform(struct iom_tracker *tracker, struct iom_walk *walk)
{
    walk->access_error = 0;
    if (walk->action == IOM_WALK_READ)
        walk->access_error = (uint8_t)read_noted(tracker, walk->address, walk->data, walk->bytes);
    else if (walk->action == IOM_WALK_CAS)
        walk->data[0] = walk->expected;
    else
        walk->probe.hit_level = 0;
}

static void note_table(struct fresh_entry *fresh)
{
    const struct iom_psc_fill *fill = &fresh->walk.psc_fill;
    if (fresh->found || !fill->valid || fill->stage != fresh->wanted.stage ||
        fill->level != fresh->wanted.level || fill->tag.address != fresh->wanted.tag.address ||
        fill->tag.stage != fresh->wanted.tag.stage)
        return;
    fresh->wanted.entry = fill->entry;
    fresh->found = true;
}

// Takes the look-ups of `x` up to and including `which`.
static void look_up(struct iom_tracker *tracker, const struct iom_track_iommu *at, struct iom_xlate *x,
                    enum iom_lookup which, struct fresh_entry *fresh)
{
    const struct iom_arch *arch = at->config.arch;
    for (unsigned attempt = 0; attempt < RETRY_LIMIT; attempt++) {
        arch->ops->enter(arch, &at->config.view, x);
        while (x->next != IOM_LOOKUP_DONE && !fresh->reached) {
            struct iom_walk *walk = &fresh->walk;
            memset(walk, 0, sizeof *walk);
            walk->x = *x;
            walk->what = x->next;
            arch->ops->walk_start(arch, &at->config.view, walk);
            note_table(fresh);
            while (walk->action != IOM_WALK_DONE) {
                perform(tracker, walk);
                arch->ops->walk_step(arch, &at->config.view, walk);
                note_table(fresh);
            }
            fresh->reached = walk->what == which && walk->x.outcome != IOM_OUTCOME_RETRY;
            *x = walk->x;
        }
        if (x->next != IOM_LOOKUP_DONE || x->outcome != IOM_OUTCOME_RETRY)
            return;
    }
}

static bool contexts_equal(const struct iom_context *a, const struct iom_context *b)
{
    return a->table[0] == b->table[0] && a->table[1] == b->table[1] && a->attributes == b->attributes &&
           a->domain == b->domain && a->asid == b->asid && a->kind == b->kind &&
           a->levels[0] == b->levels[0] && a->levels[1] == b->levels[1] && a->substream == b->substream;
}

static enum iom_track_verdict compare_context(struct iom_tracker *tracker, const struct iom_track_iommu *at,
                                              struct iom_xlate *x, enum iom_lookup which,
                                              const struct iom_context *entry)
{
    struct fresh_entry fresh = {.reached = false};
    look_up(tracker, at, x, which, &fresh);
    bool same =
        fresh.reached && fresh.walk.fill.valid && contexts_equal(&fresh.walk.fill.payload.context, entry);
    return same ? IOM_TRACK_SAME : IOM_TRACK_STALE;
}

// A level-2 entry caches the table pointer found in a level-2 table entry, and so on.
static enum iom_track_verdict compare_table(struct iom_tracker *tracker, const struct iom_track_iommu *at,
                                            struct iom_xlate *x, const struct iom_tag *tag,
                                            const struct iom_psc_entry *entry, uint32_t index)
{
    struct fresh_entry fresh = {.reached = false};
    fresh.wanted.stage = (uint8_t)(1 + index / IOM_PSC_LEVELS);
    fresh.wanted.level = (uint8_t)(index % IOM_PSC_LEVELS);
    fresh.wanted.tag = *tag;
    look_up(tracker, at, x, IOM_LOOKUP_IOTLB, &fresh);
    // Not on the way of this address (a second-stage table on the way to a first-stage table, perhaps), or
    // rights differ, among which there may be accessed flags: what is built on it will tell.
    if (!fresh.found || fresh.wanted.entry.table != entry->table)
        return fresh.found || tag->stage != 2 ? IOM_TRACK_STALE : IOM_TRACK_UNKNOWN;
    return fresh.wanted.entry.attributes == entry->attributes ? IOM_TRACK_SAME : IOM_TRACK_UNKNOWN;
}

// Walks for each small page behind the entry; `permissions` 0 is an entry that refuses.
static enum iom_track_verdict compare_leaf(struct iom_tracker *tracker, const struct iom_track_iommu *at,
                                           struct iom_xlate *x, const struct iom_tag *tag,
                                           const struct iom_leaf *leaf)
{
    struct iom_xlate like = *x;
    enum iom_track_verdict verdict = IOM_TRACK_SAME;
    uint64_t bytes = UINT64_C(1) << (leaf->size_log2 < 63 ? leaf->size_log2 : 63);
    uint64_t done = 0;
    for (unsigned page = 0; page < MOST_PAGES && done < bytes; page++) {
        struct iom_xlate fresh = like;
        fresh.address = tag->address + done;
        iom_translate_pure(at->config.arch, &at->config.view, read_noted, tracker, &fresh);
        struct iom_track_suspect used = {
            .output = leaf->output + done,
            .attributes = leaf->attributes,
            .outcome = leaf->permissions != 0 ? IOM_OUTCOME_ADDRESS : IOM_OUTCOME_FAULT,
            .permissions = leaf->permissions,
        };
        enum iom_track_verdict one = compare_outcome(tracker, at, &used, &fresh);
        verdict = one > verdict ? one : verdict;
        if (verdict == IOM_TRACK_STALE || !succeeds((enum iom_outcome)fresh.outcome))
            break;
        done += UINT64_C(1) << (fresh.leaf.size_log2 < 63 ? fresh.leaf.size_log2 : 63);
    }
    return verdict;
}

enum iom_track_verdict iom_track_compare_entry(struct iom_tracker *tracker, uint32_t holder)
{
    const struct iom_track_cache *cache = iom_track_cache_of(tracker, holder);
    const struct iom_track_iommu *at = &tracker->iommu[cache->iommu];
    int32_t slot = (int32_t)(holder - cache->base);
    const struct iom_tag *tag = iom_cache_tag(cache->cache, slot);
    const void *payload = iom_cache_payload(cache->cache, slot);
    uint32_t witness = iom_track_witness_of(tracker, tracker->holders[holder].node);
    struct iom_xlate x;
    if (at->config.arch == NULL)
        return IOM_TRACK_UNKNOWN;
    if (cache->kind == IOM_TRACKED_CONTEXT || cache->kind == IOM_TRACKED_PASID) {
        bool pasid = cache->kind == IOM_TRACKED_PASID && witness != 0 &&
                     tracker->witnesses[witness].pasid != IOM_TRACK_NO_PASID;
        start_request(&x, tag->stream, pasid ? tag->substream : IOM_TRACK_NO_PASID, pasid ? IOM_REQ_PASID : 0,
                      0, 1);
        return compare_context(tracker, at, &x,
                               cache->kind == IOM_TRACKED_PASID ? IOM_LOOKUP_PASID : IOM_LOOKUP_CONTEXT,
                               payload);
    }
    if (witness == 0)
        return IOM_TRACK_UNKNOWN;
    uint32_t pasid = tracker->witnesses[witness].pasid;
    start_request(&x, tracker->witnesses[witness].source, pasid,
                  pasid != IOM_TRACK_NO_PASID ? IOM_REQ_PASID : 0, tag->address, 1);
    if (cache->kind == IOM_TRACKED_PSC)
        return compare_table(tracker, at, &x, tag, payload, cache->index);
    const struct iom_leaf *leaf = payload;
    if (!(leaf->permissions & (IOM_PERM_READ | IOM_PERM_PRIV_READ)) && leaf->permissions != 0)
        x.flags |= IOM_REQ_WRITE;
    if (leaf->permissions != 0 && !(leaf->permissions & (IOM_PERM_READ | IOM_PERM_WRITE | IOM_PERM_EXEC)))
        x.flags |= IOM_REQ_PRIV;
    return compare_leaf(tracker, at, &x, tag, leaf);
}
