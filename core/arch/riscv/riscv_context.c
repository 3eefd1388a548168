// SPDX-License-Identifier: Apache-2.0
//
// Walks of the device directory and the checks of a device context.
//
// Source: RISC-V IOMMU Architecture Specification 1.0, "Process to locate the Device-context",
// "Device-context configuration checks".
#include <string.h>

#include "core/arch/riscv/riscv_internal.h"

uint64_t riscv_swap64(uint64_t value)
{
    value = (value & UINT64_C(0x00ff00ff00ff00ff)) << 8 | (value >> 8 & UINT64_C(0x00ff00ff00ff00ff));
    value = (value & UINT64_C(0x0000ffff0000ffff)) << 16 | (value >> 16 & UINT64_C(0x0000ffff0000ffff));
    return value << 32 | value >> 32;
}

// ---- directory -------------------------------------------------------------------------------------------

// DDI[level]: the device_id is split into 7, 9 and 8 bits, with extended contexts into 6, 9 and 9.
static uint64_t directory_index(const struct iom_riscv_config *config, uint32_t device_id, unsigned level)
{
    unsigned lowest = config->derived.extended_context ? 6 : 7;
    if (level == 0)
        return iom_low_bits(device_id, lowest);
    return level == 1 ? iom_bits(device_id, lowest + 8, lowest) : iom_bits(device_id, 23, lowest + 9);
}

// Steps 2, 3 and 8: reads the entry of stage[].level in the table at stage[].table.
static void read_directory(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_riscv_config *config = riscv_config(arch);
    const struct iom_walk_stage *at = &walk->stage[RISCV_FIRST];
    uint64_t index = directory_index(config, walk->x.source, at->level);
    unsigned words = config->derived.extended_context ? IOM_RISCV_DC_EXTENDED_WORDS : IOM_RISCV_DC_BASE_WORDS;
    if (at->level == 0)
        riscv_walk_read(
            walk, RISCV_PHASE_DEVICE, at->table + index * words * 8,
            (words - (words == IOM_RISCV_DC_EXTENDED_WORDS && config->choice.skips_reserved_word)) * 8);
    else
        riscv_walk_read(walk, RISCV_PHASE_DIRECTORY, at->table + index * 8, 8);
}

void riscv_device_start(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[RISCV_FIRST];
    at->table = view->root;
    at->level = (uint8_t)(view->extra[IOM_RISCV_VIEW_MODE] - IOM_RISCV_1LVL);
    walk->monitored |= IOM_EVENT_CONTEXT_WALK;
    read_directory(arch, walk);
}

// Steps 3, 4 and 8: did the read go well?
static bool is_read(const struct iom_arch *arch, struct iom_walk *walk)
{
    enum iom_access access = riscv_walk_access(arch, walk);
    if (access == IOM_ACCESS_REFUSED)
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_DDT_LOAD, 0);
    else if (access == IOM_ACCESS_POISONED)
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_DDT_CORRUPTION, 0);
    return access == IOM_ACCESS_OK;
}

static void directory_read(const struct iom_arch *arch, struct iom_walk *walk, bool big)
{
    struct iom_walk_stage *at = &walk->stage[RISCV_FIRST];
    if (!is_read(arch, walk))
        return;
    uint64_t entry = riscv_word(walk->data[0], big);
    if (!(entry & IOM_RISCV_VALID)) { // 5.
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_DDT_INVALID, 0);
    } else if (entry & IOM_RISCV_DIRECTORY_RESERVED) { // 6.
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_DDT_MISCONFIGURED, 0);
    } else { // 7.
        at->table = IOM_RISCV_ENTRY_ADDRESS(entry);
        at->level--;
        read_directory(arch, walk);
    }
}

// ---- device context --------------------------------------------------------------------------------------

// The checks of each doubleword; those that compare two belong to the later one.

