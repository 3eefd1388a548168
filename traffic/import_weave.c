// SPDX-License-Identifier: Apache-2.0
//
// One sequence out of two logs.
//
// The host log's order is kept as it is; guest events are put between its lines, always in the guest's
// own order. A guest event is released
//
//   * at the latest when its anchor (import_align.c) is reached: an unmap at its invalidation,
//   * before a translation that needs the mapping it makes,
//   * else when its time has come, the clocks being tied together at the anchors,
//   * but an unmap not before the operation that uses its range has completed.
//
// What a translation finds unmapped, with no map event to come and none before, was mapped before the
// capture began: such mappings are synthesised and stand at the start of the trace.
#include <stdlib.h>
#include <string.h>

#include "traffic/import_internal.h"

/// Map events of one page looked at for the physical address of a translation.
enum { LOOK_AHEAD = 8 };
/// A map event this much later than a translation is not its cause (the clocks are tied to the us).
#define TOLERANCE_NS UINT64_C(2000000)
#define NO_OFFSET INT64_MAX

/// Map and unmap events by the aligned power-of-two blocks that make up their ranges, so that the
/// events of an address are found whatever their size: at most two blocks of each size per event.
struct page_events {
    struct iom_table heads; ///< device, size and block -> index of first link + 1 << 32 | last link + 1
    struct link {
        uint32_t event;
        uint32_t next; ///< link + 1, 0 = end
    } * links;
    uint32_t count;
    uint32_t room;
    uint64_t sizes; ///< bit n: blocks of 2^n bytes occur
};

struct weave {
    struct iom_import *import;
    struct page_events events;
    struct iom_ranges *live;  ///< space = domain, tag = guest event or IOM_NO_EVENT (synthetic)
    struct iom_ranges *ghost; ///< what was live once; address as it was
    uint32_t *reach;          ///< highest anchor among guest events 0..i (0 if none, anchor + 1)
    uint32_t next;            ///< next guest event
    uint32_t host;            ///< current host event
    int64_t *offset;          ///< per host event that is an anchor: host time - guest time
    uint64_t now_ns;          ///< guest time of the current host event
    uint64_t tie_host_ns;     ///< last tie of the two clocks
    uint64_t tie_guest_ns;
    uint32_t *next_tie; ///< per host event: the next tie at or after it
    bool *ended;        ///< op - 1 -> its completion has been passed
    bool failed;        ///< out of memory
};

// ---------------------------------------------------------------------------------------------------
// Events by address

static uint64_t block_key(uint32_t device, unsigned size_log2, uint64_t block)
{
    return (block ^ (uint64_t)size_log2 << 58) * UINT64_C(0x9e3779b97f4a7c15) ^ device;
}

static bool add_block(struct weave *w, uint32_t event, unsigned size_log2, uint64_t block)
{
    struct page_events *e = &w->events;
    void *array = e->links;
    if (!iom_grow(&array, e->count, &e->room, sizeof *e->links))
        return false;
    e->links = array;
    e->links[e->count] = (struct link){event, 0};
    uint64_t link = ++e->count;
    uint64_t key = block_key(w->import->guest[event].device, size_log2, block);
    uint64_t *head = iom_table_get(&e->heads, key);
    e->sizes |= UINT64_C(1) << size_log2;
    if (head == NULL)
        return iom_table_put(&e->heads, key, link << 32 | link) != NULL;
    e->links[(uint32_t)*head - 1].next = (uint32_t)link;
    *head = (*head & ~UINT64_C(0xffffffff)) | link;
    return true;
}

static bool index_event(struct weave *w, uint32_t event)
{
    const struct iom_guest_event *g = &w->import->guest[event];
    uint64_t at = g->iova;
    for (uint64_t left = g->bytes; left != 0;) {
        unsigned size_log2 = iom_log2_u64(left);
        if (at != 0 && iom_ctz64(at) < size_log2)
            size_log2 = iom_ctz64(at);
        if (!add_block(w, event, size_log2, at >> size_log2))
            return false;
        at += UINT64_C(1) << size_log2;
        left -= UINT64_C(1) << size_log2;
    }
    return true;
}

