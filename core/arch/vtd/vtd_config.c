// SPDX-License-Identifier: Apache-2.0
//
// Capabilities of a VT-d unit: from settings to the two capability registers, and from the registers
// to the masks and widths that look-ups and walks use.
//
// Source: VT-d Rev. 4.1, 11.4.2 and 11.4.3 (capability registers), 9.1 to 9.9 (reserved fields).
#include <string.h>

#include "core/arch/vtd/vtd_internal.h"

#define FAULT_RECORD_BYTES 16u
#define REGISTER_PAGE_BYTES 0x1000u
#define DEFAULT_FAULT_OFFSET 0x220u
#define DEFAULT_IOTLB_OFFSET 0xf00u

// ---- derived values ------------------------------------------------------------------------------

// Bits hi..lo set.
static uint64_t span(unsigned hi, unsigned lo)
{
    return iom_low_bits(UINT64_MAX, hi + 1) & ~iom_low_bits(UINT64_MAX, lo);
}

static void derive_structures(struct iom_vtd_config *config)
{
    uint64_t ecap = config->ecap;
    uint64_t above = config->derived.above_haw;
    config->derived.root_reserved = span(11, 1) | above;

    config->derived.context_reserved[0] = IOM_VTD_SMC_LOW_RESERVED | above;
    config->derived.context_reserved[1] = IOM_VTD_SMC_HIGH_RESERVED;
    if (!IOM_VTD_ECAP_DT(ecap))
        config->derived.context_reserved[0] |= IOM_VTD_SMC_DTE;
    if (!IOM_VTD_ECAP_PRS(ecap))
        config->derived.context_reserved[0] |= IOM_VTD_SMC_PRE;
    if (!IOM_VTD_ECAP_PASID(ecap))
        config->derived.context_reserved[0] |= IOM_VTD_SMC_PASIDE;
    if (!IOM_VTD_ECAP_SRS(ecap))
        config->derived.context_reserved[1] |= IOM_VTD_SMC_RID_PRIV;

    config->derived.pasid_reserved[0] = IOM_VTD_PASID_WORD0_RESERVED | above;
    config->derived.pasid_reserved[1] = IOM_VTD_PASID_WORD1_RESERVED;
    config->derived.pasid_reserved[2] = IOM_VTD_PASID_WORD2_RESERVED | above;
    if (!IOM_VTD_ECAP_SSADS(ecap))
        config->derived.pasid_reserved[0] |= IOM_VTD_PASID_SSADE;
    if (!IOM_VTD_ECAP_SMPWC(ecap))
        config->derived.pasid_reserved[1] |= IOM_VTD_PASID_PWSNP;
    if (!IOM_VTD_ECAP_SC(ecap))
        config->derived.pasid_reserved[1] |= IOM_VTD_PASID_PGSNP;
    if (!IOM_VTD_ECAP_MTS(ecap))
        config->derived.pasid_reserved[1] |= IOM_VTD_PASID_MEMORY_TYPE;
    if (!IOM_VTD_ECAP_SRS(ecap))
        config->derived.pasid_reserved[2] |= IOM_VTD_PASID_SRE;
    if (!IOM_VTD_ECAP_ERS(ecap))
        config->derived.pasid_reserved[2] |= IOM_VTD_PASID_ERE;
    if (!IOM_VTD_ECAP_EAFS(ecap))
        config->derived.pasid_reserved[2] |= IOM_VTD_PASID_EAFE;
}

static void derive_second_stage(struct iom_vtd_config *config)
{
    uint64_t address = span(51, config->haw_bits);
    unsigned sslps = (unsigned)IOM_VTD_CAP_SSLPS(config->cap);
    config->derived.second_large = (uint8_t)(1u << 1 | (sslps & 1) << 2 | (sslps >> 1 & 1) << 3);
    for (unsigned level = 1; level <= 5; level++) {
        uint64_t leaf = address;
        if (!IOM_VTD_ECAP_SC(config->ecap))
            leaf |= IOM_VTD_SS_SNOOP;
        if (!IOM_VTD_ECAP_DT(config->ecap))
            leaf |= IOM_VTD_SS_TRANSIENT;
        if (level > 1)
            leaf |= span(IOM_VTD_LEVEL_SHIFT(level) - 1, 12);
        if (!(config->derived.second_large >> level & 1))
            leaf |= IOM_VTD_SS_LARGE;
        config->derived.second_leaf[level] = leaf;
        config->derived.second_reserved[level] = address | IOM_VTD_SS_SNOOP | IOM_VTD_SS_TRANSIENT;
    }
}

