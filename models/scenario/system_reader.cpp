// SPDX-License-Identifier: Apache-2.0
//
// Base system and scenario keys, read by the configuration schema. See system_reader.h.
#include "models/scenario/system_reader.h"

#include <memory>
#include <stdexcept>

#include "models/config/schema.h"
#include "models/config/system_schema.h"
#include "models/scenario/library.h"

namespace iommu_sim
{

namespace
{

ValueNode base_tree(const Origin &place)
{
    SourceTable sources;
    DiagnosticList diagnostics(sources);
    std::optional<ValueNode> tree =
        parse_yaml(scenario_base_system(), sources.add_file("base.yaml"), diagnostics);
    if (!tree || !diagnostics.empty())
        throw std::logic_error("configs/scenarios/parts/base.yaml cannot be read");
    // Its places belong to another table of sources; a conflict with the scenario is shown at the scenario.
    const std::function<void(ValueNode &)> move = [&](ValueNode &node) {
        node.origin = place;
        for (MapEntry &entry : node.entries) {
            entry.origin = place;
            move(entry.value);
        }
        for (ValueNode &item : node.items)
            move(item);
    };
    move(*tree);
    return std::move(*tree);
}

} // namespace

void read_system(const ValueNode *node, const Origin &place, Scenario &scenario, DiagnosticList &diagnostics)
{
    static const std::shared_ptr<const SectionSchema> schema = make_system_schema();
    ValueNode tree = base_tree(node != nullptr ? node->origin : place);
    if (node != nullptr && node->kind != ValueNode::Kind::map) {
        diagnostics.add(node->origin, "system", "expected keys of a configuration");
        return;
    }
    if (node != nullptr)
        merge_over(tree, *node);
    GivenKeys given;
    DiagnosticList own(diagnostics.sources());
    read_section(*schema, &scenario.system, tree, "system", false, given, own);
    if (own.empty())
        check_section(*schema, &scenario.system, "system", given, own);
    for (const Diagnostic &diagnostic : own.sorted())
        diagnostics.add(diagnostic.origin, diagnostic.key, diagnostic.message);
}

} // namespace iommu_sim
