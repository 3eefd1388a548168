// SPDX-License-Identifier: Apache-2.0
//
// The sequence. Its rules are in sequence.h.
#include "traffic/sequence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/axi_port.h"
#include "core/control.h"
#include "core/memory.h"
#include "core/tracker.h"

enum { READS, WRITES, USERS }; // serial: everything belongs to READS

// Whoever presents requests, one after the other.
struct user {
    uint32_t next;      // index of the next request, request_count after the last
    bool waiting;       // for the handshake of the one before
    iom_cycle earliest; // of the next request, as far as gap and handshake say
    uint32_t unanswered;
    iom_cycle answered_at; // last cycle in which a response came
};

struct iom_sequence {
    struct iom_unit unit; // first member: the unit is the sequence
    struct iom_port ports[IOM_SEQUENCE_PORTS];
    struct iom_sequence_config config; // its lists are owned
    struct iom_sequence_request *requests;
    struct iom_sequence_op *ops;
    struct iom_sequence_result *results;
    struct iom_sequence_op_result *op_results;
    struct user users[USERS];
    uint32_t presented, responded;
    uint32_t next_op;
    iom_cycle op_from; // earliest start of the next operation; IOM_NEVER: a register write is under way
    bool drained;
    struct iom_pool dma_pool, mmio_pool, memory_pool;
};

// ---- lists ---------------------------------------------------------------------------------------------

static bool is_write(const struct iom_sequence_request *request)
{
    return (request->flags & IOM_REQ_WRITE) != 0;
}

static const char *op_error(const struct iom_sequence_config *config, const struct iom_sequence_op *op)
{
    if (op->trigger > IOM_TRIGGER_DRAINED || op->kind > IOM_SEQUENCE_WAIT)
        return "an operation has an unknown trigger or kind";
    bool names_request = op->trigger == IOM_TRIGGER_PRESENTED || op->trigger == IOM_TRIGGER_DONE;
    if (names_request && op->request >= config->request_count)
        return "an operation waits for a request that does not exist";
    if (op->kind == IOM_SEQUENCE_REGISTER && op->bytes != 4 && op->bytes != 8)
        return "a register write has neither 4 nor 8 bytes";
    if (op->kind == IOM_SEQUENCE_MEMORY && (op->bytes == 0 || op->bytes > 8))
        return "a write to memory has not 1 to 8 bytes";
    return NULL;
}

const char *iom_sequence_config_error(const struct iom_sequence_config *config)
{
    for (uint32_t i = 0; i < config->request_count; i++) {
        uint32_t op = config->requests[i].after_op;
        if (op != IOM_SEQUENCE_NONE && op >= config->op_count)
            return "a request waits for an operation that does not exist";
    }
    const char *error = NULL;
    for (uint32_t i = 0; i < config->op_count && error == NULL; i++)
        error = op_error(config, &config->ops[i]);
    return error;
}

static struct user *user_of(struct iom_sequence *self, uint32_t request)
{
    return &self->users[self->config.dual && is_write(&self->requests[request]) ? WRITES : READS];
}

// Index of the first request of `user` from `index` on.
static uint32_t next_of(struct iom_sequence *self, const struct user *user, uint32_t index)
{
    while (index < self->config.request_count && user_of(self, index) != user)
        index++;
    return index;
}

// ---- what arrives --------------------------------------------------------------------------------------

static void take_events(struct iom_sequence *self, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_SEQUENCE_EVENTS];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_axi_event *event = (struct iom_axi_event *)(void *)iom_port_pop(port);
        uint32_t index = (uint32_t)event->id;
        if (event->kind == IOM_AXI_ACCEPTED) {
            struct user *user = user_of(self, index);
            self->results[index].accepted = event->cycle;
            user->waiting = false;
            if (user->next < self->config.request_count)
                user->earliest = event->cycle + 1 + self->requests[user->next].gap;
        } else {
            self->results[index].done = event->cycle;
        }
        iom_msg_release(&event->msg);
    }
}

