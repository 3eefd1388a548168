// SPDX-License-Identifier: Apache-2.0
//
// The command queue: fetches commands from memory, decodes them (arch->decode), has them carried out by
// the fan-out, completes waits, and tells the register unit how far it has come.
//
//   setup    responder, one way: struct iom_queue_setup_message from the register unit
//   events   requester, one way: struct iom_queue_event_message to the register unit
//   memory   requester: struct iom_memory_access (command reads, status writes)
//   fanout   requester: struct iom_control
//   status   requester, one way: struct iom_queue_event_message to whoever waits for the queue (DRAINED at
//            first): BUSY and DRAINED in the cycle in which the one follows the other; may stay unbound
//
// Timing:
//   fetch     a read of 64 bytes (what is left of the line, of the queue up to its wrap, up to the tail, and
//             no more than the buffer holds) leaves as soon as the buffer of `prefetch_commands` has place
//             for what it may bring; several reads are under way at once, their commands stay in order
//   decode    one command per decode_cycles, in order; a command leaves the buffer when its decoding begins,
//             that of the next one begins when it has begun
//   begin     a decoded command begins at once unless a fence, `in_order` or max_in_flight holds it back;
//             invalidations are sent to the fan-out in order. The queue's head passes a command when it has
//             begun (not when it has ended). A wait begins when it has been decoded, whatever is under way;
//             but at most IOM_PENDING_WAITS are pending, a further one stays in the decoder. One that holds
//             the head stays there too until it completes, and nothing behind it is decoded. With device_tags
//             nothing begins while more device invalidations than that are under way: one waits for a tag
//   wait      completes when all earlier commands have ended (earlier waits have completed) and, if it (or an
//             invalidation since the last wait) asks for it, a DRAIN has been answered; then the status write
//             leaves. It has completed when the write is acknowledged; the interrupt event leaves then. A
//             status write that memory refuses counts as done; if the wait holds the head it is an error
//   error     a command that is invalid or cannot be read stops the fetch with the head at it; commands
//             before it are carried out. An invalid one is reported when it has been decoded, an unreadable
//             one when its turn to be decoded has come (those of a read of several that fails are first read
//             alone). A device's time-out aborts all waits that have not completed (a status write that has
//             left completes its wait all the same) and stops the fetch (head at the next command to begin)
//             until the registers start a new generation. What an aborted wait should have drained the next
//             wait drains, unless the aborted one held the head: it is executed again, with its drain, if the
//             next generation begins there (if it begins elsewhere software has given it up). With
//             setup.timeout_at_wait a time-out stops nothing until all commands before the next wait have
//             ended: then it is reported in the place of its completion
//   setup     a new generation drops what was fetched and not begun, and fetches from the head it names;
//             what has begun goes on, also a wait that held the head, which then moves the head no more.
//             While the queue is disabled nothing is fetched, decoded or begun
//
// Source: VT-d Rev. 4.1, 6.5.2 (queued invalidation: ordering of descriptors, errors).
#ifndef IOM_CORE_COMMAND_QUEUE_H
#define IOM_CORE_COMMAND_QUEUE_H

#include "core/arch.h"
#include "core/command.h"
#include "core/control.h"
#include "core/memory.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_tracker;

/// Waits decoded and not completed, at most.
#define IOM_PENDING_WAITS 64u

/// A queue that carries out one command after the other.
struct iom_command_pace {
    bool one_at_a_time; ///< a command is read when the one before has ended: has begun, a wait has completed
    uint64_t fetch_gap_cycles;    ///< with it: from that end to the departure of the read
    uint64_t status_write_cycles; ///< from the cycle in which a wait has nothing left to wait for to the
                                  ///< departure of its status write
    /// Deviations seen in hardware (docs/timing.md):
    bool quirk_head_passes_waits; ///< the head passes a wait when it begins, whatever the architecture says
    bool quirk_waits_skip_drain;  ///< waits do not wait for older DMA
};

struct iom_command_queue_config {
    const struct iom_arch *arch;
    uint32_t prefetch_commands; ///< commands fetched ahead of decode, at least 1
    uint64_t decode_cycles;     ///< per command, at least 1
    uint32_t max_in_flight;     ///< invalidations begun and not ended, at least 1
    bool in_order;              ///< a command begins when the one before has ended
    uint32_t device_tags;       ///< invalidation tags, if waiting for one holds up the queue; 0: it does not
    struct iom_command_pace pace;
    struct iom_tracker *tracker; ///< may be null
};

enum iom_command_queue_port {
    IOM_COMMAND_QUEUE_SETUP,
    IOM_COMMAND_QUEUE_EVENTS,
    IOM_COMMAND_QUEUE_MEMORY,
    IOM_COMMAND_QUEUE_FANOUT,
    IOM_COMMAND_QUEUE_STATUS,
    IOM_COMMAND_QUEUE_PORTS,
};

#define IOM_COMMAND_QUEUE_STATS(X)                                                                           \
    X(counter, doorbells, "writes", "changes of the tail seen")                                              \
    X(counter, fetches, "accesses", "reads of commands sent to memory")                                      \
    X(counter, commands, "commands", "commands decoded")                                                     \
    X(counter, invalidations, "commands", "of these: invalidations of the IOMMU's caches")                   \
    X(counter, device_invalidations, "commands", "of these: invalidations of device TLBs")                   \
    X(counter, waits, "commands", "of these: waits")                                                         \
    X(counter, responses, "commands", "of these: responses to page requests")                                \
    X(counter, waits_completed, "commands", "waits that have completed")                                     \
    X(counter, waits_aborted, "commands", "waits aborted because a device did not answer")                   \
    X(counter, read_drains, "commands", "waits that waited for older reads to be visible")                   \
    X(counter, write_drains, "commands", "waits that waited for older writes to be visible")                 \
    X(counter, errors, "commands", "commands that could not be read or executed")                            \
    X(maximum, most_in_flight, "commands", "most invalidations under way at once")                           \
    X(histogram, fetch_latency, "cycles", "from the doorbell that announced a command to its decoding")      \
    X(histogram, hold_latency, "cycles", "from the decoding of an invalidation to its begin")                \
    X(histogram, execute_latency, "cycles", "from the begin of an invalidation to its end")                  \
    X(histogram, wait_latency, "cycles", "from the decoding of a wait to its completion")                    \
    X(histogram, wait_drain_latency, "cycles", "of this: waiting for older DMA to become visible")           \
    X(histogram, wait_status_latency, "cycles", "of this: from the status write to its acknowledgement")

struct iom_command_queue_stats {
    IOM_COMMAND_QUEUE_STATS(IOM_STAT_MEMBER)
};

struct iom_command_queue; // opaque

/// Null when memory is out.
struct iom_command_queue *iom_command_queue_create(const struct iom_command_queue_config *config,
                                                   const char *name);
void iom_command_queue_destroy(struct iom_command_queue *queue);
struct iom_unit *iom_command_queue_unit(struct iom_command_queue *queue);
struct iom_port *iom_command_queue_port(struct iom_command_queue *queue, enum iom_command_queue_port port);
const struct iom_command_queue_stats *iom_command_queue_stats_of(const struct iom_command_queue *queue);
/// Takes over the queue's registers outside the simulation, as a setup message would. Commands that are in
/// the queue already are fetched with the next message.
void iom_command_queue_set_up(struct iom_command_queue *queue, const struct iom_queue_setup *setup);
/// Back to reset, outside the simulation; nothing may be under way.
void iom_command_queue_reset(struct iom_command_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
