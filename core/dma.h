// SPDX-License-Identifier: Apache-2.0
//
// A DMA request on its way: device -> (link) -> IOMMU front end -> look-up stages -> memory, and back
// the same way with its result. One message object all along.
#ifndef IOM_CORE_DMA_H
#define IOM_CORE_DMA_H

#include "core/msg.h"
#include "core/xlate.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The parts a translation's latency splits into; they add up exactly (docs/results.md). A walk is
/// charged to its look-up from the cycle in which a walker takes it up until its answer is back at the
/// stage; the way to the walker is queueing. Hops of table reads belong to the reads, those of a
/// paging-structure cache unit to its look-up.
enum iom_part {
    IOM_PART_QUEUEING, ///< waiting: ingress, walker, credit, order, another request's walk, hops
    IOM_PART_LOOKUP,   ///< pipeline of the front end and IOTLB look-ups
    IOM_PART_CONTEXT,  ///< context cache look-up and fetch of root and context entries
    IOM_PART_PASID,    ///< PASID cache look-up and fetch of PASID directory and table entries
    IOM_PART_WALK,     ///< steps of the page walk and its paging-structure cache look-ups
    IOM_PART_MEMORY,   ///< waiting for the table reads of the page walk
    IOM_PART_COUNT,
};

struct iom_dma {
    struct iom_msg msg;
    struct iom_xlate x; ///< request, progress and result of the translation
    uint64_t id;        ///< number given by the issuer, unique per issuer
    uint64_t cookie;    ///< issuer's own (queue slot, step of a vector, ...)

    iom_cycle issued;     ///< departure from the issuer
    iom_cycle arrived;    ///< arrival at the IOMMU's ingress
    iom_cycle translated; ///< translation known and allowed to leave the IOMMU
    iom_cycle visible;    ///< accepted by memory: globally visible (0: never)
    iom_cycle mark;       ///< latency accounted so far
    iom_cycle looked_up;  ///< first look-up of the present attempt (IOM_NEVER before it): what the request
                          ///< has resolved is no older
    uint64_t part[IOM_PART_COUNT];

    uint64_t ticket;       ///< place in the posted-write order of its requester
    uint32_t requester;    ///< index of its requester in the ordering table
    uint32_t epoch;        ///< drain epoch it belongs to (core/stage.h)
    iom_node used;         ///< node of the translation it uses, referenced until it is visible
    iom_node used_context; ///< with `used`: a second node, of the context it uses
    iom_cycle used_at;     ///< with `used`: cycle in which it looked up (hazard tracker)
    uint64_t used_address; ///< with `used`: the address it looked up; a translated request has lost it
    iom_node held;         ///< node of the context it carries from look-up to look-up, referenced meanwhile
    uint8_t missed;        ///< bit per enum iom_lookup: a walk was needed
    uint8_t ordered;       ///< 1 = ticket is valid
    uint8_t memory_error;  ///< 1 = the address does not answer
    uint8_t restarts;      ///< times it started over because of an invalidation
    uint8_t keeps_node;    ///< set by the issuer (device TLB): it takes over the reference `used` of a
                           ///< successful translation answer and ends it with iom_tracker_answered
    uint8_t *data;         ///< payload to move (x.bytes bytes), or null: timing only
    struct iom_dma *parked_next; ///< link while waiting for its turn
};

/// Charges the time since the last mark to `part`.
static inline void iom_dma_account(struct iom_dma *dma, enum iom_part part, iom_cycle until)
{
    assert(until >= dma->mark);
    dma->part[part] += until - dma->mark;
    dma->mark = until;
}

#ifdef __cplusplus
}
#endif

#endif
