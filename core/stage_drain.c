// SPDX-License-Identifier: Apache-2.0
//
// Draining by epochs (the front only). See stage.h, "Drain".
//
// A closed epoch stays in the ring until it is empty and no drain waits in it. Epochs leave the ring oldest
// first, so a drain of an epoch looks at all from the oldest on.
#include "core/stage_internal.h"

static struct iom_epoch *epoch_at(struct iom_stage *stage, uint32_t number)
{
    return &stage->epochs.ring[number % IOM_STAGE_EPOCHS];
}

static enum iom_drain_kind kind_of(const struct iom_dma *dma)
{
    if (dma->x.flags & IOM_REQ_PAGE)
        return IOM_DRAIN_PAGE_REQUESTS;
    return dma->x.flags & IOM_REQ_WRITE && !(dma->x.flags & IOM_REQ_TRANSLATE) ? IOM_DRAIN_WRITES
                                                                               : IOM_DRAIN_READS;
}

// A drain also waits for those that are still in an input: translated requests use entries of a device TLB,
// page requests have been received.
static bool counts_in_input(const struct iom_dma *dma)
{
    return (dma->x.flags & (IOM_REQ_TRANSLATED | IOM_REQ_PAGE)) != 0;
}

// ---- requests ------------------------------------------------------------------------------------------

// The epoch that counted such a request when it was closed, while the request waited in its input; the open
// one if there is none.
static uint32_t epoch_of_waiting(struct iom_stage *stage, const struct iom_dma *dma)
{
    struct iom_epochs *epochs = &stage->epochs;
    uint32_t number = epochs->first;
    while (number != epochs->open && epoch_at(stage, number)->closed_at < dma->msg.arrival)
        number++;
    return number;
}

void iom_stage_enter_epoch(struct iom_stage *stage, struct iom_dma *dma)
{
    dma->epoch = stage->epochs.open;
    if (stage->epochs.first != stage->epochs.open && counts_in_input(dma)) {
        dma->epoch = epoch_of_waiting(stage, dma);
        if (dma->epoch != stage->epochs.open)
            return; // counted already
    }
    epoch_at(stage, dma->epoch)->outstanding[kind_of(dma)]++;
}

void iom_stage_leave_epoch(struct iom_stage *stage, const struct iom_dma *dma)
{
    struct iom_epoch *epoch = epoch_at(stage, dma->epoch);
    assert(epoch->outstanding[kind_of(dma)] != 0);
    epoch->outstanding[kind_of(dma)]--;
}

// ---- drains --------------------------------------------------------------------------------------------

static bool asks_for(const struct iom_control *drain, const uint32_t outstanding[IOM_DRAIN_KINDS])
{
    return (drain->drain_reads && outstanding[IOM_DRAIN_READS] != 0) ||
           (drain->drain_writes && outstanding[IOM_DRAIN_WRITES] != 0) ||
           (drain->drain_page_requests && outstanding[IOM_DRAIN_PAGE_REQUESTS] != 0);
}

static bool is_empty(const uint32_t outstanding[IOM_DRAIN_KINDS])
{
    return outstanding[IOM_DRAIN_READS] == 0 && outstanding[IOM_DRAIN_WRITES] == 0 &&
           outstanding[IOM_DRAIN_PAGE_REQUESTS] == 0;
}

void iom_stage_drained(struct iom_stage *stage, struct iom_msg *msg, iom_cycle now)
{
    ((struct iom_control *)(void *)msg)->removed = 0;
    stage->stats.drains++;
    iom_port_send(&stage->ports[IOM_STAGE_CONTROL], msg, now);
}

// Of page requests: when it comes back from behind them.
static void acknowledge(struct iom_stage *stage, struct iom_msg *msg, iom_cycle now)
{
    bool follows = ((struct iom_control *)(void *)msg)->drain_page_requests &&
                   stage->ports[IOM_STAGE_FAULT].peer != NULL;
    if (!follows) {
        iom_stage_drained(stage, msg, now);
        return;
    }
    iom_fifo_push(&stage->drains_unsent, msg);
    iom_stage_send_drains(stage, now);
}

