// SPDX-License-Identifier: Apache-2.0
//
// The walker pool: new register views and invalidations of the caches and of walks under way.
#include "core/walker_internal.h"

// A walk that may have read what is being invalidated must not fill the caches any more. Fields a walk
// does not know yet match.
static void poison(struct iom_walker *pool, const struct iom_cache_match *match)
{
    for (uint32_t i = 0; i < pool->config.walkers; i++) {
        struct iom_walk *walk = pool->slots[i].walk;
        if (walk == NULL)
            continue;
        struct iom_tag tag = {.stream = walk->x.source, .domain = walk->x.context.domain, .size_log2 = 64};
        struct iom_cache_match narrowed = *match;
        narrowed.fields &= IOM_TAG_STREAM | IOM_TAG_IOMMU;
        tag.iommu = pool->config.arch->iommu;
        if (walk->what == IOM_LOOKUP_IOTLB)
            narrowed.fields |= match->fields & IOM_TAG_DOMAIN;
        narrowed.keep_global = false;
        if (iom_tag_matches(&tag, &narrowed))
            walk->poisoned = true;
    }
}

void iom_walker_take_controls(struct iom_walker *pool, iom_cycle now)
{
    struct iom_port *port = &pool->ports[IOM_WALKER_CONTROL];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_control *control = (struct iom_control *)(void *)iom_port_pop(port);
        if (control->op == IOM_CONTROL_INVALIDATE)
            iom_invalidator_push(&pool->invalidator, control);
        else
            iom_fifo_push(&pool->views, &control->msg);
    }
}

static void invalidate(struct iom_walker *pool, struct iom_control *control, iom_cycle now)
{
    const struct iom_invalidation *invalidation = &control->invalidation;
    control->removed = 0;
    if (!(iom_invalidation_targets(invalidation) & IOM_INVALIDATE_PSC))
        return;
    if (pool->psc != NULL) {
        control->removed = iom_psc_invalidate(pool->psc, now, invalidation);
        iom_psc_count_invalidation(pool->psc, (now - pool->invalidator.begun) / pool->unit.period + 1,
                                   iom_invalidator_blocked(&pool->invalidator, &pool->unit));
    }
    if (!pool->config.squash_walks)
        return;
    pool->stale_before = now + 1;
    for (uint32_t i = 0; i < invalidation->parts; i++) {
        if (invalidation->part[i].targets & IOM_INVALIDATE_PSC)
            poison(pool, &invalidation->part[i].match);
    }
}

void iom_walker_end_controls(struct iom_walker *pool, iom_cycle now)
{
    struct iom_port *port = &pool->ports[IOM_WALKER_CONTROL];
    struct iom_control *due = iom_invalidator_due(&pool->invalidator, now);
    if (due != NULL) {
        invalidate(pool, due, now);
        iom_port_send(port, &due->msg, now);
    }
    struct iom_msg *msg;
    while ((msg = iom_fifo_pop(&pool->views)) != NULL) {
        pool->view = ((struct iom_control *)(void *)msg)->view;
        iom_port_send(port, msg, now);
    }
}
