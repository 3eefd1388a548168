// SPDX-License-Identifier: Apache-2.0
//
// Submitting commands as Linux 6.12 does (drivers/iommu/intel/dmar.c: qi_submit_sync, qi_check_fault,
// reclaim_free_desc). Timing rules are in host.h.
//
//   lock -> place -> commands -> doorbell -> look -> finish -> unlock
//                                     ^        | nothing yet
//                                     |        v
//                                   lock <- relax <- unlock <- error register
//
// One departure: Linux marks aborted waits by stepping through every second slot, which fits submissions of
// one command; here every fetched wait that has not completed is marked.
#include <string.h>

#include "traffic/host_internal.h"

#define LOOK_LIMIT 1000000u

enum phase {
    PHASE_BEGIN,
    PHASE_LOCK,
    PHASE_FULL,
    PHASE_STORED, ///< commands are on their way to memory
    PHASE_RUNG,   ///< the doorbell has left
    PHASE_LOOK,
    PHASE_ERROR,  ///< reads the error register,
    PHASE_HEAD,   ///< the head,
    PHASE_SOURCE, ///< who did not answer
    PHASE_REPAIR, ///< stores of a repair are on their way
    PHASE_RELAX,
    PHASE_RELOCK,
    PHASE_SLEEP,  ///< without check_errors: until the status is visible
    PHASE_FINISH, ///< without check_errors: waits for the lock to free the slots
};

static struct iom_host_submission *submission_of(struct iom_host_thread *thread)
{
    return &thread->submission;
}

void iom_host_begin_submission(struct iom_host_thread *thread)
{
    struct iom_host_submission *submission = submission_of(thread);
    uint32_t serial = submission->serial;
    memset(submission, 0, sizeof *submission);
    submission->serial = serial;
    submission->phase = PHASE_BEGIN;
}

static void ask_lock(struct iom_host *host, struct iom_host_thread *thread, uint32_t phase, iom_cycle now)
{
    iom_host_ask_lock(host, thread, host->queue_lock, now);
    thread->submission.phase = phase;
}

static bool has_lock(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    if (iom_host_has_lock(host, thread, host->queue_lock, now))
        return true;
    if (host->locks[host->queue_lock].holder == thread->index)
        iom_host_wake_at(thread, host->locks[host->queue_lock].granted);
    return false;
}

static uint32_t slot_after(const struct iom_host_queue *queue, uint32_t slot, uint32_t distance)
{
    return (slot + distance) % queue->slots;
}

static uint32_t relax(const struct iom_host *host)
{
    return (uint32_t)iom_max_u64(host->config.costs.relax_cycles, 1);
}

// First instant of the looks every relax_cycles after `from` that is not before `not_before`.
static iom_cycle next_look(const struct iom_host *host, iom_cycle from, iom_cycle not_before)
{
    iom_cycle interval = iom_host_ticks(host, relax(host));
    if (not_before <= from)
        return from;
    return from + iom_div_ceil(not_before - from, interval) * interval;
}

// ---- place and commands ------------------------------------------------------------------------------

// Commands, wait, and one slot that stays free between head and tail.
static uint32_t wanted_slots(const struct iom_host_thread *thread)
{
    return thread->batched + (thread->step.wait ? 2 : 1);
}

static void put_words(struct iom_host *host, struct iom_host_thread *thread, uint32_t slot,
                      const uint64_t *words)
{
    const struct iom_host_queue *queue = &host->queue;
    uint32_t bytes = queue->registers.command_bytes;
    for (uint32_t i = 0; i < bytes / 8; i++) {
        struct iom_store store = {queue->base + (uint64_t)slot * bytes + UINT64_C(8) * i, words[i], 8};
        if (!iom_host_store(host, thread, false, &store))
            iom_host_give_up(host, "out of memory");
    }
}

static void put_status(struct iom_host *host, struct iom_host_thread *thread, uint32_t slot,
                       enum iom_host_status status)
{
    struct iom_store store = {host->queue.status + slot * UINT64_C(4), status, 4};
    if (!iom_host_store(host, thread, false, &store))
        iom_host_give_up(host, "out of memory");
}