// Acknowledges the drains of one epoch that need not wait any longer.
static void answer_drains(struct iom_stage *stage, struct iom_epoch *epoch,
                          const uint32_t outstanding[IOM_DRAIN_KINDS], iom_cycle now)
{
    struct iom_fifo waiting = epoch->drains;
    epoch->drains = (struct iom_fifo){0};
    struct iom_msg *msg;
    while ((msg = iom_fifo_pop(&waiting)) != NULL) {
        if (asks_for((struct iom_control *)(void *)msg, outstanding)) {
            iom_fifo_push(&epoch->drains, msg);
        } else {
            stage->epochs.waiting--;
            acknowledge(stage, msg, now);
        }
    }
}

static void settle(struct iom_stage *stage, iom_cycle now)
{
    struct iom_epochs *epochs = &stage->epochs;
    uint32_t outstanding[IOM_DRAIN_KINDS] = {0};
    for (uint32_t number = epochs->first; number != epochs->open; number++) {
        struct iom_epoch *epoch = epoch_at(stage, number);
        outstanding[IOM_DRAIN_READS] += epoch->outstanding[IOM_DRAIN_READS];
        outstanding[IOM_DRAIN_WRITES] += epoch->outstanding[IOM_DRAIN_WRITES];
        outstanding[IOM_DRAIN_PAGE_REQUESTS] += epoch->outstanding[IOM_DRAIN_PAGE_REQUESTS];
        answer_drains(stage, epoch, outstanding, now);
    }
    while (epochs->first != epochs->open) {
        const struct iom_epoch *epoch = epoch_at(stage, epochs->first);
        if (!is_empty(epoch->outstanding) || epoch->drains.first != NULL)
            break;
        epochs->first++;
    }
}

// Requests waiting in the inputs that count and that no epoch has counted yet.
static void count_waiting(struct iom_stage *stage, uint32_t counted[IOM_DRAIN_KINDS], iom_cycle now)
{
    const struct iom_epochs *epochs = &stage->epochs;
    bool closed_before = epochs->first != epochs->open;
    iom_cycle last_close = closed_before ? epoch_at(stage, epochs->open - 1)->closed_at : 0;
    for (uint32_t i = 0; i < stage->config.inputs; i++) {
        struct iom_msg *msg = stage->inputs[i].head;
        for (; msg != NULL && msg->arrival <= now; msg = msg->next) {
            const struct iom_dma *dma = iom_dma_of(msg);
            if (counts_in_input(dma) && !(closed_before && msg->arrival <= last_close))
                counted[kind_of(dma)]++;
        }
    }
}

// Closes the open epoch if there is anything in it; the drain waits in the youngest closed one.
static void begin_drain(struct iom_stage *stage, struct iom_msg *msg, iom_cycle now)
{
    struct iom_epochs *epochs = &stage->epochs;
    struct iom_epoch *open = epoch_at(stage, epochs->open);
    count_waiting(stage, open->outstanding, now);
    if (!is_empty(open->outstanding)) {
        open->closed_at = now;
        epochs->open++;
    }
    if (epochs->first == epochs->open) {
        acknowledge(stage, msg, now); // there is nothing at all
        return;
    }
    epochs->waiting++;
    iom_fifo_push(&epoch_at(stage, epochs->open - 1)->drains, msg);
}

void iom_stage_drain(struct iom_stage *stage, iom_cycle now)
{
    struct iom_epochs *epochs = &stage->epochs;
    settle(stage, now);
    while (epochs->arrived.first != NULL && epochs->open - epochs->first < IOM_STAGE_EPOCHS - 1) {
        begin_drain(stage, iom_fifo_pop(&epochs->arrived), now);
        stage->settled = now;
    }
    settle(stage, now);
}
