// SPDX-License-Identifier: Apache-2.0
//
// The register unit: what is carried out through the fan-out (views, invalidations, drains), and the command
// queue's registers. See register_unit.h.
#include <stdlib.h>
#include <string.h>

#include "core/command.h"
#include "core/register_unit_internal.h"
#include "core/tracker.h"

// ---- actions -------------------------------------------------------------------------------------------

struct iom_control *iom_register_take_control(struct iom_register_unit *self, enum iom_control_op op)
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
    struct iom_port *port = &self->ports[IOM_REGISTER_FANOUT];
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
    struct iom_control *control = iom_register_take_control(self, IOM_CONTROL_VIEW);
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
        struct iom_control *control = iom_register_take_control(self, IOM_CONTROL_INVALIDATE);
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
    struct iom_control *control = iom_register_take_control(self, IOM_CONTROL_DRAIN);
    control->drain_reads = self->drain_reads;
    control->drain_writes = self->drain_writes;
    self->drain_reads = self->drain_writes = false;
    send_control(self, control, now);
}

// A view that is to be distributed after the action under way.
static bool view_waits(const struct iom_register_unit *self)
{
    for (uint32_t i = 1; i < self->pending_count; i++) {
        if (self->pending[i] & IOM_VIEW_BIT)
            return true;
    }
    return false;
}

static void finish_action(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    uint32_t action = self->pending[0];
    bool view = (action & IOM_VIEW_BIT) && !view_waits(self);
    memmove(self->pending, self->pending + 1, --self->pending_count * sizeof *self->pending);
    self->view_sent = self->view_known = self->flushed = false;
    if (view)
        arch->ops->action_done(arch, self->state, IOM_ACTION_UPDATE_VIEW);
    if (action & IOM_INVALIDATE_BIT) {
        arch->ops->action_done(arch, self->state, IOM_ACTION_INVALIDATE);
        iom_tracker_completed(self->config.tracker, now, arch->iommu);
    }
    iom_register_changed(self, 0, now);
}

// Takes the oldest action as far as it can go, then the next. Invalidations are asked for until there is
// none left: software may have asked for one more meanwhile, and the status bit will speak for both.
void iom_register_carry_out(struct iom_register_unit *self, iom_cycle now)
{
    while (self->pending_count != 0 && self->unanswered == 0) {
        uint32_t action = self->pending[0];
        if ((action & IOM_VIEW_BIT) && !self->view_sent) {
            send_view(self, now);
            continue;
        }
        if (self->view_sent && !self->view_known) {
            self->view_known = true;
            iom_tracker_view(self->config.tracker, now, self->config.arch->iommu, &self->view);
        }
        if (action & IOM_INVALIDATE_BIT) {
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

void iom_register_take_answers(struct iom_register_unit *self, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_REGISTER_FANOUT];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_control *control = (struct iom_control *)(void *)iom_port_pop(port);
        *(control->op == IOM_CONTROL_RESPOND ? &self->responses : &self->unanswered) -= 1;
        iom_msg_release(&control->msg);
    }
}

void iom_register_send_setup(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    struct iom_port *port = &self->ports[IOM_REGISTER_QUEUE];
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
