// SPDX-License-Identifier: Apache-2.0
//
// Page-table entries of both stages: reading, form, page, update by compare-and-swap; and the
// paging-structure caches that shorten the way to them.
//
// Source: RISC-V Privileged Architecture, "Virtual Address Translation Process" (steps 2, 3, 4, 6, 7),
// "Svnapot", "Svpbmt", "Svrsw60t59b".
#include "core/arch/riscv/riscv_internal.h"

// ---- entries ---------------------------------------------------------------------------------------------

static uint32_t swap32(uint32_t value)
{
    return (uint32_t)(riscv_swap64(value) >> 32);
}

// Where a 32-bit entry lies in the doubleword around it.
static unsigned half_shift(const struct iom_walk_stage *at)
{
    return at->entry_at & 4 ? 32 : 0;
}

void riscv_entry_read(struct iom_walk *walk, unsigned index, enum riscv_phase phase)
{
    riscv_walk_read(walk, phase, walk->stage[index].entry_at & ~UINT64_C(7), 8);
}

void riscv_entry_take(struct iom_walk *walk, unsigned index, struct riscv_layout layout)
{
    struct iom_walk_stage *at = &walk->stage[index];
    uint64_t raw = walk->scratch[RISCV_RAW + index] = walk->data[0];
    if (!layout.narrow) {
        at->entry = riscv_word(raw, layout.big);
        return;
    }
    uint32_t half = (uint32_t)(raw >> half_shift(at));
    at->entry = layout.big ? swap32(half) : half;
}

void riscv_entry_update(struct iom_walk *walk, unsigned index, struct riscv_layout layout,
                        enum riscv_phase phase, uint64_t flags)
{
    struct iom_walk_stage *at = &walk->stage[index];
    uint64_t raw = walk->scratch[RISCV_RAW + index];
    uint64_t mask = riscv_word(flags, layout.big);
    if (layout.narrow)
        mask = (uint64_t)(layout.big ? swap32((uint32_t)flags) : (uint32_t)flags) << half_shift(at);
    at->entry |= flags;
    walk->action = IOM_WALK_CAS;
    walk->phase = (uint8_t)phase;
    walk->address = at->entry_at & ~UINT64_C(7);
    walk->bytes = 8;
    walk->expected = raw;
    walk->desired = raw | mask;
}

bool riscv_table_access(const struct iom_arch *arch, struct iom_walk *walk)
{
    enum iom_access access = riscv_walk_access(arch, walk);
    if (access == IOM_ACCESS_OK)
        return true;
    bool refused = access == IOM_ACCESS_REFUSED;
    enum iom_riscv_fault cause = refused ? riscv_access_cause(&walk->x) : IOM_RISCV_FAULT_PT_CORRUPTION;
    // The second stage below the process directory: the directory entry cannot be loaded.
    if (walk->what == IOM_LOOKUP_PASID && refused)
        cause = IOM_RISCV_FAULT_PDT_LOAD;
    riscv_walk_refuse(walk, cause, 0);
    return false;
}

bool riscv_entry_updated(const struct iom_arch *arch, struct iom_walk *walk, unsigned index)
{
    if (!riscv_table_access(arch, walk))
        return false;
    if (walk->data[0] != walk->expected) { // lost a race: the whole request is walked again
        walk->x.next = IOM_LOOKUP_DONE;
        walk->x.outcome = IOM_OUTCOME_RETRY;
        riscv_walk_done(walk);
        return false;
    }
    walk->scratch[RISCV_RAW + index] = walk->desired;
    return true;
}

