// SPDX-License-Identifier: Apache-2.0
//
// Parsing (recursive descent) and evaluation of expressions. See expression.h.
#include "models/scenario/expression.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>

namespace iommu_sim
{

namespace
{

constexpr std::array<const char *, 6> comparisons{"<=", ">=", "==", "!=", "<", ">"};
constexpr unsigned deepest_nesting = 64;

bool is_name_start(char c)
{
    return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
}

bool is_name_part(char c)
{
    return is_name_start(c) || std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '.';
}

int64_t divide(int64_t a, int64_t b, const std::string &what)
{
    if (b == 0)
        throw ExpressionError("division by 0");
    if (a == std::numeric_limits<int64_t>::min() && b == -1)
        throw ExpressionError("the result does not fit into 64 bits");
    if (what == "%")
        return a % b;
    const int64_t quotient = a / b;
    const int64_t rest = a % b;
    if (what == "/" && rest != 0)
        throw ExpressionError(std::to_string(a) + " / " + std::to_string(b) +
                              " leaves a remainder; say ceil(a, b) or floor(a, b)");
    const bool negative = (a < 0) != (b < 0);
    if (what == "ceil" && rest != 0 && !negative)
        return quotient + 1;
    if (what == "floor" && rest != 0 && negative)
        return quotient - 1;
    return quotient;
}

int64_t operate(const std::string &what, int64_t a, int64_t b)
{
    int64_t result = 0;
    bool overflow = false;
    if (what == "+")
        overflow = __builtin_add_overflow(a, b, &result);
    else if (what == "-")
        overflow = __builtin_sub_overflow(a, b, &result);
    else if (what == "*")
        overflow = __builtin_mul_overflow(a, b, &result);
    else if (what == "<")
        result = a < b ? 1 : 0;
    else if (what == ">")
        result = a > b ? 1 : 0;
    else if (what == "<=")
        result = a <= b ? 1 : 0;
    else if (what == ">=")
        result = a >= b ? 1 : 0;
    else if (what == "==")
        result = a == b ? 1 : 0;
    else if (what == "!=")
        result = a != b ? 1 : 0;
    else if (what == "max")
        result = std::max(a, b);
    else if (what == "min")
        result = std::min(a, b);
    else
        result = divide(a, b, what);
    if (overflow)
        throw ExpressionError("the result does not fit into 64 bits");
    return result;
}

bool is_built_in(const std::string &function)
{
    return function == "max" || function == "min" || function == "ceil" || function == "floor";
}

} // namespace

class ExpressionParser
{
  public:
    explicit ExpressionParser(const std::string &text) : text_(text)
    {
    }

    Expression parse()
    {
        Expression result = comparison();
        skip_space();
        if (at_ < text_.size())
            throw ExpressionError("'" + text_.substr(at_) + "' is not understood here");
        return result;
    }

  private:
    void skip_space()
    {
        while (at_ < text_.size() && text_[at_] == ' ')
            at_++;
    }

    bool take(const std::string &token)
    {
        skip_space();
        if (text_.compare(at_, token.size(), token) != 0)
            return false;
        at_ += token.size();
        return true;
    }

    static Expression operation(const std::string &what, Expression a, Expression b)
    {
        Expression result;
        result.kind_ = Expression::Kind::operation;
        result.text_ = what;
        result.parts_.push_back(std::move(a));
        result.parts_.push_back(std::move(b));
        return result;
    }

    Expression comparison()
    {
        if (++depth_ > deepest_nesting)
            throw ExpressionError("too many brackets");
        Expression result = sum();
        for (const char *token : comparisons) {
            if (take(token)) {
                result = operation(token, std::move(result), sum());
                break;
            }
        }
        depth_--;
        return result;
    }

    Expression sum()
    {
        Expression result = product();
        for (;;) {
            if (take("+"))
                result = operation("+", std::move(result), product());
            else if (take("-"))
                result = operation("-", std::move(result), product());
            else
                return result;
        }
    }

    Expression product()
    {
        Expression result = atom();
        for (;;) {
            if (take("*"))
                result = operation("*", std::move(result), atom());
            else if (take("/"))
                result = operation("/", std::move(result), atom());
            else if (take("%"))
                result = operation("%", std::move(result), atom());
            else
                return result;
        }
    }

