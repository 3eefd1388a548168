// SPDX-License-Identifier: Apache-2.0
//
// The replayer's window on the trace. See replay_internal.h.
//
// Closed loop: a record is read when an operation in progress has none left, or when another operation
// could begin and none is waiting. Scaled time: when it is due. So the window holds what lies between
// the first and the last record of the operations in progress, and no more.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/replay_internal.h"

#define DEFAULT_WINDOW (UINT32_C(1) << 20)
// Records of op 0 waiting to be carried out beyond which reading for new operations pauses.
#define SEQUENCE_BACKLOG 64u

// ---- lists -------------------------------------------------------------------------------------------

void replay_list_push(struct iom_replay *replay, struct replay_list *list, uint32_t op)
{
    replay->ops[op].next = IOM_REPLAY_NONE;
    if (list->head == IOM_REPLAY_NONE)
        list->head = op;
    else
        replay->ops[list->tail].next = op;
    list->tail = op;
}

uint32_t replay_list_pop(struct iom_replay *replay, struct replay_list *list)
{
    uint32_t op = list->head;
    list->head = replay->ops[op].next;
    if (list->head == IOM_REPLAY_NONE)
        list->tail = IOM_REPLAY_NONE;
    return op;
}

// ---- storage -----------------------------------------------------------------------------------------

static bool grow_records(struct iom_replay *replay)
{
    uint32_t wanted = replay->record_capacity != 0 ? replay->record_capacity * 2 : 256;
    struct replay_record *grown = realloc(replay->records, wanted * sizeof *grown);
    if (grown == NULL)
        return false;
    replay->records = grown;
    for (uint32_t i = wanted; i > replay->record_capacity; i--) {
        grown[i - 1].next = replay->record_free;
        replay->record_free = i - 1;
    }
    replay->record_capacity = wanted;
    return true;
}

static uint32_t take_record(struct iom_replay *replay)
{
    uint32_t limit = replay->config.window_records != 0 ? replay->config.window_records : DEFAULT_WINDOW;
    if (replay->records_held == limit) {
        replay_give_up(replay, "operations of the trace overlap further than the window holds records; "
                               "raise window_records or the queue depth");
        return IOM_REPLAY_NONE;
    }
    if (replay->record_free == IOM_REPLAY_NONE && !grow_records(replay)) {
        replay_give_up(replay, "out of memory");
        return IOM_REPLAY_NONE;
    }
    uint32_t index = replay->record_free;
    replay->record_free = replay->records[index].next;
    if (++replay->records_held > replay->stats.most_records_held)
        replay->stats.most_records_held = replay->records_held;
    return index;
}

static void give_record(struct iom_replay *replay, uint32_t index)
{
    replay->records[index].next = replay->record_free;
    replay->record_free = index;
    replay->records_held--;
}

static bool grow_ops(struct iom_replay *replay)
{
    uint32_t wanted = replay->op_capacity != 0 ? replay->op_capacity * 2 : 64;
    struct replay_op *grown = realloc(replay->ops, wanted * sizeof *grown);
    if (grown == NULL)
        return false;
    replay->ops = grown;
    for (uint32_t i = wanted; i > replay->op_capacity; i--) {
        grown[i - 1].next = replay->op_free;
        replay->op_free = i - 1;
    }
    replay->op_capacity = wanted;
    return true;
}

static uint32_t take_op(struct iom_replay *replay, uint64_t id)
{
    if (replay->op_free == IOM_REPLAY_NONE && !grow_ops(replay)) {
        replay_give_up(replay, "out of memory");
        return IOM_REPLAY_NONE;
    }
    uint32_t index = replay->op_free;
    struct replay_op *op = &replay->ops[index];
    replay->op_free = op->next;
    *op = (struct replay_op){.id = id,
                             .head = IOM_REPLAY_NONE,
                             .tail = IOM_REPLAY_NONE,
                             .next = IOM_REPLAY_NONE,
                             .older = IOM_REPLAY_NONE,
                             .newer = IOM_REPLAY_NONE};
    uint32_t *bucket = &replay->buckets[id % IOM_REPLAY_BUCKETS];
    op->hash_next = *bucket;
    *bucket = index;
    return index;
}

