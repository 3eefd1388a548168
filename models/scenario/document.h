// SPDX-License-Identifier: Apache-2.0
//
// Parts of docs/scenarios.md that come from the program: the table of scenarios, operations, figures.
#ifndef IOMMU_SIM_MODELS_SCENARIO_DOCUMENT_H
#define IOMMU_SIM_MODELS_SCENARIO_DOCUMENT_H

#include <string>
#include <vector>

#include "models/scenario/scenario_file.h"

namespace iommu_sim
{

/// Markdown: the table of scenarios, then operations and options, then figures (each under its heading).
std::string scenario_table(const std::vector<ScenarioFile> &files);
/// Unit of a figure ("cycles"), empty if it has none or is not a figure.
std::string figure_unit(const std::string &figure);
/// A value of a figure as it is shown: addresses in hexadecimal.
std::string figure_value(const std::string &figure, int64_t value);

} // namespace iommu_sim

#endif
