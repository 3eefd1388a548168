// SPDX-License-Identifier: Apache-2.0
//
// A PCI Express link between devices and the IOMMU: serialisation and flight time in each direction.
//
//   port "device"      responder: requests of the device (struct iom_dma); answers go back through it
//   port "host"        requester: towards the IOMMU's ingress, whose slots are the flow-control credits
//   port "fanout"      responder: invalidation requests of the fan-out (struct iom_ats_invalidation);
//                      completions go back through it
//   port "invalidate"  requester: towards the device TLB. Both may stay unbound
//
// Timing, for each direction (first in, first out; of one cycle requests before completions of
// invalidations on the way up, answers before invalidation requests on the way down):
//   a packet that arrives in cycle c starts on the wires at s = max(c, end of the packet before) and
//   leaves them at s + ceil(bytes / bytes_per_cycle); it arrives at the other end `latency` later.
//   Bytes are the header plus the payload: of a write on its way up, of a read on its way down, eight of a
//   translation and of an invalidation request.
//   A request that finds no credit of the IOMMU waits in front of the wires, and every request behind it.
//   The completion of an invalidation needs no credit. It waits for every posted write that came before it,
//   also for those that wait for a credit, and passes reads and translation requests that do.
//
// Not modelled: separate credits for posted and non-posted requests (the IOMMU's ingress is one queue, so
// writes never pass reads); an invalidation request for which the device has no place holds up nobody else,
// while real completions would queue behind it.
//
// Source: PCI Express Base Specification, 2.2 (header sizes), 2.4.1 (ordering), 2.6 (flow control), 10.3.1
// and 10.3.2 (invalidation messages: four double words, the request with one quad word of data).
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
    X(counter, invalidations, "packets", "invalidation requests sent to the device")                         \
    X(counter, completions, "packets", "completions of invalidations sent to the IOMMU")                     \
    X(counter, request_bytes, "bytes", "bytes on the wires to the IOMMU, headers included")                  \
    X(counter, response_bytes, "bytes", "bytes on the wires to the device, headers included")                \
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
struct iom_port *iom_link_fanout_port(struct iom_link *link);
struct iom_port *iom_link_invalidate_port(struct iom_link *link);
const struct iom_link_stats *iom_link_stats_of(const struct iom_link *link);

#ifdef __cplusplus
}
#endif

#endif
