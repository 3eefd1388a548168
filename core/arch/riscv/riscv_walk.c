// SPDX-License-Identifier: Apache-2.0
//
// The walk machine of the RISC-V IOMMU: start, dispatch by phase, and the end of a page walk, where first
// stage, second stage and MSI page table are combined into one translation.
//
// Source: RISC-V IOMMU Architecture Specification 1.0, "Process to translate an IOVA" (steps 17 to 20), "PCIe
// ATS translation request handling", "Debug support".
#include <string.h>

#include "core/arch/riscv/riscv_internal.h"

void riscv_walk_guest_ready(const struct iom_arch *arch, struct iom_walk *walk, uint64_t guest_address)
{
    const struct iom_context *context = &walk->x.context;
    walk->scratch[RISCV_GUEST] = guest_address;
    // Step 18.
    if (riscv_msi_matches(riscv_config(arch), context, guest_address)) {
        riscv_msi_start(walk);
        return;
    }
    // Step 19.
    if (riscv_has_second(context)) {
        riscv_second_start(arch, walk, guest_address, RISCV_FOR_PAGE);
        return;
    }
    bool narrow = (context->attributes & RISCV_NARROW) != 0;
    riscv_walk_finish(
        arch, walk,
        &(struct riscv_last_stage){.output = guest_address,
                                   .rights = RISCV_SECOND_ALL,
                                   .size_log2 = riscv_config(arch)->derived.bare_second_log2[narrow]});
}

// Range of the first stage.
static uint8_t first_size(const struct iom_arch *arch, const struct iom_walk *walk)
{
    const struct iom_context *context = &walk->x.context;
    if (context->kind == RISCV_KIND_FIRST)
        return walk->stage[RISCV_FIRST].size_log2;
    return riscv_config(arch)->derived.bare_first_log2[(context->attributes & IOM_RISCV_TC_SXL) != 0];
}

// Rights and memory type of both stages. The first stage's type prevails unless it leaves the choice open.
static uint64_t combine(const struct iom_walk *walk, const struct riscv_last_stage *last)
{
    uint64_t first = RISCV_FIRST_ALL;
    if (walk->x.context.kind == RISCV_KIND_FIRST)
        first = walk->stage[RISCV_FIRST].attributes & (RISCV_FIRST_ALL | IOM_RISCV_LEAF_TYPE);
    uint64_t attributes = first | last->rights | (last->attributes & ~(uint64_t)IOM_RISCV_LEAF_TYPE);
    if ((first & IOM_RISCV_LEAF_TYPE) == IOM_RISCV_PMA)
        attributes |= last->attributes & IOM_RISCV_LEAF_TYPE;
    return attributes;
}

// Deviation: bits between the sizes of the two pages should come from the guest-physical address; they are
// those of the guest page number at the same places.
static uint64_t superpage_output(const struct iom_walk *walk, const struct riscv_last_stage *last)
{
    unsigned small = walk->stage[RISCV_FIRST].size_log2, large = last->size_log2;
    if (walk->x.context.kind != RISCV_KIND_FIRST || !riscv_has_second(&walk->x.context) || small >= large)
        return last->output;
    uint64_t number = walk->scratch[RISCV_GUEST] >> IOM_PAGE_LOG2;
    uint64_t between = iom_low_bits(UINT64_MAX, large) & ~iom_low_bits(UINT64_MAX, small);
    return (last->output & ~between) | (number & between);
}

