// SPDX-License-Identifier: Apache-2.0
//
// The registers of the invalidation queue: what they say about the queue, and what happens in them when
// commands are taken, refused, or complete (VT-d Rev. 4.1, 6.5.2, 11.4.7.1, 11.4.9).
//
// Two conditions stop the fetch until software clears them in the fault status register: IQE (the command
// at the head, or the way the queue is set up, is wrong) and ITE (a device did not answer). Each time the
// queue goes on, is enabled or disabled, a new generation begins and the head in the register counts.
#include "core/arch/vtd/vtd_internal.h"

#define STOPPED (IOM_VTD_FSTS_IQE | IOM_VTD_FSTS_ITE)
#define IQER_ERROR UINT64_C(0xf)

static bool is_enabled(const struct vtd_state *state)
{
    return (state->gsts & IOM_VTD_GCMD_QIE) != 0;
}

static uint32_t queue_bytes(const struct vtd_state *state)
{
    return (uint32_t)IOM_PAGE_BYTES << (state->iqa & IOM_VTD_IQA_QS_MASK);
}

static bool is_wide(const struct vtd_state *state)
{
    return (state->iqa & IOM_VTD_IQA_DW) != 0;
}

// What is wrong with the set-up itself, found when there is something to fetch.
static enum iom_vtd_queue_error setup_error(const struct iom_vtd_config *config,
                                            const struct vtd_state *state)
{
    unsigned mode = (unsigned)iom_bits(state->root, 11, 10);
    if (state->iqh == state->iqt)
        return IOM_VTD_QUEUE_NO_INFORMATION;
    if (state->iqt >= queue_bytes(state))
        return IOM_VTD_QUEUE_TAIL;
    if (is_wide(state) && state->iqt % VTD_WIDE_BYTES != 0)
        return IOM_VTD_QUEUE_ALIGNMENT;
    if (mode == IOM_VTD_TTM_RESERVED)
        return IOM_VTD_QUEUE_TABLE_MODE;
    if (is_wide(state) && !IOM_VTD_ECAP_SMTS(config->ecap) && !IOM_VTD_ECAP_ADMS(config->ecap))
        return IOM_VTD_QUEUE_WIDTH;
    if (!is_wide(state) && mode == IOM_VTD_TTM_SCALABLE && !config->quirk_narrow_commands)
        return IOM_VTD_QUEUE_WIDTH;
    return IOM_VTD_QUEUE_NO_INFORMATION;
}

static void set_condition(struct vtd_state *state, uint32_t condition)
{
    uint32_t before = vtd_fault_status(state);
    state->fsts |= condition;
    vtd_fault_event(state, before);
}

// The first error counts until software has cleared it.
static void stop_with_error(struct vtd_state *state, enum iom_vtd_queue_error error)
{
    if (state->fsts & IOM_VTD_FSTS_IQE)
        return;
    state->iqer = (state->iqer & ~IQER_ERROR) | (uint64_t)error;
    set_condition(state, IOM_VTD_FSTS_IQE);
}

uint32_t vtd_queue_changed(const struct iom_vtd_config *config, struct vtd_state *state)
{
    if (!is_enabled(state) || (state->fsts & STOPPED))
        return 0;
    enum iom_vtd_queue_error error = setup_error(config, state);
    if (error != IOM_VTD_QUEUE_NO_INFORMATION)
        stop_with_error(state, error);
    return 1u << IOM_ACTION_DOORBELL;
}

uint32_t vtd_queue_switched(const struct iom_vtd_config *config, struct vtd_state *state)
{
    state->generation++;
    state->iqh = 0; // 11.4.9.1: the head is cleared when the queue is switched
    (void)vtd_queue_changed(config, state);
    return 1u << IOM_ACTION_DOORBELL;
}

uint32_t vtd_queue_resumed(const struct iom_vtd_config *config, struct vtd_state *state, uint32_t cleared)
{
    if (cleared & IOM_VTD_FSTS_IQE)
        state->iqer &= ~IQER_ERROR;
    if (cleared & IOM_VTD_FSTS_ITE)
        state->iqer &= ~(UINT64_C(0xffff) << IOM_VTD_IQERCD_ITESID_SHIFT);
    if (cleared & IOM_VTD_FSTS_ICE)
        state->iqer &= ~(UINT64_C(0xffff) << IOM_VTD_IQERCD_ICESID_SHIFT);
    if (!(cleared & STOPPED) || (state->fsts & STOPPED) || !is_enabled(state))
        return 0;
    state->generation++;
    return vtd_queue_changed(config, state);
}

void vtd_queue(const struct iom_arch *arch, const void *opaque, struct iom_queue_setup *setup)
{
    (void)arch;
    const struct vtd_state *state = opaque;
    *setup = (struct iom_queue_setup){
        .enabled = is_enabled(state) && !(state->fsts & STOPPED),
        .base = state->iqa & IOM_VTD_POINTER,
        .bytes = queue_bytes(state),
        .command_bytes = is_wide(state) ? VTD_WIDE_BYTES : VTD_NARROW_BYTES,
        .head = (uint32_t)state->iqh,
        .tail = (uint32_t)state->iqt,
        .generation = state->generation,
    };
}

// 11.4.9.4, 11.4.9.5: while an earlier completion waits to be serviced there is no new event; a masked one
// is kept pending.
static void completion_event(struct vtd_state *state)
{
    if (state->ics & IOM_VTD_ICS_IWC)
        return;
    state->ics |= IOM_VTD_ICS_IWC;
    if (state->iectl & IOM_VTD_EVENT_IM)
        state->iectl |= IOM_VTD_EVENT_IP;
}

void vtd_completion_clear(struct vtd_state *state, uint32_t value)
{
    if (!(value & IOM_VTD_ICS_IWC))
        return;
    state->ics &= ~IOM_VTD_ICS_IWC;
    state->iectl &= ~IOM_VTD_EVENT_IP;
}

static void record_source(struct vtd_state *state, uint32_t condition, unsigned shift, uint32_t source)
{
    if (state->fsts & condition) // the first one is kept
        return;
    state->iqer = (state->iqer & ~(UINT64_C(0xffff) << shift)) | (uint64_t)(source & 0xffff) << shift;
    set_condition(state, condition);
}

uint32_t vtd_queue_event(const struct iom_arch *arch, void *opaque, const struct iom_queue_event *event)
{
    (void)arch;
    struct vtd_state *state = opaque;
    // Completions belong to no generation: what was begun may end after the queue was stopped.
    if (event->kind == IOM_QUEUE_INTERRUPT) {
        completion_event(state);
        return 0;
    }
    if (event->kind == IOM_QUEUE_COMPLETION) {
        record_source(state, IOM_VTD_FSTS_ICE, IOM_VTD_IQERCD_ICESID_SHIFT, event->stream);
        return 0;
    }
    if (event->generation != state->generation)
        return 0;
    state->iqh = event->head;
    if (event->kind == IOM_QUEUE_INVALID)
        stop_with_error(state, (enum iom_vtd_queue_error)event->error);
    else if (event->kind == IOM_QUEUE_ACCESS)
        stop_with_error(state, IOM_VTD_QUEUE_FETCH);
    else if (event->kind == IOM_QUEUE_TIMEOUT)
        record_source(state, IOM_VTD_FSTS_ITE, IOM_VTD_IQERCD_ITESID_SHIFT, event->stream);
    return 0;
}
