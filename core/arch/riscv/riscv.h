// SPDX-License-Identifier: Apache-2.0
//
// RISC-V IOMMU: what the rest of the program may know about it.
//
// Configuration (capabilities and implementation choices), the operations table, fault causes and the
// register map. Source: RISC-V IOMMU Architecture Specification, version 1.0 (with the Non-leaf PTE
// invalidation and address range invalidation extensions, capabilities.NL and .S); section titles below are
// of that document. What is modelled and each choice where it leaves one: SPEC.md.
#ifndef IOM_CORE_ARCH_RISCV_RISCV_H
#define IOM_CORE_ARCH_RISCV_RISCV_H

#include "core/arch.h"
#include "core/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Configuration of one IOMMU; immutable once shared. Fill the first part, then call
/// iom_riscv_config_finish().
struct iom_riscv_config {
    uint64_t capabilities;   ///< capabilities register; MSI_FLAT set = 64-byte device contexts
    uint32_t fctl;           ///< reset value of the features-control register
    bool gxl_writable;       ///< fctl.GXL can be changed
    bool be_writable;        ///< fctl.BE can be changed (otherwise its reset value holds)
    uint8_t max_mode;        ///< largest ddtp.iommu_mode: 2 1LVL, 3 2LVL, 4 3LVL
    uint32_t device_id_mask; ///< device ids that exist; others in commands are illegal
    uint8_t counters;        ///< performance counters, the cycle counter included (0..32)
    uint8_t counter_bits;    ///< their width, 1..63 used bits (the cycle counter has 63)
    uint16_t events;         ///< largest event id that can be selected
    uint8_t vector_bits;     ///< writable bits of an icvec field, 0..4
    /// Range that is reported for a stage that is Bare, log2 bytes: with tables of Sv32/Sv32x4 only, else.
    uint8_t bare_page_sv32_log2, bare_page_log2;
    /// A 64 KiB region of Svnapot is one translation; else its pages are 16, each by its own entry. (The
    /// entries of a region must be alike; where software left them different, only the latter sees it.)
    bool napot_ranges;
    uint8_t invalidation_tags; ///< ATS invalidation requests outstanding at most (1..32)
    enum iom_tagging tagging;  ///< whether translations are shared by devices of one GSCID/PSCID

    /// Choices of an implementation, all off by default.
    struct {
        /// W, X and U of pages are looked at when an entry is used, not by the walk that brings it: an entry
        /// that does not suffice is kept and refuses. Off: such an entry is walked again, and never kept.
        bool cached_permissions;
        bool no_process_contexts; ///< process ids are ignored, DC.tc.PDTV is refused, supervisor requests may
                                  ///< use pages of user mode
        bool skips_reserved_word; ///< the reserved last doubleword of an extended device context is not read
    } choice;

    /// Deviations of real hardware, each off by default (docs/timing.md says where they were seen).
    struct {
        bool privilege_without_process; ///< privilege counts without process_id
        bool fetch_as_read;             ///< execute requests are refused with the causes of reads
        bool execute_only_refused;      ///< pages without R are refused whatever is asked for
        bool sum_refuses_executable;    ///< SUM does not open executable pages to supervisor requests
        bool no_guest_detail;           ///< guest-page faults of cached entries carry no iotval2
        bool implicit_dirty;            ///< a write needs D on second-stage pages of tables too
        bool dirty_not_rechecked;       ///< a cached entry serves writes although D was clear
        bool upper_address_ignored;     ///< address bits above those the tables translate
        bool narrow_device_ids;         ///< the width check takes base contexts for extended ones
        bool bypass_beats_refusal;      ///< a process_id or privilege that is not allowed is recorded, and
                                        ///< passes, where nothing is translated
        bool process_directory_untranslated; ///< the root of a process directory is not translated by the
                                             ///< second stage, other tables of it from a root at 0
        bool superpage_address;      ///< a small first-stage page in a large second-stage page: address bits
                                     ///< between the two sizes are taken from the same bits of the guest page
                                     ///< number
        bool fault_queue_full_32bit; ///< full is tail == head - 1 in 32 bits, so a wrap is not seen; and when
                                     ///< it is seen nothing is ever recorded again
    } quirk;

