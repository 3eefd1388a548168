// SPDX-License-Identifier: Apache-2.0
//
// Which cached entries each invalidation removes, in terms of the tags the look-ups and walks of this folder
// give their entries ("Caching in-memory data structures", "IOMMU Page-Table cache invalidation commands",
// "IOMMU directory cache invalidation commands", extensions NL and S).
//
//   cache       tag of an entry                                   stage
//   context     device_id                                         -
//   PASID       device_id, process_id                             -
//   IOTLB       address                                           none (MSI page table only)
//               PSCID, address, global                            first
//               GSCID, address                                    second
//               GSCID, PSCID, address, guest address, global      nested
//               level: whether an MSI page table was used         any
//   structures  as IOTLB; address = what that stage translates    first, second, nested
//
// Host address spaces are those without second stage. An address names the table entry that maps it:
// everything that was made from that entry goes, also what covers only a part of it (IOM_TAG_SPAN,
// IOM_TAG_INTERMEDIATE).
#include <string.h>

#include "core/arch/riscv/riscv_state.h"

static struct iom_cache_match *add_stage(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                                         uint32_t targets, enum riscv_stage stage)
{
    struct iom_cache_match *match = iom_invalidation_add(invalidation, arch->iommu, targets, IOM_TAG_STAGE);
    match->tag.stage = (uint8_t)stage;
    return match;
}

static void init(struct iom_invalidation *invalidation)
{
    memset(invalidation, 0, sizeof *invalidation);
    invalidation->source = IOM_SOURCE_QUEUE;
}

static void limit_guest(struct iom_cache_match *match, const struct riscv_translation_scope *scope)
{
    if (!scope->has_guest)
        return;
    match->fields |= IOM_TAG_DOMAIN;
    match->tag.domain = scope->guest;
}

// `field`: IOM_TAG_SPAN for IOVAs and for what structures are found by, IOM_TAG_INTERMEDIATE for guest
// addresses.
static void limit_address(struct iom_cache_match *match, const struct riscv_translation_scope *scope,
                          enum iom_tag_field field)
{
    if (!scope->has_address)
        return;
    match->fields |= (uint32_t)field;
    match->first = scope->first;
    match->last = scope->last;
}

// With an address only leaf entries go, unless NL asks for all levels.
static uint32_t translation_targets(const struct riscv_translation_scope *scope)
{
    bool leaf_only = scope->has_address && !scope->non_leaf;
    return leaf_only ? (uint32_t)IOM_INVALIDATE_IOTLB : (uint32_t)(IOM_INVALIDATE_IOTLB | IOM_INVALIDATE_PSC);
}

// ---- IOTINVAL.VMA ----------------------------------------------------------------------------------------

// Entries without first stage hold nothing of a first-stage table and stay. An address space (PSCV) keeps its
// global entries.
void riscv_invalidate_first(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                            const struct riscv_translation_scope *scope)
{
    init(invalidation);
    invalidation->leaf_only = scope->has_address && !scope->non_leaf;
    struct iom_cache_match *match = add_stage(arch, invalidation, translation_targets(scope),
                                              scope->has_guest ? RISCV_STAGE_NESTED : RISCV_STAGE_FIRST);
    limit_guest(match, scope);
    limit_address(match, scope, IOM_TAG_SPAN);
    if (scope->has_space) {
        match->fields |= IOM_TAG_ASID;
        match->tag.asid = scope->space;
        match->keep_global = true;
    }
}

// ---- IOTINVAL.GVMA ---------------------------------------------------------------------------------------

// First-stage structures hold guest addresses and stay unless the whole guest is meant. MSI page tables are
// tagged by GSCID even where the second stage is Bare; such entries do not know it and go with any guest.
void riscv_invalidate_second(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                             const struct riscv_translation_scope *scope)
{
    static const uint8_t guests[] = {RISCV_STAGE_SECOND, RISCV_STAGE_NESTED};
    static const uint8_t hosts[] = {RISCV_STAGE_FIRST, RISCV_STAGE_NONE};
    struct riscv_translation_scope effective = *scope;
    if (!scope->has_guest) // AV, S and NL are ignored
        effective.has_address = false;
    uint32_t targets = IOM_INVALIDATE_IOTLB;
    if (!effective.has_address)
        targets |= IOM_INVALIDATE_PSC;
    init(invalidation);
    invalidation->leaf_only = effective.has_address && !effective.non_leaf;
    for (unsigned i = 0; i < sizeof guests; i++) {
        struct iom_cache_match *match = add_stage(arch, invalidation, targets, (enum riscv_stage)guests[i]);
        limit_guest(match, &effective);
        limit_address(match, &effective, IOM_TAG_INTERMEDIATE);
    }
    if (effective.has_address && effective.non_leaf) {
        struct iom_cache_match *match = add_stage(arch, invalidation, IOM_INVALIDATE_PSC, RISCV_STAGE_SECOND);
        limit_guest(match, &effective);
        limit_address(match, &effective, IOM_TAG_SPAN);
    }
    for (unsigned i = 0; i < sizeof hosts; i++) {
        struct iom_cache_match *match =
            add_stage(arch, invalidation, IOM_INVALIDATE_IOTLB, (enum riscv_stage)hosts[i]);
        match->fields |= IOM_TAG_LEVEL;
        match->tag.level = RISCV_ENTRY_MSI;
        limit_address(match, &effective, IOM_TAG_INTERMEDIATE);
    }
}

// ---- IODIR -----------------------------------------------------------------------------------------------

void riscv_invalidate_directory(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                                const struct riscv_directory_scope *scope)
{
    init(invalidation);
    uint32_t targets = IOM_INVALIDATE_PASID;
    if (!scope->has_process)
        targets |= IOM_INVALIDATE_CONTEXT;
    struct iom_cache_match *match = iom_invalidation_add(invalidation, arch->iommu, targets, 0);
    if (scope->has_device) {
        match->fields |= IOM_TAG_STREAM;
        match->tag.stream = scope->device;
    }
    if (scope->has_process) {
        match->fields |= IOM_TAG_SUBSTREAM;
        match->tag.substream = scope->process;
    }
}
