// SPDX-License-Identifier: Apache-2.0
//
// Provenance nodes. A read of the same words below the same parent, with nothing changed in between, is
// the same node: the nodes of a page table form a tree like the table itself, however often it is walked.
// See tracker_internal.h.
#include <stdlib.h>
#include <string.h>

#include "core/tracker_internal.h"

/// Levels of ancestors that a join looks at; more than any walk has.
#define ANCESTORS 64u
/// Children that a join looks at, newest first: an equal one, if any, is most likely recent.
#define RECENT_CHILDREN 8u

void *iom_track_grow(void *array, uint32_t *capacity, uint32_t count, size_t bytes)
{
    if (count <= *capacity)
        return array;
    uint32_t wanted = *capacity != 0 ? *capacity : 16;
    while (wanted < count)
        wanted *= 2;
    void *grown = realloc(array, wanted * bytes);
    if (grown == NULL)
        abort(); // what is lost here would be a hazard not found
    *capacity = wanted;
    return grown;
}

// ---- places ------------------------------------------------------------------------------------------

static void link_watch(struct iom_tracker *tracker, uint32_t index)
{
    struct iom_track_node *node = &tracker->nodes[index];
    uint32_t *head = iom_track_watch(tracker, node->address);
    node->watch_previous = 0;
    node->watch_next = *head;
    if (*head != 0)
        tracker->nodes[*head].watch_previous = index;
    *head = index;
}

// Two words for each place, a whole page at least.
static void grow_watch(struct iom_tracker *tracker)
{
    uint32_t words = tracker->node_count * 2;
    free(tracker->watch);
    tracker->watch = calloc(words, sizeof *tracker->watch);
    if (tracker->watch == NULL)
        abort();
    tracker->watch_mask = words - 1;
    for (uint32_t i = 1; i < tracker->node_count; i++) {
        if (tracker->nodes[i].bytes != 0)
            link_watch(tracker, i);
    }
}

void iom_track_add_places(struct iom_tracker *tracker)
{
    uint32_t old = tracker->node_count;
    uint32_t count = old != 0 ? old * 2 : 1024;
    if (count > IOM_TRACK_INDEX_MASK)
        abort(); // 16 million entries and walks
    struct iom_track_node *nodes = realloc(tracker->nodes, count * sizeof *nodes);
    struct iom_track_witness *witnesses = realloc(tracker->witnesses, count * sizeof *witnesses);
    if (nodes == NULL || witnesses == NULL)
        abort();
    memset(nodes + old, 0, (count - old) * sizeof *nodes);
    tracker->nodes = nodes;
    tracker->witnesses = witnesses;
    tracker->node_count = count;
    grow_watch(tracker);
    for (uint32_t i = count; i-- > (old != 0 ? old : 1);) {
        nodes[i].next[0] = tracker->free_node;
        tracker->free_node = i;
    }
}

static void unlink_watch(struct iom_tracker *tracker, uint32_t index)
{
    struct iom_track_node *node = &tracker->nodes[index];
    if (node->watch_previous != 0)
        tracker->nodes[node->watch_previous].watch_next = node->watch_next;
    else
        *iom_track_watch(tracker, node->address) = node->watch_next;
    if (node->watch_next != 0)
        tracker->nodes[node->watch_next].watch_previous = node->watch_previous;
}

static void link_child(struct iom_tracker *tracker, uint32_t index, unsigned side)
{
    struct iom_track_node *node = &tracker->nodes[index];
    struct iom_track_node *parent = &tracker->nodes[node->parent[side]];
    parent->refs++;
    node->previous[side] = 0;
    node->next[side] = parent->first_child;
    uint32_t edge = index << 1 | side;
    if (parent->first_child != 0)
        tracker->nodes[parent->first_child >> 1].previous[parent->first_child & 1] = edge;
    parent->first_child = edge;
}

static void unlink_child(struct iom_tracker *tracker, uint32_t index, unsigned side)
{
    struct iom_track_node *node = &tracker->nodes[index];
    uint32_t next = node->next[side], previous = node->previous[side];
    if (previous != 0)
        tracker->nodes[previous >> 1].next[previous & 1] = next;
    else
        tracker->nodes[node->parent[side]].first_child = next;
    if (next != 0)
        tracker->nodes[next >> 1].previous[next & 1] = previous;
}

