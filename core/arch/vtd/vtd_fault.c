// SPDX-License-Identifier: Apache-2.0
//
// Fault reasons as text, and primary fault logging: the fault recording registers and the fault
// status bits that follow from them (VT-d Rev. 4.1, 7.2, 11.4.7).
#include "core/arch/vtd/vtd_internal.h"

const char *iom_vtd_fault_text(unsigned reason)
{
    switch (reason) {
#define FAULT_CASE(name, code, label, text)                                                                  \
    case IOM_VTD_FAULT_##name:                                                                               \
        return label ": " text;
        IOM_VTD_FAULTS(FAULT_CASE)
#undef FAULT_CASE
    default:
        return "unknown reason";
    }
}

static enum iom_vtd_address_type address_type(const struct iom_fault *fault)
{
    if (fault->flags & IOM_REQ_TRANSLATE)
        return IOM_VTD_AT_TRANSLATION;
    return fault->flags & IOM_REQ_TRANSLATED ? IOM_VTD_AT_TRANSLATED : IOM_VTD_AT_UNTRANSLATED;
}

static uint64_t record_high(const struct iom_fault *fault)
{
    uint64_t high = IOM_VTD_FRCD_F | (uint64_t)address_type(fault) << IOM_VTD_FRCD_AT_SHIFT |
                    (uint64_t)(fault->code & 0xff) << IOM_VTD_FRCD_REASON_SHIFT | (fault->source & 0xffff);
    if (!(fault->flags & IOM_REQ_WRITE))
        high |= IOM_VTD_FRCD_READ;
    if (fault->flags & IOM_REQ_PASID) {
        high |= (uint64_t)(fault->pasid & 0xfffff) << IOM_VTD_FRCD_PASID_SHIFT | IOM_VTD_FRCD_PP;
        if (fault->flags & IOM_REQ_EXEC)
            high |= IOM_VTD_FRCD_EXE;
        if (fault->flags & IOM_REQ_PRIV)
            high |= IOM_VTD_FRCD_PRIV;
    }
    return high;
}

// A new condition makes the fault event pending; unmasked it leaves at once as an interrupt message,
// which this model does not deliver (see SPEC.md).
void vtd_fault_event(struct vtd_state *state, uint32_t before)
{
    uint32_t conditions =
        IOM_VTD_FSTS_PFO | IOM_VTD_FSTS_PPF | IOM_VTD_FSTS_IQE | IOM_VTD_FSTS_ICE | IOM_VTD_FSTS_ITE;
    // A condition found while another one stands is no new interrupt condition (11.4.7.2).
    if ((before & conditions) == 0 && (state->fectl & IOM_VTD_EVENT_IM))
        state->fectl |= IOM_VTD_EVENT_IP;
}

uint32_t vtd_fault_status(const struct vtd_state *state)
{
    uint32_t status = state->fsts;
    if (state->faults_pending != 0)
        status |= IOM_VTD_FSTS_PPF | state->first_fault << IOM_VTD_FSTS_FRI_SHIFT;
    return status;
}

bool vtd_record(const struct iom_arch *arch, void *opaque, const struct iom_fault *fault)
{
    struct vtd_state *state = opaque;
    uint32_t before = vtd_fault_status(state);
    // 7.2.1: after an overflow nothing is recorded until software has cleared PFO.
    if (state->fsts & IOM_VTD_FSTS_PFO)
        return false;
    uint64_t *record = state->record[state->fault_index];
    if (record[1] & IOM_VTD_FRCD_F) {
        state->fsts |= IOM_VTD_FSTS_PFO;
        vtd_fault_event(state, before);
        return false;
    }
    record[0] = fault->address & IOM_VTD_POINTER;
    record[1] = record_high(fault);
    if (state->faults_pending++ == 0)
        state->first_fault = state->fault_index;
    state->fault_index = (state->fault_index + 1) % vtd_config(arch)->derived.fault_records;
    vtd_fault_event(state, before);
    return true;
}

static void settle_event(struct vtd_state *state)
{
    if (vtd_fault_status(state) == 0)
        state->fectl &= ~IOM_VTD_EVENT_IP;
}

void vtd_fault_clear(struct vtd_state *state, unsigned record, uint64_t high)
{
    uint64_t *word = &state->record[record][1];
    if (!(high & *word & IOM_VTD_FRCD_F))
        return;
    *word &= ~IOM_VTD_FRCD_F;
    state->faults_pending--;
    settle_event(state);
}

uint32_t vtd_fault_status_clear(struct vtd_state *state, uint32_t value)
{
    uint32_t clearable = IOM_VTD_FSTS_PFO | IOM_VTD_FSTS_IQE | IOM_VTD_FSTS_ICE | IOM_VTD_FSTS_ITE;
    uint32_t cleared = state->fsts & value & clearable;
    state->fsts &= ~cleared;
    settle_event(state);
    return cleared;
}
