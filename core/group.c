// SPDX-License-Identifier: Apache-2.0
//
// Groups: ranks, evaluation of a cycle, the core kernel's run loop and its watchdog. See unit.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/unit.h"

static iom_cycle advance_as_unit(struct iom_unit *unit, iom_cycle now)
{
    return iom_group_advance((struct iom_group *)(void *)unit, now);
}

static uint64_t outstanding_as_unit(const struct iom_unit *unit)
{
    return iom_group_outstanding((const struct iom_group *)(const void *)unit);
}

static const struct iom_unit_ops group_ops = {
    .kind = "group",
    .advance = advance_as_unit,
    .outstanding = outstanding_as_unit,
};

// ---- ranks -----------------------------------------------------------------------------------------

// True if a message from `port` reaches its peer in the same cycle, both being evaluated one by one in
// this group.
static bool zero_latency(const struct iom_group *group, const struct iom_port *port)
{
    return port->peer != NULL && port->latency == 0 && port->unit->group == group &&
           port->peer->unit->group == group;
}

// Kahn's algorithm; among the units that are ready the one given first comes first.
static bool rank_units(struct iom_group *group, struct iom_unit *const *units, uint32_t count)
{
    for (uint32_t rank = 0; rank < count; rank++) {
        uint32_t pick = count;
        for (uint32_t i = 0; i < count && pick == count; i++) {
            if (units[i]->slot != UINT32_MAX)
                continue;
            bool ready = true;
            for (uint32_t p = 0; p < units[i]->port_count && ready; p++) {
                const struct iom_port *peer = units[i]->ports[p].peer;
                ready = peer == NULL || !zero_latency(group, peer) || peer->unit->slot != UINT32_MAX ||
                        peer->unit == units[i];
                if (peer != NULL && peer->unit == units[i] && zero_latency(group, peer))
                    return false; // a unit feeding itself within the cycle
            }
            if (ready)
                pick = i;
        }
        if (pick == count)
            return false;
        units[pick]->slot = rank;
        group->members[rank] = units[pick];
    }
    return true;
}

static void find_ancestors(struct iom_group *group)
{
    uint32_t words = group->wheel.words;
    for (uint32_t rank = 0; rank < group->count; rank++) {
        uint64_t *own = group->ancestors + (size_t)rank * words;
        const struct iom_unit *unit = group->members[rank];
        for (uint32_t p = 0; p < unit->port_count; p++) {
            const struct iom_port *peer = unit->ports[p].peer;
            if (peer == NULL || !zero_latency(group, peer))
                continue;
            uint32_t before = peer->unit->slot;
            own[before / 64] |= UINT64_C(1) << (before % 64);
            for (uint32_t w = 0; w < words; w++)
                own[w] |= group->ancestors[(size_t)before * words + w];
        }
    }
}

// Marks connections that leave the group; those need a latency of at least one cycle (rule 1).
static const char *mark_crossings(struct iom_group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        struct iom_unit *unit = group->members[i];
        for (uint32_t p = 0; p < unit->port_count; p++) {
            struct iom_port *port = &unit->ports[p];
            if (port->peer == NULL)
                continue;
            port->crosses = port->peer->unit->group != group;
            if (port->crosses && port->latency == 0)
                return "a connection between groups needs a latency of at least one cycle";
        }
    }
    return NULL;
}

const char *iom_group_init(struct iom_group *group, const char *name, struct iom_unit *const *units,
                           uint32_t count)
{
    memset(group, 0, sizeof *group);
    iom_unit_init(&group->unit, &group_ops, name, NULL, 0);
    group->told = IOM_NEVER;
    group->count = count;
    group->members = calloc(count != 0 ? count : 1, sizeof *group->members);
    if (group->members == NULL || !iom_wheel_init(&group->wheel, count)) {
        iom_group_free(group);
        return "out of memory";
    }
    group->ancestors =
        calloc((size_t)(count != 0 ? count : 1) * group->wheel.words, sizeof *group->ancestors);
    if (group->ancestors == NULL) {
        iom_group_free(group);
        return "out of memory";
    }
    for (uint32_t i = 0; i < count; i++) {
        units[i]->group = group;
        units[i]->slot = UINT32_MAX;
    }
    if (!rank_units(group, units, count)) {
        iom_group_free(group);
        return "connections of zero latency form a loop";
    }
    find_ancestors(group);
    const char *problem = mark_crossings(group);
    if (problem != NULL)
        iom_group_free(group);
    return problem;
}