// A new node with one reference.
static uint32_t take_node(struct iom_tracker *tracker, uint64_t address, unsigned bytes, uint32_t first,
                          uint32_t second)
{
    if (tracker->free_node == 0)
        iom_track_add_places(tracker);
    uint32_t index = tracker->free_node;
    struct iom_track_node *node = &tracker->nodes[index];
    tracker->free_node = node->next[0];
    node->address = address;
    node->bytes = (uint8_t)bytes;
    node->refs = 1;
    node->mark = 0;
    node->root = 0;
    node->first_child = 0;
    node->first_holder = 0;
    node->flags = 0;
    node->parent[0] = first;
    node->parent[1] = second;
    if (first != 0)
        link_child(tracker, index, 0);
    if (second != 0)
        link_child(tracker, index, 1);
    if (bytes != 0)
        link_watch(tracker, index);
    tracker->nodes_used++;
    return index;
}

// Frees a node without references and the ancestors that only it kept. A node has at most two parents, and
// the chain of first parents is followed without recursion.
static void free_node(struct iom_tracker *tracker, uint32_t index)
{
    while (index != 0) {
        struct iom_track_node *node = &tracker->nodes[index];
        uint32_t following = 0;
        iom_track_set_mark(tracker, index, 0);
        if (node->bytes != 0)
            unlink_watch(tracker, index);
        for (unsigned side = 0; side < 2; side++) {
            uint32_t parent = node->parent[side];
            if (parent == 0)
                continue;
            unlink_child(tracker, index, side);
            if (--tracker->nodes[parent].refs != 0 || (tracker->nodes[parent].flags & IOM_TRACK_LIMBO))
                continue;
            if (following == 0)
                following = parent;
            else
                free_node(tracker, parent); // the second parent of a join; joins do not nest deeply
        }
        node->bytes = 0;
        node->flags = 0;
        node->generation++;
        node->next[0] = tracker->free_node;
        tracker->free_node = index;
        tracker->nodes_used--;
        index = following;
    }
}

// ---- references --------------------------------------------------------------------------------------

// A cache may have recorded a fill with this node that it has not applied yet, so the node lives on for now.
void iom_track_retire(struct iom_tracker *tracker, uint32_t index)
{
    struct iom_track_node *node = &tracker->nodes[index];
    if (node->flags & IOM_TRACK_LIMBO)
        return;
    node->flags |= IOM_TRACK_LIMBO;
    if (tracker->limbo_count == tracker->limbo_capacity)
        tracker->limbo = iom_track_grow(tracker->limbo, &tracker->limbo_capacity, tracker->limbo_count + 1,
                                        sizeof *tracker->limbo);
    tracker->limbo[tracker->limbo_count++] = (struct iom_track_limbo){index, tracker->now};
    if (tracker->limbo_count >= IOM_TRACK_LIMBO_BATCH)
        tracker->work = true;
}

// A release does not say its cycle: it belongs to the cycle of the call before it or to a later one, but to
// none after the next call that has a cycle. So two steps later the fills of its cycle have been applied.
void iom_track_clear_limbo(struct iom_tracker *tracker)
{
    iom_track_sync(tracker); // may release, and so add to limbo
    uint32_t count = tracker->limbo_count, kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct iom_track_limbo entry = tracker->limbo[i];
        struct iom_track_node *node = &tracker->nodes[entry.node];
        if (entry.since >= tracker->before) {
            tracker->limbo[kept++] = entry;
            continue;
        }
        node->flags = (uint8_t)(node->flags & ~IOM_TRACK_LIMBO);
        if (node->refs == 0)
            free_node(tracker, entry.node);
    }
    tracker->limbo_count = kept;
}

void iom_tracker_keep(struct iom_tracker *tracker, iom_node node)
{
    if (tracker == NULL)
        return;
    uint32_t index = iom_track_index(tracker, node);
    if (index != 0)
        tracker->nodes[index].refs++;
}

void iom_tracker_release(struct iom_tracker *tracker, iom_node node)
{
    if (tracker == NULL || node == 0)
        return;
    uint32_t index = iom_track_index(tracker, node);
    if (index != 0)
        iom_track_release(tracker, index);
}

// ---- marks and descent -------------------------------------------------------------------------------

void iom_track_set_mark(struct iom_tracker *tracker, uint32_t index, uint32_t obligation)
{
    struct iom_track_node *node = &tracker->nodes[index];
    uint32_t before = node->mark;
    if (before == obligation)
        return;
    node->mark = obligation;
    if (obligation != 0) {
        tracker->obligations[obligation].nodes++;
        iom_track_hold(tracker, obligation);
    }
    if (before != 0) {
        tracker->obligations[before].nodes--;
        iom_track_let_go(tracker, before);
    }
}

