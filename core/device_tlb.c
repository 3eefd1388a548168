// SPDX-License-Identifier: Apache-2.0
//
// Life, ports and evaluation of the device TLB. See device_tlb.h.
#include "core/device_tlb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/device_tlb_internal.h"
#include "core/tracker.h"
#include "core/unit_stats.h"

#define NO_RECORD UINT32_MAX
#define FIRST_RECORDS 64u

// ---- records -------------------------------------------------------------------------------------------

static void grow(struct iom_device_tlb *tlb)
{
    uint32_t capacity = tlb->request_capacity == 0 ? FIRST_RECORDS : 2 * tlb->request_capacity;
    struct iom_device_request *requests = realloc(tlb->requests, capacity * sizeof *requests);
    if (requests == NULL)
        abort(); // bounded by what the device has under way
    tlb->requests = requests;
    tlb->request_capacity = capacity;
}

static void take_record(struct iom_device_tlb *tlb, struct iom_dma *dma)
{
    uint32_t index = tlb->first_free;
    if (index != NO_RECORD) {
        tlb->first_free = tlb->requests[index].next_free;
    } else {
        if (tlb->request_count == tlb->request_capacity)
            grow(tlb);
        index = tlb->request_count++;
    }
    tlb->requests[index] = (struct iom_device_request){
        .dma = dma,
        .address = dma->x.address,
        .cookie = dma->cookie,
        .flags = dma->x.flags,
    };
    dma->cookie = index;
    dma->used = dma->used_context = 0;
    dma->visible = 0;
    dma->memory_error = 0;
    tlb->held++;
}

// ---- evaluation of a cycle -----------------------------------------------------------------------------

static void take_answers(struct iom_device_tlb *tlb, iom_cycle now)
{
    struct iom_port *port = &tlb->ports[IOM_DEVICE_TLB_HOST];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_dma *dma = iom_device_dma(iom_port_pop(port));
        if (dma->msg.pool == &tlb->request_pool)
            iom_device_tlb_answered(tlb, dma, now);
        else
            iom_device_tlb_complete(tlb, dma, now);
    }
}

// Look-ups stand still while a message waits for a credit, or an invalidation holds the cache.
static bool stands(const struct iom_device_tlb *tlb, iom_cycle now)
{
    return tlb->exits.first != NULL || (tlb->blocks && now <= tlb->blocked_until);
}

static void take_replays(struct iom_device_tlb *tlb, iom_cycle now)
{
    while (tlb->budget != 0 && tlb->replays.first != NULL && !stands(tlb, now) &&
           tlb->replay_tried_at != tlb->changes) {
        struct iom_dma *dma = iom_device_dma(tlb->replays.first);
        if (iom_device_request_of(tlb, dma)->ready > now)
            return;
        iom_fifo_pop(&tlb->replays);
        if (!iom_device_tlb_look_up(tlb, dma, now)) {
            // Back to the head: those who look up again keep their order.
            struct iom_fifo rest = tlb->replays;
            tlb->replays = (struct iom_fifo){0};
            iom_fifo_push(&tlb->replays, &dma->msg);
            iom_fifo_append(&tlb->replays, &rest);
            tlb->replay_tried_at = tlb->changes;
            return;
        }
        tlb->budget--;
    }
}

static void take_requests(struct iom_device_tlb *tlb, iom_cycle now)
{
    struct iom_port *port = &tlb->ports[IOM_DEVICE_TLB_DEVICE];
    while (tlb->budget != 0 && !stands(tlb, now)) {
        if (tlb->head == NULL) {
            if (iom_port_peek(port, now) == NULL)
                return;
            tlb->head = iom_device_dma(iom_port_pop(port));
            take_record(tlb, tlb->head);
            iom_order_enter(tlb->order, tlb->head);
        } else if (tlb->head_tried_at == tlb->changes) {
            return;
        }
        if (!iom_device_tlb_look_up(tlb, tlb->head, now)) {
            tlb->head_tried_at = tlb->changes;
            return;
        }
        tlb->head = NULL;
        tlb->budget--;
        iom_port_return_credit(port, now);
    }
}

