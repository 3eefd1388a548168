// SPDX-License-Identifier: Apache-2.0
//
// Page-table entries as software writes them (Privileged Architecture, Sv39 to Sv57 and their x4 forms).
// Pages of the second stage are those of user mode, and so are pages for DMA in the first.
#include "core/arch/riscv/riscv_formats.h"
#include "core/arch/riscv/riscv_tables_internal.h"

// PPN from bit 10 on.
static uint64_t entry_of(uint64_t address, uint64_t flags)
{
    return address >> IOM_PAGE_LOG2 << 10 | flags;
}

static uint64_t link_entry(uint64_t address, bool clear_flags)
{
    (void)clear_flags; // A and D are reserved here
    return entry_of(address, IOM_RISCV_VALID);
}

static uint64_t page_entry(uint64_t address, unsigned level, uint8_t permissions, bool clear_flags)
{
    (void)level;
    uint64_t flags = IOM_RISCV_VALID | IOM_RISCV_PTE_READ | IOM_RISCV_PTE_USER;
    if (permissions & IOM_PERM_WRITE)
        flags |= IOM_RISCV_PTE_WRITE | (clear_flags ? 0 : IOM_RISCV_PTE_DIRTY);
    if (permissions & IOM_PERM_EXEC)
        flags |= IOM_RISCV_PTE_EXEC;
    if (!clear_flags)
        flags |= IOM_RISCV_PTE_ACCESSED;
    return entry_of(address, flags);
}

static uint64_t page_address(uint64_t entry)
{
    return IOM_RISCV_ENTRY_ADDRESS(entry);
}

static uint8_t page_permissions(uint64_t entry)
{
    unsigned permissions = IOM_PERM_READ;
    permissions |= entry & IOM_RISCV_PTE_WRITE ? IOM_PERM_WRITE : 0u;
    permissions |= entry & IOM_RISCV_PTE_EXEC ? IOM_PERM_EXEC : 0u;
    return (uint8_t)permissions;
}

const struct iom_page_table_format riscv_page_format = {
    .link = link_entry, .page = page_entry, .address = page_address, .permissions = page_permissions};
