// SPDX-License-Identifier: Apache-2.0
//
// The register unit: life, evaluation, register accesses, events. See register_unit.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/command.h"
#include "core/memory.h"
#include "core/register_unit_internal.h"
#include "core/unit_stats.h"

#define IOM_STAT_OWNER struct iom_register_stats
static const struct iom_stat_info stat_infos[] = {IOM_REGISTER_STATS(IOM_STAT_INFO)};

// ---- what follows from a change ------------------------------------------------------------------------

// When the queue of actions is full the youngest speaks for this one too: it has not begun.
void iom_register_act(struct iom_register_unit *self, uint32_t actions, iom_cycle now)
{
    if (actions & IOM_DOORBELL_BIT)
        iom_register_send_setup(self, now);
    self->translation_wanted |= (actions & IOM_TRANSLATE_BIT) != 0;
    actions &= IOM_VIEW_BIT | IOM_INVALIDATE_BIT;
    if (actions != 0 && self->pending_count == IOM_PENDING_ACTIONS)
        self->pending[self->pending_count - 1] |= actions;
    else if (actions != 0)
        self->pending[self->pending_count++] = actions;
}

void iom_register_changed(struct iom_register_unit *self, uint32_t actions, iom_cycle now)
{
    iom_register_act(self, actions, now);
    iom_register_send(self, now);
}

// ---- inputs --------------------------------------------------------------------------------------------

