// SPDX-License-Identifier: Apache-2.0
//
// The walk machine of VT-d: start, dispatch by phase, paging-structure caches (6.2.4), and the end
// of a page walk, where both stages are combined into one IOTLB entry (6.2.3, VT-d Rev. 4.1).
#include <string.h>

#include "core/arch/vtd/vtd_internal.h"

static void structure_tag(const struct iom_arch *arch, const struct iom_walk *walk, unsigned stage,
                          struct iom_tag *tag)
{
    const struct iom_context *context = &walk->x.context;
    vtd_tag_init(arch, tag);
    tag->domain = context->domain;
    if (stage == VTD_STAGE_FIRST) {
        tag->stage = context->kind == VTD_KIND_NESTED ? VTD_STAGE_NESTED : VTD_STAGE_FIRST;
        tag->substream = context->substream;
    } else {
        tag->stage = VTD_STAGE_SECOND;
    }
    if (vtd_config(arch)->tagging == IOM_TAG_BY_SOURCE) {
        tag->stream = walk->x.source;
        tag->substream = context->substream;
    }
}

void vtd_walk_probe(const struct iom_arch *arch, struct iom_walk *walk, enum vtd_phase phase, unsigned stage,
                    uint64_t address, unsigned top)
{
    structure_tag(arch, walk, stage, &walk->probe.key);
    walk->probe.key.address = address;
    walk->probe.stage = (uint8_t)stage;
    walk->probe.lowest = 2;
    walk->probe.highest = (uint8_t)top;
    walk->probe.hit_level = 0;
    walk->action = IOM_WALK_PROBE;
    walk->phase = (uint8_t)phase;
}

void vtd_walk_cache_table(const struct iom_arch *arch, struct iom_walk *walk, unsigned stage,
                          const struct iom_walk_stage *at, uint64_t table)
{
    struct iom_psc_fill *fill = &walk->psc_fill;
    structure_tag(arch, walk, stage, &fill->tag);
    fill->tag.size_log2 = (uint8_t)IOM_VTD_LEVEL_SHIFT(at->level);
    fill->tag.address = iom_align_down(at->input, fill->tag.size_log2);
    fill->tag.level = at->level;
    fill->stage = (uint8_t)stage;
    fill->level = at->level;
    fill->entry.table = table;
    fill->entry.attributes = at->attributes;
    fill->valid = true;
}

void vtd_walk_finish(const struct iom_arch *arch, struct iom_walk *walk)
{
    const struct iom_walk_stage *first = &walk->stage[VTD_FIRST];
    const struct iom_walk_stage *second = &walk->stage[VTD_SECOND];
    struct iom_leaf *leaf = &walk->fill.payload.leaf;
    uint8_t kind = walk->x.context.kind;
    bool has_first = kind == VTD_KIND_FIRST || kind == VTD_KIND_NESTED;
    bool has_second = kind != VTD_KIND_FIRST;
    const struct iom_walk_stage *last = has_second ? second : first;

    memset(leaf, 0, sizeof *leaf);
    leaf->node = walk->node;
    leaf->attributes =
        (has_first ? first->attributes : VTD_RIGHTS_FS) | (has_second ? second->attributes : VTD_RIGHTS_SS);
    // The entry covers the smaller of the two pages; its base lies in the last stage's page.
    leaf->size_log2 = last->size_log2;
    if (has_first && first->size_log2 < leaf->size_log2)
        leaf->size_log2 = first->size_log2;
    uint64_t page = iom_align_down(last->entry & IOM_VTD_PAGE_ADDRESS, last->size_log2);
    leaf->output = iom_align_down(page | iom_low_bits(last->input, last->size_log2), leaf->size_log2);
    leaf->global = has_first && (first->entry & IOM_VTD_FS_GLOBAL) != 0;
    leaf->permissions = vtd_permissions(leaf->attributes, walk->x.context.attributes, false);

    vtd_iotlb_key(arch, &walk->x, &walk->fill.tag);
    walk->fill.tag.address = iom_align_down(walk->x.address, leaf->size_log2);
    walk->fill.tag.size_log2 = leaf->size_log2;
    walk->fill.tag.global = leaf->global;
    vtd_apply_leaf(arch, &walk->x, leaf);
    // A page that is refused (interrupt window, no permission) is not kept.
    walk->fill.valid = walk->x.outcome == IOM_OUTCOME_ADDRESS;
    vtd_walk_done(walk);
}

// 6.1 (caching mode): remembered as one page of the request's address, as narrow as an invalidation of what
// software makes present can be.
void vtd_walk_not_present(const struct iom_arch *arch, struct iom_walk *walk, enum iom_vtd_fault reason)
{
    vtd_walk_refuse(walk, reason);
    if (!IOM_VTD_CAP_CM(vtd_config(arch)->cap))
        return;
    struct iom_leaf *leaf = &walk->fill.payload.leaf;
    memset(leaf, 0, sizeof *leaf);
    leaf->node = walk->node;
    leaf->attributes = (uint64_t)reason << VTD_REASON_SHIFT;
    leaf->size_log2 = IOM_PAGE_LOG2;
    vtd_iotlb_key(arch, &walk->x, &walk->fill.tag);
    walk->fill.tag.address = iom_align_down(walk->x.address, IOM_PAGE_LOG2);
    walk->fill.tag.size_log2 = IOM_PAGE_LOG2;
    walk->fill.valid = true;
}

static void walk_start(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk)
{
    walk->fill.valid = false;
    walk->psc_fill.valid = false;
    if (walk->what != IOM_LOOKUP_IOTLB)
        vtd_context_start(arch, view, walk);
    else if (walk->x.context.kind == VTD_KIND_FIRST || walk->x.context.kind == VTD_KIND_NESTED)
        vtd_first_start(arch, walk);
    else
        vtd_second_start(arch, walk, walk->x.address, VTD_FOR_LEAF);
}

static void walk_step(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk)
{
    walk->psc_fill.valid = false;
    switch ((enum vtd_phase)walk->phase) {
    case VTD_PHASE_ROOT:
    case VTD_PHASE_CONTEXT:
    case VTD_PHASE_SM_CONTEXT:
    case VTD_PHASE_PASID_DIR:
    case VTD_PHASE_PASID_ENTRY:
        vtd_context_step(arch, view, walk);
        break;
    case VTD_PHASE_FIRST_PROBE:
    case VTD_PHASE_FIRST_ENTRY:
    case VTD_PHASE_FIRST_UPDATE:
    case VTD_PHASE_FIRST_UPDATE_SS:
        vtd_first_step(arch, walk);
        break;
    case VTD_PHASE_SECOND_PROBE:
    case VTD_PHASE_SECOND_ENTRY:
    case VTD_PHASE_SECOND_UPDATE:
        vtd_second_step(arch, walk);
        break;
    }
}

const struct iom_arch_ops iom_vtd_ops = {
    .name = "vtd",
    .enter = vtd_enter,
    .key = vtd_key,
    .use = vtd_use,
    .walk_start = walk_start,
    .walk_step = walk_step,
    .state_bytes = sizeof(struct vtd_state),
    .reset = vtd_reset,
    .read = vtd_read,
    .write = vtd_write,
    .view = vtd_view,
    .action_done = vtd_action_done,
    .record = vtd_record,
    .next_invalidation = vtd_next_invalidation,
    .queue = vtd_queue,
    .decode = vtd_decode,
    .queue_event = vtd_queue_event,
};
