// SPDX-License-Identifier: Apache-2.0
//
// The register unit: reports of the stages, stores for queues in memory and interrupt messages, responses to
// page requests, translations asked for through registers. See register_unit.h.
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/register_unit_internal.h"
#include "core/tracker.h"

// ---- stores --------------------------------------------------------------------------------------------

static void free_slot(struct iom_register_unit *self, iom_cycle now)
{
    if (self->slot_of != NULL)
        iom_port_return_credit(self->slot_of, now);
    self->slot_of = NULL;
}

static void stored(struct iom_register_unit *self, enum iom_access access, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    self->storing = false;
    self->dropping_from = IOM_NEVER;
    free_slot(self, now);
    self->stats.store_errors += access != IOM_ACCESS_OK;
    iom_register_act(self, arch->ops->store_done(arch, self->state, &self->store, access), now);
}

static void send_store(struct iom_register_unit *self, iom_cycle now)
{
    struct iom_memory_access *access = iom_pool_take(&self->access_pool);
    if (access == NULL)
        abort(); // one at a time
    access->op = IOM_MEMORY_WRITE;
    access->client = IOM_CLIENT_RECORDS;
    access->origin = IOM_WRITE_HARDWARE;
    access->address = self->store.address;
    access->bytes = self->store.bytes;
    memcpy(access->data, self->store.data, sizeof access->data);
    access->cookie = 0;
    access->node = 0;
    access->error = 0;
    const struct iom_record_pace *pace = &self->config.pace;
    iom_cycle depart = now + iom_unit_ticks(&self->unit, pace->store_delay_cycles);
    iom_port_send(&self->ports[IOM_REGISTER_MEMORY], &access->msg, depart);
    if (pace->quirk_writing_drops_reports)
        self->dropping_from =
            depart + iom_unit_ticks(&self->unit, 1 + iom_div_ceil(self->store.bytes, pace->beat_bytes));
}

// Asks for the next store while none is under way.
static void send_stores(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    struct iom_port *memory = &self->ports[IOM_REGISTER_MEMORY];
    if (arch->ops->next_store == NULL)
        return;
    while (!self->storing) {
        memset(&self->store, 0, sizeof self->store);
        if (!arch->ops->next_store(arch, self->state, &self->store))
            return;
        self->storing = true;
        if (self->store.bytes == 0)
            return; // hardware that hangs here
        self->stats.stores++;
        self->store_waits = memory->peer != NULL;
        if (!self->store_waits)
            stored(self, IOM_ACCESS_OK, now);
    }
    if (self->store_waits && iom_port_can_send(memory, now)) {
        self->store_waits = false;
        send_store(self, now);
    }
}

void iom_register_take_store(struct iom_register_unit *self, iom_cycle now)
{
    struct iom_port *memory = &self->ports[IOM_REGISTER_MEMORY];
    if (iom_port_peek(memory, now) == NULL)
        return;
    struct iom_memory_access *access = (struct iom_memory_access *)(void *)iom_port_pop(memory);
    enum iom_access result = (enum iom_access)access->error;
    iom_msg_release(&access->msg);
    stored(self, result, now);
    iom_register_send(self, now);
}

// ---- page responses ------------------------------------------------------------------------------------

static void send_responses(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    struct iom_port *fanout = &self->ports[IOM_REGISTER_FANOUT];
    struct iom_page_response response;
    if (arch->ops->next_response == NULL)
        return;
    memset(&response, 0, sizeof response);
    while (arch->ops->next_response(arch, self->state, &response)) {
        self->stats.page_responses++;
        if (fanout->peer != NULL) {
            struct iom_control *control = iom_register_take_control(self, IOM_CONTROL_RESPOND);
            control->response = response;
            self->responses++;
            iom_port_send(fanout, &control->msg, now);
        }
        memset(&response, 0, sizeof response);
    }
}

// ---- translations asked for through registers ----------------------------------------------------------

static void translated(struct iom_register_unit *self, struct iom_dma *dma, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    self->translating = false;
    iom_register_act(self, arch->ops->translate_result(arch, self->state, &dma->x), now);
    iom_msg_release(&dma->msg);
}