static void serve_mmio(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    struct iom_port *port = &self->ports[IOM_REGISTER_MMIO];
    while (iom_port_peek(port, now) != NULL && self->pending_count < IOM_PENDING_ACTIONS) {
        struct iom_mmio *mmio = (struct iom_mmio *)(void *)iom_port_pop(port);
        iom_port_return_credit(port, now);
        if (mmio->write) {
            self->stats.mmio_writes++;
            uint32_t actions = arch->ops->write(arch, self->state, mmio->offset, mmio->bytes, mmio->value);
            iom_register_changed(self, actions, now);
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
        struct iom_port *port = iom_register_event_port(self, i);
        while (iom_port_peek(port, now) != NULL && self->pending_count < IOM_PENDING_ACTIONS) {
            struct iom_queue_event_message *message =
                (struct iom_queue_event_message *)(void *)iom_port_pop(port);
            self->stats.queue_events++;
            if (arch->ops->queue_event != NULL)
                iom_register_changed(self, arch->ops->queue_event(arch, self->state, &message->event), now);
            iom_msg_release(&message->msg);
        }
    }
}

// ---- the unit ------------------------------------------------------------------------------------------

// A wake-up further away is not asked for: nothing may ever happen until then, and a run is to end. If
// something does, the state is told the time, and asked again.
#define FARTHEST_WAKE_CYCLES (UINT64_C(1) << 40)

// `now` in cycles of the unit's clock.
static uint64_t clock_cycle(const struct iom_unit *unit, iom_cycle now)
{
    return unit->period <= 1 ? now : (now - iom_min_u64(unit->phase, now)) / unit->period;
}

static void tell_time(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    if (arch->ops->time != NULL)
        iom_register_changed(self, arch->ops->time(arch, self->state, clock_cycle(&self->unit, now)), now);
}

static iom_cycle next_wake(const struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    if (arch->ops->wake == NULL)
        return IOM_NEVER;
    uint64_t cycle = clock_cycle(&self->unit, now);
    uint64_t wake = arch->ops->wake(arch, self->state);
    if (wake == IOM_NEVER || wake > cycle + FARTHEST_WAKE_CYCLES)
        return IOM_NEVER;
    return now + iom_unit_ticks(&self->unit, iom_max_u64(wake, cycle + 1) - cycle);
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_register_unit *self = (struct iom_register_unit *)(void *)unit;
    tell_time(self, now);
    iom_register_send(self, now); // what waited for a credit
    iom_register_take_store(self, now);
    iom_register_take_reports(self, now);
    iom_register_take_answers(self, now);
    iom_register_carry_out(self, now); // status bits of what has ended, before they are read
    take_events(self, now);
    iom_register_take_monitors(self, now);
    iom_register_take_translation(self, now);
    serve_mmio(self, now);
    iom_register_carry_out(self, now);
    if (self->observer.evaluated != NULL)
        self->observer.evaluated(self->observer.context, now);
    iom_cycle wake = next_wake(self, now); // everything else waits for a message
    return iom_min_u64(wake, iom_register_drop_reports(self, now));
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_register_unit *self = (const struct iom_register_unit *)(const void *)unit;
    return self->pending_count + self->responses + self->storing + self->translating;
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_register_unit *self = (const struct iom_register_unit *)(const void *)unit;
    snprintf(text, text_bytes, "%u action(s) pending, %u answer(s) and %u response(s) at the fan-out%s%s%s",
             (unsigned)self->pending_count, (unsigned)self->unanswered, (unsigned)self->responses,
             self->storing ? ", a store" : "", self->store_waits ? " without credit" : "",
             self->translating ? ", a translation" : "");
}

IOM_UNIT_STATS(struct iom_register_unit, "registers", stat_infos)
IOM_UNIT_DESTROY(struct iom_register_unit, iom_register_unit_destroy)

static const struct iom_unit_ops register_ops = {
    .kind = "registers",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
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
    self->dropping_from = IOM_NEVER;
    uint32_t events = IOM_REGISTER_PORTS + config->fault_inputs, monitors = events + config->event_inputs;
    uint32_t port_count = monitors + config->monitor_inputs;
    iom_pool_init(&self->control_pool, IOM_MSG_CONTROL, sizeof(struct iom_control));
    iom_pool_init(&self->setup_pool, IOM_MSG_QUEUE_SETUP, sizeof(struct iom_queue_setup_message));
    iom_pool_init(&self->access_pool, IOM_MSG_MEMORY, sizeof(struct iom_memory_access));
    iom_pool_init(&self->dma_pool, IOM_MSG_DMA, sizeof(struct iom_dma));
    self->ports = calloc(port_count, sizeof *self->ports);
    self->state = calloc(1, config->arch->ops->state_bytes);
    if (self->ports == NULL || self->state == NULL) {
        iom_register_unit_destroy(self);
        return NULL;
    }
    config->arch->ops->reset(config->arch, self->state);
    iom_unit_init(&self->unit, &register_ops, name, self->ports, port_count);
    static const char *const names[IOM_REGISTER_PORTS] = {"mmio", "fanout", "queue", "memory", "translate"};
    for (uint32_t i = 0; i < port_count; i++) {
        const char *input = i < events ? "fault" : i < monitors ? "event" : "monitor";
        iom_port_init(&self->unit, i, i < IOM_REGISTER_PORTS ? names[i] : input,
                      i != IOM_REGISTER_MMIO && i < IOM_REGISTER_PORTS);
    }
    return self;
}

void iom_register_unit_destroy(struct iom_register_unit *self)
{
    if (self == NULL)
        return;
    iom_pool_free(&self->control_pool);
    iom_pool_free(&self->setup_pool);
    iom_pool_free(&self->access_pool);
    iom_pool_free(&self->dma_pool);
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
    return &self->ports[IOM_REGISTER_MMIO];
}

struct iom_port *iom_register_unit_fault(struct iom_register_unit *self, uint32_t index)
{
    return iom_register_fault_port(self, index);
}

struct iom_port *iom_register_unit_event(struct iom_register_unit *self, uint32_t index)
{
    return iom_register_event_port(self, index);
}

struct iom_port *iom_register_unit_monitor(struct iom_register_unit *self, uint32_t index)
{
    return iom_register_monitor_port(self, index);
}

struct iom_port *iom_register_unit_fanout(struct iom_register_unit *self)
{
    return &self->ports[IOM_REGISTER_FANOUT];
}

struct iom_port *iom_register_unit_queue(struct iom_register_unit *self)
{
    return &self->ports[IOM_REGISTER_QUEUE];
}

struct iom_port *iom_register_unit_memory(struct iom_register_unit *self)
{
    return &self->ports[IOM_REGISTER_MEMORY];
}

struct iom_port *iom_register_unit_translate(struct iom_register_unit *self)
{
    return &self->ports[IOM_REGISTER_TRANSLATE];
}

// A test bench may have put another architecture in place.
void iom_register_unit_reset(struct iom_register_unit *self)
{
    size_t bytes = self->config.arch->ops->state_bytes;
    void *state = realloc(self->state, bytes);
    if (state == NULL)
        abort(); // a few kilobytes
    self->state = state;
    memset(self->state, 0, bytes);
    self->config.arch->ops->reset(self->config.arch, self->state);
}

void *iom_register_unit_state(struct iom_register_unit *self)
{
    return self->state;
}

void iom_register_unit_set_observer(struct iom_register_unit *self,
                                    const struct iom_register_observer *observer)
{
    self->observer = observer != NULL ? *observer : (struct iom_register_observer){NULL, NULL};
}

const struct iom_register_stats *iom_register_unit_stats_of(const struct iom_register_unit *self)
{
    return &self->stats;
}