enum riscv_entry_form riscv_entry_form(const struct iom_riscv_config *config, uint64_t entry, unsigned level,
                                       bool narrow)
{
    bool read = (entry & IOM_RISCV_PTE_READ) != 0;
    bool write = (entry & IOM_RISCV_PTE_WRITE) != 0;
    if (!(entry & IOM_RISCV_VALID) || (write && !read))
        return RISCV_FORM_INVALID;
    if (!read && !(entry & IOM_RISCV_PTE_EXEC))
        return level == 1 || (entry & config->derived.table_reserved) != 0 ? RISCV_FORM_INVALID
                                                                           : RISCV_FORM_TABLE;
    if ((entry & config->derived.leaf_reserved) != 0 || IOM_RISCV_PTE_TYPE(entry) > IOM_RISCV_IO)
        return RISCV_FORM_INVALID;
    if (entry & IOM_RISCV_PTE_NAPOT) {
        bool known =
            level == 1 && (iom_bits(entry, 53, 10) & IOM_RISCV_NAPOT_PPN_MASK) == IOM_RISCV_NAPOT_PPN;
        return known ? RISCV_FORM_PAGE : RISCV_FORM_INVALID;
    }
    // A superpage must be aligned.
    return iom_low_bits(IOM_RISCV_ENTRY_ADDRESS(entry), IOM_RISCV_LEVEL_SHIFT(narrow, level)) == 0
               ? RISCV_FORM_PAGE
               : RISCV_FORM_INVALID;
}

void riscv_entry_page(const struct iom_riscv_config *config, struct iom_walk_stage *at, bool narrow,
                      uint64_t *output)
{
    unsigned region_log2 =
        at->entry & IOM_RISCV_PTE_NAPOT ? IOM_RISCV_NAPOT_LOG2 : IOM_RISCV_LEVEL_SHIFT(narrow, at->level);
    *output = iom_align_down(IOM_RISCV_ENTRY_ADDRESS(at->entry), region_log2) |
              iom_low_bits(at->input, region_log2);
    at->size_log2 = (uint8_t)region_log2;
    if ((at->entry & IOM_RISCV_PTE_NAPOT) && !config->napot_ranges)
        at->size_log2 = IOM_PAGE_LOG2;
}

// ---- paging-structure caches -----------------------------------------------------------------------------

static void structure_tag(const struct iom_arch *arch, const struct iom_walk *walk, unsigned index,
                          struct iom_tag *tag)
{
    bool second = riscv_has_second(&walk->x.context);
    unsigned stage = index == RISCV_SECOND ? RISCV_STAGE_SECOND
                     : second              ? RISCV_STAGE_NESTED
                                           : RISCV_STAGE_FIRST;
    riscv_space_tag(arch, &walk->x, stage, tag);
}

void riscv_walk_probe(const struct iom_arch *arch, struct iom_walk *walk, unsigned index,
                      enum riscv_phase phase)
{
    const struct iom_walk_stage *at = &walk->stage[index];
    structure_tag(arch, walk, index, &walk->probe.key);
    walk->probe.key.address = at->input;
    walk->probe.stage = (uint8_t)(index + 1);
    walk->probe.lowest = 2;
    walk->probe.highest = at->top;
    walk->probe.hit_level = 0;
    walk->action = IOM_WALK_PROBE;
    walk->phase = (uint8_t)phase;
}

void riscv_walk_probed(struct iom_walk *walk, unsigned index)
{
    struct iom_walk_stage *at = &walk->stage[index];
    if (walk->probe.hit_level == 0)
        return;
    at->level = (uint8_t)(walk->probe.hit_level - 1);
    at->table = walk->probe.entry.table;
    at->attributes = walk->probe.entry.attributes;
}

void riscv_walk_descend(const struct iom_arch *arch, struct iom_walk *walk, unsigned index, bool narrow)
{
    struct iom_walk_stage *at = &walk->stage[index];
    struct iom_psc_fill *fill = &walk->psc_fill;
    at->table = IOM_RISCV_ENTRY_ADDRESS(at->entry);
    structure_tag(arch, walk, index, &fill->tag);
    fill->tag.size_log2 = (uint8_t)IOM_RISCV_LEVEL_SHIFT(narrow, at->level);
    fill->tag.address = iom_align_down(at->input, fill->tag.size_log2);
    fill->tag.level = at->level;
    fill->stage = (uint8_t)(index + 1);
    fill->level = at->level;
    fill->entry.table = at->table;
    fill->entry.attributes = at->attributes;
    fill->valid = true;
    at->level--;
}
