// SPDX-License-Identifier: Apache-2.0
//
// The header of every message between units, and the pools they come from.
//
// A message is owned by whoever holds it: sending hands it over, and it travels back along the path
// it came (route[] is a small stack of the input ports it passed). Pools make the hot path free of
// allocation; addresses of messages never influence a result.
#ifndef IOM_CORE_MSG_H
#define IOM_CORE_MSG_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_msg_kind {
    IOM_MSG_DMA,     ///< struct iom_dma: a request to translate and perform, later its result
    IOM_MSG_WALK,    ///< struct iom_walk: a missed look-up, later its result
    IOM_MSG_MEMORY,  ///< struct iom_memory_access: a table read, write or atomic update, later its data
    IOM_MSG_PROBE,   ///< struct iom_psc_fill_message: to the paging-structure cache unit, one way
    IOM_MSG_CONTROL, ///< struct iom_control: register view update or invalidation, later its acknowledgement
    IOM_MSG_REPORT,  ///< struct iom_report: fault, page request or event to the register unit, one way
    IOM_MSG_MMIO,    ///< struct iom_mmio: register access, later its completion
    IOM_MSG_QUEUE_SETUP,         ///< struct iom_queue_setup_message, one way
    IOM_MSG_QUEUE_EVENT,         ///< struct iom_queue_event_message, one way
    IOM_MSG_WALK_CONTEXT,        ///< struct iom_walk_context: to a walker, one way
    IOM_MSG_AXI_EVENT,           ///< struct iom_axi_event: to the driver of a device, one way
    IOM_MSG_AXI_RELEASE,         ///< struct iom_axi_release: to the front end, one way
    IOM_MSG_AXI_LOSS,            ///< struct iom_axi_loss: from the front end, one way
    IOM_MSG_PAGE_RESPONSE,       ///< struct iom_page_response_message: to a device, one way
    IOM_MSG_DEVICE_INVALIDATION, ///< struct iom_ats_invalidation: to a device TLB, later its completion
};

/// Deepest nesting of units a request passes on its way in (device, link, stages, memory).
#define IOM_ROUTE_DEPTH 8

struct iom_pool;

struct iom_msg {
    struct iom_msg *next;  ///< link in an inbox, a queue or a pool; owned by the holder
    iom_cycle arrival;     ///< cycle in which the receiver may first act on it
    struct iom_pool *pool; ///< where it returns to
    void *carrier;         ///< of the transport that carries it between groups (a TLM payload), or null
    uint8_t kind;          ///< enum iom_msg_kind
    uint8_t depth;         ///< valid entries of route
    uint8_t route[IOM_ROUTE_DEPTH];
};

/// A free list of equal messages that grows by slabs and never shrinks.
struct iom_pool {
    struct iom_msg *free;
    void *slabs;
    size_t message_bytes;
    uint64_t in_use; ///< messages handed out now
    uint8_t kind;
};

/// `message_bytes` is the size of the struct that starts with struct iom_msg.
void iom_pool_init(struct iom_pool *pool, enum iom_msg_kind kind, size_t message_bytes);
/// Frees all slabs; every message must be back or no longer used.
void iom_pool_free(struct iom_pool *pool);
/// Adds a slab of messages; false when memory is out.
bool iom_pool_grow(struct iom_pool *pool);

/// A message with its header reset (payload as last used), or null when memory is out.
static inline void *iom_pool_take(struct iom_pool *pool)
{
    if (pool->free == NULL && !iom_pool_grow(pool))
        return NULL;
    struct iom_msg *msg = pool->free;
    pool->free = msg->next;
    pool->in_use++;
    msg->next = NULL;
    msg->carrier = NULL;
    msg->depth = 0;
    return msg;
}

/// Gives a message back to the pool it came from.
static inline void iom_msg_release(struct iom_msg *msg)
{
    struct iom_pool *pool = msg->pool;
    msg->next = pool->free;
    pool->free = msg;
    pool->in_use--;
}

/// First-in first-out list of messages linked by msg.next.
struct iom_fifo {
    struct iom_msg *first, *last;
    uint64_t count;
};

static inline void iom_fifo_push(struct iom_fifo *fifo, struct iom_msg *msg)
{
    msg->next = NULL;
    if (fifo->last == NULL)
        fifo->first = msg;
    else
        fifo->last->next = msg;
    fifo->last = msg;
    fifo->count++;
}

static inline struct iom_msg *iom_fifo_pop(struct iom_fifo *fifo)
{
    struct iom_msg *msg = fifo->first;
    if (msg == NULL)
        return NULL;
    fifo->first = msg->next;
    if (fifo->first == NULL)
        fifo->last = NULL;
    fifo->count--;
    msg->next = NULL;
    return msg;
}

/// Moves all of `more` behind `fifo`.
static inline void iom_fifo_append(struct iom_fifo *fifo, const struct iom_fifo *more)
{
    if (more->first == NULL)
        return;
    if (fifo->last == NULL)
        fifo->first = more->first;
    else
        fifo->last->next = more->first;
    fifo->last = more->last;
    fifo->count += more->count;
}

#ifdef __cplusplus
}
#endif

#endif
