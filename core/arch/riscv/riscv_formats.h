// SPDX-License-Identifier: Apache-2.0
//
// In-memory formats of the RISC-V IOMMU: device and process directories and contexts, MSI page tables
// ("Data Structures"), and the page-table entries of the Privileged Architecture (Sv32 to Sv57, Svnapot,
// Svpbmt, Svrsw60t59b).
//
// All are arrays of 64-bit doublewords (entries of Sv32: 32-bit words) in the byte order that fctl.BE or
// DC.tc.SBE says; the masks name the fields of a doubleword once it has been put in order.
#ifndef IOM_CORE_ARCH_RISCV_FORMATS_H
#define IOM_CORE_ARCH_RISCV_FORMATS_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- device and process directories ----------------------------------------------------------------------

#define IOM_RISCV_VALID UINT64_C(1) ///< V: bit 0 of directory entries, contexts, MSI and page-table entries
/// Address that a PPN in bits 53:10 (directory, page-table and MSI entries) stands for.
#define IOM_RISCV_ENTRY_ADDRESS(entry) (iom_bits(entry, 53, 10) << IOM_PAGE_LOG2)
#define IOM_RISCV_DIRECTORY_RESERVED (~(iom_low_bits(UINT64_MAX, 44) << 10 | IOM_RISCV_VALID))

/// Pointers with a mode in bits 63:60 and a PPN in bits 43:0: iohgatp, iosatp, pdtp, msiptp.
#define IOM_RISCV_POINTER_ADDRESS(pointer) (iom_bits(pointer, 43, 0) << IOM_PAGE_LOG2)
#define IOM_RISCV_POINTER_MODE(pointer) ((unsigned)iom_bits(pointer, 63, 60))
#define IOM_RISCV_POINTER_RESERVED (iom_low_bits(UINT64_MAX, 16) << 44) ///< not of iohgatp

/// Doublewords of a device context; the base format ends after FSC.
enum iom_riscv_device_context {
    IOM_RISCV_DC_TC,
    IOM_RISCV_DC_IOHGATP,
    IOM_RISCV_DC_TA,
    IOM_RISCV_DC_FSC,
    IOM_RISCV_DC_BASE_WORDS,
    IOM_RISCV_DC_MSIPTP = IOM_RISCV_DC_BASE_WORDS,
    IOM_RISCV_DC_MSI_MASK,
    IOM_RISCV_DC_MSI_PATTERN,
    IOM_RISCV_DC_RESERVED,
    IOM_RISCV_DC_EXTENDED_WORDS,
};

/// Translation control (tc).
#define IOM_RISCV_TC_EN_ATS (UINT64_C(1) << 1)
#define IOM_RISCV_TC_EN_PRI (UINT64_C(1) << 2)
#define IOM_RISCV_TC_T2GPA (UINT64_C(1) << 3)
#define IOM_RISCV_TC_DTF (UINT64_C(1) << 4)
#define IOM_RISCV_TC_PDTV (UINT64_C(1) << 5)
#define IOM_RISCV_TC_PRPR (UINT64_C(1) << 6)
#define IOM_RISCV_TC_GADE (UINT64_C(1) << 7)
#define IOM_RISCV_TC_SADE (UINT64_C(1) << 8)
#define IOM_RISCV_TC_DPE (UINT64_C(1) << 9)
#define IOM_RISCV_TC_SBE (UINT64_C(1) << 10)
#define IOM_RISCV_TC_SXL (UINT64_C(1) << 11)
#define IOM_RISCV_TC_FIELDS UINT64_C(0xfff)
#define IOM_RISCV_TC_CUSTOM UINT64_C(0xff000000)

/// Translation attributes (ta) of a device context.
#define IOM_RISCV_TA_PSCID(ta) ((uint32_t)iom_bits(ta, 31, 12))
#define IOM_RISCV_TA_RESERVED UINT64_C(0x000000ff00000fff)
#define IOM_RISCV_TA_QOS UINT64_C(0xffffff0000000000) ///< RCID, MCID
#define IOM_RISCV_IOHGATP_GSCID(iohgatp) ((uint32_t)iom_bits(iohgatp, 59, 44))
#define IOM_RISCV_MSI_PAGE_RESERVED UINT64_C(0xfff0000000000000) ///< of msi_addr_mask and msi_addr_pattern

/// Doublewords of a process context.
enum iom_riscv_process_context {
    IOM_RISCV_PC_TA,
    IOM_RISCV_PC_FSC,
    IOM_RISCV_PC_WORDS,
};
#define IOM_RISCV_PC_ENS (UINT64_C(1) << 1)
#define IOM_RISCV_PC_SUM (UINT64_C(1) << 2)
#define IOM_RISCV_PC_RESERVED UINT64_C(0xffffffff00000ff8)