static uint32_t find_op(const struct iom_replay *replay, uint64_t id)
{
    uint32_t index = replay->buckets[id % IOM_REPLAY_BUCKETS];
    while (index != IOM_REPLAY_NONE && replay->ops[index].id != id)
        index = replay->ops[index].hash_next;
    return index;
}

void replay_free_op(struct iom_replay *replay, uint32_t index)
{
    struct replay_op *op = &replay->ops[index];
    uint32_t *link = &replay->buckets[op->id % IOM_REPLAY_BUCKETS];
    while (*link != index)
        link = &replay->ops[*link].hash_next;
    *link = op->hash_next;
    *(op->older != IOM_REPLAY_NONE ? &replay->ops[op->older].newer : &replay->oldest) = op->newer;
    *(op->newer != IOM_REPLAY_NONE ? &replay->ops[op->newer].older : &replay->newest) = op->older;
    op->next = replay->op_free;
    replay->op_free = index;
}

bool replay_window_init(struct iom_replay *replay)
{
    replay->record_free = replay->op_free = replay->ahead = IOM_REPLAY_NONE;
    replay->oldest = replay->newest = IOM_REPLAY_NONE;
    const struct replay_list empty = {IOM_REPLAY_NONE, IOM_REPLAY_NONE};
    replay->pending = replay->run = replay->others = replay->cpu = replay->latency = empty;
    for (uint32_t i = 0; i < replay->device_count; i++)
        replay->devices[i].waiting = empty;
    for (uint32_t i = 0; i < IOM_REPLAY_BUCKETS; i++)
        replay->buckets[i] = IOM_REPLAY_NONE;
    // The first operation taken gets index 0: the sequence, always in progress.
    if (!grow_ops(replay) || take_op(replay, 0) != IOM_REPLAY_SEQUENCE)
        return false;
    replay->ops[IOM_REPLAY_SEQUENCE].active = true;
    return true;
}

void replay_window_free(struct iom_replay *replay)
{
    free(replay->records);
    free(replay->ops);
    free(replay->unmaps);
}

// ---- records into operations -------------------------------------------------------------------------

static bool remember_unmap(struct iom_replay *replay, uint32_t record)
{
    if (replay->unmap_count == replay->unmap_capacity) {
        uint32_t wanted = replay->unmap_capacity != 0 ? replay->unmap_capacity * 2 : 64;
        uint32_t *grown = realloc(replay->unmaps, wanted * sizeof *grown);
        if (grown == NULL) {
            replay_give_up(replay, "out of memory");
            return false;
        }
        replay->unmaps = grown;
        replay->unmap_capacity = wanted;
    }
    replay->unmaps[replay->unmap_count++] = record;
    return true;
}

static void forget_unmap(struct iom_replay *replay, uint32_t record)
{
    uint32_t i = 0;
    while (replay->unmaps[i] != record)
        i++;
    replay->unmap_count--;
    memmove(&replay->unmaps[i], &replay->unmaps[i + 1], (replay->unmap_count - i) * sizeof *replay->unmaps);
}

static void append(struct iom_replay *replay, uint32_t index, uint32_t record)
{
    struct replay_op *op = &replay->ops[index];
    replay->records[record].next = IOM_REPLAY_NONE;
    if (op->head == IOM_REPLAY_NONE) {
        op->head = record;
        if (op->active && !op->ended && index != IOM_REPLAY_SEQUENCE)
            replay->starving--;
    } else {
        replay->records[op->tail].next = record;
    }
    op->tail = record;
    op->records++;
    replay->sequence_setups +=
        index == IOM_REPLAY_SEQUENCE && iom_replay_is_setup(replay->records[record].record.kind);
}

void replay_drop_record(struct iom_replay *replay, uint32_t index)
{
    struct replay_op *op = &replay->ops[index];
    uint32_t record = op->head;
    if (replay->records[record].record.kind == IOM_TRACE_UNMAP)
        forget_unmap(replay, record);
    replay->sequence_setups -=
        index == IOM_REPLAY_SEQUENCE && iom_replay_is_setup(replay->records[record].record.kind);
    op->forced = false;
    op->head = replay->records[record].next;
    op->records--;
    if (op->head == IOM_REPLAY_NONE && !op->ended && index != IOM_REPLAY_SEQUENCE)
        replay->starving++;
    give_record(replay, record);
    replay->stats.records++;
}

