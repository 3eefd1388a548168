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

void iom_unit_wake(struct iom_unit *unit, iom_cycle cycle)
{
    struct iom_group *group = unit->group;
    if (cycle - group->wheel.now >= IOM_WHEEL_SLOTS)
        unit->far_until = iom_max_u64(unit->far_until, cycle);
    iom_wheel_arm(&group->wheel, unit->slot, cycle);
    // While the group evaluates, its parent learns the next event from advance's result.
    if (cycle >= group->told || group->evaluating)
        return;
    group->told = cycle;
    if (group->unit.group != NULL)
        iom_unit_wake(&group->unit, cycle);
    else if (group->waker != NULL)
        group->waker(group->waker_context, cycle);
}

void iom_port_file(struct iom_port *port, struct iom_msg *msg)
{
    port->queued++;
    if (port->tail == NULL || port->tail->arrival <= msg->arrival) {
        msg->next = NULL;
        if (port->tail == NULL)
            port->head = msg;
        else
            port->tail->next = msg;
        port->tail = msg;
    } else {
        // Overtakes messages of longer latency: after all that arrive no later than it does.
        struct iom_msg **link = &port->head;
        while ((*link)->arrival <= msg->arrival)
            link = &(*link)->next;
        msg->next = *link;
        *link = msg;
    }
    iom_unit_wake(port->unit, msg->arrival);
}

void iom_port_file_credit(struct iom_port *port, iom_cycle arrival)
{
    assert(port->pending + port->credits < port->depth);
    uint32_t last = port->pending_first + port->pending++;
    port->pending_ring[last < port->depth ? last : last - port->depth] = arrival;
    if (port->wants_credit)
        iom_unit_wake(port->unit, arrival);
}

void iom_port_return_credit(struct iom_port *port, iom_cycle now)
{
    struct iom_port *peer = port->peer;
    if (peer->depth == 0)
        return;
    iom_cycle arrival = iom_unit_edge(peer->unit, now + port->credit_latency);
    if (port->transport != NULL)
        port->transport->credit(port->transport_context, port, arrival);
    else
        iom_port_file_credit(peer, arrival);
}

void iom_port_collect_credits(struct iom_port *port, iom_cycle now)
{
    while (port->pending != 0 && port->pending_ring[port->pending_first] <= now) {
        port->pending--;
        port->credits++;
        if (++port->pending_first == port->depth)
            port->pending_first = 0;
    }
    if (port->credits != 0)
        port->wants_credit = false;
    else if (port->pending != 0)
        iom_unit_wake(port->unit, port->pending_ring[port->pending_first]);
}
