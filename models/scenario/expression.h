// SPDX-License-Identifier: Apache-2.0
//
// Small integer arithmetic for scenario files: values of steps that depend on parameters, and the closed
// forms that expectations compare measured figures with ("slots * scan + (2*n + 2) * t_inv").
//
//     number   12, 4K, 0x1000            name     n, dma.late.answered, lock.iommu.hold
//     call     max(a, b)                 compare  a < b, a == b (1 or 0)
//     + - * / %  with the usual precedence; a division that leaves a remainder is an error, because a
//     closed form that rounds silently proves nothing. ceil(a, b) and floor(a, b) divide and round.
//
// Arithmetic is on signed 64-bit integers; overflow is an error.
#ifndef IOMMU_SIM_MODELS_SCENARIO_EXPRESSION_H
#define IOMMU_SIM_MODELS_SCENARIO_EXPRESSION_H

#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace iommu_sim
{

/// What is wrong with an expression; the text is for the user.
class ExpressionError : public std::runtime_error
{
  public:
    using std::runtime_error::runtime_error;
};

class Expression
{
  public:
    /// What names and calls mean. A function throws ExpressionError for what it does not know.
    struct Meaning {
        std::function<int64_t(const std::string &name)> name;
        /// Calls other than max, min, ceil, floor; may be empty: there are none.
        std::function<int64_t(const std::string &function, const std::vector<Expression> &arguments)> call;
    };

    /// Throws ExpressionError.
    static Expression parse(const std::string &text);

    int64_t value(const Meaning &meaning) const;
    /// All names in it, in order, those inside calls of unknown functions excepted.
    void collect_names(std::vector<std::string> &names) const;
    /// Names that stand for known numbers are replaced by them, everywhere.
    void bind(const std::map<std::string, int64_t> &names);
    /// The name if the expression is nothing but a name, else an empty string.
    std::string plain_name() const;

  private:
    friend class ExpressionParser;
    enum class Kind { number, name, call, operation };

    Kind kind_ = Kind::number;
    int64_t number_ = 0;
    std::string text_; ///< name, function or operator
    std::vector<Expression> parts_;
};

} // namespace iommu_sim

#endif
