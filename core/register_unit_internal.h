// SPDX-License-Identifier: Apache-2.0
//
// Inside of the register unit, shared by register_unit.c (life, evaluation, register accesses, events),
// register_unit_actions.c (what is carried out through the fan-out) and register_unit_reports.c (reports,
// stores, page responses, translations asked for through registers). See register_unit.h.
#ifndef IOM_CORE_REGISTER_UNIT_INTERNAL_H
#define IOM_CORE_REGISTER_UNIT_INTERNAL_H

#include "core/dma.h"
#include "core/register_unit.h"

// Actions that wait their turn. Software waits for a handshake before it starts the next, so a short queue
// is enough; writes and events that arrive while it is full wait in their ports.
#define IOM_PENDING_ACTIONS 16u

#define IOM_VIEW_BIT (1u << IOM_ACTION_UPDATE_VIEW)
#define IOM_INVALIDATE_BIT (1u << IOM_ACTION_INVALIDATE)
#define IOM_DOORBELL_BIT (1u << IOM_ACTION_DOORBELL)
#define IOM_TRANSLATE_BIT (1u << IOM_ACTION_TRANSLATE)

/// Ports; then faults, events, monitors.
enum iom_register_port {
    IOM_REGISTER_MMIO,
    IOM_REGISTER_FANOUT,
    IOM_REGISTER_QUEUE,
    IOM_REGISTER_MEMORY,
    IOM_REGISTER_TRANSLATE,
    IOM_REGISTER_PORTS,
};

struct iom_register_unit {
    struct iom_unit unit; // first member: the unit is the registers
    struct iom_register_unit_config config;
    struct iom_port *ports;
    struct iom_pool control_pool, setup_pool, access_pool, dma_pool;
    void *state;
    uint32_t pending[IOM_PENDING_ACTIONS]; ///< view and invalidate bits of one write each, oldest first
    uint32_t pending_count;
    // Action under way: the oldest pending one
    bool view_sent;  ///< its view has been sent
    bool view_known; ///< and is everywhere
    struct iom_view view;
    bool flushed;                   ///< architecture without next_invalidation: everything was invalidated
    bool drain_reads, drain_writes; ///< wanted by its invalidations and not asked for yet
    uint32_t unanswered;            ///< messages at the fan-out, but for responses
    uint32_t responses;             ///< responses at the fan-out
    // Stores
    struct iom_register_store store; ///< the one under way
    bool storing;
    struct iom_port *slot_of; ///< input of the report whose record it is, if that keeps its slot
    iom_cycle dropping_from;  ///< with the quirk: from this cycle until the acknowledgement, else IOM_NEVER
    bool store_waits;         ///< it has not left: memory has no credit
    // Translations
    bool translation_wanted, translating;
    struct iom_register_observer observer;
    struct iom_register_stats stats;
};

static inline struct iom_port *iom_register_fault_port(struct iom_register_unit *self, uint32_t index)
{
    return &self->ports[IOM_REGISTER_PORTS + index];
}
static inline struct iom_port *iom_register_event_port(struct iom_register_unit *self, uint32_t index)
{
    return iom_register_fault_port(self, self->config.fault_inputs + index);
}
static inline struct iom_port *iom_register_monitor_port(struct iom_register_unit *self, uint32_t index)
{
    return iom_register_event_port(self, self->config.event_inputs + index);
}

/// Carries out or notes what `actions` (bit mask of enum iom_register_action) asks for.
void iom_register_act(struct iom_register_unit *self, uint32_t actions, iom_cycle now);
/// The state has changed, and `actions` (bit mask of enum iom_register_action) are asked for; sends
/// what follows. Everything that changes the state is followed by it.
void iom_register_changed(struct iom_register_unit *self, uint32_t actions, iom_cycle now);

// ---- register_unit_actions.c

/// A control message with its payload zeroed.
struct iom_control *iom_register_take_control(struct iom_register_unit *self, enum iom_control_op op);
/// Takes the oldest action as far as it can go, then the next.
void iom_register_carry_out(struct iom_register_unit *self, iom_cycle now);
/// Answers of the fan-out.
void iom_register_take_answers(struct iom_register_unit *self, iom_cycle now);
void iom_register_send_setup(struct iom_register_unit *self, iom_cycle now);

// ---- register_unit_reports.c

/// Sends what the state wants to be sent: a store, responses, a translation.
void iom_register_send(struct iom_register_unit *self, iom_cycle now);
/// Acknowledgement of the store under way.
void iom_register_take_store(struct iom_register_unit *self, iom_cycle now);
/// Deviation: reports get lost while a record is being written. Returns when it goes on.
iom_cycle iom_register_drop_reports(struct iom_register_unit *self, iom_cycle now);
void iom_register_take_reports(struct iom_register_unit *self, iom_cycle now);
void iom_register_take_monitors(struct iom_register_unit *self, iom_cycle now);
void iom_register_take_translation(struct iom_register_unit *self, iom_cycle now);

#endif
