// SPDX-License-Identifier: Apache-2.0
//
// Inside the host unit (host.h): threads, locks, the command queue as software sees it, and how the files
// of the host work together.
//
//   host.c         the unit: ports, wake-ups, start-up, statistics
//   host_make.c    creation and checks of a configuration and its programs
//   host_thread.c  a thread's steps: the engine, and what one step waits for
//   host_program.c operations: which steps they are made of
//   host_call.c    calls of the driver: likewise
//   host_lazy.c    flush queues and their timer
//   host_flush.c   commands of a call, in the order its options ask for
//   host_submit.c  qi_submit_sync
//   host_tables.c  attach, detach, map, unmap of tables
//   host_memory.c  stores, the processor's cache, locks
//
// A thread is a resumable machine of two levels. The *sequencer* of an operation is asked for one *step*
// after the other; a step (spend cycles, wait for stores, take a lock, submit the batch, ...) either is over
// at once or says what it waits for. Neither level ever runs ahead of the cycle.
#ifndef IOM_TRAFFIC_HOST_INTERNAL_H
#define IOM_TRAFFIC_HOST_INTERNAL_H

#include "traffic/host.h"
#include "traffic/store_queue.h"

#define IOM_HOST_NOBODY UINT32_MAX

// ---- locks -------------------------------------------------------------------------------------------

struct iom_host_lock {
    char group[40];    ///< statistics group
    uint32_t holder;   ///< thread, or NOBODY
    iom_cycle granted; ///< the holder goes on then
    uint32_t waiting;
    uint32_t *queue; ///< waiting threads by (cycle, thread); one place per thread
    struct iom_host_lock_stats stats;
};

// ---- the command queue as software sees it -----------------------------------------------------------

enum iom_host_slot {
    IOM_HOST_SLOT_FREE,
    IOM_HOST_SLOT_USED,     ///< a command of a submission that waits
    IOM_HOST_SLOT_WAIT,     ///< its wait
    IOM_HOST_SLOT_DONE,     ///< its wait, known to be complete
    IOM_HOST_SLOT_UNWAITED, ///< a command nobody waits for
    IOM_HOST_SLOT_ABORTED,  ///< a wait that a time-out has aborted
    IOM_HOST_SLOT_OVER,     ///< to be freed when all before it are
};

/// Values of a status word, as in Linux (QI_IN_USE, QI_DONE, QI_ABORT).
enum iom_host_status { IOM_HOST_STATUS_IN_USE = 1, IOM_HOST_STATUS_DONE = 2, IOM_HOST_STATUS_ABORT = 3 };

struct iom_host_queue {
    bool present;
    uint64_t base, status; ///< memory of commands, of status words (4 bytes per slot)
    uint32_t slots;
    uint32_t head, tail; ///< next slot to use, oldest not free
    uint32_t free;
    uint8_t *state; ///< enum iom_host_slot
    struct iom_queue_registers registers;
};

// ---- threads -----------------------------------------------------------------------------------------

enum iom_host_step_kind {
    IOM_STEP_SPEND,    ///< until `until`
    IOM_STEP_LEAVE,    ///< stores have left; `wait`: and those of others that were queued before (`behind`)
    IOM_STEP_FENCE,    ///< stores are acknowledged
    IOM_STEP_LOCK,     ///< lock `index`
    IOM_STEP_SUBMIT,   ///< the batch; `wait`: spin until complete
    IOM_STEP_REGISTER, ///< register write `mmio`, then poll
    IOM_STEP_AWAIT,    ///< event `index` has been raised `count` times
    IOM_STEP_REQUEST,  ///< the DMA port of device `index` has place
    IOM_STEP_REQUESTS, ///< all DMA answered
};

struct iom_host_step {
    enum iom_host_step_kind kind;
    enum iom_host_part part; ///< charged with its time
    uint32_t index;
    bool wait;
    bool begun;
    iom_cycle until;
    uint64_t count;
    struct iom_register_write mmio;
};

