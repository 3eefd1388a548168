// SPDX-License-Identifier: Apache-2.0
//
// The rules of replay: when the next record of an operation may be carried out. See replay.h for the
// rules in words and replay_internal.h for the parts.
#include <string.h>

#include "traffic/replay_internal.h"

enum verdict {
    VERDICT_GO,      ///< carry it out
    VERDICT_ANSWER,  ///< an answer to the operation itself will wake it
    VERDICT_OTHERS,  ///< wait for other operations
    VERDICT_LATENCY, ///< wait until ready_at
};

// ---- waking ------------------------------------------------------------------------------------------

void replay_wake(struct iom_replay *replay, uint32_t index)
{
    struct replay_op *op = &replay->ops[index];
    if (op->wait != REPLAY_WAIT_NOTHING || op->queued)
        return;
    op->queued = true;
    replay_list_push(replay, &replay->run, index);
}

void replay_wake_others(struct iom_replay *replay)
{
    while (replay->others.head != IOM_REPLAY_NONE) {
        uint32_t index = replay_list_pop(replay, &replay->others);
        replay->ops[index].wait = REPLAY_WAIT_NOTHING;
        replay_wake(replay, index);
    }
}

static void wait_in(struct iom_replay *replay, uint32_t index, struct replay_list *list,
                    enum replay_wait wait)
{
    replay->ops[index].wait = (uint8_t)wait;
    replay_list_push(replay, list, index);
}

// Most operations wait equally long, so the place is nearly always the end.
static void wait_until(struct iom_replay *replay, uint32_t index)
{
    struct replay_list *list = &replay->latency;
    iom_cycle ready_at = replay->ops[index].ready_at;
    if (list->head == IOM_REPLAY_NONE || replay->ops[list->tail].ready_at <= ready_at) {
        wait_in(replay, index, list, REPLAY_WAIT_LATENCY);
        return;
    }
    uint32_t *link = &list->head;
    while (replay->ops[*link].ready_at <= ready_at)
        link = &replay->ops[*link].next;
    replay->ops[index].wait = REPLAY_WAIT_LATENCY;
    replay->ops[index].next = *link;
    *link = index;
}

// ---- dependences between operations ------------------------------------------------------------------

static bool ranges_meet(const struct iom_trace_record *a, const struct iom_trace_record *b)
{
    return a->iova <= b->iova + (b->bytes - 1) && b->iova <= a->iova + (a->bytes - 1);
}

// True if the DMA of `record` must wait for the sequence: a map of its address or an attachment of its device
// was recorded before it and is not in effect yet.
static bool setup_before(const struct iom_replay *replay, const struct replay_record *dma)
{
    const struct replay_op *sequence = &replay->ops[IOM_REPLAY_SEQUENCE];
    if (sequence->stores != 0 && sequence->unacknowledged_position < dma->position)
        return true;
    if (replay->sequence_setups == 0)
        return false;
    for (uint32_t i = sequence->head; i != IOM_REPLAY_NONE; i = replay->records[i].next) {
        const struct replay_record *setup = &replay->records[i];
        if (setup->position > dma->position)
            return false;
        if (setup->record.kind == IOM_TRACE_MAP
                ? ranges_meet(&setup->record, &dma->record)
                : iom_replay_is_setup(setup->record.kind) && setup->record.device == dma->record.device)
            return true;
    }
    return false;
}

// True if a record of `op` before `position` is a DMA that `end` (an unmap or detachment) would hit.
static bool holds_dma(const struct iom_replay *replay, const struct replay_op *op,
                      const struct replay_record *end)
{
    for (uint32_t i = op->head; i != IOM_REPLAY_NONE; i = replay->records[i].next) {
        const struct replay_record *held = &replay->records[i];
        if (held->position > end->position)
            return false;
        if (held->record.kind == IOM_TRACE_DMA &&
            (end->record.kind == IOM_TRACE_UNMAP ? ranges_meet(&end->record, &held->record)
                                                 : end->record.device == held->record.device))
            return true;
    }
    return false;
}

// True if DMA of operations that `end` would hit were recorded before it and are not over yet.
static bool dma_before(const struct iom_replay *replay, const struct replay_record *end)
{
    for (uint32_t i = replay->oldest; i != IOM_REPLAY_NONE; i = replay->ops[i].newer) {
        const struct replay_op *op = &replay->ops[i];
        if ((op->dma != 0 && op->dma_position < end->position) || holds_dma(replay, op, end))
            return true;
    }
    for (uint32_t i = replay->pending.head; i != IOM_REPLAY_NONE; i = replay->ops[i].next) {
        if (holds_dma(replay, &replay->ops[i], end))
            return true;
    }
    return false;
}

