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
#include "core/page_request.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_control_op {
    IOM_CONTROL_VIEW,       ///< the register view has changed
    IOM_CONTROL_INVALIDATE, ///< remove what matches
    IOM_CONTROL_RESPOND,    ///< fan-out only: send `response` to its device; answered when it has left
    IOM_CONTROL_DRAIN,      ///< front end only: answered when all DMA that looked up before is visible (and,
                            ///< if it asks for them, page requests are in memory)
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
    bool drain_page_requests;             ///< DRAIN: page requests must be in their queue in memory
    uint32_t removed;                     ///< acknowledgement: entries removed
    uint32_t stopped;                     ///< acknowledgement: walks under way whose result will be dropped
    struct iom_invalidation invalidation; ///< INVALIDATE: which entries
    struct iom_view view;                 ///< VIEW: the new view
    struct iom_page_response response;    ///< RESPOND
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

enum iom_report_kind {
    IOM_REPORT_FAULT,        ///< a fault on its way to the fault records; of a page request that was refused
                             ///< also when fault.recorded is 0 (IOM_REQ_PAGE in fault.flags)
    IOM_REPORT_PAGE_REQUEST, ///< a page request on its way to the page request queue
    IOM_REPORT_EVENT,        ///< something that performance counters count
};

/// Stages to register unit (one way). A DRAIN of page requests takes the same way behind them, and comes
/// back.
struct iom_report {
    struct iom_msg msg;
    uint8_t kind; ///< enum iom_report_kind
    iom_cycle detected;
    union {
        struct iom_fault fault;
        struct iom_page_request page_request;
        struct iom_event event;
    } what;
};

#ifdef __cplusplus
}
#endif

#endif