static bool wait_words(struct iom_host *host, const struct iom_host_thread *thread, uint32_t slot,
                       uint64_t words[IOM_COMMAND_WORDS])
{
    uint32_t options = thread->program.ops != NULL && thread->op < thread->program.count
                           ? iom_host_op_of(thread)->options
                           : 0;
    struct iom_sync sync = {.write_status = true,
                            .fence = (options & IOM_HOST_SYNC_FENCE) != 0,
                            .drain_page_requests = (options & IOM_HOST_SYNC_PAGE_REQUESTS) != 0,
                            .address = host->queue.status + slot * UINT64_C(4),
                            .status = IOM_HOST_STATUS_DONE};
    return host->ops->encode_sync(host->software, &sync, words) == IOM_SOFTWARE_OK;
}

static void put_commands(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_submission *submission = submission_of(thread);
    struct iom_host_queue *queue = &host->queue;
    uint64_t cost = iom_host_ticks(host, host->config.costs.descriptor_cycles);
    uint32_t count = thread->batched + thread->step.wait;
    submission->index = queue->head;
    for (uint32_t i = 0; i < thread->batched; i++) {
        uint32_t slot = slot_after(queue, queue->head, i);
        iom_host_open_stores(host, thread, now + (i + 1) * cost);
        put_words(host, thread, slot, &thread->batch[(size_t)i * IOM_COMMAND_WORDS]);
        queue->state[slot] = thread->step.wait ? IOM_HOST_SLOT_USED : IOM_HOST_SLOT_UNWAITED;
    }
    if (thread->step.wait) {
        uint64_t words[IOM_COMMAND_WORDS] = {0};
        submission->wait_index = slot_after(queue, queue->head, thread->batched);
        iom_host_open_stores(host, thread, now + count * cost);
        if (!wait_words(host, thread, submission->wait_index, words))
            iom_host_give_up(host, "the architecture has no wait command");
        put_status(host, thread, submission->wait_index, IOM_HOST_STATUS_IN_USE);
        put_words(host, thread, submission->wait_index, words);
        queue->state[submission->wait_index] = IOM_HOST_SLOT_WAIT;
        host->stats.waits++;
    }
    queue->head = slot_after(queue, queue->head, count);
    queue->free -= count;
    submission->until = now + count * cost;
    submission->visible = submission->changed = IOM_NEVER;
    submission->watched = false;
    submission->serial++;
    submission->phase = PHASE_STORED;
    host->stats.submissions++;
    host->stats.commands += thread->batched;
    thread->submissions++;
    thread->commands += thread->batched;
}

static void find_place(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_submission *submission = submission_of(thread);
    if (host->queue.free >= wanted_slots(thread)) {
        put_commands(host, thread, now);
        return;
    }
    host->stats.queue_full += !submission->full;
    submission->full = true;
    submission->look = now;
    submission->until = IOM_NEVER;
    submission->phase = PHASE_FULL;
    iom_host_unlock(host, thread, host->queue_lock, now);
}

// ---- the end -----------------------------------------------------------------------------------------

static void reclaim(struct iom_host_queue *queue)
{
    while (queue->tail != queue->head && (queue->state[queue->tail] == IOM_HOST_SLOT_OVER ||
                                          queue->state[queue->tail] == IOM_HOST_SLOT_FREE)) {
        queue->state[queue->tail] = IOM_HOST_SLOT_FREE;
        queue->tail = slot_after(queue, queue->tail, 1);
        queue->free++;
    }
}

static void release_slots(struct iom_host *host, struct iom_host_thread *thread, bool complete)
{
    const struct iom_host_submission *submission = submission_of(thread);
    struct iom_host_queue *queue = &host->queue;
    // A wait that has completed vouches for what was submitted before it without one.
    for (uint32_t slot = queue->tail; complete && slot != submission->index;
         slot = slot_after(queue, slot, 1)) {
        if (queue->state[slot] == IOM_HOST_SLOT_UNWAITED)
            queue->state[slot] = IOM_HOST_SLOT_OVER;
    }
    for (uint32_t slot = submission->index; slot != slot_after(queue, submission->wait_index, 1);
         slot = slot_after(queue, slot, 1))
        queue->state[slot] = IOM_HOST_SLOT_OVER;
    reclaim(queue);
}

