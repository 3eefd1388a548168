// SPDX-License-Identifier: Apache-2.0
//
// The register unit: owns the architecture's register file and fault records, serves MMIO, and tells
// every participant of the translation when a register changes what they depend on.
//
//   mmio    responder: struct iom_mmio. A write is applied in the cycle of arrival (answered at once:
//           posted); a read likewise
//   fault   responders, one way: struct iom_report of faults and page requests, taken in the order of their
//           arrival, none while a store is wanted or under way; the slot of a report is free when it has been
//           taken. A struct iom_control (drain) goes back when it has been taken: the stores of what came
//           before it have been acknowledged
//   monitor responders, one way: struct iom_report of events, given to arch->count at once
//   event   responders, one way: struct iom_queue_event_message of command queue and fan-out, given to
//           arch->queue_event
//   fanout  requester: struct iom_control. What a register write asks for beyond changing registers is
//           carried out one write after the other: the view that results from it, then the invalidations it
//           asks for or implies, then a drain if one of these wants it; when all that has been answered the
//           status bits are set (e.g. GSTS, IVT). Status bits do not say which command they belong to: of
//           commands that overlap those of the view are set when the last view is everywhere
//   queue   requester, one way: struct iom_queue_setup_message, in the cycle of the write (or event) that
//           changed the registers of the command queue
//   memory  requester: struct iom_memory_access. Stores that the state wants (arch->next_store), one at a
//           time: the next one leaves in the cycle in which the one before is acknowledged
//   translate  requester: struct iom_dma, a translation asked for through registers (IOM_ACTION_TRANSLATE),
//           one at a time
// What follows from a change of the state leaves in the same cycle. Of one cycle: time, store acknowledged,
// reports, answers of the fan-out, events of the command queue, events to be counted, translations, register
// accesses.
// An architecture without arch->next_invalidation gets one invalidation of everything. All requester ports
// may be left unconnected: then what goes there is done at once (a translation is refused).
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

/// How reports become records in memory.
struct iom_record_pace {
    /// From the report (or the end of the store before) to the store's departure.
    uint64_t store_delay_cycles;
    bool slot_until_written; ///< a report keeps its slot until its record is in memory, else until taken
    /// Deviation seen in hardware (docs/timing.md): while memory acknowledges a record (its address takes one
    /// cycle, each beat of beat_bytes one more), one slot is freed in each cycle: that of the record itself
    /// first, then those of the reports behind it, which are lost (drains are not).
    bool quirk_writing_drops_reports;
    uint32_t beat_bytes;
};

struct iom_register_unit_config {
    const struct iom_arch *arch;
    struct iom_record_pace pace;
    uint32_t fault_inputs;       ///< stages that report faults
    uint32_t event_inputs;       ///< units that report events of the command queue
    uint32_t monitor_inputs;     ///< stages that send events for performance counters
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
    X(counter, faults_dropped, "faults", "faults lost because no fault record was free")                     \
    X(counter, reports_lost, "reports", "reports dropped while a record was being written (deviation)")      \
    X(counter, page_requests_queued, "requests", "page requests put into their queue")                       \
    X(counter, page_requests_dropped, "requests", "page requests answered or dropped instead")               \
    X(counter, page_responses, "responses", "responses to page requests given by the hardware itself")       \
    X(counter, stores, "accesses", "records and interrupt messages written to memory")                       \
    X(counter, store_errors, "accesses", "of these: refused by memory")                                      \
    X(counter, translations, "requests", "translations asked for through registers")                         \
    X(counter, monitored_events, "events", "events taken for performance counters")

struct iom_register_stats {
    IOM_REGISTER_STATS(IOM_STAT_MEMBER)
};

/// Told when the unit has been evaluated in `now`: its registers show what they show in this cycle.
struct iom_register_observer {
    void *context;
    void (*evaluated)(void *context, iom_cycle now);
};

struct iom_register_unit; // opaque

struct iom_register_unit *iom_register_unit_create(const struct iom_register_unit_config *config,
                                                   const char *name);
void iom_register_unit_destroy(struct iom_register_unit *registers);
struct iom_unit *iom_register_unit_unit(struct iom_register_unit *registers);
struct iom_port *iom_register_unit_mmio(struct iom_register_unit *registers);
struct iom_port *iom_register_unit_fault(struct iom_register_unit *registers, uint32_t index);
struct iom_port *iom_register_unit_event(struct iom_register_unit *registers, uint32_t index);
struct iom_port *iom_register_unit_monitor(struct iom_register_unit *registers, uint32_t index);
struct iom_port *iom_register_unit_fanout(struct iom_register_unit *registers);
struct iom_port *iom_register_unit_queue(struct iom_register_unit *registers);
struct iom_port *iom_register_unit_memory(struct iom_register_unit *registers);
struct iom_port *iom_register_unit_translate(struct iom_register_unit *registers);
/// Back to reset values, outside the simulation; nothing may be under way.
void iom_register_unit_reset(struct iom_register_unit *registers);
/// The register file, for functional access while the simulation stands still.
void *iom_register_unit_state(struct iom_register_unit *registers);
/// Copies `*observer`; null removes the observer.
void iom_register_unit_set_observer(struct iom_register_unit *registers,
                                    const struct iom_register_observer *observer);
const struct iom_register_stats *iom_register_unit_stats_of(const struct iom_register_unit *registers);

#ifdef __cplusplus
}
#endif

#endif
