// SPDX-License-Identifier: Apache-2.0
//
// Second-stage page walk: 3 to 5 levels, pages of 4 KiB, 2 MiB and 1 GiB (VT-d Rev. 4.1, 3.7, 9.8).
//
// The walk serves legacy mode, scalable-mode second stage, and nested translation, where it runs
// once for every first-stage table and once for the page itself. Permissions are accumulated over
// all levels and judged at the page.
#include "core/arch/vtd/vtd_internal.h"

static bool is_legacy(const struct iom_walk *walk)
{
    return walk->x.context.kind == VTD_KIND_LEGACY;
}

// An access through the context's own pointer makes the context invalid (LCT.4, SSS.4); one through a
// table entry has its own reason (LSL.1, SSS.1).
static enum iom_vtd_fault access_reason(const struct iom_walk *walk)
{
    const struct iom_walk_stage *at = &walk->stage[VTD_SECOND];
    if (at->level == at->top)
        return is_legacy(walk) ? IOM_VTD_FAULT_CONTEXT_INVALID : IOM_VTD_FAULT_SS_ROOT_ACCESS;
    return is_legacy(walk) ? IOM_VTD_FAULT_PAGING_ACCESS : IOM_VTD_FAULT_SS_ACCESS;
}

static void read_entry(struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[VTD_SECOND];
    at->entry_at =
        at->table +
        iom_bits(at->input, IOM_VTD_LEVEL_SHIFT(at->level) + 8u, IOM_VTD_LEVEL_SHIFT(at->level)) * 8;
    vtd_walk_read(walk, VTD_PHASE_SECOND_ENTRY, at->entry_at, 8);
}

void vtd_second_start(const struct iom_arch *arch, struct iom_walk *walk, uint64_t input,
                      enum vtd_purpose purpose)
{
    struct iom_walk_stage *at = &walk->stage[VTD_SECOND];
    unsigned width = VTD_WIDTH(walk->x.context.attributes);
    at->input = input;
    at->state = (uint8_t)purpose;
    at->top = at->level = walk->x.context.levels[1];
    at->table = walk->x.context.table[1];
    at->attributes = VTD_RIGHTS_SS & ~VTD_RIGHT_SS_DIRTY;
    // The request's own address was checked with the context; guest addresses are checked here: those
    // of tables (SFS.5) and that of the page (SGN.5).
    if (walk->x.context.kind == VTD_KIND_NESTED && input >> 1 >> (width - 1) != 0) {
        vtd_walk_refuse(walk,
                        purpose == VTD_FOR_TABLE ? IOM_VTD_FAULT_FS_BEYOND_MGAW : IOM_VTD_FAULT_BEYOND_AGAW);
        return;
    }
    vtd_walk_probe(arch, walk, VTD_PHASE_SECOND_PROBE, VTD_STAGE_SECOND, input, at->top);
}

// Does the table the first stage wants to read lie in a page that may be read? (SFS.6, SFS.7)
static enum iom_vtd_fault table_reason(const struct iom_walk *walk)
{
    const struct iom_walk_stage *first = &walk->stage[VTD_FIRST];
    return first->level == first->top ? IOM_VTD_FAULT_FS_ROOT_READ : IOM_VTD_FAULT_FS_ENTRY_READ;
}

// Scalable mode has one reason for an entry that is not present and one that lacks the permission (SSS.2).
static enum iom_vtd_fault missing_reason(const struct iom_walk *walk)
{
    if (is_legacy(walk))
        return walk->x.flags & IOM_REQ_WRITE ? IOM_VTD_FAULT_WRITE : IOM_VTD_FAULT_READ;
    if (walk->stage[VTD_SECOND].state == VTD_FOR_TABLE)
        return table_reason(walk);
    return IOM_VTD_FAULT_SS_PERMISSION;
}

// The page is found and its flags are up to date.
static void finish(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[VTD_SECOND];
    if (at->state == VTD_FOR_LEAF) {
        vtd_walk_finish(arch, walk);
        return;
    }
    uint64_t page = at->entry & IOM_VTD_PAGE_ADDRESS;
    vtd_first_table_ready(walk, iom_align_down(page, at->size_log2) | iom_low_bits(at->input, at->size_log2));
}

static void descend(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[VTD_SECOND];
    uint64_t table = at->entry & IOM_VTD_PAGE_ADDRESS;
    vtd_walk_cache_table(arch, walk, VTD_STAGE_SECOND, at, table);
    at->table = table;
    at->level--;
    read_entry(walk);
}

static bool is_page(const struct iom_walk_stage *at)
{
    return at->level == 1 || (at->entry & IOM_VTD_SS_LARGE) != 0;
}

