// SPDX-License-Identifier: Apache-2.0
//
// MSI page tables: which guest pages are virtual interrupt files, and where accesses to them go.
//
// Source: RISC-V IOMMU Architecture Specification 1.0, "MSI address mask and pattern", "Process to translate
// addresses of MSIs".
#include "core/arch/riscv/riscv_internal.h"

// Bits in which the page differs from the pattern, those of the mask left out.
static uint64_t difference(const struct iom_riscv_config *config, const struct iom_context *context,
                           uint64_t guest_address)
{
    uint64_t page = iom_low_bits(guest_address, config->derived.guest_bits) >> IOM_PAGE_LOG2;
    return (page ^ context->extra[RISCV_EXTRA_MSI_PATTERN]) & ~context->extra[RISCV_EXTRA_MSI_MASK];
}

bool riscv_msi_matches(const struct iom_riscv_config *config, const struct iom_context *context,
                       uint64_t guest_address)
{
    return riscv_has_msi(context) && difference(config, context, guest_address) == 0;
}

// A range of 2^n pages contains an interrupt file if all that differs lies in its low n bits.
uint8_t riscv_msi_clear_log2(const struct iom_riscv_config *config, const struct iom_context *context,
                             uint64_t guest_address, uint8_t size_log2)
{
    static const uint8_t sizes[] = {48, 39, 30, 22, 21, 16, IOM_PAGE_LOG2}; // pages of some table format
    if (!riscv_has_msi(context))
        return size_log2;
    uint64_t differs = difference(config, context, guest_address);
    for (unsigned i = 0; i < sizeof sizes; i++) {
        if (sizes[i] <= size_log2 && differs >> (sizes[i] - IOM_PAGE_LOG2) != 0)
            return sizes[i];
    }
    return IOM_PAGE_LOG2;
}

// Step 5: the bits of the page number that the mask names, packed.
static uint64_t extract(uint64_t page, uint64_t mask)
{
    uint64_t packed = 0;
    for (unsigned bit = 0; mask != 0; bit++) {
        packed |= (page >> iom_ctz64(mask) & 1) << bit;
        mask &= mask - 1;
    }
    return packed;
}

void riscv_msi_start(struct iom_walk *walk)
{
    const struct iom_context *context = &walk->x.context;
    uint64_t file =
        extract(walk->scratch[RISCV_GUEST] >> IOM_PAGE_LOG2, context->extra[RISCV_EXTRA_MSI_MASK]);
    uint64_t table = IOM_RISCV_POINTER_ADDRESS(context->extra[RISCV_EXTRA_MSIPTP]);
    riscv_walk_read(walk, RISCV_PHASE_MSI, table | file * IOM_RISCV_MSI_ENTRY_BYTES, // 6. and 7.
                    IOM_RISCV_MSI_ENTRY_BYTES);
}

// Steps 7 to 14: the fault an entry leads to, whatever the request; 0 if none.
static unsigned entry_fault(const struct iom_riscv_config *config, uint64_t low, uint64_t high)
{
    if (!(low & IOM_RISCV_VALID))
        return IOM_RISCV_FAULT_MSI_INVALID;
    if (low & IOM_RISCV_MSI_CUSTOM) // its meaning is the implementation's choice: none here
        return IOM_RISCV_FAULT_MSI_MISCONFIGURED;
    bool good = false;
    if (IOM_RISCV_MSI_MODE(low) == IOM_RISCV_MSI_BASIC)
        good = (low & IOM_RISCV_MSI_BASIC_RESERVED) == 0; // the second doubleword is software's
    else if (IOM_RISCV_MSI_MODE(low) == IOM_RISCV_MSI_MRIF)
        good = riscv_has(config, IOM_RISCV_CAP_MSI_MRIF_BIT) && (low & IOM_RISCV_MSI_MRIF_RESERVED) == 0 &&
               (high & IOM_RISCV_MSI_NOTICE_RESERVED) == 0;
    return good ? 0 : IOM_RISCV_FAULT_MSI_MISCONFIGURED;
}

// Permissions are those of a second-stage entry with R, W and U, without X.
static void finish(const struct iom_arch *arch, struct iom_walk *walk, uint64_t low, uint64_t high)
{
    struct riscv_last_stage last = {.rights = RISCV_SECOND_ALL & ~RISCV_SECOND_EXEC,
                                    .attributes = IOM_RISCV_LEAF_MSI,
                                    .size_log2 = IOM_PAGE_LOG2};
    if (IOM_RISCV_MSI_MODE(low) == IOM_RISCV_MSI_BASIC) { // 13.
        last.output = IOM_RISCV_ENTRY_ADDRESS(low) | iom_low_bits(walk->scratch[RISCV_GUEST], IOM_PAGE_LOG2);
        riscv_walk_finish(arch, walk, &last);
        return;
    }
    last.output = IOM_RISCV_MSI_MRIF_ADDRESS(low); // 14.
    riscv_walk_finish_mrif(arch, walk, &last,
                           IOM_RISCV_NOTICE(IOM_RISCV_MSI_NOTICE_ID(high), IOM_RISCV_MSI_NOTICE_PPN(high)));
}

void riscv_msi_step(const struct iom_arch *arch, struct iom_walk *walk)
{
    bool big = (walk->x.context.attributes & RISCV_BIG) != 0;
    enum iom_access access = riscv_walk_access(arch, walk);
    if (access != IOM_ACCESS_OK) { // 7. and 8.
        riscv_walk_refuse(
            walk, access == IOM_ACCESS_REFUSED ? IOM_RISCV_FAULT_MSI_LOAD : IOM_RISCV_FAULT_MSI_CORRUPTION,
            0);
        return;
    }
    uint64_t low = riscv_word(walk->data[0], big);
    uint64_t high = riscv_word(walk->data[1], big);
    unsigned fault = entry_fault(riscv_config(arch), low, high);
    bool fetches = riscv_access_of(&walk->x).exec && !(walk->x.flags & IOM_REQ_TRANSLATE);
    if (fault != 0)
        riscv_walk_refuse(walk, (enum iom_riscv_fault)fault, 0);
    else if (fetches) // 15.
        riscv_walk_refuse(walk, IOM_RISCV_FAULT_FETCH_ACCESS, 0);
    else
        finish(arch, walk, low, high);
}