static bool finish(struct iom_host *host, struct iom_host_thread *thread, enum iom_host_result result,
                   iom_cycle now)
{
    struct iom_host_submission *submission = submission_of(thread);
    if (result == IOM_HOST_OK) {
        iom_host_charge(thread, IOM_HOST_PART_EXECUTE, submission->changed);
        iom_host_charge(thread, IOM_HOST_PART_STATUS, submission->visible);
        iom_host_charge(thread, IOM_HOST_PART_POLL, now);
        iom_histogram_add(&host->stats.submission_time, now - submission->begun);
    } else {
        iom_host_charge(thread, IOM_HOST_PART_EXECUTE, now);
        thread->result = result;
    }
    submission->watched = false;
    release_slots(host, thread, result == IOM_HOST_OK);
    iom_host_unlock(host, thread, host->queue_lock, now);
    thread->batched = 0;
    return true;
}

static void retry(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    iom_host_charge(thread, IOM_HOST_PART_EXECUTE, now);
    host->stats.retries++;
    thread->submission.watched = false;
    release_slots(host, thread, false);
    iom_host_unlock(host, thread, host->queue_lock, now);
    thread->submission.phase = PHASE_BEGIN;
}

// ---- errors ------------------------------------------------------------------------------------------

static bool read_register(struct iom_host *host, struct iom_host_thread *thread, uint32_t phase,
                          uint32_t offset, uint8_t bytes, iom_cycle now)
{
    if (!iom_host_send_mmio(host, thread->index, false, offset, bytes, 0, now))
        return false;
    thread->mmio_wait = true;
    thread->submission.phase = phase;
    return true;
}

static void release_and_relax(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    iom_host_unlock(host, thread, host->queue_lock, now);
    thread->submission.until = now + iom_host_ticks(host, relax(host));
    thread->submission.phase = PHASE_RELAX;
}

static uint32_t error_bits(const struct iom_host *host)
{
    return host->queue.registers.error_fatal | host->queue.registers.error_timeout;
}

// The command at the head is refused: a wait in its place lets the queue go on.
static void repair(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    uint64_t words[IOM_COMMAND_WORDS] = {0};
    iom_host_open_stores(host, thread, now);
    wait_words(host, thread, thread->submission.wait_index, words);
    put_words(host, thread, thread->submission.index, words);
    host->stats.invalid++;
    thread->submission.phase = PHASE_REPAIR;
}

static bool is_removed(const struct iom_host *host, uint32_t source)
{
    for (uint32_t i = 0; i < host->config.device_count; i++) {
        if (host->devices[i].source == source)
            return host->devices[i].removed;
    }
    return true;
}

// Is there no use in repeating a submission after a time-out? Where nobody says who did not answer, one
// device that is gone is enough.
static bool device_is_gone(const struct iom_host *host, uint32_t source)
{
    bool gone = false;
    if (host->queue.registers.timeout_offset != 0)
        return source != 0 && is_removed(host, source);
    for (uint32_t i = 0; i < host->config.device_count; i++)
        gone = gone || host->devices[i].removed;
    return gone;
}

// Waits in [from, fetched) that the hardware has not completed were aborted.
static void abort_waits(struct iom_host *host, struct iom_host_thread *thread, uint32_t from,
                        uint32_t fetched, iom_cycle now)
{
    struct iom_host_queue *queue = &host->queue;
    iom_host_open_stores(host, thread, now);
    for (uint32_t slot = from; slot != fetched && slot != queue->head; slot = slot_after(queue, slot, 1)) {
        if (queue->state[slot] != IOM_HOST_SLOT_WAIT)
            continue;
        queue->state[slot] = IOM_HOST_SLOT_ABORTED;
        put_status(host, thread, slot, IOM_HOST_STATUS_ABORT);
    }
    host->stats.timeouts++;
}

static bool repaired(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    const struct iom_queue_registers *registers = &host->queue.registers;
    if (iom_store_queue_pending(&thread->stores) != 0)
        return false;
    bool fatal = (thread->submission.error & registers->error_fatal) != 0;
    uint32_t clear = thread->submission.error & (fatal ? registers->error_fatal : registers->error_timeout);
    if (!iom_host_send_mmio(host, IOM_HOST_POSTED, true, registers->error_offset, 4,
                            clear | registers->error_keep, now))
        return false;
    if (fatal)
        return finish(host, thread, IOM_HOST_INVALID, now);
    if (device_is_gone(host, thread->submission.source))
        return finish(host, thread, IOM_HOST_TIMEOUT, now);
    if (host->queue.state[thread->submission.wait_index] == IOM_HOST_SLOT_ABORTED)
        retry(host, thread, now);
    else
        release_and_relax(host, thread, now);
    return false;
}

