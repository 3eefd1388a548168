// SPDX-License-Identifier: Apache-2.0
//
// Units, ports and groups: the clocked skeleton of the simulator (architecture, "The unit, and why
// order cannot matter", rules 1 to 8).
//
//   unit   an engine with ports. advance(unit, cycle) does all the work that is due in `cycle` and
//          returns when it wants to be called again for reasons of its own; arrivals wake it anyway.
//   port   one end of a connection. A connection has a requester end and a responder end; requests
//          need a credit, responses never do (their place was reserved with the request).
//   group  an inner timing wheel and its units; itself a unit. The core kernel is one group, a SystemC
//          platform is any partition into groups, each wrapped as one sc_module.
//
// Within a group a connection may take 0 cycles if such connections form no loop; units are then
// evaluated in that order (rank). Between groups a message arrives at now + 1 or later.
#ifndef IOM_CORE_UNIT_H
#define IOM_CORE_UNIT_H

#include "core/base.h"
#include "core/msg.h"
#include "core/rng.h"
#include "core/wheel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IOM_NAME_BYTES 48

struct iom_unit;
struct iom_port;
struct iom_group;
struct iom_stat_info;

/// A group of statistics of a unit: descriptors and the struct they point into (core/stats.h).
struct iom_stat_block {
    const char *group;                 ///< statistics group, e.g. "iotlb"
    const struct iom_stat_info *infos; ///< descriptors
    uint32_t count;                    ///< number of descriptors
    void *values;                      ///< struct the offsets of the descriptors refer to
};

struct iom_unit_ops {
    const char *kind; ///< "stage", "walker", "memory", ...
    /// Does everything due in `now`; nothing due changes nothing. Returns the next cycle > now in which
    /// the unit wants to run for reasons other than an arrival or a returned credit it asked for,
    /// IOM_NEVER if there is none.
    iom_cycle (*advance)(struct iom_unit *unit, iom_cycle now);
    /// Requests the unit holds; used by the watchdog and to see that a run has drained.
    uint64_t (*outstanding)(const struct iom_unit *unit);
    /// Optional: one line on what the unit waits for, for the deadlock report.
    void (*describe)(const struct iom_unit *unit, char *text, size_t text_bytes);
    /// Optional: the i-th statistics block; false when there is none.
    bool (*stats)(struct iom_unit *unit, uint32_t index, struct iom_stat_block *block);
    /// Optional: forgets the statistics gathered so far (end of warm-up).
    void (*reset_stats)(struct iom_unit *unit);
    /// Frees what the unit owns (not the unit itself if it is embedded elsewhere).
    void (*destroy)(struct iom_unit *unit);
};

struct iom_unit {
    const struct iom_unit_ops *ops;
    char name[IOM_NAME_BYTES]; ///< path name, e.g. "iommu0.iotlb"
    struct iom_port *ports;    ///< array in processing order (rule 6: arrival, then port)
    uint32_t port_count;
    struct iom_group *group; ///< group it is evaluated in
    uint32_t slot;           ///< index in its group = rank
    iom_cycle period, phase; ///< clock: edges at phase + n * period
    iom_cycle self_wake;     ///< last value returned by advance
    uint64_t arrivals;       ///< bit min(index, 63) set: that port (a port >= 63) may hold messages
    iom_cycle far_until;     ///< latest cycle asked for beyond the wheel's reach (see group.c)
};

/// Carries messages and credits of a connection that leaves the group by other means than a plain
/// call (SystemC sockets). Both functions are called at the sender's current cycle.
struct iom_transport {
    void (*deliver)(void *context, struct iom_port *from, struct iom_msg *msg);
    void (*credit)(void *context, struct iom_port *from, iom_cycle arrival);
};

struct iom_port {
    struct iom_unit *unit;
    struct iom_port *peer; ///< other end; null while unbound
    const char *name;      ///< "memory", "in0", ...
    uint8_t index;         ///< position in unit->ports
    bool requester;        ///< sends requests (needs credits) or responses
    bool crosses;          ///< the peer is in another group
    bool wants_credit;     ///< unit asked to be woken by the next credit

    struct iom_msg *head, *tail; ///< inbox, by (arrival, order of filing = order of sending)
    uint32_t queued;             ///< messages in the inbox

    iom_cycle latency;    ///< ticks from departure to arrival at the peer
    uint64_t arrival_bit; ///< this port's bit in unit->arrivals

    // Credits (requester end). A returned credit may be used from its arrival cycle on.
    uint32_t depth;           ///< request slots at the responder, 0 = unlimited
    uint32_t credits;         ///< usable now
    uint32_t pending;         ///< returned, not yet arrived
    uint32_t pending_first;   ///< ring index of the oldest
    iom_cycle *pending_ring;  ///< arrival cycles, depth entries
    iom_cycle credit_latency; ///< ticks for a credit to return (>= 1)

