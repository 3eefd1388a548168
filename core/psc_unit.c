// SPDX-License-Identifier: Apache-2.0
//
// The paging-structure caches as a unit of their own: probes come as messages from the walker pool
// and are answered after the latency. See psc.h.
#include <stdlib.h>

#include "core/psc.h"
#include "core/unit.h"

enum { PORT_IN, PORT_CONTROL, PORTS };

struct iom_psc_unit {
    struct iom_unit unit; // first member: the unit is the caches
    struct iom_port ports[PORTS];
    struct iom_psc *psc;
    uint64_t latency_cycles;
    uint32_t lookups_per_cycle;
    uint32_t budget;
    iom_cycle budget_cycle;
};

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_psc_unit *self = (struct iom_psc_unit *)(void *)unit;
    struct iom_port *in = &self->ports[PORT_IN];
    if (self->budget_cycle != now) {
        self->budget_cycle = now;
        self->budget = self->lookups_per_cycle;
    }
    struct iom_msg *msg;
    while ((msg = iom_port_peek(in, now)) != NULL) {
        if (msg->kind == IOM_MSG_PROBE) {
            iom_psc_insert(self->psc, now, &((struct iom_psc_fill_message *)(void *)msg)->fill);
            iom_msg_release(iom_port_pop(in));
            continue;
        }
        if (self->budget == 0)
            break;
        self->budget--;
        iom_port_pop(in);
        iom_port_return_credit(in, now);
        iom_psc_look_up(self->psc, now, &((struct iom_walk *)(void *)msg)->probe);
        iom_port_send(in, msg, now + iom_unit_ticks(unit, self->latency_cycles));
    }
    while ((msg = iom_port_peek(&self->ports[PORT_CONTROL], now)) != NULL) {
        struct iom_control *control = (struct iom_control *)(void *)iom_port_pop(&self->ports[PORT_CONTROL]);
        if (control->op == IOM_CONTROL_INVALIDATE)
            iom_psc_invalidate(self->psc, now, &control->invalidation);
        iom_port_send(&self->ports[PORT_CONTROL], &control->msg, now);
    }
    return iom_port_peek(in, now) != NULL ? now + unit->period : IOM_NEVER;
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    return index == 0 && iom_psc_stat_block(((struct iom_psc_unit *)(void *)unit)->psc, block);
}

static void reset_stats(struct iom_unit *unit)
{
    iom_psc_reset_stats(((struct iom_psc_unit *)(void *)unit)->psc);
}

static void destroy(struct iom_unit *unit)
{
    iom_psc_unit_destroy((struct iom_psc_unit *)(void *)unit);
}

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
