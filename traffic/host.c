// SPDX-License-Identifier: Apache-2.0
//
// The host unit: messages in, threads, start-up, statistics. See host.h and host_internal.h.
#include "traffic/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/unit_stats.h"
#include "traffic/host_internal.h"

// Linux gives a register 10 s; no simulated one needs more than a few reads.
#define POLL_LIMIT 1000000u

#define IOM_STAT_OWNER struct iom_host_stats
static const struct iom_stat_info host_infos[] = {IOM_HOST_STATS(IOM_STAT_INFO)};
#undef IOM_STAT_OWNER
#define IOM_STAT_OWNER struct iom_host_call_stats
static const struct iom_stat_info call_infos[] = {IOM_HOST_CALL_STATS(IOM_STAT_INFO)};
#undef IOM_STAT_OWNER
#define IOM_STAT_OWNER struct iom_host_lock_stats
static const struct iom_stat_info lock_infos[] = {IOM_HOST_LOCK_STATS(IOM_STAT_INFO)};

static const char *const call_groups[IOM_HOST_CALL_KINDS] = {
    "host_map",          "host_unmap",        "host_sg_map",         "host_attach",    "host_detach",
    "host_pasid_attach", "host_pasid_detach", "host_context_change", "host_flush_all", "host_flush_timer",
};

static struct iom_host *host_of(struct iom_unit *unit)
{
    return (struct iom_host *)(void *)unit;
}

static const struct iom_host *const_host_of(const struct iom_unit *unit)
{
    return (const struct iom_host *)(const void *)unit;
}

void iom_host_give_up(struct iom_host *host, const char *format, ...)
{
    if (host->error[0] != '\0')
        return;
    int used = snprintf(host->error, sizeof host->error, "%s: ", host->unit.name);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(host->error + used, sizeof host->error - (size_t)used, format, arguments);
    va_end(arguments);
}

uint32_t iom_host_domain_index(const struct iom_host *host, uint32_t domain)
{
    for (uint32_t i = 0; i < host->config.domain_count; i++) {
        if (host->domains[i].config.id == domain)
            return i;
    }
    return IOM_HOST_NOBODY;
}

// ---- register accesses and start-up ------------------------------------------------------------------

bool iom_host_send_mmio(struct iom_host *host, uint32_t thread, bool write, uint32_t offset, uint8_t bytes,
                        uint64_t value, iom_cycle now)
{
    struct iom_port *port = &host->ports[IOM_HOST_PORT_MMIO];
    if (!iom_port_can_send(port, now))
        return false;
    struct iom_mmio *mmio = iom_pool_take(&host->mmio_pool);
    if (mmio == NULL) {
        iom_host_give_up(host, "out of memory");
        return false;
    }
    mmio->write = write;
    mmio->offset = offset;
    mmio->bytes = bytes;
    mmio->value = value;
    mmio->cookie = thread;
    iom_port_send(port, &mmio->msg, now);
    host->mmio_in_flight++;
    *(write ? &host->stats.register_writes : &host->stats.register_reads) += 1;
    host->progress = true;
    return true;
}

enum start_phase { START_WRITE, START_WROTE, START_POLL, START_READ };

static void become_ready(struct iom_host *host, iom_cycle now)
{
    host->ready = true;
    if (host->config.on_ready != NULL)
        host->config.on_ready(host->config.hook_context, now);
}

static void next_start_step(struct iom_host *host, iom_cycle now)
{
    host->start_phase = START_WRITE;
    host->polls = 0;
    if (++host->step == host->step_count)
        become_ready(host, now);
}

static void take_start_answer(struct iom_host *host, uint64_t value, iom_cycle now)
{
    const struct iom_register_write *step = &host->steps[host->step];
    if (host->start_phase == START_WROTE && step->poll_bytes != 0) {
        host->start_phase = START_POLL;
        host->poll_at = now;
    } else if (host->start_phase == START_WROTE || (value & step->poll_mask) == step->poll_value) {
        next_start_step(host, now);
    } else if (++host->polls == POLL_LIMIT) {
        iom_host_give_up(host, "register 0x%x does not show the awaited status", step->poll_offset);
    } else {
        host->start_phase = START_POLL;
        host->poll_at = now + iom_host_ticks(host, iom_max_u64(host->config.costs.relax_cycles, 1));
    }
}

