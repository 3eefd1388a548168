// SPDX-License-Identifier: Apache-2.0
//
// Intel VT-d: what the rest of the program may know about it.
//
// Configuration (capabilities and widths), the operations table, fault reasons, and the register map.
// Source: Intel Virtualization Technology for Directed I/O, Architecture Specification, Rev. 4.1;
// section numbers below are of that revision. In-memory formats are in vtd_formats.h, the list of
// what is modelled in SPEC.md.
#ifndef IOM_CORE_ARCH_VTD_VTD_H
#define IOM_CORE_ARCH_VTD_VTD_H

#include "core/arch.h"
#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Configuration of one IOMMU; immutable once shared. Fill the first part, then call
/// iom_vtd_config_finish(), which derives the second part so that no look-up recomputes it.
struct iom_vtd_config {
    uint64_t cap;             ///< capability register (11.4.2)
    uint64_t ecap;            ///< extended capability register (11.4.3)
    uint8_t haw_bits;         ///< host address width; address bits above are reserved in every table
    enum iom_tagging tagging; ///< whether translations are shared by the devices of a domain
    /// Deviation seen in QEMU: queues of 128-bit descriptors work in scalable mode too, with all types.
    bool quirk_narrow_commands;
    /// Hardware may invalidate more than asked for (6.5.2): a context-cache command with a function mask
    /// other than 0 reaches all functions of the device.
    bool coarse_function_mask;

    struct {
        uint64_t above_haw;           ///< address bits that must be zero (also bits 63:52 of pointers)
        uint64_t root_reserved;       ///< root entry half (legacy: low word)
        uint64_t context_reserved[2]; ///< scalable-mode context entry, words 0 and 1
        uint64_t pasid_reserved[3];   ///< PASID-table entry, words 0 to 2
        uint64_t second_reserved[6];  ///< second-stage table entry by level (1..5)
        uint64_t second_leaf[6];      ///< second-stage page entry by level (1..3)
        uint64_t first_reserved[6];   ///< first-stage table entry by level
        uint64_t first_leaf[6];       ///< first-stage page entry by level
        uint8_t mgaw_bits;            ///< maximum guest address width
        uint8_t second_levels;        ///< bit n set: n-level second-stage tables are supported (n = 3..5)
        uint8_t second_large;         ///< bit n set: pages at second-stage level n (1 always, 2, 3)
        uint8_t first_large;          ///< as above for the first stage
        uint16_t fault_records;       ///< number of fault recording registers
        uint32_t fault_offset;        ///< byte offset of fault recording register 0
        uint32_t iotlb_offset;        ///< byte offset of the invalidate address register
        /// Permissions of cached translations, by rights of the tables and controls of the context
        /// (vtd_internal.h): a look-up is on the path of every DMA, working them out is not.
        uint8_t permissions[1u << 14];
    } derived;
};

/// Derives the second part. Returns null, or a static text that says what is wrong with the values
/// (widths out of range, register blocks that overlap, no translation structure supported).
const char *iom_vtd_config_finish(struct iom_vtd_config *config);