    Expression atom()
    {
        skip_space();
        if (at_ >= text_.size())
            throw ExpressionError(text_.empty() ? "nothing is written here"
                                                : "something is missing at the end");
        if (take("("))
            return bracket();
        if (take("-")) {
            if (++depth_ > deepest_nesting)
                throw ExpressionError("too many signs");
            Expression result = operation("-", Expression(), atom());
            depth_--;
            return result;
        }
        if (std::isdigit(static_cast<unsigned char>(text_[at_])) != 0)
            return number();
        if (is_name_start(text_[at_]))
            return name();
        throw ExpressionError("'" + text_.substr(at_) + "' is not understood here");
    }

    Expression bracket()
    {
        Expression result = comparison();
        if (!take(")"))
            throw ExpressionError("a bracket is not closed");
        return result;
    }

    Expression number()
    {
        const size_t first = at_;
        while (at_ < text_.size() && std::isalnum(static_cast<unsigned char>(text_[at_])) != 0)
            at_++;
        std::string digits = text_.substr(first, at_ - first);
        unsigned shift = 0;
        const bool hex = digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
        if (!hex) {
            const size_t suffix = std::string("KMGT").find(digits.back());
            if (suffix != std::string::npos) {
                shift = 10 * (static_cast<unsigned>(suffix) + 1);
                digits.pop_back();
            }
        }
        Expression result;
        result.number_ = magnitude(digits, hex, shift);
        return result;
    }

    static int64_t magnitude(const std::string &digits, bool hex, unsigned shift)
    {
        const std::string body = hex ? digits.substr(2) : digits;
        if (!hex && body.size() > 1 && body[0] == '0')
            throw ExpressionError("'" + digits + "' has a leading zero; write it without, or as 0x...");
        uint64_t value = 0;
        for (const char c : body) {
            const int digit = std::isdigit(static_cast<unsigned char>(c)) != 0
                                  ? c - '0'
                                  : std::tolower(static_cast<unsigned char>(c)) - 'a' + 10;
            const int base = hex ? 16 : 10;
            if (digit >= base)
                throw ExpressionError("'" + digits + "' is not a number");
            if (value > (static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) - 15) / 16)
                throw ExpressionError("'" + digits + "' does not fit into 64 bits");
            value = value * static_cast<uint64_t>(base) + static_cast<uint64_t>(digit);
        }
        if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) >> shift)
            throw ExpressionError("'" + digits + "' does not fit into 64 bits");
        return static_cast<int64_t>(value << shift);
    }

    Expression name()
    {
        const size_t first = at_;
        while (at_ < text_.size() && is_name_part(text_[at_]))
            at_++;
        Expression result;
        result.kind_ = Expression::Kind::name;
        result.text_ = text_.substr(first, at_ - first);
        if (!take("("))
            return result;
        result.kind_ = Expression::Kind::call;
        do
            result.parts_.push_back(comparison());
        while (take(","));
        if (!take(")"))
            throw ExpressionError("the bracket after " + result.text_ + " is not closed");
        if (is_built_in(result.text_) && result.parts_.size() != 2)
            throw ExpressionError(result.text_ + " takes two values");
        return result;
    }

    const std::string &text_;
    size_t at_ = 0;
    unsigned depth_ = 0;
};

Expression Expression::parse(const std::string &text)
{
    return ExpressionParser(text).parse();
}

int64_t Expression::value(const Meaning &meaning) const
{
    switch (kind_) {
    case Kind::number:
        return number_;
    case Kind::name:
        return meaning.name(text_);
    case Kind::operation:
        return operate(text_, parts_[0].value(meaning), parts_[1].value(meaning));
    case Kind::call:
        break;
    }
    if (is_built_in(text_))
        return operate(text_, parts_[0].value(meaning), parts_[1].value(meaning));
    if (!meaning.call)
        throw ExpressionError("there is no function " + text_ + " here (max, min, ceil, floor)");
    return meaning.call(text_, parts_);
}

void Expression::collect_names(std::vector<std::string> &names) const
{
    if (kind_ == Kind::name)
        names.push_back(text_);
    if (kind_ == Kind::call && !is_built_in(text_))
        return;
    for (const Expression &part : parts_)
        part.collect_names(names);
}

void Expression::bind(const std::map<std::string, int64_t> &names)
{
    const auto found = kind_ == Kind::name ? names.find(text_) : names.end();
    if (found != names.end()) {
        kind_ = Kind::number;
        number_ = found->second;
    }
    for (Expression &part : parts_)
        part.bind(names);
}

std::string Expression::plain_name() const
{
    return kind_ == Kind::name ? text_ : "";
}

} // namespace iommu_sim
