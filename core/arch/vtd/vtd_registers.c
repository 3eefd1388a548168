// SPDX-License-Identifier: Apache-2.0
//
// The register file: reset values, what software may write, and the command/status handshakes
// (VT-d Rev. 4.1, 11.4).
//
// A register is 4 or 8 bytes; 8-byte registers may be accessed in halves. What a write sets in motion
// is returned as a mask of actions; status bits follow when the unit reports an action as done.
#include "core/arch/vtd/vtd_internal.h"

#define VERSION UINT32_C(0x40) ///< architecture version 4.0

// GCMD bits that are levels (their status bit follows) and those that are one-time commands.
#define GCMD_LEVELS (IOM_VTD_GCMD_TE | IOM_VTD_GCMD_QIE | IOM_VTD_GCMD_IRE | IOM_VTD_GCMD_CFI)
#define QUEUE_OFFSET_MASK UINT64_C(0x7fff0)
#define IQA_WRITABLE (IOM_VTD_POINTER | IOM_VTD_IQA_DW | IOM_VTD_IQA_QS_MASK)
#define PQA_WRITABLE (IOM_VTD_POINTER | IOM_VTD_IQA_QS_MASK)
#define IRTA_WRITABLE (IOM_VTD_POINTER | UINT64_C(0x80f))
#define RTADDR_WRITABLE (IOM_VTD_POINTER | UINT64_C(0xc00))

void vtd_reset(const struct iom_arch *arch, void *opaque)
{
    (void)arch;
    struct vtd_state *state = opaque;
    state->fectl = state->iectl = state->pectl = IOM_VTD_EVENT_IM;
}

// ---- reading -------------------------------------------------------------------------------------

static uint64_t read_64(const struct iom_vtd_config *config, const struct vtd_state *state, uint32_t offset)
{
    switch (offset) {
    case IOM_VTD_VER:
        return VERSION;
    case IOM_VTD_CAP:
        return config->cap;
    case IOM_VTD_ECAP:
        return config->ecap;
    case IOM_VTD_GCMD:
        return (uint64_t)state->gsts << 32; // GCMD itself reads as 0
    case IOM_VTD_RTADDR:
        return state->rtaddr;
    case IOM_VTD_CCMD:
        return state->ccmd;
    case IOM_VTD_FSTS & ~7u:
        return (uint64_t)vtd_fault_status(state) << 32;
    case IOM_VTD_FECTL:
        return state->fectl | (uint64_t)state->fedata << 32;
    case IOM_VTD_FEADDR:
        return state->feaddr | (uint64_t)state->feuaddr << 32;
    case IOM_VTD_IQH:
        return state->iqh;
    case IOM_VTD_IQT:
        return state->iqt;
    case IOM_VTD_IQA:
        return state->iqa;
    case IOM_VTD_ICS & ~7u:
        return (uint64_t)state->ics << 32;
    case IOM_VTD_IECTL:
        return state->iectl | (uint64_t)state->iedata << 32;
    case IOM_VTD_IEADDR:
        return state->ieaddr | (uint64_t)state->ieuaddr << 32;
    case IOM_VTD_IQERCD:
        return state->iqer;
    case IOM_VTD_IRTA:
        return state->irta;
    case IOM_VTD_PQH:
        return state->pqh;
    case IOM_VTD_PQT:
        return state->pqt;
    case IOM_VTD_PQA:
        return state->pqa;
    case IOM_VTD_PRS & ~7u:
        return (uint64_t)state->prs << 32;
    case IOM_VTD_PECTL:
        return state->pectl | (uint64_t)state->pedata << 32;
    case IOM_VTD_PEADDR:
        return state->peaddr | (uint64_t)state->peuaddr << 32;
    default:
        return 0;
    }
}

// Is `offset` in the fault recording registers? Then *record and *word say where.
static bool find_record(const struct iom_vtd_config *config, uint32_t offset, unsigned *record,
                        unsigned *word)
{
    uint32_t first = config->derived.fault_offset;
    if (offset < first || offset - first >= config->derived.fault_records * 16u)
        return false;
    *record = (offset - first) / 16;
    *word = (offset - first) / 8 % 2;
    return true;
}

