// SPDX-License-Identifier: Apache-2.0
//
// Inside of the device TLB, shared by device_tlb.c (life, ports, evaluation), device_tlb_lookup.c
// (look-ups, translation requests, their answers), device_tlb_exit.c (order, sending, answers to the
// device) and device_tlb_invalidate.c.
#ifndef IOM_CORE_DEVICE_TLB_INTERNAL_H
#define IOM_CORE_DEVICE_TLB_INTERNAL_H

#include "core/device_tlb.h"
#include "core/miss_table.h"
#include "core/order.h"

/// Most invalidations held at once (PCIe: 32 invalidation tags).
#define IOM_DEVICE_TLB_SLOTS 32u

/// "Without PASID" in a tag; such entries also differ by tag.stage (enum iom_device_space).
#define IOM_DEVICE_NO_PASID UINT32_MAX

/// tag.stage: requests without PASID never use entries of a process, not even global ones.
enum iom_device_space {
    IOM_SPACE_DEVICE,  ///< requested without PASID
    IOM_SPACE_PROCESS, ///< requested with PASID
};

/// A DMA of the device from its arrival until its answer. The message itself goes on to the IOMMU with its
/// address replaced; what the device had in it is kept here. dma->cookie is the index of the record.
struct iom_device_request {
    struct iom_dma *dma; ///< null: record unused
    uint64_t address;    ///< device's own: address, cookie, flags
    uint64_t cookie;
    uint16_t flags;
    bool translated;      ///< uses `leaf`
    bool refused;         ///< answered here, never sent
    bool sent;            ///< handed to the host port
    uint8_t restarts;     ///< answers that an invalidation has spoilt, up to IOM_DEVICE_TLB_PATIENCE
    struct iom_leaf leaf; ///< translation used (output: address of the first byte)
    struct iom_tag used;  ///< tag of it, at its size
    iom_cycle ready;      ///< its look-up is over, or it may look up again
    iom_cycle decided;    ///< cycle in which it took its translation
    uint32_t awaited;     ///< bit per invalidation slot whose completion waits for it
    uint32_t next_free;
};

/// A translation request under way; same index as its miss-table entry.
struct iom_device_translation {
    uint8_t asked; ///< permissions asked for
    /// Pages invalidated since it was sent, beside its own: its answer may be larger than a page.
    bool stale;
    uint64_t stale_first, stale_last;
};

/// An invalidation that has been applied and whose completion waits.
struct iom_device_completion {
    struct iom_ats_invalidation *msg; ///< null: slot unused
    uint32_t waiting;                 ///< requests it waits for
};

/// A fill of the current cycle: not yet seen by probes.
struct iom_device_fill {
    struct iom_tag tag;
    iom_node node; ///< referenced until the cache has applied the fill
    bool replaces; ///< an entry of the same identity was there
};

struct iom_device_tlb {
    struct iom_unit unit; // first member: the unit is the device TLB
    struct iom_device_tlb_config config;
    struct iom_port ports[IOM_DEVICE_TLB_PORTS];
    struct iom_cache *cache;
    struct iom_miss_table misses;
    struct iom_device_translation *translations;
    struct iom_order *order;
    struct iom_pool request_pool; ///< translation requests

    struct iom_device_request *requests; ///< records, grown to the most the device has under way
    uint32_t request_count, request_capacity, first_free;
    uint64_t held; ///< records in use

    struct iom_fifo replays;  ///< DMA that has to look up again
    struct iom_fifo exits;    ///< messages waiting for a credit of the host
    struct iom_dma *head;     ///< request taken from the inbox that could not be taken up yet
    uint64_t head_tried_at;   ///< value of `changes` when it was last tried
    uint64_t replay_tried_at; ///< the same for the head of `replays`
    uint64_t changes;         ///< counts what may end a stall: translation requests answered
    uint32_t budget;          ///< look-ups left in budget_cycle
    iom_cycle budget_cycle;
    bool pasid_seen; ///< entries of processes may exist

