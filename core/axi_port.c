// SPDX-License-Identifier: Apache-2.0
//
// The AXI port. See axi_port.h. Evaluation of a cycle follows the way of a request: what arrived, the address
// handshake, write data, responses; each part sees what the others held at the start of the cycle.
#include "core/axi_port.h"

#include <stdlib.h>
#include <string.h>

#include "core/unit_stats.h"

enum { READ, WRITE, CHANNELS };     // iom_axi_port_port of the device's channels
enum { FROM_REFUSAL, FROM_MEMORY }; // inputs of the response arbiters
#define REFUSAL_CYCLES 2u           // from the handshake of a refused read to its first beat
#define BETWEEN_SERVICES_CYCLES 2u  // from a handshake to the next request's take-up

enum phase {
    IDLE,
    LOOKING_UP, ///< the front end has the request
    OFFERED,    ///< answered; its address waits for the handshake
};

struct iom_axi_port {
    struct iom_unit unit; // first member: the unit is the port
    struct iom_axi_port_config config;
    struct iom_port ports[IOM_AXI_PORTS];
    struct iom_pool event_pool, release_pool;
    // In service
    struct iom_dma *serving;
    uint8_t phase;   ///< enum phase
    uint8_t channel; ///< READ or WRITE
    bool looked_up;  ///< the front end waits for its release
    bool waited;     ///< counted among target_waits
    iom_cycle taken_up;
    iom_cycle offered_from;
    iom_cycle idle_from; ///< the next request is taken up in this cycle or later
    // Write data: accepted writes in order; the first beats_left beats of the first one are to come
    struct iom_fifo writes;
    iom_cycle data_from; ///< earliest beat of the first one
    uint32_t write_beats_left;
    // Refusals
    struct iom_dma *refused_read;
    iom_cycle refused_read_from;
    uint32_t refused_read_beats;
    struct iom_dma *refused_write; ///< address taken, data to come
    struct iom_fifo refused_responses;
    // What memory has answered
    struct iom_fifo from_memory[CHANNELS];
    uint32_t memory_beats_left; ///< of the first read
    struct iom_arbiter responses[CHANNELS];
    struct iom_axi_port_stats stats;
};

#define IOM_STAT_OWNER struct iom_axi_port_stats
static const struct iom_stat_info stat_infos[] = {IOM_AXI_PORT_STATS(IOM_STAT_INFO)};

static struct iom_dma *dma_of(struct iom_msg *msg)
{
    return (struct iom_dma *)(void *)msg;
}

static uint32_t beats_of(const struct iom_axi_port *axi, const struct iom_dma *dma)
{
    return (uint32_t)iom_max_u64(iom_div_ceil(dma->x.bytes, axi->config.beat_bytes), 1);
}

static bool is_refused(const struct iom_dma *dma)
{
    return dma->x.outcome == IOM_OUTCOME_FAULT;
}

static void tell(struct iom_axi_port *axi, enum iom_axi_event_kind kind, const struct iom_dma *dma,
                 iom_cycle now)
{
    struct iom_port *port = &axi->ports[IOM_AXI_EVENTS];
    if (port->peer == NULL)
        return;
    struct iom_axi_event *event = iom_pool_take(&axi->event_pool);
    if (event == NULL)
        abort(); // the driver takes them at once
    event->kind = (uint8_t)kind;
    event->id = dma->id;
    event->cycle = now;
    iom_port_send(port, &event->msg, now);
}

// ---- taking up -------------------------------------------------------------------------------------------

static bool violates_boundary(const struct iom_axi_port *axi, const struct iom_dma *dma)
{
    if (!axi->config.boundary_check)
        return false;
    uint64_t end = dma->x.address % IOM_PAGE_BYTES + (uint64_t)beats_of(axi, dma) * axi->config.beat_bytes;
    return end > IOM_PAGE_BYTES || (axi->config.quirk_boundary_inclusive && end == IOM_PAGE_BYTES);
}

