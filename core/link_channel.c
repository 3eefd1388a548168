// SPDX-License-Identifier: Apache-2.0
//
// One direction of a PCI Express link. Rules and timing are in link_channel.h.
#include "core/link_channel.h"

#include <stdlib.h>
#include <string.h>

#define NO_CLASS IOM_LINK_CLASSES

// ---- order ---------------------------------------------------------------------------------------------

// [later][earlier] (PCI Express Base Specification 6.0, 2.4.1).
static const bool may_pass[IOM_LINK_CLASSES][IOM_LINK_CLASSES] = {
    [IOM_LINK_POSTED] = {[IOM_LINK_NON_POSTED] = true, [IOM_LINK_COMPLETION] = true},
    [IOM_LINK_NON_POSTED] = {[IOM_LINK_COMPLETION] = true},
    [IOM_LINK_COMPLETION] = {[IOM_LINK_NON_POSTED] = true},
};

static void push(struct iom_link_queue *queue, enum iom_link_class kind, struct iom_msg *msg)
{
    msg->arrival = queue->pushed++;
    queue->held++;
    iom_fifo_push(&queue->of[kind], msg);
}

static struct iom_msg *pop(struct iom_link_queue *queue, enum iom_link_class kind)
{
    queue->held--;
    return iom_fifo_pop(&queue->of[kind]);
}

static bool must_stay_behind(const struct iom_link_queue *queue, unsigned kind)
{
    for (unsigned other = 0; other < IOM_LINK_CLASSES; other++) {
        const struct iom_msg *first = queue->of[other].first;
        if (other != kind && !may_pass[kind][other] && first != NULL &&
            first->arrival < queue->of[kind].first->arrival)
            return true;
    }
    return false;
}

// Class of the oldest packet that the rules let go, without those of the classes `refused`.
static enum iom_link_class pick(const struct iom_link_queue *queue, unsigned refused)
{
    unsigned best = NO_CLASS;
    for (unsigned kind = 0; kind < IOM_LINK_CLASSES; kind++) {
        const struct iom_msg *first = queue->of[kind].first;
        if (first == NULL || (refused & 1u << kind) != 0)
            continue;
        if (best != NO_CLASS && queue->of[best].first->arrival < first->arrival)
            continue;
        if (!must_stay_behind(queue, kind))
            best = kind;
    }
    return (enum iom_link_class)best;
}

// The oldest packet of `kind` has to wait: counted once for each packet.
static void count_wait(uint8_t *counted, enum iom_link_class kind, uint64_t *waits)
{
    *waits += (*counted & 1u << kind) == 0;
    *counted |= (uint8_t)(1u << kind);
}

static void end_wait(uint8_t *counted, enum iom_link_class kind)
{
    *counted &= (uint8_t) ~(1u << kind);
}

// ---- credits -------------------------------------------------------------------------------------------

static bool open_account(struct iom_link_account *account, const struct iom_link_credits *limit)
{
    account->limit = account->left = *limit;
    // Returns under way: never more than credits spent, and those without data do not matter if headers are
    // infinite.
    account->capacity = limit->header != 0 ? limit->header : limit->data;
    if (account->capacity == 0)
        return true;
    account->returns = malloc(account->capacity * sizeof *account->returns);
    return account->returns != NULL;
}

static uint32_t data_credits(const struct iom_link_account *account, uint64_t payload_bytes)
{
    if (account->limit.data == 0)
        return 0;
    return (uint32_t)iom_min_u64(iom_div_ceil(payload_bytes, IOM_LINK_DATA_CREDIT_BYTES),
                                 account->limit.data);
}

static void collect(struct iom_link_account *account, iom_cycle now)
{
    while (account->count != 0 && account->returns[account->first].arrival <= now) {
        account->left.data += account->returns[account->first].data;
        account->left.header += account->limit.header != 0;
        account->first = account->first + 1 == account->capacity ? 0 : account->first + 1;
        account->count--;
    }
}

