// SPDX-License-Identifier: Apache-2.0
//
// The register file: reset values, what software may read and write, and the handshakes that involve others
// ("Memory-mapped register interface").
//
// A register is 4 or 8 bytes; 8-byte registers may be accessed in halves, and an 8-byte access to two 4-byte
// registers is two accesses, high half first. What the specification leaves open: SPEC.md.
#include "core/arch/riscv/riscv_state.h"

#define QOSID_FIELDS UINT32_C(0x0fff0fff)           ///< RCID, MCID
#define REGISTER(offset) ((uint32_t)(offset) & ~7u) ///< doubleword that holds a 4-byte register

static unsigned mode_of(const struct riscv_state *state)
{
    return (unsigned)(state->ddtp & RISCV_DDTP_MODE);
}

void riscv_reset(const struct iom_arch *arch, void *opaque)
{
    struct riscv_state *state = opaque;
    state->fctl = riscv_config(arch)->fctl;
}

// ---- reading ---------------------------------------------------------------------------------------------

static uint64_t join(uint32_t low, uint32_t high)
{
    return low | (uint64_t)high << 32;
}

static uint64_t read_64(const struct iom_arch *arch, const struct riscv_state *state, uint32_t offset)
{
    const struct riscv_queue *queue = state->queue;
    switch (offset) {
    case IOM_RISCV_CAPABILITIES:
        return riscv_config(arch)->capabilities;
    case IOM_RISCV_FCTL:
        return state->fctl;
    case IOM_RISCV_DDTP:
        return state->ddtp;
    case IOM_RISCV_CQB:
        return queue[RISCV_COMMANDS].base;
    case IOM_RISCV_CQH:
        return join(queue[RISCV_COMMANDS].head, queue[RISCV_COMMANDS].tail);
    case IOM_RISCV_FQB:
        return queue[RISCV_FAULTS].base;
    case IOM_RISCV_FQH:
        return join(queue[RISCV_FAULTS].head, queue[RISCV_FAULTS].tail);
    case IOM_RISCV_PQB:
        return queue[RISCV_PAGES].base;
    case IOM_RISCV_PQH:
        return join(queue[RISCV_PAGES].head, queue[RISCV_PAGES].tail);
    case IOM_RISCV_CQCSR:
        return join(queue[RISCV_COMMANDS].control, queue[RISCV_FAULTS].control);
    case IOM_RISCV_PQCSR:
        return join(queue[RISCV_PAGES].control, state->ipsr);
    case IOM_RISCV_QOSID:
        return state->qosid;
    case IOM_RISCV_ICVEC:
        return state->icvec;
    default:
        break;
    }
    if (offset >= REGISTER(IOM_RISCV_IOCOUNTOVF) && offset < IOM_RISCV_TR_REQ_IOVA)
        return riscv_read_monitor(state, offset);
    if (offset >= IOM_RISCV_TR_REQ_IOVA && offset <= IOM_RISCV_TR_RESPONSE)
        return riscv_read_debug(state, offset);
    if (offset >= IOM_RISCV_MSI_CFG_TBL)
        return riscv_read_message(state, offset);
    return 0; // reserved or custom
}

uint64_t riscv_read(const struct iom_arch *arch, const void *opaque, uint32_t offset, unsigned bytes)
{
    uint64_t value = read_64(arch, opaque, offset & ~7u);
    if (bytes == 8)
        return value;
    return offset & 4 ? value >> 32 : value & UINT32_MAX;
}

// ---- translation mode ------------------------------------------------------------------------------------

