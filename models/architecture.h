// SPDX-License-Identifier: Apache-2.0
//
// From settings to an architecture instance: hardware operations with their configuration, and the
// software side with its own. The one place outside core/arch/ that names architectures.
#ifndef IOMMU_SIM_MODELS_ARCHITECTURE_H
#define IOMMU_SIM_MODELS_ARCHITECTURE_H

#include <memory>

#include "core/arch.h"
#include "core/software.h"
#include "models/config/system_config.h"

namespace iommu_sim
{

/// What the driver model (traffic/host.h) has to know of the way the tables are used.
struct SoftwareTraits {
    bool first_stage = false;   ///< translations are tagged by PASID
    bool pasid_tables = false;  ///< requests without PASID are decided by a PASID entry
    uint32_t default_pasid = 0; ///< which one
};

class ArchitectureInstance
{
  public:
    virtual ~ArchitectureInstance() = default;
    virtual const iom_arch &arch() const = 0;
    virtual const iom_software_ops &software() const = 0;
    /// Settings for software().create; valid as long as this object.
    virtual const void *software_settings() const = 0;
    /// How devices are attached: through tables or passed through.
    virtual iom_software_kind attachment() const = 0;
    virtual SoftwareTraits software_traits() const = 0;
};

/// log2 of the bytes of a page.
uint8_t page_log2(PageSize size);

/// Throws std::runtime_error naming the key if the settings contradict each other.
std::unique_ptr<ArchitectureInstance> make_architecture(const SystemConfig &config);

} // namespace iommu_sim

#endif
