// SPDX-License-Identifier: Apache-2.0
//
// What goes to devices: invalidation of their TLBs (invalidation tags, queue depth, completions and
// time-outs), page responses. See fanout.h.
//
// Source: PCI Express Base Specification 6.0, 10.3 (ATS invalidation), 10.4.2 (page request group response).
#include <stdlib.h>

#include "core/fanout_internal.h"
#include "core/tracker.h"

// Completions of one request are counted with three bits.
#define COUNTS 8u

// ---- tags ----------------------------------------------------------------------------------------------

// A device whose port is not connected has no device TLB.
uint32_t iom_fanout_find_device(struct iom_fanout *self, uint32_t stream)
{
    uint32_t any = IOM_NO_DEVICE;
    for (uint32_t i = 0; i < self->config.devices; i++) {
        if (iom_fanout_device_port(self, i)->peer == NULL)
            continue;
        if (self->devices[i].stream == stream)
            return i;
        if (self->devices[i].stream == IOM_STREAM_ANY)
            any = i;
    }
    return any;
}

// 0: never.
static iom_cycle timeout_ticks(const struct iom_fanout *self)
{
    return iom_unit_ticks(&self->unit, self->config.timeout_cycles);
}

static void free_tag(struct iom_fanout *self, struct iom_itag *tag)
{
    *(tag->state == IOM_ITAG_WAITING ? &self->tags_waiting : &self->tags_late) -= 1;
    if (tag->state == IOM_ITAG_WAITING && tag->device != IOM_NO_DEVICE)
        self->devices[tag->device].under_way--;
    tag->state = IOM_ITAG_FREE;
    tag->from = NULL;
}

static struct iom_itag *take_tag(struct iom_fanout *self)
{
    for (uint32_t i = 0; i < self->config.tags; i++) {
        if (self->tags[i].state == IOM_ITAG_FREE)
            return &self->tags[i];
    }
    return NULL;
}

// ---- requests ------------------------------------------------------------------------------------------

static void end(struct iom_fanout *self, struct iom_control *control, bool timed_out, iom_cycle now)
{
    control->result = timed_out ? IOM_CONTROL_TIMEOUT : IOM_CONTROL_DONE;
    iom_tracker_ended(self->config.tracker, now, self->config.iommu, control->invalidation.id, timed_out);
    iom_fanout_answer(self, control, now);
}

static void send_request(struct iom_fanout *self, const struct iom_control *control, uint32_t device,
                         uint32_t tag, iom_cycle now)
{
    struct iom_ats_invalidation *request = iom_pool_take(&self->device_pool);
    if (request == NULL)
        abort(); // bounded by the number of tags
    request->id = control->invalidation.id;
    request->what = control->invalidation.device;
    request->tag = (uint8_t)tag;
    request->count = 1;
    request->removed = request->stopped = 0;
    request->applied = 0;
    self->stats.device_invalidations++;
    iom_port_send(iom_fanout_device_port(self, device), &request->msg, now);
}

// An invalidation that has no part for the IOMMU's own caches begins here, others have begun before.
static void begin(struct iom_fanout *self, struct iom_control *control, iom_cycle now)
{
    if (control->invalidation.parts != 0)
        return;
    control->invalidation.id = ++self->last_id;
    iom_tracker_begin(self->config.tracker, now, self->config.iommu, &control->invalidation);
}

