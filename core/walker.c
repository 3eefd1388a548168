// SPDX-License-Identifier: Apache-2.0
//
// The walker pool: life, evaluation, assignment of walkers. Timing rules are in walker.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/unit_stats.h"
#include "core/walk_nodes.h"
#include "core/walker_internal.h"

#define IOM_STAT_OWNER struct iom_walker_stats
static const struct iom_stat_info stat_infos[] = {IOM_WALKER_STATS(IOM_STAT_INFO)};

#define RESPONSE_PORTS ((UINT64_C(1) << IOM_WALKER_PORTS) - 1)

// ---- new walks -----------------------------------------------------------------------------------------

static int32_t free_slot(const struct iom_walker *pool, iom_cycle now)
{
    for (uint32_t word = 0; word * 64 < pool->config.walkers; word++) {
        for (uint64_t left = pool->free[word]; left != 0; left &= left - 1) {
            uint32_t index = word * 64 + iom_ctz64(left);
            if (pool->slots[index].free_from <= now)
                return (int32_t)index;
        }
    }
    return -1;
}

static void assign(struct iom_walker *pool, uint32_t index, uint32_t input, iom_cycle now)
{
    struct iom_walk *walk = (struct iom_walk *)(void *)iom_port_pop(&pool->inputs[input]);
    iom_port_return_credit(&pool->inputs[input], now);
    pool->slots[index].walk = walk;
    pool->slots[index].input = input;
    pool->free[index / 64] &= ~(UINT64_C(1) << (index % 64));
    walk->started = now;
    walk->poisoned = walk->looked_up < pool->stale_before; // never without squash_walks
    if (walk->what == IOM_LOOKUP_CONTEXT)                  // the registers may have changed while it waited
        iom_walk_nodes_begin(pool->config.tracker, pool->config.arch->iommu, walk);
    pool->stats.walks++;
    pool->stats.context_walks += walk->what == IOM_LOOKUP_CONTEXT;
    pool->stats.pasid_walks += walk->what == IOM_LOOKUP_PASID;
    pool->stats.page_walks += walk->what == IOM_LOOKUP_IOTLB;
    if (++pool->busy > pool->stats.most_busy)
        pool->stats.most_busy = pool->busy;
    pool->config.arch->ops->walk_start(pool->config.arch, &pool->view, walk);
    iom_walker_act(pool, index, now, now);
}

static void take_walks(struct iom_walker *pool, iom_cycle now)
{
    uint32_t inputs = pool->config.inputs;
    uint32_t input = pool->turn;
    for (uint32_t idle = 0; idle < inputs && pool->busy < pool->config.walkers;) {
        const struct iom_msg *first = iom_port_peek(&pool->inputs[input], now);
        if (first == NULL || first->kind != IOM_MSG_WALK) {
            idle++;
            input = input + 1 == inputs ? 0 : input + 1;
            continue;
        }
        int32_t index = free_slot(pool, now);
        if (index < 0)
            return;
        assign(pool, (uint32_t)index, input, now);
        input = input + 1 == inputs ? 0 : input + 1;
        pool->turn = input;
        idle = 0;
    }
}

// A walk waits for a walker that is free from a later cycle on.
static iom_cycle next_assignment(const struct iom_walker *pool, iom_cycle now)
{
    if (pool->busy == pool->config.walkers)
        return IOM_NEVER; // a response will wake us
    bool waiting = false;
    for (uint32_t i = 0; i < pool->config.inputs && !waiting; i++)
        waiting = iom_port_peek(&pool->inputs[i], now) != NULL;
    if (!waiting)
        return IOM_NEVER;
    iom_cycle wake = IOM_NEVER;
    for (uint32_t word = 0; word * 64 < pool->config.walkers; word++) {
        for (uint64_t left = pool->free[word]; left != 0; left &= left - 1)
            wake = iom_min_u64(wake, pool->slots[word * 64 + iom_ctz64(left)].free_from);
    }
    return iom_max_u64(wake, now + pool->unit.period);
}

// Most cycles bring answers and walks and nothing else.
static inline bool is_quiet(const struct iom_walker *pool)
{
    return !(pool->unit.arrivals & UINT64_C(1) << IOM_WALKER_CONTROL) &&
           iom_invalidator_idle(&pool->invalidator) && pool->unsent.first == NULL &&
           pool->probes.first == NULL && pool->blocked_probes.first == NULL && pool->views.first == NULL;
}