    struct iom_device_fill *fills; ///< of cycle fill_cycle
    uint32_t fill_count;
    iom_cycle fill_cycle;

    struct iom_fifo invalidations;        ///< arrived, not begun
    struct iom_ats_invalidation *running; ///< begun, not applied
    iom_cycle apply_at;                   ///< of the running one
    iom_cycle free_from;                  ///< the next one may begin
    iom_cycle blocked_until;              ///< no look-ups up to and including this cycle
    bool blocks;                          ///< blocked_until is valid
    struct iom_device_completion completions[IOM_DEVICE_TLB_SLOTS];
    uint32_t invalidations_held; ///< arrived and not completed
    uint32_t starving;           ///< requests whose patience is over: no invalidation begins
    struct iom_fifo swallowed;   ///< silent device: never answered

    iom_cycle write_arrival; ///< arrival of the last posted write at the other end of the host port
    // completion_overtakes_writes: what the last completion left behind.
    iom_cycle write_arrival_before; ///< write_arrival when it left
    iom_cycle completed_before;     ///< cycle in which it left
    bool completed_any;

    struct iom_device_tlb_stats stats;
    struct iom_cache_counts counts_base; ///< engine counts at the last reset
};

static inline struct iom_dma *iom_device_dma(struct iom_msg *msg)
{
    assert(msg->kind == IOM_MSG_DMA);
    return (struct iom_dma *)(void *)msg;
}

static inline struct iom_device_request *iom_device_request_of(struct iom_device_tlb *tlb,
                                                               const struct iom_dma *dma)
{
    assert(dma->cookie < tlb->request_count && tlb->requests[dma->cookie].dma == dma);
    return &tlb->requests[dma->cookie];
}

/// `cycles` of the unit's clock in ticks.
static inline iom_cycle iom_device_ticks(const struct iom_device_tlb *tlb, uint64_t cycles)
{
    return iom_unit_ticks(&tlb->unit, cycles);
}

// ---- look-ups ------------------------------------------------------------------------------------------

/// Looks up in cycle `now`. False: nothing happened, there is no place for a translation request.
bool iom_device_tlb_look_up(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle now);
/// A translation request has been answered.
void iom_device_tlb_answered(struct iom_device_tlb *tlb, struct iom_dma *request, iom_cycle now);
/// The fills of earlier cycles have been applied: lets go of their nodes.
void iom_device_tlb_settle(struct iom_device_tlb *tlb, iom_cycle now);
/// Pages that a translation covers.
static inline bool iom_device_overlaps(uint64_t address, uint8_t size_log2, uint64_t first, uint64_t last)
{
    uint64_t begin = iom_align_down(address, size_log2);
    return begin <= last && (begin | iom_low_bits(UINT64_MAX, size_log2)) >= first;
}

// ---- exits ---------------------------------------------------------------------------------------------

/// The request may leave from cycle `when` (>= now) on, when its turn comes.
void iom_device_tlb_leave(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle when, iom_cycle now);
/// To the host port in cycle `when`, or as soon as there is a credit.
void iom_device_tlb_transmit(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle when, iom_cycle now);
void iom_device_tlb_send_exits(struct iom_device_tlb *tlb, iom_cycle now);
/// The host has answered a DMA of the device.
void iom_device_tlb_complete(struct iom_device_tlb *tlb, struct iom_dma *dma, iom_cycle now);

// ---- invalidations -------------------------------------------------------------------------------------

/// Takes what has arrived and begins the next one if it may begin in `now`.
void iom_device_tlb_begin_invalidations(struct iom_device_tlb *tlb, iom_cycle now);
/// End of the cycle: applies the running one if it is due.
void iom_device_tlb_apply_invalidation(struct iom_device_tlb *tlb, iom_cycle now);
/// A request that completions wait for has been answered (read) or sent (posted write).
void iom_device_tlb_release(struct iom_device_tlb *tlb, struct iom_device_request *record, iom_cycle now);

#endif
