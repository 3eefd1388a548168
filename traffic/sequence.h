// SPDX-License-Identifier: Apache-2.0
//
// The sequence: a unit that plays a fixed list of DMA requests and a fixed list of operations (register
// writes, writes to memory), each at the moment its rule names. It stands for the bench around a piece of
// hardware: recorded runs are played again, and measurements that need an operation in one particular cycle
// of a translation are written down as such lists.
//
//   read, write  requesters: struct iom_dma to the address channels of an AXI port (core/axi_port.h), or of
//                anything that returns the credit of its one request slot with the address handshake
//   events       responder, one way: struct iom_axi_event, the handshakes of these requests
//   registers    requester: struct iom_mmio; a write has been done in the cycle in which its answer arrives
//   memory       requester: struct iom_memory_access (IOM_MEMORY_WRITE of software); with a connection
//                without latency the write is effective in the cycle in which the operation starts
//   queue        responder, one way: struct iom_queue_event_message of a command queue (its status port).
//                Drained as long as nothing has come
//
// Requests. A user presents its requests one after the other: one user for all of them, or (`dual`) one for
// reads and one for writes. A request is presented (leaves) in the first cycle that is
//   - not before `gap`, if it is its user's first, else at least 1 + gap behind the handshake of the one
//     before
//   - behind the cycle in which operation `after_op` was done, if it names one
//   - behind the cycle in which a response came that leaves less than response_limit requests of its user
//     unanswered, if there is a limit
//
// Operations are carried out in their order. One starts in the first cycle in which its trigger holds and the
// one before has been done; behind a register write at least one cycle later, else perhaps in the same cycle.
// Writes to memory and waits (IOM_SEQUENCE_WAIT) are done in the cycle in which they start.
//   IOM_TRIGGER_CYCLE      in cycle `delay` or later
//   IOM_TRIGGER_PRESENTED  `delay` cycles after `request` was presented, or later
//   IOM_TRIGGER_DONE       `delay` cycles after `request` was done (its address handshake on the far side, or
//                          the last beat of its refusal), or later
//   IOM_TRIGGER_DRAINED    the command queue is drained
// Of one cycle: what arrives, then requests, then operations.
#ifndef IOM_TRAFFIC_SEQUENCE_H
#define IOM_TRAFFIC_SEQUENCE_H

#include "core/unit.h"
#include "core/xlate.h"

#ifdef __cplusplus
extern "C" {
#endif

/// No operation (iom_sequence_request.after_op).
#define IOM_SEQUENCE_NONE UINT32_MAX

struct iom_sequence_request {
    uint64_t address; ///< input address, bytes
    uint32_t bytes;
    uint32_t source;   ///< requester
    uint32_t pasid;    ///< with IOM_REQ_PASID in flags
    uint16_t flags;    ///< enum iom_request_flag
    uint64_t gap;      ///< cycles
    uint32_t after_op; ///< index of an operation, or IOM_SEQUENCE_NONE
};

enum iom_sequence_trigger {
    IOM_TRIGGER_CYCLE,
    IOM_TRIGGER_PRESENTED,
    IOM_TRIGGER_DONE,
    IOM_TRIGGER_DRAINED,
};

enum iom_sequence_kind {
    IOM_SEQUENCE_REGISTER, ///< write to a register
    IOM_SEQUENCE_MEMORY,   ///< write to memory
    IOM_SEQUENCE_WAIT,     ///< nothing but its trigger
};

struct iom_sequence_op {
    uint8_t kind;     ///< enum iom_sequence_kind
    uint8_t trigger;  ///< enum iom_sequence_trigger
    uint8_t bytes;    ///< of `value`: registers 4 or 8, memory 1 to 8
    uint32_t request; ///< PRESENTED, DONE: index of a request
    uint64_t delay;   ///< cycles
    uint64_t address; ///< in memory, or offset of the register
    uint64_t value;
};

struct iom_sequence_config {
    const struct iom_sequence_request *requests; ///< copied
    uint32_t request_count;
    const struct iom_sequence_op *ops; ///< copied
    uint32_t op_count;
    bool dual;               ///< reads and writes independently of each other
    uint32_t response_limit; ///< requests of a user presented and not answered, at most; 0 = no limit
};

/// What became of a request. Cycles are IOM_NEVER as long as the event has not taken place.
struct iom_sequence_result {
    iom_cycle presented, accepted, done, responded;
    uint64_t output;   ///< with outcome ADDRESS and BYPASS (and once responded): where it went
    uint16_t fault;    ///< with outcome FAULT: its code
    uint8_t outcome;   ///< enum iom_outcome, NONE until responded
    bool memory_error; ///< its target did not answer
};

struct iom_sequence_op_result {
    iom_cycle start, done;
};

enum iom_sequence_port {
    IOM_SEQUENCE_READ,
    IOM_SEQUENCE_WRITE,
    IOM_SEQUENCE_EVENTS,
    IOM_SEQUENCE_REGISTERS,
    IOM_SEQUENCE_MEMORY_PORT,
    IOM_SEQUENCE_QUEUE,
    IOM_SEQUENCE_PORTS,
};

struct iom_sequence; // opaque

/// Null if the lists are usable, else a static text: an index that does not exist, a size that cannot be
/// written.
const char *iom_sequence_config_error(const struct iom_sequence_config *config);

/// Null when memory is out or the lists are unusable. `name` is the path name ("bench").
struct iom_sequence *iom_sequence_create(const struct iom_sequence_config *config, const char *name);
void iom_sequence_destroy(struct iom_sequence *sequence);
struct iom_unit *iom_sequence_unit(struct iom_sequence *sequence);
struct iom_port *iom_sequence_port(struct iom_sequence *sequence, enum iom_sequence_port port);

const struct iom_sequence_result *iom_sequence_result_of(const struct iom_sequence *sequence,
                                                         uint32_t request);
const struct iom_sequence_op_result *iom_sequence_op_result_of(const struct iom_sequence *sequence,
                                                               uint32_t op);
/// All requests have been answered and all operations done.
bool iom_sequence_finished(const struct iom_sequence *sequence);

#ifdef __cplusplus
}
#endif

#endif
