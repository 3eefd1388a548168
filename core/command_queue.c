// SPDX-License-Identifier: Apache-2.0
//
// The command queue: decode, begin, waits, errors. Reading commands is in command_queue_fetch.c. See
// command_queue.h.
//
// Commands are grouped into sections that end with a wait. Each invalidation at the fan-out counts in its
// section, so a wait knows when all before it have ended without looking at them one by one.
#include "core/command_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/command_queue_internal.h"
#include "core/tracker.h"
#include "core/unit_stats.h"

#define SECTIONS (IOM_PENDING_WAITS + 1)

#define IOM_STAT_OWNER struct iom_command_queue_stats
static const struct iom_stat_info stat_infos[] = {IOM_COMMAND_QUEUE_STATS(IOM_STAT_INFO)};

static struct iom_section *section_of(struct iom_command_queue *self, uint64_t number)
{
    return &self->sections[number % SECTIONS];
}

static bool has_pending_wait(const struct iom_command_queue *self)
{
    return self->first_section != self->open_section;
}

// ---- events --------------------------------------------------------------------------------------------

static void send_event_to(struct iom_command_queue *self, struct iom_port *port,
                          enum iom_queue_event_kind kind, uint32_t error, uint32_t stream, iom_cycle now)
{
    if (port->peer == NULL)
        return;
    struct iom_queue_event_message *message = iom_pool_take(&self->event_pool);
    if (message == NULL)
        abort(); // a few hundred bytes
    message->event = (struct iom_queue_event){.kind = (uint8_t)kind,
                                              .generation = self->setup.generation,
                                              .head = self->head,
                                              .error = error,
                                              .stream = stream};
    iom_port_send(port, &message->msg, now);
}

static void send_event(struct iom_command_queue *self, enum iom_queue_event_kind kind, uint32_t error,
                       uint32_t stream, iom_cycle now)
{
    send_event_to(self, &self->ports[IOM_COMMAND_QUEUE_EVENTS], kind, error, stream, now);
}

// At most one head event a cycle, but before whatever else happened.
static void report_head(struct iom_command_queue *self, iom_cycle now)
{
    if (!self->head_moved)
        return;
    self->head_moved = false;
    send_event(self, IOM_QUEUE_HEAD, 0, 0, now);
}

static void report(struct iom_command_queue *self, enum iom_queue_event_kind kind, uint32_t error,
                   uint32_t stream, iom_cycle now)
{
    report_head(self, now);
    send_event(self, kind, error, stream, now);
}

// The head passes the command in the decoder.
static void pass(struct iom_command_queue *self)
{
    uint32_t next = self->current.offset + self->setup.command_bytes;
    self->head = next >= self->setup.bytes ? 0 : next;
    self->head_moved = true;
}

static void stop(struct iom_command_queue *self, enum iom_queue_event_kind kind, uint32_t error,
                 uint32_t stream, iom_cycle now)
{
    self->stats.errors += kind != IOM_QUEUE_TIMEOUT;
    self->stopped = true;
    iom_command_queue_drop(self);
    report(self, kind, error, stream, now);
}

// ---- waits ---------------------------------------------------------------------------------------------

static struct iom_queue_control *take_control(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_queue_control *message = iom_pool_take(&self->control_pool);
    if (message == NULL)
        abort(); // bounded by max_in_flight and one drain
    message->begun = now;
    message->control.result = IOM_CONTROL_DONE;
    message->control.removed = 0;
    message->control.cookie = 0;
    message->control.drain_reads = message->control.drain_writes = false;
    message->control.drain_page_requests = false;
    return message;
}

static void send_drain(struct iom_command_queue *self, struct iom_section *section, iom_cycle now)
{
    struct iom_queue_control *message = take_control(self, now);
    message->control.op = IOM_CONTROL_DRAIN;
    message->control.drain_reads = section->drain_reads;
    message->control.drain_writes = section->drain_writes;
    message->control.drain_page_requests = section->drain_page_requests;
    message->section = self->first_section;
    section->state = IOM_WAIT_DRAINING;
    section->drain_sent = now;
    self->stats.read_drains += section->drain_reads;
    self->stats.write_drains += section->drain_writes;
    iom_port_send(&self->ports[IOM_COMMAND_QUEUE_FANOUT], &message->control.msg, now);
}

