// SPDX-License-Identifier: Apache-2.0
//
// Entries of page tables of both stages as software writes them (VT-d Rev. 4.1, 9.8 and 9.9).
#include "core/arch/vtd/vtd_tables_internal.h"

static uint64_t page_address(uint64_t entry)
{
    return entry & IOM_VTD_PAGE_ADDRESS;
}

// ---- first stage ---------------------------------------------------------------------------------

static uint64_t first_link(uint64_t address, bool clear_flags)
{
    return address | IOM_VTD_FS_PRESENT | IOM_VTD_FS_WRITE | IOM_VTD_FS_USER |
           (clear_flags ? 0 : IOM_VTD_FS_ACCESSED);
}

static uint64_t first_page(uint64_t address, unsigned level, uint8_t permissions, bool clear_flags)
{
    uint64_t entry = address | IOM_VTD_FS_PRESENT | IOM_VTD_FS_USER;
    if (permissions & IOM_PERM_WRITE)
        entry |= IOM_VTD_FS_WRITE | (clear_flags ? 0 : IOM_VTD_FS_DIRTY);
    if (!(permissions & IOM_PERM_EXEC))
        entry |= IOM_VTD_FS_NO_EXECUTE;
    if (!clear_flags)
        entry |= IOM_VTD_FS_ACCESSED;
    return level > 1 ? entry | IOM_VTD_FS_LARGE : entry;
}

// A page that is present can be read: write permission alone becomes both.
static uint8_t first_permissions(uint64_t entry)
{
    unsigned permissions = IOM_PERM_READ;
    permissions |= entry & IOM_VTD_FS_WRITE ? IOM_PERM_WRITE : 0u;
    permissions |= entry & IOM_VTD_FS_NO_EXECUTE ? 0u : IOM_PERM_EXEC;
    return (uint8_t)permissions;
}

const struct iom_page_table_format vtd_first_format = {
    .link = first_link, .page = first_page, .address = page_address, .permissions = first_permissions};

// ---- second stage --------------------------------------------------------------------------------

static uint64_t second_link(uint64_t address, bool clear_flags)
{
    (void)clear_flags; // second-stage flags are not used
    return address | IOM_VTD_SS_READ | IOM_VTD_SS_WRITE;
}

static uint64_t second_page(uint64_t address, unsigned level, uint8_t permissions, bool clear_flags)
{
    (void)clear_flags;
    uint64_t entry = address;
    if (permissions & IOM_PERM_READ)
        entry |= IOM_VTD_SS_READ;
    if (permissions & IOM_PERM_WRITE)
        entry |= IOM_VTD_SS_WRITE;
    return level > 1 ? entry | IOM_VTD_SS_LARGE : entry;
}

static uint8_t second_permissions(uint64_t entry)
{
    unsigned permissions = entry & IOM_VTD_SS_READ ? IOM_PERM_READ : 0u;
    permissions |= entry & IOM_VTD_SS_WRITE ? IOM_PERM_WRITE : 0u;
    return (uint8_t)permissions;
}

const struct iom_page_table_format vtd_second_format = {
    .link = second_link, .page = second_page, .address = page_address, .permissions = second_permissions};
