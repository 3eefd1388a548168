// SPDX-License-Identifier: Apache-2.0
//
// Inside of the look-up stage, shared by stage.c (life, ports, evaluation), stage_lookup.c (look-ups,
// misses, fills) and stage_exit.c (order, exits, answers).
#ifndef IOM_CORE_STAGE_INTERNAL_H
#define IOM_CORE_STAGE_INTERNAL_H

#include "core/control.h"
#include "core/miss_table.h"
#include "core/order.h"
#include "core/stage.h"
#include "core/walk.h"

struct iom_stage {
    struct iom_unit unit; // first member: the unit is the stage
    struct iom_stage_config config;
    struct iom_view view;
    struct iom_port *ports;                   ///< enum iom_stage_port, then the inputs
    struct iom_port *inputs;                  ///< ports + IOM_STAGE_PORTS
    uint32_t owned;                           ///< bit per look-up owned
    iom_cycle lookup_ticks[IOM_LOOKUP_COUNT]; ///< their latencies
    iom_cycle pipeline_ticks;                 ///< latency of the stage itself
    struct iom_cache *cache[IOM_LOOKUP_COUNT];
    struct iom_miss_table misses;
    struct iom_order *order;
    struct iom_pool walk_pool, fault_pool;

    struct iom_fifo replays;      ///< requests to be looked up again
    struct iom_fifo walks_unsent; ///< walks waiting for a credit of the walker
    struct iom_fifo exits[2];     ///< requests waiting for a credit of next [0] or memory [1]
    struct iom_fifo controls;     ///< control messages to apply at the end of the cycle

    uint64_t held;   ///< requests inside (between ingress and exit)
    uint32_t turn;   ///< input asked first
    uint32_t budget; ///< requests that may still be taken up in budget_cycle
    iom_cycle budget_cycle;
    uint64_t changes; ///< counts what may end a stall: walks done, invalidations, view changes
    /// Per input: the request taken from the inbox that could not be taken up yet, and the value of
    /// `changes` when it was last tried (a stalled request is not tried again for nothing).
    struct iom_ingress {
        struct iom_dma *dma;
        uint64_t tried_at;
    } * ingress;
    uint32_t waiting_inputs;  ///< inputs with a request taken from the inbox
    uint64_t replay_tried_at; ///< the same for the head of `replays`
    iom_cycle replay_from;    ///< replay_after_fill: cycle in which the last fill may be hit

    struct iom_stage_stats stats;
    struct iom_lookup_stats lookup_stats[IOM_LOOKUP_COUNT];
    struct iom_cache_counts counts_base[IOM_LOOKUP_COUNT]; ///< engine counts at the last reset
};

/// Outcome of trying to take a request up.
enum iom_take {
    IOM_TAKEN,   ///< it went on, or waits for a walk
    IOM_STALLED, ///< nothing happened: the miss table has no place
};

static inline struct iom_dma *iom_dma_of(struct iom_msg *msg)
{
    assert(msg->kind == IOM_MSG_DMA);
    return (struct iom_dma *)(void *)msg;
}

/// Takes the look-ups owned here from cycle `now` on; the request has spent `pipeline` ticks more in the
/// stage by the time their result is known.
enum iom_take iom_stage_take(struct iom_stage *stage, struct iom_dma *dma, iom_cycle now, iom_cycle pipeline);
/// The look-up that missed, or the next stage, has answered: go on with what follows from cycle `when`
/// (>= now) on.
void iom_stage_resume(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now);
/// A walk has come back in cycle `now`.
void iom_stage_walk_done(struct iom_stage *stage, struct iom_walk *walk, iom_cycle now);
/// Sends walks that wait for a credit.
void iom_stage_send_walks(struct iom_stage *stage, iom_cycle now);
/// Removes entries, poisons walks under way and sends requests that wait inside back to their start.
void iom_stage_invalidate(struct iom_stage *stage, const struct iom_invalidation *invalidation,
                          iom_cycle now);
/// Requests that wait inside forget what they have resolved.
void iom_stage_start_over(struct iom_stage *stage);

/// Which request part a look-up is charged to.
static inline enum iom_part iom_lookup_part(enum iom_lookup which)
{
    static const uint8_t parts[IOM_LOOKUP_COUNT] = {IOM_PART_CONTEXT, IOM_PART_PASID, IOM_PART_LOOKUP};
    return (enum iom_part)parts[which];
}

/// The request has its result, or goes on to the next stage, in cycle `when` >= now.
void iom_stage_finish(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now);
void iom_stage_forward(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now);
/// A response has come from memory (front).
void iom_stage_complete(struct iom_stage *stage, struct iom_dma *dma, iom_cycle now);
/// Sends requests that wait for a credit.
void iom_stage_send_exits(struct iom_stage *stage, iom_cycle now);

#endif
