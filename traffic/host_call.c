// SPDX-License-Identifier: Apache-2.0
//
// Calls of the driver: one list of stages for all of them, each stage empty where it does not apply.
//
//   lock, cost, address (from the allocator), [flush first], lock for the change, tables, write-back, unlock,
//   commands, flush queue, release of the address, return, unlock
//
// Order after a structure is cleared: tables, write-back if the walker does not snoop, context cache, PASID
// cache, IOTLB, device TLB (VT-d Rev. 4.1, 6.5.3.3 and Linux 6.12, intel/pasid.c). See host.h.
#include <string.h>

#include "traffic/host_internal.h"

enum stage {
    STAGE_LOCK,
    STAGE_COST,
    STAGE_ADDRESS,
    STAGE_FLUSH_FIRST,
    STAGE_LOCK_CHANGE,
    STAGE_TABLES,
    STAGE_WRITE_BACK,
    STAGE_UNLOCK_CHANGE,
    STAGE_PLAN,
    STAGE_COMMANDS,
    STAGE_LAZY,
    STAGE_RELEASE,
    STAGE_RETURN,
    STAGE_OVER,
};

static bool is_map(enum iom_host_op_kind kind)
{
    return kind == IOM_HOST_MAP || kind == IOM_HOST_SG_MAP;
}

static bool is_lazy(const struct iom_host *host, const struct iom_host_thread *thread)
{
    return iom_host_op_of(thread)->kind == IOM_HOST_UNMAP && host->domains[thread->call.domain].queue != NULL;
}

// ---- begin -------------------------------------------------------------------------------------------

static void begin_attachment(const struct iom_host *host, struct iom_host_thread *thread)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    struct iom_host_call *call = &thread->call;
    bool pasid = op->kind == IOM_HOST_PASID_ATTACH || op->kind == IOM_HOST_PASID_DETACH;
    call->device = op->device;
    call->source = host->devices[op->device].source;
    call->pasid = pasid ? op->pasid : IOM_NO_PASID;
    const struct iom_flush_attachment *attachment = iom_host_attachment(host, call->source, call->pasid);
    uint32_t count = iom_host_attachments_of(host, call->source);
    bool attach = op->kind == IOM_HOST_ATTACH || op->kind == IOM_HOST_PASID_ATTACH;
    call->attached = attachment != NULL;
    call->last = count == (attach ? 0 : 1);
    call->old_domain = attachment != NULL && !attach ? attachment->domain : op->domain;
    call->tag_domain = (op->options & IOM_HOST_LATE_DOMAIN) != 0 && !attach ? 0 : call->old_domain;
}

void iom_host_call_begin(struct iom_host *host, struct iom_host_thread *thread)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    struct iom_host_call *call = &thread->call;
    *call = (struct iom_host_call){.domain = IOM_HOST_NOBODY, .leaf_only = true};
    thread->call_serial = ++host->serial;
    switch (op->kind) {
    case IOM_HOST_MAP:
    case IOM_HOST_SG_MAP:
    case IOM_HOST_UNMAP:
    case IOM_HOST_FLUSH_ALL: {
        const struct iom_host_range *range = iom_host_range_of(host, thread);
        call->domain = iom_host_domain_index(host, op->domain);
        call->iova = iom_host_iova(host, thread);
        call->bytes = op->kind == IOM_HOST_SG_MAP ? op->count * op->bytes : op->bytes;
        call->owned = op->kind == IOM_HOST_UNMAP && range != NULL && range->valid &&
                      range->domain == op->domain && op->iova == 0 &&
                      (op->bytes == 0 || op->bytes == range->bytes);
        if (op->kind == IOM_HOST_UNMAP && op->bytes == 0 && range != NULL)
            call->bytes = range->bytes;
        break;
    }
    default:
        begin_attachment(host, thread);
        break;
    }
}

// ---- stages: true when a step has begun --------------------------------------------------------------

static bool lock_stage(struct iom_host_thread *thread, uint32_t option)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    if ((op->options & option) == 0)
        return false;
    iom_host_begin_step(thread, IOM_STEP_LOCK, IOM_HOST_PART_LOCK);
    thread->step.index = op->object;
    thread->call.locked = true;
    return true;
}

static uint32_t cost_of(const struct iom_host *host, enum iom_host_op_kind kind)
{
    switch (kind) {
    case IOM_HOST_MAP:
    case IOM_HOST_SG_MAP:
        return host->config.costs.map_cycles;
    case IOM_HOST_UNMAP:
        return host->config.costs.unmap_cycles;
    case IOM_HOST_FLUSH_ALL:
        return 0;
    default:
        return host->config.costs.attach_cycles;
    }
}

