// SPDX-License-Identifier: Apache-2.0
//
// Ordering by tickets. Each posted write takes the next ticket of its requester; `leaving` is the
// ticket whose turn it is. A write may go when its ticket is due, a read when every write that came
// before it has gone. Parked requests wait in a list sorted by ticket. See order.h.
#include "core/order.h"

#include <stdlib.h>

#define FIRST_SLOTS 64u
#define RECENT_WRITES 16u
#define EMPTY UINT32_MAX

struct requester {
    uint32_t source;
    uint64_t next_ticket; ///< of the next posted write to enter
    uint64_t leaving;     ///< ticket of the next posted write to leave
    /// Departures of the last posted writes, by ticket modulo RECENT_WRITES. They may lie ahead, and a
    /// read must wait for those before it only, of which the last may not be the last of all.
    iom_cycle departed[RECENT_WRITES];
    struct iom_dma *parked;
};

struct iom_order {
    struct requester *requesters;
    uint32_t count, capacity;
    uint32_t recent; ///< index found last
    uint32_t *slots; ///< open addressing: index of a requester, EMPTY = free
    uint32_t slot_count;
    uint64_t parked;
};

static uint32_t hash(uint32_t source)
{
    return source * UINT32_C(0x9e3779b1);
}

static void insert_slot(uint32_t *slots, uint32_t slot_count, uint32_t source, uint32_t index)
{
    uint32_t slot = hash(source) & (slot_count - 1);
    while (slots[slot] != EMPTY)
        slot = (slot + 1) & (slot_count - 1);
    slots[slot] = index;
}

static bool resize(struct iom_order *order, uint32_t slot_count)
{
    struct requester *requesters = realloc(order->requesters, slot_count / 2 * sizeof *requesters);
    if (requesters == NULL)
        return false;
    order->requesters = requesters;
    order->capacity = slot_count / 2;
    uint32_t *slots = malloc(slot_count * sizeof *slots);
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < slot_count; i++)
        slots[i] = EMPTY;
    for (uint32_t i = 0; i < order->count; i++)
        insert_slot(slots, slot_count, order->requesters[i].source, i);
    free(order->slots);
    order->slots = slots;
    order->slot_count = slot_count;
    return true;
}

struct iom_order *iom_order_create(void)
{
    struct iom_order *order = calloc(1, sizeof *order);
    if (order != NULL && !resize(order, FIRST_SLOTS)) {
        iom_order_destroy(order);
        return NULL;
    }
    return order;
}

void iom_order_destroy(struct iom_order *order)
{
    if (order == NULL)
        return;
    free(order->requesters);
    free(order->slots);
    free(order);
}

static uint32_t find(struct iom_order *order, uint32_t source)
{
    uint32_t slot = hash(source) & (order->slot_count - 1);
    while (order->slots[slot] != EMPTY) {
        if (order->requesters[order->slots[slot]].source == source)
            return order->slots[slot];
        slot = (slot + 1) & (order->slot_count - 1);
    }
    if (order->count == order->capacity && !resize(order, order->slot_count * 2))
        abort(); // a few bytes per requester
    uint32_t index = order->count++;
    order->requesters[index] = (struct requester){.source = source};
    insert_slot(order->slots, order->slot_count, source, index);
    return index;
}

static bool is_posted(const struct iom_dma *dma)
{
    return (dma->x.flags & IOM_REQ_POSTED) != 0;
}

void iom_order_enter(struct iom_order *order, struct iom_dma *dma)
{
    if (order->recent >= order->count || order->requesters[order->recent].source != dma->x.source)
        order->recent = find(order, dma->x.source);
    dma->requester = order->recent;
    struct requester *requester = &order->requesters[dma->requester];
    dma->ticket = requester->next_ticket;
    if (is_posted(dma))
        requester->next_ticket++;
    dma->ordered = 1;
}

// A write's ticket must be the one whose turn it is; a read's ticket counts the writes before it.
static bool due(const struct requester *requester, const struct iom_dma *dma)
{
    return dma->ticket <= requester->leaving;
}

// Departure of the last posted write that `dma` must not overtake. Departures never decrease, so of one
// too old to be remembered the oldest remembered is a bound.
static iom_cycle write_before(const struct requester *requester, const struct iom_dma *dma)
{
    if (dma->ticket == 0)
        return 0;
    uint64_t oldest = requester->leaving > RECENT_WRITES ? requester->leaving - RECENT_WRITES : 0;
    return requester->departed[iom_max_u64(dma->ticket - 1, oldest) % RECENT_WRITES];
}

static void let_go(struct requester *requester, struct iom_dma *dma, iom_cycle *depart)
{
    *depart = iom_max_u64(*depart, write_before(requester, dma));
    if (is_posted(dma))
        requester->departed[requester->leaving++ % RECENT_WRITES] = *depart;
    dma->ordered = 0;
}

bool iom_order_leave(struct iom_order *order, struct iom_dma *dma, iom_cycle *depart)
{
    struct requester *requester = &order->requesters[dma->requester];
    if (due(requester, dma)) {
        let_go(requester, dma, depart);
        return true;
    }
    // Behind equal tickets: reads keep the order in which they became ready, and a write with the same
    // ticket as a read came after it.
    struct iom_dma **link = &requester->parked;
    while (*link != NULL && (*link)->ticket <= dma->ticket)
        link = &(*link)->parked_next;
    dma->parked_next = *link;
    *link = dma;
    dma->translated = *depart;
    order->parked++;
    return false;
}

struct iom_dma *iom_order_next(struct iom_order *order, uint32_t index, iom_cycle *depart)
{
    struct requester *requester = &order->requesters[index];
    struct iom_dma *dma = requester->parked;
    if (dma == NULL || !due(requester, dma))
        return NULL;
    requester->parked = dma->parked_next;
    dma->parked_next = NULL;
    order->parked--;
    *depart = dma->translated;
    let_go(requester, dma, depart);
    return dma;
}

uint64_t iom_order_parked(const struct iom_order *order)
{
    return order->parked;
}
