// SPDX-License-Identifier: Apache-2.0
//
// The fan-out: sources, invalidation of the IOMMU's own caches, drains. Device TLBs are in
// fanout_device.c. See fanout.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fanout_internal.h"
#include "core/tracker.h"
#include "core/unit_stats.h"

enum { PORT_EVENTS, PORT_SOURCES };

/// A drain on its way to the front end.
struct drain {
    struct iom_control control; // first member: the message is the drain
    struct iom_control *from;
    iom_cycle begun;
};

#define IOM_STAT_OWNER struct iom_fanout_stats
static const struct iom_stat_info stat_infos[] = {IOM_FANOUT_STATS(IOM_STAT_INFO)};

struct iom_port *iom_fanout_source_port(struct iom_fanout *self, uint32_t index)
{
    return &self->ports[PORT_SOURCES + index];
}

static struct iom_port *participant_port(struct iom_fanout *self, uint32_t index)
{
    return &self->ports[PORT_SOURCES + self->config.sources + index];
}

struct iom_port *iom_fanout_device_port(struct iom_fanout *self, uint32_t index)
{
    return &self->ports[PORT_SOURCES + self->config.sources + self->config.participants + index];
}

void iom_fanout_answer(struct iom_fanout *self, struct iom_control *control, iom_cycle now)
{
    iom_port_send(iom_fanout_source_port(self, iom_msg_pop_route(&control->msg)), &control->msg, now);
}

// ---- the IOMMU's own caches ----------------------------------------------------------------------------

static void end_current(struct iom_fanout *self, iom_cycle now)
{
    struct iom_control *control = self->current;
    self->current = NULL;
    control->removed = self->removed;
    control->result = IOM_CONTROL_DONE;
    if (control->op == IOM_CONTROL_VIEW) {
        iom_fanout_answer(self, control, now);
        return;
    }
    self->stats.removed += self->removed;
    iom_histogram_add(&self->stats.invalidate_latency, now - self->begun);
    if (control->invalidation.has_device) {
        iom_fanout_device_add(self, control, now);
        return;
    }
    iom_tracker_ended(self->config.tracker, now, self->config.iommu, control->invalidation.id, false);
    iom_fanout_answer(self, control, now);
}

static void tell_participants(struct iom_fanout *self, iom_cycle now)
{
    for (uint32_t i = 0; i < self->config.participants; i++) {
        struct iom_port *port = participant_port(self, i);
        if (port->peer == NULL)
            continue;
        struct drain *copy = iom_pool_take(&self->control_pool);
        if (copy == NULL)
            abort(); // bounded by the number of participants
        struct iom_msg header = copy->control.msg;
        copy->control = *self->current;
        copy->control.msg = header;
        copy->control.removed = copy->control.stopped = 0;
        iom_port_send(port, &copy->control.msg, now);
        self->unacknowledged++;
    }
}

static void begin_current(struct iom_fanout *self, struct iom_control *control, iom_cycle now)
{
    self->current = control;
    self->removed = 0;
    self->begun = now;
    if (control->op == IOM_CONTROL_VIEW) {
        self->stats.views++;
    } else {
        self->stats.invalidations++;
        control->invalidation.id = ++self->last_id;
        iom_tracker_begin(self->config.tracker, now, self->config.iommu, &control->invalidation);
    }
    tell_participants(self, now);
    if (self->unacknowledged == 0)
        end_current(self, now);
}

// Tells the hazard tracker which caches of participant `index` have carried it out: in the cycle in which
// the acknowledgement left. The number of entries is that of all of them, and counted once.
static void report_executed(struct iom_fanout *self, uint32_t index, const struct iom_control *ack,
                            iom_cycle now)
{
    if (self->config.tracker == NULL || self->serves == NULL)
        return;
    static const uint32_t caches[][2] = {
        {IOM_INVALIDATE_CONTEXT, IOM_TRACKED_CONTEXT},
        {IOM_INVALIDATE_PASID, IOM_TRACKED_PASID},
        {IOM_INVALIDATE_IOTLB, IOM_TRACKED_IOTLB},
        {IOM_INVALIDATE_PSC, IOM_TRACKED_PSC},
    };
    iom_cycle applied = ack->msg.arrival - participant_port(self, index)->peer->latency;
    iom_tracker_stopped(self->config.tracker, now, self->config.iommu, ack->invalidation.id, ack->stopped);
    uint32_t targets = iom_invalidation_targets(&ack->invalidation) & self->serves[index];
    uint32_t removed = ack->removed;
    for (size_t i = 0; i < sizeof caches / sizeof caches[0]; i++) {
        if (!(targets & caches[i][0]))
            continue;
        iom_tracker_executed(self->config.tracker, now, applied, self->config.iommu, ack->invalidation.id,
                             caches[i][1], removed);
        removed = 0;
    }
}