static void push(struct iom_tracker *tracker, uint32_t *depth, uint32_t index)
{
    tracker->stack =
        iom_track_grow(tracker->stack, &tracker->stack_capacity, *depth + 1, sizeof *tracker->stack);
    tracker->stack[(*depth)++] = index;
}

// A join below both of its parents is visited twice, which no visitor minds.
void iom_track_descend(struct iom_tracker *tracker, uint32_t index, iom_track_visit visit, void *context)
{
    uint32_t depth = 0;
    push(tracker, &depth, index);
    while (depth != 0) {
        uint32_t at = tracker->stack[--depth];
        visit(tracker, at, context);
        for (uint32_t edge = tracker->nodes[at].first_child; edge != 0;
             edge = tracker->nodes[edge >> 1].next[edge & 1])
            push(tracker, &depth, edge >> 1);
    }
}

uint32_t iom_track_witness_of(const struct iom_tracker *tracker, uint32_t index)
{
    uint32_t other = 0; // second parent of a join on the way, looked at if the first leads nowhere
    for (;;) {
        for (uint32_t at = index; at != 0; at = tracker->nodes[at].parent[0]) {
            if (tracker->nodes[at].flags & IOM_TRACK_WITNESS)
                return at;
            if (tracker->nodes[at].parent[1] != 0)
                other = tracker->nodes[at].parent[1];
        }
        if (other == 0 || other == index)
            return 0;
        index = other;
        other = 0;
    }
}

uint8_t iom_track_iommu_of(const struct iom_tracker *tracker, uint32_t index)
{
    for (uint32_t at = index; at != 0; at = tracker->nodes[at].parent[0]) {
        uint64_t address = tracker->nodes[at].address;
        if (tracker->nodes[at].bytes != 0 && (address & IOM_VIEW_SOURCE) == IOM_VIEW_SOURCE)
            return (uint8_t)((address & ~IOM_VIEW_SOURCE) / 8);
    }
    return 0;
}

// ---- reads and joins ---------------------------------------------------------------------------------

static inline uint32_t find_equal(const struct iom_tracker *tracker, uint64_t address, unsigned bytes,
                                  uint32_t parent, uint32_t mark)
{
    for (uint32_t index = *iom_track_watch(tracker, address); index != 0;
         index = tracker->nodes[index].watch_next) {
        const struct iom_track_node *node = &tracker->nodes[index];
        if (node->address == address && node->parent[0] == parent && node->bytes == bytes &&
            node->mark == mark)
            return index;
    }
    return 0;
}

// Within one line.
static inline uint32_t read_line(struct iom_tracker *tracker, uint32_t parent, uint64_t address,
                                 unsigned bytes)
{
    uint32_t mark = parent != 0 ? tracker->nodes[parent].mark : 0;
    if (mark == 0 && tracker->stores.count != 0)
        mark = iom_track_unwritten(tracker, parent, address, bytes);
    // Below a mark another change of the word may have come: only unmarked nodes are known to be current.
    uint32_t index = mark == 0 ? find_equal(tracker, address, bytes, parent, 0) : 0;
    if (index != 0) {
        tracker->nodes[index].refs++;
        return index;
    }
    index = take_node(tracker, address, bytes, parent, 0);
    if (mark != 0)
        iom_track_set_mark(tracker, index, mark);
    return index;
}

iom_node iom_tracker_read(struct iom_tracker *tracker, iom_cycle now, iom_node parent, uint64_t address,
                          unsigned bytes)
{
    if (tracker == NULL)
        return 0;
    iom_track_enter(tracker, now);
    uint32_t above = iom_track_index(tracker, parent);
    uint32_t index = 0;
    if (address % IOM_LINE_BYTES + bytes <= IOM_LINE_BYTES) // nearly always
        return iom_track_id(tracker, read_line(tracker, above, address, bytes));
    for (unsigned done = 0; done < bytes;) {
        uint64_t at = address + done;
        unsigned room = IOM_LINE_BYTES - (unsigned)(at % IOM_LINE_BYTES);
        unsigned count = bytes - done < room ? bytes - done : room;
        uint32_t next = read_line(tracker, above, at, count);
        if (index != 0)
            iom_track_release(tracker, index); // kept by its child from now on
        index = above = next;
        done += count;
    }
    return iom_track_id(tracker, index);
}

static bool is_ancestor(const struct iom_tracker *tracker, uint32_t ancestor, uint32_t of)
{
    for (unsigned i = 0; i < ANCESTORS && of != 0; i++) {
        if (of == ancestor || tracker->nodes[of].parent[1] == ancestor)
            return true;
        of = tracker->nodes[of].parent[0];
    }
    return false;
}