// tc: checks 1 to 5, 12, 18 to 21. Byte order and XLEN follow fctl, or are free where that can be changed.
static bool controls_are_valid(const struct iom_riscv_config *config, uint64_t fctl, uint64_t tc)
{
    if ((tc & config->derived.context_reserved[0]) != 0)
        return false;
    if (!(tc & IOM_RISCV_TC_EN_ATS) && (tc & (IOM_RISCV_TC_T2GPA | IOM_RISCV_TC_EN_PRI)))
        return false;
    if (!(tc & IOM_RISCV_TC_EN_PRI) && (tc & IOM_RISCV_TC_PRPR))
        return false;
    if (!(tc & IOM_RISCV_TC_PDTV) && (tc & IOM_RISCV_TC_DPE))
        return false;
    bool big = (fctl & IOM_RISCV_FCTL_BE) != 0;
    bool narrow = (fctl & IOM_RISCV_FCTL_GXL) != 0;
    bool sbe = (tc & IOM_RISCV_TC_SBE) != 0;
    bool sxl = (tc & IOM_RISCV_TC_SXL) != 0;
    bool both_orders = riscv_has(config, IOM_RISCV_CAP_END_BIT) && config->be_writable;
    if (sbe != big && !both_orders)
        return false;
    return narrow ? sxl : !sxl || config->gxl_writable;
}

// iohgatp: checks 6, 11, 13 to 15, 17: supported mode, alignment of the root, T2GPA needs a second stage.
static bool second_is_valid(const struct iom_riscv_config *config, uint64_t fctl, uint64_t tc,
                            uint64_t iohgatp)
{
    unsigned mode = IOM_RISCV_POINTER_MODE(iohgatp);
    if (!(config->derived.second_modes[(fctl & IOM_RISCV_FCTL_GXL) != 0] >> mode & 1))
        return false;
    if (mode == IOM_RISCV_MODE_BARE)
        return !(tc & IOM_RISCV_TC_T2GPA);
    return (IOM_RISCV_POINTER_ADDRESS(iohgatp) & ((IOM_PAGE_BYTES << IOM_RISCV_GUEST_BITS) - 1)) == 0;
}

// fsc: checks 7 to 10: supported mode of the first stage or of the process directory.
static bool first_is_valid(const struct iom_riscv_config *config, uint64_t tc, uint64_t fsc)
{
    uint16_t modes = tc & IOM_RISCV_TC_PDTV ? config->derived.process_modes
                                            : config->derived.first_modes[(tc & IOM_RISCV_TC_SXL) != 0];
    return (fsc & IOM_RISCV_POINTER_RESERVED) == 0 && (modes >> IOM_RISCV_POINTER_MODE(fsc) & 1) != 0;
}

static bool word_is_valid(const struct iom_riscv_config *config, uint64_t fctl, const uint64_t *word,
                          unsigned which)
{
    uint64_t value = word[which], tc = word[IOM_RISCV_DC_TC];
    switch (which) {
    case IOM_RISCV_DC_TC:
        return controls_are_valid(config, fctl, tc);
    case IOM_RISCV_DC_IOHGATP:
        return second_is_valid(config, fctl, tc, value);
    case IOM_RISCV_DC_TA:
        return (value & config->derived.context_reserved[1]) == 0;
    case IOM_RISCV_DC_FSC:
        return first_is_valid(config, tc, value);
    case IOM_RISCV_DC_MSIPTP:
        return (value & IOM_RISCV_POINTER_RESERVED) == 0 &&
               IOM_RISCV_POINTER_MODE(value) <= IOM_RISCV_MSI_FLAT;
    case IOM_RISCV_DC_MSI_MASK:
    case IOM_RISCV_DC_MSI_PATTERN:
        return (value & IOM_RISCV_MSI_PAGE_RESERVED) == 0;
    default:
        return value == 0;
    }
}

// Levels of tables for a MODE of iosatp or iohgatp, 0 for Bare.
static uint8_t levels_of_mode(unsigned mode, bool narrow)
{
    if (mode == IOM_RISCV_MODE_BARE)
        return 0;
    return (uint8_t)(narrow ? 2 : mode - IOM_RISCV_MODE_SV39 + 3);
}