// True if an unmap recorded before the map of `record` is still to come for some page of it.
static bool unmap_before(const struct iom_replay *replay, uint32_t record)
{
    const struct replay_record *map = &replay->records[record];
    for (uint32_t i = 0; i < replay->unmap_count; i++) {
        const struct replay_record *unmap = &replay->records[replay->unmaps[i]];
        if (unmap->position > map->position)
            return false; // they are in order of the trace
        if (unmap->record.domain == map->record.domain && ranges_meet(&unmap->record, &map->record))
            return true;
    }
    return false;
}

// ---- DMA ---------------------------------------------------------------------------------------------

// Order within an operation: ring accesses one by one, then (a latency later) data side by side, then
// completion entries.
static enum verdict judge_class(struct iom_replay *replay, struct replay_op *op, uint8_t klass, iom_cycle now)
{
    bool data = klass == IOM_TRACE_DMA_DATA || klass == IOM_TRACE_DMA_OTHER;
    bool same_phase = op->any_dma && (data ? op->last_class == IOM_TRACE_DMA_DATA : op->last_class == klass);
    if (klass == IOM_TRACE_DMA_RING)
        same_phase = false;
    if (!same_phase && op->dma != 0)
        return VERDICT_ANSWER;
    uint32_t limit = replay->config.data_outstanding;
    if (op->dma >= limit)
        return VERDICT_ANSWER;
    bool fetched = op->any_dma && op->last_class == IOM_TRACE_DMA_RING;
    if (data && fetched && !op->latency_passed && replay->config.device_latency != 0 &&
        replay->config.mode == IOM_REPLAY_CLOSED_LOOP) {
        op->latency_passed = true;
        op->ready_at = now + replay->config.device_latency;
        return VERDICT_LATENCY;
    }
    return VERDICT_GO;
}

static enum verdict judge_dma(struct iom_replay *replay, uint32_t index, const struct replay_record *record,
                              iom_cycle now)
{
    struct replay_op *op = &replay->ops[index];
    if (op->stores != 0)
        return VERDICT_ANSWER;
    if (op->call_until > now) {
        op->ready_at = op->call_until;
        return VERDICT_LATENCY;
    }
    if (index == IOM_REPLAY_SEQUENCE)
        return VERDICT_GO;
    if (!op->forced && setup_before(replay, record))
        return VERDICT_OTHERS;
    return judge_class(replay, op, record->record.detail, now);
}

// True if it was sent; else the operation waits for its device.
static bool send_dma(struct iom_replay *replay, uint32_t index, iom_cycle now)
{
    struct replay_op *op = &replay->ops[index];
    const struct iom_trace_record *record = &replay->records[op->head].record;
    uint32_t number = replay_find_device(replay, record->device);
    if (number == replay->device_count) {
        replay_give_up(replay, "a DMA record names a device that the trace's header does not list");
        return false;
    }
    struct replay_device *device = &replay->devices[number];
    if (!replay_can_send(replay, device, now)) {
        wait_in(replay, index, &device->waiting, REPLAY_WAIT_DEVICE);
        return false;
    }
    replay_send(replay, index, device, record, now);
    op->any_dma = true;
    op->last_class = record->detail == IOM_TRACE_DMA_OTHER ? IOM_TRACE_DMA_DATA : record->detail;
    if (op->last_class == IOM_TRACE_DMA_RING)
        op->latency_passed = false;
    if (op->dma++ == 0)
        op->dma_position = replay->records[op->head].position;
    replay_drop_record(replay, index);
    return true;
}

// ---- calls of the driver -----------------------------------------------------------------------------

static enum verdict judge_call(const struct iom_replay *replay, uint32_t index, uint32_t record)
{
    const struct replay_op *op = &replay->ops[index];
    uint8_t kind = replay->records[record].record.kind;
    if (kind == IOM_TRACE_MAP)
        return !op->forced && unmap_before(replay, record) ? VERDICT_OTHERS : VERDICT_GO;
    if (op->dma != 0)
        return VERDICT_ANSWER;
    if (!op->forced && index == IOM_REPLAY_SEQUENCE && kind != IOM_TRACE_ATTACH &&
        dma_before(replay, &replay->records[record]))
        return VERDICT_OTHERS;
    return VERDICT_GO;
}

