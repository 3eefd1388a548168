// SPDX-License-Identifier: Apache-2.0
//
// Reading the maps of a scenario file whose keys depend on the operation: every key that is asked for is
// known, finish() reports the others. Numbers are expressions over the parameters in scope.
#ifndef IOMMU_SIM_MODELS_SCENARIO_ARGUMENTS_H
#define IOMMU_SIM_MODELS_SCENARIO_ARGUMENTS_H

#include <optional>
#include <string>
#include <vector>

#include "models/config/scalar_codec.h"
#include "models/config/value_tree.h"
#include "models/scenario/scenario.h"

namespace iommu_sim
{

/// What is shared while one file is read.
struct ReadingContext {
    DiagnosticList &diagnostics;
    Numbers names; ///< parameters and loop variables

    void refuse(const Origin &origin, const std::string &path, const std::string &message) const
    {
        diagnostics.add(origin, path, message);
    }
};

/// Value of a scalar that is an expression over the names in scope; reports mistakes and returns 0 then.
int64_t read_number(const ValueNode &scalar, const std::string &path, const ReadingContext &context,
                    Range range = {});
/// The expression in a scalar; reports a mistake.
std::optional<Expression> read_expression(const ValueNode &scalar, const std::string &path,
                                          const ReadingContext &context);
/// Letters, digits and '_', beginning with a letter.
bool is_scenario_name(const std::string &text);

class Arguments
{
  public:
    /// `node` may be a map; anything else is reported and counts as an empty one.
    Arguments(const ValueNode &node, std::string path, const ReadingContext &context);

    bool has(const std::string &key);
    /// The value, or null.
    const ValueNode *node(const std::string &key);
    uint64_t number(const std::string &key, uint64_t missing, Range range = {});
    /// Reported if it is not there.
    uint64_t required(const std::string &key, Range range = {});
    bool flag(const std::string &key, bool missing = false);
    /// A plain word; empty if not there.
    std::string word(const std::string &key, bool is_required = false);
    /// Any text.
    std::string text(const std::string &key, bool is_required = false);
    /// Position in `names`; the first one if not there and not required.
    size_t choice(const std::string &key, const std::vector<std::string> &names, bool is_required = false);
    std::optional<Expression> expression(const std::string &key);

    const std::string &path() const
    {
        return path_;
    }
    const Origin &origin() const
    {
        return node_.origin;
    }
    /// Reports keys nobody asked for.
    void finish();

  private:
    const ValueNode *scalar(const std::string &key, bool is_required);

    const ValueNode &node_;
    std::string path_;
    const ReadingContext &context_;
    std::vector<std::string> asked_;
};

} // namespace iommu_sim

#endif
