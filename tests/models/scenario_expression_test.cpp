// SPDX-License-Identifier: Apache-2.0
//
// Expressions of scenario files (models/scenario/expression.h): values, precedence, and that what cannot be
// meant is refused instead of guessed.
#include <gtest/gtest.h>

#include <map>

#include "models/scenario/expression.h"

namespace iommu_sim
{
namespace
{

int64_t value(const std::string &text)
{
    static const std::map<std::string, int64_t> names{{"n", 4}, {"t_inv", 300}, {"lock.iommu.hold", 7}};
    Expression::Meaning meaning;
    meaning.name = [](const std::string &name) {
        const auto found = names.find(name);
        if (found == names.end())
            throw ExpressionError("unknown " + name);
        return found->second;
    };
    return Expression::parse(text).value(meaning);
}

TEST(ScenarioExpression, Arithmetic)
{
    EXPECT_EQ(value("1 + 2*n + 1"), 10);
    EXPECT_EQ(value("(1 + 2) * n - 2 - 1"), 9);
    EXPECT_EQ(value("64 * 2 + (2*n + 2) * t_inv"), 3128);
    EXPECT_EQ(value("-n + 5"), 1);
    EXPECT_EQ(value("17 % 5"), 2);
    EXPECT_EQ(value("lock.iommu.hold"), 7);
    EXPECT_EQ(value("max(n, 9) - min(n, 9)"), 5);
}

TEST(ScenarioExpression, Numbers)
{
    EXPECT_EQ(value("0x1ff"), 0x1ff);
    EXPECT_EQ(value("4K"), 4096);
    EXPECT_EQ(value("2M + 1"), 2097153);
    EXPECT_THROW(value("010"), ExpressionError);
    EXPECT_THROW(value("12abc"), ExpressionError);
    EXPECT_THROW(value("0x8000000000000000"), ExpressionError);
    EXPECT_THROW(value("9223372036854775808"), ExpressionError);
}

TEST(ScenarioExpression, DivisionNeverRoundsSilently)
{
    EXPECT_EQ(value("20 / 4"), 5);
    EXPECT_THROW(value("20 / 16"), ExpressionError);
    EXPECT_EQ(value("ceil(20, 16)"), 2);
    EXPECT_EQ(value("floor(20, 16)"), 1);
    EXPECT_EQ(value("ceil(-20, 16)"), -1);
    EXPECT_EQ(value("floor(-20, 16)"), -2);
    EXPECT_THROW(value("1 / 0"), ExpressionError);
    EXPECT_THROW(value("1 % 0"), ExpressionError);
}

TEST(ScenarioExpression, Comparisons)
{
    EXPECT_EQ(value("n < 5"), 1);
    EXPECT_EQ(value("n >= 5"), 0);
    EXPECT_EQ(value("n + 1 == 5"), 1);
    EXPECT_EQ(value("n != 4"), 0);
}

TEST(ScenarioExpression, OverflowIsAnError)
{
    EXPECT_THROW(value("0x7fffffffffffffff + 1"), ExpressionError);
    EXPECT_THROW(value("0x7fffffffffffffff * 2"), ExpressionError);
    EXPECT_THROW(value("-0x7fffffffffffffff - 2"), ExpressionError);
}

TEST(ScenarioExpression, WhatCannotBeMeantIsRefused)
{
    for (const char *text :
         {"", "1 +", "(1", "1 2", "max(1)", "n n", "1 ++ 2", "$", "ceil(1, 2, 3)", "nothing"})
        EXPECT_THROW(value(text), ExpressionError) << text;
    EXPECT_THROW(value("unknown_function(1)"), ExpressionError);
    EXPECT_THROW(Expression::parse(std::string(10000, '(')), ExpressionError);
    EXPECT_THROW(Expression::parse(std::string(10000, '-')), ExpressionError);
}

TEST(ScenarioExpression, BindReplacesKnownNames)
{
    Expression expression = Expression::parse("n * figure + other(n)");
    expression.bind({{"n", 3}});
    Expression::Meaning meaning;
    meaning.name = [](const std::string &name) -> int64_t {
        return name == "figure" ? 10 : throw ExpressionError(name);
    };
    meaning.call = [](const std::string &, const std::vector<Expression> &arguments) {
        return arguments[0].value({});
    };
    EXPECT_EQ(expression.value(meaning), 33);
    std::vector<std::string> names;
    expression.collect_names(names);
    EXPECT_EQ(names, std::vector<std::string>{"figure"});
}

} // namespace
} // namespace iommu_sim
