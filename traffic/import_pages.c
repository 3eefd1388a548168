// SPDX-License-Identifier: Apache-2.0
//
// Map and unmap events by address: which events of a device, not yet released, concern a page.
//
// Each event is entered under the aligned power-of-two blocks that make up its range (at most two of
// each size), so a 64 MiB mapping costs a few entries and a look-up asks once for each size in use.
#include <stdlib.h>

#include "traffic/import_internal.h"

/// Map events of one page looked at for the physical address of a translation.
enum { LOOK_AHEAD = 8 };

struct link {
    uint32_t event;
    uint32_t next; ///< link + 1, 0 = end
};

struct iom_page_events {
    const struct iom_import *import;
    struct iom_table heads; ///< device, size and block -> first link + 1 (high half), last link + 1
    struct link *links;
    uint32_t count;
    uint32_t room;
    uint64_t sizes; ///< bit n: blocks of 2^n bytes occur
};

static uint64_t block_key(uint32_t device, unsigned size_log2, uint64_t block)
{
    return (block ^ (uint64_t)size_log2 << 58) * UINT64_C(0x9e3779b97f4a7c15) ^ device;
}

static bool add_block(struct iom_page_events *e, uint32_t event, unsigned size_log2, uint64_t block)
{
    void *array = e->links;
    if (!iom_grow(&array, e->count, &e->room, sizeof *e->links))
        return false;
    e->links = array;
    e->links[e->count] = (struct link){event, 0};
    uint64_t link = ++e->count;
    uint64_t key = block_key(e->import->guest[event].device, size_log2, block);
    uint64_t *head = iom_table_get(&e->heads, key);
    e->sizes |= UINT64_C(1) << size_log2;
    if (head == NULL)
        return iom_table_put(&e->heads, key, link << 32 | link) != NULL;
    e->links[(uint32_t)*head - 1].next = (uint32_t)link;
    *head = (*head & ~UINT64_C(0xffffffff)) | link;
    if (*head >> 32 == 0)
        *head |= link << 32;
    return true;
}

static bool add_event(struct iom_page_events *e, uint32_t event)
{
    const struct iom_guest_event *g = &e->import->guest[event];
    uint64_t at = g->iova;
    for (uint64_t left = g->bytes; left != 0;) {
        unsigned size_log2 = iom_log2_u64(left);
        if (at != 0 && iom_ctz64(at) < size_log2)
            size_log2 = iom_ctz64(at);
        if (!add_block(e, event, size_log2, at >> size_log2))
            return false;
        at += UINT64_C(1) << size_log2;
        left -= UINT64_C(1) << size_log2;
    }
    return true;
}

struct iom_page_events *iom_page_events_new(const struct iom_import *import)
{
    struct iom_page_events *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->import = import;
    for (uint32_t i = 0; i < import->guest_count; i++) {
        const struct iom_guest_event *g = &import->guest[i];
        if ((g->kind == IOM_GUEST_MAP || g->kind == IOM_GUEST_UNMAP) && !g->drop && !add_event(e, i)) {
            iom_page_events_free(e);
            return NULL;
        }
    }
    return e;
}

void iom_page_events_free(struct iom_page_events *e)
{
    if (e == NULL)
        return;
    iom_table_free(&e->heads);
    free(e->links);
    free(e);
}

bool iom_same_address(const struct iom_host_event *host, uint64_t mapped)
{
    if (mapped == host->address)
        return true;
    if (!host->block_only)
        return false;
    // The log gives the begin of a page of unknown size: the mapped address must lie in the largest
    // aligned block that can begin there.
    uint64_t base = iom_align_down(host->address, IOM_PAGE_LOG2);
    return mapped >= base && base != 0 && mapped - base < (base & (~base + 1));
}

static void search_block(struct iom_page_events *e, uint64_t *head, uint32_t from,
                         const struct iom_host_event *host, struct iom_found_events *found)
{
    uint32_t link = (uint32_t)(*head >> 32);
    while (link != 0 && e->links[link - 1].event < from && e->links[link - 1].next != 0)
        link = e->links[link - 1].next;
    *head = (*head & UINT64_C(0xffffffff)) | (uint64_t)link << 32; // what is passed need not be seen again
    for (int i = 0; link != 0 && i < LOOK_AHEAD; i++, link = e->links[link - 1].next) {
        uint32_t event = e->links[link - 1].event;
        const struct iom_guest_event *g = &e->import->guest[event];
        if (event < from)
            continue;
        if (event < found->first)
            found->first = event;
        if (g->kind == IOM_GUEST_MAP && iom_same_address(host, g->address + (host->iova - g->iova))) {
            found->map = event < found->map ? event : found->map;
            return;
        }
    }
}

struct iom_found_events iom_page_events_find(struct iom_page_events *e, const struct iom_host_event *host,
                                             uint32_t from)
{
    struct iom_found_events found = {IOM_NO_EVENT, IOM_NO_EVENT};
    for (uint64_t sizes = e->sizes; sizes != 0; sizes &= sizes - 1) {
        unsigned size_log2 = iom_ctz64(sizes);
        uint64_t *head =
            iom_table_get(&e->heads, block_key(host->device, size_log2, host->iova >> size_log2));
        if (head != NULL)
            search_block(e, head, from, host, &found);
    }
    return found;
}
