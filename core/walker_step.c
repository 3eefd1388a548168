// SPDX-License-Identifier: Apache-2.0
//
// The walker pool: what a walk asks for, and the answers.
#include <stdlib.h>
#include <string.h>

#include "core/walk_nodes.h"
#include "core/walker_internal.h"

// ---- actions -------------------------------------------------------------------------------------------

void iom_walker_send(struct iom_walker *pool, iom_cycle now)
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
    access->client =
        walk->what == IOM_LOOKUP_IOTLB || walk->page_walker ? IOM_CLIENT_PAGE_WALK : IOM_CLIENT_CONTEXT_WALK;
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
    iom_walker_send(pool, now);
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
    struct iom_walker_slot *slot = &pool->slots[index];
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
void iom_walker_act(struct iom_walker *pool, uint32_t index, iom_cycle when, iom_cycle now)
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

// ---- responses -----------------------------------------------------------------------------------------

// What the step costs that has just used `bytes` of data.
static uint64_t digest_cycles(const struct iom_walker *pool, const struct iom_walk *walk, uint32_t bytes)
{
    const struct iom_walk_timing *timing = &pool->config.timing;
    if (!timing->given || walk->action != IOM_WALK_DONE)
        return pool->config.step_cycles;
    if (walk->x.next != IOM_LOOKUP_DONE || walk->x.outcome != IOM_OUTCOME_FAULT || walk->fill.valid)
        return timing->end_cycles[walk->what];
    if (timing->beat_bytes == 0)
        return timing->fault_cycles;
    uint32_t last = (bytes - 1) / timing->beat_bytes, beat = walk->refused_word * 8u / timing->beat_bytes;
    uint64_t behind = last - iom_min_u64(beat, last); // beats that came after it
    return timing->fault_cycles > behind ? timing->fault_cycles - behind : 0;
}

static void memory_answered(struct iom_walker *pool, struct iom_memory_access *access, iom_cycle now)
{
    uint32_t index = (uint32_t)access->cookie;
    struct iom_walk *walk = pool->slots[index].walk;
    walk->access_error = access->error;
    walk->error_word = access->error_word;
    pool->stats.access_errors += access->error != IOM_ACCESS_OK;
    if (access->bytes == 8)
        walk->data[0] = access->data[0];
    else
        memcpy(walk->data, access->data, access->bytes);
    walk->memory_cycles += now - walk->waiting_since;
    if (access->op == IOM_MEMORY_READ)
        iom_walk_nodes_read(pool->config.tracker, walk, access->node);
    uint32_t bytes = access->bytes;
    iom_msg_release(&access->msg);
    walk->refused_word = 0;
    pool->config.arch->ops->walk_step(pool->config.arch, &pool->view, walk);
    iom_walker_act(pool, index, now + iom_unit_ticks(&pool->unit, digest_cycles(pool, walk, bytes)), now);
}

void iom_walker_take_responses(struct iom_walker *pool, iom_cycle now)
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
        iom_walker_act(pool, index, now, now);
    }
}

void iom_walker_take_probes(struct iom_walker *pool, iom_cycle now)
{
    while (pool->blocked_probes.first != NULL && !iom_invalidator_blocks(&pool->invalidator, now)) {
        struct iom_walk *walk = (struct iom_walk *)(void *)iom_fifo_pop(&pool->blocked_probes);
        uint32_t index = iom_msg_pop_route(&walk->msg);
        iom_walker_act(pool, index, iom_max_u64(walk->waiting_since, now), now);
    }
}
