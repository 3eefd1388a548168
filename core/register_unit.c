// SPDX-License-Identifier: Apache-2.0
//
// The register unit. See register_unit.h.
#include "core/register_unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/command.h"
#include "core/tracker.h"

// Actions that wait their turn. Software waits for a handshake before it starts the next, so a short queue
// is enough; writes and events that arrive while it is full wait in their ports.
#define PENDING_ACTIONS 16u

#define VIEW_BIT (1u << IOM_ACTION_UPDATE_VIEW)
#define INVALIDATE_BIT (1u << IOM_ACTION_INVALIDATE)
#define DOORBELL_BIT (1u << IOM_ACTION_DOORBELL)

enum { PORT_MMIO, PORT_FANOUT, PORT_QUEUE, PORT_FAULTS };

struct iom_register_unit {
    struct iom_unit unit; // first member: the unit is the registers
    struct iom_register_unit_config config;
    struct iom_port *ports; ///< mmio, fanout, queue, faults, events
    struct iom_pool control_pool, setup_pool;
    void *state;
    uint32_t pending[PENDING_ACTIONS]; ///< VIEW_BIT and INVALIDATE_BIT of one write each, oldest first
    uint32_t pending_count;
    // Action under way: the oldest pending one
    bool view_sent;  ///< its view has been sent
    bool view_known; ///< and is everywhere
    struct iom_view view;
    bool flushed;                   ///< architecture without next_invalidation: everything was invalidated
    bool drain_reads, drain_writes; ///< wanted by its invalidations and not asked for yet
    uint32_t unanswered;            ///< messages at the fan-out
    struct iom_register_stats stats;
};

#define IOM_STAT_OWNER struct iom_register_stats
static const struct iom_stat_info stat_infos[] = {IOM_REGISTER_STATS(IOM_STAT_INFO)};

static struct iom_port *fault_port(struct iom_register_unit *self, uint32_t index)
{
    return &self->ports[PORT_FAULTS + index];
}

static struct iom_port *event_port(struct iom_register_unit *self, uint32_t index)
{
    return &self->ports[PORT_FAULTS + self->config.fault_inputs + index];
}

// ---- actions -------------------------------------------------------------------------------------------

static struct iom_control *take_control(struct iom_register_unit *self, enum iom_control_op op)
{
    struct iom_control *control = iom_pool_take(&self->control_pool);
    if (control == NULL)
        abort(); // a few kilobytes
    struct iom_msg header = control->msg;
    memset(control, 0, sizeof *control);
    control->msg = header;
    control->op = (uint8_t)op;
    return control;
}

static void send_control(struct iom_register_unit *self, struct iom_control *control, iom_cycle now)
{
    struct iom_port *port = &self->ports[PORT_FANOUT];
    if (port->peer == NULL) {
        iom_msg_release(&control->msg);
        return;
    }
    iom_port_send(port, &control->msg, now);
    self->unanswered++;
}

static void send_view(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    struct iom_control *control = take_control(self, IOM_CONTROL_VIEW);
    arch->ops->view(arch, self->state, &control->view);
    self->view = control->view;
    self->stats.view_updates++;
    self->view_sent = true;
    send_control(self, control, now);
}

// The next invalidation wanted, false if there is none left.
static bool next_invalidation(struct iom_register_unit *self, struct iom_invalidation *invalidation)
{
    const struct iom_arch *arch = self->config.arch;
    if (arch->ops->next_invalidation != NULL)
        return arch->ops->next_invalidation(arch, self->state, invalidation);
    if (self->flushed)
        return false;
    self->flushed = true;
    invalidation->source = IOM_SOURCE_REGISTER;
    invalidation->parts = 1;
    invalidation->part[0].targets = IOM_INVALIDATE_ALL;
    return true;
}

static void send_invalidations(struct iom_register_unit *self, iom_cycle now)
{
    struct iom_invalidation invalidation;
    memset(&invalidation, 0, sizeof invalidation);
    while (next_invalidation(self, &invalidation)) {
        struct iom_control *control = take_control(self, IOM_CONTROL_INVALIDATE);
        control->invalidation = invalidation;
        self->drain_reads |= invalidation.drain_reads;
        self->drain_writes |= invalidation.drain_writes;
        self->stats.invalidations++;
        send_control(self, control, now);
        memset(&invalidation, 0, sizeof invalidation);
    }
}

static void send_drain(struct iom_register_unit *self, iom_cycle now)
{
    struct iom_control *control = take_control(self, IOM_CONTROL_DRAIN);
    control->drain_reads = self->drain_reads;
    control->drain_writes = self->drain_writes;
    self->drain_reads = self->drain_writes = false;
    send_control(self, control, now);
}

