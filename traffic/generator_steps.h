// SPDX-License-Identifier: Apache-2.0
//
// Operations made of steps: the engine under the NIC and NVMe generators.
//
// An operation is a short list of transfers carried out in order. A transfer is cut into requests;
// requests of one transfer may be in flight together. A step with `wait` begins when everything before
// it has been answered, one with `delay` the given latency later.
//
//   begun --> ready (has a request to hand out) --> parked (waits for answers) --> delayed --> ready ...
//
// Each operation is in exactly one of these; ready operations are served first come, first served, and
// hand out all requests of a transfer before the next operation has its turn. After a failed request
// further data transfers are left out; a failed ring transfer (the command or descriptor itself)
// ends the operation.
#ifndef IOM_TRAFFIC_GENERATOR_STEPS_H
#define IOM_TRAFFIC_GENERATOR_STEPS_H

#include "traffic/generator.h"

#define IOM_STEPS_MAX 4

struct iom_step {
    uint64_t iova;
    uint64_t bytes;
    uint8_t klass; ///< enum iom_traffic_class
    bool write;
    bool wait;  ///< begins after the last answer to everything before it
    bool delay; ///< and the engine's latency later
};

struct iom_step_operation {
    struct iom_step steps[IOM_STEPS_MAX];
    uint8_t count;   ///< steps used
    uint8_t current; ///< step being handed out
    bool rated;      ///< its first request begins an operation in the sense of generator.h
    bool failed, ring_failed;
    uint32_t outstanding; ///< requests without answer
    uint64_t offset;      ///< bytes of the current step handed out
    iom_cycle started;
    uint64_t payload_bytes; ///< data handed out
};

/// Indexes in order of arrival; capacity = number of operations, so it never overflows.
struct iom_step_queue {
    uint32_t *index;
    uint32_t first, count, capacity;
};

struct iom_steps {
    struct iom_step_operation *operations;
    uint32_t count;
    struct iom_step_queue ready, delayed;
    iom_cycle *delayed_until; ///< per operation
    iom_cycle latency;
    uint32_t read_limit, write_limit; ///< largest requests, bytes
    uint32_t source, pasid;
    uint16_t flags;
};

bool iom_step_queue_init(struct iom_step_queue *queue, uint32_t capacity);
void iom_step_queue_push(struct iom_step_queue *queue, uint32_t index);
uint32_t iom_step_queue_pop(struct iom_step_queue *queue);

/// `config` gives requester, piece sizes and latency. False when memory is out (then call free).
bool iom_steps_init(struct iom_steps *steps, const struct iom_generator_config *config, uint32_t count);
void iom_steps_free(struct iom_steps *steps);

/// The operation `index`, which must be over, for the caller to fill steps and count; then begin.
struct iom_step_operation *iom_steps_prepare(struct iom_steps *steps, uint32_t index, bool rated);
void iom_steps_add(struct iom_step_operation *operation, const struct iom_step *step);
void iom_steps_begin(struct iom_steps *steps, uint32_t index, iom_cycle now);

/// Next request of an operation begun; the token is the index of the operation.
bool iom_steps_next(struct iom_steps *steps, iom_cycle now, struct iom_traffic_request *out);
/// An answer. Unless GOING_ON is returned the operation is over and `end` filled.
enum iom_generator_progress iom_steps_completed(struct iom_steps *steps, iom_cycle now, uint32_t index,
                                                bool failed, struct iom_generator_end *end);
/// Cycle in which the first delayed operation becomes ready; IOM_NEVER if there is none.
iom_cycle iom_steps_due(const struct iom_steps *steps);

#endif
