// SPDX-License-Identifier: Apache-2.0
//
// The operations of a program: each is made of a few steps, entered by the thread's phase. See host.h.
#include <string.h>

#include "traffic/host_internal.h"

// ---- what an operation refers to ---------------------------------------------------------------------

static uint32_t round_of(const struct iom_host_thread *thread)
{
    return thread->depth != 0 ? thread->loops[thread->depth - 1].round : 0;
}

struct iom_host_range *iom_host_range_of(const struct iom_host *host, const struct iom_host_thread *thread)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    if (op->slot == IOM_HOST_NO_SLOT || host->config.slot_count == 0)
        return NULL;
    uint64_t slot = op->slot + (uint64_t)round_of(thread) * op->slot_step;
    return &host->slots[slot % host->config.slot_count];
}

uint64_t iom_host_iova(const struct iom_host *host, const struct iom_host_thread *thread)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    const struct iom_host_range *range = iom_host_range_of(host, thread);
    return op->iova + round_of(thread) * op->iova_step + (range != NULL ? range->iova : 0);
}

uint64_t iom_host_address(const struct iom_host_thread *thread)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    bool steps = op->kind != IOM_HOST_SG_MAP; // there the step is between segments
    return op->address + (steps ? round_of(thread) * op->address_step : 0);
}

// ---- reports -----------------------------------------------------------------------------------------

void iom_host_begin_account(struct iom_host_thread *thread, iom_cycle now)
{
    thread->begun = thread->mark = now;
    memset(thread->part, 0, sizeof thread->part);
    thread->result = IOM_HOST_OK;
    thread->submissions = thread->commands = 0;
}

void iom_host_report(struct iom_host *host, const struct iom_host_thread *thread,
                     enum iom_host_report_kind kind, iom_cycle now)
{
    if (host->config.on_report == NULL)
        return;
    struct iom_host_report report = {.kind = kind,
                                     .thread = thread->index,
                                     .op = thread->op,
                                     .round = round_of(thread),
                                     .begun = thread->begun,
                                     .ended = now,
                                     .result = thread->result,
                                     .iova = thread->iova,
                                     .submissions = thread->submissions,
                                     .commands = thread->commands};
    if (thread->op < thread->program.count)
        report.what = iom_host_op_of(thread);
    memcpy(report.part, thread->part, sizeof report.part);
    host->config.on_report(host->config.hook_context, &report);
}

// ---- DMA ---------------------------------------------------------------------------------------------

// Cookie of a DMA: thread, operation, round.
#define COOKIE_OP_SHIFT 16u
#define COOKIE_ROUND_SHIFT 40u

static void send_request(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    struct iom_dma *dma = iom_pool_take(&host->dma_pool);
    if (dma == NULL) {
        iom_host_give_up(host, "out of memory");
        return;
    }
    uint32_t flags = op->flags;
    if (op->pasid != IOM_NO_PASID)
        flags |= IOM_REQ_PASID;
    if ((flags & IOM_REQ_WRITE) != 0 && (flags & IOM_REQ_TRANSLATE) == 0)
        flags |= IOM_REQ_POSTED;
    *dma = (struct iom_dma){.msg = dma->msg, // the rest may hold what was there last
                            .x = {.address = thread->iova,
                                  .bytes = (uint32_t)op->bytes,
                                  .source = host->devices[op->device].source,
                                  .pasid = op->pasid == IOM_NO_PASID ? 0 : op->pasid,
                                  .flags = (uint16_t)flags,
                                  .next = IOM_LOOKUP_CONTEXT,
                                  .outcome = IOM_OUTCOME_NONE},
                            .id = host->dma_sent++,
                            .cookie = thread->index | (uint64_t)thread->op << COOKIE_OP_SHIFT |
                                      (uint64_t)round_of(thread) << COOKIE_ROUND_SHIFT,
                            .issued = now};
    iom_port_send(&host->ports[IOM_HOST_PORT_DMA + op->device], &dma->msg, now);
    thread->in_flight++;
    host->dma_in_flight++;
    host->stats.requests++;
}

void iom_host_take_dma(struct iom_host *host, struct iom_dma *dma, iom_cycle now)
{
    struct iom_host_thread *thread = &host->threads[iom_bits(dma->cookie, COOKIE_OP_SHIFT - 1, 0)];
    uint32_t op = (uint32_t)iom_bits(dma->cookie, COOKIE_ROUND_SHIFT - 1, COOKIE_OP_SHIFT);
    thread->in_flight--;
    host->dma_in_flight--;
    host->stats.faults += dma->x.outcome == IOM_OUTCOME_FAULT || dma->x.outcome == IOM_OUTCOME_DENIED;
    if (host->config.on_report == NULL)
        return;
    const struct iom_host_report report = {.kind = IOM_HOST_REPORT_REQUEST,
                                           .thread = thread->index,
                                           .op = op,
                                           .round = (uint32_t)(dma->cookie >> COOKIE_ROUND_SHIFT),
                                           .what = &thread->program.ops[op],
                                           .begun = dma->issued,
                                           .ended = now,
                                           .iova = dma->x.address,
                                           .dma = dma};
    host->config.on_report(host->config.hook_context, &report);
}

