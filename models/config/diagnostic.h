// SPDX-License-Identifier: Apache-2.0
//
// Where a configuration value came from and what is wrong with it.
//
// Every value keeps its origin (a position in a file or one `--set` argument) through includes and
// overrides, so that a message always points at the text somebody has to change. Messages are
// collected, never thrown, and shown together in order of position.
#ifndef IOM_MODELS_CONFIG_DIAGNOSTIC_H
#define IOM_MODELS_CONFIG_DIAGNOSTIC_H

#include <cstdint>
#include <string>
#include <vector>

namespace iommu_sim
{

/// A place in one source. line == 0 means the source as a whole. Lines and columns count from 1.
struct Origin {
    uint32_t source = 0;
    uint32_t line = 0;
    uint32_t column = 0;
};

/// The files and `--set` arguments of one load, in the order in which messages list them.
class SourceTable
{
  public:
    /// `name` is shown in messages: the path as the user would type it.
    uint32_t add_file(const std::string &name);
    /// `argument` is the text after --set, `key` the part of it before '='.
    uint32_t add_setting(const std::string &argument, const std::string &key);

    /// Called when a file and all it includes were read; files that override others finish later.
    void finish_file(uint32_t source);
    /// Grows with the power to override: an including file has more than what it includes, a later
    /// include more than an earlier one, a setting more than files and earlier settings.
    uint32_t precedence(uint32_t source) const;

    bool is_setting(uint32_t source) const;
    const std::string &name(uint32_t source) const;
    /// Key that a setting sets; empty for a file.
    const std::string &setting_key(uint32_t source) const;

  private:
    struct Source {
        std::string name;
        std::string key;
        bool setting;
        uint32_t precedence;
    };
    std::vector<Source> sources_;
    uint32_t last_precedence_ = 0;
};

/// One mistake. text() is the whole line shown to the user, without a newline.
struct Diagnostic {
    std::string where;   ///< "file:line:col", "file" or "--set key=value"
    std::string key;     ///< full key path; empty if the mistake is not about one key
    std::string message; ///< what is wrong and, where known, the remedy
    Origin origin;

    std::string text() const;
};

/// Collects mistakes and hands them out sorted by position.
class DiagnosticList
{
  public:
    explicit DiagnosticList(const SourceTable &sources) : sources_(&sources)
    {
    }

    /// The key is left out of the message if `origin` is a setting that names this very key.
    void add(Origin origin, const std::string &key, const std::string &message);
    bool empty() const
    {
        return diagnostics_.empty();
    }
    std::vector<Diagnostic> sorted() const;
    const SourceTable &sources() const
    {
        return *sources_;
    }

  private:
    const SourceTable *sources_;
    std::vector<Diagnostic> diagnostics_;
};

} // namespace iommu_sim

#endif