// The flags are set (or not used): what the entry means for the walk.
static void accept(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[VTD_SECOND];
    if (!(at->entry & IOM_VTD_SS_ACCESSED))
        at->attributes &= ~VTD_RIGHT_SS_ACCESSED;
    if (!is_page(at)) {
        descend(arch, walk);
        return;
    }
    at->size_log2 = (uint8_t)IOM_VTD_LEVEL_SHIFT(at->level);
    if (at->entry & IOM_VTD_SS_DIRTY)
        at->attributes |= VTD_RIGHT_SS_DIRTY;
    finish(arch, walk);
}

// Is the page refused whatever its flags are? Sets the outcome.
static bool refuse_page(struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[VTD_SECOND];
    bool write = (walk->x.flags & IOM_REQ_WRITE) != 0;
    bool read_granted = (at->attributes & VTD_RIGHT_SS_READ) != 0;
    bool write_granted = (at->attributes & VTD_RIGHT_SS_WRITE) != 0;
    enum iom_vtd_fault reason = IOM_VTD_FAULT_NONE;

    if (at->state == VTD_FOR_TABLE) {
        if (!read_granted)
            reason = missing_reason(walk);
    } else if (walk->x.flags & IOM_REQ_TRANSLATE) {
        if (!read_granted && !write_granted) // else the completion says which permissions there are
            reason = missing_reason(walk);
    } else if (write ? !write_granted : !read_granted) {
        reason = missing_reason(walk);
    }
    if (reason == IOM_VTD_FAULT_NONE)
        return false;
    vtd_walk_refuse(walk, reason);
    return true;
}

// Accessed and dirty flags (3.7.2), used only where the PASID-table entry enables them.
static uint64_t flags_to_set(const struct iom_walk *walk)
{
    const struct iom_walk_stage *at = &walk->stage[VTD_SECOND];
    uint64_t flags = IOM_VTD_SS_ACCESSED;
    if (!(walk->x.context.attributes & VTD_SSADE))
        return 0;
    if (is_page(at) && at->state == VTD_FOR_LEAF && (walk->x.flags & IOM_REQ_WRITE) &&
        (at->attributes & VTD_RIGHT_SS_WRITE))
        flags |= IOM_VTD_SS_DIRTY;
    return flags & ~at->entry;
}

static void entry_read(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_vtd_config *config = vtd_config(arch);
    struct iom_walk_stage *at = &walk->stage[VTD_SECOND];
    if (walk->access_error) {
        vtd_walk_refuse(walk, access_reason(walk));
        return;
    }
    uint64_t entry = at->entry = walk->data[0];
    // 1. An entry that grants neither reading nor writing is not present.
    if (!(entry & (IOM_VTD_SS_READ | IOM_VTD_SS_WRITE))) {
        vtd_walk_not_present(arch, walk, missing_reason(walk));
        return;
    }
    // 2. Reserved fields, among them large pages that are not supported.
    bool page = is_page(at);
    if (entry & (page ? config->derived.second_leaf : config->derived.second_reserved)[at->level]) {
        vtd_walk_refuse(walk, is_legacy(walk) ? IOM_VTD_FAULT_PAGING_RESERVED : IOM_VTD_FAULT_SS_RESERVED);
        return;
    }
    // 3. Permissions are the conjunction over all levels.
    if (!(entry & IOM_VTD_SS_READ))
        at->attributes &= ~VTD_RIGHT_SS_READ;
    if (!(entry & IOM_VTD_SS_WRITE))
        at->attributes &= ~VTD_RIGHT_SS_WRITE;
    if (page && refuse_page(walk))
        return;
    // 4. Accessed and dirty flags.
    uint64_t missing = flags_to_set(walk);
    if (missing == 0)
        accept(arch, walk);
    else if (walk->x.context.attributes & VTD_NO_SNOOP)
        vtd_walk_refuse(walk, IOM_VTD_FAULT_SS_NO_SNOOP);
    else
        vtd_walk_update(walk, VTD_PHASE_SECOND_UPDATE, at->entry_at, entry, entry | missing);
}

void vtd_second_step(const struct iom_arch *arch, struct iom_walk *walk)
{
    struct iom_walk_stage *at = &walk->stage[VTD_SECOND];
    switch ((enum vtd_phase)walk->phase) {
    case VTD_PHASE_SECOND_PROBE:
        vtd_walk_skip(walk, at);
        read_entry(walk);
        break;
    case VTD_PHASE_SECOND_ENTRY:
        entry_read(arch, walk);
        break;
    case VTD_PHASE_SECOND_UPDATE:
        if (vtd_walk_updated(walk, IOM_VTD_FAULT_SS_UPDATE)) {
            at->entry = walk->desired;
            accept(arch, walk);
        }
        break;
    default:
        assert(!"phase of another walk");
        break;
    }
}
