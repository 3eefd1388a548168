// SPDX-License-Identifier: Apache-2.0
//
// The walker pool. Timing rules are in walker.h.
#include "core/walker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/invalidator.h"
#include "core/memory.h"
#include "core/walk_nodes.h"

struct slot {
    struct iom_walk *walk; ///< null: free
    iom_cycle free_from;   ///< when free: first cycle in which it may take a walk
    uint32_t input;        ///< port the walk came through
};

struct iom_walker {
    struct iom_unit unit; // first member: the unit is the pool
    struct iom_walker_config config;
    struct iom_view view;
    struct iom_port *ports;  ///< enum iom_walker_port, then the inputs
    struct iom_port *inputs; ///< ports + IOM_WALKER_PORTS
    struct iom_psc *psc;
    struct iom_pool access_pool, fill_pool;
    struct slot *slots;
    uint64_t *free; ///< bit set of slots without a walk
    uint32_t busy;
    uint32_t turn;
    struct iom_fifo unsent;         ///< memory accesses waiting for a credit
    struct iom_fifo probes;         ///< walks waiting for a credit of the cache unit
    struct iom_fifo blocked_probes; ///< walks waiting for the end of an invalidation of the caches
    struct iom_fifo views;          ///< new views, taken over at the end of the cycle
    struct iom_invalidator invalidator;
    iom_cycle stale_before; ///< walks of requests looked up before this cycle fill no caches (0: none)
    struct iom_walker_stats stats;
};

#define IOM_STAT_OWNER struct iom_walker_stats
static const struct iom_stat_info stat_infos[] = {IOM_WALKER_STATS(IOM_STAT_INFO)};

// ---- actions -------------------------------------------------------------------------------------------

static void send_unsent(struct iom_walker *pool, iom_cycle now)
{
    struct iom_port *memory = &pool->ports[IOM_WALKER_MEMORY];
    while (pool->unsent.first != NULL && iom_port_can_send(memory, now)) {
        struct iom_memory_access *access = (struct iom_memory_access *)(void *)iom_fifo_pop(&pool->unsent);
        iom_cycle wanted = pool->slots[access->cookie].walk->waiting_since;
        iom_port_send(memory, &access->msg, iom_max_u64(wanted, now));
    }
    struct iom_port *psc = &pool->ports[IOM_WALKER_PSC];
    while (pool->probes.first != NULL && iom_port_can_send(psc, now)) {
        struct iom_msg *msg = iom_fifo_pop(&pool->probes);
        struct iom_walk *walk = (struct iom_walk *)(void *)msg;
        iom_port_send(psc, msg, iom_max_u64(walk->waiting_since, now));
    }
}

static void access_memory(struct iom_walker *pool, uint32_t index, iom_cycle when, iom_cycle now)
{
    struct iom_walk *walk = pool->slots[index].walk;
    struct iom_memory_access *access = iom_pool_take(&pool->access_pool);
    if (access == NULL)
        abort(); // one per walker
    access->cookie = index;
    access->address = walk->address;
    access->error = 0;
    access->node = 0;
    if (walk->action == IOM_WALK_READ) {
        access->node = walk->node;
        access->op = IOM_MEMORY_READ;
        access->bytes = walk->bytes;
        walk->reads++;
        pool->stats.table_reads++;
    } else {
        access->op = IOM_MEMORY_CAS;
        access->bytes = 8;
        access->expected = walk->expected;
        access->desired = walk->desired;
        walk->updates++;
        pool->stats.table_updates++;
    }
    walk->waiting_since = when;
    struct iom_port *memory = &pool->ports[IOM_WALKER_MEMORY];
    if (pool->unsent.first == NULL && iom_port_can_send(memory, now))
        iom_port_send(memory, &access->msg, iom_max_u64(when, now));
    else
        iom_fifo_push(&pool->unsent, &access->msg);
}

