// SPDX-License-Identifier: Apache-2.0
//
// Capabilities of a RISC-V IOMMU: from settings to the capabilities register, and from the register to the
// masks and modes that look-ups and walks use.
//
// Source: RISC-V IOMMU Architecture Specification 1.0, "IOMMU capabilities", "Device-context configuration
// checks", "Process-context configuration checks".
#include <string.h>

#include "core/arch/riscv/riscv_internal.h"

#define SPECIFICATION_VERSION UINT64_C(0x10) ///< 1.0
#define SMALLEST_RANGE_LOG2 IOM_PAGE_LOG2

// ---- derived values --------------------------------------------------------------------------------------

static uint16_t mode_if(const struct iom_riscv_config *config, enum iom_riscv_capability bit, unsigned mode)
{
    return (uint16_t)(riscv_has(config, bit) ? 1u << mode : 0);
}

// Encodings of iosatp.MODE and iohgatp.MODE; index 1: SXL (GXL) set.
static void derive_modes(struct iom_riscv_config *config)
{
    const uint16_t bare = 1u << IOM_RISCV_MODE_BARE;
    config->derived.first_modes[0] =
        (uint16_t)(bare | mode_if(config, IOM_RISCV_CAP_SV39_BIT, 8) |
                   mode_if(config, IOM_RISCV_CAP_SV48_BIT, 9) | mode_if(config, IOM_RISCV_CAP_SV57_BIT, 10));
    config->derived.first_modes[1] = (uint16_t)(bare | mode_if(config, IOM_RISCV_CAP_SV32_BIT, 8));
    config->derived.second_modes[0] = (uint16_t)(bare | mode_if(config, IOM_RISCV_CAP_SV39X4_BIT, 8) |
                                                 mode_if(config, IOM_RISCV_CAP_SV48X4_BIT, 9) |
                                                 mode_if(config, IOM_RISCV_CAP_SV57X4_BIT, 10));
    config->derived.second_modes[1] = (uint16_t)(bare | mode_if(config, IOM_RISCV_CAP_SV32X4_BIT, 8));
    config->derived.process_modes =
        (uint16_t)(1u << IOM_RISCV_PROCESS_BARE | mode_if(config, IOM_RISCV_CAP_PD8_BIT, IOM_RISCV_PD8) |
                   mode_if(config, IOM_RISCV_CAP_PD17_BIT, IOM_RISCV_PD17) |
                   mode_if(config, IOM_RISCV_CAP_PD20_BIT, IOM_RISCV_PD20));
}

// The range reported for a stage that is Bare is the implementation's choice; it follows the largest table
// format that could be in use.
static void derive_bare(const struct iom_riscv_config *config, unsigned sv32_bit, uint8_t ranges[2])
{
    bool sv32 = (config->capabilities >> sv32_bit & 1) != 0;
    bool sv39 = (config->capabilities >> (sv32_bit + 1) & 1) != 0;
    bool larger = (config->capabilities >> (sv32_bit + 2) & 3) != 0;
    ranges[0] = ranges[1] = larger ? config->bare_page_log2 : (uint8_t)SMALLEST_RANGE_LOG2;
    if (!larger && sv39)
        ranges[0] = config->bare_page_log2;
    if (!larger && sv32)
        ranges[1] = config->bare_page_sv32_log2;
}

static void derive_reserved(struct iom_riscv_config *config)
{
    uint64_t reserved = IOM_RISCV_PTE_RESERVED;
    if (riscv_has(config, IOM_RISCV_CAP_SVRSW60T59B_BIT))
        reserved &= ~IOM_RISCV_PTE_SOFTWARE;
    config->derived.leaf_reserved =
        reserved | (riscv_has(config, IOM_RISCV_CAP_SVPBMT_BIT) ? 0 : IOM_RISCV_PTE_TYPE_BITS);
    config->derived.table_reserved = reserved | IOM_RISCV_PTE_TYPE_BITS | IOM_RISCV_PTE_NAPOT |
                                     IOM_RISCV_PTE_DIRTY | IOM_RISCV_PTE_ACCESSED | IOM_RISCV_PTE_USER;

    uint64_t tc = ~(IOM_RISCV_TC_FIELDS | IOM_RISCV_TC_CUSTOM);
    if (!riscv_has(config, IOM_RISCV_CAP_ATS_BIT))
        tc |= IOM_RISCV_TC_EN_ATS | IOM_RISCV_TC_EN_PRI | IOM_RISCV_TC_PRPR;
    if (!riscv_has(config, IOM_RISCV_CAP_T2GPA_BIT))
        tc |= IOM_RISCV_TC_T2GPA;
    if (!riscv_has(config, IOM_RISCV_CAP_AMO_HWAD_BIT))
        tc |= IOM_RISCV_TC_GADE | IOM_RISCV_TC_SADE;
    config->derived.context_reserved[0] = tc;
    config->derived.context_reserved[1] =
        IOM_RISCV_TA_RESERVED | (riscv_has(config, IOM_RISCV_CAP_QOSID_BIT) ? 0 : IOM_RISCV_TA_QOS);
}