static void derive_first_stage(struct iom_vtd_config *config)
{
    uint64_t address = span(51, config->haw_bits);
    config->derived.first_large =
        (uint8_t)(1u << 1 | 1u << 2 | (IOM_VTD_CAP_FS1GP(config->cap) ? 1u << 3 : 0));
    for (unsigned level = 1; level <= 5; level++) {
        uint64_t leaf = address;
        if (level > 1) // bit 12 of a large page is a memory type bit
            leaf |= span(IOM_VTD_LEVEL_SHIFT(level) - 1, 13);
        if (!(config->derived.first_large >> level & 1))
            leaf |= IOM_VTD_FS_LARGE;
        config->derived.first_leaf[level] = leaf;
        config->derived.first_reserved[level] = address;
    }
    // Bit 7 of a 4 KiB page is a memory type bit.
    config->derived.first_leaf[1] &= ~IOM_VTD_FS_LARGE;
}

static void derive_permissions(struct iom_vtd_config *config)
{
    static_assert(sizeof config->derived.permissions == 1u << (VTD_RIGHTS_BITS + VTD_CONTROLS_BITS),
                  "one byte for each combination");
    for (uint32_t i = 0; i < sizeof config->derived.permissions; i++) {
        uint64_t rights = iom_low_bits(i, VTD_RIGHTS_BITS);
        uint64_t controls = (uint64_t)(i >> VTD_RIGHTS_BITS) << VTD_CONTROLS_SHIFT;
        config->derived.permissions[i] = vtd_permissions(rights, controls, false);
    }
}

const char *iom_vtd_config_finish(struct iom_vtd_config *config)
{
    uint64_t cap = config->cap;
    memset(&config->derived, 0, sizeof config->derived);
    if (config->haw_bits < 32 || config->haw_bits > 52)
        return "host address width must be 32 to 52 bits";
    config->derived.above_haw = ~iom_low_bits(UINT64_MAX, config->haw_bits);
    config->derived.mgaw_bits = (uint8_t)IOM_VTD_CAP_MGAW(cap);
    // SAGAW bits 1, 2, 3 stand for 3, 4, 5 levels.
    config->derived.second_levels = (uint8_t)((IOM_VTD_CAP_SAGAW(cap) & 0xe) << 2);
    config->derived.fault_records = (uint16_t)IOM_VTD_CAP_NFR(cap);
    config->derived.fault_offset = (uint32_t)IOM_VTD_CAP_FRO(cap) * 16;
    config->derived.iotlb_offset = (uint32_t)IOM_VTD_ECAP_IRO(config->ecap) * 16;

    uint32_t fault_end = config->derived.fault_offset + config->derived.fault_records * FAULT_RECORD_BYTES;
    uint32_t iotlb_end = config->derived.iotlb_offset + 16;
    if (config->derived.second_levels == 0 && !IOM_VTD_ECAP_FSTS(config->ecap))
        return "no second-stage table depth (SAGAW) and no first-stage translation";
    if (config->derived.fault_offset <= IOM_VTD_PEUADDR || config->derived.iotlb_offset <= IOM_VTD_PEUADDR)
        return "fault recording or IOTLB registers overlap the fixed registers";
    if (config->derived.fault_offset < iotlb_end && config->derived.iotlb_offset < fault_end)
        return "fault recording registers overlap the IOTLB registers";
    derive_structures(config);
    derive_second_stage(config);
    derive_first_stage(config);
    derive_permissions(config);
    return NULL;
}

// ---- from settings to registers ------------------------------------------------------------------

