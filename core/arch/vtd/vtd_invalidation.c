// SPDX-License-Identifier: Apache-2.0
//
// Which cached entries each invalidation removes, in terms of the tags the look-ups and walks of this
// folder give their entries (VT-d Rev. 4.1, 6.2 caching and tags, 6.5.2.1 to 6.5.2.6 granularities).
// Descriptors (vtd_decode.c) and registers (vtd_invalidate_registers.c) both come here.
//
//   cache       tag of an entry                                          stage
//   context     source, domain (legacy; 0 if not present), table mode    -
//   PASID       source, PASID, domain (unknown if not present)           -
//   IOTLB       domain, address                                          second
//               domain, PASID, address, global                           first, nested
//   structure   domain, address (what that stage translates)             second
//               domain, PASID, address                                   first, nested
#include <string.h>

#include "core/arch/vtd/vtd_internal.h"

void vtd_invalidation_init(struct iom_invalidation *invalidation, enum iom_invalidation_source source)
{
    memset(invalidation, 0, sizeof *invalidation);
    invalidation->source = (uint8_t)source;
}

void vtd_invalidate_everything(const struct iom_arch *arch, struct iom_invalidation *invalidation)
{
    (void)iom_invalidation_add(invalidation, arch->iommu, IOM_INVALIDATE_ALL, 0);
}

// ---- context cache -------------------------------------------------------------------------------

// 9.3, 6.5.2.1: FM masks the function number from its most significant bit down.
static uint32_t masked_functions(const struct iom_arch *arch, unsigned function_mask)
{
    static const uint8_t masks[] = {0, 4, 6, 7};
    if (vtd_config(arch)->coarse_function_mask && function_mask != 0)
        return 7;
    return masks[function_mask & 3];
}

// In scalable mode the domain is no part of a context entry and the command's is ignored; which mode an
// entry belongs to is in its tag, so one command covers both.
void vtd_invalidate_context(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                            enum vtd_granularity granularity, uint32_t domain, uint32_t source,
                            unsigned function_mask)
{
    static const uint8_t modes[] = {VTD_ENTRY_LEGACY, VTD_ENTRY_SCALABLE};
    if (granularity == VTD_GRANULARITY_GLOBAL) {
        (void)iom_invalidation_add(invalidation, arch->iommu, IOM_INVALIDATE_CONTEXT, 0);
        return;
    }
    for (unsigned i = 0; i < sizeof modes; i++) {
        struct iom_cache_match *match =
            iom_invalidation_add(invalidation, arch->iommu, IOM_INVALIDATE_CONTEXT, IOM_TAG_LEVEL);
        match->tag.level = modes[i];
        if (modes[i] == VTD_ENTRY_LEGACY) {
            match->fields |= IOM_TAG_DOMAIN;
            match->tag.domain = domain;
        }
        if (granularity == VTD_GRANULARITY_NARROW) {
            match->fields |= IOM_TAG_STREAM;
            match->tag.stream = source;
            match->stream_ignore = masked_functions(arch, function_mask);
        }
    }
}

// ---- PASID cache ---------------------------------------------------------------------------------

// An entry that is not present (caching mode) has no domain to compare: it goes whatever the command's is.
void vtd_invalidate_pasid(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                          enum vtd_pasid_granularity granularity, uint32_t domain, uint32_t pasid)
{
    static const uint8_t presence[] = {VTD_ENTRY_PRESENT, VTD_ENTRY_NOT_PRESENT};
    if (granularity == VTD_PASID_GLOBAL) {
        (void)iom_invalidation_add(invalidation, arch->iommu, IOM_INVALIDATE_PASID, 0);
        return;
    }
    for (unsigned i = 0; i < sizeof presence; i++) {
        struct iom_cache_match *match =
            iom_invalidation_add(invalidation, arch->iommu, IOM_INVALIDATE_PASID, IOM_TAG_LEVEL);
        match->tag.level = presence[i];
        if (presence[i] == VTD_ENTRY_PRESENT) {
            match->fields |= IOM_TAG_DOMAIN;
            match->tag.domain = domain;
        }
        if (granularity == VTD_PASID_ONE) {
            match->fields |= IOM_TAG_SUBSTREAM;
            match->tag.substream = pasid;
        }
    }
}

// ---- translations --------------------------------------------------------------------------------

static void set_pages(struct iom_cache_match *match, uint64_t address, unsigned address_mask)
{
    unsigned size_log2 = IOM_PAGE_LOG2 + address_mask;
    match->fields |= IOM_TAG_ADDRESS;
    match->first = iom_align_down(address, size_log2);
    match->last = match->first | iom_low_bits(UINT64_MAX, size_log2);
}

static struct iom_cache_match *add_stage(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                                         uint32_t targets, enum vtd_stage stage, uint32_t domain)
{
    struct iom_cache_match *match =
        iom_invalidation_add(invalidation, arch->iommu, targets, IOM_TAG_DOMAIN | IOM_TAG_STAGE);
    match->tag.stage = (uint8_t)stage;
    match->tag.domain = domain;
    return match;
}

// 6.5.2.3. The address of a page-selective command is one of the second stage's input; what nested
// translation made of it has other addresses, so all nested entries of the domain go. That includes the
// first-stage tables found through it, and those with any hint: which page holds such a table is decided
// by the second stage's leaf entries.
void vtd_invalidate_iotlb(const struct iom_arch *arch, struct iom_invalidation *invalidation,
                          enum vtd_granularity granularity, uint32_t domain,
                          const struct vtd_invalidated_pages *pages)
{
    const uint32_t both = IOM_INVALIDATE_IOTLB | IOM_INVALIDATE_PSC;
    if (granularity == VTD_GRANULARITY_GLOBAL) {
        (void)iom_invalidation_add(invalidation, arch->iommu, both, 0);
        return;
    }
    if (granularity == VTD_GRANULARITY_DOMAIN || !IOM_VTD_CAP_PSI(vtd_config(arch)->cap)) {
        iom_invalidation_add(invalidation, arch->iommu, both, IOM_TAG_DOMAIN)->tag.domain = domain;
        return;
    }
    invalidation->leaf_only = pages->leaf_only;
    struct iom_cache_match *match =
        add_stage(arch, invalidation, pages->leaf_only ? (uint32_t)IOM_INVALIDATE_IOTLB : both,
                  VTD_STAGE_SECOND, domain);
    set_pages(match, pages->address, pages->address_mask);
    (void)add_stage(arch, invalidation, both, VTD_STAGE_NESTED, domain);
}

// 6.5.2.4. A global page entered by one PASID serves all PASIDs of its domain, so it goes whichever PASID
// the command names.
void vtd_invalidate_space(const struct iom_arch *arch, struct iom_invalidation *invalidation, uint32_t domain,
                          uint32_t pasid, const struct vtd_invalidated_pages *pages)
{
    static const uint8_t stages[] = {VTD_STAGE_FIRST, VTD_STAGE_NESTED};
    invalidation->leaf_only = pages != NULL && pages->leaf_only;
    uint32_t targets = IOM_INVALIDATE_IOTLB;
    if (!invalidation->leaf_only)
        targets |= IOM_INVALIDATE_PSC;
    for (unsigned i = 0; i < sizeof stages; i++) {
        struct iom_cache_match *match =
            add_stage(arch, invalidation, targets, (enum vtd_stage)stages[i], domain);
        match->fields |= IOM_TAG_SUBSTREAM;
        match->tag.substream = pasid;
        match->global_matches = true;
        if (pages != NULL)
            set_pages(match, pages->address, pages->address_mask);
    }
}