uint64_t vtd_read(const struct iom_arch *arch, const void *opaque, uint32_t offset, unsigned bytes)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    const struct vtd_state *state = opaque;
    uint32_t base = offset & ~7u;
    unsigned record, word;
    uint64_t value;
    if (find_record(config, base, &record, &word))
        value = state->record[record][word];
    else if (base == config->derived.iotlb_offset + 8)
        value = state->iotlb;
    else
        value = read_64(config, state, base); // the invalidate address register is write-only
    if (bytes == 8)
        return value;
    return offset & 4 ? value >> 32 : value & UINT32_MAX;
}

// ---- commands ------------------------------------------------------------------------------------

static uint32_t write_command(const struct iom_vtd_config *config, struct vtd_state *state, uint32_t value)
{
    uint32_t actions = 0;
    uint32_t target = state->gsts ^ (state->pending & IOM_VTD_GCMD_TE);
    uint32_t changed = (value ^ target) & GCMD_LEVELS;

    // 11.4.4.1: translation is switched, and the root pointer latched, for all requests at once; the
    // status bit says when that has happened.
    if (value & IOM_VTD_GCMD_SRTP) {
        state->root = state->rtaddr;
        state->gsts &= ~IOM_VTD_GCMD_SRTP;
        state->pending |= IOM_VTD_GCMD_SRTP;
    }
    if (changed & IOM_VTD_GCMD_TE)
        state->pending ^= IOM_VTD_GCMD_TE;
    if ((value & IOM_VTD_GCMD_SRTP) || (changed & IOM_VTD_GCMD_TE))
        actions |= 1u << IOM_ACTION_UPDATE_VIEW;
    if ((value & IOM_VTD_GCMD_SRTP) && IOM_VTD_CAP_ESRTPS(config->cap))
        actions |= vtd_flush_for_root(state);

    if ((changed & IOM_VTD_GCMD_QIE) && IOM_VTD_ECAP_QI(config->ecap)) {
        state->gsts ^= IOM_VTD_GCMD_QIE;
        actions |= vtd_queue_switched(config, state);
    }
    if (IOM_VTD_ECAP_IR(config->ecap)) {
        state->gsts ^= changed & (IOM_VTD_GCMD_IRE | IOM_VTD_GCMD_CFI);
        // With CAP.ESIRTPS this flushes the interrupt entry cache, which is not modelled.
        if (value & IOM_VTD_GCMD_SIRTP) {
            state->irta_latched = state->irta;
            state->gsts |= IOM_VTD_GCMD_SIRTP;
        }
    }
    // WBF: there is no internal write buffer to flush, the command completes at once.
    return actions;
}

void vtd_action_done(const struct iom_arch *arch, void *opaque, enum iom_register_action action)
{
    struct vtd_state *state = opaque;
    if (action == IOM_ACTION_INVALIDATE) {
        vtd_invalidations_done(vtd_config(arch), state);
    } else if (action == IOM_ACTION_UPDATE_VIEW) {
        state->gsts ^= state->pending & IOM_VTD_GCMD_TE;
        state->pending &= ~IOM_VTD_GCMD_TE;
        // A root pointer that flushes is set when the flush is over.
        if ((state->invalidations_asked | state->invalidations_begun) & VTD_INVALIDATE_ROOT)
            return;
        state->gsts |= state->pending & IOM_VTD_GCMD_SRTP;
        state->pending = 0;
    }
}

void vtd_view(const struct iom_arch *arch, const void *opaque, struct iom_view *view)
{
    (void)arch;
    const struct vtd_state *state = opaque;
    *view = (struct iom_view){0};
    view->enabled = ((state->gsts ^ state->pending) & IOM_VTD_GCMD_TE) != 0;
    view->root = state->root;
}

// ---- writing -------------------------------------------------------------------------------------

static void write_event_control(uint32_t *control, uint32_t value)
{
    *control = (*control & IOM_VTD_EVENT_IP) | (value & IOM_VTD_EVENT_IM);
    if (!(*control & IOM_VTD_EVENT_IM)) // unmasked: the pending message leaves
        *control &= ~IOM_VTD_EVENT_IP;
}