struct found {
    uint32_t first; ///< next event on the page
    uint32_t map;   ///< next map event on the page with the right physical address
};

/// The physical address a map event gives `iova`.
static uint64_t mapped_address(const struct iom_guest_event *event, uint64_t iova)
{
    return event->address + (iova - event->iova);
}

static void search_block(struct weave *w, uint64_t *head, uint64_t iova, uint64_t address,
                         struct found *found)
{
    struct page_events *e = &w->events;
    uint32_t link = (uint32_t)(*head >> 32);
    while (link != 0 && e->links[link - 1].event < w->next)
        link = e->links[link - 1].next;
    *head = (*head & UINT64_C(0xffffffff)) | (uint64_t)link << 32; // what is passed need not be seen again
    for (int i = 0; link != 0 && i < LOOK_AHEAD; i++, link = e->links[link - 1].next) {
        uint32_t event = e->links[link - 1].event;
        const struct iom_guest_event *g = &w->import->guest[event];
        if (event < found->first)
            found->first = event;
        if (g->kind == IOM_GUEST_MAP && mapped_address(g, iova) == address) {
            found->map = event < found->map ? event : found->map;
            return;
        }
    }
}

static struct found search(struct weave *w, uint32_t device, uint64_t iova, uint64_t address)
{
    struct found found = {IOM_NO_EVENT, IOM_NO_EVENT};
    for (uint64_t sizes = w->events.sizes; sizes != 0; sizes &= sizes - 1) {
        unsigned size_log2 = iom_ctz64(sizes);
        uint64_t *head = iom_table_get(&w->events.heads, block_key(device, size_log2, iova >> size_log2));
        if (head != NULL)
            search_block(w, head, iova, address, &found);
    }
    return found;
}

// ---------------------------------------------------------------------------------------------------
// The clock

/// Guest time of host event `index`: carried on from the last anchor, never past the next.
static uint64_t guest_time(struct weave *w, uint32_t index)
{
    uint64_t host_ns = w->import->host[index].time_ns;
    if (w->offset[index] != NO_OFFSET) {
        w->tie_host_ns = host_ns;
        w->tie_guest_ns = host_ns - (uint64_t)w->offset[index];
    }
    uint64_t passed = host_ns > w->tie_host_ns ? host_ns - w->tie_host_ns : 0;
    uint64_t behind = host_ns < w->tie_host_ns ? w->tie_host_ns - host_ns : 0;
    uint64_t time = w->tie_guest_ns + passed;
    time = time > behind ? time - behind : 0;
    if (w->next_tie[index] != IOM_NO_EVENT) {
        const struct iom_host_event *next = &w->import->host[w->next_tie[index]];
        time = iom_min_u64(time, next->time_ns - (uint64_t)w->offset[w->next_tie[index]]);
    }
    return time;
}

