// SPDX-License-Identifier: Apache-2.0
//
// Invalidations under way: which copies they pay for, and when those are gone. What is said about them once
// they have ended is in tracker_history.c.
#include <string.h>

#include "core/tracker_internal.h"

// ---- begin -----------------------------------------------------------------------------------------------

static uint32_t take_active(struct iom_tracker *tracker)
{
    for (uint32_t i = 0; i < tracker->active_count; i++) {
        if (!tracker->active[i].used)
            return i;
    }
    uint32_t count = tracker->active_count;
    tracker->active = iom_track_grow(tracker->active, &count, count + 1, sizeof *tracker->active);
    memset(tracker->active + tracker->active_count, 0,
           (count - tracker->active_count) * sizeof *tracker->active);
    uint32_t taken = tracker->active_count;
    tracker->active_count = count;
    return taken;
}

static struct iom_track_invalidation *find_active(struct iom_tracker *tracker, uint8_t iommu, uint64_t id)
{
    for (uint32_t i = 0; i < tracker->active_count; i++) {
        struct iom_track_invalidation *invalidation = &tracker->active[i];
        if (invalidation->used && invalidation->iommu == iommu && invalidation->what.id == id)
            return invalidation;
    }
    return NULL;
}

// A change of this very cycle is not meant: whether it is told before or after must not matter.
static void pay_list(struct iom_tracker *tracker, uint32_t place, uint32_t first)
{
    struct iom_track_invalidation *invalidation = &tracker->active[place];
    for (uint32_t index = first; index != 0; index = tracker->copies[index].scope_next) {
        struct iom_track_copy *copy = &tracker->copies[index];
        struct iom_track_obligation *obligation = &tracker->obligations[copy->obligation];
        if (copy->active != 0 || obligation->created >= tracker->now ||
            !iom_track_covers(invalidation, tracker->caches[copy->cache], &copy->tag))
            continue;
        obligation->commanded = iom_min_u64(obligation->commanded, tracker->now);
        copy->commanded = iom_min_u64(copy->commanded, tracker->now);
        obligation->invalidation = invalidation->what.id;
        copy->active = place + 1;
        copy->paid_next = invalidation->first_paid;
        invalidation->first_paid = index;
        invalidation->paid = true;
    }
}

// Copies whose domain or stream an invalidation may name.
static void pay(struct iom_tracker *tracker, uint32_t place)
{
    const struct iom_invalidation *what = &tracker->active[place].what;
    bool all = false, done[IOM_INVALIDATION_PARTS] = {false};
    for (unsigned i = 0; i < what->parts; i++)
        all = all || !(what->part[i].match.fields & IOM_TAG_DOMAIN);
    if (all) {
        for (uint32_t i = 0; i < IOM_TRACK_SCOPES; i++)
            pay_list(tracker, place, tracker->copies_by_domain[i]);
    }
    for (unsigned i = 0; i < what->parts && !all; i++) {
        uint32_t scope = iom_track_scope(what->part[i].match.tag.domain);
        for (unsigned j = 0; j < i; j++)
            done[i] = done[i] || iom_track_scope(what->part[j].match.tag.domain) == scope;
        if (!done[i])
            pay_list(tracker, place, tracker->copies_by_domain[scope]);
    }
    if (what->has_device)
        pay_list(tracker, place, tracker->copies_by_stream[iom_track_scope(what->device.stream)]);
}

void iom_tracker_begin(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu,
                       const struct iom_invalidation *invalidation)
{
    if (tracker == NULL)
        return;
    iom_track_enter(tracker, now);
    iom_track_sync(tracker);
    iom_track_count_recent(tracker);
    uint32_t place = take_active(tracker);
    struct iom_track_invalidation *at = &tracker->active[place];
    *at = (struct iom_track_invalidation){
        .what = *invalidation,
        .begun = now,
        .begun_sequence = ++tracker->sequence,
        .iommu = iommu,
        .used = true,
    };
    for (uint32_t i = 0; i <= IOM_TRACKED_DEVICE_TLB; i++)
        at->executed[i] = IOM_NEVER;
    tracker->active_used++;
    tracker->stats.invalidations++;
    pay(tracker, place);
    at->repeats = !at->paid && iom_track_repeats(tracker, at);
}

// ---- execution and end -----------------------------------------------------------------------------------

// Removes the copies in caches of this kind (index of device TLBs included) from the list of the
// invalidation; IOM_TRACKED_WALK: in all caches.
static void remove_paid(struct iom_tracker *tracker, struct iom_track_invalidation *invalidation,
                        uint32_t cache, iom_cycle at)
{
    uint32_t *link = &invalidation->first_paid;
    while (*link != 0) {
        uint32_t index = *link;
        struct iom_track_copy *copy = &tracker->copies[index];
        const struct iom_track_cache *where = tracker->caches[copy->cache];
        uint32_t kind = where->kind == IOM_TRACKED_DEVICE_TLB ? where->kind + where->index : where->kind;
        if (cache != IOM_TRACKED_WALK && kind != cache) {
            link = &copy->paid_next;
            continue;
        }
        *link = copy->paid_next;
        if (at != IOM_NEVER) {
            iom_track_removed(tracker, index, at);
        } else { // it was sent, but never carried out
            copy->active = 0;
            copy->late = true;
        }
    }
}