// Returns true if the probe was answered at once (caches called as functions, or no caches at all).
static bool probe_caches(struct iom_walker *pool, uint32_t index, iom_cycle *when, iom_cycle now)
{
    struct iom_walk *walk = pool->slots[index].walk;
    iom_walk_nodes_stage(pool->config.tracker, pool->config.arch->iommu, walk);
    if (pool->psc != NULL) {
        if (!iom_psc_present(pool->psc, walk->probe.stage)) {
            walk->probe.hit_level = 0;
            return true;
        }
        if (iom_invalidator_blocks(&pool->invalidator, now)) {
            walk->waiting_since = *when;
            iom_msg_push_route(&walk->msg, (uint8_t)index);
            iom_fifo_push(&pool->blocked_probes, &walk->msg);
            return false;
        }
        iom_psc_look_up(pool->psc, now, &walk->probe);
        iom_walk_nodes_hit(pool->config.tracker, walk);
        *when += iom_unit_ticks(&pool->unit, pool->config.psc.latency_cycles);
        return true;
    }
    if (pool->ports[IOM_WALKER_PSC].peer == NULL) {
        walk->probe.hit_level = 0;
        return true;
    }
    walk->waiting_since = *when;
    iom_msg_push_route(&walk->msg, (uint8_t)index);
    iom_fifo_push(&pool->probes, &walk->msg);
    send_unsent(pool, now);
    return false;
}

static void fill_caches(struct iom_walker *pool, struct iom_walk *walk, iom_cycle when, iom_cycle now)
{
    walk->psc_fill.valid = false;
    if (walk->poisoned)
        return;
    // Without provenance to join nothing remains of an entry that no cache keeps.
    if (pool->psc != NULL && walk->outer == 0 &&
        !iom_psc_keeps(pool->psc, walk->psc_fill.stage, walk->psc_fill.level))
        return;
    iom_node node = iom_walk_nodes_fill(pool->config.tracker, walk);
    walk->psc_fill.entry.node = node;
    if (pool->psc != NULL) {
        iom_psc_insert(pool->psc, now, &walk->psc_fill);
        iom_tracker_release(pool->config.tracker, node);
    } else if (pool->ports[IOM_WALKER_PSC].peer != NULL) {
        struct iom_psc_fill_message *message = iom_pool_take(&pool->fill_pool);
        if (message == NULL)
            abort(); // a few hundred bytes
        message->fill = walk->psc_fill;
        message->decided = pool->config.squash_walks ? now : IOM_NEVER;
        // Fills are not answered and take no request slot: they travel on the probe's wires.
        struct iom_port *port = &pool->ports[IOM_WALKER_PSC];
        port->credits += port->depth != 0;
        iom_port_send(port, &message->msg, when); // and with it the reference
    } else {
        iom_tracker_release(pool->config.tracker, node);
    }
}

static void finish(struct iom_walker *pool, uint32_t index, iom_cycle when)
{
    struct slot *slot = &pool->slots[index];
    struct iom_walk *walk = slot->walk;
    if (walk->what == IOM_LOOKUP_IOTLB) {
        iom_histogram_add(&pool->stats.walk_latency, when - walk->started);
        iom_histogram_add(&pool->stats.reads_per_walk, walk->reads);
    }
    pool->stats.busy_cycles += when - walk->started;
    iom_walk_nodes_result(pool->config.tracker, walk);
    slot->walk = NULL;
    slot->free_from = when;
    pool->free[index / 64] |= UINT64_C(1) << (index % 64);
    pool->busy--;
    iom_port_send(&pool->inputs[slot->input], &walk->msg, when);
}

