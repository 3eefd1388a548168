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
    bool coherent = true;       ///< table reads snoop processor caches
    bool caching_mode = false;  ///< entries that are not present may be cached
};

/// What the units around the architecture have to know of its hardware.
struct HardwareTraits {
    uint32_t invalidation_tags = 0; ///< requests to device TLBs under way at most; 0: as many as there can be
    bool tags_block_queue = false;  ///< a command that finds none free holds up the queue
    uint64_t leaf_attributes = 0;   ///< bits of iom_leaf.attributes that belong to a translation's outcome
};

class ArchitectureInstance
{
  public:
    virtual ~ArchitectureInstance() = default;
    virtual const iom_arch &arch() const = 0;
    virtual HardwareTraits hardware_traits() const
    {
        return {};
    }
    virtual const iom_software_ops &software() const = 0;
    /// Settings for software().create; valid as long as this object. Throws std::runtime_error if the
    /// hardware cannot do what the driver is set to.
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
