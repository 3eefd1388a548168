// SPDX-License-Identifier: Apache-2.0
//
// Translations asked for through registers ("Debug support", "Translation-request ..." registers).
//
// Go/Busy stays set until the result is there; writes meanwhile are ignored. The request is an untranslated
// one; its faults are recorded like those of any other.
#include "core/arch/riscv/riscv_state.h"

// tr_req_ctl.
#define CONTROL_GO (UINT64_C(1) << 0)
#define CONTROL_PRIV (UINT64_C(1) << 1)
#define CONTROL_EXE (UINT64_C(1) << 2)
#define CONTROL_NW (UINT64_C(1) << 3)
#define CONTROL_PV (UINT64_C(1) << 32)
#define CONTROL_PID(control) ((uint32_t)iom_bits(control, 31, 12))
#define CONTROL_DID(control) ((uint32_t)iom_bits(control, 63, 40))
#define CONTROL_FIELDS UINT64_C(0xffffff01fffff00f)

// tr_response.
#define RESPONSE_FAULT (UINT64_C(1) << 0)
#define RESPONSE_TYPE_SHIFT 7u
#define RESPONSE_LARGE (UINT64_C(1) << 9) ///< S
#define RESPONSE_PPN_SHIFT 10u

uint64_t riscv_read_debug(const struct riscv_state *state, uint32_t offset)
{
    switch (offset) {
    case IOM_RISCV_TR_REQ_IOVA:
        return state->debug_address;
    case IOM_RISCV_TR_REQ_CTL:
        return state->debug_control;
    default:
        return state->debug_response;
    }
}

// Where the control register is written in halves, the low one, with Go, is the second.
uint32_t riscv_write_debug(const struct iom_arch *arch, struct riscv_state *state, uint32_t offset,
                           uint64_t mask, uint64_t value)
{
    if (!riscv_has(riscv_config(arch), IOM_RISCV_CAP_DBG_BIT) || (state->debug_control & CONTROL_GO))
        return 0;
    if (offset == IOM_RISCV_TR_REQ_IOVA) {
        state->debug_address = iom_align_down((state->debug_address & ~mask) | (value & mask), IOM_PAGE_LOG2);
        return 0;
    }
    if (offset != IOM_RISCV_TR_REQ_CTL)
        return 0;
    state->debug_control = ((state->debug_control & ~mask) | (value & mask)) & CONTROL_FIELDS;
    return state->debug_control & CONTROL_GO ? 1u << IOM_ACTION_TRANSLATE : 0;
}

// Write permission implies read permission in every table format, so that a request for both asks for write.
// It cannot ask for execute as well.
static uint16_t request_flags(uint64_t control)
{
    unsigned flags = IOM_REQ_DEBUG;
    if (!(control & CONTROL_NW))
        flags |= IOM_REQ_WRITE;
    else if (control & CONTROL_EXE)
        flags |= IOM_REQ_EXEC;
    if (control & CONTROL_PRIV)
        flags |= IOM_REQ_PRIV;
    if (control & CONTROL_PV)
        flags |= IOM_REQ_PASID;
    return (uint16_t)flags;
}

void riscv_translate_request(const struct iom_arch *arch, const void *opaque, struct iom_xlate *x)
{
    (void)arch;
    const struct riscv_state *state = opaque;
    x->address = state->debug_address;
    x->bytes = 1;
    x->source = CONTROL_DID(state->debug_control);
    x->pasid = state->debug_control & CONTROL_PV ? CONTROL_PID(state->debug_control) : 0;
    x->flags = request_flags(state->debug_control);
}

// A range larger than a page is told by the PPN itself: the lowest 0 bit, at position n, says 2^(n+1) pages.
// A smaller range than that of the tables may be reported; ranges of Svnapot are, as pages.
static uint64_t encode_range(uint64_t output, unsigned size_log2)
{
    if (size_log2 <= IOM_RISCV_NAPOT_LOG2)
        return output >> IOM_PAGE_LOG2 << RESPONSE_PPN_SHIFT;
    uint64_t ones = iom_low_bits(UINT64_MAX, size_log2 - IOM_PAGE_LOG2 - 1);
    uint64_t ppn = iom_align_down(output, size_log2) >> IOM_PAGE_LOG2 | ones;
    return (ppn << RESPONSE_PPN_SHIFT & RISCV_PPN) | RESPONSE_LARGE;
}

uint32_t riscv_translate_result(const struct iom_arch *arch, void *opaque, const struct iom_xlate *x)
{
    (void)arch;
    struct riscv_state *state = opaque;
    state->debug_control &= ~CONTROL_GO;
    if (x->outcome == IOM_OUTCOME_ADDRESS || x->outcome == IOM_OUTCOME_BYPASS)
        state->debug_response = encode_range(x->leaf.output, x->leaf.size_log2) |
                                (x->leaf.attributes & IOM_RISCV_LEAF_TYPE) << RESPONSE_TYPE_SHIFT;
    else
        state->debug_response = RESPONSE_FAULT;
    return 0;
}
