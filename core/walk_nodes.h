// SPDX-License-Identifier: Apache-2.0
//
// Provenance of a walk (hazard tracker, core/tracker.h): which words its entries and its result come from.
//
// Everything read is a chain of nodes: each read is a child of the one before. But a second-stage walk that
// translates an address met within another walk depends on nothing but the context and its own reads: what it
// puts into the second-stage caches must not count as coming from the first stage. So it begins a chain of
// its own from the context (walk->node), and what was read before is set aside (walk->outer), to be joined
// again for everything else. Every function does nothing without a tracker.
#ifndef IOM_CORE_WALK_NODES_H
#define IOM_CORE_WALK_NODES_H

#include "core/tracker.h"
#include "core/walk.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A stage sends a walk: it goes by the context of its request, or by the registers of instance `iommu`.
/// The walk owns references from here to iom_walk_nodes_end.
void iom_walk_nodes_begin(struct iom_tracker *tracker, uint8_t iommu, struct iom_walk *walk);
/// The walk asks the paging-structure caches: it begins with the tables of walk->probe.stage.
void iom_walk_nodes_stage(struct iom_tracker *tracker, uint8_t iommu, struct iom_walk *walk);
/// The probe was answered; takes over the reference to the node of the entry found.
void iom_walk_nodes_hit(struct iom_tracker *tracker, struct iom_walk *walk);
/// A read with parent walk->node has brought `node`, a reference to which is taken over.
void iom_walk_nodes_read(struct iom_tracker *tracker, struct iom_walk *walk, iom_node node);
/// A new reference to what walk->psc_fill comes from.
iom_node iom_walk_nodes_fill(struct iom_tracker *tracker, const struct iom_walk *walk);
/// The walk is over: signs its result and the entry to be made of it.
void iom_walk_nodes_result(struct iom_tracker *tracker, struct iom_walk *walk);
void iom_walk_nodes_end(struct iom_tracker *tracker, struct iom_walk *walk);

#ifdef __cplusplus
}
#endif

#endif
