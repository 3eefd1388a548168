// SPDX-License-Identifier: Apache-2.0
//
// The paging-structure caches as a unit of their own: probes come as messages from the walker pool
// and are answered after the latency. See psc.h.
#include <stdlib.h>

#include "core/psc.h"
#include "core/tracker.h"
#include "core/unit.h"
#include "core/unit_stats.h"

enum { PORT_IN, PORT_CONTROL, PORTS };

struct iom_psc_unit {
    struct iom_unit unit; // first member: the unit is the caches
    struct iom_port ports[PORTS];
    struct iom_psc *psc;
    uint64_t latency_cycles;
    uint32_t lookups_per_cycle;
    uint32_t budget;
    iom_cycle budget_cycle;
    struct iom_tracker *tracker;
    struct iom_invalidator invalidator;
    iom_cycle dropped_until; ///< fills decided before this cycle come from what has been invalidated since
};

static void take_fill(struct iom_psc_unit *self, struct iom_psc_fill_message *message, iom_cycle now)
{
    if (message->decided < self->dropped_until)
        iom_psc_count_late_fill(self->psc);
    else
        iom_psc_insert(self->psc, now, &message->fill);
    iom_tracker_release(self->tracker, message->fill.entry.node);
    iom_msg_release(&message->msg);
}

// False: it has to wait for the budget of the next cycle or the end of an invalidation.
static bool take_probe(struct iom_psc_unit *self, struct iom_msg *msg, iom_cycle now)
{
    struct iom_port *in = &self->ports[PORT_IN];
    if (self->budget == 0 || iom_invalidator_blocks(&self->invalidator, now) ||
        self->invalidator.applied == now)
        return false;
    self->budget--;
    iom_port_pop(in);
    iom_port_return_credit(in, now);
    iom_psc_look_up(self->psc, now, &((struct iom_walk *)(void *)msg)->probe);
    iom_port_send(in, msg, now + iom_unit_ticks(&self->unit, self->latency_cycles));
    return true;
}

static void take_controls(struct iom_psc_unit *self, iom_cycle now)
{
    struct iom_port *port = &self->ports[PORT_CONTROL];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_control *control = (struct iom_control *)(void *)iom_port_pop(port);
        if (control->op == IOM_CONTROL_INVALIDATE)
            iom_invalidator_push(&self->invalidator, control);
        else
            iom_port_send(port, &control->msg, now);
    }
    iom_invalidator_begin(&self->invalidator, &self->unit, now);
}

static void end_invalidation(struct iom_psc_unit *self, iom_cycle now)
{
    struct iom_invalidator *invalidator = &self->invalidator;
    struct iom_control *control = iom_invalidator_due(invalidator, now);
    if (control == NULL)
        return;
    control->removed = 0;
    if (iom_invalidation_targets(&control->invalidation) & IOM_INVALIDATE_PSC) {
        control->removed = iom_psc_invalidate(self->psc, now, &control->invalidation);
        self->dropped_until = now + 1;
        iom_psc_count_invalidation(self->psc, (now - invalidator->begun) / self->unit.period + 1,
                                   iom_invalidator_blocked(invalidator, &self->unit));
    }
    iom_port_send(&self->ports[PORT_CONTROL], &control->msg, now);
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_psc_unit *self = (struct iom_psc_unit *)(void *)unit;
    struct iom_port *in = &self->ports[PORT_IN];
    if (self->budget_cycle != now) {
        self->budget_cycle = now;
        self->budget = self->lookups_per_cycle;
    }
    take_controls(self, now);
    struct iom_msg *msg;
    while ((msg = iom_port_peek(in, now)) != NULL) {
        if (msg->kind == IOM_MSG_PROBE)
            take_fill(self, (struct iom_psc_fill_message *)(void *)iom_port_pop(in), now);
        else if (!take_probe(self, msg, now))
            break;
    }
    end_invalidation(self, now);
    iom_cycle wake = iom_invalidator_next(&self->invalidator, unit, now);
    if (iom_port_peek(in, now) == NULL || iom_invalidator_blocks(&self->invalidator, now + unit->period))
        return wake;
    return iom_min_u64(wake, now + unit->period);
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    return index == 0 && iom_psc_stat_block(((struct iom_psc_unit *)(void *)unit)->psc, block);
}

static void reset_stats(struct iom_unit *unit)
{
    iom_psc_reset_stats(((struct iom_psc_unit *)(void *)unit)->psc);
}

IOM_UNIT_DESTROY(struct iom_psc_unit, iom_psc_unit_destroy)

static const struct iom_unit_ops psc_ops = {
    .kind = "psc",
    .advance = advance,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

struct iom_psc_unit *iom_psc_unit_create(const struct iom_psc_config *config, uint32_t lookups_per_cycle,
                                         const char *name)
{
    struct iom_psc_unit *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->psc = iom_psc_create(config, name);
    if (self->psc == NULL) {
        free(self);
        return NULL;
    }
    struct iom_invalidate_plan plan;
    iom_psc_plan(config, &plan);
    iom_invalidator_init(&self->invalidator, &plan, IOM_INVALIDATE_PSC);
    self->tracker = config->tracker;
    self->latency_cycles = config->latency_cycles;
    self->lookups_per_cycle = lookups_per_cycle;
    self->budget_cycle = IOM_NEVER;
    iom_unit_init(&self->unit, &psc_ops, name, self->ports, PORTS);
    iom_port_init(&self->unit, PORT_IN, "in", false);
    iom_port_init(&self->unit, PORT_CONTROL, "control", false);
    return self;
}

void iom_psc_unit_destroy(struct iom_psc_unit *self)
{
    if (self == NULL)
        return;
    iom_psc_destroy(self->psc);
    free(self);
}

struct iom_unit *iom_psc_unit_unit(struct iom_psc_unit *self)
{
    return &self->unit;
}

struct iom_port *iom_psc_unit_input(struct iom_psc_unit *self)
{
    return &self->ports[PORT_IN];
}

struct iom_port *iom_psc_unit_control(struct iom_psc_unit *self)
{
    return &self->ports[PORT_CONTROL];
}

struct iom_psc *iom_psc_unit_psc(struct iom_psc_unit *self)
{
    return self->psc;
}
