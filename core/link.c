// SPDX-License-Identifier: Apache-2.0
//
// PCI Express link: its ports, and what the two directions carry. See link.h.
#include "core/link.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/unit_stats.h"

// Payload of a translation completion and of an invalidation request.
enum { TRANSLATION_BYTES = 8, INVALIDATION_BYTES = 8 };

enum { PORT_DEVICE, PORT_HOST, PORT_FANOUT, PORT_INVALIDATE, PORTS };

struct iom_link {
    struct iom_unit unit; // first member: the unit is the link
    struct iom_port ports[PORTS];
    struct iom_link_channel up, down;
    iom_cycle write_arrival; ///< of the last posted request, at the other end of the host port
    uint64_t under_way;      ///< requests passed to the IOMMU and not yet answered
    struct iom_link_stats stats;
};

// ---- packets -------------------------------------------------------------------------------------------

static const struct iom_dma *as_dma(const struct iom_msg *msg)
{
    return (const struct iom_dma *)(const void *)msg;
}

static bool is_posted(const struct iom_dma *dma)
{
    return (dma->x.flags & (IOM_REQ_POSTED | IOM_REQ_PAGE)) != 0;
}

// A write's data; messages and what asks for data have none.
static struct iom_link_packet look_up(const struct iom_msg *msg)
{
    struct iom_link_packet packet = {.kind = IOM_LINK_POSTED};
    if (msg->kind != IOM_MSG_DMA)
        return packet;
    const struct iom_dma *dma = as_dma(msg);
    if (!is_posted(dma))
        packet.kind = IOM_LINK_NON_POSTED;
    if ((dma->x.flags & (IOM_REQ_WRITE | IOM_REQ_TRANSLATE | IOM_REQ_PAGE)) == IOM_REQ_WRITE)
        packet.payload_bytes = dma->x.bytes;
    return packet;
}

// Completion data of a read, or the eight bytes of a translation; nothing but a header if refused.
static struct iom_link_packet look_down(const struct iom_msg *msg)
{
    struct iom_link_packet packet = {.kind = IOM_LINK_POSTED};
    if (msg->kind == IOM_MSG_DEVICE_INVALIDATION)
        packet.payload_bytes = INVALIDATION_BYTES;
    if (msg->kind != IOM_MSG_DMA)
        return packet;
    const struct iom_dma *dma = as_dma(msg);
    packet.kind = IOM_LINK_COMPLETION;
    if (dma->x.outcome == IOM_OUTCOME_FAULT)
        packet.payload_bytes = 0;
    else if (dma->x.flags & IOM_REQ_TRANSLATE)
        packet.payload_bytes = TRANSLATION_BYTES;
    else if (!(dma->x.flags & IOM_REQ_WRITE))
        packet.payload_bytes = dma->x.bytes;
    return packet;
}

// ---- towards the IOMMU ---------------------------------------------------------------------------------

static void sent_up(void *owner, const struct iom_msg *msg, iom_cycle now)
{
    struct iom_link *link = owner;
    if (msg->kind != IOM_MSG_DMA) {
        link->stats.completions++;
        return;
    }
    link->stats.requests++;
    if (is_posted(as_dma(msg)))
        iom_port_return_credit(&link->ports[PORT_DEVICE], now);
}

// Are there `needed` slots? If not, further ones wake the link.
static bool has_slots(struct iom_port *port, uint32_t needed, iom_cycle now)
{
    if (port->depth == 0 || port->credits >= needed)
        return true;
    if (port->pending != 0)
        iom_port_collect_credits(port, now);
    if (port->credits >= needed)
        return true;
    port->wants_credit = true;
    if (port->pending != 0)
        iom_unit_wake(port->unit, port->pending_ring[port->pending_first]);
    return false;
}

static bool has_place_up(void *owner, const struct iom_msg *msg, iom_cycle now)
{
    struct iom_link *link = owner;
    struct iom_port *host = &link->ports[PORT_HOST];
    if (msg->kind != IOM_MSG_DMA)
        return true;
    return has_slots(host, is_posted(as_dma(msg)) || host->depth == 1 ? 1 : 2, now);
}