static void send_translations(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    struct iom_port *port = &self->ports[IOM_REGISTER_TRANSLATE];
    while (self->translation_wanted && !self->translating &&
           (port->peer == NULL || iom_port_can_send(port, now))) {
        struct iom_dma *dma = iom_pool_take(&self->dma_pool);
        if (dma == NULL)
            abort(); // one at a time
        struct iom_msg header = dma->msg;
        memset(dma, 0, sizeof *dma);
        dma->msg = header;
        dma->issued = now;
        arch->ops->translate_request(arch, self->state, &dma->x);
        dma->x.flags = (uint16_t)(dma->x.flags | IOM_REQ_DEBUG);
        self->stats.translations++;
        self->translation_wanted = false;
        self->translating = true;
        if (port->peer != NULL) {
            iom_port_send(port, &dma->msg, now);
        } else {
            dma->x.outcome = IOM_OUTCOME_FAULT;
            translated(self, dma, now);
        }
    }
}

void iom_register_take_translation(struct iom_register_unit *self, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_REGISTER_TRANSLATE];
    if (iom_port_peek(port, now) == NULL)
        return;
    translated(self, (struct iom_dma *)(void *)iom_port_pop(port), now);
    iom_register_send(self, now);
}

void iom_register_send(struct iom_register_unit *self, iom_cycle now)
{
    send_stores(self, now);
    send_responses(self, now);
    send_translations(self, now);
}

// ---- reports -------------------------------------------------------------------------------------------

static void take_fault(struct iom_register_unit *self, const struct iom_fault *fault)
{
    bool recorded = self->config.arch->ops->record(self->config.arch, self->state, fault);
    if (fault->recorded)
        *(recorded ? &self->stats.faults_recorded : &self->stats.faults_dropped) += 1;
}

static void take_page_request(struct iom_register_unit *self, const struct iom_page_request *request)
{
    const struct iom_arch *arch = self->config.arch;
    bool queued = arch->ops->page_request != NULL && arch->ops->page_request(arch, self->state, request);
    *(queued ? &self->stats.page_requests_queued : &self->stats.page_requests_dropped) += 1;
}

// The oldest report that has arrived, of one cycle that of the lowest input.
static struct iom_port *oldest_report(struct iom_register_unit *self, iom_cycle now)
{
    struct iom_port *oldest = NULL;
    for (uint32_t i = 0; i < self->config.fault_inputs; i++) {
        struct iom_port *port = iom_register_fault_port(self, i);
        if (iom_port_peek(port, now) != NULL &&
            (oldest == NULL || port->head->arrival < oldest->head->arrival))
            oldest = port;
    }
    return oldest;
}

void iom_register_take_reports(struct iom_register_unit *self, iom_cycle now)
{
    struct iom_port *port;
    while (!self->storing && (port = oldest_report(self, now)) != NULL) {
        struct iom_msg *msg = iom_port_pop(port);
        if (msg->kind == IOM_MSG_CONTROL) {
            iom_port_return_credit(port, now);
            iom_port_send(port, msg, now);
            continue;
        }
        self->slot_of = port;
        const struct iom_report *report = (const struct iom_report *)(const void *)msg;
        if (report->kind == IOM_REPORT_PAGE_REQUEST)
            take_page_request(self, &report->what.page_request);
        else
            take_fault(self, &report->what.fault);
        iom_msg_release(msg);
        iom_register_send(self, now);
        if (!self->storing || !self->config.pace.slot_until_written)
            free_slot(self, now);
    }
}

iom_cycle iom_register_drop_reports(struct iom_register_unit *self, iom_cycle now)
{
    if (self->dropping_from > now)
        return self->dropping_from;
    struct iom_port *port;
    if (self->slot_of != NULL) {
        free_slot(self, now);
    } else if ((port = oldest_report(self, now)) != NULL && port->head->kind == IOM_MSG_REPORT) {
        struct iom_msg *msg = iom_port_pop(port); // a drain stays, and what is behind it
        iom_port_return_credit(port, now);
        self->stats.reports_lost++;
        iom_msg_release(msg);
    }
    return self->dropping_from = now + self->unit.period;
}

void iom_register_take_monitors(struct iom_register_unit *self, iom_cycle now)
{
    const struct iom_arch *arch = self->config.arch;
    for (uint32_t i = 0; i < self->config.monitor_inputs; i++) {
        struct iom_port *port = iom_register_monitor_port(self, i);
        while (iom_port_peek(port, now) != NULL) {
            struct iom_report *report = (struct iom_report *)(void *)iom_port_pop(port);
            self->stats.monitored_events++;
            if (arch->ops->count != NULL)
                iom_register_changed(self, arch->ops->count(arch, self->state, &report->what.event), now);
            iom_msg_release(&report->msg);
        }
    }
}