static void send_status(struct iom_command_queue *self, struct iom_section *section, iom_cycle now)
{
    struct iom_memory_access *access = iom_pool_take(&self->memory_pool);
    if (access == NULL)
        abort(); // one at a time
    access->op = IOM_MEMORY_WRITE;
    access->client = IOM_CLIENT_COMMANDS;
    access->origin = IOM_WRITE_HARDWARE;
    access->address = section->wait.address;
    access->bytes = section->wait.status_bytes;
    access->data[0] = section->wait.status;
    access->cookie = IOM_STATUS_WRITE;
    access->node = 0;
    access->error = 0;
    section->state = IOM_WAIT_WRITING;
    section->write_sent = now + iom_unit_ticks(&self->unit, self->config.pace.status_write_cycles);
    iom_port_send(&self->ports[IOM_COMMAND_QUEUE_MEMORY], &access->msg, section->write_sent);
}

// The oldest section and its wait are over. What an aborted one should have drained is left to the next,
// unless it holds the head: it is executed again, or software has given it up.
static void leave_section(struct iom_command_queue *self)
{
    struct iom_section *section = section_of(self, self->first_section++);
    struct iom_section *next = section_of(self, self->first_section);
    if (section->aborted && !section->wait.holds_head) {
        next->drain_reads |= section->drain_reads;
        next->drain_writes |= section->drain_writes;
        next->drain_page_requests |= section->drain_page_requests;
    } else if (!section->aborted) {
        self->fences -= section->wait.fence;
    }
    memset(section, 0, sizeof *section);
}

static void complete(struct iom_command_queue *self, iom_cycle now)
{
    const struct iom_section *section = section_of(self, self->first_section);
    bool interrupt = section->wait.interrupt;
    self->stats.waits_completed++;
    iom_histogram_add(&self->stats.wait_latency, now - section->decoded);
    leave_section(self);
    iom_command_queue_pause(self, now);
    if (self->holding && !has_pending_wait(self)) {
        pass(self);
        self->holding = self->decoding = self->decoded = false;
    }
    iom_tracker_completed(self->config.tracker, now, self->config.arch->iommu);
    if (interrupt)
        report(self, IOM_QUEUE_INTERRUPT, 0, 0, now);
}

static void abort_wait(struct iom_command_queue *self, struct iom_section *section)
{
    section->aborted = true;
    self->fences -= section->wait.fence;
    self->stats.waits_aborted++;
}

// The oldest wait ends with an error, which is reported in its place. If the queue has been set up anew since
// the wait was begun there is nobody to report it to.
static bool fail_wait(struct iom_command_queue *self, enum iom_queue_event_kind kind, uint32_t stream,
                      iom_cycle now)
{
    struct iom_section *section = section_of(self, self->first_section);
    bool holds_head = section->wait.holds_head;
    abort_wait(self, section);
    leave_section(self);
    bool stops = !holds_head || (self->holding && !has_pending_wait(self));
    if (stops)
        stop(self, kind, 0, stream, now);
    return stops;
}

// Takes the oldest wait as far as it can go. True: it is over.
static bool advance_wait(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_section *section = section_of(self, self->first_section);
    if (section->open != 0 || section->state != IOM_WAIT_PENDING)
        return false;
    if (section->aborted) {
        leave_section(self);
        return true;
    }
    if (self->timed_out) {
        self->timed_out = !fail_wait(self, IOM_QUEUE_TIMEOUT, self->timed_out_stream, now);
        return true;
    }
    if ((section->drain_reads || section->drain_writes || section->drain_page_requests) &&
        !self->config.pace.quirk_waits_skip_drain) {
        send_drain(self, section, now);
        return false;
    }
    struct iom_port *memory = &self->ports[IOM_COMMAND_QUEUE_MEMORY];
    if (section->wait.write_status && memory->peer != NULL) {
        if (iom_port_can_send(memory, now))
            send_status(self, section, now);
        return false;
    }
    complete(self, now);
    return true;
}

static void abort_waits(struct iom_command_queue *self)
{
    for (uint64_t number = self->first_section; number != self->open_section; number++) {
        struct iom_section *section = section_of(self, number);
        if (!section->aborted && section->state != IOM_WAIT_WRITING)
            abort_wait(self, section);
    }
}

// ---- answers -------------------------------------------------------------------------------------------

