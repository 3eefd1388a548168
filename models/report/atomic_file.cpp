// SPDX-License-Identifier: Apache-2.0
//
// POSIX files with every result checked (see atomic_file.h).
#include "models/report/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>
#include <system_error>

namespace iommu_sim
{
namespace
{

constexpr size_t buffer_bytes = size_t{64} * 1024;
constexpr int max_temporary_names = 1000;

/// Descriptor that a path such as /dev/stdout or /dev/fd/3 stands for. Opening the path instead would
/// give a second file offset, and with output redirected to a file overwrite what is there already.
std::optional<int> named_descriptor(const std::string &path)
{
    if (path == "/dev/stdout")
        return STDOUT_FILENO;
    if (path == "/dev/stderr")
        return STDERR_FILENO;
    for (const std::string_view prefix : {"/dev/fd/", "/proc/self/fd/"}) {
        if (path.compare(0, prefix.size(), prefix) != 0)
            continue;
        int number = -1;
        const char *last = path.data() + path.size();
        const auto [end, error] = std::from_chars(path.data() + prefix.size(), last, number);
        if (error == std::errc() && end == last && number >= 0)
            return number;
    }
    return std::nullopt;
}

} // namespace

AtomicFile::~AtomicFile()
{
    discard();
}

void AtomicFile::discard()
{
    if (file_ >= 0)
        ::close(file_);
    file_ = -1;
    if (!temporary_.empty())
        ::unlink(temporary_.c_str());
    temporary_.clear();
}

bool AtomicFile::fail(const char *action)
{
    const int error = errno;
    if (error_.empty())
        error_ = path_ + ": cannot " + action + ": " + std::generic_category().message(error);
    discard();
    return false;
}

bool AtomicFile::open(const std::string &path)
{
    discard();
    path_ = path;
    error_.clear();
    buffer_.clear();
    struct stat status {
    };
    const bool exists = ::stat(path.c_str(), &status) == 0;
    if (exists && S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        return fail("write");
    }
    if (named_descriptor(path) || (exists && !S_ISREG(status.st_mode)))
        return open_direct();
    // A link keeps pointing where it points; the file behind it is replaced.
    std::error_code error;
    const std::filesystem::path behind = std::filesystem::canonical(path, error);
    target_ = error ? path : behind.string();
    if (!open_temporary())
        return false;
    // The file replaced may have had other permissions than a new one gets.
    if (exists && ::fchmod(file_, status.st_mode & 07777) != 0)
        return fail("set the permissions of a temporary file for");
    return true;
}

bool AtomicFile::open_direct()
{
    if (const std::optional<int> descriptor = named_descriptor(path_)) {
        // What was printed before must come before.
        std::cout.flush();
        std::fflush(stdout);
        file_ = ::dup(*descriptor);
    } else {
        file_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    }
    return file_ >= 0 || fail("open");
}

bool AtomicFile::open_temporary()
{
    const std::filesystem::path target(target_);
    const std::string stem = (target.parent_path() / ("." + target.filename().string())).string();
    for (int i = 0; i < max_temporary_names; i++) {
        const std::string name = stem + "." + std::to_string(::getpid()) + "-" + std::to_string(i) + ".tmp";
        file_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file_ >= 0) {
            temporary_ = name;
            return true;
        }
        if (errno != EEXIST)
            break;
    }
    return fail("create a temporary file beside it");
}

bool AtomicFile::flush_buffer()
{
    std::string_view rest(buffer_);
    while (!rest.empty()) {
        const ssize_t written = ::write(file_, rest.data(), rest.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return fail("write");
        rest.remove_prefix(static_cast<size_t>(written));
    }
    buffer_.clear();
    return true;
}

bool AtomicFile::write(std::string_view data)
{
    if (file_ < 0) {
        errno = EBADF;
        return fail("write");
    }
    buffer_.append(data);
    return buffer_.size() < buffer_bytes || flush_buffer();
}

bool AtomicFile::commit()
{
    if (file_ < 0) {
        errno = EBADF;
        return fail("write");
    }
    if (!flush_buffer())
        return false;
    // Without this a crash of the machine could leave the new name with no content. A file system that
    // has no such operation says EINVAL.
    if (!temporary_.empty() && ::fsync(file_) != 0 && errno != EINVAL)
        return fail("write to the disk");
    const int closed = ::close(file_);
    file_ = -1;
    if (closed != 0)
        return fail("close");
    if (!temporary_.empty() && ::rename(temporary_.c_str(), target_.c_str()) != 0)
        return fail("rename the temporary file");
    temporary_.clear();
    return true;
}

std::string write_file(const std::string &path, std::string_view content)
{
    AtomicFile file;
    if (file.open(path) && file.write(content) && file.commit())
        return "";
    return file.error();
}

} // namespace iommu_sim
