// SPDX-License-Identifier: Apache-2.0
//
// Architecture instances from settings. See architecture.h.
#include "models/architecture.h"

#include <stdexcept>
#include <string>

#include "core/arch/riscv/riscv.h"
#include "core/arch/riscv/riscv_tables.h"
#include "core/arch/vtd/vtd.h"
#include "core/arch/vtd/vtd_tables.h"

namespace iommu_sim
{

namespace
{

// Capabilities of a unit that can do everything the modelled driver may ask for; CAP.CM, the widths and
// ECAP.C follow the settings.
iom_vtd_features vtd_features(const SystemConfig &config)
{
    iom_vtd_features features = {};
    features.guest_address_bits = config.vtd.second_stage_levels == 5 ? 57 : 48;
    features.domain_bits = 16;
    features.second_stage_levels = 1u << 3 | 1u << 4;
    if (config.vtd.second_stage_levels == 5)
        features.second_stage_levels |= 1u << 5;
    features.pasid_bits = 20;
    features.max_address_mask = 18;
    features.fault_records = 8;
    features.second_stage_2m = features.second_stage_1g = true;
    features.scalable_mode = features.second_stage = features.first_stage = features.nested = true;
    features.first_stage_1g = true;
    features.first_stage_5level = config.vtd.first_stage_levels == 5;
    features.pass_through = true;
    features.pasid = features.rid_pasid = true;
    features.supervisor_requests = features.execute_requests = true;
    features.coherent = config.vtd.coherent_walk;
    features.snoop_control = true;
    features.queued_invalidation = true;
    features.interrupt_remapping = true;
    features.page_selective = true;
    features.caching_mode = config.vtd.caching_mode;
    features.drain_reads = features.drain_writes = true;
    features.device_tlb = true;
    features.set_root_flushes = true;
    return features;
}

iom_vtd_mode software_mode(VtdMode mode)
{
    switch (mode) {
    case VtdMode::scalable_first_stage:
        return IOM_VTD_MODE_FIRST_STAGE;
    case VtdMode::scalable_second_stage:
        return IOM_VTD_MODE_SECOND_STAGE;
    case VtdMode::scalable_nested:
        return IOM_VTD_MODE_NESTED;
    case VtdMode::legacy:
    case VtdMode::pass_through:
        break;
    }
    return IOM_VTD_MODE_LEGACY;
}

class VtdInstance final : public ArchitectureInstance
{
  public:
    explicit VtdInstance(const SystemConfig &config)
    {
        iom_vtd_features features = vtd_features(config);
        if (const char *error = iom_vtd_capabilities(&features, &config_.cap, &config_.ecap))
            throw std::runtime_error(std::string("vtd: ") + error);
        if (config.vtd.cap != 0)
            config_.cap = config.vtd.cap;
        if (config.vtd.ecap != 0)
            config_.ecap = config.vtd.ecap;
        config_.haw_bits = static_cast<uint8_t>(config.iommu.address_width);
        config_.tagging = config.iotlb.tag_by == IotlbTag::source ? IOM_TAG_BY_SOURCE : IOM_TAG_BY_DOMAIN;
        if (const char *error = iom_vtd_config_finish(&config_))
            throw std::runtime_error(std::string("vtd.cap, vtd.ecap or iommu.address_width: ") + error);
        arch_ = {&iom_vtd_ops, &config_, 0};
        settings_ = iom_vtd_software_defaults(software_mode(config.vtd.mode));
        settings_.second_stage_levels = static_cast<uint8_t>(config.vtd.second_stage_levels);
        settings_.first_stage_levels = static_cast<uint8_t>(config.vtd.first_stage_levels);
        settings_.nested_page_log2 = page_log2(config.driver.page_size);
        for (const DeviceSettings &device : config.devices)
            settings_.device_tlb = settings_.device_tlb || device.device_tlb.entries != 0;
        traits_.first_stage =
            settings_.mode == IOM_VTD_MODE_FIRST_STAGE || settings_.mode == IOM_VTD_MODE_NESTED;
        traits_.pasid_tables = settings_.mode != IOM_VTD_MODE_LEGACY;
        traits_.default_pasid = settings_.rid_pasid;
        traits_.coherent = config.vtd.coherent_walk;
        traits_.caching_mode = config.vtd.caching_mode;
        attachment_ = config.vtd.mode == VtdMode::pass_through ? IOM_SOFTWARE_BYPASS : IOM_SOFTWARE_TRANSLATE;
    }
    const iom_arch &arch() const override
    {
        return arch_;
    }
    const iom_software_ops &software() const override
    {
        return iom_vtd_software_ops;
    }
    const void *software_settings() const override
    {
        return &settings_;
    }
    iom_software_kind attachment() const override
    {
        return attachment_;
    }
    SoftwareTraits software_traits() const override
    {
        return traits_;
    }

