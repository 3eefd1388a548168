// SPDX-License-Identifier: Apache-2.0
//
// docs/statistics.md, generated from the lists in which units declare their statistics and from
// derived_values().
#ifndef IOMMU_SIM_MODELS_REPORT_STATISTICS_DOCUMENT_H
#define IOMMU_SIM_MODELS_REPORT_STATISTICS_DOCUMENT_H

#include <string>
#include <vector>

namespace iommu_sim
{

struct DocumentedStatistic {
    const char *kind; ///< "counter", "maximum" or "histogram"
    const char *name;
    const char *unit;
    const char *description;
};

/// One list of statistics and the groups that show it.
struct DocumentedGroup {
    std::vector<const char *> groups;
    const char *description; ///< whose statistics these are
    std::vector<DocumentedStatistic> statistics;
};

const std::vector<DocumentedGroup> &documented_groups();

std::string statistics_document();

} // namespace iommu_sim

#endif