static void drained(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_section *section = section_of(self, self->first_section);
    iom_histogram_add(&self->stats.wait_drain_latency, now - section->drain_sent);
    section->state = IOM_WAIT_PENDING;
    section->drain_reads = section->drain_writes = section->drain_page_requests = false;
}

static void timed_out(struct iom_command_queue *self, uint32_t stream, iom_cycle now)
{
    if (self->setup.timeout_at_wait) {
        self->timed_out = true;
        self->timed_out_stream = stream;
        return;
    }
    abort_waits(self);
    stop(self, IOM_QUEUE_TIMEOUT, 0, stream, now);
}

static void ended(struct iom_command_queue *self, const struct iom_queue_control *message, iom_cycle now)
{
    const struct iom_control *control = &message->control;
    section_of(self, message->section)->open--;
    self->in_flight--;
    if (control->op == IOM_CONTROL_RESPOND)
        return;
    self->device_in_flight -= control->invalidation.has_device;
    iom_histogram_add(&self->stats.execute_latency, now - message->begun);
    if (control->result == IOM_CONTROL_TIMEOUT)
        timed_out(self, control->invalidation.device.stream, now);
}

static void take_fanout(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_COMMAND_QUEUE_FANOUT];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_queue_control *message = (struct iom_queue_control *)(void *)iom_port_pop(port);
        if (message->control.op == IOM_CONTROL_DRAIN)
            drained(self, now);
        else
            ended(self, message, now);
        iom_msg_release(&message->control.msg);
    }
}

static void take_memory(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_COMMAND_QUEUE_MEMORY];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_memory_access *access = (struct iom_memory_access *)(void *)iom_port_pop(port);
        if (access->cookie != IOM_STATUS_WRITE) {
            iom_command_queue_take_read(self, access);
            continue;
        }
        bool refused = access->error != IOM_ACCESS_OK;
        iom_msg_release(&access->msg);
        const struct iom_section *section = section_of(self, self->first_section);
        iom_histogram_add(&self->stats.wait_status_latency, now - section->write_sent);
        if (refused && section->wait.holds_head)
            fail_wait(self, IOM_QUEUE_ACCESS, 0, now);
        else
            complete(self, now);
    }
}

static void take_setup(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_COMMAND_QUEUE_SETUP];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_queue_setup_message *message =
            (struct iom_queue_setup_message *)(void *)iom_port_pop(port);
        iom_command_queue_take_setup(self, &message->setup, now);
        iom_msg_release(&message->msg);
    }
}

// ---- decode and begin ----------------------------------------------------------------------------------

// Begins to decode the oldest command in the buffer. True: something has changed.
static bool start_decoding(struct iom_command_queue *self, iom_cycle now)
{
    const struct iom_fetched *oldest = iom_command_queue_peek(self);
    if (oldest == NULL)
        return false;
    // The head must stop at the command that cannot be read, not at one that was read along with it.
    if (oldest->state == IOM_FETCHED_DOUBTFUL)
        return iom_command_queue_read_again(self, now);
    self->current = *oldest;
    if (oldest->state == IOM_FETCHED_UNREADABLE) {
        stop(self, IOM_QUEUE_ACCESS, 0, 0, now);
        return true;
    }
    self->oldest++;
    self->decoding = true;
    self->decoded_at = now + iom_unit_ticks(&self->unit, self->config.decode_cycles);
    return true;
}

static void decode(struct iom_command_queue *self)
{
    const struct iom_arch *arch = self->config.arch;
    memset(&self->command, 0, sizeof self->command);
    arch->ops->decode(arch, &self->setup, self->current.words, &self->command);
    self->command.wait.holds_head &= !self->config.pace.quirk_head_passes_waits;
    self->decoded = true;
    self->stats.commands++;
    iom_histogram_add(&self->stats.fetch_latency, self->decoded_at - self->current.announced);
    if (self->command.kind == IOM_COMMAND_WAIT) {
        self->stats.waits++;
    } else if (self->command.kind == IOM_COMMAND_RESPOND) {
        self->stats.responses++;
    } else if (self->command.kind == IOM_COMMAND_INVALIDATE) {
        self->stats.invalidations += self->command.invalidation.parts != 0;
        self->stats.device_invalidations += self->command.invalidation.has_device;
    }
}

