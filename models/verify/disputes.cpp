// SPDX-License-Identifier: Apache-2.0
//
// Table of disputes: see disputes.h.
#include "models/verify/disputes.h"

namespace iommu_sim::verify
{

const std::vector<Dispute> &disputes()
{
    // No vector has been shown to be wrong so far.
    static const std::vector<Dispute> table = {};
    return table;
}

const Dispute *find_dispute(const Vector &vector, const std::vector<Dispute> &table)
{
    for (const Dispute &dispute : table) {
        if (vector.family == dispute.family && dispute.condition(vector))
            return &dispute;
    }
    return nullptr;
}

} // namespace iommu_sim::verify