// ---- loops -------------------------------------------------------------------------------------------

static uint32_t matching_end(const struct iom_host_program *program, uint32_t at)
{
    uint32_t depth = 0;
    for (;; at++) {
        depth += program->ops[at].kind == IOM_HOST_REPEAT;
        depth -= program->ops[at].kind == IOM_HOST_END;
        if (depth == 0)
            return at;
    }
}

static void enter_loop(struct iom_host_thread *thread)
{
    if (iom_host_op_of(thread)->count == 0) {
        thread->op = matching_end(&thread->program, thread->op);
        return;
    }
    thread->loops[thread->depth++] = (struct iom_host_loop){thread->op, 0};
}

static void end_round(struct iom_host_thread *thread)
{
    struct iom_host_loop *loop = &thread->loops[thread->depth - 1];
    if (++loop->round < thread->program.ops[loop->op].count)
        thread->op = loop->op;
    else
        thread->depth--;
}

// ---- primitives --------------------------------------------------------------------------------------
// Each returns whether a step has begun; false: the operation is over.

static bool change_tables(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    struct iom_store store = {iom_host_address(thread), op->value, op->width};
    bool leaf_only = true;
    thread->call_serial = ++host->serial;
    switch (op->kind) {
    case IOM_HOST_TABLE_ATTACH:
        thread->result = iom_host_table_attach(host, thread, op->device, op->pasid, op->domain, now);
        break;
    case IOM_HOST_TABLE_DETACH:
        thread->result = iom_host_table_detach(host, thread, op->device, op->pasid, now);
        break;
    case IOM_HOST_TABLE_MAP:
        thread->result = iom_host_table_map(host, thread, thread->iova, store.address, op->bytes, now);
        break;
    case IOM_HOST_TABLE_UNMAP:
        thread->result = iom_host_table_unmap(host, thread, thread->iova, op->bytes,
                                              (op->options & IOM_HOST_PRUNE) != 0, &leaf_only, now);
        break;
    default:
        iom_host_open_stores(host, thread, now);
        if (!iom_host_store(host, thread, true, &store))
            iom_host_give_up(host, "out of memory");
        break;
    }
    host->stats.refused += thread->result != IOM_HOST_OK;
    bool fence = (op->options & IOM_HOST_WAIT_STORES) != 0;
    iom_host_begin_step(thread, fence ? IOM_STEP_FENCE : IOM_STEP_LEAVE, IOM_HOST_PART_TABLE);
    return true;
}

static bool write_back(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    uint64_t lines = iom_host_write_back(host, thread, 0, op->address, op->bytes, now);
    iom_host_begin_step(thread, IOM_STEP_LEAVE, IOM_HOST_PART_TABLE);
    thread->step.until = now + iom_host_ticks(host, lines * host->config.costs.write_back_cycles);
    return true;
}

// A full batch goes first, as Linux does.
static bool append(struct iom_host *host, struct iom_host_thread *thread)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    if (thread->batched == host->config.batch) {
        iom_host_begin_submit(thread, true);
        thread->phase = 0;
        return true;
    }
    if (op->kind == IOM_HOST_COMMAND) {
        memcpy(&thread->batch[(size_t)thread->batched * IOM_COMMAND_WORDS], op->words, sizeof op->words);
        thread->batched++;
    } else if (!iom_host_append(host, thread, &op->flush)) {
        thread->result = IOM_HOST_REFUSED;
        host->stats.refused++;
    }
    return false;
}

static bool wait_for(struct iom_host_thread *thread, enum iom_host_step_kind kind, uint32_t index,
                     uint64_t count)
{
    iom_host_begin_step(thread, kind, kind == IOM_STEP_LOCK ? IOM_HOST_PART_LOCK : IOM_HOST_PART_CALL);
    thread->step.index = index;
    thread->step.count = count;
    return true;
}

static uint32_t times(const struct iom_host_op *op)
{
    return op->count != 0 ? op->count : 1;
}