void iom_tracker_executed(struct iom_tracker *tracker, iom_cycle now, iom_cycle applied, uint8_t iommu,
                          uint64_t id, uint32_t cache, uint32_t removed)
{
    if (tracker == NULL)
        return;
    iom_track_enter(tracker, now);
    struct iom_track_invalidation *invalidation = find_active(tracker, iommu, id);
    if (invalidation == NULL)
        return; // a device that answers after its time-out
    iom_track_sync(tracker);
    invalidation->removed += removed;
    iom_cycle *executed = &invalidation->executed[iom_min_u64(cache, IOM_TRACKED_DEVICE_TLB)];
    *executed = *executed == IOM_NEVER ? applied : iom_max_u64(*executed, applied);
    remove_paid(tracker, invalidation, cache, applied);
}

void iom_tracker_stopped(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu, uint64_t id,
                         uint32_t walks)
{
    if (tracker == NULL || walks == 0)
        return;
    iom_track_enter(tracker, now);
    struct iom_track_invalidation *invalidation = find_active(tracker, iommu, id);
    if (invalidation != NULL)
        invalidation->stopped += walks;
}

void iom_tracker_ended(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu, uint64_t id, bool timed_out)
{
    if (tracker == NULL)
        return;
    iom_track_enter(tracker, now);
    struct iom_track_invalidation *invalidation = find_active(tracker, iommu, id);
    if (invalidation == NULL)
        return;
    iom_track_sync(tracker);
    invalidation->ended = now;
    remove_paid(tracker, invalidation, IOM_TRACKED_WALK, timed_out ? IOM_NEVER : now);
    invalidation->used = false;
    tracker->active_used--;
    // One that was under way when this one began may have ended by now.
    invalidation->repeats =
        invalidation->repeats || (!invalidation->paid && iom_track_repeats(tracker, invalidation));
    invalidation->ended_sequence = ++tracker->sequence;
    if (timed_out) {
        tracker->stats.timed_out++;
        return;
    }
    iom_track_retire_invalidation(tracker, invalidation);
}

enum which { FIRST, LAST };

// Of those that have begun since, whether they have ended or not: the one that began first or last.
static const struct iom_track_invalidation *
find_covering(const struct iom_tracker *tracker, enum which which, iom_cycle created,
              bool (*covers)(const struct iom_track_invalidation *, const void *), const void *what)
{
    const struct iom_track_invalidation *found = NULL;
    uint64_t kept = iom_min_u64(tracker->history_count, IOM_TRACK_HISTORY);
    for (uint64_t i = 0; i < tracker->active_count + kept; i++) {
        const struct iom_track_invalidation *invalidation =
            i < tracker->active_count ? &tracker->active[i]
                                      : &tracker->history[(i - tracker->active_count) % IOM_TRACK_HISTORY];
        bool known = i >= tracker->active_count || invalidation->used;
        if (known && invalidation->begun > created &&
            (found == NULL || (invalidation->begun_sequence > found->begun_sequence) == (which == LAST)) &&
            covers(invalidation, what))
            found = invalidation;
    }
    return found;
}

struct entry {
    const struct iom_track_cache *cache;
    const struct iom_tag *tag;
};

static bool covers_entry(const struct iom_track_invalidation *invalidation, const void *what)
{
    const struct entry *entry = what;
    return iom_track_covers(invalidation, entry->cache, entry->tag);
}

static bool covers_request(const struct iom_track_invalidation *invalidation, const void *what)
{
    const struct iom_track_request *request = what;
    return invalidation->iommu == request->iommu && iom_track_covers_request(invalidation, request);
}

const struct iom_track_invalidation *iom_track_find_covering(const struct iom_tracker *tracker,
                                                             iom_cycle created,
                                                             const struct iom_track_cache *cache,
                                                             const struct iom_tag *tag)
{
    const struct entry entry = {cache, tag};
    return find_covering(tracker, LAST, created, covers_entry, &entry);
}

iom_cycle iom_track_covered_since(const struct iom_tracker *tracker, iom_cycle created,
                                  const struct iom_track_cache *cache, const struct iom_tag *tag)
{
    const struct entry entry = {cache, tag};
    const struct iom_track_invalidation *first = find_covering(tracker, FIRST, created, covers_entry, &entry);
    return first != NULL ? first->begun : IOM_NEVER;
}

const struct iom_track_invalidation *iom_track_find_covering_request(const struct iom_tracker *tracker,
                                                                     iom_cycle created,
                                                                     const struct iom_track_request *request)
{
    return find_covering(tracker, LAST, created, covers_request, request);
}

void iom_track_count_removed(struct iom_tracker *tracker, const struct iom_track_cache *cache,
                             const struct iom_tag *tag, bool good)
{
    if (!good)
        return;
    tracker->stats.over_invalidations++;
    for (uint32_t i = 0; i < tracker->active_count; i++) {
        struct iom_track_invalidation *invalidation = &tracker->active[i];
        if (invalidation->used && iom_track_covers(invalidation, cache, tag)) {
            invalidation->good++;
            return;
        }
    }
    // Caches apply a removal with their next operation, which may come after the end was told.
    uint64_t kept = iom_min_u64(tracker->history_count, IOM_TRACK_HISTORY);
    for (uint64_t back = 1; back <= kept; back++) {
        struct iom_track_invalidation *invalidation =
            &tracker->history[(tracker->history_count - back) % IOM_TRACK_HISTORY];
        if (!invalidation->counting)
            return;
        if (iom_track_covers(invalidation, cache, tag)) {
            invalidation->good++;
            return;
        }
    }
}
