// SPDX-License-Identifier: Apache-2.0
//
// In-memory formats of VT-d: root, context, PASID and page tables (9.1 to 9.9, Rev. 4.1).
//
// Tables are little-endian arrays of 64-bit words; the structs document size and order, the masks
// name the fields of each word.
#ifndef IOM_CORE_ARCH_VTD_FORMATS_H
#define IOM_CORE_ARCH_VTD_FORMATS_H

#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Root entry (9.1); in scalable mode (9.2) the low word serves devices 0..15, the high word 16..31.
struct iom_vtd_root_entry {
    uint64_t low;
    uint64_t high;
};
static_assert(sizeof(struct iom_vtd_root_entry) == 16, "root entry");

/// Legacy context entry (9.3), indexed by device and function.
struct iom_vtd_context_entry {
    uint64_t low;
    uint64_t high;
};
static_assert(sizeof(struct iom_vtd_context_entry) == 16, "context entry");

/// Scalable-mode context entry (9.4), indexed by the low 7 bits of device and function.
struct iom_vtd_sm_context_entry {
    uint64_t word[4];
};
static_assert(sizeof(struct iom_vtd_sm_context_entry) == 32, "scalable-mode context entry");

/// PASID-table entry (9.6), indexed by PASID[5:0]; the directory (9.5) is an array of words.
struct iom_vtd_pasid_entry {
    uint64_t word[8];
};
static_assert(sizeof(struct iom_vtd_pasid_entry) == 64, "PASID-table entry");

#define IOM_VTD_PRESENT UINT64_C(1) ///< bit 0 of root, context, directory and PASID entries
#define IOM_VTD_FPD UINT64_C(2)     ///< fault processing disable: context, directory, PASID entries
#define IOM_VTD_POINTER UINT64_C(0xfffffffffffff000)

// Legacy context entry.
#define IOM_VTD_CONTEXT_TT_SHIFT 2u
#define IOM_VTD_CONTEXT_LOW_RESERVED UINT64_C(0xff0)
#define IOM_VTD_CONTEXT_HIGH_RESERVED UINT64_C(0xffffffffff000080)
#define IOM_VTD_CONTEXT_AW(high) ((unsigned)iom_bits(high, 2, 0))
#define IOM_VTD_CONTEXT_DID_SHIFT 8u
#define IOM_VTD_CONTEXT_DID(high) ((uint32_t)iom_bits(high, 23, 8))

enum iom_vtd_context_type {
    IOM_VTD_TT_UNTRANSLATED = 0, ///< untranslated requests only
    IOM_VTD_TT_ALL = 1,          ///< also translation and translated requests
    IOM_VTD_TT_PASS_THROUGH = 2, ///< untranslated requests pass unchanged
    IOM_VTD_TT_RESERVED = 3,
};

// Scalable-mode context entry.
#define IOM_VTD_SMC_DTE (UINT64_C(1) << 2)
#define IOM_VTD_SMC_PASIDE (UINT64_C(1) << 3)
#define IOM_VTD_SMC_PRE (UINT64_C(1) << 4)
#define IOM_VTD_SMC_LOW_RESERVED UINT64_C(0x1e0)
#define IOM_VTD_SMC_PDTS_SHIFT 9u
#define IOM_VTD_SMC_PDTS(low) ((unsigned)iom_bits(low, 11, 9))
#define IOM_VTD_SMC_RID_PASID(word1) ((uint32_t)iom_bits(word1, 19, 0))
#define IOM_VTD_SMC_RID_PRIV (UINT64_C(1) << 20)
#define IOM_VTD_SMC_HIGH_RESERVED UINT64_C(0xffffffffffe00000)

// PASID directory entry.
#define IOM_VTD_PASID_DIR_RESERVED UINT64_C(0xffc)

