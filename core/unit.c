// SPDX-License-Identifier: Apache-2.0
//
// Units and ports: inboxes, credits, wake-ups. Groups are in group.c. See unit.h.
#include "core/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void iom_unit_init(struct iom_unit *unit, const struct iom_unit_ops *ops, const char *name,
                   struct iom_port *ports, uint32_t port_count)
{
    memset(unit, 0, sizeof *unit);
    unit->ops = ops;
    snprintf(unit->name, sizeof unit->name, "%s", name);
    unit->ports = ports;
    unit->port_count = port_count;
    unit->period = 1;
    unit->self_wake = IOM_NEVER;
    for (uint32_t i = 0; i < port_count; i++) {
        ports[i].unit = unit;
        ports[i].index = (uint8_t)i;
        ports[i].arrival_bit = UINT64_C(1) << (i < 63 ? i : 63);
    }
}

void iom_port_init(struct iom_unit *unit, uint32_t index, const char *name, bool requester)
{
    struct iom_port *port = &unit->ports[index];
    port->name = name;
    port->requester = requester;
}

iom_cycle iom_unit_next_event(const struct iom_unit *unit)
{
    iom_cycle next = unit->self_wake;
    for (uint32_t i = 0; i < unit->port_count; i++) {
        const struct iom_port *port = &unit->ports[i];
        if (port->head != NULL)
            next = iom_min_u64(next, port->head->arrival);
        if (port->wants_credit && port->pending != 0)
            next = iom_min_u64(next, port->pending_ring[port->pending_first]);
    }
    return next;
}

bool iom_port_bind(struct iom_port *requester, struct iom_port *responder, const struct iom_link_config *link)
{
    assert(requester->requester && !responder->requester);
    assert(requester->peer == NULL && responder->peer == NULL);
    requester->peer = responder;
    responder->peer = requester;
    requester->latency = link->latency;
    responder->latency = link->response_latency;
    requester->depth = link->depth;
    requester->credits = link->depth;
    responder->credit_latency = link->credit_latency != 0 ? link->credit_latency : 1;
    if (link->depth == 0)
        return true;
    requester->pending_ring = malloc(link->depth * sizeof *requester->pending_ring);
    return requester->pending_ring != NULL;
}

void iom_port_unbind(struct iom_port *port)
{
    while (port->head != NULL)
        iom_msg_release(iom_port_pop(port));
    free(port->pending_ring);
    port->pending_ring = NULL;
    port->peer = NULL;
}

void iom_unit_wake_far(struct iom_unit *unit, iom_cycle cycle)
{
    unit->far_until = iom_max_u64(unit->far_until, cycle);
    iom_wheel_arm(&unit->group->wheel, unit->slot, cycle);
}

void iom_group_tell(struct iom_group *group, iom_cycle cycle)
{
    group->told = cycle;
    if (group->unit.group != NULL)
        iom_unit_wake(&group->unit, cycle);
    else if (group->waker != NULL)
        group->waker(group->waker_context, cycle);
}

// Overtakes messages of longer latency: goes after all that arrive no later than it does.
void iom_port_remove(struct iom_port *port, struct iom_msg *msg)
{
    if (port->head == msg) {
        iom_port_pop(port);
        return;
    }
    struct iom_msg *before = port->head;
    while (before->next != msg)
        before = before->next;
    before->next = msg->next;
    if (port->tail == msg)
        port->tail = before;
    port->queued--;
    msg->next = NULL;
}

void iom_port_insert(struct iom_port *port, struct iom_msg *msg)
{
    struct iom_msg **link = &port->head;
    while ((*link)->arrival <= msg->arrival)
        link = &(*link)->next;
    msg->next = *link;
    *link = msg;
}

void iom_port_collect_credits(struct iom_port *port, iom_cycle now)
{
    const iom_cycle *ring = port->pending_ring;
    uint32_t first = port->pending_first, depth = port->depth, left = port->pending;
    while (left != 0 && ring[first] <= now) {
        left--;
        first = first + 1 == depth ? 0 : first + 1;
    }
    port->credits += port->pending - left;
    port->pending = left;
    port->pending_first = first;
    if (port->credits == 0 && port->pending != 0)
        iom_unit_wake(port->unit, port->pending_ring[port->pending_first]);
}
