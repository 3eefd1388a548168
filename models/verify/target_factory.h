// SPDX-License-Identifier: Apache-2.0
//
// Which systems the command plays vectors on.
#ifndef IOM_MODELS_VERIFY_TARGET_FACTORY_H
#define IOM_MODELS_VERIFY_TARGET_FACTORY_H

#include <vector>

#include "models/verify/runner.h"
#include "models/verify/target.h"

namespace iommu_sim::verify
{

/// The systems that `options` name: each built-in cache geometry of the mode, or the one asked for.
/// Throws std::runtime_error, with the remedy, if there is no such system.
std::vector<TargetVariant> target_variants(const TargetOptions &options, Mode mode);

} // namespace iommu_sim::verify

#endif
