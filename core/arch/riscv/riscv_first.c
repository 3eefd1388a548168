// SPDX-License-Identifier: Apache-2.0
//
// First-stage page walk: Sv32, Sv39, Sv48, Sv57, alone or on top of a second stage, which then translates the
// address of every entry.
//
// Accessed and dirty flags are set together, in the page's entry only, where DC.tc.SADE says so. With a
// second stage that is a write to the page of the table: it must be writable there, and becomes dirty first.
//
// Source: RISC-V Privileged Architecture, "Virtual Address Translation Process", "Two-Stage Address
// Translation"; RISC-V IOMMU Architecture Specification 1.0, "Process to translate an IOVA" (step 17), "IOMMU
// updating of PTE accessed (A) and dirty (D) updates", "Process-context fields" (ENS, SUM).
#include "core/arch/riscv/riscv_internal.h"

// Sv32: the upper half must be zero; else bits above the width repeat its highest bit.
static bool is_in_range(uint64_t address, unsigned levels, bool narrow)
{
    unsigned width = IOM_RISCV_WIDTH(narrow, levels);
    if (narrow)
        return address >> width == 0;
    uint64_t top = address >> (width - 1);
    return top == 0 || top == iom_low_bits(UINT64_MAX, 65 - width);
}

// Begins the read of the entry of the current level.
static void fetch_entry(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[RISCV_FIRST];
    bool narrow = riscv_first_layout(&walk->x.context).narrow;
    unsigned shift = IOM_RISCV_LEVEL_SHIFT(narrow, at->level);
    at->entry_at =
        at->table + iom_low_bits(at->input >> shift, IOM_RISCV_INDEX_BITS(narrow)) * (narrow ? 4 : 8);
    if (riscv_has_second(&walk->x.context))
        riscv_second_start(arch, walk, at->entry_at, RISCV_FOR_TABLE);
    else
        riscv_entry_read(walk, RISCV_FIRST, RISCV_PHASE_FIRST_ENTRY);
}

void riscv_first_table_ready(struct iom_walk *walk, uint64_t address)
{
    walk->stage[RISCV_FIRST].entry_at = address;
    riscv_entry_read(walk, RISCV_FIRST, RISCV_PHASE_FIRST_ENTRY);
}

void riscv_first_start(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_context *context = &walk->x.context;
    struct iom_walk_stage *at = &walk->stage[RISCV_FIRST];
    walk->monitored |= IOM_EVENT_STAGE1_WALK;
    at->input = walk->x.address;
    at->top = at->level = context->levels[0];
    at->table = context->table[0];
    at->attributes = 0;
    if ((context->attributes & RISCV_UPPER_IGNORED) ||
        is_in_range(at->input, at->top, riscv_first_layout(context).narrow))
        riscv_walk_probe(arch, walk, RISCV_FIRST, RISCV_PHASE_FIRST_PROBE);
    else
        riscv_walk_refuse(walk, riscv_page_cause(&walk->x), 0);
}

// Step 5 of the Privileged Architecture: does the page grant the access? Translation requests are told which
// permissions there are, except that a page of the other privilege is refused as a whole.
static bool is_granted(const struct iom_xlate *x, uint64_t entry)
{
    struct riscv_access access = riscv_access_of(x);
    bool user = (entry & IOM_RISCV_PTE_USER) != 0;
    if ((x->context.attributes & RISCV_EXECUTE_ONLY_REFUSED) && !(entry & IOM_RISCV_PTE_READ))
        return false;
    if (x->context.attributes & RISCV_CACHED_PERMISSIONS) // decided by whoever uses the entry
        return true;
    if (!(x->flags & IOM_REQ_TRANSLATE) &&
        ((access.read && !(entry & IOM_RISCV_PTE_READ)) || (access.write && !(entry & IOM_RISCV_PTE_WRITE)) ||
         (access.exec && !(entry & IOM_RISCV_PTE_EXEC))))
        return false;
    if (!access.privileged)
        return user;
    return !user || (!access.exec && (x->context.attributes & RISCV_SUM) != 0);
}

static uint64_t rights_of(uint64_t entry)
{
    uint64_t rights = IOM_RISCV_PTE_TYPE(entry);
    if (entry & IOM_RISCV_PTE_READ)
        rights |= RISCV_FIRST_READ;
    if (entry & IOM_RISCV_PTE_WRITE)
        rights |= RISCV_FIRST_WRITE;
    if (entry & IOM_RISCV_PTE_EXEC)
        rights |= RISCV_FIRST_EXEC;
    if (entry & IOM_RISCV_PTE_DIRTY)
        rights |= RISCV_FIRST_DIRTY;
    if (entry & IOM_RISCV_PTE_GLOBAL)
        rights |= RISCV_FIRST_GLOBAL;
    return rights | (entry & IOM_RISCV_PTE_USER ? RISCV_FIRST_USER : RISCV_FIRST_SUPERVISOR);
}

