// SPDX-License-Identifier: Apache-2.0
//
// A PCI Express link between devices and the IOMMU: serialisation, flight time, flow control and order in
// each direction. Rules of a direction: core/link_channel.h. Here: what travels, and where it goes.
//
//   port "device"      responder: requests of the device (struct iom_dma); answers go back through it
//   port "host"        requester: towards the IOMMU's ingress
//   port "fanout"      responder: invalidation requests (struct iom_ats_invalidation) and page responses
//                      (struct iom_page_response_message) of the fan-out; completions of invalidations go
//                      back through it
//   port "invalidate"  requester: towards the device TLB. Both may stay unbound
//
//   class        to the IOMMU (up)                              to the device (down)
//   posted       writes; page requests; completions of          invalidation requests; page responses
//                invalidations (messages too)
//   non-posted   reads, translation requests, other writes      -
//   completion   -                                              answers to non-posted requests
//
// Bytes are the header plus the payload: of a write on its way up, of a read on its way down, eight of a
// translation and of an invalidation request. A posted request has no completion on a real link; its answer
// is the simulator's own bookkeeping, takes no bytes and waits for nothing.
//
// Where packets wait:
//   transmit queue   in front of the wires. Posted requests of the device keep their slot of port "device"
//                    until they have their turn on the wires. Others leave it at once (the device has a place
//                    for their answers, which limits them), so that those without credits do not keep posted
//                    ones out of the link. Invalidation requests and page responses keep theirs of "fanout".
//   receive buffer   behind wires and flight, counted by the credits. Going up, what is behind it are the
//                    slots of the IOMMU's ingress, one queue for all classes: the last free one is for posted
//                    requests (if there are two at least), so none of those ever waits for a place that
//                    non-posted ones have filled. Completions of invalidations need no slot. Going down,
//                    answers need none either (the device has reserved their place), invalidation requests
//                    and page responses a slot of port "invalidate".
//   Of one cycle requests come before completions of invalidations on the way up, answers before what the
//   fan-out sends on the way down. A completion of an invalidation arrives no earlier than the writes before
//   it, even if its further way is shorter than theirs.
//
// The flight time to the receive buffer is part of the link (flight_cycles), that from there on of the
// connection behind it; with flight_cycles 0 packets wait for slots of the receiver on the near side of a
// long connection. Answers and invalidation requests have their flight behind them when they reach the link:
// credit_cycles of that direction is the way there and back.
//
// Not modelled: credit updates take no bytes on the wires and are not collected; relaxed and ID-based
// ordering; splitting of requests and completions (Max_Payload_Size, Read Completion Boundary). In the
// ingress behind the receive buffer nobody passes: a posted request there waits with a read before it that
// the miss table cannot take; such waits end without the device's help.
//
// Source: PCI Express Base Specification 6.0, 2.2 (header sizes), 2.4.1 (ordering), 2.6 (flow
// control), 10.3.1 and 10.3.2 (invalidation messages: four double words, the request with one quad word of
// data), 10.4 (page requests).
#ifndef IOM_CORE_LINK_H
#define IOM_CORE_LINK_H

#include "core/dma.h"
#include "core/link_channel.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_link_unit_config {
    uint32_t bytes_per_cycle; ///< width of each direction, at least 1
    uint32_t header_bytes;    ///< of a packet, with framing and checksums
    struct iom_link_direction up, down;
};

#define IOM_LINK_CLASS_STATS(X, prefix, what)                                                                \
    X(counter, prefix##_packets, "packets", what ": sent")                                                   \
    X(counter, prefix##_bytes, "bytes", what ": bytes on the wires, headers included")                       \
    X(counter, prefix##_credit_waits, "packets", what ": found the wires free, but no credits")              \
    X(maximum, prefix##_most_buffered, "packets", what ": most that waited in the receive buffer at once")

#define IOM_LINK_STATS(X)                                                                                    \
    X(counter, requests, "packets", "requests sent to the IOMMU")                                            \
    X(counter, responses, "packets", "answers sent to the device (reads, translation requests, refusals)")   \
    X(counter, invalidations, "packets", "invalidation requests sent to the device")                         \
    X(counter, completions, "packets", "completions of invalidations sent to the IOMMU")                     \
    X(counter, request_bytes, "bytes", "bytes on the wires to the IOMMU, headers included")                  \
    X(counter, response_bytes, "bytes", "bytes on the wires to the device, headers included")                \
    X(counter, request_busy_cycles, "cycles", "cycles the wires to the IOMMU were occupied")                 \
    X(counter, response_busy_cycles, "cycles", "cycles the wires to the device were occupied")               \
    X(counter, credit_waits, "packets", "waits of packets for credits of the link or slots behind it")       \
    IOM_LINK_CLASS_STATS(X, up_posted, "posted, to the IOMMU")                                               \
    IOM_LINK_CLASS_STATS(X, up_non_posted, "non-posted, to the IOMMU")                                       \
    IOM_LINK_CLASS_STATS(X, down_posted, "posted, to the device")                                            \
    IOM_LINK_CLASS_STATS(X, down_completion, "completions, to the device")                                   \
    X(counter, up_posted_slot_waits, "packets", "posted, to the IOMMU: found no slot of its ingress")        \
    X(counter, up_non_posted_slot_waits, "packets",                                                          \
      "non-posted, to the IOMMU: found no slot of its ingress")                                              \
    X(counter, down_posted_slot_waits, "packets", "posted, to the device: found no slot of its invalidations")

struct iom_link_stats {
    IOM_LINK_STATS(IOM_STAT_MEMBER)
};

struct iom_link; // opaque

/// Null when memory is out.
struct iom_link *iom_link_create(const struct iom_link_unit_config *config, const char *name);
void iom_link_destroy(struct iom_link *link);
struct iom_unit *iom_link_unit(struct iom_link *link);
struct iom_port *iom_link_device_port(struct iom_link *link);
struct iom_port *iom_link_host_port(struct iom_link *link);
struct iom_port *iom_link_fanout_port(struct iom_link *link);
struct iom_port *iom_link_invalidate_port(struct iom_link *link);
const struct iom_link_stats *iom_link_stats_of(struct iom_link *link);

#ifdef __cplusplus
}
#endif

#endif