    const struct iom_transport *transport; ///< null: direct
    void *transport_context;
};

struct iom_group {
    struct iom_unit unit;      ///< a group is a unit of its parent
    struct iom_unit **members; ///< by rank
    uint32_t count;
    struct iom_wheel wheel;
    iom_cycle told; ///< earliest wake-up its parent (or waker) knows of
    bool evaluating;
    bool started;
    uint64_t events; ///< calls of advance on members
    /// Root groups: told of earlier wake-ups (SystemC notification). May be null.
    void (*waker)(void *context, iom_cycle cycle);
    void *waker_context;
    /// Test hook: evaluate in a random order that respects zero-latency connections.
    struct iom_rng *shuffle;
    uint64_t *ancestors; ///< per member: bit set of members with a zero-latency path to it
};

// ---- units -----------------------------------------------------------------------------------------

/// Initialises the common part. `ports` has `port_count` zeroed entries that live as long as the unit.
void iom_unit_init(struct iom_unit *unit, const struct iom_unit_ops *ops, const char *name,
                   struct iom_port *ports, uint32_t port_count);
/// Names port `index` and says which end it is.
void iom_port_init(struct iom_unit *unit, uint32_t index, const char *name, bool requester);
/// Next cycle with work (pure): own wake-up, arrivals, credits asked for.
iom_cycle iom_unit_next_event(const struct iom_unit *unit);
/// First edge of the unit's clock at or after `cycle`.
static inline iom_cycle iom_unit_edge(const struct iom_unit *unit, iom_cycle cycle)
{
    if (unit->period <= 1)
        return cycle;
    if (cycle <= unit->phase)
        return unit->phase;
    return unit->phase + iom_div_ceil(cycle - unit->phase, unit->period) * unit->period;
}
/// `cycles` of the unit's own clock in ticks.
static inline iom_cycle iom_unit_ticks(const struct iom_unit *unit, uint64_t cycles)
{
    return cycles * unit->period;
}

// ---- connections -----------------------------------------------------------------------------------

struct iom_link_config {
    iom_cycle latency;          ///< requests: ticks from departure to arrival
    iom_cycle response_latency; ///< responses: likewise
    iom_cycle credit_latency;   ///< ticks for a credit to return, at least 1
    uint32_t depth;             ///< request slots at the responder, 0 = unlimited
};

/// Binds a requester port to a responder port. Returns false when memory is out.
bool iom_port_bind(struct iom_port *requester, struct iom_port *responder,
                   const struct iom_link_config *link);
/// Frees the credit ring and releases queued messages.
void iom_port_unbind(struct iom_port *port);

/// Parts of iom_unit_wake that are rarely needed: far wake-ups, telling the group's parent.
void iom_unit_wake_far(struct iom_unit *unit, iom_cycle cycle);
void iom_group_tell(struct iom_group *group, iom_cycle cycle);

/// Wakes `unit` in `cycle` (>= the group's current cycle).
static inline void iom_unit_wake(struct iom_unit *unit, iom_cycle cycle)
{
    struct iom_group *group = unit->group;
    if (cycle - group->wheel.now < IOM_WHEEL_SLOTS)
        iom_wheel_arm(&group->wheel, unit->slot, cycle);
    else
        iom_unit_wake_far(unit, cycle);
    // While the group evaluates, its parent learns the next event from advance's result.
    if (!group->evaluating && cycle < group->told)
        iom_group_tell(group, cycle);
}

void iom_port_insert(struct iom_port *port, struct iom_msg *msg);

/// Puts a message whose arrival is set into the inbox of `port`, the receiving end, and wakes the
/// unit. Never refused, never evaluated here (rule 1).
static inline void iom_port_file(struct iom_port *port, struct iom_msg *msg)
{
    port->queued++;
    port->unit->arrivals |= port->arrival_bit;
    if (port->head == NULL) {
        msg->next = NULL;
        port->head = port->tail = msg;
    } else if (port->tail->arrival <= msg->arrival) {
        msg->next = NULL;
        port->tail->next = msg;
        port->tail = msg;
    } else {
        iom_port_insert(port, msg);
    }
    iom_unit_wake(port->unit, msg->arrival);
}

/// A credit for `port`, a requester end, arrives in `arrival`.
static inline void iom_port_file_credit(struct iom_port *port, iom_cycle arrival)
{
    assert(port->pending + port->credits < port->depth);
    uint32_t last = port->pending_first + port->pending++;
    port->pending_ring[last < port->depth ? last : last - port->depth] = arrival;
    if (port->wants_credit)
        iom_unit_wake(port->unit, arrival);
}

