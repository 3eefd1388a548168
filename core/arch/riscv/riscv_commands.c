// SPDX-License-Identifier: Apache-2.0
//
// The software side's queues: where they lie, the start-up of the IOMMU, and the commands for what a driver
// wants flushed ("Guidelines for initialization", "Command-Queue"). The hardware's side of the same formats
// is riscv_decode.c.
#include "core/arch/riscv/riscv_commands.h"

#include <string.h>

#include "core/arch/riscv/riscv_tables_internal.h"

#define FAULT_QUEUE_LOG2 7u ///< records in a page of 4 KiB
#define COMMAND_LOG2 4u
#define LARGEST_QUEUE_LOG2 31u
/// With S a range has the form of PCIe: the lowest 0 bit of the page number says its size, so that half of
/// the address space is the largest that has an address.
#define LARGEST_RANGE_LOG2 51u
#define WHOLE_SPACE_LOG2 52u ///< pages of the whole 64-bit address space
/// Without S each page takes a command; Linux gives up at 2 MiB and flushes the address space.
#define PAGE_COMMANDS 512u

// ---- queue -----------------------------------------------------------------------------------------------

enum iom_software_result riscv_set_queue(struct iom_software *software, uint64_t base, unsigned size_log2)
{
    if (size_log2 < IOM_PAGE_LOG2 || size_log2 > LARGEST_QUEUE_LOG2 || iom_low_bits(base, size_log2) != 0 ||
        (base & software->config->derived.above_address) != 0)
        return IOM_SOFTWARE_REFUSED;
    software->queue_base = base;
    software->queue_log2 = (uint8_t)size_log2;
    return IOM_SOFTWARE_OK;
}

static bool has_ranges(const struct iom_software *software)
{
    return riscv_has(software->config, IOM_RISCV_CAP_S_BIT);
}

void riscv_queue_registers(const struct iom_software *software, struct iom_queue_registers *registers)
{
    *registers = (struct iom_queue_registers){
        .command_bytes = RISCV_COMMAND_BYTES,
        .capacity_bytes = software->queue_log2 == 0 ? 0 : UINT32_C(1) << software->queue_log2,
        .largest_pages_log2 = has_ranges(software) ? LARGEST_RANGE_LOG2 : 0,
        .page_commands = has_ranges(software) ? 1 : PAGE_COMMANDS,
        .page_selective = true,
        .error_offset = IOM_RISCV_CQCSR,
        .error_fatal = RISCV_QUEUE_ILLEGAL | RISCV_QUEUE_MEMORY_FAULT,
        .error_timeout = RISCV_QUEUE_TIMEOUT,
        .error_keep = RISCV_QUEUE_ENABLE,
        .head_offset = IOM_RISCV_CQH,
        .head_bytes = 4,
        .head_unit = RISCV_COMMAND_BYTES,
    };
}

void riscv_doorbell(const struct iom_software *software, uint32_t tail, struct iom_register_write *write)
{
    (void)software;
    *write =
        (struct iom_register_write){.offset = IOM_RISCV_CQT, .bytes = 4, .value = tail / RISCV_COMMAND_BYTES};
}

// ---- start-up --------------------------------------------------------------------------------------------

static struct iom_register_write queue_base(uint32_t offset, uint64_t base, unsigned entries_log2)
{
    return (struct iom_register_write){
        .offset = offset, .bytes = 8, .value = base >> IOM_PAGE_LOG2 << 10 | (entries_log2 - 1)};
}

// Switches a queue on, and polls until it is.
static struct iom_register_write queue_on(uint32_t offset)
{
    return (struct iom_register_write){.offset = offset,
                                       .bytes = 4,
                                       .value = RISCV_QUEUE_ENABLE,
                                       .poll_offset = offset,
                                       .poll_bytes = 4,
                                       .poll_mask = RISCV_QUEUE_ON | RISCV_QUEUE_BUSY,
                                       .poll_value = RISCV_QUEUE_ON};
}

// Sets the mode, and polls until the hardware has taken it.
static struct iom_register_write mode(uint64_t root, unsigned iommu_mode)
{
    return (struct iom_register_write){.offset = IOM_RISCV_DDTP,
                                       .bytes = 8,
                                       .value = root >> IOM_PAGE_LOG2 << 10 | iommu_mode,
                                       .poll_offset = IOM_RISCV_DDTP,
                                       .poll_bytes = 8,
                                       .poll_mask = RISCV_DDTP_BUSY | RISCV_DDTP_MODE,
                                       .poll_value = iommu_mode};
}

// The mode may change from one with a directory to another only by way of Off or Bare, whatever was before.
size_t riscv_startup(const struct iom_software *software, struct iom_register_write *list, size_t capacity)
{
    struct iom_register_write writes[7];
    size_t count = 0;
    writes[count++] = mode(0, IOM_RISCV_OFF);
    if (software->queue_log2 != 0) {
        writes[count++] =
            queue_base(IOM_RISCV_CQB, software->queue_base, software->queue_log2 - COMMAND_LOG2);
        riscv_doorbell(software, 0, &writes[count++]);
        writes[count++] = queue_on(IOM_RISCV_CQCSR);
    }
    writes[count++] = queue_base(IOM_RISCV_FQB, software->fault_base, FAULT_QUEUE_LOG2);
    writes[count++] = queue_on(IOM_RISCV_FQCSR);
    writes[count++] =
        mode(riscv_directory_root(&software->devices), IOM_RISCV_BARE + software->settings.directory_levels);
    for (size_t i = 0; i < count && i < capacity; i++)
        list[i] = writes[i];
    return count;
}

