// SPDX-License-Identifier: Apache-2.0
//
// Inside of the walker pool, shared by walker.c (life, evaluation, assignment of walkers), walker_step.c
// (what a walk asks for, and the answers) and walker_control.c (views, invalidations).
#ifndef IOM_CORE_WALKER_INTERNAL_H
#define IOM_CORE_WALKER_INTERNAL_H

#include "core/control.h"
#include "core/invalidator.h"
#include "core/memory.h"
#include "core/walker.h"

struct iom_walker_slot {
    struct iom_walk *walk; ///< null: free
    iom_cycle free_from;   ///< when free: first cycle in which it may take a walk
    uint32_t input;        ///< port the walk came through
};

struct iom_walker {
    struct iom_unit unit; // first member: the unit is the pool
    struct iom_walker_config config;
    struct iom_view view;
    struct iom_port *ports;  ///< enum iom_walker_port, then the inputs
    struct iom_port *inputs; ///< ports + IOM_WALKER_PORTS
    struct iom_psc *psc;
    struct iom_pool access_pool, fill_pool;
    struct iom_walker_slot *slots;
    uint64_t *free; ///< bit set of slots without a walk
    uint32_t busy;
    uint32_t turn;
    struct iom_fifo unsent;         ///< memory accesses waiting for a credit
    struct iom_fifo probes;         ///< walks waiting for a credit of the cache unit
    struct iom_fifo blocked_probes; ///< walks waiting for the end of an invalidation of the caches
    struct iom_fifo views;          ///< new views, taken over at the end of the cycle
    struct iom_invalidator invalidator;
    iom_cycle stale_before; ///< walks of requests looked up before this cycle fill no caches (0: none)
    struct iom_walker_stats stats;
};

/// Does what the walk in slot `index` has come to (walk->action), in `when` >= now.
void iom_walker_act(struct iom_walker *pool, uint32_t index, iom_cycle when, iom_cycle now);
/// Sends what waits for credits of memory and of the cache unit.
void iom_walker_send(struct iom_walker *pool, iom_cycle now);
/// Probes that an invalidation has kept waiting.
void iom_walker_take_probes(struct iom_walker *pool, iom_cycle now);
void iom_walker_take_responses(struct iom_walker *pool, iom_cycle now);

void iom_walker_take_controls(struct iom_walker *pool, iom_cycle now);
/// End of the cycle: what was read in it saw the old state.
void iom_walker_end_controls(struct iom_walker *pool, iom_cycle now);

#endif