static void take_responses(struct iom_sequence *self, enum iom_sequence_port which, iom_cycle now)
{
    struct iom_port *port = &self->ports[which];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_dma *dma = (struct iom_dma *)(void *)iom_port_pop(port);
        struct iom_sequence_result *result = &self->results[dma->id];
        struct user *user = user_of(self, (uint32_t)dma->id);
        result->responded = now;
        result->outcome = dma->x.outcome;
        result->output = dma->x.leaf.output;
        result->fault = dma->x.fault.code;
        result->memory_error = dma->memory_error != 0;
        self->responded++;
        user->unanswered--;
        user->answered_at = now;
        iom_msg_release(&dma->msg);
    }
}

static void take_operations(struct iom_sequence *self, iom_cycle now)
{
    struct iom_port *registers = &self->ports[IOM_SEQUENCE_REGISTERS];
    while (iom_port_peek(registers, now) != NULL) {
        iom_msg_release(iom_port_pop(registers));
        self->op_results[self->next_op++].done = now;
        self->op_from = now + 1;
    }
    struct iom_port *memory = &self->ports[IOM_SEQUENCE_MEMORY_PORT];
    while (iom_port_peek(memory, now) != NULL)
        iom_msg_release(iom_port_pop(memory));
    struct iom_port *queue = &self->ports[IOM_SEQUENCE_QUEUE];
    while (iom_port_peek(queue, now) != NULL) {
        struct iom_queue_event_message *message =
            (struct iom_queue_event_message *)(void *)iom_port_pop(queue);
        self->drained = message->event.kind == IOM_QUEUE_DRAINED;
        iom_msg_release(&message->msg);
    }
}

// ---- requests ------------------------------------------------------------------------------------------

static void send_request(struct iom_sequence *self, uint32_t index, iom_cycle now)
{
    const struct iom_sequence_request *request = &self->requests[index];
    struct iom_dma *dma = iom_pool_take(&self->dma_pool);
    if (dma == NULL)
        abort(); // a few hundred bytes
    struct iom_msg header = dma->msg;
    memset(dma, 0, sizeof *dma);
    dma->msg = header;
    dma->x.address = request->address;
    dma->x.bytes = request->bytes;
    dma->x.source = request->source;
    dma->x.pasid = request->pasid;
    dma->x.flags = request->flags;
    dma->x.next = IOM_LOOKUP_CONTEXT;
    dma->id = index;
    dma->issued = now;
    dma->looked_up = IOM_NEVER;
    iom_port_send(&self->ports[is_write(request) ? IOM_SEQUENCE_WRITE : IOM_SEQUENCE_READ], &dma->msg, now);
    self->results[index].presented = now;
    self->presented++;
}

// First cycle >= now in which `user` may present its next request, IOM_NEVER while that depends on an
// arrival.
static iom_cycle present_from(const struct iom_sequence *self, const struct user *user)
{
    if (user->next == self->config.request_count || user->waiting)
        return IOM_NEVER;
    iom_cycle from = user->earliest;
    uint32_t op = self->requests[user->next].after_op;
    if (op != IOM_SEQUENCE_NONE) {
        iom_cycle done = self->op_results[op].done;
        if (done == IOM_NEVER)
            return IOM_NEVER;
        from = iom_max_u64(from, done + 1);
    }
    uint32_t limit = self->config.response_limit;
    if (limit != 0) {
        if (user->unanswered >= limit)
            return IOM_NEVER;
        if (user->answered_at != IOM_NEVER)
            from = iom_max_u64(from, user->answered_at + 1);
    }
    return from;
}

static void present(struct iom_sequence *self, struct user *user, iom_cycle now)
{
    if (present_from(self, user) > now)
        return;
    uint32_t index = user->next;
    enum iom_sequence_port port = is_write(&self->requests[index]) ? IOM_SEQUENCE_WRITE : IOM_SEQUENCE_READ;
    // The slot of the channel is free again behind the handshake; only a slower receiver is waited for.
    if (!iom_port_can_send(&self->ports[port], now))
        return;
    send_request(self, index, now);
    user->waiting = true;
    user->unanswered++;
    user->next = next_of(self, user, index + 1);
}

// ---- operations ----------------------------------------------------------------------------------------

static iom_cycle behind(iom_cycle event, uint64_t delay)
{
    return event == IOM_NEVER ? IOM_NEVER : event + delay;
}