/// iosatp.MODE and iohgatp.MODE; 8 stands for Sv32 where SXL (GXL) is 1.
enum iom_riscv_table_mode {
    IOM_RISCV_MODE_BARE = 0,
    IOM_RISCV_MODE_SV39 = 8,
    IOM_RISCV_MODE_SV32 = 8,
    IOM_RISCV_MODE_SV48 = 9,
    IOM_RISCV_MODE_SV57 = 10,
};

/// pdtp.MODE; also the number of levels.
enum iom_riscv_process_mode {
    IOM_RISCV_PROCESS_BARE,
    IOM_RISCV_PD8,
    IOM_RISCV_PD17,
    IOM_RISCV_PD20,
};

/// msiptp.MODE.
enum iom_riscv_msi_mode {
    IOM_RISCV_MSI_OFF,
    IOM_RISCV_MSI_FLAT,
};

// ---- page tables -----------------------------------------------------------------------------------------

#define IOM_RISCV_PTE_READ (UINT64_C(1) << 1)
#define IOM_RISCV_PTE_WRITE (UINT64_C(1) << 2)
#define IOM_RISCV_PTE_EXEC (UINT64_C(1) << 3)
#define IOM_RISCV_PTE_USER (UINT64_C(1) << 4)
#define IOM_RISCV_PTE_GLOBAL (UINT64_C(1) << 5)
#define IOM_RISCV_PTE_ACCESSED (UINT64_C(1) << 6)
#define IOM_RISCV_PTE_DIRTY (UINT64_C(1) << 7)
#define IOM_RISCV_PTE_RESERVED UINT64_C(0x1fc0000000000000) ///< bits 60:54
#define IOM_RISCV_PTE_SOFTWARE UINT64_C(0x1800000000000000) ///< bits 60:59, free with Svrsw60t59b
#define IOM_RISCV_PTE_TYPE(entry) ((unsigned)iom_bits(entry, 62, 61))
#define IOM_RISCV_PTE_TYPE_BITS (UINT64_C(3) << 61)
#define IOM_RISCV_PTE_NAPOT (UINT64_C(1) << 63)
#define IOM_RISCV_NAPOT_LOG2 16u ///< the only size Svnapot defines
#define IOM_RISCV_NAPOT_PPN 8u   ///< low PPN bits that encode it
#define IOM_RISCV_NAPOT_PPN_MASK 15u

/// Address bits an entry of `level` (1 = lowest) covers; Sv32 has 10 bits a level, the others 9.
#define IOM_RISCV_INDEX_BITS(narrow) ((narrow) ? 10u : 9u)
#define IOM_RISCV_LEVEL_SHIFT(narrow, level) (IOM_PAGE_LOG2 + ((level)-1u) * IOM_RISCV_INDEX_BITS(narrow))
/// Address bits of a whole table; the root of the second stage has two more.
#define IOM_RISCV_WIDTH(narrow, levels) ((narrow) ? 32u : IOM_RISCV_LEVEL_SHIFT(false, (levels) + 1u))
#define IOM_RISCV_GUEST_BITS 2u

// ---- MSI page tables -------------------------------------------------------------------------------------

#define IOM_RISCV_MSI_ENTRY_BYTES 16u
#define IOM_RISCV_MSI_MODE(entry) ((unsigned)iom_bits(entry, 2, 1))
#define IOM_RISCV_MSI_CUSTOM (UINT64_C(1) << 63)
#define IOM_RISCV_MSI_BASIC_RESERVED UINT64_C(0x7fc00000000003f8)
#define IOM_RISCV_MSI_MRIF_RESERVED UINT64_C(0x7fc0000000000078)
#define IOM_RISCV_MSI_MRIF_ADDRESS(entry) (iom_bits(entry, 53, 7) << 9)
#define IOM_RISCV_MSI_NOTICE_RESERVED UINT64_C(0xefc0000000000000)
#define IOM_RISCV_MSI_NOTICE_ID(entry) (iom_bits(entry, 60, 60) << 10 | iom_bits(entry, 9, 0))
#define IOM_RISCV_MSI_NOTICE_PPN(entry) iom_bits(entry, 53, 10)

enum iom_riscv_msi_entry_mode {
    IOM_RISCV_MSI_MRIF = 1,
    IOM_RISCV_MSI_BASIC = 3,
};

#ifdef __cplusplus
}
#endif

#endif
