// SPDX-License-Identifier: Apache-2.0
//
// The tree of ranges in use. See iova_tree.h.
#include "traffic/iova_tree.h"

#include <stdlib.h>
#include <string.h>

#define ANCHOR_PAGE UINT64_MAX

static struct iom_iova_node *node_of(const struct iom_iova_tree *tree, uint32_t index)
{
    return &tree->nodes[index];
}

static uint64_t most_of(const struct iom_iova_tree *tree, uint32_t index)
{
    return index == IOM_IOVA_NONE ? 0 : tree->nodes[index].most;
}

static void pull(const struct iom_iova_tree *tree, uint32_t index)
{
    struct iom_iova_node *node = node_of(tree, index);
    node->most = iom_max_u64(node->gap, iom_max_u64(most_of(tree, node->left), most_of(tree, node->right)));
}

static void measure_gap(const struct iom_iova_tree *tree, uint32_t index)
{
    struct iom_iova_node *node = node_of(tree, index);
    node->gap = node->first - (node->below == IOM_IOVA_NONE ? 0 : tree->nodes[node->below].last + 1);
}

// Recomputes `most` from the node that begins at `first` up to the root.
static void refresh(const struct iom_iova_tree *tree, uint32_t at, uint64_t first)
{
    const struct iom_iova_node *node = node_of(tree, at);
    if (first < node->first)
        refresh(tree, node->left, first);
    else if (first > node->first)
        refresh(tree, node->right, first);
    pull(tree, at);
}

// ---- insert and remove -------------------------------------------------------------------------------

static uint32_t take_node(struct iom_iova_tree *tree)
{
    if (tree->free != IOM_IOVA_NONE) {
        uint32_t index = tree->free;
        tree->free = tree->nodes[index].left;
        return index;
    }
    if (tree->used == tree->capacity) {
        uint32_t wanted = tree->capacity != 0 ? tree->capacity * 2 : 64;
        struct iom_iova_node *grown = realloc(tree->nodes, wanted * sizeof *grown);
        if (grown == NULL)
            return IOM_IOVA_NONE;
        tree->nodes = grown;
        tree->capacity = wanted;
    }
    return tree->used++;
}

static uint32_t rotate_right(const struct iom_iova_tree *tree, uint32_t at)
{
    uint32_t up = tree->nodes[at].left;
    tree->nodes[at].left = tree->nodes[up].right;
    tree->nodes[up].right = at;
    pull(tree, at);
    return up;
}

static uint32_t rotate_left(const struct iom_iova_tree *tree, uint32_t at)
{
    uint32_t up = tree->nodes[at].right;
    tree->nodes[at].right = tree->nodes[up].left;
    tree->nodes[up].left = at;
    pull(tree, at);
    return up;
}

static uint32_t insert_at(const struct iom_iova_tree *tree, uint32_t at, uint32_t index)
{
    if (at == IOM_IOVA_NONE)
        return index;
    struct iom_iova_node *node = node_of(tree, at);
    if (tree->nodes[index].first < node->first) {
        node->left = insert_at(tree, node->left, index);
        if (tree->nodes[node->left].priority > node->priority)
            at = rotate_right(tree, at);
    } else {
        node->right = insert_at(tree, node->right, index);
        if (tree->nodes[node->right].priority > node->priority)
            at = rotate_left(tree, at);
    }
    pull(tree, at);
    return at;
}

// Joins two subtrees, all of `a` below all of `b`.
static uint32_t join(const struct iom_iova_tree *tree, uint32_t a, uint32_t b)
{
    if (a == IOM_IOVA_NONE)
        return b;
    if (b == IOM_IOVA_NONE)
        return a;
    uint32_t up = tree->nodes[a].priority > tree->nodes[b].priority ? a : b;
    if (up == a)
        tree->nodes[a].right = join(tree, tree->nodes[a].right, b);
    else
        tree->nodes[b].left = join(tree, a, tree->nodes[b].left);
    pull(tree, up);
    return up;
}

static uint32_t remove_at(const struct iom_iova_tree *tree, uint32_t at, uint32_t index)
{
    struct iom_iova_node *node = node_of(tree, at);
    if (at == index)
        return join(tree, node->left, node->right);
    if (tree->nodes[index].first < node->first)
        node->left = remove_at(tree, node->left, index);
    else
        node->right = remove_at(tree, node->right, index);
    pull(tree, at);
    return at;
}

