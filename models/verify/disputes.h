// SPDX-License-Identifier: Apache-2.0
//
// Vectors that contradict the specification.
//
// The vectors come from other models, which can be wrong. Where the specification decides against
// one, the rule is stated here, once: which family, on what condition (evaluated on the vector
// alone, never on what the simulator answers), and which section decides. Such vectors are skipped,
// not bent around. docs/verify.md lists them.
#ifndef IOM_MODELS_VERIFY_DISPUTES_H
#define IOM_MODELS_VERIFY_DISPUTES_H

#include <vector>

#include "models/verify/vector.h"

namespace iommu_sim::verify
{

struct Dispute {
    const char *name;
    const char *family;                ///< exact family (`arch`) the rule applies to
    bool (*condition)(const Vector &); ///< true for a vector that contradicts the section
    const char *section;               ///< the deciding section and revision
    const char *text;                  ///< what the vector expects and what the section says
};

/// The table (may be empty).
const std::vector<Dispute> &disputes();

/// First rule of `table` that a vector falls under, or null.
const Dispute *find_dispute(const Vector &vector, const std::vector<Dispute> &table);

} // namespace iommu_sim::verify

#endif