/// High-level settings from which the two capability registers are built.
struct iom_vtd_features {
    uint8_t guest_address_bits;  ///< MGAW, 39..64
    uint8_t domain_bits;         ///< 4, 6, .. 16
    uint8_t second_stage_levels; ///< bit n: n-level second-stage tables (n = 3, 4, 5)
    uint8_t pasid_bits;          ///< 7..20; used with pasid
    uint8_t max_address_mask;    ///< MAMV, pages of a page-selective invalidation as power of two
    uint16_t fault_records;      ///< 1..256
    bool second_stage_2m;        ///< 2 MiB pages in the second stage
    bool second_stage_1g;        ///< 1 GiB pages in the second stage
    bool scalable_mode;          ///< SMTS
    bool second_stage;           ///< SSTS, scalable mode only
    bool first_stage;            ///< FSTS
    bool first_stage_1g;         ///< FS1GP
    bool first_stage_5level;     ///< FS5LP
    bool nested;                 ///< NEST
    bool pass_through;           ///< PT
    bool pasid;                  ///< PASID
    bool rid_pasid;              ///< RPS
    bool device_tlb;             ///< DT
    bool page_requests;          ///< PRS
    bool supervisor_requests;    ///< SRS
    bool execute_requests;       ///< ERS
    bool extended_accessed;      ///< EAFS
    bool second_stage_dirty;     ///< SSADS
    bool coherent;               ///< C and SMPWC: page walks snoop processor caches
    bool snoop_control;          ///< SC
    bool queued_invalidation;    ///< QI
    bool interrupt_remapping;    ///< IR
    bool page_selective;         ///< PSI
    bool caching_mode;           ///< CM
    bool write_buffer_flush;     ///< RWBF
    bool drain_reads;            ///< DRD
    bool drain_writes;           ///< DWD
    bool set_root_flushes;       ///< ESRTPS: setting the root pointer flushes all caches
};

/// Builds CAP and ECAP. Returns null, or a static text naming the first setting that is impossible
/// (then *cap and *ecap are untouched). Fault recording registers are placed at 0x220, or behind the
/// whole register page if they do not fit; the IOTLB registers at 0xf0 * 16.
const char *iom_vtd_capabilities(const struct iom_vtd_features *features, uint64_t *cap, uint64_t *ecap);

/// The operations. `arch->config` must point to a finished struct iom_vtd_config.
extern const struct iom_arch_ops iom_vtd_ops;

// ---- fault reasons (7.1.3, table "DMA remapping fault conditions") --------------------------------