// First phase of an operation.
static bool begin_primitive(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    switch (op->kind) {
    case IOM_HOST_DELAY:
        iom_host_spend(host, thread, IOM_HOST_PART_CALL, op->cycles, now);
        return true;
    case IOM_HOST_UNTIL:
        iom_host_begin_step(thread, IOM_STEP_SPEND, IOM_HOST_PART_CALL);
        thread->step.until = iom_unit_edge(&host->unit, op->cycles);
        return true;
    case IOM_HOST_LOCK:
        return wait_for(thread, IOM_STEP_LOCK, op->object, 0);
    case IOM_HOST_UNLOCK:
        iom_host_unlock(host, thread, op->object, now);
        return false;
    case IOM_HOST_SIGNAL:
        host->events[op->object] += times(op);
        return false;
    case IOM_HOST_AWAIT:
        thread->awaited[op->object] += times(op);
        return wait_for(thread, IOM_STEP_AWAIT, op->object, thread->awaited[op->object]);
    case IOM_HOST_REPEAT:
        enter_loop(thread);
        return false;
    case IOM_HOST_END:
        end_round(thread);
        return false;
    case IOM_HOST_MARK:
        iom_host_report(host, thread, IOM_HOST_REPORT_MARK, now);
        return false;
    case IOM_HOST_TABLE_ATTACH:
    case IOM_HOST_TABLE_DETACH:
    case IOM_HOST_TABLE_MAP:
    case IOM_HOST_TABLE_UNMAP:
    case IOM_HOST_STORE:
        return change_tables(host, thread, now);
    case IOM_HOST_WRITE_BACK:
        return write_back(host, thread, now);
    case IOM_HOST_FENCE:
        return wait_for(thread, IOM_STEP_FENCE, 0, 0);
    case IOM_HOST_FLUSH:
    case IOM_HOST_COMMAND:
        return append(host, thread);
    case IOM_HOST_SUBMIT:
        if (thread->batched == 0)
            return false;
        iom_host_begin_submit(thread, false);
        return true;
    case IOM_HOST_SYNC:
        iom_host_begin_submit(thread, true);
        return true;
    case IOM_HOST_REGISTER:
        wait_for(thread, IOM_STEP_REGISTER, 0, 0);
        thread->step.mmio = op->mmio;
        return true;
    case IOM_HOST_REQUEST:
        return wait_for(thread, IOM_STEP_REQUEST, op->device, 0);
    case IOM_HOST_AWAIT_REQUESTS:
        return wait_for(thread, IOM_STEP_REQUESTS, 0, 0);
    case IOM_HOST_REMOVE:
        host->devices[op->device].removed = true;
        return false;
    default:
        return false;
    }
}

// ---- sequence ----------------------------------------------------------------------------------------

enum phase { PHASE_BEGIN, PHASE_STEPPED, PHASE_COST };

static bool costs_nothing(enum iom_host_op_kind kind)
{
    return kind == IOM_HOST_DELAY || kind == IOM_HOST_UNTIL || kind == IOM_HOST_REPEAT ||
           kind == IOM_HOST_END || kind == IOM_HOST_MARK;
}

static void end_operation(struct iom_host *host, struct iom_host_thread *thread)
{
    thread->op++;
    thread->running = false;
    host->stats.operations++;
}

static bool next_of_primitive(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    enum iom_host_op_kind kind = iom_host_op_of(thread)->kind;
    if (thread->phase == PHASE_BEGIN) {
        thread->phase = PHASE_STEPPED;
        if (begin_primitive(host, thread, now))
            return true;
    }
    if (thread->phase == PHASE_STEPPED) {
        if (kind == IOM_HOST_REQUEST)
            send_request(host, thread, now);
        if (kind == IOM_HOST_SYNC || kind == IOM_HOST_REGISTER)
            iom_host_report(host, thread, IOM_HOST_REPORT_SYNC, now);
        thread->phase = PHASE_COST;
        if (!costs_nothing(kind) && host->config.costs.op_cycles != 0) {
            iom_host_spend(host, thread, IOM_HOST_PART_CALL, host->config.costs.op_cycles, now);
            return true;
        }
    }
    end_operation(host, thread);
    return true;
}

bool iom_host_next_step(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    if (thread->index + 1 == host->thread_count)
        return iom_host_timer_next(host, thread, now);
    if (!host->ready || thread->op == thread->program.count)
        return false;
    if (thread->program.start > now) {
        if (thread->program.start != IOM_NEVER)
            iom_host_wake_at(thread, iom_unit_edge(&host->unit, thread->program.start));
        return false;
    }
    bool call = iom_host_op_of(thread)->kind >= IOM_HOST_MAP;
    if (!thread->running) {
        thread->running = true;
        thread->phase = PHASE_BEGIN;
        iom_host_begin_account(thread, now);
        thread->iova = iom_host_iova(host, thread);
        if (call)
            iom_host_call_begin(host, thread);
    }
    if (!call)
        return next_of_primitive(host, thread, now);
    if (!iom_host_call_next(host, thread, now))
        end_operation(host, thread);
    return true;
}
