// SPDX-License-Identifier: Apache-2.0
//
// Settings of a RISC-V IOMMU: what it can do, and what its specification leaves to the implementation. Part
// of SystemConfig (system_config.h says how members and keys belong together).
#ifndef IOM_MODELS_CONFIG_RISCV_SETTINGS_H
#define IOM_MODELS_CONFIG_RISCV_SETTINGS_H

#include <cstdint>

namespace iommu_sim
{

/// What the capabilities register says (core/arch/riscv/riscv.h, struct iom_riscv_features).
struct RiscvFeatures {
    bool sv32 = false, sv39 = true, sv48 = true, sv57 = true;
    bool sv32x4 = false, sv39x4 = true, sv48x4 = true, sv57x4 = true;
    bool svpbmt = true, svrsw60t59b = false;
    bool msi_flat = true, msi_mrif = true;
    bool amo_mrif = true, amo_hwad = true;
    bool ats = true, t2gpa = true;
    bool both_endian = false;
    bool msi_interrupts = true, wired_interrupts = true;
    bool performance_monitor = true, debug = true;
    bool pd8 = true, pd17 = true, pd20 = true;
    bool qos = false;
    bool non_leaf = false, range = false;
};

/// What the specification leaves open (core/arch/riscv/riscv.h, `choice`).
struct RiscvChoices {
    bool cached_permissions = false, no_process_contexts = false, skips_reserved_word = false;
};

/// Deviations (core/arch/riscv/riscv.h, `quirk`).
struct RiscvQuirks {
    bool privilege_without_process = false, fetch_as_read = false, execute_only_refused = false;
    bool sum_refuses_executable = false, no_guest_detail = false, implicit_dirty = false;
    bool dirty_not_rechecked = false, upper_address_ignored = false, narrow_device_ids = false;
    bool bypass_beats_refusal = false, process_directory_untranslated = false, superpage_address = false;
    bool fault_queue_full_32bit = false;
};

/// How the driver model sets up translation for the devices.
enum class RiscvMode { first_stage, second_stage, nested, pass_through };

struct RiscvSettings {
    // The driver.
    RiscvMode mode = RiscvMode::first_stage;
    uint32_t first_stage_levels = 4;  ///< 3 Sv39, 4 Sv48, 5 Sv57
    uint32_t second_stage_levels = 4; ///< 3 Sv39x4, 4 Sv48x4, 5 Sv57x4
    uint32_t process_bits = 0;        ///< of process directories: 8, 17, 20; 0 = none
    bool hardware_flags = false;      ///< hardware sets accessed and dirty
    // The hardware.
    uint64_t capabilities = 0; ///< the register; 0 = derived from the features and iommu.address_width
    RiscvFeatures features;
    uint32_t directory_levels = 3; ///< of the device directory, at most
    uint32_t device_id_bits = 24;
    uint32_t counters = 31; ///< performance counters, cycle counter included
    uint32_t counter_bits = 40;
    uint32_t events = 8;      ///< largest event id
    uint32_t vector_bits = 4; ///< of a field of icvec
    bool gxl_writable = false, be_writable = false;
    uint64_t bare_page_bytes = UINT64_C(1) << 30;      ///< range reported for a Bare stage
    uint64_t bare_page_sv32_bytes = UINT64_C(1) << 22; ///< likewise with Sv32 or Sv32x4 only
    RiscvChoices choices;
    RiscvQuirks quirks;
    uint32_t invalidation_tags = 32; ///< ATS invalidation requests under way at most
};

} // namespace iommu_sim

#endif