// ---- drains --------------------------------------------------------------------------------------------

static void begin_drain(struct iom_fanout *self, struct iom_control *control, iom_cycle now)
{
    self->stats.drains++;
    struct iom_port *front = self->config.participants != 0 ? participant_port(self, 0) : NULL;
    if (front == NULL || front->peer == NULL) {
        iom_histogram_add(&self->stats.drain_latency, 0);
        iom_fanout_answer(self, control, now);
        return;
    }
    struct drain *drain = iom_pool_take(&self->control_pool);
    if (drain == NULL)
        abort(); // sources wait for their drains: a few
    struct iom_msg header = drain->control.msg;
    drain->control = *control;
    drain->control.msg = header;
    drain->from = control;
    drain->begun = now;
    self->drains++;
    iom_port_send(front, &drain->control.msg, now);
}

static void end_drain(struct iom_fanout *self, const struct drain *drain, iom_cycle now)
{
    self->drains--;
    iom_histogram_add(&self->stats.drain_latency, now - drain->begun);
    drain->from->result = IOM_CONTROL_DONE;
    iom_fanout_answer(self, drain->from, now);
}

static void take_acknowledgements(struct iom_fanout *self, iom_cycle now)
{
    for (uint32_t i = 0; i < self->config.participants; i++) {
        struct iom_port *port = participant_port(self, i);
        while (iom_port_peek(port, now) != NULL) {
            struct iom_control *ack = (struct iom_control *)(void *)iom_port_pop(port);
            if (ack->op == IOM_CONTROL_DRAIN) {
                end_drain(self, (const struct drain *)(const void *)ack, now);
            } else {
                self->removed += ack->removed;
                if (ack->op == IOM_CONTROL_INVALIDATE)
                    report_executed(self, i, ack, now);
                if (--self->unacknowledged == 0)
                    end_current(self, now);
            }
            iom_msg_release(&ack->msg);
        }
    }
}

// ---- sources -------------------------------------------------------------------------------------------

static struct iom_control *take(struct iom_fanout *self, uint32_t source)
{
    struct iom_msg *msg = iom_port_pop(iom_fanout_source_port(self, source));
    struct iom_control *control = (struct iom_control *)(void *)msg;
    control->removed = 0;
    control->result = IOM_CONTROL_DONE;
    iom_msg_push_route(msg, (uint8_t)source);
    return control;
}

// The invalidation of the IOMMU's own caches under way came from `source`.
static bool waits_for_own(const struct iom_fanout *self, uint32_t source)
{
    return self->current != NULL && self->current->msg.route[self->current->msg.depth - 1] == source;
}

// Begins what `source` sent first, if it may begin.
static bool serve(struct iom_fanout *self, uint32_t source, iom_cycle now)
{
    struct iom_port *port = iom_fanout_source_port(self, source);
    const struct iom_control *head = (const struct iom_control *)(const void *)iom_port_peek(port, now);
    if (head == NULL)
        return false;
    bool own =
        head->op == IOM_CONTROL_VIEW || (head->op == IOM_CONTROL_INVALIDATE &&
                                         (head->invalidation.parts != 0 || !head->invalidation.has_device));
    if (head->op == IOM_CONTROL_DRAIN) {
        begin_drain(self, take(self, source), now);
    } else if (head->op == IOM_CONTROL_RESPOND) {
        struct iom_control *control = take(self, source);
        iom_fanout_respond(self, &control->response, now);
        iom_fanout_answer(self, control, now);
    } else if (own) {
        if (self->current != NULL)
            return false;
        self->turn = source + 1 == self->config.sources ? 0 : source + 1;
        begin_current(self, take(self, source), now);
    } else {
        if (waits_for_own(self, source))
            return false;
        iom_fanout_device_add(self, take(self, source), now);
    }
    iom_port_return_credit(port, now);
    return true;
}

static void serve_sources(struct iom_fanout *self, iom_cycle now)
{
    uint32_t sources = self->config.sources, source = self->turn;
    for (uint32_t idle = 0; idle < sources;) {
        idle = serve(self, source, now) ? 0 : idle + 1;
        source = source + 1 == sources ? 0 : source + 1;
    }
}