  private:
    iom_vtd_config config_ = {};
    iom_arch arch_ = {};
    iom_vtd_software_settings settings_ = {};
    iom_software_kind attachment_ = IOM_SOFTWARE_TRANSLATE;
    SoftwareTraits traits_;
};

iom_riscv_features riscv_features(const SystemConfig &config)
{
    const RiscvFeatures &f = config.riscv.features;
    iom_riscv_features features = {};
    features.sv32 = f.sv32;
    features.sv39 = f.sv39;
    features.sv48 = f.sv48;
    features.sv57 = f.sv57;
    features.sv32x4 = f.sv32x4;
    features.sv39x4 = f.sv39x4;
    features.sv48x4 = f.sv48x4;
    features.sv57x4 = f.sv57x4;
    features.svpbmt = f.svpbmt;
    features.svrsw60t59b = f.svrsw60t59b;
    features.msi_flat = f.msi_flat;
    features.msi_mrif = f.msi_mrif;
    features.amo_mrif = f.amo_mrif;
    features.amo_hwad = f.amo_hwad;
    features.ats = f.ats;
    features.t2gpa = f.t2gpa;
    features.both_endian = f.both_endian;
    features.msi_interrupts = f.msi_interrupts;
    features.wired_interrupts = f.wired_interrupts;
    features.performance_monitor = f.performance_monitor;
    features.debug = f.debug;
    features.address_bits = static_cast<uint8_t>(config.iommu.address_width);
    features.pd8 = f.pd8;
    features.pd17 = f.pd17;
    features.pd20 = f.pd20;
    features.qos = f.qos;
    features.non_leaf = f.non_leaf;
    features.range = f.range;
    return features;
}

void set_deviations(const RiscvSettings &riscv, iom_riscv_config &made)
{
    made.choice.cached_permissions = riscv.choices.cached_permissions;
    made.choice.no_process_contexts = riscv.choices.no_process_contexts;
    made.choice.skips_reserved_word = riscv.choices.skips_reserved_word;
    made.quirk.privilege_without_process = riscv.quirks.privilege_without_process;
    made.quirk.fetch_as_read = riscv.quirks.fetch_as_read;
    made.quirk.execute_only_refused = riscv.quirks.execute_only_refused;
    made.quirk.sum_refuses_executable = riscv.quirks.sum_refuses_executable;
    made.quirk.no_guest_detail = riscv.quirks.no_guest_detail;
    made.quirk.implicit_dirty = riscv.quirks.implicit_dirty;
    made.quirk.dirty_not_rechecked = riscv.quirks.dirty_not_rechecked;
    made.quirk.upper_address_ignored = riscv.quirks.upper_address_ignored;
    made.quirk.narrow_device_ids = riscv.quirks.narrow_device_ids;
    made.quirk.bypass_beats_refusal = riscv.quirks.bypass_beats_refusal;
    made.quirk.process_directory_untranslated = riscv.quirks.process_directory_untranslated;
    made.quirk.superpage_address = riscv.quirks.superpage_address;
    made.quirk.fault_queue_full_32bit = riscv.quirks.fault_queue_full_32bit;
}

iom_riscv_config riscv_config(const SystemConfig &config)
{
    const RiscvSettings &riscv = config.riscv;
    iom_riscv_config made = {};
    const iom_riscv_features features = riscv_features(config);
    if (const char *error = iom_riscv_capabilities(&features, &made.capabilities))
        throw std::runtime_error(std::string("riscv.features: ") + error);
    if (riscv.capabilities != 0)
        made.capabilities = riscv.capabilities;
    constexpr uint64_t wires_only = 1;
    if (iom_bits(made.capabilities, IOM_RISCV_CAP_IGS_BIT + 1, IOM_RISCV_CAP_IGS_BIT) == wires_only)
        made.fctl |= IOM_RISCV_FCTL_WSI;
    made.gxl_writable = riscv.gxl_writable;
    made.be_writable = riscv.be_writable;
    made.max_mode = static_cast<uint8_t>(IOM_RISCV_1LVL + (riscv.directory_levels - 1));
    made.device_id_mask = static_cast<uint32_t>(iom_low_bits(UINT64_MAX, riscv.device_id_bits));
    made.counters = static_cast<uint8_t>(riscv.counters);
    made.counter_bits = static_cast<uint8_t>(riscv.counter_bits);
    made.events = static_cast<uint16_t>(riscv.events);
    made.vector_bits = static_cast<uint8_t>(riscv.vector_bits);
    made.bare_page_log2 = static_cast<uint8_t>(iom_log2_u64(riscv.bare_page_bytes));
    made.bare_page_sv32_log2 = static_cast<uint8_t>(iom_log2_u64(riscv.bare_page_sv32_bytes));
    made.invalidation_tags = static_cast<uint8_t>(riscv.invalidation_tags);
    set_deviations(riscv, made);
    made.tagging = config.iotlb.tag_by == IotlbTag::source ? IOM_TAG_BY_SOURCE : IOM_TAG_BY_DOMAIN;
    if (const char *error = iom_riscv_config_finish(&made))
        throw std::runtime_error(std::string("riscv: ") + error);
    return made;
}

iom_riscv_software_mode riscv_software_mode(RiscvMode mode)
{
    switch (mode) {
    case RiscvMode::second_stage:
        return IOM_RISCV_SOFTWARE_SECOND_STAGE;
    case RiscvMode::nested:
        return IOM_RISCV_SOFTWARE_NESTED;
    case RiscvMode::first_stage:
    case RiscvMode::pass_through:
        break;
    }
    return IOM_RISCV_SOFTWARE_FIRST_STAGE;
}

iom_riscv_software_settings riscv_software_settings(const SystemConfig &config)
{
    const RiscvSettings &riscv = config.riscv;
    iom_riscv_software_settings settings = iom_riscv_software_defaults(riscv_software_mode(riscv.mode));
    settings.first_stage_levels = static_cast<uint8_t>(riscv.first_stage_levels);
    settings.second_stage_levels = static_cast<uint8_t>(riscv.second_stage_levels);
    settings.directory_levels = static_cast<uint8_t>(riscv.directory_levels);
    settings.process_bits = static_cast<uint8_t>(riscv.process_bits);
    settings.nested_page_log2 = page_log2(config.driver.page_size);
    settings.hardware_flags = riscv.hardware_flags;
    for (const DeviceSettings &device : config.devices)
        settings.device_tlb = settings.device_tlb || device.device_tlb.entries != 0;
    return settings;
}

class RiscvInstance final : public ArchitectureInstance
{
  public:
    explicit RiscvInstance(const SystemConfig &config)
        : config_(riscv_config(config)), arch_{&iom_riscv_ops, &config_, 0},
          settings_(riscv_software_settings(config)),
          attachment_(config.riscv.mode == RiscvMode::pass_through ? IOM_SOFTWARE_BYPASS
                                                                   : IOM_SOFTWARE_TRANSLATE)
    {
        // Translations belong to domains (PSCID, GSCID) even where processes use them.
        software_traits_.pasid_tables = settings_.process_bits != 0;
        traits_.invalidation_tags = config_.invalidation_tags;
        traits_.tags_block_queue = true;
        traits_.leaf_attributes = IOM_RISCV_LEAF_TYPE;
    }
    const iom_arch &arch() const override
    {
        return arch_;
    }
    HardwareTraits hardware_traits() const override
    {
        return traits_;
    }
    const iom_software_ops &software() const override
    {
        return iom_riscv_software_ops;
    }
    // Only those that run a driver need hardware that it can use.
    const void *software_settings() const override
    {
        if (const char *error = iom_riscv_software_check(&settings_, &config_))
            throw std::runtime_error(std::string("riscv.mode: ") + error);
        return &settings_;
    }
    iom_software_kind attachment() const override
    {
        return attachment_;
    }
    SoftwareTraits software_traits() const override
    {
        return software_traits_;
    }

  private:
    iom_riscv_config config_;
    iom_arch arch_;
    HardwareTraits traits_;
    iom_riscv_software_settings settings_;
    iom_software_kind attachment_;
    SoftwareTraits software_traits_;
};

} // namespace

uint8_t page_log2(PageSize size)
{
    switch (size) {
    case PageSize::size_1g:
        return 30;
    case PageSize::size_2m:
        return 21;
    case PageSize::size_4k:
        break;
    }
    return 12;
}

std::unique_ptr<ArchitectureInstance> make_architecture(const SystemConfig &config)
{
    switch (config.iommu.arch) {
    case Architecture::vtd:
        return std::make_unique<VtdInstance>(config);
    case Architecture::riscv:
        return std::make_unique<RiscvInstance>(config);
    }
    throw std::runtime_error("iommu.arch: not available");
}

} // namespace iommu_sim
