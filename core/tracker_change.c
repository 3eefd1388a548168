// SPDX-License-Identifier: Apache-2.0
//
// Changes of words and register views. A change marks the nodes that were read from those words and
// everything built on them. Only words whose value differs are changed.
//
// Memory and software disagree where the page walker is not coherent: a store counts from the moment in
// which software sees it, a read of the word that memory still holds is stale from the start, and the
// write-back itself changes nothing any more. `stores` holds the words in between: value, cycle, obligation.
#include <string.h>

#include "core/tracker_internal.h"

#define WORD_BYTES 8u
#define LINE_WORDS (IOM_LINE_BYTES / WORD_BYTES)

enum { STORE_VALUE, STORE_CYCLE, STORE_OBLIGATION };

// ---- software's view of memory -------------------------------------------------------------------------

enum iom_access iom_track_read(void *context, uint64_t address, void *data, unsigned bytes)
{
    const struct iom_tracker *tracker = context;
    if (tracker->image == NULL)
        return IOM_ACCESS_REFUSED;
    enum iom_access access = iom_memory_image_fetch(tracker->image, address, data, bytes);
    if (access != IOM_ACCESS_OK || tracker->stores.count == 0)
        return access;
    for (uint64_t word = iom_align_down(address, 3); word < address + bytes; word += WORD_BYTES) {
        const struct iom_track_pair *store = iom_track_map_find(&tracker->stores, word);
        if (store == NULL)
            continue;
        unsigned char value[WORD_BYTES];
        memcpy(value, &store->value[STORE_VALUE], sizeof value);
        for (unsigned i = 0; i < WORD_BYTES; i++) {
            if (word + i >= address && word + i < address + bytes)
                ((unsigned char *)data)[word + i - address] = value[i];
        }
    }
    return IOM_ACCESS_OK;
}

uint32_t iom_track_unwritten(struct iom_tracker *tracker, uint32_t parent, uint64_t address, unsigned bytes)
{
    for (uint64_t word = iom_align_down(address, 3); word < address + bytes; word += WORD_BYTES) {
        struct iom_track_pair *store = iom_track_map_find(&tracker->stores, word);
        if (store == NULL)
            continue;
        if (store->value[STORE_OBLIGATION] == 0) { // nobody held a copy when it was stored
            uint32_t obligation =
                iom_track_oblige(tracker, IOM_WRITE_SOFTWARE, store->value[STORE_CYCLE], word, WORD_BYTES);
            tracker->obligations[obligation].has_old = false;
            tracker->obligations[obligation].iommu = iom_track_iommu_of(tracker, parent);
            iom_track_hold(tracker, obligation);
            store->value[STORE_OBLIGATION] = obligation;
        }
        return (uint32_t)store->value[STORE_OBLIGATION];
    }
    return 0;
}

static void forget_store(struct iom_tracker *tracker, uint64_t word)
{
    const struct iom_track_pair *store = iom_track_map_find(&tracker->stores, word);
    uint32_t obligation = (uint32_t)store->value[STORE_OBLIGATION];
    iom_track_map_remove(&tracker->stores, word);
    if (obligation != 0)
        iom_track_let_go(tracker, obligation);
}

// ---- marks ---------------------------------------------------------------------------------------------

struct change {
    enum iom_write_origin origin;
    uint64_t first, last; ///< first byte of the first changed word, last byte of the last one
    uint32_t obligation;  ///< made when it is needed
};

static void need_obligation(struct iom_tracker *tracker, struct change *change, uint32_t node)
{
    if (change->obligation != 0)
        return;
    change->obligation = iom_track_oblige(tracker, change->origin, tracker->now, change->first,
                                          change->last - change->first + 1);
    tracker->obligations[change->obligation].iommu = iom_track_iommu_of(tracker, node);
}

static void owe_holders(struct iom_tracker *tracker, uint32_t obligation, uint32_t index)
{
    for (uint32_t holder = tracker->nodes[index].first_holder; holder != 0;
         holder = tracker->holders[holder].next) {
        const struct iom_track_cache *cache = iom_track_cache_of(tracker, holder);
        iom_track_owe(tracker, obligation, holder,
                      iom_cache_tag(cache->cache, (int32_t)(holder - cache->base)));
    }
}

