// SPDX-License-Identifier: Apache-2.0
//
// Exits of a look-up stage: PCIe order, DMA to memory, answers to whoever asked, fault reports.
// See stage.h.
#include <stdlib.h>

#include "core/stage_internal.h"

enum exit_index { EXIT_NEXT, EXIT_MEMORY };

static struct iom_port *exit_port(struct iom_stage *stage, enum exit_index which)
{
    return &stage->ports[which == EXIT_NEXT ? IOM_STAGE_NEXT : IOM_STAGE_MEMORY];
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

static void report_fault(struct iom_stage *stage, const struct iom_dma *dma, iom_cycle when)
{
    struct iom_port *port = &stage->ports[IOM_STAGE_FAULT];
    if (!dma->x.fault.recorded || port->peer == NULL)
        return;
    struct iom_fault_report *report = iom_pool_take(&stage->fault_pool);
    if (report == NULL)
        abort(); // a few hundred bytes
    report->fault = dma->x.fault;
    report->detected = when;
    stage->stats.fault_reports++;
    iom_port_send(port, &report->msg, when);
}

// The request leaves this stage through a port that needs a credit; `when` is kept in translated.
static void leave(struct iom_stage *stage, struct iom_dma *dma, enum exit_index which, iom_cycle when,
                  iom_cycle now)
{
    struct iom_port *port = exit_port(stage, which);
    dma->translated = when;
    if (stage->exits[which].first != NULL || !iom_port_can_send(port, now)) {
        stage->stats.exit_waits++;
        iom_fifo_push(&stage->exits[which], &dma->msg);
        return;
    }
    if (which == EXIT_MEMORY)
        count_released(stage, dma);
    iom_port_send(port, &dma->msg, when);
}

void iom_stage_send_exits(struct iom_stage *stage, iom_cycle now)
{
    for (int which = EXIT_NEXT; which <= EXIT_MEMORY; which++) {
        struct iom_port *port = exit_port(stage, (enum exit_index)which);
        while (stage->exits[which].first != NULL && iom_port_can_send(port, now)) {
            struct iom_dma *dma = iom_dma_of(iom_fifo_pop(&stage->exits[which]));
            dma->translated = iom_max_u64(dma->translated, now);
            iom_dma_account(dma, IOM_PART_QUEUEING, dma->translated);
            if (which == EXIT_MEMORY)
                count_released(stage, dma);
            iom_port_send(port, &dma->msg, dma->translated);
        }
    }
}

void iom_stage_forward(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    iom_stage_keep_context(stage, dma);
    leave(stage, dma, EXIT_NEXT, when, now);
}

// ---- the front's exit ----------------------------------------------------------------------------------

static bool goes_to_memory(const struct iom_stage *stage, const struct iom_dma *dma)
{
    return (dma->x.outcome == IOM_OUTCOME_ADDRESS || dma->x.outcome == IOM_OUTCOME_BYPASS) &&
           !(dma->x.flags & IOM_REQ_TRANSLATE) && stage->ports[IOM_STAGE_MEMORY].peer != NULL;
}

// The hazard tracker's interest in a request that does not reach memory ends. A device TLB keeps that in the
// translation it has been given until the entry is there.
static void end_tracking(struct iom_stage *stage, struct iom_dma *dma, iom_cycle now)
{
    if (stage->config.tracker == NULL ||
        (dma->keeps_node && dma->x.flags & IOM_REQ_TRANSLATE && dma->x.outcome == IOM_OUTCOME_ADDRESS))
        return;
    iom_tracker_answered(stage->config.tracker, now, dma);
}

// Its turn has come: to memory, or back with an answer that needs no memory.
static void release(struct iom_stage *stage, struct iom_dma *dma, iom_cycle when, iom_cycle now)
{
    if (dma->mark < when)
        iom_dma_account(dma, IOM_PART_QUEUEING, when);
    if (goes_to_memory(stage, dma)) {
        leave(stage, dma, EXIT_MEMORY, when, now);
        return;
    }
    dma->translated = when;
    count_released(stage, dma);
    if (dma->x.outcome == IOM_OUTCOME_FAULT)
        report_fault(stage, dma, when);
    end_tracking(stage, dma, now);
    answer(stage, dma, when);
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
