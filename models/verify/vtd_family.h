// SPDX-License-Identifier: Apache-2.0
//
// The family of VT-d units; see family.h.
#ifndef IOM_MODELS_VERIFY_VTD_FAMILY_H
#define IOM_MODELS_VERIFY_VTD_FAMILY_H

#include "models/verify/family.h"

namespace iommu_sim::verify
{

const Family &vtd_family();

} // namespace iommu_sim::verify

#endif
