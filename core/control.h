// SPDX-License-Identifier: Apache-2.0
//
// Control messages: what the register and command units tell every participant of the translation
// (look-up stages, paging-structure caches, walks in flight). Each participant applies the message
// at the end of the cycle in which it arrives and answers with the same message as acknowledgement.
//
// The fan-out is one for all architectures and all sources (queues, registers, implied flushes).
#ifndef IOM_CORE_CONTROL_H
#define IOM_CORE_CONTROL_H

#include "core/arch.h"
#include "core/invalidation.h"
#include "core/msg.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_control_op {
    IOM_CONTROL_VIEW,       ///< the register view has changed
    IOM_CONTROL_INVALIDATE, ///< remove what matches
    IOM_CONTROL_DRAIN,      ///< front end only: answered when all DMA that looked up before is visible
};

/// How an invalidation ended (acknowledgement of the fan-out to its source).
enum iom_control_result {
    IOM_CONTROL_DONE,
    IOM_CONTROL_TIMEOUT, ///< the device did not answer in time
};

struct iom_control {
    struct iom_msg msg;
    uint8_t op;                           ///< enum iom_control_op
    uint8_t result;                       ///< acknowledgement: enum iom_control_result
    bool drain_reads, drain_writes;       ///< DRAIN: which DMA must be visible
    uint32_t removed;                     ///< acknowledgement: entries removed
    struct iom_invalidation invalidation; ///< INVALIDATE: which entries
    struct iom_view view;                 ///< VIEW: the new view
    uint64_t cookie;                      ///< sender's own
};

/// Register access by the host (driver model, vectors).
struct iom_mmio {
    struct iom_msg msg;
    uint64_t value; ///< to write, or what was read
    uint32_t offset;
    uint8_t bytes; ///< 4 or 8
    bool write;
    uint64_t cookie; ///< sender's own
};

/// A fault on its way to the fault records.
struct iom_fault_report {
    struct iom_msg msg;
    struct iom_fault fault;
    iom_cycle detected;
};

#ifdef __cplusplus
}
#endif

#endif
