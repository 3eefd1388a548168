// SPDX-License-Identifier: Apache-2.0
//
// The driver of a replay: bring-up of the IOMMU, and which commands follow a recorded call under the
// configured policy. See replay.h for the timing, flush_queue.h for the policies.
//
//   TABLES   the call's own work and its table stores
//   SPEND    putting a range into a flush queue
//   FLUSH    batches of commands, each WRITTEN, RUNG, and back to FLUSH until there are no more
#include <stdlib.h>
#include <string.h>

#include "traffic/replay_internal.h"

enum start_phase { START_WRITE, START_WROTE, START_POLL, START_READ };
enum call_kind { CALL_MAP, CALL_UNMAP, CALL_TIMER };

// ---- life --------------------------------------------------------------------------------------------

const char *replay_driver_init(struct iom_replay *replay)
{
    struct replay_driver *driver = &replay->driver;
    unsigned log2 = replay->config.driver.queue_log2 != 0 ? replay->config.driver.queue_log2 : 12;
    driver->ops = iom_mapper_software_ops(replay->mapper);
    driver->software = iom_mapper_software(replay->mapper);
    iom_pool_init(&driver->mmio_pool, IOM_MSG_MMIO, sizeof(struct iom_mmio));
    iom_pool_init(&driver->watch_pool, IOM_MSG_MEMORY, sizeof(struct iom_memory_access));
    if (driver->ops->set_queue == NULL || !iom_mapper_take_frames(replay->mapper, log2, &driver->base) ||
        !iom_mapper_take_frames(replay->mapper, 12, &driver->status) ||
        driver->ops->set_queue(driver->software, driver->base, log2) != IOM_SOFTWARE_OK)
        return "there is no memory for a command queue, or the architecture has none";
    driver->ops->queue_registers(driver->software, &driver->registers);
    driver->slots = driver->registers.capacity_bytes / driver->registers.command_bytes;
    driver->step_count = driver->ops->startup(driver->software, NULL, 0);
    driver->steps = calloc(driver->step_count + 1, sizeof *driver->steps);
    if (driver->steps == NULL)
        return "out of memory";
    driver->ops->startup(driver->software, driver->steps, driver->step_count);
    driver->op = IOM_REPLAY_NONE;
    return NULL;
}

void replay_driver_free(struct iom_replay *replay)
{
    struct replay_driver *driver = &replay->driver;
    if (!replay->config.driver.present)
        return;
    for (uint32_t i = 0; i < driver->domain_count; i++)
        iom_flush_queue_destroy(driver->domains[i].queue);
    iom_pool_free(&driver->mmio_pool);
    iom_pool_free(&driver->watch_pool);
    free(driver->steps);
    free(driver->attachments);
    free(driver->domains);
    free(driver->held);
}

static void *grow(struct iom_replay *replay, void *array, uint32_t *capacity, size_t size)
{
    uint32_t wanted = *capacity != 0 ? *capacity * 2 : 16;
    void *grown = realloc(array, wanted * size);
    if (grown == NULL) {
        replay_give_up(replay, "out of memory");
        return array;
    }
    *capacity = wanted;
    return grown;
}

// ---- bring-up ----------------------------------------------------------------------------------------

static void become_ready(struct iom_replay *replay, iom_cycle now)
{
    replay->driver.ready = true;
    if (replay->config.driver.on_ready != NULL)
        replay->config.driver.on_ready(replay->config.hook_context, now);
}

iom_cycle replay_driver_start(struct iom_replay *replay, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    if (driver->step == driver->step_count) {
        become_ready(replay, now);
        return IOM_NEVER;
    }
    const struct iom_register_write *step = &driver->steps[driver->step];
    if (driver->start_phase == START_WRITE &&
        replay_send_mmio(replay, true, step->offset, step->bytes, step->value, true, now))
        driver->start_phase = START_WROTE;
    if (driver->start_phase != START_POLL)
        return IOM_NEVER;
    if (driver->poll_at > now)
        return driver->poll_at;
    if (replay_send_mmio(replay, false, step->poll_offset, step->poll_bytes, 0, true, now))
        driver->start_phase = START_READ;
    return IOM_NEVER;
}

