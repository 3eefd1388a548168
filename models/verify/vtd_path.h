// SPDX-License-Identifier: Apache-2.0
//
// The table entries that a request without PASID meets, read straight from a target's memory.
//
// This is evidence for the masks: "an entry on the way lacks the permission" is looked up here, not
// taken from the simulator's answer. It checks nothing and knows no faults, and shares no code with
// the walker under test. Source: Intel VT-d specification Rev. 4.1, chapters 3 and 9.
#ifndef IOM_MODELS_VERIFY_VTD_PATH_H
#define IOM_MODELS_VERIFY_VTD_PATH_H

#include <optional>

#include "models/verify/family.h"

namespace iommu_sim::verify
{

/// Nothing if root, context or PASID entry is not present, or the tables are nested.
std::optional<TablePath> vtd_table_path(uint32_t source, uint64_t address, Target &target);

} // namespace iommu_sim::verify

#endif
