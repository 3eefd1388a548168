// SPDX-License-Identifier: Apache-2.0
//
// Operations made of steps. See generator_steps.h.
#include "traffic/generator_steps.h"

#include <stdlib.h>
#include <string.h>

#include "traffic/generator_internal.h"

bool iom_step_queue_init(struct iom_step_queue *queue, uint32_t capacity)
{
    queue->first = 0;
    queue->count = 0;
    queue->capacity = capacity;
    queue->index = calloc(capacity, sizeof *queue->index);
    return queue->index != NULL;
}

void iom_step_queue_push(struct iom_step_queue *queue, uint32_t index)
{
    assert(queue->count < queue->capacity);
    uint64_t last = (uint64_t)queue->first + queue->count++;
    queue->index[last < queue->capacity ? last : last - queue->capacity] = index;
}

uint32_t iom_step_queue_pop(struct iom_step_queue *queue)
{
    assert(queue->count != 0);
    uint32_t index = queue->index[queue->first];
    queue->count--;
    if (++queue->first == queue->capacity)
        queue->first = 0;
    return index;
}

bool iom_steps_init(struct iom_steps *steps, const struct iom_generator_config *config, uint32_t count)
{
    memset(steps, 0, sizeof *steps);
    steps->count = count;
    steps->latency = config->media_latency_cycles;
    steps->write_limit = config->request_bytes;
    steps->read_limit = config->read_request_bytes != 0 ? config->read_request_bytes : config->request_bytes;
    steps->source = config->source;
    steps->pasid = config->pasid;
    steps->flags = config->flags;
    steps->operations = calloc(count, sizeof *steps->operations);
    steps->delayed_until = calloc(count, sizeof *steps->delayed_until);
    bool queues = iom_step_queue_init(&steps->ready, count);
    queues = iom_step_queue_init(&steps->delayed, count) && queues;
    return queues && steps->operations != NULL && steps->delayed_until != NULL;
}

void iom_steps_free(struct iom_steps *steps)
{
    free(steps->operations);
    free(steps->delayed_until);
    free(steps->ready.index);
    free(steps->delayed.index);
}

struct iom_step_operation *iom_steps_prepare(struct iom_steps *steps, uint32_t index, bool rated)
{
    struct iom_step_operation *operation = &steps->operations[index];
    assert(operation->outstanding == 0);
    operation->count = 0;
    operation->current = 0;
    operation->rated = rated;
    operation->failed = false;
    operation->ring_failed = false;
    operation->offset = 0;
    operation->payload_bytes = 0;
    return operation;
}

void iom_steps_add(struct iom_step_operation *operation, const struct iom_step *step)
{
    assert(operation->count < IOM_STEPS_MAX && step->bytes != 0);
    operation->steps[operation->count++] = *step;
}

void iom_steps_begin(struct iom_steps *steps, uint32_t index, iom_cycle now)
{
    steps->operations[index].started = now;
    iom_step_queue_push(&steps->ready, index);
}

static void release_delayed(struct iom_steps *steps, iom_cycle now)
{
    // The latency is one constant, so operations become ready in the order in which they were delayed.
    while (steps->delayed.count != 0 &&
           steps->delayed_until[steps->delayed.index[steps->delayed.first]] <= now)
        iom_step_queue_push(&steps->ready, iom_step_queue_pop(&steps->delayed));
}

// Everything before the current step is answered: the operation may go on.
static void resume(struct iom_steps *steps, uint32_t index, iom_cycle now)
{
    const struct iom_step_operation *operation = &steps->operations[index];
    if (operation->steps[operation->current].delay && steps->latency != 0) {
        steps->delayed_until[index] = now + steps->latency;
        iom_step_queue_push(&steps->delayed, index);
    } else {
        iom_step_queue_push(&steps->ready, index);
    }
}

// The last request of a step has been handed out. The operation is at the head of `ready`.
static void end_step(struct iom_steps *steps, struct iom_step_operation *operation)
{
    operation->current++;
    operation->offset = 0;
    if (operation->current == operation->count || operation->steps[operation->current].wait)
        iom_step_queue_pop(&steps->ready); // parked until the answers are there
}

bool iom_steps_next(struct iom_steps *steps, iom_cycle now, struct iom_traffic_request *out)
{
    release_delayed(steps, now);
    if (steps->ready.count == 0)
        return false;
    uint32_t index = steps->ready.index[steps->ready.first];
    struct iom_step_operation *operation = &steps->operations[index];
    const struct iom_step *step = &operation->steps[operation->current];
    out->first = operation->rated && operation->current == 0 && operation->offset == 0;
    out->iova = step->iova + operation->offset;
    out->bytes = iom_piece_bytes(out->iova, step->bytes - operation->offset,
                                 step->write ? steps->write_limit : steps->read_limit);
    out->token = index;
    out->source = steps->source;
    out->pasid = steps->pasid;
    out->flags = iom_request_flags(steps->flags, step->write);
    out->klass = step->klass;
    operation->outstanding++;
    operation->offset += out->bytes;
    if (step->klass == IOM_TRAFFIC_DATA)
        operation->payload_bytes += out->bytes;
    if (operation->offset == step->bytes)
        end_step(steps, operation);
    out->more = steps->ready.count != 0;
    return true;
}

// The step to go on with when everything so far is answered; count if the operation is over.
static uint8_t following_step(const struct iom_step_operation *operation)
{
    if (operation->ring_failed)
        return operation->count;
    uint8_t step = operation->current;
    while (operation->failed && step < operation->count && operation->steps[step].klass == IOM_TRAFFIC_DATA)
        step++;
    return step;
}

static bool parked(const struct iom_step_operation *operation)
{
    return operation->offset == 0 &&
           (operation->current == operation->count || operation->steps[operation->current].wait);
}

enum iom_generator_progress iom_steps_completed(struct iom_steps *steps, iom_cycle now, uint32_t index,
                                                bool failed, struct iom_generator_end *end)
{
    struct iom_step_operation *operation = &steps->operations[index];
    assert(operation->outstanding != 0);
    operation->outstanding--;
    if (failed) {
        operation->failed = true;
        // Requests of a ring transfer are never in flight together with later ones.
        const struct iom_step *step = &operation->steps[operation->current - (operation->offset == 0)];
        operation->ring_failed = operation->ring_failed || step->klass == IOM_TRAFFIC_RING;
    }
    if (operation->outstanding != 0 || !parked(operation))
        return IOM_GENERATOR_GOING_ON;
    operation->current = following_step(operation);
    if (operation->current != operation->count) {
        resume(steps, index, now);
        return IOM_GENERATOR_GOING_ON;
    }
    end->started = operation->started;
    end->bytes = operation->payload_bytes;
    return operation->failed ? IOM_GENERATOR_ABORTED : IOM_GENERATOR_DONE;
}

iom_cycle iom_steps_due(const struct iom_steps *steps)
{
    return steps->delayed.count != 0 ? steps->delayed_until[steps->delayed.index[steps->delayed.first]]
                                     : IOM_NEVER;
}