// False: no tag, or the device has as many as it takes.
static bool start(struct iom_fanout *self, struct iom_control *control, iom_cycle now)
{
    const struct iom_device_invalidation *what = &control->invalidation.device;
    uint32_t device = iom_fanout_find_device(self, what->stream);
    if (device == IOM_NO_DEVICE && timeout_ticks(self) == 0) {
        self->stats.unreachable++;
        begin(self, control, now);
        end(self, control, false, now);
        return true;
    }
    uint32_t depth = what->queue_depth == 0 || what->queue_depth > IOM_INVALIDATION_TAGS
                         ? IOM_INVALIDATION_TAGS
                         : what->queue_depth;
    if (device != IOM_NO_DEVICE &&
        (self->devices[device].has_waiting || self->devices[device].under_way >= depth))
        return false;
    struct iom_itag *tag = take_tag(self);
    if (tag == NULL)
        return false;
    begin(self, control, now);
    *tag = (struct iom_itag){
        .state = IOM_ITAG_WAITING, .device = device, .stream = what->stream, .sent = now, .from = control};
    tag->deadline = timeout_ticks(self) == 0 ? IOM_NEVER : now + timeout_ticks(self);
    self->tags_waiting++;
    uint64_t used = self->tags_waiting + self->tags_late;
    self->stats.most_tags = iom_max_u64(self->stats.most_tags, used);
    if (device == IOM_NO_DEVICE) {
        self->stats.unreachable++;
        return true;
    }
    self->devices[device].under_way++;
    send_request(self, control, device, (uint32_t)(tag - self->tags), now);
    return true;
}

void iom_fanout_device_add(struct iom_fanout *self, struct iom_control *control, iom_cycle now)
{
    for (const struct iom_msg *msg = self->waiting.first; msg != NULL; msg = msg->next) {
        const struct iom_control *older = (const struct iom_control *)(const void *)msg;
        if (older->invalidation.device.stream == control->invalidation.device.stream) {
            self->stats.tag_waits++;
            iom_fifo_push(&self->waiting, &control->msg);
            return;
        }
    }
    if (start(self, control, now))
        return;
    self->stats.tag_waits++;
    iom_fifo_push(&self->waiting, &control->msg);
}

// In the order of their coming, but those of a device that takes no more do not hold up the others.
void iom_fanout_device_start(struct iom_fanout *self, iom_cycle now)
{
    struct iom_fifo list = self->waiting;
    self->waiting = (struct iom_fifo){0};
    struct iom_msg *msg;
    while ((msg = iom_fifo_pop(&list)) != NULL) {
        struct iom_control *control = (struct iom_control *)(void *)msg;
        if (start(self, control, now))
            continue;
        uint32_t device = iom_fanout_find_device(self, control->invalidation.device.stream);
        if (device != IOM_NO_DEVICE)
            self->devices[device].has_waiting = true;
        iom_fifo_push(&self->waiting, msg);
    }
    for (uint32_t i = 0; i < self->config.devices; i++)
        self->devices[i].has_waiting = false;
}

// ---- completions ---------------------------------------------------------------------------------------

static void report_unexpected(struct iom_fanout *self, uint32_t stream, iom_cycle now)
{
    struct iom_port *port = iom_fanout_events(self);
    if (port->peer == NULL)
        return;
    struct iom_queue_event_message *message = iom_pool_take(&self->event_pool);
    if (message == NULL)
        abort(); // a few hundred bytes
    message->event = (struct iom_queue_event){.kind = IOM_QUEUE_COMPLETION, .stream = stream};
    iom_port_send(port, &message->msg, now);
}

static void take_completion(struct iom_fanout *self, uint32_t device,
                            const struct iom_ats_invalidation *completion, iom_cycle now)
{
    struct iom_itag *tag = &self->tags[completion->tag % IOM_INVALIDATION_TAGS];
    self->stats.device_removed += completion->removed;
    iom_tracker_stopped(self->config.tracker, now, self->config.iommu, completion->id, completion->stopped);
    iom_tracker_executed(self->config.tracker, now, completion->applied, self->config.iommu, completion->id,
                         (uint32_t)IOM_TRACKED_DEVICE_TLB + self->config.first_device + device,
                         completion->removed);
    bool any = self->devices[device].stream == IOM_STREAM_ANY;
    uint32_t stream = any ? completion->what.stream : self->devices[device].stream;
    if (tag->state == IOM_ITAG_FREE || tag->device != device || tag->stream != stream) {
        report_unexpected(self, stream, now);
        return;
    }
    if (++tag->received % COUNTS != completion->count % COUNTS)
        return; // more are to come
    struct iom_control *control = tag->from;
    bool late = tag->state == IOM_ITAG_LATE;
    iom_cycle sent = tag->sent;
    free_tag(self, tag);
    if (late)
        return;
    iom_histogram_add(&self->stats.device_latency, now - sent);
    control->removed += completion->removed;
    end(self, control, false, now);
}

