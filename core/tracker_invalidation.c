// SPDX-License-Identifier: Apache-2.0
//
// Invalidations: which copies they pay for, when those are gone, and whether they were of any use; what
// completions and the driver's reports mean for the changes before them.
//
// An invalidation is a duplicate if each of its parts lies within an earlier one that had ended when it
// began, and since then nothing in its scope was changed, filled or was being walked. If the earlier one was
// still under way, it counts if it ends first, and "since then" is since it began. Fills and walks are
// noted by domain and region of addresses, hashed: what is not sure is not called a duplicate. A walk under
// way shows only when it ends, so the verdict waits (IOM_TRACK_HISTORY invalidations, or the end of the run).
#include <string.h>

#include "core/tracker_internal.h"

/// Regions looked at one by one; a larger range is judged by its domain.
#define MOST_REGIONS 16u
/// Substream of device TLB entries of requests without PASID (core/device_tlb.h).
#define NO_PASID UINT32_MAX

// ---- scopes ----------------------------------------------------------------------------------------------

// A request without PASID names its range among the entries without PASID, and all entries with one
// (PCI Express Base Specification 6.0, 10.3.8).
static bool device_covers(const struct iom_device_invalidation *what, const struct iom_tag *entry)
{
    uint64_t first = iom_align_down(entry->address, entry->size_log2);
    uint64_t last = first | iom_low_bits(UINT64_MAX, entry->size_log2);
    bool inside = first <= what->last && last >= what->first;
    if (entry->stream != what->stream)
        return false;
    if (!what->has_pasid)
        return entry->substream != NO_PASID || inside;
    if (entry->substream == NO_PASID || (entry->global && !what->global))
        return false;
    return inside && (what->global || entry->substream == what->pasid);
}

static uint32_t target_of(enum iom_tracked_cache kind)
{
    switch (kind) {
    case IOM_TRACKED_CONTEXT:
        return IOM_INVALIDATE_CONTEXT;
    case IOM_TRACKED_PASID:
        return IOM_INVALIDATE_PASID;
    case IOM_TRACKED_IOTLB:
        return IOM_INVALIDATE_IOTLB;
    case IOM_TRACKED_PSC:
        return IOM_INVALIDATE_PSC;
    default:
        return 0;
    }
}

static bool covers(const struct iom_track_invalidation *invalidation, const struct iom_track_cache *cache,
                   const struct iom_tag *tag)
{
    if (cache->iommu != invalidation->iommu)
        return false;
    if (cache->kind == IOM_TRACKED_DEVICE_TLB)
        return invalidation->what.has_device && device_covers(&invalidation->what.device, tag);
    return iom_invalidation_covers(&invalidation->what, target_of((enum iom_tracked_cache)cache->kind), tag);
}

static bool fields_within(const struct iom_cache_match *inner, const struct iom_cache_match *outer)
{
    uint32_t fields = outer->fields;
    const struct iom_tag *a = &inner->tag, *b = &outer->tag;
    if ((fields & ~inner->fields) != 0 || (outer->keep_global && !inner->keep_global) ||
        (inner->global_matches && !outer->global_matches))
        return false;
    if (fields & IOM_TAG_STREAM && (((a->stream ^ b->stream) & ~outer->stream_ignore) != 0 ||
                                    (inner->stream_ignore & ~outer->stream_ignore) != 0))
        return false;
    return !((fields & IOM_TAG_SUBSTREAM && a->substream != b->substream) ||
             (fields & IOM_TAG_DOMAIN && a->domain != b->domain) ||
             (fields & IOM_TAG_ASID && a->asid != b->asid) ||
             (fields & IOM_TAG_STAGE && a->stage != b->stage) ||
             (fields & IOM_TAG_SECURITY && a->security != b->security) ||
             (fields & IOM_TAG_IOMMU && a->iommu != b->iommu) ||
             (fields & IOM_TAG_LEVEL && a->level != b->level) ||
             (fields & IOM_TAG_ADDRESS && (inner->first < outer->first || inner->last > outer->last)));
}

static bool device_within(const struct iom_device_invalidation *inner,
                          const struct iom_device_invalidation *outer)
{
    return inner->stream == outer->stream && inner->has_pasid == outer->has_pasid &&
           (!inner->has_pasid || outer->global || (inner->pasid == outer->pasid && !inner->global)) &&
           inner->first >= outer->first && inner->last <= outer->last;
}