void replay_driver_take_mmio(struct iom_replay *replay, struct iom_msg *msg, iom_cycle now)
{
    const struct iom_mmio *mmio = (const struct iom_mmio *)(void *)msg;
    struct replay_driver *driver = &replay->driver;
    driver->mmio_in_flight--;
    if (mmio->cookie != 0 && !driver->ready) {
        const struct iom_register_write *step = &driver->steps[driver->step];
        if ((driver->start_phase == START_WROTE && step->poll_bytes == 0) ||
            (driver->start_phase == START_READ && (mmio->value & step->poll_mask) == step->poll_value)) {
            driver->start_phase = START_WRITE;
            driver->step++;
        } else {
            driver->poll_at = now;
            if (driver->start_phase == START_READ)
                driver->poll_at +=
                    iom_unit_ticks(&replay->unit, iom_max_u64(replay->config.driver.relax_cycles, 1));
            driver->start_phase = START_POLL;
        }
    }
    iom_msg_release(msg);
}

// ---- attachments and domains -------------------------------------------------------------------------

static struct iom_flush_attachment *find_attachment(struct replay_driver *driver, uint32_t source,
                                                    uint32_t pasid)
{
    for (uint32_t i = 0; i < driver->attachment_count; i++) {
        struct iom_flush_attachment *attachment = &driver->attachments[i];
        if (attachment->used && attachment->source == source && attachment->pasid == pasid)
            return attachment;
    }
    return NULL;
}

void replay_driver_attached(struct iom_replay *replay, const struct iom_trace_record *record)
{
    struct replay_driver *driver = &replay->driver;
    uint32_t source = record->device & UINT16_MAX;
    struct iom_flush_attachment *attachment = find_attachment(driver, source, record->pasid);
    for (uint32_t i = 0; attachment == NULL && i < driver->attachment_count; i++) {
        if (!driver->attachments[i].used)
            attachment = &driver->attachments[i];
    }
    if (attachment == NULL) {
        if (driver->attachment_count == driver->attachment_capacity)
            driver->attachments =
                grow(replay, driver->attachments, &driver->attachment_capacity, sizeof *driver->attachments);
        if (driver->attachment_count == driver->attachment_capacity)
            return;
        attachment = &driver->attachments[driver->attachment_count++];
    }
    *attachment = (struct iom_flush_attachment){
        .source = source, .pasid = record->pasid, .used = true, .domain = record->domain};
}

// The flush queue of a domain, made with its first unmap.
static struct replay_domain *lazy_domain(struct iom_replay *replay, uint32_t id)
{
    struct replay_driver *driver = &replay->driver;
    for (uint32_t i = 0; i < driver->domain_count; i++) {
        if (driver->domains[i].id == id)
            return &driver->domains[i];
    }
    struct replay_domain *grown =
        realloc(driver->domains, (driver->domain_count + (size_t)1) * sizeof *driver->domains);
    struct iom_flush_queue *queue = iom_flush_queue_create(&replay->config.driver.policy, 1);
    if (grown != NULL)
        driver->domains = grown;
    if (grown == NULL || queue == NULL) {
        replay_give_up(replay, "out of memory");
        iom_flush_queue_destroy(queue);
        return NULL;
    }
    driver->domains[driver->domain_count] = (struct replay_domain){id, queue, IOM_NEVER};
    return &driver->domains[driver->domain_count++];
}

static void hold(struct iom_replay *replay, uint32_t domain, uint64_t iova, uint64_t bytes)
{
    struct replay_driver *driver = &replay->driver;
    if (driver->held_count == driver->held_capacity)
        driver->held = grow(replay, driver->held, &driver->held_capacity, sizeof *driver->held);
    if (driver->held_count != driver->held_capacity)
        driver->held[driver->held_count++] = (struct replay_held){domain, iova, bytes};
}

// Ranges that a finished flush covers may be mapped again.
static void release(struct iom_replay *replay, struct replay_domain *domain)
{
    struct replay_driver *driver = &replay->driver;
    struct iom_flush_entry entry;
    while (iom_flush_queue_release(domain->queue, 0, &entry)) {
        uint32_t i = 0;
        while (i < driver->held_count &&
               (driver->held[i].domain != domain->id || driver->held[i].iova != entry.iova))
            i++;
        if (i < driver->held_count)
            driver->held[i] = driver->held[--driver->held_count];
    }
}

// ---- calls -------------------------------------------------------------------------------------------

static void begin_call(struct iom_replay *replay, uint32_t op, enum call_kind kind, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    driver->phase = REPLAY_CALL_TABLES;
    driver->op = op;
    driver->kind = kind;
    driver->flushes = driver->queued = driver->everything = false;
    driver->detached = driver->attaches = false;
    driver->prefix_count = driver->prefix_done = 0;
    memset(&driver->cursor, 0, sizeof driver->cursor);
    driver->lazy = NULL;
    driver->begun = driver->mark = driver->until = now;
    driver->submissions = driver->commands = 0;
    memset(driver->part, 0, sizeof driver->part);
    if (op != IOM_REPLAY_NONE)
        replay->ops[op].calling = true;
}