static void derive_context_flags(struct iom_riscv_config *config)
{
    const struct {
        bool set;
        uint64_t flag;
    } flags[] = {
        {config->choice.cached_permissions, RISCV_CACHED_PERMISSIONS},
        {config->choice.no_process_contexts, RISCV_NO_PROCESS},
        {config->quirk.privilege_without_process, RISCV_PRIVILEGE_ALWAYS},
        {config->quirk.fetch_as_read, RISCV_FETCH_AS_READ},
        {config->quirk.execute_only_refused, RISCV_EXECUTE_ONLY_REFUSED},
        {config->quirk.sum_refuses_executable, RISCV_SUM_REFUSES_EXECUTABLE},
        {config->quirk.no_guest_detail, RISCV_NO_GUEST_DETAIL},
        {config->quirk.implicit_dirty, RISCV_IMPLICIT_DIRTY},
        {config->quirk.dirty_not_rechecked, RISCV_DIRTY_NOT_RECHECKED},
        {config->quirk.upper_address_ignored, RISCV_UPPER_IGNORED},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        config->derived.context_flags |= flags[i].set ? flags[i].flag : 0;
}

// Guest-physical addresses have as many bits as the widest second stage translates.
static uint8_t guest_bits(const struct iom_riscv_config *config)
{
    if (riscv_has(config, IOM_RISCV_CAP_SV57X4_BIT))
        return 59;
    if (riscv_has(config, IOM_RISCV_CAP_SV48X4_BIT))
        return 50;
    if (riscv_has(config, IOM_RISCV_CAP_SV39X4_BIT))
        return 41;
    return riscv_has(config, IOM_RISCV_CAP_SV32X4_BIT) ? 34 : 64;
}

static bool is_range(uint8_t size_log2)
{
    return size_log2 >= SMALLEST_RANGE_LOG2 && size_log2 <= 48;
}

const char *iom_riscv_config_finish(struct iom_riscv_config *config)
{
    unsigned address_bits = (unsigned)iom_bits(config->capabilities, 37, 32);
    memset(&config->derived, 0, sizeof config->derived);
    if (address_bits < 32 || address_bits > 56)
        return "physical address width (PAS) must be 32 to 56 bits";
    if (config->max_mode < IOM_RISCV_1LVL || config->max_mode > IOM_RISCV_3LVL)
        return "the device directory has 1 to 3 levels";
    if (config->counters > 32)
        return "there are at most 32 performance counters";
    if (config->counter_bits > 63)
        return "performance counters have at most 63 bits";
    if (config->vector_bits > 4)
        return "interrupt vectors have at most 4 bits";
    if (!is_range(config->bare_page_log2) || !is_range(config->bare_page_sv32_log2))
        return "the range reported for a Bare stage must be 2^12 to 2^48 bytes";
    if (config->invalidation_tags < 1 || config->invalidation_tags > 32)
        return "1 to 32 invalidation requests can be outstanding";
    config->derived.extended_context = riscv_has(config, IOM_RISCV_CAP_MSI_FLAT_BIT);
    config->derived.address_bits = (uint8_t)address_bits;
    config->derived.above_address = ~iom_low_bits(UINT64_MAX, address_bits);
    config->derived.guest_bits = guest_bits(config);
    derive_modes(config);
    derive_bare(config, IOM_RISCV_CAP_SV32_BIT, config->derived.bare_first_log2);
    derive_bare(config, IOM_RISCV_CAP_SV32X4_BIT, config->derived.bare_second_log2);
    derive_reserved(config);
    derive_context_flags(config);
    return NULL;
}

// ---- from settings to the register -----------------------------------------------------------------------

static const char *check_features(const struct iom_riscv_features *f)
{
    if (f->address_bits < 32 || f->address_bits > 56)
        return "physical address width must be 32 to 56 bits";
    // A first-stage mode implies those with smaller tables ("Sv48 must support Sv39", Privileged
    // Architecture).
    if ((f->sv57 && !f->sv48) || (f->sv48 && !f->sv39))
        return "Sv57 requires Sv48, and Sv48 requires Sv39";
    if ((f->sv57x4 && !f->sv48x4) || (f->sv48x4 && !f->sv39x4))
        return "Sv57x4 requires Sv48x4, and Sv48x4 requires Sv39x4";
    if (f->msi_mrif && !f->msi_flat)
        return "memory-resident interrupt files require MSI page tables";
    if (f->amo_mrif && !f->msi_mrif)
        return "atomic updates of memory-resident interrupt files require these";
    if (f->t2gpa && !f->ats)
        return "guest addresses in translation completions require address translation services";
    if (!f->msi_interrupts && !f->wired_interrupts)
        return "interrupts must be signalled by messages, by wires or both";
    return NULL;
}

// IGS: 0 messages only, 1 wires only, 2 both.
static uint64_t interrupt_generation(const struct iom_riscv_features *f)
{
    if (f->msi_interrupts && f->wired_interrupts)
        return 2;
    return f->wired_interrupts ? 1 : 0;
}

const char *iom_riscv_capabilities(const struct iom_riscv_features *f, uint64_t *capabilities)
{
    const char *problem = check_features(f);
    if (problem != NULL)
        return problem;
    const struct {
        bool set;
        uint8_t bit;
    } bits[] = {
        {f->sv32, IOM_RISCV_CAP_SV32_BIT},
        {f->sv39, IOM_RISCV_CAP_SV39_BIT},
        {f->sv48, IOM_RISCV_CAP_SV48_BIT},
        {f->sv57, IOM_RISCV_CAP_SV57_BIT},
        {f->svrsw60t59b, IOM_RISCV_CAP_SVRSW60T59B_BIT},
        {f->svpbmt, IOM_RISCV_CAP_SVPBMT_BIT},
        {f->sv32x4, IOM_RISCV_CAP_SV32X4_BIT},
        {f->sv39x4, IOM_RISCV_CAP_SV39X4_BIT},
        {f->sv48x4, IOM_RISCV_CAP_SV48X4_BIT},
        {f->sv57x4, IOM_RISCV_CAP_SV57X4_BIT},
        {f->amo_mrif, IOM_RISCV_CAP_AMO_MRIF_BIT},
        {f->msi_flat, IOM_RISCV_CAP_MSI_FLAT_BIT},
        {f->msi_mrif, IOM_RISCV_CAP_MSI_MRIF_BIT},
        {f->amo_hwad, IOM_RISCV_CAP_AMO_HWAD_BIT},
        {f->ats, IOM_RISCV_CAP_ATS_BIT},
        {f->t2gpa, IOM_RISCV_CAP_T2GPA_BIT},
        {f->both_endian, IOM_RISCV_CAP_END_BIT},
        {f->performance_monitor, IOM_RISCV_CAP_HPM_BIT},
        {f->debug, IOM_RISCV_CAP_DBG_BIT},
        {f->pd8, IOM_RISCV_CAP_PD8_BIT},
        {f->pd17, IOM_RISCV_CAP_PD17_BIT},
        {f->pd20, IOM_RISCV_CAP_PD20_BIT},
        {f->qos, IOM_RISCV_CAP_QOSID_BIT},
        {f->non_leaf, IOM_RISCV_CAP_NL_BIT},
        {f->range, IOM_RISCV_CAP_S_BIT},
    };
    uint64_t value = SPECIFICATION_VERSION | interrupt_generation(f) << IOM_RISCV_CAP_IGS_BIT |
                     (uint64_t)f->address_bits << IOM_RISCV_CAP_PAS_BIT;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        value |= (uint64_t)bits[i].set << bits[i].bit;
    *capabilities = value;
    return NULL;
}
