// SPDX-License-Identifier: Apache-2.0
//
// What the tracker does between two cycles, when everything that belongs to the earlier one has been told
// and nothing of the later one has happened: new changes are judged, suspect uses are confirmed, in an
// order that does not depend on who called first. And the end of the run.
#include <stdlib.h>
#include <string.h>

#include "core/tracker_internal.h"

// ---- changes -------------------------------------------------------------------------------------------

// What the copies that are still in their caches say; UNKNOWN if there are none, or one cannot tell.
static enum iom_track_verdict judge_copies(struct iom_tracker *tracker, uint32_t obligation)
{
    enum iom_track_verdict verdict = IOM_TRACK_UNKNOWN;
    bool cannot_tell = false;
    for (uint32_t index = tracker->obligations[obligation].first_copy; index != 0;
         index = tracker->copies[index].next) {
        const struct iom_track_copy *copy = &tracker->copies[index];
        if (tracker->holders[copy->holder].node != copy->node)
            continue; // gone
        enum iom_track_verdict one = iom_track_compare_entry(tracker, copy->holder);
        if (one == IOM_TRACK_STALE)
            return one;
        cannot_tell = cannot_tell || one == IOM_TRACK_UNKNOWN;
        verdict = one > verdict ? one : verdict;
    }
    return cannot_tell ? IOM_TRACK_UNKNOWN : verdict;
}

static void drop_copies(struct iom_tracker *tracker, uint32_t obligation)
{
    iom_track_hold(tracker, obligation);
    while (tracker->obligations[obligation].first_copy != 0)
        iom_track_removed(tracker, tracker->obligations[obligation].first_copy, IOM_NEVER);
    iom_track_let_go(tracker, obligation);
}

// The copies are right, but perhaps by other words than before. False: those cannot be followed.
static bool follow_copies(struct iom_tracker *tracker, uint32_t obligation)
{
    bool followed = true;
    for (uint32_t index = tracker->obligations[obligation].first_copy; index != 0;
         index = tracker->copies[index].next) {
        const struct iom_track_copy *copy = &tracker->copies[index];
        if (tracker->holders[copy->holder].node != copy->node)
            continue; // gone
        tracker->path_count = 0;
        tracker->noting = true;
        iom_track_compare_entry(tracker, copy->holder);
        tracker->noting = false;
        followed = iom_track_extend(tracker, copy->node) && followed;
    }
    return followed;
}

// A change without effect on any copy asks for nothing: its marks go away, and later uses cost nothing. Where
// the words that decide now cannot be followed, the marks stay, and each use is confirmed.
static void judge(struct iom_tracker *tracker, uint32_t obligation)
{
    struct iom_track_obligation *at = &tracker->obligations[obligation];
    if (at->verdict != IOM_TRACK_UNKNOWN || !at->open)
        return;
    iom_track_forget_gone(tracker, obligation);
    if (!at->open)
        return;
    enum iom_track_verdict verdict = judge_copies(tracker, obligation);
    at->verdict = (uint8_t)verdict;
    if (verdict != IOM_TRACK_SAME)
        return;
    tracker->stats.benign_changes++;
    if (follow_copies(tracker, obligation))
        iom_track_unmark(tracker, obligation);
    drop_copies(tracker, obligation);
    iom_track_close(tracker, obligation);
}

static void judge_all(struct iom_tracker *tracker)
{
    for (uint32_t i = 0; i < tracker->unjudged_count; i++) {
        judge(tracker, tracker->unjudged[i]);
        iom_track_let_go(tracker, tracker->unjudged[i]);
    }
    tracker->unjudged_count = 0;
}

// Is something wrong in a cache, or would it be if it had not been displaced by chance?
static bool still_matters(struct iom_tracker *tracker, uint32_t obligation)
{
    const struct iom_track_obligation *at = &tracker->obligations[obligation];
    enum iom_track_verdict verdict = judge_copies(tracker, obligation);
    if (verdict != IOM_TRACK_UNKNOWN)
        return verdict == IOM_TRACK_STALE;
    uint64_t value;
    return !at->has_old || iom_track_read(tracker, at->address, &value, sizeof value) != IOM_ACCESS_OK ||
           value != at->old_value;
}

