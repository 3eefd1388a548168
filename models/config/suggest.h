// SPDX-License-Identifier: Apache-2.0
//
// "Did you mean ...?": the candidate nearest to a misspelt name.
#ifndef IOM_MODELS_CONFIG_SUGGEST_H
#define IOM_MODELS_CONFIG_SUGGEST_H

#include <string>
#include <vector>

namespace iommu_sim
{

/// Edits (insert, delete, replace, swap of neighbours) between two names; letter case and the
/// difference between '-' and '_' do not count.
size_t edit_distance(const std::string &a, const std::string &b);

/// The nearest candidate, the first of several, or an empty string if none is near: at most a third
/// of the name's letters (and at least one) may differ.
std::string nearest(const std::string &name, const std::vector<std::string> &candidates);

/// " (did you mean X?)", or an empty string if nothing is near. `prefix` goes before the candidate.
std::string did_you_mean(const std::string &name, const std::vector<std::string> &candidates,
                         const std::string &prefix = "");

} // namespace iommu_sim

#endif
