// SPDX-License-Identifier: Apache-2.0
//
// Life, ports and evaluation of a look-up stage. See stage.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/axi_port.h"
#include "core/stage_internal.h"
#include "core/unit_stats.h"

// ---- evaluation of a cycle -----------------------------------------------------------------------------

#define RESPONSE_PORTS ((UINT64_C(1) << IOM_STAGE_PORTS) - 1)

static void take_response(struct iom_stage *stage, unsigned port, struct iom_msg *msg, iom_cycle now)
{
    switch (port) {
    case IOM_STAGE_NEXT:
        iom_dma_account(iom_dma_of(msg), IOM_PART_QUEUEING, iom_max_u64(iom_dma_of(msg)->mark, now));
        iom_stage_resume(stage, iom_dma_of(msg), now, now);
        break;
    case IOM_STAGE_WALK:
        if (stage->config.serial.enabled)
            iom_serial_walk_done(stage, (struct iom_walk *)(void *)msg, now);
        else
            iom_stage_walk_done(stage, (struct iom_walk *)(void *)msg, now);
        break;
    case IOM_STAGE_MEMORY:
        iom_stage_complete(stage, iom_dma_of(msg), now);
        break;
    case IOM_STAGE_FAULT: // reports do not come back
        iom_stage_drained(stage, msg, now);
        break;
    default: // IOM_STAGE_CONTROL
        iom_stage_take_control(stage, (struct iom_control *)(void *)msg);
        break;
    }
}

// Ports in their order (rule 6), only those that hold something.
static void take_responses(struct iom_stage *stage, iom_cycle now)
{
    for (uint64_t left = stage->unit.arrivals & RESPONSE_PORTS; left != 0; left &= left - 1) {
        unsigned index = iom_ctz64(left);
        struct iom_port *port = &stage->ports[index];
        while (iom_port_peek(port, now) != NULL)
            take_response(stage, index, iom_port_pop(port), now);
    }
}

void iom_stage_count_request(struct iom_stage *stage, uint32_t flags, uint32_t bytes)
{
    struct iom_stage_stats *stats = &stage->stats;
    stats->requests++;
    if (flags & (IOM_REQ_PAGE | IOM_REQ_DEBUG))
        return;
    if (flags & IOM_REQ_TRANSLATE) {
        stats->translation_requests++;
        return;
    }
    stats->translated_requests += (flags & IOM_REQ_TRANSLATED) != 0;
    *(flags & IOM_REQ_WRITE ? &stats->writes : &stats->reads) += 1;
    stats->bytes += bytes;
}

// A request at the head of an input enters the IOMMU.
static void enter(struct iom_stage *stage, struct iom_dma *dma)
{
    dma->arrived = dma->msg.arrival;
    dma->mark = dma->arrived;
    memset(dma->part, 0, sizeof dma->part);
    dma->missed = 0;
    dma->ordered = 0;
    dma->visible = 0;
    dma->memory_error = 0;
    dma->restarts = 0;
    dma->looked_up = IOM_NEVER;
    dma->x.context.node = 0;
    dma->x.leaf.node = 0;
    dma->held = 0;
    if (!(dma->x.flags & IOM_REQ_TRANSLATED))
        dma->used = dma->used_context = 0; // else the device TLB's entry is what it has used so far
    iom_stage_enter_epoch(stage, dma);
    stage->config.arch->ops->enter(stage->config.arch, &stage->view, &dma->x);
}

// The request at the head of an input leaves the inbox; its credit is returned when it is taken up.
struct iom_dma *iom_stage_fetch(struct iom_stage *stage, uint32_t index, iom_cycle now)
{
    struct iom_port *port = &stage->inputs[index];
    if (iom_port_peek(port, now) == NULL)
        return NULL;
    struct iom_dma *dma = iom_dma_of(iom_port_pop(port));
    iom_msg_push_route(&dma->msg, (uint8_t)index);
    stage->held++;
    if (stage->config.front) {
        enter(stage, dma);
        if (stage->order != NULL && !(dma->x.flags & IOM_REQ_DEBUG))
            iom_order_enter(stage->order, dma);
    }
    if (dma->mark < now)
        iom_dma_account(dma, IOM_PART_QUEUEING, now);
    return dma;
}