    struct {
        bool extended_context;        ///< 64-byte device contexts
        uint8_t address_bits;         ///< PAS
        uint8_t guest_bits;           ///< of guest-physical addresses, in the widest second-stage mode
        uint64_t above_address;       ///< physical address bits that must be zero
        uint64_t context_flags;       ///< choices and quirks that go into every device context
        uint64_t leaf_reserved;       ///< bits that must be zero in a 64-bit page-table entry of a page
        uint64_t table_reserved;      ///< likewise of one that points to a table
        uint64_t context_reserved[2]; ///< bits that must be zero in tc and ta of a device context
        uint16_t first_modes[2];      ///< bit n: iosatp.MODE n is supported; by tc.SXL
        uint16_t second_modes[2];     ///< bit n: iohgatp.MODE n is supported; by fctl.GXL
        uint16_t process_modes;       ///< bit n: pdtp.MODE n is supported
        uint8_t bare_first_log2[2];   ///< range that a Bare first stage reports; by tc.SXL
        uint8_t bare_second_log2[2];  ///< likewise of the second stage; by fctl.GXL
    } derived;
};

/// Derives the second part. Returns null, or a static text that says what is wrong with the values.
const char *iom_riscv_config_finish(struct iom_riscv_config *config);

/// High-level settings from which the capabilities register is built.
struct iom_riscv_features {
    bool sv32, sv39, sv48, sv57;           ///< first-stage modes
    bool sv32x4, sv39x4, sv48x4, sv57x4;   ///< second-stage modes
    bool svpbmt;                           ///< page-based memory types
    bool svrsw60t59b;                      ///< PTE bits 60:59 are software's
    bool msi_flat, msi_mrif;               ///< MSI page tables: basic-translate mode, MRIF mode
    bool amo_mrif, amo_hwad;               ///< atomic updates of MRIFs; of accessed and dirty bits
    bool ats, t2gpa;                       ///< address translation services; answers are guest addresses
    bool both_endian;                      ///< END
    bool msi_interrupts, wired_interrupts; ///< IGS
    bool performance_monitor, debug;       ///< HPM, DBG
    uint8_t address_bits;                  ///< PAS, 32..56
    bool pd8, pd17, pd20;                  ///< process directory sizes
    bool qos;                              ///< QOSID
    bool non_leaf, range;                  ///< NL, S: extended invalidation commands
};

/// Builds capabilities. Returns null, or a static text naming the first setting that is impossible.
const char *iom_riscv_capabilities(const struct iom_riscv_features *features, uint64_t *capabilities);

/// The operations. `arch->config` must point to a finished struct iom_riscv_config.
extern const struct iom_arch_ops iom_riscv_ops;

/// Capabilities register ("IOMMU capabilities").
enum iom_riscv_capability {
    IOM_RISCV_CAP_SV32_BIT = 8,
    IOM_RISCV_CAP_SV39_BIT = 9,
    IOM_RISCV_CAP_SV48_BIT = 10,
    IOM_RISCV_CAP_SV57_BIT = 11,
    IOM_RISCV_CAP_SVRSW60T59B_BIT = 14,
    IOM_RISCV_CAP_SVPBMT_BIT = 15,
    IOM_RISCV_CAP_SV32X4_BIT = 16,
    IOM_RISCV_CAP_SV39X4_BIT = 17,
    IOM_RISCV_CAP_SV48X4_BIT = 18,
    IOM_RISCV_CAP_SV57X4_BIT = 19,
    IOM_RISCV_CAP_AMO_MRIF_BIT = 21,
    IOM_RISCV_CAP_MSI_FLAT_BIT = 22,
    IOM_RISCV_CAP_MSI_MRIF_BIT = 23,
    IOM_RISCV_CAP_AMO_HWAD_BIT = 24,
    IOM_RISCV_CAP_ATS_BIT = 25,
    IOM_RISCV_CAP_T2GPA_BIT = 26,
    IOM_RISCV_CAP_END_BIT = 27,
    IOM_RISCV_CAP_IGS_BIT = 28,
    IOM_RISCV_CAP_HPM_BIT = 30,
    IOM_RISCV_CAP_DBG_BIT = 31,
    IOM_RISCV_CAP_PAS_BIT = 32,
    IOM_RISCV_CAP_PD8_BIT = 38,
    IOM_RISCV_CAP_PD17_BIT = 39,
    IOM_RISCV_CAP_PD20_BIT = 40,
    IOM_RISCV_CAP_QOSID_BIT = 41,
    IOM_RISCV_CAP_NL_BIT = 42,
    IOM_RISCV_CAP_S_BIT = 43,
};