/// X(name, code, specification's label, text)
#define IOM_VTD_FAULTS(X)                                                                                    \
    X(ROOT_NOT_PRESENT, 0x01, "LRT.2", "root entry not present")                                             \
    X(CONTEXT_NOT_PRESENT, 0x02, "LCT.2", "context entry not present")                                       \
    X(CONTEXT_INVALID, 0x03, "LCT.4", "context entry invalid")                                               \
    X(ADDRESS_BEYOND_MGAW, 0x04, "LGN.1", "input address beyond the supported width")                        \
    X(WRITE, 0x05, "LGN.2", "no write permission")                                                           \
    X(READ, 0x06, "LGN.3", "no read permission")                                                             \
    X(PAGING_ACCESS, 0x07, "LSL.1", "access to a second-stage entry failed")                                 \
    X(ROOT_ACCESS, 0x08, "LRT.1", "access to the root table failed")                                         \
    X(CONTEXT_ACCESS, 0x09, "LCT.1", "access to the context table failed")                                   \
    X(ROOT_RESERVED, 0x0a, "LRT.3", "reserved field set in a root entry")                                    \
    X(CONTEXT_RESERVED, 0x0b, "LCT.3", "reserved field set in a context entry")                              \
    X(PAGING_RESERVED, 0x0c, "LSL.2", "reserved field set in a second-stage entry")                          \
    X(TYPE_BLOCKED, 0x0d, "LCT.5", "context entry blocks translation or translated requests")                \
    X(INTERRUPT_OUTPUT, 0x0e, "LGN.4", "translated into the interrupt address range")                        \
    X(TABLE_MODE, 0x30, "RTA.1", "root table address register invalid")                                      \
    X(LEGACY_PASID, 0x31, "RTA.2", "request with PASID in legacy mode")                                      \
    X(LEGACY_PAGE_REQUEST, 0x32, "RTA.3", "page request in legacy mode")                                     \
    X(ABORT_MODE, 0x33, "RTA.4", "abort-DMA mode")                                                           \
    X(SM_ROOT_ACCESS, 0x38, "SRT.1", "access to the scalable-mode root table failed")                        \
    X(SM_ROOT_NOT_PRESENT, 0x39, "SRT.2", "scalable-mode root entry not present")                            \
    X(SM_ROOT_RESERVED, 0x3a, "SRT.3", "reserved field set in a scalable-mode root entry")                   \
    X(SM_CONTEXT_ACCESS, 0x40, "SCT.1", "access to the scalable-mode context table failed")                  \
    X(SM_CONTEXT_NOT_PRESENT, 0x41, "SCT.2", "scalable-mode context entry not present")                      \
    X(SM_CONTEXT_RESERVED, 0x42, "SCT.3", "reserved field set in a scalable-mode context entry")             \
    X(SM_CONTEXT_INVALID, 0x43, "SCT.4", "scalable-mode context entry invalid")                              \
    X(SM_DTE_CLEAR, 0x44, "SCT.5", "translation or translated request with DTE clear")                       \
    X(SM_PASIDE_CLEAR, 0x45, "SCT.6", "request with PASID with PASIDE clear")                                \
    X(SM_PASID_TOO_LARGE, 0x46, "SCT.7", "PASID beyond the PASID directory")                                 \
    X(SM_PRE_CLEAR, 0x47, "SCT.8", "page request with PRE clear")                                            \
    X(SM_RID_PASID, 0x48, "SCT.9", "RID_PASID beyond the PASID directory")                                   \
    X(PASID_DIR_ACCESS, 0x50, "SPD.1", "access to the PASID directory failed")                               \
    X(PASID_DIR_NOT_PRESENT, 0x51, "SPD.2", "PASID-directory entry not present")                             \
    X(PASID_DIR_RESERVED, 0x52, "SPD.3", "reserved field set in a PASID-directory entry")                    \
    X(PASID_ACCESS, 0x58, "SPT.1", "access to the PASID table failed")                                       \
    X(PASID_NOT_PRESENT, 0x59, "SPT.2", "PASID-table entry not present")                                     \
    X(PASID_RESERVED, 0x5a, "SPT.3", "reserved field set in a PASID-table entry")                            \
    X(PASID_INVALID, 0x5b, "SPT.4", "PASID-table entry invalid")                                             \
    X(PASID_ERE_CLEAR, 0x5c, "SPT.5", "execute request with ERE clear")                                      \
    X(PASID_SRE_CLEAR, 0x5d, "SPT.6", "privileged request with SRE clear")                                   \
    X(FS_ACCESS, 0x70, "SFS.1", "access to a first-stage entry failed")                                      \
    X(FS_NOT_PRESENT, 0x71, "SFS.2", "first-stage entry not present")                                        \
    X(FS_RESERVED, 0x72, "SFS.3", "reserved field set in a first-stage entry")                               \
    X(FS_ROOT_ACCESS, 0x73, "SFS.4", "access to the first first-stage table failed")                         \
    X(FS_BEYOND_MGAW, 0x74, "SFS.5", "guest address beyond the second stage's width")                        \
    X(FS_ROOT_READ, 0x75, "SFS.6", "second stage denies reading the first first-stage table")                \
    X(FS_ENTRY_READ, 0x76, "SFS.7", "second stage denies reading a first-stage table")                       \
    X(FS_ENTRY_WRITE, 0x77, "SFS.8", "second stage denies updating a first-stage entry")                     \
    X(SS_ACCESS, 0x78, "SSS.1", "access to a second-stage entry failed")                                     \
    X(SS_PERMISSION, 0x79, "SSS.2", "second-stage entry grants neither read nor write")                      \
    X(SS_RESERVED, 0x7a, "SSS.3", "reserved field set in a second-stage entry")                              \
    X(SS_ROOT_ACCESS, 0x7b, "SSS.4", "access to the first second-stage table failed")                        \
    X(SS_NO_SNOOP, 0x7c, "SSS.5", "second-stage accessed/dirty update without snooping")                     \
    X(SS_UPDATE, 0x7d, "SSS.6", "second-stage accessed/dirty update failed")                                 \
    X(NOT_CANONICAL, 0x80, "SGN.1", "input address is not canonical")                                        \
    X(SUPERVISOR_PAGE, 0x81, "SGN.2", "user request to a supervisor page")                                   \
    X(NO_EXECUTE, 0x82, "SGN.3", "no execute permission")                                                    \
    X(BEYOND_HAW, 0x83, "SGN.4", "address beyond the host address width")                                    \
    X(BEYOND_AGAW, 0x84, "SGN.5", "second-stage input address beyond its width")                             \
    X(SM_WRITE, 0x85, "SGN.6", "no write permission")                                                        \
    X(SM_READ, 0x86, "SGN.7", "no read permission")                                                          \
    X(SM_INTERRUPT_ADDRESS, 0x87, "SGN.8", "translated into the interrupt address range")                    \
    X(FS_NO_SNOOP, 0x90, "SFS.9", "first-stage accessed/dirty update without snooping")                      \
    X(FS_UPDATE, 0x91, "SFS.10", "first-stage accessed/dirty update failed")