static void take_up(struct iom_axi_port *axi, iom_cycle now)
{
    if (axi->phase != IDLE || now < axi->idle_from)
        return;
    for (unsigned channel = READ; channel <= WRITE; channel++) {
        struct iom_port *port = &axi->ports[channel];
        if (iom_port_peek(port, now) == NULL)
            continue;
        struct iom_dma *dma = dma_of(iom_port_pop(port));
        iom_msg_push_route(&dma->msg, (uint8_t)channel);
        axi->serving = dma;
        axi->channel = (uint8_t)channel;
        axi->waited = false;
        axi->taken_up = now;
        axi->looked_up = !violates_boundary(axi, dma);
        if (axi->looked_up) {
            axi->phase = LOOKING_UP;
            iom_port_send(&axi->ports[IOM_AXI_LOOK_UP], &dma->msg, now);
            return;
        }
        axi->stats.boundary++;
        memset(&dma->x.fault, 0, sizeof dma->x.fault);
        dma->x.outcome = IOM_OUTCOME_FAULT;
        axi->phase = OFFERED;
        axi->offered_from = now + axi->unit.period;
        return;
    }
}

static void take_answer(struct iom_axi_port *axi, iom_cycle now)
{
    struct iom_port *port = &axi->ports[IOM_AXI_LOOK_UP];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_msg *msg = iom_port_pop(port);
        if (msg->kind == IOM_MSG_AXI_LOSS) {
            assert(axi->phase == OFFERED && axi->offered_from == now);
            axi->serving->x.leaf.output = 0;
            iom_msg_release(msg);
            continue;
        }
        assert(dma_of(msg) == axi->serving && axi->phase == LOOKING_UP);
        axi->phase = OFFERED;
        axi->offered_from = now;
    }
}

// ---- address handshake -----------------------------------------------------------------------------------

static bool target_ready(const struct iom_axi_port *axi)
{
    if (!is_refused(axi->serving))
        return true;
    return axi->channel == READ ? axi->refused_read == NULL : axi->refused_write == NULL;
}

static void pass_on(struct iom_axi_port *axi, struct iom_dma *dma, iom_cycle now)
{
    iom_cycle tick = axi->unit.period;
    if (axi->channel == WRITE) {
        if (axi->writes.first == NULL) {
            axi->data_from = now + tick;
            axi->write_beats_left = beats_of(axi, dma);
        }
        if (is_refused(dma))
            axi->refused_write = dma;
        iom_fifo_push(&axi->writes, &dma->msg);
    } else if (is_refused(dma)) {
        axi->refused_read = dma;
        axi->refused_read_from = now + REFUSAL_CYCLES * tick;
        axi->refused_read_beats = beats_of(axi, dma);
    } else {
        iom_port_send(&axi->ports[IOM_AXI_MEMORY], &dma->msg, now);
    }
}

static void shake_hands(struct iom_axi_port *axi, iom_cycle now)
{
    if (axi->phase != OFFERED || now < axi->offered_from)
        return;
    struct iom_dma *dma = axi->serving;
    if (now == axi->offered_from && !is_refused(dma))
        tell(axi, IOM_AXI_DONE, dma, now);
    if (!target_ready(axi)) {
        axi->stats.target_waits += !axi->waited;
        axi->waited = true;
        return;
    }
    *(axi->channel == READ ? &axi->stats.reads : &axi->stats.writes) += 1;
    axi->stats.refused += is_refused(dma);
    tell(axi, IOM_AXI_ACCEPTED, dma, now);
    iom_port_return_credit(&axi->ports[axi->channel], now);
    if (axi->looked_up) {
        struct iom_axi_release *release = iom_pool_take(&axi->release_pool);
        if (release == NULL)
            abort(); // one at a time
        iom_port_send(&axi->ports[IOM_AXI_LOOK_UP], &release->msg, now);
    }
    axi->stats.busy_cycles += (now - axi->taken_up) / axi->unit.period + 1;
    pass_on(axi, dma, now);
    axi->phase = IDLE;
    axi->serving = NULL;
    axi->idle_from = now + BETWEEN_SERVICES_CYCLES * axi->unit.period;
}

// ---- write data ----------------------------------------------------------------------------------------

