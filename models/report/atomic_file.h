// SPDX-License-Identifier: Apache-2.0
//
// Result files appear whole or not at all.
//
// A regular file is written under a temporary name beside the target, flushed to the disk, and
// renamed over it by commit(). A target that is not a regular file (pipe, terminal, /dev/stdout,
// /dev/full) cannot be replaced and is written directly. Every write, flush and close is checked.
// The program must ignore SIGPIPE for a closed pipe to become an error message.
#ifndef IOM_MODELS_REPORT_ATOMIC_FILE_H
#define IOM_MODELS_REPORT_ATOMIC_FILE_H

#include <string>
#include <string_view>

namespace iommu_sim
{

class AtomicFile
{
  public:
    AtomicFile() = default;
    /// Without commit() the temporary file is removed and the target stays as it was.
    ~AtomicFile();
    AtomicFile(const AtomicFile &) = delete;
    AtomicFile &operator=(const AtomicFile &) = delete;

    /// Each returns false on failure; error() then names the path and the reason, and the temporary
    /// file is gone. After a failure the later calls fail, too, and keep the first error.
    bool open(const std::string &path);
    bool write(std::string_view data);
    bool commit();

    const std::string &error() const
    {
        return error_;
    }

  private:
    bool open_direct();
    bool open_temporary();
    bool flush_buffer();
    bool fail(const char *action);
    void discard();

    std::string path_;      ///< as given; what messages name
    std::string target_;    ///< what the temporary file is renamed to; links are followed
    std::string temporary_; ///< empty: written directly
    std::string buffer_;
    std::string error_;
    int file_ = -1;
};

/// Writes a whole file at once. Returns an empty string, or an error that names path and reason.
std::string write_file(const std::string &path, std::string_view content);

} // namespace iommu_sim

#endif