enum iom_vtd_fault {
    IOM_VTD_FAULT_NONE = 0,
#define IOM_VTD_FAULT_ENUM(name, code, label, text) IOM_VTD_FAULT_##name = (code),
    IOM_VTD_FAULTS(IOM_VTD_FAULT_ENUM)
#undef IOM_VTD_FAULT_ENUM
};

/// Text of a fault reason ("LRT.2: root entry not present"), or "unknown reason".
const char *iom_vtd_fault_text(unsigned reason);

// ---- registers (11.4) ---------------------------------------------------------------------------

enum iom_vtd_register {
    IOM_VTD_VER = 0x00,
    IOM_VTD_CAP = 0x08,
    IOM_VTD_ECAP = 0x10,
    IOM_VTD_GCMD = 0x18,
    IOM_VTD_GSTS = 0x1c,
    IOM_VTD_RTADDR = 0x20,
    IOM_VTD_CCMD = 0x28,
    IOM_VTD_FSTS = 0x34,
    IOM_VTD_FECTL = 0x38,
    IOM_VTD_FEDATA = 0x3c,
    IOM_VTD_FEADDR = 0x40,
    IOM_VTD_FEUADDR = 0x44,
    IOM_VTD_AFLOG = 0x58,
    IOM_VTD_PMEN = 0x64,
    IOM_VTD_IQH = 0x80,
    IOM_VTD_IQT = 0x88,
    IOM_VTD_IQA = 0x90,
    IOM_VTD_ICS = 0x9c,
    IOM_VTD_IECTL = 0xa0,
    IOM_VTD_IEDATA = 0xa4,
    IOM_VTD_IEADDR = 0xa8,
    IOM_VTD_IEUADDR = 0xac,
    IOM_VTD_IQERCD = 0xb0,
    IOM_VTD_IRTA = 0xb8,
    IOM_VTD_PQH = 0xc0,
    IOM_VTD_PQT = 0xc8,
    IOM_VTD_PQA = 0xd0,
    IOM_VTD_PRS = 0xdc,
    IOM_VTD_PECTL = 0xe0,
    IOM_VTD_PEDATA = 0xe4,
    IOM_VTD_PEADDR = 0xe8,
    IOM_VTD_PEUADDR = 0xec,
};

/// Bits of GCMD and of the status bits in GSTS, which stand at the same places (11.4.4).
#define IOM_VTD_GCMD_TE (UINT32_C(1) << 31)
#define IOM_VTD_GCMD_SRTP (UINT32_C(1) << 30)
#define IOM_VTD_GCMD_SFL (UINT32_C(1) << 29)
#define IOM_VTD_GCMD_EAFL (UINT32_C(1) << 28)
#define IOM_VTD_GCMD_WBF (UINT32_C(1) << 27)
#define IOM_VTD_GCMD_QIE (UINT32_C(1) << 26)
#define IOM_VTD_GCMD_IRE (UINT32_C(1) << 25)
#define IOM_VTD_GCMD_SIRTP (UINT32_C(1) << 24)
#define IOM_VTD_GCMD_CFI (UINT32_C(1) << 23)

