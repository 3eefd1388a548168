// SPDX-License-Identifier: Apache-2.0
//
// Reading what a scenario measures and expects, and the check that every figure it names exists.
#ifndef IOMMU_SIM_MODELS_SCENARIO_EXPECTATION_READER_H
#define IOMMU_SIM_MODELS_SCENARIO_EXPECTATION_READER_H

#include "models/scenario/arguments.h"

namespace iommu_sim
{

/// `node` may be null (nothing is measured).
void read_measures(const ValueNode *node, const std::string &path, std::vector<Measure> &measures,
                   const ReadingContext &context);
void read_sweeps(const ValueNode *node, Scenario &scenario, const ReadingContext &context);
/// `place` is where a missing section is reported.
void read_expectations(const ValueNode *node, const Origin &place, Scenario &scenario,
                       const ReadingContext &context);
/// All variants of a file: figures, measures and variants that are named must exist, and no measure may lead
/// back to itself.
void check_names(const std::vector<Scenario> &scenarios, DiagnosticList &diagnostics);

} // namespace iommu_sim

#endif
