// SPDX-License-Identifier: Apache-2.0
//
// Control messages of a look-up stage: register views and invalidations, and what they do to requests and
// walks under way. Drains are in stage_drain.c. See stage.h.
#include "core/stage_internal.h"

static uint32_t key_fields(const struct iom_stage *stage, enum iom_lookup which)
{
    return stage->config.lookup[which].cache.match;
}

void iom_stage_control_init(struct iom_stage *stage)
{
    struct iom_invalidate_plan plan = {.psc.cost.method = IOM_INVALIDATE_FLASH};
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
        if (!stage->config.lookup[which].owned)
            continue;
        plan.lookup[which].cost = stage->config.lookup[which].invalidate;
        plan.lookup[which].cache = stage->config.lookup[which].cache;
    }
    iom_invalidator_init(&stage->invalidator, stage->config.plan != NULL ? stage->config.plan : &plan,
                         stage->owned);
    stage->common_plan = stage->config.plan != NULL;
    stage->config.plan = NULL; // copied; the caller's may be gone
    stage->settled = IOM_NEVER;
}

void iom_stage_take_control(struct iom_stage *stage, struct iom_control *control)
{
    switch ((enum iom_control_op)control->op) {
    case IOM_CONTROL_VIEW:
        iom_fifo_push(&stage->views, &control->msg);
        break;
    case IOM_CONTROL_INVALIDATE:
        iom_invalidator_push(&stage->invalidator, control);
        break;
    case IOM_CONTROL_DRAIN:
        iom_fifo_push(&stage->epochs.arrived, &control->msg);
        break;
    case IOM_CONTROL_RESPOND:
        assert(!"page responses go to devices");
        break;
    }
}

// ---- requests that hold a context ----------------------------------------------------------------------

// Requests that wait inside the front start over. Behind the front they are told by the cycle of their
// first look-up when they are taken up (iom_stage_take), like those still on the way.
static void drop_contexts(struct iom_stage *stage, iom_cycle now)
{
    if (!stage->config.front) {
        stage->contexts_from = now + 1;
        return;
    }
    for (struct iom_msg *msg = stage->replays.first; msg != NULL; msg = msg->next)
        iom_stage_forget(stage, iom_dma_of(msg));
    for (uint32_t i = 0; i < stage->config.inputs; i++) {
        if (stage->ingress[i].dma != NULL)
            iom_stage_forget(stage, stage->ingress[i].dma);
    }
}

// Stages without a common plan drop their entries each in its own cycle. All have done so when the next
// control message begins, since the fan-out waits for every acknowledgement.
static void all_have_settled(struct iom_stage *stage, iom_cycle now)
{
    if (stage->contexts_settling)
        stage->contexts_from = iom_max_u64(stage->contexts_from, now + 1);
    stage->contexts_settling = false;
}

// ---- invalidations -------------------------------------------------------------------------------------

// Returns how many walks will be squashed by it.
static uint32_t poison(struct iom_stage *stage, enum iom_lookup which, const struct iom_cache_match *match,
                       uint32_t known_fields, bool pages_only)
{
    uint32_t poisoned = pages_only
                            ? iom_miss_table_poison_pages(&stage->misses, (uint8_t)which, match, known_fields)
                            : iom_miss_table_poison(&stage->misses, (uint8_t)which, match, known_fields);
    stage->lookup_stats[which].squashed += poisoned;
    return poisoned;
}

static uint32_t poison_by(struct iom_stage *stage, const struct iom_invalidation_part *part)
{
    const struct iom_cache_match *match = &part->match;
    uint32_t stopped = 0;
    if (part->targets & IOM_INVALIDATE_CONTEXT)
        stopped += poison(stage, IOM_LOOKUP_CONTEXT, match, key_fields(stage, IOM_LOOKUP_CONTEXT), false);
    // A walk for a PASID entry goes by the context of its requester.
    if (part->targets & IOM_INVALIDATE_CONTEXT)
        stopped += poison(stage, IOM_LOOKUP_PASID, match,
                          key_fields(stage, IOM_LOOKUP_PASID) & (IOM_TAG_STREAM | IOM_TAG_IOMMU), false);
    if (part->targets & IOM_INVALIDATE_PASID)
        stopped += poison(stage, IOM_LOOKUP_PASID, match, key_fields(stage, IOM_LOOKUP_PASID), false);
    // A page walk goes by tables that cover more than its page, and perhaps by those of another stage.
    uint32_t known = key_fields(stage, IOM_LOOKUP_IOTLB);
    if (part->targets & IOM_INVALIDATE_PSC)
        stopped +=
            poison(stage, IOM_LOOKUP_IOTLB, match, known & ~(uint32_t)(IOM_TAG_STAGE | IOM_TAG_LEVEL), false);
    else if (part->targets & IOM_INVALIDATE_IOTLB)
        stopped += poison(stage, IOM_LOOKUP_IOTLB, match, known, true);
    return stopped;
}