/// Progress of IOM_STEP_SUBMIT.
struct iom_host_submission {
    uint32_t phase;
    uint32_t index, wait_index; ///< slots of the first command and of the wait
    uint32_t serial;            ///< watches of earlier submissions are told from this one's
    iom_cycle begun, until, doorbell;
    iom_cycle look;    ///< last look at the status word, or place in the queue
    iom_cycle changed; ///< memory held the status
    iom_cycle visible; ///< the thread can see it; IOM_NEVER: not yet
    bool watched;      ///< the watch has been sent
    bool full;         ///< has waited for place
    uint64_t looks;
    uint64_t answer; ///< of a register read
    uint32_t error;  ///< of the error register
    uint32_t source; ///< that did not answer
};

#define IOM_HOST_GROUPS 6u

/// Progress of a call (host_call.c, host_flush.c, host_lazy.c).
struct iom_host_call {
    uint32_t stage;
    uint32_t domain;     ///< index of the domain, or NOBODY
    uint32_t tag_domain; ///< identifier that commands name
    uint32_t source;
    uint32_t pasid; ///< as attached
    uint32_t device;
    uint32_t old_domain; ///< of the attachment that ends
    bool attached;       ///< there was one
    bool last;           ///< the device has none left
    bool leaf_only;
    bool locked; ///< holds the lock its options name
    uint64_t iova, bytes;
    uint32_t segment; ///< SG_MAP: segments mapped
    // Commands
    uint8_t order[IOM_HOST_GROUPS]; ///< groups of commands
    uint32_t group, done;           ///< current group, commands of it produced
    bool everything, alone, wait;
    struct iom_flush_cursor cursor;
    // Scan of a PASID table
    bool scanning;
    uint32_t scan_slot, scan_target; ///< next slot to look at; slot found there
    iom_cycle scan_from;
    uint32_t found, flushed; ///< domains collected in thread->found
    // Flush queues
    uint32_t lazy_phase, ring;
    bool owned; ///< the range goes back to the allocator
};

struct iom_host_loop {
    uint32_t op;    ///< of the REPEAT
    uint32_t round; ///< current
};

/// What the tracker is told when memory has acknowledged the stores before it.
struct iom_host_late_report {
    uint64_t after; ///< stores
    uint64_t first, last;
    uint32_t domain, stream;
};

struct iom_host_thread {
    struct iom_host_program program;
    uint32_t index;
    uint32_t op;    ///< current; program.count = over
    bool running;   ///< an operation is in progress
    uint32_t phase; ///< of its sequencer
    struct iom_host_loop loops[IOM_HOST_LOOP_DEPTH];
    uint32_t depth;

    struct iom_host_step step;
    bool stepping; ///< `step` is in progress
    iom_cycle wake;
    struct iom_host_submission submission;
    struct iom_host_call call;
    uint64_t *batch; ///< commands, IOM_COMMAND_WORDS words each
    uint32_t batched;
    uint32_t *found;

    struct iom_store_queue stores;
    uint64_t call_serial; ///< of its stores in the processor's cache
    uint64_t *awaited;    ///< per event
    uint64_t *behind;     ///< per thread: the stores it had queued when this one wrote its tables back
    struct iom_host_late_report *late;
    uint32_t late_count, late_capacity;
    uint32_t in_flight; ///< DMA
    bool mmio_wait;     ///< a register access is under way
    iom_cycle lock_asked;

    // Report of the operation in progress
    iom_cycle begun, mark, sent;
    iom_cycle part[IOM_HOST_PARTS];
    enum iom_host_result result;
    uint32_t submissions, commands;
    uint64_t iova;
};

/// A store that the processor's cache holds back (non-coherent walker).
struct iom_host_dirty {
    struct iom_store store;
    uint64_t serial;
    bool chosen;
};

struct iom_host_range {
    uint64_t iova, bytes;
    uint32_t domain;
    bool valid;
};

struct iom_host_domain_state {
    struct iom_host_domain config;
    struct iom_iova *addresses;
    struct iom_flush_queue *queue;
    uint32_t first_lock; ///< of its flush queues
    iom_cycle timer;     ///< IOM_NEVER: not set
    uint32_t timer_cpu;  ///< that set it, and carries it out
};