void riscv_walk_finish(const struct iom_arch *arch, struct iom_walk *walk,
                       const struct riscv_last_stage *last)
{
    const struct iom_xlate *x = &walk->x;
    struct iom_leaf *leaf = &walk->fill.payload.leaf;
    struct iom_tag *tag = &walk->fill.tag;
    uint64_t guest_address = walk->scratch[RISCV_GUEST];
    uint64_t output = last->output;
    if (x->context.kind != RISCV_KIND_FIRST && !riscv_has_second(&x->context) &&
        !riscv_has_msi(&x->context)) {
        riscv_walk_done(walk); // the context has gone under the walk (deviation): it brings nothing
        return;
    }
    if (riscv_config(arch)->quirk.superpage_address)
        output = superpage_output(walk, last);

    memset(leaf, 0, sizeof *leaf);
    leaf->node = walk->node;
    leaf->attributes = combine(walk, last);
    leaf->permissions = riscv_permissions(leaf->attributes, x->context.attributes);
    // The entry covers the smaller of the two pages, and no interrupt file besides an ordinary page.
    leaf->size_log2 = first_size(arch, walk);
    if (last->size_log2 < leaf->size_log2)
        leaf->size_log2 = last->size_log2;
    if (!(last->attributes & IOM_RISCV_LEAF_MSI))
        leaf->size_log2 =
            riscv_msi_clear_log2(riscv_config(arch), &x->context, guest_address, leaf->size_log2);
    leaf->global = x->context.kind == RISCV_KIND_FIRST &&
                   (walk->stage[RISCV_FIRST].attributes & RISCV_FIRST_GLOBAL) != 0;

    riscv_iotlb_key(arch, x, tag);
    if (tag->security & RISCV_CLASS_GUEST)
        output = guest_address;
    leaf->output = iom_align_down(output, leaf->size_log2);
    tag->address = iom_align_down(riscv_translated_bits(x), leaf->size_log2);
    tag->span_log2 = first_size(arch, walk);
    tag->intermediate = iom_align_down(guest_address, leaf->size_log2);
    tag->intermediate_log2 = last->size_log2;
    tag->size_log2 = leaf->size_log2;
    tag->global = leaf->global;
    tag->level = last->attributes & IOM_RISCV_LEAF_MSI ? RISCV_ENTRY_MSI : RISCV_ENTRY_PAGE;
    if (x->context.attributes & RISCV_CACHED_PERMISSIONS) {
        riscv_use_leaf(&walk->x, tag, leaf);
        walk->fill.valid = true;
    } else {
        riscv_apply_leaf(&walk->x, leaf);
        // What is denied is not kept.
        walk->fill.valid = x->outcome == IOM_OUTCOME_ADDRESS;
    }
    // Nor is what follows from the device context alone: no command names it.
    if (x->context.kind != RISCV_KIND_FIRST && !riscv_has_second(&x->context) &&
        !(last->attributes & IOM_RISCV_LEAF_MSI))
        walk->fill.valid = false;
    riscv_walk_done(walk);
}

void riscv_walk_finish_mrif(const struct iom_arch *arch, struct iom_walk *walk,
                            const struct riscv_last_stage *last, uint64_t notice)
{
    struct iom_xlate *x = &walk->x;
    if (x->flags & IOM_REQ_DEBUG) {
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_TYPE_DISALLOWED, 0);
        return;
    }
    riscv_walk_finish(arch, walk, last);
    walk->fill.valid = false;
    if (x->outcome != IOM_OUTCOME_ADDRESS)
        return;
    x->outcome = IOM_OUTCOME_MRIF;
    x->leaf.output = last->output;
    x->leaf.attributes |= notice;
    if (x->flags & IOM_REQ_TRANSLATE)
        x->leaf.attributes |= IOM_RISCV_LEAF_UNTRANSLATED;
}

void riscv_walk_start(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk)
{
    walk->fill.valid = false;
    walk->psc_fill.valid = false;
    walk->monitored = 0;
    if (walk->what == IOM_LOOKUP_CONTEXT)
        riscv_device_start(arch, view, walk);
    else if (walk->what == IOM_LOOKUP_PASID)
        riscv_process_start(arch, walk);
    else if (walk->x.context.kind == RISCV_KIND_FIRST)
        riscv_first_start(arch, walk);
    else
        riscv_walk_guest_ready(arch, walk, walk->x.address);
}

void riscv_walk_step(const struct iom_arch *arch, const struct iom_view *view, struct iom_walk *walk)
{
    walk->psc_fill.valid = false;
    switch ((enum riscv_phase)walk->phase) {
    case RISCV_PHASE_DIRECTORY:
    case RISCV_PHASE_DEVICE:
        riscv_device_step(arch, view, walk);
        break;
    case RISCV_PHASE_PROCESS_DIRECTORY:
    case RISCV_PHASE_PROCESS:
        riscv_process_step(arch, walk);
        break;
    case RISCV_PHASE_FIRST_PROBE:
    case RISCV_PHASE_FIRST_ENTRY:
    case RISCV_PHASE_FIRST_UPDATE:
    case RISCV_PHASE_FIRST_UPDATE_SECOND:
        riscv_first_step(arch, walk);
        break;
    case RISCV_PHASE_SECOND_PROBE:
    case RISCV_PHASE_SECOND_ENTRY:
    case RISCV_PHASE_SECOND_UPDATE:
        riscv_second_step(arch, walk);
        break;
    case RISCV_PHASE_MSI:
        riscv_msi_step(arch, walk);
        break;
    }
}
