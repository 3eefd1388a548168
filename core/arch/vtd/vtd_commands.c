// SPDX-License-Identifier: Apache-2.0
//
// The software side's invalidation queue: where it lies, and the descriptors for what a driver wants
// flushed (VT-d Rev. 4.1, 6.5.2, 11.4.9). The hardware's side of the same formats is vtd_decode.c.
#include "core/arch/vtd/vtd_descriptors.h"
#include "core/arch/vtd/vtd_tables_internal.h"

#define LARGEST_QUEUE_LOG2 (IOM_PAGE_LOG2 + 7u) ///< IQA.QS has three bits
#define LARGEST_QUEUE_DEPTH 32u
#define WHOLE_SPACE_LOG2 52u ///< pages of the whole 64-bit address space

// Scalable mode requires 256-bit descriptors.
static uint32_t command_bytes(const struct iom_software *software)
{
    return vtd_is_scalable(software) ? 32 : 16;
}

enum iom_software_result vtd_set_queue(struct iom_software *software, uint64_t base, unsigned size_log2)
{
    if (!IOM_VTD_ECAP_QI(software->config->ecap) || size_log2 < IOM_PAGE_LOG2 ||
        size_log2 > LARGEST_QUEUE_LOG2 || iom_low_bits(base, size_log2) != 0 ||
        (base & software->config->derived.above_haw) != 0)
        return IOM_SOFTWARE_REFUSED;
    software->queue_base = base;
    software->queue_log2 = (uint8_t)size_log2;
    return IOM_SOFTWARE_OK;
}

void vtd_queue_registers(const struct iom_software *software, struct iom_queue_registers *registers)
{
    uint64_t cap = software->config->cap;
    *registers = (struct iom_queue_registers){
        .command_bytes = command_bytes(software),
        .capacity_bytes = software->queue_log2 == 0 ? 0 : UINT32_C(1) << software->queue_log2,
        .largest_pages_log2 = (uint8_t)IOM_VTD_CAP_MAMV(cap),
        .page_selective = IOM_VTD_CAP_PSI(cap) != 0,
        .page_commands = 1,
        .error_offset = IOM_VTD_FSTS,
        .error_fatal = IOM_VTD_FSTS_IQE,
        .error_timeout = IOM_VTD_FSTS_ITE,
        .head_offset = IOM_VTD_IQH,
        .head_bytes = 8,
        .head_unit = 1,
        .timeout_offset = IOM_VTD_IQERCD,
        .timeout_shift = IOM_VTD_IQERCD_ITESID_SHIFT,
    };
}

void vtd_doorbell(const struct iom_software *software, uint32_t tail, struct iom_register_write *write)
{
    (void)software;
    *write = (struct iom_register_write){.offset = IOM_VTD_IQT, .bytes = 8, .value = tail};
}

uint64_t vtd_queue_address(const struct iom_software *software)
{
    return software->queue_base | (vtd_is_scalable(software) ? IOM_VTD_IQA_DW : 0) |
           (software->queue_log2 - IOM_PAGE_LOG2);
}

// ---- flushes -------------------------------------------------------------------------------------

static uint64_t head(enum vtd_descriptor_type type, unsigned granularity, uint32_t domain)
{
    return (uint64_t)type | (uint64_t)granularity << VTD_DESCRIPTOR_G_SHIFT |
           (uint64_t)domain << VTD_DESCRIPTOR_DID_SHIFT;
}

static bool range_is_aligned(const struct iom_flush *flush)
{
    return flush->pages_log2 <= WHOLE_SPACE_LOG2 &&
           iom_low_bits(flush->iova, IOM_PAGE_LOG2 + flush->pages_log2) == 0;
}

static bool pages_are_possible(const struct iom_software *software, const struct iom_flush *flush)
{
    return range_is_aligned(flush) && flush->pages_log2 <= IOM_VTD_CAP_MAMV(software->config->cap);
}

static uint64_t page_word(const struct iom_flush *flush)
{
    return flush->iova | (flush->leaf_only ? VTD_DESCRIPTOR_IH : 0) | flush->pages_log2;
}

static enum iom_software_result encode_context(const struct iom_flush *flush, uint64_t *words)
{
    switch (flush->kind) {
    case IOM_FLUSH_CONTEXT_ALL:
        words[0] = head(VTD_DESCRIPTOR_CONTEXT, VTD_GRANULARITY_GLOBAL, 0);
        return IOM_SOFTWARE_OK;
    case IOM_FLUSH_CONTEXT_DOMAIN:
        words[0] = head(VTD_DESCRIPTOR_CONTEXT, VTD_GRANULARITY_DOMAIN, flush->domain);
        return IOM_SOFTWARE_OK;
    default:
        if (flush->function_mask > 3)
            return IOM_SOFTWARE_REFUSED;
        words[0] = head(VTD_DESCRIPTOR_CONTEXT, VTD_GRANULARITY_NARROW, flush->domain) |
                   (uint64_t)flush->source << VTD_DESCRIPTOR_SID_SHIFT |
                   (uint64_t)flush->function_mask << VTD_DESCRIPTOR_FM_SHIFT;
        return IOM_SOFTWARE_OK;
    }
}

