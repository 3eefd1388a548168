// SPDX-License-Identifier: Apache-2.0
//
// Inside the command queue: what command_queue_fetch.c (setup, reads, buffer) and command_queue.c
// (decode, begin, waits) share. See command_queue.h.
#ifndef IOM_CORE_COMMAND_QUEUE_INTERNAL_H
#define IOM_CORE_COMMAND_QUEUE_INTERNAL_H

#include "core/command_queue.h"

/// Doorbells whose commands have not all been asked for; when there are more, the youngest share a place.
#define IOM_ANNOUNCEMENTS 64u
/// Cookie of a status write; reads carry the number of their first command.
#define IOM_STATUS_WRITE UINT64_MAX

enum iom_fetched_state {
    IOM_FETCHED_COMING,
    IOM_FETCHED_READY,
    IOM_FETCHED_UNREADABLE,
    IOM_FETCHED_DOUBTFUL, ///< its read brought several commands and failed: it may be the fault of another
};

/// A command fetched or on its way.
struct iom_fetched {
    uint64_t words[IOM_COMMAND_WORDS];
    uint32_t offset;     ///< in the queue
    uint8_t state;       ///< enum iom_fetched_state
    iom_cycle announced; ///< doorbell
};

struct iom_announcement {
    uint64_t bytes; ///< announced by it and not asked for yet
    iom_cycle cycle;
};

enum iom_wait_state {
    IOM_WAIT_PENDING,
    IOM_WAIT_DRAINING,
    IOM_WAIT_WRITING,
};

/// The commands up to and including a wait. The youngest section has no wait yet.
struct iom_section {
    uint64_t open; ///< invalidations begun and not ended
    bool drain_reads, drain_writes, drain_page_requests;
    bool aborted;
    uint8_t state; ///< enum iom_wait_state
    iom_cycle decoded, drain_sent, write_sent;
    struct iom_command_wait wait;
};

/// An invalidation or drain at the fan-out.
struct iom_queue_control {
    struct iom_control control; // first member: the message
    uint64_t section;           ///< number
    iom_cycle begun;
};

struct iom_command_queue {
    struct iom_unit unit; // first member: the unit is the queue
    struct iom_port ports[IOM_COMMAND_QUEUE_PORTS];
    struct iom_command_queue_config config;
    struct iom_pool memory_pool, control_pool, event_pool;

    // Setup
    struct iom_queue_setup setup;
    bool known;   ///< a setup has been seen
    bool stopped; ///< error or time-out: until the next generation
    uint32_t head;
    bool head_moved; ///< not reported yet
    bool busy;       ///< as last told through the status port
    // Fetch. Commands are numbered; number n is in buffer[n % prefetch_commands].
    uint32_t fetch;       ///< offset of the next read
    iom_cycle fetch_from; ///< earliest departure of the next read
    struct iom_fetched *buffer;
    uint64_t oldest, next; ///< numbers: [oldest, next) are in the buffer or on their way
    uint64_t reads;        ///< under way
    struct iom_announcement announcements[IOM_ANNOUNCEMENTS];
    uint32_t announcement_first, announcement_count;
    // Decode: one command
    bool decoding;
    bool decoded; ///< `command` is valid
    iom_cycle decoded_at;
    struct iom_fetched current;
    struct iom_command command;
    bool holding; ///< it is a wait that holds the head, and pending: the youngest section's
    // Execution. Sections are numbered; number n is in sections[n % (IOM_PENDING_WAITS + 1)].
    uint32_t in_flight;        ///< invalidations and responses begun and not ended
    uint32_t device_in_flight; ///< of these: invalidations of device TLBs
    bool timed_out;            ///< for the next wait to report
    uint32_t timed_out_stream;
    uint32_t fences; ///< waits with fence among the pending ones
    struct iom_section sections[IOM_PENDING_WAITS + 1];
    uint64_t first_section, open_section; ///< [first, open) have a wait
    struct iom_command_queue_stats stats;
};

static inline bool iom_command_queue_runs(const struct iom_command_queue *queue)
{
    return queue->setup.enabled && !queue->stopped;
}

/// Takes over new registers that arrived in `now`.
void iom_command_queue_take_setup(struct iom_command_queue *queue, const struct iom_queue_setup *setup,
                                  iom_cycle now);
/// A read has come back. The access is released.
void iom_command_queue_take_read(struct iom_command_queue *queue, struct iom_memory_access *access);
/// Sends the reads for which there is place.
void iom_command_queue_fetch(struct iom_command_queue *queue, iom_cycle now);
/// Reads the oldest command alone. False: the port is busy.
bool iom_command_queue_read_again(struct iom_command_queue *queue, iom_cycle now);
/// A command has ended: a queue that carries out one at a time makes its pause.
void iom_command_queue_pause(struct iom_command_queue *queue, iom_cycle now);
/// Oldest command in the buffer if it has come back, else null.
const struct iom_fetched *iom_command_queue_peek(const struct iom_command_queue *queue);
/// Drops all commands that have not begun, also those on their way.
void iom_command_queue_drop(struct iom_command_queue *queue);

#endif
