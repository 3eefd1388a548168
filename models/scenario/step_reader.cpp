// SPDX-License-Identifier: Apache-2.0
//
// Steps: structure, loops, set-up, and what many operations share. See step_reader.h; the operations
// themselves are in step_operations.cpp.
#include "models/scenario/step_reader.h"

#include <algorithm>

#include "models/config/schema.h"
#include "models/config/suggest.h"
#include "models/scenario/step_operations.h"

namespace iommu_sim
{

namespace
{

/// Steps after unrolling; a file that needs more is a mistake.
constexpr size_t most_steps = 100'000;

} // namespace

uint32_t number_of(std::vector<std::string> &list, const std::string &name)
{
    const auto found = std::find(list.begin(), list.end(), name);
    if (found != list.end())
        return static_cast<uint32_t>(found - list.begin());
    list.push_back(name);
    return static_cast<uint32_t>(list.size() - 1);
}

std::vector<std::string> StepReader::operation_names()
{
    std::vector<std::string> names{"repeat"};
    for (const Operation &operation : operations())
        names.emplace_back(operation.name);
    return names;
}

/// A step is one word, or a map of one key; its name and (for a map) its value.
const ValueNode *StepReader::single(const ValueNode &item, const std::string &path, std::string &name) const
{
    static const ValueNode nothing{};
    if (item.kind == ValueNode::Kind::scalar) {
        name = item.text;
        return &nothing;
    }
    if (item.kind == ValueNode::Kind::map && item.entries.size() == 1) {
        name = item.entries[0].key;
        return &item.entries[0].value;
    }
    context_.refuse(item.origin, path, "a step is one operation: `- sync` or `- unmap: {domain: 2, ...}`");
    return nullptr;
}

void StepReader::steps(const ValueNode &list, const std::string &path, ScenarioThread &thread)
{
    if (list.kind != ValueNode::Kind::list) {
        context_.refuse(list.origin, path, "expected a list of steps (entries that begin with -)");
        return;
    }
    for (size_t i = 0; i < list.items.size(); i++) {
        if (thread.steps.size() > most_steps) {
            context_.refuse(list.origin, path, "more than 100000 steps");
            return;
        }
        step(list.items[i], path + "[" + std::to_string(i) + "]", thread);
    }
}

void StepReader::repeat(const ValueNode &value, const std::string &path,
                        const std::function<void(const ValueNode &, const std::string &)> &body)
{
    Arguments arguments(value, path, context_);
    const uint64_t times = arguments.required("times", {0, most_steps});
    const std::string variable = arguments.word("with");
    const ValueNode *inner = arguments.node("steps");
    arguments.finish();
    if (inner == nullptr) {
        context_.refuse(value.origin, path, "steps: missing");
        return;
    }
    const Numbers outer = context_.names;
    if (outer.count(variable) != 0)
        context_.refuse(value.origin, path, variable + " is a parameter already; take another name");
    for (uint64_t i = 0; i < times; i++) {
        if (!variable.empty())
            context_.names[variable] = static_cast<int64_t>(i);
        body(*inner, path + ".steps");
        if (!context_.diagnostics.empty())
            break; // the same mistake once is enough
    }
    context_.names = outer;
}

void StepReader::step(const ValueNode &item, const std::string &path, ScenarioThread &thread)
{
    std::string name;
    const ValueNode *value = single(item, path, name);
    if (value == nullptr)
        return;
    const std::string step_path = join_path(path, name);
    if (name == "repeat") {
        repeat(*value, step_path,
               [&](const ValueNode &list, const std::string &inner) { steps(list, inner, thread); });
        return;
    }
    const auto &all = operations();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Operation &o) { return name == o.name; });
    if (found == all.end())
        context_.refuse(item.origin, step_path, "unknown operation" + did_you_mean(name, operation_names()));
    else
        operation(*found, *value, step_path, thread);
}

void StepReader::operation(const Operation &operation, const ValueNode &value, const std::string &path,
                           ScenarioThread &thread)
{
    ScenarioStep step;
    iom_host_op_init(&step.op, operation.kind);
    step.text = operation.name;
    step.origin = value.origin;
    wait_after_ = false;
    // `delay: 5` is short for `delay: {KEY: 5}`.
    ValueNode spelt_out = value;
    if (value.kind == ValueNode::Kind::scalar && operation.short_key != nullptr) {
        spelt_out = ValueNode();
        spelt_out.kind = ValueNode::Kind::map;
        spelt_out.origin = value.origin;
        spelt_out.entries.push_back({operation.short_key, value.origin, value});
    }
    Arguments arguments(spelt_out, path, context_);
    (this->*operation.read)(operation, arguments, step);
    label(arguments, step);
    arguments.finish();
    thread.steps.push_back(step);
    if (wait_after_) {
        ScenarioStep wait;
        iom_host_op_init(&wait.op, IOM_HOST_AWAIT_REQUESTS);
        wait.text = "await_dma";
        wait.origin = step.origin;
        thread.steps.push_back(wait);
    }
}

