// SPDX-License-Identifier: Apache-2.0
//
// Ranges of page numbers in use, ordered by address (part of the allocator in iova.h).
//
// A treap with priorities from a fixed sequence: each node knows the free pages directly below its range and
// the most such pages below any range of its subtree, so that the highest free place is found in
// O(log n). Neighbours are linked. The last node is an anchor above every address.
#ifndef IOM_TRAFFIC_IOVA_TREE_H
#define IOM_TRAFFIC_IOVA_TREE_H

#include "core/base.h"
#include "core/rng.h"

#define IOM_IOVA_NONE UINT32_MAX
/// The anchor: always node 0.
#define IOM_IOVA_ANCHOR 0u

struct iom_iova_node {
    uint64_t first, last;  ///< page numbers, inclusive
    uint64_t gap;          ///< free pages between the range before and this one
    uint64_t most;         ///< largest gap of the subtree
    uint64_t priority;     ///< of the treap
    uint32_t left, right;  ///< subtrees
    uint32_t below, above; ///< neighbours by address
};

struct iom_iova_tree {
    struct iom_iova_node *nodes; ///< by index; grows by doubling
    uint32_t capacity, used, free;
    uint32_t root;
    uint32_t count; ///< ranges without the anchor
    struct iom_rng priorities;
};

/// False when memory is out.
bool iom_iova_tree_init(struct iom_iova_tree *tree);
void iom_iova_tree_free(struct iom_iova_tree *tree);

/// The lowest range that ends at or above `page` (the anchor if there is no other).
uint32_t iom_iova_tree_at(const struct iom_iova_tree *tree, uint64_t page);
/// Adds [first, last] directly below range `above`; there must be room. Index, or IOM_IOVA_NONE when memory
/// is out.
uint32_t iom_iova_tree_insert(struct iom_iova_tree *tree, uint32_t above, uint64_t first, uint64_t last);
void iom_iova_tree_remove(struct iom_iova_tree *tree, uint32_t index);

struct iom_iova_place {
    uint64_t pages;      ///< wanted
    uint64_t align_mask; ///< pages aligned to: low bits that must be zero
    uint64_t limit;      ///< page numbers below it
    uint64_t lowest;     ///< page numbers from it
};
/// The highest place in the gaps below range `from` and the ranges before it. Returns the range above it, or
/// IOM_IOVA_NONE.
uint32_t iom_iova_tree_search(const struct iom_iova_tree *tree, uint32_t from,
                              const struct iom_iova_place *place, uint64_t *first);

#endif