static uint8_t permissions_of(uint16_t flags)
{
    unsigned permissions = 0;
    if ((flags & IOM_TRACE_READ) != 0)
        permissions |= IOM_PERM_READ;
    if ((flags & IOM_TRACE_WRITE) != 0)
        permissions |= IOM_PERM_WRITE;
    if ((flags & IOM_TRACE_EXEC) != 0)
        permissions |= IOM_PERM_EXEC;
    return (uint8_t)permissions;
}

static enum iom_mapper_result map_record(struct iom_replay *replay, const struct iom_trace_record *record)
{
    struct iom_mapper *mapper = replay->mapper;
    uint8_t permissions = permissions_of(record->flags);
    replay->stats.maps++;
    replay->stats.bytes_mapped += record->bytes;
    enum iom_mapper_result result = iom_mapper_map(mapper, record->domain, record->iova, record->address,
                                                   record->bytes, permissions, record->page_log2, NULL);
    if (result != IOM_MAPPER_ALREADY)
        return result;
    replay->stats.remaps++;
    result = iom_mapper_unmap(mapper, record->domain, record->iova, record->bytes, NULL);
    if (result != IOM_MAPPER_OK && result != IOM_MAPPER_NOT_MAPPED)
        return result;
    return iom_mapper_map(mapper, record->domain, record->iova, record->address, record->bytes, permissions,
                          record->page_log2, NULL);
}

static enum iom_mapper_result attach_record(struct iom_replay *replay, const struct iom_trace_record *record)
{
    uint32_t source = record->device & UINT16_MAX;
    replay->stats.attaches++;
    enum iom_mapper_result result = iom_mapper_attach(replay->mapper, source, record->pasid, record->domain);
    if (result != IOM_MAPPER_ALREADY)
        return result;
    result = iom_mapper_detach(replay->mapper, source, record->pasid);
    return result != IOM_MAPPER_OK ? result
                                   : iom_mapper_attach(replay->mapper, source, record->pasid, record->domain);
}

enum iom_mapper_result replay_map_record(struct iom_replay *replay, const struct iom_trace_record *record)
{
    enum iom_mapper_result result = IOM_MAPPER_OK;
    switch (record->kind) {
    case IOM_TRACE_ATTACH:
        result = attach_record(replay, record);
        break;
    case IOM_TRACE_DETACH:
        replay->stats.detaches++;
        result = iom_mapper_detach(replay->mapper, record->device & UINT16_MAX, record->pasid);
        break;
    case IOM_TRACE_MAP:
        result = map_record(replay, record);
        break;
    case IOM_TRACE_UNMAP:
        replay->stats.unmaps++;
        replay->stats.bytes_unmapped += record->bytes;
        result = iom_mapper_unmap(replay->mapper, record->domain, record->iova, record->bytes, NULL);
        replay->stats.stray_unmaps += result == IOM_MAPPER_NOT_MAPPED;
        break;
    default:
        assert(false);
    }
    replay->stats.refused += result == IOM_MAPPER_REFUSED;
    return result;
}

void replay_call(struct iom_replay *replay, uint32_t index, iom_cycle now)
{
    struct replay_op *op = &replay->ops[index];
    const struct replay_record *record = &replay->records[op->head];
    bool removes = record->record.kind == IOM_TRACE_UNMAP || record->record.kind == IOM_TRACE_DETACH;
    uint64_t before = iom_store_queue_pending(&replay->stores);

    replay->busy_until = now + (removes ? replay->config.unmap_cycles : replay->config.map_cycles);
    iom_store_queue_open(&replay->stores, index, replay->busy_until);
    uint64_t remaps = replay->stats.remaps;
    enum iom_mapper_result result = replay_map_record(replay, &record->record);
    if (replay->config.driver.present)
        replay_driver_call(replay, index, &record->record, replay->stats.remaps != remaps, now);
    uint64_t stores = iom_store_queue_pending(&replay->stores) - before;
    replay->stats.stores += stores;
    if (op->stores == 0 && stores != 0)
        op->unacknowledged_position = record->position;
    op->stores += stores;
    op->call_until = replay->busy_until;
    op->wait = REPLAY_WAIT_NOTHING;
    replay_drop_record(replay, index);
    if (result == IOM_MAPPER_NO_MEMORY) {
        replay_give_up(replay, "no memory left for translation tables");
        return;
    }
    replay_wake(replay, index);
    replay_wake_others(replay);
}