static int compare_offsets(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/// Without anchors: the tenth percentile of how much later than its map event a page's first use came.
static bool estimate_offset(struct weave *w, int64_t *offset)
{
    struct iom_import *import = w->import;
    struct iom_table seen = {0};
    int64_t *offsets = malloc((import->host_count + (size_t)1) * sizeof *offsets);
    uint32_t count = 0;
    bool good = offsets != NULL;
    for (uint32_t i = 0; good && i < import->host_count; i++) {
        const struct iom_host_event *h = &import->host[i];
        uint64_t key = (h->iova >> IOM_PAGE_LOG2) * UINT64_C(0x9e3779b97f4a7c15) ^ h->device;
        if (h->kind != IOM_HOST_TRANSLATE || iom_table_get(&seen, key) != NULL)
            continue;
        good = iom_table_put(&seen, key, 1) != NULL;
        struct found found = search(w, h->device, h->iova, h->address);
        if (found.map != IOM_NO_EVENT && found.map == found.first)
            offsets[count++] = (int64_t)(h->time_ns - import->guest[found.map].time_ns);
    }
    if (good && count != 0) {
        qsort(offsets, count, sizeof *offsets, compare_offsets);
        *offset = offsets[count / 10];
    } else if (good && import->host_count != 0 && import->guest_count != 0) {
        *offset = (int64_t)(import->host[0].time_ns - import->guest[0].time_ns);
    }
    free(offsets);
    iom_table_free(&seen);
    return good;
}

/// Ties the clocks at every anchor whose times do not run backwards.
static bool prepare_clock(struct weave *w)
{
    struct iom_import *import = w->import;
    uint32_t count = import->host_count;
    w->offset = malloc((count + (size_t)1) * sizeof *w->offset);
    w->next_tie = malloc((count + (size_t)1) * sizeof *w->next_tie);
    if (w->offset == NULL || w->next_tie == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        w->offset[i] = NO_OFFSET;
    for (uint32_t i = 0; i < import->guest_count; i++) {
        const struct iom_guest_event *g = &import->guest[i];
        if (g->anchor != IOM_NO_EVENT)
            w->offset[g->anchor] = (int64_t)(import->host[g->anchor].time_ns - g->time_ns);
    }
    uint32_t tie = IOM_NO_EVENT;
    uint64_t earliest = UINT64_MAX;
    for (uint32_t i = count; i-- > 0;) {
        uint64_t time = import->host[i].time_ns - (uint64_t)w->offset[i];
        if (w->offset[i] != NO_OFFSET && time > earliest)
            w->offset[i] = NO_OFFSET;
        if (w->offset[i] != NO_OFFSET) {
            tie = i;
            earliest = time;
        }
        w->next_tie[i] = tie;
    }
    int64_t offset = 0;
    if (tie == IOM_NO_EVENT && count != 0 && !estimate_offset(w, &offset))
        return false;
    if (count != 0) {
        uint32_t first = tie == IOM_NO_EVENT ? 0 : tie;
        offset = tie == IOM_NO_EVENT ? offset : w->offset[first];
        w->tie_host_ns = import->host[first].time_ns;
        w->tie_guest_ns = w->tie_host_ns - (uint64_t)offset;
    }
    return true;
}

// ---------------------------------------------------------------------------------------------------
// Output

static uint32_t add_item(struct weave *w, enum iom_item_kind kind, uint32_t index, uint64_t time_ns)
{
    void *array = w->import->items;
    if (!iom_grow(&array, w->import->item_count, &w->import->item_room, sizeof *w->import->items)) {
        w->failed = true;
        return 0;
    }
    w->import->items = array;
    w->import->items[w->import->item_count] = (struct iom_item){time_ns, index, (uint8_t)kind};
    return w->import->item_count++;
}

static void add_synthetic(struct weave *w, const struct iom_range *range)
{
    void *array = w->import->synthetic;
    if (!iom_grow(&array, w->import->synthetic_count, &w->import->synthetic_room, sizeof *range)) {
        w->failed = true;
        return;
    }
    w->import->synthetic = array;
    w->import->synthetic[w->import->synthetic_count++] = *range;
    w->failed |= !iom_ranges_insert(w->live, range);
}

static struct iom_import_device *device_of(struct weave *w, uint32_t id)
{
    const uint64_t *index = iom_table_get(&w->import->device_index, id);
    return index == NULL ? NULL : &w->import->devices[*index];
}

/// Current domain of a device; 0 for none.
static uint32_t domain_of(struct weave *w, uint32_t id)
{
    const struct iom_import_device *device = device_of(w, id);
    return device == NULL ? 0 : device->domain;
}

// ---------------------------------------------------------------------------------------------------
// Guest events

/// Moves what is live in first..last to the ghosts.
static void bury(struct weave *w, uint32_t domain, uint64_t first, uint64_t last)
{
    const struct iom_range *found;
    w->failed |= !iom_ranges_remove(w->ghost, domain, first, last);
    for (uint64_t at = first;
         !w->failed && (found = iom_ranges_next(w->live, domain, at)) != NULL && found->first <= last;) {
        struct iom_range part = *found;
        if (part.first < first) {
            part.address += first - part.first;
            part.first = first;
        }
        part.last = iom_min_u64(part.last, last);
        w->failed |= !iom_ranges_insert(w->ghost, &part);
        if (part.last == UINT64_MAX)
            break;
        at = part.last + 1;
    }
    w->failed |= !iom_ranges_remove(w->live, domain, first, last);
}

static void apply_map(struct weave *w, uint32_t index, struct iom_guest_event *g)
{
    uint64_t last = g->iova + (g->bytes - 1);
    const struct iom_range *old = iom_ranges_next(w->live, g->domain, g->iova);
    if (old != NULL && old->first <= last) {
        iom_count(w->import, IOM_IMPORT_maps_over_live, 1);
        bury(w, g->domain, g->iova, last);
    }
    struct iom_range range = {
        .first = g->iova, .last = last, .address = g->address, .space = g->domain, .tag = index};
    w->failed |= !iom_ranges_insert(w->live, &range);
    add_item(w, IOM_ITEM_GUEST, index, g->time_ns);
}

/// The guest log alone: the DMA of a streaming buffer, just before it is unmapped.
static void add_self_dma(struct weave *w, uint32_t map, struct iom_guest_event *unmap)
{
    const struct iom_guest_event *g = &w->import->guest[map];
    if (w->import->has_host || g->op == 0)
        return;
    struct iom_import_op *op = &w->import->ops[g->op - 1];
    unmap->op = g->op;
    if (op->completed)
        return; // the first unmap of a buffer that is unmapped in parts
    op->completed = true;
    op->done_item = add_item(w, IOM_ITEM_SELF, map, unmap->time_ns);
}

/// A mapping from before the capture that the guest now unmaps but no translation showed.
static void add_placeholder(struct weave *w, const struct iom_guest_event *g, uint64_t first, uint64_t last)
{
    struct iom_range range = {
        .first = first, .last = last, .address = first, .space = g->domain, .tag = IOM_NO_EVENT};
    range.flags = IOM_TRACE_READ | IOM_TRACE_WRITE;
    const struct iom_range *ghost = iom_ranges_next(w->ghost, g->domain, first);
    if (ghost != NULL && ghost->first <= last) {
        iom_count(w->import, IOM_IMPORT_unmaps_without_map, 1);
        return; // it was unmapped before in this capture
    }
    iom_count(w->import, IOM_IMPORT_placeholder_pages, (last - first + 1) / IOM_PAGE_BYTES);
    add_synthetic(w, &range);
}

static void apply_unmap(struct weave *w, uint32_t index, struct iom_guest_event *g)
{
    uint64_t last = g->iova + (g->bytes - 1);
    uint64_t at = g->iova;
    while (!w->failed) {
        const struct iom_range *found = iom_ranges_next(w->live, g->domain, at);
        if (found == NULL || found->first > last) {
            add_placeholder(w, g, at, last);
            break;
        }
        struct iom_range range = *found;
        if (range.first > at)
            add_placeholder(w, g, at, range.first - 1);
        if (range.op != 0)
            g->op = range.op;
        if (range.tag != IOM_NO_EVENT)
            add_self_dma(w, range.tag, g);
        if (range.last >= last)
            break;
        at = range.last + 1;
    }
    bury(w, g->domain, g->iova, last);
    add_item(w, IOM_ITEM_GUEST, index, g->time_ns);
}

static void apply_attach(struct weave *w, uint32_t index, struct iom_guest_event *g)
{
    struct iom_import_device *device = device_of(w, g->device);
    if (device == NULL)
        return;
    device->domain = w->import->next_domain++;
    g->domain = device->domain;
    add_item(w, IOM_ITEM_GUEST, index, g->time_ns);
}

static void release_one(struct weave *w)
{
    uint32_t index = w->next++;
    struct iom_guest_event *g = &w->import->guest[index];
    if (g->drop)
        return;
    if (g->kind == IOM_GUEST_MAP || g->kind == IOM_GUEST_UNMAP)
        g->domain = domain_of(w, g->device);
    if (g->kind == IOM_GUEST_MAP)
        apply_map(w, index, g);
    else if (g->kind == IOM_GUEST_UNMAP)
        apply_unmap(w, index, g);
    else if (g->kind == IOM_GUEST_ATTACH)
        apply_attach(w, index, g);
    else if (g->kind == IOM_GUEST_MARK)
        add_item(w, IOM_ITEM_GUEST, index, g->time_ns);
}

/// Releases guest events up to and including `index`.
static void release_through(struct weave *w, uint32_t index)
{
    while (w->next <= index && w->next < w->import->guest_count)
        release_one(w);
}

/// True if an unmap must wait: an operation whose completion is still to come uses its range.
static bool in_use(struct weave *w, const struct iom_guest_event *g)
{
    uint64_t last = g->iova + (g->bytes - 1);
    const struct iom_range *range = iom_ranges_next(w->live, domain_of(w, g->device), g->iova);
    return range != NULL && range->first <= last && range->op != 0 && range->op <= w->import->op_count &&
           w->import->ops[range->op - 1].completed && !w->ended[range->op - 1];
}

static void release_due(struct weave *w)
{
    while (w->next < w->import->guest_count) {
        const struct iom_guest_event *g = &w->import->guest[w->next];
        if (g->time_ns > w->now_ns || (g->anchor != IOM_NO_EVENT && g->anchor > w->host) ||
            (g->kind == IOM_GUEST_UNMAP && !g->drop && in_use(w, g)))
            return;
        release_one(w);
    }
}

// ---------------------------------------------------------------------------------------------------
// Host events

static uint64_t range_address(const struct iom_range *range, uint64_t iova)
{
    return range->address + (iova - range->first);
}

/// True if no guest event up to `index` waits for a host event still to come.
static bool may_release(const struct weave *w, uint32_t index)
{
    uint32_t before = w->next == 0 ? 0 : w->reach[w->next - 1];
    return w->reach[index] <= w->host + 1 || w->reach[index] == before;
}

static void synthesise_page(struct weave *w, const struct iom_host_event *h, uint32_t domain)
{
    uint64_t page = iom_align_down(h->iova, IOM_PAGE_LOG2);
    struct iom_range range = {.first = page,
                              .last = page + (IOM_PAGE_BYTES - 1),
                              .address = iom_align_down(h->address, IOM_PAGE_LOG2),
                              .space = domain,
                              .tag = IOM_NO_EVENT};
    range.flags = h->permission != 0 ? h->permission : IOM_TRACE_READ | IOM_TRACE_WRITE;
    add_synthetic(w, &range);
}

/// Brings about the mapping a translation used, releasing map events or synthesising it.
static void provide_mapping(struct weave *w, const struct iom_host_event *h, uint32_t domain)
{
    const struct iom_range *live = iom_ranges_find(w->live, domain, h->iova);
    const struct iom_range *ghost = iom_ranges_find(w->ghost, domain, h->iova);
    bool right = live != NULL && range_address(live, h->iova) == h->address;
    bool taken =
        right && h->op != 0 && h->dma_class == IOM_TRACE_DMA_DATA && live->op != 0 && live->op != h->op;
    if (right && !taken)
        return;
    struct found found = search(w, h->device, h->iova, h->address);
    if (found.map != IOM_NO_EVENT) {
        bool stale = ghost != NULL && range_address(ghost, h->iova) == h->address &&
                     w->import->guest[found.map].time_ns > w->now_ns + TOLERANCE_NS;
        bool only_cause = live == NULL && ghost == NULL && found.first == found.map;
        if ((may_release(w, found.map) && !stale) || only_cause) {
            release_through(w, found.map);
            return;
        }
    }
    if (live != NULL)
        iom_count(w->import, IOM_IMPORT_dma_disagreeing, !right);
    else if (ghost != NULL)
        iom_count(w->import, IOM_IMPORT_dma_without_map, 1);
    else
        synthesise_page(w, h, domain);
}

/// The direction and length of a translation nothing has explained.
static void complete_translation(struct weave *w, struct iom_host_event *h, const struct iom_range *live)
{
    uint8_t mapped = 0;
    if (live != NULL)
        mapped = live->tag == IOM_NO_EVENT ? (uint8_t)live->flags : w->import->guest[live->tag].access;
    if (!h->classified) {
        h->bytes = iom_min_u64(w->import->options.dma_bytes, IOM_PAGE_BYTES - h->iova % IOM_PAGE_BYTES);
        iom_count(w->import, IOM_IMPORT_unclassified_dma, 1);
    }
    if (h->access == IOM_TRACE_READ || h->access == IOM_TRACE_WRITE)
        return;
    h->access = IOM_TRACE_READ;
    if (mapped == IOM_TRACE_READ || mapped == IOM_TRACE_WRITE)
        h->access = mapped;
    else
        iom_count(w->import, IOM_IMPORT_assumed_direction, 1);
}

static void claim(struct weave *w, const struct iom_host_event *h, struct iom_range *live)
{
    if (live == NULL || h->op == 0 || h->dma_class != IOM_TRACE_DMA_DATA || live->tag == IOM_NO_EVENT)
        return;
    live->op = h->op;
    w->import->guest[live->tag].op = h->op;
}

static void on_access(struct weave *w, struct iom_host_event *h)
{
    if (h->drop)
        return;
    if (h->kind == IOM_HOST_TRANSLATE)
        provide_mapping(w, h, domain_of(w, h->device));
    struct iom_range *live = iom_ranges_find(w->live, domain_of(w, h->device), h->iova);
    complete_translation(w, h, live);
    if (h->kind == IOM_HOST_TRANSLATE)
        claim(w, h, live);
    uint32_t item = add_item(w, IOM_ITEM_HOST, w->host, w->now_ns);
    if (h->op != 0 && h->dma_class == IOM_TRACE_DMA_COMPLETION)
        w->import->ops[h->op - 1].done_item = item;
}

static void walk(struct weave *w)
{
    struct iom_import *import = w->import;
    uint32_t *anchored = malloc((import->host_count + (size_t)1) * sizeof *anchored);
    if (anchored == NULL) {
        w->failed = true;
        return;
    }
    for (uint32_t i = 0; i < import->host_count; i++)
        anchored[i] = IOM_NO_EVENT;
    for (uint32_t i = 0; i < import->guest_count; i++)
        if (import->guest[i].anchor != IOM_NO_EVENT)
            anchored[import->guest[i].anchor] = i;
    for (w->host = 0; w->host < import->host_count && !w->failed; w->host++) {
        struct iom_host_event *h = &import->host[w->host];
        w->now_ns = guest_time(w, w->host);
        release_due(w);
        if (anchored[w->host] != IOM_NO_EVENT)
            release_through(w, anchored[w->host]);
        if (h->kind == IOM_HOST_TRANSLATE || h->kind == IOM_HOST_FAULT)
            on_access(w, h);
        if (h->kind == IOM_HOST_COMPLETE && h->op != 0)
            w->ended[h->op - 1] = true;
    }
    free(anchored);
    w->host = IOM_NO_EVENT - 1;
    while (!w->failed && w->next < import->guest_count)
        release_one(w);
}

// ---------------------------------------------------------------------------------------------------

/// The guest log alone: each streaming buffer is an operation of its own.
static bool make_own_ops(struct iom_import *import)
{
    for (uint32_t i = 0; i < import->guest_count && !import->has_host; i++) {
        struct iom_guest_event *g = &import->guest[i];
        if (g->kind != IOM_GUEST_MAP || g->coherent || g->dma_bytes == 0 || g->drop)
            continue;
        void *array = import->ops;
        if (!iom_grow(&array, import->op_count, &import->op_room, sizeof *import->ops))
            return false;
        import->ops = array;
        import->ops[import->op_count] =
            (struct iom_import_op){.bytes = g->dma_bytes, .device = g->device, .first_item = IOM_NO_EVENT};
        g->op = ++import->op_count;
    }
    return true;
}

static bool prepare(struct weave *w)
{
    struct iom_import *import = w->import;
    w->live = iom_ranges_new();
    w->ghost = iom_ranges_new();
    w->reach = malloc((import->guest_count + (size_t)1) * sizeof *w->reach);
    if (w->live == NULL || w->ghost == NULL || w->reach == NULL || !make_own_ops(import))
        return false;
    w->ended = calloc(import->op_count + (size_t)1, sizeof *w->ended);
    if (w->ended == NULL)
        return false;
    uint32_t reach = 0;
    for (uint32_t i = 0; i < import->guest_count; i++) {
        const struct iom_guest_event *g = &import->guest[i];
        if (g->anchor != IOM_NO_EVENT && g->anchor + 1 > reach)
            reach = g->anchor + 1;
        w->reach[i] = reach;
        if ((g->kind == IOM_GUEST_MAP || g->kind == IOM_GUEST_UNMAP) && !g->drop && !index_event(w, i))
            return false;
    }
    for (uint32_t i = 0; i < import->device_count; i++) {
        import->devices[i].domain = import->next_domain++;
        import->devices[i].first_domain = import->devices[i].domain;
    }
    return prepare_clock(w);
}

static int compare_ranges(const void *a, const void *b)
{
    const struct iom_range *left = a;
    const struct iom_range *right = b;
    if (left->space != right->space)
        return left->space < right->space ? -1 : 1;
    return left->first < right->first ? -1 : left->first > right->first;
}

/// Sorts the synthesised mappings and joins neighbours that continue each other.
static void merge_synthetic(struct iom_import *import)
{
    uint32_t kept = 0;
    if (import->synthetic_count == 0)
        return;
    qsort(import->synthetic, import->synthetic_count, sizeof *import->synthetic, compare_ranges);
    for (uint32_t i = 0; i < import->synthetic_count; i++) {
        struct iom_range *range = &import->synthetic[i];
        struct iom_range *before = kept == 0 ? NULL : &import->synthetic[kept - 1];
        iom_count(import, IOM_IMPORT_synthetic_pages, (range->last - range->first + 1) / IOM_PAGE_BYTES);
        if (before != NULL && before->space == range->space && before->flags == range->flags &&
            before->last + 1 == range->first && before->last != UINT64_MAX &&
            before->address + (range->first - before->first) == range->address)
            before->last = range->last;
        else
            import->synthetic[kept++] = *range;
    }
    import->synthetic_count = kept;
    iom_count(import, IOM_IMPORT_synthetic_maps, kept);
}

static void count_left(struct weave *w)
{
    for (uint32_t domain = 0; domain < w->import->next_domain; domain++) {
        const struct iom_range *range = iom_ranges_next(w->live, domain, 0);
        while (range != NULL) {
            iom_count(w->import, IOM_IMPORT_maps_never_unmapped, range->tag != IOM_NO_EVENT);
            range = range->last == UINT64_MAX ? NULL : iom_ranges_next(w->live, domain, range->last + 1);
        }
    }
    // The guest log alone: a buffer never unmapped shows no use and is no operation.
    for (uint32_t i = 0; i < w->import->guest_count && !w->import->has_host; i++) {
        struct iom_guest_event *g = &w->import->guest[i];
        if (g->op != 0 && !w->import->ops[g->op - 1].completed)
            g->op = 0;
    }
}

bool iom_import_weave(struct iom_import *import, struct iom_trace_error *error)
{
    struct weave w = {.import = import};
    bool good = prepare(&w);
    if (good) {
        walk(&w);
        good = !w.failed;
    }
    merge_synthetic(import);
    if (good)
        count_left(&w);
    iom_ranges_free(w.live);
    iom_ranges_free(w.ghost);
    iom_table_free(&w.events.heads);
    free(w.events.links);
    free(w.reach);
    free(w.offset);
    free(w.next_tie);
    free(w.ended);
    return good || iom_trace_fail(error, "out of memory");
}
