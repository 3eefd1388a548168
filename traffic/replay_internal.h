// SPDX-License-Identifier: Apache-2.0
//
// Insides of the replayer, shared by its three files:
//
//   replay.c         the unit: messages, timers, life
//   replay_window.c  records held in memory: reading, sorting into operations, what may begin
//   replay_step.c    the rules: when a record may be carried out, and carrying it out
//
// Operations and records live in two arrays and refer to each other by index, so that the arrays may
// grow. Operation 0 is the sequence of records that belong to no operation (op 0 of the trace).
#ifndef IOM_TRAFFIC_REPLAY_INTERNAL_H
#define IOM_TRAFFIC_REPLAY_INTERNAL_H

#include "core/dma.h"
#include "traffic/replay.h"
#include "traffic/store_queue.h"

#define IOM_REPLAY_NONE UINT32_MAX
#define IOM_REPLAY_SEQUENCE 0u ///< operation of the records of op 0
#define IOM_REPLAY_BUCKETS 1024u

struct replay_record {
    struct iom_trace_record record;
    uint64_t position; ///< number in the trace, from 1
    uint32_t next;     ///< in its operation, or in the free list
};

/// What an operation waits for, apart from its records.
enum replay_wait {
    REPLAY_WAIT_NOTHING, ///< in the run list, or waiting for an answer that will put it there
    REPLAY_WAIT_DEVICE,  ///< in its device's list, to send
    REPLAY_WAIT_CPU,     ///< in the processor's list, for a call
    REPLAY_WAIT_OTHERS,  ///< for something of other operations; looked at again when such a thing happens
    REPLAY_WAIT_LATENCY, ///< in the latency list
};

struct replay_op {
    uint64_t id;
    uint32_t head, tail; ///< its records not carried out yet
    uint32_t records;    ///< how many
    uint32_t next;       ///< in the one list it is in: pending, run, device, cpu, others, latency, free
    uint32_t hash_next;
    uint32_t older, newer; ///< active operations by age
    iom_cycle begun;
    iom_cycle call_until;             ///< end of its last call of the driver
    iom_cycle ready_at;               ///< in the latency list
    uint32_t dma;                     ///< in flight
    uint64_t dma_position;            ///< of the first of these (since there were none)
    uint64_t stores;                  ///< of its calls, not acknowledged
    uint64_t unacknowledged_position; ///< of the first of these calls
    uint8_t wait;                     ///< enum replay_wait
    uint8_t last_class;               ///< of its last DMA
    bool queued;                      ///< in the run list
    bool active, ended, latency_passed, any_dma;
    bool forced; ///< its next record goes ahead of one that cannot come first
};

/// First in, first out list of operations through `next`.
struct replay_list {
    uint32_t head, tail;
};

struct replay_device {
    uint32_t id, source;
    uint32_t in_flight;
    iom_cycle next_send;
    struct replay_list waiting;
};

struct iom_replay {
    struct iom_unit unit; // first member: the unit is the replay
    struct iom_port *ports;
    struct iom_replay_config config;
    struct iom_trace_reader *reader;
    struct iom_mapper *mapper;
    struct replay_device *devices;
    uint32_t device_count;
    uint32_t depth;

    // Records and operations.
    struct replay_record *records;
    uint32_t record_capacity, record_free, records_held;
    struct replay_op *ops;
    uint32_t op_capacity, op_free;
    uint32_t buckets[IOM_REPLAY_BUCKETS];
    struct replay_list pending; ///< read, not begun, in order
    uint32_t oldest, newest;    ///< active operations
    uint32_t active;
    uint32_t sequence_setups; ///< maps, attachments and detachments held in the sequence
    uint32_t starving;        ///< active operations without a record, not ended
    uint32_t ahead;           ///< record read but not yet due, or IOM_REPLAY_NONE
    bool end_of_trace;
    bool time_known;
    uint64_t time_zero; ///< of the first timed record

    uint32_t *unmaps; ///< unmap records read and not carried out, in order of the trace
    uint32_t unmap_count, unmap_capacity;

    // Work.
    struct replay_list run, others, cpu, latency;
    iom_cycle busy_until; ///< the processor's call in progress lasts at least so long
    struct iom_store_queue stores;
    struct iom_pool pool;
    uint32_t in_flight;
    uint64_t sent, completed;

    char error[sizeof((struct iom_trace_error *)0)->text];
    bool failed;
    struct iom_replay_stats stats;
};

/// True for records that make addresses usable (or change whose they are).
static inline bool iom_replay_is_setup(uint8_t kind)
{
    return kind == IOM_TRACE_MAP || kind == IOM_TRACE_ATTACH || kind == IOM_TRACE_DETACH;
}

// ---- replay.c ----------------------------------------------------------------------------------------

void replay_give_up(struct iom_replay *replay, const char *text);
/// Sends the DMA of a record; the device has been found able to.
void replay_send(struct iom_replay *replay, uint32_t op, struct replay_device *device,
                 const struct iom_trace_record *record, iom_cycle now);
bool replay_can_send(struct iom_replay *replay, struct replay_device *device, iom_cycle now);
bool replay_exhausted(const struct iom_replay *replay);

// ---- replay_window.c ---------------------------------------------------------------------------------

bool replay_window_init(struct iom_replay *replay);
void replay_window_free(struct iom_replay *replay);
void replay_list_push(struct iom_replay *replay, struct replay_list *list, uint32_t op);
uint32_t replay_list_pop(struct iom_replay *replay, struct replay_list *list);
/// Reads one record into `ahead`. False at the end of the trace or after an error.
bool replay_read(struct iom_replay *replay);
/// Drops the record read ahead (it has been carried out).
void replay_drop_ahead(struct iom_replay *replay);
/// Reads and hands out records as far as the mode asks for it. True if anything changed.
bool replay_fill(struct iom_replay *replay, iom_cycle now);
/// Begins operations as far as the depth allows. True if any began.
bool replay_begin(struct iom_replay *replay, iom_cycle now);
/// Drops the first record of `op` (it has been carried out).
void replay_drop_record(struct iom_replay *replay, uint32_t op);
/// The operation is over and has no records left.
void replay_free_op(struct iom_replay *replay, uint32_t op);
/// Tick in which a record is due; the start in closed-loop mode.
iom_cycle replay_due(const struct iom_replay *replay, const struct iom_trace_record *record);
/// Index of the device, or device_count.
uint32_t replay_find_device(const struct iom_replay *replay, uint32_t id);

// ---- replay_step.c -----------------------------------------------------------------------------------

/// Puts `op` into the run list.
void replay_wake(struct iom_replay *replay, uint32_t op);
/// Something other operations may wait for has happened.
void replay_wake_others(struct iom_replay *replay);
/// Carries out what `op` can do now.
void replay_step(struct iom_replay *replay, uint32_t op, iom_cycle now);
/// Carries out the driver record at the head of `op`.
void replay_call(struct iom_replay *replay, uint32_t op, iom_cycle now);
/// Carries out an attachment or map; shared with iom_replay_prepare.
enum iom_mapper_result replay_map_record(struct iom_replay *replay, const struct iom_trace_record *record);
/// Lets the oldest record that waits for one of another operation go on; false if there is none.
bool replay_force(struct iom_replay *replay);

#endif
