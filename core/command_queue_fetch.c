// SPDX-License-Identifier: Apache-2.0
//
// The command queue: its registers, reads of commands, the prefetch buffer. See command_queue.h.
#include <stdlib.h>
#include <string.h>

#include "core/command_queue_internal.h"
#include "core/tracker.h"

// ---- registers -----------------------------------------------------------------------------------------

// Commands between two offsets of the ring, in bytes.
static uint32_t distance(const struct iom_queue_setup *setup, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : setup->bytes - from + to;
}

static void announce(struct iom_command_queue *self, uint32_t bytes, iom_cycle now)
{
    if (bytes == 0)
        return;
    self->stats.doorbells++;
    if (self->announcement_count == IOM_ANNOUNCEMENTS) {
        uint32_t last = (self->announcement_first + IOM_ANNOUNCEMENTS - 1) % IOM_ANNOUNCEMENTS;
        self->announcements[last].bytes += bytes;
        return;
    }
    uint32_t place = (self->announcement_first + self->announcement_count++) % IOM_ANNOUNCEMENTS;
    self->announcements[place] = (struct iom_announcement){.bytes = bytes, .cycle = now};
}

// Doorbell of the next command asked for.
static iom_cycle announced(struct iom_command_queue *self, uint32_t bytes)
{
    struct iom_announcement *oldest = &self->announcements[self->announcement_first];
    iom_cycle cycle = oldest->cycle;
    oldest->bytes -= iom_min_u64(oldest->bytes, bytes);
    if (oldest->bytes == 0 && self->announcement_count > 1) {
        self->announcement_first = (self->announcement_first + 1) % IOM_ANNOUNCEMENTS;
        self->announcement_count--;
    } else if (oldest->bytes == 0) {
        self->announcement_count = 0;
    }
    return cycle;
}

void iom_command_queue_drop(struct iom_command_queue *self)
{
    self->oldest = self->next;
    self->decoding = false;
    self->decoded = false;
    self->holding = false;
    self->announcement_count = 0;
}

void iom_command_queue_take_setup(struct iom_command_queue *self, const struct iom_queue_setup *setup,
                                  iom_cycle now)
{
    bool restart = !self->known || setup->generation != self->setup.generation;
    uint32_t tail = restart ? setup->head : self->setup.tail;
    self->known = true;
    // Place and format of the queue are those of the beginning of the generation.
    self->setup.enabled = setup->enabled;
    self->setup.tail = setup->tail;
    if (restart) {
        self->setup = *setup;
        iom_command_queue_drop(self);
        self->stopped = false;
        self->head = self->fetch = setup->head;
        self->head_moved = false;
    }
    if (setup->enabled && setup->tail < self->setup.bytes)
        announce(self, distance(&self->setup, tail, setup->tail), now);
}

// ---- reads ---------------------------------------------------------------------------------------------

// Bytes of the next read, 0 when everything up to the tail has been asked for. Whatever the registers say,
// a read stays within the queue and holds whole commands.
static uint32_t next_read(const struct iom_command_queue *self)
{
    const struct iom_queue_setup *setup = &self->setup;
    if (setup->command_bytes == 0 || setup->command_bytes > sizeof self->buffer->words ||
        setup->tail >= setup->bytes || self->fetch >= setup->bytes)
        return 0;
    uint32_t line = (uint32_t)(IOM_LINE_BYTES - (setup->base + self->fetch) % IOM_LINE_BYTES);
    uint32_t run = (setup->tail >= self->fetch ? setup->tail : setup->bytes) - self->fetch;
    uint64_t commands = self->config.pace.one_at_a_time ? 1 : self->config.prefetch_commands;
    uint64_t bytes = iom_min_u64(iom_min_u64(line, run), commands * setup->command_bytes);
    return (uint32_t)(bytes - bytes % setup->command_bytes);
}

