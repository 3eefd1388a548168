// SPDX-License-Identifier: Apache-2.0
//
// The report of a run for people. It shows the region of interest; parts the system does not have or
// the load did not use are left out. The result file has everything (result_json.h).
#ifndef IOMMU_SIM_MODELS_REPORT_TEXT_REPORT_H
#define IOMMU_SIM_MODELS_REPORT_TEXT_REPORT_H

#include <string>

#include "models/hazards.h"
#include "models/session.h"
#include "models/system.h"

namespace iommu_sim
{

std::string text_report(const SystemConfig &config, const System &system, const SessionResult &result,
                        const HazardReport &hazards, const std::string &kernel);

} // namespace iommu_sim

#endif
