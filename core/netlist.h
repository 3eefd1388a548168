// SPDX-License-Identifier: Apache-2.0
//
// A netlist: units and the connections between their ports, before it is decided how they are
// evaluated. The core kernel puts all units into one group; a SystemC platform makes modules of any
// partition and sockets of the connections that cross it. Both start from the same list, which is
// what makes their results comparable.
#ifndef IOM_CORE_NETLIST_H
#define IOM_CORE_NETLIST_H

#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_connection {
    struct iom_port *requester;
    struct iom_port *responder;
    struct iom_link_config link;
};

struct iom_netlist {
    struct iom_unit **units;
    uint32_t unit_count, unit_capacity;
    struct iom_connection *connections;
    uint32_t connection_count, connection_capacity;
};

void iom_netlist_init(struct iom_netlist *netlist);
/// Unbinds all ports and frees the lists; the units themselves belong to their makers.
void iom_netlist_free(struct iom_netlist *netlist);
/// Both return false when memory is out. The order of units breaks ties between ranks only.
bool iom_netlist_add(struct iom_netlist *netlist, struct iom_unit *unit);
/// Also binds the two ports (iom_port_bind).
bool iom_netlist_connect(struct iom_netlist *netlist, struct iom_port *requester, struct iom_port *responder,
                         const struct iom_link_config *link);

#ifdef __cplusplus
}
#endif

#endif