void iom_group_free(struct iom_group *group)
{
    free(group->members);
    free(group->ancestors);
    iom_wheel_free(&group->wheel);
    group->members = NULL;
    group->ancestors = NULL;
    group->count = 0;
}

void iom_group_start(struct iom_group *group, iom_cycle cycle)
{
    group->started = true;
    for (uint32_t i = 0; i < group->count; i++) {
        struct iom_unit *unit = group->members[i];
        if (unit->ops == &group_ops)
            iom_group_start((struct iom_group *)(void *)unit, cycle);
        iom_unit_wake(unit, iom_unit_edge(unit, cycle));
    }
}

// ---- evaluation ------------------------------------------------------------------------------------

// Earliest event of `unit` after `now`. Messages that have arrived and were left waiting do not count:
// what they wait for is among the other events.
static iom_cycle next_after(const struct iom_unit *unit, iom_cycle now)
{
    iom_cycle next = unit->self_wake;
    for (uint32_t i = 0; i < unit->port_count; i++) {
        const struct iom_port *port = &unit->ports[i];
        if (port->head != NULL && port->head->arrival > now)
            next = iom_min_u64(next, port->head->arrival);
        if (port->wants_credit && port->pending != 0 && port->pending_ring[port->pending_first] > now)
            next = iom_min_u64(next, port->pending_ring[port->pending_first]);
    }
    return next;
}

// The wheel's heap keeps only the earliest far wake-up of a unit. Until the latest one has come the
// unit is asked for its next event after every advance, so that none is lost.
static void arm_again(struct iom_group *group, struct iom_unit *unit, iom_cycle now)
{
    iom_cycle next = next_after(unit, now);
    if (next != IOM_NEVER && next - now >= IOM_WHEEL_SLOTS)
        unit->far_until = iom_max_u64(unit->far_until, next);
    iom_wheel_arm(&group->wheel, unit->slot, next);
}

static inline void advance_member(struct iom_group *group, struct iom_unit *unit, iom_cycle now)
{
    group->events++;
    iom_cycle next = unit->ops->advance(unit, now);
    assert(next > now);
    unit->self_wake = next;
    if (next != IOM_NEVER) {
        if (next - now < IOM_WHEEL_SLOTS)
            iom_wheel_arm(&group->wheel, unit->slot, next);
        else
            iom_unit_wake_far(unit, next);
    }
    if (unit->far_until > now)
        arm_again(group, unit, now);
}

// Random order among the units due, none before a unit whose zero-latency messages it might still get.
static int32_t take_shuffled(struct iom_group *group)
{
    uint64_t *due = iom_wheel_current(&group->wheel);
    uint32_t words = group->wheel.words;
    uint32_t ready = 0;
    int32_t pick = -1;
    for (uint32_t slot = 0; slot < group->count; slot++) {
        if (!(due[slot / 64] >> (slot % 64) & 1))
            continue;
        bool blocked = false;
        for (uint32_t w = 0; w < words; w++)
            blocked = blocked || (group->ancestors[(size_t)slot * words + w] & due[w]) != 0;
        if (!blocked && iom_rng_below(group->shuffle, ++ready) == 0)
            pick = (int32_t)slot;
    }
    if (pick < 0)
        return iom_wheel_take(&group->wheel);
    due[pick / 64] &= ~(UINT64_C(1) << (pick % 64));
    return pick;
}

// More than 64 units, or in random order.
static void evaluate_sets(struct iom_group *group, iom_cycle now)
{
    int32_t slot;
    if (group->shuffle == NULL) {
        while ((slot = iom_wheel_take(&group->wheel)) >= 0)
            advance_member(group, group->members[slot], now);
    } else {
        while ((slot = take_shuffled(group)) >= 0)
            advance_member(group, group->members[slot], now);
    }
}

