// SPDX-License-Identifier: Apache-2.0
//
// A PCI Express link between devices and the IOMMU: serialisation and flight time in each direction.
//
//   port "device"  responder: requests of the device (struct iom_dma); answers go back through it
//   port "host"    requester: towards the IOMMU's ingress, whose slots are the flow-control credits
//
// Timing, for each direction (first in, first out):
//   a packet that arrives in cycle c starts on the wires at s = max(c, end of the packet before) and
//   leaves them at s + ceil(bytes / bytes_per_cycle); it arrives at the other end `latency` later.
//   Bytes are the header plus the payload: of a write on its way up, of a read on its way down.
//   A request that finds no credit of the IOMMU waits in front of the wires, and everything behind it.
//
// Source: PCI Express Base Specification, 2.2 (header sizes) and 2.6 (flow control). Requests keep their
// order, which its ordering rules (2.4.1) allow.
#ifndef IOM_CORE_LINK_H
#define IOM_CORE_LINK_H

#include "core/dma.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_link_unit_config {
    uint32_t bytes_per_cycle; ///< width of each direction, at least 1
    uint32_t header_bytes;    ///< of a packet, with framing and checksums
};

#define IOM_LINK_STATS(X)                                                                                    \
    X(counter, requests, "packets", "requests sent to the IOMMU")                                            \
    X(counter, responses, "packets", "answers sent to the device (reads, translation requests, refusals)")   \
    X(counter, request_bytes, "bytes", "bytes of requests on the wires, headers included")                   \
    X(counter, response_bytes, "bytes", "bytes of answers on the wires, headers included")                   \
    X(counter, request_busy_cycles, "cycles", "cycles the wires to the IOMMU were occupied")                 \
    X(counter, response_busy_cycles, "cycles", "cycles the wires to the device were occupied")               \
    X(counter, credit_waits, "packets", "requests that found no credit of the IOMMU")

struct iom_link_stats {
    IOM_LINK_STATS(IOM_STAT_MEMBER)
};

struct iom_link; // opaque

/// Null when memory is out. The flight times are the latencies of the connections on both sides.
struct iom_link *iom_link_create(const struct iom_link_unit_config *config, const char *name);
void iom_link_destroy(struct iom_link *link);
struct iom_unit *iom_link_unit(struct iom_link *link);
struct iom_port *iom_link_device_port(struct iom_link *link);
struct iom_port *iom_link_host_port(struct iom_link *link);

#ifdef __cplusplus
}
#endif

#endif
