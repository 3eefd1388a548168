// SPDX-License-Identifier: Apache-2.0
//
// The stores of a host thread on their way to memory.
//
// A call of the driver (map, unmap, attach) emits all its stores at once; the queue sends them in
// program order, one per `interval`, the first not before the call has come so far, each when the memory
// unit has a slot. Stores are posted: the thread goes on when the last one has left.
#ifndef IOM_TRAFFIC_STORE_QUEUE_H
#define IOM_TRAFFIC_STORE_QUEUE_H

#include "core/memory.h"
#include "core/unit.h"
#include "traffic/mapper.h"

struct iom_queued_store {
    struct iom_store store;
    iom_cycle earliest;
    uint64_t cookie;
};

struct iom_store_queue {
    struct iom_port *port; ///< requester port to memory
    struct iom_pool pool;
    struct iom_queued_store *ring; ///< grows by doubling, never shrinks
    uint64_t head, tail;           ///< free-running; ring index is modulo capacity, a power of two
    uint64_t capacity;
    uint64_t in_flight; ///< sent, not acknowledged
    uint64_t sent;
    iom_cycle next_send, interval; ///< ticks
    // The call whose stores are being emitted.
    uint64_t cookie;
    iom_cycle earliest;
};

void iom_store_queue_init(struct iom_store_queue *queue, struct iom_port *port, iom_cycle interval);
void iom_store_queue_free(struct iom_store_queue *queue);
/// A sink for the mapper.
struct iom_store_sink iom_store_queue_sink(struct iom_store_queue *queue);
/// The stores that follow belong to `cookie` and do not leave before `earliest`.
void iom_store_queue_open(struct iom_store_queue *queue, uint64_t cookie, iom_cycle earliest);
/// Sends what may leave now. Returns when to be called again, IOM_NEVER if not before a credit.
iom_cycle iom_store_queue_pump(struct iom_store_queue *queue, iom_cycle now);
/// Takes an acknowledgement; returns the cookie of its call. `error` (may be null): the address did not
/// answer.
uint64_t iom_store_queue_acknowledge(struct iom_store_queue *queue, struct iom_msg *msg, bool *error);

static inline bool iom_store_queue_all_left(const struct iom_store_queue *queue)
{
    return queue->head == queue->tail;
}

/// Stores queued and in flight.
static inline uint64_t iom_store_queue_pending(const struct iom_store_queue *queue)
{
    return queue->tail - queue->head + queue->in_flight;
}

#endif