// ---- what operations share -----------------------------------------------------------------------------

void StepReader::label(Arguments &arguments, ScenarioStep &step)
{
    if (!step.label.empty() || !arguments.has("name"))
        return;
    step.label = arguments.word("name");
    if (!step.label.empty())
        step.op.tag = number_of(scenario_.labels, step.label) + 1;
}

uint32_t StepReader::device(Arguments &arguments, const std::string &key)
{
    const std::string name = arguments.text(key, true);
    const std::vector<DeviceSettings> &devices = scenario_.system.devices;
    std::vector<std::string> names;
    for (uint32_t i = 0; i < devices.size(); i++) {
        if (devices[i].name == name)
            return i;
        names.push_back(devices[i].name);
    }
    if (!name.empty())
        context_.refuse(arguments.node(key)->origin, join_path(arguments.path(), key),
                        "there is no device '" + name + "' in system.devices" + did_you_mean(name, names));
    return 0;
}

uint32_t StepReader::domain(Arguments &arguments, bool is_required)
{
    if (!is_required && !arguments.has("domain"))
        return 0;
    const auto id = static_cast<uint32_t>(arguments.required("domain", {0, 65535}));
    if (is_required &&
        std::find(scenario_.domains.begin(), scenario_.domains.end(), id) == scenario_.domains.end())
        scenario_.domains.push_back(id);
    return id;
}

uint32_t StepReader::pasid(Arguments &arguments)
{
    if (!arguments.has("pasid"))
        return IOM_NO_PASID;
    return static_cast<uint32_t>(arguments.required("pasid", {0, (1u << 20) - 1}));
}

uint8_t StepReader::permissions(Arguments &arguments)
{
    static const std::vector<std::string> names{"read_write", "read", "write"};
    static const uint8_t values[] = {IOM_PERM_READ | IOM_PERM_WRITE, IOM_PERM_READ, IOM_PERM_WRITE};
    return values[arguments.choice("permissions", names)];
}

uint8_t StepReader::page_size(Arguments &arguments)
{
    static const std::vector<std::string> names{"any", "4K", "2M", "1G"};
    static const uint8_t values[] = {0, 12, 21, 30};
    return values[arguments.choice("page_size", names)];
}

void StepReader::options(Arguments &arguments, ScenarioStep &step)
{
    const ValueNode *list = arguments.node("options");
    if (list == nullptr)
        return;
    const std::string path = join_path(arguments.path(), "options");
    if (list->kind != ValueNode::Kind::list) {
        context_.refuse(list->origin, path, "expected a list, as in [no_context_flush]");
        return;
    }
    for (const ValueNode &item : list->items) {
        const uint32_t option = host_option(item.text);
        if (option == 0)
            context_.refuse(item.origin, path,
                            "there is no option '" + item.text + "'" +
                                did_you_mean(item.text, host_option_names()));
        step.op.options |= option;
    }
}

// ---- set-up --------------------------------------------------------------------------------------------

void StepReader::setup(const ValueNode &list, const std::string &path)
{
    if (list.kind != ValueNode::Kind::list) {
        context_.refuse(list.origin, path, "expected a list (entries that begin with -)");
        return;
    }
    for (size_t i = 0; i < list.items.size(); i++)
        setup_entry(list.items[i], path + "[" + std::to_string(i) + "]");
}

void StepReader::setup_entry(const ValueNode &item, const std::string &path)
{
    std::string name;
    const ValueNode *value = single(item, path, name);
    if (value == nullptr)
        return;
    const std::string entry_path = join_path(path, name);
    if (name == "repeat") {
        repeat(*value, entry_path, [&](const ValueNode &inner, const std::string &p) { setup(inner, p); });
        return;
    }
    if (name != "attach" && name != "map") {
        context_.refuse(item.origin, entry_path,
                        "unknown" + did_you_mean(name, {"attach", "map", "repeat"}) +
                            "; before cycle 0 there are attach, map and repeat");
        return;
    }
    Arguments arguments(*value, entry_path, context_);
    ScenarioSetup entry;
    entry.origin = value->origin;
    entry.attach = name == "attach";
    entry.domain = domain(arguments, true);
    if (entry.attach) {
        entry.device = device(arguments);
        entry.pasid = pasid(arguments);
    } else {
        entry.iova = arguments.required("iova");
        entry.address = arguments.required("address");
        entry.bytes = arguments.number("bytes", 4096, {1, UINT64_C(1) << 48});
        entry.permissions = permissions(arguments);
        entry.page_log2 = page_size(arguments);
    }
    arguments.finish();
    scenario_.setup.push_back(entry);
}

void StepReader::finish()
{
    for (const EventUse &use : awaited_) {
        if (std::find(signalled_.begin(), signalled_.end(), use.name) == signalled_.end())
            context_.refuse(use.origin, use.path,
                            "nobody signals '" + use.name + "'" + did_you_mean(use.name, signalled_));
    }
}

} // namespace iommu_sim