static bool take_from_input(struct iom_stage *stage, uint32_t index, iom_cycle now)
{
    struct iom_ingress *ingress = &stage->ingress[index];
    if (ingress->dma == NULL) {
        ingress->dma = iom_stage_fetch(stage, index, now);
        if (ingress->dma == NULL)
            return false;
        stage->waiting_inputs++;
    } else if (ingress->tried_at == stage->changes) {
        return false;
    }
    struct iom_dma *dma = ingress->dma;
    uint32_t flags = dma->x.flags, bytes = dma->x.bytes;
    if (iom_stage_take(stage, dma, now, stage->pipeline_ticks) == IOM_STALLED) {
        ingress->tried_at = stage->changes;
        return false;
    }
    ingress->dma = NULL;
    stage->waiting_inputs--;
    iom_stage_count_request(stage, flags, bytes);
    iom_port_return_credit(&stage->inputs[index], now);
    return true;
}

// While a finished request waits for a credit the pipeline stands; without hit-under-miss it also
// stands while a walk is under way.
static bool blocked(const struct iom_stage *stage)
{
    return stage->exits_waiting != 0 || (!stage->config.hit_under_miss && stage->misses.used != 0);
}

static void take_replays(struct iom_stage *stage, iom_cycle now)
{
    while (now >= stage->replay_from && stage->budget != 0 && stage->replays.first != NULL &&
           stage->exits_waiting == 0 && stage->replay_tried_at != stage->changes) {
        struct iom_dma *dma = iom_dma_of(iom_fifo_pop(&stage->replays));
        stage->replaying = true;
        enum iom_take taken = iom_stage_take(stage, dma, now, 0);
        stage->replaying = false;
        if (taken == IOM_STALLED) {
            stage->promised = stage->promised != NULL ? stage->promised : dma;
            // Back to the head: replays keep their order.
            dma->msg.next = stage->replays.first;
            stage->replays.first = &dma->msg;
            if (stage->replays.last == NULL)
                stage->replays.last = &dma->msg;
            stage->replays.count++;
            stage->replay_tried_at = stage->changes;
            return;
        }
        if (stage->promised == dma) {
            stage->promised = NULL;
            stage->changes++; // inputs that it has kept waiting try again
        }
        stage->budget--;
    }
}

static void take_inputs(struct iom_stage *stage, iom_cycle now)
{
    uint32_t inputs = stage->config.inputs;
    bool fixed = stage->config.arbitration == IOM_ARBITRATION_FIXED;
    uint32_t index = fixed ? 0 : stage->turn;
    for (uint32_t idle = 0; idle < inputs && stage->budget != 0 && !blocked(stage);) {
        if (take_from_input(stage, index, now)) {
            stage->budget--;
            idle = 0;
            stage->turn = index + 1 == inputs ? 0 : index + 1;
            index = fixed ? 0 : stage->turn;
        } else {
            idle++;
            index = index + 1 == inputs ? 0 : index + 1;
        }
    }
}

// Is there something that the next cycle's budget could take up?
static bool wants_next_cycle(const struct iom_stage *stage, iom_cycle now)
{
    if (stage->exits_waiting != 0)
        return false; // a credit will wake us
    if (stage->replays.first != NULL && stage->replay_tried_at != stage->changes)
        return true;
    if (blocked(stage))
        return false; // a walk will wake us
    for (uint32_t i = 0; i < stage->config.inputs; i++) {
        if (stage->ingress[i].dma != NULL ? stage->ingress[i].tried_at != stage->changes
                                          : iom_port_peek(&stage->inputs[i], now) != NULL)
            return true;
    }
    return false;
}

// What is to be done apart from looking up: most cycles have none of it.
static void do_chores(struct iom_stage *stage, iom_cycle now)
{
    if (stage->walks_unsent.first != NULL)
        iom_stage_send_walks(stage, now);
    if (stage->exits_waiting != 0)
        iom_stage_send_exits(stage, now);
    if (stage->drains_unsent.first != NULL)
        iom_stage_send_drains(stage, now);
    if (!iom_invalidator_idle(&stage->invalidator))
        iom_stage_begin_control(stage, now);
}