/// Root table address register: translation table mode in bits 11:10 (11.4.5).
enum iom_vtd_table_mode {
    IOM_VTD_TTM_LEGACY = 0,
    IOM_VTD_TTM_RESERVED = 2,
    IOM_VTD_TTM_SCALABLE = 1,
    IOM_VTD_TTM_ABORT = 3,
};
#define IOM_VTD_RTADDR_TTM_SHIFT 10u

/// Context command register (11.4.6.1).
#define IOM_VTD_CCMD_ICC (UINT64_C(1) << 63)
/// IOTLB invalidate register (11.4.6.2), 8 bytes behind the invalidate address register.
#define IOM_VTD_IOTLB_IVT (UINT64_C(1) << 63)

/// Fault status register (11.4.7.1).
#define IOM_VTD_FSTS_PFO (UINT32_C(1) << 0)
#define IOM_VTD_FSTS_PPF (UINT32_C(1) << 1)
#define IOM_VTD_FSTS_IQE (UINT32_C(1) << 4)
#define IOM_VTD_FSTS_ICE (UINT32_C(1) << 5)
#define IOM_VTD_FSTS_ITE (UINT32_C(1) << 6)
#define IOM_VTD_FSTS_FRI_SHIFT 8u

/// Event control registers FECTL, IECTL, PECTL (11.4.7.2).
#define IOM_VTD_EVENT_IM (UINT32_C(1) << 31)
#define IOM_VTD_EVENT_IP (UINT32_C(1) << 30)

/// Fault recording register, high word (11.4.7.6). The low word holds the page address.
#define IOM_VTD_FRCD_F (UINT64_C(1) << 63)
#define IOM_VTD_FRCD_READ (UINT64_C(1) << 62)
#define IOM_VTD_FRCD_AT_SHIFT 60u
#define IOM_VTD_FRCD_PASID_SHIFT 40u
#define IOM_VTD_FRCD_REASON_SHIFT 32u
#define IOM_VTD_FRCD_PP (UINT64_C(1) << 31)
#define IOM_VTD_FRCD_EXE (UINT64_C(1) << 30)
#define IOM_VTD_FRCD_PRIV (UINT64_C(1) << 29)

/// Invalidation queue address register (11.4.9.3).
#define IOM_VTD_IQA_DW (UINT64_C(1) << 11)
#define IOM_VTD_IQA_QS_MASK UINT64_C(7)
/// Invalidation completion status register (11.4.9.4).
#define IOM_VTD_ICS_IWC UINT32_C(1)

/// Invalidation queue error record register (11.4.9.9): requesters of ITE and ICE.
#define IOM_VTD_IQERCD_ITESID_SHIFT 32u
#define IOM_VTD_IQERCD_ICESID_SHIFT 48u

/// Why the queue stopped with IQE: IQERCD.IQEI (11.4.9.9).
enum iom_vtd_queue_error {
    IOM_VTD_QUEUE_NO_INFORMATION = 0,
    IOM_VTD_QUEUE_TAIL = 1,       ///< tail beyond the queue
    IOM_VTD_QUEUE_FETCH = 2,      ///< descriptor could not be read
    IOM_VTD_QUEUE_TYPE = 3,       ///< unknown descriptor type
    IOM_VTD_QUEUE_RESERVED = 4,   ///< reserved field or value
    IOM_VTD_QUEUE_WIDTH = 5,      ///< descriptor width not possible, or not in this table mode
    IOM_VTD_QUEUE_ALIGNMENT = 6,  ///< tail not aligned to a 256-bit descriptor
    IOM_VTD_QUEUE_TABLE_MODE = 7, ///< reserved table mode
};

/// Address types of a fault record.
enum iom_vtd_address_type {
    IOM_VTD_AT_UNTRANSLATED = 0,
    IOM_VTD_AT_TRANSLATION = 1,
    IOM_VTD_AT_TRANSLATED = 2,
};

// ---- capability fields --------------------------------------------------------------------------