bool replay_force(struct iom_replay *replay)
{
    uint32_t oldest = replay->others.head;
    if (oldest == IOM_REPLAY_NONE)
        return false;
    for (uint32_t i = oldest; i != IOM_REPLAY_NONE; i = replay->ops[i].next) {
        if (replay->records[replay->ops[i].head].position <
            replay->records[replay->ops[oldest].head].position)
            oldest = i;
    }
    replay->ops[oldest].forced = true;
    replay->stats.forced++;
    replay_wake_others(replay);
    return true;
}

// ---- one operation -----------------------------------------------------------------------------------

static void finish_op(struct iom_replay *replay, uint32_t index, iom_cycle now)
{
    struct replay_op *op = &replay->ops[index];
    op->ended = true;
    replay->active--;
    replay->stats.operations_done++;
    iom_histogram_add(&replay->stats.operation_latency, now - op->begun);
}

static enum verdict judge(struct iom_replay *replay, uint32_t index, iom_cycle now)
{
    struct replay_op *op = &replay->ops[index];
    const struct replay_record *record = &replay->records[op->head];
    if (op->calling)
        return VERDICT_ANSWER;
    switch (record->record.kind) {
    case IOM_TRACE_DMA:
        return judge_dma(replay, index, record, now);
    case IOM_TRACE_OP_END:
        return op->dma != 0 || op->stores != 0 ? VERDICT_ANSWER : VERDICT_GO;
    case IOM_TRACE_OP_BEGIN:
    case IOM_TRACE_MARK:
        return VERDICT_GO;
    default:
        return judge_call(replay, index, op->head);
    }
}

static void pass_mark(struct iom_replay *replay, const struct iom_trace_record *record, iom_cycle now)
{
    replay->stats.marks++;
    if (replay->config.on_mark == NULL)
        return;
    const struct iom_trace_header *header = iom_trace_reader_header(replay->reader);
    const char *text =
        record->text != 0 ? header->list[IOM_TRACE_STRINGS].entry[record->text - 1].text : NULL;
    replay->config.on_mark(replay->config.hook_context, (enum iom_trace_mark)record->detail, text, now);
}

// Carries out the first record. False if the operation has to wait for something it was put down for.
static bool carry_out(struct iom_replay *replay, uint32_t index, iom_cycle now)
{
    const struct iom_trace_record *record = &replay->records[replay->ops[index].head].record;
    switch (record->kind) {
    case IOM_TRACE_DMA:
        return send_dma(replay, index, now);
    case IOM_TRACE_MARK:
        pass_mark(replay, record, now);
        break;
    case IOM_TRACE_OP_BEGIN:
        break;
    case IOM_TRACE_OP_END:
        finish_op(replay, index, now);
        break;
    default:
        wait_in(replay, index, &replay->cpu, REPLAY_WAIT_CPU);
        return false;
    }
    replay_drop_record(replay, index);
    return true;
}

// The operation has no record left.
static void run_dry(struct iom_replay *replay, uint32_t index, iom_cycle now)
{
    struct replay_op *op = &replay->ops[index];
    if (index == IOM_REPLAY_SEQUENCE || op->dma != 0 || op->stores != 0 || op->calling)
        return;
    if (!op->ended) {
        // Without an end mark an operation ends with the trace.
        if (!replay->end_of_trace)
            return;
        replay->starving--;
        finish_op(replay, index, now);
    }
    replay_free_op(replay, index);
    replay_wake_others(replay);
}

void replay_step(struct iom_replay *replay, uint32_t index, iom_cycle now)
{
    while (!replay->failed && replay->ops[index].head != IOM_REPLAY_NONE) {
        switch (judge(replay, index, now)) {
        case VERDICT_GO:
            if (!carry_out(replay, index, now))
                return;
            break;
        case VERDICT_ANSWER:
            return;
        case VERDICT_OTHERS:
            wait_in(replay, index, &replay->others, REPLAY_WAIT_OTHERS);
            return;
        case VERDICT_LATENCY:
            wait_until(replay, index);
            return;
        }
    }
    run_dry(replay, index, now);
}