static inline void take_up(struct iom_stage *stage, iom_cycle now)
{
    if (stage->replays.first != NULL)
        take_replays(stage, now);
    if (stage->waiting_inputs != 0 || stage->unit.arrivals & ~RESPONSE_PORTS)
        take_inputs(stage, now);
}

static inline bool has_more(const struct iom_stage *stage)
{
    return stage->replays.first != NULL || stage->waiting_inputs != 0 ||
           stage->unit.arrivals & ~RESPONSE_PORTS;
}

// Nothing waits for a credit, no control message is about: looking up is all there is to do. (What control
// messages bring in this cycle has been taken with the responses.)
static inline bool is_quiet(const struct iom_stage *stage)
{
    return stage->walks_unsent.first == NULL && stage->exits_waiting == 0 &&
           iom_invalidator_idle(&stage->invalidator) && stage->views.first == NULL &&
           !iom_stage_has_drains(stage) && stage->drains_unsent.first == NULL;
}

// End of the cycle: changes, and what follows from them.
static void close_cycle(struct iom_stage *stage, iom_cycle now)
{
    if (stage->views.first != NULL || !iom_invalidator_idle(&stage->invalidator))
        iom_stage_end_control(stage, now);
    if (iom_stage_has_drains(stage))
        iom_stage_drain(stage, now);
}

static iom_cycle advance_serial(struct iom_stage *stage, iom_cycle now)
{
    if (stage->unit.arrivals & RESPONSE_PORTS)
        take_responses(stage, now);
    do_chores(stage, now);
    bool walking = iom_serial_is_walking(stage);
    if (stage->settled != now && !iom_invalidator_blocks(&stage->invalidator, now))
        iom_serial_take_up(stage, now);
    const struct iom_control *due = iom_invalidator_due_now(&stage->invalidator, now);
    uint32_t invalidated = due != NULL ? iom_invalidation_targets(&due->invalidation) & stage->owned : 0;
    if (stage->views.first != NULL)
        invalidated |= stage->owned;
    bool changed = invalidated != 0 || stage->serial.next == now + stage->unit.period ||
                   (walking && stage->serial.arrived == now); // a walk of one before
    iom_serial_close_cycle(stage, invalidated, now);
    close_cycle(stage, now);
    if (changed && stage->config.serial.quirk_live_context)
        iom_serial_tell_walker(stage, now);
    if (invalidated != 0 && stage->config.serial.quirk_address_at_handshake)
        iom_serial_take_back(stage, now);
    return iom_min_u64(iom_serial_wake(stage), iom_invalidator_next(&stage->invalidator, &stage->unit, now));
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_stage *stage = (struct iom_stage *)(void *)unit;
    if (stage->config.serial.enabled)
        return advance_serial(stage, now);
    if (stage->budget_cycle != now) {
        stage->budget_cycle = now;
        stage->budget = stage->config.lookups_per_cycle;
    }
    if (unit->arrivals & RESPONSE_PORTS)
        take_responses(stage, now);
    bool quiet = is_quiet(stage);
    if (!quiet)
        do_chores(stage, now);
    if (stage->settled != now && (quiet || !iom_invalidator_blocks(&stage->invalidator, now)))
        take_up(stage, now);
    iom_cycle wake = IOM_NEVER;
    if (!quiet) {
        close_cycle(stage, now);
        wake = iom_invalidator_next(&stage->invalidator, unit, now);
    }
    if (!has_more(stage) || !wants_next_cycle(stage, now))
        return wake;
    // The invalidation's own wake-up comes when look-ups may go on.
    return iom_invalidator_blocks(&stage->invalidator, now + unit->period)
               ? wake
               : iom_min_u64(wake, now + unit->period);
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    return ((const struct iom_stage *)(const void *)unit)->held;
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_stage *stage = (const struct iom_stage *)(const void *)unit;
    snprintf(
        text, text_bytes,
        "holds %llu request(s): %u walk(s) under way, %llu waiting for a walker, %llu to replay, %llu parked "
        "by ordering, %u drain(s) waiting",
        (unsigned long long)stage->held, (unsigned)stage->misses.used,
        (unsigned long long)stage->walks_unsent.count, (unsigned long long)stage->replays.count,
        (unsigned long long)(stage->order != NULL ? iom_order_parked(stage->order) : 0),
        (unsigned)(stage->epochs.waiting + stage->epochs.arrived.count));
}

