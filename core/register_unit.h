// SPDX-License-Identifier: Apache-2.0
//
// The register unit: owns the architecture's register file and fault records, serves MMIO, and tells
// every participant of the translation when a register changes what they depend on.
//
//   mmio      write: applied in the cycle of arrival (answered at once: posted); read: likewise
//   view      a write that changes the view is broadcast; when all have acknowledged, the status bit
//             of the handshake (e.g. GSTS) is set. Actions are carried out one after the other; of
//             commands that overlap all status bits are set when the last view is everywhere
//   faults    recorded in order of arrival
#ifndef IOM_CORE_REGISTER_UNIT_H
#define IOM_CORE_REGISTER_UNIT_H

#include "core/arch.h"
#include "core/control.h"
#include "core/stats.h"
#include "core/unit.h"

#ifdef __cplusplus
extern "C" {
#endif

struct iom_register_unit_config {
    const struct iom_arch *arch;
    uint32_t fault_inputs; ///< stages that report faults
    uint32_t participants; ///< units that hold a view or cached state
};

#define IOM_REGISTER_STATS(X)                                                                                \
    X(counter, mmio_reads, "accesses", "register reads")                                                     \
    X(counter, mmio_writes, "accesses", "register writes")                                                   \
    X(counter, view_updates, "updates", "changes of the register view distributed to all units")             \
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
/// Responder: struct iom_mmio.
struct iom_port *iom_register_unit_mmio(struct iom_register_unit *registers);
/// Responder, one way: struct iom_fault_report.
struct iom_port *iom_register_unit_fault(struct iom_register_unit *registers, uint32_t index);
/// Requester: struct iom_control.
struct iom_port *iom_register_unit_participant(struct iom_register_unit *registers, uint32_t index);
/// Back to reset values, outside the simulation; nothing may be under way.
void iom_register_unit_reset(struct iom_register_unit *registers);
/// The register file, for functional access while the simulation stands still.
void *iom_register_unit_state(struct iom_register_unit *registers);
const struct iom_register_stats *iom_register_unit_stats_of(const struct iom_register_unit *registers);

#ifdef __cplusplus
}
#endif

#endif
