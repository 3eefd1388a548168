// SPDX-License-Identifier: Apache-2.0
//
// Obligations: a change of words that somebody holds copies of asks software to invalidate those copies.
// An obligation knows each copy by its tag, so that it can be paid also after the entry was displaced.
// It lives as long as it is open, marks a node, or is listed somewhere.
#include <stdlib.h>
#include <string.h>

#include "core/tracker_internal.h"

uint32_t iom_track_region(uint32_t domain, uint64_t address)
{
    uint64_t hash = ((address >> IOM_TRACK_REGION_LOG2) + domain) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash >> 54);
}

// ---- lists by region ---------------------------------------------------------------------------------

static uint32_t region_of(const struct iom_track_obligation *obligation)
{
    bool narrow = obligation->copies != 0 && !obligation->whole &&
                  obligation->first >> IOM_TRACK_REGION_LOG2 == obligation->last >> IOM_TRACK_REGION_LOG2;
    return narrow ? iom_track_region(obligation->domain, obligation->first) : IOM_TRACK_WIDE;
}

static void link_region(struct iom_tracker *tracker, uint32_t index)
{
    struct iom_track_obligation *obligation = &tracker->obligations[index];
    uint32_t *head = &tracker->regions[region_of(obligation)];
    obligation->previous = 0;
    obligation->next = *head;
    if (*head != 0)
        tracker->obligations[*head].previous = index;
    *head = index;
}

static void unlink_region(struct iom_tracker *tracker, uint32_t index)
{
    struct iom_track_obligation *obligation = &tracker->obligations[index];
    if (obligation->previous != 0)
        tracker->obligations[obligation->previous].next = obligation->next;
    else
        tracker->regions[region_of(obligation)] = obligation->next;
    if (obligation->next != 0)
        tracker->obligations[obligation->next].previous = obligation->previous;
}

// ---- life --------------------------------------------------------------------------------------------

static uint32_t take_obligation(struct iom_tracker *tracker)
{
    if (tracker->free_obligation == 0) {
        uint32_t old = tracker->obligation_count, count = old != 0 ? old * 2 : 64;
        struct iom_track_obligation *grown = realloc(tracker->obligations, count * sizeof *grown);
        if (grown == NULL)
            abort();
        memset(grown + old, 0, (count - old) * sizeof *grown);
        tracker->obligations = grown;
        tracker->obligation_count = count;
        for (uint32_t i = count; i-- > (old != 0 ? old : 1);) {
            grown[i].next = tracker->free_obligation;
            tracker->free_obligation = i;
        }
    }
    uint32_t index = tracker->free_obligation;
    tracker->free_obligation = tracker->obligations[index].next;
    return index;
}

static void list(struct iom_tracker *tracker, uint32_t **array, uint32_t *count, uint32_t *capacity,
                 uint32_t index)
{
    *array = iom_track_grow(*array, capacity, *count + 1, sizeof **array);
    (*array)[(*count)++] = index;
    iom_track_hold(tracker, index);
}

uint32_t iom_track_oblige(struct iom_tracker *tracker, enum iom_write_origin origin, iom_cycle created,
                          uint64_t address, uint64_t bytes)
{
    if (tracker->obligations_open >= tracker->obligation_limit && tracker->newest != 0 &&
        tracker->obligations[tracker->newest].open) {
        // Far too many: it speaks for this change too.
        tracker->obligations[tracker->newest].verdict = IOM_TRACK_STALE;
        return tracker->newest;
    }
    uint32_t index = take_obligation(tracker);
    struct iom_track_obligation *obligation = &tracker->obligations[index];
    *obligation = (struct iom_track_obligation){
        .address = address,
        .bytes = bytes,
        .created = created,
        .commanded = IOM_NEVER,
        .completed = IOM_NEVER,
        .reported = IOM_NEVER,
        .removed = IOM_NEVER,
        .partly = IOM_NEVER,
        .domain = IOM_TRACK_ANY_DOMAIN,
        .stream = IOM_ANY_STREAM,
        .holds = 1, // open
        .origin = (uint8_t)origin,
        .open = true,
    };
    for (uint32_t i = 0; i <= IOM_TRACKED_DEVICE_TLB; i++)
        obligation->executed[i] = IOM_NEVER;
    if (address < IOM_OPAQUE_SOURCE)
        obligation->has_old =
            iom_track_read(tracker, address, &obligation->old_value, sizeof obligation->old_value);
    link_region(tracker, index);
    tracker->newest = index;
    tracker->obligations_open++;
    list(tracker, &tracker->unjudged, &tracker->unjudged_count, &tracker->unjudged_capacity, index);
    if (!tracker->driver && origin == IOM_WRITE_SOFTWARE)
        list(tracker, &tracker->awaiting, &tracker->awaiting_count, &tracker->awaiting_capacity, index);
    tracker->work = true;
    return index;
}

