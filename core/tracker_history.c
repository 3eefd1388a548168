// SPDX-License-Identifier: Apache-2.0
//
// Invalidations that have ended: was one a duplicate, needless, or did it remove too much?
//
// An invalidation is a duplicate if each of its parts lies within an earlier one that had ended when it
// began, and since then nothing in its scope was changed, filled or was being walked. If the earlier one was
// still under way, it counts if it ends first, and "since then" is since it began. Fills and walks are
// noted by domain and region of addresses, hashed: what is not sure is not called a duplicate. A walk under
// way shows only when it ends, so the verdict waits (IOM_TRACK_HISTORY invalidations, or the end of the run).
#include "core/tracker_internal.h"

/// Regions looked at one by one; a larger range is judged by its domain.
#define MOST_REGIONS 16u

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
            if ((part->targets & ~outer->targets) == 0 &&
                iom_track_fields_within(&part->match, &outer->match) &&
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
            iom_track_device_within(device, &earlier->what.device) &&
            is_quiet(tracker, invalidation, earlier, true, device->stream, ranged, device->first,
                     device->last))
            return true;
    }
    return false;
}

bool iom_track_repeats(const struct iom_tracker *tracker, const struct iom_track_invalidation *invalidation)
{
    if (invalidation->what.parts == 0 && !invalidation->what.has_device)
        return false;
    for (unsigned i = 0; i < invalidation->what.parts; i++) {
        if (!part_repeats(tracker, invalidation, &invalidation->what.part[i]))
            return false;
    }
    return !invalidation->what.has_device || device_repeats(tracker, invalidation);
}

static struct iom_track_request request_of(const struct iom_dma *dma)
{
    return (struct iom_track_request){.domain = dma->x.context.domain,
                                      .asid = dma->x.context.asid,
                                      .source = dma->x.source,
                                      .address = dma->x.address,
                                      .targets = IOM_INVALIDATE_ALL | IOM_INVALIDATE_DEVICE_TLB,
                                      .anywhere = true};
}

// A finding about an invalidation itself.
static struct iom_finding finding_about(const struct iom_tracker *tracker, enum iom_finding_kind kind,
                                        const struct iom_track_invalidation *invalidation)
{
    struct iom_finding finding = {
        .kind = (uint8_t)kind,
        .severity = IOM_SEVERITY_NOTE,
        .iommu = invalidation->iommu,
        .looked_up = IOM_NEVER,
        .visible = IOM_NEVER,
    };
    iom_track_describe(tracker, 0, &finding);
    finding.invalidation = invalidation->what.id;
    finding.commanded = invalidation->begun;
    finding.completed = invalidation->ended;
    return finding;
}

static void decide(struct iom_tracker *tracker, struct iom_track_invalidation *invalidation, bool duplicate)
{
    struct iom_finding finding =
        finding_about(tracker, duplicate ? IOM_FINDING_DUPLICATE : IOM_FINDING_NEEDLESS, invalidation);
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
    const struct iom_track_request request = request_of(dma);
    for (uint32_t i = 0; i < IOM_TRACK_HISTORY && tracker->candidates != 0; i++) {
        struct iom_track_invalidation *invalidation = &tracker->history[i];
        if (invalidation->candidate && dma->arrived <= invalidation->begun &&
            iom_track_covers_request(invalidation, &request))
            decide(tracker, invalidation, false);
    }
    for (uint32_t i = 0; i < tracker->active_count && tracker->active_used != 0; i++) {
        struct iom_track_invalidation *invalidation = &tracker->active[i];
        if (invalidation->used && invalidation->repeats && iom_track_covers_request(invalidation, &request))
            invalidation->repeats = false;
    }
}

static void count_good(struct iom_tracker *tracker, struct iom_track_invalidation *invalidation)
{
    invalidation->counting = false;
    if (invalidation->good == 0)
        return;
    struct iom_finding finding = finding_about(tracker, IOM_FINDING_OVER_INVALIDATION, invalidation);
    finding.entries = invalidation->good;
    iom_track_find(tracker, &finding);
}

// The newest ones, whose removals had not all been applied when they ended.
void iom_track_count_recent(struct iom_tracker *tracker)
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
    iom_track_count_recent(tracker);
    uint64_t kept = iom_min_u64(tracker->history_count, IOM_TRACK_HISTORY);
    for (uint64_t back = kept; back >= 1; back--) { // oldest first
        uint64_t at = (tracker->history_count - back) % IOM_TRACK_HISTORY;
        if (tracker->history[at].candidate)
            decide(tracker, &tracker->history[at], true);
    }
}

// ---- history ---------------------------------------------------------------------------------------------

void iom_track_retire_invalidation(struct iom_tracker *tracker,
                                   const struct iom_track_invalidation *invalidation)
{
    struct iom_track_invalidation *slot = &tracker->history[tracker->history_count % IOM_TRACK_HISTORY];
    if (slot->candidate)
        decide(tracker, slot, true); // no walk as old as that is under way any more
    if (slot->counting)
        count_good(tracker, slot);
    *slot = *invalidation;
    slot->counting = true;
    // What a register write implies is not software's doing.
    bool useless =
        !slot->paid && slot->removed == 0 && slot->stopped == 0 && slot->what.source != IOM_SOURCE_IMPLIED;
    slot->candidate = useless && slot->repeats;
    tracker->candidates += slot->candidate;
    tracker->history_count++;
    if (useless && !slot->candidate)
        decide(tracker, slot, false);
}