// Carries out actions until one has to wait for memory or the cache unit, or the walk is over. `when`
// runs ahead of `now` by what the steps cost.
static void act(struct iom_walker *pool, uint32_t index, iom_cycle when, iom_cycle now)
{
    struct iom_walk *walk = pool->slots[index].walk;
    for (;;) {
        if (walk->psc_fill.valid)
            fill_caches(pool, walk, when, now);
        switch ((enum iom_walk_action)walk->action) {
        case IOM_WALK_READ:
        case IOM_WALK_CAS:
            access_memory(pool, index, when, now);
            return;
        case IOM_WALK_PROBE:
            if (!probe_caches(pool, index, &when, now))
                return;
            break;
        case IOM_WALK_DONE:
            finish(pool, index, when);
            return;
        }
        pool->config.arch->ops->walk_step(pool->config.arch, &pool->view, walk);
    }
}

#define RESPONSE_PORTS ((UINT64_C(1) << IOM_WALKER_PORTS) - 1)

// ---- responses -----------------------------------------------------------------------------------------

static void memory_answered(struct iom_walker *pool, struct iom_memory_access *access, iom_cycle now)
{
    uint32_t index = (uint32_t)access->cookie;
    struct iom_walk *walk = pool->slots[index].walk;
    walk->access_error = access->error;
    pool->stats.access_errors += access->error;
    if (access->bytes == 8)
        walk->data[0] = access->data[0];
    else
        memcpy(walk->data, access->data, access->bytes);
    walk->memory_cycles += now - walk->waiting_since;
    if (access->op == IOM_MEMORY_READ)
        iom_walk_nodes_read(pool->config.tracker, walk, access->node);
    iom_msg_release(&access->msg);
    pool->config.arch->ops->walk_step(pool->config.arch, &pool->view, walk);
    act(pool, index, now + iom_unit_ticks(&pool->unit, pool->config.step_cycles), now);
}

static void take_responses(struct iom_walker *pool, iom_cycle now)
{
    struct iom_port *memory = &pool->ports[IOM_WALKER_MEMORY];
    while (iom_port_peek(memory, now) != NULL)
        memory_answered(pool, (struct iom_memory_access *)(void *)iom_port_pop(memory), now);
    struct iom_port *psc = &pool->ports[IOM_WALKER_PSC];
    if (psc->head == NULL)
        return;
    while (iom_port_peek(psc, now) != NULL) {
        struct iom_walk *walk = (struct iom_walk *)(void *)iom_port_pop(psc);
        uint32_t index = iom_msg_pop_route(&walk->msg);
        iom_walk_nodes_hit(pool->config.tracker, walk);
        pool->config.arch->ops->walk_step(pool->config.arch, &pool->view, walk);
        act(pool, index, now, now);
    }
}

// Probes that an invalidation has kept waiting.
static void take_blocked_probes(struct iom_walker *pool, iom_cycle now)
{
    while (pool->blocked_probes.first != NULL && !iom_invalidator_blocks(&pool->invalidator, now)) {
        struct iom_walk *walk = (struct iom_walk *)(void *)iom_fifo_pop(&pool->blocked_probes);
        uint32_t index = iom_msg_pop_route(&walk->msg);
        act(pool, index, iom_max_u64(walk->waiting_since, now), now);
    }
}

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
    act(pool, index, now, now);
}