// Does something that is under way hold the decoded command back?
static bool held(const struct iom_command_queue *self)
{
    if (self->command.kind == IOM_COMMAND_WAIT)
        return self->open_section - self->first_section == IOM_PENDING_WAITS;
    if (self->fences != 0 || (self->config.in_order && (self->in_flight != 0 || has_pending_wait(self))))
        return true;
    return self->command.kind != IOM_COMMAND_ACCEPTED && self->in_flight >= self->config.max_in_flight;
}

static bool waits_for_tag(const struct iom_command_queue *self)
{
    return self->config.device_tags != 0 && self->device_in_flight > self->config.device_tags;
}

static void begin_invalidation(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_section *section = section_of(self, self->open_section);
    struct iom_queue_control *message = take_control(self, now);
    message->control.op = IOM_CONTROL_INVALIDATE;
    message->control.invalidation = self->command.invalidation;
    message->section = self->open_section;
    section->open++;
    section->drain_reads |= self->command.invalidation.drain_reads;
    section->drain_writes |= self->command.invalidation.drain_writes;
    self->in_flight++;
    self->device_in_flight += self->command.invalidation.has_device;
    self->stats.most_in_flight = iom_max_u64(self->stats.most_in_flight, self->in_flight);
    iom_histogram_add(&self->stats.hold_latency, now - self->decoded_at);
    iom_port_send(&self->ports[IOM_COMMAND_QUEUE_FANOUT], &message->control.msg, now);
}

static void begin_response(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_queue_control *message = take_control(self, now);
    message->control.op = IOM_CONTROL_RESPOND;
    message->control.response = self->command.response;
    message->section = self->open_section;
    section_of(self, self->open_section)->open++;
    self->in_flight++;
    iom_port_send(&self->ports[IOM_COMMAND_QUEUE_FANOUT], &message->control.msg, now);
}

static void begin_wait(struct iom_command_queue *self)
{
    const struct iom_arch_ops *ops = self->config.arch->ops;
    struct iom_section *section = section_of(self, self->open_section++);
    section->wait = self->command.wait;
    section->decoded = self->decoded_at;
    section->drain_reads |= section->wait.drain_reads;
    section->drain_writes |= section->wait.drain_writes;
    section->drain_page_requests |= section->wait.drain_page_requests && ops->page_request != NULL;
    self->fences += section->wait.fence;
}

// Decodes and begins the command in the decoder. True: it has left the decoder.
static bool begin(struct iom_command_queue *self, iom_cycle now)
{
    if (self->decoded_at > now || self->holding)
        return false;
    if (!self->decoded)
        decode(self);
    if (waits_for_tag(self))
        return false;
    if (self->command.kind == IOM_COMMAND_INVALID) {
        stop(self, IOM_QUEUE_INVALID, self->command.error, 0, now);
        return true;
    }
    if (held(self))
        return false;
    self->holding = self->command.kind == IOM_COMMAND_WAIT && self->command.wait.holds_head;
    if (self->command.kind == IOM_COMMAND_WAIT)
        begin_wait(self);
    if (self->holding)
        return true;
    pass(self);
    if (self->command.kind == IOM_COMMAND_INVALIDATE)
        begin_invalidation(self, now);
    else if (self->command.kind == IOM_COMMAND_RESPOND)
        begin_response(self, now);
    self->decoding = self->decoded = false;
    iom_command_queue_pause(self, now);
    return true;
}

static bool take_command(struct iom_command_queue *self, iom_cycle now)
{
    if (!iom_command_queue_runs(self))
        return false;
    return self->decoding ? begin(self, now) : start_decoding(self, now);
}

// ---- the unit ------------------------------------------------------------------------------------------

