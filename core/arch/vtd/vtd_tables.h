// SPDX-License-Identifier: Apache-2.0
//
// The software side of VT-d: builds and changes root, context, PASID and page tables.
//
// Follows what Linux does (drivers/iommu/intel): a domain owns page tables; attaching a device writes
// its context entry, in scalable mode its PASID-table entry (requests without PASID use RID_PASID).
// First-stage entries are written with accessed and dirty set unless configured otherwise, so that
// hardware need not update them. They know no pages that can be written but not read: a mapping for
// writing only is made readable.
//
// In nested mode a domain has first-stage tables over a second stage that maps guest addresses to
// the same host addresses, in pages of `nested_page_log2`, added as tables and pages need them.
#ifndef IOM_CORE_ARCH_VTD_TABLES_H
#define IOM_CORE_ARCH_VTD_TABLES_H

#include "core/software.h"

#ifdef __cplusplus
extern "C" {
#endif

enum iom_vtd_mode {
    IOM_VTD_MODE_LEGACY,
    IOM_VTD_MODE_SECOND_STAGE,
    IOM_VTD_MODE_FIRST_STAGE,
    IOM_VTD_MODE_NESTED,
};

/// Settings of the builder (iom_software_config.settings).
struct iom_vtd_software_settings {
    enum iom_vtd_mode mode;
    uint8_t second_stage_levels; ///< 3, 4 or 5
    uint8_t first_stage_levels;  ///< 4 or 5
    uint8_t nested_page_log2;    ///< 12, 21 or 30: pages of the second stage in nested mode
    uint8_t pasid_bits;          ///< size of PASID directories, 7..20 (scalable mode)
    uint32_t rid_pasid;          ///< PASID of requests without one (scalable mode)
    bool device_tlb;             ///< allow translation and translated requests (TT = 01b, DTE)
    bool clear_accessed_dirty;   ///< write first-stage entries with accessed and dirty clear
};

/// Four levels each, 4 KiB nested pages, 20-bit PASIDs.
struct iom_vtd_software_settings iom_vtd_software_defaults(enum iom_vtd_mode mode);

/// `config->arch` must be a VT-d unit with a finished configuration.
extern const struct iom_software_ops iom_vtd_software_ops;

#ifdef __cplusplus
}
#endif

#endif
