// SPDX-License-Identifier: Apache-2.0
//
// Nearest name by the optimal string alignment distance (Damerau-Levenshtein without overlapping
// swaps), by the textbook recurrence over three rows.
#include "models/config/suggest.h"

#include <algorithm>

namespace iommu_sim
{
namespace
{

/// Names longer than any key are not worth comparing.
constexpr size_t longest_name = 64;

std::string normalised(std::string text)
{
    for (char &c : text) {
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
        else if (c == '-')
            c = '_';
    }
    return text;
}

} // namespace

size_t edit_distance(const std::string &a_text, const std::string &b_text)
{
    const std::string a = normalised(a_text);
    const std::string b = normalised(b_text);
    std::vector<size_t> before_last(b.size() + 1);
    std::vector<size_t> last(b.size() + 1);
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); j++)
        last[j] = j;
    for (size_t i = 1; i <= a.size(); i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); j++) {
            const size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped)
                row[j] = std::min(row[j], before_last[j - 2] + 1);
        }
        std::swap(before_last, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

std::string nearest(const std::string &name, const std::vector<std::string> &candidates)
{
    if (name.size() > longest_name)
        return "";
    std::string best;
    size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
    for (const std::string &candidate : candidates) {
        const size_t distance = edit_distance(name, candidate);
        if (distance < best_distance && distance < candidate.size()) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string did_you_mean(const std::string &name, const std::vector<std::string> &candidates,
                         const std::string &prefix)
{
    const std::string best = nearest(name, candidates);
    return best.empty() ? "" : " (did you mean " + prefix + best + "?)";
}

} // namespace iommu_sim