#define REFUSED_RESPONSES 2u // that wait for their turn, before data of refused writes is held back

static void move_data(struct iom_axi_port *axi, iom_cycle now, uint64_t refused_responses)
{
    if (axi->writes.first == NULL || now < axi->data_from)
        return;
    struct iom_dma *dma = dma_of(axi->writes.first);
    bool refused = is_refused(dma);
    if (refused && refused_responses >= REFUSED_RESPONSES)
        return;
    axi->data_from = now + axi->unit.period;
    if (--axi->write_beats_left != 0)
        return;
    iom_fifo_pop(&axi->writes);
    if (axi->writes.first != NULL)
        axi->write_beats_left = beats_of(axi, dma_of(axi->writes.first));
    if (refused) {
        axi->refused_write = NULL;
        iom_fifo_push(&axi->refused_responses, &dma->msg);
    } else {
        iom_port_send(&axi->ports[IOM_AXI_MEMORY], &dma->msg, now);
    }
}

// ---- responses -----------------------------------------------------------------------------------------

static void take_from_memory(struct iom_axi_port *axi, iom_cycle now)
{
    struct iom_port *port = &axi->ports[IOM_AXI_MEMORY];
    while (iom_port_peek(port, now) != NULL) {
        struct iom_dma *dma = dma_of(iom_port_pop(port));
        unsigned channel = dma->x.flags & IOM_REQ_WRITE ? WRITE : READ;
        if (channel == READ && axi->from_memory[READ].first == NULL)
            axi->memory_beats_left = beats_of(axi, dma);
        iom_fifo_push(&axi->from_memory[channel], &dma->msg);
    }
}

static void respond(struct iom_axi_port *axi, struct iom_dma *dma, iom_cycle now)
{
    if (is_refused(dma))
        tell(axi, IOM_AXI_DONE, dma, now);
    iom_port_send(&axi->ports[iom_msg_pop_route(&dma->msg)], &dma->msg, now);
}

static void read_beat_from_memory(struct iom_axi_port *axi, iom_cycle now)
{
    if (--axi->memory_beats_left != 0)
        return;
    respond(axi, dma_of(iom_fifo_pop(&axi->from_memory[READ])), now);
    if (axi->from_memory[READ].first != NULL)
        axi->memory_beats_left = beats_of(axi, dma_of(axi->from_memory[READ].first));
}

static void read_beat_of_refusal(struct iom_axi_port *axi, iom_cycle now)
{
    if (--axi->refused_read_beats != 0)
        return;
    struct iom_dma *dma = axi->refused_read;
    axi->refused_read = NULL;
    respond(axi, dma, now);
}

// `refused_write`: a refused write's response was there at the start of the cycle.
static void return_responses(struct iom_axi_port *axi, iom_cycle now, bool refused_write)
{
    bool waiting[CHANNELS][2] = {
        [READ] = {axi->refused_read != NULL && now >= axi->refused_read_from,
                  axi->from_memory[READ].first != NULL},
        [WRITE] = {refused_write, axi->from_memory[WRITE].first != NULL},
    };
    for (unsigned channel = READ; channel <= WRITE; channel++) {
        uint32_t requests = (waiting[channel][FROM_REFUSAL] ? 1u << FROM_REFUSAL : 0u) |
                            (waiting[channel][FROM_MEMORY] ? 1u << FROM_MEMORY : 0u);
        if (requests == 0)
            continue;
        axi->stats.collisions += (requests & (requests - 1)) != 0;
        bool memory = iom_arbiter_grant(&axi->responses[channel], requests) == FROM_MEMORY;
        if (channel == WRITE)
            respond(axi, dma_of(iom_fifo_pop(memory ? &axi->from_memory[WRITE] : &axi->refused_responses)),
                    now);
        else if (memory)
            read_beat_from_memory(axi, now);
        else
            read_beat_of_refusal(axi, now);
    }
}

// ---- evaluation ----------------------------------------------------------------------------------------

