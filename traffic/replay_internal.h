// SPDX-License-Identifier: Apache-2.0
//
// Insides of the replayer, shared by its files:
//
//   replay.c         the unit: messages, timers, life
//   replay_window.c  records held in memory: reading, sorting into operations, what may begin
//   replay_step.c    the rules: when a record may be carried out, and carrying it out
//   replay_driver.c  the driver's commands: bring-up, flush policies
//   replay_submit.c  one submission to the command queue
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
    bool forced;  ///< its next record goes ahead of one that cannot come first
    bool calling; ///< a call of the driver has not returned
};

/// A domain with a flush queue.
struct replay_domain {
    uint32_t id;
    struct iom_flush_queue *queue;
    iom_cycle timer; ///< IOM_NEVER: not set
};

/// A range in a flush queue.
struct replay_held {
    uint32_t domain;
    uint64_t iova, bytes;
};

enum replay_call_phase {
    REPLAY_CALL_NONE,    ///< the processor is free
    REPLAY_CALL_TABLES,  ///< table stores are leaving
    REPLAY_CALL_SPEND,   ///< until `until`
    REPLAY_CALL_FLUSH,   ///< next batch of commands, if there is one
    REPLAY_CALL_WRITTEN, ///< commands are on their way to memory
    REPLAY_CALL_RUNG,    ///< spins
};

/// Prefix commands of a job: context entry, PASID entry.
#define REPLAY_PREFIX 2u

/// The driver and the call in progress.
struct replay_driver {
    // Bring-up
    struct iom_register_write *steps;
    size_t step_count, step;
    uint32_t start_phase;
    iom_cycle poll_at;
    bool ready, finished;
    uint64_t mmio_in_flight;
    struct iom_pool mmio_pool, watch_pool;
    // Command queue; empty between two submissions
    const struct iom_software_ops *ops;
    struct iom_software *software;
    struct iom_queue_registers registers;
    uint64_t base, status;
    uint32_t slots, head;
    // Domains
    struct iom_flush_attachment *attachments;
    uint32_t attachment_count, attachment_capacity;
    struct replay_domain *domains;
    uint32_t domain_count;
    struct replay_held *held;
    uint32_t held_count, held_capacity;
    // Call in progress
    uint8_t phase; ///< enum replay_call_phase
    uint32_t op;   ///< that waits for it, or IOM_REPLAY_NONE
    uint32_t kind; ///< statistics: 0 map, 1 unmap, 2 timer
    bool flushes;  ///< commands are needed
    bool queued;   ///< goes into a flush queue
    bool everything;
    bool detached; ///< `source`, `pasid` are not attached any more
    bool attaches; ///< `attach` is
    struct iom_trace_record attach;
    uint32_t domain, source, pasid;
    uint64_t iova, bytes;
    struct iom_flush prefix[REPLAY_PREFIX];
    uint32_t prefix_count, prefix_done;
    struct iom_flush_cursor cursor;
    struct replay_domain *lazy; ///< whose queue this flush empties
    iom_cycle begun, mark, until, look;
    iom_cycle changed, visible; ///< IOM_NEVER: not yet
    bool watched;
    uint64_t submissions, commands;
    iom_cycle part[IOM_HOST_PARTS];
    struct iom_host_call_stats stats[3];
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
    struct replay_driver driver;
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

// ---- replay_driver.c ---------------------------------------------------------------------------------

/// Takes the queue's memory, makes the list of register writes. Null or what is wrong.
const char *replay_driver_init(struct iom_replay *replay);
void replay_driver_free(struct iom_replay *replay);
/// Bring-up: returns when to be called again.
iom_cycle replay_driver_start(struct iom_replay *replay, iom_cycle now);
/// An answer of the register unit.
void replay_driver_take_mmio(struct iom_replay *replay, struct iom_msg *msg, iom_cycle now);
/// Notes an attachment (before the run too).
void replay_driver_attached(struct iom_replay *replay, const struct iom_trace_record *record);
/// The processor has begun the call of `record`; its table stores are queued.
void replay_driver_call(struct iom_replay *replay, uint32_t op, const struct iom_trace_record *record,
                        bool remapped, iom_cycle now);
/// A map of `record` needs a flush first; it has begun then.
bool replay_driver_reuse(struct iom_replay *replay, const struct iom_trace_record *record, iom_cycle now);
/// Begins the flush of a timer that is due.
bool replay_driver_timer(struct iom_replay *replay, iom_cycle now);
/// Goes on with the call in progress. True if anything changed.
bool replay_driver_step(struct iom_replay *replay, iom_cycle now);
/// Next time the call in progress or a timer can go on.
iom_cycle replay_driver_next(const struct iom_replay *replay, iom_cycle now);
static inline bool replay_driver_busy(const struct iom_replay *replay)
{
    return replay->driver.phase != REPLAY_CALL_NONE;
}

// ---- replay_submit.c ---------------------------------------------------------------------------------

/// Cookie of stores of commands.
#define REPLAY_COMMAND_STORE UINT64_MAX
/// Fills the queue with commands of the call in progress. False: there are no more.
bool replay_submit_begin(struct iom_replay *replay, iom_cycle now);
/// True when the phase has changed.
bool replay_submit_step(struct iom_replay *replay, iom_cycle now);
void replay_submit_take_watch(struct iom_replay *replay, struct iom_msg *msg);
bool replay_send_mmio(struct iom_replay *replay, bool write, uint32_t offset, uint8_t bytes, uint64_t value,
                      bool answered, iom_cycle now);
/// Charges the time since the last mark to `part`.
void replay_charge(struct iom_replay *replay, enum iom_host_part part, iom_cycle until);

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