void iom_track_hold(struct iom_tracker *tracker, uint32_t obligation)
{
    tracker->obligations[obligation].holds++;
}

void iom_track_let_go(struct iom_tracker *tracker, uint32_t obligation)
{
    struct iom_track_obligation *at = &tracker->obligations[obligation];
    assert(at->holds != 0);
    if (--at->holds == 0) {
        at->next = tracker->free_obligation;
        tracker->free_obligation = obligation;
    } else {
        iom_track_close_if_done(tracker, obligation);
    }
}

// A copy that was on its way when the others went comes later, so this waits until no more can come. (Which
// of the two is told first within a cycle must not matter.)
void iom_track_count_unprotected(struct iom_tracker *tracker, uint32_t obligation)
{
    const struct iom_track_obligation *at = &tracker->obligations[obligation];
    if (at->removed == IOM_NEVER || at->pending != 0 || at->origin != IOM_WRITE_SOFTWARE)
        return;
    iom_histogram_add(&tracker->stats.unprotected_time,
                      at->removed > at->created ? at->removed - at->created : 0);
}

void iom_track_close(struct iom_tracker *tracker, uint32_t obligation)
{
    struct iom_track_obligation *at = &tracker->obligations[obligation];
    if (!at->open)
        return;
    iom_track_count_unprotected(tracker, obligation);
    unlink_region(tracker, obligation);
    at->open = false;
    tracker->obligations_open--;
    iom_track_let_go(tracker, obligation);
}

// Nothing is left when it was reported and every copy is gone; or when there never was a copy and those who
// were reading are through (then nobody was told anything, and nothing is stale).
void iom_track_close_if_done(struct iom_tracker *tracker, uint32_t obligation)
{
    struct iom_track_obligation *at = &tracker->obligations[obligation];
    if (!at->open || at->pending != 0)
        return;
    if (at->reported != IOM_NEVER || (at->copies == 0 && at->nodes == 0 && at->holds == 1))
        iom_track_close(tracker, obligation);
}

// ---- copies ------------------------------------------------------------------------------------------

static uint32_t take_copy(struct iom_tracker *tracker)
{
    if (tracker->free_copy == 0) {
        uint32_t old = tracker->copy_count, count = old != 0 ? old * 2 : 64;
        struct iom_track_copy *grown = realloc(tracker->copies, count * sizeof *grown);
        if (grown == NULL)
            abort();
        tracker->copies = grown;
        tracker->copy_count = count;
        for (uint32_t i = count; i-- > (old != 0 ? old : 1);) {
            grown[i].next = tracker->free_copy;
            tracker->free_copy = i;
        }
    }
    uint32_t index = tracker->free_copy;
    tracker->free_copy = tracker->copies[index].next;
    return index;
}

static uint32_t *scope_list(struct iom_tracker *tracker, const struct iom_track_copy *copy)
{
    if (tracker->caches[copy->cache]->kind == IOM_TRACKED_DEVICE_TLB)
        return &tracker->copies_by_stream[iom_track_scope(copy->tag.stream)];
    return &tracker->copies_by_domain[iom_track_scope(copy->tag.domain)];
}

static void link_copy(struct iom_tracker *tracker, uint32_t index)
{
    struct iom_track_copy *copy = &tracker->copies[index];
    uint32_t *head = &tracker->obligations[copy->obligation].first_copy;
    copy->previous = 0;
    copy->next = *head;
    if (*head != 0)
        tracker->copies[*head].previous = index;
    *head = index;
    head = scope_list(tracker, copy);
    copy->scope_previous = 0;
    copy->scope_next = *head;
    if (*head != 0)
        tracker->copies[*head].scope_previous = index;
    *head = index;
}

static void unlink_copy(struct iom_tracker *tracker, uint32_t index)
{
    struct iom_track_copy *copy = &tracker->copies[index];
    if (copy->previous != 0)
        tracker->copies[copy->previous].next = copy->next;
    else
        tracker->obligations[copy->obligation].first_copy = copy->next;
    if (copy->next != 0)
        tracker->copies[copy->next].previous = copy->previous;
    if (copy->scope_previous != 0)
        tracker->copies[copy->scope_previous].scope_next = copy->scope_next;
    else
        *scope_list(tracker, copy) = copy->scope_next;
    if (copy->scope_next != 0)
        tracker->copies[copy->scope_next].scope_previous = copy->scope_previous;
}

