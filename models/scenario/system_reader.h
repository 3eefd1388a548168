// SPDX-License-Identifier: Apache-2.0
//
// The system a scenario is played on: that of configs/scenarios/parts/base.yaml, built into the program, with
// the scenario's own keys laid over it. Keys are those of any configuration (docs/configuration.md).
#ifndef IOMMU_SIM_MODELS_SCENARIO_SYSTEM_READER_H
#define IOMMU_SIM_MODELS_SCENARIO_SYSTEM_READER_H

#include "models/config/value_tree.h"
#include "models/scenario/scenario.h"

namespace iommu_sim
{

/// `node` is the value of `system:` or null; `place` is where a mistake without place is reported.
void read_system(const ValueNode *node, const Origin &place, Scenario &scenario, DiagnosticList &diagnostics);

} // namespace iommu_sim

#endif
