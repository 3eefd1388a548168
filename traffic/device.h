// SPDX-License-Identifier: Apache-2.0
//
// The endpoint device: a unit that sends the requests of a generator as DMA and collects the results.
//
//   port 0 "out"  requester: struct iom_dma to the link or to the IOMMU, and back
//
// When a request is sent (all cycles are those of the device's clock):
//   outstanding   fewer than `outstanding` requests are in flight
//   interval      at least `issue_interval` cycles after the request before it
//   rate          operation number k (counted from 0) may begin in cycle
//                     start + floor(floor(k / burst) * burst * rate_cycles / rate_requests)
//                 or later. The schedule is the offered load: a device that was held up catches up.
//                 Requests that continue an operation are not rated.
//   credit        the receiver has a slot
// A response frees its place in the cycle in which it arrives. Between events the device sleeps: no
// polling.
#ifndef IOM_TRAFFIC_DEVICE_H
#define IOM_TRAFFIC_DEVICE_H

#include "core/stats.h"
#include "core/unit.h"
#include "traffic/generator.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_device_config {
    uint32_t outstanding;    ///< DMA requests in flight, >= 1
    uint32_t issue_interval; ///< cycles between two requests, 0 = 1
    uint64_t rate_requests;  ///< operations per rate_cycles; 0 = as fast as `outstanding` allows
    uint64_t rate_cycles;    ///< e.g. 1000; up to 2^32
    uint32_t burst;          ///< operations that become due together, 0 = 1
    uint64_t requests;       ///< stop after this many DMA requests (even within an operation), 0 = never
    uint64_t operations;     ///< begin no more than this many operations, 0 = no limit
    iom_cycle start;         ///< first cycle of activity in ticks; IOM_NEVER = wait for iom_device_start
    /// Called when DMA requests have come back, with the device's own total so far (may be null). Called
    /// while the unit is evaluated: it may count and set a flag of the caller's, nothing else.
    void (*on_completed)(void *context, uint64_t total);
    void *on_completed_context;
};

#define IOM_DEVICE_STATS(X)                                                                                  \
    X(counter, requests, "requests", "DMA requests sent")                                                    \
    X(counter, reads, "requests", "reads sent")                                                              \
    X(counter, writes, "requests", "writes sent")                                                            \
    X(counter, bytes_read, "bytes", "bytes read by requests that came back without fault")                   \
    X(counter, bytes_written, "bytes", "bytes written by requests that came back without fault")             \
    X(counter, completed, "requests", "DMA requests that came back, whatever their result")                  \
    X(counter, translated, "requests", "requests that were translated")                                      \
    X(counter, bypassed, "requests", "requests that passed through untranslated")                            \
    X(counter, interrupts, "requests", "writes that were interrupts")                                        \
    X(counter, faults, "requests", "requests that were refused")                                             \
    X(counter, memory_errors, "requests", "requests whose address does not answer")                          \
    X(counter, operations, "operations", "operations begun (requests of a stream, frames, commands)")        \
    X(counter, operations_done, "operations", "frames and commands of which every request came back")        \
    X(counter, operations_aborted, "operations", "of these: some request was refused")                       \
    X(counter, payload_bytes, "bytes", "payload of the frames and commands done")                            \
    X(maximum, most_outstanding, "requests", "most DMA requests in flight at once")                          \
    X(histogram, latency, "cycles", "from sending a DMA request to its result")                              \
    X(histogram, operation_latency, "cycles", "from the first request of a frame or command to its end")

struct iom_device_stats {
    IOM_DEVICE_STATS(IOM_STAT_MEMBER)
};

struct iom_device; // opaque

/// Null if the configuration is usable, else a static text.
const char *iom_device_config_error(const struct iom_device_config *config);

/// Makes the unit; the generator now belongs to it, also on failure. Null when memory is out or the
/// configuration is unusable. `name` is the path name ("nic0").
struct iom_device *iom_device_create(const struct iom_device_config *config, struct iom_generator *generator,
                                     const char *name);
void iom_device_destroy(struct iom_device *device);
struct iom_unit *iom_device_unit(struct iom_device *device);
/// Requester port towards the link or the IOMMU.
struct iom_port *iom_device_port(struct iom_device *device);

/// Starts a device created with start == IOM_NEVER, between two runs of the kernel; `cycle` has not
/// been evaluated yet.
void iom_device_start(struct iom_device *device, iom_cycle cycle);

/// Nothing will be sent any more and nothing is in flight.
bool iom_device_finished(const struct iom_device *device);
const struct iom_device_stats *iom_device_stats_of(const struct iom_device *device);
/// Forgets the statistics (end of warm-up), between two runs of the kernel. Limits and the total
/// given to on_completed go on counting.
void iom_device_reset_stats(struct iom_device *device);

#ifdef __cplusplus
}
#endif

#endif
