// SPDX-License-Identifier: Apache-2.0
//
// Architecture instances from settings. See architecture.h.
#include "models/architecture.h"

#include <stdexcept>
#include <string>

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
    }
    throw std::runtime_error("iommu.arch: not available");
}

} // namespace iommu_sim
