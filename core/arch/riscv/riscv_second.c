// SPDX-License-Identifier: Apache-2.0
//
// Second-stage page walk: Sv32x4, Sv39x4, Sv48x4, Sv57x4. It runs for the request's page, and for every
// first-stage entry and process directory entry the walk reads (implicit accesses).
//
// Source: RISC-V Privileged Architecture, "Two-Stage Address Translation", "Guest-Page Faults"; RISC-V IOMMU
// Architecture Specification 1.0, "Process to translate an IOVA" (step 19), "Translation control" (SXL,
// GADE), "Fault/Event-Queue" (iotval2).
#include "core/arch/riscv/riscv_internal.h"

/// DC.tc.SXL limits guest-physical addresses to 34 bits, whatever the tables could translate.
#define SXL_GUEST_BITS 34u

/// Bits of iotval2 in a guest-page fault.
#define IMPLICIT_ACCESS UINT64_C(1)
#define IMPLICIT_WRITE UINT64_C(2)

void riscv_second_refuse(struct iom_walk *walk, bool write)
{
    const struct iom_walk_stage *at = &walk->stage[RISCV_SECOND];
    uint64_t detail = at->input & ~(IMPLICIT_ACCESS | IMPLICIT_WRITE);
    if (at->state != RISCV_FOR_PAGE)
        detail |= IMPLICIT_ACCESS | (write ? IMPLICIT_WRITE : 0);
    riscv_walk_refuse(walk, riscv_guest_cause(&walk->x), detail);
}

static void fetch_entry(struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[RISCV_SECOND];
    bool narrow = riscv_second_layout(&walk->x.context).narrow;
    unsigned shift = IOM_RISCV_LEVEL_SHIFT(narrow, at->level);
    unsigned bits = IOM_RISCV_INDEX_BITS(narrow) + (at->level == at->top ? IOM_RISCV_GUEST_BITS : 0);
    at->entry_at = at->table + iom_low_bits(at->input >> shift, bits) * (narrow ? 4 : 8);
    riscv_entry_read(walk, RISCV_SECOND, RISCV_PHASE_SECOND_ENTRY);
}

void riscv_second_start(const struct iom_arch *arch, struct iom_walk *walk, uint64_t guest_address,
                        enum riscv_purpose purpose)
{
    const struct iom_context *context = &walk->x.context;
    struct iom_walk_stage *at = &walk->stage[RISCV_SECOND];
    unsigned width =
        IOM_RISCV_WIDTH(riscv_second_layout(context).narrow, context->levels[1]) + IOM_RISCV_GUEST_BITS;
    if (context->attributes & IOM_RISCV_TC_SXL)
        width = SXL_GUEST_BITS;
    walk->monitored |= IOM_EVENT_STAGE2_WALK;
    at->input = guest_address;
    at->state = (uint8_t)purpose;
    at->top = at->level = context->levels[1];
    at->table = context->table[1];
    at->attributes = 0;
    bool ignored = (context->attributes & RISCV_UPPER_IGNORED) && purpose == RISCV_FOR_PAGE &&
                   context->kind != RISCV_KIND_FIRST;
    walk->page_walker = purpose == RISCV_FOR_PROCESS_TABLE;
    if (walk->page_walker)
        at->table = 0;
    if (guest_address >> width != 0 && !ignored)
        riscv_second_refuse(walk, false);
    else
        riscv_walk_probe(arch, walk, RISCV_SECOND, RISCV_PHASE_SECOND_PROBE);
}

// Does the page grant the access? Always as user mode; what only reads tables needs to read.
static bool is_granted(const struct iom_walk *walk, uint64_t entry)
{
    const struct iom_xlate *x = &walk->x;
    struct riscv_access access = {.read = true};
    if (!(entry & IOM_RISCV_PTE_USER))
        return false;
    if ((x->context.attributes & RISCV_EXECUTE_ONLY_REFUSED) && !(entry & IOM_RISCV_PTE_READ))
        return false;
    if ((x->context.attributes & RISCV_CACHED_PERMISSIONS) &&
        walk->stage[RISCV_SECOND].state == RISCV_FOR_PAGE)
        return true;
    if (walk->stage[RISCV_SECOND].state == RISCV_FOR_PAGE) {
        if (x->flags & IOM_REQ_TRANSLATE) // the answer says which permissions there are
            return true;
        access = riscv_access_of(x);
    }
    return (!access.read || (entry & IOM_RISCV_PTE_READ)) &&
           (!access.write || (entry & IOM_RISCV_PTE_WRITE)) && (!access.exec || (entry & IOM_RISCV_PTE_EXEC));
}

