// SPDX-License-Identifier: Apache-2.0
//
// The invalidation sequencer that every participant (stage, walker pool, paging-structure cache unit) has:
// one invalidation at a time, the next begins in the cycle behind the one before; each takes the cycles
// of the plan (core/invalidate_cost.h) and is applied at the end of the last. It says when look-ups have
// to wait, and when the unit has to be woken.
//
// A unit calls begin() before the look-ups of a cycle and due() behind them.
#ifndef IOM_CORE_INVALIDATOR_H
#define IOM_CORE_INVALIDATOR_H

#include "core/control.h"
#include "core/invalidate_cost.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_invalidator {
    struct iom_invalidate_plan plan;
    uint32_t own;                ///< enum iom_invalidate_target: caches this unit owns
    struct iom_fifo waiting;     ///< struct iom_control, not begun
    struct iom_control *running; ///< under way, or null
    iom_cycle begun;             ///< first cycle of `running`
    iom_cycle until;             ///< last cycle of `running`
    iom_cycle blocked_until;     ///< last cycle without look-ups; 0 if there was none
    iom_cycle applied;           ///< cycle of the last application, IOM_NEVER before the first
    bool hold;                   ///< set by the owner: begin nothing
};

void iom_invalidator_init(struct iom_invalidator *self, const struct iom_invalidate_plan *plan, uint32_t own);

/// An invalidation has arrived.
static inline void iom_invalidator_push(struct iom_invalidator *self, struct iom_control *control)
{
    iom_fifo_push(&self->waiting, &control->msg);
}

/// Is there anything to do at all? (hot path)
static inline bool iom_invalidator_idle(const struct iom_invalidator *self)
{
    return self->running == NULL && self->waiting.first == NULL;
}

/// Starts the next one if none is running. Cycles in which look-ups will wait are returned (0: none).
uint64_t iom_invalidator_begin(struct iom_invalidator *self, const struct iom_unit *unit, iom_cycle now);

/// Do look-ups have to wait in `now`?
static inline bool iom_invalidator_blocks(const struct iom_invalidator *self, iom_cycle now)
{
    return self->running != NULL && now <= self->blocked_until;
}

/// Cycles without look-ups of the invalidation begun last.
static inline uint64_t iom_invalidator_blocked(const struct iom_invalidator *self,
                                               const struct iom_unit *unit)
{
    return self->blocked_until == 0 ? 0 : (self->blocked_until - self->begun) / unit->period + 1;
}

/// Will one be applied at the end of `now`? Null if not.
static inline const struct iom_control *iom_invalidator_due_now(const struct iom_invalidator *self,
                                                                iom_cycle now)
{
    return self->running != NULL && now >= self->until ? self->running : NULL;
}

/// The invalidation to be applied at the end of `now`, else null. The caller applies and acknowledges it.
struct iom_control *iom_invalidator_due(struct iom_invalidator *self, iom_cycle now);

/// Next cycle in which the unit must run on account of invalidations, IOM_NEVER if there is none.
iom_cycle iom_invalidator_next(const struct iom_invalidator *self, const struct iom_unit *unit,
                               iom_cycle now);

#ifdef __cplusplus
}
#endif

#endif
