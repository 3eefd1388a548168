// SPDX-License-Identifier: Apache-2.0
//
// PCI Express link. Timing rules are in link.h.
#include "core/link.h"

#include <stdlib.h>
#include <string.h>

enum { PORT_DEVICE, PORT_HOST, PORTS };

struct iom_link {
    struct iom_unit unit; // first member: the unit is the link
    struct iom_link_unit_config config;
    struct iom_port ports[PORTS];
    iom_cycle request_free, response_free; ///< end of the packet on the wires
    bool waiting;                          ///< the oldest request has been counted as waiting for a credit
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
        payload = 8;
    else if (!(dma->x.flags & IOM_REQ_WRITE))
        payload = dma->x.bytes;
    return link->config.header_bytes + payload;
}

static void send_requests(struct iom_link *link, iom_cycle now)
{
    struct iom_port *device = &link->ports[PORT_DEVICE];
    struct iom_port *host = &link->ports[PORT_HOST];
    while (iom_port_peek(device, now) != NULL) {
        if (!iom_port_can_send(host, now)) {
            link->stats.credit_waits += !link->waiting;
            link->waiting = true;
            return;
        }
        link->waiting = false;
        struct iom_dma *dma = (struct iom_dma *)(void *)iom_port_pop(device);
        iom_port_return_credit(device, now);
        uint64_t bytes = request_bytes(link, dma);
        link->stats.requests++;
        link->stats.request_bytes += bytes;
        link->under_way++;
        iom_port_send(host, &dma->msg,
                      transmit(link, &link->request_free, bytes, &link->stats.request_busy_cycles, now));
    }
}

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

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_link *link = (struct iom_link *)(void *)unit;
    send_requests(link, now);
    send_responses(link, now);
    return IOM_NEVER; // a credit or an arrival wakes it
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    return ((const struct iom_link *)(const void *)unit)->under_way;
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
