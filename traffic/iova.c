// SPDX-License-Identifier: Apache-2.0
//
// Address allocation: magazines of each CPU, the depot, the tree behind them. See iova.h.
#include "traffic/iova.h"

#include <stdlib.h>
#include <string.h>

#include "traffic/iova_tree.h"

// Page numbers below it are reached by 32-bit devices.
#define LOW_END (UINT64_C(1) << (32 - IOM_PAGE_LOG2))

struct magazine {
    struct magazine *next; // in the depot, or free
    uint32_t count;
    uint64_t page[];
};

// Magazines of one CPU for one size.
struct shelf {
    struct magazine *loaded, *previous;
};

struct depot {
    struct magazine *first;
    uint32_t count;
};

struct iom_iova {
    uint64_t first, end; // page numbers [first, end)
    uint32_t cpus, magazine_entries, depot_magazines;
    bool magazines;
    bool low_first;      // until an allocation has failed below 4 GiB
    uint64_t low_failed; // size that failed there: not tried again before something is released
    struct iom_iova_tree tree;
    uint32_t recent, recent_low; // where the next search begins
    struct shelf *shelves;       // cpus x classes
    struct depot depots[IOM_IOVA_CLASSES];
    struct magazine *spare;
    struct iom_iova_stats stats;
};

// ---- tree --------------------------------------------------------------------------------------------

static bool take_from_tree(struct iom_iova *iova, uint64_t pages, uint64_t limit, uint64_t *page)
{
    bool low = limit <= LOW_END;
    if (low && pages >= iova->low_failed)
        return false;
    uint64_t aligned = UINT64_C(1) << (pages > 1 ? iom_log2_u64(pages - 1) + 1 : 0);
    struct iom_iova_place place = {pages, aligned - 1, limit, iova->first};
    uint32_t from = low ? iova->recent_low : iova->recent;
    uint64_t from_last = iova->tree.nodes[from].last;
    uint32_t above = iom_iova_tree_search(&iova->tree, from, &place, page);
    if (above == IOM_IOVA_NONE && from_last < limit) {
        // Nothing below the last allocation: once more from the top, down to it.
        place.lowest = iom_max_u64(from_last + 1, iova->first);
        from = iom_iova_tree_at(&iova->tree, limit);
        above = iom_iova_tree_search(&iova->tree, from, &place, page);
    }
    if (above == IOM_IOVA_NONE) {
        if (low)
            iova->low_failed = pages;
        return false;
    }
    uint32_t index = iom_iova_tree_insert(&iova->tree, above, *page, *page + pages - 1);
    if (index == IOM_IOVA_NONE)
        return false;
    *(*page + pages - 1 < LOW_END ? &iova->recent_low : &iova->recent) = index;
    if (iova->tree.count > iova->stats.most_ranges)
        iova->stats.most_ranges = iova->tree.count;
    return true;
}

static void give_to_tree(struct iom_iova *iova, uint64_t page)
{
    uint32_t index = iom_iova_tree_at(&iova->tree, page);
    const struct iom_iova_node *node = &iova->tree.nodes[index];
    if (index == IOM_IOVA_ANCHOR || node->first > page)
        return; // not allocated here
    uint64_t low_from = iova->tree.nodes[iova->recent_low].first;
    if (index == iova->recent_low || (node->last < LOW_END && node->first >= low_from))
        iova->recent_low = node->above;
    if (node->first < LOW_END)
        iova->low_failed = LOW_END;
    if (node->first >= iova->tree.nodes[iova->recent].first)
        iova->recent = node->above;
    iom_iova_tree_remove(&iova->tree, index);
}

// ---- magazines ---------------------------------------------------------------------------------------

static struct magazine *new_magazine(struct iom_iova *iova)
{
    struct magazine *magazine = iova->spare;
    if (magazine != NULL)
        iova->spare = magazine->next;
    else
        magazine = malloc(sizeof *magazine + iova->magazine_entries * sizeof magazine->page[0]);
    if (magazine != NULL) {
        magazine->next = NULL;
        magazine->count = 0;
    }
    return magazine;
}

static void spare_magazine(struct iom_iova *iova, struct magazine *magazine)
{
    magazine->next = iova->spare;
    iova->spare = magazine;
}

static void empty_magazine(struct iom_iova *iova, struct magazine *magazine)
{
    for (uint32_t i = 0; i < magazine->count; i++)
        give_to_tree(iova, magazine->page[i]);
    magazine->count = 0;
}

