// SPDX-License-Identifier: Apache-2.0
//
// Figures: what was measured while a scenario was played, under names that expectations use.
//
// Which figures exist follows from the scenario alone (its locks, labels, devices), so a misspelt name is
// a mistake of the file and found before anything runs. A figure that exists may have no value: a DMA that
// was never answered has no `answered`. An expectation about it then fails.
#ifndef IOMMU_SIM_MODELS_SCENARIO_FIGURES_H
#define IOMMU_SIM_MODELS_SCENARIO_FIGURES_H

#include <array>
#include <string>
#include <vector>

#include "models/scenario/scenario.h"

namespace iommu_sim
{

/// All figures a run of `scenario` can have, sorted; without measures, sweeps and parameters.
std::vector<std::string> figure_names(const Scenario &scenario);

/// Pattern, unit and meaning of each figure (docs/scenarios.md).
std::vector<std::array<std::string, 3>> figure_documentation();

/// Names of the figures of the hazard tracker, commands, the host and the caches.
extern const std::vector<std::array<std::string, 3>> fixed_figures;
/// Parts of "dma.LABEL.", "call.LABEL.", "lock.NAME.", "entries.".
extern const std::vector<std::array<std::string, 3>> dma_figures;
extern const std::vector<std::array<std::string, 3>> call_figures;
extern const std::vector<std::array<std::string, 3>> lock_figures;

} // namespace iommu_sim

#endif