static void set_range(struct replay_driver *driver, uint32_t domain, uint64_t iova, uint64_t bytes)
{
    driver->flushes = true;
    driver->domain = domain;
    driver->iova = iova;
    driver->bytes = bytes;
    driver->everything = bytes == 0;
}

// Order after an attachment is cleared: context cache, PASID cache, translations.
static void plan_detach(struct iom_replay *replay, const struct iom_trace_record *record)
{
    struct replay_driver *driver = &replay->driver;
    const struct iom_replay_driver *config = &replay->config.driver;
    uint32_t source = record->device & UINT16_MAX;
    const struct iom_flush_attachment *attachment = find_attachment(driver, source, record->pasid);
    if (attachment == NULL)
        return;
    set_range(driver, attachment->domain, 0, 0);
    driver->detached = true;
    driver->source = source;
    driver->pasid = record->pasid;
    driver->prefix[driver->prefix_count++] =
        (struct iom_flush){.kind = IOM_FLUSH_CONTEXT_DEVICE, .domain = attachment->domain, .source = source};
    if (config->pasid_tables)
        driver->prefix[driver->prefix_count++] = (struct iom_flush){
            .kind = IOM_FLUSH_PASID_ONE,
            .domain = attachment->domain,
            .pasid = record->pasid == IOM_NO_PASID ? config->default_pasid : record->pasid};
}

void replay_driver_call(struct iom_replay *replay, uint32_t op, const struct iom_trace_record *record,
                        bool remapped, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    bool map = record->kind == IOM_TRACE_MAP;
    begin_call(replay, op, map ? CALL_MAP : CALL_UNMAP, now);
    driver->until = replay->busy_until;
    switch (record->kind) {
    case IOM_TRACE_UNMAP:
        set_range(driver, record->domain, record->iova, record->bytes);
        driver->queued = replay->config.driver.policy.mode != IOM_FLUSH_STRICT;
        break;
    case IOM_TRACE_MAP:
        if (remapped || replay->config.driver.caching_mode)
            set_range(driver, record->domain, record->iova, record->bytes);
        break;
    case IOM_TRACE_ATTACH: // may replace one
        driver->attaches = true;
        driver->attach = *record;
        plan_detach(replay, record);
        break;
    case IOM_TRACE_DETACH:
        plan_detach(replay, record);
        break;
    default:
        break;
    }
}

static void begin_domain_flush(struct iom_replay *replay, struct replay_domain *domain)
{
    struct replay_driver *driver = &replay->driver;
    iom_flush_queue_begin(domain->queue);
    driver->lazy = domain;
    driver->everything = true;
    memset(&driver->cursor, 0, sizeof driver->cursor);
    driver->phase = REPLAY_CALL_FLUSH;
}

bool replay_driver_reuse(struct iom_replay *replay, const struct iom_trace_record *record, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    for (uint32_t i = 0; i < driver->held_count; i++) {
        const struct replay_held *held = &driver->held[i];
        if (held->domain != record->domain || held->iova >= record->iova + record->bytes ||
            record->iova >= held->iova + held->bytes)
            continue;
        begin_call(replay, IOM_REPLAY_NONE, CALL_TIMER, now);
        set_range(driver, record->domain, 0, 0);
        begin_domain_flush(replay, lazy_domain(replay, record->domain));
        replay->stats.queue_flushes_reuse++;
        return true;
    }
    return false;
}

bool replay_driver_timer(struct iom_replay *replay, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    for (uint32_t i = 0; i < driver->domain_count; i++) {
        struct replay_domain *domain = &driver->domains[i];
        if (domain->timer > now)
            continue;
        domain->timer = IOM_NEVER;
        begin_call(replay, IOM_REPLAY_NONE, CALL_TIMER, now);
        set_range(driver, domain->id, 0, 0);
        iom_flush_queue_timer(domain->queue);
        begin_domain_flush(replay, domain);
        replay->stats.queue_flushes_timer++;
        return true;
    }
    return false;
}

// ---- ends --------------------------------------------------------------------------------------------

static void report(struct iom_replay *replay, uint64_t first, uint64_t last, iom_cycle now)
{
    const struct replay_driver *driver = &replay->driver;
    iom_tracker_reported(replay->config.driver.tracker, now, 0, driver->domain,
                         driver->detached ? driver->source : IOM_ANY_STREAM, first, last);
}