static iom_cycle advance_start(struct iom_host *host, iom_cycle now)
{
    const struct iom_register_write *step = &host->steps[host->step];
    if (host->start_phase == START_WRITE &&
        iom_host_send_mmio(host, IOM_HOST_START_UP, true, step->offset, step->bytes, step->value, now))
        host->start_phase = START_WROTE;
    if (host->start_phase != START_POLL)
        return IOM_NEVER;
    if (host->poll_at > now)
        return host->poll_at;
    if (iom_host_send_mmio(host, IOM_HOST_START_UP, false, step->poll_offset, step->poll_bytes, 0, now))
        host->start_phase = START_READ;
    return IOM_NEVER;
}

// ---- messages ----------------------------------------------------------------------------------------

static void take_memory(struct iom_host *host, struct iom_msg *msg, iom_cycle now)
{
    const struct iom_memory_access *access = (const struct iom_memory_access *)(void *)msg;
    if (access->op == IOM_MEMORY_WATCH) {
        iom_host_take_watch(host, access, now);
        iom_msg_release(msg);
        return;
    }
    bool error = false;
    uint64_t address = access->address;
    struct iom_host_thread *thread = &host->threads[access->cookie];
    iom_store_queue_acknowledge(&thread->stores, msg, &error);
    if (thread->late_count != 0)
        iom_host_tell_late(host, thread, now);
    if (error)
        iom_host_give_up(host, "a store went to 0x%llx, which does not answer", (unsigned long long)address);
}

static void take_mmio(struct iom_host *host, struct iom_msg *msg, iom_cycle now)
{
    const struct iom_mmio *mmio = (const struct iom_mmio *)(void *)msg;
    host->mmio_in_flight--;
    if (mmio->cookie == IOM_HOST_START_UP) {
        if (!host->ready)
            take_start_answer(host, mmio->value, now);
    } else if (mmio->cookie != IOM_HOST_POSTED) {
        host->threads[mmio->cookie].mmio_wait = false;
        host->threads[mmio->cookie].submission.answer = mmio->value;
    }
    iom_msg_release(msg);
}

static void take_messages(struct iom_host *host, iom_cycle now)
{
    for (uint32_t i = 0; i < host->unit.port_count; i++) {
        struct iom_port *port = &host->ports[i];
        while (iom_port_peek(port, now) != NULL) {
            struct iom_msg *msg = iom_port_pop(port);
            if (i == IOM_HOST_PORT_MEMORY) {
                take_memory(host, msg, now);
            } else if (i == IOM_HOST_PORT_MMIO) {
                take_mmio(host, msg, now);
            } else {
                iom_host_take_dma(host, (struct iom_dma *)(void *)msg, now);
                iom_msg_release(msg);
            }
        }
    }
}

// ---- unit --------------------------------------------------------------------------------------------

// What one thread does may let another go on in the same cycle (locks, events): passes until nothing moves.
static iom_cycle run_threads(struct iom_host *host, iom_cycle now)
{
    iom_cycle next;
    do {
        host->progress = false;
        for (uint32_t i = 0; i < host->thread_count; i++)
            iom_host_run_thread(host, &host->threads[i], now);
    } while (host->progress && host->error[0] == '\0');
    next = IOM_NEVER;
    for (uint32_t i = 0; i < host->thread_count; i++)
        next = iom_min_u64(next, host->threads[i].wake);
    return next;
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_host *host = host_of(unit);
    iom_cycle next = IOM_NEVER;
    host->now = now;
    take_messages(host, now);
    if (host->error[0] != '\0')
        return IOM_NEVER;
    if (now < host->config.start)
        return host->config.start == IOM_NEVER ? IOM_NEVER : iom_unit_edge(unit, host->config.start);
    if (!host->ready && host->step == host->step_count)
        become_ready(host, now);
    if (!host->ready)
        next = advance_start(host, now);
    if (host->ready)
        next = run_threads(host, now);
    return next == IOM_NEVER ? IOM_NEVER : iom_unit_edge(unit, iom_max_u64(next, now + 1));
}

static uint64_t pending_stores(const struct iom_host *host)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < host->thread_count; i++)
        count += iom_store_queue_pending(&host->threads[i].stores);
    return count;
}

