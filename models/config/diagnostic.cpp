// SPDX-License-Identifier: Apache-2.0
//
// Text and order of configuration messages (see diagnostic.h).
#include "models/config/diagnostic.h"

#include <algorithm>
#include <tuple>

namespace iommu_sim
{

uint32_t SourceTable::add_file(const std::string &name)
{
    sources_.push_back({name, "", false, 0});
    return static_cast<uint32_t>(sources_.size() - 1);
}

uint32_t SourceTable::add_setting(const std::string &argument, const std::string &key)
{
    sources_.push_back({"--set " + argument, key, true, ++last_precedence_});
    return static_cast<uint32_t>(sources_.size() - 1);
}

void SourceTable::finish_file(uint32_t source)
{
    sources_.at(source).precedence = ++last_precedence_;
}

uint32_t SourceTable::precedence(uint32_t source) const
{
    return sources_.at(source).precedence;
}

bool SourceTable::is_setting(uint32_t source) const
{
    return sources_.at(source).setting;
}

const std::string &SourceTable::name(uint32_t source) const
{
    return sources_.at(source).name;
}

const std::string &SourceTable::setting_key(uint32_t source) const
{
    return sources_.at(source).key;
}

std::string Diagnostic::text() const
{
    return where + ": " + (key.empty() ? "" : key + ": ") + message;
}

void DiagnosticList::add(Origin origin, const std::string &key, const std::string &message)
{
    Diagnostic diagnostic;
    diagnostic.origin = origin;
    diagnostic.message = message;
    diagnostic.where = sources_->name(origin.source);
    if (sources_->is_setting(origin.source)) {
        diagnostic.key = key == sources_->setting_key(origin.source) ? "" : key;
    } else {
        diagnostic.key = key;
        if (origin.line != 0)
            diagnostic.where += ":" + std::to_string(origin.line) + ":" + std::to_string(origin.column);
    }
    diagnostics_.push_back(std::move(diagnostic));
}

std::vector<Diagnostic> DiagnosticList::sorted() const
{
    std::vector<Diagnostic> result = diagnostics_;
    std::stable_sort(result.begin(), result.end(), [](const Diagnostic &a, const Diagnostic &b) {
        return std::tie(a.origin.source, a.origin.line, a.origin.column) <
               std::tie(b.origin.source, b.origin.line, b.origin.column);
    });
    return result;
}

} // namespace iommu_sim
