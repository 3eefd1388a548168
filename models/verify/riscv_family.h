// SPDX-License-Identifier: Apache-2.0
//
// The family of RISC-V IOMMUs; see family.h.
#ifndef IOM_MODELS_VERIFY_RISCV_FAMILY_H
#define IOM_MODELS_VERIFY_RISCV_FAMILY_H

#include "models/verify/family.h"

namespace iommu_sim::verify
{

namespace riscv
{

/// ATS invalidation requests that the reference model has under way at most.
constexpr unsigned vector_invalidation_tags = 2;

} // namespace riscv

const Family &riscv_family();

} // namespace iommu_sim::verify

#endif