// 4-byte registers. Returns actions.
static uint32_t write_32(const struct iom_vtd_config *config, struct vtd_state *state, uint32_t offset,
                         uint32_t value)
{
    switch (offset) {
    case IOM_VTD_GCMD:
        return write_command(config, state, value);
    case IOM_VTD_FSTS:
        return vtd_queue_resumed(config, state, vtd_fault_status_clear(state, value));
    case IOM_VTD_FECTL:
        write_event_control(&state->fectl, value);
        break;
    case IOM_VTD_FEDATA:
        state->fedata = value;
        break;
    case IOM_VTD_FEADDR:
        state->feaddr = value & ~3u;
        break;
    case IOM_VTD_FEUADDR:
        state->feuaddr = value;
        break;
    case IOM_VTD_ICS:
        vtd_completion_clear(state, value);
        break;
    case IOM_VTD_IECTL:
        write_event_control(&state->iectl, value);
        break;
    case IOM_VTD_IEDATA:
        state->iedata = value;
        break;
    case IOM_VTD_IEADDR:
        state->ieaddr = value & ~3u;
        break;
    case IOM_VTD_IEUADDR:
        state->ieuaddr = value;
        break;
    case IOM_VTD_PRS:
        state->prs &= ~(value & 3u);
        break;
    case IOM_VTD_PECTL:
        write_event_control(&state->pectl, value);
        break;
    case IOM_VTD_PEDATA:
        state->pedata = value;
        break;
    case IOM_VTD_PEADDR:
        state->peaddr = value & ~3u;
        break;
    case IOM_VTD_PEUADDR:
        state->peuaddr = value;
        break;
    default:
        break; // read-only or reserved
    }
    return 0;
}

// 8-byte registers; `mask` selects the bytes written. Returns false if there is none at `offset`.
static bool write_64(const struct iom_vtd_config *config, struct vtd_state *state, uint32_t offset,
                     uint64_t mask, uint64_t value, uint32_t *actions)
{
    unsigned record, word;
    if (find_record(config, offset, &record, &word)) {
        if (word == 1)
            vtd_fault_clear(state, record, value & mask);
        return true;
    }
    if (offset == config->derived.iotlb_offset) {
        state->iva = (state->iva & ~mask) | (value & mask);
        return true;
    }
    if (offset == config->derived.iotlb_offset + 8) {
        *actions = vtd_write_iotlb(config, state, (state->iotlb & ~mask) | (value & mask),
                                   (mask & IOM_VTD_IOTLB_IVT) != 0);
        return true;
    }
    switch (offset) {
    case IOM_VTD_RTADDR:
        state->rtaddr = ((state->rtaddr & ~mask) | (value & mask)) & RTADDR_WRITABLE;
        break;
    case IOM_VTD_CCMD:
        *actions =
            vtd_write_ccmd(state, (state->ccmd & ~mask) | (value & mask), (mask & IOM_VTD_CCMD_ICC) != 0);
        break;
    case IOM_VTD_IQT:
        state->iqt = ((state->iqt & ~mask) | (value & mask)) & QUEUE_OFFSET_MASK;
        *actions = vtd_queue_changed(config, state);
        break;
    case IOM_VTD_IQA:
        state->iqa = ((state->iqa & ~mask) | (value & mask)) & IQA_WRITABLE;
        break;
    case IOM_VTD_IRTA:
        state->irta = ((state->irta & ~mask) | (value & mask)) & IRTA_WRITABLE;
        break;
    case IOM_VTD_PQH:
        state->pqh = ((state->pqh & ~mask) | (value & mask)) & QUEUE_OFFSET_MASK;
        break;
    case IOM_VTD_PQT:
        state->pqt = ((state->pqt & ~mask) | (value & mask)) & QUEUE_OFFSET_MASK;
        break;
    case IOM_VTD_PQA:
        state->pqa = ((state->pqa & ~mask) | (value & mask)) & PQA_WRITABLE;
        break;
    default:
        return false;
    }
    return true;
}

uint32_t vtd_write(const struct iom_arch *arch, void *opaque, uint32_t offset, unsigned bytes, uint64_t value)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    struct vtd_state *state = opaque;
    uint32_t actions = 0;
    uint64_t mask = bytes == 8 ? UINT64_MAX : UINT64_C(0xffffffff) << (offset & 4) * 8;
    uint64_t placed = bytes == 8 ? value : (value & UINT32_MAX) << (offset & 4) * 8;
    if (write_64(config, state, offset & ~7u, mask, placed, &actions))
        return actions;
    actions = write_32(config, state, offset, (uint32_t)value);
    if (bytes == 8)
        actions |= write_32(config, state, offset + 4, (uint32_t)(value >> 32));
    return actions;
}