// The page's flags are set: over to what its (guest-)physical address means.
static void accept(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[RISCV_FIRST];
    uint64_t output;
    riscv_entry_page(riscv_config(arch), at, riscv_first_layout(&walk->x.context).narrow, &output);
    at->attributes |= rights_of(at->entry);
    riscv_walk_guest_ready(arch, walk, output);
}

// Step 7 of the Privileged Architecture.
static uint64_t flags_to_set(const struct iom_walk *walk)
{
    uint64_t entry = walk->stage[RISCV_FIRST].entry;
    uint64_t flags = IOM_RISCV_PTE_ACCESSED;
    if (riscv_access_of(&walk->x).write &&
        ((entry & IOM_RISCV_PTE_WRITE) || (walk->x.context.attributes & RISCV_CACHED_PERMISSIONS)))
        flags |= IOM_RISCV_PTE_DIRTY;
    return flags & ~entry;
}

static void set_flags(struct iom_walk *walk, uint64_t missing)
{
    riscv_entry_update(walk, RISCV_FIRST, riscv_first_layout(&walk->x.context), RISCV_PHASE_FIRST_UPDATE,
                       missing);
}

// Sets flags, with a second stage after the dirty flag of the table's page there.
static void update(struct iom_walk *walk, uint64_t missing)
{
    const struct iom_context *context = &walk->x.context;
    const uint64_t ready = RISCV_SECOND_WRITE | RISCV_SECOND_DIRTY;
    uint64_t page = riscv_has_second(context) ? walk->stage[RISCV_SECOND].attributes : ready;
    if (!(context->attributes & IOM_RISCV_TC_SADE)) {
        riscv_walk_refuse(walk, riscv_page_cause(&walk->x), 0);
    } else if ((page & ready) == ready) {
        set_flags(walk, missing);
    } else if ((page & RISCV_SECOND_WRITE) && (context->attributes & IOM_RISCV_TC_GADE)) {
        walk->scratch[RISCV_MISSING] = missing;
        riscv_entry_update(walk, RISCV_SECOND, riscv_second_layout(context), RISCV_PHASE_FIRST_UPDATE_SECOND,
                           IOM_RISCV_PTE_DIRTY);
    } else {
        riscv_second_refuse(walk, true);
    }
}

static void entry_read(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct riscv_layout layout = riscv_first_layout(&walk->x.context);
    struct iom_walk_stage *at = &walk->stage[RISCV_FIRST];
    if (!riscv_table_access(arch, walk))
        return;
    riscv_entry_take(walk, RISCV_FIRST, layout);
    enum riscv_entry_form form = riscv_entry_form(riscv_config(arch), at->entry, at->level, layout.narrow);
    if (form == RISCV_FORM_TABLE) {
        // G in an entry that points to a table holds for all below it.
        if (at->entry & IOM_RISCV_PTE_GLOBAL)
            at->attributes |= RISCV_FIRST_GLOBAL;
        riscv_walk_descend(arch, walk, RISCV_FIRST, layout.narrow);
        fetch_entry(arch, walk);
    } else if (form == RISCV_FORM_INVALID || !is_granted(&walk->x, at->entry)) {
        riscv_walk_refuse(walk, riscv_page_cause(&walk->x), 0);
    } else if (flags_to_set(walk) != 0) {
        update(walk, flags_to_set(walk));
    } else {
        accept(arch, walk);
    }
}

void riscv_first_step(const struct iom_arch *arch, struct iom_walk *walk)
{
    switch ((enum riscv_phase)walk->phase) {
    case RISCV_PHASE_FIRST_PROBE:
        riscv_walk_probed(walk, RISCV_FIRST);
        fetch_entry(arch, walk);
        break;
    case RISCV_PHASE_FIRST_ENTRY:
        entry_read(arch, walk);
        break;
    case RISCV_PHASE_FIRST_UPDATE_SECOND:
        if (riscv_entry_updated(arch, walk, RISCV_SECOND))
            set_flags(walk, walk->scratch[RISCV_MISSING]);
        break;
    case RISCV_PHASE_FIRST_UPDATE:
        if (riscv_entry_updated(arch, walk, RISCV_FIRST))
            accept(arch, walk);
        break;
    default:
        assert(!"phase of another walk");
        break;
    }
}