// "Device-directory-table pointer". Busy until every unit works with the new pointer; writes meanwhile are
// ignored. Where a write comes in halves, the low half with the mode is the one that counts. Off also
// promises that what has been translated before is globally visible.
static uint32_t write_ddtp(const struct iom_arch *arch, struct riscv_state *state, uint64_t mask,
                           uint64_t value)
{
    if (state->ddtp & RISCV_DDTP_BUSY)
        return 0;
    unsigned before = mode_of(state);
    uint64_t merged = (state->ddtp & ~mask) | (value & mask);
    unsigned mode = (unsigned)(merged & RISCV_DDTP_MODE);
    if (mode > riscv_config(arch)->max_mode) // WARL: keeps a legal mode
        mode = before;
    state->ddtp = (merged & riscv_ppn_mask(arch)) | mode;
    if (!(mask & RISCV_DDTP_MODE))
        return 0;
    state->ddtp |= RISCV_DDTP_BUSY;
    if (mode != IOM_RISCV_OFF || before == IOM_RISCV_OFF)
        return 1u << IOM_ACTION_UPDATE_VIEW;
    state->drain = true;
    return 1u << IOM_ACTION_UPDATE_VIEW | 1u << IOM_ACTION_INVALIDATE;
}

// "Features-control register". Writes are ignored unless IOMMU and queues are off.
static uint32_t write_fctl(const struct iom_arch *arch, struct riscv_state *state, uint32_t value)
{
    const struct iom_riscv_config *config = riscv_config(arch);
    if (state->ddtp & (RISCV_DDTP_MODE | RISCV_DDTP_BUSY))
        return 0;
    for (unsigned i = 0; i < RISCV_QUEUES; i++) {
        if (state->queue[i].control & (RISCV_QUEUE_ENABLE | RISCV_QUEUE_ON))
            return 0;
    }
    uint32_t writable = 0;
    if (config->be_writable)
        writable |= IOM_RISCV_FCTL_BE;
    if (iom_bits(config->capabilities, IOM_RISCV_CAP_IGS_BIT + 1, IOM_RISCV_CAP_IGS_BIT) == RISCV_IGS_BOTH)
        writable |= IOM_RISCV_FCTL_WSI;
    if (config->gxl_writable)
        writable |= IOM_RISCV_FCTL_GXL;
    uint32_t changed = (state->fctl ^ value) & writable;
    state->fctl ^= changed;
    return changed != 0 ? 1u << IOM_ACTION_UPDATE_VIEW : 0;
}

void riscv_view(const struct iom_arch *arch, const void *opaque, struct iom_view *view)
{
    const struct riscv_state *state = opaque;
    *view = (struct iom_view){
        .enabled = mode_of(state) != IOM_RISCV_OFF,
        .root = (state->ddtp & RISCV_PPN) << 2,
        .monitored = riscv_monitored(arch, state),
    };
    view->extra[IOM_RISCV_VIEW_MODE] = mode_of(state);
    view->extra[IOM_RISCV_VIEW_FCTL] = state->fctl;
}

void riscv_action_done(const struct iom_arch *arch, void *opaque, enum iom_register_action action)
{
    (void)arch;
    struct riscv_state *state = opaque;
    if (action == IOM_ACTION_UPDATE_VIEW)
        state->ddtp &= ~RISCV_DDTP_BUSY;
    else if (action == IOM_ACTION_INVALIDATE)
        state->drain = false;
}

// Nothing is removed from the caches when the mode changes; only the drain is wanted.
bool riscv_next_invalidation(const struct iom_arch *arch, void *opaque, struct iom_invalidation *invalidation)
{
    (void)arch;
    struct riscv_state *state = opaque;
    if (!state->drain)
        return false;
    state->drain = false;
    *invalidation =
        (struct iom_invalidation){.source = IOM_SOURCE_IMPLIED, .drain_reads = true, .drain_writes = true};
    return true;
}

// ---- writing ---------------------------------------------------------------------------------------------

// The index that software moves: cqt, fqh, pqh.
static void write_index(const struct riscv_queue *queue, uint32_t *index, uint32_t value)
{
    *index = value & riscv_queue_mask(queue);
}

