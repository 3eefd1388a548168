// SPDX-License-Identifier: Apache-2.0
//
// Reading a scenario file: heading, variants, and the parts that are not steps. See scenario_file.h.
#include "models/scenario/scenario_file.h"

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "models/config/schema.h"
#include "models/config/suggest.h"
#include "models/scenario/expectation_reader.h"
#include "models/scenario/step_reader.h"
#include "models/scenario/system_reader.h"
#include "models/scenario/variant_tree.h"

namespace iommu_sim
{

namespace
{

const std::vector<std::string> top_keys{"id",      "title",      "source",  "question", "answer",
                                        "about",   "parameters", "system",  "host",     "setup",
                                        "threads", "expect",     "measure", "sweep",    "variants"};

std::string joined(const std::vector<Diagnostic> &diagnostics)
{
    std::string text;
    for (const Diagnostic &diagnostic : diagnostics)
        text += (text.empty() ? "" : "\n") + diagnostic.text();
    return text;
}

void read_host(const ValueNode &node, Scenario &scenario, const ReadingContext &context)
{
    Arguments arguments(node, "host", context);
    HostSettings &host = scenario.host;
    const Range cost{0, 1'000'000'000};
    host.op_cycles = static_cast<uint32_t>(arguments.number("op_cycles", host.op_cycles, cost));
    host.attach_cycles = static_cast<uint32_t>(arguments.number("attach_cycles", host.attach_cycles, cost));
    host.scan_cycles = static_cast<uint32_t>(arguments.number("scan_cycles", host.scan_cycles, cost));
    host.pasid_slots =
        static_cast<uint32_t>(arguments.number("pasid_slots", host.pasid_slots, {1, 1u << 20}));
    arguments.finish();
}

/// Parameters may build on those before them; `given` wins.
void read_parameters(const ValueNode *node, const Numbers &given, Scenario &scenario, ReadingContext &context)
{
    if (node == nullptr)
        return;
    if (node->kind != ValueNode::Kind::map) {
        context.refuse(node->origin, "parameters", "expected names with their values");
        return;
    }
    for (const MapEntry &entry : node->entries) {
        const std::string path = join_path("parameters", entry.key);
        if (!is_scenario_name(entry.key))
            context.refuse(entry.origin, path, "not a name (letters, digits and _, a letter first)");
        const auto fixed = given.find(entry.key);
        const int64_t value =
            fixed != given.end() ? fixed->second : read_number(entry.value, path, context, {0, INT64_MAX});
        context.names[entry.key] = value;
        scenario.parameters[entry.key] = value;
    }
}

void read_thread(const MapEntry &entry, StepReader &reader, Scenario &scenario, const ReadingContext &context)
{
    const std::string path = join_path("threads", entry.key);
    ScenarioThread thread;
    thread.name = entry.key;
    const ValueNode *steps = &entry.value;
    static const ValueNode nothing{};
    Arguments arguments(entry.value.kind == ValueNode::Kind::map ? entry.value : nothing, path, context);
    if (entry.value.kind == ValueNode::Kind::map) {
        thread.cpu = static_cast<uint32_t>(arguments.number("cpu", 0, {0, 1023}));
        thread.start = arguments.number("start", 0, {0, UINT64_C(1) << 40});
        steps = arguments.node("steps");
        arguments.finish();
        if (steps == nullptr) {
            context.refuse(entry.value.origin, path, "steps: missing");
            return;
        }
    }
    reader.steps(*steps, path, thread);
    if (!thread.steps.empty())
        scenario.threads.push_back(std::move(thread));
}

void read_threads(const ValueNode *node, StepReader &reader, Scenario &scenario,
                  const ReadingContext &context)
{
    if (node == nullptr || node->kind != ValueNode::Kind::map) {
        context.refuse(node != nullptr ? node->origin : Origin{}, "threads",
                       "expected names of threads with their steps");
        return;
    }
    for (const MapEntry &entry : node->entries)
        read_thread(entry, reader, scenario, context);
    if (scenario.threads.empty() && context.diagnostics.empty())
        context.refuse(node->origin, "threads", "there is nothing to do");
}

} // namespace

ScenarioFile::ScenarioFile(const std::string &text, const std::string &name)
{
    DiagnosticList diagnostics(sources_);
    const uint32_t source = sources_.add_file(name);
    std::optional<ValueNode> tree = parse_yaml(text, source, diagnostics);
    if (tree && tree->kind != ValueNode::Kind::map)
        diagnostics.add({source, 1, 1}, "", "a scenario is a map of keys (like `id:` and `threads:`)");
    if (tree && diagnostics.empty()) {
        root_ = std::move(*tree);
        read_heading(diagnostics);
    } else if (diagnostics.empty()) {
        diagnostics.add({source, 1, 1}, "", "the file is empty");
    }
    std::vector<Scenario> scenarios;
    for (size_t i = 0; i < variants_.size(); i++) {
        DiagnosticList own(sources_);
        scenarios.push_back(read_variant(variants_[i], {}, own));
        // What is wrong in the base is wrong in every variant; say it once.
        for (const Diagnostic &diagnostic : own.sorted()) {
            const std::vector<Diagnostic> known = diagnostics.sorted();
            const bool again = std::any_of(known.begin(), known.end(), [&](const Diagnostic &d) {
                return d.text() == diagnostic.text();
            });
            if (!again)
                diagnostics.add(diagnostic.origin, diagnostic.key, diagnostic.message);
        }
    }
    if (diagnostics.empty())
        check_names(scenarios, diagnostics);
    for (const Diagnostic &diagnostic : diagnostics.sorted())
        problems_.push_back(diagnostic.text());
}

void ScenarioFile::read_heading(DiagnosticList &diagnostics)
{
    ReadingContext context{diagnostics, {}};
    Arguments arguments(root_, "", context);
    id_ = arguments.text("id", true);
    title_ = arguments.text("title", true);
    source_ = arguments.text("source", true);
    question_ = arguments.text("question", true);
    answer_ = arguments.text("answer", true);
    arguments.text("about", true);
    for (const std::string &key : top_keys)
        arguments.node(key);
    arguments.finish();
    const size_t digits = id_.find_first_of("0123456789");
    const bool good = digits != std::string::npos && digits > 0 && id_.size() - digits <= 4 &&
                      id_.find_first_not_of("0123456789", digits) == std::string::npos &&
                      id_.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == digits;
    if (!id_.empty() && !good)
        context.refuse(root_.find("id")->value.origin, "id", "capital letters and a number, as in A12");
    variants_.emplace_back(base_variant);
    const ValueNode *variants = arguments.node("variants");
    if (variants == nullptr)
        return;
    if (variants->kind != ValueNode::Kind::map)
        context.refuse(variants->origin, "variants", "expected names with what each of them changes");
    for (const MapEntry &entry : variants->entries) {
        const std::string path = join_path("variants", entry.key);
        if (entry.key == base_variant)
            context.refuse(entry.origin, path, "this name is that of the file without changes");
        else if (!is_scenario_name(entry.key))
            context.refuse(entry.origin, path, "not a name (letters, digits and _, a letter first)");
        else if (entry.value.kind != ValueNode::Kind::map)
            context.refuse(entry.value.origin, path, "expected what the variant changes");
        else
            variants_.push_back(entry.key);
    }
}

std::string ScenarioFile::about(const std::string &variant) const
{
    const ValueNode *node = &root_;
    if (variant != base_variant) {
        const MapEntry *variants = root_.find("variants");
        const MapEntry *entry = variants != nullptr ? variants->value.find(variant) : nullptr;
        node = entry != nullptr ? &entry->value : nullptr;
    }
    const MapEntry *about = node != nullptr ? node->find("about") : nullptr;
    return about != nullptr ? about->value.text : "";
}

Scenario ScenarioFile::read_variant(const std::string &variant, const Numbers &parameters,
                                    DiagnosticList &diagnostics) const
{
    ValueNode tree = root_;
    if (variant != base_variant) {
        const ValueNode &changes = root_.find("variants")->value.find(variant)->value;
        apply_variant(tree, changes, join_path("variants", variant), diagnostics);
    }
    Scenario scenario;
    scenario.id = id_;
    scenario.title = title_;
    scenario.variant = variant;
    scenario.about = about(variant);
    ReadingContext context{diagnostics, {}};
    const auto child = [&](const char *key) -> const ValueNode * {
        const MapEntry *entry = tree.find(key);
        return entry != nullptr ? &entry->value : nullptr;
    };
    read_parameters(child("parameters"), parameters, scenario, context);
    static const ValueNode nothing{};
    read_system(child("system"), tree.origin, scenario, diagnostics);
    const ValueNode *host = child("host");
    read_host(host != nullptr ? *host : nothing, scenario, context);
    StepReader reader(scenario, context);
    if (const ValueNode *setup = child("setup"))
        reader.setup(*setup, "setup");
    read_threads(child("threads"), reader, scenario, context);
    reader.finish();
    read_measures(child("measure"), "measure", scenario.measures, context);
    read_sweeps(child("sweep"), scenario, context);
    read_expectations(child("expect"), tree.origin, scenario, context);
    return scenario;
}

Scenario ScenarioFile::instantiate(const std::string &variant, const Numbers &parameters) const
{
    DiagnosticList diagnostics(sources_);
    Scenario scenario = read_variant(variant, parameters, diagnostics);
    if (!diagnostics.empty())
        throw std::runtime_error(joined(diagnostics.sorted()));
    return scenario;
}

std::string scenario_group(const std::string &id)
{
    return id.substr(0, id.find_first_of("0123456789"));
}

bool scenario_id_before(const std::string &a, const std::string &b)
{
    const std::string group_a = scenario_group(a);
    const std::string group_b = scenario_group(b);
    if (group_a != group_b)
        return group_a < group_b;
    const std::string number_a = a.substr(group_a.size());
    const std::string number_b = b.substr(group_b.size());
    return number_a.size() != number_b.size() ? number_a.size() < number_b.size() : number_a < number_b;
}

} // namespace iommu_sim
