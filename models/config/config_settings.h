// SPDX-License-Identifier: Apache-2.0
//
// `--set KEY=VALUE` arguments: laid over the tree of written values before it is read, so that
// they pass exactly the checks that files pass.
#ifndef IOM_MODELS_CONFIG_CONFIG_SETTINGS_H
#define IOM_MODELS_CONFIG_CONFIG_SETTINGS_H

#include <string>

#include "models/config/schema.h"

namespace iommu_sim
{

/// Applies one argument such as "iotlb.entries=256" or "devices[0].generator.rate=10" to `root`.
/// With `partial`, an entry that the lists of `root` lack is not a mistake of the argument.
void apply_setting(const std::string &argument, const SectionSchema &schema, bool partial, ValueNode &root,
                   SourceTable &sources, DiagnosticList &diagnostics);

} // namespace iommu_sim

#endif