static uint32_t write_32(const struct iom_arch *arch, struct riscv_state *state, uint32_t offset,
                         uint32_t value)
{
    struct riscv_queue *queue = state->queue;
    bool pages = riscv_has(riscv_config(arch), IOM_RISCV_CAP_ATS_BIT);
    switch (offset) {
    case IOM_RISCV_FCTL:
        return write_fctl(arch, state, value);
    case IOM_RISCV_CQT:
        write_index(&queue[RISCV_COMMANDS], &queue[RISCV_COMMANDS].tail, value);
        return riscv_commands_added(state);
    case IOM_RISCV_FQH:
        write_index(&queue[RISCV_FAULTS], &queue[RISCV_FAULTS].head, value);
        return 0;
    case IOM_RISCV_PQH:
        if (pages)
            write_index(&queue[RISCV_PAGES], &queue[RISCV_PAGES].head, value);
        return 0;
    case IOM_RISCV_CQCSR:
        return riscv_write_queue_control(state, RISCV_COMMANDS, value);
    case IOM_RISCV_FQCSR:
        return riscv_write_queue_control(state, RISCV_FAULTS, value);
    case IOM_RISCV_PQCSR:
        // Without page requests there is nothing to switch on; the interrupt enable is kept all the same.
        return riscv_write_queue_control(state, RISCV_PAGES,
                                         pages ? value : value & RISCV_QUEUE_INTERRUPT_ENABLE);
    case IOM_RISCV_IPSR:
        state->ipsr &= ~value;
        riscv_settle_interrupts(state);
        return 0;
    case IOM_RISCV_QOSID:
        if (riscv_has(riscv_config(arch), IOM_RISCV_CAP_QOSID_BIT))
            state->qosid = value & QOSID_FIELDS;
        return 0;
    default:
        return 0; // read-only or reserved
    }
}

// 8-byte registers, and those whose halves share a rule. Returns false if there is none at `offset`.
static bool write_64(const struct iom_arch *arch, struct riscv_state *state, uint32_t offset, uint64_t mask,
                     uint64_t value, uint32_t *actions)
{
    switch (offset) {
    case IOM_RISCV_CAPABILITIES:
        return true;
    case IOM_RISCV_DDTP:
        *actions = write_ddtp(arch, state, mask, value);
        return true;
    case IOM_RISCV_CQB:
        riscv_write_queue_base(arch, state, RISCV_COMMANDS, mask, value);
        return true;
    case IOM_RISCV_FQB:
        riscv_write_queue_base(arch, state, RISCV_FAULTS, mask, value);
        return true;
    case IOM_RISCV_PQB:
        if (riscv_has(riscv_config(arch), IOM_RISCV_CAP_ATS_BIT))
            riscv_write_queue_base(arch, state, RISCV_PAGES, mask, value);
        return true;
    case IOM_RISCV_ICVEC:
        riscv_write_vectors(arch, state, mask, value);
        return true;
    default:
        break;
    }
    if (offset >= REGISTER(IOM_RISCV_IOCOUNTOVF) && offset < IOM_RISCV_TR_REQ_IOVA)
        *actions = riscv_write_monitor(arch, state, offset, mask, value);
    else if (offset >= IOM_RISCV_TR_REQ_IOVA && offset <= IOM_RISCV_TR_RESPONSE)
        *actions = riscv_write_debug(arch, state, offset, mask, value);
    else if (offset >= IOM_RISCV_MSI_CFG_TBL)
        riscv_write_message(arch, state, offset, mask, value);
    else
        return false;
    return true;
}

uint32_t riscv_write(const struct iom_arch *arch, void *opaque, uint32_t offset, unsigned bytes,
                     uint64_t value)
{
    struct riscv_state *state = opaque;
    uint32_t actions = 0;
    unsigned shift = (offset & 4) * 8;
    uint64_t mask = bytes == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX << shift;
    uint64_t placed = bytes == 8 ? value : (value & UINT32_MAX) << shift;
    if (write_64(arch, state, offset & ~7u, mask, placed, &actions))
        return actions;
    if (bytes == 8)
        actions = write_32(arch, state, offset + 4, (uint32_t)(value >> 32));
    return actions | write_32(arch, state, offset, (uint32_t)value);
}