// Before answers and walks: control messages, and what waits for credits or for an invalidation.
static void begin_cycle(struct iom_walker *pool, iom_cycle now)
{
    if (pool->unit.arrivals & UINT64_C(1) << IOM_WALKER_CONTROL)
        iom_walker_take_controls(pool, now);
    if (!iom_invalidator_idle(&pool->invalidator))
        iom_invalidator_begin(&pool->invalidator, &pool->unit, now);
    iom_walker_send(pool, now);
    iom_walker_take_probes(pool, now);
}

// Behind them. Returns the next wake-up on account of invalidations.
static iom_cycle end_cycle(struct iom_walker *pool, iom_cycle now)
{
    if (pool->views.first != NULL || pool->invalidator.running != NULL)
        iom_walker_end_controls(pool, now);
    iom_cycle wake = iom_invalidator_next(&pool->invalidator, &pool->unit, now);
    iom_cycle next = now + pool->unit.period;
    if (pool->blocked_probes.first != NULL && !iom_invalidator_blocks(&pool->invalidator, next))
        wake = iom_min_u64(wake, next);
    return wake;
}

static void apply_context(struct iom_walker *pool, const struct iom_walk_context *message)
{
    const struct iom_context *context = &message->context;
    for (uint32_t i = 0; i < pool->config.walkers; i++) {
        struct iom_walk *walk = pool->slots[i].walk;
        if (walk == NULL || walk->what != IOM_LOOKUP_IOTLB)
            continue;
        // What has been latched stays: tags, and where the walk is.
        walk->x.context.kind = context->kind;
        memcpy(walk->x.context.levels, context->levels, sizeof context->levels);
        walk->x.context.table[1] = context->table[1];
        walk->x.flags =
            (uint16_t)((walk->x.flags & ~(unsigned)IOM_REQ_WRITE) | (message->write ? IOM_REQ_WRITE : 0u));
    }
}

// Deviation: page walks go by the context that look-ups see. A message holds for walks that arrive with it
// too.
static void take_contexts(struct iom_walker *pool, bool remove, iom_cycle now)
{
    for (uint32_t i = 0; i < pool->config.inputs; i++) {
        struct iom_port *port = &pool->inputs[i];
        for (struct iom_msg *msg = iom_port_peek(port, now), *next; msg != NULL && msg->arrival <= now;
             msg = next) {
            next = msg->next;
            if (msg->kind != IOM_MSG_WALK_CONTEXT)
                continue;
            apply_context(pool, (const struct iom_walk_context *)(const void *)msg);
            if (remove) {
                iom_port_remove(port, msg);
                iom_msg_release(msg);
            }
        }
    }
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_walker *pool = (struct iom_walker *)(void *)unit;
    bool quiet = is_quiet(pool);
    if (!quiet)
        begin_cycle(pool, now);
    bool live = pool->config.live_context && (unit->arrivals & ~RESPONSE_PORTS);
    if (live)
        take_contexts(pool, false, now);
    if (unit->arrivals & RESPONSE_PORTS)
        iom_walker_take_responses(pool, now);
    if (unit->arrivals & ~RESPONSE_PORTS)
        take_walks(pool, now);
    if (live)
        take_contexts(pool, true, now);
    iom_cycle wake = quiet ? IOM_NEVER : end_cycle(pool, now);
    return unit->arrivals & ~RESPONSE_PORTS ? iom_min_u64(wake, next_assignment(pool, now)) : wake;
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    return ((const struct iom_walker *)(const void *)unit)->busy;
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_walker *pool = (const struct iom_walker *)(const void *)unit;
    size_t used = 0;
    used += (size_t)snprintf(text, text_bytes, "%u walk(s):", (unsigned)pool->busy);
    for (uint32_t i = 0; i < pool->config.walkers && used < text_bytes; i++) {
        const struct iom_walk *walk = pool->slots[i].walk;
        if (walk == NULL)
            continue;
        int n = snprintf(text + used, text_bytes - used, " source 0x%x address 0x%llx since cycle %llu;",
                         (unsigned)walk->x.source, (unsigned long long)walk->x.address,
                         (unsigned long long)walk->waiting_since);
        used += n > 0 ? (size_t)n : 0;
    }
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    struct iom_walker *pool = (struct iom_walker *)(void *)unit;
    if (index == 0) {
        *block = IOM_STAT_BLOCK("walker", stat_infos, &pool->stats);
        return true;
    }
    return index == 1 && pool->psc != NULL && iom_psc_stat_block(pool->psc, block);
}

