// SPDX-License-Identifier: Apache-2.0
//
// Scenario files: from YAML text to variants that can be played.
//
// A variant is made by changing the tree of written values first and reading it afterwards, so that all
// variants pass the same checks, and messages point at the text that somebody has to change.
#ifndef IOMMU_SIM_MODELS_SCENARIO_SCENARIO_FILE_H
#define IOMMU_SIM_MODELS_SCENARIO_SCENARIO_FILE_H

#include <string>
#include <vector>

#include "models/config/value_tree.h"
#include "models/scenario/scenario.h"

namespace iommu_sim
{

class ScenarioFile
{
  public:
    /// `name` is shown in messages. Every variant is read once, so a file without problems() is good.
    ScenarioFile(const std::string &text, const std::string &name);

    /// Mistakes, one line each; empty: none.
    const std::vector<std::string> &problems() const
    {
        return problems_;
    }
    const std::string &id() const
    {
        return id_;
    }
    const std::string &title() const
    {
        return title_;
    }
    const std::string &question() const
    {
        return question_;
    }
    const std::string &answer() const
    {
        return answer_;
    }
    const std::string &source() const
    {
        return source_;
    }
    /// "base" first, then in file order.
    const std::vector<std::string> &variants() const
    {
        return variants_;
    }
    /// What a variant shows; for base the scenario's own text.
    std::string about(const std::string &variant) const;

    /// A variant, with some parameters replaced. Throws std::runtime_error with all mistakes (a parameter can
    /// make a value unusable).
    Scenario instantiate(const std::string &variant, const Numbers &parameters = {}) const;

  private:
    Scenario read_variant(const std::string &variant, const Numbers &parameters,
                          DiagnosticList &diagnostics) const;
    void read_heading(DiagnosticList &diagnostics);

    SourceTable sources_;
    ValueNode root_;
    std::string id_, title_, question_, answer_, source_;
    std::vector<std::string> variants_;
    std::vector<std::string> problems_;
};

/// Orders "A2" before "A10": by letters, then by number.
bool scenario_id_before(const std::string &a, const std::string &b);
/// The letters of an id: "A" of "A10".
std::string scenario_group(const std::string &id);

} // namespace iommu_sim

#endif
