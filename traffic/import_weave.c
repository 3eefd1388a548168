// SPDX-License-Identifier: Apache-2.0
//
// One sequence out of two logs.
//
// The host log's order is kept as it is; guest events are put between its lines, always in the guest's
// own order. A guest event is released
//
//   * when its anchor (import_align.c) is reached: an unmap at its invalidation,
//   * before the first translation of an operation whose buffers it maps, or of its page,
//   * a map also when its time has come, the clocks being tied together at the anchors.
//
// An unmap is never released by time alone: what forces a later guest event (a map that is used) proves
// that the unmap came before, while the clocks only suggest it.
//
// What a translation finds unmapped, with no map event to come and none before, was mapped before the
// capture began: such mappings are synthesised and stand at the start of the trace.
#include <stdlib.h>
#include <string.h>

#include "traffic/import_internal.h"

struct weave {
    struct iom_import *import;
    struct iom_page_events *events;
    struct iom_import_clock *clock;
    struct iom_ranges *live;  ///< space = domain, tag = guest event or IOM_NO_EVENT (synthesised)
    struct iom_ranges *ghost; ///< what was live once; address as it was
    uint32_t *reach;          ///< highest anchor + 1 among guest events 0..i, 0 if none
    uint32_t next;            ///< next guest event
    uint32_t host;            ///< current host event
    uint64_t now_ns;          ///< guest time of the current host event
    bool failed;              ///< out of memory
};

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
    w->failed |= !iom_ranges_remove(w->ghost, domain, first, last);
    for (uint64_t at = first; !w->failed;) {
        const struct iom_range *found = iom_ranges_next(w->live, domain, at);
        if (found == NULL || found->first > last)
            break;
        struct iom_range part = *found;
        if (part.first < first) {
            part.address += first - part.first;
            part.first = first;
        }
        part.last = iom_min_u64(part.last, last);
        w->failed |= !iom_ranges_insert(w->ghost, &part);
        if (part.last == last)
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

/// A driver that moved the device away first unmaps from the domain it had before.
static void find_old_domain(struct weave *w, struct iom_guest_event *g)
{
    uint64_t last = g->iova + (g->bytes - 1);
    for (uint32_t domain = g->domain; domain != 0; domain = w->import->previous_domain[domain]) {
        const struct iom_range *found = iom_ranges_next(w->live, domain, g->iova);
        if (found != NULL && found->first <= last) {
            g->domain = domain;
            return;
        }
    }
}

static void apply_unmap(struct weave *w, uint32_t index, struct iom_guest_event *g)
{
    uint64_t last = g->iova + (g->bytes - 1);
    uint64_t at = g->iova;
    find_old_domain(w, g);
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
    uint32_t old = device->domain;
    device->domain = w->import->next_domain++;
    w->import->previous_domain[device->domain] = old;
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

static void release_due(struct weave *w)
{
    while (w->next < w->import->guest_count) {
        const struct iom_guest_event *g = &w->import->guest[w->next];
        if (g->time_ns > w->now_ns || (g->anchor != IOM_NO_EVENT && g->anchor > w->host) ||
            (g->kind == IOM_GUEST_UNMAP && g->anchor == IOM_NO_EVENT && !g->drop))
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

/// Brings about the mapping a translation used, releasing map events or synthesising it. With `early`
/// the translation itself is still to come.
static void provide_mapping(struct weave *w, const struct iom_host_event *h, bool early)
{
    uint32_t domain = domain_of(w, h->device);
    const struct iom_range *live = iom_ranges_find(w->live, domain, h->iova);
    const struct iom_range *ghost = iom_ranges_find(w->ghost, domain, h->iova);
    bool right = live != NULL && iom_same_address(h, range_address(live, h->iova));
    bool taken =
        right && h->op != 0 && h->dma_class == IOM_TRACE_DMA_DATA && live->op != 0 && live->op != h->op;
    if (right && !taken)
        return;
    struct iom_found_events found = iom_page_events_find(w->events, h, w->next);
    bool only_cause = live == NULL && ghost == NULL && found.first == found.map;
    if (found.map != IOM_NO_EVENT && (may_release(w, found.map) || only_cause)) {
        release_through(w, found.map);
        return;
    }
    if (early)
        return;
    if (live != NULL)
        iom_count(w->import, IOM_IMPORT_dma_disagreeing, !right);
    else if (ghost != NULL)
        iom_count(w->import, IOM_IMPORT_dma_without_map, 1);
    else
        synthesise_page(w, h, domain);
}

static void claim(struct weave *w, const struct iom_host_event *h)
{
    struct iom_range *live = iom_ranges_find(w->live, domain_of(w, h->device), h->iova);
    if (live == NULL || h->op == 0 || h->dma_class != IOM_TRACE_DMA_DATA || live->tag == IOM_NO_EVENT ||
        !iom_same_address(h, range_address(live, h->iova)))
        return;
    live->op = h->op;
    w->import->guest[live->tag].op = h->op;
}

/// The driver maps the buffers of an operation before the device sees the command, so all its maps come
/// before its first access.
static void start_op(struct weave *w, uint64_t id)
{
    struct iom_import_op *op = &w->import->ops[id - 1];
    if (op->started)
        return;
    op->started = true;
    for (uint32_t i = op->first_data; i != IOM_NO_EVENT; i = w->import->host[i].next_data) {
        const struct iom_host_event *data = &w->import->host[i];
        if (data->drop)
            continue;
        provide_mapping(w, data, true);
        claim(w, data);
    }
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

static void on_access(struct weave *w, struct iom_host_event *h)
{
    if (h->drop)
        return;
    if (h->op != 0)
        start_op(w, h->op);
    if (h->kind == IOM_HOST_TRANSLATE) {
        provide_mapping(w, h, false);
        claim(w, h);
    }
    complete_translation(w, h, iom_ranges_find(w->live, domain_of(w, h->device), h->iova));
    uint32_t item = add_item(w, IOM_ITEM_HOST, w->host, w->now_ns);
    if (h->op != 0 && h->dma_class == IOM_TRACE_DMA_COMPLETION)
        w->import->ops[h->op - 1].done_item = item;
}

static void walk(struct weave *w)
{
    struct iom_import *import = w->import;
    // Last guest event of each anchor, + 1.
    uint32_t *anchored = calloc(import->host_count + (size_t)1, sizeof *anchored);
    if (anchored == NULL) {
        w->failed = true;
        return;
    }
    for (uint32_t i = 0; i < import->guest_count; i++)
        if (import->guest[i].anchor != IOM_NO_EVENT)
            anchored[import->guest[i].anchor] = i + 1;
    if (import->guest_before != 0)
        release_through(w, import->guest_before - 1);
    for (w->host = 0; w->host < import->host_count && !w->failed; w->host++) {
        struct iom_host_event *h = &import->host[w->host];
        w->now_ns = iom_import_clock_guest(w->clock, w->host);
        release_due(w);
        if (anchored[w->host] != 0)
            release_through(w, anchored[w->host] - 1);
        if (h->kind == IOM_HOST_TRANSLATE || h->kind == IOM_HOST_FAULT)
            on_access(w, h);
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

/// Chains the data translations of each operation, in order.
static void chain_data(struct iom_import *import)
{
    for (uint32_t i = 0; i < import->op_count; i++)
        import->ops[i].first_data = IOM_NO_EVENT;
    for (uint32_t i = import->host_count; i-- > 0;) {
        struct iom_host_event *h = &import->host[i];
        h->next_data = IOM_NO_EVENT;
        if (h->kind != IOM_HOST_TRANSLATE || h->op == 0 || h->dma_class != IOM_TRACE_DMA_DATA)
            continue;
        h->next_data = import->ops[h->op - 1].first_data;
        import->ops[h->op - 1].first_data = i;
    }
}

static bool prepare(struct weave *w)
{
    struct iom_import *import = w->import;
    w->live = iom_ranges_new();
    w->ghost = iom_ranges_new();
    w->reach = malloc((import->guest_count + (size_t)1) * sizeof *w->reach);
    w->events = iom_page_events_new(import);
    w->clock = w->events == NULL ? NULL : iom_import_clock_new(import, w->events);
    if (w->live == NULL || w->ghost == NULL || w->reach == NULL || w->clock == NULL || !make_own_ops(import))
        return false;
    chain_data(import);
    uint32_t reach = 0;
    uint32_t domains = 1 + import->device_count;
    for (uint32_t i = 0; i < import->guest_count; i++) {
        const struct iom_guest_event *g = &import->guest[i];
        domains += g->kind == IOM_GUEST_ATTACH;
        if (g->anchor != IOM_NO_EVENT && g->anchor + 1 > reach)
            reach = g->anchor + 1;
        w->reach[i] = reach;
    }
    import->previous_domain = calloc(domains, sizeof *import->previous_domain);
    if (import->previous_domain == NULL)
        return false;
    for (uint32_t i = 0; i < import->device_count; i++) {
        import->devices[i].domain = import->next_domain++;
        import->devices[i].first_domain = import->devices[i].domain;
    }
    return true;
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
    iom_page_events_free(w.events);
    iom_import_clock_free(w.clock);
    free(w.reach);
    return good || iom_trace_fail(error, "out of memory");
}