static const char *check_features(const struct iom_vtd_features *f)
{
    bool stages = f->second_stage || f->first_stage || f->pass_through;
    if (f->guest_address_bits < 30 || f->guest_address_bits > 64)
        return "guest address width must be 30 to 64 bits";
    if (f->domain_bits < 4 || f->domain_bits > 16 || f->domain_bits % 2 != 0)
        return "domain identifiers have 4, 6, .. 16 bits";
    if ((f->second_stage_levels & ~0x38u) != 0)
        return "second-stage tables have 3, 4 or 5 levels";
    if (f->second_stage_levels == 0 && !(f->scalable_mode && f->first_stage))
        return "no second-stage table depth and no first stage";
    if (f->max_address_mask > 63)
        return "the maximum address mask must be below 64";
    if (f->fault_records < 1 || f->fault_records > 256)
        return "there are 1 to 256 fault recording registers";
    if (f->pasid && (f->pasid_bits < 1 || f->pasid_bits > 20))
        return "PASIDs have 1 to 20 bits";
    if (f->nested && !(f->first_stage && f->second_stage))
        return "nested translation needs both stages";
    if (f->scalable_mode && !stages)
        return "scalable mode needs a translation type";
    if (!f->scalable_mode && (f->first_stage || f->second_stage || f->pasid || f->nested))
        return "stages and PASIDs belong to scalable mode";
    if (f->page_requests && !f->device_tlb)
        return "page requests need device TLBs";
    return NULL;
}

static uint64_t bit(bool set, unsigned position)
{
    return set ? UINT64_C(1) << position : 0;
}

static uint64_t build_cap(const struct iom_vtd_features *f, uint32_t fault_offset)
{
    return (uint64_t)(f->domain_bits - 4u) / 2 | bit(f->write_buffer_flush, 4) | bit(f->caching_mode, 7) |
           (uint64_t)(f->second_stage_levels >> 2) << 8 | (uint64_t)(f->guest_address_bits - 1u) << 16 |
           bit(true, 22) | (uint64_t)(fault_offset / 16) << 24 | bit(f->second_stage_2m, 34) |
           bit(f->second_stage_1g, 35) | bit(f->page_selective, 39) |
           (uint64_t)(f->fault_records - 1u) << 40 | (uint64_t)f->max_address_mask << 48 |
           bit(f->drain_writes, 54) | bit(f->drain_reads, 55) | bit(f->first_stage_1g, 56) |
           bit(f->first_stage_5level, 60) | bit(f->set_root_flushes, 63);
}

static uint64_t build_ecap(const struct iom_vtd_features *f)
{
    return bit(f->coherent, 0) | bit(f->queued_invalidation, 1) | bit(f->device_tlb, 2) |
           bit(f->interrupt_remapping, 3) | bit(f->pass_through, 6) | bit(f->snoop_control, 7) |
           (uint64_t)(DEFAULT_IOTLB_OFFSET / 16) << 8 | bit(f->nested, 26) | bit(f->page_requests, 29) |
           bit(f->execute_requests, 30) | bit(f->supervisor_requests, 31) | bit(f->extended_accessed, 34) |
           (f->pasid ? (uint64_t)(f->pasid_bits - 1u) << 35 : 0) | bit(f->pasid, 40) |
           bit(f->scalable_mode, 43) | bit(f->second_stage_dirty, 45) | bit(f->second_stage, 46) |
           bit(f->first_stage, 47) | bit(f->scalable_mode && f->coherent, 48) | bit(f->rid_pasid, 49);
}

const char *iom_vtd_capabilities(const struct iom_vtd_features *features, uint64_t *cap, uint64_t *ecap)
{
    const char *error = check_features(features);
    if (error != NULL)
        return error;
    // Many fault recording registers do not fit before the IOTLB registers.
    uint32_t fault_offset = DEFAULT_FAULT_OFFSET;
    if (fault_offset + features->fault_records * FAULT_RECORD_BYTES > DEFAULT_IOTLB_OFFSET)
        fault_offset = REGISTER_PAGE_BYTES;
    *cap = build_cap(features, fault_offset);
    *ecap = build_ecap(features);
    return NULL;
}