// ---- flushes ---------------------------------------------------------------------------------------------

static uint64_t head(enum riscv_opcode opcode, enum riscv_function function)
{
    return (uint64_t)opcode | (uint64_t)function << RISCV_COMMAND_FUNCTION_SHIFT;
}

// Directory entries know nothing of domains, so a flush of those of a domain is one of all. INVAL_DDT takes
// the process contexts of the device along; only a single one can be named alone.
static enum iom_software_result encode_directory(const struct iom_software *software,
                                                 const struct iom_flush *flush, uint64_t process,
                                                 uint64_t *words)
{
    uint64_t device = RISCV_DIRECTORY_DV | (uint64_t)flush->source << RISCV_DIRECTORY_DID_SHIFT;
    bool one_device = flush->kind == IOM_FLUSH_CONTEXT_DEVICE || flush->kind == IOM_FLUSH_PASID_ONE;
    if (one_device && (flush->function_mask != 0 || flush->source >> riscv_device_bits(software) != 0))
        return IOM_SOFTWARE_REFUSED;
    if (flush->kind < IOM_FLUSH_PASID_ALL) {
        words[0] = head(RISCV_OPCODE_IODIR, RISCV_FUNCTION_INVAL_DDT) | (one_device ? device : 0);
        return IOM_SOFTWARE_OK;
    }
    if (software->settings.process_bits == 0 ||
        (one_device && process >> software->settings.process_bits != 0))
        return IOM_SOFTWARE_REFUSED;
    words[0] = one_device ? head(RISCV_OPCODE_IODIR, RISCV_FUNCTION_INVAL_PDT) | device |
                                process << RISCV_COMMAND_PID_SHIFT
                          : head(RISCV_OPCODE_IODIR, RISCV_FUNCTION_INVAL_DDT);
    return IOM_SOFTWARE_OK;
}

static bool range_is_aligned(const struct iom_flush *flush)
{
    return flush->pages_log2 <= WHOLE_SPACE_LOG2 &&
           iom_low_bits(flush->iova, IOM_PAGE_LOG2 + flush->pages_log2) == 0;
}

// Address of a range: below the bit that ends it (clear), all page number bits are set.
static uint64_t range_address(uint64_t address, unsigned pages_log2)
{
    return pages_log2 == 0 ? address : address | iom_low_bits(UINT64_MAX, pages_log2 - 1) << IOM_PAGE_LOG2;
}

// Operands of a domain: its PSCID, its GSCID, or its PSCID in the guest.
static uint64_t space_operands(const struct iom_software *software, uint32_t domain)
{
    uint64_t operands = 0;
    if (riscv_builds_first(software))
        operands |= RISCV_INVAL_PSCV | (uint64_t)domain << RISCV_COMMAND_PID_SHIFT;
    if (riscv_builds_nested(software))
        operands |= RISCV_INVAL_GV | (uint64_t)software->settings.guest << RISCV_INVAL_GSCID_SHIFT;
    else if (!riscv_builds_first(software))
        operands |= RISCV_INVAL_GV | (uint64_t)domain << RISCV_INVAL_GSCID_SHIFT;
    return operands;
}

// What the driver calls first-stage and second-stage flushes are the same here: those of the stage that it
// maps.
static enum iom_software_result encode_translation(const struct iom_software *software,
                                                   const struct iom_flush *flush, uint64_t *words)
{
    bool all = flush->kind == IOM_FLUSH_IOTLB_ALL;
    bool pages = flush->kind == IOM_FLUSH_IOTLB_PAGES || flush->kind == IOM_FLUSH_SPACE_PAGES;
    // In nested mode GVMA without operands removes what VMA would, of all guests.
    bool first =
        all ? software->settings.mode == IOM_RISCV_SOFTWARE_FIRST_STAGE : riscv_builds_first(software);
    words[0] = head(RISCV_OPCODE_IOTINVAL, first ? RISCV_FUNCTION_VMA : RISCV_FUNCTION_GVMA);
    if (all)
        return IOM_SOFTWARE_OK;
    words[0] |= space_operands(software, flush->domain);
    if (!pages)
        return IOM_SOFTWARE_OK;
    if (!range_is_aligned(flush) || flush->pages_log2 > (has_ranges(software) ? LARGEST_RANGE_LOG2 : 0))
        return IOM_SOFTWARE_REFUSED;
    // An address reaches leaf entries alone. Without NL, tables go with the whole address space only.
    if (!flush->leaf_only && !riscv_has(software->config, IOM_RISCV_CAP_NL_BIT))
        return IOM_SOFTWARE_OK;
    words[0] |= RISCV_INVAL_AV | (flush->leaf_only ? 0 : RISCV_INVAL_NL);
    words[1] =
        range_address(flush->iova, flush->pages_log2) >> 2 | (flush->pages_log2 != 0 ? RISCV_INVAL_S : 0);
    return IOM_SOFTWARE_OK;
}