// ---- activity --------------------------------------------------------------------------------------------

static inline void note(struct iom_track_activity *activity, uint32_t identifier, uint64_t address,
                        unsigned size_log2, uint64_t when)
{
    activity->any = when;
    activity->domain[iom_track_scope(identifier)] = when;
    if (size_log2 > IOM_TRACK_REGION_LOG2)
        activity->large[iom_track_scope(identifier)] = when;
    else
        activity->region[iom_track_region(identifier, address)] = when;
}

// The latest activity that may lie in the scope. `known`: the identifier (domain or stream) is named.
static uint64_t latest(const struct iom_track_activity *activity, bool known, uint32_t identifier,
                       bool ranged, uint64_t first, uint64_t last)
{
    if (!known)
        return activity->any;
    if (!ranged || (last >> IOM_TRACK_REGION_LOG2) - (first >> IOM_TRACK_REGION_LOG2) >= MOST_REGIONS)
        return activity->domain[iom_track_scope(identifier)];
    uint64_t found = activity->large[iom_track_scope(identifier)];
    for (uint64_t region = first >> IOM_TRACK_REGION_LOG2; region <= last >> IOM_TRACK_REGION_LOG2; region++)
        found = iom_max_u64(found,
                            activity->region[iom_track_region(identifier, region << IOM_TRACK_REGION_LOG2)]);
    return found;
}

void iom_track_filled(struct iom_tracker *tracker, const struct iom_track_cache *cache,
                      const struct iom_tag *tag)
{
    bool device = cache->kind == IOM_TRACKED_DEVICE_TLB;
    note(&tracker->fills, device ? tag->stream : tag->domain, tag->address, tag->size_log2,
         tracker->sequence + 1);
}

// Has nothing happened in a scope since `earlier` could first have been carried out, as far as
// `invalidation` can tell?
static bool is_quiet(const struct iom_tracker *tracker, const struct iom_track_invalidation *invalidation,
                     const struct iom_track_invalidation *earlier, bool known, uint32_t identifier,
                     bool ranged, uint64_t first, uint64_t last)
{
    bool overlap = earlier->ended_sequence > invalidation->begun_sequence;
    uint64_t sequence = overlap ? earlier->begun_sequence : earlier->ended_sequence;
    iom_cycle cycle = overlap ? earlier->begun : earlier->ended;
    return latest(&tracker->fills, known, identifier, ranged, first, last) <= sequence &&
           latest(&tracker->walks, known, identifier, ranged, first, last) <= cycle;
}

// A whole-space part (contexts) has no range; nested results are not found by the range of either stage.
static bool part_is_quiet(const struct iom_tracker *tracker,
                          const struct iom_track_invalidation *invalidation,
                          const struct iom_track_invalidation *earlier, const struct iom_cache_match *match)
{
    return is_quiet(tracker, invalidation, earlier, (match->fields & IOM_TAG_DOMAIN) != 0, match->tag.domain,
                    (match->fields & IOM_TAG_ADDRESS) != 0, match->first, match->last);
}

// Of two that overlap, the one begun first is never the repetition.
static bool may_repeat(const struct iom_track_invalidation *invalidation,
                       const struct iom_track_invalidation *earlier)
{
    return earlier->iommu == invalidation->iommu && earlier->what.id < invalidation->what.id;
}

static bool part_repeats(const struct iom_tracker *tracker, const struct iom_track_invalidation *invalidation,
                         const struct iom_invalidation_part *part)
{
    uint64_t kept = iom_min_u64(tracker->history_count, IOM_TRACK_HISTORY);
    for (uint64_t back = 1; back <= kept; back++) {
        uint64_t number = tracker->history_count - back;
        const struct iom_track_invalidation *earlier = &tracker->history[number % IOM_TRACK_HISTORY];
        if (!may_repeat(invalidation, earlier))
            continue;
        for (unsigned i = 0; i < earlier->what.parts; i++) {
            const struct iom_invalidation_part *outer = &earlier->what.part[i];
            if ((part->targets & ~outer->targets) == 0 && fields_within(&part->match, &outer->match) &&
                part_is_quiet(tracker, invalidation, earlier, &part->match))
                return true;
        }
    }
    return false;
}