static bool address_stage(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    struct iom_host_call *call = &thread->call;
    struct iom_host_range *range = iom_host_range_of(host, thread);
    if (range == NULL || !is_map(op->kind) || host->domains[call->domain].addresses == NULL)
        return false;
    uint64_t address = 0;
    if (!iom_iova_take(host->domains[call->domain].addresses, thread->program.cpu, call->bytes, &address))
        thread->result = IOM_HOST_NO_ADDRESS;
    *range = (struct iom_host_range){address, call->bytes, op->domain, thread->result == IOM_HOST_OK};
    call->iova = thread->iova = address;
    iom_host_spend(host, thread, IOM_HOST_PART_CALL, host->config.costs.iova_cycles, now);
    return true;
}

static enum iom_host_result change_context(struct iom_host *host, struct iom_host_thread *thread,
                                           iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    if (host->config.pasid_tables) {
        struct iom_store store = {iom_host_address(thread), op->value, op->width};
        iom_host_open_stores(host, thread, now);
        if (op->width != 0 && !iom_host_store(host, thread, true, &store))
            iom_host_give_up(host, "out of memory");
        return IOM_HOST_OK;
    }
    enum iom_host_result result = iom_host_table_detach(host, thread, op->device, IOM_NO_PASID, now);
    if (result != IOM_HOST_OK)
        return result;
    return iom_host_table_attach(host, thread, op->device, IOM_NO_PASID, op->domain, now);
}

static enum iom_host_result change_tables(struct iom_host *host, struct iom_host_thread *thread,
                                          iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    struct iom_host_call *call = &thread->call;
    uint64_t stride = op->address_step != 0 ? op->address_step : op->bytes;
    enum iom_host_result result;
    switch (op->kind) {
    case IOM_HOST_MAP:
        return iom_host_table_map(host, thread, call->iova, iom_host_address(thread), call->bytes, now);
    case IOM_HOST_SG_MAP:
        result = iom_host_table_map(host, thread, call->iova + call->segment * op->bytes,
                                    op->address + call->segment * stride, op->bytes, now);
        call->segment++;
        return result;
    case IOM_HOST_UNMAP:
        result = iom_host_table_unmap(host, thread, call->iova, call->bytes,
                                      (op->options & IOM_HOST_PRUNE) != 0, &call->leaf_only, now);
        call->leaf_only = call->leaf_only || (op->options & IOM_HOST_LEAF_ONLY) != 0;
        return result;
    case IOM_HOST_ATTACH:
    case IOM_HOST_PASID_ATTACH:
        return iom_host_table_attach(host, thread, call->device, call->pasid, op->domain, now);
    case IOM_HOST_DETACH:
    case IOM_HOST_PASID_DETACH:
        return iom_host_table_detach(host, thread, call->device, call->pasid, now);
    case IOM_HOST_CONTEXT_CHANGE:
        return change_context(host, thread, now);
    default:
        return IOM_HOST_OK;
    }
}

// All segments without a flush in between go in one go.
static bool more_segments(const struct iom_host_thread *thread)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    return op->kind == IOM_HOST_SG_MAP && thread->call.segment < op->count;
}

static bool tables_stage(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    bool each = (op->options & IOM_HOST_SYNC_EACH) != 0;
    do {
        enum iom_host_result result = change_tables(host, thread, now);
        if (result != IOM_HOST_OK) {
            thread->result = result;
            break;
        }
    } while (more_segments(thread) && !each);
    bool fence = (op->options & IOM_HOST_WAIT_STORES) != 0;
    iom_host_begin_step(thread, fence ? IOM_STEP_FENCE : IOM_STEP_LEAVE, IOM_HOST_PART_TABLE);
    return true;
}

// A table that another thread has put in on the way to this one's page may still be on its way to memory: the
// call returns when the walker can see the page.
static void note_others(struct iom_host *host, struct iom_host_thread *thread)
{
    for (uint32_t i = 0; i < host->thread_count; i++)
        thread->behind[i] = host->threads[i].stores.tail;
    thread->step.wait = true;
}

static bool write_back_stage(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    if (host->config.coherent || (iom_host_op_of(thread)->options & IOM_HOST_NO_WRITE_BACK) != 0)
        return false;
    uint64_t lines = iom_host_write_back(host, thread, thread->call_serial, 0, 0, now);
    iom_host_begin_step(thread, IOM_STEP_LEAVE, IOM_HOST_PART_TABLE);
    thread->step.until = now + iom_host_ticks(host, lines * host->config.costs.write_back_cycles);
    if (is_map(iom_host_op_of(thread)->kind))
        note_others(host, thread);
    return true;
}

static bool unlock_change_stage(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    bool scans = op->kind == IOM_HOST_CONTEXT_CHANGE && host->config.pasid_tables &&
                 (op->options & IOM_HOST_NO_SCAN) == 0;
    if (thread->call.locked && (op->options & IOM_HOST_LOCKED_CHANGE) != 0 && !scans) {
        thread->call.locked = false;
        iom_host_unlock(host, thread, op->object, now);
    }
    return false;
}

static bool commands_stage(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    if ((iom_host_op_of(thread)->options & IOM_HOST_FLUSH_FIRST) != 0 || is_lazy(host, thread))
        return false;
    if (iom_host_commands_next(host, thread, now))
        return true;
    if (more_segments(thread) && thread->result == IOM_HOST_OK)
        thread->call.stage = STAGE_TABLES - 1; // a flush for each segment
    return false;
}

