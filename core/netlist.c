// SPDX-License-Identifier: Apache-2.0
//
// Netlist bookkeeping. See netlist.h.
#include "core/netlist.h"

#include <stdlib.h>
#include <string.h>

void iom_netlist_init(struct iom_netlist *netlist)
{
    memset(netlist, 0, sizeof *netlist);
}

void iom_netlist_free(struct iom_netlist *netlist)
{
    for (uint32_t i = 0; i < netlist->connection_count; i++) {
        iom_port_unbind(netlist->connections[i].requester);
        iom_port_unbind(netlist->connections[i].responder);
    }
    free(netlist->units);
    free(netlist->connections);
    iom_netlist_init(netlist);
}

// Makes room for one more element of `bytes`; doubles from 16.
static bool reserve(void **list, uint32_t count, uint32_t *capacity, size_t bytes)
{
    if (count < *capacity)
        return true;
    uint32_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = realloc(*list, wanted * bytes);
    if (grown == NULL)
        return false;
    *list = grown;
    *capacity = wanted;
    return true;
}

bool iom_netlist_add(struct iom_netlist *netlist, struct iom_unit *unit)
{
    void *list = netlist->units;
    bool ok = reserve(&list, netlist->unit_count, &netlist->unit_capacity, sizeof *netlist->units);
    netlist->units = list;
    if (ok)
        netlist->units[netlist->unit_count++] = unit;
    return ok;
}

bool iom_netlist_connect(struct iom_netlist *netlist, struct iom_port *requester, struct iom_port *responder,
                         const struct iom_link_config *link)
{
    void *list = netlist->connections;
    bool ok = reserve(&list, netlist->connection_count, &netlist->connection_capacity,
                      sizeof *netlist->connections);
    netlist->connections = list;
    if (!ok || !iom_port_bind(requester, responder, link))
        return false;
    netlist->connections[netlist->connection_count++] =
        (struct iom_connection){.requester = requester, .responder = responder, .link = *link};
    return true;
}
