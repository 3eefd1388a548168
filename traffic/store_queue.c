// SPDX-License-Identifier: Apache-2.0
//
// Stores on their way to memory. See store_queue.h.
#include "traffic/store_queue.h"

#include <stdlib.h>
#include <string.h>

#include "core/tracker.h"

void iom_store_queue_init(struct iom_store_queue *queue, struct iom_port *port, iom_cycle interval)
{
    memset(queue, 0, sizeof *queue);
    queue->port = port;
    queue->interval = interval != 0 ? interval : 1;
    iom_pool_init(&queue->pool, IOM_MSG_MEMORY, sizeof(struct iom_memory_access));
}

void iom_store_queue_free(struct iom_store_queue *queue)
{
    iom_pool_free(&queue->pool);
    free(queue->ring);
    queue->ring = NULL;
}

static bool grow(struct iom_store_queue *queue)
{
    uint64_t wanted = queue->capacity != 0 ? queue->capacity * 2 : 64;
    struct iom_queued_store *ring = malloc(wanted * sizeof *ring);
    if (ring == NULL)
        return false;
    for (uint64_t i = queue->head; i != queue->tail; i++)
        ring[i & (wanted - 1)] = queue->ring[i & (queue->capacity - 1)];
    free(queue->ring);
    queue->ring = ring;
    queue->capacity = wanted;
    return true;
}

static bool put(void *context, const struct iom_store *store)
{
    struct iom_store_queue *queue = context;
    if (queue->tail - queue->head == queue->capacity && !grow(queue))
        return false;
    queue->ring[queue->tail++ & (queue->capacity - 1)] =
        (struct iom_queued_store){*store, queue->earliest, queue->cookie};
    return true;
}

struct iom_store_sink iom_store_queue_sink(struct iom_store_queue *queue)
{
    return (struct iom_store_sink){.put = put, .context = queue};
}

void iom_store_queue_open(struct iom_store_queue *queue, uint64_t cookie, iom_cycle earliest)
{
    queue->cookie = cookie;
    queue->earliest = earliest;
}

static void send(struct iom_store_queue *queue, const struct iom_queued_store *queued, iom_cycle now)
{
    struct iom_memory_access *access = iom_pool_take(&queue->pool);
    if (access == NULL)
        abort(); // bounded by the credits of the port; a few kilobytes
    uint8_t *bytes = (uint8_t *)access->data;
    for (unsigned i = 0; i < queued->store.bytes; i++)
        bytes[i] = (uint8_t)(queued->store.value >> (8 * i));
    access->address = queued->store.address;
    access->op = IOM_MEMORY_WRITE;
    access->bytes = queued->store.bytes;
    access->error = 0;
    access->origin = IOM_WRITE_SOFTWARE;
    access->node = 0;
    access->cookie = queued->cookie;
    iom_port_send(queue->port, &access->msg, now);
    queue->in_flight++;
    queue->sent++;
    queue->next_send = now + queue->interval;
}

iom_cycle iom_store_queue_pump(struct iom_store_queue *queue, iom_cycle now)
{
    if (iom_store_queue_all_left(queue))
        return IOM_NEVER;
    const struct iom_queued_store *first = &queue->ring[queue->head & (queue->capacity - 1)];
    if (iom_max_u64(first->earliest, queue->next_send) <= now) {
        if (!iom_port_can_send(queue->port, now))
            return IOM_NEVER;
        send(queue, first, now);
        queue->head++;
        if (iom_store_queue_all_left(queue))
            return IOM_NEVER;
        first = &queue->ring[queue->head & (queue->capacity - 1)];
    }
    return iom_max_u64(first->earliest, queue->next_send);
}

uint64_t iom_store_queue_acknowledge(struct iom_store_queue *queue, struct iom_msg *msg, bool *error)
{
    const struct iom_memory_access *access = (const struct iom_memory_access *)(void *)msg;
    uint64_t cookie = access->cookie;
    if (error != NULL)
        *error = access->error != 0;
    assert(queue->in_flight != 0);
    queue->in_flight--;
    iom_msg_release(msg);
    return cookie;
}
