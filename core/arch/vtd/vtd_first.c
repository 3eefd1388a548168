// SPDX-License-Identifier: Apache-2.0
//
// First-stage page walk: the processor's 4- and 5-level tables (VT-d Rev. 4.1, 3.6, 9.9), alone or
// nested on a second stage (3.8), which then translates the address of every table and of the page.
//
// Accessed flags are set as the walk passes, the dirty flag together with the page's accessed flag;
// both by compare-and-swap, and in nested translation only where the second stage allows writing.
#include "core/arch/vtd/vtd_internal.h"

static bool is_nested(const struct iom_walk *walk)
{
    return walk->x.context.kind == VTD_KIND_NESTED;
}

// Begins the read of the entry of the current level; `entry_at` is a guest address when nested.
static void fetch_entry(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[VTD_FIRST];
    at->entry_at =
        at->table +
        iom_bits(at->input, IOM_VTD_LEVEL_SHIFT(at->level) + 8u, IOM_VTD_LEVEL_SHIFT(at->level)) * 8;
    if (is_nested(walk))
        vtd_second_start(arch, walk, at->entry_at, VTD_FOR_TABLE);
    else
        vtd_walk_read(walk, VTD_PHASE_FIRST_ENTRY, at->entry_at, 8);
}

void vtd_first_table_ready(struct iom_walk *walk, uint64_t address)
{
    walk->stage[VTD_FIRST].entry_at = address;
    vtd_walk_read(walk, VTD_PHASE_FIRST_ENTRY, address, 8);
}

void vtd_first_start(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[VTD_FIRST];
    at->input = walk->x.address;
    at->top = at->level = walk->x.context.levels[0];
    at->table = walk->x.context.table[0];
    at->attributes = VTD_RIGHTS_FS & ~VTD_RIGHT_FS_DIRTY;
    vtd_walk_probe(arch, walk, VTD_PHASE_FIRST_PROBE, VTD_STAGE_FIRST, at->input, at->top);
}

static bool is_page(const struct iom_walk_stage *at)
{
    return at->level == 1 || (at->entry & IOM_VTD_FS_LARGE) != 0;
}

// The entry's flags are set: go down, or over to what the page's guest address means.
static void accept(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[VTD_FIRST];
    uint64_t address = at->entry & IOM_VTD_PAGE_ADDRESS;
    if (!(at->entry & IOM_VTD_FS_EXTENDED_ACCESSED))
        at->attributes &= ~VTD_RIGHT_FS_EXTENDED;
    if (!is_page(at)) {
        vtd_walk_cache_table(arch, walk, VTD_STAGE_FIRST, at, address);
        at->table = address;
        at->level--;
        fetch_entry(arch, walk);
        return;
    }
    at->size_log2 = (uint8_t)IOM_VTD_LEVEL_SHIFT(at->level);
    if (at->entry & IOM_VTD_FS_DIRTY)
        at->attributes |= VTD_RIGHT_FS_DIRTY;
    if (is_nested(walk))
        vtd_second_start(arch, walk,
                         iom_align_down(address, at->size_log2) | iom_low_bits(at->input, at->size_log2),
                         VTD_FOR_LEAF);
    else
        vtd_walk_finish(arch, walk);
}

// Which of the first stage's permissions is missing? (SGN.2, SGN.3, SGN.6; judged at the page)
static enum iom_vtd_fault missing_permission(const struct iom_walk *walk)
{
    const struct iom_xlate *x = &walk->x;
    uint64_t rights = walk->stage[VTD_FIRST].attributes | VTD_RIGHTS_SS;
    uint8_t needed = vtd_needed_permissions(x);
    if (x->flags & IOM_REQ_TRANSLATE) // only reading is a condition, the rest is answered
        needed &= IOM_PERM_READ | IOM_PERM_PRIV_READ;
    uint8_t missing = needed & (uint8_t)~vtd_permissions(rights, x->context.attributes, true);
    if (missing == 0)
        return IOM_VTD_FAULT_NONE;
    if (!vtd_is_privileged(x) && !(rights & VTD_RIGHT_FS_USER))
        return IOM_VTD_FAULT_SUPERVISOR_PAGE;
    if (missing & (IOM_PERM_EXEC | IOM_PERM_PRIV_EXEC))
        return IOM_VTD_FAULT_NO_EXECUTE;
    return IOM_VTD_FAULT_SM_WRITE;
}

