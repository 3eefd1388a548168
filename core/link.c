// SPDX-License-Identifier: Apache-2.0
//
// PCI Express link. Timing rules are in link.h.
#include "core/link.h"

#include <stdlib.h>
#include <string.h>

// Payload of a translation completion and of an invalidation request.
enum { TRANSLATION_BYTES = 8, INVALIDATION_BYTES = 8 };

enum { PORT_DEVICE, PORT_HOST, PORT_FANOUT, PORT_INVALIDATE, PORTS };

struct iom_link {
    struct iom_unit unit; // first member: the unit is the link
    struct iom_link_unit_config config;
    struct iom_port ports[PORTS];
    iom_cycle request_free, response_free; ///< end of the packet on the wires
    struct iom_fifo upwards;               ///< requests and completions that may not go yet, in their order
    uint64_t completions_waiting;          ///< completions of invalidations among them
    struct iom_fifo invalidations;         ///< invalidation requests that wait for a place in the device
    bool waiting;                          ///< the oldest request has been counted as waiting for a credit
    iom_cycle write_arrival;               ///< of the last posted write, at the other end of the host port
    uint64_t under_way;                    ///< requests passed up and not yet answered
    struct iom_link_stats stats;
};

#define IOM_STAT_OWNER struct iom_link_stats
static const struct iom_stat_info stat_infos[] = {IOM_LINK_STATS(IOM_STAT_INFO)};

// Puts a packet on the wires in `now`; returns when its last byte leaves.
static iom_cycle transmit(const struct iom_link *link, iom_cycle *free_at, uint64_t bytes, uint64_t *busy,
                          iom_cycle now)
{
    uint64_t cycles = iom_div_ceil(bytes, link->config.bytes_per_cycle);
    *busy += cycles;
    *free_at = iom_max_u64(*free_at, now) + iom_unit_ticks(&link->unit, cycles);
    return *free_at;
}

static uint64_t request_bytes(const struct iom_link *link, const struct iom_dma *dma)
{
    bool payload = (dma->x.flags & (IOM_REQ_WRITE | IOM_REQ_TRANSLATE)) == IOM_REQ_WRITE;
    return link->config.header_bytes + (payload ? dma->x.bytes : 0);
}

// Completion data of a read, or the eight bytes of a translation; nothing but a header if refused.
static uint64_t response_bytes(const struct iom_link *link, const struct iom_dma *dma)
{
    uint64_t payload = 0;
    if (dma->x.outcome == IOM_OUTCOME_FAULT)
        payload = 0;
    else if (dma->x.flags & IOM_REQ_TRANSLATE)
        payload = TRANSLATION_BYTES;
    else if (!(dma->x.flags & IOM_REQ_WRITE))
        payload = dma->x.bytes;
    return link->config.header_bytes + payload;
}

// ---- towards the IOMMU ---------------------------------------------------------------------------------

static bool is_posted(const struct iom_dma *dma)
{
    return (dma->x.flags & IOM_REQ_POSTED) != 0;
}

static bool send_request(struct iom_link *link, struct iom_dma *dma, iom_cycle now)
{
    struct iom_port *host = &link->ports[PORT_HOST];
    if (!iom_port_can_send(host, now)) {
        link->stats.credit_waits += !link->waiting;
        link->waiting = true;
        return false;
    }
    link->waiting = false;
    iom_port_return_credit(&link->ports[PORT_DEVICE], now);
    uint64_t bytes = request_bytes(link, dma);
    link->stats.requests++;
    link->stats.request_bytes += bytes;
    link->under_way++;
    iom_cycle depart = transmit(link, &link->request_free, bytes, &link->stats.request_busy_cycles, now);
    if (is_posted(dma))
        link->write_arrival = iom_unit_edge(host->peer->unit, depart + host->latency);
    iom_port_send(host, &dma->msg, depart);
    return true;
}

// It stays behind the writes on its further way too, if that should be shorter than theirs.
static void send_completion(struct iom_link *link, struct iom_msg *msg, iom_cycle now)
{
    struct iom_port *fanout = &link->ports[PORT_FANOUT];
    uint64_t bytes = link->config.header_bytes;
    link->stats.completions++;
    link->stats.request_bytes += bytes;
    iom_cycle depart = transmit(link, &link->request_free, bytes, &link->stats.request_busy_cycles, now);
    if (link->write_arrival > fanout->latency)
        depart = iom_max_u64(depart, link->write_arrival - fanout->latency);
    iom_port_send(fanout, msg, depart);
}

// Sends what may go: requests in their order while there are credits, completions with no posted write
// before them.
static void send_upwards(struct iom_link *link, iom_cycle now)
{
    struct iom_fifo kept = {0};
    bool request_waits = false, write_waits = false;
    struct iom_msg *msg;
    while (!(request_waits && (write_waits || link->completions_waiting == 0)) &&
           (msg = iom_fifo_pop(&link->upwards)) != NULL) {
        if (msg->kind == IOM_MSG_DMA) {
            struct iom_dma *dma = (struct iom_dma *)(void *)msg;
            if (!request_waits && send_request(link, dma, now))
                continue;
            request_waits = true;
            write_waits = write_waits || is_posted(dma);
        } else if (!write_waits) {
            link->completions_waiting--;
            send_completion(link, msg, now);
            continue;
        }
        iom_fifo_push(&kept, msg);
    }
    iom_fifo_append(&kept, &link->upwards);
    link->upwards = kept;
}