static void find_missing(struct iom_tracker *tracker, uint32_t obligation)
{
    struct iom_track_obligation *at = &tracker->obligations[obligation];
    uint32_t uncovered = iom_track_uncovered(tracker, obligation);
    if (at->missed || uncovered == 0 || at->origin != IOM_WRITE_SOFTWARE ||
        !still_matters(tracker, obligation))
        return;
    at->missed = true;
    struct iom_finding finding = {
        .kind = IOM_FINDING_MISSING,
        .severity = IOM_SEVERITY_WARNING,
        .looked_up = IOM_NEVER,
        .visible = IOM_NEVER,
        .entries = uncovered,
    };
    uint32_t copy = at->first_copy;
    while (!iom_track_is_uncovered(tracker, &tracker->copies[copy]))
        copy = tracker->copies[copy].next;
    const struct iom_track_cache *cache = tracker->caches[tracker->copies[copy].cache];
    finding.cache = cache->kind == IOM_TRACKED_DEVICE_TLB ? cache->kind + cache->index : cache->kind;
    finding.entry = tracker->copies[copy].tag;
    finding.has_entry = true;
    iom_track_describe(tracker, obligation, &finding);
    finding.reported = iom_min_u64(at->reported, at->partly);
    tracker->stats.missing_invalidations++;
    iom_track_find(tracker, &finding);
}

static void find_overdue(struct iom_tracker *tracker)
{
    for (uint32_t i = 0; i < tracker->overdue_count; i++) {
        find_missing(tracker, tracker->overdue[i]);
        iom_track_let_go(tracker, tracker->overdue[i]);
    }
    tracker->overdue_count = 0;
}

// ---- suspects ------------------------------------------------------------------------------------------

// Units report the uses of one cycle in any order.
static int compare_suspects(const void *left, const void *right)
{
    const struct iom_track_suspect *a = left, *b = right;
#define IOM_TRACK_BY(field)                                                                                  \
    if (a->field != b->field)                                                                                \
    return a->field < b->field ? -1 : 1
    IOM_TRACK_BY(at);
    IOM_TRACK_BY(landing);
    IOM_TRACK_BY(source);
    IOM_TRACK_BY(pasid);
    IOM_TRACK_BY(address);
    IOM_TRACK_BY(id);
    IOM_TRACK_BY(cache);
    IOM_TRACK_BY(flags);
    IOM_TRACK_BY(bytes);
    IOM_TRACK_BY(used_at);
    IOM_TRACK_BY(output);
#undef IOM_TRACK_BY
    return 0;
}

/// The change that tells most against a use.
struct blame {
    uint32_t obligation; ///< 0: none
    iom_cycle reported;  ///< IOM_NEVER: not yet
};

static struct blame find_blame(const struct iom_tracker *tracker, const struct iom_track_suspect *suspect)
{
    struct blame blame = {0, IOM_NEVER};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t mark = suspect->node[i] != 0 ? tracker->nodes[suspect->node[i]].mark : 0;
        if (mark == 0 || tracker->obligations[mark].created >= suspect->at)
            continue;
        iom_cycle reported =
            iom_track_reported_at(tracker, mark, iom_track_space(suspect->domain, suspect->asid),
                                  suspect->source, suspect->address);
        if (blame.obligation == 0 || reported < blame.reported)
            blame = (struct blame){mark, reported};
    }
    return blame;
}