// ---- the unit ------------------------------------------------------------------------------------------

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_fanout *self = (struct iom_fanout *)(void *)unit;
    iom_fanout_device_complete(self, now);
    if (self->waiting.first != NULL) // before anybody younger gets the tags that have become free
        iom_fanout_device_start(self, now);
    take_acknowledgements(self, now);
    serve_sources(self, now);
    return iom_fanout_device_wake(self);
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_fanout *self = (const struct iom_fanout *)(const void *)unit;
    return (self->current != NULL) + self->drains + self->tags_waiting + self->waiting.count;
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_fanout *self = (const struct iom_fanout *)(const void *)unit;
    snprintf(
        text, text_bytes,
        "waits for %u acknowledgement(s), %llu drain(s), %u device TLB(s); %llu without invalidation tag",
        (unsigned)self->unacknowledged, (unsigned long long)self->drains, (unsigned)self->tags_waiting,
        (unsigned long long)self->waiting.count);
}

IOM_UNIT_STATS(struct iom_fanout, "fanout", stat_infos)
IOM_UNIT_DESTROY(struct iom_fanout, iom_fanout_destroy)

static const struct iom_unit_ops fanout_ops = {
    .kind = "fanout",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life ----------------------------------------------------------------------------------------------

static bool copy_lists(struct iom_fanout *self, const struct iom_fanout_config *config)
{
    self->devices = calloc(config->devices != 0 ? config->devices : 1, sizeof *self->devices);
    if (self->devices == NULL)
        return false;
    for (uint32_t i = 0; i < config->devices; i++)
        self->devices[i].stream = config->streams[i];
    self->config.streams = NULL;
    self->config.serves = NULL;
    if (config->serves == NULL || config->participants == 0)
        return true;
    self->serves = calloc(config->participants, sizeof *self->serves);
    if (self->serves == NULL)
        return false;
    memcpy(self->serves, config->serves, config->participants * sizeof *self->serves);
    return true;
}

struct iom_fanout *iom_fanout_create(const struct iom_fanout_config *config, const char *name)
{
    struct iom_fanout *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->config = *config;
    if (config->tags == 0 || config->tags > IOM_INVALIDATION_TAGS)
        self->config.tags = IOM_INVALIDATION_TAGS;
    iom_pool_init(&self->control_pool, IOM_MSG_CONTROL, sizeof(struct drain));
    iom_pool_init(&self->device_pool, IOM_MSG_DEVICE_INVALIDATION, sizeof(struct iom_ats_invalidation));
    iom_pool_init(&self->event_pool, IOM_MSG_QUEUE_EVENT, sizeof(struct iom_queue_event_message));
    iom_pool_init(&self->response_pool, IOM_MSG_PAGE_RESPONSE, sizeof(struct iom_page_response_message));
    uint32_t devices = PORT_SOURCES + config->sources + config->participants;
    uint32_t count = devices + config->devices;
    self->ports = calloc(count, sizeof *self->ports);
    if (self->ports == NULL || !copy_lists(self, config)) {
        iom_fanout_destroy(self);
        return NULL;
    }
    iom_unit_init(&self->unit, &fanout_ops, name, self->ports, count);
    iom_port_init(&self->unit, PORT_EVENTS, "events", true);
    for (uint32_t i = PORT_SOURCES; i < count; i++) {
        bool source = i < PORT_SOURCES + config->sources;
        iom_port_init(&self->unit, i, source ? "source" : i < devices ? "participant" : "device", !source);
    }
    return self;
}

void iom_fanout_destroy(struct iom_fanout *self)
{
    if (self == NULL)
        return;
    iom_pool_free(&self->control_pool);
    iom_pool_free(&self->device_pool);
    iom_pool_free(&self->event_pool);
    iom_pool_free(&self->response_pool);
    free(self->ports);
    free(self->devices);
    free(self->serves);
    free(self);
}

struct iom_unit *iom_fanout_unit(struct iom_fanout *self)
{
    return &self->unit;
}

struct iom_port *iom_fanout_source(struct iom_fanout *self, uint32_t index)
{
    return iom_fanout_source_port(self, index);
}

struct iom_port *iom_fanout_participant(struct iom_fanout *self, uint32_t index)
{
    return participant_port(self, index);
}

struct iom_port *iom_fanout_device(struct iom_fanout *self, uint32_t index)
{
    return iom_fanout_device_port(self, index);
}

struct iom_port *iom_fanout_events(struct iom_fanout *self)
{
    return &self->ports[PORT_EVENTS];
}

const struct iom_fanout_stats *iom_fanout_stats_of(const struct iom_fanout *self)
{
    return &self->stats;
}