static void expire(struct iom_fanout *self, struct iom_itag *tag, iom_cycle now)
{
    struct iom_control *control = tag->from;
    struct iom_itag before = *tag;
    free_tag(self, tag);
    if (before.state == IOM_ITAG_LATE)
        return;
    self->stats.timeouts++;
    if (!before.expired) {
        // The tag is not given out again before a late completion has had its time.
        *tag = before;
        tag->state = IOM_ITAG_LATE;
        tag->from = NULL;
        tag->deadline = before.deadline + timeout_ticks(self);
        self->tags_late++;
    }
    end(self, control, true, now);
}

void iom_fanout_device_complete(struct iom_fanout *self, iom_cycle now)
{
    for (uint32_t i = 0; i < self->config.devices; i++) {
        struct iom_port *port = iom_fanout_device_port(self, i);
        // A late tag whose time is over is free, whenever that is noticed.
        while (iom_port_peek(port, now) != NULL) {
            struct iom_msg *msg = iom_port_pop(port);
            struct iom_ats_invalidation *completion = (struct iom_ats_invalidation *)(void *)msg;
            struct iom_itag *tag = &self->tags[completion->tag % IOM_INVALIDATION_TAGS];
            if (tag->state == IOM_ITAG_LATE && tag->deadline < now)
                expire(self, tag, now);
            take_completion(self, i, completion, now);
            iom_msg_release(msg);
        }
    }
    if (self->tags_waiting + self->tags_late == 0 || (timeout_ticks(self) == 0 && !self->expiring))
        return;
    for (uint32_t i = 0; i < IOM_INVALIDATION_TAGS; i++) {
        if (self->tags[i].state != IOM_ITAG_FREE && self->tags[i].deadline <= now)
            expire(self, &self->tags[i], now);
    }
}

void iom_fanout_expire(struct iom_fanout *self, uint32_t tags, iom_cycle now)
{
    for (uint32_t i = 0; i < self->config.tags; i++) {
        if (!(tags >> i & 1) || self->tags[i].state != IOM_ITAG_WAITING)
            continue;
        self->tags[i].deadline = now;
        self->tags[i].expired = true;
        self->expiring = true;
        iom_unit_wake(&self->unit, now);
    }
}

iom_cycle iom_fanout_device_wake(const struct iom_fanout *self)
{
    if (self->tags_waiting + self->tags_late == 0 || (timeout_ticks(self) == 0 && !self->expiring))
        return IOM_NEVER;
    iom_cycle wake = IOM_NEVER;
    for (uint32_t i = 0; i < IOM_INVALIDATION_TAGS; i++) {
        // The end of a late tag matters to those who wait for one only.
        if (self->tags[i].state == IOM_ITAG_WAITING ||
            (self->tags[i].state == IOM_ITAG_LATE && self->waiting.first != NULL))
            wake = iom_min_u64(wake, self->tags[i].deadline);
    }
    return wake;
}

// ---- page responses --------------------------------------------------------------------------------------

void iom_fanout_respond(struct iom_fanout *self, const struct iom_page_response *response, iom_cycle now)
{
    uint32_t device = iom_fanout_find_device(self, response->stream);
    if (device == IOM_NO_DEVICE) {
        self->stats.responses_dropped++;
        return;
    }
    struct iom_page_response_message *message = iom_pool_take(&self->response_pool);
    if (message == NULL)
        abort(); // a few hundred bytes
    message->response = *response;
    self->stats.responses++;
    iom_port_send(iom_fanout_device_port(self, device), &message->msg, now);
}
