// SPDX-License-Identifier: Apache-2.0
//
// An AXI port in front of an IOMMU: takes read and write requests of a device, has their addresses translated
// one after the other, passes the translated ones on and answers the refused ones itself.
//
//   read, write   responders: the device's address channels AR and AW (struct iom_dma). A channel presents
//                 one request at a time (depth 1): its credit is back in the cycle behind the address
//                 handshake, the request itself comes back with its response
//   events        requester, one way: struct iom_axi_event to whoever drives the device; may stay unbound
//   look_up       requester: the IOMMU's front end (serial look-up, core/stage.h), which answers with the
//                 outcome, and is told of the handshake by a struct iom_axi_release
//   memory        requester: translated requests to memory
//
// Timing (a request presented in p has arrived in p + 1: the connection's latency is the input register):
//   begin       a request is taken up when no other is in service, reads before writes, and is looked up in
//               that cycle. It stays in service until its address handshake (in a), the next one is taken up
//               in a + 2 or later: so two hits are three cycles apart
//   handshake   of an answer that arrives in n: in n if the target is ready. Memory always is; the part that
//               answers refused requests holds one read, to its last beat, and one write, to its last data
//               (which wait while two responses of refused writes do). A request that would cross a 4 KiB
//               page (boundary_check) is not looked up but refused in the cycle after it was taken up
//   data        of a write moves one beat per cycle, in the order in which writes were presented, from the
//               cycle behind the handshake on; the write goes to memory with its last beat
//   response    what memory answers in r is returned in r, one beat of read data (or one write response) per
//               cycle and channel; a refusal is answered from the second cycle behind the handshake on (a
//               write: when its data is there). Read data and write responses have an arbiter each between
//               memory (its input 1) and refusals (its input 0)
//
// Not modelled: identifier tables (responses are in order per channel, the number of requests outstanding has
// no limit), exclusive and atomic accesses, write data later than its address.
//
// Source: AMBA AXI Protocol Specification (IHI 0022), A3 (channels, handshakes), A5 (ordering).
#ifndef IOM_CORE_AXI_PORT_H
#define IOM_CORE_AXI_PORT_H

#include "core/arbiter.h"
#include "core/dma.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_axi_event_kind {
    IOM_AXI_ACCEPTED, ///< address handshake with the device
    IOM_AXI_DONE,     ///< translated: address offered to memory; refused: last beat of the answer
};

/// To the driver of the device (one way).
struct iom_axi_event {
    struct iom_msg msg;
    uint8_t kind;    ///< enum iom_axi_event_kind
    uint64_t id;     ///< iom_dma.id of the request
    iom_cycle cycle; ///< when it happened
};

/// AXI port -> front end (one way): the request it has answered has been handed over in this cycle.
struct iom_axi_release {
    struct iom_msg msg;
};

/// Front end -> AXI port (one way), behind an answer of the same cycle: what has served the request is gone
/// by the handshake, and so is the address. Deviating hardware only (iom_serial_config).
struct iom_axi_loss {
    struct iom_msg msg;
};

struct iom_axi_port_config {
    uint32_t beat_bytes;              ///< width of the data channels
    bool boundary_check;              ///< refuse requests that cross a 4 KiB page
    bool quirk_boundary_inclusive;    ///< refuses also those that end exactly at one
    enum iom_arbitration arbitration; ///< of responses
    uint32_t positions;               ///< inputs of their arbiters, at least 2
};

enum iom_axi_port_port {
    IOM_AXI_READ,
    IOM_AXI_WRITE,
    IOM_AXI_LOOK_UP,
    IOM_AXI_MEMORY,
    IOM_AXI_EVENTS,
    IOM_AXI_PORTS,
};

#define IOM_AXI_PORT_STATS(X)                                                                                \
    X(counter, reads, "requests", "reads accepted")                                                          \
    X(counter, writes, "requests", "writes accepted")                                                        \
    X(counter, refused, "requests", "of these: refused")                                                     \
    X(counter, boundary, "requests", "of these: because they cross a 4 KiB page")                            \
    X(counter, target_waits, "requests", "requests whose handshake waited for its target")                   \
    X(counter, collisions, "responses", "responses held back one cycle by one of the other kind")            \
    X(counter, busy_cycles, "cycles", "cycles with a request in service")

struct iom_axi_port_stats {
    IOM_AXI_PORT_STATS(IOM_STAT_MEMBER)
};

struct iom_axi_port; // opaque

/// Null when memory is out.
struct iom_axi_port *iom_axi_port_create(const struct iom_axi_port_config *config, const char *name);
void iom_axi_port_destroy(struct iom_axi_port *axi);
struct iom_unit *iom_axi_port_unit(struct iom_axi_port *axi);
struct iom_port *iom_axi_port_port(struct iom_axi_port *axi, enum iom_axi_port_port port);
const struct iom_axi_port_stats *iom_axi_port_stats_of(const struct iom_axi_port *axi);

#ifdef __cplusplus
}
#endif

#endif