static void describe_request(const struct iom_track_suspect *suspect, const struct iom_xlate *fresh,
                             struct iom_finding *finding)
{
    finding->iommu = suspect->iommu;
    finding->outcome = suspect->outcome;
    finding->fresh = fresh->outcome;
    finding->has_request = true;
    finding->has_pasid = suspect->pasid != IOM_TRACK_NO_PASID;
    finding->write = (suspect->flags & IOM_REQ_WRITE) != 0;
    finding->source = suspect->source;
    finding->pasid = finding->has_pasid ? suspect->pasid : 0;
    finding->bytes = suspect->bytes;
    finding->iova = suspect->address;
    finding->request = suspect->id;
    finding->output = suspect->output;
    finding->fresh_output = fresh->leaf.output;
    finding->looked_up = suspect->used_at;
    finding->visible = suspect->landing ? suspect->at : IOM_NEVER;
    finding->cache = suspect->cache;
    finding->has_entry = suspect->has_entry;
    finding->entry = suspect->entry;
    finding->root_mismatch = suspect->root_mismatch;
}

// Has the page it reached been given to somebody else since the change? 0: no, or not known.
static uint32_t new_owner(const struct iom_tracker *tracker, const struct iom_track_suspect *suspect,
                          iom_cycle created)
{
    bool reached = suspect->outcome == IOM_OUTCOME_ADDRESS || suspect->outcome == IOM_OUTCOME_BYPASS;
    return reached ? iom_track_new_owner(tracker, suspect->output, created) : 0;
}

// Where no copy was there to be covered (the walk was under way), the invalidation that came too early.
static void name_covering(const struct iom_tracker *tracker, const struct iom_track_suspect *suspect,
                          uint32_t obligation, struct iom_finding *finding)
{
    struct iom_track_request request = {.address = suspect->address,
                                        .domain = suspect->domain,
                                        .asid = suspect->asid,
                                        .source = suspect->source,
                                        .targets = IOM_INVALIDATE_IOTLB | IOM_INVALIDATE_PSC,
                                        .iommu = suspect->iommu};
    if (suspect->cache >= IOM_TRACKED_DEVICE_TLB)
        request.targets = IOM_INVALIDATE_DEVICE_TLB;
    else if (suspect->outcome != IOM_OUTCOME_ADDRESS)
        request.targets = IOM_INVALIDATE_ALL; // refused by whatever look-up
    if (finding->invalidation == 0)
        iom_track_name(
            iom_track_find_covering_request(tracker, tracker->obligations[obligation].created, &request),
            finding);
}

// Of what is known about a change, the part that concerns the copy used: others may hold copies that
// different invalidations cover.
static iom_cycle covered_since(const struct iom_tracker *tracker, const struct iom_track_suspect *suspect,
                               uint32_t obligation, const struct iom_finding *finding)
{
    const struct iom_track_obligation *at = &tracker->obligations[obligation];
    if (!suspect->has_entry)
        return finding->invalidation != 0 ? finding->commanded : IOM_NEVER;
    const struct iom_track_holder *holder = &tracker->holders[suspect->holder];
    bool there = holder->node == suspect->node[0] || holder->node == suspect->node[1];
    if (there && holder->copy == 0)
        return at->commanded; // an invalidation has been carried out, and the entry is still there
    if (there && tracker->copies[holder->copy].obligation == obligation)
        return tracker->copies[holder->copy].commanded;
    return iom_track_covered_since(tracker, at->created, iom_track_cache_of(tracker, suspect->holder),
                                   &suspect->entry);
}