// A view that is to be distributed after the action under way.
static bool view_waits(const struct iom_register_unit *self)
{
    for (uint32_t i = 1; i < self->pending_count; i++) {
        if (self->pending[i] & VIEW_BIT)
            return true;
    }
    return false;
}

static void finish_action(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    uint32_t action = self->pending[0];
    bool view = (action & VIEW_BIT) && !view_waits(self);
    memmove(self->pending, self->pending + 1, --self->pending_count * sizeof *self->pending);
    self->view_sent = self->view_known = self->flushed = false;
    if (view)
        arch->ops->action_done(arch, self->state, IOM_ACTION_UPDATE_VIEW);
    if (action & INVALIDATE_BIT) {
        arch->ops->action_done(arch, self->state, IOM_ACTION_INVALIDATE);
        iom_tracker_completed(self->config.tracker, now, arch->iommu);
    }
}

// Takes the oldest action as far as it can go, then the next. Invalidations are asked for until there is
// none left: software may have asked for one more meanwhile, and the status bit will speak for both.
static void carry_out(struct iom_register_unit *self, iom_cycle now)
{
    while (self->pending_count != 0 && self->unanswered == 0) {
        uint32_t action = self->pending[0];
        if ((action & VIEW_BIT) && !self->view_sent) {
            send_view(self, now);
            continue;
        }
        if (self->view_sent && !self->view_known) {
            self->view_known = true;
            iom_tracker_view(self->config.tracker, now, self->config.arch->iommu, &self->view);
        }
        if (action & INVALIDATE_BIT) {
            send_invalidations(self, now);
            if (self->unanswered != 0)
                return;
            if (self->drain_reads || self->drain_writes) {
                send_drain(self, now);
                continue;
            }
        }
        finish_action(self, now);
    }
}

static void take_answers(struct iom_register_unit *self, iom_cycle now)
{
    struct iom_port *port = &self->ports[PORT_FANOUT];
    while (iom_port_peek(port, now) != NULL) {
        iom_msg_release(iom_port_pop(port));
        self->unanswered--;
    }
}

static void send_setup(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    struct iom_port *port = &self->ports[PORT_QUEUE];
    if (arch->ops->queue == NULL || port->peer == NULL)
        return;
    struct iom_queue_setup_message *message = iom_pool_take(&self->setup_pool);
    if (message == NULL)
        abort(); // the command queue takes them at once
    memset(&message->setup, 0, sizeof message->setup);
    arch->ops->queue(arch, self->state, &message->setup);
    self->stats.doorbells++;
    iom_port_send(port, &message->msg, now);
}

// What a register write or an event asks for.
static void act(struct iom_register_unit *self, uint32_t actions, iom_cycle now)
{
    if (actions & DOORBELL_BIT)
        send_setup(self, now);
    if (actions & (VIEW_BIT | INVALIDATE_BIT))
        self->pending[self->pending_count++] = actions & (VIEW_BIT | INVALIDATE_BIT);
}

// ---- inputs --------------------------------------------------------------------------------------------

static void serve_mmio(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    struct iom_port *port = &self->ports[PORT_MMIO];
    while (iom_port_peek(port, now) != NULL && self->pending_count < PENDING_ACTIONS) {
        struct iom_mmio *mmio = (struct iom_mmio *)(void *)iom_port_pop(port);
        iom_port_return_credit(port, now);
        if (mmio->write) {
            self->stats.mmio_writes++;
            act(self, arch->ops->write(arch, self->state, mmio->offset, mmio->bytes, mmio->value), now);
        } else {
            self->stats.mmio_reads++;
            mmio->value = arch->ops->read(arch, self->state, mmio->offset, mmio->bytes);
        }
        iom_port_send(port, &mmio->msg, now);
    }
}

static void take_events(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    for (uint32_t i = 0; i < self->config.event_inputs; i++) {
        struct iom_port *port = event_port(self, i);
        while (iom_port_peek(port, now) != NULL && self->pending_count < PENDING_ACTIONS) {
            struct iom_queue_event_message *message =
                (struct iom_queue_event_message *)(void *)iom_port_pop(port);
            self->stats.queue_events++;
            if (arch->ops->queue_event != NULL)
                act(self, arch->ops->queue_event(arch, self->state, &message->event), now);
            iom_msg_release(&message->msg);
        }
    }
}

