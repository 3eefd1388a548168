// SPDX-License-Identifier: Apache-2.0
//
// Commands as the command queue unit (core/command_queue.h) sees them, whatever the architecture: how
// the registers describe the queue, what a command was decoded into, and what happened to it.
#ifndef IOM_CORE_COMMAND_H
#define IOM_CORE_COMMAND_H

#include "core/invalidation.h"
#include "core/msg.h"
#include "core/page_request.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Largest command in 64-bit words (VT-d 256-bit descriptors).
#define IOM_COMMAND_WORDS 4u

/// The queue as the registers describe it.
struct iom_queue_setup {
    bool enabled;           ///< commands may be fetched (enabled and no error pending)
    uint64_t base;          ///< address of the queue in memory
    uint32_t bytes;         ///< its size
    uint32_t command_bytes; ///< 16 or 32
    uint32_t head;          ///< byte offset of the next command; taken over when `generation` changes
    uint32_t tail;          ///< byte offset behind the last command
    uint32_t attributes;    ///< architecture's own, for its decoder (byte order, ...)
    bool timeout_at_wait;   ///< a device's time-out is reported by the next wait (which holds the head) when
                            ///< all before it has ended; false: at once
    uint32_t generation;    ///< changes when the queue is enabled, disabled, or goes on after an error
};

enum iom_command_kind {
    IOM_COMMAND_INVALIDATE, ///< `invalidation`
    IOM_COMMAND_WAIT,       ///< `wait`
    IOM_COMMAND_RESPOND,    ///< `response`: to a page request
    IOM_COMMAND_ACCEPTED,   ///< taken and without effect on translation (interrupt entry cache, response)
    IOM_COMMAND_INVALID,    ///< `error`: the queue stops with its head at this command
};

/// A wait (VT-d invalidation wait, SMMUv3 CMD_SYNC, AMD COMPLETION_WAIT, RISC-V IOFENCE.C): completes when
/// all earlier commands have, and the DMA they must drain is visible.
struct iom_command_wait {
    bool write_status;              ///< write `status` to `address` when complete
    bool interrupt;                 ///< raise the completion interrupt
    bool holds_head;                ///< the queue's head stays at the wait until it completes; a time-out is
                                    ///< reported with the head there, and the wait is executed again when
                                    ///< the queue goes on
    bool fence;                     ///< later commands do not begin before it completes
    bool drain_page_requests;       ///< page requests received so far must be in memory
    bool drain_reads, drain_writes; ///< older DMA must be visible whatever the invalidations asked for
    uint8_t status_bytes;           ///< 4 or 8
    uint64_t address, status;
};

struct iom_command {
    uint8_t kind;   ///< enum iom_command_kind
    uint32_t error; ///< INVALID: architecture's own error information
    struct iom_invalidation invalidation;
    struct iom_command_wait wait;
    struct iom_page_response response;
};

enum iom_queue_event_kind {
    IOM_QUEUE_HEAD,      ///< `head` has moved on
    IOM_QUEUE_INTERRUPT, ///< a wait that asks for an interrupt has completed
    IOM_QUEUE_INVALID,   ///< the command at `head` cannot be executed: `error`
    IOM_QUEUE_ACCESS, ///< the command at `head` cannot be read, or it is a wait that holds the head there and
                      ///< memory has refused its status write
    IOM_QUEUE_TIMEOUT,    ///< device `stream` did not answer an invalidation; pending waits were aborted
    IOM_QUEUE_COMPLETION, ///< device `stream` answered an invalidation nobody asked for
    IOM_QUEUE_BUSY,       ///< status port: there are commands that have not been carried out
    IOM_QUEUE_DRAINED,    ///< status port: all up to the tail have
};

struct iom_queue_event {
    uint8_t kind;        ///< enum iom_queue_event_kind
    uint32_t generation; ///< of the setup in force; INTERRUPT and COMPLETION count whatever it is
    uint32_t head;       ///< byte offset of the next command (COMPLETION: not valid)
    uint32_t error;      ///< INVALID: from iom_command.error
    uint32_t stream;     ///< TIMEOUT, COMPLETION
};

/// Register unit -> command queue (one way): the queue's registers have changed.
struct iom_queue_setup_message {
    struct iom_msg msg;
    struct iom_queue_setup setup;
};

/// Command queue or fan-out -> register unit (one way).
struct iom_queue_event_message {
    struct iom_msg msg;
    struct iom_queue_event event;
};

#ifdef __cplusplus
}
#endif

#endif