static enum iom_software_result encode_pasid(const struct iom_software *software,
                                             const struct iom_flush *flush, uint64_t pasid, uint64_t *words)
{
    if (!vtd_is_scalable(software))
        return IOM_SOFTWARE_REFUSED;
    if (flush->kind == IOM_FLUSH_PASID_ALL)
        words[0] = head(VTD_DESCRIPTOR_PASID, VTD_PASID_GLOBAL, 0);
    else if (flush->kind == IOM_FLUSH_PASID_DOMAIN)
        words[0] = head(VTD_DESCRIPTOR_PASID, VTD_PASID_DOMAIN, flush->domain);
    else
        words[0] =
            head(VTD_DESCRIPTOR_PASID, VTD_PASID_ONE, flush->domain) | pasid << VTD_DESCRIPTOR_PASID_SHIFT;
    return IOM_SOFTWARE_OK;
}

// As Linux does, DMA is drained wherever the hardware offers it.
static uint64_t draining(const struct iom_software *software)
{
    uint64_t cap = software->config->cap;
    return (IOM_VTD_CAP_DRD(cap) ? VTD_DESCRIPTOR_DR : 0) | (IOM_VTD_CAP_DWD(cap) ? VTD_DESCRIPTOR_DW : 0);
}

static enum iom_software_result encode_iotlb(const struct iom_software *software,
                                             const struct iom_flush *flush, uint64_t *words)
{
    unsigned granularity = VTD_GRANULARITY_GLOBAL;
    if (flush->kind == IOM_FLUSH_IOTLB_DOMAIN) {
        granularity = VTD_GRANULARITY_DOMAIN;
    } else if (flush->kind == IOM_FLUSH_IOTLB_PAGES) {
        if (!IOM_VTD_CAP_PSI(software->config->cap) || !pages_are_possible(software, flush))
            return IOM_SOFTWARE_REFUSED;
        granularity = VTD_GRANULARITY_NARROW;
        words[1] = page_word(flush);
    }
    words[0] =
        head(VTD_DESCRIPTOR_IOTLB, granularity, granularity == VTD_GRANULARITY_GLOBAL ? 0 : flush->domain) |
        draining(software);
    return IOM_SOFTWARE_OK;
}

static enum iom_software_result encode_space(const struct iom_software *software,
                                             const struct iom_flush *flush, uint64_t pasid, uint64_t *words)
{
    bool pages = flush->kind == IOM_FLUSH_SPACE_PAGES;
    if (!vtd_is_scalable(software) || (pages && !pages_are_possible(software, flush)))
        return IOM_SOFTWARE_REFUSED;
    words[0] = head(VTD_DESCRIPTOR_SPACE, pages ? VTD_SPACE_PAGES : VTD_SPACE_ALL, flush->domain) |
               pasid << VTD_DESCRIPTOR_PASID_SHIFT;
    if (pages)
        words[1] = page_word(flush);
    return IOM_SOFTWARE_OK;
}

// ---- device TLBs ---------------------------------------------------------------------------------

// Address field: below the bit that says the size (clear), all bits are set.
static uint64_t device_range(uint64_t address, unsigned pages_log2, uint64_t size_flag)
{
    if (pages_log2 == 0)
        return address;
    return address | iom_low_bits(UINT64_MAX, pages_log2 - 1) << IOM_PAGE_LOG2 | size_flag;
}

static enum iom_software_result encode_device(const struct iom_software *software,
                                              const struct iom_flush *flush, uint64_t pasid, uint64_t *words)
{
    bool space = flush->kind == IOM_FLUSH_DEVICE_SPACE || flush->kind == IOM_FLUSH_DEVICE_SPACE_PAGES;
    bool all = flush->kind == IOM_FLUSH_DEVICE_ALL || flush->kind == IOM_FLUSH_DEVICE_SPACE;
    uint64_t ecap = software->config->ecap;
    uint64_t depth = flush->queue_depth % LARGEST_QUEUE_DEPTH; // 32 is coded as 0
    if (!IOM_VTD_ECAP_DT(ecap) || flush->queue_depth > LARGEST_QUEUE_DEPTH ||
        (space && (!vtd_is_scalable(software) || !IOM_VTD_ECAP_PASID(ecap))) ||
        (!all && !range_is_aligned(flush)))
        return IOM_SOFTWARE_REFUSED;
    uint64_t address = all ? 0 : flush->iova;
    unsigned pages_log2 = all ? WHOLE_SPACE_LOG2 : flush->pages_log2;
    if (space) {
        words[0] = VTD_DESCRIPTOR_DEVICE_SPACE | depth << VTD_DESCRIPTOR_SPACE_QDEP_SHIFT |
                   (uint64_t)flush->source << VTD_DESCRIPTOR_SPACE_SID_SHIFT |
                   pasid << VTD_DESCRIPTOR_PASID_SHIFT;
        words[1] = device_range(address, pages_log2, VTD_DEVICE_SPACE_SIZE);
    } else {
        words[0] = VTD_DESCRIPTOR_DEVICE_TLB | depth << VTD_DESCRIPTOR_QDEP_SHIFT |
                   (uint64_t)flush->source << VTD_DESCRIPTOR_SID_SHIFT;
        words[1] = device_range(address, pages_log2, VTD_DEVICE_SIZE);
    }
    return IOM_SOFTWARE_OK;
}