// ---- statistics ----------------------------------------------------------------------------------------

#define IOM_STAT_OWNER struct iom_stage_stats
static const struct iom_stat_info stage_infos[] = {IOM_STAGE_STATS(IOM_STAT_INFO)};
#undef IOM_STAT_OWNER
#define IOM_STAT_OWNER struct iom_lookup_stats
static const struct iom_stat_info lookup_infos[] = {IOM_LOOKUP_STATS(IOM_STAT_INFO)};

const struct iom_lookup_stats *iom_stage_lookup_stats(struct iom_stage *stage, enum iom_lookup which)
{
    struct iom_lookup_stats *stats = &stage->lookup_stats[which];
    if (stage->cache[which] != NULL) {
        // The engine counts what it does to entries; settle what the last cycle has recorded first.
        iom_cache_sync(stage->cache[which], IOM_NEVER);
        const struct iom_cache_counts *counts = iom_cache_counts_of(stage->cache[which]);
        stats->fills = counts->fills - stage->counts_base[which].fills;
        stats->evictions = counts->evictions - stage->counts_base[which].evictions;
        stats->invalidated = counts->invalidated - stage->counts_base[which].invalidated;
    }
    return stats;
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    static const char *const groups[IOM_LOOKUP_COUNT] = {"context_cache", "pasid_cache", "iotlb"};
    struct iom_stage *stage = (struct iom_stage *)(void *)unit;
    if (index == 0) {
        // Every request is in one of the two; adding up here saves the hot path a third histogram.
        stage->stats.latency = stage->stats.hit_latency;
        iom_histogram_merge(&stage->stats.latency, &stage->stats.miss_latency);
        *block = IOM_STAT_BLOCK(stage->config.front ? "frontend" : "stage", stage_infos, &stage->stats);
        return true;
    }
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
        if (!stage->config.lookup[which].owned || --index != 0)
            continue;
        iom_stage_lookup_stats(stage, (enum iom_lookup)which);
        *block = IOM_STAT_BLOCK(groups[which], lookup_infos, &stage->lookup_stats[which]);
        return true;
    }
    return false;
}

static void reset_stats(struct iom_unit *unit)
{
    struct iom_stage *stage = (struct iom_stage *)(void *)unit;
    memset(&stage->stats, 0, sizeof stage->stats);
    memset(stage->lookup_stats, 0, sizeof stage->lookup_stats);
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
        if (stage->cache[which] == NULL)
            continue;
        iom_cache_sync(stage->cache[which], IOM_NEVER);
        stage->counts_base[which] = *iom_cache_counts_of(stage->cache[which]);
    }
}

IOM_UNIT_DESTROY(struct iom_stage, iom_stage_destroy)

static const struct iom_unit_ops stage_ops = {
    .kind = "stage",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life ----------------------------------------------------------------------------------------------

static bool make_caches(struct iom_stage *stage, const char *name)
{
    static const char *const suffixes[IOM_LOOKUP_COUNT] = {"context_cache", "pasid_cache", "iotlb"};
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
        struct iom_lookup_config *lookup = &stage->config.lookup[which];
        if (!lookup->owned)
            continue;
        stage->owned |= 1u << which;
        stage->lookup_ticks[which] = lookup->latency_cycles;
        if (lookup->quirk_inner_address_misses)
            lookup->cache.quirks |= IOM_QUIRK_INNER_ADDRESS_MISSES;
        if (lookup->quirk_first_set_only)
            lookup->cache.quirks |= IOM_QUIRK_FIRST_SET_ONLY;
        if (lookup->cache.entries == 0)
            continue;
        char path[2 * IOM_NAME_BYTES];
        snprintf(path, sizeof path, "%s.%s", name, suffixes[which]);
        lookup->cache.payload_bytes = which == IOM_LOOKUP_IOTLB ? (uint32_t)sizeof(struct iom_leaf)
                                                                : (uint32_t)sizeof(struct iom_context);
        stage->cache[which] = iom_cache_create(&lookup->cache, stage->config.seed, path);
        if (stage->cache[which] == NULL)
            return false;
    }
    return true;
}

