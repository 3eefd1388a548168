// SPDX-License-Identifier: Apache-2.0
//
// Measures, sweeps, expectations. See expectation_reader.h.
#include "models/scenario/expectation_reader.h"

#include <algorithm>

#include "models/config/schema.h"
#include "models/config/suggest.h"
#include "models/scenario/figures.h"

namespace iommu_sim
{

namespace
{

struct RelationWord {
    const char *word;
    Expectation::Relation relation;
};
const RelationWord relation_words[] = {
    {"at least ", Expectation::Relation::at_least}, {"at most ", Expectation::Relation::at_most},
    {"more than ", Expectation::Relation::more},    {"less than ", Expectation::Relation::less},
    {"not ", Expectation::Relation::different},
};

/// Values of sweeps: more would take too long to be a check.
constexpr int64_t longest_sweep = 4096;

void read_measure(const MapEntry &entry, const std::string &path, std::vector<Measure> &measures,
                  const ReadingContext &context)
{
    Arguments arguments(entry.value, path, context);
    Measure measure;
    measure.name = entry.key;
    measure.origin = entry.value.origin;
    measure.variant = arguments.word("variant", true);
    const std::optional<Expression> value = arguments.expression("value");
    if (!value)
        context.refuse(entry.value.origin, path,
                       "value: missing (an expression over the figures of that variant)");
    else
        measure.value = *value;
    measure.value.bind(context.names);
    arguments.finish();
    if (!is_scenario_name(entry.key))
        context.refuse(entry.origin, path, "not a name (letters, digits and _, a letter first)");
    measures.push_back(std::move(measure));
}

void read_expectation(const MapEntry &entry, Scenario &scenario, const ReadingContext &context)
{
    const std::string path = join_path("expect", entry.key);
    Expectation expectation;
    expectation.figure = entry.key;
    expectation.text = entry.value.text;
    expectation.origin = entry.value.origin;
    if (entry.value.kind != ValueNode::Kind::scalar) {
        context.refuse(entry.value.origin, path, "expected a value, as in `0`, `at least 1` or `2*n + 1`");
        return;
    }
    std::string text = entry.value.text;
    for (const RelationWord &word : relation_words) {
        const std::string prefix = word.word;
        if (text.compare(0, prefix.size(), prefix) == 0) {
            expectation.relation = word.relation;
            text = text.substr(prefix.size());
            break;
        }
    }
    if (text == "true" || text == "false")
        text = text == "true" ? "1" : "0";
    try {
        expectation.value = Expression::parse(text);
        expectation.value.bind(context.names);
        scenario.expect.push_back(std::move(expectation));
    } catch (const ExpressionError &error) {
        context.refuse(entry.value.origin, path, error.what());
    }
}

const Scenario *find_variant(const std::vector<Scenario> &scenarios, const std::string &variant)
{
    for (const Scenario &scenario : scenarios) {
        if (scenario.variant == variant)
            return &scenario;
    }
    return nullptr;
}

class NameCheck
{
  public:
    NameCheck(const std::vector<Scenario> &scenarios, DiagnosticList &diagnostics)
        : scenarios_(scenarios), diagnostics_(diagnostics)
    {
    }

    void scenario(const Scenario &scenario)
    {
        std::vector<std::string> known = figure_names(scenario);
        for (const auto &parameter : scenario.parameters)
            known.push_back(parameter.first);
        for (const Measure &m : scenario.measures) {
            measure(m, scenario);
            known.push_back(m.name);
        }
        for (const Sweep &s : scenario.sweeps) {
            sweep(s, scenario, known);
            known.push_back(s.name);
        }
        for (const Expectation &expectation : scenario.expect) {
            const std::string path = join_path("expect", expectation.figure);
            try {
                names(Expression::parse(expectation.figure), expectation.origin, path, known);
            } catch (const ExpressionError &error) {
                diagnostics_.add(expectation.origin, path, error.what());
            }
            names(expectation.value, expectation.origin, path, known);
        }
    }

  private:
    void names(const Expression &expression, const Origin &origin, const std::string &path,
               const std::vector<std::string> &known)
    {
        std::vector<std::string> used;
        expression.collect_names(used);
        for (const std::string &name : used) {
            if (std::find(known.begin(), known.end(), name) == known.end())
                diagnostics_.add(origin, path,
                                 "there is no figure '" + name + "'" + did_you_mean(name, known));
        }
    }