static void pass_up(void *owner, struct iom_msg *msg, iom_cycle when)
{
    struct iom_link *link = owner;
    struct iom_port *host = &link->ports[PORT_HOST], *fanout = &link->ports[PORT_FANOUT];
    if (msg->kind == IOM_MSG_DMA) {
        link->under_way++;
        if (is_posted(as_dma(msg)))
            link->write_arrival = iom_unit_edge(host->peer->unit, when + host->latency);
        iom_port_send(host, msg, when);
        return;
    }
    // It stays behind the writes on its further way too.
    if (link->write_arrival > fanout->latency)
        when = iom_max_u64(when, link->write_arrival - fanout->latency);
    iom_port_send(fanout, msg, when);
}

static const struct iom_link_channel_ops up_ops = {look_up, sent_up, has_place_up, pass_up};

// What arrived in one cycle is taken request first: a write handed over together with a completion counts
// as having come before it. (The unit runs in every cycle in which something arrives.)
static void take_upwards(struct iom_link *link, iom_cycle now)
{
    struct iom_port *device = &link->ports[PORT_DEVICE];
    struct iom_port *invalidate = &link->ports[PORT_INVALIDATE];
    while (iom_port_peek(device, now) != NULL) {
        struct iom_msg *msg = iom_port_pop(device);
        if (!is_posted(as_dma(msg)))
            iom_port_return_credit(device, now);
        iom_link_channel_offer(&link->up, msg, now);
    }
    while (iom_port_peek(invalidate, now) != NULL)
        iom_link_channel_offer(&link->up, iom_port_pop(invalidate), now);
}

// ---- towards the device --------------------------------------------------------------------------------

static void sent_down(void *owner, const struct iom_msg *msg, iom_cycle now)
{
    struct iom_link *link = owner;
    if (msg->kind == IOM_MSG_DMA) {
        link->stats.responses++;
        return;
    }
    link->stats.invalidations += msg->kind == IOM_MSG_DEVICE_INVALIDATION;
    iom_port_return_credit(&link->ports[PORT_FANOUT], now);
}

static bool has_place_down(void *owner, const struct iom_msg *msg, iom_cycle now)
{
    struct iom_link *link = owner;
    return msg->kind == IOM_MSG_DMA || has_slots(&link->ports[PORT_INVALIDATE], 1, now);
}

static void pass_down(void *owner, struct iom_msg *msg, iom_cycle when)
{
    struct iom_link *link = owner;
    iom_port_send(&link->ports[msg->kind == IOM_MSG_DMA ? PORT_DEVICE : PORT_INVALIDATE], msg, when);
}

static const struct iom_link_channel_ops down_ops = {look_down, sent_down, has_place_down, pass_down};

static void take_downwards(struct iom_link *link, iom_cycle now)
{
    struct iom_port *host = &link->ports[PORT_HOST], *fanout = &link->ports[PORT_FANOUT];
    while (iom_port_peek(host, now) != NULL) {
        struct iom_msg *msg = iom_port_pop(host);
        link->under_way--;
        if (is_posted(as_dma(msg)))
            iom_port_send(&link->ports[PORT_DEVICE], msg, now);
        else
            iom_link_channel_offer(&link->down, msg, now);
    }
    while (iom_port_peek(fanout, now) != NULL)
        iom_link_channel_offer(&link->down, iom_port_pop(fanout), now);
}

// ---- evaluation of a cycle -----------------------------------------------------------------------------

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_link *link = (struct iom_link *)(void *)unit;
    take_upwards(link, now);
    iom_cycle up = iom_link_channel_advance(&link->up, now);
    take_downwards(link, now);
    return iom_min_u64(up, iom_link_channel_advance(&link->down, now));
}

// An invalidation in the device is the device's: one that never answers must not look like a deadlock of
// the link.
static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_link *link = (const struct iom_link *)(const void *)unit;
    return link->under_way + iom_link_channel_held(&link->up) + iom_link_channel_held(&link->down);
}

static void describe(const struct iom_unit *unit, char *text, size_t text_bytes)
{
    const struct iom_link *link = (const struct iom_link *)(const void *)unit;
    snprintf(
        text, text_bytes,
        "to the IOMMU %llu packet(s) wait for the wires or credits and %llu for a slot of its ingress, to "
        "the device %llu and %llu; %llu request(s) in the IOMMU",
        (unsigned long long)link->up.waiting.held, (unsigned long long)link->up.received.held,
        (unsigned long long)link->down.waiting.held, (unsigned long long)link->down.received.held,
        (unsigned long long)link->under_way);
}

