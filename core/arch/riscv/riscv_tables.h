// SPDX-License-Identifier: Apache-2.0
//
// The software side of the RISC-V IOMMU: builds and changes device directory, process directories and page
// tables.
//
// Follows what Linux does (drivers/iommu/riscv), and goes on where that stops. A domain owns page tables:
//
//   first stage    the device context points to them (iosatp); the domain is the PSCID
//   second stage   likewise by iohgatp; the domain is the GSCID
//   nested         first-stage tables of domains (PSCID) in one guest (GSCID), whose second stage maps guest
//                  addresses to the same host addresses, in pages of `nested_page_log2`, added as
//                  directories, tables and pages need them
//
// With process directories, first-stage tables are those of (device, process_id), and requests without
// process_id are those of process 0 (tc.DPE).
//
// Entries are written with A and D set unless hardware is to set them. There is no page that can be written
// but not read: a mapping for writing only is made readable.
#ifndef IOM_CORE_ARCH_RISCV_TABLES_H
#define IOM_CORE_ARCH_RISCV_TABLES_H

#include "core/arch/riscv/riscv.h"
#include "core/software.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_riscv_software_mode {
    IOM_RISCV_SOFTWARE_FIRST_STAGE,
    IOM_RISCV_SOFTWARE_SECOND_STAGE,
    IOM_RISCV_SOFTWARE_NESTED,
};

/// Settings of the builder (iom_software_config.settings).
struct iom_riscv_software_settings {
    enum iom_riscv_software_mode mode;
    uint8_t first_stage_levels;  ///< 3 Sv39, 4 Sv48, 5 Sv57
    uint8_t second_stage_levels; ///< 3 Sv39x4, 4 Sv48x4, 5 Sv57x4
    uint8_t directory_levels;    ///< of the device directory, 1 to 3
    uint8_t process_bits;        ///< of process directories: 8, 17 or 20; 0: there are none
    uint8_t nested_page_log2;    ///< 12, 21 or 30: pages of the second stage in nested mode
    uint16_t guest;              ///< GSCID in nested mode
    bool device_tlb;             ///< allow translation and translated requests (tc.EN_ATS)
    bool hardware_flags;         ///< hardware sets A and D (tc.SADE, tc.GADE); entries begin without
};

/// Four levels each, three of the directory, no processes, 4 KiB nested pages, guest 1.
struct iom_riscv_software_settings iom_riscv_software_defaults(enum iom_riscv_software_mode mode);

/// Null, or a static text that says what the hardware cannot do. create() asks the same.
const char *iom_riscv_software_check(const struct iom_riscv_software_settings *settings,
                                     const struct iom_riscv_config *config);

/// `config->arch` must be a RISC-V IOMMU with a finished configuration, little-endian and for 64-bit tables
/// (fctl.BE, fctl.GXL clear).
extern const struct iom_software_ops iom_riscv_software_ops;

#ifdef __cplusplus
}
#endif

#endif