static void reset_stats(struct iom_unit *unit)
{
    struct iom_walker *pool = (struct iom_walker *)(void *)unit;
    memset(&pool->stats, 0, sizeof pool->stats);
    if (pool->psc != NULL)
        iom_psc_reset_stats(pool->psc);
}

IOM_UNIT_DESTROY(struct iom_walker, iom_walker_destroy)

static const struct iom_unit_ops walker_ops = {
    .kind = "walker",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life ----------------------------------------------------------------------------------------------

struct iom_walker *iom_walker_create(const struct iom_walker_config *config, const char *name)
{
    static const char *const names[IOM_WALKER_PORTS] = {"memory", "psc", "control"};
    struct iom_walker *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->config = *config;
    pool->config.psc.tracker = config->tracker;
    pool->view = config->view;
    struct iom_invalidate_plan plan = {.psc.cost.method = IOM_INVALIDATE_FLASH};
    if (config->fused_psc || config->psc.plan != NULL)
        iom_psc_plan(&config->psc, &plan);
    iom_invalidator_init(&pool->invalidator, &plan, config->fused_psc ? IOM_INVALIDATE_PSC : 0);
    iom_pool_init(&pool->access_pool, IOM_MSG_MEMORY, sizeof(struct iom_memory_access));
    iom_pool_init(&pool->fill_pool, IOM_MSG_PROBE, sizeof(struct iom_psc_fill_message));
    pool->ports = calloc(config->inputs + IOM_WALKER_PORTS, sizeof *pool->ports);
    pool->slots = calloc(config->walkers, sizeof *pool->slots);
    pool->free = calloc((config->walkers + 63) / 64, sizeof *pool->free);
    bool ok = pool->ports != NULL && pool->slots != NULL && pool->free != NULL;
    for (uint32_t i = 0; ok && i < config->walkers; i++)
        pool->free[i / 64] |= UINT64_C(1) << (i % 64);
    if (ok && config->fused_psc) {
        pool->psc = iom_psc_create(&pool->config.psc, name);
        ok = pool->psc != NULL;
    }
    if (!ok) {
        iom_walker_destroy(pool);
        return NULL;
    }
    iom_unit_init(&pool->unit, &walker_ops, name, pool->ports, config->inputs + IOM_WALKER_PORTS);
    pool->inputs = pool->ports + IOM_WALKER_PORTS;
    for (uint32_t i = 0; i < IOM_WALKER_PORTS; i++)
        iom_port_init(&pool->unit, i, names[i], i != IOM_WALKER_CONTROL);
    for (uint32_t i = 0; i < config->inputs; i++)
        iom_port_init(&pool->unit, IOM_WALKER_PORTS + i, "in", false);
    return pool;
}

void iom_walker_destroy(struct iom_walker *pool)
{
    if (pool == NULL)
        return;
    iom_psc_destroy(pool->psc);
    iom_pool_free(&pool->access_pool);
    iom_pool_free(&pool->fill_pool);
    free(pool->ports);
    free(pool->slots);
    free(pool->free);
    free(pool);
}

struct iom_unit *iom_walker_unit(struct iom_walker *pool)
{
    return &pool->unit;
}

struct iom_port *iom_walker_input(struct iom_walker *pool, uint32_t index)
{
    return &pool->inputs[index];
}

struct iom_port *iom_walker_port(struct iom_walker *pool, enum iom_walker_port port)
{
    return &pool->ports[port];
}

struct iom_psc *iom_walker_psc(struct iom_walker *pool)
{
    return pool->psc;
}

const struct iom_walker_stats *iom_walker_stats_of(const struct iom_walker *pool)
{
    return &pool->stats;
}

void iom_walker_set_view(struct iom_walker *pool, const struct iom_view *view)
{
    pool->view = *view;
}