/// ddtp.iommu_mode.
enum iom_riscv_mode {
    IOM_RISCV_OFF,
    IOM_RISCV_BARE,
    IOM_RISCV_1LVL,
    IOM_RISCV_2LVL,
    IOM_RISCV_3LVL,
};

/// fctl.
enum iom_riscv_fctl {
    IOM_RISCV_FCTL_BE = 1u << 0,
    IOM_RISCV_FCTL_WSI = 1u << 1,
    IOM_RISCV_FCTL_GXL = 1u << 2,
};

/// Register offsets ("Memory-mapped register interface").
enum iom_riscv_register {
    IOM_RISCV_CAPABILITIES = 0,
    IOM_RISCV_FCTL = 8,
    IOM_RISCV_DDTP = 16,
    IOM_RISCV_CQB = 24,
    IOM_RISCV_CQH = 32,
    IOM_RISCV_CQT = 36,
    IOM_RISCV_FQB = 40,
    IOM_RISCV_FQH = 48,
    IOM_RISCV_FQT = 52,
    IOM_RISCV_PQB = 56,
    IOM_RISCV_PQH = 64,
    IOM_RISCV_PQT = 68,
    IOM_RISCV_CQCSR = 72,
    IOM_RISCV_FQCSR = 76,
    IOM_RISCV_PQCSR = 80,
    IOM_RISCV_IPSR = 84,
    IOM_RISCV_IOCOUNTOVF = 88,
    IOM_RISCV_IOCOUNTINH = 92,
    IOM_RISCV_IOHPMCYCLES = 96,
    IOM_RISCV_IOHPMCTR = 104,
    IOM_RISCV_IOHPMEVT = 352,
    IOM_RISCV_TR_REQ_IOVA = 600,
    IOM_RISCV_TR_REQ_CTL = 608,
    IOM_RISCV_TR_RESPONSE = 616,
    IOM_RISCV_QOSID = 624,
    IOM_RISCV_ICVEC = 760,
    IOM_RISCV_MSI_CFG_TBL = 768,
    IOM_RISCV_REGISTER_BYTES = 4096,
};