static uint64_t rights_of(uint64_t entry)
{
    uint64_t rights = IOM_RISCV_PTE_TYPE(entry);
    if (entry & IOM_RISCV_PTE_READ)
        rights |= RISCV_SECOND_READ;
    if (entry & IOM_RISCV_PTE_WRITE)
        rights |= RISCV_SECOND_WRITE;
    if (entry & IOM_RISCV_PTE_EXEC)
        rights |= RISCV_SECOND_EXEC;
    if (entry & IOM_RISCV_PTE_DIRTY)
        rights |= RISCV_SECOND_DIRTY;
    return rights;
}

// The page's flags are set: its physical address goes to whom it was looked up for.
static void accept(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[RISCV_SECOND];
    uint64_t output;
    riscv_entry_page(riscv_config(arch), at, riscv_second_layout(&walk->x.context).narrow, &output);
    at->attributes = rights_of(at->entry);
    switch ((enum riscv_purpose)at->state) {
    case RISCV_FOR_TABLE:
        riscv_first_table_ready(walk, output);
        break;
    case RISCV_FOR_PROCESS:
        riscv_process_table_ready(walk, output);
        break;
    case RISCV_FOR_PROCESS_TABLE:
        walk->stage[RISCV_FIRST].table = output;
        walk->page_walker = false;
        riscv_process_continue(arch, walk);
        break;
    case RISCV_FOR_PAGE:
        riscv_walk_finish(arch, walk,
                          &(struct riscv_last_stage){.output = output,
                                                     .rights = at->attributes & RISCV_SECOND_ALL,
                                                     .attributes = at->attributes & IOM_RISCV_LEAF_TYPE,
                                                     .size_log2 = at->size_log2});
        break;
    }
}

// Reading a first-stage entry does not make its page dirty; updating it does (riscv_first.c).
static uint64_t flags_to_set(const struct iom_walk *walk)
{
    const struct iom_walk_stage *at = &walk->stage[RISCV_SECOND];
    uint64_t flags = IOM_RISCV_PTE_ACCESSED;
    uint64_t choices = walk->x.context.attributes;
    if ((at->state == RISCV_FOR_PAGE || (choices & RISCV_IMPLICIT_DIRTY)) &&
        riscv_access_of(&walk->x).write &&
        ((at->entry & IOM_RISCV_PTE_WRITE) || (choices & RISCV_CACHED_PERMISSIONS)))
        flags |= IOM_RISCV_PTE_DIRTY;
    return flags & ~at->entry;
}

static void entry_read(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_context *context = &walk->x.context;
    struct riscv_layout layout = riscv_second_layout(context);
    struct iom_walk_stage *at = &walk->stage[RISCV_SECOND];
    if (!riscv_table_access(arch, walk))
        return;
    riscv_entry_take(walk, RISCV_SECOND, layout);
    enum riscv_entry_form form = riscv_entry_form(riscv_config(arch), at->entry, at->level, layout.narrow);
    if (form == RISCV_FORM_TABLE) {
        riscv_walk_descend(arch, walk, RISCV_SECOND, layout.narrow);
        fetch_entry(walk);
        return;
    }
    bool granted = form == RISCV_FORM_PAGE && is_granted(walk, at->entry);
    uint64_t missing = flags_to_set(walk);
    if (!granted || (missing != 0 && !(context->attributes & IOM_RISCV_TC_GADE)))
        riscv_second_refuse(walk, false);
    else if (missing != 0)
        riscv_entry_update(walk, RISCV_SECOND, layout, RISCV_PHASE_SECOND_UPDATE, missing);
    else
        accept(arch, walk);
}

void riscv_second_step(const struct iom_arch *arch, struct iom_walk *walk)
{
    switch ((enum riscv_phase)walk->phase) {
    case RISCV_PHASE_SECOND_PROBE:
        riscv_walk_probed(walk, RISCV_SECOND);
        fetch_entry(walk);
        break;
    case RISCV_PHASE_SECOND_ENTRY:
        entry_read(arch, walk);
        break;
    case RISCV_PHASE_SECOND_UPDATE:
        if (riscv_entry_updated(arch, walk, RISCV_SECOND))
            accept(arch, walk);
        break;
    default:
        assert(!"phase of another walk");
        break;
    }
}