static bool release_stage(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_call *call = &thread->call;
    struct iom_host_range *range = iom_host_range_of(host, thread);
    if (!call->owned)
        return false;
    range->valid = false;
    if (is_lazy(host, thread) || host->domains[call->domain].addresses == NULL)
        return false;
    iom_iova_give(host->domains[call->domain].addresses, thread->program.cpu, call->iova, call->bytes);
    iom_host_spend(host, thread, IOM_HOST_PART_CALL, host->config.costs.iova_cycles, now);
    return true;
}

// Repeated until it begins no further step: commands and the flush queue take several.
static bool stage(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_host_op *op = iom_host_op_of(thread);
    struct iom_host_call *call = &thread->call;
    switch ((enum stage)call->stage) {
    case STAGE_LOCK:
        call->stage++;
        return lock_stage(thread, IOM_HOST_LOCKED);
    case STAGE_COST:
        call->stage++;
        iom_host_spend(host, thread, IOM_HOST_PART_CALL, cost_of(host, op->kind), now);
        return true;
    case STAGE_ADDRESS:
        call->stage++;
        iom_host_plan_commands(host, thread);
        return address_stage(host, thread, now);
    case STAGE_FLUSH_FIRST:
        if ((op->options & IOM_HOST_FLUSH_FIRST) != 0 && iom_host_commands_next(host, thread, now))
            return true;
        call->stage++;
        return false;
    case STAGE_LOCK_CHANGE:
        call->stage++;
        return lock_stage(thread, IOM_HOST_LOCKED_CHANGE);
    case STAGE_TABLES:
        call->stage++;
        return tables_stage(host, thread, now);
    case STAGE_WRITE_BACK:
        call->stage++;
        return write_back_stage(host, thread, now);
    case STAGE_UNLOCK_CHANGE:
        call->stage++;
        return unlock_change_stage(host, thread, now);
    case STAGE_PLAN:
        call->stage++;
        iom_host_plan_commands(host, thread);
        return false;
    case STAGE_COMMANDS:
        if (commands_stage(host, thread, now))
            return true;
        call->stage++;
        return false;
    case STAGE_LAZY:
        if (is_lazy(host, thread) && iom_host_enqueue_next(host, thread, now))
            return true;
        call->stage++;
        return false;
    case STAGE_RELEASE:
        call->stage++;
        return release_stage(host, thread, now);
    case STAGE_RETURN:
        call->stage++;
        iom_host_spend(host, thread, IOM_HOST_PART_CALL, host->config.costs.return_cycles, now);
        return true;
    case STAGE_OVER:
        break;
    }
    return false;
}

// ---- end ---------------------------------------------------------------------------------------------

void iom_host_call_stats_add(struct iom_host_call_stats *stats, const iom_cycle *part)
{
    iom_histogram_add(&stats->call, part[IOM_HOST_PART_CALL]);
    iom_histogram_add(&stats->table, part[IOM_HOST_PART_TABLE]);
    iom_histogram_add(&stats->lock, part[IOM_HOST_PART_LOCK]);
    iom_histogram_add(&stats->submit, part[IOM_HOST_PART_SUBMIT]);
    iom_histogram_add(&stats->execute, part[IOM_HOST_PART_EXECUTE]);
    iom_histogram_add(&stats->status, part[IOM_HOST_PART_STATUS]);
    iom_histogram_add(&stats->poll, part[IOM_HOST_PART_POLL]);
}

void iom_host_count_call(struct iom_host *host, const struct iom_host_thread *thread, uint32_t kind,
                         iom_cycle now)
{
    struct iom_host_call_stats *stats = &host->calls[kind - IOM_HOST_MAP];
    stats->submissions += thread->submissions;
    stats->commands += thread->commands;
    iom_histogram_add(&stats->time, now - thread->begun);
    iom_host_call_stats_add(stats, thread->part);
}

bool iom_host_call_next(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_call *call = &thread->call;
    const struct iom_host_op *op = iom_host_op_of(thread);
    while (call->stage != STAGE_OVER && host->error[0] == '\0') {
        if (stage(host, thread, now))
            return true;
        // Nothing was changed: nothing to flush either.
        if ((thread->result == IOM_HOST_REFUSED || thread->result == IOM_HOST_NO_ADDRESS) &&
            call->stage < STAGE_RETURN && call->stage > STAGE_ADDRESS && op->kind != IOM_HOST_UNMAP)
            call->stage = STAGE_RETURN;
    }
    if (call->locked)
        iom_host_unlock(host, thread, op->object, now);
    call->locked = false;
    iom_host_tell_tracker(host, thread, now);
    host->stats.refused += thread->result != IOM_HOST_OK;
    iom_host_count_call(host, thread, op->kind, now);
    iom_host_report(host, thread, IOM_HOST_REPORT_CALL, now);
    return false;
}