// A queue that carries out one command at a time does not wait for what it has begun, and is idle in the
// cycle behind the end of the last one.
static void report_status(struct iom_command_queue *self, iom_cycle now)
{
    bool paced = self->config.pace.one_at_a_time;
    bool busy = iom_command_queue_runs(self) && (self->head != self->setup.tail || has_pending_wait(self) ||
                                                 (self->in_flight != 0 && !paced));
    if (busy == self->busy)
        return;
    self->busy = busy;
    send_event_to(self, &self->ports[IOM_COMMAND_QUEUE_STATUS], busy ? IOM_QUEUE_BUSY : IOM_QUEUE_DRAINED, 0,
                  0, now + (paced && !busy ? self->unit.period : 0));
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_command_queue *self = (struct iom_command_queue *)(void *)unit;
    take_setup(self, now);
    take_memory(self, now);
    take_fanout(self, now);
    for (bool progress = true; progress;) {
        progress = has_pending_wait(self) && advance_wait(self, now);
        progress |= take_command(self, now);
    }
    iom_command_queue_fetch(self, now);
    report_head(self, now);
    report_status(self, now);
    iom_cycle wake = self->decoding && self->decoded_at > now ? self->decoded_at : IOM_NEVER;
    return self->fetch_from > now ? iom_min_u64(wake, self->fetch_from) : wake;
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_command_queue *self = (const struct iom_command_queue *)(const void *)unit;
    uint64_t waits = self->open_section - self->first_section;
    return self->reads + self->in_flight + waits + (self->decoding && iom_command_queue_runs(self));
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_command_queue *self = (const struct iom_command_queue *)(const void *)unit;
    snprintf(text, text_bytes,
             "%llu read(s), %u invalidation(s) and %llu wait(s) under way%s; head 0x%x, tail 0x%x",
             (unsigned long long)self->reads, (unsigned)self->in_flight,
             (unsigned long long)(self->open_section - self->first_section),
             self->decoding ? ", a command in the decoder" : "", (unsigned)self->head,
             (unsigned)self->setup.tail);
}

IOM_UNIT_STATS(struct iom_command_queue, "command_queue", stat_infos)
IOM_UNIT_DESTROY(struct iom_command_queue, iom_command_queue_destroy)

static const struct iom_unit_ops queue_ops = {
    .kind = "command_queue",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life ----------------------------------------------------------------------------------------------

struct iom_command_queue *iom_command_queue_create(const struct iom_command_queue_config *config,
                                                   const char *name)
{
    struct iom_command_queue *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->config = *config;
    assert(config->prefetch_commands != 0 && config->decode_cycles != 0 && config->max_in_flight != 0);
    iom_pool_init(&self->memory_pool, IOM_MSG_MEMORY, sizeof(struct iom_memory_access));
    iom_pool_init(&self->control_pool, IOM_MSG_CONTROL, sizeof(struct iom_queue_control));
    iom_pool_init(&self->event_pool, IOM_MSG_QUEUE_EVENT, sizeof(struct iom_queue_event_message));
    self->buffer = calloc(config->prefetch_commands, sizeof *self->buffer);
    if (self->buffer == NULL) {
        iom_command_queue_destroy(self);
        return NULL;
    }
    iom_unit_init(&self->unit, &queue_ops, name, self->ports, IOM_COMMAND_QUEUE_PORTS);
    iom_port_init(&self->unit, IOM_COMMAND_QUEUE_SETUP, "setup", false);
    iom_port_init(&self->unit, IOM_COMMAND_QUEUE_EVENTS, "events", true);
    iom_port_init(&self->unit, IOM_COMMAND_QUEUE_MEMORY, "memory", true);
    iom_port_init(&self->unit, IOM_COMMAND_QUEUE_FANOUT, "fanout", true);
    iom_port_init(&self->unit, IOM_COMMAND_QUEUE_STATUS, "status", true);
    return self;
}

void iom_command_queue_destroy(struct iom_command_queue *self)
{
    if (self == NULL)
        return;
    iom_pool_free(&self->memory_pool);
    iom_pool_free(&self->control_pool);
    iom_pool_free(&self->event_pool);
    free(self->buffer);
    free(self);
}

struct iom_unit *iom_command_queue_unit(struct iom_command_queue *self)
{
    return &self->unit;
}

struct iom_port *iom_command_queue_port(struct iom_command_queue *self, enum iom_command_queue_port port)
{
    return &self->ports[port];
}

const struct iom_command_queue_stats *iom_command_queue_stats_of(const struct iom_command_queue *self)
{
    return &self->stats;
}

void iom_command_queue_set_up(struct iom_command_queue *self, const struct iom_queue_setup *setup)
{
    iom_command_queue_take_setup(self, setup, 0);
}

void iom_command_queue_reset(struct iom_command_queue *self)
{
    iom_command_queue_drop(self);
    self->known = self->stopped = self->head_moved = self->busy = false;
    memset(&self->setup, 0, sizeof self->setup);
    memset(self->sections, 0, sizeof self->sections);
    self->first_section = self->open_section = 0;
    self->head = self->fetch = 0;
    self->fences = 0;
    self->timed_out = false;
}