struct iom_host {
    struct iom_unit unit; // first member
    struct iom_port *ports;
    struct iom_host_config config;
    struct iom_mapper *mapper;
    const struct iom_software_ops *ops;
    struct iom_software *software;

    struct iom_host_device *devices;
    struct iom_host_domain_state *domains;
    struct iom_host_thread *threads; ///< thread_count = programs + 1 (the flush timer)
    uint32_t thread_count;
    struct iom_host_lock *locks;
    uint32_t lock_count, queue_lock;
    uint64_t *events;
    struct iom_host_range *slots;
    struct iom_flush_attachment *attachments;
    uint32_t attachment_count; ///< entries in use, holes included
    struct iom_host_queue queue;
    struct iom_host_dirty *dirty;
    uint64_t dirty_count, dirty_capacity;
    uint64_t serial;
    uint32_t sink_thread; ///< whose call emits stores

    struct iom_register_write *steps; ///< start-up
    size_t step_count, step;
    uint32_t start_phase;
    uint64_t polls;
    iom_cycle poll_at;
    bool ready;

    struct iom_pool mmio_pool, watch_pool, dma_pool;
    uint64_t mmio_in_flight, watches_in_flight, dma_in_flight, dma_sent;
    iom_cycle now; ///< cycle being evaluated
    bool progress; ///< something changed in this pass
    char error[200];
    struct iom_host_stats stats;
    struct iom_host_call_stats *calls; ///< per kind from IOM_HOST_MAP on, then the timer
};

#define IOM_HOST_CALL_KINDS (IOM_HOST_OP_KINDS - IOM_HOST_MAP + 1)
/// Cookies of messages of the host: the thread; the start-up is nobody's.
#define IOM_HOST_START_UP UINT32_MAX
#define IOM_HOST_POSTED (UINT32_MAX - 1) ///< a write whose completion nobody waits for

// host.c
extern const struct iom_unit_ops iom_host_unit_ops;
void iom_host_give_up(struct iom_host *host, const char *format, ...);
/// Sends a register access for `thread` (or IOM_HOST_START_UP). False: no place, the unit will be woken.
bool iom_host_send_mmio(struct iom_host *host, uint32_t thread, bool write, uint32_t offset, uint8_t bytes,
                        uint64_t value, iom_cycle now);
static inline iom_cycle iom_host_ticks(const struct iom_host *host, uint64_t cycles)
{
    return iom_unit_ticks(&host->unit, cycles);
}
static inline const struct iom_host_op *iom_host_op_of(const struct iom_host_thread *thread)
{
    return &thread->program.ops[thread->op];
}
uint32_t iom_host_domain_index(const struct iom_host *host, uint32_t domain);

// host_memory.c
void iom_host_ask_lock(struct iom_host *host, struct iom_host_thread *thread, uint32_t lock, iom_cycle now);
bool iom_host_has_lock(const struct iom_host *host, const struct iom_host_thread *thread, uint32_t lock,
                       iom_cycle now);
void iom_host_unlock(struct iom_host *host, struct iom_host_thread *thread, uint32_t lock, iom_cycle now);
/// Stores emitted from now on are `thread`'s.
void iom_host_open_stores(struct iom_host *host, struct iom_host_thread *thread, iom_cycle earliest);
bool iom_host_store(struct iom_host *host, struct iom_host_thread *thread, bool table,
                    const struct iom_store *store);
/// Sends what the processor's cache holds of `serial` (0: anything) in [address, address + bytes). Returns
/// the number of lines.
uint64_t iom_host_write_back(struct iom_host *host, struct iom_host_thread *thread, uint64_t serial,
                             uint64_t address, uint64_t bytes, iom_cycle now);
struct iom_store_sink iom_host_sink(struct iom_host *host);

// host_thread.c
/// Begins a step; time is charged to `part`.
void iom_host_spend(struct iom_host *host, struct iom_host_thread *thread, enum iom_host_part part,
                    uint64_t cycles, iom_cycle now);
void iom_host_begin_step(struct iom_host_thread *thread, enum iom_host_step_kind kind,
                         enum iom_host_part part);
