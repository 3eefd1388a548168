// SPDX-License-Identifier: Apache-2.0
//
// Parts of the report about unmapping: what the calls of the driver cost, what invalidations do in the
// IOMMU, how long translations outlive their mappings, and what the hazard tracker found.
#ifndef IOMMU_SIM_MODELS_REPORT_INVALIDATION_REPORT_H
#define IOMMU_SIM_MODELS_REPORT_INVALIDATION_REPORT_H

#include <string>

#include "models/hazards.h"
#include "models/report/measures.h"

namespace iommu_sim
{

/// Each is a section with its heading, or empty if there is nothing to tell.
std::string driver_calls_section(const Measures &measures);
std::string device_tlb_section(const Measures &measures);
std::string invalidation_section(const Measures &measures);
std::string hazards_section(const HazardReport &hazards);

} // namespace iommu_sim

#endif