uint32_t iom_track_space_of(const struct iom_tracker *tracker, const struct iom_track_cache *cache,
                            const struct iom_tag *tag, uint32_t node)
{
    if (cache->kind == IOM_TRACKED_DEVICE_TLB) {
        uint32_t witness = iom_track_witness_of(tracker, node);
        const struct iom_track_witness *who = &tracker->witnesses[witness];
        return witness != 0 ? iom_track_space(who->domain, who->asid) : IOM_TRACK_ANY_DOMAIN;
    }
    if ((cache->kind == IOM_TRACKED_CONTEXT || cache->kind == IOM_TRACKED_PASID) && tag->domain == 0)
        return IOM_TRACK_ANY_DOMAIN; // an entry that names none
    return iom_track_space(tag->domain, tag->asid);
}

// The device that an entry belongs to; of one whose cache does not tell devices apart, the one it was built
// for.
static uint32_t stream_of(const struct iom_tracker *tracker, const struct iom_track_cache *cache,
                          const struct iom_tag *tag, uint32_t node)
{
    if (cache->kind == IOM_TRACKED_DEVICE_TLB || (iom_cache_config_of(cache->cache)->match & IOM_TAG_STREAM))
        return tag->stream;
    uint32_t witness = iom_track_witness_of(tracker, node);
    return witness != 0 ? tracker->witnesses[witness].source : IOM_ANY_STREAM;
}

// The scope of an obligation is that of its copies together.
static void widen(struct iom_tracker *tracker, uint32_t index, const struct iom_track_cache *cache,
                  const struct iom_tag *tag, uint32_t domain, uint32_t stream)
{
    struct iom_track_obligation *at = &tracker->obligations[index];
    uint64_t first = iom_align_down(tag->address, tag->size_log2);
    uint64_t last = first | iom_low_bits(UINT64_MAX, tag->size_log2);
    bool whole = cache->kind == IOM_TRACKED_CONTEXT || cache->kind == IOM_TRACKED_PASID;
    if (at->copies == 0) {
        at->iommu = cache->iommu;
        at->domain = domain;
        at->stream = stream;
        at->first = first;
        at->last = last;
        tracker->stats.obligations += at->origin == IOM_WRITE_SOFTWARE;
    } else {
        at->stream = at->stream == stream ? stream : IOM_ANY_STREAM;
        at->domain = at->domain == domain ? domain : IOM_TRACK_ANY_DOMAIN;
        at->first = iom_min_u64(at->first, first);
        at->last = iom_max_u64(at->last, last);
    }
    at->whole = at->whole || whole;
    at->copies++;
}

void iom_track_owe(struct iom_tracker *tracker, uint32_t obligation, uint32_t holder,
                   const struct iom_tag *tag)
{
    uint32_t known = tracker->holders[holder].copy;
    if (known != 0 && tracker->copies[known].obligation == obligation)
        return;
    uint32_t index = take_copy(tracker);
    uint32_t number = iom_track_cache_number(tracker, holder), node = tracker->holders[holder].node;
    const struct iom_track_cache *cache = tracker->caches[number];
    uint32_t domain = iom_track_space_of(tracker, cache, tag, node);
    struct iom_track_obligation *at = &tracker->obligations[obligation];
    const struct iom_track_invalidation *covering =
        at->commanded != IOM_NEVER ? NULL : iom_track_find_covering(tracker, at->created, cache, tag);
    if (covering != NULL) { // software has done what it had to, and nobody held a copy then
        at->commanded = covering->begun;
        at->invalidation = covering->what.id;
    }
    tracker->copies[index] = (struct iom_track_copy){
        .tag = *tag,
        .commanded = iom_track_covered_since(tracker, at->created, cache, tag),
        .obligation = obligation,
        .holder = holder,
        .node = node,
        .domain = domain,
        .cache = (uint16_t)number,
        .late = at->commanded != IOM_NEVER || at->reported != IOM_NEVER,
        .reported =
            at->partly != IOM_NEVER &&
            iom_track_reported_at(tracker, obligation, domain, IOM_ANY_STREAM, tag->address) != IOM_NEVER,
    };
    if (known == 0)
        tracker->holders[holder].copy = index;
    iom_track_hold(tracker, obligation);
    if (at->open)
        unlink_region(tracker, obligation);
    widen(tracker, obligation, cache, tag, domain, stream_of(tracker, cache, tag, node));
    if (at->open)
        link_region(tracker, obligation);
    at->pending++;
    link_copy(tracker, index);
}