// When look-ups can go on without an answer or a credit coming in.
static iom_cycle next_look_up(struct iom_device_tlb *tlb, iom_cycle now)
{
    if (tlb->exits.first != NULL)
        return IOM_NEVER;
    iom_cycle next = IOM_NEVER;
    if (tlb->replays.first != NULL && tlb->replay_tried_at != tlb->changes)
        next = iom_device_request_of(tlb, iom_device_dma(tlb->replays.first))->ready;
    if (tlb->head != NULL ? tlb->head_tried_at != tlb->changes
                          : iom_port_peek(&tlb->ports[IOM_DEVICE_TLB_DEVICE], now) != NULL)
        next = 0;
    if (next == IOM_NEVER)
        return IOM_NEVER;
    next = iom_max_u64(next, now + tlb->unit.period);
    if (tlb->blocks)
        next = iom_max_u64(next, tlb->blocked_until + tlb->unit.period);
    return next;
}

static iom_cycle next_invalidation(const struct iom_device_tlb *tlb, iom_cycle now)
{
    if (tlb->running != NULL)
        return tlb->apply_at;
    const struct iom_port *port = &tlb->ports[IOM_DEVICE_TLB_INVALIDATE];
    bool more = tlb->invalidations_held < tlb->config.queue_depth && iom_port_peek(port, now) != NULL;
    // Those that keep one waiting are served by an answer, which wakes the unit.
    return more || (tlb->invalidations.first != NULL && tlb->starving == 0)
               ? iom_max_u64(tlb->free_from, now + tlb->unit.period)
               : IOM_NEVER;
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_device_tlb *tlb = (struct iom_device_tlb *)(void *)unit;
    if (tlb->budget_cycle != now) {
        tlb->budget_cycle = now;
        tlb->budget = tlb->config.lookups_per_cycle;
    }
    iom_device_tlb_settle(tlb, now);
    take_answers(tlb, now);
    iom_device_tlb_send_exits(tlb, now);
    iom_device_tlb_begin_invalidations(tlb, now);
    take_replays(tlb, now);
    take_requests(tlb, now);
    iom_device_tlb_apply_invalidation(tlb, now);
    return iom_min_u64(next_look_up(tlb, now), next_invalidation(tlb, now));
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_device_tlb *tlb = (const struct iom_device_tlb *)(const void *)unit;
    return tlb->held + tlb->invalidations_held;
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_device_tlb *tlb = (const struct iom_device_tlb *)(const void *)unit;
    snprintf(
        text, text_bytes,
        "holds %llu DMA request(s): %u translation request(s) under way, %llu waiting for a credit, %llu "
        "parked by ordering; %u invalidation(s) not completed",
        (unsigned long long)tlb->held, (unsigned)tlb->misses.used, (unsigned long long)tlb->exits.count,
        (unsigned long long)iom_order_parked(tlb->order), (unsigned)tlb->invalidations_held);
}

// ---- statistics ----------------------------------------------------------------------------------------

#define IOM_STAT_OWNER struct iom_device_tlb_stats
static const struct iom_stat_info stat_infos[] = {IOM_DEVICE_TLB_STATS(IOM_STAT_INFO)};

// The engine counts what it does to entries; what the last cycle recorded is settled first.
static void count_entries(struct iom_device_tlb *tlb)
{
    iom_cache_sync(tlb->cache, IOM_NEVER);
    const struct iom_cache_counts *counts = iom_cache_counts_of(tlb->cache);
    tlb->stats.fills = counts->fills - tlb->counts_base.fills;
    tlb->stats.evictions = counts->evictions - tlb->counts_base.evictions;
    tlb->stats.invalidated = counts->invalidated - tlb->counts_base.invalidated;
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    struct iom_device_tlb *tlb = (struct iom_device_tlb *)(void *)unit;
    if (index != 0)
        return false;
    count_entries(tlb);
    *block = IOM_STAT_BLOCK("device_tlb", stat_infos, &tlb->stats);
    return true;
}

static void reset_stats(struct iom_unit *unit)
{
    struct iom_device_tlb *tlb = (struct iom_device_tlb *)(void *)unit;
    memset(&tlb->stats, 0, sizeof tlb->stats);
    tlb->stats.most_invalidations = tlb->invalidations_held;
    iom_cache_sync(tlb->cache, IOM_NEVER);
    tlb->counts_base = *iom_cache_counts_of(tlb->cache);
}