static iom_cycle next_wake(const struct iom_axi_port *axi, iom_cycle now)
{
    iom_cycle next = now + axi->unit.period, wake = IOM_NEVER;
    if (axi->phase == OFFERED)
        wake = iom_max_u64(axi->offered_from, next);
    else if (axi->phase == IDLE && (axi->ports[READ].head != NULL || axi->ports[WRITE].head != NULL))
        wake = iom_max_u64(axi->idle_from, next);
    if (axi->writes.first != NULL)
        wake = iom_min_u64(wake, iom_max_u64(axi->data_from, next));
    if (axi->refused_read != NULL)
        wake = iom_min_u64(wake, iom_max_u64(axi->refused_read_from, next));
    if (axi->refused_responses.first != NULL || axi->from_memory[READ].first != NULL ||
        axi->from_memory[WRITE].first != NULL)
        wake = next;
    return wake;
}

static iom_cycle advance(struct iom_unit *unit, iom_cycle now)
{
    struct iom_axi_port *axi = (struct iom_axi_port *)(void *)unit;
    // State at the start of the cycle, for what comes after the parts that change it.
    uint64_t refused_responses = axi->refused_responses.count;
    take_from_memory(axi, now);
    take_answer(axi, now);
    take_up(axi, now);
    shake_hands(axi, now);
    move_data(axi, now, refused_responses);
    return_responses(axi, now, refused_responses != 0);
    return next_wake(axi, now);
}

static uint64_t outstanding(const struct iom_unit *unit)
{
    const struct iom_axi_port *axi = (const struct iom_axi_port *)(const void *)unit;
    return (axi->serving != NULL) + axi->writes.count + (axi->refused_read != NULL) +
           axi->refused_responses.count + axi->from_memory[READ].count + axi->from_memory[WRITE].count;
}

IOM_UNIT_STATS(struct iom_axi_port, "axi_port", stat_infos)
IOM_UNIT_DESTROY(struct iom_axi_port, iom_axi_port_destroy)

static const struct iom_unit_ops axi_port_ops = {
    .kind = "axi_port",
    .advance = advance,
    .outstanding = outstanding,
    .stats = stats,
    .reset_stats = reset_stats,
    .destroy = destroy,
};

// ---- life ----------------------------------------------------------------------------------------------

struct iom_axi_port *iom_axi_port_create(const struct iom_axi_port_config *config, const char *name)
{
    struct iom_axi_port *axi = calloc(1, sizeof *axi);
    if (axi == NULL)
        return NULL;
    axi->config = *config;
    iom_pool_init(&axi->event_pool, IOM_MSG_AXI_EVENT, sizeof(struct iom_axi_event));
    iom_pool_init(&axi->release_pool, IOM_MSG_AXI_RELEASE, sizeof(struct iom_axi_release));
    for (unsigned channel = READ; channel <= WRITE; channel++)
        iom_arbiter_init(&axi->responses[channel], config->arbitration, config->positions);
    iom_unit_init(&axi->unit, &axi_port_ops, name, axi->ports, IOM_AXI_PORTS);
    iom_port_init(&axi->unit, IOM_AXI_READ, "read", false);
    iom_port_init(&axi->unit, IOM_AXI_WRITE, "write", false);
    iom_port_init(&axi->unit, IOM_AXI_LOOK_UP, "look_up", true);
    iom_port_init(&axi->unit, IOM_AXI_MEMORY, "memory", true);
    iom_port_init(&axi->unit, IOM_AXI_EVENTS, "events", true);
    return axi;
}

void iom_axi_port_destroy(struct iom_axi_port *axi)
{
    if (axi == NULL)
        return;
    iom_pool_free(&axi->event_pool);
    iom_pool_free(&axi->release_pool);
    free(axi);
}

struct iom_unit *iom_axi_port_unit(struct iom_axi_port *axi)
{
    return &axi->unit;
}

struct iom_port *iom_axi_port_port(struct iom_axi_port *axi, enum iom_axi_port_port port)
{
    return &axi->ports[port];
}

const struct iom_axi_port_stats *iom_axi_port_stats_of(const struct iom_axi_port *axi)
{
    return &axi->stats;
}