static void after_head(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_submission *submission = submission_of(thread);
    const struct iom_queue_registers *registers = &host->queue.registers;
    uint64_t bytes = submission->answer * registers->head_unit;
    uint32_t head = (uint32_t)(bytes / registers->command_bytes) % host->queue.slots;
    if ((submission->error & registers->error_fatal) != 0) {
        if (head == submission->index)
            repair(host, thread, now);
        else
            release_and_relax(host, thread, now); // another submission's: its thread will see it
        return;
    }
    if (registers->timeout_offset != 0) {
        abort_waits(host, thread, host->queue.tail, head, now);
        submission->phase = PHASE_SOURCE;
    } else if (head == submission->wait_index) {
        abort_waits(host, thread, head, slot_after(&host->queue, head, 1), now);
        submission->phase = PHASE_REPAIR;
    } else {
        release_and_relax(host, thread, now); // another submission's: its thread will see it
    }
}

// ---- looking -----------------------------------------------------------------------------------------

static void send_watch(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_submission *submission = submission_of(thread);
    struct iom_port *port = &host->ports[IOM_HOST_PORT_MEMORY];
    if (submission->watched || !iom_port_can_send(port, now))
        return;
    struct iom_memory_access *access = iom_pool_take(&host->watch_pool);
    if (access == NULL) {
        iom_host_give_up(host, "out of memory");
        return;
    }
    access->op = IOM_MEMORY_WATCH;
    access->address = host->queue.status + submission->wait_index * UINT64_C(4);
    access->bytes = 4;
    access->expected = IOM_HOST_STATUS_IN_USE;
    access->data[0] = 0;
    access->data[1] = IOM_NEVER;
    access->error = 0;
    access->node = 0;
    access->cookie = (uint64_t)submission->serial << 32 | thread->index;
    iom_port_send(port, &access->msg, now);
    submission->watched = true;
}

void iom_host_take_watch(struct iom_host *host, const struct iom_memory_access *access, iom_cycle now)
{
    struct iom_host_thread *thread = &host->threads[(uint32_t)access->cookie];
    struct iom_host_submission *submission = submission_of(thread);
    if (submission->serial != (uint32_t)(access->cookie >> 32) || !submission->watched)
        return; // of a submission that failed or was repeated
    if (access->error) {
        iom_host_give_up(host, "a status word lies at an address that does not answer");
        return;
    }
    if ((uint32_t)access->data[0] == IOM_HOST_STATUS_IN_USE)
        submission->watched = false; // a memory that knows no watches: read again
    if ((uint32_t)access->data[0] != IOM_HOST_STATUS_DONE)
        return;
    submission->visible = now;
    submission->changed = iom_min_u64(access->data[1], now);
    if (host->queue.state[submission->wait_index] == IOM_HOST_SLOT_WAIT)
        host->queue.state[submission->wait_index] = IOM_HOST_SLOT_DONE;
}

// Holding the lock. True: the submission is over.
static bool look(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_submission *submission = submission_of(thread);
    if (host->queue.state[submission->wait_index] == IOM_HOST_SLOT_ABORTED) {
        retry(host, thread, now);
        return false;
    }
    if (submission->visible <= now)
        return finish(host, thread, IOM_HOST_OK, now);
    if (++submission->looks == LOOK_LIMIT)
        iom_host_give_up(host, "a wait command does not complete");
    submission->phase = PHASE_LOOK;
    read_register(host, thread, PHASE_ERROR, host->queue.registers.error_offset, 4, now);
    return false;
}

static bool ring(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_submission *submission = submission_of(thread);
    struct iom_register_write doorbell = {0};
    if (iom_store_queue_pending(&thread->stores) != 0)
        return false;
    host->ops->doorbell(host->software, host->queue.head * host->queue.registers.command_bytes, &doorbell);
    if (!iom_host_send_mmio(host, IOM_HOST_POSTED, true, doorbell.offset, doorbell.bytes, doorbell.value,
                            now))
        return false;
    submission->doorbell = now;
    submission->until = now + iom_host_ticks(host, host->config.costs.doorbell_cycles);
    submission->phase = PHASE_RUNG;
    iom_host_charge(thread, IOM_HOST_PART_SUBMIT, now);
    return true;
}

