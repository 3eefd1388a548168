// SPDX-License-Identifier: Apache-2.0
//
// Reads a text file line by line, plain or zstd-compressed (told apart by content, not by name), in constant
// memory.
#ifndef IOM_MODELS_INPUT_LINE_READER_H
#define IOM_MODELS_INPUT_LINE_READER_H

#include <memory>
#include <stdexcept>
#include <string>

namespace iommu_sim
{

/// A file that cannot be used. what() names the file and, where there is one, line, object and field.
class InputError : public std::runtime_error
{
  public:
    using std::runtime_error::runtime_error;
};

/// Lines of a text file. Errors (missing file, damaged or truncated compression) throw InputError
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
    /// The same without empty lines.
    bool next_filled(std::string *line);
    /// Number of the last line read, from 1.
    size_t number() const
    {
        return number_;
    }

  private:
    struct State;
    std::unique_ptr<State> state_;
    size_t number_ = 0;
};

} // namespace iommu_sim

#endif