uint32_t iom_iova_tree_insert(struct iom_iova_tree *tree, uint32_t above, uint64_t first, uint64_t last)
{
    uint32_t index = take_node(tree);
    if (index == IOM_IOVA_NONE)
        return IOM_IOVA_NONE;
    uint32_t below = tree->nodes[above].below;
    assert(last < tree->nodes[above].first && (below == IOM_IOVA_NONE || tree->nodes[below].last < first));
    *node_of(tree, index) = (struct iom_iova_node){.first = first,
                                                   .last = last,
                                                   .priority = iom_rng_next(&tree->priorities),
                                                   .left = IOM_IOVA_NONE,
                                                   .right = IOM_IOVA_NONE,
                                                   .below = below,
                                                   .above = above};
    tree->nodes[above].below = index;
    if (below != IOM_IOVA_NONE)
        tree->nodes[below].above = index;
    measure_gap(tree, index);
    pull(tree, index);
    tree->root = insert_at(tree, tree->root, index);
    measure_gap(tree, above);
    refresh(tree, tree->root, tree->nodes[above].first);
    tree->count++;
    return index;
}

void iom_iova_tree_remove(struct iom_iova_tree *tree, uint32_t index)
{
    struct iom_iova_node *node = node_of(tree, index);
    tree->root = remove_at(tree, tree->root, index);
    tree->nodes[node->above].below = node->below;
    if (node->below != IOM_IOVA_NONE)
        tree->nodes[node->below].above = node->above;
    measure_gap(tree, node->above);
    refresh(tree, tree->root, tree->nodes[node->above].first);
    node->left = tree->free;
    tree->free = index;
    tree->count--;
}

// ---- searches ----------------------------------------------------------------------------------------

uint32_t iom_iova_tree_at(const struct iom_iova_tree *tree, uint64_t page)
{
    uint32_t found = IOM_IOVA_ANCHOR;
    for (uint32_t at = tree->root; at != IOM_IOVA_NONE;) {
        const struct iom_iova_node *node = node_of(tree, at);
        if (node->last >= page) {
            found = at;
            at = node->left;
        } else {
            at = node->right;
        }
    }
    return found;
}

// Is there room directly below this range?
static bool fits(const struct iom_iova_node *node, const struct iom_iova_place *place, uint64_t *first)
{
    uint64_t end = iom_min_u64(place->limit, node->first);
    uint64_t lowest = iom_max_u64(node->first - node->gap, place->lowest);
    if (end < place->pages)
        return false;
    *first = (end - place->pages) & ~place->align_mask;
    return *first >= lowest;
}

static uint32_t search(const struct iom_iova_tree *tree, uint32_t at, uint64_t bound,
                       const struct iom_iova_place *place, uint64_t *first)
{
    if (at == IOM_IOVA_NONE || tree->nodes[at].most < place->pages)
        return IOM_IOVA_NONE;
    const struct iom_iova_node *node = node_of(tree, at);
    if (node->first <= bound) {
        uint32_t found = search(tree, node->right, bound, place, first);
        if (found != IOM_IOVA_NONE)
            return found;
        if (fits(node, place, first))
            return at;
    }
    return search(tree, node->left, bound, place, first);
}

uint32_t iom_iova_tree_search(const struct iom_iova_tree *tree, uint32_t from,
                              const struct iom_iova_place *place, uint64_t *first)
{
    return search(tree, tree->root, tree->nodes[from].first, place, first);
}

// ---- life --------------------------------------------------------------------------------------------

bool iom_iova_tree_init(struct iom_iova_tree *tree)
{
    memset(tree, 0, sizeof *tree);
    tree->free = IOM_IOVA_NONE;
    iom_rng_seed(&tree->priorities, 1, "iova");
    uint32_t anchor = take_node(tree);
    if (anchor == IOM_IOVA_NONE)
        return false;
    tree->nodes[anchor] = (struct iom_iova_node){.first = ANCHOR_PAGE,
                                                 .last = ANCHOR_PAGE,
                                                 .gap = ANCHOR_PAGE,
                                                 .most = ANCHOR_PAGE,
                                                 .priority = iom_rng_next(&tree->priorities),
                                                 .left = IOM_IOVA_NONE,
                                                 .right = IOM_IOVA_NONE,
                                                 .below = IOM_IOVA_NONE,
                                                 .above = IOM_IOVA_NONE};
    tree->root = anchor;
    return true;
}

void iom_iova_tree_free(struct iom_iova_tree *tree)
{
    free(tree->nodes);
    tree->nodes = NULL;
}