static void send_access(struct iom_command_queue *self, uint64_t number, uint32_t offset, uint32_t bytes,
                        iom_cycle now)
{
    struct iom_memory_access *access = iom_pool_take(&self->memory_pool);
    if (access == NULL)
        abort(); // bounded by the prefetch buffer
    access->op = IOM_MEMORY_READ;
    access->client = IOM_CLIENT_COMMANDS;
    access->address = self->setup.base + offset;
    access->bytes = (uint8_t)bytes;
    access->cookie = number;
    access->node = 0;
    access->error = 0;
    self->reads++;
    self->stats.fetches++;
    iom_port_send(&self->ports[IOM_COMMAND_QUEUE_MEMORY], &access->msg, now);
}

static void send_read(struct iom_command_queue *self, uint32_t bytes, iom_cycle now)
{
    send_access(self, self->next, self->fetch, bytes, now);
    for (uint32_t at = 0; at < bytes; at += self->setup.command_bytes) {
        struct iom_fetched *command = &self->buffer[self->next++ % self->config.prefetch_commands];
        command->state = IOM_FETCHED_COMING;
        command->offset = self->fetch + at;
        command->announced = announced(self, self->setup.command_bytes);
    }
    self->fetch += bytes;
    if (self->fetch == self->setup.bytes)
        self->fetch = 0;
}

bool iom_command_queue_read_again(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_fetched *command = &self->buffer[self->oldest % self->config.prefetch_commands];
    if (!iom_port_can_send(&self->ports[IOM_COMMAND_QUEUE_MEMORY], now))
        return false;
    command->state = IOM_FETCHED_COMING;
    send_access(self, self->oldest, command->offset, self->setup.command_bytes, now);
    return true;
}

void iom_command_queue_pause(struct iom_command_queue *self, iom_cycle now)
{
    if (self->config.pace.one_at_a_time)
        self->fetch_from = now + iom_unit_ticks(&self->unit, self->config.pace.fetch_gap_cycles);
}

// Is a command under way that the next one's read has to wait for?
static bool is_paced(const struct iom_command_queue *self, iom_cycle now)
{
    return self->config.pace.one_at_a_time &&
           (now < self->fetch_from || self->decoding || self->oldest != self->next ||
            self->first_section != self->open_section);
}

void iom_command_queue_fetch(struct iom_command_queue *self, iom_cycle now)
{
    struct iom_port *port = &self->ports[IOM_COMMAND_QUEUE_MEMORY];
    if (!iom_command_queue_runs(self) || port->peer == NULL)
        return;
    uint32_t bytes;
    while (!is_paced(self, now) && (bytes = next_read(self)) != 0) {
        uint64_t held = self->next - self->oldest;
        if (self->config.prefetch_commands - held < bytes / self->setup.command_bytes ||
            !iom_port_can_send(port, now))
            return;
        send_read(self, bytes, now);
    }
}

void iom_command_queue_take_read(struct iom_command_queue *self, struct iom_memory_access *access)
{
    self->reads--;
    if (access->node != 0)
        iom_tracker_release(self->config.tracker, access->node);
    uint64_t number = access->cookie;
    if (number >= self->oldest) { // else it was dropped meanwhile
        const unsigned char *data = (const unsigned char *)access->data;
        uint32_t bytes = self->setup.command_bytes;
        enum iom_fetched_state state = IOM_FETCHED_READY;
        if (access->error)
            state = access->bytes > bytes ? IOM_FETCHED_DOUBTFUL : IOM_FETCHED_UNREADABLE;
        for (uint32_t at = 0; at < access->bytes; at += bytes) {
            struct iom_fetched *command = &self->buffer[number++ % self->config.prefetch_commands];
            command->state = (uint8_t)state;
            memset(command->words, 0, sizeof command->words);
            memcpy(command->words, data + at, bytes);
        }
    }
    iom_msg_release(&access->msg);
}

const struct iom_fetched *iom_command_queue_peek(const struct iom_command_queue *self)
{
    if (self->oldest == self->next)
        return NULL;
    const struct iom_fetched *command = &self->buffer[self->oldest % self->config.prefetch_commands];
    return command->state != IOM_FETCHED_COMING ? command : NULL;
}
