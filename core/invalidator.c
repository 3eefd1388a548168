// SPDX-License-Identifier: Apache-2.0
//
// One invalidation at a time. See invalidator.h.
#include "core/invalidator.h"

#include <string.h>

void iom_invalidator_init(struct iom_invalidator *self, const struct iom_invalidate_plan *plan, uint32_t own)
{
    memset(self, 0, sizeof *self);
    self->plan = *plan;
    self->own = own;
    self->applied = IOM_NEVER;
}

// Cycles in which a cache owned here serves nothing.
static uint64_t blocked_cycles(const struct iom_invalidator *self,
                               const struct iom_invalidation *invalidation)
{
    uint64_t cycles = 0;
    for (uint32_t left = self->own; left != 0; left &= left - 1) {
        uint32_t target = left & ~(left - 1);
        if (iom_invalidate_plan_blocks(&self->plan, target))
            cycles = iom_max_u64(cycles, iom_invalidate_plan_target(&self->plan, invalidation, target));
    }
    return cycles;
}

uint64_t iom_invalidator_begin(struct iom_invalidator *self, const struct iom_unit *unit, iom_cycle now)
{
    if (self->running != NULL || self->waiting.first == NULL || self->hold || self->applied == now)
        return 0;
    self->running = (struct iom_control *)(void *)iom_fifo_pop(&self->waiting);
    const struct iom_invalidation *invalidation = &self->running->invalidation;
    self->begun = now;
    self->until = now + iom_unit_ticks(unit, iom_invalidate_plan_cycles(&self->plan, invalidation) - 1);
    uint64_t blocked = blocked_cycles(self, invalidation);
    // Cycle 0 cannot be told from `none`; nothing is looked up before a message has come, in 1 or later.
    self->blocked_until = blocked != 0 ? now + iom_unit_ticks(unit, blocked - 1) : 0;
    return blocked;
}

struct iom_control *iom_invalidator_due(struct iom_invalidator *self, iom_cycle now)
{
    if (self->running == NULL || now < self->until)
        return NULL;
    struct iom_control *control = self->running;
    self->running = NULL;
    self->applied = now;
    return control;
}

iom_cycle iom_invalidator_next(const struct iom_invalidator *self, const struct iom_unit *unit, iom_cycle now)
{
    if (self->running == NULL)
        return self->waiting.first != NULL && !self->hold ? now + unit->period : IOM_NEVER;
    // Look-ups may go on before the end when another cache is slower than the one that blocks.
    if (now <= self->blocked_until)
        return iom_min_u64(self->until, self->blocked_until + unit->period);
    return self->until;
}