// First cycle in which the trigger holds, IOM_NEVER while that depends on an arrival.
static iom_cycle trigger_from(const struct iom_sequence *self, const struct iom_sequence_op *op)
{
    switch ((enum iom_sequence_trigger)op->trigger) {
    case IOM_TRIGGER_CYCLE:
        return op->delay;
    case IOM_TRIGGER_PRESENTED:
        return behind(self->results[op->request].presented, op->delay);
    case IOM_TRIGGER_DONE:
        return behind(self->results[op->request].done, op->delay);
    case IOM_TRIGGER_DRAINED:
        return self->drained ? 0 : IOM_NEVER;
    }
    return IOM_NEVER;
}

static iom_cycle op_from(const struct iom_sequence *self)
{
    if (self->next_op == self->config.op_count || self->op_from == IOM_NEVER)
        return IOM_NEVER;
    return iom_max_u64(self->op_from, trigger_from(self, &self->ops[self->next_op]));
}

static bool write_register(struct iom_sequence *self, const struct iom_sequence_op *op, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_SEQUENCE_REGISTERS];
    if (!iom_port_can_send(port, now))
        return false;
    struct iom_mmio *mmio = iom_pool_take(&self->mmio_pool);
    if (mmio == NULL)
        abort(); // one at a time
    mmio->offset = (uint32_t)op->address;
    mmio->value = op->value;
    mmio->bytes = op->bytes;
    mmio->write = true;
    mmio->cookie = 0;
    iom_port_send(port, &mmio->msg, now);
    return true;
}

static bool write_memory(struct iom_sequence *self, const struct iom_sequence_op *op, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_SEQUENCE_MEMORY_PORT];
    if (!iom_port_can_send(port, now))
        return false;
    struct iom_memory_access *access = iom_pool_take(&self->memory_pool);
    if (access == NULL)
        abort(); // a few hundred bytes
    access->op = IOM_MEMORY_WRITE;
    access->client = IOM_CLIENT_OTHER;
    access->origin = IOM_WRITE_SOFTWARE;
    access->address = op->address;
    access->bytes = op->bytes;
    access->data[0] = op->value;
    access->cookie = 0;
    access->node = 0;
    access->error = IOM_ACCESS_OK;
    iom_port_send(port, &access->msg, now);
    return true;
}

// Starts the next operation. False: it cannot start.
static bool start_op(struct iom_sequence *self, iom_cycle now)
{
    const struct iom_sequence_op *op = &self->ops[self->next_op];
    struct iom_sequence_op_result *result = &self->op_results[self->next_op];
    if (op->kind == IOM_SEQUENCE_REGISTER) {
        if (!write_register(self, op, now))
            return false;
        result->start = now;
        self->op_from = IOM_NEVER; // its answer counts it as done
        return true;
    }
    if (op->kind == IOM_SEQUENCE_MEMORY && !write_memory(self, op, now))
        return false;
    result->start = result->done = now;
    self->op_from = now;
    self->next_op++;
    return true;
}

// ---- the unit ------------------------------------------------------------------------------------------

// The earlier of `next` and `from`; what is due already (from <= now) waits for a credit, which wakes the
// unit.
static iom_cycle sooner(iom_cycle next, iom_cycle from, iom_cycle now)
{
    return from > now ? iom_min_u64(next, from) : next;
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_sequence *self = (struct iom_sequence *)(void *)unit;
    take_events(self, now);
    take_responses(self, IOM_SEQUENCE_READ, now);
    take_responses(self, IOM_SEQUENCE_WRITE, now);
    take_operations(self, now);
    for (unsigned i = 0; i < USERS; i++)
        present(self, &self->users[i], now);
    while (op_from(self) <= now && start_op(self, now))
        continue;
    iom_cycle next = sooner(IOM_NEVER, op_from(self), now);
    for (unsigned i = 0; i < USERS; i++)
        next = sooner(next, present_from(self, &self->users[i]), now);
    return next;
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_sequence *self = (const struct iom_sequence *)(const void *)unit;
    return self->config.request_count - self->responded + self->config.op_count - self->next_op;
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_sequence *self = (const struct iom_sequence *)(const void *)unit;
    snprintf(text, text_bytes, "%u of %u requests presented, %u answered; %u of %u operations done",
             (unsigned)self->presented, (unsigned)self->config.request_count, (unsigned)self->responded,
             (unsigned)self->next_op, (unsigned)self->config.op_count);
}

static void destroy(struct iom_unit *unit)
{
    iom_sequence_destroy((struct iom_sequence *)(void *)unit);
}