static bool affords(struct iom_link_account *account, uint64_t payload_bytes, iom_cycle now)
{
    if (account->capacity == 0)
        return true;
    collect(account, now);
    return (account->limit.header == 0 || account->left.header != 0) &&
           account->left.data >= data_credits(account, payload_bytes);
}

static void spend(struct iom_link_account *account, uint64_t payload_bytes)
{
    if (account->capacity == 0)
        return;
    account->left.header -= account->limit.header != 0;
    account->left.data -= data_credits(account, payload_bytes);
}

// Packets of a class keep their order, so their places become free in that order too.
static void give_back(struct iom_link_account *account, uint64_t payload_bytes, iom_cycle arrival)
{
    if (account->capacity == 0)
        return;
    uint32_t data = data_credits(account, payload_bytes);
    if (account->limit.header == 0 && data == 0)
        return;
    assert(account->count < account->capacity);
    uint32_t last = account->first + account->count++;
    if (last >= account->capacity)
        last -= account->capacity;
    account->returns[last] = (struct iom_link_credit_return){.arrival = arrival, .data = data};
}

// ---- receiver ------------------------------------------------------------------------------------------

static void pass_on(struct iom_link_channel *channel, struct iom_msg *msg,
                    const struct iom_link_packet *packet, iom_cycle when)
{
    give_back(&channel->accounts[packet->kind], packet->payload_bytes,
              when + iom_unit_ticks(channel->unit, channel->credit_cycles));
    channel->ops->pass_on(channel->owner, msg, when);
}

static bool has_landed(const struct iom_link_channel *channel, iom_cycle now)
{
    return channel->in_flight.first != NULL && channel->in_flight.first->arrival <= now;
}

static void receive(struct iom_link_channel *channel, iom_cycle now)
{
    struct iom_link_queue *received = &channel->received;
    while (has_landed(channel, now)) {
        struct iom_msg *msg = iom_fifo_pop(&channel->in_flight);
        push(received, channel->ops->look_at(msg).kind, msg);
    }
    unsigned refused = 0;
    enum iom_link_class kind;
    while (received->held != 0 && (kind = pick(received, refused)) != NO_CLASS) {
        if (!channel->ops->has_place(channel->owner, received->of[kind].first, now)) {
            count_wait(&channel->waits_for_place, kind, &channel->counters[kind].place_waits);
            refused |= 1u << kind;
            continue;
        }
        end_wait(&channel->waits_for_place, kind);
        struct iom_msg *msg = pop(received, kind);
        struct iom_link_packet packet = channel->ops->look_at(msg);
        pass_on(channel, msg, &packet, now);
    }
}

// ---- transmitter ---------------------------------------------------------------------------------------

static void transmit(struct iom_link_channel *channel, struct iom_msg *msg,
                     const struct iom_link_packet *packet, iom_cycle now)
{
    struct iom_link_counters *counters = &channel->counters[packet->kind];
    uint64_t bytes = channel->header_bytes + packet->payload_bytes;
    uint64_t cycles = iom_div_ceil(bytes, channel->bytes_per_cycle);
    counters->packets++;
    counters->bytes += bytes;
    channel->busy_cycles += cycles;
    spend(&channel->accounts[packet->kind], packet->payload_bytes);
    channel->free_at = iom_max_u64(channel->free_at, now) + iom_unit_ticks(channel->unit, cycles);
    channel->ops->sent(channel->owner, msg, now);
    iom_cycle arrival = channel->free_at + iom_unit_ticks(channel->unit, channel->flight_cycles);
    if (channel->in_flight.first == NULL && channel->received.held == 0 &&
        channel->ops->has_place(channel->owner, msg, now)) {
        pass_on(channel, msg, packet, arrival);
        return;
    }
    msg->arrival = arrival;
    iom_fifo_push(&channel->in_flight, msg);
}

void iom_link_channel_offer(struct iom_link_channel *channel, struct iom_msg *msg, iom_cycle now)
{
    struct iom_link_packet packet = channel->ops->look_at(msg);
    // With nobody before it, it will be next on the wires whenever they are free.
    if (channel->waiting.held == 0 && affords(&channel->accounts[packet.kind], packet.payload_bytes, now))
        transmit(channel, msg, &packet, now);
    else
        push(&channel->waiting, packet.kind, msg);
}

