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

static void send_event(struct iom_command_queue *self, enum iom_queue_event_kind kind, uint32_t error,
                       uint32_t stream, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_COMMAND_QUEUE_EVENTS];
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
    return message;
}

static void send_drain(struct iom_command_queue *self, struct iom_section *section, iom_cycle now)
{
    struct iom_queue_control *message = take_control(self, now);
    message->control.op = IOM_CONTROL_DRAIN;
    message->control.drain_reads = section->drain_reads;
    message->control.drain_writes = section->drain_writes;
    message->section = self->first_section;
    section->state = IOM_WAIT_DRAINING;
    section->drain_sent = now;
    iom_port_send(&self->ports[IOM_COMMAND_QUEUE_FANOUT], &message->control.msg, now);
}

static void send_status(struct iom_command_queue *self, struct iom_section *section, iom_cycle now)
{
    struct iom_memory_access *access = iom_pool_take(&self->memory_pool);
    if (access == NULL)
        abort(); // one at a time
    access->op = IOM_MEMORY_WRITE;
    access->origin = IOM_WRITE_HARDWARE;
    access->address = section->wait.address;
    access->bytes = section->wait.status_bytes;
    access->data[0] = section->wait.status;
    access->cookie = IOM_STATUS_WRITE;
    access->node = 0;
    access->error = 0;
    section->state = IOM_WAIT_WRITING;
    section->write_sent = now;
    iom_port_send(&self->ports[IOM_COMMAND_QUEUE_MEMORY], &access->msg, now);
}

// The oldest section and its wait are over. What an aborted one should have drained is left to the next.
static void leave_section(struct iom_command_queue *self)
{
    struct iom_section *section = section_of(self, self->first_section++);
    struct iom_section *next = section_of(self, self->first_section);
    if (section->aborted) {
        next->drain_reads |= section->drain_reads;
        next->drain_writes |= section->drain_writes;
    } else {
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
    iom_tracker_completed(self->config.tracker, now, self->config.arch->iommu);
    if (interrupt)
        report(self, IOM_QUEUE_INTERRUPT, 0, 0, now);
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
    if (section->drain_reads || section->drain_writes) {
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
        if (section->aborted || section->state == IOM_WAIT_WRITING)
            continue;
        section->aborted = true;
        self->fences -= section->wait.fence;
        self->stats.waits_aborted++;
    }
}

// ---- answers -------------------------------------------------------------------------------------------

static void drained(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_section *section = section_of(self, self->first_section);
    iom_histogram_add(&self->stats.wait_drain_latency, now - section->drain_sent);
    section->state = IOM_WAIT_PENDING;
    section->drain_reads = section->drain_writes = false;
}

static void take_fanout(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_COMMAND_QUEUE_FANOUT];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_queue_control *message = (struct iom_queue_control *)(void *)iom_port_pop(port);
        const struct iom_control *control = &message->control;
        if (control->op == IOM_CONTROL_DRAIN) {
            drained(self, now);
        } else {
            section_of(self, message->section)->open--;
            self->in_flight--;
            iom_histogram_add(&self->stats.execute_latency, now - message->begun);
            if (control->result == IOM_CONTROL_TIMEOUT) {
                abort_waits(self);
                self->stopped = true;
                iom_command_queue_drop(self);
                report(self, IOM_QUEUE_TIMEOUT, 0, control->invalidation.device.stream, now);
            }
        }
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
        iom_msg_release(&access->msg);
        const struct iom_section *section = section_of(self, self->first_section);
        iom_histogram_add(&self->stats.wait_status_latency, now - section->write_sent);
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

static void stop(struct iom_command_queue *self, enum iom_queue_event_kind kind, uint32_t error,
                 iom_cycle now)
{
    self->stats.errors++;
    self->stopped = true;
    iom_command_queue_drop(self);
    report(self, kind, error, 0, now);
}

// Begins to decode the oldest command in the buffer. True: something has changed.
static bool start_decoding(struct iom_command_queue *self, iom_cycle now)
{
    const struct iom_fetched *oldest = iom_command_queue_peek(self);
    if (oldest == NULL)
        return false;
    self->current = *oldest;
    if (oldest->state == IOM_FETCHED_UNREADABLE) {
        stop(self, IOM_QUEUE_ACCESS, 0, now);
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
    arch->ops->decode(arch, self->current.words, self->setup.command_bytes, &self->command);
    self->decoded = true;
    self->stats.commands++;
    iom_histogram_add(&self->stats.fetch_latency, self->decoded_at - self->current.announced);
    if (self->command.kind == IOM_COMMAND_WAIT) {
        self->stats.waits++;
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
    return self->command.kind == IOM_COMMAND_INVALIDATE && self->in_flight >= self->config.max_in_flight;
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
    self->stats.most_in_flight = iom_max_u64(self->stats.most_in_flight, self->in_flight);
    iom_histogram_add(&self->stats.hold_latency, now - self->decoded_at);
    iom_port_send(&self->ports[IOM_COMMAND_QUEUE_FANOUT], &message->control.msg, now);
}

static void begin_wait(struct iom_command_queue *self)
{
    struct iom_section *section = section_of(self, self->open_section++);
    section->wait = self->command.wait;
    section->decoded = self->decoded_at;
    section->drain_reads |= section->wait.drain_reads;
    section->drain_writes |= section->wait.drain_writes;
    self->fences += section->wait.fence;
}

// Decodes and begins the command in the decoder. True: it has left the decoder.
static bool begin(struct iom_command_queue *self, iom_cycle now)
{
    if (self->decoded_at > now)
        return false;
    if (!self->decoded)
        decode(self);
    if (self->command.kind == IOM_COMMAND_INVALID) {
        stop(self, IOM_QUEUE_INVALID, self->command.error, now);
        return true;
    }
    if (held(self))
        return false;
    pass(self);
    if (self->command.kind == IOM_COMMAND_WAIT)
        begin_wait(self);
    else if (self->command.kind == IOM_COMMAND_INVALIDATE)
        begin_invalidation(self, now);
    self->decoding = self->decoded = false;
    return true;
}

static bool take_command(struct iom_command_queue *self, iom_cycle now)
{
    if (!iom_command_queue_runs(self))
        return false;
    return self->decoding ? begin(self, now) : start_decoding(self, now);
}

// ---- the unit ------------------------------------------------------------------------------------------

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
    return self->decoding && self->decoded_at > now ? self->decoded_at : IOM_NEVER;
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

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    struct iom_command_queue *self = (struct iom_command_queue *)(void *)unit;
    if (index != 0)
        return false;
    *block = (struct iom_stat_block){"command_queue", stat_infos, sizeof stat_infos / sizeof stat_infos[0],
                                     &self->stats};
    return true;
}

static void reset_stats(struct iom_unit *unit)
{
    struct iom_command_queue *self = (struct iom_command_queue *)(void *)unit;
    memset(&self->stats, 0, sizeof self->stats);
}

static void destroy(struct iom_unit *unit)
{
    iom_command_queue_destroy((struct iom_command_queue *)(void *)unit);
}

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
    self->known = self->stopped = self->head_moved = false;
    memset(&self->setup, 0, sizeof self->setup);
    memset(self->sections, 0, sizeof self->sections);
    self->first_section = self->open_section = 0;
    self->head = self->fetch = 0;
    self->fences = 0;
}