static bool device_repeats(const struct iom_tracker *tracker,
                           const struct iom_track_invalidation *invalidation)
{
    const struct iom_device_invalidation *device = &invalidation->what.device;
    uint64_t kept = iom_min_u64(tracker->history_count, IOM_TRACK_HISTORY);
    for (uint64_t back = 1; back <= kept; back++) {
        uint64_t number = tracker->history_count - back;
        const struct iom_track_invalidation *earlier = &tracker->history[number % IOM_TRACK_HISTORY];
        bool ranged = device->has_pasid ? !device->global : true;
        if (may_repeat(invalidation, earlier) && earlier->what.has_device &&
            device_within(device, &earlier->what.device) &&
            is_quiet(tracker, invalidation, earlier, true, device->stream, ranged, device->first,
                     device->last))
            return true;
    }
    return false;
}

static bool repeats(const struct iom_tracker *tracker, const struct iom_track_invalidation *invalidation)
{
    if (invalidation->what.parts == 0 && !invalidation->what.has_device)
        return false;
    for (unsigned i = 0; i < invalidation->what.parts; i++) {
        if (!part_repeats(tracker, invalidation, &invalidation->what.part[i]))
            return false;
    }
    return !invalidation->what.has_device || device_repeats(tracker, invalidation);
}

static bool concerns(const struct iom_track_invalidation *invalidation, const struct iom_dma *dma)
{
    for (unsigned i = 0; i < invalidation->what.parts; i++) {
        const struct iom_cache_match *match = &invalidation->what.part[i].match;
        if ((!(match->fields & IOM_TAG_DOMAIN) || match->tag.domain == dma->x.context.domain) &&
            (!(match->fields & IOM_TAG_STREAM) ||
             ((match->tag.stream ^ dma->x.source) & ~match->stream_ignore) == 0) &&
            (!(match->fields & IOM_TAG_ADDRESS) ||
             (dma->x.address >= match->first && dma->x.address <= match->last)))
            return true;
    }
    const struct iom_device_invalidation *device = &invalidation->what.device;
    return invalidation->what.has_device && device->stream == dma->x.source;
}

static void decide(struct iom_tracker *tracker, struct iom_track_invalidation *invalidation, bool duplicate)
{
    struct iom_finding finding = {
        .kind = duplicate ? IOM_FINDING_DUPLICATE : IOM_FINDING_NEEDLESS,
        .severity = IOM_SEVERITY_NOTE,
        .iommu = invalidation->iommu,
        .looked_up = IOM_NEVER,
        .visible = IOM_NEVER,
    };
    iom_track_describe(tracker, 0, &finding);
    finding.invalidation = invalidation->what.id;
    finding.commanded = invalidation->begun;
    finding.completed = invalidation->ended;
    *(duplicate ? &tracker->stats.duplicates : &tracker->stats.needless) += 1;
    tracker->candidates -= invalidation->candidate;
    invalidation->candidate = false;
    iom_track_find(tracker, &finding);
}

void iom_track_walked(struct iom_tracker *tracker, iom_cycle now, const struct iom_dma *dma)
{
    note(&tracker->walks, dma->x.context.domain, dma->x.address, 0, now);
    if (dma->x.source != dma->x.context.domain)
        note(&tracker->walks, dma->x.source, dma->x.address, 0, now); // for device TLBs
    for (uint32_t i = 0; i < IOM_TRACK_HISTORY && tracker->candidates != 0; i++) {
        struct iom_track_invalidation *invalidation = &tracker->history[i];
        if (invalidation->candidate && dma->arrived <= invalidation->begun && concerns(invalidation, dma))
            decide(tracker, invalidation, false);
    }
    for (uint32_t i = 0; i < tracker->active_count && tracker->active_used != 0; i++) {
        struct iom_track_invalidation *invalidation = &tracker->active[i];
        if (invalidation->used && invalidation->repeats && concerns(invalidation, dma))
            invalidation->repeats = false;
    }
}

static void count_good(struct iom_tracker *tracker, struct iom_track_invalidation *invalidation)
{
    invalidation->counting = false;
    if (invalidation->good == 0)
        return;
    struct iom_finding finding = {
        .kind = IOM_FINDING_OVER_INVALIDATION,
        .severity = IOM_SEVERITY_NOTE,
        .iommu = invalidation->iommu,
        .looked_up = IOM_NEVER,
        .visible = IOM_NEVER,
    };
    iom_track_describe(tracker, 0, &finding);
    finding.invalidation = invalidation->what.id;
    finding.commanded = invalidation->begun;
    finding.completed = invalidation->ended;
    finding.entries = invalidation->good;
    iom_track_find(tracker, &finding);
}