// Removes what any part covers; returns how many entries that were. The changes of this cycle are applied
// at once: its look-ups are over.
static uint32_t remove_entries(struct iom_stage *stage, enum iom_lookup which,
                               const struct iom_invalidation *invalidation, iom_cycle now)
{
    struct iom_cache *cache = stage->cache[which];
    if (cache == NULL)
        return 0;
    iom_cache_sync(cache, now);
    uint64_t before = iom_cache_counts_of(cache)->invalidated;
    for (uint32_t i = 0; i < invalidation->parts; i++) {
        if (invalidation->part[i].targets & 1u << which)
            iom_cache_invalidate(cache, now, &invalidation->part[i].match);
    }
    iom_cache_sync(cache, now + 1);
    return (uint32_t)(iom_cache_counts_of(cache)->invalidated - before);
}

static void invalidate(struct iom_stage *stage, struct iom_control *control, iom_cycle now)
{
    const struct iom_invalidation *invalidation = &control->invalidation;
    uint32_t targets = iom_invalidation_targets(invalidation);
    control->removed = control->stopped = 0;
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
        if (targets & stage->owned & 1u << which)
            control->removed += remove_entries(stage, (enum iom_lookup)which, invalidation, now);
    }
    // Hardware that does not squash knows nothing of this.
    for (uint32_t i = 0; i < invalidation->parts && stage->misses.used != 0 && stage->config.squash_walks;
         i++)
        control->stopped += poison_by(stage, &invalidation->part[i]);
    if (targets & (IOM_INVALIDATE_CONTEXT | IOM_INVALIDATE_PASID)) {
        drop_contexts(stage, now);
        stage->contexts_settling = !stage->config.front && !stage->common_plan;
    }
    if (targets & stage->owned) {
        stage->stats.invalidations++;
        stage->stats.invalidate_cycles += (now - stage->invalidator.begun) / stage->unit.period + 1;
    }
}

void iom_stage_fed(struct iom_stage *stage, iom_cycle now)
{
    if (--stage->starving != 0)
        return;
    stage->invalidator.hold = false;
    struct iom_msg *msg;
    while ((msg = iom_fifo_pop(&stage->held_acks)) != NULL)
        iom_port_send(&stage->ports[IOM_STAGE_CONTROL], msg, now);
}

static void acknowledge(struct iom_stage *stage, struct iom_control *control, iom_cycle now)
{
    if (stage->starving != 0) {
        stage->invalidator.hold = true;
        iom_fifo_push(&stage->held_acks, &control->msg);
    } else {
        iom_port_send(&stage->ports[IOM_STAGE_CONTROL], &control->msg, now);
    }
}

// ---- a cycle -------------------------------------------------------------------------------------------

void iom_stage_begin_control(struct iom_stage *stage, iom_cycle now)
{
    bool was_running = stage->invalidator.running != NULL;
    stage->stats.blocked_cycles += iom_invalidator_begin(&stage->invalidator, &stage->unit, now);
    if (!was_running && stage->invalidator.running != NULL)
        all_have_settled(stage, now);
}

// Rule 4: what was read in this cycle saw the old state; now it changes.
void iom_stage_end_control(struct iom_stage *stage, iom_cycle now)
{
    struct iom_control *due = iom_invalidator_due(&stage->invalidator, now);
    if (due != NULL) {
        invalidate(stage, due, now);
        if (stage->observer.invalidated != NULL)
            stage->observer.invalidated(stage->observer.context, now, &due->invalidation);
        acknowledge(stage, due, now);
        stage->changes++;
        stage->settled = now;
    }
    struct iom_msg *msg;
    while ((msg = iom_fifo_pop(&stage->views)) != NULL) {
        all_have_settled(stage, now);
        stage->view = ((struct iom_control *)(void *)msg)->view;
        drop_contexts(stage, now);
        iom_port_send(&stage->ports[IOM_STAGE_CONTROL], msg, now);
        stage->changes++;
        stage->settled = now;
    }
}