static void find_stale(struct iom_tracker *tracker, const struct iom_track_suspect *suspect,
                       const struct iom_xlate *fresh, struct blame blame)
{
    struct iom_tracker_stats *stats = &tracker->stats;
    struct iom_finding finding = {.kind = IOM_FINDING_WINDOW_USE};
    // With no change to blame (tables of somebody else under this tag) nothing makes it legal.
    bool late = blame.obligation == 0 || blame.reported < suspect->at;
    iom_cycle created = blame.obligation != 0 ? tracker->obligations[blame.obligation].created : suspect->at;
    describe_request(suspect, fresh, &finding);
    if (blame.obligation != 0) {
        iom_track_describe(tracker, blame.obligation, &finding);
        name_covering(tracker, suspect, blame.obligation, &finding);
        finding.covered = covered_since(tracker, suspect, blame.obligation, &finding);
        finding.iommu = suspect->iommu;
        finding.reported = blame.reported;
    } else {
        iom_track_describe(tracker, 0, &finding);
        finding.iommu = suspect->iommu;
    }
    stats->stale_uses += !suspect->landing;
    if (suspect->landing) {
        finding.kind = IOM_FINDING_LATE_EFFECT;
        stats->late_effects++;
    } else if (late) {
        finding.kind = IOM_FINDING_HAZARD;
        stats->hazards++;
    } else {
        stats->window_uses++;
        iom_histogram_add(&stats->window_use_age, suspect->at - created);
    }
    finding.severity = late ? IOM_SEVERITY_HAZARD : IOM_SEVERITY_NOTE;
    finding.owner = new_owner(tracker, suspect, created);
    if (finding.owner != 0) {
        finding.kind = IOM_FINDING_EXPOSURE;
        finding.severity = late ? IOM_SEVERITY_HAZARD : IOM_SEVERITY_WARNING;
        stats->exposures++;
    }
    iom_track_find(tracker, &finding);
}

static void find_lost_dirty(struct iom_tracker *tracker, const struct iom_track_suspect *suspect,
                            const struct iom_xlate *fresh, struct blame blame)
{
    if (suspect->landing || !(suspect->flags & IOM_REQ_WRITE) || (suspect->flags & IOM_REQ_TRANSLATE))
        return;
    struct iom_finding finding = {.kind = IOM_FINDING_LOST_DIRTY};
    describe_request(suspect, fresh, &finding);
    if (blame.obligation != 0)
        iom_track_describe(tracker, blame.obligation, &finding);
    finding.reported = blame.reported;
    finding.severity = blame.reported < suspect->at ? IOM_SEVERITY_HAZARD : IOM_SEVERITY_NOTE;
    tracker->stats.lost_dirty++;
    iom_track_find(tracker, &finding);
}

// Tables shared by several devices: the entry is right for this one, whatever has become of the device that
// brought it. From now on it is compared with what this one gets.
static void vouch(struct iom_tracker *tracker, const struct iom_track_suspect *suspect)
{
    uint32_t node = suspect->node[0];
    if (node == 0 || suspect->cache >= IOM_TRACKED_DEVICE_TLB || suspect->outcome != IOM_OUTCOME_ADDRESS)
        return;
    tracker->nodes[node].flags |= IOM_TRACK_WITNESS;
    tracker->witnesses[node] =
        (struct iom_track_witness){suspect->source, suspect->pasid, suspect->domain, suspect->asid};
}

// A landing counts when its look-up was in time and the report came before it.
static bool is_late_landing(const struct iom_track_suspect *suspect, struct blame blame)
{
    return blame.obligation != 0 && blame.reported < suspect->at && blame.reported >= suspect->used_at;
}

static void settle_suspect(struct iom_tracker *tracker, const struct iom_track_suspect *suspect)
{
    struct blame blame = find_blame(tracker, suspect);
    struct iom_xlate fresh;
    if (suspect->landing && !is_late_landing(suspect, blame))
        return;
    if (blame.obligation == 0 && !suspect->root_mismatch)
        return; // the change turned out to be none
    tracker->stats.suspects += !suspect->landing;
    switch (iom_track_confirm(tracker, suspect, &fresh)) {
    case IOM_TRACK_STALE:
        find_stale(tracker, suspect, &fresh, blame);
        break;
    case IOM_TRACK_DIRTY:
        find_lost_dirty(tracker, suspect, &fresh, blame);
        break;
    default:
        vouch(tracker, suspect);
        break;
    }
}

static void settle_suspects(struct iom_tracker *tracker)
{
    qsort(tracker->suspects, tracker->suspect_count, sizeof *tracker->suspects, compare_suspects);
    for (uint32_t i = 0; i < tracker->suspect_count; i++)
        settle_suspect(tracker, &tracker->suspects[i]);
    for (uint32_t i = 0; i < tracker->suspect_count; i++) {
        for (unsigned side = 0; side < 2; side++) {
            if (tracker->suspects[i].node[side] != 0)
                iom_track_release(tracker, tracker->suspects[i].node[side]);
        }
    }
    tracker->suspect_count = 0;
}