static void swap(struct shelf *shelf)
{
    struct magazine *other = shelf->previous;
    shelf->previous = shelf->loaded;
    shelf->loaded = other;
}

// The range released last that ends below `limit`.
static bool pop(struct magazine *magazine, uint64_t pages, uint64_t limit, uint64_t *page)
{
    for (uint32_t i = magazine->count; i-- != 0;) {
        if (limit < pages || magazine->page[i] > limit - pages)
            continue;
        *page = magazine->page[i];
        magazine->page[i] = magazine->page[--magazine->count];
        return true;
    }
    return false;
}

static bool take_from_magazine(struct iom_iova *iova, uint32_t cpu, unsigned size_class, uint64_t limit,
                               uint64_t *page)
{
    struct shelf *shelf = &iova->shelves[cpu * IOM_IOVA_CLASSES + size_class];
    struct depot *depot = &iova->depots[size_class];
    if (shelf->loaded->count == 0) {
        if (shelf->previous->count != 0) {
            swap(shelf);
        } else if (depot->first != NULL) {
            spare_magazine(iova, shelf->loaded);
            shelf->loaded = depot->first;
            depot->first = depot->first->next;
            depot->count--;
            iova->stats.depot_gets++;
        } else {
            return false;
        }
    }
    return pop(shelf->loaded, UINT64_C(1) << size_class, limit, page);
}

static bool give_to_magazine(struct iom_iova *iova, uint32_t cpu, unsigned size_class, uint64_t page)
{
    struct shelf *shelf = &iova->shelves[cpu * IOM_IOVA_CLASSES + size_class];
    struct depot *depot = &iova->depots[size_class];
    if (shelf->loaded->count == iova->magazine_entries) {
        if (shelf->previous->count != iova->magazine_entries) {
            swap(shelf);
        } else {
            struct magazine *fresh = new_magazine(iova);
            if (fresh == NULL)
                return false;
            if (depot->count < iova->depot_magazines) {
                shelf->loaded->next = depot->first;
                depot->first = shelf->loaded;
                depot->count++;
                iova->stats.depot_puts++;
            } else {
                empty_magazine(iova, shelf->loaded);
                spare_magazine(iova, shelf->loaded);
                iova->stats.depot_overflows++;
            }
            shelf->loaded = fresh;
        }
    }
    shelf->loaded->page[shelf->loaded->count++] = page;
    return true;
}

static void empty_all(struct iom_iova *iova)
{
    for (uint32_t i = 0; i < iova->cpus * IOM_IOVA_CLASSES; i++) {
        empty_magazine(iova, iova->shelves[i].loaded);
        empty_magazine(iova, iova->shelves[i].previous);
    }
    for (unsigned i = 0; i < IOM_IOVA_CLASSES; i++) {
        while (iova->depots[i].first != NULL) {
            struct magazine *magazine = iova->depots[i].first;
            iova->depots[i].first = magazine->next;
            empty_magazine(iova, magazine);
            spare_magazine(iova, magazine);
        }
        iova->depots[i].count = 0;
    }
}

// ---- calls -------------------------------------------------------------------------------------------

// Pages of a range as it is kept: sizes that go through magazines are powers of two.
static uint64_t kept_pages(const struct iom_iova *iova, uint64_t bytes, unsigned *size_class)
{
    uint64_t pages = iom_div_ceil(bytes, IOM_PAGE_BYTES);
    unsigned log2 = pages > 1 ? iom_log2_u64(pages - 1) + 1 : 0;
    *size_class = iova->magazines ? log2 : IOM_IOVA_CLASSES;
    return log2 < IOM_IOVA_CLASSES ? UINT64_C(1) << log2 : pages;
}

static bool take_below(struct iom_iova *iova, uint32_t cpu, uint64_t pages, unsigned size_class,
                       uint64_t limit, bool last_chance, uint64_t *page)
{
    if (size_class < IOM_IOVA_CLASSES && take_from_magazine(iova, cpu, size_class, limit, page)) {
        iova->stats.magazine_hits++;
        return true;
    }
    if (take_from_tree(iova, pages, limit, page))
        return true;
    if (!last_chance || !iova->magazines)
        return false;
    empty_all(iova);
    return take_from_tree(iova, pages, limit, page);
}