static void end_call(struct iom_replay *replay, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    struct iom_host_call_stats *stats = &driver->stats[driver->kind];
    stats->submissions += driver->submissions;
    stats->commands += driver->commands;
    iom_histogram_add(&stats->time, now - driver->begun);
    iom_host_call_stats_add(stats, driver->part);
    driver->phase = REPLAY_CALL_NONE;
    if (driver->detached) {
        struct iom_flush_attachment *gone = find_attachment(driver, driver->source, driver->pasid);
        if (gone != NULL && gone->domain == driver->domain)
            gone->used = false;
    }
    if (driver->attaches)
        replay_driver_attached(replay, &driver->attach);
    if (driver->op != IOM_REPLAY_NONE) {
        replay->ops[driver->op].calling = false;
        replay_wake(replay, driver->op);
    }
    replay_wake_others(replay);
}

// A flush of a flush queue is over: its ranges are gone for their callers.
static void end_domain_flush(struct iom_replay *replay, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    uint64_t flush = iom_flush_queue_end(driver->lazy->queue), cursor[2] = {0, 0};
    const struct iom_flush_entry *entry;
    while (iom_flush_queue_covered(driver->lazy->queue, flush, cursor, &entry))
        report(replay, entry->iova, entry->iova + entry->bytes - 1, now);
    release(replay, driver->lazy);
    driver->lazy = NULL;
}

// An unmap under a lazy policy: its range goes into the queue, after a flush if that is full.
static bool enqueue(struct iom_replay *replay, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    struct replay_domain *domain = lazy_domain(replay, driver->domain);
    if (domain == NULL)
        return false;
    release(replay, domain);
    if (iom_flush_queue_full(domain->queue, 0)) {
        replay->stats.queue_flushes_full++;
        begin_domain_flush(replay, domain);
        return true;
    }
    const struct iom_flush_entry entry = {.iova = driver->iova, .bytes = driver->bytes, .added = now};
    if (iom_flush_queue_add(domain->queue, 0, &entry))
        domain->timer = now + iom_unit_ticks(&replay->unit, replay->config.driver.policy.timeout_cycles);
    hold(replay, driver->domain, driver->iova, driver->bytes);
    driver->queued = false;
    driver->flushes = false;
    driver->phase = REPLAY_CALL_SPEND;
    driver->until = now + iom_unit_ticks(&replay->unit, replay->config.driver.enqueue_cycles);
    return true;
}

// No commands are left.
static bool flushed(struct iom_replay *replay, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    if (driver->lazy != NULL) {
        end_domain_flush(replay, now);
        if (driver->queued) { // the unmap that found the queue full
            driver->everything = false;
            return enqueue(replay, now);
        }
    } else if (driver->everything) {
        report(replay, 0, UINT64_MAX, now);
    } else {
        report(replay, driver->iova, driver->iova + driver->bytes - 1, now);
    }
    end_call(replay, now);
    return true;
}

bool replay_driver_step(struct iom_replay *replay, iom_cycle now)
{
    struct replay_driver *driver = &replay->driver;
    switch ((enum replay_call_phase)driver->phase) {
    case REPLAY_CALL_NONE:
        return false;
    case REPLAY_CALL_TABLES:
        if (!iom_store_queue_all_left(&replay->stores) || driver->until > now)
            return false;
        replay_charge(replay, IOM_HOST_PART_CALL, driver->until);
        replay_charge(replay, IOM_HOST_PART_TABLE, now);
        if (driver->queued)
            return enqueue(replay, now);
        if (driver->flushes)
            driver->phase = REPLAY_CALL_FLUSH;
        else
            end_call(replay, now);
        return true;
    case REPLAY_CALL_SPEND:
        if (driver->until > now)
            return false;
        replay_charge(replay, IOM_HOST_PART_CALL, now);
        end_call(replay, now);
        return true;
    case REPLAY_CALL_FLUSH:
        return replay_submit_begin(replay, now) || flushed(replay, now);
    case REPLAY_CALL_WRITTEN:
    case REPLAY_CALL_RUNG:
        return replay_submit_step(replay, now);
    }
    return false;
}

iom_cycle replay_driver_next(const struct iom_replay *replay, iom_cycle now)
{
    const struct replay_driver *driver = &replay->driver;
    iom_cycle next = IOM_NEVER;
    for (uint32_t i = 0; !replay_driver_busy(replay) && i < driver->domain_count; i++)
        next = iom_min_u64(next, driver->domains[i].timer);
    // What is over already goes on with a message or a store that leaves.
    if (replay_driver_busy(replay) && driver->until > now)
        next = driver->until;
    return next;
}