static const struct iom_unit_ops sequence_ops = {
    .kind = "sequence",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .destroy = destroy,
};

// ---- life ----------------------------------------------------------------------------------------------

// A copy of `count` elements; an empty list is no null pointer.
static void *copy_of(const void *list, uint32_t count, size_t element_bytes)
{
    void *copy = calloc((size_t)count + 1, element_bytes);
    if (copy != NULL && count != 0 && list != NULL)
        memcpy(copy, list, count * element_bytes);
    return copy;
}

static bool make_lists(struct iom_sequence *self)
{
    struct iom_sequence_config *config = &self->config;
    self->requests = copy_of(config->requests, config->request_count, sizeof *self->requests);
    self->ops = copy_of(config->ops, config->op_count, sizeof *self->ops);
    self->results = copy_of(NULL, config->request_count, sizeof *self->results);
    self->op_results = copy_of(NULL, config->op_count, sizeof *self->op_results);
    config->requests = self->requests;
    config->ops = self->ops;
    if (self->requests == NULL || self->ops == NULL || self->results == NULL || self->op_results == NULL)
        return false;
    for (uint32_t i = 0; i < config->request_count; i++) {
        struct iom_sequence_result *result = &self->results[i];
        result->presented = result->accepted = result->done = result->responded = IOM_NEVER;
    }
    for (uint32_t i = 0; i < config->op_count; i++)
        self->op_results[i].start = self->op_results[i].done = IOM_NEVER;
    return true;
}

static void init_users(struct iom_sequence *self)
{
    for (unsigned i = 0; i < USERS; i++) {
        struct user *user = &self->users[i];
        user->next = next_of(self, user, 0);
        user->answered_at = IOM_NEVER;
        if (user->next < self->config.request_count)
            user->earliest = self->requests[user->next].gap;
    }
}

struct iom_sequence *iom_sequence_create(const struct iom_sequence_config *config, const char *name)
{
    if (iom_sequence_config_error(config) != NULL)
        return NULL;
    struct iom_sequence *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->config = *config;
    self->drained = true;
    iom_pool_init(&self->dma_pool, IOM_MSG_DMA, sizeof(struct iom_dma));
    iom_pool_init(&self->mmio_pool, IOM_MSG_MMIO, sizeof(struct iom_mmio));
    iom_pool_init(&self->memory_pool, IOM_MSG_MEMORY, sizeof(struct iom_memory_access));
    if (!make_lists(self)) {
        iom_sequence_destroy(self);
        return NULL;
    }
    init_users(self);
    iom_unit_init(&self->unit, &sequence_ops, name, self->ports, IOM_SEQUENCE_PORTS);
    iom_port_init(&self->unit, IOM_SEQUENCE_READ, "read", true);
    iom_port_init(&self->unit, IOM_SEQUENCE_WRITE, "write", true);
    iom_port_init(&self->unit, IOM_SEQUENCE_EVENTS, "events", false);
    iom_port_init(&self->unit, IOM_SEQUENCE_REGISTERS, "registers", true);
    iom_port_init(&self->unit, IOM_SEQUENCE_MEMORY_PORT, "memory", true);
    iom_port_init(&self->unit, IOM_SEQUENCE_QUEUE, "queue", false);
    return self;
}

void iom_sequence_destroy(struct iom_sequence *self)
{
    if (self == NULL)
        return;
    iom_pool_free(&self->dma_pool);
    iom_pool_free(&self->mmio_pool);
    iom_pool_free(&self->memory_pool);
    free(self->requests);
    free(self->ops);
    free(self->results);
    free(self->op_results);
    free(self);
}

struct iom_unit *iom_sequence_unit(struct iom_sequence *self)
{
    return &self->unit;
}

struct iom_port *iom_sequence_port(struct iom_sequence *self, enum iom_sequence_port port)
{
    return &self->ports[port];
}

const struct iom_sequence_result *iom_sequence_result_of(const struct iom_sequence *self, uint32_t request)
{
    return &self->results[request];
}

const struct iom_sequence_op_result *iom_sequence_op_result_of(const struct iom_sequence *self, uint32_t op)
{
    return &self->op_results[op];
}

bool iom_sequence_finished(const struct iom_sequence *self)
{
    return outstanding(&self->unit) == 0;
}