// Of two changes the earlier one counts: the data has been doubtful since then.
static uint32_t earlier_mark(const struct iom_tracker *tracker, uint32_t first, uint32_t second)
{
    uint32_t a = tracker->nodes[first].mark, b = tracker->nodes[second].mark;
    if (a == 0 || b == 0)
        return a | b;
    return tracker->obligations[b].created < tracker->obligations[a].created ? b : a;
}

static uint32_t find_join(const struct iom_tracker *tracker, uint32_t first, uint32_t second, uint32_t mark)
{
    uint32_t edge = tracker->nodes[second].first_child;
    for (unsigned i = 0; i < RECENT_CHILDREN && edge != 0; i++) {
        const struct iom_track_node *node = &tracker->nodes[edge >> 1];
        if ((edge & 1) && node->parent[0] == first && node->mark == mark)
            return edge >> 1;
        edge = node->next[edge & 1];
    }
    return 0;
}

iom_node iom_tracker_join(struct iom_tracker *tracker, iom_node first, iom_node second)
{
    if (tracker == NULL)
        return 0;
    uint32_t a = iom_track_index(tracker, first), b = iom_track_index(tracker, second);
    uint32_t index;
    if (a == 0 || b == 0)
        index = a | b;
    else if (is_ancestor(tracker, a, b))
        index = b;
    else if (is_ancestor(tracker, b, a))
        index = a;
    else
        index = find_join(tracker, a, b, earlier_mark(tracker, a, b));
    if (index != 0) {
        tracker->nodes[index].refs++;
        return iom_track_id(tracker, index);
    }
    if (a == 0)
        return 0;
    uint32_t mark = earlier_mark(tracker, a, b);
    index = take_node(tracker, 0, 0, a, b);
    if (mark != 0)
        iom_track_set_mark(tracker, index, mark);
    return iom_track_id(tracker, index);
}

// ---- what an entry stands on besides ---------------------------------------------------------------------

// A change that makes no difference to an entry may still have moved the tables it is right by: a large page
// has become small ones, a table is there that was not. The words that decide now become a chain of nodes
// without walks of their own, and the entry's node a child of the last of them.

static bool is_source(const struct iom_tracker *tracker, uint32_t index, const struct iom_track_words *words)
{
    for (; index != 0; index = tracker->nodes[index].parent[0]) {
        const struct iom_track_node *node = &tracker->nodes[index];
        if (node->bytes != 0 && node->address <= words->first &&
            node->address + (node->bytes - 1u) >= words->last)
            return true;
        if (node->parent[1] != 0 && is_source(tracker, node->parent[1], words))
            return true;
    }
    return false;
}

static void set_second_parent(struct iom_tracker *tracker, uint32_t index, uint32_t parent)
{
    uint32_t before = tracker->nodes[index].parent[1];
    if (before != 0)
        unlink_child(tracker, index, 1);
    tracker->nodes[index].parent[1] = parent;
    link_child(tracker, index, 1);
    if (before != 0)
        iom_track_release(tracker, before);
}

bool iom_track_extend(struct iom_tracker *tracker, uint32_t index)
{
    if (tracker->path_count > IOM_TRACK_PATH)
        return false;
    uint32_t at = index; // a join has two parents already, and goes with its first
    while (at != 0 && tracker->nodes[at].bytes == 0)
        at = tracker->nodes[at].parent[0];
    if (at == 0)
        return false;
    uint32_t chain = tracker->nodes[at].parent[1]; // of an earlier change
    tracker->nodes[chain].refs += chain != 0;
    for (uint32_t i = 0; i < tracker->path_count; i++) {
        const struct iom_track_words words = tracker->path[i];
        unsigned bytes = (unsigned)(words.last - words.first + 1);
        if (is_source(tracker, index, &words) || is_source(tracker, chain, &words))
            continue;
        uint32_t next = find_equal(tracker, words.first, bytes, chain, 0);
        if (next != 0)
            tracker->nodes[next].refs++;
        else
            next = take_node(tracker, words.first, bytes, chain, 0);
        if (chain != 0)
            iom_track_release(tracker, chain); // kept by its child
        chain = next;
    }
    bool possible = chain == 0 || !is_ancestor(tracker, at, chain);
    if (chain != 0 && possible && chain != tracker->nodes[at].parent[1])
        set_second_parent(tracker, at, chain);
    if (chain != 0)
        iom_track_release(tracker, chain);
    return possible;
}

iom_node iom_tracker_root(struct iom_tracker *tracker, uint8_t iommu)
{
    return tracker == NULL || iommu >= tracker->iommus ? 0 : tracker->iommu[iommu].root;
}
