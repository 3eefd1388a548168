// SPDX-License-Identifier: Apache-2.0
//
// Plays one vector of riscv_vector.h on one system.
#ifndef IOM_MODELS_VERIFY_RISCV_PLAYER_H
#define IOM_MODELS_VERIFY_RISCV_PLAYER_H

#include <optional>

#include "models/verify/riscv_vector.h"
#include "models/verify/runner.h"

namespace iommu_sim::verify::riscv
{

/// Nothing if the vector passed. Throws std::runtime_error if the target lacks what such vectors need.
std::optional<Failure> play_on(const Vector &vector, Target &target, Mode mode, VectorResult *result);

} // namespace iommu_sim::verify::riscv

#endif
