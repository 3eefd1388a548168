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
#include "core/cache.h"
#include "core/msg.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_control_op {
    IOM_CONTROL_VIEW,       ///< the register view has changed
    IOM_CONTROL_INVALIDATE, ///< remove what matches
};

/// Caches an invalidation reaches (bit mask).
enum iom_invalidate_target {
    IOM_INVALIDATE_CONTEXT = 1u << IOM_LOOKUP_CONTEXT,
    IOM_INVALIDATE_PASID = 1u << IOM_LOOKUP_PASID,
    IOM_INVALIDATE_IOTLB = 1u << IOM_LOOKUP_IOTLB,
    IOM_INVALIDATE_PSC = 1u << IOM_LOOKUP_COUNT,
    IOM_INVALIDATE_ALL = (1u << (IOM_LOOKUP_COUNT + 1)) - 1,
};

struct iom_control {
    struct iom_msg msg;
    uint8_t op;                   ///< enum iom_control_op
    uint32_t targets;             ///< INVALIDATE: enum iom_invalidate_target
    struct iom_cache_match match; ///< INVALIDATE: which entries
    struct iom_view view;         ///< VIEW: the new view
    uint64_t cookie;              ///< sender's own
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
