// SPDX-License-Identifier: Apache-2.0
//
// Reads a vector file line by line, plain or zstd-compressed (told apart by content, not by name),
// in constant memory.
#ifndef IOM_MODELS_VERIFY_VECTOR_FILE_H
#define IOM_MODELS_VERIFY_VECTOR_FILE_H

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "models/verify/vector.h"

namespace iommu_sim::verify
{

/// Lines of a text file. Errors (missing file, damaged or truncated compression) throw VectorError
/// naming the file.
class LineReader
{
  public:
    explicit LineReader(const std::string &path);
    LineReader(const LineReader &) = delete;
    LineReader &operator=(const LineReader &) = delete;
    ~LineReader();

    /// Next line without its end; false at the end of the file.
    bool next(std::string *line);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Vectors of a file, one after the other; empty lines are skipped.
class VectorFile
{
  public:
    explicit VectorFile(const std::string &path);

    /// Next vector, or nothing at the end. Throws VectorError.
    std::optional<Vector> next();
    /// Unknown fields met so far, as "steps[].dma.name".
    const std::set<std::string> &notes() const;

  private:
    std::string path_;
    LineReader lines_;
    size_t line_ = 0;
    std::set<std::string> notes_;
    std::set<std::string> ids_;
};

} // namespace iommu_sim::verify

#endif