static uint64_t flags_to_set(const struct iom_walk *walk)
{
    const struct iom_walk_stage *at = &walk->stage[VTD_FIRST];
    uint64_t flags = IOM_VTD_FS_ACCESSED;
    if (walk->x.context.attributes & VTD_EAFE)
        flags |= IOM_VTD_FS_EXTENDED_ACCESSED;
    if (is_page(at) && (walk->x.flags & IOM_REQ_WRITE)) {
        uint64_t rights = at->attributes | VTD_RIGHTS_SS;
        uint8_t granted = vtd_permissions(rights, walk->x.context.attributes, true);
        if (granted & vtd_needed_permissions(&walk->x) & (IOM_PERM_WRITE | IOM_PERM_PRIV_WRITE))
            flags |= IOM_VTD_FS_DIRTY;
    }
    return flags & ~at->entry;
}

// Sets the missing flags. Nested: the table's page must be writable in the second stage, and becomes
// dirty there first.
static void update(struct iom_walk *walk, uint64_t missing)
{
    struct iom_walk_stage *at = &walk->stage[VTD_FIRST];
    const struct iom_walk_stage *page = &walk->stage[VTD_SECOND];
    if (walk->x.context.attributes & VTD_NO_SNOOP) {
        vtd_walk_refuse(walk, IOM_VTD_FAULT_FS_NO_SNOOP);
        return;
    }
    if (is_nested(walk)) {
        if (!(page->attributes & VTD_RIGHT_SS_WRITE)) {
            vtd_walk_refuse(walk, IOM_VTD_FAULT_FS_ENTRY_WRITE);
            return;
        }
        if ((walk->x.context.attributes & VTD_SSADE) && !(page->attributes & VTD_RIGHT_SS_DIRTY)) {
            walk->scratch[0] = missing;
            vtd_walk_update(walk, VTD_PHASE_FIRST_UPDATE_SS, page->entry_at, page->entry,
                            page->entry | IOM_VTD_SS_DIRTY);
            return;
        }
    }
    vtd_walk_update(walk, VTD_PHASE_FIRST_UPDATE, at->entry_at, at->entry, at->entry | missing);
}

static void entry_read(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    struct iom_walk_stage *at = &walk->stage[VTD_FIRST];
    if (walk->access_error) {
        vtd_walk_refuse(walk, at->level == at->top ? IOM_VTD_FAULT_FS_ROOT_ACCESS : IOM_VTD_FAULT_FS_ACCESS);
        return;
    }
    uint64_t entry = at->entry = walk->data[0];
    // 1. Present.
    if (!(entry & IOM_VTD_FS_PRESENT)) {
        vtd_walk_refuse(walk, IOM_VTD_FAULT_FS_NOT_PRESENT);
        return;
    }
    // 2. Reserved fields, among them page sizes that are not supported.
    bool page = is_page(at);
    if (entry & (page ? config->derived.first_leaf : config->derived.first_reserved)[at->level]) {
        vtd_walk_refuse(walk, IOM_VTD_FAULT_FS_RESERVED);
        return;
    }
    // 3. Permissions are the conjunction over all levels, judged at the page.
    if (!(entry & IOM_VTD_FS_WRITE))
        at->attributes &= ~VTD_RIGHT_FS_WRITE;
    if (!(entry & IOM_VTD_FS_USER))
        at->attributes &= ~VTD_RIGHT_FS_USER;
    if (entry & IOM_VTD_FS_NO_EXECUTE)
        at->attributes &= ~VTD_RIGHT_FS_EXEC;
    if (page) {
        enum iom_vtd_fault reason = missing_permission(walk);
        if (reason != IOM_VTD_FAULT_NONE) {
            vtd_walk_refuse(walk, reason);
            return;
        }
    }
    // 4. Accessed and dirty flags.
    uint64_t missing = flags_to_set(walk);
    if (missing == 0)
        accept(arch, walk);
    else
        update(walk, missing);
}

void vtd_first_step(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[VTD_FIRST];
    switch ((enum vtd_phase)walk->phase) {
    case VTD_PHASE_FIRST_PROBE:
        vtd_walk_skip(walk, at);
        fetch_entry(arch, walk);
        break;
    case VTD_PHASE_FIRST_ENTRY:
        entry_read(arch, walk);
        break;
    case VTD_PHASE_FIRST_UPDATE_SS:
        if (vtd_walk_updated(walk, IOM_VTD_FAULT_SS_UPDATE))
            vtd_walk_update(walk, VTD_PHASE_FIRST_UPDATE, at->entry_at, at->entry,
                            at->entry | walk->scratch[0]);
        break;
    case VTD_PHASE_FIRST_UPDATE:
        if (vtd_walk_updated(walk, IOM_VTD_FAULT_FS_UPDATE)) {
            at->entry = walk->desired;
            accept(arch, walk);
        }
        break;
    default:
        assert(!"phase of another walk");
        break;
    }
}
