// SPDX-License-Identifier: Apache-2.0
//
// Exits of a look-up stage: PCIe order, DMA to memory, answers to whoever asked. See stage.h.
#include "core/stage_internal.h"

static struct iom_port *exit_port(struct iom_stage *stage, enum iom_stage_exit which)
{
    static const uint8_t ports[IOM_STAGE_EXITS] = {IOM_STAGE_NEXT, IOM_STAGE_MEMORY, IOM_STAGE_FAULT};
    return &stage->ports[ports[which]];
}

// ---- statistics of a finished translation ------------------------------------------------------------

static void count_outcome(struct iom_stage *stage, const struct iom_dma *dma)
{
    struct iom_stage_stats *stats = &stage->stats;
    switch ((enum iom_outcome)dma->x.outcome) {
    case IOM_OUTCOME_ADDRESS:
        stats->translated++;
        break;
    case IOM_OUTCOME_BYPASS:
        stats->bypassed++;
        break;
    case IOM_OUTCOME_INTERRUPT:
        stats->interrupts++;
        break;
    case IOM_OUTCOME_DENIED:
        stats->denied++;
        break;
    case IOM_OUTCOME_FAULT:
        stats->faults++;
        break;
    case IOM_OUTCOME_MRIF:
        stats->interrupts++;
        break;
    case IOM_OUTCOME_PAGE:
        stats->page_requests++;
        break;
    case IOM_OUTCOME_NONE:
    case IOM_OUTCOME_RETRY:
        assert(!"a request left without an outcome");
        break;
    }
}

static void count_released(struct iom_stage *stage, struct iom_dma *dma)
{
    struct iom_stage_stats *stats = &stage->stats;
    uint64_t latency = dma->translated - dma->arrived;
    iom_histogram_add(dma->missed != 0 ? &stats->miss_latency : &stats->hit_latency, latency);
    stats->walked += dma->missed != 0;
    stats->queueing_cycles += dma->part[IOM_PART_QUEUEING];
    stats->lookup_cycles += dma->part[IOM_PART_LOOKUP];
    stats->context_cycles += dma->part[IOM_PART_CONTEXT];
    stats->pasid_cycles += dma->part[IOM_PART_PASID];
    stats->walk_cycles += dma->part[IOM_PART_WALK];
    stats->memory_cycles += dma->part[IOM_PART_MEMORY];
    count_outcome(stage, dma);
}

// ---- answers and exits -------------------------------------------------------------------------------

static void answer(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when)
{
    struct iom_port *port = &stage->inputs[iom_msg_pop_route(&dma->msg)];
    stage->held--;
    if (stage->config.front)
        iom_stage_leave_epoch(stage, dma);
    iom_port_send(port, &dma->msg, when);
}

// The hazard tracker's interest in a request that does not reach memory ends. A device TLB keeps that in the
// translation it has been given until the entry is there.
static void end_tracking(struct iom_stage *stage, struct iom_dma *dma, iom_cycle now)
{
    bool granted = dma->x.outcome == IOM_OUTCOME_ADDRESS || dma->x.outcome == IOM_OUTCOME_BYPASS;
    if (stage->config.tracker == NULL || (dma->keeps_node && dma->x.flags & IOM_REQ_TRANSLATE && granted))
        return;
    iom_tracker_answered(stage->config.tracker, now, dma);
}

// An answer that needs no memory leaves in dma->translated.
static void answer_at_once(struct iom_stage *stage, struct iom_dma *dma, bool report, iom_cycle now)
{
    count_released(stage, dma);
    if (report)
        iom_stage_report(stage, dma, dma->translated);
    end_tracking(stage, dma, now);
    answer(stage, dma, dma->translated);
}

// Leaves through an exit whose credit is there, in dma->translated.
static void go(struct iom_stage *stage, struct iom_dma *dma, enum iom_stage_exit which, iom_cycle now)
{
    if (which == IOM_EXIT_REPORT) {
        answer_at_once(stage, dma, true, now);
        return;
    }
    if (which == IOM_EXIT_MEMORY)
        count_released(stage, dma);
    iom_port_send(exit_port(stage, which), &dma->msg, dma->translated);
}

// The request leaves this stage through a port that needs a credit; `when` is kept in translated.
static void leave(struct iom_stage *stage, struct iom_dma *dma, enum iom_stage_exit which, iom_cycle when,
                  iom_cycle now)
{
    dma->translated = when;
    if (stage->exits[which].first == NULL && iom_port_can_send(exit_port(stage, which), now)) {
        go(stage, dma, which, now);
        return;
    }
    *(which == IOM_EXIT_REPORT ? &stage->stats.report_waits : &stage->stats.exit_waits) += 1;
    stage->exits_waiting++;
    iom_fifo_push(&stage->exits[which], &dma->msg);
}

void iom_stage_send_exits(struct iom_stage *stage, iom_cycle now)
{
    for (int which = 0; which < IOM_STAGE_EXITS; which++) {
        struct iom_port *port = exit_port(stage, (enum iom_stage_exit)which);
        while (stage->exits[which].first != NULL && iom_port_can_send(port, now)) {
            struct iom_dma *dma = iom_dma_of(iom_fifo_pop(&stage->exits[which]));
            stage->exits_waiting--;
            dma->translated = iom_max_u64(dma->translated, now);
            iom_dma_account(dma, IOM_PART_QUEUEING, dma->translated);
            go(stage, dma, (enum iom_stage_exit)which, now);
        }
    }
}

void iom_stage_forward(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    iom_stage_keep_context(stage, dma);
    leave(stage, dma, IOM_EXIT_NEXT, when, now);
}

// ---- the front's exit ----------------------------------------------------------------------------------

static bool goes_to_memory(const struct iom_stage *stage, const struct iom_dma *dma)
{
    return (dma->x.outcome == IOM_OUTCOME_ADDRESS || dma->x.outcome == IOM_OUTCOME_BYPASS) &&
           !(dma->x.flags & (IOM_REQ_TRANSLATE | IOM_REQ_DEBUG)) &&
           stage->ports[IOM_STAGE_MEMORY].peer != NULL;
}

// Its turn has come: to memory, or back with an answer that needs no memory.
static void release(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    if (dma->mark < when)
        iom_dma_account(dma, IOM_PART_QUEUEING, when);
    if (goes_to_memory(stage, dma)) {
        leave(stage, dma, IOM_EXIT_MEMORY, when, now);
    } else if (iom_stage_has_report(stage, dma)) {
        leave(stage, dma, IOM_EXIT_REPORT, when, now);
    } else {
        dma->translated = when;
        answer_at_once(stage, dma, false, now);
    }
}

void iom_stage_finish(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    if (!stage->config.front) {
        answer(stage, dma, when);
        return;
    }
    if (dma->restarts == IOM_STAGE_PATIENCE) {
        dma->restarts = 0;
        iom_stage_fed(stage, now);
    }
    if (!dma->ordered) {
        release(stage, dma, when, now);
        return;
    }
    uint32_t requester = dma->requester;
    iom_cycle depart = when;
    if (!iom_order_leave(stage->order, dma, &depart)) {
        stage->stats.order_waits++;
        return;
    }
    release(stage, dma, depart, now);
    while ((dma = iom_order_next(stage->order, requester, &depart)) != NULL)
        release(stage, dma, iom_max_u64(depart, now), now);
}

void iom_stage_complete(struct iom_stage *stage, struct iom_dma *dma, iom_cycle now)
{
    answer(stage, dma, now);
}