// The newest ones, whose removals had not all been applied when they ended.
static void count_recent(struct iom_tracker *tracker)
{
    uint64_t kept = iom_min_u64(tracker->history_count, IOM_TRACK_HISTORY);
    uint64_t first = tracker->history_count;
    while (kept-- != 0 && tracker->history[(first - 1) % IOM_TRACK_HISTORY].counting)
        first--;
    for (; first < tracker->history_count; first++) {
        if (tracker->history[first % IOM_TRACK_HISTORY].ended >= tracker->now)
            return;
        count_good(tracker, &tracker->history[first % IOM_TRACK_HISTORY]);
    }
}

void iom_track_finish_history(struct iom_tracker *tracker)
{
    count_recent(tracker);
    uint64_t kept = iom_min_u64(tracker->history_count, IOM_TRACK_HISTORY);
    for (uint64_t back = kept; back >= 1; back--) { // oldest first
        uint64_t at = (tracker->history_count - back) % IOM_TRACK_HISTORY;
        if (tracker->history[at].candidate)
            decide(tracker, &tracker->history[at], true);
    }
}

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

static void pay_list(struct iom_tracker *tracker, uint32_t place, uint32_t first)
{
    struct iom_track_invalidation *invalidation = &tracker->active[place];
    for (uint32_t index = first; index != 0; index = tracker->copies[index].scope_next) {
        struct iom_track_copy *copy = &tracker->copies[index];
        if (copy->active != 0 || !covers(invalidation, tracker->caches[copy->cache], &copy->tag))
            continue;
        struct iom_track_obligation *obligation = &tracker->obligations[copy->obligation];
        obligation->commanded = iom_min_u64(obligation->commanded, tracker->now);
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
    count_recent(tracker);
    uint32_t place = take_active(tracker);
    struct iom_track_invalidation *at = &tracker->active[place];
    *at = (struct iom_track_invalidation){
        .what = *invalidation,
        .begun = now,
        .begun_sequence = ++tracker->sequence,
        .iommu = iommu,
        .used = true,
    };
    tracker->active_used++;
    tracker->stats.invalidations++;
    pay(tracker, place);
    at->repeats = !at->paid && repeats(tracker, at);
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
    remove_paid(tracker, invalidation, cache, applied);
}

static void retire(struct iom_tracker *tracker, const struct iom_track_invalidation *invalidation)
{
    struct iom_track_invalidation *slot = &tracker->history[tracker->history_count % IOM_TRACK_HISTORY];
    if (slot->candidate)
        decide(tracker, slot, true); // no walk as old as that is under way any more
    if (slot->counting)
        count_good(tracker, slot);
    *slot = *invalidation;
    slot->counting = true;
    // What a register write implies is not software's doing.
    bool useless = !slot->paid && slot->removed == 0 && slot->what.source != IOM_SOURCE_IMPLIED;
    slot->candidate = useless && slot->repeats;
    tracker->candidates += slot->candidate;
    tracker->history_count++;
    if (useless && !slot->candidate)
        decide(tracker, slot, false);
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
    invalidation->repeats = invalidation->repeats || (!invalidation->paid && repeats(tracker, invalidation));
    invalidation->ended_sequence = ++tracker->sequence;
    if (timed_out) {
        tracker->stats.timed_out++;
        return;
    }
    retire(tracker, invalidation);
}

bool iom_track_is_under_way(const struct iom_tracker *tracker, iom_cycle created,
                            const struct iom_track_cache *cache, const struct iom_tag *tag)
{
    for (uint32_t i = 0; i < tracker->active_count; i++) {
        const struct iom_track_invalidation *invalidation = &tracker->active[i];
        if (invalidation->used && invalidation->begun > created && covers(invalidation, cache, tag))
            return true;
    }
    return false;
}

void iom_track_count_removed(struct iom_tracker *tracker, const struct iom_track_cache *cache,
                             const struct iom_tag *tag, bool good)
{
    if (!good)
        return;
    tracker->stats.over_invalidations++;
    for (uint32_t i = 0; i < tracker->active_count; i++) {
        struct iom_track_invalidation *invalidation = &tracker->active[i];
        if (invalidation->used && covers(invalidation, cache, tag)) {
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
        if (covers(invalidation, cache, tag)) {
            invalidation->good++;
            return;
        }
    }
}

// ---- completions and reports -----------------------------------------------------------------------------

void iom_tracker_completed(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu)
{
    if (tracker == NULL)
        return;
    iom_track_enter(tracker, now);
    uint32_t count = tracker->awaiting_count, kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = tracker->awaiting[i];
        struct iom_track_obligation *obligation = &tracker->obligations[index];
        if (obligation->iommu != iommu || obligation->created >= now ||
            (tracker->driver && obligation->removed >= now)) {
            tracker->awaiting[kept++] = index;
            continue;
        }
        obligation->completed = iom_min_u64(obligation->completed, now);
        if (!tracker->driver)
            iom_track_report(tracker, index, now);
        iom_track_let_go(tracker, index);
    }
    tracker->awaiting_count = kept;
}

void iom_tracker_expect_driver(struct iom_tracker *tracker)
{
    if (tracker != NULL)
        tracker->driver = true;
}

static bool report_concerns(const struct iom_track_reported *report, uint32_t domain, uint32_t stream,
                            uint64_t first, uint64_t last, bool whole)
{
    bool everything = report->first == 0 && report->last == UINT64_MAX;
    if (report->stream != IOM_ANY_STREAM && stream != IOM_ANY_STREAM && report->stream != stream)
        return false;
    if (domain != report->domain && domain != IOM_TRACK_ANY_DOMAIN)
        return false;
    return everything || whole || (first <= report->last && last >= report->first);
}

static void report_list(struct iom_tracker *tracker, uint32_t region, const struct iom_track_reported *report)
{
    for (uint32_t index = tracker->regions[region], next; index != 0; index = next) {
        const struct iom_track_obligation *at = &tracker->obligations[index];
        next = at->next;
        // Contexts have no range that a range could be compared with; their change is reported as
        // "everything".
        if (at->iommu == report->iommu && at->created < report->at && at->copies != 0 &&
            at->origin == IOM_WRITE_SOFTWARE &&
            report_concerns(report, at->domain, at->stream, at->first, at->last, at->whole))
            iom_track_report_domain(tracker, index, report->domain, report->at);
    }
}

void iom_tracker_reported(struct iom_tracker *tracker, iom_cycle now, uint8_t iommu, uint32_t domain,
                          uint32_t stream, uint64_t first, uint64_t last)
{
    if (tracker == NULL)
        return;
    iom_track_enter(tracker, now);
    const struct iom_track_reported report = {now, first, last, domain, stream, iommu};
    tracker->reports[tracker->report_count++ % IOM_TRACK_REPORTS] = report;
    uint64_t regions = (last >> IOM_TRACK_REGION_LOG2) - (first >> IOM_TRACK_REGION_LOG2);
    report_list(tracker, IOM_TRACK_WIDE, &report);
    for (uint64_t i = 0; i <= regions && regions < IOM_TRACK_REGIONS; i++)
        report_list(tracker, iom_track_region(domain, first + (i << IOM_TRACK_REGION_LOG2)), &report);
    for (uint32_t i = 0; i < IOM_TRACK_REGIONS && regions >= IOM_TRACK_REGIONS; i++)
        report_list(tracker, i, &report);
}

// A change of which no copy is known (only walks or DMA under way) is reported by whatever report names
// the request.
iom_cycle iom_track_reported_at(const struct iom_tracker *tracker, uint32_t obligation, uint32_t domain,
                                uint32_t stream, uint64_t address)
{
    const struct iom_track_obligation *at = &tracker->obligations[obligation];
    iom_cycle found = at->reported;
    if (found != IOM_NEVER || at->origin != IOM_WRITE_SOFTWARE)
        return found;
    uint64_t kept = iom_min_u64(tracker->report_count, IOM_TRACK_REPORTS);
    for (uint64_t back = 1; back <= kept; back++) {
        const struct iom_track_reported *report =
            &tracker->reports[(tracker->report_count - back) % IOM_TRACK_REPORTS];
        if (report->at <= at->created)
            break;
        if (report->iommu == at->iommu && report_concerns(report, domain, stream, address, address, false))
            found = report->at;
    }
    return found;
}