    void measure(const Measure &m, const Scenario &owner)
    {
        const std::string path = join_path("measure", m.name);
        const Scenario *target = find_variant(scenarios_, m.variant);
        std::vector<std::string> variants;
        for (const Scenario &scenario : scenarios_)
            variants.push_back(scenario.variant);
        if (target == nullptr)
            diagnostics_.add(m.origin, path,
                             "there is no variant '" + m.variant + "'" + did_you_mean(m.variant, variants));
        else if (target == &owner)
            diagnostics_.add(m.origin, path, "a variant cannot measure itself");
        else
            names(m.value, m.origin, path, figure_names(*target));
    }

    void sweep(const Sweep &s, const Scenario &owner, const std::vector<std::string> &figures)
    {
        const std::string path = join_path("sweep", s.name);
        std::vector<std::string> known;
        for (const auto &parameter : owner.parameters)
            known.push_back(parameter.first);
        for (const Measure &m : owner.measures)
            known.push_back(m.name);
        for (const Measure &m : s.measures) {
            measure(m, owner);
            known.push_back(m.name);
        }
        if (owner.parameters.count(s.parameter) == 0)
            diagnostics_.add(s.origin, path,
                             "there is no parameter '" + s.parameter + "'" +
                                 did_you_mean(s.parameter, figures));
        names(s.condition, s.origin, path, known);
    }

    const std::vector<Scenario> &scenarios_;
    DiagnosticList &diagnostics_;
};

} // namespace

void read_measures(const ValueNode *node, const std::string &path, std::vector<Measure> &measures,
                   const ReadingContext &context)
{
    if (node == nullptr)
        return;
    if (node->kind != ValueNode::Kind::map)
        context.refuse(node->origin, path, "expected names with what each of them measures");
    for (const MapEntry &entry : node->entries)
        read_measure(entry, join_path(path, entry.key), measures, context);
}

void read_sweeps(const ValueNode *node, Scenario &scenario, const ReadingContext &context)
{
    if (node == nullptr)
        return;
    if (node->kind != ValueNode::Kind::map)
        context.refuse(node->origin, "sweep", "expected names with what each of them sweeps");
    for (const MapEntry &entry : node->entries) {
        const std::string path = join_path("sweep", entry.key);
        Arguments arguments(entry.value, path, context);
        Sweep sweep;
        sweep.name = entry.key;
        sweep.origin = entry.value.origin;
        sweep.parameter = arguments.word("parameter", true);
        sweep.first = static_cast<int64_t>(arguments.required("from", {0, 1'000'000}));
        sweep.last = static_cast<int64_t>(arguments.required("to", {0, 1'000'000}));
        ReadingContext inner{context.diagnostics, context.names};
        inner.names.erase(sweep.parameter); // changes from run to run
        const std::optional<Expression> condition = arguments.expression("first_with");
        if (condition)
            sweep.condition = *condition;
        else
            context.refuse(entry.value.origin, path,
                           "first_with: missing (a comparison of what is measured)");
        sweep.condition.bind(inner.names);
        read_measures(arguments.node("measure"), path + ".measure", sweep.measures, inner);
        arguments.finish();
        if (sweep.last < sweep.first || sweep.last - sweep.first >= longest_sweep)
            context.refuse(entry.value.origin, path, "from..to: at least one value, at most 4096");
        scenario.sweeps.push_back(std::move(sweep));
    }
}

void read_expectations(const ValueNode *node, const Origin &place, Scenario &scenario,
                       const ReadingContext &context)
{
    if (node == nullptr || node->kind != ValueNode::Kind::map || node->entries.empty()) {
        context.refuse(node != nullptr ? node->origin : place, "expect",
                       "expected figures with their values");
        return;
    }
    for (const MapEntry &entry : node->entries)
        read_expectation(entry, scenario, context);
}

void check_names(const std::vector<Scenario> &scenarios, DiagnosticList &diagnostics)
{
    NameCheck check(scenarios, diagnostics);
    for (const Scenario &scenario : scenarios)
        check.scenario(scenario);
}

} // namespace iommu_sim