#define IOM_VTD_CAP_ND(cap) iom_bits(cap, 2, 0)
#define IOM_VTD_CAP_AFL(cap) iom_bits(cap, 3, 3)
#define IOM_VTD_CAP_RWBF(cap) iom_bits(cap, 4, 4)
#define IOM_VTD_CAP_CM(cap) iom_bits(cap, 7, 7)
#define IOM_VTD_CAP_SAGAW(cap) iom_bits(cap, 12, 8)
#define IOM_VTD_CAP_MGAW(cap) (iom_bits(cap, 21, 16) + 1)
#define IOM_VTD_CAP_ZLR(cap) iom_bits(cap, 22, 22)
#define IOM_VTD_CAP_FRO(cap) iom_bits(cap, 33, 24)
#define IOM_VTD_CAP_SSLPS(cap) iom_bits(cap, 37, 34)
#define IOM_VTD_CAP_PSI(cap) iom_bits(cap, 39, 39)
#define IOM_VTD_CAP_NFR(cap) (iom_bits(cap, 47, 40) + 1)
#define IOM_VTD_CAP_MAMV(cap) iom_bits(cap, 53, 48)
#define IOM_VTD_CAP_DWD(cap) iom_bits(cap, 54, 54)
#define IOM_VTD_CAP_DRD(cap) iom_bits(cap, 55, 55)
#define IOM_VTD_CAP_FS1GP(cap) iom_bits(cap, 56, 56)
#define IOM_VTD_CAP_FS5LP(cap) iom_bits(cap, 60, 60)
#define IOM_VTD_CAP_ESIRTPS(cap) iom_bits(cap, 62, 62)
#define IOM_VTD_CAP_ESRTPS(cap) iom_bits(cap, 63, 63)

#define IOM_VTD_ECAP_C(ecap) iom_bits(ecap, 0, 0)
#define IOM_VTD_ECAP_QI(ecap) iom_bits(ecap, 1, 1)
#define IOM_VTD_ECAP_DT(ecap) iom_bits(ecap, 2, 2)
#define IOM_VTD_ECAP_IR(ecap) iom_bits(ecap, 3, 3)
#define IOM_VTD_ECAP_PT(ecap) iom_bits(ecap, 6, 6)
#define IOM_VTD_ECAP_SC(ecap) iom_bits(ecap, 7, 7)
#define IOM_VTD_ECAP_IRO(ecap) iom_bits(ecap, 17, 8)
#define IOM_VTD_ECAP_MTS(ecap) iom_bits(ecap, 25, 25)
#define IOM_VTD_ECAP_NEST(ecap) iom_bits(ecap, 26, 26)
#define IOM_VTD_ECAP_PRS(ecap) iom_bits(ecap, 29, 29)
#define IOM_VTD_ECAP_ERS(ecap) iom_bits(ecap, 30, 30)
#define IOM_VTD_ECAP_SRS(ecap) iom_bits(ecap, 31, 31)
#define IOM_VTD_ECAP_EAFS(ecap) iom_bits(ecap, 34, 34)
#define IOM_VTD_ECAP_PSS(ecap) (iom_bits(ecap, 39, 35) + 1)
#define IOM_VTD_ECAP_PASID(ecap) iom_bits(ecap, 40, 40)
#define IOM_VTD_ECAP_PDS(ecap) iom_bits(ecap, 42, 42)
#define IOM_VTD_ECAP_SMTS(ecap) iom_bits(ecap, 43, 43)
#define IOM_VTD_ECAP_SSADS(ecap) iom_bits(ecap, 45, 45)
#define IOM_VTD_ECAP_SSTS(ecap) iom_bits(ecap, 46, 46)
#define IOM_VTD_ECAP_FSTS(ecap) iom_bits(ecap, 47, 47)
#define IOM_VTD_ECAP_SMPWC(ecap) iom_bits(ecap, 48, 48)
#define IOM_VTD_ECAP_RPS(ecap) iom_bits(ecap, 49, 49)
#define IOM_VTD_ECAP_ADMS(ecap) iom_bits(ecap, 52, 52)

#ifdef __cplusplus
}
#endif

#endif
