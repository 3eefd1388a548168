// SPDX-License-Identifier: Apache-2.0
//
// The fan-out: one for all architectures and all sources. It takes what a source wants everybody to know
// (register views, invalidations, drains), spreads it to every participant, collects the acknowledgements
// and answers the source.
//
//   source0..N-1       responder: struct iom_control, answered with `result` when carried out
//   participant0..M-1  requester: struct iom_control to stages, walkers, paging-structure cache units
//   device0..D-1       requester: struct iom_ats_invalidation to device TLBs, over their links; their depth
//                      is 0 (unlimited): tags and queue depth of the device bound what is under way. And, one
//                      way, struct iom_page_response_message. A port of stream IOM_STREAM_ANY serves every
//                      requester that has none of its own
//   events             requester, one way: struct iom_queue_event_message to the register unit
//                      (completions nobody asked for)
//
// Timing: what a source sent is begun in the cycle of its arrival when nothing of the same kind is under
// way, else when that has ended; sources are served round robin. VIEW and INVALIDATE of the IOMMU's own
// caches go one at a time: begun in c, it leaves for all participants in c and has ended in the cycle in
// which the last acknowledgement arrives; then the source is answered and the next one begins.
// DRAIN goes to the front end alone (participant 0) and does not hold up what follows it; several may be
// under way.
// A device TLB invalidation takes one of `tags` invalidation tags (ITag), the lowest that is free; several
// are under way at once, for one device at most the queue depth its command names; without a tag or place it
// waits, and those of other devices go on. It begins when the invalidations of the IOMMU's caches that its
// source sent before have ended: else the device could be given what it has just dropped once more. One
// invalidation may ask for both; it has ended when both have. A device that has not answered timeout_cycles
// (0: never) after the request has left counts as timed out (an answer that arrives in that very cycle is in
// time): its tag stays in use for another timeout (a late completion is then discarded and frees it), later
// is an event. A completion is told by device and tag, as hardware does; when the device sends several for
// one request (`count`), the last one counts. A requester without device TLB does not answer: it times out;
// without a time-out there is nothing to wait for, and the invalidation ends in the cycle in which it begins.
// RESPOND is answered in the cycle in which the response leaves for the device (without one: is dropped).
//
// Source: PCI Express Base Specification 6.0, 10.3 (ATS invalidation, ITag vector); VT-d Rev. 4.1, 6.5.2
// (device-TLB invalidation, ordering of descriptors).
#ifndef IOM_CORE_FANOUT_H
#define IOM_CORE_FANOUT_H

#include "core/command.h"
#include "core/control.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_tracker;

#define IOM_INVALIDATION_TAGS 32u
/// Stream of a device port that serves every requester.
#define IOM_STREAM_ANY UINT32_MAX

/// To a device TLB, and back as its completion.
struct iom_ats_invalidation {
    struct iom_msg msg;
    uint64_t id; ///< of the invalidation (hazard tracker)
    struct iom_device_invalidation what;
    uint8_t tag;   ///< ITag
    uint8_t count; ///< completion: how many the device sends for this request (PCIe: CC), 0 = 8; on the way
                   ///< there 1
    uint32_t removed;  ///< completion: entries removed (information only)
    uint32_t stopped;  ///< completion: translation requests under way whose answer will be dropped (likewise)
    iom_cycle applied; ///< completion: cycle in which they were removed
};

struct iom_fanout_config {
    uint8_t iommu;         ///< instance
    uint32_t sources;      ///< source ports
    uint32_t participants; ///< participant ports; 0 is the front end
    /// Per participant: its caches (enum iom_invalidate_target); may be null (copied).
    const uint32_t *serves;
    uint32_t devices;            ///< device TLB ports
    const uint32_t *streams;     ///< requester served by each device port (copied)
    uint32_t first_device;       ///< number of device 0 among the device TLBs of the system (hazard tracker)
    uint32_t tags;               ///< invalidation tags, up to IOM_INVALIDATION_TAGS; 0 = that many
    uint64_t timeout_cycles;     ///< of a device TLB invalidation, 0 = wait for ever
    struct iom_tracker *tracker; ///< may be null
};

#define IOM_FANOUT_STATS(X)                                                                                  \
    X(counter, views, "updates", "register views distributed")                                               \
    X(counter, invalidations, "invalidations", "invalidations of the IOMMU's caches carried out")            \
    X(counter, device_invalidations, "invalidations", "invalidation requests sent to device TLBs")           \
    X(counter, unreachable, "invalidations", "device invalidations for requesters without device TLB")       \
    X(counter, responses, "responses", "page responses sent to devices")                                     \
    X(counter, responses_dropped, "responses", "page responses for requesters without port")                 \
    X(counter, drains, "drains", "waits for older DMA to become visible")                                    \
    X(counter, removed, "entries", "entries removed from the IOMMU's caches")                                \
    X(counter, device_removed, "entries", "entries removed from device TLBs")                                \
    X(counter, timeouts, "invalidations", "device invalidations not answered in time")                       \
    X(counter, tag_waits, "invalidations",                                                                   \
      "device invalidations that waited for a tag or the device's queue")                                    \
    X(maximum, most_tags, "tags", "most invalidation tags in use at once")                                   \
    X(histogram, invalidate_latency, "cycles",                                                               \
      "from the begin of an invalidation to its last acknowledgement")                                       \
    X(histogram, device_latency, "cycles", "from an invalidation request to a device to its completion")     \
    X(histogram, drain_latency, "cycles", "from the begin of a drain to its end")

struct iom_fanout_stats {
    IOM_FANOUT_STATS(IOM_STAT_MEMBER)
};

struct iom_fanout; // opaque

/// Null when memory is out.
struct iom_fanout *iom_fanout_create(const struct iom_fanout_config *config, const char *name);
void iom_fanout_destroy(struct iom_fanout *fanout);
struct iom_unit *iom_fanout_unit(struct iom_fanout *fanout);
struct iom_port *iom_fanout_source(struct iom_fanout *fanout, uint32_t index);
struct iom_port *iom_fanout_participant(struct iom_fanout *fanout, uint32_t index);
struct iom_port *iom_fanout_device(struct iom_fanout *fanout, uint32_t index);
struct iom_port *iom_fanout_events(struct iom_fanout *fanout);
/// The time of the requests with these invalidation tags (bit mask) is over in `now`, a cycle that has not
/// been evaluated: they time out, and their tags are free at once. For tests and conformance vectors.
void iom_fanout_expire(struct iom_fanout *fanout, uint32_t tags, iom_cycle now);
const struct iom_fanout_stats *iom_fanout_stats_of(const struct iom_fanout *fanout);

#ifdef __cplusplus
}
#endif

#endif