static bool rung(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_submission *submission = submission_of(thread);
    if (!thread->step.wait) {
        iom_host_charge(thread, IOM_HOST_PART_SUBMIT, now);
        iom_host_unlock(host, thread, host->queue_lock, now);
        thread->batched = 0;
        return true;
    }
    if (host->config.check_errors)
        return look(host, thread, now);
    submission->look = now;
    submission->phase = PHASE_SLEEP;
    iom_host_unlock(host, thread, host->queue_lock, now);
    return false;
}

// Is it time? If not, the thread is woken then.
static bool due(struct iom_host_thread *thread, iom_cycle cycle, iom_cycle now)
{
    if (cycle <= now)
        return true;
    iom_host_wake_at(thread, cycle);
    return false;
}

// One transition; false: nothing to do now. *over: the submission has ended.
static bool transition(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now, bool *over)
{
    struct iom_host_submission *submission = submission_of(thread);
    uint32_t before = submission->phase;
    switch ((enum phase)submission->phase) {
    case PHASE_BEGIN:
        if (submission->begun == 0)
            submission->begun = now;
        ask_lock(host, thread, PHASE_LOCK, now);
        return true;
    case PHASE_LOCK:
        if (!has_lock(host, thread, now))
            return false;
        iom_host_charge(thread, submission->full ? IOM_HOST_PART_SUBMIT : IOM_HOST_PART_LOCK, now);
        find_place(host, thread, now);
        return true;
    case PHASE_FULL:
        if (host->queue.free < wanted_slots(thread)) {
            submission->until = IOM_NEVER;
            return false;
        }
        if (submission->until == IOM_NEVER)
            submission->until = next_look(host, submission->look, iom_max_u64(now, submission->look + 1));
        if (!due(thread, submission->until, now))
            return false;
        ask_lock(host, thread, PHASE_LOCK, now);
        return true;
    case PHASE_STORED:
        return due(thread, submission->until, now) && ring(host, thread, now);
    case PHASE_RUNG:
        if (!due(thread, submission->until, now))
            return false;
        *over = rung(host, thread, now);
        return *over || submission->phase != before;
    case PHASE_LOOK:
        *over = look(host, thread, now);
        return *over || submission->phase != before;
    case PHASE_ERROR:
        if (thread->mmio_wait)
            return false;
        submission->error = (uint32_t)submission->answer & error_bits(host);
        if (submission->error == 0)
            release_and_relax(host, thread, now);
        else
            return read_register(host, thread, PHASE_HEAD, host->queue.registers.head_offset,
                                 host->queue.registers.head_bytes, now);
        return true;
    case PHASE_HEAD:
        if (thread->mmio_wait)
            return false;
        after_head(host, thread, now);
        return true;
    case PHASE_SOURCE:
        if (!read_register(host, thread, PHASE_REPAIR, host->queue.registers.timeout_offset, 8, now))
            return false;
        submission->source = 0;
        return true;
    case PHASE_REPAIR:
        if (thread->mmio_wait)
            return false;
        submission->source = (uint32_t)(submission->answer >> host->queue.registers.timeout_shift) & 0xffffu;
        *over = repaired(host, thread, now);
        return *over || submission->phase != before;
    case PHASE_RELAX:
        if (!due(thread, submission->until, now))
            return false;
        ask_lock(host, thread, PHASE_RELOCK, now);
        return true;
    case PHASE_RELOCK:
        if (!has_lock(host, thread, now))
            return false;
        *over = look(host, thread, now);
        return *over || submission->phase != before;
    case PHASE_SLEEP:
        if (submission->visible == IOM_NEVER ||
            !due(thread, next_look(host, submission->look, submission->visible), now))
            return false;
        ask_lock(host, thread, PHASE_FINISH, now);
        return true;
    case PHASE_FINISH:
        if (!has_lock(host, thread, now))
            return false;
        *over = finish(host, thread, IOM_HOST_OK, now);
        return true;
    }
    return false;
}

bool iom_host_advance_submission(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    bool over = false;
    while (!over && host->error[0] == '\0' && transition(host, thread, now, &over))
        host->progress = true;
    if (!over && thread->step.wait && thread->submission.phase >= PHASE_RUNG)
        send_watch(host, thread, now);
    return over;
}
