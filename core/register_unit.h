// SPDX-License-Identifier: Apache-2.0
//
// The register unit: owns the architecture's register file and fault records, serves MMIO, and tells
// every participant of the translation when a register changes what they depend on.
//
//   mmio    responder: struct iom_mmio. A write is applied in the cycle of arrival (answered at once:
//   posted);
//           a read likewise
//   fault   responders, one way: struct iom_fault_report; recorded in order of arrival
//   event   responders, one way: struct iom_queue_event_message of command queue and fan-out, given to
//           arch->queue_event
//   fanout  requester: struct iom_control. What a register write asks for beyond changing registers is
//           carried out one write after the other: the view that results from it, then the invalidations it
//           asks for or implies, then a drain if one of these wants it; when all that has been answered the
//           status bits are set (e.g. GSTS, IVT). Status bits do not say which command they belong to: of
//           commands that overlap those of the view are set when the last view is everywhere
//   queue   requester, one way: struct iom_queue_setup_message, in the cycle of the write (or event) that
//           changed the registers of the command queue
// An architecture without arch->next_invalidation gets one invalidation of everything. fanout and queue may
// be left unconnected: then what goes there is done at once.
#ifndef IOM_CORE_REGISTER_UNIT_H
#define IOM_CORE_REGISTER_UNIT_H

#include "core/arch.h"
#include "core/control.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_tracker;

struct iom_register_unit_config {
    const struct iom_arch *arch;
    uint32_t fault_inputs;       ///< stages that report faults
    uint32_t event_inputs;       ///< units that report events of the command queue
    struct iom_tracker *tracker; ///< may be null
};

#define IOM_REGISTER_STATS(X)                                                                                \
    X(counter, mmio_reads, "accesses", "register reads")                                                     \
    X(counter, mmio_writes, "accesses", "register writes")                                                   \
    X(counter, view_updates, "updates", "changes of the register view distributed to all units")             \
    X(counter, invalidations, "invalidations", "invalidations asked for or implied by register writes")      \
    X(counter, doorbells, "writes", "changes of the command queue's registers passed on")                    \
    X(counter, queue_events, "events", "events of the command queue taken")                                  \
    X(counter, faults_recorded, "faults", "faults put into fault records")                                   \
    X(counter, faults_dropped, "faults", "faults lost because no fault record was free")

struct iom_register_stats {
    IOM_REGISTER_STATS(IOM_STAT_MEMBER)
};

struct iom_register_unit; // opaque

struct iom_register_unit *iom_register_unit_create(const struct iom_register_unit_config *config,
                                                   const char *name);
void iom_register_unit_destroy(struct iom_register_unit *registers);
struct iom_unit *iom_register_unit_unit(struct iom_register_unit *registers);
struct iom_port *iom_register_unit_mmio(struct iom_register_unit *registers);
struct iom_port *iom_register_unit_fault(struct iom_register_unit *registers, uint32_t index);
struct iom_port *iom_register_unit_event(struct iom_register_unit *registers, uint32_t index);
struct iom_port *iom_register_unit_fanout(struct iom_register_unit *registers);
struct iom_port *iom_register_unit_queue(struct iom_register_unit *registers);
/// Back to reset values, outside the simulation; nothing may be under way.
void iom_register_unit_reset(struct iom_register_unit *registers);
/// The register file, for functional access while the simulation stands still.
void *iom_register_unit_state(struct iom_register_unit *registers);
const struct iom_register_stats *iom_register_unit_stats_of(const struct iom_register_unit *registers);

#ifdef __cplusplus
}
#endif

#endif
