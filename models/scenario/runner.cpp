// SPDX-License-Identifier: Apache-2.0
//
// Measures, sweeps, comparison. See runner.h.
#include "models/scenario/runner.h"

#include <stdexcept>

#include "models/scenario/document.h"

namespace iommu_sim
{

namespace
{

Expression::Meaning meaning_of(const Numbers &figures)
{
    Expression::Meaning meaning;
    meaning.name = [&figures](const std::string &name) {
        const auto found = figures.find(name);
        if (found == figures.end())
            throw ExpressionError(name + " has no value (it did not happen)");
        return found->second;
    };
    return meaning;
}

/// Runs other variants for their figures; a run that was made already is not made again.
class Measurer
{
  public:
    Measurer(const ScenarioFile &file, ScenarioKernel kernel) : file_(file), kernel_(kernel)
    {
    }

    int64_t measure(const Measure &measure, const Numbers &parameters)
    {
        const auto key = std::make_pair(measure.variant, parameters);
        auto found = runs_.find(key);
        if (found == runs_.end()) {
            const Scenario scenario = file_.instantiate(measure.variant, parameters);
            ScenarioRun run = play_scenario(scenario, kernel_);
            if (!run.problem.empty())
                throw ExpressionError("measure " + measure.name + ": variant " + measure.variant + ": " +
                                      run.problem);
            for (const auto &parameter : scenario.parameters)
                run.figures.insert(parameter);
            found = runs_.emplace(key, std::move(run.figures)).first;
        }
        return measure.value.value(meaning_of(found->second));
    }

  private:
    const ScenarioFile &file_;
    ScenarioKernel kernel_;
    std::map<std::pair<std::string, Numbers>, Numbers> runs_;
};

int64_t sweep_value(const Sweep &sweep, const Scenario &scenario, const Numbers &figures, Measurer &measurer)
{
    for (int64_t value = sweep.first; value <= sweep.last; value++) {
        Numbers parameters = scenario.parameters;
        parameters[sweep.parameter] = value;
        Numbers known = figures;
        for (const auto &parameter : parameters)
            known[parameter.first] = parameter.second;
        for (const Measure &measure : sweep.measures)
            known[measure.name] = measurer.measure(measure, parameters);
        if (sweep.condition.value(meaning_of(known)) != 0)
            return value;
    }
    throw ExpressionError(sweep.name + ": the condition holds for no " + sweep.parameter + " from " +
                          std::to_string(sweep.first) + " to " + std::to_string(sweep.last));
}

bool holds(Expectation::Relation relation, int64_t got, int64_t expected)
{
    switch (relation) {
    case Expectation::Relation::different:
        return got != expected;
    case Expectation::Relation::at_least:
        return got >= expected;
    case Expectation::Relation::at_most:
        return got <= expected;
    case Expectation::Relation::more:
        return got > expected;
    case Expectation::Relation::less:
        return got < expected;
    case Expectation::Relation::equal:
        break;
    }
    return got == expected;
}

std::string as_expected(const Expectation &expectation, int64_t value)
{
    const std::string number = figure_value(expectation.figure, value);
    const bool plain =
        expectation.text.size() >= number.size() &&
        expectation.text.compare(expectation.text.size() - number.size(), number.size(), number) == 0;
    return plain ? expectation.text : expectation.text + " = " + number;
}

void compare(const Expectation &expectation, ScenarioResult &result)
{
    int64_t expected = 0;
    std::string expected_text = expectation.text;
    try {
        expected = expectation.value.value(meaning_of(result.figures));
        expected_text = as_expected(expectation, expected);
        const int64_t got = Expression::parse(expectation.figure).value(meaning_of(result.figures));
        if (!holds(expectation.relation, got, expected))
            result.unmet.push_back(
                {expectation.figure, expected_text, figure_value(expectation.figure, got)});
    } catch (const ExpressionError &error) {
        result.unmet.push_back({expectation.figure, expected_text, error.what()});
    }
}

} // namespace

ScenarioResult run_scenario(const ScenarioFile &file, const std::string &variant, ScenarioKernel kernel)
{
    const Scenario scenario = file.instantiate(variant);
    ScenarioRun run = play_scenario(scenario, kernel);
    ScenarioResult result;
    result.id = scenario.id;
    result.variant = variant;
    result.title = scenario.title;
    result.figures = std::move(run.figures);
    result.log = std::move(run.log);
    result.findings = std::move(run.findings);
    for (const auto &parameter : scenario.parameters)
        result.figures.insert(parameter);
    Measurer measurer(file, kernel);
    try {
        for (const Measure &measure : scenario.measures)
            result.figures[measure.name] = measurer.measure(measure, scenario.parameters);
        for (const Sweep &sweep : scenario.sweeps)
            result.figures[sweep.name] = sweep_value(sweep, scenario, result.figures, measurer);
    } catch (const ExpressionError &error) {
        result.unmet.push_back({"measure", "a value", error.what()});
    }
    bool about_end = false;
    for (const Expectation &expectation : scenario.expect) {
        result.shown.push_back(expectation.figure);
        about_end = about_end || expectation.figure == "finished";
        compare(expectation, result);
    }
    if (!run.problem.empty() && !about_end)
        result.unmet.insert(result.unmet.begin(), {"finished", "1", run.problem});
    return result;
}

} // namespace iommu_sim
