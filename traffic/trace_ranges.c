// SPDX-License-Identifier: Apache-2.0
//
// See trace_ranges.h. The ranges form a treap: a search tree by (space, first) that is a heap by a
// priority hashed from the node's number, so that its depth is logarithmic whatever the order of the
// addresses, and equal inputs give equal trees (no random generator, no pointer order).
#include "traffic/trace_ranges.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

struct node {
    struct iom_range range;
    uint32_t left;
    uint32_t right;
};

struct iom_ranges {
    struct node *nodes;
    uint32_t used;
    uint32_t room;
    uint32_t free; ///< list of unused nodes, linked by `left`
    uint32_t root;
    uint32_t count;
    uint64_t bytes;
};

struct iom_ranges *iom_ranges_new(void)
{
    struct iom_ranges *ranges = calloc(1, sizeof *ranges);
    if (ranges != NULL) {
        ranges->free = NONE;
        ranges->root = NONE;
    }
    return ranges;
}

void iom_ranges_free(struct iom_ranges *ranges)
{
    if (ranges == NULL)
        return;
    free(ranges->nodes);
    free(ranges);
}

static uint32_t priority(uint32_t node)
{
    uint64_t mixed = (node + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed ^= mixed >> 29;
    return (uint32_t)(mixed * UINT64_C(0x94d049bb133111eb) >> 32);
}

/// True if the range begins behind (space, at).
static bool begins_behind(const struct iom_range *range, uint32_t space, uint64_t at)
{
    return range->space != space ? range->space > space : range->first > at;
}

struct iom_range *iom_ranges_find(struct iom_ranges *ranges, uint32_t space, uint64_t at)
{
    struct iom_range *found = iom_ranges_next(ranges, space, at);
    return found != NULL && found->first <= at ? found : NULL;
}

struct iom_range *iom_ranges_next(struct iom_ranges *ranges, uint32_t space, uint64_t at)
{
    struct iom_range *floor = NULL;
    struct iom_range *above = NULL;
    for (uint32_t i = ranges->root; i != NONE;) {
        struct node *node = &ranges->nodes[i];
        if (begins_behind(&node->range, space, at)) {
            above = &node->range;
            i = node->left;
        } else {
            floor = &node->range;
            i = node->right;
        }
    }
    if (floor != NULL && floor->space == space && floor->last >= at)
        return floor;
    return above != NULL && above->space == space ? above : NULL;
}

/// Splits the tree `root` at (space, at): what begins at or before it goes to `*left`.
static void split(struct iom_ranges *ranges, uint32_t root, uint32_t space, uint64_t at, uint32_t *left,
                  uint32_t *right)
{
    while (root != NONE) {
        struct node *node = &ranges->nodes[root];
        if (begins_behind(&node->range, space, at)) {
            *right = root;
            right = &node->left;
            root = node->left;
        } else {
            *left = root;
            left = &node->right;
            root = node->right;
        }
    }
    *left = NONE;
    *right = NONE;
}

static uint32_t merge(struct iom_ranges *ranges, uint32_t left, uint32_t right)
{
    uint32_t root = NONE;
    uint32_t *to = &root;
    while (left != NONE && right != NONE) {
        if (priority(left) >= priority(right)) {
            *to = left;
            to = &ranges->nodes[left].right;
            left = *to;
        } else {
            *to = right;
            to = &ranges->nodes[right].left;
            right = *to;
        }
    }
    *to = left != NONE ? left : right;
    return root;
}

static uint32_t new_node(struct iom_ranges *ranges)
{
    if (ranges->free != NONE) {
        uint32_t node = ranges->free;
        ranges->free = ranges->nodes[node].left;
        return node;
    }
    if (ranges->used == ranges->room) {
        uint32_t room = ranges->room == 0 ? 64 : ranges->room * 2;
        struct node *grown = room < ranges->room ? NULL : realloc(ranges->nodes, room * sizeof *grown);
        if (grown == NULL)
            return NONE;
        ranges->nodes = grown;
        ranges->room = room;
    }
    return ranges->used++;
}

bool iom_ranges_insert(struct iom_ranges *ranges, const struct iom_range *range)
{
    struct iom_range copy = *range;
    uint32_t node = new_node(ranges);
    if (node == NONE)
        return false;
    ranges->nodes[node].range = copy;
    ranges->nodes[node].left = NONE;
    ranges->nodes[node].right = NONE;
    uint32_t left;
    uint32_t right;
    split(ranges, ranges->root, copy.space, copy.first, &left, &right);
    ranges->root = merge(ranges, merge(ranges, left, node), right);
    ranges->count++;
    ranges->bytes += copy.last - copy.first + 1;
    return true;
}

/// Takes the node that begins at (space, first) out of the tree.
static void drop(struct iom_ranges *ranges, uint32_t space, uint64_t first)
{
    uint32_t *link = &ranges->root;
    while (*link != NONE) {
        struct node *node = &ranges->nodes[*link];
        if (node->range.space == space && node->range.first == first) {
            uint32_t gone = *link;
            *link = merge(ranges, node->left, node->right);
            node->left = ranges->free;
            ranges->free = gone;
            ranges->count--;
            ranges->bytes -= node->range.last - node->range.first + 1;
            return;
        }
        link = begins_behind(&node->range, space, first) ? &node->left : &node->right;
    }
}

bool iom_ranges_remove(struct iom_ranges *ranges, uint32_t space, uint64_t first, uint64_t last)
{
    for (;;) {
        struct iom_range *found = iom_ranges_next(ranges, space, first);
        if (found == NULL || found->first > last)
            return true;
        struct iom_range old = *found;
        drop(ranges, space, old.first);
        struct iom_range head = old;
        struct iom_range tail = old;
        head.last = first - 1;
        tail.first = last + 1;
        tail.address = old.address + (tail.first - old.first);
        if (old.first < first && !iom_ranges_insert(ranges, &head))
            return false;
        if (old.last > last && !iom_ranges_insert(ranges, &tail))
            return false;
        if (old.last >= last)
            return true;
    }
}

uint32_t iom_ranges_count(const struct iom_ranges *ranges)
{
    return ranges->count;
}

uint64_t iom_ranges_bytes(const struct iom_ranges *ranges)
{
    return ranges->bytes;
}