static void take_walks(struct iom_walker *pool, iom_cycle now)
{
    uint32_t inputs = pool->config.inputs;
    uint32_t input = pool->turn;
    for (uint32_t idle = 0; idle < inputs && pool->busy < pool->config.walkers;) {
        if (iom_port_peek(&pool->inputs[input], now) == NULL) {
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

// ---- control -------------------------------------------------------------------------------------------

// A walk that may have read what is being invalidated must not fill the caches any more. Fields a walk
// does not know yet match.
static void poison(struct iom_walker *pool, const struct iom_cache_match *match)
{
    for (uint32_t i = 0; i < pool->config.walkers; i++) {
        struct iom_walk *walk = pool->slots[i].walk;
        if (walk == NULL)
            continue;
        struct iom_tag tag = {.stream = walk->x.source, .domain = walk->x.context.domain, .size_log2 = 64};
        struct iom_cache_match narrowed = *match;
        narrowed.fields &= IOM_TAG_STREAM | IOM_TAG_IOMMU;
        tag.iommu = pool->config.arch->iommu;
        if (walk->what == IOM_LOOKUP_IOTLB)
            narrowed.fields |= match->fields & IOM_TAG_DOMAIN;
        narrowed.keep_global = false;
        if (iom_tag_matches(&tag, &narrowed))
            walk->poisoned = true;
    }
}

static void take_controls(struct iom_walker *pool, iom_cycle now)
{
    struct iom_port *port = &pool->ports[IOM_WALKER_CONTROL];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_control *control = (struct iom_control *)(void *)iom_port_pop(port);
        if (control->op == IOM_CONTROL_INVALIDATE)
            iom_invalidator_push(&pool->invalidator, control);
        else
            iom_fifo_push(&pool->views, &control->msg);
    }
}

static void invalidate(struct iom_walker *pool, struct iom_control *control, iom_cycle now)
{
    const struct iom_invalidation *invalidation = &control->invalidation;
    control->removed = 0;
    if (!(iom_invalidation_targets(invalidation) & IOM_INVALIDATE_PSC))
        return;
    if (pool->psc != NULL) {
        control->removed = iom_psc_invalidate(pool->psc, now, invalidation);
        iom_psc_count_invalidation(pool->psc, (now - pool->invalidator.begun) / pool->unit.period + 1,
                                   iom_invalidator_blocked(&pool->invalidator, &pool->unit));
    }
    if (!pool->config.squash_walks)
        return;
    pool->stale_before = now + 1;
    for (uint32_t i = 0; i < invalidation->parts; i++) {
        if (invalidation->part[i].targets & IOM_INVALIDATE_PSC)
            poison(pool, &invalidation->part[i].match);
    }
}

// End of the cycle: what was read in it saw the old state.
static void end_controls(struct iom_walker *pool, iom_cycle now)
{
    struct iom_port *port = &pool->ports[IOM_WALKER_CONTROL];
    struct iom_control *due = iom_invalidator_due(&pool->invalidator, now);
    if (due != NULL) {
        invalidate(pool, due, now);
        iom_port_send(port, &due->msg, now);
    }
    struct iom_msg *msg;
    while ((msg = iom_fifo_pop(&pool->views)) != NULL) {
        pool->view = ((struct iom_control *)(void *)msg)->view;
        iom_port_send(port, msg, now);
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
        take_controls(pool, now);
    if (!iom_invalidator_idle(&pool->invalidator))
        iom_invalidator_begin(&pool->invalidator, &pool->unit, now);
    send_unsent(pool, now);
    take_blocked_probes(pool, now);
}

// Behind them. Returns the next wake-up on account of invalidations.
static iom_cycle end_cycle(struct iom_walker *pool, iom_cycle now)
{
    if (pool->views.first != NULL || pool->invalidator.running != NULL)
        end_controls(pool, now);
    iom_cycle wake = iom_invalidator_next(&pool->invalidator, &pool->unit, now);
    iom_cycle next = now + pool->unit.period;
    if (pool->blocked_probes.first != NULL && !iom_invalidator_blocks(&pool->invalidator, next))
        wake = iom_min_u64(wake, next);
    return wake;
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_walker *pool = (struct iom_walker *)(void *)unit;
    bool quiet = is_quiet(pool);
    if (!quiet)
        begin_cycle(pool, now);
    if (unit->arrivals & RESPONSE_PORTS)
        take_responses(pool, now);
    if (unit->arrivals & ~RESPONSE_PORTS)
        take_walks(pool, now);
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
        *block = (struct iom_stat_block){"walker", stat_infos, sizeof stat_infos / sizeof stat_infos[0],
                                         &pool->stats};
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

static void destroy(struct iom_unit *unit)
{
    iom_walker_destroy((struct iom_walker *)(void *)unit);
}

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

void iom_walker_flush(struct iom_walker *pool, iom_cycle now)
{
    if (pool->psc != NULL)
        iom_psc_invalidate_all(pool->psc, now);
}