bool iom_iova_take(struct iom_iova *iova, uint32_t cpu, uint64_t bytes, uint64_t *address)
{
    unsigned size_class;
    uint64_t pages = kept_pages(iova, bytes, &size_class), page = 0;
    bool found = false;
    assert(cpu < iova->cpus);
    if (bytes != 0 && iova->low_first && iova->end > LOW_END) {
        found = take_below(iova, cpu, pages, size_class, LOW_END, false, &page);
        iova->low_first = found;
    }
    if (!found && bytes != 0)
        found = take_below(iova, cpu, pages, size_class, iova->end, true, &page);
    *(found ? &iova->stats.allocations : &iova->stats.failures) += 1;
    *address = page << IOM_PAGE_LOG2;
    return found;
}

void iom_iova_give(struct iom_iova *iova, uint32_t cpu, uint64_t address, uint64_t bytes)
{
    unsigned size_class;
    kept_pages(iova, bytes, &size_class);
    iova->stats.releases++;
    if (size_class < IOM_IOVA_CLASSES && give_to_magazine(iova, cpu, size_class, address >> IOM_PAGE_LOG2))
        return;
    give_to_tree(iova, address >> IOM_PAGE_LOG2);
}

bool iom_iova_reserve(struct iom_iova *iova, uint64_t address, uint64_t bytes)
{
    uint64_t first = address >> IOM_PAGE_LOG2;
    if (bytes == 0 || address > UINT64_MAX - (bytes - 1))
        return false;
    uint64_t last = (address + bytes - 1) >> IOM_PAGE_LOG2;
    uint32_t above = iom_iova_tree_at(&iova->tree, first);
    if (iova->tree.nodes[above].first <= last)
        return false; // some of it is in use
    if (iom_iova_tree_insert(&iova->tree, above, first, last) == IOM_IOVA_NONE)
        return false;
    if (iova->tree.count > iova->stats.most_ranges)
        iova->stats.most_ranges = iova->tree.count;
    return true;
}

// ---- life --------------------------------------------------------------------------------------------

static bool fill_shelves(struct iom_iova *iova)
{
    iova->shelves = calloc((size_t)iova->cpus * IOM_IOVA_CLASSES, sizeof *iova->shelves);
    if (iova->shelves == NULL)
        return false;
    for (uint32_t i = 0; i < iova->cpus * IOM_IOVA_CLASSES; i++) {
        iova->shelves[i].loaded = new_magazine(iova);
        iova->shelves[i].previous = new_magazine(iova);
        if (iova->shelves[i].loaded == NULL || iova->shelves[i].previous == NULL)
            return false;
    }
    return true;
}

struct iom_iova *iom_iova_create(const struct iom_iova_config *config)
{
    struct iom_iova *iova = calloc(1, sizeof *iova);
    if (iova == NULL)
        return NULL;
    uint64_t last = config->last != 0 ? config->last : (UINT64_C(1) << 48) - 1;
    iova->first = iom_div_ceil(config->first != 0 ? config->first : IOM_PAGE_BYTES, IOM_PAGE_BYTES);
    iova->end = (last >> IOM_PAGE_LOG2) + ((last & (IOM_PAGE_BYTES - 1)) == IOM_PAGE_BYTES - 1);
    iova->cpus = config->cpus != 0 ? config->cpus : 1;
    iova->magazine_entries = config->magazine_entries != 0 ? config->magazine_entries : 128;
    iova->depot_magazines = config->depot_magazines != 0 ? config->depot_magazines : 32;
    iova->magazines = !config->no_magazines;
    iova->low_first = !config->no_low_first;
    iova->low_failed = LOW_END;
    if (iova->first >= iova->end || !iom_iova_tree_init(&iova->tree) ||
        (iova->magazines && !fill_shelves(iova))) {
        iom_iova_destroy(iova);
        return NULL;
    }
    return iova;
}

static void free_list(struct magazine *magazine)
{
    while (magazine != NULL) {
        struct magazine *next = magazine->next;
        free(magazine);
        magazine = next;
    }
}

void iom_iova_destroy(struct iom_iova *iova)
{
    if (iova == NULL)
        return;
    for (uint32_t i = 0; iova->shelves != NULL && i < iova->cpus * IOM_IOVA_CLASSES; i++) {
        free(iova->shelves[i].loaded);
        free(iova->shelves[i].previous);
    }
    for (unsigned i = 0; i < IOM_IOVA_CLASSES; i++)
        free_list(iova->depots[i].first);
    free_list(iova->spare);
    free(iova->shelves);
    iom_iova_tree_free(&iova->tree);
    free(iova);
}

uint64_t iom_iova_ranges(const struct iom_iova *iova)
{
    return iova->tree.count;
}

const struct iom_iova_stats *iom_iova_stats_of(const struct iom_iova *iova)
{
    return &iova->stats;
}