static void decode(const struct iom_riscv_config *config, uint64_t fctl, const uint64_t *word,
                   struct iom_context *context)
{
    uint64_t tc = word[IOM_RISCV_DC_TC];
    uint64_t iohgatp = word[IOM_RISCV_DC_IOHGATP];
    uint64_t fsc = word[IOM_RISCV_DC_FSC];
    bool narrow = (fctl & IOM_RISCV_FCTL_GXL) != 0;
    context->attributes = config->derived.context_flags | (tc & IOM_RISCV_TC_FIELDS) |
                          (fctl & IOM_RISCV_FCTL_BE ? RISCV_BIG : 0) | (narrow ? RISCV_NARROW : 0);
    context->levels[1] = levels_of_mode(IOM_RISCV_POINTER_MODE(iohgatp), narrow);
    if (context->levels[1] != 0) {
        context->table[1] = IOM_RISCV_POINTER_ADDRESS(iohgatp);
        context->domain = IOM_RISCV_IOHGATP_GSCID(iohgatp);
    }
    context->table[0] = IOM_RISCV_POINTER_ADDRESS(fsc);
    if (tc & IOM_RISCV_TC_PDTV) {
        context->kind = RISCV_KIND_PROCESS;
        context->levels[0] = (uint8_t)IOM_RISCV_POINTER_MODE(fsc);
    } else {
        riscv_first_context(fsc, (tc & IOM_RISCV_TC_SXL) != 0, IOM_RISCV_TA_PSCID(word[IOM_RISCV_DC_TA]),
                            context);
    }
    if (config->derived.extended_context) {
        // Bits above the widest guest address are software's to keep 0; they are ignored.
        uint64_t pages = iom_low_bits(UINT64_MAX, config->derived.guest_bits - IOM_PAGE_LOG2);
        context->extra[RISCV_EXTRA_MSIPTP] = word[IOM_RISCV_DC_MSIPTP];
        context->extra[RISCV_EXTRA_MSI_MASK] = word[IOM_RISCV_DC_MSI_MASK] & pages;
        context->extra[RISCV_EXTRA_MSI_PATTERN] = word[IOM_RISCV_DC_MSI_PATTERN] & pages;
    }
}

void riscv_first_context(uint64_t iosatp, bool sxl, uint32_t pscid, struct iom_context *context)
{
    context->levels[0] = levels_of_mode(IOM_RISCV_POINTER_MODE(iosatp), sxl);
    context->kind = context->levels[0] == 0 ? RISCV_KIND_BARE : RISCV_KIND_FIRST;
    context->table[0] = IOM_RISCV_POINTER_ADDRESS(iosatp);
    context->asid = context->levels[0] == 0 ? 0 : pscid;
}

struct iom_context *riscv_context_fill(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_context *context = &walk->fill.payload.context;
    memset(context, 0, sizeof *context);
    context->node = walk->node;
    riscv_tag_init(arch, &walk->fill.tag);
    walk->fill.tag.stream = walk->x.source;
    walk->fill.tag.size_log2 = 64;
    walk->fill.valid = true;
    return context;
}

static void device_read(const struct iom_arch *arch, struct iom_walk *walk, uint64_t fctl)
{
    const struct iom_riscv_config *config = riscv_config(arch);
    uint64_t word[IOM_RISCV_DC_EXTENDED_WORDS] = {0};
    if (!is_read(arch, walk))
        return;
    for (unsigned i = 0; i < walk->bytes / 8u; i++)
        word[i] = riscv_word(walk->data[i], (fctl & IOM_RISCV_FCTL_BE) != 0);
    if (!(word[IOM_RISCV_DC_TC] & IOM_RISCV_VALID)) { // 9.
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_DDT_INVALID, 0);
        return;
    }
    for (unsigned i = 0; i < IOM_RISCV_DC_EXTENDED_WORDS; i++) { // 10.
        if (word_is_valid(config, fctl, word, i))
            continue;
        walk->refused_word = (uint8_t)i;
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_DDT_MISCONFIGURED, 0);
        return;
    }
    struct iom_context *context = riscv_context_fill(arch, walk);
    decode(config, fctl, word, context);
    riscv_apply_device(arch, &walk->x, context);
    riscv_walk_done(walk);
}

void riscv_device_step(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk)
{
    uint64_t fctl = view->extra[IOM_RISCV_VIEW_FCTL];
    if (walk->phase == RISCV_PHASE_DIRECTORY)
        directory_read(arch, walk, (fctl & IOM_RISCV_FCTL_BE) != 0);
    else
        device_read(arch, walk, fctl);
}