// ---- operations ----------------------------------------------------------------------------------

enum iom_software_result vtd_encode_flush(const struct iom_software *software, const struct iom_flush *flush,
                                          uint64_t words[IOM_COMMAND_WORDS])
{
    uint64_t pasid = flush->pasid == IOM_NO_PASID ? software->settings.rid_pasid : flush->pasid;
    for (unsigned i = 0; i < IOM_COMMAND_WORDS; i++)
        words[i] = 0;
    if (!IOM_VTD_ECAP_QI(software->config->ecap))
        return IOM_SOFTWARE_REFUSED;
    // Fields that the kind does not name are ignored, so only those that are used are checked.
    bool names_domain = flush->kind != IOM_FLUSH_CONTEXT_ALL && flush->kind != IOM_FLUSH_PASID_ALL &&
                        flush->kind != IOM_FLUSH_IOTLB_ALL && flush->kind < IOM_FLUSH_DEVICE_ALL;
    bool names_source = flush->kind == IOM_FLUSH_CONTEXT_DEVICE ||
                        (flush->kind >= IOM_FLUSH_DEVICE_ALL && flush->kind <= IOM_FLUSH_DEVICE_SPACE_PAGES);
    bool names_pasid = flush->kind == IOM_FLUSH_PASID_ONE || flush->kind == IOM_FLUSH_SPACE_ALL ||
                       flush->kind == IOM_FLUSH_SPACE_PAGES || flush->kind == IOM_FLUSH_DEVICE_SPACE ||
                       flush->kind == IOM_FLUSH_DEVICE_SPACE_PAGES;
    if ((names_domain && flush->domain >= vtd_software_limits(software).domains) ||
        (names_source && flush->source > UINT16_MAX) || (names_pasid && pasid >> 20 != 0))
        return IOM_SOFTWARE_REFUSED;
    switch (flush->kind) {
    case IOM_FLUSH_CONTEXT_ALL:
    case IOM_FLUSH_CONTEXT_DOMAIN:
    case IOM_FLUSH_CONTEXT_DEVICE:
        return encode_context(flush, words);
    case IOM_FLUSH_PASID_ALL:
    case IOM_FLUSH_PASID_DOMAIN:
    case IOM_FLUSH_PASID_ONE:
        return encode_pasid(software, flush, pasid, words);
    case IOM_FLUSH_IOTLB_ALL:
    case IOM_FLUSH_IOTLB_DOMAIN:
    case IOM_FLUSH_IOTLB_PAGES:
        return encode_iotlb(software, flush, words);
    case IOM_FLUSH_SPACE_ALL:
    case IOM_FLUSH_SPACE_PAGES:
        return encode_space(software, flush, pasid, words);
    case IOM_FLUSH_DEVICE_ALL:
    case IOM_FLUSH_DEVICE_PAGES:
    case IOM_FLUSH_DEVICE_SPACE:
    case IOM_FLUSH_DEVICE_SPACE_PAGES:
        return encode_device(software, flush, pasid, words);
    case IOM_FLUSH_INTERRUPTS:
        words[0] = VTD_DESCRIPTOR_INTERRUPT; // granularity 0: all entries
        return IOM_SOFTWARE_OK;
    case IOM_FLUSH_KINDS:
        break;
    }
    return IOM_SOFTWARE_REFUSED;
}

enum iom_software_result vtd_encode_sync(const struct iom_software *software, const struct iom_sync *sync,
                                         uint64_t words[IOM_COMMAND_WORDS])
{
    uint64_t ecap = software->config->ecap;
    for (unsigned i = 0; i < IOM_COMMAND_WORDS; i++)
        words[i] = 0;
    if (!IOM_VTD_ECAP_QI(ecap) || (sync->drain_page_requests && !IOM_VTD_ECAP_PDS(ecap)) ||
        (sync->write_status && (sync->address & ~VTD_WAIT_ADDRESS) != 0))
        return IOM_SOFTWARE_REFUSED;
    words[0] = (uint64_t)VTD_DESCRIPTOR_WAIT | (sync->interrupt ? VTD_WAIT_INTERRUPT : 0) |
               (sync->fence ? VTD_WAIT_FENCE : 0) | (sync->drain_page_requests ? VTD_WAIT_PAGE_DRAIN : 0);
    if (sync->write_status) {
        words[0] |= VTD_WAIT_STATUS | (uint64_t)sync->status << VTD_WAIT_DATA_SHIFT;
        words[1] = sync->address;
    }
    return IOM_SOFTWARE_OK;
}