IOM_UNIT_DESTROY(struct iom_device_tlb, iom_device_tlb_destroy)

static const struct iom_unit_ops device_tlb_ops = {
    .kind = "device_tlb",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life ----------------------------------------------------------------------------------------------

static bool allocate(struct iom_device_tlb *tlb, const char *name)
{
    struct iom_device_tlb_config *config = &tlb->config;
    config->cache.match =
        IOM_TAG_ADDRESS | IOM_TAG_STREAM | IOM_TAG_SUBSTREAM | IOM_TAG_STAGE | IOM_TAG_SECURITY;
    config->cache.index = 0;
    config->cache.payload_bytes = sizeof(struct iom_leaf);
    if (!config->use_size)
        config->invalidate.page_sizes = UINT64_C(1) << IOM_PAGE_LOG2;
    tlb->cache = iom_cache_create(&config->cache, config->seed, name);
    tlb->order = iom_order_create();
    tlb->translations = calloc(config->outstanding, sizeof *tlb->translations);
    // As many answers as there are requests under way may arrive in one cycle, and each frees its place
    // for another request whose answer comes later.
    tlb->fills = calloc(config->outstanding, sizeof *tlb->fills);
    return tlb->cache != NULL && tlb->order != NULL && tlb->translations != NULL && tlb->fills != NULL &&
           iom_miss_table_init(&tlb->misses, config->outstanding, config->merges_per_request);
}

struct iom_device_tlb *iom_device_tlb_create(const struct iom_device_tlb_config *config, const char *name)
{
    struct iom_device_tlb *tlb = calloc(1, sizeof *tlb);
    if (tlb == NULL)
        return NULL;
    assert(config->lookups_per_cycle != 0 && config->outstanding != 0);
    assert(config->queue_depth >= 1 && config->queue_depth <= IOM_DEVICE_TLB_SLOTS);
    tlb->config = *config;
    tlb->first_free = NO_RECORD;
    tlb->budget_cycle = IOM_NEVER;
    tlb->head_tried_at = tlb->replay_tried_at = UINT64_MAX;
    iom_pool_init(&tlb->request_pool, IOM_MSG_DMA, sizeof(struct iom_dma));
    if (!allocate(tlb, name)) {
        iom_device_tlb_destroy(tlb);
        return NULL;
    }
    iom_unit_init(&tlb->unit, &device_tlb_ops, name, tlb->ports, IOM_DEVICE_TLB_PORTS);
    iom_port_init(&tlb->unit, IOM_DEVICE_TLB_DEVICE, "device", false);
    iom_port_init(&tlb->unit, IOM_DEVICE_TLB_HOST, "host", true);
    iom_port_init(&tlb->unit, IOM_DEVICE_TLB_INVALIDATE, "invalidate", false);
    iom_port_init(&tlb->unit, IOM_DEVICE_TLB_MESSAGES, "messages", true);
    if (config->tracker != NULL && config->cache.entries != 0)
        iom_tracker_watch_cache(config->tracker, tlb->cache, IOM_TRACKED_DEVICE_TLB, config->index,
                                config->iommu);
    return tlb;
}

void iom_device_tlb_destroy(struct iom_device_tlb *tlb)
{
    if (tlb == NULL)
        return;
    iom_cache_destroy(tlb->cache);
    iom_order_destroy(tlb->order);
    iom_miss_table_free(&tlb->misses);
    iom_pool_free(&tlb->request_pool);
    free(tlb->translations);
    free(tlb->fills);
    free(tlb->requests);
    free(tlb);
}

struct iom_unit *iom_device_tlb_unit(struct iom_device_tlb *tlb)
{
    return &tlb->unit;
}

struct iom_port *iom_device_tlb_port(struct iom_device_tlb *tlb, enum iom_device_tlb_port port)
{
    return &tlb->ports[port];
}

struct iom_cache *iom_device_tlb_cache(struct iom_device_tlb *tlb)
{
    return tlb->cache;
}

const struct iom_device_tlb_stats *iom_device_tlb_stats_of(struct iom_device_tlb *tlb)
{
    count_entries(tlb);
    return &tlb->stats;
}
