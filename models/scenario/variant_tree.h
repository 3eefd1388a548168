// SPDX-License-Identifier: Apache-2.0
//
// What a variant changes in the tree of a scenario file.
#ifndef IOMMU_SIM_MODELS_SCENARIO_VARIANT_TREE_H
#define IOMMU_SIM_MODELS_SCENARIO_VARIANT_TREE_H

#include <string>

#include "models/config/value_tree.h"

namespace iommu_sim
{

/// Lays `variant` (an entry of `variants`, at `path`) over `tree`: parameters, system and host merge key by
/// key; setup and expect replace, measure and sweep are the variant's own or none; threads replace by name
/// (an empty list: the thread goes); `change` merges keys into named steps, `remove` takes them out.
void apply_variant(ValueNode &tree, const ValueNode &variant, const std::string &path,
                   DiagnosticList &diagnostics);

} // namespace iommu_sim

#endif