// PASID-table entry, word 0.
#define IOM_VTD_PASID_AW_SHIFT 2u
#define IOM_VTD_PASID_AW(word0) ((unsigned)iom_bits(word0, 4, 2))
#define IOM_VTD_PASID_PGTT_SHIFT 6u
#define IOM_VTD_PASID_PGTT(word0) ((unsigned)iom_bits(word0, 8, 6))
#define IOM_VTD_PASID_SSADE (UINT64_C(1) << 9)
#define IOM_VTD_PASID_WORD0_RESERVED UINT64_C(0xc20)
// Word 1.
#define IOM_VTD_PASID_DID(word1) ((uint32_t)iom_bits(word1, 15, 0))
#define IOM_VTD_PASID_PWSNP (UINT64_C(1) << 23)
#define IOM_VTD_PASID_PGSNP (UINT64_C(1) << 24)
#define IOM_VTD_PASID_MEMORY_TYPE UINT64_C(0xfffffffffe000000) ///< CD, EMTE, PWT, PCD, EMT, PAT
#define IOM_VTD_PASID_WORD1_RESERVED UINT64_C(0x00000000007f0000)
// Word 2.
#define IOM_VTD_PASID_SRE (UINT64_C(1) << 0)
#define IOM_VTD_PASID_ERE (UINT64_C(1) << 1)
#define IOM_VTD_PASID_FSPM_SHIFT 2u
#define IOM_VTD_PASID_FSPM(word2) ((unsigned)iom_bits(word2, 3, 2))
#define IOM_VTD_PASID_WPE (UINT64_C(1) << 4)
#define IOM_VTD_PASID_NXE (UINT64_C(1) << 5)
#define IOM_VTD_PASID_SMEP (UINT64_C(1) << 6)
#define IOM_VTD_PASID_EAFE (UINT64_C(1) << 7)
#define IOM_VTD_PASID_WORD2_RESERVED UINT64_C(0xf00)

enum iom_vtd_pasid_type {
    IOM_VTD_PGTT_FIRST = 1,
    IOM_VTD_PGTT_SECOND = 2,
    IOM_VTD_PGTT_NESTED = 3,
    IOM_VTD_PGTT_PASS_THROUGH = 4,
};

enum iom_vtd_first_mode {
    IOM_VTD_FSPM_4LEVEL = 0,
    IOM_VTD_FSPM_5LEVEL = 1,
};

// Second-stage entries (9.8). An entry is present when it grants reading or writing.
#define IOM_VTD_SS_READ (UINT64_C(1) << 0)
#define IOM_VTD_SS_WRITE (UINT64_C(1) << 1)
#define IOM_VTD_SS_LARGE (UINT64_C(1) << 7)
#define IOM_VTD_SS_ACCESSED (UINT64_C(1) << 8)
#define IOM_VTD_SS_DIRTY (UINT64_C(1) << 9)
#define IOM_VTD_SS_SNOOP (UINT64_C(1) << 11)
#define IOM_VTD_SS_TRANSIENT (UINT64_C(1) << 62)

// First-stage entries (9.9): the processor's page tables.
#define IOM_VTD_FS_PRESENT (UINT64_C(1) << 0)
#define IOM_VTD_FS_WRITE (UINT64_C(1) << 1)
#define IOM_VTD_FS_USER (UINT64_C(1) << 2)
#define IOM_VTD_FS_ACCESSED (UINT64_C(1) << 5)
#define IOM_VTD_FS_DIRTY (UINT64_C(1) << 6)
#define IOM_VTD_FS_LARGE (UINT64_C(1) << 7)
#define IOM_VTD_FS_GLOBAL (UINT64_C(1) << 8)
#define IOM_VTD_FS_EXTENDED_ACCESSED (UINT64_C(1) << 10)
#define IOM_VTD_FS_NO_EXECUTE (UINT64_C(1) << 63)

/// Address field of page-table entries of both stages.
#define IOM_VTD_PAGE_ADDRESS UINT64_C(0x000ffffffffff000)

/// Levels of a table from its AW code (1: 3 levels, 39 bits; 2: 4 levels; 3: 5 levels).
#define IOM_VTD_LEVELS_OF_AW(aw) ((aw) + 2u)
/// Address bits that tables of `levels` levels translate.
#define IOM_VTD_BITS_OF_LEVELS(levels) (12u + 9u * (levels))
/// log2 of the bytes one entry of `level` covers.
#define IOM_VTD_LEVEL_SHIFT(level) (12u + 9u * ((level)-1u))

#ifdef __cplusplus
}
#endif

#endif
