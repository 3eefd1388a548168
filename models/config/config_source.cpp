// SPDX-License-Identifier: Apache-2.0
//
// Files, includes and merging (see config_source.h).
#include "models/config/config_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

namespace iommu_sim
{
namespace
{

/// No hand-written configuration is larger; keeps a wrong path (a trace, a disk) from being slurped.
constexpr size_t max_file_bytes = 16u << 20;
/// Files one load may read, the same one included twice counted twice.
constexpr size_t max_files = 1000;

std::string reason(int error)
{
    return std::generic_category().message(error);
}

/// Whole content of a file; returns an error text, empty on success.
std::string read_file(const std::string &path, std::string &content)
{
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return "cannot open: " + reason(errno);
    std::string error;
    struct stat status {
    };
    if (::fstat(file, &status) == 0 && S_ISDIR(status.st_mode))
        error = "is a directory, not a configuration file";
    std::array<char, 65536> buffer{};
    while (error.empty()) {
        const ssize_t count = ::read(file, buffer.data(), buffer.size());
        if (count == 0)
            break;
        if (count < 0 && errno != EINTR)
            error = "cannot read: " + reason(errno);
        else if (count > 0)
            content.append(buffer.data(), static_cast<size_t>(count));
        if (content.size() > max_file_bytes)
            error = "larger than 16 MiB, which no configuration is";
    }
    ::close(file);
    return error;
}

/// Identity of a file for the detection of cycles, whatever way it is spelt.
std::string identity(const std::string &path)
{
    std::error_code error;
    const std::filesystem::path canonical = std::filesystem::weakly_canonical(path, error);
    return error ? path : canonical.string();
}

class SourceReader
{
  public:
    SourceReader(SourceTable &sources, DiagnosticList &diagnostics)
        : sources_(sources), diagnostics_(diagnostics)
    {
    }

    bool partial() const
    {
        return partial_;
    }

    /// `includer` is where the path was written; null for the file on the command line.
    std::optional<ValueNode> file(const std::string &path, const Origin *includer)
    {
        const auto refuse = [&](const std::string &message) {
            if (includer == nullptr)
                return fail({sources_.add_file(path), 0, 0}, "", message);
            return fail(*includer, "include", message);
        };
        if (const std::string cycle = cycle_through(path); !cycle.empty())
            return refuse("include cycle: " + cycle);
        if (++files_ > max_files)
            return refuse("more than " + std::to_string(max_files) + " files are included");
        std::string content;
        const std::string error = read_file(path, content);
        if (error.empty())
            return text(content, path);
        return refuse(includer == nullptr ? error : path + ": " + error);
    }

    std::optional<ValueNode> text(const std::string &content, const std::string &name)
    {
        const uint32_t source = sources_.add_file(name);
        std::optional<ValueNode> own = parse_yaml(content, source, diagnostics_);
        if (!own) {
            // A syntax error has been reported; without one there was nothing but comments.
            if (!diagnostics_of(source))
                diagnostics_.add({source, 1, 1}, "", "the file is empty; write {} if all defaults are meant");
            partial_ = true;
            return std::nullopt;
        }
        if (own->kind == ValueNode::Kind::null)
            return fail({source, 1, 1}, "", "the file is empty; write {} if all defaults are meant");
        if (own->kind != ValueNode::Kind::map)
            return fail(own->origin, "",
                        "a configuration is a map of keys (like `iotlb:`), not a list or a value");
        open_.push_back({identity(name), name});
        ValueNode result = with_includes(std::move(*own), name);
        open_.pop_back();
        sources_.finish_file(source);
        return result;
    }

  private:
    struct OpenFile {
        std::string identity;
        std::string name;
    };

    std::optional<ValueNode> fail(Origin origin, const std::string &key, const std::string &message)
    {
        diagnostics_.add(origin, key, message);
        partial_ = true;
        return std::nullopt;
    }

    bool diagnostics_of(uint32_t source) const
    {
        const std::vector<Diagnostic> all = diagnostics_.sorted();
        return std::any_of(all.begin(), all.end(),
                           [&](const Diagnostic &d) { return d.origin.source == source; });
    }

    std::string cycle_through(const std::string &path) const
    {
        const std::string id = identity(path);
        std::string cycle;
        for (const OpenFile &file : open_) {
            if (!cycle.empty() || file.identity == id)
                cycle += file.name + " -> ";
        }
        return cycle.empty() ? "" : cycle + path;
    }

    ValueNode with_includes(ValueNode own, const std::string &name)
    {
        const auto is_include = [](const MapEntry &entry) { return entry.key == "include"; };
        const auto found = std::find_if(own.entries.begin(), own.entries.end(), is_include);
        if (found == own.entries.end())
            return own;
        const ValueNode include = std::move(found->value);
        own.entries.erase(found);
        ValueNode result;
        result.kind = ValueNode::Kind::map;
        result.origin = own.origin;
        std::vector<ValueNode> paths;
        if (include.kind == ValueNode::Kind::list)
            paths = include.items;
        else
            paths.push_back(include);
        for (const ValueNode &path : paths) {
            if (path.kind != ValueNode::Kind::scalar || path.text.empty()) {
                fail(path.origin, "include", "expected the path of a file, or a list of them");
                continue;
            }
            const auto directory = std::filesystem::path(name).parent_path();
            const std::string target = (directory / path.text).lexically_normal().string();
            if (std::optional<ValueNode> included = file(target, &path.origin))
                merge_over(result, std::move(*included));
        }
        merge_over(result, std::move(own));
        return result;
    }

    SourceTable &sources_;
    DiagnosticList &diagnostics_;
    std::vector<OpenFile> open_; ///< the file being read and those that include it
    size_t files_ = 0;
    bool partial_ = false;
};

} // namespace

ConfigSource read_config_source(const std::string &path, SourceTable &sources, DiagnosticList &diagnostics)
{
    SourceReader reader(sources, diagnostics);
    ConfigSource result;
    result.root = reader.file(path, nullptr);
    result.partial = reader.partial();
    return result;
}

ConfigSource read_config_text(const std::string &text, const std::string &name, SourceTable &sources,
                              DiagnosticList &diagnostics)
{
    SourceReader reader(sources, diagnostics);
    ConfigSource result;
    result.root = reader.text(text, name);
    result.partial = reader.partial();
    return result;
}

} // namespace iommu_sim