// A node keeps the mark of its first change. If that one has been invalidated already, the copies that are
// still there are owed once more; if not, one invalidation will do for both.
static void change_node(struct iom_tracker *tracker, uint32_t index, void *context)
{
    struct change *change = context;
    uint32_t mark = tracker->nodes[index].mark;
    if (mark == 0 || tracker->obligations[mark].verdict == IOM_TRACK_DIRTY) {
        need_obligation(tracker, change, index);
        iom_track_set_mark(tracker, index, change->obligation);
        owe_holders(tracker, change->obligation, index);
        return;
    }
    const struct iom_track_obligation *before = &tracker->obligations[mark];
    if (mark == change->obligation ||
        (before->commanded == IOM_NEVER && iom_min_u64(before->reported, before->partly) == IOM_NEVER) ||
        tracker->nodes[index].first_holder == 0)
        return;
    need_obligation(tracker, change, index);
    owe_holders(tracker, change->obligation, index);
}

static bool overlaps(const struct iom_track_node *node, uint64_t first, uint64_t last)
{
    return node->bytes != 0 && node->address <= last && node->address + node->bytes > first;
}

// Visits the nodes of [first, last] in one line, and all built on them. A node stands in the chain of its
// first word.
static void descend_from(struct iom_tracker *tracker, uint64_t line, uint64_t first, uint64_t last,
                         iom_track_visit visit, void *context)
{
    for (uint64_t word = line; word <= last && word < line + IOM_LINE_BYTES; word += WORD_BYTES) {
        for (uint32_t index = *iom_track_watch(tracker, word); index != 0;
             index = tracker->nodes[index].watch_next) {
            if (overlaps(&tracker->nodes[index], first, last))
                iom_track_descend(tracker, index, visit, context);
        }
    }
}

// The words in `mask` (bit i: word i) of the line at `line` change. Returns the obligation, 0 if nobody
// holds a copy.
static uint32_t change_line(struct iom_tracker *tracker, enum iom_write_origin origin, uint64_t line,
                            uint32_t mask)
{
    struct change change = {.origin = origin};
    if (!iom_track_watches_line(tracker, line))
        return 0;
    iom_track_clear_limbo(tracker); // what was dropped earlier holds no copy any more
    for (uint32_t left = mask; left != 0; left &= left - 1) {
        change.first = line + (uint64_t)iom_ctz64(left) * WORD_BYTES;
        change.last = line + (uint64_t)iom_log2_u64(left) * WORD_BYTES + WORD_BYTES - 1;
        descend_from(tracker, line, change.first, change.first + WORD_BYTES - 1, change_node, &change);
    }
    return change.obligation;
}

static void forget_mark(struct iom_tracker *tracker, uint32_t index, void *context)
{
    if (tracker->nodes[index].mark == *(const uint32_t *)context)
        iom_track_set_mark(tracker, index, 0);
}

void iom_track_unmark(struct iom_tracker *tracker, uint32_t obligation)
{
    uint64_t first = tracker->obligations[obligation].address;
    uint64_t last = first + tracker->obligations[obligation].bytes - 1;
    for (uint64_t line = iom_align_down(first, 6); line <= last; line += IOM_LINE_BYTES)
        descend_from(tracker, line, first, last, forget_mark, &obligation);
}

// ---- writes and stores -----------------------------------------------------------------------------------

// The value of a word after [address, address + bytes) has become `data`.
static uint64_t merged(uint64_t value, uint64_t word, uint64_t address, unsigned bytes, const void *data)
{
    unsigned char parts[WORD_BYTES];
    memcpy(parts, &value, sizeof parts);
    for (unsigned i = 0; i < WORD_BYTES; i++) {
        if (word + i >= address && word + i < address + bytes)
            parts[i] = ((const unsigned char *)data)[word + i - address];
    }
    memcpy(&value, parts, sizeof value);
    return value;
}

