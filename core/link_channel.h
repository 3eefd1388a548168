// SPDX-License-Identifier: Apache-2.0
//
// One direction of a PCI Express link: a transmitter with flow-control credits, the wires, and the receive
// buffers at the other end. Not a unit: core/link.c owns one for each direction and connects them to ports.
//
//     offer ──> transmit queue ──> wires ──> flight ──> receive buffer ──> pass_on
//                   ^  one order, three classes              │  the same
//                   └────────── credits, later by their way back ┘
//
// Classes and who may pass whom (row passes an earlier packet of the column), in both queues:
//
//                     posted   non-posted   completion
//     posted            no        yes          yes        yes: else a deadlock is possible
//     non-posted        no        no           yes        among themselves they may keep their order, and do
//     completion        no        yes          no         likewise; never past a posted one (no relaxed or
//                                                         ID-based ordering here)
//
// Arbitration: whenever the wires are free, the oldest packet goes whose class has credits and which need not
// stay behind an older one that waits. In the receive buffer it is the same with places behind it in lieu of
// credits and without wires: all that can be passed on in a cycle is.
//
// Credits: a packet spends one header credit of its class and a data credit for each 16 bytes of payload,
// begun ones included. They are spent when it takes its turn on the wires; the places are free again when the
// packet leaves the receive buffer, which the transmitter knows `credit_cycles` later. A limit of 0 is
// infinite. A packet with more payload than the whole buffer (real ones are cut to Max_Payload_Size) needs
// all of it.
//
// Timing: a packet offered in c starts at s = max(c, end of the packet before), if nothing holds it up,
// leaves the wires at s + ceil(bytes / bytes_per_cycle), and is in the receive buffer `flight_cycles` later;
// with a place behind it, it is passed on in that cycle. While no packet waits, its place is reserved in c:
// nobody else can take it, so that makes no difference, and an arrival costs no event of its own.
//
// Source: PCI Express Base Specification 6.0, 2.4.1 (ordering table), 2.6.1 (flow control, table of credits).
#ifndef IOM_CORE_LINK_CHANNEL_H
#define IOM_CORE_LINK_CHANNEL_H

#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_link_class {
    IOM_LINK_POSTED,     ///< memory writes; messages: invalidation requests and completions, page requests
    IOM_LINK_NON_POSTED, ///< reads, translation requests
    IOM_LINK_COMPLETION, ///< their answers
    IOM_LINK_CLASSES,
};

enum { IOM_LINK_DATA_CREDIT_BYTES = 16 };

/// Places of a receive buffer; 0 = infinite.
struct iom_link_credits {
    uint32_t header; ///< packets
    uint32_t data;   ///< units of 16 bytes
};

struct iom_link_direction {
    struct iom_link_credits credits[IOM_LINK_CLASSES];
    uint64_t flight_cycles; ///< from the wires to the receive buffer
    uint64_t credit_cycles; ///< from a place that becomes free to the transmitter
};

struct iom_link_packet {
    enum iom_link_class kind;
    uint64_t payload_bytes;
};

struct iom_link_channel_ops {
    struct iom_link_packet (*look_at)(const struct iom_msg *msg);
    /// The packet has got its turn on the wires in `now`.
    void (*sent)(void *owner, const struct iom_msg *msg, iom_cycle now);
    /// Is there a place behind the receive buffer? If not, the unit is woken when there may be one.
    bool (*has_place)(void *owner, const struct iom_msg *msg, iom_cycle now);
    /// Out of the receive buffer in cycle `when` (>= now), into the place asked for just before.
    void (*pass_on)(void *owner, struct iom_msg *msg, iom_cycle when);
};

struct iom_link_counters {
    uint64_t packets, bytes; ///< on the wires, headers included
    uint64_t credit_waits;   ///< packets that found the wires free and no credits
    uint64_t place_waits;    ///< packets in the receive buffer that found no place behind it
    uint64_t most_buffered;  ///< most packets in the receive buffer at the end of a cycle
};

/// Packets by class, their common order in msg.arrival.
struct iom_link_queue {
    struct iom_fifo of[IOM_LINK_CLASSES];
    uint64_t pushed, held;
};

struct iom_link_credit_return {
    iom_cycle arrival;
    uint32_t data;
};

/// What the transmitter knows of the receive buffer of a class.
struct iom_link_account {
    struct iom_link_credits limit, left;
    struct iom_link_credit_return *returns; ///< ring of places that have become, or will become, free
    uint32_t capacity, first, count;
};

struct iom_link_channel {
    const struct iom_unit *unit; ///< whose clock counts
    const struct iom_link_channel_ops *ops;
    void *owner;
    uint32_t bytes_per_cycle, header_bytes;
    uint64_t flight_cycles, credit_cycles;
    iom_cycle free_at; ///< end of the packet on the wires
    struct iom_link_queue waiting;
    struct iom_fifo in_flight; ///< no place reserved; msg.arrival: when they are in the receive buffer
    struct iom_link_queue received;
    struct iom_link_account accounts[IOM_LINK_CLASSES];
    uint8_t waits_for_credit, waits_for_place; ///< bit per class: its oldest packet has been counted
    struct iom_link_counters counters[IOM_LINK_CLASSES];
    uint64_t busy_cycles; ///< of the wires
};

/// False when memory is out. `channel` may be freed in either case, and if it is all zero.
bool iom_link_channel_init(struct iom_link_channel *channel, const struct iom_unit *unit,
                           const struct iom_link_channel_ops *ops, void *owner, uint32_t bytes_per_cycle,
                           uint32_t header_bytes, const struct iom_link_direction *direction);
void iom_link_channel_free(struct iom_link_channel *channel);
/// A packet reaches the transmitter.
void iom_link_channel_offer(struct iom_link_channel *channel, struct iom_msg *msg, iom_cycle now);
/// Does all that is due in `now`, after the packets of that cycle were offered. Returns the next cycle with
/// something to do, other than places that become free.
iom_cycle iom_link_channel_advance(struct iom_link_channel *channel, iom_cycle now);
/// Packets offered and not yet passed on.
uint64_t iom_link_channel_held(const struct iom_link_channel *channel);
void iom_link_channel_reset_counters(struct iom_link_channel *channel);

#ifdef __cplusplus
}
#endif

#endif