// What arrived in one cycle is taken request first: a write handed over together with a completion counts
// as having come before it. (The unit runs in every cycle in which something arrives.)
static void take_upwards(struct iom_link *link, iom_cycle now)
{
    struct iom_port *device = &link->ports[PORT_DEVICE];
    struct iom_port *invalidate = &link->ports[PORT_INVALIDATE];
    while (iom_port_peek(device, now) != NULL)
        iom_fifo_push(&link->upwards, iom_port_pop(device));
    while (iom_port_peek(invalidate, now) != NULL) {
        link->completions_waiting++;
        iom_fifo_push(&link->upwards, iom_port_pop(invalidate));
    }
}

// ---- towards the device --------------------------------------------------------------------------------

// A posted write has no completion on a real link; its answer is the simulator's own bookkeeping and
// takes no bytes.
static void send_responses(struct iom_link *link, iom_cycle now)
{
    struct iom_port *host = &link->ports[PORT_HOST];
    while (iom_port_peek(host, now) != NULL) {
        struct iom_dma *dma = (struct iom_dma *)(void *)iom_port_pop(host);
        iom_cycle depart = now;
        link->under_way--;
        if (!(dma->x.flags & IOM_REQ_POSTED)) {
            uint64_t bytes = response_bytes(link, dma);
            link->stats.responses++;
            link->stats.response_bytes += bytes;
            depart = transmit(link, &link->response_free, bytes, &link->stats.response_busy_cycles, now);
        }
        iom_port_send(&link->ports[PORT_DEVICE], &dma->msg, depart);
    }
}

static void send_invalidations(struct iom_link *link, iom_cycle now)
{
    struct iom_port *fanout = &link->ports[PORT_FANOUT];
    struct iom_port *invalidate = &link->ports[PORT_INVALIDATE];
    while (iom_port_peek(fanout, now) != NULL)
        iom_fifo_push(&link->invalidations, iom_port_pop(fanout));
    while (link->invalidations.first != NULL && iom_port_can_send(invalidate, now)) {
        struct iom_msg *msg = iom_fifo_pop(&link->invalidations);
        uint64_t bytes = link->config.header_bytes + INVALIDATION_BYTES;
        link->stats.invalidations++;
        link->stats.response_bytes += bytes;
        iom_port_return_credit(fanout, now);
        iom_port_send(invalidate, msg,
                      transmit(link, &link->response_free, bytes, &link->stats.response_busy_cycles, now));
    }
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_link *link = (struct iom_link *)(void *)unit;
    take_upwards(link, now);
    if (link->upwards.first != NULL)
        send_upwards(link, now);
    send_responses(link, now);
    send_invalidations(link, now);
    return IOM_NEVER; // a credit or an arrival wakes it
}

// An invalidation in the device is the device's: one that never answers must not look like a deadlock of
// the link.
static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_link *link = (const struct iom_link *)(const void *)unit;
    return link->under_way + link->upwards.count + link->invalidations.count;
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    struct iom_link *link = (struct iom_link *)(void *)unit;
    if (index != 0)
        return false;
    *block =
        (struct iom_stat_block){"link", stat_infos, sizeof stat_infos / sizeof stat_infos[0], &link->stats};
    return true;
}

static void reset_stats(struct iom_unit *unit)
{
    struct iom_link *link = (struct iom_link *)(void *)unit;
    memset(&link->stats, 0, sizeof link->stats);
}

static void destroy(struct iom_unit *unit)
{
    iom_link_destroy((struct iom_link *)(void *)unit);
}

static const struct iom_unit_ops link_ops = {
    .kind = "link",
    .advance = advance,
    .outstanding = outstanding,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

struct iom_link *iom_link_create(const struct iom_link_unit_config *config, const char *name)
{
    struct iom_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->config = *config;
    iom_unit_init(&link->unit, &link_ops, name, link->ports, PORTS);
    iom_port_init(&link->unit, PORT_DEVICE, "device", false);
    iom_port_init(&link->unit, PORT_HOST, "host", true);
    iom_port_init(&link->unit, PORT_FANOUT, "fanout", false);
    iom_port_init(&link->unit, PORT_INVALIDATE, "invalidate", true);
    return link;
}

void iom_link_destroy(struct iom_link *link)
{
    free(link);
}

struct iom_unit *iom_link_unit(struct iom_link *link)
{
    return &link->unit;
}

struct iom_port *iom_link_device_port(struct iom_link *link)
{
    return &link->ports[PORT_DEVICE];
}

struct iom_port *iom_link_host_port(struct iom_link *link)
{
    return &link->ports[PORT_HOST];
}

struct iom_port *iom_link_fanout_port(struct iom_link *link)
{
    return &link->ports[PORT_FANOUT];
}

struct iom_port *iom_link_invalidate_port(struct iom_link *link)
{
    return &link->ports[PORT_INVALIDATE];
}

const struct iom_link_stats *iom_link_stats_of(const struct iom_link *link)
{
    return &link->stats;
}
