// SPDX-License-Identifier: Apache-2.0
//
// The hazard tracker: life, uses and landings of requests. See tracker.h for what is told to it and
// tracker_internal.h for its parts.
#include "core/tracker.h"

#include <stdlib.h>
#include <string.h>

#include "core/tracker_internal.h"

#define DEFAULT_FINDINGS 64u
#define DEFAULT_OBLIGATIONS 65536u

// ---- life ------------------------------------------------------------------------------------------------

static void make_roots(struct iom_tracker *tracker)
{
    for (uint32_t i = 0; i < tracker->iommus; i++)
        tracker->iommu[i].root = iom_tracker_read(tracker, 0, 0, IOM_VIEW_SOURCE + i * UINT64_C(8), 8);
}

struct iom_tracker *iom_tracker_create(const struct iom_tracker_config *config)
{
    struct iom_tracker *tracker = calloc(1, sizeof *tracker);
    if (tracker == NULL)
        return NULL;
    tracker->image = config->image;
    tracker->iommus = config->iommus;
    tracker->findings_per_kind =
        config->findings_per_kind != 0 ? config->findings_per_kind : DEFAULT_FINDINGS;
    tracker->obligation_limit = config->obligations != 0 ? config->obligations : DEFAULT_OBLIGATIONS;
    for (uint32_t i = 0; i < config->iommus; i++)
        tracker->iommu[i].config = config->iommu[i];
    tracker->history = calloc(IOM_TRACK_HISTORY, sizeof *tracker->history);
    tracker->reports = calloc(IOM_TRACK_REPORTS, sizeof *tracker->reports);
    if (tracker->history == NULL || tracker->reports == NULL) {
        iom_tracker_destroy(tracker);
        return NULL;
    }
    iom_track_add_places(tracker);
    make_roots(tracker);
    return tracker;
}

void iom_tracker_destroy(struct iom_tracker *tracker)
{
    if (tracker == NULL)
        return;
    for (uint32_t i = 0; i < tracker->cache_count; i++)
        free(tracker->caches[i]);
    free(tracker->caches);
    free(tracker->holders);
    free(tracker->nodes);
    free(tracker->witnesses);
    free(tracker->watch);
    free(tracker->limbo);
    free(tracker->stack);
    free(tracker->obligations);
    free(tracker->copies);
    free(tracker->unjudged);
    free(tracker->awaiting);
    free(tracker->overdue);
    free(tracker->reports);
    free(tracker->active);
    free(tracker->history);
    free(tracker->suspects);
    free(tracker->findings);
    iom_track_map_free(&tracker->stores);
    iom_track_map_free(&tracker->owners);
    free(tracker);
}

// ---- uses ------------------------------------------------------------------------------------------------

// Which tables a request's context names; 0 is kept for "not known".
static uint32_t root_of(const struct iom_context *context)
{
    uint64_t hash =
        context->table[0] * UINT64_C(0x9e3779b97f4a7c15) + context->table[1] * UINT64_C(0xc2b2ae3d27d4eb4f);
    return (uint32_t)(hash >> 32) | 1;
}

static void add_suspect(struct iom_tracker *tracker, const struct iom_dma *dma, uint32_t cache, bool landing,
                        bool root_mismatch, const uint32_t node[2])
{
    tracker->suspects = iom_track_grow(tracker->suspects, &tracker->suspect_capacity,
                                       tracker->suspect_count + 1, sizeof *tracker->suspects);
    struct iom_track_suspect *suspect = &tracker->suspects[tracker->suspect_count++];
    bool device = cache >= IOM_TRACKED_DEVICE_TLB;
    uint32_t first = node[0] != 0 ? node[0] : node[1];
    uint32_t witness = iom_track_witness_of(tracker, first);
    uint16_t flags = landing || device ? (uint16_t)(dma->x.flags & ~IOM_REQ_TRANSLATED) : dma->x.flags;
    *suspect = (struct iom_track_suspect){
        .at = tracker->now,
        .used_at = dma->used_at,
        .id = dma->id,
        .address = landing ? dma->used_address : dma->x.address,
        .output = dma->x.leaf.output,
        .attributes = dma->x.leaf.attributes,
        .source = dma->x.source,
        .pasid = dma->x.flags & IOM_REQ_PASID ? dma->x.pasid : IOM_TRACK_NO_PASID,
        .bytes = dma->x.bytes,
        .cache = cache,
        .domain = witness != 0 ? tracker->witnesses[witness].domain : dma->x.context.domain,
        .asid = witness != 0 ? tracker->witnesses[witness].asid : dma->x.context.asid,
        .flags = flags,
        .outcome = dma->x.outcome,
        .permissions = dma->x.leaf.permissions,
        .size_log2 = dma->x.leaf.size_log2,
        .iommu = iom_track_iommu_of(tracker, first),
        .landing = landing,
        .root_mismatch = root_mismatch,
    };
    for (unsigned i = 0; i < 2; i++) {
        suspect->node[i] = node[i];
        if (node[i] == 0)
            continue;
        tracker->nodes[node[i]].refs++;
        uint32_t holder = iom_track_find_holder(tracker, node[i], cache, dma->x.address);
        if (holder == 0 || suspect->has_entry)
            continue;
        const struct iom_track_cache *where = iom_track_cache_of(tracker, holder);
        suspect->entry = *iom_cache_tag(where->cache, (int32_t)(holder - where->base));
        suspect->has_entry = true;
        suspect->holder = holder;
    }
    tracker->work = true;
}

// Changed in an earlier cycle than `before`?
static inline bool is_marked(const struct iom_tracker *tracker, uint32_t index, iom_cycle before)
{
    uint32_t mark = tracker->nodes[index].mark; // place 0 has none
    return mark != 0 && tracker->obligations[mark].created < before;
}