// The current slot is done with. Returns the next cycle with work (as iom_wheel_next).
static inline iom_cycle leave_slot(struct iom_wheel *wheel)
{
    uint32_t slot = (uint32_t)(wheel->now % IOM_WHEEL_SLOTS);
    uint64_t rest = wheel->occupied[slot / 64] & ~(UINT64_C(1) << (slot % 64));
    wheel->occupied[slot / 64] = rest;
    if (rest >> (slot % 64) != 0)
        return wheel->now + iom_ctz64(rest >> (slot % 64));
    if (rest == 0)
        wheel->summary &= ~(UINT64_C(1) << (slot / 64));
    return iom_wheel_search(wheel);
}

static inline iom_cycle evaluate(struct iom_group *group, iom_cycle now)
{
    group->evaluating = true;
    iom_wheel_advance(&group->wheel, now);
    if (group->shuffle == NULL && group->wheel.words == 1) {
        // Up to 64 units: the bit set is one word. A unit may set bits of later ranks while it runs.
        uint64_t *due = iom_wheel_current(&group->wheel);
        while (*due != 0) {
            unsigned rank = iom_ctz64(*due);
            *due &= *due - 1;
            advance_member(group, group->members[rank], now);
        }
        group->told = leave_slot(&group->wheel);
    } else {
        evaluate_sets(group, now);
        group->told = iom_wheel_next(&group->wheel);
    }
    group->evaluating = false;
    return group->told;
}

iom_cycle iom_group_advance(struct iom_group *group, iom_cycle now)
{
    return evaluate(group, now);
}

uint64_t iom_group_outstanding(const struct iom_group *group)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct iom_unit *unit = group->members[i];
        if (unit->ops->outstanding != NULL)
            total += unit->ops->outstanding(unit);
        for (uint32_t p = 0; p < unit->port_count; p++)
            total += unit->ports[p].queued;
    }
    return total;
}

enum iom_run_end iom_group_run(struct iom_group *group, iom_cycle limit, const bool *stop)
{
    iom_cycle next = iom_group_next_event(group);
    while (next <= limit && next != IOM_NEVER) {
        next = evaluate(group, next);
        if (stop != NULL && *stop)
            return IOM_RUN_STOPPED;
    }
    if (next != IOM_NEVER)
        return IOM_RUN_LIMIT;
    return iom_group_outstanding(group) == 0 ? IOM_RUN_IDLE : IOM_RUN_DEADLOCK;
}

// ---- watchdog --------------------------------------------------------------------------------------

static size_t append(char *text, size_t text_bytes, size_t used, const char *line)
{
    if (used < text_bytes) {
        int n = snprintf(text + used, text_bytes - used, "%s\n", line);
        if (n > 0)
            used += (size_t)n;
    }
    return used;
}

static size_t explain(const struct iom_group *group, char *text, size_t text_bytes, size_t used)
{
    char line[256];
    for (uint32_t i = 0; i < group->count; i++) {
        const struct iom_unit *unit = group->members[i];
        if (unit->ops == &group_ops) {
            used = explain((const struct iom_group *)(const void *)unit, text, text_bytes, used);
            continue;
        }
        uint64_t held = unit->ops->outstanding != NULL ? unit->ops->outstanding(unit) : 0;
        for (uint32_t p = 0; p < unit->port_count; p++) {
            const struct iom_port *port = &unit->ports[p];
            if (port->wants_credit) {
                snprintf(line, sizeof line, "%s waits for a credit of %s (port %s of depth %u)", unit->name,
                         port->peer->unit->name, port->peer->name, (unsigned)port->depth);
                used = append(text, text_bytes, used, line);
            }
            if (port->queued != 0) {
                snprintf(line, sizeof line, "%s has %u message(s) waiting at port %s", unit->name,
                         (unsigned)port->queued, port->name);
                used = append(text, text_bytes, used, line);
            }
        }
        if (held != 0 && unit->ops->describe != NULL) {
            char own[192];
            unit->ops->describe(unit, own, sizeof own);
            snprintf(line, sizeof line, "%s: %s", unit->name, own);
            used = append(text, text_bytes, used, line);
        } else if (held != 0) {
            snprintf(line, sizeof line, "%s holds %llu request(s)", unit->name, (unsigned long long)held);
            used = append(text, text_bytes, used, line);
        }
    }
    return used;
}

void iom_group_explain(const struct iom_group *group, char *text, size_t text_bytes)
{
    if (text_bytes == 0)
        return;
    text[0] = '\0';
    explain(group, text, text_bytes, 0);
}