static void record_faults(struct iom_register_unit *self, iom_cycle now)
{
    for (uint32_t i = 0; i < self->config.fault_inputs; i++) {
        struct iom_port *port = fault_port(self, i);
        while (iom_port_peek(port, now) != NULL) {
            struct iom_fault_report *report = (struct iom_fault_report *)(void *)iom_port_pop(port);
            bool recorded = self->config.arch->ops->record(self->config.arch, self->state, &report->fault);
            *(recorded ? &self->stats.faults_recorded : &self->stats.faults_dropped) += 1;
            iom_msg_release(&report->msg);
        }
    }
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_register_unit *self = (struct iom_register_unit *)(void *)unit;
    record_faults(self, now);
    take_answers(self, now);
    carry_out(self, now); // status bits of what has ended, before they are read
    take_events(self, now);
    serve_mmio(self, now);
    carry_out(self, now);
    return IOM_NEVER; // everything else waits for a message
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    return ((const struct iom_register_unit *)(const void *)unit)->pending_count;
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    struct iom_register_unit *self = (struct iom_register_unit *)(void *)unit;
    if (index != 0)
        return false;
    *block = (struct iom_stat_block){"registers", stat_infos, sizeof stat_infos / sizeof stat_infos[0],
                                     &self->stats};
    return true;
}

static void reset_stats(struct iom_unit *unit)
{
    struct iom_register_unit *self = (struct iom_register_unit *)(void *)unit;
    memset(&self->stats, 0, sizeof self->stats);
}

static void destroy(struct iom_unit *unit)
{
    iom_register_unit_destroy((struct iom_register_unit *)(void *)unit);
}

static const struct iom_unit_ops register_ops = {
    .kind = "registers",
    .advance = advance,
    .outstanding = outstanding,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life ----------------------------------------------------------------------------------------------

struct iom_register_unit *iom_register_unit_create(const struct iom_register_unit_config *config,
                                                   const char *name)
{
    struct iom_register_unit *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->config = *config;
    uint32_t port_count = PORT_FAULTS + config->fault_inputs + config->event_inputs;
    iom_pool_init(&self->control_pool, IOM_MSG_CONTROL, sizeof(struct iom_control));
    iom_pool_init(&self->setup_pool, IOM_MSG_QUEUE_SETUP, sizeof(struct iom_queue_setup_message));
    self->ports = calloc(port_count, sizeof *self->ports);
    self->state = calloc(1, config->arch->ops->state_bytes);
    if (self->ports == NULL || self->state == NULL) {
        iom_register_unit_destroy(self);
        return NULL;
    }
    config->arch->ops->reset(config->arch, self->state);
    iom_unit_init(&self->unit, &register_ops, name, self->ports, port_count);
    iom_port_init(&self->unit, PORT_MMIO, "mmio", false);
    iom_port_init(&self->unit, PORT_FANOUT, "fanout", true);
    iom_port_init(&self->unit, PORT_QUEUE, "queue", true);
    for (uint32_t i = 0; i < config->fault_inputs; i++)
        iom_port_init(&self->unit, PORT_FAULTS + i, "fault", false);
    for (uint32_t i = 0; i < config->event_inputs; i++)
        iom_port_init(&self->unit, PORT_FAULTS + config->fault_inputs + i, "event", false);
    return self;
}

void iom_register_unit_destroy(struct iom_register_unit *self)
{
    if (self == NULL)
        return;
    iom_pool_free(&self->control_pool);
    iom_pool_free(&self->setup_pool);
    free(self->ports);
    free(self->state);
    free(self);
}

struct iom_unit *iom_register_unit_unit(struct iom_register_unit *self)
{
    return &self->unit;
}

struct iom_port *iom_register_unit_mmio(struct iom_register_unit *self)
{
    return &self->ports[PORT_MMIO];
}

struct iom_port *iom_register_unit_fault(struct iom_register_unit *self, uint32_t index)
{
    return fault_port(self, index);
}

struct iom_port *iom_register_unit_event(struct iom_register_unit *self, uint32_t index)
{
    return event_port(self, index);
}

struct iom_port *iom_register_unit_fanout(struct iom_register_unit *self)
{
    return &self->ports[PORT_FANOUT];
}

struct iom_port *iom_register_unit_queue(struct iom_register_unit *self)
{
    return &self->ports[PORT_QUEUE];
}

void iom_register_unit_reset(struct iom_register_unit *self)
{
    memset(self->state, 0, self->config.arch->ops->state_bytes);
    self->config.arch->ops->reset(self->config.arch, self->state);
}

void *iom_register_unit_state(struct iom_register_unit *self)
{
    return self->state;
}

const struct iom_register_stats *iom_register_unit_stats_of(const struct iom_register_unit *self)
{
    return &self->stats;
}
