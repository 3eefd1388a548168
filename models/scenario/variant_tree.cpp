// SPDX-License-Identifier: Apache-2.0
//
// Changing the tree of a scenario into that of a variant. See variant_tree.h.
#include "models/scenario/variant_tree.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "models/config/schema.h"
#include "models/config/suggest.h"

namespace iommu_sim
{

namespace
{

/// Calls `body` for each list of steps in a list of steps, itself included, inner ones first.
void each_list(ValueNode &list, const std::function<void(ValueNode &)> &body)
{
    for (ValueNode &item : list.items) {
        MapEntry *repeat = item.find("repeat");
        MapEntry *steps = repeat != nullptr ? repeat->value.find("steps") : nullptr;
        if (steps != nullptr)
            each_list(steps->value, body);
    }
    body(list);
}

void each_thread_list(ValueNode &tree, const std::function<void(ValueNode &)> &body)
{
    MapEntry *threads = tree.find("threads");
    if (threads == nullptr)
        return;
    for (MapEntry &thread : threads->value.entries) {
        MapEntry *steps = thread.value.find("steps");
        each_list(steps != nullptr ? steps->value : thread.value, body);
    }
}

/// Name of a step, or an empty string.
std::string step_name(const ValueNode &item)
{
    if (item.kind != ValueNode::Kind::map || item.entries.size() != 1)
        return "";
    const MapEntry *name = item.entries[0].value.find("name");
    return name != nullptr ? name->value.text : "";
}

class StepChange
{
  public:
    StepChange(ValueNode &tree, DiagnosticList &diagnostics) : tree_(tree), diagnostics_(diagnostics)
    {
    }

    void merge(const std::string &name, const ValueNode &keys, const std::string &path)
    {
        bool found = false;
        each_thread_list(tree_, [&](ValueNode &list) {
            for (ValueNode &item : list.items) {
                if (step_name(item) == name) {
                    merge_over(item.entries[0].value, keys);
                    found = true;
                }
            }
        });
        if (!found)
            unknown(name, keys.origin, path);
    }

    void remove(const std::string &name, const Origin &origin, const std::string &path)
    {
        bool found = false;
        each_thread_list(tree_, [&](ValueNode &list) {
            for (size_t i = list.items.size(); i-- > 0;) {
                if (step_name(list.items[i]) == name) {
                    list.items.erase(list.items.begin() + static_cast<std::ptrdiff_t>(i));
                    found = true;
                }
            }
        });
        if (!found)
            unknown(name, origin, path);
    }

  private:
    void unknown(const std::string &name, const Origin &origin, const std::string &path)
    {
        std::vector<std::string> names;
        each_thread_list(tree_, [&](ValueNode &list) {
            for (const ValueNode &item : list.items) {
                if (!step_name(item).empty())
                    names.push_back(step_name(item));
            }
        });
        diagnostics_.add(origin, path, "there is no step with name: " + name + did_you_mean(name, names));
    }

    ValueNode &tree_;
    DiagnosticList &diagnostics_;
};

void replace(ValueNode &tree, const MapEntry &entry)
{
    if (MapEntry *existing = tree.find(entry.key))
        *existing = entry;
    else
        tree.entries.push_back(entry);
}

void merge_key(ValueNode &tree, const MapEntry &entry)
{
    MapEntry *existing = tree.find(entry.key);
    if (existing == nullptr)
        tree.entries.push_back(entry);
    else
        merge_over(existing->value, entry.value);
}

/// Threads replace as a whole, by name.
void replace_threads(ValueNode &tree, const MapEntry &entry)
{
    MapEntry *existing = tree.find("threads");
    if (existing == nullptr || existing->value.kind != ValueNode::Kind::map) {
        replace(tree, entry);
        return;
    }
    for (const MapEntry &thread : entry.value.entries)
        replace(existing->value, thread);
}

void change_steps(ValueNode &tree, const MapEntry &entry, const std::string &path,
                  DiagnosticList &diagnostics)
{
    StepChange change(tree, diagnostics);
    if (entry.key == "change") {
        if (entry.value.kind != ValueNode::Kind::map)
            diagnostics.add(entry.value.origin, path, "expected names of steps with the keys that change");
        for (const MapEntry &step : entry.value.entries)
            change.merge(step.key, step.value, join_path(path, step.key));
        return;
    }
    if (entry.value.kind != ValueNode::Kind::list)
        diagnostics.add(entry.value.origin, path, "expected a list of names of steps");
    for (const ValueNode &name : entry.value.items)
        change.remove(name.text, name.origin, path);
}

} // namespace

void apply_variant(ValueNode &tree, const ValueNode &variant, const std::string &path,
                   DiagnosticList &diagnostics)
{
    static const std::vector<std::string> known{"about", "parameters", "system", "host",
                                                "setup", "threads",    "expect", "measure",
                                                "sweep", "change",     "remove"};
    // They belong to the expectations, which a variant always replaces.
    tree.entries.erase(
        std::remove_if(tree.entries.begin(), tree.entries.end(),
                       [](const MapEntry &e) { return e.key == "measure" || e.key == "sweep"; }),
        tree.entries.end());
    for (const MapEntry &entry : variant.entries) {
        if (entry.key == "parameters" || entry.key == "system" || entry.key == "host")
            merge_key(tree, entry);
        else if (entry.key == "setup" || entry.key == "expect" || entry.key == "measure" ||
                 entry.key == "sweep")
            replace(tree, entry);
        else if (entry.key == "threads")
            replace_threads(tree, entry);
        else if (entry.key != "change" && entry.key != "remove" && entry.key != "about")
            diagnostics.add(entry.origin, join_path(path, entry.key),
                            "unknown key" + did_you_mean(entry.key, known));
    }
    // Steps last: they may be those of a thread that the variant brings.
    for (const MapEntry &entry : variant.entries) {
        if (entry.key == "change" || entry.key == "remove")
            change_steps(tree, entry, join_path(path, entry.key), diagnostics);
    }
    if (variant.find("expect") == nullptr)
        diagnostics.add(variant.origin, path, "a variant needs `expect`: its own outcome");
}

} // namespace iommu_sim
