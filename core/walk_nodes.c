// SPDX-License-Identifier: Apache-2.0
//
// Provenance of a walk. See walk_nodes.h.
#include "core/walk_nodes.h"

static iom_node origin_of(struct iom_tracker *tracker, uint8_t iommu, const struct iom_walk *walk)
{
    return walk->what == IOM_LOOKUP_CONTEXT ? iom_tracker_root(tracker, iommu) : walk->x.context.node;
}

void iom_walk_nodes_begin(struct iom_tracker *tracker, uint8_t iommu, struct iom_walk *walk)
{
    walk->node = walk->outer = 0;
    if (tracker == NULL)
        return;
    walk->node = origin_of(tracker, iommu, walk);
    iom_tracker_keep(tracker, walk->node);
}

// walk->outer takes in what has been read since.
static void set_aside(struct iom_tracker *tracker, struct iom_walk *walk)
{
    if (walk->outer == 0) { // the reference moves over
        walk->outer = walk->node;
        walk->node = 0;
        return;
    }
    iom_node joined = iom_tracker_join(tracker, walk->outer, walk->node);
    iom_tracker_release(tracker, walk->outer);
    iom_tracker_release(tracker, walk->node);
    walk->outer = joined;
    walk->node = 0;
}

void iom_walk_nodes_stage(struct iom_tracker *tracker, uint8_t iommu, struct iom_walk *walk)
{
    if (tracker == NULL || walk->probe.stage != 2)
        return;
    iom_node origin = origin_of(tracker, iommu, walk);
    if (walk->node == origin)
        return;
    set_aside(tracker, walk);
    walk->node = origin;
    iom_tracker_keep(tracker, origin);
}

void iom_walk_nodes_hit(struct iom_tracker *tracker, struct iom_walk *walk)
{
    if (tracker == NULL || walk->probe.hit_level == 0)
        return;
    iom_node before = walk->node;
    walk->node = iom_tracker_join(tracker, before, walk->probe.entry.node);
    iom_tracker_release(tracker, before);
    iom_tracker_release(tracker, walk->probe.entry.node);
}

void iom_walk_nodes_read(struct iom_tracker *tracker, struct iom_walk *walk, iom_node node)
{
    if (tracker == NULL || node == walk->node)
        return; // nobody has recorded the read
    iom_tracker_release(tracker, walk->node);
    walk->node = node;
}

iom_node iom_walk_nodes_fill(struct iom_tracker *tracker, const struct iom_walk *walk)
{
    if (tracker == NULL)
        return 0;
    return iom_tracker_join(tracker, walk->psc_fill.stage == 2 ? 0 : walk->outer, walk->node);
}

// What a page walk refuses is refused by what it has read, not by the context.
void iom_walk_nodes_result(struct iom_tracker *tracker, struct iom_walk *walk)
{
    if (tracker == NULL)
        return;
    set_aside(tracker, walk);
    if (walk->what != IOM_LOOKUP_IOTLB) {
        walk->x.context.node = walk->outer;
        walk->fill.payload.context.node = walk->outer;
        return;
    }
    walk->fill.payload.leaf.node = walk->outer;
    if (walk->x.outcome == IOM_OUTCOME_ADDRESS)
        walk->x.leaf.node = walk->outer;
    else
        walk->x.context.node = walk->outer;
}

void iom_walk_nodes_end(struct iom_tracker *tracker, struct iom_walk *walk)
{
    iom_tracker_release(tracker, walk->outer);
    iom_tracker_release(tracker, walk->node);
    walk->node = walk->outer = 0;
}