static uint64_t unfinished(const struct iom_host *host)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < host->thread_count; i++)
        count += host->threads[i].op != host->threads[i].program.count || host->threads[i].running;
    return count;
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_host *host = const_host_of(unit);
    if (host->error[0] != '\0')
        return 0;
    return host->mmio_in_flight + host->dma_in_flight + pending_stores(host) + unfinished(host);
}

static const char *waits_for(const struct iom_host *host, const struct iom_host_thread *thread)
{
    (void)host;
    static const char *const texts[] = {
        [IOM_STEP_SPEND] = "time",
        [IOM_STEP_LEAVE] = "its stores to leave",
        [IOM_STEP_FENCE] = "acknowledgements of its stores",
        [IOM_STEP_LOCK] = "a lock",
        [IOM_STEP_SUBMIT] = "the command queue",
        [IOM_STEP_REGISTER] = "a register",
        [IOM_STEP_AWAIT] = "an event",
        [IOM_STEP_REQUEST] = "a credit of a device's port",
        [IOM_STEP_REQUESTS] = "answers to its DMA",
    };
    return thread->stepping ? texts[thread->step.kind] : "its start";
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_host *host = const_host_of(unit);
    if (!host->ready) {
        snprintf(text, text_bytes, "brings the IOMMU up: step %zu of %zu", host->step + 1, host->step_count);
        return;
    }
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < host->thread_count && used < text_bytes; i++) {
        const struct iom_host_thread *thread = &host->threads[i];
        if (thread->op == thread->program.count && !thread->running)
            continue;
        int written =
            snprintf(text + used, text_bytes - used, "%s%s operation %u waits for %s", used != 0 ? "; " : "",
                     thread->program.name, (unsigned)thread->op, waits_for(host, thread));
        used += written > 0 ? (size_t)written : 0;
    }
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    struct iom_host *host = host_of(unit);
    if (index == 0) {
        *block = IOM_STAT_BLOCK("host", host_infos, &host->stats);
    } else if (index <= IOM_HOST_CALL_KINDS) {
        *block = IOM_STAT_BLOCK(call_groups[index - 1], call_infos, &host->calls[index - 1]);
    } else if (index - 1 - IOM_HOST_CALL_KINDS < host->lock_count) {
        struct iom_host_lock *lock = &host->locks[index - 1 - IOM_HOST_CALL_KINDS];
        *block = IOM_STAT_BLOCK(lock->group, lock_infos, &lock->stats);
    } else {
        return false;
    }
    return true;
}

static void reset_stats(struct iom_unit *unit)
{
    struct iom_host *host = host_of(unit);
    memset(&host->stats, 0, sizeof host->stats);
    memset(host->calls, 0, IOM_HOST_CALL_KINDS * sizeof *host->calls);
    for (uint32_t i = 0; i < host->lock_count; i++)
        memset(&host->locks[i].stats, 0, sizeof host->locks[i].stats);
}

IOM_UNIT_DESTROY(struct iom_host, iom_host_destroy)

const struct iom_unit_ops iom_host_unit_ops = {
    .kind = "host",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- questions ---------------------------------------------------------------------------------------

struct iom_unit *iom_host_unit(struct iom_host *host)
{
    return &host->unit;
}

struct iom_port *iom_host_port(struct iom_host *host, uint32_t port)
{
    return &host->ports[port];
}

bool iom_host_ready(const struct iom_host *host)
{
    return host->ready && host->error[0] == '\0';
}

bool iom_host_finished(const struct iom_host *host)
{
    return host->ready && (host->error[0] != '\0' || outstanding(&host->unit) == 0);
}

uint64_t iom_host_pending(const struct iom_host *host)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < host->config.domain_count; i++) {
        if (host->domains[i].queue != NULL)
            count += iom_flush_queue_held(host->domains[i].queue);
    }
    return count;
}

const char *iom_host_error(const struct iom_host *host)
{
    return host->error[0] != '\0' ? host->error : NULL;
}

const struct iom_host_stats *iom_host_stats_of(const struct iom_host *host)
{
    return &host->stats;
}

const struct iom_host_call_stats *iom_host_call_stats_of(const struct iom_host *host, uint32_t kind)
{
    return &host->calls[kind - IOM_HOST_MAP];
}

const struct iom_host_lock_stats *iom_host_lock_stats_of(const struct iom_host *host, uint32_t index)
{
    return &host->locks[index].stats;
}
