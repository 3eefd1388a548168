// SPDX-License-Identifier: Apache-2.0
//
// Invalidation by registers: the context command register, the IOTLB invalidate register with its address
// register, and the flush implied by a new root pointer (VT-d Rev. 4.1, 6.5.1, 11.4.4, 11.4.6).
//
// A request that hardware cannot carry out (reserved granularity, unsupported address mask, not in legacy
// mode, queue in use) is over at once and reports granularity 0.
#include "core/arch/vtd/vtd_internal.h"

#define CCMD_ACTUAL_SHIFT 59u  ///< CAIG
#define IOTLB_ACTUAL_SHIFT 57u ///< IAIG
#define ACTUAL_MASK UINT64_C(3)
#define IOTLB_DW (UINT64_C(1) << 48)
#define IOTLB_DR (UINT64_C(1) << 49)

static enum vtd_granularity context_request(const struct vtd_state *state)
{
    return (enum vtd_granularity)iom_bits(state->ccmd, 62, 61);
}

static enum vtd_granularity iotlb_request(const struct vtd_state *state)
{
    return (enum vtd_granularity)iom_bits(state->iotlb, 61, 60);
}

// Queue and registers exclude each other, and the registers serve legacy mode only.
static bool registers_are_usable(const struct vtd_state *state)
{
    return !(state->gsts & IOM_VTD_GCMD_QIE) && iom_bits(state->root, 11, 10) == IOM_VTD_TTM_LEGACY;
}

static uint32_t start(struct vtd_state *state, enum vtd_register_invalidation which)
{
    state->invalidations_asked |= (uint8_t)which;
    return 1u << IOM_ACTION_INVALIDATE;
}

static void finish(uint64_t *reg, uint64_t start_bit, unsigned actual_shift, enum vtd_granularity actual)
{
    *reg = (*reg & ~(start_bit | ACTUAL_MASK << actual_shift)) | (uint64_t)actual << actual_shift;
}

uint32_t vtd_write_ccmd(struct vtd_state *state, uint64_t value, bool command_written)
{
    const uint64_t read_only = ACTUAL_MASK << CCMD_ACTUAL_SHIFT;
    state->ccmd = (value & ~read_only) | (state->ccmd & read_only);
    if (!command_written || !(value & IOM_VTD_CCMD_ICC))
        return 0;
    if (registers_are_usable(state) && context_request(state) != VTD_GRANULARITY_RESERVED)
        return start(state, VTD_INVALIDATE_CCMD);
    finish(&state->ccmd, IOM_VTD_CCMD_ICC, CCMD_ACTUAL_SHIFT, VTD_GRANULARITY_RESERVED);
    return 0;
}

static bool iotlb_is_possible(const struct iom_vtd_config *config, const struct vtd_state *state)
{
    enum vtd_granularity request = iotlb_request(state);
    if (!registers_are_usable(state) || request == VTD_GRANULARITY_RESERVED)
        return false;
    return request != VTD_GRANULARITY_NARROW || !IOM_VTD_CAP_PSI(config->cap) ||
           VTD_DESCRIPTOR_AM(state->iva) <= IOM_VTD_CAP_MAMV(config->cap);
}

uint32_t vtd_write_iotlb(const struct iom_vtd_config *config, struct vtd_state *state, uint64_t value,
                         bool command_written)
{
    const uint64_t read_only = ACTUAL_MASK << IOTLB_ACTUAL_SHIFT;
    state->iotlb = (value & ~read_only) | (state->iotlb & read_only);
    if (!command_written || !(value & IOM_VTD_IOTLB_IVT))
        return 0;
    if (iotlb_is_possible(config, state))
        return start(state, VTD_INVALIDATE_IOTLB);
    finish(&state->iotlb, IOM_VTD_IOTLB_IVT, IOTLB_ACTUAL_SHIFT, VTD_GRANULARITY_RESERVED);
    return 0;
}

uint32_t vtd_flush_for_root(struct vtd_state *state)
{
    return start(state, VTD_INVALIDATE_ROOT);
}

static void build_context(const struct iom_arch *arch, const struct vtd_state *state,
                          struct iom_invalidation *invalidation)
{
    vtd_invalidation_init(invalidation, IOM_SOURCE_REGISTER);
    vtd_invalidate_context(arch, invalidation, context_request(state), (uint32_t)iom_bits(state->ccmd, 15, 0),
                           (uint32_t)iom_bits(state->ccmd, 31, 16), (unsigned)iom_bits(state->ccmd, 33, 32));
}

static void build_iotlb(const struct iom_arch *arch, const struct vtd_state *state,
                        struct iom_invalidation *invalidation)
{
    uint64_t cap = vtd_config(arch)->cap;
    struct vtd_invalidated_pages pages = {.address = state->iva & VTD_DESCRIPTOR_ADDRESS,
                                          .address_mask = VTD_DESCRIPTOR_AM(state->iva),
                                          .leaf_only = (state->iva & VTD_DESCRIPTOR_IH) != 0};
    vtd_invalidation_init(invalidation, IOM_SOURCE_REGISTER);
    invalidation->drain_reads = (state->iotlb & IOTLB_DR) != 0 && IOM_VTD_CAP_DRD(cap);
    invalidation->drain_writes = (state->iotlb & IOTLB_DW) != 0 && IOM_VTD_CAP_DWD(cap);
    vtd_invalidate_iotlb(arch, invalidation, iotlb_request(state), (uint32_t)iom_bits(state->iotlb, 47, 32),
                         &pages);
}

bool vtd_next_invalidation(const struct iom_arch *arch, void *opaque, struct iom_invalidation *invalidation)
{
    struct vtd_state *state = opaque;
    unsigned asked = state->invalidations_asked;
    unsigned next = asked & (~asked + 1u); // lowest bit
    switch (next) {
    case VTD_INVALIDATE_ROOT:
        vtd_invalidation_init(invalidation, IOM_SOURCE_IMPLIED);
        vtd_invalidate_everything(arch, invalidation);
        break;
    case VTD_INVALIDATE_CCMD:
        build_context(arch, state, invalidation);
        break;
    case VTD_INVALIDATE_IOTLB:
        build_iotlb(arch, state, invalidation);
        break;
    default:
        return false;
    }
    state->invalidations_asked = (uint8_t)(asked & ~next);
    state->invalidations_begun |= (uint8_t)next;
    return true;
}

// Whoever keeps no caches has nothing to ask for: what was asked and never handed out is done as well.
void vtd_invalidations_done(const struct iom_vtd_config *config, struct vtd_state *state)
{
    unsigned done = state->invalidations_begun | state->invalidations_asked;
    if (done & VTD_INVALIDATE_CCMD)
        finish(&state->ccmd, IOM_VTD_CCMD_ICC, CCMD_ACTUAL_SHIFT, context_request(state));
    if (done & VTD_INVALIDATE_IOTLB) {
        enum vtd_granularity actual = iotlb_request(state);
        if (actual == VTD_GRANULARITY_NARROW && !IOM_VTD_CAP_PSI(config->cap))
            actual = VTD_GRANULARITY_DOMAIN;
        finish(&state->iotlb, IOM_VTD_IOTLB_IVT, IOTLB_ACTUAL_SHIFT, actual);
    }
    if (done & VTD_INVALIDATE_ROOT) {
        state->gsts |= state->pending & IOM_VTD_GCMD_SRTP;
        state->pending &= ~IOM_VTD_GCMD_SRTP;
    }
    state->invalidations_begun = state->invalidations_asked = 0;
}