// Returns the classes that lack credits. Stops for a packet that is through in no time, if there are such.
static unsigned arbitrate(struct iom_link_channel *channel, iom_cycle now)
{
    struct iom_link_queue *waiting = &channel->waiting;
    unsigned refused = 0;
    enum iom_link_class kind;
    while (waiting->held != 0 && channel->free_at <= now && !has_landed(channel, now) &&
           (kind = pick(waiting, refused)) != NO_CLASS) {
        struct iom_link_packet packet = channel->ops->look_at(waiting->of[kind].first);
        if (!affords(&channel->accounts[kind], packet.payload_bytes, now)) {
            count_wait(&channel->waits_for_credit, kind, &channel->counters[kind].credit_waits);
            refused |= 1u << kind;
            continue;
        }
        end_wait(&channel->waits_for_credit, kind);
        transmit(channel, pop(waiting, kind), &packet, now);
    }
    return refused;
}

// ---- evaluation of a cycle -----------------------------------------------------------------------------

static iom_cycle next_wake(const struct iom_link_channel *channel, unsigned lacking, iom_cycle now)
{
    iom_cycle next = channel->in_flight.first != NULL ? channel->in_flight.first->arrival : IOM_NEVER;
    if (channel->waiting.held == 0)
        return next;
    if (channel->free_at > now)
        return iom_min_u64(next, channel->free_at);
    for (unsigned kind = 0; kind < IOM_LINK_CLASSES; kind++) {
        const struct iom_link_account *account = &channel->accounts[kind];
        if ((lacking & 1u << kind) != 0 && account->count != 0)
            next = iom_min_u64(next, account->returns[account->first].arrival);
    }
    return next;
}

static void note_buffered(struct iom_link_channel *channel)
{
    for (unsigned kind = 0; kind < IOM_LINK_CLASSES; kind++) {
        uint64_t *most = &channel->counters[kind].most_buffered;
        *most = iom_max_u64(*most, channel->received.of[kind].count);
    }
}

iom_cycle iom_link_channel_advance(struct iom_link_channel *channel, iom_cycle now)
{
    if (iom_link_channel_held(channel) == 0)
        return IOM_NEVER;
    unsigned lacking;
    do {
        receive(channel, now);
        lacking = arbitrate(channel, now);
    } while (has_landed(channel, now));
    if (channel->received.held != 0)
        note_buffered(channel);
    return next_wake(channel, lacking, now);
}

uint64_t iom_link_channel_held(const struct iom_link_channel *channel)
{
    return channel->waiting.held + channel->in_flight.count + channel->received.held;
}

void iom_link_channel_reset_counters(struct iom_link_channel *channel)
{
    memset(channel->counters, 0, sizeof channel->counters);
    channel->busy_cycles = 0;
}

// ---- life ----------------------------------------------------------------------------------------------

bool iom_link_channel_init(struct iom_link_channel *channel, const struct iom_unit *unit,
                           const struct iom_link_channel_ops *ops, void *owner, uint32_t bytes_per_cycle,
                           uint32_t header_bytes, const struct iom_link_direction *direction)
{
    *channel = (struct iom_link_channel){
        .unit = unit,
        .ops = ops,
        .owner = owner,
        .bytes_per_cycle = bytes_per_cycle,
        .header_bytes = header_bytes,
        .flight_cycles = direction->flight_cycles,
        .credit_cycles = direction->credit_cycles,
    };
    bool ok = true;
    for (unsigned kind = 0; kind < IOM_LINK_CLASSES; kind++)
        ok = open_account(&channel->accounts[kind], &direction->credits[kind]) && ok;
    return ok;
}

void iom_link_channel_free(struct iom_link_channel *channel)
{
    for (unsigned kind = 0; kind < IOM_LINK_CLASSES; kind++) {
        free(channel->accounts[kind].returns);
        channel->accounts[kind].returns = NULL;
    }
}
