// SPDX-License-Identifier: Apache-2.0
//
// Reads a vector file line by line (models/input/line_reader.h).
#ifndef IOM_MODELS_VERIFY_VECTOR_FILE_H
#define IOM_MODELS_VERIFY_VECTOR_FILE_H

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "models/input/line_reader.h"
#include "models/verify/riscv_vector.h"
#include "models/verify/vector.h"

namespace iommu_sim::verify
{

/// A vector of either schema.
using AnyVector = std::variant<Vector, riscv::Vector>;

/// Parses one line; see parse_vector().
AnyVector parse_any_vector(const std::string &text, const std::string &file, size_t line,
                           std::set<std::string> *notes);

/// What both schemas know of a vector.
struct VectorName {
    std::string id;
    size_t line = 0, steps = 0;
};
VectorName name_of(const AnyVector &vector);

/// Vectors of a file, one after the other, each of the schema that its keys show; empty lines are skipped.
class VectorFile
{
  public:
    explicit VectorFile(const std::string &path);

    /// Next vector, or nothing at the end. Throws VectorError.
    std::optional<AnyVector> next();
    /// Unknown fields met so far, as "steps[].dma.name".
    const std::set<std::string> &notes() const;

  private:
    std::string path_;
    LineReader lines_;
    std::set<std::string> notes_;
    std::set<std::string> ids_;
};

} // namespace iommu_sim::verify

#endif
