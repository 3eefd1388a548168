// SPDX-License-Identifier: Apache-2.0
//
// Locks, stores, and the processor's cache in front of a walker that does not snoop. See host.h.
#include <stdlib.h>
#include <string.h>

#include "traffic/host_internal.h"

// ---- locks -------------------------------------------------------------------------------------------

static void grant(struct iom_host *host, struct iom_host_lock *lock, uint32_t thread, iom_cycle now)
{
    lock->holder = thread;
    lock->granted = now + iom_host_ticks(host, host->config.costs.lock_cycles);
    lock->stats.acquired++;
    iom_histogram_add(&lock->stats.wait, lock->granted - host->threads[thread].lock_asked);
    iom_host_wake_at(&host->threads[thread], lock->granted);
    host->progress = true;
}

void iom_host_ask_lock(struct iom_host *host, struct iom_host_thread *thread, uint32_t index, iom_cycle now)
{
    struct iom_host_lock *lock = &host->locks[index];
    thread->lock_asked = now;
    if (lock->holder == IOM_HOST_NOBODY) {
        grant(host, lock, thread->index, now);
        return;
    }
    // First in first out by (cycle, thread): later passes of a cycle may bring a lower thread.
    uint32_t place = lock->waiting++;
    while (place != 0) {
        const struct iom_host_thread *before = &host->threads[lock->queue[place - 1]];
        if (before->lock_asked < now || before->index < thread->index)
            break;
        lock->queue[place] = lock->queue[place - 1];
        place--;
    }
    lock->queue[place] = thread->index;
    lock->stats.contended++;
    if (lock->waiting > lock->stats.most_waiting)
        lock->stats.most_waiting = lock->waiting;
}

bool iom_host_has_lock(const struct iom_host *host, const struct iom_host_thread *thread, uint32_t index,
                       iom_cycle now)
{
    const struct iom_host_lock *lock = &host->locks[index];
    return lock->holder == thread->index && lock->granted <= now;
}

void iom_host_unlock(struct iom_host *host, struct iom_host_thread *thread, uint32_t index, iom_cycle now)
{
    struct iom_host_lock *lock = &host->locks[index];
    if (lock->holder != thread->index) {
        iom_host_give_up(host, "%s gives up a lock it does not hold", thread->program.name);
        return;
    }
    iom_histogram_add(&lock->stats.hold, now - lock->granted);
    lock->holder = IOM_HOST_NOBODY;
    if (lock->waiting == 0)
        return;
    uint32_t next = lock->queue[0];
    lock->waiting--;
    memmove(lock->queue, lock->queue + 1, lock->waiting * sizeof lock->queue[0]);
    grant(host, lock, next, now);
}

// ---- stores ------------------------------------------------------------------------------------------

void iom_host_open_stores(struct iom_host *host, struct iom_host_thread *thread, iom_cycle earliest)
{
    iom_store_queue_open(&thread->stores, thread->index, earliest);
    host->sink_thread = thread->index;
}

static bool hold_back(struct iom_host *host, const struct iom_host_thread *thread,
                      const struct iom_store *store)
{
    if (host->dirty_count == host->dirty_capacity) {
        uint64_t wanted = host->dirty_capacity != 0 ? host->dirty_capacity * 2 : 64;
        struct iom_host_dirty *grown = realloc(host->dirty, wanted * sizeof *grown);
        if (grown == NULL)
            return false;
        host->dirty = grown;
        host->dirty_capacity = wanted;
    }
    host->dirty[host->dirty_count++] = (struct iom_host_dirty){*store, thread->call_serial, false};
    if (host->config.tracker != NULL) {
        uint8_t bytes[8];
        for (unsigned i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(store->value >> (8 * i));
        iom_tracker_store(host->config.tracker, host->now, store->address, store->bytes, bytes);
    }
    return true;
}

bool iom_host_store(struct iom_host *host, struct iom_host_thread *thread, bool table,
                    const struct iom_store *store)
{
    host->stats.stores++;
    if (table && !host->config.coherent)
        return hold_back(host, thread, store);
    struct iom_store_sink sink = iom_store_queue_sink(&thread->stores);
    return sink.put(sink.context, store);
}

static bool put(void *context, const struct iom_store *store)
{
    struct iom_host *host = context;
    return iom_host_store(host, &host->threads[host->sink_thread], true, store);
}

struct iom_store_sink iom_host_sink(struct iom_host *host)
{
    return (struct iom_store_sink){.put = put, .context = host};
}

static uint64_t line_of(const struct iom_store *store)
{
    return store->address / IOM_LINE_BYTES;
}

// A line goes as a whole: with it every store to it that is still held back.
static void choose(struct iom_host *host, uint64_t serial, uint64_t address, uint64_t bytes)
{
    uint64_t first = address / IOM_LINE_BYTES;
    uint64_t last = bytes == 0 ? UINT64_MAX : (address + bytes - 1) / IOM_LINE_BYTES;
    bool rest = false;
    for (uint64_t i = 0; i < host->dirty_count; i++) {
        struct iom_host_dirty *dirty = &host->dirty[i];
        uint64_t line = line_of(&dirty->store);
        dirty->chosen = (serial == 0 || dirty->serial == serial) && line >= first && line <= last;
        rest = rest || !dirty->chosen;
    }
    for (uint64_t i = 0; rest && i < host->dirty_count; i++) {
        for (uint64_t j = 0; !host->dirty[i].chosen && j < host->dirty_count; j++)
            host->dirty[i].chosen =
                host->dirty[j].chosen && line_of(&host->dirty[i].store) == line_of(&host->dirty[j].store);
    }
}

uint64_t iom_host_write_back(struct iom_host *host, struct iom_host_thread *thread, uint64_t serial,
                             uint64_t address, uint64_t bytes, iom_cycle now)
{
    uint64_t lines = 0, kept = 0, previous = UINT64_MAX;
    struct iom_store_sink sink = iom_store_queue_sink(&thread->stores);
    choose(host, serial, address, bytes);
    for (uint64_t i = 0; i < host->dirty_count; i++) {
        const struct iom_host_dirty dirty = host->dirty[i];
        if (!dirty.chosen) {
            host->dirty[kept++] = dirty;
            continue;
        }
        lines += line_of(&dirty.store) != previous;
        previous = line_of(&dirty.store);
        iom_host_open_stores(host, thread,
                             now + iom_host_ticks(host, lines * host->config.costs.write_back_cycles));
        if (!sink.put(sink.context, &dirty.store))
            iom_host_give_up(host, "out of memory");
    }
    host->dirty_count = kept;
    host->stats.write_backs += lines;
    return lines;
}