// ---- statistics ----------------------------------------------------------------------------------------

#define IOM_STAT_OWNER struct iom_link_stats
static const struct iom_stat_info stat_infos[] = {IOM_LINK_STATS(IOM_STAT_INFO)};

#define COPY_CLASS(prefix, channel, kind)                                                                    \
    do {                                                                                                     \
        const struct iom_link_counters *from = &(channel)->counters[kind];                                   \
        stats->prefix##_packets = from->packets;                                                             \
        stats->prefix##_bytes = from->bytes;                                                                 \
        stats->prefix##_credit_waits = from->credit_waits;                                                   \
        stats->prefix##_most_buffered = from->most_buffered;                                                 \
        stats->credit_waits += from->credit_waits + from->place_waits;                                       \
    } while (0)

// The channels count what travels on them.
const struct iom_link_stats *iom_link_stats_of(struct iom_link *link)
{
    struct iom_link_stats *stats = &link->stats;
    stats->credit_waits = 0;
    COPY_CLASS(up_posted, &link->up, IOM_LINK_POSTED);
    COPY_CLASS(up_non_posted, &link->up, IOM_LINK_NON_POSTED);
    COPY_CLASS(down_posted, &link->down, IOM_LINK_POSTED);
    COPY_CLASS(down_completion, &link->down, IOM_LINK_COMPLETION);
    stats->up_posted_slot_waits = link->up.counters[IOM_LINK_POSTED].place_waits;
    stats->up_non_posted_slot_waits = link->up.counters[IOM_LINK_NON_POSTED].place_waits;
    stats->down_posted_slot_waits = link->down.counters[IOM_LINK_POSTED].place_waits;
    stats->request_bytes = stats->up_posted_bytes + stats->up_non_posted_bytes;
    stats->response_bytes = stats->down_posted_bytes + stats->down_completion_bytes;
    stats->request_busy_cycles = link->up.busy_cycles;
    stats->response_busy_cycles = link->down.busy_cycles;
    return stats;
}

static bool stats(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block)
{
    struct iom_link *link = (struct iom_link *)(void *)unit;
    if (index != 0)
        return false;
    iom_link_stats_of(link);
    *block = IOM_STAT_BLOCK("link", stat_infos, &link->stats);
    return true;
}

static void reset_stats(struct iom_unit *unit)
{
    struct iom_link *link = (struct iom_link *)(void *)unit;
    memset(&link->stats, 0, sizeof link->stats);
    iom_link_channel_reset_counters(&link->up);
    iom_link_channel_reset_counters(&link->down);
}

// ---- life ----------------------------------------------------------------------------------------------

IOM_UNIT_DESTROY(struct iom_link, iom_link_destroy)

static const struct iom_unit_ops link_ops = {
    .kind = "link",
    .advance = advance,
    .outstanding = outstanding,
    .describe = describe,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

struct iom_link *iom_link_create(const struct iom_link_unit_config *config, const char *name)
{
    struct iom_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    iom_unit_init(&link->unit, &link_ops, name, link->ports, PORTS);
    iom_port_init(&link->unit, PORT_DEVICE, "device", false);
    iom_port_init(&link->unit, PORT_HOST, "host", true);
    iom_port_init(&link->unit, PORT_FANOUT, "fanout", false);
    iom_port_init(&link->unit, PORT_INVALIDATE, "invalidate", true);
    if (!iom_link_channel_init(&link->up, &link->unit, &up_ops, link, config->bytes_per_cycle,
                               config->header_bytes, &config->up) ||
        !iom_link_channel_init(&link->down, &link->unit, &down_ops, link, config->bytes_per_cycle,
                               config->header_bytes, &config->down)) {
        iom_link_destroy(link);
        return NULL;
    }
    return link;
}

void iom_link_destroy(struct iom_link *link)
{
    if (link == NULL)
        return;
    iom_link_channel_free(&link->up);
    iom_link_channel_free(&link->down);
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
