// SPDX-License-Identifier: Apache-2.0
//
// The operations that a step can be: their names, what they become, and the names of options.
#ifndef IOMMU_SIM_MODELS_SCENARIO_STEP_OPERATIONS_H
#define IOMMU_SIM_MODELS_SCENARIO_STEP_OPERATIONS_H

#include "models/scenario/step_reader.h"

namespace iommu_sim
{

struct StepReader::Operation {
    const char *name;
    iom_host_op_kind kind;
    void (StepReader::*read)(const Operation &, Arguments &, ScenarioStep &);
    const char *short_key;   ///< key meant by a single value; null: keys only
    const char *keys;        ///< for documentation
    const char *description; ///< for documentation
};

/// Bit of an option, 0 if there is none of this name.
uint32_t host_option(const std::string &name);
std::vector<std::string> host_option_names();
/// Markdown tables of operations and options (docs/scenarios.md).
std::string operations_document();

} // namespace iommu_sim

#endif
