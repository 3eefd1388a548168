// SPDX-License-Identifier: Apache-2.0
//
// Vector files: see vector_file.h.
#include "models/verify/vector_file.h"

namespace iommu_sim::verify
{

VectorFile::VectorFile(const std::string &path) : path_(path), lines_(path)
{
}

std::optional<AnyVector> VectorFile::next()
{
    std::string text;
    if (!lines_.next_filled(&text))
        return std::nullopt;
    AnyVector vector = parse_any_vector(text, path_, lines_.number(), &notes_);
    const std::string id = name_of(vector).id;
    if (!ids_.insert(id).second)
        throw VectorError(path_ + ":" + std::to_string(lines_.number()) + ": vector " + id +
                          ": this id was used before in the file; ids must be unique");
    return vector;
}

VectorName name_of(const AnyVector &vector)
{
    return std::visit([](const auto &v) { return VectorName{v.id, v.line, v.steps.size()}; }, vector);
}

const std::set<std::string> &VectorFile::notes() const
{
    return notes_;
}

} // namespace iommu_sim::verify