void iom_host_charge(struct iom_host_thread *thread, enum iom_host_part part, iom_cycle until);
void iom_host_run_thread(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now);
void iom_host_wake_at(struct iom_host_thread *thread, iom_cycle cycle);

// host_program.c
/// Goes on with the thread's program: begins a step or an operation. False: nothing to do now.
bool iom_host_next_step(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now);
void iom_host_begin_account(struct iom_host_thread *thread, iom_cycle now);
void iom_host_report(struct iom_host *host, const struct iom_host_thread *thread,
                     enum iom_host_report_kind kind, iom_cycle now);
void iom_host_take_dma(struct iom_host *host, struct iom_dma *dma, iom_cycle now);
uint64_t iom_host_iova(const struct iom_host *host, const struct iom_host_thread *thread);
uint64_t iom_host_address(const struct iom_host_thread *thread);
/// The range its operation names, or null.
struct iom_host_range *iom_host_range_of(const struct iom_host *host, const struct iom_host_thread *thread);

// host_tables.c: what TABLE_* and the calls have in common
enum iom_host_result iom_host_table_attach(struct iom_host *host, struct iom_host_thread *thread,
                                           uint32_t device, uint32_t pasid, uint32_t domain, iom_cycle now);
enum iom_host_result iom_host_table_detach(struct iom_host *host, struct iom_host_thread *thread,
                                           uint32_t device, uint32_t pasid, iom_cycle now);
enum iom_host_result iom_host_table_map(struct iom_host *host, struct iom_host_thread *thread, uint64_t iova,
                                        uint64_t address, uint64_t bytes, iom_cycle now);
/// `leaf_only`: no table was unlinked.
enum iom_host_result iom_host_table_unmap(struct iom_host *host, struct iom_host_thread *thread,
                                          uint64_t iova, uint64_t bytes, bool prune, bool *leaf_only,
                                          iom_cycle now);
struct iom_flush_attachment *iom_host_attachment(const struct iom_host *host, uint32_t source,
                                                 uint32_t pasid);
bool iom_host_note_attachment(struct iom_host *host, uint32_t device, uint32_t pasid, uint32_t domain);
uint32_t iom_host_attachments_of(const struct iom_host *host, uint32_t source);

// host_tracker.c

/// The call in progress returns: tells the hazard tracker what is over for its caller.
void iom_host_tell_tracker(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now);
/// A store has been acknowledged: what waited for it is told.
void iom_host_tell_late(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now);

// host_call.c
void iom_host_call_begin(struct iom_host *host, struct iom_host_thread *thread);
/// Goes on with the call; false: it is over.
bool iom_host_call_next(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now);
/// Counts a call (or the timer's flush) that has returned.
void iom_host_count_call(struct iom_host *host, const struct iom_host_thread *thread, uint32_t kind,
                         iom_cycle now);

// host_lazy.c
/// Puts the unmapped range of the call into a flush queue; false: done.
bool iom_host_enqueue_next(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now);
/// The flush timer's thread; as iom_host_next_step.
bool iom_host_timer_next(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now);

// host_flush.c
/// Which groups of commands the call of the thread's operation needs, in its order.
void iom_host_plan_commands(const struct iom_host *host, struct iom_host_thread *thread);
/// All of the call's domain, as a flush queue does.
void iom_host_plan_everything(struct iom_host_thread *thread);
/// Puts further commands of the call into the batch. True: a step has begun; false: none are left.
bool iom_host_commands_next(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now);
/// Appends a flush to the batch. False: it cannot be expressed.
bool iom_host_append(struct iom_host *host, struct iom_host_thread *thread, const struct iom_flush *flush);
void iom_host_begin_submit(struct iom_host_thread *thread, bool wait);
/// An attachment of `source` has come or gone: threads that scan its PASID table look for it.
void iom_host_replan_scans(struct iom_host *host, uint32_t source, iom_cycle now);

// host_submit.c
bool iom_host_advance_submission(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now);
void iom_host_begin_submission(struct iom_host_thread *thread);
/// A status word has changed (the access is released by the caller).
void iom_host_take_watch(struct iom_host *host, const struct iom_memory_access *access, iom_cycle now);

#endif
