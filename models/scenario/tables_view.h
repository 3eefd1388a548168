// SPDX-License-Identifier: Apache-2.0
//
// Places in the translation tables by name, for stores of a scenario: the words that a walk of a device's
// request reads, in order (VT-d: 0 root entry, 1 context entry, then PASID directory and PASID entry, then
// page tables). Found by an uncached walk of the tables as they are before cycle 0.
//
//   walk_address(nic, 1)         address of the context entry of device nic
//   walk_word(nic, 1, 0)         its first 64-bit word
//   walk_address(nic, 3, 5, iova)   the fourth read for a request with PASID 5 (`none`: without) at iova
//   walk_word(nic, 3, 0, 5, iova)
#ifndef IOMMU_SIM_MODELS_SCENARIO_TABLES_VIEW_H
#define IOMMU_SIM_MODELS_SCENARIO_TABLES_VIEW_H

#include <string>
#include <vector>

#include "core/arch.h"
#include "core/memory_image.h"
#include "core/software.h"
#include "models/scenario/scenario.h"

namespace iommu_sim
{

class TablesView
{
  public:
    /// `software` must know its command queue already: the start-up sequence gives the root pointer.
    TablesView(const iom_arch &arch, const iom_software_ops &ops, const iom_software *software,
               const iom_memory_image *image, const Scenario &scenario);

    /// Value of an expression that may use the functions above. Throws ExpressionError.
    int64_t value(const Expression &expression) const;

  private:
    std::vector<uint64_t> walk(const std::string &device, uint32_t pasid, uint64_t iova) const;
    int64_t call(const std::string &function, const std::vector<Expression> &arguments) const;

    const iom_arch &arch_;
    const iom_memory_image *image_;
    const Scenario &scenario_;
    iom_view view_{}; ///< after start-up
};

} // namespace iommu_sim

#endif