/// Fault causes ("Fault record CAUSE field encodings"). X(name, code, text)
#define IOM_RISCV_FAULTS(X)                                                                                  \
    X(FETCH_ACCESS, 1, "instruction access fault")                                                           \
    X(READ_MISALIGNED, 4, "read address misaligned")                                                         \
    X(READ_ACCESS, 5, "read access fault")                                                                   \
    X(WRITE_MISALIGNED, 6, "write/AMO address misaligned")                                                   \
    X(WRITE_ACCESS, 7, "write/AMO access fault")                                                             \
    X(FETCH_PAGE, 12, "instruction page fault")                                                              \
    X(READ_PAGE, 13, "read page fault")                                                                      \
    X(WRITE_PAGE, 15, "write/AMO page fault")                                                                \
    X(FETCH_GUEST, 20, "instruction guest-page fault")                                                       \
    X(READ_GUEST, 21, "read guest-page fault")                                                               \
    X(WRITE_GUEST, 23, "write/AMO guest-page fault")                                                         \
    X(ALL_DISALLOWED, 256, "all inbound transactions disallowed")                                            \
    X(DDT_LOAD, 257, "DDT entry load access fault")                                                          \
    X(DDT_INVALID, 258, "DDT entry not valid")                                                               \
    X(DDT_MISCONFIGURED, 259, "DDT entry misconfigured")                                                     \
    X(TYPE_DISALLOWED, 260, "transaction type disallowed")                                                   \
    X(MSI_LOAD, 261, "MSI PTE load access fault")                                                            \
    X(MSI_INVALID, 262, "MSI PTE not valid")                                                                 \
    X(MSI_MISCONFIGURED, 263, "MSI PTE misconfigured")                                                       \
    X(MRIF_ACCESS, 264, "MRIF access fault")                                                                 \
    X(PDT_LOAD, 265, "PDT entry load access fault")                                                          \
    X(PDT_INVALID, 266, "PDT entry not valid")                                                               \
    X(PDT_MISCONFIGURED, 267, "PDT entry misconfigured")                                                     \
    X(DDT_CORRUPTION, 268, "DDT data corruption")                                                            \
    X(PDT_CORRUPTION, 269, "PDT data corruption")                                                            \
    X(MSI_CORRUPTION, 270, "MSI PT data corruption")                                                         \
    X(MRIF_CORRUPTION, 271, "MSI MRIF data corruption")                                                      \
    X(INTERNAL, 272, "internal data path error")                                                             \
    X(MSI_WRITE, 273, "IOMMU MSI write access fault")                                                        \
    X(PT_CORRUPTION, 274, "first/second-stage PT data corruption")

#define IOM_RISCV_FAULT_ENUM(name, code, text) IOM_RISCV_FAULT_##name = (code),
enum iom_riscv_fault { IOM_RISCV_FAULTS(IOM_RISCV_FAULT_ENUM) };
#undef IOM_RISCV_FAULT_ENUM

/// "read page fault", or null for an unknown code.
const char *iom_riscv_fault_text(unsigned code);

/// Memory type of a translation (iom_leaf.attributes bits 1:0; "Svpbmt").
enum iom_riscv_memory_type {
    IOM_RISCV_PMA,
    IOM_RISCV_NC,
    IOM_RISCV_IO,
};

/// What iom_leaf.attributes says of an answer to a translation request besides its permissions.
enum iom_riscv_leaf_attribute {
    IOM_RISCV_LEAF_TYPE = 3u << 0,         ///< enum iom_riscv_memory_type
    IOM_RISCV_LEAF_MSI = 1u << 2,          ///< went through an MSI page table
    IOM_RISCV_LEAF_UNTRANSLATED = 1u << 3, ///< answer's U: untranslated access only
    IOM_RISCV_LEAF_NO_SNOOP = 1u << 4,     ///< answer's N
    IOM_RISCV_LEAF_CXL_IO = 1u << 5,       ///< answer's CXL.io
    IOM_RISCV_LEAF_AMA_SHIFT = 6,          ///< answer's AMA, 3 bits
};

/// IOM_OUTCOME_MRIF: leaf.output = address of the MRIF; leaf.attributes = those above and the notice. It ends
/// a translation request as well: the answer then says "untranslated access only".
#define IOM_RISCV_NOTICE(id, ppn) ((uint64_t)(id) << 9 | (uint64_t)(ppn) << 20)
#define IOM_RISCV_NOTICE_ID(attributes) ((attributes) >> 9 & 0x7ff)
#define IOM_RISCV_NOTICE_PPN(attributes) ((attributes) >> 20)

// Views: `enabled` = mode is not Off, `root` = ddtp.PPN << 12, extra[RISCV_VIEW_MODE] = ddtp.iommu_mode,
// extra[RISCV_VIEW_FCTL] = fctl.
enum { IOM_RISCV_VIEW_MODE, IOM_RISCV_VIEW_FCTL };

#ifdef __cplusplus
}
#endif

#endif
