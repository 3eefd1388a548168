// SPDX-License-Identifier: Apache-2.0
//
// The register unit. See register_unit.h.
#include "core/register_unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Actions that wait their turn. A register write can ask for each at most once, and software waits for
// a handshake before it starts the next, so a short queue of bit masks is enough; writes that arrive
// while it is full wait in the mmio port.
#define PENDING_ACTIONS 16u

struct iom_register_unit {
    struct iom_unit unit; // first member: the unit is the registers
    struct iom_register_unit_config config;
    struct iom_port *ports;
    struct iom_pool control_pool;
    void *state;
    uint8_t pending[PENDING_ACTIONS]; ///< enum iom_register_action, oldest first
    uint32_t pending_count;
    uint32_t unacknowledged; ///< participants that have not answered the action under way
    struct iom_register_stats stats;
};

#define IOM_STAT_OWNER struct iom_register_stats
static const struct iom_stat_info stat_infos[] = {IOM_REGISTER_STATS(IOM_STAT_INFO)};

static struct iom_port *mmio_port(struct iom_register_unit *self)
{
    return &self->ports[0];
}

static struct iom_port *participant_port(struct iom_register_unit *self, uint32_t index)
{
    return &self->ports[1 + self->config.fault_inputs + index];
}

// ---- actions -------------------------------------------------------------------------------------------

static void fill_control(struct iom_register_unit *self, enum iom_register_action action,
                         struct iom_control *control)
{
    if (action == IOM_ACTION_UPDATE_VIEW) {
        control->op = IOM_CONTROL_VIEW;
        self->config.arch->ops->view(self->config.arch, self->state, &control->view);
    } else {
        // Register-based invalidation of any granularity is carried out as a global one, which the
        // architectures allow.
        control->op = IOM_CONTROL_INVALIDATE;
        memset(&control->invalidation, 0, sizeof control->invalidation);
        control->invalidation.parts = 1;
        control->invalidation.part[0].targets = IOM_INVALIDATE_ALL;
    }
}

// Status bits do not say which command they belong to: while a further view waits to be distributed, none
// is set.
static void finish_action(struct iom_register_unit *self)
{
    enum iom_register_action action = self->pending[0];
    memmove(self->pending, self->pending + 1, --self->pending_count * sizeof *self->pending);
    for (uint32_t i = 0; i < self->pending_count; i++) {
        if (action == IOM_ACTION_UPDATE_VIEW && self->pending[i] == action)
            return;
    }
    self->config.arch->ops->action_done(self->config.arch, self->state, action);
}

// Starts the oldest pending action; those without participants are done at once.
static void start_action(struct iom_register_unit *self, iom_cycle now)
{
    while (self->pending_count != 0 && self->unacknowledged == 0) {
        enum iom_register_action action = self->pending[0];
        self->stats.view_updates += action == IOM_ACTION_UPDATE_VIEW;
        for (uint32_t i = 0; i < self->config.participants; i++) {
            struct iom_port *port = participant_port(self, i);
            if (port->peer == NULL)
                continue;
            struct iom_control *control = iom_pool_take(&self->control_pool);
            if (control == NULL)
                abort(); // a few hundred bytes
            fill_control(self, action, control);
            iom_port_send(port, &control->msg, now);
            self->unacknowledged++;
        }
        if (self->unacknowledged != 0)
            return;
        finish_action(self);
    }
}

static void take_acknowledgements(struct iom_register_unit *self, iom_cycle now)
{
    for (uint32_t i = 0; i < self->config.participants; i++) {
        struct iom_port *port = participant_port(self, i);
        while (iom_port_peek(port, now) != NULL) {
            iom_msg_release(iom_port_pop(port));
            if (--self->unacknowledged == 0)
                finish_action(self);
        }
    }
}

// ---- inputs --------------------------------------------------------------------------------------------

static void serve_mmio(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    struct iom_port *port = mmio_port(self);
    while (iom_port_peek(port, now) != NULL && self->pending_count + 2 <= PENDING_ACTIONS) {
        struct iom_mmio *mmio = (struct iom_mmio *)(void *)iom_port_pop(port);
        iom_port_return_credit(port, now);
        if (mmio->write) {
            self->stats.mmio_writes++;
            uint32_t actions = arch->ops->write(arch, self->state, mmio->offset, mmio->bytes, mmio->value);
            if (actions & 1u << IOM_ACTION_UPDATE_VIEW)
                self->pending[self->pending_count++] = IOM_ACTION_UPDATE_VIEW;
            if (actions & 1u << IOM_ACTION_INVALIDATE)
                self->pending[self->pending_count++] = IOM_ACTION_INVALIDATE;
        } else {
            self->stats.mmio_reads++;
            mmio->value = arch->ops->read(arch, self->state, mmio->offset, mmio->bytes);
        }
        iom_port_send(port, &mmio->msg, now);
    }
}

static void record_faults(struct iom_register_unit *self, iom_cycle now)
{
    for (uint32_t i = 0; i < self->config.fault_inputs; i++) {
        struct iom_port *port = &self->ports[1 + i];
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
    take_acknowledgements(self, now);
    serve_mmio(self, now);
    start_action(self, now);
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
    uint32_t port_count = 1 + config->fault_inputs + config->participants;
    iom_pool_init(&self->control_pool, IOM_MSG_CONTROL, sizeof(struct iom_control));
    self->ports = calloc(port_count, sizeof *self->ports);
    self->state = calloc(1, config->arch->ops->state_bytes);
    if (self->ports == NULL || self->state == NULL) {
        iom_register_unit_destroy(self);
        return NULL;
    }
    config->arch->ops->reset(config->arch, self->state);
    iom_unit_init(&self->unit, &register_ops, name, self->ports, port_count);
    iom_port_init(&self->unit, 0, "mmio", false);
    for (uint32_t i = 0; i < config->fault_inputs; i++)
        iom_port_init(&self->unit, 1 + i, "fault", false);
    for (uint32_t i = 0; i < config->participants; i++)
        iom_port_init(&self->unit, 1 + config->fault_inputs + i, "participant", true);
    return self;
}

void iom_register_unit_destroy(struct iom_register_unit *self)
{
    if (self == NULL)
        return;
    iom_pool_free(&self->control_pool);
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
    return mmio_port(self);
}

struct iom_port *iom_register_unit_fault(struct iom_register_unit *self, uint32_t index)
{
    return &self->ports[1 + index];
}

struct iom_port *iom_register_unit_participant(struct iom_register_unit *self, uint32_t index)
{
    return participant_port(self, index);
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