/// Sends to the peer: leaves at `depart` (>= now), arrives latency later, rounded up to the receiver's
/// next clock edge. A requester end spends a credit, which must be there.
static inline void iom_port_send(struct iom_port *port, struct iom_msg *msg, iom_cycle depart)
{
    struct iom_port *peer = port->peer;
    msg->arrival = iom_unit_edge(peer->unit, depart + port->latency);
    if (port->depth != 0) { // only requester ends have one
        assert(port->credits > 0);
        port->credits--;
    }
    if (port->transport != NULL)
        port->transport->deliver(port->transport_context, port, msg);
    else
        iom_port_file(peer, msg);
}

/// Oldest message that has arrived by `now`, or null. It stays in the inbox.
static inline struct iom_msg *iom_port_peek(const struct iom_port *port, iom_cycle now)
{
    return port->head != NULL && port->head->arrival <= now ? port->head : NULL;
}

/// Takes the message returned by peek.
static inline struct iom_msg *iom_port_pop(struct iom_port *port)
{
    struct iom_msg *msg = port->head;
    port->head = msg->next;
    if (port->head == NULL) {
        port->tail = NULL;
        if (port->index < 63)
            port->unit->arrivals &= ~port->arrival_bit;
    }
    port->queued--;
    msg->next = NULL;
    return msg;
}

/// Takes a message out of the middle of the inbox.
void iom_port_remove(struct iom_port *port, struct iom_msg *msg);

/// Responder end: the slot of one request is free again; the credit arrives at now + credit latency.
static inline void iom_port_return_credit(struct iom_port *port, iom_cycle now)
{
    struct iom_port *peer = port->peer;
    if (peer->depth == 0)
        return;
    iom_cycle arrival = iom_unit_edge(peer->unit, now + port->credit_latency);
    if (port->transport != NULL)
        port->transport->credit(port->transport_context, port, arrival);
    else
        iom_port_file_credit(peer, arrival);
}

void iom_port_collect_credits(struct iom_port *port, iom_cycle now);

/// Requester end: may a request be sent now? If not, the unit is woken when a credit arrives.
static inline bool iom_port_can_send(struct iom_port *port, iom_cycle now)
{
    if (port->depth == 0 || port->credits != 0)
        return true;
    if (port->pending != 0)
        iom_port_collect_credits(port, now);
    port->wants_credit = port->credits == 0;
    return !port->wants_credit;
}

/// The return path of a message: input ports it came through.
static inline void iom_msg_push_route(struct iom_msg *msg, uint8_t port_index)
{
    assert(msg->depth < IOM_ROUTE_DEPTH);
    msg->route[msg->depth++] = port_index;
}
static inline uint8_t iom_msg_pop_route(struct iom_msg *msg)
{
    assert(msg->depth > 0);
    return msg->route[--msg->depth];
}

// ---- groups ----------------------------------------------------------------------------------------

/// Makes a group of `units` (any order). Zero-latency connections between them fix the ranks.
/// Returns null on success, else a static text: a zero-latency loop, or memory out.
const char *iom_group_init(struct iom_group *group, const char *name, struct iom_unit *const *units,
                           uint32_t count);
void iom_group_free(struct iom_group *group);
/// Wakes every unit in `cycle` for the first time.
void iom_group_start(struct iom_group *group, iom_cycle cycle);
/// Next cycle with work in the group (pure), IOM_NEVER if there is none.
static inline iom_cycle iom_group_next_event(const struct iom_group *group)
{
    return iom_wheel_next(&group->wheel);
}
/// Evaluates cycle `now`. Returns the next cycle with work.
iom_cycle iom_group_advance(struct iom_group *group, iom_cycle now);
/// Requests held by the units of the group and of the groups in it.
uint64_t iom_group_outstanding(const struct iom_group *group);

enum iom_run_end {
    IOM_RUN_IDLE,     ///< nothing left to do and nothing outstanding
    IOM_RUN_LIMIT,    ///< the next work lies beyond the limit
    IOM_RUN_STOPPED,  ///< *stop became true; the cycle was finished
    IOM_RUN_DEADLOCK, ///< requests outstanding and no pending event (rule 7)
};

/// The core kernel: advances a root group until it is idle, `limit` would be passed (work in cycle
/// `limit` is still done), or *stop (may be null) is set by a unit.
enum iom_run_end iom_group_run(struct iom_group *group, iom_cycle limit, const bool *stop);

/// Writes who waits for what into `text` (for IOM_RUN_DEADLOCK); always terminated.
void iom_group_explain(const struct iom_group *group, char *text, size_t text_bytes);

#ifdef __cplusplus
}
#endif

#endif