static enum iom_software_result encode_device(const struct iom_software *software,
                                              const struct iom_flush *flush, uint64_t *words)
{
    bool space = flush->kind == IOM_FLUSH_DEVICE_SPACE || flush->kind == IOM_FLUSH_DEVICE_SPACE_PAGES;
    bool all = flush->kind == IOM_FLUSH_DEVICE_ALL || flush->kind == IOM_FLUSH_DEVICE_SPACE;
    if (!riscv_has(software->config, IOM_RISCV_CAP_ATS_BIT) || flush->source >> 24 != 0 ||
        (space && flush->pasid >> 20 != 0) || (!all && !range_is_aligned(flush)))
        return IOM_SOFTWARE_REFUSED;
    unsigned pages_log2 = all ? WHOLE_SPACE_LOG2 : flush->pages_log2;
    uint64_t segment = flush->source >> 16;
    words[0] = head(RISCV_OPCODE_ATS, RISCV_FUNCTION_INVAL) | (uint64_t)(flush->source & UINT16_MAX)
                                                                  << RISCV_ATS_RID_SHIFT;
    if (segment != 0)
        words[0] |= RISCV_ATS_DSV | segment << RISCV_ATS_DSEG_SHIFT;
    if (space)
        words[0] |= RISCV_ATS_PV | (uint64_t)flush->pasid << RISCV_COMMAND_PID_SHIFT;
    words[1] =
        range_address(all ? 0 : flush->iova, pages_log2) | (pages_log2 != 0 ? RISCV_ATS_PAYLOAD_SIZED : 0);
    return IOM_SOFTWARE_OK;
}

// ---- operations ------------------------------------------------------------------------------------------

enum iom_software_result riscv_encode_flush(const struct iom_software *software,
                                            const struct iom_flush *flush, uint64_t words[IOM_COMMAND_WORDS])
{
    memset(words, 0, IOM_COMMAND_WORDS * sizeof *words);
    // Fields that the kind does not name are ignored, so only those that are used are checked.
    bool names_domain = flush->kind == IOM_FLUSH_IOTLB_DOMAIN || flush->kind == IOM_FLUSH_IOTLB_PAGES ||
                        flush->kind == IOM_FLUSH_SPACE_ALL || flush->kind == IOM_FLUSH_SPACE_PAGES;
    if (names_domain && flush->domain >= riscv_software_limits(software).domains)
        return IOM_SOFTWARE_REFUSED;
    switch (flush->kind) {
    case IOM_FLUSH_CONTEXT_ALL:
    case IOM_FLUSH_CONTEXT_DOMAIN:
    case IOM_FLUSH_CONTEXT_DEVICE:
    case IOM_FLUSH_PASID_ALL:
    case IOM_FLUSH_PASID_DOMAIN:
    case IOM_FLUSH_PASID_ONE:
        return encode_directory(software, flush, flush->pasid == IOM_NO_PASID ? 0 : flush->pasid, words);
    case IOM_FLUSH_IOTLB_ALL:
    case IOM_FLUSH_IOTLB_DOMAIN:
    case IOM_FLUSH_IOTLB_PAGES:
    case IOM_FLUSH_SPACE_ALL:
    case IOM_FLUSH_SPACE_PAGES:
        return encode_translation(software, flush, words);
    case IOM_FLUSH_DEVICE_ALL:
    case IOM_FLUSH_DEVICE_PAGES:
    case IOM_FLUSH_DEVICE_SPACE:
    case IOM_FLUSH_DEVICE_SPACE_PAGES:
        return encode_device(software, flush, words);
    case IOM_FLUSH_INTERRUPTS: // no such cache
    case IOM_FLUSH_KINDS:
        break;
    }
    return IOM_SOFTWARE_REFUSED;
}

// As Linux does, DMA that was translated before is drained. Later commands always wait for a fence.
enum iom_software_result riscv_encode_sync(const struct iom_software *software, const struct iom_sync *sync,
                                           uint64_t words[IOM_COMMAND_WORDS])
{
    memset(words, 0, IOM_COMMAND_WORDS * sizeof *words);
    if (sync->drain_page_requests || (sync->interrupt && !(software->config->fctl & IOM_RISCV_FCTL_WSI)) ||
        (sync->write_status && iom_low_bits(sync->address, 2) != 0))
        return IOM_SOFTWARE_REFUSED;
    words[0] = head(RISCV_OPCODE_IOFENCE, RISCV_FUNCTION_FENCE) | RISCV_FENCE_PR | RISCV_FENCE_PW |
               (sync->interrupt ? RISCV_FENCE_WSI : 0);
    if (sync->write_status) {
        words[0] |= RISCV_FENCE_AV | (uint64_t)sync->status << RISCV_FENCE_DATA_SHIFT;
        words[1] = sync->address >> 2;
    }
    return IOM_SOFTWARE_OK;
}