// Does the write change what software sees in this word?
static bool write_changes(struct iom_tracker *tracker, uint64_t word, uint64_t address, unsigned bytes,
                          const void *data)
{
    uint64_t value = 0;
    bool readable = word < IOM_OPAQUE_SOURCE && tracker->image != NULL &&
                    iom_memory_image_read(tracker->image, word, &value, sizeof value);
    const struct iom_track_pair *store =
        tracker->stores.count != 0 ? iom_track_map_find(&tracker->stores, word) : NULL;
    if (store != NULL) { // software has seen it before, or sees something later
        if (data == NULL || merged(value, word, address, bytes, data) == store->value[STORE_VALUE])
            forget_store(tracker, word);
        return false;
    }
    return data == NULL || !readable || merged(value, word, address, bytes, data) != value;
}

void iom_tracker_write(struct iom_tracker *tracker, iom_cycle now, enum iom_write_origin origin,
                       uint64_t address, unsigned bytes, const void *data)
{
    if (tracker == NULL || bytes == 0)
        return;
    iom_track_enter(tracker, now);
    if (origin == IOM_WRITE_FLAGS)
        return;
    uint64_t last = address + bytes - 1;
    for (uint64_t line = iom_align_down(address, 6); line <= last; line += IOM_LINE_BYTES) {
        if (tracker->stores.count == 0 && !iom_track_watches_line(tracker, line))
            continue;
        uint32_t mask = 0;
        for (unsigned i = 0; i < LINE_WORDS; i++) {
            uint64_t word = line + (uint64_t)i * WORD_BYTES;
            if (word + WORD_BYTES > address && word <= last &&
                write_changes(tracker, word, address, bytes, data))
                mask |= 1u << i;
        }
        if (mask != 0)
            change_line(tracker, origin, line, mask);
    }
}

static void store_word(struct iom_tracker *tracker, uint64_t word, uint64_t address, unsigned bytes,
                       const void *data)
{
    uint64_t before = 0, memory = 0;
    if (iom_track_read(tracker, word, &before, sizeof before) != IOM_ACCESS_OK)
        return;
    iom_memory_image_read(tracker->image, word, &memory, sizeof memory);
    uint64_t value = merged(before, word, address, bytes, data);
    if (value == before)
        return;
    uint64_t line = iom_align_down(word, 6);
    uint32_t obligation = change_line(tracker, IOM_WRITE_SOFTWARE, line, 1u << (word - line) / WORD_BYTES);
    struct iom_track_pair *store = iom_track_map_add(&tracker->stores, word);
    uint32_t earlier = (uint32_t)store->value[STORE_OBLIGATION];
    if (obligation != 0)
        iom_track_hold(tracker, obligation);
    if (earlier != 0 && obligation != 0)
        iom_track_let_go(tracker, earlier);
    store->value[STORE_VALUE] = value;
    store->value[STORE_CYCLE] = tracker->now;
    store->value[STORE_OBLIGATION] = obligation != 0 ? obligation : earlier;
    if (value == memory)
        forget_store(tracker, word);
}

void iom_tracker_store(struct iom_tracker *tracker, iom_cycle now, uint64_t address, unsigned bytes,
                       const void *data)
{
    if (tracker == NULL || bytes == 0)
        return;
    iom_track_enter(tracker, now);
    for (uint64_t word = iom_align_down(address, 3); word < address + bytes; word += WORD_BYTES)
        store_word(tracker, word, address, bytes, data);
}

// ---- register views ------------------------------------------------------------------------------------

// Which events are reported changes no translation.
static bool translate_alike(const struct iom_view *a, const struct iom_view *b)
{
    return a->enabled == b->enabled && a->root == b->root && memcmp(a->extra, b->extra, sizeof a->extra) == 0;
}

void iom_tracker_view(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu, const struct iom_view *view)
{
    if (tracker == NULL || iommu >= tracker->iommus)
        return;
    iom_track_enter(tracker, now);
    struct iom_track_iommu *at = &tracker->iommu[iommu];
    bool alike = translate_alike(&at->config.view, view);
    at->config.view = *view;
    if (alike)
        return;
    uint64_t source = IOM_VIEW_SOURCE + (uint64_t)iommu * WORD_BYTES;
    change_line(tracker, IOM_WRITE_SOFTWARE, iom_align_down(source, 6),
                1u << source % IOM_LINE_BYTES / WORD_BYTES);
    // The old view keeps its reference: walks under way may still name it. Views change a few times in a run.
    at->root = iom_tracker_read(tracker, now, 0, source, WORD_BYTES);
}