// Sorts the record read ahead into its operation. Records of an operation that never began or is
// over count as records of no operation.
static void hand_out(struct iom_replay *replay)
{
    uint32_t record = replay->ahead;
    replay->ahead = IOM_REPLAY_NONE;
    const struct iom_trace_record *what = &replay->records[record].record;
    uint32_t op = what->op == 0 ? IOM_REPLAY_SEQUENCE : find_op(replay, what->op);
    if (op == IOM_REPLAY_NONE && what->kind == IOM_TRACE_OP_BEGIN) {
        op = take_op(replay, what->op);
        if (op == IOM_REPLAY_NONE)
            return;
        replay_list_push(replay, &replay->pending, op);
    } else if (op == IOM_REPLAY_NONE) {
        op = IOM_REPLAY_SEQUENCE;
    }
    if (what->kind == IOM_TRACE_UNMAP && !remember_unmap(replay, record))
        return;
    append(replay, op, record);
    if (replay->ops[op].active)
        replay_wake(replay, op);
}

bool replay_read(struct iom_replay *replay)
{
    if (replay->ahead != IOM_REPLAY_NONE)
        return true;
    if (replay->end_of_trace || replay->failed)
        return false;
    uint32_t index = take_record(replay);
    if (index == IOM_REPLAY_NONE)
        return false;
    struct iom_trace_error error;
    int got = iom_trace_read(replay->reader, &replay->records[index].record, &error);
    if (got != 1) {
        give_record(replay, index);
        replay->end_of_trace = true;
        if (got < 0)
            replay_give_up(replay, error.text);
        return false;
    }
    replay->records[index].position = iom_trace_reader_position(replay->reader);
    replay->ahead = index;
    return true;
}

void replay_drop_ahead(struct iom_replay *replay)
{
    give_record(replay, replay->ahead);
    replay->ahead = IOM_REPLAY_NONE;
}

iom_cycle replay_due(const struct iom_replay *replay, const struct iom_trace_record *record)
{
    if (replay->config.mode == IOM_REPLAY_CLOSED_LOOP)
        return replay->config.start;
    uint64_t delta = record->time - replay->time_zero;
    uint64_t numerator = replay->config.scale_numerator, denominator = replay->config.scale_denominator;
    return replay->config.start + delta / denominator * numerator +
           delta % denominator * numerator / denominator;
}

static bool wants_record(const struct iom_replay *replay)
{
    if (replay->config.mode == IOM_REPLAY_SCALED_TIME || replay->starving != 0)
        return true;
    return replay->active < replay->depth && replay->pending.head == IOM_REPLAY_NONE &&
           replay->ops[IOM_REPLAY_SEQUENCE].records < SEQUENCE_BACKLOG;
}

bool replay_fill(struct iom_replay *replay, iom_cycle now)
{
    bool changed = false;
    while (!replay->failed && wants_record(replay) && replay_read(replay)) {
        const struct iom_trace_record *record = &replay->records[replay->ahead].record;
        if (!replay->time_known) {
            replay->time_zero = record->time;
            replay->time_known = true;
        }
        if (replay_due(replay, record) > now)
            break;
        hand_out(replay);
        changed = true;
        if (replay->config.mode == IOM_REPLAY_CLOSED_LOOP && replay->pending.head != IOM_REPLAY_NONE &&
            replay->active < replay->depth)
            break; // it may begin before more is read
    }
    return changed;
}

bool replay_begin(struct iom_replay *replay, iom_cycle now)
{
    bool began = false;
    bool limited = replay->config.mode == IOM_REPLAY_CLOSED_LOOP;
    while (replay->pending.head != IOM_REPLAY_NONE && (!limited || replay->active < replay->depth)) {
        uint32_t index = replay_list_pop(replay, &replay->pending);
        struct replay_op *op = &replay->ops[index];
        op->active = true;
        op->begun = now;
        op->older = replay->newest;
        *(op->older != IOM_REPLAY_NONE ? &replay->ops[op->older].newer : &replay->oldest) = index;
        replay->newest = index;
        replay->stats.operations++;
        if (++replay->active > replay->stats.most_operations)
            replay->stats.most_operations = replay->active;
        replay_wake(replay, index);
        began = true;
    }
    return began;
}

uint32_t replay_find_device(const struct iom_replay *replay, uint32_t id)
{
    uint32_t i = 0;
    while (i < replay->device_count && replay->devices[i].id != id)
        i++;
    return i;
}
