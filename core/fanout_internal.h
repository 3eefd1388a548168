// SPDX-License-Identifier: Apache-2.0
//
// Inside the fan-out: what fanout.c (sources, the IOMMU's own caches, drains) and fanout_device.c
// (invalidation tags, time-outs) share. See fanout.h.
#ifndef IOM_CORE_FANOUT_INTERNAL_H
#define IOM_CORE_FANOUT_INTERNAL_H

#include "core/fanout.h"

/// Device number of a requester without device TLB.
#define IOM_NO_DEVICE UINT32_MAX

enum iom_itag_state {
    IOM_ITAG_FREE,
    IOM_ITAG_WAITING, ///< request sent, not answered
    IOM_ITAG_LATE,    ///< timed out; an answer would be discarded
};

struct iom_itag {
    uint8_t state;    ///< enum iom_itag_state
    uint8_t received; ///< completions so far
    bool expired;     ///< by iom_fanout_expire
    uint32_t device;  ///< index, IOM_NO_DEVICE
    uint32_t stream;  ///< the requester
    iom_cycle sent;
    iom_cycle deadline;       ///< of the state it is in
    struct iom_control *from; ///< WAITING: what the source sent
};

struct iom_fanout_device {
    uint32_t stream;
    uint32_t under_way; ///< requests sent and neither answered nor timed out
    bool has_waiting;   ///< an older invalidation waits (valid during a scan of the waiting list)
};

struct iom_fanout {
    struct iom_unit unit; // first member: the unit is the fan-out
    struct iom_fanout_config config;
    uint32_t *serves; ///< copy of config.serves, or null
    struct iom_fanout_device *devices;
    struct iom_port *ports; ///< events, sources, participants, devices
    struct iom_pool control_pool, device_pool, event_pool, response_pool;
    uint32_t turn;    ///< source that is asked first
    uint64_t last_id; ///< of the youngest invalidation begun

    // VIEW or INVALIDATE of the IOMMU's own caches under way
    struct iom_control *current; ///< null: none
    uint32_t unacknowledged;
    uint32_t removed;
    iom_cycle begun;

    uint64_t drains; ///< under way

    // Device TLBs
    struct iom_itag tags[IOM_INVALIDATION_TAGS];
    uint32_t tags_waiting, tags_late;
    bool expiring;           ///< iom_fanout_expire has been called
    struct iom_fifo waiting; ///< struct iom_control, without tag or place

    struct iom_fanout_stats stats;
};

struct iom_port *iom_fanout_source_port(struct iom_fanout *fanout, uint32_t index);
struct iom_port *iom_fanout_device_port(struct iom_fanout *fanout, uint32_t index);
/// Sends what a source sent back to it; the last entry of its route names the source.
void iom_fanout_answer(struct iom_fanout *fanout, struct iom_control *control, iom_cycle now);

/// Port number of the device that is `stream`, IOM_NO_DEVICE if there is none.
uint32_t iom_fanout_find_device(struct iom_fanout *fanout, uint32_t stream);
/// Sends a page response to its device.
void iom_fanout_respond(struct iom_fanout *fanout, const struct iom_page_response *response, iom_cycle now);
/// Takes an invalidation of a device TLB over: sent now or as soon as a tag and place are free.
void iom_fanout_device_add(struct iom_fanout *fanout, struct iom_control *control, iom_cycle now);
/// Completions that have arrived, then time-outs.
void iom_fanout_device_complete(struct iom_fanout *fanout, iom_cycle now);
/// Sends what can be sent of those that wait.
void iom_fanout_device_start(struct iom_fanout *fanout, iom_cycle now);
/// Next cycle in which time matters to a device TLB invalidation.
iom_cycle iom_fanout_device_wake(const struct iom_fanout *fanout);

#endif