static void name_ports(struct iom_stage *stage)
{
    static const char *const names[IOM_STAGE_PORTS] = {"next",  "walk",    "memory",
                                                       "fault", "control", "monitor"};
    for (uint32_t i = 0; i < IOM_STAGE_PORTS; i++)
        iom_port_init(&stage->unit, i, names[i], i != IOM_STAGE_CONTROL);
    for (uint32_t i = 0; i < stage->config.inputs; i++)
        iom_port_init(&stage->unit, IOM_STAGE_PORTS + i, "in", false);
}

struct iom_stage *iom_stage_create(const struct iom_stage_config *config, const char *name)
{
    struct iom_stage *stage = calloc(1, sizeof *stage);
    if (stage == NULL)
        return NULL;
    stage->config = *config;
    stage->view = config->view;
    stage->pipeline_ticks = config->latency_cycles;
    stage->budget_cycle = IOM_NEVER;
    stage->replay_tried_at = UINT64_MAX;
    stage->serial.next = IOM_NEVER;
    iom_pool_init(&stage->walk_pool, IOM_MSG_WALK, sizeof(struct iom_walk));
    iom_pool_init(&stage->report_pool, IOM_MSG_REPORT, sizeof(struct iom_report));
    iom_pool_init(&stage->serial.context_pool, IOM_MSG_WALK_CONTEXT, sizeof(struct iom_walk_context));
    iom_pool_init(&stage->serial.loss_pool, IOM_MSG_AXI_LOSS, sizeof(struct iom_axi_loss));
    stage->serial.told = stage->serial.answered = IOM_NEVER;
    stage->ports = calloc(config->inputs + IOM_STAGE_PORTS, sizeof *stage->ports);
    stage->ingress = calloc(config->inputs, sizeof *stage->ingress);
    bool ok = stage->ports != NULL && stage->ingress != NULL &&
              iom_miss_table_init(&stage->misses, config->miss_entries, config->merges_per_entry) &&
              make_caches(stage, name);
    if (ok && config->front && config->pcie_ordering) {
        stage->order = iom_order_create();
        ok = stage->order != NULL;
    }
    if (!ok) {
        iom_stage_destroy(stage);
        return NULL;
    }
    iom_stage_control_init(stage);
    iom_unit_init(&stage->unit, &stage_ops, name, stage->ports, config->inputs + IOM_STAGE_PORTS);
    stage->inputs = stage->ports + IOM_STAGE_PORTS;
    name_ports(stage);
    return stage;
}

void iom_stage_destroy(struct iom_stage *stage)
{
    if (stage == NULL)
        return;
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++)
        iom_cache_destroy(stage->cache[which]);
    iom_miss_table_free(&stage->misses);
    iom_order_destroy(stage->order);
    iom_pool_free(&stage->walk_pool);
    iom_pool_free(&stage->report_pool);
    iom_pool_free(&stage->serial.context_pool);
    iom_pool_free(&stage->serial.loss_pool);
    free(stage->ports);
    free(stage->ingress);
    free(stage);
}

struct iom_unit *iom_stage_unit(struct iom_stage *stage)
{
    return &stage->unit;
}

struct iom_port *iom_stage_input(struct iom_stage *stage, uint32_t index)
{
    return &stage->inputs[index];
}

struct iom_port *iom_stage_port(struct iom_stage *stage, enum iom_stage_port port)
{
    return &stage->ports[port];
}

struct iom_cache *iom_stage_cache(struct iom_stage *stage, enum iom_lookup which)
{
    return stage->cache[which];
}

void iom_stage_set_observer(struct iom_stage *stage, const struct iom_stage_observer *observer)
{
    stage->observer = observer != NULL ? *observer : (struct iom_stage_observer){NULL, NULL};
}

const struct iom_stage_stats *iom_stage_stats_of(const struct iom_stage *stage)
{
    return &stage->stats;
}

const struct iom_view *iom_stage_view(const struct iom_stage *stage)
{
    return &stage->view;
}

void iom_stage_set_view(struct iom_stage *stage, const struct iom_view *view)
{
    stage->view = *view;
}

void iom_stage_flush(struct iom_stage *stage, iom_cycle now)
{
    for (uint32_t which = 0; which < IOM_LOOKUP_COUNT; which++) {
        if (stage->cache[which] != NULL)
            iom_cache_invalidate_all(stage->cache[which], now);
    }
}