void iom_track_removed(struct iom_tracker *tracker, uint32_t index, iom_cycle at)
{
    struct iom_track_copy *copy = &tracker->copies[index];
    uint32_t number = copy->obligation;
    struct iom_track_obligation *obligation = &tracker->obligations[number];
    uint8_t kind = tracker->caches[copy->cache]->kind;
    unlink_copy(tracker, index);
    if (tracker->holders[copy->holder].copy == index)
        tracker->holders[copy->holder].copy = 0;
    copy->next = tracker->free_copy;
    tracker->free_copy = index;
    obligation->pending--;
    if (at != IOM_NEVER) {
        if (obligation->executed[kind] == IOM_NEVER || obligation->executed[kind] < at)
            obligation->executed[kind] = at;
        obligation->removed = obligation->removed == IOM_NEVER ? at : iom_max_u64(obligation->removed, at);
        if (obligation->pending == 0 && !obligation->cleared) {
            obligation->cleared = true;
            if (tracker->driver)
                list(tracker, &tracker->awaiting, &tracker->awaiting_count, &tracker->awaiting_capacity,
                     number);
        }
    }
    iom_track_let_go(tracker, number);
}

// Whether an entry went just before or just after the change within one cycle depends on who is asked first.
void iom_track_forget_gone(struct iom_tracker *tracker, uint32_t obligation)
{
    struct iom_track_obligation *at = &tracker->obligations[obligation];
    uint32_t gone = 0;
    iom_track_hold(tracker, obligation);
    for (uint32_t index = at->first_copy, next; index != 0; index = next) {
        next = tracker->copies[index].next;
        if (tracker->holders[tracker->copies[index].holder].node == tracker->copies[index].node)
            continue;
        iom_track_removed(tracker, index, IOM_NEVER);
        gone++;
    }
    if (gone != 0 && gone == at->copies && at->open) {
        tracker->stats.obligations -= at->origin == IOM_WRITE_SOFTWARE && tracker->stats.obligations != 0;
        unlink_region(tracker, obligation);
        at->copies = 0;
        at->whole = false;
        link_region(tracker, obligation);
    }
    iom_track_let_go(tracker, obligation);
}

bool iom_track_is_uncovered(const struct iom_tracker *tracker, const struct iom_track_copy *copy)
{
    bool due =
        !tracker->driver || copy->reported || tracker->obligations[copy->obligation].reported != IOM_NEVER;
    return due && copy->active == 0 && !copy->late;
}

uint32_t iom_track_uncovered(const struct iom_tracker *tracker, uint32_t obligation)
{
    uint32_t count = 0;
    for (uint32_t copy = tracker->obligations[obligation].first_copy; copy != 0;
         copy = tracker->copies[copy].next)
        count += iom_track_is_uncovered(tracker, &tracker->copies[copy]);
    return count;
}

static void list_overdue(struct iom_tracker *tracker, uint32_t obligation)
{
    if (!tracker->driver || tracker->obligations[obligation].origin != IOM_WRITE_SOFTWARE ||
        iom_track_uncovered(tracker, obligation) == 0)
        return;
    list(tracker, &tracker->overdue, &tracker->overdue_count, &tracker->overdue_capacity, obligation);
    tracker->work = true;
}

void iom_track_report(struct iom_tracker *tracker, uint32_t obligation, iom_cycle at)
{
    struct iom_track_obligation *change = &tracker->obligations[obligation];
    if (change->reported != IOM_NEVER)
        return;
    change->reported = at;
    if (change->origin == IOM_WRITE_SOFTWARE)
        iom_histogram_add(&tracker->stats.window_length, at - change->created);
    list_overdue(tracker, obligation);
    iom_track_close_if_done(tracker, obligation);
}

void iom_track_report_domain(struct iom_tracker *tracker, uint32_t obligation, uint32_t domain, iom_cycle at)
{
    struct iom_track_obligation *change = &tracker->obligations[obligation];
    if (change->reported != IOM_NEVER)
        return;
    bool rest = false;
    for (uint32_t index = change->domain == IOM_TRACK_ANY_DOMAIN ? change->first_copy : 0; index != 0;
         index = tracker->copies[index].next) {
        struct iom_track_copy *copy = &tracker->copies[index];
        copy->reported = copy->reported || copy->domain == domain || copy->domain == IOM_TRACK_ANY_DOMAIN;
        rest = rest || !copy->reported;
    }
    if (!rest) {
        iom_track_report(tracker, obligation, at);
        return;
    }
    change->partly = iom_min_u64(change->partly, at);
    if (!change->missed)
        list_overdue(tracker, obligation);
}