// A walk that finds nothing has read so while it was under way: what is mapped meanwhile is for requests that
// come later.
static inline iom_cycle judged_at(const struct iom_tracker *tracker, const struct iom_dma *dma,
                                  uint32_t cache)
{
    bool found_nothing = cache == IOM_TRACKED_WALK && dma->x.outcome == IOM_OUTCOME_FAULT;
    return found_nothing ? iom_min_u64(dma->looked_up, tracker->now) : tracker->now;
}

// The first use of a context says who uses it.
static void make_witness(struct iom_tracker *tracker, uint32_t index, const struct iom_xlate *x)
{
    tracker->nodes[index].flags |= IOM_TRACK_WITNESS;
    tracker->witnesses[index] = (struct iom_track_witness){
        .source = x->source,
        .pasid = x->flags & IOM_REQ_PASID ? x->pasid : IOM_TRACK_NO_PASID,
        .domain = x->context.domain,
        .asid = x->context.asid,
    };
}

// The second use of a translated request finds its place taken.
static void hold_more(struct iom_tracker *tracker, struct iom_dma *dma, uint32_t first, uint32_t second)
{
    iom_node added = iom_tracker_join(tracker, iom_track_id(tracker, first), iom_track_id(tracker, second));
    iom_node before = dma->used_context;
    dma->used_context = iom_tracker_join(tracker, before, added);
    iom_tracker_release(tracker, added);
    iom_tracker_release(tracker, before);
}

// A request holds up to two nodes: that of its translation and that of its context.
static inline void hold(struct iom_tracker *tracker, struct iom_dma *dma, uint32_t leaf, uint32_t context)
{
    if (dma->used != 0) {
        hold_more(tracker, dma, leaf, context);
        return;
    }
    bool both = leaf != 0;
    dma->used = both ? dma->x.leaf.node : iom_track_id(tracker, context);
    dma->used_context = both ? iom_track_id(tracker, context) : 0;
    dma->used_at = tracker->now;
    dma->used_address = dma->x.address;
    tracker->nodes[leaf].refs++; // place 0 counts for nobody
    tracker->nodes[context].refs++;
}

static void suspect_use(struct iom_tracker *tracker, const struct iom_dma *dma, uint32_t cache, bool mismatch,
                        uint32_t leaf, uint32_t context)
{
    const uint32_t nodes[2] = {leaf, context};
    struct iom_dma copy = *dma; // a second use is judged by its own cycle
    copy.used_at = tracker->now;
    add_suspect(tracker, &copy, cache, false, mismatch, nodes);
}

void iom_tracker_use(struct iom_tracker *tracker, iom_cycle now, struct iom_dma *dma, uint32_t cache)
{
    if (tracker == NULL)
        return;
    iom_track_enter(tracker, now);
    tracker->stats.uses++;
    bool device = cache >= IOM_TRACKED_DEVICE_TLB;
    uint32_t leaf = dma->x.outcome == IOM_OUTCOME_ADDRESS ? iom_track_index(tracker, dma->x.leaf.node) : 0;
    uint32_t context = device ? 0 : iom_track_index(tracker, dma->x.context.node);
    bool mismatch = false;
    if (context != 0 && !(tracker->nodes[context].flags & IOM_TRACK_WITNESS))
        make_witness(tracker, context, &dma->x);
    if (leaf != 0 && !device && !(dma->x.flags & IOM_REQ_TRANSLATED)) {
        uint32_t root = root_of(&dma->x.context);
        if (tracker->nodes[leaf].root == 0)
            tracker->nodes[leaf].root = root;
        mismatch = tracker->nodes[leaf].root != root;
    }
    hold(tracker, dma, leaf, context);
    if (cache == IOM_TRACKED_WALK)
        iom_track_walked(tracker, now, dma);
    if (mismatch || (tracker->nodes[leaf].mark | tracker->nodes[context].mark) != 0) {
        iom_cycle before = judged_at(tracker, dma, cache);
        if (mismatch || is_marked(tracker, leaf, before) || is_marked(tracker, context, before))
            suspect_use(tracker, dma, cache, mismatch, leaf, context);
    }
}

// ---- landings --------------------------------------------------------------------------------------------

static inline void let_go(struct iom_tracker *tracker, struct iom_dma *dma, uint32_t first, uint32_t second)
{
    dma->used = 0;
    dma->used_context = 0;
    if (first != 0)
        iom_track_release(tracker, first);
    if (second != 0)
        iom_track_release(tracker, second);
}

static void suspect_landing(struct iom_tracker *tracker, const struct iom_dma *dma, uint32_t first,
                            uint32_t second)
{
    const uint32_t nodes[2] = {first, second};
    if (is_marked(tracker, first, tracker->now) || is_marked(tracker, second, tracker->now))
        add_suspect(tracker, dma, IOM_TRACKED_WALK, true, false, nodes);
}

void iom_tracker_visible(struct iom_tracker *tracker, iom_cycle now, struct iom_dma *dma)
{
    if (tracker == NULL || dma->used == 0)
        return;
    iom_track_enter(tracker, now);
    uint32_t first = iom_track_index(tracker, dma->used);
    uint32_t second = iom_track_index(tracker, dma->used_context);
    if ((tracker->nodes[first].mark | tracker->nodes[second].mark) != 0)
        suspect_landing(tracker, dma, first, second);
    let_go(tracker, dma, first, second);
}

void iom_tracker_answered(struct iom_tracker *tracker, iom_cycle now, struct iom_dma *dma)
{
    if (tracker == NULL || dma->used == 0)
        return;
    iom_track_enter(tracker, now);
    let_go(tracker, dma, iom_track_index(tracker, dma->used), iom_track_index(tracker, dma->used_context));
}
