// SPDX-License-Identifier: Apache-2.0
//
// Walks of the process directory and the checks of a process context. With a second stage, the addresses of
// the directory are guest-physical.
//
// Source: RISC-V IOMMU Architecture Specification 1.0, "Process to locate the Process-context",
// "Process-context configuration checks".
#include "core/arch/riscv/riscv_internal.h"

// PDI[level]: the process_id is split into 8, 9 and 3 bits.
static uint64_t directory_index(uint32_t process_id, unsigned level)
{
    if (level == 0)
        return iom_bits(process_id, 7, 0);
    return level == 1 ? iom_bits(process_id, 16, 8) : iom_bits(process_id, 19, 17);
}

// Steps 2 to 4 and 9: the entry of stage[].level in the table at stage[].table.
static void read_directory(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[RISCV_FIRST];
    uint64_t index = directory_index(walk->x.context.substream, at->level);
    at->entry_at = at->table + index * (at->level == 0 ? IOM_RISCV_PC_WORDS * 8u : 8u);
    if (riscv_has_second(&walk->x.context) && !riscv_config(arch)->quirk.process_directory_untranslated)
        riscv_second_start(arch, walk, at->entry_at, RISCV_FOR_PROCESS);
    else
        riscv_process_table_ready(walk, at->entry_at);
}

void riscv_process_table_ready(struct iom_walk *walk, uint64_t address)
{
    if (walk->stage[RISCV_FIRST].level == 0)
        riscv_walk_read(walk, RISCV_PHASE_PROCESS, address, IOM_RISCV_PC_WORDS * 8u);
    else
        riscv_walk_read(walk, RISCV_PHASE_PROCESS_DIRECTORY, address, 8);
}

void riscv_process_continue(const struct iom_arch *arch, struct iom_walk *walk)
{
    read_directory(arch, walk);
}

void riscv_process_start(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[RISCV_FIRST];
    at->table = walk->x.context.table[0];
    at->level = (uint8_t)(walk->x.context.levels[0] - 1u);
    walk->monitored |= IOM_EVENT_PASID_WALK;
    read_directory(arch, walk);
}

// Steps 4, 5 and 9: did the read go well?
static bool is_read(const struct iom_arch *arch, struct iom_walk *walk)
{
    enum iom_access access = riscv_walk_access(arch, walk);
    if (access == IOM_ACCESS_REFUSED)
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_PDT_LOAD, 0);
    else if (access == IOM_ACCESS_POISONED)
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_PDT_CORRUPTION, 0);
    return access == IOM_ACCESS_OK;
}

static void directory_read(const struct iom_arch *arch, struct iom_walk *walk, bool big)
{
    struct iom_walk_stage *at = &walk->stage[RISCV_FIRST];
    uint64_t entry = riscv_word(walk->data[0], big);
    if (!(entry & IOM_RISCV_VALID)) { // 6.
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_PDT_INVALID, 0);
    } else if (entry & IOM_RISCV_DIRECTORY_RESERVED) { // 7.
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_PDT_MISCONFIGURED, 0);
    } else { // 8.
        at->table = IOM_RISCV_ENTRY_ADDRESS(entry);
        at->level--;
        if (riscv_has_second(&walk->x.context) && riscv_config(arch)->quirk.process_directory_untranslated)
            riscv_second_start(arch, walk, at->table, RISCV_FOR_PROCESS_TABLE);
        else
            read_directory(arch, walk);
    }
}

static void process_read(const struct iom_arch *arch, struct iom_walk *walk, bool big)
{
    uint64_t ta = riscv_word(walk->data[IOM_RISCV_PC_TA], big);
    uint64_t fsc = riscv_word(walk->data[IOM_RISCV_PC_FSC], big);
    bool sxl = (walk->x.context.attributes & IOM_RISCV_TC_SXL) != 0;
    uint16_t modes = riscv_config(arch)->derived.first_modes[sxl];
    walk->refused_word = IOM_RISCV_PC_TA;
    if (!(ta & IOM_RISCV_VALID)) { // 10.
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_PDT_INVALID, 0);
        return;
    }
    if ((ta & IOM_RISCV_PC_RESERVED) != 0 || (fsc & IOM_RISCV_POINTER_RESERVED) != 0 ||
        !(modes >> IOM_RISCV_POINTER_MODE(fsc) & 1)) { // 11.
        walk->refused_word = (ta & IOM_RISCV_PC_RESERVED) != 0 ? IOM_RISCV_PC_TA : IOM_RISCV_PC_FSC;
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_PDT_MISCONFIGURED, 0);
        return;
    }
    struct iom_context *context = riscv_context_fill(arch, walk);
    riscv_first_context(fsc, sxl, IOM_RISCV_TA_PSCID(ta), context);
    context->attributes = (ta & IOM_RISCV_PC_ENS ? RISCV_ENS : 0) | (ta & IOM_RISCV_PC_SUM ? RISCV_SUM : 0);
    context->substream = walk->x.context.substream;
    walk->fill.tag.substream = context->substream;
    riscv_apply_process(arch, &walk->x, context);
    riscv_walk_done(walk);
}

void riscv_process_step(const struct iom_arch *arch, struct iom_walk *walk)
{
    bool big = (walk->x.context.attributes & IOM_RISCV_TC_SBE) != 0;
    if (!is_read(arch, walk))
        return;
    if (walk->phase == RISCV_PHASE_PROCESS_DIRECTORY)
        directory_read(arch, walk, big);
    else
        process_read(arch, walk, big);
}