void iom_track_settle(struct iom_tracker *tracker)
{
    tracker->work = false;
    if (tracker->unjudged_count != 0 || tracker->limbo_count >= IOM_TRACK_LIMBO_BATCH)
        iom_track_clear_limbo(tracker);
    judge_all(tracker);
    if (tracker->suspect_count != 0)
        settle_suspects(tracker);
    find_overdue(tracker);
    tracker->work = tracker->limbo_count >= IOM_TRACK_LIMBO_BATCH;
}

void iom_tracker_settle(struct iom_tracker *tracker, iom_cycle now)
{
    if (tracker != NULL)
        iom_track_enter(tracker, now + 1);
}

// ---- end of the run ------------------------------------------------------------------------------------

// Everything that was reported (or, without a driver, every change) has to be paid by now.
static void find_all_missing(struct iom_tracker *tracker)
{
    for (uint32_t index = 1; index < tracker->obligation_count; index++) {
        const struct iom_track_obligation *at = &tracker->obligations[index];
        if (at->holds == 0 || !at->open)
            continue;
        find_missing(tracker, index);
        iom_track_count_unprotected(tracker, index);
    }
}

// In the window a stale entry is what one expects.
static bool was_reported(const struct iom_tracker *tracker, uint32_t obligation, uint32_t holder,
                         const struct iom_tag *entry)
{
    const struct iom_track_obligation *at = &tracker->obligations[obligation];
    if (!tracker->driver || at->partly == IOM_NEVER)
        return !tracker->driver || at->reported != IOM_NEVER;
    uint32_t domain = iom_track_space_of(tracker, iom_track_cache_of(tracker, holder), entry,
                                         tracker->holders[holder].node);
    return iom_track_reported_at(tracker, obligation, domain, IOM_ANY_STREAM, entry->address) != IOM_NEVER;
}

static void find_latent(struct iom_tracker *tracker, uint32_t holder)
{
    uint32_t node = tracker->holders[holder].node;
    uint32_t mark = node != 0 ? tracker->nodes[node].mark : 0;
    if (mark == 0)
        return;
    const struct iom_track_cache *cache = iom_track_cache_of(tracker, holder);
    const struct iom_tag *entry = iom_cache_tag(cache->cache, (int32_t)(holder - cache->base));
    if (!was_reported(tracker, mark, holder, entry) ||
        iom_track_compare_entry(tracker, holder) != IOM_TRACK_STALE)
        return;
    struct iom_finding finding = {
        .kind = IOM_FINDING_LATENT,
        .severity = IOM_SEVERITY_WARNING,
        .looked_up = IOM_NEVER,
        .visible = IOM_NEVER,
        .has_entry = true,
        .entry = *entry,
    };
    iom_track_describe(tracker, mark, &finding);
    iom_track_name(iom_track_find_covering(tracker, tracker->obligations[mark].created, cache, entry),
                   &finding);
    finding.iommu = cache->iommu;
    finding.cache = cache->kind == IOM_TRACKED_DEVICE_TLB ? cache->kind + cache->index : cache->kind;
    tracker->stats.latent_stale_entries++;
    iom_track_find(tracker, &finding);
}

void iom_tracker_finish(struct iom_tracker *tracker, iom_cycle now)
{
    if (tracker == NULL)
        return;
    tracker->before = tracker->now;
    tracker->now = iom_max_u64(now, tracker->now) + 1; // what was recorded in the last cycle counts
    iom_track_sync(tracker);
    iom_track_settle(tracker);
    find_all_missing(tracker);
    for (uint32_t holder = 1; holder < tracker->holder_count; holder++)
        find_latent(tracker, holder);
    iom_track_finish_history(tracker);
}
