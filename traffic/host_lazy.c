// SPDX-License-Identifier: Apache-2.0
//
// Flush queues at work: putting an unmapped range into one, flushing when it is full, and the timer (Linux
// 6.12, drivers/iommu/dma-iommu.c: queue_iova, fq_flush_timeout). See flush_queue.h and host.h.
#include "traffic/host_internal.h"

enum phase {
    PHASE_ASK,
    PHASE_LOCKED,  ///< what earlier flushes cover goes
    PHASE_CHECK,   ///< full?
    PHASE_FLUSH,   ///< the domain
    PHASE_FLUSHED, ///< what this flush covers goes
    PHASE_ADD,
    PHASE_ADDED,
};

static struct iom_host_domain_state *domain_of(const struct iom_host *host,
                                               const struct iom_host_thread *thread)
{
    return &host->domains[thread->call.domain];
}

static uint32_t lock_of(const struct iom_host_domain_state *domain, uint32_t ring)
{
    return domain->first_lock + (iom_flush_queue_count(domain->queue) == 1 ? 0 : ring);
}

// Gives back the addresses that a finished flush covers, to the magazines of the CPU that does it. Returns
// how many.
static uint64_t release(struct iom_host *host, struct iom_host_domain_state *domain, uint32_t ring,
                        uint32_t cpu, iom_cycle now)
{
    struct iom_flush_entry entry;
    uint64_t count = 0;
    while (iom_flush_queue_release(domain->queue, ring, &entry)) {
        if (entry.cookie != 0)
            iom_iova_give(domain->addresses, cpu, entry.iova, entry.bytes);
        iom_histogram_add(&host->stats.held_back, now - entry.added);
        count++;
    }
    host->stats.released += count;
    return count;
}

static void begin_flush(struct iom_host *host, struct iom_host_thread *thread)
{
    iom_flush_queue_begin(domain_of(host, thread)->queue);
    iom_host_plan_everything(thread);
}

// From here on the unmapped ranges are gone for their callers.
static void end_flush(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_flush_queue *queue = domain_of(host, thread)->queue;
    uint64_t flush = iom_flush_queue_end(queue), cursor[2] = {0, 0};
    const struct iom_flush_entry *entry;
    while (host->config.tracker != NULL && iom_flush_queue_covered(queue, flush, cursor, &entry))
        iom_tracker_reported(host->config.tracker, now, host->config.iommu,
                             domain_of(host, thread)->config.id, IOM_ANY_STREAM, entry->iova,
                             entry->iova + entry->bytes - 1);
    iom_host_report(host, thread, IOM_HOST_REPORT_FLUSH, now);
}

static void set_timer(struct iom_host *host, struct iom_host_domain_state *domain, iom_cycle now)
{
    domain->timer = now + iom_host_ticks(host, domain->config.policy.timeout_cycles);
    iom_host_wake_at(&host->threads[host->thread_count - 1], domain->timer);
    host->progress = true;
}

static void add(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_domain_state *domain = domain_of(host, thread);
    const struct iom_host_call *call = &thread->call;
    const struct iom_flush_entry entry = {
        .iova = call->iova, .bytes = call->bytes, .cookie = call->owned, .added = now};
    if (iom_flush_queue_add(domain->queue, call->ring, &entry)) {
        domain->timer_cpu = thread->program.cpu;
        set_timer(host, domain, now);
    }
    host->stats.queued++;
}

bool iom_host_enqueue_next(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    struct iom_host_domain_state *domain = domain_of(host, thread);
    struct iom_host_call *call = &thread->call;
    const struct iom_host_costs *costs = &host->config.costs;
    switch ((enum phase)call->lazy_phase) {
    case PHASE_ASK:
        call->ring = thread->program.cpu;
        iom_host_begin_step(thread, IOM_STEP_LOCK, IOM_HOST_PART_LOCK);
        thread->step.index = lock_of(domain, call->ring);
        call->lazy_phase = PHASE_LOCKED;
        return true;
    case PHASE_LOCKED:
    case PHASE_FLUSHED:
        iom_host_spend(host, thread, IOM_HOST_PART_CALL,
                       release(host, domain, call->ring, thread->program.cpu, now) * costs->iova_cycles, now);
        call->lazy_phase = PHASE_CHECK;
        return true;
    case PHASE_CHECK:
        call->lazy_phase = PHASE_ADD;
        if (iom_flush_queue_full(domain->queue, call->ring)) {
            host->stats.queue_flushes_full++;
            begin_flush(host, thread);
            call->lazy_phase = PHASE_FLUSH;
        }
        return iom_host_enqueue_next(host, thread, now);
    case PHASE_FLUSH:
        if (iom_host_commands_next(host, thread, now))
            return true;
        end_flush(host, thread, now);
        call->lazy_phase = PHASE_FLUSHED;
        return iom_host_enqueue_next(host, thread, now);
    case PHASE_ADD:
        iom_host_spend(host, thread, IOM_HOST_PART_CALL, costs->enqueue_cycles, now);
        call->lazy_phase = PHASE_ADDED;
        return true;
    case PHASE_ADDED:
        add(host, thread, now);
        iom_host_unlock(host, thread, lock_of(domain, call->ring), now);
        call->lazy_phase = PHASE_ASK;
        return false;
    }
    return false;
}

// ---- the timer's thread ------------------------------------------------------------------------------

enum timer_phase { TIMER_FLUSH, TIMER_ASK, TIMER_RELEASE, TIMER_UNLOCK };

static bool begin_timer(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    for (uint32_t i = 0; i < host->config.domain_count; i++) {
        struct iom_host_domain_state *domain = &host->domains[i];
        if (domain->timer > now) {
            if (domain->timer != IOM_NEVER)
                iom_host_wake_at(thread, domain->timer);
            continue;
        }
        domain->timer = IOM_NEVER;
        thread->running = true;
        thread->call = (struct iom_host_call){.domain = i, .lazy_phase = TIMER_FLUSH};
        iom_host_begin_account(thread, now);
        iom_flush_queue_timer(domain->queue);
        host->stats.queue_flushes_timer++;
        begin_flush(host, thread);
        return true;
    }
    return false;
}

bool iom_host_timer_next(struct iom_host *host, struct iom_host_thread *thread, iom_cycle now)
{
    if (!thread->running)
        return begin_timer(host, thread, now);
    struct iom_host_domain_state *domain = domain_of(host, thread);
    struct iom_host_call *call = &thread->call;
    switch ((enum timer_phase)call->lazy_phase) {
    case TIMER_FLUSH:
        if (iom_host_commands_next(host, thread, now))
            return true;
        end_flush(host, thread, now);
        call->lazy_phase = TIMER_ASK;
        return true;
    case TIMER_ASK:
        if (call->ring == iom_flush_queue_count(domain->queue)) {
            thread->running = false;
            iom_host_count_call(host, thread, IOM_HOST_OP_KINDS, now);
            return true;
        }
        iom_host_begin_step(thread, IOM_STEP_LOCK, IOM_HOST_PART_LOCK);
        thread->step.index = lock_of(domain, call->ring);
        call->lazy_phase = TIMER_RELEASE;
        return true;
    case TIMER_RELEASE:
        iom_host_spend(
            host, thread, IOM_HOST_PART_CALL,
            release(host, domain, call->ring, domain->timer_cpu, now) * host->config.costs.iova_cycles, now);
        call->lazy_phase = TIMER_UNLOCK;
        return true;
    case TIMER_UNLOCK:
        iom_host_unlock(host, thread, lock_of(domain, call->ring), now);
        call->ring++;
        call->lazy_phase = TIMER_ASK;
        return true;
    }
    return false;
}
